//! Flags, and what kubectl says about mistakes in them.
//!
//! Models: github.com/spf13/pflag as kubernetes v1.36.2 uses it;
//! staging/src/k8s.io/cli-runtime/pkg/genericclioptions/config_flags.go.
//! Left out: impersonation and other flags about credentials.

use std::collections::BTreeMap;

use super::duration;
use super::errors::Failure;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// true or false, true without a value
    Bool,
    /// A text
    Text,
    /// A text, or the given one if the flag stands alone
    TextOr(&'static str),
    /// A whole number of 32 or 64 bits
    Int(u32),
    /// A Go duration
    Duration,
    /// Texts separated by commas; may be repeated
    List,
    /// A text; may be repeated
    Array,
}

/// A flag: long name, short name or a blank, what it takes.
pub(crate) type Flag = (&'static str, char, Takes);

const GLOBAL: &[Flag] = &[
    ("namespace", 'n', Takes::Text),
    ("request-timeout", ' ', Takes::Text),
    ("as", ' ', Takes::Text),
    ("as-group", ' ', Takes::Array),
    ("as-uid", ' ', Takes::Text),
    ("cache-dir", ' ', Takes::Text),
    ("certificate-authority", ' ', Takes::Text),
    ("client-certificate", ' ', Takes::Text),
    ("client-key", ' ', Takes::Text),
    ("cluster", ' ', Takes::Text),
    ("context", ' ', Takes::Text),
    ("disable-compression", ' ', Takes::Bool),
    ("insecure-skip-tls-verify", ' ', Takes::Bool),
    ("kubeconfig", ' ', Takes::Text),
    ("match-server-version", ' ', Takes::Bool),
    ("server", 's', Takes::Text),
    ("tls-server-name", ' ', Takes::Text),
    ("token", ' ', Takes::Text),
    ("user", ' ', Takes::Text),
    ("v", 'v', Takes::Text),
    ("warnings-as-errors", ' ', Takes::Bool),
];

/// Flags of all verbs that print what they changed.
pub(crate) const PRINT: &[Flag] = &[
    ("output", 'o', Takes::Text),
    ("dry-run", ' ', Takes::TextOr("unchanged")),
    ("show-managed-fields", ' ', Takes::Bool),
    ("field-manager", ' ', Takes::Text),
    ("template", ' ', Takes::Text),
    ("allow-missing-template-keys", ' ', Takes::Bool),
];

/// Flags of all verbs that read manifests.
pub(crate) const FILES: &[Flag] =
    &[("filename", 'f', Takes::List), ("recursive", 'R', Takes::Bool), ("kustomize", 'k', Takes::Text)];

/// The values of the global flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    /// --namespace, if given.
    pub namespace: Option<String>,
    /// --request-timeout. [ns]
    pub request_timeout: Option<u64>,
}

impl Globals {
    /// The namespace to work in.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }
}

