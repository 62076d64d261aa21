//! A chart's values as a table for other programs: comma-separated as RFC 4180 says, a value a row.
//!
//! Columns: `seconds` (simulated, since the script's time zero), `quantity`, `subject` (which member, reads or writes;
//! empty if there is only one), `statistic`, `value`, `unit`. Durations are in seconds, sizes in bytes. The quantities
//! `mark` and `fault` have their names as subjects; a fault's value is how long it lasted.

use super::model::{Chart, Panel, Unit};
use crate::duration::{SECOND, decimal};

/// The chart as the text of a CSV file.
pub fn csv(chart: &Chart) -> String {
    let mut out = Rows { text: String::from("seconds,quantity,subject,statistic,value,unit\r\n") };
    for panel in &chart.panels {
        out.panel(panel);
    }
    for band in &chart.bands {
        let lasted = seconds(band.end.saturating_sub(band.start));
        out.row(band.start, ["fault", &band.label, "", &lasted, "seconds"]);
    }
    for mark in &chart.marks {
        out.row(mark.at, ["mark", &mark.label, "", "", ""]);
    }
    out.text
}

struct Rows {
    text: String,
}

impl Rows {
    fn panel(&mut self, panel: &Panel) {
        let (name, unit) = (panel.name.as_str(), unit_name(panel.unit));
        for spell in panel.spells.iter().flatten() {
            let value = spell.value.map_or_else(String::new, |value| value.to_string());
            self.row(spell.start, [name, &spell.subject, "term", &value, ""]);
        }
        for line in &panel.lines {
            for point in &line.points {
                if let Some(value) = point.value {
                    self.row(point.at, [name, &line.subject, &line.statistic, &number(value, panel.unit), unit]);
                }
            }
        }
        for limit in &panel.limits {
            self.row(0, [name, "", &limit.label, &number(limit.value, panel.unit), unit]);
        }
    }

    fn row(&mut self, at: u64, fields: [&str; 5]) {
        self.text.push_str(&seconds(at));
        for field in fields {
            self.text.push(',');
            self.text.push_str(&quoted(field));
        }
        self.text.push_str("\r\n");
    }
}

/// A field; in quotes if it has to be.
fn quoted(field: &str) -> std::borrow::Cow<'_, str> {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")).into(),
        false => field.into(),
    }
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "count",
        Unit::Bytes => "bytes",
        Unit::Duration => "seconds",
        Unit::PerSecond => "per second",
    }
}

fn number(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Count | Unit::Bytes => value.to_string(),
        Unit::Duration => seconds(value),
        Unit::PerSecond => super::amounts::thousandths(value),
    }
}

/// Nanoseconds as seconds, without needless zeros.
fn seconds(nanoseconds: u64) -> String {
    let text = decimal(nanoseconds, SECOND, 9);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Band, Line, Mark, Point, Spell};
    use super::*;

    #[test]
    fn a_value_a_row_in_base_units_and_quoted_where_needed() {
        let line = Line {
            subject: "etcd-0".into(),
            statistic: "p99".into(),
            points: vec![
                Point { at: SECOND / 2, value: Some(1_250_000) },
                Point { at: SECOND, value: None },
                Point { at: 10 * SECOND, value: Some(0) },
            ],
            ..Line::default()
        };
        let spell = Spell {
            start: 0,
            end: SECOND,
            label: String::new(),
            short: String::new(),
            hue: Default::default(),
            subject: "etcd-2".into(),
            value: Some(3),
        };
        let panels = vec![
            Panel { name: "leader".into(), spells: Some(vec![spell]), ..Panel::default() },
            Panel { name: "fsync".into(), unit: Unit::Duration, lines: vec![line], ..Panel::default() },
        ];
        let marks = vec![Mark { at: 2 * SECOND, label: "scale, then \"wait\"".into() }];
        let bands = vec![Band { label: "slow disk".into(), start: SECOND, end: 3 * SECOND }];
        let text = csv(&Chart { panels, marks, bands, ..Chart::default() });
        let rows = [
            "seconds,quantity,subject,statistic,value,unit",
            "0,leader,etcd-2,term,3,",
            "0.5,fsync,etcd-0,p99,0.00125,seconds",
            "10,fsync,etcd-0,p99,0,seconds",
            "1,fault,slow disk,,2,seconds",
            "2,mark,\"scale, then \"\"wait\"\"\",,,",
            "",
        ];
        assert_eq!(text, rows.join("\r\n"));
    }
}
