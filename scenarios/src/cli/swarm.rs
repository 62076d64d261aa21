//! `wavetank swarm`: many random clusters, and what must hold in each.

use super::{FAILED, FINE, MISTAKE, complain, print};
use crate::script::duration;
use crate::session::Nanos;
use crate::swarm::report::{failure, replay};
use crate::swarm::{Choice, Options, Outcome, Plan, Summary, run, run_kept, shrink};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Run random clusters with random work and faults, and check what must hold
#[derive(Debug, Args)]
#[command(after_help = "\
A seed draws a cluster, workloads, operations and faults, each kind on or off, runs them, mends everything and waits until all is
quiet. Nodes, zones, links, disks, registries, webhooks and programs fail among others. Checked on the way: no pod runs twice,
rollouts keep their limits, no eviction breaks a budget, no node is asked for more than it has, no acknowledged write is lost,
etcd's members agree, caches are never ahead, quotas hold. In the end: every workload is as it should be, users' requests are
answered, and nothing changes any more. A table says what happened how often: a way of failing that no seed took proves nothing.

A seed that fails is told with the command that runs it again, alone. Kinds for --only and --without are those of the table;
`crash-2` is the second crash of a seed. Leaving one out changes nothing about the others.

Examples:
  wavetank swarm --seeds 1..200
  wavetank swarm --seed 4711 --out out/4711       once more, with the trace and what was done
  wavetank swarm --seed 4711 --shrink             leave out what it fails without
  wavetank swarm --seeds 1..50 --for 10m --only deployment,drain,budget,power")]
pub(super) struct SwarmArgs {
    /// Seeds to run: 1..200, both included
    #[arg(long, value_name = "A..B", value_parser = seeds, default_value = "1..20")]
    seeds: (u64, u64),
    /// One seed
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// How many run at once [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// For how long there are operations and faults, as virtual time
    #[arg(long = "for", value_name = "TIME", default_value = "3m", value_parser = length)]
    length: Nanos,
    /// Only these kinds of workloads, operations and faults, each of them on
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    only: Vec<String>,
    /// Without these kinds, or single steps such as crash-2
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    without: Vec<String>,
    /// Leave out of a seed that fails what it fails without
    #[arg(long)]
    shrink: bool,
    /// How it is reported
    #[arg(long, value_enum, default_value = "text")]
    report: Report,
    /// A line for each seed
    #[arg(long, short)]
    verbose: bool,
    /// Write trace and plan of each seed that fails into this folder; with --seed, of that seed in any case
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Report {
    /// For people
    Text,
    /// For programs
    Json,
}

/// So many seeds run side by side before what they came to is told.
const BATCH: u64 = 8;

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text:?} is no range like 1..200");
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
    if last < first { Err(format!("the range {text} has no seed")) } else { Ok((first, last)) }
}

fn length(text: &str) -> Result<Nanos, String> {
    match duration::parse(text)? {
        0 => Err("a swarm needs some time; write it like \"3m\"".into()),
        length => Ok(length),
    }
}

/// Runs the command; returns the exit code.
pub(super) fn swarm(args: &SwarmArgs) -> u8 {
    let options =
        Options { length: args.length, choice: Choice { only: args.only.clone(), without: args.without.clone() } };
    if let Some(name) = options.choice.unknown() {
        let known: Vec<&str> = crate::swarm::plan::kinds().map(|kind| kind.name).collect();
        let hint = crate::script::hints::did_you_mean(name, known.iter().copied()).unwrap_or_default();
        complain(&format!("error: there is no kind `{name}`; there are {}\n{hint}", known.join(", ")));
        return MISTAKE;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.jobs.unwrap_or(0)).build();
    let pool = match pool {
        Ok(pool) => pool,
        Err(error) => {
            complain(&format!("error: --jobs: {error}"));
            return MISTAKE;
        }
    };
    quiet_panics();
    pool.install(|| several(args, &options))
}

/// A panic is told with its seed, not when it happens.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

fn several(args: &SwarmArgs, options: &Options) -> u8 {
    let (first, last) = args.seed.map_or(args.seeds, |seed| (seed, seed));
    let bar = bar((last - first).saturating_add(1));
    let mut summary = Summary::default();
    let mut from = first;
    loop {
        // Told in order of the seeds, a batch at a time, so that an interrupted range keeps what it has found.
        let until = from.saturating_add(BATCH * rayon::current_num_threads() as u64 - 1).min(last);
        let outcomes: Vec<Outcome> = (from..=until)
            .into_par_iter()
            .map(|seed| {
                let outcome = run(seed, options);
                bar.inc(1);
                outcome
            })
            .collect();
        for outcome in &outcomes {
            summary.add(outcome);
            bar.suspend(|| tell(outcome, args, options, &mut summary));
        }
        bar.set_message(format!("{} failed", summary.failures.len()));
        if until == last {
            break;
        }
        from = until + 1;
    }
    bar.finish_and_clear();
    match args.report {
        Report::Text => print(&summary.text()),
        Report::Json => print(&format!("{:#}\n", summary.json(options))),
    }
    if summary.failures.is_empty() { FINE } else { FAILED }
}

/// What is said of a seed.
fn tell(outcome: &Outcome, args: &SwarmArgs, options: &Options, summary: &mut Summary) {
    let text = args.report == Report::Text;
    if let Some(failed) = &outcome.failure {
        if text {
            print(&failure(outcome.seed, failed, options));
        }
    } else if args.verbose && text {
        print(&format!(
            "ok   seed {}: {} events, well after {}, fingerprint {:016x}\n",
            outcome.seed,
            outcome.events,
            duration::text(outcome.recovery),
            outcome.fingerprint
        ));
    }
    if outcome.failure.is_some() && args.shrink {
        let small = shrink::shrink(outcome, options, |_| true);
        if text {
            print(&format!(
                "     after {} runs: {}\n     {}\n",
                small.runs,
                small.steps.join(", "),
                replay(outcome.seed, &small.options)
            ));
        }
        summary.smallest.insert(outcome.seed, small);
    }
    if let Some(folder) = args.out.as_ref().filter(|_| outcome.failure.is_some() || args.seed.is_some())
        && let Err(problem) = keep(outcome.seed, options, folder)
    {
        complain(&format!("error: {problem}"));
    }
}

/// Writes what a seed did and its trace.
fn keep(seed: u64, options: &Options, folder: &Path) -> Result<(), String> {
    let folder = folder.join(format!("seed-{seed}"));
    let failed = |error: std::io::Error| format!("cannot write into {}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let plan = Plan::draw(seed, options.length, &options.choice);
    let mut text = format!("{}\ncluster {}\n", replay(seed, options), plan.cluster);
    for step in &plan.steps {
        text += &format!("[{:>9.3}s] {:<18} {:?}\n", step.at as f64 / 1e9, step.name(), step.action);
    }
    std::fs::write(folder.join("plan.txt"), text).map_err(failed)?;
    if let (_, Some(session)) = run_kept(seed, options) {
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("trace.jsonl")).map_err(failed)?);
        session.trace_jsonl(&mut file).map_err(failed)?;
    }
    Ok(())
}

fn bar(length: u64) -> ProgressBar {
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(length),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} seeds, {msg} {eta}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_seed() {
        assert_eq!((seeds("3..7"), seeds("3..=3")), (Ok((3, 7)), Ok((3, 3))));
        assert!(seeds("7..3").is_err() && seeds("7").is_err() && seeds("a..b").is_err());
        assert_eq!(length("3m"), Ok(crate::swarm::LENGTH));
    }
}
