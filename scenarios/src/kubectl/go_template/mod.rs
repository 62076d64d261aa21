//! `-o go-template`: Go's text templates over JSON.
//!
//! Models: Go text/template as staging/src/k8s.io/cli-runtime/pkg/printers/template.go of kubernetes v1.36.2 uses it:
//! numbers are floats, a missing field prints `<no value>`.
//! Left out: define, template, block, break, continue, methods, html and js escaping.

mod parse;
mod value;

use serde_json::Value;

use parse::{Argument, Node, Pipeline};
use value::{compare, is_true, length, shown, sprintf};

/// A parsed template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

/// The variables in sight, the innermost last.
type Variables = Vec<(String, Value)>;

impl Template {
    /// Parses a template; the error is what Go says.
    pub fn parse(text: &str) -> Result<Template, String> {
        Ok(Template { nodes: parse::parse(text)? })
    }

    /// The text for an object.
    pub fn print(&self, object: &Value) -> Result<String, String> {
        let mut out = String::new();
        let mut variables = vec![("$".to_string(), object.clone())];
        run(&self.nodes, object, &mut variables, &mut out)?;
        Ok(out)
    }
}

fn run(nodes: &[Node], dot: &Value, variables: &mut Variables, out: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Action(pipeline) => {
                let value = evaluate(pipeline, dot, variables)?;
                match &pipeline.declared {
                    Some((name, true)) => variables.push((name.clone(), value.unwrap_or(Value::Null))),
                    Some((name, false)) => {
                        let known = variables.iter_mut().rev().find(|(known, _)| known == name);
                        let (_, old) = known.ok_or_else(|| format!("undefined variable \"{name}\""))?;
                        *old = value.unwrap_or(Value::Null);
                    }
                    None => out.push_str(&value.map_or("<no value>".into(), |value| shown(&value))),
                }
            }
            Node::If { condition, then, otherwise, with } => {
                let depth = variables.len();
                let value = evaluate(condition, dot, variables)?;
                if let (Some((name, _)), Some(value)) = (&condition.declared, &value) {
                    variables.push((name.clone(), value.clone()));
                }
                match value.filter(is_true) {
                    Some(value) => run(then, if *with { &value } else { dot }, variables, out)?,
                    None => run(otherwise, dot, variables, out)?,
                }
                variables.truncate(depth);
            }
            Node::Range { over, key, element, body, otherwise } => {
                let value = evaluate(over, dot, variables)?.unwrap_or(Value::Null);
                let items = items(value)?;
                if items.is_empty() {
                    run(otherwise, dot, variables, out)?;
                }
                for (index, item) in items {
                    let depth = variables.len();
                    variables.extend(key.clone().map(|name| (name, index)));
                    variables.extend(element.clone().map(|name| (name, item.clone())));
                    run(body, &item, variables, out)?;
                    variables.truncate(depth);
                }
            }
        }
    }
    Ok(())
}

/// What a range goes over: keys or indexes with values, keys sorted.
fn items(value: Value) -> Result<Vec<(Value, Value)>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items.into_iter().enumerate().map(|(i, item)| (Value::from(i), item)).collect()),
        Value::Object(map) => {
            let mut items: Vec<(String, Value)> = map.into_iter().collect();
            items.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(items.into_iter().map(|(key, value)| (Value::String(key), value)).collect())
        }
        other => Err(format!("range can't iterate over {}", shown(&other))),
    }
}

/// The value of a pipeline; None is Go's missing value.
fn evaluate(pipeline: &Pipeline, dot: &Value, variables: &mut Variables) -> Result<Option<Value>, String> {
    let mut last: Option<Option<Value>> = None;
    for command in &pipeline.commands {
        let Some((first, rest)) = command.split_first() else { continue };
        let value = match first {
            Argument::Function(name) => {
                let mut arguments = Vec::new();
                for argument in rest {
                    arguments.push(argument_value(argument, dot, variables)?);
                }
                arguments.extend(last.take());
                call(name, arguments)?
            }
            other if rest.is_empty() && last.is_none() => argument_value(other, dot, variables)?,
            _ => return Err("can't give argument to non-function".into()),
        };
        last = Some(value);
    }
    Ok(last.flatten())
}

fn argument_value(argument: &Argument, dot: &Value, variables: &mut Variables) -> Result<Option<Value>, String> {
    match argument {
        Argument::Constant(value) => Ok(Some(value.clone())),
        Argument::Field(path) => field(Some(dot.clone()), path),
        Argument::Variable(name, path) => {
            let known = variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            field(Some(known.ok_or_else(|| format!("undefined variable \"{name}\""))?), path)
        }
        Argument::Pipeline(inner, path) => {
            let value = evaluate(inner, dot, variables)?;
            field(value, path)
        }
        Argument::Function(name) => call(name, Vec::new()),
    }
}

/// Goes down a path; what is missing in a map is no error.
fn field(value: Option<Value>, path: &[String]) -> Result<Option<Value>, String> {
    let mut value = value;
    for name in path {
        value = match value {
            Some(Value::Object(mut map)) => map.remove(name),
            None | Some(Value::Null) => return Err(format!("nil data; no entry for key \"{name}\"")),
            Some(other) => {
                return Err(format!("can't evaluate field {name} in type {}", value::type_of(&other)));
            }
        };
    }
    Ok(value)
}