/// A parsed command line of one verb.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// `kubectl rollout undo`
    pub command: String,
    /// What is no flag.
    pub words: Vec<String>,
    /// What follows `--`, if it is there.
    pub after_dash: Option<Vec<String>>,
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Args {
    /// The last value of a flag, or "".
    pub fn text(&self, flag: &str) -> &str {
        self.values.get(flag).and_then(|v| v.last()).map_or("", String::as_str)
    }

    /// The last value of a flag, or `default` if it was not given.
    pub fn text_or<'a>(&'a self, flag: &str, default: &'a str) -> &'a str {
        if self.has(flag) { self.text(flag) } else { default }
    }

    pub fn has(&self, flag: &str) -> bool {
        self.values.contains_key(flag)
    }

    pub fn bool(&self, flag: &str) -> bool {
        self.text(flag) == "true"
    }

    pub fn bool_or(&self, flag: &str, default: bool) -> bool {
        if self.has(flag) { self.bool(flag) } else { default }
    }

    pub fn int(&self, flag: &str) -> Option<i64> {
        self.text(flag).parse().ok()
    }

    /// [ns]
    pub fn duration(&self, flag: &str) -> Option<i64> {
        duration::parse(self.text(flag)).ok()
    }

    pub fn list(&self, flag: &str) -> Vec<String> {
        self.values.get(flag).cloned().unwrap_or_default()
    }

    /// The same without a flag that means something else to a verb than to the builder.
    pub fn without(&self, flag: &str) -> Args {
        let mut args = self.clone();
        args.values.remove(flag);
        args
    }

    /// A mistake for which kubectl recommends the help.
    pub fn usage(&self, text: impl Into<String>) -> Failure {
        Failure::Usage(text.into(), self.command.clone())
    }

    /// `required flag(s) … not set`
    pub fn require(&self, flags: &[&str]) -> Result<(), Failure> {
        let missing: Vec<String> = flags.iter().filter(|f| !self.has(f)).map(|f| format!("\"{f}\"")).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Failure::message(format!("required flag(s) {} not set", missing.join(", ")))),
        }
    }

    /// `--selector`, `--field-selector` and the like: None if not given or empty.
    pub fn given(&self, flag: &str) -> Option<String> {
        Some(self.text(flag)).filter(|t| !t.is_empty()).map(str::to_string)
    }

    pub fn dry_run(&self) -> Result<DryRun, Failure> {
        match self.text_or("dry-run", "none") {
            "none" | "false" => Ok(DryRun::No),
            "server" => Ok(DryRun::Server),
            "client" | "unchanged" | "true" => Ok(DryRun::Client),
            other => Err(Failure::message(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            ))),
        }
    }
}

/// --dry-run
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    No,
    Client,
    Server,
}

impl DryRun {
    /// What success lines end with.
    pub fn suffix(self) -> &'static str {
        match self {
            DryRun::No => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}

/// Index of the first word that is neither a flag nor a flag's value.
pub(crate) fn first_word(argv: &[String], flags: &[&[Flag]]) -> Option<usize> {
    let mut i = 0;
    while let Some(word) = argv.get(i) {
        if word == "--" {
            return None;
        }
        if let Some(long) = word.strip_prefix("--") {
            let takes = find_long(long, flags).map(|f| f.2);
            let alone = long.contains('=') || matches!(takes, Some(Takes::Bool | Takes::TextOr(_)) | None);
            i += if alone { 1 } else { 2 };
        } else if word.len() > 1 && word.starts_with('-') {
            let letter = word.chars().nth(1).unwrap_or(' ');
            let takes = find_short(letter, flags).map(|f| f.2);
            let alone = word.chars().count() > 2 || matches!(takes, Some(Takes::Bool) | None);
            i += if alone { 1 } else { 2 };
        } else {
            return Some(i);
        }
    }
    None
}

fn find_long(name: &str, flags: &[&[Flag]]) -> Option<Flag> {
    flags.iter().copied().flatten().chain(GLOBAL).find(|f| f.0 == name).copied()
}

fn find_short(letter: char, flags: &[&[Flag]]) -> Option<Flag> {
    flags.iter().copied().flatten().chain(GLOBAL).find(|f| f.1 == letter && letter != ' ').copied()
}

/// Parses a verb's command line.
pub(crate) fn parse(argv: &[String], words: &[&str], flags: &[&[Flag]]) -> Result<Args, Failure> {
    let mut args = Args { command: format!("kubectl {}", words.join(" ")), ..Args::default() };
    let mistake = |text: String| Failure::Flag(text, format!("kubectl {}", words.join(" ")));
    let mut argv = argv.iter();
    while let Some(word) = argv.next() {
        if word == "--" {
            args.after_dash = Some(argv.cloned().collect());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_string())));
            let flag = find_long(name, flags).ok_or_else(|| mistake(format!("unknown flag: --{name}")))?;
            let value = match (value, flag.2) {
                (Some(value), _) => value,
                (None, Takes::Bool) => "true".into(),
                (None, Takes::TextOr(alone)) => alone.into(),
                (None, _) => {
                    argv.next().cloned().ok_or_else(|| mistake(format!("flag needs an argument: --{name}")))?
                }
            };
            store(&mut args, flag, value).map_err(mistake)?;
        } else if word.len() > 1 && word.starts_with('-') {
            let mut rest = word.strip_prefix('-').unwrap_or("");
            while let Some(letter) = rest.chars().next() {
                let shown = rest;
                rest = rest.get(letter.len_utf8()..).unwrap_or("");
                let unknown = || mistake(format!("unknown shorthand flag: '{letter}' in -{shown}"));
                let flag = find_short(letter, flags).ok_or_else(unknown)?;
                let value = match flag.2 {
                    Takes::Bool if !rest.starts_with('=') => "true".into(),
                    _ if !rest.is_empty() => {
                        std::mem::take(&mut rest).strip_prefix('=').unwrap_or(shown.get(1..).unwrap_or("")).to_string()
                    }
                    _ => argv
                        .next()
                        .cloned()
                        .ok_or_else(|| mistake(format!("flag needs an argument: '{letter}' in -{letter}")))?,
                };
                store(&mut args, flag, value).map_err(mistake)?;
            }
        } else {
            args.words.push(word.clone());
        }
    }
    Ok(args)
}

