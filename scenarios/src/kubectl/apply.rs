//! `kubectl apply` on the client's side, and `kubectl replace`.
//!
//! Apply keeps the manifest in an annotation; from the last manifest, the new one and the live object it computes a
//! patch.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/apply/{apply,patcher}.go, pkg/util/apply.go,
//! pkg/cmd/replace/replace.go.
//! Left out: --server-side, replace --force.

use serde_json::{Value, json};

use super::builder::Info;
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::json::{is_deleting, text};
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, manifest, patch, prune, yaml_out};

pub(crate) const FLAGS: &[Flag] = &[
    ("server-side", ' ', Takes::Bool),
    ("force-conflicts", ' ', Takes::Bool),
    ("prune", ' ', Takes::Bool),
    ("selector", 'l', Takes::Text),
    ("all", ' ', Takes::Bool),
    ("overwrite", ' ', Takes::Bool),
    ("validate", ' ', Takes::TextOr("strict")),
    ("save-config", ' ', Takes::Bool),
    ("force", ' ', Takes::Bool),
    ("wait", ' ', Takes::Bool),
    ("timeout", ' ', Takes::Duration),
    ("grace-period", ' ', Takes::Int(32)),
    ("cascade", ' ', Takes::TextOr("background")),
    ("openapi-patch", ' ', Takes::Bool),
    ("prune-allowlist", ' ', Takes::Array),
    ("subresource", ' ', Takes::Text),
];

pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Tries of a patch that conflicts – constant; Kubernetes: maxPatchRetry, 5.
const MAX_PATCH_TRIES: usize = 5;
/// Wait between those tries from the second on – constant; Kubernetes: backOffPeriod, 1 s.
const BACK_OFF: u64 = 1_000_000_000;

pub(crate) fn apply(session: &mut Session, args: &Args) -> Step<()> {
    for flag in ["server-side", "force"] {
        if args.bool(flag) {
            return Err(Failure::message(format!("apply --{flag} is not simulated")).into());
        }
    }
    if let Some(word) = args.words.first() {
        return Err(args.usage(format!("Unexpected args: {:?}", [word]).replace('"', "")).into());
    }
    if !args.has("filename") && !args.has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k").into());
    }
    prune::check(args)?;
    let dry_run = args.dry_run()?;
    let mut found = manifest::read(session, args)?;
    if found.infos.is_empty() && found.failures.is_empty() {
        return Err(Failure::message("no objects passed to apply").into());
    }
    let mut printed = Vec::new();
    for info in &found.infos {
        match attempt(apply_one(session, args, info, dry_run))? {
            Ok(object) => printed.push(object),
            Err(failure) => found.failures.push(failure),
        }
    }
    if args.bool("prune") && found.failures.is_empty() {
        prune::prune(session, args, &printed, dry_run)?;
    }
    print_objects(session, args, printed);
    Ok(Failure::collect(found.failures)?)
}

fn apply_one(session: &mut Session, args: &Args, info: &Info, dry_run: DryRun) -> Step<Value> {
    let generate_name = text(&info.object, "/metadata/generateName");
    if info.name.is_empty() && !generate_name.is_empty() {
        return Err(Failure::message(format!("from {generate_name}: cannot use generate name with apply")).into());
    }
    if info.name.is_empty() {
        let failure = Failure::message("resource name may not be empty");
        return Err(retrieving(failure, info).into());
    }
    let modified = with_last_applied(&info.object);
    let live = match attempt(session.get_info(&info.resource, info.namespace.as_deref(), &info.name))? {
        Ok(live) => live.clone(),
        Err(failure) if failure.is_not_found() => return create(session, args, info, modified, dry_run),
        Err(failure) => return Err(retrieving(failure, info).into()),
    };
    let mut result = live.clone();
    let mut outcome = "configured";
    if dry_run != DryRun::Client {
        if live.pointer("/metadata/annotations").and_then(|a| a.get(LAST_APPLIED)).is_none() {
            session.warn(&format!(
                "resource {}/{} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. \
                 kubectl apply should only be used on resources created declaratively by either kubectl create \
                 --save-config or kubectl apply. The missing annotation will be patched automatically.",
                info.resource.plural, info.name
            ));
        }
        let (patched, is_empty) = patch_live(session, args, info, live, &modified, dry_run)?;
        if is_deleting(&patched) {
            session.warn(&format!("Detected changes to resource {} which is currently being deleted.", info.name));
        }
        result = patched;
        if is_empty {
            outcome = "unchanged";
        }
    }
    say(session, args, info, outcome, dry_run);
    Ok(result)
}

