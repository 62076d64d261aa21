//! What goes wrong: processes that end, disks and links that are slow, lossy or cut.

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::{Call, Function, Group, Receiver};
use crate::session::Session;
use crate::spec;
use crate::transcript::Kind;
use rhai::{Array, Dynamic, ImmutableString};
use wavetank_engine::faults::DropWhen;
use wavetank_engine::kernel::{Duration, Trouble};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "crash",
        group: Group::Faults,
        signatures: &["crash(process)"],
        summary: "Ends a process, or each of a list, with SIGKILL: `etcd-0`, `kube-apiserver`, `kube-scheduler`, \
            `kube-controller-manager`, or a node's name for its kubelet, without which its containers go on; of several of a kind \
            `kube-apiserver-1` and so on. `node/worker-2` is the whole machine: it loses its power, and its containers are gone; `zone/a` are \
            all machines whose label `topology.kubernetes.io/zone` is `a`. What \
            was not written to a disk is gone. It stays away until `restart`, as if its static pod's manifest had been moved away.",
        example: "crash(\"etcd-0\");\nrun_for(\"30s\");\nrestart(\"etcd-0\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: crash,
    },
    Function {
        name: "terminate",
        group: Group::Faults,
        signatures: &["terminate(process)"],
        summary: "Ends a process, or each of a list, with SIGTERM: it does what it does before it stops (the scheduler gives \
            its lease back, a leader of etcd hands over). It stays away until `restart`. `node/worker-2` is the whole machine, as with \
            `shutdown`.",
        example: "terminate(\"kube-scheduler\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: terminate,
    },
    Function {
        name: "restart",
        group: Group::Faults,
        signatures: &["restart(process)"],
        summary: "Starts a process, or each of a list, that `crash` or `terminate` has ended; `node/worker-2` boots a machine, `zone/a` those of a zone.",
        example: "restart(\"kube-scheduler\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: restart,
    },
    Function {
        name: "hang",
        group: Group::Faults,
        signatures: &["hang(process)"],
        summary: "Holds up a process, or each of a list, as SIGSTOP does: it keeps its memory and its connections and handles \
            nothing, not even its timers, until `resume`. Others notice by its silence: a leader's lease runs out, requests are not \
            answered. The kubelet's liveness probes, which would end a hanging static pod after about two minutes, are not modelled.",
        example: "hang(\"kube-scheduler\");\nrun_for(\"30s\");\nresume(\"kube-scheduler\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: hang,
    },
    Function {
        name: "resume",
        group: Group::Faults,
        signatures: &["resume(process)"],
        summary: "Lets a process, or each of a list, go on that hangs: everything that has come for it meanwhile is handled at once. A \
            leader whose lease is another's by then finds out at its next try to renew, and ends itself ten seconds later.",
        example: "resume(\"kube-scheduler\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: resume,
    },
    Function {
        name: "add_node",
        group: Group::Faults,
        signatures: &["add_node(name)", "add_node(#{ … })"],
        summary: "Another node joins the cluster now: a machine whose kubelet starts and registers it. The map is one as in `nodes` of \
            `cluster`: name, cpu, memory, pods, labels, taints, images, resources. What is left out is as on any plain node.",
        example: "add_node(#{ name: \"worker-4\", cpu: \"8\", labels: #{ disk: \"ssd\" } });\nrun_for(\"5s\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: add_node,
    },
    Function {
        name: "disk",
        group: Group::Faults,
        signatures: &["disk(member, fsync)", "disk(member, #{ … })"],
        summary: "Gives an etcd member (`etcd-0`, or a list of them) another disk from now on. `fsync` is the median of \
            an fsync, whose spread stays the profile's; commits of the database slow down as much. `bandwidth` is bytes \
            written a second, such as `\"20M\"`. A key left out is as the profile says.",
        example: "disk(\"etcd-0\", \"45ms\");\nrun_for(\"1m\");\ndisk(\"etcd-0\", #{ fsync: \"2ms\", bandwidth: \"200M\" });",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: disk,
    },
    Function {
        name: "partition",
        group: Group::Faults,
        signatures: &["partition(these, those)"],
        summary: "Cuts every link between one of `these` and one of `those`, both ways; each is a name or a list of names: \
            `etcd-0`, `kube-apiserver`, `kube-scheduler`, `kube-controller-manager`, a node, or a group: `etcd`, \
            `zone/a`, `all nodes`. What is sent meanwhile arrives when the link is mended, as TCP would have it, except among members of etcd.",
        example: "partition(\"etcd-0\", [\"etcd-1\", \"etcd-2\"]);\nrun_for(\"30s\");\nheal();",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: partition,
    },
    Function {
        name: "cut",
        group: Group::Faults,
        signatures: &["cut(from, to)"],
        summary: "Cuts the links from `from` to `to`; the way back stays. Names as for `partition`.",
        example: "cut(\"worker-1\", \"kube-apiserver\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: cut,
    },
    Function {
        name: "packet_loss",
        group: Group::Faults,
        signatures: &["packet_loss(these, those, share)"],
        summary: "Loses a share (0 to less than 1) of what is sent between `these` and `those`, both ways. What is lost is sent again \
            after 200 ms, 400 ms and so on, as TCP does, 45 s later at most, and holds up what comes after it on the same stream.",
        example: "packet_loss(\"etcd-0\", [\"etcd-1\", \"etcd-2\"], 0.1);",
        receiver: Receiver::Cluster,
        arity: 3..=3,
        run: packet_loss,
    },
    Function {
        name: "slow_link",
        group: Group::Faults,
        signatures: &["slow_link(these, those, delay)"],
        summary: "Makes everything sent between `these` and `those` take so much longer, each way.",
        example: "slow_link(\"worker-1\", \"kube-apiserver\", \"80ms\");",
        receiver: Receiver::Cluster,
        arity: 3..=3,
        run: slow_link,
    },
    Function {
        name: "slow_cpu",
        group: Group::Faults,
        signatures: &["slow_cpu(process, factor)"],
        summary: "Gives a process, or each of a list, a CPU on which its work takes `factor` times as long as the profile says; 1 is the \
            profile's again. Of an API server it is the steps of requests: those who are connected to it wait, the others do not. Of any \
            other (a node's name is its kubelet) it is a scheduling cycle, a controller's work before a request, the start of a container \
            and so on, and besides, whatever comes for it is taken notice of one after the other, for 0.1 ms × (factor - 1) each: with \
            tens of thousands it renews its lease so late that another replica takes over.",
        example: "slow_cpu(\"kube-apiserver\", 20);\nslow_cpu(\"kube-scheduler\", 10);",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: slow_cpu,
    },
    Function {
        name: "full_disk",
        group: Group::Faults,
        signatures: &["full_disk(member)"],
        summary: "Leaves no space on the disk of a member of etcd, or of each of a list. It does not notice at once: its log has space \
            reserved up to the next 64 MB, its database finds room in free pages. When either must grow, the process ends itself, after \
            each start again, until `heal` or the end of a `during` makes room.",
        example: "full_disk(\"etcd-0\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: full_disk,
    },
    Function {
        name: "clock_skew",
        group: Group::Faults,
        signatures: &["clock_skew(process, offset)"],
        summary: "Makes the clock of a process, or of each of a list, wrong: `\"+90s\"` is fast, `\"-5m\"` slow, `\"0s\"` right again. A node's \
            name is its kubelet. What it writes as a time (creationTimestamp by the API server, renewTime of leases, conditions) is by its \
            clock, and so is what it compares with times in objects (schedules of CronJobs, deadlines and TTLs of Jobs, minReadySeconds, the \
            autoscaler's start of pods). Lengths of time are not: as Go's monotonic clock does, timers, back-offs, grace periods and leader \
            election go on undisturbed. etcd reads no clock.",
        example: "clock_skew(\"worker-1\", \"+90s\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: clock_skew,
    },
    Function {
        name: "watch_delay",
        group: Group::Faults,
        signatures: &["watch_delay(client, delay)"],
        summary: "Makes everything that a client watches arrive so much later: what it believes is true, but old. Clients are \
            `kube-scheduler`, `kube-controller-manager` and nodes; their requests and replies are as quick as ever. `\"0s\"` ends it.",
        example: "watch_delay(\"kube-scheduler\", \"2s\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: watch_delay,
    },
    Function {
        name: "watch_drop",
        group: Group::Faults,
        signatures: &["watch_drop(client, when)", "watch_drop(client, when, how)"],
        summary: "Breaks the watches of a client again and again: all of them every so often (`\"30s\"`), or each with a probability whenever \
            it delivers something (`0.01`), which is then lost. `how` is `\"break\"`, after which the client goes on from where it was, \
            or `\"expire\"`: the watch ends with 410 `too old resource version`, and the client lists everything anew.",
        example: "watch_drop(\"kube-controller-manager\", \"30s\");\nwatch_drop(\"worker-1\", 0.05, \"expire\");",
        receiver: Receiver::Cluster,
        arity: 2..=3,
        run: watch_drop,
    },
    Function {
        name: "heal",
        group: Group::Faults,
        signatures: &["heal()"],
        summary: "Mends every link and every registry, gives every member of etcd the profile's disk again, every process its CPU, its \
            clock and its watches, every node enough of its resources; faults of `during` and `chaos` among these are over, too. \
            What is down or hangs stays so.",
        example: "heal();",
        receiver: Receiver::Cluster,
        arity: 0..=0,
        run: heal,
    },
];

