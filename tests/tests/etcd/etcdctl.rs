//! As much of etcdctl as the recorded lines need: from words to requests, from replies to text and JSON.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use wavetank_engine::etcd::{
    Compare, CompareTarget, DeleteRange, EtcdError, KeyEvent, KeyRange, KeyValue, LeaseId, Op, Put, RangeReply,
    RangeRequest, Relation, Reply, Request, Response, Txn, WatchReply, WatchRequest,
};

use super::Text;
use super::shell::{Host, Outcome};

impl Host {
    pub fn etcdctl(&mut self, words: &[String], input: &str) -> Outcome {
        let json = words.windows(2).any(|pair| pair == ["-w", "json"]);
        let (verb, rest) =
            if words[0] == "lease" { (words[1].as_str(), &words[2..]) } else { (&*words[0], &words[1..]) };
        let response = match verb {
            "get" => self.call(Request::Range(range_request(rest))),
            "put" => self.call(Request::Put(put_request(rest, input))),
            "del" => self.call(Request::Delete(delete_request(rest))),
            "txn" => self.call(Request::Txn(txn_request(input))),
            "compact" => self.call(Request::Compact(rest[0].parse().expect("a revision"))),
            "grant" => {
                let ttl = rest.last().and_then(|ttl| ttl.parse().ok()).expect("a TTL");
                self.call(Request::LeaseGrant { id: LeaseId::NONE, ttl })
            }
            "revoke" => self.call(Request::LeaseRevoke(lease(&rest[0]))),
            "keep-alive" => self.call(Request::LeaseKeepAlive(lease(&rest[1]))),
            "timetolive" => {
                let keys = flag(rest, "--keys").is_some();
                self.call(Request::LeaseTimeToLive { id: lease(&rest[0]), keys })
            }
            "list" => self.call(Request::LeaseList),
            other => panic!("the test's etcdctl knows no {other}"),
        };
        match &response.body {
            Err(error) => Outcome { error: Some(error.to_string()), code: 1, ..Outcome::default() },
            Ok(reply) if json => Outcome::ok(format!("{}\n", as_json(&response, reply))),
            Ok(Reply::Range(range)) => Outcome::ok(print_range(&response, range, words)),
            Ok(Reply::Compacted) => Outcome::ok(format!("compacted revision {}\n", rest[0])),
            Ok(Reply::Lease { id, ttl }) if verb == "grant" => {
                self.leases.push(*id);
                Outcome::ok(format!("lease {:x} granted with TTL({ttl}s)\n", id.0))
            }
            Ok(Reply::Lease { id, ttl }) => Outcome::ok(format!("lease {:x} keepalived with TTL({ttl})\n", id.0)),
            Ok(Reply::LeaseRevoked) => Outcome::ok(format!("lease {} revoked\n", rest[0])),
            Ok(reply) => Outcome::ok(print(reply, flag(rest, "--keys").is_some())),
        }
    }

    pub fn watch(&mut self, words: &[String]) -> u64 {
        let positions = positional(words);
        let start_revision = flag(words, "--rev").map_or(0, |rev| rev.parse().expect("a revision"));
        let prev_kv = flag(words, "--prev-kv").is_some();
        let range = key_range(&positions, words);
        let progress_notify = flag(words, "--progress-notify").is_some();
        let id = self.ask(Request::Watch(WatchRequest {
            range,
            start_revision,
            prev_kv,
            progress_notify,
            require_leader: false,
        }));
        self.sleep(0.01);
        id
    }

    pub fn told(&self, id: u64, words: &[String]) -> Outcome {
        let json = words.windows(2).any(|pair| pair == ["-w", "json"]);
        let mut outcome = Outcome { code: 124, ..Outcome::default() };
        for (_, response) in self.outside.heard.iter().filter(|(of, _)| *of == id) {
            match &response.body {
                Ok(Reply::Watch(WatchReply::Events { events, .. })) if json => {
                    let events: Vec<Json> = events.iter().map(event_json).collect();
                    let shown = json!({"Header": header(response), "Events": events, "CompactRevision": 0,
                        "Canceled": false, "Created": false});
                    outcome.stdout += &format!("{shown}\n");
                }
                Ok(Reply::Watch(WatchReply::Events { events, .. })) => {
                    events.iter().for_each(|event| outcome.stdout += &print_event(event));
                }
                Ok(Reply::Watch(WatchReply::Compacted { .. })) => {
                    (outcome.error, outcome.code) = (Some(EtcdError::Compacted.to_string()), 1);
                }
                _ => {}
            }
        }
        outcome
    }
}

fn flag<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)).map(|value| value.trim_start_matches('='))
}

