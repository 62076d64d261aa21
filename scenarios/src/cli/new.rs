//! `wavetank new`: a first script to start from.

use super::{FINE, MISTAKE, complain, print};
use clap::Args;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a first script
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  wavetank new my-lab && wavetank run my-lab.rhai")]
pub(super) struct NewArgs {
    /// The script's name; `.rhai` is added
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

/// The script; it runs as it is.
pub(super) const STARTER: &str = r#"// A lab on a simulated cluster. Run it:   wavetank run NAME.rhai
// Everything a script may call:            wavetank reference

let replicas = setting("replicas", 5);      // another value: --set replicas=50
let c = cluster(#{ nodes: 3 });

note(`
    A Deployment is only a wish. Watch who fulfils it.
`);
c.kubectl("create deployment nginx --image=nginx:1.25 --replicas=1");
c.wait("deployment/nginx", "Available");
c.kubectl("get pods");

mark("scale up");
c.kubectl(`scale deployment nginx --replicas=${replicas}`);
c.expect_within("1m", || c.pods().filter(|p| p.ready).len() == replicas, "all replicas are ready");
c.kubectl("get pods -o wide");
"#;

/// Runs the command; returns the exit code.
pub(super) fn new(args: &NewArgs) -> u8 {
    match create(&args.name) {
        Ok(path) => {
            let path = path.display();
            print(&format!("wrote {path}\nrun it with: wavetank run {path}\n"));
            FINE
        }
        Err(problem) => {
            complain(&format!("error: {problem}"));
            MISTAKE
        }
    }
}

fn create(name: &Path) -> Result<PathBuf, String> {
    let stem = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.strip_suffix(".rhai").unwrap_or(&stem).to_string();
    if stem.is_empty() {
        return Err(format!("\"{}\" is not a name for a script", name.display()));
    }
    let path = name.with_file_name(format!("{stem}.rhai"));
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("{} exists already and is left as it is; choose another name", path.display())
        }
        ErrorKind::NotFound => format!("cannot write {}: its folder does not exist", path.display()),
        _ => format!("cannot write {}: {error}", path.display()),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(STARTER.replace("NAME", &stem).as_bytes()).map_err(failed)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Options, Script, Unwatched, run};

    #[test]
    fn the_starter_runs_and_its_expectation_holds() {
        let script = Script { name: "starter.rhai".into(), folder: ".".into(), text: STARTER.into() };
        let run = run(&script, &Options::default(), Box::new(Unwatched));
        let reports: String = run.reports.iter().map(|report| report.render(false)).collect();
        assert_eq!((run.exit_code(), run.checks.passed), (0, 1), "{reports}{}", run.transcript.text());
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("wavetank-new-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = create(&folder.join("first.rhai")).unwrap();
        let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        assert!(text.contains("wavetank run first.rhai"));
        assert!(create(&folder.join("first")).unwrap_err().contains("exists already"));
        assert!(create(&folder.join("no/such")).unwrap_err().contains("folder"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
