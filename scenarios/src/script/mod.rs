//! The Rhai host: runs a script against a simulated cluster.
//!
//! A script reads like the lab it automates. It has no clock, no files, no machine maths; what it can use up is
//! bounded, and a mistake is reported with line, caret and hint. What a run has produced before a mistake is kept.
//!
//! The map, in reading order:
//!
//! * [`functions`] – what a script may call, a file per subject; the reference comes from the same tables.
//! * `drive` – how virtual time passes while a script waits.
//! * `host` – the state of a run; `chaos` – faults that chance brings.
//! * `closures` – functions of the script that the cluster itself runs: controllers, scheduler plugins.
//! * [`errors`], `names`, [`hints`] – mistakes: what is wrong, where, what was probably meant.
//! * [`limits`], `imports` – what keeps a script in bounds.
//! * [`duration`], [`words`], [`convert`], [`object`] – values on their way in and out.
//! * [`reference`] – the script reference as Markdown.
//!
//! Left out: more than one cluster in a script.

mod chaos;
pub(crate) mod closures;
pub mod convert;
mod drive;
pub mod duration;
pub mod errors;
#[cfg(test)]
mod etcd_tests;
#[cfg(test)]
mod extension_tests;
#[cfg(test)]
mod fault_tests;
pub mod functions;
pub mod hints;
mod host;
mod imports;
pub mod limits;
#[cfg(test)]
mod machine_tests;
mod names;
pub mod object;
#[cfg(test)]
mod program_tests;
pub mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
pub mod words;

pub use errors::{Place, Problem, Report};
pub use host::{Checks, FailedCheck};
pub use limits::Limits;

use crate::session::{Nanos, Overrides, Session};
use crate::transcript::{Kind, Line, Transcript};
use closures::Program;
use errors::{Sources, explain};
use functions::{Cluster, Handle};
use host::{Host, Shared, borrow};
use imports::Imports;
use names::Names;
use object::Object;
use rhai::packages::{Package, StandardPackage};
use rhai::{AST, Dynamic, Engine, EvalAltResult, OptimizationLevel, Scope};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Virtual time a script may use unless told otherwise: an hour. [ns]
pub const DEFAULT_HORIZON: Nanos = 3_600_000_000_000;

/// A script, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The file's name, as reports show it.
    pub name: String,
    /// Where it lies: imports and manifests are found from here.
    pub folder: PathBuf,
    /// Its text.
    pub text: String,
}

impl Script {
    /// Reads a script file; the error is a sentence for the user, perhaps with a second one that says what to do.
    pub fn read(path: &Path) -> Result<Script, String> {
        let text = imports::read_text(path).map_err(|problem| {
            let file = path.with_extension("rhai");
            let help = match path.is_dir() {
                true => format!("\nhelp: `wavetank test {}` runs every script of a folder", path.display()),
                false if !path.exists() && file.is_file() => format!("\nhelp: did you mean {}?", file.display()),
                false => String::new(),
            };
            format!("cannot read the script {}: {problem}{help}", path.display())
        })?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Script { name, folder: folder.to_path_buf(), text })
    }

    /// The name without its ending.
    pub fn stem(&self) -> &str {
        self.name.strip_suffix(".rhai").unwrap_or(&self.name)
    }
}

/// How to run a script.
#[derive(Clone, Debug)]
pub struct Options {
    /// What wins over the script's own description of its cluster. The folder is set to the script's.
    pub overrides: Overrides,
    /// The horizon: where virtual time ends. [ns]
    pub until: Nanos,
    /// Values for the script's settings, in the order given; the last of a name wins.
    pub settings: Vec<(String, String)>,
    /// What the script may use up.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let (overrides, settings) = (Overrides::default(), Vec::new());
        Options { overrides, until: DEFAULT_HORIZON, settings, limits: Limits::default() }
    }
}

/// Follows a run while it goes on.
pub trait Watcher: Send {
    /// A line was added to the transcript.
    fn line(&mut self, line: &Line);
    /// Virtual time has come this far, with so many events handled; called about once a virtual second.
    fn progress(&mut self, now: Nanos, events: u64);
}

