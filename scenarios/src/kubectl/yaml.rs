//! Manifests as kubectl reads them: YAML 1.1 scalars, several documents, or JSON.
//!
//! `yes`, `on` and `y` are booleans, `010` is 8, `1_000` is 1000, a time stays a text, the last of equal keys wins.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/yaml/decoder.go (splitting at `---` lines),
//! sigs.k8s.io/yaml goyaml.v2 resolve.go (scalars) and yaml.go (keys become texts).
//! Left out: base-60 numbers (goyaml has none either), `!!binary`; of go-yaml's syntax errors the common ones are
//! worded as there, others by their kind.

use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Number, Value};

/// Values in one document, aliases expanded – constant; a guard against documents that explode.
const MAX_VALUES: usize = 2_000_000;

/// The documents of a manifest; empty ones are left out. The error is worded as kubectl's, without the file's name.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    if text.trim_start().starts_with('{') {
        return json_documents(text);
    }
    let mut documents = Vec::new();
    for part in split(text)? {
        let document = value(&part).map_err(|why| format!("error converting YAML to JSON: yaml: {why}"))?;
        if !document.is_null() {
            documents.push(document);
        }
    }
    Ok(documents)
}

/// One YAML document as JSON.
pub(crate) fn value(text: &str) -> Result<Value, String> {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut builder = Builder { anchors: BTreeMap::new(), left: MAX_VALUES };
    let mut events = Parser::new_from_str_with_options(text, options);
    let mut next = || -> Result<Event, String> {
        match events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(syntax(&error, text)),
            None => Ok(Event::StreamEnd),
        }
    };
    loop {
        match next()? {
            Event::StreamEnd => return Ok(Value::Null),
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::DocumentEnd => return Ok(Value::Null),
            event => {
                let value = builder.node(event, &mut next)?;
                // Whatever follows must at least be correct.
                while !matches!(next()?, Event::StreamEnd | Event::DocumentStart(..)) {}
                return Ok(value);
            }
        }
    }
}

struct Builder {
    anchors: BTreeMap<usize, Value>,
    left: usize,
}

impl Builder {
    fn node<'a>(
        &mut self,
        event: Event<'a>,
        next: &mut dyn FnMut() -> Result<Event<'a>, String>,
    ) -> Result<Value, String> {
        self.left = self.left.checked_sub(1).ok_or("document is too large")?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref())?, anchor),
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.node(event, next)?),
                    }
                }
                (Value::Array(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (self.mapping(next)?, anchor),
            Event::Alias(id) => {
                let value = self.anchors.get(&id).cloned().ok_or("unknown anchor referenced")?;
                self.left = self.left.checked_sub(count(&value)).ok_or("document contains excessive aliasing")?;
                return Ok(value);
            }
            _ => return Err("did not find expected node content".into()),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn mapping<'a>(&mut self, next: &mut dyn FnMut() -> Result<Event<'a>, String>) -> Result<Value, String> {
        let mut map = Map::new();
        let mut merged = Map::new();
        loop {
            let event = next()?;
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, next)?;
            let event = next()?;
            let value = self.node(event, next)?;
            if is_merge {
                let sources = if let Value::Array(list) = value { list } else { vec![value] };
                for source in sources {
                    let Value::Object(source) = source else {
                        return Err("map merge requires map or sequence of maps as the value".into());
                    };
                    for (key, value) in source {
                        merged.entry(key).or_insert(value);
                    }
                }
                continue;
            }
            map.insert(key_text(&key)?, value);
        }
        for (key, value) in merged {
            map.entry(key).or_insert(value);
        }
        Ok(Value::Object(map))
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum::<usize>() + 1,
        Value::Object(map) => map.values().map(count).sum::<usize>() + 1,
        _ => 1,
    }
}

fn key_text(key: &Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Null => Ok("null".into()),
        other => Err(format!("invalid map key: {}", go_syntax(other))),
    }
}

