//! How a container's program answers probes, over time.
//!
//! Nothing is executed. A program answers once it listens. Then the pod's annotations say how: `wavetank.dev/health: "after 20s: 500, 50s: ok"`,
//! or for one kind of probe `wavetank.dev/liveness`, `/readiness`, `/startup`, each also `.NAME` for one container; times count
//! from the container's start. A script may say otherwise at any time, for all lives of the container or until it is started again.
//! Commands that look at a file (`cat /tmp/healthy`) answer by what the container's own script does with it.
//!
//! Models: nothing of Kubernetes; it stands for the programs.

use k8s_openapi::api::core::v1 as api;

use super::life::Life;
use super::probes::Which;
use super::program::{self, said, seconds};
use super::schedule::Schedule;
use crate::kernel::{Duration, Instant};
use crate::objects::{Name, ObjectMeta};

/// The annotation that says how a pod's containers answer probes.
pub const HEALTH: &str = "wavetank.dev/health";

/// The annotation that keeps readiness probes of a pod from succeeding: `false`.
pub const READY: &str = "wavetank.dev/ready";

/// How a program answers a probe.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// As it should.
    Ok,
    /// With this HTTP status; from 400 on any probe fails that asks the program, and not only whether the port is open.
    Status(u16),
    /// Nobody listens.
    Refused,
    /// Not at all.
    Timeout,
    /// As it should, after so long.
    Slow(Duration),
    /// It fails; a command with this output.
    Fail(Name),
    /// It says that it is not ready.
    Unready,
}

impl Outcome {
    /// `ok`, `500`, `refused`, `timeout`, `slow 3s`, `fail`, `fail TEXT`.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').map_or((text, ""), |(word, rest)| (word, rest.trim()));
        match (word, rest) {
            ("ok", "") => Some(Outcome::Ok),
            ("refused", "") => Some(Outcome::Refused),
            ("timeout", "") => Some(Outcome::Timeout),
            ("slow", time) => seconds(time).map(Outcome::Slow),
            ("fail", output) => Some(Outcome::Fail(output.into())),
            (status, "") => status.parse().ok().filter(|status| (100..600).contains(status)).map(Outcome::Status),
            _ => None,
        }
    }
}

/// What a script said of a container's health.
#[derive(Clone, Debug)]
struct Told {
    /// Of which probe; `None` is each.
    which: Option<Which>,
    since: Instant,
    schedule: Schedule<Outcome>,
    until_restart: bool,
}

/// How a container's program answers probes.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    told: Vec<Told>,
    /// What the annotations say of each kind of probe, and what follows from the program.
    annotated: [Option<Schedule<Outcome>>; 3],
    unready: bool,
    /// The container has been started before.
    begun: bool,
}

impl Health {
    /// The container begins anew: what its annotations say counts from now. Whether it is its first time.
    pub(super) fn begin(&mut self, meta: &ObjectMeta, container: &api::Container) -> bool {
        self.told.retain(|told| !told.until_restart);
        let of = |which: Which| {
            let own = said(meta, which.annotation(), &container.name).or_else(|| said(meta, HEALTH, &container.name));
            let schedule = own.and_then(|text| Schedule::parse(text, Outcome::parse).ok());
            schedule.or_else(|| file(which.of(container)?, container))
        };
        self.annotated = Which::ALL.map(of);
        self.look(meta);
        !std::mem::replace(&mut self.begun, true)
    }

    /// Whether what may change while the container runs has changed.
    pub(super) fn look(&mut self, meta: &ObjectMeta) -> bool {
        let unready = meta.annotation(READY) == Some("false");
        std::mem::replace(&mut self.unready, unready) != unready
    }

    /// From now on it answers so; an empty schedule gives the word back to the annotations.
    pub(super) fn tell(
        &mut self,
        which: Option<Which>,
        since: Instant,
        schedule: Schedule<Outcome>,
        until_restart: bool,
    ) {
        self.told.retain(|told| which.is_some() && told.which != which);
        if !schedule.steps().is_empty() {
            self.told.push(Told { which, since, schedule, until_restart });
        }
    }

