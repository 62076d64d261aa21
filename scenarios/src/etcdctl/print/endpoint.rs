//! Answers of `endpoint status|health|hashkv`.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/printer.go, printer_simple.go, printer_fields.go. Left out: downgrades,
//! which print as none.

use super::bytes::size;
use super::duration::go_duration;
use super::header_fields;
use super::json::{self, Object, array, string};
use super::quote::quoted;
use super::table::table;
use crate::etcdctl::commands::Format;
use crate::etcdctl::endpoint::Health;
use crate::etcdctl::failure::Failure;
use crate::etcdctl::session::{Session, Step, out_of_order};
use crate::etcdctl::{HashKv, Reply, Response, Status};

const STATUS_HEAD: [&str; 16] = [
    "endpoint",
    "ID",
    "version",
    "storage version",
    "db size",
    "in use",
    "percentage not in use",
    "quota",
    "is leader",
    "is learner",
    "raft term",
    "raft index",
    "raft applied index",
    "errors",
    "downgrade target version",
    "downgrade enabled",
];

/// `endpoint status`
pub(crate) fn status(s: &mut Session, found: &[(String, &Response)]) -> Step<()> {
    let mut statuses = Vec::with_capacity(found.len());
    for (endpoint, response) in found {
        let Reply::Status(status) = &response.reply else { return Err(out_of_order()) };
        statuses.push((endpoint.as_str(), *response, status));
    }
    let rows: Vec<Vec<String>> = statuses.iter().map(|(e, response, status)| status_row(e, response, status)).collect();
    let text = match s.settings.format {
        Format::Simple => rows.iter().map(|row| row.join(", ") + "\n").collect(),
        Format::Table => table(&STATUS_HEAD, &rows),
        Format::Json => array(statuses.iter().map(|(e, response, status)| status_json(e, response, status))) + "\n",
        Format::Fields => statuses.iter().map(|(e, response, status)| status_fields(e, response, status)).collect(),
        Format::Protobuf => return Err(Failure::unsupported("protobuf").into()),
    };
    s.print(&text);
    Ok(())
}

fn status_row(endpoint: &str, response: &Response, status: &Status) -> Vec<String> {
    let used = (status.db_size_in_use * 100).checked_div(status.db_size).unwrap_or(100);
    vec![
        endpoint.into(),
        format!("{:x}", response.header.member_id),
        status.version.clone(),
        status.storage_version.clone(),
        size(status.db_size),
        size(status.db_size_in_use),
        format!("{}%", 100 - used),
        size(status.db_size_quota),
        (status.leader == response.header.member_id).to_string(),
        status.is_learner.to_string(),
        status.raft_term.to_string(),
        status.raft_index.to_string(),
        status.raft_applied_index.to_string(),
        status.errors.join(", "),
        String::new(),
        "false".into(),
    ]
}

fn status_json(endpoint: &str, response: &Response, status: &Status) -> String {
    let body = Object::default()
        .raw("header", &json::header(&response.header, false))
        .text("version", &status.version)
        .number("dbSize", status.db_size)
        .number("leader", status.leader)
        .number("raftIndex", status.raft_index)
        .number("raftTerm", status.raft_term)
        .number("raftAppliedIndex", status.raft_applied_index)
        .list("errors", status.errors.iter().map(|error| string(error)))
        .number("dbSizeInUse", status.db_size_in_use)
        .truth("isLearner", status.is_learner)
        .text("storageVersion", &status.storage_version)
        .number("dbSizeQuota", status.db_size_quota)
        .raw("downgradeInfo", "{}")
        .end();
    Object::default().raw("Endpoint", &string(endpoint)).raw("Status", &body).end()
}

