//! Controllers of one's own, from the script: what they do, how they fail, how their mistakes are told.

use crate::script::{Options, Run, Script, Unwatched, run};

fn script(text: &str) -> Run {
    let script = Script { name: "x.rhai".into(), folder: ".".into(), text: text.into() };
    run(&script, &Options::default(), Box::new(Unwatched))
}

/// Runs a script in which nothing goes wrong; gives its transcript.
pub(in crate::script) fn well(text: &str) -> String {
    let run = script(text);
    let reports: Vec<String> = run.reports.iter().map(|report| report.render(false)).collect();
    assert!(run.exit_code() == 0, "{}\n{:?}\n{}", run.transcript.text(), run.checks.failed, reports.concat());
    run.transcript.text().to_owned()
}

/// The one mistake that stops a script.
fn mistake(text: &str) -> String {
    let reports = script(text).reports;
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports[0].render(false)
}

/// A cluster with a controller of this reconcile; `rest` follows.
fn with(keys: &str, reconcile: &str, rest: &str) -> String {
    format!(
        "let c = cluster(#{{ nodes: 1 }});\ncontroller(\"mine\", #{{ watch: \"configmaps\", namespace: \"default\", {keys}\n\
         reconcile: |key, cache, api| {{\n{reconcile}\n}} }});\n{rest}"
    )
}

const AUTO_DELETE: &str = r#"
    controller("auto-delete", #{
        watch: #{ kind: "pods", labels: "auto-delete=true" },
        reconcile: |key, cache, api| {
            let pod = cache.get("pods", key);
            if pod == () || pod.deleting { return; }
            let left = 60 - age(pod);
            if left > 0 { return requeue_after(left); }
            api.event(pod, "Normal", "TooOld", "it is a minute old");
            api.delete("pods", key);
            log(`deleted ${key.name} of ${key.namespace}`);
        }
    });
"#;

#[test]
fn a_controller_deletes_what_has_grown_old() {
    let text = well(&format!(
        r#"let c = cluster(#{{ nodes: 1 }});
        {AUTO_DELETE}
        kubectl("run a --image=nginx:1.25 --labels=auto-delete=true");
        kubectl("run b --image=nginx:1.25");
        run_for("55s");
        expect(pods().len() == 2, "both are there");
        run_for("10s");
        expect(pods().filter(|p| !p.deleting).len() == 1 && get("pod", "b") != (), "one is deleted");
        kubectl("get events --field-selector=reason=TooOld");"#
    ));
    assert!(text.contains("[controller/auto-delete] deleted a of default"), "{text}");
    assert!(text.contains("it is a minute old"), "{text}");
    assert_eq!(text.matches("deleted a of default").count(), 1);
}

#[test]
fn a_controller_that_crashed_starts_again_with_what_there_is() {
    well(&format!(
        r#"let c = cluster(#{{ nodes: 1 }});
        {AUTO_DELETE}
        kubectl("run a --image=nginx:1.25 --labels=auto-delete=true");
        run_for("30s");
        crash("controller/auto-delete");
        run_for("60s");
        expect(get("pod", "a") != () && !get("pod", "a").deleting, "nobody deletes it");
        restart("controller/auto-delete");
        run_for("2s");
        let a = get("pod", "a");
        expect(a == () || a.deleting, "it is overdue, and goes at once");"#
    ));
}

#[test]
fn a_conflict_is_tried_again_with_back_off() {
    let text = well(&with(
        "state: #{ tries: 0 },",
        r#"let map = cache.get("configmaps", key);
        if map == () || map.name != "target" || map.data.touched == "yes" { return; }
        this.tries += 1;
        if this.tries <= 2 { map.metadata.resourceVersion = "1"; }
        map.data.touched = "yes";
        let map = api.update(map);
        log(`written at try ${this.tries}, version is newer: ${map.metadata.resourceVersion != "1"}`);"#,
        r#"kubectl("create configmap target --from-literal=a=b");
        run_for("2s");
        expect(get("configmap", "target").data.touched == "yes", "it is written");"#,
    ));
    assert!(text.contains("written at try 3, version is newer: true"), "{text}");
    assert!(!text.contains("tried again"), "a conflict is nothing to tell: {text}");
}

#[test]
fn what_a_reconcile_throws_is_told_once_and_tried_again() {
    let run = script(&with(
        "state: #{ tries: 0 },",
        r#"if key.name != "target" { return; }
        this.tries += 1;
        if this.tries < 5 { throw "not yet"; }
        log(`${this.tries} tries until ${now()}`);"#,
        r#"kubectl("create configmap target");
        run_for("2s");"#,
    ));
    assert_eq!(run.exit_code(), 0, "{:?}", run.reports);
    let text = run.transcript.text();
    assert_eq!(text.matches("not yet").count(), 1, "{text}");
    assert!(text.contains("controller/mine at default/target: not yet (x.rhai:6); it is tried again"), "{text}");
    assert!(text.contains("5 tries") && run.warnings.len() == 1, "{text}");
}

