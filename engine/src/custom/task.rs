//! A busy worker of a controller of one's own, and what such a controller remembers.

use std::sync::Arc;

use serde_json::Value;

use super::Item;
use crate::client::routine::Outcome;
use crate::kernel::Instant;
use crate::kernel::out::RecordId;
use crate::scripted::Logged;

/// A busy worker. Its reconcile is run from its start over the log each time an answer arrives, so the log is all its state.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// What is reconciled.
    pub item: Item,
    /// When.
    pub started: Instant,
    /// How often it has been taken, this time included.
    pub turn: u64,
    /// The record of its begin.
    pub record: RecordId,
    /// What the controller remembered then.
    pub memory: Arc<Value>,
    /// What happened so far, in the order of the function.
    pub log: Vec<Logged>,
}

impl Task {
    /// A worker that has just taken a key.
    pub fn new(item: Item, started: Instant, turn: u64, record: RecordId, memory: Arc<Value>) -> Self {
        Task { item, started, turn, record, memory, log: Vec::new() }
    }

    /// The answer to a request has come.
    pub fn answered(&mut self, place: usize, now: Instant, answer: Outcome) {
        if let Some(Logged::Answer(slot @ None)) = self.log.get_mut(place) {
            *slot = Some((now, answer));
        }
    }

    /// Whether a request is on its way.
    pub fn waits(&self) -> bool {
        matches!(self.log.last(), Some(Logged::Answer(None)))
    }

    /// Whether the last request met a newer version of its object.
    pub fn lost_a_race(&self) -> bool {
        let last = self.log.iter().rev().find_map(|logged| match logged {
            Logged::Answer(Some((_, outcome))) => Some(outcome),
            _ => None,
        });
        matches!(last, Some(Err(status)) if status.code == 409)
    }
}

/// Takes over what a reconcile changed of what it remembered when it began (`before`): others may have changed other fields since.
pub(super) fn remember(memory: &mut Arc<Value>, before: &Value, new: Value) {
    let (Value::Object(new), Some(before)) = (new, before.as_object()) else { return };
    let Some(kept) = Arc::make_mut(memory).as_object_mut() else { return };
    kept.retain(|field, _| new.contains_key(field) || !before.contains_key(field));
    for (field, value) in new {
        if before.get(&field) != Some(&value) {
            kept.insert(field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn two_reconciles_change_different_fields_of_what_is_remembered() {
        let before = json!({"a": 1, "b": 1, "c": 1});
        let mut memory = Arc::new(json!({"a": 1, "b": 2, "c": 1, "d": 1}));
        remember(&mut memory, &before, json!({"a": 5, "b": 1}));
        assert_eq!(*memory, json!({"a": 5, "b": 2, "d": 1}));
    }
}
