//! Recorded outputs of the real kubectl, compared with those of the simulated one.
//!
//! A case has commands to set the stage, files, one command, and what it printed. Ages, times, addresses and random parts
//! of names are free to differ: [`normalise`] takes them out of both sides. The host of a cluster implements [`Terminal`].

use std::collections::BTreeMap;

use serde_json::Value;

/// Where kubectl runs.
pub trait Terminal {
    /// Runs `kubectl` with these arguments to its end; `-f` reads from `files`.
    fn kubectl(&mut self, argv: &[String], files: &BTreeMap<String, String>) -> Printed;
    /// Lets time pass. [ns, simulated]
    fn pass(&mut self, ns: u64);
}

/// What a command printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// 0 or 1.
    pub exit_code: i32,
}

/// A recorded case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Such as `rollout-03`.
    pub id: String,
    /// `full` or `small`: which manifest had been applied to the cluster a minute before.
    pub state: String,
    /// Commands that set the stage.
    pub setup: Vec<String>,
    /// Files by name.
    pub files: BTreeMap<String, String>,
    /// The command.
    pub command: String,
    /// What it printed.
    pub printed: Printed,
}

/// Reads a file of cases, one JSON object a line.
pub fn cases(text: &str) -> Result<Vec<Case>, serde_json::Error> {
    let string = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_string();
    text.lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line)?;
            let setup = value.get("setup").and_then(Value::as_array);
            let files = value.get("files").and_then(Value::as_object);
            Ok(Case {
                id: string(&value, "id"),
                state: string(&value, "state"),
                setup: setup.into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect(),
                files: files.into_iter().flatten().map(|(k, v)| (k.clone(), v.as_str().unwrap_or("").into())).collect(),
                command: string(&value, "command"),
                printed: Printed {
                    stdout: string(&value, "stdout"),
                    stderr: string(&value, "stderr"),
                    exit_code: i32::from(value.get("exit_code") != Some(&Value::from(0))),
                },
            })
        })
        .collect()
}

/// Sets the stage and runs the case; the error shows both texts.
pub fn check(terminal: &mut dyn Terminal, case: &Case) -> Result<(), String> {
    for line in &case.setup {
        let argv = words(line);
        match (argv.first().map(String::as_str), argv.get(1)) {
            (Some("sleep"), Some(seconds)) => terminal.pass(nanoseconds(seconds)),
            (Some("kubectl"), _) => {
                let printed = terminal.kubectl(argv.get(1..).unwrap_or_default(), &case.files);
                if printed.exit_code != 0 {
                    return Err(format!("{}: setup {line}: {}", case.id, printed.stderr));
                }
            }
            _ => return Err(format!("{}: unknown setup {line}", case.id)),
        }
    }
    let (command, filter) = case.command.split_once(" | ").unwrap_or((&case.command, ""));
    let argv = words(command);
    let mut got = terminal.kubectl(argv.get(1..).unwrap_or_default(), &case.files);
    if let Some(columns) = filter.strip_prefix("cut -c") {
        got.stdout = cut(&got.stdout, columns);
    }
    // Which of equal nodes a pod gets is a matter of luck; how often `rollout status` says the same, of time.
    let side = |p: &Printed| {
        let mut stdout = normalise(&p.stdout);
        if case.command.starts_with("kubectl get pod") {
            for node in ["worker-1", "worker-2", "worker-3"] {
                stdout = stdout.replace(node, "<node>");
            }
        }
        let mut lines: Vec<&str> = stdout.lines().collect();
        if case.command.starts_with("kubectl rollout status") {
            lines.dedup();
        }
        // Pods are drained by goroutines, and events of one instant have no order; names with a random end have none either.
        if case.command.starts_with("kubectl describe") && stdout.contains("\n\n\n") {
            // Several pods with random ends: neither has their order a meaning.
            lines.sort_unstable();
        } else if let Some(events) = lines.iter().position(|line| line.starts_with("Events:"))
            && case.command.starts_with("kubectl describe")
        {
            lines[events..].sort_unstable();
        }
        if case.command.starts_with("kubectl get") && !case.command.contains("--sort-by") {
            let named = |line: &&str| line.split_whitespace().take(2).any(|cell| cell.contains("<rand>"));
            let mut random: Vec<&str> = lines.iter().copied().filter(named).collect();
            random.sort_unstable();
            let mut random = random.into_iter();
            for line in lines.iter_mut().filter(|line| named(line)) {
                *line = random.next().unwrap_or(line);
            }
        }
        let stderr = normalise(&p.stderr);
        let mut errors: Vec<&str> = stderr.lines().collect();
        if case.command.starts_with("kubectl drain") || case.command.contains("events") {
            lines.sort_unstable();
            errors.sort_unstable();
        }
        (p.exit_code, lines.join("\n"), errors.join("\n"))
    };
    let (mine, theirs) = (side(&got), side(&case.printed));
    if mine == theirs {
        return Ok(());
    }
    let lines = |side: &(i32, String, String)| -> Vec<String> {
        side.1.lines().chain(side.2.lines()).map(str::to_owned).collect()
    };
    let (mine, theirs) = (lines(&mine), lines(&theirs));
    let first = mine.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(mine.len().min(theirs.len()));
    let line = |of: &[String]| of.get(first).cloned().unwrap_or_default();
    let want = &case.printed;
    Err(format!(
        "{}: {}\nfirst difference: {:?} for {:?}\n--- recorded ({})\n{}{}--- simulated ({})\n{}{}",
        case.id,
        case.command,
        line(&mine),
        line(&theirs),
        want.exit_code,
        want.stdout,
        want.stderr,
        got.exit_code,
        got.stdout,
        got.stderr
    ))
}

