//! What of a recommendation is done now: stabilisation over a window, rates of change, smallest and largest size.
//!
//! Without `spec.behavior` a scale-down waits until the highest recommendation of the last five minutes is low enough, and a scale-up
//! at most doubles. With it both directions have windows and policies.
//!
//! Models: kubernetes v1.36.2 pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas, normalizeDesiredReplicasWithBehaviors,
//! storeScaleEvent).

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};

use crate::kernel::{Duration, Instant};

/// How long a higher recommendation holds a scale-down back; Kubernetes: --horizontal-pod-autoscaler-downscale-stabilization, 5 min.
pub const DOWNSCALE_STABILIZATION: Duration = Duration::from_secs(300);

/// What a controller remembers of an autoscaler.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// What was recommended lately. Outdated ones are overwritten.
    pub recommendations: Vec<Recommendation>,
    /// Replicas added lately.
    pub ups: Vec<ScaleEvent>,
    /// Replicas removed lately.
    pub downs: Vec<ScaleEvent>,
}

/// A recommendation before stabilisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recommendation {
    /// How many replicas.
    pub replicas: i32,
    /// When.
    pub at: Instant,
}

/// A change that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScaleEvent {
    /// By how many replicas; positive.
    pub change: i32,
    /// When.
    pub at: Instant,
}

/// `spec.behavior` with its defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Behavior {
    /// Rules for more replicas.
    pub up: Rules,
    /// Rules for fewer.
    pub down: Rules,
}

/// Rules of a direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// How long recommendations hold each other back.
    pub window: Duration,
    /// Which policy counts.
    pub select: Select,
    /// The policies.
    pub policies: Vec<Policy>,
}

/// `selectPolicy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// How much may change in a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Pods or percent.
    pub value: i32,
    /// Whether the value is a percentage.
    pub percent: bool,
    /// In how long.
    pub period: Duration,
}

/// The bounds of an autoscaler and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// `spec.minReplicas`.
    pub min: i32,
    /// `spec.maxReplicas`.
    pub max: i32,
    /// What the target has.
    pub current: i32,
    /// What the metrics ask for.
    pub desired: i32,
}

/// What is done now, and what the conditions say of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Normalized {
    /// How many replicas.
    pub replicas: i32,
    /// The reason of the condition AbleToScale; its status is True.
    pub able: Reason,
    /// The reason of the condition ScalingLimited.
    pub limited: Reason,
    /// The status of ScalingLimited.
    pub is_limited: bool,
}

/// The reason and message of a condition.
pub type Reason = (&'static str, &'static str);

const READY: Reason = ("ReadyForNewScale", "recommended size matches current size");
const DOWN_STABILIZED: Reason = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const UP_STABILIZED: Reason = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const UP_LIMIT: Reason = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: Reason =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const TOO_MANY: Reason = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Reason = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const WITHIN: Reason = ("DesiredWithinRange", "the desired count is within the acceptable range");

/// What of `sizes.desired` is done now; the recommendation goes into the history.
pub fn normalize(sizes: Sizes, behavior: Option<&Behavior>, history: &mut History, now: Instant) -> Normalized {
    let (stable, stabilized, (replicas, limited)) = match behavior {
        None => {
            let stable = stabilize_down(sizes.desired, history, now);
            (stable, DOWN_STABILIZED, bound(sizes.current, stable, sizes.min, sizes.max))
        }
        Some(behavior) => {
            let (stable, reason) = stabilize(sizes, behavior, history, now);
            (stable, reason, limit(Sizes { desired: stable, ..sizes }, behavior, history, now))
        }
    };
    let able = if stable == sizes.desired { READY } else { stabilized };
    Normalized { replicas, able, limited, is_limited: replicas != stable }
}

impl Behavior {
    /// The rules of an autoscaler whose defaults are set.
    pub fn of(behavior: &HorizontalPodAutoscalerBehavior) -> Behavior {
        let (up, down) = (behavior.scale_up.as_ref(), behavior.scale_down.as_ref());
        Behavior { up: Rules::of(up, Duration::ZERO), down: Rules::of(down, DOWNSCALE_STABILIZATION) }
    }
}

