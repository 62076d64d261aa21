//! Services and their endpoints in a whole small cluster.

use serde_json::{Value, json};

use crate::apiserver::request::Propagation;
use crate::client::Agent;
use crate::controllers::cluster::Cluster;
use crate::objects::{Key, Kind, json as api_json};

fn service(cluster: &mut Cluster, spec: Value) {
    let manifest = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec});
    cluster.create(Kind::Service, "default", manifest);
    cluster.run(300);
}

fn only(cluster: &Cluster, kind: Kind) -> Value {
    let all = cluster.world.objects(kind);
    let mine: Vec<Value> = all
        .iter()
        .map(|object| api_json::to_json(object))
        .filter(|it| it["metadata"]["name"] != "kubernetes")
        .collect();
    assert_eq!(mine.len(), 1, "{mine:?}");
    mine.into_iter().next().unwrap_or_default()
}

#[test]
fn endpoints_follow_the_pods() {
    let mut cluster = Cluster::new();
    service(&mut cluster, json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}));
    let slice = only(&cluster, Kind::EndpointSlice);
    assert_eq!((slice["endpoints"].as_array().map(Vec::len), slice["addressType"].as_str()), (Some(0), Some("IPv4")));
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "web");
    cluster.deploy("default", 2);
    cluster.run(2_000);
    let slice = only(&cluster, Kind::EndpointSlice);
    let ready: Vec<&Value> =
        slice["endpoints"].as_array().into_iter().flatten().map(|it| &it["conditions"]["ready"]).collect();
    assert_eq!(ready, [&json!(true), &json!(true)]);
    assert_eq!(slice["ports"], json!([{"name": "", "port": 80, "protocol": "TCP"}]));
    let endpoints = only(&cluster, Kind::Endpoints);
    assert_eq!(endpoints["subsets"][0]["addresses"].as_array().map(Vec::len), Some(2));
    assert_eq!(endpoints["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"], "endpoint-controller");
    let before = cluster.asked(Agent::EndpointSliceController).len();
    cluster.run(60_000);
    assert_eq!(cluster.asked(Agent::EndpointSliceController).len(), before, "and then it is quiet");
}

#[test]
fn a_pod_that_ends_is_no_longer_ready_and_then_gone() {
    let mut cluster = Cluster::new();
    service(&mut cluster, json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}));
    cluster.deploy("default", 1);
    cluster.patch(Kind::Deployment, Key::new("default", "web"), json!({"spec": {"replicas": 0}}));
    cluster.run(150);
    let slice = only(&cluster, Kind::EndpointSlice);
    let conditions = &slice["endpoints"][0]["conditions"];
    assert_eq!((&conditions["ready"], &conditions["terminating"]), (&json!(false), &json!(true)), "{slice}");
    assert!(only(&cluster, Kind::Endpoints)["subsets"].is_null());
    cluster.run(5_000);
    assert_eq!(only(&cluster, Kind::EndpointSlice)["endpoints"], json!([]));
}

#[test]
fn slices_go_with_their_service() {
    let mut cluster = Cluster::new();
    service(&mut cluster, json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}));
    cluster.delete(Kind::Service, Key::new("default", "web"), Propagation::Background);
    cluster.run(3_000);
    let left = |kind| cluster.names(kind).into_iter().filter(|name| name != "kubernetes").count();
    assert_eq!((left(Kind::EndpointSlice), left(Kind::Endpoints)), (0, 0));
    let collector = cluster.asked(Agent::GarbageCollector);
    assert_eq!(collector.iter().filter(|line| line.starts_with("delete endpointslices")).count(), 1);
}
