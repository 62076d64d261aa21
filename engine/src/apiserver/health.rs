//! `/livez`, `/readyz`, `/healthz` and `/version`: what the API server says of itself.
//!
//! Most checks are done once and for all when the server has started; two ask etcd, one after the other, for at most two seconds each.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/server/healthz/healthz.go, server/options/etcd.go,
//! storage/storagebackend/config.go (DefaultHealthcheckTimeout, DefaultReadinessTimeout). Left out: single checks (`/readyz/etcd`),
//! `exclude`, the shutdown's own check.

use std::sync::Arc;

use serde_json::json;

use super::request::{Answer, Delivery, Reply};
use super::status::Status;
use super::{ApiServer, ApiServerEvent};
use crate::etcd::{KeyRange, RangeRequest, Request};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint};

use super::etcd_client::{HEALTH, READINESS};

/// How long etcd may take to answer; Kubernetes: 2 s.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ids of questions to etcd: below those of the API server itself, above those of requests.
const PROBES: u64 = 1 << 58;

/// A question about the server's health under way.
#[derive(Clone, Debug)]
pub(super) struct Checking {
    to: Endpoint,
    number: u64,
    path: Arc<str>,
    /// The results of the checks that are done: etcd, etcd-readiness.
    results: Vec<bool>,
    /// Names the question to etcd that counts.
    asked: u64,
}

impl ApiServer {
    /// Somebody asks how it is.
    pub(super) fn health(&mut self, to: Endpoint, number: u64, path: Arc<str>, out: &mut Effects) {
        let plain = path.split('?').next().unwrap_or_default();
        if plain == "/version" {
            return answer(to, number, Ok(Answer::Json(Arc::new(VERSION.into()))), out);
        }
        if !["/livez", "/readyz", "/healthz"].contains(&plain) {
            return answer(to, number, Err(Status::no_such_path()), out);
        }
        self.checks.push(Checking { to, number, path, results: Vec::new(), asked: 0 });
        self.check_next(self.checks.len() - 1, out);
    }

    fn check_next(&mut self, place: usize, out: &mut Effects) {
        let Some(checking) = self.checks.get_mut(place) else { return };
        let ready = checking.path.starts_with("/readyz");
        let group = match checking.results.len() {
            0 => HEALTH,
            1 if ready => READINESS,
            _ => {
                let done = self.checks.remove(place);
                let result = verdict(&done.path, &done.results);
                return answer(done.to, done.number, result, out);
            }
        };
        self.probes += 1;
        let id = PROBES + self.probes;
        checking.asked = id;
        let range = RangeRequest::new(KeyRange::Key("/registry/health".into()));
        self.storage.client.ask(id, group, Request::Range(range), out);
        out.after(PATIENCE, Event::ApiServer(self.me, ApiServerEvent::HealthTimeout(id)));
    }

    /// etcd answered a check, or did not in time.
    pub(super) fn checked_health(&mut self, id: u64, good: bool, out: &mut Effects) {
        self.storage.client.forget(id, id);
        let Some(place) = self.checks.iter().position(|checking| checking.asked == id) else { return };
        if let Some(checking) = self.checks.get_mut(place) {
            checking.results.push(good);
        }
        self.check_next(place, out);
    }

    /// Whether an answer of etcd is to a check.
    pub(super) fn is_probe(id: u64) -> bool {
        (PROBES..PROBES << 1).contains(&id)
    }
}

fn answer(to: Endpoint, number: u64, result: Result<Answer, Status>, out: &mut Effects) {
    let reply = Reply { number, result, warnings: Vec::new() };
    out.send(to, Duration::ZERO, Event::delivery(to, Delivery::Reply(Box::new(reply))));
}

/// What the server says when the checks are done.
fn verdict(path: &str, results: &[bool]) -> Result<Answer, Status> {
    let (name, query) = path.trim_start_matches('/').split_once('?').unwrap_or((path.trim_start_matches('/'), ""));
    let good = results.iter().all(|good| *good);
    if good && !query.split('&').any(|part| part.starts_with("verbose")) {
        return Ok(Answer::Json(Arc::new("ok".into())));
    }
    let mut text = String::new();
    let readyz = name == "readyz";
    let etcd = ["etcd", "etcd-readiness"].iter().zip(results).map(|(check, good)| (*check, *good));
    let fixed = CHECKS.iter().filter(|check| readyz || !READY_ONLY.contains(check)).map(|check| (*check, true));
    let all = [("ping", true), ("log", true)].into_iter().chain(etcd).chain(fixed);
    for (check, good) in all.chain(readyz.then_some(("shutdown", true))) {
        text += &if good { format!("[+]{check} ok\n") } else { format!("[-]{check} failed: reason withheld\n") };
    }
    text += &format!("{name} check {}", if good { "passed\n" } else { "failed" });
    if good {
        return Ok(Answer::Json(Arc::new(text.into())));
    }
    // The body is plain text: clients make a Status of it.
    let quoted = json!(text);
    let message = format!("an error on the server ({quoted}) has prevented the request from succeeding");
    Err(Status { code: 500, reason: "InternalError".into(), message: message.into(), details: None })
}

/// What `/version` answers, as the server writes it.
const VERSION: &str = r#"{
  "major": "1",
  "minor": "36",
  "emulationMajor": "1",
  "emulationMinor": "36",
  "minCompatibilityMajor": "1",
  "minCompatibilityMinor": "35",
  "gitVersion": "v1.36.2",
  "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406",
  "gitTreeState": "clean",
  "buildDate": "2026-08-21T11:29:11Z",
  "goVersion": "go1.26.6",
  "compiler": "gc",
  "platform": "linux/amd64"
}"#;

/// The checks that only readiness has, besides etcd's.
const READY_ONLY: [&str; 1] = ["informer-sync"];

/// The checks that hold from the start on, in the server's order.
const CHECKS: [&str; 33] = [
    "informer-sync",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/aggregator-reload-proxy-client-cert",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-wait-for-first-sync",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_etcd_is_neither_alive_nor_ready() {
        let ok = Answer::Json(Arc::new("ok".into()));
        assert!(matches!((verdict("/readyz", &[true, true]), ok), (Ok(Answer::Json(a)), Answer::Json(b)) if a == b));
        let Err(status) = verdict("/readyz", &[false, false]) else { panic!("etcd is down") };
        let start =
            r#"an error on the server ("[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n[-]etcd-readiness"#;
        assert!(status.message.starts_with(start) && status.message.contains(r"[+]shutdown ok\nreadyz check failed"));
        let Err(status) = verdict("/livez", &[false]) else { panic!("etcd is down") };
        assert!(!status.message.contains("etcd-readiness") && !status.message.contains("shutdown"));
        let Ok(Answer::Json(text)) = verdict("/livez?verbose", &[true]) else { panic!("it is alive") };
        assert!(text.as_str().is_some_and(|text| text.ends_with("livez check passed\n")));
    }
}
