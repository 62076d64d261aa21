//! One wording for both sides: what is free to differ between two runs is replaced.
//!
//! Replaced are random names (by order of creation, see `FORMAT.md`; the numbers of pods of one owner are dropped, as those pods
//! are interchangeable), addresses, UIDs and other long hexadecimal numbers, hosts in leaders' names, ages, instants, and the names
//! of nodes that nothing tells apart.

use std::collections::BTreeMap;

use serde_json::Value;

use super::format::Scenario;

/// Which durations are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durations {
    /// All: they are ages.
    All,
    /// Those that were measured (`in 2.001s`), not those that were set (`back-off 10s`).
    Measured,
}

/// The replacements of one side.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    /// Whole words.
    words: BTreeMap<String, String>,
}

impl Wording {
    /// The wording of a recorded file, which already has placeholders.
    pub fn recorded(scenario: &Scenario) -> Self {
        let mut words = node_words(scenario);
        words.extend(renumbered(scenario.placeholders.keys()));
        Wording { words }
    }

    /// The wording of our run: `names` maps real names to placeholders.
    pub fn played(scenario: &Scenario, names: &BTreeMap<String, String>) -> Self {
        let mut words = node_words(scenario);
        words.extend(names.clone());
        Wording { words }
    }

    /// `text` with everything replaced.
    pub fn of(&self, text: &str, durations: Durations) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = "";
        while let Some(first) = rest.chars().next() {
            if let Some(after) = instant(rest) {
                result.push_str("<time>");
                rest = after;
                continue;
            }
            if !word_character(first) {
                result.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let end = rest.find(|c| !word_character(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            // A full stop ends a sentence more often than a name.
            let bare = word.trim_end_matches('.');
            let measured = bare.contains('.') || before == "in" || after.starts_with(" including");
            if bare.ends_with('_') && after.starts_with("<uid>") {
                result.push_str("<host>_");
            } else if is_duration(bare) && (durations == Durations::All || measured) {
                result.push_str("<duration>");
            } else {
                result.push_str(&self.word(bare));
            }
            result.push_str(&word[bare.len()..]);
            (before, rest) = (word, after);
        }
        result
    }

    /// The name of an object.
    pub fn name(&self, name: &str) -> String {
        self.word(name)
    }

    /// A value with all texts replaced; durations stay.
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.of(text, Durations::Measured)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), self.value(value))).collect(),
            other => other.clone(),
        }
    }

    fn word(&self, word: &str) -> String {
        if let Some(other) = self.words.get(word) {
            return unnumbered(other);
        }
        if is_address(word) {
            return "<ip>".to_owned();
        }
        if is_uid(word) {
            return "<uid>".to_owned();
        }
        if let Some((_, uid)) = word.rsplit_once('_')
            && is_uid(uid)
        {
            return "<host>_<uid>".to_owned();
        }
        if word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return "<hex>".to_owned();
        }
        if let Some(random) = word.strip_prefix(TOKEN_VOLUME)
            && random.len() == 5
        {
            return format!("{TOKEN_VOLUME}<random>");
        }
        if let Some((name, hex)) = word.rsplit_once('.')
            && hex.len() >= 8
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return format!("{}.<hex>", self.word(name));
        }
        unnumbered(word)
    }
}

/// The volume of a pod's token has a random name.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// `web-RS1-P3` → `web-RS1-P`: pods of one owner are interchangeable.
fn unnumbered(word: &str) -> String {
    let Some((owner, last)) = word.rsplit_once('-') else { return word.to_owned() };
    let numbered = last.strip_prefix('P').is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
    // A pod that had no placeholder because it was gone before it was seen.
    let random =
        owner.rsplit_once("-RS").is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
            && last.len() == 5;
    if numbered || random { format!("{owner}-P") } else { word.to_owned() }
}

/// Numbers of replica sets and the like count from 1 for each owner, whether or not the recorder counted so.
fn renumbered<'a>(placeholders: impl Iterator<Item = &'a String>) -> BTreeMap<String, String> {
    let mut series: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    let placeholders: Vec<&String> = placeholders.collect();
    for name in &placeholders {
        if let Some((owner, tag, number)) = numbered(name) {
            series.entry((owner, tag)).or_default().push(number);
        }
    }
    let mut words = BTreeMap::new();
    let mut hashes: BTreeMap<String, String> = BTreeMap::new();
    for ((owner, tag), mut numbers) in series {
        numbers.sort_unstable();
        for (rank, number) in numbers.into_iter().enumerate() {
            let rank = rank as u64 + 1;
            if rank != number {
                words.insert(format!("{owner}-{tag}{number}"), format!("{owner}-{tag}{rank}"));
                hashes.insert(format!("{tag}{number}"), format!("{tag}{rank}"));
            }
        }
    }
    // The pods of a renumbered set.
    let changed = words.clone();
    for name in placeholders {
        if let Some((owner, pod)) = name.rsplit_once('-')
            && let Some(other) = changed.get(owner)
        {
            words.insert(name.clone(), format!("{other}-{pod}"));
        }
    }
    words.extend(hashes);
    words
}

/// `web-RS1` → (`web`, `RS`, 1).
fn numbered(name: &str) -> Option<(String, String, u64)> {
    let (owner, last) = name.rsplit_once('-')?;
    let tag = ["RS", "CR", "ES", "T"].into_iter().find(|tag| last.starts_with(tag))?;
    Some((owner.to_owned(), tag.to_owned(), last[tag.len()..].parse().ok()?))
}

