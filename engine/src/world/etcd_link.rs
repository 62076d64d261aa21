//! How members of etcd, which know nothing of Kubernetes, meet the rest: what they ask the world for, and objects as values.

use std::sync::Arc;

use crate::apiserver::ApiServerEvent;
use crate::client::Agent;
use crate::etcd::{self, EtcdEvent, EtcdNote, Response};
use crate::event::{Effects, EtcdValue, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::Object;
use crate::trace::{Note, What};

/// What an etcd member asks for, put into the world's `Out`.
pub(super) struct EtcdEffects<'a> {
    pub(super) member: u8,
    pub(super) members: u8,
    pub(super) calm: bool,
    pub(super) out: &'a mut Effects,
}

impl etcd::Effects<EtcdValue> for EtcdEffects<'_> {
    fn now(&self) -> Instant {
        self.out.now()
    }

    fn cause(&self) -> RecordId {
        self.out.cause()
    }

    fn because(&mut self, cause: RecordId) {
        self.out.because(cause);
    }

    fn note(&mut self, note: EtcdNote) -> RecordId {
        self.out.note(Note::new(Agent::Etcd(self.member), What::Etcd(note)))
    }

    fn send(&mut self, member: u8, event: EtcdEvent<EtcdValue>) {
        self.out.send(Endpoint::Etcd(member), Duration::ZERO, Event::Etcd(member, event));
    }

    fn after(&mut self, wait: Duration, event: EtcdEvent<EtcdValue>) {
        self.out.after(wait, Event::Etcd(self.member, event));
    }

    fn reply(&mut self, to: Endpoint, id: u64, response: Response<EtcdValue>) {
        let response = Box::new(response);
        let event = match to {
            Endpoint::ApiServer(server) => Event::ApiServer(server, ApiServerEvent::Etcd { id, response }),
            _ => Event::Operator(id, response),
        };
        self.out.send(to, Duration::ZERO, event);
    }

    fn calm(&self) -> bool {
        self.calm
    }

    fn exit(&mut self) {
        self.out.exit();
    }

    fn disturb(&mut self) {
        for member in 0..self.members {
            self.out.after(Duration::ZERO, Event::Etcd(member, EtcdEvent::Disturbed));
        }
    }
}

/// About how long a value is as JSON. [bytes]
fn json_size(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 6,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => items.iter().map(json_size).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + 4 + json_size(value)).sum::<usize>() + 2,
    }
}

impl etcd::Value for Arc<Object> {
    /// An estimate of the protobuf form: what differs from object to object.
    fn size(&self) -> usize {
        let meta = self.meta();
        let labels = |labels: &crate::objects::Labels| labels.iter().map(|(k, v)| k.len() + v.len() + 8).sum::<usize>();
        let base = match &**self {
            Object::Pod(pod) => 1_600 + 400 * pod.spec.api.containers.len(),
            Object::Node(node) => 2_000 + 120 * node.status.images.len(),
            Object::Deployment(_) | Object::ReplicaSet(_) => 900,
            Object::Event(event) => 500 + event.message.len(),
            Object::ConfigMap(map) => 150 + map.data.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>(),
            Object::Namespace(_) | Object::ServiceAccount(_) | Object::Lease(_) => 300,
            Object::StatefulSet(_) | Object::DaemonSet(_) | Object::Job(_) | Object::CronJob(_) => 1_300,
            Object::EndpointSlice(slice) => 400 + 180 * slice.api.endpoints.as_ref().map_or(0, Vec::len),
            Object::Secret(secret) => {
                200 + secret.api.data.iter().flatten().map(|(k, v)| k.len() + v.0.len()).sum::<usize>()
            }
            Object::Custom(custom) => 120 + custom.content.values().map(json_size).sum::<usize>(),
            _ => 450,
        };
        base + labels(&meta.labels) + labels(&meta.annotations)
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.meta().uid.cmp(&other.meta().uid)
    }

    fn committed(&mut self, revision: u64) {
        if self.meta().resource_version != revision {
            Arc::make_mut(self).meta_mut().resource_version = revision;
        }
    }
}
