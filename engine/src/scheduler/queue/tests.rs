//! Tests of the scheduling queue.

use super::*;
use crate::objects::PodSpec;
use crate::objects::labels::Labels;
use serde_json::{Value, json};

struct Rig {
    queue: SchedulingQueue,
    cache: Cache,
    configuration: SchedulerConfiguration,
}

impl Rig {
    fn new() -> Self {
        Rig { queue: SchedulingQueue::default(), cache: Cache::default(), configuration: Default::default() }
    }

    /// Does something to the queue at `ms` milliseconds, because of record `cause`.
    fn at<T>(&mut self, ms: u64, cause: u64, act: impl FnOnce(&mut SchedulingQueue, Around<'_>) -> T) -> T {
        let now = Instant::START + Duration::from_millis(ms);
        let around = Around { cache: &self.cache, configuration: &self.configuration, now, cause: RecordId(cause) };
        act(&mut self.queue, around)
    }

    fn add(&mut self, ms: u64, uid: u128, spec: Value) {
        self.at(ms, 1, |queue, around| queue.add(pod(uid, spec), around));
    }

    fn pop(&mut self) -> Option<u128> {
        self.queue.pop().map(|waiting| waiting.pod.uid.0)
    }

    fn reject(&mut self, ms: u64, uid: u128, plugins: &[Plugin]) {
        self.at(ms, 1, |queue, around| queue.rejected(Uid(uid), plugins.to_vec(), around));
    }

    fn happen(&mut self, ms: u64, cause: u64, happening: Happening) {
        self.at(ms, cause, |queue, around| queue.happened(&happening, None, around));
    }
}

fn pod(uid: u128, mut spec: Value) -> Arc<PodInfo> {
    spec["containers"] = json!([{"name": "c", "resources": {"requests": {"cpu": "1"}}}]);
    let spec = PodSpec::new(serde_json::from_value(spec).expect("a pod spec"));
    Arc::new(PodInfo::plain("ns", &format!("p{uid}"), uid, Labels::from([("app".into(), "web".into())]), spec))
}

fn gone() -> Happening {
    Happening::PodGone(pod(99, json!({})))
}

#[test]
fn priority_goes_before_age() {
    let mut rig = Rig::new();
    for (uid, priority) in [(1, 0), (2, 5), (3, 0)] {
        rig.add(uid as u64, uid, json!({"priority": priority}));
    }
    assert_eq!([rig.pop(), rig.pop(), rig.pop(), rig.pop()], [Some(2), Some(1), Some(3), None]);
}

#[test]
fn only_a_change_that_helps_a_plugin_that_rejected_it_wakes_a_pod() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.reject(100, 1, &[Plugin::NodeAffinity]);
    rig.happen(5_000, 2, gone());
    assert_eq!(rig.pop(), None);
    rig.add(6_000, 2, json!({}));
    rig.pop();
    rig.reject(6_000, 2, &[Plugin::NodeResourcesFit]);
    rig.happen(20_000, 7, gone());
    let woken = rig.queue.pop().expect("awake");
    assert_eq!((woken.pod.uid.0, woken.cause), (2, RecordId(7)));
    let freed = Woken::Event { plugin: "NodeResourcesFit".into(), event: "AssignedPodDelete" };
    assert_eq!(woken.woken, freed);
}

#[test]
fn who_backs_off_is_tried_early_when_there_is_nobody_else() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.reject(1_300, 1, &[Plugin::NodeResourcesFit]);
    rig.happen(1_400, 2, gone());
    rig.add(1_500, 2, json!({"priority": -1}));
    assert_eq!(rig.pop(), Some(2), "the active queue goes first");
    assert!(matches!(rig.queue.pop(), Some(Waiting { woken: Woken::Early(_), .. })));
}

#[test]
fn back_off_doubles_and_ends_after_a_whole_second() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.reject(1_300, 1, &[Plugin::NodeResourcesFit]);
    rig.happen(1_400, 2, gone());
    // 2.3 s lies in the second that begins at 2 s; that must be over.
    let at = |ms| Some(Instant::START + Duration::from_millis(ms));
    assert_eq!(rig.queue.next_flush(at(1_400).unwrap()), at(3_000));
    rig.at(2_900, 1, |queue, around| queue.flush(around));
    assert_eq!(rig.queue.lengths(), [0, 1, 0, 0]);
    rig.at(3_000, 1, |queue, around| queue.flush(around));
    assert_eq!(rig.queue.lengths(), [1, 0, 0, 0]);
    rig.pop();
    rig.reject(3_100, 1, &[Plugin::NodeResourcesFit]);
    rig.happen(3_100, 3, gone());
    assert_eq!(rig.queue.next_flush(at(3_100).unwrap()), at(6_000), "two seconds from 3.1 s");
    rig.happen(9_000, 4, gone());
}

#[test]
fn an_error_is_retried_by_time_alone() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.reject(500, 1, &[]);
    assert_eq!(rig.pop(), None, "never early");
    rig.at(2_000, 1, |queue, around| queue.flush(around));
    assert_eq!(rig.pop(), Some(1));
}

#[test]
fn what_happens_during_the_cycle_counts() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.happen(1, 5, gone());
    rig.reject(2, 1, &[Plugin::NodeResourcesFit]);
    assert_eq!(rig.queue.pop().map(|waiting| waiting.cause), Some(RecordId(5)));
}

#[test]
fn a_forgotten_pod_is_tried_after_five_minutes() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.reject(1_000, 1, &[Plugin::NodeResourcesFit]);
    rig.at(300_000, 1, |queue, around| queue.flush(around));
    assert_eq!(rig.pop(), None);
    rig.at(330_000, 1, |queue, around| queue.flush(around));
    assert_eq!(rig.pop(), Some(1));
}

#[test]
fn gates_hold_a_pod_until_the_last_is_gone() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({"schedulingGates": [{"name": "a"}, {"name": "b"}]}));
    assert_eq!((rig.pop(), rig.queue.lengths()), (None, [0, 0, 0, 1]));
    rig.at(1, 1, |queue, around| queue.update(pod(1, json!({"schedulingGates": [{"name": "b"}]})), around));
    rig.happen(2, 1, gone());
    assert_eq!(rig.pop(), None);
    rig.at(3, 1, |queue, around| queue.update(pod(1, json!({})), around));
    assert_eq!(rig.pop(), Some(1));
}

#[test]
fn who_preempts_waits_until_its_victims_are_told() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.queue.set_preempting(Uid(1), true);
    rig.reject(1, 1, &[Plugin::NodeResourcesFit]);
    rig.happen(2, 1, gone());
    assert_eq!((rig.pop(), rig.queue.lengths()), (None, [0, 0, 0, 1]));
    rig.queue.set_preempting(Uid(1), false);
    rig.happen(3, 1, gone());
    assert_eq!(rig.pop(), Some(1));
}

#[test]
fn a_pod_that_changes_stays_where_it_is_unless_that_helps() {
    let mut rig = Rig::new();
    rig.add(0, 1, json!({}));
    rig.pop();
    rig.reject(100, 1, &[Plugin::TaintToleration]);
    let patient = json!({"tolerations": [{"operator": "Exists"}]});
    rig.at(5_000, 1, |queue, around| queue.update(pod(1, json!({"priority": 3})), around));
    assert_eq!(rig.pop(), None);
    rig.at(6_000, 1, |queue, around| queue.update(pod(1, patient), around));
    assert_eq!(rig.pop(), Some(1));
    rig.queue.remove(Uid(1));
    assert_eq!(rig.queue.lengths(), [0; 4]);
}
