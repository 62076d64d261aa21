//! The transcript: what a learner would have seen at the terminal, with the virtual time beside it.
//!
//! A line is stamped with the virtual time it was printed at; the stamp is left out when it would repeat the one above.
//! Prose stands at the left margin. Text only ever grows at its end, so it can be shown while the run goes on.

use crate::session::Nanos;

/// What a line of the transcript is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command as it is typed, and the here-document it is given.
    Command,
    /// What a command or the script prints.
    Output,
    /// Prose between the commands.
    Note,
    /// A mark on the timeline.
    Mark,
    /// Something goes wrong, or is mended, because the script wants it.
    Fault,
    /// A wait that came to its end.
    Wait,
    /// An expectation that held.
    Passed,
    /// An expectation that failed, or the mistake that stopped the script.
    Failed,
}

/// One line, as it is handed to whoever follows the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: Kind,
    /// The stamp `[ 12.345s] `, as many blanks, or nothing for prose.
    pub stamp: String,
    /// The line itself, without a line break.
    pub text: String,
}

/// The text so far and where its next line stands.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    text: String,
    /// The stamp shown last. [ms]
    shown: Option<u64>,
    after_prose: bool,
}

impl Transcript {
    /// An empty transcript.
    pub fn new() -> Self {
        Self::default()
    }

    /// The whole text, each line ended by a line break.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds `text`, line by line, and returns the lines with their stamps.
    pub fn push(&mut self, at: Nanos, kind: Kind, text: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        if kind == Kind::Note && !self.text.is_empty() && !self.after_prose {
            lines.push(Line { kind, stamp: String::new(), text: String::new() });
        }
        self.after_prose = kind == Kind::Note;
        for (i, part) in text.split('\n').enumerate() {
            let part = part.trim_end_matches('\r');
            lines.push(match kind {
                Kind::Note if part.is_empty() => Line { kind, stamp: String::new(), text: "#".into() },
                Kind::Note => Line { kind, stamp: String::new(), text: format!("# {part}") },
                _ => Line { kind, stamp: self.stamp(at, i == 0 && kind != Kind::Output), text: part.into() },
            });
        }
        for line in &lines {
            let length = self.text.len();
            self.text.push_str(&line.stamp);
            self.text.push_str(&line.text);
            let kept = self.text.trim_end_matches(' ').len().max(length);
            self.text.truncate(kept);
            self.text.push('\n');
        }
        lines
    }

    /// The stamp of a line printed now; blanks when it says nothing new.
    fn stamp(&mut self, at: Nanos, always: bool) -> String {
        let milliseconds = at / 1_000_000;
        let stamp = format!("[{:>3}.{:03}s] ", milliseconds / 1_000, milliseconds % 1_000);
        match self.shown == Some(milliseconds) && !always {
            true => " ".repeat(stamp.len()),
            false => {
                self.shown = Some(milliseconds);
                stamp
            }
        }
    }
}

impl Line {
    /// The line for a terminal, with colours.
    pub fn coloured(&self) -> String {
        let (before, after) = match self.kind {
            Kind::Command => ("\x1b[1m", "\x1b[0m"),
            Kind::Output => ("", ""),
            Kind::Note => ("\x1b[36m", "\x1b[0m"),
            Kind::Mark => ("\x1b[1;35m", "\x1b[0m"),
            Kind::Fault => ("\x1b[33m", "\x1b[0m"),
            Kind::Wait => ("\x1b[2m", "\x1b[0m"),
            Kind::Passed => ("\x1b[32m", "\x1b[0m"),
            Kind::Failed => ("\x1b[1;31m", "\x1b[0m"),
        };
        match self.stamp.trim().is_empty() {
            true => format!("{}{before}{}{after}", self.stamp, self.text),
            false => format!("\x1b[2m{}\x1b[0m{before}{}{after}", self.stamp, self.text),
        }
    }

    /// The line as it stands in the file.
    pub fn plain(&self) -> String {
        format!("{}{}", self.stamp, self.text).trim_end_matches(' ').to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_stamp_is_shown_when_time_has_moved() {
        let mut transcript = Transcript::new();
        transcript.push(0, Kind::Note, "Phase 1\n\nThe API server writes.");
        transcript.push(0, Kind::Command, "$ kubectl get pods");
        transcript.push(41 * MS, Kind::Output, "NAME    READY");
        transcript.push(41 * MS + 999, Kind::Output, "nginx   1/1");
        transcript.push(42 * MS, Kind::Note, "Better.");
        transcript.push(42 * MS, Kind::Mark, "── scale up ──");
        transcript.push(42 * MS, Kind::Passed, "✓ fine");
        transcript.push(1_234_567 * MS, Kind::Failed, "✗ late");
        let expected = "\
# Phase 1
#
# The API server writes.
[  0.000s] $ kubectl get pods
[  0.041s] NAME    READY
           nginx   1/1

# Better.
[  0.042s] ── scale up ──
[  0.042s] ✓ fine
[1234.567s] ✗ late
";
        assert_eq!(transcript.text(), expected);
    }

    #[test]
    fn plain_lines_make_up_the_text() {
        let mut transcript = Transcript::new();
        let mut lines = transcript.push(5 * MS, Kind::Command, "$ kubectl apply -f - <<EOF\nkind: Pod\n\nEOF");
        lines.extend(transcript.push(5 * MS, Kind::Output, "x "));
        let text: String = lines.iter().map(|line| line.plain() + "\n").collect();
        assert_eq!(text, transcript.text());
        assert_eq!(
            text,
            "[  0.005s] $ kubectl apply -f - <<EOF\n           kind: Pod\n\n           EOF\n           x\n"
        );
    }
}
