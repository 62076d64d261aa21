//! Scenarios recorded from a real Kubernetes, played on the simulated one: `conformance/README.md`.
//!
//! `cargo test -p wavetank-tests recorded_scenarios -- --nocapture` prints what agrees and every difference;
//! `WAVETANK_SCENARIOS=DIR` plays other files of the format, `WAVETANK_SEED=N` plays with other luck.

use std::path::{Path, PathBuf};

use wavetank_tests::scenario::report;

#[test]
fn recorded_scenarios() {
    let folder = match std::env::var_os("WAVETANK_SCENARIOS") {
        Some(folder) => found(Path::new(&folder)),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/scenarios"),
    };
    let report = report::folder(&folder, seed()).unwrap_or_else(|error| panic!("{error}"));
    for line in &report.lines {
        println!("{line}");
    }
    assert!(report.played > 0, "there is no scenario in {}", folder.display());
    assert!(report.failures.is_empty(), "more differs than is known:\n{}", report.failures.join("\n"));
}

/// The known differences are those of seed 1.
fn seed() -> u64 {
    std::env::var_os("WAVETANK_SEED").map_or(1, |seed| {
        seed.to_str().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| panic!("WAVETANK_SEED is a whole number"))
    })
}

/// A path is meant from where the command was typed, most likely the workspace's root; tests run in their package's folder.
fn found(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    if folder.exists() { folder.to_owned() } else { root.join(folder) }
}
