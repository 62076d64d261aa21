//! Emptying a namespace of one kind: delete the collection, then look what is left.
//!
//! Models: kubernetes v1.36.2 pkg/controller/namespace/deletion/namespaced_resources_deleter.go
//! (deleteAllContentForGroupVersionResource, estimateGracefulTermination).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apiserver::request::{Answer, DeleteOptions, ListOptions, Propagation};
use crate::client::connection::Call;
use crate::client::routine::{Routine, Step};
use crate::objects::{Kind, Name, Namespace, Object, Text};

/// How long it may take until finalizers are done. Kubernetes: finalizerEstimateSeconds. [s]
const FINALIZERS: u64 = 15;

/// What a deletion has left.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// How long it may take to go. [s]
    pub estimate: u64,
    /// How many objects.
    pub remaining: usize,
    /// How many of them each finalizer holds back.
    pub finalizers: BTreeMap<Name, usize>,
    /// What went wrong.
    pub error: Option<Text>,
}

/// Deletes the objects of a kind.
///
/// # Errors
/// When it waits.
pub fn empty(kind: Kind, namespace: &Namespace, routine: &mut Routine<'_>) -> Step<Left> {
    let estimate = match estimate(kind, namespace, routine)? {
        Ok(estimate) => estimate,
        Err(error) => return Ok(Left { error: Some(error), ..Left::default() }),
    };
    let left = |error| Ok(Left { estimate, error: Some(error), ..Left::default() });
    let options = || DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    if let Err(status) = routine.call(|| Call::delete_collection(kind, &namespace.meta.name, options()))? {
        return left(status.message);
    }
    let items = match list(kind, namespace, routine)? {
        Ok(items) => items,
        Err(error) => return left(error),
    };
    let mut finalizers: BTreeMap<Name, usize> = BTreeMap::new();
    for finalizer in items.iter().flat_map(|item| item.meta().finalizers.iter()) {
        *finalizers.entry(finalizer.clone()).or_default() += 1;
    }
    let (estimate, error) = match items.len() {
        0 => (0, None),
        _ if estimate > 0 => (estimate, None),
        _ if !finalizers.is_empty() => (FINALIZERS, None),
        _ => {
            let (name, version, plural) = (&namespace.meta.name, kind.api_version(), kind.plural());
            let group = if kind.group().is_empty() { "/" } else { "" };
            let what = format!("{group}{version}, Resource={plural}");
            (0, Some(format!("unexpected items still remain in namespace: {name} for gvr: {what}").into()))
        }
    };
    Ok(Left { estimate, remaining: items.len(), finalizers, error })
}

/// How long the pods may take, counted from the namespace's deletion; other kinds have no grace period. [s]
fn estimate(kind: Kind, namespace: &Namespace, routine: &mut Routine<'_>) -> Step<Result<u64, Text>> {
    if kind != Kind::Pod {
        return Ok(Ok(0));
    }
    let pods = match list(kind, namespace, routine)? {
        Ok(pods) => pods,
        Err(error) => return Ok(Err(error)),
    };
    let graces = pods.iter().filter_map(|pod| pod.as_pod()).filter(|pod| !pod.status.phase.terminal());
    let longest = graces.filter_map(|pod| pod.spec.api.termination_grace_period_seconds).max();
    let longest = u64::try_from(longest.unwrap_or(0)).unwrap_or(0);
    let passed = namespace.meta.deletion.map_or(0, |deletion| routine.now().since(deletion.at).as_nanos());
    Ok(Ok(if u128::from(passed) >= u128::from(longest) * 1_000_000_000 { 0 } else { longest }))
}

fn list(kind: Kind, namespace: &Namespace, routine: &mut Routine<'_>) -> Step<Result<Vec<Arc<Object>>, Text>> {
    Ok(match routine.call(|| Call::list(kind, &namespace.meta.name, ListOptions::default()))? {
        Ok(Answer::List { items, .. }) => Ok(items),
        Ok(_) => Ok(Vec::new()),
        Err(status) => Err(status.message),
    })
}
