//! A sync of a claim: binds it, waits, has a volume made for it, or deals with the volume it leaves behind.
//!
//! Models: kubernetes v1.36.2 pkg/controller/volume/persistentvolume/{pv_controller,index}.go (syncClaim, syncVolume, bind).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;

use super::{Class, Inputs, VOLUME_FINALIZER};
use crate::apiserver::request::{DeleteOptions, Patch};
use crate::client::connection::Call;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::selector::Selector;
use crate::objects::volume::{
    self, BIND_COMPLETED, BOUND_BY_CONTROLLER, Claim, NOBODY, PROVISIONED_BY, PROVISIONER, SELECTED_NODE, Volume,
    WAIT_FOR_FIRST_CONSUMER, claim_uid, claimed_by, reference,
};
use crate::objects::{Kind, Object, ObjectMeta, Resource};

/// Whether a claim has its volume.
pub(super) fn bound(claim: &Claim) -> bool {
    let phase = claim.api.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Bound") && meant(claim).is_some()
}

/// The volume that a claim names.
pub(super) fn meant(claim: &Claim) -> Option<&str> {
    claim.api.spec.as_ref()?.volume_name.as_deref().filter(|name| !name.is_empty())
}

/// The smallest volume that fits a claim and is nobody's.
pub(super) fn smallest<'a>(claim: &Claim, volumes: impl Iterator<Item = &'a Arc<Object>>) -> Option<Arc<Object>> {
    let selector = claim.api.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = selector.map(|selector| Selector::from_label_selector(selector).unwrap_or(Selector::nothing()));
    let fits = |volume: &&Volume| {
        let phase = volume.api.status.as_ref().and_then(|status| status.phase.as_deref());
        claimed_by(volume).is_none()
            && !volume.meta.deleting()
            && phase == Some("Available")
            && selector.as_ref().is_none_or(|selector| selector.matches(&volume.meta.labels))
            && volume::satisfies(volume, claim)
    };
    let size = |volume: &Volume| volume::storage(volume.api.spec.as_ref().and_then(|spec| spec.capacity.as_ref()));
    let fitting = volumes.filter_map(|object| Some((object, object.as_resource().filter(fits)?)));
    fitting.min_by_key(|(object, volume)| (size(volume), object.key())).map(|(object, _)| object.clone())
}

/// Brings a claim a step closer to its volume.
pub(super) fn sync(inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
    if let Some(volume) = inputs.unclaimed.as_ref().and_then(|object| object.as_resource::<PersistentVolume>()) {
        let free = volume.with_status(|api| api.status.get_or_insert_default().phase = Some("Available".to_owned()));
        return write_status(Object::PersistentVolume(free), routine);
    }
    for volume in inputs.own.iter().filter_map(|object| object.as_resource::<PersistentVolume>()) {
        // One that was only meant for a claim waits for it.
        let uid = claim_uid(volume);
        let here = |claim: &Arc<Claim>| uid.is_some_and(|uid| claim.meta.uid.to_string() == uid);
        if uid.is_some() && !inputs.claim.as_ref().is_some_and(here) {
            release(volume, routine)?;
        }
    }
    let Some(claim) = &inputs.claim else { return Ok(()) };
    if bound(claim) || claim.meta.deleting() {
        return Ok(());
    }
    let own = inputs.own.iter().filter_map(|object| object.as_resource::<PersistentVolume>());
    let own = own.filter(|volume| claim_uid(volume).is_none_or(|uid| claim.meta.uid.to_string() == uid));
    let meant = meant(claim);
    let mut own = own.filter(|volume| meant.is_none_or(|name| *volume.meta.name == *name));
    let free = inputs.free.as_ref().and_then(|object| object.as_resource::<PersistentVolume>());
    match own.next().or(free) {
        Some(volume) => bind(claim, volume, routine),
        // It waits for the one it names.
        None if meant.is_some() => Ok(()),
        None => without_volume(inputs, claim, routine),
    }
}

