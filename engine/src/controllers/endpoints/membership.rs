//! Which pods each Service selects, kept up to date change by change.
//!
//! Upstream's controllers list a namespace's pods at each sync. Here a Service's pods are a set, and a pod finds its Services by one of its
//! labels, so that a cluster with many pods pays for those a Service has.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/endpointslice/util/controller_utils.go (GetPodServiceMemberships,
//! GetServicesToUpdateOnPodChange, podEndpointsChanged), trigger_time_tracker.go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;

use crate::client::Store;
use crate::client::informer::Change;
use crate::kernel::Instant;
use crate::objects::resource::Selects;
use crate::objects::{Key, Labels, Name, Object, Pod, Resource};

/// A label that all pods of a Service have, in its namespace.
type Label = (Name, Name, Name);

/// Services and their pods.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    services: BTreeMap<Key, Selected>,
    by_label: BTreeMap<Label, BTreeSet<Key>>,
}

#[derive(Clone, Debug)]
struct Selected {
    selector: Arc<Selects>,
    label: Label,
    pods: BTreeSet<Key>,
    triggers: Option<Triggers>,
}

/// When what a Service depends on last changed, as far as a sync has seen.
#[derive(Clone, Debug, Default)]
struct Triggers {
    service: Instant,
    pods: BTreeMap<Name, Instant>,
}

impl Membership {
    /// A Service is new, has changed or is gone; `pods` are all pods.
    pub fn service_changed(&mut self, change: &Change, pods: &Store) {
        let key = change.object().key();
        let service = change.new.as_ref().and_then(|object| object.as_resource::<Service>());
        let selector = service.and_then(|service| Some((service.compiled.clone(), label(service)?)));
        if let (Some(known), Some((selector, _))) = (self.services.get_mut(&key), &selector)
            && known.selector.0 == selector.0
        {
            known.selector = selector.clone();
            return;
        }
        let before = self.services.remove(&key);
        if let Some(before) = &before
            && let Some(keys) = self.by_label.get_mut(&before.label)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_label.remove(&before.label);
            }
        }
        let Some((selector, label)) = selector else { return };
        let mine = |pod: &&Arc<Object>| selector.0.matches(&pod.meta().labels);
        let members = pods.in_namespace(&key.namespace).filter(mine).map(|pod| pod.key()).collect();
        self.by_label.entry(label.clone()).or_default().insert(key.clone());
        let triggers = before.and_then(|before| before.triggers);
        self.services.insert(key, Selected { selector, label, pods: members, triggers });
    }

    /// A pod is new, has changed or is gone: the Services whose endpoints that may change.
    pub fn pod_changed(&mut self, change: &Change) -> BTreeSet<Key> {
        if self.services.is_empty() {
            return BTreeSet::new();
        }
        let (old, new) = (pod(change.old.as_ref()), pod(change.new.as_ref()));
        let relabelled = match (old, new) {
            (Some(old), Some(new)) => {
                !(Arc::ptr_eq(&old.meta.labels, &new.meta.labels) || old.meta.labels == new.meta.labels)
            }
            _ => true,
        };
        let changed = match (old, new) {
            (Some(old), Some(new)) => affects(old, new),
            _ => true,
        };
        if !relabelled && !changed {
            return BTreeSet::new();
        }
        let now = new.map(|new| self.selecting(new)).unwrap_or_default();
        let before = match old {
            Some(old) if relabelled => self.selecting(old),
            Some(_) => now.clone(),
            None => BTreeSet::new(),
        };
        if relabelled {
            let key = change.object().key();
            for service in before.difference(&now) {
                if let Some(selected) = self.services.get_mut(service) {
                    selected.pods.remove(&key);
                }
            }
            for service in now.difference(&before) {
                if let Some(selected) = self.services.get_mut(service) {
                    selected.pods.insert(key.clone());
                }
            }
        }
        if changed {
            now.union(&before).cloned().collect()
        } else {
            now.symmetric_difference(&before).cloned().collect()
        }
    }

    fn selecting(&self, pod: &Pod) -> BTreeSet<Key> {
        let namespace = &pod.meta.namespace;
        let labels: &Labels = &pod.meta.labels;
        let candidates = labels
            .iter()
            .filter_map(|(key, value)| self.by_label.get(&(namespace.clone(), key.clone(), value.clone())));
        let selects = |key: &&Key| self.services.get(key).is_some_and(|selected| selected.selector.0.matches(labels));
        candidates.flatten().filter(selects).cloned().collect()
    }

    /// The pods of a Service, in key order.
    pub fn pods<'a>(&'a self, service: &Key, pods: &'a Store) -> impl Iterator<Item = &'a Arc<Object>> {
        self.services.get(service).into_iter().flat_map(|selected| &selected.pods).filter_map(|key| pods.get(key))
    }

    /// What a sync takes as the moment of the change that it answers; `None` if there was none. Kubernetes:
    /// ComputeEndpointLastChangeTriggerTime.
    pub fn trigger(&mut self, service: &Resource<Service>, pods: &Store) -> Option<Instant> {
        let selected = self.services.get_mut(&service.meta.key())?;
        let ready = |key: &Key| {
            let pod = pods.get(key)?.as_pod()?;
            Some((pod.meta.name.clone(), pod.condition("Ready")?.transition))
        };
        let pods: BTreeMap<Name, Instant> = selected.pods.iter().filter_map(ready).collect();
        let now = Triggers { service: service.meta.created, pods };
        let Some(before) = selected.triggers.replace(now) else { return Some(service.meta.created) };
        let now = selected.triggers.as_ref()?;
        let newer =
            |(name, at): (&Name, &Instant)| before.pods.get(name).is_none_or(|before| at > before).then_some(*at);
        let of_service = (now.service > before.service).then_some(now.service);
        now.pods.iter().filter_map(newer).chain(of_service).min()
    }

    /// The Service is gone.
    pub fn forget_triggers(&mut self, service: &Key) {
        if let Some(selected) = self.services.get_mut(service) {
            selected.triggers = None;
        }
    }
}

