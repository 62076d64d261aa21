//! Reads the manifests named with `-f` and checks what kubectl checks before it asks the server.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/cli-runtime/pkg/resource/{visitor,mapper}.go (`StreamVisitor`,
//! `infoForData`, `RequireNamespace`), staging/src/k8s.io/kubectl/pkg/validation/schema.go.
//! Left out: folders in folders (-R), URLs, kustomize; schema validation on the client (the server validates strictly).

use serde_json::Value;

use super::builder::Info;
use super::errors::Failure;
use super::flags::Args;
use super::json::{list, text};
use super::resources::Resource;
use super::session::{Session, Step};
use super::yaml;

/// What the manifests hold.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// The objects, in order.
    pub infos: Vec<Info>,
    /// What is wrong with the others.
    pub failures: Vec<Failure>,
}

/// Reads all files of `--filename`.
pub(crate) fn read(session: &Session, args: &Args) -> Step<Manifests> {
    if args.has("kustomize") {
        return Err(Failure::message("--kustomize is not simulated").into());
    }
    let mut found = Manifests::default();
    for path in args.list("filename").into_iter().flat_map(|path| files_of(session, path)) {
        let (source, content) = if path == "-" {
            ("STDIN", session.process.stdin.clone().unwrap_or_default())
        } else if path.contains("://") {
            return Err(Failure::message(format!("\"{path}\": reading manifests from URLs is not simulated")).into());
        } else {
            match session.files.read(&path) {
                Ok(content) => (path.as_str(), content),
                Err(_) => return Err(Failure::message(format!("the path \"{path}\" does not exist")).into()),
            }
        };
        if let Err(failure) = read_one(session, source, &content, &mut found) {
            found.failures.push(failure);
        }
    }
    Ok(found)
}

/// A folder stands for the manifests in it.
fn files_of(session: &Session, path: String) -> Vec<String> {
    const ENDINGS: [&str; 3] = [".json", ".yaml", ".yml"];
    let Some(names) = session.files.list(&path).filter(|_| path != "-") else { return vec![path] };
    let folder = path.trim_end_matches('/');
    let manifest = |name: &String| ENDINGS.iter().any(|ending| name.ends_with(ending));
    names.into_iter().filter(manifest).map(|name| format!("{folder}/{name}")).collect()
}

fn read_one(session: &Session, source: &str, content: &str, found: &mut Manifests) -> Result<(), Failure> {
    let documents =
        yaml::documents(content).map_err(|why| Failure::message(format!("error parsing {source}: {why}")))?;
    for document in documents {
        validate(source, &document)?;
        let objects = if text(&document, "/kind") == "List" && text(&document, "/apiVersion") == "v1" {
            list(&document, "/items").to_vec()
        } else {
            vec![document]
        };
        for object in objects {
            match info(session, source, object) {
                Ok(info) => found.infos.push(info),
                Err(failure) => found.failures.push(failure),
            }
        }
    }
    Ok(())
}

fn validate(source: &str, document: &Value) -> Result<(), Failure> {
    let what = if !document.is_object() {
        "invalid object to validate"
    } else {
        match (text(document, "/apiVersion").is_empty(), text(document, "/kind").is_empty()) {
            (true, true) => "[apiVersion not set, kind not set]",
            (true, false) => "apiVersion not set",
            (false, true) => "kind not set",
            (false, false) => return Ok(()),
        }
    };
    Err(Failure::message(format!(
        "error validating \"{source}\": error validating data: {what}; if you choose to ignore these errors, turn \
         validation off with --validate=false"
    )))
}

fn info(session: &Session, source: &str, mut object: Value) -> Result<Info, Failure> {
    let (api_version, kind) = (text(&object, "/apiVersion"), text(&object, "/kind"));
    let Some(resource) = Resource::of_manifest_among(api_version, kind, &session.discovered) else {
        return Err(Failure::message(format!(
            "resource mapping not found for name: \"{}\" namespace: \"{}\" from \"{source}\": no matches for kind \
             \"{kind}\" in version \"{api_version}\"\nensure CRDs are installed first",
            text(&object, "/metadata/name"),
            text(&object, "/metadata/namespace"),
        )));
    };
    check_metadata(&object).map_err(|why| Failure::message(format!("unable to decode \"{source}\": {why}")))?;
    if resource.namespaced {
        let given = text(&object, "/metadata/namespace").to_string();
        let wanted = session.globals.namespace();
        if given.is_empty() {
            if !object["metadata"].is_object() {
                object["metadata"] = Value::Object(Default::default());
            }
            object["metadata"]["namespace"] = wanted.into();
        } else if given != wanted && session.globals.namespace.is_some() {
            return Err(Failure::message(format!(
                "the namespace from the provided object \"{given}\" does not match the namespace \"{wanted}\". You \
                 must pass '--namespace={given}' to perform this operation."
            )));
        }
    }
    Ok(Info::of(resource, object, source))
}

/// Names, labels and annotations must have the right JSON types for kubectl itself.
fn check_metadata(object: &Value) -> Result<(), String> {
    let Some(metadata) = object.get("metadata").filter(|m| !m.is_null()) else { return Ok(()) };
    let wrong = |value: &Value, field: &str, go_type: &str| {
        let found = match value {
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Null => "null",
        };
        format!("json: cannot unmarshal {found} into Go struct field ObjectMeta.metadata.{field} of type {go_type}")
    };
    for field in ["name", "generateName", "namespace"] {
        if let Some(value) = metadata.get(field)
            && !value.is_string()
            && !value.is_null()
        {
            return Err(wrong(value, field, "string"));
        }
    }
    for field in ["labels", "annotations"] {
        match metadata.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) => {
                if let Some(value) = map.values().find(|v| !v.is_string() && !v.is_null()) {
                    return Err(wrong(value, field, "string"));
                }
            }
            Some(value) => return Err(wrong(value, field, "map[string]string")),
        }
    }
    Ok(())
}
