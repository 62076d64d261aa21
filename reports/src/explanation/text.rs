//! An explanation for a terminal or a transcript.

use super::model::{Explanation, Rejected, counted, instant};
use crate::table::{Align, Table};

/// Names of nodes on a line; the rest is counted.
const NAMED: usize = 8;

/// The attempts of a pod, a line each.
pub fn attempts(all: &[Explanation]) -> String {
    let mut table = Table::new([
        ("ATTEMPT", Align::Right),
        ("AT", Align::Right),
        ("SCHEDULER", Align::Left),
        ("WOKEN BY", Align::Left),
        ("OUTCOME", Align::Left),
    ]);
    for why in all {
        let woken = match &why.cause {
            Some(cause) => format!("{}: {}", why.woken, cause.text),
            None => why.woken.clone(),
        };
        table.row([why.attempt.to_string(), instant(why.t), why.scheduler.clone(), woken, why.outcome()]);
    }
    table.to_string()
}

/// One attempt: who was refused by which filter, how the others were rated, what preemption came to.
pub fn tables(why: &Explanation) -> String {
    let mut out = String::new();
    if let Some(refused) = &why.refused {
        out += &format!("{} refuses the pod on every node: {}\n", refused.plugin, refused.reason);
    }
    out += &scores(why);
    if !why.rejected.is_empty() {
        let mut table = Table::new([
            ("FILTER", Align::Left),
            ("NODES", Align::Right),
            ("REASON", Align::Left),
            ("WHICH", Align::Left),
        ]);
        for sort in &why.rejected {
            let which = named(&sort.nodes, sort.count);
            table.row([sort.plugin.clone(), sort.count.to_string(), reason(sort), which]);
        }
        out += &table.to_string();
    }
    out + &preemption(why)
}

/// Everything about one attempt, with a heading.
pub fn whole(why: &Explanation) -> String {
    let mut out = format!("pod/{} at {}: {}\n", why.pod, instant(why.t), why.outcome());
    let mut line = |name: &str, value: String| out += &format!("{name:<11}{value}\n");
    if why.attempt > 0 {
        line("attempt", format!("{} of {}", why.attempt, why.scheduler));
        let cause = why.cause.as_ref().map(|cause| format!(": {} at {}", cause.text, instant(cause.t)));
        line("woken by", format!("{}{}", why.woken, cause.unwrap_or_default()));
    }
    line("nodes", why.reach());
    if !why.message.is_empty() {
        line("message", why.message.clone());
    }
    out.push('\n');
    out + &tables(why)
}

fn scores(why: &Explanation) -> String {
    let chosen = why.node.as_deref();
    if why.plugins.is_empty() {
        return match (chosen, why.scores.len()) {
            (Some(node), 0..=1) => format!("{node}: the only node that fits; no scores were needed\n"),
            _ => String::new(),
        };
    }
    let telling = why.telling();
    let name = |place: &usize| why.plugins.get(*place).map_or("", |plugin| plugin.plugin.as_str());
    let columns = telling.iter().map(|place| (name(place), Align::Right));
    let ends = [("TOTAL", Align::Right), ("", Align::Left)];
    let mut table = Table::new([("NODE", Align::Left)].into_iter().chain(columns).chain(ends));
    for score in &why.scores {
        let cells = telling.iter().map(|place| {
            let weight = why.plugins.get(*place).map_or(1, |plugin| plugin.weight);
            match (score.normalized.get(*place), weight) {
                (None, _) => String::new(),
                (Some(rating), 1) => rating.to_string(),
                (Some(rating), weight) => format!("{weight} x {rating}"),
            }
        });
        let mark = if Some(score.node.as_str()) == chosen { "<- chosen" } else { "" };
        let ends = [score.total.to_string(), mark.to_owned()];
        table.row([score.node.clone()].into_iter().chain(cells).chain(ends));
    }
    let mut out = table.to_string();
    let more = why.fitting.saturating_sub(why.scores.len() as u32);
    if more > 0 {
        out += &format!("and {} that fit and are rated no better\n", counted(more, "other node", "other nodes"));
    }
    match why.silent() {
        silent if silent.is_empty() => out,
        silent => out + &format!("0 everywhere: {}\n", silent.join(", ")),
    }
}

fn reason(sort: &Rejected) -> String {
    sort.reasons.join(", ")
}

