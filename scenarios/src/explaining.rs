//! The scheduler's decisions about a pod, read from a trace: from the file a run left, or from the run itself.
//!
//! Both ways go through the lines of the trace, so that `wavetank explain` and the script's `explain` cannot disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde::Deserialize;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::trace::jsonl::{self, SCHEMA_VERSION};
use wavetank_engine::trace::{Record as TraceRecord, What};
use wavetank_reports::explanation::{Cause, Explanation};

use crate::script::hints;
use crate::session::Session;

/// What a trace says about pods and their scheduling.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Attempts by pod, `namespace/name`, in their order.
    attempts: BTreeMap<String, Vec<Found>>,
    /// Pods that were created.
    pods: BTreeSet<String>,
}

#[derive(Debug)]
struct Found {
    explanation: Explanation,
    cause: u64,
}

/// The fields every record has.
#[derive(Deserialize)]
struct Record {
    id: u64,
    t: i64,
    cause: u64,
    what: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    object: String,
    #[serde(default)]
    change: String,
    #[serde(default)]
    line: String,
}

/// Lines that tell what woke a pod, by their id; and what the scheduler's taking of a pod goes back to.
#[derive(Debug, Default)]
pub struct Causes {
    wanted: BTreeSet<u64>,
    found: BTreeMap<u64, (u64, Cause)>,
}

impl Decisions {
    /// Reads a trace. `only` is the pod whose attempts are kept, by its name with or without namespace; of the others only the
    /// names are.
    pub fn read(lines: impl BufRead, only: &str) -> Result<Self, String> {
        let mut decisions = Decisions::default();
        let mut lines = lines.lines();
        let header = lines.next().transpose().map_err(|error| error.to_string())?.unwrap_or_default();
        check_header(&header)?;
        for line in lines {
            decisions.take(&line.map_err(|error| format!("it cannot be read to its end: {error}"))?, only)?;
        }
        Ok(decisions)
    }

    /// Takes a line in.
    fn take(&mut self, line: &str, only: &str) -> Result<(), String> {
        let schedule = line.contains("\"what\":\"schedule\"");
        let Some(pod) = pod_of(line).filter(|_| schedule || line.contains("\"change\":\"created\"")) else {
            return Ok(());
        };
        if !self.pods.contains(pod) {
            self.pods.insert(pod.to_owned());
        }
        if !schedule || !(pod == only || pod.split_once('/').is_some_and(|(_, name)| name == only)) {
            return Ok(());
        }
        let wrong = |error| format!("a record of it cannot be understood: {error}");
        let record: Record = serde_json::from_str(line).map_err(wrong)?;
        let explanation: Explanation = serde_json::from_str(&without_cause(line)).map_err(wrong)?;
        let explanation = Explanation { pod: pod.to_owned(), ..explanation };
        self.attempts.entry(pod.to_owned()).or_default().push(Found { explanation, cause: record.cause });
        Ok(())
    }

    /// The attempts at a pod: `NAME` or `pod/NAME`, in `namespace` or, without one, wherever there is one pod of that name.
    pub fn of(&self, pod: &str, namespace: Option<&str>) -> Result<&str, String> {
        let name = pod_name(pod)?;
        let full = match namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => {
                let same: Vec<&String> = self
                    .pods
                    .iter()
                    .filter(|pod| pod.split_once('/').is_some_and(|(_, other)| other == name))
                    .collect();
                match &same[..] {
                    [] => format!("default/{name}"),
                    [only] => (*only).clone(),
                    several => {
                        let spaces: Vec<&str> = several.iter().filter_map(|pod| Some(pod.split_once('/')?.0)).collect();
                        return Err(format!(
                            "there are pods {name} in the namespaces {}; choose one with --namespace",
                            spaces.join(", ")
                        ));
                    }
                }
            }
        };
        match self.attempts.get_key_value(&full) {
            Some((pod, _)) => Ok(pod),
            None if self.pods.contains(&full) => Err(format!(
                "no scheduler has decided about the pod {full}: it was bound by hand, waits behind a scheduling gate, or asks \
                 for a scheduler that does not run"
            )),
            None => Err(self.unknown(&full, name)),
        }
    }

    fn unknown(&self, full: &str, name: &str) -> String {
        let mut text = format!("there is no pod {full} in this run");
        let longer: Vec<&str> = self.pods.iter().map(String::as_str).filter(|pod| pod.contains(name)).take(5).collect();
        if !longer.is_empty() {
            text += &format!("\nhelp: there are {}", longer.join(", "));
        } else if let Some(near) = hints::closest(name, self.pods.iter().filter_map(|pod| Some(pod.split_once('/')?.1)))
        {
            text += &format!("\nhelp: did you mean pod/{near}?");
        } else if self.pods.is_empty() {
            text += "\nhelp: the run has no pods at all";
        }
        text
    }

    /// The records whose text tells what woke the pod.
    pub fn causes(&self, pod: &str) -> Causes {
        let wanted = self.attempts.get(pod).into_iter().flatten().map(|found| found.cause).collect();
        Causes { wanted, found: BTreeMap::new() }
    }

    /// The attempts at a pod that [`Decisions::of`] names, each with what it goes back to.
    pub fn attempts(&self, pod: &str, causes: &Causes) -> Vec<Explanation> {
        let each = |found: &Found| Explanation { cause: causes.behind(found.cause), ..found.explanation.clone() };
        self.attempts.get(pod).into_iter().flatten().map(each).collect()
    }
}