fn store(args: &mut Args, flag: Flag, value: String) -> Result<(), String> {
    let (name, short, takes) = flag;
    let shown = if short == ' ' { format!("--{name}") } else { format!("-{short}, --{name}") };
    let invalid = |why: String| format!("invalid argument \"{value}\" for \"{shown}\" flag: {why}");
    match takes {
        Takes::Bool => {
            let value = match value.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => "true",
                "0" | "f" | "F" | "false" | "FALSE" | "False" => "false",
                other => return Err(invalid(format!("strconv.ParseBool: parsing \"{other}\": invalid syntax"))),
            };
            args.values.insert(name, vec![value.into()]);
        }
        Takes::Int(bits) => {
            let number = value.parse::<i64>().map_err(|e| {
                let why =
                    if matches!(e.kind(), std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow) {
                        "value out of range"
                    } else {
                        "invalid syntax"
                    };
                invalid(format!("strconv.ParseInt: parsing \"{value}\": {why}"))
            })?;
            if bits == 32 && i32::try_from(number).is_err() {
                return Err(invalid(format!("strconv.ParseInt: parsing \"{value}\": value out of range")));
            }
            args.values.insert(name, vec![number.to_string()]);
        }
        Takes::Duration => {
            duration::parse(&value).map_err(invalid)?;
            args.values.insert(name, vec![value]);
        }
        Takes::Text | Takes::TextOr(_) => {
            args.values.insert(name, vec![value]);
        }
        Takes::List => args.values.entry(name).or_default().extend(value.split(',').map(str::to_string)),
        Takes::Array => args.values.entry(name).or_default().push(value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[&[Flag]] =
        &[&[("watch", 'w', Takes::Bool), ("replicas", ' ', Takes::Int(32)), ("output", 'o', Takes::Text)]];

    fn parsed(line: &str) -> Result<Args, Failure> {
        let words: Vec<String> = line.split(' ').map(str::to_string).collect();
        parse(&words, &["get"], FLAGS)
    }

    #[test]
    fn flags_may_stand_anywhere_and_be_joined() {
        let args = parsed("-wowide pods -n=x --replicas=3 a -- b -c").expect("correct");
        assert_eq!((args.bool("watch"), args.text("output"), args.text("namespace")), (true, "wide", "x"));
        assert_eq!((args.int("replicas"), args.words.join(" ")), (Some(3), "pods a".into()));
        assert_eq!(args.after_dash, Some(vec!["b".into(), "-c".into()]));
    }

    #[test]
    fn mistakes_are_named_as_pflag_names_them() {
        let text = |line: &str| super::super::errors::message(&parsed(line).expect_err(line));
        assert_eq!(text("--foo"), "error: unknown flag: --foo\nSee 'kubectl get --help' for usage.");
        assert_eq!(text("-o"), "error: flag needs an argument: 'o' in -o\nSee 'kubectl get --help' for usage.");
        assert!(text("--replicas=two").contains(
            "invalid argument \"two\" for \"--replicas\" flag: strconv.ParseInt: parsing \"two\": invalid syntax"
        ));
    }

    #[test]
    fn the_verb_is_found_behind_global_flags() {
        let argv: Vec<String> = ["-n", "x", "get", "pods"].iter().map(|s| s.to_string()).collect();
        assert_eq!(first_word(&argv, &[]), Some(2));
    }
}
