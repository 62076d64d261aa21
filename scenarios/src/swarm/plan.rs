//! What is done to a cluster, drawn from a seed: workloads, operations and faults, each kind on or off.
//!
//! Every kind draws at addresses of its own, (seed, kind, number), whether it is on, how often it happens, when, and with what. Turning one
//! off therefore changes nothing about the others, which is what makes a failing plan small: kinds and single steps are left out as long as it
//! fails. In a fifth of the seeds nothing goes wrong.

use serde_json::Value;

use super::cluster::{self, Shape};
use super::draw::Draw;
use super::faults::{self, Fault};
use super::{operations, workloads};
use crate::session::Nanos;

/// What kind of thing a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Something that is to run.
    Workload,
    /// Something a person does.
    Operation,
    /// Something that goes wrong.
    Fault,
}

/// A kind of step: a row of the table.
pub struct Kind {
    /// What it is called, in `--only`, `--without` and the summary.
    pub name: &'static str,
    /// What it is.
    pub group: Group,
    /// In how many of a hundred seeds it is on.
    pub likely: u64,
    /// How often it happens at most, where it is on; at least once.
    pub most: u64,
    /// The actions of one, each so long after the step's beginning.
    pub draw: fn(&mut Draw, &Shape, u64) -> Vec<(Nanos, Action)>,
}

/// One action.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A person types a command.
    Type {
        /// The words after `kubectl`.
        line: String,
        /// What is piped into it.
        stdin: Option<String>,
    },
    /// The same about one of the pods there are: `{pod}` stands for its name.
    OnPod {
        /// Which: this number modulo their number.
        nth: u64,
        /// The words after `kubectl`.
        line: &'static str,
    },
    /// A write that must not be lost once it is acknowledged, and a look whether it is there.
    Ledger {
        /// Its number.
        entry: u64,
    },
    /// A node joins.
    AddNode(Value),
    /// Pods are asked for work.
    Demand {
        /// Whose.
        target: String,
        /// How much, as `demand(…)` takes it.
        amount: Value,
    },
    /// The programs of a workload's pods answer probes so, those that come later, too.
    Health {
        /// Whose.
        target: String,
        /// `liveness`, `readiness` or `all`.
        probe: &'static str,
        /// What they answer, and until when.
        answers: String,
    },
    /// A static pod's manifest appears in a node's folder, or is gone again.
    Static {
        /// Whose folder.
        node: String,
        /// The manifest.
        manifest: Value,
        /// Whether it is there from now on.
        there: bool,
    },
    /// Users send requests to a Service from now on.
    Traffic {
        /// Which.
        service: String,
        /// How, as `traffic(…)` takes it.
        how: Value,
    },
    /// An admission webhook, as `webhook(…)` takes it.
    Webhook {
        /// What it is called.
        name: &'static str,
        /// The map.
        how: Value,
    },
    /// Something goes wrong.
    Begin(Fault),
    /// It is over.
    End(Fault),
}

/// An action with its place in the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When. [ns]
    pub at: Nanos,
    /// Of which kind.
    pub kind: &'static str,
    /// The how manieth of its kind, from 1.
    pub number: u64,
    /// What.
    pub action: Action,
}

impl Step {
    /// What `--without` calls it: `crash-2`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.kind, self.number)
    }
}

/// Which kinds are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only these kinds, whatever the seed says of the others; empty: any.
    pub only: Vec<String>,
    /// Without these: kinds (`crash`) or single steps (`crash-2`).
    pub without: Vec<String>,
}

impl Choice {
    /// Names that mean nothing, if there are any.
    pub fn unknown(&self) -> Option<&str> {
        let known = |name: &str| {
            let kind = name.rsplit_once('-').filter(|(_, number)| number.parse::<u64>().is_ok()).map(|(kind, _)| kind);
            kinds().any(|row| row.name == name || Some(row.name) == kind)
        };
        self.only.iter().chain(&self.without).map(String::as_str).find(|name| !known(name))
    }

