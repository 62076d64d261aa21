//! Autoscalers in a whole small cluster with a metrics server: load comes, is measured, and replicas follow.

use serde_json::{Value, json};

use crate::controllers::cluster::Cluster;
use crate::kernel::Duration;
use crate::metrics_server::demand::{Curve, Demand};
use crate::objects::{Key, Kind, json as api_json};
use crate::profiles;
use crate::setup::Setup;
use crate::trace::What;
use crate::trace::note::Scaling;

fn cluster(metrics_server: bool) -> Cluster {
    let mut setup = Setup::new(7, 3, 1, profiles::laptop());
    setup.metrics_server = metrics_server.then_some(Duration::from_secs(15));
    Cluster::of(setup)
}

/// A deployment `web` whose pods request 100m, and an autoscaler that wants 50 % of that to be used.
fn scaled(metrics_server: bool, replicas: i32, more: Value) -> Cluster {
    let mut cluster = cluster(metrics_server);
    let container = json!({"name": "c", "image": "nginx:1.25", "resources": {"requests": {"cpu": "100m"}}});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template});
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
    cluster.create(Kind::Deployment, "default", web);
    autoscale(&mut cluster, "web", more);
    cluster
}

fn autoscale(cluster: &mut Cluster, name: &str, more: Value) {
    let mut spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 10,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec,
    });
    cluster.create(Kind::HorizontalPodAutoscaler, "default", hpa);
}

/// So many thousandths of a CPU for all pods together.
fn load(cluster: &mut Cluster, milli: u64) {
    let demand = Demand { cpu: Curve::constant(milli * 1_000_000), ..Demand::default() };
    let target = (Kind::Deployment, Key::new("default", "web"));
    assert!(cluster.world.set_demand(target, demand));
}

fn replicas(cluster: &Cluster) -> i32 {
    let all = cluster.world.objects(Kind::Deployment);
    all.first().and_then(|object| object.as_deployment()).map_or(-1, |deployment| deployment.spec.replicas)
}

fn shown(cluster: &Cluster) -> Value {
    let all = cluster.world.objects(Kind::HorizontalPodAutoscaler);
    all.first().map_or(Value::Null, |object| api_json::to_json(object))
}

