//! Commands that somebody runs in a container.
//!
//! Nothing is executed. What a command prints says the pod's annotation `wavetank.dev/exec.COMMAND` (its first word), whose first line may be
//! `exit 3`; without it a few commands are followed as in the container's own script: `echo`, `date`, `true`, `sleep`, and `cat` and
//! `ls` of the files that script makes.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kubelet_pods.go (GetExec), server/server.go. Left out: input, terminals.

use super::logs::date;
use super::pod_worker::{PodWorker, Run};
use super::program::{self, What};
use crate::kernel::{Duration, Instant};

/// The beginning of the annotations that say what commands print.
pub const EXEC: &str = "wavetank.dev/exec";

/// What came of a command.
#[derive(Clone, PartialEq, Debug)]
pub struct Executed {
    /// What it printed.
    pub output: String,
    /// Its exit code.
    pub code: i32,
    /// How long it took.
    pub takes: Duration,
}

/// Why there is nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotExecuted {
    /// There is no such container, or it does not run.
    NoContainer,
    /// Nobody has said what it prints.
    Unknown,
}

impl PodWorker {
    /// Runs a command in a container at `now`.
    pub(super) fn exec(&self, name: &str, command: &[String], now: Instant) -> Result<Executed, NotExecuted> {
        let (n, container) =
            self.containers().enumerate().find(|(_, it)| &*it.name == name).ok_or(NotExecuted::NoContainer)?;
        if !matches!(container.run, Run::Running { .. }) || container.life.over {
            return Err(NotExecuted::NoContainer);
        }
        let first = command.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        if let Some(text) = self.pod().meta.annotation(&format!("{EXEC}.{first}")) {
            return Ok(annotated(text));
        }
        let at_once = |output: String, code| Ok(Executed { output, code, takes: Duration::ZERO });
        if first == "hostname" {
            return at_once(format!("{}\n", self.pod().meta.name), 0);
        }
        let spec = self.spec_of(n).ok_or(NotExecuted::NoContainer)?;
        if let Some((tool, path)) = program::looks_at(command) {
            let files = program::files(spec);
            let since = now.since(container.life.begun);
            let known = files.iter().rfind(|(at, of, _)| *of == path && *at <= since);
            return match known {
                Some((_, _, true)) => at_once(if tool == "ls" { format!("{path}\n") } else { String::new() }, 0),
                Some((_, _, false)) if tool == "cat" => {
                    at_once(format!("cat: can't open '{path}': No such file or directory\n"), 1)
                }
                Some((_, _, false)) => at_once(String::new(), 1),
                None => Err(NotExecuted::Unknown),
            };
        }
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let (takes, code, marks) = program::follow(&words).ok_or(NotExecuted::Unknown)?;
        let line = |mark: program::Mark| match mark.what {
            What::Print(text) => Some(format!("{text}\n")),
            What::Date => Some(format!("{}\n", date(now + mark.at))),
            What::File(..) => None,
        };
        Ok(Executed { output: marks.into_iter().filter_map(line).collect(), code, takes })
    }
}

/// `exit 3` on the first line, then what is printed.
fn annotated(text: &str) -> Executed {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let code = first.strip_prefix("exit ").and_then(|code| code.trim().parse().ok());
    let text = if code.is_some() { rest } else { text };
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Executed { output: format!("{text}{end}"), code: code.unwrap_or(0), takes: Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_may_begin_with_an_exit_code() {
        let said = |text| {
            let executed = annotated(text);
            (executed.output, executed.code)
        };
        assert_eq!(said("exit 2\nno such table"), ("no such table\n".to_owned(), 2));
        assert_eq!(said("bin\netc\n"), ("bin\netc\n".to_owned(), 0));
    }
}
