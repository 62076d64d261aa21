//! The arguments of plugins in a document.

use k8s_openapi::api::core::v1 as api;
use serde::Deserialize;
use serde_json::Value;

use super::super::{Args, Balanced, Resource, ResourceWeight, SpreadArgs, Strategy};
use super::{Plugin, Result, decode, fail, invalid};
use crate::kernel::Duration;
use crate::objects::meta::Name;
use crate::objects::pod_terms::{PreferredNodes, RequiredNodes, SpreadConstraint};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeAffinity {
    added_affinity: Option<api::NodeAffinity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct Fit {
    api_version: Option<String>,
    kind: Option<String>,
    scoring_strategy: Option<ScoringStrategy>,
    #[serde(default)]
    ignored_resources: Vec<String>,
    #[serde(default)]
    ignored_resource_groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScoringStrategy {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    resources: Vec<ResourceSpec>,
    requested_to_capacity_ratio: Option<Ratio>,
}

#[derive(Deserialize)]
struct ResourceSpec {
    name: String,
    #[serde(default)]
    weight: i64,
}

#[derive(Deserialize)]
struct Ratio {
    shape: Vec<ShapePoint>,
}

#[derive(Deserialize)]
struct ShapePoint {
    utilization: i64,
    score: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct BalancedAllocation {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    resources: Vec<ResourceSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct Spread {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    default_constraints: Vec<api::TopologySpreadConstraint>,
    defaulting_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct PodAffinity {
    api_version: Option<String>,
    kind: Option<String>,
    hard_pod_affinity_weight: Option<i64>,
    #[serde(default)]
    ignore_preferred_terms_of_existing_pods: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct Preemption {
    api_version: Option<String>,
    kind: Option<String>,
    min_candidate_nodes_percentage: Option<i64>,
    min_candidate_nodes_absolute: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct VolumeBinding {
    api_version: Option<String>,
    kind: Option<String>,
    bind_timeout_seconds: Option<i64>,
    /// Rates nodes by their storage, which is off by default.
    shape: Option<Value>,
}

/// Sets the arguments of the plugin `name`; `path` is the entry's.
pub(super) fn set(args: &mut Args, name: &str, value: &Value, path: &str) -> Result<()> {
    let empty = Value::Object(Default::default());
    let value = if value.is_null() { &empty } else { value };
    let inner = format!("{path}.args");
    match Plugin::from_name(name) {
        Some(Plugin::NodeAffinity) => node_affinity(args, decode(&inner, value)?),
        Some(Plugin::NodeResourcesFit) => fit(args, decode(&inner, value)?, &inner),
        Some(Plugin::NodeResourcesBalancedAllocation) => balanced(args, decode(&inner, value)?, &inner),
        Some(Plugin::PodTopologySpread) => spread(args, decode(&inner, value)?, &inner),
        Some(Plugin::InterPodAffinity) => pod_affinity(args, decode(&inner, value)?, &inner),
        Some(Plugin::DefaultPreemption) => preemption(args, decode(&inner, value)?, &inner),
        Some(Plugin::VolumeBinding) => volume_binding(args, &decode(&inner, value)?, &inner),
        // What it takes concerns resource claims, which are not simulated.
        Some(Plugin::DynamicResources) => Ok(()),
        Some(_) => Err(fail(&format!("{path}.name"), format!("{name} takes no arguments"))),
        None => Err(fail(&format!("{path}.name"), format!("there is no plugin {name:?}"))),
    }
}

fn node_affinity(args: &mut Args, from: NodeAffinity) -> Result<()> {
    let affinity = api::Affinity { node_affinity: from.added_affinity, ..Default::default() };
    let spec = api::PodSpec { affinity: Some(affinity), ..Default::default() };
    args.node_affinity.required = RequiredNodes::of(&spec);
    args.node_affinity.preferred = PreferredNodes::of(&spec);
    Ok(())
}

fn fit(args: &mut Args, from: Fit, path: &str) -> Result<()> {
    let names = |list: Vec<String>| list.into_iter().map(Name::from).collect();
    args.fit.ignored = names(from.ignored_resources);
    args.fit.ignored_groups = names(from.ignored_resource_groups);
    let Some(strategy) = from.scoring_strategy else { return Ok(()) };
    let path = format!("{path}.scoringStrategy");
    if !strategy.resources.is_empty() {
        args.fit.resources = resources(&strategy.resources, &format!("{path}.resources"))?;
    }
    if strategy.requested_to_capacity_ratio.is_some() && strategy.kind.as_deref() != Some("RequestedToCapacityRatio") {
        let problem = "Forbidden: must be nil when type is not RequestedToCapacityRatio".to_owned();
        return Err(fail(&format!("{path}.requestedToCapacityRatio"), problem));
    }
    args.fit.strategy = match strategy.kind.as_deref() {
        None | Some("LeastAllocated") => Strategy::LeastAllocated,
        Some("MostAllocated") => Strategy::MostAllocated,
        Some("RequestedToCapacityRatio") => ratio(strategy.requested_to_capacity_ratio, &path)?,
        Some(other) => {
            return Err(fail(&format!("{path}.type"), unsupported(other, STRATEGIES)));
        }
    };
    Ok(())
}

fn ratio(from: Option<Ratio>, path: &str) -> Result<Strategy> {
    let path = format!("{path}.requestedToCapacityRatio");
    let Some(ratio) = from else {
        let problem = "Required value: must be specified when type is RequestedToCapacityRatio".to_owned();
        return Err(fail(&path, problem));
    };
    let (path, shape) = (format!("{path}.shape"), ratio.shape);
    if shape.is_empty() {
        return Err(fail(&path, "Required value: at least one point must be specified".to_owned()));
    }
    let mut points: Vec<(i64, i64)> = Vec::new();
    for (place, ShapePoint { utilization, score }) in shape.into_iter().enumerate() {
        let path = format!("{path}[{place}]");
        in_range(&format!("{path}.utilization"), utilization, Some(100))?;
        in_range(&format!("{path}.score"), score, Some(10))?;
        if points.last().is_some_and(|(last, _)| *last >= utilization) {
            let problem = invalid(utilization, "values must be sorted in increasing order");
            return Err(fail(&format!("{path}.utilization"), problem));
        }
        // Scores of a shape go to 10, those of a node to 100.
        points.push((utilization, score * 10));
    }
    Ok(Strategy::RequestedToCapacityRatio(points.into()))
}

fn balanced(args: &mut Args, from: BalancedAllocation, path: &str) -> Result<()> {
    if let Some((place, spec)) = from.resources.iter().enumerate().find(|(_, spec)| !(0..=1).contains(&spec.weight)) {
        let path = format!("{path}.resources[{place}].weight");
        return Err(fail(&path, invalid(spec.weight, "must be 1")));
    }
    if !from.resources.is_empty() {
        args.balanced = Balanced(resources(&from.resources, &format!("{path}.resources"))?);
    }
    Ok(())
}

fn resources(list: &[ResourceSpec], path: &str) -> Result<Vec<ResourceWeight>> {
    let one = |(place, spec): (usize, &ResourceSpec)| {
        // A weight that is not given is 1.
        let weight = if spec.weight == 0 { 1 } else { spec.weight };
        if !(1..=100).contains(&weight) {
            let path = format!("{path}[{place}].weight");
            let problem = format!("resource weight of {} not in valid range (0, 100]", spec.name);
            return Err(fail(&path, invalid(weight, &problem)));
        }
        Ok(ResourceWeight { resource: Resource::named(&spec.name), weight })
    };
    list.iter().enumerate().map(one).collect()
}

fn spread(args: &mut Args, from: Spread, path: &str) -> Result<()> {
    match from.defaulting_type.as_deref() {
        None | Some("System") if from.default_constraints.is_empty() => {
            args.spread = SpreadArgs::default();
            Ok(())
        }
        Some("List") => {
            for (place, constraint) in from.default_constraints.iter().enumerate() {
                if constraint.label_selector.is_some() {
                    let path = format!("{path}.defaultConstraints[{place}].labelSelector");
                    let problem = "Forbidden: constraint must not define a selector, as they deduced for each pod";
                    return Err(fail(&path, problem.to_owned()));
                }
            }
            let defaults = from.default_constraints.iter().map(SpreadConstraint::from_api).collect();
            args.spread = SpreadArgs { defaults, system: false };
            Ok(())
        }
        None | Some("System") => {
            let problem = invalid("\"System\"", "when .defaultConstraints are not empty");
            Err(fail(&format!("{path}.defaultingType"), problem))
        }
        Some(other) => Err(fail(&format!("{path}.defaultingType"), unsupported(other, &["List", "System"]))),
    }
}

fn pod_affinity(args: &mut Args, from: PodAffinity, path: &str) -> Result<()> {
    if let Some(weight) = from.hard_pod_affinity_weight {
        in_range(&format!("{path}.hardPodAffinityWeight"), weight, Some(100))?;
        args.pod_affinity.hard_weight = weight;
    }
    args.pod_affinity.ignore_preferred_of_existing = from.ignore_preferred_terms_of_existing_pods;
    Ok(())
}

fn volume_binding(args: &mut Args, from: &VolumeBinding, path: &str) -> Result<()> {
    if from.shape.is_some() {
        let why = "nodes are not rated by their storage: the gate StorageCapacityScoring is off by default";
        return Err(fail(&format!("{path}.shape"), why.to_owned()));
    }
    let Some(seconds) = from.bind_timeout_seconds else { return Ok(()) };
    let wrong = || {
        fail(
            &format!("{path}.bindTimeoutSeconds"),
            invalid(seconds, "invalid BindTimeoutSeconds, should not be a negative value"),
        )
    };
    args.volume_binding.bind_timeout =
        Duration::from_secs(u32::try_from(seconds.min(i64::from(u32::MAX))).map_err(|_| wrong())?.into());
    Ok(())
}

fn preemption(args: &mut Args, from: Preemption, path: &str) -> Result<()> {
    if let Some(percentage) = from.min_candidate_nodes_percentage {
        in_range(&format!("{path}.minCandidateNodesPercentage"), percentage, Some(100))?;
        args.preemption.min_percentage = percentage as u64;
    }
    if let Some(absolute) = from.min_candidate_nodes_absolute {
        in_range(&format!("{path}.minCandidateNodesAbsolute"), absolute, None)?;
        args.preemption.min_absolute = absolute as u64;
    }
    if args.preemption.min_percentage == 0 && args.preemption.min_absolute == 0 {
        let problem = invalid(0, "cannot be zero at the same time as minCandidateNodesAbsolute");
        return Err(fail(&format!("{path}.minCandidateNodesPercentage"), problem));
    }
    Ok(())
}

fn in_range(path: &str, value: i64, highest: Option<i64>) -> Result<()> {
    if value >= 0 && highest.is_none_or(|highest| value <= highest) {
        return Ok(());
    }
    let range = highest.map_or("[0, inf)".to_owned(), |highest| format!("[0, {highest}]"));
    Err(fail(path, invalid(value, &format!("not in valid range {range}"))))
}

const STRATEGIES: &[&str] = &["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];

fn unsupported(value: &str, supported: &[&str]) -> String {
    let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
    format!("Unsupported value: {value:?}: supported values: {}", supported.join(", "))
}
