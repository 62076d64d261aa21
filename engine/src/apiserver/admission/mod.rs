//! Admission: what may be created where, and what is added to it.
//!
//! Models: kubernetes v1.36.2 NamespaceLifecycle, LimitRanger, ServiceAccount, TaintNodesByCondition, DefaultTolerationSeconds, Priority,
//! DefaultStorageClass, StorageObjectInUseProtection, ResourceQuota (pkg/kubeapiserver/options/plugins.go). Left out: PodSecurity. Webhooks are in `webhooks.rs`.

pub mod limit_ranger;
pub mod pod;
pub mod priority;
pub mod quota;

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::cache::WatchCache;
use super::request::ListOptions;
use super::status::Status;
use crate::objects::node::Taint;
use crate::objects::pod::TOKEN_PLACEHOLDER;
use crate::objects::{Key, Kind, Name, Node, Object, Pod, PodSpec};

/// The checks of a creation that need the cluster's state.
pub fn admit_create(cache: &WatchCache, object: &Object) -> Result<(), Status> {
    let (kind, meta) = (object.kind(), object.meta());
    admit_namespace(cache, kind, &meta.namespace, name_or_prefix(object))?;
    if let Object::Pod(pod) = object {
        let account = pod.spec.api.service_account_name.as_deref().unwrap_or_default();
        admit_account(cache, &meta.namespace, account, name_or_prefix(object))?;
    }
    Ok(())
}

/// What admission makes of a pod that a controller sends: its template was admitted where that was possible without looking at the cluster.
pub fn admit_made(cache: &WatchCache, pod: &mut Pod) -> Result<(), Status> {
    let api = &pod.spec.api;
    let classed = api.priority.is_none() || api.priority_class_name.is_none() && cache.len(Kind::PriorityClass) > 0;
    let ranges = cache.list(Kind::LimitRange, &pod.meta.namespace, &ListOptions::default());
    if !classed && ranges.is_empty() {
        return Ok(());
    }
    let mut made = api::Pod { spec: Some(api.clone()), ..api::Pod::default() };
    if classed {
        if let Some(spec) = &mut made.spec {
            // Those of no class, which is what templates are given, count anew.
            (spec.priority, spec.preemption_policy) = (None, None);
        }
        let name =
            if pod.meta.name.is_empty() { pod.meta.generate_name.as_deref().unwrap_or("") } else { &pod.meta.name };
        self::pod::admit_pod_of_class(&mut made, TOKEN_PLACEHOLDER, &|name| priority::find(cache, name))
            .map_err(|why| Status::forbidden(Kind::Pod, name, &why))?;
    }
    set_limits(&ranges, &mut made);
    for (key, value) in made.metadata.annotations.into_iter().flatten() {
        Arc::make_mut(&mut pod.meta.annotations).insert(key.as_str().into(), value.as_str().into());
    }
    pod.spec = PodSpec::new(made.spec.unwrap_or_default());
    Ok(())
}

/// The limits of the namespace for a pod that leaves its own open.
pub fn set_limits(ranges: &[Arc<Object>], pod: &mut api::Pod) {
    for range in ranges {
        if let Object::LimitRange(range) = &**range {
            limit_ranger::set_defaults(pod, &range.api);
        }
    }
}

/// The last checks of a creation, once it is known to be valid: the bounds of the namespace.
pub fn admit_valid(cache: &WatchCache, object: &Object) -> Result<(), Status> {
    if matches!(object, Object::Pod(_) | Object::PersistentVolumeClaim(_)) {
        for range in cache.list(Kind::LimitRange, &object.meta().namespace, &ListOptions::default()) {
            let Object::LimitRange(range) = &*range else { continue };
            let broken = match object {
                Object::Pod(pod) => limit_ranger::check_pod(&pod.spec.api, &range.api),
                Object::PersistentVolumeClaim(claim) => limit_ranger::check_claim(&claim.api, &range.api),
                _ => Vec::new(),
            };
            if !broken.is_empty() {
                let why = limit_ranger::together(&broken);
                return Err(Status::forbidden(object.kind(), name_or_prefix(object), &why));
            }
        }
    }
    if let Object::PriorityClass(class) = object
        && class.api.global_default == Some(true)
    {
        priority::only_one_default(cache, &class.meta.name)?;
    }
    Ok(())
}

/// The namespace must be there and stay.
pub fn admit_namespace(cache: &WatchCache, kind: Kind, namespace: &Name, name: &str) -> Result<(), Status> {
    if !kind.namespaced() {
        return Ok(());
    }
    let key = Key { namespace: "".into(), name: namespace.clone() };
    match cache.get(Kind::Namespace, &key).map(|found| &**found) {
        None => Err(Status::not_found(Kind::Namespace, namespace)),
        Some(Object::Namespace(found)) if found.terminating || found.meta.deleting() => {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            Err(Status::forbidden(kind, name, &why).because_terminating(namespace))
        }
        Some(_) => Ok(()),
    }
}

/// A pod's service account must be there; none means `default`.
pub fn admit_account(cache: &WatchCache, namespace: &Name, account: &str, name: &str) -> Result<(), Status> {
    let account = if account.is_empty() { "default" } else { account };
    if cache.get(Kind::ServiceAccount, &Key { namespace: namespace.clone(), name: account.into() }).is_some() {
        return Ok(());
    }
    let why = format!("error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found");
    Err(Status::forbidden(Kind::Pod, name, &why))
}

fn name_or_prefix(object: &Object) -> &str {
    let meta = object.meta();
    if meta.name.is_empty() { meta.generate_name.as_deref().unwrap_or("") } else { &meta.name }
}

/// Every created node starts as not ready.
pub fn taint_new_node(node: &mut Node) {
    let not_ready = Taint {
        key: "node.kubernetes.io/not-ready".into(),
        value: "".into(),
        effect: "NoSchedule".into(),
        added: None,
    };
    if !node.taints.iter().any(|taint| taint.key == not_ready.key && taint.effect == not_ready.effect) {
        let mut taints = node.taints.to_vec();
        taints.push(not_ready);
        node.taints = Arc::from(taints);
    }
}