fn crash(call: &Call<'_>) -> Fallible<Dynamic> {
    each(call, |session, name| session.crash(name, false))
}

fn terminate(call: &Call<'_>) -> Fallible<Dynamic> {
    each(call, |session, name| session.crash(name, true))
}

fn restart(call: &Call<'_>) -> Fallible<Dynamic> {
    each(call, |session, name| session.restart(name))
}

fn hang(call: &Call<'_>) -> Fallible<Dynamic> {
    each(call, Session::hang)
}

fn resume(call: &Call<'_>) -> Fallible<Dynamic> {
    each(call, Session::resume)
}

fn add_node(call: &Call<'_>) -> Fallible<Dynamic> {
    let node = call.arg(0)?;
    let value = if node.is_map() {
        to_json(node).map_err(Problem::new)?
    } else if node.is_string() {
        serde_json::json!({"name": node.to_string()})
    } else {
        return Err(call.wrong("node", "a name or a map like #{ name: \"worker-4\" }", node).into());
    };
    act(call, |session| session.add_node(&value))
}

/// Does something to each of the processes named by the first argument.
fn each(call: &Call<'_>, does: fn(&mut Session, &str) -> Result<String, String>) -> Fallible<Dynamic> {
    let names = names(call, 0)?;
    act(call, |session| {
        let texts: Result<Vec<String>, String> = names.iter().map(|name| does(session, name)).collect();
        Ok(texts?.join("\n"))
    })
}

