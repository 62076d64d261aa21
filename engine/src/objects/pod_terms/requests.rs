//! How much a pod asks for: its effective requests, from those of its containers, and its QoS class.
//!
//! Containers run together, and so do sidecars (init containers that restart always); other init containers run one
//! after the other, each beside the sidecars declared before it. A resource's request is the larger of the two needs;
//! requests of the pod as a whole replace it; overhead comes on top.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/component-helpers/resource/helpers.go (PodRequests),
//! pkg/scheduler/framework/types.go (calculateResource), pkg/apis/core/v1/helper/qos/qos.go (ComputePodQOS). Left out:
//! resources reported by the status while a resize is under way; DRA claims. A quantity that cannot be read counts as
//! zero (the API server lets none in).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::super::meta::Name;
use super::super::quantity::{Format, Quantity};

/// Amounts of resources.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// CPU. [millicores]
    pub cpu: i64,
    /// Memory. [bytes]
    pub memory: i64,
    /// Ephemeral storage. [bytes]
    pub ephemeral: i64,
    /// Extended resources and huge pages, ordered by name, none of them zero. [their own units]
    pub scalars: Arc<[(Name, i64)]>,
}

/// CPU and memory as scoring counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuMemory {
    /// CPU. [millicores]
    pub cpu: i64,
    /// Memory. [bytes]
    pub memory: i64,
}

/// How dispensable a pod is when its node runs short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum QosClass {
    /// Every container limits CPU and memory to what it requests.
    Guaranteed,
    /// Something is requested or limited.
    Burstable,
    /// Nothing is.
    BestEffort,
}

/// The three sums the scheduler needs of a pod.
#[derive(Clone, PartialEq, Debug)]
pub struct PodRequests {
    /// What must be free on the node.
    pub effective: Resources,
    /// The same with a small default for each container that names none; what a node's pods are counted with.
    pub nonzero: CpuMemory,
    /// Like `nonzero` without regard to requests of the pod as a whole; what LeastAllocated adds for the incoming pod.
    pub scored: CpuMemory,
}

/// CPU counted for a container without a request; Kubernetes: DefaultMilliCPURequest, 100. [millicores]
const DEFAULT_CPU: i64 = 100;
/// Memory counted for a container without a request; Kubernetes: DefaultMemoryRequest, 200 MiB. [bytes]
const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// Resources by name, exact. [10^-9 units]
type Amounts<'a> = BTreeMap<&'a str, i128>;
type ApiList = BTreeMap<String, ApiQuantity>;

impl Resources {
    /// The amounts of a list of names and quantities. What is neither CPU, memory, ephemeral storage nor a scalar
    /// resource is not counted, nor is what cannot be read.
    pub fn of<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>) -> Resources {
        Resources::rounded(&list.into_iter().map(|(name, quantity)| (name, nanos(quantity))).collect())
    }

    /// The amount of a scalar resource.
    pub fn scalar(&self, name: &str) -> i64 {
        self.scalars.iter().find(|(other, _)| **other == *name).map_or(0, |(_, amount)| *amount)
    }

    fn rounded(amounts: &Amounts<'_>) -> Resources {
        let value = |name: &str| quantity(amounts, name).value();
        let scalars = amounts.keys().filter(|name| is_scalar(name)).map(|name| (Name::from(*name), value(name)));
        Resources {
            cpu: quantity(amounts, "cpu").milli(),
            memory: value("memory"),
            ephemeral: value("ephemeral-storage"),
            scalars: scalars.filter(|(_, amount)| *amount != 0).collect(),
        }
    }
}

impl CpuMemory {
    fn rounded(amounts: &Amounts<'_>) -> CpuMemory {
        CpuMemory { cpu: quantity(amounts, "cpu").milli(), memory: quantity(amounts, "memory").value() }
    }
}

impl PodRequests {
    /// The sums of a pod.
    pub fn of(spec: &api::PodSpec) -> PodRequests {
        let pod_level = pod_level_requests(spec);
        let plain = with_pod_level(containers(spec, &[]), &pod_level, spec);
        let every = [("cpu", DEFAULT_CPU, 1_000_000), ("memory", DEFAULT_MEMORY, 1_000_000_000)]
            .map(|(name, amount, nanos)| (name, i128::from(amount) * nanos));
        // With requests of the pod as a whole, only what those do not name gets the containers' defaults.
        let missing: Vec<_> =
            every.into_iter().filter(|(name, _)| pod_level.is_empty() || !plain.contains_key(name)).collect();
        let nonzero = with_pod_level(containers(spec, &missing), &pod_level, spec);
        let scored = with_pod_level(containers(spec, &every), &Amounts::new(), spec);
        PodRequests {
            effective: Resources::rounded(&plain),
            nonzero: CpuMemory::rounded(&nonzero),
            scored: CpuMemory::rounded(&scored),
        }
    }
}

