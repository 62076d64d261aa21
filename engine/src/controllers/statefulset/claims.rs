//! The claims of a StatefulSet's pods: made before the pod, kept when it goes, unless the retention policy says otherwise.
//!
//! Models: kubernetes v1.36.2 pkg/controller/statefulset/{stateful_pod_control,stateful_set_utils}.go (getPersistentVolumeClaims,
//! createMissingPersistentVolumeClaims, claimOwnerMatchesSetAndPod, updateClaimOwnerRefForSetAndPod, PodClaimIsStale).

use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::json;

use super::{Inputs, identity};
use crate::apiserver::request::{Body, Patch, Verb};
use crate::client::connection::Call;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::controllers::caches::Caches;
use crate::controllers::ownership::controller_reference;
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Name, Object, ObjectMeta, OwnerReference, Pod};

/// The templates of claims.
pub(super) fn templates(inputs: &Inputs) -> &[PersistentVolumeClaim] {
    inputs.spec().volume_claim_templates.as_deref().unwrap_or_default()
}

/// A template's name, which is that of the volume.
pub(super) fn template_name(template: &PersistentVolumeClaim) -> &str {
    template.metadata.name.as_deref().unwrap_or_default()
}

/// `TEMPLATE-SET-ORDINAL`.
pub(super) fn name(inputs: &Inputs, template: &PersistentVolumeClaim, ordinal: i64) -> String {
    format!("{}-{}-{ordinal}", template_name(template), inputs.set.meta.name)
}

/// Looks the claims up that the sync may need.
pub(super) fn find(inputs: &mut Inputs, caches: &Caches) {
    if templates(inputs).is_empty() {
        return;
    }
    let of_pods = inputs.pods.iter().filter_map(|(pod, _)| identity::ordinal(&pod.meta().name));
    let mut found = Vec::new();
    for ordinal in inputs.ordinals().chain(of_pods) {
        for template in templates(inputs) {
            let name: Name = name(inputs, template, ordinal).into();
            let key = Key { namespace: inputs.set.meta.namespace.clone(), name: name.clone() };
            if let Some(claim) = caches.store(Kind::PersistentVolumeClaim).get(&key) {
                found.push((name, claim.clone()));
            }
        }
    }
    inputs.claims.extend(found);
}

/// Creates what claims a pod lacks, one after the other.
pub(super) fn create_missing(inputs: &Inputs, ordinal: i64, routine: &mut Routine<'_>) -> Step<()> {
    let (set, mut failed) = (&inputs.set.meta, None);
    for template in templates(inputs) {
        let name = name(inputs, template, ordinal);
        match inputs.claims.get(&*name) {
            Some(claim) if claim.meta().deleting() => {
                failed = failed.or(Some(Interrupt::Failed(format!("pvc {name} is being deleted").into())));
            }
            Some(_) => {}
            None => {
                let pod = format!("{}-{ordinal}", set.name);
                match routine.call(|| creation(inputs, template, &name))? {
                    Ok(_) => routine.event(&inputs.about, EventType::Normal, "SuccessfulCreate", || {
                        format!("Create Claim {name} Pod {pod} in StatefulSet {} success", set.name)
                    }),
                    Err(status) => {
                        routine.event(&inputs.about, EventType::Warning, "FailedCreate", || {
                            let why = &status.message;
                            let set = &set.name;
                            format!("Create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {why}")
                        });
                        failed = failed.or(Some(Interrupt::from(status)));
                    }
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn creation(inputs: &Inputs, template: &PersistentVolumeClaim, name: &str) -> Call {
    let mut claim = template.clone();
    claim.status = None;
    let namespace = inputs.set.meta.namespace.clone();
    let meta = claim.metadata_mut();
    meta.name = Some(name.to_owned());
    meta.namespace = Some(namespace.to_string());
    let selected = inputs.spec().selector.match_labels.clone().unwrap_or_default();
    meta.labels.get_or_insert_default().extend(selected);
    let mut value = serde_json::to_value(&claim).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), json!("v1"));
        map.insert("kind".to_owned(), json!("PersistentVolumeClaim"));
    }
    let key = Key { namespace, name: name.into() };
    Call {
        verb: Verb::Create,
        kind: Kind::PersistentVolumeClaim,
        subresource: Default::default(),
        key,
        body: Body::Json(Arc::new(value)),
    }
}

/// Whether a claim still belongs to a pod of the same name that is gone.
pub(super) fn stale(inputs: &Inputs, ordinal: i64) -> bool {
    let (_, scaled) = policy(inputs);
    let pods: Vec<&ObjectMeta> = inputs.pods.iter().map(|(pod, _)| pod.meta()).collect();
    scaled
        && templates(inputs).iter().filter_map(|template| inputs.claims.get(&*name(inputs, template, ordinal))).any(
            |claim| {
                let gone =
                    |owner: &OwnerReference| &*owner.kind == "Pod" && !pods.iter().any(|pod| pod.uid == owner.uid);
                claim.meta().owners.iter().any(gone)
            },
        )
}

/// Whether claims go with the set, and with a pod that is too many.
fn policy(inputs: &Inputs) -> (bool, bool) {
    let policy = inputs.spec().persistent_volume_claim_retention_policy.as_ref();
    let deletes = |what: Option<&String>| what.is_some_and(|what| what == "Delete");
    (
        deletes(policy.and_then(|policy| policy.when_deleted.as_ref())),
        deletes(policy.and_then(|policy| policy.when_scaled.as_ref())),
    )
}

/// Makes the claims of a pod belong to whom the retention policy says.
pub(super) fn set_owners(inputs: &Inputs, pod: &Pod, ordinal: i64, routine: &mut Routine<'_>) -> Step<()> {
    for template in templates(inputs) {
        let Some(claim) = inputs.claims.get(&*name(inputs, template, ordinal)) else { continue };
        let wanted = owners(inputs, pod, ordinal, claim);
        if *wanted != *claim.meta().owners {
            let patch = Patch::Owners { uid: claim.meta().uid, owners: wanted.into() };
            routine.call(|| Call::patch(Kind::PersistentVolumeClaim, claim.key(), patch))??;
        }
    }
    Ok(())
}

fn owners(inputs: &Inputs, pod: &Pod, ordinal: i64, claim: &Object) -> Vec<OwnerReference> {
    let (with_set, with_pod) = policy(inputs);
    let set = &inputs.set.meta;
    let ours = |owner: &&OwnerReference| owner.uid == set.uid || owner.uid == pod.meta.uid;
    let mut owners: Vec<OwnerReference> = claim.meta().owners.iter().filter(|owner| !ours(owner)).cloned().collect();
    let surplus = !inputs.ordinals().contains(&ordinal);
    if with_pod && surplus {
        owners.push(controller_reference(Kind::Pod, &pod.meta));
    } else if with_set {
        owners.push(controller_reference(Kind::StatefulSet, set));
    }
    owners
}
