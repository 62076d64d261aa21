use super::*;

/// Files in a map; the one program is `tool`, which prints its words.
#[derive(Default)]
struct Fake {
    files: BTreeMap<String, String>,
    slept: u64,
}

impl Machine for Fake {
    fn run(&mut self, program: &Invocation) -> Option<Output> {
        let (name, rest) = program.words.split_first()?;
        let code = if rest.first().is_some_and(|word| word == "fail") { 3 } else { 0 };
        let env: String = program.env.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        (name == "tool").then(|| Output {
            stdout: format!("{env}[{}]{}\n", rest.join("|"), program.stdin.as_deref().unwrap_or("")),
            stderr: if code > 0 { "oh\n".into() } else { String::new() },
            code,
        })
    }
    fn start(&mut self, program: &Invocation, file: &str, _merged: bool) -> bool {
        self.files.insert(file.into(), format!("started {}\n", program.words.join(" ")));
        true
    }
    fn sleep(&mut self, ns: u64) {
        self.slept += ns;
    }
    fn wait(&mut self) {}
    fn read(&mut self, path: &str) -> Option<String> {
        self.files.get(path).cloned()
    }
    fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.into(), text.into());
    }
    fn copy(&mut self, from: &str, to: &str) -> bool {
        let file = self.files.get(from).cloned();
        file.map(|text| self.files.insert(to.into(), text)).is_some()
    }
    fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }
}

fn out(line: &str) -> String {
    let output = Shell::default().run(line, &mut Fake::default());
    assert_eq!(output.stderr, "", "{line}");
    output.stdout
}

#[test]
fn words_are_split_as_a_shell_splits_them() {
    assert_eq!(out("tool a 'b c' \"d e\" f\\ g \"\""), "[a|b c|d e|f g|]\n");
    assert_eq!(out("X='1 2'; tool $X \"$X\" a$X"), "[1|2|1 2|a1|2]\n");
    assert_eq!(out("tool \"\\$X\" '$X' $unset \"$unset\""), "[$X|$X|]\n");
    assert_eq!(out("A=1 B=2 tool x"), "A=1 B=2 [x]\n");
    assert_eq!(out("tool $(echo a b) \"$(echo a b)\" ${HOME}x"), "[a|b|a b|x]\n");
}

#[test]
fn loops_conditions_and_numbers() {
    assert_eq!(out("for i in 1 2 3; do tool k$i; done; echo end"), "[k1]\n[k2]\n[k3]\nend\n");
    assert_eq!(out("for i in $(seq 2 4); do echo $((i*10+1)); done"), "21\n31\n41\n");
    assert_eq!(out("i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i"), "3\n");
    assert_eq!(out("if tool fail 2>/dev/null; then echo good; else echo bad; fi"), "[fail]\nbad\n");
    assert_eq!(out("false || echo a && echo b; true && echo c"), "a\nb\nc\n");
    assert_eq!(out("i=0; until test $i = 2; do i=$((i + 1)); done; echo $((10 % 4)) $i"), "2 2\n");
}

#[test]
fn streams_go_where_they_are_sent() {
    assert_eq!(out("tool fail 2>&1 | tail -1"), "oh\n");
    assert_eq!(out("tool a > f; cat f f; tool b >> f; wc -l < f"), "[a]\n[a]\n2\n");
    assert_eq!(out("tool fail >/dev/null 2> err; echo rc=$?; cat err"), "rc=3\noh\n");
    assert_eq!(out("(timeout 3 tool watch > w 2>&1 &) ; sleep 0.5; cat w"), "started tool watch\n");
    assert_eq!(out("echo text | tool"), "[]text\n\n");
    assert_eq!(out("{ echo a; echo b; } > f; cp f g; rm f; cat g"), "a\nb\n");
}

#[test]
fn tools_print_what_the_real_ones_do() {
    assert_eq!(out("head -c 5 /dev/zero | tr '\\0' x | wc -c"), "5\n");
    assert_eq!(out("printf 'a\\n\\nb %s\\n' c"), "a\n\nb c\n");
    assert_eq!(out("echo '{\"revision\":17,\"x\":1}' | grep -o '\"revision\":[0-9]*' | cut -d: -f2"), "17\n");
    assert_eq!(out("printf '3\\n1\\n2\\n1\\n' | sort -nu | tr '\\n' ,"), "1,2,3,");
    assert_eq!(out("printf 'a\\nb\\nc\\n' | head -2 | tail -n 1"), "b\n");
    assert_eq!(out("printf 'a\\nb\\na\\n' | grep -c a; printf 'x' | grep -v x | wc -l"), "2\n0\n");
    assert_eq!(out("printf hello | base64 | base64 -d"), "hello");
    assert_eq!(out("sh -c 'echo $0$A'; A=5; sh -c \"echo $A\""), "\n5\n");
}

#[test]
fn what_cannot_be_read_is_said() {
    let fails = |line: &str| {
        let output = Shell::default().run(line, &mut Fake::default());
        (output.code, output.stderr)
    };
    assert_eq!(fails("for i in 1 2; do echo $i"), (2, "sh: syntax error: `done` is missing\n".into()));
    assert_eq!(fails("echo 'a"), (2, "sh: syntax error: a quote ' is not closed\n".into()));
    assert_eq!(fails("nothing here"), (127, "sh: nothing: not found\n".into()));
    assert_eq!(fails("cat none").0, 1);
    assert_eq!(fails("timeout 2 sleep 5").0, 124);
}
