//! YAML and JSON as kubectl prints them.
//!
//! Keys are sorted, lists are not indented, long texts are folded at 80 columns: the habits of the emitter behind
//! `kubectl -o yaml`.
//! Models: sigs.k8s.io/yaml goyaml.v2 (emitterc.go, encode.go `stringv`), kubernetes v1.36.2
//! staging/src/k8s.io/cli-runtime/pkg/printers/{yaml,json}.go.

use serde_json::Value;

/// Where the emitter folds – constant; goyaml best_width, 80 columns.
const WIDTH: usize = 80;

/// The object as YAML, with a line end.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    node(&mut out, value, 0, 0);
    out
}

/// The object as JSON, indented by four blanks, keys sorted, with a line end.
pub(crate) fn json(value: &Value) -> String {
    let mut out = String::new();
    json_node(&mut out, value, 0);
    out.push('\n');
    out
}

/// The object as one line of JSON with sorted keys, Go's HTML escapes included.
pub(crate) fn compact(value: &Value) -> String {
    let mut out = String::new();
    compact_node(&mut out, value);
    out
}

fn sorted(map: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn compact_node(out: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            out.push('{');
            for (i, (key, value)) in sorted(map).into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&json_text(key));
                out.push(':');
                compact_node(out, value);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                compact_node(out, item);
            }
            out.push(']');
        }
        Value::String(text) => out.push_str(&json_text(text)),
        other => out.push_str(&other.to_string()),
    }
}

/// A JSON text with `<`, `>` and `&` escaped, as Go's encoder does.
fn json_text(text: &str) -> String {
    let quoted = Value::String(text.into()).to_string();
    quoted.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn json_node(out: &mut String, value: &Value, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, (key, value)) in sorted(map).into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                out.push_str(&Value::String(key.clone()).to_string());
                out.push_str(": ");
                json_node(out, value, depth + 1);
            }
            line(out, depth);
            out.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                json_node(out, item, depth + 1);
            }
            line(out, depth);
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Writes a node at `indent`; `column` is where the cursor stands.
fn node(out: &mut String, value: &Value, indent: usize, column: usize) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}\n"),
        Value::Array(items) if items.is_empty() => out.push_str("[]\n"),
        Value::Object(map) => {
            for (i, (key, value)) in sorted(map).into_iter().enumerate() {
                if i > 0 || column < indent {
                    pad(out, indent - if i > 0 { 0 } else { column });
                }
                let start = out.len();
                text(out, key, indent, indent, true);
                let width = out.get(start..).unwrap_or("").chars().count();
                out.push(':');
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        out.push('\n');
                        node(out, value, indent + 2, 0);
                    }
                    Value::Array(inner) if !inner.is_empty() => {
                        out.push('\n');
                        node(out, value, indent, 0);
                    }
                    _ => {
                        out.push(' ');
                        node(out, value, indent + 2, indent + width + 2);
                    }
                }
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 || column < indent {
                    pad(out, indent - if i > 0 { 0 } else { column });
                }
                out.push_str("- ");
                node(out, item, indent + 2, indent + 2);
            }
        }
        Value::String(string) => {
            text(out, string, indent, column, false);
            out.push('\n');
        }
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, columns: usize) {
    out.push_str(&" ".repeat(columns));
}

/// Writes a text in the style the emitter would choose. `indent` is that of the lines that follow.
fn text(out: &mut String, string: &str, indent: usize, column: usize, is_key: bool) {
    if string.contains('\n') && !is_key && !has_special(string) && !has_space_break(string) {
        literal(out, string, indent);
    } else if has_special(string) || string.contains('\n') {
        double_quoted(out, string, indent, column, is_key);
    } else if needs_quotes(string) {
        // What would be read back as another type gets double quotes, other texts single ones.
        if is_other_type(string) {
            out.push('"');
            out.push_str(string);
            out.push('"');
        } else {
            out.push('\'');
            folded(out, &string.replace('\'', "''"), indent, column + 1, is_key, true);
            out.push('\'');
        }
    } else {
        folded(out, string, indent, column, is_key, false);
    }
}

fn literal(out: &mut String, string: &str, indent: usize) {
    out.push('|');
    if string.starts_with([' ', '\n']) {
        out.push('2');
    }
    let ends = string.len() - string.trim_end_matches('\n').len();
    match ends {
        0 => out.push('-'),
        1 => {}
        _ => out.push('+'),
    }
    let body = string.strip_suffix('\n').unwrap_or(string);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}

/// Writes words, breaking at single blanks once the line is wider than allowed.
fn folded(out: &mut String, string: &str, indent: usize, column: usize, is_key: bool, quoted: bool) {
    let chars: Vec<char> = string.chars().collect();
    let mut column = column;
    let mut after_blank = false;
    for (i, c) in chars.iter().enumerate() {
        let blank_next = chars.get(i + 1).is_some_and(|n| *n == ' ');
        let inner = !quoted || (i > 0 && i + 1 < chars.len());
        if *c == ' ' && !is_key && !after_blank && column > WIDTH && inner && !blank_next {
            out.push('\n');
            pad(out, indent);
            column = indent;
            after_blank = true;
            continue;
        }
        out.push(*c);
        column += 1;
        after_blank = *c == ' ';
    }
}

