//! Taints of nodes and tolerations of pods.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/component-helpers/scheduling/corev1/helpers.go and
//! staging/src/k8s.io/api/core/v1/toleration.go (ToleratesTaint). Left out: the operators `Lt` and `Gt` (alpha, off):
//! such a toleration tolerates nothing.

use k8s_openapi::api::core::v1 as api;

use super::super::meta::Name;

/// Taint of cordoned nodes.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Taint of nodes whose kubelet says it is not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Taint of nodes whose kubelet is silent.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Effect {
    /// They are not scheduled there.
    NoSchedule,
    /// They are scheduled elsewhere if there is a choice.
    PreferNoSchedule,
    /// They are not scheduled there, and evicted if they run.
    NoExecute,
}

/// A mark of a node that keeps pods away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taint {
    /// Key.
    pub key: Name,
    /// Value, often empty.
    pub value: Name,
    /// What it does.
    pub effect: Effect,
}

/// A pod's permission to disregard taints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toleration {
    /// Key; empty: any.
    pub key: Name,
    /// The value that must be equal; `None`: any.
    pub value: Option<Name>,
    /// Effect; `None`: any.
    pub effect: Option<Effect>,
    /// How long a NoExecute taint is borne; `None`: for ever. [s]
    pub seconds: Option<i64>,
}

impl Effect {
    /// `NoSchedule`.
    pub fn name(self) -> &'static str {
        match self {
            Effect::NoSchedule => "NoSchedule",
            Effect::PreferNoSchedule => "PreferNoSchedule",
            Effect::NoExecute => "NoExecute",
        }
    }

    /// The effect of a name.
    pub fn from_name(name: &str) -> Option<Effect> {
        [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute]
            .into_iter()
            .find(|effect| effect.name() == name)
    }

    /// Whether the scheduler keeps intolerant pods off the node.
    pub fn forbids(self) -> bool {
        self != Effect::PreferNoSchedule
    }
}

impl Taint {
    /// A taint by the name of its effect; `None` if there is no such effect.
    pub fn new(key: Name, value: Name, effect: &str) -> Option<Taint> {
        Effect::from_name(effect).map(|effect| Taint { key, value, effect })
    }
}

impl Toleration {
    /// The API's toleration; `None` if it can tolerate nothing because its operator or effect is unknown.
    pub fn from_api(toleration: &api::Toleration) -> Option<Toleration> {
        let effect = match toleration.effect.as_deref().unwrap_or_default() {
            "" => None,
            name => Some(Effect::from_name(name)?),
        };
        let value = match toleration.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => Some(toleration.value.as_deref().unwrap_or_default().into()),
            "Exists" => None,
            _ => return None,
        };
        let key = toleration.key.as_deref().unwrap_or_default().into();
        Some(Toleration { key, value, effect, seconds: toleration.toleration_seconds })
    }

    /// Whether it lets the pod disregard `taint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}

/// Whether one of `tolerations` tolerates `taint`.
pub fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| toleration.tolerates(taint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Option<Toleration> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Toleration::from_api(&api::Toleration {
            key: text(key),
            operator: text(operator),
            value: text(value),
            effect: text(effect),
            toleration_seconds: None,
        })
    }

    #[test]
    fn a_toleration_matches_key_value_and_effect_or_leaves_them_open() {
        let taint = Taint { key: "k".into(), value: "v".into(), effect: Effect::NoSchedule };
        for (key, operator, value, effect, expected) in [
            ("k", "", "v", "", true),
            ("k", "Equal", "w", "", false),
            ("k", "Exists", "", "NoSchedule", true),
            ("k", "Exists", "", "NoExecute", false),
            ("", "Exists", "", "", true),
            ("j", "Exists", "", "", false),
            ("k", "", "", "", false),
        ] {
            let toleration = toleration(key, operator, value, effect).expect("valid");
            assert_eq!(toleration.tolerates(&taint), expected, "{toleration:?}");
        }
        assert_eq!(toleration("k", "Gt", "5", ""), None);
        assert_eq!(toleration("k", "Exists", "", "Never"), None);
    }
}
