//! Faults that chance brings: each kind of thing fails after a time that is drawn, is repaired after another, and fails again.
//!
//! Both times are exponential, as if failures had no memory. A draw's address is the kind of fault, what it strikes and how often it
//! has been struck, so another kind or another node changes nothing of the rest. Everything is drawn when `chaos` is called: what
//! happens in the run changes no plan.

use super::hints;
use crate::session::{DiskSpeed, Nanos, Session};
use serde_json::Value;
use wavetank_engine::kernel::{Duration, Luck};
use wavetank_engine::process::Process;
use wavetank_engine::setup::Setup;

/// What the reference says of `chaos`.
pub(super) const SUMMARY: &str = "Lets things fail by chance from now on: `KIND_mtbf` is the mean time from a repair to the next failure \
    of each of the kind, `KIND_mttr` the mean time to its repair; both are drawn from exponential distributions, by the run's seed \
    (`seed: 7` draws others for the same run). The kinds are `node` (a machine loses its power; 10m), `kubelet` (it is killed; 1m), `etcd` \
    (a member is killed; 1m), `apiserver`, `scheduler`, `controller_manager` (one is killed; 30s), `link` (a node is cut off from every \
    API server; 2m), `zone` (all nodes of a zone lose their power; 15m) and `disk_slow` (the disk of a member of etcd, to \
    `disk_slow_fsync`, 100ms; 5m), in brackets what their `_mttr` is if it is left out. `to` is when the last one begins, counted from \
    the start of the script; without it, an hour from now. Each fault ends like one of `during`.";

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Node,
    Kubelet,
    Etcd,
    ApiServer,
    Scheduler,
    ControllerManager,
    Link,
    Zone,
    DiskSlow,
}

const S: Nanos = 1_000_000_000;
/// The kinds with the first part of their keys and their usual mean time to repair. [ns]
const KINDS: [(Kind, &str, Nanos); 9] = [
    (Kind::Node, "node", 600 * S),
    (Kind::Kubelet, "kubelet", 60 * S),
    (Kind::Etcd, "etcd", 60 * S),
    (Kind::ApiServer, "apiserver", 30 * S),
    (Kind::Scheduler, "scheduler", 30 * S),
    (Kind::ControllerManager, "controller_manager", 30 * S),
    (Kind::Link, "link", 120 * S),
    (Kind::Zone, "zone", 900 * S),
    (Kind::DiskSlow, "disk_slow", 300 * S),
];
/// How long chaos lasts if nobody says. [ns]
const LENGTH: Nanos = 3_600 * S;
/// The shortest time that is drawn. [ns]
const SHORTEST: Nanos = 1_000_000;
/// Most faults of one call.
const MOST: usize = 100_000;

/// What a script wants to fail, and how often.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Kind, mean time between failures, mean time to repair. [ns]
    kinds: Vec<(Kind, &'static str, Nanos, Nanos)>,
    until: Option<Nanos>,
    fsync: Nanos,
    seed: u64,
}

/// A fault to come.
#[derive(Clone, Debug)]
pub(super) struct ChaosFault {
    kind: Kind,
    target: String,
    /// When it is over. [ns since the script's time zero]
    pub until: Nanos,
    fsync: Nanos,
}

