//! etcd's lanes, one per member: at the member that leads a span per write, from its being put into the log to its
//! being applied; at the others a span per fsync.
//!
//! etcd knows nothing of objects. Which request a write comes from is found along the records' causes, and so is
//! whether it is background; what object it wrote is known when the API server hears of it. Writes that come from no
//! request (compaction, leases that run out) and those whose request is not among the records are left out.

use std::collections::BTreeMap;

use wavetank_engine::Setup;
use wavetank_engine::client::Agent;
use wavetank_engine::etcd::EtcdNote;
use wavetank_engine::kernel::Instant;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::objects::Kind;
use wavetank_engine::trace::{Record, What};

use super::background;
use super::drawing::{Drawing, Window};
use crate::timeline::{Lane, LaneGroup, SpanKind};

pub(super) struct Etcd {
    members: Vec<Drawing>,
    /// Of requests and of what etcd made of them: the kind of object; background is not in it.
    origins: BTreeMap<RecordId, Kind>,
    /// By their place in the log.
    writes: BTreeMap<u64, Write>,
    /// The writes by the record of their being applied.
    applied: BTreeMap<RecordId, u64>,
}

struct Write {
    member: u8,
    start: Instant,
    end: Option<Instant>,
    label: String,
}

impl Etcd {
    pub fn new(window: Window, setup: &Setup) -> Self {
        let name = |member| if setup.etcd_members > 1 { format!("etcd-{member}") } else { "etcd".to_owned() };
        let member = |member| Drawing::new(window, name(member), LaneGroup::ControlPlane);
        let members = (0..setup.etcd_members).map(member).collect();
        Etcd { members, origins: BTreeMap::new(), writes: BTreeMap::new(), applied: BTreeMap::new() }
    }

    pub fn take(&mut self, record: &Record) {
        let note = &record.note;
        match (&note.what, note.by, &note.object) {
            (What::Request { from, verb, subresource }, _, Some((kind, _)))
                if verb.mutating() && !background(*from, *verb, *kind, *subresource) =>
            {
                self.origins.insert(record.id, *kind);
            }
            (What::Etcd(step), Agent::Etcd(member), _) => self.step(record, member, step),
            (What::Committed { .. }, _, Some((kind, key))) => {
                let write = self.applied.get(&record.cause).and_then(|index| self.writes.get_mut(index));
                if let Some(write) = write {
                    write.label = format!("{}/{}", kind.plural(), key.name);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, record: &Record, member: u8, step: &EtcdNote) {
        let origin = self.origins.get(&record.cause).copied();
        if let (Some(kind), EtcdNote::Proposed { .. } | EtcdNote::Committed { .. } | EtcdNote::Applied { .. }) =
            (origin, step)
        {
            self.origins.insert(record.id, kind);
        }
        match step {
            EtcdNote::Proposed { index } => {
                if let Some(kind) = origin {
                    let write = Write { member, start: record.at, end: None, label: kind.plural().to_owned() };
                    self.writes.insert(*index, write);
                }
            }
            EtcdNote::Applied { index, .. } => {
                if let Some(write) = self.writes.get_mut(index).filter(|write| write.member == member) {
                    write.end = Some(record.at);
                    self.applied.insert(record.id, *index);
                }
            }
            EtcdNote::Persisted { index, entries, took } => {
                // What is persisted without entries is the term and the vote.
                let first = (index + 1).saturating_sub(u64::from(*entries));
                let written = (0..=index.saturating_sub(first)).take(*entries as usize).map(|n| first + n);
                let mut shown =
                    written.filter_map(|index| self.writes.get(&index)).filter(|write| write.member != member);
                if let (Some(_), Some(drawing)) = (shown.next(), self.members.get_mut(usize::from(member))) {
                    let start = Instant::from_nanos(record.at.as_nanos().saturating_sub(took.as_nanos()));
                    let label = if *entries > 1 { format!("{entries} entries") } else { String::new() };
                    drawing.span(start, record.at, SpanKind::Write, &label);
                }
            }
            _ => {}
        }
    }

    pub fn finish(mut self) -> Vec<Lane> {
        for write in self.writes.values() {
            if let Some(drawing) = self.members.get_mut(usize::from(write.member)) {
                let end = write.end.unwrap_or(drawing.window.end);
                drawing.span(write.start, end, SpanKind::Write, &write.label);
            }
        }
        self.members.into_iter().map(Drawing::finish).collect()
    }
}
