//! etcd from a script, as its operators see it: etcdctl, etcdutl, `/metrics`.

use super::super::drive::pass_until_exit;
use super::super::errors::{Fallible, Problem};
use super::super::hints;
use super::super::host::borrow;
use super::super::words::{CommandLine, Program, split, stages};
use super::commands::{foreground, launch, read, result, run_for};
use super::{Call, Function, Group, Receiver};
use crate::session::{Exit, Nanos};
use crate::shell::tools;
use crate::transcript::Kind;
use rhai::Dynamic;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "etcdctl",
        group: Group::Etcd,
        signatures: &["etcdctl(command)", "etcdctl(command, stdin)"],
        summary: "Runs etcdctl and waits for its end, like `kubectl`: words are split as a shell does, a leading \
            `etcdctl ` may stay, the second argument is standard input (for `txn` and `put`). It runs on a machine with \
            every member's client URL at hand: without `--endpoints` it asks 127.0.0.1:2379, the first member; the \
            others listen on 3379, 4379 …, and `--cluster` finds them. There is no TLS. The output may go through text \
            tools: `| grep`, `| wc -l`, `| head`, `| cut`, `| sort` and the like. `snapshot save` writes to a virtual \
            file that `etcdutl` can read; nothing is written on the real disk. Keys are exactly those of a real API \
            server. Under them lies what a real one writes, `k8s\\0` and a frame with version and kind, but inside \
            stands the object as JSON, where a real API server writes protobuf. Returns `#{ code, stdout, stderr }`.",
        example: "etcdctl(\"get /registry --prefix --keys-only | head -4\");\n\
            let status = etcdctl(\"endpoint status --cluster -w table\");\n\
            expect(status.code == 0, \"every member answers\");",
        receiver: Receiver::Cluster,
        arity: 1..=2,
        run: etcdctl,
    },
    Function {
        name: "etcdctl_for",
        group: Group::Etcd,
        signatures: &["etcdctl_for(duration, command)"],
        summary: "Runs etcdctl in the foreground for a time and then stops it, as Ctrl-C does: the way to show `watch`. \
            The two arguments may change places. The output may go through `grep`, `cut` and `tr`, line by line. In the background: `start(\"etcdctl watch …\")`. Returns `#{ code, \
            stdout, stderr }`.",
        example: "etcdctl_for(\"10s\", \"watch /registry/pods --prefix\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: etcdctl_for,
    },
    Function {
        name: "etcdutl",
        group: Group::Etcd,
        signatures: &["etcdutl(command)"],
        summary: "Runs etcdutl on the virtual files: snapshots that `etcdctl snapshot save` has written, and the \
            members' data directories, `NAME.etcd` (`etcd-0.etcd`, `etcd-1.etcd` …; of a cluster of etcd alone `default.etcd`, or `m1.etcd` and so on). \
            `snapshot status`, `snapshot restore`, `hashkv`, `defrag`. Returns `#{ code, stdout, stderr }`.",
        example: "etcdctl(\"snapshot save backup.db\");\netcdutl(\"snapshot status backup.db -w table\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: etcdutl,
    },
    Function {
        name: "etcd_start",
        group: Group::Etcd,
        signatures: &["etcd_start(directory)"],
        summary: "Starts a member of etcd on a virtual data directory: one that `etcdutl snapshot restore` has made, or the \
            member's own. The member that had the place must be down: `terminate(\"etcd-0\")`. Which place it is follows \
            from the order of the names in `--initial-cluster`.",
        example: "terminate(\"etcd-0\");\netcdutl(\"snapshot restore backup.db --data-dir new\");\netcd_start(\"new\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: etcd_start,
    },
    Function {
        name: "etcd_join",
        group: Group::Etcd,
        signatures: &["etcd_join(name, peer_url)"],
        summary: "Starts a member of etcd that `etcdctl member add` has added, with an empty data directory `NAME.etcd`. \
            Clients reach it at the port below its peers' port. Members start in the order in which they were added.",
        example: "etcdctl(\"member add m4 --peer-urls=http://127.0.0.1:5380 --learner\");\n\
            etcd_join(\"m4\", \"http://127.0.0.1:5380\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: etcd_join,
    },
    Function {
        name: "curl",
        group: Group::Etcd,
        signatures: &["curl(command)"],
        summary: "Asks a member of etcd over HTTP: `/metrics` (Prometheus' text with etcd's own names; also on port \
            2381, as kubeadm sets it up, for the first member), `/health`, `/livez`, `/readyz`, `/version`. The output \
            may go through text tools, as with `etcdctl`. Takes no virtual time. Returns `#{ code, stdout, stderr }`.",
        example: "curl(\"-s http://127.0.0.1:2379/metrics | grep etcd_server_leader_changes\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: curl,
    },
];

