//! As much of bash as recorded steps use: words with quotes and `$(…)`, pipes, `;`, `&&`, `||`, and a few filters.
//!
//! A line is evaluated by replay: from its start, with the results of the commands so far, up to the first that has none. So a
//! line under way is plain data.

use super::play::Finished;

/// A parsed line: pipelines, each with what must hold of the one before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line(Vec<(Condition, Vec<Command>)>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    Always,
    IfGood,
    IfBad,
}

#[derive(Clone, Debug, PartialEq, Default)]
struct Command {
    words: Vec<Vec<Part>>,
    silence_stdout: bool,
    silence_stderr: bool,
    merge_stderr: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// `$(…)`; in quotes its output is not split into words.
    Output(Line, bool),
}

/// Why evaluation stops before the end.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// This kubectl command has no result yet.
    Kubectl {
        /// Arguments.
        arguments: Vec<String>,
        /// Standard input.
        stdin: Option<String>,
    },
    /// This sleep has no result yet. [s]
    Sleep(f64),
    /// This has to be done to a process of the control plane or to a kubelet.
    Control {
        /// What.
        act: Act,
        /// Which: `etcd-0`, `kube-scheduler`, `kubelet/worker-1`, …
        process: String,
    },
    /// Nobody knows this.
    Unsupported(String),
}

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// A node of that name joins.
    Join,
    /// Started, if it does not run: then the result is 0.
    Start,
    /// Started again from now on when it ends.
    Supervise,
    /// No longer; what became of it since is printed.
    Leave,
}

/// Parses a line; the error says what is not supported.
pub fn parse(text: &str) -> Result<Line, String> {
    let characters: Vec<char> = text.trim().chars().collect();
    let mut parser = Parser { characters, at: 0 };
    let line = parser.line(false)?;
    match parser.peek() {
        None => Ok(line),
        Some(c) => Err(format!("`{c}` in a line")),
    }
}

/// Evaluates `line` with the results so far.
pub fn evaluate(line: &Line, stdin: Option<&str>, results: &[Finished]) -> Result<Finished, Stop> {
    Evaluation { results, taken: 0 }.line(line, stdin)
}

