//! Controllers of one's own in a whole cluster, with reconciles written in Rust.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::apiserver::patch::PatchType;
use crate::apiserver::request::{Body, Patch, Verb};
use crate::client::connection::Call;
use crate::controllers::cluster::Cluster;
use crate::process::Process;
use crate::scripted::{Place, Ran, Scripts};

/// A reconcile that reads a config map, writes two marks one after the other, and counts its keys.
#[derive(Debug)]
struct Marks;

impl Scripts for Marks {
    fn reconcile(&self, _: &str, run: Reconcile<'_>) -> Ran {
        let ran = |logged, end| Ran { logged, end, memory: None };
        let Some((_, store)) = run.caches.first() else { return ran(Vec::new(), End::Done { again: Again::No }) };
        let answers: Vec<bool> = run
            .log
            .iter()
            .filter_map(|step| match step {
                Logged::Answer(answer) => answer.as_ref().map(|(_, outcome)| outcome.is_ok()),
                _ => None,
            })
            .collect();
        let marked = |mark: &str| store.get(run.key).is_none_or(|object| object.meta().annotations.contains_key(mark));
        if answers.contains(&false) {
            let mistake =
                Mistake { message: "refused".into(), place: Place::default(), hint: Text::default(), bug: false };
            return ran(Vec::new(), End::Failed(mistake));
        }
        if &*run.key.name != "target" || answers.is_empty() && marked("second") {
            return ran(Vec::new(), End::Done { again: Again::No });
        }
        let mark = match answers.len() {
            0 => "first",
            1 => "second",
            _ => {
                let count = run.memory["count"].as_u64().unwrap_or(0) + 1;
                let memory = Some(json!({ "count": count }));
                return Ran { logged: Vec::new(), end: End::Done { again: Again::No }, memory };
            }
        };
        let patch = json!({"metadata": {"annotations": {mark: "yes"}}});
        let patch = Patch::Json(PatchType::Merge, Arc::new(patch));
        ran(Vec::new(), End::Waits(Box::new(Call::patch(Kind::ConfigMap, run.key.clone(), patch))))
    }
}

/// A reconcile that never succeeds.
#[derive(Debug)]
struct Fails;

impl Scripts for Fails {
    fn reconcile(&self, _: &str, run: Reconcile<'_>) -> Ran {
        let mistake = Mistake { message: "no".into(), place: Place::default(), hint: Text::default(), bug: false };
        let end = if &*run.key.name == "target" { End::Failed(mistake) } else { End::Done { again: Again::No } };
        Ran { logged: Vec::new(), end, memory: None }
    }
}

const ME: Process = Process::Custom(0);

fn cluster(scripts: impl Scripts + 'static, spec: impl FnOnce(&mut CustomSpec), replicas: u8) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.world.set_scripts(Arc::new(scripts));
    let mut own = CustomSpec { namespace: "default".into(), ..CustomSpec::of("marks", Kind::ConfigMap) };
    spec(&mut own);
    cluster.world.add_controller(own, replicas).expect("it joins");
    cluster.run(1_000);
    cluster
}

fn create(cluster: &mut Cluster) {
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "target"}});
    let key = Key::new("default", "target");
    cluster.ask(Verb::Create, Kind::ConfigMap, key, Body::Json(Arc::new(manifest))).expect("created");
}

fn marks(cluster: &Cluster) -> usize {
    let maps = cluster.world.objects(Kind::ConfigMap);
    let target = maps.iter().find(|map| *map.meta().name == *"target").expect("there");
    ["first", "second"].iter().filter(|mark| target.meta().annotations.contains_key(**mark)).count()
}

