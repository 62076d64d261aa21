//! The fields of a scheduler's decision.

use super::Json;
use crate::scheduler::explain::Explanation;
use crate::trace::note::Scheduling;

pub(super) fn fields(scheduling: &Scheduling, json: &mut Json) {
    if let Some(node) = &scheduling.node {
        json.text("node", node);
    }
    json.text_if_any("message", &scheduling.message);
    json.value("evaluated", scheduling.evaluated);
    if let Some(why) = &scheduling.explanation {
        explanation(why, json);
    }
}

fn explanation(why: &Explanation, json: &mut Json) {
    json.text("scheduler", &why.profile);
    json.value("attempt", why.attempt);
    json.text("woken", &why.woken.text());
    json.value("nodes", why.nodes);
    json.value("fitting", why.fitting);
    if let Some((plugin, reason)) = &why.refused {
        json.nested("refused", |json| {
            json.text("plugin", plugin);
            json.text("reason", reason);
        });
    }
    if !why.plugins.is_empty() {
        json.array("plugins", &why.plugins, |(plugin, weight), json| {
            json.text("plugin", plugin);
            json.value("weight", weight);
        });
    }
    if !why.scores.is_empty() {
        json.array("scores", &why.scores, |score, json| {
            json.text("node", &score.node);
            json.value("total", score.total);
            if !score.raw.is_empty() {
                json.numbers("raw", &score.raw);
                json.numbers("normalized", &score.normalized);
            }
        });
    }
    if !why.rejected.is_empty() {
        json.array("rejected", &why.rejected, |sort, json| {
            json.text("plugin", &sort.plugin);
            json.texts("reasons", &sort.reasons);
            json.value("unresolvable", sort.unresolvable);
            json.value("count", sort.count);
            json.texts("nodes", &sort.nodes);
        });
    }
    preemption(why, json);
}

fn preemption(why: &Explanation, json: &mut Json) {
    if let Some(node) = &why.nominated {
        json.text("nominated", node);
        json.texts("victims", &why.victims);
    }
    if !why.candidates.is_empty() {
        json.array("candidates", &why.candidates, |run, json| {
            json.text("node", &run.node);
            json.value("victims", run.victims);
            json.value("violations", run.violations);
            json.value("highest", run.highest);
        });
    }
    if !why.in_vain.is_empty() {
        json.array("in_vain", &why.in_vain, |sort, json| {
            json.texts("reasons", &sort.reasons);
            json.value("count", sort.count);
            json.texts("nodes", &sort.nodes);
        });
    }
}
