//! `wavetank compare`: one script under several configurations, what became of its pods side by side.

use super::run::CommonArgs;
use super::{FINE, MISTAKE, assignment, complain, print};
use crate::measures;
use crate::scheduler_file::from_file;
use crate::script::{Options, Script, Unwatched};
use clap::Args;
use std::path::{Path, PathBuf};
use wavetank_reports::comparison::{Comparison, Variant};
use wavetank_reports::{Theme, write_whole};

/// Run a script under several configurations
#[derive(Debug, Args)]
#[command(after_help = "\
Measured at the end of each run: used nodes, spread of the pods over nodes and zones, utilisation of the used nodes, stranded
resources (free, but too little of it on a node for the largest pod of the run), and the time pods waited for their node (p50,
p95, p99). With several seeds the figures are means, and the percentiles those of all runs together. README.md defines
each figure.

Examples:
  wavetank compare my-lab.rhai --scheduler spread.yaml --scheduler pack.yaml --seeds 1..5
  wavetank compare scripts/what-if/scheduler-packing.rhai --vary strategy=LeastAllocated,MostAllocated")]
pub(super) struct CompareArgs {
    /// The script
    #[arg(value_name = "SCRIPT")]
    script: PathBuf,
    /// A KubeSchedulerConfiguration to run it under, instead of the script's; repeat it for each to compare
    #[arg(long, value_name = "FILE")]
    scheduler: Vec<PathBuf>,
    /// Values of a setting of the script to run it with, instead of or beside --scheduler
    #[arg(long, value_name = "NAME=VALUE,…", value_parser = assignment)]
    vary: Option<(String, String)>,
    /// Seeds to run each with: 1..5 or 1,2,7 [default: the script's]
    #[arg(long, value_name = "SEEDS", value_parser = seeds)]
    seeds: Option<Seeds>,
    /// A value for a setting of the script; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Where the files go [default: out/<name of the script>-compared]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Debug, PartialEq)]
struct Seeds(Vec<u64>);

/// Most seeds; more is a slip of the finger.
const MOST_SEEDS: u64 = 1_000;
/// Pixels of the bitmap for one of the drawing.
const SCALE: f64 = 2.0;

fn seeds(text: &str) -> Result<Seeds, String> {
    let wrong = || format!("{text:?} is neither a range like 1..5 nor a list like 1,2,7");
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let seeds = match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
            if last < first || last - first >= MOST_SEEDS {
                return Err(format!("the range {text} has no seed, or more than {MOST_SEEDS}"));
            }
            (first..=last).collect()
        }
        None => text.split(',').map(number).collect::<Result<Vec<_>, _>>()?,
    };
    Ok(Seeds(seeds))
}

/// Runs the command; returns the exit code.
pub(super) fn compare(args: &CompareArgs) -> u8 {
    match compared(args) {
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

fn compared(args: &CompareArgs) -> Result<String, String> {
    let script = Script::read(&args.script)?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("out").join(format!("{}-compared", script.stem())));
    crate::artifacts::check_folder(&folder)?;
    let variants = variants(args)?;
    let mut comparison = Comparison {
        title: format!("{} under {} configurations", script.stem(), variants.len()),
        variants: Vec::new(),
    };
    for (name, options) in variants {
        let mut variant = Variant { name, runs: Vec::new() };
        let seeds =
            args.seeds.as_ref().map_or(vec![None], |Seeds(seeds)| seeds.iter().map(|seed| Some(*seed)).collect());
        for seed in seeds {
            let mut options = options.clone();
            options.overrides.seed = seed.or(options.overrides.seed);
            let run = crate::script::run(&script, &options, Box::new(Unwatched));
            if !run.reports.is_empty() {
                let reports: String = run.reports.iter().map(|report| report.render(false)).collect();
                return Err(format!("under {} the script stops:\n{reports}", variant.name));
            }
            let Some(session) = &run.session else {
                return Err(format!("the script {} makes no cluster, so there is nothing to compare", script.name));
            };
            run.checks
                .failed
                .iter()
                .for_each(|check| complain(&format!("under {}: ✗ {}", variant.name, check.message)));
            variant.runs.push((session.world().setup().seed.0, measures::of(session)));
        }
        comparison.variants.push(variant);
    }
    let mut out = comparison.text();
    for path in write(&comparison, &folder)? {
        out += &format!("written  {}\n", path.display());
    }
    Ok(out)
}

/// Each variant's name with the options to run it.
fn variants(args: &CompareArgs) -> Result<Vec<(String, Options)>, String> {
    let mut plain = args.common.options()?;
    plain.settings.clone_from(&args.set);
    let mut bases = Vec::new();
    for path in &args.scheduler {
        let mut options = plain.clone();
        options.overrides.scheduler = Some(from_file(path)?);
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        bases.push((name, options));
    }
    let Some((setting, values)) = &args.vary else {
        return match bases.len() {
            0 => Err("nothing to compare: give --scheduler FILE for each configuration, or --vary NAME=A,B,C".into()),
            _ => Ok(bases),
        };
    };
    if bases.is_empty() {
        bases.push((String::new(), plain));
    }
    let mut variants = Vec::new();
    for (name, options) in bases {
        for value in values.split(',').map(str::trim).filter(|value| !value.is_empty()) {
            let mut options = options.clone();
            options.settings.push((setting.clone(), value.to_owned()));
            let name = if name.is_empty() { value.to_owned() } else { format!("{name} {value}") };
            variants.push((name, options));
        }
    }
    Ok(variants)
}

fn write(comparison: &Comparison, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let theme = Theme::light();
    let json = serde_json::to_vec_pretty(comparison).map_err(|error| error.to_string())?;
    let failed = |error: wavetank_reports::ReportError| error.to_string();
    let files = [
        ("comparison.txt", comparison.text().into_bytes()),
        ("comparison.csv", comparison.csv().into_bytes()),
        ("comparison.json", json),
        ("comparison.svg", comparison.svg(&theme).map_err(failed)?.into_bytes()),
        ("comparison.png", comparison.png(&theme, SCALE).map_err(failed)?),
    ];
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write_whole(&path, bytes).map_err(|error| error.to_string())?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_or_a_list() {
        assert_eq!(seeds("1..3"), Ok(Seeds(vec![1, 2, 3])));
        assert_eq!(seeds("7, 2"), Ok(Seeds(vec![7, 2])));
        assert!(seeds("3..1").is_err() && seeds("x").is_err() && seeds("0..18446744073709551615").is_err());
    }
}
