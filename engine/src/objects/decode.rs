//! From what a client sent to a typed object: the API server's decoder with its error texts.
//!
//! One walk over the JSON value fills the k8s-openapi type, notes every field the type does not know, and stops at the
//! first value of a wrong type with the text Go's JSON decoder would give. Values that Go does not tell from an absent
//! one (`0`, `""`, `false`, `[]` in fields that are no pointers) are dropped, so that defaulting sees what it sees
//! there.
//!
//! Left out: duplicate fields (a JSON value has none left), a quantity error after a type error (Go reports the
//! former). Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json/json.go,
//! sigs.k8s.io/json.

mod go_types;
mod question;
mod walk;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kind::Kind;

macro_rules! decoded {
    ($($variant:ident, $type:ty, $compiled:ty, $status:ident, $generation:literal;)*) => {
        /// An object of one of the served kinds, typed.
        #[derive(Clone, PartialEq, Debug)]
        #[allow(missing_docs)]
        pub enum Decoded {
            Pod(Box<Pod>),
            Node(Box<Node>),
            Namespace(Box<Namespace>),
            Event(Box<Event>),
            ConfigMap(Box<ConfigMap>),
            ServiceAccount(Box<ServiceAccount>),
            Deployment(Box<Deployment>),
            ReplicaSet(Box<ReplicaSet>),
            Lease(Box<Lease>),
            $($variant(Box<$type>),)*
        }

        /// Decodes one of the kinds that are kept in the field's own types.
        fn resource(kind: Kind, value: &Value) -> Result<Outcome<Decoded>, DecodeError> {
            Ok(match kind {
                $(Kind::$variant => decode_as(value)?.map(|object| Decoded::$variant(Box::new(object))),)*
                _ => return Err(DecodeError(format!("no kind {}", kind.name()))),
            })
        }

        /// The same expression for the object inside each variant.
        macro_rules! with_object {
            ($decoded:expr, $object:ident => $body:expr) => {
                match $decoded {
                    Decoded::Pod($object) => $body,
                    Decoded::Node($object) => $body,
                    Decoded::Namespace($object) => $body,
                    Decoded::Event($object) => $body,
                    Decoded::ConfigMap($object) => $body,
                    Decoded::ServiceAccount($object) => $body,
                    Decoded::Deployment($object) => $body,
                    Decoded::ReplicaSet($object) => $body,
                    Decoded::Lease($object) => $body,
                    $(Decoded::$variant($object) => $body,)*
                }
            };
        }

        impl Decoded {
            /// The object's kind.
            pub fn kind(&self) -> Kind {
                match self {
                    Decoded::Pod(_) => Kind::Pod,
                    Decoded::Node(_) => Kind::Node,
                    Decoded::Namespace(_) => Kind::Namespace,
                    Decoded::Event(_) => Kind::Event,
                    Decoded::ConfigMap(_) => Kind::ConfigMap,
                    Decoded::ServiceAccount(_) => Kind::ServiceAccount,
                    Decoded::Deployment(_) => Kind::Deployment,
                    Decoded::ReplicaSet(_) => Kind::ReplicaSet,
                    Decoded::Lease(_) => Kind::Lease,
                    $(Decoded::$variant(_) => Kind::$variant,)*
                }
            }

            /// The object's metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                with_object!(self, object => &object.metadata)
            }

            /// The object's metadata, to change.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                with_object!(self, object => &mut object.metadata)
            }

            /// The object as JSON, with apiVersion and kind.
            pub fn to_json(&self) -> Value {
                // Typed objects are maps with text keys, which always can be written as JSON.
                with_object!(self, object => serde_json::to_value(object).unwrap_or_default())
            }

            /// The compact form of one of the kinds that are kept in the field's own types; the object itself if it is another.
            pub fn into_resource(self, admit: super::resource::Admit<'_>) -> Result<super::Object, Self> {
                match self {
                    $(Decoded::$variant(object) => Ok(super::Object::$variant(super::Resource::new(*object, admit))),)*
                    other => Err(other),
                }
            }
        }
    };
}
super::resource::resources!(decoded);

/// Why a value is not an object of its kind: Go's text, without the sentence around it (see [`cannot_be_handled`]).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// An object and what strict decoding complains about.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome<T> {
    /// The object; fields it does not know are gone.
    pub object: T,
    /// `unknown field "spec.replica"`, in the order of the document. With fieldValidation=Strict they refuse the
    /// request (see [`strict_error`]), with Warn each becomes a warning, with Ignore they are ignored.
    pub problems: Vec<String>,
}

/// Decodes an object of `kind`. The value's apiVersion and kind must have been checked.
pub fn decode(kind: Kind, value: &Value) -> Result<Outcome<Decoded>, DecodeError> {
    Ok(match kind {
        Kind::Pod => decode_as(value)?.map(|pod| Decoded::Pod(Box::new(pod))),
        Kind::Node => decode_as(value)?.map(|node| Decoded::Node(Box::new(node))),
        Kind::Namespace => decode_as(value)?.map(|namespace| Decoded::Namespace(Box::new(namespace))),
        Kind::Event => decode_as(value)?.map(|event| Decoded::Event(Box::new(event))),
        Kind::ConfigMap => decode_as(value)?.map(|map| Decoded::ConfigMap(Box::new(map))),
        Kind::ServiceAccount => decode_as(value)?.map(|account| Decoded::ServiceAccount(Box::new(account))),
        Kind::Deployment => decode_as::<Deployment>(value)?.map(|mut deployment| {
            deployment.spec.get_or_insert_default();
            if let Some(spec) = &mut deployment.spec {
                mark_present(&mut spec.selector, value);
            }
            Decoded::Deployment(Box::new(deployment))
        }),
        Kind::ReplicaSet => decode_as::<ReplicaSet>(value)?.map(|mut set| {
            let spec = set.spec.get_or_insert_default();
            mark_present(&mut spec.selector, value);
            Decoded::ReplicaSet(Box::new(set))
        }),
        Kind::Lease => decode_as(value)?.map(|lease| Decoded::Lease(Box::new(lease))),
        _ => return resource(kind, value),
    })
}

