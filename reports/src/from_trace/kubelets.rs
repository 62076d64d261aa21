//! The kubelets' lanes, one per node: sandboxes, image pulls, starts and stops of containers; tinted while the API server has the
//! node as not ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_engine::Setup;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{ConditionStatus, EventType, Key, Kind};
use wavetank_engine::setup::NodeSpec;
use wavetank_engine::trace::note::{Change, PodStep};
use wavetank_engine::trace::{Record, What};

use super::drawing::{Drawing, Window};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

pub(super) struct Kubelets {
    drawings: Vec<Drawing>,
    nodes: Vec<OnLane>,
    pods: BTreeMap<(u32, Key), PodOnNode>,
}

/// What the API server says of a node.
#[derive(Clone)]
struct OnLane {
    name: String,
    /// Not ready since then; one that never was does not count.
    failing: Option<Instant>,
    was_ready: bool,
    cordoned: bool,
    /// Under pressure since then, as its kubelet tells people.
    pressed: BTreeMap<&'static str, Instant>,
}

/// The events by which pressure begins and ends, and what it is called.
const PRESSURES: [(&str, &str, &str); 3] = [
    ("NodeHasInsufficientMemory", "NodeHasSufficientMemory", "MemoryPressure"),
    ("NodeHasDiskPressure", "NodeHasNoDiskPressure", "DiskPressure"),
    ("NodeHasInsufficientPID", "NodeHasSufficientPID", "PIDPressure"),
];

/// What is under way for a pod.
#[derive(Default)]
struct PodOnNode {
    sandbox: Option<Instant>,
    pulls: BTreeMap<Arc<str>, Instant>,
    /// The container that is being created or started: since when.
    starting: Option<Instant>,
    kills: BTreeMap<Arc<str>, Instant>,
    /// When the last step ended that the creation of a container follows at once.
    ready_to_create: Option<Instant>,
}

impl Kubelets {
    pub fn new(window: Window, setup: &Setup) -> Self {
        let drawing = |name: &str| Drawing::new(window, format!("kubelet {name}"), LaneGroup::Node);
        let on_lane = |node: &NodeSpec| OnLane {
            name: node.name.to_string(),
            failing: None,
            was_ready: false,
            cordoned: false,
            pressed: BTreeMap::new(),
        };
        Kubelets {
            drawings: setup.nodes.iter().map(|node| drawing(&node.name)).collect(),
            nodes: setup.nodes.iter().map(on_lane).collect(),
            pods: BTreeMap::new(),
        }
    }

    pub fn take(&mut self, record: &Record) {
        let (note, at) = (&record.note, record.at);
        if let (What::Committed { change, .. }, Some((Kind::Node, key))) = (&note.what, &note.object) {
            return self.node_changed(at, change, key);
        }
        let Agent::Kubelet(node) = note.by else { return };
        let Some(drawing) = self.drawings.get_mut(node as usize) else { return };
        match (&note.what, &note.object) {
            (What::Pod { step, detail }, Some((_, key))) => {
                let pod = self.pods.entry((node, key.clone())).or_default();
                pod.step(at, *step, detail, key, drawing);
                if *step == PodStep::Terminated {
                    self.pods.remove(&(node, key.clone()));
                }
            }
            (What::Event { kind: EventType::Normal, .. }, Some((Kind::Pod, _))) => {}
            (What::Event { reason, .. }, Some((Kind::Node, _))) => {
                drawing.tick(at, TickKind::Event, reason);
                self.pressure_changed(at, node as usize, reason);
            }
            (What::Event { reason, .. }, _) => drawing.tick(at, TickKind::Event, reason),
            (What::Ended { .. }, _) => self.broke_off(at, node),
            (What::Started, _) => drawing.tick(at, TickKind::Other, "started"),
            _ => {}
        }
    }

    /// A kubelet says that its node is short of something, or is not any more.
    fn pressure_changed(&mut self, at: Instant, node: usize, reason: &str) {
        let (Some(on_lane), Some(drawing)) = (self.nodes.get_mut(node), self.drawings.get_mut(node)) else { return };
        for (begins, ends, name) in PRESSURES {
            if reason == begins {
                on_lane.pressed.entry(name).or_insert(at);
            } else if reason == ends
                && let Some(since) = on_lane.pressed.remove(name)
            {
                drawing.span(since, at, SpanKind::Outage, name);
            }
        }
    }

    /// A kubelet has ended, and with it what it was about to do.
    fn broke_off(&mut self, at: Instant, node: u32) {
        let Some(drawing) = self.drawings.get_mut(node as usize) else { return };
        for (_, pod) in self.pods.iter_mut().filter(|((on, _), _)| *on == node) {
            for (image, since) in std::mem::take(&mut pod.pulls) {
                drawing.span(since, at, SpanKind::Image, short_image(&image));
            }
        }
    }

