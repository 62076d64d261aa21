//! As much of a POSIX shell as operators' lines around etcdctl use: lists, pipes, loops, conditions, variables, `$(…)`, `$((…))`,
//! redirections, processes in the background, and the text tools. Programs, files and time are the [`Machine`]'s.
//!
//! Left out: functions, `case`, here-documents, arrays, patterns in words, `${x%…}` and the like, signals.

mod arithmetic;
mod expand;
mod parse;
pub mod pattern;
pub mod tools;

use std::collections::BTreeMap;

use parse::{Command, Condition, Kind, List, Redirect, Simple, Target};

pub use tools::filter;

/// What a shell works with.
pub trait Machine {
    /// Runs a program to its end; `None` if there is none of that name.
    fn run(&mut self, program: &Invocation) -> Option<Output>;
    /// Starts a program that writes to a file, and both streams to the same one if `merged`; false if there is none of that name.
    fn start(&mut self, program: &Invocation, file: &str, merged: bool) -> bool;
    /// One of the shell's own tools has run.
    fn tool(&mut self) {}
    /// Lets time pass. [ns]
    fn sleep(&mut self, ns: u64);
    /// Waits until nothing runs in the background that holds the terminal.
    fn wait(&mut self);
    /// A file's text.
    fn read(&mut self, path: &str) -> Option<String>;
    /// Writes a file.
    fn write(&mut self, path: &str, text: &str);
    /// Copies a file; false if there is none.
    fn copy(&mut self, from: &str, to: &str) -> bool;
    /// Removes a file or folder; false if there is none.
    fn remove(&mut self, path: &str) -> bool;
}

/// A machine without programs, files or time: only the shell's own tools work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Machine for Alone {
    fn run(&mut self, _program: &Invocation) -> Option<Output> {
        None
    }
    fn start(&mut self, _program: &Invocation, _file: &str, _merged: bool) -> bool {
        false
    }
    fn sleep(&mut self, _ns: u64) {}
    fn wait(&mut self) {}
    fn read(&mut self, _path: &str) -> Option<String> {
        None
    }
    fn write(&mut self, _path: &str, _text: &str) {}
    fn copy(&mut self, _from: &str, _to: &str) -> bool {
        false
    }
    fn remove(&mut self, _path: &str) -> bool {
        false
    }
}

/// A program that is to be run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Invocation {
    /// Its name and arguments.
    pub words: Vec<String>,
    /// Variables given before the name.
    pub env: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Option<String>,
    /// When `timeout` ends it. [ns from its start]
    pub limit: Option<u64>,
}

/// What a command wrote, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code.
    pub code: i32,
}

/// A shell with its variables.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// Variables; `?` is the last exit code.
    pub variables: BTreeMap<String, String>,
}

/// Rounds of a loop after which it is given up.
const MAX_ROUNDS: usize = 1_000_000;

impl Shell {
    /// Runs a line; what it cannot read is told on standard error, with code 2, as a shell does.
    pub fn run(&mut self, line: &str, machine: &mut dyn Machine) -> Output {
        let output = match parse::parse(line) {
            Ok(list) => self.list(&list, None, machine),
            Err(why) => Output { stderr: format!("sh: {why}\n"), code: 2, ..Output::default() },
        };
        machine.wait();
        output
    }

    /// Runs one program or tool whose words are as they are.
    pub fn words_as_they_are(&mut self, words: &[String], machine: &mut dyn Machine) -> Output {
        self.execute(Invocation { words: words.to_vec(), ..Invocation::default() }, machine)
    }

    fn list(&mut self, list: &List, stdin: Option<&str>, machine: &mut dyn Machine) -> Output {
        let mut all = Output::default();
        for item in &list.0 {
            let good = all.code == 0;
            match item.condition {
                Condition::IfGood if !good => continue,
                Condition::IfBad if good => continue,
                _ => {}
            }
            let output = match item.background {
                true => self.background(&item.pipeline, machine),
                false => self.pipeline(&item.pipeline, stdin, machine),
            };
            self.variables.insert("?".into(), output.code.to_string());
            all.stdout.push_str(&output.stdout);
            all.stderr.push_str(&output.stderr);
            all.code = output.code;
        }
        all
    }

    fn pipeline(&mut self, commands: &[Command], stdin: Option<&str>, machine: &mut dyn Machine) -> Output {
        let mut all = Output::default();
        let mut input = stdin.map(str::to_owned);
        for command in commands {
            let output = self.command(command, input.as_deref(), machine);
            all.stderr.push_str(&output.stderr);
            all.code = output.code;
            input = Some(output.stdout);
        }
        all.stdout = input.unwrap_or_default();
        all
    }

