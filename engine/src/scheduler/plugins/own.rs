//! Plugins of one's own: filters and ratings that the user has written, asked once for a pod about all nodes.
//!
//! A filter's answers are had before any node is looked at, as PreFilter plugins prepare theirs, so that preemption's dry runs meet
//! the same ones: a node that such a plugin rejects is not tried (UnschedulableAndUnresolvable). A plugin that fails ends the cycle
//! with an error, and the pod comes again after its back-off.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/runtime/framework.go (RunFilterPlugins, RunScorePlugins: the texts of errors; scores
//! are 0 to 100 and multiplied with the weight). Left out: other extension points, queueing hints (every event may help, as upstream
//! takes it from a plugin without EnqueueExtensions).

use std::sync::Arc;

use super::Candidate;
use crate::objects::{Name, Text};
use crate::scheduler::cache::Cache;
use crate::scheduler::cache::pod_info::PodInfo;
use crate::scheduler::framework::{Plugin, Rejection};
use crate::scheduler::reasons::Reasons;
use crate::scripted::{Mistake, Scripts, SeenNode, SeenPod};

/// The plugins of a profile that the user has written.
#[derive(Clone, Debug, Default)]
pub struct OwnPlugins {
    /// What runs them; none without plugins.
    pub scripts: Option<Arc<dyn Scripts>>,
    /// Their names; [`Plugin::Own`] says the place.
    pub names: Arc<[Name]>,
}

impl PartialEq for OwnPlugins {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl OwnPlugins {
    /// A plugin's name, native ones included.
    pub fn name(&self, plugin: Plugin) -> Text {
        match plugin {
            Plugin::Own(place) => match self.names.get(usize::from(place)) {
                Some(name) => Text::Shared(name.clone()),
                None => plugin.name().into(),
            },
            native => native.name().into(),
        }
    }

    /// The script's functions and the name under which they know a plugin.
    fn script(&self, place: u8) -> Option<(&Arc<dyn Scripts>, &Name)> {
        Some((self.scripts.as_ref()?, self.names.get(usize::from(place))?))
    }
}

/// What a plugin's failure does to a cycle.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnFailure {
    /// The pod's error.
    pub text: Text,
    /// The plugin's name.
    pub plugin: Name,
    /// What went wrong.
    pub mistake: Mistake,
}

/// A filter's answers.
pub struct OwnFilter {
    plugin: Plugin,
    /// For each node by its index: 0 if the pod fits, else the place of the reason, from 1, in the cycle's reasons.
    answers: Vec<u16>,
}

impl OwnFilter {
    /// Asks a plugin about all nodes; texts are added to the cycle's `reasons`.
    pub fn pre_filter(
        own: &OwnPlugins,
        place: u8,
        pod: &PodInfo,
        cache: &Cache,
        reasons: &mut Vec<Text>,
    ) -> Result<Option<Self>, Box<OwnFailure>> {
        let Some((scripts, name)) = own.script(place) else { return Ok(None) };
        let order = cache.nodes.order();
        let candidates: Vec<Candidate<'_>> =
            order.iter().filter_map(|index| Candidate::of(&cache.nodes, *index)).collect();
        let said = scripts.filter(name, &seen_pod(pod), &candidates.iter().map(seen_node).collect());
        let said = said.map_err(|mistake| {
            let text = format!("running {:?} filter plugin: {}", &**name, mistake.line()).into();
            Box::new(OwnFailure { text, plugin: name.clone(), mistake })
        })?;
        let most = order.iter().max().map_or(0, |index| *index as usize + 1);
        let mut answers = vec![0; most];
        for (candidate, answer) in candidates.iter().zip(said) {
            let Some(text) = answer else { continue };
            let place = reasons.iter().position(|known| *known == text).unwrap_or_else(|| {
                // Whoever has more to say than anybody reads says the last of it for the rest.
                if reasons.len() < MOST_REASONS {
                    reasons.push(text);
                }
                reasons.len() - 1
            });
            if let Some(slot) = answers.get_mut(candidate.index as usize) {
                *slot = place as u16 + 1;
            }
        }
        Ok(Some(OwnFilter { plugin: Plugin::Own(place), answers }))
    }

    /// What it has said of the node.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        match self.answers.get(candidate.index as usize) {
            None | Some(0) => Ok(()),
            Some(place) => Err(Rejection { plugin: self.plugin, unresolvable: true, reasons: Reasons::own(*place) }),
        }
    }
}

/// Texts that the plugins of a cycle may have between them.
const MOST_REASONS: usize = 1_000;

/// A rating's answers.
pub struct OwnScore {
    pub(super) plugin: Plugin,
    /// For each node by its index.
    answers: Vec<i64>,
    /// Why there are none.
    pub failure: Option<Box<OwnFailure>>,
}

impl OwnScore {
    /// Asks a plugin about the nodes that fit.
    pub fn pre_score(own: &OwnPlugins, place: u8, pod: &PodInfo, feasible: &[Candidate<'_>]) -> Option<Self> {
        let (scripts, name) = own.script(place)?;
        let said = scripts.score(name, &seen_pod(pod), &feasible.iter().map(seen_node).collect());
        let most = feasible.iter().map(|candidate| candidate.index as usize + 1).max().unwrap_or(0);
        let mut score = OwnScore { plugin: Plugin::Own(place), answers: vec![0; most], failure: None };
        match said {
            Ok(said) => {
                for (candidate, answer) in feasible.iter().zip(said) {
                    score.answers[candidate.index as usize] = answer;
                }
            }
            Err(mistake) => {
                let text =
                    format!("running Score plugins: plugin {:?} failed with: {}", &**name, mistake.line()).into();
                score.failure = Some(Box::new(OwnFailure { text, plugin: name.clone(), mistake }));
            }
        }
        Some(score)
    }

    /// What it has said of the node.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        self.answers.get(candidate.index as usize).copied().unwrap_or(0)
    }
}

fn seen_pod(pod: &PodInfo) -> SeenPod {
    SeenPod { key: pod.key.clone(), labels: pod.labels.clone(), spec: pod.spec.clone() }
}

fn seen_node(candidate: &Candidate<'_>) -> SeenNode {
    let (node, terms) = (candidate.node, candidate.terms);
    SeenNode {
        name: node.name().clone(),
        labels: terms.labels.clone(),
        taints: terms.taints.clone(),
        unschedulable: terms.unschedulable,
        allocatable: terms.allocatable.clone(),
        most_pods: terms.pods,
        pods: node.pods().len() as i64,
        requested: node.requested().0,
        requested_others: node.requested_scalars().into(),
    }
}
