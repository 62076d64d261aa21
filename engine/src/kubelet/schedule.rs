//! What an annotation says over time: `500`, `20s: 500, 50s: ok`, `after 20s: 500`.
//!
//! Times count from a beginning (a container's start, or the moment a script speaks). Before the first time nothing is said.

use super::program::seconds;
use crate::kernel::{Duration, Instant};

/// Values with the times from which on they hold, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule<T> {
    steps: Vec<(Duration, T)>,
}

impl<T> Schedule<T> {
    /// Reads a text; `value` reads one entry's value.
    ///
    /// # Errors
    /// The entry that is none.
    pub fn parse(text: &str, value: impl Fn(&str) -> Option<T>) -> Result<Self, String> {
        let mut steps: Vec<(Duration, T)> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (at, what) = match entry.split_once(':').map(|(at, what)| (at.trim(), what)) {
                Some((at, what)) => match seconds(at.strip_prefix("after ").unwrap_or(at).trim()) {
                    Some(at) => (at, what.trim()),
                    None => (Duration::ZERO, entry),
                },
                None => (Duration::ZERO, entry),
            };
            let value = value(what).ok_or_else(|| entry.to_owned())?;
            if steps.last().is_some_and(|(before, _)| *before > at) {
                return Err(entry.to_owned());
            }
            steps.push((at, value));
        }
        Ok(Schedule { steps })
    }

    /// A schedule of known steps.
    pub(super) fn of(steps: Vec<(Duration, T)>) -> Self {
        Schedule { steps }
    }

    /// What holds at `now`, if anything was said by then, and until when that holds.
    pub fn at(&self, began: Instant, now: Instant) -> (Option<&T>, Instant) {
        let next = self.steps.iter().position(|(at, _)| began + *at > now).unwrap_or(self.steps.len());
        let until = self.steps.get(next).map_or(Instant::NEVER, |(at, _)| began + *at);
        (next.checked_sub(1).and_then(|last| self.steps.get(last)).map(|(_, value)| value), until)
    }

    /// The steps.
    pub fn steps(&self) -> &[(Duration, T)] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_and_until_when() {
        let read = |text: &str| Schedule::parse(text, |word| word.parse::<i32>().ok());
        let schedule = read("1, 20s: 500, after 1m: 3").expect("a schedule");
        let began = Instant::START + Duration::from_secs(100);
        let at = |seconds| schedule.at(began, began + Duration::from_secs(seconds));
        assert_eq!(at(0), (Some(&1), began + Duration::from_secs(20)));
        assert_eq!(at(20), (Some(&500), began + Duration::from_secs(60)));
        assert_eq!(at(90), (Some(&3), Instant::NEVER));
        assert_eq!(read("5s: 1").expect("a schedule").at(began, began).0, None);
        assert_eq!(read("5s: 1, 3s: 2"), Err("3s: 2".to_owned()));
        assert_eq!(read("x"), Err("x".to_owned()));
    }
}
