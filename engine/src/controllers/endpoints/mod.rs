//! Who answers for a Service: the EndpointSlice controller, and the older Endpoints controller.
//!
//! Reading order: `membership` (which pods a Service has), `pods` (what is taken from a pod), `slices` (what is to be written, pure),
//! `slice_controller`; then here the Endpoints controller, with `subsets`.
//!
//! Models: kubernetes v1.36.2 pkg/controller/endpoint/endpoints_controller.go. Left out: leftovers of an earlier life of the controller.

mod membership;
mod pods;
mod slice_controller;
mod slices;
mod subsets;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Endpoints, Service};

use self::membership::Membership;
pub use self::slice_controller::EndpointSliceController;
pub use self::slices::SERVICE_NAME;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::apiserver::request::DeleteOptions;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Labels, Object, ObjectMeta, ObjectReference, Resource, json as api_json};

/// When what led to the present state happened.
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

/// The Endpoints controller.
#[derive(Clone, Debug, Default)]
pub struct EndpointsController {
    members: Membership,
}

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// There is no such Service: its endpoints go.
    Gone(Key),
    /// There is nothing to do.
    Nothing,
    /// Write this.
    Write {
        /// The new state.
        endpoints: Box<Resource<Endpoints>>,
        /// Whether there was none.
        new: bool,
        /// What events are about.
        about: ObjectReference,
    },
}

impl Controller for EndpointsController {
    const AGENT: Agent = Agent::EndpointController;
    const KIND: Kind = Kind::Service;
    const INFORMERS: &'static [Kind] = &[Kind::Service, Kind::Pod, Kind::Endpoints];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = Some(15);
    const FIRST_WAIT: Option<Duration> = Some(Duration::from_millis(5));
    type Inputs = Inputs;
    type Outcome = ();

    fn out_of_date(key: &Key, cached: Option<u64>) -> Option<String> {
        Some(format!(
            "endpoints informer cache is out of date, resource version {} already processed for endpoints {key}",
            cached?
        ))
    }

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match kind {
            Kind::Service => {
                self.members.service_changed(change, caches.pods());
                if change.new.is_none() {
                    self.members.forget_triggers(&change.object().key());
                    wake.forget(&change.object().key());
                }
                wake.key(change.object().key());
            }
            Kind::Pod => self.members.pod_changed(change).into_iter().for_each(|service| wake.key(service)),
            Kind::Endpoints if change.new.is_none() => wake.key(change.object().key()),
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _view: View<'_>) -> Option<Inputs> {
        let Some(service) = caches.resource::<Service>(key) else { return Some(Inputs::Gone(key.clone())) };
        if !pods::selects(service) {
            return Some(Inputs::Nothing);
        }
        let trigger = self.members.trigger(service, caches.pods());
        let known = self.members.pods(key, caches.pods()).filter_map(|object| object.as_pod());
        let mut subsets = subsets::of(service, known);
        let truncated = subsets::truncate(&mut subsets);
        let current = caches.resource::<Endpoints>(key);
        let labels = labels(service);
        if let Some(current) = current
            && current.api.subsets.as_deref().unwrap_or_default() == subsets
            && *current.meta.labels == labels
            && !truncated
            && current.meta.annotation(OVER_CAPACITY).is_none()
        {
            return Some(Inputs::Nothing);
        }
        let mut endpoints = current.cloned().unwrap_or_else(|| Resource {
            meta: ObjectMeta::named(&key.namespace, &key.name),
            api: Arc::default(),
            compiled: Arc::new(()),
        });
        endpoints.meta.labels = Arc::new(labels);
        annotate(&mut endpoints.meta, TRIGGER, trigger.map(api_json::time).as_deref());
        annotate(&mut endpoints.meta, OVER_CAPACITY, truncated.then_some("truncated"));
        Arc::make_mut(&mut endpoints.api).subsets = Some(subsets).filter(|subsets| !subsets.is_empty());
        let about = Object::Endpoints(endpoints.clone()).reference();
        Some(Inputs::Write { endpoints: Box::new(endpoints), new: current.is_none(), about })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        let (endpoints, new, about) = match inputs {
            Inputs::Nothing => return Ok(()),
            Inputs::Gone(key) => {
                let delete = || Call::delete(Kind::Endpoints, key.clone(), DeleteOptions::default());
                return match routine.call(delete)? {
                    Err(status) if !status.is_not_found() => Err(Interrupt::from(status)),
                    _ => Ok(()),
                };
            }
            Inputs::Write { endpoints, new, about } => (endpoints, *new, about),
        };
        let call = || {
            let endpoints = Object::Endpoints((**endpoints).clone());
            if new { Call::create(endpoints) } else { Call::update(endpoints) }
        };
        let status = match routine.call(call)? {
            Ok(answer) => {
                if let Some(written) = answer.object().map(|object| object.meta().resource_version).filter(|_| !new) {
                    routine.ask(|| Effect::Wrote(Kind::Endpoints, written));
                }
                return Ok(());
            }
            Err(status) => status,
        };
        if new && status.is_namespace_terminating() {
            return Ok(());
        }
        let ObjectMeta { namespace, name, .. } = &endpoints.meta;
        if new {
            routine.event(about, EventType::Warning, "FailedToCreateEndpoint", || {
                format!("Failed to create endpoint for service {namespace}/{name}: {}", status.message)
            });
        } else {
            routine.event(about, EventType::Warning, "FailedToUpdateEndpoint", || {
                format!("Failed to update endpoint {namespace}/{name}: {}", status.message)
            });
        }
        Err(Interrupt::Failed(status.message))
    }

    fn reconciled(&mut self, _key: &Key, _outcome: Option<()>, _now: Instant) {}
}

/// The Service's labels and those of the controller.
fn labels(service: &Resource<Service>) -> Labels {
    let mut labels: Labels = (*service.meta.labels).clone();
    labels.remove(slices::HEADLESS);
    if !pods::has_address(service) {
        labels.insert(slices::HEADLESS.into(), "".into());
    }
    labels.insert(MANAGED_BY.into(), "endpoint-controller".into());
    labels
}

/// Sets an annotation, or removes it.
fn annotate(meta: &mut ObjectMeta, key: &str, value: Option<&str>) {
    match value {
        Some(value) => {
            meta.annotate(key, value);
        }
        None if meta.annotation(key).is_some() => {
            Arc::make_mut(&mut meta.annotations).remove(key);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests;
