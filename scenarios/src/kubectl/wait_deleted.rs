//! Waits until deleted objects are gone.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/wait/delete.go (`IsDeleted`), client-go tools/watch
//! (`UntilWithSync`): a GET, and if the object is still there a streaming list-and-watch of that one name.

use super::builder::Info;
use super::errors::Failure;
use super::json::{name, text};
use super::session::{Session, Step, WatchStep, attempt};
use super::{ApiCall, ApiVerb};

/// A deleted object.
pub(crate) struct Gone {
    pub info: Info,
    /// A new object of the same name has another one.
    pub uid: String,
}

/// Waits for one after the other, all together at most `timeout`. [ns]
pub(crate) fn wait_deleted(session: &mut Session, objects: &[Gone], timeout: i64) -> Step<()> {
    let deadline = session.now.saturating_add(timeout);
    let mut failures = Vec::new();
    for object in objects {
        match attempt(wait_one(session, object, deadline))? {
            Ok(()) => {}
            // Who may delete but not read cannot wait: kubectl keeps silent about that.
            Err(failure) if matches!(failure.reason(), "Forbidden" | "MethodNotAllowed") => {}
            Err(failure) => failures.push(failure),
        }
    }
    Ok(Failure::collect(failures)?)
}

fn wait_one(session: &mut Session, Gone { info, uid }: &Gone, deadline: i64) -> Step<()> {
    let namespace = info.namespace.as_deref();
    match attempt(session.get(&info.resource, namespace, &info.name))? {
        Err(failure) if failure.is_not_found() => return Ok(()),
        Err(failure) => return Err(failure.into()),
        Ok(live) if !uid.is_empty() && text(live, "/metadata/uid") != uid => return Ok(()),
        Ok(_) => {}
    }
    let timed_out =
        || Failure::message(format!("timed out waiting for the condition on {}/{}", info.resource.plural, info.name));
    loop {
        let stream = session.watch(ApiCall {
            field_selector: Some(format!("metadata.name={}", info.name)),
            send_initial_events: true,
            ..info.resource.call(ApiVerb::Watch, namespace)
        })?;
        let mut present = false;
        loop {
            if session.now >= deadline {
                return Err(timed_out().into());
            }
            match session.next_event(stream, Some(deadline))? {
                WatchStep::TimedOut => return Err(timed_out().into()),
                WatchStep::Ended => break,
                WatchStep::Event { kind, object } => match kind {
                    "DELETED" if name(object) == info.name => return Ok(()),
                    "ADDED" | "MODIFIED" => {
                        if !uid.is_empty() && text(object, "/metadata/uid") != uid {
                            return Ok(());
                        }
                        present = true;
                    }
                    // The list is complete and the object is not in it.
                    "BOOKMARK" if !present => return Ok(()),
                    "ERROR" => break,
                    _ => {}
                },
            }
        }
    }
}
