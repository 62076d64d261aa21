//! Claims and volumes: a claim gets a volume that fits, or a new one from its class's provisioner.
//!
//! The provisioner is any that a StorageClass names, but for `kubernetes.io/no-provisioner`: it makes a volume that every node reaches,
//! after a time that the setup says. No cluster has a class from the start. A claim of a class with WaitForFirstConsumer is
//! left alone until the scheduler has matched it with a volume (which then says it is the claim's) or has chosen the node for which
//! one is to be made (which the claim then says).
//!
//! Models: kubernetes v1.36.2 pkg/controller/volume/persistentvolume/pv_controller.go, pkg/volume/util/finalizer.go, and what
//! sig-storage-lib-external-provisioner does. Left out: resizing, claims that lose their
//! volume (phase Lost), failures of provisioners.

mod claims;
mod protection;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

pub use self::protection::PvcProtectionController;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::volume::{self, Claim, SELECTED_NODE, claim_uid, claimed_by};
use crate::objects::{Key, Kind, Name, Object, ObjectReference, Pod, Resource};

/// Keeps a volume until its claim lets it go.
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
/// Keeps a claim until no pod uses it.
const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
/// How often every claim is looked at.
const SYNC: Duration = Duration::from_secs(15);

/// The controller that binds claims to volumes.
#[derive(Clone, Debug, Default)]
pub struct PersistentVolumeBinder {
    /// Since when a provisioner has been at work for a claim.
    asked: BTreeMap<Key, Instant>,
}

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `None`: it is gone, and its volumes are to be dealt with.
    claim: Option<Arc<Claim>>,
    about: Option<ObjectReference>,
    /// Volumes that say they are this claim's.
    own: Vec<Arc<Object>>,
    /// The volume to take that is nobody's: the one that the claim names, or else the smallest that fits.
    free: Option<Arc<Object>>,
    class: Class,
    /// The pods that use it and have no node yet.
    consumers: Vec<Name>,
    /// How long the provisioner still has work to do.
    left: Duration,
    /// A volume that is nobody's and does not say so yet; then there is nothing else.
    unclaimed: Option<Arc<Object>>,
}

/// The class of a claim.
#[derive(Clone, Debug)]
enum Class {
    /// None, and there is no default.
    None,
    /// It names none and gets the default one.
    Default(Name),
    /// There is no such class.
    Missing(Name),
    Known(Arc<Resource<StorageClass>>),
}

impl Controller for PersistentVolumeBinder {
    const AGENT: Agent = Agent::PersistentVolumeBinder;
    const KIND: Kind = Kind::PersistentVolumeClaim;
    const INFORMERS: &'static [Kind] =
        &[Kind::PersistentVolumeClaim, Kind::PersistentVolume, Kind::StorageClass, Kind::Pod];
    const WORKERS: usize = 1;
    const MAX_RETRIES: Option<u32> = None;
    const SOURCE: &'static str = "persistentvolume-controller";
    const PERIOD: Option<Duration> = Some(SYNC);
    type Inputs = Inputs;
    type Outcome = ();