impl QosClass {
    /// The class of a pod.
    pub fn of(spec: &api::PodSpec) -> QosClass {
        let mut sums = QosSums { guaranteed: true, ..QosSums::default() };
        match spec.resources.as_ref().filter(|resources| is_pod_level(resources)) {
            Some(resources) => {
                sums.add(resources.requests.as_ref(), resources.limits.as_ref(), resources.limits.is_some());
            }
            None => {
                for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
                    let resources = container.resources.as_ref();
                    let requests = resources.and_then(|resources| resources.requests.as_ref());
                    sums.add(requests, resources.and_then(|resources| resources.limits.as_ref()), true);
                }
            }
        }
        sums.class()
    }

    /// `Guaranteed`.
    pub fn name(self) -> &'static str {
        match self {
            QosClass::Guaranteed => "Guaranteed",
            QosClass::Burstable => "Burstable",
            QosClass::BestEffort => "BestEffort",
        }
    }
}

/// Whether the scheduler accounts a resource by name.
pub fn is_scalar(name: &str) -> bool {
    name.contains('/') || name.starts_with("hugepages-") || name.starts_with("attachable-volumes-")
}

/// Whether an init container is a sidecar.
pub fn is_sidecar(container: &api::Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The need of all containers, each with `missing` where it names no request itself.
fn containers<'a>(spec: &'a api::PodSpec, missing: &[(&'a str, i128)]) -> Amounts<'a> {
    let requests = |container: &'a api::Container| {
        let mut own = amounts(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
        for (name, amount) in missing {
            own.entry(name).or_insert(*amount);
        }
        own
    };
    let (mut together, mut sidecars, mut starting) = (Amounts::new(), Amounts::new(), Amounts::new());
    for container in &spec.containers {
        add(&mut together, &requests(container));
    }
    for container in spec.init_containers.iter().flatten() {
        let own = requests(container);
        if is_sidecar(container) {
            add(&mut together, &own);
            add(&mut sidecars, &own);
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, &own);
            raise(&mut starting, &beside);
        }
    }
    raise(&mut together, &starting);
    together
}

fn with_pod_level<'a>(mut sum: Amounts<'a>, pod_level: &Amounts<'a>, spec: &'a api::PodSpec) -> Amounts<'a> {
    sum.extend(pod_level);
    add(&mut sum, &amounts(spec.overhead.as_ref()));
    sum
}

/// The requests of the pod as a whole that count.
fn pod_level_requests(spec: &api::PodSpec) -> Amounts<'_> {
    let mut requests = amounts(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
    requests.retain(|name, _| is_pod_level_resource(name));
    requests
}

fn is_pod_level(resources: &api::ResourceRequirements) -> bool {
    let names = resources.requests.iter().chain(&resources.limits).flat_map(BTreeMap::keys);
    names.into_iter().any(|name| is_pod_level_resource(name))
}

fn is_pod_level_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn amounts(list: Option<&ApiList>) -> Amounts<'_> {
    list.into_iter().flatten().map(|(name, quantity)| (name.as_str(), nanos(&quantity.0))).collect()
}

fn nanos(quantity: &str) -> i128 {
    Quantity::parse(quantity).map_or(0, Quantity::nanos)
}

fn quantity(amounts: &Amounts<'_>, name: &str) -> Quantity {
    Quantity::from_nanos(amounts.get(name).copied().unwrap_or(0), Format::DecimalSi)
}

fn add<'a>(sum: &mut Amounts<'a>, more: &Amounts<'a>) {
    for (name, amount) in more {
        let entry = sum.entry(name).or_default();
        *entry = entry.saturating_add(*amount);
    }
}

fn raise<'a>(largest: &mut Amounts<'a>, other: &Amounts<'a>) {
    for (name, amount) in other {
        let entry = largest.entry(name).or_insert(*amount);
        *entry = (*entry).max(*amount);
    }
}

