//! Images: what is on the node, who pulls, and when a failed pull may be tried again.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/images/{image_manager,puller}.go. The registry's content is the setup's: an image whose name says that
//! it does not exist does not, one that is called slow takes a day, and a size that nobody gave is 50 MiB and 12,345 bytes per character of the name.

use std::collections::{BTreeMap, VecDeque};

use crate::kernel::{Duration, Instant};
use crate::objects::{Name, Uid};
use crate::setup::{Pull, Setup};

/// The node's images and pulls.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    present: BTreeMap<Name, u64>,
    /// The pod that pulls, where one pull goes on at a time.
    pulling: Option<Uid>,
    queue: VecDeque<Uid>,
}

impl Images {
    pub(super) fn new(present: Vec<(Name, u64)>) -> Self {
        Images { present: present.into_iter().collect(), ..Images::default() }
    }

    /// The images on the node with their sizes, the biggest first, as the runtime calls them.
    pub(super) fn by_size(&self) -> impl Iterator<Item = (Name, u64)> {
        let mut images: Vec<(Name, u64)> =
            self.present.iter().map(|(name, size)| (canonical(name).into(), *size)).collect();
        images.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        images.into_iter()
    }

    pub(super) fn has(&self, image: &str) -> bool {
        self.present.contains_key(image)
    }

    pub(super) fn add(&mut self, image: &Name, size: u64) {
        self.present.insert(image.clone(), size);
    }

    /// Whether `pod` may pull now; otherwise it is told when its turn comes.
    pub(super) fn take_turn(&mut self, pod: Uid, serialize: bool) -> bool {
        if !serialize || self.pulling == Some(pod) {
            return true;
        }
        if self.pulling.is_none() {
            self.pulling = Some(pod);
            return true;
        }
        if !self.queue.contains(&pod) {
            self.queue.push_back(pod);
        }
        false
    }

    /// Nobody pulls any more.
    pub(super) fn forget_turns(&mut self) {
        self.pulling = None;
        self.queue.clear();
    }

    /// `pod` has pulled, or gives up; returns whose turn it is.
    pub(super) fn end_turn(&mut self, pod: Uid) -> Option<Uid> {
        self.queue.retain(|waiting| *waiting != pod);
        if self.pulling != Some(pod) {
            return None;
        }
        self.pulling = self.queue.pop_front();
        self.pulling
    }
}

/// What the registry says to a pull.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Registry {
    /// The image comes, so long and so big.
    Has { takes: Duration, size: u64 },
    /// There is no such image.
    Lacks { takes: Duration, error: String },
}

/// Asks the registry; `attempt` counts the pulls of the pod.
pub(super) fn pull(setup: &Setup, image: &str, present: bool, pod: &str, attempt: u64) -> Registry {
    let timing = &setup.profile.kubelet;
    if missing(image) {
        let takes = setup.draw(&timing.pull_failure, "kubelet", "pull-failure", pod, attempt);
        let full = canonical(image);
        let error = format!(
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{full}\": failed to resolve reference \
             \"{full}\": {full}: not found"
        );
        return Registry::Lacks { takes, error };
    }
    let size = size(image);
    if slow(image) {
        return Registry::Has { takes: SLOW_PULL, size };
    }
    let takes = match &timing.pull {
        Pull::Fixed(latency) => setup.draw(latency, "kubelet", "pull", pod, attempt),
        Pull::Bandwidth { overhead, bytes_per_second } => {
            let overhead = setup.draw(overhead, "kubelet", "pull", pod, attempt);
            let transfer = if present { 0 } else { size };
            overhead + Duration::from_secs(1).fraction(transfer, (*bytes_per_second).max(1))
        }
    };
    Registry::Has { takes, size }
}

/// The size of an image that nobody described: the rule by which the recordings' played kubelets seem to make sizes up (inferred from two
/// of them). A stand-in, no property of the image. [bytes]
pub(super) fn size(image: &str) -> u64 {
    50 * 1024 * 1024 + 12_345 * image.len() as u64
}