/// When the controller took keys. [ms since the first]
fn taken(cluster: &Cluster) -> Vec<u64> {
    let records = cluster.world.trace().records().iter();
    let mine = records.filter(|record| matches!(record.note.by, Agent::Custom(_)));
    let target = |record: &&crate::trace::Record| matches!(&record.note.object, Some((Kind::ConfigMap, key)) if *key.name == *"target");
    let at: Vec<Instant> = mine
        .filter(target)
        .filter(|record| matches!(record.note.what, What::Reconcile))
        .map(|record| record.at)
        .collect();
    at.iter().map(|one| one.since(at[0]).as_nanos() / 1_000_000).collect()
}

#[test]
fn a_reconcile_goes_through_its_requests_and_remembers() {
    let mut cluster = cluster(Marks, |_| (), 1);
    create(&mut cluster);
    cluster.run(2_000);
    assert_eq!(marks(&cluster), 2);
    let controller = &cluster.world.custom_controllers()[0];
    assert_eq!(*controller.memory(), json!({"count": 1}));
    assert_eq!(controller.backlog(), (0, 0));
}

#[test]
fn a_crash_between_two_requests_loses_nothing_but_memory() {
    let mut cluster = cluster(Marks, |_| (), 1);
    create(&mut cluster);
    while marks(&cluster) == 0 {
        cluster.run(1);
    }
    let mut straight = cluster.clone();
    assert!(cluster.world.kill(ME) && !cluster.world.is_running(ME));
    cluster.run(5_000);
    assert_eq!(marks(&cluster), 1, "nobody goes on");
    assert!(cluster.world.start(ME));
    cluster.run(2_000);
    straight.run(7_000);
    assert_eq!((marks(&cluster), marks(&straight)), (2, 2));
    assert_eq!(*cluster.world.custom_controllers()[0].memory(), json!({"count": 1}));
}

#[test]
fn a_fork_in_the_middle_goes_the_same_way() {
    let mut straight = cluster(Marks, |_| (), 1);
    create(&mut straight);
    while marks(&straight) == 0 {
        straight.run(1);
    }
    let mut fork = straight.clone();
    straight.run(2_000);
    fork.run(2_000);
    assert_eq!(straight.world.trace().fingerprint(), fork.world.trace().fingerprint());
    assert_eq!(marks(&fork), 2);
}

#[test]
fn failures_come_again_after_5_10_20_ms_and_are_told_once() {
    let mut cluster = cluster(Fails, |_| (), 1);
    create(&mut cluster);
    cluster.run(200);
    assert_eq!(taken(&cluster), [0, 5, 15, 35, 75, 155]);
    let told = cluster.world.take_told();
    assert_eq!(told.len(), 1);
    assert!(matches!(&told[0].what, Word::Failed(key, _) if &**key == "default/target"));
    assert_eq!(&*told[0].by, "controller/marks");
}

#[test]
fn of_two_replicas_one_works_and_the_other_follows() {
    let mut cluster = cluster(Marks, |spec| spec.elects = true, 2);
    cluster.run(5_000);
    let leading = |cluster: &Cluster| -> Vec<bool> {
        cluster.world.custom_controllers().iter().map(CustomController::leading).collect()
    };
    let first = leading(&cluster);
    assert_eq!(first.iter().filter(|leads| **leads).count(), 1, "{first:?}");
    let leader = Process::Custom(first.iter().position(|leads| *leads).unwrap_or(0) as u8);
    assert_eq!(leader.name(cluster.world.setup()), format!("controller/marks-{}", u8::from(first[1])));
    cluster.world.supervise(leader, false);
    cluster.world.kill(leader);
    create(&mut cluster);
    cluster.run(30_000);
    assert_eq!(marks(&cluster), 2, "the other has taken over");
}

#[test]
fn requests_are_held_back_by_qps_and_burst() {
    let mut cluster = cluster(Marks, |spec| (spec.qps, spec.burst) = (1, 1), 1);
    create(&mut cluster);
    cluster.run(500);
    assert_eq!(marks(&cluster), 1);
    cluster.run(2_000);
    assert_eq!(marks(&cluster), 2);
}
