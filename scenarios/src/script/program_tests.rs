//! What scripts tell the programs in containers, and what kubectl's logs and exec make of it.

use super::tests::{mistake, transcript};

/// The output of a script on a small cluster with a pod `talker` that has run for a while, without stamps.
fn shown(text: &str) -> String {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: talker, annotations: { wavetank.dev/exec.psql: \"exit 2\\nno such table\" } }\nspec:\n  \
        containers:\n  - { name: a, image: \"busybox:1.36\", command: [sh, -c, \"echo starting; sleep 5; echo ready; sleep 999\"] }\n  \
        - { name: b, image: \"busybox:1.36\", command: [sh, -c, \"for i in 1 2; do echo step $i; sleep 1; done; exit 3\"] }\n";
    let before = format!("cluster(#{{ nodes: 2 }}); apply(`{pod}`); run_for(\"14s\"); mark(\"here\");");
    let text = transcript(&format!("{before}\n{text}"));
    let (_, text) = text.split_once("── here ──\n").expect("the mark");
    text.lines().map(|line| line.chars().skip(11).collect::<String>() + "\n").collect()
}

#[test]
fn logs_are_what_containers_print() {
    let text = shown(
        "kubectl(\"logs talker\"); kubectl(\"logs talker -c b -p\"); kubectl(\"logs talker -c x\");\n\
         prints(\"talker\", \"a\", \"panic: boom\"); kubectl(\"logs talker -c a --tail=1\"); kubectl(\"logs -l app=web\");",
    );
    let wanted = "$ kubectl logs talker\nDefaulted container \"a\" out of: a, b\nstarting\nready\n\
                  $ kubectl logs talker -c b -p\nstep 1\nstep 2\n\
                  $ kubectl logs talker -c x\nerror: container x is not valid for pod talker out of: a, b\n\
                  $ kubectl logs talker -c a --tail=1\npanic: boom\n\
                  $ kubectl logs -l app=web\nNo resources found in default namespace.\n";
    assert_eq!(text, wanted);
}

#[test]
fn logs_that_are_not_there_say_why() {
    let text = shown(
        "kubectl(\"run late --image=nginx:does-not-exist\"); kubectl(\"logs late\"); run_for(\"6s\"); kubectl(\"logs late\");\n\
         kubectl(\"logs talker -c a -p\"); kubectl(\"logs nobody\");",
    );
    for part in [
        "Error from server (BadRequest): container \"late\" in pod \"late\" is waiting to start: ContainerCreating\n",
        "Error from server (BadRequest): container \"late\" in pod \"late\" is waiting to start: trying and failing to pull image\n",
        "Error from server (BadRequest): previous terminated container \"a\" in pod \"talker\" not found\n",
        "error: error from server (NotFound): pods \"nobody\" not found in namespace \"default\"\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_log_is_followed_until_its_container_ends() {
    let text = shown(
        "let f = start(\"logs -f talker -c a --tail=1\"); run_for(\"1s\"); prints(\"talker\", \"one\\ntwo\"); run_for(\"1s\");\n\
         kubectl(\"delete pod talker\"); run_for(\"1s\"); expect(f.code == 0, \"it has ended\");",
    );
    assert!(text.contains("[1] ready\n") && text.contains("[1] one\n[1] two\n"), "{text}");
    assert!(text.contains("✓ it has ended"), "{text}");
}

#[test]
fn commands_answer_as_somebody_said() {
    let text = shown(
        "kubectl(\"exec talker -c a -- echo hello\"); kubectl(\"exec talker -c a -- psql -c 'select 1'\");\n\
         kubectl(\"exec talker -c b -- ls /\"); let r = kubectl(\"exec talker -c a -- ls /\");\n\
         on_exec(\"talker\", \"ls /\", \"bin\\netc\", 7); let s = kubectl(\"exec talker -c a -- ls /\"); print(`${r.code} ${s.code}`);",
    );
    let begins = "$ kubectl exec talker -c a -- echo hello\nhello\n$ kubectl exec talker -c a -- psql -c 'select 1'\nno such table\n\
                  command terminated with exit code 2\n$ kubectl exec talker -c b -- ls /\n\
                  error: Internal error occurred: unable to upgrade connection: container not found (\"b\")\n\
                  $ kubectl exec talker -c a -- ls /\nerror: nobody has said what \"ls /\" does in container a";
    assert!(text.starts_with(begins), "{text}");
    assert!(text.ends_with("bin\netc\ncommand terminated with exit code 7\n1 7\n"), "{text}");
}

#[test]
fn a_kubelet_that_is_away_answers_nothing() {
    let text = shown(
        "crash([\"worker-1\", \"worker-2\"]); kubectl(\"logs talker -c a\"); kubectl(\"exec talker -c a -- date\");",
    );
    let refused = ":10250: connect: connection refused\n";
    assert!(
        text.contains("Error from server: Get \"https://172.18.0.")
            && text.contains(":10250/containerLogs/default/talker/a\""),
        "{text}"
    );
    assert!(
        text.contains("Error from server: error dialing backend: dial tcp 172.18.0.")
            && text.matches(refused).count() == 2,
        "{text}"
    );
}

#[test]
fn health_changes_without_a_write() {
    let text = transcript(
        "cluster(#{ nodes: 1 }); apply(`
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - name: a
        image: nginx:1.25
        readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1, failureThreshold: 1 }
        livenessProbe: { httpGet: { port: 80 }, periodSeconds: 1 }
`);
wait(\"deployment/web\", \"Available\");
health(\"deployment/web\", \"readiness\", \"500, 20s: ok\"); run_for(\"5s\");
expect(pods().filter(|p| p.ready).len() == 0, \"no pod is ready\"); run_for(\"18s\");
expect(pods().filter(|p| p.ready).len() == 2, \"both are again\");
health(pods()[0], \"liveness\", \"timeout until restart\"); run_for(\"40s\");
expect(pods().map(|p| p.restarts).reduce(|a, b| a + b, 0) == 1, \"one has been restarted, once\");
health(\"deployment/web\", \"readiness\", \"refused\"); kubectl(\"delete pod \" + pods()[0].name); run_for(\"20s\");
expect(pods().len() == 2 && pods().filter(|p| p.ready).len() == 0, \"the new pod is not ready either\");
health(\"deployment/web\", \"readiness\", \"\"); run_for(\"5s\");
expect(pods().filter(|p| p.ready).len() == 2, \"now both are\");",
    );
    assert!(text.contains("↯ readiness probes of 2 pods: 500, 20s: ok") && !text.contains('✗'), "{text}");
}

#[test]
fn mistakes_are_answered() {
    for (script, part) in [
        ("health(\"talker\", \"all\", \"fine\");", "`fine` is no answer to a probe"),
        ("health(\"talker\", \"life\", \"ok\");", "there is no probe `life`"),
        ("health(\"deployment/web\", \"all\", \"ok\");", "there is no such pod on any node"),
        ("health(\"deploymint/web\", \"all\", \"ok\");", "there is no kind `deploymint`"),
        ("prints([], \"x\");", "an empty list of pods"),
        ("on_exec(\"talker\", \"ls\", \"x\", 999);", "a number from 0 to 255"),
    ] {
        let text = mistake(&format!("cluster(#{{ nodes: 1 }});\n{script}"));
        assert!(text.contains(part), "{script}\n{text}");
    }
}
