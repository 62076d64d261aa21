//! Columns of text.
//!
//! [`align`] is Go's `text/tabwriter` with the parameters `describe` and `rollout history` use: a cell ends with a tab,
//! a column is a run of consecutive lines that have such a cell, two blanks between columns. [`Columns`] is the variant
//! of `get`, which remembers widths while it watches.
//! Models: Go text/tabwriter; kubernetes v1.36.2 staging/src/k8s.io/cli-runtime/pkg/printers/tabwriter.go.

/// Blanks between the columns of `describe` – constant; Kubernetes: tabwriter padding, 2.
const PADDING: usize = 2;
/// Blanks between the columns of `get` – constant; Kubernetes: tabwriterPadding, 3.
const TABLE_PADDING: usize = 3;
/// Least width of a column of `get`, padding included – constant; Kubernetes: tabwriterMinWidth, 6.
const TABLE_MIN_WIDTH: usize = 6;

/// Replaces the tabs of `text` by blanks.
pub(crate) fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len().saturating_sub(1)]).collect();
    columns(&lines, &mut widths, 0, lines.len(), 0);
    let mut out = String::with_capacity(text.len() * 2);
    for (i, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
        if i > 0 {
            out.push('\n');
        }
        for (j, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths.get(j) {
                out.push_str(&" ".repeat(width.saturating_sub(cell.chars().count())));
            }
        }
    }
    out
}

/// Sets the widths of column `column` and of the columns right of it, block by block.
fn columns(lines: &[Vec<&str>], widths: &mut [Vec<usize>], from: usize, to: usize, column: usize) {
    let mut line = from;
    while line < to {
        if lines[line].len() <= column + 1 {
            line += 1;
            continue;
        }
        let start = line;
        let mut width = 0;
        while line < to && lines[line].len() > column + 1 {
            width = width.max(lines[line][column].chars().count());
            line += 1;
        }
        for row in &mut widths[start..line] {
            row[column] = width + PADDING;
        }
        columns(lines, widths, start, line, column + 1);
    }
}

/// The columns of one `get` table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// Lays out rows of equally many cells. Columns never get narrower from one call to the next.
    pub fn lay_out(&mut self, rows: &[Vec<String>]) -> String {
        for row in rows {
            for (i, cell) in row.iter().enumerate() {
                let width = (cell.chars().count() + TABLE_PADDING).max(TABLE_MIN_WIDTH);
                match self.widths.get_mut(i) {
                    Some(known) => *known = (*known).max(width),
                    None => self.widths.push(width),
                }
            }
        }
        let mut out = String::new();
        for row in rows {
            for (i, cell) in row.iter().enumerate() {
                out.push_str(cell);
                if i + 1 < row.len() {
                    let width = self.widths.get(i).copied().unwrap_or(0);
                    out.push_str(&" ".repeat(width.saturating_sub(cell.chars().count())));
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_a_run_of_lines_with_that_cell() {
        assert_eq!(
            align("Name:\tx\nNamespace:\ty\nIPs:\n  IP:\tz\n"),
            "Name:       x\nNamespace:  y\nIPs:\n  IP:  z\n"
        );
    }

    #[test]
    fn table_columns_have_a_least_width_and_keep_it() {
        let row = |cells: &[&str]| cells.iter().map(|c| c.to_string()).collect::<Vec<_>>();
        let mut columns = Columns::default();
        assert_eq!(columns.lay_out(&[row(&["NAME", "AGE"]), row(&["a", "5s"])]), "NAME   AGE\na      5s\n");
        assert_eq!(columns.lay_out(&[row(&["long-name", "9s"])]), "long-name   9s\n");
        assert_eq!(columns.lay_out(&[row(&["a", "10s"])]), "a           10s\n");
    }
}