#[derive(Default)]
struct QosSums<'a> {
    requests: Amounts<'a>,
    limits: Amounts<'a>,
    guaranteed: bool,
}

impl<'a> QosSums<'a> {
    fn add(&mut self, requests: Option<&'a ApiList>, limits: Option<&'a ApiList>, must_limit: bool) {
        let computed = |list| {
            let mut amounts = amounts(list);
            amounts.retain(|name, amount| matches!(*name, "cpu" | "memory") && *amount > 0);
            amounts
        };
        let limits = computed(limits);
        self.guaranteed &= !must_limit || limits.len() == 2;
        add(&mut self.requests, &computed(requests));
        add(&mut self.limits, &limits);
    }

    fn class(&self) -> QosClass {
        if self.requests.is_empty() && self.limits.is_empty() {
            QosClass::BestEffort
        } else if self.guaranteed && self.requests == self.limits {
            QosClass::Guaranteed
        } else {
            QosClass::Burstable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(value: Value) -> api::PodSpec {
        serde_json::from_value(value).expect("a pod spec")
    }

    fn container(requests: Value) -> Value {
        json!({"name": "c", "resources": {"requests": requests}})
    }

    const MIB: i64 = 1 << 20;

    #[test]
    fn sidecars_run_beside_what_comes_after_them() {
        let mut sidecar = container(json!({"cpu": "100m"}));
        sidecar["restartPolicy"] = json!("Always");
        let pod = spec(json!({
            "initContainers": [container(json!({"cpu": "650m"})), sidecar, container(json!({"cpu": "600m"}))],
            "containers": [container(json!({"cpu": "200m"})), container(json!({"cpu": "300m"}))],
            "overhead": {"cpu": "7m"},
        }));
        assert_eq!(PodRequests::of(&pod).effective.cpu, 707);
    }

    #[test]
    fn containers_without_a_request_count_a_little_in_scoring_only() {
        let pod = spec(json!({"containers": [container(json!({"cpu": "0"})), container(json!({"memory": "1Gi"}))]}));
        let requests = PodRequests::of(&pod);
        assert_eq!((requests.effective.cpu, requests.effective.memory), (0, 1024 * MIB));
        assert_eq!(requests.nonzero, CpuMemory { cpu: 100, memory: 1224 * MIB });
    }

    #[test]
    fn requests_of_the_pod_replace_those_of_its_containers_but_not_in_the_score() {
        let pod = spec(json!({
            "containers": [container(json!({"cpu": "100m", "example.com/gpu": "2"})), container(json!({}))],
            "resources": {"requests": {"cpu": "1"}},
        }));
        let requests = PodRequests::of(&pod);
        assert_eq!((requests.effective.cpu, requests.effective.scalar("example.com/gpu")), (1_000, 2));
        assert_eq!(requests.nonzero, CpuMemory { cpu: 1_000, memory: 400 * MIB });
        assert_eq!(requests.scored, CpuMemory { cpu: 200, memory: 400 * MIB });
    }

    #[test]
    fn fractions_are_summed_before_they_are_rounded() {
        let half = container(json!({"cpu": "500u", "memory": "500m"}));
        let requests = PodRequests::of(&spec(json!({"containers": [half, half]})));
        assert_eq!((requests.effective.cpu, requests.effective.memory), (1, 1));
    }

    #[test]
    fn the_class_depends_on_requests_and_limits_of_every_container() {
        let class = |containers: Value| QosClass::of(&spec(json!({"containers": containers})));
        let full = json!({"cpu": "1", "memory": "1Gi"});
        let with = |requests: &Value, limits: &Value| {
            let resources = json!({"requests": requests, "limits": limits});
            json!({"name": "c", "resources": resources})
        };
        let none = json!({});
        assert_eq!(class(json!([with(&full, &full)])), QosClass::Guaranteed);
        assert_eq!(class(json!([with(&full, &full), with(&none, &none)])), QosClass::Burstable);
        assert_eq!(class(json!([with(&json!({"cpu": "1"}), &full)])), QosClass::Burstable);
        assert_eq!(class(json!([with(&none, &none)])), QosClass::BestEffort);
        assert_eq!(class(json!([with(&json!({"cpu": "0"}), &none)])), QosClass::BestEffort);
        let whole = json!({"containers": [with(&none, &none)], "resources": {"requests": full, "limits": full}});
        assert_eq!(QosClass::of(&spec(whole)), QosClass::Guaranteed);
    }
}
