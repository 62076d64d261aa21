//! Faults with an end, chance, and what they did to workloads, from scripts.

use super::tests::{mistake, transcript};

fn shown(text: &str) -> String {
    transcript(&format!("cluster(#{{ nodes: 2, etcd: 3 }});\n{text}"))
}

#[test]
fn what_is_begun_in_during_and_only_that_is_over_with_it() {
    let text = shown(
        "during(\"10s\", \"40s\", || partition(\"worker-1\", \"kube-apiserver\"));
        during(\"20s\", \"1m\", || { cut(\"worker-1\", \"kube-apiserver\"); crash(\"kube-scheduler\"); });
        at(\"30s\", || slow_cpu(\"kube-controller-manager\", 3));
        run_for(\"90s\"); heal();",
    );
    let faults: Vec<&str> = text.lines().filter(|line| line.contains('↯')).map(|line| line.trim()).collect();
    let ends = |place: usize, time: &str, what: &str| {
        assert!(faults[place].contains(time) && faults[place].ends_with(what), "{place}: {text}");
    };
    ends(0, "10.0", "↯ cut worker-1 | kube-apiserver");
    ends(1, "20.0", "↯ cut worker-1 → kube-apiserver");
    ends(2, "20.0", "↯ kube-scheduler is killed (SIGKILL)");
    ends(3, "30.0", "↯ slow CPU of kube-controller-manager (×3)");
    ends(4, "40.0", "↯ over: cut worker-1 | kube-apiserver");
    ends(5, "60.0", "↯ over: cut worker-1 → kube-apiserver");
    ends(6, "60.0", "↯ over: kube-scheduler down");
    ends(7, "90.0", "↯ mended: slow CPU of kube-controller-manager (×3)");
}

#[test]
fn an_at_that_falls_into_a_during_that_waits_keeps_its_faults() {
    let text = shown(
        "at(\"12s\", || hang(\"worker-2\"));
        during(\"10s\", \"20s\", || { crash(\"etcd-0\"); run_for(\"5s\"); });
        during(\"5s\", || watch_delay(\"kube-scheduler\", \"2s\"));
        run_for(\"30s\"); resume(\"worker-2\");",
    );
    assert!(text.contains("over: etcd-0 down") && !text.contains("over: worker-2"), "{text}");
    assert!(text.contains("over: watches of kube-scheduler late (+2s)"), "{text}");
}

#[test]
fn faults_that_make_no_sense_are_answered() {
    for (script, part) in [
        ("during(\"2m\", \"30s\", || crash(\"etcd-0\"));", "end at \"2m30s\""),
        ("during(\"30s\", \"2m\", || print(\"x\")); run_for(\"1m\");", "begins no fault"),
        ("during(\"30s\", \"2m\", crash(\"etcd-0\"));", "put two bars before it"),
        ("run_for(\"1m\"); during(\"30s\", \"2m\", || crash(\"etcd-0\"));", "it is 1m0s already"),
        ("chaos(#{ node_mtfb: \"2h\" });", "did you mean `node_mtbf`?"),
        ("chaos(\"2h\");", "a map such as"),
        ("crash(\"zone/a\");", "no node has a zone"),
        ("crash(\"worker-3\");", "did you mean `worker-"),
        ("clock_skew(\"etcd-0\", \"90s\");", "etcd reads no clock"),
        ("clock_skew(\"worker-1\", \"soon\");", "soon"),
        ("watch_delay(\"kube-apiserver\", \"1s\");", "no client of the API server"),
        ("watch_drop(\"worker-1\", 2);", "above 0 and at most 1"),
        ("watch_drop(\"worker-1\", \"1s\", \"burn\");", "\"break\" or \"expire\""),
        ("full_disk(\"worker-1\");", "only members of etcd have a disk"),
        (
            "partition(\"all nodes\", \"all nodes\"); partition(\"etcd\", \"etcd-0\"); partition(\"etcd-0\", \"etcd-0\");",
            "no link to itself",
        ),
    ] {
        let text = mistake(&format!("cluster(#{{ nodes: 2, etcd: 3 }});\n{script}"));
        assert!(text.contains(part), "{script}\n{text}");
    }
}

const CHAOS: &str = "
    kubectl(\"create deployment web --image=nginx:1.25 --replicas=4\"); run_for(\"20s\");
    chaos(#{ node_mtbf: \"5m\", node_mttr: \"1m\", kubelet_mtbf: \"10m\", etcd_mtbf: \"10m\", etcd_mttr: \"20s\", apiserver_mtbf: \"8m\",
        scheduler_mtbf: \"8m\", controller_manager_mtbf: \"8m\", link_mtbf: \"8m\", disk_slow_mtbf: \"8m\", to: \"10m\" });
    run_until(\"25m\");
    let r = resilience(); print(r.text);
    expect(r.faults.len() > 10 && r.faults.all(|f| f.ended != ()), \"everything is over\");
    let web = r.workloads.find(|w| w.workload == \"deployment/web\");
    expect(web.available == 4, `all are back: ${web}`);
    expect(pods().filter(|p| p.ready).len() == 4, \"all are ready\");
";

#[test]
fn chaos_is_the_same_each_time_and_all_recovers() {
    let text = shown(CHAOS);
    assert!(!text.contains('✗'), "{text}");
    assert!(text.contains("↯ chaos until 10m0s") && text.contains("RECOVERED AFTER"), "{text}");
    assert_eq!(text, shown(CHAOS));
}

#[test]
fn faults_of_registries_machines_and_webhooks_end_with_during() {
    let text = shown(
        "webhook(\"gate\", #{ kind: \"validating\", rules: [#{ resources: \"pods\", operations: \"CREATE\" }], admit: |request| allow() });
        during(\"10s\", \"40s\", || { registry_down(); webhook_down(\"gate\"); });
        during(\"15s\", \"45s\", || node_pressure(\"worker-1\", #{ memory_available: \"50Mi\" }));
        during(\"20s\", \"50s\", || shutdown(\"node/worker-2\"));
        at(\"30s\", || kubectl(\"run web --image=nginx:1.25\"));
        at(\"42s\", || kubectl(\"run web2 --image=nginx:1.25\"));
        run_for(\"90s\");
        expect(nodes().all(|node| node.ready), \"it boots\");
        expect(get(\"pod\", \"web2\").ready, \"all is well again\");",
    );
    for over in [
        "over: registry anywhere: unreachable (i/o timeout)",
        "over: webhook/gate down",
        "over: pressure on worker-1 (memory.available 50Mi)",
        "over: node/worker-2 shuts down",
        "failed calling webhook",
    ] {
        assert!(text.contains(over), "{over}\n{text}");
    }
}

#[test]
fn the_report_counts_requests_of_the_workload_that_a_service_selects() {
    transcript(
        "cluster(#{ nodes: 2 });\nkubectl(\"create deployment web --image=nginx:1.25 --replicas=2\");\n\
         kubectl(\"create deployment other --image=nginx:1.25\");\nkubectl(\"expose deployment web --port=80\");\n\
         wait(\"deployment/web\", \"Available\");\nrun_for(\"2s\");\n\
         let users = traffic(\"service/web\", #{ rps: 100 });\nrun_for(\"3s\");\n\
         crash(\"node/worker-2\");\nrun_for(\"80s\");\nusers.stop();\nrun_for(\"3s\");\n\
         let report = resilience().workloads;\n\
         let of = |name| report.filter(|one| one.workload == name)[0];\n\
         expect(of.call(\"deployment/web\").requests_lost == users.lost && users.lost > 0, `${report}`);\n\
         expect(of.call(\"deployment/other\").requests == (), `${report}`);",
    );
}
