//! Deletions in a whole small cluster, and after restarts of the controller manager with a slow watch.

use serde_json::json;

use crate::apiserver::request::Propagation;
use crate::client::Agent;
use crate::controllers::ControllerManagerEvent;
use crate::controllers::cluster::Cluster;
use crate::controllers::testing::{Rig, deployment};
use crate::kernel::Duration;
use crate::objects::{Key, Kind, Uid};

const GC: Agent = Agent::GarbageCollector;

fn web() -> Key {
    Key::new("default", "web")
}

fn count(lines: &[String], start: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(start)).count()
}

#[test]
fn in_the_background_the_owner_goes_at_once_and_its_dependents_follow() {
    let mut cluster = Cluster::new();
    cluster.deploy("default", 4);
    cluster.delete(Kind::Deployment, web(), Propagation::Background);
    assert_eq!((cluster.count(Kind::Deployment), cluster.count(Kind::Pod)), (0, 4));
    cluster.run(400);
    let pods = cluster.world.objects(Kind::Pod);
    assert!(pods.iter().all(|pod| pod.meta().deleting()), "all are on their way");
    assert_eq!(cluster.count(Kind::ReplicaSet), 0);
    cluster.run(5_000);
    assert_eq!((cluster.count(Kind::ReplicaSet), cluster.count(Kind::Pod)), (0, 0));
    // Two requests for each object: the absent owners are known.
    let asked = cluster.asked(GC);
    assert_eq!((count(&asked, "get replicasets"), count(&asked, "delete replicasets")), (1, 1));
    assert_eq!((count(&asked, "get pods"), count(&asked, "delete pods"), asked.len()), (4, 4, 10), "{asked:?}");
    assert_eq!(count(&cluster.asked(Agent::ReplicaSetController), "create pods"), 0, "nothing is replaced");
}

