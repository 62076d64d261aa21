//! What a container does: runs for ever, or ends after a while with an exit code.
//!
//! Nothing is executed. What is understood: `sleep`, `true`, `false`, `exit`, `echo` and their like, alone or in a script of `sh -c` with
//! `;`, `&&`, `||`, `|`, `&`, new lines, `for … in …; do …; done` and `while true`. An annotation of the pod says it for anything else:
//! `wavetank.dev/run: "5s exit 1"`, or for one container `wavetank.dev/run.NAME`; `wavetank.dev/run: forever`. How long it takes to end after
//! SIGTERM says `wavetank.dev/stop: 20s` or `never`.

use k8s_openapi::api::core::v1::Container;

use crate::kernel::Duration;
use crate::objects::ObjectMeta;

/// The annotation that says what a pod's containers do.
pub const ANNOTATION: &str = "wavetank.dev/run";

/// The annotation that says how long a pod's containers take to end after SIGTERM: `1h`, or `never`.
pub const STOP: &str = "wavetank.dev/stop";

/// How long containers take to obey SIGTERM, if the pod says so.
pub(super) fn stops_after(pod: &ObjectMeta) -> Option<Duration> {
    match pod.annotation(STOP)? {
        "never" => Some(Duration::from_nanos(u64::MAX / 4)),
        text => seconds(text),
    }
}

/// What a pod's annotations say of a container: under `key.NAME`, or under `key` of all.
pub(super) fn said<'a>(pod: &'a ObjectMeta, key: &str, container: &str) -> Option<&'a str> {
    if pod.annotations.is_empty() {
        return None;
    }
    pod.annotation(&format!("{key}.{container}")).or_else(|| pod.annotation(key))
}

/// How a container's program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// It does not.
    Forever,
    /// After so long, with an exit code.
    Ends(Duration, i32),
    /// Nobody knows.
    Unknown,
}

impl Program {
    /// The program of a container.
    pub fn of(container: &Container, pod: &ObjectMeta) -> Program {
        if let Some(program) = said(pod, ANNOTATION, &container.name).and_then(annotated) {
            return program;
        }
        let words: Vec<&str> =
            container.command.iter().flatten().chain(container.args.iter().flatten()).map(String::as_str).collect();
        if container.command.as_ref().is_none_or(Vec::is_empty) {
            return Program::Unknown;
        }
        Run::default().simple(&words).finish()
    }
}

/// `5s exit 1`, `5s`, `exit 1`, `forever`.
fn annotated(text: &str) -> Option<Program> {
    let mut words = text.split_whitespace().peekable();
    if words.peek() == Some(&"forever") {
        return Some(Program::Forever);
    }
    let duration = words.peek().and_then(|word| seconds(word));
    if duration.is_some() {
        words.next();
    }
    let code = match (words.next(), words.next()) {
        (None, _) if duration.is_some() => 0,
        (Some("exit"), Some(code)) => code.parse().ok()?,
        _ => return None,
    };
    Some(Program::Ends(duration.unwrap_or(Duration::ZERO), code))
}

/// `3`, `0.5`, `2m`, `1h`.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    let nanos = number * unit * 1e9;
    (nanos < 1e18).then(|| Duration::from_nanos(nanos as u64))
}

/// A program as far as it has been followed.
#[derive(Clone, Copy, Default)]
struct Run {
    elapsed: Duration,
    /// The last command's exit code.
    code: i32,
    ended: Option<End>,
    /// `set -e`.
    strict: bool,
    depth: u8,
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

impl Run {
    fn finish(self) -> Program {
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
    fn simple(mut self, words: &[&str]) -> Self {
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
                let before = self;
                self = self.command(command);
                if background {
                    self = Run { elapsed: before.elapsed, ended: None, ..self }.returns(0);
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

    /// One command; the parts of a pipe one after the other.
    fn command(self, tokens: &[Token]) -> Self {
        let words: Vec<&str> = tokens.iter().filter_map(Token::word).collect();
        match words.first().copied() {
            Some("while") if matches!(words.get(1), Some(&("true" | ":" | "[" | "1"))) => self.ends(End::Never),
            Some("while" | "until" | "if" | "case") => self.ends(End::Unknown),
            Some("for") if self.depth < DEEPEST => {
                let place = |word: &str| tokens.iter().position(|token| token.word() == Some(word));
                let (Some(of), Some(from), Some(to)) = (place("in"), place("do"), tokens.len().checked_sub(1)) else {
                    return self.ends(End::Unknown);
                };
                let times =
                    tokens.get(of + 1..from).unwrap_or_default().iter().filter(|token| token.word().is_some()).count();
                let mut run = Run { depth: self.depth + 1, ..self };
                for _ in 0..times.min(1_000) {
                    run = run.list(tokens.get(from + 1..to).unwrap_or_default());
                    if run.ended.is_some() {
                        break;
                    }
                }
                Run { depth: self.depth, ..run }
            }
            _ => {
                let parts = tokens.split(|token| matches!(token, Token::Operator("|")));
                let mut run = self;
                for part in parts {
                    let words: Vec<&str> = part.iter().filter_map(Token::word).collect();
                    run = run.simple(&words);
                    if run.ended.is_some() {
                        break;
                    }
                }
                run
            }
        }
    }
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
            Token::Operator("|") | Token::Word(_) => {}
            Token::Operator(_) if open > 0 => {}
            Token::Operator(_) => return n,
        }
        // After `do` and `then` begins another command.
        first = match token {
            Token::Operator(_) => true,
            Token::Word(word) => first && matches!(word.as_str(), "do" | "then" | "else"),
        };
    }
    tokens.len()
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Word(String),
    Operator(&'static str),
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
                if word.chars().all(|c| c.is_ascii_digit()) {
                    word.clear();
                }
                end(&mut word, &mut began, &mut tokens);
                while chars.next_if(|c| matches!(c, '>' | '<' | '&' | ' ')).is_some() {}
                while chars.next_if(|c| !c.is_whitespace() && !matches!(c, ';' | '&' | '|')).is_some() {}
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
    fn programs_and_annotations() {
        let simple = |words: &[&str]| Run::default().simple(words).finish();
        assert_eq!((simple(&["sleep", "1m"]), simple(&["sleep", "infinity"])), (ends(60, 0), Program::Forever));
        assert_eq!((simple(&["/bin/false"]), simple(&["perl", "-e", "1"])), (ends(0, 1), Program::Unknown));
        assert_eq!(annotated("5s exit 1"), Some(ends(5, 1)));
        assert_eq!((annotated("forever"), annotated("soon")), (Some(Program::Forever), None));
    }
}
