//! When an output counts as the recorded one.
//!
//! Texts are brought into a form without what differs from run to run; then word is compared with word, sizes of files leniently.

use serde_json::Value;
use wavetank::shell::Output;

use super::text;

/// Sizes may differ by this share, or by so many bytes: commits are made by the clock, and files grow by whole pages.
const SHARE: f64 = 0.1;
const PAGES: f64 = 3.0 * 4_096.0;
/// How much longer or shorter what waits may take. [s]
const SLACK: f64 = 0.25;
/// What takes less does not wait: it only works, on a machine of another speed. [s]
const WAITS: f64 = 1.9;

/// Compares what a step printed, how it ended and, if it waits, how long it took.
pub fn step(step: &Value, output: &Output, took: f64, shift: &mut i64) -> Result<(), String> {
    let command = text(step, "command");
    let mut wrong = Vec::new();
    let (ours, theirs) = (canonical(&output.stdout, command), canonical(text(step, "stdout"), command));
    if let Some((want, got)) = accepted(&theirs).zip(accepted(&ours)).filter(|(want, got)| few(*want, *got)) {
        *shift = got - want;
    }
    if let Err(why) = same(&theirs, &ours, *shift) {
        wrong.push(format!("{why}\nwant {theirs:?}\ngot  {ours:?}"));
    }
    let (ours, theirs) = (stderr(&output.stderr, command), stderr(text(&step["normalised"], "stderr"), command));
    if let Err(why) = same(&theirs, &ours, *shift) {
        wrong.push(format!("{why}\nwant stderr {theirs:?}\ngot  stderr {ours:?}"));
    }
    let code = step["exit_code"].as_i64().unwrap_or(0);
    if i64::from(output.code) != code {
        wrong.push(format!("want exit code {code}, got {}", output.code));
    }
    let seconds = step["seconds"].as_f64().unwrap_or(0.0);
    if seconds > WAITS && (seconds - took).abs() > SLACK.max(seconds * 0.05) {
        wrong.push(format!("want {seconds} s, got {took:.3} s"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// How many puts a loop says were accepted before the quota was reached. That hangs on when the database was committed, so a tenth more
/// or less is as good, and all that counts puts after it (revisions, indices of the log) is as much more or less.
fn accepted(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("accepted ")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn few(want: i64, got: i64) -> bool {
    (want - got).abs() <= (want + 9) / 10
}

/// Standard error without log lines; of a Go panic only its first line.
fn stderr(text: &str, command: &str) -> String {
    let text = canonical(text, command);
    match text.starts_with("panic: ") {
        true => text.lines().next().unwrap_or_default().to_owned(),
        false => text.trim_end().to_owned(),
    }
}

/// A text without log lines and the build's own words, with ids that depend on the clock as `<id>`, and with lines in an order of their
/// own where the real order is chance.
fn canonical(text: &str, command: &str) -> String {
    let several = command.contains("endpoints=") && (command.contains(",127.") || command.contains("$LIVE"));
    let about_members = ["member ", "endpoint ", "defrag"].iter().any(|word| command.contains(word));
    let snapshot_hash = command.contains("snapshot status");
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let log = line.starts_with("{\"level\":") || is_server_log(line);
        if log || ["Git SHA", "Go Version", "Go OS/Arch"].iter().any(|word| line.starts_with(word)) {
            continue;
        }
        // How long something took can be whole seconds, too.
        let line = match line.split_once("took ") {
            Some((before, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                let end = rest.find(". ").unwrap_or(rest.len());
                format!("{before}took <dur>{}", &rest[end..])
            }
            _ => line.to_owned(),
        };
        let mut line = words(&line).iter().map(|word| plain(word)).collect::<Vec<_>>().concat();
        if several && !command.contains(" endpoint ") {
            line = without_number(&line, "\"member_id\":");
        }
        if snapshot_hash {
            line = without_first_cell(&line);
        }
        if let Some(members) = line.strip_prefix("ETCD_INITIAL_CLUSTER=") {
            let mut members: Vec<&str> = members.trim_matches('"').split(',').collect();
            members.sort_unstable();
            line = format!("ETCD_INITIAL_CLUSTER=\"{}\"", members.join(","));
        }
        lines.push(line);
    }
    if about_members {
        lines.sort();
    }
    lines.join("\n")
}

/// A line of the server's own log, as etcdutl prints it: a time and a level, separated by tabs.
fn is_server_log(line: &str) -> bool {
    let mut fields = line.split('\t');
    fields.next().is_some_and(|time| time.ends_with('Z') && time.starts_with("20"))
        && fields.next().is_some_and(|level| ["info", "warn", "error"].contains(&level))
}

/// Words and what is between them.
fn words(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    let inside = |c: char| c.is_alphanumeric() || ".<>µ_".contains(c);
    for (at, c) in line.char_indices() {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|before| inside(before) != inside(c) || !inside(c) && before != c) {
            parts.push(&line[from..at]);
            from = at;
        }
    }
    parts.push(&line[from..]);
    parts
}

/// A word as it is compared.
fn plain(word: &str) -> String {
    if word.trim().is_empty() && !word.is_empty() {
        return " ".into();
    }
    if word.starts_with("---") {
        return "-".into();
    }
    let (word, dot) = word.strip_suffix('.').map_or((word, ""), |word| (word, "."));
    if is_duration(word) {
        return format!("<dur>{dot}");
    }
    let hexadecimal =
        (14..=16).contains(&word.len()) && word.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    let decimal = word.len() >= 16 && word.chars().all(|c| c.is_ascii_digit());
    let number = if hexadecimal { u64::from_str_radix(word, 16).ok() } else { word.parse().ok().filter(|_| decimal) };
    match number {
        Some(number) if !IDENTITIES.contains(&number) => format!("<id>{dot}"),
        _ if word == "<lease>" => format!("<id>{dot}"),
        _ => format!("{word}{dot}"),
    }
}

/// The identities that do not depend on the clock: members and clusters as they are formed.
const IDENTITIES: [u64; 6] = [
    0x8e9e_05c5_2164_694d,
    0xcdf8_1819_4e3a_8c32,
    0xd9f1_11f0_45b4_f22f,
    0x39e4_fce3_d1b2_e663,
    0x00c8_f66a_5aba_87b8,
    0x5a7c_9b27_507d_e0fb,
];

fn is_duration(word: &str) -> bool {
    let number = ["ms", "µs", "ns", "s"].iter().find_map(|unit| word.strip_suffix(unit));
    // Whole seconds are what somebody asked for: a lease's time.
    number.is_some_and(|number| number.contains('.') && number.parse::<f64>().is_ok())
        || word.strip_suffix("ms").is_some_and(|number| number.parse::<u32>().is_ok())
}

fn without_number(line: &str, name: &str) -> String {
    let mut parts = line.split(name);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(name);
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// A row of a table, or of a simple listing, without its first cell: the hash.
fn without_first_cell(line: &str) -> String {
    let rest = line.strip_prefix('|').and_then(|row| row.split_once('|')).or_else(|| line.split_once(", "));
    rest.map_or_else(|| line.to_owned(), |(_, rest)| rest.to_owned())
}

/// Whether two canonical texts agree; the error names the first words that do not.
fn same(theirs: &str, ours: &str, shift: i64) -> Result<(), String> {
    let (theirs, ours) = (words(theirs), words(ours));
    if theirs.len() != ours.len() {
        return Err(format!("{} words, not {}", ours.len(), theirs.len()));
    }
    for (at, (want, got)) in theirs.iter().zip(&ours).enumerate() {
        if want == got {
            continue;
        }
        let before = |n: usize| at.checked_sub(n).and_then(|at| theirs.get(at)).copied().unwrap_or_default();
        let after = |n: usize| (theirs.get(at + n).copied(), ours.get(at + n).copied());
        let numbers = want.parse::<f64>().ok().zip(got.parse::<f64>().ok());
        // What is not in use, in percent, follows from the two sizes.
        if after(1).0.is_some_and(|word| word.starts_with('%')) {
            continue;
        }
        let Some((want_number, got_number)) = numbers else {
            if unit(want).is_some() && unit(got).is_some() {
                continue;
            }
            return Err(format!("want `{want}`, got `{got}`"));
        };
        let name = (1..=6).map(before).find(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
        let lenient = match after(2) {
            (Some(a), Some(b)) if let (Some(a), Some(b)) = (unit(a), unit(b)) => close(want_number * a, got_number * b),
            _ => {
                name.is_some_and(|name| name.to_ascii_lowercase().starts_with("dbsize"))
                    && close(want_number, got_number)
            }
        };
        let counted = shift != 0 && want.parse::<i64>().is_ok_and(|want| got.parse() == Ok(want + shift));
        if !lenient && !counted {
            return Err(format!("want `{want}`, got `{got}`"));
        }
    }
    Ok(())
}

/// Bytes of a unit of size.
fn unit(word: &str) -> Option<f64> {
    [("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9)].iter().find(|(unit, _)| *unit == word).map(|(_, bytes)| *bytes)
}

/// Whether two sizes count as the same.
pub fn close(want: f64, got: f64) -> bool {
    (want - got).abs() <= (want * SHARE).max(PAGES)
}
