//! wavetank: hands on a simulated Kubernetes cluster, and the program.
//!
//! A scenario is a Rhai script. It switches a cluster on, types kubectl commands, lets virtual time pass and says what
//! must hold; the run gives a transcript, a trace and charts, the same bytes for the same seed on every machine.
//!
//! The map, in reading order:
//!
//! * [`cli`] – the commands: `run`, `explain`, `compare`, `new`, `test`, `swarm`, `reference`.
//! * [`script`] – the Rhai host: what a script may call, its bounds, its errors.
//! * [`session`] – the cluster as a script sees it; [`spec`] – how it is described.
//! * [`scheduler_file`] – how its scheduler is configured; [`files`] – the files a script may name.
//! * [`kubectl`] – the verbs and printers; [`etcdctl`] – the same for etcd; [`shell`] – pipes and loops around it.
//! * [`transcript`] – what a learner would have seen at the terminal.
//! * [`artifacts`] – the files a run leaves behind; [`charts`] – the pictures among them.
//! * [`explaining`] – why the scheduler put a pod where it is, from a trace.
//! * [`measures`] – what became of a workload, for comparisons.
//! * [`resilience`] – what a run's faults did to its workloads.
//! * [`snapshot`] – a run against what it gave before.
//! * [`swarm`] – random clusters under random faults, and what must hold in them.

pub mod artifacts;
pub mod charts;
pub mod cli;
pub mod etcdctl;
pub mod explaining;
pub mod files;
pub mod kubectl;
pub mod measures;
pub mod resilience;
pub mod scheduler_file;
pub mod script;
pub mod series;
pub mod session;
pub mod shell;
pub mod snapshot;
pub mod spec;
pub mod swarm;
pub mod transcript;
