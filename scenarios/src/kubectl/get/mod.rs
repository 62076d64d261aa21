//! `kubectl get`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/get/get.go,
//! staging/src/k8s.io/cli-runtime/pkg/printers/tableprinter.go. The real server computes the table's cells; here
//! kubectl does, from the objects (see `printers`).
//! Left out: --raw of other paths than the health checks', --subresource, --server-print=false.

pub(crate) mod output;
mod sort;
mod table;
pub mod watch;

use serde_json::{Value, json};

use super::builder::{self, Selection, Target, list_objects, targets};
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, jsonpath, manifest};
use output::Format;
use table::{Options, Table};

pub(crate) const FLAGS: &[Flag] = &[
    ("output", 'o', Takes::Text),
    ("watch", 'w', Takes::Bool),
    ("watch-only", ' ', Takes::Bool),
    ("output-watch-events", ' ', Takes::Bool),
    ("all-namespaces", 'A', Takes::Bool),
    ("selector", 'l', Takes::Text),
    ("field-selector", ' ', Takes::Text),
    ("show-labels", ' ', Takes::Bool),
    ("label-columns", 'L', Takes::List),
    ("show-kind", ' ', Takes::Bool),
    ("no-headers", ' ', Takes::Bool),
    ("sort-by", ' ', Takes::Text),
    ("ignore-not-found", ' ', Takes::Bool),
    ("chunk-size", ' ', Takes::Int(64)),
    ("server-print", ' ', Takes::Bool),
    ("show-managed-fields", ' ', Takes::Bool),
    ("subresource", ' ', Takes::Text),
    ("raw", ' ', Takes::Text),
    ("template", ' ', Takes::Text),
    ("allow-missing-template-keys", ' ', Takes::Bool),
];

/// What one request brought: an object, or the objects of a list.
pub(crate) struct Found {
    pub resource: Resource,
    pub objects: Vec<Value>,
    /// resourceVersion of the list; None for a single object.
    pub list_version: Option<String>,
}

pub(crate) fn get(session: &mut Session, args: &Args) -> Step<()> {
    if args.has("raw") {
        let call = ApiCall { raw: Some(args.text("raw").into()), ..ApiCall::default() };
        let body = session.call(call)?;
        session.print(body.as_str().unwrap_or_default());
        return Ok(());
    }
    for flag in ["subresource", "template"] {
        if args.has(flag) {
            return Err(Failure::message(format!("get --{flag} is not simulated")).into());
        }
    }
    if args.words.is_empty() && !args.has("filename") {
        session.error(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of \
             supported resources.\n\n",
        );
        let text = "Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description \
                    of that resource (e.g. kubectl explain pods).";
        return Err(args.usage(text).into());
    }
    if args.bool("watch") || args.bool("watch-only") {
        return watch::watch(session, args);
    }
    let (found, failures, single) = fetch(session, args)?;
    match Format::of_get(args.text("output"))? {
        None => print_tables(session, args, &found, failures.is_empty())?,
        Some(format) => print_objects(session, args, &format, found, single)?,
    }
    Ok(Failure::collect(failures)?)
}

/// Gets everything that was asked for; tells whether that was one object by name.
pub(crate) fn fetch(session: &mut Session, args: &Args) -> Step<(Vec<Found>, Vec<Failure>, bool)> {
    let selection = Selection::of(args);
    let (wanted, mut failures) = wanted(session, args)?;
    if selection.all_namespaces && wanted.iter().any(|t| t.1.name.is_some()) {
        return Err(Failure::message("a resource cannot be retrieved by name across all namespaces").into());
    }
    if selection.is_some() && wanted.iter().any(|t| t.1.name.is_some()) {
        return Err(Failure::message("name cannot be provided when a selector is specified").into());
    }
    let single = matches!(wanted.as_slice(), [(_, Target { name: Some(_), .. })]);
    let mut found = Vec::new();
    for (namespace, target) in wanted {
        let resource = target.resource;
        let outcome = match &target.name {
            Some(name) => attempt(session.get_info(&resource, Some(&namespace), name))?.map(|object| Found {
                resource,
                objects: vec![object.clone()],
                list_version: None,
            }),
            None => attempt(list_objects(session, &resource, &selection))?.map(|list| Found {
                resource,
                objects: builder::items(&resource, &list).collect(),
                list_version: Some(list.version().into()),
            }),
        };
        match outcome {
            Ok(more) => found.push(more),
            Err(failure) if args.bool("ignore-not-found") && failure.is_not_found() => {}
            Err(failure) => failures.push(failure),
        }
    }
    Ok((found, failures, single))
}