fn etcdctl(call: &Call<'_>) -> Fallible<Dynamic> {
    let (head, tools) = taken_apart(call, (0, 1), Program::Etcdctl)?;
    let line = match head {
        Some(line) => line,
        None => read(call, 0, 1, Program::Etcdctl)?,
    };
    if endless(&line.words) {
        let text = format!("`etcdctl {}` never ends by itself", line.shown);
        let hint = format!(
            "give it a time: etcdctl_for(\"10s\", \"{0}\"), or start it in the background: start(\"etcdctl {0}\")",
            line.shown
        );
        return Err(Problem::new(text).hint(hint).into());
    }
    through(call, line, &tools)
}

fn etcdctl_for(call: &Call<'_>) -> Fallible<Dynamic> {
    let is_time = |index| call.text(index, "duration").is_ok_and(|text| super::duration::parse(&text).is_ok());
    let (length, command) = if !is_time(0) && is_time(1) { (1, 0) } else { (0, 1) };
    let length = call.duration(length)?;
    let (head, tools) = taken_apart(call, (command, 2), Program::Etcdctl)?;
    if let Some(tool) = tools.iter().filter_map(|words| words.first()).find(|tool| !LINEWISE.contains(&tool.as_str())) {
        let text = format!("`{tool}` says nothing before its input ends, and this command never ends by itself");
        return Err(Problem::new(text).hint(format!("line by line work {}", LINEWISE.join(", "))).into());
    }
    let line = match head {
        Some(line) => line,
        None => read(call, command, 2, Program::Etcdctl)?,
    };
    run_for(call, line, length, tools)
}

fn etcdutl(call: &Call<'_>) -> Fallible<Dynamic> {
    let (head, tools) = taken_apart(call, (0, 1), Program::Etcdutl)?;
    let line = match head {
        Some(line) => line,
        None => read(call, 0, 1, Program::Etcdutl)?,
    };
    through(call, line, &tools)
}

/// Tools that need one line of their input at a time.
const LINEWISE: [&str; 3] = ["grep", "cut", "tr"];

/// A command before its first `|`, if there is one, and the tools after it.
fn taken_apart(
    call: &Call<'_>,
    (command, stdin): (usize, usize),
    program: Program,
) -> Fallible<(Option<CommandLine>, Vec<Vec<String>>)> {
    let text = call.text(command, "command")?;
    let parts = stages(text.lines().next().unwrap_or_default());
    let [first, rest @ ..] = parts.as_slice() else { return Ok((None, Vec::new())) };
    if rest.is_empty() || text.trim().contains('\n') {
        return Ok((None, Vec::new()));
    }
    let tools = rest.iter().map(|stage| tool(stage)).collect::<Result<Vec<_>, Problem>>()?;
    let inner = Call {
        context: call.context,
        host: call.host,
        function: call.function,
        main: call.main,
        args: {
            let mut args = call.args.clone();
            args[command] = first.trim().into();
            args
        },
    };
    let mut line = read(&inner, command, stdin, program)?;
    line.shown = format!("{} |{}", line.shown, rest.join("|"));
    Ok((Some(line), tools))
}

fn tool(stage: &str) -> Result<Vec<String>, Problem> {
    let words = split(stage).map_err(Problem::new)?;
    match words.first() {
        Some(name) if tools::NAMES.contains(&name.as_str()) => Ok(words),
        Some(name) => {
            let problem = Problem::new(format!("after `|` there is no `{name}` here"));
            let hint = hints::did_you_mean(name, tools::NAMES.iter().copied());
            Err(problem.hint(hint.unwrap_or_else(|| format!("there are {}", tools::NAMES.join(", ")))))
        }
        None => Err(Problem::new("a `|` has nothing after it").hint("write a tool there, such as `| wc -l`")),
    }
}

/// Runs a program and, if there are any, the tools over its output.
fn through(call: &Call<'_>, line: CommandLine, tools: &[Vec<String>]) -> Fallible<Dynamic> {
    if tools.is_empty() {
        return foreground(call, line);
    }
    let process = launch(call, line, false)?;
    borrow(call.host).processes.entry(process).or_default().piped = true;
    let exit = pass_until_exit(call, process, Nanos::MAX)?.unwrap_or_default();
    finish(call, exit, tools)
}

/// Sends what a command has printed through the tools and shows what comes out.
fn finish(call: &Call<'_>, mut exit: Exit, tools: &[Vec<String>]) -> Fallible<Dynamic> {
    for words in tools {
        let Some(output) = tools::filter(words, &exit.stdout) else { continue };
        exit = Exit { code: output.code, stdout: output.stdout, stderr: exit.stderr + output.stderr.as_str() };
    }
    let mut host = borrow(call.host);
    for text in [&exit.stderr, &exit.stdout] {
        if !text.is_empty() {
            host.say(Kind::Output, text.trim_end_matches('\n'))?;
        }
    }
    Ok(result(&exit))
}

