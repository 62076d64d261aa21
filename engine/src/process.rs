//! The processes of the cluster: which run, how they end, and who starts them again.
//!
//! A process that ends loses what the real one would lose: its caches, queues, timers and connections. What it had asked for
//! may still be carried out. Each process that follows is a new *life*: what was meant for an earlier one is dropped, and
//! numbers of requests go on, so that late replies find nobody.
//!
//! A supervisor stands for the kubelet of the control plane's node, which starts static pods again: at once the first time, then after
//! 10, 20, 40 s … 5 min; ten minutes without an end are forgiven.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kuberuntime/kuberuntime_manager.go (doBackOff). Left out: the time a process takes to
//! start; a kube-apiserver that is told to stop ends at once instead of waiting for the requests it has.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Agent;
use crate::client::backoff::Backoff;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::setup::Setup;

/// A process of the cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Process {
    /// A member of etcd: `etcd-0`.
    Etcd(u8),
    /// `kube-apiserver`; of several `kube-apiserver-0` …
    ApiServer(u8),
    /// `kube-controller-manager`; of several `kube-controller-manager-0` …
    ControllerManager(u8),
    /// `kube-scheduler`, or as [`Setup::schedulers`] calls it.
    Scheduler(u8),
    /// The kubelet of the n-th node: `kubelet/worker-1`. Containers go on without it.
    Kubelet(u32),
    /// The kube-proxy of the n-th node: `kube-proxy/worker-1`. The node's rules stay as they are without it.
    Proxy(u32),
    /// A controller of one's own: `controller/auto-delete`.
    Custom(u8),
}

impl Process {
    /// As people call it.
    pub fn name(self, setup: &Setup) -> String {
        match self {
            Process::Etcd(member) => format!("etcd-{member}"),
            Process::Kubelet(node) => on_node("kubelet", node, setup),
            Process::Proxy(node) => on_node("kube-proxy", node, setup),
            Process::ApiServer(number) => numbered("kube-apiserver", number, setup.api_servers),
            Process::ControllerManager(number) => {
                numbered("kube-controller-manager", number, setup.controller_managers)
            }
            Process::Scheduler(number) => match setup.schedulers.get(usize::from(number)) {
                Some(spec) => spec.process.to_string(),
                None => format!("kube-scheduler#{number}"),
            },
            Process::Custom(number) => match setup.custom.get(usize::from(number)) {
                Some(process) => process.name(),
                None => format!("controller#{number}"),
            },
        }
    }

    /// The process that people call `name`; `None` if this cluster has none of that name.
    pub fn named(name: &str, setup: &Setup) -> Option<Process> {
        if let Some(process) = Process::control_plane(setup).find(|process| process.name(setup) == name) {
            return Some(process);
        }
        let place = |node: &str| {
            let place = setup.nodes.iter().position(|spec| &*spec.name == node)?;
            u32::try_from(place).ok()
        };
        if let Some(node) = name.strip_prefix("kubelet/") {
            return place(node).map(Process::Kubelet);
        }
        if let Some(node) = name.strip_prefix("kube-proxy/") {
            return place(node).map(Process::Proxy);
        }
        name.strip_prefix("etcd-")?.parse().ok().map(Process::Etcd)
    }

    /// The API servers, controller managers and schedulers of a cluster, and the controllers of one's own.
    pub fn control_plane(setup: &Setup) -> impl Iterator<Item = Process> + use<> {
        let (servers, managers, schedulers) = (setup.api_servers, setup.controller_managers, setup.schedulers.len());
        let servers = (0..servers).map(Process::ApiServer);
        servers
            .chain((0..managers).map(Process::ControllerManager))
            .chain((0..schedulers as u8).map(Process::Scheduler))
            .chain((0..setup.custom.len() as u8).map(Process::Custom))
    }

    /// Where it is in the network.
    pub fn endpoint(self) -> Endpoint {
        match self {
            Process::Etcd(member) => Endpoint::Etcd(member),
            Process::ApiServer(number) => Endpoint::ApiServer(number),
            Process::ControllerManager(number) => Endpoint::ControllerManager(number),
            Process::Scheduler(number) => Endpoint::Scheduler(number),
            Process::Kubelet(node) => Endpoint::Kubelet(node),
            Process::Proxy(node) => Endpoint::Proxy(node),
            Process::Custom(number) => Endpoint::Custom(number),
        }
    }

    /// The process at a place in the network; a person's shell is none of the cluster's.
    pub fn at(endpoint: Endpoint) -> Option<Process> {
        Some(match endpoint {
            Endpoint::Outside => return None,
            Endpoint::Etcd(member) => Process::Etcd(member),
            Endpoint::ApiServer(number) => Process::ApiServer(number),
            Endpoint::ControllerManager(number) => Process::ControllerManager(number),
            Endpoint::Scheduler(number) => Process::Scheduler(number),
            Endpoint::Kubelet(node) => Process::Kubelet(node),
            Endpoint::Proxy(node) => Process::Proxy(node),
            Endpoint::Custom(number) => Process::Custom(number),
        })
    }

    /// Under which name it is in the trace.
    pub fn agent(self) -> Agent {
        match self {
            Process::Etcd(member) => Agent::Etcd(member),
            Process::ApiServer(number) => Agent::ApiServer(number),
            Process::ControllerManager(number) => Agent::ControllerManager(number),
            Process::Scheduler(number) => Agent::Scheduler(number),
            Process::Kubelet(node) => Agent::Kubelet(node),
            Process::Proxy(node) => Agent::KubeProxy(node),
            Process::Custom(number) => Agent::Custom(number),
        }
    }
}

