//! The recorder's machine: one member in virtual time, files, variables, and as much of a shell as the recorded lines
//! need.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use wavetank_engine::etcd::{
    Effects, EtcdEvent, EtcdNote, EtcdSettings, Formation, LeaseId, Member, Request, Response,
};
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Endpoint, Instant, Queue, Seed};

use super::Text;

/// What a command did.
#[derive(Default)]
pub struct Outcome {
    pub stdout: String,
    pub error: Option<String>,
    pub code: i64,
}

impl Outcome {
    pub fn ok(stdout: String) -> Self {
        Outcome { stdout, ..Outcome::default() }
    }
}

/// One member, and the machine the commands run on.
pub struct Host {
    member: Member<Text>,
    pub outside: Outside,
    files: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    /// Files that watches write to.
    watches: BTreeMap<String, (u64, Vec<String>)>,
    pub leases: Vec<LeaseId>,
    asked: u64,
}

#[derive(Default)]
pub struct Outside {
    now: Instant,
    queue: Queue<EtcdEvent<Text>>,
    pub heard: Vec<(u64, Response<Text>)>,
}

impl Effects<Text> for Outside {
    fn now(&self) -> Instant {
        self.now
    }
    fn cause(&self) -> RecordId {
        RecordId::default()
    }
    fn because(&mut self, _cause: RecordId) {}
    fn note(&mut self, _note: EtcdNote) -> RecordId {
        RecordId::default()
    }
    fn send(&mut self, _member: u8, _event: EtcdEvent<Text>) {}
    fn after(&mut self, wait: Duration, event: EtcdEvent<Text>) {
        self.queue.push(self.now + wait, 0, 0, event);
    }
    fn reply(&mut self, _to: Endpoint, id: u64, response: Response<Text>) {
        self.heard.push((id, response));
    }
    fn calm(&self) -> bool {
        true
    }
    fn disturb(&mut self) {
        self.queue.push(self.now, 0, 0, EtcdEvent::Disturbed);
    }
}

impl Host {
    pub fn new() -> Self {
        Host {
            member: Member::new(0, &Formation::local(1), Seed(1), &EtcdSettings::default()),
            outside: Outside::default(),
            files: BTreeMap::new(),
            variables: BTreeMap::new(),
            watches: BTreeMap::new(),
            leases: Vec::new(),
            asked: 0,
        }
    }

    pub fn ask(&mut self, request: Request<Text>) -> u64 {
        self.asked += 1;
        let event = EtcdEvent::Request { from: Endpoint::Outside, id: self.asked, request: Box::new(request) };
        self.outside.queue.push(self.outside.now, 1, 0, event);
        self.asked
    }

