//! The resilience report as text: two tables.

use std::fmt::Write;

use super::Resilience;
use crate::script::duration;

/// The report for people.
pub fn text(report: &Resilience) -> String {
    let faults = report.faults.iter().map(|fault| {
        let lasted = fault.ended.map_or("still on".to_owned(), |ended| time(ended - fault.began));
        let detected = match (&fault.detected_after, &fault.detected_by) {
            (Some(after), Some(by)) => format!("{} ({by})", time(*after)),
            _ => "–".to_owned(),
        };
        let recovered = match (fault.degraded, fault.recovered_after) {
            (false, _) => "nothing lost".to_owned(),
            (true, Some(after)) => time(after),
            (true, None) => "not yet".to_owned(),
        };
        vec![fault.fault.clone(), time(fault.began), lasted, detected, recovered]
    });
    let workloads = report.workloads.iter().map(|one| {
        let lost = match (one.requests, one.requests_lost) {
            (Some(sent), Some(lost)) => format!("{lost} of {sent}"),
            _ => "–".to_owned(),
        };
        vec![
            one.workload.clone(),
            time(one.below_desired),
            time(one.without_any),
            format!("{} of {}", one.lowest_available, one.desired),
            one.pods_created.to_string(),
            one.pods_evicted.to_string(),
            one.restarts.to_string(),
            lost,
        ]
    });
    let heads = ["FAULT", "BEGAN", "LASTED", "DETECTED AFTER", "RECOVERED AFTER"];
    let mut out = table(&heads, faults.collect());
    out.push('\n');
    let heads = ["WORKLOAD", "TOO FEW", "NONE", "LOWEST", "CREATED", "EVICTED", "RESTARTS", "REQUESTS LOST"];
    out.push_str(&table(&heads, workloads.collect()));
    out
}

/// Seconds as people write them, at most to a tenth.
fn time(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round().max(0.0) as u64;
    duration::text(tenths * 100_000_000)
}

fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..heads.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
