//! The upright axis of a panel: where a value lies, round values with their labels.
//!
//! Linear axes begin at zero, so that heights can be compared. Durations that differ by more than two decades get a
//! logarithmic axis; logarithms are worked out in whole numbers.

use super::model::Unit;
use crate::duration;

/// From values to heights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amounts {
    unit: Unit,
    /// The values at the foot and at the top.
    foot: u64,
    top: u64,
    /// Whether heights go with the logarithm.
    pub logarithmic: bool,
    /// Round values, lowest first.
    pub ticks: Vec<u64>,
}

/// Most steps between round values.
const STEPS: u64 = 4;
/// Durations spread over more than this factor get a logarithmic axis.
const DECADES: u64 = 100;

impl Amounts {
    /// The axis on which all these values fit.
    pub fn fit(values: impl Iterator<Item = u64> + Clone, unit: Unit) -> Amounts {
        let most = values.clone().max().unwrap_or(0);
        let least = values.filter(|value| *value > 0).min().unwrap_or(most);
        match unit == Unit::Duration && most / DECADES > least {
            true => Amounts::logarithmic(least, most, unit),
            false => Amounts::linear(most, unit),
        }
    }

    fn linear(most: u64, unit: Unit) -> Amounts {
        // Of nothing but zeros the axis shows what one of the usual size would be.
        let most = match (most, unit) {
            (0, Unit::Count) => 1,
            (0, Unit::Bytes) => 1 << 20,
            (0, Unit::Duration) => duration::MILLISECOND,
            (0, Unit::PerSecond) => 1_000,
            _ => most,
        };
        let step = steps(unit).find(|step| most.div_ceil(*step) <= STEPS).unwrap_or(u64::MAX / STEPS);
        let count = most.div_ceil(step).max(1);
        let ticks = (0..=count).filter_map(|index| step.checked_mul(index)).collect();
        Amounts { unit, foot: 0, top: step.saturating_mul(count), logarithmic: false, ticks }
    }

    fn logarithmic(least: u64, most: u64, unit: Unit) -> Amounts {
        let decades = std::iter::successors(Some(1u64), |power| power.checked_mul(10));
        let foot = decades.clone().take_while(|power| *power <= least).last().unwrap_or(1);
        let top = steps(unit).find(|step| *step >= most).unwrap_or(u64::MAX);
        let mut ticks: Vec<u64> = decades.filter(|power| (foot..=top).contains(power)).collect();
        // More than a handful stand too close.
        let every = ticks.len().div_ceil(STEPS as usize + 1).max(1);
        ticks = ticks.into_iter().step_by(every).collect();
        Amounts { unit, foot, top, logarithmic: true, ticks }
    }

    /// Where a value lies between foot (0) and top (1).
    pub fn part(&self, value: u64) -> f64 {
        let value = value.clamp(self.foot, self.top);
        match self.logarithmic {
            false => (value - self.foot) as f64 / (self.top - self.foot).max(1) as f64,
            true => (log2(value) - log2(self.foot)) as f64 / (log2(self.top) - log2(self.foot)).max(1) as f64,
        }
    }

    /// The label of a round value, with its unit.
    pub fn label(&self, value: u64) -> String {
        match self.unit {
            Unit::Count => crate::timeline::thousands(value),
            Unit::Bytes => bytes(value),
            Unit::Duration if value == 0 => "0".to_owned(),
            Unit::Duration => spaced(&duration::short(value)),
            Unit::PerSecond => format!("{}/s", thousandths(value)),
        }
    }
}

/// Round values, smallest first.
fn steps(unit: Unit) -> impl Iterator<Item = u64> + Clone {
    let (base, power, digits): (u64, u64, &[u64]) = match unit {
        Unit::Bytes => (1, 1_024, &[1, 2, 5, 10, 20, 50, 100, 256, 512]),
        _ => (1, 10, &[1, 2, 5]),
    };
    let powers = std::iter::successors(Some(base), move |at| at.checked_mul(power));
    powers.flat_map(move |power| digits.iter().filter_map(move |digit| power.checked_mul(*digit)))
}