fn pod(object: Option<&Arc<Object>>) -> Option<&Pod> {
    object.and_then(|object| object.as_pod())
}

/// The first label that the Service's pods have; `None` if it selects none.
fn label(service: &Resource<Service>) -> Option<Label> {
    let spec = service.api.spec.as_ref()?;
    let (key, value) = spec.selector.as_ref()?.iter().next()?;
    Some((service.meta.namespace.clone(), key.as_str().into(), value.as_str().into()))
}

/// Whether a change of a pod may change an endpoint.
fn affects(old: &Pod, new: &Pod) -> bool {
    // Upstream compares pointers: each change of a pod that is being deleted counts.
    old.meta.deleting() || new.meta.deleting() || old.ready() != new.ready() || old.status.pod_ip != new.status.pod_ip
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::kernel::out::RecordId;
    use crate::objects::compact;

    fn service(name: &str, app: &str) -> Arc<Object> {
        let value = json!({"metadata": {"namespace": "a", "name": name}, "spec": {"selector": {"app": app}}});
        Arc::new(Object::Service(Resource::new(serde_json::from_value(value).expect("a service"), &|_| {})))
    }

    fn web(name: &str, app: &str, ip: Option<&str>) -> Arc<Object> {
        let value = json!({"metadata": {"namespace": "a", "name": name, "labels": {"app": app, "x": "y"}}});
        let mut pod = compact::pod(serde_json::from_value(value).expect("a pod"));
        pod.status.pod_ip = ip.and_then(|ip| ip.parse().ok());
        Arc::new(Object::Pod(pod))
    }

    fn change(old: Option<&Arc<Object>>, new: Option<&Arc<Object>>) -> Change {
        Change { old: old.cloned(), new: new.cloned(), cause: RecordId(0) }
    }

    #[test]
    fn pods_find_their_services_and_services_their_pods() {
        let (mut members, mut store) = (Membership::default(), Store::indexed());
        let key = |name| Key::new("a", name);
        let first = web("p", "web", None);
        store.insert(first.clone());
        for (name, app) in [("one", "web"), ("other", "db")] {
            members.service_changed(&change(None, Some(&service(name, app))), &store);
        }
        assert_eq!(members.pods(&key("one"), &store).count(), 1);
        // Nothing that matters, an address, a label.
        assert!(members.pod_changed(&change(Some(&first), Some(&first))).is_empty());
        let running = web("p", "web", Some("10.0.0.1"));
        store.insert(running.clone());
        assert_eq!(members.pod_changed(&change(Some(&first), Some(&running))), [key("one")].into());
        let moved = web("p", "db", Some("10.0.0.1"));
        store.insert(moved.clone());
        assert_eq!(members.pod_changed(&change(Some(&running), Some(&moved))), [key("one"), key("other")].into());
        let counts = |members: &Membership| ["one", "other"].map(|name| members.pods(&key(name), &store).count());
        assert_eq!(counts(&members), [0, 1]);
        assert_eq!(members.pod_changed(&change(Some(&moved), None)), [key("other")].into());
        members.service_changed(&change(Some(&service("other", "db")), None), &store);
        assert_eq!((members.services.len(), members.by_label.len()), (1, 1));
    }
}