/// A watcher that does not look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn line(&mut self, _line: &Line) {}
    fn progress(&mut self, _now: Nanos, _events: u64) {}
}

/// What a run has produced.
pub struct Run {
    /// The transcript, up to the end or to the mistake.
    pub transcript: Transcript,
    /// The cluster as the script left it, if it made one.
    pub session: Option<Session>,
    /// How the expectations went.
    pub checks: Checks,
    /// Mistakes that stopped the script or kept it from starting.
    pub reports: Vec<Report>,
    /// What the author should know but need not.
    pub warnings: Vec<String>,
}

impl Run {
    /// The program's exit code: 0 all is well, 1 an expectation failed, 2 the script has a mistake.
    pub fn exit_code(&self) -> u8 {
        match (self.reports.is_empty(), self.checks.failed.is_empty()) {
            (false, _) => 2,
            (true, false) => 1,
            (true, true) => 0,
        }
    }
}

/// Runs a script to its end.
pub fn run(script: &Script, options: &Options, watcher: Box<dyn Watcher>) -> Run {
    let mut options = options.clone();
    options.overrides.folder.clone_from(&script.folder);
    let host: Shared = Arc::new(Mutex::new(Host::new(options.clone(), watcher)));
    let texts = imports::Texts::default();
    imports::lock(&texts).insert(script.name.clone(), script.text.clone());
    let mut engine = engine(&host, script, &options, texts.clone());
    let mut reports = Vec::new();
    let names;
    match engine.compile(&script.text) {
        Err(error) => {
            // The hint may need the script's names, which are to be had if only a variable is unknown.
            engine.set_strict_variables(false);
            names = engine.compile(&script.text).map(|ast| Names::of(&ast)).unwrap_or_default();
            reports.push(explain(&error.into(), &script.name, &imports::lock(&texts), &names));
        }
        Ok(mut ast) => {
            ast.set_source(&script.name);
            names = Names::of(&ast);
            reports.extend(mistakes_before(script, &options, &names, &imports::lock(&texts)));
            if reports.is_empty() {
                borrow(&host).program = Some(Program {
                    ast: Arc::new(ast.clone()),
                    names: Arc::new(names.clone()),
                    texts: texts.clone(),
                    main: script.name.as_str().into(),
                    folder: script.folder.clone(),
                    limits: options.limits,
                });
                reports.extend(execute(&engine, &ast, script, &names, &texts, &host));
            }
        }
    }
    drop(engine);
    let unknown = !names.open_settings && reports.is_empty();
    finish(&host, unknown).with(reports)
}

/// What can be seen to be wrong before the script runs.
fn mistakes_before(script: &Script, options: &Options, names: &Names, sources: &Sources) -> Vec<Report> {
    let mut reports = names.misspelt(&script.name, sources);
    let complete = !names.open_settings && !names.has_imports();
    for (key, _) in options.settings.iter().filter(|(key, _)| complete && !names.settings.contains_key(key)) {
        let place = Place { file: script.name.clone(), line: 0, column: 0 };
        reports.push(Report::at(names.unknown_setting(key), place, sources));
    }
    reports
}

fn execute(
    engine: &Engine,
    ast: &AST,
    script: &Script,
    names: &Names,
    texts: &imports::Texts,
    host: &Shared,
) -> Option<Report> {
    let error = match engine.run_ast_with_scope(&mut Scope::new(), ast) {
        Ok(()) => return None,
        Err(error) if matches!(*error, EvalAltResult::Exit(..)) => return None,
        Err(error) => error,
    };
    let sources = imports::lock(texts).clone();
    let mut report = explain(&error, &script.name, &sources, names);
    if let Some(mistake) = borrow(host).mistake.take() {
        report = mistake;
    }
    point_at_cluster_key(&mut report, names, &sources);
    let mut host = borrow(host);
    // The transcript may be what is full; the report says it all the same.
    let _ = host
        .say(Kind::Failed, &format!("✗ the script stopped: {}   {}", words::one_line(&report.message), report.place));
    Some(report)
}