#[test]
fn a_refusal_can_be_caught() {
    let text = well(&with(
        "",
        r#"if key.name != "target" { return; }
        try { api.create(#{ apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "target" } }); }
        catch (e) { log(`${e.code} ${e.reason}: ${e.message}`); }
        expect_nothing(api);"#,
        r#"fn expect_nothing(api) { if api.get("pods", "nobody") != () { throw "somebody"; } }
        kubectl("create configmap target");
        run_for("2s");"#,
    ));
    assert!(text.contains("409 AlreadyExists: configmaps \"target\" already exists"), "{text}");
}

#[test]
fn mistakes_stop_the_script_and_are_told_with_line_and_hint() {
    let rest = "kubectl(\"create configmap target\");\nrun_for(\"2s\");";
    let unknown = mistake(&with("", "let x = 1;\ncache.gte(\"pods\", key);", rest));
    assert!(unknown.contains("unknown function `gte`") && unknown.contains("x.rhai:5"), "{unknown}");
    let outside = mistake(&with("", "kubectl(\"get pods\");", rest));
    assert!(outside.contains("`kubectl` cannot be called from inside") && outside.contains("api.create"), "{outside}");
    let endless = mistake(&with("", "let n = 0; loop { n += 1; }", rest));
    assert!(endless.contains("one run has used up its 10,000,000 operations"), "{endless}");
    let at_once = mistake(&with("", "return requeue_after(\"0s\");", rest));
    assert!(at_once.contains("would come for ever"), "{at_once}");
    let no_cache = mistake(&with("", "cache.get(\"pods\", key);", rest));
    assert!(no_cache.contains("no cache of pods") && no_cache.contains("reads: [\"pods\"]"), "{no_cache}");
    let captured = mistake(&format!("let n = 0;\n{}", with("", "n += 1;", rest)));
    assert!(captured.contains("a variable from outside") && captured.contains("this.count"), "{captured}");
    let cluster = mistake(&with("", "c.pods();", rest));
    assert!(cluster.contains("uses the cluster"), "{cluster}");
    let nothing = mistake("cluster();\ncontroller(\"x\", #{ watch: \"pods\" });");
    assert!(nothing.contains("has no `reconcile`"), "{nothing}");
    let parameters = mistake("cluster();\ncontroller(\"x\", #{ watch: \"pods\", reconcile: |key| { } });");
    assert!(parameters.contains("has 1 parameters, but is called with key, cache, api"), "{parameters}");
    let asks = mistake(&with("qps: 0,", "loop { api.get(\"pods\", key); }", &rest.replace("2s", "1m")));
    assert!(asks.contains("one reconcile has made 1,000 requests"), "{asks}");
    let alone = mistake("cluster();\nrequeue_after(\"1s\");");
    assert!(alone.contains("belongs inside a reconcile"), "{alone}");
}

#[test]
fn the_same_run_is_the_same_run() {
    let text = with(
        "state: #{ seen: [] },",
        r#"this.seen.push(key);
        api.create(#{ apiVersion: "v1", kind: "Secret", metadata: #{ generateName: "s-" } });
        log(`${this.seen.len()} at ${now()} with ${api.list("secrets", "default").len()}`);"#,
        r#"for i in 0..5 { kubectl(`create configmap m${i}`); }
        run_for("3s");"#,
    );
    let (one, two) = (script(&text), script(&text));
    assert_eq!(one.transcript.text(), two.transcript.text());
    let print = |run: &Run| run.session.as_ref().map(|session| session.statistics().fingerprint);
    assert!(print(&one).is_some() && print(&one) == print(&two));
}

#[test]
fn a_fork_in_the_middle_of_a_reconcile_goes_the_same_way() {
    let run = script(&with(
        "state: #{ count: 0 },",
        r#"this.count += 1;
        for i in 0..20 { api.patch("configmaps", key, #{ data: #{ i: `${i}` } }); }
        log(`${this.count}`);"#,
        r#"kubectl("create configmap target");
        run_for("60ms");"#,
    ));
    let mut straight = run.session.expect("a cluster");
    let mut fork = straight.clone();
    let until = straight.now() + 3_000_000_000;
    straight.run_until(until);
    let told = straight.take_told();
    fork.run_until(until);
    assert!(!told.is_empty());
    assert_eq!(told, fork.take_told());
    assert_eq!(straight.statistics(), fork.statistics());
}

#[test]
fn a_plugin_filters_and_scores() {
    let text = well(
        r#"let c = cluster(#{ nodes: [#{ name: "a" }, #{ name: "b", labels: #{ disk: "ssd" } }, #{ name: "c" }] });
        scheduler_plugin("names", #{
            weight: 100,
            filter: |pod, nodes| nodes.map(|n| if pod.labels.at != () && n.name != pod.labels.at { "node(s) have another name" } else { true }),
            score: |pod, nodes| nodes.map(|n| if n.labels.disk == "ssd" { 100 } else { 0 }),
        });
        for i in 0..4 { kubectl(`run p${i} --image=nginx:1.25`); }
        kubectl("run q --image=nginx:1.25 --labels=at=c");
        kubectl("run r --image=nginx:1.25 --labels=at=nowhere");
        run_for("5s");
        expect(pods().filter(|p| p.name.starts_with("p")).all(|p| p.node == "b"), "the ssd is preferred");
        expect(get("pod", "q").node == "c", "only c is let through");
        kubectl("get events --field-selector=reason=FailedScheduling");
        explain("r");
        explain("p0");"#,
    );
    assert!(text.contains("0/3 nodes are available: 3 node(s) have another name."), "{text}");
    assert!(text.contains("names"), "{text}");
}

#[test]
fn a_plugin_that_fails_is_the_pod_s_error_and_its_author_s() {
    let script_of = |score: &str| {
        format!(
            "cluster(#{{ nodes: 2 }});\nscheduler_plugin(\"bad\", #{{\nscore: |pod, nodes| {score}\n}});\n\
             kubectl(\"run p --image=nginx:1.25\");\nrun_for(\"2s\");\nkubectl(\"get events\");"
        )
    };
    let run = script(&script_of("throw \"no idea\""));
    let text = run.transcript.text();
    assert!(text.contains("plugin \"bad\" failed with: no idea (x.rhai:3)"), "{text}");
    let few = mistake(&script_of("[1]"));
    assert!(few.contains("says something of 1 nodes, but there are 2"), "{few}");
    let high = mistake(&script_of("nodes.map(|n| 101)"));
    assert!(high.contains("invalid score 101"), "{high}");
    let field = mistake(&script_of("nodes.map(|n| n.nmae)"));
    assert!(field.contains("has no field `nmae`") && field.contains("did you mean `name`?"), "{field}");
}

#[test]
fn faults_of_processes_concern_a_controller_too() {
    well(&format!(
        r#"let c = cluster(#{{ nodes: 1 }});
        {AUTO_DELETE}
        fn gone(name) {{ let pod = get("pod", name); pod == () || pod.deleting }}
        kubectl("run a --image=nginx:1.25 --labels=auto-delete=true");
        hang("controller/auto-delete");
        run_for("70s");
        expect(!gone("a"), "it hangs");
        resume("controller/auto-delete");
        run_for("1s");
        expect(gone("a"), "it goes on");
        kubectl("run b --image=nginx:1.25 --labels=auto-delete=true");
        run_for("30s");
        partition("controller/auto-delete", "kube-apiserver");
        run_for("40s");
        expect(!gone("b"), "nothing gets through");
        heal();
        run_for("30s");
        expect(gone("b"), "what was sent arrives in the end");"#
    ));
}

#[test]
fn an_operator_s_objects_belong_to_it_and_wake_it() {
    let text = well(
        r#"let c = cluster(#{ nodes: 1 });
        controller("pairs", #{
            watch: #{ kind: "configmaps", labels: "pair=yes" }, owns: "secrets", reads: ["nodes"], workers: 3,
            reconcile: |key, cache, api| {
                let map = cache.get("configmaps", key);
                if map == () || cache.list("nodes").len() != 1 || cache.get("secrets", key) != () { return; }
                api.create(#{ kind: "Secret", metadata: #{ name: key.name, ownerReferences: [owner_reference(map)] } });
                log(`${key.kind}: made`);
            }
        });
        kubectl("create configmap one");
        kubectl("label configmap one pair=yes");
        run_for("1s");
        expect(get("secret", "one") != (), "the secret is made");
        kubectl("delete secret one");
        run_for("1s");
        expect(get("secret", "one") != (), "and made again");
        kubectl("delete configmap one");
        run_for("5s");
        expect(get("secret", "one") == (), "it goes with its owner");"#,
    );
    assert_eq!(text.matches("configmaps: made").count(), 2, "{text}");
}
