//! kubectl: the command line a user drives the cluster with.
//!
//! A kubectl process is a straight-line program that is *replayed*: [`run`] executes it from the start, takes the
//! answers recorded so far, and stops at the first call that has none. So a process is plain data (arguments, standard
//! input, answers) that can be forked with the world, and no thread or coroutine is needed. Calls go to the API server
//! over the simulated network; kubectl knows nothing of the engine but the table of
//! merge keys, which the real one gets from the server.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd, staging/src/k8s.io/cli-runtime.
//! Left out: discovery and OpenAPI requests (answered from kubectl's own cache), kubeconfig, klog lines, plugins, attach,
//! port-forward, cp, debug, explain, server-side apply.

mod api_resources;
mod apply;
mod auth;
mod autoscale;
mod base64;
mod builder;
mod commands;
mod cordon;
mod create;
mod delete;
mod describe;
mod diff_verb;
mod drain;
mod duration;
mod errors;
mod events_verb;
mod exec;
mod expose;
mod flags;
mod get;
mod go_sort;
mod go_template;
mod information;
mod json;
mod jsonpath;
mod label;
mod last_applied;
mod logs;
mod manifest;
mod patch;
mod patch_verb;
mod printers;
mod prune;
mod quantity;
mod resource_table;
mod resources;
mod rollout;
mod run;
mod scale;
mod selectors;
mod session;
mod set;
mod tabwriter;
mod taint;
mod unified;
mod wait;
mod wait_deleted;
mod yaml;
mod yaml_out;

#[cfg(test)]
mod fake_server;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod verbs_tests;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use yaml::documents as yaml_documents;

pub use drain::Drain;
pub use get::watch::GetWatch;
pub use rollout::status::StatusWatch;
use session::{Session, Stop};

/// An object as `kubectl -o yaml` prints it.
pub fn yaml_text(object: &Value) -> String {
    yaml_out::yaml(object)
}

/// A type that a CustomResourceDefinition brings.
#[derive(Clone, Copy, Debug)]
pub struct Discovered(resources::Resource);

impl Discovered {
    /// What a definition brings.
    pub fn of(defined: &wavetank_engine::objects::custom::Defined) -> Option<Discovered> {
        resources::Resource::defined(defined).map(Discovered)
    }
}

/// A kubectl process: everything its future depends on.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// The arguments without the program's name: `["get", "pods"]`.
    pub argv: Vec<String>,
    /// What `-f -` reads.
    pub stdin: Option<String>,
    /// The answers to its calls so far, in the order of the calls (those before `resume` left out).
    pub answers: Vec<Answer>,
    /// When it was started. [ns since the Unix epoch]
    pub started: i64,
    /// What the server offers beside what every server does, as discovery said when the process began.
    pub discovered: Arc<[Discovered]>,
    /// Where a long watch had got to when its older answers were dropped, see [`Process::forget`].
    pub resume: Option<Resume>,
}

impl Process {
    /// A process that has just been started.
    pub fn new(argv: Vec<String>, stdin: Option<String>, started: i64) -> Self {
        Process { argv, stdin, started, ..Process::default() }
    }

    /// Drops the answers that `run` says are no longer needed, so that a watch of n events costs n steps and not n².
    pub fn forget(&mut self, run: &Run) {
        if let Some(resume) = &run.resume {
            self.answers.clear();
            self.resume = Some(resume.clone());
        }
    }

    /// The number of answers taken since the process started.
    pub fn answered(&self) -> usize {
        self.resume.as_ref().map_or(0, |r| r.answers) + self.answers.len()
    }
}

/// State of a process that is in a watch loop and needs none of its earlier answers any more.
#[derive(Clone, Debug)]
pub struct Resume {
    /// Answers taken before this point.
    pub answers: usize,
    /// Watches opened before this point.
    pub watches: usize,
    /// kubectl's time at this point. [ns since the Unix epoch]
    pub now: i64,
    /// The loop it is in.
    pub watching: Loop,
}

/// The watch loops that can be long.
#[derive(Clone, Debug)]
pub enum Loop {
    /// `kubectl get --watch`
    Get(GetWatch),
    /// `kubectl rollout status`
    RolloutStatus(StatusWatch),
    /// `kubectl drain`
    Drain(Box<Drain>),
}

/// Gives the text of the files named with `-f`.
pub trait Files {
    /// The text of `path`, or the operating system's complaint, such as `no such file or directory`.
    fn read(&self, path: &str) -> Result<String, String>;

    /// The names of the files in the folder `path`, sorted; `None` if it is none.
    fn list(&self, path: &str) -> Option<Vec<String>> {
        let _ = path;
        None
    }
}

/// How far a process has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// It waits for the answer to this call.
    Waiting(Call),
    /// It has ended.
    Done {
        /// 0 or 1, as kubectl's.
        exit_code: i32,
    },
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The text, with its line ends.
    pub text: String,
    /// The number of answers the process had taken (since its start) when it wrote this. A host that runs a process
    /// again after each answer finds what is new in the chunks whose number equals [`Process::answered`].
    pub after_answer: usize,
}

/// What [`run`] found.
#[derive(Clone, Debug)]
pub struct Run {
    /// How far the process has come.
    pub progress: Progress,
    /// Standard output, since the start or since `resume`.
    pub stdout: Vec<Chunk>,
    /// Standard error, since the start or since `resume`.
    pub stderr: Vec<Chunk>,
    /// If present, the answers taken so far may be dropped, see [`Process::forget`].
    pub resume: Option<Resume>,
}