/// Nodes of the same make that no step names are interchangeable; they share a word.
fn node_words(scenario: &Scenario) -> BTreeMap<String, String> {
    let named = |node: &str| scenario.steps.iter().any(|step| words_of(&step.command).any(|word| word == node));
    let mut makes: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for (name, node) in scenario.config["nodes"].as_object().into_iter().flatten() {
        if !named(name) {
            makes.entry(make(name, node, &scenario.config["kubelet"])).or_default().push(name);
        }
    }
    makes.retain(|_, names| names.len() > 1);
    let several = makes.len() > 1;
    let words = makes.into_values().enumerate().flat_map(|(n, names)| {
        let word = if several { format!("<node {}>", n + 1) } else { "<node>".to_owned() };
        names.into_iter().map(move |name| (name.clone(), word.clone()))
    });
    words.collect()
}

/// What tells a node from others.
fn make(name: &str, node: &Value, kubelet: &Value) -> String {
    let mut labels = node["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|_, value| value != name);
    }
    let own = kubelet["nodes"].as_array().into_iter().flatten().find(|entry| entry["name"] == name);
    let images = own.map_or(&Value::Null, |entry| &entry["images"]);
    format!("{} {} {labels} {images} {}", node["allocatable"], node["taints"], node["unschedulable"])
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !word_character(c)).filter(|word| !word.is_empty())
}

fn word_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_'
}

fn is_address(word: &str) -> bool {
    word.split('.').count() == 4 && word.split('.').all(|part| part.parse::<u8>().is_ok())
}

fn is_uid(word: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    word.split('-').count() == 5
        && word
            .split('-')
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `12s`, `3m4s`, `2.001s`, `5d`.
fn is_duration(word: &str) -> bool {
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let unit = ["ms", "µs", "s", "m", "h", "d", "y"].into_iter().find(|unit| rest[digits..].starts_with(unit));
        match unit {
            Some(unit) if digits > 0 => rest = &rest[digits + unit.len()..],
            _ => return false,
        }
    }
    !word.is_empty()
}

/// What follows an instant at the start of `text`: `2026-01-01T00:00:12Z`, or `Thu, 01 Jan 2026 00:00:12 +0000`.
fn instant(text: &str) -> Option<&str> {
    if let Some(rest) = fits(text, "0000-00-00T00:00:00") {
        let fraction = rest.strip_prefix('.').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        return fraction.unwrap_or(rest).strip_prefix('Z');
    }
    fits(text, "aaa, 00 aaa 0000 00:00:00 +0000")
}

/// What follows `pattern` in `text`: `0` is a digit, `a` a letter, all else itself.
fn fits<'a>(text: &'a str, pattern: &str) -> Option<&'a str> {
    let head = text.get(..pattern.len())?;
    let fit = head.bytes().zip(pattern.bytes()).all(|(byte, pattern)| match pattern {
        b'0' => byte.is_ascii_digit(),
        b'a' => byte.is_ascii_alphabetic(),
        other => byte == other,
    });
    fit.then(|| &text[pattern.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wording() -> Wording {
        let nodes = json!({"nodes": {"a": {}, "b": {}, "c": {"taints": ["x"]}, "d": {}}});
        let step = super::super::format::Step { command: "kubectl cordon d".into(), ..Default::default() };
        let scenario = Scenario { config: nodes, steps: vec![step], ..Scenario::default() };
        let names = [("web-6f7-x2x4b", "web-RS1-P2"), ("web-6f7", "web-RS1"), ("6f7", "RS1")];
        Wording::played(&scenario, &names.map(|(real, stable)| (real.to_owned(), stable.to_owned())).into())
    }

    #[test]
    fn names_addresses_and_instants_are_replaced() {
        let wording = wording();
        let of = |text| wording.of(text, Durations::All);
        assert_eq!(of("pod/web-6f7-x2x4b on a, b; c and d."), "pod/web-RS1-P on <node>, <node>; c and d.");
        assert_eq!(of("app=web,pod-template-hash=6f7"), "app=web,pod-template-hash=RS1");
        assert_eq!(of("10.244.0.12 1.25.3"), "<ip> 1.25.3");
        assert_eq!(of("at 2026-01-01T00:00:12.000123Z or Thu, 01 Jan 2026 00:00:12 +0000"), "at <time> or <time>");
        assert_eq!(of("web-6f7-x2x4b.18a0c3f2b1d2e3f4"), "web-RS1-P.<hex>");
        assert_eq!(of("web-RS1-P1.<hex> nginx-RS1-rjvp8"), "web-RS1-P.<hex> nginx-RS1-P");
        assert_eq!(of("vm_<uid> leads"), of("m-1_01234567-89ab-cdef-0123-456789abcdef leads"));
        assert_eq!(of("kube-api-access-x2x4b from"), "kube-api-access-<random> from");
    }

    #[test]
    fn only_measured_durations_are_replaced_in_messages() {
        let wording = Wording::default();
        let of = |text| wording.of(text, Durations::Measured);
        assert_eq!(of("pulled in 2s (2s including waiting)."), "pulled in <duration> (<duration> including waiting).");
        assert_eq!(of("in 2.001s (2.001s including"), "in <duration> (<duration> including");
        assert_eq!(of("back-off 10s restarting"), "back-off 10s restarting");
        assert_eq!(wording.of("2 (3m4s ago)", Durations::All), "2 (<duration> ago)");
    }

    #[test]
    fn sets_are_numbered_for_each_owner() {
        let names = ["web-RS1", "api-RS2", "api-RS2-P1", "RS2"].map(str::to_owned);
        let words = renumbered(names.iter());
        assert_eq!(words.get("api-RS2").map(String::as_str), Some("api-RS1"));
        assert_eq!(words.get("api-RS2-P1").map(String::as_str), Some("api-RS1-P1"));
        assert_eq!(words.get("RS2").map(String::as_str), Some("RS1"));
        assert!(!words.contains_key("web-RS1"));
    }
}