/// Whether claims of a class wait for a pod.
pub(super) fn waits(class: &Resource<StorageClass>) -> bool {
    class.api.volume_binding_mode.as_deref() == Some(WAIT_FOR_FIRST_CONSUMER)
}

fn say(inputs: &Inputs, kind: EventType, reason: &'static str, text: &str, routine: &mut Routine<'_>) {
    if let Some(about) = &inputs.about {
        routine.event(about, kind, reason, || text.to_owned());
    }
}

fn without_volume(inputs: &Inputs, claim: &Arc<Claim>, routine: &mut Routine<'_>) -> Step<()> {
    let class = match &inputs.class {
        Class::None => {
            let text = "no persistent volumes available for this claim and no storage class is set";
            say(inputs, EventType::Normal, "FailedBinding", text, routine);
            return Ok(());
        }
        Class::Default(name) => {
            let named =
                claim.with_status(|api| api.spec.get_or_insert_default().storage_class_name = Some(name.to_string()));
            return write(Object::PersistentVolumeClaim(named), routine).map(|_| ());
        }
        Class::Missing(name) => {
            let text = format!("storageclass.storage.k8s.io \"{name}\" not found");
            say(inputs, EventType::Warning, "ProvisioningFailed", &text, routine);
            return Ok(());
        }
        Class::Known(class) => class,
    };
    if waits(class) && claim.meta.annotation(SELECTED_NODE).is_none() {
        let (reason, text) = match &inputs.consumers[..] {
            [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned()),
            [pod] => ("WaitForPodScheduled", format!("waiting for pod {pod} to be scheduled")),
            pods => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", pods.join(","))),
        };
        say(inputs, EventType::Normal, reason, &text, routine);
        return Ok(());
    }
    let provisioner = class.api.provisioner.clone();
    if provisioner == NOBODY {
        let text = format!("no volume plugin matched name: {NOBODY}");
        say(inputs, EventType::Warning, "ProvisioningFailed", &text, routine);
        return Ok(());
    }
    if claim.meta.annotation(PROVISIONER) != Some(&*provisioner) {
        let mut marked = (**claim).clone();
        marked.meta.annotate(PROVISIONER, &provisioner);
        write(Object::PersistentVolumeClaim(marked), routine)?;
    }
    let text = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. \
         If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    say(inputs, EventType::Normal, "ExternalProvisioning", &text, routine);
    if inputs.left > Duration::ZERO {
        routine.ask(|| Effect::RequeueAfter(inputs.left));
        return Ok(());
    }
    let reclaim = class.api.reclaim_policy.clone().unwrap_or_else(|| "Delete".to_owned());
    let made = || Object::PersistentVolume(provisioned(claim, &provisioner, &class.meta.name, &reclaim));
    let volume = match routine.call(|| Call::create(made()))? {
        Err(status) if &*status.reason == "AlreadyExists" => return Ok(()),
        other => other?,
    };
    let text = format!("Successfully provisioned volume {}", volume.object().map_or("", |volume| &volume.meta().name));
    say(inputs, EventType::Normal, "ProvisioningSucceeded", &text, routine);
    Ok(())
}

/// The volume that a provisioner makes for a claim.
fn provisioned(claim: &Claim, provisioner: &str, class: &str, reclaim: &str) -> Volume {
    let spec = claim.api.spec.clone().unwrap_or_default();
    let name = format!("pvc-{}", claim.meta.uid);
    let mut meta = ObjectMeta { finalizers: Arc::new([VOLUME_FINALIZER.into()]), ..ObjectMeta::named("", &name) };
    meta.annotate(PROVISIONED_BY, provisioner);
    let csi = CSIPersistentVolumeSource {
        driver: provisioner.to_owned(),
        volume_handle: name,
        ..CSIPersistentVolumeSource::default()
    };
    let volume = PersistentVolumeSpec {
        access_modes: spec.access_modes,
        capacity: spec.resources.and_then(|resources| resources.requests),
        claim_ref: Some(reference(claim)),
        csi: Some(csi),
        persistent_volume_reclaim_policy: Some(reclaim.to_owned()),
        storage_class_name: Some(class.to_owned()),
        volume_mode: spec.volume_mode.or(Some("Filesystem".to_owned())),
        ..PersistentVolumeSpec::default()
    };
    let mut api = PersistentVolume { spec: Some(volume), ..PersistentVolume::default() };
    api.status.get_or_insert_default().phase = Some("Pending".to_owned());
    Resource { meta, api: Arc::new(api), compiled: Arc::new(()) }
}

