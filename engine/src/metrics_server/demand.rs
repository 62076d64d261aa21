//! How much work is asked of a workload's pods, over time: tables of points, steps or ramps, once or again and again.
//!
//! A curve is data, so that a world with curves can be cloned. Its integral is exact in integers: what a container's CPU counter says does
//! not hang on when somebody looks.
//!
//! Models: nothing of Kubernetes; it stands for the users of what runs in the pods.

use std::sync::Arc;

use crate::kernel::Duration;

/// A quantity over time: that of the last point before, or on the line to the next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Curve {
    /// Ascending. [time since the beginning, value]
    points: Arc<[(Duration, u64)]>,
    steps: bool,
    repeat: Option<Duration>,
}

/// What is asked of the pods of a workload. CPU is in 10^-9 of a CPU, memory in bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Demand {
    /// CPU that its ready pods share.
    pub cpu: Curve,
    /// CPU of each pod that runs, besides.
    pub cpu_per_pod: Curve,
    /// Memory that its ready pods share.
    pub memory: Curve,
    /// Memory of each pod that runs, besides.
    pub memory_per_pod: Curve,
}

/// The shortest time after which a curve may begin again.
const SHORTEST: Duration = Duration::from_secs(1);

/// Why points are no curve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CurveError {
    /// There are none.
    #[error("a curve has at least one point")]
    Empty,
    /// The n-th does not come after the one before it.
    #[error("point {0} of the curve is not later than the one before it")]
    Order(usize),
    /// The last comes after the curve has begun again.
    #[error("the curve begins again before its last point")]
    Repeat,
    /// It begins again all the time: following each turn would take for ever.
    #[error("the curve begins again more than once a second")]
    Often,
}

impl Curve {
    /// The same all the time.
    pub fn constant(value: u64) -> Self {
        Curve { points: Arc::new([(Duration::ZERO, value)]), steps: true, repeat: None }
    }

    /// Through these points: with jumps, or else in straight lines; with `repeat` it begins anew each time that has passed.
    ///
    /// # Errors
    /// When the points are not in order.
    pub fn new(points: Vec<(Duration, u64)>, steps: bool, repeat: Option<Duration>) -> Result<Self, CurveError> {
        let Some((last, _)) = points.last() else { return Err(CurveError::Empty) };
        if repeat.is_some_and(|repeat| repeat < *last) {
            return Err(CurveError::Repeat);
        }
        if repeat.is_some_and(|repeat| repeat < SHORTEST) {
            return Err(CurveError::Often);
        }
        if let Some(place) = points.windows(2).position(|pair| matches!(pair, [a, b] if b.0 <= a.0)) {
            return Err(CurveError::Order(place + 2));
        }
        Ok(Curve { points: points.into(), steps, repeat })
    }

    /// Its value at a time since its beginning.
    pub fn value(&self, at: Duration) -> u64 {
        self.ends(at, at).0
    }

    /// Values at both ends of a stretch without a corner in it; at the far end that of the line that leads there.
    fn ends(&self, from: Duration, to: Duration) -> (u64, u64) {
        let phase = self.phase(from);
        let next = self.points.partition_point(|(at, _)| *at <= phase);
        let Some((start, value)) = next.checked_sub(1).and_then(|place| self.points.get(place)) else {
            let first = self.points.first().map_or(0, |(_, value)| *value);
            return (first, first);
        };
        match self.points.get(next) {
            Some((end, goal)) if !self.steps => {
                let line = |at: Duration| {
                    let (span, gone) = (end.since(*start), at.since(*start));
                    let (a, b) = (i128::from(*value), i128::from(*goal));
                    u64::try_from(a + (b - a) * gone / span.max(1)).unwrap_or(0)
                };
                (line(phase), line(phase + Duration::from_nanos(to.as_nanos().saturating_sub(from.as_nanos()))))
            }
            _ => (*value, *value),
        }
    }

    fn phase(&self, at: Duration) -> Duration {
        self.repeat.map_or(at, |repeat| Duration::from_nanos(at.as_nanos() % repeat.as_nanos().max(1)))
    }

    /// The next corner after a time.
    fn corner(&self, after: Duration) -> Option<Duration> {
        let phase = self.phase(after);
        let base = after.as_nanos() - phase.as_nanos();
        let next = self.points.get(self.points.partition_point(|(at, _)| *at <= phase)).map(|(at, _)| *at);
        next.into_iter().chain(self.repeat).min().map(|at| Duration::from_nanos(base + at.as_nanos()))
    }
}

/// Nanoseconds between, signed as the arithmetic of lines wants it.
trait Since {
    fn since(self, earlier: Duration) -> i128;
}

impl Since for Duration {
    fn since(self, earlier: Duration) -> i128 {
        i128::from(self.as_nanos()) - i128::from(earlier.as_nanos())
    }
}

