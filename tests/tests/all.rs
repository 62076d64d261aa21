//! Every test across crates but the recorded scenarios, in one binary.

mod api_answers;
mod conformance_controllers;
mod conformance_scheduler;
#[path = "etcd/main.rs"]
mod etcd;
mod scheduler_speed;
mod determinism;
mod kubectl_answers;
mod lab_scripts;
mod swarm;
