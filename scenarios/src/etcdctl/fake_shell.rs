//! As much of a shell as the recorded sessions use: lists, loops, pipes, files, `timeout`, processes in the background.

use std::collections::BTreeMap;

use super::fake_etcd::{FakeEtcd, SECOND};
use super::fake_store::FakeWatch;
use super::{Answer, Call, EtcdCall};
use super::{Process, Progress, Run, Tool, run};

/// A shell with its files and variables.
pub(crate) struct Shell {
    pub etcd: FakeEtcd,
    pub variables: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    background: Vec<Job>,
}

/// What a command wrote, and how it ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Output {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: i32,
}

struct Job {
    process: Process,
    watches: Vec<FakeWatch>,
    /// When `timeout` kills it. [ns since the Unix epoch]
    deadline: i64,
    file: String,
}

impl Shell {
    pub fn new(etcd: FakeEtcd) -> Self {
        Shell { etcd, variables: BTreeMap::new(), files: BTreeMap::new(), background: Vec::new() }
    }

    /// Runs a line.
    pub fn line(&mut self, line: &str) -> Output {
        let mut all = Output::default();
        let mut parts = split(line, ';').into_iter().map(|part| part.trim().to_string()).collect::<Vec<_>>();
        while !parts.is_empty() {
            let part = parts.remove(0);
            let output = match part.strip_prefix("for ") {
                Some(head) => {
                    let done = parts.iter().position(|p| p == "done").unwrap_or(parts.len());
                    let body: Vec<String> = parts.drain(..done).collect();
                    parts.drain(..1.min(parts.len()));
                    self.each(head, body.join(";").trim_start_matches("do "))
                }
                None if part.starts_with('(') => self.start(part.trim_matches(['(', ')', ' ', '&'])),
                None => self.pipeline(&part),
            };
            self.variables.insert("?".into(), output.exit_code.to_string());
            all.stdout.push_str(&output.stdout);
            all.stderr.push_str(&output.stderr);
            all.exit_code = output.exit_code;
        }
        all
    }

    fn each(&mut self, head: &str, body: &str) -> Output {
        let (name, list) = head.split_once(" in ").expect("for NAME in LIST");
        let values: Vec<String> = match list.strip_prefix("$(seq ") {
            Some(bounds) => {
                let bounds: Vec<u32> = bounds.trim_end_matches(')').split(' ').filter_map(|n| n.parse().ok()).collect();
                (bounds[0]..=bounds[1]).map(|n| n.to_string()).collect()
            }
            None => list.split_whitespace().map(str::to_string).collect(),
        };
        let mut all = Output::default();
        for value in values {
            self.variables.insert(name.into(), value);
            let output = self.line(body);
            all.stdout.push_str(&output.stdout);
            all.stderr.push_str(&output.stderr);
        }
        all
    }

    fn start(&mut self, command: &str) -> Output {
        let (words, redirect) = self.words(command);
        let seconds: i64 = words[1].parse().expect("timeout SECONDS");
        let process = Process::new(Tool::Etcdctl, words[3..].to_vec(), None, self.etcd.now);
        let deadline = self.etcd.now + seconds * SECOND;
        let file = redirect.stdout.expect("a file");
        self.background.push(Job { process, watches: Vec::new(), deadline, file });
        self.pump();
        Output::default()
    }

    /// Lets the processes in the background catch up.
    fn pump(&mut self) {
        for mut job in std::mem::take(&mut self.background) {
            let done = self.drive(&mut job.process, &mut job.watches, job.deadline, false);
            let text: String = done.stdout.iter().map(|c| c.text.as_str()).collect();
            self.files.insert(job.file.clone(), text);
            self.background.push(job);
        }
    }

    fn pipeline(&mut self, line: &str) -> Output {
        let mut all = Output::default();
        let mut stdin = None;
        for command in split(line, '|') {
            let output = self.command(command.trim(), stdin.take());
            stdin = Some(output.stdout.clone());
            all = Output { stderr: all.stderr + output.stderr.as_str(), ..output };
        }
        all
    }

    fn command(&mut self, command: &str, stdin: Option<String>) -> Output {
        let (mut words, redirect) = self.words(command);
        let stdin = redirect.stdin.as_ref().and_then(|file| self.files.get(file)).cloned().or(stdin);
        while words.first().is_some_and(|word| word.starts_with("ETCDCTL_")) {
            words.remove(0);
        }
        let mut deadline = i64::MAX;
        if words.first().is_some_and(|word| word == "timeout") {
            deadline = self.etcd.now + words[1].parse::<i64>().expect("seconds") * SECOND;
            words.drain(..2);
        }
        let args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let text = stdin.clone().unwrap_or_default();
        let mut output = match (words.first().map_or("", String::as_str), args.as_slice()) {
            (tool @ ("etcdctl" | "etcdutl"), _) => {
                let tool = if tool == "etcdctl" { Tool::Etcdctl } else { Tool::Etcdutl };
                self.execute(Process::new(tool, words[1..].to_vec(), stdin, self.etcd.now), deadline)
            }
            ("printf", [text]) => written(text.replace("\\n", "\n")),
            ("echo", words) => written(words.join(" ") + "\n"),
            ("head", ["-c", count, _]) => written("\0".repeat(count.parse().expect("a number"))),
            ("tr", ["\\0", to]) => written(text.replace('\0', to)),
            ("wc", _) => written(format!("{}\n", text.len())),
            ("tail", _) => written(text.lines().last().map_or(String::new(), |line| format!("{line}\n"))),
            ("sleep", [seconds]) => {
                let ns = seconds.parse::<f64>().expect("seconds") * SECOND as f64;
                self.etcd.advance(self.etcd.now + ns as i64);
                Output::default()
            }
            ("cat", [file]) => {
                self.pump();
                written(self.files.get(*file).cloned().unwrap_or_default())
            }
            ("cp", [_, to]) => {
                self.etcd.snapshots.insert(to.to_string(), (self.etcd.store.clone(), false));
                Output::default()
            }
            (other, _) => panic!("no such command: {other} in {command}"),
        };
        if redirect.merged {
            output.stdout.push_str(&std::mem::take(&mut output.stderr));
        }
        if redirect.silent {
            output.stderr.clear();
        }
        if let Some(file) = redirect.stdout {
            self.files.insert(file, std::mem::take(&mut output.stdout));
        }
        output
    }

