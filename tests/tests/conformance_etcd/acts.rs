//! What the recorder did besides giving commands: `# leader m1 killed with SIGKILL` and the like.

use serde_json::Value;
use wavetank::session::Signal;
use wavetank::shell::Shell;

use super::host::Host;

const SECOND: u64 = 1_000_000_000;
/// How often the recorder looked whether a member is healthy. [ns]
const LOOK: u64 = SECOND / 20;
/// How long it looked. [ns]
const PATIENCE: u64 = 15 * SECOND;
/// How long it looked at a member that was not to become healthy. [ns]
const SHORT_PATIENCE: u64 = 4 * SECOND;

/// Does what the act says. The answer is what the recorder said about health, against ours; an error if the act cannot be done: the
/// member named leader does not lead, or nobody knows the act.
pub fn act(text: &str, step: &Value, host: &mut Host, shell: &mut Shell) -> Result<Option<(bool, bool)>, String> {
    let words: Vec<&str> = text.split([' ', ',', ':']).filter(|word| !word.is_empty()).collect();
    let recorded = step["healthy"].as_bool().or_else(|| said(text));
    let signal = if text.contains("SIGKILL") { Signal::Kill } else { Signal::Terminate };
    let mut healthy = None;
    match words.as_slice() {
        ["member", "stopped", ..] => stop(host, &[0], signal),
        ["member", "started", rest @ ..] => {
            let dir = rest.iter().skip_while(|word| **word != "--data-dir").nth(1);
            let number = host.session.start_etcd(dir.unwrap_or(&"default.etcd"))?;
            healthy = Some(becomes_healthy(host, number, PATIENCE));
        }
        [role @ ("leader" | "follower"), name, "killed" | "stopped", ..] => {
            let number = named(host, name)?;
            let leads = host.session.etcd_metrics(number).is_some_and(|(_, gauges, _)| gauges.is_leader);
            if leads != (*role == "leader") {
                return Err(format!("{name} is no {role} here"));
            }
            shell.variables.insert("KILLED".into(), (*name).into());
            stop(host, &[number], signal);
        }
        ["member", name, "killed" | "stopped", ..] => {
            shell.variables.insert("KILLED".into(), (*name).into());
            let number = named(host, name)?;
            stop(host, &[number], signal);
        }
        ["member", name, "started", "again", ..] => {
            let number = host.session.start_etcd(&format!("{name}.etcd"))?;
            healthy = Some(becomes_healthy(host, number, PATIENCE));
        }
        ["old", "member", "started", "again", ..] => {
            let name = shell.variables.get("KILLED").cloned().unwrap_or_default();
            let number = host.session.start_etcd(&format!("{name}.etcd"))?;
            healthy = Some(becomes_healthy(host, number, SHORT_PATIENCE));
        }
        ["data", "dir", "of", name, "removed"] => {
            host.session.machine_mut().remove(&format!("{name}.etcd"));
        }
        [name, "started", "with", "--initial-cluster-state", "existing", ..] => {
            let peer = shell.variables.get("PU").cloned().unwrap_or_default();
            let number = host.session.join_etcd(name, &peer)?;
            healthy = Some(becomes_healthy(host, number, PATIENCE));
        }
        ["all", "members", "stopped", rest @ ..] => {
            let all: Vec<u8> = host.session.world().etcd().iter().map(|member| member.number()).collect();
            stop(host, &all, signal);
            if rest.contains(&"removed") {
                for name in names(host) {
                    host.session.machine_mut().remove(&format!("{name}.etcd"));
                }
            }
        }
        ["members", "started", ..] => {
            let started: Result<Vec<u8>, String> =
                names(host).iter().map(|name| host.session.start_etcd(&format!("{name}.etcd"))).collect();
            healthy = Some(started?.into_iter().all(|number| becomes_healthy(host, number, PATIENCE)));
        }
        ["leader", leader, "chosen", "follower", follower] => {
            let number = named(host, leader)?;
            if !host.session.etcd_metrics(number).is_some_and(|(_, gauges, _)| gauges.is_leader) {
                return Err(format!("{leader} does not lead here"));
            }
            let follower = named(host, follower)?;
            let at = |number: u8| address(host, number);
            let id = host.session.world().etcd()[usize::from(follower)].store().members().id(follower);
            shell.variables.extend([
                ("LEADER".to_owned(), at(number)),
                ("F".to_owned(), at(follower)),
                ("FID".to_owned(), format!("{id:x}")),
            ]);
        }
        // The variables are always set.
        ["dead", "member", "id", ..] | ["peer", "url", "in", ..] => {}
        _ => return Err(format!("nobody knows the act `{text}`")),
    }
    set_variables(host, shell);
    Ok(recorded.zip(healthy))
}

/// What the act's own text says about health.
fn said(text: &str) -> Option<bool> {
    let (_, rest) = text.split_once("healthy")?;
    Some(!rest.contains("False"))
}

fn named(host: &Host, name: &str) -> Result<u8, String> {
    host.session.etcd_named(name).ok_or_else(|| format!("there is no member {name}"))
}

fn names(host: &Host) -> Vec<String> {
    host.session.world().setup().formation.members.iter().map(|(name, ..)| name.to_string()).collect()
}

/// Where clients reach a member, without the scheme.
fn address(host: &Host, number: u8) -> String {
    let member = &host.session.world().etcd()[usize::from(number)];
    member.client_urls().trim_start_matches("http://").to_owned()
}

fn running(host: &Host, number: u8) -> bool {
    host.session.world().etcd()[usize::from(number)].running()
}

/// Ends processes and waits until they are gone, one after the other.
fn stop(host: &mut Host, numbers: &[u8], signal: Signal) {
    for number in numbers {
        host.session.stop_etcd(*number, signal);
        for _ in 0..PATIENCE / (SECOND / 100) {
            host.pass(SECOND / 100);
            if !running(host, *number) {
                break;
            }
        }
    }
}

fn becomes_healthy(host: &mut Host, number: u8, patience: u64) -> bool {
    for _ in 0..patience / LOOK {
        host.pass(LOOK);
        if host.session.etcd_metrics(number).is_some_and(|(_, gauges, _)| gauges.has_leader) {
            return true;
        }
    }
    false
}

/// What the recorder's variables say now.
pub fn set_variables(host: &mut Host, shell: &mut Shell) {
    let alive = host.session.world().etcd().iter().filter(|member| member.running());
    let mut live: Vec<String> =
        alive.map(|member| member.client_urls().trim_start_matches("http://").to_owned()).collect();
    live.sort();
    shell.variables.insert("LIVE".into(), live.join(","));
    let Some(name) = shell.variables.get("KILLED").cloned() else { return };
    let formation = &host.session.world().setup().formation;
    let Some(founder) = formation.members.iter().position(|(known, ..)| **known == *name) else { return };
    let peer = formation.members[founder].1.to_string();
    let id = formation.members(true).id(founder as u8);
    shell.variables.extend([("PU".to_owned(), peer), ("MID".to_owned(), format!("{id:x}"))]);
}