    fn command(&mut self, command: &Command, stdin: Option<&str>, machine: &mut dyn Machine) -> Output {
        let mut stdin = stdin.map(str::to_owned);
        let mut targets = Vec::new();
        for redirect in &command.redirects {
            match self.redirect(redirect, machine) {
                Ok(Target::Read(path)) => match machine.read(&path) {
                    Some(text) => stdin = Some(text),
                    None => {
                        let stderr = format!("sh: {path}: No such file or directory\n");
                        return Output { stderr, code: 1, ..Output::default() };
                    }
                },
                Ok(target) => targets.push((redirect.stream, target)),
                Err(output) => return output,
            }
        }
        let mut output = match &command.kind {
            Kind::Simple(simple) => self.simple(simple, stdin, machine),
            Kind::Group(list) => self.list(list, stdin.as_deref(), machine),
            Kind::For { name, words, body } => {
                let mut all = Output::default();
                for value in words.iter().flat_map(|word| self.words(word, machine)).collect::<Vec<_>>() {
                    self.variables.insert(name.clone(), value);
                    append(&mut all, self.list(body, None, machine));
                }
                all
            }
            Kind::While { until, condition, body } => {
                let mut all = Output::default();
                for _ in 0..MAX_ROUNDS {
                    let test = self.list(condition, None, machine);
                    let goes_on = (test.code == 0) != *until;
                    let code = all.code;
                    append(&mut all, test);
                    all.code = code;
                    if !goes_on {
                        break;
                    }
                    append(&mut all, self.list(body, None, machine));
                }
                all
            }
            Kind::If { branches, otherwise } => {
                let mut all = Output::default();
                let mut chosen = otherwise.as_ref();
                for (condition, body) in branches {
                    let test = self.list(condition, None, machine);
                    let good = test.code == 0;
                    append(&mut all, test);
                    if good {
                        chosen = Some(body);
                        break;
                    }
                }
                all.code = 0;
                if let Some(body) = chosen {
                    append(&mut all, self.list(body, None, machine));
                }
                all
            }
        };
        for (stream, target) in targets {
            divert(stream, target, &mut output, machine);
        }
        output
    }

    fn redirect(&mut self, redirect: &Redirect, machine: &mut dyn Machine) -> Result<Target, Output> {
        let path = self.text(&redirect.word, machine);
        Ok(match (&redirect.target, path.as_str()) {
            (Target::Merge, _) => Target::Merge,
            (Target::Read(_), _) => Target::Read(path),
            (_, "/dev/null") => Target::Nowhere,
            (Target::Append(_), _) => Target::Append(path),
            (_, "") => {
                let stderr = "sh: a redirection needs a file\n".into();
                return Err(Output { stderr, code: 1, ..Output::default() });
            }
            _ => Target::Write(path),
        })
    }

    fn simple(&mut self, simple: &Simple, stdin: Option<String>, machine: &mut dyn Machine) -> Output {
        let mut env = Vec::new();
        let mut code = 0;
        for (name, word) in &simple.assignments {
            let value = self.text(word, machine);
            env.push((name.clone(), value));
        }
        let words: Vec<String> = simple.words.iter().flat_map(|word| self.words(word, machine)).collect();
        if words.is_empty() {
            if simple.assignments.iter().any(|(_, word)| word.substitutes()) {
                code = self.variables.get("?").and_then(|code| code.parse().ok()).unwrap_or(0);
            }
            self.variables.extend(env);
            return Output { code, ..Output::default() };
        }
        self.execute(Invocation { words, env, stdin, limit: None }, machine)
    }

