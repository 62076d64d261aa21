//! What a container does: runs for ever, or ends after a while with an exit code.
//!
//! Nothing is executed. What `shell` understands: `sleep`, `true`, `false`, `exit`, `echo` and their like, alone or in a script of `sh -c` with
//! `;`, `&&`, `||`, `|`, `&`, new lines, `for … in …; do …; done` and `while true`. An annotation of the pod says it for anything else:
//! `wavetank.dev/run: "5s exit 1"`, or for one container `wavetank.dev/run.NAME`; `wavetank.dev/run: forever`. How long it takes to end after
//! SIGTERM says `wavetank.dev/stop: 20s` or `never`.

mod shell;

use k8s_openapi::api::core::v1::Container;

use self::shell::Run;
pub(super) use self::shell::{Mark, What};

use crate::kernel::Duration;
use crate::objects::ObjectMeta;

/// The annotation that says what a pod's containers do.
pub const ANNOTATION: &str = "wavetank.dev/run";

/// The annotation that says how long a pod's containers take to end after SIGTERM: `1h`, or `never`.
pub const STOP: &str = "wavetank.dev/stop";

/// How long a container takes to obey SIGTERM, and with which code it ends, if the pod says so: `20s`, `never`, `5s exit 143`.
pub(super) fn stops(pod: &ObjectMeta, container: &str) -> Option<(Duration, i32)> {
    match said(pod, STOP, container)? {
        "never" => Some((Duration::from_nanos(u64::MAX / 4), 0)),
        text => match annotated(text)? {
            Program::Ends(after, code) => Some((after, code)),
            Program::Forever | Program::Unknown => None,
        },
    }
}

/// What a pod's annotations say of a container: under `key.NAME`, or under `key` of all.
pub(super) fn said<'a>(pod: &'a ObjectMeta, key: &str, container: &str) -> Option<&'a str> {
    if pod.annotations.is_empty() {
        return None;
    }
    pod.annotation(&format!("{key}.{container}")).or_else(|| pod.annotation(key))
}

/// How a container's program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// It does not.
    Forever,
    /// After so long, with an exit code.
    Ends(Duration, i32),
    /// Nobody knows.
    Unknown,
}

impl Program {
    /// The program of a container.
    pub fn of(container: &Container, pod: &ObjectMeta) -> Program {
        if let Some(program) = said(pod, ANNOTATION, &container.name).and_then(annotated) {
            return program;
        }
        if container.command.as_ref().is_none_or(Vec::is_empty) {
            return Program::Unknown;
        }
        Program::of_words(&words(container))
    }

    /// The program of a command with its arguments.
    pub(super) fn of_words(words: &[&str]) -> Program {
        if words.is_empty() { Program::Unknown } else { Run::default().simple(words).finish() }
    }
}

/// What a container's program does within `limit`, as far as it is understood.
pub(super) fn marks(container: &Container, limit: Duration) -> Vec<Mark> {
    let words = words(container);
    if words.is_empty() { Vec::new() } else { Run::recording(limit).simple(&words).into_marks() }
}

/// A command that ends: how long it takes, its exit code, and what it does; `None` if it is not understood, or has no end.
pub(super) fn follow(words: &[&str]) -> Option<(Duration, i32, Vec<Mark>)> {
    let Program::Ends(takes, code) = Program::of_words(words) else { return None };
    Some((takes, code, Run::recording(takes).simple(words).into_marks()))
}

/// The files that a container's script makes and removes: when, which, and whether it is there then.
pub(super) fn files(container: &Container) -> Vec<(Duration, String, bool)> {
    let file = |mark: Mark| match mark.what {
        What::File(path, exists) => Some((mark.at, path, exists)),
        What::Print(_) | What::Date => None,
    };
    marks(container, FILES_WITHIN).into_iter().filter_map(file).collect()
}

/// The tool and the file of a command that looks whether a file is there: `cat FILE`, `test -f FILE`.
pub(super) fn looks_at(command: &[String]) -> Option<(String, String)> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let inner: Vec<&str>;
    let words = match words.as_slice() {
        [shell, flag, script] if shell.ends_with("sh") && flag.ends_with('c') => {
            inner = script.split_whitespace().collect();
            &inner[..]
        }
        words => words,
    };
    let tool = words.first()?.rsplit('/').next()?;
    let path = match (tool, words) {
        ("cat" | "ls" | "stat", [_, path]) => path,
        ("test", [_, "-e" | "-f", path]) | ("[", [_, "-e" | "-f", path, "]"]) => path,
        _ => return None,
    };
    Some((tool.to_owned(), (*path).to_owned()))
}

/// How far a script's files are followed.
const FILES_WITHIN: Duration = Duration::from_secs(24 * 3_600);

fn words(container: &Container) -> Vec<&str> {
    container.command.iter().flatten().chain(container.args.iter().flatten()).map(String::as_str).collect()
}

/// `5s exit 1`, `5s`, `exit 1`, `forever`.
pub(super) fn annotated(text: &str) -> Option<Program> {
    let mut words = text.split_whitespace().peekable();
    if words.peek() == Some(&"forever") {
        return Some(Program::Forever);
    }
    let duration = words.peek().and_then(|word| seconds(word));
    if duration.is_some() {
        words.next();
    }
    let code = match (words.next(), words.next()) {
        (None, _) if duration.is_some() => 0,
        (Some("exit"), Some(code)) => code.parse().ok()?,
        _ => return None,
    };
    Some(Program::Ends(duration.unwrap_or(Duration::ZERO), code))
}

/// `3`, `0.5`, `2m`, `1h`.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    let nanos = number * unit * 1e9;
    (nanos < 1e18).then(|| Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_say_how_a_program_ends() {
        assert_eq!(annotated("5s exit 1"), Some(Program::Ends(Duration::from_secs(5), 1)));
        assert_eq!((annotated("forever"), annotated("soon")), (Some(Program::Forever), None));
        let looks = |words: &[&str]| looks_at(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(looks(&["cat", "/tmp/x"]), Some(("cat".to_owned(), "/tmp/x".to_owned())));
        assert_eq!(looks(&["sh", "-c", "test -f /tmp/x"]), Some(("test".to_owned(), "/tmp/x".to_owned())));
        assert_eq!(looks(&["pg_isready"]), None);
    }
}
