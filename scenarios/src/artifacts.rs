//! The files a run leaves behind: transcript, trace, charts.
//!
//! A file is written whole or not at all: first beside its place, then renamed. A run that was stopped by a mistake
//! leaves what it has produced so far.

use crate::script::Run;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Format {
    /// The charts as SVG: timeline.svg, series.svg
    Svg,
    /// The charts as bitmaps: timeline.png, series.png
    Png,
    /// The values of the time series as a table: series.csv
    Csv,
    /// Every record of the trace, a JSON object a line: trace.jsonl
    Trace,
    /// What a learner would have seen: transcript.txt
    Transcript,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 5] = [Format::Transcript, Format::Trace, Format::Svg, Format::Png, Format::Csv];

    /// The names of its files.
    pub fn file_names(self) -> &'static [&'static str] {
        match self {
            Format::Svg => &[TIMELINE_SVG, "series.svg", RESILIENCE_SVG],
            Format::Png => &[TIMELINE_PNG, "series.png", RESILIENCE_PNG],
            Format::Csv => &["series.csv", RESILIENCE_JSON],
            Format::Trace => &[TRACE],
            Format::Transcript => &["transcript.txt", RESILIENCE_TXT],
        }
    }
}

/// The file of the trace, in a run's folder.
pub const TRACE: &str = "trace.jsonl";
const TIMELINE_SVG: &str = "timeline.svg";
const TIMELINE_PNG: &str = "timeline.png";
/// Only of runs with faults.
const RESILIENCE_SVG: &str = "resilience.svg";
const RESILIENCE_PNG: &str = "resilience.png";
const RESILIENCE_JSON: &str = "resilience.json";
const RESILIENCE_TXT: &str = "resilience.txt";

/// Draws a run. `None` means that there is nothing to draw.
pub trait Charts {
    /// The timeline as SVG; `title` is the script's name.
    fn svg(&self, run: &Run, title: &str) -> Result<Option<Vec<u8>>, String>;
    /// The timeline as PNG.
    fn png(&self, run: &Run, title: &str) -> Result<Option<Vec<u8>>, String>;
    /// The time series in a format: SVG, PNG or CSV.
    fn series(&self, run: &Run, title: &str, format: Format) -> Result<Option<Vec<u8>>, String>;
    /// What faults did to workloads, as SVG or PNG.
    fn resilience(&self, _run: &Run, _title: &str, _format: Format) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
}

/// Draws nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCharts;

impl Charts for NoCharts {
    fn svg(&self, _run: &Run, _title: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn png(&self, _run: &Run, _title: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn series(&self, _run: &Run, _title: &str, _format: Format) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
}

/// Whether files can be written into a folder that is still to be made: a file may stand in its place or above.
pub fn check_folder(folder: &Path) -> Result<(), String> {
    match folder.ancestors().find(|place| place.exists()) {
        Some(place) if !place.is_dir() => {
            Err(format!("cannot write into {}: {} is a file, not a folder", folder.display(), place.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a run's files into a folder, which is made if need be; returns their paths. What an earlier run left of a format
/// that this one has nothing for is removed. The error is a sentence for the user.
pub fn write(
    folder: &Path,
    formats: &[Format],
    run: &Run,
    title: &str,
    charts: &dyn Charts,
) -> Result<Vec<PathBuf>, String> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("cannot write {}: {error}", path.display());
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut written = Vec::new();
    let wanted = Format::ALL.into_iter().filter(|format| formats.contains(format));
    for (format, name) in wanted.flat_map(|format| format.file_names().iter().map(move |name| (format, *name))) {
        let path = folder.join(name);
        let drawn = |chart: Result<Option<Vec<u8>>, String>| chart.map_err(|error| failed(&path, &error));
        let done = match (format, &run.session) {
            (Format::Transcript, session) if name == RESILIENCE_TXT => {
                let report = session.as_ref().and_then(crate::resilience::report);
                bytes(&path, report.map(|report| crate::resilience::text(&report).into_bytes()))
            }
            (Format::Csv, session) if name == RESILIENCE_JSON => {
                let report = session.as_ref().and_then(crate::resilience::report);
                let json = report.map(|report| serde_json::to_vec_pretty(&report)).transpose();
                json.map_err(io::Error::from).and_then(|json| bytes(&path, json))
            }
            (Format::Transcript, _) => {
                whole(&path, |out| out.write_all(run.transcript.text().as_bytes())).map(|()| true)
            }
            (Format::Trace, Some(session)) => whole(&path, |out| session.trace_jsonl(out)).map(|()| true),
            (Format::Trace, None) => Ok(false),
            (Format::Svg, _) if name == TIMELINE_SVG => bytes(&path, drawn(charts.svg(run, title))?),
            (Format::Png, _) if name == TIMELINE_PNG => bytes(&path, drawn(charts.png(run, title))?),
            (Format::Svg | Format::Png, _) if [RESILIENCE_SVG, RESILIENCE_PNG].contains(&name) => {
                bytes(&path, drawn(charts.resilience(run, title, format))?)
            }
            (Format::Svg | Format::Png | Format::Csv, _) => bytes(&path, drawn(charts.series(run, title, format))?),
        };
        match done.map_err(|error| failed(&path, &error))? {
            true => written.push(path),
            false if path.is_file() => fs::remove_file(&path).map_err(|error| failed(&path, &error))?,
            false => {}
        }
    }
    Ok(written)
}

fn bytes(path: &Path, content: Option<Vec<u8>>) -> io::Result<bool> {
    match content {
        Some(content) => whole(path, |out| out.write_all(&content)).map(|()| true),
        None => Ok(false),
    }
}

/// Writes a file beside its place and renames it.
pub(crate) fn whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut out = BufWriter::new(File::create(&part)?);
    let filled = fill(&mut out).and_then(|()| out.flush());
    drop(out);
    match filled {
        Ok(()) => fs::rename(&part, path),
        Err(error) => {
            // The file is of no use; that it cannot be removed either is no news.
            let _ = fs::remove_file(&part);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_way_is_named_before_anything_runs() {
        let folder = std::env::temp_dir().join(format!("wavetank-artifacts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        assert_eq!(check_folder(&folder.join("new/deep")), Ok(()));
        assert!(check_folder(&folder.join("file")).unwrap_err().ends_with("is a file, not a folder"));
        assert!(check_folder(&folder.join("file/below")).unwrap_err().contains("file is a file"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_filled_leaves_the_old_one_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("wavetank-whole-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("x.txt");
        whole(&path, |out| out.write_all(b"old")).unwrap();
        assert!(whole(&path, |out| out.write_all(b"half").and(Err(io::ErrorKind::Other.into()))).is_err());
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["x.txt"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::remove_dir_all(&folder).unwrap();
    }
}
