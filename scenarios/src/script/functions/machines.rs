//! Registries and whole machines: images that cannot be had, resources that run short, an orderly shutdown, static pods.

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem};
use super::faults::{act, names};
use super::{Call, Function, Group, Receiver};
use crate::spec;
use rhai::{Dynamic, ImmutableString};
use wavetank_engine::registry::Trouble;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "registry_down",
        group: Group::Faults,
        signatures: &["registry_down()", "registry_down(what)", "registry_down(what, how)"],
        summary: "Nobody reaches a registry any more, until `registry_up`: all of them, that of a host (`\"docker.io\"`), or for one image \
            (`\"nginx:1.25\"`). `how` is `\"timeout\"` (default: a pull fails after 30 s with `i/o timeout`) or `\"refused\"` (at once, with \
            `connection refused`). What is on a node already still starts, unless its `imagePullPolicy` is `Always`.",
        example: "registry_down();\nrun_for(\"2m\");\nregistry_up();\nregistry_down(\"docker.io\", \"refused\");",
        receiver: Receiver::Cluster,
        arity: 0..=2,
        run: down,
    },
    Function {
        name: "registry_slow",
        group: Group::Faults,
        signatures: &["registry_slow(speed)", "registry_slow(what, speed)"],
        summary: "A registry sends each image at no more than this speed. What it concerns is as for `registry_down`; how long a pull takes \
            otherwise say `bandwidth` and `pull` of the cluster's `kubelet`, how big images are its `image_sizes`.",
        example: "registry_slow(\"500 kB/s\");\nregistry_slow(\"ghcr.io\", \"5 MB/s\");",
        receiver: Receiver::Cluster,
        arity: 1..=2,
        run: slow,
    },
    Function {
        name: "registry_limited",
        group: Group::Faults,
        signatures: &["registry_limited(pulls)", "registry_limited(what, pulls)"],
        summary: "A registry answers so many pulls a minute, of all nodes together, and the others with `429 Too Many Requests`. What it \
            concerns is as for `registry_down`.",
        example: "registry_limited(\"docker.io\", 10);",
        receiver: Receiver::Cluster,
        arity: 1..=2,
        run: limited,
    },
    Function {
        name: "registry_lacks",
        group: Group::Faults,
        signatures: &["registry_lacks(image)"],
        summary: "The registry does not have an image: `not found`.",
        example: "registry_lacks(\"nginx:9.9\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: lacks,
    },
    Function {
        name: "registry_up",
        group: Group::Faults,
        signatures: &["registry_up()", "registry_up(what)"],
        summary: "Ends what `registry_down`, `registry_slow`, `registry_limited` and `registry_lacks` have begun: everything, or what they \
            were told of `what`. `heal` does so as well.",
        example: "registry_up(\"docker.io\");",
        receiver: Receiver::Cluster,
        arity: 0..=1,
        run: up,
    },
    Function {
        name: "node_pressure",
        group: Group::Faults,
        signatures: &["node_pressure(node, #{ … })"],
        summary: "A node, or each of a list, has so much left: `memory_available`, `nodefs_available`, `imagefs_available` as sizes \
            or percentages, `pids` as a number or percentage. From then on what its pods (and, on a disk, images) take and give back \
            counts: a container uses the memory that its pod's annotation `wavetank.dev/memory` says, else what it requests. Pods that \
            say so can bring a node into pressure without this. The kubelet looks every 10 s; below a threshold it reports pressure, \
            deletes unused images if the disk is short, and evicts pods, one at a time. Thresholds are the kubelet's defaults \
            (100Mi; 10 % of nodefs, 15 % of imagefs; none for pids) or what `eviction_hard` and `eviction_soft` of the cluster's \
            `kubelet` say.",
        example: "node_pressure(\"worker-1\", #{ memory_available: \"50Mi\" });\nnode_pressure(\"worker-2\", #{ nodefs_available: \"5%\" });",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: pressure,
    },
    Function {
        name: "node_relief",
        group: Group::Faults,
        signatures: &["node_relief(node)"],
        summary: "Ends what `node_pressure` has begun on a node, or on each of a list. The node goes on reporting pressure for five \
            minutes (`eviction_pressure_transition_period`).",
        example: "node_relief(\"worker-1\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: relief,
    },
    Function {
        name: "shutdown",
        group: Group::Faults,
        signatures: &["shutdown(node)"],
        summary: "Tells a node (`worker-1` or `node/worker-1`), or each of a list, to shut down; `restart(\"node/worker-1\")` boots it, once it is off. If the \
            cluster's `kubelet` has a `shutdown_grace_period`, the kubelet reports itself not ready and ends its pods, critical ones \
            last; without one the machine goes off under its pods, as after `crash`.",
        example: "shutdown(\"worker-1\");\nrun_for(\"1m\");\nrestart(\"node/worker-1\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: shutdown,
    },
    Function {
        name: "static_pod",
        group: Group::Faults,
        signatures: &["static_pod(node, manifest)"],
        summary: "Puts a pod's manifest (YAML text or a map) into `/etc/kubernetes/manifests` of a node, under the pod's name. The kubelet runs \
            it without asking anybody, API server or not, and shows it there by a mirror pod called NAME-NODE, which comes again when \
            it is deleted. A manifest of the same name replaces it.",
        example: "static_pod(\"worker-1\", `\n    apiVersion: v1\n    kind: Pod\n    metadata: { name: agent, namespace: kube-system }\n    \
            spec: { containers: [{ name: agent, image: \"agent:1.0\" }] }\n`);",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: static_pod,
    },
    Function {
        name: "remove_static_pod",
        group: Group::Faults,
        signatures: &["remove_static_pod(node, name)"],
        summary: "Takes away a manifest that `static_pod` has put there; the pod ends.",
        example: "remove_static_pod(\"worker-1\", \"agent\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: remove_static_pod,
    },
];