    /// A node is not ready, or ready again, or cordoned: its lane shows it.
    fn node_changed(&mut self, at: Instant, change: &Change, key: &Key) {
        let Some(place) = self.nodes.iter().position(|node| *node.name == *key.name) else { return };
        let (node, drawing) = (&mut self.nodes[place], &mut self.drawings[place]);
        let (condition, schedulable) = match change {
            Change::Node { condition, schedulable, .. } => (*condition, *schedulable),
            Change::Deleted => {
                drawing.tick(at, TickKind::Error, "node deleted");
                return;
            }
            _ => return,
        };
        let ready = condition == ConditionStatus::True;
        if ready && let Some(since) = node.failing.take() {
            drawing.span(since, at, SpanKind::Outage, "NotReady");
            drawing.tick(at, TickKind::Other, "Ready");
        } else if !ready && node.was_ready && node.failing.is_none() {
            node.failing = Some(at);
            drawing.tick(at, TickKind::Error, "NotReady");
        }
        node.was_ready |= ready;
        if node.cordoned == schedulable {
            node.cordoned = !schedulable;
            drawing.tick(at, TickKind::Other, if schedulable { "uncordoned" } else { "cordoned" });
        }
    }

    pub fn finish(mut self) -> Vec<Lane> {
        for (node, drawing) in self.nodes.iter().zip(&mut self.drawings) {
            if let Some(since) = node.failing {
                drawing.open_span(since, SpanKind::Outage, "NotReady");
            }
            for (name, since) in &node.pressed {
                drawing.open_span(*since, SpanKind::Outage, name);
            }
        }
        for ((node, key), pod) in &mut self.pods {
            let Some(drawing) = self.drawings.get_mut(*node as usize) else { continue };
            let end = drawing.window.end;
            pod.end_starting(end, key, drawing);
            pod.end_stopping(end, key, drawing);
        }
        self.drawings.into_iter().map(Drawing::finish).collect()
    }
}

impl PodOnNode {
    fn step(&mut self, at: Instant, step: PodStep, detail: &Arc<str>, key: &Key, drawing: &mut Drawing) {
        let ready_to_create = self.ready_to_create.take();
        match step {
            PodStep::Seen => drawing.tick(at, TickKind::Watch, &key.name),
            PodStep::Admitted => self.sandbox = Some(at),
            PodStep::SandboxReady => {
                if let Some(start) = self.sandbox.take() {
                    drawing.span(start, at, SpanKind::Container, &sandbox(key));
                }
                self.ready_to_create = Some(at);
            }
            PodStep::PullStarted => {
                self.pulls.insert(detail.clone(), at);
            }
            PodStep::Pulled | PodStep::PullFailed => {
                if let Some((image, start)) = take(&mut self.pulls, detail) {
                    drawing.span(start, at, SpanKind::Image, short_image(&image));
                }
                if step == PodStep::PullFailed {
                    drawing.tick(at, TickKind::Error, "pull failed");
                } else {
                    self.ready_to_create = Some(at);
                }
            }
            PodStep::ContainerCreated => self.starting = Some(ready_to_create.unwrap_or(at)),
            PodStep::ContainerStarted => {
                if let Some(start) = self.starting.take() {
                    drawing.span(start, at, SpanKind::Container, format!("start {detail}").trim_end());
                }
                self.ready_to_create = Some(at);
            }
            PodStep::ContainerReady => drawing.tick(at, TickKind::Other, "ready"),
            PodStep::ContainerExited => match self.kills.remove(detail) {
                Some(start) => drawing.span(start, at, SpanKind::Container, &stop(detail, key)),
                None if self.kills.is_empty() => drawing.tick(at, TickKind::Other, "exited"),
                None => {}
            },
            PodStep::Killing => {
                if detail.is_empty() {
                    // The whole pod: what was on the way to start is given up.
                    self.end_starting(at, key, drawing);
                }
                self.kills.entry(detail.clone()).or_insert(at);
            }
            PodStep::Terminated => self.end_stopping(at, key, drawing),
        }
    }

    fn end_starting(&mut self, at: Instant, key: &Key, drawing: &mut Drawing) {
        if let Some(start) = self.sandbox.take() {
            drawing.span(start, at, SpanKind::Container, &sandbox(key));
        }
        for (image, start) in std::mem::take(&mut self.pulls) {
            drawing.span(start, at, SpanKind::Image, short_image(&image));
        }
        if let Some(start) = self.starting.take() {
            drawing.span(start, at, SpanKind::Container, "start");
        }
    }

    fn end_stopping(&mut self, at: Instant, key: &Key, drawing: &mut Drawing) {
        for (container, start) in std::mem::take(&mut self.kills) {
            drawing.span(start, at, SpanKind::Container, &stop(&container, key));
        }
    }
}

/// Takes the entry of this name, or any if there is none of it.
fn take(open: &mut BTreeMap<Arc<str>, Instant>, name: &Arc<str>) -> Option<(Arc<str>, Instant)> {
    open.remove_entry(name).or_else(|| open.pop_first())
}

fn sandbox(key: &Key) -> String {
    format!("sandbox {}", key.name)
}

/// Of one container, or of the whole pod.
fn stop(container: &str, key: &Key) -> String {
    format!("stop {}", if container.is_empty() { &key.name } else { container })
}

/// An image without its registry and path.
fn short_image(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}
