//! Budgets and evictions in a whole small cluster.

use serde_json::{Value, json};
use std::sync::Arc;

use crate::apiserver::request::{Body, Subresource, Verb};
use crate::apiserver::status::Status;
use crate::client::Agent;
use crate::controllers::cluster::Cluster;
use crate::objects::{Key, Kind, json as api_json};

const DISRUPTION: Agent = Agent::DisruptionController;

fn budget(cluster: &mut Cluster, name: &str, spec: Value) {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    let manifest =
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec});
    cluster.create(Kind::PodDisruptionBudget, "default", manifest);
    cluster.run(500);
}

fn status(cluster: &Cluster) -> Value {
    let all = cluster.world.objects(Kind::PodDisruptionBudget);
    all.first().map(|object| api_json::to_json(object)["status"].clone()).expect("a budget")
}

fn evict(cluster: &mut Cluster, pod: &str) -> Result<Value, Status> {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
    let body = Body::Json(Arc::new(eviction));
    let answer = cluster.ask_part(Verb::Create, Kind::Pod, Subresource::Eviction, Key::new("default", pod), body)?;
    Ok(crate::controllers::cluster::answered(&answer))
}

#[test]
fn a_budget_counts_and_lets_one_pod_go_at_a_time() {
    let mut cluster = Cluster::new();
    budget(&mut cluster, "web", json!({"minAvailable": 3}));
    assert_eq!(status(&cluster)["expectedPods"], 0);
    cluster.deploy("default", 4);
    let now = status(&cluster);
    assert_eq!(
        (&now["currentHealthy"], &now["desiredHealthy"], &now["disruptionsAllowed"]),
        (&4.into(), &3.into(), &1.into())
    );
    let pods = cluster.names(Kind::Pod);
    assert_eq!(evict(&mut cluster, &pods[0]).expect("evicted")["status"], "Success");
    let refused = evict(&mut cluster, &pods[1]).expect_err("refused");
    let why = refused.details.as_ref().map(|details| details["causes"][0]["message"].clone());
    assert_eq!(refused.code, 429);
    assert_eq!(why, Some("The disruption budget web needs 3 healthy pods and has 3 currently".into()));
    let gone = cluster.world.objects(Kind::Pod).into_iter().find(|pod| *pod.meta().name == *pods[0]).expect("it ends");
    let target = gone.as_pod().and_then(|pod| pod.condition("DisruptionTarget").cloned()).expect("marked");
    assert_eq!((&*target.reason, gone.meta().deleting()), ("EvictionByEvictionAPI", true));
    cluster.run(6_000);
    assert_eq!(status(&cluster)["disruptionsAllowed"], 1);
    assert!(status(&cluster)["disruptedPods"].is_null());
    assert!(evict(&mut cluster, &pods[1]).is_ok());
}

#[test]
fn two_budgets_are_an_error_and_none_is_no_obstacle() {
    let mut cluster = Cluster::new();
    cluster.deploy("default", 2);
    let pods = cluster.names(Kind::Pod);
    assert!(evict(&mut cluster, &pods[0]).is_ok());
    budget(&mut cluster, "a", json!({"minAvailable": 0}));
    budget(&mut cluster, "b", json!({"maxUnavailable": "50%"}));
    let refused = evict(&mut cluster, &pods[1]).expect_err("refused");
    assert_eq!((refused.code, refused.message.contains("more than one PodDisruptionBudget")), (500, true));
    assert_eq!(evict(&mut cluster, "nobody").expect_err("unknown").code, 404);
    let wrong = json!({"metadata": {"name": "other"}});
    let body = Body::Json(Arc::new(wrong));
    let key = Key::new("default", &pods[1]);
    let refused = cluster.ask_part(Verb::Create, Kind::Pod, Subresource::Eviction, key, body).expect_err("refused");
    assert_eq!(&*refused.message, "name in URL does not match name in Eviction object");
}

#[test]
fn a_share_is_of_what_the_controllers_want() {
    let mut cluster = Cluster::new();
    cluster.deploy("default", 3);
    budget(&mut cluster, "web", json!({"minAvailable": "60%"}));
    let now = status(&cluster);
    assert_eq!(
        (&now["expectedPods"], &now["desiredHealthy"], &now["disruptionsAllowed"]),
        (&3.into(), &2.into(), &1.into())
    );
    assert_eq!(now["conditions"][0]["reason"], "SufficientPods");
    assert!(cluster.asked(DISRUPTION).iter().all(|line| !line.starts_with("create events")));
}

#[test]
fn an_eviction_that_never_comes_is_forgotten_after_two_minutes() {
    let mut cluster = Cluster::new();
    cluster.deploy("default", 2);
    budget(&mut cluster, "web", json!({"minAvailable": 1}));
    let pods = cluster.names(Kind::Pod);
    let now = api_json::time(cluster.world.now());
    let patch = json!({"status": {"disruptedPods": {&*pods[0]: now}, "disruptionsAllowed": 0}});
    cluster.patch_status(Kind::PodDisruptionBudget, Key::new("default", "web"), patch);
    cluster.run(1_000);
    assert_eq!((&status(&cluster)["currentHealthy"], &status(&cluster)["disruptionsAllowed"]), (&1.into(), &0.into()));
    cluster.run(125_000);
    assert_eq!((&status(&cluster)["currentHealthy"], &status(&cluster)["disruptionsAllowed"]), (&2.into(), &1.into()));
}
