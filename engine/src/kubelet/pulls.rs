//! How a container's image comes: whether it is pulled at all, whose turn it is, what the registry says, and what follows.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/images/{image_manager,puller,helpers}.go (EnsureImageExists, throttledImageService),
//! pkg/kubelet/kuberuntime/kuberuntime_container.go (startContainer). Left out: credentials and the checks that go with them.

use std::collections::BTreeMap;

use super::images::{self, PullBackoff};
use super::pod_worker::{PodEvent, PodWorker, Run, Stage};
use super::{Surroundings, images::canonical};
use crate::event::Event;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Name, Text, pod_terms};
use crate::registry::{Failure, PullRequest};
use crate::trace::note::PodStep;

/// A pod's pulls.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulling {
    /// How many there were.
    pulls: u64,
    /// Since when it waited, and since when it pulls.
    began: Option<(Instant, Instant)>,
    size: u64,
    /// What failed lately, and why.
    failed: BTreeMap<Name, Failed>,
    /// Containers whose images could not be had; they wait until that is tried again, and others go on.
    lacking: Vec<usize>,
    /// Whether that is due.
    again: bool,
}

#[derive(Clone, Debug, Default)]
struct Failed {
    backoff: PullBackoff,
    error: Text,
}

impl Pulling {
    /// Whether the n-th container's image is not to be had for now.
    pub(super) fn lacks(&self, n: usize) -> bool {
        self.lacking.contains(&n)
    }
}

impl PodWorker {
    /// Sees to the image of the n-th container, which is then created.
    pub(super) fn fetch(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let image = self.locate(n).1.image.clone();
        if let Some(why) = images::invalid(&image) {
            self.event(EventType::Warning, "InspectFailed", why.clone(), n, around);
            return self.refuse_image(n, "InvalidImageName", why, around);
        }
        let policy = self.pull_policy(n);
        let (always, never) = (policy == Some("Always"), policy == Some("Never"));
        let present = around.images.has(&pod_terms::with_tag(&image));
        if present && !always {
            let message =
                format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
            self.event(EventType::Normal, "Pulled", message, n, around);
            return self.configure(around);
        }
        if never {
            let why = format!("Container image \"{image}\" is not present with pull policy of Never");
            self.event(EventType::Warning, "ErrImageNeverPull", why.clone(), n, around);
            return self.refuse_image(n, "ErrImageNeverPull", why, around);
        }
        if self.pulling.failed.get(&image).is_some_and(|failed| failed.backoff.waits(around.out.now())) {
            return self.wait_for_image(n, around);
        }
        self.event(EventType::Normal, "Pulling", format!("Pulling image \"{image}\""), n, around);
        self.note(PodStep::PullStarted, &image, around);
        self.pulling.began = Some((around.out.now(), around.out.now()));
        if around.images.take_turn(self.uid, images::at_once(around.setup)) {
            self.pull(around);
        }
    }

    fn pull_policy(&self, n: usize) -> Option<&str> {
        let spec = &self.pod().spec.api;
        spec.init_containers.iter().flatten().chain(&spec.containers).nth(n)?.image_pull_policy.as_deref()
    }

    /// An image that is not even asked for; the next sync of the pod looks again.
    fn refuse_image(&mut self, n: usize, reason: &'static str, message: String, around: &mut Surroundings<'_, '_>) {
        self.event(EventType::Warning, "Failed", format!("Error: {reason}"), n, around);
        self.container_mut(n).run = Run::Waiting { reason: reason.into(), message: message.into() };
        self.report_now(around);
        self.pulling.pulls += 1;
        let wait = self.next_sync(around);
        self.go_without(n, wait, around);
    }

    /// Until the next sync of the pod.
    fn next_sync(&self, around: &mut Surroundings<'_, '_>) -> Duration {
        around.draw(&around.setup.profile.kubelet.resync, "resync", self.pod(), self.pulling.pulls)
    }

    /// The n-th container's image is tried again after a while; meanwhile others may start.
    fn go_without(&mut self, n: usize, wait: Duration, around: &mut Surroundings<'_, '_>) {
        self.pulling.lacking.push(n);
        self.current = None;
        if !std::mem::replace(&mut self.pulling.again, true) {
            around.after(wait, self.uid, PodEvent::PullAgain);
        }
        self.start_next(around);
    }

    /// Time to try images again.
    pub(super) fn pull_again(&mut self, around: &mut Surroundings<'_, '_>) {
        self.pulling.again = false;
        self.pulling.lacking.clear();
        if self.current.is_none() {
            self.start_next(around);
        }
    }

    /// A new kubelet knows of no failures.
    pub(super) fn begin_pulls_anew(&mut self, around: &mut Surroundings<'_, '_>) {
        if !self.pulling.lacking.is_empty() && self.stage == Stage::Containers {
            self.pulling = Pulling { pulls: self.pulling.pulls, ..Pulling::default() };
            self.start_next(around);
        }
    }

