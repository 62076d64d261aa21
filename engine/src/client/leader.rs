//! Leader election: of several copies of a process, the one that holds a Lease works.
//!
//! A candidate looks at the Lease every two seconds, a bit longer by luck. It takes the Lease if nobody has it, or if its holder has not
//! renewed it for the lease's duration *since this candidate last saw it change* (clocks are not compared). The leader renews every two
//! seconds; if it does not succeed for ten seconds it gives up, and the process ends.
//!
//! A process that *releases* gives the Lease back before it ends: told to stop, or after it has failed to renew. The scheduler does, the
//! controller manager does not.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/tools/leaderelection/{leaderelection.go,resourcelock/leaselock.go}. Left out:
//! coordinated leader election.

use super::agent::Agent;
use super::connection::{Call, Connection};
use super::routine::Outcome;
use crate::event::Effects;
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Kind, Lease, Name, Object, ObjectMeta, ObjectReference};
use crate::setup::Setup;

/// For which Lease a process stands, and with what patience.
#[derive(Clone, PartialEq, Debug)]
pub struct Election {
    /// Whether there is an election at all; without one a process leads from its start. – leaderElect, true.
    pub elects: bool,
    /// Where the Lease is. – resourceNamespace, kube-system.
    pub namespace: Name,
    /// Its name. – resourceName, the component's.
    pub name: Name,
    /// How long it holds without being renewed. – leaseDuration, 15 s.
    pub lease: Duration,
    /// How long a leader tries to renew before it gives up. – renewDeadline, 10 s.
    pub renew_deadline: Duration,
    /// Between tries. – retryPeriod, 2 s.
    pub retry: Duration,
}

impl Election {
    /// That of a component of the control plane. Kubernetes: component-base/config/v1alpha1/defaults.go.
    pub fn of(component: &str) -> Self {
        let (lease, renew_deadline, retry) = (Duration::from_secs(15), Duration::from_secs(10), Duration::from_secs(2));
        Election { elects: true, namespace: "kube-system".into(), name: component.into(), lease, renew_deadline, retry }
    }

    /// A request that takes longer has failed. Kubernetes: resourcelock.NewFromKubeconfig.
    fn timeout(&self) -> Duration {
        self.renew_deadline.fraction(1, 2).max(Duration::from_secs(1))
    }
}

/// From the end of an election to that of its process – read off recorded runs: 13 to 20 ms, in which the event is sent and not yet
/// answered; Kubernetes: klog.FlushAndExit.
pub const LAST_WORDS: Duration = Duration::from_millis(15);

/// A candidate.
#[derive(Clone, Debug)]
pub struct LeaderElection {
    agent: Agent,
    election: Election,
    key: Key,
    identity: Name,
    /// The Lease as last seen or written, and when that was.
    observed: Option<(Lease, Instant)>,
    leading: bool,
    asked: Option<(u64, Asking)>,
    /// The next thing to do: a try, or giving up on a request.
    due: Instant,
    /// It gives the Lease back when it ends.
    releases: bool,
    /// It is about to end, and gives the Lease back before.
    resigning: bool,
    /// It was told to end.
    told: bool,
    /// Since when the leader has been trying to renew.
    renewing_since: Instant,
    /// A renewal is due and has not been tried.
    fresh: bool,
    tries: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asking {
    /// Reading the Lease.
    Get,
    /// Writing it; a leader that fails at it reads it again.
    Write {
        /// Without having read it.
        optimistic: bool,
    },
    /// Reading the Lease to give it back.
    ReadToRelease,
    /// Giving it back.
    Release,
}

/// What a step of the election led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nothing changed.
    Same,
    /// This candidate leads from now on.
    Won,
    /// It does not lead any more: it says so, and the process ends [`LAST_WORDS`] later.
    Lost,
    /// The same, as it was told to: nobody sends its events any more.
    Ended,
}

