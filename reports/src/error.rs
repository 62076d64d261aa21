//! What can go wrong on the way from a run to a file.
//!
//! Each error says what was being made; those about files name the path. None of them is about the simulated cluster.

use std::path::PathBuf;

/// A report could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The timeline spans no time.
    #[error("timeline {title:?}: the end ({end} ns) is not after the start ({start} ns)")]
    EmptyRange {
        /// Title of the timeline.
        title: String,
        /// Its start. [ns]
        start: u64,
        /// Its end. [ns]
        end: u64,
    },
    /// The picture would have more pixels than we are willing to allocate.
    #[error("the picture would be {width} x {height} pixels, more than {limit} in all; use a smaller scale, or SVG")]
    TooLarge {
        /// Width at the asked scale. [px]
        width: u64,
        /// Height at the asked scale. [px]
        height: u64,
        /// The most pixels a picture may have.
        limit: u64,
    },
    /// The scale of a PNG must be a positive number.
    #[error("the scale of a picture must be a number between 0.1 and 16, not {0}")]
    Scale(f64),
    /// The drawing library refused.
    #[error("drawing failed: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error("encoding the picture as PNG failed")]
    Encode(#[from] png::EncodingError),
    /// A file or its directory could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
