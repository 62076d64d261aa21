//! The event recorder: what components tell people, counted, aggregated, throttled, and sent one after another.
//!
//! Two generations. The older (`core/v1`, controllers and kubelets) remembers what it said of each object: the same again becomes a
//! patch of the count; ten different messages of one reason within ten minutes become one that changes; more than 25 at
//! once about one object are not sent at all. One request is on its way at a time; the rest waits. The newer (`events.k8s.io`, the
//! scheduler) sends at once and counts repeats in a series.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/tools/record/{event,events_cache}.go and tools/events/event_broadcaster.go.
//! Left out: the refresh of a long series every 30 minutes. One cache of 4096 objects stands for the three upstream has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::connection::{Call, Connection};
use super::rate_limit::TokenBucket;
use super::routine::Outcome;
use crate::apiserver::request::Patch;
use crate::client::Agent;
use crate::event::Effects;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant, hash_words};
use crate::objects::event::EventType;
use crate::objects::json::EPOCH_NS;
use crate::objects::{EventObject, Key, Kind, Name, Object, ObjectMeta, ObjectReference, Text, Uid};
use crate::trace::{Note, What};

/// Events that wait at most; Kubernetes: maxQueuedEvents.
const MAX_QUEUED: usize = 1000;
/// Kubernetes: maxTriesPerEvent and defaultSleepDuration.
const MAX_TRIES: u32 = 12;
const SLEEP: Duration = Duration::from_secs(10);
/// Kubernetes: defaultAggregateMaxEvents and defaultAggregateIntervalInSeconds.
const AGGREGATE_FROM: usize = 10;
const AGGREGATE_WITHIN: Duration = Duration::from_secs(600);
/// Kubernetes: maxLruCacheEntries.
const MAX_OBJECTS: usize = 4096;
/// Messages remembered of one object; aggregation keeps them far below.
const MAX_SEEN: usize = 128;
/// A quiet series is forgotten after this long; Kubernetes: finishTime.
const SERIES_QUIET: Duration = Duration::from_secs(6 * 60);
/// Longest name of an object. [bytes]
const MAX_NAME: usize = 253;

/// An event recorder with its broadcaster.
#[derive(Clone, Debug)]
pub struct Recorder {
    component: Text,
    host: Name,
    /// Events of the `events.k8s.io` generation.
    newer: bool,
    /// Of the last event's name. [ns since 1970]
    last_stamp: u64,
    queue: VecDeque<Said>,
    /// A request that failed and goes out again, and when.
    retry: Option<(Instant, Sending)>,
    in_flight: BTreeMap<u64, Sending>,
    posted: u64,
    memory: Memory,
    series: Series,
}

/// What became of a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The reply is somebody else's.
    NotMine,
    /// The next event may go: [`Recorder::pump`].
    Done,
    /// The API server was not there: pump again after this long.
    RetryAfter(Duration),
}

/// An event that waits, and the record of its being said.
#[derive(Clone, Debug)]
struct Said {
    event: EventObject,
    stamp: u64,
    reason: Text,
    cause: RecordId,
}

/// A request about an event.
#[derive(Clone, Debug)]
struct Sending {
    event: EventObject,
    /// It exists already: one more of it.
    patch: bool,
    tries: u32,
    cause: RecordId,
}

impl Recorder {
    /// A recorder of the older generation; `host` is the node, empty for the control plane.
    pub fn new(component: impl Into<Text>, host: &str) -> Self {
        Recorder {
            component: component.into(),
            host: host.into(),
            newer: false,
            last_stamp: 0,
            queue: VecDeque::new(),
            retry: None,
            in_flight: BTreeMap::new(),
            posted: 0,
            memory: Memory::default(),
            series: Series::default(),
        }
    }

    /// A recorder of the newer generation on `host`.
    pub fn newer(component: &'static str, host: &str) -> Self {
        Recorder { newer: true, ..Recorder::new(component, &format!("{component}-{host}")) }
    }

    /// What is said from now on is said by another component on this machine: upstream's scheduler has a recorder for each
    /// profile.
    pub fn speak_for(&mut self, component: &Name, machine: &str) {
        if *self.component != **component {
            self.component = Text::Shared(component.clone());
            self.host = format!("{component}-{machine}").into();
        }
    }

    /// Says something about an object.
    pub fn record(
        &mut self,
        agent: Agent,
        regarding: ObjectReference,
        kind: EventType,
        reason: impl Into<Text>,
        message: Name,
        out: &mut Effects,
    ) {
        self.record_action(agent, regarding, kind, reason, "", message, out);
    }