fn call(name: &str, arguments: Vec<Option<Value>>) -> Result<Option<Value>, String> {
    let values: Vec<Value> = arguments.iter().map(|a| a.clone().unwrap_or(Value::Null)).collect();
    let two = || match values.as_slice() {
        [first, second, ..] => Ok((first, second)),
        _ => Err(format!("wrong number of args for {name}: want at least 2 got {}", values.len())),
    };
    let one = || values.first().ok_or_else(|| format!("wrong number of args for {name}: want 1 got 0"));
    let value = match name {
        "len" => Value::from(length(one()?)?),
        "not" => Value::Bool(!is_true(one()?)),
        "and" => values.iter().find(|v| !is_true(v)).or(values.last()).cloned().unwrap_or_default(),
        "or" => values.iter().find(|v| is_true(v)).or(values.last()).cloned().unwrap_or_default(),
        "eq" => {
            let (first, _) = two()?;
            Value::Bool(values.iter().skip(1).any(|other| compare(first, other).is_some_and(|o| o.is_eq())))
        }
        "ne" => two().map(|(a, b)| Value::Bool(!compare(a, b).is_some_and(|o| o.is_eq())))?,
        "lt" | "le" | "gt" | "ge" => {
            let (a, b) = two()?;
            let order = compare(a, b).ok_or("incompatible types for comparison")?;
            Value::Bool(match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        "index" => return index(values),
        "print" => Value::String(value::print(&values)),
        "println" => Value::String(values.iter().map(shown).collect::<Vec<_>>().join(" ") + "\n"),
        "printf" => {
            let Some((Value::String(format), rest)) = values.split_first() else {
                return Err("wrong number of args for printf: want at least 1 got 0".into());
            };
            Value::String(sprintf(format, rest))
        }
        "exists" => {
            let Some((object, path)) = values.split_first() else { return Ok(Some(false.into())) };
            let mut at = Some(object);
            for key in path {
                at = at.and_then(|value| value.get(key.as_str().unwrap_or("")));
            }
            Value::Bool(at.is_some())
        }
        "base64decode" => {
            let text = one()?.as_str().unwrap_or("");
            let bytes = super::base64::decode(text).ok_or("illegal base64 data")?;
            Value::String(String::from_utf8_lossy(&bytes).into_owned())
        }
        other => return Err(format!("function \"{other}\" not defined")),
    };
    Ok(Some(value))
}

fn index(values: Vec<Value>) -> Result<Option<Value>, String> {
    let mut values = values.into_iter();
    let mut at = values.next();
    for key in values {
        at = match (at, &key) {
            (Some(Value::Array(items)), Value::Number(number)) => {
                let index = number.as_f64().map_or(usize::MAX, |n| n as usize);
                let found = items.get(index).cloned();
                Some(found.ok_or_else(|| format!("error calling index: reflect: slice index out of range: {number}"))?)
            }
            (Some(Value::Object(mut map)), Value::String(key)) => map.remove(key),
            (None | Some(Value::Null), _) => return Err("error calling index: index of untyped nil".into()),
            (Some(other), _) => {
                return Err(format!("error calling index: can't index item of type {}", value::type_of(&other)));
            }
        };
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(template: &str) -> Result<String, String> {
        let object = json!({"items": [{"metadata": {"name": "a", "labels": {"x": "1", "k": "2"}}, "n": 1000000},
            {"metadata": {"name": "b"}, "n": 2}], "yes": true});
        Template::parse(template)?.print(&object)
    }

    #[test]
    fn lists_are_gone_through() {
        let text = |template: &str| printed(template).expect(template);
        assert_eq!(text("{{range .items}}{{.metadata.name}} {{end}}"), "a b ");
        assert_eq!(text("{{range $i, $e := .items}}{{$i}}={{$e.metadata.name}}{{\"\\n\"}}{{end}}"), "0=a\n1=b\n");
        assert_eq!(text("{{range $k, $v := (index .items 0).metadata.labels}}{{$k}}:{{$v}},{{end}}"), "k:2,x:1,");
        assert_eq!(text("{{range .none}}x{{else}}nothing{{end}}"), "nothing");
    }

    #[test]
    fn conditions_and_functions_work() {
        let text = |template: &str| printed(template).expect(template);
        assert_eq!(text("{{if and .yes (eq (len .items) 2)}}two{{else}}other{{end}}"), "two");
        assert_eq!(text("{{ if not .yes -}} a {{- else if .yes -}} b {{- end }}"), "b");
        assert_eq!(text("{{with (index .items 1)}}{{.metadata.name | printf \"<%s>\"}}{{end}}"), "<b>");
        assert_eq!(text("{{$x := .items}}{{len $x}} {{(index .items 0).n}} {{.none}}"), "2 1e+06 <no value>");
        assert_eq!(text("{{(index .items 0).metadata.labels}}"), "map[k:2 x:1]");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(printed("{{range .items}}").is_err_and(|why| why.contains("unexpected EOF")));
        assert!(printed("{{foo .}}").is_err_and(|why| why.contains("function \"foo\" not defined")));
        assert!(printed("{{.yes.a}}").is_err_and(|why| why.contains("can't evaluate field a in type")));
    }
}
