//! Label selectors: which objects a controller, a service or `kubectl -l` means.
//!
//! A selector is a list of requirements that must all hold. It is compiled once, from the API's `LabelSelector` or from
//! the text form (see `selector/text.rs`), and then only matched. Requirements are kept in the order of their keys.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/labels/selector.go (Requirement, NewRequirement),
//! pkg/apis/meta/v1/helpers.go (LabelSelectorAsSelector, FormatLabelSelector).

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as ApiSelector;

use super::labels::{self, Labels};

mod field;
mod text;

pub use field::{FieldSelector, FieldTerm};

/// A compiled label selector; cheap to clone.
#[derive(Clone, PartialEq, Debug)]
pub struct Selector {
    /// All must hold; `None`: the selector matches nothing at all.
    requirements: Option<Arc<[Requirement]>>,
}

/// What one key must look like.
#[derive(Clone, PartialEq, Debug)]
pub struct Requirement {
    key: Arc<str>,
    operator: Operator,
    /// What the operator compares with: one value for the exact and the numeric ones, none for `Exists` and
    /// `DoesNotExist`.
    values: Arc<[Arc<str>]>,
    /// The only value as a number, of `GreaterThan` and `LessThan`.
    bound: i64,
}

/// How a requirement looks at a label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `key=value`.
    Equals,
    /// `key==value`, the same thing.
    DoubleEquals,
    /// `key!=value`; true when the key is missing.
    NotEquals,
    /// `key in (a,b)`.
    In,
    /// `key notin (a,b)`; true when the key is missing.
    NotIn,
    /// `key`.
    Exists,
    /// `!key`.
    DoesNotExist,
    /// `key>5`, as integers.
    GreaterThan,
    /// `key<5`, as integers.
    LessThan,
}

/// Why a selector cannot be understood: the API server's text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

impl Selector {
    /// The selector that matches every object.
    pub fn everything() -> Self {
        Selector::of(Vec::new())
    }

    /// The selector that matches no object.
    pub const fn nothing() -> Self {
        Selector { requirements: None }
    }

