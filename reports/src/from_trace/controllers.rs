//! The controllers' lanes: a span per key they work on, a tick per Event. Those of deployments and replica sets are
//! always there, the others if they do something: of their looks at an object only those count that led to a
//! request, an Event or an error, for every heartbeat of a node makes them look.

use std::collections::BTreeMap;

use wavetank_engine::Setup;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::trace::jsonl::agent_name;
use wavetank_engine::trace::{Record, What};

use super::drawing::{Drawing, Window, failure};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

const ALWAYS: [Agent; 2] = [Agent::DeploymentController, Agent::ReplicaSetController];
const IF_BUSY: [Agent; 19] = [
    Agent::StatefulSetController,
    Agent::DaemonSetController,
    Agent::CronJobController,
    Agent::JobController,
    Agent::TtlAfterFinishedController,
    Agent::HorizontalPodAutoscaler,
    Agent::EndpointController,
    Agent::EndpointSliceController,
    Agent::DisruptionController,
    Agent::GarbageCollector,
    Agent::NamespaceController,
    Agent::ResourceQuotaController,
    Agent::ServiceAccountController,
    Agent::RootCaCertPublisher,
    Agent::NodeController,
    Agent::TaintEvictionController,
    Agent::PodGarbageCollector,
    Agent::PersistentVolumeBinder,
    Agent::PvcProtectionController,
];

pub(super) struct Controllers {
    drawings: Vec<(Agent, Drawing)>,
    /// What is being worked on: a key is never worked on twice at the same time.
    busy: BTreeMap<(Agent, Option<(Kind, Key)>), Instant>,
    /// When each last asked for something or said something.
    active: BTreeMap<Agent, Instant>,
}

impl Controllers {
    pub fn new(window: Window, setup: &Setup) -> Self {
        let drawing = |agent: Agent| (agent, Drawing::new(window, agent_name(setup, agent), LaneGroup::Controller));
        let processes = (0..setup.controller_managers).map(Agent::ControllerManager);
        let processes = processes.chain((0..setup.custom.len() as u8).map(Agent::Custom));
        Controllers {
            drawings: ALWAYS.into_iter().chain(IF_BUSY).chain(processes).map(drawing).collect(),
            busy: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    pub fn take(&mut self, record: &Record) {
        let note = &record.note;
        if let What::Request { from, verb, .. } = note.what
            && verb.mutating()
        {
            self.active.insert(from, record.at);
        }
        let Some((_, drawing)) = self.drawings.iter_mut().find(|(agent, _)| *agent == note.by) else { return };
        if matches!(note.object, Some((Kind::Lease, _))) {
            return;
        }
        match &note.what {
            What::Reconcile => {
                self.busy.insert((note.by, note.object.clone()), record.at);
            }
            What::Reconciled { error } => {
                let start = self.busy.remove(&(note.by, note.object.clone()));
                if let Some(start) = start
                    && (!error.is_empty() || counts(note.by, start, &self.active))
                {
                    drawing.span(start, record.at, SpanKind::Reconcile, &name(&note.object));
                }
                if !error.is_empty() {
                    drawing.tick(record.at, failure(error), error);
                }
            }
            // An autoscaler's decision says more than its event does.
            What::Scaling(scaling) if scaling.replicas != scaling.current => {
                let name = note.object.as_ref().map_or("", |(_, key)| &key.name);
                drawing.tick(record.at, TickKind::Event, &format!("{name} {} → {}", scaling.current, scaling.replicas));
            }
            What::Event { reason, .. } if &**reason == "SuccessfulRescale" => {
                self.active.insert(note.by, record.at);
            }
            What::Event { reason, .. } => {
                self.active.insert(note.by, record.at);
                drawing.tick(record.at, TickKind::Event, reason);
            }
            What::Started => drawing.tick(record.at, TickKind::Other, "started"),
            What::Leading => drawing.tick(record.at, TickKind::Other, "leads"),
            _ => {}
        }
    }

    pub fn finish(mut self) -> Vec<Lane> {
        for ((agent, object), start) in &self.busy {
            let drawing = self.drawings.iter_mut().find(|(other, _)| other == agent);
            if let Some((_, drawing)) = drawing
                && counts(*agent, *start, &self.active)
            {
                drawing.open_span(*start, SpanKind::Reconcile, &name(object));
            }
        }
        let shown = |(agent, drawing): &(Agent, Drawing)| ALWAYS.contains(agent) || !drawing.is_empty();
        self.drawings.into_iter().filter(shown).map(|(_, drawing)| drawing.finish()).collect()
    }
}

/// Whether a controller's work that began at `start` is worth a span.
fn counts(agent: Agent, start: Instant, active: &BTreeMap<Agent, Instant>) -> bool {
    ALWAYS.contains(&agent) || active.get(&agent).is_some_and(|last| *last >= start)
}

fn name(object: &Option<(Kind, Key)>) -> String {
    object.as_ref().map_or_else(String::new, |(_, key)| key.to_string())
}
