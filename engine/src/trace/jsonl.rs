#![doc = include_str!("SCHEMA.md")]
//!
//! # In this module
//!
//! [`header`] and [`line()`] make the lines, without their line feeds; whoever has a file writes them.

use std::fmt::{Display, Write};

use super::note::{Change, Passing, TrafficStep, What};
use super::tracer::Record;
use crate::client::Agent;
use crate::etcd::EtcdNote;
use crate::kernel::{Duration, Instant};
use crate::objects::calendar;
use crate::objects::json::EPOCH_NS;
use crate::process::Process;
use crate::setup::Setup;
use crate::traffic::Loss;

mod scheduling;

/// The version of the schema.
pub const SCHEMA_VERSION: u32 = 2;

/// The names of the steps of a request, in the order of [`What::Reply`].
const STEPS: [&str; 6] = ["authentication", "authorization", "admission", "validation", "storage", "reply"];

/// What the first line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Version of wavetank.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// The seed of the order of ties, if they are shuffled.
    pub shuffle_ties: Option<u64>,
    /// The latency profile's name.
    pub profile: String,
    /// What the calendar says at the script's zero, RFC 3339.
    pub epoch: String,
    /// etcd members.
    pub etcd_members: u8,
    /// Nodes.
    pub nodes: usize,
}

impl Header {
    /// The header of a run whose script begins at `zero`.
    pub fn of(setup: &Setup, zero: Instant) -> Self {
        Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: setup.seed.0,
            shuffle_ties: setup.shuffle_ties,
            profile: setup.profile.name.to_owned(),
            epoch: rfc3339(zero),
            etcd_members: setup.etcd_members,
            nodes: setup.nodes.len(),
        }
    }
}

/// The first line.
pub fn header(header: &Header) -> String {
    let mut json = Json::open();
    json.value("wavetank_trace", SCHEMA_VERSION);
    json.text("version", &header.version);
    json.value("seed", header.seed);
    if let Some(seed) = header.shuffle_ties {
        json.value("shuffle_ties", seed);
    }
    json.text("profile", &header.profile);
    json.text("epoch", &header.epoch);
    json.value("etcd_members", header.etcd_members);
    json.value("nodes", header.nodes);
    json.close()
}

/// The line of a record; `zero` is the script's zero, `names` says how agents are called (see [`agent_name`]).
pub fn line(record: &Record, zero: Instant, names: &dyn Fn(Agent) -> String) -> String {
    let note = &record.note;
    let mut json = Json::open();
    json.value("id", record.id.0);
    json.value("t", i128::from(record.at.as_nanos()) - i128::from(zero.as_nanos()));
    json.value("cause", record.cause.0);
    json.text("by", &names(note.by));
    json.text("what", what_name(&note.what));
    if let Some((kind, key)) = &note.object {
        json.text("object", &format!("{}/{}/{}", kind.name(), key.namespace, key.name));
    }
    fields(&note.what, names, &mut json);
    json.close()
}

/// The name of an agent in a cluster: `kubelet/worker-1`, `kubectl#3`, `etcd-0`, `kube-scheduler`.
pub fn agent_name(setup: &Setup, agent: Agent) -> String {
    match agent {
        Agent::KubeProxy(node) => Process::Proxy(node).name(setup),
        Agent::Kubelet(node) => match setup.nodes.get(node as usize) {
            Some(spec) => format!("{}/{}", agent.name(), spec.name),
            None => format!("{}#{node}", agent.name()),
        },
        Agent::Etcd(member) => format!("etcd-{member}"),
        Agent::Kubectl(_) | Agent::Load(_) | Agent::Etcdctl(_) | Agent::Traffic(_) => {
            format!("{}#{}", agent.name(), agent.index())
        }
        Agent::ApiServer(number) => Process::ApiServer(number).name(setup),
        Agent::ControllerManager(number) => Process::ControllerManager(number).name(setup),
        Agent::Scheduler(number) => Process::Scheduler(number).name(setup),
        Agent::Custom(number) => Process::Custom(number).name(setup),
        _ => agent.name().to_owned(),
    }
}