fn status_fields(endpoint: &str, response: &Response, status: &Status) -> String {
    format!(
        "{}\"Version\" : {}\n\"StorageVersion\" : {}\n\"DBSize\" : {}\n\"DBSizeInUse\" : {}\n\"DBSizeQuota\" : {}\n\
         \"Leader\" : {}\n\"IsLearner\" : {}\n\"RaftIndex\" : {}\n\"RaftTerm\" : {}\n\"RaftAppliedIndex\" : {}\n\
         \"Errors\" : [{}]\n\"Endpoint\" : {}\n\"DowngradeTargetVersion\" : \"\"\n\"DowngradeEnabled\" : false\n\n",
        header_fields(&response.header),
        quoted(&status.version),
        quoted(&status.storage_version),
        status.db_size,
        status.db_size_in_use,
        status.db_size_quota,
        status.leader,
        status.is_learner,
        status.raft_index,
        status.raft_term,
        status.raft_applied_index,
        status.errors.join(" "),
        quoted(endpoint)
    )
}

/// `endpoint health`
pub(crate) fn health(s: &mut Session, found: &[Health]) -> Step<()> {
    let took = |health: &Health| go_duration(health.took);
    match s.settings.format {
        Format::Simple => {
            for health in found {
                match health.error.as_str() {
                    "" => s.print(&format!(
                        "{} is healthy: successfully committed proposal: took = {}\n",
                        health.endpoint,
                        took(health)
                    )),
                    why => s.error(&format!("{} is unhealthy: failed to commit proposal: {why}\n", health.endpoint)),
                }
            }
        }
        Format::Table => {
            let row = |h: &Health| vec![h.endpoint.clone(), h.healthy.to_string(), took(h), h.error.clone()];
            let rows: Vec<Vec<String>> = found.iter().map(row).collect();
            s.print(&table(&["endpoint", "health", "took", "error"], &rows));
        }
        Format::Json => {
            let list = array(found.iter().map(|h| {
                Object::default()
                    .raw("endpoint", &string(&h.endpoint))
                    .raw("health", &h.healthy.to_string())
                    .raw("took", &string(&took(h)))
                    .text("error", &h.error)
                    .end()
            }));
            s.print(&(list + "\n"));
        }
        Format::Fields => {
            for h in found {
                let endpoint = quoted(&h.endpoint);
                s.print(&format!(
                    "\"Endpoint\" : {endpoint}\n\"Health\" : {}\n\"Took\" : {}\n\"Error\" : {}\n\n",
                    h.healthy,
                    took(h),
                    h.error
                ));
            }
        }
        Format::Protobuf => return Err(Failure::unsupported("protobuf").into()),
    }
    Ok(())
}

/// `endpoint hashkv`
pub(crate) fn hashkv(s: &mut Session, found: &[(String, &Response)]) -> Step<()> {
    let mut hashes: Vec<(&str, &Response, &HashKv)> = Vec::with_capacity(found.len());
    for (endpoint, response) in found {
        let Reply::HashKv(hash) = &response.reply else { return Err(out_of_order()) };
        hashes.push((endpoint, response, hash));
    }
    let rows: Vec<Vec<String>> = hashes
        .iter()
        .map(|(endpoint, _, hash)| vec![endpoint.to_string(), hash.hash.to_string(), hash.hash_revision.to_string()])
        .collect();
    let text = match s.settings.format {
        Format::Simple => rows.iter().map(|row| row.join(", ") + "\n").collect(),
        Format::Table => table(&["endpoint", "hash", "hash revision"], &rows),
        Format::Json => {
            let one = |(endpoint, response, hash): &(&str, &Response, &HashKv)| {
                let body = Object::default()
                    .raw("header", &json::header(&response.header, false))
                    .number("hash", hash.hash)
                    .number("compact_revision", hash.compact_revision)
                    .number("hash_revision", hash.hash_revision)
                    .end();
                Object::default().raw("Endpoint", &string(endpoint)).raw("HashKV", &body).end()
            };
            array(hashes.iter().map(one)) + "\n"
        }
        Format::Fields => hashes
            .iter()
            .map(|(endpoint, response, hash)| {
                format!(
                    "{}\"Endpoint\" : {}\n\"Hash\" : {}\n\"HashRevision\" : {}\n\n",
                    header_fields(&response.header),
                    quoted(endpoint),
                    hash.hash,
                    hash.hash_revision
                )
            })
            .collect(),
        Format::Protobuf => return Err(Failure::unsupported("protobuf").into()),
    };
    s.print(&text);
    Ok(())
}