#[test]
fn in_the_foreground_the_owner_goes_last() {
    let mut cluster = Cluster::new();
    cluster.deploy("default", 3);
    let (began, revision) = (cluster.world.now(), cluster.world.revision());
    let answer = cluster.delete(Kind::Deployment, web(), Propagation::Foreground);
    assert_eq!(answer["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(
        (&answer["metadata"]["generation"], &answer["metadata"]["deletionGracePeriodSeconds"]),
        (&json!(2), &json!(0))
    );
    cluster.run(10_000);
    let gone = |kind| -> Vec<u64> {
        let history = cluster.world.history(kind, revision);
        history.iter().filter(|entry| entry.object.is_none()).map(|entry| entry.revision).collect()
    };
    let (pods, sets, deployments) = (gone(Kind::Pod), gone(Kind::ReplicaSet), gone(Kind::Deployment));
    assert_eq!((pods.len(), sets.len(), deployments.len()), (3, 1, 1));
    assert!(pods.iter().all(|pod| pod < &sets[0]) && sets < deployments);
    let last = cluster.first(began, "patch deployments", GC).expect("its finalizer is taken");
    assert!((150..4_000).contains(&last), "{last} ms");
}

#[test]
fn orphans_stay_and_are_adopted_by_the_next_of_the_name() {
    let mut cluster = Cluster::new();
    cluster.deploy("default", 2);
    let pods = cluster.names(Kind::Pod);
    let answer = cluster.delete(Kind::Deployment, web(), Propagation::Orphan);
    assert_eq!(answer["metadata"]["finalizers"], json!(["orphan"]));
    cluster.run(3_000);
    let sets = cluster.world.objects(Kind::ReplicaSet);
    assert_eq!((cluster.count(Kind::Deployment), sets.len(), sets[0].meta().owners.len()), (0, 1, 0));
    let asked = cluster.asked(GC);
    assert_eq!(
        (count(&asked, "patch replicasets"), count(&asked, "patch deployments web 200"), count(&asked, "delete")),
        (1, 1, 0)
    );
    let uid = cluster.deploy("default", 2);
    let sets = cluster.world.objects(Kind::ReplicaSet);
    assert_eq!((sets.len(), sets[0].meta().controller().map(|owner| owner.uid)), (1, Some(uid)));
    assert_eq!(cluster.names(Kind::Pod), pods);
}

#[test]
fn an_object_stays_while_one_of_its_owners_does() {
    let mut cluster = Cluster::new();
    let (a, b) = (cluster.map("a", &[]), cluster.map("b", &[]));
    cluster.map("both", &[("ConfigMap", "a", a, false), ("ConfigMap", "b", b, false)]);
    cluster.run(500);
    cluster.delete(Kind::ConfigMap, Key::new("default", "a"), Propagation::Background);
    cluster.run(500);
    let both = cluster.ask_map("both").expect("it stays");
    assert_eq!(both.meta().owners.iter().map(|owner| owner.uid).collect::<Vec<_>>(), [b]);
    cluster.delete(Kind::ConfigMap, Key::new("default", "b"), Propagation::Background);
    cluster.run(500);
    assert!(cluster.ask_map("both").is_none());
}

#[test]
fn owners_that_never_were_or_are_others_by_now_count_for_nothing() {
    let mut cluster = Cluster::new();
    let real = cluster.map("real", &[]);
    cluster.map("right", &[("ConfigMap", "real", real, true)]);
    cluster.map("stranger", &[("Deployment", "nobody", Uid(77), true)]);
    cluster.map("namesake", &[("ConfigMap", "real", Uid(78), true)]);
    cluster.map("misnamed", &[("ConfigMap", "unreal", real, true)]);
    cluster.map("foreign", &[("Whatever", "x", Uid(79), true)]);
    cluster.run(2_000);
    let maps = cluster.names(Kind::ConfigMap);
    let left = |name: &str| maps.iter().any(|map| map == name);
    assert_eq!(["real", "right", "foreign"].map(left), [true; 3], "{maps:?}");
    assert_eq!(["stranger", "namesake", "misnamed"].map(left), [false; 3], "{maps:?}");
}

#[test]
fn a_blocked_owner_waits_only_for_those_that_block_it() {
    let mut cluster = Cluster::new();
    let owner = cluster.map("owner", &[]);
    let meta = |name: &str, block: bool| {
        json!({
            "name": name, "finalizers": ["example.com/hold"],
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.to_string(), "blockOwnerDeletion": block,
            }],
        })
    };
    for (name, block) in [("blocks", true), ("free", false)] {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name, block)});
        cluster.create(Kind::ConfigMap, "default", map);
    }
    cluster.run(500);
    cluster.delete(Kind::ConfigMap, Key::new("default", "owner"), Propagation::Foreground);
    cluster.run(2_000);
    assert!(cluster.ask_map("owner").is_some(), "it waits");
    let free = |cluster: &mut Cluster, name: &str| {
        cluster.patch(Kind::ConfigMap, Key::new("default", name), json!({"metadata": {"finalizers": null}}));
        cluster.run(500);
    };
    free(&mut cluster, "blocks");
    assert!(cluster.ask_map("owner").is_none() && cluster.ask_map("blocks").is_none());
    assert!(cluster.ask_map("free").is_some_and(|map| map.meta().deleting()));
    free(&mut cluster, "free");
    assert!(cluster.ask_map("free").is_none());
}

#[test]
fn after_a_restart_owners_are_looked_up_and_nothing_is_deleted() {
    let mut rig = Rig::new();
    rig.create(deployment("web", 3, json!({})));
    rig.run(Duration::from_secs(5));
    rig.log.clear();
    rig.event(ControllerManagerEvent::Start);
    rig.run(Duration::from_secs(40));
    assert!(rig.manager.leading());
    assert_eq!((rig.pods().count(), rig.count("generic-garbage-collector delete", "")), (3, 0));
    // The pods came before their set, the set before its deployment.
    assert!(rig.count("generic-garbage-collector get replicasets", "200") >= 1);
    let before = rig.log.len();
    rig.run(Duration::from_secs(600));
    assert_eq!(rig.log[before..].iter().filter(|line| line.starts_with("generic")).count(), 0, "and then it is quiet");
}

#[test]
fn slow_watches_delete_nothing_that_has_an_owner() {
    let mut rig = Rig::new();
    rig.watch_lag = Duration::from_millis(700);
    rig.create(deployment("web", 4, json!({})));
    rig.run(Duration::from_secs(30));
    assert_eq!((rig.pods().count(), rig.count("generic-garbage-collector delete", "")), (4, 0));
    rig.remove(Kind::Deployment, &web());
    rig.run(Duration::from_secs(30));
    assert_eq!((rig.sets().len(), rig.pods().count()), (0, 0));
}
