//! The pods' bars: what the API server knew of each pod, refined by what its kubelet was doing.
//!
//! A bar begins with the first write of the pod among the records and ends with its deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::suffix::ALPHABET;
use wavetank_engine::objects::{Key, Kind, Phase};
use wavetank_engine::trace::note::{self, Change, PodStep};
use wavetank_engine::trace::{Record, What};

use super::drawing::Window;
use crate::timeline::{PodBar, PodState, Segment};

pub(super) struct Pods {
    window: Window,
    lives: Vec<Life>,
    /// The pods that exist.
    living: BTreeMap<Key, usize>,
}

struct Life {
    bar: PodBar,
    known: note::PodState,
    /// Whether the kubelet has begun.
    begun: bool,
    pulls: BTreeSet<Arc<str>>,
    /// The state it is in, and since when; `None` when it is gone.
    state: Option<(Instant, PodState)>,
}

impl Pods {
    pub fn new(window: Window) -> Self {
        Pods { window, lives: Vec::new(), living: BTreeMap::new() }
    }

    pub fn take(&mut self, record: &Record) {
        let Some((Kind::Pod, key)) = &record.note.object else { return };
        match (&record.note.what, record.note.by) {
            (What::Committed { change: Change::Deleted, .. }, _) => {
                if let Some(life) = self.living.remove(key).and_then(|index| self.lives.get_mut(index)) {
                    life.enter(None, record.at, &self.window);
                }
            }
            (What::Committed { change: Change::Pod { state, node, .. }, .. }, _) => {
                let life = self.life(key, *state);
                life.known = *state;
                if !node.is_empty() {
                    life.bar.node = Some(node.to_string());
                }
                self.update(key, record.at);
            }
            (What::Pod { step, detail }, Agent::Kubelet(_)) => {
                let Some(life) = self.living.get(key).and_then(|index| self.lives.get_mut(*index)) else { return };
                life.step(*step, detail);
                self.update(key, record.at);
            }
            _ => {}
        }
    }

    fn life(&mut self, key: &Key, known: note::PodState) -> &mut Life {
        let index = *self.living.entry(key.clone()).or_insert(self.lives.len());
        if index == self.lives.len() {
            let name = key.name.to_string();
            let bar = PodBar { owner: owner(&name), name, node: None, segments: Vec::new() };
            self.lives.push(Life { bar, known, begun: false, pulls: BTreeSet::new(), state: None });
        }
        &mut self.lives[index]
    }

    fn update(&mut self, key: &Key, at: Instant) {
        if let Some(life) = self.living.get(key).and_then(|index| self.lives.get_mut(*index)) {
            life.enter(Some(life.present()), at, &self.window);
        }
    }

    /// The bars in the order in which the pods were created.
    pub fn finish(mut self) -> Vec<PodBar> {
        for life in &mut self.lives {
            life.enter(None, self.window.end, &self.window);
        }
        self.lives.into_iter().map(|life| life.bar).filter(|bar| !bar.segments.is_empty()).collect()
    }
}

impl Life {
    /// The state as a reader would put it.
    fn present(&self) -> PodState {
        let pulling = !self.pulls.is_empty();
        match self.known {
            note::PodState { deleting: true, .. } => PodState::Terminating,
            note::PodState { phase: Phase::Succeeded, .. } => PodState::Succeeded,
            note::PodState { phase: Phase::Failed, .. } => PodState::Failed,
            note::PodState { bound: false, .. } => PodState::Pending,
            note::PodState { phase: Phase::Pending, .. } if pulling => PodState::PullingImage,
            note::PodState { failing: true, .. } => PodState::BackOff,
            note::PodState { phase: Phase::Pending, .. } if self.begun => PodState::ContainerCreating,
            note::PodState { phase: Phase::Pending, .. } => PodState::Scheduled,
            note::PodState { ready: true, .. } => PodState::Ready,
            _ => PodState::RunningNotReady,
        }
    }

    fn step(&mut self, step: PodStep, detail: &Arc<str>) {
        match step {
            // To have seen a pod is not yet to work on it.
            PodStep::Seen => {}
            PodStep::PullStarted => {
                self.begun = true;
                self.pulls.insert(detail.clone());
            }
            PodStep::Pulled | PodStep::PullFailed => {
                if !self.pulls.remove(detail) {
                    self.pulls.clear();
                }
            }
            PodStep::Terminated => self.pulls.clear(),
            _ => self.begun = true,
        }
    }

    /// Enters a state, or goes (`None`).
    fn enter(&mut self, state: Option<PodState>, at: Instant, window: &Window) {
        match (self.state, state) {
            (Some((_, old)), Some(new)) if old == new => return,
            (Some((since, old)), _) => {
                if let Some((start, end)) = window.clip(since, at).filter(|(start, end)| start < end) {
                    self.bar.segments.push(Segment { start, end, state: old });
                }
            }
            (None, _) => {}
        }
        self.state = state.map(|state| (at, state));
    }
}

/// The owner as a pod's name tells it: `web` of `web-6c9d8f7b54-x2k9q`. `None` if the name does not end like one that
/// a replica set of a deployment made.
fn owner(pod: &str) -> Option<String> {
    let mut parts = pod.rsplitn(3, '-');
    let (suffix, hash, owner) = (parts.next()?, parts.next()?, parts.next()?);
    let made_up = |part: &str| part.bytes().all(|byte| ALPHABET.contains(&byte));
    let fits = suffix.len() == 5 && (1..=10).contains(&hash.len()) && made_up(suffix) && made_up(hash);
    fits.then(|| owner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_known_by_the_name_alone() {
        assert_eq!(owner("web-6c9d8f7b54-x2k9q").as_deref(), Some("web"));
        assert_eq!(owner("my-web-6c9d8f7b54-x2k9q").as_deref(), Some("my-web"));
        for name in ["web", "web-x2k9q", "my-test-pod", "web-6c9d8f7b54-0", "web-hash01-x2k9q", "", "--"] {
            assert_eq!(owner(name), None, "{name}");
        }
    }
}