fn positional(words: &[String]) -> Vec<&str> {
    let mut rest = words.iter().map(String::as_str);
    let mut found = Vec::new();
    while let Some(word) = rest.next() {
        match word {
            "-w" => drop(rest.next()),
            _ if word.starts_with("--") => {}
            _ => found.push(word),
        }
    }
    found
}

fn key_range(positions: &[&str], words: &[String]) -> KeyRange {
    match (positions, flag(words, "--prefix"), flag(words, "--from-key")) {
        ([key, ..], Some(_), _) => KeyRange::Prefix((*key).into()),
        ([key, ..], _, Some(_)) => KeyRange::From((*key).into()),
        ([from, to], ..) => KeyRange::Span { from: (*from).into(), to: (*to).into() },
        _ => KeyRange::Key(positions[0].into()),
    }
}

fn range_request(words: &[String]) -> RangeRequest {
    let number = |name| flag(words, name).map_or(0, |value| value.parse().unwrap_or(0));
    RangeRequest {
        revision: number("--rev"),
        keys_only: flag(words, "--keys-only").is_some(),
        min_mod_revision: number("--min-mod-rev"),
        max_mod_revision: number("--max-mod-rev"),
        min_create_revision: number("--min-create-rev"),
        max_create_revision: number("--max-create-rev"),
        ..RangeRequest::new(key_range(&positional(words), words))
    }
}

fn put_request(words: &[String], input: &str) -> Put<Text> {
    let positions = positional(words);
    Put {
        lease: flag(words, "--lease").map_or(LeaseId::NONE, lease),
        ignore_lease: flag(words, "--ignore-lease").is_some(),
        prev_kv: flag(words, "--prev-kv").is_some(),
        ..Put::new(positions[0], Text(positions.get(1).copied().unwrap_or(input).into()))
    }
}

fn delete_request(words: &[String]) -> DeleteRange {
    DeleteRange { range: key_range(&positional(words), words), prev_kv: flag(words, "--prev-kv").is_some() }
}

/// Comparisons, an empty line, operations, an empty line, other operations.
fn txn_request(text: &str) -> Txn<Text> {
    let mut parts = vec![Vec::new()];
    for line in text.lines() {
        match (line.is_empty(), parts.last_mut()) {
            (false, Some(part)) => part.push(line),
            _ => parts.push(Vec::new()),
        }
    }
    let ops = |at: usize| parts.get(at).into_iter().flatten().map(|line| op(line)).collect();
    Txn { compare: parts[0].iter().map(|line| compare(line)).collect(), success: ops(1), failure: ops(2) }
}

fn compare(line: &str) -> Compare<Text> {
    let quoted: Vec<&str> = line.split('"').collect();
    let (target, key, relation, value) = (quoted[0], quoted[1], quoted[2], quoted[3]);
    let number = || value.parse().expect("a number");
    Compare {
        key: key.into(),
        relation: match relation.trim_matches([')', ' ']) {
            "=" => Relation::Equal,
            "!=" => Relation::NotEqual,
            ">" => Relation::Greater,
            _ => Relation::Less,
        },
        target: match target {
            "value(" => CompareTarget::Value(Text(value.into())),
            "mod(" => CompareTarget::Mod(number()),
            "create(" => CompareTarget::Create(number()),
            _ => CompareTarget::Version(number()),
        },
    }
}

fn op(line: &str) -> Op<Text> {
    let words: Vec<String> = line.split(' ').map(String::from).collect();
    match words[0].as_str() {
        "put" => Op::Put(put_request(&words[1..], "")),
        "del" => Op::Delete(delete_request(&words[1..])),
        _ => Op::Range(range_request(&words[1..])),
    }
}

fn lease(hex: &str) -> LeaseId {
    LeaseId(i64::from_str_radix(hex, 16).expect("a lease's name"))
}

fn print(reply: &Reply<Text>, keys: bool) -> String {
    let pairs = |kvs: &[Arc<KeyValue<Text>>]| kvs.iter().map(|kv| format!("{}\n{}\n", kv.key, kv.value.0)).collect();
    match reply {
        Reply::Put(before) => format!("OK\n{}", pairs(before.as_slice()) as String),
        Reply::Delete(delete) => format!("{}\n{}", delete.deleted, pairs(&delete.prev_kvs) as String),
        Reply::Range(range) => pairs(&range.kvs),
        Reply::Txn(txn) => {
            let head = if txn.succeeded { "SUCCESS" } else { "FAILURE" };
            let replies: String = txn.replies.iter().map(|reply| format!("\n{}", print(reply, false))).collect();
            format!("{head}\n{replies}")
        }
        Reply::Leases(leases) => {
            let names: String = leases.iter().map(|id| format!("{:x}\n", id.0)).collect();
            format!("found {} leases\n{names}", leases.len())
        }
        Reply::LeaseTimeToLive(left) if left.ttl < 0 => format!("lease {:x} already expired\n", left.id.0),
        Reply::LeaseTimeToLive(left) => {
            let attached = if keys { format!(", attached keys([{}])", left.keys.join(" ")) } else { String::new() };
            format!(
                "lease {:x} granted with TTL({}s), remaining({}s){attached}\n",
                left.id.0, left.granted_ttl, left.ttl
            )
        }
        other => panic!("not printed: {other:?}"),
    }
}

