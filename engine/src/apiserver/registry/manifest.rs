//! From JSON to objects: decoding, defaulting, mutating admission, validation, and then the compact form.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/{create,update,patch,namer}.go,
//! registry/generic/registry/store.go (Update), registry/rest/{create,update}.go (BeforeCreate, BeforeUpdate).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::Context;
use crate::apiserver::patch::{self, PatchType};
use crate::apiserver::request::{FieldValidation, ListOptions};
use crate::apiserver::status::Status;
use crate::apiserver::validation::FieldError;
use crate::apiserver::{admission, defaulting, validation};
use crate::objects::decode::{self, Decoded};
use crate::objects::pod::TOKEN_PLACEHOLDER;
use crate::objects::{Key, Kind, Object, Uid, compact, json, suffix};

use super::{patch_errors, service};

/// The object of a creation's body.
pub fn created(context: &mut Context<'_>, value: &Value) -> Result<Object, Status> {
    let (kind, key) = (context.request.kind, &context.request.key);
    let mut decoded = decoded(context, value)?;
    let meta = decoded.metadata_mut();
    let named = in_namespace(kind, meta, &key.namespace)?;
    let shown = if named.is_empty() { meta.generate_name.clone().unwrap_or_default() } else { named };
    admission::admit_namespace(context.cache, kind, &key.namespace, &shown)?;
    if let Decoded::Pod(pod) = &mut decoded {
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("");
        admission::admit_account(context.cache, &key.namespace, account, &shown)?;
        let ranges = context.cache.list(Kind::LimitRange, &key.namespace, &ListOptions::default());
        admission::set_limits(&ranges, pod);
        let classes = |name: &str| admission::priority::find(context.cache, name);
        admission::pod::admit_pod_of_class(pod, TOKEN_PLACEHOLDER, &classes)
            .map_err(|why| Status::forbidden(kind, &shown, &why))?;
        if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
            let node = context.cache.get(Kind::Node, &Key { namespace: "".into(), name: node.into() });
            let labels = node.map(|node| &node.meta().labels);
            admission::pod::topology_labels(pod, |label| labels?.get(label).map(|value| &**value));
        }
    }
    if let Decoded::PersistentVolumeClaim(claim) = &mut decoded {
        admission::priority::default_storage(context.cache, claim);
    }
    let meta = decoded.metadata_mut();
    if meta.name.as_ref().is_none_or(String::is_empty)
        && let Some(prefix) = meta.generate_name.as_ref().filter(|prefix| !prefix.is_empty())
    {
        meta.name = Some(suffix::generate_name(prefix, &mut context.luck));
    }
    meta.uid = Some(random_uid(context).to_string());
    let name = decoded.metadata().name.clone().unwrap_or_default();
    defaulting::prepare_for_create(&mut decoded);
    refuse(kind, &name, &validation::create(&decoded))?;
    defaulting::read_back(&mut decoded);
    if decoded.metadata().resource_version.as_ref().is_some_and(|version| !version.is_empty()) {
        return Err(Status::internal("resourceVersion should not be set on objects to be created"));
    }
    context.warnings.extend(validation::warnings(&decoded));
    compacted(decoded)
}

/// The uid of a new object.
pub fn random_uid(context: &mut Context<'_>) -> Uid {
    Uid::random(u128::from(context.luck.bits()) << 64 | u128::from(context.luck.bits()))
}

/// The object of an update's body.
pub fn updated(context: &mut Context<'_>, value: &Value, current: &Arc<Object>) -> Result<Object, Status> {
    let new = decoded(context, value)?;
    let (kind, key) = (context.request.kind, &context.request.key);
    let mut meta = new.metadata().clone();
    let named = in_namespace(kind, &mut meta, &key.namespace)?;
    if named.is_empty() {
        let why =
            format!("the name of the object ({} based on URL) was undeterminable: name must be provided", key.name);
        return Err(Status::bad_request(why));
    }
    if named != *key.name {
        let why = format!("the name of the object ({named}) does not match the name on the URL ({})", key.name);
        return Err(Status::bad_request(why));
    }
    let uid = current.meta().uid.to_string();
    if let Some(meant) = meta.uid.as_ref().filter(|meant| !meant.is_empty() && **meant != uid) {
        return Err(Status::other_uid(current, meant));
    }
    replaced(context, new, value, current)
}

