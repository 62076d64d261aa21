//! Schedules as cron writes them: five fields, names, `@daily`, `@every 90s`.
//!
//! Models: github.com/robfig/cron/v3 (parser.go, spec.go, constantdelay.go), which kubernetes v1.36.2 pkg/controller/cronjob uses. Time
//! zones come from the tables that the crate jiff brings along, never from the machine. Times in an hour that a change of the
//! clocks leaves out are passed over, as there.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, ToSpan, Zoned};

use crate::kernel::Duration;

/// A schedule.
#[derive(Clone, PartialEq, Debug)]
pub enum Schedule {
    /// At these minutes.
    Fields(Fields),
    /// Every so often, in whole seconds.
    Every(Duration),
}

/// Sets of bits: the n-th stands for n.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether day of month and day of week leave the day open: then both must fit, or else one of them.
    open: (bool, bool),
}

/// Why a schedule cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// In the words of the parser.
    pub fn parse(text: &str) -> Result<Schedule, ScheduleError> {
        let error = |text: String| Err(ScheduleError(text));
        if text.is_empty() {
            return error("empty spec string".to_owned());
        }
        if let Some(name) = text.strip_prefix('@') {
            let fields = match name {
                "yearly" | "annually" => "0 0 1 1 *",
                "monthly" => "0 0 1 * *",
                "weekly" => "0 0 * * 0",
                "daily" | "midnight" => "0 0 * * *",
                "hourly" => "0 * * * *",
                _ => {
                    let Some(every) = name.strip_prefix("every ") else {
                        return error(format!("unrecognized descriptor: {text}"));
                    };
                    let Some(every) = go_duration(every) else {
                        return error(format!("failed to parse duration {text}: time: invalid duration \"{every}\""));
                    };
                    return Ok(Schedule::Every(Duration::from_secs((every.as_nanos() / 1_000_000_000).max(1))));
                }
            };
            return Schedule::parse(fields);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return error(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        let open = |field: &str| field.split(',').any(|part| part.starts_with(['*', '?']));
        Ok(Schedule::Fields(Fields {
            minutes: bits(minutes, 0, 59, &[])?,
            hours: bits(hours, 0, 23, &[])?,
            days: bits(days, 1, 31, &[])?,
            months: bits(months, 1, 12, &MONTHS)?,
            weekdays: bits(weekdays, 0, 6, &DAYS)?,
            open: (open(days), open(weekdays)),
        }))
    }

    /// The first time after `after`, `None` if there is none within five years.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Schedule::Every(every) => {
                let seconds = i64::try_from(every.as_nanos() / 1_000_000_000).ok()?;
                Timestamp::from_second(after.as_second().checked_add(seconds)?).ok()
            }
            Schedule::Fields(fields) => fields.next(after, zone),
        }
    }
}

impl Fields {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let has = |set: u64, number: i8| number >= 0 && set >> number & 1 == 1;
        // The next whole minute.
        let mut at = Timestamp::from_second((after.as_second().div_euclid(60) + 1) * 60).ok()?.to_zoned(zone.clone());
        let last = at.year().checked_add(5)?;
        loop {
            if at.year() > last {
                return None;
            }
            if !has(self.months, at.month()) {
                at = at.first_of_month().ok()?.checked_add(1.month()).ok()?.start_of_day().ok()?;
            } else if !self.day(&at) {
                at = at.tomorrow().ok()?.start_of_day().ok()?;
            } else if !has(self.hours, at.hour()) {
                let left = 60 - i64::from(at.minute());
                at = at.checked_add(SignedDuration::from_mins(left)).ok()?;
            } else if !has(self.minutes, at.minute()) {
                at = at.checked_add(SignedDuration::from_mins(1)).ok()?;
            } else {
                return Some(at.timestamp());
            }
        }
    }

    fn day(&self, at: &Zoned) -> bool {
        let weekday = match at.weekday() {
            Weekday::Sunday => 0,
            day => day.to_monday_one_offset(),
        };
        let of_month = self.days >> at.day() & 1 == 1;
        let of_week = self.weekdays >> weekday & 1 == 1;
        if self.open.0 || self.open.1 { of_month && of_week } else { of_month || of_week }
    }
}

