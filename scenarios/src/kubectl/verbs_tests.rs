//! The verbs against the fake server: outputs, and the requests they make.

use serde_json::{Value, json};

use super::fake_server::{FakeServer, Printed};

fn printed(stdout: &str) -> Printed {
    Printed { stdout: stdout.into(), stderr: String::new(), exit_code: 0 }
}

fn failed(stderr: &str) -> Printed {
    Printed { stdout: String::new(), stderr: stderr.into(), exit_code: 1 }
}

fn with_deployment() -> FakeServer {
    let mut server = FakeServer::default();
    assert_eq!(
        server.kubectl("create deployment web --image=nginx:1.25 --replicas=2"),
        printed("deployment.apps/web created\n")
    );
    server.calls.clear();
    server
}

const DEPLOYMENT: &str = "deployments/default/web";

#[test]
fn creating_takes_one_request_each() {
    let mut server = FakeServer::default();
    assert_eq!(server.kubectl("create namespace demo"), printed("namespace/demo created\n"));
    assert_eq!(server.kubectl("run p --image=nginx -n demo"), printed("pod/p created\n"));
    assert_eq!(server.calls, ["create namespaces", "create pods"]);
    let again = failed("Error from server (AlreadyExists): namespaces \"demo\" already exists\n");
    assert_eq!(server.kubectl("create namespace demo"), again);
    server.kubectl("create deployment d --image=nginx");
    let again = failed("error: failed to create deployment: deployments.apps \"d\" already exists\n");
    assert_eq!(server.kubectl("create deployment d --image=nginx"), again);
}

#[test]
fn a_dry_run_prints_the_object_and_asks_nobody() {
    let mut server = FakeServer::default();
    let expected = "\
apiVersion: v1
kind: Pod
metadata:
  labels:
    a: b
    c: d
  name: once
spec:
  containers:
  - env:
    - name: X
      value: \"1\"
    image: nginx:1.26
    name: once
    ports:
    - containerPort: 80
    resources: {}
  dnsPolicy: ClusterFirst
  restartPolicy: Always
status: {}
";
    let line = "run once --image=nginx:1.26 --port=80 --labels=a=b,c=d --env=X=1 --dry-run=client -o yaml";
    assert_eq!(server.kubectl(line), printed(expected));
    assert!(server.calls.is_empty());
}

#[test]
fn apply_creates_then_leaves_alone_then_patches() {
    let mut server = FakeServer::default();
    let manifest = |replicas: u32| {
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: demo}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: nginx, image: nginx}}]}}
"
        )
    };
    let mut apply = |replicas| server.kubectl_with("apply -f -", Some(&manifest(replicas)));
    assert_eq!(apply(1), printed("deployment.apps/web created\n"));
    assert_eq!(apply(1), printed("deployment.apps/web unchanged\n"));
    assert_eq!(apply(3), printed("deployment.apps/web configured\n"));
    let expected = [
        "get deployments",
        "get namespaces",
        "create deployments",
        "get deployments",
        "get deployments",
        "patch deployments",
    ];
    assert_eq!(server.calls, expected);
    let stored = &server.objects["deployments/demo/web"];
    assert_eq!(stored["spec"]["replicas"], 3);
    let annotation = stored["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str();
    assert!(annotation.is_some_and(|a| a.contains("\"replicas\":3") && a.ends_with("}\n")));
}

#[test]
fn apply_on_a_created_object_warns() {
    let mut server = with_deployment();
    let manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 2\n";
    let out = server.kubectl_with("apply -f -", Some(manifest));
    assert_eq!(out.stdout, "deployment.apps/web configured\n");
    assert!(
        out.stderr.starts_with("Warning: resource deployments/web is missing the kubectl.kubernetes.io/last-applied")
    );
}

#[test]
fn scaling_patches_the_scale_and_checks_preconditions() {
    let mut server = with_deployment();
    assert_eq!(server.kubectl("scale deployment web --replicas=5"), printed("deployment.apps/web scaled\n"));
    assert_eq!(server.calls, ["get deployments", "patch deployments/scale"]);
    assert_eq!(
        server.kubectl("scale deployment/web --current-replicas=2 --replicas=3"),
        failed("error: Expected replicas to be 2, was 5\n")
    );
}

