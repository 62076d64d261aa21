//! Two candidates and a Lease.
use super::*;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::request::{Answer, Body, Request, Verb};
use crate::apiserver::status::Status;
use crate::event::Event;
use crate::kernel::out::RecordId;
use crate::kernel::{Action, Endpoint};
use crate::profiles;
use std::sync::Arc;

struct Rig {
    setup: Setup,
    now: Instant,
    lease: Option<Lease>,
    version: u64,
    up: bool,
    requests: usize,
}

struct Candidate {
    election: LeaderElection,
    connection: Connection,
}

impl Candidate {
    fn new(identity: &str) -> Self {
        Candidate {
            election: LeaderElection::new(Agent::ControllerManager(0), Election::of("kcm"), identity.into()),
            connection: Connection::new(Endpoint::ControllerManager(0), 0, 0),
        }
    }
}

impl Rig {
    fn new() -> Self {
        Rig {
            setup: Setup::new(1, 1, 1, profiles::laptop()),
            now: Instant::START,
            lease: None,
            version: 0,
            up: true,
            requests: 0,
        }
    }

    /// Lets a candidate act until `end`; its first turn that is not `Same`.
    fn run(&mut self, candidate: &mut Candidate, end: Instant) -> Turn {
        let mut turn = Turn::Same;
        while candidate.election.due() <= end && turn == Turn::Same {
            self.now = self.now.max(candidate.election.due());
            let mut out = Effects::new(self.now, RecordId(0), 1, Vec::new());
            turn = candidate.election.tick(&mut candidate.connection, &self.setup, &mut out);
            let mut actions = out.into_actions();
            while let Some(Action::Send { event: Event::ApiServer(_, ApiServerEvent::Request(request)), .. }) =
                actions.pop()
            {
                self.requests += 1;
                if !self.up {
                    continue;
                }
                let outcome = self.serve(&request);
                let mut out = Effects::new(self.now, RecordId(0), 1, Vec::new());
                let Candidate { election, connection } = &mut *candidate;
                let step = election.reply(request.number, &outcome, connection, &self.setup, &mut out);
                turn = step.expect("its own reply");
                actions = out.into_actions();
            }
        }
        self.now = self.now.max(end);
        turn
    }

    fn serve(&mut self, request: &Request) -> Outcome {
        let known = self.lease.clone();
        match (request.verb, &request.body, known) {
            (Verb::Get, _, Some(lease)) => Ok(Answer::Object(Arc::new(Object::Lease(lease)))),
            (Verb::Create, Body::Object(object), None) => Ok(self.store(object)),
            (Verb::Update, Body::Object(object), Some(lease))
                if object.meta().resource_version == lease.meta.resource_version =>
            {
                Ok(self.store(object))
            }
            (Verb::Update, _, Some(_)) => Err(Status::modified(Kind::Lease, "kcm")),
            _ => Err(Status::not_found(Kind::Lease, "kcm")),
        }
    }

    fn store(&mut self, object: &Object) -> Answer {
        let Object::Lease(lease) = object else { panic!("a lease") };
        self.version += 1;
        let mut lease = lease.clone();
        lease.meta.resource_version = self.version;
        self.lease = Some(lease.clone());
        Answer::Object(Arc::new(Object::Lease(lease)))
    }
}

fn at(seconds: u64) -> Instant {
    Instant::START + Duration::from_secs(seconds)
}

#[test]
fn the_leader_renews_every_two_seconds_with_one_request() {
    let (mut rig, mut a) = (Rig::new(), Candidate::new("a"));
    assert_eq!(rig.run(&mut a, at(0)), Turn::Won);
    assert_eq!(rig.requests, 2);
    assert_eq!(rig.run(&mut a, at(20)), Turn::Same);
    assert_eq!((rig.requests, rig.lease.as_ref().map(|lease| lease.renewed)), (12, Some(at(20))));
}

#[test]
fn another_takes_over_15_seconds_after_it_last_saw_a_change() {
    let (mut rig, mut a, mut b) = (Rig::new(), Candidate::new("a"), Candidate::new("b"));
    assert_eq!(rig.run(&mut a, at(0)), Turn::Won);
    assert_eq!(rig.run(&mut a, at(8)), Turn::Same);
    // `a` dies here; `b` has never seen the lease before and waits its whole length.
    assert_eq!(rig.run(&mut b, at(22)), Turn::Same);
    let taken = (23..=29).find(|second| rig.run(&mut b, at(*second)) == Turn::Won);
    assert!(taken.is_some(), "not taken until 29 s");
    let lease = rig.lease.clone().expect("a lease");
    assert_eq!((&*lease.holder, lease.transitions, lease.acquired), ("b", 1, Some(lease.renewed)));
}

#[test]
fn a_leader_gives_up_ten_seconds_after_its_renewal_was_due() {
    let (mut rig, mut a) = (Rig::new(), Candidate::new("a"));
    rig.run(&mut a, at(0));
    rig.up = false;
    assert_eq!(rig.run(&mut a, at(11)), Turn::Same);
    assert_eq!(rig.run(&mut a, at(12)), Turn::Lost);
    assert!(!a.election.leading());
}

#[test]
fn an_optimistic_renewal_that_meets_another_version_reads_first() {
    let (mut rig, mut a) = (Rig::new(), Candidate::new("a"));
    rig.run(&mut a, at(0));
    if let Some(lease) = &mut rig.lease {
        lease.meta.resource_version = 77;
    }
    let before = rig.requests;
    assert_eq!(rig.run(&mut a, at(2)), Turn::Same);
    assert_eq!(rig.requests - before, 3);
    assert!(a.election.leading());
}
