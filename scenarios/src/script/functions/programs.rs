//! The programs in the containers: how healthy they are, what they print, how commands in them end.

use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::super::object::Object;
use super::faults::act;
use super::{Call, Function, Group, Receiver};
use crate::session::Pods;
use rhai::{Array, Dynamic};
use wavetank_engine::objects::Uid;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "health",
        group: Group::Faults,
        signatures: &["health(pods, probe, outcome)"],
        summary: "How the programs of some pods answer their probes from now on, without anything being written to the API. Pods are \
            meant by name, by workload (`\"deployment/web\"`), by labels (`\"app=web\"`), each with ` -n NAMESPACE` behind it, or by what \
            `pods()` returns, one or a list; by workload or labels, pods that come later are meant, too. The probe is `\"liveness\"`, `\"readiness\"`, \
            `\"startup\"` or `\"all\"`. The outcome is `ok`, an HTTP status such as `500`, `refused`, `timeout`, `slow 3s` (the answer \
            takes so long), `fail` or `fail TEXT` (a command with that output), with times from now: `\"500, 30s: ok\"`. With \
            `until restart` behind it a container that is started again is as its annotations say, as after a deadlock; `\"\"` takes back \
            what was said. A pod's own words are the annotations `wavetank.dev/health`, and `wavetank.dev/liveness`, `/readiness`, \
            `/startup` for one kind of probe, each also with `.CONTAINER`; their times count from the container's start.",
        example: "health(\"deployment/web\", \"readiness\", \"500\");\nrun_for(\"1m\");\nhealth(pods()[0], \"liveness\", \"timeout until restart\");",
        receiver: Receiver::Cluster,
        arity: 3..=3,
        run: health,
    },
    Function {
        name: "prints",
        group: Group::Faults,
        signatures: &["prints(pods, text)", "prints(pods, container, text)"],
        summary: "Lets the programs of some pods, or those of one container in each, print a text now, which `kubectl logs` shows. Pods are \
            meant as for `health`. What they print of themselves says the annotation `wavetank.dev/log` (or `wavetank.dev/log.CONTAINER`), \
            a line each: `starting`, `5s: listening`, `every 10s: GET /`; without it the `echo` commands of the container's own script.",
        example: "prints(\"deployment/web\", \"panic: out of file descriptors\");\nkubectl(\"logs deployment/web --tail=1\");",
        receiver: Receiver::Cluster,
        arity: 2..=3,
        run: prints,
    },
    Function {
        name: "on_exec",
        group: Group::Faults,
        signatures: &["on_exec(pods, command, output)", "on_exec(pods, command, output, exit_code)"],
        summary: "What a command prints, and its exit code (0), when somebody runs it with `kubectl exec` in some pods, from now on. Pods \
            are meant as for `health`, and those that come later, too. A pod's own word is the annotation `wavetank.dev/exec.COMMAND`, the \
            command's first word; `echo`, `date`, `hostname`, `sleep` and their like need none. Containers execute nothing else.",
        example: "on_exec(\"deployment/web\", \"nginx -v\", \"nginx version: nginx/1.25.5\");\nkubectl(\"exec deployment/web -- nginx -v\");",
        receiver: Receiver::Cluster,
        arity: 3..=4,
        run: on_exec,
    },
];

fn health(call: &Call<'_>) -> Fallible<Dynamic> {
    let (pods, probe, outcome) = (pods(call)?, call.text(1, "probe")?, call.text(2, "outcome")?);
    act(call, |session| session.health(&pods, &probe, &outcome))
}

fn prints(call: &Call<'_>) -> Fallible<Dynamic> {
    let pods = pods(call)?;
    let container = if call.args.len() > 2 { Some(call.text(1, "container")?) } else { None };
    let text = call.text(call.args.len() - 1, "text")?;
    let mut host = borrow(call.host);
    let said = host.session()?.prints(&pods, container.as_deref(), &text);
    said.map_err(|text| Problem::with_lines(&text))?;
    Ok(Dynamic::UNIT)
}

fn on_exec(call: &Call<'_>) -> Fallible<Dynamic> {
    let (pods, command, output) = (pods(call)?, call.text(1, "command")?, call.text(2, "output")?);
    let code = if call.args.len() > 3 { call.arg(3)?.as_int().ok() } else { Some(0) };
    let Some(code) = code.filter(|code| (0..=255).contains(code)) else {
        return Err(call.wrong("exit code", "a number from 0 to 255", call.arg(3)?).into());
    };
    borrow(call.host).session()?.on_exec(pods, &command, &output, code as i32);
    Ok(Dynamic::UNIT)
}

/// The pods that the first argument means.
fn pods(call: &Call<'_>) -> Fallible<Vec<Pods>> {
    let arg = call.arg(0)?;
    let one = |value: &Dynamic| -> Fallible<Pods> {
        if let Some(object) = value.clone().try_cast::<Object>() {
            let uid = object.json()["metadata"]["uid"].as_str().and_then(Uid::parse);
            return uid.map(Pods::One).ok_or_else(|| call.wrong("pod", "a pod", value).into());
        }
        let text = value.clone().into_immutable_string();
        let text = text.map_err(|_| call.wrong("pod", "a name, a workload, labels, or what pods() returns", value))?;
        Pods::parse(&text).map_err(|text| Problem::with_lines(&text).into())
    };
    match arg.read_lock::<Array>() {
        Some(items) if items.is_empty() => {
            Err(Problem::new(format!("`{}` is given an empty list of pods", call.function.name)).into())
        }
        Some(items) => items.iter().map(one).collect(),
        None => Ok(vec![one(arg)?]),
    }
}
