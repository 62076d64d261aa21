//! A mistake in a script, reported as its author needs it: what is wrong, the line with a caret, what to do.
//!
//! Host functions raise a [`Problem`]; whatever Rhai raises itself is put into the same words here. The report is text
//! of our own making, the same bytes on every machine.

use super::hints::did_you_mean;
use super::names::Names;
use rhai::{Dynamic, EvalAltResult, LexError, ParseErrorType, Position};
use std::collections::BTreeMap;
use std::fmt;

/// A function's result inside the host.
pub(super) type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// What a host function finds wrong. In a script's `catch (e)` it reads as its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, a clause without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Problem { message: message.into(), hint: None }
    }

    /// The problem with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A problem from a text whose lines after the first are what to do.
    pub(super) fn with_lines(text: &str) -> Self {
        let (message, hint) = text.split_once('\n').unwrap_or((text, ""));
        let hint = super::words::one_line(hint);
        Problem { message: message.to_string(), hint: Some(hint).filter(|hint| !hint.is_empty()) }
    }

    /// As an error that a script's `try` cannot catch: a bound was reached.
    pub(super) fn fatal(self) -> Box<EvalAltResult> {
        EvalAltResult::ErrorTerminated(Dynamic::from(self), Position::NONE).into()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Problem> for Box<EvalAltResult> {
    fn from(problem: Problem) -> Self {
        EvalAltResult::ErrorRuntime(Dynamic::from(problem), Position::NONE).into()
    }
}

/// A place in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the script's folder.
    pub file: String,
    /// Line, from 1; 0 if unknown.
    pub line: usize,
    /// Column in characters, from 1; 0 if unknown.
    pub column: usize,
}

impl Place {
    /// The place Rhai means.
    pub(super) fn new(file: &str, position: Position) -> Self {
        let column = position.position().unwrap_or(0);
        Place { file: file.to_string(), line: position.line().unwrap_or(0), column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// Texts of the script and what it imports, by file name.
pub type Sources = BTreeMap<String, String>;

/// A mistake, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Place,
    /// The line of the script, if it is known.
    pub line: Option<String>,
    /// The calls that led there, innermost first.
    pub trail: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Report {
    /// A report about a place in one of the sources.
    pub(super) fn at(problem: Problem, mut place: Place, sources: &Sources) -> Self {
        let text = sources.get(&place.file);
        // What is missing at the end of the file is missing behind its last line.
        if let Some((last, line)) =
            text.and_then(|text| text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).last())
            && place.line > last + 1
        {
            (place.line, place.column) = (last + 1, line.trim_end().chars().count() + 1);
        }
        let line =
            text.and_then(|text| text.lines().nth(place.line.checked_sub(1)?)).map(|line| line.replace('\t', " "));
        // Rhai points at the dot before a field.
        let dot = line.as_ref().and_then(|line| line.chars().nth(place.column.checked_sub(1)?));
        place.column += usize::from(dot == Some('.'));
        Report { message: problem.message, place, line, trail: Vec::new(), hint: problem.hint }
    }

    /// The report as text, ended by a line break; with colours for a terminal.
    pub fn render(&self, coloured: bool) -> String {
        let paint = |code: &str, text: &str| match coloured {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_string(),
        };
        let mut out = format!("{} {}\n", paint("1;31", "error:"), paint("1", &self.message));
        let margin = self.place.line.to_string().len();
        let rule = |sign: &str| format!("{:margin$} {}", "", paint("34", sign));
        out += &format!("{} {}\n", rule("╭─"), self.place);
        if let Some(line) = &self.line {
            let (line, column) = window(line, self.place.column);
            out += &format!("{} {} {line}\n", paint("34", &self.place.line.to_string()), paint("34", "│"));
            if column > 0 {
                let carets = "^".repeat(word_at(&line, column));
                out += &format!("{} {:indent$}{}\n", rule("│"), "", paint("1;31", &carets), indent = column - 1);
            }
        }
        for step in &self.trail {
            out += &format!("{} {step}\n", rule("├─"));
        }
        match &self.hint {
            Some(hint) => out += &format!("{} {} {hint}\n", rule("╰─"), paint("1;36", "help:")),
            None => out += &format!("{}\n", rule("╰─")),
        }
        out
    }
}

/// A long line cut to what surrounds the column.
fn window(line: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 110;
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.trim_end().to_string(), column);
    }
    let start = column.saturating_sub(WIDTH / 2).min(length - WIDTH);
    let part: String = line.chars().skip(start).take(WIDTH).collect();
    match start {
        0 => (part + "…", column),
        _ => (format!("…{part}…"), column - start + 1),
    }
}

