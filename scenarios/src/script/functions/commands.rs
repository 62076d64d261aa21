//! kubectl from a script: in the foreground, for a time, in the background. What it shares with etcdctl is here as well.

use super::super::drive::{pass_until_exit, poll};
use super::super::errors::{Fallible, Problem};
use super::super::host::{Shared, borrow};
use super::super::words::{CommandLine, Program, command_line, dedent, undent};
use super::{Call, Function, Group, Handle, Receiver};
use crate::etcdctl::Tool;
use crate::session::{Exit, Nanos, ProcessId};
use crate::transcript::Kind;
use rhai::{Dynamic, Engine, Map};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "kubectl",
        group: Group::Commands,
        signatures: &["kubectl(command)", "kubectl(command, stdin)"],
        summary: "Runs kubectl and waits for its end. Words are split as a shell does, quotes included; a leading \
            `kubectl ` may stay. The second argument is standard input; a here-document in the command works as well. \
            Verbs: get, describe, events, create with all its generators, apply, replace, patch, delete, run, expose, \
            scale, autoscale, set, rollout, label, annotate, taint, cordon, uncordon, drain, wait, api-resources, \
            api-versions, version, auth can-i, top. \
            Returns `#{ code, stdout, stderr }`; a failing command does not stop the script.",
        example: "let answer = kubectl(\"get pods -l app=nginx\");\n\
            expect(answer.code == 0, \"the API server answers\");",
        receiver: Receiver::Cluster,
        arity: 1..=2,
        run: kubectl,
    },
    Function {
        name: "apply",
        group: Group::Commands,
        signatures: &["apply(yaml)"],
        summary: "Runs `kubectl apply -f -` with the manifest. Indentation that all lines share is taken away.",
        example: "apply(`\n    apiVersion: v1\n    kind: Namespace\n    metadata:\n      name: shop\n`);",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: apply,
    },
    Function {
        name: "kubectl_for",
        group: Group::Commands,
        signatures: &["kubectl_for(duration, command)"],
        summary: "Runs kubectl in the foreground for a time and then stops it, as Ctrl-C does: the way to show \
            `get --watch`. Returns `#{ code, stdout, stderr }`.",
        example: "kubectl_for(\"10s\", \"get pods -w\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: kubectl_for,
    },
    Function {
        name: "start",
        group: Group::Commands,
        signatures: &["start(command)", "start(command, stdin)"],
        summary: "Starts kubectl (or, if the command begins with it, etcdctl) in the background and returns the process. What it prints appears in the transcript \
            with its number. A process has `.output`, `.running` and `.code`, and `.wait()`, `.wait(timeout)` and \
            `.stop()`.",
        example: "let watch = start(\"get pods -w\");\nrun_for(\"10s\");\nwatch.stop();\n\
            expect(watch.output.contains(\"NAME\"), \"the watch has printed\");",
        receiver: Receiver::Cluster,
        arity: 1..=2,
        run: start,
    },
    Function {
        name: "stop",
        group: Group::Commands,
        signatures: &["process.stop()", "load.stop()"],
        summary: "Stops a process started in the background, or a load.",
        example: "let watch = start(\"get events -w\");\nrun_for(\"5s\");\nwatch.stop();",
        receiver: Receiver::Value,
        arity: 1..=1,
        run: stop,
    },
];

/// `process.output`, `.running`, `.code`.
pub(super) fn register_fields(engine: &mut Engine, host: &Shared) {
    let of = host.clone();
    engine.register_get("output", move |handle: &mut Handle| {
        borrow(&of).processes.get(&handle.0).map(|process| process.output.clone()).unwrap_or_default()
    });
    let of = host.clone();
    engine.register_get("running", move |handle: &mut Handle| ended(&of, handle.0).is_none());
    let of = host.clone();
    engine.register_get("code", move |handle: &mut Handle| {
        ended(&of, handle.0).map_or(Dynamic::UNIT, |code| Dynamic::from(i64::from(code)))
    });
}

/// The exit code of a process that has ended or was stopped.
fn ended(host: &Shared, process: ProcessId) -> Option<i32> {
    let mut host = borrow(host);
    if host.processes.get(&process).is_some_and(|known| known.stopped) {
        return Some(INTERRUPTED);
    }
    host.session.as_mut().and_then(|session| session.poll(process)).map(|exit| exit.code)
}

