//! Pulling a container's image, and waiting when that failed.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/images/image_manager.go (EnsureImageExists). Which images there are is the matter of `images`.

use super::Surroundings;
use super::images::{self, Registry};
use super::pod_worker::{PodEvent, PodWorker, Run};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::pod_terms;
use crate::trace::note::PodStep;

/// From a failed pull to the sync that finds the image in back-off: as the played kubelets of the recordings do it, no figure of upstream's.
const BACK_OFF_SEEN: Duration = Duration::from_millis(500);

impl PodWorker {
    pub(super) fn pull_policy(&self, n: usize) -> Option<&str> {
        let spec = &self.pod().spec.api;
        spec.init_containers.iter().flatten().chain(&spec.containers).nth(n)?.image_pull_policy.as_deref()
    }

    /// It is this pod's turn.
    pub(super) fn pull(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let image = self.locate(n).1.image.clone();
        let waited_since = self.pull_began.map_or(around.out.now(), |(since, _)| since);
        self.pull_began = Some((waited_since, around.out.now()));
        self.pulls += 1;
        let present = around.images.has(&pod_terms::with_tag(&image));
        let takes = match images::pull(around.setup, &image, present, &self.pod().meta.name, self.pulls) {
            Registry::Has { takes, size } => {
                self.pull_size = size;
                self.pull_error = None;
                takes
            }
            Registry::Lacks { takes, error } => {
                self.pull_error = Some(error.into());
                takes
            }
        };
        around.after(takes, self.uid, PodEvent::PullEnded);
    }

    pub(super) fn pull_ended(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let image = self.locate(n).1.image.clone();
        let (waited_since, began) = self.pull_began.take().unwrap_or((around.out.now(), around.out.now()));
        self.give_up_pull(around);
        if let Some(error) = self.pull_error.take() {
            return self.pull_failed(n, &image, &error, around);
        }
        around.images.add(&pod_terms::with_tag(&image), self.pull_size);
        let now = around.out.now();
        let took = |since: Instant| go_seconds(now.since(since));
        let message = format!(
            "Successfully pulled image \"{image}\" in {} ({} including waiting). Image size: {} bytes.",
            took(began),
            took(waited_since),
            self.pull_size
        );
        self.note(PodStep::Pulled, &image, around);
        self.event(EventType::Normal, "Pulled", message, n, around);
        self.configure(around);
    }

    pub(super) fn pull_failed(&mut self, n: usize, image: &str, error: &str, around: &mut Surroundings<'_, '_>) {
        self.note(PodStep::PullFailed, image, around);
        self.event(EventType::Warning, "Failed", format!("Failed to pull image \"{image}\": {error}"), n, around);
        self.event(EventType::Warning, "Failed", "Error: ErrImagePull".to_owned(), n, around);
        self.backoff.failed(around.out.now());
        self.container_mut(n).run = Run::Waiting { reason: "ErrImagePull".into(), message: error.to_owned().into() };
        self.report_now(around);
        self.pull_error = Some(error.into());
        // The next sync of the pod finds the image backing off.
        around.after(BACK_OFF_SEEN, self.uid, PodEvent::Retry);
    }

    /// The image is in back-off: say so, and try again at a later sync.
    pub(super) fn wait_for_image(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let image = self.locate(n).1.image.clone();
        let error = self.pull_error.as_deref().unwrap_or_default();
        let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {error}");
        self.event(EventType::Normal, "BackOff", format!("Back-off pulling image \"{image}\""), n, around);
        self.event(EventType::Warning, "Failed", "Error: ImagePullBackOff".to_owned(), n, around);
        self.container_mut(n).run = Run::Waiting { reason: "ImagePullBackOff".into(), message: message.into() };
        self.report_now(around);
        let wait = around.draw(&around.setup.profile.kubelet.resync, "resync", self.pod(), self.pulls);
        around.after(wait, self.uid, PodEvent::Retry);
    }

    pub(super) fn give_up_pull(&mut self, around: &mut Surroundings<'_, '_>) {
        if let Some(next) = around.images.end_turn(self.uid) {
            around.after(Duration::ZERO, next, PodEvent::Pull);
        }
    }
}

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
