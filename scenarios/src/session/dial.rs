//! From the API server on to a kubelet: what containers print, and commands in them.
//!
//! The API server has found the pod; it then connects to the kubelet of the pod's node, whose answer goes back through it. A kubelet that does
//! not run refuses; one that cannot be reached lets the API server wait until its dialler gives up.
//!
//! Models: kubernetes v1.36.2 pkg/registry/core/pod/{strategy.go,rest/log.go,rest/subresources.go} (LogLocation, ExecLocation),
//! pkg/kubelet/server/server.go (getContainerLogs).

use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_engine::World;
use wavetank_engine::kernel::{Duration, Endpoint, Instant};
use wavetank_engine::kubelet::exec::NotExecuted;
use wavetank_engine::objects::{Kind, Object, Uid, json as api_json};
use wavetank_engine::process::Process;

use super::programs::ExecRule;
use crate::kubectl::{ApiCall, LogStream};

/// The kubelet's port.
const PORT: u16 = 10250;
/// How long the API server tries to connect; Kubernetes: the kubelet client's dial timeout, 30 s.
const DIAL: Duration = Duration::from_secs(30);
/// How often a follower looks for news. A kubelet tells at once; this only says when it is shown.
pub(super) const FOLLOW: Duration = Duration::from_millis(250);

/// A request that the API server carries on to a kubelet.
#[derive(Clone)]
pub(super) struct Dial {
    pod: Arc<Object>,
    call: Box<ApiCall>,
    /// The answer and when it is there, once that is known.
    answer: Option<(Instant, Result<Value, Value>)>,
    waits: bool,
}

impl Dial {
    /// `pod` is what the API server knows of the pod.
    pub(super) fn new(pod: Arc<Object>, call: &ApiCall) -> Self {
        Dial { pod, call: Box::new(call.clone()), answer: None, waits: false }
    }

    /// When to look again.
    pub(super) fn timer(&mut self, number: u64, world: &World) -> Option<Instant> {
        if let Some((at, _)) = &self.answer {
            return Some(*at);
        }
        if std::mem::replace(&mut self.waits, true) {
            return None;
        }
        let setup = world.setup();
        let latency = setup.link(Endpoint::ApiServer(0), Endpoint::Kubelet(0));
        let draw = |way| setup.draw(latency, "kubectl", way, &self.pod.meta().name, number);
        Some(world.now() + draw("dial") + draw("dial-back"))
    }

    /// The time has come: the answer, or nothing yet.
    pub(super) fn look(&mut self, rules: &[ExecRule], world: &World) -> Option<Result<Value, Value>> {
        let now = world.now();
        if self.answer.is_none() {
            let (wait, answer) = self.ask(rules, world);
            self.answer = Some((now + wait, answer));
        }
        self.answer.take_if(|(at, _)| *at <= now).map(|(_, answer)| answer)
    }

    fn ask(&self, rules: &[ExecRule], world: &World) -> (Duration, Result<Value, Value>) {
        let logs = self.call.subresource.as_deref() == Some("log");
        let Some(pod) = self.pod.as_pod() else { return (Duration::ZERO, Err(status("", "no pod", 500))) };
        let node = pod.node.as_deref().unwrap_or_default();
        let Some(number) = number_of(world, node) else {
            return match logs {
                true => (Duration::ZERO, Ok(json!({"text": "", "over": true}))),
                false => {
                    let text = format!("pod {} does not have a host assigned", pod.meta.name);
                    (Duration::ZERO, Err(status("BadRequest", &text, 400)))
                }
            };
        };
        let body = self.call.body.as_ref();
        let container = body.and_then(|body| body["container"].as_str()).unwrap_or_default();
        if let Some((wait, why)) = unreachable(world, number) {
            let address = format!("{}:{PORT}", address(world, node));
            let why = format!("dial tcp {address}: {why}");
            let text = match logs {
                true => {
                    let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
                    format!("Get \"https://{address}/containerLogs/{namespace}/{name}/{container}\": {why}")
                }
                false => format!("error dialing backend: {why}"),
            };
            return (wait, Err(status("", &text, 500)));
        }
        match logs {
            true => (Duration::ZERO, self.logs(world, number, container)),
            false => self.exec(rules, world, number, container),
        }
    }

