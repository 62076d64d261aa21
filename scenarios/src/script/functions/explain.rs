//! Why a pod is where it is: the scheduler's decisions about it, from the trace.

use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::{Call, Function, Group, Receiver};
use crate::explaining::{of_run, pod_name};
use crate::transcript::Kind;
use rhai::{Array, Dynamic, Map};
use wavetank_engine::trace::TraceLevel;
use wavetank_reports::explanation::{Explanation, Score, text};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "explain",
    group: Group::Objects,
    signatures: &[
        "explain(\"pod/NAME\")",
        "explain(\"pod/NAME\", namespace)",
        "explain(\"pod/NAME\", namespace, attempt)",
    ],
    summary: "Why the scheduler put a pod where it is, or why nowhere: prints which filter refused which nodes, how the plugins \
        rate the others (each rating times its weight) and what preemption did, and returns all of it as a map: `node`, `message`, \
        `attempt`, `attempts`, `woken`, `cause`, `scheduler`, `nodes`, `evaluated`, `fitting`; `scores` (`node`, `total` and one \
        number per plugin, the best first), `rejected` (`plugin`, `reasons`, `count`, `nodes`), `nominated`, `victims`. Without an \
        attempt it is the last one. In clusters of more than 100 nodes the 20 best nodes and 20 of each reason are named.",
    example: "let why = explain(\"pod/web\");\nexpect(why.scores[0].total >= why.scores[1].total, \"the best node won\");",
    receiver: Receiver::Cluster,
    arity: 1..=3,
    run: explain,
}];

fn explain(call: &Call<'_>) -> Fallible<Dynamic> {
    let what = call.text(0, "pod")?;
    let name = pod_name(&what).map_err(Problem::new)?;
    let namespace = if call.args.len() > 1 { call.text(1, "namespace")? } else { "default".into() };
    let wanted = match call.args.get(2) {
        None => None,
        Some(number) => match number.as_int().ok().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Some(number),
            None => return Err(call.wrong("attempt", "a whole number from 1", number).into()),
        },
    };
    let mut host = borrow(call.host);
    let session = host.session()?;
    let attempts = of_run(session, &namespace, name).map_err(Problem::new)?;
    let found = match wanted {
        None => attempts.last(),
        Some(number) => attempts.iter().find(|why| why.attempt == number),
    };
    let Some(why) = found else {
        return Err(nothing(session.world().setup().trace, name, &namespace, &attempts).into());
    };
    let shown = match text::tables(why) {
        tables if tables.is_empty() => why.message.clone(),
        tables if why.message.is_empty() => tables,
        tables => format!("{}\n{tables}", why.message),
    };
    let map = to_map(why, attempts.len());
    host.say(Kind::Output, shown.trim_end_matches('\n'))?;
    Ok(map.into())
}

fn nothing(trace: TraceLevel, name: &str, namespace: &str, attempts: &[Explanation]) -> Problem {
    if trace == TraceLevel::FingerprintOnly {
        return Problem::new("`explain` reads the trace, and this cluster keeps none")
            .hint("leave `trace: \"fingerprint\"` out of the map given to `cluster`");
    }
    match attempts.len() {
        0 => Problem::new(format!("the scheduler has not decided about a pod {name} in namespace {namespace} so far")),
        count => Problem::new(format!("the scheduler has tried the pod {name} {count} times; attempts count from 1")),
    }
}

fn to_map(why: &Explanation, attempts: usize) -> Map {
    let text = |text: &str| Dynamic::from(text.to_owned());
    let maybe = |text: &Option<String>| text.as_ref().map_or(Dynamic::UNIT, |text| text.clone().into());
    let texts = |list: &[String]| list.iter().map(|text| Dynamic::from(text.clone())).collect::<Array>().into();
    let number = |number: u32| Dynamic::from(i64::from(number));
    let mut scores: Vec<&Score> = why.scores.iter().collect();
    scores.sort_by_key(|score| std::cmp::Reverse(score.total));
    let scores = scores.into_iter().map(|score| {
        let mut row = Map::new();
        row.insert("node".into(), text(&score.node));
        row.insert("total".into(), score.total.into());
        for (plugin, rating) in why.plugins.iter().zip(&score.normalized) {
            row.insert(plugin.plugin.as_str().into(), (*rating).into());
        }
        Dynamic::from(row)
    });
    let rejected = why.rejected.iter().map(|sort| {
        let mut row = Map::new();
        row.insert("plugin".into(), text(&sort.plugin));
        row.insert("reasons".into(), texts(&sort.reasons));
        row.insert("unresolvable".into(), sort.unresolvable.into());
        row.insert("count".into(), number(sort.count));
        row.insert("nodes".into(), texts(&sort.nodes));
        Dynamic::from(row)
    });
    let fields = [
        ("node", maybe(&why.node)),
        ("message", text(&why.message)),
        ("attempt", number(why.attempt)),
        ("attempts", (attempts as i64).into()),
        ("woken", text(&why.woken)),
        ("cause", maybe(&why.cause.as_ref().map(|cause| cause.text.clone()))),
        ("scheduler", text(&why.scheduler)),
        ("nodes", number(why.nodes)),
        ("evaluated", number(why.evaluated)),
        ("fitting", number(why.fitting)),
        ("scores", scores.collect::<Array>().into()),
        ("rejected", rejected.collect::<Array>().into()),
        ("nominated", maybe(&why.nominated)),
        ("victims", texts(&why.victims)),
    ];
    fields.into_iter().map(|(name, value)| (name.into(), value)).collect()
}
