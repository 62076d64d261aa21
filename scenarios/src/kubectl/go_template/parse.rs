//! Reading a Go template: texts and actions, then the words inside an action.
//!
//! Models: Go text/template/parse.

use serde_json::Value;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
        /// `with`: the value becomes the dot.
        with: bool,
    },
    Range {
        over: Pipeline,
        key: Option<String>,
        element: Option<String>,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Commands whose values are passed on.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline {
    /// `$x :=` is true, `$x =` is false.
    pub declared: Option<(String, bool)>,
    pub commands: Vec<Vec<Argument>>,
}

/// A word of a command.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    Constant(Value),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Function(String),
    Pipeline(Box<Pipeline>, Vec<String>),
}

/// What a template is cut into.
enum Piece {
    Text(String),
    Action(Vec<String>),
}

const UNEXPECTED_END: &str = "unexpected EOF";

pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(text)?;
    let mut rest = pieces.as_slice();
    let (nodes, end) = nodes(&mut rest)?;
    match end {
        None => Ok(nodes),
        Some(end) => Err(format!("unexpected {{{{{}}}}}", end.first().map_or("", String::as_str))),
    }
}

/// Cuts at `{{` and `}}`; `{{- ` and ` -}}` take the blanks beside them away.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (before, action) = rest.split_once("{{").map_or((rest, None), |(before, action)| (before, Some(action)));
        let before = if trim_next { before.trim_start() } else { before };
        let trims = action.is_some_and(|action| action.starts_with("- "));
        let before = if trims { before.trim_end() } else { before };
        if !before.is_empty() {
            out.push(Piece::Text(before.into()));
        }
        let Some(action) = action else { return Ok(out) };
        let end = action_end(action).ok_or("unclosed action")?;
        let inside = action.get(..end).unwrap_or("");
        rest = action.get(end + 2..).unwrap_or("");
        trim_next = inside.ends_with(" -");
        let inside = inside.strip_prefix("- ").unwrap_or(inside);
        let inside = inside.strip_suffix(" -").unwrap_or(inside).trim();
        if !(inside.starts_with("/*") && inside.ends_with("*/")) {
            out.push(Piece::Action(words(inside)?));
        }
    }
}

/// Where `}}` stands outside of quotes.
fn action_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if text.get(i..).is_some_and(|rest| rest.starts_with("}}")) => return Some(i),
            None => {}
        }
    }
    None
}

/// The words of an action; blanks that part words are kept as one blank before a `.`.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '"' | '`' | '\'' => {
                let mut word = String::from(c);
                loop {
                    let next = chars.next().ok_or("unterminated quoted string")?;
                    word.push(next);
                    if next == '\\' && c != '`' {
                        word.push(chars.next().ok_or("unterminated quoted string")?);
                    } else if next == c {
                        break;
                    }
                }
                out.push(word);
            }
            '(' | '|' | ',' => out.push(c.into()),
            ')' => {
                // `(…).field`
                let mut word = String::from(")");
                while let Some(next) = chars.next_if(|c| *c == '.' || c.is_alphanumeric() || *c == '_') {
                    word.push(next);
                }
                out.push(word);
            }
            ':' if chars.next_if_eq(&'=').is_some() => out.push(":=".into()),
            '=' => out.push("=".into()),
            c if c == '.' || c == '$' || c == '-' || c == '+' || c == '_' || c.is_alphanumeric() => {
                let mut word = String::from(c);
                while let Some(next) = chars.next_if(|c| matches!(c, '.' | '_' | '$') || c.is_alphanumeric()) {
                    word.push(next);
                }
                out.push(word);
            }
            other => return Err(format!("unexpected {other:?} in command")),
        }
    }
    Ok(out)
}

/// Nodes up to an `end` or `else`, which is returned.
fn nodes(rest: &mut &[Piece]) -> Result<(Vec<Node>, Option<Vec<String>>), String> {
    let mut out = Vec::new();
    while let Some((piece, after)) = rest.split_first() {
        *rest = after;
        let words = match piece {
            Piece::Text(text) => {
                out.push(Node::Text(text.clone()));
                continue;
            }
            Piece::Action(words) => words,
        };
        match words.first().map_or("", String::as_str) {
            "end" | "else" => return Ok((out, Some(words.clone()))),
            "if" | "with" => out.push(branch(words, rest)?),
            "range" => out.push(range(words.get(1..).unwrap_or_default(), rest)?),
            _ => out.push(Node::Action(pipeline(words)?)),
        }
    }
    Ok((out, None))
}

