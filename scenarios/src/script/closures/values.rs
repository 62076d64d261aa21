//! Kinds, keys, selectors and requests as a script writes them.

use std::sync::Arc;

use rhai::{Dynamic, Map};
use serde_json::{Value, json};
use wavetank_engine::apiserver::patch::PatchType;
use wavetank_engine::apiserver::request::{Body, DeleteOptions, ListOptions, Patch, Propagation, Subresource, Verb};
use wavetank_engine::client::connection::Call;
use wavetank_engine::objects::selector::Selector;
use wavetank_engine::objects::{Key, Kind, ObjectReference, Uid};

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem, readable_type};
use super::super::object::Object;

/// A kind by any of its names: one of those `known` to the caller, or one that every cluster has.
pub fn kind(value: &Dynamic, known: &[Kind]) -> Fallible<Kind> {
    let Ok(name) = value.clone().into_immutable_string() else {
        return Err(wrong("kind", "text such as \"pods\"", value).into());
    };
    crate::session::kind_of(&name, known).map_err(|text| Problem::with_lines(&text).into())
}

/// The key of an object: `"default/web"`, `"web"` in the namespace of what is reconciled, or the object itself.
pub fn key(value: &Dynamic, kind: Kind, near: &Key) -> Fallible<Key> {
    if let Ok(text) = value.clone().into_immutable_string() {
        let last = text.rsplitn(3, '/').collect::<Vec<_>>();
        return Ok(match (last.as_slice(), kind.namespaced()) {
            ([name, namespace, ..], true) => Key::new(namespace, name),
            ([name, ..], true) if near.namespace.is_empty() => Key::new("default", name),
            ([name, ..], true) => Key::new(&near.namespace, name),
            ([name, ..], false) => Key::new("", name),
            ([], _) => Key::new("", ""),
        });
    }
    let json = content(value)?;
    let text = |field: &str| json["metadata"][field].as_str().unwrap_or_default().to_owned();
    Ok(Key::new(&text("namespace"), &text("name")))
}

/// The JSON of an object or a map.
pub fn content(value: &Dynamic) -> Fallible<Value> {
    if let Some(object) = value.read_lock::<Object>() {
        return Ok(object.json().clone());
    }
    if !value.is_map() {
        return Err(wrong("object", "an object or a map", value).into());
    }
    to_json(value).map_err(|problem| Problem::new(format!("the object is not plain data: {problem}")).into())
}

/// Labels to select by: `"app=web,tier!=db"`, or a map of labels that must all be there.
pub fn labels(value: &Dynamic) -> Fallible<Selector> {
    let text = match value.read_lock::<Map>() {
        Some(map) => map.iter().map(|(label, value)| format!("{label}={value}")).collect::<Vec<_>>().join(","),
        None => match value.clone().into_immutable_string() {
            Ok(text) => text.to_string(),
            Err(_) => return Err(wrong("labels", "text such as \"app=web\" or a map", value).into()),
        },
    };
    text.parse().map_err(|error| Problem::new(format!("the selector \"{text}\" cannot be read: {error}")).into())
}

/// Which objects a list is about: a namespace, or a map with `namespace`, `labels` and `fields`.
pub fn which(value: Option<&Dynamic>) -> Fallible<(String, ListOptions)> {
    let Some(value) = value else { return Ok((String::new(), ListOptions::default())) };
    let all = |namespace: String| if namespace == "*" { String::new() } else { namespace };
    if let Ok(namespace) = value.clone().into_immutable_string() {
        return Ok((all(namespace.to_string()), ListOptions::default()));
    }
    let Some(map) = value.read_lock::<Map>() else {
        return Err(wrong("selection", "a namespace or a map such as #{ labels: \"app=web\" }", value).into());
    };
    let (mut namespace, mut options) = (String::new(), ListOptions::default());
    for (name, value) in map.iter() {
        match name.as_str() {
            "namespace" => namespace = all(value.to_string()),
            "labels" => options.labels = Some(labels(value)?),
            "fields" => {
                let text = value.to_string();
                let wrong = |error| Problem::new(format!("the field selector \"{text}\" cannot be read: {error}"));
                options.fields = Some(text.parse().map_err(|error| wrong(format!("{error}")))?);
            }
            other => {
                return Err(Problem::new(format!("a list is not selected by `{other}`"))
                    .hint("by `namespace`, `labels` and, of the API server, `fields`")
                    .into());
            }
        }
    }
    Ok((namespace, options))
}