fn etcd_start(call: &Call<'_>) -> Fallible<Dynamic> {
    let dir = call.text(0, "data directory")?;
    let mut host = borrow(call.host);
    let number = host.session()?.start_etcd(&dir).map_err(|text| Problem::with_lines(&text))?;
    host.say(Kind::Output, &format!("(etcd-{number} is started on {dir})"))?;
    Ok(Dynamic::UNIT)
}

fn etcd_join(call: &Call<'_>) -> Fallible<Dynamic> {
    let (name, peer) = (call.text(0, "name")?, call.text(1, "peer URL")?);
    let mut host = borrow(call.host);
    let number = host.session()?.join_etcd(&name, &peer).map_err(|text| Problem::with_lines(&text))?;
    host.say(Kind::Output, &format!("(etcd-{number} is started as {name})"))?;
    Ok(Dynamic::UNIT)
}

/// Whether a command of etcdctl goes on until it is stopped.
fn endless(words: &[String]) -> bool {
    let plain: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let asks_for_help = words.iter().any(|word| word == "-h" || word == "--help");
    let once = words.iter().any(|word| word == "--once" || word == "--once=true");
    match plain.as_slice() {
        _ if asks_for_help => false,
        ["watch", _, ..] => true,
        ["lease", "keep-alive", _, ..] => !once,
        _ => false,
    }
}

fn curl(call: &Call<'_>) -> Fallible<Dynamic> {
    let text = call.text(0, "command")?;
    let parts = stages(text.trim());
    let tools = parts.iter().skip(1).map(|stage| tool(stage)).collect::<Result<Vec<_>, Problem>>()?;
    let mut words = split(parts.first().map_or("", String::as_str)).map_err(Problem::new)?;
    if words.first().is_some_and(|word| word == "curl") {
        words.remove(0);
    }
    const VALUED: [&str; 8] = ["--cacert", "--cert", "--key", "-E", "-m", "--max-time", "-H", "-o"];
    let mut url = None;
    let mut silent = false;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            flag if VALUED.contains(&flag) => drop(rest.next()),
            flag if flag.starts_with('-') => silent |= !flag.starts_with("--") && flag.contains('s'),
            address => url = Some(address.to_owned()),
        }
    }
    let url = url.ok_or_else(|| {
        Problem::new("`curl` is given no address").hint("write curl(\"http://127.0.0.1:2379/metrics\")")
    })?;
    let shown = text.trim().strip_prefix("curl ").unwrap_or(text.trim()).to_owned();
    let mut host = borrow(call.host);
    host.session()?;
    host.say(Kind::Command, &format!("$ curl {shown}"))?;
    let mut exit = answer(host.session()?, &url);
    if silent {
        exit.stderr.clear();
    }
    drop(host);
    finish(call, exit, &tools)
}

/// What a member says over HTTP.
fn answer(session: &mut crate::session::Session, url: &str) -> Exit {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (address, path) = rest.split_once('/').map_or((rest, ""), |(address, path)| (address, path));
    let (machine, port) = address.split_once(':').unwrap_or((address, if scheme == "https" { "443" } else { "80" }));
    // kubeadm's members tell their metrics there as well.
    let metrics_port = port == "2381" && matches!(machine, "127.0.0.1" | "localhost");
    let member = if metrics_port { Some(0) } else { session.etcd_listener(&format!("{scheme}://{machine}:{port}")) };
    let Some((text, gauges, _)) = member.and_then(|member| session.etcd_metrics(member)) else {
        let stderr =
            format!("curl: (7) Failed to connect to {machine} port {port} after 0 ms: Could not connect to server\n");
        return Exit { code: 7, stderr, ..Exit::default() };
    };
    let reason = match gauges.alarms.first() {
        Some((_, alarm)) => format!("ALARM {alarm}"),
        None if !gauges.has_leader => "RAFT NO LEADER".to_owned(),
        None => String::new(),
    };
    let stdout = match path.split('?').next().unwrap_or_default() {
        "metrics" => text,
        "health" => format!("{{\"health\":\"{}\",\"reason\":\"{reason}\"}}", reason.is_empty()),
        "livez" => "ok\n".to_owned(),
        "readyz" if gauges.has_leader => "ok\n".to_owned(),
        "readyz" => "[+]data_corruption ok\n[+]serializable_read ok\n[-]linearizable_read failed: etcdserver: no \
            leader\n[+]non_learner ok\n"
            .to_owned(),
        "version" => "{\"etcdserver\":\"3.6.13\",\"etcdcluster\":\"3.6.0\",\"storage\":\"3.6.0\"}".to_owned(),
        _ => "404 page not found\n".to_owned(),
    };
    Exit { code: 0, stdout, stderr: String::new() }
}
