//! Deployments and ReplicaSets.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/api/apps/v1/types.go.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::condition::{self, Condition};
use super::meta::ObjectMeta;
use super::pod::PodTemplate;
use super::selector::Selector;

/// A label selector as the API has it, and compiled.
#[derive(Clone, Debug)]
pub struct WorkloadSelector {
    /// As written.
    pub api: LabelSelector,
    /// Compiled.
    pub compiled: Selector,
}

impl PartialEq for WorkloadSelector {
    fn eq(&self, other: &Self) -> bool {
        self.api == other.api
    }
}

/// A number or a share in percent.
#[derive(Clone, PartialEq, Debug)]
pub enum IntOrPercent {
    /// A number.
    Int(i32),
    /// As written, `25%`.
    Percent(Arc<str>),
}

/// How a deployment replaces its pods.
#[derive(Clone, PartialEq, Debug)]
pub enum Strategy {
    /// Old ones go before new ones come.
    Recreate,
    /// Old ones go as new ones come.
    RollingUpdate {
        /// How many fewer than wanted may be available.
        max_unavailable: IntOrPercent,
        /// How many more than wanted there may be.
        max_surge: IntOrPercent,
    },
}

/// A deployment.
#[derive(Clone, PartialEq, Debug)]
pub struct Deployment {
    /// Metadata.
    pub meta: ObjectMeta,
    /// What is wanted.
    pub spec: DeploymentSpec,
    /// What the controller reports.
    pub status: DeploymentStatus,
}

/// What is wanted of a deployment.
#[derive(Clone, PartialEq, Debug)]
pub struct DeploymentSpec {
    /// Number of pods.
    pub replicas: i32,
    /// Which pods are its own.
    pub selector: Arc<WorkloadSelector>,
    /// What they look like.
    pub template: PodTemplate,
    /// How they are replaced.
    pub strategy: Strategy,
    /// How long a pod must be ready to count as available. [s]
    pub min_ready_seconds: i32,
    /// How many old replica sets are kept.
    pub revision_history_limit: i32,
    /// Whether rollouts are paused.
    pub paused: bool,
    /// How long a rollout may stand still. [s]
    pub progress_deadline_seconds: i32,
}

/// What the deployment controller reports.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct DeploymentStatus {
    pub observed_generation: i64,
    pub replicas: i32,
    pub updated: i32,
    pub ready: i32,
    pub available: i32,
    pub unavailable: i32,
    pub terminating: Option<i32>,
    pub conditions: Vec<Condition>,
    pub collision_count: Option<i32>,
}

/// A replica set.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaSet {
    /// Metadata.
    pub meta: ObjectMeta,
    /// What is wanted.
    pub spec: ReplicaSetSpec,
    /// What the controller reports.
    pub status: ReplicaSetStatus,
}

/// What is wanted of a replica set.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaSetSpec {
    /// Number of pods.
    pub replicas: i32,
    /// Which pods are its own.
    pub selector: Arc<WorkloadSelector>,
    /// What they look like.
    pub template: PodTemplate,
    /// How long a pod must be ready to count as available. [s]
    pub min_ready_seconds: i32,
}

/// What the replica set controller reports.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct ReplicaSetStatus {
    pub observed_generation: i64,
    pub replicas: i32,
    pub fully_labeled: i32,
    pub ready: i32,
    pub available: i32,
    pub terminating: Option<i32>,
    pub conditions: Vec<Condition>,
}

impl Deployment {
    /// A condition of the deployment.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        condition::find(&self.status.conditions, kind)
    }
}
