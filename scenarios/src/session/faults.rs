//! Faults of links and disks by the names people use: `etcd-0`, `kube-apiserver`, `worker-2`.

use wavetank_engine::kernel::{Duration, Endpoint, Trouble};
use wavetank_engine::process::Process;

use super::Session;
use crate::script::hints;

/// What the name of a node's kube-proxy begins with.
const PROXY: &str = "kube-proxy/";
/// What the name of a whole node begins with.
pub(super) const NODE: &str = "node/";

/// A disk as a script describes it; what is `None` is as the profile says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskSpeed {
    /// The median of an fsync.
    pub fsync: Option<Duration>,
    /// Bytes written a second.
    pub bandwidth: Option<u64>,
}

impl Session {
    /// The place in the network of a name: an etcd member, a process of the control plane, a node.
    pub fn endpoint(&self, name: &str) -> Result<Endpoint, String> {
        let setup = self.world().setup();
        if let Some(process) = Process::control_plane(setup).find(|process| process.name(setup) == name) {
            return Ok(process.endpoint());
        }
        if let Some(member) = self.etcd_number(name) {
            return Ok(Endpoint::Etcd(member));
        }
        let nodes = &setup.nodes;
        if let Some(node) = name.strip_prefix(PROXY) {
            return self.proxy_of(node);
        }
        if let Some(node) = nodes.iter().position(|node| &*node.name == name) {
            return Ok(Endpoint::Kubelet(node as u32));
        }
        let members = (0..self.world().etcd().len()).map(|member| format!("etcd-{member}"));
        let mut known: Vec<String> =
            members.chain(Process::control_plane(setup).map(|process| process.name(setup))).collect();
        let hint =
            hints::did_you_mean(name, known.iter().map(String::as_str).chain(nodes.iter().map(|node| &*node.name)));
        known.push("the name of a node".to_owned());
        Err(format!("there is no `{name}`; there are {}\n{}", known.join(", "), hint.unwrap_or_default()))
    }

    /// The kube-proxy of a node.
    fn proxy_of(&self, node: &str) -> Result<Endpoint, String> {
        let nodes = &self.world().setup().nodes;
        let Some(place) = nodes.iter().position(|spec| &*spec.name == node) else {
            let hint = hints::did_you_mean(node, nodes.iter().map(|spec| &*spec.name)).unwrap_or_default();
            return Err(format!("there is no node `{node}`\n{hint}"));
        };
        let place = place as u32;
        match self.world().proxies().any(|node| node == place) {
            true => Ok(Endpoint::Proxy(place)),
            false => Err(format!(
                "no kube-proxy runs on `{node}`\ngive every node one, cluster(#{{ kube_proxy: true }}), or send traffic from there"
            )),
        }
    }

    /// The number of an etcd member: by its own name, or as `etcd-N`.
    fn etcd_number(&self, name: &str) -> Option<u8> {
        if let Some(member) = self.etcd_named(name) {
            return Some(member);
        }
        let number: u8 = name.strip_prefix("etcd-")?.parse().ok()?;
        (usize::from(number) < self.world().etcd().len()).then_some(number)
    }

