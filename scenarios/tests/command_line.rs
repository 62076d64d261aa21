//! The program as a person uses it: commands, files, exit codes, answers to mistakes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A script with an expectation that holds, and a setting.
const LAB: &str = "\
let replicas = setting(\"replicas\", 2);
let c = cluster(#{ nodes: 2 });
note(\"A lab.\");
c.kubectl(`create deployment web --image=nginx:1.25 --replicas=${replicas}`);
c.expect_within(\"1m\", || c.pods().filter(|p| p.ready).len() == replicas, `${replicas} replicas are ready`);
";

/// A folder of its own for a test, empty at its start and removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-line-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    /// The folder with `lab.rhai` in it.
    fn with_lab(name: &str) -> Self {
        let folder = Folder::new(name);
        folder.write("lab.rhai", LAB);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Everything in the folder, by path, sorted.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                match entry.path().is_dir() {
                    true => walk(&entry.path(), &format!("{name}/"), found),
                    false => found.push(name),
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0, "", &mut found);
        found.sort();
        found
    }

    /// Runs the program here; words of `line` are separated by blanks.
    fn run(&self, line: &str) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_wavetank"))
            .args(line.split_whitespace())
            .current_dir(&self.0)
            .output()
            .unwrap();
        Outcome {
            line: line.to_string(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a script with this text.
    fn script(&self, text: &str) -> Outcome {
        self.write("script.rhai", text);
        self.run("run script.rhai --format transcript")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a command came to.
struct Outcome {
    line: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "wavetank {}\n{}{}", self.line, self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn says(self, part: &str) -> Self {
        assert!(self.stdout.contains(part), "wavetank {}: no `{part}` in\n{}", self.line, self.stdout);
        self
    }

    #[track_caller]
    fn complains(self, part: &str) -> Self {
        assert!(self.stderr.contains(part), "wavetank {}: no `{part}` in\n{}", self.line, self.stderr);
        self
    }

    /// A figure of the summary.
    #[track_caller]
    fn figure(&self, name: &str) -> String {
        let line = self.stdout.lines().rev().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("wavetank {}: no `{name}` in\n{}", self.line, self.stdout)).trim().to_string()
    }
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let folder = Folder::new("help");
    let help = folder.run("--help").ends(0);
    for command in ["run", "explain", "compare", "new", "test", "reference"] {
        assert!(help.stdout.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}");
        folder.run(&format!("{command} --help")).ends(0).says(&format!("Usage: wavetank {command}"));
    }
    help.says("an expectation failed").says("has a mistake");
    folder.run("").ends(2).complains("Usage: wavetank <COMMAND>");
    folder.run("rnu x.rhai").ends(2).complains("unrecognized subcommand 'rnu'");
    folder.run("--version").ends(0).says("wavetank ");
}

#[test]
fn a_run_prints_its_transcript_and_writes_whole_files() {
    let folder = Folder::with_lab("run");
    let run = folder.run("run lab.rhai").ends(0).says("✓ 2 replicas are ready").says("1 held, 0 failed");
    let fingerprint = run.figure("fingerprint");
    assert!(fingerprint.len() == 16 && fingerprint.chars().all(|c| c.is_ascii_hexdigit()), "{fingerprint}");
    assert!(run.figure("virtual time").ends_with('s') && run.figure("events") != "0");
    let series = ["series.csv", "series.png", "series.svg"];
    let names = ["timeline.png", "timeline.svg", "trace.jsonl", "transcript.txt"];
    let mut expected: Vec<String> = series.iter().chain(&names).map(|name| format!("out/lab/{name}")).collect();
    expected.insert(0, "lab.rhai".into());
    assert_eq!(folder.files(), expected, "nothing else, no temporary file");
    let transcript = folder.read("out/lab/transcript.txt");
    assert!(run.stdout.starts_with(&transcript) && transcript.starts_with("# A lab.\n[  0.000s] $ kubectl create"));
    assert!(transcript.ends_with('\n') && folder.read("out/lab/timeline.svg").trim_end().ends_with("</svg>"));
    assert_eq!(folder.bytes("out/lab/timeline.png")[..8], *b"\x89PNG\r\n\x1a\n");
    assert!(folder.bytes("out/lab/timeline.png").ends_with(b"IEND\xaeB`\x82"));
    assert!(folder.read("out/lab/series.svg").trim_end().ends_with("</svg>"));
    assert!(folder.bytes("out/lab/series.png").ends_with(b"IEND\xaeB`\x82"));
    let csv = folder.read("out/lab/series.csv");
    assert!(csv.starts_with("seconds,quantity,subject,statistic,value,unit\r\n") && csv.ends_with("\r\n"));
    for quantity in ["etcd_leader", "etcd_db_size", "etcd_wal_fsync_duration", "apiserver_request_duration"] {
        assert!(csv.contains(&format!(",{quantity},")), "{quantity}");
    }
    for line in folder.read("out/lab/trace.jsonl").lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn explain_tells_why_from_the_folder_of_a_run() {
    let folder = Folder::new("explain");
    folder.write(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: big}\nspec: {containers: [{name: a, image: 'a:1', \
        resources: {requests: {cpu: '64'}}}]}\n",
    );
    folder.write("a.rhai", "let c = cluster(#{ nodes: 2 });\nc.kubectl(\"run web --image=nginx:1.25\");\n\
        c.kubectl(\"apply -f pod.yaml\");\nc.run_for(\"2s\");\nc.kubectl(\"label node worker-1 a=b\");\nc.run_for(\"5s\");\n");
    folder.run("explain web").ends(2).complains("there is no run in out/");
    folder.run("run a.rhai -q").ends(0);
    folder.run("explain pod/web").ends(0).says("<- chosen").says("woken by   new pod: Pod default/web created at 0.");
    let big = folder.run("explain big --svg why/big.svg --png why/big.png --attempt 1").ends(0);
    big.says("NodeResourcesFit      2  Insufficient cpu  worker-1, worker-2").says("0/2 nodes are available");
    assert!(folder.read("why/big.svg").contains("Insufficient cpu") && folder.bytes("why/big.png").len() > 1_000);
    folder
        .run("explain big --attempt 9")
        .ends(2)
        .complains("there is no attempt 9 at the pod default/big; the attempts are 1");
    let json = folder.run("explain web --json").ends(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["fitting"], &json["scores"][0]["node"]), (&2.into(), &json["node"]));
    folder.run("explain wbe").ends(2).complains("did you mean pod/web?");
    folder.run("explain deployment/web").ends(2).complains("write pod/NAME");
    folder
        .run("explain web -n other")
        .ends(2)
        .complains("there is no pod other/web in this run")
        .complains("default/web");
    folder.run("explain web --out why").ends(2).complains("is not the folder of a run");
    folder.run("explain web --out none").ends(2).complains("there is no folder none");
    folder.run("run a.rhai -q --out out/b").ends(0);
    folder.run("explain web").ends(2).complains("several runs, out/a, out/b; choose one with --out");
}

#[test]
fn compare_runs_a_script_under_each_configuration() {
    let folder = Folder::with_lab("compare");
    let yaml = |strategy: &str| {
        format!(
            "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles:\n- plugins: {{score: \
             {{disabled: [{{name: PodTopologySpread}}]}}}}\n  pluginConfig: [{{name: NodeResourcesFit, args: \
             {{scoringStrategy: {{type: {strategy}}}}}}}]\n"
        )
    };
    folder.write("least.yaml", &yaml("LeastAllocated"));
    folder.write("wrong.yaml", &yaml("Least"));
    let both = folder.run("compare lab.rhai --scheduler least.yaml --vary replicas=2,4 --seeds 1..2").ends(0);
    let both = both.says("least 2  least 4").says("pods bound                      2        4");
    assert!(both.stdout.contains("pending time p95"), "{}", both.stdout);
    assert_eq!(folder.read("out/lab-compared/comparison.csv").lines().count(), 5);
    assert!(folder.read("out/lab-compared/comparison.svg").contains("least 4"));
    let again =
        folder.run("compare lab.rhai --scheduler least.yaml --vary replicas=2,4 --seeds 1..2 --out again").ends(0);
    assert_eq!(again.stdout.lines().next(), both.stdout.lines().next());
    assert_eq!(folder.bytes("again/comparison.svg"), folder.bytes("out/lab-compared/comparison.svg"));
    folder.run("compare lab.rhai").ends(2).complains("nothing to compare: give --scheduler FILE");
    folder.run("compare lab.rhai --scheduler none.yaml").ends(2).complains("cannot read none.yaml: no such file");
    let wrong = folder.run("compare lab.rhai --scheduler wrong.yaml").ends(2);
    wrong.complains("wrong.yaml: profiles[0].pluginConfig[0].args.scoringStrategy.type: Unsupported value: \"Least\"");
    folder.run("compare lab.rhai --vary replica=1").ends(2).complains("replicas");
    folder.run("run lab.rhai -q --scheduler least.yaml").ends(0);
}

#[test]
fn what_if_scripts_give_what_they_gave() {
    let folder = Folder::new("what-if");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/what-if");
    folder.run(&format!("test {}", scripts.display())).ends(0);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_other_luck() {
    let folder = Folder::with_lab("seed");
    let run = |arguments: &str| {
        folder.run(&format!("run lab.rhai --quiet --format transcript,trace,svg,csv {arguments}")).ends(0)
    };
    let (first, second) = (run("--out a"), run("--out b"));
    assert_eq!(first.figure("fingerprint"), second.figure("fingerprint"));
    for name in ["transcript.txt", "trace.jsonl", "series.svg", "series.csv"] {
        assert_eq!(folder.bytes(&format!("a/{name}")), folder.bytes(&format!("b/{name}")), "{name}");
    }
    assert!(!first.stdout.contains("kubectl"), "--quiet: {}", first.stdout);
    assert_eq!(run("--out c --shuffle-ties 9").figure("fingerprint"), first.figure("fingerprint"));
    assert_ne!(run("--out d --seed 7").figure("fingerprint"), first.figure("fingerprint"));
    assert_ne!(run("--out e --profile production").figure("fingerprint"), first.figure("fingerprint"));
    assert!(folder.read("d/trace.jsonl").starts_with("{\"wavetank_trace\":2,"));
    assert!(folder.read("d/trace.jsonl").lines().next().unwrap().contains("\"seed\":7"));
}

#[test]
fn format_and_out_choose_what_is_written_where() {
    let folder = Folder::with_lab("format");
    folder.run("run lab.rhai --out deep/er --format svg").ends(0).says("deep/er/timeline.svg");
    assert_eq!(folder.files(), ["deep/er/series.svg", "deep/er/timeline.svg", "lab.rhai"]);
    folder.run("run lab.rhai --format pdf").ends(2).complains("svg, png, csv, trace, transcript");
    let refused = folder.run("run lab.rhai --out lab.rhai").ends(2).complains("lab.rhai is a file, not a folder");
    assert_eq!(refused.stdout, "", "it is refused before anything runs");
    assert_eq!(folder.read("lab.rhai"), LAB);
}

#[test]
fn a_format_without_content_leaves_no_file_of_an_earlier_run() {
    let folder = Folder::with_lab("stale");
    folder.run("run lab.rhai --out x --format trace,svg").ends(0);
    folder.write("other/lab.rhai", "print(\"no cluster\");\n");
    folder.run("run other/lab.rhai --out x").ends(0).says("no cluster");
    assert_eq!(folder.files(), ["lab.rhai", "other/lab.rhai", "x/transcript.txt"]);
}

#[test]
fn settings_come_from_the_command_line() {
    let folder = Folder::with_lab("set");
    folder.run("run lab.rhai --format transcript --set replicas=3").ends(0).says("✓ 3 replicas are ready");
    folder.run("run lab.rhai --set replicsa=3").ends(2).complains("--set replicsa: the script has no such setting");
    folder.run("run lab.rhai --set replicsa=3").complains("replicas (default 2)");
    let wrong = folder.run("run lab.rhai --format transcript --set replicas=many").ends(2);
    wrong.complains("the setting `replicas` must be a whole number").complains("lab.rhai:1:16");
    folder.run("run lab.rhai --set replicas").ends(2).complains("write it as NAME=VALUE");
}

#[test]
fn wrong_arguments_are_answered_with_what_would_be_right() {
    let folder = Folder::with_lab("arguments");
    let cases = [
        ("--profile lapton", "did you mean `laptop`?"),
        ("--seed abc", "a whole number from 0"),
        ("--seed -1", "a whole number from 0"),
        ("--until 5", "write \"5s\" for seconds"),
        ("--until 0", "needs some time"),
        ("--limit operation=5", "did you mean `operations`?"),
        ("--limit array=0", "whole number above zero"),
        ("--bogus", "unexpected argument '--bogus'"),
    ];
    for (arguments, part) in cases {
        folder.run(&format!("run lab.rhai --format transcript {arguments}")).ends(2).complains(part);
    }
    folder.run("run none.rhai").ends(2).complains("cannot read the script none.rhai: there is no such file");
    folder.run("run lab").ends(2).complains("did you mean lab.rhai?");
    folder.run("run .").ends(2).complains("it is a folder").complains("wavetank test .");
    fs::write(folder.0.join("binary.rhai"), [0xff, 0xfe, 0x00]).unwrap();
    folder.run("run binary.rhai").ends(2).complains("not text in UTF-8");
}

#[test]
fn virtual_time_ends_at_the_horizon() {
    let folder = Folder::new("until");
    folder.write("long.rhai", "cluster(#{ nodes: 1 });\nrun_for(\"90m\");\nmark(\"end\");\n");
    let stopped = folder.run("run long.rhai --format transcript --until 10s").ends(2);
    assert_eq!(stopped.figure("virtual time"), "10s");
    stopped.complains("reached its horizon, 10s").complains("long.rhai:2:1").complains("--until 20s");
    folder.run("run long.rhai --format transcript").ends(2).complains("reached its horizon, 1h0m0s");
}

#[test]
fn exit_codes_tell_a_failed_expectation_from_a_mistake() {
    let folder = Folder::new("codes");
    folder.script("cluster();\nexpect(nodes().len() == 3, \"three nodes\");").ends(0).says("1 held, 0 failed");
    let failed = folder.script("cluster();\nexpect(nodes().len() == 4, \"four nodes\");\nmark(\"goes on\");").ends(1);
    failed.says("✗ four nodes   script.rhai:2").says("── goes on ──").says("0 held, 1 failed");
    let broken = folder.script("cluster();\nmark(\"before\");\nrun_fro(\"1s\");").ends(2);
    assert_eq!(broken.stdout, "", "a misspelt call is found before the script runs");
    let stopped = folder.script("cluster();\nexpect(false, \"x\");\nmark(\"before\");\nrun_for(3);").ends(2);
    stopped.says("── before ──").says("✗ the script stopped");
    assert!(folder.read("out/script/transcript.txt").contains("── before ──"), "what came before is kept");
}

#[test]
fn a_mistake_is_shown_with_its_place_its_line_and_a_way_out() {
    let folder = Folder::new("mistake");
    let shown = folder.script("let c = cluster(#{ nodes: 3 });\n\nc.run_for(15);\n").ends(2);
    let expected = "\
error: `run_for` wants a duration, not the number 15
  ╭─ script.rhai:3:3
3 │ c.run_for(15);
  │   ^^^^^^^
  ╰─ help: a duration is text with a unit: \"15s\" for seconds
";
    assert_eq!(shown.stderr, expected);
    let cases = [
        ("cluster(#{ nodes: 100000 });", "`nodes` is at most 20000", "script.rhai:1:12"),
        ("cluster(#{ etcd: 2 });", "1, 3, 5 or 7 members, not 2", "^^^^"),
        ("let c = cluster();\nc.kubctl(\"get pods\");", "unknown function `kubctl`", "did you mean `kubectl`?"),
        ("cluster();\nkubectl(\"get pods | wc -l\");", "this is kubectl, not a shell", ".stdout"),
        ("cluster();\nkubectl(\"get pods -w\");", "never ends by itself", "kubectl_for(\"10s\""),
        ("cluster();\nfor i in 0..3 {\n", "`}` is missing", "script.rhai:2:16"),
        ("import \"../x\" as x;", "leaves the script's folder", "own folder"),
    ];
    for (script, message, way_out) in cases {
        folder.script(script).ends(2).complains(message).complains(way_out);
    }
}

#[test]
fn a_script_that_runs_away_is_stopped() {
    let folder = Folder::new("runaway");
    folder.write("loop.rhai", "let x = 0;\nloop { x += 1; }\n");
    let stopped = folder.run("run loop.rhai --limit operations=1_000_000").ends(2);
    stopped.complains("used up its 1,000,000 operations").complains("--limit operations=10000000");
    let cases = [
        ("let s = \"x\"; loop { s += s; }", "a string grew beyond the bound", "--limit string="),
        ("fn f(n) { f(n + 1) } f(1);", "too deeply", "--limit calls="),
        ("let a = [0]; loop { a += a; }", "an array grew beyond the bound", "--limit array="),
    ];
    for (script, message, way_out) in cases {
        folder.script(script).ends(2).complains(message).complains(way_out);
    }
}

#[test]
fn new_writes_a_script_that_runs_and_never_overwrites() {
    let folder = Folder::new("new");
    folder.run("new first").ends(0).says("wrote first.rhai").says("wavetank run first.rhai");
    folder.run("run first.rhai --format transcript").ends(0).says("1 held, 0 failed");
    folder.write("first.rhai", "// mine\n");
    folder.run("new first").ends(2).complains("exists already");
    folder.run("new first.rhai").ends(2).complains("exists already");
    assert_eq!(folder.read("first.rhai"), "// mine\n");
    folder.run("new no/such/folder").ends(2).complains("its folder does not exist");
}

#[test]
fn test_keeps_compares_and_shows_what_differs() {
    let folder = Folder::with_lab("test");
    folder.run("test .").ends(1).says("there is no snapshot lab.transcript.txt yet").says("--update");
    folder.run("test . --update").ends(0).says("kept");
    assert_eq!(folder.files(), ["lab.rhai", "lab.trace", "lab.transcript.txt"], "no temporary file");
    folder.run("test .").ends(0).says("1 passed, 0 failed");
    folder.run("test . --shuffle-ties 3").ends(0);
    let kept = folder.read("lab.transcript.txt");

    folder.write("lab.rhai", &LAB.replace("A lab.", "Another lab."));
    let shown =
        folder.run("test .").ends(1).says("lab.transcript.txt differs (- kept, + now):").says("0 passed, 1 failed");
    let shown =
        shown.says("     @@ line 1\n     - # A lab.\n     + # Another lab.\n       [  0.000s] $ kubectl create");
    shown.says("lab.trace differs").says("- fingerprint ").says("+ fingerprint ");
    assert_eq!(folder.read("lab.transcript.txt"), kept, "comparing changes nothing");
    folder.run("test . --update").ends(0);
    assert!(folder.read("lab.transcript.txt").starts_with("# Another lab.\n"));

    folder.write("lab.rhai", &LAB.replace("== replicas", "== 99"));
    folder.run("test . --update").ends(1).says("✗ 2 replicas are ready (not within 1m0s)").says("lab.rhai:5:3");
    assert!(folder.read("lab.transcript.txt").starts_with("# Another lab.\n"), "a run that fails is never kept");
}

#[test]
fn test_finds_scripts_below_folders_and_says_what_it_does_not_find() {
    let folder = Folder::new("find");
    folder.write("a.rhai", "cluster(#{ nodes: 1 });\n");
    folder.write("deep/b.rhai", "cluster(#{ nodes: 1 });\n");
    folder.write("deep/lib/steps.rhai", "this is a module, not a script");
    folder.write("gone.trace", "");
    let found = folder.run("test . --update").ends(1).says("2 passed, 1 failed");
    found.says("a.rhai").says("b.rhai").says("this snapshot has no script; remove it");
    folder.run("test deep").ends(0).says("1 passed, 0 failed");
    folder.run("test a.rhai deep/b.rhai").ends(0).says("2 passed");
    folder.run("test deep/lib").ends(1).says("error: ");
    folder.run("test none").ends(2).complains("there is no file or folder none");
    folder.run("test gone.trace").ends(2).complains("is no script");
    folder.run("test").ends(2).complains("required arguments");
}

#[test]
fn the_reference_documents_every_function_key_and_limit() {
    let reference = Folder::new("reference").run("reference").ends(0).stdout;
    for function in wavetank::script::functions::all() {
        let chapter = format!("\n### {}\n", function.name);
        let (_, chapter) = reference.split_once(&chapter).unwrap_or_else(|| panic!("{} is missing", function.name));
        assert!(function.signatures.iter().all(|way| chapter.contains(way)) && chapter.contains(function.example));
    }
    use wavetank::spec::keys;
    for key in [keys::CLUSTER, keys::NODE, keys::KUBELET].into_iter().flatten() {
        let (plain, quoted) = (format!("| `{}` |", key.name), format!("| `\"{}\"` |", key.name));
        assert!(reference.contains(&plain) || reference.contains(&quoted), "{}", key.name);
    }
    for (limit, ..) in wavetank::script::limits::NAMES {
        assert!(reference.contains(&format!("| `{limit}` |")), "{limit}");
    }
}