/// The word for what happened.
pub fn what_name(what: &What) -> &'static str {
    match what {
        What::Started => "started",
        What::Command { .. } => "command",
        What::Exited { .. } => "exited",
        What::Mark { .. } => "mark",
        What::Remark { .. } => "remark",
        What::FaultBegan { .. } => "fault-began",
        What::FaultEnded { .. } => "fault-ended",
        What::Request { .. } => "request",
        What::Reply { .. } => "reply",
        What::Etcd(EtcdNote::Proposed { .. }) => "etcd-proposed",
        What::Etcd(EtcdNote::Persisted { .. }) => "etcd-persisted",
        What::Etcd(EtcdNote::Committed { .. }) => "etcd-committed",
        What::Etcd(EtcdNote::Applied { .. }) => "etcd-applied",
        What::Etcd(EtcdNote::LeaseExpired { .. }) => "etcd-lease-expired",
        What::Etcd(EtcdNote::Campaigned { .. }) => "etcd-campaigned",
        What::Etcd(EtcdNote::Leader { .. }) => "etcd-leader",
        What::Etcd(EtcdNote::LeaderLost { .. }) => "etcd-leader-lost",
        What::Etcd(EtcdNote::Started) => "etcd-started",
        What::Etcd(EtcdNote::Stopped) => "etcd-stopped",
        What::Etcd(EtcdNote::SnapshotSent { .. }) => "etcd-snapshot-sent",
        What::Etcd(EtcdNote::SnapshotInstalled { .. }) => "etcd-snapshot-installed",
        What::Etcd(EtcdNote::Compacted { .. }) => "etcd-compacted",
        What::Etcd(EtcdNote::Defragmented { .. }) => "etcd-defragmented",
        What::Etcd(EtcdNote::NoSpace) => "etcd-no-space",
        What::Committed { .. } => "committed",
        What::Reconcile => "reconcile",
        What::Reconciled { .. } => "reconciled",
        What::Event { .. } => "event",
        What::Schedule(_) => "schedule",
        What::Pod { .. } => "pod",
        What::Leading => "leading",
        What::Ended { .. } => "ended",
        What::Restarting { .. } => "restarting",
        What::Scraped { .. } => "scraped",
        What::Scaling(_) => "scaling",
        What::Rules { .. } => "rules",
        What::Traffic(_) => "traffic",
        What::Webhook(_) => "webhook",
    }
}

fn fields(what: &What, names: &dyn Fn(Agent) -> String, json: &mut Json) {
    match what {
        What::Started | What::Reconcile | What::Leading => {}
        What::Ended { how } => {
            json.text("how", how.as_str());
            if let Some(code) = how.code() {
                json.value("code", code);
            }
        }
        What::Restarting { after } => json.value("after", after.as_nanos()),
        What::Scraped { pods } => json.value("pods", pods),
        What::Rules { services, slices } => {
            json.value("services", services);
            json.value("slices", slices);
        }
        What::Traffic(passing) => passing_fields(passing, json),
        What::Scaling(scaling) => {
            json.value("current", scaling.current);
            json.value("proposed", scaling.proposed);
            json.value("replicas", scaling.replicas);
            json.text_if_any("held", &scaling.held);
            json.text_if_any("measured", &scaling.measured);
            if let Some(age) = scaling.age {
                json.value("age", age.as_nanos());
            }
        }
        What::Webhook(call) => {
            json.text("webhook", &call.webhook);
            json.text("outcome", &call.outcome);
            json.value("took", call.took.as_nanos());
        }
        What::Command { line } => json.text("line", line),
        What::Exited { code } => json.value("code", code),
        What::Mark { text } | What::Remark { text } => json.text("text", text),
        What::FaultBegan { fault } | What::FaultEnded { fault } => json.text("fault", fault),
        What::Request { from, verb, subresource } => {
            json.text("from", &names(*from));
            json.text("verb", verb.as_str());
            json.text_if_any("subresource", subresource.as_str());
        }
        What::Reply { to, verb, subresource, code, reason, steps } => {
            json.text("to", &names(*to));
            json.text("verb", verb.as_str());
            json.text_if_any("subresource", subresource.as_str());
            json.value("code", code);
            json.text_if_any("reason", reason);
            json.nested("steps", |json| each_step(steps, json));
        }
        What::Etcd(note) => etcd_fields(note, json),
        What::Committed { revision, change } => {
            json.value("revision", revision);
            change_fields(change, json);
        }
        What::Reconciled { error } => json.text_if_any("error", error),
        What::Event { kind, reason, message } => {
            json.text("type", kind.as_str());
            json.text("reason", reason);
            json.text("message", message);
        }
        What::Schedule(scheduling) => scheduling::fields(scheduling, json),
        What::Pod { step, detail } => {
            json.text("step", step.as_str());
            json.text_if_any("detail", detail);
        }
    }
}

fn passing_fields(passing: &Passing, json: &mut Json) {
    json.text("flow", &passing.flow);
    json.text("step", passing.step.as_str());
    json.text_if_any("at", &passing.at);
    if let Some(why) = passing.why {
        json.text("why", why.as_str());
    }
    if passing.step == TrafficStep::Lost {
        json.nested("lost", |json| {
            for (why, count) in Loss::ALL.into_iter().zip(passing.lost).filter(|(_, count)| *count > 0) {
                json.value(why.as_str(), count);
            }
        });
        json.value("lasted", passing.lasted.as_nanos());
    }
}