impl LeaderElection {
    /// A candidate. `identity` must differ from that of any process before.
    pub fn new(agent: Agent, election: Election, identity: Name) -> Self {
        LeaderElection {
            agent,
            key: Key { namespace: election.namespace.clone(), name: election.name.clone() },
            election,
            identity,
            observed: None,
            leading: false,
            asked: None,
            releases: false,
            resigning: false,
            told: false,
            due: Instant::START,
            renewing_since: Instant::START,
            fresh: false,
            tries: 0,
        }
    }

    /// A candidate that gives the Lease back before it ends.
    pub fn releasing(self) -> Self {
        LeaderElection { releases: true, ..self }
    }

    /// Whether it says that it leads: who stands for no election says nothing.
    pub fn elects(&self) -> bool {
        self.election.elects
    }

    /// The name under which it stands.
    pub fn identity(&self) -> &Name {
        &self.identity
    }

    /// Whether it leads.
    pub fn leading(&self) -> bool {
        self.leading
    }

    /// When [`LeaderElection::tick`] is due next.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// A reference to the Lease for an event.
    pub fn reference(&self) -> ObjectReference {
        match &self.observed {
            Some((lease, _)) => Object::Lease(lease.clone()).reference(),
            None => Object::Lease(self.lease(Instant::START)).reference(),
        }
    }

    /// Time has passed; ticks that come early do nothing.
    pub fn tick(&mut self, connection: &mut Connection, setup: &Setup, out: &mut Effects) -> Turn {
        let now = out.now();
        if now < self.due {
            return Turn::Same;
        }
        if self.resigning {
            return self.over();
        }
        if !self.election.elects {
            (self.leading, self.due) = (true, Instant::NEVER);
            return Turn::Won;
        }
        if self.asked.take().is_some() {
            return self.failed(connection, setup, out);
        }
        // The deadline runs from the first try, which comes late in a process that was held up.
        if std::mem::take(&mut self.fresh) {
            self.renewing_since = now;
        }
        if self.leading && now.since(self.renewing_since) >= self.election.renew_deadline {
            return self.resign(connection, out);
        }
        self.tries += 1;
        match &self.observed {
            Some((lease, since)) if self.leading && *since + self.election.lease > now => {
                let renewed = Lease { renewed: out.wall(), ..lease.clone() };
                self.write(renewed, true, connection, out);
            }
            _ => self.ask(Call::get(Kind::Lease, self.key.clone()), Asking::Get, connection, out),
        }
        Turn::Same
    }

    /// A reply; `None` if it is somebody else's.
    pub fn reply(
        &mut self,
        number: u64,
        outcome: &Outcome,
        connection: &mut Connection,
        setup: &Setup,
        out: &mut Effects,
    ) -> Option<Turn> {
        let asking = self.asked.filter(|(asked, _)| *asked == number)?.1;
        self.asked = None;
        let now = out.now();
        let lease = match outcome {
            Ok(answer) => answer.object().and_then(|object| match &**object {
                Object::Lease(lease) => Some(lease.clone()),
                _ => None,
            }),
            Err(_) => None,
        };
        Some(match (asking, outcome, lease) {
            (Asking::Get, Err(status), _) if status.is_not_found() => {
                let lease = self.lease(out.wall());
                self.ask(Call::create(Object::Lease(lease)), Asking::Write { optimistic: false }, connection, out);
                Turn::Same
            }
            (Asking::Get, Ok(_), Some(lease)) => self.read(lease, connection, setup, out),
            (Asking::Write { .. }, Ok(_), Some(lease)) => self.wrote(lease, now),
            (Asking::Write { optimistic: true }, Err(_), _) => {
                self.ask(Call::get(Kind::Lease, self.key.clone()), Asking::Get, connection, out);
                Turn::Same
            }
            (Asking::ReadToRelease, Ok(_), Some(lease)) if lease.holder == self.identity => {
                let released = Lease {
                    holder: "".into(),
                    duration_seconds: 1,
                    renewed: out.wall(),
                    acquired: Some(out.wall()),
                    ..lease
                };
                self.ask(Call::update(Object::Lease(released)), Asking::Release, connection, out);
                Turn::Same
            }
            (Asking::ReadToRelease | Asking::Release, ..) => self.over(),
            _ => self.failed(connection, setup, out),
        })
    }