    /// Asks, and waits for the first response.
    pub fn call(&mut self, request: Request<Text>) -> Response<Text> {
        let id = self.ask(request);
        loop {
            if let Some((_, response)) = self.outside.heard.iter().find(|(of, _)| *of == id) {
                return response.clone();
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let (now, event) = self.outside.queue.pop().expect("something answers");
        self.outside.now = now;
        self.member.handle(event, Seed(1), &EtcdSettings::default(), &mut self.outside);
    }

    pub fn sleep(&mut self, seconds: f64) {
        let until = self.outside.now + Duration::from_millis_f64(seconds * 1_000.0);
        while self.outside.queue.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.outside.now = until;
    }

    pub fn capture(&mut self, step: &Json, stdout: &str) {
        // All recorded captures are a lease's name: the second word.
        for name in step["captures"].as_object().into_iter().flat_map(|captures| captures.keys()) {
            let word = stdout.split(' ').nth(1).unwrap_or_default();
            self.variables.insert(name.trim_start_matches('$').to_string(), word.to_string());
        }
    }

    pub fn shell(&mut self, text: &str) -> Outcome {
        let mut all = Outcome::default();
        for command in split(text, ';') {
            let outcome = self.run(command.trim());
            all.stdout += &outcome.stdout;
            (all.error, all.code) = (outcome.error.or(all.error), outcome.code);
        }
        all
    }

    fn run(&mut self, command: &str) -> Outcome {
        if let Some(rest) = command.strip_prefix("for ") {
            let (head, body) = rest.split_once("; do ").expect("a loop has a body");
            let (name, values) = head.split_once(" in ").expect("a loop has values");
            let body = body.trim_end_matches("done").trim().trim_end_matches(';').to_string();
            let mut all = Outcome::default();
            for value in values.split(' ') {
                self.variables.insert(name.to_string(), value.to_string());
                let outcome = self.shell(&body);
                all.stdout += &outcome.stdout;
            }
            return all;
        }
        if let Some(background) = command.strip_prefix('(') {
            let words = self.words(background.trim_end_matches([' ', '&', ')']));
            let file = words.iter().position(|word| word == ">").map(|at| words[at + 1].clone()).expect("a file");
            let flags = words[3..].iter().take_while(|word| *word != ">").cloned().collect::<Vec<_>>();
            let id = self.watch(&flags[1..]);
            self.watches.insert(file, (id, flags));
            return Outcome::default();
        }
        let stages = split(command, '|');
        let mut input = String::new();
        let mut outcome = Outcome::default();
        for stage in stages {
            outcome = self.stage(stage.trim(), &input);
            input = outcome.stdout.clone();
        }
        outcome
    }

    fn stage(&mut self, text: &str, input: &str) -> Outcome {
        let mut words = self.words(text);
        let target = words.iter().position(|word| word.starts_with('>')).map(|at| {
            let file = words[at].trim_start_matches('>').to_string();
            let file = if file.is_empty() { words[at + 1].clone() } else { file };
            words.truncate(at);
            file
        });
        let mut input = input.to_string();
        if let Some(at) = words.iter().position(|word| word == "<") {
            input = self.files[&words[at + 1]].clone();
            words.truncate(at);
        }
        let mut outcome = match words[0].as_str() {
            "etcdctl" => self.etcdctl(&words[1..], &input),
            "timeout" => {
                let id = self.watch(&words[4..]);
                self.sleep(words[1].parse().expect("seconds"));
                self.told(id, &words[3..])
            }
            "printf" => Outcome::ok(words[1].clone()),
            "head" => Outcome::ok("x".repeat(words[2].parse().expect("a length"))),
            "tr" => Outcome::ok(input),
            "wc" => Outcome::ok(format!("{}\n", input.len())),
            "echo" => Outcome::ok(format!("{}\n", words[1..].join(" "))),
            "sleep" => {
                self.sleep(words[1].parse().expect("seconds"));
                Outcome::default()
            }
            "cat" => {
                let (id, flags) = self.watches[&words[1]].clone();
                self.told(id, &flags)
            }
            other => panic!("the test's shell knows no {other}"),
        };
        if words[0] == "cat" {
            outcome.code = 0;
        }
        if let Some(file) = target {
            self.files.insert(file, std::mem::take(&mut outcome.stdout));
        }
        outcome
    }

    /// Words, with quotes taken off and variables put in.
    fn words(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        let (mut word, mut quote, mut begun) = (String::new(), None, false);
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\'' | '"' if quote.is_none() => (quote, begun) = (Some(character), true),
                _ if Some(character) == quote => quote = None,
                ' ' if quote.is_none() => {
                    if begun {
                        words.push(std::mem::take(&mut word));
                    }
                    begun = false;
                }
                '$' if quote != Some('\'') => {
                    let mut name = String::new();
                    while let Some(next) = characters.next_if(char::is_ascii_alphanumeric) {
                        name.push(next);
                    }
                    word += self.variables.get(&name).map_or("", |value| value);
                    begun = true;
                }
                _ => {
                    word.push(character);
                    begun = true;
                }
            }
        }
        if begun {
            words.push(word);
        }
        words
    }
}

/// Splits outside of quotes, parentheses and loops.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut begin, mut quote, mut depth) = (Vec::new(), 0, None, 0);
    for (place, character) in text.char_indices() {
        match character {
            '\'' | '"' if quote.is_none() => quote = Some(character),
            _ if Some(character) == quote => quote = None,
            _ if quote.is_some() => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            'f' if text[place..].starts_with("for ") => depth += 1,
            'd' if text[place..].starts_with("done") => depth -= 1,
            _ if character == at && depth == 0 => {
                parts.push(&text[begin..place]);
                begin = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}