fn disk(call: &Call<'_>) -> Fallible<Dynamic> {
    let members = names(call, 0)?;
    let speed = call.arg(1)?;
    let speed = if speed.is_map() {
        to_json(speed)
            .map_err(Problem::new)
            .and_then(|value| spec::etcd::disk(&value).map_err(|text| Problem::with_lines(&text)))?
    } else {
        crate::session::DiskSpeed { fsync: Some(Duration::from_nanos(call.duration(1)?)), bandwidth: None }
    };
    act(call, |session| {
        let texts: Result<Vec<String>, String> = members.iter().map(|member| session.disk(member, speed)).collect();
        Ok(texts?.join("\n"))
    })
}

fn partition(call: &Call<'_>) -> Fallible<Dynamic> {
    let (these, those) = (names(call, 0)?, names(call, 1)?);
    act(call, |session| session.cut(&texts(&these), &texts(&those), true))
}

fn cut(call: &Call<'_>) -> Fallible<Dynamic> {
    let (from, to) = (names(call, 0)?, names(call, 1)?);
    act(call, |session| session.cut(&texts(&from), &texts(&to), false))
}

fn packet_loss(call: &Call<'_>) -> Fallible<Dynamic> {
    let (these, those) = (names(call, 0)?, names(call, 1)?);
    let share = call.arg(2)?;
    let loss = share.as_float().ok().or_else(|| share.as_int().ok().map(|number| number as f64));
    let Some(loss) = loss.filter(|loss| (0.0..1.0).contains(loss)) else {
        return Err(call
            .wrong("share", "a number from 0 to less than 1; if nothing gets through, it is a partition", share)
            .into());
    };
    let trouble = Trouble { loss, delay: Duration::ZERO };
    let what = format!("{} % packet loss", (loss * 1e6).round() / 1e4);
    act(call, |session| session.trouble(&texts(&these), &texts(&those), trouble, &what))
}

fn slow_link(call: &Call<'_>) -> Fallible<Dynamic> {
    let (these, those) = (names(call, 0)?, names(call, 1)?);
    let delay = call.duration(2)?;
    let trouble = Trouble { loss: 0.0, delay: Duration::from_nanos(delay) };
    let what = format!("slow link (+{})", super::duration::text(delay));
    act(call, |session| session.trouble(&texts(&these), &texts(&those), trouble, &what))
}

fn slow_cpu(call: &Call<'_>) -> Fallible<Dynamic> {
    let servers = names(call, 0)?;
    let factor = call.arg(1)?;
    let number = factor.as_float().ok().or_else(|| factor.as_int().ok().map(|number| number as f64));
    let Some(number) = number.filter(|number| (1.0..=10_000.0).contains(number)) else {
        return Err(call.wrong("factor", "a number from 1 to 10000", factor).into());
    };
    act(call, |session| {
        let texts: Result<Vec<String>, String> = servers.iter().map(|name| session.slow_cpu(name, number)).collect();
        Ok(texts?.join("\n"))
    })
}

