//! Faults with an end: those of a span of time, and those that chance brings.

use super::super::chaos;
use super::super::convert::{to_json, to_script};
use super::super::drive;
use super::super::duration;
use super::super::errors::{Fallible, Problem};
use super::super::host::{Plan, borrow};
use super::{Call, Function, Group, Receiver};
use crate::transcript::Kind;
use rhai::Dynamic;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "during",
        group: Group::Faults,
        signatures: &["during(from, to, fault)", "during(length, fault)"],
        summary: "Something is broken from one time to another: the closure begins faults with the functions of this chapter, at \
            `from`, and what it has begun, and nothing else, is undone at `to`. Both count from the start of the script, as for `at`. With \
            a length it begins now and lasts so long. Each fault has its own end: if two cut the same link, it is whole when the \
            second one is over; what is killed starts again when nothing keeps it down. `heal`, `restart` and `resume` end them sooner.",
        example: "during(\"30s\", \"2m\", || partition(\"worker-1\", \"kube-apiserver\"));\nduring(\"1m\", || { crash(\"etcd-0\"); \
            slow_cpu(\"kube-scheduler\", 10); });\nrun_for(\"3m\");",
        receiver: Receiver::Cluster,
        arity: 2..=3,
        run: during,
    },
    Function {
        name: "chaos",
        group: Group::Faults,
        signatures: &["chaos(#{ … })"],
        summary: chaos::SUMMARY,
        example: "chaos(#{ node_mtbf: \"2h\", node_mttr: \"10m\", apiserver_mtbf: \"1h\", link_mtbf: \"4h\", to: \"24h\" });\n\
            run_until(\"24h\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: chaos,
    },
    Function {
        name: "resilience",
        group: Group::Faults,
        signatures: &["resilience()"],
        summary: "What the faults so far have done, as a map: `faults`, each with `fault`, `began`, `ended`, `detected_after`, `detected_by` \
            (a node that is not ready, a pod marked unready, a new leader), `degraded` and `recovered_after` (all workloads have the pods \
            they should have); `workloads`, each with `workload` (`deployment/web`), `below_desired` and `without_any` (how long), \
            `lowest_available`, `desired`, `available`, `pods_created`, `pods_evicted`, `restarts`, `requests` and `requests_lost`; and \
            `text`, the same as tables. Times are in seconds; what is not known is `()`. A pod is available while it is Ready and its \
            machine has power. It counts from the first fault on; without one, the lists are empty. `wavetank run --out` writes it to \
            resilience.txt and .json, and draws resilience.svg and .png.",
        example: "during(\"30s\", \"2m\", || crash(\"node/worker-1\"));\nrun_for(\"10m\");\nprint(resilience().text);",
        receiver: Receiver::Cluster,
        arity: 0..=0,
        run: resilience,
    },
];

fn during(call: &Call<'_>) -> Fallible<Dynamic> {
    let now = borrow(call.host).session()?.now();
    let last = call.args.len() - 1;
    let fault = call.closure(last)?;
    if last == 1 {
        let length = call.duration(0)?;
        drive::begin_for(call, &fault, now.saturating_add(length))?;
        return Ok(Dynamic::UNIT);
    }
    let (from, to) = (call.duration(0)?, call.duration(1)?);
    if from < now {
        let text =
            format!("`during` is to begin at {}, but it is {} already", duration::text(from), duration::text(now));
        let hint = "times count from the start of the script; to begin now: during(\"2m\", || …)";
        return Err(Problem::new(text).hint(hint).into());
    }
    if to <= from {
        let text = format!("`during` ends at {}, before it begins at {}", duration::text(to), duration::text(from));
        let hint = format!(
            "both count from the start of the script; for {} from then on, end at \"{}\"",
            duration::text(to),
            duration::text(from.saturating_add(to))
        );
        return Err(Problem::new(text).hint(hint).into());
    }
    borrow(call.host).plan(from, Plan::During { closure: fault, until: to, given_at: call.place() });
    Ok(Dynamic::UNIT)
}

fn resilience(call: &Call<'_>) -> Fallible<Dynamic> {
    let report = crate::resilience::report(borrow(call.host).session()?);
    let text = report.as_ref().map(crate::resilience::text).unwrap_or_default();
    let value = report.map(|report| serde_json::to_value(report).unwrap_or_default());
    let mut value = value.unwrap_or_else(|| serde_json::json!({"faults": [], "workloads": []}));
    value["text"] = text.trim_end().into();
    Ok(to_script(&value))
}

fn chaos(call: &Call<'_>) -> Fallible<Dynamic> {
    let map = call.arg(0)?;
    if !map.is_map() {
        return Err(call.wrong("faults", "a map such as #{ node_mtbf: \"2h\" }", map).into());
    }
    let wanted =
        chaos::Wanted::read(&to_json(map).map_err(Problem::new)?).map_err(|text| Problem::with_lines(&text))?;
    let mut host = borrow(call.host);
    let now = host.session()?.now();
    let faults = wanted.draw(host.session()?).map_err(|text| Problem::with_lines(&text))?;
    let (count, until) = (faults.len(), wanted.until(now));
    for (at, fault) in faults {
        host.plan(at, Plan::Chaos(Box::new(fault)));
    }
    let text = format!("↯ chaos until {}: {count} fault{}", duration::text(until), if count == 1 { "" } else { "s" });
    host.say(Kind::Fault, &text)?;
    Ok(Dynamic::UNIT)
}
