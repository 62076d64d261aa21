//! One attempt of the scheduler to place a pod.

use serde::{Deserialize, Serialize};

/// One attempt. In large clusters only some nodes of each sort are named, with how many there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explanation {
    /// The pod, `namespace/name`.
    pub pod: String,
    /// When the decision took effect. [ns since the script's zero]
    pub t: i64,
    /// What woke the pod: the record the attempt goes back to, if it is known.
    pub cause: Option<Cause>,
    /// The chosen node.
    pub node: Option<String>,
    /// Why there is none.
    pub message: String,
    /// How many nodes were looked at.
    pub evaluated: u32,
    /// The scheduler's name; empty if nothing but the outcome is known.
    pub scheduler: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What brought the pod before the scheduler.
    pub woken: String,
    /// How many nodes there are.
    pub nodes: u32,
    /// How many nodes fit.
    pub fitting: u32,
    /// Why no node was looked at.
    pub refused: Option<Refusal>,
    /// The plugins that rated nodes, with their weights.
    pub plugins: Vec<PluginWeight>,
    /// Nodes that fit, the chosen one first, then the best.
    pub scores: Vec<Score>,
    /// Nodes that do not fit, by plugin and reasons.
    pub rejected: Vec<Rejected>,
    /// The node the pod is promised once the victims are gone.
    pub nominated: Option<String>,
    /// The pods that have to go.
    pub victims: Vec<String>,
    /// Nodes where preemption would work.
    pub candidates: Vec<DryRun>,
    /// Nodes where it would not, by reasons.
    pub in_vain: Vec<InVain>,
}

/// What an attempt goes back to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// When. [ns since the script's zero]
    pub t: i64,
    /// `Pod default/big deleted`.
    pub text: String,
}

/// A plugin that refuses a pod whatever the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Refusal {
    pub plugin: String,
    pub reason: String,
}

/// A plugin and what its rating is multiplied with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PluginWeight {
    pub plugin: String,
    pub weight: i64,
}

/// How a node is rated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Score {
    /// The node.
    pub node: String,
    /// The sum of the weighted ratings.
    pub total: i64,
    /// What each plugin says.
    pub raw: Vec<i64>,
    /// The same brought to 0..=100.
    pub normalized: Vec<i64>,
}

/// Nodes one filter rejects for the same reasons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rejected {
    /// The filter.
    pub plugin: String,
    /// Its reasons.
    pub reasons: Vec<String>,
    /// Whether preemption could not help.
    pub unresolvable: bool,
    /// How many nodes.
    pub count: u32,
    /// The first of them.
    pub nodes: Vec<String>,
}

/// Preemption on a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DryRun {
    /// The node.
    pub node: String,
    /// How many pods would have to go.
    pub victims: u32,
    /// How many of them a disruption budget protects.
    pub violations: u32,
    /// The priority of the most important one.
    pub highest: i32,
}

/// Nodes on which preemption was tried in vain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InVain {
    /// Why.
    pub reasons: Vec<String>,
    /// How many nodes.
    pub count: u32,
    /// The first of them.
    pub nodes: Vec<String>,
}

impl Explanation {
    /// What a plugin adds to a node's total; `None` for a plugin or node that is not there.
    pub fn weighted(&self, score: &Score, plugin: usize) -> Option<i64> {
        Some(score.normalized.get(plugin)?.saturating_mul(self.plugins.get(plugin)?.weight))
    }

    /// The places of the plugins that tell at least two nodes apart or add anything at all.
    pub fn telling(&self) -> Vec<usize> {
        let tells =
            |place: &usize| self.scores.iter().any(|score| self.weighted(score, *place).is_some_and(|n| n != 0));
        (0..self.plugins.len()).filter(tells).collect()
    }

    /// The plugins that rate every node 0.
    pub fn silent(&self) -> Vec<&str> {
        let telling = self.telling();
        let silent = self.plugins.iter().enumerate().filter(|(place, _)| !telling.contains(place));
        silent.map(|(_, plugin)| plugin.plugin.as_str()).collect()
    }

    /// How it ended, in a few words.
    pub fn outcome(&self) -> String {
        match (&self.node, &self.nominated) {
            (Some(node), _) => format!("node {node}"),
            (None, Some(node)) => {
                format!(
                    "no node; promised {node} once {} gone",
                    counted(self.victims.len() as u32, "pod is", "pods are")
                )
            }
            (None, None) => "no node".to_owned(),
        }
    }

    /// How many of the nodes were looked at and fit.
    pub fn reach(&self) -> String {
        if self.scheduler.is_empty() {
            return format!("{} looked at", counted(self.evaluated, "node", "nodes"));
        }
        format!("{}: {} looked at, {} fit", counted(self.nodes, "node", "nodes"), self.evaluated, self.fitting)
    }
}

/// `1 node`, `3 nodes`.
pub(super) fn counted(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// An instant as `12.345678s`, negative before the script's zero.
pub(super) fn instant(t: i64) -> String {
    let sign = if t < 0 { "-" } else { "" };
    let micros = t.unsigned_abs() / 1_000;
    format!("{sign}{}.{:06}s", micros / 1_000_000, micros % 1_000_000)
}
