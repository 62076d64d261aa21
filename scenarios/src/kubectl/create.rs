//! `kubectl create`: from manifests, and the generators for namespaces, deployments, ConfigMaps and ServiceAccounts.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/{create,create_namespace,create_deployment,
//! create_configmap,create_serviceaccount}.go.
//! Left out: the other generators, --edit, --raw; ConfigMap keys from directories and env files.

use serde_json::{Map, Value, json};

use super::builder::Info;
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, apply, get, manifest};

pub(crate) const FLAGS: &[Flag] = &[
    ("save-config", ' ', Takes::Bool),
    ("validate", ' ', Takes::TextOr("strict")),
    ("selector", 'l', Takes::Text),
    ("edit", ' ', Takes::Bool),
    ("raw", ' ', Takes::Text),
];

pub(crate) const DEPLOYMENT_FLAGS: &[Flag] =
    &[("image", ' ', Takes::List), ("port", ' ', Takes::Int(32)), ("replicas", 'r', Takes::Int(32))];

pub(crate) const CONFIGMAP_FLAGS: &[Flag] = &[
    ("from-literal", ' ', Takes::Array),
    ("from-file", ' ', Takes::List),
    ("from-env-file", ' ', Takes::List),
    ("append-hash", ' ', Takes::Bool),
];

/// `kubectl create -f`
pub(crate) fn from_files(session: &mut Session, args: &Args) -> Step<()> {
    if let (false, Some(word)) = (args.has("filename"), args.words.first()) {
        return Err(Failure::message(format!("kubectl create {word} is not simulated")).into());
    }
    if !args.has("filename") && !args.has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k").into());
    }
    let dry_run = args.dry_run()?;
    let mut found = manifest::read(session, args)?;
    let mut count = 0;
    for info in &found.infos {
        match attempt(create_info(session, args, info, dry_run))? {
            Ok(()) => count += 1,
            Err(failure) => found.failures.push(failure),
        }
    }
    if count == 0 && found.failures.is_empty() {
        return Err(Failure::message("no objects passed to create").into());
    }
    Ok(Failure::collect(found.failures)?)
}

fn create_info(session: &mut Session, args: &Args, info: &Info, dry_run: DryRun) -> Step<()> {
    let created =
        attempt(post(session, args, &info.resource, info.namespace.as_deref(), info.object.clone(), dry_run))?;
    let object = created.map_err(|failure| failure.with_source("creating", &info.source))?;
    say(session, args, &info.resource, &object, "created", dry_run)
}

/// POSTs an object unless it is a dry run on the client; returns what the server made of it.
pub(crate) fn post(
    session: &mut Session,
    args: &Args,
    resource: &Resource,
    namespace: Option<&str>,
    object: Value,
    dry_run: DryRun,
) -> Step<Value> {
    let object = if args.bool("save-config") { apply::with_last_applied(&object) } else { object };
    if dry_run == DryRun::Client {
        return Ok(object);
    }
    let created = session.call(ApiCall {
        body: Some(super::apply::unversioned(object)),
        dry_run: dry_run == DryRun::Server,
        field_manager: Some(args.text_or("field-manager", "kubectl-create").into()),
        field_validation: Some(apply::validation(args).into()),
        ..resource.call(ApiVerb::Create, namespace)
    })?;
    Ok(created.clone())
}

/// The success line, or the object in the format asked for.
pub(crate) fn say(
    session: &mut Session,
    args: &Args,
    resource: &Resource,
    object: &Value,
    outcome: &str,
    dry_run: DryRun,
) -> Step<()> {
    let output = args.text("output");
    let full_name = format!("{}/{}", resource.kind_group(), super::json::name(object));
    match output {
        "" => session.print_line(&format!("{full_name} {outcome}{}", dry_run.suffix())),
        "name" => session.print_line(&full_name),
        _ => {
            let format = get::output::Format::of(output)?;
            let text = format.print(object, args.bool("show-managed-fields"))?;
            session.print(&text);
        }
    }
    Ok(())
}

fn the_name(args: &Args) -> Result<&str, Failure> {
    match args.words.as_slice() {
        [name] => Ok(name),
        words => Err(args.usage(format!("exactly one NAME is required, got {}", words.len()))),
    }
}

/// `kubectl create namespace NAME`
pub(crate) fn namespace(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}, "status": {}});
    let dry_run = args.dry_run()?;
    let created = post(session, args, &Resource::NAMESPACES, None, object, dry_run)?;
    say(session, args, &Resource::NAMESPACES, &created, "created", dry_run)
}

