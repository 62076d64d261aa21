//! Zones: how many of their nodes are in trouble, and how fast NoExecute taints are handed out there.
//!
//! A queue lets one node pass and then makes the next one wait: 10 s as a rule, 100 s if most of a large zone is in trouble, and for
//! ever if that zone is small. If no node anywhere is ready, the fault is more likely the control plane's: nothing is tainted at all
//! ("master disruption mode").
//!
//! Models: kubernetes v1.36.2 pkg/controller/nodelifecycle/node_lifecycle_controller.go (ComputeZoneState, handleDisruption,
//! setLimiterInZone), pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go (burst 1). Left out: a node that waits
//! is not put at the end of the queue again by every pass.

use std::collections::{BTreeMap, VecDeque};

use super::zone_key;
use crate::controllers::contract::Wake;
use crate::kernel::{Duration, Instant};
use crate::objects::Name;

/// Kubernetes: --node-eviction-rate 0.1/s, --secondary-node-eviction-rate 0.01/s.
const PERIOD: Duration = Duration::from_secs(10);
const SECONDARY_PERIOD: Duration = Duration::from_secs(100);
/// A zone of more nodes is large. Kubernetes: --large-cluster-size-threshold.
const LARGE: u32 = 50;
/// Share of nodes in trouble, in hundredths. Kubernetes: --unhealthy-zone-threshold 0.55.
const UNHEALTHY: u64 = 55;
/// How often queues are looked at. Kubernetes: NodeEvictionPeriod.
const LOOK: Duration = Duration::from_millis(100);

/// The state of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Initial,
    Normal,
    PartialDisruption,
    FullDisruption,
}

/// How many nodes of a zone are ready, and how many are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Count {
    pub(super) ready: u32,
    pub(super) not_ready: u32,
}

impl Count {
    /// Kubernetes: ComputeZoneState.
    pub(super) fn state(self) -> State {
        let (ready, not_ready) = (u64::from(self.ready), u64::from(self.not_ready));
        if ready == 0 && not_ready > 0 {
            State::FullDisruption
        } else if not_ready > 2 && not_ready * 100 >= UNHEALTHY * (ready + not_ready) {
            State::PartialDisruption
        } else {
            State::Normal
        }
    }

    fn size(self) -> u32 {
        self.ready + self.not_ready
    }
}

/// A zone.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    state: State,
    /// Nodes that wait for their taint.
    queue: VecDeque<Name>,
    /// Between two taints; `None`: there are none.
    period: Option<Duration>,
    /// When the next one may be handed out.
    free_at: Instant,
}

impl Zone {
    fn new() -> Self {
        Zone { state: State::Initial, queue: VecDeque::new(), period: Some(PERIOD), free_at: Instant::START }
    }

    /// The next node of the queue, if one may pass now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Name> {
        let period = self.period.filter(|_| self.free_at <= now)?;
        let node = self.queue.pop_front()?;
        self.free_at = now + period;
        Some(node)
    }

    /// Kubernetes: SwapLimiter. Whoever waited goes on waiting, a whole period.
    fn limit(&mut self, period: Option<Duration>, now: Instant) {
        if self.period == period {
            return;
        }
        let waited = self.period.is_none() || self.free_at > now;
        self.period = period;
        self.free_at = if waited { now + period.unwrap_or_default() } else { now };
    }

    /// Kubernetes: setLimiterInZone.
    fn enter(&mut self, state: State, size: u32, now: Instant) {
        self.state = state;
        let period = match state {
            State::PartialDisruption if size > LARGE => Some(SECONDARY_PERIOD),
            State::PartialDisruption => None,
            _ => Some(PERIOD),
        };
        self.limit(period, now);
    }
}

/// What a pass finds out about the whole cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Some nodes are ready, or none was before either.
    Same,
    /// No node is ready any more: all NoExecute taints go.
    AllFail,
    /// Some node is ready again: all nodes' clocks begin anew.
    SomeAreBack,
}

/// All zones, by their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Zones {
    zones: BTreeMap<Name, Zone>,
    /// When queues were looked at for the first time.
    began: Option<Instant>,
}

