//! What kubectl printed, after normalising: random names, addresses, ages and column widths do not count, nor the order of the
//! rows of a table, which follows random names or instants of one second.

use std::collections::BTreeSet;

use serde_json::Value;

use super::compare::{Aspect, printed};
use super::format::Scenario;
use super::play::Run;
use super::sequence::common;
use super::wording::{Durations, Wording};

/// Compares what steps and snapshots printed, line by line.
pub fn compare(scenario: &Scenario, run: &Run, recorded: &Wording, played: &Wording) -> Aspect {
    let mut aspect = Aspect::new("kubectl");
    let both = scenario.steps.iter().zip(&run.steps).chain(scenario.snapshots.iter().zip(&run.snapshots));
    for (step, outcome) in both.filter(|(_, outcome)| outcome.unsupported.is_none()) {
        let (stdout, stderr) = printed(outcome);
        for (theirs, ours, stream) in [(&step.stdout, stdout, "stdout"), (&step.stderr, stderr, "stderr")] {
            let own = |text: &str| if step.command.starts_with("cpctl") { untimed(text) } else { text.to_owned() };
            let (left, right) = (lines(&own(theirs), recorded), lines(&own(ours), played));
            let pairs = common(&left, &right);
            aspect.matched(pairs.len());
            let (in_left, in_right): (BTreeSet<usize>, BTreeSet<usize>) = pairs.into_iter().unzip();
            for at in (0..left.len()).filter(|at| !in_left.contains(at)) {
                aspect.difference(format!("`{}` at {} s, {stream} lacks: {}", step.command, step.planned, left[at]));
            }
            if is_cut(theirs) {
                aspect
                    .remarks
                    .push(format!("`{}` at {} s: the record of {stream} was cut", step.command, step.planned));
                continue;
            }
            for at in (0..right.len()).filter(|at| !in_right.contains(at)) {
                aspect.difference(format!(
                    "`{}` at {} s, {stream} has besides: {}",
                    step.command, step.planned, right[at]
                ));
            }
        }
    }
    aspect
}

/// The lines of the recorder's own commands without the measured time in front.
fn untimed(text: &str) -> String {
    let number = |word: &str| word.parse::<f64>().is_ok();
    let rest = |line: &str| match line.trim_start().split_once(' ') {
        Some((first, rest)) if number(first) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(rest).collect()
}

/// Whether the recorder cut an output short: a table's last row has a line end.
fn is_cut(text: &str) -> bool {
    !text.is_empty() && !text.ends_with('\n') && text.lines().next().is_some_and(is_header)
}

/// The lines of an output in their normal form; the last line of one that was cut is left out.
fn lines(text: &str, wording: &Wording) -> Vec<String> {
    let text = if is_cut(text) { text.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { text };
    if let Ok(mut json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(text) {
        blank(&mut json);
        let pretty = serde_json::to_string_pretty(&json).unwrap_or_default();
        return pretty.lines().map(|line| wording.of(line, Durations::All)).collect();
    }
    let mut lines: Vec<String> = Vec::new();
    let mut table: Option<Vec<String>> = None;
    for line in text.lines() {
        if let Some(rows) = &mut table {
            if line.trim().is_empty() {
                lines.extend(sorted(table.take()));
            } else {
                rows.push(cells(line, wording));
            }
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let line_of = cells(line, wording);
        if is_header(line) {
            table = Some(Vec::new());
        } else if lines.last() == Some(&line_of) {
            // How often a waiting command repeats itself depends on how many events it saw.
            continue;
        }
        lines.push(line_of);
    }
    lines.extend(sorted(table));
    lines
}

fn sorted(rows: Option<Vec<String>>) -> Vec<String> {
    let mut rows = rows.unwrap_or_default();
    rows.sort_unstable();
    rows
}

/// The head of a table: nothing but capitals, in columns.
fn is_header(line: &str) -> bool {
    line.contains("  ") && line.chars().all(|c| !c.is_lowercase()) && line.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Columns are at least two spaces apart.
fn cells(line: &str, wording: &Wording) -> String {
    let line = match line.trim_start().split_once(' ') {
        Some((key @ ("resourceVersion:" | "uid:"), _)) => format!("{key} <>"),
        _ => line.to_owned(),
    };
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    wording.of(&cells.join("  "), Durations::All)
}

/// Drops what is different every time from JSON.
fn blank(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(fields) => {
            fields.remove("managedFields");
            for (key, value) in fields.iter_mut() {
                match key.as_str() {
                    "resourceVersion" | "uid" => *value = Value::Null,
                    _ => blank(value),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_no_order_and_columns_no_width() {
        let wording = Wording::default();
        let left = "NAME    READY   AGE\nb   1/1     5s\na      0/1     12s\n\nNAME   AGE\nc   1m\n";
        let right = "NAME  READY  AGE\na  0/1  3s\nb  1/1  9s\n\nNAME  AGE\nc  2h\n";
        assert_eq!(lines(left, &wording), lines(right, &wording));
        assert_ne!(lines(left, &wording), lines(&right.replace("0/1", "1/1"), &wording));
    }

    #[test]
    fn a_table_that_was_cut_loses_its_last_line() {
        let cut = "NAME   AGE\na      5s\nb  ";
        assert!(is_cut(cut) && !is_cut("10.1.2.3") && !is_cut("NAME   AGE\na      5s\n"));
        assert_eq!(lines(cut, &Wording::default()).len(), 2);
    }

    #[test]
    fn repeated_lines_of_a_waiting_command_count_once() {
        let wording = Wording::default();
        assert_eq!(lines("Waiting: 1\nWaiting: 1\nWaiting: 2\ndone\n", &wording), ["Waiting: 1", "Waiting: 2", "done"]);
    }

    #[test]
    fn versions_and_uids_in_json_do_not_count() {
        let wording = Wording::default();
        let of = |version: u64| lines(&format!("{{\"metadata\": {{\"resourceVersion\": \"{version}\"}}}}"), &wording);
        assert_eq!(of(1), of(2));
    }
}
