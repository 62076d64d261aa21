//! How many pods each ReplicaSet of a Deployment gets: surge and unavailability, rolling steps, proportional scaling.
//!
//! Pure functions of numbers. What comes out is a plan, a list of [`Scaling`]; the controller turns each into an update
//! of a ReplicaSet's size and of its two annotations `desired-replicas` and `max-replicas`, and into an event if the
//! size changes. Numbers wrap at 32 bits as Go's do.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/{sync,rolling}.go,
//! pkg/controller/deployment/util/deployment_util.go and staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go.
//! Left out: Recreate's wait for old pods, which is no arithmetic.

use std::cmp::Reverse;

use crate::kernel::Instant;

/// A number of pods, or a text that should be a share in percent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound<'a> {
    /// Pods.
    Number(i32),
    /// As written, `25%`.
    Text(&'a str),
}

/// Why a bound has no value; validation keeps all of these out. The texts are those of the controller.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BoundError {
    /// Absent where a default should have been filled in.
    #[error("nil value for IntOrString")]
    Missing,
    /// No `%` at the end.
    #[error("invalid value for IntOrString: invalid type: string is not a percentage")]
    NotPercent,
    /// No number before the `%`.
    #[error("invalid value for IntOrString: invalid value {0:?}: strconv.Atoi: parsing {1:?}: {2}")]
    NotNumber(String, String, &'static str),
}

/// How a Deployment replaces its pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rollout<'a> {
    /// Old ones go before new ones come.
    Recreate,
    /// Old ones go as new ones come.
    RollingUpdate {
        /// How many more than wanted there may be.
        max_surge: Option<Bound<'a>>,
        /// How many fewer than wanted may be available.
        max_unavailable: Option<Bound<'a>>,
    },
}

/// What of a Deployment the arithmetic needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeploymentSize<'a> {
    /// `spec.replicas`.
    pub replicas: i32,
    /// `status.replicas`, stands in for a missing annotation.
    pub status_replicas: i32,
    /// `spec.strategy`.
    pub rollout: Rollout<'a>,
}

/// What of a ReplicaSet the arithmetic needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplicaSetSize<'a> {
    /// Name; decides between sets created in the same second.
    pub name: &'a str,
    /// Creation, in whole seconds as the API server keeps it.
    pub created: Instant,
    /// `spec.replicas`.
    pub replicas: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// Annotation `deployment.kubernetes.io/desired-replicas`.
    pub desired_annotation: Option<&'a str>,
    /// Annotation `deployment.kubernetes.io/max-replicas`.
    pub max_annotation: Option<&'a str>,
}

/// Which ReplicaSet of the Deployment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Which {
    /// The one with the Deployment's template.
    New,
    /// The one at this place in the list of old ones.
    Old(usize),
}

/// One step of a plan: give this ReplicaSet a size (and up-to-date annotations).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scaling {
    /// Whose size.
    pub set: Which,
    /// `spec.replicas` so far.
    pub from: i32,
    /// `spec.replicas` to be; equal to `from` if only the annotations are stale.
    pub to: i32,
}

/// A ReplicaSet reports more available pods than it should have: its status lags behind its spec. The controller gives
/// up this sync and tries again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{step}, got invalid request to scale down {set:?} {from} -> {to}")]
pub struct InvalidScaleDown {
    /// What the controller was about, in its words.
    pub step: &'static str,
    /// Whose size.
    pub set: Which,
    /// `spec.replicas` so far.
    pub from: i32,
    /// The larger size it came to.
    pub to: i32,
}

/// The value of a bound for `total` pods; shares are rounded up or down. Kubernetes: GetScaledValueFromIntOrPercent.
pub fn scaled_value(bound: Option<Bound<'_>>, total: i32, round_up: bool) -> Result<i32, BoundError> {
    let text = match bound.ok_or(BoundError::Missing)? {
        Bound::Number(pods) => return Ok(pods),
        Bound::Text(text) => text,
    };
    let digits = text.strip_suffix('%').ok_or(BoundError::NotPercent)?;
    let percent: i64 = digits.parse().map_err(|error: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let range = matches!(error.kind(), PosOverflow | NegOverflow);
        let why = if range { "value out of range" } else { "invalid syntax" };
        BoundError::NotNumber(text.to_owned(), digits.to_owned(), why)
    })?;
    let hundredths = i128::from(percent) * i128::from(total);
    let value = if round_up { -(-hundredths).div_euclid(100) } else { hundredths.div_euclid(100) };
    Ok(value as i32)
}

