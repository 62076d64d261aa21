//! The EndpointSlice controller: who answers for a Service, in slices of a hundred.
//!
//! Models: kubernetes v1.36.2 pkg/controller/endpointslice/endpointslice_controller.go, staging/src/k8s.io/endpointslice. A slice that is not
//! as the controller wrote it wakes its Service after a second; a sync before the cache has seen the last write is put off.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::TRIGGER;
use super::membership::Membership;
use super::pods;
use super::slices::{self, CONTROLLER, MANAGED_BY, Plan, SERVICE_NAME, Slice};
use crate::apiserver::request::DeleteOptions;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::controllers::caches::Caches;
use crate::controllers::contract::{Controller, View, Wake};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Object, ObjectReference, Resource, Text, Uid, json as api_json};

/// How long a slice that others have changed waits; Kubernetes: endpointSliceChangeMinSyncDelay.
const CHANGED: Duration = Duration::from_secs(1);

/// The EndpointSlice controller.
#[derive(Clone, Debug, Default)]
pub struct EndpointSliceController {
    members: Membership,
    /// The generation of each slice that it wrote, by Service.
    wrote: BTreeMap<Key, BTreeMap<Uid, i64>>,
}

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    service: Resource<Service>,
    about: ObjectReference,
    plan: Plan,
    trigger: Option<Instant>,
}

impl Controller for EndpointSliceController {
    const AGENT: Agent = Agent::EndpointSliceController;
    const KIND: Kind = Kind::Service;
    const INFORMERS: &'static [Kind] = &[Kind::Service, Kind::Pod, Kind::EndpointSlice, Kind::Node];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = Some(15);
    const FIRST_WAIT: Option<Duration> = Some(Duration::from_secs(1));
    const SOURCE: &'static str = "endpoint-slice-controller";
    type Inputs = Inputs;
    type Outcome = Vec<(Uid, i64)>;