    /// The process of a name; a node's name stands for its kubelet.
    pub(super) fn process(&self, name: &str) -> Result<Process, String> {
        let endpoint = self.endpoint(name.strip_prefix("kubelet/").unwrap_or(name))?;
        Process::at(endpoint).ok_or_else(|| format!("`{name}` is no process"))
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

    /// Ends a process, which stays away until it is started again; `gently` is SIGTERM, else SIGKILL. A whole node,
    /// `node/worker-2`, loses its power: its containers are gone as well.
    pub fn crash(&mut self, name: &str, gently: bool) -> Result<String, String> {
        if let Some(node) = name.strip_prefix(NODE) {
            return self.lose_power(node, gently);
        }
        let process = self.process(name)?;
        self.world.supervise(process, false);
        let ran = if gently { self.world.terminate(process) } else { self.world.kill(process) };
        if !ran {
            return Err(format!("`{name}` does not run\nstart it with restart(\"{name}\")"));
        }
        if !self.world.is_hanging(process) {
            self.world.fault_ended(&format!("{name}{HANGS}"));
        }
        self.world.fault_began(&self.down(process, name));
        Ok(format!("{name} {}", if gently { "is told to stop (SIGTERM)" } else { "is killed (SIGKILL)" }))
    }

    /// A node loses its power.
    fn lose_power(&mut self, node: &str, gently: bool) -> Result<String, String> {
        let name = format!("{NODE}{node}");
        let Process::Kubelet(index) = self.process(node)? else {
            return Err(format!("`{node}` is no node"));
        };
        if gently {
            return self.shut_down(node);
        }
        self.world.fault_ended(&format!("{name} shuts{DOWN}"));
        self.world.supervise(Process::Kubelet(index), false);
        self.world.fault_began(&format!("{name}{DOWN}"));
        self.world.lose_power(index);
        Ok(format!("{name} loses its power"))
    }

    /// Starts a process again; from then on it is supervised as before. A whole node, `node/worker-2`, boots.
    pub fn restart(&mut self, name: &str) -> Result<String, String> {
        let process = self.process(name.strip_prefix(NODE).unwrap_or(name))?;
        if !self.world.start(process) {
            return Err(format!("`{name}` runs already"));
        }
        let supervised = self.world.setup().supervised;
        self.world.supervise(process, supervised);
        let down = self.down(process, name);
        self.world.fault_ended(&down);
        if let Some(node) = down.strip_prefix("kubelet/") {
            self.world.fault_ended(&format!("{NODE}{node}"));
            self.world.fault_ended(&format!("{NODE}{} shuts{DOWN}", node.trim_end_matches(DOWN)));
        }
        Ok(format!("{name} is started"))
    }

    /// Holds a process up: it handles nothing until it is resumed.
    pub fn hang(&mut self, name: &str) -> Result<String, String> {
        let process = self.process(name)?;
        if !self.world.hang(process) {
            return Err(match self.world.is_running(process) {
                true => format!("`{name}` hangs already\nlet it go on with resume(\"{name}\")"),
                false => format!("`{name}` does not run\nstart it with restart(\"{name}\")"),
            });
        }
        self.world.fault_began(&format!("{name}{HANGS}"));
        Ok(format!("{name} hangs (SIGSTOP)"))
    }

    /// Lets a process that hangs go on.
    pub fn resume(&mut self, name: &str) -> Result<String, String> {
        let process = self.process(name)?;
        if !self.world.resume(process) {
            return Err(format!("`{name}` does not hang"));
        }
        self.world.fault_ended(&format!("{name}{HANGS}"));
        Ok(format!("{name} goes on (SIGCONT)"))
    }

    /// The name of the fault that a process is down. A kubelet's has the process' own name, whatever a script calls it.
    fn down(&self, process: Process, name: &str) -> String {
        match process {
            Process::Kubelet(_) => format!("{}{DOWN}", process.name(self.world.setup())),
            _ => format!("{name}{DOWN}"),
        }
    }

    /// Cuts every link from one of `from` to one of `to`, and with `both` the ways back.
    pub fn cut(&mut self, from: &[&str], to: &[&str], both: bool) -> Result<String, String> {
        let pairs = self.pairs(from, to)?;
        for (a, b) in pairs {
            self.world.cut_link(a, b);
            if both {
                self.world.cut_link(b, a);
            }
        }
        let arrow = if both { "|" } else { "→" };
        let name = format!("cut {} {arrow} {}", from.join(", "), to.join(", "));
        self.world.fault_began(&name);
        Ok(name)
    }

    /// Makes every link between one of `a` and one of `b` lossy or slow, both ways.
    pub fn trouble(&mut self, a: &[&str], b: &[&str], trouble: Trouble, what: &str) -> Result<String, String> {
        for (from, to) in self.pairs(a, b)? {
            for (from, to) in [(from, to), (to, from)] {
                self.world.trouble_link(from, to, trouble);
            }
        }
        let name = format!("{what} {} – {}", a.join(", "), b.join(", "));
        self.world.fault_began(&name);
        Ok(name)
    }

    /// Mends every link and every disk.
    pub fn heal(&mut self) -> String {
        for (from, to) in self.world.unhealthy_links() {
            self.world.trouble_link(from, to, Trouble::default());
            self.world.mend_link(from, to);
        }
        for member in 0..self.world.etcd().len() as u8 {
            self.set_disk(member, DiskSpeed::default());
        }
        for server in 0..self.world().apiservers().len() as u8 {
            self.world.slow_api_server(server, 100);
        }
        self.heal_machines();
        let over: Vec<String> = self.world.faults().map(str::to_owned).collect();
        let over: Vec<&str> =
            over.iter().map(String::as_str).filter(|name| !name.ends_with(DOWN) && !name.ends_with(HANGS)).collect();
        over.iter().for_each(|name| self.world.fault_ended(name));
        match over.is_empty() {
            true => "nothing to mend".to_owned(),
            false => format!("mended: {}", over.join("; ")),
        }
    }

    /// Gives an etcd member another disk from now on.
    pub fn disk(&mut self, name: &str, speed: DiskSpeed) -> Result<String, String> {
        let Some(member) = self.etcd_number(name) else {
            let members = self.world().etcd().len();
            return Err(match self.endpoint(name) {
                Ok(_) => format!("only members of etcd have a disk: etcd-0 to etcd-{}", members.saturating_sub(1)),
                Err(text) => text,
            });
        };
        let prefix = format!("slow disk of {name}");
        let over: Vec<String> =
            self.world.faults().filter(|fault| fault.starts_with(&*prefix)).map(str::to_owned).collect();
        over.iter().for_each(|fault| self.world.fault_ended(fault));
        let slow = self.set_disk(member, speed);
        let fsync = speed.fsync.map(|fsync| format!("fsync {}", crate::script::duration::text(fsync.as_nanos())));
        let bandwidth = speed.bandwidth.map(|bytes| format!("{} MB/s", bytes / 1_000_000));
        let what: Vec<String> = fsync.into_iter().chain(bandwidth).collect();
        let what = what.join(", ");
        if !slow {
            let what = if what.is_empty() { "the profile's".to_owned() } else { what };
            return Ok(format!("disk of {name}: {what}"));
        }
        let fault = format!("{prefix} ({what})");
        self.world.fault_began(&fault);
        Ok(fault)
    }

    /// Gives an API server a CPU on which everything takes `factor` times as long; 1 is the profile's.
    pub fn slow_cpu(&mut self, name: &str, factor: f64) -> Result<String, String> {
        let Endpoint::ApiServer(server) = self.endpoint(name)? else {
            return Err(format!("only API servers can have a slow CPU, not `{name}`"));
        };
        self.world.slow_api_server(server, (factor * 100.0) as u64);
        let prefix = format!("slow CPU of {name} ");
        let over: Vec<String> =
            self.world.faults().filter(|fault| fault.starts_with(&*prefix)).map(str::to_owned).collect();
        over.iter().for_each(|fault| self.world.fault_ended(fault));
        if factor <= 1.0 {
            return Ok(format!("CPU of {name}: the profile's"));
        }
        let fault = format!("{prefix}(×{factor})");
        self.world.fault_began(&fault);
        Ok(fault)
    }

    /// Sets a disk's speed; true if it is now slower than the profile's.
    fn set_disk(&mut self, member: u8, speed: DiskSpeed) -> bool {
        let costs = &self.world.setup().profile.etcd.costs;
        let (fsync, per_kib) = (costs.fsync.median(), costs.fsync_per_kib);
        let slower = speed.fsync.map_or(1.0, |wanted| wanted.as_millis_f64() / fsync.as_millis_f64().max(1e-6));
        let narrower = speed.bandwidth.map_or(1.0, |bytes| {
            let ms = 1_024.0 * 1_000.0 / bytes.max(1) as f64;
            ms / per_kib.as_millis_f64().max(1e-9)
        });
        if let Some(disk) = self.world.etcd_disk(member) {
            disk.slow_down(slower);
            disk.narrow(narrower);
        }
        slower > 1.0 || narrower > 1.0
    }

    fn pairs(&self, from: &[&str], to: &[&str]) -> Result<Vec<(Endpoint, Endpoint)>, String> {
        let mut pairs = Vec::new();
        for a in from {
            let endpoint = self.endpoint(a)?;
            for b in to {
                if a == b {
                    return Err(format!("`{a}` has no link to itself"));
                }
                pairs.push((endpoint, self.endpoint(b)?));
            }
        }
        Ok(pairs)
    }
}

/// How the name of a fault ends that a start ends, not `heal`.
pub(super) const DOWN: &str = " down";
/// How the name of a fault ends that `resume` ends.
const HANGS: &str = " hangs";

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
        assert!(session.slow_cpu("worker-1", 2.0).is_err_and(|text| text.contains("only API servers")));
        assert_eq!(session.heal(), "mended: slow CPU of kube-apiserver (×2.5)");
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
