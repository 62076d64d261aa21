//! ControllerRevisions: what a StatefulSet's or DaemonSet's template once was.
//!
//! A revision holds the patch that would bring its template back, as text of JSON; a StatefulSet's is named by a hash of that text.
//!
//! Models: kubernetes v1.36.2 pkg/controller/history/controller_history.go, getPatch of pkg/controller/{statefulset/stateful_set_utils,
//! daemon/update}.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

use super::caches::Caches;
use super::ownership::{self, Claim, controller_reference};
use crate::objects::selector::Selector;
use crate::objects::suffix::safe_encode_hash;
use crate::objects::{Kind, Labels, Name, Object, ObjectMeta, Resource, Uid};

/// The label of a StatefulSet's revision with its hash.
pub const HASH: &str = "controller.kubernetes.io/hash";
/// The label of a pod that says which revision it is of.
pub const OF_REVISION: &str = "controller-revision-hash";
/// How much of the owner's name goes into the revision's. [bytes]
const LONGEST_PREFIX: usize = 223;

/// A revision.
pub type Revision = Resource<ControllerRevision>;

/// The patch that brings a template back.
pub fn patch(template: &PodTemplateSpec) -> Value {
    let mut template = serde_json::to_value(template).unwrap_or_default();
    if let Value::Object(map) = &mut template {
        map.insert("$patch".to_owned(), "replace".into());
        map.entry("metadata").or_insert_with(|| json!({}));
    }
    json!({"spec": {"template": template}})
}

/// The template in a revision's patch.
pub fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.as_ref()?.0.pointer("/spec/template")?.clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}

/// JSON as Go writes it: keys in order, no spaces, `<`, `>` and `&` escaped.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (n, (key, value)) in sorted.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The hash in a StatefulSet's revision's name. FNV-1 of the patch's text and of how often names have collided so far.
pub fn hash(text: &str, collisions: i32) -> String {
    let collisions = collisions.to_string();
    let bytes = text.bytes().chain(collisions.bytes());
    safe_encode_hash(bytes.fold(0x811c_9dc5, |hash: u32, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(byte)))
}

/// `OWNER-HASH`.
pub fn name(owner: &str, hash: &str) -> String {
    format!("{}-{hash}", &owner[..owner.floor_char_boundary(LONGEST_PREFIX)])
}

/// A revision to create.
pub fn new(kind: Kind, owner: &ObjectMeta, labels: Labels, name: &str, patch: Value, number: i64) -> Revision {
    let meta = ObjectMeta {
        labels: Arc::new(labels),
        annotations: owner.annotations.clone(),
        owners: Arc::new([controller_reference(kind, owner)]),
        ..ObjectMeta::named(&owner.namespace, name)
    };
    let api = ControllerRevision { data: Some(RawExtension(patch)), revision: number, ..ControllerRevision::default() };
    Resource { meta, api: Arc::new(api), compiled: Arc::new(()) }
}

/// A revision with another number.
pub fn renumbered(revision: &Revision, number: i64) -> Revision {
    revision.with_status(|api| api.revision = number)
}

/// Whether a revision holds this patch.
pub fn holds(revision: &Revision, patch: &Value) -> bool {
    revision.api.data.as_ref().is_some_and(|data| data.0 == *patch)
}

/// The revisions of `owner` and those nobody owns that it selects, with what they are to it; the oldest first.
pub fn of(owner: &ObjectMeta, selector: &Selector, caches: &Caches) -> Vec<(Arc<Object>, Claim)> {
    let store = caches.store(Kind::ControllerRevision);
    let known = store.controlled_by(owner.uid).chain(store.controlled_by(Uid::default()));
    let claims = known.filter(|object| object.meta().namespace == owner.namespace).map(|object| {
        let claim = ownership::claim(owner, object.meta(), |labels| selector.matches(labels));
        (object.clone(), claim)
    });
    let mut revisions: Vec<_> = claims.filter(|(_, claim)| matches!(claim, Claim::Own | Claim::Adopt)).collect();
    revisions.sort_by_key(|(object, _)| {
        let number = object.as_resource::<ControllerRevision>().map_or(0, |revision| revision.api.revision);
        (number, object.meta().created, object.meta().name.clone())
    });
    revisions
}

/// The number of the next revision.
pub fn next_number<'a>(revisions: impl IntoIterator<Item = &'a Revision>) -> i64 {
    revisions.into_iter().map(|revision| revision.api.revision).max().unwrap_or(0) + 1
}

/// The revision a pod says it is of.
pub fn of_pod(pod: &ObjectMeta) -> Option<&Name> {
    pod.labels.get(OF_REVISION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaulted(image: &str) -> PodTemplateSpec {
        serde_json::from_value(json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [{
                    "name": "nginx", "image": image, "resources": {}, "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                }],
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                "securityContext": {}, "terminationGracePeriodSeconds": 30,
            },
        }))
        .expect("a template")
    }

    /// The name of the revision is that of the real server's.
    #[test]
    fn the_hash_is_the_real_one() {
        let text = text(&patch(&defaulted("nginx:1.25")));
        assert_eq!(name("web", &hash(&text, 0)), "web-8644766f65");
        assert_ne!(hash(&text, 1), hash(&text, 0));
    }

    #[test]
    fn a_template_comes_back_from_its_revision() {
        let wanted = defaulted("a<b");
        let patch = patch(&wanted);
        assert!(text(&patch).contains(r#""image":"a\u003cb""#));
        let revision = new(Kind::StatefulSet, &ObjectMeta::named("a", "web"), Labels::new(), "x", patch.clone(), 3);
        assert_eq!(template(&revision.api), Some(wanted));
        assert!(holds(&revision, &patch));
        assert_eq!(next_number([&revision]), 4);
    }
}