/// Decodes any k8s-openapi type.
pub fn decode_as<T: DeserializeOwned>(value: &Value) -> Result<Outcome<T>, DecodeError> {
    walk::decode(value).map(|(object, problems)| Outcome { object, problems })
}

/// `Deployment in version "v1" cannot be handled as a Deployment: ...`, the message of the 400.
pub fn cannot_be_handled(kind: &str, api_version: &str, why: &str) -> String {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}")
}

/// `strict decoding error: unknown field "a", unknown field "b"`.
pub fn strict_error(problems: &[String]) -> String {
    format!("strict decoding error: {}", problems.join(", "))
}

/// True if a required selector was not given at all; `{}` is decoded as an empty `matchLabels`.
pub fn selector_is_missing(selector: &LabelSelector) -> bool {
    selector.match_labels.is_none() && selector.match_expressions.is_none()
}

fn mark_present(selector: &mut LabelSelector, value: &Value) {
    if selector_is_missing(selector) && value.pointer("/spec/selector").is_some_and(Value::is_object) {
        selector.match_labels = Some(Default::default());
    }
}

impl<T> Outcome<T> {
    fn map<U>(self, wrap: impl FnOnce(T) -> U) -> Outcome<U> {
        Outcome { object: wrap(self.object), problems: self.problems }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;

    fn error(kind: Kind, value: Value) -> String {
        decode(kind, &value).expect_err("refused").0
    }

    #[test]
    fn wrong_types_read_as_go_says_it() {
        assert_eq!(
            error(Kind::Deployment, json!({"spec": {"replicas": "3"}})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        assert_eq!(
            error(Kind::Deployment, json!({"spec": {"template": {"spec": {"containers": {"name": "a"}}}}})),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type \
             []v1.Container"
        );
        assert_eq!(
            error(Kind::Pod, json!({"spec": {"nodeSelector": "ssd"}})),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.nodeSelector of type map[string]string"
        );
        assert_eq!(
            error(Kind::Pod, json!({"spec": {"containers": [{"imagePullPolicy": 1}]}})),
            "json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of \
             type v1.PullPolicy"
        );
        assert_eq!(
            error(Kind::Pod, json!({"spec": {"securityContext": []}})),
            "json: cannot unmarshal array into Go struct field PodSpec.spec.securityContext of type \
             v1.PodSecurityContext"
        );
        assert_eq!(error(Kind::Pod, json!([])), "json: cannot unmarshal array into Go value of type v1.Pod");
        assert_eq!(
            error(Kind::Deployment, json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": true}}}})),
            "json: cannot unmarshal bool into Go value of type int32"
        );
    }

    #[test]
    fn quantities_are_canonical_and_bad_ones_refused() {
        let pod =
            json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]}});
        let outcome = decode(Kind::Pod, &pod).expect("decoded");
        let limits = &outcome.object.to_json()["spec"]["containers"][0]["resources"]["limits"];
        assert_eq!(*limits, json!({"cpu": "500m", "memory": "1Gi"}));
        let bad = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1x"}}}]}});
        assert!(error(Kind::Pod, bad).starts_with("quantities must match the regular expression"));
    }

    #[test]
    fn unknown_fields_are_noted_with_their_path() {
        let pod = json!({"specs": 1, "spec": {"containers": [{"name": "a", "enviroment": {}, "resource": {}}]}});
        let problems = decode(Kind::Pod, &pod).expect("decoded").problems;
        assert!(problems.contains(&"unknown field \"specs\"".to_owned()), "{problems:?}");
        assert!(problems.contains(&"unknown field \"spec.containers[0].enviroment\"".to_owned()), "{problems:?}");
        assert_eq!(strict_error(&problems[..1]), format!("strict decoding error: {}", problems[0]));
    }

    #[test]
    fn what_go_cannot_tell_from_absent_is_dropped() {
        let pod = json!({
            "metadata": {"labels": {}, "finalizers": []},
            "spec": {"hostNetwork": false, "priority": 0, "terminationGracePeriodSeconds": 0, "dnsPolicy": "",
                     "volumes": [{"name": "v", "emptyDir": {}}],
                     "containers": [{"name": "a", "args": [""], "ports": []}]}
        });
        let stored = decode(Kind::Pod, &pod).expect("decoded").object.to_json();
        assert_eq!(
            stored,
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {},
                "spec": {"priority": 0, "terminationGracePeriodSeconds": 0,
                         "volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "a", "args": [""]}]}
            })
        );
    }

    #[test]
    fn an_empty_selector_is_not_a_missing_one() {
        let spec = |value: Value| match decode(Kind::Deployment, &value).expect("decoded").object {
            Decoded::Deployment(deployment) => deployment.spec.expect("spec"),
            _ => panic!("a deployment"),
        };
        assert!(selector_is_missing(&spec(json!({"spec": {}})).selector));
        assert!(!selector_is_missing(&spec(json!({"spec": {"selector": {}}})).selector));
        assert!(!selector_is_missing(&spec(json!({"spec": {"selector": {"matchLabels": {}}}})).selector));
    }

    #[test]
    fn bad_base64_says_where() {
        let error = decode_as::<Secret>(&json!({"data": {"k": "not base64"}})).expect_err("refused").0;
        assert_eq!(error, "illegal base64 data at input byte 3");
    }
}
