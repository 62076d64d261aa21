//! Errors about fields: where, what, which value.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/validation/field/{errors,path}.go.

use std::fmt;

use super::print::{Printed, quote};

/// What is wrong with a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorType {
    /// The value refers to something that is not there.
    NotFound,
    /// A value is needed.
    Required,
    /// The value must be unique and is not.
    Duplicate,
    /// The value breaks a rule.
    Invalid,
    /// The value is none of the known ones.
    NotSupported,
    /// The value may not be set, or not by this request.
    Forbidden,
    /// The value has too many bytes.
    TooLong,
    /// The list has too many items.
    TooMany,
}

/// One broken rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// What is wrong.
    pub kind: ErrorType,
    /// `spec.containers[0].image`.
    pub field: String,
    /// The bad value as Go prints it; empty where none is printed.
    pub value: String,
    /// The rule; may be empty.
    pub detail: String,
}

/// The errors found so far, in order.
#[derive(Default, Debug)]
pub struct Errors(Vec<FieldError>);

/// A field, as a chain from the root that is only written out when there is an error.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
    Key(&'a str),
}

impl ErrorType {
    /// The `reason` of a status cause.
    pub fn reason(self) -> &'static str {
        match self {
            ErrorType::NotFound => "FieldValueNotFound",
            ErrorType::Required => "FieldValueRequired",
            ErrorType::Duplicate => "FieldValueDuplicate",
            ErrorType::Invalid => "FieldValueInvalid",
            ErrorType::NotSupported => "FieldValueNotSupported",
            ErrorType::Forbidden => "FieldValueForbidden",
            ErrorType::TooLong => "FieldValueTooLong",
            ErrorType::TooMany => "FieldValueTooMany",
        }
    }

    /// The words an error begins with.
    pub fn words(self) -> &'static str {
        match self {
            ErrorType::NotFound => "Not found",
            ErrorType::Required => "Required value",
            ErrorType::Duplicate => "Duplicate value",
            ErrorType::Invalid => "Invalid value",
            ErrorType::NotSupported => "Unsupported value",
            ErrorType::Forbidden => "Forbidden",
            ErrorType::TooLong => "Too long",
            ErrorType::TooMany => "Too many",
        }
    }

    fn prints_value(self) -> bool {
        !matches!(self, ErrorType::Required | ErrorType::Forbidden | ErrorType::TooLong)
    }
}

impl FieldError {
    /// The error without its field: `Invalid value: -1: must be greater than or equal to 0`.
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if self.kind.prints_value() {
            text.push_str(": ");
            text.push_str(&self.value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

impl Errors {
    /// The errors in order.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value is missing.
    pub fn required(&mut self, path: &Path<'_>, detail: &str) {
        self.add(ErrorType::Required, path, String::new(), detail);
    }

    /// A value breaks a rule.
    pub fn invalid(&mut self, path: &Path<'_>, value: impl Printed, detail: impl AsRef<str>) {
        self.add(ErrorType::Invalid, path, value.printed(), detail.as_ref());
    }

    /// A value breaks each of some rules.
    pub fn invalid_each(&mut self, path: &Path<'_>, value: &str, details: &[String]) {
        for detail in details {
            self.invalid(path, value, detail);
        }
    }

    /// A value is none of the known ones.
    pub fn not_supported(&mut self, path: &Path<'_>, value: impl Printed, supported: &[&str]) {
        let quoted: Vec<String> = supported.iter().map(|text| quote(text)).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        self.add(ErrorType::NotSupported, path, value.printed(), &detail);
    }

    /// A value is there twice.
    pub fn duplicate(&mut self, path: &Path<'_>, value: impl Printed) {
        self.add(ErrorType::Duplicate, path, value.printed(), "");
    }

    /// A value is there twice, with the rule against it.
    pub fn duplicate_because(&mut self, path: &Path<'_>, value: impl Printed, detail: &str) {
        self.add(ErrorType::Duplicate, path, value.printed(), detail);
    }

    /// A value refers to something that is not there.
    pub fn not_found(&mut self, path: &Path<'_>, value: impl Printed, detail: &str) {
        self.add(ErrorType::NotFound, path, value.printed(), detail);
    }

    /// A value may not be set.
    pub fn forbidden(&mut self, path: &Path<'_>, detail: impl AsRef<str>) {
        self.add(ErrorType::Forbidden, path, String::new(), detail.as_ref());
    }

    /// A value has more than `limit` bytes.
    pub fn too_long(&mut self, path: &Path<'_>, limit: usize) {
        self.add(ErrorType::TooLong, path, String::new(), &format!("may not be more than {limit} bytes"));
    }

    /// A list has more than `limit` items.
    pub fn too_many(&mut self, path: &Path<'_>, actual: usize, limit: usize) {
        self.add(ErrorType::TooMany, path, actual.printed(), &format!("must have at most {limit} items"));
    }

    /// A number is below zero.
    pub fn non_negative(&mut self, path: &Path<'_>, value: i64) {
        if value < 0 {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    fn add(&mut self, kind: ErrorType, path: &Path<'_>, value: String, detail: &str) {
        self.0.push(FieldError { kind, field: path.to_string(), value, detail: detail.to_owned() });
    }
}

impl<'a> Path<'a> {
    /// A field of the object itself.
    pub const fn root(name: &'a str) -> Path<'a> {
        Path { parent: None, step: Step::Name(name) }
    }

    /// A field of the struct at this path.
    pub const fn child(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Name(name) }
    }

    /// An item of the list at this path.
    pub const fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// An entry of the map at this path.
    pub const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Name(name) if self.parent.is_some() => write!(f, ".{name}"),
            Step::Name("") => f.write_str("<nil>"),
            Step::Name(name) => f.write_str(name),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_errors_read_as_in_kubernetes() {
        let spec = Path::root("spec");
        let containers = spec.child("containers");
        let container = containers.index(0);
        let resources = container.child("resources");
        let requests = resources.child("requests");
        assert_eq!(requests.key("cpu").to_string(), "spec.containers[0].resources.requests[cpu]");

        let mut errors = Errors::default();
        errors.required(&container.child("image"), "");
        errors.not_supported(&spec.child("dnsPolicy"), "x", &["A", "B"]);
        errors.too_long(&spec, 7);
        let texts: Vec<String> = errors.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "spec.containers[0].image: Required value",
                "spec.dnsPolicy: Unsupported value: \"x\": supported values: \"A\", \"B\"",
                "spec: Too long: may not be more than 7 bytes"
            ]
        );
    }
}
