//! What can break, each with what it takes to make it whole again.
//!
//! A [`Fault`] is a value; [`crate::World::begin_fault`] puts some into force under one name and gives back a handle, and
//! [`crate::World::end_fault`] undoes them. Several faults of the same thing may be in force at once: of cuts and losses the link keeps
//! all, of what can only have one value (a disk's speed, a CPU's, a clock) the last to begin counts, and what is down starts again
//! when nothing keeps it down any longer.
//!
//! To add a fault: a variant here, what it does while it is in force in `World::settle` (`world/faults.rs`), which is called whenever
//! one begins or ends and looks at all that are in force, and a function in the script's table that calls `Session::begin_fault`. `during`,
//! `chaos`, the trace's bands and the resilience report come with that.

use std::collections::BTreeMap;

use crate::apiserver::webhooks::WebhookTrouble;
use crate::kernel::{Duration, Endpoint, Trouble};
use crate::kubelet::{Amount, Signal};
use crate::objects::Name;
use crate::process::Process;
use crate::registry;

/// One thing that is broken.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A process is down. It was killed, or told to stop, and is not started again before the end.
    Down {
        /// Which.
        process: Process,
        /// It was told to stop (SIGTERM) and not killed.
        gently: bool,
    },
    /// A node has no power; it boots in the end.
    NoPower(u32),
    /// A node has been told to shut down; it boots in the end.
    ShutDown(u32),
    /// A process hangs (SIGSTOP).
    Hangs(Process),
    /// Nothing gets from one endpoint to the other.
    Cut {
        /// Sender.
        from: Endpoint,
        /// Receiver.
        to: Endpoint,
    },
    /// A link is lossy or slow, one way.
    Link {
        /// Sender.
        from: Endpoint,
        /// Receiver.
        to: Endpoint,
        /// How.
        trouble: Trouble,
    },
    /// The disk of a member of etcd is another one.
    Disk {
        /// Which member.
        member: u8,
        /// How much longer an fsync takes. [factor]
        slower: f64,
        /// How much longer it takes to write bytes. [factor]
        narrower: f64,
    },
    /// The disk of a member of etcd has no space left.
    FullDisk(u8),
    /// A process gets less CPU.
    Cpu {
        /// Which.
        process: Process,
        /// How long its work takes. [hundredths of the profile's]
        hundredths: u64,
    },
    /// The clock of a process' machine is wrong.
    Clock {
        /// Which process.
        process: Process,
        /// By how much; positive is fast. [ns]
        by: i64,
    },
    /// What is watched arrives late at a client.
    WatchDelay {
        /// Which client.
        client: Endpoint,
        /// How late.
        by: Duration,
    },
    /// The watches of a client break again and again.
    WatchDrop {
        /// Which client.
        client: Endpoint,
        /// When.
        when: DropWhen,
        /// They end with 410 `Expired`, after which the client lists anew; else the connection just breaks.
        expired: bool,
    },
    /// Images cannot be had.
    Registry {
        /// Which.
        scope: registry::Scope,
        /// Why.
        trouble: registry::Trouble,
    },
    /// A node is short of something.
    Pressure {
        /// Which.
        node: u32,
        /// What it has left.
        left: BTreeMap<Signal, Amount>,
    },
    /// The program behind an admission webhook does not do as it should.
    Webhook {
        /// Its full name.
        name: Name,
        /// What is wrong.
        trouble: WebhookTrouble,
    },
}

/// When a watch breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DropWhen {
    /// All of the client's, time and again.
    Every(Duration),
    /// Each delivery breaks its watch with this probability. [0..1]
    Share(f64),
}

impl Fault {
    /// Whether it keeps a process from running.
    pub fn keeps_down(&self, process: Process) -> bool {
        match *self {
            Fault::Down { process: down, .. } => down == process,
            Fault::NoPower(node) | Fault::ShutDown(node) => {
                process == Process::Kubelet(node) || process == Process::Proxy(node)
            }
            _ => false,
        }
    }

    /// Whether it is mended by hand only: a process that is down or hangs.
    pub fn is_of_a_process(&self) -> bool {
        matches!(self, Fault::Down { .. } | Fault::NoPower(_) | Fault::ShutDown(_) | Fault::Hangs(_))
    }

    /// What it strikes: the places in the network that behave differently.
    pub fn strikes(&self) -> [Option<Endpoint>; 2] {
        match *self {
            Fault::Down { process, .. } | Fault::Hangs(process) => [Some(process.endpoint()), None],
            Fault::Cpu { process, .. } | Fault::Clock { process, .. } => [Some(process.endpoint()), None],
            Fault::NoPower(node) | Fault::ShutDown(node) | Fault::Pressure { node, .. } => {
                [Some(Endpoint::Kubelet(node)), None]
            }
            Fault::Cut { from, to } | Fault::Link { from, to, .. } => [Some(from), Some(to)],
            Fault::Disk { member, .. } | Fault::FullDisk(member) => [Some(Endpoint::Etcd(member)), None],
            Fault::WatchDelay { client, .. } | Fault::WatchDrop { client, .. } => [Some(client), None],
            Fault::Registry { .. } | Fault::Webhook { .. } => [None, None],
        }
    }
}

/// A fault, or several under one name, in force.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct FaultId(pub u64);
