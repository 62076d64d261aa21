//! The text tools: what they print is a function of their words and their input.

use std::collections::BTreeSet;

use super::Output;
use super::pattern::Pattern;

/// Runs a tool over a text, as the later stages of a pipe; `None` if there is none of that name.
pub fn filter(words: &[String], stdin: &str) -> Option<Output> {
    tool(words, Some(stdin), &mut |_| None)
}

/// The tools there are.
pub const NAMES: &[&str] =
    &["base64", "cat", "cut", "echo", "grep", "head", "printf", "seq", "sort", "tail", "test", "tr", "uniq", "wc"];

/// Runs a tool; `None` if there is none of that name.
pub(super) fn tool(
    words: &[String],
    stdin: Option<&str>,
    read: &mut dyn FnMut(&str) -> Option<String>,
) -> Option<Output> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, args) = words.split_first()?;
    let input = stdin.unwrap_or_default();
    Some(match *name {
        "true" | ":" => Output::default(),
        "false" => Output { code: 1, ..Output::default() },
        "echo" => match args {
            ["-n", rest @ ..] => said(rest.join(" ")),
            _ => said(args.join(" ") + "\n"),
        },
        "printf" => said(printf(args)),
        "cat" => said(input.to_owned()),
        "seq" => sequence(args),
        "test" | "[" => Output { code: i32::from(!holds(args)), ..Output::default() },
        "grep" | "egrep" | "fgrep" => grep(name, args, input, read),
        "head" | "tail" | "wc" | "sort" | "uniq" | "cut" | "tr" | "base64" => {
            let files: Vec<&str> = files_of(name, args);
            let mut text = input.to_owned();
            if !files.is_empty() {
                text.clear();
            }
            for file in files {
                match read(file) {
                    Some(more) => text.push_str(&more),
                    None => return Some(wrong(name, &format!("{file}: No such file or directory"))),
                }
            }
            match *name {
                "head" => ends(name, args, &text, true),
                "tail" => ends(name, args, &text, false),
                "wc" => count(args, &text),
                "sort" => sort(args, &text),
                "uniq" => unique(args, &text),
                "cut" => cut(args, &text),
                "tr" => translate(args, &text),
                _ => base64(args, &text),
            }
        }
        _ => return None,
    })
}

/// A time as `sleep` and `timeout` take it: seconds, or with a unit. [ns]
pub(super) fn nanoseconds(text: &str) -> Option<u64> {
    let (number, unit) = match text.chars().last()? {
        's' => (&text[..text.len() - 1], 1.0),
        'm' => (&text[..text.len() - 1], 60.0),
        'h' => (&text[..text.len() - 1], 3_600.0),
        _ => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds))?;
    Some((seconds * unit * 1e9) as u64)
}

fn said(stdout: String) -> Output {
    Output { stdout, ..Output::default() }
}

fn wrong(tool: &str, why: &str) -> Output {
    Output { stderr: format!("{tool}: {why}\n"), code: if tool.ends_with("grep") { 2 } else { 1 }, ..Output::default() }
}

/// The arguments that are no flags and no flags' values.
fn files_of<'a>(tool: &str, args: &[&'a str]) -> Vec<&'a str> {
    let valued: &[&str] = match tool {
        "head" | "tail" => &["-n", "-c"],
        "cut" => &["-d", "-f", "-c"],
        "sort" => &["-k", "-t"],
        _ => &[],
    };
    let mut files = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            flag if valued.contains(&flag) => drop(args.next()),
            flag if flag.starts_with('-') && flag.len() > 1 => {}
            file => files.push(file),
        }
    }
    if tool == "tr" { Vec::new() } else { files }
}

fn has(args: &[&str], flag: char) -> bool {
    args.iter().any(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(flag))
}

/// The value of a flag of one letter, attached or not.
fn valued<'a>(args: &[&'a str], flag: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| arg.starts_with(flag))?;
    match args[at].strip_prefix(flag) {
        Some("") => args.get(at + 1).copied(),
        rest => rest,
    }
}

/// The characters a backslash makes.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, if c == '\\' { characters.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('0')) => out.push('\0'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

fn printf(args: &[&str]) -> String {
    let Some((format, mut values)) = args.split_first() else { return String::new() };
    let mut out = String::new();
    loop {
        let before = values.len();
        let mut characters = format.chars();
        let mut plain = String::new();
        while let Some(c) = characters.next() {
            if c != '%' {
                plain.push(c);
                // An escaped character is no directive.
                if c == '\\' {
                    plain.extend(characters.next());
                }
                continue;
            }
            out.push_str(&unescaped(&std::mem::take(&mut plain)));
            let mut width = String::new();
            let directive = loop {
                match characters.next() {
                    Some(c) if c.is_ascii_digit() || c == '-' => width.push(c),
                    other => break other,
                }
            };
            if directive == Some('%') {
                out.push('%');
                continue;
            }
            let value = values.first().copied().unwrap_or(if directive == Some('d') { "0" } else { "" });
            values = values.get(1..).unwrap_or_default();
            let wide = width.trim_matches(['-', '0']).parse::<usize>().unwrap_or(0).min(10_000);
            match (width.starts_with('-'), width.starts_with('0')) {
                (true, _) => out.push_str(&format!("{value:<wide$}")),
                (_, true) => out.push_str(&format!("{}{value}", "0".repeat(wide.saturating_sub(value.len())))),
                _ => out.push_str(&format!("{value:>wide$}")),
            }
        }
        out.push_str(&unescaped(&plain));
        if values.is_empty() || values.len() == before {
            return out;
        }
    }
}