    /// How it answers a probe at `at`, and until when it would answer so. `asks` is false for commands, which run inside the container.
    pub(super) fn at(&self, which: Which, asks: bool, life: &Life, at: Instant) -> (Outcome, Instant) {
        if at < life.listens {
            return (if asks { Outcome::Refused } else { Outcome::Fail("".into()) }, life.listens);
        }
        if asks && life.signalled.is_some_and(|signalled| signalled <= at) && !life.drains {
            return (Outcome::Refused, Instant::NEVER);
        }
        let mut until = Instant::NEVER;
        for told in self.told.iter().rev().filter(|told| told.which.is_none_or(|of| of == which)) {
            let (outcome, end) = told.schedule.at(told.since, at);
            until = until.min(end);
            if let Some(outcome) = outcome {
                return (outcome.clone(), until);
            }
        }
        if self.unready && which == Which::Readiness {
            return (Outcome::Unready, until);
        }
        let annotated = self.annotated.get(which as usize).and_then(Option::as_ref);
        let (outcome, end) = annotated.map_or((None, Instant::NEVER), |schedule| schedule.at(life.begun, at));
        (outcome.cloned().unwrap_or(Outcome::Ok), until.min(end))
    }
}

/// How a command that looks at a file fares while the container's script makes and removes that file.
fn file(probe: &api::Probe, container: &api::Container) -> Option<Schedule<Outcome>> {
    let command = probe.exec.as_ref()?.command.as_deref()?;
    let (tool, path) = program::looks_at(command)?;
    let marks = program::files(container);
    if !marks.iter().any(|(_, of, _)| *of == path) {
        return None;
    }
    let missing = match tool.as_str() {
        "cat" => format!("cat: can't open '{path}': No such file or directory\n"),
        "ls" => format!("ls: {path}: No such file or directory\n"),
        _ => String::new(),
    };
    let missing = Outcome::Fail(missing.as_str().into());
    let outcome = |exists: &bool| if *exists { Outcome::Ok } else { missing.clone() };
    let mut steps = vec![(Duration::ZERO, missing.clone())];
    steps.extend(marks.iter().filter(|(_, of, _)| *of == path).map(|(at, _, exists)| (*at, outcome(exists))));
    Some(Schedule::of(steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outcomes_are_words() {
        assert_eq!(Outcome::parse("500"), Some(Outcome::Status(500)));
        assert_eq!(Outcome::parse("slow 3s"), Some(Outcome::Slow(Duration::from_secs(3))));
        assert_eq!(Outcome::parse("fail no such table"), Some(Outcome::Fail("no such table".into())));
        assert_eq!((Outcome::parse("5"), Outcome::parse("fine"), Outcome::parse("ok then")), (None, None, None));
    }

    #[test]
    fn a_file_comes_and_goes_with_the_script() {
        let container: api::Container = serde_json::from_value(json!({
            "name": "liveness", "image": "busybox",
            "args": ["/bin/sh", "-c", "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600"],
            "livenessProbe": {"exec": {"command": ["cat", "/tmp/healthy"]}},
        }))
        .expect("a container");
        let mut health = Health::default();
        health.begin(&ObjectMeta::named("default", "a"), &container);
        let life = Life { begun: Instant::START + Duration::from_secs(10), ..Life::default() };
        let at = |seconds| health.at(Which::Liveness, false, &life, life.begun + Duration::from_secs(seconds)).0;
        assert_eq!(at(1), Outcome::Ok);
        assert_eq!(at(31), Outcome::Fail("cat: can't open '/tmp/healthy': No such file or directory\n".into()));
    }

    #[test]
    fn the_last_word_counts_and_may_end_with_the_container() {
        let container: api::Container = serde_json::from_value(json!({"name": "a"})).expect("a container");
        let meta = ObjectMeta::named("default", "a");
        let (mut health, life) = (Health::default(), Life::default());
        health.begin(&meta, &container);
        let now = Instant::START + Duration::from_secs(5);
        let schedule = |text| Schedule::parse(text, Outcome::parse).expect("a schedule");
        health.tell(None, now, schedule("500"), false);
        health.tell(Some(Which::Liveness), now, schedule("10s: ok"), true);
        let at = |health: &Health, which, seconds| health.at(which, true, &life, now + Duration::from_secs(seconds)).0;
        assert_eq!(at(&health, Which::Liveness, 1), Outcome::Status(500));
        assert_eq!(health.at(Which::Liveness, true, &life, now).1, now + Duration::from_secs(10));
        assert_eq!(at(&health, Which::Liveness, 10), Outcome::Ok);
        assert_eq!(at(&health, Which::Readiness, 10), Outcome::Status(500));
        health.begin(&meta, &container);
        assert_eq!(at(&health, Which::Liveness, 10), Outcome::Status(500));
        health.tell(None, now, schedule(""), false);
        assert_eq!(at(&health, Which::Liveness, 10), Outcome::Ok);
    }
}
