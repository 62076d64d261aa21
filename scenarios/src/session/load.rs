//! A client that writes and writes: so many ConfigMaps of such a size, one after the other, at a rate. It stands for the
//! operator gone wild or the build system that keeps its artefacts in the cluster: what makes databases big.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_engine::apiserver::request::{Body, Delivery, Reply, Request, Subresource, Verb};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::{Duration, Endpoint, Instant};
use wavetank_engine::metrics_server::demand::Demand;
use wavetank_engine::objects::meta::ObjectMeta;
use wavetank_engine::objects::{ConfigMap, Key, Kind, Object};

use super::{Nanos, Session};
use crate::script::hints;
use crate::spec;

impl Session {
    /// From now on this is asked of the pods of a target like `deployment/web` or `shop:deployment/web`.
    ///
    /// # Errors
    /// When there is no such object, or no metrics server that could measure what is used.
    pub fn set_demand(&mut self, target: &str, demand: Demand) -> Result<(), String> {
        let (namespace, object) = target.split_once(':').unwrap_or(("default", target));
        let (resource, name) = spec::demand::target(object)?;
        let kind = super::kind_of(resource, &self.custom_kinds())?;
        let key = Key::new(namespace, name);
        if !DEMANDED.contains(&kind) {
            let all: Vec<String> = DEMANDED.iter().map(|kind| kind.name().to_lowercase()).collect();
            return Err(format!(
                "`{resource}` has no pods that could be asked for work; these have: {}",
                all.join(", ")
            ));
        }
        let known = self.world.objects(kind);
        if !known.iter().any(|object| object.key() == key) {
            let names = known.iter().filter(|object| *object.meta().namespace == *namespace);
            let hint = hints::did_you_mean(name, names.map(|object| &*object.meta().name)).unwrap_or_default();
            return Err(format!("there is no {resource} `{name}` in the namespace `{namespace}`\n{hint}"));
        }
        match self.world.set_demand((kind, key), demand) {
            true => Ok(()),
            false => Err("nobody would see what pods use: the cluster has no metrics server\n\
                give it one: cluster(#{ metrics_server: true })"
                .to_owned()),
        }
    }
}

/// Kinds whose pods can be asked for work: pods themselves and what controls them.
const DEMANDED: [Kind; 7] = [
    Kind::Pod,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicationController,
    Kind::Job,
];

/// What a script wants written.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpec {
    /// Names of the objects: `NAME-0`, `NAME-1`, …
    pub name: String,
    /// Their namespace.
    pub namespace: String,
    /// How many there are; they are written in turn.
    pub objects: u64,
    /// What each holds. [bytes]
    pub size: usize,
    /// From the start of one write to that of the next.
    pub every: Duration,
    /// Writes that may be under way at once; a write that would be one more waits.
    pub at_once: usize,
}

/// What a load has come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadFigures {
    /// Writes answered with success.
    pub written: u64,
    /// Writes refused or given up.
    pub failed: u64,
    /// When the first of them failed.
    pub first_failure: Option<Nanos>,
    /// The texts of failures, with how often each was heard.
    pub errors: BTreeMap<String, u64>,
    /// How long the answered writes took, in the order of their answers. [ns]
    pub took: Vec<Nanos>,
}

/// A load that is running, or has been.
#[derive(Clone, Debug)]
pub(super) struct Load {
    spec: LoadSpec,
    agent: Agent,
    /// The two contents that take turns, for a write that changes nothing is none.
    contents: [Arc<BTreeMap<String, String>>; 2],
    /// Objects that exist.
    existing: BTreeSet<u64>,
    turn: u64,
    sequence: u64,
    under_way: BTreeMap<u64, (u64, Instant)>,
    next: Instant,
    figures: LoadFigures,
    pub(super) stopped: bool,
}

impl Load {
    pub(super) fn new(spec: LoadSpec, number: u32, now: Instant) -> Self {
        let content = |letter: &str| Arc::new(BTreeMap::from([("data".to_owned(), letter.repeat(spec.size))]));
        Load {
            agent: Agent::Load(number),
            contents: [content("a"), content("b")],
            existing: BTreeSet::new(),
            turn: 0,
            sequence: 0,
            under_way: BTreeMap::new(),
            next: now,
            figures: LoadFigures::default(),
            stopped: false,
            spec,
        }
    }

    /// When it wants to write next, if nothing under way keeps it from it.
    pub(super) fn next(&self) -> Option<Instant> {
        // No object has two writes under way.
        let most = self.spec.at_once.min(self.spec.objects as usize);
        (!self.stopped && self.under_way.len() < most).then_some(self.next)
    }

