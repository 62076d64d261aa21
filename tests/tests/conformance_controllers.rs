//! Answers of the real controllers: Deployment, ReplicaSet and HorizontalPodAutoscaler arithmetic, names, hashes, back-offs.
//!
//! Each line of the vectors is one call of a function of kube-controller-manager, of client-go, of the kubelet or of the scheduler with
//! its result; the function that answers here is the one that the simulated component uses. With `--nocapture` a line
//! `controllers/KIND matched N of N` is printed for each kind, and the first differences are shown. `WAVETANK_CONFORMANCE=DIR` reads
//! another folder of the same layout.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};
use wavetank_engine::apiserver::defaulting::default_behavior;
use wavetank_engine::client::backoff::{Backoff, ItemBackoff};
use wavetank_engine::controllers::deployment::arithmetic::{
    Bound, DeploymentSize, ReplicaSetSize, Rollout, Scaling, Which, new_replica_set_size, proportion, reconcile_new,
    reconcile_old, resolve_fenceposts, scale,
};
use wavetank_engine::controllers::deployment::revision::{DESIRED_REPLICAS, MAX_REPLICAS, replica_set_name};
use wavetank_engine::controllers::horizontal_pod_autoscaler::normalize::{
    Behavior, History, Recommendation, ScaleEvent, Sizes, normalize,
};
use wavetank_engine::controllers::horizontal_pod_autoscaler::replicas::{
    Pod, PodMetric, PodMetrics, Question, Ready, Stage, Tolerances,
};
use wavetank_engine::controllers::replicaset::ranking::{
    Candidate, DELETION_COST, RankedPhase, SlowStart, crowding, deletion_cost, pods_to_delete,
};
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::calendar::parse_rfc3339;
use wavetank_engine::objects::quantity::Quantity;
use wavetank_engine::objects::suffix::safe_encode;
use wavetank_engine::objects::template_hash;
use wavetank_engine::scheduler::profile::Profile;

/// How many differences of a kind are shown.
const SHOWN: usize = 3;
/// How many kinds of calls the project's own vectors have.
const KINDS: usize = 18;

#[test]
fn conformance_controllers() {
    #[allow(clippy::disallowed_methods, reason = "where the vectors lie is no part of a run")]
    let other = std::env::var("WAVETANK_CONFORMANCE").ok().map(PathBuf::from);
    let own = other.is_none();
    let folder = other.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance")));
    let mut kinds: BTreeMap<String, (usize, usize, Vec<String>)> = BTreeMap::new();
    for line in vectors(folder).lines() {
        let vector: Value = serde_json::from_str(line).expect("a vector is JSON");
        let (input, expected) = (&vector["input"], &vector["output"]);
        let answer = answer(text(&vector["kind"]), input, expected);
        let (matched, all, wrong) = kinds.entry(text(&vector["kind"]).to_owned()).or_default();
        *all += 1;
        if answer == *expected {
            *matched += 1;
        } else {
            wrong.push(format!("{}\n  input    {input}\n  expected {expected}\n  got      {answer}", vector["id"]));
        }
    }
    // The test harness may have begun a line.
    println!();
    let mut failed = Vec::new();
    for (kind, (matched, all, wrong)) in &kinds {
        println!("controllers/{kind} matched {matched} of {all}");
        wrong.iter().take(SHOWN).for_each(|difference| println!("{difference}"));
        if matched < all {
            failed.push(format!("{kind}: {} of {all} differ", all - matched));
        }
    }
    assert!(!own || kinds.len() == KINDS, "{} kinds of vectors", kinds.len());
    assert!(failed.is_empty(), "{}", failed.join("; "));
}

fn vectors(folder: PathBuf) -> String {
    let path = folder.join("controllers/controllers.jsonl.gz");
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("the vectors are gzip");
    text
}

