//! Faults by the names people use, and what undoes them.
//!
//! A fault that begins within a scope ([`Session::open_scope`]) belongs to it: when the scope's time is over, it is undone, and nothing
//! else is ([`Session::end_faults`]). All faults begin in [`Session::begin_fault`], so that a new kind has its scope for nothing; how to add
//! one says [`wavetank_engine::faults`].

use wavetank_engine::faults::{DropWhen, Fault, FaultId};
use wavetank_engine::kernel::{Duration, Endpoint, Trouble};
use wavetank_engine::process::Process;

use super::Session;
use super::places::NODE;
use crate::script::duration::text as time;

/// A disk as a script describes it; what is `None` is as the profile says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskSpeed {
    /// The median of an fsync.
    pub fsync: Option<Duration>,
    /// Bytes written a second.
    pub bandwidth: Option<u64>,
}

/// Faults that are undone together; those of plain calls belong to nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes {
    /// The scopes that are open, one inside the other; `None` keeps what is begun from the scope around it.
    open: Vec<Option<Vec<FaultId>>>,
    /// Everything that ever belonged to a scope.
    owned: std::collections::BTreeSet<FaultId>,
}

impl Session {
    /// From now on faults belong to a scope of their own, or, with `owns` false, to none.
    pub fn open_scope(&mut self, owns: bool) {
        self.scopes.open.push(owns.then(Vec::new));
    }

    /// Ends what [`Session::open_scope`] began; the answer are the faults that belong to the scope.
    pub fn close_scope(&mut self) -> Vec<FaultId> {
        self.scopes.open.pop().flatten().unwrap_or_default()
    }

    /// Undoes faults; the answer are the names of those that were still in force.
    pub fn end_faults(&mut self, faults: &[FaultId]) -> Vec<String> {
        let mut over = Vec::new();
        for id in faults {
            let name = self.world.faults_in_force().find(|(other, ..)| other == id).map(|(_, name, _)| name.to_owned());
            self.world.end_fault(*id);
            self.follower.look(&self.world, self.zero);
            over.extend(name.filter(|name| !name.is_empty()));
        }
        over
    }

    /// Breaks something: the one place where faults begin.
    pub fn begin_fault(&mut self, name: &str, parts: Vec<Fault>) -> FaultId {
        let id = self.world.begin_fault(name, parts);
        self.follower.look(&self.world, self.zero);
        if let Some(Some(scope)) = self.scopes.open.last_mut() {
            scope.push(id);
            self.scopes.owned.insert(id);
        }
        id
    }

    /// Whether a scope is open, whose faults are undone later.
    fn scoped(&self) -> bool {
        matches!(self.scopes.open.last(), Some(Some(_)))
    }

    /// Ends faults of plain calls that a new call replaces: those whose parts are all of this kind.
    pub(super) fn replace(&mut self, which: impl Fn(&Fault) -> bool) {
        if self.scoped() {
            return;
        }
        let faults = self.world.faults_in_force();
        let over = faults.filter(|(id, _, parts)| !self.scopes.owned.contains(id) && parts.iter().all(&which));
        let over: Vec<FaultId> = over.map(|(id, ..)| id).collect();
        for id in over {
            self.world.end_fault(id);
        }
    }

    /// Another node joins the cluster: a map as in the cluster's `nodes`.
    pub fn add_node(&mut self, value: &serde_json::Value) -> Result<String, String> {
        let spec = crate::spec::node(self.world().setup().nodes.len(), value)?;
        let name = spec.name.clone();
        match self.world.add_node(spec) {
            Some(_) => Ok(format!("{name} joins")),
            None => Err(format!("there is a node `{name}` already")),
        }
    }

    /// Ends a process or each of a group, which stay away until they are started again; `gently` is SIGTERM, else SIGKILL. Whole
    /// nodes, `node/worker-2` or `zone/a`, lose their power: their containers are gone as well.
    pub fn crash(&mut self, name: &str, gently: bool) -> Result<String, String> {
        if let Some(nodes) = self.machines(name) {
            return self.lose_power(name, nodes?, gently);
        }
        let processes = self.processes_of(name)?;
        if !self.scoped() && !processes.iter().any(|process| self.world.is_running(*process)) {
            return Err(format!("`{name}` does not run\nstart it with restart(\"{name}\")"));
        }
        let down = self.down(&processes, name);
        self.begin_fault(&down, processes.into_iter().map(|process| Fault::Down { process, gently }).collect());
        Ok(format!("{name} {}", if gently { "is told to stop (SIGTERM)" } else { "is killed (SIGKILL)" }))
    }