fn double_quoted(out: &mut String, string: &str, indent: usize, column: usize, is_key: bool) {
    out.push('"');
    let chars: Vec<char> = string.chars().collect();
    let mut column = column + 1;
    let mut after_blank = false;
    for (i, c) in chars.iter().enumerate() {
        let escaped = match c {
            '"' => Some("\\\"".to_string()),
            '\\' => Some("\\\\".to_string()),
            '\n' => Some("\\n".to_string()),
            '\t' => Some("\\t".to_string()),
            '\r' => Some("\\r".to_string()),
            '\0' => Some("\\0".to_string()),
            '\u{1b}' => Some("\\e".to_string()),
            c if c.is_control() => Some(format!("\\x{:02X}", u32::from(*c))),
            _ => None,
        };
        if let Some(escaped) = escaped {
            column += escaped.len();
            out.push_str(&escaped);
            after_blank = false;
        } else if *c == ' ' && !is_key && !after_blank && column > WIDTH && i > 0 && i + 1 < chars.len() {
            out.push('\n');
            pad(out, indent);
            if chars.get(i + 1) == Some(&' ') {
                out.push('\\');
            }
            column = indent;
            after_blank = true;
        } else {
            out.push(*c);
            column += 1;
            after_blank = *c == ' ';
        }
    }
    out.push('"');
}

fn has_special(string: &str) -> bool {
    string.chars().any(|c| c.is_control() && c != '\n')
}

fn has_space_break(string: &str) -> bool {
    string.contains(" \n") || string.ends_with(' ')
}

fn is_other_type(string: &str) -> bool {
    !super::yaml::is_text(string) || is_base_60(string)
}

/// Whether a text cannot stand alone as a plain scalar and keep its meaning.
fn needs_quotes(string: &str) -> bool {
    if string.is_empty() || string == "<<" {
        return true;
    }
    let first = string.chars().next().unwrap_or(' ');
    let second_blank = string.chars().nth(1).is_none_or(char::is_whitespace);
    let indicator = match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => true,
        '?' | ':' | '-' => second_blank,
        _ => false,
    };
    indicator
        || string.starts_with("---")
        || string.starts_with("...")
        || string.starts_with(' ')
        || string.ends_with(' ')
        || string.contains(": ")
        || string.ends_with(':')
        || string.contains(" #")
        || is_other_type(string)
}

/// `1:30`: go-yaml quotes what other readers of YAML 1.1 would take for a number.
fn is_base_60(string: &str) -> bool {
    let digits = string.strip_prefix(['+', '-']).unwrap_or(string);
    let mut parts = digits.split(':');
    let whole =
        |p: &str| p.starts_with(|c: char| c.is_ascii_digit()) && p.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let sixtieth = |p: &str| {
        let p = p.split('.').next().unwrap_or(p);
        p.parse::<u8>().is_ok_and(|n| n < 60) && p.len() <= 2
    };
    digits.contains(':') && parts.next().is_some_and(whole) && parts.all(sixtieth)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_that_look_like_other_types_are_quoted() {
        let object = json!({"a": "true", "b": "10", "c": "x", "d": "", "e": "2026-11-22T07:55:13Z", "f": "a: b", "g":
        "-",
            "h": "v1.36.2", "i": "25%", "j": "yes", "k": {}, "l": [], "m": null, "n": "5m"});
        let expected = "a: \"true\"\nb: \"10\"\nc: x\nd: \"\"\ne: \"2026-11-22T07:55:13Z\"\nf: 'a: b'\ng: '-'\n\
            h: v1.36.2\ni: 25%\nj: \"yes\"\nk: {}\nl: []\nm: null\n\"n\": 5m\n";
        assert_eq!(yaml(&object), expected);
    }

    #[test]
    fn lists_stand_at_the_indentation_of_their_key() {
        let object = json!({"a": [{"b": 1, "c": ["x", ["w"]]}, "z"]});
        assert_eq!(yaml(&object), "a:\n- b: 1\n  c:\n  - x\n  - - w\n- z\n");
    }

    #[test]
    fn long_texts_are_folded() {
        let message = "0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory. no new claims to \
            deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
        let object = json!({"conditions": [{"message": message}]});
        let expected = "\
conditions:
- message: '0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory. no
    new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is
    not helpful for scheduling.'
";
        assert_eq!(yaml(&object), expected);
    }

    #[test]
    fn several_lines_become_a_literal_block() {
        assert_eq!(
            yaml(&json!({"a": {"b": "x\ny\n", "c": "x\ny"}})),
            "a:\n  b: |\n    x\n    y\n  c: |-\n    x\n    y\n"
        );
    }

    #[test]
    fn json_is_indented_by_four() {
        let text = json(&json!({"b": [1, {"c": "d<"}], "a": {}}));
        assert_eq!(
            text,
            "{\n    \"a\": {},\n    \"b\": [\n        1,\n        {\n            \"c\": \"d<\"\n        }\n    ]\n}\n"
        );
        assert_eq!(compact(&json!({"b": "<a>", "a": 1})), "{\"a\":1,\"b\":\"\\u003ca\\u003e\"}");
    }
}
