//! Requests of users to Services.

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem};
use super::super::host::{Shared, borrow};
use super::{Call, Function, Group, Receiver};
use crate::session::traffic::LossWindow;
use crate::spec;
use crate::transcript::Kind;
use rhai::{Array, Dynamic, Engine, Map};
use wavetank_engine::kernel::Duration;
use wavetank_engine::traffic::{Flow, Loss};

/// A stream of requests in a script's hand.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct TrafficHandle(pub usize);

pub(super) const FUNCTIONS: &[Function] = &[TRAFFIC, TRAFFIC_REPORT];

const TRAFFIC: Function = Function {
    name: "traffic",
    group: Group::Faults,
    signatures: &["traffic(service)", "traffic(service, #{ … })"],
    summary: "Sends requests to a Service, `\"service/web\"` or `\"shop:service/web\"`, from now on until `.stop()`. Each is simulated: \
        its node's kube-proxy rules choose a pod, which answers, refuses, or does not, by what it is doing at that instant. \
        The map's keys, all optional: `rps` requests a second (default 10), `arrivals` `\"poisson\"` (default) or `\"even\"`; `from` a node or \
        a list of nodes on which the clients are (default: every node), or `\"outside\"`, by the node ports of all nodes or those in `via`; \
        `port`, a name or number of the Service's ports (default: its first); `latency` one way (default 1ms) and `service_time` in the \
        pod (default 30ms), each a duration, `#{ median: \"30ms\", p90: \"80ms\" }`, or `#{ mean: \"30ms\" }`; `concurrency`, requests that a \
        pod works on at once (default 8), and `queue`, those that wait there (default 100); `timeout` of each try (default 1s), \
        `retries` after the first try, at once (default 0); `keep_alive`: connections that each node's clients keep (`true` is 10), else every \
        request has one of its own; `name` (default: the Service's). Nodes through which requests go get a kube-proxy if the \
        cluster has none (`cluster(#{ kube_proxy: true })`), and the first request waits until it has written its rules. When a pod listens say \
        its annotations `wavetank.dev/listens-after` and `wavetank.dev/drains`. `.sent`, `.served`, `.lost`, `.retried`, `.in_flight` count; \
        `traffic_report` says more.",
    example: "let users = traffic(\"service/web\", #{ rps: 50, from: \"worker-1\", service_time: \"30ms\", retries: 1 });\n\
        run_for(\"1m\");\nusers.stop();\nexpect(users.lost == 0, \"nobody notices\");",
    receiver: Receiver::Cluster,
    arity: 1..=2,
    run: traffic,
};

const TRAFFIC_REPORT: Function = Function {
    name: "traffic_report",
    group: Group::Objects,
    signatures: &["traffic_report(traffic)"],
    summary: "What became so far of the requests of what `traffic` returned: a map with `name`, `service`, `sent`, `served`, `lost`, `in_flight`, \
        `retried` (tries after the first), `by_cause` (a map of `refused`, `timeout`, `reset`, `overloaded`), `p50`, `p90`, `p99` (seconds from the first \
        try to the answer, or `()`), `worst_gap` and `worst_gap_at` (the longest time between two answers and when it began, in \
        seconds), and `windows`: for each stretch in which requests were lost `at`, `lasted` (seconds; `()` while it goes on), `lost`, `by_cause`, `why` and `pod` \
        of the first, and `because`, what that goes back to. Windows come from the trace, so there are none with `trace: \"fingerprint\"`.",
    example: "let users = traffic(\"service/web\");\nrun_for(\"1m\");\nlet seen = traffic_report(users);\n\
        print(`${seen.lost} of ${seen.sent} lost, 99 % within ${seen.p99} s`);",
    receiver: Receiver::Cluster,
    arity: 1..=1,
    run: traffic_report,
};

