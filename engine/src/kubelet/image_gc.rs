//! Images that no container uses are deleted when the disk fills up, those first that were not used for longest.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/images/image_gc_manager.go, pkg/kubelet/kubelet.go (StartGarbageCollection). It works where
//! the size of the node's disk is given. Left out: a maximum age (none by default); that images share layers on the disk.

use super::pod_worker::{PodWorker, Stage};
use super::{Kubelet, KubeletEvent, pod_of};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};
use crate::objects::Name;
use crate::objects::event::EventType;
use crate::setup::Setup;

/// Between rounds; Kubernetes: ImageGCPeriod.
const EVERY: Duration = Duration::from_secs(300);

impl Kubelet {
    /// The collector starts, where the room on the disk counts.
    pub(super) fn start_collecting(&mut self, setup: &Setup, out: &mut Effects) {
        if self.disk(setup).is_some() {
            out.after(EVERY, Event::Kubelet(self.index, KubeletEvent::CollectImages));
        }
    }

    fn disk(&self, setup: &Setup) -> Option<u64> {
        setup.nodes.get(self.index as usize)?.disk.filter(|bytes| *bytes > 0)
    }

    /// A round.
    pub(super) fn collect_images(&mut self, setup: &Setup, out: &mut Effects) {
        let Some(capacity) = self.disk(setup) else { return };
        out.after(EVERY, Event::Kubelet(self.index, KubeletEvent::CollectImages));
        self.mark_used(out.now(), |_| true);
        let (high, low) = setup.kubelet.image_gc;
        let seen = self.observe(setup, out.now()).get(&super::Signal::ImageFs).map_or(0, |(available, _)| *available);
        let available = u64::try_from(seen).unwrap_or(0);
        let used = 100_u64.saturating_sub(available.min(capacity) / (capacity / 100).max(1));
        if used < high {
            return;
        }
        let wanted = (capacity / 100 * 100_u64.saturating_sub(low)).saturating_sub(available);
        let freed = self.free(wanted, setup, out.now());
        if freed < wanted {
            let message = format!(
                "Insufficient free disk space on the node's image filesystem ({used}% of {} used). Failed to free sufficient \
                 space by deleting unused images (freed {freed} bytes). Investigate disk usage, as it could be used by active \
                 images, logs, volumes, or other data.",
                size(capacity)
            );
            self.say_of_node(EventType::Warning, "FreeDiskSpaceFailed", message, out);
        }
    }

    /// Deletes every image that no container of a pod that is still there uses.
    pub(super) fn delete_unused_images(&mut self, setup: &Setup, now: Instant) {
        self.mark_used(now, |worker| worker.stage < Stage::Terminated);
        self.free(u64::MAX, setup, now);
    }

    fn mark_used(&mut self, now: Instant, counts: impl Fn(&PodWorker) -> bool) {
        let pods = self.pods.values().filter(|worker| counts(worker));
        let names = pods.flat_map(|worker| pod_of(&worker.object).spec.terms.images.iter());
        self.images.used(names, now);
    }

    /// Deletes images until `wanted` bytes are free, and says how many are.
    fn free(&mut self, wanted: u64, setup: &Setup, now: Instant) -> u64 {
        let old = |since: Instant| now.since(since) >= setup.kubelet.image_minimum_age;
        let mut idle: Vec<(Instant, Instant, Name, u64)> = self
            .images
            .all()
            .filter(|(_, image)| image.used < now && old(image.since))
            .map(|(name, image)| (image.used, image.since, name.clone(), image.size))
            .collect();
        idle.sort();
        let mut freed = 0;
        for (_, _, name, size) in idle {
            if freed >= wanted {
                break;
            }
            self.images.remove(&name);
            freed += size;
        }
        freed
    }
}

/// `100.0 GiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut unit, mut scale) = (0, 1024_u64);
    while bytes / scale >= 1024 && unit + 1 < UNITS.len() {
        (unit, scale) = (unit + 1, scale * 1024);
    }
    let tenths = (u128::from(bytes) * 10 + u128::from(scale) / 2) / u128::from(scale);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(
            [super::size(107_374_182_400), super::size(1 << 20), super::size(1_600)],
            ["100.0 GiB", "1.0 MiB", "1.6 KiB"]
        );
    }
}
