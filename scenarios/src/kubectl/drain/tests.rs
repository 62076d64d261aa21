//! Draining against the fake server.

use serde_json::{Value, json};

use super::super::fake_server::{FakeServer, Printed};

fn pod(server: &mut FakeServer, name: &str, owner: Option<&str>) {
    let owners: Vec<Value> =
        owner.into_iter().map(|kind| json!({"kind": kind, "name": "o", "controller": true})).collect();
    let pod = json!({"metadata": {"name": name, "namespace": "default", "uid": name, "ownerReferences": owners},
        "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
    server.objects.insert(format!("pods/default/{name}"), pod);
}

fn server(pods: &[(&str, Option<&str>)]) -> FakeServer {
    let mut server = FakeServer::default();
    server.objects.insert("nodes//n".into(), json!({"metadata": {"name": "n"}, "spec": {}}));
    server.objects.insert("daemonsets/default/o".into(), json!({"metadata": {"name": "o", "namespace": "default"}}));
    for (name, owner) in pods {
        pod(&mut server, name, *owner);
    }
    server
}

#[test]
fn pods_are_evicted_and_those_of_daemon_sets_stay() {
    let mut server = server(&[("a", Some("ReplicaSet")), ("b", Some("ReplicaSet")), ("d", Some("DaemonSet"))]);
    let expected = Printed {
        stdout: "node/n cordoned\nevicting pod default/b\nevicting pod default/a\npod/b evicted\npod/a evicted\n\
                 node/n drained\n"
            .into(),
        stderr: "Warning: ignoring DaemonSet-managed Pods: default/d\n".into(),
        exit_code: 0,
    };
    assert_eq!(server.kubectl("drain n --ignore-daemonsets"), expected);
    assert!(server.objects.contains_key("pods/default/d") && !server.objects.contains_key("pods/default/a"));
}

#[test]
fn what_forbids_draining_is_told_three_times() {
    let mut server = server(&[("bare", None), ("d", Some("DaemonSet"))]);
    let printed = server.kubectl("drain n");
    assert_eq!((printed.exit_code, printed.stdout.as_str()), (1, "node/n cordoned\n"));
    let (bare, daemon) = (
        "cannot delete Pods that declare no controller (use --force to override): default/bare",
        "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/d",
    );
    let expected = format!(
        "error: unable to drain node \"n\" due to error: [{bare}, {daemon}], continuing command...\nThere are pending \
         nodes to be drained:\n n\n{bare}\n{daemon}\n"
    );
    assert_eq!(printed.stderr, expected);
}

#[test]
fn a_refused_eviction_is_tried_again_after_five_seconds() {
    let mut server = server(&[("a", Some("ReplicaSet"))]);
    server.refusals = 2;
    let started = server.now;
    let printed = server.kubectl("drain n");
    assert_eq!(printed.exit_code, 0);
    let evicting = "evicting pod default/a\n".repeat(3);
    assert_eq!(printed.stdout, format!("node/n cordoned\n{evicting}pod/a evicted\nnode/n drained\n"));
    let refused = "error when evicting pods/\"a\" -n \"default\" (will retry after 5s): Cannot evict pod as it would \
                   violate the pod's disruption budget.\n";
    assert_eq!(printed.stderr, refused.repeat(2));
    assert!((10_000_000_000..10_100_000_000).contains(&(server.now - started)));
}

#[test]
fn a_time_out_leaves_the_pods_and_says_which() {
    let mut server = server(&[("a", Some("ReplicaSet"))]);
    server.refusals = 9;
    let printed = server.kubectl("drain n --timeout=8s");
    let error = "error when evicting pods/\"a\" -n \"default\": global timeout reached: 8s";
    assert_eq!(printed.exit_code, 1);
    assert_eq!(printed.stdout, format!("node/n cordoned\n{}", "evicting pod default/a\n".repeat(3)));
    let end = format!(
        "There are pending pods in node \"n\" when an error occurred: {error}\npod/a\nerror: unable to drain node \
         \"n\" due to error: {error}, continuing command...\nThere are pending nodes to be drained:\n n\n{error}\n"
    );
    assert!(printed.stderr.ends_with(&end), "{}", printed.stderr);
}

#[test]
fn without_evictions_pods_are_deleted() {
    let mut server = server(&[("a", Some("ReplicaSet")), ("bare", None)]);
    let printed = server.kubectl("drain n --disable-eviction --force");
    assert_eq!(printed.stdout, "node/n cordoned\npod/a deleted\npod/bare deleted\nnode/n drained\n");
    assert_eq!(printed.stderr, "Warning: deleting Pods that declare no controller: default/bare\n");
}

#[test]
fn a_dry_run_names_the_pods_in_order() {
    let mut server = server(&[("a", Some("ReplicaSet")), ("b", Some("ReplicaSet"))]);
    let printed = server.kubectl("drain n --dry-run=client");
    let expected = "node/n cordoned (dry run)\nevicting pod default/a (dry run)\nevicting pod default/b (dry run)\n\
                    node/n drained (dry run)\n";
    assert_eq!(printed.stdout, expected);
    assert_eq!(server.kubectl("drain missing").stderr, "Error from server (NotFound): nodes \"missing\" not found\n");
}