fn sequence(args: &[&str]) -> Output {
    let numbers: Vec<i64> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let (from, step, to) = match numbers.as_slice() {
        [to] => (1, 1, *to),
        [from, to] => (*from, 1, *to),
        [from, step, to] => (*from, *step, *to),
        _ => return wrong("seq", "wrong numbers"),
    };
    if step == 0 || (to - from) / step > 10_000_000 {
        return wrong("seq", "too many numbers");
    }
    let mut out = String::new();
    let mut n = from;
    while if step > 0 { n <= to } else { n >= to } {
        out.push_str(&format!("{n}\n"));
        n += step;
    }
    said(out)
}

fn holds(args: &[&str]) -> bool {
    let number = |text: &str| text.trim().parse::<i64>().unwrap_or(0);
    match args.strip_suffix(&["]"]).unwrap_or(args) {
        ["!", rest @ ..] => !holds(rest),
        ["-z", text] => text.is_empty(),
        ["-n", text] | [text] => !text.is_empty(),
        [a, "=" | "==", b] => a == b,
        [a, "!=", b] => a != b,
        [a, "-eq", b] => number(a) == number(b),
        [a, "-ne", b] => number(a) != number(b),
        [a, "-lt", b] => number(a) < number(b),
        [a, "-le", b] => number(a) <= number(b),
        [a, "-gt", b] => number(a) > number(b),
        [a, "-ge", b] => number(a) >= number(b),
        _ => false,
    }
}

