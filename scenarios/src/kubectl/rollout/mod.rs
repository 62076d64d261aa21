//! `kubectl rollout`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/rollout, pkg/polymorphichelpers.

pub(crate) mod history;
pub(crate) mod pause;
mod revisions;
pub mod status;
pub(crate) mod undo;

use serde_json::Value;

use super::ApiCall;
use super::builder::{self, Info};
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::json::{integer, list, text};
use super::resources::Resource;
use super::selectors;
use super::session::{Session, Step};

pub(crate) const FLAGS: &[Flag] = &[
    ("selector", 'l', Takes::Text),
    ("timeout", ' ', Takes::Duration),
    ("watch", 'w', Takes::Bool),
    ("revision", ' ', Takes::Int(64)),
    ("to-revision", ' ', Takes::Int(64)),
];

const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

/// The objects named on the command line.
fn infos(session: &mut Session, args: &Args) -> Step<(Vec<Info>, Vec<Failure>)> {
    if args.words.is_empty() && !args.has("filename") {
        return Err(args.usage("required resource not specified").into());
    }
    builder::infos(session, args, &args.words)
}

/// The revision of a Deployment or ReplicaSet.
fn revision(object: &Value) -> Option<i64> {
    text(object, REVISION).parse().ok()
}

fn is_deployment(info: &Info) -> bool {
    info.resource == Resource::DEPLOYMENTS
}

/// The ReplicaSets a Deployment controls.
pub(crate) fn replica_sets(session: &mut Session, deployment: &Value) -> Step<Vec<Value>> {
    let uid = text(deployment, "/metadata/uid");
    let call = Resource::REPLICASETS.call(super::ApiVerb::List, Some(super::json::namespace(deployment)));
    let found = session.list(ApiCall { label_selector: Some(selector(deployment)), ..call })?;
    let owned = builder::items(&Resource::REPLICASETS, &found).filter(|set| {
        list(set, "/metadata/ownerReferences")
            .iter()
            .any(|owner| text(owner, "/uid") == uid && owner.get("controller") == Some(&Value::Bool(true)))
    });
    Ok(owned.collect())
}

/// spec.selector as a query: `a=b,c in (d,e)`.
pub(crate) fn selector(object: &Value) -> String {
    object.pointer("/spec/selector").map(selectors::query).unwrap_or_default()
}

/// The pod template without the label that tells ReplicaSets apart.
pub(crate) fn template_without_hash(object: &Value) -> Value {
    let mut template = object.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    template
}

/// The number of a revision flag; negative ones are refused.
fn revision_flag(args: &Args, flag: &str) -> Result<i64, Failure> {
    match args.int(flag).unwrap_or(0) {
        number if number < 0 => Err(Failure::message(format!("revision must be a positive integer: {number}"))),
        number => Ok(number),
    }
}

/// metadata.generation and status.observedGeneration
fn generations(object: &Value) -> (i64, i64) {
    (integer(object, "/metadata/generation").unwrap_or(0), integer(object, "/status/observedGeneration").unwrap_or(0))
}