/// Writes an object; it as it is then.
fn write(object: Object, routine: &mut Routine<'_>) -> Step<Arc<Object>> {
    let same = Arc::new(object.clone());
    Ok(routine.call(|| Call::update(object))??.object().cloned().unwrap_or(same))
}

fn write_status(object: Object, routine: &mut Routine<'_>) -> Step<()> {
    routine.call(|| Call::update_status(object))??;
    Ok(())
}

/// Binds a claim and a volume, in the order of upstream: the volume, its status, the claim, its status.
fn bind(claim: &Arc<Claim>, volume: &Volume, routine: &mut Routine<'_>) -> Step<()> {
    let mut volume = volume.clone();
    if claim_uid(&volume).is_none() {
        volume = volume::bound_to(&volume, claim);
        let written = write(Object::PersistentVolume(volume.clone()), routine)?;
        volume = written.as_resource::<PersistentVolume>().cloned().unwrap_or(volume);
    }
    let phase = |api: &PersistentVolume| api.status.as_ref().and_then(|status| status.phase.clone());
    if phase(&volume.api).as_deref() != Some("Bound") {
        let bound = volume.with_status(|api| api.status.get_or_insert_default().phase = Some("Bound".to_owned()));
        write_status(Object::PersistentVolume(bound), routine)?;
    }
    let name = volume.meta.name.to_string();
    let mut bound = claim.with_status(|api| api.spec.get_or_insert_default().volume_name = Some(name));
    bound.meta.annotate(BIND_COMPLETED, "yes");
    if meant(claim).is_none() {
        bound.meta.annotate(BOUND_BY_CONTROLLER, "yes");
    }
    let written = write(Object::PersistentVolumeClaim(bound.clone()), routine)?;
    let bound = written.as_resource::<PersistentVolumeClaim>().cloned().unwrap_or(bound);
    let capacity = volume.api.spec.as_ref().and_then(|spec| spec.capacity.clone());
    let modes = volume.api.spec.as_ref().and_then(|spec| spec.access_modes.clone());
    let bound = bound.with_status(|api| {
        let status = api.status.get_or_insert_default();
        (status.phase, status.capacity, status.access_modes) = (Some("Bound".to_owned()), capacity, modes);
    });
    write_status(Object::PersistentVolumeClaim(bound), routine)
}

/// A volume whose claim is gone: it is deleted, or kept as its policy says.
fn release(volume: &Volume, routine: &mut Routine<'_>) -> Step<()> {
    let phase = volume.api.status.as_ref().and_then(|status| status.phase.clone());
    if phase.as_deref() != Some("Released") {
        let released = volume.with_status(|api| api.status.get_or_insert_default().phase = Some("Released".to_owned()));
        write_status(Object::PersistentVolume(released), routine)?;
    }
    let policy = volume.api.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    if policy != Some("Delete") {
        return Ok(());
    }
    let there = |status: &crate::apiserver::status::Status| !status.is_not_found();
    if !volume.meta.deleting()
        && let Err(status) =
            routine.call(|| Call::delete(Kind::PersistentVolume, volume.meta.key(), DeleteOptions::default()))?
        && there(&status)
    {
        return Err(Interrupt::from(status));
    }
    let patch = Patch::DropFinalizer { uid: volume.meta.uid, finalizer: VOLUME_FINALIZER.into() };
    match routine.call(|| Call::patch(Kind::PersistentVolume, volume.meta.key(), patch))? {
        Err(status) if there(&status) => Err(Interrupt::from(status)),
        _ => Ok(()),
    }
}
