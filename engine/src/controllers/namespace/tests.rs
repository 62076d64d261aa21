//! Deletions of namespaces in a whole small cluster.

use serde_json::json;

use crate::apiserver::request::{Body, Propagation, Verb};
use crate::client::Agent;
use crate::controllers::cluster::Cluster;
use crate::kernel::Duration;
use crate::objects::{Key, Kind, json as api_json};

const NAMESPACE: Agent = Agent::NamespaceController;

fn demo() -> Key {
    Key::new("", "demo")
}

fn begin() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Namespace, "", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}));
    cluster.run(500);
    cluster
}

fn left(cluster: &Cluster) -> Vec<String> {
    let keys = cluster.world.keys();
    keys.iter().filter(|key| key.contains("/demo")).map(|key| key.to_string()).collect()
}

#[test]
fn pods_go_after_five_seconds_and_all_else_after_ten() {
    let mut cluster = begin();
    cluster.deploy("demo", 3);
    let began = cluster.world.now();
    let answer = cluster.delete(Kind::Namespace, demo(), Propagation::Background);
    assert_eq!(
        (&answer["status"]["phase"], &answer["spec"]["finalizers"]),
        (&json!("Terminating"), &json!(["kubernetes"]))
    );
    assert!(answer["metadata"]["deletionGracePeriodSeconds"].is_null());
    cluster.run(4_900);
    assert!(
        cluster.world.objects(Kind::Pod).iter().all(|pod| !pod.meta().deleting()),
        "the first five seconds are quiet"
    );
    assert!(cluster.asked(NAMESPACE).is_empty());
    cluster.run(1_000);
    let asked = cluster.asked(NAMESPACE);
    let first = [
        "get namespaces demo 200",
        "list pods  200",
        "deletecollection pods  200",
        "list pods  200",
        "update namespaces/status demo 200",
    ];
    assert_eq!(asked, first);
    let namespace = cluster.world.objects(Kind::Namespace);
    let shown = namespace.iter().find(|object| &*object.meta().name == "demo").map(|object| api_json::to_json(object));
    let shown = shown.expect("still there");
    let reasons: Vec<&str> =
        shown["status"]["conditions"].as_array().into_iter().flatten().filter_map(|it| it["reason"].as_str()).collect();
    assert_eq!(
        reasons,
        ["ResourcesDiscovered", "ParsedGroupVersions", "ContentDeleted", "ContentRemoved", "ContentHasNoFinalizers"]
    );
    cluster.run(6_000);
    assert!(left(&cluster).is_empty(), "{:?}", left(&cluster));
    let asked = cluster.asked(NAMESPACE);
    // Two requests for each of the other kinds; those about leases are not in the list.
    let others = Kind::ALL.iter().filter(|kind| kind.namespaced() && ![Kind::Pod, Kind::Lease].contains(kind)).count();
    // And events have two groups.
    let others = others + 1;
    assert_eq!(asked.len(), first.len() + 4 + 2 * others + 1, "{asked:?}");
    assert_eq!(asked.last().map(String::as_str), Some("update namespaces/finalize demo 200"));
    let took = cluster.first(began, "update namespaces finalize", NAMESPACE).expect("finalized");
    assert!((10_000..10_700).contains(&took), "{took} ms");
    // The set tries to replace its pods, once: it learns why it cannot.
    let tries = cluster.asked(Agent::ReplicaSetController);
    let refused = tries.iter().filter(|line| line.starts_with("create pods") && line.ends_with("403")).count();
    assert!((1..=3).contains(&refused), "{tries:?}");
}

#[test]
fn what_is_new_in_a_dying_namespace_is_refused_with_its_cause() {
    let mut cluster = begin();
    cluster.delete(Kind::Namespace, demo(), Propagation::Background);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}});
    let body = Body::Json(std::sync::Arc::new(map));
    let status = cluster.ask(Verb::Create, Kind::ConfigMap, Key::new("demo", "late"), body).expect_err("refused");
    assert_eq!((status.code, status.is_namespace_terminating()), (403, true));
    // A second deletion changes nothing.
    let revision = cluster.world.revision();
    cluster.delete(Kind::Namespace, demo(), Propagation::Background);
    assert!(cluster.world.history(Kind::Namespace, revision).is_empty());
    // An empty one needs five seconds; the conditions are written first, so that the finalizers meet a conflict.
    cluster.run(5_500);
    assert!(left(&cluster).is_empty());
    let asked = cluster.asked(NAMESPACE);
    let end: Vec<&str> = asked.iter().rev().take(4).map(String::as_str).collect();
    let expected = [
        "update namespaces/finalize demo 200",
        "get namespaces demo 200",
        "update namespaces/finalize demo 409",
        "update namespaces/status demo 200",
    ];
    assert_eq!(end, expected);
}

#[test]
fn a_finalizer_of_some_content_holds_the_namespace_back() {
    let mut cluster = begin();
    let meta = json!({"name": "held", "finalizers": ["example.com/hold"]});
    cluster.create(Kind::ConfigMap, "demo", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}));
    cluster.delete(Kind::Namespace, demo(), Propagation::Background);
    cluster.run(12_000);
    let namespaces = cluster.world.objects(Kind::Namespace);
    let shown = namespaces.iter().find(|object| &*object.meta().name == "demo").map(|object| api_json::to_json(object));
    let conditions = shown.expect("still there")["status"]["conditions"].clone();
    let message = |kind: &str| {
        let all = conditions.as_array().into_iter().flatten();
        all.clone().find(|it| it["type"] == kind).and_then(|it| it["message"].as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(
        message("NamespaceContentRemaining"),
        "Some resources are remaining: configmaps. has 1 resource instances"
    );
    assert_eq!(
        message("NamespaceFinalizersRemaining"),
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    );
    let patch = json!({"metadata": {"finalizers": []}});
    cluster.patch(Kind::ConfigMap, Key::new("demo", "held"), patch);
    // It looks again after half of its estimate of 15 s and one more.
    let until = cluster.world.now() + Duration::from_secs(9);
    cluster.world.run_until(until);
    assert!(left(&cluster).is_empty(), "{:?}", left(&cluster));
}