fn each_step(steps: &[Duration; 6], json: &mut Json) {
    for (name, took) in STEPS.iter().zip(steps) {
        json.value(name, took.as_nanos());
    }
}

fn etcd_fields(note: &EtcdNote, json: &mut Json) {
    match note {
        EtcdNote::Proposed { index } | EtcdNote::Committed { index } => json.value("index", index),
        EtcdNote::Persisted { index, entries, took } => {
            json.value("index", index);
            json.value("entries", entries);
            json.value("took", took.as_nanos());
        }
        EtcdNote::Applied { index, revision } => {
            json.value("index", index);
            json.value("revision", revision);
        }
        EtcdNote::LeaseExpired { lease } => json.text("lease", &format!("{:016x}", lease.0)),
        EtcdNote::Campaigned { term } | EtcdNote::LeaderLost { term } => json.value("term", term),
        EtcdNote::Leader { member, term } => {
            json.value("leader", member);
            json.value("term", term);
        }
        EtcdNote::SnapshotSent { to, index } => {
            json.value("receiver", to);
            json.value("index", index);
        }
        EtcdNote::SnapshotInstalled { index } => json.value("index", index),
        EtcdNote::Compacted { revision } => json.value("revision", revision),
        EtcdNote::Defragmented { before_kib, after_kib, took } => {
            json.value("before_kib", before_kib);
            json.value("after_kib", after_kib);
            json.value("took", took.as_nanos());
        }
        EtcdNote::Started | EtcdNote::Stopped | EtcdNote::NoSpace => {}
    }
}

fn change_fields(change: &Change, json: &mut Json) {
    match change {
        Change::Created => json.text("change", "created"),
        Change::Modified => json.text("change", "modified"),
        Change::Deleted => json.text("change", "deleted"),
        Change::Node { created, condition, schedulable } => {
            json.text("change", if *created { "created" } else { "modified" });
            json.text("condition", condition.as_str());
            json.value("schedulable", schedulable);
        }
        Change::Pod { created, state, node } => {
            json.text("change", if *created { "created" } else { "modified" });
            json.text("phase", state.phase.as_str());
            json.value("bound", state.bound);
            json.value("ready", state.ready);
            json.value("deleting", state.deleting);
            json.value("failing", state.failing);
            json.text_if_any("node", node);
        }
    }
}

/// What the calendar says at an instant, with as many digits as it takes.
fn rfc3339(at: Instant) -> String {
    let unix = i128::from(EPOCH_NS) + i128::from(at.as_nanos());
    let seconds = calendar::rfc3339(i64::try_from(unix.div_euclid(1_000_000_000)).unwrap_or(i64::MAX));
    match unix.rem_euclid(1_000_000_000) {
        0 => seconds,
        nanos => format!("{}.{nanos:09}Z", seconds.trim_end_matches('Z')),
    }
}

/// A JSON object in the making.
struct Json {
    text: String,
}

impl Json {
    fn open() -> Self {
        Json { text: "{".into() }
    }

    fn close(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn key(&mut self, key: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        let _ = write!(self.text, "\"{key}\":");
    }

    /// A number or a boolean.
    fn value(&mut self, key: &str, value: impl Display) {
        self.key(key);
        let _ = write!(self.text, "{value}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    fn quoted(&mut self, value: &str) {
        self.text.push('"');
        for c in value.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c < ' ' || c == '\u{7f}' => {
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn text_if_any(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    fn nested(&mut self, key: &str, fill: impl FnOnce(&mut Json)) {
        self.key(key);
        self.text.push('{');
        fill(self);
        self.text.push('}');
    }

    /// An array of numbers.
    fn numbers(&mut self, key: &str, values: &[i64]) {
        self.key(key);
        let values: Vec<String> = values.iter().map(i64::to_string).collect();
        let _ = write!(self.text, "[{}]", values.join(","));
    }

    /// An array of strings.
    fn texts<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        self.key(key);
        self.text.push('[');
        for (place, value) in values.iter().enumerate() {
            self.text.push_str(if place > 0 { "," } else { "" });
            self.quoted(value.as_ref());
        }
        self.text.push(']');
    }

    fn array<T>(&mut self, key: &str, items: &[T], fill: impl Fn(&T, &mut Json)) {
        self.key(key);
        self.text.push('[');
        for (place, item) in items.iter().enumerate() {
            self.text.push_str(if place > 0 { ",{" } else { "{" });
            fill(item, self);
            self.text.push('}');
        }
        self.text.push(']');
    }
}

#[cfg(test)]
mod tests;
