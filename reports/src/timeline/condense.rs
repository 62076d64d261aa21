//! Too many lanes: the busiest of a group stay, the rest share one.
//!
//! A cluster of a thousand nodes has a thousand kubelets; a picture has not.

use std::borrow::Cow;

use super::model::{Lane, LaneGroup, TickKind, Timeline};

/// Most lanes of a group.
const LANES: usize = 40;

/// The timeline with at most [`LANES`] lanes a group.
pub(super) fn condensed(timeline: &Timeline) -> Cow<'_, Timeline> {
    let groups = [LaneGroup::Client, LaneGroup::ControlPlane, LaneGroup::Controller, LaneGroup::Node];
    let count = |group: LaneGroup| timeline.lanes.iter().filter(|lane| lane.group == group).count();
    if groups.into_iter().all(|group| count(group) <= LANES) {
        return Cow::Borrowed(timeline);
    }
    let mut lanes = Vec::new();
    for group in groups {
        lanes.extend(condensed_group(timeline.lanes.iter().filter(|lane| lane.group == group).collect(), group));
    }
    Cow::Owned(Timeline { lanes, ..timeline.clone() })
}

fn condensed_group(lanes: Vec<&Lane>, group: LaneGroup) -> Vec<Lane> {
    if lanes.len() <= LANES {
        return lanes.into_iter().cloned().collect();
    }
    let mut busiest: Vec<usize> = (0..lanes.len()).collect();
    busiest.sort_by_key(|&index| (std::cmp::Reverse(interest(lanes[index])), index));
    busiest.truncate(LANES - 1);
    let (mut kept, mut rest) = (Vec::new(), Lane { name: String::new(), group, spans: Vec::new(), ticks: Vec::new() });
    for (index, lane) in lanes.iter().enumerate() {
        if busiest.contains(&index) {
            kept.push((*lane).clone());
        } else {
            rest.spans.extend(lane.spans.iter().cloned());
            rest.ticks.extend(lane.ticks.iter().cloned());
        }
    }
    rest.name = format!("{} others", lanes.len() - kept.len());
    kept.push(rest);
    kept
}

/// How much a reader would miss a lane: failures count far more than the rest.
fn interest(lane: &Lane) -> usize {
    let failures = lane.ticks.iter().filter(|tick| matches!(tick.kind, TickKind::Error | TickKind::Conflict)).count();
    1000 * failures + lane.spans.len() + lane.ticks.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::model::Tick;

    #[test]
    fn the_busiest_stay_in_order_and_nothing_is_lost() {
        let lane = |index: usize| {
            let ticks = vec![Tick { at: 1, label: String::new(), kind: TickKind::Other }; index % 7];
            Lane { name: format!("kubelet {index}"), group: LaneGroup::Node, spans: Vec::new(), ticks }
        };
        let timeline = Timeline { end: 2, lanes: (0..100).map(lane).collect(), ..Timeline::default() };
        let short = condensed(&timeline);
        assert_eq!((short.lanes.len(), short.lanes[0].name.as_str()), (LANES, "kubelet 4"));
        assert_eq!(short.lanes[LANES - 1].name, "61 others");
        let ticks = |timeline: &Timeline| timeline.lanes.iter().map(|lane| lane.ticks.len()).sum::<usize>();
        assert_eq!(ticks(&short), ticks(&timeline));
    }
}