/// `cut -c1-2`
fn cut(text: &str, columns: &str) -> String {
    let (from, to) = columns.split_once('-').unwrap_or((columns, columns));
    let (from, to) = (from.parse::<usize>().unwrap_or(1).max(1), to.parse::<usize>().unwrap_or(usize::MAX));
    text.lines().map(|line| line.chars().take(to).skip(from - 1).collect::<String>() + "\n").collect()
}

fn nanoseconds(seconds: &str) -> u64 {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let fraction: String = format!("{fraction:0<9}").chars().take(9).collect();
    whole.parse::<u64>().unwrap_or(0) * 1_000_000_000 + fraction.parse::<u64>().unwrap_or(0)
}

/// Splits a command line as a shell does, as far as the recorded ones need it.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => word.push(c),
            None if c == '\'' || c == '"' => (quote, open) = (Some(c), true),
            None if c.is_whitespace() => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            None => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    words
}

/// The text without what is free to differ, runs of blanks and dashes shortened.
pub fn normalise(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let tokens: Vec<String> = dates(line.split_whitespace().map(token).collect());
        let tokens = counts(after_titles(tokens));
        out.push_str(line.get(..indent).unwrap_or(""));
        out.push_str(&tokens.join(" "));
        out.push('\n');
    }
    out
}

/// What follows these titles is a number of the cluster's own.
fn after_titles(mut tokens: Vec<String>) -> Vec<String> {
    for (title, place) in [("resourceVersion:", "<rv>"), ("\"resourceVersion\":", "<rv>")] {
        if let [first, value, ..] = tokens.as_mut_slice()
            && first == title
        {
            *value = place.into();
        }
    }
    tokens
}