/// The exit code of a process stopped by Ctrl-C.
const INTERRUPTED: i32 = 130;

fn kubectl(call: &Call<'_>) -> Fallible<Dynamic> {
    let line = read(call, 0, 1, Program::Kubectl)?;
    if watches(&line.words) {
        let text = format!("`kubectl {}` never ends by itself", line.shown);
        let hint = format!(
            "give it a time: kubectl_for(\"10s\", \"{0}\"), or start it in the background: start(\"{0}\")",
            line.shown
        );
        return Err(Problem::new(text).hint(hint).into());
    }
    foreground(call, line)
}

fn apply(call: &Call<'_>) -> Fallible<Dynamic> {
    let yaml = call.text(0, "manifest")?;
    let words = ["apply", "-f", "-"].map(String::from).to_vec();
    foreground(call, CommandLine { program: None, words, shown: "apply -f -".into(), stdin: Some(dedent(&yaml)) })
}

fn kubectl_for(call: &Call<'_>) -> Fallible<Dynamic> {
    let length = call.duration(0)?;
    let line = read(call, 1, 2, Program::Kubectl)?;
    run_for(call, line, length, Vec::new())
}

/// Runs a program in the foreground for a time and then stops it.
pub(super) fn run_for(
    call: &Call<'_>,
    line: CommandLine,
    length: Nanos,
    filter: Vec<Vec<String>>,
) -> Fallible<Dynamic> {
    let process = launch(call, line, false)?;
    borrow(call.host).processes.entry(process).or_default().filter = filter;
    let deadline = borrow(call.host).now().saturating_add(length);
    match pass_until_exit(call, process, deadline)? {
        Some(exit) => Ok(result(&exit)),
        None => {
            interrupt(call, process)?;
            borrow(call.host).say(Kind::Output, "^C")?;
            Ok(interrupted(call, process))
        }
    }
}

fn start(call: &Call<'_>) -> Fallible<Dynamic> {
    let line = read_any(call, 0, 1, Program::Kubectl)?;
    launch(call, line, true).map(|process| Dynamic::from(Handle(process)))
}

fn stop(call: &Call<'_>) -> Fallible<Dynamic> {
    if let Some(handle) = call.arg(0)?.clone().try_cast::<super::load::LoadHandle>() {
        return super::load::stop(call, handle);
    }
    if let Some(handle) = call.arg(0)?.clone().try_cast::<super::traffic::TrafficHandle>() {
        return super::traffic::stop(call, handle);
    }
    let Some(handle) = call.arg(0)?.clone().try_cast::<Handle>() else {
        return Err(call.wrong("process", "what start(…), load(…) or traffic(…) returned", call.arg(0)?).into());
    };
    if poll(call, handle.0)?.is_none() {
        interrupt(call, handle.0)?;
    }
    Ok(Dynamic::UNIT)
}

/// `process.wait()` and `process.wait(timeout)`; called by `wait`.
pub(super) fn wait_for_process(call: &Call<'_>, handle: Handle) -> Fallible<Dynamic> {
    let timeout = if call.args.len() > 1 { call.duration(1)? } else { Nanos::MAX };
    let deadline = borrow(call.host).now().saturating_add(timeout);
    if borrow(call.host).processes.get(&handle.0).is_some_and(|process| process.stopped) {
        return Ok(interrupted(call, handle.0));
    }
    match pass_until_exit(call, handle.0, deadline)? {
        Some(exit) => Ok(result(&exit)),
        None => {
            let text = format!("the process was still running after {}", super::duration::text(timeout));
            Err(Problem::new(text).hint("wait longer, or stop it: process.stop()").into())
        }
    }
}

/// Reads a command line of `program`, whose name may be left out.
pub(super) fn read(call: &Call<'_>, command: usize, stdin: usize, program: Program) -> Fallible<CommandLine> {
    let mut line = read_any(call, command, stdin, program)?;
    match line.program {
        Some(other) if other != program => {
            let text = format!("`{}` runs {}, not {}", call.function.name, program.name(), other.name());
            let hint = format!("write {}(\"{}\")", other.name(), line.shown);
            Err(Problem::new(text).hint(hint).into())
        }
        _ => {
            line.program = Some(program);
            Ok(line)
        }
    }
}

