//! A KubeSchedulerConfiguration document, read.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kube-scheduler/config/v1/types.go, pkg/scheduler/apis/config/v1/
//! default_plugins.go (mergePlugins), pkg/scheduler/framework/runtime/framework.go (expandMultiPointPlugins,
//! getScoreWeights), apis/config/validation. Left out: extenders, which are refused; the rest of what
//! concerns the process (health and metrics addresses), which is ignored.

use serde::Deserialize;
use serde_json::Value;

use super::super::framework::{Plugin, Profile};
use super::{Args, DEFAULT_PLUGINS, SchedulerConfiguration};
use crate::kernel::Duration;
use crate::objects::pod_terms::DEFAULT_SCHEDULER;

mod args;
mod election;
mod plugins;

/// What is wrong with a document: where, and what.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ConfigurationError {
    /// The field, `profiles[0].plugins`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

type Result<T> = std::result::Result<T, ConfigurationError>;

/// The API version that is read.
pub const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct Document {
    api_version: String,
    kind: String,
    percentage_of_nodes_to_score: Option<u32>,
    pod_initial_backoff_seconds: Option<u64>,
    pod_max_backoff_seconds: Option<u64>,
    client_connection: Option<ClientConnection>,
    #[serde(default)]
    profiles: Vec<ProfileDocument>,
    #[serde(default)]
    extenders: Vec<Value>,
    parallelism: Option<i32>,
    leader_election: Option<Value>,
    enable_profiling: Option<bool>,
    enable_contention_profiling: Option<bool>,
    delay_cache_until_active: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConnection {
    qps: Option<f64>,
    burst: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProfileDocument {
    scheduler_name: Option<String>,
    percentage_of_nodes_to_score: Option<u32>,
    #[serde(default)]
    plugins: plugins::PluginsDocument,
    #[serde(default)]
    plugin_config: Vec<PluginConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginConfig {
    name: String,
    #[serde(default)]
    args: Value,
}

impl SchedulerConfiguration {
    /// Reads a document in YAML.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let value = serde_saphyr::from_str::<Value>(text);
        Self::from_value(&value.map_err(|error| fail("(document)", format!("not YAML: {error}")))?)
    }

    /// Reads a document.
    pub fn from_value(value: &Value) -> Result<Self> {
        let document: Document = decode("", value)?;
        if document.kind != "KubeSchedulerConfiguration" {
            return Err(fail("kind", format!("{:?} is not KubeSchedulerConfiguration", document.kind)));
        }
        if document.api_version != API_VERSION {
            return Err(fail("apiVersion", format!("{:?} is not {API_VERSION}", document.api_version)));
        }
        if !document.extenders.is_empty() {
            return Err(fail("extenders", "extenders are not simulated; remove them".to_owned()));
        }
        let default = SchedulerConfiguration::default();
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        let client = document.client_connection.as_ref();
        let configuration = SchedulerConfiguration {
            profiles: profiles(&document)?,
            initial_backoff: seconds(document.pod_initial_backoff_seconds, default.initial_backoff),
            max_backoff: seconds(document.pod_max_backoff_seconds, default.max_backoff),
            qps: client.and_then(|client| client.qps).map_or(default.qps, |qps| qps.clamp(0.0, 1e9) as u32),
            burst: client.and_then(|client| client.burst).unwrap_or(default.burst),
            election: election::read(document.leader_election.as_ref())?,
        };
        if configuration.initial_backoff == Duration::ZERO {
            return Err(fail("podInitialBackoffSeconds", invalid(0, "must be greater than 0")));
        }
        if document.parallelism.is_some_and(|workers| workers <= 0) {
            let problem = "should be an integer value greater than zero";
            return Err(fail("parallelism", invalid(document.parallelism.unwrap_or(0), problem)));
        }
        if configuration.max_backoff < configuration.initial_backoff {
            let given = configuration.max_backoff.as_nanos() / 1_000_000_000;
            let problem = "must be greater than or equal to PodInitialBackoffSeconds";
            return Err(fail("podMaxBackoffSeconds", invalid(given, problem)));
        }
        Ok(configuration)
    }
}

fn profiles(document: &Document) -> Result<Vec<Profile>> {
    if document.profiles.is_empty() {
        let percentage = percentage("percentageOfNodesToScore", document.percentage_of_nodes_to_score)?;
        return Ok(vec![Profile { percentage_of_nodes_to_score: percentage, ..Profile::default() }]);
    }
    let mut profiles: Vec<Profile> = Vec::new();
    for (place, from) in document.profiles.iter().enumerate() {
        let path = format!("profiles[{place}]");
        let name = match &from.scheduler_name {
            Some(name) if !name.is_empty() => name,
            _ if document.profiles.len() == 1 => DEFAULT_SCHEDULER,
            _ => {
                return Err(fail(
                    &format!("{path}.schedulerName"),
                    "Required value: there are several profiles".to_owned(),
                ));
            }
        };
        if profiles.iter().any(|other| *other.name == *name) {
            return Err(fail(&format!("{path}.schedulerName"), format!("Duplicate value: {name:?}")));
        }
        let mut args = Args::default();
        for (place, config) in from.plugin_config.iter().enumerate() {
            args::set(&mut args, &config.name, &config.args, &format!("{path}.pluginConfig[{place}]"))?;
        }
        let wanted = from.percentage_of_nodes_to_score.or(document.percentage_of_nodes_to_score);
        let percentage = percentage(&format!("{path}.percentageOfNodesToScore"), wanted)?;
        let mut profile = from.plugins.profile(&format!("{path}.plugins"))?;
        profile.name = name.into();
        profile.percentage_of_nodes_to_score = percentage;
        profile.args = args;
        profiles.push(profile);
    }
    Ok(profiles)
}

fn percentage(path: &str, given: Option<u32>) -> Result<u32> {
    match given.unwrap_or(0) {
        percentage @ 0..=100 => Ok(percentage),
        other => Err(fail(path, invalid(other, "not in valid range [0-100]"))),
    }
}

/// As upstream's field errors say it.
fn invalid(value: impl std::fmt::Display, problem: &str) -> String {
    format!("Invalid value: {value}: {problem}")
}

fn fail(path: &str, problem: String) -> ConfigurationError {
    ConfigurationError { path: path.to_owned(), problem }
}

fn decode<T: serde::de::DeserializeOwned>(path: &str, value: &Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let path = match (path, inner.as_str()) {
            ("", ".") => "(document)".to_owned(),
            (path, ".") => path.to_owned(),
            ("", inner) => inner.to_owned(),
            (path, inner) => format!("{path}.{inner}"),
        };
        fail(&path, error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Strategy;
    use super::*;

    fn read(text: &str) -> Result<SchedulerConfiguration> {
        SchedulerConfiguration::from_yaml(&format!(
            "apiVersion: {API_VERSION}\nkind: KubeSchedulerConfiguration\n{text}"
        ))
    }

    #[test]
    fn nothing_said_is_the_default() {
        let configuration = read("").expect("valid");
        assert_eq!(configuration.profiles, SchedulerConfiguration::default().profiles);
    }

    #[test]
    fn profiles_differ_in_plugins_weights_and_arguments() {
        let configuration = read(
            "
podMaxBackoffSeconds: 20
percentageOfNodesToScore: 30
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  percentageOfNodesToScore: 100
  plugins:
    score:
      disabled: [{name: NodeResourcesBalancedAllocation}, {name: ImageLocality}]
      enabled: [{name: NodeResourcesFit, weight: 5}]
    postFilter: {disabled: [{name: '*'}]}
  pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: cpu, weight: 3}, {name: example.com/gpu}]
        requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}
",
        )
        .expect("valid");
        let (place, packer) = configuration.profile("packer").expect("a profile");
        assert_eq!((place, packer.percentage_of_nodes_to_score), (1, 100));
        let scores: Vec<(Plugin, i64)> = packer.scores.clone();
        let expected = [
            (Plugin::NodeResourcesFit, 5),
            (Plugin::TaintToleration, 3),
            (Plugin::NodeAffinity, 2),
            (Plugin::VolumeBinding, 1),
            (Plugin::PodTopologySpread, 2),
            (Plugin::InterPodAffinity, 2),
            (Plugin::DynamicResources, 2),
        ];
        assert_eq!(scores, expected);
        assert_eq!(packer.args.fit.strategy, Strategy::RequestedToCapacityRatio([(0, 0), (100, 100)].into()));
        assert_eq!(packer.args.fit.resources.iter().map(|resource| resource.weight).collect::<Vec<_>>(), [3, 1]);
        assert!(!packer.preempts && configuration.profiles[0].preempts);
        assert_eq!(configuration.profiles[0].percentage_of_nodes_to_score, 30);
        assert_eq!(configuration.max_backoff, Duration::from_secs(20));
    }

    #[test]
    fn plugins_can_be_replaced_at_all_points_at_once() {
        let configuration = read(
            "
profiles:
- plugins:
    multiPoint:
      disabled: [{name: '*'}]
      enabled: [{name: NodeResourcesFit, weight: 7}, {name: PrioritySort}, {name: DefaultBinder}]
    filter: {enabled: [{name: NodeName}]}
",
        )
        .expect("valid");
        let profile = &configuration.profiles[0];
        assert_eq!(profile.scores, [(Plugin::NodeResourcesFit, 7)]);
        assert_eq!(profile.filters, [Plugin::NodeResourcesFit, Plugin::NodeName]);
        assert_eq!((&*profile.name, profile.gates), ("default-scheduler", false));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, error) in [
            ("profile: []", "profile: unknown field `profile`"),
            (
                "percentageOfNodesToScore: 101",
                "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]",
            ),
            ("profiles: [{}, {}]", "profiles[0].schedulerName: Required value"),
            (
                "profiles: [{plugins: {filter: {enabled: [{name: Foo}]}}}]",
                "profiles[0].plugins.filter.enabled[0].name: ",
            ),
            (
                "profiles: [{plugins: {filter: {enabled: [{name: ImageLocality}]}}}]",
                "profiles[0].plugins.filter.enabled[0].name: ",
            ),
            ("profiles: [{pluginConfig: [{name: ImageLocality, args: {a: 1}}]}]", "profiles[0].pluginConfig[0].name: "),
            (
                "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]",
                "profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]",
            ),
            (
                "profiles: [{pluginConfig: [{name: VolumeBinding, args: {bindTimeoutSeconds: -1}}]}]",
                "profiles[0].pluginConfig[0].args.bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, \
                 should not be a negative value",
            ),
            ("extenders: [{urlPrefix: x}]", "extenders: extenders are not simulated"),
            (
                "podMaxBackoffSeconds: 0",
                "podMaxBackoffSeconds: Invalid value: 0: must be greater than or equal to PodInitialBackoffSeconds",
            ),
            ("podInitialBackoffSeconds: 0", "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
            ("parallelism: 0", "parallelism: Invalid value: 0: should be an integer value greater than zero"),
        ] {
            let told = read(text).expect_err(text).to_string();
            assert!(told.starts_with(error), "{text}: {told}");
        }
    }
}