fn retrieving(failure: Failure, info: &Info) -> Failure {
    failure.with_source(
        &format!("retrieving current configuration of:\n{}\nfrom server for:", described(info)),
        &info.source,
    )
}

/// `Info.String()`
fn described(info: &Info) -> String {
    let group = if info.resource.group.is_empty() { String::new() } else { info.resource.group.to_string() };
    let version = info.resource.version;
    format!(
        "Resource: \"{group}/{version}, Resource={}\", GroupVersionKind: \"{group}/{version}, Kind={}\"\nName: \"{}\", \
         Namespace: \"{}\"",
        info.resource.plural,
        info.resource.kind,
        info.name,
        info.namespace.as_deref().unwrap_or("")
    )
}

fn create(session: &mut Session, args: &Args, info: &Info, object: Value, dry_run: DryRun) -> Step<Value> {
    let mut result = object.clone();
    if dry_run != DryRun::Client {
        let call = ApiCall {
            body: Some(unversioned(patch::without_nulls(&object))),
            ..write_call(args, info.resource.call(ApiVerb::Create, info.namespace.as_deref()), dry_run)
        };
        match attempt(session.call(call))? {
            Ok(created) => result = created.clone(),
            Err(failure) => return Err(failure.with_source("creating", &info.source).into()),
        }
    }
    say(session, args, info, "created", dry_run);
    Ok(result)
}

/// What is created cannot have a version yet: the client drops it (resource.Helper.Create).
pub(crate) fn unversioned(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    object
}

fn write_call(args: &Args, call: ApiCall, dry_run: DryRun) -> ApiCall {
    ApiCall {
        dry_run: dry_run == DryRun::Server,
        field_manager: Some(args.text_or("field-manager", "kubectl-client-side-apply").into()),
        field_validation: Some(validation(args).into()),
        ..call
    }
}

/// --validate as the server wants it.
pub(crate) fn validation(args: &Args) -> &'static str {
    match args.text_or("validate", "strict") {
        "ignore" | "false" => "Ignore",
        "warn" => "Warn",
        _ => "Strict",
    }
}

/// Patches the live object until it fits; tells whether there was anything to do.
pub(crate) fn patch_live(
    session: &mut Session,
    args: &Args,
    info: &Info,
    mut live: Value,
    modified: &Value,
    dry_run: DryRun,
) -> Step<(Value, bool)> {
    for tries in 1.. {
        let original = text(&live, "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration");
        let original: Value = serde_json::from_str(original).unwrap_or(Value::Null);
        let patch = patch::three_way(info.resource.kind, &original, modified, &live);
        if patch.as_object().is_none_or(|p| p.is_empty()) {
            return Ok((live, true));
        }
        let call = ApiCall {
            body: Some(patch.clone()),
            ..write_call(args, info.call(ApiVerb::Patch(patch_type(&info.resource))), dry_run)
        };
        let failure = match attempt(session.call(call))? {
            Ok(patched) => return Ok((patched.clone(), false)),
            Err(failure) => failure,
        };
        if !failure.is_conflict() || tries > MAX_PATCH_TRIES {
            let what = format!("applying patch:\n{}\nto:\n{}\nfor:", yaml_out::compact(&patch), described(info));
            return Err(failure.with_source(&what, &info.source).into());
        }
        if tries > 1 {
            session.sleep(BACK_OFF)?;
        }
        live = session.get(&info.resource, info.namespace.as_deref(), &info.name)?.clone();
    }
    Ok((live, true))
}