#[test]
fn set_image_sends_a_patch_only_if_something_changes() {
    let mut server = with_deployment();
    assert_eq!(
        server.kubectl("set image deployment/web nginx=nginx:1.26"),
        printed("deployment.apps/web image updated\n")
    );
    assert_eq!(server.calls, ["get deployments", "patch deployments"]);
    assert_eq!(server.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:1.26");
    assert_eq!(server.kubectl("set image deployment/web *=nginx:1.26"), printed(""));
    assert_eq!(
        server.kubectl("set image deployment/web other=x"),
        failed("error: unable to find container named \"other\"\n")
    );
}

fn add_replica_set(server: &mut FakeServer, revision: u32, image: &str) {
    let uid = server.objects[DEPLOYMENT]["metadata"]["uid"].clone();
    let mut template = server.objects[DEPLOYMENT]["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = json!(format!("h{revision}"));
    template["spec"]["containers"][0]["image"] = json!(image);
    let set = json!({"metadata": {"name": format!("web-h{revision}"), "namespace": "default", "labels": {"app": "web"},
        "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
        "ownerReferences": [{"uid": uid, "controller": true}]}, "spec": {"template": template}});
    server.objects.insert(format!("replicasets/default/web-h{revision}"), set);
}

#[test]
fn undo_puts_the_older_template_back() {
    let mut server = with_deployment();
    server.objects.get_mut(DEPLOYMENT).expect("it is there")["metadata"]["annotations"] =
        json!({"deployment.kubernetes.io/revision": "2"});
    add_replica_set(&mut server, 1, "nginx:1.24");
    assert_eq!(
        server.kubectl("rollout undo deployment/web"),
        failed("error: no rollout history found for deployment \"web\"\n")
    );
    add_replica_set(&mut server, 2, "nginx:1.25");
    server.calls.clear();
    assert_eq!(server.kubectl("rollout undo deployment/web"), printed("deployment.apps/web rolled back\n"));
    assert_eq!(server.calls, ["get deployments", "get deployments", "list replicasets", "patch deployments"]);
    let template = &server.objects[DEPLOYMENT]["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["image"], "nginx:1.24");
    assert_eq!(template["metadata"]["labels"], json!({"app": "web"}));
    let skipped = "deployment.apps/web skipped rollback (current template already matches revision 1)\n";
    assert_eq!(server.kubectl("rollout undo deployment/web --to-revision=1"), printed(skipped));
    assert_eq!(
        server.kubectl("rollout history deployment/web"),
        printed("deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n")
    );
    assert_eq!(
        server.kubectl("rollout history deployment/web --revision=7"),
        failed("error: unable to find the specified revision\n")
    );
}

#[test]
fn rollout_status_prints_a_line_for_each_change() {
    let mut server = with_deployment();
    let state = |updated: u32, available: u32| {
        json!({"metadata": {"name": "web"}, "spec": {"replicas": 2},
            "status": {"updatedReplicas": updated, "replicas": 2, "availableReplicas": available}})
    };
    server.events = vec![("MODIFIED".into(), state(2, 1)), ("MODIFIED".into(), state(2, 2))];
    let expected = "Waiting for deployment \"web\" rollout to finish: 0 out of 2 new replicas have been updated...\n\
        Waiting for deployment \"web\" rollout to finish: 1 of 2 updated replicas are available...\n\
        deployment \"web\" successfully rolled out\n";
    assert_eq!(server.kubectl("rollout status deployment/web"), printed(expected));
    assert_eq!(server.calls, ["get deployments", "watch deployments"]);
    let out = server.kubectl("rollout status deployment/web --timeout=3s");
    assert_eq!((out.exit_code, out.stderr.as_str()), (1, "error: timed out waiting for the condition\n"));
}

#[test]
fn delete_says_so_at_once_and_waits_until_the_object_is_gone() {
    let mut server = FakeServer::default();
    server.kubectl("run p --image=nginx");
    server.calls.clear();
    assert_eq!(server.kubectl("delete pod p"), printed("pod \"p\" deleted from default namespace\n"));
    assert_eq!(server.calls, ["delete pods", "get pods"]);
    let missing = failed("Error from server (NotFound): pods \"p\" not found\n");
    assert_eq!(server.kubectl("delete pod p"), missing);
    assert_eq!(server.kubectl("delete pods --all"), printed(""));
    assert_eq!(server.kubectl("delete pods -l a=b"), printed("No resources found\n"));
    assert_eq!(server.kubectl("delete pods p --ignore-not-found"), printed(""));
}

#[test]
fn tables_are_aligned_and_kinds_kept_apart() {
    let mut server = with_deployment();
    server.kubectl("run p --image=nginx");
    server.now += 65_000_000_000;
    let expected = "NAME   READY   STATUS   RESTARTS   AGE\np      0/1              0          65s\n";
    assert_eq!(server.kubectl("get pods"), printed(expected));
    let expected = "\
NAME    READY   STATUS   RESTARTS   AGE
pod/p   0/1              0          65s

NAME                  READY   UP-TO-DATE   AVAILABLE   AGE
deployment.apps/web   0/2     0            0           65s
";
    assert_eq!(server.kubectl("get po/p deploy/web"), printed(expected));
    let nothing = "No resources found in kube-system namespace.\n";
    assert_eq!(server.kubectl("get pods -n kube-system").stderr, nothing);
    let out = server.kubectl("get pods p ghost");
    assert!(out.stdout.starts_with("NAME"));
    assert_eq!((out.stderr.as_str(), out.exit_code), ("Error from server (NotFound): pods \"ghost\" not found\n", 1));
    assert_eq!(server.kubectl("get pods -o name"), printed("pod/p\n"));
    assert_eq!(server.kubectl("get pod p -o jsonpath={.spec.containers[*].image}"), printed("nginx"));
}

#[test]
fn a_watch_prints_rows_in_the_columns_it_began_with() {
    let mut server = FakeServer::default();
    server.kubectl("create namespace a");
    let changed = |phase: &str| json!({"metadata": {"name": "a"}, "status": {"phase": phase}});
    server.events = vec![("MODIFIED".into(), changed("Active")), ("DELETED".into(), changed("Terminating"))];
    server.calls.clear();
    let out = server.kubectl("get ns -w --request-timeout=10s");
    let expected =
        "NAME   STATUS   AGE\na               0s\na      Active   <unknown>\na      Terminating   <unknown>\n";
    assert_eq!(out, printed(expected));
    assert_eq!(server.calls, ["list namespaces", "watch namespaces"]);
}

#[test]
fn cordon_patches_only_if_needed() {
    let mut server = FakeServer::default();
    server.objects.insert("nodes//n1".into(), json!({"metadata": {"name": "n1"}, "spec": {}}));
    assert_eq!(server.kubectl("cordon n1"), printed("node/n1 cordoned\n"));
    assert_eq!(server.kubectl("cordon n1"), printed("node/n1 already cordoned\n"));
    assert_eq!(server.kubectl("uncordon n1"), printed("node/n1 uncordoned\n"));
    assert_eq!(server.objects["nodes//n1"]["spec"], json!({}));
    assert_eq!(server.calls, ["get nodes", "patch nodes", "get nodes", "get nodes", "patch nodes"]);
}

#[test]
fn labels_are_set_kept_and_removed() {
    let mut server = with_deployment();
    assert_eq!(server.kubectl("label deployment web team=a"), printed("deployment.apps/web labeled\n"));
    assert_eq!(server.kubectl("label deployment web team=a"), printed("deployment.apps/web not labeled\n"));
    let refused = failed("error: 'team' already has a value (a), and --overwrite is false\n");
    assert_eq!(server.kubectl("label deployment web team=b"), refused);
    assert_eq!(server.kubectl("label deployment web team-"), printed("deployment.apps/web unlabeled\n"));
    let out = "label \"x\" not found.\ndeployment.apps/web not labeled\n";
    assert_eq!(server.kubectl("label deployment web x-"), printed(out));
    assert_eq!(server.kubectl("annotate deployment web note=y"), printed("deployment.apps/web annotated\n"));
    let refused =
        "error: --overwrite is false but found the following declared annotation(s): 'note' already has a value (y)\n";
    assert_eq!(server.kubectl("annotate deployment web note=x"), failed(refused));
}

#[test]
fn a_refused_connection_is_told_in_kubectls_words() {
    use super::{Answer, Process, Progress, run};
    let mut process = Process::new(vec!["get".into(), "pods".into()], None, 0);
    process.answers.push(Answer::ConnectionRefused { at: 1 });
    let done = run(&process, &super::fake_server::TestFiles(Default::default()));
    assert_eq!(done.progress, Progress::Done { exit_code: 1 });
    let text = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?\n";
    assert_eq!(done.stderr.first().map(|c| c.text.as_str()), Some(text));
}

#[test]
fn a_request_is_repeated_when_the_server_asks_for_it() {
    use super::{Answer, Process, Progress, run};
    let mut process = Process::new(vec!["get".into(), "pods".into()], None, 0);
    let status = json!({"code": 429, "reason": "TooManyRequests", "details": {"retryAfterSeconds": 1}});
    process.answers.push(Answer::Err { at: 1, status });
    process.answers.push(Answer::Slept { at: 1_000_000_001 });
    process.answers.push(Answer::Ok { at: 1_000_000_002, body: Value::Null, warnings: vec!["w".into()] });
    let done = run(&process, &super::fake_server::TestFiles(Default::default()));
    assert_eq!(done.progress, Progress::Done { exit_code: 0 });
    assert_eq!(
        done.stderr.first().map(|c| c.text.as_str()),
        Some("Warning: w\nNo resources found in default namespace.\n")
    );
}

#[test]
fn taints_are_set_refused_and_removed() {
    let mut server = FakeServer::default();
    server.objects.insert("nodes//n1".into(), json!({"metadata": {"name": "n1"}, "spec": {}}));
    assert_eq!(server.kubectl("taint nodes n1 dedicated=batch:NoSchedule"), printed("node/n1 tainted\n"));
    let refused =
        failed("error: node n1 already has dedicated taint(s) with same effect(s) and --overwrite is false\n");
    assert_eq!(server.kubectl("taint nodes n1 dedicated=other:NoSchedule"), refused);
    let taint = json!([{"key": "dedicated", "value": "batch", "effect": "NoSchedule"}]);
    assert_eq!(server.objects["nodes//n1"]["spec"]["taints"], taint);
    assert_eq!(server.kubectl("taint nodes n1 gone-"), failed("error: taint \"gone\" not found\n"));
    assert_eq!(server.kubectl("taint nodes n1 dedicated:NoSchedule-"), printed("node/n1 untainted\n"));
    assert_eq!(server.objects["nodes//n1"]["spec"], json!({}));
}

#[test]
fn wait_ends_when_the_condition_is_met() {
    let mut server = FakeServer::default();
    server.kubectl("run p --image=nginx");
    server.events = vec![(
        "MODIFIED".into(),
        json!({"metadata": {"name": "p"}, "status": {"conditions": [
        {"type": "Ready", "status": "True"}]}}),
    )];
    assert_eq!(server.kubectl("wait --for=condition=Ready pod/p"), printed("pod/p condition met\n"));
    let late = failed("error: timed out waiting for the condition on pods/p\n");
    assert_eq!(server.kubectl("wait --for=jsonpath={.status.phase}=Running pod/p --timeout=2s"), late);
    assert_eq!(server.kubectl("wait --for=delete pod/ghost"), printed(""));
}

#[test]
fn autoscaling_and_environment_take_one_request_more() {
    let mut server = with_deployment();
    let line = "autoscale deployment web --min=1 --max=4 --cpu=50%";
    assert_eq!(server.kubectl(line), printed("horizontalpodautoscaler.autoscaling/web autoscaled\n"));
    let target = &server.objects["horizontalpodautoscalers/default/web"]["spec"]["metrics"][0]["resource"]["target"];
    assert_eq!(*target, json!({"averageUtilization": 50, "type": "Utilization"}));
    assert_eq!(server.kubectl("set env deployment/web MODE=dev"), printed("deployment.apps/web env updated\n"));
    let listed = printed("# Deployment web, container nginx\nMODE=dev\n");
    assert_eq!(server.kubectl("set env deployment/web --list"), listed);
    assert_eq!(server.kubectl("set env deployment/web MODE=dev"), printed(""));
    let line = "set resources deployment web --limits=cpu=200m,memory=512Mi";
    assert_eq!(server.kubectl(line), printed("deployment.apps/web resource requirements updated\n"));
    let limits = &server.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(*limits, json!({"cpu": "200m", "memory": "512Mi"}));
    let line = "set sa deployment/web builder";
    assert_eq!(server.kubectl(line), printed("deployment.apps/web serviceaccount updated\n"));
}

#[test]
fn daemon_sets_have_revisions_to_go_back_to() {
    let mut server = FakeServer::default();
    let template = |image: &str| json!({"spec": {"containers": [{"name": "c", "image": image}]}});
    let set = json!({"kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "default", "uid": "u"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template("b")}});
    server.objects.insert("daemonsets/default/agent".into(), set);
    for (number, image) in [(1, "a"), (2, "b")] {
        let mut patch = template(image);
        patch["$patch"] = "replace".into();
        let revision = json!({"metadata": {"name": image, "labels": {"app": "agent"},
                "ownerReferences": [{"uid": "u", "controller": true}]},
            "revision": number, "data": {"spec": {"template": patch}}});
        server.objects.insert(format!("controllerrevisions/default/{image}"), revision);
    }
    let history = printed("daemonset.apps/agent \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n");
    assert_eq!(server.kubectl("rollout history ds/agent"), history);
    let skipped = printed("daemonset.apps/agent skipped rollback (current template already matches revision 2)\n");
    assert_eq!(server.kubectl("rollout undo ds/agent --to-revision=2"), skipped);
    assert_eq!(server.kubectl("rollout undo ds/agent"), printed("daemonset.apps/agent rolled back\n"));
    let image = &server.objects["daemonsets/default/agent"]["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "a");
}

#[test]
fn all_kinds_have_tables_and_descriptions() {
    let mut server = FakeServer::default();
    for resource in super::resources::Resource::table() {
        if !resource.verbs().contains(&"list") {
            continue;
        }
        let namespace = if resource.namespaced { "default" } else { "" };
        let object = json!({"kind": resource.kind, "metadata": {"name": "x", "namespace": namespace, "uid": "u"}});
        server.objects.insert(format!("{}/{namespace}/x", resource.plural), object);
        for line in ["get", "get -o wide", "get -o name", "describe"] {
            let printed = server.kubectl(&format!("{line} {}", resource.plural_group()));
            assert_eq!((printed.exit_code, printed.stderr.as_str()), (0, ""), "{line} {}", resource.plural_group());
            let named = printed.stdout.contains('x') || resource.plural == "events";
            assert!(named, "{line} {}: {}", resource.plural_group(), printed.stdout);
        }
    }
}

#[test]
fn get_all_asks_for_what_the_category_has() {
    let mut server = with_deployment();
    server.calls.clear();
    let expected = "NAME                  READY   UP-TO-DATE   AVAILABLE   AGE\ndeployment.apps/web   0/2     0            \
                    0           0s\n";
    assert_eq!(server.kubectl("get all"), printed(expected));
    let kinds = ["pods", "replicationcontrollers", "services", "daemonsets", "deployments", "replicasets"];
    let more = ["statefulsets", "horizontalpodautoscalers", "cronjobs", "jobs"];
    let lists: Vec<String> = kinds.iter().chain(&more).map(|kind| format!("list {kind}")).collect();
    assert_eq!(server.calls, lists);
}

#[test]
fn the_types_are_listed_as_discovery_tells_them() {
    let mut server = FakeServer::default();
    let expected = "\
NAME       SHORTNAMES   APIVERSION   NAMESPACED   KIND      VERBS                                                        CATEGORIES
cronjobs   cj           batch/v1     true         CronJob   create,delete,deletecollection,get,list,patch,update,watch   all
jobs                    batch/v1     true         Job       create,delete,deletecollection,get,list,patch,update,watch   all
";
    assert_eq!(server.kubectl("api-resources --api-group=batch -o wide"), printed(expected));
    assert_eq!(server.kubectl("api-versions").stdout.lines().count(), 22);
    let none = failed("error: Metrics API not available\n");
    assert_eq!(server.kubectl("top pods"), none);
    assert_eq!(server.kubectl("auth can-i create pods"), printed("yes\n"));
}

#[test]
fn events_are_told_in_the_order_of_their_times() {
    let mut server = FakeServer::default();
    server.now = 100_000_000_000;
    for (name, second, count) in [("e1", 50, 1), ("e2", 20, 3)] {
        let event = json!({"metadata": {"name": name, "namespace": "default"}, "type": "Normal", "reason": name,
            "involvedObject": {"kind": "Pod", "name": "p"}, "message": " m ", "count": count,
            "firstTimestamp": "1970-01-01T00:00:10Z", "lastTimestamp": format!("1970-01-01T00:00:{second}Z")});
        server.objects.insert(format!("events/default/{name}"), event);
    }
    let expected = "\
LAST SEEN           TYPE     REASON   OBJECT   MESSAGE
80s (x3 over 90s)   Normal   e2       Pod/p    m
90s                 Normal   e1       Pod/p    m
";
    assert_eq!(server.kubectl("events --for=pod/p"), printed(expected));
    let none = Printed { stdout: String::new(), stderr: "No events found in x namespace.\n".into(), exit_code: 0 };
    assert_eq!(server.kubectl("events -n x"), none);
}
