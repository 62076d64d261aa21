//! A tiny API server and tiny kubelets, enough to see the controllers work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{ControllerManager, ControllerManagerEvent};
use crate::apiserver::ApiServerEvent;
use crate::apiserver::request::{
    Answer, Body, Delivery, Patch, Reply, Request, Subresource, Verb, WatchEvent, WatchKind,
};
use crate::apiserver::status::Status;
use crate::event::{Effects, Event};
use crate::kernel::out::{Action, RecordId};
use crate::kernel::{Duration, Instant, hash_words};
use crate::objects::{
    Condition, Deletion, Deployment, Key, Kind, Object, ObjectMeta, Phase, Pod, ReplicaSet, Uid, compact,
};
use crate::profiles;
use crate::setup::Setup;

/// A controller manager with its surroundings.
#[derive(Clone)]
pub struct Rig {
    pub setup: Setup,
    pub manager: ControllerManager,
    pub now: Instant,
    queue: BTreeMap<(Instant, u64), Item>,
    next: u64,
    records: u64,
    pub objects: BTreeMap<(Kind, Key), Arc<Object>>,
    pub revision: u64,
    /// Kind by number, and when the last delivery arrives.
    watches: BTreeMap<u64, (Kind, Instant)>,
    /// `AGENT VERB RESOURCE[/SUBRESOURCE] NAME CODE`, in the order of the replies.
    pub log: Vec<String>,
    /// Messages of all events that were posted or counted, with their count.
    pub events: Vec<String>,
    /// Images whose pods never become ready.
    pub broken: BTreeSet<&'static str>,
    /// From a pod's creation to its being ready, and from its deletion to its end.
    pub ready_after: Duration,
    pub gone_after: Duration,
    /// How far watches lag behind writes.
    pub watch_lag: Duration,
    /// Whether the next two are kept.
    pub promises: bool,
    /// Fewest available, most active pods since last reset.
    pub fewest: usize,
    pub most: usize,
    /// Refuses requests.
    pub refuse: Option<fn(&Request) -> Option<Status>>,
}

#[derive(Clone)]
enum Item {
    Manager(ControllerManagerEvent, RecordId),
    Request(Box<Request>),
    Ready(Key, Uid),
    Gone(Key, Uid),
}

