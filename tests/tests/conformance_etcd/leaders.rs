//! How long a cluster is without a leader: recorded runs are samples, so ours are as well, and the two are compared as distributions.
//!
//! For each quantity: the median of ours lies in the recorded range, widened by a quarter of its middle (few runs were recorded), and
//! nine tenths of ours lie in that wider range, too. Of terms and error texts ours must be among the recorded. How long a process takes
//! to come up or to go has only an upper bound.

use serde_json::Value;
use wavetank::session::Signal;
use wavetank::shell::{Output, Shell};

use super::host::{Host, setup};
use super::{Score, text};

/// How many runs of ours are looked at.
const RUNS: u64 = 24;
const SECOND: f64 = 1e9;
/// The recorder polled so often. [ns]
const POLL: u64 = 10_000_000;
const EVERYWHERE: &str = "127.0.0.1:2379,127.0.0.1:3379,127.0.0.1:4379";

/// Plays a case of runs.
pub fn play(case: &Value) -> Score {
    let runs: Vec<&Value> = case["runs"].as_array().into_iter().flatten().collect();
    let mut score = Score::default();
    if runs.iter().any(|run| run["put_accepted_after_s"].is_number()) {
        let ours: Vec<Killed> = (1..=RUNS).map(killed).collect();
        quantity("put_accepted_after_s", &runs, ours.iter().map(|run| run.accepted).collect(), &mut score);
        // A simulated process has no data to load: it is healthy no later than the recorded ones.
        no_later("restart_healthy_after_s", &runs, ours.iter().map(|run| run.healthy).collect(), &mut score);
        let mut errors: Vec<&str> = Vec::new();
        for run in &runs {
            errors.extend(run["errors"].as_array().into_iter().flatten().map(|error| text(error, "error")));
        }
        let strange: Vec<&String> =
            ours.iter().flat_map(|run| &run.errors).filter(|error| !errors.contains(&error.as_str())).collect();
        let result = if strange.is_empty() { Ok(()) } else { Err(format!("{strange:?} are not recorded")) };
        score.unit(|| "errors".into(), result);
    }
    let (stopped, killed): (Vec<&Value>, Vec<&Value>) = runs.iter().partition(|run| text(run, "signal") == "SIGTERM");
    if killed.iter().any(|run| run["new_leader_seen_s"].is_number()) {
        let ours: Vec<Elected> = (1..=RUNS).map(|seed| elected(seed, Signal::Kill)).collect();
        quantity("new_leader_seen_s", &killed, ours.iter().map(|run| run.seen).collect(), &mut score);
        quantity("first_put_ok_s", &killed, ours.iter().map(|run| run.put).collect(), &mut score);
        let terms: Vec<&str> = killed.iter().map(|run| text(run, "raft_term")).collect();
        let strange: Vec<u64> =
            ours.iter().map(|run| run.term).filter(|term| !terms.contains(&term.to_string().as_str())).collect();
        // More than one round of votes is rare, but not wrong.
        let result = if strange.len() * 10 <= ours.len() { Ok(()) } else { Err(format!("terms {strange:?}")) };
        score.unit(|| "raft_term".into(), result);
    }
    if !stopped.is_empty() {
        let ours: Vec<Elected> = (1..=RUNS).map(|seed| elected(seed, Signal::Terminate)).collect();
        let after_exit = ours.iter().map(|run| run.put - run.exit).collect();
        no_later("put_accepted_after_exit_s", &stopped, after_exit, &mut score);
        no_later("process_exit_after_s", &stopped, ours.iter().map(|run| run.exit).collect(), &mut score);
    }
    score
}

/// What hangs on the recorder's machine has only an upper bound: a quarter above the longest recorded.
fn no_later(name: &str, runs: &[&Value], ours: Vec<f64>, score: &mut Score) {
    let most = runs.iter().filter_map(|run| run[name].as_f64()).fold(0.0, f64::max);
    let late = ours.iter().filter(|value| **value > most * 1.25).count();
    let result = if late == 0 { Ok(()) } else { Err(format!("{late} of {RUNS} take longer than {most} s")) };
    score.unit(|| name.to_owned(), result);
}

