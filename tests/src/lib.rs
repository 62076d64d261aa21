//! What the tests across crates share.

pub mod http;
pub mod kubectl_answers;
pub mod scenario;
pub mod scheduling;
pub mod workload;
