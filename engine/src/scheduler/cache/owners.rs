//! Which pods belong together in the eyes of their Services and controllers: the selector of the default spread constraints.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/helper/spread.go (DefaultSelector). Left out: replication
//! controllers.

use std::collections::BTreeMap;

use super::pod_info::PodInfo;
use crate::objects::labels::Labels;
use crate::objects::meta::{Key, Name};
use crate::objects::selector::Selector;

/// Services, ReplicaSets and StatefulSets, as far as their selectors go.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    services: BTreeMap<Key, Labels>,
    /// By kind and key.
    sets: BTreeMap<(Name, Key), Selector>,
}

impl Owners {
    /// A Service's selector; `None`: it has none, or is gone.
    pub fn set_service(&mut self, key: Key, selector: Option<Labels>) {
        match selector {
            Some(selector) => self.services.insert(key, selector),
            None => self.services.remove(&key),
        };
    }

    /// The selector of a `ReplicaSet` or `StatefulSet`; `None`: it is gone.
    pub fn set_controller(&mut self, kind: &str, key: Key, selector: Option<Selector>) {
        match selector {
            Some(selector) => self.sets.insert((kind.into(), key), selector),
            None => self.sets.remove(&(kind.into(), key)),
        };
    }

    /// The selector of all pods that belong together with `pod`; `None` if there is nothing to go by.
    pub fn selector(&self, pod: &PodInfo) -> Option<Selector> {
        let first = Key { namespace: pod.namespace().clone(), name: "".into() };
        let services = self.services.range(first..).take_while(|(key, _)| key.namespace == *pod.namespace());
        let selects = |selector: &Labels| selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value));
        let mut exact = Labels::new();
        for (_, selector) in services.filter(|(_, selector)| selects(selector)) {
            exact.extend(selector.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        let set = pod.controller.as_ref().and_then(|(kind, name)| {
            let key = Key { namespace: pod.namespace().clone(), name: name.clone() };
            self.sets.get(&(kind.clone(), key))
        });
        let selector = match set {
            Some(set) if exact.is_empty() => Selector::everything().and(set),
            Some(set) => Selector::from_labels(&exact).and(set),
            None => Selector::from_labels(&exact),
        };
        (!selector.is_empty()).then_some(selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::PodSpec;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| (Name::from(*key), Name::from(*value))).collect()
    }

    #[test]
    fn services_and_the_controller_narrow_together() {
        let spec = PodSpec::new(Default::default());
        let mut pod = PodInfo::plain("ns", "p", 1, labels(&[("app", "web"), ("hash", "1")]), spec);
        let mut owners = Owners::default();
        owners.set_service(Key::new("other", "web"), Some(labels(&[("app", "web")])));
        assert_eq!(owners.selector(&pod), None);
        owners.set_service(Key::new("ns", "web"), Some(labels(&[("app", "web")])));
        owners.set_service(Key::new("ns", "db"), Some(labels(&[("app", "db")])));
        let text = |owners: &Owners, pod: &PodInfo| owners.selector(pod).map(|selector| selector.to_string());
        assert_eq!(text(&owners, &pod).as_deref(), Some("app=web"));
        let set = Selector::from_labels(&labels(&[("hash", "1")]));
        owners.set_controller("ReplicaSet", Key::new("ns", "web-1"), Some(set));
        pod.controller = Some(("ReplicaSet".into(), "web-1".into()));
        assert_eq!(text(&owners, &pod).as_deref(), Some("app=web,hash=1"));
        owners.set_service(Key::new("ns", "web"), None);
        assert_eq!(text(&owners, &pod).as_deref(), Some("hash=1"));
    }
}