    /// Nodes lose their power.
    fn lose_power(&mut self, name: &str, nodes: Vec<u32>, gently: bool) -> Result<String, String> {
        if gently {
            let texts: Result<Vec<String>, String> = nodes.iter().map(|node| self.shut_down_node(*node)).collect();
            return Ok(texts?.join("\n"));
        }
        self.begin_fault(&format!("{name}{DOWN}"), nodes.into_iter().map(Fault::NoPower).collect());
        Ok(format!("{name} loses its power"))
    }

    /// Starts a process or a group again; from then on it is supervised as before. Whole nodes, `node/worker-2`, boot.
    pub fn restart(&mut self, name: &str) -> Result<String, String> {
        let processes = self.processes_of(name.strip_prefix(NODE).unwrap_or(name))?;
        let supervised = self.world.setup().supervised;
        let machines = self.machines(name).transpose()?.unwrap_or_default();
        // A machine that shuts down boots when it is off. A process of it starts now, and ends with the machine all the same.
        let later: Vec<u32> = machines.into_iter().filter(|node| self.world.boot_after_shutdown(*node)).collect();
        let waits = |process: &Process| later.iter().any(|node| *process == Process::Kubelet(*node));
        let mut started = false;
        for process in processes.iter().filter(|process| !waits(process)) {
            if self.world.start(*process) {
                started = true;
                self.world.supervise(*process, supervised);
            }
        }
        if !started && later.is_empty() {
            return Err(format!("`{name}` runs already"));
        }
        let going_off: Vec<u32> = self.world.going_off().collect();
        self.world.mended(|part| {
            let goes_on = matches!(part, Fault::ShutDown(node) if going_off.contains(node) && !later.contains(node));
            !goes_on && processes.iter().any(|process| part.keeps_down(*process))
        });
        Ok(match (started, later.is_empty()) {
            (true, true) => format!("{name} is started"),
            (false, _) => format!("{name} boots as soon as it has shut down"),
            (true, false) => format!("{name} is started, machines that shut down as soon as they are off"),
        })
    }

    /// Holds a process up, or each of a group: it handles nothing until it is resumed.
    pub fn hang(&mut self, name: &str) -> Result<String, String> {
        let processes = self.processes_of(name)?;
        let can = |process: &Process| self.world.is_running(*process) && !self.world.is_hanging(*process);
        if !self.scoped() && !processes.iter().any(can) {
            return Err(match processes.iter().any(|process| self.world.is_running(*process)) {
                true => format!("`{name}` hangs already\nlet it go on with resume(\"{name}\")"),
                false => format!("`{name}` does not run\nstart it with restart(\"{name}\")"),
            });
        }
        let whose = kubelets(name);
        self.begin_fault(&format!("{whose}{HANGS}"), processes.into_iter().map(Fault::Hangs).collect());
        Ok(format!("{whose} hangs (SIGSTOP)"))
    }

    /// Lets a process that hangs, or each of a group, go on.
    pub fn resume(&mut self, name: &str) -> Result<String, String> {
        let processes = self.processes_of(name)?;
        let mut resumed = false;
        for process in &processes {
            resumed |= self.world.resume(*process);
        }
        if !resumed {
            return Err(format!("`{name}` does not hang"));
        }
        self.world.mended(|part| matches!(part, Fault::Hangs(process) if processes.contains(process)));
        Ok(format!("{} goes on (SIGCONT)", kubelets(name)))
    }

    /// The name of the fault that processes are down. A kubelet's has the process' own name, whatever a script calls it.
    fn down(&self, processes: &[Process], name: &str) -> String {
        match processes {
            [process @ Process::Kubelet(_)] => format!("{}{DOWN}", process.name(self.world.setup())),
            _ => format!("{name}{DOWN}"),
        }
    }

