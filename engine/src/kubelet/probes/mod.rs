//! Probes: startup, liveness, readiness; when they look at a container, and what follows.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/prober/{prober,worker,prober_manager}.go: tickers that start with the pod and not with the
//! container, a readiness probe at once when the container has started, liveness and readiness only after startup. Left out: metrics of
//! probes.

mod answers;
mod prober;

use k8s_openapi::api::core::v1 as api;

use self::prober::Prober;
use super::health::{Health, Outcome};
use super::pod_worker::{PodEvent, PodWorker, Run, Stage};
use super::{Surroundings, second};
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::trace::note::PodStep;

/// A kind of probe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Which {
    /// Whether the program has come up.
    Startup,
    /// Whether it takes work.
    Readiness,
    /// Whether it needs to be started again.
    Liveness,
}

impl Which {
    pub(super) const ALL: [Which; 3] = [Which::Startup, Which::Readiness, Which::Liveness];

    /// `startup`, `readiness`, `liveness`.
    pub fn parse(word: &str) -> Option<Self> {
        Which::ALL.into_iter().find(|which| which.name().eq_ignore_ascii_case(word))
    }

    fn name(self) -> &'static str {
        match self {
            Which::Startup => "Startup",
            Which::Readiness => "Readiness",
            Which::Liveness => "Liveness",
        }
    }

    /// The annotation of its own.
    pub(super) fn annotation(self) -> &'static str {
        match self {
            Which::Startup => "wavetank.dev/startup",
            Which::Readiness => "wavetank.dev/readiness",
            Which::Liveness => "wavetank.dev/liveness",
        }
    }

    /// A container's probe of this kind.
    pub(super) fn of(self, container: &api::Container) -> Option<&api::Probe> {
        match self {
            Which::Startup => container.startup_probe.as_ref(),
            Which::Readiness => container.readiness_probe.as_ref(),
            Which::Liveness => container.liveness_probe.as_ref(),
        }
    }
}

/// The probes of a container that has any.
#[derive(Clone, Debug)]
pub(super) struct Probes {
    of: [Option<Prober>; 3],
    pub(super) health: Health,
}

impl Probes {
    pub(super) fn of(container: &api::Container) -> Option<Box<Self>> {
        let of = Which::ALL.map(|which| which.of(container).map(Prober::new));
        of.iter().any(Option::is_some).then(|| Box::new(Probes { of, health: Health::default() }))
    }

    pub(super) fn has(&self, which: Which) -> bool {
        self.of.get(which as usize).is_some_and(Option::is_some)
    }

    fn get(&mut self, which: Which) -> Option<&mut Prober> {
        self.of.get_mut(which as usize)?.as_mut()
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Prober> {
        self.of.iter_mut().flatten()
    }

    /// A startup probe that has not succeeded yet.
    pub(super) fn holds_back(&self) -> bool {
        self.of.first().is_some_and(|startup| startup.as_ref().is_some_and(|startup| startup.result != Some(true)))
    }
}

impl PodWorker {
    fn probes(&mut self, n: usize) -> Option<&mut Probes> {
        self.container_mut(n).probes.as_deref_mut()
    }

    fn count(&self) -> usize {
        self.init_containers.len() + self.containers.len()
    }

    /// The pod's probe workers start, some time before its containers.
    pub(super) fn start_probers(&mut self, now: Instant) {
        for n in 0..self.count() {
            self.probes(n).into_iter().flat_map(Probes::each).for_each(|prober| prober.tick_from(now));
        }
    }

    /// A new kubelet's probe workers start, each somewhere in its period.
    pub(super) fn restart_probers(&mut self, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        for n in 0..self.count() {
            if self.locate(n).1.probes.is_none() {
                continue;
            }
            let address = self.turn(n) << 2;
            let mut luck = around.setup.luck("kubelet", "probe-phase", &self.pod().meta.name, address);
            for prober in self.probes(n).into_iter().flat_map(Probes::each) {
                let share = luck.below(1_000_000);
                prober.forget(|period| period.fraction(share, 1_000_000), now);
            }
            self.plan_all(n, around);
        }
    }

    /// The n-th container has started.
    pub(super) fn begin_probes(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        if self.locate(n).1.probes.is_none() {
            return;
        }
        let object = self.object.clone();
        let pod = super::pod_of(&object);
        let mut specs = pod.spec.api.init_containers.iter().flatten().chain(&pod.spec.api.containers);
        let (Some(spec), Some(probes)) = (specs.nth(n), self.probes(n)) else { return };
        probes.each().for_each(Prober::anew);
        if probes.health.begin(&pod.meta, spec) {
            let standing = around.standing.iter().filter(|word| word.is_for(&pod.meta));
            standing.for_each(|word| probes.health.tell(word.which, word.since, word.schedule.clone(), false));
        }
        self.plan(n, Which::Startup, around.out.now(), false, around);
    }

    /// The n-th container is up: from now on it is asked whether it lives and takes work, for the latter at once.
    pub(super) fn probe_work(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        self.plan(n, Which::Liveness, now, false, around);
        let Some(readiness) = self.probes(n).and_then(|probes| probes.get(Which::Readiness)) else { return };
        readiness.tick_from(now);
        match self.look(n, Which::Readiness, now, false, around) {
            Some(due) if due == now => self.probed(n, Which::Readiness, around),
            Some(due) => around.after(due.since(now), self.uid, PodEvent::Probe(n as u16, Which::Readiness)),
            None => {}
        }
    }

