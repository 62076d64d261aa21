//! Reports: from what happened in a run to something to look at.
//!
//! Only [`from_trace`] knows the engine: a report is made from plain values (see [`timeline::Timeline`]), and turned into
//! bytes. Same values, same bytes, on every machine: the font is embedded, all geometry is basic arithmetic, nothing asks
//! the system. Left out: interaction, animation.
//!
//! The map, in reading order:
//!
//! * [`timeline`] – the picture of a run: a lane per component, a bar per pod, the script's marks; its own axis of time.
//! * [`from_trace`] – from a run's trace to its timeline.
//! * [`series`] – quantities over time, a panel each over one axis of time; as a table, too.
//! * [`explanation`] – why the scheduler put a pod where it is: text and heatmap.
//! * [`comparison`] – one workload under several configurations.
//! * [`theme`] – colours, sizes; light and dark.
//! * [`canvas`] – the display list every chart is laid out on, and its two outputs, SVG and PNG.
//! * [`font`] – the embedded font: measuring, shortening.
//! * [`duration`] – nanoseconds as text and back.
//! * [`table`] – small aligned text tables.
//! * [`output`] – writing a file whole or not at all.
//! * [`error`] – what can go wrong.

// Units stand in brackets, `[px]`, which rustdoc takes for links.
#![allow(rustdoc::broken_intra_doc_links)]

pub mod canvas;
pub mod comparison;
pub mod duration;
pub mod error;
pub mod explanation;
pub mod font;
pub mod from_trace;
pub mod output;
pub mod series;
pub mod table;
pub mod theme;
pub mod timeline;

pub use error::ReportError;
pub use output::write_whole;
pub use table::{Align, Table};
pub use theme::Theme;
pub use timeline::Timeline;