/// Custom resources know no strategic merge.
fn patch_type(resource: &super::resources::Resource) -> PatchType {
    if resource.custom.is_some() { PatchType::Merge } else { PatchType::StrategicMerge }
}

/// The object with itself in the annotation.
pub(crate) fn with_last_applied(object: &Value) -> Value {
    let bare = without_last_applied(object);
    let mut annotated = bare.clone();
    annotated["metadata"]["annotations"][LAST_APPLIED] = Value::String(yaml_out::compact(&bare) + "\n");
    annotated
}

/// The object without that annotation, but with annotations.
pub(crate) fn without_last_applied(object: &Value) -> Value {
    let mut bare = object.clone();
    if !bare["metadata"].is_object() {
        bare["metadata"] = json!({});
    }
    let annotations = bare["metadata"].get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    let kept: serde_json::Map<String, Value> = annotations.into_iter().filter(|(key, _)| key != LAST_APPLIED).collect();
    bare["metadata"]["annotations"] = Value::Object(kept);
    bare
}

fn say(session: &mut Session, args: &Args, info: &Info, outcome: &str, dry_run: DryRun) {
    match args.text("output") {
        "" => session.print_line(&format!("{} {outcome}{}", info.full_name(), dry_run.suffix())),
        "name" => session.print_line(&info.full_name()),
        _ => {}
    }
}

fn print_objects(session: &mut Session, args: &Args, mut objects: Vec<Value>) {
    let output = args.text("output");
    if !matches!(output, "yaml" | "json") || objects.is_empty() {
        return;
    }
    let object = if objects.len() == 1 {
        objects.remove(0)
    } else {
        json!({"apiVersion": "v1", "items": objects, "kind": "List", "metadata": {}})
    };
    let text = super::get::output::print(&object, output, args.bool("show-managed-fields"));
    session.print(&text);
}

pub(crate) fn replace(session: &mut Session, args: &Args) -> Step<()> {
    if args.bool("force") {
        return Err(Failure::message("replace --force is not simulated").into());
    }
    if !args.has("filename") && !args.has("kustomize") {
        return Err(args.usage("Must specify --filename to replace").into());
    }
    let dry_run = args.dry_run()?;
    let mut found = manifest::read(session, args)?;
    if found.infos.is_empty() && found.failures.is_empty() {
        return Err(Failure::message("no objects passed to replace").into());
    }
    for info in &found.infos {
        if let Err(failure) = attempt(replace_one(session, args, info, dry_run))? {
            found.failures.push(failure);
        }
    }
    Ok(Failure::collect(found.failures)?)
}

fn replace_one(session: &mut Session, args: &Args, info: &Info, dry_run: DryRun) -> Step<()> {
    if dry_run != DryRun::Client {
        let mut object = info.object.clone();
        if args.bool("save-config") {
            object = with_last_applied(&object);
        }
        let replacing = |failure: Failure| failure.with_source("replacing", &info.source);
        if text(&object, "/metadata/resourceVersion").is_empty() {
            // Without a version in the manifest the live object's is used: the update is unconditional.
            if let Ok(live) = attempt(session.get(&info.resource, info.namespace.as_deref(), &info.name))? {
                object["metadata"]["resourceVersion"] = text(live, "/metadata/resourceVersion").into();
            }
        }
        let call = ApiCall {
            body: Some(object),
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", "kubectl-replace").into()),
            field_validation: Some(validation(args).into()),
            ..info.call(ApiVerb::Update)
        };
        attempt(session.call(call))?.map_err(replacing)?;
    }
    say(session, args, info, "replaced", dry_run);
    Ok(())
}
