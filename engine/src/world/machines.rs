//! What happens to whole machines besides the loss of their power: pressure on their resources, an orderly shutdown, files
//! for their kubelets, and images from registries.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::World;
use crate::event::{Event, Queued};
use crate::faults::Fault;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint};
use crate::kubelet::shutdown::POWER_OFF;
use crate::kubelet::{Amount, Kubelet, KubeletEvent, Signal};
use crate::objects::Name;
use crate::process::Process;
use crate::registry::Registries;

/// What a machine does once it is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AfterIt {
    /// It stays off.
    Off,
    /// It boots.
    Boot,
}

impl World {
    /// The registries, to break and to mend.
    pub fn registries_mut(&mut self) -> &mut Registries {
        &mut self.registries
    }

    /// From now on a node has this much left of its resources, besides what its pods and images give back or take; an empty map takes
    /// the pressure away. False if there is no such node.
    pub fn set_pressure(&mut self, node: u32, left: &BTreeMap<Signal, Amount>) -> bool {
        let Some(kubelet) = self.kubelets.get_mut(node as usize) else { return false };
        kubelet.press(left, &self.setup, self.now);
        self.now_at(Event::Kubelet(node, KubeletEvent::Pressed), RecordId(0));
        true
    }

    /// An operator shuts a node down. Its kubelet ends the pods if it is configured to; then the machine is off, until its kubelet is started.
    /// False if there is no such node, or no kubelet that could do it.
    pub fn shut_down(&mut self, node: u32) -> bool {
        if !self.is_running(Process::Kubelet(node)) {
            return false;
        }
        let grace = self.setup.kubelet.shutdown_grace;
        let Some(boot) = self.kubelets.get(node as usize).map(Kubelet::boots) else { return false };
        if grace == Duration::ZERO {
            self.powers_off(node);
        } else if self.faults.going_off.insert(node, AfterIt::Off).is_none() {
            self.now_at(Event::Kubelet(node, KubeletEvent::Shutdown), RecordId(0));
            let off = Queued::anybody(Event::PowerOff(node, boot), RecordId(0));
            self.push(self.now + grace + POWER_OFF, Endpoint::Outside, off);
        }
        true
    }

    /// Machines that have been told to shut down and are not yet off.
    pub fn going_off(&self) -> impl Iterator<Item = u32> + '_ {
        self.faults.going_off.keys().copied()
    }

    /// How often a node's machine has lost its power; none if there is no such node.
    pub fn boots(&self, node: u32) -> Option<u32> {
        self.kubelets.get(node as usize).map(Kubelet::boots)
    }

    /// A machine that is on its way to being off boots then. False if it is not.
    pub fn boot_after_shutdown(&mut self, node: u32) -> bool {
        self.faults.going_off.get_mut(&node).map(|then| *then = AfterIt::Boot).is_some()
    }

    /// A machine has shut down, unless it was booted since it was told to.
    pub(super) fn shut_down_done(&mut self, node: u32, boot: u32) {
        if self.kubelets.get(node as usize).is_some_and(|kubelet| kubelet.boots() == boot) {
            let then = self.faults.going_off.get(&node).copied();
            self.powers_off(node);
            if then == Some(AfterIt::Boot) {
                self.up_again(Process::Kubelet(node));
            }
        }
    }

    /// A kubelet has ended: if its machine shuts down, nothing holds that up any more.
    pub(super) fn lets_go(&mut self, node: u32) {
        if self.faults.going_off.contains_key(&node)
            && let Some(boot) = self.boots(node)
        {
            let off = Queued::anybody(Event::PowerOff(node, boot), RecordId(0));
            self.push(self.now + POWER_OFF, Endpoint::Outside, off);
        }
    }

    /// What hung on a machine that has lost its power does not any more.
    pub(super) fn nothing_hangs_on(&mut self, node: u32) {
        let here = [Process::Kubelet(node), Process::Proxy(node)];
        self.mended(|part| matches!(part, Fault::Hangs(process) if here.contains(process)));
    }

    fn powers_off(&mut self, node: u32) {
        self.supervise(Process::Kubelet(node), false);
        self.lose_power(node);
        self.nothing_hangs_on(node);
    }

    /// Puts a manifest into the directory of a node's static pods, or takes it away. False if there is no such node, or no such file to
    /// take away.
    pub fn set_static_pod(&mut self, node: u32, file: &Name, pod: Option<&Pod>) -> bool {
        let Some(kubelet) = self.kubelets.get_mut(node as usize) else { return false };
        if !kubelet.put_file(file, pod) {
            return false;
        }
        self.now_at(Event::Kubelet(node, KubeletEvent::Directory), RecordId(0));
        true
    }
}
