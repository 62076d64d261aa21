//! The commands of both tools, how one is found, and what all have in common.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/ctl.go, etcdutl/ctl.go, etcdctl/ctlv3/command/global.go; github.com/spf13/cobra
//! command.go (finding, suggestions). Left out: TLS and authentication flags are taken and ignored.

use super::Tool;
use super::failure::{BAD_CONNECTION, BAD_FEATURE, ERROR, Failure};
use super::flags::{Flag, Kind, Parsed, parse};
use super::help;
use super::session::{Session, Step};

/// The version both tools and the servers have.
pub(crate) const VERSION: &str = "3.6.13";
/// The version of the API.
pub(crate) const API_VERSION: &str = "3.6";

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Simple,
    Json,
    Fields,
    Table,
    Protobuf,
}

/// The values of the flags all commands share.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub endpoints: Vec<String>,
    /// [ns]
    pub command_timeout: u64,
    pub command_timeout_set: bool,
    pub format: Format,
    format_name: String,
    pub hex: bool,
    /// 0 is the default. [bytes]
    pub max_request_bytes: u64,
}

/// One command.
pub(crate) struct Command {
    /// Such as `lease grant`.
    pub name: &'static str,
    /// Its arguments, as usage shows them.
    pub arguments: &'static str,
    pub short: &'static str,
    pub flags: &'static [Flag],
    /// None: not part of this program.
    pub run: Option<Verb>,
}

pub(crate) type Verb = fn(&mut Session, &Parsed) -> Step<()>;

/// A command that has only subcommands.
pub(crate) struct Group {
    pub name: &'static str,
    pub short: &'static str,
    /// Flags of all its subcommands.
    pub flags: &'static [Flag],
}

/// What usage is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    Root,
    Group(&'static Group),
    Command(&'static Command),
}

/// Runs the process's command line.
pub(crate) fn dispatch(s: &mut Session) -> Step<()> {
    let tool = s.process.tool;
    let (target, argv) = find(tool, &s.process.argv)?;
    let (group_flags, own): (&'static [Flag], &'static [Flag]) = match target {
        Target::Root => (&[], &[]),
        Target::Group(group) => (group.flags, &[]),
        Target::Command(command) => {
            (group_of(tool, command.name).map_or(&[] as &[Flag], |group| group.flags), command.flags)
        }
    };
    let known = tool.globals().iter().chain(group_flags).chain(own).collect();
    let mut line = match parse(&argv, known) {
        Ok(line) => line,
        Err(why) => {
            // The usage goes to standard output, where the library that wants to print it to standard error finds none.
            s.print(&help::usage(tool, target));
            return Err(Failure::new(ERROR, format!("{why}\n")).into());
        }
    };
    let run = match target {
        Target::Command(command) if command.name == "help" => {
            let (target, _) = find(tool, &line.args)?;
            s.print(&help::usage(tool, target));
            return Ok(());
        }
        Target::Command(command) if !line.help => command.run,
        _ => {
            s.print(&help::usage(tool, target));
            return Ok(());
        }
    };
    let Some(run) = run else {
        let name = if let Target::Command(command) = target { command.name } else { "" };
        return Err(Failure::new(ERROR, format!("{} {name} is not part of this simulation", tool.name())).into());
    };
    if tool == Tool::Etcdctl {
        environment(&mut line, &s.process.env).map_err(|why| Failure::new(ERROR, why))?;
    }
    s.settings = settings(&line);
    run(s, &line)
}

/// pkg/flags: flags that were not given are taken from the environment.
fn environment(line: &mut Parsed, env: &[(String, String)]) -> Result<(), String> {
    for flag in Tool::Etcdctl.globals() {
        let name = format!("ETCDCTL_{}", flag.name.to_ascii_uppercase().replace('-', "_"));
        if let Some((_, value)) = env.iter().rev().find(|(n, value)| *n == name && !value.is_empty()) {
            line.set_default(flag, value).map_err(|why| format!("invalid value for {name}: {why}"))?;
        }
    }
    Ok(())
}

fn settings(line: &Parsed) -> Settings {
    let format_name = line.text("write-out").to_string();
    Settings {
        endpoints: line.list("endpoints"),
        command_timeout: line.duration("command-timeout"),
        command_timeout_set: line.is_set("command-timeout"),
        format: match format_name.as_str() {
            "json" => Format::Json,
            "fields" => Format::Fields,
            "table" => Format::Table,
            "protobuf" => Format::Protobuf,
            _ => Format::Simple,
        },
        format_name,
        hex: line.on("hex"),
        max_request_bytes: u64::try_from(line.integer("max-request-bytes")).unwrap_or(0),
    }
}

/// What etcdctl checks when it makes a client: the output format, then the endpoints.
pub(crate) fn client(s: &Session) -> Step<Vec<String>> {
    display(s)?;
    if s.settings.endpoints.is_empty() {
        return Err(Failure::new(BAD_CONNECTION, "etcdclient: no available endpoints").into());
    }
    Ok(s.settings.endpoints.clone())
}

/// Checks the output format.
pub(crate) fn display(s: &Session) -> Step<()> {
    match s.settings.format_name.as_str() {
        "simple" | "json" | "fields" | "table" | "protobuf" => Ok(()),
        _ => Err(Failure::new(BAD_FEATURE, "unsupported output format").into()),
    }
}

pub(crate) fn version(s: &mut Session, _: &Parsed) -> Step<()> {
    let name = s.process.tool.name();
    s.print(&format!("{name} version: {VERSION}\nAPI version: {API_VERSION}\n"));
    Ok(())
}

/// The group a command belongs to.
pub(crate) fn group_of(tool: Tool, command: &str) -> Option<&'static Group> {
    let (first, _) = command.split_once(' ')?;
    tool.groups().iter().find(|group| group.name == first)
}