    /// It is this pod's turn: the registry is asked.
    pub(super) fn pull(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let image = self.locate(n).1.image.clone();
        let waited_since = self.pulling.began.map_or(around.out.now(), |(since, _)| since);
        self.pulling.began = Some((waited_since, around.out.now()));
        self.pulling.pulls += 1;
        if !around.images.may_pull(around.out.now()) {
            return self.pulled(Some("pull QPS exceeded"), around);
        }
        let plan = images::plan(around.setup, around.images, &image, &self.pod().meta.name, self.pulling.pulls);
        self.pulling.size = plan.size;
        let request = PullRequest {
            node: around.index,
            boot: around.boots,
            pod: self.uid.into(),
            image: canonical(&image).into(),
            missing: plan.missing,
            takes: plan.takes,
            bytes: plan.bytes,
            refusal: plan.refusal,
        };
        around.out.after(Duration::ZERO, Event::Registry(Box::new(request)));
    }

    /// The pull has ended, with the image or with a failure.
    pub(super) fn pull_ended(&mut self, failure: Option<Failure>, around: &mut Surroundings<'_, '_>) {
        if self.stage < Stage::Terminating {
            let image = self.current.map(|n| self.locate(n).1.image.clone());
            let error = failure.zip(image).map(|(failure, image)| failure.text(&canonical(&image)));
            self.pulled(error.as_deref(), around);
        }
    }

    fn pulled(&mut self, error: Option<&str>, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let image = self.locate(n).1.image.clone();
        let (waited_since, began) = self.pulling.began.take().unwrap_or((around.out.now(), around.out.now()));
        self.give_up_pull(around);
        if let Some(error) = error {
            return self.pull_failed(n, &image, error, around);
        }
        let now = around.out.now();
        around.images.add(&pod_terms::with_tag(&image), self.pulling.size, now);
        let took = |since: Instant| go_seconds(now.since(since));
        let message = format!(
            "Successfully pulled image \"{image}\" in {} ({} including waiting). Image size: {} bytes.",
            took(began),
            took(waited_since),
            self.pulling.size
        );
        self.note(PodStep::Pulled, &image, around);
        self.event(EventType::Normal, "Pulled", message, n, around);
        self.configure(around);
    }

    fn pull_failed(&mut self, n: usize, image: &Name, error: &str, around: &mut Surroundings<'_, '_>) {
        self.note(PodStep::PullFailed, image, around);
        self.event(EventType::Warning, "Failed", format!("Failed to pull image \"{image}\": {error}"), n, around);
        self.event(EventType::Warning, "Failed", "Error: ErrImagePull".to_owned(), n, around);
        let failed = self.pulling.failed.entry(image.clone()).or_default();
        failed.backoff.failed(around.out.now());
        failed.error = error.to_owned().into();
        self.container_mut(n).run = Run::Waiting { reason: "ErrImagePull".into(), message: error.to_owned().into() };
        self.report_now(around);
        // The next sync of the pod finds the image backing off.
        self.go_without(n, BACK_OFF_SEEN, around);
    }

    /// The image is in back-off: say so, and try again at a later sync.
    fn wait_for_image(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let image = self.locate(n).1.image.clone();
        let error = self.pulling.failed.get(&image).map(|failed| failed.error.clone()).unwrap_or_default();
        let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {error}");
        self.event(EventType::Normal, "BackOff", format!("Back-off pulling image \"{image}\""), n, around);
        self.event(EventType::Warning, "Failed", "Error: ImagePullBackOff".to_owned(), n, around);
        self.container_mut(n).run = Run::Waiting { reason: "ImagePullBackOff".into(), message: message.into() };
        self.report_now(around);
        let wait = self.next_sync(around);
        self.go_without(n, wait, around);
    }

    pub(super) fn give_up_pull(&mut self, around: &mut Surroundings<'_, '_>) {
        if let Some(next) = around.images.end_turn(self.uid) {
            around.after(Duration::ZERO, next, PodEvent::Pull);
        }
    }
}

/// From a failed pull to the sync that finds the image in back-off: as the played kubelets of the recordings do it, no figure of upstream's.
const BACK_OFF_SEEN: Duration = Duration::from_millis(500);

/// A duration as Go prints it, cut to milliseconds: `2.001s`, `350ms`.
fn go_seconds(duration: Duration) -> String {
    let ms = duration.as_nanos() / 1_000_000;
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    let seconds = format!("{}.{:03}", rest / 1_000, rest % 1_000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    if minutes > 0 { format!("{minutes}m{seconds}s") } else { format!("{seconds}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_does() {
        let print = |ms| go_seconds(Duration::from_millis(ms));
        assert_eq!([print(2_000), print(2_001), print(350), print(61_500)], ["2s", "2.001s", "350ms", "1m1.5s"]);
    }
}
