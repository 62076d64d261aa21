//! StatefulSets, DaemonSets, Jobs, CronJobs and claims in a whole small cluster.

use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::apiserver::request::Propagation;
use crate::objects::{Key, Kind, json as api_json};
use crate::setup::NodeSpec;

fn template(container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("c");
    container["image"] = json!("nginx:1.25");
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}})
}

fn stateful_set(more: &[(&str, Value)]) -> Value {
    let mut value = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "replicas": 3, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}}, "template": template(json!({})),
        },
    });
    for (key, field) in more {
        value["spec"][*key] = field.clone();
    }
    value
}

fn job(name: &str, command: &[&str], more: &[(&str, Value)]) -> Value {
    let mut template = template(json!({"command": command}));
    template["spec"]["restartPolicy"] = json!("Never");
    template["metadata"] = json!({});
    let spec = json!({"template": template});
    let mut value = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec});
    for (key, field) in more {
        value["spec"][*key] = field.clone();
    }
    value
}

impl Cluster {
    /// An object of the namespace `default`, or one without a namespace.
    fn shown(&self, kind: Kind, name: &str) -> Value {
        let found = self.world.objects(kind).into_iter().find(|object| &*object.meta().name == name);
        found.map_or(Value::Null, |object| api_json::to_json(&object))
    }

    /// Ready pods by name.
    fn ready(&self) -> Vec<String> {
        let pods = self.world.objects(Kind::Pod);
        let ready = pods.iter().filter(|object| object.as_pod().is_some_and(|pod| pod.ready()));
        ready.map(|object| object.meta().name.to_string()).collect()
    }
}

fn web() -> Key {
    Key::new("default", "web")
}

#[test]
fn a_stateful_set_goes_up_and_down_in_order() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::StatefulSet, "default", stateful_set(&[]));
    let mut seen = Vec::new();
    for _ in 0..600 {
        cluster.run(100);
        let pods = cluster.names(Kind::Pod);
        if seen.last() != Some(&pods) {
            assert!(cluster.ready().len() + 1 >= pods.len());
            seen.push(pods);
        }
    }
    assert_eq!(seen.last().map(|pods| pods.join(" ")), Some("web-0 web-1 web-2".to_owned()));
    let pod = cluster.shown(Kind::Pod, "web-1");
    assert_eq!(pod["spec"]["hostname"], "web-1");
    assert_eq!(pod["spec"]["subdomain"], "web");
    assert_eq!(pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"], "1");
    let status = cluster.shown(Kind::StatefulSet, "web")["status"].clone();
    assert_eq!((&status["readyReplicas"], &status["availableReplicas"]), (&json!(3), &json!(3)));
    cluster.patch(Kind::StatefulSet, web(), json!({"spec": {"replicas": 1}}));
    cluster.run(60_000);
    assert_eq!(cluster.names(Kind::Pod), ["web-0"]);
}

#[test]
fn a_rolling_update_of_a_stateful_set_stops_at_its_partition() {
    let mut cluster = Cluster::new();
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
    cluster.create(Kind::StatefulSet, "default", stateful_set(&[("updateStrategy", strategy)]));
    cluster.run(60_000);
    let image = json!({"spec": {"template": template(json!({"args": ["x"]}))}});
    cluster.patch(Kind::StatefulSet, web(), image);
    cluster.run(120_000);
    let revision =
        |name: &str| cluster.shown(Kind::Pod, name)["metadata"]["labels"]["controller-revision-hash"].clone();
    let status = cluster.shown(Kind::StatefulSet, "web")["status"].clone();
    assert_eq!(
        [revision("web-0"), revision("web-2")],
        [status["currentRevision"].clone(), status["updateRevision"].clone()]
    );
    assert_ne!(status["currentRevision"], status["updateRevision"]);
    assert_eq!((&status["updatedReplicas"], cluster.count(Kind::ControllerRevision)), (&json!(2), 2));
}

#[test]
fn a_daemon_set_has_a_pod_on_every_node_also_on_one_that_joins() {
    let mut cluster = Cluster::new();
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template(json!({}))});
    let value = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "web"}, "spec": spec});
    cluster.create(Kind::DaemonSet, "default", value);
    cluster.run(20_000);
    assert_eq!(cluster.ready().len(), 3);
    assert_eq!(cluster.world.add_node(NodeSpec::plain(3)), Some(3));
    assert_eq!(cluster.world.add_node(NodeSpec::plain(3)), None);
    cluster.run(30_000);
    let status = cluster.shown(Kind::DaemonSet, "web")["status"].clone();
    assert_eq!((cluster.ready().len(), &status["numberAvailable"]), (4, &json!(4)));
    let image = json!({"spec": {"template": template(json!({"args": ["x"]}))}});
    cluster.patch(Kind::DaemonSet, web(), image);
    cluster.run(120_000);
    let status = cluster.shown(Kind::DaemonSet, "web")["status"].clone();
    assert_eq!((&status["updatedNumberScheduled"], &status["numberReady"]), (&json!(4), &json!(4)));
}

