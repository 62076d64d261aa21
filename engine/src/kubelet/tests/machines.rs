//! What a node does to its pods of its own accord, in a whole small cluster: registries that fail, shutdown, static pods, critical
//! pods.

use serde_json::{Value, json};

use super::{pod, said, shown};
use crate::controllers::cluster::Cluster;
use crate::faults::Fault;
use crate::kernel::Duration;
use crate::kubelet::read_static_pod;
use crate::objects::{Key, Kind, json as api_json};
use crate::process::Process;
use crate::profiles;
use crate::registry::{Scope, Trouble};
use crate::setup::Setup;

pub(super) fn setup() -> Setup {
    Setup::new(7, 3, 1, profiles::laptop())
}

pub(super) fn node(cluster: &Cluster, name: &str) -> Value {
    let nodes = cluster.world.objects(Kind::Node);
    nodes.iter().find(|node| &*node.meta().name == name).map_or(Value::Null, |node| api_json::to_json(node))
}

/// Status, reason and message of a condition of an object.
pub(super) fn condition(object: &Value, kind: &str) -> (String, String, String) {
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

fn waiting(cluster: &Cluster, name: &str) -> (String, String) {
    let state = shown(cluster, name)["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

pub(super) fn phase(cluster: &Cluster, name: &str) -> String {
    shown(cluster, name)["status"]["phase"].as_str().unwrap_or_default().to_owned()
}

/// A pod of one container with requests.
pub(super) fn asking(name: &str, requests: Value, more: Value) -> Value {
    let container = json!({"name": "a", "image": "nginx:1.25", "resources": {"requests": requests}});
    let mut spec = json!({"containers": [container]});
    spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    pod(name, spec)
}

#[test]
fn a_registry_that_is_down_stops_only_what_is_not_there() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", pod("before", json!({})));
    cluster.run(8_000);
    cluster.world.registries_mut().break_down(Scope::Host("docker.io".into()), Trouble::Silent);
    cluster.create(Kind::Pod, "default", pod("cached", json!({})));
    let other = json!([{"name": "a", "image": "redis:7"}]);
    cluster.create(Kind::Pod, "default", pod("new", json!({"containers": other})));
    cluster.run(20_000);
    assert_eq!(phase(&cluster, "cached"), "Running");
    assert_eq!(waiting(&cluster, "new").0, "ContainerCreating", "dialling takes its time");
    cluster.run(13_000);
    let (reason, message) = waiting(&cluster, "new");
    assert_eq!(reason, "ImagePullBackOff");
    assert!(message.contains("Back-off pulling image \"redis:7\": ErrImagePull: rpc error: code = DeadlineExceeded"));
    let head = "failed to do request: Head \"https://registry-1.docker.io/v2/library/redis/manifests/7\": dial tcp";
    assert!(message.contains(head) && message.ends_with(":443: i/o timeout"), "{message}");
    cluster.world.registries_mut().mend(&Scope::All);
    cluster.run(30_000);
    assert_eq!(phase(&cluster, "new"), "Running");
}

#[test]
fn a_limit_of_pulls_lets_some_nodes_wait() {
    let mut setup = setup();
    setup.profile.kubelet.serialize_pulls = false;
    let mut cluster = Cluster::of(setup);
    cluster.world.registries_mut().break_down(Scope::All, Trouble::Limited(2));
    for n in 0..4 {
        let containers = json!([{"name": "a", "image": format!("app{n}:1")}]);
        cluster.create(Kind::Pod, "default", pod(&format!("p{n}"), json!({"containers": containers})));
    }
    cluster.run(5_000);
    let running = |cluster: &Cluster| (0..4).filter(|n| phase(cluster, &format!("p{n}")) == "Running").count();
    assert_eq!(running(&cluster), 2);
    let messages: Vec<String> = (0..4).map(|n| waiting(&cluster, &format!("p{n}")).1).collect();
    assert_eq!(messages.iter().filter(|text| text.contains("429 Too Many Requests")).count(), 2, "{messages:?}");
    cluster.run(90_000);
    assert_eq!(running(&cluster), 4);
}

#[test]
fn bandwidth_layers_and_the_kubelets_own_rate_count() {
    let mut setup = setup();
    setup.kubelet.shared_layers = 800;
    setup.image_sizes.insert("big".into(), 2_000_000_000);
    let mut cluster = Cluster::of(setup);
    let of = |image: &str| json!({"containers": [{"name": "a", "image": image}]});
    cluster.create(Kind::Pod, "default", pod("one", of("big:1")));
    cluster.run(20_000);
    assert_eq!(phase(&cluster, "one"), "Pending", "2 GB at 50 MB/s");
    cluster.run(30_000);
    assert_eq!(phase(&cluster, "one"), "Running");
    cluster.create(Kind::Pod, "default", pod("two", of("big:2")));
    cluster.run(12_000);
    assert_eq!(phase(&cluster, "two"), "Running", "a fifth of it is new");
    cluster
        .world
        .registries_mut()
        .break_down(Scope::Image("docker.io/library/slug:1".into()), Trouble::Slow(1_000_000));
    cluster.create(Kind::Pod, "default", pod("slug", of("slug:1")));
    cluster.run(30_000);
    assert_eq!(phase(&cluster, "slug"), "Pending", "50 MiB at 1 MB/s");
    cluster.run(30_000);
    assert_eq!(phase(&cluster, "slug"), "Running");
}

#[test]
fn an_image_that_may_not_be_pulled_or_has_no_name_is_said_so() {
    let mut cluster = Cluster::new();
    let containers = |image: &str| json!({"containers": [{"name": "a", "image": image, "imagePullPolicy": "Never"}]});
    cluster.create(Kind::Pod, "default", pod("never", containers("redis:7")));
    cluster.create(Kind::Pod, "default", pod("upper", containers("Redis:7")));
    cluster.run(4_000);
    let never = "Container image \"redis:7\" is not present with pull policy of Never".to_owned();
    assert_eq!(waiting(&cluster, "never"), ("ErrImageNeverPull".to_owned(), never.clone()));
    let texts = said(&cluster, "never");
    assert!(texts.contains(&format!("ErrImageNeverPull: {never}")), "{texts:?}");
    assert!(texts.contains(&"Failed: Error: ErrImageNeverPull".to_owned()), "{texts:?}");
    assert_eq!(waiting(&cluster, "upper").0, "InvalidImageName");
}

#[test]
fn a_container_whose_image_is_not_there_does_not_hold_up_the_others() {
    let mut cluster = Cluster::new();
    cluster.world.registries_mut().break_down(Scope::Image("docker.io/library/redis:7".into()), Trouble::Lacks);
    let containers = json!([
        {"name": "a", "image": "redis:7"}, {"name": "b", "image": "nginx:1.25"}, {"name": "c", "image": "redis:7"},
    ]);
    cluster.create(Kind::Pod, "default", pod("two", json!({"containers": containers})));
    cluster.run(60_000);
    let statuses = shown(&cluster, "two")["status"]["containerStatuses"].clone();
    assert_eq!((&statuses[0]["ready"], &statuses[1]["ready"]), (&json!(false), &json!(true)), "{statuses}");
    assert_eq!(statuses[2]["state"]["waiting"]["reason"], "ImagePullBackOff");
    let pulls = said(&cluster, "two").iter().filter(|said| said.starts_with("Pulling: ")).count();
    assert_eq!(pulls, 2, "of each image once, and then counted");
    cluster.world.kill(Process::Kubelet(0));
    cluster.world.registries_mut().mend(&Scope::All);
    cluster.world.start(Process::Kubelet(0));
    cluster.run(6_000);
    let statuses = shown(&cluster, "two")["status"]["containerStatuses"].clone();
    assert!((0..3).all(|n| statuses[n]["ready"] == true), "a new kubelet tries at once: {statuses}");
    assert_eq!(statuses[1]["restartCount"], 0);
}

#[test]
fn a_node_that_shuts_down_ends_its_pods_in_order() {
    let mut setup = setup();
    setup.kubelet.shutdown_grace = Duration::from_secs(30);
    setup.kubelet.shutdown_grace_critical = Duration::from_secs(10);
    let mut cluster = Cluster::of(setup);
    let mut slow = pod("slow", json!({"terminationGracePeriodSeconds": 300}));
    slow["metadata"]["annotations"] = json!({"wavetank.dev/stop": "never"});
    cluster.create(Kind::Pod, "default", slow);
    let critical = json!({"priorityClassName": "system-cluster-critical"});
    cluster.create(Kind::Pod, "kube-system", pod("critical", critical));
    cluster.run(10_000);
    assert!(cluster.world.shut_down(0) && !cluster.world.shut_down(9));
    cluster.run(5_000);
    let not_ready = ("False".to_owned(), "KubeletNotReady".to_owned(), "node is shutting down".to_owned());
    assert_eq!(condition(&node(&cluster, "worker-1"), "Ready"), not_ready);
    cluster.create(Kind::Pod, "default", pod("late", json!({})));
    cluster.run(10_000);
    assert_eq!((phase(&cluster, "slow").as_str(), phase(&cluster, "critical").as_str()), ("Running", "Running"));
    assert_eq!(shown(&cluster, "late")["status"]["reason"], "NodeShutdown");
    cluster.run(6_000);
    let slow = shown(&cluster, "slow");
    let why = "Pod was terminated in response to imminent node shutdown.";
    assert_eq!((&slow["status"]["reason"], &slow["status"]["message"]), (&json!("Terminated"), &json!(why)));
    assert_eq!(slow["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137, "after 20 s");
    cluster.run(3_000);
    assert_eq!(phase(&cluster, "critical"), "Failed");
    assert!(!cluster.world.is_running(Process::Kubelet(0)), "the power is gone");
    assert!(said(&cluster, "worker-1").contains(&"Shutdown: Shutdown manager detected shutdown event".to_owned()));
    cluster.world.start(Process::Kubelet(0));
    cluster.run(10_000);
    assert_eq!(condition(&node(&cluster, "worker-1"), "Ready").0, "True");
    assert_eq!(phase(&cluster, "slow"), "Failed", "what has ended stays so");
}

/// A cluster whose kubelets end pods within 30 s when they are told to shut down, with a pod on the first node that takes all of it.
fn with_grace() -> Cluster {
    let mut setup = setup();
    setup.kubelet.shutdown_grace = Duration::from_secs(30);
    let mut cluster = Cluster::of(setup);
    let mut slow = pod("slow", json!({"terminationGracePeriodSeconds": 300}));
    slow["metadata"]["annotations"] = json!({"wavetank.dev/stop": "never"});
    cluster.create(Kind::Pod, "default", slow);
    cluster.run(10_000);
    cluster
}

#[test]
fn a_machine_that_is_to_run_again_before_it_is_off_boots_then() {
    let mut cluster = with_grace();
    let fault = cluster.world.begin_fault("node/worker-1 shuts down", vec![Fault::ShutDown(0)]);
    cluster.run(5_000);
    assert!(cluster.world.end_fault(fault));
    cluster.run(26_000);
    assert!(cluster.world.is_running(Process::Kubelet(0)), "its last pod has just been killed");
    assert_eq!(condition(&node(&cluster, "worker-1"), "Ready").0, "False");
    cluster.run(10_000);
    assert_eq!(condition(&node(&cluster, "worker-1"), "Ready").0, "True");
    assert!(said(&cluster, "worker-1").iter().any(|said| said.starts_with("Rebooted")));
    assert_eq!(phase(&cluster, "slow"), "Failed");
    cluster.run(60_000);
    assert!(cluster.world.is_running(Process::Kubelet(0)), "no second end of power comes");
}

#[test]
fn a_kubelet_that_hangs_or_is_gone_does_not_hold_a_shutdown_up() {
    for hangs in [true, false] {
        let mut cluster = with_grace();
        assert!(cluster.world.shut_down(0));
        cluster.run(1_000);
        let kubelet = Process::Kubelet(0);
        let stopped = if hangs { cluster.world.hang(kubelet) } else { cluster.world.kill(kubelet) };
        assert!(stopped && cluster.world.boots(0) == Some(0));
        // One that has ended holds nothing up, one that hangs the whole grace.
        let waits = if hangs { 30_500 } else { 1_500 };
        cluster.run(waits);
        assert_eq!(cluster.world.boots(0), Some(0), "not yet off");
        cluster.run(1_000);
        assert_eq!(cluster.world.boots(0), Some(1), "off, {hangs}");
        assert!(!cluster.world.is_running(kubelet) && !cluster.world.is_hanging(kubelet));
        cluster.world.start(kubelet);
        cluster.run(10_000);
        assert_eq!(condition(&node(&cluster, "worker-1"), "Ready").0, "True");
    }
}

#[test]
fn without_a_grace_period_a_shutdown_is_a_loss_of_power() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", pod("web", json!({})));
    cluster.run(8_000);
    cluster.world.shut_down(0);
    cluster.run(1_000);
    assert!(!cluster.world.is_running(Process::Kubelet(0)));
    assert_eq!(phase(&cluster, "web"), "Running", "nobody says otherwise");
}

fn manifest(image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "agent", "namespace": "kube-system"},
        "spec": {"containers": [{"name": "a", "image": image}]},
    })
}

