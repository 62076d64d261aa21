//! Conditions of pods, nodes, deployments and replica sets: one compact shape for all.

use super::text::Text;
use crate::kernel::Instant;

/// The status of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ConditionStatus {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

impl ConditionStatus {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }

    /// Reads the API's spelling; anything else is `Unknown`.
    pub fn parse(text: &str) -> Self {
        match text {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { ConditionStatus::True } else { ConditionStatus::False }
    }
}

/// A condition of an object.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    /// `Ready`, `Progressing`, …
    pub kind: Text,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// A word for machines; empty for none.
    pub reason: Text,
    /// A sentence for people; empty for none.
    pub message: Text,
    /// `lastTransitionTime`: when the status last changed.
    pub transition: Instant,
    /// `lastUpdateTime` of a deployment's condition, `lastHeartbeatTime` of a node's.
    pub update: Instant,
    /// `observedGeneration` of a pod's condition; 0 for none.
    pub observed_generation: i64,
}

impl Condition {
    /// A condition without reason and message that changed at `at`.
    pub fn new(kind: impl Into<Text>, status: impl Into<ConditionStatus>, at: Instant) -> Self {
        Condition {
            kind: kind.into(),
            status: status.into(),
            reason: Text::default(),
            message: Text::default(),
            transition: at,
            update: at,
            observed_generation: 0,
        }
    }

    /// With a reason and a message.
    pub fn because(mut self, reason: impl Into<Text>, message: impl Into<Text>) -> Self {
        self.reason = reason.into();
        self.message = message.into();
        self
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

/// The condition of a type among `conditions`.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| &*condition.kind == kind)
}