/// `kubectl create serviceaccount NAME`
pub(crate) fn serviceaccount(session: &mut Session, args: &Args) -> Step<()> {
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": the_name(args)?}});
    generated(session, args, &Resource::SERVICEACCOUNTS, object)
}

/// `kubectl create configmap NAME`
pub(crate) fn configmap(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    if args.has("from-env-file") || args.bool("append-hash") {
        return Err(Failure::message("create configmap --from-env-file and --append-hash are not simulated").into());
    }
    let mut data = Map::new();
    for path in args.list("from-file") {
        if let Some(names) = session.files.list(&path) {
            for name in names {
                let read = session.files.read(&format!("{}/{name}", path.trim_end_matches('/')));
                let content = read.map_err(|why| Failure::message(format!("error reading {path}/{name}: {why}")))?;
                add(&mut data, &name, content)?;
            }
            continue;
        }
        let (key, path) = match path.split_once('=') {
            Some((key, path)) => (key.to_string(), path.to_string()),
            None => (path.rsplit('/').next().unwrap_or(&path).to_string(), path.clone()),
        };
        let read = session.files.read(&path);
        let content = read.map_err(|why| Failure::message(format!("error reading {path}: {why}")))?;
        add(&mut data, &key, content)?;
    }
    for literal in args.list("from-literal") {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::message(format!("invalid literal source {literal}, expected key=value")).into());
        };
        let value = value.trim_matches(|c| c == '"' || c == '\'').to_string();
        add(&mut data, key, value)?;
    }
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    generated(session, args, &Resource::CONFIGMAPS, object)
}

fn add(data: &mut Map<String, Value>, key: &str, value: String) -> Result<(), Failure> {
    if data.contains_key(key) {
        return Err(Failure::message(format!(
            "cannot add key \"{key}\", another key by that name already exists in Data"
        )));
    }
    data.insert(key.into(), Value::String(value));
    Ok(())
}

/// `kubectl create deployment NAME --image=…`
pub(crate) fn deployment(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["image"])?;
    let name = the_name(args)?;
    let (images, command) = (args.list("image"), args.after_dash.clone().unwrap_or_default());
    if images.len() > 1 && !command.is_empty() {
        return Err(Failure::message("cannot specify multiple --image options and command").into());
    }
    let replicas = args.int("replicas").unwrap_or(1);
    if replicas < 0 {
        return Err(
            Failure::message(format!("--replicas={replicas} is invalid: must be greater than or equal to 0")).into()
        );
    }
    let mut containers: Vec<Value> = images
        .iter()
        .map(|image| {
            let mut container = json!({"image": image, "name": container_name(image), "resources": {}});
            if !command.is_empty() {
                container["command"] = json!(command);
            }
            container
        })
        .collect();
    if let (Some(port), Some(first)) = (args.int("port").filter(|p| *p >= 0), containers.first_mut()) {
        first["ports"] = json!([{"containerPort": port}]);
    }
    let labels = json!({"app": name});
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": labels, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    });
    generated(session, args, &Resource::DEPLOYMENTS, object)
}

/// The base name of an image, without tag and digest, with what a container's name may not hold replaced.
fn container_name(image: &str) -> String {
    let base = image.rsplit('/').next().unwrap_or(image);
    let base = base.split('@').next().unwrap_or(base);
    let base = base.split(':').next().unwrap_or(base);
    base.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// POSTs a generated namespaced object.
fn generated(session: &mut Session, args: &Args, resource: &Resource, mut object: Value) -> Step<()> {
    let namespace = session.globals.namespace().to_string();
    if session.globals.namespace.is_some() {
        object["metadata"]["namespace"] = namespace.clone().into();
    }
    let dry_run = args.dry_run()?;
    let created = attempt(post(session, args, resource, Some(&namespace), object, dry_run))?;
    let what = format!("failed to create {}", resource.kind.to_lowercase());
    let created = created.map_err(|failure| failure.wrap(&what))?;
    say(session, args, resource, &created, "created", dry_run)
}

#[cfg(test)]
mod tests {
    use super::container_name;

    #[test]
    fn containers_are_named_after_their_image() {
        assert_eq!(container_name("registry.test:5000/team/web_app:v1"), "web-app");
        assert_eq!(container_name("nginx@sha256:abc"), "nginx");
    }
}