/// What a node's own process is called.
fn on_node(program: &str, node: u32, setup: &Setup) -> String {
    match setup.nodes.get(node as usize) {
        Some(spec) => format!("{program}/{}", spec.name),
        None => format!("{program}#{node}"),
    }
}

/// How one of several is called: as if it were the only one, if it is.
fn numbered(name: &str, number: u8, of: u8) -> String {
    if of > 1 { format!("{name}-{number}") } else { name.to_owned() }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Ending {
    /// SIGKILL, a crash, a machine without power: at once.
    Killed,
    /// SIGTERM: it did what it does before it stops.
    Terminated,
    /// It could not renew its leader lease in time, and ended itself.
    LeaseLost,
    /// A member of etcd could not write to its disk, which is full, and ended itself.
    DiskFull,
}

impl Ending {
    /// As the trace spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Killed => "killed",
            Ending::Terminated => "terminated",
            Ending::LeaseLost => "lease-lost",
            Ending::DiskFull => "disk-full",
        }
    }

    /// The exit code, where it is known.
    pub fn code(self) -> Option<i32> {
        match self {
            Ending::Killed => Some(137),
            Ending::Terminated => None,
            Ending::LeaseLost | Ending::DiskFull => Some(1),
        }
    }
}

/// Which processes run. etcd's members keep their own state.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    /// Those that have ever ended; all others are in their first life.
    lives: BTreeMap<Process, Life>,
    /// Who is started again when it ends.
    supervised: BTreeSet<Process>,
    /// Who was told to stop and still does what it does before.
    stopping: BTreeSet<Process>,
    backoff: Backoff<Process>,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    number: u32,
    running: bool,
}

impl Default for Processes {
    fn default() -> Self {
        Processes {
            lives: BTreeMap::new(),
            supervised: BTreeSet::new(),
            stopping: BTreeSet::new(),
            backoff: Backoff::crash_loop(None),
        }
    }
}

impl Processes {
    /// Whether a process runs; etcd's are not known here.
    pub fn running(&self, process: Process) -> bool {
        self.lives.get(&process).is_none_or(|life| life.running)
    }

    /// Which life a place in the network is in: what was meant for another is dropped.
    pub fn life(&self, endpoint: Endpoint) -> u32 {
        if self.lives.is_empty() {
            return 0;
        }
        Process::at(endpoint).and_then(|process| self.lives.get(&process)).map_or(0, |life| life.number)
    }

    /// A process has ended.
    pub fn end(&mut self, process: Process) {
        self.stopping.remove(&process);
        if !matches!(process, Process::Etcd(_)) {
            let number = self.life(process.endpoint()) + 1;
            self.lives.insert(process, Life { number, running: false });
        }
    }

    /// A process is told to stop, and will end by itself.
    pub fn stop(&mut self, process: Process) {
        self.stopping.insert(process);
    }

    /// Whether it was.
    pub fn told_to_stop(&self, process: Process) -> bool {
        self.stopping.contains(&process)
    }

    /// A process starts.
    pub fn start(&mut self, process: Process) {
        if let Some(life) = self.lives.get_mut(&process) {
            life.running = true;
        }
    }

    /// Whether it is started again when it ends.
    pub fn supervise(&mut self, process: Process, on: bool) {
        if on {
            self.supervised.insert(process);
        } else {
            self.supervised.remove(&process);
        }
    }

    /// How long until the supervisor starts a process that ends now; `None` if nobody does. The wait is counted as taken.
    pub fn restart_after(&mut self, process: Process, now: Instant) -> Option<Duration> {
        if !self.supervised.contains(&process) {
            return None;
        }
        let wait = self.backoff.before_restart(process, now, now);
        if let Some(wait) = wait {
            // What the kubelet does when the wait is over: another step.
            self.backoff.step(process, now, now + wait);
        }
        Some(wait.unwrap_or(Duration::ZERO))
    }

    /// Whether a planned restart is still wanted.
    pub fn wants_restart(&self, process: Process) -> bool {
        self.supervised.contains(&process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles;

    #[test]
    fn names_lead_back_to_their_processes() {
        let setup = Setup::new(1, 2, 3, profiles::laptop());
        let all = [
            Process::Etcd(2),
            Process::ApiServer(0),
            Process::ControllerManager(0),
            Process::Scheduler(0),
            Process::Kubelet(1),
            Process::Proxy(0),
        ];
        for process in all {
            assert_eq!(Process::named(&process.name(&setup), &setup), Some(process));
            assert_eq!(Process::at(process.endpoint()), Some(process));
        }
        assert_eq!(Process::named("kubelet/nowhere", &setup), None);
    }

    #[test]
    fn a_supervisor_waits_longer_each_time_and_forgives() {
        let mut processes = Processes::default();
        let process = Process::Scheduler(0);
        assert_eq!(processes.restart_after(process, Instant::START), None);
        processes.supervise(process, true);
        let (mut now, mut waits) = (Instant::START + Duration::from_secs(20), Vec::new());
        for _ in 0..8 {
            processes.end(process);
            let wait = processes.restart_after(process, now).unwrap_or(Duration::ZERO);
            waits.push(wait.as_nanos() / 1_000_000_000);
            processes.start(process);
            now = now + wait + Duration::from_secs(1);
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(processes.restart_after(process, now + Duration::from_secs(1_000)), Some(Duration::ZERO));
    }
}