/// A number of bytes that is round in its unit.
fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    while unit + 1 < UNITS.len() && value >> (10 * unit) >= 1_024 {
        unit += 1;
    }
    match value {
        0 => "0".to_owned(),
        _ => {
            let tenths = duration::decimal(value, 1 << (10 * unit), 1);
            format!("{} {}", tenths.strip_suffix(".0").unwrap_or(&tenths), UNITS[unit])
        }
    }
}

/// Thousandths as a decimal number without needless zeros.
pub(super) fn thousandths(value: u64) -> String {
    let text = duration::decimal(value, 1_000, 3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number apart from its unit.
fn spaced(text: &str) -> String {
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    match unit.contains(|character: char| character.is_ascii_digit()) {
        true => text.to_owned(),
        false => format!("{number} {unit}"),
    }
}

/// The logarithm to base two, in parts of 2^20; zero for zero.
fn log2(value: u64) -> u64 {
    const BITS: u32 = 20;
    let whole = value.max(1).ilog2();
    // The mantissa, 1 to 2, with 62 bits behind the point.
    let mut mantissa = u128::from(value.max(1)) << (62 - whole.min(62));
    if whole == 63 {
        mantissa = u128::from(value) >> 1;
    }
    let mut log = u64::from(whole);
    for _ in 0..BITS {
        mantissa = (mantissa * mantissa) >> 62;
        log <<= 1;
        if mantissa >= 2 << 62 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[u64], unit: Unit) -> String {
        let amounts = Amounts::fit(values.iter().copied(), unit);
        amounts.ticks.iter().map(|tick| amounts.label(*tick)).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn round_values_carry_their_unit() {
        assert_eq!(labels(&[7], Unit::Count), "0 | 2 | 4 | 6 | 8");
        assert_eq!(labels(&[], Unit::Count), "0 | 1");
        assert_eq!(labels(&[0], Unit::PerSecond), "0/s | 0.5/s | 1/s");
        assert_eq!(labels(&[22 << 20], Unit::Bytes), "0 | 10 MiB | 20 MiB | 30 MiB");
        assert_eq!(labels(&[1_900 << 20], Unit::Bytes), "0 | 512 MiB | 1 GiB | 1.5 GiB | 2 GiB");
        assert_eq!(labels(&[13_000_000, 2_000_000], Unit::Duration), "0 | 5 ms | 10 ms | 15 ms");
        assert_eq!(labels(&[1_500], Unit::PerSecond), "0/s | 0.5/s | 1/s | 1.5/s");
        assert_eq!(labels(&[3_400_000], Unit::PerSecond), "0/s | 1000/s | 2000/s | 3000/s | 4000/s");
    }

    #[test]
    fn durations_of_many_decades_go_by_their_logarithm() {
        let amounts = Amounts::fit([900_000, 40_000_000_000].into_iter(), Unit::Duration);
        assert!(amounts.logarithmic);
        assert_eq!(labels(&[900_000, 40_000_000_000], Unit::Duration), "100 µs | 10 ms | 1 s");
        let parts = [100_000, 1_000_000, 10_000_000].map(|value| amounts.part(value));
        assert_eq!(parts[0], 0.0);
        assert!((parts[2] - 2.0 * parts[1]).abs() < 1e-6, "{parts:?}");
        assert!(!Amounts::fit([900_000, 80_000_000].into_iter(), Unit::Duration).logarithmic);
    }

    #[test]
    fn logarithms_are_exact_enough_and_take_any_value() {
        for (value, expected) in
            [(1, 0.0), (2, 1.0), (10, std::f64::consts::LOG2_10), (1_000_000, 19.931_569), (u64::MAX, 64.0)]
        {
            let found = log2(value) as f64 / f64::from(1 << 20);
            assert!((found - expected).abs() < 1e-5, "{value}: {found}");
        }
        let amounts = Amounts::fit([1, u64::MAX].into_iter(), Unit::Duration);
        assert_eq!((amounts.part(1), amounts.part(u64::MAX)), (0.0, 1.0));
    }
}
