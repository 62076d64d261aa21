//! The timeline picture: what every component did, what became of every pod, and when.
//!
//! From top to bottom: title, the script's marks as flags, the axis of time, a lane per component grouped by part of the
//! cluster, a bar per pod grouped by node or owner, the legend. The picture is as high as its content needs.
//!
//! Nothing is allowed to overlap: a label that finds no room is shortened or left out, and the SVG still shows it when the
//! mouse rests on the shape. What was left out for good is counted in the legend.
//!
//! * [`model`] – what to show, as plain values.
//! * `axis` – where an instant lies; cuts idle time out.
//! * `condense` – too many lanes become fewer.
//! * `layout` – the parts from top to bottom; `marks`, `scale`, `lanes` (with `bars`, `glyphs`, `labels`), `pods`, `legend`,
//!   `bands` – one part each.
//! * `strip` – amounts over time, for rows that hold too much to draw one by one.

pub(crate) mod axis;
pub(crate) mod bands;
mod bars;
mod condense;
mod glyphs;
mod labels;
mod lanes;
pub(crate) mod layout;
mod legend;
pub(crate) mod marks;
pub mod model;
mod pods;
pub(crate) mod scale;
mod strip;

pub(crate) use labels::thousands;
pub use model::{
    Band, Lane, LaneGroup, Mark, PodBar, PodGroups, PodState, Segment, Span, SpanKind, Tick, TickKind, Timeline,
};

use crate::canvas::{self, Scene};
use crate::error::ReportError;
use crate::theme::Theme;

/// The timeline as the text of an SVG file.
pub fn svg(timeline: &Timeline, theme: &Theme) -> Result<String, ReportError> {
    canvas::svg(&scene(timeline, theme)?)
}

/// The timeline as the bytes of a PNG file, with `scale` pixels for each pixel of the theme's width.
pub fn png(timeline: &Timeline, theme: &Theme, scale: f64) -> Result<Vec<u8>, ReportError> {
    canvas::png(&scene(timeline, theme)?, scale)
}

/// The timeline laid out but not drawn.
pub fn scene(timeline: &Timeline, theme: &Theme) -> Result<Scene, ReportError> {
    if timeline.end <= timeline.start {
        let (title, start, end) = (timeline.title.clone(), timeline.start, timeline.end);
        return Err(ReportError::EmptyRange { title, start, end });
    }
    Ok(layout::lay_out(&condense::condensed(timeline), theme))
}
