//! Field selectors: `spec.nodeName=n1,status.phase!=Running`.
//!
//! Which fields a kind has is the API server's business; here they are names and values. In a value, `\`, `,` and `=`
//! are written with a backslash before them.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/fields/selector.go.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::SelectorError;

/// A compiled field selector; all terms must hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FieldSelector {
    terms: Arc<[FieldTerm]>,
}

/// What one field must be or must not be.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldTerm {
    /// `metadata.name`.
    pub field: Arc<str>,
    /// What it is compared with.
    pub value: Arc<str>,
    /// Whether it must differ.
    pub negated: bool,
}

impl FieldSelector {
    /// The selector that wants `field` to be `value`.
    pub fn exactly(field: &str, value: &str) -> Self {
        FieldSelector { terms: Arc::new([FieldTerm { field: field.into(), value: value.into(), negated: false }]) }
    }

    /// Whether an object is meant whose fields `field` looks up; a field the object lacks is the empty text.
    pub fn matches<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| (field(&term.field).unwrap_or_default() == &*term.value) != term.negated)
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, in the order of their texts.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The value `field` must have, if any is demanded; for indexes.
    pub fn exact(&self, field: &str) -> Option<&Arc<str>> {
        self.terms.iter().find(|term| !term.negated && &*term.field == field).map(|term| &term.value)
    }
}

impl FromStr for FieldSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, negated, value)) = split_term(part) else {
                return Err(SelectorError(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            terms.push(FieldTerm { field: field.into(), value: unescape(value)?.into(), negated });
        }
        Ok(FieldSelector { terms: terms.into() })
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let (comma, equals) = (if i > 0 { "," } else { "" }, if term.negated { "!=" } else { "=" });
            write!(f, "{comma}{}{equals}", term.field)?;
            for c in term.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The texts between the commas that have no backslash before them.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The field, whether it must differ, and the escaped value, parted at the first operator.
fn split_term(part: &str) -> Option<(&str, bool, &str)> {
    part.char_indices().find_map(|(i, _)| {
        let (field, rest) = part.split_at(i);
        let term = |operator, negated| rest.strip_prefix(operator).map(|value| (field, negated, value));
        term("!=", true).or_else(|| term("==", false)).or_else(|| term("=", false))
    })
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let wrong = |sequence: &str| SelectorError(format!("invalid field selector: invalid escape sequence: {sequence}"));
    let (mut text, mut escaped) = (String::with_capacity(value.len()), false);
    for c in value.chars() {
        match (escaped, c) {
            (true, '\\' | ',' | '=') => {
                text.push(c);
                escaped = false;
            }
            (true, other) => return Err(wrong(&format!("\\{other}"))),
            (false, '\\') => escaped = true,
            (false, ',' | '=') => {
                // Upstream prints the character's number.
                let number = u32::from(c);
                return Err(SelectorError(format!("invalid field selector: unescaped character in value: {number}")));
            }
            (false, other) => text.push(other),
        }
    }
    if escaped { Err(wrong("\\")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FieldSelector, String> {
        text.parse().map_err(|error: SelectorError| error.0)
    }

    #[test]
    fn terms_are_sorted_and_all_must_hold() {
        let selector = read("spec.nodeName==n1,,metadata.name!=x").unwrap();
        assert_eq!(selector.to_string(), "metadata.name!=x,spec.nodeName=n1");
        let object = |name: &'static str, node: &'static str| {
            move |field: &str| match field {
                "metadata.name" => Some(name),
                "spec.nodeName" => Some(node),
                _ => None,
            }
        };
        assert!(selector.matches(object("a", "n1")));
        assert!(!selector.matches(object("x", "n1")) && !selector.matches(object("a", "n2")));
        assert_eq!(selector.exact("spec.nodeName").map(|value| &**value), Some("n1"));
        assert_eq!(selector.exact("metadata.name"), None);
        assert!(read("status.phase=").unwrap().matches(object("a", "b")), "a missing field is empty");
    }

    #[test]
    fn values_may_hold_escaped_separators() {
        let selector = read(r"a=b\,c\=d\\").unwrap();
        assert_eq!(&*selector.terms()[0].value, r"b,c=d\");
        assert_eq!(read(&selector.to_string()).unwrap(), selector);
    }

    #[test]
    fn mistakes_have_the_servers_texts() {
        for (text, error) in [
            ("a=b,foo", "invalid selector: 'a=b,foo'; can't understand 'foo'"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
            (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
            (r"a=b\", r"invalid field selector: invalid escape sequence: \"),
        ] {
            assert_eq!(read(text).unwrap_err(), error, "{text}");
        }
    }
}