/// Go's `%#v` of a decoded value.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Object(map) => {
            let inner: Vec<String> = map.iter().map(|(k, v)| format!("{k:?}:{}", go_syntax(v))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", inner.join(", "))
        }
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let tag = tag.and_then(Tag::core_suffix);
    match tag {
        Some("str") => return Ok(Value::String(text.into())),
        Some("null") => return Ok(Value::Null),
        None if style != ScalarStyle::Plain => return Ok(Value::String(text.into())),
        _ => {}
    }
    let resolved = resolve(text);
    let fits = match (tag, &resolved) {
        (Some("int"), Value::Number(n)) => n.is_i64() || n.is_u64(),
        (Some("float"), Value::Number(_)) | (Some("bool"), Value::Bool(_)) => true,
        (Some("int" | "float" | "bool"), _) => false,
        _ => true,
    };
    if fits { Ok(resolved) } else { Err(format!("cannot decode !!str `{text}` as a !!{}", tag.unwrap_or(""))) }
}

/// Whether a plain scalar would be read as a text, and not as something else or a time.
pub(crate) fn is_text(plain: &str) -> bool {
    resolve(plain).is_string() && !is_time(plain)
}

/// `2026-1-2`, or with a time of day after `T`, `t` or a blank.
fn is_time(text: &str) -> bool {
    let (date, clock) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at + 1..)),
        None => (text, None),
    };
    let number = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = date.split('-').collect();
    let is_date = matches!(parts.as_slice(), [year, month, day] if year.len() == 4 && number(year, 4) &&
    number(month, 2) && number(day, 2));
    let is_clock = |clock: &str| {
        let bare = clock.find(['Z', '+', '-']).and_then(|end| clock.get(..end)).unwrap_or(clock);
        let bare = bare.split('.').next().unwrap_or(bare);
        bare.split(':').count() == 3 && bare.split(':').all(|part| number(part, 2))
    };
    is_date && clock.is_none_or(is_clock)
}

/// What a plain scalar means in YAML 1.1 as go-yaml reads it.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        let plain = text.replace('_', "");
        if let Some(number) = integer(&plain) {
            return Value::Number(number);
        }
        if is_float(&plain)
            && let Ok(float) = plain.parse::<f64>()
            && let Some(number) = Number::from_f64(float)
        {
            let whole = float as i64;
            let is_whole = whole as f64 == float && whole.unsigned_abs() < 1 << 53;
            return Value::Number(if is_whole { whole.into() } else { number });
        }
    }
    Value::String(text.into())
}

/// Go's `strconv.ParseInt(text, 0, 64)` and `ParseUint`.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let (radix, digits) = match () {
        _ if lower.starts_with("0x") => (16, lower.get(2..)?),
        _ if lower.starts_with("0b") => (2, lower.get(2..)?),
        _ if lower.starts_with("0o") => (8, lower.get(2..)?),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        let number = 0i64.checked_sub_unsigned(number)?;
        Some(number.into())
    } else {
        Some(number.into())
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at + 1..)),
        None => (text, None),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    let mantissa_ok = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    mantissa_ok && exponent_ok
}

/// Splits at lines that consist of `---`.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("---") {
            Some(rest) if rest.trim().is_empty() || rest.trim_start().starts_with('#') => {
                if !part.is_empty() {
                    parts.push(std::mem::take(&mut part));
                }
            }
            Some(rest) if rest.starts_with(char::is_whitespace) => {
                return Err(format!("invalid Yaml document separator: {}", rest.trim()));
            }
            _ => part.push_str(line),
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    Ok(parts)
}

fn json_documents(text: &str) -> Result<Vec<Value>, String> {
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match document {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) if error.is_eof() => return Err("unexpected EOF".into()),
            Err(error) => {
                let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
                let offset = before + error.column();
                let at = text.get(..offset).and_then(|t| t.chars().next_back()).unwrap_or(' ');
                let looking =
                    if error.to_string().starts_with("trailing comma") || error.to_string().starts_with("key must") {
                        "looking for beginning of object key string"
                    } else if error.to_string().starts_with("expected `,`") {
                        "after object key:value pair"
                    } else if error.to_string().starts_with("expected `:`") {
                        "after object key"
                    } else {
                        "looking for beginning of value"
                    };
                return Err(format!("json: offset {offset}: invalid character '{at}' {looking}"));
            }
        }
    }
    Ok(documents)
}

