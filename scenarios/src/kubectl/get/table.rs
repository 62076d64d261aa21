//! A table of objects of one kind.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/cli-runtime/pkg/printers/tableprinter.go.

use serde_json::Value;

use super::super::flags::Args;
use super::super::json::{namespace, pairs};
use super::super::printers;
use super::super::resources::Resource;
use super::super::tabwriter::Columns;

/// Which columns and lines to print.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub wide: bool,
    pub no_headers: bool,
    pub with_namespace: bool,
    pub with_kind: bool,
    pub show_labels: bool,
    pub label_columns: Vec<String>,
    pub watch_events: bool,
}

impl Options {
    pub fn of(args: &Args, with_kind: bool) -> Options {
        Options {
            wide: args.text("output") == "wide",
            no_headers: args.bool("no-headers"),
            with_namespace: args.bool("all-namespaces"),
            with_kind,
            show_labels: args.bool("show-labels"),
            label_columns: args.list("label-columns"),
            watch_events: args.bool("output-watch-events"),
        }
    }
}

/// A table that may grow while it is watched.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    resource: Resource,
    options: Options,
    columns: Columns,
    has_header: bool,
}

impl Table {
    pub fn new(resource: &Resource, options: Options) -> Table {
        Table { resource: *resource, options, columns: Columns::default(), has_header: false }
    }

    /// Lays out rows, before the first ones the header. `event` is the watch event's type, if asked for.
    pub fn print(&mut self, objects: &[&Value], event: Option<&str>, now: i64) -> String {
        let mut rows = Vec::with_capacity(objects.len() + 1);
        if !self.has_header && !self.options.no_headers && !objects.is_empty() {
            rows.push(self.header());
            self.has_header = true;
        }
        rows.extend(objects.iter().map(|object| self.row(object, event, now)));
        self.columns.lay_out(&rows)
    }

    fn header(&self) -> Vec<String> {
        let mut header = Vec::new();
        if self.options.watch_events {
            header.push("EVENT".into());
        }
        if self.namespaced() {
            header.push("NAMESPACE".into());
        }
        for (name, wide) in printers::all_columns(&self.resource) {
            if !wide || self.options.wide {
                header.push(name.to_uppercase());
            }
        }
        for label in &self.options.label_columns {
            header.push(label.rsplit('/').next().unwrap_or(label).to_uppercase());
        }
        if self.options.show_labels {
            header.push("LABELS".into());
        }
        header
    }

    fn row(&self, object: &Value, event: Option<&str>, now: i64) -> Vec<String> {
        let mut row = Vec::new();
        if self.options.watch_events {
            row.push(event.unwrap_or("ADDED").to_string());
        }
        if self.namespaced() {
            row.push(namespace(object).to_string());
        }
        let cells = printers::row(&self.resource, object, now);
        for ((name, wide), cell) in printers::all_columns(&self.resource).into_iter().zip(cells) {
            if wide && !self.options.wide {
                continue;
            }
            let cell = one_line(cell);
            row.push(if name == "Name" && self.options.with_kind {
                format!("{}/{cell}", self.resource.kind_group())
            } else {
                cell
            });
        }
        let labels = pairs(object, "/metadata/labels");
        for column in &self.options.label_columns {
            let value = labels.iter().find(|(key, _)| key == column).map(|(_, value)| *value);
            row.push(value.unwrap_or("").to_string());
        }
        if self.options.show_labels {
            row.push(printers::labels(&labels));
        }
        row
    }

    fn namespaced(&self) -> bool {
        self.options.with_namespace && self.resource.namespaced
    }
}

/// Only the first line of a cell is shown.
fn one_line(cell: String) -> String {
    match cell.find(['\n', '\r', '\u{c}']) {
        Some(end) => cell.get(..end).unwrap_or("").to_string() + "...",
        None => cell,
    }
}
