//! Deletion: at once, or gracefully by way of a deletion timestamp.
//!
//! Models: kubernetes v1.36.2 registry/rest/delete.go (BeforeDelete), pkg/registry/core/pod/strategy.go (CheckGracefulDelete). Left out:
//! the orphan and foreground finalizers, which the garbage collector serves.

use std::sync::Arc;

use super::{Context, Write};
use crate::apiserver::request::{Answer, Body, DeleteOptions};
use crate::apiserver::status::Status;
use crate::kernel::Duration;
use crate::objects::{Deletion, Kind, Object, Pod};

/// What a deletion does to the present state.
pub fn delete(context: &Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let default = DeleteOptions::default();
    let options = if let Body::Delete(options) = &context.request.body { options } else { &default };
    let meta = current.meta();
    check_preconditions(options, current)?;
    if current.kind() == Kind::Namespace && ["default", "kube-system", "kube-public"].contains(&&*meta.name) {
        return Err(Status::forbidden(Kind::Namespace, &meta.name, "this namespace may not be deleted"));
    }
    let grace = match &**current {
        Object::Pod(pod) => grace(pod, options),
        _ => 0,
    };
    let finalizers = !meta.finalizers.is_empty();
    if let Some(under_way) = meta.deletion {
        // A grace period may be shortened, never prolonged.
        if grace >= under_way.grace && !(grace == 0 && under_way.grace == 0) {
            return Ok(Write::Answer(Answer::Object(current.clone())));
        }
        let mut next = (**current).clone();
        let since = under_way.at.since(crate::kernel::Instant::START);
        let began = crate::kernel::Instant::START + (since - Duration::from_secs(under_way.grace.max(0) as u64));
        next.meta_mut().deletion = Some(Deletion { at: began + Duration::from_secs(grace.max(0) as u64), grace });
        return Ok(match (grace, finalizers) {
            (0, false) if under_way.grace == 0 => Write::Delete(current.clone()),
            (0, false) => Write::PutThenDelete(Box::new(next)),
            _ => Write::Put(Box::new(next)),
        });
    }
    if grace == 0 && !finalizers {
        return Ok(Write::Delete(current.clone()));
    }
    let mut next = (**current).clone();
    let meta = next.meta_mut();
    meta.deletion = Some(Deletion { at: context.now + Duration::from_secs(grace.max(0) as u64), grace });
    if meta.generation > 0 {
        meta.generation += 1;
    }
    Ok(Write::Put(Box::new(next)))
}

/// The grace period of a pod. One that no kubelet has, or that has ended, needs none.
fn grace(pod: &Pod, options: &DeleteOptions) -> i64 {
    let wanted = options.grace.or(pod.spec.api.termination_grace_period_seconds).unwrap_or(30);
    if pod.node.is_none() || pod.status.phase.terminal() {
        0
    } else if wanted < 0 {
        1
    } else {
        wanted
    }
}

fn check_preconditions(options: &DeleteOptions, current: &Object) -> Result<(), Status> {
    let meta = current.meta();
    if let Some(uid) = options.uid
        && uid != meta.uid
    {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", meta.uid);
        return Err(Status::conflict(current.kind(), &meta.name, &why));
    }
    if let Some(version) = options.resource_version
        && version != meta.resource_version
    {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
            meta.resource_version
        );
        return Err(Status::conflict(current.kind(), &meta.name, &why));
    }
    Ok(())
}