/// Namespaces and targets, and what is wrong with the manifests that name others.
type Wanted = (Vec<(String, Target)>, Vec<Failure>);

/// The targets with the namespace each is looked for in.
fn wanted(session: &Session, args: &Args) -> Step<Wanted> {
    if args.has("filename") {
        let read = manifest::read(session, args)?;
        let wanted = read.infos.into_iter().map(|info| {
            (info.namespace.unwrap_or_default(), Target { resource: info.resource, name: Some(info.name) })
        });
        return Ok((wanted.collect(), read.failures));
    }
    let namespace = session.globals.namespace().to_string();
    Ok((
        targets(&args.words, &session.discovered)?.into_iter().map(|target| (namespace.clone(), target)).collect(),
        Vec::new(),
    ))
}

fn print_tables(session: &mut Session, args: &Args, found: &[Found], no_failure: bool) -> Step<()> {
    let several = found.iter().any(|f| found.first().is_some_and(|first| first.resource != f.resource));
    let mut printed = false;
    let mut rest = found;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|f| f.resource == first.resource).count();
        let (group, next) = rest.split_at(count);
        rest = next;
        let mut objects: Vec<&Value> = group.iter().flat_map(|f| &f.objects).collect();
        if objects.is_empty() {
            continue;
        }
        sort::sort(args, &mut objects)?;
        let mut table = Table::new(&first.resource, Options::of(args, several || args.bool("show-kind")));
        let text = table.print(&objects, None, session.now);
        if printed && !args.bool("no-headers") {
            session.print("\n");
        }
        session.print(&text);
        printed = true;
    }
    if !printed && no_failure && !args.bool("ignore-not-found") {
        say_nothing_found(session, args, found);
    }
    Ok(())
}

fn say_nothing_found(session: &mut Session, args: &Args, found: &[Found]) {
    let namespaced = !args.bool("all-namespaces") && found.iter().all(|f| f.resource.namespaced);
    if namespaced {
        let namespace = session.globals.namespace().to_string();
        session.error_line(&format!("No resources found in {namespace} namespace."));
    } else {
        session.error_line("No resources found");
    }
}

fn print_objects(session: &mut Session, args: &Args, format: &Format, found: Vec<Found>, single: bool) -> Step<()> {
    let managed = args.bool("show-managed-fields");
    let all: Vec<Value> = found.into_iter().flat_map(|f| f.objects).collect();
    if single {
        if let Some(object) = all.first() {
            let text = format.print(object, managed)?;
            session.print(&text);
        }
        return Ok(());
    }
    let mut order: Vec<&Value> = all.iter().collect();
    sort::sort(args, &mut order)?;
    let items: Vec<Value> = order.into_iter().cloned().collect();
    if let Format::CustomColumns(_) = format {
        let text = format.print_rows(&items, args.bool("no-headers"))?;
        session.print(&text);
        return Ok(());
    }
    let list = json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}});
    let text = format.print(&list, managed)?;
    session.print(&text);
    Ok(())
}

/// A template of --sort-by or of a custom column.
fn relaxed(text: &str) -> Result<jsonpath::Template, Failure> {
    jsonpath::Template::relaxed(text).map_err(|why| Failure::message(format!("error parsing jsonpath {text}, {why}")))
}
