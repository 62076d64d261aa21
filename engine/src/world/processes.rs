//! Processes end and start: what the world does about it.

use super::World;
use crate::apiserver::request::{Delivery, Reply};
use crate::apiserver::status::Status;
use crate::apiserver::{ApiServer, ApiServerEvent};
use crate::controllers::{ControllerManager, ControllerManagerEvent};
use crate::custom::{CustomController, CustomEvent};
use crate::etcd::EtcdEvent;
use crate::event::{ANY_LIFE, Event, Queued};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint};
use crate::kubelet::{Kubelet, KubeletEvent};
use crate::process::{Ending, Process};
use crate::proxy::ProxyEvent;
use crate::scheduler::{Scheduler, SchedulerEvent};
use crate::trace::{Note, What};

impl World {
    /// Whether a process runs; false for one that this cluster does not have.
    pub fn is_running(&self, process: Process) -> bool {
        match process {
            Process::Etcd(member) => self.etcd.get(usize::from(member)).is_some_and(|member| member.running()),
            other => self.processes.running(other) && self.is_known(other),
        }
    }

    /// Whether this cluster has such a process.
    fn is_known(&self, process: Process) -> bool {
        match process {
            Process::Etcd(member) => usize::from(member) < self.etcd.len(),
            Process::ApiServer(number) => usize::from(number) < self.apiservers.len(),
            Process::ControllerManager(number) => usize::from(number) < self.controller_managers.len(),
            Process::Scheduler(number) => usize::from(number) < self.schedulers.len(),
            Process::Kubelet(node) => (node as usize) < self.kubelets.len(),
            Process::Proxy(node) => self.has_proxy(node),
            Process::Custom(number) => usize::from(number) < self.custom.len(),
        }
    }

    /// Every process of the cluster, running or not.
    pub fn process_list(&self) -> impl Iterator<Item = Process> {
        let etcd = (0..self.etcd.len() as u8).map(Process::Etcd);
        let kubelets = (0..self.kubelets.len() as u32).map(Process::Kubelet);
        etcd.chain(Process::control_plane(&self.setup)).chain(kubelets).chain(self.proxies().map(Process::Proxy))
    }

    /// SIGKILL: the process is gone at once, with everything that is not on a disk. False if it does not run.
    pub fn kill(&mut self, process: Process) -> bool {
        let runs = self.is_running(process);
        if runs {
            self.end(process, Ending::Killed, RecordId(0));
        }
        runs
    }

    /// A node loses its power: its kubelet and all its containers are gone at once, its disk is not. False if there is no such node.
    /// Its kubelet, started again, finds a machine that has just been booted.
    pub fn lose_power(&mut self, node: u32) -> bool {
        let kubelet = Process::Kubelet(node);
        self.faults.going_off.remove(&node);
        let ended = self.is_running(kubelet).then(|| self.end(kubelet, Ending::Killed, RecordId(0)));
        let Some(kubelet) = self.kubelets.get_mut(node as usize) else { return false };
        kubelet.lose_power();
        self.machine_lost(node);
        self.traffic_loses_machine(node, ended);
        true
    }

    /// SIGTERM: the process does what it does before it stops, and ends; a scheduler gives its lease back, a leader of etcd
    /// hands over. False if it does not run.
    pub fn terminate(&mut self, process: Process) -> bool {
        if !self.is_running(process) {
            return false;
        }
        if self.stop_later(process) {
            return true;
        }
        match process {
            Process::Scheduler(number) => {
                self.processes.stop(process);
                self.now_at(Event::Scheduler(number, SchedulerEvent::Terminate), RecordId(0));
            }
            _ => drop(self.end(process, Ending::Terminated, RecordId(0))),
        }
        true
    }

    /// Starts a process that does not run. False if it runs already, or if this cluster has none such.
    pub fn start(&mut self, process: Process) -> bool {
        let starts = self.is_known(process) && !self.is_running(process);
        if starts {
            self.start_because(process, RecordId(0));
        }
        starts
    }

    /// From now on the process is started again when it ends, as a static pod is: at once the first time, then with the kubelet's
    /// back-off of 10 s to 5 min. Or no longer.
    pub fn supervise(&mut self, process: Process, on: bool) {
        self.processes.supervise(process, on);
    }

    pub(super) fn start_because(&mut self, process: Process, cause: RecordId) {
        if self.is_running(process) {
            return;
        }
        self.processes.start(process);
        if let Process::ApiServer(server) = process {
            self.balancer.started(server, self.now);
        }
        if let Process::Kubelet(node) = process {
            self.traffic_boots_machine(node);
        }
        let event = match process {
            Process::Etcd(member) => Event::Etcd(member, EtcdEvent::Started),
            Process::ApiServer(number) => Event::ApiServer(number, ApiServerEvent::Start),
            Process::ControllerManager(number) => Event::ControllerManager(number, ControllerManagerEvent::Start),
            Process::Scheduler(number) => Event::Scheduler(number, SchedulerEvent::Start),
            Process::Kubelet(node) => Event::Kubelet(node, KubeletEvent::Start),
            Process::Proxy(node) => Event::Proxy(node, ProxyEvent::Start),
            Process::Custom(number) => Event::Custom(number, CustomEvent::Start),
        };
        self.now_at(event, cause);
    }

