//! The JSONPath templates of `-o jsonpath`, `--sort-by` and `-o custom-columns`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/util/jsonpath/{parser,jsonpath}.go,
//! staging/src/k8s.io/kubectl/pkg/cmd/get/customcolumn.go (`RelaxedJSONPathExpression`).
//! Left out: regular-expression filters (kubectl has none either).

use serde_json::Value;

use super::yaml_out;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Node>);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    Slice(Option<i64>, Option<i64>, i64),
    Union(Vec<Step>),
    Filter { left: Operand, right: Option<(String, Operand)> },
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Value(Value),
}

impl Template {
    /// Parses a template such as `{.items[*].metadata.name}`.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parser = Parser { chars: text.chars().collect(), at: 0 };
        let (nodes, ended) = parser.nodes()?;
        if ended { Err("not in range, nothing to end".into()) } else { Ok(Template(nodes)) }
    }

    /// Parses what `--sort-by` and custom columns take: braces and the leading dot may be missing.
    pub fn relaxed(text: &str) -> Result<Template, String> {
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let inner = inner.strip_prefix('$').unwrap_or(inner);
        let dot = if inner.starts_with(['.', '[']) { "" } else { "." };
        Template::parse(&format!("{{{dot}{inner}}}"))
    }

    /// The text the template makes of `object`. Missing fields are empty.
    pub fn text(&self, object: &Value) -> String {
        let mut out = String::new();
        write_nodes(&self.0, object, object, &mut out);
        out
    }

    /// All values the template's paths lead to.
    pub fn values<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let paths = self.0.iter().filter_map(|node| if let Node::Path(path) = node { Some(path) } else { None });
        paths.flat_map(|path| walk(path, object, object)).collect()
    }
}

fn write_nodes(nodes: &[Node], root: &Value, current: &Value, out: &mut String) {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Path(path) => {
                let texts: Vec<String> = walk(path, root, current).into_iter().map(shown).collect();
                out.push_str(&texts.join(" "));
            }
            Node::Range(path, body) => {
                for value in walk(path, root, current) {
                    write_nodes(body, root, value, out);
                }
            }
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => yaml_out::compact(other),
    }
}

fn walk<'a>(path: &[Step], root: &'a Value, start: &'a Value) -> Vec<&'a Value> {
    let mut values = vec![start];
    let mut deep = false;
    for step in path {
        if *step == Step::Recursive {
            deep = true;
            continue;
        }
        let mut next = Vec::new();
        for value in values {
            if deep {
                descend(value, &mut |inner| apply(step, root, inner, &mut next));
            } else {
                apply(step, root, value, &mut next);
            }
        }
        deep = false;
        values = next;
    }
    values
}

fn descend<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|inner| descend(inner, visit)),
        Value::Array(items) => items.iter().for_each(|inner| descend(inner, visit)),
        _ => {}
    }
}

fn apply<'a>(step: &Step, root: &'a Value, value: &'a Value, out: &mut Vec<&'a Value>) {
    match step {
        Step::Field(name) if name.is_empty() => out.push(value),
        Step::Field(name) => out.extend(value.get(name)),
        Step::Wildcard => match value {
            Value::Object(map) => out.extend(map.values()),
            Value::Array(items) => out.extend(items),
            _ => {}
        },
        Step::Union(steps) => steps.iter().for_each(|step| apply(step, root, value, out)),
        Step::Slice(from, to, by) => {
            let Some(items) = value.as_array() else { return };
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let clamp = |i: i64| (if i < 0 { i + length } else { i }).clamp(0, length);
            let (mut at, end) = (clamp(from.unwrap_or(0)), clamp(to.unwrap_or(length)));
            while at < end {
                out.extend(usize::try_from(at).ok().and_then(|i| items.get(i)));
                at += (*by).max(1);
            }
        }
        Step::Filter { left, right } => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            out.extend(items.iter().filter(|item| holds(left, right.as_ref(), root, item)));
        }
        Step::Recursive => {}
    }
}

