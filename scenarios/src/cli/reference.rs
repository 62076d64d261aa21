//! `wavetank reference`: everything a script may call.

use super::{FINE, print};

/// Runs the command; returns the exit code.
pub(super) fn reference() -> u8 {
    print(&crate::script::reference::markdown());
    FINE
}