impl Rules {
    fn of(rules: Option<&HPAScalingRules>, window: Duration) -> Rules {
        let seconds = |seconds: i32| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let policies = rules.and_then(|rules| rules.policies.as_deref()).unwrap_or_default().iter();
        Rules {
            window: rules.and_then(|rules| rules.stabilization_window_seconds).map_or(window, seconds),
            select: match rules.and_then(|rules| rules.select_policy.as_deref()) {
                Some("Disabled") => Select::Disabled,
                Some("Min") => Select::Min,
                _ => Select::Max,
            },
            policies: policies
                .map(|policy| Policy {
                    value: policy.value,
                    percent: policy.type_ == "Percent",
                    period: seconds(policy.period_seconds),
                })
                .collect(),
        }
    }
}

impl History {
    /// The first look: the size there is counts as recommended.
    pub fn begin(&mut self, current: i32, now: Instant) {
        if self.recommendations.is_empty() {
            self.recommendations.push(Recommendation { replicas: current, at: now });
        }
    }

    /// A change that was made. Without behavior nobody asks for it.
    pub fn scaled(&mut self, behavior: Option<&Behavior>, before: i32, after: i32, now: Instant) {
        let Some(behavior) = behavior else { return };
        let (events, rules) = match after > before {
            true => (&mut self.ups, &behavior.up),
            false => (&mut self.downs, &behavior.down),
        };
        let longest = rules.policies.iter().map(|policy| policy.period).max().unwrap_or_default();
        let event = ScaleEvent { change: (after - before).abs(), at: now };
        match events.iter().rposition(|event| event.at + longest < now) {
            Some(outdated) => events[outdated] = event,
            None => events.push(event),
        }
    }

    fn recommend(&mut self, replicas: i32, now: Instant, outdated: Option<usize>) {
        let recommendation = Recommendation { replicas, at: now };
        match outdated.and_then(|place| self.recommendations.get_mut(place)) {
            Some(old) => *old = recommendation,
            None => self.recommendations.push(recommendation),
        }
    }
}

fn stabilize_down(desired: i32, history: &mut History, now: Instant) -> i32 {
    let old = |recommendation: &Recommendation| recommendation.at + DOWNSCALE_STABILIZATION < now;
    let recent = history.recommendations.iter().filter(|one| !old(one)).map(|one| one.replicas);
    let stable = recent.fold(desired, i32::max);
    let outdated = history.recommendations.iter().rposition(old);
    history.recommend(desired, now, outdated);
    stable
}

fn stabilize(sizes: Sizes, behavior: &Behavior, history: &mut History, now: Instant) -> (i32, Reason) {
    let (mut lowest, mut highest, mut outdated) = (sizes.desired, sizes.desired, None);
    for (place, one) in history.recommendations.iter().enumerate() {
        let (up, down) = (one.at + behavior.up.window, one.at + behavior.down.window);
        if up > now {
            lowest = lowest.min(one.replicas);
        }
        if down > now {
            highest = highest.max(one.replicas);
        }
        if up < now && down < now {
            outdated = Some(place);
        }
    }
    history.recommend(sizes.desired, now, outdated);
    let stable = sizes.current.clamp(lowest, highest);
    (stable, if sizes.desired >= sizes.current { UP_STABILIZED } else { DOWN_STABILIZED })
}

/// Without behavior: at most double (or four), and within the bounds.
fn bound(current: i32, desired: i32, min: i32, max: i32) -> (i32, Reason) {
    let fastest = current.saturating_mul(2).max(4);
    let (most, reason) = if max > fastest { (fastest, UP_LIMIT) } else { (max, TOO_MANY) };
    if desired < min {
        (min, TOO_FEW)
    } else if desired > most {
        (most, reason)
    } else {
        (desired, WITHIN)
    }
}

/// With behavior: as fast as the policies allow, and within the bounds.
fn limit(sizes: Sizes, behavior: &Behavior, history: &History, now: Instant) -> (i32, Reason) {
    let Sizes { min, max, current, desired } = sizes;
    if desired > current {
        let fastest = fastest_up(current, &behavior.up, history, now).max(current);
        let (most, reason) = if max > fastest { (fastest, UP_LIMIT) } else { (max, TOO_MANY) };
        if desired > most {
            return (most, reason);
        }
    } else if desired < current {
        let fastest = fastest_down(current, &behavior.down, history, now).min(current);
        let (least, reason) = if min < fastest { (fastest, DOWN_LIMIT) } else { (min, TOO_FEW) };
        if desired < least {
            return (least, reason);
        }
    }
    (desired, WITHIN)
}

fn changed(events: &[ScaleEvent], period: Duration, now: Instant) -> i32 {
    events.iter().filter(|event| event.at + period > now).map(|event| event.change).sum()
}

