//! The namespace controller: empties a namespace that is being deleted, pods first, and then lets it go.
//!
//! Models: kubernetes v1.36.2 pkg/controller/namespace/namespace_controller.go, pkg/controller/namespace/deletion/
//! namespaced_resources_deleter.go (with OrderedNamespaceDeletion). Left out: the resync every five minutes, discovery and its
//! failures, resources without `deletecollection`; of the kinds there are the simulated ones, so that the last step is shorter by the others.

mod conditions;
mod content;

use self::conditions::Problems;
use self::content::{Left, empty};
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::apiserver::request::{Answer, Subresource};
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::{Duration, hash_words};
use crate::objects::{Key, Kind, Name, Namespace, Object};

/// Between hearing of a deletion and acting on it, so that other API servers hear of it too. Kubernetes: namespaceDeletionGracePeriod.
const GRACE: Duration = Duration::from_secs(5);

/// The namespace controller.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceController;

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    namespace: Name,
    /// The kinds besides pods, in the order of this sync; upstream it is that of a Go map, different each time.
    order: Vec<Kind>,
}

impl Controller for NamespaceController {
    const AGENT: Agent = Agent::NamespaceController;
    const KIND: Kind = Kind::Namespace;
    const INFORMERS: &'static [Kind] = &[Kind::Namespace];
    const WORKERS: usize = 10;
    const MAX_RETRIES: Option<u32> = None;
    const LONGEST_WAIT: Duration = Duration::from_secs(60);
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, _kind: Kind, change: &Change, _caches: &Caches, wake: &mut Wake<'_>) {
        if let Some(namespace) = &change.new
            && namespace.meta().deleting()
        {
            wake.later(namespace.key(), GRACE);
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Inputs> {
        let uid = caches.namespaces().get(key)?.meta().uid.0;
        // Discovery names events twice: in the core group and in one of their own.
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.namespaced() && *kind != Kind::Pod).chain([Kind::Event]);
        let kinds = kinds.chain(caches.served().iter().copied().filter(|kind| kind.namespaced()));
        let mut order: Vec<(u64, Kind)> = kinds
            .enumerate()
            .map(|(place, kind)| {
                (hash_words(&[(uid >> 64) as u64, uid as u64, view.now.as_nanos(), place as u64]), kind)
            })
            .collect();
        order.sort_unstable();
        Some(Inputs { namespace: key.name.clone(), order: order.into_iter().map(|(_, kind)| kind).collect() })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        let Some(mut namespace) = read(&inputs.namespace, routine)? else { return Ok(()) };
        if !namespace.meta.deleting() {
            return Ok(());
        }
        if !namespace.terminating {
            let terminating =
                |known: Namespace| Call::update_status(Object::Namespace(Namespace { terminating: true, ..known }));
            let Some(updated) = retry(namespace, routine, &terminating)? else { return Ok(()) };
            namespace = updated;
        }
        if namespace.finalizers.is_empty() {
            return Ok(());
        }
        let left = delete_all_content(&namespace, &inputs.order, routine)?;
        if left > 0 {
            routine.ask(|| Effect::RequeueAfter(Duration::from_secs(left / 2 + 1)));
            return Ok(());
        }
        retry(namespace, routine, &finalized)?;
        Ok(())
    }
}

/// Deletes everything in a namespace, or only its pods while there are any: how long what is left may take. [s]
fn delete_all_content(namespace: &Namespace, order: &[Kind], routine: &mut Routine<'_>) -> Step<u64> {
    let mut problems = Problems::default();
    let mut estimate = 0;
    let pods = empty(Kind::Pod, namespace, routine)?;
    estimate = pods.estimate.max(estimate);
    if let Some(error) = &pods.error {
        let name = &namespace.meta.name;
        problems.failed(format!("failed to delete pods for namespace: {name}, err: {error}"), error.clone());
    }
    if pods.remaining == 0 {
        let mut all: Vec<(Kind, Left)> = Vec::new();
        for kind in order {
            let left = empty(*kind, namespace, routine)?;
            estimate = left.estimate.max(estimate);
            if let Some(error) = &left.error {
                problems.failed(error.to_string(), error.clone());
            }
            all.push((*kind, left));
        }
        problems.remaining(&all);
    }
    if let Some(conditions) = problems.update(&namespace.conditions, routine.now()) {
        let told = Namespace { conditions, ..namespace.clone() };
        // That it failed is only logged.
        let _ = routine.call(|| Call::update_status(Object::Namespace(told)))?;
    }
    problems.error().map_or(Ok(estimate), |error| Err(Interrupt::Failed(error)))
}

fn read(name: &Name, routine: &mut Routine<'_>) -> Step<Option<Namespace>> {
    match routine.call(|| Call::get(Kind::Namespace, Key { namespace: "".into(), name: name.clone() }))? {
        Err(status) if status.is_not_found() => Ok(None),
        Err(status) => Err(Interrupt::from(status)),
        Ok(answer) => Ok(namespace(&answer)),
    }
}

/// The request that takes the finalizer of this controller away.
fn finalized(mut namespace: Namespace) -> Call {
    let others = namespace.finalizers.iter().filter(|name| &***name != Namespace::FINALIZER);
    namespace.finalizers = others.cloned().collect();
    Call::update(Object::Namespace(namespace)).of(Subresource::Finalize)
}

/// Writes a namespace; on a conflict again, from its newest state. `None`: it is gone. Kubernetes: retryOnConflictError.
fn retry(known: Namespace, routine: &mut Routine<'_>, write: &dyn Fn(Namespace) -> Call) -> Step<Option<Namespace>> {
    let mut known = known;
    loop {
        let status = match routine.call(|| write(known.clone()))? {
            Ok(answer) => return Ok(namespace(&answer)),
            Err(status) => status,
        };
        if status.is_not_found() {
            return Ok(None);
        }
        if !status.is_conflict() {
            return Err(Interrupt::from(status));
        }
        let Some(newest) = read(&known.meta.name, routine)? else { return Ok(None) };
        if newest.meta.uid != known.meta.uid {
            return Err(Interrupt::Failed("namespace uid has changed across retries".into()));
        }
        known = newest;
    }
}

fn namespace(answer: &Answer) -> Option<Namespace> {
    if let Object::Namespace(namespace) = &**answer.object()? { Some(namespace.clone()) } else { None }
}

#[cfg(test)]
mod tests;
