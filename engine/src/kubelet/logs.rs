//! What containers print, and how the kubelet answers who asks for it.
//!
//! Nothing is executed. What a container prints says its pod's annotation `wavetank.dev/log` (or `wavetank.dev/log.NAME`), a line each, at its
//! start, at a time (`10s: text`), or again and again (`every 5s: text`); without it the `echo` commands of the container's own script.
//! A script of the simulation may have it print something at any time.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kubelet_pods.go (validateContainerLogStatus). Left out: log files that rotate.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::life::Life;
use super::pod_worker::{Container, PodWorker, Run};
use super::program::{self, What, said, seconds};
use crate::kernel::{Duration, Instant};
use crate::objects::{ContainerState, calendar};

/// The annotation that says what a pod's containers print.
pub const LOG: &str = "wavetank.dev/log";

/// How many lines of a container are kept.
const MOST_LINES: usize = 10_000;

/// What the life of a container that is over has left.
#[derive(Clone, Debug)]
pub(super) struct Log {
    begun: Instant,
    ended: Instant,
    printed: Vec<(Instant, Arc<str>)>,
}

impl Life {
    /// What is left of it; `last` is how the API has its end.
    pub(super) fn log(&mut self, last: Option<&ContainerState>) -> Option<Box<Log>> {
        let Some(ContainerState::Terminated { finished, .. }) = last.filter(|_| self.number > 0) else { return None };
        let ended = self.ending.map_or(*finished, |ending| ending.at);
        Some(Box::new(Log { begun: self.begun, ended, printed: std::mem::take(&mut self.printed) }))
    }
}

/// A line and when it was printed.
pub type Line = (Instant, String);

impl PodWorker {
    /// What a container has printed up to `now`; of its life before with `previous`.
    ///
    /// # Errors
    /// Why there is nothing to show, in the kubelet's words.
    pub(super) fn logs(&self, name: &str, previous: bool, now: Instant) -> Result<Vec<Line>, String> {
        let pod = &self.pod().meta.name;
        let Some((n, container)) = self.containers().enumerate().find(|(_, container)| &*container.name == name) else {
            return Err(format!("container {name} is not valid for pod {pod}"));
        };
        let Some(spec) = self.spec_of(n) else { return Ok(Vec::new()) };
        let life = &container.life;
        let ended = life.ending.map_or(now, |ending| ending.at.min(now));
        if previous {
            let earlier = match (&container.run, &container.last) {
                (Run::Waiting { .. }, Some(_)) if life.number > 0 => Some((life.begun, ended, &life.printed)),
                (_, Some(_)) => container.earlier.as_deref().map(|log| (log.begun, log.ended, &log.printed)),
                _ => None,
            };
            let missing = || format!("previous terminated container {name:?} in pod {pod:?} not found");
            let (begun, ended, printed) = earlier.ok_or_else(missing)?;
            return Ok(self.lines(spec, begun, ended, printed));
        }
        match &container.run {
            Run::Running { .. } if life.hooked => Err(waits(container, pod, "ContainerCreating")),
            Run::Waiting { reason, .. } if container.last.is_none() || life.number == 0 => {
                let init = !self.init_containers.is_empty();
                let usual = if init { "PodInitializing" } else { "ContainerCreating" };
                Err(waits(container, pod, if reason.is_empty() { usual } else { reason }))
            }
            _ => Ok(self.lines(spec, life.begun, ended, &life.printed)),
        }
    }

    /// What a life of a container has printed.
    fn lines(
        &self,
        spec: &api::Container,
        begun: Instant,
        ended: Instant,
        printed: &[(Instant, Arc<str>)],
    ) -> Vec<Line> {
        let limit = ended.since(begun);
        let mut lines = match said(&self.pod().meta, LOG, &spec.name) {
            Some(text) => annotated(text, limit),
            None => program::marks(spec, limit)
                .into_iter()
                .filter_map(|mark| match mark.what {
                    What::Print(text) => Some((mark.at, text)),
                    What::Date => Some((mark.at, date(begun + mark.at))),
                    What::File(..) => None,
                })
                .collect(),
        };
        lines.truncate(MOST_LINES);
        let mut lines: Vec<Line> = lines.into_iter().map(|(at, text)| (begun + at, text)).collect();
        lines.extend(printed.iter().flat_map(|(at, text)| text.lines().map(|line| (*at, line.to_owned()))));
        lines.sort_by_key(|(at, _)| *at);
        lines
    }
}

fn waits(container: &Container, pod: &str, reason: &str) -> String {
    let why = match reason {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    format!("container {:?} in pod {pod:?} is waiting to start: {why}", &*container.name)
}

/// The lines of an annotation within `limit`.
fn annotated(text: &str, limit: Duration) -> Vec<(Duration, String)> {
    let mut lines = Vec::new();
    let mut now = Duration::ZERO;
    for line in text.lines() {
        // A time has a unit, so that a line may begin with a number and a colon.
        let timed = line.split_once(':').filter(|(time, _)| time.ends_with(|c: char| c.is_ascii_alphabetic()));
        let every =
            timed.and_then(|(time, text)| Some((seconds(time.trim().strip_prefix("every ")?.trim())?, text.trim())));
        let at = timed.and_then(|(time, text)| Some((seconds(time.trim())?, text.trim())));
        match (every, at) {
            (Some((every, text)), _) if every > Duration::ZERO => {
                let times = (limit.as_nanos().saturating_sub(now.as_nanos()) / every.as_nanos()).min(MOST_LINES as u64);
                lines.extend((1..=times).map(|n| (now + every.times(n), text.to_owned())));
            }
            (_, Some((at, text))) => {
                now = at;
                lines.push((at, text.to_owned()));
            }
            _ => lines.push((now, line.to_owned())),
        }
    }
    lines.retain(|(at, _)| *at <= limit);
    lines.sort_by_key(|(at, _)| *at);
    lines
}

/// As `date` prints it in a container.
pub(super) fn date(at: Instant) -> String {
    let unix = crate::objects::json::EPOCH_NS / 1_000_000_000 + (at.as_nanos() / 1_000_000_000) as i64;
    let (days, time) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let (year, month, day) = calendar::date(days);
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let weekday = DAYS.get(days.rem_euclid(7) as usize).copied().unwrap_or_default();
    let name = MONTHS.get((month - 1) as usize).copied().unwrap_or_default();
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{weekday} {name} {day:>2} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_says_what_is_printed_when() {
        let lines = annotated("starting\n2s: listening on :8080\nevery 5s: GET /\n12: a line", Duration::from_secs(13));
        let lines: Vec<(u64, &str)> = lines.iter().map(|(at, text)| (at.as_nanos() / 1_000_000_000, &**text)).collect();
        let wanted = [(0, "starting"), (2, "listening on :8080"), (2, "12: a line"), (7, "GET /"), (12, "GET /")];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn dates_are_printed_as_busybox_does() {
        let epoch = crate::objects::json::EPOCH_NS / 1_000_000_000;
        // 2026-03-01 00:00:05 UTC was a Sunday.
        let at = Instant::from_nanos(((1_772_323_205 - epoch) * 1_000_000_000) as u64);
        assert_eq!(date(at), "Sun Mar  1 00:00:05 UTC 2026");
    }
}
