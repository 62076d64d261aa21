//! A pod's volumes and its sandbox, before any container runs.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/volumemanager, pkg/volume/projected, pkg/util/goroutinemap/exponentialbackoff; kuberuntime/
//! kuberuntime_sandbox.go. Left out: volumes that are mounted side by side.

use std::net::Ipv4Addr;

use super::pod_worker::{PodEvent, PodWorker, Stage};
use super::{Outcome, Purpose, Surroundings, needs, node};
use crate::apiserver::request::{Body, Subresource, Verb};
use crate::client::connection::Call;
use crate::kernel::Duration;
use crate::objects::{Key, Kind};
use crate::trace::note::PodStep;

/// First and longest wait before a volume is tried again; Kubernetes: pkg/util/goroutinemap/exponentialbackoff, 500 ms to 2 min 2 s.
const MOUNT_RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(122));

impl PodWorker {
    /// The volumes, one after the other.
    pub(super) fn mount(&mut self, around: &mut Surroundings<'_, '_>) {
        if let Some(need) = needs::of_volumes(&self.pod().spec.api).get(self.mounted) {
            return self.ask_for(need, Purpose::Volume(self.uid), around);
        }
        if self.pod().token.is_none() {
            return self.start_sandbox(around);
        }
        let account = self.pod().spec.api.service_account_name.as_deref().unwrap_or("default");
        let key = Key { namespace: self.pod().meta.namespace.clone(), name: account.into() };
        let call = Call {
            verb: Verb::Create,
            kind: Kind::ServiceAccount,
            subresource: Subresource::Token,
            key,
            body: Body::None,
        };
        let number = around.connection.send(around.agent(), call, Duration::ZERO, around.out);
        around.requests.insert(number, Purpose::Token(self.uid));
    }

    /// The token is there, or is not: then the volume is set up again after a while, and longer each time.
    pub(super) fn token_came(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        if self.stage != Stage::Volumes {
            return;
        }
        if result.is_err() {
            return self.mount_later(around);
        }
        let key = Key { namespace: self.pod().meta.namespace.clone(), name: "kube-root-ca.crt".into() };
        let number =
            around.connection.send(around.agent(), Call::get(Kind::ConfigMap, key), Duration::ZERO, around.out);
        around.requests.insert(number, Purpose::RootCa(self.uid));
    }

    pub(super) fn root_ca_came(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        if self.stage == Stage::Volumes {
            if result.is_err() { self.mount_later(around) } else { self.start_sandbox(around) }
        }
    }

    pub(super) fn mount_later(&mut self, around: &mut Surroundings<'_, '_>) {
        let (first, longest) = MOUNT_RETRY;
        let mut wait = first;
        for _ in 0..self.mounts_failed.min(16) {
            wait = wait.times(2).min(longest);
        }
        self.mounts_failed += 1;
        around.after(wait, self.uid, PodEvent::Mount);
    }

    pub(super) fn start_sandbox(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Sandbox;
        self.start_probers(around.out.now());
        let wait = around.draw(&around.setup.profile.kubelet.sandbox, "sandbox", self.pod(), 0);
        around.after(wait, self.uid, PodEvent::SandboxReady);
    }

    pub(super) fn sandbox_ready(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Containers;
        self.sandbox = true;
        let network = u32::from(node::pod_network(around.index));
        self.ip = Some(Ipv4Addr::from(network + *around.next_ip));
        *around.next_ip = if *around.next_ip >= 254 { 2 } else { *around.next_ip + 1 };
        self.note(PodStep::SandboxReady, "", around);
        self.report_soon(around);
        self.start_next(around);
    }
}