#[test]
fn jobs_succeed_fail_and_go() {
    let mut cluster = Cluster::new();
    let more = [("completions", json!(3)), ("parallelism", json!(2)), ("ttlSecondsAfterFinished", json!(60))];
    cluster.create(Kind::Job, "default", job("ok", &["sh", "-c", "sleep 3"], &more));
    cluster.create(Kind::Job, "default", job("bad", &["false"], &[("backoffLimit", json!(1))]));
    cluster.run(40_000);
    let ok = cluster.shown(Kind::Job, "ok")["status"].clone();
    assert_eq!((&ok["succeeded"], &ok["conditions"][1]["type"]), (&json!(3), &json!("Complete")));
    let bad = cluster.shown(Kind::Job, "bad")["status"].clone();
    assert_eq!((&bad["failed"], &bad["conditions"][1]["reason"]), (&json!(2), &json!("BackoffLimitExceeded")));
    assert_eq!(cluster.count(Kind::Pod), 5);
    cluster.run(60_000);
    assert_eq!((cluster.names(Kind::Job), cluster.count(Kind::Pod)), (vec!["bad".to_owned()], 2));
    cluster.delete(Kind::Job, Key::new("default", "bad"), Propagation::Background);
    cluster.run(5_000);
    assert_eq!((cluster.count(Kind::Job), cluster.count(Kind::Pod)), (0, 0));
}

#[test]
fn an_indexed_job_has_a_pod_for_each_index() {
    let mut cluster = Cluster::new();
    let more = [
        ("completions", json!(4)),
        ("parallelism", json!(4)),
        ("completionMode", json!("Indexed")),
        ("backoffLimitPerIndex", json!(0)),
    ];
    cluster.create(Kind::Job, "default", job("ix", &["true"], &more));
    cluster.run(20_000);
    let status = cluster.shown(Kind::Job, "ix")["status"].clone();
    assert_eq!((&status["completedIndexes"], &status["succeeded"]), (&json!("0-3"), &json!(4)));
    assert!(cluster.names(Kind::Pod)[3].starts_with("ix-3-"));
}

#[test]
fn a_suspended_job_waits_and_a_late_one_fails() {
    let mut cluster = Cluster::new();
    let more = [("suspend", json!(true))];
    cluster.create(Kind::Job, "default", job("later", &["sleep", "600"], &more));
    let more = [("activeDeadlineSeconds", json!(10))];
    cluster.create(Kind::Job, "default", job("late", &["sleep", "600"], &more));
    cluster.run(30_000);
    let late = cluster.shown(Kind::Job, "late")["status"].clone();
    let last = late["conditions"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    assert_eq!((&last["type"], &last["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    assert_eq!(cluster.shown(Kind::Job, "later")["status"]["conditions"][0]["type"], "Suspended");
    cluster.patch(Kind::Job, Key::new("default", "later"), json!({"spec": {"suspend": false}}));
    cluster.run(20_000);
    assert_eq!(cluster.shown(Kind::Job, "later")["status"]["active"], 1);
}

#[test]
fn a_cron_job_makes_jobs_and_keeps_three() {
    let mut cluster = Cluster::new();
    let spec = job("x", &["true"], &[])["spec"].clone();
    let spec = json!({"schedule": "*/1 * * * *", "jobTemplate": {"spec": spec}});
    let value = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}, "spec": spec});
    cluster.create(Kind::CronJob, "default", value);
    cluster.run(62_000);
    let epoch = api_json::EPOCH_NS / 60_000_000_000;
    assert_eq!(cluster.names(Kind::Job), [format!("tick-{}", epoch + 1)]);
    cluster.run(300_000);
    assert_eq!(cluster.count(Kind::Job), 3);
    assert_eq!(cluster.shown(Kind::CronJob, "tick")["status"]["lastScheduleTime"], "2026-01-01T00:06:00Z");
}

#[test]
fn a_container_that_fails_is_started_again_ever_later() {
    let mut cluster = Cluster::new();
    let spec = json!({"containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", "exit 3"]}]});
    cluster.create(
        Kind::Pod,
        "default",
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}),
    );
    cluster.run(120_000);
    let status = cluster.shown(Kind::Pod, "p")["status"].clone();
    let container = &status["containerStatuses"][0];
    assert_eq!(
        (&status["phase"], &container["state"]["waiting"]["reason"]),
        (&json!("Running"), &json!("CrashLoopBackOff"))
    );
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 3);
    assert!((3..=5).contains(&container["restartCount"].as_i64().unwrap_or(0)), "{container}");
}

#[test]
fn a_claim_gets_a_volume_and_a_pod_waits_for_it() {
    let mut cluster = Cluster::new();
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
        "provisioner": "csi.example.com", "volumeBindingMode": "WaitForFirstConsumer",
    });
    cluster.create(Kind::StorageClass, "", class);
    let claim = json!({
        "metadata": {"name": "data"},
        "spec": {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let set = stateful_set(&[("replicas", json!(1)), ("volumeClaimTemplates", json!([claim]))]);
    cluster.create(Kind::StatefulSet, "default", set);
    cluster.run(30_000);
    assert_eq!(cluster.shown(Kind::PersistentVolumeClaim, "data-web-0")["status"]["phase"], "Bound");
    assert_eq!((cluster.count(Kind::PersistentVolume), cluster.ready().len()), (1, 1));
    cluster.delete(Kind::StatefulSet, web(), Propagation::Background);
    cluster.delete(Kind::PersistentVolumeClaim, Key::new("default", "data-web-0"), Propagation::Background);
    cluster.run(60_000);
    assert_eq!((cluster.count(Kind::PersistentVolumeClaim), cluster.count(Kind::PersistentVolume)), (0, 0));
}
