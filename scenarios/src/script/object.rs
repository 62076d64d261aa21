//! An API object in a script: its JSON, with the fields one asks for all the time at hand.
//!
//! Fields are converted when they are read, so a list of many pods costs nothing to filter. A field the JSON does not
//! have is `()` below the top; at the top, where the shortcuts are, a name nobody knows is a mistake and says so.

use super::convert::to_script;
use super::errors::Problem;
use super::hints::did_you_mean;
use rhai::{Dynamic, Map};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use wavetank_engine::objects::{Kind, Object as Stored, json};

/// An object as it was stored at the moment it was asked for.
#[derive(Clone, Debug)]
pub struct Object {
    json: Arc<Json>,
    shape: Shape,
}

/// The object's JSON, made when somebody asks for it.
#[derive(Debug)]
struct Json {
    stored: Option<Arc<Stored>>,
    made: OnceLock<Value>,
}

/// Which shortcuts an object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Pod,
    Node,
    Workload,
    Other,
}

/// Shortcuts of every object, then those of pods, nodes and things with replicas: name and what it is.
pub const SHORTCUTS: [(&str, &[(&str, &str)]); 4] = [
    (
        "every object",
        &[
            ("name", "`metadata.name`"),
            ("namespace", "`metadata.namespace`, \"\" if it has none"),
            ("labels", "`metadata.labels`, `#{}` if it has none"),
            ("deleting", "whether it has a `deletionTimestamp`"),
        ],
    ),
    (
        "pods",
        &[
            ("node", "`spec.nodeName`, \"\" while unscheduled"),
            ("phase", "`status.phase`"),
            ("ready", "whether its condition Ready is True"),
            ("restarts", "restarts of all its containers"),
            ("ip", "`status.podIP`, \"\" if it has none"),
        ],
    ),
    ("nodes", &[("ready", "whether its condition Ready is True"), ("unschedulable", "`spec.unschedulable`")]),
    (
        "deployments, replica sets, stateful sets",
        &[
            ("replicas", "`spec.replicas`"),
            ("current_replicas", "`status.replicas`"),
            ("ready_replicas", "`status.readyReplicas`"),
            ("available_replicas", "`status.availableReplicas`"),
            ("updated_replicas", "`status.updatedReplicas`"),
        ],
    ),
];

impl Object {
    /// Wraps an object listed under `resource` (plural or short name).
    pub fn new(resource: &str, json: Value) -> Self {
        let kind = json["kind"].as_str().unwrap_or_default().to_lowercase();
        let shape = match (kind.as_str(), resource) {
            ("pod", _) | ("", "pods" | "pod" | "po") => Shape::Pod,
            ("node", _) | ("", "nodes" | "node" | "no") => Shape::Node,
            ("deployment" | "replicaset" | "statefulset", _) => Shape::Workload,
            ("", "deployments" | "deployment" | "deploy" | "replicasets" | "replicaset" | "rs") => Shape::Workload,
            ("", "statefulsets" | "statefulset" | "sts") => Shape::Workload,
            _ => Shape::Other,
        };
        Object { json: Arc::new(Json { stored: None, made: OnceLock::from(json) }), shape }
    }

    /// Wraps an object as the cluster holds it.
    pub fn stored(object: Arc<Stored>) -> Self {
        let shape = match object.kind() {
            Kind::Pod => Shape::Pod,
            Kind::Node => Shape::Node,
            Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet => Shape::Workload,
            _ => Shape::Other,
        };
        Object { json: Arc::new(Json { stored: Some(object), made: OnceLock::new() }), shape }
    }

    /// The object's JSON.
    pub fn json(&self) -> &Value {
        let stored = &self.json.stored;
        self.json.made.get_or_init(|| stored.as_ref().map_or(Value::Null, |object| json::to_json(object)))
    }