    fn out_of_date(_key: &Key, _cached: Option<u64>) -> Option<String> {
        Some("EndpointSlice informer cache is out of date".to_owned())
    }

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match kind {
            Kind::Service => {
                let key = change.object().key();
                self.members.service_changed(change, caches.pods());
                if change.new.is_none() {
                    self.wrote.remove(&key);
                    wake.forget(&key);
                }
                wake.key(key);
            }
            Kind::Pod => self.members.pod_changed(change).into_iter().for_each(|service| wake.key(service)),
            Kind::EndpointSlice => self.slice_changed(change, wake),
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _view: View<'_>) -> Option<Inputs> {
        let object = caches.store(Kind::Service).get(key)?;
        let service = object.as_resource::<Service>().filter(|service| pods::selects(service))?;
        let existing: Vec<Slice> = caches
            .store(Kind::EndpointSlice)
            .owned_by(service.meta.uid)
            .filter_map(|slice| slice.as_resource::<EndpointSlice>())
            .filter(|slice| !slice.meta.deleting() && managed(slice) && of_service(slice).as_ref() == Some(key))
            .cloned()
            .collect();
        let trigger = self.members.trigger(service, caches.pods());
        let zone = |name: &crate::objects::Name| {
            let node = caches.nodes().get(&Key { namespace: "".into(), name: name.clone() })?;
            Some(node.meta().labels.get("topology.kubernetes.io/zone").map(|zone| &**zone))
        };
        let pods = self.members.pods(key, caches.pods()).filter_map(|object| object.as_pod());
        let pods = pods.map(|pod| (pod, pod.node.as_ref().and_then(zone)));
        let plan = slices::plan(service, pods, &existing);
        Some(Inputs { service: service.clone(), about: object.reference(), plan, trigger })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<Self::Outcome> {
        let Inputs { service, plan, about, .. } = inputs;
        let (namespace, name) = (&service.meta.namespace, &service.meta.name);
        let mut wrote = Vec::new();
        let mut error = carry_out(inputs, &mut wrote, routine)?;
        if let Some(pod) = plan.skipped.first() {
            let node = format!("skipping Pod {pod} for Service {namespace}/{name}: Node Not Found");
            error = error.or(Some(Interrupt::Failed(node.into())));
        }
        match error {
            None => Ok(wrote),
            Some(Interrupt::Failed(error)) => {
                routine.event(about, EventType::Warning, "FailedToUpdateEndpointSlices", || {
                    format!("Error updating Endpoint Slices for Service {namespace}/{name}: {error}")
                });
                Err(Interrupt::Failed(error))
            }
            Some(other) => Err(other),
        }
    }

    fn reconciled(&mut self, key: &Key, outcome: Option<Self::Outcome>, _now: Instant) {
        if let Some(wrote) = outcome {
            let known = self.wrote.entry(key.clone()).or_default();
            for (uid, generation) in wrote {
                let newest = known.entry(uid).or_default();
                *newest = generation.max(*newest);
            }
        }
    }
}

impl EndpointSliceController {
    /// A slice that is not as this controller left it wakes its Service.
    fn slice_changed(&mut self, change: &Change, wake: &mut Wake<'_>) {
        let slice = |object: &Option<std::sync::Arc<Object>>| -> Option<Slice> {
            object.as_ref().and_then(|object| object.as_resource::<EndpointSlice>()).cloned()
        };
        let (old, new) = (slice(&change.old), slice(&change.new));
        for side in [&old, &new].into_iter().flatten().filter(|side| managed(side)) {
            let Some(service) = of_service(side) else { continue };
            let known = self.wrote.get(&service).and_then(|slices| slices.get(&side.meta.uid));
            let expected = match &new {
                Some(new) => known.is_some_and(|generation| new.meta.generation <= *generation),
                // Deletions are the garbage collector's or this controller's; either way there is none to track any more.
                None => known.is_none(),
            };
            if !expected {
                wake.later(service, CHANGED);
            }
        }
        if let (Some(old), None) = (&old, &new)
            && let Some(service) = of_service(old)
            && let Some(slices) = self.wrote.get_mut(&service)
        {
            slices.remove(&old.meta.uid);
        }
    }
}

/// Writes what is planned; the error at which it stopped.
fn carry_out(inputs: &Inputs, wrote: &mut Vec<(Uid, i64)>, routine: &mut Routine<'_>) -> Step<Option<Interrupt>> {
    let Inputs { service, plan, trigger, .. } = inputs;
    let (namespace, name) = (&service.meta.namespace, &service.meta.name);
    let failed = |text: String| Ok(Some(Interrupt::Failed(Text::from(text))));
    let creations = plan.create.iter().map(|slice| (slice, true));
    for (slice, new) in creations.chain(plan.update.iter().map(|slice| (slice, false))) {
        let call = || {
            let slice = Object::EndpointSlice(triggered(slice, *trigger));
            if new { Call::create(slice) } else { Call::update(slice) }
        };
        match routine.call(call)? {
            Ok(answer) => {
                if let Some(written) = answer.object().map(|object| object.meta()) {
                    routine.ask(|| Effect::Wrote(Kind::EndpointSlice, written.resource_version));
                    wrote.push((written.uid, written.generation));
                }
            }
            Err(status) if status.is_namespace_terminating() => return Ok(None),
            Err(status) if new => {
                let why = &status.message;
                return failed(format!("failed to create EndpointSlice for Service {namespace}/{name}: {why}"));
            }
            Err(status) => {
                let (slice, why) = (&slice.meta.name, &status.message);
                return failed(format!("failed to update {slice} EndpointSlice for Service {namespace}/{name}: {why}"));
            }
        }
    }
    for key in &plan.delete {
        match routine.call(|| Call::delete(Kind::EndpointSlice, key.clone(), DeleteOptions::default()))? {
            Err(status) if !status.is_not_found() => {
                let (slice, why) = (&key.name, &status.message);
                return failed(format!("failed to delete {slice} EndpointSlice for Service {namespace}/{name}: {why}"));
            }
            _ => {}
        }
    }
    Ok(None)
}

fn triggered(slice: &Slice, trigger: Option<Instant>) -> Slice {
    let mut slice = slice.clone();
    super::annotate(&mut slice.meta, TRIGGER, trigger.map(api_json::time).as_deref());
    slice
}

fn managed(slice: &Slice) -> bool {
    slice.meta.labels.get(MANAGED_BY).is_some_and(|by| &**by == CONTROLLER)
}

fn of_service(slice: &Slice) -> Option<Key> {
    let name = slice.meta.labels.get(SERVICE_NAME).filter(|name| !name.is_empty())?;
    Some(Key { namespace: slice.meta.namespace.clone(), name: name.clone() })
}