    /// Something changed in how the n-th container answers: the looks that were planned may not be the next.
    pub(super) fn plan_all(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        for which in Which::ALL {
            // A look that is under way ends as it began.
            let under_way = |prober: &mut Prober| prober.pending.is_some_and(|(tick, _)| tick <= now);
            if self.probes(n).and_then(|probes| probes.get(which)).is_some_and(under_way) {
                continue;
            }
            self.plan(n, which, now, false, around);
        }
    }

    /// The pod's annotations have changed.
    pub(super) fn look_at_health(&mut self, around: &mut Surroundings<'_, '_>) {
        let object = self.object.clone();
        for n in 0..self.count() {
            if self.probes(n).is_some_and(|probes| probes.health.look(&super::pod_of(&object).meta)) {
                self.plan_all(n, around);
            }
        }
    }

    /// Plans the next look of a probe, at `from` or later, and comes back when its result is there.
    fn plan(&mut self, n: usize, which: Which, from: Instant, exact: bool, around: &mut Surroundings<'_, '_>) {
        if let Some(due) = self.look(n, which, from, exact, around) {
            around.after(due.since(around.out.now()), self.uid, PodEvent::Probe(n as u16, which));
        }
    }

    /// Plans the next look; when its result is there.
    fn look(
        &mut self,
        n: usize,
        which: Which,
        from: Instant,
        exact: bool,
        around: &Surroundings<'_, '_>,
    ) -> Option<Instant> {
        let container = self.locate(n).1;
        let (probe, probes) = (which.of(self.spec_of(n)?)?, container.probes.as_deref()?);
        let prober = probes.of.get(which as usize)?.as_ref()?;
        let stopping = self.stage >= Stage::Terminating && which != Which::Readiness;
        let life = &container.life;
        let running = matches!(container.run, Run::Running { .. }) && !life.over && !life.hooked;
        let idle = !running || stopping || prober.held || life.up == (which == Which::Startup);
        let verdict = |at: Instant| {
            let (outcome, until) = probes.health.at(which, probe.exec.is_none(), life, at);
            (answers::judge(probe, &outcome), until)
        };
        let outlook = |at: Instant| {
            let (verdict, until) = verdict(at);
            (verdict.ok, until)
        };
        let tick = if idle { None } else { prober.next(from, exact, second(life.begun), outlook) };
        let pending = tick.map(|tick| (tick, (tick + verdict(tick).0.takes).max(around.out.now())));
        self.probes(n)?.get(which)?.pending = pending;
        pending.map(|(_, due)| due)
    }

    /// The result of a look is there.
    pub(super) fn probed(&mut self, n: usize, which: Which, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        let container = self.locate(n).1;
        let Some(spec) = self.spec_of(n) else { return };
        let (Some(probe), Some(probes)) = (which.of(spec), container.probes.as_deref()) else { return };
        let Some(prober) = probes.of.get(which as usize).and_then(Option::as_ref) else { return };
        let Some((tick, due)) = prober.pending.filter(|(_, due)| *due <= now) else { return };
        if !matches!(container.run, Run::Running { .. }) || container.life.over {
            return;
        }
        let outcome = probes.health.at(which, probe.exec.is_none(), &container.life, tick).0;
        let ok = answers::judge(probe, &outcome).ok;
        if !ok {
            self.say_unhealthy(n, which, &outcome, around);
        }
        let Some(prober) = self.probes(n).and_then(|probes| probes.get(which)) else { return };
        let changed = prober.count(ok);
        let kills = changed && !ok && which != Which::Readiness;
        prober.pending = None;
        let next = prober.after(tick, due.max(now));
        if kills {
            prober.hold();
        } else if which != Which::Startup || !ok {
            self.plan(n, which, next, true, around);
        }
        match which {
            _ if !changed => {}
            Which::Readiness => self.says_ready(n, ok, around),
            Which::Startup if ok => self.comes_up(n, around),
            Which::Liveness if ok => {}
            Which::Startup | Which::Liveness => self.unhealthy(n, which, around),
        }
    }

    fn say_unhealthy(&self, n: usize, which: Which, outcome: &Outcome, around: &mut Surroundings<'_, '_>) {
        let Some((spec, probe)) = self.spec_of(n).and_then(|spec| Some((spec, which.of(spec)?))) else { return };
        let ip = self.ip.map_or(String::new(), |ip| ip.to_string());
        let why = answers::text(probe, outcome, &ip, spec);
        self.event(EventType::Warning, "Unhealthy", format!("{} probe failed: {why}", which.name()), n, around);
    }

    /// The readiness probe says something new.
    fn says_ready(&mut self, n: usize, ok: bool, around: &mut Surroundings<'_, '_>) {
        let container = self.container_mut(n);
        let Run::Running { ready, .. } = &mut container.run else { return };
        let before = std::mem::replace(ready, ok);
        if before == ok {
            return;
        }
        let name = container.name.clone();
        if ok {
            self.note(PodStep::ContainerReady, &name, around);
        }
        self.report_soon(around);
    }

    /// A container does not come up, or does not live: it is killed, and started again if the pod's policy allows.
    fn unhealthy(&mut self, n: usize, which: Which, around: &mut Surroundings<'_, '_>) {
        let init = n < self.init_containers.len();
        let again = init || self.policy() != "Never";
        let (kind, name) = (if init { "Init container" } else { "Container" }, &self.locate(n).1.name);
        let probe = if which == Which::Startup { "startup" } else { "liveness" };
        let then = if again && !init { ", will be restarted" } else { "" };
        let message = format!("{kind} {name} failed {probe} probe{then}");
        let own = self.spec_of(n).and_then(|spec| which.of(spec)?.termination_grace_period_seconds);
        let grace = own.unwrap_or_else(|| self.grace_of_spec()).max(0) as u64;
        self.kill(n, Some(message), grace, again, around);
    }
}
