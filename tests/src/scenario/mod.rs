//! Scenarios recorded from a real Kubernetes, played on the simulated one and compared.
//!
//! In reading order: [`format`] reads a file, [`play`] runs its steps on a session, [`observe`] reduces what happened to the
//! recorded shape, [`compare`] counts what agrees, [`report`] says so. [`wording`] gives both sides the same words for what is
//! free to differ (random names, addresses, ages); [`shell`] is the little of bash that steps use. Nothing here knows a
//! scenario by name.

pub mod compare;
pub mod control;
pub mod format;
pub mod milestones;
pub mod observe;
pub mod outputs;
pub mod play;
pub mod report;
pub mod sequence;
pub mod shell;
pub mod states;
pub mod summary;
pub mod wording;
