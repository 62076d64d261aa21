//! Definitions and webhooks in a whole cluster: kinds come and go, owners and namespaces with them, several API servers, failures.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::patch::PatchType;
use crate::apiserver::request::{Answer, Body, DeleteOptions, Patch, Subresource, Verb};
use crate::apiserver::status::Status;
use crate::apiserver::webhooks::{WebhookServer, WebhookTrouble};
use crate::controllers::cluster::{Cluster, answered};
use crate::kernel::Duration;
use crate::kernel::latency::Latency;
use crate::objects::{Key, Kind};
use crate::process::Process;
use crate::profiles;
use crate::scripted::{Mistake, Scripts};
use crate::setup::Setup;
use crate::trace::What;

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "tanks.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "tanks", "kind": "Tank", "shortNames": ["tk"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.depth", "statusReplicasPath": ".status.depth"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "depth": {"type": "integer", "minimum": 1, "default": 3}, "note": {"type": "string"}}},
                    "status": {"type": "object", "properties": {"depth": {"type": "integer"}}}}}},
            }],
        },
    })
}

fn tank(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Tank", "metadata": {"name": name}, "spec": spec})
}

fn create(cluster: &mut Cluster, kind: Kind, namespace: &str, value: Value) -> Result<Answer, Status> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    cluster.ask(Verb::Create, kind, Key::new(namespace, &name), Body::Json(Arc::new(value)))
}

/// A cluster that knows tanks.
fn with_tanks(setup: Setup, ms: u64) -> (Cluster, Kind) {
    let mut cluster = Cluster::of(setup);
    create(&mut cluster, Kind::CRD, "", definition()).expect("a definition");
    cluster.run(ms);
    let kind = cluster.world.discovery().first().expect("a kind").kind;
    (cluster, kind)
}

fn small() -> Setup {
    Setup::new(7, 1, 1, profiles::laptop())
}

#[test]
fn a_definition_is_established_and_its_objects_are_checked_defaulted_and_counted() {
    let (mut cluster, kind) = with_tanks(small(), 500);
    let made = answered(&create(&mut cluster, kind, "default", tank("a", json!({}))).expect("a tank"));
    assert_eq!((&made["spec"]["depth"], &made["metadata"]["generation"]), (&json!(3), &json!(1)));
    let refused = create(&mut cluster, kind, "default", tank("b", json!({"depth": "deep"}))).expect_err("refused");
    assert_eq!(
        &*refused.message,
        "Tank.example.com \"b\" is invalid: spec.depth: Invalid value: \"string\": spec.depth in body must be of type integer: \
         \"string\""
    );
    let key = Key::new("default", "a");
    let merge = |value: Value| Body::Patch(Patch::Json(PatchType::Merge, Arc::new(value)));
    let patched = |answer: Result<Answer, Status>| answered(&answer.expect("patched"));
    let spec = patched(cluster.ask(
        Verb::Patch,
        kind,
        key.clone(),
        merge(json!({"spec": {"depth": 4}, "status": {"depth": 9}})),
    ));
    assert_eq!((&spec["metadata"]["generation"], spec.get("status")), (&json!(2), None), "the status is no part of it");
    let part = merge(json!({"status": {"depth": 4}, "spec": {"depth": 8}}));
    let status = patched(cluster.ask_part(Verb::Patch, kind, Subresource::Status, key.clone(), part));
    assert_eq!((&status["spec"]["depth"], &status["status"]["depth"]), (&json!(4), &json!(4)));
    assert_eq!(status["metadata"]["generation"], 2, "and does not count");
    let scale = patched(cluster.ask_part(Verb::Get, kind, Subresource::Scale, key.clone(), Body::None));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(4), &json!(4)));
    let strategic = Body::Patch(Patch::Json(PatchType::StrategicMerge, Arc::new(json!({}))));
    assert_eq!(cluster.ask(Verb::Patch, kind, key, strategic).expect_err("refused").code, 415);
}

