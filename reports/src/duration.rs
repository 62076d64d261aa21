//! Nanoseconds as text for people: durations with three digits, instants as precise as an axis needs.

/// Nanoseconds in a microsecond.
pub const MICROSECOND: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// A duration with three digits: `0 s`, `350 µs`, `12.4 ms`, `1.05 s`, `72 s`, `2 min 5 s`, `1 h 4 min`.
pub fn duration_text(nanoseconds: u64) -> String {
    let seconds = (nanoseconds + SECOND / 2) / SECOND;
    match nanoseconds {
        0 => "0 s".to_string(),
        n if n < MICROSECOND => format!("{n} ns"),
        n if n < 999_500 => three_digits(n, MICROSECOND, "µs"),
        n if n < 999_500_000 => three_digits(n, MILLISECOND, "ms"),
        n if n < 120 * SECOND => three_digits(n, SECOND, "s"),
        _ if seconds < 3600 => two_units(seconds, 60, "min", 1, "s"),
        _ => two_units(seconds, 3600, "h", 60, "min"),
    }
}

fn two_units(seconds: u64, large: u64, large_name: &str, small: u64, small_name: &str) -> String {
    match seconds % large / small {
        0 => format!("{} {large_name}", seconds / large),
        rest => format!("{} {large_name} {rest} {small_name}", seconds / large),
    }
}

fn three_digits(nanoseconds: u64, unit: u64, name: &str) -> String {
    let decimals = match nanoseconds / unit {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    format!("{} {name}", trimmed(&decimal(nanoseconds, unit, decimals)))
}

/// `nanoseconds / unit` rounded to `decimals`; integer arithmetic only.
pub fn decimal(nanoseconds: u64, unit: u64, decimals: u32) -> String {
    let factor = 10u128.pow(decimals);
    let scaled = (u128::from(nanoseconds) * factor + u128::from(unit) / 2) / u128::from(unit);
    match decimals {
        0 => scaled.to_string(),
        _ => format!("{}.{:0width$}", scaled / factor, scaled % factor, width = decimals as usize),
    }
}

fn trimmed(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// The unit in which an axis of time is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Below 100 ms: milliseconds.
    Milliseconds,
    /// Up to three minutes: seconds.
    Seconds,
    /// Longer: minutes and seconds, `2:05`.
    Minutes,
}

impl Clock {
    /// The unit for an axis that ends at `end`. [ns]
    pub fn until(end: u64) -> Clock {
        match end {
            _ if end < 100 * MILLISECOND => Clock::Milliseconds,
            _ if end <= 180 * SECOND => Clock::Seconds,
            _ => Clock::Minutes,
        }
    }

    /// The unit's name: `ms`, `s`, `min:s`.
    pub fn name(self) -> &'static str {
        match self {
            Clock::Milliseconds => "ms",
            Clock::Seconds => "s",
            Clock::Minutes => "min:s",
        }
    }

    /// The label of an instant on an axis with ticks `step` apart, without the unit.
    pub fn label(self, instant: u64, step: u64) -> String {
        match self {
            Clock::Milliseconds => decimal(instant, MILLISECOND, decimals_for(step, MILLISECOND)),
            Clock::Seconds => decimal(instant, SECOND, decimals_for(step, SECOND)),
            Clock::Minutes => {
                let minutes = instant / (60 * SECOND);
                let decimals = decimals_for(step, SECOND);
                let seconds = decimal(instant % (60 * SECOND), SECOND, decimals);
                let width = if decimals == 0 { 2 } else { 3 + decimals as usize };
                format!("{minutes}:{seconds:0>width$}")
            }
        }
    }
}

fn decimals_for(step: u64, unit: u64) -> u32 {
    let mut decimals = 0;
    let mut unit = unit;
    while step < unit && unit > 1 {
        unit /= 10;
        decimals += 1;
    }
    decimals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits() {
        let texts = [0, 7, 350_400, 999_600, 12_440_000, 999_700_000, 1_050_000_000, 72 * SECOND, 125 * SECOND]
            .map(duration_text)
            .join(", ");
        assert_eq!(texts, "0 s, 7 ns, 350 µs, 1 ms, 12.4 ms, 1 s, 1.05 s, 72 s, 2 min 5 s");
        assert_eq!(duration_text(3840 * SECOND), "1 h 4 min");
    }

    #[test]
    fn labels_are_as_precise_as_the_step() {
        assert_eq!(Clock::Seconds.label(12_340_000_000, 20 * MILLISECOND), "12.34");
        assert_eq!(Clock::Seconds.label(12 * SECOND, 2 * SECOND), "12");
        assert_eq!(Clock::Milliseconds.label(1_250_000, 50_000), "1.25");
        assert_eq!(Clock::Minutes.label(125 * SECOND, 5 * SECOND), "2:05");
        assert_eq!(Clock::Minutes.label(125_200 * MILLISECOND, 200 * MILLISECOND), "2:05.2");
    }
}