/// Something kubectl waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A request to the API server. A `Watch` is answered by `Answer::Ok` once the stream is open.
    Api(Box<ApiCall>),
    /// The next event of an open watch, answered by `Event`, `StreamEnded`, `ConnectionRefused` or `Timeout`.
    WatchNext {
        /// Index of the watch among the process's watch calls, from 0.
        stream: usize,
        /// When kubectl gives up: then the answer is `Timeout`. [ns since the Unix epoch]
        deadline: Option<i64>,
    },
    /// What more comes of open logs, answered by `Ok` when there is something, or when one of them ends.
    Follow {
        /// Which.
        streams: Vec<LogStream>,
    },
    /// Sleep, answered by `Slept`.
    Sleep {
        /// [ns]
        ns: u64,
    },
}

/// A container's log that is followed.
#[derive(Clone, Debug, PartialEq)]
pub struct LogStream {
    /// The pod's node.
    pub node: String,
    /// The pod.
    pub uid: String,
    /// Its container.
    pub container: String,
    /// What was printed up to then has been shown. [ns since the Unix epoch]
    pub from: i64,
    /// Each line with its time.
    pub timestamps: bool,
}

/// The verb of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiVerb {
    /// GET of one object
    #[default]
    Get,
    /// GET of a collection
    List,
    /// GET of a collection with watch=true
    Watch,
    /// POST
    Create,
    /// PUT
    Update,
    /// PATCH
    Patch(PatchType),
    /// DELETE of one object
    Delete,
}

impl ApiVerb {
    /// As rules of authorization name it: `list`.
    pub fn as_str(self) -> &'static str {
        match self {
            ApiVerb::Get => "get",
            ApiVerb::List => "list",
            ApiVerb::Watch => "watch",
            ApiVerb::Create => "create",
            ApiVerb::Update => "update",
            ApiVerb::Patch(_) => "patch",
            ApiVerb::Delete => "delete",
        }
    }
}

/// The content type of a PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// application/strategic-merge-patch+json
    StrategicMerge,
    /// application/merge-patch+json (RFC 7396)
    Merge,
    /// application/json-patch+json (RFC 6902)
    Json,
}

/// A request to the API server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiCall {
    /// What to do.
    pub verb: ApiVerb,
    /// Plural name, such as `deployments`.
    pub resource: String,
    /// API group, empty for the core group.
    pub group: String,
    /// API version, such as `v1`.
    pub version: String,
    /// Such as `scale`.
    pub subresource: Option<String>,
    /// None for cluster-scoped resources and for lists over all namespaces.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: Option<String>,
    /// The object, the patch, or the DeleteOptions.
    pub body: Option<Value>,
    /// As written by the user: the server parses it.
    pub label_selector: Option<String>,
    /// As written by the user: the server parses it.
    pub field_selector: Option<String>,
    /// Where a watch starts, how fresh a list must be.
    pub resource_version: Option<String>,
    /// Watch: the server first sends the present objects as ADDED, then a BOOKMARK annotated
    /// `k8s.io/initial-events-end: "true"`, then changes (the streaming list of client-go's informers).
    pub send_initial_events: bool,
    /// Page size of a list.
    pub limit: Option<u64>,
    /// Where the next page starts: metadata.continue of the last one.
    pub continue_token: Option<String>,
    /// dryRun=All
    pub dry_run: bool,
    /// Such as `kubectl-create`.
    pub field_manager: Option<String>,
    /// `Strict`, `Warn` or `Ignore`.
    pub field_validation: Option<String>,
    /// --request-timeout. [ns]
    pub timeout: Option<u64>,
    /// A path of the server's that is no resource, such as `/readyz`; then nothing else counts. The body is its text.
    pub raw: Option<String>,
}

/// What came of a call. Every answer carries the time at which kubectl has it. [ns since the Unix epoch]
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// 2xx
    Ok {
        /// When.
        at: i64,
        /// The object, the list, or a Status; anything for an opened watch.
        body: Value,
        /// Warning headers.
        warnings: Vec<String>,
    },
    /// 4xx, 5xx
    Err {
        /// When.
        at: i64,
        /// metav1.Status
        status: Value,
    },
    /// An event of a watch
    Event {
        /// When.
        at: i64,
        /// ADDED, MODIFIED, DELETED, BOOKMARK or ERROR
        kind: String,
        /// The object, for ERROR a Status.
        object: Value,
    },
    /// The server has ended the watch.
    StreamEnded {
        /// When.
        at: i64,
    },
    /// The sleep is over.
    Slept {
        /// When.
        at: i64,
    },
    /// Nobody listens at the API server's address.
    ConnectionRefused {
        /// When.
        at: i64,
    },
    /// The connection broke before the answer came.
    Broken {
        /// When.
        at: i64,
    },
    /// No answer in time.
    Timeout {
        /// When.
        at: i64,
    },
}

impl Answer {
    /// When kubectl has the answer. [ns since the Unix epoch]
    pub fn at(&self) -> i64 {
        match self {
            Answer::Ok { at, .. }
            | Answer::Err { at, .. }
            | Answer::Event { at, .. }
            | Answer::StreamEnded { at }
            | Answer::Slept { at }
            | Answer::ConnectionRefused { at }
            | Answer::Broken { at }
            | Answer::Timeout { at } => *at,
        }
    }
}

/// Runs the process from its start (or its resume point), taking the recorded answers, up to its first unanswered call
/// or its end.
pub fn run(process: &Process, files: &dyn Files) -> Run {
    let mut session = Session::new(process, files);
    let progress = match commands::dispatch(&mut session) {
        Ok(()) => Progress::Done { exit_code: 0 },
        Err(Stop::Waiting(call)) => Progress::Waiting(call),
        Err(Stop::Failed(failure)) => {
            let text = errors::message(&failure);
            if !text.is_empty() {
                session.error_line(&text);
            }
            Progress::Done { exit_code: if let errors::Failure::Exit(code) = failure { code } else { 1 } }
        }
    };
    session.finish(progress)
}
