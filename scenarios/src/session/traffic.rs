//! Requests to Services: whom a script means, and what became of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::proxy::route::{self, Unreachable};
use wavetank_engine::trace::note::TrafficStep;
use wavetank_engine::trace::{Record, What, jsonl};
use wavetank_engine::traffic::{Flow, FlowSpec, Loss};

use super::{Nanos, Session};
use crate::script::{duration, hints};
use crate::spec::traffic::TrafficSpec;

/// A stretch of time in which requests were lost.
#[derive(Clone, Debug, PartialEq)]
pub struct LossWindow {
    /// When the first was noticed. [ns since the script's time zero]
    pub at: Nanos,
    /// From the first to the last; `None` while it goes on. [ns]
    pub lasted: Option<Nanos>,
    /// How many, by [`Loss`]; none while it goes on.
    pub lost: [u64; 4],
    /// Why the first was.
    pub why: Loss,
    /// The pod at which it was; empty if it came to none.
    pub pod: String,
    /// What caused it: who did what, from the nearest to the farthest.
    pub because: Vec<String>,
}

impl Session {
    /// Sends requests to a Service like `service/web` or `shop:service/web` from now on; the number of the flow.
    ///
    /// # Errors
    /// When there is no such Service or node, or requests cannot come to it in this way.
    pub(crate) fn start_traffic(&mut self, target: &str, spec: TrafficSpec) -> Result<usize, String> {
        let (namespace, object) = target.split_once(':').unwrap_or(("default", target));
        let wrong =
            || format!("requests go to a Service like \"service/web\", or \"shop:service/web\", not to \"{target}\"");
        let (resource, name) = object.split_once('/').ok_or_else(wrong)?;
        if super::kind_of(resource, &[])? != Kind::Service {
            return Err(wrong());
        }
        let key = Key::new(namespace, name);
        self.check_service(&key, &spec)?;
        let nodes = self.nodes_named(&spec.nodes)?;
        let names: BTreeSet<String> = self.flows().iter().map(|flow| flow.spec.name.to_string()).collect();
        let wished = spec.name.clone().unwrap_or_else(|| name.to_owned());
        let free = (2..).map(|n| format!("{wished}-{n}"));
        let name = [wished.clone()].into_iter().chain(free).find(|name| !names.contains(name));
        let flow = FlowSpec {
            name: name.unwrap_or(wished).into(),
            service: key,
            port: spec.port.as_deref().map(Arc::from),
            nodes: nodes.into(),
            outside: spec.outside,
            every: spec.every,
            arrivals: spec.arrivals,
            link: spec.link,
            service_time: spec.service_time,
            concurrency: spec.concurrency,
            queue: spec.queue,
            timeout: spec.timeout,
            retries: spec.retries,
            keep_alive: spec.keep_alive,
        };
        Ok(self.world.start_traffic(flow) as usize)
    }

    /// Sends no more requests of a flow.
    pub fn stop_traffic(&mut self, flow: usize) {
        self.world.stop_traffic(flow as u32);
    }

    /// All flows as they stand now.
    pub fn flows(&self) -> Vec<Flow> {
        self.world.traffic().map(|traffic| traffic.flows().to_vec()).unwrap_or_default()
    }

    fn check_service(&self, key: &Key, spec: &TrafficSpec) -> Result<(), String> {
        let known = self.world.objects(Kind::Service);
        let name = &*key.name;
        let Some(service) = known.iter().find(|object| object.key() == *key) else {
            let names = known.iter().filter(|object| object.meta().namespace == key.namespace);
            let hint = hints::did_you_mean(name, names.map(|object| &*object.meta().name)).unwrap_or_default();
            return Err(format!("there is no service `{name}` in the namespace `{}`\n{hint}", key.namespace));
        };
        route::reachable(service, spec.port.as_deref(), spec.outside).map_err(|why| match why {
            Unreachable::Foreign => format!("the service `{name}` is a name of something outside the cluster"),
            Unreachable::Headless => {
                format!("the service `{name}` is headless: its clients ask DNS for pods, and no kube-proxy")
            }
            Unreachable::FromOutside => format!(
                "the service `{name}` cannot be reached from outside\ngive it the type NodePort or LoadBalancer"
            ),
            Unreachable::Port(ports) => {
                let port = spec.port.as_deref().unwrap_or("any");
                format!("the service `{name}` has no port {port}; it has {}", ports.join(", "))
            }
        })
    }

    fn nodes_named(&self, names: &[String]) -> Result<Vec<u32>, String> {
        let known = &self.world.setup().nodes;
        if names.is_empty() {
            return Ok((0..known.len() as u32).collect());
        }
        let place = |name: &String| {
            let place = known.iter().position(|spec| *spec.name == **name);
            place.map(|place| place as u32).ok_or_else(|| {
                let hint = hints::did_you_mean(name, known.iter().map(|spec| &*spec.name)).unwrap_or_default();
                format!("there is no node `{name}`\n{hint}")
            })
        };
        names.iter().map(place).collect()
    }