    /// The object with another value for a field of the top level, or for `labels` or `replicas`.
    pub fn with(&self, name: &str, value: Value) -> Result<Self, Problem> {
        let mut json = self.json().clone();
        match (self.shape, name) {
            (_, "labels") => json["metadata"]["labels"] = value,
            (Shape::Workload, "replicas") => json["spec"]["replicas"] = value,
            (_, name) if self.shortcuts().contains(&name) => {
                return Err(Problem::new(format!("`{name}` of an object can be read only"))
                    .hint("fields of its JSON can be changed: object.spec.replicas = 3"));
            }
            _ => json[name] = value,
        }
        Ok(Object { json: Arc::new(Json { stored: None, made: OnceLock::from(json) }), shape: self.shape })
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, empty for an object without.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// The status of a condition: its `status`, `reason` and `message`.
    pub fn condition(&self, kind: &str) -> Option<&Value> {
        let conditions = self.json().pointer("/status/conditions")?.as_array()?;
        conditions
            .iter()
            .find(|condition| condition["type"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(kind)))
    }

    /// Reads a shortcut or a field of the JSON's top level.
    pub fn field(&self, name: &str) -> Result<Dynamic, Problem> {
        let shortcut = match (self.shape, name) {
            (_, "name") => self.name().into(),
            (_, "namespace") => self.namespace().into(),
            (_, "labels") => self.json().pointer("/metadata/labels").map_or_else(|| Map::new().into(), to_script),
            (_, "deleting") => {
                self.json().pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()).into()
            }
            (Shape::Pod, "node") => self.text("/spec/nodeName").into(),
            (Shape::Pod, "phase") => self.text("/status/phase").into(),
            (Shape::Pod, "ip") => self.text("/status/podIP").into(),
            (Shape::Pod, "restarts") => self.restarts().into(),
            (Shape::Pod | Shape::Node, "ready") => self.is_ready().into(),
            (Shape::Node, "unschedulable") => {
                self.json().pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false).into()
            }
            (Shape::Workload, "replicas") => {
                self.json().pointer("/spec/replicas").map_or(Dynamic::from(1_i64), to_script)
            }
            (Shape::Workload, "current_replicas") => self.count("/status/replicas"),
            (Shape::Workload, "ready_replicas") => self.count("/status/readyReplicas"),
            (Shape::Workload, "available_replicas") => self.count("/status/availableReplicas"),
            (Shape::Workload, "updated_replicas") => self.count("/status/updatedReplicas"),
            _ => return self.top_level(name),
        };
        Ok(shortcut)
    }

    /// The whole object as a map.
    pub fn to_map(&self) -> Dynamic {
        to_script(self.json())
    }

    fn top_level(&self, name: &str) -> Result<Dynamic, Problem> {
        const USUAL: [&str; 6] = ["apiVersion", "kind", "metadata", "spec", "status", "data"];
        match self.json().get(name) {
            Some(field) => Ok(to_script(field)),
            None if USUAL.contains(&name) => Ok(Dynamic::UNIT),
            None => {
                let mut known: Vec<&str> = self.shortcuts();
                known.extend(self.json().as_object().into_iter().flatten().map(|(name, _)| name.as_str()));
                let hint =
                    did_you_mean(name, known.iter().copied()).unwrap_or_else(|| format!("it has {}", known.join(", ")));
                Err(Problem::new(format!("this object has no field `{name}`")).hint(hint))
            }
        }
    }

    fn shortcuts(&self) -> Vec<&'static str> {
        let own = match self.shape {
            Shape::Pod => 1,
            Shape::Node => 2,
            Shape::Workload => 3,
            Shape::Other => 0,
        };
        let common = SHORTCUTS.first().map_or(&[][..], |(_, fields)| fields);
        let own = SHORTCUTS.get(own).filter(|_| own > 0).map_or(&[][..], |(_, fields)| fields);
        common.iter().chain(own).map(|(name, _)| *name).collect()
    }

    fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|ready| ready["status"] == "True")
    }

    fn restarts(&self) -> i64 {
        let statuses = self.json().pointer("/status/containerStatuses").and_then(Value::as_array);
        statuses.into_iter().flatten().filter_map(|status| status["restartCount"].as_i64()).sum()
    }

    fn text(&self, pointer: &str) -> &str {
        self.json().pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn count(&self, pointer: &str) -> Dynamic {
        self.json().pointer(pointer).and_then(Value::as_i64).unwrap_or(0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Object {
        let json = json!({"kind": "Pod", "metadata": {"name": "a", "deletionTimestamp": "x"},
            "spec": {"nodeName": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": 2}, {"restartCount": 1}]}});
        Object::new("pods", json)
    }

    #[test]
    fn shortcuts_read_the_json() {
        let text = |name: &str| pod().field(name).unwrap().to_string();
        let values = ["name", "namespace", "node", "phase", "ready", "restarts", "deleting"].map(text);
        assert_eq!(values, ["a", "", "n1", "", "true", "3", "true"]);
        assert!(pod().field("data").unwrap().is_unit());
    }

    #[test]
    fn an_unknown_field_is_a_mistake_with_a_hint() {
        let problem = pod().field("raedy").unwrap_err();
        assert_eq!(problem.message, "this object has no field `raedy`");
        assert_eq!(problem.hint.as_deref(), Some("did you mean `ready`?"));
        assert!(Object::new("configmaps", json!({"kind": "ConfigMap"})).field("ready").is_err());
    }
}