fn answer(kind: &str, input: &Value, expected: &Value) -> Value {
    match kind {
        "resolve_fenceposts" => fenceposts(input),
        "deployment_bounds" => bounds(input),
        "new_rs_new_replicas" => new_size(input),
        "rs_proportion" => share(input),
        "deployment_scale" => scale_all(input),
        "deployment_reconcile_new" => step_new(input),
        "deployment_reconcile_old" => step_old(input),
        "pod_template_hash" => hash(input),
        "safe_encode" => json!({ "encoded": safe_encode(text(&input["s"])) }),
        "rs_name" => json!({ "name": replica_set_name(text(&input["deploymentName"]), text(&input["hash"])) }),
        "rs_delete_order" => delete_order(input),
        "slow_start_batch" => slow_start(input),
        "backoff" => backoff(input, expected),
        "workqueue_backoff" => workqueue(input, expected),
        "hpa_resource_utilization" => resource_utilization(input),
        "hpa_resource_average_value" => average_value(input),
        "hpa_normalize" => normalized(input),
        "num_feasible_nodes_to_find" => nodes_wanted(input, expected),
        _ => json!("unknown kind of vector"),
    }
}

fn fenceposts(input: &Value) -> Value {
    match resolve_fenceposts(bound(&input["maxSurge"]), bound(&input["maxUnavailable"]), int(&input["desired"])) {
        Ok((surge, unavailable)) => json!({ "surge": surge, "unavailable": unavailable, "error": null }),
        Err(error) => json!({ "surge": 0, "unavailable": 0, "error": error.to_string() }),
    }
}

fn bounds(input: &Value) -> Value {
    let deployment =
        DeploymentSize { replicas: int(&input["replicas"]), status_replicas: 0, rollout: rollout(&input["strategy"]) };
    json!({
        "maxSurge": deployment.max_surge(),
        "maxUnavailable": deployment.max_unavailable(),
        "minAvailable": deployment.min_available(),
    })
}

fn new_size(input: &Value) -> Value {
    let deployment =
        DeploymentSize { replicas: int(&input["replicas"]), status_replicas: 0, rollout: rollout(&input["strategy"]) };
    let new = int(&input["newRSReplicas"]);
    let total = list(&input["oldRSReplicas"]).iter().map(int).sum::<i32>() + new;
    match new_replica_set_size(&deployment, total, new) {
        Ok(size) => json!({ "newReplicas": size, "error": null }),
        Err(error) => json!({ "newReplicas": 0, "error": error.to_string() }),
    }
}

fn share(input: &Value) -> Value {
    let deployment = DeploymentSize {
        replicas: int(&input["deploymentReplicas"]),
        status_replicas: int(&input["deploymentStatusReplicas"]),
        rollout: rollout(&input["strategy"]),
    };
    let max = input["rsAnnotations"][MAX_REPLICAS].as_str();
    let (replicas, to_add, added) = (int(&input["rsReplicas"]), int(&input["toAdd"]), int(&input["added"]));
    json!({ "proportion": proportion(&deployment, replicas, max, to_add, added) })
}

fn scale_all(input: &Value) -> Value {
    let sets = Sets::read(input);
    let plan = scale(&sets.deployment, sets.new.as_ref(), &sets.old);
    sets.after(&plan, None)
}

