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

#[test]
fn a_service_has_its_address_while_it_lives() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.names(Kind::IPAddress), ["10.96.0.1"], "the API server's own");
    service(&mut cluster, json!({"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80}]}));
    let spec = only(&cluster, Kind::Service)["spec"].clone();
    let address = spec["clusterIP"].as_str().unwrap_or_default().to_owned();
    assert_eq!((&spec["ipFamilies"], &spec["ipFamilyPolicy"]), (&json!(["IPv4"]), &json!("SingleStack")));
    assert!((30_086..=32_767).contains(&spec["ports"][0]["nodePort"].as_i64().unwrap_or(0)), "{spec}");
    let mut both = ["10.96.0.1", &*address];
    both.sort_unstable();
    assert_eq!(cluster.names(Kind::IPAddress), both);
    // A patch leaves it what it has; another Service cannot have it.
    cluster.patch(Kind::Service, Key::new("default", "web"), json!({"spec": {"ports": [{"port": 81}]}}));
    assert_eq!(only(&cluster, Kind::Service)["spec"]["clusterIP"], *address);
    let other =
        |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}, "spec": spec});
    let mut refused = |spec: Value| {
        let body = crate::apiserver::request::Body::Json(std::sync::Arc::new(other(spec)));
        let create = crate::apiserver::request::Verb::Create;
        cluster.ask(create, Kind::Service, Key::new("default", "other"), body).expect_err("refused").message.to_string()
    };
    let taken = refused(json!({"clusterIP": address, "ports": [{"port": 80}]}));
    assert!(taken.ends_with(&format!("failed to allocate IP {address}: provided IP is already allocated")), "{taken}");
    let outside = refused(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}));
    assert!(outside.contains("spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range"));
    cluster.delete(Kind::Service, Key::new("default", "web"), Propagation::Background);
    cluster.run(1_000);
    assert_eq!(cluster.names(Kind::IPAddress), ["10.96.0.1"]);
}
