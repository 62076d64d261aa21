//! `wavetank test`: does every script give what it gave before?

use super::run::{CommonArgs, clock};
use super::{FAILED, FINE, MISTAKE, complain, print};
use crate::script::{Options, Run, Script, Unwatched};
use crate::snapshot::{Snapshot, difference, files};
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Compare scripts with their snapshots
#[derive(Debug, Args)]
#[command(after_help = "\
Beside NAME.rhai lie its snapshots, NAME.transcript.txt and NAME.trace. Folders named `lib` hold modules: skipped.

Examples:
  wavetank test scripts/                     every script below the folder
  wavetank test scripts/ --update            keep what they give now; review it as a diff
  wavetank test scripts/ --shuffle-ties 1    the same results whatever the order of simultaneous events?")]
pub(super) struct TestArgs {
    /// Folders with scripts, or scripts
    #[arg(value_name = "DIR", required = true)]
    paths: Vec<PathBuf>,
    /// Keep what the scripts give now as their snapshots
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs the command; returns the exit code.
pub(super) fn test(args: &TestArgs) -> u8 {
    let prepared = args.common.options().and_then(|options| Ok((options, find(&args.paths)?)));
    let (options, found) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => {
            complain(&format!("error: {problem}"));
            return MISTAKE;
        }
    };
    let coloured = std::io::stdout().is_terminal();
    let (mut passed, mut failed) = (0, 0);
    for path in &found.scripts {
        let elapsed = clock();
        let outcome = check(path, &options, args.update, coloured);
        let took = elapsed().as_secs_f64();
        let (word, code) = match outcome {
            Ok(Verdict::Passed) => ("ok  ", "32"),
            Ok(Verdict::Updated) => ("kept", "33"),
            Err(_) => ("FAIL", "1;31"),
        };
        let word = if coloured { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_string() };
        print(&format!("{word} {} ({took:.2} s)\n", path.display()));
        match outcome {
            Ok(_) => passed += 1,
            Err(problem) => {
                failed += 1;
                print(&indented(&problem));
            }
        }
    }
    for path in &found.orphans {
        failed += 1;
        print(&format!("FAIL {}\n{}", path.display(), indented("this snapshot has no script; remove it")));
    }
    print(&format!("\n{passed} passed, {failed} failed\n"));
    if failed == 0 { FINE } else { FAILED }
}

/// What a script that is all right comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Updated,
}

/// Runs a script and compares; the error is what is shown.
fn check(path: &Path, options: &Options, update: bool, coloured: bool) -> Result<Verdict, String> {
    let script = Script::read(path)?;
    let run = crate::script::run(&script, options, Box::new(Unwatched));
    healthy(&run, coloured)?;
    let new = Snapshot::of(&run)?;
    let [transcript, trace] = Snapshot::read(path)?;
    let same = transcript.as_ref() == Some(&new.transcript) && trace.as_ref() == Some(&new.trace);
    match (same, update) {
        (true, _) => Ok(Verdict::Passed),
        (false, true) => new.write(path).map(|()| Verdict::Updated),
        (false, false) => Err(differences(path, [transcript, trace], &new, coloured)),
    }
}

/// Whether the script came to its end with every expectation met; a run that did not is never kept.
fn healthy(run: &Run, coloured: bool) -> Result<(), String> {
    if !run.reports.is_empty() {
        return Err(run.reports.iter().map(|report| report.render(coloured)).collect());
    }
    if run.checks.failed.is_empty() {
        return Ok(());
    }
    let lines = run.checks.failed.iter().map(|check| {
        let seconds = check.at / 1_000_000;
        format!("✗ {} at {}.{:03}s   {}\n", check.message, seconds / 1_000, seconds % 1_000, check.place)
    });
    Err(lines.collect())
}

fn differences(path: &Path, kept: [Option<String>; 2], new: &Snapshot, coloured: bool) -> String {
    let mut out = String::new();
    for ((file, kept), new) in files(path).iter().zip(&kept).zip([&new.transcript, &new.trace]) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match kept {
            None => out += &format!("there is no snapshot {name} yet\n"),
            Some(kept) => {
                if let Some(lines) = difference(kept, new, coloured) {
                    out += &format!("{name} differs (- kept, + now):\n{lines}");
                }
            }
        }
    }
    out + "if this is right, keep it: --update\n"
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("     {line}").trim_end().to_string() + "\n").collect()
}

