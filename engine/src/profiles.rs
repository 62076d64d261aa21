//! The named latency profiles.
//!
//! What is measured, and what is not:
//!
//! - `laptop` is fitted to hop times of a real control plane of v1.36.2 on two shared cores (medians of 20 repetitions): a write takes 4-9 ms from
//!   receipt to response, a pod's creation 9 ms; a controller's next request comes 1-2 ms after the watch event; a pod is bound 10 ms
//!   after it is stored; kubectl's first request comes 80 ms after its start, apply's POST 138 ms. Only these sums are measured. How they
//!   divide among the steps, and every spread, is an estimate; `fsync` stands for what etcd's backend adds as well (measured on such a
//!   disk: mean fsync 0.93 ms, mean backend commit 2.4 ms), and `watch` was chosen so that as many conflicts arise as were recorded.
//! - `production` and `slow-disk` are estimates throughout. They keep to etcd's guidance for a healthy disk (99 % of fsyncs below 10 ms), or miss
//!   it on purpose.
//! - kube-proxy: `sync` and what is added per object and endpoint are estimates. They make 5,000 Services of 5 endpoints each take about
//!   three seconds the first time and a tenth of a second later, when only what has changed is written.
//! - Kubelet: the intervals are upstream's defaults. `resync` is upstream's 10 s times 1 to 1.5. All that a container runtime or a registry takes is
//!   an estimate in round numbers; scripts can set it.

use crate::etcd::{EtcdCosts, EtcdSettings};
use crate::kernel::{Duration, Latency};
use crate::setup::{ApiCosts, KubeletTiming, Profile, ProxyTiming, Pull};

/// The names of all profiles.
pub const NAMES: [&str; 3] = ["laptop", "production", "slow-disk"];

/// The profile of a name.
pub fn by_name(name: &str) -> Option<Profile> {
    match name {
        "laptop" => Some(laptop()),
        "production" => Some(production()),
        "slow-disk" => Some(slow_disk()),
        _ => None,
    }
}

const fn ms(ms: f64) -> Latency {
    Latency::constant(ms)
}

const fn about(median: f64, spread: f64) -> Latency {
    Latency::log_normal(median, spread)
}

/// Everything on one machine.
pub fn laptop() -> Profile {
    Profile {
        name: "laptop",
        link_etcd: about(0.08, 1.5),
        link_peers: about(0.08, 1.5),
        link_clients: about(0.15, 1.5),
        api: ApiCosts {
            authentication: about(0.1, 1.5),
            authorization: about(0.1, 1.5),
            admission: about(0.3, 1.8),
            pod_admission: about(4.0, 1.6),
            validation: about(0.15, 1.5),
            reply: about(0.3, 1.5),
            watch: about(0.3, 1.5),
        },
        etcd: etcd(about(2.6, 1.6), about(0.15, 1.5), about(0.1, 1.5), about(0.3, 1.5)),
        kubectl_start: about(78.0, 1.25),
        kubectl_schema: about(50.0, 1.25),
        controller_work: about(0.9, 1.6),
        controller_call: about(0.5, 1.5),
        scheduler_cycle: about(1.6, 1.5),
        kubelet: kubelet(),
        proxy: proxy(),
    }
}

/// Three etcd members on SSDs, machines of one site.
pub fn production() -> Profile {
    Profile {
        name: "production",
        link_etcd: about(0.25, 1.6),
        link_peers: about(0.3, 1.8),
        link_clients: about(0.35, 1.8),
        api: ApiCosts {
            authentication: about(0.05, 1.5),
            authorization: about(0.05, 1.5),
            admission: about(0.15, 1.8),
            pod_admission: about(1.2, 1.8),
            validation: about(0.08, 1.5),
            reply: about(0.2, 1.5),
            watch: about(0.2, 1.8),
        },
        etcd: etcd(about(1.0, 2.5), about(0.08, 1.5), about(0.05, 1.5), about(0.2, 1.5)),
        kubectl_start: about(60.0, 1.25),
        kubectl_schema: about(40.0, 1.25),
        controller_work: about(0.5, 1.6),
        controller_call: about(0.3, 1.5),
        scheduler_cycle: about(0.8, 1.5),
        kubelet: kubelet(),
        proxy: proxy(),
    }
}

/// `production` on a disk that is too slow for etcd.
pub fn slow_disk() -> Profile {
    let mut profile = production();
    profile.name = "slow-disk";
    profile.etcd.costs.fsync =
        Latency::Quantiles { points: vec![(0.0, 8.0), (0.5, 25.0), (0.9, 60.0), (0.99, 150.0), (1.0, 400.0)] };
    profile
}

fn etcd(fsync: Latency, apply: Latency, request: Latency, read: Latency) -> EtcdSettings {
    let commit = fsync.scaled(2.0);
    let costs = EtcdCosts { fsync, apply, request, read, commit, ..EtcdCosts::default() };
    EtcdSettings { costs, ..EtcdSettings::default() }
}

fn kubelet() -> KubeletTiming {
    KubeletTiming {
        node_ready: about(1_000.0, 1.1),
        lease_renew: Duration::from_secs(10),
        status_check: Duration::from_secs(10),
        status_report: Duration::from_secs(300),
        admit: about(20.0, 1.5),
        sandbox: about(400.0, 1.4),
        pull: Pull::Bandwidth { overhead: about(800.0, 1.4), bytes_per_second: 50_000_000 },
        serialize_pulls: true,
        pull_failure: about(800.0, 1.3),
        create: about(50.0, 1.4),
        start: about(80.0, 1.4),
        status_lag: about(20.0, 1.5),
        readiness: None,
        termination: about(200.0, 1.5),
        job: ms(3_000.0),
        init: ms(1_000.0),
        resync: Latency::Uniform { low: 10_000.0, high: 15_000.0 },
    }
}

fn proxy() -> ProxyTiming {
    let (per_object, per_endpoint) = (Duration::from_micros(2), Duration::from_micros(100));
    ProxyTiming { sync: about(25.0, 1.6), per_object, per_endpoint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_profile() {
        for name in NAMES {
            assert_eq!(by_name(name).map(|profile| profile.name), Some(name));
        }
        assert_eq!(by_name("moon"), None);
    }
}
