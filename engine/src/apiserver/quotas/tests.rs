//! Quotas in a whole cluster: charged before anything is stored, given back by the controller.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::{Value, json};

use crate::apiserver::request::{Body, DeleteOptions, Request, Subresource, Verb};
use crate::client::Agent;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::{Key, Kind};
use crate::profiles;
use crate::setup::Setup;
use crate::trace::What;
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

struct Rig {
    world: World,
    sent: u64,
}

impl Rig {
    /// A cluster with a quota that is counted.
    fn new(servers: u8, hard: Value) -> Rig {
        let mut setup = Setup::new(3, 2, 1, profiles::laptop());
        setup.api_servers = servers;
        let mut rig = Rig { world: World::new(setup.shared()), sent: 0 };
        rig.world.run_until(Instant::START + SECOND.times(14));
        rig.create(Kind::ResourceQuota, "q", json!({"hard": hard}));
        rig.run(1_000);
        rig
    }

    fn run(&mut self, milliseconds: u64) {
        let until = self.world.now() + Duration::from_millis(milliseconds);
        self.world.run_until(until);
    }

    fn send(&mut self, verb: Verb, kind: Kind, name: &str, body: Body) {
        self.sent += 1;
        let request = Request {
            from: Endpoint::Outside,
            number: self.sent,
            agent: Agent::Kubectl(1),
            sequence: self.sent,
            verb,
            kind,
            subresource: Subresource::None,
            key: Key::new("default", name),
            body,
            options: Default::default(),
        };
        self.world.send(request, RecordId(0), Duration::ZERO);
    }

    fn create(&mut self, kind: Kind, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"name": name}, "spec": spec,
        });
        self.send(Verb::Create, kind, name, Body::Json(Arc::new(object)));
    }

    fn pod(&mut self, name: &str) {
        self.create(Kind::Pod, name, json!({"containers": [{"name": "a", "image": "nginx:1.25"}]}));
    }

    fn used(&self, what: &str) -> String {
        let quotas = self.world.objects(Kind::ResourceQuota);
        let quota = quotas.iter().find_map(|object| object.as_resource::<ResourceQuota>()).expect("the quota");
        let used = quota.api.status.as_ref().and_then(|status| status.used.clone()).unwrap_or_default();
        used.get(what).map(|amount| amount.0.clone()).unwrap_or_default()
    }

    fn there(&self, kind: Kind) -> usize {
        self.world.objects(kind).iter().filter(|object| *object.meta().namespace == *"default").count()
    }

    /// How often the quota was written.
    fn writes(&self) -> usize {
        let records = self.world.trace().records().iter();
        records
            .filter(|record| {
                matches!(record.note.what, What::Committed { .. })
                    && record.note.object.as_ref().is_some_and(|(kind, _)| *kind == Kind::ResourceQuota)
            })
            .count()
    }
}

#[test]
fn the_status_is_raised_before_the_pod_is_there() {
    let mut rig = Rig::new(1, json!({"pods": "2"}));
    assert_eq!(rig.used("pods"), "0");
    rig.pod("a");
    rig.run(15);
    assert_eq!((rig.used("pods").as_str(), rig.there(Kind::Pod)), ("1", 1));
    rig.send(Verb::Delete, Kind::Pod, "a", Body::Delete(DeleteOptions { grace: Some(0), ..Default::default() }));
    rig.run(1_000);
    assert_eq!((rig.used("pods").as_str(), rig.there(Kind::Pod)), ("0", 0), "the controller counts what went");
}

#[test]
fn what_arrives_at_once_is_charged_together_and_never_too_much() {
    let mut rig = Rig::new(1, json!({"pods": "3"}));
    let before = rig.writes();
    for n in 0..8 {
        rig.pod(&format!("p{n}"));
    }
    rig.run(2_000);
    assert_eq!((rig.used("pods").as_str(), rig.there(Kind::Pod)), ("3", 3));
    assert!(rig.writes() - before <= 2, "the first one, and the others together: {}", rig.writes() - before);
}

#[test]
fn two_api_servers_race_for_a_quota_and_do_not_overdraw_it() {
    let mut rig = Rig::new(3, json!({"configmaps": "5"}));
    let own = rig.there(Kind::ConfigMap);
    for n in 0..4 {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{n}")}});
        rig.send(Verb::Create, Kind::ConfigMap, &format!("c{n}"), Body::Json(Arc::new(object)));
    }
    rig.create(
        Kind::Deployment,
        "web",
        json!({
            "replicas": 3, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "nginx:1.25"}]}},
        }),
    );
    rig.run(5_000);
    let there = rig.there(Kind::ConfigMap);
    assert_eq!((there, rig.used("configmaps")), ((own + 4).min(5), there.to_string()));
}

#[test]
fn an_update_is_charged_for_what_it_uses_more() {
    let mut rig = Rig::new(1, json!({"services.nodeports": "1"}));
    rig.create(Kind::Service, "s", json!({"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}));
    rig.run(200);
    assert_eq!(rig.used("services.nodeports"), "0");
    let services = rig.world.objects(Kind::Service);
    let service = services.iter().find(|service| *service.meta().name == *"s").expect("created");
    let mut changed = crate::objects::json::to_json(service);
    changed["spec"]["type"] = "NodePort".into();
    rig.send(Verb::Update, Kind::Service, "s", Body::Json(Arc::new(changed.clone())));
    rig.run(200);
    assert_eq!(rig.used("services.nodeports"), "0", "two are too many");
    changed["spec"]["ports"] = json!([{"port": 80}]);
    rig.send(Verb::Update, Kind::Service, "s", Body::Json(Arc::new(changed)));
    rig.run(200);
    assert_eq!(rig.used("services.nodeports"), "1");
}