/// A creation, or an update of an object or of its status.
pub fn write(verb: Verb, subresource: Subresource, object: &Dynamic, near: &Key, known: &[Kind]) -> Fallible<Call> {
    let mut json = content(object)?;
    let name = json["kind"].as_str().unwrap_or_default().to_owned();
    let own = known.iter().copied().find(|kind| kind.name() == name);
    let Some(kind) = own.or_else(|| Kind::from_name(&name)) else {
        let problem = match name.is_empty() {
            true => Problem::new("the object has no `kind`"),
            false => Problem::new(format!("there is no kind `{name}`")),
        };
        return Err(problem
            .hint("an object begins with #{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: … }")
            .into());
    };
    if json.get("apiVersion").is_none() {
        json["apiVersion"] = kind.api_version().into();
    }
    if kind.namespaced() && json["metadata"]["namespace"].as_str().is_none_or(str::is_empty) {
        let namespace = if near.namespace.is_empty() { "default" } else { &*near.namespace };
        if let Some(metadata) = json["metadata"].as_object_mut() {
            metadata.insert("namespace".into(), namespace.into());
        }
    }
    let text = |field: &str| json["metadata"][field].as_str().unwrap_or_default().to_owned();
    let namespace = if kind.namespaced() { text("namespace") } else { String::new() };
    let key = Key::new(&namespace, &text("name"));
    Ok(Call { verb, kind, subresource, key, body: Body::Json(Arc::new(json)) })
}

/// A patch; without a type a map is a merge patch, an array a JSON patch.
pub fn patch(kind: Kind, key: Key, patch: &Dynamic, options: Option<&Dynamic>) -> Fallible<Call> {
    let json = to_json(patch).map_err(|problem| Problem::new(format!("the patch is not plain data: {problem}")))?;
    let (mut sort, mut subresource) =
        (if patch.is_array() { PatchType::Json } else { PatchType::Merge }, Subresource::None);
    if let Some(options) = options {
        let Some(options) = options.read_lock::<Map>() else {
            return Err(wrong("options", "a map such as #{ type: \"strategic\" }", options).into());
        };
        for (name, value) in options.iter() {
            match (name.as_str(), value.to_string().as_str()) {
                ("type", "merge") => sort = PatchType::Merge,
                ("type", "strategic") => sort = PatchType::StrategicMerge,
                ("type", "json") => sort = PatchType::Json,
                ("subresource", "status") => subresource = Subresource::Status,
                ("subresource", "scale") => subresource = Subresource::Scale,
                (other, value) => {
                    return Err(Problem::new(format!("`{other}: \"{value}\"` means nothing for a patch"))
                        .hint("`type` is \"merge\", \"strategic\" or \"json\", `subresource` \"status\" or \"scale\"")
                        .into());
                }
            }
        }
    }
    Ok(Call::patch(kind, key, Patch::Json(sort, Arc::new(json))).of(subresource))
}

/// How to delete: `grace` in seconds, `propagation`, `uid`, `resource_version`.
pub fn deletion(options: Option<&Dynamic>) -> Fallible<DeleteOptions> {
    let mut out = DeleteOptions::default();
    let Some(options) = options else { return Ok(out) };
    let Some(options) = options.read_lock::<Map>() else {
        return Err(wrong("options", "a map such as #{ grace: 0 }", options).into());
    };
    for (name, value) in options.iter() {
        let text = value.to_string();
        match (name.as_str(), text.as_str()) {
            ("grace", _) => out.grace = Some(value.as_int().map_err(|_| wrong("grace", "whole seconds", value))?),
            ("propagation", "Foreground") => out.propagation = Some(Propagation::Foreground),
            ("propagation", "Background") => out.propagation = Some(Propagation::Background),
            ("propagation", "Orphan") => out.propagation = Some(Propagation::Orphan),
            ("uid", uid) => out.uid = Uid::parse(uid),
            ("resource_version", version) => out.resource_version = version.parse().ok(),
            (other, value) => {
                return Err(Problem::new(format!("`{other}: {value}` means nothing for a deletion"))
                    .hint("it takes `grace`, `propagation` (\"Foreground\", \"Background\", \"Orphan\"), `uid` and `resource_version`")
                    .into());
            }
        }
    }
    Ok(out)
}

/// What an event is about.
pub fn reference(object: &Dynamic) -> Fallible<ObjectReference> {
    let json = content(object)?;
    let name = json["kind"].as_str().unwrap_or_default();
    let kind = Kind::from_name(name).ok_or_else(|| {
        Problem::new("an event is about an object, which this is not").hint("give it what cache.get(…) gave")
    })?;
    let text = |field: &str| json["metadata"][field].as_str().unwrap_or_default();
    Ok(ObjectReference {
        kind,
        namespace: text("namespace").into(),
        name: text("name").into(),
        uid: Uid::parse(text("uid")).unwrap_or_default(),
        resource_version: text("resourceVersion").parse().unwrap_or(0),
        field_path: None,
    })
}

/// An entry of `metadata.ownerReferences` that makes an object the controller of another.
pub fn owner_reference(object: &Dynamic) -> Fallible<Value> {
    let json = content(object)?;
    let metadata = &json["metadata"];
    Ok(json!({
        "apiVersion": json["apiVersion"], "kind": json["kind"], "name": metadata["name"], "uid": metadata["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }))
}

/// The problem of a value of the wrong type.
pub fn wrong(what: &str, wanted: &str, found: &Dynamic) -> Problem {
    Problem::new(format!("the {what} must be {wanted}, not {}", readable_type(found.type_name())))
}