impl Causes {
    /// Reads the trace once more; true if it has to be read again, because what was found goes back to something earlier.
    pub fn read(&mut self, lines: impl BufRead) -> Result<bool, String> {
        let before = self.wanted.len();
        if before == 0 {
            return Ok(false);
        }
        for line in lines.lines() {
            self.take(&line.map_err(|error| error.to_string())?);
        }
        Ok(self.wanted.len() > before)
    }

    fn take(&mut self, line: &str) {
        let id = line.strip_prefix("{\"id\":").and_then(|rest| rest.split(',').next()).and_then(|id| id.parse().ok());
        if !id.is_some_and(|id| self.wanted.contains(&id)) {
            return;
        }
        let Ok(record) = serde_json::from_str::<Record>(line) else { return };
        // Of the records that are looked for, only a scheduler's taking of the pod is one of these.
        if record.what == "reconcile" && record.object.starts_with("Pod/") {
            self.wanted.insert(record.cause);
        }
        let cause = Cause { t: record.t, text: text_of(&record) };
        self.found.insert(record.id, (record.cause, cause));
    }

    /// What the record with this id goes back to: the scheduler's own taking of the pod tells nothing, what is before it does.
    fn behind(&self, id: u64) -> Option<Cause> {
        let (before, cause) = self.found.get(&id)?;
        if cause.text.is_empty() {
            Some(self.found.get(before)?.1.clone()).filter(|cause| !cause.text.is_empty())
        } else {
            Some(cause.clone())
        }
    }
}

/// The attempts at a pod of a run that goes on; none if there is no such pod, or the trace is not kept.
pub fn of_run(session: &Session, namespace: &str, name: &str) -> Result<Vec<Explanation>, String> {
    let world = session.world();
    let (trace, setup) = (world.trace(), world.setup());
    let line = |record: &TraceRecord| jsonl::line(record, session.zero(), &|agent| jsonl::agent_name(setup, agent));
    let about = |record: &&TraceRecord| {
        let same = |(kind, key): &(Kind, Key)| *kind == Kind::Pod && *key.name == *name && *key.namespace == *namespace;
        matches!(record.note.what, What::Schedule(_)) && record.note.object.as_ref().is_some_and(same)
    };
    let mut decisions = Decisions::default();
    let mut causes = Causes::default();
    for record in trace.records().iter().filter(about) {
        decisions.take(&line(record), name)?;
        causes.wanted.insert(record.cause.0);
        let taken = trace.get(record.cause);
        for cause in taken.into_iter().chain(taken.and_then(|taken| trace.get(taken.cause))) {
            causes.wanted.insert(cause.id.0);
            causes.take(&line(cause));
        }
    }
    Ok(decisions.attempts(&format!("{namespace}/{name}"), &causes))
}

/// What a record says, in a few words; nothing for the scheduler's taking of a pod.
fn text_of(record: &Record) -> String {
    let object = record.object.replacen('/', " ", 1);
    let object = object.replace(" /", " ");
    match record.what.as_str() {
        "reconcile" => String::new(),
        "committed" => format!("{object} {}", record.change),
        "command" => record.line.clone(),
        what => format!("{object} {what} ({})", record.by).trim_start().to_owned(),
    }
}

