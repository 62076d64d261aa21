//! What is understood of shell scripts, as far as they say how a program ends, what it prints and which files it makes.
//!
//! Models: nothing of Kubernetes; it reads the usual `sh -c` of examples and follows it without executing anything.

use super::{Program, seconds};
use crate::kernel::Duration;

/// A program as far as it has been followed.
#[derive(Clone, Default)]
pub(super) struct Run {
    elapsed: Duration,
    /// The last command's exit code.
    code: i32,
    ended: Option<End>,
    /// `set -e`.
    strict: bool,
    depth: u8,
    /// What it does is noted, up to this moment.
    limit: Option<Duration>,
    marks: Vec<Mark>,
}

/// Something that a program does, and how long after its beginning.
#[derive(Clone, PartialEq, Debug)]
pub(in super::super) struct Mark {
    pub(in super::super) at: Duration,
    pub(in super::super) what: What,
}

/// What it does.
#[derive(Clone, PartialEq, Debug)]
pub(in super::super) enum What {
    /// It prints a line.
    Print(String),
    /// It prints the date.
    Date,
    /// A file is there, or no longer.
    File(String, bool),
}

#[derive(Clone, Copy)]
enum End {
    Exit,
    Never,
    Unknown,
}

/// Programs that take no time.
const INSTANT: [&str; 26] = [
    "echo", "printf", "date", ":", "true", "cd", "export", "set", "ls", "env", "hostname", "pwd", "touch", "mkdir",
    "rm", "cp", "mv", "cat", "trap", "wait", "uname", "whoami", "id", "chmod", "test", "[",
];
/// How deep scripts may be in each other.
const DEEPEST: u8 = 8;

/// How much of a program is noted.
const MOST_MARKS: usize = 10_000;

impl Run {
    /// A run that notes what happens within `limit`.
    pub(super) fn recording(limit: Duration) -> Self {
        Run { limit: Some(limit), ..Run::default() }
    }

    /// What was noted.
    pub(super) fn into_marks(self) -> Vec<Mark> {
        self.marks
    }

    fn mark(&mut self, what: What) {
        if self.limit.is_some_and(|limit| self.elapsed <= limit) && self.marks.len() < MOST_MARKS {
            self.marks.push(Mark { at: self.elapsed, what });
        }
    }

    pub(super) fn finish(self) -> Program {
        match self.ended {
            Some(End::Never) => Program::Forever,
            Some(End::Unknown) => Program::Unknown,
            _ => Program::Ends(self.elapsed, self.code & 0xff),
        }
    }

    fn ends(mut self, end: End) -> Self {
        self.ended = Some(end);
        self
    }

