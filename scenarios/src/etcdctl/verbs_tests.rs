//! Verbs and flags the recordings do not show, and what a host relies on: loops that resume, retries, lost connections.

use super::fake_etcd::{FakeEtcd, SECOND};
use super::fake_shell::Shell;
use super::*;

fn shell(lines: &[&str]) -> Shell {
    let mut shell = Shell::new(FakeEtcd::single());
    for line in lines {
        assert_eq!(shell.line(line).exit_code, 0, "{line}");
    }
    shell
}

/// Standard output of a line that succeeds.
fn out(shell: &mut Shell, line: &str) -> String {
    let output = shell.line(line);
    assert_eq!((output.exit_code, output.stderr.as_str()), (0, ""), "{line}");
    output.stdout
}

/// Exit code and standard error of a line that fails.
fn fails(shell: &mut Shell, line: &str) -> (i32, String) {
    let output = shell.line(line);
    assert_ne!(output.exit_code, 0, "{line}");
    (output.exit_code, output.stderr)
}

#[test]
fn get_sorts_limits_counts_and_shows_hexadecimal() {
    let mut s = shell(&["etcdctl put a 3", "etcdctl put b 1", "etcdctl put c 2", "etcdctl put a 4"]);
    let keys = "--prefix --print-value-only";
    assert_eq!(out(&mut s, &format!("etcdctl get '' {keys} --sort-by=VALUE --order=DESCEND")), "4\n2\n1\n");
    assert_eq!(out(&mut s, &format!("etcdctl get '' {keys} --sort-by=create --limit=2")), "4\n1\n");
    assert_eq!(out(&mut s, "etcdctl get b --from-key --keys-only"), "b\n\nc\n\n");
    assert_eq!(out(&mut s, "etcdctl get a c --print-value-only"), "4\n1\n");
    assert_eq!(out(&mut s, "etcdctl get b --hex"), "\\x62\n\\x31\n");
    let fields = out(&mut s, "etcdctl get '' --prefix --count-only -w fields");
    assert!(fields.ends_with("\"More\" : false\n\"Count\" : 3\n"), "{fields}");
    let json = out(&mut s, "etcdctl get '' --prefix --keys-only --limit 1 -w json");
    assert!(json.contains(r#""kvs":[{"key":"YQ==","create_revision":2,"mod_revision":5,"version":2}],"more":true"#));
}

#[test]
fn mistakes_have_their_exit_codes() {
    let mut s = shell(&[]);
    let cases = [
        ("etcdctl get a -w table", 4, "Error: table not supported as output format\n"),
        ("etcdctl get a -w yaml", 4, "Error: unsupported output format\n"),
        ("etcdctl get a --count-only", 128, "Error: --count-only is only for `--write-out=fields`\n"),
        ("etcdctl get a --consistency=x", 4, "Error: unknown consistency flag \"x\"\n"),
        ("etcdctl get a --order=up", 4, "Error: bad sort order up\n"),
        (
            "etcdctl get a b --prefix",
            128,
            "Error: too many arguments, only accept one argument when `--prefix` or `--from-key` is set\n",
        ),
        ("etcdctl put a", 128, "Error: put command needs 1 argument and input from stdin or 2 arguments\n"),
        ("etcdctl get a --foo", 1, "Error: unknown flag: --foo\n\n"),
        ("etcdctl get ''", 1, "Error: etcdserver: key is not provided\n"),
        ("etcdctl put a --ignore-value", 1, "Error: etcdserver: key not found\n"),
        ("etcdctl lease grant x", 128, "Error: bad TTL (strconv.ParseInt: parsing \"x\": invalid syntax)\n"),
        ("etcdctl member add m http://a:1", 128, "Error: too many arguments, did you mean --peer-urls=http://a:1\n"),
        ("etcdctl member add m --peer-urls=http://a:1 -w fields", 4, "Error: fields not supported as output format\n"),
        ("etcdctl watch a -- ", 128, "Error: bad number of arguments (found separator --, but no commands)\n"),
        ("printf 'mod(\"a\") = \"1\"\\n' | etcdctl txn", 3, "Error: EOF\n"),
        ("etcdutl snapshot restore none.db --data-dir d", 1, "Error: open none.db: no such file or directory\n"),
        (
            "etcdutl snapshot restore s.db --name m9 --data-dir d",
            1,
            "Error: couldn't find local name \"m9\" in the initial cluster configuration\n",
        ),
    ];
    for (line, exit_code, stderr) in cases {
        assert_eq!(fails(&mut s, line), (exit_code, stderr.to_string()), "{line}");
    }
}

#[test]
fn commands_may_be_shortened_and_flags_may_come_first() {
    let mut s = shell(&["etcdctl put a 1"]);
    assert_eq!(out(&mut s, "etcdctl --endpoints 127.0.0.1:2379 ge a"), "a\n1\n");
    assert_eq!(out(&mut s, "etcdctl -w json member li"), out(&mut s, "etcdctl member list -w json"));
    let (exit_code, why) = fails(&mut s, "etcdctl comp 2");
    assert_eq!((exit_code, why.contains("unknown command \"comp\"")), (1, true), "two commands begin so");
    assert!(out(&mut s, "etcdctl lease grant --help").starts_with("NAME:\n  lease grant - Creates leases\n"));
    let mut process = Process::new(Tool::Etcdctl, vec!["get".into(), "a".into()], None, 0);
    process.env.push(("ETCDCTL_ENDPOINTS".into(), "x:1,y:2".into()));
    let Progress::Waiting(Call::Request(request)) = run(&process).progress else { panic!("no request") };
    assert_eq!((request.endpoints, request.deadline), (vec!["x:1".to_string(), "y:2".into()], Some(5 * SECOND)));
}

#[test]
fn hexadecimal_ids_are_written_as_strings() {
    let mut s = shell(&[]);
    let json = out(&mut s, "etcdctl member list -w json --hex");
    let start =
        r#"{"header":{"cluster_id":"cdf818194e3a8c32","member_id":"8e9e05c52164694d","raft_term":2},"members":"#;
    assert!(json.starts_with(start), "{json}");
    assert!(json.contains(r#"[{"ID":"8e9e05c52164694d","name":"default","#), "{json}");
}

#[test]
fn a_watch_can_forget_its_answers_and_resumes_after_a_lost_connection() {
    let argv = ["watch", "a", "--rev=2"].map(str::to_string).to_vec();
    let mut process = Process::new(Tool::Etcdctl, argv, None, 0);
    let header = Header { revision: 1, ..Header::default() };
    let opened = |at| Answer::Outcome(Outcome { at, result: Ok(Response { header, reply: Reply::Watching }) });
    let event = |revision: i64| {
        let kv = KeyValue { key: b"a".to_vec(), value: b"x".to_vec(), mod_revision: revision, ..KeyValue::default() };
        let events = vec![WatchEvent { delete: false, kv, prev_kv: None }];
        Answer::Watched { at: revision, response: WatchResponse { header, events, ..WatchResponse::default() } }
    };
    let next = |process: &mut Process, answer: Answer| {
        process.answers.push(answer);
        let answered = process.answered();
        let done = run(process);
        let new = done.stdout.iter().filter(|chunk| chunk.after_answer == answered);
        let text: String = new.map(|chunk| chunk.text.as_str()).collect();
        process.forget(&done);
        (done.progress, text)
    };
    assert_eq!(next(&mut process, opened(1)).0, Progress::Waiting(Call::WatchNext { stream: 0 }));
    for revision in 2..5 {
        let (progress, text) = next(&mut process, event(revision));
        assert_eq!((progress, text.as_str()), (Progress::Waiting(Call::WatchNext { stream: 0 }), "PUT\na\nx\n"));
        assert!(process.answers.is_empty());
    }
    let (progress, _) = next(&mut process, Answer::WatchBroken { at: 10 });
    assert!(matches!(progress, Progress::Waiting(Call::Sleep { .. })));
    let (progress, _) = next(&mut process, Answer::Slept { at: 20 });
    let Progress::Waiting(Call::Request(Request { call: EtcdCall::Watch(watch), .. })) = progress else {
        panic!("{progress:?}")
    };
    assert_eq!(watch.start_revision, 5, "nothing is missed and nothing comes twice");
    assert_eq!(next(&mut process, opened(30)).0, Progress::Waiting(Call::WatchNext { stream: 1 }));
    let canceled = WatchResponse { header, canceled: true, compact_revision: 9, ..WatchResponse::default() };
    let (progress, _) = next(&mut process, Answer::Watched { at: 40, response: canceled });
    assert_eq!(progress, Progress::Done { exit_code: 5 });
}

#[test]
fn keep_alive_renews_at_a_third_of_the_time_until_the_lease_is_gone() {
    let mut s = shell(&["etcdctl lease grant 9", "(timeout 60 etcdctl watch none > w &)"]);
    let id = out(&mut s, "etcdctl lease list").lines().nth(1).expect("a lease").to_string();
    s.variables.insert("L".into(), id.clone());
    let killed = s.line("timeout 10 etcdctl lease keep-alive $L");
    let line = format!("lease {id} keepalived with TTL(9)\n");
    assert_eq!((killed.exit_code, killed.stdout), (124, line.repeat(4)));
    s.line("sleep 10");
    assert_eq!(out(&mut s, "etcdctl lease keep-alive $L"), format!("lease {id} expired or revoked.\n"));
}

#[test]
fn unavailable_reads_are_sent_again_and_writes_are_not() {
    let status = |message: &str| RpcError::Status { code: Code::Unavailable, message: message.into() };
    let end = |argv: &[&str], error: RpcError| {
        let argv = argv.iter().map(|word| word.to_string()).collect();
        let mut process = Process::new(Tool::Etcdctl, argv, None, 0);
        process.answers.push(Answer::Outcome(Outcome { at: SECOND, result: Err(error) }));
        run(&process)
    };
    let read = end(&["get", "a"], status("etcdserver: leader changed"));
    assert_eq!(read.progress, Progress::Waiting(Call::Sleep { ns: 25_000_000 }));
    let write = end(&["put", "a", "b"], status("etcdserver: request timed out"));
    assert_eq!(write.progress, Progress::Done { exit_code: 1 });
    assert_eq!(write.stderr[0].text, "Error: etcdserver: request timed out\n");
    let lost = end(&["put", "a", "b"], RpcError::Lost);
    let text = "Error: rpc error: code = Unavailable desc = error reading from server: EOF\n";
    assert_eq!(lost.stderr[0].text, text);
}

#[test]
fn a_snapshot_is_saved_restored_and_looked_at() {
    let mut s = shell(&["etcdctl put a 1"]);
    let saved = out(&mut s, "etcdctl snapshot save s.db");
    assert_eq!(saved, "Snapshot saved at s.db\nServer version 3.6.0\n");
    assert_eq!(out(&mut s, "etcdutl snapshot restore s.db --data-dir new"), "");
    assert_eq!(s.etcd.restored.get("new").map(|store| store.revision), Some(2));
    let (_, why) = fails(&mut s, "etcdutl snapshot restore s.db --data-dir other --bump-revision 5");
    assert_eq!(why, "Error: --mark-compacted required if --revision-bump > 0\n");
}