fn branch(words: &[String], rest: &mut &[Piece]) -> Result<Node, String> {
    let with = words.first().is_some_and(|word| word == "with");
    let condition = pipeline(words.get(1..).unwrap_or_default())?;
    let (then, end) = nodes(rest)?;
    let otherwise = match end {
        None => return Err(UNEXPECTED_END.into()),
        Some(end) if end.len() > 1 => vec![branch(end.get(1..).unwrap_or_default(), rest)?],
        Some(end) => otherwise(&end, rest)?,
    };
    Ok(Node::If { condition, then, otherwise, with })
}

/// The nodes behind an `else`.
fn otherwise(end: &[String], rest: &mut &[Piece]) -> Result<Vec<Node>, String> {
    if end.first().is_some_and(|word| word == "end") {
        return Ok(Vec::new());
    }
    match nodes(rest)? {
        (nodes, Some(end)) if end.first().is_some_and(|word| word == "end") => Ok(nodes),
        (_, Some(_)) => Err("unexpected {{else}}".into()),
        (_, None) => Err(UNEXPECTED_END.into()),
    }
}

fn range(words: &[String], rest: &mut &[Piece]) -> Result<Node, String> {
    let declares = words.iter().position(|word| word == ":=");
    let (names, over) = declares
        .map_or((&[][..], words), |at| (words.get(..at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default()));
    let mut names: Vec<String> = names.iter().filter(|word| *word != ",").cloned().collect();
    let element = names.pop();
    let over = pipeline(over)?;
    let (body, end) = nodes(rest)?;
    let end = end.ok_or(UNEXPECTED_END)?;
    Ok(Node::Range { over, key: names.pop(), element, body, otherwise: otherwise(&end, rest)? })
}

fn pipeline(words: &[String]) -> Result<Pipeline, String> {
    let mut pipeline = Pipeline::default();
    let mut words = words;
    if let [name, operator, rest @ ..] = words
        && matches!(operator.as_str(), ":=" | "=")
    {
        pipeline.declared = Some((name.clone(), operator == ":="));
        words = rest;
    }
    if words.is_empty() {
        return Err("missing value for command".into());
    }
    let mut command = Vec::new();
    while let Some((word, rest)) = words.split_first() {
        words = rest;
        match word.as_str() {
            "|" => pipeline.commands.push(std::mem::take(&mut command)),
            "(" => {
                let (inside, close, after) = parenthesis(words)?;
                words = after;
                command.push(Argument::Pipeline(Box::new(self::pipeline(inside)?), path(&close)));
            }
            word => command.push(argument(word)?),
        }
    }
    pipeline.commands.push(command);
    Ok(pipeline)
}

/// What stands between the parentheses, the closing word, and what follows.
fn parenthesis(words: &[String]) -> Result<(&[String], String, &[String]), String> {
    let mut depth = 1;
    for (i, word) in words.iter().enumerate() {
        depth += match word.as_str() {
            "(" => 1,
            word if word.starts_with(')') => -1,
            _ => 0,
        };
        if depth == 0 {
            let (inside, after) = (words.get(..i).unwrap_or_default(), words.get(i + 1..).unwrap_or_default());
            return Ok((inside, word.trim_start_matches(')').to_string(), after));
        }
    }
    Err("unclosed left paren".into())
}

fn path(text: &str) -> Vec<String> {
    text.split('.').filter(|part| !part.is_empty()).map(str::to_string).collect()
}

fn argument(word: &str) -> Result<Argument, String> {
    let constant = |value: Value| Ok(Argument::Constant(value));
    match word {
        "true" => constant(true.into()),
        "false" => constant(false.into()),
        "nil" => constant(Value::Null),
        _ if word.starts_with('"') => {
            let text: String = serde_json::from_str(word).map_err(|_| format!("invalid syntax: {word}"))?;
            constant(text.into())
        }
        _ if word.starts_with('`') => constant(word.trim_matches('`').into()),
        _ if word.starts_with('.') => Ok(Argument::Field(path(word))),
        _ if word.starts_with('$') => {
            let (name, fields) = word.split_once('.').unwrap_or((word, ""));
            Ok(Argument::Variable(name.into(), path(fields)))
        }
        _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') => {
            let number = serde_json::from_str::<Value>(word.trim_start_matches('+'));
            constant(number.map_err(|_| format!("bad number syntax: \"{word}\""))?)
        }
        _ => Ok(Argument::Function(word.into())),
    }
}
