//! Registries, pressure, shutdown and static pods from scripts.

use super::tests::{mistake, transcript};

#[test]
fn registries_break_and_mend_by_host_and_image() {
    let text = transcript(
        "cluster(#{ nodes: 2, kubelet: #{ serialize_pulls: false } });\n\
         registry_down(\"ghcr.io\", \"refused\"); registry_slow(\"nginx:1.25\", \"500 kB/s\"); registry_lacks(\"nginx:9.9\");\n\
         kubectl(\"run ours --image=ghcr.io/shop/api:1.0\"); kubectl(\"run slow --image=nginx:1.25\");\n\
         kubectl(\"run lost --image=nginx:9.9\"); kubectl(\"run quick --image=nginx:1.26\"); run_for(\"20s\");\n\
         expect(get(\"pod\", \"quick\").ready && !get(\"pod\", \"slow\").ready, \"one is slow\");\n\
         let events = kubectl(\"get events --field-selector reason=Failed\").stdout;\n\
         expect(events.contains(\"/v2/shop/api/manifests/1.0\") && events.contains(\"connection refused\"), \"refused\");\n\
         expect(events.contains(\"docker.io/library/nginx:9.9: not found\"), \"lacks\");\n\
         registry_up(\"ghcr.io\"); run_for(\"30s\"); expect(get(\"pod\", \"ours\").ready, \"up again\");\n\
         registry_limited(0); kubectl(\"run none --image=redis:7\"); run_for(\"5s\");\n\
         expect(kubectl(\"get events --field-selector reason=Failed\").stdout.contains(\"429 Too Many Requests\"), \"limited\");\n\
         heal(); run_for(\"2m\"); expect(get(\"pod\", \"none\").ready && get(\"pod\", \"lost\").ready, \"all is well\");",
    );
    assert!(!text.contains('✗'), "{text}");
    assert!(text.contains("↯ registry nginx:1.25: slow (500 kB/s)"), "{text}");
    for (call, part) in [
        ("registry_down(\"docker.io\", \"gone\")", "\"timeout\" or \"refused\""),
        ("registry_slow(\"very\")", "\"500 kB/s\""),
        ("registry_limited(-1)", "whole number"),
        ("registry_lacks(\"\")", "neither a registry's host nor an image"),
        ("node_pressure(\"worker-9\", #{ memory_available: \"1Mi\" })", "there is no `worker-9`"),
        ("node_pressure(\"worker-1\", #{ memory: \"1Mi\" })", "memory_available"),
        ("node_pressure(\"worker-1\", #{ memory_available: \"few\" })", "\"10%\""),
        ("shutdown(\"etcd-0\")", "is no node"),
        ("static_pod(\"worker-1\", \"kind: [\")", "not YAML"),
        ("static_pod(\"worker-1\", \"kind: Pod\")", "no manifest of a static pod"),
        ("remove_static_pod(\"worker-1\", \"a\")", "there is no /etc/kubernetes/manifests/a.yaml"),
    ] {
        let text = mistake(&format!("cluster(#{{ nodes: 1 }});\n{call};"));
        assert!(text.contains(part), "{call}\n{text}");
    }
}

#[test]
fn pressure_is_reported_evicts_and_passes() {
    let text = transcript(
        "cluster(#{ nodes: 1, kubelet: #{ eviction_pressure_transition_period: \"30s\" } });\n\
         apply(`\napiVersion: v1\nkind: Pod\nmetadata: { name: big }\nspec:\n  containers:\n  - name: a\n    image: a:1\n    \
         resources: { requests: { memory: 1Gi } }\n`);\n\
         kubectl(\"run small --image=a:1\"); run_for(\"10s\");\n\
         node_pressure(\"worker-1\", #{ memory_available: \"80Mi\" }); run_for(\"1m\");\n\
         kubectl(\"describe pod big\");\n\
         expect(get(\"pod\", \"big\").phase == \"Failed\" && get(\"pod\", \"small\").phase == \"Running\", \"one is enough\");\n\
         node_relief(\"worker-1\"); run_for(\"50s\");\n\
         expect(!kubectl(\"describe node worker-1\").stdout.contains(\"KubeletHasInsufficientMemory\"), \"over\");",
    );
    let shown = ["Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi."];
    assert!(!text.contains('✗') && shown.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_drain_leaves_static_pods_and_a_shutdown_ends_them() {
    let text = transcript(
        "cluster(#{ nodes: 2, kubelet: #{ shutdown_grace_period: \"20s\", shutdown_grace_period_critical_pods: \"10s\" } });\n\
         static_pod(\"worker-1\", #{ apiVersion: \"v1\", kind: \"Pod\", metadata: #{ name: \"agent\" }, \
             spec: #{ containers: [#{ name: \"a\", image: \"a:1\" }] } });\n\
         run_for(\"8s\"); kubectl(\"drain worker-1\"); kubectl(\"get pods\");\n\
         expect(get(\"pod\", \"agent-worker-1\").ready, \"a mirror is not evicted\");\n\
         kubectl(\"delete pod agent-worker-1\"); run_for(\"5s\");\n\
         expect(get(\"pod\", \"agent-worker-1\").ready, \"and comes again\");\n\
         terminate(\"node/worker-1\"); run_for(\"30s\");\n\
         let pod = get(\"pod\", \"agent-worker-1\");\n\
         expect(pod.phase == \"Failed\", \"it has ended with the node\");\n\
         restart(\"node/worker-1\"); run_for(\"20s\");\n\
         expect(get(\"pod\", \"agent-worker-1\").phase == \"Running\", \"and starts with it\");\n\
         remove_static_pod(\"worker-1\", \"agent\"); run_for(\"5s\"); kubectl(\"get pods\");",
    );
    assert!(!text.contains('✗'), "{text}");
    assert!(text.contains("node/worker-1 shuts down, its pods have 20s"), "{text}");
    assert!(text.trim_end().ends_with("No resources found in default namespace."), "{text}");
}
