//! The ResourceQuota controller: counts what a namespace uses, and takes notice of changed limits.
//!
//! A quota is counted when it is new or changed, when something that it counts ends or goes, and every five minutes. What comes is
//! charged by the API server before it is stored (see `apiserver/quotas.rs`).
//!
//! Models: kubernetes v1.36.2 pkg/controller/resourcequota/{resource_quota_controller,resource_quota_monitor}.go.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::apiserver::admission::quota;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::kernel::Duration;
use crate::objects::{Key, Kind, Object, Resource};

/// The ResourceQuota controller.
#[derive(Clone, Copy, Debug)]
pub struct ResourceQuotaController;

impl Controller for ResourceQuotaController {
    const AGENT: Agent = Agent::ResourceQuotaController;
    const KIND: Kind = Kind::ResourceQuota;
    const INFORMERS: &'static [Kind] = &[
        Kind::ResourceQuota,
        Kind::Pod,
        Kind::Service,
        Kind::PersistentVolumeClaim,
        Kind::ConfigMap,
        Kind::Secret,
        Kind::ServiceAccount,
        Kind::ReplicationController,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Job,
        Kind::CronJob,
        Kind::Ingress,
        Kind::HorizontalPodAutoscaler,
        Kind::PodDisruptionBudget,
    ];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = None;
    const PERIOD: Option<Duration> = Some(Duration::from_secs(300));
    /// The quota as its status should be.
    type Inputs = Arc<Object>;
    type Outcome = ();

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        if kind == Kind::ResourceQuota {
            let spec = |object: &Option<Arc<Object>>| {
                object.as_ref().and_then(|object| object.as_resource::<ResourceQuota>()?.api.spec.clone())
            };
            if change.new.is_some() && spec(&change.new) != spec(&change.old) {
                wake.key(change.object().key());
            }
        }
        let quotas = caches.store(Kind::ResourceQuota);
        if quotas.is_empty() || !counts_differently(change) {
            return;
        }
        let namespace = change.object().meta().namespace.clone();
        for object in quotas.in_namespace(&namespace) {
            let quota = object.as_resource::<ResourceQuota>();
            if quota.is_some_and(|quota| quota::counted_kinds(&quota.api).contains(&kind)) {
                wake.key(object.key());
            }
        }
    }

    fn tick(&mut self, caches: &Caches, wake: &mut Wake<'_>) {
        for quota in caches.store(Kind::ResourceQuota).iter() {
            wake.key(quota.key());
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Arc<Object>> {
        let quota: &Resource<ResourceQuota> = caches.resource(key)?;
        let kinds = quota::counted_kinds(&quota.api);
        let objects = kinds.iter().flat_map(|kind| caches.store(*kind).in_namespace(&key.namespace));
        let used = quota::count(&quota.api, objects.map(|object| &**object), view.now);
        let hard = quota::quantities(quota.api.spec.as_ref().and_then(|spec| spec.hard.as_ref()));
        let status = ResourceQuotaStatus { hard: Some(quota::to_api(&hard)), used: Some(quota::to_api(&used)) };
        let counted = quota.with_status(|api| api.status = Some(status));
        (counted != *quota).then(|| Arc::new(Object::ResourceQuota(counted)))
    }

    fn reconcile(&self, counted: &Arc<Object>, routine: &mut Routine<'_>) -> Step<()> {
        match routine.call(|| Call::update_status((**counted).clone()))? {
            Err(status) if !status.is_not_found() => Err(Interrupt::from(status)),
            _ => Ok(()),
        }
    }
}

/// Whether an object counts in another way than before: it went, ended, or changed its type.
fn counts_differently(change: &Change) -> bool {
    let (Some(new), Some(old)) = (&change.new, &change.old) else { return change.new.is_none() };
    match (&**new, &**old) {
        (Object::Pod(new), Object::Pod(old)) => new.status.phase.terminal() != old.status.phase.terminal(),
        (Object::Service(new), Object::Service(old)) => new.api.spec != old.api.spec,
        (Object::PersistentVolumeClaim(new), Object::PersistentVolumeClaim(old)) => new.api.spec != old.api.spec,
        _ => false,
    }
}
