//! Where a real API server keeps its objects, against where ours does.

use serde_json::Value;
use wavetank::etcdctl::Tool;
use wavetank::session::{Overrides, Session};
use wavetank_engine::objects::Kind;

use super::{Score, text};

/// What API servers write to find each other: framed as Endpoints, but served to nobody.
const OWN_RECORDS: [&str; 2] = ["/registry/masterleases/", "/registry/peerserverleases/"];

/// Each type that the simulator serves: the prefix of its keys, and that its values are framed as protobuf ones are.
pub fn play(case: &Value) -> Score {
    let mut score = Score::default();
    let mut cluster = Session::create(&Value::Null, &Overrides::default()).expect("a cluster");
    let mut unserved = 0;
    for recorded in case["types"].as_array().into_iter().flatten() {
        let named = &recorded["stored_apiVersion_kind"];
        if OWN_RECORDS.contains(&text(recorded, "prefix")) {
            unserved += 1;
            continue;
        }
        let (version, name) = (named[0].as_str().unwrap_or_default(), named[1].as_str().unwrap_or_default());
        let Some(kind) =
            Kind::ALL.iter().find(|kind| kind.name() == name && group(kind.api_version()) == group(version))
        else {
            unserved += 1;
            continue;
        };
        score.unit(|| format!("{version} {name}"), kept(*kind, recorded, &mut cluster));
    }
    println!("  ({unserved} recorded types are not simulated)");
    score
}

fn group(version: &str) -> &str {
    version.rsplit_once('/').map_or("", |(group, _)| group)
}

fn kept(kind: Kind, recorded: &Value, cluster: &mut Session) -> Result<(), String> {
    let (ours, theirs) = (kind.key_prefix(), text(recorded, "prefix"));
    if ours != theirs {
        return Err(format!("want {theirs}, got {ours}"));
    }
    let example = text(recorded, "example_key").trim_start_matches(theirs);
    if example.contains('/') != kind.namespaced() {
        return Err(format!("want keys like {example}"));
    }
    let get = ["get", theirs, "--prefix", "--limit=1"].map(str::to_owned).to_vec();
    let process = cluster.start_etcdctl(Tool::Etcdctl, get, None, Vec::new());
    let exit = loop {
        match cluster.poll(process) {
            Some(exit) => break exit,
            None => drop(cluster.step()),
        }
    };
    // A kind of which a fresh cluster has none shows nothing.
    let framed = exit.stdout.lines().nth(1).is_none_or(|value| value.starts_with("k8s\0"));
    let protobuf = text(recorded, "value_encoding").starts_with("protobuf");
    if framed == protobuf { Ok(()) } else { Err(format!("framed as protobuf: want {protobuf}, got {framed}")) }
}
