//! What goes wrong: a row per kind. A new kind is a row, a variant, and how it begins and ends.

use std::collections::BTreeMap;

use serde_json::json;
use wavetank_engine::faults::{DropWhen, FaultId};
use wavetank_engine::kernel::{Duration, Trouble};
use wavetank_engine::kubelet::{Amount, Signal};
use wavetank_engine::registry;

use super::cluster::Shape;
use super::draw::Draw;
use super::operations;
use super::plan::{Action, Group, Kind};
use crate::session::{DiskSpeed, Nanos, Session};

/// Something that is wrong for a while.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A process is killed, and stays away.
    Crash(String),
    /// A process is told to stop, and stays away.
    Terminate(String),
    /// A process is held up.
    Hang(String),
    /// A node loses its power.
    Power(String),
    /// All nodes of a zone lose their power.
    Zone(String),
    /// A node shuts down in order, and stays off.
    ShutDown(String),
    /// Links are cut.
    Cut {
        /// From here.
        from: String,
        /// To here.
        to: String,
        /// And back.
        both: bool,
    },
    /// A link loses some of what is sent, or is slow.
    Link {
        /// One end.
        from: String,
        /// The other.
        to: String,
        /// What share is lost. [percent]
        loss: u64,
        /// How much longer everything takes. [ms]
        delay: u64,
    },
    /// A member of etcd has a slow disk.
    Disk {
        /// Which.
        member: String,
        /// The median of an fsync. [ms]
        fsync: u64,
    },
    /// An API server has a slow CPU.
    Cpu {
        /// Which.
        server: String,
        /// How many times as long everything takes.
        factor: u64,
    },
    /// The disk of a member of etcd is full.
    FullDisk(String),
    /// No image can be had: connections to registries are refused, or nobody answers.
    Registry {
        /// Nobody answers.
        silent: bool,
    },
    /// A node is short of memory.
    Pressure(String),
    /// The clock of a machine is wrong.
    Clock {
        /// Of which process.
        process: String,
        /// By how much. [s]
        by: i64,
    },
    /// What a client watches arrives late.
    WatchDelay {
        /// Which.
        client: String,
        /// How late. [ms]
        by: u64,
    },
    /// The watches of a client break again and again.
    WatchDrop {
        /// Which.
        client: String,
        /// How often. [s]
        every: u64,
        /// They end with 410.
        expired: bool,
    },
    /// The program behind an admission webhook is gone, or slow.
    Webhook {
        /// Which.
        name: &'static str,
        /// How long it takes to answer; none: it is gone. [ms]
        slow: Option<u64>,
    },
}

impl Fault {
    /// Begins; the error says that it cannot now, as a process that is down cannot be killed.
    pub fn begin(&self, session: &mut Session) -> Result<String, String> {
        match self {
            Fault::Crash(process) => session.crash(process, false),
            Fault::Terminate(process) => session.crash(process, true),
            Fault::Hang(process) => session.hang(process),
            Fault::Power(node) => session.crash(&format!("node/{node}"), false),
            Fault::Zone(zone) => session.crash(&format!("zone/{zone}"), false),
            Fault::ShutDown(node) => session.shut_down(node),
            Fault::Cut { from, to, both } => session.cut(&[from], &[to], *both),
            Fault::Link { from, to, loss, delay } => {
                let trouble = Trouble { loss: *loss as f64 / 100.0, delay: Duration::from_millis(*delay) };
                session.trouble(&[from], &[to], trouble, &format!("{loss} % loss, +{delay}ms"))
            }
            Fault::Disk { member, fsync } => {
                session.disk(member, DiskSpeed { fsync: Some(Duration::from_millis(*fsync)), bandwidth: None })
            }
            Fault::Cpu { server, factor } => session.slow_cpu(server, *factor as f64),
            Fault::FullDisk(member) => session.full_disk(member),
            Fault::Registry { silent } => {
                let trouble = if *silent { registry::Trouble::Silent } else { registry::Trouble::Refuses };
                Ok(session.registry_fault(None, trouble))
            }
            Fault::Pressure(node) => {
                let left = BTreeMap::from([(Signal::Memory, Amount::Of(50 << 20))]);
                session.node_pressure(node, &left)
            }
            Fault::Clock { process, by } => session.clock_skew(process, by * SECOND as i64),
            Fault::WatchDelay { client, by } => session.watch_delay(client, Duration::from_millis(*by)),
            Fault::WatchDrop { client, every, expired } => {
                session.watch_drop(client, DropWhen::Every(Duration::from_secs(*every)), *expired)
            }
            Fault::Webhook { name, slow: Some(ms) } => session.webhook_slow(name, ms * 1_000_000),
            Fault::Webhook { name, slow: None } => session.webhook_down(name),
        }
    }

