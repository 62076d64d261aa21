//! Every test across crates but the recorded scenarios, in one binary.

mod api_answers;
mod conformance_controllers;
mod conformance_scheduler;
mod determinism;
#[path = "etcd/main.rs"]
mod etcd;
mod kubectl_answers;
mod lab_scripts;
mod scheduler_speed;
mod swarm;
