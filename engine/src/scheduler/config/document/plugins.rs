//! Which plugins a profile runs at which point, from what the document enables and disables.

use serde::Deserialize;

use super::{ConfigurationError, DEFAULT_PLUGINS, Plugin, Profile, Result, fail};
use crate::scheduler::framework::Point;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct PluginsDocument {
    multi_point: PluginSet,
    pre_enqueue: PluginSet,
    queue_sort: PluginSet,
    pre_filter: PluginSet,
    filter: PluginSet,
    post_filter: PluginSet,
    pre_score: PluginSet,
    score: PluginSet,
    reserve: PluginSet,
    permit: PluginSet,
    pre_bind: PluginSet,
    bind: PluginSet,
    post_bind: PluginSet,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PluginSet {
    enabled: Vec<Entry>,
    disabled: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    weight: i64,
}

/// A plugin and its weight; 0: not given.
type Weighted = (Plugin, i64);

impl PluginsDocument {
    /// The profile's plugins; its name and arguments are the default ones.
    pub(super) fn profile(&self, path: &str) -> Result<Profile> {
        let everywhere = merge(&self.multi_point, &format!("{path}.multiPoint"))?;
        for (set, point) in [
            (&self.queue_sort, "queueSort"),
            (&self.reserve, "reserve"),
            (&self.permit, "permit"),
            (&self.pre_bind, "preBind"),
            (&self.bind, "bind"),
            (&self.post_bind, "postBind"),
        ] {
            known(set, &format!("{path}.{point}"), None)?;
        }
        let at = |set: &PluginSet, point, name: &str| expand(&everywhere, set, point, &format!("{path}.{name}"));
        let filters = at(&self.filter, Point::Filter, "filter")?;
        let prepared = at(&self.pre_filter, Point::PreFilter, "preFilter")?;
        check_prepared(&filters, &prepared, Point::PreFilter, &format!("{path}.preFilter"))?;
        let scores = at(&self.score, Point::Score, "score")?;
        let weighed = at(&self.pre_score, Point::PreScore, "preScore")?;
        check_prepared(&scores, &weighed, Point::PreScore, &format!("{path}.preScore"))?;
        let weight = |(plugin, given): Weighted| {
            let general = everywhere.iter().find(|(other, _)| *other == plugin).map_or(0, |(_, weight)| *weight);
            let explicit = self.score.enabled.iter().any(|entry| entry.name == plugin.name());
            (plugin, if explicit { given } else { general }.max(1))
        };
        let held = at(&self.pre_enqueue, Point::PreEnqueue, "preEnqueue")?;
        let rescue = at(&self.post_filter, Point::PostFilter, "postFilter")?;
        Ok(Profile {
            own: Default::default(),
            filters: filters.into_iter().map(|(plugin, _)| plugin).collect(),
            scores: scores.into_iter().map(weight).collect(),
            gates: held.iter().any(|(plugin, _)| *plugin == Plugin::SchedulingGates),
            claims: rescue.iter().any(|(plugin, _)| *plugin == Plugin::DynamicResources),
            preempts: rescue.iter().any(|(plugin, _)| *plugin == Plugin::DefaultPreemption),
            ..Profile::default()
        })
    }
}

/// The default plugins as the document changes them for all points.
fn merge(set: &PluginSet, path: &str) -> Result<Vec<Weighted>> {
    let own = known(set, path, None)?;
    let mut merged = Vec::new();
    for (plugin, weight) in DEFAULT_PLUGINS.into_iter().filter(|(plugin, _)| !set.disables(*plugin)) {
        merged.push(own.iter().find(|(other, _)| *other == plugin).copied().unwrap_or((plugin, weight)));
    }
    for entry in own {
        if !merged.iter().any(|(plugin, _)| *plugin == entry.0) {
            merged.push(entry);
        }
    }
    Ok(merged)
}

/// The plugins at one point: those of all points that it names again, in its order, then the other ones of all points,
/// then its own.
fn expand(everywhere: &[Weighted], set: &PluginSet, point: Point, path: &str) -> Result<Vec<Weighted>> {
    let own = known(set, path, Some(point))?;
    let named = |list: &[Weighted], plugin| list.iter().any(|(other, _)| *other == plugin);
    let all_off = set.disabled.iter().any(|entry| entry.name == "*");
    let general: Vec<Weighted> = everywhere
        .iter()
        .copied()
        .filter(|(plugin, _)| plugin.takes_part(point) && !set.disables(*plugin) && !named(&own, *plugin))
        .collect();
    let again = own.iter().copied().filter(|(plugin, _)| !all_off && named(everywhere, *plugin));
    let more = own.iter().copied().filter(|(plugin, _)| all_off || !named(everywhere, *plugin));
    Ok(again.chain(general).chain(more).collect())
}

impl PluginSet {
    fn disables(&self, plugin: Plugin) -> bool {
        self.disabled.iter().any(|entry| entry.name == "*" || entry.name == plugin.name())
    }
}

/// The plugins a set enables, which must exist and take part in the point.
fn known(set: &PluginSet, path: &str, point: Option<Point>) -> Result<Vec<Weighted>> {
    for (place, entry) in set.disabled.iter().enumerate().filter(|(_, entry)| entry.name != "*") {
        find(&entry.name, &format!("{path}.disabled[{place}].name"))?;
    }
    let entry = |(place, entry): (usize, &Entry)| {
        let path = format!("{path}.enabled[{place}]");
        let plugin = find(&entry.name, &format!("{path}.name"))?;
        if point.is_some_and(|point| !plugin.takes_part(point)) {
            return Err(fail(&format!("{path}.name"), format!("{} does not take part here", entry.name)));
        }
        if entry.weight < 0 {
            return Err(fail(&format!("{path}.weight"), format!("{} is negative", entry.weight)));
        }
        Ok((plugin, entry.weight))
    };
    set.enabled.iter().enumerate().map(entry).collect()
}

fn find(name: &str, path: &str) -> std::result::Result<Plugin, ConfigurationError> {
    Plugin::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = DEFAULT_PLUGINS.iter().map(|(plugin, _)| plugin.name()).collect();
        fail(path, format!("there is no plugin {name:?}; there are {}", names.join(", ")))
    })
}

/// A plugin that works out things first must be enabled there too.
fn check_prepared(running: &[Weighted], prepared: &[Weighted], point: Point, path: &str) -> Result<()> {
    let lacks =
        |(plugin, _): &&Weighted| plugin.takes_part(point) && !prepared.iter().any(|(other, _)| other == plugin);
    match running.iter().find(lacks) {
        Some((plugin, _)) => Err(fail(path, format!("{} is disabled here but runs after it", plugin.name()))),
        None => Ok(()),
    }
}