    /// Cuts every link from one of `from` to one of `to`, and with `both` the ways back.
    pub fn cut(&mut self, from: &[&str], to: &[&str], both: bool) -> Result<String, String> {
        let pairs = self.pairs(from, to)?;
        let arrow = if both { "|" } else { "→" };
        let name = format!("cut {} {arrow} {}", from.join(", "), to.join(", "));
        let ways = |(a, b)| [Some(Fault::Cut { from: a, to: b }), both.then_some(Fault::Cut { from: b, to: a })];
        self.begin_fault(&name, pairs.into_iter().flat_map(ways).flatten().collect());
        Ok(name)
    }

    /// Makes every link between one of `a` and one of `b` lossy or slow, both ways.
    pub fn trouble(&mut self, a: &[&str], b: &[&str], trouble: Trouble, what: &str) -> Result<String, String> {
        let pairs = self.pairs(a, b)?;
        let name = format!("{what} {} – {}", a.join(", "), b.join(", "));
        if !self.scoped() {
            // What a plain call says of a link is from then on all that is wrong with it.
            let links = |part: &Fault| {
                let Fault::Link { from, to, .. } = part else { return false };
                pairs.contains(&(*from, *to)) || pairs.contains(&(*to, *from))
            };
            self.replace(links);
        }
        let ways = |(a, b)| [Fault::Link { from: a, to: b, trouble }, Fault::Link { from: b, to: a, trouble }];
        self.begin_fault(&name, pairs.iter().copied().flat_map(ways).collect());
        Ok(name)
    }

    /// Mends every link and every disk, and gives back every CPU and clock.
    pub fn heal(&mut self) -> String {
        let over = self.world.heal();
        match over.is_empty() {
            true => "nothing to mend".to_owned(),
            false => format!("mended: {}", over.join("; ")),
        }
    }

    /// Gives an etcd member another disk from now on.
    pub fn disk(&mut self, name: &str, speed: DiskSpeed) -> Result<String, String> {
        let member = self.member(name, "have a disk")?;
        self.replace(|part| matches!(part, Fault::Disk { member: other, .. } if *other == member));
        let (slower, narrower) = self.factors(speed);
        let fsync = speed.fsync.map(|fsync| format!("fsync {}", time(fsync.as_nanos())));
        let bandwidth = speed.bandwidth.map(|bytes| format!("{} MB/s", bytes / 1_000_000));
        let what: Vec<String> = fsync.into_iter().chain(bandwidth).collect();
        let what = what.join(", ");
        let part = Fault::Disk { member, slower, narrower };
        if slower <= 1.0 && narrower <= 1.0 {
            let what = if what.is_empty() { "the profile's".to_owned() } else { what };
            self.begin_fault("", vec![part]);
            return Ok(format!("disk of {name}: {what}"));
        }
        let fault = format!("slow disk of {name} ({what})");
        self.begin_fault(&fault, vec![part]);
        Ok(fault)
    }

    /// Leaves no space on the disk of a member of etcd, or of each.
    pub fn full_disk(&mut self, name: &str) -> Result<String, String> {
        let members: Vec<u8> = match self.endpoints(name)?.into_iter().map(etcd_member).collect() {
            Some(members) => members,
            None => vec![self.member(name, "have a disk")?],
        };
        let fault = format!("full disk of {name}");
        self.begin_fault(&fault, members.into_iter().map(Fault::FullDisk).collect());
        Ok(fault)
    }

    /// Gives a process, or each of a group, a CPU on which everything takes `factor` times as long; 1 is the profile's.
    pub fn slow_cpu(&mut self, name: &str, factor: f64) -> Result<String, String> {
        let processes = self.processes_of(name)?;
        self.replace(|part| matches!(part, Fault::Cpu { process, .. } if processes.contains(process)));
        let hundredths = (factor * 100.0).round() as u64;
        let parts = processes.iter().map(|process| Fault::Cpu { process: *process, hundredths }).collect();
        if factor <= 1.0 {
            self.begin_fault("", parts);
            return Ok(format!("CPU of {name}: the profile's"));
        }
        let fault = format!("slow CPU of {name} (×{factor})");
        self.begin_fault(&fault, parts);
        Ok(fault)
    }

