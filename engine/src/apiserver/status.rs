//! `metav1.Status`: the API server's errors.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::request::Verb;
use crate::objects::{Kind, Object, Text};

/// An error of the API server.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// `NotFound`, `Conflict`, …
    pub reason: Text,
    /// The sentence.
    pub message: Text,
    /// `details`, where there are any.
    pub details: Option<Arc<Value>>,
}

impl Status {
    fn about(code: u16, reason: &'static str, kind: Kind, name: &str, message: String) -> Self {
        let mut details = Map::new();
        if !name.is_empty() {
            details.insert("name".into(), name.into());
        }
        if !kind.group().is_empty() {
            details.insert("group".into(), kind.group().into());
        }
        details.insert("kind".into(), kind.plural().into());
        Status { code, reason: reason.into(), message: message.into(), details: Some(Arc::new(Value::Object(details))) }
    }

    /// 404: nothing is served under this path.
    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource".into();
        Status { code: 404, reason: "NotFound".into(), message, details: Some(Arc::new(json!({}))) }
    }

    /// 404
    pub fn not_found(kind: Kind, name: &str) -> Self {
        Self::about(404, "NotFound", kind, name, format!("{} \"{name}\" not found", kind.qualified()))
    }

    /// 404 of an API that is not served: of `metrics.k8s.io` without a metrics server. The sentence is client-go's.
    pub fn no_resource(verb: Verb, kind: Kind) -> Self {
        let verb = if verb.mutating() { verb.as_str() } else { "get" };
        let message =
            format!("the server could not find the requested resource ({verb} {}.metrics.k8s.io)", kind.plural());
        Status { code: 404, reason: "NotFound".into(), message: message.into(), details: None }
    }

    /// 409
    pub fn already_exists(kind: Kind, name: &str) -> Self {
        Self::about(409, "AlreadyExists", kind, name, format!("{} \"{name}\" already exists", kind.qualified()))
    }

    /// 409 because `why`.
    pub fn conflict(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::about(409, "Conflict", kind, name, message)
    }

    /// 409 because a deletion means another object; upstream names the kind where others name the resource.
    pub fn precondition(kind: Kind, name: &str, why: &str) -> Self {
        let dot = if kind.group().is_empty() { "" } else { "." };
        let message =
            format!("Operation cannot be fulfilled on {}{dot}{} \"{name}\": {why}", kind.name(), kind.group());
        let mut status = Self::about(409, "Conflict", kind, name, message);
        if let Some(details) = &mut status.details {
            Arc::make_mut(details)["kind"] = kind.name().into();
        }
        status
    }

    /// 409: the object has changed since it was read.
    pub fn modified(kind: Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403 because `why`.
    pub fn forbidden(kind: Kind, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", kind.qualified())
        } else {
            format!("{} \"{name}\" is forbidden: {why}", kind.qualified())
        };
        Self::about(403, "Forbidden", kind, name, message)
    }

    /// 409: the client means another object of this name. (Only a PUT's uid is looked at in storage, hence the text.)
    pub fn other_uid(current: &Object, meant: &str) -> Self {
        let meta = current.meta();
        let (key, kind) = (current.key(), current.kind());
        let path =
            if key.namespace.is_empty() { key.name.to_string() } else { format!("{}/{}", key.namespace, key.name) };
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}{path}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {meant}, UID in object meta: {}",
            kind.key_prefix(),
            meta.uid
        );
        Self::conflict(kind, &meta.name, &why)
    }

    /// 422: this kind is not updated without saying which version is meant.
    pub fn version_needed(current: &Object) -> Self {
        let (kind, name) = (current.kind(), &current.meta().name);
        let why = "Invalid value: 0: must be specified for an update";
        let field = "metadata.resourceVersion";
        let message = format!("{} \"{name}\" is invalid: {field}: {why}", kind.qualified());
        let mut status = Self::about(422, "Invalid", kind, name, message);
        if let Some(details) = &mut status.details {
            Arc::make_mut(details)["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
        }
        status
    }

    /// 500 with a text and no reason.
    pub fn internal(message: impl Into<Text>) -> Self {
        Status { code: 500, reason: Text::default(), message: message.into(), details: None }
    }

    /// 400
    pub fn bad_request(message: impl Into<Text>) -> Self {
        Status { code: 400, reason: "BadRequest".into(), message: message.into(), details: None }
    }

    /// 405
    pub fn method_not_allowed(verb: &str, kind: Kind) -> Self {
        let message = format!("{verb} is not supported on resources of kind \"{}\"", kind.qualified());
        Self::about(405, "MethodNotAllowed", kind, "", message)
    }

    /// 504 because `why`.
    pub fn timeout(why: &str) -> Self {
        Status { code: 504, reason: "Timeout".into(), message: format!("Timeout: {why}").into(), details: None }
    }

    /// 504 as clients understand the bare answer of the server's time-out filter.
    pub fn no_answer(verb: &str, kind: Kind, name: &str) -> Self {
        let space = if name.is_empty() { "" } else { " " };
        let message = format!(
            "the server was unable to return a response in the time allotted, but may still be processing the request \
             ({verb} {}{space}{name})",
            kind.qualified()
        );
        Self::about(504, "Timeout", kind, name, message)
    }

    /// 429: the cache of this kind is being filled; clients come back in a second.
    pub fn initializing() -> Self {
        let details = json!({"retryAfterSeconds": 1});
        let message = "storage is (re)initializing".into();
        Status { code: 429, reason: "TooManyRequests".into(), message, details: Some(Arc::new(details)) }
    }

    /// Nobody listens at the server's address: what a client has instead of an answer. Its code is 0.
    pub fn refused() -> Self {
        let message = "dial tcp 127.0.0.1:6443: connect: connection refused".into();
        Status { code: 0, reason: Text::default(), message, details: None }
    }

    /// The connection broke before the answer came; the code is 0.
    pub fn broken() -> Self {
        Status { code: 0, reason: Text::default(), message: "unexpected EOF".into(), details: None }
    }

    /// The client closed a connection over which nothing came any more; the code is 0.
    pub fn lost() -> Self {
        let message = "http2: client connection lost".into();
        Status { code: 0, reason: Text::default(), message, details: None }
    }

    /// From the JSON form, as validation builds it.
    pub fn from_json(value: &Value) -> Self {
        let text = |field: &str| Text::from(value[field].as_str().unwrap_or("").to_owned());
        Status {
            code: value["code"].as_u64().map_or(500, |code| code as u16),
            reason: text("reason"),
            message: text("message"),
            details: value.get("details").cloned().map(Arc::new),
        }
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
            "message": *self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = (*self.reason).into();
        }
        if let Some(details) = &self.details {
            status["details"] = (**details).clone();
        }
        status
    }

    /// With the cause that tells clients to wait until the namespace is gone.
    pub fn because_terminating(mut self, namespace: &str) -> Self {
        if let Some(details) = &mut self.details {
            Arc::make_mut(details)["causes"] = json!([{
                "reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        self
    }

    /// With another sentence.
    pub fn with_message(mut self, message: &'static str) -> Self {
        self.message = message.into();
        self
    }

    /// Whether the object was not there.
    pub fn is_not_found(&self) -> bool {
        &*self.reason == "NotFound"
    }

    /// Whether the object cannot be created because its namespace is being deleted.
    pub fn is_namespace_terminating(&self) -> bool {
        let causes = self.details.as_ref().and_then(|details| details.get("causes")?.as_array());
        causes.is_some_and(|causes| causes.iter().any(|cause| cause["reason"] == "NamespaceTerminating"))
    }

    /// Whether it is no answer of the server's at all: it was not reached, or the connection broke.
    pub fn is_network(&self) -> bool {
        self.code == 0
    }

    /// Whether the object had changed.
    pub fn is_conflict(&self) -> bool {
        &*self.reason == "Conflict"
    }

    /// Whether the object was there already.
    pub fn is_already_exists(&self) -> bool {
        &*self.reason == "AlreadyExists"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_name_the_resource_with_its_group() {
        assert_eq!(&*Status::not_found(Kind::Deployment, "web").message, "deployments.apps \"web\" not found");
        assert_eq!(
            &*Status::modified(Kind::ReplicaSet, "web-1").message,
            "Operation cannot be fulfilled on replicasets.apps \"web-1\": the object has been modified; please apply your \
             changes to the latest version and try again"
        );
        assert_eq!(Status::from_json(&Status::not_found(Kind::Pod, "a").to_json()), Status::not_found(Kind::Pod, "a"));
    }
}