    fn logs(&self, world: &World, node: u32, container: &str) -> Result<Value, Value> {
        let (uid, now) = (self.pod.meta().uid, world.now());
        let empty = Value::Null;
        let options = self.call.body.as_ref().unwrap_or(&empty);
        let previous = options["previous"].as_bool() == Some(true);
        let Some(kubelet) = world.kubelets().get(node as usize) else { return Ok(json!({"text": "", "over": true})) };
        let mut lines = kubelet.logs(uid, container, previous, now).map_err(|text| status("BadRequest", &text, 400))?;
        if let Some(since) = options["sinceTime"].as_i64() {
            lines.retain(|(at, _)| super::unix(*at) >= since);
        }
        if let Some(tail) = options["tailLines"].as_u64() {
            lines.drain(..lines.len().saturating_sub(tail as usize));
        }
        let mut text = text(&lines, options["timestamps"].as_bool() == Some(true));
        if let Some(limit) = options["limitBytes"].as_u64() {
            let mut end = text.len().min(limit as usize);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        let over = previous || !kubelet.container_runs(uid, container);
        Ok(json!({"text": text, "over": over, "at": super::unix(now)}))
    }

    fn exec(&self, rules: &[ExecRule], world: &World, node: u32, container: &str) -> (Duration, Result<Value, Value>) {
        let command = self.call.body.as_ref().and_then(|body| body["command"].as_array());
        let command: Vec<String> = command.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let Some(kubelet) = world.kubelets().get(node as usize) else { return (Duration::ZERO, Ok(Value::Null)) };
        let uid = self.pod.meta().uid;
        let known = kubelet.exec(uid, container, &command, world.now());
        let refused = |text: String| (Duration::ZERO, Ok(json!({"refused": text})));
        if known == Err(NotExecuted::NoContainer) {
            let text = format!("unable to upgrade connection: container not found (\"{container}\")");
            return refused(format!("Internal error occurred: {text}"));
        }
        let line = command.join(" ");
        if let Some(rule) = rules.iter().rev().find(|rule| rule.command == line && rule.pods.has(world, uid)) {
            return (Duration::ZERO, Ok(json!({"output": rule.output, "code": rule.code})));
        }
        match known {
            Ok(executed) => (executed.takes, Ok(json!({"output": executed.output, "code": executed.code}))),
            Err(_) => {
                let first = command.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
                refused(format!(
                    "nobody has said what \"{line}\" does in container {container}, and containers execute nothing: say it with the \
                     pod's annotation wavetank.dev/exec.{first}, or in the script with on_exec(\"{}\", \"{line}\", \"output\")",
                    self.pod.meta().name
                ))
            }
        }
    }
}

/// What has come of streams since they were last looked at; `None` if nothing.
pub(super) fn news(streams: &[LogStream], world: &World) -> Option<Value> {
    let now = world.now();
    let mut any = false;
    let all = streams.iter().map(|stream| {
        let node = number_of(world, &stream.node).filter(|node| unreachable(world, *node).is_none());
        let kubelet = node.and_then(|node| world.kubelets().get(node as usize));
        let (Some(kubelet), Some(uid)) = (kubelet, Uid::parse(&stream.uid)) else {
            any = true;
            return json!({"text": "", "over": true});
        };
        let mut lines = kubelet.logs(uid, &stream.container, false, now).unwrap_or_default();
        lines.retain(|(at, _)| super::unix(*at) > stream.from);
        let over = !kubelet.container_runs(uid, &stream.container);
        any |= over || !lines.is_empty();
        json!({"text": text(&lines, stream.timestamps), "over": over})
    });
    let all: Vec<Value> = all.collect();
    any.then(|| json!({"streams": all, "at": super::unix(now)}))
}

fn text(lines: &[(Instant, String)], timestamps: bool) -> String {
    let line = |(at, text): &(Instant, String)| match timestamps {
        true => format!("{} {text}\n", stamp(*at)),
        false => format!("{text}\n"),
    };
    lines.iter().map(line).collect()
}

/// A time with nanoseconds, as the container runtime writes it.
fn stamp(at: Instant) -> String {
    let seconds = api_json::time(at);
    format!("{}.{:09}Z", seconds.trim_end_matches('Z'), at.as_nanos() % 1_000_000_000)
}

/// Why the API server does not reach a kubelet, and after how long it knows.
fn unreachable(world: &World, node: u32) -> Option<(Duration, &'static str)> {
    let process = Process::Kubelet(node);
    let cut = |a, b| world.link_is_cut(a, b);
    let (server, kubelet) = (Endpoint::ApiServer(0), Endpoint::Kubelet(node));
    if cut(server, kubelet) || cut(kubelet, server) || world.is_hanging(process) {
        return Some((DIAL, "i/o timeout"));
    }
    (!world.is_running(process)).then_some((Duration::ZERO, "connect: connection refused"))
}

fn number_of(world: &World, node: &str) -> Option<u32> {
    let at = world.setup().nodes.iter().position(|spec| &*spec.name == node)?;
    u32::try_from(at).ok()
}

fn address(world: &World, node: &str) -> String {
    let nodes = world.objects(Kind::Node);
    let Some(object) = nodes.iter().find(|object| &*object.meta().name == node) else { return node.to_owned() };
    let object = api_json::to_json(object);
    let addresses = object["status"]["addresses"].as_array().cloned().unwrap_or_default();
    let internal = addresses.iter().find(|address| address["type"] == "InternalIP");
    internal.and_then(|address| address["address"].as_str()).unwrap_or(node).to_owned()
}

fn status(reason: &str, message: &str, code: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}