/// A syntax error in go-yaml's words. Lines are counted from 1 within the document.
fn syntax(error: &ScanError, text: &str) -> String {
    let line = error.marker().line();
    match error.kind() {
        ErrorKind::UnknownAnchor => {
            let name =
                text.lines().nth(line.saturating_sub(1)).and_then(|l| l.split_once('*')).map_or("", |(_, rest)| {
                    rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).next().unwrap_or("")
                });
            format!("unknown anchor '{name}' referenced")
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => {
            format!("line {}: did not find expected key", line.saturating_sub(1).max(1))
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            format!("line {}: did not find expected '-' indicator", line.saturating_sub(1).max(1))
        }
        ErrorKind::SimpleKeyExpected => format!("line {}: could not find expected ':'", line + 1),
        ErrorKind::InvalidSimpleKey => format!("line {line}: mapping values are not allowed in this context"),
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::UnexpectedEofFlowMapping => {
            format!("line {}: did not find expected ',' or '}}'", line.saturating_sub(1).max(1))
        }
        ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::UnexpectedEofFlowSequence => {
            format!("line {}: did not find expected ',' or ']'", line.saturating_sub(1).max(1))
        }
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => {
            format!("line {line}: found character that cannot start any token")
        }
        _ => format!("line {line}: {}", error.info()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_yaml_1_1() {
        let text =
            "a: yes\nb: 010\nc: 0x10\nd: 1_000\ne: on\nf: 1e3\ng: 2026-11-22\nh: \"no\"\ni: ~\nj: 1.5\nk: 25%\nl: n";
        let expected = json!({"a": true, "b": 8, "c": 16, "d": 1000, "e": true, "f": 1000, "g": "2026-11-22", "h": "no",
            "i": null, "j": 1.5, "k": "25%", "l": false});
        assert_eq!(value(text), Ok(expected));
    }

    #[test]
    fn keys_become_texts_and_the_last_one_wins() {
        assert_eq!(value("1: a\ntrue: b\nx: 1\nx: 2"), Ok(json!({"1": "a", "true": "b", "x": 2})));
    }

    #[test]
    fn documents_are_split_and_empty_ones_dropped() {
        let text = "---\n# nothing\n---\na: 1\n---\n\n--- # end\nb: {c: [1, 2]}\n";
        assert_eq!(documents(text), Ok(vec![json!({"a": 1}), json!({"b": {"c": [1, 2]}})]));
        assert_eq!(documents("{\"a\": 1}\n{\"b\": 2}"), Ok(vec![json!({"a": 1}), json!({"b": 2})]));
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let text = "base: &b {x: 1, w: 2}\nz:\n  <<: *b\n  w: 3\n";
        assert_eq!(value(text), Ok(json!({"base": {"x": 1, "w": 2}, "z": {"x": 1, "w": 3}})));
    }

    #[test]
    fn syntax_errors_read_as_go_yamls() {
        let errors = [
            ("a:\n  b:\n  - name: app\n   image: x\n", "line 3: did not find expected key"),
            ("a:\n  - name: app\n   image: x\n", "line 2: did not find expected '-' indicator"),
            ("a:\n  - name: app: x\n", "line 2: mapping values are not allowed in this context"),
            ("a: *ref\n", "unknown anchor 'ref' referenced"),
        ];
        for (text, expected) in errors {
            assert_eq!(value(text), Err(expected.to_string()), "{text}");
        }
    }

    #[test]
    fn templates_that_were_not_rendered_are_refused() {
        let error = value("a: {{ .Values.app }}\n").expect_err("a map as a key");
        assert_eq!(error, "invalid map key: map[interface {}]interface {}{\".Values.app\":interface {}(nil)}");
    }
}
