//! A sync of a claim: binds it, waits, has a volume made for it, or deals with the volume it leaves behind.
//!
//! Models: kubernetes v1.36.2 pkg/controller/volume/persistentvolume/{pv_controller,index}.go (syncClaim, syncVolume, bind).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, ObjectReference as ApiReference, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, PersistentVolumeSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::{Claim, Class, Inputs, VOLUME_FINALIZER, Volume, claimed_by};
use crate::apiserver::request::{DeleteOptions, Patch};
use crate::client::connection::Call;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::quantity::Quantity;
use crate::objects::{Kind, Object, ObjectMeta, Resource};

/// How long a provisioner takes to make a volume: an estimate of cloud disks' and CSI drivers' usual few seconds.
const PROVISIONING: Duration = Duration::from_secs(2);
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// A class whose volumes a person makes.
const NOBODY: &str = "kubernetes.io/no-provisioner";

/// Whether a claim has its volume.
pub(super) fn bound(claim: &Claim) -> bool {
    let phase = claim.api.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Bound") && !spec(claim).volume_name.unwrap_or_default().is_empty()
}

fn spec(claim: &Claim) -> PersistentVolumeClaimSpec {
    claim.api.spec.clone().unwrap_or_default()
}

fn size(list: Option<&std::collections::BTreeMap<String, ApiQuantity>>) -> i64 {
    list.and_then(|list| list.get("storage")).and_then(|text| Quantity::parse(&text.0).ok()).map_or(0, Quantity::value)
}

fn requested(spec: &PersistentVolumeClaimSpec) -> i64 {
    size(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

/// The smallest volume that fits a claim and is nobody's.
pub(super) fn smallest<'a>(claim: &Claim, volumes: impl Iterator<Item = &'a Arc<Object>>) -> Option<Arc<Object>> {
    let spec = spec(claim);
    let of = |object: &Arc<Object>| -> Option<PersistentVolumeSpec> {
        let volume = object.as_resource::<PersistentVolume>().filter(|volume| !volume.meta.deleting())?;
        let phase = volume.api.status.as_ref().and_then(|status| status.phase.as_deref());
        volume
            .api
            .spec
            .clone()
            .filter(|_| claimed_by(volume).is_none() && !matches!(phase, Some("Released" | "Failed")))
    };
    let fits = |volume: &PersistentVolumeSpec| {
        let modes = volume.access_modes.as_deref().unwrap_or_default();
        let class = |class: &Option<String>| class.clone().unwrap_or_default();
        class(&volume.storage_class_name) == class(&spec.storage_class_name)
            && spec.access_modes.iter().flatten().all(|mode| modes.contains(mode))
            && size(volume.capacity.as_ref()) >= requested(&spec)
            && spec.volume_name.as_deref().is_none_or(str::is_empty)
    };
    let fitting = volumes.filter_map(|object| Some((object, of(object)?))).filter(|(_, volume)| fits(volume));
    fitting
        .min_by_key(|(object, volume)| (size(volume.capacity.as_ref()), object.key()))
        .map(|(object, _)| object.clone())
}

/// Brings a claim a step closer to its volume.
pub(super) fn sync(inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
    for volume in inputs.own.iter().filter_map(|object| object.as_resource::<PersistentVolume>()) {
        let uid = volume.api.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.clone()).unwrap_or_default();
        let here = inputs.claim.as_ref().is_some_and(|claim| uid.is_empty() || claim.meta.uid.to_string() == uid);
        if !here {
            release(volume, routine)?;
        }
    }
    let Some(claim) = &inputs.claim else { return Ok(()) };
    if bound(claim) || claim.meta.deleting() {
        return Ok(());
    }
    let own = inputs.own.iter().filter_map(|object| object.as_resource::<PersistentVolume>());
    let meant = spec(claim).volume_name.filter(|name| !name.is_empty());
    let mut own = own.filter(|volume| meant.as_deref().is_none_or(|name| *volume.meta.name == *name));
    if let Some(volume) = own.next() {
        return bind(claim, volume, routine);
    }
    if let Some(volume) = inputs.free.as_ref().and_then(|object| object.as_resource::<PersistentVolume>())
        && (inputs.node.is_some() || !waits(&inputs.class))
    {
        return bind(claim, volume, routine);
    }
    without_volume(inputs, claim, routine)
}

fn waits(class: &Class) -> bool {
    matches!(class, Class::Known(class) if class.api.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"))
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
    if waits(&inputs.class) && inputs.node.is_none() {
        match &inputs.consumer {
            None => {
                let text = "waiting for first consumer to be created before binding";
                say(inputs, EventType::Normal, "WaitForFirstConsumer", text, routine);
            }
            Some((pod, _)) => {
                let text = format!("waiting for pod {pod} to be scheduled");
                say(inputs, EventType::Normal, "WaitForPodScheduled", &text, routine);
            }
        }
        return Ok(());
    }
    let provisioner = class.api.provisioner.clone();
    if provisioner == NOBODY {
        return Ok(());
    }
    if claim.meta.annotation(PROVISIONER) != Some(&*provisioner) {
        let mut marked = (**claim).clone();
        marked.meta.annotate(PROVISIONER, &provisioner);
        if let Some(node) = &inputs.node {
            marked.meta.annotate(SELECTED_NODE, node);
        }
        write(Object::PersistentVolumeClaim(marked), routine)?;
    }
    let text = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. \
         If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    say(inputs, EventType::Normal, "ExternalProvisioning", &text, routine);
    if inputs.provisioning < PROVISIONING {
        let left = PROVISIONING.as_nanos() - inputs.provisioning.as_nanos();
        routine.ask(|| Effect::RequeueAfter(Duration::from_nanos(left)));
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
    let spec = spec(claim);
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

fn reference(claim: &Claim) -> ApiReference {
    ApiReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        name: Some(claim.meta.name.to_string()),
        namespace: Some(claim.meta.namespace.to_string()),
        uid: Some(claim.meta.uid.to_string()),
        resource_version: Some(claim.meta.resource_version.to_string()),
        field_path: None,
    }
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
    let claimed = volume.api.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.clone()).is_some();
    if !claimed {
        volume = volume.with_status(|api| api.spec.get_or_insert_default().claim_ref = Some(reference(claim)));
        volume.meta.annotate(BOUND_BY_CONTROLLER, "yes");
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
    bound.meta.annotate(BOUND_BY_CONTROLLER, "yes");
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
