//! Readiness: when a container's probe succeeds, and what is said while it does not.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/prober/{prober,worker}.go, pkg/probe. Nothing is executed: a probe succeeds at its first try, or with
//! the pod's annotation `wavetank.dev/ready: "false"` at none while the annotation is there. Left out: liveness and startup probes;
//! readiness that is lost again; failure thresholds.

use k8s_openapi::api::core::v1 as api;

use super::Surroundings;
use super::pod_worker::{PodEvent, PodWorker, Run};
use crate::kernel::Duration;
use crate::objects::event::EventType;

/// The annotation that keeps readiness probes of a pod from succeeding.
pub const READY: &str = "wavetank.dev/ready";

impl PodWorker {
    fn readiness_probe(&self, n: usize) -> Option<&api::Probe> {
        let n = n.checked_sub(self.init_containers.len())?;
        self.pod().spec.api.containers.get(n)?.readiness_probe.as_ref()
    }

    /// Whether the n-th container's readiness probe fails, by the pod's own word.
    fn refuses(&self, n: usize) -> bool {
        self.readiness_probe(n).is_some() && self.pod().meta.annotation(READY) == Some("false")
    }

    /// How long after its start a container is probed, or is ready without a probe; `None`: ready at once.
    pub(super) fn readiness_delay(&self, n: usize, around: &Surroundings<'_, '_>) -> Option<Duration> {
        match (self.readiness_probe(n), &around.setup.profile.kubelet.readiness) {
            (Some(probe), _) => {
                let delay = probe.initial_delay_seconds.unwrap_or(0).max(0) as u64;
                let successes = probe.success_threshold.unwrap_or(1).max(1) as u64 - 1;
                let delay = Duration::from_secs(delay + successes * period(probe));
                Some(delay).filter(|delay| *delay > Duration::ZERO || self.refuses(n))
            }
            (None, Some(latency)) => Some(around.draw(latency, "readiness", self.pod(), n as u64)),
            (None, None) => None,
        }
    }

    /// A probe that fails; whether it did. It is repeated.
    pub(super) fn probe_fails(&self, n: usize, around: &mut Surroundings<'_, '_>) -> bool {
        if !self.refuses(n) || !matches!(self.locate(n).1.run, Run::Running { .. }) {
            return false;
        }
        let Some(probe) = self.readiness_probe(n) else { return false };
        let ip = self.ip.map_or(String::new(), |ip| ip.to_string());
        let (why, again) = (why(probe, &ip), Duration::from_secs(period(probe)));
        self.event(EventType::Warning, "Unhealthy", format!("Readiness probe failed: {why}"), n, around);
        around.after(again, self.uid, PodEvent::Ready(n as u16));
        true
    }
}

/// `periodSeconds`. [s]
fn period(probe: &api::Probe) -> u64 {
    probe.period_seconds.unwrap_or(10).max(1) as u64
}

/// What a server that is not ready makes of a probe.
fn why(probe: &api::Probe, ip: &str) -> String {
    if probe.http_get.is_some() {
        return "HTTP probe failed with statuscode: 503".to_owned();
    }
    if let Some(socket) = &probe.tcp_socket {
        use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
        let port = match &socket.port {
            IntOrString::Int(port) => port.to_string(),
            IntOrString::String(port) => port.clone(),
        };
        let host = socket.host.as_deref().unwrap_or(ip);
        return format!("dial tcp {host}:{port}: connect: connection refused");
    }
    if probe.grpc.is_some() {
        return "service unhealthy (responded with \"NOT_SERVING\")".to_owned();
    }
    // A command's output, of which nothing is known.
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_fails_says_how() {
        let probe = |value| serde_json::from_value::<api::Probe>(value).expect("a probe");
        let http = probe(serde_json::json!({"httpGet": {"port": 80}}));
        assert_eq!(why(&http, "10.0.0.1"), "HTTP probe failed with statuscode: 503");
        let tcp = probe(serde_json::json!({"tcpSocket": {"port": 5432}}));
        assert_eq!(why(&tcp, "10.0.0.1"), "dial tcp 10.0.0.1:5432: connect: connection refused");
        assert_eq!((period(&tcp), period(&probe(serde_json::json!({"periodSeconds": 3})))), (10, 3));
    }
}
