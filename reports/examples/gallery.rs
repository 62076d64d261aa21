//! Writes a gallery of made-up timelines and time series as SVG and PNG, to be looked at.
//!
//! `cargo run -p wavetank-reports --example gallery -- DIRECTORY`

#[path = "gallery/charts.rs"]
mod charts;
#[path = "gallery/models.rs"]
mod models;

#[path = "gallery/explanations.rs"]
mod explanations;

use std::path::PathBuf;
use std::process::ExitCode;

use wavetank_reports::explanation::heatmap;
use wavetank_reports::{ReportError, Theme, series, timeline, write_whole};

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: gallery DIRECTORY");
        return ExitCode::from(2);
    };
    match write_all(&directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(directory: &std::path::Path) -> Result<(), ReportError> {
    for (name, chart) in charts::all() {
        write_chart(directory, name, &chart, &Theme::light())?;
    }
    write_chart(directory, "series-leaders-dark", &charts::leaders(), &Theme::dark())?;
    write_chart(directory, "series-leaders-slide", &charts::leaders(), &Theme::light().with_width(1000))?;
    for (name, model) in models::all() {
        write_one(directory, name, &model, &Theme::light())?;
    }
    for (name, why) in explanations::all() {
        for (theme, look) in [(Theme::light(), ""), (Theme::dark(), "-dark")] {
            write_whole(directory.join(format!("{name}{look}.svg")), heatmap::svg(&why, &theme)?)?;
            write_whole(directory.join(format!("{name}{look}.png")), heatmap::png(&why, &theme, 2.0)?)?;
        }
    }
    write_one(directory, "five-pods-dark", &models::five_pods(), &Theme::dark())?;
    write_one(directory, "five-pods-slide", &models::five_pods(), &Theme::light().with_width(1100))
}

fn write_chart(
    directory: &std::path::Path,
    name: &str,
    chart: &series::Chart,
    theme: &Theme,
) -> Result<(), ReportError> {
    let svg = series::svg(chart, theme)?;
    let png = series::png(chart, theme, 2.0)?;
    println!("{name}: SVG {} KB, PNG {} KB", svg.len() / 1000, png.len() / 1000);
    write_whole(directory.join(format!("{name}.svg")), svg)?;
    write_whole(directory.join(format!("{name}.png")), png)
}

fn write_one(
    directory: &std::path::Path,
    name: &str,
    model: &wavetank_reports::Timeline,
    theme: &Theme,
) -> Result<(), ReportError> {
    let svg = timeline::svg(model, theme)?;
    let png = timeline::png(model, theme, 2.0)?;
    println!("{name}: SVG {} KB, PNG {} KB", svg.len() / 1000, png.len() / 1000);
    write_whole(directory.join(format!("{name}.svg")), svg)?;
    write_whole(directory.join(format!("{name}.png")), png)
}