fn put(cluster: &mut Cluster, manifest: Option<Value>) -> bool {
    let pod = manifest.map(|manifest| read_static_pod(&manifest).expect("a static pod"));
    cluster.world.set_static_pod(0, &"agent.yaml".into(), pod.as_ref())
}

#[test]
fn a_static_pod_runs_by_itself_and_its_mirror_shows_it() {
    let mut cluster = Cluster::new();
    assert!(put(&mut cluster, Some(manifest("nginx:1.25"))));
    cluster.run(6_000);
    let mirror = shown(&cluster, "agent-worker-1");
    assert_eq!(mirror["status"]["phase"], "Running");
    assert_eq!(mirror["status"]["containerStatuses"][0]["ready"], true);
    let annotations = &mirror["metadata"]["annotations"];
    assert_eq!(annotations["kubernetes.io/config.source"], "file");
    assert_eq!(annotations["kubernetes.io/config.mirror"], annotations["kubernetes.io/config.hash"]);
    let owner = &mirror["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["name"], &owner["controller"]),
        (&json!("Node"), &json!("worker-1"), &json!(true))
    );
    let started = mirror["status"]["containerStatuses"][0]["state"].clone();

    let key = Key::new("kube-system", "agent-worker-1");
    cluster.delete(Kind::Pod, key, crate::apiserver::request::Propagation::Background);
    cluster.run(3_000);
    let again = shown(&cluster, "agent-worker-1");
    assert_ne!(again["metadata"]["uid"], mirror["metadata"]["uid"], "another mirror");
    assert_eq!(again["status"]["containerStatuses"][0]["state"], started, "of the same container");

    put(&mut cluster, Some(manifest("nginx:1.26")));
    cluster.run(8_000);
    let changed = shown(&cluster, "agent-worker-1");
    assert_eq!(changed["spec"]["containers"][0]["image"], "nginx:1.26");
    assert_eq!(changed["status"]["phase"], "Running");
    assert!(put(&mut cluster, None) && !put(&mut cluster, None));
    cluster.run(5_000);
    assert_eq!(shown(&cluster, "agent-worker-1"), Value::Null);
}