/// How often something has happened by now is a matter of time: `4 (6s ago)`, `(x9 over 68s)`, `Restart Count: 4`.
fn counts(mut tokens: Vec<String>) -> Vec<String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    for n in 0..tokens.len() {
        let before = n.checked_sub(1).and_then(|n| tokens.get(n)).map(String::as_str);
        let next = tokens.get(n + 1).map(String::as_str);
        let restarts = next.is_some_and(|next| next.starts_with('(') && next.contains("<age>"))
            && tokens.get(n + 2).is_some_and(|word| word.starts_with("ago"));
        let counted = before == Some("Count:") && n == 2;
        if number(&tokens[n]) && (restarts || counted) {
            tokens[n] = "<n>".into();
        } else if next == Some("over") && tokens[n].strip_prefix("(x").is_some_and(number) {
            tokens[n] = "(x<n>".into();
        }
    }
    tokens
}

/// `Sun, 22 Nov 2026` is a date.
fn dates(tokens: Vec<String>) -> Vec<String> {
    const DAYS: [&str; 7] = ["Mon,", "Tue,", "Wed,", "Thu,", "Fri,", "Sat,", "Sun,"];
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter();
    while let Some(token) = rest.next() {
        if DAYS.contains(&token.as_str()) && rest.len() >= 3 {
            rest.by_ref().take(3).for_each(drop);
            out.push("<date>".to_string());
        } else {
            out.push(token);
        }
    }
    out
}

/// Addresses and uids, wherever in the word they are.
fn without_numbers(word: &str) -> String {
    let bytes = word.as_bytes();
    let (mut out, mut at) = (String::new(), 0);
    while at < bytes.len() {
        let rest = word.get(at..).unwrap_or("");
        if rest.get(..36).is_some_and(is_uid) {
            out += "<uid>";
            at += 36;
            continue;
        }
        let dotted = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let begins =
            at.checked_sub(1).and_then(|n| bytes.get(n)).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'.');
        if begins && dotted >= 7 && rest.get(..dotted).is_some_and(is_address) {
            out += "<ip>";
            at += dotted;
            continue;
        }
        let step = rest.chars().next().map_or(1, char::len_utf8);
        out += rest.get(..step).unwrap_or("");
        at += step;
    }
    out
}

fn token(token: &str) -> String {
    let token = &*without_numbers(token);
    if let Some(title) = token.strip_suffix(':').filter(|title| !title.is_empty()) {
        return format!("{}:", without_suffix(title));
    }
    let bare = token.trim_start_matches('(').trim_end_matches([')', ',', ';']);
    let shown = if is_age(bare) {
        token.replace(bare, "<age>")
    } else if bare.len() == 32 && bare.bytes().all(|b| b.is_ascii_hexdigit()) {
        token.replace(bare, "<hex>")
    } else if let Some((folder, file)) = bare.strip_prefix("/tmp/").and_then(|path| path.split_once('/')) {
        format!("/tmp/{}-<rand>/{file}", folder.split('-').next().unwrap_or(""))
    } else if is_date(bare) {
        "<date>".into()
    } else if let Some((name, _)) = bare.rsplit_once('.').filter(|(_, end)| is_event_end(end)) {
        format!("{name}.<hex>")
    } else if bare.len() > 4 && bare.chars().all(|c| c == '-') {
        "----".into()
    } else if is_clock(bare) || is_time(bare.trim_matches(['"', ','])) {
        token.replace(bare, "<time>")
    } else if let Some((before, _)) = bare.split_once("sha256:").or_else(|| bare.split_once("containerd://")) {
        format!("{before}<hex>")
    } else if is_node_port(bare) {
        "<nodeport>".into()
    } else {
        token.to_string()
    };
    let name = shown.trim_end_matches([',', ';', ':', ']', ')']);
    let end = shown.get(name.len()..).unwrap_or("");
    name.split('"').map(without_suffix).collect::<Vec<_>>().join("\"") + end
}

/// The end of an event's name: the time in nanoseconds.
fn is_event_end(text: &str) -> bool {
    text.len() == 16 && text.starts_with("18") && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_age(text: &str) -> bool {
    // `1.322s` is how long a pull took.
    let whole = text.replacen('.', "", 1);
    let text = if text.contains('.') && text.ends_with('s') { &*whole } else { text };
    let units = text.matches(['s', 'm', 'h', 'd', 'y']).count();
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['s', 'm', 'h', 'd', 'y'])
        && matches!(units, 1 | 2)
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, 's' | 'm' | 'h' | 'd' | 'y'))
}

