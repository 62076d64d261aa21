//! `compaction`, `defrag`, `alarm`, `move-leader`, `snapshot save`.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/compaction_command.go, defrag_command.go, alarm_command.go,
//! move_leader_command.go, snapshot_command.go, client/v3/maintenance.go.

use super::commands::client;
use super::endpoint::endpoints;
use super::failure::{ERROR, Failure, INTERRUPTED};
use super::flags::{Parsed, parse_int, parse_uint};
use super::print;
use super::print::duration::go_duration;
use super::session::{Session, Step, out_of_order};
use super::{EtcdCall, Reply, Response};

/// `compaction REVISION`
pub(crate) fn compaction(s: &mut Session, line: &Parsed) -> Step<()> {
    let [revision] = line.args.as_slice() else {
        return Err(Failure::arguments("compaction command needs 1 argument").into());
    };
    let revision = parse_int(revision, 10).map_err(|why| Failure::new(ERROR, why))?;
    send(s, EtcdCall::Compact { revision, physical: line.on("physical") })?;
    s.print(&format!("compacted revision {revision}\n"));
    Ok(())
}

/// `defrag`: one member after the other.
pub(crate) fn defrag(s: &mut Session, line: &Parsed) -> Step<()> {
    client(s)?;
    let mut failed = false;
    for endpoint in endpoints(s, line)? {
        let (started, deadline) = (s.now, s.deadline());
        let result = s.request(std::slice::from_ref(&endpoint), EtcdCall::Defragment, deadline)?;
        let took = go_duration(s.now - started);
        match result {
            Ok(_) => s.print(&format!("Finished defragmenting etcd member[{endpoint}]. took {took}\n")),
            Err(why) => {
                s.error(&format!("Failed to defragment etcd member[{endpoint}]. took {took}. ({why})\n"));
                failed = true;
            }
        }
    }
    if failed { Err(Failure::silent(ERROR).into()) } else { Ok(()) }
}

/// `alarm list`
pub(crate) fn alarm_list(s: &mut Session, line: &Parsed) -> Step<()> {
    if !line.args.is_empty() {
        return Err(Failure::arguments("alarm list command accepts no arguments").into());
    }
    let response = send(s, EtcdCall::AlarmList)?;
    let Reply::Alarms(alarms) = &response.reply else { return Err(out_of_order()) };
    print::cluster::alarms(s, Some(&response.header), alarms)
}

/// `alarm disarm`: lists the alarms, then disarms each.
pub(crate) fn alarm_disarm(s: &mut Session, line: &Parsed) -> Step<()> {
    if !line.args.is_empty() {
        return Err(Failure::arguments("alarm disarm command accepts no arguments").into());
    }
    let (endpoints, deadline) = (client(s)?, s.deadline());
    let mut disarmed = Vec::new();
    let list = s.request(&endpoints, EtcdCall::AlarmList, deadline)?.map_err(|why| Failure::new(ERROR, why))?;
    let Reply::Alarms(alarms) = &list.reply else { return Err(out_of_order()) };
    for alarm in alarms {
        let call = EtcdCall::AlarmDisarm(*alarm);
        let response = s.request(&endpoints, call, deadline)?.map_err(|why| Failure::new(ERROR, why))?;
        let Reply::Alarms(gone) = &response.reply else { return Err(out_of_order()) };
        disarmed.extend_from_slice(gone);
    }
    print::cluster::alarms(s, None, &disarmed)
}

/// `move-leader ID`: finds the leader among the endpoints, then asks it.
pub(crate) fn move_leader(s: &mut Session, line: &Parsed) -> Step<()> {
    let [target] = line.args.as_slice() else {
        return Err(Failure::arguments("move-leader command needs 1 argument").into());
    };
    let target = parse_uint(target, 16).map_err(Failure::arguments)?;
    let (endpoints, deadline) = (client(s)?, s.deadline());
    for endpoint in &endpoints {
        let endpoint = std::slice::from_ref(endpoint);
        let response = s.request(endpoint, EtcdCall::Status, deadline)?.map_err(|why| Failure::new(ERROR, why))?;
        let Reply::Status(status) = &response.reply else { return Err(out_of_order()) };
        if status.leader != response.header.member_id {
            continue;
        }
        let moved =
            s.request(endpoint, EtcdCall::MoveLeader { target }, deadline)?.map_err(|why| Failure::new(ERROR, why))?;
        return print::cluster::leader_moved(s, status.leader, target, moved);
    }
    Err(Failure::arguments(format!("no leader endpoint given at [{}]", endpoints.join(" "))).into())
}

/// `snapshot save FILE`: without a timeout unless one is given.
pub(crate) fn snapshot_save(s: &mut Session, line: &Parsed) -> Step<()> {
    let [path] = line.args.as_slice() else {
        return Err(Failure::arguments("snapshot save expects one argument <filename>").into());
    };
    let endpoints = client(s)?;
    if endpoints.len() > 1 {
        let all = endpoints.join(" ");
        let why = format!("snapshot must be requested to one selected node, not multiple [{all}]");
        return Err(Failure::new(INTERRUPTED, why).into());
    }
    let deadline = s.deadline().filter(|_| s.settings.command_timeout_set);
    let call = EtcdCall::Snapshot { path: path.clone() };
    let response = s.request(&endpoints, call, deadline)?.map_err(|why| Failure::new(INTERRUPTED, why))?;
    let Reply::Snapshot { version } = &response.reply else { return Err(out_of_order()) };
    s.print(&format!("Snapshot saved at {path}\n"));
    if !version.is_empty() {
        s.print(&format!("Server version {version}\n"));
    }
    Ok(())
}

fn send<'a>(s: &mut Session<'a>, call: EtcdCall) -> Step<&'a Response> {
    let (endpoints, deadline) = (client(s)?, s.deadline());
    s.request(&endpoints, call, deadline)?.map_err(|why| Failure::new(ERROR, why).into())
}