#[test]
fn a_server_that_ends_while_a_definition_goes_leaves_no_object_behind() {
    for ms in [3, 6, 10, 15, 25] {
        let (mut cluster, kind) = with_tanks(small(), 500);
        for name in ["a", "b", "c"] {
            create(&mut cluster, kind, "default", tank(name, json!({}))).expect("a tank");
        }
        let key = Key::new("", "tanks.example.com");
        cluster.ask(Verb::Delete, Kind::CRD, key, Body::Delete(DeleteOptions::default())).expect("deleted");
        cluster.run(ms);
        cluster.world.kill(Process::ApiServer(0));
        cluster.run(100);
        cluster.world.start(Process::ApiServer(0));
        cluster.run(10_000);
        assert_eq!((cluster.count(kind), cluster.count(Kind::CRD)), (0, 0), "killed {ms} ms after the answer");
    }
}

#[test]
fn objects_go_with_their_definition_and_another_may_follow() {
    let (mut cluster, kind) = with_tanks(small(), 500);
    for name in ["a", "b", "c"] {
        create(&mut cluster, kind, "default", tank(name, json!({}))).expect("a tank");
    }
    let key = Key::new("", "tanks.example.com");
    cluster.ask(Verb::Delete, Kind::CRD, key, Body::Delete(DeleteOptions::default())).expect("deleted");
    cluster.run(2_000);
    assert_eq!((cluster.count(kind), cluster.count(Kind::CRD)), (0, 0));
    let gone = create(&mut cluster, kind, "default", tank("d", json!({}))).expect_err("not served");
    assert_eq!((gone.code, cluster.world.discovery().len()), (404, 0));
    create(&mut cluster, Kind::CRD, "", definition()).expect("a definition");
    cluster.run(500);
    create(&mut cluster, kind, "default", tank("e", json!({}))).expect("a tank");
    assert_eq!(cluster.names(kind), ["e"]);
}

