//! `endpoint status|health|hashkv`.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/ep_command.go.

use super::commands::{client, display};
use super::failure::{ERROR, Failure};
use super::flags::Parsed;
use super::print;
use super::session::{Session, Step};
use super::{AlarmType, EtcdCall, Keys, RangeCall, Reply, Request, SortOrder, SortTarget};

/// What `endpoint health` found of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub endpoint: String,
    pub healthy: bool,
    /// [ns]
    pub took: i64,
    pub error: String,
}

/// `endpoint status`
pub(crate) fn status(s: &mut Session, line: &Parsed) -> Step<()> {
    client(s)?;
    let (mut found, mut failed) = (Vec::new(), false);
    for endpoint in endpoints(s, line)? {
        let deadline = s.deadline();
        match s.request(std::slice::from_ref(&endpoint), EtcdCall::Status, deadline)? {
            Ok(response) => found.push((endpoint, response)),
            Err(why) => {
                s.error(&format!("Failed to get the status of endpoint {endpoint} ({why})\n"));
                failed = true;
            }
        }
    }
    print::endpoint::status(s, &found)?;
    if failed { Err(Failure::silent(ERROR).into()) } else { Ok(()) }
}

/// `endpoint hashkv`
pub(crate) fn hashkv(s: &mut Session, line: &Parsed) -> Step<()> {
    client(s)?;
    let (mut found, mut last) = (Vec::new(), None);
    for endpoint in endpoints(s, line)? {
        let deadline = s.deadline();
        let call = EtcdCall::HashKv { revision: line.integer("rev") };
        match s.request(std::slice::from_ref(&endpoint), call, deadline)? {
            Ok(response) => found.push((endpoint, response)),
            Err(why) => {
                s.error(&format!("Failed to get the hash of endpoint {endpoint} ({why})\n"));
                last = Some(why);
            }
        }
    }
    print::endpoint::hashkv(s, &found)?;
    last.map_or(Ok(()), |why| Err(Failure::new(ERROR, why).into()))
}

/// `endpoint health`: asks all endpoints at once and prints them in the order in which they answered.
pub(crate) fn health(s: &mut Session, line: &Parsed) -> Step<()> {
    display(s)?;
    let endpoints = endpoints(s, line)?;
    let (started, deadline) = (s.now, s.deadline());
    let request = |endpoint: &String, call| Request { endpoints: vec![endpoint.clone()], call, deadline };
    let reads: Vec<Request> = endpoints.iter().map(|e| request(e, probe())).collect();
    let mut found: Vec<(i64, Health)> = Vec::new();
    for (endpoint, (at, result)) in endpoints.iter().zip(s.gather(&reads)?) {
        let error = result.err().filter(|why| why != "etcdserver: permission denied").unwrap_or_default();
        let healthy = error.is_empty();
        found.push((at, Health { endpoint: endpoint.clone(), healthy, took: at - started, error }));
    }
    let healthy: Vec<usize> = (0..found.len()).filter(|i| found[*i].1.healthy).collect();
    let alarms: Vec<Request> = healthy.iter().map(|i| request(&found[*i].1.endpoint, EtcdCall::AlarmList)).collect();
    for (i, (at, result)) in healthy.into_iter().zip(s.gather(&alarms)?) {
        let error = match result.map(|response| &response.reply) {
            Ok(Reply::Alarms(alarms)) if alarms.is_empty() => continue,
            Ok(Reply::Alarms(alarms)) => alarms.iter().fold("Active Alarm(s): ".to_string(), |text, alarm| {
                text + match alarm.alarm {
                    AlarmType::NoSpace => "NOSPACE ",
                    AlarmType::Corrupt => "CORRUPT ",
                }
            }),
            _ => "Unable to fetch the alarm list".to_string(),
        };
        let health = &mut found[i];
        health.0 = at;
        (health.1.healthy, health.1.error) = (false, error);
    }
    found.sort_by_key(|(at, _)| *at);
    let found: Vec<Health> = found.into_iter().map(|(_, health)| health).collect();
    print::endpoint::health(s, &found)?;
    match found.iter().all(|health| health.healthy) {
        true => Ok(()),
        false => Err(Failure::new(ERROR, "unhealthy cluster").into()),
    }
}

/// The read that shows whether the quorum answers.
fn probe() -> EtcdCall {
    EtcdCall::Range(RangeCall {
        keys: Keys::One(b"health".to_vec()),
        revision: 0,
        limit: 0,
        sort: SortTarget::Key,
        order: SortOrder::None,
        serializable: false,
        keys_only: false,
        count_only: false,
        min_mod_revision: 0,
        max_mod_revision: 0,
        min_create_revision: 0,
        max_create_revision: 0,
    })
}

/// The endpoints of the command line, or with `--cluster` those the members tell.
pub(crate) fn endpoints(s: &mut Session, line: &Parsed) -> Step<Vec<String>> {
    if !line.on("cluster") {
        return Ok(s.settings.endpoints.clone());
    }
    let (endpoints, deadline) = (client(s)?, s.deadline());
    let response = s.request(&endpoints, EtcdCall::MemberList { linearizable: true }, deadline)?.map_err(|why| {
        Failure::new(ERROR, format!("failed to fetch endpoints from etcd cluster member list: {why}"))
    })?;
    match &response.reply {
        Reply::Members(members) => Ok(members.iter().flat_map(|m| m.client_urls.clone()).collect()),
        _ => Err(super::session::out_of_order()),
    }
}