/// Surge and unavailability for `desired` pods. If both come to nothing, one pod may be unavailable, so that a rollout
/// can move. Kubernetes: ResolveFenceposts.
pub fn resolve_fenceposts(
    max_surge: Option<Bound<'_>>,
    max_unavailable: Option<Bound<'_>>,
    desired: i32,
) -> Result<(i32, i32), BoundError> {
    let surge = scaled_value(max_surge.or(Some(Bound::Number(0))), desired, true)?;
    let unavailable = scaled_value(max_unavailable.or(Some(Bound::Number(0))), desired, false)?;
    Ok(if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) })
}

impl DeploymentSize<'_> {
    /// How many pods above `replicas` a rolling update may run.
    pub fn max_surge(&self) -> i32 {
        self.fenceposts().map_or(0, |(surge, _)| surge)
    }

    /// How many pods below `replicas` a rolling update may make do with.
    pub fn max_unavailable(&self) -> i32 {
        match self.fenceposts() {
            Some((_, unavailable)) if self.replicas != 0 => unavailable.min(self.replicas),
            _ => 0,
        }
    }

    /// How many pods a rolling update keeps available; none under Recreate.
    pub fn min_available(&self) -> i32 {
        if self.rolling() { self.replicas.wrapping_sub(self.max_unavailable()) } else { 0 }
    }

    /// What the annotation `max-replicas` of its ReplicaSets should say.
    pub fn max_replicas(&self) -> i32 {
        self.replicas.wrapping_add(self.max_surge())
    }

    fn rolling(&self) -> bool {
        matches!(self.rollout, Rollout::RollingUpdate { .. })
    }

    fn fenceposts(&self) -> Option<(i32, i32)> {
        match self.rollout {
            Rollout::Recreate => None,
            Rollout::RollingUpdate { max_surge, max_unavailable } => {
                resolve_fenceposts(max_surge, max_unavailable, self.replicas).ok()
            }
        }
    }
}

impl ReplicaSetSize<'_> {
    /// Oldest first.
    fn age(&self) -> (Instant, &str) {
        (self.created, self.name)
    }

    /// Whether the annotations say something else than they should.
    fn annotations_stale(&self, deployment: &DeploymentSize<'_>) -> bool {
        let says = |annotation: Option<&str>, number: i32| annotation.is_some_and(|text| *text == *number.to_string());
        !says(self.desired_annotation, deployment.replicas) || !says(self.max_annotation, deployment.max_replicas())
    }
}

/// The number an annotation says; none if it is no number without a sign that fits.
pub fn annotated_number(annotation: Option<&str>) -> Option<i32> {
    annotation.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// Whether a ReplicaSet has been taken to, and has reached, the size of the Deployment. Kubernetes: IsSaturated.
pub fn is_saturated(deployment: &DeploymentSize<'_>, set: &ReplicaSetSize<'_>) -> bool {
    set.replicas == deployment.replicas
        && annotated_number(set.desired_annotation) == Some(deployment.replicas)
        && set.available == deployment.replicas
}

/// Whether somebody changed `spec.replicas` since the active ReplicaSets were last sized. Kubernetes: isScalingEvent.
pub fn is_scaling_event<'a>(
    deployment: &DeploymentSize<'_>,
    sets: impl IntoIterator<Item = ReplicaSetSize<'a>>,
) -> bool {
    let differs = |desired| desired != deployment.replicas;
    sets.into_iter().any(|set| set.replicas > 0 && annotated_number(set.desired_annotation).is_some_and(differs))
}

