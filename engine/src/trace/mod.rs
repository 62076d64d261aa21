//! What happened: records with an id, a virtual time, the component, the object, and the record that caused them; and a running
//! fingerprint over all of them.

mod fingerprint;
pub mod jsonl;
pub mod note;
pub mod tracer;

pub use fingerprint::Fingerprint;
pub use note::{Note, What};
pub use tracer::{Record, Trace, TraceLevel};
