//! Creation.

use std::sync::Arc;

use serde_json::json;

use super::{Context, Write, manifest, service};
use crate::apiserver::admission;
use crate::apiserver::request::{Answer, Body};
use crate::apiserver::status::Status;
use crate::objects::pod_terms::affinity::merge_label_keys;
use crate::objects::{Condition, Key, Name, Namespace, Object, PodSpec, PodStatus, json as api_json, moment, suffix};

/// The object to store.
pub fn create(context: &mut Context<'_>) -> Result<Write, Status> {
    let request = context.request;
    let mut object = match &request.body {
        Body::Object(object) => (**object).clone(),
        Body::Json(value) => manifest::created(context, value)?,
        _ => return Err(Status::bad_request("the request has no body")),
    };
    if matches!(request.body, Body::Object(_)) {
        admission::admit_create(context.cache, &object)?;
        if let Object::Pod(pod) = &mut object {
            admission::admit_made(context.cache, pod)?;
        }
    }
    let meta = object.meta_mut();
    if meta.name.is_empty()
        && let Some(prefix) = &meta.generate_name
    {
        meta.name = suffix::generate_name(prefix, &mut context.luck).into();
    }
    if matches!(request.body, Body::Object(_)) {
        meta.uid = manifest::random_uid(context);
    }
    meta.created = context.now;
    meta.resource_version = 0;
    meta.deletion = None;
    meta.generation = 0;
    prepare(&mut object, context);
    if let Object::Service(new) = &mut object {
        service::allocate(context, new)?;
    }
    admission::admit_valid(context.cache, &object)?;
    Ok(Write::Put(Box::new(object)))
}

/// What the kinds' strategies do (PrepareForCreate).
fn prepare(object: &mut Object, context: &mut Context<'_>) {
    match object {
        Object::Pod(pod) => {
            pod.meta.generation = 1;
            pod.status = PodStatus::default();
            if !pod.spec.terms.gates.is_empty() {
                let why = "Scheduling is blocked due to non-empty scheduling gates";
                let gated = Condition::new("PodScheduled", false, context.now).because("SchedulingGated", why);
                pod.status.conditions.push(gated);
            }
            if pod.spec.terms.affinity.as_ref().is_some_and(|affinity| affinity.has_label_keys()) {
                let mut spec = pod.spec.api.clone();
                merge_label_keys(&mut spec, &pod.meta.labels);
                pod.spec = PodSpec::new(spec);
            }
            if pod.spec.mounts_token() {
                pod.token = Some(suffix::suffix(&mut context.luck).into());
            }
        }
        Object::Deployment(deployment) => {
            deployment.meta.generation = 1;
            deployment.status = Default::default();
        }
        Object::ReplicaSet(set) => {
            set.meta.generation = 1;
            set.status = Default::default();
        }
        Object::Node(node) => admission::taint_new_node(node),
        Object::Namespace(namespace) => {
            (namespace.terminating, namespace.conditions) = (false, Arc::new([]));
            let ours: Name = Namespace::FINALIZER.into();
            if !namespace.finalizers.contains(&ours) {
                namespace.finalizers = namespace.finalizers.iter().cloned().chain([ours]).collect();
            }
        }
        Object::PersistentVolume(volume) => {
            let status = Arc::make_mut(&mut volume.api).status.get_or_insert_default();
            status.last_phase_transition_time = Some(moment::time(context.now));
        }
        other if other.counts_generation() => other.meta_mut().generation = 1,
        _ => {}
    }
}

/// A token for a service account: an answer that is stored nowhere.
pub fn token(context: &mut Context<'_>) -> Result<Write, Status> {
    let request = context.request;
    if context.cache.get(request.kind, &request.key).is_none() {
        return Err(Status::not_found(request.kind, &request.key.name));
    }
    let answer = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "metadata": {"name": *request.key.name, "namespace": *request.key.namespace, "creationTimestamp": api_json::time(context.now)},
        "status": {"token": signed(&request.key, context.luck.bits())},
    });
    Ok(Write::Answer(Answer::Json(Arc::new(answer))))
}

/// A token in the form of a JWT: header, whose it is, and a number in the signature's place. Nobody verifies it.
fn signed(account: &Key, number: u64) -> String {
    let subject = format!(r#"{{"sub":"system:serviceaccount:{}:{}"}}"#, account.namespace, account.name);
    let header = base64_url(br#"{"alg":"RS256"}"#);
    format!("{header}.{}.{}", base64_url(subject.as_bytes()), base64_url(format!("{number:016x}").as_bytes()))
}

/// Base64 for URLs, without padding (RFC 4648, section 5).
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, n| word << 8 | u32::from(chunk.get(n).copied().unwrap_or(0)));
        for n in 0..=chunk.len() {
            let digit = (word >> (18 - 6 * n)) & 63;
            text.push(char::from(DIGITS.get(digit as usize).copied().unwrap_or(b'A')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_like_those_of_a_real_server() {
        assert_eq!(
            (base64_url(b"a"), base64_url(b"ab"), base64_url(b"abc")),
            ("YQ".into(), "YWI".into(), "YWJj".into())
        );
        let token = signed(&Key::new("default", "builder"), 7);
        assert!(token.starts_with("eyJhbGciOiJSUzI1NiJ9.") && token.matches('.').count() == 2, "{token}");
    }
}
