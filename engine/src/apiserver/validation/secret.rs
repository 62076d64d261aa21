//! Secrets: what each type must contain.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateSecret, ValidateSecretUpdate).

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::field::{Errors, Path};
use super::{metadata, names};
use crate::objects::go_json;

const DATA: Path<'static> = Path::root("data");
/// Most data of a Secret. [bytes]
const DATA_BYTES: usize = 1 << 20;
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const REDACTED: &str = "<secret contents redacted>";
const WHEN_SET: &str = "field is immutable when `immutable` is set";

/// A Secret to be created.
pub(super) fn create(secret: &Secret, errors: &mut Errors) {
    metadata::create(&secret.metadata, true, names::object_name, errors);
    content(secret, errors);
}

/// A change of a Secret.
pub(super) fn update(new: &Secret, old: &Secret, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let type_of = |secret: &Secret| secret.type_.clone().unwrap_or_default();
    if type_of(new) != type_of(old) {
        errors.invalid(&Path::root("type"), &type_of(new), "field is immutable");
    }
    if old.immutable == Some(true) {
        if new.immutable != Some(true) {
            errors.forbidden(&Path::root("immutable"), WHEN_SET);
        }
        let nothing = BTreeMap::new();
        if new.data.as_ref().unwrap_or(&nothing) != old.data.as_ref().unwrap_or(&nothing) {
            errors.forbidden(&DATA, WHEN_SET);
        }
    }
    metadata::create(&new.metadata, true, names::object_name, errors);
    content(new, errors);
}

fn content(secret: &Secret, errors: &mut Errors) {
    let nothing = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&nothing);
    let mut bytes = 0;
    for (key, value) in data {
        errors.invalid_each(&DATA.key(key), key, &names::config_key(key));
        bytes += value.0.len();
    }
    if bytes > DATA_BYTES {
        errors.too_long(&DATA, DATA_BYTES);
    }
    let mut needed = |key: &str| {
        if data.get(key).is_none_or(|value| value.0.is_empty()) {
            errors.required(&DATA.key(key), "");
        }
    };
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let annotations = secret.metadata.annotations.as_ref();
            if annotations.and_then(|annotations| annotations.get(ACCOUNT)).is_none_or(String::is_empty) {
                let path = Path::root("metadata");
                let path = path.child("annotations");
                errors.required(&path.key(ACCOUNT), "");
            }
        }
        "kubernetes.io/dockercfg" => document(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => document(data, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !data.contains_key("username") && !data.contains_key("password") => {
            needed("username");
            needed("password");
        }
        "kubernetes.io/ssh-auth" => needed("ssh-privatekey"),
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].iter().filter(|key| !data.contains_key(**key)) {
                errors.required(&DATA.key(key), "");
            }
        }
        _ => {}
    }
}

/// A file that must be JSON.
fn document(data: &BTreeMap<String, ByteString>, key: &str, errors: &mut Errors) {
    match data.get(key) {
        None => errors.required(&DATA.key(key), ""),
        Some(value) => {
            if let Err(why) = go_json::check(&value.0) {
                errors.invalid(&DATA.key(key), REDACTED, why);
            }
        }
    }
}
