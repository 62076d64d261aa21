//! Priority: from the name of a class to a number; and which storage class a claim gets.
//!
//! Models: kubernetes v1.36.2 plugin/pkg/admission/priority/admission.go,
//! plugin/pkg/admission/storage/storageclass/setdefault/admission.go. The classes of the system are always there.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::apiserver::cache::WatchCache;
use crate::apiserver::request::ListOptions;
use crate::apiserver::status::Status;
use crate::objects::{Key, Kind, Object, volume};

/// Whether pods without a class of their own may push others off a node.
const PREEMPTS: &str = "PreemptLowerPriority";
/// The built-in priority classes.
const SYSTEM: [(&str, i32); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
const OLD_STORAGE: &str = "volume.beta.kubernetes.io/storage-class";

/// A priority class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Class {
    /// Its name; empty for no class.
    pub name: String,
    /// Its priority.
    pub value: i32,
    /// `PreemptLowerPriority` or `Never`.
    pub preemption: String,
}

/// Finds a priority class by name; the empty name means that of pods without one.
pub type Classes<'a> = &'a dyn Fn(&str) -> Option<Class>;

/// The classes that are always there.
pub fn built_in(name: &str) -> Option<Class> {
    let class = |name: &str, value| Class { name: name.to_owned(), value, preemption: PREEMPTS.to_owned() };
    if name.is_empty() {
        return Some(class("", 0));
    }
    SYSTEM.iter().find(|(known, _)| *known == name).map(|(name, value)| class(name, *value))
}

/// The class, if the cluster has it.
pub fn find(cache: &WatchCache, name: &str) -> Option<Class> {
    if name.is_empty() {
        let all = cache.list(Kind::PriorityClass, &"".into(), &ListOptions::default());
        let global = all.iter().filter_map(|object| class(object)).filter(|(_, global)| *global);
        // Of several, the lowest.
        return global.map(|(class, _)| class).min_by_key(|class| class.value).or_else(|| built_in(""));
    }
    built_in(name).or_else(|| {
        let found = cache.get(Kind::PriorityClass, &Key { namespace: "".into(), name: name.into() })?;
        class(found).map(|(class, _)| class)
    })
}

fn class(object: &Object) -> Option<(Class, bool)> {
    let Object::PriorityClass(class) = object else { return None };
    let preemption = class.api.preemption_policy.clone().unwrap_or_else(|| PREEMPTS.to_owned());
    let found = Class { name: (*class.meta.name).into(), value: class.api.value.unwrap_or_default(), preemption };
    Some((found, class.api.global_default == Some(true)))
}

/// Only one class may be that of pods without one.
pub fn only_one_default(cache: &WatchCache, name: &str) -> Result<(), Status> {
    let all = cache.list(Kind::PriorityClass, &"".into(), &ListOptions::default());
    let other = all.iter().filter_map(|object| class(object)).find(|(class, global)| *global && class.name != name);
    match other {
        None => Ok(()),
        Some((other, _)) => {
            let why = format!("PriorityClass {} is already marked as default. Only one default can exist", other.name);
            Err(Status::forbidden(Kind::PriorityClass, name, &why))
        }
    }
}

/// A claim that names no storage class gets the default one: the newest of those marked so.
pub fn default_storage(cache: &WatchCache, claim: &mut PersistentVolumeClaim) {
    let annotated =
        claim.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(OLD_STORAGE));
    let spec = claim.spec.get_or_insert_default();
    if annotated || spec.storage_class_name.is_some() {
        return;
    }
    let all = cache.list(Kind::StorageClass, &"".into(), &ListOptions::default());
    let default = volume::default_class(all.iter().map(|object| object.meta()));
    spec.storage_class_name = default.map(|meta| (*meta.name).into());
}
