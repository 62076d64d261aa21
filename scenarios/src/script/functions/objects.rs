//! Reading the stored objects: the truth in etcd, without a request and without time passing.

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::super::object::Object;
use super::{Call, Function, Group, Receiver};
use rhai::{Array, Dynamic, Engine, ImmutableString};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "pods",
        group: Group::Objects,
        signatures: &["pods()", "pods(namespace)"],
        summary: "The pods of the namespace `default`, or of another one; `\"*\"` means all namespaces.",
        example: "let ready = pods().filter(|p| p.ready);\nlet system = pods(\"kube-system\");",
        receiver: Receiver::Cluster,
        arity: 0..=1,
        run: pods,
    },
    Function {
        name: "nodes",
        group: Group::Objects,
        signatures: &["nodes()"],
        summary: "The nodes.",
        example: "expect(nodes().all(|n| n.ready), \"every node is ready\");",
        receiver: Receiver::Cluster,
        arity: 0..=0,
        run: nodes,
    },
    Function {
        name: "list",
        group: Group::Objects,
        signatures: &["list(kind)", "list(kind, namespace)"],
        summary: "The objects of a kind, by the names kubectl knows: `\"deployments\"`, `\"rs\"`, `\"events\"`. \
            Without a namespace it is `default`; `\"*\"` means all.",
        example: "for event in list(\"events\") { print(event.reason); }",
        receiver: Receiver::Cluster,
        arity: 1..=2,
        run: list,
    },
    Function {
        name: "get",
        group: Group::Objects,
        signatures: &["get(kind, name)", "get(kind, name, namespace)"],
        summary: "One object, or `()` if there is none of that name.",
        example: "let web = get(\"deployment\", \"web\");\nexpect(web != (), \"the deployment exists\");",
        receiver: Receiver::Cluster,
        arity: 2..=3,
        run: get,
    },
];

/// `pod.ready`, `pod["ready"]`, `pod.spec`, `pod.to_map()`.
pub(super) fn register_fields(engine: &mut Engine) {
    engine.register_indexer_get(|object: &mut Object, name: ImmutableString| -> Fallible<Dynamic> {
        object.field(&name).map_err(Into::into)
    });
    engine.register_indexer_set(|object: &mut Object, name: ImmutableString, value: Dynamic| -> Fallible<()> {
        let value = to_json(&value).map_err(|problem| Problem::new(format!("`{name}`: {problem}")))?;
        *object = object.with(&name, value)?;
        Ok(())
    });
    engine.register_fn("to_map", |object: &mut Object| object.to_map());
    engine.register_fn("to_json", |object: &mut Object| object.json().to_string());
    engine.register_fn("to_string", |object: &mut Object| object.json().to_string());
    engine.register_fn("to_debug", |object: &mut Object| object.json().to_string());
    engine.register_fn("==", |a: Object, b: Object| a.json() == b.json());
    engine.register_fn("!=", |a: Object, b: Object| a.json() != b.json());
}

fn pods(call: &Call<'_>) -> Fallible<Dynamic> {
    let namespace = if call.args.is_empty() { "default".into() } else { call.text(0, "namespace")? };
    listed(call, "pods", &namespace)
}

fn nodes(call: &Call<'_>) -> Fallible<Dynamic> {
    listed(call, "nodes", "*")
}

fn list(call: &Call<'_>) -> Fallible<Dynamic> {
    let kind = call.text(0, "kind")?;
    let namespace = if call.args.len() > 1 { call.text(1, "namespace")? } else { "default".into() };
    listed(call, &kind, &namespace)
}

fn get(call: &Call<'_>) -> Fallible<Dynamic> {
    let (kind, name) = (call.text(0, "kind")?, call.text(1, "name")?);
    let namespace = if call.args.len() > 2 { call.text(2, "namespace")? } else { "default".into() };
    let found = in_namespace(call, &kind, &namespace)?.find(|object| object.name() == name.as_str());
    Ok(found.map_or(Dynamic::UNIT, Dynamic::from))
}

fn listed(call: &Call<'_>, kind: &str, namespace: &str) -> Fallible<Dynamic> {
    Ok(in_namespace(call, kind, namespace)?.map(Dynamic::from).collect::<Array>().into())
}

/// Objects of a kind in a namespace; `*` is every namespace, and an object without one is in all.
pub(super) fn in_namespace(call: &Call<'_>, kind: &str, namespace: &str) -> Fallible<impl Iterator<Item = Object>> {
    let objects = borrow(call.host).session()?.objects(&kind.to_lowercase());
    let objects = objects.map_err(|text| Problem::with_lines(&text))?;
    let (kind, namespace) = (kind.to_lowercase(), namespace.to_string());
    let objects = objects.into_iter().map(move |json| Object::new(&kind, json));
    Ok(objects
        .filter(move |object| namespace == "*" || object.namespace().is_empty() || object.namespace() == namespace))
}
