//! What the tests across crates share.

pub mod kubectl_answers;
pub mod scenario;