/// `traffic.served` and so on.
pub(super) fn register_fields(engine: &mut Engine, host: &Shared) {
    engine.register_type_with_name::<TrafficHandle>("traffic");
    type Field = (&'static str, fn(&Flow) -> u64);
    let fields: [Field; 5] = [
        ("sent", |flow| flow.tally.sent),
        ("served", |flow| flow.tally.served),
        ("lost", |flow| flow.tally.lost()),
        ("retried", |flow| flow.tally.retried),
        ("in_flight", |flow| flow.tally.in_flight()),
    ];
    for (name, read) in fields {
        let host = host.clone();
        engine.register_get(name, move |handle: &mut TrafficHandle| -> i64 {
            flow(&host, *handle).map_or(0, |flow| read(&flow) as i64)
        });
    }
}

fn flow(host: &Shared, handle: TrafficHandle) -> Option<Flow> {
    borrow(host).session.as_ref()?.flows().into_iter().nth(handle.0)
}

fn traffic(call: &Call<'_>) -> Fallible<Dynamic> {
    let target = call.text(0, "service")?;
    let value = match call.args.get(1) {
        Some(described) if !described.is_map() => return Err(call.wrong("description", "a map", described).into()),
        Some(described) => to_json(described).map_err(Problem::new)?,
        None => serde_json::json!({}),
    };
    let spec = spec::traffic::traffic(&value).map_err(|text| Problem::with_lines(&text))?;
    let words = spec::traffic::words(&spec);
    let mut host = borrow(call.host);
    let session = host.session()?;
    let number = session.start_traffic(&target, spec).map_err(|text| Problem::with_lines(&text))?;
    let name = session.flows().get(number).map(|flow| flow.spec.name.to_string()).unwrap_or_default();
    host.say(Kind::Fault, &format!("⇉ traffic {name} → {target}: {words}"))?;
    Ok(Dynamic::from(TrafficHandle(number)))
}

/// `traffic.stop()`; called by `stop`.
pub(super) fn stop(call: &Call<'_>, handle: TrafficHandle) -> Fallible<Dynamic> {
    let mut host = borrow(call.host);
    let session = host.session()?;
    session.stop_traffic(handle.0);
    let name = session.flows().get(handle.0).map(|flow| flow.spec.name.to_string()).unwrap_or_default();
    host.say(Kind::Fault, &format!("⇉ traffic {name} stops"))?;
    Ok(Dynamic::UNIT)
}

fn traffic_report(call: &Call<'_>) -> Fallible<Dynamic> {
    let given = call.arg(0)?;
    let Some(handle) = given.clone().try_cast::<TrafficHandle>() else {
        return Err(call.wrong("traffic", "what traffic(…) returned", given).into());
    };
    let mut host = borrow(call.host);
    let session = host.session()?;
    let zero = session.zero();
    let Some(flow) = session.flows().into_iter().nth(handle.0) else { return Ok(Dynamic::UNIT) };
    let windows: Array = session.losses(handle.0).into_iter().map(|window| Dynamic::from(window_map(window))).collect();
    let count = |count: u64| Dynamic::from(count as i64);
    let seconds = |took: Option<Duration>| took.map_or(Dynamic::UNIT, |took| Dynamic::from(took.as_secs_f64()));
    let service = &flow.spec.service;
    let mut report = Map::new();
    let mut put = |name: &str, value: Dynamic| drop(report.insert(name.into(), value));
    put("name", Dynamic::from(flow.spec.name.to_string()));
    put("service", Dynamic::from(service.to_string()));
    put("sent", count(flow.tally.sent));
    put("served", count(flow.tally.served));
    put("lost", count(flow.tally.lost()));
    put("in_flight", count(flow.tally.in_flight()));
    put("retried", count(flow.tally.retried));
    put("by_cause", Dynamic::from(by_cause(flow.tally.lost)));
    for (name, parts) in [("p50", 500), ("p90", 900), ("p99", 990)] {
        put(name, seconds(flow.latency.quantile(parts)));
    }
    put("worst_gap", seconds(flow.gap.map(|gap| gap.lasted)));
    put("worst_gap_at", seconds(flow.gap.map(|gap| gap.from.since(zero))));
    put("windows", Dynamic::from(windows));
    Ok(Dynamic::from(report))
}

fn by_cause(lost: [u64; 4]) -> Map {
    Loss::ALL.into_iter().zip(lost).map(|(why, count)| (why.as_str().into(), Dynamic::from(count as i64))).collect()
}

fn window_map(window: LossWindow) -> Map {
    let seconds = |ns: u64| Dynamic::from(ns as f64 / 1e9);
    let because: Array = window.because.into_iter().map(Dynamic::from).collect();
    let mut map = Map::new();
    map.insert("at".into(), seconds(window.at));
    map.insert("lasted".into(), window.lasted.map_or(Dynamic::UNIT, seconds));
    map.insert("lost".into(), Dynamic::from(window.lost.iter().sum::<u64>() as i64));
    map.insert("by_cause".into(), Dynamic::from(by_cause(window.lost)));
    map.insert("why".into(), Dynamic::from(window.why.as_str().to_owned()));
    map.insert("pod".into(), Dynamic::from(window.pod));
    map.insert("because".into(), Dynamic::from(because));
    map
}