    /// Makes the clock of a process, or of each of a group, wrong by so many nanoseconds; 0 is right.
    pub fn clock_skew(&mut self, name: &str, by: i64) -> Result<String, String> {
        let processes = self.processes_of(name)?;
        if processes.iter().any(|process| matches!(process, Process::Etcd(_))) {
            return Err("etcd reads no clock: its leases and elections count time that has passed\n\
                        clocks matter to kube-apiserver, kube-controller-manager, kube-scheduler and nodes"
                .to_owned());
        }
        self.replace(|part| matches!(part, Fault::Clock { process, .. } if processes.contains(process)));
        let parts = processes.iter().map(|process| Fault::Clock { process: *process, by }).collect();
        if by == 0 {
            self.begin_fault("", parts);
            return Ok(format!("clock of {name}: right"));
        }
        let sign = if by < 0 { "-" } else { "+" };
        let fault = format!("clock of {name} {sign}{}", time(by.unsigned_abs()));
        self.begin_fault(&fault, parts);
        Ok(fault)
    }

    /// Makes what a client watches arrive late.
    pub fn watch_delay(&mut self, name: &str, by: Duration) -> Result<String, String> {
        let clients = self.watching(name)?;
        self.replace(|part| matches!(part, Fault::WatchDelay { client, .. } if clients.contains(client)));
        if by == Duration::ZERO {
            return Ok(format!("watches of {name}: in time"));
        }
        let fault = format!("watches of {name} late (+{})", time(by.as_nanos()));
        self.begin_fault(&fault, clients.into_iter().map(|client| Fault::WatchDelay { client, by }).collect());
        Ok(fault)
    }

    /// Breaks the watches of a client again and again.
    pub fn watch_drop(&mut self, name: &str, when: DropWhen, expired: bool) -> Result<String, String> {
        let clients = self.watching(name)?;
        self.replace(|part| matches!(part, Fault::WatchDrop { client, .. } if clients.contains(client)));
        let often = match when {
            DropWhen::Every(every) => format!("every {}", time(every.as_nanos())),
            DropWhen::Share(share) => format!("{} % of deliveries", (share * 1e6).round() / 1e4),
        };
        let how = if expired { "expire" } else { "break" };
        let fault = format!("watches of {name} {how} ({often})");
        let part = |client| Fault::WatchDrop { client, when, expired };
        self.begin_fault(&fault, clients.into_iter().map(part).collect());
        Ok(fault)
    }

    /// Clients of the API server that watch.
    fn watching(&self, name: &str) -> Result<Vec<Endpoint>, String> {
        let clients = self.endpoints(name)?;
        match clients.iter().any(|client| matches!(client, Endpoint::Etcd(_) | Endpoint::ApiServer(_))) {
            true => Err(format!(
                "`{name}` is no client of the API server\nkube-scheduler, kube-controller-manager and nodes watch it"
            )),
            false => Ok(clients),
        }
    }

    fn member(&self, name: &str, what: &str) -> Result<u8, String> {
        let members = self.world().etcd().len();
        self.etcd_number(name).ok_or_else(|| match self.endpoints(name) {
            Ok(_) => format!("only members of etcd {what}: etcd-0 to etcd-{}", members.saturating_sub(1)),
            Err(text) => text,
        })
    }

    /// How much slower and narrower a disk is than the profile's.
    fn factors(&self, speed: DiskSpeed) -> (f64, f64) {
        let costs = &self.world.setup().profile.etcd.costs;
        let (fsync, per_kib) = (costs.fsync.median(), costs.fsync_per_kib);
        let slower = speed.fsync.map_or(1.0, |wanted| wanted.as_millis_f64() / fsync.as_millis_f64().max(1e-6));
        let narrower = speed.bandwidth.map_or(1.0, |bytes| {
            let ms = 1_024.0 * 1_000.0 / bytes.max(1) as f64;
            ms / per_kib.as_millis_f64().max(1e-9)
        });
        (slower, narrower)
    }

    /// What is cut off with a whole node: its kube-proxy, if it has one.
    fn with_proxies(&self, name: &str, mut places: Vec<Endpoint>) -> Vec<Endpoint> {
        if !name.starts_with("kubelet/") {
            let nodes: Vec<u32> = places.iter().copied().filter_map(node).collect();
            places.extend(self.world().proxies().filter(|proxy| nodes.contains(proxy)).map(Endpoint::Proxy));
        }
        places
    }