/// The size of the new ReplicaSet, now of size `new`, in a rolling update with `total` pods in all ReplicaSets' specs,
/// or under Recreate. Kubernetes: NewRSNewReplicas.
///
/// # Errors
/// When the surge has no value.
pub fn new_replica_set_size(deployment: &DeploymentSize<'_>, total: i32, new: i32) -> Result<i32, BoundError> {
    let Rollout::RollingUpdate { max_surge, .. } = deployment.rollout else { return Ok(deployment.replicas) };
    let most = deployment.replicas.wrapping_add(scaled_value(max_surge, deployment.replicas, true)?);
    let missing = deployment.replicas.wrapping_sub(new);
    Ok(if total >= most { new } else { new.wrapping_add(most.wrapping_sub(total).min(missing)) })
}

/// Step A of a rolling update: what the new ReplicaSet becomes. Kubernetes: reconcileNewReplicaSet.
///
/// # Errors
/// When the surge has no value.
pub fn reconcile_new(
    deployment: &DeploymentSize<'_>,
    new: &ReplicaSetSize<'_>,
    old: &[ReplicaSetSize<'_>],
) -> Result<Option<Scaling>, BoundError> {
    let to = if new.replicas >= deployment.replicas {
        deployment.replicas
    } else {
        new_replica_set_size(deployment, total(old).wrapping_add(new.replicas), new.replicas)?
    };
    Ok((to != new.replicas).then_some(Scaling { set: Which::New, from: new.replicas, to }))
}

/// Step B of a rolling update: which old pods can go. First those that are not available anyway, then as many available
/// ones as are to spare, always from the oldest ReplicaSet. Kubernetes: reconcileOldReplicaSets.
///
/// # Errors
/// When a status lags behind; the plan up to there is lost, which the controller makes good at its next try.
pub fn reconcile_old(
    deployment: &DeploymentSize<'_>,
    new: &ReplicaSetSize<'_>,
    old: &[ReplicaSetSize<'_>],
) -> Result<Vec<Scaling>, InvalidScaleDown> {
    let min_available = deployment.replicas.wrapping_sub(deployment.max_unavailable());
    let new_unavailable = new.replicas.wrapping_sub(new.available);
    let total_with_new = total(old).wrapping_add(new.replicas);
    let removable = total_with_new.wrapping_sub(min_available).wrapping_sub(new_unavailable);
    if total(old) == 0 || removable <= 0 {
        return Ok(Vec::new());
    }
    let mut oldest_first: Vec<usize> = (0..old.len()).collect();
    oldest_first.sort_by_key(|place| old[*place].age());
    let mut sizes: Vec<i32> = old.iter().map(|set| set.replicas).collect();
    let mut plan = Vec::new();

    let step = "when cleaning up unhealthy replicas";
    take_away(&mut plan, &mut sizes, &oldest_first, removable, step, |place, size| {
        size.wrapping_sub(old[place].available)
    })?;
    let available = old.iter().fold(new.available, |sum, set| sum.wrapping_add(set.available));
    let step = "when scaling down old RS";
    take_away(&mut plan, &mut sizes, &oldest_first, available.wrapping_sub(min_available), step, |_, size| size)?;
    Ok(plan)
}

/// Takes up to `most` pods away, from each set at most `limit(set, size)` of them.
fn take_away(
    plan: &mut Vec<Scaling>,
    sizes: &mut [i32],
    order: &[usize],
    most: i32,
    step: &'static str,
    limit: impl Fn(usize, i32) -> i32,
) -> Result<(), InvalidScaleDown> {
    let mut taken = 0_i32;
    for place in order.iter().copied() {
        if taken >= most {
            break;
        }
        let from = sizes[place];
        let count = limit(place, from).min(most.wrapping_sub(taken));
        if from == 0 || count == 0 {
            continue;
        }
        let to = from.wrapping_sub(count);
        let set = Which::Old(place);
        if to > from {
            return Err(InvalidScaleDown { step, set, from, to });
        }
        plan.push(Scaling { set, from, to });
        sizes[place] = to;
        taken = taken.wrapping_add(count);
    }
    Ok(())
}

/// What a change of `spec.replicas`, or any sync of a paused Deployment, makes of the ReplicaSets: the only active one
/// gets all; in the middle of a rollout all keep their share. Kubernetes: scale.
pub fn scale(
    deployment: &DeploymentSize<'_>,
    new: Option<&ReplicaSetSize<'_>>,
    old: &[ReplicaSetSize<'_>],
) -> Vec<Scaling> {
    let all = || old.iter().enumerate().map(|(i, set)| (Which::Old(i), set)).chain(new.map(|set| (Which::New, set)));
    let mut active: Vec<(Which, &ReplicaSetSize<'_>)> = all().filter(|(_, set)| set.replicas > 0).collect();
    let only = match active[..] {
        [] => new.map(|set| (Which::New, set)).or_else(|| all().max_by_key(|(_, set)| set.age())),
        [only] => Some(only),
        _ => None,
    };
    let resize = |(set, size): (Which, &ReplicaSetSize<'_>), to| Scaling { set, from: size.replicas, to };
    if let Some(only) = only {
        let step = resize(only, deployment.replicas);
        return if step.from == step.to { Vec::new() } else { vec![step] };
    }
    if new.is_some_and(|new| is_saturated(deployment, new)) {
        return active.into_iter().filter(|(set, _)| *set != Which::New).map(|set| resize(set, 0)).collect();
    }
    if active.is_empty() || !deployment.rolling() {
        return Vec::new();
    }
    let sizes = proportional_sizes(deployment, &mut active);
    let stale = |size: &ReplicaSetSize<'_>| size.annotations_stale(deployment);
    let steps = active.into_iter().zip(sizes).filter(|((_, size), to)| size.replicas != *to || stale(size));
    steps.map(|(set, to)| resize(set, to)).collect()
}

/// Puts the sets in the order in which they get or lose pods, and gives their sizes.
fn proportional_sizes(deployment: &DeploymentSize<'_>, sets: &mut [(Which, &ReplicaSetSize<'_>)]) -> Vec<i32> {
    let allowed = if deployment.replicas > 0 { deployment.max_replicas() } else { 0 };
    let to_add = sets.iter().fold(allowed, |left, (_, set)| left.wrapping_sub(set.replicas));
    match to_add.signum() {
        1 => sets.sort_by_key(|(_, set)| Reverse((set.replicas, set.created, set.name))),
        -1 => sets.sort_by_key(|(_, set)| (Reverse(set.replicas), set.created, set.name)),
        _ => {}
    }
    let mut added = 0_i32;
    let mut sizes = Vec::with_capacity(sets.len());
    for (_, set) in sets.iter() {
        let share = proportion(deployment, set.replicas, set.max_annotation, to_add, added);
        sizes.push(set.replicas.wrapping_add(share));
        added = added.wrapping_add(share);
    }
    if let Some(largest) = sizes.first_mut() {
        *largest = largest.wrapping_add(to_add.wrapping_sub(added)).max(if to_add == 0 { i32::MIN } else { 0 });
    }
    sizes
}

/// How many of the `to_add` pods, of which `added` are given out, a set of `replicas` pods gets; negative numbers take
/// away. Kubernetes: GetReplicaSetProportion.
pub fn proportion(
    deployment: &DeploymentSize<'_>,
    replicas: i32,
    max_annotation: Option<&str>,
    to_add: i32,
    added: i32,
) -> i32 {
    if replicas == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fair = fraction(deployment, replicas, max_annotation);
    let left = to_add.wrapping_sub(added);
    if to_add > 0 { fair.min(left) } else { fair.max(left) }
}

/// How much a set of `replicas` pods would change if it kept its share of the Deployment.
fn fraction(deployment: &DeploymentSize<'_>, replicas: i32, max_annotation: Option<&str>) -> i32 {
    if deployment.replicas == 0 {
        return replicas.wrapping_neg();
    }
    let before = annotated_number(max_annotation).filter(|max| *max != 0).unwrap_or(deployment.status_replicas);
    if before == 0 {
        return 0;
    }
    let scaled = i64::from(replicas.wrapping_mul(deployment.max_replicas()));
    (round_half_away(scaled, i64::from(before)) as i32).wrapping_sub(replicas)
}

/// `a / b` to the nearest whole number, halves away from zero; `b` is not zero.
fn round_half_away(a: i64, b: i64) -> i64 {
    let (magnitude, half) = (a.abs() / b.abs(), a.abs() % b.abs() * 2 >= b.abs());
    (magnitude + i64::from(half)) * a.signum() * b.signum()
}

fn total(sets: &[ReplicaSetSize<'_>]) -> i32 {
    sets.iter().fold(0, |sum, set| sum.wrapping_add(set.replicas))
}

#[cfg(test)]
mod tests {
    //! Rollouts of ten pods and their corners; the recorded answers are in the conformance tests.
    use super::*;

    const TEN: DeploymentSize<'static> = DeploymentSize {
        replicas: 10,
        status_replicas: 10,
        rollout: Rollout::RollingUpdate {
            max_surge: Some(Bound::Text("25%")),
            max_unavailable: Some(Bound::Text("25%")),
        },
    };

    fn set(name: &str, replicas: i32, available: i32) -> ReplicaSetSize<'_> {
        let (desired_annotation, max_annotation) = (Some("10"), Some("13"));
        ReplicaSetSize { name, created: Instant::START, replicas, available, desired_annotation, max_annotation }
    }

    #[test]
    fn a_rollout_of_ten_starts_with_three_new_and_eight_old() {
        assert_eq!((TEN.max_surge(), TEN.max_unavailable(), TEN.min_available()), (3, 2, 8));
        let old = [set("a", 10, 10)];
        assert_eq!(new_replica_set_size(&TEN, 10, 0), Ok(3));
        let plan = reconcile_old(&TEN, &set("b", 3, 0), &old);
        assert_eq!(plan, Ok(vec![Scaling { set: Which::Old(0), from: 10, to: 8 }]));
    }

    #[test]
    fn unavailable_old_pods_go_before_available_ones() {
        let old = [set("a", 4, 4), set("b", 4, 1)];
        let plan = reconcile_old(&TEN, &set("c", 5, 5), &old);
        let first = Scaling { set: Which::Old(1), from: 4, to: 1 };
        assert_eq!(plan, Ok(vec![first, Scaling { set: Which::Old(0), from: 4, to: 2 }]));
    }

    #[test]
    fn a_status_ahead_of_its_spec_is_an_error() {
        let error = reconcile_old(&TEN, &set("b", 10, 10), &[set("a", 2, 5)]).expect_err("scales up");
        assert_eq!((error.from, error.to), (2, 5));
    }

    #[test]
    fn bounds_that_validation_refuses_have_the_texts_of_go() {
        let text = |bound| scaled_value(bound, 10, true).map_err(|error| error.to_string());
        assert_eq!(text(None), Err("nil value for IntOrString".to_owned()));
        let no_percent = "invalid value for IntOrString: invalid type: string is not a percentage";
        assert_eq!(text(Some(Bound::Text("5"))), Err(no_percent.to_owned()));
        let no_number =
            "invalid value for IntOrString: invalid value \"x%\": strconv.Atoi: parsing \"x\": invalid syntax";
        assert_eq!(text(Some(Bound::Text("x%"))), Err(no_number.to_owned()));
        assert_eq!(text(Some(Bound::Text("-5%"))), Ok(0));
    }

    #[test]
    fn numbers_at_the_edge_of_32_bits_do_not_panic() {
        let rollout = Rollout::RollingUpdate { max_surge: Some(Bound::Number(i32::MAX)), max_unavailable: None };
        let huge = DeploymentSize { replicas: i32::MAX, status_replicas: i32::MAX, rollout };
        let sets = [set("a", i32::MAX, i32::MIN), set("b", i32::MAX, i32::MAX)];
        let _ = (scale(&huge, Some(&sets[0]), &sets), reconcile_old(&huge, &sets[0], &sets));
        let _ = (reconcile_new(&huge, &sets[0], &sets), proportion(&huge, i32::MIN, Some("-1"), i32::MIN, i32::MAX));
    }
}