    fn returns(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// One program with its arguments.
    pub(super) fn simple(mut self, words: &[&str]) -> Self {
        let Some((first, rest)) = words.split_first() else { return self };
        let name = first.rsplit('/').next().unwrap_or(first);
        match name {
            "exec" | "time" | "nohup" => self.simple(rest),
            _ if name.contains('=') && !name.starts_with('[') => self.simple(rest),
            "sh" | "bash" | "ash" | "dash" => {
                let flags = rest.iter().take_while(|word| word.starts_with('-')).count();
                let (flags, script) = rest.split_at(flags);
                self.strict |= flags.iter().any(|flag| flag.contains('e'));
                match script.first() {
                    Some(script) if flags.iter().any(|flag| flag.ends_with('c')) && self.depth < DEEPEST => {
                        self.depth += 1;
                        let mut run = self.script(script);
                        if let Some(End::Exit) = run.ended {
                            run.ended = None;
                        }
                        run
                    }
                    _ => self.ends(End::Unknown),
                }
            }
            "sleep" => {
                for word in rest {
                    match (*word, seconds(word)) {
                        ("infinity" | "inf", _) => return self.ends(End::Never),
                        (_, Some(time)) => self.elapsed += time,
                        (_, None) => return self.returns(1),
                    }
                }
                self.returns(0)
            }
            "exit" => {
                let code = rest.first().and_then(|code| code.parse().ok()).unwrap_or(self.code);
                self.returns(code).ends(End::Exit)
            }
            "false" => self.returns(1),
            "echo" | "printf" => {
                let words: Vec<&str> =
                    rest.iter().skip_while(|word| matches!(**word, "-n" | "-e" | "-ne")).copied().collect();
                let text = words.join(" ");
                self.mark(What::Print(text.trim_end_matches("\\n").to_owned()));
                self.returns(0)
            }
            "date" => {
                self.mark(What::Date);
                self.returns(0)
            }
            "touch" | "rm" => {
                for path in rest.iter().filter(|word| !word.starts_with('-')) {
                    self.mark(What::File((*path).to_owned(), name == "touch"));
                }
                self.returns(0)
            }
            "tail" if rest.iter().any(|word| word.starts_with("-f") || word.starts_with("-F")) => self.ends(End::Never),
            "set" => {
                self.strict |= rest.iter().any(|word| word.starts_with('-') && word.contains('e'));
                self.returns(0)
            }
            _ if INSTANT.contains(&name) => self.returns(0),
            _ => self.ends(End::Unknown),
        }
    }

    /// A script.
    fn script(self, text: &str) -> Self {
        let tokens = tokens(text);
        self.list(&tokens)
    }

    fn list(mut self, tokens: &[Token]) -> Self {
        let mut at = 0;
        let mut runs = true;
        while at < tokens.len() {
            let end = at + command_length(&tokens[at..]);
            let command = &tokens[at..end.max(at)];
            let operator = tokens.get(end);
            let background = matches!(operator, Some(Token::Operator("&")));
            if runs && !command.is_empty() {
                let began = self.elapsed;
                self = self.command(command);
                if background {
                    self = Run { elapsed: began, ended: None, ..self }.returns(0);
                }
                if self.ended.is_some() {
                    return self;
                }
                let guarded = matches!(operator, Some(Token::Operator("&&" | "||")));
                if self.strict && self.code != 0 && !guarded {
                    return self.ends(End::Exit);
                }
            }
            runs = match operator {
                Some(Token::Operator("&&")) => self.code == 0,
                Some(Token::Operator("||")) => self.code != 0,
                _ => true,
            };
            at = end + 1;
        }
        self
    }

    /// A loop without an end, as far as it is followed.
    fn for_ever(mut self, tokens: &[Token]) -> Self {
        let from = tokens.iter().position(|token| token.word() == Some("do")).map_or(tokens.len(), |at| at + 1);
        let body = tokens.get(from..tokens.len().saturating_sub(1)).unwrap_or_default();
        let depth = self.depth;
        self.depth += 1;
        while self.depth < DEEPEST && self.limit.is_some_and(|limit| self.elapsed <= limit) {
            let (before, noted) = (self.elapsed, self.marks.len());
            self = self.list(body);
            // A round has no memory: after one in which nothing was noted nothing ever will be.
            let idle = self.elapsed == before || self.marks.len() == noted;
            if self.ended.is_some() || idle || self.marks.len() >= MOST_MARKS {
                break;
            }
        }
        Run { depth, ..self }
    }

    /// One command; the parts of a pipe one after the other.
    fn command(self, tokens: &[Token]) -> Self {
        let words: Vec<&str> = tokens.iter().filter_map(Token::word).collect();
        match words.first().copied() {
            Some("while") if self.limit.is_some() && matches!(words.get(1), Some(&("true" | ":" | "1"))) => {
                self.for_ever(tokens).ends(End::Never)
            }
            Some("while") if matches!(words.get(1), Some(&("true" | ":" | "[" | "1"))) => self.ends(End::Never),
            Some("while" | "until" | "if" | "case") => self.ends(End::Unknown),
            Some("for") if self.depth < DEEPEST => {
                let place = |word: &str| tokens.iter().position(|token| token.word() == Some(word));
                let (Some(of), Some(from), Some(to)) = (place("in"), place("do"), tokens.len().checked_sub(1)) else {
                    return self.ends(End::Unknown);
                };
                let values = tokens.get(of + 1..from).unwrap_or_default().iter().filter_map(Token::word);
                let body = tokens.get(from + 1..to).unwrap_or_default();
                let depth = self.depth;
                let mut run = Run { depth: depth + 1, ..self };
                for value in values.take(1_000) {
                    run = match (run.limit, words.get(1)) {
                        (Some(_), Some(name)) => run.list(&with_value(body, name, value)),
                        _ => run.list(body),
                    };
                    if run.ended.is_some() {
                        break;
                    }
                }
                Run { depth, ..run }
            }
            _ => {
                let parts = tokens.split(|token| matches!(token, Token::Operator("|")));
                let mut run = self;
                for part in parts {
                    let words: Vec<&str> = part.iter().filter_map(Token::word).collect();
                    let noted = run.marks.len();
                    run = run.simple(&words);
                    if let Some(Token::To(path)) = part.iter().rev().find(|token| matches!(token, Token::To(_))) {
                        run.marks.truncate(noted);
                        run.mark(What::File(path.clone(), true));
                    }
                    if run.ended.is_some() {
                        break;
                    }
                }
                run
            }
        }
    }
}

/// The tokens of a loop's body with a value in its variable's place.
fn with_value(body: &[Token], name: &str, value: &str) -> Vec<Token> {
    let (plain, braced) = (format!("${name}"), format!("${{{name}}}"));
    let replace = |token: &Token| match token {
        Token::Word(word) => Token::Word(word.replace(&braced, value).replace(&plain, value)),
        other => other.clone(),
    };
    body.iter().map(replace).collect()
}

/// How many tokens the next command has: up to an operator that ends it, whole loops included.
fn command_length(tokens: &[Token]) -> usize {
    let mut open = 0;
    let mut first = true;
    for (n, token) in tokens.iter().enumerate() {
        match token {
            Token::Word(word) if first && matches!(word.as_str(), "for" | "while" | "until" | "if" | "case") => {
                open += 1
            }
            Token::Word(word) if first && matches!(word.as_str(), "done" | "fi" | "esac") => open -= 1,
            Token::Operator("|") | Token::Word(_) | Token::To(_) => {}
            Token::Operator(_) if open > 0 => {}
            Token::Operator(_) => return n,
        }
        // After `do` and `then` begins another command.
        first = match token {
            Token::Operator(_) => true,
            Token::Word(word) => first && matches!(word.as_str(), "do" | "then" | "else"),
            Token::To(_) => first,
        };
    }
    tokens.len()
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Word(String),
    Operator(&'static str),
    /// A file that the command's output goes to.
    To(String),
}

impl Token {
    fn word(&self) -> Option<&str> {
        if let Token::Word(word) = self { Some(word) } else { None }
    }
}

/// Words and operators; quotes keep words together, redirections are dropped.
fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut word, mut quoted) = (Vec::new(), String::new(), None);
    let mut began = false;
    let mut chars = text.chars().peekable();
    let end = |word: &mut String, began: &mut bool, tokens: &mut Vec<Token>| {
        if std::mem::take(began) || !word.is_empty() {
            tokens.push(Token::Word(std::mem::take(word)));
        }
    };
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (Some(quote), _) if c == quote => quoted = None,
            (Some(_), _) => word.push(c),
            (None, '\'' | '"') => (quoted, began) = (Some(c), true),
            (None, '\\') => word.extend(chars.next()),
            (None, ' ' | '\t') => end(&mut word, &mut began, &mut tokens),
            (None, ';' | '\n' | '&' | '|') => {
                end(&mut word, &mut began, &mut tokens);
                let twice = c != ';' && c != '\n' && chars.next_if_eq(&c).is_some();
                tokens.push(Token::Operator(match (c, twice) {
                    ('&', true) => "&&",
                    ('&', false) => "&",
                    ('|', true) => "||",
                    ('|', false) => "|",
                    _ => ";",
                }));
            }
            (None, '>' | '<') => {
                let errors = word == "2";
                if word.chars().all(|c| c.is_ascii_digit()) {
                    word.clear();
                }
                end(&mut word, &mut began, &mut tokens);
                let mut copied = false;
                while let Some(c) = chars.next_if(|c| matches!(c, '>' | '<' | '&' | ' ')) {
                    copied |= c == '&';
                }
                let mut path = String::new();
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, ';' | '&' | '|')) {
                    path.push(c);
                }
                if c == '>' && !errors && !copied {
                    tokens.push(Token::To(path));
                }
            }
            (None, _) => word.push(c),
        }
    }
    end(&mut word, &mut began, &mut tokens);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(seconds: u64, code: i32) -> Program {
        Program::Ends(Duration::from_secs(seconds), code)
    }

    fn shell(script: &str) -> Program {
        Run::default().simple(&["/bin/sh", "-c", script]).finish()
    }

    #[test]
    fn scripts_end_as_they_would() {
        assert_eq!(shell("sleep 3"), ends(3, 0));
        assert_eq!(shell("sleep 1; exit 1"), ends(1, 1));
        assert_eq!(shell("echo hi > /tmp/x && sleep 2 && false || exit 7"), ends(2, 7));
        assert_eq!(shell("true || sleep 9; date | cat"), ends(0, 0));
        assert_eq!(shell("for i in 1 2 3; do echo $i; sleep 2; done; exit 4"), ends(6, 4));
        assert_eq!(shell("while true; do date; sleep 1; done"), Program::Forever);
        assert_eq!(shell("set -e\nfalse\nsleep 5"), ends(0, 1));
        assert_eq!(shell("sleep 100 & exit 2"), ends(0, 2));
        assert_eq!(shell("bash -c 'exit 3'; sleep 1"), ends(1, 0));
        assert_eq!(shell("nginx -g 'daemon off;'"), Program::Unknown);
    }

    #[test]
    fn programs_of_their_own() {
        let simple = |words: &[&str]| Run::default().simple(words).finish();
        assert_eq!((simple(&["sleep", "1m"]), simple(&["sleep", "infinity"])), (ends(60, 0), Program::Forever));
        assert_eq!((simple(&["/bin/false"]), simple(&["perl", "-e", "1"])), (ends(0, 1), Program::Unknown));
    }

    #[test]
    fn what_a_script_prints_and_touches() {
        let marks =
            |script: &str, limit| Run::recording(Duration::from_secs(limit)).simple(&["sh", "-c", script]).into_marks();
        let mark = |at, what| Mark { at: Duration::from_secs(at), what };
        let print = |at, text: &str| mark(at, What::Print(text.to_owned()));
        let found = marks("for i in a b; do echo \"step $i\"; sleep 2; done; echo x > /tmp/x; rm -f /tmp/x", 60);
        let file = |at, exists| mark(at, What::File("/tmp/x".to_owned(), exists));
        assert_eq!(found, [print(0, "step a"), print(2, "step b"), file(4, true), file(4, false)]);
        let found = marks("while true; do date; echo tick 2>&1; sleep 5; done", 9);
        assert_eq!(found, [mark(0, What::Date), print(0, "tick"), mark(5, What::Date), print(5, "tick")]);
        assert_eq!(marks("while true; do echo y; done", 9).len(), 1, "no time passes");
    }
}
