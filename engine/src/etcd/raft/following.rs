//! What a follower does with what the leader sends.
//!
//! Models: raft v3.6 raft.go (`handleAppendEntries`, `handleSnapshot`, `restore`).

use std::sync::Arc;

use super::node::Raft;
use super::{Append, Body, Mark, Payload, Snapshot};

impl<P: Payload, S: Clone> Raft<P, S> {
    pub(super) fn take_entries(&mut self, from: u8, append: Append<P>) {
        let commit = self.log.commit();
        if append.after.index < commit {
            return self.acknowledge(from, commit);
        }
        if let Some(last) = self.log.append(append.after, &append.entries) {
            self.log.commit_to(append.commit.min(last));
            if append.ask || !append.entries.is_empty() {
                self.acknowledge(from, last);
            }
            return;
        }
        let hint = self.log.agree(append.after.index.min(self.log.last_index()), append.after.term);
        self.send(from, Body::AppendReply { index: append.after.index, refused: Some(Box::new(hint)) });
    }

    pub(super) fn take_snapshot(&mut self, from: u8, snapshot: Arc<Snapshot<S>>) {
        let Mark { index, term } = snapshot.mark;
        if index <= self.log.commit() {
            return self.acknowledge(from, self.log.commit());
        }
        if self.log.term(index) == Some(term) {
            // The entries are here; only their being committed is news.
            self.log.commit_to(index);
            return self.acknowledge(from, self.log.commit());
        }
        self.log.restore(snapshot.mark);
        self.config = snapshot.config.clone();
        self.applied = index;
        self.restore = Some(snapshot);
        self.acknowledge(from, index);
    }

    fn acknowledge(&mut self, to: u8, index: u64) {
        let before = self.acknowledge.filter(|(leader, _)| *leader == to).map_or(0, |(_, index)| index);
        self.acknowledge = Some((to, index.max(before)));
    }
}