    /// Says something about an object, with the action that the newer generation wants.
    pub fn record_action(
        &mut self,
        agent: Agent,
        regarding: ObjectReference,
        kind: EventType,
        reason: impl Into<Text>,
        action: &'static str,
        message: Name,
        out: &mut Effects,
    ) {
        let key = Key { namespace: regarding.namespace.clone(), name: regarding.name.clone() };
        let reason = reason.into();
        let what = What::Event { kind, reason: reason.clone(), message: message.clone() };
        let cause = out.aside(Note::about(agent, regarding.kind, key, what));
        if self.queue.len() >= MAX_QUEUED {
            return;
        }
        let now = out.now();
        let stamp = self.stamp(now);
        let namespace = if regarding.namespace.is_empty() { "default" } else { &*regarding.namespace };
        let event = EventObject {
            meta: ObjectMeta::named(namespace, &event_name(&regarding.name, stamp)),
            regarding,
            kind,
            reason: reason.clone(),
            message,
            component: self.component.clone(),
            host: if self.newer { "".into() } else { self.host.clone() },
            first: (!self.newer).then_some(out.wall()),
            last: (!self.newer).then_some(out.wall()),
            count: i32::from(!self.newer),
            event_time: self.newer.then_some(out.wall()),
            action: action.into(),
            instance: self.host.clone(),
        };
        self.queue.push_back(Said { event, stamp, reason, cause });
    }

    /// Sends what may be sent: of the older generation one event at a time. It leaves after `work`.
    pub fn pump(&mut self, agent: Agent, connection: &mut Connection, work: Duration, out: &mut Effects) {
        let before = out.cause();
        while self.newer || self.in_flight.is_empty() {
            let Some(sending) = self.next(out.now()) else { break };
            let namespace = sending.event.meta.namespace.clone();
            let key = Key { namespace, name: sending.event.meta.name.clone() };
            let call = if sending.patch {
                let last = sending.event.last.unwrap_or(out.wall());
                let (count, message) = (sending.event.count, sending.event.message.clone());
                Call::patch(Kind::Event, key, Patch::EventCount { count, last, message })
            } else {
                Call::create(Object::Event(sending.event.clone()))
            };
            out.because(sending.cause);
            let number = connection.send(agent, call, work, out);
            self.posted += 1;
            self.in_flight.insert(number, sending);
        }
        out.because(before);
    }

    /// A reply. Only an API server that is not there (status code 0) is asked again.
    pub fn reply(&mut self, number: u64, outcome: &Outcome, now: Instant) -> Verdict {
        let Some(mut sending) = self.in_flight.remove(&number) else { return Verdict::NotMine };
        match outcome {
            Err(status) if sending.patch && status.is_not_found() => {
                sending.patch = false;
                self.retry = Some((now, sending));
            }
            Err(status) if status.code == 0 && sending.tries + 1 < MAX_TRIES => {
                sending.tries += 1;
                let delay = if sending.tries == 1 {
                    SLEEP.fraction(hash_words(&[now.as_nanos(), number]) % 1000, 1000)
                } else {
                    SLEEP
                };
                self.retry = Some((now + delay, sending));
                return Verdict::RetryAfter(delay);
            }
            _ => {}
        }
        Verdict::Done
    }

    /// How many requests have been sent.
    pub fn posted(&self) -> u64 {
        self.posted
    }

    fn next(&mut self, now: Instant) -> Option<Sending> {
        match &self.retry {
            Some((at, _)) if *at > now => return None,
            Some(_) => return self.retry.take().map(|(_, sending)| sending),
            None => {}
        }
        loop {
            let said = self.queue.pop_front()?;
            let cause = said.cause;
            let correlated =
                if self.newer { self.series.correlate(said, now) } else { self.memory.correlate(said, now) };
            if let Some((event, patch)) = correlated {
                return Some(Sending { event, patch, tries: 0, cause });
            }
        }
    }

    /// Unix time of an event's name; two events of one instant must not share it.
    fn stamp(&mut self, now: Instant) -> u64 {
        self.last_stamp = unix(now).max(self.last_stamp + 1);
        self.last_stamp
    }
}

fn unix(at: Instant) -> u64 {
    EPOCH_NS as u64 + at.as_nanos()
}

/// Kubernetes: GenerateEventName.
fn event_name(object: &str, stamp: u64) -> String {
    let name = format!("{object}.{stamp:x}");
    if name.len() <= MAX_NAME { name } else { Uid::random(u128::from(stamp) << 32).to_string() }
}

/// An object, as throttling tells them apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct About {
    kind: Kind,
    namespace: Name,
    name: Name,
    uid: Uid,
    event: EventType,
}

/// What was said before. Kubernetes: EventCorrelator.
#[derive(Clone, Debug, Default)]
struct Memory {
    objects: BTreeMap<About, Remembered>,
    /// Objects by when something was last said of them.
    ages: BTreeMap<u64, About>,
    age: u64,
}

#[derive(Clone, Debug)]
struct Remembered {
    age: u64,
    bucket: TokenBucket,
    similar: Vec<Similar>,
    seen: Vec<Seen>,
}

/// Messages of one reason.
#[derive(Clone, Debug)]
struct Similar {
    reason: Text,
    last: Instant,
    messages: Vec<Name>,
}

/// An event that exists.
#[derive(Clone, Debug)]
struct Seen {
    reason: Text,
    field_path: Option<Name>,
    /// `None` for the one that combines many.
    message: Option<Name>,
    count: i32,
    first: Option<Instant>,
    name: Name,
}

