//! "Did you mean …?": the nearest of the words that would have been right.

/// The candidate nearest to `word`, if one is near enough to be what was meant; the first one on a tie.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let allowed = match word.chars().count() {
        0 => return None,
        1..=3 => 1,
        4..=6 => 2,
        length => length / 3,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = match candidate.to_lowercase() {
            same if same == lower => 0,
            other if without_joints(&other) == without_joints(&lower) => 1,
            other => distance(&lower, &other),
        };
        // A word that shares nothing with the candidate is not a slip of the finger.
        let related = distance < lower.chars().count().max(1);
        if candidate != word && related && distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `` did you mean `x`? `` for the nearest candidate.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

fn without_joints(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | '.')).collect()
}

/// Edits between two words: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut table: Vec<usize> = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i * width + j] = match (i, j) {
                (0, j) => j,
                (i, 0) => i,
                (i, j) => {
                    let replaced = table[(i - 1) * width + j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let shifted = table[(i - 1) * width + j].min(table[i * width + j - 1]) + 1;
                    let swapped = match i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        true => table[(i - 2) * width + j - 2] + 1,
                        false => usize::MAX,
                    };
                    replaced.min(shifted).min(swapped)
                }
            };
        }
    }
    table[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["run_for", "run_until", "expect", "expect_within", "pods", "kubectl"];

    #[test]
    fn slips_find_their_word() {
        for (slip, meant) in [
            ("run_fro", "run_for"),
            ("runfor", "run_for"),
            ("expext", "expect"),
            ("Pods", "pods"),
            ("kubctl", "kubectl"),
        ] {
            assert_eq!(closest(slip, NAMES), Some(meant), "{slip}");
        }
    }

    #[test]
    fn a_different_word_finds_nothing() {
        assert_eq!(closest("deploy_everything", NAMES), None);
        assert_eq!(closest("xy", NAMES), None);
        assert_eq!(closest("", NAMES), None);
        assert_eq!(did_you_mean("exepct", NAMES).as_deref(), Some("did you mean `expect`?"));
    }
}