struct Parser {
    characters: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn ahead(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.characters.get(self.at + i) == Some(&c))
    }

    fn take(&mut self, text: &str) -> bool {
        let ahead = self.ahead(text);
        if ahead {
            self.at += text.chars().count();
        }
        ahead
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|c| c == ' ' || c == '\t') {
            self.at += 1;
        }
    }

    fn line(&mut self, nested: bool) -> Result<Line, String> {
        let (mut pipelines, mut condition) = (Vec::new(), Condition::Always);
        loop {
            pipelines.push((condition, self.pipeline()?));
            self.spaces();
            condition = match self.peek() {
                None => break,
                Some(')') if nested => break,
                _ if self.take("&&") => Condition::IfGood,
                _ if self.take("||") => Condition::IfBad,
                _ if self.take(";") || self.take("\n") => Condition::Always,
                Some(c) => return Err(format!("`{c}` after a command")),
            };
            while self.peek().is_some_and(char::is_whitespace) {
                self.at += 1;
            }
            if self.peek().is_none() {
                break;
            }
        }
        Ok(Line(pipelines))
    }

    fn pipeline(&mut self) -> Result<Vec<Command>, String> {
        let mut commands = vec![self.command()?];
        while !self.ahead("||") && self.take("|") {
            commands.push(self.command()?);
        }
        Ok(commands)
    }

    fn command(&mut self) -> Result<Command, String> {
        const KEYWORDS: [&str; 10] = ["for", "while", "until", "if", "case", "function", "do", "done", "{", "!"];
        let mut command = Command::default();
        loop {
            self.spaces();
            if self.take("2>&1") {
                command.merge_stderr = true;
            } else if self.take("2>/dev/null") || self.take("2> /dev/null") {
                command.silence_stderr = true;
            } else if self.take(">/dev/null") || self.take("> /dev/null") {
                command.silence_stdout = true;
            } else {
                match self.peek() {
                    None | Some('|' | ';' | '&' | ')' | '\n') => break,
                    Some(c @ ('<' | '>' | '(' | '`')) => return Err(format!("`{c}`")),
                    Some(_) => command.words.push(self.word()?),
                }
            }
        }
        match command.words.first().map(Vec::as_slice) {
            None => Err("an empty command".to_owned()),
            Some([Part::Text(word)]) if KEYWORDS.contains(&word.as_str()) => Err(format!("`{word}`")),
            _ => Ok(command),
        }
    }

    fn word(&mut self) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '|' | ';' | '&' | ')' | '<' | '>' => break,
                '\'' => {
                    self.at += 1;
                    let text = self.until('\'')?;
                    add(&mut parts, &text);
                }
                '"' => self.quoted(&mut parts)?,
                '$' => self.substitution(&mut parts, false)?,
                '`' => return Err("a command in backquotes".to_owned()),
                '\\' => {
                    self.at += 1;
                    let escaped = self.peek().ok_or("a backslash at the end")?;
                    self.at += 1;
                    add(&mut parts, &escaped.to_string());
                }
                _ => {
                    self.at += 1;
                    add(&mut parts, &c.to_string());
                }
            }
        }
        Ok(parts)
    }

    fn quoted(&mut self, parts: &mut Vec<Part>) -> Result<(), String> {
        self.at += 1;
        add(parts, "");
        loop {
            match self.peek().ok_or("a quote that does not end")? {
                '"' => break,
                '$' => self.substitution(parts, true)?,
                '\\' if self.characters.get(self.at + 1).is_some_and(|c| "\"\\$`".contains(*c)) => {
                    add(parts, &self.characters[self.at + 1].to_string());
                    self.at += 2;
                }
                c => {
                    add(parts, &c.to_string());
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    fn substitution(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Result<(), String> {
        if self.ahead("$((") || !self.take("$(") {
            return Err("a variable".to_owned());
        }
        let line = self.line(true)?;
        if !self.take(")") {
            return Err("a `$(` that does not end".to_owned());
        }
        parts.push(Part::Output(line, quoted));
        Ok(())
    }

    fn until(&mut self, end: char) -> Result<String, String> {
        let start = self.at;
        while self.peek().is_some_and(|c| c != end) {
            self.at += 1;
        }
        let text = self.characters[start..self.at].iter().collect();
        if self.take(&end.to_string()) { Ok(text) } else { Err("a quote that does not end".to_owned()) }
    }
}

fn add(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// Whom `cpctl supervise` starts again.
const SUPERVISED: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

struct Evaluation<'a> {
    results: &'a [Finished],
    taken: usize,
}

impl Evaluation<'_> {
    fn line(&mut self, line: &Line, stdin: Option<&str>) -> Result<Finished, Stop> {
        let mut all = Finished::default();
        for (condition, pipeline) in &line.0 {
            let runs = match condition {
                Condition::Always => true,
                Condition::IfGood => all.code == 0,
                Condition::IfBad => all.code != 0,
            };
            if runs {
                let one = self.pipeline(pipeline, stdin)?;
                all.code = one.code;
                all.stdout.push_str(&one.stdout);
                all.stderr.push_str(&one.stderr);
            }
        }
        Ok(all)
    }

    fn pipeline(&mut self, commands: &[Command], stdin: Option<&str>) -> Result<Finished, Stop> {
        let (mut input, mut complaints, mut code) = (stdin.map(str::to_owned), String::new(), 0);
        for command in commands {
            let mut one = self.command(command, input.take())?;
            if command.merge_stderr {
                one.stdout.push_str(&std::mem::take(&mut one.stderr));
            }
            if !command.silence_stderr {
                complaints.push_str(&one.stderr);
            }
            input = Some(if command.silence_stdout { String::new() } else { one.stdout });
            code = one.code;
        }
        Ok(Finished { code, stdout: input.unwrap_or_default(), stderr: complaints })
    }

    fn command(&mut self, command: &Command, stdin: Option<String>) -> Result<Finished, Stop> {
        let mut words = Vec::new();
        let mut complaints = String::new();
        for word in &command.words {
            self.expand(word, &mut words, &mut complaints)?;
        }
        let Some((program, arguments)) = words.split_first() else { return Ok(Finished::default()) };
        let mut finished = match program.as_str() {
            "kubectl" => self.awaited(Stop::Kubectl { arguments: arguments.to_vec(), stdin })?,
            "sleep" => {
                let seconds = arguments.first().and_then(|text| text.trim_end_matches('s').parse().ok());
                self.awaited(Stop::Sleep(seconds.unwrap_or_default()))?
            }
            "cpctl" => self.cpctl(arguments)?.ok_or_else(|| Stop::Unsupported(words.join(" ")))?,
            "nodectl" => self.nodectl(arguments)?.ok_or_else(|| Stop::Unsupported(words.join(" ")))?,
            "addnode" => {
                let [node] = arguments else { return Err(Stop::Unsupported(words.join(" "))) };
                self.control(Act::Join, node)?;
                Finished { stdout: format!("node {node} added\n"), ..Finished::default() }
            }
            _ => filter(program, arguments, &stdin.unwrap_or_default())
                .ok_or_else(|| Stop::Unsupported(words.join(" ")))?,
        };
        finished.stderr.insert_str(0, &complaints);
        Ok(finished)
    }

    /// The recorder's own command for the processes of the control plane; `None` if it is used in another way.
    fn cpctl(&mut self, arguments: &[String]) -> Result<Option<Finished>, Stop> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut all = Finished::default();
        match words[..] {
            ["kill", process] => {
                self.control(Act::Kill, process)?;
                all.stdout = format!("{process} killed (SIGKILL)\n");
            }
            ["term", process] => {
                self.control(Act::Terminate, process)?;
                all.stdout = format!("{process} ended (SIGTERM)\n");
            }
            ["startone", process] => all.stdout = self.started(process)?.0,
            ["start"] => {
                let (etcd, began) = self.started("etcd")?;
                let (server, also) = self.started("kube-apiserver")?;
                if began || also {
                    // It waits until the API server is ready before it starts the server's clients.
                    let arguments = ["get", "--raw=/readyz"].map(str::to_owned).to_vec();
                    while self.awaited(Stop::Kubectl { arguments: arguments.clone(), stdin: None })?.code != 0 {
                        self.awaited(Stop::Sleep(0.2))?;
                    }
                }
                let (manager, _) = self.started("kube-controller-manager")?;
                let (scheduler, _) = self.started("kube-scheduler")?;
                all.stdout = format!("{etcd}{server}{manager}{scheduler}fakenodes already running\n");
            }
            ["supervise", seconds] => {
                let Ok(seconds) = seconds.parse() else { return Ok(None) };
                for process in SUPERVISED {
                    self.control(Act::Supervise, process)?;
                }
                self.awaited(Stop::Sleep(seconds))?;
                for process in SUPERVISED {
                    all.stdout += &self.control(Act::Leave, process)?.stdout;
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(all))
    }

    /// The recorder's own command for kubelets.
    fn nodectl(&mut self, arguments: &[String]) -> Result<Option<Finished>, Stop> {
        let (act, node) = match arguments {
            [act, node] if act == "kill" => (Act::Kill, node),
            [act, node] if act == "revive" => (Act::Start, node),
            _ => return Ok(None),
        };
        self.control(act, &format!("kubelet/{node}")).map(Some)
    }

    fn control(&mut self, act: Act, process: &str) -> Result<Finished, Stop> {
        let process = if process == "etcd" { "etcd-0" } else { process };
        self.awaited(Stop::Control { act, process: process.to_owned() })
    }

    /// Starts a process; what is said of it, and whether it did not run.
    fn started(&mut self, process: &str) -> Result<(String, bool), Stop> {
        let began = self.control(Act::Start, process)?.code == 0;
        Ok((if began { format!("started {process}\n") } else { format!("{process} already running\n") }, began))
    }

    fn awaited(&mut self, stop: Stop) -> Result<Finished, Stop> {
        let result = self.results.get(self.taken).cloned();
        self.taken += 1;
        result.ok_or(stop)
    }

    fn expand(&mut self, word: &[Part], words: &mut Vec<String>, complaints: &mut String) -> Result<(), Stop> {
        // `None`: no word has begun; an unquoted `$()` without output makes none.
        let mut current: Option<String> = None;
        for part in word {
            match part {
                Part::Text(text) => current.get_or_insert_default().push_str(text),
                Part::Output(line, quoted) => {
                    let finished = self.line(line, None)?;
                    complaints.push_str(&finished.stderr);
                    let output = finished.stdout.trim_end_matches('\n');
                    if *quoted {
                        current.get_or_insert_default().push_str(output);
                        continue;
                    }
                    for (n, piece) in output.split_whitespace().enumerate() {
                        if n > 0 {
                            words.extend(current.take());
                        }
                        current.get_or_insert_default().push_str(piece);
                    }
                }
            }
        }
        words.extend(current);
        Ok(())
    }
}

/// The programs that only turn text into text; `None` for one that is not known.
fn filter(program: &str, arguments: &[String], stdin: &str) -> Option<Finished> {
    let lines: Vec<&str> = stdin.lines().collect();
    let flags: Vec<&str> = arguments.iter().map(String::as_str).take_while(|word| word.starts_with('-')).collect();
    let has = |flag: char| flags.iter().any(|word| word[1..].contains(flag));
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let count = || {
        let digits =
            arguments.iter().map(|word| word.trim_start_matches(['-', 'n', '='])).find(|word| !word.is_empty());
        digits.map_or(Some(10), |word| word.parse::<usize>().ok())
    };
    let stdout = match program {
        "true" | ":" => String::new(),
        "false" => return Some(Finished { code: 1, ..Finished::default() }),
        "echo" => format!("{}\n", arguments.join(" ")),
        "cat" if arguments.is_empty() => stdin.to_owned(),
        "head" => joined(&lines[..count()?.min(lines.len())]),
        "tail" => joined(&lines[lines.len().saturating_sub(count()?)..]),
        "sort" => {
            let mut sorted = lines;
            sorted.sort_unstable();
            if has('r') {
                sorted.reverse();
            }
            if has('u') {
                sorted.dedup();
            }
            joined(&sorted)
        }
        "wc" if has('l') => format!("{}\n", lines.len()),
        "grep" => {
            let pattern = arguments.iter().find(|word| !word.starts_with('-'))?;
            if pattern.contains(['*', '[', '\\', '^', '$', '+', '?']) {
                return None;
            }
            let found: Vec<&str> =
                lines.into_iter().filter(|line| line.contains(pattern.as_str()) != has('v')).collect();
            let stdout = if has('c') { format!("{}\n", found.len()) } else { joined(&found) };
            return Some(Finished { code: i32::from(found.is_empty()), stdout, stderr: String::new() });
        }
        _ => return None,
    };
    Some(Finished { code: 0, stdout, stderr: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(stdout: &str) -> Finished {
        Finished { code: 0, stdout: stdout.into(), stderr: String::new() }
    }

    fn run(line: &str, results: &[Finished]) -> Result<Finished, Stop> {
        evaluate(&parse(line).unwrap_or_else(|error| panic!("{line}: {error}")), None, results)
    }

    fn kubectl(words: &[&str]) -> Stop {
        Stop::Kubectl { arguments: words.iter().map(|word| word.to_string()).collect(), stdin: None }
    }

    #[test]
    fn a_line_waits_for_one_command_after_the_other() {
        let line = "kubectl delete -n x $(kubectl get pods -o name | head -1)";
        assert_eq!(run(line, &[]), Err(kubectl(&["get", "pods", "-o", "name"])));
        let pods = printed("pod/a\npod/b\n");
        assert_eq!(run(line, std::slice::from_ref(&pods)), Err(kubectl(&["delete", "-n", "x", "pod/a"])));
        assert_eq!(run(line, &[pods, printed("gone\n")]), Ok(printed("gone\n")));
    }

    #[test]
    fn quotes_keep_words_together() {
        let words = ["patch", "x y", "{\"a\": 1}", "it's"].map(str::to_owned).to_vec();
        assert_eq!(
            run(r#"kubectl patch "x y" '{"a": 1}' "it's""#, &[]),
            Err(Stop::Kubectl { arguments: words, stdin: None })
        );
    }

    #[test]
    fn conditions_and_redirections_hold() {
        let bad = Finished { code: 1, stdout: "out\n".into(), stderr: "err\n".into() };
        let or = run("kubectl a 2>/dev/null || echo no", std::slice::from_ref(&bad));
        assert_eq!(or, Ok(printed("out\nno\n")));
        let and = run("kubectl a 2>&1 && echo yes", &[bad]);
        assert_eq!(and, Ok(Finished { code: 1, stdout: "out\nerr\n".into(), stderr: String::new() }));
        assert_eq!(run("sleep 2; echo done", &[]), Err(Stop::Sleep(2.0)));
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(run("nodectl paint a", &[]), Err(Stop::Unsupported("nodectl paint a".into())));
        let kill = Stop::Control { act: Act::Kill, process: "etcd-0".into() };
        assert_eq!(run("cpctl kill etcd", &[]), Err(kill));
        for line in ["for i in 1 2; do true; done", "echo $HOME", "cat <<EOF", "kubectl get 'x", ""] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