    /// Is over; the error says that there was nothing to mend.
    pub fn end(&self, session: &mut Session) -> Result<String, String> {
        match self {
            Fault::Crash(process) | Fault::Terminate(process) => session.restart(process),
            Fault::Hang(process) => session.resume(process),
            Fault::Power(node) | Fault::ShutDown(node) => session.restart(&format!("node/{node}")),
            Fault::Zone(zone) => session.restart(&format!("zone/{zone}")),
            Fault::Cut { from, to, .. } | Fault::Link { from, to, .. } => {
                let (a, b) = (session.endpoint(from)?, session.endpoint(to)?);
                let world = session.world_mut();
                for (a, b) in [(a, b), (b, a)] {
                    world.trouble_link(a, b, Trouble::default());
                    world.mend_link(a, b);
                }
                let arrows = [format!("cut {from} | {to}"), format!("cut {from} → {to}"), format!(" {from} – {to}")];
                let over: Vec<String> = world.faults().map(str::to_owned).collect();
                let over = over.into_iter().filter(|name| arrows.iter().any(|end| name.ends_with(end)));
                over.for_each(|name| world.fault_ended(&name));
                Ok(format!("mended: {from}, {to}"))
            }
            Fault::Disk { member, .. } => session.disk(member, DiskSpeed::default()),
            Fault::Cpu { server, .. } => session.slow_cpu(server, 1.0),
            Fault::FullDisk(member) => {
                let space = over(session, &format!("full disk of {member}"));
                let _ = session.restart(member);
                space
            }
            Fault::Registry { .. } => Ok(session.registry_up(None)),
            Fault::Pressure(node) => session.node_pressure(node, &BTreeMap::new()),
            Fault::Clock { process, .. } => session.clock_skew(process, 0),
            Fault::WatchDelay { client, .. } => session.watch_delay(client, Duration::ZERO),
            Fault::WatchDrop { client, .. } => over(session, &format!("watches of {client} ")),
            Fault::Webhook { name, .. } => session.webhook_up(name),
        }
    }
}

/// Ends the faults whose names begin so.
fn over(session: &mut Session, name: &str) -> Result<String, String> {
    let faults = session.world().faults_in_force();
    let ids: Vec<FaultId> = faults.filter(|(_, other, _)| other.starts_with(name)).map(|(id, ..)| id).collect();
    Ok(session.end_faults(&ids).join("; "))
}

const SECOND: Nanos = 1_000_000_000;
/// Probes that programs answer badly.
const PROBES: [&str; 3] = ["all", "readiness", "liveness"];

const fn fault(
    name: &'static str,
    likely: u64,
    most: u64,
    draw: fn(&mut Draw, &Shape, u64) -> Vec<(Nanos, Action)>,
) -> Kind {
    Kind { name, group: Group::Fault, likely, most, draw }
}

