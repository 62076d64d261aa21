//! From the words on the command line, or a manifest, to the objects a verb works on.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/cli-runtime/pkg/resource/{builder,visitor}.go.
//! Left out: field-selected subsets of several types at once, `--recursive`, directories and URLs.

use serde_json::Value;

use super::ApiVerb;
use super::errors::Failure;
use super::flags::Args;
use super::json::{name, namespace};
use super::manifest;
use super::resources::Resource;
use super::session::{Listed, Session, Step, attempt};
use super::{ApiCall, yaml_out};

/// Objects per page of a list – constant; Kubernetes: DefaultChunkSize, 500.
pub(crate) const CHUNK: u64 = 500;

/// What one word, or a type and a name, refers to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub resource: Resource,
    /// None: all objects of the type.
    pub name: Option<String>,
}

/// An object a verb works on.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub resource: Resource,
    pub namespace: Option<String>,
    pub name: String,
    /// From the server or from the manifest.
    pub object: Value,
    /// Name of the manifest's file, empty without one.
    pub source: String,
}

impl Info {
    pub fn of(resource: Resource, object: Value, source: &str) -> Info {
        let namespace = Some(namespace(&object).to_string()).filter(|n| resource.namespaced && !n.is_empty());
        Info { resource, namespace, name: name(&object).into(), source: source.into(), object }
    }

    /// `deployment.apps/web`
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.resource.kind_group(), self.name)
    }

    /// A request on this object.
    pub fn call(&self, verb: ApiVerb) -> ApiCall {
        ApiCall { name: Some(self.name.clone()), ..self.resource.call(verb, self.namespace.as_deref()) }
    }
}

/// Reads `TYPE[,TYPE] [NAME…]` or `TYPE/NAME…`.
pub(crate) fn targets(words: &[String], discovered: &[Resource]) -> Result<Vec<Target>, Failure> {
    let with_slash = words.iter().filter(|w| w.contains('/')).count();
    if with_slash > 0 {
        if with_slash != words.len() {
            return Err(Failure::message(
                "there is no need to specify a resource type as a separate argument when passing arguments in \
                 resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource \
                 resource/<resource_name>'",
            ));
        }
        return words.iter().map(|word| typed_name(word, discovered)).collect();
    }
    let Some((types, names)) = words.split_first() else { return Ok(Vec::new()) };
    let mut targets = Vec::new();
    for word in types.split(',') {
        for resource in Resource::find_all(word, discovered)? {
            if names.is_empty() {
                targets.push(Target { resource, name: None });
            }
            for name in names {
                targets.push(Target { resource, name: Some(name.clone()) });
            }
        }
    }
    Ok(targets)
}

fn typed_name(word: &str, discovered: &[Resource]) -> Result<Target, Failure> {
    let mut parts = word.split('/');
    let (kind, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if parts.next().is_some() {
        return Err(Failure::message("arguments in resource/name form may not have more than one slash"));
    }
    if kind.is_empty() || name.is_empty() || kind.contains(',') {
        return Err(Failure::message("arguments in resource/name form must have a single resource and name"));
    }
    Ok(Target { resource: Resource::find_among(kind, discovered)?, name: Some(name.into()) })
}

/// Which objects besides those named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    pub all: bool,
    pub all_namespaces: bool,
}

impl Selection {
    pub fn of(args: &Args) -> Selection {
        Selection {
            label_selector: args.given("selector"),
            field_selector: args.given("field-selector"),
            all: args.bool("all"),
            all_namespaces: args.bool("all-namespaces"),
        }
    }

    pub fn is_some(&self) -> bool {
        self.label_selector.is_some() || self.field_selector.is_some() || self.all
    }
}

/// The LIST request for a type.
pub(crate) fn list_call(session: &Session, resource: &Resource, selection: &Selection) -> ApiCall {
    let namespace = session.globals.namespace();
    ApiCall {
        label_selector: selection.label_selector.clone(),
        field_selector: selection.field_selector.clone(),
        limit: Some(CHUNK),
        ..resource.call(ApiVerb::List, Some(namespace).filter(|_| !selection.all_namespaces))
    }
}

/// LIST as the builder does it: a refused selector is reported with the type and the selectors.
pub(crate) fn list_objects<'a>(
    session: &mut Session<'a>,
    resource: &Resource,
    selection: &Selection,
) -> Step<Listed<'a>> {
    let call = list_call(session, resource, selection);
    match attempt(session.list(call))? {
        Ok(list) => Ok(list),
        Err(Failure::Status(mut status)) => {
            let (labels, fields) = (selection.label_selector.as_deref(), selection.field_selector.as_deref());
            let reason = status.get("reason").and_then(Value::as_str);
            if (labels.is_some() || fields.is_some()) && matches!(reason, Some("BadRequest" | "NotFound")) {
                status["message"] = format!(
                    "Unable to find {} that match label selector {}, field selector {}: {}",
                    yaml_out::compact(
                        &format!("{}/{}, Resource={}", resource.group, resource.version, resource.plural).into()
                    ),
                    yaml_out::compact(&labels.unwrap_or("").into()),
                    yaml_out::compact(&fields.unwrap_or("").into()),
                    super::json::text(&status, "/message")
                )
                .into();
            }
            Err(Failure::Status(status).into())
        }
        Err(other) => Err(other.into()),
    }
}