    /// Keys without a namespace are of volumes.
    fn subject(key: &Key) -> (Kind, Key) {
        let kind = if key.namespace.is_empty() { Kind::PersistentVolume } else { Kind::PersistentVolumeClaim };
        (kind, key.clone())
    }

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match (kind, &**change.object()) {
            (Kind::PersistentVolumeClaim, object) => wake.key(object.key()),
            (Kind::PersistentVolume, object) => {
                let reference = object.as_resource::<PersistentVolume>().and_then(claimed_by);
                match reference {
                    Some(key) => wake.key(key),
                    None => unbound(caches).for_each(|key| wake.key(key)),
                }
                if change.new.as_ref().is_some_and(unmarked) {
                    wake.key(object.key());
                }
            }
            (Kind::StorageClass, _) => unbound(caches).for_each(|key| wake.key(key)),
            _ => {}
        }
    }

    fn tick(&mut self, caches: &Caches, wake: &mut Wake<'_>) {
        unbound(caches).for_each(|key| wake.key(key));
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Inputs> {
        let volumes = caches.store(Kind::PersistentVolume);
        let mut inputs = Inputs {
            claim: None,
            about: None,
            own: Vec::new(),
            free: None,
            class: Class::None,
            consumers: Vec::new(),
            left: Duration::ZERO,
            unclaimed: None,
        };
        if key.namespace.is_empty() {
            inputs.unclaimed = volumes.get(key).filter(|volume| unmarked(volume)).cloned();
            return inputs.unclaimed.is_some().then_some(inputs);
        }
        let is_own = |object: &&Arc<Object>| {
            object.as_resource::<PersistentVolume>().and_then(claimed_by).is_some_and(|of| of == *key)
        };
        inputs.own = volumes.iter().filter(is_own).cloned().collect();
        let Some(claim) = caches.resource::<PersistentVolumeClaim>(key) else {
            self.asked.remove(key);
            return (!inputs.own.is_empty()).then_some(inputs);
        };
        inputs.about = Some(caches.store(Kind::PersistentVolumeClaim).get(key)?.reference());
        inputs.class = class(claim, caches);
        inputs.claim = Some(Arc::new(claim.clone()));
        if claims::bound(claim) {
            self.asked.remove(key);
            return Some(inputs);
        }
        let at_once = !matches!(&inputs.class, Class::Known(class) if claims::waits(class));
        inputs.free = match claims::meant(claim) {
            Some(name) => volumes.get(&Key::new("", name)).filter(|object| may_take(object, claim)).cloned(),
            None => at_once.then(|| claims::smallest(claim, volumes.iter())).flatten(),
        };
        if let Class::Known(class) = &inputs.class {
            let waits = claims::waits(class) && claim.meta.annotation(SELECTED_NODE).is_none();
            if waits {
                self.asked.remove(key);
                let uses = |pod: &&Pod| {
                    pod.node.is_none() && !pod.status.phase.terminal() && claims_of(pod).any(|of| of == *key)
                };
                let pods = caches.pods().in_namespace(&key.namespace).filter_map(|object| object.as_pod());
                inputs.consumers = pods.filter(uses).map(|pod| pod.meta.name.clone()).collect();
            } else {
                let done = *self.asked.entry(key.clone()).or_insert(view.monotonic) + view.setup.provisioning;
                inputs.left = if done > view.monotonic { done.since(view.monotonic) } else { Duration::ZERO };
            }
        }
        Some(inputs)
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        claims::sync(inputs, routine)
    }
}

/// Whether a claim may have the volume that it names.
fn may_take(object: &Object, claim: &Claim) -> bool {
    object.as_resource().is_some_and(|named| claimed_by(named).is_none() && volume::satisfies(named, claim))
}

/// Whether a volume is nobody's and does not say so yet.
fn unmarked(object: &Arc<Object>) -> bool {
    object.as_resource::<PersistentVolume>().is_some_and(|volume| {
        let phase = volume.api.status.as_ref().and_then(|status| status.phase.as_deref());
        claim_uid(volume).is_none() && matches!(phase, None | Some("" | "Pending"))
    })
}

/// The claims that have no volume.
fn unbound(caches: &Caches) -> impl Iterator<Item = Key> {
    let all = caches.store(Kind::PersistentVolumeClaim).iter();
    all.filter(|object| object.as_resource().is_some_and(|claim| !claims::bound(claim))).map(|object| object.key())
}

/// The claims that a pod uses.
fn claims_of(pod: &Pod) -> impl Iterator<Item = Key> {
    let volumes = pod.spec.api.volumes.iter().flatten();
    let claims = volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref());
    claims.map(|claim| Key { namespace: pod.meta.namespace.clone(), name: claim.claim_name.as_str().into() })
}

fn class(claim: &Claim, caches: &Caches) -> Class {
    let field = claim.api.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    match volume::class(&claim.meta, field) {
        "" if field.is_some() => Class::None,
        "" => {
            let default = volume::default_class(caches.store(Kind::StorageClass).iter().map(|object| object.meta()));
            default.map_or(Class::None, |class| Class::Default(class.name.clone()))
        }
        name => match caches.resource::<StorageClass>(&Key::new("", name)) {
            Some(class) => Class::Known(Arc::new(class.clone())),
            None => Class::Missing(name.into()),
        },
    }
}
