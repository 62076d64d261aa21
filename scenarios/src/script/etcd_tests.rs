//! etcdctl, etcdutl, curl and metrics from scripts.

use super::tests::{mistake, transcript};

/// The output of a script over etcd alone, without stamps.
fn shown(members: u8, text: &str) -> String {
    let text = transcript(&format!("cluster(#{{ only: \"etcd\", etcd: {members} }});\n{text}"));
    text.lines().map(|line| line.chars().skip(11).collect::<String>() + "\n").collect()
}

#[test]
fn etcdctl_runs_like_kubectl() {
    let text = shown(1, "let r = etcdctl(\"put a 1\"); etcdctl(\"etcdctl get a\"); print(`${r.code} ${r.stdout}`);");
    assert_eq!(text, "$ etcdctl put a 1\nOK\n$ etcdctl get a\na\n1\n0 OK\n");
    let text =
        shown(1, "etcdctl(\"put k\", \"x\"); etcdctl(\"get k\"); etcdctl(\"txn\", `\n\nput a 1\nput b 2\n\n\n`);");
    assert!(text.contains("$ etcdctl get k\nk\nx\n") && text.contains("SUCCESS\n\nOK\n\nOK\n"), "{text}");
}

#[test]
fn output_may_go_through_text_tools() {
    let text = shown(
        1,
        "for i in 1..4 { etcdctl(`put k${i} ${i}`); }\n\
         let r = etcdctl(\"get k --prefix --keys-only | grep k | wc -l\"); expect(r.stdout == \"3\\n\", \"three\");",
    );
    assert!(text.contains("$ etcdctl get k --prefix --keys-only | grep k | wc -l\n3\n"), "{text}");
    for (script, part) in [
        ("etcdctl(\"get a | awk '{print}'\");", "after `|` there is no `awk`"),
        ("etcdctl(\"get a |\");", "a `|` has nothing after it"),
        ("etcdctl(\"get a > f\");", "this is etcdctl, not a shell"),
        ("etcdctl(\"watch a\");", "etcdctl_for(\"10s\", \"watch a\")"),
        ("etcdctl(\"kubectl get pods\");", "write kubectl(\"get pods\")"),
        ("kubectl(\"get pods\");", "there is no API server"),
        ("metrics(\"scheduler\");", "there are no metrics of `scheduler`"),
        ("etcd_start(\"nowhere\");", "there is no data directory `nowhere`; there are default.etcd"),
        ("etcd_join(\"m2\", \"http://127.0.0.1:3380\");", "was added"),
    ] {
        let text = mistake(&format!("cluster(#{{ only: \"etcd\" }});\n{script}"));
        assert!(text.contains(part), "{script}\n{text}");
    }
}

#[test]
fn a_watch_is_shown_for_a_time_or_in_the_background() {
    let text = shown(
        1,
        "etcdctl(\"put a 1\"); etcdctl_for(\"2s\", \"watch a --rev=1\"); etcdctl_for(\"watch a --rev=1\", \"1s\");\n\
         let w = start(\"etcdctl watch a\"); run_for(\"1s\"); etcdctl(\"put a 2\"); run_for(\"1s\"); w.stop();\n\
         expect(w.output == \"PUT\\na\\n2\\n\", \"it has seen the write\");",
    );
    assert_eq!(text.matches("$ etcdctl watch a --rev=1\nPUT\na\n1\n^C\n").count(), 2, "{text}");
    assert!(text.contains("$ etcdctl watch a &   [1]\n") && text.contains("[1] PUT\n[1] a\n[1] 2\n"), "{text}");
}

#[test]
fn a_member_that_is_down_is_passed_over_and_a_quorum_is_needed() {
    let text = shown(
        3,
        "let all = \"--endpoints=127.0.0.1:2379,127.0.0.1:3379,127.0.0.1:4379\";\n\
         crash(\"etcd-1\"); etcdctl(`${all} put a 1`); crash(\"etcd-2\");\n\
         let r = etcdctl(`${all} --command-timeout=2s put a 2`); expect(r.code == 1, \"no quorum\");\n\
         let r = etcdctl(`${all} get a --consistency=s`); expect(r.stdout == \"a\\n1\\n\", \"read alone\");",
    );
    assert!(text.contains("OK\n") && text.contains("Error: context deadline exceeded\n"), "{text}");
}

#[test]
fn a_snapshot_is_restored_into_a_new_data_directory() {
    let text = shown(
        1,
        "etcdctl(\"put a 1\"); etcdctl(\"snapshot save s.db\"); etcdctl(\"put a 2\");\n\
         etcdutl(\"snapshot status s.db -w json\"); terminate(\"etcd-0\"); run_for(\"1s\");\n\
         etcdutl(\"snapshot restore s.db --data-dir new\"); etcd_start(\"new\"); run_for(\"3s\");\n\
         let r = etcdctl(\"get a\"); expect(r.stdout == \"a\\n1\\n\", \"as it was saved\");",
    );
    assert!(text.contains("Snapshot saved at s.db\n") && text.contains("\"revision\":2,"), "{text}");
    assert!(text.contains("(etcd-0 is started on new)\n"), "{text}");
}

#[test]
fn a_member_joins_as_a_learner_and_is_promoted() {
    let text = shown(
        3,
        "etcdctl(\"member add m4 --peer-urls=http://127.0.0.1:5380 --learner\");\n\
         etcd_join(\"m4\", \"http://127.0.0.1:5380\"); run_for(\"8s\");\n\
         let r = etcdctl(\"member list\"); expect(r.stdout.contains(\"started, m4\"), \"it has started\");\n\
         let m = metrics(\"etcd\"); expect(m[\"etcd-3\"].learner && m.len() == 4, \"it listens\");",
    );
    assert!(text.contains("http://127.0.0.1:5379, true\n"), "{text}");
}

#[test]
fn metrics_are_those_of_etcd() {
    let text = shown(
        3,
        "etcdctl(\"put a 1\"); run_for(\"1s\");\n\
         let m = metrics(\"etcd\"); let leaders = m.values().filter(|m| m.leader);\n\
         expect(leaders.len() == 1 && leaders[0].name == \"m1\" && leaders[0].puts == 1, \"one leads\");\n\
         expect(m[\"etcd-0\"].fsync.count > 0 && m[\"etcd-0\"].fsync.p99 > 0.0, \"it has synced\");\n\
         curl(\"-s http://127.0.0.1:3379/metrics | grep ^etcd_mvcc_put_total\");\n\
         curl(\"http://localhost:2379/health\"); curl(\"http://127.0.0.1:2381/metrics | grep -c ^etcd_\");\n\
         let r = curl(\"http://127.0.0.1:9999/metrics\"); expect(r.code == 7, \"nobody listens\");",
    );
    assert!(
        text.contains("etcd_mvcc_put_total 1\n") && text.contains("{\"health\":\"true\",\"reason\":\"\"}\n"),
        "{text}"
    );
    assert!(text.contains("curl: (7) Failed to connect to 127.0.0.1 port 9999"), "{text}");
}

#[test]
fn the_keys_are_those_of_a_real_api_server() {
    let text = transcript(
        "cluster(#{ nodes: 1 });\netcdctl(\"get /registry/minions --prefix --keys-only\");\n\
        let r = etcdctl(\"get /registry/namespaces/default --print-value-only\");\n\
        expect(r.stdout.starts_with(\"k8s\\x00\") && r.stdout.contains(\"Namespace\"), \"framed\");",
    );
    assert!(text.contains("/registry/minions/worker-1\n") && !text.contains('\0'), "{text}");
}
