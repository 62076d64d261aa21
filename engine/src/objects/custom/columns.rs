//! The columns in which a custom resource is shown.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor/tableconvertor.go.

use serde_json::Value;

/// A column of `kubectl get`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PrinterColumn {
    /// Its title, as written.
    pub name: &'static str,
    /// `integer`, `number`, `string`, `boolean`, `date`.
    pub kind: &'static str,
    /// Where the value is: `.spec.replicas`.
    pub path: &'static str,
    /// Whether only `-o wide` shows it.
    pub wide: bool,
}

/// The columns of a version's `additionalPrinterColumns`; the age if it has none.
pub fn columns(version: &Value) -> &'static [PrinterColumn] {
    let Some(given) = version["additionalPrinterColumns"].as_array().filter(|given| !given.is_empty()) else {
        return &[PrinterColumn { name: "Age", kind: "date", path: ".metadata.creationTimestamp", wide: false }];
    };
    let kept = |value: &Value| -> &'static str { Box::leak(value.as_str().unwrap_or_default().to_owned().into()) };
    let columns: Vec<PrinterColumn> = given
        .iter()
        .map(|column| PrinterColumn {
            name: kept(&column["name"]),
            kind: kept(&column["type"]),
            path: kept(&column["jsonPath"]),
            wide: column["priority"].as_i64().unwrap_or(0) > 0,
        })
        .collect();
    Box::leak(columns.into_boxed_slice())
}