    /// The Lease as it is: take it if it is free.
    fn read(&mut self, lease: Lease, connection: &mut Connection, setup: &Setup, out: &mut Effects) -> Turn {
        let now = out.now();
        let changed = self.observed.as_ref().is_none_or(|(seen, _)| {
            (&seen.holder, seen.renewed, seen.acquired, seen.transitions)
                != (&lease.holder, lease.renewed, lease.acquired, lease.transitions)
        });
        let since = match &self.observed {
            Some((_, since)) if !changed => *since,
            _ => now,
        };
        let mine = lease.holder == self.identity;
        self.observed = Some((lease.clone(), since));
        let length = Duration::from_secs(u64::try_from(lease.duration_seconds).unwrap_or(0));
        if !mine && !lease.holder.is_empty() && since + length > now {
            return self.failed(connection, setup, out);
        }
        let mut taken = Lease { meta: lease.meta.clone(), ..self.lease(out.wall()) };
        taken.transitions = lease.transitions;
        if mine {
            taken.acquired = lease.acquired;
        } else {
            taken.transitions += 1;
        }
        self.write(taken, false, connection, out);
        Turn::Same
    }

    fn wrote(&mut self, lease: Lease, now: Instant) -> Turn {
        self.observed = Some((lease, now));
        self.due = now + self.election.retry;
        (self.renewing_since, self.fresh) = (self.due, true);
        let won = !self.leading;
        self.leading = true;
        if won { Turn::Won } else { Turn::Same }
    }

    /// A try failed; another one follows, unless a leader's time is up.
    fn failed(&mut self, connection: &mut Connection, setup: &Setup, out: &mut Effects) -> Turn {
        let now = out.now();
        if !self.leading {
            // Kubernetes: JitterFactor 1.2 on top of the period.
            let jitter = setup.luck(self.agent.name(), "election", &self.identity, self.tries).below(1_000_000);
            let retry = self.election.retry;
            self.due = now + retry + retry.fraction(jitter * 12, 10_000_000);
            return Turn::Same;
        }
        let deadline = self.renewing_since + self.election.renew_deadline;
        if now >= deadline {
            return self.resign(connection, out);
        }
        self.due = (now + self.election.retry).min(deadline);
        Turn::Same
    }

    /// The process is told to end.
    pub fn end(&mut self, connection: &mut Connection, out: &mut Effects) -> Turn {
        self.told = true;
        self.resign(connection, out)
    }

    /// Gives the Lease back, if it is one that does and leads.
    fn resign(&mut self, connection: &mut Connection, out: &mut Effects) -> Turn {
        if !self.releases || !self.leading || !self.election.elects {
            return self.over();
        }
        self.resigning = true;
        self.ask(Call::get(Kind::Lease, self.key.clone()), Asking::ReadToRelease, connection, out);
        Turn::Same
    }

    fn over(&mut self) -> Turn {
        self.leading = false;
        self.asked = None;
        self.due = Instant::NEVER;
        if self.told { Turn::Ended } else { Turn::Lost }
    }

    fn lease(&self, now: Instant) -> Lease {
        Lease {
            meta: ObjectMeta::named(&self.key.namespace, &self.key.name),
            holder: self.identity.clone(),
            duration_seconds: (self.election.lease.as_nanos() / 1_000_000_000) as i32,
            acquired: Some(now),
            renewed: now,
            transitions: 0,
        }
    }

    fn write(&mut self, lease: Lease, optimistic: bool, connection: &mut Connection, out: &mut Effects) {
        self.ask(Call::update(Object::Lease(lease)), Asking::Write { optimistic }, connection, out);
    }

    fn ask(&mut self, call: Call, asking: Asking, connection: &mut Connection, out: &mut Effects) {
        let number = connection.send(self.agent, call, Duration::ZERO, out);
        self.asked = Some((number, asking));
        self.due = out.now() + self.election.timeout();
        if self.leading && !self.resigning {
            self.due = self.due.min(self.renewing_since + self.election.renew_deadline);
        }
    }
}

#[cfg(test)]
mod tests;
