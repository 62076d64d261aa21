//! The recorder against replies made up on the spot.
use super::*;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::request::{Answer, Body, Request};
use crate::apiserver::status::Status;
use crate::event::Event;
use crate::kernel::{Action, Endpoint};

struct Rig {
    recorder: Recorder,
    connection: Connection,
    now: Instant,
    sent: Vec<Request>,
}

impl Rig {
    fn new(recorder: Recorder) -> Self {
        let connection = Connection::new(Endpoint::ControllerManager(0), 0, 0);
        Rig { recorder, connection, now: Instant::START, sent: Vec::new() }
    }

    fn say(&mut self, object: &str, reason: &'static str, message: &str) {
        let regarding = ObjectReference {
            kind: Kind::ReplicaSet,
            namespace: "default".into(),
            name: object.into(),
            uid: Uid(7),
            resource_version: 1,
            field_path: None,
        };
        let mut out = Effects::new(self.now, RecordId(0), 1, Vec::new());
        let agent = Agent::ReplicaSetController;
        self.recorder.record(agent, regarding, EventType::Normal, reason, message.into(), &mut out);
        self.pump();
    }

    fn pump(&mut self) {
        let mut out = Effects::new(self.now, RecordId(0), 1, Vec::new());
        self.recorder.pump(Agent::ReplicaSetController, &mut self.connection, Duration::ZERO, &mut out);
        for action in out.into_actions() {
            if let Action::Send { event: Event::ApiServer(_, ApiServerEvent::Request(request)), .. } = action {
                self.sent.push(*request);
            }
        }
    }

    /// Answers the last request.
    fn answer(&mut self, outcome: Outcome) -> Verdict {
        let number = self.sent.last().expect("a request").number;
        let verdict = self.recorder.reply(number, &outcome, self.now);
        self.pump();
        verdict
    }

    /// What the last request says: its verb, count and message, and its name.
    fn last(&self) -> (&'static str, i32, String, String) {
        let request = self.sent.last().expect("a request");
        let name = request.key.name.to_string();
        match &request.body {
            Body::Object(object) => match &**object {
                Object::Event(event) => ("create", event.count, event.message.to_string(), name),
                _ => panic!("no event"),
            },
            Body::Patch(Patch::EventCount { count, message, .. }) => ("patch", *count, message.to_string(), name),
            _ => panic!("no event"),
        }
    }

    fn ok(&mut self) {
        assert_eq!(self.answer(Ok(Answer::Watching)), Verdict::Done);
    }
}

fn older() -> Rig {
    Rig::new(Recorder::new("replicaset-controller", ""))
}

#[test]
fn one_request_is_on_its_way_at_a_time() {
    let mut rig = older();
    rig.say("web", "A", "one");
    rig.say("web", "A", "two");
    rig.say("web", "A", "three");
    assert_eq!(rig.sent.len(), 1);
    rig.ok();
    assert_eq!((rig.sent.len(), rig.last().2.as_str()), (2, "two"));
    assert_eq!(rig.recorder.reply(999, &Ok(Answer::Watching), rig.now), Verdict::NotMine);
}

#[test]
fn the_same_again_patches_the_count() {
    let mut rig = older();
    rig.say("web", "A", "one");
    let name = rig.last().3;
    assert!(name.starts_with("web.18"), "{name}");
    rig.ok();
    rig.now = Instant::from_nanos(5_000_000_000);
    rig.say("web", "A", "one");
    assert_eq!(rig.last(), ("patch", 2, "one".to_owned(), name.clone()));
    rig.ok();
    rig.say("web", "A", "one");
    assert_eq!(rig.last(), ("patch", 3, "one".to_owned(), name.clone()));
    // It has expired meanwhile: it is created anew, with its count.
    rig.answer(Err(Status::not_found(Kind::Event, &name)));
    assert_eq!(rig.last(), ("create", 3, "one".to_owned(), name));
}

