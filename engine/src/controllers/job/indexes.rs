//! Sets of completion indexes as a Job's status writes them: `1,3-5,7`.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/indexed_job_utils.go (orderedIntervals).

use std::collections::BTreeSet;

use crate::objects::ObjectMeta;

/// The annotation and label of a pod with its index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Indexes, as first and last of each run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Indexes(Vec<(i32, i32)>);

impl Indexes {
    /// Reads a status; what is not below `completions` is left out.
    pub fn parse(text: &str, completions: i32) -> Self {
        let mut runs: Vec<(i32, i32)> = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>()) else { continue };
            if first >= completions {
                break;
            }
            push(&mut runs, first, last.min(completions - 1));
        }
        Indexes(runs)
    }

    /// How many there are.
    pub fn total(&self) -> i32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether `index` is one.
    pub fn has(&self, index: i32) -> bool {
        let place = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(place).is_some_and(|(first, _)| *first <= index)
    }

    /// With more.
    pub fn with(&self, more: &BTreeSet<i32>) -> Self {
        let mut all: Vec<(i32, i32)> =
            self.0.iter().copied().chain(more.iter().map(|index| (*index, *index))).collect();
        all.sort_unstable();
        let mut runs = Vec::new();
        all.into_iter().for_each(|(first, last)| push(&mut runs, first, last));
        Indexes(runs)
    }

    /// Those that are in both.
    pub fn common(&self, other: &Indexes) -> i32 {
        let common = |a: &(i32, i32), b: &(i32, i32)| (a.1.min(b.1) - a.0.max(b.0) + 1).max(0);
        self.0.iter().map(|a| other.0.iter().map(|b| common(a, b)).sum::<i32>()).sum()
    }
}

fn push(runs: &mut Vec<(i32, i32)>, first: i32, last: i32) {
    match runs.last_mut() {
        Some(run) if first <= run.1.saturating_add(1) => run.1 = run.1.max(last),
        _ => runs.push((first, last)),
    }
}

impl std::fmt::Display for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, (first, last)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{first}")?;
            match last - first {
                0 => {}
                1 => write!(f, ",{last}")?,
                _ => write!(f, "-{last}")?,
            }
        }
        Ok(())
    }
}

/// The index of a pod, if it has a valid one.
pub fn of(pod: &ObjectMeta) -> Option<i32> {
    pod.annotation(INDEX)?.parse().ok().filter(|index| *index >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_and_written_as_upstream_does() {
        let indexes = Indexes::parse("1,3-5,7", 100);
        assert_eq!((indexes.total(), indexes.has(4), indexes.has(6), indexes.has(0)), (5, true, false, false));
        assert_eq!(indexes.with(&[2, 6, 9, 10].into()).to_string(), "1-7,9,10");
        assert_eq!(Indexes::parse("1,3-5,7", 5).to_string(), "1,3,4");
        assert_eq!(indexes.common(&Indexes::parse("0-3", 10)), 2);
    }
}