fn fastest_up(current: i32, rules: &Rules, history: &History, now: Instant) -> i32 {
    let allowed = rules.policies.iter().map(|policy| {
        let start = period_start(current, policy, history, now);
        match policy.percent {
            false => start.saturating_add(policy.value),
            // Rounded up, or one replica might never become two.
            true => (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
        }
    });
    match rules.select {
        Select::Disabled => current,
        Select::Min => allowed.fold(i32::MAX, i32::min),
        Select::Max => allowed.fold(i32::MIN, i32::max),
    }
}

fn fastest_down(current: i32, rules: &Rules, history: &History, now: Instant) -> i32 {
    let allowed = rules.policies.iter().map(|policy| {
        let start = period_start(current, policy, history, now);
        match policy.percent {
            false => start.saturating_sub(policy.value),
            true => (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32,
        }
    });
    match rules.select {
        Select::Disabled => current,
        Select::Min => allowed.fold(i32::MIN, i32::max),
        Select::Max => allowed.fold(i32::MAX, i32::min),
    }
}

/// How many replicas there were when the policy's period began.
fn period_start(current: i32, policy: &Policy, history: &History, now: Instant) -> i32 {
    current - changed(&history.ups, policy.period, now) + changed(&history.downs, policy.period, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    fn sizes(current: i32, desired: i32) -> Sizes {
        Sizes { min: 1, max: 20, current, desired }
    }

    fn rules(window: u64, percent: bool, value: i32, period: u64) -> Rules {
        let policies = vec![Policy { value, percent, period: Duration::from_secs(period) }];
        Rules { window: Duration::from_secs(window), select: Select::Max, policies }
    }

    #[test]
    fn a_scale_down_waits_until_the_higher_recommendation_is_five_minutes_old() {
        let mut history = History::default();
        history.begin(10, at(0));
        let held = normalize(sizes(10, 2), None, &mut history, at(300));
        assert_eq!((held.replicas, held.able), (10, DOWN_STABILIZED));
        let free = normalize(sizes(10, 2), None, &mut history, at(301));
        assert_eq!((free.replicas, free.able, free.is_limited), (2, READY, false));
        assert_eq!(history.recommendations.len(), 2, "the outdated one is overwritten");
    }

    #[test]
    fn without_behavior_a_scale_up_at_most_doubles_or_reaches_four() {
        let mut history = History::default();
        let up = normalize(sizes(3, 15), None, &mut history, at(0));
        assert_eq!((up.replicas, up.limited, up.is_limited), (6, UP_LIMIT, true));
        assert_eq!(normalize(sizes(1, 15), None, &mut history, at(1)).replicas, 4);
        assert_eq!(normalize(sizes(15, 40), None, &mut history, at(2)).limited, TOO_MANY);
    }

    #[test]
    fn policies_count_what_was_added_and_removed_in_their_period() {
        let behavior = Behavior { up: rules(0, false, 4, 60), down: rules(0, true, 50, 60) };
        let mut history = History::default();
        history.scaled(Some(&behavior), 2, 5, at(0));
        // Two at the period's start, so six at most.
        let up = normalize(sizes(5, 12), Some(&behavior), &mut history, at(30));
        assert_eq!((up.replicas, up.limited), (6, UP_LIMIT));
        let later = normalize(sizes(5, 12), Some(&behavior), &mut history, at(60));
        assert_eq!(later.replicas, 9);
        history.scaled(Some(&behavior), 9, 5, at(61));
        let down = normalize(sizes(5, 1), Some(&behavior), &mut history, at(62));
        assert_eq!((down.replicas, down.limited), (4, DOWN_LIMIT), "half of the nine of a minute ago");
        history.scaled(Some(&behavior), 5, 7, at(200));
        assert_eq!(history.ups.len(), 1, "the outdated change is overwritten");
    }

    #[test]
    fn a_window_upwards_takes_the_lowest_recommendation() {
        let behavior = Behavior { up: rules(60, false, 100, 15), down: rules(300, true, 100, 15) };
        let mut history = History::default();
        history.begin(3, at(0));
        let held = normalize(sizes(3, 9), Some(&behavior), &mut history, at(30));
        assert_eq!((held.replicas, held.able), (3, UP_STABILIZED));
        let free = normalize(sizes(3, 9), Some(&behavior), &mut history, at(60));
        assert_eq!((free.replicas, free.able), (9, READY));
    }
}
