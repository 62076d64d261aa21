//! Every test across crates that has no binary of its own.

mod api_answers;
mod determinism;
mod etcd_store;
mod kubectl_answers;
mod lab_scripts;
mod scheduler_speed;
mod swarm;
mod swarm_seeds;