#[test]
fn ten_different_messages_become_one_event() {
    let mut rig = older();
    for i in 0..9 {
        rig.say("web", "A", &format!("message {i}"));
        assert_eq!(rig.last().0, "create");
        rig.ok();
    }
    rig.say("web", "A", "message 9");
    let (verb, count, message, name) = rig.last();
    assert_eq!((verb, count, message.as_str()), ("create", 1, "(combined from similar events): message 9"));
    rig.ok();
    rig.say("web", "A", "message 10");
    assert_eq!(rig.last(), ("patch", 2, "(combined from similar events): message 10".to_owned(), name));
    rig.ok();
    rig.say("web", "B", "message 11");
    assert_eq!(rig.last().2, "message 11");
    rig.ok();
    rig.now = Instant::from_nanos(700_000_000_000);
    rig.say("web", "A", "message 12");
    assert_eq!(rig.last().2, "message 12");
}

#[test]
fn after_25_events_an_object_is_heard_every_five_minutes() {
    let mut rig = older();
    for _ in 0..40 {
        rig.say("web", "A", "again");
        if !rig.recorder.in_flight.is_empty() {
            rig.ok();
        }
    }
    assert_eq!((rig.sent.len(), rig.last().1), (25, 25));
    rig.say("other", "A", "again");
    assert_eq!(rig.sent.len(), 26);
    rig.ok();
    rig.now = Instant::from_nanos(301_000_000_000);
    rig.say("web", "A", "again");
    assert_eq!((rig.sent.len(), rig.last().1), (27, 41));
}

#[test]
fn only_an_absent_server_is_asked_again() {
    let mut rig = older();
    rig.say("web", "A", "one");
    let absent = || Err(Status { code: 0, ..Status::bad_request("connection refused") });
    let Verdict::RetryAfter(delay) = rig.answer(absent()) else { panic!("a retry") };
    assert!(delay < SLEEP && rig.sent.len() == 1);
    rig.now = rig.now + delay;
    rig.pump();
    for _ in 0..10 {
        assert_eq!(rig.answer(absent()), Verdict::RetryAfter(SLEEP));
        rig.now = rig.now + SLEEP;
        rig.pump();
    }
    assert_eq!((rig.sent.len(), rig.answer(absent())), (12, Verdict::Done));
    rig.say("web", "A", "two");
    assert_eq!(rig.answer(Err(Status::forbidden(Kind::Event, "x", "no"))), Verdict::Done);
    assert_eq!(rig.sent.len(), 13);
}

#[test]
fn names_of_one_instant_differ_and_fit() {
    let mut recorder = Recorder::new("x", "");
    assert_ne!(recorder.stamp(Instant::START), recorder.stamp(Instant::START));
    assert_eq!(event_name("web", 0x1234), "web.1234");
    assert_eq!(event_name(&"x".repeat(250), 0x1234).len(), 36);
}

#[test]
fn cluster_scoped_objects_have_their_events_in_default() {
    let mut rig = older();
    let mut out = Effects::new(rig.now, RecordId(0), 1, Vec::new());
    let node = ObjectReference {
        kind: Kind::Node,
        namespace: "".into(),
        name: "worker-1".into(),
        uid: Uid(1),
        resource_version: 0,
        field_path: None,
    };
    rig.recorder.record(Agent::NodeController, node, EventType::Normal, "R", "m".into(), &mut out);
    rig.pump();
    assert_eq!(&*rig.sent[0].key.namespace, "default");
}

#[test]
fn the_newer_generation_counts_repeats_in_a_series_and_sends_at_once() {
    let mut rig = Rig::new(Recorder::newer("default-scheduler", "control-plane"));
    rig.say("a", "FailedScheduling", "one");
    rig.say("b", "FailedScheduling", "one");
    assert_eq!((rig.sent.len(), rig.last().1), (2, 0));
    rig.say("a", "FailedScheduling", "another text");
    assert_eq!((rig.last().0, rig.last().1), ("patch", 2));
    rig.say("a", "FailedScheduling", "one");
    assert_eq!(rig.sent.len(), 3);
    rig.now = Instant::from_nanos(400_000_000_000);
    rig.say("a", "FailedScheduling", "one");
    assert_eq!((rig.sent.len(), rig.last().0), (4, "create"));
}
