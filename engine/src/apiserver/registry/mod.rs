//! The registry: what a request makes of an object, kind by kind, before it is stored.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go,
//! registry/rest/{create,update,delete}.go and the kinds' strategies under pkg/registry.

mod create;
mod custom;
mod delete;
mod manifest;
mod patch_errors;
mod scale;
mod service;
mod status;
mod update;

use std::sync::Arc;

pub(super) use custom::{CLEANUP, defined};
pub(crate) use manifest::admitted;

use super::cache::WatchCache;
use super::request::{Answer, Body, Request, Subresource, Verb};
use super::status::Status;
use crate::kernel::{Instant, Luck};
use crate::objects::Object;

pub(super) use self::delete::{check_preconditions, delete_with};
pub use self::service::API_SERVER;
pub(super) use self::service::{address_object, addresses};
pub(super) use self::update::set_condition;

/// What surrounds a request.
pub struct Context<'a> {
    /// The request.
    pub request: &'a Request,
    /// What the server knows.
    pub cache: &'a WatchCache,
    /// The time, in whole seconds as timestamps of the API are.
    pub now: Instant,
    /// For names and uids.
    pub luck: Luck,
    /// What the answer warns of.
    pub warnings: Vec<String>,
}

/// What is to be done to the store.
#[derive(Debug)]
pub enum Write {
    /// Store this version.
    Put(Box<Object>),
    /// Remove the object; the answer is this.
    Delete(Arc<Object>),
    /// Store this version, and then remove it.
    PutThenDelete(Box<Object>),
    /// Nothing: the answer is this.
    Answer(Answer),
}

/// A creation: the new object, or a finished answer.
pub fn create(context: &mut Context<'_>) -> Result<Write, Status> {
    match context.request.subresource {
        Subresource::Token => create::token(context),
        _ if context.request.kind.definition().is_some() => custom::create(context),
        _ => create::create(context),
    }
}

/// A change of an existing object, given its present state.
pub fn change(context: &mut Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let request = context.request;
    match (request.verb, request.subresource, &request.body) {
        (Verb::Delete | Verb::DeleteCollection, _, _) => delete::delete(context, current),
        (Verb::Create, Subresource::Binding, Body::Binding { node }) => update::bind(context, current, node),
        (Verb::Get | Verb::Update | Verb::Patch, Subresource::Scale, _) if request.kind.definition().is_some() => {
            custom::scale(context, current)
        }
        (Verb::Update | Verb::Patch, ..) if request.kind.definition().is_some() => custom::change(context, current),
        (Verb::Get | Verb::Update | Verb::Patch, Subresource::Scale, _) => scale::scale(context, current),
        (Verb::Update | Verb::Patch, _, _) => update::update(context, current),
        _ => Err(Status::method_not_allowed(request.verb.as_str(), request.kind)),
    }
}

/// What the client sees of a written object: the part it asked about.
pub fn shown(request: &Request, cache: &WatchCache, object: Arc<Object>) -> Answer {
    if let Some(answer) = request.kind.definition().and_then(|_| custom::shown(request, cache, &object)) {
        return answer;
    }
    let scale = if request.subresource == Subresource::Scale { scale::to_json(&object) } else { None };
    scale.map_or(Answer::Object(object), |scale| Answer::Json(Arc::new(scale)))
}

/// The version a write would store is the present one: nothing is written.
fn put_if_changed(current: &Arc<Object>, next: Object) -> Write {
    if **current == next { Write::Answer(Answer::Object(current.clone())) } else { Write::Put(Box::new(next)) }
}