/// What lies below the paths.
#[derive(Debug, Default)]
struct Found {
    scripts: Vec<PathBuf>,
    /// Snapshots whose script is gone.
    orphans: Vec<PathBuf>,
}

fn find(paths: &[PathBuf]) -> Result<Found, String> {
    let mut found = Found::default();
    for path in paths {
        match path.is_dir() {
            true => walk(path, &mut found)?,
            false if path.extension().is_some_and(|ending| ending == "rhai") && path.is_file() => {
                found.scripts.push(path.clone());
            }
            false if path.is_file() => {
                return Err(format!("{} is no script: its name does not end in .rhai", path.display()));
            }
            false => return Err(format!("there is no file or folder {}", path.display())),
        }
    }
    if found.scripts.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("there is no script (*.rhai) in {}", paths.join(", ")));
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Found) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot read the folder {}: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut entries =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let script = |ending: &str| name.strip_suffix(ending).map(|stem| folder.join(format!("{stem}.rhai")));
        if path.is_dir() {
            if name != "lib" && !name.starts_with('.') {
                walk(&path, found)?;
            }
        } else if name.ends_with(".rhai") {
            found.scripts.push(path);
        } else if let Some(script) = script(".transcript.txt").or_else(|| script(".trace"))
            && !script.is_file()
        {
            found.orphans.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder of its own for a test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("wavetank-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(folder.join("deep/lib")).unwrap();
            Folder(folder)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_kept_snapshot_passes_and_a_change_shows() {
        let folder = Folder::new("kept");
        let script =
            folder.write("a.rhai", "cluster(#{ nodes: 1 });\nrun_for(\"2s\");\nmark(\"one\");\nrun_for(\"1s\");\n");
        let check = |update| check(&script, &Options::default(), update, false);
        assert!(check(false).unwrap_err().contains("there is no snapshot a.transcript.txt yet"));
        assert_eq!(check(true), Ok(Verdict::Updated));
        assert_eq!(check(false), Ok(Verdict::Passed));
        folder.write("a.rhai", "cluster(#{ nodes: 1 });\nrun_for(\"2s\");\nmark(\"two\");\nrun_for(\"1s\");\n");
        let shown = check(false).unwrap_err();
        let expected =
            "a.transcript.txt differs (- kept, + now):\n@@ line 1\n- [  2.000s] ── one ──\n+ [  2.000s] ── two ──\n";
        assert!(shown.starts_with(expected), "{shown}");
        assert!(shown.contains("a.trace differs") && shown.contains("- fingerprint "), "{shown}");
    }

    #[test]
    fn a_failing_run_is_never_kept() {
        let folder = Folder::new("failing");
        let script = folder.write("a.rhai", "cluster();\nexpect(1 > 2, \"one is more than two\");\n");
        let shown = check(&script, &Options::default(), true, false).unwrap_err();
        assert_eq!(shown, "✗ one is more than two at 0.000s   a.rhai:2:1\n");
        assert!(!files(&script)[0].exists());
    }

    #[test]
    fn scripts_are_found_sorted_and_orphans_reported() {
        let folder = Folder::new("found");
        for name in ["b.rhai", "a.rhai", "deep/c.rhai", "deep/lib/steps.rhai", "a.trace", "gone.transcript.txt"] {
            folder.write(name, "");
        }
        let found = find(std::slice::from_ref(&folder.0)).unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths
                .iter()
                .map(|path| path.strip_prefix(&folder.0).unwrap().display().to_string().replace('\\', "/"))
                .collect()
        };
        assert_eq!(names(&found.scripts), ["a.rhai", "b.rhai", "deep/c.rhai"]);
        assert_eq!(names(&found.orphans), ["gone.transcript.txt"]);
        assert!(find(&[folder.0.join("nowhere")]).unwrap_err().contains("no file or folder"));
        assert!(find(&[folder.0.join("a.trace")]).unwrap_err().contains("is no script"));
    }
}
