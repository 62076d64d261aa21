//! `watch`: prints changes until the host kills it.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/watch_command.go, client/v3/watch.go (resuming after a lost connection).
//! Left out: interactive mode. `watch -- COMMAND` runs what [`crate::shell`] knows: `sh -c`, `echo` and the text tools.

use super::Loop;
use super::commands::{Format, client};
use super::failure::{ERROR, Failure, INTERRUPTED};
use super::flags::{Flag, Kind, Parsed, flag};
use super::print;
use super::print::quote::quoted;
use super::session::{Session, Step};
use super::{EtcdCall, Keys, WatchCall, WatchResponse};
use crate::shell::{Alone, Shell};

/// Pause before a lost watch is opened again, [ns] – constant; etcd: client/v3/watch.go, maxBackoff, 100 ms.
const RESUME_PAUSE: u64 = 100_000_000;

pub(crate) const FLAGS: &[Flag] = &[
    Flag { name: "interactive", short: "i", kind: Kind::Bool, default: "false", usage: "Interactive mode" },
    flag("prefix", Kind::Bool, "false", "Watch on a prefix if prefix is set"),
    flag("prev-kv", Kind::Bool, "false", "get the previous key-value pair before the event happens"),
    flag("progress-notify", Kind::Bool, "false", "get periodic watch progress notification from server"),
    flag("rev", Kind::Int, "0", "Revision to start watching"),
];

/// Where a watch stands.
#[derive(Clone, Debug)]
pub struct WatchState {
    call: WatchCall,
    open: bool,
}

/// `watch KEY [RANGE_END]`
pub(crate) fn watch(s: &mut Session, line: &Parsed) -> Step<()> {
    let call = watch_call(line)?;
    let endpoints = client(s)?;
    let mut state = match s.resumed() {
        Some(Loop::Watch(state)) => state.clone(),
        _ => WatchState { call, open: false },
    };
    loop {
        if !state.open {
            match s.request(&endpoints, EtcdCall::Watch(state.call.clone()), None)? {
                Ok(opened) => {
                    state.open = true;
                    // What happens while the connection is lost must not be missed.
                    if state.call.start_revision == 0 {
                        state.call.start_revision = opened.header.revision + 1;
                    }
                }
                Err(why) => return canceled(s, &why),
            }
        }
        s.checkpoint(|| Loop::Watch(state.clone()));
        match s.next_watched()? {
            Some(response) => {
                show(s, response)?;
                if let Some(at) = line.dash {
                    run(s, &line.args[at..], response)?;
                }
                if response.canceled {
                    return end();
                }
                let seen = if is_progress(response) {
                    response.header.revision
                } else {
                    response.events.iter().map(|e| e.kv.mod_revision).max().unwrap_or(0)
                };
                state.call.start_revision = state.call.start_revision.max(seen + 1);
            }
            None => {
                state.open = false;
                s.sleep(RESUME_PAUSE)?;
            }
        }
    }
}

fn watch_call(line: &Parsed) -> Result<WatchCall, Failure> {
    let wrong = "bad number of arguments";
    if line.on("interactive") {
        return Err(Failure::new(ERROR, "watch --interactive is not part of this simulation"));
    }
    let args = match line.dash {
        Some(at) if at == line.args.len() => {
            return Err(Failure::arguments(format!("{wrong} (found separator --, but no commands)")));
        }
        Some(at) => &line.args[..at],
        None => line.args.as_slice(),
    };
    let key = args.first().ok_or_else(|| Failure::arguments(wrong))?.as_bytes().to_vec();
    let keys = match args {
        [_, _] if line.on("prefix") => {
            return Err(Failure::arguments("`range_end` and `--prefix` are mutually exclusive"));
        }
        [_, end] if !end.is_empty() => Keys::Span { from: key, to: end.as_bytes().to_vec() },
        _ if line.on("prefix") => Keys::Prefix(key),
        _ => Keys::One(key),
    };
    Ok(WatchCall {
        keys,
        start_revision: line.integer("rev"),
        prev_kv: line.on("prev-kv"),
        progress_notify: line.on("progress-notify"),
    })
}

/// Runs the command that follows `--`, once for each event.
fn run(s: &mut Session, command: &[String], response: &WatchResponse) -> Step<()> {
    for event in &response.events {
        let shown = |bytes: &[u8]| quoted(&String::from_utf8_lossy(bytes));
        let mut shell = Shell::default();
        shell.variables.extend([
            ("ETCD_WATCH_REVISION".to_owned(), response.header.revision.to_string()),
            ("ETCD_WATCH_EVENT_TYPE".to_owned(), quoted(if event.delete { "DELETE" } else { "PUT" })),
            ("ETCD_WATCH_KEY".to_owned(), shown(&event.kv.key)),
            ("ETCD_WATCH_VALUE".to_owned(), shown(&event.kv.value)),
        ]);
        let output = shell.words_as_they_are(command, &mut Alone);
        s.print(&output.stdout);
        if output.code == 127 {
            let name = quoted(command.first().map_or("", String::as_str));
            s.error(&format!(
                "command [{}] error (exec: {name}: executable file not found in $PATH)\n",
                command.join(" ")
            ));
            return Err(Failure::silent(ERROR).into());
        }
        s.error(&output.stderr);
        if output.code != 0 {
            s.error(&format!("command [{}] error (exit status {})\n", command.join(" "), output.code));
            return Err(Failure::silent(ERROR).into());
        }
    }
    Ok(())
}

fn is_progress(response: &WatchResponse) -> bool {
    response.events.is_empty() && !response.canceled && response.compact_revision == 0 && response.header.revision != 0
}

fn show(s: &mut Session, response: &WatchResponse) -> Step<()> {
    if response.canceled {
        let why = match response.compact_revision {
            0 if response.cancel_reason.is_empty() => "etcdserver: mvcc: required revision is a future revision",
            0 => &response.cancel_reason,
            _ => "etcdserver: mvcc: required revision has been compacted",
        };
        s.error(&format!("watch was canceled ({why})\n"));
    }
    if is_progress(response) {
        s.print(&format!("progress notify: {}\n", response.header.revision));
    }
    print::kv::watched(s, response)
}

/// The stream was refused: the client makes a response of its own of it.
fn canceled(s: &mut Session, why: &str) -> Step<()> {
    s.error(&format!("watch was canceled ({why})\n"));
    if s.settings.format == Format::Json {
        print::kv::watched(s, &WatchResponse { canceled: true, ..WatchResponse::default() })?;
    }
    end()
}

fn end() -> Step<()> {
    Err(Failure::new(INTERRUPTED, "watch is canceled by the server").into())
}
