//! The picture of quantities over time: sizes, latencies, rates, who leads.
//!
//! Small multiples: one axis of time, a panel for each quantity with an upright axis of its own; lines are named where
//! they end. Faults lie as shaded bands over all panels, the script's marks as dashed lines.
//!
//! * [`model`] – what to show, as plain values.
//! * `amounts` – the upright axis.
//! * `layout` – the parts from top to bottom; `panel` – lines; `labels` – their names; `strip` – who led when.
//! * `csv` – the same values as a table.

mod amounts;
mod csv;
mod labels;
mod layout;
pub mod model;
mod panel;
mod strip;

pub use csv::csv;
pub use model::{Band, Chart, Hue, Limit, Line, Mark, Panel, Point, Spell, Unit};

use crate::canvas::{self, Scene};
use crate::error::ReportError;
use crate::theme::Theme;

/// The chart as the text of an SVG file.
pub fn svg(chart: &Chart, theme: &Theme) -> Result<String, ReportError> {
    canvas::svg(&scene(chart, theme)?)
}

/// The chart as the bytes of a PNG file, with `scale` pixels for each pixel of the theme's width.
pub fn png(chart: &Chart, theme: &Theme, scale: f64) -> Result<Vec<u8>, ReportError> {
    canvas::png(&scene(chart, theme)?, scale)
}

/// The chart laid out but not drawn.
pub fn scene(chart: &Chart, theme: &Theme) -> Result<Scene, ReportError> {
    if chart.end <= chart.start {
        let (title, start, end) = (chart.title.clone(), chart.start, chart.end);
        return Err(ReportError::EmptyRange { title, start, end });
    }
    Ok(layout::lay_out(chart, theme))
}
