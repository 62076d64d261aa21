//! Images: what is on the node, who pulls, and when a failed pull may be tried again.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/images/{image_manager,puller,helpers}.go. The registry's content is the setup's: an image whose name
//! says that it does not exist does not, one that is called slow takes a day, and a size that nobody gave is 50 MiB and 12,345 bytes per
//! character of the name. Images of one repository have a set share of the smaller one in common.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::client::rate_limit::TokenBucket;
use crate::kernel::{Duration, Instant};
use crate::objects::pod_terms::with_tag;
use crate::objects::{Name, Uid};
use crate::setup::{Pull, Setup};

/// The node's images and pulls.
#[derive(Clone, Debug)]
pub(super) struct Images {
    present: BTreeMap<Name, Image>,
    /// The pods that pull.
    pulling: BTreeSet<Uid>,
    /// Those that wait for their turn.
    queue: VecDeque<Uid>,
    /// Pulls that the kubelet still makes.
    pulls: TokenBucket,
}

/// An image on the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) size: u64,
    /// When it came, and when a container last used it.
    pub(super) since: Instant,
    pub(super) used: Instant,
}

impl Images {
    pub(super) fn new(present: Vec<(Name, u64)>, (qps, burst): (u32, u32)) -> Self {
        let image = |size| Image { size, since: Instant::START, used: Instant::START };
        Images {
            present: present.into_iter().map(|(name, size)| (name, image(size))).collect(),
            pulling: BTreeSet::new(),
            queue: VecDeque::new(),
            pulls: TokenBucket::per_second(qps, burst),
        }
    }

    /// The images on the node with their sizes, the biggest first, as the runtime calls them.
    pub(super) fn by_size(&self) -> impl Iterator<Item = (Name, u64)> {
        let mut images: Vec<(Name, u64)> =
            self.present.iter().map(|(name, image)| (canonical(name).into(), image.size)).collect();
        images.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        images.into_iter()
    }

    pub(super) fn has(&self, image: &str) -> bool {
        self.present.contains_key(image)
    }

    pub(super) fn add(&mut self, image: &Name, size: u64, now: Instant) {
        let there = self.present.entry(image.clone()).or_insert(Image { size, since: now, used: now });
        *there = Image { size, used: now, ..*there };
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Name, &Image)> {
        self.present.iter()
    }

    /// What they take of the disk. [bytes]
    pub(super) fn bytes(&self) -> u64 {
        self.present.values().map(|image| image.size).sum()
    }

    /// Notes that images are used now.
    pub(super) fn used<'a>(&mut self, images: impl IntoIterator<Item = &'a Name>, now: Instant) {
        for name in images {
            if let Some(image) = self.present.get_mut(name) {
                image.used = now;
            }
        }
    }

    pub(super) fn remove(&mut self, image: &str) {
        self.present.remove(image);
    }

    /// What has to come over the wire for an image of `size`: what is there, as an image or as layers of another of the same repository,
    /// is not pulled again. `shared` is the layers' share. [bytes, per mille]
    pub(super) fn transfer(&self, image: &str, size: u64, shared: u64) -> u64 {
        if self.has(image) {
            return 0;
        }
        let repository = repository(image);
        let others = self.present.iter().filter(|(name, _)| shared > 0 && self::repository(name) == repository);
        let common = others.map(|(_, other)| other.size.min(size)).max().unwrap_or(0);
        size - common / 1_000 * shared.min(1_000)
    }

    /// Whether the kubelet makes another pull now, at its rate.
    pub(super) fn may_pull(&mut self, now: Instant) -> bool {
        self.pulls.try_take(now)
    }

    /// Whether `pod` may pull now, where so many pulls go on at once; otherwise it is told when its turn comes.
    pub(super) fn take_turn(&mut self, pod: Uid, at_once: usize) -> bool {
        if self.pulling.contains(&pod) || self.pulling.len() < at_once {
            self.pulling.insert(pod);
            return true;
        }
        if !self.queue.contains(&pod) {
            self.queue.push_back(pod);
        }
        false
    }

    /// Nobody pulls any more.
    pub(super) fn forget_turns(&mut self) {
        self.pulling.clear();
        self.queue.clear();
    }

    /// `pod` has pulled, or gives up; returns whose turn it is.
    pub(super) fn end_turn(&mut self, pod: Uid) -> Option<Uid> {
        self.queue.retain(|waiting| *waiting != pod);
        if !self.pulling.remove(&pod) {
            return None;
        }
        let next = self.queue.pop_front()?;
        self.pulling.insert(next);
        Some(next)
    }
}

/// How many pulls go on at once on a node.
pub(super) fn at_once(setup: &Setup) -> usize {
    if setup.profile.kubelet.serialize_pulls {
        return 1;
    }
    setup.kubelet.max_parallel_image_pulls.map_or(usize::MAX, |most| most.max(1) as usize)
}

/// What a pull of an image takes if nothing is wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Plan {
    pub(super) missing: bool,
    pub(super) size: u64,
    /// What comes over the wire. [bytes]
    pub(super) bytes: u64,
    pub(super) takes: Duration,
    /// How long it takes to be told that there is no such image.
    pub(super) refusal: Duration,
}

/// A pull of an image by a pod for the `attempt`-th time.
pub(super) fn plan(setup: &Setup, images: &Images, image: &str, pod: &str, attempt: u64) -> Plan {
    let timing = &setup.profile.kubelet;
    let size = size(setup, image);
    let bytes = images.transfer(&with_tag(image), size, setup.kubelet.shared_layers);
    let takes = match &timing.pull {
        _ if slow(image) => SLOW_PULL,
        Pull::Fixed(latency) => setup.draw(latency, "kubelet", "pull", pod, attempt),
        Pull::Bandwidth { overhead, bytes_per_second } => {
            let overhead = setup.draw(overhead, "kubelet", "pull", pod, attempt);
            overhead + Duration::from_secs(1).fraction(bytes, (*bytes_per_second).max(1))
        }
    };
    let refusal = setup.draw(&timing.pull_failure, "kubelet", "pull-failure", pod, attempt);
    Plan { missing: missing(image), size, bytes, takes, refusal }
}

