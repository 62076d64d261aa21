//! Recorded sessions with real etcds, etcdctl and etcdutl, replayed against the fake one: output, errors, exit codes
//! and how long a command takes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fake_etcd::{FakeEtcd, Figures, SECOND};
use super::fake_shell::{Output, Shell};
use super::print::bytes::size;
use super::{Alarm, AlarmType};
use super::{HashKv, SnapshotStatus, Status};

const CASES: &str = include_str!("../../../tests/conformance/answers/etcd.jsonl");
const PAGE: i64 = 4096;

/// Steps that are not compared: case, part of the command, why.
const SKIPPED: &[(&str, &str, &str)] = &[
    ("watch", "-- sh -c", "runs a shell for each event"),
    ("auto-compaction-periodic", "", "the server compacts by the clock; no other output"),
    (
        "cluster-leader-down",
        "--endpoints=$LIVE put a 2",
        "whether a put in the middle of an election is lost is chance",
    ),
];

/// Steps whose shell is beyond the fake one: case, beginning of the command, the same in simpler words, its output.
const SIMPLER: &[(&str, &str, &str, &str)] = &[
    (
        "status",
        "etcdctl version;",
        "etcdctl version; etcdutl version",
        "etcdctl version: 3.6.13\nAPI version: 3.6\netcdutl version: 3.6.13\nAPI version: 3.6\n",
    ),
    (
        "quota-alarm",
        "i=0; while",
        "for i in 1 2 3 4 5 6 7 8 9 0 1 2 3; do \
         head -c 100000 /dev/zero | tr \"\\0\" x | etcdctl put k$i > /dev/null; done",
        "",
    ),
    ("quota-alarm", "etcdctl endpoint status -w json > s;", "etcdctl compact 15", "compacted revision 15\n"),
];

