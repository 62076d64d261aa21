//! What a run's faults did to its workloads: when they were noticed, how long it took to recover, what was lost meanwhile.
//!
//! The report is made of what the session's follower has seen between events ([`crate::session::follower`]) and of the log of faults;
//! it changes nothing of a run. As text it is for people, as JSON for other programs, as a chart for a page.

mod chart;
mod text;

pub use self::chart::chart;
pub use self::text::text;

use serde::Serialize;
use std::collections::BTreeMap;
use wavetank_engine::World;
use wavetank_engine::faults::Fault;
use wavetank_engine::kernel::Endpoint;
use wavetank_engine::objects::{Key, Kind, Object, json};
use wavetank_engine::world::faults::Struck;

use crate::session::follower::{About, Followed, Signal};
use crate::session::{Nanos, Session};

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Resilience {
    /// When the first fault began. [s since the script's time zero]
    pub since: f64,
    /// Until when the run was followed. [s]
    pub until: f64,
    /// The faults, in the order of their beginnings.
    pub faults: Vec<FaultReport>,
    /// The workloads, those with the longest time without enough pods first.
    pub workloads: Vec<WorkloadReport>,
}

/// What a fault did.
#[derive(Clone, Debug, Serialize)]
pub struct FaultReport {
    /// Its name.
    pub fault: String,
    /// When it began. [s]
    pub began: f64,
    /// When it was over; none if it was not. [s]
    pub ended: Option<f64>,
    /// How long after its beginning it first showed, and in what: a node that is not ready, a pod marked unready, a new leader. [s]
    pub detected_after: Option<f64>,
    /// In what it first showed.
    pub detected_by: Option<String>,
    /// Whether a workload had too few pods because of it, or at least while it lasted.
    pub degraded: bool,
    /// How long after its beginning every workload was back; none if nothing was lost, or nothing came back. [s]
    pub recovered_after: Option<f64>,
}

/// How a workload fared.
#[derive(Clone, Debug, Serialize)]
pub struct WorkloadReport {
    /// `deployment/web`, with its namespace if that is not `default`.
    pub workload: String,
    /// Time with fewer pods available than desired. [s]
    pub below_desired: f64,
    /// Time with none available though some were desired. [s]
    pub without_any: f64,
    /// Fewest pods that were available while some were desired.
    pub lowest_available: i64,
    /// How many were desired in the end.
    pub desired: i64,
    /// How many were available in the end.
    pub available: i64,
    /// Pods created since the first fault.
    pub pods_created: u64,
    /// Pods removed by a disruption: a taint, an eviction, a preemption, a node that is gone.
    pub pods_evicted: u64,
    /// Restarts of containers.
    pub restarts: u64,
    /// Requests to Services that select its pods, over the whole run, if the run had such traffic.
    pub requests: Option<u64>,
    /// Of these, requests without an answer.
    pub requests_lost: Option<u64>,
}

/// The report of a run; `None` if it had no fault.
pub fn report(session: &Session) -> Option<Resilience> {
    let follower = session.follower();
    let since = follower.since?;
    let end = session.now();
    let world = session.world();
    let leaders = etcd_leaders(session);
    let faults = world.fault_log().iter().map(|fault| {
        let began = fault.began.since(session.zero()).as_nanos();
        let ended = fault.ended.map(|ended| ended.since(session.zero()).as_nanos());
        let latest = ended.unwrap_or(end).saturating_add(LATE);
        let detected = detection(fault, began, world, &follower.signals, &leaders).filter(|signal| signal.0 <= latest);
        let (degraded, recovered) = recovery(follower.workloads.values(), began, ended.unwrap_or(end), end);
        FaultReport {
            fault: fault.name.to_string(),
            began: seconds(began),
            ended: ended.map(seconds),
            detected_after: detected.as_ref().map(|signal| seconds(signal.0 - began)),
            detected_by: detected.map(|signal| signal.1),
            degraded,
            recovered_after: recovered.map(|at| seconds(at - began)),
        }
    });
    let requests = requests(session);
    let mut workloads: Vec<WorkloadReport> = follower
        .workloads
        .iter()
        .map(|((kind, key), followed)| workload(label(*kind, key), followed, requests.get(&(*kind, key.clone())), end))
        .collect();
    workloads.sort_by(|a, b| b.below_desired.total_cmp(&a.below_desired).then_with(|| a.workload.cmp(&b.workload)));
    Some(Resilience { since: seconds(since), until: seconds(end), faults: faults.collect(), workloads })
}

