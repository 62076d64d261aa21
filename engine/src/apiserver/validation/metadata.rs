//! Object metadata.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go,
//! pkg/apis/core/validation/validation.go (finalizers). Left out: managedFields.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::field::{Errors, Path};
use super::labels;
use super::names::{self, NameCheck};
use super::print::{json, quote};

/// Most annotations of an object, keys and values. [bytes]
const ANNOTATION_BYTES: usize = 256 * 1024;
/// Finalizers without a domain that Kubernetes knows.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

const METADATA: Path<'static> = Path::root("metadata");

/// Metadata of an object with its name generated; `namespaced` if its kind lives in namespaces.
pub(super) fn create(meta: &ObjectMeta, namespaced: bool, check: NameCheck, errors: &mut Errors) {
    generic(meta, namespaced, check, errors);
    finalizers_of_kubernetes(meta, errors);
}

/// The same without the finalizers of Kubernetes, for kinds outside of core.
pub(super) fn generic(meta: &ObjectMeta, namespaced: bool, check: NameCheck, errors: &mut Errors) {
    if let Some(prefix) = meta.generate_name.as_deref().filter(|prefix| !prefix.is_empty()) {
        errors.invalid_each(&METADATA.child("generateName"), prefix, &check(prefix, true));
    }
    match meta.name.as_deref().unwrap_or_default() {
        "" => errors.required(&METADATA.child("name"), "name or generateName is required"),
        name => errors.invalid_each(&METADATA.child("name"), name, &check(name, false)),
    }
    match (namespaced, meta.namespace.as_deref().unwrap_or_default()) {
        (true, "") => errors.required(&METADATA.child("namespace"), ""),
        (true, namespace) => {
            errors.invalid_each(&METADATA.child("namespace"), namespace, &names::namespace_name(namespace, false));
        }
        (false, "") => {}
        (false, _) => errors.forbidden(&METADATA.child("namespace"), "not allowed on this type"),
    }
    errors.non_negative(&METADATA.child("generation"), meta.generation.unwrap_or_default());
    common(meta, errors);
    finalizers(meta, errors);
}

/// A change of metadata, as the rules of a core kind check it.
pub(super) fn update(new: &ObjectMeta, old: &ObjectMeta, errors: &mut Errors) {
    generic_update(new, old, errors);
    finalizers_of_kubernetes(new, errors);
}

/// A change of metadata, as every kind's is checked.
pub(super) fn generic_update(new: &ObjectMeta, old: &ObjectMeta, errors: &mut Errors) {
    if old.deletion_timestamp.is_some() {
        new_finalizers(new, old, errors);
    }
    let generation = new.generation.unwrap_or_default();
    if generation < old.generation.unwrap_or_default() {
        errors.invalid(&METADATA.child("generation"), generation, "must not be decremented");
    }
    let mut immutable = |name: &str, new: Option<&String>, old: Option<&String>| {
        let (new, old) = (new.map_or("", String::as_str), old.map_or("", String::as_str));
        if new != old {
            errors.invalid(&METADATA.child(name), new, "field is immutable");
        }
    };
    immutable("name", new.name.as_ref(), old.name.as_ref());
    immutable("namespace", new.namespace.as_ref(), old.namespace.as_ref());
    immutable("uid", new.uid.as_ref(), old.uid.as_ref());
    common(new, errors);
}

fn common(meta: &ObjectMeta, errors: &mut Errors) {
    labels::map(meta.labels.as_ref(), &METADATA.child("labels"), errors);
    annotations(meta.annotations.as_ref(), &METADATA.child("annotations"), errors);
    owners(meta.owner_references.as_deref().unwrap_or_default(), errors);
}

/// Annotations: keys like label keys but in any case, and a limit on the whole.
pub(super) fn annotations(annotations: Option<&BTreeMap<String, String>>, path: &Path<'_>, errors: &mut Errors) {
    let mut bytes = 0;
    for (key, value) in annotations.into_iter().flatten() {
        errors.invalid_each(path, key, &names::qualified_name(&key.to_lowercase()));
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATION_BYTES {
        errors.too_long(path, ANNOTATION_BYTES);
    }
}

fn owners(owners: &[OwnerReference], errors: &mut Errors) {
    let path = METADATA.child("ownerReferences");
    let mut controller: Option<String> = None;
    for owner in owners {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        if version.is_empty() {
            errors.invalid(&path.child("apiVersion"), &owner.api_version, "version must not be empty");
        }
        for (name, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if value.is_empty() {
                errors.invalid(&path.child(name), value, "must not be empty");
            }
        }
        if (group, version, owner.kind.as_str()) == ("", "v1", "Event") {
            errors.invalid(&path, json(owner), "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner.controller == Some(true) {
            let this = format!("{}/{}", owner.kind, owner.name);
            if let Some(first) = &controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for \
                     {first} and {this}"
                );
                errors.invalid(&path, json(owners), detail);
            } else {
                controller = Some(this);
            }
        }
    }
}

fn finalizers(meta: &ObjectMeta, errors: &mut Errors) {
    let path = METADATA.child("finalizers");
    let Some(finalizers) = &meta.finalizers else { return };
    for finalizer in finalizers {
        errors.invalid_each(&path, finalizer, &names::qualified_name(finalizer));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(&path, json(finalizers), "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

fn finalizers_of_kubernetes(meta: &ObjectMeta, errors: &mut Errors) {
    let path = METADATA.child("finalizers");
    for (index, finalizer) in meta.finalizers.iter().flatten().enumerate() {
        let path = path.index(index);
        let broken = names::qualified_name(finalizer);
        errors.invalid_each(&path, finalizer, &broken);
        if broken.is_empty() && !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer.as_str()) {
            errors.invalid(&path, finalizer, "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
}

fn new_finalizers(new: &ObjectMeta, old: &ObjectMeta, errors: &mut Errors) {
    let old = old.finalizers.as_deref().unwrap_or_default();
    let mut added: Vec<String> =
        new.finalizers.iter().flatten().filter(|finalizer| !old.contains(finalizer)).map(|name| quote(name)).collect();
    added.sort();
    added.dedup();
    if !added.is_empty() {
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        );
        errors.forbidden(&METADATA.child("finalizers"), detail);
    }
}
