//! The calendar: what an API timestamp says, from and to numbers, without a clock.
//!
//! The API server writes `metav1.Time` in whole seconds and `metav1.MicroTime` with exactly six digits of fraction,
//! both in UTC. It reads `Time` with any offset and any fraction, `MicroTime` only with six digits. The calendar is the
//! proleptic Gregorian one, so every number of seconds has a date; years outside 0000 to 9999 are written with a sign
//! or more digits and cannot be read back, as in Go.
//!
//! Left out: leap seconds, which neither Go nor POSIX time has.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/{time,micro_time}.go.

/// Why a text is not a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not of the form `2026-01-02T03:04:05Z` (or with a fraction, or with an offset as `+02:00`).
    #[error("a time must look like 2026-01-02T03:04:05Z")]
    Format,
    /// Of the form, but no such moment exists: month 13, 30 February, hour 24.
    #[error("the {0} of the time is out of range")]
    OutOfRange(&'static str),
}

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Days in 400 Gregorian years.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01, where an era starts, to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;

/// `Time` as the API server writes it. `unix_seconds` counts from 1970-01-01T00:00:00Z. [s]
pub fn rfc3339(unix_seconds: i64) -> String {
    let mut text = date_time(unix_seconds);
    text.push('Z');
    text
}

/// `MicroTime` as the API server writes it: six digits, cut and not rounded. [ns since 1970-01-01T00:00:00Z]
pub fn rfc3339_micro(unix_ns: i64) -> String {
    let micros = unix_ns.rem_euclid(NANOS_PER_SECOND) / 1_000;
    format!("{}.{micros:06}Z", date_time(unix_ns.div_euclid(NANOS_PER_SECOND)))
}

/// Reads a `Time`; a fraction is dropped, as it is when the object is next stored. [s since 1970-01-01T00:00:00Z]
pub fn parse_rfc3339(text: &str) -> Result<i64, CalendarError> {
    Ok(read(text)?.seconds)
}

/// Reads a `Time` with its fraction; digits beyond the ninth are dropped. [ns since 1970-01-01T00:00:00Z]
///
/// # Errors
/// Also when the moment does not fit 64 bits, that is outside the years 1678 to 2261.
pub fn parse_rfc3339_nanos(text: &str) -> Result<i64, CalendarError> {
    let moment = read(text)?;
    nanos(moment)
}

/// Reads a `MicroTime`, which must have exactly six digits of fraction. [ns since 1970-01-01T00:00:00Z]
pub fn parse_rfc3339_micro(text: &str) -> Result<i64, CalendarError> {
    let moment = read(text)?;
    if moment.fraction_digits != 6 { Err(CalendarError::Format) } else { nanos(moment) }
}

/// A moment as read.
#[derive(Clone, Copy)]
struct Moment {
    seconds: i64,
    /// Below one second.
    nanos: i64,
    fraction_digits: usize,
}

fn nanos(moment: Moment) -> Result<i64, CalendarError> {
    let whole = i128::from(moment.seconds) * i128::from(NANOS_PER_SECOND) + i128::from(moment.nanos);
    i64::try_from(whole).map_err(|_| CalendarError::OutOfRange("year"))
}

/// `2026-01-02T03:04:05`, no zone.
fn date_time(unix_seconds: i64) -> String {
    let (year, month, day) = date(unix_seconds.div_euclid(SECONDS_PER_DAY));
    let second = unix_seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", year.unsigned_abs())
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March, so that the leap day is the
/// last.
pub(crate) fn date(unix_day: i64) -> (i64, i64, i64) {
    let day = unix_day + EPOCH_DAY;
    let era = day.div_euclid(DAYS_PER_ERA);
    let of_era = day.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March are always 153 days.
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day, counted from 1970-01-01, of a date.
fn unix_day(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * DAYS_PER_ERA + of_era - EPOCH_DAY
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn read(text: &str) -> Result<Moment, CalendarError> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    let month = after(&mut rest, '-', 2)?;
    let day = after(&mut rest, '-', 2)?;
    let hour = after(&mut rest, 'T', 2)?;
    let minute = after(&mut rest, ':', 2)?;
    let second = after(&mut rest, ':', 2)?;
    let (nanos, fraction_digits) = fraction(&mut rest)?;
    in_range("month", month, 1, 12)?;
    in_range("day", day, 1, days_in_month(year, month))?;
    in_range("hour", hour, 0, 23)?;
    in_range("minute", minute, 0, 59)?;
    in_range("second", second, 0, 59)?;
    let local = unix_day(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Ok(Moment { seconds: local - offset(rest)?, nanos, fraction_digits })
}

/// Takes `digits` digits off the front.
fn number(rest: &mut &str, digits: usize) -> Result<i64, CalendarError> {
    let (front, back) = rest.split_at_checked(digits).ok_or(CalendarError::Format)?;
    if !front.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CalendarError::Format);
    }
    *rest = back;
    front.parse().map_err(|_| CalendarError::Format)
}

/// Takes a separator and `digits` digits off the front.
fn after(rest: &mut &str, separator: char, digits: usize) -> Result<i64, CalendarError> {
    *rest = rest.strip_prefix(separator).ok_or(CalendarError::Format)?;
    number(rest, digits)
}

/// Takes a fraction off the front, if there is one: its nanoseconds and how many digits were written.
fn fraction(rest: &mut &str) -> Result<(i64, usize), CalendarError> {
    // Go reads a comma like a point.
    let Some(digits) = rest.strip_prefix(['.', ',']) else { return Ok((0, 0)) };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return Err(CalendarError::Format);
    }
    let nanos = digits.bytes().take(count).chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    *rest = &digits[count..];
    Ok((nanos, count))
}