fn is_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').next().unwrap_or(text).split('.').collect();
    parts.len() == 4 && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// `2026-11-22T07:55:15Z`
fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T')
}

fn is_uid(text: &str) -> bool {
    text.len() == 36
        && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// `80:32153/TCP`
fn is_node_port(text: &str) -> bool {
    let port = text.split_once(':').and_then(|(_, port)| port.split_once('/')).and_then(|(port, _)| port.parse().ok());
    port.is_some_and(|port: u32| (30_000..32_768).contains(&port))
}

/// `2026-11-22`
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.split('-').map(str::len).eq([4, 2, 2])
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

fn is_clock(text: &str) -> bool {
    let text = text.split_once('.').map_or(text, |(clock, _)| clock);
    text.len() == 8 && text.split(':').count() == 3 && text.bytes().all(|b| b.is_ascii_digit() || b == b':')
}

/// `web-85445bfc67-8mrqv` without its random end; the hash before it is not random.
fn without_suffix(text: &str) -> String {
    const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";
    match text.rsplit_once('-') {
        Some((name, end)) if end.len() == 5 && end.chars().all(|c| RANDOM.contains(c)) => format!("{name}-<rand>"),
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_to_differ_is_taken_out() {
        let row = "web-85445bfc67-8mrqv   1/1     Running   3 (25s ago)   7m59s   10.244.1.2\n";
        assert_eq!(normalise(row), "web-85445bfc67-<rand> 1/1 Running <n> (<age> ago) <age> <ip>\n");
        assert_eq!(
            normalise("Warning BackOff 1s (x9 over 68s) kubelet\n"),
            "Warning BackOff <age> (x<n> over <age>) kubelet\n"
        );
        assert_eq!(normalise("    Restart Count: 4\n"), "    Restart Count: <n>\n");
        assert_eq!(normalise("Endpoints: 10.244.0.2:80,10.244.1.2:80\n"), "Endpoints: <ip>:80,<ip>:80\n");
        assert_eq!(normalise("in 1.322s (4.1s including waiting).\n"), "in <age> (<age> including waiting).\n");
        assert_eq!(normalise("Node: worker-3/10.0.0.13\n"), "Node: worker-3/<ip>\n");
        assert_eq!(normalise("crasher_default(3cc5a87f-65e6-46d1-83ac-563970cf71ea)\n"), "crasher_default(<uid>)\n");
        assert_eq!(normalise("worker-1.18ea4edb71a7e8de\n"), "worker-1.<hex>\n");
        assert_eq!(normalise("  resourceVersion: \"389\"\n"), "  resourceVersion: <rv>\n");
        assert_eq!(normalise("at \"2026-11-22T07:55:13Z\",\n"), "at <time>,\n");
        assert_eq!(normalise("lb 80:32153/TCP\n"), "lb <nodeport>\n");
        assert_eq!(normalise("ignore: default/agent-tpkl6, default/a\n"), "ignore: default/agent-<rand>, default/a\n");
        assert_eq!(
            normalise("  Start Time:  Sun, 22 Nov 2026 07:55:13 +0000\n"),
            "  Start Time: <date> <time> +0000\n"
        );
    }

    #[test]
    fn columns_are_cut_out() {
        assert_eq!(cut("eyJhbGci\nab\n", "1-2"), "ey\nab\n");
        assert_eq!(cut("abc\n", "2"), "b\n");
    }

    #[test]
    fn command_lines_are_split_at_blanks_outside_of_quotes() {
        assert_eq!(words("kubectl patch -p '{\"a\": 1}' x"), ["kubectl", "patch", "-p", "{\"a\": 1}", "x"]);
    }
}
