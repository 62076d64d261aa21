//! `kubectl api-resources` and `kubectl api-versions`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/apiresources/{apiresources,apiversions}.go.
//! Left out: -o json and yaml.

use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step};
use super::tabwriter::Columns;

pub(crate) const FLAGS: &[Flag] = &[
    ("api-group", ' ', Takes::Text),
    ("namespaced", ' ', Takes::Bool),
    ("verbs", ' ', Takes::List),
    ("categories", ' ', Takes::List),
    ("sort-by", ' ', Takes::Text),
    ("no-headers", ' ', Takes::Bool),
    ("cached", ' ', Takes::Bool),
    ("output", 'o', Takes::Text),
];

pub(crate) fn api_resources(session: &mut Session, args: &Args) -> Step<()> {
    if !args.words.is_empty() {
        return Err(args.usage(format!("unexpected arguments: [{}]", args.words.join(" "))).into());
    }
    let output = args.text("output");
    if !matches!(output, "" | "wide" | "name") {
        return Err(Failure::message(format!("--output {output} is not available")).into());
    }
    let sort = args.text("sort-by");
    if !matches!(sort, "" | "name" | "kind") {
        return Err(Failure::message("--sort-by accepts only name or kind").into());
    }
    let (verbs, categories) = (args.list("verbs"), args.list("categories"));
    let discovered = session.discovered.clone();
    let mut found: Vec<&Resource> = Resource::table()
        .iter()
        .chain(&discovered)
        .filter(|r| !args.has("api-group") || r.group == args.text("api-group"))
        .filter(|r| !args.has("namespaced") || r.namespaced == args.bool("namespaced"))
        .filter(|r| verbs.iter().all(|verb| r.verbs().contains(&verb.as_str())))
        .filter(|r| categories.iter().all(|category| r.categories().contains(&category.as_str())))
        .collect();
    match sort {
        "name" => found.sort_by_key(|r| r.plural),
        "kind" => found.sort_by_key(|r| r.kind),
        _ => found.sort_by_key(|r| (r.group, r.plural)),
    }
    if output == "name" {
        found.iter().for_each(|resource| session.print_line(&resource.plural_group()));
        return Ok(());
    }
    let mut titles = vec!["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
    if output == "wide" {
        titles.extend(["VERBS", "CATEGORIES"]);
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !args.bool("no-headers") {
        rows.push(titles.into_iter().map(str::to_string).collect());
    }
    for resource in found {
        let mut row = vec![
            resource.plural.to_string(),
            resource.short.join(","),
            resource.api_version(),
            resource.namespaced.to_string(),
            resource.kind.to_string(),
        ];
        if output == "wide" {
            row.extend([resource.verbs().join(","), resource.categories().join(",")]);
        }
        rows.push(row);
    }
    let text = Columns::default().lay_out(&rows);
    session.print(&text);
    Ok(())
}

/// Versions that are served beside the preferred ones – discovery of kubernetes v1.36.2.
const OTHER_VERSIONS: &[&str] = &["autoscaling/v1"];

pub(crate) fn api_versions(session: &mut Session, _: &Args) -> Step<()> {
    let mut versions: Vec<String> =
        Resource::table().iter().chain(&session.discovered).map(Resource::api_version).collect();
    versions.extend(OTHER_VERSIONS.iter().map(|version| version.to_string()));
    versions.sort();
    versions.dedup();
    versions.iter().for_each(|version| session.print_line(version));
    Ok(())
}