fn workload(name: String, followed: &Followed, traffic: Option<&(u64, u64)>, end: Nanos) -> WorkloadReport {
    let (mut below, mut none, mut lowest) = (0, 0, i64::MAX);
    for (from, to, desired, available) in spans(followed, end) {
        let length = to - from;
        if available < desired {
            below += length;
        }
        if desired > 0 {
            none += if available <= 0 { length } else { 0 };
            lowest = lowest.min(available);
        }
    }
    let (desired, available) = followed.steps.last().map_or((0, 0), |last| (last.1, last.2));
    WorkloadReport {
        below_desired: seconds(below),
        without_any: seconds(none),
        lowest_available: if lowest == i64::MAX { 0 } else { lowest },
        desired,
        available,
        pods_created: followed.created,
        pods_evicted: followed.evicted,
        restarts: followed.restarts,
        requests: traffic.map(|(sent, _)| *sent),
        requests_lost: traffic.map(|(_, lost)| *lost),
        workload: name,
    }
}

/// Requests sent to workloads and lost: those of a Service count for each workload whose pods it selects.
fn requests(session: &Session) -> BTreeMap<(Kind, Key), (u64, u64)> {
    let world = session.world();
    let flows = session.flows();
    let mut found: BTreeMap<(Kind, Key), (u64, u64)> = BTreeMap::new();
    if flows.is_empty() {
        return found;
    }
    let services = world.objects(Kind::Service);
    for flow in &flows {
        let service = services.iter().find(|service| service.key() == flow.spec.service);
        let Some(Object::Service(service)) = service.map(|service| &**service) else { continue };
        for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Job] {
            let objects = world.objects(kind);
            for object in objects.iter().filter(|object| object.meta().namespace == flow.spec.service.namespace) {
                let labels = &json::to_json(object)["spec"]["template"]["metadata"]["labels"];
                let labels = labels.as_object().into_iter().flatten();
                let labels =
                    labels.filter_map(|(key, value)| Some(((&**key).into(), value.as_str()?.into()))).collect();
                if service.compiled.0.matches(&labels) {
                    let sum = found.entry((kind, object.key())).or_default();
                    sum.0 += flow.tally.sent;
                    sum.1 += flow.tally.lost();
                }
            }
        }
    }
    found
}

/// A workload's states: from when to when, how many pods are desired, how many are available.
fn spans(followed: &Followed, end: Nanos) -> impl Iterator<Item = (Nanos, Nanos, i64, i64)> {
    let ends = followed.steps.iter().skip(1).map(|step| step.0).chain([end]);
    followed.steps.iter().zip(ends).map(|(step, to)| (step.0, to.max(step.0), step.1, step.2))
}

/// How a workload is called.
fn label(kind: Kind, key: &Key) -> String {
    let name = format!("{}/{}", kind.name().to_lowercase(), key.name);
    if &*key.namespace == "default" { name } else { format!("{name} ({})", key.namespace) }
}

/// How long after its end what shows may still be a fault's doing.
const LATE: Nanos = 60_000_000_000;

/// Whether workloads lost pods by a fault, and when all had back what they had lost: more are missing while it lasts, or within a minute
/// after, than before it began. A node is found to be gone late; what was missing before is not its doing.
fn recovery<'a>(
    workloads: impl Iterator<Item = &'a Followed>,
    began: Nanos,
    ended: Nanos,
    end: Nanos,
) -> (bool, Option<Nanos>) {
    let missing = |span: &(Nanos, Nanos, i64, i64)| (span.2 - span.3).max(0);
    let (mut degraded, mut last) = (false, Some(0));
    for one in workloads {
        let all: Vec<_> = spans(one, end).filter(|span| span.0 < span.1).collect();
        let before = all.iter().rev().find(|span| span.0 + 1 < began).map_or(0, missing);
        let worse = |span: &(Nanos, Nanos, i64, i64)| {
            span.0 + 1 >= began && span.0 <= ended.saturating_add(LATE) && missing(span) > before
        };
        let Some(first) = all.iter().position(worse) else { continue };
        degraded = true;
        let back = all.iter().skip(first).find(|span| missing(span) <= before).map(|span| span.0);
        last = last.zip(back).map(|(last, back)| last.max(back));
    }
    (degraded, last.filter(|_| degraded))
}

/// When etcd lost its leader or got another one. [ns]
fn etcd_leaders(session: &Session) -> Vec<Nanos> {
    let (_, spells) = session.sampler().finished(session.world());
    spells.iter().skip(1).filter(|spell| spell.leader.is_some()).map(|spell| spell.from).collect()
}