/// Status, reason and message of a condition.
fn condition(cluster: &Cluster, kind: &str) -> (String, String, String) {
    let conditions = shown(cluster)["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

/// The messages of the events with a reason.
fn events(cluster: &Cluster, reason: &str) -> Vec<String> {
    let all = cluster.world.objects(Kind::Event);
    let texts = all.iter().map(|object| api_json::to_json(object)).filter(|event| event["reason"] == reason);
    texts.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What the controller decided, in order.
fn decisions(cluster: &Cluster) -> Vec<Scaling> {
    let records = cluster.world.trace().records().iter();
    let scaling = records.filter_map(|record| match &record.note.what {
        What::Scaling(scaling) => Some((**scaling).clone()),
        _ => None,
    });
    scaling.collect()
}

#[test]
fn load_is_measured_and_pods_are_added_until_it_fits() {
    let mut cluster = scaled(true, 2, json!({}));
    cluster.run(60_000);
    load(&mut cluster, 300);
    let began = cluster.world.now();
    cluster.run(150_000);
    // 300m over 100m requests at 50 % are six pods.
    assert_eq!(replicas(&cluster), 6);
    let status = shown(&cluster)["status"].clone();
    assert_eq!(
        status["currentMetrics"][0]["resource"]["current"],
        json!({"averageUtilization": 50, "averageValue": "50m"})
    );
    assert_eq!((&status["currentReplicas"], &status["desiredReplicas"]), (&json!(6), &json!(6)));
    assert_eq!(condition(&cluster, "AbleToScale").1, "ReadyForNewScale");
    assert_eq!(condition(&cluster, "ScalingActive").1, "ValidMetricFound");
    let said = events(&cluster, "SuccessfulRescale");
    assert!(
        !said.is_empty()
            && said.iter().all(|text| text.ends_with("cpu resource utilization (percentage of request) above target")),
        "{said:?}"
    );
    // The first rescale comes neither at once nor late: samples, a scrape and a sync lie between.
    let records = cluster.world.trace().records().iter().filter(|record| record.at > began);
    let mut rescales =
        records.filter(|record| matches!(&record.note.what, What::Scaling(it) if it.replicas > it.current));
    let lag = rescales.next().expect("a rescale").at.since(began).as_nanos() / 1_000_000_000;
    assert!((5..=75).contains(&lag), "{lag} s");
}

#[test]
fn a_decision_says_what_was_measured_and_is_caused_by_the_answer() {
    let mut cluster = scaled(true, 2, json!({}));
    load(&mut cluster, 160);
    cluster.run(120_000);
    let records = cluster.world.trace().records();
    let decided =
        |record: &&crate::trace::Record| matches!(&record.note.what, What::Scaling(it) if it.replicas > it.current);
    let decision = records.iter().find(decided).expect("a decision");
    let What::Scaling(scaling) = &decision.note.what else { return };
    assert!(scaling.measured.ends_with("% of 50%, 2 of 2 pods measured"), "{}", scaling.measured);
    assert_eq!((scaling.proposed, &*scaling.held), (scaling.replicas, ""));
    assert!(scaling.age.is_some_and(|age| age < Duration::from_secs(40)));
    let cause = records.iter().find(|record| record.id == decision.cause).expect("a cause");
    assert!(matches!(cause.note.what, What::Reply { .. }), "{:?}", cause.note.what);
    let effects = records.iter().filter(|record| record.cause == decision.id);
    assert!(effects.into_iter().any(|record| matches!(record.note.what, What::Request { .. })));
}

#[test]
fn ten_percent_more_than_the_target_are_tolerated() {
    let mut cluster = scaled(true, 4, json!({}));
    load(&mut cluster, 216);
    cluster.run(400_000);
    assert_eq!((replicas(&cluster), events(&cluster, "SuccessfulRescale")), (4, vec![]));
    let behavior = json!({"scaleUp": {"tolerance": "0.05"}});
    cluster.patch(Kind::HorizontalPodAutoscaler, Key::new("default", "web"), json!({"spec": {"behavior": behavior}}));
    cluster.run(60_000);
    assert_eq!(replicas(&cluster), 5);
}

#[test]
fn a_scale_down_waits_until_no_higher_recommendation_is_five_minutes_young() {
    let mut cluster = scaled(true, 2, json!({}));
    cluster.run(60_000);
    load(&mut cluster, 300);
    cluster.run(150_000);
    assert_eq!(replicas(&cluster), 6);
    load(&mut cluster, 40);
    cluster.run(120_000);
    assert_eq!((replicas(&cluster), condition(&cluster, "AbleToScale").1), (6, "ScaleDownStabilized".to_owned()));
    let decision = decisions(&cluster).pop().expect("a decision");
    assert_eq!((decision.proposed, decision.replicas, &*decision.held), (1, 6, "ScaleDownStabilized"));
    cluster.run(270_000);
    assert_eq!(replicas(&cluster), 1);
    assert!(
        events(&cluster, "SuccessfulRescale").contains(&"New size: 1; reason: All metrics below target".to_owned())
    );
}

#[test]
fn without_a_window_a_scale_down_comes_as_soon_as_it_is_measured() {
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
    let mut cluster = scaled(true, 2, json!({"behavior": behavior}));
    cluster.run(60_000);
    load(&mut cluster, 300);
    cluster.run(150_000);
    assert_eq!(replicas(&cluster), 6);
    load(&mut cluster, 40);
    cluster.run(90_000);
    assert_eq!(replicas(&cluster), 1);
}

#[test]
fn without_a_metrics_server_the_autoscaler_says_what_it_misses() {
    let mut cluster = scaled(false, 2, json!({}));
    cluster.run(40_000);
    let error = "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: \
                 the server could not find the requested resource (get pods.metrics.k8s.io)";
    assert_eq!(events(&cluster, "FailedGetResourceMetric"), [error]);
    let more = format!(
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {error}"
    );
    assert_eq!(events(&cluster, "FailedComputeMetricsReplicas"), [more]);
    let message = format!("the HPA was unable to compute the replica count: {error}");
    let active = ("False".to_owned(), "FailedGetResourceMetric".to_owned(), message);
    assert_eq!((condition(&cluster, "ScalingActive"), replicas(&cluster)), (active, 2));
    assert_eq!(condition(&cluster, "AbleToScale").1, "SucceededGetScale");
    let count = |cluster: &Cluster| {
        let all = cluster.world.objects(Kind::Event);
        let texts = all.iter().map(|object| api_json::to_json(object));
        texts
            .filter(|event| event["reason"] == "FailedGetResourceMetric")
            .filter_map(|event| event["count"].as_i64())
            .sum::<i64>()
    };
    let before = count(&cluster);
    cluster.run(60_000);
    assert_eq!(count(&cluster) - before, 4, "every 15 s, however often it fails");
}

#[test]
fn pods_that_are_not_ready_hold_a_scale_up_back() {
    let mut cluster = scaled(true, 1, json!({}));
    load(&mut cluster, 200);
    // New pods never become ready.
    let probe = json!({"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": 3600});
    cluster.run(40_000);
    let before = replicas(&cluster);
    let container = json!({"name": "c", "image": "nginx:1.25", "readinessProbe": probe, "resources": {"requests": {"cpu": "100m"}}});
    cluster.patch(
        Kind::Deployment,
        Key::new("default", "web"),
        json!({"spec": {
        "strategy": {"type": "Recreate", "rollingUpdate": null}, "template": {"spec": {"containers": [container]}}}}),
    );
    cluster.run(120_000);
    assert_eq!(replicas(&cluster), before);
    // All the usage there is belongs to pods that do not count.
    assert_eq!(condition(&cluster, "ScalingActive").1, "FailedGetResourceMetric");
    let said = events(&cluster, "FailedGetResourceMetric");
    assert!(
        said.iter().any(|text| text.contains("did not receive metrics for targeted pods (pods might be unready)")),
        "{said:?}"
    );
}

#[test]
fn bounds_come_first_and_need_no_metrics() {
    let mut cluster = scaled(false, 1, json!({"minReplicas": 3}));
    cluster.run(25_000);
    assert_eq!(replicas(&cluster), 3);
    let said = events(&cluster, "SuccessfulRescale");
    assert_eq!(said, ["New size: 3; reason: Current number of replicas below Spec.MinReplicas"]);
    cluster.patch(
        Kind::HorizontalPodAutoscaler,
        Key::new("default", "web"),
        json!({"spec": {"minReplicas": 1, "maxReplicas": 2}}),
    );
    cluster.run(25_000);
    assert_eq!(replicas(&cluster), 2);
    assert_eq!(shown(&cluster)["status"]["desiredReplicas"], 2);
}

#[test]
fn more_than_the_maximum_is_not_done_and_said() {
    let mut cluster = scaled(true, 2, json!({"maxReplicas": 3}));
    load(&mut cluster, 900);
    cluster.run(120_000);
    assert_eq!((replicas(&cluster), condition(&cluster, "ScalingLimited").1), (3, "TooManyReplicas".to_owned()));
}

#[test]
fn at_zero_replicas_scaling_is_off() {
    let mut cluster = scaled(true, 0, json!({}));
    load(&mut cluster, 900);
    cluster.run(60_000);
    let message = "scaling is disabled since the replica count of the target is zero".to_owned();
    assert_eq!(condition(&cluster, "ScalingActive"), ("False".to_owned(), "ScalingDisabled".to_owned(), message));
    assert_eq!((replicas(&cluster), events(&cluster, "SuccessfulRescale")), (0, vec![]));
}

#[test]
fn a_target_that_is_missing_or_claimed_twice_is_told() {
    let mut cluster = scaled(true, 2, json!({}));
    autoscale(&mut cluster, "zweb", json!({}));
    load(&mut cluster, 900);
    cluster.run(60_000);
    let error = "pods by selector app=web are controlled by multiple HPAs: [default/web default/zweb]";
    assert_eq!(events(&cluster, "AmbiguousSelector").first().map(String::as_str), Some(error));
    assert_eq!((replicas(&cluster), condition(&cluster, "ScalingActive").1), (2, "AmbiguousSelector".to_owned()));
    cluster.delete(Kind::Deployment, Key::new("default", "web"), crate::apiserver::request::Propagation::Background);
    cluster.run(30_000);
    assert_eq!(
        events(&cluster, "FailedGetScale").first().map(String::as_str),
        Some("deployments.apps \"web\" not found")
    );
}

#[test]
fn two_runs_are_the_same_and_a_fork_goes_on_like_its_origin() {
    let run = || {
        let mut cluster = scaled(true, 2, json!({}));
        load(&mut cluster, 300);
        cluster.run(100_000);
        cluster
    };
    let (mut one, mut other) = (run(), run());
    assert_eq!(one.world.trace().fingerprint(), other.world.trace().fingerprint());
    let mut fork = one.clone();
    one.run(100_000);
    other.run(100_000);
    fork.run(100_000);
    assert_eq!(one.world.trace().fingerprint(), fork.world.trace().fingerprint());
    assert_eq!(one.world.trace().fingerprint(), other.world.trace().fingerprint());
}
