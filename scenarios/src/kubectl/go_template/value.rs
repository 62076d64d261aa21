//! How Go prints and compares what JSON holds.
//!
//! Models: Go fmt (`%v`, `%s`, `%d`, `%q`), text/template (`truth`, `eq`, `lt`).

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Go's `%v`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => float(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", shown(value))).collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// A float in its shortest form; from a million on with an exponent.
fn float(number: &Number) -> String {
    const PLAIN_DIGITS: usize = 6;
    let text = number.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    if digits.len() <= PLAIN_DIGITS || digits.contains(['.', 'e']) {
        return text;
    }
    let (exponent, significant) = (digits.len() - 1, digits.trim_end_matches('0'));
    let (first, rest) = significant.split_at(1);
    let fraction = if rest.is_empty() { String::new() } else { format!(".{rest}") };
    format!("{sign}{first}{fraction}e+{exponent:02}")
}

/// Go's name of the type.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "interface {}",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// What counts as true: nothing empty and no zero.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The number of members or bytes.
pub(super) fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(map) => Ok(map.len()),
        other => Err(format!("error calling len: len of type {}", type_of(other))),
    }
}

/// The order of two values of one basic type.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

/// Go's `Sprint`: a blank between two neighbours if neither is a text.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in values.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| values.get(i));
        if before.is_some_and(|before| !before.is_string() && !value.is_string()) {
            out.push(' ');
        }
        out.push_str(&shown(value));
    }
    out
}

/// Go's `Sprintf` with widths for the common verbs.
pub(super) fn sprintf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at).unwrap_or(""));
        rest = rest.get(at + 1..).unwrap_or("");
        let flags =
            rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | ' '))).unwrap_or(rest.len());
        let (spec, tail) = rest.split_at(flags);
        let Some(verb) = tail.chars().next() else {
            out.push_str("%!(NOVERB)");
            return out;
        };
        rest = tail.get(verb.len_utf8()..).unwrap_or("");
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = values.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        let text = match (verb, value) {
            ('q', Value::String(text)) => format!("{text:?}"),
            ('d', Value::Number(number)) => format!("%!d(float64={})", float(number)),
            ('.' | 'f', Value::Number(number)) => {
                let digits = spec.split_once('.').and_then(|(_, digits)| digits.parse().ok()).unwrap_or(6);
                format!("{:.digits$}", number.as_f64().unwrap_or(0.0))
            }
            ('s' | 'v' | 'g' | 't', value) => shown(value),
            (verb, value) => format!("%!{verb}({}={})", type_of(value), shown(value)),
        };
        let width: usize =
            spec.trim_start_matches(['-', '+', ' ']).split('.').next().unwrap_or("").parse().unwrap_or(0);
        out.push_str(&if spec.starts_with('-') { format!("{text:<width$}") } else { format!("{text:>width$}") });
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_print_as_floats() {
        for (number, expected) in [(3, "3"), (999_999, "999999"), (1_000_000, "1e+06"), (-1_234_567, "-1.234567e+06")] {
            assert_eq!(shown(&json!(number)), expected);
        }
        assert_eq!(sprintf("%-5s|%3v|%q", &[json!("ab"), json!(7), json!("x")]), "ab   |  7|\"x\"");
    }
}
