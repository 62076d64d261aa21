//! A whole small cluster for tests, and a person who talks to its API server.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::World;
use crate::apiserver::patch::PatchType;
use crate::apiserver::request::{
    Answer, Body, DeleteOptions, Delivery, Patch, Propagation, Request, Subresource, Verb,
};
use crate::apiserver::status::Status;
use crate::client::Agent;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::{Key, Kind, Object, Uid, json as api_json};
use crate::profiles;
use crate::setup::Setup;
use crate::trace::What;

/// The cluster.
#[derive(Clone)]
pub struct Cluster {
    pub world: World,
    number: u64,
}

impl Cluster {
    /// Three nodes that are ready.
    pub fn new() -> Self {
        Cluster::of(Setup::new(7, 3, 1, profiles::laptop()))
    }

    /// The cluster of a setup.
    pub fn of(setup: Setup) -> Self {
        let mut world = World::new(setup.shared());
        world.run_until(Instant::START + Duration::from_secs(14));
        world.forget_trace();
        Cluster { world, number: 1_000 }
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let until = self.world.now() + Duration::from_millis(ms);
        self.world.run_until(until);
    }

    /// Sends a request and waits for the reply.
    pub fn ask(&mut self, verb: Verb, kind: Kind, key: Key, body: Body) -> Result<Answer, Status> {
        self.ask_part(verb, kind, Subresource::None, key, body)
    }

    /// The same about a part of an object.
    pub fn ask_part(
        &mut self,
        verb: Verb,
        kind: Kind,
        subresource: Subresource,
        key: Key,
        body: Body,
    ) -> Result<Answer, Status> {
        self.number += 1;
        let (number, agent, sequence) = (self.number, Agent::Kubectl(1), self.number);
        let (from, options) = (Endpoint::Outside, Default::default());
        let request = Request { from, number, agent, sequence, verb, kind, subresource, key, body, options };
        self.world.send(request, RecordId(0), Duration::ZERO);
        loop {
            assert!(self.world.step(), "no reply");
            while let Some(mail) = self.world.receive() {
                match mail.delivery {
                    Delivery::Reply(reply) if reply.number == number => return reply.result,
                    _ => {}
                }
            }
        }
    }

    /// Creates an object in a namespace; returns its uid.
    pub fn create(&mut self, kind: Kind, namespace: &str, manifest: Value) -> Uid {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let answer = self.ask(Verb::Create, kind, Key::new(namespace, &name), Body::Json(Arc::new(manifest)));
        answer.expect("created").object().expect("an object").meta().uid
    }

    /// Creates a deployment `web` and waits until its pods are ready.
    pub fn deploy(&mut self, namespace: &str, replicas: usize) -> Uid {
        let uid = self.create(
            Kind::Deployment,
            namespace,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {
                    "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "a", "image": "nginx:1.25"}]},
                    },
                },
            }),
        );
        self.run(12_000);
        let ready = |pod: &Arc<Object>| pod.as_pod().is_some_and(|pod| pod.ready());
        assert_eq!(self.world.objects(Kind::Pod).iter().filter(|pod| ready(pod)).count(), replicas);
        self.world.forget_trace();
        uid
    }

    /// Creates a config map with owners: kind, name, uid, and whether it holds the owner back.
    pub fn map(&mut self, name: &str, owners: &[(&str, &str, Uid, bool)]) -> Uid {
        let owner = |(kind, name, uid, block): &(&str, &str, Uid, bool)| {
            let version = if *kind == "Deployment" { "apps/v1" } else { "v1" };
            json!({
                "apiVersion": version, "kind": kind, "name": name, "uid": uid.to_string(), "blockOwnerDeletion": block,
            })
        };
        let owners: Vec<Value> = owners.iter().map(owner).collect();
        let meta = json!({"name": name, "ownerReferences": owners});
        self.create(Kind::ConfigMap, "default", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}))
    }

    /// Deletes an object.
    pub fn delete(&mut self, kind: Kind, key: Key, propagation: Propagation) -> Value {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        let answer = self.ask(Verb::Delete, kind, key, Body::Delete(options)).expect("deleted");
        api_json::to_json(answer.object().expect("an object"))
    }

    /// Patches an object.
    pub fn patch(&mut self, kind: Kind, key: Key, patch: Value) {
        let body = Body::Patch(Patch::Json(PatchType::Merge, Arc::new(patch)));
        self.ask(Verb::Patch, kind, key, body).expect("patched");
    }

    /// Patches an object's status.
    pub fn patch_status(&mut self, kind: Kind, key: Key, patch: Value) {
        let body = Body::Patch(Patch::Json(PatchType::Merge, Arc::new(patch)));
        self.ask_part(Verb::Patch, kind, Subresource::Status, key, body).expect("patched");
    }

    /// A config map.
    pub fn ask_map(&self, name: &str) -> Option<Arc<Object>> {
        self.world.objects(Kind::ConfigMap).into_iter().find(|object| object.meta().key() == Key::new("default", name))
    }

    /// The names of the objects of a kind.
    pub fn names(&self, kind: Kind) -> Vec<String> {
        self.world.objects(kind).iter().map(|object| object.meta().name.to_string()).collect()
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.world.objects(kind).len()
    }

    /// What an agent asked for: `verb resource[/subresource] name code`, in the order of the replies.
    pub fn asked(&self, agent: Agent) -> Vec<String> {
        let line = |record: &crate::trace::Record| match (&record.note.what, &record.note.object) {
            (What::Reply { to, verb, subresource, code, .. }, Some((kind, key)))
                if *to == agent && *verb != Verb::Watch && *kind != Kind::Lease =>
            {
                let slash = if subresource.as_str().is_empty() { "" } else { "/" };
                let (verb, plural, sub) = (verb.as_str(), kind.plural(), subresource.as_str());
                Some(format!("{verb} {plural}{slash}{sub} {} {code}", key.name))
            }
            _ => None,
        };
        self.world.trace().records().iter().filter_map(line).collect()
    }

    /// When an agent first did something that begins so, since `start`. [ms]
    pub fn first(&self, start: Instant, begins: &str, agent: Agent) -> Option<u64> {
        let records = self.world.trace().records().iter();
        let mut replies = records.filter_map(|record| match (&record.note.what, &record.note.object) {
            (What::Request { from, verb, subresource }, Some((kind, _))) if *from == agent => {
                let text = format!("{} {} {}", verb.as_str(), kind.plural(), subresource.as_str());
                text.starts_with(begins).then(|| record.at.since(start).as_nanos() / 1_000_000)
            }
            _ => None,
        });
        replies.next()
    }
}

/// The JSON of an answer.
pub fn answered(answer: &Answer) -> Value {
    match answer {
        Answer::Object(object) => api_json::to_json(object),
        Answer::Json(value) => (**value).clone(),
        _ => Value::Null,
    }
}