/// The kinds of faults.
pub(super) const KINDS: &[Kind] = &[
    fault("crash", 40, 3, |draw, shape, _| lasting(draw, 60, |draw| Fault::Crash(draw.name(&shape.everything())))),
    fault("terminate", 30, 2, |draw, shape, _| {
        lasting(draw, 40, |draw| Fault::Terminate(draw.name(&shape.control_plane())))
    }),
    fault("hang", 30, 2, |draw, shape, _| lasting(draw, 60, |draw| Fault::Hang(draw.name(&shape.everything())))),
    fault("power", 35, 2, |draw, shape, _| {
        // Long enough, sometimes, for pods to be evicted after five minutes.
        let longest = if draw.chance(30) { 420 } else { 60 };
        lasting(draw, longest, |draw| Fault::Power(draw.name(&shape.nodes)))
    }),
    fault("zone", 15, 1, |draw, shape, _| lasting(draw, 120, |draw| Fault::Zone(draw.name(&shape.zones)))),
    fault("shutdown", 20, 1, |draw, shape, _| lasting(draw, 120, |draw| Fault::ShutDown(draw.name(&shape.nodes)))),
    fault("partition", 30, 2, |draw, shape, _| lasting(draw, 60, |draw| cut(draw, shape, true))),
    fault("one-way", 25, 2, |draw, shape, _| lasting(draw, 60, |draw| cut(draw, shape, false))),
    fault("loss", 30, 3, |draw, shape, _| {
        lasting(draw, 90, |draw| {
            let (from, to) = ends(draw, shape);
            Fault::Link { from, to, loss: draw.number(1, 40), delay: 0 }
        })
    }),
    fault("slow-link", 30, 3, |draw, shape, _| {
        lasting(draw, 90, |draw| {
            let (from, to) = ends(draw, shape);
            Fault::Link { from, to, loss: 0, delay: draw.number(5, 2_000) }
        })
    }),
    fault("slow-disk", 30, 2, |draw, shape, _| {
        lasting(draw, 90, |draw| Fault::Disk { member: draw.name(&shape.etcd), fsync: draw.number(20, 800) })
    }),
    fault("slow-cpu", 25, 2, |draw, shape, _| {
        lasting(draw, 90, |draw| Fault::Cpu { server: draw.name(&shape.api_servers), factor: draw.number(2, 200) })
    }),
    fault("full-disk", 15, 1, |draw, shape, _| lasting(draw, 60, |draw| Fault::FullDisk(draw.name(&shape.etcd)))),
    fault("registry", 20, 1, |draw, _, _| lasting(draw, 90, |draw| Fault::Registry { silent: draw.chance(50) })),
    fault("pressure", 20, 1, |draw, shape, _| lasting(draw, 60, |draw| Fault::Pressure(draw.name(&shape.nodes)))),
    fault("clock", 20, 2, |draw, shape, _| {
        lasting(draw, 90, |draw| Fault::Clock { process: client(draw, shape), by: draw.number(0, 60) as i64 - 30 })
    }),
    fault("late-watch", 25, 2, |draw, shape, _| {
        lasting(draw, 90, |draw| Fault::WatchDelay { client: client(draw, shape), by: draw.number(50, 20_000) })
    }),
    fault("broken-watch", 25, 2, |draw, shape, _| {
        lasting(draw, 90, |draw| Fault::WatchDrop {
            client: client(draw, shape),
            every: draw.number(1, 20),
            expired: draw.chance(50),
        })
    }),
    fault("unhealthy", 35, 3, |draw, _, _| {
        let answers = format!("{}, {}s: ok", draw.one(&["500", "refused", "timeout", "slow 2s"]), draw.number(2, 60));
        let probe = PROBES[draw.number(0, 2) as usize];
        vec![(0, Action::Health { target: operations::deployment(draw), probe, answers })]
    }),
    fault("webhook", 25, 1, |draw, _, _| {
        let name = if draw.chance(50) { "marks" } else { "refuses" };
        let how = json!({
            "kind": if name == "marks" { "mutating" } else { "validating" },
            "failure_policy": draw.one(&["Fail", "Fail", "Ignore"]), "timeout": format!("{}s", draw.number(1, 10)),
        });
        let trouble = Fault::Webhook { name, slow: draw.chance(50).then(|| draw.number(200, 15_000)) };
        let begins = draw.number(2_000, 40_000) * 1_000_000;
        let lasts = draw.number(1_000, 60_000) * 1_000_000;
        vec![
            (0, Action::Webhook { name, how }),
            (begins, Action::Begin(trouble.clone())),
            (begins + lasts, Action::End(trouble)),
        ]
    }),
];

/// A fault with its end.
fn lasting(draw: &mut Draw, longest: u64, make: impl FnOnce(&mut Draw) -> Fault) -> Vec<(Nanos, Action)> {
    let ms = draw.number(200, longest * 1_000);
    let fault = make(draw);
    vec![(0, Action::Begin(fault.clone())), (ms * SECOND / 1_000, Action::End(fault))]
}

fn cut(draw: &mut Draw, shape: &Shape, both: bool) -> Fault {
    let (from, to) = ends(draw, shape);
    Fault::Cut { from, to, both }
}

/// The ends of a link that is used: among members of etcd, or between an API server and somebody else.
fn ends(draw: &mut Draw, shape: &Shape) -> (String, String) {
    if shape.etcd.len() > 1 && draw.chance(40) {
        let first = draw.number(0, shape.etcd.len() as u64 - 1) as usize;
        let second = (first + draw.number(1, shape.etcd.len() as u64 - 1) as usize) % shape.etcd.len();
        return (shape.etcd[first].clone(), shape.etcd[second].clone());
    }
    let server = draw.name(&shape.api_servers);
    let other = match draw.number(0, 2) {
        0 => draw.name(&shape.etcd),
        1 => draw.name(&shape.deciders),
        _ => draw.name(&shape.nodes),
    };
    if draw.chance(50) { (server, other) } else { (other, server) }
}

/// A client of the API server.
fn client(draw: &mut Draw, shape: &Shape) -> String {
    if draw.chance(60) { draw.name(&shape.deciders) } else { draw.name(&shape.nodes) }
}