/// How many carets the word at `column` takes.
fn word_at(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column - 1).collect();
    match rest.first() {
        Some('"' | '`') => 1 + rest.iter().skip(1).position(|c| Some(c) == rest.first()).map_or(0, |end| end + 1),
        _ => rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count().max(1),
    }
}

/// Puts an error of Rhai into a report.
pub(super) fn explain(error: &EvalAltResult, main: &str, sources: &Sources, names: &Names) -> Report {
    let mut trail = Vec::new();
    let mut file = main.to_string();
    let mut innermost = error;
    loop {
        match innermost {
            EvalAltResult::ErrorInFunctionCall(name, source, inner, position) => {
                let called = Place::new(&file, *position);
                if sources.contains_key(source) {
                    file.clone_from(source);
                }
                // A closure that a function runs has the function's place: one line for both.
                let same = trail.last().is_some_and(|(_, place)| *place == called);
                match name.starts_with("anon$") {
                    _ if called.line == 0 => {}
                    true if same => {}
                    true => trail.push(("in a closure run".to_string(), called)),
                    false => trail.push((format!("in `{name}`, called"), called)),
                }
                innermost = inner;
            }
            EvalAltResult::ErrorInModule(name, inner, position) => {
                trail.push((format!("in `{name}`, imported"), Place::new(&file, *position)));
                file = super::imports::file_name(name);
                innermost = inner;
            }
            _ => break,
        }
    }
    trail.reverse();
    let place = Place::new(&file, innermost.position());
    let mut report = Report::at(problem_of(innermost, names), place, sources);
    report.hint = report.hint.take().or_else(|| single_equals(&report));
    report.trail = shortened(trail.into_iter().map(|(step, place)| format!("{step} at {place}")).collect());
    report
}

/// A syntax error at a lone `=`, which was meant to compare.
fn single_equals(report: &Report) -> Option<String> {
    let rest = report.line.as_ref()?.chars().skip(report.place.column.checked_sub(1)?);
    let equals = rest.take(2).collect::<String>();
    let lone = equals.starts_with('=') && equals != "==" && report.message.starts_with("syntax:");
    lone.then(|| "to compare, write two of them: ==".to_string())
}

/// A long way there without its middle.
fn shortened(mut trail: Vec<String>) -> Vec<String> {
    const KEPT: usize = 3;
    if trail.len() > 2 * KEPT + 1 {
        let hidden = trail.len() - 2 * KEPT;
        trail.splice(KEPT..KEPT + hidden, [format!("… {hidden} more calls …")]);
    }
    trail
}

/// What is wrong, in our words.
fn problem_of(error: &EvalAltResult, names: &Names) -> Problem {
    use EvalAltResult as E;
    match error {
        E::ErrorRuntime(value, _) | E::ErrorTerminated(value, _) => match value.read_lock::<Problem>() {
            Some(problem) => problem.clone(),
            None => Problem::new(format!("the script gave up: {value}")),
        },
        E::ErrorParsing(kind, _) => syntax(kind, names),
        E::ErrorVariableNotFound(name, _) => unknown_variable(name, names),
        E::ErrorFunctionNotFound(signature, _) => unknown_call(signature, names),
        E::ErrorDotExpr(text, _) => unknown_property(text, names),
        E::ErrorStackOverflow(_) => Problem::new("functions call each other too deeply")
            .hint("a function that calls itself needs an end; raise the bound with --limit calls=128"),
        E::ErrorDataTooLarge(what, _) => too_large(what),
        E::ErrorMismatchDataType(wanted, found, _) | E::ErrorMismatchOutputType(wanted, found, _) => Problem::new(
            format!("a value of type {} is needed here, not {}", readable_type(wanted), readable_type(found)),
        ),
        E::ErrorDataRace(..) => Problem::new("a closure uses a variable that the call it is given to is working on")
            .hint("copy the variable before the call: let copy = …;"),
        E::ErrorModuleNotFound(name, _) => Problem::new(format!("there is no module `{name}`")),
        E::ErrorArrayBounds(0, index, _) => Problem::new(format!("there is no element {index}: the array is empty")),
        E::ErrorArrayBounds(length, index, _) => {
            Problem::new(format!("there is no element {index}: the array has {length}"))
                .hint("the first element has the index 0")
        }
        other => Problem::new(plain(other)),
    }
}