    /// The write that is due now, under this number.
    pub(super) fn write(&mut self, number: u64, now: Instant) -> Option<Request> {
        if self.next().is_none_or(|next| next > now) {
            return None;
        }
        // Time lost by waiting is not made up for.
        self.next = self.next.max(now) + self.spec.every;
        while self.under_way.values().any(|(object, _)| *object == self.turn % self.spec.objects) {
            self.turn += 1;
        }
        let object = self.turn % self.spec.objects;
        let round = (self.turn / self.spec.objects) as usize % 2;
        self.turn += 1;
        self.sequence += 1;
        self.under_way.insert(number, (object, now));
        let key = Key::new(&self.spec.namespace, &format!("{}-{object}", self.spec.name));
        let meta = ObjectMeta::named(&self.spec.namespace, &key.name);
        let data = self.contents.get(round).cloned().unwrap_or_default();
        let map = ConfigMap { meta, data, binary: Arc::default(), immutable: false };
        let verb = if self.existing.contains(&object) { Verb::Update } else { Verb::Create };
        Some(Request {
            from: Endpoint::Outside,
            number,
            agent: self.agent,
            sequence: self.sequence,
            verb,
            kind: Kind::ConfigMap,
            subresource: Subresource::None,
            key,
            body: Body::Object(Arc::new(Object::ConfigMap(map))),
            options: Default::default(),
        })
    }

    /// A write is answered; `at` is the script's time.
    pub(super) fn hear(&mut self, delivery: &Delivery, now: Instant, at: Nanos) {
        let Delivery::Reply(reply) = delivery else { return };
        let Reply { number, result, .. } = &**reply;
        let Some((object, began)) = self.under_way.remove(number) else { return };
        match result {
            Ok(_) => {
                self.existing.insert(object);
                self.figures.written += 1;
                let took = now.since(began).as_nanos();
                self.figures.took.push(took);
            }
            Err(status) => {
                if &*status.reason == "AlreadyExists" {
                    self.existing.insert(object);
                    return;
                }
                if &*status.reason == "NotFound" {
                    self.existing.remove(&object);
                }
                self.figures.failed += 1;
                self.figures.first_failure.get_or_insert(at);
                *self.figures.errors.entry(status.message.to_string()).or_default() += 1;
            }
        }
    }

    /// What it has come to so far.
    pub(super) fn figures(&self) -> &LoadFigures {
        &self.figures
    }
}

impl LoadFigures {
    /// How long the answered writes took at this quantile (0 to 1). [ns]
    pub fn quantile(&self, quantile: f64) -> Option<Nanos> {
        let last = self.took.len().checked_sub(1)?;
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        sorted.get((last as f64 * quantile.clamp(0.0, 1.0)).round() as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Overrides;
    use serde_json::json;

    const MINUTE: Nanos = 60_000_000_000;

    fn session(etcd: serde_json::Value) -> Session {
        let spec = json!({"nodes": 1, "trace": "fingerprint", "etcd": etcd});
        Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn spec(every_ms: u64, size: usize) -> LoadSpec {
        LoadSpec {
            name: "noise".into(),
            namespace: "default".into(),
            objects: 5,
            size,
            every: Duration::from_millis(every_ms),
            at_once: 3,
        }
    }

    #[test]
    fn it_writes_at_its_rate_until_it_is_stopped() {
        let mut session = session(json!(1));
        let load = session.start_load(spec(100, 1_000));
        session.run_until(MINUTE);
        session.stop_load(load);
        session.run_until(2 * MINUTE);
        let figures = session.load(load).cloned().unwrap_or_default();
        assert!((598..=601).contains(&figures.written) && figures.failed == 0, "{figures:?}");
        assert!(figures.quantile(0.5) >= Some(1_000_000) && figures.quantile(1.0) >= figures.quantile(0.5));
        let names: Vec<_> = session.objects("configmaps").unwrap_or_default();
        let ours =
            |object: &&serde_json::Value| object["metadata"]["name"].as_str().is_some_and(|n| n.starts_with("noise-"));
        assert_eq!(names.iter().filter(ours).count(), 5);
    }

    #[test]
    fn it_waits_for_a_slow_etcd_and_forks_with_the_session() {
        let mut session = session(json!({"fsync": "500ms"}));
        let load = session.start_load(spec(10, 1_000));
        session.run_until(MINUTE);
        let written = session.load(load).map_or(0, |figures| figures.written);
        assert!((60..400).contains(&written), "three at once, each half a second or more: {written}");
        let mut fork = session.clone();
        fork.run_until(2 * MINUTE);
        session.run_until(2 * MINUTE);
        assert_eq!(fork.load(load), session.load(load));
    }

    #[test]
    fn a_full_database_is_told_from_success() {
        let mut session = session(json!({"quota": "64Mi"}));
        let load = session.start_load(spec(10, 1 << 20));
        session.run_until(MINUTE);
        let figures = session.load(load).cloned().unwrap_or_default();
        assert!(figures.written > 20 && figures.failed > 0 && figures.first_failure.is_some(), "{figures:?}");
        assert_eq!(figures.errors.keys().collect::<Vec<_>>(), ["etcdserver: mvcc: database space exceeded"]);
    }
}
