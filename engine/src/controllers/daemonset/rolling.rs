//! Replacing pods of old revisions, a few nodes at a time.
//!
//! Models: kubernetes v1.36.2 pkg/controller/daemon/update.go (rollingUpdate, findUpdatedPodsOnNode, updatedDesiredNodeCounts). Upstream
//! goes through the nodes in random order, here it is that of their names.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::manage::{self, Done};
use super::{Inputs, Place};
use crate::client::routine::{Routine, Step};
use crate::kernel::Instant;
use crate::objects::{Key, Name, Pod};

/// The next step of an update, if there is one.
pub(super) fn update(inputs: &Inputs, hash: &str, routine: &mut Routine<'_>) -> Step<Done> {
    let strategy = inputs.spec.update_strategy.as_ref();
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
        return Ok(Done::default());
    }
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.clone()).unwrap_or_default();
    let wanted = inputs.places.iter().filter(|place| place.wanted).count();
    let surge = share(rolling.max_surge.as_ref(), 0, wanted);
    let unavailable = share(rolling.max_unavailable.as_ref(), 1, wanted);
    let now = routine.now();
    let (create, delete) = if surge == 0 {
        (Vec::new(), in_place(inputs, hash, unavailable.max(1), now))
    } else {
        beside(inputs, hash, surge, now)
    };
    manage::change(inputs, hash, create, delete, routine)
}

/// A number of nodes, or a share of `all`, rounded up.
fn share(bound: Option<&IntOrString>, default: usize, all: usize) -> usize {
    match bound {
        None => default,
        Some(IntOrString::Int(number)) => usize::try_from(*number).unwrap_or(0),
        Some(IntOrString::String(text)) => {
            let percent = text.trim_end_matches('%').parse::<usize>().unwrap_or(0);
            (all * percent).div_ceil(100)
        }
    }
}

/// The new and the old pod of a node; `None` if it has several of a kind.
fn sides<'a>(inputs: &'a Inputs, place: &Place, hash: &str) -> Option<(Option<&'a Pod>, Option<&'a Pod>)> {
    let (mut new, mut old) = (None, None);
    for pod in inputs.pods_on(place).filter(|pod| !pod.meta.deleting()) {
        let side = if inputs.updated(pod, hash) { &mut new } else { &mut old };
        if side.replace(pod).is_some() {
            return None;
        }
    }
    Some((new, old))
}

/// Nodes that have or are to have pods.
fn nodes(inputs: &Inputs) -> impl Iterator<Item = &Place> {
    inputs.places.iter().filter(|place| place.wanted && !place.pods.is_empty())
}

/// Which old pods go, so that not too many nodes are without.
fn in_place(inputs: &Inputs, hash: &str, most: usize, now: Instant) -> Vec<Key> {
    let available = |pod: &Pod| pod.available(inputs.min_ready(), now);
    let (mut lacking, mut free, mut candidates) = (0, Vec::new(), Vec::new());
    for place in nodes(inputs) {
        match sides(inputs, place, hash) {
            None | Some((None, None) | (Some(_), Some(_))) => lacking += 1,
            Some((Some(new), None)) => lacking += usize::from(!available(new)),
            Some((None, Some(old))) if !available(old) => free.push(old.meta.key()),
            Some((None, Some(old))) => candidates.push(old.meta.key()),
        }
    }
    free.extend(candidates.into_iter().take(most.saturating_sub(lacking)));
    free
}

/// Which nodes get a new pod beside the old one, and which old ones go.
fn beside(inputs: &Inputs, hash: &str, most: usize, now: Instant) -> (Vec<Name>, Vec<Key>) {
    let available = |pod: &Pod| pod.available(inputs.min_ready(), now);
    let (mut surging, mut free, mut candidates, mut gone) = (0, Vec::new(), Vec::new(), Vec::new());
    for place in nodes(inputs) {
        match sides(inputs, place, hash) {
            None => surging += 1,
            Some((_, None)) => {}
            Some((None, Some(old))) if !available(old) => free.push(place.node.clone()),
            Some((None, Some(_))) => candidates.push(place.node.clone()),
            Some((Some(new), Some(_))) if !available(new) => surging += 1,
            Some((Some(_), Some(old))) => gone.push(old.meta.key()),
        }
    }
    free.extend(candidates.into_iter().take(most.saturating_sub(surging)));
    (free, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up() {
        let percent = |text: &str, all| share(Some(&IntOrString::String(text.to_owned())), 1, all);
        assert_eq!([percent("10%", 5), percent("10%", 11), percent("0%", 5)], [1, 2, 0]);
        assert_eq!([share(None, 1, 5), share(Some(&IntOrString::Int(3)), 1, 5)], [1, 3]);
    }
}