impl Rig {
    /// A started controller manager that leads and has filled its caches.
    pub fn new() -> Self {
        let setup = Setup::new(1, 1, 1, profiles::laptop());
        let mut rig = Rig {
            manager: ControllerManager::new(0),
            setup,
            now: Instant::START,
            queue: BTreeMap::new(),
            next: 0,
            records: 1,
            objects: BTreeMap::new(),
            revision: 1,
            watches: BTreeMap::new(),
            log: Vec::new(),
            events: Vec::new(),
            broken: BTreeSet::from(["bad"]),
            ready_after: Duration::from_millis(800),
            gone_after: Duration::from_millis(300),
            watch_lag: Duration::ZERO,
            promises: true,
            fewest: 0,
            most: 0,
            refuse: None,
        };
        rig.at(Duration::ZERO, Item::Manager(ControllerManagerEvent::Start, RecordId(0)));
        rig.run(Duration::from_secs(1));
        assert!(rig.manager.leading());
        rig.log.clear();
        rig.events.clear();
        rig
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            self.now = entry.key().0;
            let item = entry.remove();
            self.step(item);
            steps += 1;
            assert!(steps < 200_000, "the controllers do not come to rest");
        }
        self.now = end;
    }

    /// Something happens to the controller manager.
    pub fn event(&mut self, event: ControllerManagerEvent) {
        self.at(Duration::ZERO, Item::Manager(event, RecordId(0)));
    }

    /// The watch of a kind breaks; what happens from here on is not told. Returns its number.
    pub fn cut(&mut self, kind: Kind) -> u64 {
        let number = self.watches.iter().find(|(_, (watched, _))| *watched == kind).map(|(number, _)| *number);
        let number = number.expect("a watch");
        self.watches.remove(&number);
        number
    }

    fn at(&mut self, after: Duration, item: Item) {
        self.next += 1;
        self.queue.insert((self.now + after, self.next), item);
    }

    fn step(&mut self, item: Item) {
        match item {
            Item::Manager(event, cause) => {
                let mut out = Effects::new(self.now, cause, self.records, Vec::new());
                self.manager.handle(event, &self.setup, &mut out);
                for action in out.into_actions() {
                    match action {
                        Action::Send {
                            delay, event: Event::ApiServer(_, ApiServerEvent::Request(request)), ..
                        } => {
                            self.at(delay + Duration::from_micros(150), Item::Request(request));
                        }
                        Action::Timer { at, event: Event::ControllerManager(_, event), cause } => {
                            self.at(at.since(self.now), Item::Manager(event, cause));
                        }
                        Action::Note { .. } => self.records += 1,
                        Action::Exit { .. } => {}
                        _ => panic!("the controller manager does something else"),
                    }
                }
            }
            Item::Request(request) => self.serve(*request),
            Item::Ready(key, uid) => self.change(Kind::Pod, &key, |object| match object {
                Object::Pod(pod) if pod.meta.uid == uid && !pod.meta.deleting() => {
                    pod.status.phase = Phase::Running;
                    pod.node = Some("worker-1".into());
                    true
                }
                _ => false,
            }),
            Item::Gone(key, uid) => {
                if self.objects.get(&(Kind::Pod, key.clone())).is_some_and(|pod| pod.meta().uid == uid) {
                    self.remove(Kind::Pod, &key);
                }
            }
        }
    }

    fn serve(&mut self, request: Request) {
        let result = match self.refuse.and_then(|refuse| refuse(&request)) {
            Some(status) => Err(status),
            None => self.answer(&request),
        };
        let code = match &result {
            Ok(_) if request.verb == Verb::Create => 201,
            Ok(_) => 200,
            Err(status) => status.code,
        };
        if request.kind != Kind::Lease && request.verb != Verb::Watch {
            let (sub, resource) = (request.subresource.as_str(), request.kind.plural());
            let slash = if sub.is_empty() { "" } else { "/" };
            let (agent, verb, name) = (request.agent.name(), request.verb.as_str(), &request.key.name);
            let name = if request.kind == Kind::Event { "" } else { name };
            self.log.push(format!("{agent} {verb} {resource}{slash}{sub} {name} {code}"));
        }
        let reply = Reply { number: request.number, result, warnings: Vec::new() };
        let latency = Duration::from_millis(4);
        self.at(
            latency,
            Item::Manager(ControllerManagerEvent::Delivery(Delivery::Reply(Box::new(reply))), RecordId(0)),
        );
        if request.verb == Verb::Watch {
            self.watches.insert(request.number, (request.kind, self.now + latency));
            let objects = self.objects.iter().filter(|((kind, _), _)| *kind == request.kind);
            let event = |object: Option<&Arc<Object>>| WatchEvent {
                kind: if object.is_some() { WatchKind::Added } else { WatchKind::Bookmark },
                object: object.cloned(),
                resource_version: self.revision,
                cause: RecordId(0),
            };
            let events = objects.map(|(_, object)| event(Some(object))).chain([event(None)]).collect();
            let delivery = Delivery::Watch { number: request.number, events };
            self.at(latency, Item::Manager(ControllerManagerEvent::Delivery(delivery), RecordId(0)));
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Answer, Status> {
        let (kind, key) = (request.kind, request.key.clone());
        let known = self.objects.get(&(kind, key.clone())).cloned();
        let there = || known.clone().ok_or_else(|| Status::not_found(kind, &key.name));
        match (request.verb, &request.body) {
            (Verb::Watch, _) => Ok(Answer::Watching),
            (Verb::Get, _) => Ok(Answer::Object(there()?)),
            (Verb::Create, Body::Object(object)) => {
                if known.is_some() {
                    return Err(Status::already_exists(kind, &key.name));
                }
                if let Object::Event(event) = &**object {
                    self.events.push(event.message.to_string());
                }
                Ok(Answer::Object(self.create((**object).clone())))
            }
            (Verb::Update, Body::Object(object)) => {
                let known = there()?;
                let version = object.meta().resource_version;
                if version != 0 && version != known.meta().resource_version {
                    return Err(Status::modified(kind, &key.name));
                }
                Ok(Answer::Object(self.update(&known, (**object).clone(), request.subresource)))
            }
            (Verb::Patch, Body::Patch(patch)) => {
                let mut object = (*there()?).clone();
                match (&mut object, patch) {
                    (Object::Node(node), Patch::Taints(taints)) => node.taints = taints.clone(),
                    (Object::Event(event), Patch::EventCount { count, message, .. }) => {
                        (event.count, event.message) = (*count, message.clone());
                        self.events.push(format!("{message} x{count}"));
                    }
                    (object, Patch::DropOwners { uid, owners }) if *uid == object.meta().uid => {
                        let meta = object.meta_mut();
                        meta.owners = meta.owners.iter().filter(|it| !owners.contains(&it.uid)).cloned().collect();
                    }
                    (object, Patch::Owners { uid, owners }) if *uid == object.meta().uid => {
                        object.meta_mut().owners = owners.clone();
                    }
                    _ => return Err(Status::conflict(kind, &key.name, "it is another one")),
                }
                Ok(Answer::Object(self.store(object, WatchKind::Modified)))
            }
            (Verb::Delete, _) => {
                let known = there()?;
                if let Object::Pod(pod) = &*known {
                    let mut pod = pod.clone();
                    if !pod.meta.deleting() {
                        pod.meta.deletion = Some(Deletion { at: self.now, grace: 30 });
                        self.at(self.gone_after, Item::Gone(key, pod.meta.uid));
                        return Ok(Answer::Object(self.store(Object::Pod(pod), WatchKind::Modified)));
                    }
                } else {
                    self.remove(kind, &key);
                }
                Ok(Answer::Object(known))
            }
            (Verb::List, _) => Ok(Answer::List { resource_version: self.revision, items: Vec::new() }),
            _ => panic!("an unexpected request: {request:?}"),
        }
    }

    /// Creates an object.
    pub fn create(&mut self, mut object: Object) -> Arc<Object> {
        let uid = Uid(u128::from(self.revision) + 1000);
        let meta = object.meta_mut();
        (meta.uid, meta.created, meta.generation) = (uid, self.now, 1);
        if let Some(prefix) = meta.generate_name.clone().filter(|_| meta.name.is_empty()) {
            meta.name = format!("{prefix}{:05}", self.revision).into();
        }
        if let Object::Pod(pod) = &object {
            let image = pod.spec.api.containers[0].image.clone().unwrap_or_default();
            if !self.broken.contains(&*image) {
                self.at(self.ready_after, Item::Ready(pod.meta.key(), uid));
            }
        }
        self.store(object, WatchKind::Added)
    }

    fn update(&mut self, known: &Object, mut object: Object, subresource: Subresource) -> Arc<Object> {
        let status = subresource == Subresource::Status;
        match (&mut object, known) {
            (Object::Deployment(new), Object::Deployment(old)) if status => new.spec = old.spec.clone(),
            (Object::ReplicaSet(new), Object::ReplicaSet(old)) if status => {
                (new.spec, new.meta) = (old.spec.clone(), old.meta.clone());
            }
            (Object::Deployment(new), Object::Deployment(old)) => {
                new.status = old.status.clone();
                new.meta.generation = old.meta.generation + i64::from(new.spec != old.spec);
            }
            (Object::ReplicaSet(new), Object::ReplicaSet(old)) => {
                new.status = old.status.clone();
                new.meta.generation = old.meta.generation + i64::from(new.spec != old.spec);
            }
            _ => {}
        }
        if object == *known {
            return Arc::new(object);
        }
        self.store(object, WatchKind::Modified)
    }

    fn change(&mut self, kind: Kind, key: &Key, change: impl FnOnce(&mut Object) -> bool) {
        let Some(mut object) = self.objects.get(&(kind, key.clone())).map(|object| (**object).clone()) else { return };
        if change(&mut object) {
            if let Object::Pod(pod) = &mut object
                && pod.status.phase == Phase::Running
                && !pod.ready()
            {
                pod.status.conditions = vec![Condition::new("Ready", true, self.now)];
            }
            self.store(object, WatchKind::Modified);
        }
    }

    /// Somebody edits an object.
    pub fn edit(&mut self, kind: Kind, key: &Key, change: impl FnOnce(&mut Object)) {
        let known = self.objects[&(kind, key.clone())].clone();
        let mut object = (*known).clone();
        change(&mut object);
        self.update(&known, object, Subresource::None);
    }

    /// Somebody edits a deployment.
    pub fn edit_deployment(&mut self, name: &str, change: impl FnOnce(&mut Deployment)) {
        self.edit(Kind::Deployment, &Key::new("default", name), |object| {
            let Object::Deployment(deployment) = object else { panic!("a deployment") };
            change(deployment);
        });
    }

    /// Removes an object.
    pub fn remove(&mut self, kind: Kind, key: &Key) {
        if let Some(object) = self.objects.remove(&(kind, key.clone())) {
            self.revision += 1;
            let mut object = (*object).clone();
            object.meta_mut().resource_version = self.revision;
            self.tell(Arc::new(object), WatchKind::Deleted);
        }
    }

    fn store(&mut self, mut object: Object, kind: WatchKind) -> Arc<Object> {
        self.revision += 1;
        object.meta_mut().resource_version = self.revision;
        let object = Arc::new(object);
        self.objects.insert((object.kind(), object.key()), object.clone());
        self.tell(object.clone(), kind);
        object
    }

    fn tell(&mut self, object: Arc<Object>, kind: WatchKind) {
        // A watch event may come a bit before or after the reply, but never before the one before it.
        let lag = Duration::from_micros(3_800 + hash_words(&[self.revision]) % 400) + self.watch_lag;
        let (now, revision) = (self.now, self.revision);
        if let Some((number, (_, last))) =
            self.watches.iter_mut().rev().find(|(_, (watched, _))| *watched == object.kind())
        {
            let cause = RecordId(revision);
            let event = WatchEvent { kind, object: Some(object), resource_version: revision, cause };
            let delivery = Delivery::Watch { number: *number, events: vec![event] };
            *last = (*last).max(now + lag);
            let after = last.since(now);
            self.at(after, Item::Manager(ControllerManagerEvent::Delivery(delivery), RecordId(0)));
        }
        if !self.promises {
            return;
        }
        let pods: Vec<&Pod> = self.pods().collect();
        let available = pods.iter().filter(|pod| pod.ready() && pod.active()).count();
        let active = pods.iter().filter(|pod| pod.active()).count();
        (self.fewest, self.most) = (self.fewest.min(available), self.most.max(active));
    }

    /// All pods.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.objects.values().filter_map(|object| object.as_pod())
    }

    /// All replica sets, oldest first.
    pub fn sets(&self) -> Vec<&ReplicaSet> {
        let mut sets: Vec<_> = self.objects.values().filter_map(|object| object.as_replica_set()).collect();
        sets.sort_by_key(|set| set.meta.uid);
        sets
    }

    /// A deployment.
    pub fn deployment(&self, name: &str) -> &Deployment {
        self.objects[&(Kind::Deployment, Key::new("default", name))].as_deployment().expect("a deployment")
    }

    /// The reason of the condition Progressing.
    pub fn progress(&self, name: &str) -> String {
        let progressing = self.deployment(name).condition("Progressing");
        progressing.map_or_else(String::new, |condition| condition.reason.to_string())
    }

    /// How many replies to requests that begin so were logged.
    pub fn count(&self, start: &str, end: &str) -> usize {
        self.log.iter().filter(|line| line.starts_with(start) && line.ends_with(end)).count()
    }

    /// From now on watches the extremes anew.
    pub fn reset(&mut self) {
        (self.fewest, self.most) = (usize::MAX, 0);
        self.log.clear();
        self.events.clear();
    }
}

/// A deployment whose pods carry `app=NAME`.
pub fn deployment(name: &str, replicas: i32, more: Value) -> Object {
    let mut spec = json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": template(name, "nginx:1"),
    });
    let map = spec.as_object_mut().expect("a map");
    map.extend(more.as_object().expect("a map").clone());
    let value = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
    Object::Deployment(compact::deployment(serde_json::from_value(value).expect("a deployment"), &|_| {}))
}

/// A pod template.
pub fn template(app: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

/// The edit that gives a deployment another image.
pub fn image(image: &'static str) -> impl FnOnce(&mut Deployment) {
    move |deployment| {
        let value = template("web", image);
        deployment.spec.template = compact::template(&serde_json::from_value(value).expect("a template"), &|_| {});
    }
}

/// A pod without an owner.
pub fn orphan(name: &str, app: &str) -> Object {
    let value = json!({"metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}});
    Object::Pod(compact::pod(serde_json::from_value(value).expect("a pod")))
}

/// A namespace.
pub fn namespace(name: &str) -> Object {
    Object::Namespace(crate::objects::Namespace::new(ObjectMeta::named("", name)))
}
