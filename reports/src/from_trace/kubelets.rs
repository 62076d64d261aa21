//! The kubelets' lanes, one per node: sandboxes, image pulls, starts and stops of containers.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_engine::Setup;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{EventType, Key, Kind};
use wavetank_engine::trace::note::PodStep;
use wavetank_engine::trace::{Record, What};

use super::drawing::{Drawing, Window};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

pub(super) struct Kubelets {
    drawings: Vec<Drawing>,
    pods: BTreeMap<(u32, Key), PodOnNode>,
}

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
        Kubelets { drawings: setup.nodes.iter().map(|node| drawing(&node.name)).collect(), pods: BTreeMap::new() }
    }

    pub fn take(&mut self, record: &Record) {
        let (note, at) = (&record.note, record.at);
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
            (What::Event { reason, .. }, _) => drawing.tick(at, TickKind::Event, reason),
            (What::Started, _) => drawing.tick(at, TickKind::Other, "started"),
            _ => {}
        }
    }

    pub fn finish(mut self) -> Vec<Lane> {
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