    /// Every link between one of these and one of those; what is in both groups has no link to itself.
    fn pairs(&self, from: &[&str], to: &[&str]) -> Result<Vec<(Endpoint, Endpoint)>, String> {
        let mut pairs = Vec::new();
        for a in from {
            let these = self.with_proxies(a, self.endpoints(a)?);
            for b in to {
                let those = self.with_proxies(b, self.endpoints(b)?);
                let all = these.iter().flat_map(|a| those.iter().map(|b| (*a, *b)));
                let before = pairs.len();
                pairs.extend(all.filter(|(a, b)| a != b));
                if pairs.len() == before {
                    return Err(match a == b {
                        true => format!("`{a}` has no link to itself"),
                        false => format!("`{a}` and `{b}` are the same: there is no link between them"),
                    });
                }
            }
        }
        Ok(pairs)
    }
}

fn node(endpoint: Endpoint) -> Option<u32> {
    if let Endpoint::Kubelet(node) = endpoint { Some(node) } else { None }
}

fn etcd_member(endpoint: Endpoint) -> Option<u8> {
    if let Endpoint::Etcd(member) = endpoint { Some(member) } else { None }
}

/// How the name of a fault ends that a start ends, not `heal`.
pub(super) const DOWN: &str = " down";
/// How the name of a fault ends that `resume` ends.
const HANGS: &str = " hangs";