    /// A process ends: what it leaves behind, who notices, and who starts it again. The record of it.
    pub(super) fn end(&mut self, process: Process, how: Ending, cause: RecordId) -> RecordId {
        let ended = self.trace.record(self.now, cause, Note::new(process.agent(), What::Ended { how }));
        let cause = ended;
        let endpoint = process.endpoint();
        let unread = self.forget_hanging(process);
        let unhandled = self.forget_starving(process);
        match process {
            Process::Etcd(member) => {
                let event = if how == Ending::Terminated { EtcdEvent::Stopped } else { EtcdEvent::Killed };
                self.now_at(Event::Etcd(member, event), cause);
            }
            Process::ApiServer(number) => {
                self.balancer.crashed(number);
                let heard = self.apiservers.get_mut(usize::from(number)).map(ApiServer::crash).unwrap_or_default();
                for (client, delivery) in heard {
                    let life = self.processes.life(client);
                    let event = Event::delivery(client, delivery);
                    self.transmit(endpoint, client, Duration::ZERO, Queued { event, cause, life });
                }
                for member in 0..self.etcd.len() as u8 {
                    let event = Event::Etcd(member, EtcdEvent::ClientGone(endpoint));
                    self.transmit(endpoint, Endpoint::Etcd(member), Duration::ZERO, Queued::anybody(event, cause));
                }
            }
            Process::ControllerManager(number) => {
                if let Some(manager) = self.controller_managers.get_mut(usize::from(number)) {
                    manager.crash();
                }
            }
            Process::Scheduler(number) => {
                if let Some(scheduler) = self.schedulers.get_mut(usize::from(number)) {
                    scheduler.crash(&self.setup);
                }
            }
            Process::Kubelet(node) => {
                if let Some(kubelet) = self.kubelets.get_mut(node as usize) {
                    kubelet.crash();
                }
                self.lets_go(node);
            }
            Process::Proxy(node) => self.crash_proxy(node),
            Process::Custom(number) => {
                if let Some(controller) = self.custom.get_mut(usize::from(number)) {
                    controller.crash();
                }
            }
        }
        self.processes.end(process);
        if !matches!(process, Process::Etcd(_) | Process::ApiServer(_)) {
            // The machine closes the connections of a process that ends.
            self.balancer.gone(endpoint);
            let before = self.next_request(endpoint);
            for server in 0..self.apiservers.len() as u8 {
                let event = ApiServerEvent::Disconnected { client: endpoint, before };
                let event = Event::ApiServer(server, event);
                let to = Endpoint::ApiServer(server);
                self.transmit(endpoint, to, Duration::ZERO, Queued::anybody(event, cause));
            }
        }
        unread.into_iter().chain(unhandled).for_each(|queued| self.handle(queued));
        if let Some(after) = self.processes.restart_after(process, self.now) {
            let what = What::Restarting { after };
            let cause = self.trace.record(self.now, cause, Note::new(process.agent(), what));
            self.push(self.now + after, Endpoint::Outside, Queued::anybody(Event::Restart(process), cause));
        }
        ended
    }

    /// The number of a client's next request; requests from outside are not told apart.
    pub(super) fn next_request(&self, client: Endpoint) -> u64 {
        let next = match Process::at(client) {
            Some(Process::ControllerManager(number)) => {
                self.controller_managers.get(usize::from(number)).map(ControllerManager::next_request)
            }
            Some(Process::Scheduler(number)) => self.schedulers.get(usize::from(number)).map(Scheduler::next_request),
            Some(Process::Kubelet(node)) => self.kubelets.get(node as usize).map(Kubelet::next_request),
            Some(Process::Proxy(node)) => self.next_request_of_proxy(node),
            Some(Process::Custom(number)) => self.custom.get(usize::from(number)).map(CustomController::next_request),
            Some(Process::Etcd(_) | Process::ApiServer(_)) | None => None,
        };
        next.unwrap_or(u64::MAX)
    }

    /// What becomes of an event that arrives: it may have been meant for a process that is gone.
    pub(super) fn arrives(&mut self, event: Event, life: u32, cause: RecordId) -> Option<Event> {
        if let Event::ApiServer(server, ApiServerEvent::Silent(member)) = event {
            return self.keep_alive(server, member, event);
        }
        let receiver = event.receiver();
        let Some(process) = Process::at(receiver).filter(|process| !matches!(process, Process::Etcd(_))) else {
            return Some(event);
        };
        // Containers go on without their kubelet.
        let goes_on = matches!(&event, Event::Kubelet(_, event) if event.of_the_runtime());
        let meant = life == ANY_LIFE || life == self.processes.life(receiver);
        if goes_on || meant && self.processes.running(process) {
            return Some(event);
        }
        let event = self.redispatch(event, cause)?;
        let asked = match event {
            Event::ApiServer(_, ApiServerEvent::Request(request)) => Some((request.from, request.number)),
            Event::ApiServer(_, ApiServerEvent::Health { number, .. }) => Some((Endpoint::Outside, number)),
            _ => None,
        };
        if let Some((from, number)) = asked {
            // Nobody listens: the machine says so at once.
            let reply = Reply { number, result: Err(Status::refused()), warnings: Vec::new() };
            let event = Event::delivery(from, Delivery::Reply(Box::new(reply)));
            let life = self.processes.life(from);
            self.transmit(receiver, from, Duration::ZERO, Queued { event, cause, life });
        }
        None
    }

    /// Lets something happen to a component now, and at once.
    pub(super) fn now_at(&mut self, event: Event, cause: RecordId) {
        self.handle(Queued::anybody(event, cause));
    }
}
