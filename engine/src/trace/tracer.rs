//! The record keeper.

use std::hash::{Hash, Hasher};

use super::fingerprint::Fingerprint;
use super::note::{Note, What};
use crate::etcd::EtcdNote;
use crate::kernel::Instant;
use crate::kernel::out::RecordId;

/// How much is kept. The fingerprint is the same on every level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TraceLevel {
    /// Every record.
    #[default]
    Full,
    /// Only the fingerprint, for big clusters.
    FingerprintOnly,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its id; ids count up from 1.
    pub id: RecordId,
    /// When it happened.
    pub at: Instant,
    /// The record that caused it; 0 for none.
    pub cause: RecordId,
    /// What happened.
    pub note: Note,
}

/// The trace of a run.
#[derive(Clone, Debug)]
pub struct Trace {
    level: TraceLevel,
    records: Vec<Record>,
    landmarks: Vec<Record>,
    /// The id of the first record that is kept.
    first: u64,
    next: u64,
    fingerprint: Fingerprint,
}

impl Trace {
    /// An empty trace.
    pub fn new(level: TraceLevel) -> Self {
        Trace {
            level,
            records: Vec::new(),
            landmarks: Vec::new(),
            first: 1,
            next: 1,
            fingerprint: Fingerprint::default(),
        }
    }

    /// The id of the next record.
    pub fn next_id(&self) -> RecordId {
        RecordId(self.next)
    }

    /// Adds a record.
    pub fn record(&mut self, at: Instant, cause: RecordId, note: Note) -> RecordId {
        let id = RecordId(self.next);
        self.next += 1;
        let hash = &mut self.fingerprint;
        (at.as_nanos(), cause.0).hash(hash);
        note.by.hash(hash);
        if let Some((kind, key)) = &note.object {
            hash.write_u8(kind.index() as u8);
            if let Some(definition) = kind.definition() {
                definition.hash(hash);
            }
            key.namespace.hash(hash);
            key.name.hash(hash);
        }
        note.what.hash(hash);
        if is_landmark(&note.what) {
            self.landmarks.push(Record { id, at, cause, note: note.clone() });
        }
        if self.level == TraceLevel::Full {
            self.records.push(Record { id, at, cause, note });
        }
        id
    }

    /// What was kept.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The script's marks, faults, and processes that start and end: kept on every level, for charts.
    pub fn landmarks(&self) -> &[Record] {
        &self.landmarks
    }

    /// A record by its id, if it was kept.
    pub fn get(&self, id: RecordId) -> Option<&Record> {
        self.records.get(id.0.checked_sub(self.first)? as usize)
    }

    /// Forgets the records so far; ids and fingerprint go on.
    pub fn forget(&mut self) {
        self.records.clear();
        self.landmarks.clear();
        self.first = self.next;
    }

    /// The chain of causes of a record, itself first.
    pub fn causes(&self, id: RecordId) -> Vec<&Record> {
        let mut chain = Vec::new();
        let mut next = self.get(id);
        while let Some(record) = next {
            chain.push(record);
            next = self.get(record.cause);
        }
        chain
    }

    /// The hash over all records so far.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }
}

fn is_landmark(what: &What) -> bool {
    matches!(
        what,
        What::Mark { .. }
            | What::FaultBegan { .. }
            | What::FaultEnded { .. }
            | What::Started
            | What::Ended { .. }
            | What::Etcd(EtcdNote::Started | EtcdNote::Stopped)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Agent;

    #[test]
    fn landmarks_are_kept_where_nothing_else_is() {
        let mut trace = Trace::new(TraceLevel::FingerprintOnly);
        let mut note = |what| {
            trace.record(Instant::START, RecordId(0), Note::new(Agent::Script, what));
        };
        note(What::Mark { text: "now".into() });
        note(What::Reconcile);
        note(What::FaultBegan { fault: "cut".into() });
        assert_eq!((trace.records().len(), trace.landmarks().len()), (0, 2));
        assert_eq!(trace.landmarks()[1].id, RecordId(3));
    }
}