fn quantity(name: &str, runs: &[&Value], mut ours: Vec<f64>, score: &mut Score) {
    let recorded: Vec<f64> = runs.iter().filter_map(|run| run[name].as_f64()).collect();
    if recorded.is_empty() {
        return;
    }
    let least = recorded.iter().copied().fold(f64::INFINITY, f64::min);
    let most = recorded.iter().copied().fold(0.0, f64::max);
    let slack = (least + most) / 8.0;
    ours.sort_by(f64::total_cmp);
    let inside = |value: f64| (least - slack..=most + slack).contains(&value);
    let median = ours[ours.len() / 2];
    let within = ours.iter().filter(|value| inside(**value)).count();
    let agrees = inside(median) && within * 10 >= ours.len() * 9;
    let why = || {
        let (first, last) = (ours[0], ours[ours.len() - 1]);
        format!(
            "want {least} to {most} s; got {first:.3} to {last:.3} s, median {median:.3} s, {within} of {RUNS} within"
        )
    };
    let result = if agrees { Ok(()) } else { Err(why()) };
    score.unit(|| name.to_owned(), result);
}

struct Killed {
    accepted: f64,
    healthy: f64,
    errors: Vec<String>,
}

struct Elected {
    exit: f64,
    seen: f64,
    put: f64,
    term: u64,
}

/// A cluster some time after its start, and the leader's number.
fn cluster(seed: u64) -> (Host, u8) {
    let leader = (seed % 3) as u8;
    let mut host = Host::new(setup(3, leader, &[], seed));
    host.pass(seed * 37_000_000 % 1_000_000_000);
    (host, leader)
}

fn put(host: &mut Host, endpoints: &str) -> Output {
    host.line(&mut Shell::default(), &format!("etcdctl --endpoints={endpoints} put a 1")).0
}

fn survivors(leader: u8) -> String {
    let all = EVERYWHERE.split(',').zip(0..);
    all.filter(|(_, number)| *number != leader).map(|(address, _)| address).collect::<Vec<_>>().join(",")
}

/// The leader is killed; then puts through the others until one is accepted.
fn killed(seed: u64) -> Killed {
    let (mut host, leader) = cluster(seed);
    let began = host.session.now();
    host.session.stop_etcd(leader, Signal::Kill);
    let mut errors = Vec::new();
    loop {
        let output = put(&mut host, &survivors(leader));
        if output.code == 0 {
            break;
        }
        errors.push(output.stderr.trim_end().to_owned());
    }
    let accepted = (host.session.now() - began) as f64 / SECOND;
    let again = host.session.now();
    host.session.start_etcd(&format!("m{}.etcd", leader + 1)).expect("a data directory");
    while !host.session.etcd_metrics(leader).is_some_and(|(_, gauges, _)| gauges.has_leader) {
        host.pass(POLL);
    }
    // The process loads its data first; the recorder's looks were 50 ms apart.
    let healthy = (host.session.now() - again) as f64 / SECOND;
    Killed { accepted, healthy, errors }
}

/// The leader ends; the others are polled for a new one, and asked to put.
fn elected(seed: u64, signal: Signal) -> Elected {
    let (mut host, leader) = cluster(seed);
    let began = host.session.now();
    host.session.stop_etcd(leader, signal);
    let since = |host: &Host| (host.session.now() - began) as f64 / SECOND;
    while host.session.world().etcd()[usize::from(leader)].running() {
        host.pass(POLL);
    }
    let exit = since(&host);
    let others: Vec<u8> = (0..3).filter(|number| *number != leader).collect();
    let chosen = loop {
        let leads = |number: &&u8| host.session.world().etcd()[usize::from(**number)].raft().is_leader();
        if let Some(number) = others.iter().find(leads) {
            break *number;
        }
        host.pass(POLL);
    };
    let seen = since(&host);
    let address = EVERYWHERE.split(',').nth(usize::from(chosen)).unwrap_or_default();
    while put(&mut host, address).code != 0 {}
    let term = host.session.world().etcd()[usize::from(chosen)].raft().term();
    Elected { exit, seen, put: since(&host), term }
}