fn full_disk(call: &Call<'_>) -> Fallible<Dynamic> {
    each(call, Session::full_disk)
}

/// A length of time with a sign. [ns]
fn offset(call: &Call<'_>) -> Fallible<i64> {
    let text = call.text(1, "offset")?;
    let text = text.trim();
    let (negative, length) = match text.strip_prefix('-') {
        Some(length) => (true, length),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let length = crate::script::duration::parse(length).map_err(Problem::new)?;
    match i64::try_from(length) {
        Ok(length) => Ok(if negative { -length } else { length }),
        Err(_) => Err(Problem::new(format!("the offset \"{text}\" is too long: at most 292 years")).into()),
    }
}

fn clock_skew(call: &Call<'_>) -> Fallible<Dynamic> {
    let (processes, by) = (names(call, 0)?, offset(call)?);
    act(call, |session| {
        let texts: Result<Vec<String>, String> = processes.iter().map(|name| session.clock_skew(name, by)).collect();
        Ok(texts?.join("\n"))
    })
}

fn watch_delay(call: &Call<'_>) -> Fallible<Dynamic> {
    let (clients, delay) = (names(call, 0)?, Duration::from_nanos(call.duration(1)?));
    act(call, |session| {
        let texts: Result<Vec<String>, String> = clients.iter().map(|name| session.watch_delay(name, delay)).collect();
        Ok(texts?.join("\n"))
    })
}

fn watch_drop(call: &Call<'_>) -> Fallible<Dynamic> {
    let clients = names(call, 0)?;
    let when = call.arg(1)?;
    let share = when.as_float().ok().or_else(|| when.as_int().ok().map(|number| number as f64));
    let when = match share {
        Some(share) if share > 0.0 && share <= 1.0 => DropWhen::Share(share),
        Some(_) => return Err(call.wrong("probability", "above 0 and at most 1", when).into()),
        None => DropWhen::Every(Duration::from_nanos(call.duration(1)?)),
    };
    if when == DropWhen::Every(Duration::ZERO) {
        return Err(Problem::new("`watch_drop` cannot break watches every 0s").hint("heal() ends it").into());
    }
    let how = if call.args.len() > 2 { call.text(2, "way to end")?.to_string() } else { "break".to_owned() };
    let expired = match how.as_str() {
        "break" => false,
        "expire" => true,
        _ => {
            let hint = "write \"break\" or \"expire\"";
            return Err(Problem::new(format!("a watch cannot end by `{how}`")).hint(hint).into());
        }
    };
    act(call, |session| {
        let texts: Result<Vec<String>, String> =
            clients.iter().map(|name| session.watch_drop(name, when, expired)).collect();
        Ok(texts?.join("\n"))
    })
}

fn heal(call: &Call<'_>) -> Fallible<Dynamic> {
    act(call, |session| Ok(session.heal()))
}

/// Does something to the cluster and says so in the transcript.
pub(super) fn act(call: &Call<'_>, does: impl FnOnce(&mut Session) -> Result<String, String>) -> Fallible<Dynamic> {
    let mut host = borrow(call.host);
    let said = does(host.session()?).map_err(|text| Problem::with_lines(&text))?;
    for line in said.lines() {
        host.say(Kind::Fault, &format!("↯ {line}"))?;
    }
    Ok(Dynamic::UNIT)
}

/// One name, or a list of names.
pub(super) fn names(call: &Call<'_>, index: usize) -> Fallible<Vec<ImmutableString>> {
    let arg = call.arg(index)?;
    let wrong = |found: &Dynamic| call.wrong("name", "text such as \"etcd-0\", or a list of such", found);
    let found: Vec<ImmutableString> = match arg.read_lock::<Array>() {
        Some(items) => items
            .iter()
            .map(|item| item.clone().into_immutable_string().map_err(|_| wrong(item)))
            .collect::<Result<_, _>>()?,
        None => vec![arg.clone().into_immutable_string().map_err(|_| wrong(arg))?],
    };
    match found.is_empty() {
        true => Err(Problem::new(format!("`{}` is given an empty list of names", call.function.name)).into()),
        false => Ok(found),
    }
}

fn texts(names: &[ImmutableString]) -> Vec<&str> {
    names.iter().map(ImmutableString::as_str).collect()
}
