//! Deletion: at once, gracefully by way of a deletion timestamp, or when the finalizers are gone.
//!
//! Models: kubernetes v1.36.2 registry/rest/delete.go (BeforeDelete), registry/generic/registry/store.go (Delete,
//! updateForGracefulDeletionAndFinalizers, deletionFinalizersForGarbageCollection), pkg/registry/core/pod/strategy.go
//! (CheckGracefulDelete), pkg/registry/core/namespace/storage/storage.go (Delete). All kinds modelled delete their dependents in
//! the background by default; events have none. Left out: `orphanDependents`.

use std::sync::Arc;

use super::{Context, Write, put_if_changed};
use crate::apiserver::request::{Answer, Body, DeleteOptions, Propagation, Verb};
use crate::apiserver::status::Status;
use crate::kernel::{Duration, Instant};
use crate::objects::meta::{FOREGROUND, ORPHAN};
use crate::objects::{Deletion, Kind, Name, Namespace, Object, ObjectMeta, Pod};

/// What a deletion does to the present state.
pub fn delete(context: &Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let default = DeleteOptions::default();
    let options = match &context.request.body {
        Body::Delete(options) => options,
        Body::DeleteCollection(options) => &options.0,
        _ => &default,
    };
    let (kind, name) = (current.kind(), &current.meta().name);
    if kind == Kind::Namespace {
        if context.request.verb == Verb::DeleteCollection {
            return Err(Status::method_not_allowed(Verb::DeleteCollection.as_str(), kind));
        }
        if ["default", "kube-system", "kube-public"].contains(&&**name) {
            return Err(Status::forbidden(kind, name, "this namespace may not be deleted"));
        }
    }
    delete_with(options, current, context.now)
}

/// What a deletion with these options does at `now`.
pub(in crate::apiserver) fn delete_with(
    options: &DeleteOptions,
    current: &Arc<Object>,
    now: Instant,
) -> Result<Write, Status> {
    check_preconditions(options, current)?;
    match &**current {
        Object::Pod(pod) => Ok(delete_pod(pod, options, current, now)),
        Object::Namespace(namespace) if namespace.meta.deletion.is_none() || !namespace.finalizers.is_empty() => {
            Ok(empty_namespace(namespace, options, current, now))
        }
        _ => Ok(delete_now(options, current, now)),
    }
}

/// A kind without grace period: it goes, unless finalizers hold it back.
fn delete_now(options: &DeleteOptions, current: &Arc<Object>, now: Instant) -> Write {
    let finalizers = finalizers(current, options);
    if finalizers.is_empty() {
        return Write::Delete(current.clone());
    }
    let mut next = (**current).clone();
    mark(next.meta_mut(), now, 0);
    next.meta_mut().finalizers = finalizers;
    put_if_changed(current, next)
}

/// A pod goes when its kubelet says so. A second deletion may shorten the grace period, never prolong it.
fn delete_pod(pod: &Pod, options: &DeleteOptions, current: &Arc<Object>, now: Instant) -> Write {
    let grace = match pod.meta.deletion {
        None => grace(pod, options),
        Some(under_way) if under_way.grace == 0 => return delete_now(options, current, now),
        Some(under_way) => match options.grace.map(|wanted| if wanted < 0 { 1 } else { wanted }) {
            Some(wanted) if wanted < under_way.grace => wanted,
            _ => return Write::Answer(Answer::Object(current.clone())),
        },
    };
    let mut next = (**current).clone();
    let meta = next.meta_mut();
    meta.finalizers = finalizers(current, options);
    match meta.deletion {
        None => mark(meta, now + seconds(grace), grace),
        Some(under_way) => {
            let began = Instant::START + (under_way.at.since(Instant::START) - seconds(under_way.grace));
            meta.deletion = Some(Deletion { at: began + seconds(grace), grace });
        }
    }
    let last = grace == 0 && meta.finalizers.is_empty();
    if last { Write::PutThenDelete(Box::new(next)) } else { Write::Put(Box::new(next)) }
}

/// A namespace is only marked: the namespace controller empties it first.
fn empty_namespace(namespace: &Namespace, options: &DeleteOptions, current: &Arc<Object>, now: Instant) -> Write {
    if namespace.meta.deletion.is_some() {
        return Write::Answer(Answer::Object(current.clone()));
    }
    let mut next = namespace.clone();
    mark(&mut next.meta, now, 0);
    next.meta.finalizers = finalizers(current, options);
    next.terminating = true;
    Write::Put(Box::new(Object::Namespace(next)))
}

/// The deletion begins, unless it is under way.
fn mark(meta: &mut ObjectMeta, at: Instant, grace: i64) {
    if meta.deletion.is_none() {
        meta.deletion = Some(Deletion { at, grace });
        if meta.generation > 0 {
            meta.generation += 1;
        }
    }
}

fn seconds(grace: i64) -> Duration {
    Duration::from_secs(grace.max(0) as u64)
}

/// The finalizers that a deletion leaves: those of others, and the garbage collector's as the options say, or else as they are.
fn finalizers(current: &Object, options: &DeleteOptions) -> Arc<[Name]> {
    let present = &current.meta().finalizers;
    let ours = |name: &Name| [ORPHAN, FOREGROUND].contains(&&**name);
    let wanted = match options.propagation {
        _ if current.kind() == Kind::Event => None,
        None => present.iter().find(|name| ours(name)).map(|name| &**name),
        Some(Propagation::Background) => None,
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
    };
    let same = present.iter().filter(|name| ours(name)).map(|name| &**name).eq(wanted);
    if same {
        return present.clone();
    }
    present.iter().filter(|name| !ours(name)).cloned().chain(wanted.map(Name::from)).collect()
}

/// The grace period of a pod. One that no kubelet has, or that has ended, needs none.
fn grace(pod: &Pod, options: &DeleteOptions) -> i64 {
    let wanted = options.grace.or(pod.spec.api.termination_grace_period_seconds).unwrap_or(0);
    if pod.node.is_none() || pod.status.phase.terminal() {
        0
    } else if wanted < 0 {
        1
    } else {
        wanted
    }
}

/// Whether the object is the one that the options mean.
pub(in crate::apiserver) fn check_preconditions(options: &DeleteOptions, current: &Object) -> Result<(), Status> {
    let meta = current.meta();
    let conflict = |why: String| Err(Status::precondition(current.kind(), &meta.name, &why));
    match (options.uid, options.resource_version) {
        (Some(uid), _) if uid != meta.uid => conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then \
             recreated",
            meta.uid
        )),
        (_, Some(version)) if version != meta.resource_version => conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object \
             might have been modified",
            meta.resource_version
        )),
        _ => Ok(()),
    }
}