/// Points at the very key of the map given to `cluster` that a report names.
fn point_at_cluster_key(report: &mut Report, names: &Names, sources: &Sources) {
    if report.line.as_ref().is_none_or(|line| !line.contains("cluster")) {
        return;
    }
    let quoted = report.message.split('`').skip(1).step_by(2);
    let position = quoted.filter_map(|word| names.cluster_keys.get(word)).next();
    if let Some(position) = position {
        let problem = Problem { message: report.message.clone(), hint: report.hint.clone() };
        let place = Place::new(&report.place.file, *position);
        *report = Report { trail: report.trail.clone(), ..Report::at(problem, place, sources) };
    }
}

/// An engine with everything a script may use, and nothing else.
fn engine(host: &Shared, script: &Script, options: &Options, texts: imports::Texts) -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(StandardPackage::new().as_shared_module());
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_module_resolver(Imports::new(script.folder.clone(), texts));
    options.limits.install(&mut engine);
    count_operations(&mut engine, options.limits.operations);
    functions::register(&mut engine, host, &script.name);
    let listener = host.clone();
    let main = script.name.clone();
    engine.on_debug(move |text, source, position| {
        let place = Place::new(source.unwrap_or(&main), position);
        // Rhai gives no way to stop here; the next function of the host does.
        let _ = borrow(&listener).say(Kind::Output, &format!("{}:{}: {text}", place.file, place.line));
    });
    keep_handles_unshared(&mut engine);
    engine
}

/// Counts operations over the whole run: Rhai's own count starts anew in every closure the host calls.
fn count_operations(engine: &mut Engine, limit: u64) {
    let count = AtomicU64::new(0);
    engine.on_progress(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) < limit {
            return None;
        }
        let problem = Problem::new(format!("the script has used up its {} operations", limits::readable(limit)));
        let hint =
            format!("a loop may never end; raise the bound with --limit operations={}", limit.saturating_mul(10));
        Some(Dynamic::from(problem.hint(hint)))
    });
}

/// Lets closures use the cluster, processes and objects freely. A variable a closure captures becomes a shared cell,
/// which is locked while a method runs on it; these are plain values, so the variable's value is handed out instead of
/// the cell.
#[allow(deprecated, reason = "on_var is not deprecated, only marked as volatile; the version of rhai is pinned")]
fn keep_handles_unshared(engine: &mut Engine) {
    engine.on_var(|name, _, context| {
        let Some(value) = context.scope().get(name).filter(|value| value.is_shared()) else { return Ok(None) };
        if value.read_lock::<Cluster>().is_some() {
            return Ok(Some(Dynamic::from(Cluster)));
        }
        if let Some(handle) = value.read_lock::<Handle>() {
            return Ok(Some(Dynamic::from(*handle)));
        }
        if let Some(handle) = value.read_lock::<functions::traffic::TrafficHandle>() {
            return Ok(Some(Dynamic::from(*handle)));
        }
        Ok(value.read_lock::<Object>().map(|object| Dynamic::from(object.clone())))
    });
}

/// Takes the results out of the host.
fn finish(host: &Shared, settings_are_known: bool) -> Run {
    let mut host = borrow(host);
    host.tell_of_traffic();
    let mut warnings = std::mem::take(&mut host.warnings);
    if settings_are_known {
        let unread = host.options.settings.iter().filter(|(key, _)| !host.asked.contains(key));
        warnings.extend(unread.map(|(key, _)| format!("the script never read the setting `{key}`")));
    }
    let now = duration::text(host.now());
    warnings.extend(host.schedule.iter().filter_map(|((at, _), plan)| {
        let (host::Plan::At { given_at, .. } | host::Plan::During { given_at, .. }) = plan else { return None };
        let at = duration::text(*at);
        Some(format!("the action planned for {at} at {given_at} did not run: the script ended at {now}"))
    }));
    Run {
        transcript: std::mem::take(&mut host.transcript),
        session: host.session.take(),
        checks: std::mem::take(&mut host.checks),
        reports: Vec::new(),
        warnings,
    }
}

impl Run {
    fn with(mut self, reports: Vec<Report>) -> Self {
        if !reports.is_empty() {
            self.warnings.clear();
        }
        self.reports = reports;
        self
    }
}
