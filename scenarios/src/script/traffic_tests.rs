//! Traffic from scripts.

use super::tests::{mistake, transcript};

/// A cluster with a Service of two pods.
const WEB: &str = "cluster(#{ nodes: 2, etcd: 1 });\n\
    kubectl(\"create deployment web --image=nginx:1.25 --replicas=2\");\n\
    kubectl(\"expose deployment web --port=80\");\n\
    wait(\"deployment/web\", \"Available\");\nrun_for(\"2s\");\n";

#[test]
fn traffic_is_sent_counted_and_told_of_at_the_end() {
    let text = transcript(&format!(
        "{WEB}let users = traffic(\"service/web\", #{{ rps: 100, from: \"worker-1\", arrivals: \"even\" }});\n\
         run_for(\"10s\");\nusers.stop();\nrun_for(\"2s\");\n\
         let seen = traffic_report(users);\n\
         expect(users.sent > 950 && users.served == users.sent && users.lost == 0 && users.in_flight == 0, \"all\");\n\
         expect(seen.by_cause.refused == 0 && seen.windows.len() == 0 && seen.p99 > 0.03 && seen.p99 < 0.05, \"report\");\n\
         expect(seen.worst_gap < 0.1, \"no gap\");"
    ));
    assert!(text.contains("⇉ traffic web → service/web: 100 requests/s from worker-1, timeout 1s"), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("traffic web → service/web: ") && last.contains("none lost; p50 32"), "{last}");
}

#[test]
fn losses_have_a_window_and_a_reason() {
    transcript(&format!(
        "{WEB}let users = traffic(\"service/web\", #{{ rps: 500 }});\nrun_for(\"3s\");\n\
         crash(\"node/worker-2\");\nrun_for(\"80s\");\n\
         let seen = traffic_report(users);\n\
         let window = seen.windows[0];\n\
         expect(window.why == \"timeout\" && window.lost == seen.lost && window.lasted > 38.0 && window.lasted < 60.0, \"window\");\n\
         expect(window.because[0] == \"kubelet/worker-2 killed\", `${{window.because}}`);"
    ));
}

#[test]
fn a_kube_proxy_is_a_process_like_others() {
    let text = transcript(
        "cluster(#{ nodes: 1, etcd: 1, kube_proxy: true });\ncrash(\"kube-proxy/worker-1\");\nrun_for(\"1s\");\n\
         restart(\"kube-proxy/worker-1\");",
    );
    assert!(text.contains("kube-proxy/worker-1 is killed") && text.contains("is started"), "{text}");
    let text = mistake("cluster(#{ nodes: 1, etcd: 1 });\ncrash(\"kube-proxy/worker-1\");");
    assert!(text.contains("kube_proxy: true"), "{text}");
}

#[test]
fn mistakes_of_traffic_are_told() {
    for (script, part) in [
        ("traffic(\"service/wbe\");", "did you mean"),
        ("traffic(\"service/web\", #{ rsp: 5 });", "rps"),
        ("traffic(\"service/web\", 5);", "must be a map"),
        ("traffic(\"service/web\", #{ from: \"outside\" });", "NodePort"),
        ("traffic_report(5);", "what traffic(…) returned"),
    ] {
        let text = mistake(&format!("{WEB}{script}"));
        assert!(text.contains(part), "{script}\n{text}");
    }
}