fn down(call: &Call<'_>) -> Fallible<Dynamic> {
    let trouble = match call.args.len() {
        2 => match &*call.text(1, "way")? {
            "timeout" => Trouble::Silent,
            "refused" => Trouble::Refuses,
            other => {
                let problem =
                    Problem::new(format!("a registry is down by \"timeout\" or \"refused\", not \"{other}\""));
                return Err(problem.into());
            }
        },
        _ => Trouble::Silent,
    };
    let whose = whose(call, 1)?;
    act(call, |session| Ok(session.registry_fault(whose.as_deref(), trouble)))
}

/// What a fault concerns: the first argument, if there are so many.
fn whose(call: &Call<'_>, from: usize) -> Fallible<Option<ImmutableString>> {
    if call.args.len() < from {
        return Ok(None);
    }
    let name = call.text(0, "registry or image")?;
    match name.is_empty() || name.contains(char::is_whitespace) {
        true => Err(Problem::new(format!("\"{name}\" is neither a registry's host nor an image"))
            .hint("write \"docker.io\" or \"nginx:1.25\"")
            .into()),
        false => Ok(Some(name)),
    }
}

fn slow(call: &Call<'_>) -> Fallible<Dynamic> {
    let whose = whose(call, 2)?;
    let text = call.text(call.args.len() - 1, "speed")?;
    let Some(bytes) = spec::kubelet::speed(&text) else {
        return Err(Problem::new(format!("a speed is a text like \"500 kB/s\" or \"5 MB/s\", not \"{text}\"")).into());
    };
    act(call, |session| Ok(session.registry_fault(whose.as_deref(), Trouble::Slow(bytes))))
}

fn limited(call: &Call<'_>) -> Fallible<Dynamic> {
    let whose = whose(call, 2)?;
    let arg = call.arg(call.args.len() - 1)?;
    let Some(pulls) = arg.as_int().ok().and_then(|pulls| u32::try_from(pulls).ok()) else {
        return Err(call.wrong("number of pulls", "a whole number of at least 0", arg).into());
    };
    act(call, |session| Ok(session.registry_fault(whose.as_deref(), Trouble::Limited(pulls))))
}

fn lacks(call: &Call<'_>) -> Fallible<Dynamic> {
    let whose = whose(call, 1)?;
    act(call, |session| Ok(session.registry_fault(whose.as_deref(), Trouble::Lacks)))
}

fn up(call: &Call<'_>) -> Fallible<Dynamic> {
    let whose = whose(call, 1)?;
    act(call, |session| Ok(session.registry_up(whose.as_deref())))
}

fn pressure(call: &Call<'_>) -> Fallible<Dynamic> {
    let nodes = names(call, 0)?;
    let left = call.arg(1)?;
    if !left.is_map() {
        return Err(call.wrong("rest", "a map like #{ memory_available: \"50Mi\" }", left).into());
    }
    let value = to_json(left).map_err(Problem::new)?;
    let left = spec::kubelet::pressure(&value).map_err(|text| Problem::with_lines(&text))?;
    act(call, |session| {
        let texts: Result<Vec<String>, String> = nodes.iter().map(|node| session.node_pressure(node, &left)).collect();
        Ok(texts?.join("\n"))
    })
}

fn relief(call: &Call<'_>) -> Fallible<Dynamic> {
    let (nodes, nothing) = (names(call, 0)?, Default::default());
    act(call, |session| {
        let texts: Result<Vec<String>, String> =
            nodes.iter().map(|node| session.node_pressure(node, &nothing)).collect();
        Ok(texts?.join("\n"))
    })
}

fn shutdown(call: &Call<'_>) -> Fallible<Dynamic> {
    let nodes = names(call, 0)?;
    act(call, |session| {
        let texts: Result<Vec<String>, String> = nodes.iter().map(|node| session.shut_down(node)).collect();
        Ok(texts?.join("\n"))
    })
}

fn static_pod(call: &Call<'_>) -> Fallible<Dynamic> {
    let node = call.text(0, "node")?;
    let manifest = call.arg(1)?;
    let value = if manifest.is_map() {
        to_json(manifest).map_err(Problem::new)?
    } else {
        let text = super::super::words::dedent(&call.text(1, "manifest")?);
        let mut documents = crate::kubectl::yaml_documents(&text)
            .map_err(|why| Problem::new(format!("the manifest is not YAML: {why}")))?;
        match (documents.pop(), documents.is_empty()) {
            (Some(one), true) => one,
            _ => return Err(Problem::new("a static pod's manifest is one YAML document").into()),
        }
    };
    act(call, |session| session.static_pod(&node, &value))
}

fn remove_static_pod(call: &Call<'_>) -> Fallible<Dynamic> {
    let (node, name) = (call.text(0, "node")?, call.text(1, "pod")?);
    act(call, |session| session.remove_static_pod(&node, &name))
}