/// The object after a patch, and its JSON.
pub fn patched(
    context: &mut Context<'_>,
    patch_type: PatchType,
    patch: &Value,
    current: &Arc<Object>,
) -> Result<(Object, Value), Status> {
    let (kind, key) = (context.request.kind, &context.request.key);
    let next =
        patch::apply(kind.plural(), patch_type, &json::to_json(current), patch).map_err(patch_errors::refused)?;
    let outcome =
        decode::decode(kind, &next).map_err(|error| patch_errors::unfit(patch_type, patch, &next, &error.0))?;
    if !outcome.problems.is_empty() {
        match context.request.options.field_validation {
            FieldValidation::Strict => {
                let why = decode::strict_error(&outcome.problems);
                return Err(patch_errors::invalid(patch_type, patch, &next, &why));
            }
            FieldValidation::Warn => context.warnings.extend(outcome.problems),
            FieldValidation::Ignore => {}
        }
    }
    let mut new = outcome.object;
    defaulting::apply(&mut new);
    let meta = new.metadata();
    let named = meta.name.as_deref().unwrap_or_default();
    if named != &*key.name {
        let why = format!("the name of the object ({named}) does not match the name on the URL ({})", key.name);
        return Err(Status::bad_request(why));
    }
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    if kind.namespaced() && namespace != &*key.namespace {
        let why = format!(
            "the namespace of the object ({namespace}) does not match the namespace on the request ({})",
            key.namespace
        );
        return Err(Status::bad_request(why));
    }
    Ok((replaced(context, new, &next, current)?, next))
}

/// The version to store, checked against the present one.
fn replaced(
    context: &mut Context<'_>,
    mut new: Decoded,
    value: &Value,
    current: &Arc<Object>,
) -> Result<Object, Status> {
    let kind = context.request.kind;
    let before = json::to_json(current);
    let old = stored(kind, &before)?;
    inherit(new.metadata_mut(), old.metadata(), current)?;
    if let (Decoded::Pod(new), Decoded::Pod(old)) = (&mut new, &old) {
        admission::pod::admit_pod_update(new, old);
    }
    if let (Decoded::Service(new), Decoded::Service(old)) = (&mut new, &old) {
        service::keep_allocated(new, old);
    }
    defaulting::prepare_for_update(&mut new, &old);
    refuse(kind, &current.meta().name, &validation::update(&new, &old))?;
    // An update repeats the warnings of the creation only where it changes what is warned of.
    let already = validation::warnings(&old);
    context.warnings.extend(validation::warnings(&new).into_iter().filter(|warning| !already.contains(warning)));
    let mut next = compacted(new)?;
    if let (Object::Pod(next), Object::Pod(old)) = (&mut next, &**current)
        && value["spec"] == before["spec"]
    {
        next.spec = old.spec.clone();
    }
    if let (Object::Node(next), Object::Node(old)) = (&mut next, &**current) {
        keep_times(next, old);
    }
    Ok(next)
}