fn plain(error: &EvalAltResult) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" (line ").map_or(text.as_str(), |(message, _)| message);
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

fn syntax(kind: &ParseErrorType, names: &Names) -> Problem {
    use ParseErrorType as P;
    match kind {
        P::VariableUndefined(name) => unknown_variable(name, names),
        P::UnexpectedEOF => Problem::new("the script ends in the middle of a statement")
            .hint("a closing `}`, `)`, `]` or quote is missing"),
        P::MissingToken(token, what) => Problem::new(format!("syntax: `{token}` is missing {what}")),
        P::Reserved(word) | P::UnknownOperator(word) if word == "**" => {
            Problem::new("`**` is not available to scripts")
                .hint("its result for fractions differs between machines; multiply instead")
        }
        P::Reserved(word) if word == "eval" => Problem::new("`eval` is not available to scripts"),
        P::Reserved(word) if word == "var" => {
            Problem::new("syntax: `var` is a reserved word").hint("a variable is made with `let`")
        }
        P::Reserved(word) if word.starts_with(char::is_alphabetic) => {
            Problem::new(format!("syntax: `{word}` is a reserved word")).hint("choose another name")
        }
        P::Reserved(sign) => Problem::new(format!("syntax: `{sign}` has no place here")),
        P::BadInput(LexError::MalformedChar(text)) => {
            Problem::new(format!("syntax: '{text}' is not a single character"))
                .hint(format!("text stands in double quotes: \"{text}\""))
        }
        P::BadInput(LexError::ImproperSymbol(sign, advice)) if advice.contains("'=='") => {
            Problem::new(format!("syntax: `{sign}` gives a variable a value, it does not compare"))
        }
        P::ModuleUndefined(name) => Problem::new(format!("there is no module `{name}`"))
            .hint(format!("import it first: import \"{name}\" as {name};")),
        other => Problem::new(format!("syntax: {other}")),
    }
}

fn unknown_variable(name: &str, names: &Names) -> Problem {
    let problem = Problem::new(format!("unknown variable `{name}`"));
    if names.is_function(name) {
        return problem.hint(format!("`{name}` is a function: call it, `{name}(…)`"));
    }
    if names.variables().any(|variable| variable == name) {
        return problem.hint(format!(
            "a function sees only its parameters: pass `{name}` to it (the cluster's functions, such as kubectl(…), \
                need no variable)"
        ));
    }
    const KEYWORDS: [&str; 11] =
        ["let", "const", "if", "else", "for", "while", "loop", "return", "true", "false", "import"];
    match did_you_mean(name, KEYWORDS.into_iter().chain(names.variables()).chain(names.functions())) {
        Some(hint) => problem.hint(hint),
        None => problem.hint(format!("define it first: let {name} = …;")),
    }
}

/// A call Rhai found no function for: the name is wrong, or what it is given.
fn unknown_call(signature: &str, names: &Names) -> Problem {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let arguments: Vec<String> = split_types(arguments.trim_end_matches(')')).map(readable_type).collect();
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return Problem::new(format!("`{name}` does not work between {}", arguments.join(" and ")));
    }
    if let Some(function) = names.host_function(name) {
        let ways: Vec<String> = function.signatures.iter().map(|signature| format!("`{signature}`")).collect();
        return Problem::new(format!("`{name}` is called with the wrong number of arguments"))
            .hint(format!("write {}", ways.join(" or ")));
    }
    if names.is_function(name) {
        let given = if arguments.is_empty() { "nothing".to_string() } else { arguments.join(", ") };
        return Problem::new(format!("there is no `{name}` for {given}"));
    }
    unknown_function(name, names)
}