/// Images that say of themselves that they are not there: by a word in the tag, by a part of the name, or by a registry
/// in a domain that is reserved for never being used (RFC 6761).
fn missing(image: &str) -> bool {
    const WORDS: [&str; 9] = [
        "does-not-exist",
        "doesnotexist",
        "nonexistent",
        "non-existent",
        "no-such",
        "not-found",
        "missing",
        "invalid",
        "broken",
    ];
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, ""),
    };
    let parts: Vec<&str> = name.split('/').collect();
    let host = if parts.len() > 1 { parts.first().copied().unwrap_or_default() } else { "" };
    let host = host.split(':').next().unwrap_or_default();
    let reserved = host.rsplit_once('.').is_some_and(|(_, domain)| ["test", "invalid", "example"].contains(&domain));
    reserved || WORDS.iter().any(|word| tag.contains(word)) || image.split(['/', ':']).any(|part| WORDS.contains(&part))
}

/// How long the pull of an image takes that says of itself that it is slow.
const SLOW_PULL: Duration = Duration::from_secs(24 * 3_600);

/// Images with a part of their name, or the tag, that is `slow`.
fn slow(image: &str) -> bool {
    image.split(['/', ':']).any(|part| part == "slow")
}

/// The name by which the container runtime knows an image: `nginx` → `docker.io/library/nginx:latest`.
pub(super) fn canonical(image: &str) -> String {
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    };
    match name.split_once('/') {
        None => format!("docker.io/library/{name}:{tag}"),
        Some((host, _)) if host.contains('.') || host.contains(':') || host == "localhost" => format!("{name}:{tag}"),
        Some(_) => format!("docker.io/{name}:{tag}"),
    }
}

/// The back-off of a pod's pulls of an image: 10 s doubling to 300 s from the last failure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PullBackoff {
    failures: u32,
    until: Instant,
}

impl PullBackoff {
    pub(super) fn failed(&mut self, now: Instant) {
        let seconds = 10u64.saturating_mul(1 << self.failures.min(5)).min(300);
        self.failures += 1;
        self.until = now + Duration::from_secs(seconds);
    }

    pub(super) fn waits(&self, now: Instant) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_full_name() {
        assert_eq!(canonical("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(canonical("polinux/stress:1"), "docker.io/polinux/stress:1");
        assert_eq!(canonical("ghcr.io/a/b:v1"), "ghcr.io/a/b:v1");
        assert_eq!(canonical("localhost:5000/a"), "localhost:5000/a:latest");
    }

    #[test]
    fn some_images_are_known_not_to_be() {
        let there = ["nginx", "nginx:1.27", "registry.example.com/team/api:v9", "localhost:5000/a", "broken-link:1"];
        let missing = [
            "nginx:does-not-exist",
            "nginx:no-such-tag",
            "registry.example.com/does-not-exist/api:v9",
            "broken/a",
            "r.test:5000/a",
            "nginx:does-not-exist/1",
        ];
        assert!(there.iter().all(|image| !super::missing(image)));
        assert!(missing.iter().all(|image| super::missing(image)));
        assert!(slow("slow/app:1.0") && slow("nginx:slow") && !slow("slower:1"));
    }

    #[test]
    fn pulls_take_turns() {
        let mut images = Images::default();
        let (a, b) = (Uid(1), Uid(2));
        assert!(images.take_turn(a, true));
        assert!(!images.take_turn(b, true));
        assert_eq!(images.end_turn(a), Some(b));
        assert!(images.take_turn(b, true));
        assert!(images.take_turn(a, false));
        assert_eq!(images.end_turn(b), None);
    }

    #[test]
    fn back_off_doubles_to_five_minutes() {
        let mut backoff = PullBackoff::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.failed(Instant::START);
            waits.push(backoff.until.as_nanos() / 1_000_000_000);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    }
}