impl Memory {
    /// What is sent, and whether it is a patch; nothing if there were too many.
    fn correlate(&mut self, said: Said, now: Instant) -> Option<(EventObject, bool)> {
        let Said { mut event, stamp, reason, .. } = said;
        let remembered = self.remembered(&event);
        let mut message = Some(event.message.clone());
        if remembered.aggregates(&reason, &event.message, now, stamp) {
            message = None;
            event.meta.name = event_name(&event.regarding.name, unix(now)).into();
            event.message = format!("(combined from similar events): {}", event.message).into();
            (event.first, event.last) = (Some(now), Some(now));
        }
        let patch = remembered.observe(&mut event, reason, message);
        remembered.bucket.try_take(now).then_some((event, patch))
    }

    fn remembered(&mut self, event: &EventObject) -> &mut Remembered {
        let regarding = &event.regarding;
        let about = About {
            kind: regarding.kind,
            namespace: regarding.namespace.clone(),
            name: regarding.name.clone(),
            uid: regarding.uid,
            event: event.kind,
        };
        self.age += 1;
        let age = self.age;
        if let Some(known) = self.objects.get(&about) {
            self.ages.remove(&known.age);
        } else if self.objects.len() >= MAX_OBJECTS
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.objects.remove(&oldest);
        }
        self.ages.insert(age, about.clone());
        let fresh = || Remembered { age, bucket: TokenBucket::event_spam(), similar: Vec::new(), seen: Vec::new() };
        let remembered = self.objects.entry(about).or_insert_with(fresh);
        remembered.age = age;
        remembered
    }
}

impl Remembered {
    /// Takes a message in; whether there are too many different ones of its reason. Kubernetes: EventAggregate.
    fn aggregates(&mut self, reason: &Text, message: &Name, now: Instant, luck: u64) -> bool {
        let place = self.similar.iter().position(|similar| similar.reason == *reason).unwrap_or_else(|| {
            self.similar.push(Similar { reason: reason.clone(), last: now, messages: Vec::new() });
            self.similar.len() - 1
        });
        let similar = &mut self.similar[place];
        if now.since(similar.last) > AGGREGATE_WITHIN {
            similar.messages.clear();
        }
        similar.last = now;
        if let Err(place) = similar.messages.binary_search(message) {
            similar.messages.insert(place, message.clone());
        }
        if similar.messages.len() < AGGREGATE_FROM {
            return false;
        }
        // Upstream takes out whichever a Go map yields.
        let any = hash_words(&[luck]) as usize % similar.messages.len();
        similar.messages.remove(any);
        true
    }

    /// Counts the event; true if it exists already. Kubernetes: eventObserve.
    fn observe(&mut self, event: &mut EventObject, reason: Text, message: Option<Name>) -> bool {
        let field_path = event.regarding.field_path.clone();
        let same = |seen: &&mut Seen| seen.reason == reason && seen.message == message && seen.field_path == field_path;
        if let Some(seen) = self.seen.iter_mut().find(same) {
            seen.count = seen.count.saturating_add(1);
            event.meta.name = seen.name.clone();
            event.first = seen.first;
            event.count = seen.count;
            return true;
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.remove(0);
        }
        let (name, first) = (event.meta.name.clone(), event.first);
        self.seen.push(Seen { reason, field_path, message, count: 1, first, name });
        false
    }
}

/// The newer generation's memory. Kubernetes: eventCache.
#[derive(Clone, Debug, Default)]
struct Series {
    events: BTreeMap<SeriesKey, Repeated>,
    sweep: Instant,
}

/// What makes two events isomorphic: not the message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct SeriesKey {
    about: About,
    resource_version: u64,
    field_path: Option<Name>,
    reason: Text,
    action: Arc<str>,
}

#[derive(Clone, Debug)]
struct Repeated {
    name: Name,
    message: Name,
    count: i32,
    last: Instant,
}

impl Series {
    fn correlate(&mut self, said: Said, now: Instant) -> Option<(EventObject, bool)> {
        let Said { mut event, reason, .. } = said;
        if now.since(self.sweep) >= SERIES_QUIET {
            self.sweep = now;
            self.events.retain(|_, repeated| now.since(repeated.last) < SERIES_QUIET);
        }
        let regarding = &event.regarding;
        let key = SeriesKey {
            about: About {
                kind: regarding.kind,
                namespace: regarding.namespace.clone(),
                name: regarding.name.clone(),
                uid: regarding.uid,
                event: event.kind,
            },
            resource_version: regarding.resource_version,
            field_path: regarding.field_path.clone(),
            reason: reason.clone(),
            action: Arc::from(&*event.action),
        };
        if let Some(repeated) = self.events.get_mut(&key) {
            repeated.count = if repeated.count == 0 { 2 } else { repeated.count.saturating_add(1) };
            repeated.last = now;
            event.meta.name = repeated.name.clone();
            event.message = repeated.message.clone();
            event.count = repeated.count;
            event.last = Some(now);
            // Only the beginning of a series is sent; the rest is counted.
            return (repeated.count == 2).then_some((event, true));
        }
        let repeated = Repeated { name: event.meta.name.clone(), message: event.message.clone(), count: 0, last: now };
        self.events.insert(key, repeated);
        Some((event, false))
    }
}

#[cfg(test)]
mod tests;
