//! Why a pod is where it is: the scheduler's last decision about it, from the trace.

use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::{Call, Function, Group, Receiver};
use crate::transcript::Kind;
use rhai::{Array, Dynamic, Map};
use wavetank_engine::trace::note::Scheduling;
use wavetank_reports::{Align, Table};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "explain",
    group: Group::Objects,
    signatures: &["explain(\"pod/NAME\")", "explain(\"pod/NAME\", namespace)"],
    summary: "Why the scheduler put a pod where it is, or why nowhere: prints the scores (each plugin's, times its weight) of every \
        node that fits, and returns them as a map with `node`, `message` and `scores` (`node`, `total` and one number per plugin).",
    example: "let why = explain(\"pod/web\");\nexpect(why.scores[0].total >= why.scores[1].total, \"the best node won\");",
    receiver: Receiver::Cluster,
    arity: 1..=2,
    run: explain,
}];

fn explain(call: &Call<'_>) -> Fallible<Dynamic> {
    let what = call.text(0, "pod")?;
    let namespace = if call.args.len() > 1 { call.text(1, "namespace")? } else { "default".into() };
    let name = what.split_once('/').map_or(&*what, |(_, name)| name);
    let mut host = borrow(call.host);
    let decision = host.session()?.decision(&namespace, name).ok_or_else(|| {
        let message = format!("the scheduler has not decided about a pod {name} in namespace {namespace} so far");
        Problem::new(message)
    })?;
    host.say(Kind::Output, table(&decision).trim_end_matches('\n'))?;
    Ok(to_map(&decision).into())
}

fn table(decision: &Scheduling) -> String {
    let Some(node) = &decision.node else { return decision.message.to_string() };
    let Some(first) = decision.scores.first() else {
        return format!("{node}: the only node that fits; no scores were needed");
    };
    let columns =
        [("NODE", Align::Left)].into_iter().chain(first.plugins.iter().map(|(name, _, _)| (*name, Align::Right)));
    let mut table = Table::new(columns.chain([("TOTAL", Align::Right), ("", Align::Left)]));
    for score in &decision.scores {
        let plugins = score.plugins.iter().map(|(_, value, weight)| match weight {
            1 => value.to_string(),
            weight => format!("{weight} x {value}"),
        });
        let chosen = if score.node == *node { "<- chosen" } else { "" };
        let ends = [score.total.to_string(), chosen.to_owned()];
        table.row([score.node.to_string()].into_iter().chain(plugins).chain(ends));
    }
    table.to_string()
}

fn to_map(decision: &Scheduling) -> Map {
    let mut map = Map::new();
    map.insert("node".into(), decision.node.as_ref().map_or(Dynamic::UNIT, |node| node.to_string().into()));
    map.insert("message".into(), decision.message.to_string().into());
    let mut scores: Vec<_> = decision.scores.iter().collect();
    scores.sort_by_key(|score| std::cmp::Reverse(score.total));
    let scores = scores.into_iter().map(|score| {
        let mut row = Map::new();
        row.insert("node".into(), score.node.to_string().into());
        row.insert("total".into(), score.total.into());
        for (name, value, _) in &score.plugins {
            row.insert((*name).into(), (*value).into());
        }
        Dynamic::from(row)
    });
    map.insert("scores".into(), scores.collect::<Array>().into());
    map
}
