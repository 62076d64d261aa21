//! Why a pod is where it is: one attempt of the scheduler as plain values, as a text and as a picture.
//!
//! * [`model`] – what there is to tell. The fields are those of a `schedule` record of the trace, so a line of the trace can be
//!   read into it.
//! * [`text`] – for a terminal.
//! * [`heatmap`] – nodes by plugins, for print.

pub mod heatmap;
pub mod model;
pub mod text;

pub use model::{Cause, DryRun, Explanation, InVain, PluginWeight, Refusal, Rejected, Score};
