//! How long something takes: a distribution, sampled by addressed luck, the same bits on every platform.
//!
//! Transcendental functions come from `libm` (the platform's differ in the last bit); `rand_distr` is built without its
//! `std_math` feature for the same reason.

use rand_distr::Distribution;

use super::random::Luck;
use super::time::Duration;

/// A distribution of durations; parameters in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant {
        /// The value. [ms]
        ms: f64,
    },
    /// Uniform between two bounds.
    Uniform {
        /// Lower bound. [ms]
        low: f64,
        /// Upper bound. [ms]
        high: f64,
    },
    /// Normal, cut off at zero.
    Normal {
        /// Mean. [ms]
        mean: f64,
        /// Standard deviation. [ms]
        deviation: f64,
    },
    /// Log-normal, given by its median and the ratio of its 90 % quantile to the median.
    LogNormal {
        /// Median. [ms]
        median: f64,
        /// p90 / p50, at least 1.
        spread: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean. [ms]
        mean: f64,
    },
    /// Measured quantiles, interpolated linearly: pairs of (probability, ms), ascending in both, from 0 to 1.
    Quantiles {
        /// The points. [(0..=1, ms)]
        points: Vec<(f64, f64)>,
    },
}

/// The 90 % quantile of the standard normal distribution.
const Z90: f64 = 1.281_551_565_544_600_4;

impl Latency {
    /// A constant latency of `ms` milliseconds.
    pub const fn constant(ms: f64) -> Self {
        Latency::Constant { ms }
    }

    /// A log-normal latency by median and p90/p50.
    pub const fn log_normal(median: f64, spread: f64) -> Self {
        Latency::LogNormal { median, spread }
    }

    /// One draw.
    pub fn sample(&self, luck: &mut Luck) -> Duration {
        Duration::from_millis_f64(self.sample_ms(luck))
    }

    /// Whether a draw needs no luck, so that callers may skip making any.
    pub fn fixed(&self) -> Option<Duration> {
        match self {
            Latency::Constant { ms } => Some(Duration::from_millis_f64(*ms)),
            _ => None,
        }
    }

    /// The value in the middle, for documentation and charts.
    pub fn median(&self) -> Duration {
        Duration::from_millis_f64(match self {
            Latency::Constant { ms } => *ms,
            Latency::Uniform { low, high } => (low + high) / 2.0,
            Latency::Normal { mean, .. } => *mean,
            Latency::LogNormal { median, .. } => *median,
            Latency::Exponential { mean } => mean * libm::log(2.0),
            Latency::Quantiles { points } => interpolate(points, 0.5),
        })
    }

    /// The same distribution with every value multiplied by `factor` (a slow disk, a slow link).
    pub fn scaled(&self, factor: f64) -> Latency {
        match self {
            Latency::Constant { ms } => Latency::Constant { ms: ms * factor },
            Latency::Uniform { low, high } => Latency::Uniform { low: low * factor, high: high * factor },
            Latency::Normal { mean, deviation } => {
                Latency::Normal { mean: mean * factor, deviation: deviation * factor }
            }
            Latency::LogNormal { median, spread } => Latency::LogNormal { median: median * factor, spread: *spread },
            Latency::Exponential { mean } => Latency::Exponential { mean: mean * factor },
            Latency::Quantiles { points } => {
                Latency::Quantiles { points: points.iter().map(|(p, ms)| (*p, ms * factor)).collect() }
            }
        }
    }

    fn sample_ms(&self, luck: &mut Luck) -> f64 {
        match self {
            Latency::Constant { ms } => *ms,
            Latency::Uniform { low, high } => low + (high - low) * luck.unit(),
            Latency::Normal { mean, deviation } => mean + deviation * standard_normal(luck),
            Latency::LogNormal { median, spread } => {
                median * libm::exp(libm::log(spread.max(1.0)) / Z90 * standard_normal(luck))
            }
            Latency::Exponential { mean } => -mean * libm::log(1.0 - luck.unit()),
            Latency::Quantiles { points } => interpolate(points, luck.unit()),
        }
    }
}

fn standard_normal(luck: &mut Luck) -> f64 {
    rand_distr::StandardNormal.sample(luck.generator())
}

fn interpolate(points: &[(f64, f64)], at: f64) -> f64 {
    let Some(above) = points.iter().position(|(p, _)| *p >= at) else {
        return points.last().map_or(0.0, |(_, ms)| *ms);
    };
    if above == 0 {
        return points[0].1;
    }
    let ((p0, v0), (p1, v1)) = (points[above - 1], points[above]);
    if p1 > p0 { v0 + (v1 - v0) * (at - p0) / (p1 - p0) } else { v1 }
}

#[cfg(test)]
mod tests {
    use super::super::random::Seed;
    use super::*;

    fn draws(latency: &Latency, n: u64) -> Vec<f64> {
        let mut all: Vec<f64> = (0..n).map(|i| latency.sample(&mut Seed(1).luck(0, 0, 0, i)).as_millis_f64()).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    #[test]
    fn each_distribution_has_the_median_it_promises() {
        for latency in [
            Latency::constant(3.0),
            Latency::Uniform { low: 1.0, high: 5.0 },
            Latency::Normal { mean: 10.0, deviation: 1.0 },
            Latency::log_normal(4.0, 2.0),
            Latency::Exponential { mean: 5.0 },
            Latency::Quantiles { points: vec![(0.0, 1.0), (0.5, 4.0), (1.0, 9.0)] },
        ] {
            let measured = draws(&latency, 4_000)[2_000];
            let promised = latency.median().as_millis_f64();
            assert!((measured - promised).abs() < 0.08 * promised, "{latency:?}: {measured} for {promised}");
        }
    }

    #[test]
    fn the_log_normal_has_the_p90_it_promises() {
        let all = draws(&Latency::log_normal(4.0, 2.0), 4_000);
        assert!((all[3_600] - 8.0).abs() < 0.6, "{}", all[3_600]);
    }

    /// The values are part of what "same seed, same bytes" means: they were computed once and must not move.
    #[test]
    fn draws_are_pinned_to_the_nanosecond() {
        let pinned = |latency: &Latency| latency.sample(&mut Seed(42).luck(1, 2, 3, 4)).as_nanos();
        assert_eq!(
            [
                pinned(&Latency::Uniform { low: 1.0, high: 2.0 }),
                pinned(&Latency::Normal { mean: 10.0, deviation: 2.0 }),
                pinned(&Latency::log_normal(4.0, 2.0)),
                pinned(&Latency::Exponential { mean: 5.0 }),
            ],
            [1_810_766, 12_236_631, 7_323_971, 8_323_860]
        );
    }
}