/// What is left must be the zone: seconds east of UTC.
fn offset(zone: &str) -> Result<i64, CalendarError> {
    let (sign, mut rest) = match (zone, zone.strip_prefix('+'), zone.strip_prefix('-')) {
        ("Z", _, _) => return Ok(0),
        (_, Some(rest), _) => (1, rest),
        (_, _, Some(rest)) => (-1, rest),
        _ => return Err(CalendarError::Format),
    };
    let hours = number(&mut rest, 2)?;
    let minutes = after(&mut rest, ':', 2)?;
    if !rest.is_empty() {
        return Err(CalendarError::Format);
    }
    in_range("offset", hours, 0, 24)?;
    in_range("offset", minutes, 0, 60)?;
    Ok(sign * (hours * 3600 + minutes * 60))
}

fn in_range(what: &'static str, value: i64, least: i64, most: i64) -> Result<(), CalendarError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(CalendarError::OutOfRange(what)) }
}

#[cfg(test)]
mod tests {
    //! Known dates, and round trips over the whole range.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_are_written_and_read() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(parse_rfc3339(text), Ok(seconds), "{text}");
        }
        assert_eq!(rfc3339(253_402_300_800), "10000-01-01T00:00:00Z");
        assert_eq!(rfc3339(-62_167_219_201), "-0001-12-31T23:59:59Z");
    }

    #[test]
    fn micro_time_cuts_to_microseconds_and_wants_six_digits() {
        assert_eq!(rfc3339_micro(1_767_323_045_123_456_789), "2026-01-02T03:04:05.123456Z");
        assert_eq!(rfc3339_micro(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(parse_rfc3339_micro("2026-01-02T03:04:05.123456Z"), Ok(1_767_323_045_123_456_000));
        for text in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.1234567Z"] {
            assert_eq!(parse_rfc3339_micro(text), Err(CalendarError::Format), "{text}");
        }
    }

    #[test]
    fn offsets_and_fractions_are_read() {
        assert_eq!(parse_rfc3339("2026-01-02T05:04:05+02:00"), Ok(1_767_323_045));
        assert_eq!(parse_rfc3339("2026-01-01T23:34:05.999-03:30"), Ok(1_767_323_045));
        assert_eq!(parse_rfc3339_nanos("1970-01-01T00:00:01.5Z"), Ok(1_500_000_000));
        assert_eq!(parse_rfc3339_nanos("1969-12-31T23:59:59.1234567891Z"), Ok(-876_543_211));
        assert_eq!(parse_rfc3339_nanos("9999-01-01T00:00:00Z"), Err(CalendarError::OutOfRange("year")));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in
            ["", "2026", "2026-1-2T03:04:05Z", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05", "ü026-01-02T03:04:05Z"]
        {
            assert_eq!(parse_rfc3339(text), Err(CalendarError::Format), "{text}");
        }
        assert_eq!(parse_rfc3339("2026-13-02T03:04:05Z"), Err(CalendarError::OutOfRange("month")));
        assert_eq!(parse_rfc3339("2026-02-29T03:04:05Z"), Err(CalendarError::OutOfRange("day")));
        assert_eq!(parse_rfc3339("2026-01-02T24:00:00Z"), Err(CalendarError::OutOfRange("hour")));
        assert_eq!(parse_rfc3339("2026-01-02T03:04:05+02:00x"), Err(CalendarError::Format));
    }

    proptest! {
        #[test]
        fn seconds_survive_the_text(seconds in -62_167_219_200_i64..253_402_300_800) {
            prop_assert_eq!(parse_rfc3339(&rfc3339(seconds)), Ok(seconds));
        }

        #[test]
        fn microseconds_survive_the_text(ns in any::<i64>()) {
            let cut = i64::try_from(i128::from(ns).div_euclid(1_000) * 1_000);
            let read = parse_rfc3339_micro(&rfc3339_micro(ns));
            prop_assert_eq!(read, cut.map_err(|_| CalendarError::OutOfRange("year")));
        }

        #[test]
        fn days_and_dates_are_inverse_and_dates_valid(day in -100_000_000_000_i64..100_000_000_000) {
            let (year, month, of_month) = date(day);
            prop_assert!((1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&of_month));
            prop_assert_eq!(unix_day(year, month, of_month), day);
        }

        #[test]
        fn any_text_is_answered(text in "\\PC*") {
            let _ = parse_rfc3339_nanos(&text);
        }

        #[test]
        fn any_number_is_written(seconds in any::<i64>()) {
            prop_assert!(rfc3339(seconds).ends_with('Z'));
        }
    }
}