fn preemption(why: &Explanation) -> String {
    let mut out = String::new();
    if let Some(node) = &why.nominated {
        out += &format!("preemption: {node} is promised; these have to go: {}\n", why.victims.join(", "));
    }
    if !why.candidates.is_empty() {
        let mut table = Table::new([
            ("PREEMPTION ON", Align::Left),
            ("VICTIMS", Align::Right),
            ("HIGHEST PRIORITY", Align::Right),
            ("BUDGETS BROKEN", Align::Right),
            ("", Align::Left),
        ]);
        for run in &why.candidates {
            let mark = if Some(&run.node) == why.nominated.as_ref() { "<- chosen" } else { "" };
            let numbers = [run.victims.to_string(), run.highest.to_string(), run.violations.to_string()];
            table.row([run.node.clone()].into_iter().chain(numbers).chain([mark.to_owned()]));
        }
        out += &table.to_string();
    }
    for sort in &why.in_vain {
        let (count, which) = (counted(sort.count, "node", "nodes"), named(&sort.nodes, sort.count));
        out += &format!("preemption in vain on {count} ({which}): {}\n", sort.reasons.join(", "));
    }
    out
}

/// The first names, and how many more there are.
pub(super) fn named(nodes: &[String], count: u32) -> String {
    let shown = nodes.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match count.saturating_sub(shown.len() as u32) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Cause, DryRun, InVain, PluginWeight, Score};
    use super::*;

    fn plugin(name: &str, weight: i64) -> PluginWeight {
        PluginWeight { plugin: name.into(), weight }
    }

    fn score(node: &str, normalized: &[i64], total: i64) -> Score {
        Score { node: node.into(), total, raw: normalized.to_vec(), normalized: normalized.to_vec() }
    }

    #[test]
    fn the_table_shows_what_tells_nodes_apart() {
        let why = Explanation {
            pod: "default/web".into(),
            t: 1_500_000_000,
            node: Some("b".into()),
            scheduler: "default-scheduler".into(),
            attempt: 2,
            woken: "NodeAdd (hint of NodeResourcesFit)".into(),
            cause: Some(Cause { t: 1_400_000_000, text: "Node b created".into() }),
            nodes: 500,
            evaluated: 300,
            fitting: 30,
            plugins: vec![plugin("TaintToleration", 3), plugin("NodeResourcesFit", 1), plugin("ImageLocality", 1)],
            scores: vec![score("b", &[100, 60, 0], 360), score("a", &[100, 50, 0], 350)],
            rejected: vec![Rejected {
                plugin: "NodeResourcesFit".into(),
                reasons: vec!["Insufficient cpu".into(), "Too many pods".into()],
                count: 270,
                nodes: vec!["c".into(), "d".into()],
                ..Rejected::default()
            }],
            ..Explanation::default()
        };
        let expected = "\
pod/default/web at 1.500000s: node b
attempt    2 of default-scheduler
woken by   NodeAdd (hint of NodeResourcesFit): Node b created at 1.400000s
nodes      500 nodes: 300 looked at, 30 fit

NODE  TaintToleration  NodeResourcesFit  TOTAL
b             3 x 100                60    360  <- chosen
a             3 x 100                50    350
and 28 other nodes that fit and are rated no better
0 everywhere: ImageLocality
FILTER            NODES  REASON                           WHICH
NodeResourcesFit    270  Insufficient cpu, Too many pods  c, d and 268 more
";
        assert_eq!(whole(&why), expected);
    }

    #[test]
    fn preemption_names_promise_victims_and_alternatives() {
        let run = |node: &str, victims| DryRun { node: node.into(), victims, violations: 0, highest: 5 };
        let why = Explanation {
            nominated: Some("a".into()),
            victims: vec!["default/x".into(), "default/y".into()],
            candidates: vec![run("a", 2), run("b", 3)],
            in_vain: vec![InVain { reasons: vec!["Insufficient cpu".into()], count: 1, nodes: vec!["c".into()] }],
            ..Explanation::default()
        };
        let expected = "\
preemption: a is promised; these have to go: default/x, default/y
PREEMPTION ON  VICTIMS  HIGHEST PRIORITY  BUDGETS BROKEN
a                    2                 5               0  <- chosen
b                    3                 5               0
preemption in vain on 1 node (c): Insufficient cpu
";
        assert_eq!(tables(&why), expected);
        assert_eq!(why.outcome(), "no node; promised a once 2 pods are gone");
    }

    #[test]
    fn attempts_are_listed_with_what_woke_the_pod() {
        let first = Explanation { attempt: 1, woken: "new pod".into(), ..Explanation::default() };
        let text = attempts(&[first]);
        assert!(text.contains("      1  0.000000s             new pod   no node\n"), "{text}");
    }
}
