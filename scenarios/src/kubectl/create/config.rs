//! `kubectl create configmap` and `serviceaccount`, and what ConfigMaps and Secrets are filled from.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/{create_configmap,create_serviceaccount,
//! create_token}.go, pkg/cmd/util/env_file.go, pkg/util/hash.
//! Left out: --append-hash.

use serde_json::{Map, Value, json};

use super::super::ApiCall;
use super::super::ApiVerb;
use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::json::text;
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};
use super::{generated, the_name};

pub(crate) const DATA_FLAGS: &[Flag] = &[
    ("from-literal", ' ', Takes::Array),
    ("from-file", ' ', Takes::List),
    ("from-env-file", ' ', Takes::List),
    ("append-hash", ' ', Takes::Bool),
    ("type", ' ', Takes::Text),
];

/// `kubectl create serviceaccount NAME`
pub(crate) fn service_account(session: &mut Session, args: &Args) -> Step<()> {
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": the_name(args)?}});
    generated(session, args, &Resource::SERVICEACCOUNTS, object, "failed to create serviceaccount:")
}

/// `kubectl create configmap NAME`
pub(crate) fn config_map(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let data = data(session, args)?;
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    if !data.is_empty() {
        let data: Map<String, Value> = data.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
        object["data"] = Value::Object(data);
    }
    generated(session, args, &Resource::CONFIGMAPS, object, "failed to create configmap:")
}

/// The keys and values the flags tell, in their order.
pub(super) fn data(session: &Session, args: &Args) -> Result<Vec<(String, String)>, Failure> {
    if args.bool("append-hash") {
        return Err(Failure::message(format!("{} --append-hash is not simulated", args.command)));
    }
    if args.has("from-env-file") && (args.has("from-file") || args.has("from-literal")) {
        return Err(Failure::message("from-env-file cannot be combined with from-file or from-literal"));
    }
    let mut data = Vec::new();
    let read =
        |path: &str| session.files.read(path).map_err(|why| Failure::message(format!("error reading {path}: {why}")));
    for path in args.list("from-file") {
        if let Some(names) = session.files.list(&path) {
            for name in names {
                let content = read(&format!("{}/{name}", path.trim_end_matches('/')))?;
                add(&mut data, &name, content)?;
            }
            continue;
        }
        let (key, path) = match path.split_once('=') {
            Some((key, path)) => (key.to_string(), path.to_string()),
            None => (path.rsplit('/').next().unwrap_or(&path).to_string(), path.clone()),
        };
        add(&mut data, &key, read(&path)?)?;
    }
    for path in args.list("from-env-file") {
        for line in read(&path)?.lines().map(str::trim_start) {
            if !line.is_empty() && !line.starts_with('#') {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                add(&mut data, key, value.into())?;
            }
        }
    }
    for literal in args.list("from-literal") {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::message(format!("invalid literal source {literal}, expected key=value")));
        };
        let value = value.trim_matches(|c| c == '"' || c == '\'').to_string();
        add(&mut data, key, value)?;
    }
    Ok(data)
}

fn add(data: &mut Vec<(String, String)>, key: &str, value: String) -> Result<(), Failure> {
    if data.iter().any(|(known, _)| known == key) {
        return Err(Failure::message(format!(
            "cannot add key \"{key}\", another key by that name already exists in Data"
        )));
    }
    data.push((key.into(), value));
    Ok(())
}

pub(crate) const TOKEN_FLAGS: &[Flag] = &[
    ("audience", ' ', Takes::Array),
    ("duration", ' ', Takes::Duration),
    ("bound-object-kind", ' ', Takes::Text),
    ("bound-object-name", ' ', Takes::Text),
    ("bound-object-uid", ' ', Takes::Text),
];

/// `kubectl create token SERVICEACCOUNT`
pub(crate) fn token(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?.to_string();
    let mut spec = json!({});
    if args.has("audience") {
        spec["audiences"] = json!(args.list("audience"));
    }
    if let Some(duration) = args.duration("duration").filter(|d| *d > 0) {
        spec["expirationSeconds"] = (duration / 1_000_000_000).into();
    }
    let namespace = session.globals.namespace().to_string();
    let call = ApiCall {
        name: Some(name),
        subresource: Some("token".into()),
        body: Some(json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
            "spec": spec})),
        ..Resource::SERVICEACCOUNTS.call(ApiVerb::Create, Some(&namespace))
    };
    let answer = attempt(session.call(call))?.map_err(|failure| failure.wrap("failed to create token"))?;
    match text(answer, "/status/token") {
        "" => Err(Failure::message("failed to create token: no token in server response").into()),
        token => {
            session.print_line(token);
            Ok(())
        }
    }
}
