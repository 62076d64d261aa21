//! The registries that images come from, as the nodes see them, and what can be wrong with them.
//!
//! A registry has every image unless something says otherwise; what an image's name says of itself is the kubelet's model
//! (`kubelet/images.rs`). A fault concerns all registries, one host, or one image: the registry cannot be reached, sends
//! slowly, answers so many pulls a minute and no more (all nodes together, as behind one address), or lacks the image.
//!
//! Models: the texts of containerd v2 core/remotes/docker/resolver.go (one HEAD for the manifest; dialling gives up after
//! 30 s), wrapped as kubernetes v1.36.2 staging/src/k8s.io/cri-client/pkg/remote_image.go passes them on: without the code
//! where that is Unknown. Left out: tokens and credentials, mirrors, DNS; a pull that breaks off half-way.

use std::collections::BTreeMap;

use crate::client::rate_limit::TokenBucket;
use crate::event::Event;
use crate::kernel::{Duration, Instant, hash_bytes};
use crate::kubelet::KubeletEvent;
use crate::objects::{Name, UidWords};

/// What is wrong with registries at present.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    faults: BTreeMap<(Scope, u8), Trouble>,
    /// What is left of the pulls that a limited registry answers.
    left: BTreeMap<Scope, TokenBucket>,
}

/// What a fault is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Every registry.
    All,
    /// The registry of this host: `docker.io`.
    Host(Name),
    /// One image, by its full name: `docker.io/library/nginx:1.25`.
    Image(Name),
}

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nobody answers: dialling runs into its timeout.
    Silent,
    /// Connections are refused.
    Refuses,
    /// It sends so slowly. [bytes/s]
    Slow(u64),
    /// So many pulls a minute, no more.
    Limited(u32),
    /// It does not have the image.
    Lacks,
}

/// A node pulls.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The number of the node.
    pub node: u32,
    /// Which boot of its machine asks.
    pub boot: u32,
    /// The pod for which it pulls.
    pub pod: UidWords,
    /// The image by its full name.
    pub image: Name,
    /// Whether its name says that it does not exist.
    pub missing: bool,
    /// How long it takes if nothing is wrong.
    pub takes: Duration,
    /// What comes over the wire. [bytes]
    pub bytes: u64,
    /// How long the registry takes to say no.
    pub refusal: Duration,
}

/// What a registry says to a pull: the image can be had, at so many bytes a second if it is slow, or why not.
type PullAnswer = Result<Option<u64>, Failure>;

/// Why an image can not be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// There is no such image.
    NotFound,
    /// Nobody answered in time.
    Timeout,
    /// Nobody listens.
    Refused,
    /// The limit of pulls is reached.
    TooManyRequests,
}

/// How long dialling takes to give up; containerd: the dialler's timeout of core/remotes/docker/config, 30 s.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a refusal takes: an estimate of a round trip to a registry.
const REFUSAL: Duration = Duration::from_millis(20);

impl Registries {
    /// Something is wrong from now on; a fault of the same scope and sort is replaced.
    pub fn break_down(&mut self, scope: Scope, trouble: Trouble) {
        if let Trouble::Limited(per_minute) = trouble {
            let bucket = TokenBucket::new(per_minute.max(1), Duration::from_secs(60), per_minute.max(1));
            self.left.insert(scope.clone(), bucket);
        }
        self.faults.insert((scope, trouble.sort()), trouble);
    }

    /// All is well with what a scope says; `Scope::All` mends everything.
    pub fn mend(&mut self, scope: &Scope) {
        if *scope == Scope::All {
            *self = Registries::default();
        }
        self.faults.retain(|(of, _), _| of != scope);
        self.left.remove(scope);
    }

    /// This is wrong no longer; what else is wrong with the scope stays.
    pub fn end(&mut self, scope: &Scope, trouble: Trouble) {
        self.faults.remove(&(scope.clone(), trouble.sort()));
        if let Trouble::Limited(_) = trouble {
            self.left.remove(scope);
        }
    }

    /// Whether both are of one sort, so that one replaces the other.
    pub fn alike(a: Trouble, b: Trouble) -> bool {
        a.sort() == b.sort()
    }

    /// Says whether an image can be had.
    fn answer(&mut self, image: &Name, now: Instant) -> PullAnswer {
        if self.faults.is_empty() {
            return Ok(None);
        }
        let host = image.split('/').next().unwrap_or_default();
        let scopes = [Scope::All, Scope::Host(host.into()), Scope::Image(image.clone())];
        let concerned: Vec<(Scope, Trouble)> = self
            .faults
            .iter()
            .filter(|((scope, _), _)| scopes.contains(scope))
            .map(|((scope, _), trouble)| (scope.clone(), *trouble))
            .collect();
        let any = |wanted: Trouble| concerned.iter().any(|(_, trouble)| *trouble == wanted);
        for (trouble, failure) in [
            (Trouble::Silent, Failure::Timeout),
            (Trouble::Refuses, Failure::Refused),
            (Trouble::Lacks, Failure::NotFound),
        ] {
            if any(trouble) {
                return Err(failure);
            }
        }
        for (scope, trouble) in &concerned {
            if let (Trouble::Limited(per_minute), Some(left)) = (trouble, self.left.get_mut(scope))
                && (*per_minute == 0 || !left.try_take(now))
            {
                return Err(Failure::TooManyRequests);
            }
        }
        let speeds = concerned.iter().filter_map(|(_, trouble)| match trouble {
            Trouble::Slow(bytes) => Some((*bytes).max(1)),
            _ => None,
        });
        Ok(speeds.min())
    }