/// Fills in the namespace of the request; returns the name. Upstream: EnsureObjectNamespaceMatchesRequestNamespace.
pub(super) fn in_namespace(kind: Kind, meta: &mut ObjectMeta, namespace: &str) -> Result<String, Status> {
    if kind.namespaced() {
        match meta.namespace.as_deref().unwrap_or_default() {
            "" => meta.namespace = Some(namespace.to_owned()),
            given if given == namespace => {}
            _ => {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
    }
    Ok(meta.name.clone().unwrap_or_default())
}

/// Copies what a client may leave out or cannot change, and checks the version.
pub(super) fn inherit(new: &mut ObjectMeta, old: &ObjectMeta, current: &Object) -> Result<(), Status> {
    let absent = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    let version = new.resource_version.clone().unwrap_or_default();
    let version = match version.as_str() {
        "" => 0,
        text => text.parse::<u64>().map_err(|_| {
            Status::internal(format!("strconv.ParseUint: parsing {}: invalid syntax", Value::from(text)))
        })?,
    };
    if version == 0 && matches!(current.kind(), Kind::Lease | Kind::PodDisruptionBudget) {
        return Err(Status::version_needed(current));
    }
    if version != 0 && version != current.meta().resource_version {
        return Err(Status::modified(current.kind(), &current.meta().name));
    }
    new.resource_version = old.resource_version.clone();
    new.generation = old.generation;
    if absent(&new.namespace) {
        new.namespace = old.namespace.clone();
    }
    if absent(&new.uid) {
        new.uid = old.uid.clone();
    }
    new.creation_timestamp = old.creation_timestamp.clone();
    new.deletion_timestamp = old.deletion_timestamp.clone();
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.self_link = None;
    Ok(())
}

fn keep_times(next: &mut crate::objects::Node, old: &crate::objects::Node) {
    let taints = next.taints.iter().map(|taint| {
        let before = old.taints.iter().find(|old| old.key == taint.key && old.effect == taint.effect);
        crate::objects::node::Taint { added: before.and_then(|old| old.added), ..taint.clone() }
    });
    next.taints = taints.collect();
}

/// A body decoded and defaulted, with what the request wants done about fields nobody knows.
fn decoded(context: &mut Context<'_>, value: &Value) -> Result<Decoded, Status> {
    let kind = context.request.kind;
    let refused = |why: &str| Status::bad_request(decode::cannot_be_handled(kind.name(), kind.api_version(), why));
    match value["kind"].as_str() {
        Some(given) if given != kind.name() => {
            let version = value["apiVersion"].as_str().unwrap_or_default();
            let why = format!(
                "no kind \"{given}\" is registered for version \"{version}\" in scheme \"pkg/api/legacyscheme/scheme.go:30\""
            );
            let said = decode::cannot_be_handled(kind.name(), kind.api_version(), &why);
            return Err(Status::bad_request(said.replacen(kind.name(), given, 1)));
        }
        _ => {}
    }
    let outcome = decode::decode(kind, value).map_err(|error| refused(&error.0))?;
    if !outcome.problems.is_empty() {
        match context.request.options.field_validation {
            FieldValidation::Strict => return Err(refused(&decode::strict_error(&outcome.problems))),
            FieldValidation::Warn => context.warnings.extend(outcome.problems),
            FieldValidation::Ignore => {}
        }
    }
    let mut object = outcome.object;
    defaulting::apply(&mut object);
    Ok(object)
}

/// What was stored, decoded again.
fn stored(kind: Kind, value: &Value) -> Result<Decoded, Status> {
    let mut object = decode::decode(kind, value).map_err(|error| Status::internal(error.0))?.object;
    defaulting::apply(&mut object);
    Ok(object)
}

/// What admission makes of a spec in a template. A template it would refuse stays as it is: the pods made from it are refused.
pub(crate) fn admitted(spec: &mut PodSpec) {
    let mut pod = Pod { spec: Some(spec.clone()), ..Pod::default() };
    if admission::pod::admit_pod(&mut pod, TOKEN_PLACEHOLDER).is_ok()
        && let Some(admitted) = pod.spec
    {
        *spec = admitted;
    }
}

pub(super) fn refuse(kind: Kind, name: &str, errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::from_json(&validation::invalid_status(kind, name, errors))) }
}

fn compacted(decoded: Decoded) -> Result<Object, Status> {
    let admit = &admitted;
    Ok(match decoded {
        Decoded::Pod(pod) => Object::Pod(compact::pod(*pod)),
        Decoded::Node(node) => Object::Node(compact::node(*node)),
        Decoded::Namespace(namespace) => Object::Namespace(compact::namespace(*namespace)),
        Decoded::ConfigMap(map) => Object::ConfigMap(compact::config_map(*map)),
        Decoded::ServiceAccount(account) => Object::ServiceAccount(compact::service_account(*account)),
        Decoded::Deployment(deployment) => Object::Deployment(compact::deployment(*deployment, admit)),
        Decoded::ReplicaSet(set) => Object::ReplicaSet(compact::replica_set(*set, admit)),
        Decoded::Lease(lease) => Object::Lease(compact::lease(*lease)),
        Decoded::Event(_) => {
            return Err(Status::bad_request("wavetank: events come from the cluster's components only"));
        }
        other => {
            let kind = other.kind();
            other.into_resource(admit).map_err(|_| Status::internal(format!("no form for {}", kind.name())))?
        }
    })
}