/// Finds the command that `argv` names, and gives the rest of `argv`.
fn find(tool: Tool, argv: &[String]) -> Result<(Target, Vec<String>), Failure> {
    let mut rest = argv.to_vec();
    let Some(at) = next_word(tool, &rest, 0) else { return Ok((Target::Root, rest)) };
    let word = rest.remove(at);
    let mut names: Vec<&str> = tool.groups().iter().map(|g| g.name).collect();
    names.extend(tool.commands().iter().map(|c| c.name).filter(|name| !name.contains(' ')));
    let Some(name) = choose(&names, &word) else { return Err(unknown(tool, &names, &word)) };
    if let Some(command) = tool.commands().iter().find(|c| c.name == name) {
        return Ok((Target::Command(command), rest));
    }
    let Some(group) = tool.groups().iter().find(|g| g.name == name) else { return Ok((Target::Root, rest)) };
    let Some(at) = next_word(tool, &rest, at) else { return Ok((Target::Group(group), rest)) };
    let mut members = tool.commands().iter().filter_map(|c| c.name.strip_prefix(name)?.strip_prefix(' '));
    let names: Vec<&str> = members.by_ref().collect();
    let chosen = choose(&names, &rest[at]).map(|second| format!("{name} {second}"));
    match tool.commands().iter().find(|c| Some(c.name) == chosen.as_deref()) {
        Some(command) => {
            rest.remove(at);
            Ok((Target::Command(command), rest))
        }
        None => Ok((Target::Group(group), rest)),
    }
}

/// The next word from `from` on that is neither a flag nor a flag's value.
fn next_word(tool: Tool, argv: &[String], from: usize) -> Option<usize> {
    let takes_value = |word: &str| {
        let known = tool.globals().iter().find(|f| match word.strip_prefix("--") {
            Some(name) => f.name == name,
            None => !f.short.is_empty() && word.strip_prefix('-') == Some(f.short),
        });
        known.map_or(word.starts_with("--"), |flag| flag.kind != Kind::Bool)
    };
    let mut at = from;
    while let Some(word) = argv.get(at) {
        if word == "--" {
            return None;
        }
        if !word.starts_with('-') || word == "-" {
            return Some(at);
        }
        let skip = !word.contains('=') && !matches!(word.as_str(), "--help" | "--cluster") && takes_value(word);
        at += if skip { 2 } else { 1 };
    }
    None
}

/// The name itself, or the only one that begins with `word`.
fn choose<'a>(names: &[&'a str], word: &str) -> Option<&'a str> {
    if let Some(name) = names.iter().find(|name| **name == word) {
        return Some(name);
    }
    let mut candidates = names.iter().filter(|name| name.starts_with(word));
    match (candidates.next(), candidates.next()) {
        (Some(name), None) => Some(name),
        _ => None,
    }
}

fn unknown(tool: Tool, names: &[&str], word: &str) -> Failure {
    let name = tool.name();
    let mut text = format!("unknown command \"{word}\" for \"{name}\"");
    let mut near: Vec<&str> = names
        .iter()
        .copied()
        .filter(|n| distance(&word.to_lowercase(), n) <= 2 || n.starts_with(&word.to_lowercase()))
        .collect();
    near.sort_unstable();
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        for name in near {
            text.push_str(&format!("\t{name}\n"));
        }
    }
    Failure::new(ERROR, format!("{text}\nRun '{name} --help' for usage."))
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
