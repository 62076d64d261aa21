//! Durations as Go writes and reads them (`1m30s`, `250ms`), instants as precise as an axis needs.
//!
//! Everything is integer arithmetic on nanoseconds. The syntax is that of Go's `time.ParseDuration` and
//! `Duration.String`, without a sign: simulated time does not run backwards.

/// Nanoseconds in a microsecond.
pub const MICROSECOND: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub const MINUTE: u64 = 60 * SECOND;
/// Nanoseconds in an hour.
pub const HOUR: u64 = 60 * MINUTE;

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: {problem}; write for example 1m30s, 250ms or 1h")]
pub struct DurationError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Reads `1m30s`, `250ms`, `1.5h`, `0`; the result is in nanoseconds.
pub fn parse(text: &str) -> Result<u64, DurationError> {
    parse_terms(text).map_err(|problem| DurationError { text: text.to_string(), problem })
}

fn parse_terms(text: &str) -> Result<u64, &'static str> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    match rest {
        "0" => return Ok(0),
        "" => return Err("it is empty"),
        _ if rest.starts_with('-') => return Err("it must not be negative"),
        _ => {}
    }
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (term, after) = parse_term(rest)?;
        sum = sum.checked_add(term).ok_or("it is too long")?;
        rest = after;
    }
    Ok(sum)
}

/// The first number with its unit, in nanoseconds, and what follows it.
fn parse_term(text: &str) -> Result<(u64, &str), &'static str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err("a number is missing");
    }
    let (unit, rest) = rest.split_at(rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len()));
    let unit = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "" => return Err("a unit is missing"),
        _ => return Err("the unit is none of ns, us, ms, s, m, h"),
    };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| "it is too long")? };
    // Beyond eighteen digits no unit has a nanosecond left.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| "a number is missing")? };
    let part = parts * u128::from(unit) / 10u128.pow(fraction.len() as u32);
    let whole = whole.checked_mul(unit).ok_or("it is too long")?;
    let value = whole.checked_add(u64::try_from(part).map_err(|_| "it is too long")?).ok_or("it is too long")?;
    Ok((value, rest))
}

