//! How much memory containers use, as their pod says, and when that is too much.
//!
//! `wavetank.dev/memory: "100Mi, 30s: 300Mi"`, or `wavetank.dev/memory.NAME` for one container: so much from its start, so much more from
//! a later time on. `50Mi..600Mi in 60s` grows evenly. What exceeds the container's limit is killed by the kernel.
//!
//! Models: nothing of Kubernetes; it stands for the programs, and for the kernel's OOM killer.

use k8s_openapi::api::core::v1 as api;

use super::pod_worker::{PodWorker, Run};
use super::program::{said, seconds};
use super::schedule::Schedule;
use crate::kernel::{Duration, Instant};
use crate::objects::ObjectMeta;
use crate::objects::quantity::Quantity;

/// The annotation that says how much memory containers use.
pub const MEMORY: &str = "wavetank.dev/memory";

/// An amount, or one that grows. [bytes]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Usage {
    from: i64,
    to: i64,
    within: Duration,
}

impl Usage {
    /// `100Mi`, `50Mi..600Mi in 60s`.
    fn parse(text: &str) -> Option<Self> {
        let bytes = |text: &str| Quantity::parse(text.trim()).ok().map(Quantity::value).filter(|bytes| *bytes >= 0);
        let Some((from, rest)) = text.split_once("..") else {
            return bytes(text).map(|from| Usage { from, to: from, within: Duration::ZERO });
        };
        let (to, within) = rest.split_once(" in ")?;
        Some(Usage { from: bytes(from)?, to: bytes(to)?, within: seconds(within.trim())? })
    }

    /// After so long.
    fn after(&self, time: Duration) -> i64 {
        if time >= self.within {
            return self.to;
        }
        let grown =
            i128::from(self.to - self.from) * i128::from(time.as_nanos()) / i128::from(self.within.as_nanos().max(1));
        self.from + grown as i64
    }
}

/// Whether a text says how much memory a container uses.
pub(super) fn understood(text: &str) -> bool {
    Schedule::parse(text, Usage::parse).is_ok()
}

/// A container's use of memory since its start.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Memory(Schedule<Usage>);

impl Memory {
    /// What a pod says of one of its containers.
    pub(super) fn of(meta: &ObjectMeta, container: &str) -> Option<Self> {
        Schedule::parse(said(meta, MEMORY, container)?, Usage::parse).ok().map(Memory)
    }

    /// [bytes]
    fn at(&self, began: Instant, now: Instant) -> i64 {
        let since = now.since(began);
        let step = self.0.steps().iter().rev().find(|(at, _)| *at <= since);
        step.map_or(0, |(at, usage)| usage.after(since - *at))
    }

    /// The moments at which it begins to change in another way.
    fn turns(&self, began: Instant) -> impl Iterator<Item = Instant> {
        self.0.steps().iter().flat_map(move |(at, usage)| [began + *at, began + *at + usage.within])
    }
}

/// When the sum of what containers use is first above `bytes`, at `from` or later.
fn crosses(containers: &[(Memory, Instant)], bytes: i64, from: Instant) -> Option<Instant> {
    let sum = |at: Instant| containers.iter().map(|(memory, began)| memory.at(*began, at)).fold(0, i64::saturating_add);
    if sum(from) > bytes {
        return Some(from);
    }
    let mut turns: Vec<Instant> = containers.iter().flat_map(|(memory, began)| memory.turns(*began)).collect();
    turns.retain(|at| *at > from);
    turns.sort_unstable();
    turns.dedup();
    let mut before = from;
    for turn in turns {
        // Between two turns it is a straight line; at a turn it may jump.
        let (mut low, mut high) = (before.as_nanos(), turn.as_nanos().saturating_sub(1).max(before.as_nanos()));
        if sum(Instant::from_nanos(high)) > bytes {
            while high - low > 1_000 {
                let middle = low + (high - low) / 2;
                if sum(Instant::from_nanos(middle)) > bytes { high = middle } else { low = middle }
            }
            return Some(Instant::from_nanos(high));
        }
        if sum(turn) > bytes {
            return Some(turn);
        }
        before = turn;
    }
    None
}

/// When a container that starts at `began` has more memory than its limit.
pub(super) fn out_of_memory(container: &api::Container, meta: &ObjectMeta, began: Instant) -> Option<Instant> {
    let memory = Memory::of(meta, &container.name)?;
    let limit = container.resources.as_ref()?.limits.as_ref()?.get("memory")?;
    let limit = Quantity::try_from(limit).ok()?.value();
    crosses(&[(memory, began)], limit, began)
}

impl PodWorker {
    /// The memory that the pod's running containers use, as the pod says; `None` if it says nothing. [bytes]
    pub(crate) fn memory_at(&self, now: Instant) -> Option<i64> {
        let usages = self.memories();
        (!usages.is_empty())
            .then(|| usages.iter().map(|(memory, began)| memory.at(*began, now)).fold(0, i64::saturating_add))
    }

    /// The same of one container.
    pub(crate) fn container_memory_at(&self, n: usize, now: Instant) -> Option<i64> {
        let container = self.containers().nth(n)?;
        let runs = matches!(container.run, Run::Running { .. }) && !container.life.over;
        let memory = Memory::of(&self.pod().meta, &container.name)?;
        runs.then(|| memory.at(container.life.begun, now))
    }

    /// When the memory of the pod is next above `bytes`, if none of its containers ends or starts before.
    pub(crate) fn memory_crosses(&self, bytes: i64, now: Instant) -> Option<Instant> {
        crosses(&self.memories(), bytes, now)
    }

    /// When the memory of the pod next begins to change in another way, at a step or the end of a growth.
    pub(crate) fn memory_turns(&self, now: Instant) -> Option<Instant> {
        let memories = self.memories();
        memories.iter().flat_map(|(memory, began)| memory.turns(*began)).filter(|at| *at > now).min()
    }

    fn memories(&self) -> Vec<(Memory, Instant)> {
        let meta = &self.pod().meta;
        if meta.annotations.is_empty() {
            return Vec::new();
        }
        let runs = self.containers().filter(|it| matches!(it.run, Run::Running { .. }) && !it.life.over);
        runs.filter_map(|container| Some((Memory::of(meta, &container.name)?, container.life.begun))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(text: &str) -> Memory {
        Memory(Schedule::parse(text, Usage::parse).expect("a schedule"))
    }

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    #[test]
    fn memory_steps_and_grows() {
        let usage = memory("100Mi, 30s: 300Mi, 1m: 300Mi..600Mi in 60s");
        let mi = |seconds: u64| usage.at(at(10), at(10 + seconds)) >> 20;
        assert_eq!([mi(0), mi(29), mi(30), mi(90), mi(500)], [100, 100, 300, 450, 600]);
        assert_eq!(Usage::parse("50Mi..600Mi"), None);
    }

    #[test]
    fn when_it_is_too_much() {
        let one = [(memory("50Mi..600Mi in 60s"), at(10))];
        let limit = 325 << 20;
        let crossed = crosses(&one, limit, at(10)).expect("crossed");
        assert!(crossed > at(40) && crossed.since(at(40)) < Duration::from_millis(1), "{crossed:?}");
        assert_eq!(crosses(&one, 600 << 20, at(10)), None);
        let two = [(memory("100Mi"), at(0)), (memory("10Mi, 20s: 200Mi"), at(5))];
        assert_eq!(crosses(&two, 250 << 20, at(6)), Some(at(25)));
        assert_eq!(crosses(&two, 250 << 20, at(30)), Some(at(30)));
    }
}
