//! Why a pod got its node, or none: a decision as plain data, for people to look at.

use std::sync::Arc;

use super::cache::Cache;
use super::diagnosis::narrowed_text;
use super::framework::Decision;
use super::preemption::{self, InVain, NO_VICTIMS, PostFilter};
use crate::objects::PodSpec;
use crate::objects::meta::Name;

/// What brought a pod before the scheduler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Woken {
    /// It was new.
    Added,
    /// Its scheduling gates were removed.
    Ungated,
    /// Something happened after which a plugin that rejected it might think better of it.
    Event {
        /// `NodeAdd`, `AssignedPodDelete`, …
        event: &'static str,
        /// The plugin.
        plugin: &'static str,
    },
    /// An attempt ended in an error, and the back-off is over.
    Error,
    /// It had waited for five minutes.
    TimedOut,
    /// Its preemption went wrong.
    Forced,
    /// It was backing off, but there was nobody else to try. Before that, this had woken it.
    Early(Box<Woken>),
}

/// One attempt to place a pod.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The scheduler's name.
    pub profile: Name,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What brought it about.
    pub woken: Woken,
    /// How many nodes there are; not all need have been looked at.
    pub nodes: u32,
    /// The nodes that were looked at, those that fit first.
    pub verdicts: Vec<Verdict>,
    /// Why no node was looked at.
    pub refused: Option<(&'static str, &'static str)>,
    /// The node it is promised, once those have gone who have to.
    pub nominated: Option<Name>,
    /// Those who have to go from there, `namespace/name`, the most important first.
    pub victims: Vec<Name>,
    /// What preemption would do, or why not, on each node where it was tried.
    pub preemption: Vec<Attempt>,
}

/// What the plugins say of one node.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// The node.
    pub node: Name,
    /// The filter that rejects it, its reasons, and whether preemption could not help.
    pub rejected: Option<(&'static str, Vec<String>, bool)>,
    /// The ratings of a node that fits.
    pub scores: Vec<PluginScore>,
    /// Their sum, weighted.
    pub total: i64,
}

/// How one plugin rates a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PluginScore {
    /// The plugin.
    pub plugin: &'static str,
    /// As it says.
    pub raw: i64,
    /// Brought to 0..=100.
    pub normalized: i64,
    /// What it is multiplied with.
    pub weight: i64,
}

/// Preemption on one node.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    /// The node.
    pub node: Name,
    /// Who would have to go, and how many of them a disruption budget protects; or why it does not work.
    pub outcome: Result<(Vec<Name>, usize), Vec<String>>,
}

impl Woken {
    /// A short phrase.
    pub fn text(&self) -> String {
        match self {
            Woken::Added => "new pod".to_owned(),
            Woken::Ungated => "scheduling gates removed".to_owned(),
            Woken::Event { event, plugin } => format!("{event} (hint of {plugin})"),
            Woken::Error => "retry after an error".to_owned(),
            Woken::TimedOut => "five minutes without a change".to_owned(),
            Woken::Forced => "preemption failed".to_owned(),
            Woken::Early(before) => format!("{}, before the end of its back-off", before.text()),
        }
    }
}

impl Explanation {
    /// The explanation of a decision about a pod of this spec.
    pub fn of(
        decision: &Decision,
        post_filter: Option<&PostFilter>,
        spec: &Arc<PodSpec>,
        cache: &Cache,
        (profile, attempt, woken): (Name, u32, Woken),
    ) -> Explanation {
        let mut explanation = Explanation {
            profile,
            attempt,
            woken,
            nodes: decision.nodes,
            verdicts: verdicts(decision, spec, cache),
            refused: decision.refused.map(|(plugin, reason)| (plugin.name(), reason.text())),
            nominated: None,
            victims: Vec::new(),
            preemption: Vec::new(),
        };
        let name = |node: u32| cache.nodes().get(node).name().clone();
        let in_vain = |(node, why): &(u32, InVain)| {
            let reasons = match why {
                InVain::NoVictims => vec![NO_VICTIMS.to_owned()],
                InVain::Rejected(rejection) => rejection.reasons.texts(&spec.terms),
            };
            Attempt { node: name(*node), outcome: Err(reasons) }
        };
        match post_filter {
            None => {}
            Some(PostFilter::Refused { tried, .. }) => explanation.preemption.extend(tried.iter().map(in_vain)),
            Some(PostFilter::Preempt(preemption)) => {
                explanation.nominated = Some(name(preemption.node));
                explanation.victims = preemption::names(&preemption.victims);
                let works = preemption.candidates.iter().map(|victims| Attempt {
                    node: name(victims.node),
                    outcome: Ok((preemption::names(&victims.pods), victims.violations)),
                });
                explanation.preemption.extend(works.chain(preemption.tried.iter().map(in_vain)));
            }
        }
        explanation
    }
}

fn verdicts(decision: &Decision, spec: &PodSpec, cache: &Cache) -> Vec<Verdict> {
    let name = |node: u32| cache.nodes().get(node).name().clone();
    let fits = decision.feasible.iter().enumerate().map(|(place, (node, total))| Verdict {
        node: name(*node),
        rejected: None,
        scores: decision
            .explain(place)
            .map(|(plugin, raw, normalized, weight)| PluginScore { plugin: plugin.name(), raw, normalized, weight })
            .collect(),
        total: *total,
    });
    let rejected = decision.rejected.iter().map(|(node, why)| Verdict {
        node: name(*node),
        rejected: Some((why.plugin.name(), why.reasons.texts(&spec.terms), why.unresolvable)),
        scores: Vec::new(),
        total: 0,
    });
    let mut verdicts: Vec<Verdict> = fits.chain(rejected).collect();
    if let Some(plugin) = decision.narrowed_by {
        let seen: std::collections::BTreeSet<&Name> = verdicts.iter().map(|verdict| &verdict.node).collect();
        let others: Vec<Name> =
            cache.nodes().order().iter().map(|node| name(*node)).filter(|node| !seen.contains(node)).collect();
        verdicts.extend(others.into_iter().map(|node| Verdict {
            node,
            rejected: Some((plugin.name(), vec![narrowed_text(plugin.name())], true)),
            scores: Vec::new(),
            total: 0,
        }));
    }
    verdicts
}