impl Zones {
    /// The zone of a key.
    pub(super) fn get_mut(&mut self, zone: &Name) -> Option<&mut Zone> {
        self.zones.get_mut(zone)
    }

    /// Whether any node waits for its taint.
    pub(super) fn waiting(&self) -> bool {
        self.zones.values().any(|zone| !zone.queue.is_empty())
    }

    /// A node waits for its taint from now on, unless it waits already.
    pub(super) fn add(&mut self, zone: &Name, node: &Name, wake: &mut Wake<'_>) {
        let place = self.zones.entry(zone.clone()).or_insert_with(Zone::new);
        if !place.queue.contains(node) {
            place.queue.push_back(node.clone());
            self.look(zone, wake);
        }
    }

    /// A node no longer waits.
    pub(super) fn drop(&mut self, zone: &Name, node: &Name) {
        if let Some(zone) = self.zones.get_mut(zone) {
            zone.queue.retain(|waiting| waiting != node);
        }
    }

    /// When a zone's queue is to be looked at again; `None`: there is no reason to.
    pub(super) fn again(&self, zone: &Name, now: Instant) -> Option<Duration> {
        let zone = self.zones.get(zone).filter(|zone| !zone.queue.is_empty() && zone.period.is_some())?;
        let began = self.began.unwrap_or(now);
        let due = zone.free_at.max(now).since(began).as_nanos().div_ceil(LOOK.as_nanos());
        Some((began + LOOK.times(due)).since(now))
    }

    fn look(&mut self, zone: &Name, wake: &mut Wake<'_>) {
        if let Some(after) = self.again(zone, wake.now()) {
            wake.later(zone_key(zone), after);
        }
    }

    /// What the nodes' conditions mean for the zones. Kubernetes: handleDisruption.
    pub(super) fn judge(&mut self, counts: &BTreeMap<Name, Count>, wake: &mut Wake<'_>) -> Verdict {
        let now = wake.now();
        self.began.get_or_insert(now);
        self.zones.retain(|zone, _| counts.contains_key(zone));
        for zone in counts.keys() {
            self.zones.entry(zone.clone()).or_insert_with(Zone::new);
        }
        let all_fail = counts.values().all(|count| count.state() == State::FullDisruption);
        let all_failed = self.zones.values().all(|zone| zone.state == State::FullDisruption);
        if all_fail && all_failed {
            return Verdict::Same;
        }
        for (zone, count) in counts {
            let Some(place) = self.zones.get_mut(zone) else { continue };
            if all_fail {
                place.state = State::FullDisruption;
                place.limit(None, now);
            } else if all_failed || place.state != count.state() {
                place.enter(count.state(), count.size(), now);
            }
            self.look(zone, wake);
        }
        match (all_fail, all_failed) {
            (true, _) => Verdict::AllFail,
            (_, true) => Verdict::SomeAreBack,
            _ => Verdict::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_zone_s_state_is_its_share_of_nodes_in_trouble() {
        let state = |ready, not_ready| Count { ready, not_ready }.state();
        assert_eq!([state(3, 0), state(1, 2), state(0, 1)], [State::Normal, State::Normal, State::FullDisruption]);
        assert_eq!([state(45, 55), state(46, 54)], [State::PartialDisruption, State::Normal]);
    }

    #[test]
    fn one_node_passes_and_the_next_one_waits_as_long_as_the_state_says() {
        let mut zone = Zone::new();
        zone.queue.extend(["a", "b", "c", "d"].map(Name::from));
        assert_eq!(zone.take(at(1)).as_deref(), Some("a"));
        assert_eq!((zone.take(at(10)), zone.take(at(11)).as_deref()), (None, Some("b")));
        zone.enter(State::PartialDisruption, 51, at(12));
        assert_eq!((zone.take(at(111)), zone.take(at(112)).as_deref()), (None, Some("c")));
        zone.enter(State::PartialDisruption, 50, at(300));
        assert_eq!(zone.take(at(100_000)), None);
        zone.enter(State::Normal, 50, at(100_000));
        assert_eq!((zone.take(at(100_009)), zone.take(at(100_010)).as_deref()), (None, Some("d")));
    }
}