/// `namespace/name` of the pod a line is about.
fn pod_of(line: &str) -> Option<&str> {
    let rest = line.split_once("\"object\":\"Pod/")?.1;
    rest.split_once('"').map(|(pod, _)| pod).filter(|pod| !pod.ends_with('/'))
}

/// The line without the id of its cause, whose place an explanation uses otherwise.
fn without_cause(line: &str) -> String {
    line.replacen("\"cause\":", "\"caused_by\":", 1)
}

fn check_header(line: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Header {
        wavetank_trace: u32,
    }
    match serde_json::from_str::<Header>(line) {
        Ok(Header { wavetank_trace: SCHEMA_VERSION }) => Ok(()),
        Ok(Header { wavetank_trace: other }) => Err(format!(
            "it has version {other} of the trace's schema, and this program reads {SCHEMA_VERSION}: run the script again"
        )),
        Err(_) => Err("it is no trace of wavetank: its first line is no header".to_owned()),
    }
}

/// The name in `pod/NAME`, `pods/NAME`, `po/NAME` or `NAME`.
pub fn pod_name(text: &str) -> Result<&str, String> {
    match text.split_once('/') {
        None if !text.is_empty() => Ok(text),
        Some(("pod" | "pods" | "po", name)) if !name.is_empty() && !name.contains('/') => Ok(name),
        _ => Err(format!("the scheduler decides about pods only: write pod/NAME, not {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> String {
        let lines = [
            format!("{{\"wavetank_trace\":{SCHEMA_VERSION},\"seed\":1}}"),
            r#"{"id":1,"t":5,"cause":0,"by":"kube-apiserver","what":"committed","object":"Node//n","revision":2,"change":"modified"}"#.into(),
            r#"{"id":2,"t":6,"cause":0,"by":"kube-apiserver","what":"committed","object":"Pod/a/web-1","revision":3,"change":"created"}"#.into(),
            r#"{"id":3,"t":7,"cause":1,"by":"kube-scheduler","what":"reconcile","object":"Pod/a/web-1"}"#.into(),
            r#"{"id":4,"t":8,"cause":3,"by":"kube-scheduler","what":"schedule","object":"Pod/a/web-1","node":"n","evaluated":1,"scheduler":"s","attempt":1,"woken":"NodeAdd","nodes":1,"fitting":1,"scores":[{"node":"n","total":0}]}"#.into(),
            r#"{"id":5,"t":9,"cause":0,"by":"kube-apiserver","what":"committed","object":"Pod/b/web-1","revision":4,"change":"created"}"#.into(),
            r#"{"id":6,"t":9,"cause":0,"by":"kube-apiserver","what":"committed","object":"Pod/b/other","revision":4,"change":"created"}"#.into(),
        ];
        lines.map(|line: String| line + "\n").concat()
    }

    fn read(only: &str) -> Decisions {
        Decisions::read(trace().as_bytes(), only).unwrap()
    }

    #[test]
    fn an_attempt_is_found_with_what_woke_the_pod() {
        let decisions = read("web-1");
        let pod = decisions.of("pod/web-1", Some("a")).unwrap();
        let mut causes = decisions.causes(pod);
        while causes.read(trace().as_bytes()).unwrap() {}
        let attempts = decisions.attempts(pod, &causes);
        assert_eq!(attempts.len(), 1);
        assert_eq!((attempts[0].node.as_deref(), attempts[0].t, &*attempts[0].pod), (Some("n"), 8, "a/web-1"));
        assert_eq!(attempts[0].cause, Some(Cause { t: 5, text: "Node n modified".into() }));
    }

    #[test]
    fn mistakes_say_what_there_is() {
        let wrong = |pod: &str, namespace| read(pod).of(pod, namespace).unwrap_err();
        assert!(wrong("web-1", None).contains("namespaces a, b"));
        assert!(wrong("web", None).contains("there are a/web-1, b/web-1"), "{}", wrong("web", None));
        assert!(wrong("othre", Some("b")).contains("did you mean pod/other?"));
        assert!(wrong("other", None).contains("no scheduler has decided"));
        assert!(wrong("deployment/web", None).contains("write pod/NAME"));
        assert!(Decisions::read("{}\n".as_bytes(), "x").unwrap_err().contains("no trace of wavetank"));
        assert!(
            Decisions::read("{\"wavetank_trace\":1}\n".as_bytes(), "x").unwrap_err().contains("run the script again")
        );
    }
}
