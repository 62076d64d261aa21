//! The election of a controller of one's own: its caches fill whether or not it leads, its workers work only when it does.
//!
//! Models: sigs.k8s.io/controller-runtime v0.24 pkg/manager (LeaderElectionReleaseOnCancel off), client-go's leaderelection.

use super::{CustomController, CustomEvent};
use crate::apiserver::request::Reply;
use crate::client::leader::{Election, LAST_WORDS, LeaderElection, Turn};
use crate::event::Effects;
use crate::kernel::Instant;
use crate::objects::Uid;
use crate::objects::event::EventType;
use crate::setup::Setup;
use crate::trace::{Note, What};

impl CustomController {
    /// Whether its workers may work: it leads, or there is no election.
    pub fn leading(&self) -> bool {
        self.running && self.election.as_ref().is_none_or(LeaderElection::leading)
    }

    /// It stands for election, if it does at all.
    pub(super) fn stand(&mut self, setup: &Setup, out: &mut Effects) {
        if !self.spec.elects {
            return;
        }
        let place = u64::from(self.number) << 56 | out.now().as_nanos();
        let mut luck = setup.luck(&self.spec.name, "identity", "", place);
        let uid = Uid::random(u128::from(luck.bits()) << 64 | u128::from(luck.bits()));
        let name = self.process_name();
        let host = name.rsplit('/').next().unwrap_or_default();
        let identity = format!("{host}_{uid}").into();
        self.election = Some(LeaderElection::new(self.agent(), Election::of(&self.spec.name), identity));
        self.elect(setup, out);
    }

    pub(super) fn elect(&mut self, setup: &Setup, out: &mut Effects) {
        if let Some(election) = &mut self.election {
            let due = election.due();
            let turn = election.tick(&mut self.connection, setup, out);
            self.turned(turn, due, setup, out);
        }
    }

    /// A reply; whether it was one to the election.
    pub(super) fn elected(&mut self, reply: &Reply, setup: &Setup, out: &mut Effects) -> bool {
        let Some(election) = &mut self.election else { return false };
        let due = election.due();
        let turn = election.reply(reply.number, &reply.result, &mut self.connection, setup, out);
        if let Some(turn) = turn {
            self.turned(turn, due, setup, out);
        }
        turn.is_some()
    }

    /// The election went a step on; it was due at `due` before.
    fn turned(&mut self, turn: Turn, due: Instant, setup: &Setup, out: &mut Effects) {
        let Some(election) = &self.election else { return };
        if election.due() != due && turn != Turn::Lost {
            out.at(election.due(), self.event(CustomEvent::Elect));
        }
        let (lease, identity, agent) = (election.reference(), election.identity().clone(), self.agent());
        let words = match turn {
            Turn::Same | Turn::Ended => return,
            Turn::Won => "became leader",
            Turn::Lost => "stopped leading",
        };
        if turn == Turn::Won {
            out.note(Note::new(agent, What::Leading));
        }
        let message = format!("{identity} {words}").into();
        self.recorder.record(agent, lease, EventType::Normal, "LeaderElection", message, out);
        self.tell(out);
        match turn {
            Turn::Won => self.work(setup, out),
            _ => out.after(LAST_WORDS, self.event(CustomEvent::Exit)),
        }
    }
}