    /// When requests of a flow were lost, and why.
    pub fn losses(&self, flow: usize) -> Vec<LossWindow> {
        let Some(name) = self.flows().get(flow).map(|flow| flow.spec.name.clone()) else { return Vec::new() };
        let mut windows: Vec<(RecordId, LossWindow)> = Vec::new();
        for record in self.world.trace().records() {
            let What::Traffic(passing) = &record.note.what else { continue };
            if passing.flow != name {
                continue;
            }
            match (passing.step, passing.why) {
                (TrafficStep::Loses, Some(why)) => {
                    let at = record.at.since(self.zero).as_nanos();
                    let because = self.because(record);
                    let pod = passing.at.to_string();
                    windows.push((record.id, LossWindow { at, lasted: None, lost: [0; 4], why, pod, because }));
                }
                (TrafficStep::Lost, _) => {
                    if let Some((_, window)) = windows.iter_mut().rev().find(|(id, _)| *id == record.cause) {
                        (window.lasted, window.lost) = (Some(passing.lasted.as_nanos()), passing.lost);
                    }
                }
                _ => {}
            }
        }
        windows.into_iter().map(|(_, window)| window).collect()
    }

    /// What a record goes back to, as far as it says something to people.
    fn because(&self, record: &Record) -> Vec<String> {
        let causes = self.world.trace().causes(record.id);
        let setup = self.world.setup();
        let told = causes.iter().filter(|cause| cause.id != record.id).filter_map(|cause| {
            let by = jsonl::agent_name(setup, cause.note.by);
            let about = cause.note.object.as_ref().map(|(_, key)| format!(" {key}")).unwrap_or_default();
            Some(match &cause.note.what {
                What::Pod { step, .. } => format!("{by}:{about} {}", step.as_str()),
                What::Ended { how } => format!("{by} {}", how.as_str()),
                What::Rules { .. } => format!("{by}: rules written"),
                What::Command { line } => format!("{by}: {line}"),
                What::FaultBegan { fault } => fault.to_string(),
                What::Traffic(_) => format!("{by} begins"),
                _ => return None,
            })
        });
        let mut all: Vec<String> = told.collect();
        all.dedup();
        all
    }
}

/// A flow in a line, for the end of a transcript.
pub fn summary(flow: &Flow) -> String {
    let tally = &flow.tally;
    let service = &flow.spec.service;
    let mut text =
        format!("traffic {} → service/{}: {} sent, {} served", flow.spec.name, service.name, tally.sent, tally.served);
    let by_cause: Vec<String> = Loss::ALL
        .into_iter()
        .zip(tally.lost)
        .filter(|(_, count)| *count > 0)
        .map(|(why, count)| format!("{} {count}", why.as_str()))
        .collect();
    text += &match by_cause.is_empty() {
        true => ", none lost".to_owned(),
        false => format!(", {} lost ({})", tally.lost(), by_cause.join(", ")),
    };
    if tally.in_flight() > 0 {
        text += &format!(", {} under way", tally.in_flight());
    }
    if tally.retried > 0 {
        text += &format!(", tried again {} times", tally.retried);
    }
    let quantile = |parts| flow.latency.quantile(parts).map(|took| duration::text(took.as_nanos() / 100_000 * 100_000));
    if let (Some(p50), Some(p99)) = (quantile(500), quantile(990)) {
        text += &format!("; p50 {p50}, p99 {p99}");
    }
    if let Some(gap) = flow.gap {
        text += &format!("; longest gap {}", duration::text(gap.lasted.as_nanos() / 1_000_000 * 1_000_000));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Overrides;
    use crate::spec::traffic::traffic;
    use serde_json::json;

    #[test]
    fn who_cannot_be_asked_is_told_why() {
        let spec = json!({"nodes": 2});
        let mut session = Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        let mut ask = |target: &str, map: serde_json::Value| {
            let spec = traffic(&map).unwrap_or_else(|error| panic!("{error}"));
            session.start_traffic(target, spec).err().unwrap_or_default()
        };
        assert!(ask("deployment/web", json!({})).contains("service/web"));
        assert!(ask("service/kubernets", json!({})).contains("kubernetes"));
        assert!(ask("service/kubernetes", json!({"from": "worker-9"})).contains("worker-1"));
        assert!(ask("service/kubernetes", json!({"from": "outside"})).contains("NodePort"));
        assert!(ask("service/kubernetes", json!({"port": 80})).contains("has no port 80; it has 443"));
    }
}