fn holds(left: &Operand, right: Option<&(String, Operand)>, root: &Value, item: &Value) -> bool {
    let side = |operand: &Operand| match operand {
        Operand::Path(path) => walk(path, root, item).first().map(|v| (*v).clone()),
        Operand::Value(value) => Some(value.clone()),
    };
    let Some(left) = side(left) else { return false };
    let Some((operator, right)) = right else { return true };
    let Some(right) = side(right) else { return false };
    let order = match (left.as_f64(), right.as_f64()) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => Some(shown(&left).cmp(&shown(&right))),
    };
    let Some(order) = order else { return false };
    match operator.as_str() {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += 1;
        c
    }

    /// Nodes up to the end of the text or to `{end}`; the flag tells which.
    fn nodes(&mut self) -> Result<(Vec<Node>, bool), String> {
        let mut nodes = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.next() {
            if c != '{' {
                text.push(c);
                continue;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(std::mem::take(&mut text)));
            }
            let action = self.action()?;
            let trimmed = action.trim();
            if trimmed == "end" {
                return Ok((nodes, true));
            } else if let Some(path) = trimmed.strip_prefix("range") {
                let path = Parser::path(path.trim())?;
                let (body, ended) = self.nodes()?;
                if !ended {
                    return Err("unclosed action".into());
                }
                nodes.push(Node::Range(path, body));
            } else if let Some(quoted) = quoted(trimmed) {
                nodes.push(Node::Text(quoted));
            } else {
                nodes.push(Node::Path(Parser::path(trimmed)?));
            }
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text));
        }
        Ok((nodes, false))
    }

    /// What is between braces; braces inside quotes do not count.
    fn action(&mut self) -> Result<String, String> {
        let mut action = String::new();
        let mut quote: Option<char> = None;
        while let Some(c) = self.next() {
            match quote {
                Some(q) if c == q => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                None if c == '}' => return Ok(action),
                _ => {}
            }
            action.push(c);
        }
        if action.matches('[').count() > action.matches(']').count() {
            return Err("unterminated array".into());
        }
        Err("unclosed action".into())
    }

    fn path(text: &str) -> Result<Vec<Step>, String> {
        let mut parser = Parser { chars: text.chars().collect(), at: 0 };
        let mut steps = Vec::new();
        if matches!(parser.peek(), Some('$' | '@')) {
            parser.at += 1;
        }
        while let Some(c) = parser.next() {
            match c {
                '.' if parser.peek() == Some('.') => {
                    parser.at += 1;
                    steps.push(Step::Recursive);
                    if !matches!(parser.peek(), Some('[' | '*') | None) {
                        steps.push(Step::Field(parser.word()));
                    } else if parser.peek() == Some('*') {
                        parser.at += 1;
                        steps.push(Step::Wildcard);
                    }
                }
                '.' if parser.peek() == Some('*') => {
                    parser.at += 1;
                    steps.push(Step::Wildcard);
                }
                '.' if matches!(parser.peek(), Some('[') | None) => {}
                '.' => steps.push(Step::Field(parser.word())),
                '[' => {
                    let inner = parser.bracket()?;
                    steps.push(subscript(inner.trim())?);
                }
                c if c.is_whitespace() => {}
                c if c.is_alphabetic() && steps.is_empty() => {
                    parser.at -= 1;
                    let word = parser.word();
                    return Err(format!("unrecognized identifier {word}"));
                }
                c => return Err(format!("unexpected character {c:?} in action")),
            }
        }
        Ok(steps)
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.at += 1;
                word.extend(self.next());
            } else if matches!(c, '.' | '[' | ']' | ' ' | '=' | '<' | '>' | '!' | ')') {
                break;
            } else {
                word.push(c);
                self.at += 1;
            }
        }
        word
    }

    fn bracket(&mut self) -> Result<String, String> {
        let mut inner = String::new();
        let mut depth = 0;
        let mut quote: Option<char> = None;
        while let Some(c) = self.next() {
            match quote {
                Some(q) if c == q => quote = None,
                Some(_) => {}
                None if c == '\'' || c == '"' => quote = Some(c),
                None if c == '[' => depth += 1,
                None if c == ']' && depth == 0 => return Ok(inner),
                None if c == ']' => depth -= 1,
                None => {}
            }
            inner.push(c);
        }
        Err("unterminated array".into())
    }
}