impl Wanted {
    /// Reads the map given to `chaos`; the error is for the user.
    pub fn read(value: &Value) -> Result<Wanted, String> {
        let empty = serde_json::Map::new();
        let map = value.as_object().unwrap_or(&empty);
        let known: Vec<String> =
            KINDS.iter().flat_map(|(_, name, _)| [format!("{name}_mtbf"), format!("{name}_mttr")]).collect();
        let others = ["to", "until", "seed", "disk_slow_fsync"];
        for key in map.keys() {
            if !known.contains(key) && !others.contains(&key.as_str()) {
                let keys = known.iter().map(String::as_str).chain(others);
                let hint = hints::did_you_mean(key, keys.clone())
                    .unwrap_or_else(|| format!("the keys are {}", keys.collect::<Vec<_>>().join(", ")));
                return Err(format!("`chaos` knows no `{key}`\n{hint}"));
            }
        }
        let mut kinds = Vec::new();
        for (kind, name, usual) in KINDS {
            let mtbf = length(map, &format!("{name}_mtbf"))?;
            let mttr = length(map, &format!("{name}_mttr"))?;
            match (mtbf, mttr) {
                (Some(mtbf), mttr) => kinds.push((kind, name, mtbf, mttr.unwrap_or(usual))),
                (None, Some(_)) => {
                    return Err(format!(
                        "`{name}_mttr` says how long a repair takes, but not how often anything fails\nadd {name}_mtbf: \"2h\""
                    ));
                }
                (None, None) => {}
            }
        }
        if kinds.is_empty() {
            return Err("`chaos` is not told what is to fail\nwrite for instance: chaos(#{ node_mtbf: \"2h\", node_mttr: \"10m\" })".to_owned());
        }
        let seed = match map.get("seed") {
            None => 0,
            Some(seed) => {
                seed.as_u64().ok_or_else(|| format!("`seed` must be a whole number from 0 on, not {seed}"))?
            }
        };
        let fsync = length(map, "disk_slow_fsync")?.unwrap_or(100_000_000);
        Ok(Wanted { kinds, until: length(map, "to")?.or(length(map, "until")?), fsync, seed })
    }

    /// When the last fault begins, at most. [ns since the script's time zero]
    pub fn until(&self, now: Nanos) -> Nanos {
        self.until.unwrap_or_else(|| now.saturating_add(LENGTH))
    }

    /// Draws everything that is to fail, in the order of kinds and targets; the error is for the user.
    pub fn draw(&self, session: &Session) -> Result<Vec<(Nanos, ChaosFault)>, String> {
        let (now, setup) = (session.now(), session.world().setup().clone());
        let until = self.until(now);
        if until <= now {
            let (until, now) = (super::duration::text(until), super::duration::text(now));
            return Err(format!(
                "`chaos` is to end at {until}, but it is {now} already\n`to` counts from the start of the script"
            ));
        }
        let mut faults = Vec::new();
        for (kind, name, mtbf, mttr) in &self.kinds {
            let targets = targets(*kind, session);
            if targets.is_empty() && *kind == Kind::Zone {
                return Err("no node has a zone that could fail\ngive the nodes one: labels: #{ \"topology.kubernetes.io/zone\": \"a\" }".to_owned());
            }
            for target in targets {
                let (mut at, mut counter) = (now, 0);
                loop {
                    let address =
                        |purpose| setup.luck("chaos", purpose, &format!("{name}/{target}"), self.seed << 32 | counter);
                    at = at.saturating_add(time(*mtbf, address("failure")));
                    if at >= until {
                        break;
                    }
                    let over = at.saturating_add(time(*mttr, address("repair")));
                    faults
                        .push((at, ChaosFault { kind: *kind, target: target.clone(), until: over, fsync: self.fsync }));
                    if faults.len() > MOST {
                        return Err(format!(
                            "`chaos` would bring more than {MOST} faults\nmake the _mtbf longer, or `to` sooner"
                        ));
                    }
                    (at, counter) = (over, counter + 1);
                }
            }
        }
        Ok(faults)
    }
}

impl ChaosFault {
    /// Breaks it; the answer is for the transcript.
    pub fn begin(&self, session: &mut Session) -> Result<String, String> {
        let name = self.target.as_str();
        match self.kind {
            Kind::Node | Kind::Zone | Kind::Kubelet | Kind::Etcd => session.crash(name, false),
            Kind::ApiServer | Kind::Scheduler | Kind::ControllerManager => session.crash(name, false),
            Kind::Link => {
                let setup = session.world().setup().clone();
                let servers: Vec<String> = api_servers(&setup).collect();
                let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
                session.cut(&[name], &servers, true)
            }
            Kind::DiskSlow => {
                session.disk(name, DiskSpeed { fsync: Some(Duration::from_nanos(self.fsync)), bandwidth: None })
            }
        }
    }
}

/// A time of this mean. [ns]
fn time(mean: Nanos, mut luck: Luck) -> Nanos {
    luck.exponential(Duration::from_nanos(mean)).as_nanos().max(SHORTEST)
}