fn step_new(input: &Value) -> Value {
    let sets = Sets::read(input);
    let new = sets.new.as_ref().expect("a new set");
    match reconcile_new(&sets.deployment, new, &sets.old) {
        Ok(step) => sets.after(step.as_slice(), Some(step.is_some())),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn step_old(input: &Value) -> Value {
    let sets = Sets::read(input);
    let new = sets.new.as_ref().expect("a new set");
    match reconcile_old(&sets.deployment, new, &sets.old) {
        Ok(plan) => sets.after(&plan, Some(!plan.is_empty())),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// A Deployment and its ReplicaSets, as the vectors have them.
struct Sets<'a> {
    deployment: DeploymentSize<'a>,
    new: Option<ReplicaSetSize<'a>>,
    old: Vec<ReplicaSetSize<'a>>,
}

impl<'a> Sets<'a> {
    fn read(input: &'a Value) -> Self {
        let deployment = &input["deployment"];
        let set = |set: &'a Value| ReplicaSetSize {
            name: text(&set["name"]),
            created: moment(&set["creationTimestamp"]),
            replicas: int(&set["replicas"]),
            available: int(&set["availableReplicas"]),
            desired_annotation: set["annotations"][DESIRED_REPLICAS].as_str(),
            max_annotation: set["annotations"][MAX_REPLICAS].as_str(),
        };
        Sets {
            deployment: DeploymentSize {
                replicas: int(&deployment["replicas"]),
                status_replicas: int(&deployment["statusReplicas"]),
                rollout: rollout(&deployment["strategy"]),
            },
            new: Some(&input["newRS"]).filter(|new| !new.is_null()).map(set),
            old: list(&input["oldRSs"]).iter().map(set).collect(),
        }
    }

    /// Sizes and annotations once the plan is carried out.
    fn after(&self, plan: &[Scaling], scaled: Option<bool>) -> Value {
        let (mut replicas, mut annotations) = (BTreeMap::new(), BTreeMap::new());
        for set in self.old.iter().chain(&self.new) {
            replicas.insert(set.name, set.replicas);
            let text = |annotation: Option<&str>| annotation.unwrap_or("").to_owned();
            annotations.insert(set.name, (text(set.desired_annotation), text(set.max_annotation)));
        }
        for step in plan {
            let set = match step.set {
                Which::New => self.new.as_ref().expect("a new set"),
                Which::Old(place) => &self.old[place],
            };
            let size = replicas.insert(set.name, step.to);
            assert_eq!(size, Some(step.from), "the plan starts from the size there is");
            let (desired, max) = (self.deployment.replicas.to_string(), self.deployment.max_replicas().to_string());
            annotations.insert(set.name, (desired, max));
        }
        let annotations: BTreeMap<&str, Value> = annotations
            .into_iter()
            .map(|(name, (desired, max))| (name, json!({ "desired": desired, "max": max })))
            .collect();
        let mut after = json!({ "replicas": replicas, "annotations": annotations, "error": null });
        if let Some(scaled) = scaled {
            after["scaled"] = json!(scaled);
        }
        after
    }
}

fn hash(input: &Value) -> Value {
    let template = serde_json::from_value(input["template_defaulted"].clone()).expect("a template");
    let collisions = input["collisionCount"].as_i64().map(|count| count as i32);
    let mut dump = String::new();
    template_hash::dump(&template, &mut |piece| dump.push_str(piece));
    json!({ "hash": template_hash::pod_template_hash(&template, collisions), "hash_input": dump })
}

fn delete_order(input: &Value) -> Value {
    let pods = list(&input["pods"]);
    let node = |pod: &'_ Value| pod["spec"]["nodeName"].as_str().map(str::to_owned);
    let related: Vec<Option<String>> =
        pods.iter().chain(list(&input["other_related_pods"])).filter(|pod| active(pod)).map(node).collect();
    let crowds = crowding(related.iter().map(Option::as_deref));
    let crowd = |pod: &Value| crowds.get(&pod["spec"]["nodeName"].as_str()).copied().unwrap_or(0);
    let candidates: Vec<Candidate<'_>> = pods.iter().map(|pod| candidate(pod, crowd(pod))).collect();
    let now = moment(&input["now"]);
    // Asking for all would leave the order as it is; the last one is what no smaller number picks.
    let mut order = pods_to_delete(&candidates, pods.len().saturating_sub(1), now);
    order.extend((0..pods.len()).find(|place| !order.contains(place)));
    let name = |pod: &Value| text(&pod["metadata"]["name"]).to_owned();
    let rank: BTreeMap<String, usize> = pods.iter().map(|pod| (name(pod), crowd(pod))).collect();
    json!({ "rank": rank, "order": order.iter().map(|place| name(&pods[*place])).collect::<Vec<_>>() })
}

fn active(pod: &Value) -> bool {
    !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        && pod["metadata"]["deletionTimestamp"].is_null()
}

fn candidate(pod: &Value, crowding: usize) -> Candidate<'_> {
    let status = &pod["status"];
    let ready = list(&status["conditions"]).iter().find(|condition| condition["type"] == "Ready");
    let sidecars: Vec<&Value> = list(&pod["spec"]["initContainers"])
        .iter()
        .filter(|container| container["restartPolicy"] == "Always")
        .map(|container| &container["name"])
        .collect();
    let most = |statuses: &Value, counts: &dyn Fn(&Value) -> bool| {
        list(statuses)
            .iter()
            .filter(|status| counts(status))
            .map(|status| int(&status["restartCount"]))
            .max()
            .unwrap_or(0)
    };
    Candidate {
        node: pod["spec"]["nodeName"].as_str(),
        phase: match text(&status["phase"]) {
            "Pending" => RankedPhase::Pending,
            "Unknown" => RankedPhase::Unknown,
            _ => RankedPhase::Running,
        },
        ready_since: ready
            .filter(|condition| condition["status"] == "True")
            .map(|condition| moment(&condition["lastTransitionTime"])),
        deletion_cost: deletion_cost(pod["metadata"]["annotations"][DELETION_COST].as_str()),
        crowding,
        restarts: (
            most(&status["containerStatuses"], &|_| true),
            most(&status["initContainerStatuses"], &|status| sidecars.contains(&&status["name"])),
        ),
        created: moment(&pod["metadata"]["creationTimestamp"]),
        uid: u128::from_str_radix(&text(&pod["metadata"]["uid"]).replace('-', ""), 16).expect("a uid"),
    }
}

fn slow_start(input: &Value) -> Value {
    let count = |value: &Value| usize::try_from(int(value)).expect("a count");
    let (allowed, mut calls, mut successes) = (count(&input["failAfterCalls"]), 0, 0);
    let mut slow = SlowStart::new(count(&input["count"]), count(&input["initialBatchSize"]));
    while let Some(batch) = slow.next_batch() {
        calls += batch;
        successes = calls.min(allowed);
        if calls > allowed {
            break;
        }
    }
    json!({ "calls": calls, "successes": successes, "failed": calls > allowed })
}

fn backoff(input: &Value, expected: &Value) -> Value {
    let seconds = |value: &Value| Duration::from_secs(value.as_u64().expect("seconds"));
    let mut backoff = Backoff::new(seconds(&input["initial_s"]), seconds(&input["max_s"]));
    let steps = list(&expected["steps"]).iter().map(|step| {
        let now = Instant::START + seconds(&step["at_s"]);
        let before = backoff.waits_since_step(&"key", now);
        backoff.step("key", now, now);
        let next = backoff.get(&"key").as_nanos() / 1_000_000_000;
        json!({ "at_s": step["at_s"], "in_backoff_since_update_before": before, "next_s": next })
    });
    json!({ "steps": steps.collect::<Vec<_>>() })
}

fn workqueue(input: &Value, expected: &Value) -> Value {
    let ms = |value: &Value| Duration::from_millis(value.as_u64().expect("milliseconds"));
    let mut backoff = ItemBackoff::new(ms(&input["base_ms"]), ms(&input["max_ms"]));
    let delays = list(&expected["delays_ms"]).iter().map(|_| backoff.failed("item").as_nanos() / 1_000_000);
    json!({ "delays_ms": delays.collect::<Vec<_>>() })
}

/// Now, in the autoscaler's vectors: late enough for everything they remember.
const NOW: Instant = Instant::from_nanos(10_000_000 * 1_000_000_000);

/// The moment that many seconds ago.
fn ago(seconds: &Value) -> Instant {
    let seconds = seconds.as_u64().expect("an age");
    Instant::from_nanos(NOW.as_nanos() - seconds * 1_000_000_000)
}

fn resource_utilization(input: &Value) -> Value {
    let target = int(&input["targetUtilization"]);
    match asked(input, &|question| question.resource_utilization(target)) {
        Ok(outcome) => json!({ "replicas": outcome.replicas, "utilization": outcome.percent,
            "rawAverage_milli": outcome.average, "error": null }),
        Err(error) => json!({ "replicas": 0, "utilization": 0, "rawAverage_milli": 0, "error": error }),
    }
}

fn average_value(input: &Value) -> Value {
    let target = input["targetAverageValue_milli"].as_i64().expect("a target");
    match asked(input, &|question| question.average_value(target)) {
        Ok(outcome) => json!({ "replicas": outcome.replicas, "usage_milli": outcome.average, "error": null }),
        Err(error) => json!({ "replicas": 0, "usage_milli": 0, "error": error }),
    }
}

fn asked<T>(input: &Value, ask: &dyn Fn(Question<'_>) -> Result<T, String>) -> Result<T, String> {
    let pods: Vec<Pod<'_>> = list(&input["pods"]).iter().map(pod).collect();
    let measured = |pod: &'_ Value| {
        let window = Duration::from_secs(pod["metric_window_s"].as_u64().expect("a window"));
        PodMetric { value: pod["metric_milli"].as_i64().expect("a value"), at: ago(&pod["metric_age_s"]), window }
    };
    let with_metric = list(&input["pods"]).iter().filter(|pod| pod.get("metric_milli").is_some());
    let metrics: PodMetrics<'_> = with_metric.map(|pod| (text(&pod["name"]), measured(pod))).collect();
    let tolerance = |direction: &str| input["tolerance"][direction].as_f64().expect("a tolerance");
    ask(Question {
        now: NOW,
        resource: text(&input["resource"]),
        current: int(&input["currentReplicas"]),
        pods: &pods,
        metrics: &metrics,
        tolerances: Tolerances { scale_down: tolerance("scaleDown"), scale_up: tolerance("scaleUp") },
    })
}

fn pod(pod: &Value) -> Pod<'_> {
    let request = pod["request"].as_str().map(|request| Quantity::parse(request).expect("a quantity").milli());
    Pod {
        name: text(&pod["name"]),
        stage: match (text(&pod["phase"]), pod["terminating"].as_bool()) {
            ("Failed", _) | (_, Some(true)) => Stage::Leaving,
            ("Pending", _) => Stage::Pending,
            _ => Stage::Running,
        },
        started: Some(ago(&pod["start_age_s"])),
        ready: Some(Ready { is_false: pod["ready"] == false, since: ago(&pod["ready_transition_age_s"]) }),
        request: request.ok_or("main"),
    }
}