fn grep(name: &str, args: &[&str], stdin: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Output {
    let mut rest: Vec<&str> = args.iter().filter(|arg| !arg.starts_with('-') || arg.len() == 1).copied().collect();
    let flags: Vec<&str> = args.iter().filter(|arg| arg.starts_with('-')).copied().collect();
    if rest.is_empty() {
        return wrong("grep", "no pattern was given");
    }
    let text = rest.remove(0);
    let (extended, ignore_case) = (has(&flags, 'E') || has(&flags, 'P') || name == "egrep", has(&flags, 'i'));
    let pattern = match has(&flags, 'F') || name == "fgrep" {
        true => Ok(Pattern::fixed(text, ignore_case)),
        false => Pattern::new(text, extended, ignore_case),
    };
    let pattern = match pattern {
        Ok(pattern) => pattern,
        Err(why) => return wrong("grep", &why),
    };
    let mut input = stdin.to_owned();
    if let Some(file) = rest.first() {
        match read(file) {
            Some(text) => input = text,
            None => return wrong("grep", &format!("{file}: No such file or directory")),
        }
    }
    let (mut out, mut count) = (String::new(), 0);
    for line in input.lines() {
        let characters: Vec<char> = line.chars().collect();
        let found = pattern.find(&characters, 0);
        if found.is_some() == has(&flags, 'v') {
            continue;
        }
        count += 1;
        if !has(&flags, 'o') {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let mut next = found;
        while let Some((from, to)) = next.and_then(|found| found.first().copied().flatten()) {
            if to > from {
                out.extend(&characters[from..to]);
                out.push('\n');
            }
            next = pattern.find(&characters, to.max(from + 1));
        }
    }
    let code = i32::from(count == 0);
    if has(&flags, 'q') {
        return Output { code, ..Output::default() };
    }
    if has(&flags, 'c') {
        out = format!("{count}\n");
    }
    Output { stdout: out, code, ..Output::default() }
}

fn ends(tool: &str, args: &[&str], text: &str, first: bool) -> Output {
    if let Some(bytes) = valued(args, "-c") {
        let Ok(count) = bytes.parse::<usize>() else { return wrong(tool, "invalid number of bytes") };
        let count = count.min(text.len());
        let at = if first { text.floor_char_boundary(count) } else { text.ceil_char_boundary(text.len() - count) };
        return said(if first { text[..at].to_owned() } else { text[at..].to_owned() });
    }
    let number = args.iter().find_map(|arg| arg.strip_prefix('-').filter(|n| n.parse::<usize>().is_ok()));
    let wanted = valued(args, "-n").or(number).unwrap_or("10");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let from_start = wanted.strip_prefix('+').and_then(|n| n.parse::<usize>().ok());
    let Ok(count) = wanted.trim_start_matches('+').parse::<usize>() else {
        return wrong(tool, "invalid number of lines");
    };
    let chosen = match (first, from_start) {
        (true, _) => &lines[..count.min(lines.len())],
        (false, Some(from)) => &lines[from.saturating_sub(1).min(lines.len())..],
        (false, None) => &lines[lines.len().saturating_sub(count)..],
    };
    said(chosen.concat())
}

fn count(args: &[&str], text: &str) -> Output {
    let lines = text.matches('\n').count();
    let words = text.split_whitespace().count();
    let chosen = [('l', lines), ('w', words), ('c', text.len()), ('m', text.chars().count())];
    let shown: Vec<String> = chosen.iter().filter(|(flag, _)| has(args, *flag)).map(|(_, n)| n.to_string()).collect();
    match shown.is_empty() {
        true => said(format!("{lines:7} {words:7} {:7}\n", text.len())),
        false => said(shown.join(" ") + "\n"),
    }
}

fn sort(args: &[&str], text: &str) -> Output {
    let mut lines: Vec<&str> = text.lines().collect();
    match has(args, 'n') {
        true => lines.sort_by(|a, b| {
            let number = |line: &str| {
                let line = line.trim_start();
                let end = line.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(line.len());
                line[..end].parse::<i64>().unwrap_or(0)
            };
            number(a).cmp(&number(b)).then_with(|| a.cmp(b))
        }),
        false => lines.sort_unstable(),
    }
    if has(args, 'u') {
        lines.dedup();
    }
    if has(args, 'r') {
        lines.reverse();
    }
    said(lines.iter().map(|line| format!("{line}\n")).collect())
}

fn unique(args: &[&str], text: &str) -> Output {
    let mut runs: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        match runs.last_mut() {
            Some((count, last)) if *last == line => *count += 1,
            _ => runs.push((1, line)),
        }
    }
    let counted = has(args, 'c');
    said(runs.iter().map(|(n, line)| if counted { format!("{n:7} {line}\n") } else { format!("{line}\n") }).collect())
}

fn cut(args: &[&str], text: &str) -> Output {
    let list = |value: &str| -> Option<BTreeSet<usize>> {
        let mut chosen = BTreeSet::new();
        for part in value.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let from = if from.is_empty() { 1 } else { from.parse().ok()? };
            let to = if to.is_empty() { 1_000 } else { to.parse().ok()? };
            chosen.extend(from..=to.min(100_000));
        }
        Some(chosen)
    };
    let (fields, characters) = (valued(args, "-f").and_then(list), valued(args, "-c").and_then(list));
    let delimiter = valued(args, "-d").unwrap_or("\t");
    let line = |line: &str| match (&fields, &characters) {
        (Some(fields), _) if line.contains(delimiter) => {
            let parts = line.split(delimiter).zip(1..).filter(|(_, n)| fields.contains(n));
            parts.map(|(part, _)| part).collect::<Vec<_>>().join(delimiter)
        }
        (None, Some(chosen)) => line.chars().zip(1..).filter(|(_, n)| chosen.contains(n)).map(|(c, _)| c).collect(),
        _ => line.to_owned(),
    };
    if fields.is_none() && characters.is_none() {
        return wrong("cut", "you must specify a list of bytes, characters, or fields");
    }
    said(text.lines().map(|text| line(text) + "\n").collect())
}

fn translate(args: &[&str], text: &str) -> Output {
    let set = |text: &str| -> Vec<char> {
        let text: Vec<char> = unescaped(text).chars().collect();
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(c) = text.get(at).copied() {
            match (text.get(at + 1), text.get(at + 2).copied()) {
                (Some('-'), Some(end)) if end >= c => {
                    out.extend(c..=end);
                    at += 3;
                }
                _ => {
                    out.push(c);
                    at += 1;
                }
            }
        }
        out
    };
    match args {
        ["-d", from] => {
            let from = set(from);
            said(text.chars().filter(|c| !from.contains(c)).collect())
        }
        [from, to] => {
            let (from, to) = (set(from), set(to));
            let Some(last) = to.last().copied() else { return wrong("tr", "when not deleting, string2 must be given") };
            if let [one] = from.as_slice() {
                return said(text.replace(*one, &to.first().copied().unwrap_or(last).to_string()));
            }
            let map = |c: char| match from.iter().position(|of| *of == c) {
                Some(at) => to.get(at).copied().unwrap_or(last),
                None => c,
            };
            said(text.chars().map(map).collect())
        }
        _ => wrong("tr", "missing operand"),
    }
}

fn base64(args: &[&str], text: &str) -> Output {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if has(args, 'd') || args.contains(&"--decode") {
        let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
        for digit in text.bytes().filter_map(|c| DIGITS.iter().position(|digit| *digit == c)) {
            (bits, held) = (bits << 6 | digit as u32, held + 6);
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held) as u8);
                bits &= (1 << held) - 1;
            }
        }
        return said(String::from_utf8_lossy(&bytes).into_owned());
    }
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let of = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    said(out + "\n")
}
