//! A run against what it gave before: the transcript word for word, the trace in full or condensed.
//!
//! Beside `01-x.rhai` lie `01-x.transcript.txt` and `01-x.trace`. The trace file begins with the fingerprint and the
//! figures of the run; below stand the records, if they are small enough to be reviewed, else a digest for each virtual
//! second, which tells where a run has changed.

use crate::script::Run;
use crate::session::Session;
use similar::{ChangeTag, TextDiff};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A trace up to this size is kept in full. [bytes]
const FULL: usize = 1 << 20;
/// Lines of a difference that are shown.
const SHOWN: usize = 60;
/// Lines around a change.
const CONTEXT: usize = 3;
/// Lines on each side that are compared at all, once what both have in common at their ends is set aside.
const COMPARED: usize = 4_000;
/// Longest line shown. [characters]
const WIDTH: usize = 160;

/// What is kept of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The transcript's text.
    pub transcript: String,
    /// Figures and records, or digests, of the trace.
    pub trace: String,
}

/// Where a script's snapshot lies: transcript and trace.
pub fn files(script: &Path) -> [PathBuf; 2] {
    [script.with_extension("transcript.txt"), script.with_extension("trace")]
}

impl Snapshot {
    /// The snapshot of a run; the error is a sentence for the user.
    pub fn of(run: &Run) -> Result<Snapshot, String> {
        let trace = match &run.session {
            Some(session) => trace(session).map_err(|error| format!("cannot read the trace: {error}"))?,
            None => String::new(),
        };
        Ok(Snapshot { transcript: run.transcript.text().to_string(), trace })
    }

