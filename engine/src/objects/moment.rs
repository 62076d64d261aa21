//! Between the simulation's instants and the API's times.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use k8s_openapi::jiff::Timestamp;

use super::json::EPOCH_NS;
use crate::kernel::Instant;

/// An instant as `metav1.Time`, which knows whole seconds.
pub fn time(at: Instant) -> Time {
    let second = (EPOCH_NS + at.as_nanos() as i64).div_euclid(1_000_000_000);
    Time(Timestamp::from_second(second).unwrap_or_default())
}

/// An instant as `metav1.MicroTime`.
pub fn micro_time(at: Instant) -> MicroTime {
    let micros = (EPOCH_NS + at.as_nanos() as i64).div_euclid(1_000);
    MicroTime(Timestamp::from_microsecond(micros).unwrap_or_default())
}

/// The instant of a time; the beginning for what was before.
pub fn instant(time: &Time) -> Instant {
    let nanos = time.0.as_nanosecond() - i128::from(EPOCH_NS);
    Instant::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Duration;

    #[test]
    fn times_are_whole_seconds() {
        let at = Instant::START + Duration::from_millis(12_345);
        assert_eq!(instant(&time(at)), Instant::START + Duration::from_secs(12));
        assert_eq!(serde_json::to_value(time(at)).expect("text"), "2026-01-01T00:00:12Z");
        assert_eq!(serde_json::to_value(micro_time(at)).expect("text"), "2026-01-01T00:00:12.345000Z");
    }
}
