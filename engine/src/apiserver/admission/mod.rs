//! Admission: what may be created where, and what is added to it.
//!
//! Models: kubernetes v1.36.2 NamespaceLifecycle, ServiceAccount, TaintNodesByCondition, DefaultTolerationSeconds, Priority (pkg/kubeapiserver/options/
//! plugins.go). Left out: LimitRanger, ResourceQuota, PodSecurity, webhooks.

pub mod pod;

use std::sync::Arc;

use super::cache::WatchCache;
use super::status::Status;
use crate::objects::node::Taint;
use crate::objects::{Key, Kind, Name, Node, Object};

/// The checks of a creation that need the cluster's state.
pub fn admit_create(cache: &WatchCache, object: &Object) -> Result<(), Status> {
    let (kind, meta) = (object.kind(), object.meta());
    admit_namespace(cache, kind, &meta.namespace, name_or_prefix(object))?;
    if let Object::Pod(pod) = object {
        let account = pod.spec.api.service_account_name.as_deref().unwrap_or_default();
        admit_account(cache, &meta.namespace, account, name_or_prefix(object))?;
        if let (Some(class), None) = (&pod.spec.api.priority_class_name, pod.spec.api.priority)
            && !class.is_empty()
        {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Status::forbidden(kind, name_or_prefix(object), &why));
        }
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
