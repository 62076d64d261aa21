//! The keys of `cluster(…)` that say which processes the control plane has.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use wavetank_engine::apiserver::validation::names;
use wavetank_engine::objects::Name;
use wavetank_engine::process::Process;
use wavetank_engine::scheduler::config::SchedulerConfiguration;
use wavetank_engine::setup::{MOST_REPLICAS, SchedulerSpec, Setup};

use super::{keys, known, text};
use crate::scheduler_file;
use crate::session::Overrides;

/// The scheduler every cluster has.
const DEFAULT: &str = "kube-scheduler";

/// A scheduler program, which may run several times.
struct Program {
    name: Name,
    configuration: Arc<SchedulerConfiguration>,
    replicas: u8,
}

/// Reads the keys into the setup; its etcd members and nodes are known already.
pub(super) fn control_plane(map: &Map<String, Value>, overrides: &Overrides, setup: &mut Setup) -> Result<(), String> {
    setup.api_servers = replicas(map, "api_servers")?;
    setup.controller_managers = replicas(map, "controller_managers")?;
    setup.schedulers = processes(&schedulers(map, overrides)?)?;
    let all: Vec<Process> = Process::control_plane(setup).collect();
    for (place, process) in all.iter().enumerate() {
        let name = process.name(setup);
        let taken = all.iter().take(place).any(|other| other.name(setup) == name)
            || name.starts_with("etcd-")
            || setup.nodes.iter().any(|node| *node.name == *name);
        if taken {
            return Err(format!("two things cannot both be called `{name}`\nchoose another `name` in `schedulers`"));
        }
    }
    Ok(())
}

fn schedulers(map: &Map<String, Value>, overrides: &Overrides) -> Result<Vec<Program>, String> {
    let configuration = match (&overrides.scheduler, map.get("scheduler")) {
        (Some(configuration), _) => configuration.clone(),
        (None, Some(value)) => scheduler_file::from_script("scheduler", value, &overrides.folder)?,
        (None, None) => SchedulerConfiguration::default(),
    };
    let default = Program { name: DEFAULT.into(), configuration: Arc::new(configuration), replicas: 1 };
    match map.get("schedulers") {
        None => Ok(vec![default]),
        Some(Value::Array(list)) => {
            let mut all = vec![default];
            for value in list {
                let program = program(value, &overrides.folder, map.contains_key("scheduler"), &all)?;
                match all.iter_mut().find(|other| other.name == program.name) {
                    Some(default) => *default = program,
                    None => all.push(program),
                }
            }
            Ok(all)
        }
        Some(_) => Ok(vec![Program { replicas: replicas(map, "schedulers")?, ..default }]),
    }
}

/// An entry of the list: another scheduler, or more about the one every cluster has.
fn program(value: &Value, folder: &Path, has_default: bool, before: &[Program]) -> Result<Program, String> {
    let Value::Object(map) = value else {
        return Err(format!(
            "a scheduler in `schedulers` is a map like #{{ name: \"my-scheduler\", configuration: \
            \"my-scheduler.yaml\" }}, not {value}"
        ));
    };
    known("a scheduler in `schedulers`", map, keys::SCHEDULER)?;
    let name = text(map, "name")?.ok_or("a scheduler in `schedulers` needs a `name`, such as \"my-scheduler\"")?;
    if !names::dns_subdomain(name).is_empty() {
        return Err(format!("`name` of a scheduler is of lower-case letters, digits, `-` and `.`, not \"{name}\""));
    }
    let own = before.iter().find(|other| *other.name == *name);
    if own.is_some() && name != DEFAULT {
        return Err(format!(
            "`schedulers` names \"{name}\" twice\nfor more processes of one scheduler say `replicas: 2`"
        ));
    }
    if own.is_some() && has_default && map.contains_key("configuration") {
        return Err(format!("`scheduler` and `configuration` of \"{DEFAULT}\" in `schedulers` say the same; give one"));
    }
    let configuration = match (map.get("configuration"), own) {
        (Some(value), _) => Arc::new(scheduler_file::from_script("configuration", value, folder)?),
        (None, Some(default)) => default.configuration.clone(),
        (None, None) => {
            return Err(format!(
                "the scheduler \"{name}\" needs a `configuration`: at least a profile with a schedulerName of its own, \
                 #{{ profiles: [#{{ schedulerName: \"{name}\" }}] }}"
            ));
        }
    };
    Ok(Program { name: name.into(), configuration, replicas: replicas(map, "replicas")? })
}

/// How many there are of something: one, where the map does not say.
fn replicas(map: &Map<String, Value>, key: &str) -> Result<u8, String> {
    let Some(value) = map.get(key) else { return Ok(1) };
    let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
    number.filter(|number| (1..=MOST_REPLICAS).contains(number)).ok_or_else(|| {
        let list = if key == "schedulers" { ", or a list of maps like #{ name: \"my-scheduler\", … }" } else { "" };
        format!("`{key}` is a whole number from 1 to {MOST_REPLICAS}{list}, not {value}")
    })
}

