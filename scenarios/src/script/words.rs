//! A command line as the lab writes it, split into words the way a shell would; a here-document becomes standard input.
//!
//! Left out on purpose: everything that would start another program or depend on the machine (pipes, redirection,
//! substitution, variables, globbing). Those are refused with a hint, not passed on as words.

/// A program that a command line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the programs' own names")]
pub enum Program {
    Kubectl,
    Etcdctl,
    Etcdutl,
}

impl Program {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Program::Kubectl => "kubectl",
            Program::Etcdctl => "etcdctl",
            Program::Etcdutl => "etcdutl",
        }
    }

    fn named(word: &str) -> Option<Program> {
        match word {
            "kubectl" | "k" => Some(Program::Kubectl),
            "etcdctl" => Some(Program::Etcdctl),
            "etcdutl" => Some(Program::Etcdutl),
            _ => None,
        }
    }
}

/// What a command line says: its words without the leading program, and the here-document, if it has one.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The program, if the line begins with one.
    pub program: Option<Program>,
    /// The words after it.
    pub words: Vec<String>,
    /// The first line as written, without the leading program and without the here-document's mark.
    pub shown: String,
    /// The here-document's text.
    pub stdin: Option<String>,
}

/// Reads a command line; the error is a sentence for the user. A here-document loses the indentation its lines share and, unless
/// `keep_blank` (`etcdctl txn` reads them), blank lines around it.
pub fn command_line(text: &str, keep_blank: bool) -> Result<CommandLine, String> {
    let (line, stdin) = here_document(text.trim())?;
    let stdin = stdin.map(|body| if keep_blank { undent(&body) } else { dedent(&body) });
    let mut words = split(&line)?;
    let mut shown = line.trim().to_string();
    let program = words.first().and_then(|word| Program::named(word));
    if program.is_some() {
        let name = words.remove(0);
        shown = shown.strip_prefix(&name).unwrap_or(&shown).trim_start().to_string();
    }
    match words.is_empty() && matches!(program, None | Some(Program::Kubectl)) {
        true => Err("the command is empty: write what follows `kubectl`, such as \"get pods\"".into()),
        false => Ok(CommandLine { program, words, shown, stdin }),
    }
}

/// Splits at each `|` outside of quotes: the command, and the tools its output goes through, as written.
pub fn stages(text: &str) -> Vec<String> {
    let mut stages = vec![String::new()];
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if quote != Some('\'') => {
                push(&mut stages, c);
                characters.next().into_iter().for_each(|c| push(&mut stages, c));
                continue;
            }
            '\'' | '"' if quote.is_none() => quote = Some(c),
            c if Some(c) == quote => quote = None,
            '|' if quote.is_none() => {
                stages.push(String::new());
                continue;
            }
            _ => {}
        }
        push(&mut stages, c);
    }
    stages
}

fn push(stages: &mut [String], c: char) {
    if let Some(stage) = stages.last_mut() {
        stage.push(c);
    }
}

/// Splits into words: blanks separate, `'…'` and `"…"` group, a backslash takes the next character as it is.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => quoted(c, &mut characters, word.get_or_insert_default())?,
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err("the command ends in a lone backslash".into()),
            },
            '|' | '&' if characters.peek() == Some(&c) => return Err(not_a_shell(if c == '|' { "||" } else { "&&" })),
            '|' | ';' | '>' | '<' | '&' | '`' => return Err(not_a_shell(&c.to_string())),
            '$' if characters.peek() == Some(&'(') => return Err(not_a_shell("$(")),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(
    quote: char,
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
) -> Result<(), String> {
    loop {
        match (quote, characters.next()) {
            (_, None) => return Err(format!("a quote {quote} is not closed")),
            (_, Some(c)) if c == quote => return Ok(()),
            ('"', Some('\\')) => match characters.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some('\n') => {}
                Some(c) => word.extend(['\\', c]),
                None => return Err("a quote \" is not closed".into()),
            },
            (_, Some(c)) => word.push(c),
        }
    }
}

fn not_a_shell(sign: &str) -> String {
    let instead = match sign {
        "&&" | "||" | ";" => "give each command a call of its own",
        "&" => "to let a command run on in the background, use start(\"…\")",
        "<" => "give the text as a second argument",
        "$(" | "`" => "put a value into the text with Rhai's own `…${value}…` in backticks",
        _ => "work on the answer in the script: kubectl(\"…\").stdout",
    };
    format!(
        "this is kubectl, not a shell, so `{sign}` does not work here: {instead} (or quote it, if it is meant \
            literally)"
    )
}