    /// The kept snapshot of a script; `None` in place of a file that is not there.
    #[expect(clippy::disallowed_methods, reason = "snapshots are files")]
    pub fn read(script: &Path) -> Result<[Option<String>; 2], String> {
        let [transcript, trace] = files(script);
        let read = |path: &Path| match std::fs::read_to_string(path) {
            // A checkout may have turned line breaks into those of its system.
            Ok(text) => Ok(Some(text.replace("\r\n", "\n"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        };
        Ok([read(&transcript)?, read(&trace)?])
    }

    /// Keeps this snapshot beside the script.
    pub fn write(&self, script: &Path) -> Result<(), String> {
        for (path, text) in files(script).iter().zip([&self.transcript, &self.trace]) {
            crate::artifacts::whole(path, |out| out.write_all(text.as_bytes()))
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }
}

fn trace(session: &Session) -> io::Result<String> {
    let mut condenser = Condenser::default();
    session.comparable_trace(&mut condenser)?;
    let statistics = session.statistics();
    let (records, body) = condenser.finish();
    Ok(format!(
        "fingerprint {:016x}\nevents      {}\nrecords     {records}\nends        {}\n\n{body}",
        statistics.fingerprint,
        statistics.events,
        crate::script::duration::text(statistics.virtual_end),
    ))
}

/// Takes a trace as it is written: keeps it while it is small, and digests it second by second.
#[derive(Default)]
struct Condenser {
    full: Vec<u8>,
    size: usize,
    line: Vec<u8>,
    records: u64,
    seconds: Vec<Second>,
}

/// The records of one virtual second.
struct Second {
    number: u64,
    records: u64,
    /// FNV-1a over their lines.
    digest: u64,
}

impl Write for Condenser {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len();
        if self.size <= FULL {
            self.full.extend_from_slice(bytes);
        } else {
            self.full = Vec::new();
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.record();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Condenser {
    fn record(&mut self) {
        self.records += 1;
        let last = self.seconds.last().map_or(0, |second| second.number);
        let number = instant_of(&self.line).map_or(last, |at| at / 1_000_000_000);
        if self.seconds.last().is_none_or(|second| second.number != number) {
            self.seconds.push(Second { number, records: 0, digest: 0xcbf2_9ce4_8422_2325 });
        }
        if let Some(second) = self.seconds.last_mut() {
            second.records += 1;
            for byte in &self.line {
                second.digest = (second.digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        self.line.clear();
    }

    fn finish(mut self) -> (u64, String) {
        if !self.line.is_empty() {
            self.record();
        }
        if self.size <= FULL {
            return (self.records, String::from_utf8_lossy(&self.full).into_owned());
        }
        let line = |second: &Second| {
            format!("second {:<6} {:>8} records   {:016x}\n", second.number, second.records, second.digest)
        };
        (self.records, self.seconds.iter().map(line).collect())
    }
}

/// The instant a record names in its field `at`. [ns]
fn instant_of(line: &[u8]) -> Option<u64> {
    const FIELD: &[u8] = b",\"t\":";
    let start = line.windows(FIELD.len()).position(|window| window == FIELD)? + FIELD.len();
    let digits: Vec<u8> = line.get(start..)?.iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// The differences between two texts, with context, as lines for a terminal; `None` if there are none.
pub fn difference(kept: &str, new: &str, coloured: bool) -> Option<String> {
    if kept == new {
        return None;
    }
    let (kept_lines, new_lines): (Vec<&str>, Vec<&str>) = (kept.lines().collect(), new.lines().collect());
    let same_before = kept_lines.iter().zip(&new_lines).take_while(|(a, b)| a == b).count();
    let start = same_before.saturating_sub(CONTEXT);
    let kept_lines = kept_lines.get(start..).unwrap_or_default();
    let new_lines = new_lines.get(start..).unwrap_or_default();
    let same_after = kept_lines.iter().rev().zip(new_lines.iter().rev()).take_while(|(a, b)| a == b).count();
    let same_after = same_after.min(kept_lines.len().min(new_lines.len()).saturating_sub(same_before - start));
    let part = |lines: &[&str]| -> Vec<String> {
        let end = (lines.len() - same_after + CONTEXT.min(same_after)).min(COMPARED);
        lines.get(..end).unwrap_or_default().iter().map(|line| line.to_string()).collect()
    };
    Some(render(start, &part(kept_lines), &part(new_lines), coloured))
}

fn render(start: usize, kept: &[String], new: &[String], coloured: bool) -> String {
    let (kept, new): (Vec<&str>, Vec<&str>) =
        (kept.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&kept, &new);
    let paint = |code: &str, text: String| if coloured { format!("\x1b[{code}m{text}\x1b[0m\n") } else { text + "\n" };
    let mut lines = Vec::new();
    for group in diff.grouped_ops(CONTEXT) {
        let at = group.first().map_or(0, |op| op.new_range().start) + start + 1;
        lines.push(paint("36", format!("@@ line {at}")));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = cut(change.value());
            lines.push(match change.tag() {
                ChangeTag::Delete => paint("31", format!("- {text}")),
                ChangeTag::Insert => paint("32", format!("+ {text}")),
                ChangeTag::Equal => format!("  {text}\n"),
            });
        }
    }
    let hidden = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if hidden > 0 {
        lines.push(paint("2", format!("… {hidden} more lines")));
    }
    lines.concat()
}

fn cut(line: &str) -> String {
    match line.chars().count() > WIDTH {
        true => line.chars().take(WIDTH).chain(['…']).collect(),
        false => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> String {
        (1..=count).map(|i| format!("line {i}\n")).collect()
    }

    #[test]
    fn a_difference_shows_the_place_with_context() {
        let new = numbers(100).replace("line 50\n", "line fifty\nline 50b\n");
        let expected = "\
@@ line 47
  line 47
  line 48
  line 49
- line 50
+ line fifty
+ line 50b
  line 51
  line 52
  line 53
";
        assert_eq!(difference(&numbers(100), &new, false).unwrap(), expected);
        assert_eq!(difference(&new, &new, false), None);
        assert!(difference(&numbers(100), &new, true).unwrap().contains("\x1b[31m- line 50\x1b[0m"));
    }

    #[test]
    fn ends_and_repeated_lines_are_compared_right() {
        assert_eq!(difference("a\na\na\n", "a\na\n", false).unwrap().matches("- a").count(), 1);
        assert_eq!(difference("", "x\n", false).unwrap(), "@@ line 1\n+ x\n");
        assert_eq!(difference("x\ny\n", "x\n", false).unwrap(), "@@ line 1\n  x\n- y\n");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let text = difference(&numbers(10_000), &numbers(10_000).replace("line", "row"), false).unwrap();
        assert_eq!(text.lines().count(), SHOWN + 1);
        assert!(text.ends_with("more lines\n"));
    }

    fn condensed(lines: usize) -> (u64, String) {
        let mut condenser = Condenser::default();
        for i in 0..lines {
            writeln!(condenser, "{{\"id\":{i},\"t\":{},\"what\":\"ready\"}}", i as u64 * 100_000_000).unwrap();
        }
        condenser.finish()
    }

    #[test]
    fn a_small_trace_is_kept_and_a_large_one_digested() {
        let (records, body) = condensed(25);
        assert_eq!((records, body.lines().count()), (25, 25));
        let (records, body) = condensed(40_000);
        assert_eq!((records, body.lines().count()), (40_000, 4_000));
        let first = body.lines().next().unwrap();
        assert!(first.starts_with("second 0            10 records   "), "{first}");
    }
}