fn print_range(response: &Response<Text>, range: &RangeReply<Text>, words: &[String]) -> String {
    let each = |show: fn(&KeyValue<Text>) -> String| range.kvs.iter().map(|kv| show(kv)).collect::<String>();
    if flag(words, "--write-out").is_some() {
        let kvs = each(|kv| {
            format!(
                "\"Key\" : \"{}\"\n\"CreateRevision\" : {}\n\"ModRevision\" : {}\n\"Version\" : {}\n\
                 \"Value\" : \"{}\"\n\"Lease\" : {}\n",
                kv.key, kv.create_revision, kv.mod_revision, kv.version, kv.value.0, kv.lease.0
            )
        });
        let (revision, term) = (response.revision, response.term);
        return format!(
            "\"ClusterID\" : 14841639068965178418\n\"MemberID\" : 10276657743932975437\n\"Revision\" : {revision}\n\
             \"RaftTerm\" : {term}\n{kvs}\"More\" : {}\n\"Count\" : {}\n",
            range.more, range.count
        );
    }
    if range.keys_only {
        each(|kv| format!("{}\n\n", kv.key))
    } else if flag(words, "--print-value-only").is_some() {
        each(|kv| format!("{}\n", kv.value.0))
    } else {
        each(|kv| format!("{}\n{}\n", kv.key, kv.value.0))
    }
}

fn print_event(event: &KeyEvent<Text>) -> String {
    let pair = |kv: &Arc<KeyValue<Text>>| format!("{}\n{}\n", kv.key, kv.value.0);
    let before = event.prev_kv.as_ref().map(pair).unwrap_or_default();
    match &event.kv {
        Some(kv) => format!("PUT\n{before}{}", pair(kv)),
        None => format!("DELETE\n{before}{}\n\n", event.key),
    }
}

fn header(response: &Response<Text>) -> Json {
    json!({"revision": response.revision, "raft_term": response.term})
}

fn as_json(response: &Response<Text>, reply: &Reply<Text>) -> Json {
    match reply {
        Reply::Range(range) if range.count == 0 => json!({"header": header(response)}),
        Reply::Range(range) => {
            let kvs: Vec<Json> = range.kvs.iter().map(|kv| kv_json(kv)).collect();
            json!({"header": header(response), "kvs": kvs, "count": range.count})
        }
        Reply::Txn(txn) => {
            let of = |reply: &Reply<Text>| match reply {
                Reply::Put(_) => json!({"Response": {"response_put": {"header": {"revision": response.revision}}}}),
                other => panic!("not printed: {other:?}"),
            };
            let replies: Vec<Json> = txn.replies.iter().map(of).collect();
            json!({"header": header(response), "succeeded": txn.succeeded, "responses": replies})
        }
        Reply::LeaseTimeToLive(left) => {
            let keys: Vec<String> = left.keys.iter().map(|key| base64(key)).collect();
            json!({"revision": response.revision, "raft_term": response.term, "id": left.id.0, "ttl": left.ttl,
                "granted-ttl": left.granted_ttl, "keys": keys})
        }
        Reply::Leases(leases) => {
            let leases: Vec<Json> = leases.iter().map(|id| json!({"id": id.0})).collect();
            json!({"revision": response.revision, "raft_term": response.term, "leases": leases})
        }
        other => panic!("not printed: {other:?}"),
    }
}

fn kv_json(kv: &KeyValue<Text>) -> Json {
    let mut json = json!({"key": base64(&kv.key), "create_revision": kv.create_revision,
        "mod_revision": kv.mod_revision, "version": kv.version, "value": base64(&kv.value.0)});
    if kv.lease != LeaseId::NONE {
        json["lease"] = json!(kv.lease.0);
    }
    json
}

fn event_json(event: &KeyEvent<Text>) -> Json {
    match &event.kv {
        Some(kv) => json!({"kv": kv_json(kv)}),
        None => json!({"type": 1, "kv": {"key": base64(&event.key), "mod_revision": event.revision}}),
    }
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| -> String {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        let digit =
            |at: usize| if at <= chunk.len() { ALPHABET[(bits >> (18 - 6 * at) & 63) as usize].into() } else { '=' };
        (0..4).map(digit).collect()
    };
    text.as_bytes().chunks(3).map(group).collect()
}