    /// A pull of a node: after how long what happens to it.
    pub(crate) fn serve(&mut self, request: &PullRequest, now: Instant) -> (Duration, Event) {
        let answer = match self.answer(&request.image, now) {
            Ok(_) if request.missing => Err(Failure::NotFound),
            answer => answer,
        };
        let takes = match answer {
            Ok(None) => request.takes,
            Ok(Some(speed)) => request.takes.max(Duration::from_secs(1).fraction(request.bytes, speed)),
            Err(Failure::Timeout) => DIAL_TIMEOUT,
            Err(Failure::Refused) => REFUSAL,
            Err(Failure::NotFound | Failure::TooManyRequests) => request.refusal,
        };
        let failure = answer.err();
        (takes, Event::Kubelet(request.node, KubeletEvent::PullEnded(request.pod, request.boot, failure)))
    }
}

/// The full name of an image, with its registry: `nginx` is `docker.io/library/nginx:latest`.
pub fn full_name(image: &str) -> String {
    crate::kubelet::full_image_name(image)
}

impl Trouble {
    /// Faults of one sort replace each other.
    fn sort(self) -> u8 {
        match self {
            Trouble::Silent | Trouble::Refuses => 0,
            Trouble::Slow(_) => 1,
            Trouble::Limited(_) => 2,
            Trouble::Lacks => 3,
        }
    }
}

impl Failure {
    /// The error of a pull of an image, by its full name, as the kubelet gets it from the container runtime.
    pub fn text(self, image: &str) -> String {
        let (host, rest) = image.split_once('/').unwrap_or(("docker.io", image));
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let (name, port) = server.rsplit_once(':').unwrap_or((server, "443"));
        // An address of the block reserved for documentation, which one is the host's.
        let address = format!("203.0.113.{}:{port}", 1 + hash_bytes(name.as_bytes()) % 254);
        let pull = format!("failed to pull and unpack image \"{image}\": ");
        let resolve = format!("{pull}failed to resolve reference \"{image}\": ");
        let url = format!("https://{server}/v2/{repository}/manifests");
        match self {
            Failure::NotFound => format!("rpc error: code = NotFound desc = {resolve}{image}: not found"),
            Failure::Timeout => format!(
                "rpc error: code = DeadlineExceeded desc = {resolve}failed to do request: Head \"{url}/{tag}\": dial tcp \
                 {address}: i/o timeout"
            ),
            Failure::Refused => format!(
                "{resolve}failed to do request: Head \"{url}/{tag}\": dial tcp {address}: connect: connection refused"
            ),
            Failure::TooManyRequests => {
                let word = |n: u64| crate::kernel::hash_words(&[hash_bytes(image.as_bytes()), n]);
                let digest = format!("sha256:{:016x}{:016x}{:016x}{:016x}", word(5), word(6), word(7), word(8));
                let hint = match host {
                    "docker.io" => {
                        "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
                    }
                    _ => "too many requests",
                };
                format!(
                    "{pull}failed to copy: httpReadSeeker: failed open: unexpected status code {url}/{digest}: 429 Too Many \
                     Requests - Server message: toomanyrequests: {hint}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str) -> Name {
        name.into()
    }

    #[test]
    fn a_fault_concerns_what_it_names() {
        let mut registries = Registries::default();
        let (nginx, ours) = (image("docker.io/library/nginx:1"), image("reg.example.com/shop/api:2"));
        registries.break_down(Scope::Host("docker.io".into()), Trouble::Silent);
        registries.break_down(Scope::Image(ours.clone()), Trouble::Slow(50));
        let now = Instant::START;
        assert_eq!(registries.answer(&nginx, now), Err(Failure::Timeout));
        assert_eq!(registries.answer(&ours, now), Ok(Some(50)));
        registries.break_down(Scope::All, Trouble::Slow(20));
        assert_eq!(registries.answer(&ours, now), Ok(Some(20)));
        registries.break_down(Scope::Host("docker.io".into()), Trouble::Refuses);
        assert_eq!(registries.answer(&nginx, now), Err(Failure::Refused), "one of a sort");
        registries.mend(&Scope::All);
        assert_eq!(registries.answer(&nginx, now), Ok(None));
    }

    #[test]
    fn a_limit_is_for_all_nodes_and_fills_again() {
        let mut registries = Registries::default();
        registries.break_down(Scope::All, Trouble::Limited(2));
        let nginx = image("docker.io/library/nginx:1");
        let at = |s: u64| Instant::START + Duration::from_secs(s);
        let answers: Vec<bool> = [0, 0, 0, 29, 31]
            .into_iter()
            .map(|s| registries.answer(&nginx, at(s)) == Err(Failure::TooManyRequests))
            .collect();
        assert_eq!(answers, [false, false, true, true, false]);
    }

    #[test]
    fn errors_are_worded_as_containerd_does() {
        let nginx = "docker.io/library/nginx:1.25";
        let text = Failure::Refused.text(nginx);
        let head = "failed to do request: Head \"https://registry-1.docker.io/v2/library/nginx/manifests/1.25\": dial tcp 203.0.113.";
        assert!(
            text.starts_with("failed to pull and unpack image \"docker.io/library/nginx:1.25\": failed to resolve")
        );
        assert!(text.contains(head) && text.ends_with(":443: connect: connection refused"), "{text}");
        assert!(Failure::Timeout.text("localhost:5000/a:1").contains(":5000: i/o timeout"));
        assert!(
            Failure::TooManyRequests.text(nginx).contains("429 Too Many Requests - Server message: toomanyrequests:")
        );
        let missing = Failure::NotFound.text(nginx);
        assert!(missing.starts_with("rpc error: code = NotFound desc = ") && missing.ends_with(": not found"));
    }
}
