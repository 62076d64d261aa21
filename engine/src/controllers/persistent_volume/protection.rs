//! A claim that is deleted stays until no pod uses it.
//!
//! Models: kubernetes v1.36.2 pkg/controller/volume/pvcprotection/pvc_protection_controller.go.

use std::sync::Arc;

use super::{CLAIM_FINALIZER, claims_of};
use crate::apiserver::request::Patch;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::controllers::caches::Caches;
use crate::controllers::contract::{Controller, View, Wake};
use crate::objects::{Key, Kind, Object, Pod};

/// The controller that takes the finalizer off claims.
#[derive(Clone, Copy, Debug)]
pub struct PvcProtectionController;

impl Controller for PvcProtectionController {
    const AGENT: Agent = Agent::PvcProtectionController;
    const KIND: Kind = Kind::PersistentVolumeClaim;
    const INFORMERS: &'static [Kind] = &[Kind::PersistentVolumeClaim, Kind::Pod];
    const WORKERS: usize = 1;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Arc<Object>;
    type Outcome = ();

    fn concerns(&mut self, kind: Kind, change: &Change, _: &Caches, wake: &mut Wake<'_>) {
        match (kind, &**change.object()) {
            (Kind::PersistentVolumeClaim, object) if object.meta().deleting() => wake.key(object.key()),
            (Kind::Pod, Object::Pod(pod)) if change.new.is_none() || pod.status.phase.terminal() => {
                claims_of(pod).for_each(|key| wake.key(key));
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _: View<'_>) -> Option<Arc<Object>> {
        let claim = caches.store(Kind::PersistentVolumeClaim).get(key)?;
        if !claim.meta().deleting() || !claim.meta().has_finalizer(CLAIM_FINALIZER) {
            return None;
        }
        let uses = |pod: &Pod| !pod.status.phase.terminal() && claims_of(pod).any(|of| of == *key);
        let used = caches.pods().in_namespace(&key.namespace).any(|object| object.as_pod().is_some_and(uses));
        (!used).then(|| claim.clone())
    }

    fn reconcile(&self, claim: &Arc<Object>, routine: &mut Routine<'_>) -> Step<()> {
        let patch = Patch::DropFinalizer { uid: claim.meta().uid, finalizer: CLAIM_FINALIZER.into() };
        match routine.call(|| Call::patch(Kind::PersistentVolumeClaim, claim.key(), patch))? {
            Err(status) if !status.is_not_found() => Err(Interrupt::from(status)),
            _ => Ok(()),
        }
    }
}
