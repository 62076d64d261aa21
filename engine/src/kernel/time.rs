//! Virtual time: integer nanoseconds in two types, an instant and a duration.
//!
//! An instant cannot be added to an instant, and every conversion names its unit. The simulation starts at instant 0; what
//! the calendar says then is part of the setup.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A moment of the run. [ns since the cluster was switched on, simulated]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

/// A length of virtual time. [ns]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

impl Instant {
    /// The moment the cluster is switched on.
    pub const START: Instant = Instant(0);
    /// A moment no run reaches.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The instant `ns` nanoseconds after the start.
    pub const fn from_nanos(ns: u64) -> Self {
        Instant(ns)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved by `by`, never past [`Instant::NEVER`].
    pub const fn after(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(by.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// A duration of `ns` nanoseconds.
    pub const fn from_nanos(ns: u64) -> Self {
        Duration(ns)
    }

    /// A duration of `us` microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Duration(us * 1_000)
    }

    /// A duration of `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Duration(ms * 1_000_000)
    }

    /// A duration of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Duration(s * 1_000_000_000)
    }

    /// A duration of `ms` milliseconds given with a fraction; negative and non-finite values count as zero.
    pub fn from_millis_f64(ms: f64) -> Self {
        Duration((ms * 1e6).max(0.0) as u64)
    }

    /// Nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds with a fraction, for people.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Seconds with a fraction, for people.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This duration `n` times, saturating.
    pub const fn times(self, n: u64) -> Duration {
        Duration(self.0.saturating_mul(n))
    }

    /// The `numerator`/`denominator` part of this duration.
    pub fn fraction(self, numerator: u64, denominator: u64) -> Duration {
        Duration((u128::from(self.0) * u128::from(numerator) / u128::from(denominator)) as u64)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        self.after(by)
    }
}

impl Add for Duration {
    type Output = Duration;
    fn add(self, other: Duration) -> Duration {
        Duration(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Duration) {
        *self = *self + other;
    }
}

impl Sub for Duration {
    type Output = Duration;
    fn sub(self, other: Duration) -> Duration {
        Duration(self.0.saturating_sub(other.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t={}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_moves_by_a_duration_and_saturates() {
        let t = Instant::from_nanos(5) + Duration::from_micros(1);
        assert_eq!(t.as_nanos(), 1_005);
        assert_eq!(t.since(Instant::from_nanos(2_000)), Duration::ZERO);
        assert_eq!(Instant::NEVER + Duration::from_secs(1), Instant::NEVER);
    }

    #[test]
    fn a_fraction_does_not_overflow_for_long_durations() {
        assert_eq!(Duration::from_secs(4_000_000_000).fraction(1, 4), Duration::from_secs(1_000_000_000));
    }
}
