//! A component's connection to the API server: numbers its requests and holds back what exceeds QPS and burst.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/rest/request.go (tryThrottle), one limiter per client object.

use super::agent::Agent;
use super::rate_limit::TokenBucket;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::request::{Body, DeleteOptions, ListOptions, Patch, Request, Subresource, Verb, WriteOptions};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint};
use crate::objects::selector::Selector;
use crate::objects::{Key, Kind, Name, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A request that has no number yet.
#[derive(Clone, Debug)]
pub struct Call {
    /// Verb.
    pub verb: Verb,
    /// Kind.
    pub kind: Kind,
    /// Subresource.
    pub subresource: Subresource,
    /// Object; the name is empty for lists, watches and generated names.
    pub key: Key,
    /// Content.
    pub body: Body,
}

impl Call {
    fn new(verb: Verb, kind: Kind, key: Key, body: Body) -> Self {
        Call { verb, kind, subresource: Subresource::None, key, body }
    }

    /// Of a subresource.
    pub fn of(mut self, subresource: Subresource) -> Self {
        self.subresource = subresource;
        self
    }

    /// GET
    pub fn get(kind: Kind, key: Key) -> Self {
        Call::new(Verb::Get, kind, key, Body::None)
    }

    /// LIST
    pub fn list(kind: Kind, namespace: &Name, options: ListOptions) -> Self {
        let key = Key { namespace: namespace.clone(), name: "".into() };
        Call::new(Verb::List, kind, key, Body::List(Box::new(options)))
    }

    /// LIST of `pods.metrics.k8s.io`.
    pub fn pod_metrics(namespace: &Name, labels: Selector) -> Self {
        let options = ListOptions { labels: Some(labels), ..ListOptions::default() };
        Call::list(Kind::Pod, namespace, options).of(Subresource::Metrics)
    }

    /// WATCH
    pub fn watch(kind: Kind, options: ListOptions) -> Self {
        Call::new(Verb::Watch, kind, Key::new("", ""), Body::List(Box::new(options)))
    }

    /// POST
    pub fn create(object: Object) -> Self {
        let (kind, key) = (object.kind(), object.key());
        Call::new(Verb::Create, kind, key, Body::Object(Arc::new(object)))
    }

    /// PUT
    pub fn update(object: Object) -> Self {
        let (kind, key) = (object.kind(), object.key());
        Call::new(Verb::Update, kind, key, Body::Object(Arc::new(object)))
    }

    /// PUT of the status.
    pub fn update_status(object: Object) -> Self {
        Call::update(object).of(Subresource::Status)
    }

    /// PATCH
    pub fn patch(kind: Kind, key: Key, patch: Patch) -> Self {
        Call::new(Verb::Patch, kind, key, Body::Patch(patch))
    }

    /// DELETE
    pub fn delete(kind: Kind, key: Key, options: DeleteOptions) -> Self {
        Call::new(Verb::Delete, kind, key, Body::Delete(options))
    }

    /// DELETE of everything of a kind in a namespace.
    pub fn delete_collection(kind: Kind, namespace: &Name, options: DeleteOptions) -> Self {
        let key = Key { namespace: namespace.clone(), name: "".into() };
        Call::new(Verb::DeleteCollection, kind, key, Body::Delete(options))
    }

    /// POST of a pod's binding.
    pub fn bind(pod: Key, node: Name) -> Self {
        Call::new(Verb::Create, Kind::Pod, pod, Body::Binding { node }).of(Subresource::Binding)
    }
}

/// A connection to the API server.
#[derive(Clone, Debug)]
pub struct Connection {
    endpoint: Endpoint,
    next: u64,
    qps: u32,
    burst: u32,
    agents: BTreeMap<Agent, Limit>,
}

#[derive(Clone, Debug)]
struct Limit {
    sent: u64,
    bucket: TokenBucket,
}

impl Connection {
    /// A connection of `endpoint` whose every agent may send `qps` requests a second and `burst` at once; 0 means no limit.
    pub fn new(endpoint: Endpoint, qps: u32, burst: u32) -> Self {
        Connection { endpoint, next: 1, qps, burst, agents: BTreeMap::new() }
    }

    /// The number of its process among those of its kind; 0 for a kubelet.
    pub fn number(&self) -> u8 {
        match self.endpoint {
            Endpoint::ControllerManager(number) | Endpoint::Scheduler(number) => number,
            _ => 0,
        }
    }

    /// The process starts anew: its limits are fresh. Numbers go on, so that late replies find nobody.
    pub fn reopen(&mut self) {
        let (qps, burst) = (self.qps, self.burst);
        for (agent, limit) in &mut self.agents {
            limit.bucket = bucket(*agent, qps, burst);
        }
    }

    /// The number of the next request: those below have been sent.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Sends `call` as `agent` after `work`, or later if its limit says so. Returns the request's number.
    pub fn send(&mut self, agent: Agent, call: Call, work: Duration, out: &mut Effects) -> u64 {
        let number = self.next;
        self.next += 1;
        let work = out.cpu(work);
        let leaves = out.now() + work;
        let (qps, burst) = (self.qps, self.burst);
        let limit = self.agents.entry(agent).or_insert_with(|| Limit { sent: 0, bucket: bucket(agent, qps, burst) });
        limit.sent += 1;
        let wait = if call.verb == Verb::Watch { Duration::ZERO } else { limit.bucket.reserve(leaves) };
        let request = Request {
            from: self.endpoint,
            number,
            agent,
            sequence: limit.sent,
            verb: call.verb,
            kind: call.kind,
            subresource: call.subresource,
            key: call.key,
            body: call.body,
            options: WriteOptions::default(),
        };
        // Which of several servers, the load balancer says.
        out.send(Endpoint::ApiServer(0), work + wait, Event::ApiServer(0, ApiServerEvent::Request(Box::new(request))));
        number
    }
}

/// The limits of an agent where its process sets `qps` and `burst`: two controllers give themselves more, for they have much to ask.
/// Kubernetes: startGarbageCollectorController, startNamespaceController.
fn bucket(agent: Agent, qps: u32, burst: u32) -> TokenBucket {
    let (more, at_once) = match agent {
        Agent::GarbageCollector => (2, 1),
        Agent::NamespaceController => (20, 100),
        _ => (1, 1),
    };
    TokenBucket::per_second(qps.saturating_mul(more), burst.saturating_mul(at_once))
}
