//! Playing a folder of scenarios and saying what agrees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::compare::{self, Aspect, INFORMATION};
use super::format::{self, Scenario};
use super::{observe, play};

/// What came of a folder.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What to print.
    pub lines: Vec<String>,
    /// What is worse than the known differences allow.
    pub failures: Vec<String>,
    /// How many scenarios were played.
    pub played: usize,
}

/// Plays every scenario of a folder, in order of the files' names. The folder's `known-differences.txt`, or that of the folder
/// above, says how many differences of a scenario's aspect are accepted, and why.
pub fn folder(folder: &Path, seed: u64) -> Result<Report, String> {
    let known = known_differences(folder)?;
    let mut report = Report::default();
    for path in files(folder)? {
        match format::read(&path)? {
            Some(scenario) => report.play(&scenario, &known, seed),
            None => report.lines.push(format!("{} is no scenario", file_name(&path))),
        }
    }
    Ok(report)
}

impl Report {
    fn play(&mut self, scenario: &Scenario, known: &Known, seed: u64) {
        self.played += 1;
        let aspects =
            play::play(scenario, seed).map(|run| compare::compare(scenario, &run, &observe::observe(scenario, &run)));
        match aspects {
            Ok(aspects) => aspects.iter().for_each(|aspect| self.aspect(&scenario.id, aspect, known)),
            Err(error) => {
                self.lines.push(format!("scenarios/{}: there is no cluster: {error}", scenario.id));
                self.failures.push(format!("scenarios/{}: there is no cluster: {error}", scenario.id));
            }
        }
    }

    fn aspect(&mut self, id: &str, aspect: &Aspect, known: &Known) {
        let head = format!("scenarios/{id} {}", aspect.name);
        self.lines.push(format!("{head} matched {} of {}", aspect.matched, aspect.total));
        self.lines.extend(aspect.differences.iter().map(|difference| format!("    {difference}")));
        self.lines.extend(aspect.remarks.iter().map(|remark| format!("    ({remark})")));
        if aspect.name == INFORMATION {
            return;
        }
        let allowed = known.get(&(id.to_owned(), aspect.name.to_owned())).copied().unwrap_or_default();
        let differences = aspect.differences.len();
        if differences > allowed {
            self.failures.push(format!("{head}: {differences} differences, {allowed} are known"));
        } else if differences < allowed {
            self.lines.push(format!("    (better than known: {differences} differences, {allowed} are listed)"));
        }
    }
}

/// Scenario and aspect → how many differences are accepted.
type Known = BTreeMap<(String, String), usize>;

#[expect(clippy::disallowed_methods, reason = "the list of known differences is a file")]
fn known_differences(folder: &Path) -> Result<Known, String> {
    const NAME: &str = "known-differences.txt";
    let places = [Some(folder.join(NAME)), folder.parent().map(|above| above.join(NAME))];
    let Some(path) = places.into_iter().flatten().find(|path| path.is_file()) else { return Ok(Known::new()) };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let entries = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let entry = |(number, line): (usize, &str)| {
        known_difference(line).ok_or_else(|| {
            format!("{}, line {}: a line is `ID ASPECT NUMBER reason`, not `{line}`", path.display(), number + 1)
        })
    };
    entries.map(entry).collect()
}

/// `ID ASPECT NUMBER reason`; a difference without a reason is not known.
fn known_difference(line: &str) -> Option<((String, String), usize)> {
    let mut words = line.split_whitespace();
    let (id, aspect, number) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    words.next()?;
    Some(((id.to_owned(), aspect.to_owned()), number))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    // P2 before P10.
    files.sort_by_key(|path| {
        let name = file_name(path);
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        (digits[..end].parse::<u64>().unwrap_or(u64::MAX), name)
    });
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_difference_has_a_reason() {
        let known = known_difference("P2 api 3 the kubelet batches its status");
        assert_eq!(known, Some((("P2".to_owned(), "api".to_owned()), 3)));
        assert_eq!(known_difference("P2 api 3"), None);
        assert_eq!(known_difference("P2 api three reasons"), None);
    }

    #[test]
    fn more_differences_than_known_fail_and_order_never_does() {
        let known = Known::from([(("X".to_owned(), "api".to_owned()), 1)]);
        let aspect = |name, differences: usize| Aspect {
            name,
            matched: 1,
            total: 1 + differences,
            differences: vec!["d".to_owned(); differences],
            remarks: Vec::new(),
        };
        let mut report = Report::default();
        report.aspect("X", &aspect("api", 1), &known);
        report.aspect("X", &aspect(INFORMATION, 9), &known);
        assert!(report.failures.is_empty());
        report.aspect("X", &aspect("api", 2), &known);
        report.aspect("Y", &aspect("api", 1), &known);
        assert_eq!(report.failures.len(), 2, "{:?}", report.failures);
        assert!(report.lines.contains(&"scenarios/X api matched 1 of 3".to_owned()));
    }
}
