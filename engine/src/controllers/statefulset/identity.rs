//! What a pod of a StatefulSet has to itself: its name, host name, labels and volumes.
//!
//! Models: kubernetes v1.36.2 pkg/controller/statefulset/stateful_set_utils.go (newStatefulSetPod, initIdentity, updateStorage,
//! getParentNameAndOrdinal).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, Volume};

use super::{Inputs, claims};
use crate::controllers::{pod_control, revisions};
use crate::objects::{Kind, Labels, Pod, PodSpec, PodTemplate};

/// The label with the pod's own name.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
/// The label with the pod's ordinal.
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// `web` of `web-3`.
pub(super) fn parent(pod: &str) -> Option<&str> {
    let (parent, ordinal) = pod.rsplit_once('-')?;
    (!ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit())).then_some(parent)
}

/// 3 of `web-3`; `None` if there is no number.
pub(super) fn ordinal(pod: &str) -> Option<i64> {
    let (_, ordinal) = pod.rsplit_once('-')?;
    ordinal.parse::<i32>().ok().map(i64::from).filter(|_| parent(pod).is_some())
}

/// The labels a pod must have.
fn labels(inputs: &Inputs, ordinal: i64) -> [(&'static str, String); 2] {
    [(POD_NAME, format!("{}-{ordinal}", inputs.set.meta.name)), (POD_INDEX, ordinal.to_string())]
}

/// Whether a pod says who it is.
pub(super) fn matches(inputs: &Inputs, pod: &Pod, ordinal: i64) -> bool {
    let name = format!("{}-{ordinal}", inputs.set.meta.name);
    pod.meta.labels.get(POD_NAME).is_some_and(|label| **label == *name)
}

/// A pod with the labels it must have.
pub(super) fn labelled(inputs: &Inputs, pod: &Pod, ordinal: i64) -> Pod {
    let mut pod = pod.clone();
    let labels_of_pod: &mut Labels = Arc::make_mut(&mut pod.meta.labels);
    for (key, value) in labels(inputs, ordinal) {
        labels_of_pod.insert(key.into(), value.into());
    }
    pod
}

/// The pod of an ordinal, made from a revision's template.
pub(super) fn pod(inputs: &Inputs, template: &PodTemplate, revision: &str, ordinal: i64) -> Pod {
    let set = &inputs.set;
    let name = format!("{}-{ordinal}", set.meta.name);
    let mut spec = template.admitted.api.clone();
    spec.hostname = Some(name.clone());
    spec.subdomain = inputs.spec().service_name.clone().filter(|service| !service.is_empty());
    let templates = claims::templates(inputs);
    if !templates.is_empty() {
        let claimed = templates.iter().map(|template| Volume {
            name: claims::template_name(template).to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claims::name(inputs, template, ordinal),
                read_only: None,
            }),
            ..Volume::default()
        });
        let named = |volume: &Volume| templates.iter().any(|template| claims::template_name(template) == volume.name);
        let others = spec.volumes.iter().flatten().filter(|volume| !named(volume)).cloned();
        spec.volumes = Some(claimed.chain(others).collect());
    }
    let mut pod = pod_control::pod(Kind::StatefulSet, &set.meta, template, PodSpec::new(spec), &name);
    let labels_of_pod: &mut Labels = Arc::make_mut(&mut pod.meta.labels);
    for (key, value) in labels(inputs, ordinal) {
        labels_of_pod.insert(key.into(), value.into());
    }
    labels_of_pod.insert(revisions::OF_REVISION.into(), revision.into());
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_set_and_its_place() {
        assert_eq!((parent("my-web-12"), ordinal("my-web-12")), (Some("my-web"), Some(12)));
        assert_eq!((parent("web-x"), ordinal("web-x"), parent("web-")), (None, None, None));
        assert_eq!(ordinal("web-99999999999"), None);
    }
}
