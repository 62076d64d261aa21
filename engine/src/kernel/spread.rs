//! How durations are spread: exact counts in classes about 3% wide, from which quantiles come.
//!
//! Classes are those of an HDR histogram: every doubling is divided into 32 equal parts, so a quantile is off by at most
//! 1.6%. Only classes that hold something are kept. Everything is integer arithmetic.

use super::Duration;

/// Counts of durations by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Class and count, in order of classes; no count is zero.
    classes: Vec<(u16, u32)>,
}

/// Parts of a doubling, as a power of two.
const PARTS: u32 = 5;

impl Spread {
    /// Counts one.
    pub fn observe(&mut self, took: Duration) {
        self.add(class(took.as_nanos()), 1);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.classes.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The duration that `parts` of a thousand do not exceed; `None` if nothing was counted.
    pub fn quantile(&self, parts: u64) -> Option<Duration> {
        let rank = (self.count() * parts.min(1_000)).div_ceil(1_000).max(1);
        let mut below = 0;
        let (class, _) = self.classes.iter().find(|(_, count)| {
            below += u64::from(*count);
            below >= rank
        })?;
        Some(Duration::from_nanos(middle(*class)))
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Spread) {
        other.classes.iter().for_each(|(class, count)| self.add(*class, *count));
    }

    /// What was counted since `earlier`, which is this one some time ago. Whoever counts may have begun anew since: then
    /// it is all there is.
    pub fn since(&self, earlier: &Spread) -> Spread {
        let mut old = earlier.classes.iter().peekable();
        let mut classes = Vec::new();
        for &(class, count) in &self.classes {
            if old.peek().is_some_and(|(other, _)| *other < class) {
                return self.clone();
            }
            let before = old.next_if(|(other, _)| *other == class).map_or(0, |(_, before)| *before);
            match count.checked_sub(before) {
                Some(0) => {}
                Some(more) => classes.push((class, more)),
                None => return self.clone(),
            }
        }
        if old.next().is_some() { self.clone() } else { Spread { classes } }
    }

    fn add(&mut self, class: u16, count: u32) {
        match self.classes.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(place) => {
                if let Some((_, sum)) = self.classes.get_mut(place) {
                    *sum = sum.saturating_add(count);
                }
            }
            Err(place) => self.classes.insert(place, (class, count)),
        }
    }
}

fn class(nanoseconds: u64) -> u16 {
    let doublings = (64 - nanoseconds.leading_zeros()).saturating_sub(PARTS + 1);
    ((doublings << PARTS) as u64 + (nanoseconds >> doublings)) as u16
}

/// The middle of a class. [ns]
fn middle(class: u16) -> u64 {
    let class = u64::from(class);
    let doublings = (class >> PARTS).saturating_sub(1);
    let start = (class - (doublings << PARTS)) << doublings;
    start + ((1 << doublings) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(micros: impl IntoIterator<Item = u64>) -> Spread {
        let mut spread = Spread::default();
        micros.into_iter().for_each(|us| spread.observe(Duration::from_micros(us)));
        spread
    }

    #[test]
    fn classes_are_in_order_and_narrow() {
        let mut last = 0;
        for shift in 0..63 {
            for value in [1u64 << shift, (1 << shift) + (1 << shift) / 3, (2 << shift) - 1] {
                let class = class(value);
                assert!(class >= last, "{value}");
                last = class;
                let off = middle(class).abs_diff(value);
                assert!(off * 60 <= value, "{value} is off by {off}");
            }
        }
        assert_eq!((class(0), middle(0), class(63), class(64)), (0, 0, 63, 64));
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let spread = spread(1..=1_000);
        for (parts, us) in [(0, 1), (500, 500), (990, 990), (1_000, 1_000)] {
            let found = spread.quantile(parts).map_or(0, Duration::as_nanos);
            assert!(found.abs_diff(us * 1_000) * 60 <= us * 1_000, "{parts}: {found}");
        }
        assert_eq!(Spread::default().quantile(500), None);
    }

    #[test]
    fn what_came_since_and_what_came_before_is_everything() {
        let (before, after) = (spread([10, 20, 20, 9_000]), spread([5, 20, 700]));
        let mut all = before.clone();
        all.merge(&after);
        assert_eq!(all.count(), 7);
        assert_eq!(all.since(&before), after);
        assert_eq!(all.since(&all), Spread::default());
    }

    #[test]
    fn a_count_that_began_anew_counts_whole() {
        let fresh = spread([20, 30]);
        assert_eq!(fresh.since(&spread([20, 20, 30])), fresh);
        assert_eq!(fresh.since(&spread([10, 20, 30])), fresh);
        assert_eq!(fresh.since(&spread([20, 30, 40])), fresh);
    }
}