/// A duration to the nanosecond, as Go prints it: `0s`, `1.5ms`, `2m0.5s`, `1h0m0s`.
pub fn exact(nanoseconds: u64) -> String {
    match nanoseconds {
        0 => "0s".to_string(),
        n if n < MICROSECOND => format!("{n}ns"),
        n if n < MILLISECOND => format!("{}µs", trimmed(&decimal(n, MICROSECOND, 3))),
        n if n < SECOND => format!("{}ms", trimmed(&decimal(n, MILLISECOND, 6))),
        n => {
            let seconds = decimal(n % MINUTE, SECOND, 9);
            let seconds = trimmed(&seconds);
            match (n / HOUR, n % HOUR / MINUTE) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// A duration with about three digits, for people: `350µs`, `12.4ms`, `1.05s`, `2m5s`, `1h4m`.
pub fn short(nanoseconds: u64) -> String {
    match nanoseconds {
        0 => "0s".to_string(),
        n if n < MICROSECOND => format!("{n}ns"),
        n if n < 999_500 => three_digits(n, MICROSECOND, "µs"),
        n if n < 999_500_000 => three_digits(n, MILLISECOND, "ms"),
        n if n < 59_950_000_000 => three_digits(n, SECOND, "s"),
        n if n < HOUR - SECOND / 2 => two_units(n.saturating_add(SECOND / 2) / SECOND, "m", "s"),
        n => two_units(n.saturating_add(MINUTE / 2) / MINUTE, "h", "m"),
    }
}

fn two_units(small: u64, large_name: &str, small_name: &str) -> String {
    match small % 60 {
        0 => format!("{}{large_name}", small / 60),
        rest => format!("{}{large_name}{rest}{small_name}", small / 60),
    }
}

fn three_digits(nanoseconds: u64, unit: u64, name: &str) -> String {
    let decimals = match nanoseconds / unit {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    format!("{}{name}", trimmed(&decimal(nanoseconds, unit, decimals)))
}

/// `nanoseconds / unit` rounded to `decimals`.
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

/// How an axis of time is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Axes that end below 100 ms: `1.25ms`.
    Milliseconds,
    /// Up to three minutes: `12.5s`.
    Seconds,
    /// Longer: `1m30s`, `1h5m`.
    Minutes,
}

impl Clock {
    /// The clock for an axis that ends at `end`. [ns]
    pub fn until(end: u64) -> Clock {
        match end {
            _ if end < 100 * MILLISECOND => Clock::Milliseconds,
            _ if end <= 3 * MINUTE => Clock::Seconds,
            _ => Clock::Minutes,
        }
    }

    /// The label of an instant on an axis with ticks `step` apart, all of one precision.
    pub fn label(self, instant: u64, step: u64) -> String {
        match self {
            _ if instant == 0 => "0s".to_string(),
            Clock::Milliseconds => format!("{}ms", decimal(instant, MILLISECOND, decimals_for(step, MILLISECOND))),
            Clock::Seconds => format!("{}s", decimal(instant, SECOND, decimals_for(step, SECOND))),
            Clock::Minutes => minutes_label(instant, decimals_for(step, SECOND)),
        }
    }
}

fn minutes_label(instant: u64, decimals: u32) -> String {
    // Rounds before it splits, or 59.96 s could become "60s".
    let unit = SECOND / 10u64.pow(decimals.min(9));
    let rounded = instant.saturating_add(unit / 2) / unit * unit;
    let (hours, minutes, rest) = (rounded / HOUR, rounded % HOUR / MINUTE, rounded % MINUTE);
    let mut label = String::new();
    if hours > 0 {
        label.push_str(&format!("{hours}h"));
    }
    if minutes > 0 || (hours > 0 && rest > 0) {
        label.push_str(&format!("{minutes}m"));
    }
    if rest > 0 || label.is_empty() {
        label.push_str(&format!("{}s", decimal(rest, SECOND, decimals)));
    }
    label
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
    fn what_go_reads_is_read() {
        let texts = ["0", "1m30s", "250ms", "1h", "1.5h", ".5s", "1.s", "3us", "3µs", "+2s", "1h0m0.000000001s"];
        let values: Vec<u64> = texts.iter().map(|text| parse(text).unwrap()).collect();
        let expected = [
            0,
            90 * SECOND,
            250 * MILLISECOND,
            HOUR,
            90 * MINUTE,
            SECOND / 2,
            SECOND,
            3_000,
            3_000,
            2 * SECOND,
            HOUR + 1,
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        for text in ["", "5", "s", "1x", "-1s", ".", "1 s", "99999999999999999999s", "9999999999h", "1s 2", "é"] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(&format!("{text:?}")) && message.contains("1m30s"), "{message}");
        }
        assert_eq!(parse("5").unwrap_err().problem, "a unit is missing");
    }

    #[test]
    fn printed_as_go_does_and_read_back() {
        let values = [0, 7, 1_500, 1_500_000, 250_000_000, 1_500_000_000, 90 * SECOND, HOUR, 2 * MINUTE + SECOND / 2];
        let texts = values.map(exact).join(" ");
        assert_eq!(texts, "0s 7ns 1.5µs 1.5ms 250ms 1.5s 1m30s 1h0m0s 2m0.5s");
        for value in values.into_iter().chain([u64::MAX, HOUR - 1, SECOND - 1]) {
            assert_eq!(parse(&exact(value)), Ok(value));
        }
    }

    #[test]
    fn short_durations_keep_three_digits() {
        let texts = [0, 7, 350_400, 999_600, 12_440_000, 999_700_000, 1_050_000_000, 59_960 * MILLISECOND, 72 * SECOND];
        assert_eq!(texts.map(short).join(", "), "0s, 7ns, 350µs, 1ms, 12.4ms, 1s, 1.05s, 1m, 1m12s");
        assert_eq!([3_840 * SECOND, HOUR - 1].map(short).join(" "), "1h4m 1h");
    }

    #[test]
    fn labels_are_as_precise_as_the_step() {
        assert_eq!(Clock::Seconds.label(12_340_000_000, 20 * MILLISECOND), "12.34s");
        assert_eq!(Clock::Seconds.label(12 * SECOND, 2 * SECOND), "12s");
        assert_eq!(Clock::Milliseconds.label(1_250_000, 50_000), "1.25ms");
        let minutes = |instant, step| Clock::Minutes.label(instant, step);
        assert_eq!(minutes(125 * SECOND, 5 * SECOND), "2m5s");
        assert_eq!(minutes(125_200 * MILLISECOND, 200 * MILLISECOND), "2m5.2s");
        assert_eq!(minutes(HOUR, MINUTE), "1h");
        assert_eq!(minutes(HOUR + 30 * SECOND, 30 * SECOND), "1h0m30s");
        assert_eq!(minutes(59_999 * MILLISECOND, SECOND), "1m");
    }
}