/// The size of an image: as the setup says, for it or for its repository; else by the rule by which the recordings' played kubelets seem
/// to make sizes up (inferred from two of them), a stand-in and no property of the image. [bytes]
pub(super) fn size(setup: &Setup, image: &str) -> u64 {
    let sizes = &setup.image_sizes;
    if !sizes.is_empty() {
        let tagged = with_tag(image);
        if let Some(size) = sizes.get(&*tagged).or_else(|| sizes.get(repository(&tagged))) {
            return *size;
        }
    }
    50 * 1024 * 1024 + 12_345 * image.len() as u64
}

/// The name of an image without its tag.
fn repository(image: &str) -> &str {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// Why a text can not be the name of an image, as the kubelet words it; `None` if it can.
pub(super) fn invalid(image: &str) -> Option<String> {
    let why = |why: &str| {
        Some(format!(
            "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format{why}"
        ))
    };
    let path = image.split_once('@').map_or(image, |(name, _)| name);
    let name = repository(path);
    let parts: Vec<&str> = name.split('/').collect();
    let hosted = parts.len() > 1
        && (parts[0].contains(['.', ':']) || parts[0] == "localhost" || parts[0].chars().any(char::is_uppercase));
    let rest = if hosted { &parts[1..] } else { &parts[..] };
    let good = |part: &&str| {
        part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let tag = path.strip_prefix(name).map_or("", |tag| tag.trim_start_matches(':'));
    let good_tag = tag.len() <= 128 && tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if rest.is_empty() || !rest.iter().all(good) || path.ends_with(':') || !good_tag || tag.starts_with(['.', '-']) {
        return why("");
    }
    if rest.iter().any(|part| part.chars().any(char::is_uppercase)) {
        let full = if hosted || parts.len() > 1 { rest.join("/") } else { format!("library/{name}") };
        return why(&format!(": repository name ({full}) must be lowercase"));
    }
    None
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
pub fn canonical(image: &str) -> String {
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
    last: Instant,
    until: Instant,
}

impl PullBackoff {
    pub(super) fn failed(&mut self, now: Instant) {
        if now.since(self.last) > FORGOTTEN {
            self.failures = 0;
        }
        self.last = now;
        let seconds = 10u64.saturating_mul(1 << self.failures.min(5)).min(300);
        self.failures += 1;
        self.until = now + Duration::from_secs(seconds);
    }

    pub(super) fn waits(&self, now: Instant) -> bool {
        now < self.until
    }
}

/// A back-off is forgotten so long after the last failure: twice the longest one. Kubernetes: client-go/util/flowcontrol, hasExpired.
const FORGOTTEN: Duration = Duration::from_secs(600);

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
        let mut images = Images::new(Vec::new(), (5, 10));
        let (a, b, c) = (Uid(1), Uid(2), Uid(3));
        assert!(images.take_turn(a, 1));
        assert!(!images.take_turn(b, 1));
        assert_eq!(images.end_turn(a), Some(b));
        assert!(images.take_turn(b, 1));
        assert!(images.take_turn(a, 2) && !images.take_turn(c, 2), "two at once");
        assert_eq!((images.end_turn(b), images.end_turn(b)), (Some(c), None));
    }

    #[test]
    fn a_kubelet_pulls_at_a_rate() {
        let mut images = Images::new(Vec::new(), (5, 10));
        assert_eq!((0..12).filter(|_| images.may_pull(Instant::START)).count(), 10);
        assert!(images.may_pull(Instant::START + Duration::from_millis(200)));
    }

    #[test]
    fn layers_of_a_repository_are_pulled_once() {
        let images = Images::new(vec![("shop/api:1".into(), 800)], (5, 10));
        assert_eq!(images.transfer("shop/api:1", 800, 600), 0);
        let images = Images::new(vec![("shop/api:1".into(), 80_000)], (5, 10));
        assert_eq!(images.transfer("shop/api:2", 100_000, 600), 100_000 - 48_000);
        assert_eq!(images.transfer("shop/api:2", 100_000, 0), 100_000);
        assert_eq!(images.transfer("shop/web:2", 100_000, 600), 100_000);
    }

    #[test]
    fn not_every_text_names_an_image() {
        for good in
            ["nginx", "nginx:1.25", "a/b-c:v1", "reg.example.com:5000/team/api:v9", "a@sha256:00", "localhost:5000/a"]
        {
            assert_eq!(invalid(good), None, "{good}");
        }
        let upper = invalid("Nginx:1").unwrap_or_default();
        assert!(
            upper.ends_with("invalid reference format: repository name (library/Nginx) must be lowercase"),
            "{upper}"
        );
        for bad in ["nginx:", "nginx image", "-a", "nginx:a b"] {
            assert!(invalid(bad).is_some_and(|why| why.ends_with("invalid reference format")), "{bad}");
        }
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
        let mut kept = backoff;
        kept.failed(Instant::START + Duration::from_secs(600));
        assert_eq!(kept.until.as_nanos() / 1_000_000_000, 900, "not yet");
        backoff.failed(Instant::START + Duration::from_secs(601));
        assert_eq!(backoff.until.as_nanos() / 1_000_000_000, 611, "ten minutes without a failure are forgiven");
    }
}