#[test]
fn a_finalizer_holds_object_and_definition_back() {
    let (mut cluster, kind) = with_tanks(small(), 500);
    let mut held = tank("a", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/drain"]);
    create(&mut cluster, kind, "default", held).expect("a tank");
    let key = Key::new("", "tanks.example.com");
    cluster.ask(Verb::Delete, Kind::CRD, key, Body::Delete(DeleteOptions::default())).expect("deleted");
    cluster.run(5_000);
    assert_eq!((cluster.count(kind), cluster.count(Kind::CRD)), (1, 1));
    let patch = Patch::Json(PatchType::Merge, Arc::new(json!({"metadata": {"finalizers": null}})));
    cluster.ask(Verb::Patch, kind, Key::new("default", "a"), Body::Patch(patch)).expect("drained");
    cluster.run(2_000);
    assert_eq!((cluster.count(kind), cluster.count(Kind::CRD)), (0, 0));
}

#[test]
fn owners_and_namespaces_take_custom_resources_with_them_and_those_take_their_dependents() {
    let (mut cluster, kind) = with_tanks(small(), 35_000);
    let made = answered(&create(&mut cluster, kind, "default", tank("a", json!({}))).expect("a tank"));
    let owner = json!([{"apiVersion": "example.com/v1", "kind": "Tank", "name": "a", "uid": made["metadata"]["uid"]}]);
    let map = json!({"metadata": {"name": "m", "ownerReferences": owner}});
    create(&mut cluster, Kind::ConfigMap, "default", map).expect("a map");
    let mut child = tank("child", json!({}));
    child["metadata"]["ownerReferences"] = owner;
    create(&mut cluster, kind, "default", child).expect("a tank");
    cluster.run(1_000);
    assert!(cluster.ask_map("m").is_some());
    let key = Key::new("default", "a");
    cluster.ask(Verb::Delete, kind, key, Body::Delete(DeleteOptions::default())).expect("deleted");
    cluster.run(3_000);
    assert_eq!((cluster.ask_map("m").is_some(), cluster.count(kind)), (false, 0));
    create(&mut cluster, Kind::Namespace, "", json!({"metadata": {"name": "shop"}})).expect("a namespace");
    create(&mut cluster, kind, "shop", tank("b", json!({}))).expect("a tank");
    let key = Key::new("", "shop");
    cluster.ask(Verb::Delete, Kind::Namespace, key, Body::Delete(DeleteOptions::default())).expect("deleted");
    cluster.run(30_000);
    assert_eq!((cluster.count(kind), cluster.names(Kind::Namespace).contains(&"shop".to_owned())), (0, false));
}

#[test]
fn several_api_servers_agree_after_five_seconds_and_a_fork_goes_the_same_way() {
    let mut setup = small();
    setup.api_servers = 3;
    let mut cluster = Cluster::of(setup);
    create(&mut cluster, Kind::CRD, "", definition()).expect("a definition");
    cluster.run(4_000);
    assert_eq!(cluster.world.discovery().len(), 0);
    cluster.run(2_000);
    let kind = cluster.world.discovery().first().expect("a kind").kind;
    let mut fork = cluster.clone();
    for cluster in [&mut cluster, &mut fork] {
        for name in ["a", "b", "c", "d"] {
            create(cluster, kind, "default", tank(name, json!({}))).expect("whichever server is asked");
        }
        cluster.run(60_000);
    }
    assert_eq!(cluster.names(kind), ["a", "b", "c", "d"]);
    assert_eq!(cluster.world.trace().fingerprint(), fork.world.trace().fingerprint());
}

/// A webhook that adds a label, and one that has a rule.
#[derive(Debug)]
struct Two;

impl Scripts for Two {
    fn admit(&self, webhook: &str, request: &Arc<Value>) -> Result<Value, Mistake> {
        match webhook {
            "label.wavetank.dev" if request["object"]["metadata"]["labels"].is_object() => Ok(json!({"allowed": true,
                "patch": [{"op": "add", "path": "/metadata/labels/seen", "value": "yes"}]})),
            "label.wavetank.dev" => Ok(json!({"allowed": true, "warnings": ["labelled"],
                "patch": [{"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}]})),
            "rule.wavetank.dev" if request["object"]["metadata"]["labels"]["seen"] != "yes" => Ok(
                json!({"allowed": false, "status": {"message": "nobody saw it", "code": 403, "reason": "Forbidden"}}),
            ),
            "rule.wavetank.dev" => Ok(json!({"allowed": true})),
            other => Err(Mistake::unknown("webhook", other)),
        }
    }
}

fn configuration(kind: &str, name: &str, policy: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "webhooks": [{
            "name": format!("{name}.wavetank.dev"), "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 2,
            "clientConfig": {"service": {"name": name, "namespace": "default", "path": "/admit"}}, "failurePolicy": policy,
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        }],
    })
}

fn with_webhooks(policy: &str) -> Cluster {
    let mut cluster = Cluster::of(small());
    cluster.world.set_scripts(Arc::new(Two));
    for name in ["label", "rule"] {
        let server = WebhookServer {
            name: format!("{name}.wavetank.dev").into(),
            latency: Latency::constant(20.0),
            trouble: WebhookTrouble::None,
        };
        cluster.world.add_webhook_server(server);
    }
    let label = configuration("MutatingWebhookConfiguration", "label", policy);
    let rule = configuration("ValidatingWebhookConfiguration", "rule", "Fail");
    create(&mut cluster, Kind::MUTATING_WEBHOOKS, "", label).expect("a configuration");
    create(&mut cluster, Kind::VALIDATING_WEBHOOKS, "", rule).expect("a configuration");
    cluster.run(200);
    cluster
}

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "b"}})
}

