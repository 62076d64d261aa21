//! A small text table with aligned columns, for summaries on a terminal and in transcripts.
//!
//! Two blanks between columns, no trailing blanks, an optional rule under the header. Width is counted in characters.

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells under a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    header: Vec<String>,
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
    rule: bool,
}

impl Table {
    /// A table with these columns and no rows.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Table {
        let (header, align) = columns.into_iter().map(|(name, align)| (name.into(), align)).unzip();
        Table { header, align, rows: Vec::new(), rule: false }
    }

    /// The same table with a line of dashes under the header.
    pub fn with_rule(mut self) -> Table {
        self.rule = true;
        self
    }

    /// Adds a row; missing cells are empty, surplus ones are left out.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Table {
        let mut row: Vec<String> = cells.into_iter().map(|cell| cell.into().replace(['\n', '\r'], " ")).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
        self
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.chain(self.header.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..self.header.len()).map(width).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let padded = cells.iter().zip(widths).zip(&self.align).map(|((cell, &width), align)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        let line: Vec<String> = padded.collect();
        line.join("  ").trim_end().to_string()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths = self.widths();
        writeln!(out, "{}", self.line(&self.header, &widths))?;
        if self.rule {
            let dashes: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            writeln!(out, "{}", dashes.join("  "))?;
        }
        for row in &self.rows {
            writeln!(out, "{}", self.line(row, &widths))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_do_not_end_in_blanks() {
        let mut table = Table::new([("phase", Align::Left), ("pods", Align::Right), ("note", Align::Left)]).with_rule();
        table.row(["rollout", "12", "slow"]).row(["scale-down €", "3"]);
        let expected = "\
phase         pods  note
------------  ----  ----
rollout         12  slow
scale-down €     3
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn a_line_break_in_a_cell_does_not_break_the_row() {
        let mut table = Table::new([("a", Align::Left)]);
        table.row(["x\ny", "surplus"]);
        assert_eq!(table.to_string(), "a\nx y\n");
    }
}
