//! Whole scripts through the host: what they print, what they may do, how mistakes are reported.

use super::*;

fn run_with(text: &str, change: impl FnOnce(&mut Options)) -> Run {
    let script = Script { name: "x.rhai".into(), folder: ".".into(), text: text.into() };
    let mut options = Options::default();
    change(&mut options);
    run(&script, &options, Box::new(Unwatched))
}

fn plain(text: &str) -> Run {
    run_with(text, |_| {})
}

/// The transcript of a script that has no mistake.
pub(super) fn transcript(text: &str) -> String {
    let run = plain(text);
    assert_eq!(report(&run), "");
    run.transcript.text().to_string()
}

fn report(run: &Run) -> String {
    run.reports.iter().map(|report| report.render(false)).collect()
}

/// The report of a script that is stopped by a mistake.
pub(super) fn mistake(text: &str) -> String {
    let run = plain(text);
    assert_eq!(run.exit_code(), 2, "{}", run.transcript.text());
    report(&run)
}

/// The report with a bound set.
fn bounded(limit: &str, text: &str) -> String {
    report(&run_with(text, |options| options.limits.set(limit).unwrap()))
}

/// The lines of a transcript without their stamps, and without how long something took.
fn lines(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let text = if line.starts_with('#') { line.into() } else { line.chars().skip(11).collect::<String>() };
        let took = [" (waited ", " (after "].into_iter().find_map(|took| text.split_once(took));
        took.map_or(text.clone(), |(text, _)| text.to_string())
    };
    text.lines().map(line).collect()
}

const WEB: &str =
    "let c = cluster(#{ nodes: 3 });\nc.kubectl(\"create deployment web --image=nginx:1.25 --replicas=2\");\n";