#[test]
fn the_judge_sees_what_the_changer_made() {
    let mut cluster = with_webhooks("Fail");
    let start = cluster.world.now();
    let made = answered(&create(&mut cluster, Kind::ConfigMap, "default", map("m")).expect("a map"));
    assert_eq!((&made["metadata"]["labels"]["seen"], &made["data"]["a"]), (&json!("yes"), &json!("b")));
    let took = cluster.world.now().since(start);
    assert!(took > Duration::from_millis(40) && took < Duration::from_millis(80), "{took:?}");
    let calls = cluster.world.trace().records().iter().filter(|record| matches!(record.note.what, What::Webhook(_)));
    let causes: Vec<_> = calls.map(|record| cluster.world.trace().get(record.cause)).collect();
    assert!(causes.len() == 2 && causes.iter().all(Option::is_some), "each call has the request as its cause");
    let key = Key::new("", "label");
    cluster.ask(Verb::Delete, Kind::MUTATING_WEBHOOKS, key, Body::Delete(DeleteOptions::default())).expect("deleted");
    cluster.run(200);
    let refused = create(&mut cluster, Kind::ConfigMap, "default", map("n")).expect_err("refused");
    assert_eq!(
        (refused.code, &*refused.message),
        (403, "admission webhook \"rule.wavetank.dev\" denied the request: nobody saw it")
    );
    create(&mut cluster, Kind::ServiceAccount, "default", json!({"metadata": {"name": "s"}})).expect("not asked about");
}

#[test]
fn a_webhook_that_is_down_or_slow_fails_the_request_or_is_ignored() {
    let mut cluster = with_webhooks("Fail");
    assert!(cluster.world.trouble_webhook("label.wavetank.dev", WebhookTrouble::Slow(Duration::from_secs(8))));
    let start = cluster.world.now();
    let late = create(&mut cluster, Kind::ConfigMap, "default", map("m")).expect_err("too slow");
    assert_eq!(
        (late.code, &*late.message),
        (
            500,
            "Internal error occurred: failed calling webhook \"label.wavetank.dev\": failed to call webhook: Post \
             \"https://label.default.svc:443/admit?timeout=2s\": context deadline exceeded"
        )
    );
    assert!(cluster.world.now().since(start) >= Duration::from_secs(2));
    assert!(cluster.world.trouble_webhook("label.wavetank.dev", WebhookTrouble::Down));
    let down = create(&mut cluster, Kind::ConfigMap, "default", map("m")).expect_err("down");
    assert!(down.message.ends_with(":443: connect: connection refused"), "{}", down.message);
    assert!(!cluster.world.trouble_webhook("other.wavetank.dev", WebhookTrouble::Down));
    let mut cluster = with_webhooks("Ignore");
    assert!(cluster.world.trouble_webhook("label.wavetank.dev", WebhookTrouble::Down));
    let unseen = create(&mut cluster, Kind::ConfigMap, "default", map("m")).expect_err("the other judges it");
    assert!(unseen.message.contains("nobody saw it"), "{}", unseen.message);
}

#[test]
fn pods_of_controllers_are_changed_as_well() {
    let mut cluster = with_webhooks("Fail");
    let mut pods = configuration("MutatingWebhookConfiguration", "label", "Fail");
    pods["webhooks"][0]["rules"][0]["resources"] = json!(["pods"]);
    pods["metadata"]["resourceVersion"] =
        json!(cluster.world.objects(Kind::MUTATING_WEBHOOKS)[0].meta().resource_version.to_string());
    cluster
        .ask(Verb::Update, Kind::MUTATING_WEBHOOKS, Key::new("", "label"), Body::Json(Arc::new(pods)))
        .expect("another rule");
    cluster.run(200);
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "nginx:1.25"}]}});
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": template}});
    let mut job = job;
    job["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
    create(&mut cluster, Kind::Job, "default", job).expect("a job");
    cluster.run(3_000);
    let pods = cluster.world.objects(Kind::Pod);
    let ours: Vec<_> = pods.iter().filter(|pod| &*pod.meta().namespace == "default").collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].meta().labels.get("seen").map(|value| &**value), Some("yes"));
    assert_eq!(ours[0].meta().owners.len(), 1, "it is still the job's");
}