    /// The selector of all `requirements`.
    pub fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Selector { requirements: Some(requirements.into()) }
    }

    /// Compiles the API's form; a missing one matches nothing, an empty one everything.
    pub fn from_api(selector: Option<&ApiSelector>) -> Result<Self, SelectorError> {
        selector.map_or_else(|| Ok(Selector::nothing()), Selector::from_label_selector)
    }

    /// Compiles the API's form; an empty one matches everything.
    pub fn from_label_selector(selector: &ApiSelector) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            requirements.push(Requirement::new(key, Operator::Equals, [value.as_str()])?);
        }
        for expression in selector.match_expressions.iter().flatten() {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(SelectorError(format!("{other:?} is not a valid pod selector operator"))),
            };
            let values = expression.values.iter().flatten().map(String::as_str);
            requirements.push(Requirement::new(&expression.key, operator, values)?);
        }
        Ok(Selector::of(requirements))
    }

    /// The selector of objects that carry all of `labels`; everything when there are none. Nothing is validated.
    pub fn from_labels(labels: &Labels) -> Self {
        let exact = |(key, value): (&Arc<str>, &Arc<str>)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: Arc::new([value.clone()]),
            bound: 0,
        };
        Selector::of(labels.iter().map(exact).collect())
    }

    /// The requirements of both. One that matches nothing adds none, as upstream's merging of selectors has it.
    pub fn and(&self, other: &Selector) -> Selector {
        Selector::of(self.requirements().iter().chain(other.requirements()).cloned().collect())
    }

    /// Whether an object with these labels is meant.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.as_ref().is_some_and(|all| all.iter().all(|requirement| requirement.matches(labels)))
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.as_ref().is_some_and(|all| all.is_empty())
    }

    /// The requirements in the order of their keys; none also for the selector that matches nothing.
    pub fn requirements(&self) -> &[Requirement] {
        self.requirements.as_deref().unwrap_or_default()
    }

    /// The value that `key` must have, if the selector allows only one; for indexes.
    pub fn exact(&self, key: &str) -> Option<&Arc<str>> {
        let requirement = self.requirements().iter().find(|requirement| &*requirement.key == key)?;
        match (requirement.operator, &*requirement.values) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => Some(value),
            _ => None,
        }
    }

    /// As kubectl prints it in a column: `<none>` when there is nothing to print.
    pub fn column(&self) -> String {
        if self.requirements().is_empty() { "<none>".to_owned() } else { self.to_string() }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements().iter().enumerate() {
            write!(f, "{}{requirement}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl Requirement {
    /// A valid requirement, or what is wrong with it.
    pub fn new<'a>(
        key: &str,
        operator: Operator,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SelectorError> {
        let values: Arc<[Arc<str>]> = values.into_iter().map(Arc::from).collect();
        let mut errors = Vec::new();
        let broken = labels::key_errors(key);
        if !broken.is_empty() {
            errors.push(format!("key: Invalid value: {key:?}: {}", broken.join("; ")));
        }
        if let Some(detail) = operator.complaint(values.len()) {
            errors.push(format!("values: Invalid value: {}: {detail}", json_list(&values)));
        }
        let numeric = matches!(operator, Operator::GreaterThan | Operator::LessThan);
        let mut bound = 0;
        for (i, value) in values.iter().enumerate().filter(|_| numeric) {
            match parse_integer(value) {
                Some(number) => bound = number,
                None => errors.push(format!(
                    "values[{i}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                )),
            }
        }
        for (i, value) in values.iter().enumerate() {
            let broken = labels::value_errors(value);
            if !broken.is_empty() {
                errors.push(format!("values[{i}][{key}]: Invalid value: {value:?}: {}", broken.join("; ")));
            }
        }
        match errors.len() {
            0 => Ok(Requirement { key: key.into(), operator, values, bound }),
            1 => Err(SelectorError(errors.remove(0))),
            _ => Err(SelectorError(format!("[{}]", errors.join(", ")))),
        }
    }

    /// Whether these labels satisfy it.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(|v| self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => value.and_then(|v| parse_integer(v)).is_some_and(|v| v > self.bound),
            Operator::LessThan => value.and_then(|v| parse_integer(v)).is_some_and(|v| v < self.bound),
        }
    }

    /// The label's key.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// How it looks at the label.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares with.
    pub fn values(&self) -> &[Arc<str>] {
        &self.values
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values: Vec<&str> = self.values.iter().map(|value| &**value).collect();
        values.sort_unstable();
        let (key, values) = (&self.key, values.join(","));
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl Operator {
    /// What is wrong with this number of values.
    fn complaint(self, values: usize) -> Option<&'static str> {
        let (fine, complaint) = match self {
            Operator::In | Operator::NotIn => (values > 0, "for 'in', 'notin' operators, values set can't be empty"),
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals => {
                (values == 1, "exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist => {
                (values == 0, "values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan => {
                (values == 1, "for 'Gt', 'Lt' operators, exactly one value is required")
            }
        };
        (!fine).then_some(complaint)
    }
}

/// An integer as Go's ParseInt reads it: a sign and decimal digits.
pub fn parse_integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn json_list(values: &[Arc<str>]) -> String {
    if values.is_empty() {
        return "null".to_owned();
    }
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value))).collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> ApiSelector {
        let values = Some(values.iter().map(|value| (*value).to_owned()).collect());
        let expression = LabelSelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values };
        ApiSelector { match_expressions: Some(vec![expression]), match_labels: None }
    }

    #[test]
    fn a_missing_selector_matches_nothing_and_an_empty_one_everything() {
        let empty = Selector::from_api(Some(&ApiSelector::default())).unwrap();
        assert!(empty.matches(&labels(&[])) && empty.is_empty());
        assert!(!Selector::from_api(None).unwrap().matches(&labels(&[("a", "1")])));
        assert_eq!(empty.column(), "<none>");
    }

    #[test]
    fn each_operator_treats_a_missing_key_its_own_way() {
        let cases = [
            (Operator::In, vec!["1", "2"], true, false, false),
            (Operator::NotIn, vec!["1", "2"], false, true, true),
            (Operator::Equals, vec!["1"], true, false, false),
            (Operator::NotEquals, vec!["1"], false, true, true),
            (Operator::Exists, vec![], true, true, false),
            (Operator::DoesNotExist, vec![], false, false, true),
            (Operator::GreaterThan, vec!["2"], false, true, false),
            (Operator::LessThan, vec!["2"], true, false, false),
        ];
        for (operator, values, one, seven, missing) in cases {
            let requirement = Requirement::new("k", operator, values).unwrap();
            let seen = [("k", "1"), ("k", "7"), ("x", "1")].map(|label| requirement.matches(&labels(&[label])));
            assert_eq!(seen, [one, seven, missing], "{requirement}");
        }
        assert!(!Requirement::new("k", Operator::GreaterThan, ["2"]).unwrap().matches(&labels(&[("k", "many")])));
        assert!(Requirement::new("k", Operator::LessThan, ["8"]).unwrap().matches(&labels(&[("k", "007")])));
    }

    #[test]
    fn mistakes_of_the_api_form_have_the_servers_texts() {
        let error = |selector: &ApiSelector| Selector::from_api(Some(selector)).unwrap_err().0;
        assert_eq!(error(&expression("k", "Near", &[])), "\"Near\" is not a valid pod selector operator");
        assert_eq!(
            error(&expression("k", "In", &[])),
            "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty"
        );
        assert_eq!(
            error(&expression("k", "Exists", &["1"])),
            "values: Invalid value: [\"1\"]: values set must be empty for exists and does not exist"
        );
        assert!(error(&expression("k ", "In", &["a b"])).starts_with("[key: Invalid value: \"k \": name part must"));
    }

    #[test]
    fn it_is_printed_in_the_order_of_keys() {
        let mut selector = expression("b", "In", &["y", "x"]);
        selector.match_labels = Some([("c".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())].into());
        let selector = Selector::from_api(Some(&selector)).unwrap();
        assert_eq!(selector.to_string(), "a=2,b in (x,y),c=1");
        assert_eq!(selector.exact("a").map(|value| &**value), Some("2"));
        assert_eq!(selector.exact("b"), None);
        assert!(Selector::from_labels(&labels(&[("a", "2")])).matches(&labels(&[("a", "2"), ("z", "")])));
    }
}