/// Takes a trailing here-document apart: the command's line and the text.
fn here_document(text: &str) -> Result<(String, Option<String>), String> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let Some((line, mark)) = first.rsplit_once("<<") else { return Ok((text.to_string(), None)) };
    let indented = mark.starts_with('-');
    let mark = mark.trim_start_matches('-').trim().trim_matches(['\'', '"']);
    if mark.is_empty() || mark.contains(char::is_whitespace) {
        return Ok((text.to_string(), None));
    }
    let mut body = String::new();
    for text_line in rest.lines() {
        let text_line = if indented { text_line.trim_start_matches('\t') } else { text_line };
        if text_line.trim() == mark {
            return Ok((line.to_string(), Some(body)));
        }
        body.push_str(text_line);
        body.push('\n');
    }
    Err(format!("the here-document is not closed: a line with only {mark} is missing"))
}

/// Takes away the indentation all lines share; ends the text with a line break.
pub fn undent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let indent = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| indent_of(line)).min().unwrap_or(0);
    lines.iter().map(|line| line.get(indent..).unwrap_or("").trim_end_matches('\r').to_owned() + "\n").collect()
}

/// Takes away the indentation all lines share, and blank lines around the text; ends it with a line break.
pub fn dedent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(0);
    let last = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    let body = lines.get(first..last).unwrap_or_default();
    let indent = body.iter().filter(|line| !line.trim().is_empty()).map(|line| indent_of(line)).min().unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    for line in body {
        out.push_str(line.get(indent..).unwrap_or("").trim_end_matches('\r'));
        out.push('\n');
    }
    out
}

/// Text on one line, for a heading.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        command_line(text, false).unwrap().words
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(words("kubectl get pods  -l 'app in (a, b)'"), ["get", "pods", "-l", "app in (a, b)"]);
        assert_eq!(
            words(r#"patch deploy x -p "{\"spec\":{\"replicas\":3}}""#),
            ["patch", "deploy", "x", "-p", r#"{"spec":{"replicas":3}}"#]
        );
        assert_eq!(words("run x --env=A='b c'd \\\n --image=''"), ["run", "x", "--env=A=b cd", "--image="]);
        assert_eq!(words(r"get pod a\ b"), ["get", "pod", "a b"]);
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        for (text, part) in [
            ("get pods | wc -l", "work on the answer"),
            ("get pods &", "start("),
            ("get pods && get nodes", "a call of its own"),
            ("get pods; get nodes", "a call of its own"),
            ("delete pod $(x)", "backticks"),
            ("apply -f - < f", "second argument"),
        ] {
            let error = command_line(text, false).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert_eq!(words("get pods -o jsonpath='{.items[?(@.x>1)]}'").len(), 4);
        assert_eq!(command_line("get 'pods", false).unwrap_err(), "a quote ' is not closed");
        assert!(command_line("  kubectl ", false).is_err());
    }

    #[test]
    fn a_here_document_is_standard_input() {
        let line =
            command_line("kubectl apply -f - <<'EOF'\n    kind: Pod\n    metadata:\n      name: x\n    EOF", false)
                .unwrap();
        assert_eq!(line.stdin.as_deref(), Some("kind: Pod\nmetadata:\n  name: x\n"));
        assert_eq!((line.shown.as_str(), line.words.len()), ("apply -f -", 3));
        assert!(command_line("apply -f - <<EOF\nkind: Pod", false).unwrap_err().contains("not closed"));
    }

    #[test]
    fn blank_lines_stay_where_they_count() {
        assert_eq!(undent("\n\n  put a 1\n\n\n"), "\n\nput a 1\n\n\n");
        let line = command_line("txn <<EOF\n\nput a 1\n\nEOF", true).unwrap();
        assert_eq!(line.stdin.as_deref(), Some("\nput a 1\n\n"));
    }

    #[test]
    fn shared_indentation_goes() {
        assert_eq!(dedent("\n    a:\n      - b\n\n    c: d\n  "), "a:\n  - b\n\nc: d\n");
        assert_eq!(dedent("x"), "x\n");
        assert_eq!(dedent(""), "");
    }
}
