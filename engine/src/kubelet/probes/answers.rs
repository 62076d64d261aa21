//! What a probe makes of a program's answer, and what is said of it.
//!
//! Models: kubernetes v1.36.2 pkg/probe/{http,tcp,exec,grpc}, pkg/kubelet/prober/prober.go. Left out: redirects to other hosts,
//! whose warnings.

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::kernel::Duration;
use crate::kubelet::health::Outcome;

/// What a probe makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) ok: bool,
    /// From the question to that.
    pub(super) takes: Duration,
}

/// `timeoutSeconds`. [s]
fn timeout(probe: &api::Probe) -> u64 {
    probe.timeout_seconds.unwrap_or(1).max(1) as u64
}

/// Judges an answer to a probe.
pub(super) fn judge(probe: &api::Probe, outcome: &Outcome) -> Verdict {
    let limit = Duration::from_secs(timeout(probe));
    let at_once = |ok| Verdict { ok, takes: Duration::ZERO };
    let late = Verdict { ok: false, takes: limit };
    match outcome {
        Outcome::Ok => at_once(true),
        Outcome::Timeout => late,
        Outcome::Slow(time) if *time >= limit => late,
        Outcome::Slow(time) => Verdict { ok: true, takes: *time },
        // gRPC's dialler tries again until its time is over.
        Outcome::Refused if probe.grpc.is_some() => late,
        Outcome::Refused | Outcome::Unready => at_once(false),
        // An open port is all that is asked for.
        Outcome::Status(_) | Outcome::Fail(_) if probe.tcp_socket.is_some() => at_once(true),
        Outcome::Status(status) => at_once((200..400).contains(status)),
        Outcome::Fail(_) => at_once(false),
    }
}

/// What is said of a probe that failed with this answer, in the words of the probers.
pub(super) fn text(probe: &api::Probe, outcome: &Outcome, ip: &str, container: &api::Container) -> String {
    let seconds = timeout(probe);
    let late = matches!(outcome, Outcome::Timeout | Outcome::Slow(_));
    if let Some(get) = &probe.http_get {
        let status = match outcome {
            Outcome::Status(status) => *status,
            Outcome::Unready => 503,
            Outcome::Refused | Outcome::Timeout | Outcome::Slow(_) => {
                let port = port(&get.port, container);
                let address = join(get.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(ip), &port);
                let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
                let path = get.path.as_deref().unwrap_or("/");
                let slash = if path.starts_with('/') { "" } else { "/" };
                let url = format!("Get \"{scheme}://{address}{slash}{path}\"");
                return match late {
                    true => {
                        format!("{url}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
                    }
                    false => format!("{url}: dial tcp {address}: connect: connection refused"),
                };
            }
            Outcome::Ok | Outcome::Fail(_) => 500,
        };
        return format!("HTTP probe failed with statuscode: {status}");
    }
    if let Some(socket) = &probe.tcp_socket {
        let host = socket.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(ip);
        let address = join(host, &port(&socket.port, container));
        let why = if late { "i/o timeout" } else { "connect: connection refused" };
        return format!("dial tcp {address}: {why}");
    }
    if let Some(grpc) = &probe.grpc {
        return match outcome {
            Outcome::Refused => {
                let address = join(ip, &grpc.port.to_string());
                format!("timeout: failed to connect service \"{address}\" within {seconds}s: context deadline exceeded")
            }
            Outcome::Timeout | Outcome::Slow(_) => {
                format!("timeout: health rpc did not complete within {seconds}s")
            }
            _ => "service unhealthy (responded with \"NOT_SERVING\")".to_owned(),
        };
    }
    if late {
        let command = probe.exec.iter().flat_map(|exec| exec.command.iter().flatten());
        let command: Vec<&str> = command.map(String::as_str).collect();
        return format!("command timed out: \"{}\" timed out after {seconds}s", command.join(" "));
    }
    // A command's output, as far as something is known of it.
    if let Outcome::Fail(output) = outcome { output.to_string() } else { String::new() }
}

/// A port, by number or by its name in the container.
fn port(port: &IntOrString, container: &api::Container) -> String {
    match port {
        IntOrString::Int(port) => port.to_string(),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            named.map_or_else(|| name.clone(), |port| port.container_port.to_string())
        }
    }
}

fn join(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn probe(value: serde_json::Value) -> api::Probe {
        serde_json::from_value(value).expect("a probe")
    }

    #[test]
    fn a_probe_that_fails_says_how() {
        let container: api::Container =
            serde_json::from_value(json!({"name": "a", "ports": [{"name": "web", "containerPort": 8080}]}))
                .expect("a container");
        let text = |probe: &api::Probe, outcome| text(probe, &outcome, "10.0.0.1", &container);
        let http = probe(json!({"httpGet": {"port": "web", "path": "/healthz"}}));
        assert_eq!(text(&http, Outcome::Unready), "HTTP probe failed with statuscode: 503");
        assert_eq!(text(&http, Outcome::Status(404)), "HTTP probe failed with statuscode: 404");
        let refused = "Get \"http://10.0.0.1:8080/healthz\": dial tcp 10.0.0.1:8080: connect: connection refused";
        assert_eq!(text(&http, Outcome::Refused), refused);
        let late = "Get \"http://10.0.0.1:8080/healthz\": context deadline exceeded (Client.Timeout exceeded while \
                    awaiting headers)";
        assert_eq!(text(&http, Outcome::Timeout), late);
        let tcp = probe(json!({"tcpSocket": {"port": 5432}, "timeoutSeconds": 3}));
        assert_eq!(text(&tcp, Outcome::Refused), "dial tcp 10.0.0.1:5432: connect: connection refused");
        assert_eq!(text(&tcp, Outcome::Timeout), "dial tcp 10.0.0.1:5432: i/o timeout");
        let exec = probe(json!({"exec": {"command": ["pg_isready", "-q"]}, "timeoutSeconds": 2}));
        let late = Outcome::Slow(Duration::from_secs(5));
        assert_eq!(text(&exec, late), "command timed out: \"pg_isready -q\" timed out after 2s");
        let grpc = probe(json!({"grpc": {"port": 9090}}));
        assert_eq!(text(&grpc, Outcome::Status(500)), "service unhealthy (responded with \"NOT_SERVING\")");
        assert!(
            text(&grpc, Outcome::Refused).starts_with("timeout: failed to connect service \"10.0.0.1:9090\" within 1s")
        );
    }

    #[test]
    fn what_counts_as_success() {
        let http = probe(json!({"httpGet": {"port": 80}, "timeoutSeconds": 2}));
        let tcp = probe(json!({"tcpSocket": {"port": 80}}));
        let ok = |probe: &api::Probe, outcome| judge(probe, &outcome).ok;
        assert!(ok(&http, Outcome::Status(301)) && !ok(&http, Outcome::Status(404)) && ok(&tcp, Outcome::Status(500)));
        let slow = judge(&http, &Outcome::Slow(Duration::from_millis(1_900)));
        assert_eq!(slow, Verdict { ok: true, takes: Duration::from_millis(1_900) });
        let late = judge(&http, &Outcome::Slow(Duration::from_secs(9)));
        assert_eq!(late, Verdict { ok: false, takes: Duration::from_secs(2) });
    }
}
