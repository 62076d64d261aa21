//! The formats of `--output` that print objects.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/cli-runtime/pkg/printers/{name,yaml,json}.go,
//! staging/src/k8s.io/kubectl/pkg/cmd/get/customcolumn.go.
//! Left out: kyaml, the variants that read a template from a file.

use serde_json::Value;

use super::super::errors::Failure;
use super::super::go_template;
use super::super::json::{list, name, scalar, text};
use super::super::jsonpath::Template;
use super::super::resources::Resource;
use super::super::tabwriter::Columns;
use super::super::yaml_out;

/// A format.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    Yaml,
    Json,
    Name,
    JsonPath(Template),
    JsonPathAsJson(Template),
    GoTemplate(go_template::Template),
    /// Header and path of each column
    CustomColumns(Vec<(String, Template)>),
}

const GENERIC: &str =
    "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile";

impl Format {
    /// The format for verbs that print what they changed.
    pub fn of(output: &str) -> Result<Format, Failure> {
        Format::parse(output)?.ok_or_else(|| unknown(output, &format!("{GENERIC},yaml")))
    }

    /// The format for `get`; None is a table.
    pub fn of_get(output: &str) -> Result<Option<Format>, Failure> {
        if matches!(output, "" | "wide") {
            return Ok(None);
        }
        if let Some(spec) = output.strip_prefix("custom-columns=") {
            return Ok(Some(Format::CustomColumns(columns(spec)?)));
        }
        if output == "custom-columns" {
            return Err(Failure::message("custom-columns format specified but no custom columns given"));
        }
        let allowed = format!("custom-columns,custom-columns-file,{GENERIC},wide,yaml");
        Format::parse(output)?.map(Some).ok_or_else(|| unknown(output, &allowed))
    }

    fn parse(output: &str) -> Result<Option<Format>, Failure> {
        let (format, template) = output.split_once('=').map_or((output, None), |(f, t)| (f, Some(t)));
        let path = |make: fn(Template) -> Format| match template.filter(|t| !t.is_empty()) {
            None => Err(Failure::message("template format specified but no template given")),
            Some(text) => match Template::parse(text) {
                Ok(template) => Ok(Some(make(template))),
                Err(why) => Err(Failure::message(format!("error parsing jsonpath {text}, {why}"))),
            },
        };
        match format {
            "yaml" => Ok(Some(Format::Yaml)),
            "json" => Ok(Some(Format::Json)),
            "name" => Ok(Some(Format::Name)),
            "jsonpath" => path(Format::JsonPath),
            "jsonpath-as-json" => path(Format::JsonPathAsJson),
            "go-template" | "template" => match template.filter(|t| !t.is_empty()) {
                None => Err(Failure::message("template format specified but no template given")),
                Some(text) => match go_template::Template::parse(text) {
                    Ok(template) => Ok(Some(Format::GoTemplate(template))),
                    Err(why) => {
                        Err(Failure::message(format!("error parsing template {text}, template: output:1: {why}\n")))
                    }
                },
            },
            "go-template-file" | "templatefile" | "kyaml" | "jsonpath-file" | "custom-columns-file" => {
                Err(Failure::message(format!("output format {format} is not simulated")))
            }
            _ => Ok(None),
        }
    }

    /// An object or a List in this format.
    pub fn print(&self, object: &Value, managed_fields: bool) -> Result<String, Failure> {
        Ok(match self {
            Format::Yaml => print(object, "yaml", managed_fields),
            Format::Json => print(object, "json", managed_fields),
            Format::Name if is_list(object) => {
                list(object, "/items").iter().map(|item| full_name(item) + "\n").collect()
            }
            Format::Name => full_name(object) + "\n",
            Format::JsonPath(template) => template.text(object),
            Format::JsonPathAsJson(template) => {
                yaml_out::json(&Value::Array(template.values(object).into_iter().cloned().collect()))
            }
            Format::GoTemplate(template) => template
                .print(object)
                .map_err(|why| Failure::message(format!("error executing template: template: output:1: {why}")))?,
            Format::CustomColumns(_) => return self.print_rows(std::slice::from_ref(object), false),
        })
    }

    /// The rows of custom columns.
    pub fn print_rows(&self, objects: &[Value], no_headers: bool) -> Result<String, Failure> {
        let Format::CustomColumns(columns) = self else { return Ok(String::new()) };
        let mut rows: Vec<Vec<String>> = Vec::new();
        if !no_headers {
            rows.push(columns.iter().map(|(header, _)| header.clone()).collect());
        }
        for object in objects {
            let cell = |template: &Template| {
                let values: Vec<String> = template.values(object).into_iter().map(scalar).collect();
                if values.is_empty() { "<none>".to_string() } else { values.join(",") }
            };
            rows.push(columns.iter().map(|(_, template)| cell(template)).collect());
        }
        Ok(Columns::default().lay_out(&rows))
    }
}

/// An object or a List as YAML or JSON.
pub(crate) fn print(object: &Value, format: &str, managed_fields: bool) -> String {
    let mut object = object.clone();
    if !managed_fields {
        hide_managed_fields(&mut object);
    }
    if format == "json" { yaml_out::json(&object) } else { yaml_out::yaml(&object) }
}

fn hide_managed_fields(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    for item in object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        hide_managed_fields(item);
    }
}

fn is_list(object: &Value) -> bool {
    text(object, "/kind") == "List"
}

fn full_name(object: &Value) -> String {
    let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    match Resource::of_manifest(version, kind) {
        Some(resource) => format!("{}/{}", resource.kind_group(), name(object)),
        None => match version.split_once('/') {
            Some((group, _)) => format!("{}.{group}/{}", kind.to_lowercase(), name(object)),
            None => format!("{}/{}", kind.to_lowercase(), name(object)),
        },
    }
}

fn unknown(output: &str, allowed: &str) -> Failure {
    Failure::message(format!(
        "unable to match a printer suitable for the output format \"{output}\", allowed formats are: {allowed}"
    ))
}

fn columns(spec: &str) -> Result<Vec<(String, Template)>, Failure> {
    if spec.is_empty() {
        return Err(Failure::message("custom-columns format specified but no custom columns given"));
    }
    spec.split(',')
        .map(|column| match column.split_once(':') {
            Some((header, path)) => Ok((header.to_string(), super::relaxed(path)?)),
            None => {
                let text = format!("unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>");
                Err(Failure::Message(text))
            }
        })
        .collect()
}