/// The zone of a name, from the tables that are part of the program.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The numbers of a field: `*`, `1-5`, `*/15`, `mon,wed`.
fn bits(field: &str, least: u32, most: u32, names: &[&str]) -> Result<u64, ScheduleError> {
    let mut bits = 0;
    for part in field.split(',').filter(|part| !part.is_empty()) {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let number = |text: &str| -> Result<u32, ScheduleError> {
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
            let base = if least == 1 { 1 } else { 0 };
            match (named, text.parse::<u32>()) {
                (Some(place), _) => Ok(place as u32 + base),
                (None, Ok(number)) => Ok(number),
                (None, Err(_)) => Err(ScheduleError(format!(
                    "failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax"
                ))),
            }
        };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None if step.is_some() => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        let step = step.map_or(Ok(1), number)?;
        let refused = |what: String| Err(ScheduleError(format!("{what}: {part}")));
        if from < least {
            return refused(format!("beginning of range ({from}) below minimum ({least})"));
        }
        if to > most {
            return refused(format!("end of range ({to}) above maximum ({most})"));
        }
        if from > to {
            return refused(format!("beginning of range ({from}) beyond end of range ({to})"));
        }
        if step == 0 {
            return refused("step of range should be a positive number".to_owned());
        }
        (from..=to).step_by(step as usize).for_each(|number| bits |= 1 << number);
    }
    Ok(bits)
}

/// `1h30m`, `90s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, more) = rest.split_at(digits);
        let letters = more.find(|c: char| c.is_ascii_digit()).unwrap_or(more.len());
        let (unit, more) = more.split_at(letters);
        let number: u64 = number.parse().ok().filter(|number| *number < 1_000_000_000)?;
        total += match unit {
            "h" => Duration::from_secs(number * 3_600),
            "m" => Duration::from_secs(number * 60),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        rest = more;
    }
    (total > Duration::ZERO).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str, name: &str) -> String {
        let zone = zone(name).expect("a zone");
        let after: Timestamp = after.parse().expect("a time");
        let next = Schedule::parse(schedule).expect("a schedule").next(after, &zone);
        next.map_or("never".to_owned(), |next| next.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        let utc = |schedule| next(schedule, "2026-01-01T00:00:30Z", "UTC");
        assert_eq!(utc("*/1 * * * *"), "2026-01-01T00:01:00Z");
        assert_eq!(utc("*/15 9-17 * * MON-FRI"), "2026-01-01T09:00:00Z");
        assert_eq!(utc("0 0 13 * 5"), "2026-01-02T00:00:00Z");
        assert_eq!(utc("0 0 13 * *"), "2026-01-13T00:00:00Z");
        assert_eq!(utc("@hourly"), "2026-01-01T01:00:00Z");
        assert_eq!(utc("@every 90s"), "2026-01-01T00:02:00Z");
        assert_eq!(utc("0 0 31 2 *"), "never");
        assert_eq!(next("0 6 * * *", "2026-07-01T00:00:00Z", "Europe/Berlin"), "2026-07-01T04:00:00Z");
    }

    /// At 2:00 on 2026-03-29 the clocks in Berlin go to 3:00.
    #[test]
    fn an_hour_that_is_left_out_has_no_run() {
        assert_eq!(next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"), "2026-03-30T00:30:00Z");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text| Schedule::parse(text).expect_err("an error").to_string();
        assert_eq!(error("* * * *"), "expected exactly 5 fields, found 4: [* * * *]");
        assert_eq!(error("60 * * * *"), "end of range (60) above maximum (59): 60");
        assert_eq!(error("@often"), "unrecognized descriptor: @often");
        assert!(zone("Mars/Olympus").is_none());
    }
}