/// What hangs where somebody names a machine or a zone: a machine does not stop when its kubelet does.
fn kubelets(name: &str) -> String {
    match name.split_once('/') {
        Some(("node", node)) => format!("kubelet/{node}"),
        Some(("zone", zone)) => format!("each kubelet of zone/{zone}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Nanos, Overrides};
    use serde_json::json;

    fn session() -> Session {
        let spec = json!({"nodes": 2, "etcd": 3});
        Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// How long a write takes, kubectl's start included. [ns]
    fn write(session: &mut Session, name: &str) -> Nanos {
        let began = session.now();
        let process = session.start_kubectl(["create", "namespace", name].map(String::from).to_vec(), None);
        while session.poll(process).is_none() {
            assert!(session.step(), "nothing left to happen");
        }
        session.now() - began
    }

    #[test]
    fn names_are_those_people_use_and_a_wrong_one_is_answered() {
        let session = session();
        assert_eq!(session.endpoint("etcd-2"), Ok(Endpoint::Etcd(2)));
        assert_eq!(session.endpoint("worker-2"), Ok(Endpoint::Kubelet(1)));
        let text = session.endpoint("kube-api-server").err().unwrap_or_default();
        assert!(text.contains("there is no `kube-api-server`") && text.contains("did you mean"), "{text}");
        assert!(session.endpoint("etcd-3").is_err());
    }

    #[test]
    fn a_cut_is_in_force_until_it_is_healed() {
        let mut session = session();
        assert_eq!(session.cut(&["etcd-0"], &["etcd-1", "etcd-2"], true), Ok("cut etcd-0 | etcd-1, etcd-2".to_owned()));
        assert!(session.cut(&["etcd-0"], &["etcd-0"], true).is_err());
        assert_eq!(session.world().faults().collect::<Vec<_>>(), ["cut etcd-0 | etcd-1, etcd-2"]);
        assert_eq!(session.world().unhealthy_links().len(), 4);
        assert_eq!(session.heal(), "mended: cut etcd-0 | etcd-1, etcd-2");
        assert_eq!((session.world().faults().count(), session.world().unhealthy_links().len()), (0, 0));
        assert_eq!(session.heal(), "nothing to mend");
    }

    #[test]
    fn what_hangs_goes_on_when_it_is_told_to() {
        let mut session = session();
        assert_eq!(session.hang("kube-scheduler"), Ok("kube-scheduler hangs (SIGSTOP)".to_owned()));
        assert!(session.hang("kube-scheduler").is_err_and(|text| text.contains("resume(\"kube-scheduler\")")));
        assert_eq!(session.heal(), "nothing to mend");
        assert_eq!(session.world().faults().collect::<Vec<_>>(), ["kube-scheduler hangs"]);
        assert_eq!(session.resume("kube-scheduler"), Ok("kube-scheduler goes on (SIGCONT)".to_owned()));
        assert!(session.resume("kube-scheduler").is_err());
        assert!(session.hang("worker-1").is_ok() && session.crash("worker-1", false).is_ok());
        assert_eq!(session.world().faults().collect::<Vec<_>>(), ["kubelet/worker-1 down"]);
        assert!(session.hang("worker-1").is_err_and(|text| text.contains("does not run")));
        assert_eq!(session.slow_cpu("kube-apiserver", 2.5), Ok("slow CPU of kube-apiserver (×2.5)".to_owned()));
        assert_eq!(session.heal(), "mended: slow CPU of kube-apiserver (×2.5)");
    }

    #[test]
    fn of_a_machine_only_the_kubelet_hangs() {
        let mut session = session();
        assert_eq!(session.hang("node/worker-1"), Ok("kubelet/worker-1 hangs (SIGSTOP)".to_owned()));
        assert_eq!(session.resume("node/worker-1"), Ok("kubelet/worker-1 goes on (SIGCONT)".to_owned()));
        assert_eq!(session.world().faults().count(), 0);
    }

    #[test]
    fn a_machine_that_is_started_again_starts_its_proxy_unless_a_fault_keeps_that_down() {
        let spec = json!({"nodes": 2, "kube_proxy": true});
        let mut session = Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        let later = |session: &mut Session| session.run_until(session.now() + 10_000_000_000);
        let runs = |session: &Session, node: u32| session.world().is_running(Process::Proxy(node));
        later(&mut session);
        assert!(runs(&session, 0) && runs(&session, 1));
        assert!(session.crash("kube-proxy/worker-2", false).is_ok());
        for node in ["node/worker-1", "node/worker-2"] {
            assert!(session.crash(node, false).is_ok());
            later(&mut session);
            assert!(session.restart(node).is_ok());
        }
        later(&mut session);
        assert!(runs(&session, 0), "it has come with its machine");
        assert!(!runs(&session, 1), "it was killed by itself, and nobody has started it");
        assert!(session.restart("kube-proxy/worker-2").is_ok() && runs(&session, 1));
    }

    #[test]
    fn who_is_to_run_again_during_a_shutdown_boots_after_it() {
        let spec = json!({"nodes": 1, "kubelet": {"shutdown_grace_period": "20s"}});
        let mut session = Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        let later = |session: &mut Session, seconds: u64| session.run_until(session.now() + seconds * 1_000_000_000);
        let faults = |session: &Session| session.world().faults().map(str::to_owned).collect::<Vec<_>>();
        later(&mut session, 5);
        assert!(session.shut_down("worker-1").is_ok());
        assert!(session.crash("worker-1", false).is_ok(), "its kubelet is killed, and nothing holds the machine up");
        assert_eq!(session.restart("worker-1"), Ok("worker-1 is started".to_owned()));
        assert_eq!(
            faults(&session),
            ["node/worker-1 shuts down"],
            "the kubelet runs, the machine goes off all the same"
        );
        later(&mut session, 5);
        assert_eq!((session.world().boots(0), faults(&session).len()), (Some(1), 1));
        assert_eq!(session.restart("node/worker-1"), Ok("node/worker-1 is started".to_owned()));
        later(&mut session, 5);
        assert!(session.shut_down("worker-1").is_ok());
        let boots = Ok("node/worker-1 boots as soon as it has shut down".to_owned());
        assert_eq!(session.restart("node/worker-1"), boots);
        assert_eq!(faults(&session), Vec::<String>::new());
        later(&mut session, 30);
        assert_eq!(session.world().boots(0), Some(2));
        assert!(session.restart("node/worker-1").is_err(), "it runs");
    }

    #[test]
    fn a_slow_disk_is_slow_until_it_is_replaced() {
        let mut session = session();
        let quick = write(&mut session, "a");
        let speed = |ms| DiskSpeed { fsync: Some(Duration::from_millis(ms)), bandwidth: None };
        for member in ["etcd-0", "etcd-1", "etcd-2"] {
            assert_eq!(session.disk(member, speed(400)), Ok(format!("slow disk of {member} (fsync 400ms)")));
        }
        let slow = write(&mut session, "b");
        assert!(slow > quick + 200_000_000, "{slow} after {quick}");
        for member in ["etcd-0", "etcd-1", "etcd-2"] {
            assert_eq!(session.disk(member, speed(1)), Ok(format!("disk of {member}: fsync 1ms")));
        }
        session.run_until(session.now() + 5_000_000_000);
        let again = write(&mut session, "c");
        assert!(again < quick + 50_000_000, "{again} after {quick}");
        assert!(session.disk("worker-1", speed(1)).is_err_and(|text| text.contains("only members of etcd")));
    }
}
