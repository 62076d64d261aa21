//! `wavetank run`: one script, its transcript as it goes, a summary, the files.

use super::{MISTAKE, assignment, complain, print};
use crate::artifacts::{self, Format};
use crate::charts::Drawings;
use crate::script::limits::{Limits, readable};
use crate::script::{Options, Run, Script, Watcher, duration};
use crate::session::{Nanos, Overrides};
use crate::transcript::Line;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// Run a script
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wavetank run my-lab.rhai
  wavetank run my-lab.rhai --set replicas=50 --until 10m
  wavetank run my-lab.rhai --seed 7 --profile production --out other-luck --format svg,transcript")]
pub(super) struct RunArgs {
    /// The script
    #[arg(value_name = "SCRIPT")]
    script: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
    /// A value for a setting of the script; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// The latency profile, instead of the script's: laptop, production or slow-disk
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// A KubeSchedulerConfiguration file, instead of the script's
    #[arg(long, value_name = "FILE")]
    scheduler: Option<PathBuf>,
    /// Where the files go [default: out/<name of the script>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What to write: svg and png are the timeline and the time series, csv is the values of the latter
    #[arg(long, value_enum, value_delimiter = ',', default_value = "transcript,trace,svg,png,csv")]
    format: Vec<Format>,
    /// Do not print the transcript
    #[arg(long, short)]
    quiet: bool,
}

/// Arguments that `run` and `test` share.
#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// The seed, instead of the script's: other luck, same script
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Where virtual time ends, as a duration
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = horizon)]
    until: Nanos,
    /// Raise a bound for scripts, such as operations=1000000000; may be repeated
    #[arg(long, value_name = "NAME=NUMBER")]
    limit: Vec<String>,
    /// Shuffle events of the same instant by this number, to prove that no result hangs on their order
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    shuffle_ties: Option<u64>,
}

impl CommonArgs {
    /// The options of a run; the error is a sentence for the user.
    pub(super) fn options(&self) -> Result<Options, String> {
        let mut limits = Limits::default();
        for assignment in &self.limit {
            limits.set(assignment).map_err(|problem| format!("--limit {assignment}: {problem}"))?;
        }
        let overrides = Overrides { seed: self.seed, shuffle_ties: self.shuffle_ties, ..Overrides::default() };
        Ok(Options { overrides, until: self.until, settings: Vec::new(), limits })
    }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a whole number from 0 to {} is needed", u64::MAX))
}

fn horizon(text: &str) -> Result<Nanos, String> {
    match duration::parse(text)? {
        0 => Err("a script needs some time; write it like \"10m\"".into()),
        until => Ok(until),
    }
}

/// Runs the command; returns the exit code.
pub(super) fn run(args: &RunArgs) -> u8 {
    let prepared = Script::read(&args.script).and_then(|script| {
        let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("out").join(script.stem()));
        artifacts::check_folder(&folder)?;
        let mut options = args.common.options()?;
        options.overrides.scheduler = args.scheduler.as_deref().map(crate::scheduler_file::from_file).transpose()?;
        Ok((script, options, folder))
    });
    let (script, mut options, folder) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => {
            complain(&format!("error: {problem}"));
            return MISTAKE;
        }
    };
    options.settings.clone_from(&args.set);
    options.overrides.profile.clone_from(&args.profile);
    let coloured = std::io::stdout().is_terminal();
    let terminal = Terminal::new(coloured, args.quiet);
    let elapsed = clock();
    let run = crate::script::run(&script, &options, Box::new(terminal.clone()));
    let took = elapsed();
    terminal.clear();
    let coloured_errors = std::io::stderr().is_terminal();
    run.reports.iter().for_each(|report| complain(&report.render(coloured_errors)));
    run.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
    if run.session.is_none() && !run.reports.is_empty() {
        return run.exit_code();
    }
    let written = artifacts::write(&folder, &args.format, &run, script.stem(), &Drawings::default());
    let paths = written.as_deref().unwrap_or_default();
    print(&summary(&run, took, paths));
    match written {
        Ok(_) => run.exit_code(),
        Err(problem) => {
            complain(&format!("error: {problem}"));
            MISTAKE
        }
    }
}

/// What the run comes to, a line each.
fn summary(run: &Run, took: Duration, paths: &[PathBuf]) -> String {
    let mut lines = Vec::new();
    let failed = run.checks.failed.len() as u64;
    if run.checks.passed + failed > 0 {
        lines.push(("expectations", format!("{} held, {failed} failed", run.checks.passed)));
    }
    if let Some(session) = &run.session {
        let statistics = session.statistics();
        let seconds = took.as_secs_f64();
        let rate = if seconds > 0.0 { (statistics.events as f64 / seconds) as u64 } else { 0 };
        lines.push(("virtual time", duration::text(statistics.virtual_end)));
        lines.push(("events", readable(statistics.events)));
        lines.push(("wall time", format!("{seconds:.3} s, {} events per second", readable(rate))));
        lines.push(("fingerprint", format!("{:016x}", statistics.fingerprint)));
    }
    for (i, path) in paths.iter().enumerate() {
        lines.push((if i == 0 { "written" } else { "" }, path.display().to_string()));
    }
    let text = lines.iter().map(|(name, value)| format!("{name:<14}{value}\n"));
    format!("\n{}", text.collect::<String>())
}

/// Tells the wall-clock time since this call, for the summary only: nothing simulated ever sees it.
#[expect(clippy::disallowed_types, reason = "measures the program, not the simulation")]
pub(super) fn clock() -> impl Fn() -> Duration {
    let began = std::time::Instant::now();
    move || began.elapsed()
}

/// Shows a run at a terminal: the transcript on standard output, how far it is on standard error.
#[derive(Clone)]
struct Terminal {
    coloured: bool,
    quiet: bool,
    bar: ProgressBar,
}

impl Terminal {
    fn new(coloured: bool, quiet: bool) -> Self {
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Terminal { coloured, quiet, bar }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watcher for Terminal {
    fn line(&mut self, line: &Line) {
        if !self.quiet {
            let text = if self.coloured { line.coloured() } else { line.plain() };
            self.bar.suspend(|| print(&(text + "\n")));
        }
    }

    fn progress(&mut self, now: Nanos, events: u64) {
        self.bar.set_message(format!("{} of virtual time, {} events", duration::text(now), readable(events)));
        self.bar.tick();
    }
}
