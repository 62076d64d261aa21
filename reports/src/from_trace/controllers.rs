//! The controllers' lanes: a span per key they work on, a tick per Event. Those of deployments and replica sets are
//! always there, the others if they do something.

use std::collections::BTreeMap;

use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::trace::{Record, What};

use super::drawing::{Drawing, Window, failure};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

const ALWAYS: [Agent; 2] = [Agent::DeploymentController, Agent::ReplicaSetController];
const IF_BUSY: [Agent; 4] =
    [Agent::ServiceAccountController, Agent::RootCaCertPublisher, Agent::NodeController, Agent::ControllerManager];

pub(super) struct Controllers {
    drawings: Vec<(Agent, Drawing)>,
    /// What is being worked on: a key is never worked on twice at the same time.
    busy: BTreeMap<(Agent, Option<(Kind, Key)>), Instant>,
}

impl Controllers {
    pub fn new(window: Window) -> Self {
        let drawing = |agent: Agent| (agent, Drawing::new(window, agent.name(), LaneGroup::Controller));
        Controllers { drawings: ALWAYS.into_iter().chain(IF_BUSY).map(drawing).collect(), busy: BTreeMap::new() }
    }

    pub fn take(&mut self, record: &Record) {
        let note = &record.note;
        let Some((_, drawing)) = self.drawings.iter_mut().find(|(agent, _)| *agent == note.by) else { return };
        if matches!(note.object, Some((Kind::Lease, _))) {
            return;
        }
        match &note.what {
            What::Reconcile => {
                self.busy.insert((note.by, note.object.clone()), record.at);
            }
            What::Reconciled { error } => {
                if let Some(start) = self.busy.remove(&(note.by, note.object.clone())) {
                    drawing.span(start, record.at, SpanKind::Reconcile, &name(&note.object));
                }
                if !error.is_empty() {
                    drawing.tick(record.at, failure(error), error);
                }
            }
            What::Event { reason, .. } => drawing.tick(record.at, TickKind::Event, reason),
            What::Started => drawing.tick(record.at, TickKind::Other, "started"),
            What::Leading => drawing.tick(record.at, TickKind::Other, "leads"),
            _ => {}
        }
    }

    pub fn finish(mut self) -> Vec<Lane> {
        for ((agent, object), start) in &self.busy {
            if let Some((_, drawing)) = self.drawings.iter_mut().find(|(other, _)| other == agent) {
                drawing.open_span(*start, SpanKind::Reconcile, &name(object));
            }
        }
        let shown = |(agent, drawing): &(Agent, Drawing)| ALWAYS.contains(agent) || !drawing.is_empty();
        self.drawings.into_iter().filter(shown).map(|(_, drawing)| drawing.finish()).collect()
    }
}

fn name(object: &Option<(Kind, Key)>) -> String {
    object.as_ref().map_or_else(String::new, |(_, key)| key.to_string())
}