#[test]
fn recorded_sessions_print_what_the_real_tools_print() {
    let (mut matched, mut compared, mut wrong, mut skipped) = (0, 0, Vec::new(), Vec::new());
    for case in CASES.lines().map(|line| serde_json::from_str::<Value>(line).expect("a case")) {
        let id = text(&case, "id").to_string();
        let Some(steps) = case["steps"].as_array() else { continue };
        let mut session = Session::new(&case);
        for step in steps {
            let command = text(step, "command");
            if let Some(act) = command.strip_prefix("# ") {
                session.act(act);
                continue;
            }
            if let Some((.., why)) = SKIPPED.iter().find(|(i, part, _)| *i == id && command.contains(part)) {
                skipped.push(format!("{id}: {command}: {why}"));
                continue;
            }
            compared += 1;
            match session.check(&id, step) {
                Ok(()) => matched += 1,
                Err(why) => wrong.push(format!("{id} $ {command}\n{why}")),
            }
        }
    }
    println!("etcdctl matched {matched} of {compared}, {} skipped:", skipped.len());
    skipped.iter().for_each(|line| println!("  {line}"));
    assert!(wrong.is_empty(), "{} of {compared} steps differ:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(compared > 200, "only {compared} steps were found");
}

struct Session {
    shell: Shell,
    killed: String,
}

impl Session {
    fn new(case: &Value) -> Self {
        let etcd = if text(case, "family") == "cluster" { FakeEtcd::three() } else { FakeEtcd::single() };
        Session { shell: Shell::new(etcd), killed: String::new() }
    }

    /// What the recorder did besides giving commands.
    fn act(&mut self, act: &str) {
        let words: Vec<&str> = act.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let etcd = &mut self.shell.etcd;
        match words.as_slice() {
            ["member", "stopped", ..] => etcd.servers.iter_mut().for_each(|s| s.up = false),
            ["member", "started:", .., dir] => {
                etcd.servers.iter_mut().for_each(|s| s.up = true);
                match etcd.restored.get(*dir) {
                    Some(store) => etcd.store = store.clone(),
                    None => etcd.term += 1,
                }
            }
            ["leader", name, "killed", ..] | ["follower", name, "killed", ..] => {
                self.killed = name.to_string();
                etcd.servers.iter_mut().filter(|s| s.member.name == *name).for_each(|s| s.up = false);
                etcd.term += u64::from(words[0] == "leader" && etcd.servers.iter().filter(|s| s.up).count() > 1);
            }
            ["member", name, "started", "again", ..] => {
                // A leader is elected if there was none.
                let leaderless = etcd.servers.iter().filter(|s| s.up).count() * 2 < etcd.servers.len();
                etcd.term += u64::from(leaderless);
                etcd.servers.iter_mut().filter(|s| s.member.name == *name).for_each(|s| s.up = true);
            }
            [name, "started", "with", ..] => {
                for server in etcd.servers.iter_mut().filter(|s| !s.up) {
                    server.member.name = name.to_string();
                    server.member.client_urls = vec!["http://127.0.0.1:2379".into()];
                    (server.address, server.up) = ("127.0.0.1:2379".into(), true);
                }
            }
            ["all", "members", "stopped", ..] => etcd.servers.iter_mut().for_each(|s| s.up = false),
            ["members", "started", ..] => {
                etcd.servers.iter_mut().for_each(|s| s.up = true);
                etcd.store = etcd.restored.get("m1.etcd").expect("restored").clone();
            }
            ["leader", leader, "chosen", "follower", follower] => {
                let of = |name: &str| etcd.servers.iter().find(|s| s.member.name == name).expect("a member").clone();
                let (leader, follower) = (of(leader), of(follower));
                etcd.leader = leader.member.id;
                self.set("LEADER", leader.address);
                self.set("F", follower.address);
                self.set("FID", format!("{:x}", follower.member.id));
            }
            _ => {}
        }
        let live = self.shell.etcd.servers.iter().filter(|s| s.up).map(|s| s.address.clone()).collect::<Vec<_>>();
        self.set("LIVE", live.join(","));
        self.set("KILLED", self.killed.clone());
        let dead = self.shell.etcd.servers.iter().find(|s| s.member.name == self.killed).map(|s| s.member.clone());
        if let Some(member) = dead {
            self.set("MID", format!("{:x}", member.id));
            self.set("PU", member.peer_urls.join(","));
        }
    }

    fn set(&mut self, name: &str, value: String) {
        self.shell.variables.insert(name.into(), value);
    }

    fn check(&mut self, id: &str, step: &Value) -> Result<(), String> {
        let (command, stdout) = (text(step, "command"), text(step, "stdout"));
        let simpler = SIMPLER.iter().find(|(i, part, ..)| *i == id && command.starts_with(part));
        let (run, expected) = simpler.map_or((command, stdout), |(.., run, stdout)| (*run, *stdout));
        self.shell.etcd.figures = figures(step);
        let started = self.shell.etcd.now;
        let output = self.shell.line(run);
        if command.starts_with("i=0; while") {
            let member = self.shell.etcd.leader;
            self.shell.etcd.alarms.push(Alarm { member, alarm: AlarmType::NoSpace });
        }
        for (name, pattern) in step["captures"].as_object().into_iter().flatten() {
            assert_eq!(pattern, "lease (\\S+) granted");
            let lease = output.stdout.split(' ').nth(1).unwrap_or("").to_string();
            self.set(name.trim_start_matches('$'), lease);
        }
        let took = (self.shell.etcd.now - started) as f64 / SECOND as f64;
        compare(step, expected, &output, took, simpler.is_some())
    }
}

fn compare(step: &Value, stdout: &str, output: &Output, took: f64, simpler: bool) -> Result<(), String> {
    let exit_code = step["exit_code"].as_i64().unwrap_or(0);
    // Endpoints are asked at once; which answers first is chance.
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        if text.contains("healthy") || text.contains("HEALTH") {
            lines.sort_unstable();
        }
        lines.join("\n")
    };
    let mut wrong = Vec::new();
    if sorted(&output.stdout) != sorted(stdout) {
        wrong.push(format!("got  stdout {:?}\nwant stdout {stdout:?}", output.stdout));
    }
    let stderr = text(&step["normalised"], "stderr");
    let panics = stderr.starts_with("panic: ");
    let first = |text: &str| text.lines().next().unwrap_or("").to_string();
    let same = match panics {
        true => first(stderr) == first(&output.stderr),
        false => alike(&sorted(stderr), &sorted(output.stderr.trim_end())),
    };
    if !same {
        wrong.push(format!("got  stderr {:?}\nwant stderr {stderr:?}", output.stderr));
    }
    if i64::from(output.exit_code) != exit_code {
        wrong.push(format!("got exit code {}, want {exit_code}", output.exit_code));
    }
    let seconds = step["seconds"].as_f64().unwrap_or(0.0);
    // What takes seconds takes them because of timeouts and pauses; many short commands in a row do not count.
    // A process in the background keeps the recorder's shell waiting.
    let waits = seconds > 1.9 && !text(step, "command").starts_with(['f', '(']) && !simpler;
    if waits && (seconds - took).abs() > 0.2 {
        wrong.push(format!("took {took} s, want {seconds} s"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Whether `actual` is `template` with durations in the place of `<dur>`.
fn alike(template: &str, actual: &str) -> bool {
    let mut rest = actual;
    for (i, part) in template.trim_end().split("<dur>").enumerate() {
        match rest.find(part) {
            Some(at) if (i == 0 && at == 0) || (i > 0 && at > 0) => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("")
}

/// What the recorded output says of things that only a real server knows.
fn figures(step: &Value) -> Figures {
    let stdout = text(step, "stdout");
    let mut figures = Figures::default();
    if let Some(lease) = stdout.strip_prefix("lease ").and_then(|rest| rest.split(' ').next()) {
        figures.lease = i64::from_str_radix(lease, 16).ok();
    }
    if let Some(member) = stdout.strip_prefix("Member ").and_then(|rest| rest.trim_start().split(' ').next()) {
        figures.member = u64::from_str_radix(member, 16).ok();
    }
    let answering = stdout.split("\"member_id\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
    figures.answering = answering.and_then(|id| id.parse().ok());
    for line in stdout.lines() {
        let healthy = " is healthy: successfully committed proposal: took = ";
        if let Some((endpoint, took)) = line.split_once(healthy) {
            figures.took.insert(endpoint.into(), duration(took));
        }
        if let Some((endpoint, took)) =
            line.strip_prefix("Finished defragmenting etcd member[").and_then(|l| l.split_once("]. took "))
        {
            figures.took.insert(endpoint.into(), duration(took));
        }
        let cells: Vec<&str> = match line.strip_prefix('|') {
            Some(row) => row.trim_end_matches('|').split('|').map(str::trim).collect(),
            None => line.split(", ").collect(),
        };
        cells_of(&cells, stdout, &mut figures);
    }
    if let Ok(Value::Array(list)) = serde_json::from_str(stdout) {
        list.iter().for_each(|item| json_of(item, &mut figures));
    }
    if let Ok(hash) = serde_json::from_str::<Value>(stdout)
        && hash["hashRevision"].is_number()
    {
        figures.file_hash = hash_of(&hash["hash"], &hash["hashRevision"], &hash["compactRevision"]);
    }
    fields_of(stdout, &mut figures);
    figures
}

fn cells_of(cells: &[&str], stdout: &str, figures: &mut Figures) {
    let number = |at: usize| cells.get(at).and_then(|cell| cell.parse::<i64>().ok()).unwrap_or(0);
    match cells {
        [endpoint, _, version, storage, total, used, percent, quota, leads, ..] if percent.ends_with('%') => {
            let (db_size, db_size_in_use) = sizes(total, used, percent);
            let status = Status {
                version: version.to_string(),
                storage_version: storage.to_string(),
                db_size,
                db_size_in_use,
                db_size_quota: if *quota == "2.1 MB" { 2_097_152 } else { 2_147_483_648 },
                raft_index: number(11).unsigned_abs(),
                raft_applied_index: number(12).unsigned_abs(),
                ..Status::default()
            };
            figures.status.insert(endpoint.to_string(), (status, Some(*leads == "true")));
        }
        [endpoint, "true", took, ""] => {
            figures.took.insert(endpoint.to_string(), duration(took));
        }
        [hash, revision, compacted] if stdout.lines().count() == 1 && hash.parse::<u32>().is_ok() => {
            let parsed = |text: &str| text.parse().unwrap_or(Value::Null);
            figures.file_hash = hash_of(&parsed(hash), &parsed(revision), &parsed(compacted));
        }
        [endpoint, hash, revision] if hash.parse::<u32>().is_ok() => {
            let parsed = |text: &str| text.parse().unwrap_or(Value::Null);
            figures.hashes.insert(endpoint.to_string(), hash_of(&parsed(hash), &parsed(revision), &Value::from(-1)));
        }
        [hash, _, _, total, version] if u32::from_str_radix(hash, 16).is_ok() && total.ends_with('B') => {
            figures.snapshot = SnapshotStatus {
                hash: u32::from_str_radix(hash, 16).unwrap_or(0),
                revision: number(1),
                total_key: number(2),
                total_size: sizes(total, total, "0%").0,
                version: version.to_string(),
            };
        }
        _ => {}
    }
}

fn hash_of(hash: &Value, revision: &Value, compacted: &Value) -> HashKv {
    HashKv {
        hash: hash.as_u64().and_then(|hash| u32::try_from(hash).ok()).unwrap_or(0),
        hash_revision: revision.as_i64().unwrap_or(0),
        compact_revision: compacted.as_i64().unwrap_or(0),
    }
}

fn json_of(item: &Value, figures: &mut Figures) {
    let endpoint = text(item, "Endpoint").to_string();
    if let Some(took) = item["took"].as_str() {
        figures.took.insert(text(item, "endpoint").into(), duration(took));
    }
    let (status, hash) = (&item["Status"], &item["HashKV"]);
    if hash.is_object() {
        let hash = hash_of(&hash["hash"], &hash["hash_revision"], &hash["compact_revision"]);
        figures.hashes.insert(endpoint.clone(), hash);
    }
    if status.is_object() {
        let number = |name: &str| status[name].as_i64().unwrap_or(0);
        let status = Status {
            version: text(status, "version").into(),
            storage_version: text(status, "storageVersion").into(),
            db_size: number("dbSize"),
            db_size_in_use: number("dbSizeInUse"),
            db_size_quota: number("dbSizeQuota"),
            leader: status["leader"].as_u64().unwrap_or(0),
            raft_index: number("raftIndex").unsigned_abs(),
            raft_applied_index: number("raftAppliedIndex").unsigned_abs(),
            ..Status::default()
        };
        figures.status.insert(endpoint, (status, None));
    }
}

fn fields_of(stdout: &str, figures: &mut Figures) {
    let fields: BTreeMap<&str, &str> = stdout.lines().filter_map(|line| line.split_once(" : ")).collect();
    let value = |name: &str| fields.get(format!("\"{name}\"").as_str()).map_or("", |v| v.trim_matches('"'));
    let number = |name: &str| value(name).parse::<i64>().unwrap_or(0);
    if fields.contains_key("\"DBSize\"") {
        let status = Status {
            version: value("Version").into(),
            storage_version: value("StorageVersion").into(),
            db_size: number("DBSize"),
            db_size_in_use: number("DBSizeInUse"),
            db_size_quota: number("DBSizeQuota"),
            raft_index: number("RaftIndex").unsigned_abs(),
            raft_applied_index: number("RaftAppliedIndex").unsigned_abs(),
            ..Status::default()
        };
        figures.status.insert(value("Endpoint").into(), (status, None));
    }
}

/// Sizes in whole pages that print as these.
fn sizes(total: &str, used: &str, percent: &str) -> (i64, i64) {
    let pages = |text: &str| (1..1000).map(|n| n * PAGE).filter(|n| size(*n) == text).collect::<Vec<i64>>();
    let unused = |total: i64, used: i64| format!("{}%", 100 - used * 100 / total);
    let used = pages(used);
    let pairs = pages(total).into_iter().flat_map(|total| used.iter().map(move |used| (total, *used)));
    pairs.into_iter().find(|(total, used)| unused(*total, *used) == percent).unwrap_or((0, 0))
}

fn duration(text: &str) -> i64 {
    super::flags::parse_duration(text).unwrap_or(0)
}