/// A name that is no function.
pub(super) fn unknown_function(name: &str, names: &Names) -> Problem {
    let problem = Problem::new(format!("unknown function `{name}`"));
    if super::names::KUBECTL_VERBS.contains(&name) {
        return problem.hint(format!("`{name}` is a verb of kubectl: kubectl(\"{name} …\")"));
    }
    match did_you_mean(name, names.functions()) {
        Some(hint) => problem.hint(hint),
        None => problem.hint("`wavetank reference` lists every function"),
    }
}

fn unknown_property(text: &str, names: &Names) -> Problem {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (Some(property), owner) = (quoted.next(), quoted.next()) else { return Problem::new(text.to_string()) };
    if owner == Some("()") {
        let problem =
            Problem::new(format!("`{property}` is asked of nothing: what stands before it does not exist (yet)"));
        return problem.hint("what does not exist is (), and can be tested for: x != ()");
    }
    let owner = owner.map_or("this value".to_string(), |name| format!("a value of type {}", readable_type(name)));
    let problem = Problem::new(format!("{owner} has no field `{property}`"));
    match names.is_function(property) {
        true => problem.hint(format!("`{property}` is a function: call it, `{property}(…)`")),
        false => problem,
    }
}

fn too_large(what: &str) -> Problem {
    let (noun, limit) = match what {
        text if text.contains("string") => ("a string", "string"),
        text if text.contains("map") => ("a map", "map"),
        _ => ("an array", "array"),
    };
    Problem::new(format!("{noun} grew beyond the bound for scripts"))
        .hint(format!("raise it with --limit {limit}=NUMBER"))
}

fn split_types(list: &str) -> impl Iterator<Item = &str> {
    list.split(", ").filter(|name| !name.is_empty())
}

/// Rhai's name of a type in plain words.
pub(super) fn readable_type(name: &str) -> String {
    let name = name.trim().trim_start_matches("&mut ");
    match name {
        "i64" => "integer",
        "f64" => "float",
        "()" => "nothing",
        "Fn" | "FnPtr" => "closure",
        name if name.contains("String") || name.contains("string") => "text",
        name if name.contains("Array") => "array",
        name if name.contains("Map") => "map",
        name => name.rsplit("::").next().unwrap_or(name),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(line: &str, column: usize) -> Report {
        let sources = Sources::from([("x.rhai".to_string(), format!("\n{line}\n"))]);
        let place = Place { file: "x.rhai".into(), line: 2, column };
        Report::at(Problem::new("it is wrong").hint("do it right"), place, &sources)
    }

    #[test]
    fn a_report_shows_the_line_the_word_and_the_way_out() {
        let mut report = report("let x = wrong_word(1);", 9);
        report.trail.push("in `f`, called at x.rhai:7:1".into());
        let expected = "\
error: it is wrong
  ╭─ x.rhai:2:9
2 │ let x = wrong_word(1);
  │         ^^^^^^^^^^
  ├─ in `f`, called at x.rhai:7:1
  ╰─ help: do it right
";
        assert_eq!(report.render(false), expected);
        assert!(report.render(true).contains("\x1b[1;31m"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_word() {
        let line = format!("{}here {}", "x".repeat(300) + " ", "y".repeat(300));
        let text = report(&line, 302).render(false);
        let lines: Vec<&str> = text.lines().collect();
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().skip(caret).take(4).collect::<String>(), "here");
        assert!(lines[2].chars().count() < 120);
    }

    #[test]
    fn a_missing_line_does_no_harm() {
        let place = Place { file: "gone.rhai".into(), line: 9, column: 3 };
        let report = Report::at(Problem::new("x"), place, &Sources::new());
        assert_eq!(report.render(false), "error: x\n  ╭─ gone.rhai:9:3\n  ╰─\n");
    }
}