/// A webhook that writes into an object what it has seen of it, and one that refuses it with what both have seen.
#[derive(Debug)]
struct Seeing;

impl Scripts for Seeing {
    fn admit(&self, webhook: &str, request: &Arc<Value>) -> Result<Value, Mistake> {
        let metadata = &request["object"]["metadata"];
        assert!(request["uid"].as_str().is_some_and(|uid| uid.len() == 36 && metadata["uid"] != uid));
        let fields = ["name", "uid", "creationTimestamp"].into_iter().filter(|field| metadata[*field].is_string());
        let named = if request["name"].as_str().is_some_and(|name| !name.is_empty()) { "named" } else { "unnamed" };
        let seen = [named].into_iter().chain(fields).collect::<Vec<_>>().join(",");
        if webhook == "label.wavetank.dev" {
            let mut object = request["object"].clone();
            object["data"] = json!({"seen": seen});
            return Ok(json!({"allowed": true, "object": object}));
        }
        let message = format!("{} and then {seen}", request["object"]["data"]["seen"].as_str().unwrap_or_default());
        Ok(json!({"allowed": false, "status": {"message": message}}))
    }
}

#[test]
fn who_may_change_a_new_object_sees_it_as_it_was_sent() {
    let mut cluster = with_webhooks("Fail");
    cluster.world.set_scripts(Arc::new(Seeing));
    let generated = Body::Json(Arc::new(json!({"metadata": {"generateName": "m-"}})));
    let refused = cluster.ask(Verb::Create, Kind::ConfigMap, Key::new("default", ""), generated).expect_err("refused");
    let seen = "unnamed and then named,name,uid,creationTimestamp";
    assert!(refused.message.ends_with(seen), "{}", refused.message);
}

/// A webhook that names what has no name, and makes headless what has no address.
#[derive(Debug)]
struct Deciding;

impl Scripts for Deciding {
    fn admit(&self, _webhook: &str, request: &Arc<Value>) -> Result<Value, Mistake> {
        let mut object = request["object"].clone();
        if object["metadata"]["name"].is_null() {
            object["metadata"]["name"] = json!("named");
        }
        if object["spec"]["ports"].is_array() && object["spec"]["clusterIP"].is_null() {
            object["spec"]["clusterIP"] = json!("None");
        }
        Ok(json!({"allowed": true, "object": object}))
    }
}

#[test]
fn what_the_registry_fills_in_a_webhook_may_decide_before() {
    let mut cluster = with_webhooks("Fail");
    let mut both = configuration("MutatingWebhookConfiguration", "label", "Fail");
    both["webhooks"][0]["rules"][0]["resources"] = json!(["services", "configmaps"]);
    both["metadata"]["resourceVersion"] =
        json!(cluster.world.objects(Kind::MUTATING_WEBHOOKS)[0].meta().resource_version.to_string());
    let key = Key::new("", "label");
    cluster.ask(Verb::Update, Kind::MUTATING_WEBHOOKS, key, Body::Json(Arc::new(both))).expect("another rule");
    cluster.run(200);
    cluster.world.set_scripts(Arc::new(Deciding));
    let service = json!({"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let made = answered(&create(&mut cluster, Kind::Service, "default", service).expect("a service"));
    assert_eq!(made["spec"]["clusterIP"], "None", "{made}");
    let generated = Body::Json(Arc::new(json!({"metadata": {"generateName": "m-"}})));
    let made = cluster.ask(Verb::Create, Kind::ConfigMap, Key::new("default", ""), generated).expect("a map");
    assert_eq!(answered(&made)["metadata"]["name"], "named");
}
