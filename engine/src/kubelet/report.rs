//! How a pod's status reaches the API server: changes are gathered for a moment, one report is under way at a time, and a report that would say
//! what is already known is not sent.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/status/status_manager.go (syncBatch, syncPod): GET, then PATCH if needed, then, once a
//! terminated pod's last status is stored, DELETE without grace. Left out: the GET before a DELETE that is sent again.

use super::pod_worker::{PodEvent, PodWorker, Stage};
use super::{Outcome, Purpose, Surroundings, pod_of, status};
use crate::apiserver::request::{DeleteOptions, Patch, Subresource};
use crate::client::connection::Call;
use crate::kernel::Duration;
use crate::objects::{Condition, Kind, Object, condition};

/// Between the rounds of the status manager; Kubernetes: syncPeriod.
const SYNC: Duration = Duration::from_secs(10);

/// Where the reporting of a pod stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reporting {
    /// One is under way.
    under_way: bool,
    /// Something changed meanwhile.
    again: bool,
    /// The last status is stored.
    pub(super) final_stored: bool,
    /// The DELETE without grace is sent.
    deleted: bool,
    /// It failed: the next round sends it again.
    delete_again: bool,
    /// Whether the last status that was sent says that the pod is ready.
    ready: bool,
    /// The version of the pod in which the API server last had what this kubelet says.
    stored: u64,
}

impl PodWorker {
    /// A container or the sandbox changed: report it in a moment. Each change has its own moment; a report that finds nothing new
    /// ends after the GET.
    pub(super) fn report_soon(&mut self, around: &mut Surroundings<'_, '_>) {
        self.reports += 1;
        let lag = &around.setup.profile.kubelet.status_lag;
        let lag = around.draw(lag, "status-lag", pod_of(&self.object), self.reports);
        around.after(lag, self.uid, PodEvent::Report);
    }

    /// A report failed: the next round of the status manager sends it again. Kubernetes: syncPeriod, 10 s.
    pub(super) fn report_later(&mut self, around: &mut Surroundings<'_, '_>) {
        around.after(SYNC, self.uid, PodEvent::Report);
    }

    /// Whether somebody else has written since that the pod is not ready, which it is. Kubernetes: needsReconcile.
    pub(super) fn is_contradicted(&self) -> bool {
        let pod = self.pod();
        self.stage == Stage::Containers
            && self.reporting.ready
            && !self.reporting.under_way
            && !pod.ready()
            && pod.meta.resource_version > self.reporting.stored
    }

    /// Reports without delay.
    pub(super) fn report_now(&mut self, around: &mut Surroundings<'_, '_>) {
        if std::mem::take(&mut self.reporting.delete_again) {
            return self.delete(around);
        }
        if self.reporting.under_way {
            self.reporting.again = true;
            return;
        }
        self.reporting.under_way = true;
        let key = self.object.key();
        let number = around.connection.send(around.agent(), Call::get(Kind::Pod, key), Duration::ZERO, around.out);
        around.requests.insert(number, Purpose::PodGet(self.uid));
    }

    /// The pod as the API server has it: is there anything to tell?
    pub(super) fn got(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        if result.as_ref().is_err_and(|status| !status.is_not_found()) {
            self.reporting.under_way = false;
            return self.report_later(around);
        }
        let current = result.ok().and_then(|answer| answer.object().cloned());
        let Some((read, Object::Pod(pod))) = current.as_ref().map(|object| (object, &**object)) else {
            self.reporting.under_way = false;
            return self.after_report(around);
        };
        if !self.is_shown_by(pod) {
            self.reporting.under_way = false;
            return;
        }
        let wanted = status::of(self, pod, around);
        self.reported_stage = self.stage;
        self.reporting.ready = condition::find(&wanted.conditions, "Ready").is_some_and(Condition::holds);
        if wanted == pod.status {
            self.reporting.under_way = false;
            self.reporting.stored = pod.meta.resource_version;
            return self.after_report(around);
        }
        let patch = Patch::PodStatus { uid: pod.meta.uid, read: read.clone(), status: Box::new(wanted) };
        let call = Call::patch(Kind::Pod, pod.meta.key(), patch).of(Subresource::Status);
        let number = around.connection.send(around.agent(), call, Duration::ZERO, around.out);
        around.requests.insert(number, Purpose::PodStatus(self.uid));
    }

    /// The status is written, or could not be.
    pub(super) fn patched(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        self.reporting.under_way = false;
        match result {
            Ok(answer) => {
                if let Some(Object::Pod(pod)) = answer.object().map(|object| &**object) {
                    self.reporting.stored = pod.meta.resource_version;
                    // A patch says nothing of what was as wanted when it was read.
                    if self.reporting.ready && !pod.ready() {
                        self.report_later(around);
                    }
                }
                self.after_report(around);
            }
            Err(status) if status.is_not_found() => {}
            Err(_) => self.report_later(around),
        }
    }

    fn after_report(&mut self, around: &mut Surroundings<'_, '_>) {
        if self.reporting.again {
            self.reporting.again = false;
            return self.report_now(around);
        }
        if self.reported_stage == Stage::Admitted {
            return self.first_report_done(around);
        }
        if self.reported_stage == Stage::Terminated && !self.reporting.final_stored {
            self.reporting.final_stored = true;
            if pod_of(&self.object).meta.deleting() {
                self.delete(around);
            }
        }
    }

    /// Removes the object of a pod that has ended after being deleted.
    pub(super) fn delete(&mut self, around: &mut Surroundings<'_, '_>) {
        if std::mem::replace(&mut self.reporting.deleted, true) {
            return;
        }
        let options = DeleteOptions { grace: Some(0), uid: Some(self.uid), ..DeleteOptions::default() };
        let call = Call::delete(Kind::Pod, self.object.key(), options);
        let number = around.connection.send(around.agent(), call, Duration::ZERO, around.out);
        around.requests.insert(number, Purpose::PodDelete(self.uid));
    }

    /// The object is being removed, or could not be: not if it is gone, or is another one by now.
    pub(super) fn deletion_heard(&mut self, result: &Outcome, around: &mut Surroundings<'_, '_>) {
        if result.as_ref().is_err_and(|status| !status.is_not_found() && status.code != 409) {
            (self.reporting.deleted, self.reporting.delete_again) = (false, true);
            self.report_later(around);
        }
    }
}