/// The objects a changing verb works on, as they are on the server; failures are collected.
pub(crate) fn infos(session: &mut Session, args: &Args, words: &[String]) -> Step<(Vec<Info>, Vec<Failure>)> {
    let selection = Selection::of(args);
    if args.has("filename") {
        let (mut infos, mut failures) = (Vec::new(), Vec::new());
        let read = manifest::read(session, args)?;
        failures.extend(read.failures);
        for info in read.infos {
            match attempt(session.get_info(&info.resource, info.namespace.as_deref(), &info.name))? {
                Ok(object) => infos.push(Info { object: object.clone(), ..info }),
                Err(failure) => failures.push(failure),
            }
        }
        return Ok((infos, failures));
    }
    let targets = checked_targets(words, &selection, &session.discovered)?;
    let (mut infos, mut failures) = (Vec::new(), Vec::new());
    for target in targets {
        match attempt(fetch(session, &target, &selection))? {
            Ok(more) => infos.extend(more),
            Err(failure) => failures.push(failure),
        }
    }
    Ok((infos, failures))
}

/// Targets that either have names or are picked by a selector.
pub(crate) fn checked_targets(
    words: &[String],
    selection: &Selection,
    discovered: &[Resource],
) -> Result<Vec<Target>, Failure> {
    let targets = targets(words, discovered)?;
    if selection.is_some() && targets.iter().any(|t| t.name.is_some()) {
        return Err(Failure::message("name cannot be provided when a selector is specified"));
    }
    if !selection.is_some() && targets.iter().any(|t| t.name.is_none()) {
        return Err(Failure::message("resource(s) were provided, but no name was specified"));
    }
    Ok(targets)
}

fn fetch(session: &mut Session, target: &Target, selection: &Selection) -> Step<Vec<Info>> {
    match &target.name {
        Some(name) => {
            let namespace = session.globals.namespace().to_string();
            let object = session.get_info(&target.resource, Some(&namespace), name)?;
            let namespace = Some(namespace).filter(|_| target.resource.namespaced);
            Ok(vec![Info { namespace, ..Info::of(target.resource, object.clone(), "") }])
        }
        None => {
            let found = list_objects(session, &target.resource, selection)?;
            Ok(items(&target.resource, &found).map(|object| Info::of(target.resource, object, "")).collect())
        }
    }
}

/// The objects of a list, each with its own apiVersion and kind.
pub(crate) fn items<'a>(resource: &'a Resource, found: &Listed<'a>) -> impl Iterator<Item = Value> + 'a {
    found.items().collect::<Vec<_>>().into_iter().map(|item| with_type(resource, item))
}

fn with_type(resource: &Resource, item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(map) = item.as_object_mut() {
        map.entry("apiVersion").or_insert_with(|| resource.api_version().into());
        map.entry("kind").or_insert_with(|| resource.kind.into());
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn types_and_names_may_be_combined() {
        let shown = |line: &str| -> Vec<String> {
            let targets = targets(&words(line), &[]).expect(line);
            targets.iter().map(|t| format!("{}:{}", t.resource.plural, t.name.as_deref().unwrap_or("*"))).collect()
        };
        assert_eq!(shown("po,rs a b"), ["pods:a", "pods:b", "replicasets:a", "replicasets:b"]);
        assert_eq!(shown("po/a deploy/b"), ["pods:a", "deployments:b"]);
        assert_eq!(shown("po,no"), ["pods:*", "nodes:*"]);
    }

    #[test]
    fn mistakes_in_arguments_are_explained() {
        let text = |line: &str| targets(&words(line), &[]).expect_err(line).text();
        assert!(text("pod pod/a").starts_with("there is no need to specify a resource type as a separate argument"));
        assert_eq!(text("a/b/c"), "arguments in resource/name form may not have more than one slash");
        assert_eq!(text("foos"), "the server doesn't have a resource type \"foos\"");
    }

    #[test]
    fn names_and_selectors_exclude_each_other() {
        let all = Selection { all: true, ..Selection::default() };
        let text = |line: &str, s: &Selection| checked_targets(&words(line), s, &[]).expect_err(line).text();
        assert_eq!(text("pods a", &all), "name cannot be provided when a selector is specified");
        assert_eq!(text("pods", &Selection::default()), "resource(s) were provided, but no name was specified");
    }
}
