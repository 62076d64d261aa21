//! How many pods the controllers of some pods want.
//!
//! Models: kubernetes v1.36.2 pkg/controller/disruption/disruption.go (getExpectedScale and its finders), as the caches know them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::controllers::caches::Caches;
use crate::objects::selector::Selector;
use crate::objects::{Kind, Name, OwnerReference, Pod, Uid};

/// The sum of the scales of the pods' controllers; pods without one make `unmanaged` true.
///
/// # Errors
/// When a pod's controller is gone, or is none that has a scale.
pub(super) fn expected(pods: &[&Pod], caches: &Caches, unmanaged: &mut bool) -> Result<i32, String> {
    let mut scales: BTreeMap<Uid, i32> = BTreeMap::new();
    let mut known: BTreeMap<Uid, ()> = BTreeMap::new();
    for pod in pods {
        let Some(owner) = pod.meta.controller() else {
            *unmanaged = true;
            continue;
        };
        if known.insert(owner.uid, ()).is_some() {
            continue;
        }
        let (uid, scale) = find(owner, &pod.meta.namespace, caches)?
            .ok_or_else(|| format!("found no controllers for pod \"{}\"", pod.meta.name))?;
        scales.insert(uid, scale);
    }
    Ok(scales.values().fold(0, |sum, scale| sum.saturating_add(*scale)))
}

fn find(owner: &OwnerReference, namespace: &Name, caches: &Caches) -> Result<Option<(Uid, i32)>, String> {
    Ok(match Kind::from_name(&owner.kind).filter(|kind| *kind.api_version() == *owner.api_version) {
        Some(Kind::ReplicaSet) => caches.owning_replica_set(namespace, owner).and_then(|set| {
            match set.meta.controller().filter(|above| &*above.kind == Kind::Deployment.name()) {
                Some(above) => {
                    let deployment = caches.owning_deployment(namespace, above)?;
                    Some((deployment.meta.uid, deployment.spec.replicas))
                }
                None => Some((set.meta.uid, set.spec.replicas)),
            }
        }),
        Some(Kind::StatefulSet) => caches
            .owning::<StatefulSet>(namespace, owner)
            .map(|set| (set.meta.uid, set.api.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1))),
        Some(Kind::ReplicationController) => caches
            .owning::<ReplicationController>(namespace, owner)
            .map(|set| (set.meta.uid, set.api.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1))),
        Some(kind) => return Err(format!("{} does not implement the scale subresource", kind.qualified())),
        None => None,
    })
}

/// A selector as Go's `%v` shows the API's structure.
pub(in crate::controllers) fn go_selector(selector: Option<&LabelSelector>, compiled: &Selector) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    if selector.match_expressions.as_ref().is_some_and(|all| !all.is_empty()) {
        return compiled.to_string();
    }
    let labels = selector.match_labels.iter().flatten();
    let labels: Vec<String> = labels.map(|(key, value)| format!("{key}: {value},")).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}",
        labels.join("")
    )
}
