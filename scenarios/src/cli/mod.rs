//! The command line: `wavetank run`, `explain`, `compare`, `new`, `test`, `swarm`, `reference`.
//!
//! Exit codes: 0 all is well; 1 an expectation failed or a snapshot differs; 2 the command or the script has a mistake.

mod compare;
mod explain;
mod new;
mod reference;
mod run;
mod swarm;
mod test;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// A deterministic simulator of a Kubernetes control plane, driven by scripts
///
/// wavetank switches on a simulated cluster (etcd, API server, scheduler, controllers, kubelets), types kubectl
/// commands into it, lets virtual time pass and checks what must hold. Nothing real is needed: a lab of an hour runs in
/// a second, and the same script with the same seed gives the same bytes on every machine.
#[derive(Debug, Parser)]
#[command(name = "wavetank", version, max_term_width = 100, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wavetank new my-lab                     write a first script, my-lab.rhai
  wavetank run my-lab.rhai                run it: transcript here, files in out/my-lab/
  wavetank run my-lab.rhai --seed 7       the same, with other luck
  wavetank explain pod/web-0 --out out/my-lab   why is that pod where it is?
  wavetank test scripts/                  does every script give what it gave before?
  wavetank swarm --seeds 1..200           random clusters, work and faults: does all hold?
  wavetank reference | less               everything a script may call

Exit codes:
  0  all is well
  1  an expectation failed, or a snapshot differs
  2  the command or the script has a mistake";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a script: print its transcript, write transcript, trace, timeline and time series
    Run(run::RunArgs),
    /// Say why the scheduler put a pod where it is, or why nowhere
    Explain(explain::ExplainArgs),
    /// Run a script under several scheduler configurations and compare what became of its pods
    Compare(compare::CompareArgs),
    /// Write a first script to start from
    New(new::NewArgs),
    /// Run scripts and compare transcript and trace with what they gave before
    Test(test::TestArgs),
    /// Run random clusters with random work and faults, and check what must hold
    Swarm(swarm::SwarmArgs),
    /// Print the script reference (Markdown): every function with an example
    Reference,
}

/// All is well.
const FINE: u8 = 0;
/// An expectation failed, or a snapshot differs.
const FAILED: u8 = 1;
/// The command or the script has a mistake.
const MISTAKE: u8 = 2;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    // clap itself ends the process with code 2 for a wrong argument, and 0 after --help.
    let code = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::New(args) => new::new(&args),
        Command::Test(args) => test::test(&args),
        Command::Swarm(args) => swarm::swarm(&args),
        Command::Reference => reference::reference(),
    };
    ExitCode::from(code)
}

/// Prints to standard output. A reader that has gone away, as `head` does, is no mistake.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a mistake to standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// `NAME=VALUE`, for `--set`.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_string(), value.to_string())),
        _ => Err("write it as NAME=VALUE, such as replicas=50".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn assignments_need_a_name() {
        assert_eq!(assignment("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(assignment("=b").is_err() && assignment("a").is_err());
    }
}
