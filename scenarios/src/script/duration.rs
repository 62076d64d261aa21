//! Durations as scripts write them: Go's syntax, `1m30s`, `250ms`, `1.5h`, as kubectl's own flags take it.
//!
//! Integer arithmetic only: the same text is the same number of nanoseconds everywhere.
//! Left out: negative durations, which no function here can use.

use crate::session::Nanos;

/// Go's units and their length. [ns]
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a Go duration such as `1m30s`; the error is a sentence for the user.
pub fn parse(text: &str) -> Result<Nanos, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err("a duration cannot be empty: write it like \"15s\", \"1m30s\" or \"250ms\"".into());
    }
    if text.starts_with('-') {
        return Err(format!("the duration \"{text}\" is negative"));
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (part, tail) = next_part(rest).map_err(|problem| format!("\"{text}\" is not a duration: {problem}"))?;
        total += part;
        rest = tail;
    }
    u64::try_from(total).map_err(|_| format!("the duration \"{text}\" is too long: at most 584 years"))
}

/// One number with its unit, in nanoseconds, and what follows it.
fn next_part(text: &str) -> Result<(u128, &str), String> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, tail) = rest.split_at(unit_end);
    if number.is_empty() {
        return Err(format!("a number is missing before \"{unit}\""));
    }
    if unit.is_empty() {
        return Err(format!("the unit is missing after {number} (write \"{number}s\" for seconds)"));
    }
    let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unknown unit \"{unit}\" (units are ns, us, ms, s, m, h)"));
    };
    Ok((scaled(number, *length)?, tail))
}

fn scaled(number: &str, unit: u64) -> Result<u128, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let bad = || format!("\"{number}\" is not a number");
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 18 {
        return Err(bad());
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let fraction: String = fraction.chars().take(18).collect();
    let below = match fraction.is_empty() {
        true => 0,
        false => fraction.parse::<u128>().map_err(|_| bad())? * u128::from(unit) / 10u128.pow(fraction.len() as u32),
    };
    Ok(whole * u128::from(unit) + below)
}

/// Go's own text of a duration: `1m30s`, `2.5s`, `100ms`, `0s`.
pub fn text(nanoseconds: Nanos) -> String {
    const SECOND: u64 = 1_000_000_000;
    match nanoseconds {
        0 => "0s".into(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => with_fraction(n, 1_000, "µs"),
        n if n < SECOND => with_fraction(n, 1_000_000, "ms"),
        n => {
            let (hours, minutes) = (n / (3_600 * SECOND), n / (60 * SECOND) % 60);
            let seconds = with_fraction(n % (60 * SECOND), SECOND, "s");
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn with_fraction(nanoseconds: u64, unit: u64, name: &str) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", nanoseconds % unit);
    match fraction.trim_end_matches('0') {
        "" => format!("{}{name}", nanoseconds / unit),
        fraction => format!("{}.{fraction}{name}", nanoseconds / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_go_does() {
        let cases = [
            ("15s", 15_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("250ms", 250_000_000),
            (".5s", 500_000_000),
            ("2us", 2_000),
            ("0", 0),
            ("1h0m0.000000001s", 3_600_000_000_001),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        assert_eq!(
            parse("15").unwrap_err(),
            "\"15\" is not a duration: the unit is missing after 15 (write \"15s\" for seconds)"
        );
        assert_eq!(
            parse("3 days").unwrap_err(),
            "\"3 days\" is not a duration: unknown unit \" days\" (units are ns, us, ms, s, m, h)"
        );
        assert!(parse("1.2.3s").is_err() && parse("s").is_err() && parse("-1s").is_err() && parse("").is_err());
        assert!(parse("99999999999999h").unwrap_err().contains("too long"));
    }

    #[test]
    fn text_is_what_go_prints_and_reads_back() {
        let values = [0, 7, 1_500, 250_000_000, 1_000_000_000, 90_000_000_000, 3_600_000_000_000, 5_025_250_000_000];
        let texts = values.map(text);
        assert_eq!(texts.join(" "), "0s 7ns 1.5µs 250ms 1s 1m30s 1h0m0s 1h23m45.25s");
        for (value, text) in values.iter().zip(&texts) {
            assert_eq!(parse(text), Ok(*value));
        }
    }
}
