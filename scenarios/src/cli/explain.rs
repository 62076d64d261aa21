//! `wavetank explain pod/NAME`: why the scheduler put a pod where it is, from the trace a run has left.

use super::{FINE, MISTAKE, complain, print};
use crate::artifacts::TRACE;
use crate::explaining::{Decisions, pod_name};
use clap::Args;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use wavetank_reports::explanation::{Explanation, heatmap, text};
use wavetank_reports::{Theme, write_whole};

/// Say why a pod is where it is
#[derive(Debug, Args)]
#[command(after_help = "\
For each attempt of the scheduler: what woke the pod, which filter refused which nodes and why, how every plugin rated the
others, whom preemption pushed out. In clusters of more than 100 nodes the 20 best nodes and 20 of each reason are named,
and the rest is counted. The trace of the run must be there: `wavetank run` writes it.

Examples:
  wavetank explain pod/web-0
  wavetank explain pod/web-0 -n shop --attempt 1 --out out/my-lab
  wavetank explain pod/web-0 --svg why.svg --png why.png")]
pub(super) struct ExplainArgs {
    /// The pod: pod/NAME or NAME
    #[arg(value_name = "POD")]
    pod: String,
    /// The pod's namespace; needed only if there are pods of that name in several
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Which attempt, from 1 [default: the last]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// The folder of the run [default: the only one in out/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Draw the attempt as a heatmap into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The same as a bitmap
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Draw light on dark
    #[arg(long)]
    dark: bool,
    /// Print the attempt as JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Pixels of the bitmap for one of the drawing.
const SCALE: f64 = 2.0;

/// Runs the command; returns the exit code.
pub(super) fn explain(args: &ExplainArgs) -> u8 {
    match told(args) {
        Ok(text) => {
            print(&text);
            FINE
        }
        Err(problem) => {
            complain(&format!("error: {problem}"));
            MISTAKE
        }
    }
}

fn told(args: &ExplainArgs) -> Result<String, String> {
    let name = pod_name(&args.pod)?;
    let trace = trace_of(args.out.as_deref())?;
    let place = trace.display();
    let open = || File::open(&trace).map(BufReader::new).map_err(|error| format!("cannot read {place}: {error}"));
    let failed = |problem| format!("{place}: {problem}");
    let decisions = Decisions::read(open()?, name).map_err(failed)?;
    let pod = decisions.of(&args.pod, args.namespace.as_deref()).map_err(|problem| format!("{place}: {problem}"))?;
    let mut causes = decisions.causes(pod);
    while causes.read(open()?).map_err(|problem| format!("{place}: {problem}"))? {}
    let attempts = decisions.attempts(pod, &causes);
    let why = chosen(&attempts, args.attempt, pod)?;
    let mut out = match (args.json, attempts.len()) {
        (true, _) => serde_json::to_string_pretty(why).map_err(|error| error.to_string())? + "\n",
        (false, 1) => text::whole(why),
        (false, _) => format!("{}\n{}", text::attempts(&attempts), text::whole(why)),
    };
    for path in draw(args, why)? {
        if !args.json {
            out += &format!("written    {}\n", path.display());
        }
    }
    Ok(out)
}

fn chosen<'a>(attempts: &'a [Explanation], wanted: Option<u32>, pod: &str) -> Result<&'a Explanation, String> {
    let found = match wanted {
        None => attempts.last(),
        Some(number) => attempts.iter().find(|why| why.attempt == number),
    };
    found.ok_or_else(|| {
        let numbers: Vec<String> = attempts.iter().map(|why| why.attempt.to_string()).collect();
        let wanted = wanted.unwrap_or_default();
        format!("there is no attempt {wanted} at the pod {pod}; the attempts are {}", numbers.join(", "))
    })
}

fn draw(args: &ExplainArgs, why: &Explanation) -> Result<Vec<PathBuf>, String> {
    let theme = if args.dark { Theme::dark() } else { Theme::light() };
    let mut written = Vec::new();
    let mut write = |path: &Path, bytes: Vec<u8>| {
        write_whole(path, bytes).map_err(|error| error.to_string()).map(|()| written.push(path.to_path_buf()))
    };
    if let Some(path) = &args.svg {
        write(path, heatmap::svg(why, &theme).map_err(|error| error.to_string())?.into_bytes())?;
    }
    if let Some(path) = &args.png {
        write(path, heatmap::png(why, &theme, SCALE).map_err(|error| error.to_string())?)?;
    }
    Ok(written)
}

/// The trace in a run's folder.
fn trace_of(folder: Option<&Path>) -> Result<PathBuf, String> {
    let file = TRACE;
    let Some(folder) = folder else { return only_run(Path::new("out")) };
    let trace = if folder.is_file() { folder.to_path_buf() } else { folder.join(file) };
    match trace.is_file() {
        true => Ok(trace),
        false if folder.is_dir() => Err(format!(
            "{} is not the folder of a run, or of one without its trace: there is no {file} in it\n\
             help: `wavetank run SCRIPT` writes one, unless --format leaves it out",
            folder.display()
        )),
        false => Err(format!("there is no folder {}", folder.display())),
    }
}

fn only_run(out: &Path) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(out).into_iter().flatten().filter_map(Result::ok);
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.join(TRACE).is_file()).collect();
    runs.sort();
    match &runs[..] {
        [only] => Ok(only.join(TRACE)),
        [] => Err("there is no run in out/\nhelp: `wavetank run SCRIPT` makes one; another folder: --out DIR".into()),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(format!("there are several runs, {}; choose one with --out", names.join(", ")))
        }
    }
}