/// Reads a command line of any program.
fn read_any(call: &Call<'_>, command: usize, stdin: usize, program: Program) -> Fallible<CommandLine> {
    let text = call.text(command, "command")?;
    // What is wrong with a line does not depend on the program, but for its name.
    let of = |text: String| match program {
        Program::Kubectl => text,
        _ => text.replace("kubectl", program.name()).replace("get pods", "get / --prefix"),
    };
    let mut line = command_line(&text, program != Program::Kubectl).map_err(|text| Problem::new(of(text)))?;
    if call.args.len() > stdin {
        let given = call.text(stdin, "standard input")?;
        if line.stdin.is_some() {
            return Err(Problem::new(
                "the command has a here-document and a second argument: standard input is given twice",
            )
            .into());
        }
        line.stdin = Some(if program == Program::Kubectl { dedent(&given) } else { undent(&given) });
    }
    Ok(line)
}

/// Whether a command watches for ever.
fn watches(words: &[String]) -> bool {
    const FLAGS: [&str; 5] = ["-w", "--watch", "--watch=true", "--watch-only", "--watch-only=true"];
    let verb = words.iter().find(|word| !word.starts_with('-'));
    verb.is_some_and(|verb| verb == "get" || verb == "events")
        && words.iter().any(|word| FLAGS.contains(&word.as_str()))
}

/// Runs a program to its end.
pub(super) fn foreground(call: &Call<'_>, line: CommandLine) -> Fallible<Dynamic> {
    let process = launch(call, line, false)?;
    let exit = pass_until_exit(call, process, Nanos::MAX)?;
    Ok(exit.map_or(Dynamic::UNIT, |exit| result(&exit)))
}

/// Shows the command and starts it.
pub(super) fn launch(call: &Call<'_>, line: CommandLine, background: bool) -> Fallible<ProcessId> {
    let mut host = borrow(call.host);
    let program = line.program.unwrap_or(Program::Kubectl);
    if host.session()?.world().setup().only_etcd && program == Program::Kubectl {
        let text = "this cluster is only etcd: there is no API server that kubectl could ask";
        return Err(Problem::new(text).hint("use etcdctl(\"…\"), or leave `only` out of cluster(#{ … })").into());
    }
    let number = background.then(|| host.background + 1);
    host.background = number.unwrap_or(host.background);
    let job = number.map_or(String::new(), |number| format!(" &   [{number}]"));
    let name = program.name();
    let shown = match &line.stdin {
        None => format!("$ {name} {}{job}", line.shown),
        Some(text) => {
            let end = end_mark(text);
            format!("$ {name} {} <<{end}{job}\n{}\n{end}", line.shown, text.strip_suffix('\n').unwrap_or(text))
        }
    };
    host.say(Kind::Command, &shown)?;
    let session = host.session()?;
    let process = match program {
        Program::Kubectl => session.start_kubectl(line.words, line.stdin),
        Program::Etcdctl => session.start_etcdctl(Tool::Etcdctl, line.words, line.stdin, Vec::new()),
        Program::Etcdutl => session.start_etcdctl(Tool::Etcdutl, line.words, line.stdin, Vec::new()),
    };
    host.processes.entry(process).or_default().number = number;
    Ok(process)
}

/// A here-document's mark that is no line of the text.
fn end_mark(text: &str) -> &'static str {
    let marks = ["EOF", "EOT", "END", "END_OF_MANIFEST"];
    marks.into_iter().find(|mark| text.lines().all(|line| line != *mark)).unwrap_or("EOF")
}

fn interrupt(call: &Call<'_>, process: ProcessId) -> Fallible<()> {
    let mut host = borrow(call.host);
    host.session()?.kill(process);
    host.processes.entry(process).or_default().stopped = true;
    host.collect()?;
    host.flush(process)
}

fn interrupted(call: &Call<'_>, process: ProcessId) -> Dynamic {
    let host = borrow(call.host);
    let (stdout, stderr) =
        host.processes.get(&process).map(|known| (known.shown_stdout(), known.stderr.clone())).unwrap_or_default();
    result(&Exit { code: INTERRUPTED, stdout, stderr })
}

/// What a command gives back to the script.
pub(super) fn result(exit: &Exit) -> Dynamic {
    let fields: [(&str, Dynamic); 3] = [
        ("code", i64::from(exit.code).into()),
        ("stdout", exit.stdout.as_str().into()),
        ("stderr", exit.stderr.as_str().into()),
    ];
    fields.into_iter().map(|(name, value)| (name.into(), value)).collect::<Map>().into()
}
