//! The recorder's own commands, done to the simulated processes.

use wavetank::session::Session;
use wavetank_engine::kernel::Duration;
use wavetank_engine::process::Process;
use wavetank_engine::trace::What;

use super::play::Finished;
use super::shell::Act;

/// Does something to a process; `Ok(None)`: it is told to stop and has not yet. `since` is when the command began.
pub fn act(session: &mut Session, act: Act, process: &str, since: u64) -> Result<Option<Finished>, String> {
    if act == Act::Join {
        session.add_node(&serde_json::json!({"name": process}))?;
        return Ok(Some(Finished::default()));
    }
    let name = process;
    let process = named(session, process)?;
    let node = name.strip_prefix("kubelet/");
    let world = session.world_mut();
    let mut finished = Finished::default();
    let done = match act {
        Act::Kill => {
            if let Some(node) = node {
                finished.stdout = format!("{node}: kubelet stopped (no leases, no status; its pods stand still)\n");
            }
            world.kill(process)
        }
        Act::Terminate => {
            let told = world.terminate(process);
            if told && world.is_running(process) {
                return Ok(None);
            }
            told
        }
        Act::Join => false,
        Act::Start => {
            if let Some(node) = node {
                finished.stdout = format!("{node}: kubelet back\n");
            }
            world.start(process)
        }
        Act::Supervise => {
            world.supervise(process, true);
            true
        }
        Act::Leave => {
            world.supervise(process, false);
            finished.stdout = story(session, process, since);
            true
        }
    };
    finished.code = i32::from(!done);
    Ok(Some(finished))
}

/// Whether a process runs.
pub fn runs(session: &Session, process: &str) -> bool {
    named(session, process).is_ok_and(|process| session.world().is_running(process))
}

fn named(session: &Session, process: &str) -> Result<Process, String> {
    Process::named(process, session.world().setup()).ok_or_else(|| format!("there is no process {process}"))
}

/// What the supervisor says of a process: its ends and starts, in seconds since `since`.
fn story(session: &Session, process: Process, since: u64) -> String {
    let began = session.zero().after(Duration::from_nanos(since));
    let name = process.name(session.world().setup());
    let records = session.world().trace().records().iter();
    let own = records.filter(|record| record.at >= began && record.note.by == process.agent());
    let lines = own.filter_map(|record| {
        let seconds = record.at.since(began).as_nanos() as f64 / 1e9;
        match record.note.what {
            What::Restarting { after } => {
                Some(format!("{seconds:6.1} {name} ended, restart in {} s\n", after.as_nanos() / 1_000_000_000))
            }
            What::Started => Some(format!("{seconds:6.1} {name} started\n")),
            _ => None,
        }
    });
    lines.collect()
}