fn normalized(input: &Value) -> Value {
    let behavior = (!input["behavior"].is_null()).then(|| {
        let mut behavior = serde_json::from_value(input["behavior"].clone()).expect("a behavior");
        default_behavior(&mut behavior);
        Behavior::of(&behavior)
    });
    let events = |events: &Value| {
        let event = |event: &Value| ScaleEvent { change: int(&event["change"]), at: ago(&event["age_s"]) };
        list(events).iter().map(event).collect()
    };
    let recommendation = |one: &Value| Recommendation { replicas: int(&one["replicas"]), at: ago(&one["age_s"]) };
    let mut history = History {
        recommendations: list(&input["recommendations"]).iter().map(recommendation).collect(),
        ups: events(&input["scaleUpEvents"]),
        downs: events(&input["scaleDownEvents"]),
    };
    let sizes = Sizes {
        min: int(&input["minReplicas"]),
        max: int(&input["maxReplicas"]),
        current: int(&input["currentReplicas"]),
        desired: int(&input["metricDesiredReplicas"]),
    };
    let outcome = normalize(sizes, behavior.as_ref(), &mut history, NOW);
    let condition = |is: bool, (reason, message): (&str, &str)| {
        let status = if is { "True" } else { "False" };
        json!({ "status": status, "reason": reason, "message": message })
    };
    json!({
        "desiredReplicas": outcome.replicas,
        "conditions": {
            "AbleToScale": condition(true, outcome.able),
            "ScalingLimited": condition(outcome.is_limited, outcome.limited),
        },
    })
}

