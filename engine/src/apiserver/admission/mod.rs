//! Admission: what may be created where, and what is added to it.
//!
//! Models: kubernetes v1.36.2 NamespaceLifecycle, ServiceAccount, TaintNodesByCondition, DefaultTolerationSeconds, Priority (pkg/kubeapiserver/options/
//! plugins.go). Left out: LimitRanger, ResourceQuota, PodSecurity, webhooks.

pub mod pod;

use std::sync::Arc;

use super::cache::WatchCache;
use super::status::Status;
use crate::objects::node::Taint;
use crate::objects::{Key, Kind, Node, Object};

/// The checks of a creation that need the cluster's state.
pub fn admit_create(cache: &WatchCache, object: &Object) -> Result<(), Status> {
    let (kind, meta) = (object.kind(), object.meta());
    if !kind.namespaced() {
        return Ok(());
    }
    match cache.get(Kind::Namespace, &Key { namespace: "".into(), name: meta.namespace.clone() }).map(|found| &**found)
    {
        None => return Err(Status::not_found(Kind::Namespace, &meta.namespace)),
        Some(Object::Namespace(namespace)) if namespace.terminating => {
            let why =
                format!("unable to create new content in namespace {} because it is being terminated", meta.namespace);
            return Err(Status::forbidden(kind, name_or_prefix(object), &why));
        }
        Some(_) => {}
    }
    if let Object::Pod(pod) = object {
        let account = pod.spec.api.service_account_name.as_deref().unwrap_or("default");
        if cache.get(Kind::ServiceAccount, &Key { namespace: meta.namespace.clone(), name: account.into() }).is_none() {
            let why = format!(
                "error looking up service account {}/{account}: serviceaccount \"{account}\" not found",
                meta.namespace
            );
            return Err(Status::forbidden(kind, name_or_prefix(object), &why));
        }
        if let (Some(class), None) = (&pod.spec.api.priority_class_name, pod.spec.api.priority)
            && !class.is_empty()
        {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Status::forbidden(kind, name_or_prefix(object), &why));
        }
    }
    Ok(())
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