#[test]
fn a_mirror_that_cannot_be_taken_away_is_tried_again() {
    let mut cluster = Cluster::new();
    assert!(put(&mut cluster, Some(manifest("nginx:1.25"))));
    cluster.run(6_000);
    assert_eq!(shown(&cluster, "agent-worker-1")["status"]["phase"], "Running");
    cluster.world.kill(Process::Etcd(0));
    assert!(put(&mut cluster, None));
    cluster.run(80_000);
    cluster.world.start(Process::Etcd(0));
    cluster.run(90_000);
    assert_eq!(shown(&cluster, "agent-worker-1"), Value::Null);
}

#[test]
fn a_static_pod_needs_no_api_server() {
    let mut cluster = Cluster::new();
    cluster.world.kill(Process::ApiServer(0));
    put(&mut cluster, Some(manifest("nginx:1.25")));
    cluster.run(10_000);
    cluster.world.start(Process::ApiServer(0));
    cluster.run(90_000);
    let mirror = shown(&cluster, "agent-worker-1");
    assert_eq!(mirror["status"]["phase"], "Running");
    let started = mirror["status"]["containerStatuses"][0]["state"]["running"]["startedAt"].as_str().map(str::to_owned);
    assert!(started < mirror["metadata"]["creationTimestamp"].as_str().map(str::to_owned), "{mirror}");
    // A kubelet that is started again has it as before; one whose machine was without power starts it anew.
    cluster.world.kill(Process::Kubelet(0));
    cluster.run(2_000);
    cluster.world.start(Process::Kubelet(0));
    cluster.run(5_000);
    let same = shown(&cluster, "agent-worker-1");
    assert_eq!(same["metadata"]["uid"], mirror["metadata"]["uid"]);
    assert_eq!(same["status"]["containerStatuses"][0]["restartCount"], 0);
    cluster.world.lose_power(0);
    cluster.world.start(Process::Kubelet(0));
    cluster.run(8_000);
    assert_eq!(shown(&cluster, "agent-worker-1")["status"]["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn a_static_pod_refers_to_nothing_in_the_api() {
    let mut refers = manifest("a:1");
    refers["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
    assert!(read_static_pod(&refers).is_err_and(|why| why.contains("may not refer to")));
    assert!(read_static_pod(&json!({"kind": "Pod"})).is_err());
    refers["spec"]["volumes"] = json!([{"name": "v", "hostPath": {"path": "/"}, "sekret": 1}]);
    assert!(read_static_pod(&refers).is_err_and(|why| why.contains("unknown field")));
}

#[test]
fn a_critical_pod_pushes_others_off() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", asking("burst", json!({"cpu": "1500m"}), json!({})));
    cluster.create(Kind::Pod, "default", asking("more", json!({"cpu": "2"}), json!({})));
    cluster.run(6_000);
    let critical = json!({"priorityClassName": "system-node-critical"});
    cluster.create(Kind::Pod, "kube-system", asking("critical", json!({"cpu": "2"}), critical.clone()));
    cluster.run(8_000);
    assert_eq!(phase(&cluster, "critical"), "Running");
    let burst = shown(&cluster, "burst");
    let why = "Preempted in order to admit critical pod";
    assert_eq!((&burst["status"]["reason"], &burst["status"]["message"]), (&json!("Preempting"), &json!(why)));
    let target = "Pod was preempted by Kubelet to accommodate a critical pod.";
    assert_eq!(condition(&burst, "DisruptionTarget").2, target);
    assert_eq!(phase(&cluster, "more"), "Running");
    cluster.create(Kind::Pod, "kube-system", asking("huge", json!({"cpu": "4"}), critical));
    cluster.run(2_000);
    let huge = shown(&cluster, "huge")["status"].clone();
    assert_eq!(huge["reason"], "UnexpectedAdmissionError");
    let message = huge["message"].as_str().unwrap_or_default();
    assert!(
        message.ends_with("no set of running pods found to reclaim resources: [(res: cpu, q: 4000), ]"),
        "{message}"
    );
}

#[test]
fn a_taint_that_drives_pods_away_keeps_them_away_and_a_resource_has_its_own_reason() {
    let mut setup = setup();
    setup.nodes[0].extended.push(("nvidia.com/gpu".into(), "1".into()));
    setup.nodes[0].taints.push(("gone".into(), "".into(), "NoExecute".into()));
    let mut cluster = Cluster::of(setup);
    // Else the taint manager may be faster.
    cluster.world.kill(Process::ControllerManager(0));
    cluster.create(Kind::Pod, "default", pod("driven", json!({})));
    let bears = json!({"tolerations": [{"operator": "Exists"}]});
    let gpu = |name: &str| {
        let limits = json!({"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}});
        let mut pod = pod(name, json!({"containers": [{"name": "a", "image": "a:1", "resources": limits}]}));
        pod["spec"]["tolerations"] = bears["tolerations"].clone();
        pod
    };
    cluster.create(Kind::Pod, "default", gpu("one"));
    cluster.run(3_000);
    cluster.create(Kind::Pod, "default", gpu("two"));
    cluster.run(3_000);
    let why = "TaintToleration: Predicate TaintToleration failed: node(s) had untolerated taint(s)";
    assert!(said(&cluster, "driven").contains(&why.to_owned()), "{:?}", said(&cluster, "driven"));
    assert_eq!(shown(&cluster, "two")["status"]["reason"], "OutOfnvidia.com/gpu");
    assert!(said(&cluster, "two").iter().any(|said| said.starts_with("OutOfnvidia.com/gpu: Node didn't have enough")));
}
