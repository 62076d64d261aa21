//! A session is a value: forked and run on, it gives what running straight through gives.

use serde_json::json;
use wavetank::session::{Overrides, Session};

const SECOND: u64 = 1_000_000_000;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn session(members: u8) -> Session {
    let mut spec = json!({"nodes": 5, "etcd": members, "seed": 11});
    if members > 1 {
        // Several of everything.
        spec["api_servers"] = 3.into();
        spec["schedulers"] = 2.into();
        spec["controller_managers"] = 2.into();
    }
    Session::create(&spec, &Overrides::default()).expect("a cluster")
}

fn trace(session: &Session) -> String {
    let mut bytes = Vec::new();
    session.trace_jsonl(&mut bytes).expect("memory takes everything");
    String::from_utf8(bytes).expect("text")
}

/// Commands in the middle of which the run is forked.
fn play(session: &mut Session, from: usize, to: usize) {
    let steps = [
        "create deployment web --image=nginx:1.25 --replicas=4",
        "get pods -w --request-timeout=20s",
        "set image deployment/web nginx=nginx:1.26",
        "rollout status deployment/web",
        "scale deployment web --replicas=2",
    ];
    for (n, step) in steps.iter().enumerate().take(to).skip(from) {
        session.start_kubectl(words(step), None);
        session.run_until((n as u64 + 1) * 2 * SECOND + 123_456_789);
    }
}

#[test]
fn forked_and_continued_equals_run_straight_through() {
    for members in [1, 3] {
        let mut straight = session(members);
        play(&mut straight, 0, 5);
        for fork_after in 1..5 {
            let mut first = session(members);
            play(&mut first, 0, fork_after);
            let mut fork = first.clone();
            // What the original does after the fork is nobody else's business.
            first.start_kubectl(words("delete deployment web"), None);
            first.run_until(30 * SECOND);
            play(&mut fork, fork_after, 5);
            assert_eq!(trace(&fork), trace(&straight), "{members} members, forked after {fork_after} steps");
            assert_eq!(fork.statistics(), straight.statistics());
        }
    }
}

#[test]
fn a_trace_that_is_not_kept_has_the_same_fingerprint() {
    let mut kept = session(1);
    let spec = json!({"nodes": 5, "etcd": 1, "seed": 11, "trace": "fingerprint"});
    let mut hashed = Session::create(&spec, &Overrides::default()).expect("a cluster");
    play(&mut kept, 0, 5);
    play(&mut hashed, 0, 5);
    assert!(!kept.world().trace().records().is_empty());
    assert_eq!(hashed.world().trace().records().len(), 0);
    assert_eq!(kept.statistics(), hashed.statistics());
}

/// Every record but what came from outside has a cause that lies before it, and every pod's start leads back to a command.
#[test]
fn every_record_has_a_cause_before_it() {
    let mut session = session(3);
    play(&mut session, 0, 5);
    let trace = session.world().trace();
    let records = trace.records();
    for record in records {
        assert!(record.cause < record.id, "{record:?}");
    }
    let started = records.iter().filter(|record| {
        matches!(&record.note.what, wavetank_engine::trace::What::Pod { step, .. } if step.as_str() == "container-started")
    });
    let mut seen = 0;
    for record in started {
        seen += 1;
        let chain = trace.causes(record.id);
        let first = chain.last().expect("a chain has an end");
        let command = matches!(first.note.what, wavetank_engine::trace::What::Command { .. });
        assert!(command, "the chain of {record:?} ends with {first:?}");
    }
    assert!(seen >= 5, "{seen} containers started");
}
