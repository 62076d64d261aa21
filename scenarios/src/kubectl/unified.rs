//! The unified form of the difference between two texts, as `diff -u` prints it.

use std::fmt::Write;

/// Equal lines around a change.
const CONTEXT: usize = 3;

/// A line and where it is: in both texts, only in the old, only in the new.
#[derive(Clone, Copy, PartialEq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The hunks, one after the other; empty if the texts are equal.
pub(crate) fn hunks(old: &str, new: &str) -> String {
    let lines = lines(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let changes: Vec<usize> =
        (0..lines.len()).filter(|n| lines.get(*n).is_some_and(|line| !matches!(line, Line::Both(_)))).collect();
    let mut out = String::new();
    let mut rest = changes.as_slice();
    while let Some(first) = rest.first() {
        // Changes share a hunk while their contexts touch.
        let count = 1 + rest.windows(2).take_while(|pair| pair[1] - pair[0] <= 2 * CONTEXT + 1).count();
        let (hunk, next) = rest.split_at(count);
        rest = next;
        let last = hunk.last().unwrap_or(first);
        let (from, to) = (first.saturating_sub(CONTEXT), (last + CONTEXT + 1).min(lines.len()));
        write_hunk(&mut out, &lines, from, to);
    }
    out
}

fn write_hunk(out: &mut String, lines: &[Line<'_>], from: usize, to: usize) {
    let (before, hunk) = (lines.get(..from).unwrap_or_default(), lines.get(from..to).unwrap_or_default());
    let range = |counts: &dyn Fn(&Line<'_>) -> bool| {
        let start = before.iter().filter(|line| counts(line)).count();
        match hunk.iter().filter(|line| counts(line)).count() {
            0 => format!("{start},0"),
            1 => format!("{}", start + 1),
            length => format!("{},{length}", start + 1),
        }
    };
    let old = range(&|line| !matches!(line, Line::New(_)));
    let new = range(&|line| !matches!(line, Line::Old(_)));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "@@ -{old} +{new} @@");
    for line in hunk {
        let _ = match line {
            Line::Both(text) => writeln!(out, " {text}"),
            Line::Old(text) => writeln!(out, "-{text}"),
            Line::New(text) => writeln!(out, "+{text}"),
        };
    }
}

/// Both texts in one, by a longest common subsequence; what goes stands before what comes.
fn lines<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (same, old) = old.split_at(head);
    let new = new.get(head..).unwrap_or_default();
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, end) = old.split_at(old.len() - tail);
    let new = new.get(..new.len() - tail).unwrap_or_default();
    // `best[i][j]`: how much old[i..] and new[j..] have in common.
    let width = new.len() + 1;
    let mut best = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            best[i * width + j] = if old[i] == new[j] {
                best[(i + 1) * width + j + 1] + 1
            } else {
                best[(i + 1) * width + j].max(best[i * width + j + 1])
            };
        }
    }
    let mut all: Vec<Line<'a>> = same.iter().map(|line| Line::Both(line)).collect();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            all.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && best[(i + 1) * width + j] >= best[i * width + j + 1] {
            all.push(Line::Old(old[i]));
            i += 1;
        } else {
            all.push(Line::New(new[j]));
            j += 1;
        }
    }
    all.extend(end.iter().map(|line| Line::Both(line)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_with_three_lines_around_them() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        assert_eq!(hunks(old, old), "");
        assert_eq!(hunks(old, &old.replace("e\n", "E\nX\n")), "@@ -2,7 +2,8 @@\n b\n c\n d\n-e\n+E\n+X\n f\n g\n h\n");
        assert_eq!(hunks("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(hunks("a\n", ""), "@@ -1 +0,0 @@\n-a\n");
    }

    #[test]
    fn far_changes_have_hunks_of_their_own() {
        let old: String = (0..30).map(|n| format!("line {n}\n")).collect();
        let without = |gone: &[usize]| -> String {
            (0..30).filter(|n| !gone.contains(n)).map(|n| format!("line {n}\n")).collect()
        };
        // Six equal lines between two changes are shown once, seven are not shown whole.
        assert_eq!(hunks(&old, &without(&[5, 12])).matches("@@ -").count(), 1);
        assert_eq!(hunks(&old, &without(&[5, 13])).matches("@@ -").count(), 2);
    }
}