    /// Runs words that are expanded already.
    fn execute(&mut self, mut program: Invocation, machine: &mut dyn Machine) -> Output {
        while program.words.first().is_some_and(|word| word == "timeout") {
            let Some(limit) = program.words.get(1).and_then(|text| tools::nanoseconds(text)) else {
                let stderr = "timeout: invalid time interval\n".into();
                return Output { stderr, code: 125, ..Output::default() };
            };
            program.limit = Some(program.limit.map_or(limit, |outer| outer.min(limit)));
            program.words.drain(..2);
        }
        let words: Vec<&str> = program.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => Output::default(),
            ["sh" | "bash", "-c", line, ..] => match parse::parse(line) {
                Ok(list) => {
                    let mut inner = self.clone();
                    inner.variables.extend(program.env.iter().cloned());
                    inner.list(&list, program.stdin.as_deref(), machine)
                }
                Err(why) => Output { stderr: format!("sh: {why}\n"), code: 2, ..Output::default() },
            },
            ["sleep", time] => match tools::nanoseconds(time) {
                Some(ns) => {
                    machine.sleep(program.limit.map_or(ns, |limit| limit.min(ns)));
                    let code = if program.limit.is_some_and(|limit| limit < ns) { 124 } else { 0 };
                    Output { code, ..Output::default() }
                }
                None => failed("sleep", &format!("invalid time interval '{time}'")),
            },
            ["cat", files @ ..] if !files.is_empty() => {
                let mut all = Output::default();
                for file in files {
                    match machine.read(file) {
                        Some(text) => all.stdout.push_str(&text),
                        None => append(&mut all, failed("cat", &format!("{file}: No such file or directory"))),
                    }
                }
                all
            }
            ["cp", .., from, to] => match machine.copy(from, to) {
                true => Output::default(),
                false => failed("cp", &format!("cannot stat '{from}': No such file or directory")),
            },
            ["rm", flags @ ..] => {
                let force = flags.iter().any(|flag| flag.starts_with('-') && flag.contains('f'));
                let mut all = Output::default();
                for path in flags.iter().filter(|flag| !flag.starts_with('-')) {
                    if !machine.remove(path) && !force {
                        append(&mut all, failed("rm", &format!("cannot remove '{path}': No such file or directory")));
                    }
                }
                all
            }
            ["export" | "local", pairs @ ..] => {
                let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
                self.variables.extend(pairs.map(|(name, value)| (name.into(), value.into())));
                Output::default()
            }
            ["head", "-c", count, path] if *path == "/dev/zero" => match count.parse::<usize>() {
                Ok(count) if count <= MAX_ZEROS => {
                    machine.tool();
                    Output { stdout: "\0".repeat(count), ..Output::default() }
                }
                _ => failed("head", &format!("invalid number of bytes: '{count}'")),
            },
            _ => self.tool_or_program(program, machine),
        }
    }

    fn tool_or_program(&mut self, program: Invocation, machine: &mut dyn Machine) -> Output {
        let mut read = |path: &str| machine.read(path);
        if let Some(output) = tools::tool(&program.words, program.stdin.as_deref(), &mut read) {
            machine.tool();
            return output;
        }
        machine.run(&program).unwrap_or_else(|| {
            let name = program.words.first().map_or("", String::as_str);
            Output { stderr: format!("sh: {name}: not found\n"), code: 127, ..Output::default() }
        })
    }

    /// Starts a program in the background; it must write to a file.
    fn background(&mut self, pipeline: &[Command], machine: &mut dyn Machine) -> Output {
        let refused = |why: &str| Output { stderr: format!("sh: {why}\n"), code: 2, ..Output::default() };
        let [Command { kind: Kind::Simple(simple), redirects }] = pipeline else {
            return refused("only a single program can run in the background here");
        };
        let (mut file, mut merged, mut stdin) = ("/dev/null".to_owned(), false, None);
        for redirect in redirects {
            match self.redirect(redirect, machine) {
                Ok(Target::Merge) => merged = true,
                Ok(Target::Read(path)) => stdin = machine.read(&path),
                Ok(Target::Write(path) | Target::Append(path)) if redirect.stream == 1 => file = path,
                Ok(_) => {}
                Err(output) => return output,
            }
        }
        let mut words: Vec<String> = simple.words.iter().flat_map(|word| self.words(word, machine)).collect();
        let mut limit = None;
        if words.len() > 2 && words.first().is_some_and(|word| word == "timeout") {
            limit = words.get(1).and_then(|text| tools::nanoseconds(text));
            words.drain(..2);
        }
        match machine.start(&Invocation { words, env: Vec::new(), stdin, limit }, &file, merged) {
            true => Output::default(),
            false => refused("only etcdctl can run in the background here"),
        }
    }
}

/// More zeros than this are a slip of the finger. [bytes]
const MAX_ZEROS: usize = 64 << 20;

fn failed(tool: &str, why: &str) -> Output {
    Output { stderr: format!("{tool}: {why}\n"), code: 1, ..Output::default() }
}

fn append(all: &mut Output, output: Output) {
    all.stdout.push_str(&output.stdout);
    all.stderr.push_str(&output.stderr);
    all.code = output.code;
}

fn divert(stream: u8, target: Target, output: &mut Output, machine: &mut dyn Machine) {
    if target == Target::Merge {
        let (from, to) = match stream {
            2 => (&mut output.stderr, &mut output.stdout),
            _ => (&mut output.stdout, &mut output.stderr),
        };
        return to.push_str(&std::mem::take(from));
    }
    let text = std::mem::take(if stream == 2 { &mut output.stderr } else { &mut output.stdout });
    match target {
        Target::Write(path) => machine.write(&path, &text),
        Target::Append(path) => {
            let before = machine.read(&path).unwrap_or_default();
            machine.write(&path, &format!("{before}{text}"));
        }
        Target::Read(_) | Target::Nowhere | Target::Merge => {}
    }
}

#[cfg(test)]
mod tests;