#[test]
fn a_lab_reads_like_a_lab() {
    let text = transcript(
        "let c = cluster(#{ nodes: 3 });
        note(`
            Phase 1.

            A Deployment is a wish.
        `);
        c.kubectl(\"kubectl create deployment web --image=nginx:1.25 --replicas=2\");
        c.wait(\"deployment/web\", \"Available\");
        mark(\"scale up\");
        let answer = c.kubectl(\"scale deployment web --replicas=3\");
        print(answer.code);
        run_until(\"10s\");
        expect(c.pods().filter(|p| p.ready).len() == 3, \"three replicas are ready\");
        c.apply(`
            apiVersion: v1
            kind: Namespace
            metadata:
              name: shop
        `);",
    );
    let expected = "\
# Phase 1.
#
# A Deployment is a wish.
$ kubectl create deployment web --image=nginx:1.25 --replicas=2
deployment.apps/web created
… deployment/web is Available
── scale up ──
$ kubectl scale deployment web --replicas=3
deployment.apps/web scaled
0
✓ three replicas are ready
$ kubectl apply -f - <<EOF
apiVersion: v1
kind: Namespace
metadata:
  name: shop
EOF
namespace/shop created";
    assert_eq!(lines(&text).join("\n"), expected);
    assert!(text.contains("[ 10.000s] ✓ three replicas are ready\n"), "{text}");
}

#[test]
fn functions_work_with_and_without_the_cluster() {
    let with = transcript("let c = cluster();\nc.run_for(\"3s\");\nc.mark(\"x\");\nc.kubectl(\"get pods\");");
    let without = transcript("cluster();\nrun_for(\"3s\");\nmark(\"x\");\nkubectl(\"get pods\");");
    assert_eq!(with, without);
    assert!(with.starts_with("[  3.000s] ── x ──\n"));
}

#[test]
fn planned_actions_run_while_the_script_waits() {
    let text = transcript(
        "let c = cluster();
        let seen = 0;
        at(\"2s\", || { mark(\"second\"); seen += 1; });
        at(\"1s\", || { c.mark(\"first\"); c.run_for(\"3s\"); seen += 1; });
        at(\"2s\", || mark(\"third\"));
        c.run_for(\"500ms\");
        mark(\"main\");
        c.run_for(\"2s\");
        print(`${seen} at ${now()}`);",
    );
    let expected = "\
[  0.500s] ── main ──
[  1.000s] ── first ──
[  2.000s] ── second ──
[  2.000s] ── third ──
[  4.000s] 2 at 4s
";
    assert_eq!(text, expected);
}

#[test]
fn a_planned_action_runs_while_kubectl_waits_and_an_unreached_one_is_a_warning() {
    let run = plain(
        "cluster();\nat(\"20ms\", || mark(\"in between\"));\nat(\"1h\", || mark(\"never\"));\nkubectl(\"get pods\");",
    );
    let expected = "\
[  0.000s] $ kubectl get pods
[  0.020s] ── in between ──
";
    assert!(run.transcript.text().starts_with(expected), "{}", run.transcript.text());
    assert_eq!(lines(run.transcript.text())[2..], ["No resources found in default namespace."]);
    let warning = "the action planned for 1h0m0s at x.rhai:3:1 did not run: the script ended at ";
    assert!(run.warnings.len() == 1 && run.warnings[0].starts_with(warning), "{:?}", run.warnings);
}

#[test]
fn failed_expectations_are_kept_and_the_script_goes_on() {
    let run =
        plain("cluster();\nexpect(1 == 2, \"one is two\");\nif !expect(true, \"fine\") { throw 1; }\nrun_for(\"1s\");");
    let expected = "[  0.000s] ✗ one is two   x.rhai:2\n[  0.000s] ✓ fine\n";
    assert_eq!((run.transcript.text(), run.exit_code(), run.checks.passed), (expected, 1, 1));
    assert_eq!(run.checks.failed[0].message, "one is two");
}

#[test]
fn expect_within_waits_for_a_condition_and_no_longer() {
    let script = format!(
        "{WEB}c.expect_within(\"30s\", || c.pods().filter(|p| p.ready).len() == 2, \"both are ready\");
        let came = c.run_until(|| c.pods().len() == 9, \"2s\");
        print(came);
        expect_within(\"1s\", || pods().len() == 9, \"nine\");"
    );
    let run = plain(&script);
    let expected = "\
$ kubectl create deployment web --image=nginx:1.25 --replicas=2
deployment.apps/web created
✓ both are ready
false
✗ nine (not within 1s)   x.rhai:6";
    assert_eq!((lines(run.transcript.text()).join("\n").as_str(), run.exit_code()), (expected, 1));
    let time = |line: usize| -> f64 {
        let line = run.transcript.text().lines().nth(line).unwrap();
        line[1..8].trim().parse().unwrap()
    };
    assert_eq!(((time(3) - time(2)) * 1e3).round(), 2_000.0, "the wait that failed took its time");
    assert_eq!(((time(4) - time(3)) * 1e3).round(), 1_000.0, "and so did the expectation");
}

#[test]
fn processes_run_in_the_background_and_for_a_time() {
    let text = transcript(
        "let c = cluster();
        let watch = c.start(\"kubectl get pods -w\");
        at(\"9s\", || watch.stop());
        c.kubectl(\"create deployment web --image=nginx:1.25 --replicas=2\");
        c.run_for(\"10s\");
        print(`${watch.running} ${watch.code} ${watch.wait().code} ${watch.output.contains(\"1/1     Running\")}`);
        let other = c.start(\"get pods\");
        print(`${other.running} ${other.wait(\"1s\").code} ${other.code}`);
        let r = c.kubectl_for(\"200ms\", \"get pods -w\");
        print(r.code);",
    );
    let lines = lines(&text);
    let place = |start: &str| {
        let place = lines.iter().position(|line| line.starts_with(start));
        place.unwrap_or_else(|| panic!("no line begins with {start}:\n{text}"))
    };
    assert_eq!(
        lines[..2],
        ["$ kubectl get pods -w &   [1]", "$ kubectl create deployment web --image=nginx:1.25 --replicas=2"]
    );
    assert!(place("[1] NAME ") < place("[1] web-"), "{text}");
    assert!(place("[1] web-") < place("false 130 130 true"), "{text}");
    assert_eq!(place("$ kubectl get pods &   [2]"), place("false 130 130 true") + 1);
    assert_eq!(place("[2] NAME "), place("$ kubectl get pods &   [2]") + 1);
    assert_eq!(place("true 0 0"), place("[2] NAME ") + 3, "header and two pods: {text}");
    assert_eq!(lines[lines.len() - 2..], ["^C", "130"]);
}

#[test]
fn objects_are_at_hand() {
    let script = format!(
        "{WEB}c.run_for(\"1s\");
        c.wait(\"pods -l app=web\", \"Ready\");
        c.wait(\"deployment/web\", \"Available\");
        let web = get(\"deployment\", \"web\");
        print(`${{web.replicas}} ${{web.ready_replicas}} ${{web.spec.replicas}} ${{web.metadata.deletionTimestamp == ()}}`);
        print(get(\"pod\", \"none\") == ());
        let p = pods()[0];
        print(`${{p.name}} ${{p.node}} ${{p.phase}} ${{p.restarts}} ${{p.labels.app}} ${{p[\"namespace\"]}}`);
        print(`${{nodes()[0].ready}} ${{nodes().len()}} ${{list(\"po\", \"*\").len()}} ${{list(\"po\", \
            \"kube-system\").len()}}`);"
    );
    let text = transcript(&script);
    let printed = &lines(&text)[4..];
    assert_eq!(printed[..2], ["2 2 2 true", "true"]);
    let pod: Vec<&str> = printed[2].split(' ').collect();
    assert!(pod[0].starts_with("web-") && pod[1].starts_with("worker-"), "{text}");
    assert_eq!(pod[2..], ["Running", "0", "web", "default"]);
    assert_eq!(printed[3], "true 3 2 0");
}

#[test]
fn objects_are_printed_as_their_json() {
    let text = transcript("cluster(#{ nodes: 1 });\nprint(nodes()[0]);\nprint(nodes());\nprint([1, \"a\"]);");
    let lines = lines(&text);
    assert!(lines[0].starts_with("{\"apiVersion\":\"v1\",\"kind\":\"Node\""), "{text}");
    assert!(lines[1].starts_with("[{\"apiVersion\":"), "{text}");
    assert_eq!(lines[2], "[1, \"a\"]");
}

#[test]
fn settings_take_values_of_their_defaults_type() {
    let script = "let n = setting(\"n\", 5); let s = setting(\"s\", \"a\"); let b = setting(\"b\", true); let f = \
        setting(\"f\", 0.5);
        print(`${n + 1} ${s} ${!b} ${f * 2.0}`);";
    let set = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        run_with(script, |options| options.settings = pairs)
    };
    assert_eq!(set(&[]).transcript.text(), "[  0.000s] 6 a false 1.0\n");
    assert_eq!(
        set(&[("n", "49"), ("s", "5"), ("b", "false"), ("f", "2")]).transcript.text(),
        "[  0.000s] 50 5 true 4.0\n"
    );
    let unknown = "\
error: --set m: the script has no such setting
  ╭─ x.rhai
  ╰─ help: it has b (default true), f (default 0.5), n (default 5), s (default \"a\")
";
    assert_eq!(report(&set(&[("m", "1")])), unknown);
    assert!(report(&set(&[("n", "many")])).contains("--set n=many: the setting `n` must be a whole number"));
}

#[test]
fn a_misspelt_function_is_found_before_the_run() {
    let expected = "\
error: unknown function `run_fro`
  ╭─ x.rhai:2:3
2 │ c.run_fro(\"15s\");
  │   ^^^^^^^
  ╰─ help: did you mean `run_for`?
error: unknown function `scale`
  ╭─ x.rhai:3:1
3 │ scale(\"deployment web --replicas=2\");
  │ ^^^^^
  ╰─ help: `scale` is a verb of kubectl: kubectl(\"scale …\")
";
    let run = plain("let c = cluster();\nc.run_fro(\"15s\");\nscale(\"deployment web --replicas=2\");");
    assert_eq!(report(&run), expected);
    assert_eq!(run.transcript.text(), "");
}

#[test]
fn a_mistake_inside_calls_shows_the_way_there() {
    let expected = "\
error: this object has no field `raedy`
  ╭─ x.rhai:4:25
4 │     pods().filter(|p| p.raedy).len()
  │                         ^^^^^
  ├─ in `filter`, called at x.rhai:4:12
  ├─ in `ready`, called at x.rhai:6:24
  ├─ in a closure run at x.rhai:6:1
  ╰─ help: did you mean `ready`?
";
    let script = format!(
        "{WEB}fn ready() {{\n    pods().filter(|p| p.raedy).len()\n}}\nexpect_within(\"3s\", || ready() == 2, \
            \"ready\");"
    );
    assert_eq!(mistake(&script), expected);
}

#[test]
fn what_came_before_a_mistake_is_kept() {
    let run = plain("cluster();\nrun_for(\"2s\");\nmark(\"here\");\nwait(\"deployment/web\", \"Available\", \"1s\");");
    let expected = "\
[  2.000s] ── here ──
[  3.000s] ✗ the script stopped: deployment/web is not Available after 1s: there is no \
deployment/web in namespace default   x.rhai:4:1
";
    assert_eq!(run.transcript.text(), expected);
    assert_eq!(run.session.map(|session| session.now()), Some(3_000_000_000));
    assert_eq!(run.reports.len(), 1);
}

#[test]
fn mistakes_are_answered_in_plain_words() {
    let cases = [
        ("run_for(\"1s\");", "there is no cluster yet", "make one first"),
        ("cluster();\ncluster();", "this script has its cluster already, made at x.rhai:1:1", "one cluster"),
        ("cluster();\nrun_for(15);", "`run_for` wants a duration, not the number 15", "\"15s\" for seconds"),
        ("cluster();\nrun_for(\"15\");", "the unit is missing after 15", "╰─"),
        ("cluster();\nrun_for(\"1s\", 2, 3);", "wrong number of arguments", "write `run_for(duration)`"),
        ("cluster();\nrun_for();", "wrong number of arguments", "write `run_for(duration)`"),
        (
            "cluster();\nrun_for(\"2s\");\nat(\"1s\", || 1);",
            "`at` is given 1s, but it is 2s already",
            "count from the start",
        ),
        ("cluster();\nat(\"3s\", now());", "the action given to `at` must be a closure, not text", "two bars"),
        ("cluster();\nexpect(|| true, \"x\");", "must be true or false, not closure", "expect_within("),
        ("cluster();\nexpect_within(\"1s\", true, \"x\");", "has its value already", "two bars"),
        ("cluster();\nexpect_within(\"1s\", || 5, \"x\");", "must give true or false, not integer", "comparison"),
        ("cluster();\nkubectl(\"get pods -w\");", "never ends by itself", "kubectl_for(\"10s\", \"get pods -w\")"),
        ("cluster();\nkubectl(\"get pods | wc\");", "not a shell", ".stdout"),
        ("let c = cluster();\nprint(c.pods.len());", "has no field `pods`", "call it, `pods(…)`"),
        ("let c = cluster();\nfn go_on() { c.run_for(\"1s\"); }", "unknown variable `c`", "sees only its parameters"),
        ("print(pods);", "unknown variable `pods`", "is a function: call it"),
        ("let x = 2.0 ** 0.5;", "`**` is not available", "differs between machines"),
        ("let x = sin(0.5);", "`sin` is not available", "differs between machines"),
        ("sleep(5);", "scripts do not sleep", "run_for(\"5s\")"),
        ("let x = [1, 2][5];", "there is no element 5: the array has 2", "index 0"),
        ("let x = 3 - \"a\";", "`-` does not work between integer and text", "╰─"),
        ("import \"../x\" as x;", "leaves the script's folder", "own folder"),
        ("import \"/etc/x\" as x;", "leaves the script's folder", "own folder"),
        ("import \"no/such\" as x;", "there is no module `no/such`", "no/such.rhai"),
        ("cluster(#{ nodes: 3, etdc: 3 });", "x.rhai:1:22", "^^^^"),
        ("cluster(#{ nodes: || 3 });", "is not plain data", "nodes"),
        ("throw \"no way\";", "the script gave up: no way", "╰─"),
        ("if true {", "`}` is missing", "x.rhai:1:10"),
        ("if true {\n  print(1);\n\n", "`}` is missing", "x.rhai:2:12"),
        ("cluster();\nexpect(pods().len() = 1, \"x\");", "is missing", "to compare, write two of them: =="),
        ("let a = 1;\nif a = 1 { }", "it does not compare", "=="),
        ("run_for('5s');", "not a single character", "double quotes: \"5s\""),
        ("lets x = 1;", "unknown variable `lets`", "did you mean `let`?"),
        ("var x = 1;", "`var` is a reserved word", "made with `let`"),
        ("# a remark", "`#` has no place here", "╰─"),
        ("cluster();\nprint(nodes()[0].status.nothing.here);", "`here` is asked of nothing", "!= ()"),
        (
            "cluster();\nwait(\"deploymnt/web\", \"Available\");",
            "there is no kind `deploymnt`",
            "help: did you mean `deployments`?",
        ),
        (
            "cluster();\nwait(\"pods -l a=b -n shop\", \"Ready\", \"1s\");",
            "there are none in namespace shop",
            "wait(\"pods -l a=b -n shop\", \"Ready\", \"2s\")",
        ),
        ("cluster(#{ nodes: 3, kubelet: #{ sandbox: 500 } });", "x.rhai:1:34", "not 500"),
    ];
    for (script, message, way_out) in cases {
        let text = mistake(script);
        assert!(text.contains(message) && text.contains(way_out), "{script}\n{text}");
    }
}

#[test]
fn a_runaway_script_is_stopped_with_the_bound_and_how_to_raise_it() {
    let cases = [
        ("operations=10000", "loop { }", "used up its 10,000 operations", "--limit operations=100000"),
        ("calls=30", "fn f(n) { f(n + 1) } f(1);", "too deeply", "--limit calls="),
        ("array=1000", "let a = []; loop { a.push(1); }", "an array grew", "--limit array="),
        ("string=1000", "let s = \"x\"; loop { s += s; }", "a string grew", "--limit string="),
        ("map=100", "let m = #{}; let i = 0; loop { m.set(`${i}`, i); i += 1; }", "a map grew", "--limit map="),
        ("output=2000", "loop { print(\"hello\"); }", "beyond 2,000 bytes", "--limit output=4000"),
        ("output=2000", "loop { try { print(\"hello\"); } catch { } }", "beyond 2,000 bytes", "--limit output=4000"),
        ("operations=10000", "cluster(); run_until(|| [1, 2, 3].all(|x| x > 5), \"1h\");", "used up its", "--limit"),
        ("operations=100000", "cluster(); loop { run_for(\"10m\"); }", "reached its horizon, 1h0m0s", "--until 2h0m0s"),
        (
            "operations=100000",
            "cluster(); for i in 0..99 { at(`${i}s`, || run_for(\"5m\")); } run_for(\"9m\");",
            "24 closures",
            "waiting",
        ),
    ];
    for (limit, script, message, way_out) in cases {
        let text = bounded(limit, script);
        assert!(text.contains(message) && text.contains(way_out), "{script}\n{text}");
    }
}

#[test]
fn deep_nesting_fits_the_stack() {
    let text = mistake("fn f(n) { [n].map(|x| f(x + 1)) } f(1);");
    assert!(text.contains("too deeply"), "{text}");
}

#[test]
fn a_caught_mistake_can_be_read() {
    let text = transcript("try { run_for(\"1s\"); } catch (e) { print(`${e} (${e.hint})`); }");
    assert_eq!(text, "[  0.000s] there is no cluster yet (make one first: let c = cluster(#{ nodes: 3 });)\n");
}

#[test]
fn modules_come_from_the_scripts_folder() {
    let folder = std::env::temp_dir().join(format!("wavetank-modules-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("lib")).unwrap();
    std::fs::write(folder.join("lib/steps.rhai"), "fn pause() { run_for(\"2s\"); }\nfn broken() {\n  run_for(3);\n}\n")
        .unwrap();
    std::fs::write(folder.join("lib/ring.rhai"), "import \"lib/ring\" as ring;").unwrap();
    let run = |text: &str| {
        let script = Script { name: "x.rhai".into(), folder: folder.clone(), text: text.into() };
        super::run(&script, &Options::default(), Box::new(Unwatched))
    };
    let fine = run("import \"lib/steps\" as steps;\ncluster();\nsteps::pause();\nmark(\"x\");");
    assert_eq!(fine.transcript.text(), "[  2.000s] ── x ──\n", "{}", report(&fine));
    let expected = "\
error: `run_for` wants a duration, not the number 3
  ╭─ lib/steps.rhai:3:3
3 │   run_for(3);
  │   ^^^^^^^
  ├─ in `broken`, called at x.rhai:3:8
  ╰─ help: a duration is text with a unit: \"3s\" for seconds
";
    assert_eq!(report(&run("import \"lib/steps\" as steps;\ncluster();\nsteps::broken();")), expected);
    assert!(report(&run("import \"lib/ring\" as ring;")).contains("imports itself"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_same_script_gives_the_same_bytes() {
    let script = format!("{WEB}c.run_for(\"3s\");\nc.kubectl(\"get pods\");");
    let bytes = || {
        let run = plain(&script);
        let mut trace = Vec::new();
        run.session.unwrap().trace_jsonl(&mut trace).unwrap();
        (run.transcript.text().to_string(), trace)
    };
    assert_eq!(bytes(), bytes());
}