    fn wants(&self, kind: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|name| name == kind);
        (self.only.is_empty() || listed(&self.only)) && !listed(&self.without)
    }
}

/// What a seed does.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The cluster, as `cluster(#{ … })` takes it.
    pub cluster: Value,
    /// In the order in which they are done.
    pub steps: Vec<Step>,
}

/// All kinds.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    workloads::KINDS.iter().chain(operations::KINDS).chain(faults::KINDS)
}

/// Workloads are applied within this time.
const BEGINNING: Nanos = 5_000_000_000;

impl Plan {
    /// The plan of a seed; operations and faults are spread over `length`.
    pub fn draw(seed: u64, length: Nanos, choice: &Choice) -> Plan {
        let (cluster, shape) = cluster::draw(seed);
        let mut steps = Vec::new();
        // Limits that hold only while nothing is wrong need seeds in which nothing is.
        let faultless = Draw::at(seed, "faults.off", 0).chance(20);
        for kind in kinds().filter(|kind| choice.wants(kind.name)) {
            let named = choice.only.iter().any(|name| name == kind.name);
            let off = faultless && kind.group == Group::Fault;
            if !named && (off || !Draw::at(seed, &format!("{}.on", kind.name), 0).chance(kind.likely)) {
                continue;
            }
            let times = Draw::at(seed, &format!("{}.times", kind.name), 0).number(1, kind.most);
            for number in 1..=times {
                let span = if kind.group == Group::Workload { BEGINNING } else { length };
                let at = Draw::at(seed, &format!("{}.at", kind.name), number).number(0, span / 1_000_000) * 1_000_000;
                let actions = (kind.draw)(&mut Draw::at(seed, kind.name, number), &shape, number);
                let step = |(after, action)| Step { at: at + after, kind: kind.name, number, action };
                steps.extend(actions.into_iter().map(step));
            }
        }
        steps.retain(|step| !choice.without.contains(&step.name()));
        steps.sort_by_key(|step| step.at);
        Plan { cluster, steps }
    }

    /// The names of the steps, each once, in the order of the plan.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for step in &self.steps {
            let name = step.name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Nanos = 120_000_000_000;

    #[test]
    fn a_kind_that_is_off_leaves_the_others_alone() {
        for seed in 0..50 {
            let all = Plan::draw(seed, LENGTH, &Choice::default());
            for kind in kinds() {
                let choice = Choice { without: vec![kind.name.to_owned()], ..Choice::default() };
                let rest: Vec<&Step> = all.steps.iter().filter(|step| step.kind != kind.name).collect();
                assert_eq!(Plan::draw(seed, LENGTH, &choice).steps.iter().collect::<Vec<_>>(), rest, "{}", kind.name);
            }
        }
    }

    #[test]
    fn every_kind_is_in_some_seed_and_one_of_its_steps_can_be_left_out() {
        for kind in kinds() {
            let plan = (0..200).map(|seed| Plan::draw(seed, LENGTH, &Choice::default()));
            let Some(plan) = plan.into_iter().find(|plan| plan.steps.iter().any(|step| step.kind == kind.name)) else {
                panic!("{} is in none of 200 seeds", kind.name);
            };
            assert!(plan.names().iter().any(|name| *name == format!("{}-1", kind.name)), "{:?}", plan.names());
        }
        let choice = Choice { only: vec!["crash".into()], without: vec!["crash-1".into()] };
        assert!(Plan::draw(3, LENGTH, &choice).steps.iter().all(|step| step.kind == "crash" && step.number > 1));
        assert_eq!(choice.unknown(), None);
        assert_eq!(Choice { only: vec!["crush".into()], ..Choice::default() }.unknown(), Some("crush"));
    }

    #[test]
    fn names_of_kinds_are_unique() {
        let mut names: Vec<&str> = kinds().map(|kind| kind.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
