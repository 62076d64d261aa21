//! Pods and nodes as a scheduler plugin sees them: fields are made when they are read, for there may be thousands of nodes.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map};
use wavetank_engine::objects::Text;
use wavetank_engine::objects::labels::Labels;
use wavetank_engine::scripted::{SeenNode, SeenPod};

use super::super::convert::to_script;
use super::super::errors::{Fallible, Problem, readable_type};
use super::super::hints::did_you_mean;

/// A pod that wants a node.
#[derive(Clone)]
struct PluginPod(SeenPod);

/// One of the nodes.
#[derive(Clone)]
struct PluginNode(Arc<[SeenNode]>, usize);

/// The fields of both, for the reference.
pub(in crate::script) const FIELDS: [(&str, &[(&str, &str)]); 2] = [
    (
        "pod",
        &[
            ("name", "its name"),
            ("namespace", "its namespace"),
            ("labels", "its labels, a map"),
            ("priority", "its priority"),
            ("spec", "its spec, a map"),
            (
                "request(resource)",
                "what it asks for: `\"cpu\"` in millicores, `\"memory\"` in bytes, others in their own units",
            ),
        ],
    ),
    (
        "node",
        &[
            ("name", "its name"),
            ("labels", "its labels, a map"),
            ("taints", "its taints, an array of maps"),
            ("unschedulable", "whether it is cordoned"),
            ("pods", "how many pods it has, assumed ones included"),
            ("allocatable(resource)", "what pods may use of a resource, in the units of `request`"),
            ("requested(resource)", "what its pods ask for"),
            ("free(resource)", "the difference"),
        ],
    ),
];

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<PluginPod>("pod");
    engine.register_type_with_name::<PluginNode>("node");
    engine.register_indexer_get(|pod: &mut PluginPod, name: ImmutableString| -> Fallible<Dynamic> {
        Ok(match name.as_str() {
            "name" => (*pod.0.key.name).into(),
            "namespace" => (*pod.0.key.namespace).into(),
            "labels" => labels(&pod.0.labels),
            "priority" => i64::from(pod.0.spec.terms.priority).into(),
            "spec" => to_script(&serde_json::to_value(&pod.0.spec.api).unwrap_or_default()),
            other => return Err(no_field("pod", other, 0).into()),
        })
    });
    engine.register_fn("request", |pod: &mut PluginPod, name: ImmutableString| {
        let asked = &pod.0.spec.terms.requests.effective;
        amount(&name, asked.cpu, asked.memory, &asked.scalars)
    });
    engine.register_indexer_get(|node: &mut PluginNode, name: ImmutableString| -> Fallible<Dynamic> {
        let node = node.seen();
        Ok(match name.as_str() {
            "name" => (*node.name).into(),
            "labels" => labels(&node.labels),
            "unschedulable" => node.unschedulable.into(),
            "pods" => node.pods.into(),
            "taints" => node
                .taints
                .iter()
                .map(|taint| {
                    let field = |text: &str| Dynamic::from(text.to_owned());
                    let fields = [
                        ("key", field(&taint.key)),
                        ("value", field(&taint.value)),
                        ("effect", field(&format!("{:?}", taint.effect))),
                    ];
                    Dynamic::from(fields.into_iter().map(|(name, value)| (name.into(), value)).collect::<Map>())
                })
                .collect::<Array>()
                .into(),
            other => return Err(no_field("node", other, 1).into()),
        })
    });
    engine.register_fn("allocatable", |node: &mut PluginNode, name: ImmutableString| node.allocatable(&name));
    engine.register_fn("requested", |node: &mut PluginNode, name: ImmutableString| node.requested(&name));
    engine.register_fn("free", |node: &mut PluginNode, name: ImmutableString| {
        node.allocatable(&name).saturating_sub(node.requested(&name))
    });
}

impl PluginNode {
    fn seen(&self) -> &SeenNode {
        // The index is one of the slice's: see `arguments`.
        &self.0[self.1]
    }

    fn allocatable(&self, name: &str) -> i64 {
        let node = self.seen();
        match name {
            "pods" => node.most_pods,
            _ => amount(name, node.allocatable.cpu, node.allocatable.memory, &node.allocatable.scalars),
        }
    }