/// A text in quotes, with its escapes resolved.
fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    Some(out)
}

fn subscript(inner: &str) -> Result<Step, String> {
    if let Some(filter) = inner.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        return filter_step(filter.trim());
    }
    if inner.contains(',') {
        let parts: Result<Vec<Step>, String> = inner.split(',').map(|part| subscript(part.trim())).collect();
        return Ok(Step::Union(parts?));
    }
    if inner == "*" {
        return Ok(Step::Wildcard);
    }
    if let Some(name) = quoted(inner) {
        return Ok(Step::Field(name));
    }
    let number = |text: &str| -> Result<Option<i64>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| format!("invalid array index {inner}"))
    };
    let parts: Vec<&str> = inner.split(':').collect();
    match parts.as_slice() {
        [one] => {
            let at = number(one)?.ok_or_else(|| format!("invalid array index {inner}"))?;
            let end = if at == -1 { None } else { Some(at + 1) };
            Ok(Step::Slice(Some(at), end, 1))
        }
        [from, to] => Ok(Step::Slice(number(from)?, number(to)?, 1)),
        [from, to, by] => Ok(Step::Slice(number(from)?, number(to)?, number(by)?.unwrap_or(1))),
        _ => Err(format!("invalid array index {inner}")),
    }
}

fn filter_step(text: &str) -> Result<Step, String> {
    for operator in ["==", "!=", "<=", ">=", "<", ">"] {
        if let Some((left, right)) = text.split_once(operator) {
            let right = Some((operator.to_string(), operand(right.trim())?));
            return Ok(Step::Filter { left: operand(left.trim())?, right });
        }
    }
    Ok(Step::Filter { left: operand(text)?, right: None })
}

fn operand(text: &str) -> Result<Operand, String> {
    if text.starts_with(['@', '$', '.']) {
        return Ok(Operand::Path(Parser::path(text)?));
    }
    if let Some(text) = quoted(text) {
        return Ok(Operand::Value(Value::String(text)));
    }
    serde_json::from_str(text).map(Operand::Value).map_err(|_| format!("unrecognized identifier {text}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(template: &str) -> String {
        let object = json!({"items": [
            {"metadata": {"name": "a", "labels": {"x.y/z": "1"}}, "n": 1, "c": [{"t": "R", "s": "True"}]},
            {"metadata": {"name": "b"}, "n": 2, "c": [{"t": "R", "s": "False"}]}]});
        Template::parse(template).expect(template).text(&object)
    }

    #[test]
    fn paths_lead_to_values() {
        assert_eq!(text("{.items[*].metadata.name}"), "a b");
        assert_eq!(text("{.items[-1].n} {.items[0:1].n}"), "2 1");
        assert_eq!(text("{..name}"), "a b");
        assert_eq!(text("{.items[0].metadata.labels.x\\.y/z}{.items[0].metadata.labels['x.y/z']}"), "11");
        assert_eq!(text("{.items[0].metadata.labels}"), "{\"x.y/z\":\"1\"}");
        assert_eq!(text("[{.missing}]"), "[]");
    }

    #[test]
    fn ranges_and_filters_work() {
        assert_eq!(text("{range .items[*]}{.metadata.name}{'\\t'}{.n}{\"\\n\"}{end}"), "a\t1\nb\t2\n");
        assert_eq!(text("{.items[?(@.n>1)].metadata.name}"), "b");
        assert_eq!(text("{.items[*].c[?(@.t==\"R\")].s}"), "True False");
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(Template::parse("{.items[*"), Err("unterminated array".into()));
        assert_eq!(Template::parse("{.items"), Err("unclosed action".into()));
    }
}