fn nodes_wanted(input: &Value, expected: &Value) -> Value {
    let percentage = u32::try_from(int(&input["percentageOfNodesToScore"])).expect("a percentage");
    let profile = Profile { percentage_of_nodes_to_score: percentage, ..Profile::default() };
    let rows = list(&expected["table"]).iter().map(|row| {
        let nodes = row[0].as_u64().expect("a number");
        json!([nodes, profile.wanted(nodes)])
    });
    json!({ "table": rows.collect::<Vec<_>>() })
}

fn rollout(strategy: &Value) -> Rollout<'_> {
    match text(&strategy["type"]) {
        "Recreate" => Rollout::Recreate,
        _ => Rollout::RollingUpdate {
            max_surge: bound(&strategy["rollingUpdate"]["maxSurge"]),
            max_unavailable: bound(&strategy["rollingUpdate"]["maxUnavailable"]),
        },
    }
}

fn bound(value: &Value) -> Option<Bound<'_>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Bound::Text(text)),
        number => Some(Bound::Number(int(number))),
    }
}

fn moment(value: &Value) -> Instant {
    let seconds = parse_rfc3339(text(value)).expect("a timestamp");
    Instant::START + Duration::from_secs(u64::try_from(seconds).expect("after 1970"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn int(value: &Value) -> i32 {
    value.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