/// What can fail of a kind, by the names that faults take.
fn targets(kind: Kind, session: &Session) -> Vec<String> {
    let setup = session.world().setup();
    let of = |which: fn(&Process) -> bool| {
        Process::control_plane(setup).filter(which).map(|process| process.name(setup)).collect()
    };
    match kind {
        Kind::Node => setup.nodes.iter().map(|node| format!("node/{}", node.name)).collect(),
        Kind::Kubelet | Kind::Link => setup.nodes.iter().map(|node| node.name.to_string()).collect(),
        Kind::Etcd | Kind::DiskSlow => {
            (0..session.world().etcd().len()).map(|member| format!("etcd-{member}")).collect()
        }
        Kind::ApiServer => of(|process| matches!(process, Process::ApiServer(_))),
        Kind::Scheduler => of(|process| matches!(process, Process::Scheduler(_))),
        Kind::ControllerManager => of(|process| matches!(process, Process::ControllerManager(_))),
        Kind::Zone => session.zones().iter().map(|zone| format!("zone/{zone}")).collect(),
    }
}

fn api_servers(setup: &Setup) -> impl Iterator<Item = String> {
    Process::control_plane(setup)
        .filter(|process| matches!(process, Process::ApiServer(_)))
        .map(|process| process.name(setup))
}

/// A length of time in the map. [ns]
fn length(map: &serde_json::Map<String, Value>, key: &str) -> Result<Option<Nanos>, String> {
    let Some(value) = map.get(key) else { return Ok(None) };
    let text = value.as_str().ok_or_else(|| format!("`{key}` must be a duration such as \"10m\", not {value}"))?;
    match super::duration::parse(text) {
        Ok(0) => Err(format!("`{key}` must be longer than nothing")),
        Ok(length) => Ok(Some(length)),
        Err(problem) => Err(format!("`{key}`: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Overrides;
    use serde_json::json;

    fn session(nodes: usize) -> Session {
        let spec = json!({"nodes": nodes, "etcd": 3});
        Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn drawn(map: &Value, session: &Session) -> Vec<(Nanos, String, Nanos)> {
        let wanted = Wanted::read(map).unwrap_or_else(|error| panic!("{error}"));
        let faults = wanted.draw(session).unwrap_or_else(|error| panic!("{error}"));
        faults.into_iter().map(|(at, fault)| (at, fault.target, fault.until)).collect()
    }

    #[test]
    fn another_kind_or_node_leaves_the_luck_of_the_rest_alone() {
        let (small, large) = (session(2), session(3));
        let alone = drawn(&json!({"node_mtbf": "10m", "to": "10h"}), &small);
        let with = drawn(&json!({"etcd_mtbf": "10m", "node_mtbf": "10m", "to": "10h"}), &large);
        assert!(alone.len() > 20, "{}", alone.len());
        assert!(alone.iter().all(|fault| with.contains(fault)));
        assert!(with.iter().any(|(_, target, _)| target == "node/worker-3") && with.len() > 2 * alone.len());
        assert_ne!(alone, drawn(&json!({"node_mtbf": "10m", "to": "10h", "seed": 1}), &small));
    }

    #[test]
    fn means_are_those_asked_for_and_nothing_fails_while_it_is_broken() {
        let faults = drawn(&json!({"scheduler_mtbf": "1m", "scheduler_mttr": "20s", "to": "40h"}), &session(1));
        assert!(faults.windows(2).all(|pair| pair[0].2 < pair[1].0));
        let repair: u64 = faults.iter().map(|(at, _, over)| over - at).sum::<u64>() / faults.len() as u64 / S;
        assert!((18..=22).contains(&repair), "{repair}");
        let count = faults.len();
        assert!((1_700..1_900).contains(&count), "{count}");
    }

    #[test]
    fn a_map_that_means_nothing_is_answered() {
        let error = |map: Value| Wanted::read(&map).err().unwrap_or_default();
        assert!(error(json!({"node_mtfb": "2h"})).contains("did you mean `node_mtbf`?"));
        assert!(error(json!({"node_mttr": "2h"})).contains("node_mtbf"));
        assert!(error(json!({"node_mtbf": 2})).contains("must be a duration"));
        assert!(error(json!({"until": "2h"})).contains("what is to fail"));
        let wanted = Wanted::read(&json!({"zone_mtbf": "2h"})).unwrap();
        assert!(wanted.draw(&session(1)).is_err_and(|text| text.contains("topology.kubernetes.io/zone")));
    }
}