/// The first sign of a fault, and in what it showed.
fn detection(
    fault: &Struck,
    began: Nanos,
    world: &World,
    signals: &[Signal],
    etcd_leaders: &[Nanos],
) -> Option<(Nanos, String)> {
    let setup = world.setup();
    let mut struck: Vec<Endpoint> = fault.parts.iter().flat_map(Fault::strikes).flatten().collect();
    struck.sort_unstable();
    struck.dedup();
    // The API server is one end of most links; who is cut off is the other one.
    if struck.iter().any(|place| !matches!(place, Endpoint::ApiServer(_))) {
        struck.retain(|place| !matches!(place, Endpoint::ApiServer(_)));
    }
    let concerns = |signal: &Signal| {
        struck.iter().any(|place| match (place, &signal.about) {
            (Endpoint::Kubelet(node), About::Node(name)) => {
                setup.nodes.get(*node as usize).is_some_and(|node| node.name == *name)
            }
            (Endpoint::Scheduler(_), About::Leader(lease)) => &**lease == "kube-scheduler",
            (Endpoint::ControllerManager(_), About::Leader(lease)) => &**lease == "kube-controller-manager",
            (Endpoint::ApiServer(_), _) => true,
            _ => false,
        })
    };
    let from = signals.partition_point(|signal| signal.at < began);
    let seen = signals.get(from..).unwrap_or_default().iter().find(|signal| concerns(signal));
    let seen = seen.map(|signal| (signal.at, signal.text.clone()));
    let of_etcd = struck.iter().any(|place| matches!(place, Endpoint::Etcd(_)));
    let leader =
        etcd_leaders.iter().find(|at| of_etcd && **at >= began).map(|at| (*at, "new leader of etcd".to_owned()));
    seen.into_iter().chain(leader).min()
}

/// [s], to the millisecond.
fn seconds(nanos: Nanos) -> f64 {
    ((nanos + 500_000) / 1_000_000) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Overrides;
    use serde_json::json;

    const S: Nanos = 1_000_000_000;

    fn session() -> Session {
        let node = |name: &str, zone: &str| json!({"name": name, "labels": {"topology.kubernetes.io/zone": zone}});
        let spec = json!({"nodes": [node("a-1", "a"), node("b-1", "b"), node("b-2", "b")]});
        let mut session = Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        let words = ["create", "deployment", "web", "--image=nginx:1.25", "--replicas=6"].map(String::from);
        session.start_kubectl(words.to_vec(), None);
        session.run_until(30 * S);
        session
    }

    #[test]
    fn a_zone_that_is_lost_is_noticed_and_made_up_for() {
        let mut session = session();
        assert!(report(&session).is_none());
        assert_eq!(session.crash("zone/b", false), Ok("zone/b loses its power".to_owned()));
        session.run_until(500 * S);
        session.restart("zone/b").unwrap();
        session.run_until(600 * S);
        let report = report(&session).unwrap();
        let fault = &report.faults[0];
        assert_eq!((fault.fault.as_str(), fault.began, fault.ended), ("zone/b down", 30.0, Some(500.0)));
        assert!(fault.detected_after.is_some_and(|after| (35.0..60.0).contains(&after)), "{fault:?}");
        assert!(fault.detected_by.as_deref().is_some_and(|by| by.contains("b-")), "{fault:?}");
        assert!(fault.recovered_after.is_some_and(|after| (330.0..370.0).contains(&after)), "{fault:?}");
        let web = &report.workloads[0];
        assert_eq!((web.workload.as_str(), web.desired, web.available), ("deployment/web", 6, 6));
        assert!(web.below_desired > 330.0 && web.without_any == 0.0, "{web:?}");
        assert!(web.lowest_available == 6 - web.pods_evicted as i64 && web.pods_created == web.pods_evicted, "{web:?}");
        assert!(text(&report).contains("deployment/web") && chart(&session, "x").is_some());
    }

    #[test]
    fn following_changes_nothing_and_a_fork_follows_as_the_run_does() {
        let mut session = session();
        let mut world = session.world().clone();
        session.crash("node/b-1", false).unwrap();
        world.begin_fault("node/b-1 down", vec![Fault::NoPower(1)]);
        let mut fork = session.clone();
        for session in [&mut session, &mut fork] {
            session.run_until(400 * S);
        }
        world.run_until(session.world().now());
        assert_eq!(world.trace().fingerprint(), session.world().trace().fingerprint());
        let json = |session: &Session| serde_json::to_string(&report(session)).unwrap_or_default();
        assert!(json(&session) == json(&fork) && json(&session).contains("deployment/web"));
    }

    #[test]
    fn a_fault_answers_for_what_it_made_worse_and_until_that_is_made_up_for() {
        // Always two short, four between 100 and 200 s; and one that is short by itself from 20 to 30 s.
        let at = |steps: &[(Nanos, i64, i64)]| {
            let mut one = Followed::default();
            one.steps.extend(steps.iter().map(|step| (step.0 * S, step.1, step.2)));
            one
        };
        let hungry = at(&[(0, 5, 3), (100, 5, 1), (200, 5, 3)]);
        let other = at(&[(0, 3, 3), (20, 3, 2), (30, 3, 3)]);
        let of = |began: Nanos, ended: Nanos, end: Nanos| {
            recovery([&hungry, &other].into_iter(), began * S, ended * S, end * S)
        };
        assert_eq!(of(20, 25, 300), (true, Some(30 * S)), "what was short before is not its doing");
        assert_eq!(of(32, 35, 300), (false, None), "what comes a minute after its end is not, either");
        assert_eq!(of(100, 110, 300), (true, Some(200 * S)));
        assert_eq!(of(100, 110, 150), (true, None), "not yet");
    }
}