    fn requested(&self, name: &str) -> i64 {
        let node = self.seen();
        match name {
            "pods" => node.pods,
            _ => amount(name, node.requested.cpu, node.requested.memory, &node.requested_others),
        }
    }
}

fn amount(name: &str, cpu: i64, memory: i64, others: &[(Arc<str>, i64)]) -> i64 {
    match name {
        "cpu" => cpu,
        "memory" => memory,
        _ => others.iter().find(|(other, _)| **other == *name).map_or(0, |(_, amount)| *amount),
    }
}

fn labels(labels: &Labels) -> Dynamic {
    labels.iter().map(|(key, value)| ((**key).into(), Dynamic::from(value.to_string()))).collect::<Map>().into()
}

fn no_field(what: &str, name: &str, place: usize) -> Problem {
    let known = FIELDS.get(place).map_or(&[][..], |(_, fields)| fields);
    let known = known.iter().map(|(name, _)| *name);
    let hint = did_you_mean(name, known.clone().map(|name| name.split('(').next().unwrap_or(name)));
    Problem::new(format!("a {what} has no field `{name}` here"))
        .hint(hint.unwrap_or_else(|| format!("it has {}", known.collect::<Vec<_>>().join(", "))))
}

/// What a plugin is given: the pod, and an array of the nodes.
pub(super) fn arguments(pod: &SeenPod, nodes: &Arc<[SeenNode]>) -> Vec<Dynamic> {
    let array: Array = (0..nodes.len()).map(|place| Dynamic::from(PluginNode(nodes.clone(), place))).collect();
    vec![Dynamic::from(PluginPod(pod.clone())), array.into()]
}

/// The answer of a filter: for each node true, or false, or why not.
pub(super) fn reasons(answer: &Dynamic, nodes: usize) -> Result<Vec<Option<Text>>, Problem> {
    let hint = "for each node true, or a text that says why not: nodes.map(|n| if n.free(\"cpu\") > 500 { true } else { \"too full\" })";
    let items = of_each(answer, nodes, "filter", hint)?;
    let one = |item: &Dynamic| match (item.as_bool(), item.clone().into_immutable_string()) {
        (Ok(true), _) => Ok(None),
        (Ok(false), _) => Ok(Some(Text::Known("node(s) were rejected by the plugin"))),
        (_, Ok(text)) => Ok(Some(text.to_string().into())),
        _ => {
            let kind = readable_type(item.type_name());
            Err(Problem::new(format!("a filter says true, false or a reason of each node, not {kind}")).hint(hint))
        }
    };
    items.iter().map(one).collect()
}

/// The answer of a score: for each node 0 to 100.
pub(super) fn scores(answer: &Dynamic, nodes: &[SeenNode]) -> Result<Vec<i64>, Problem> {
    let hint = "for each node a number from 0 to 100: nodes.map(|n| 100 * n.free(\"cpu\") / n.allocatable(\"cpu\"))";
    let items = of_each(answer, nodes.len(), "score", hint)?;
    let one = |(item, node): (&Dynamic, &SeenNode)| {
        let number = item.as_int().or_else(|_| item.as_float().map(|number| number.floor() as i64));
        match number {
            Ok(number @ 0..=100) => Ok(number),
            // Kubernetes: applyScoreWeights.
            Ok(number) => Err(Problem::new(format!(
                "the plugin returns an invalid score {number} for the node {}, it should be in the range of [0, 100]",
                node.name
            ))
            .hint(hint)),
            Err(_) => {
                let kind = readable_type(item.type_name());
                Err(Problem::new(format!("a score is a number for each node, not {kind}")).hint(hint))
            }
        }
    };
    items.iter().zip(nodes).map(one).collect()
}

fn of_each(answer: &Dynamic, nodes: usize, what: &str, hint: &str) -> Result<Array, Problem> {
    let Some(items) = answer.clone().try_cast::<Array>() else {
        let kind = readable_type(answer.type_name());
        return Err(Problem::new(format!("the {what} must return an array, not {kind}")).hint(hint));
    };
    match items.len() == nodes {
        true => Ok(items),
        false => {
            let count = items.len();
            Err(Problem::new(format!("the {what} says something of {count} nodes, but there are {nodes}")).hint(hint))
        }
    }
}