/// Each replica is a process.
fn processes(programs: &[Program]) -> Result<Vec<SchedulerSpec>, String> {
    let mut all = Vec::new();
    for Program { name, configuration, replicas } in programs {
        for replica in 0..*replicas {
            let process = if *replicas > 1 { format!("{name}-{replica}").into() } else { name.clone() };
            all.push(SchedulerSpec { process, replica, configuration: configuration.clone() });
        }
    }
    match all.len() <= usize::from(MOST_REPLICAS) {
        true => Ok(all),
        false => Err(format!("`schedulers` asks for {} processes; {MOST_REPLICAS} is the most", all.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::setup;
    use super::*;
    use serde_json::json;

    fn of(spec: Value) -> Result<Setup, String> {
        setup(&spec, &Overrides::default())
    }

    fn names(spec: Value) -> Vec<String> {
        let setup = of(spec).unwrap_or_else(|error| panic!("{error}"));
        Process::control_plane(&setup).map(|process| process.name(&setup)).collect()
    }

    #[test]
    fn replicas_are_numbered_and_the_only_one_is_not() {
        assert_eq!(names(json!({})), ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
        assert_eq!(
            names(json!({"controller_managers": 2, "schedulers": 2, "api_servers": 2})),
            [
                "kube-apiserver-0",
                "kube-apiserver-1",
                "kube-controller-manager-0",
                "kube-controller-manager-1",
                "kube-scheduler-0",
                "kube-scheduler-1"
            ]
        );
        let mine = json!({"name": "mine", "configuration": {"profiles": [{"schedulerName": "mine"}]}, "replicas": 2});
        let default = json!({"name": "kube-scheduler", "replicas": 2});
        assert_eq!(
            names(json!({"schedulers": [mine, default]}))[2..],
            ["kube-scheduler-0", "kube-scheduler-1", "mine-0", "mine-1"]
        );
    }

    #[test]
    fn each_scheduler_has_its_own_configuration_and_lease() {
        let mine = json!({
            "profiles": [{"schedulerName": "mine"}], "leaderElection": {"resourceName": "mine"},
        });
        let setup = of(json!({
            "scheduler": {"percentageOfNodesToScore": 100}, "schedulers": [{"name": "mine", "configuration": mine}],
        }))
        .unwrap();
        let of = |place: usize| &setup.schedulers[place].configuration;
        assert_eq!(of(0).profiles[0].percentage_of_nodes_to_score, 100);
        assert_eq!((&*of(0).election.name, &*of(1).election.name), ("kube-scheduler", "mine"));
        assert!(of(1).profile("mine").is_some() && of(1).profile("default-scheduler").is_none());
    }

    #[test]
    fn mistakes_are_named_with_what_would_be_right() {
        let wrong = |spec: Value| of(spec).err().unwrap_or_default();
        let mine = |more: Value| {
            let mut mine = json!({"name": "mine", "configuration": {"profiles": [{"schedulerName": "mine"}]}});
            more.as_object().into_iter().flatten().for_each(|(key, value)| mine[key] = value.clone());
            json!({"nodes": [{"name": "worker"}], "schedulers": [mine]})
        };
        for (spec, part) in [
            (json!({"api_servers": 0}), "`api_servers` is a whole number from 1 to 32, not 0"),
            (json!({"controller_managers": "two"}), "not \"two\""),
            (json!({"schedulers": "two"}), "or a list of maps"),
            (json!({"schedulers": ["mine"]}), "is a map like"),
            (json!({"schedulers": [{"replicas": 2}]}), "needs a `name`"),
            (json!({"schedulers": [{"name": "mine"}]}), "schedulerName: \"mine\""),
            (mine(json!({"name": "My_Scheduler"})), "lower-case"),
            (mine(json!({"name": "kube-apiserver"})), "both be called `kube-apiserver`"),
            (mine(json!({"name": "worker"})), "both be called `worker`"),
            (mine(json!({"name": "etcd-0"})), "both be called `etcd-0`"),
            (mine(json!({"replica": 2})), "does not know the key `replica`"),
            (mine(json!({"replicas": 40})), "from 1 to 32"),
            (mine(json!({"configuration": {"profile": []}})), "`configuration`: "),
        ] {
            let text = wrong(spec.clone());
            assert!(text.contains(part), "{spec}: {text}");
        }
        assert!(wrong(mine(json!({"replica": 2}))).contains("replicas"));
        let twice = json!({"name": "mine", "configuration": {}});
        assert!(wrong(json!({"schedulers": [twice, twice]})).contains("twice"));
        let both = json!({"name": "kube-scheduler", "configuration": {}});
        assert!(wrong(json!({"scheduler": {}, "schedulers": [both]})).contains("give one"));
    }
}
