//! Ages and other durations, and the time formats kubectl reads and prints.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/duration/duration.go (`HumanDuration`); Go's
//! `time.ParseDuration`, RFC 3339 and RFC 1123Z.

const SECOND: i64 = 1_000_000_000;

/// A duration as in the column AGE; truncated, never rounded. [ns]
pub(crate) fn human(ns: i64) -> String {
    let seconds = ns / SECOND;
    if seconds < -1 {
        return "<invalid>".into();
    }
    if seconds < 0 {
        return "0s".into();
    }
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |a: i64, unit: &str, b: i64, small: &str| {
        if b == 0 { format!("{a}{unit}") } else { format!("{a}{unit}{b}{small}") }
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 192 {
        two(days, "d", hours % 24, "h")
    } else if days < 730 {
        format!("{days}d")
    } else if days < 2920 {
        two(days / 365, "y", days % 365, "d")
    } else {
        format!("{}y", days / 365)
    }
}

/// The age at `now` of something that happened at `time` (RFC 3339); `<unknown>` without a time.
pub(crate) fn age(time: &str, now: i64) -> String {
    match parse_time(time) {
        Some(then) => human(now.saturating_sub(then)),
        None => "<unknown>".into(),
    }
}

/// RFC 3339, with or without fractions of a second. [ns since the Unix epoch]
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|p| p.parse::<i64>());
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let split = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = (rest.get(..split)?, rest.get(split..)?);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(|p| p.parse::<i64>());
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let offset = if zone == "Z" {
        0
    } else {
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let (h, m) = zone.get(1..)?.split_once(':')?;
        sign * (h.parse::<i64>().ok()? * 3600 + m.parse::<i64>().ok()? * 60)
    };
    let nanos: i64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").get(..9)?.parse().ok()? };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(SECOND)?.checked_add(nanos)
}

/// RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339(ns: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(ns);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// RFC 1123 with a numeric zone, as in `describe`; the text itself if it is no time.
pub(crate) fn rfc1123z(time: &str) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Some(ns) = parse_time(time) else { return time.to_string() };
    let (year, month, day, hour, minute, second) = civil(ns);
    let weekday = DAYS.get(ns.div_euclid(86_400 * SECOND).rem_euclid(7).unsigned_abs() as usize).unwrap_or(&"");
    let month = MONTHS.get((month - 1).unsigned_abs() as usize).unwrap_or(&"");
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// Go's `time.Duration.String`: `8s`, `1m30s`, `1.5s`, `300ms`.
pub(crate) fn go(ns: i64) -> String {
    let (sign, ns) = if ns < 0 { ("-", ns.unsigned_abs()) } else { ("", ns.unsigned_abs()) };
    let with_fraction = |value: u64, unit: u64| {
        let digits = unit.to_string().len() - 1;
        let fraction = format!("{:0digits$}", value % unit);
        let fraction = fraction.trim_end_matches('0');
        let whole = value / unit;
        if fraction.is_empty() || unit == 1 { whole.to_string() } else { format!("{whole}.{fraction}") }
    };
    let text = match ns {
        0 => "0s".to_string(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", with_fraction(ns, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", with_fraction(ns, 1_000_000)),
        _ => {
            let minutes = ns / 60_000_000_000;
            let seconds = format!("{}s", with_fraction(ns % 60_000_000_000, 1_000_000_000));
            match minutes {
                0 => seconds,
                1..60 => format!("{minutes}m{seconds}"),
                _ => format!("{}h{}m{seconds}", minutes / 60, minutes % 60),
            }
        }
    };
    format!("{sign}{text}")
}

/// Go's `time.ParseDuration`. [ns]
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration \"{text}\"");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or("")),
        Some(b'+') => (false, text.get(1..).unwrap_or("")),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (value, after) = rest.split_at(digits);
        if value.is_empty() || value == "." {
            return Err(invalid());
        }
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let scale: i64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            "" => return Err(format!("time: missing unit in duration \"{text}\"")),
            other => return Err(format!("time: unknown unit \"{other}\" in duration \"{text}\"")),
        };
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let mut part = whole.checked_mul(scale).ok_or_else(invalid)?;
        let mut unit_of_digit = scale;
        for digit in fraction.bytes() {
            unit_of_digit /= 10;
            part = part.saturating_add(unit_of_digit * i64::from(digit - b'0'));
        }
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = next;
    }
    Ok(if negative { -total } else { total })
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil(ns: i64) -> (i64, i64, i64, i64, i64, i64) {
    let seconds = ns.div_euclid(SECOND);
    let (days, rest) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_truncated_as_in_the_table_of_forms() {
        let cases: [(i64, &str); 14] = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (600, "10m"),
            (179 * 60 + 59, "179m"),
            (3 * 3600, "3h"),
            (8 * 3600 - 1, "7h59m"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (8 * 86_400 - 1, "7d23h"),
            (729 * 86_400, "729d"),
            (3 * 365 * 86_400 + 12 * 86_400, "3y12d"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human(seconds * SECOND), expected, "{seconds} s");
        }
    }

    #[test]
    fn times_survive_a_round_trip() {
        let ns = parse_time("2026-11-22T07:55:13Z").expect("a time");
        assert_eq!(rfc3339(ns), "2026-11-22T07:55:13Z");
        assert_eq!(rfc1123z("2026-11-22T07:55:13.250000Z"), "Sun, 22 Nov 2026 07:55:13 +0000");
        assert_eq!(parse_time("2026-11-22T09:55:13+02:00"), Some(ns));
        assert_eq!(parse_time("1970-01-01T00:00:00.5Z"), Some(SECOND / 2));
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(parse("1m30s"), Ok(90 * SECOND));
        assert_eq!(parse("1.5s"), Ok(SECOND + SECOND / 2));
        assert_eq!(parse("5"), Err("time: missing unit in duration \"5\"".into()));
        assert_eq!(parse("x"), Err("time: invalid duration \"x\"".into()));
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (ns, expected) in [
            (8 * SECOND, "8s"),
            (90 * SECOND, "1m30s"),
            (3600 * SECOND, "1h0m0s"),
            (1_500_000_000, "1.5s"),
            (300_000_000, "300ms"),
            (0, "0s"),
        ] {
            assert_eq!(go(ns), expected);
        }
    }
}