impl Demand {
    /// The CPU time of a pod in a span since the beginning: its share if `sharers` pods with it are ready, none of the shared part if it is
    /// not, and never more than `cap`. [10^-9 CPU · ns]
    pub fn cpu_used(&self, from: Duration, to: Duration, sharers: Option<u64>, cap: u64) -> u128 {
        let (mut at, mut used) = (from, 0_u128);
        while at < to {
            let corners = self.cpu.corner(at).into_iter().chain(self.cpu_per_pod.corner(at));
            let end = corners.min().map_or(to, |corner| corner.min(to));
            let (shared, own) = (self.cpu.ends(at, end), self.cpu_per_pod.ends(at, end));
            let sum = |shared: u64, own: u64| sharers.map_or(0, |n| shared / n.max(1)).saturating_add(own);
            used += area(sum(shared.0, own.0), sum(shared.1, own.1), end.since(at) as u128, cap);
            at = end;
        }
        used
    }

    /// The memory of a pod at a time since the beginning. [bytes]
    pub fn memory_used(&self, at: Duration, sharers: Option<u64>) -> u64 {
        let shared = sharers.map_or(0, |n| self.memory.value(at) / n.max(1));
        shared.saturating_add(self.memory_per_pod.value(at))
    }
}

/// The area under a line from `a` to `b`, cut off at `cap`.
fn area(a: u64, b: u64, span: u128, cap: u64) -> u128 {
    let (low, high, cap) = (u128::from(a.min(b)), u128::from(a.max(b)), u128::from(cap));
    if high <= cap {
        return (low + high) * span / 2;
    }
    if low >= cap {
        return cap * span;
    }
    let below = (cap - low) * span / (high - low);
    (low + cap) * below / 2 + cap * (span - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn curve(points: &[(u64, u64)], steps: bool, repeat: Option<u64>) -> Curve {
        Curve::new(points.iter().map(|(at, value)| (s(*at), *value)).collect(), steps, repeat.map(s)).expect("a curve")
    }

    fn seconds(used: u128) -> u128 {
        used / 1_000_000_000
    }

    #[test]
    fn steps_stay_and_lines_rise() {
        let points = [(0, 200), (10, 1_000)];
        let (steps, lines) = (curve(&points, true, None), curve(&points, false, None));
        assert_eq!(
            [steps.value(s(5)), lines.value(s(5)), steps.value(s(10)), lines.value(s(99))],
            [200, 600, 1000, 1000]
        );
        let again = curve(&points, false, Some(20));
        assert_eq!([again.value(s(25)), again.value(s(35)), again.value(s(40))], [600, 1_000, 200]);
    }

    #[test]
    fn an_integral_does_not_hang_on_where_it_is_cut() {
        let cpu = curve(&[(0, 100), (7, 900), (20, 300)], false, Some(23));
        let demand = Demand { cpu, cpu_per_pod: Curve::constant(10), ..Demand::default() };
        let whole = demand.cpu_used(s(3), s(90), Some(2), 300);
        let parts: u128 = (3..90).map(|at| demand.cpu_used(s(at), s(at + 1), Some(2), 300)).sum();
        assert!(seconds(whole).abs_diff(seconds(parts)) <= 90, "{whole} {parts}");
        assert!(whole > demand.cpu_used(s(3), s(90), None, 300));
    }

    #[test]
    fn a_limit_cuts_the_top_off() {
        let demand = Demand { cpu: curve(&[(0, 0), (10, 1_000)], false, None), ..Demand::default() };
        // A triangle up to the limit of 400 after 4 s, then a rectangle.
        assert_eq!(seconds(demand.cpu_used(s(0), s(10), Some(1), 400)), 4 * 400 / 2 + 6 * 400);
        assert_eq!(seconds(demand.cpu_used(s(0), s(10), Some(4), u64::MAX)), 10 * 250 / 2);
    }

    #[test]
    fn points_are_in_order() {
        let bad = |points: &[(u64, u64)], repeat: Option<u64>| {
            Curve::new(points.iter().map(|(at, value)| (s(*at), *value)).collect(), true, repeat.map(s)).err()
        };
        assert_eq!(bad(&[], None), Some(CurveError::Empty));
        assert_eq!(bad(&[(0, 1), (5, 2), (5, 3)], None), Some(CurveError::Order(3)));
        assert_eq!(bad(&[(0, 1), (5, 2)], Some(4)), Some(CurveError::Repeat));
        let turn = Curve::new(vec![(Duration::ZERO, 1)], true, Some(Duration::from_millis(999)));
        assert_eq!(turn.err(), Some(CurveError::Often));
        assert_eq!(bad(&[(0, 1), (5, 2)], Some(5)), None);
    }
}
