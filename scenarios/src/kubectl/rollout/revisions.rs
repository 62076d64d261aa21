//! The revisions of DaemonSets and StatefulSets: ControllerRevisions.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/polymorphichelpers/{history,rollback}.go
//! (`controlledHistory`, `daemonSetMatch`, `findHistory`).

use serde_json::{Value, json};

use super::super::ApiCall;
use super::super::ApiVerb;
use super::super::builder::Info;
use super::super::json::{list, namespace, number, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};

/// Whether the kind keeps its history in ControllerRevisions.
pub(super) fn has_revisions(info: &Info) -> bool {
    matches!(info.resource.plural, "daemonsets" | "statefulsets")
}

/// The object as it is, and its revisions, oldest first.
pub(super) fn history<'a>(session: &mut Session<'a>, info: &Info) -> Step<(&'a Value, Vec<&'a Value>)> {
    // The texts differ in the case of a letter.
    let kind = if info.resource.kind == "StatefulSet" { "Statefulset" } else { info.resource.kind };
    let object = attempt(session.get(&info.resource, info.namespace.as_deref(), &info.name))?
        .map_err(|failure| failure.wrap(&format!("failed to retrieve {kind} {}", info.name)))?;
    let call = ApiCall {
        label_selector: Some(super::selector(object)),
        ..Resource::CONTROLLERREVISIONS.call(ApiVerb::List, Some(namespace(object)))
    };
    let kind = info.resource.kind;
    let found = attempt(session.list(call))?
        .map_err(|failure| failure.wrap(&format!("unable to find history controlled by {kind} {}", info.name)))?;
    let uid = text(object, "/metadata/uid");
    let mut revisions: Vec<&Value> = found
        .items()
        .filter(|revision| {
            list(revision, "/metadata/ownerReferences")
                .iter()
                .any(|owner| text(owner, "/uid") == uid && owner.get("controller") == Some(&Value::Bool(true)))
        })
        .collect();
    revisions.sort_by_key(|revision| number(revision, "/revision"));
    Ok((object, revisions))
}

/// An object with the pod template a revision holds.
pub(super) fn with_template(revision: &Value) -> Value {
    let mut template = revision.pointer("/data/spec/template").cloned().unwrap_or_default();
    if let Some(template) = template.as_object_mut() {
        template.remove("$patch");
    }
    json!({"spec": {"template": template}})
}

/// Whether the object's template is that of the revision.
pub(super) fn matches(object: &Value, revision: &Value) -> bool {
    with_template(revision).pointer("/spec/template") == object.pointer("/spec/template")
}

/// The revision with this number; 0 means the one before the newest.
pub(super) fn find<'a>(revisions: &[&'a Value], wanted: i64) -> Option<&'a Value> {
    if wanted == 0 {
        return revisions.len().checked_sub(2).and_then(|index| revisions.get(index).copied());
    }
    revisions.iter().copied().find(|revision| number(revision, "/revision") == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_holds_a_template_to_go_back_to() {
        let revision = |n: i64, image: &str| json!({"revision": n, "data": {"spec": {"template": {"$patch": "replace", "image": image}}}});
        let (old, new) = (revision(1, "a"), revision(2, "b"));
        let all = [&old, &new];
        assert_eq!(find(&all, 0), Some(&old));
        assert_eq!(find(&all, 2), Some(&new));
        assert_eq!((find(&all, 3), find(&all[..1], 0)), (None, None));
        let object = json!({"spec": {"template": {"image": "b"}}});
        assert!(matches(&object, &new) && !matches(&object, &old));
    }
}
