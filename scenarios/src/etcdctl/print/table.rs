//! Tables with borders.
//!
//! Models: github.com/olekukonko/tablewriter v0.0.5 as etcdctl uses it: capitals centred in the head, cells flush
//! right, long cells broken at blanks so that the lines are as even as can be.

/// Width above which a cell is broken, [characters] – constant; tablewriter: MAX_ROW_WIDTH, 30.
const MAX_WIDTH: usize = 30;
/// Added to the cost of a line that is too long – constant; tablewriter: defaultPenalty, 1e5.
const PENALTY: usize = 100_000;

/// Lays out a table.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|name| name.to_uppercase()).collect();
    let mut widths: Vec<usize> = head.iter().map(|name| width(name)).collect();
    for row in rows {
        for (known, cell) in widths.iter_mut().zip(row) {
            *known = limit(cell).max(*known);
        }
    }
    let rows: Vec<Vec<Vec<String>>> = rows.iter().map(|row| row.iter().map(|cell| wrap(cell)).collect()).collect();
    let border: String = widths.iter().map(|w| format!("+{}", "-".repeat(w + 2))).collect::<String>() + "+\n";
    let mut out = border.clone();
    for (name, w) in head.iter().zip(&widths) {
        let gap = w - width(name);
        out.push_str(&format!("| {}{name}{} ", " ".repeat(gap / 2), " ".repeat(gap - gap / 2)));
    }
    out.push_str("|\n");
    out.push_str(&border);
    for row in &rows {
        for i in 0..row.iter().map(Vec::len).max().unwrap_or(0) {
            for (lines, w) in row.iter().zip(&widths) {
                let line = lines.get(i).map_or("", String::as_str);
                out.push_str(&format!("| {}{line} ", " ".repeat(w.saturating_sub(width(line)))));
            }
            out.push_str("|\n");
        }
    }
    out + &*border
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The width of a cell: no less than its longest word.
fn limit(cell: &str) -> usize {
    cell.split([' ', '\n']).map(width).max().unwrap_or(0).max(width(cell).min(MAX_WIDTH))
}

/// Breaks a cell into lines. Of all ways to do so it takes the one with the least sum of squares of the room left.
fn wrap(cell: &str) -> Vec<String> {
    let words: Vec<&str> = cell.split([' ', '\n']).collect();
    let limit = limit(cell);
    let length =
        |from: usize, to: usize| (words[from..to].iter().map(|w| width(w) + 1).sum::<usize>()).saturating_sub(1);
    let count = words.len();
    // The cost of the lines from a word on, and where the first of them ends.
    let mut best: Vec<(usize, usize)> = vec![(0, count); count + 1];
    for from in (0..count).rev() {
        if length(from, count) <= limit {
            continue;
        }
        let ways = (from + 1..count).map(|to| {
            let room = limit.abs_diff(length(from, to));
            let penalty = if length(from, to) > limit { PENALTY } else { 0 };
            (room * room + penalty + best[to].0, to)
        });
        best[from] = ways.min().unwrap_or((PENALTY, count));
    }
    let (mut lines, mut from) = (Vec::new(), 0);
    while from < count {
        let to = best[from].1;
        lines.push(words[from..to].join(" "));
        from = to;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_centred_and_cells_flush_right() {
        let rows = [vec!["a".to_string(), "12345".to_string()]];
        let lines =
            ["+------+-------+", "| NAME |  ID   |", "+------+-------+", "|    a | 12345 |", "+------+-------+"];
        assert_eq!(table(&["name", "ID"], &rows), lines.join("\n") + "\n");
    }

    #[test]
    fn long_cells_are_broken_at_blanks() {
        let lines = wrap("memberID:10276657743932975437 alarm:NOSPACE ");
        assert_eq!(lines, ["memberID:10276657743932975437", "alarm:NOSPACE "]);
        assert_eq!(wrap("http://a-very-long-name.example.org:2380"), ["http://a-very-long-name.example.org:2380"]);
        assert_eq!(wrap(""), [""]);
    }
}