    fn execute(&mut self, mut process: Process, deadline: i64) -> Output {
        let done = self.drive(&mut process, &mut Vec::new(), deadline, true);
        let text = |chunks: &[super::Chunk]| chunks.iter().map(|c| c.text.as_str()).collect();
        let exit_code = match done.progress {
            Progress::Done { exit_code } => exit_code,
            Progress::Waiting(_) => 124,
        };
        Output { stdout: text(&done.stdout), stderr: text(&done.stderr), exit_code }
    }

    /// Runs a process until it ends, is killed, or, in the background, has nothing to do.
    fn drive(&mut self, process: &mut Process, watches: &mut Vec<FakeWatch>, deadline: i64, foreground: bool) -> Run {
        loop {
            let done = run(process);
            let Progress::Waiting(call) = &done.progress else { return done };
            let now = self.etcd.now;
            let answer = match call {
                Call::Request(request) => {
                    let outcome = self.etcd.answer(request, now);
                    if let (EtcdCall::Watch(call), Ok(_)) = (&request.call, &outcome.result) {
                        watches.push(self.etcd.store.watch(call));
                    }
                    Answer::Outcome(outcome)
                }
                Call::Parallel(requests) => {
                    Answer::Outcomes(requests.iter().map(|request| self.etcd.answer(request, now)).collect())
                }
                Call::WatchNext { stream } => match self.etcd.watched(&mut watches[*stream]) {
                    Some(response) => Answer::Watched { at: now, response },
                    None if foreground => {
                        self.etcd.advance(deadline);
                        return done;
                    }
                    None => return done,
                },
                Call::Sleep { ns } => Answer::Slept { at: now + i64::try_from(*ns).expect("short") },
                Call::File(call) => Answer::File { at: now, result: self.etcd.file(call) },
            };
            if answer.at() > deadline {
                self.etcd.advance(deadline);
                return done;
            }
            self.etcd.advance(answer.at());
            process.answers.push(answer);
        }
    }

    /// Words with quotes removed and variables replaced, and where input and output go.
    fn words(&self, command: &str) -> (Vec<String>, Redirect) {
        let mut words: Vec<String> = Vec::new();
        let (mut word, mut open, mut quote) = (String::new(), false, ' ');
        let mut chars = command.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\'' | '"', ' ') => (open, quote) = (true, c),
                (c, q) if c == q && q != ' ' => quote = ' ',
                ('\\', '"') if matches!(chars.peek(), Some('$' | '"')) => word.extend(chars.next()),
                ('$', ' ' | '"') => {
                    let mut name = String::new();
                    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '?') {
                        name.push(c);
                    }
                    word.push_str(self.variables.get(&name).map_or("", String::as_str));
                    open = true;
                }
                (c, ' ') if c.is_whitespace() => {
                    if open {
                        words.push(std::mem::take(&mut word));
                    }
                    open = false;
                }
                (c, _) => {
                    word.push(c);
                    open = true;
                }
            }
        }
        if open {
            words.push(word);
        }
        Redirect::take(words)
    }
}

#[derive(Default)]
struct Redirect {
    stdin: Option<String>,
    stdout: Option<String>,
    merged: bool,
    silent: bool,
}

impl Redirect {
    fn take(words: Vec<String>) -> (Vec<String>, Redirect) {
        let (mut kept, mut to) = (Vec::new(), Redirect::default());
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "<" => to.stdin = words.next(),
                ">" => to.stdout = words.next(),
                ">/dev/null" => to.stdout = Some("/dev/null".into()),
                "2>&1" => to.merged = true,
                "2>/dev/null" => to.silent = true,
                _ => kept.push(word),
            }
        }
        (kept, to)
    }
}

fn written(stdout: String) -> Output {
    Output { stdout, ..Output::default() }
}

/// Splits at a separator outside of quotes and parentheses.
fn split(line: &str, separator: char) -> Vec<String> {
    let (mut parts, mut depth, mut quote) = (vec![String::new()], 0, ' ');
    for c in line.chars() {
        match c {
            '\'' | '"' if quote == ' ' => quote = c,
            c if c == quote => quote = ' ',
            '(' if quote == ' ' => depth += 1,
            ')' if quote == ' ' => depth -= 1,
            _ => {}
        }
        if c == separator && depth == 0 && quote == ' ' {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}
