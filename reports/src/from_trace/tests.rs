//! Hand-made records, and the lanes, bars and marks they must become.

use wavetank_engine::Setup;
use wavetank_engine::apiserver::request::{Subresource, Verb};
use wavetank_engine::client::Agent;
use wavetank_engine::etcd::EtcdNote;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::{EventType, Key, Kind, Phase};
use wavetank_engine::profiles;
use wavetank_engine::trace::note::{Change, PodState as Known, PodStep, Scheduling};
use wavetank_engine::trace::{Note, Record, What};

use super::timeline;
use crate::timeline::{Lane, LaneGroup, Mark, PodState, Timeline};

const POD: &str = "web-6c9d8f7b54-x2k9q";

/// Records in the making; instants in milliseconds, 1,000 of them before the script's zero.
#[derive(Default)]
struct Run(Vec<Record>);

impl Run {
    fn note(&mut self, ms: u64, cause: RecordId, note: Note) -> RecordId {
        let id = RecordId(self.0.len() as u64 + 1);
        self.0.push(Record { id, at: Instant::START + Duration::from_millis(1_000 + ms), cause, note });
        id
    }

    fn by(&mut self, ms: u64, by: Agent, what: What) {
        self.note(ms, RecordId(0), Note::new(by, what));
    }

    fn about(&mut self, ms: u64, by: Agent, kind: Kind, name: &str, what: What) {
        self.note(ms, RecordId(0), Note::about(by, kind, Key::new("default", name), what));
    }

    fn request(&mut self, ms: u64, from: Agent, verb: Verb, kind: Kind, subresource: Subresource) -> RecordId {
        let what = What::Request { from, verb, subresource };
        self.note(ms, RecordId(0), Note::about(Agent::ApiServer(0), kind, Key::new("default", POD), what))
    }

    fn reply(&mut self, ms: u64, request: RecordId, code: u16, reason: &'static str) {
        let asked = self.0[request.0 as usize - 1].note.clone();
        let What::Request { from: to, verb, subresource } = asked.what else { panic!("not a request") };
        let what = What::Reply { to, verb, subresource, code, reason: reason.into(), steps: [Duration::ZERO; 6] };
        self.note(ms, request, Note { what, ..asked });
    }

    /// etcd's steps of a write that takes 4 ms at member 0; returns the record of its being applied.
    fn write(&mut self, ms: u64, index: u64, cause: RecordId) -> RecordId {
        let mut step = |after, cause, step| self.note(ms + after, cause, Note::new(Agent::Etcd(0), What::Etcd(step)));
        let proposed = step(0, cause, EtcdNote::Proposed { index });
        step(3, proposed, EtcdNote::Persisted { index, entries: 1, took: Duration::from_millis(3) });
        let committed = step(3, proposed, EtcdNote::Committed { index });
        step(4, committed, EtcdNote::Applied { index, revision: index + 10 })
    }

    fn committed(&mut self, ms: u64, cause: RecordId, change: Change) {
        let what = What::Committed { revision: 1, change };
        self.note(ms, cause, Note::about(Agent::ApiServer(0), Kind::Pod, Key::new("default", POD), what));
    }

    fn step(&mut self, ms: u64, step: PodStep, detail: &str) {
        self.about(ms, Agent::Kubelet(0), Kind::Pod, POD, What::Pod { step, detail: detail.into() });
    }

    fn timeline(&self, members: u8, end_ms: u64) -> Timeline {
        let setup = Setup::new(42, 2, members, profiles::laptop());
        let at = |ms| Instant::START + Duration::from_millis(ms);
        timeline(&self.0, &setup, "A run", at(1_000), at(1_000 + end_ms))
    }
}

/// `start..end kind label` of spans, `at kind label` of ticks, in milliseconds.
fn drawn(timeline: &Timeline, name: &str) -> Vec<String> {
    let lane = timeline.lanes.iter().find(|lane| lane.name == name).expect("the lane exists");
    let ms = |ns: u64| ns / 1_000_000;
    let spans = lane.spans.iter().map(|span| (ms(span.start), ms(span.end), span.kind.title(), &span.label));
    let ticks = lane.ticks.iter().map(|tick| format!("{} {} {}", ms(tick.at), tick.kind.title(), tick.label));
    spans.map(|(start, end, kind, label)| format!("{start}..{end} {kind} {label}")).chain(ticks).collect()
}

fn segments(timeline: &Timeline, pod: usize) -> Vec<(u64, u64, PodState)> {
    let ms = |ns: u64| ns / 1_000_000;
    timeline.pods[pod].segments.iter().map(|segment| (ms(segment.start), ms(segment.end), segment.state)).collect()
}

fn pod(phase: Phase, bound: bool, ready: bool) -> Change {
    let state = Known { phase, bound, ready, deleting: false, failing: false };
    Change::Pod { created: false, state, node: if bound { "worker-1".into() } else { "".into() } }
}

fn with(change: Change, deleting: bool, failing: bool) -> Change {
    let Change::Pod { created, state, node } = change else { panic!("not a pod") };
    Change::Pod { created, state: Known { deleting, failing, ..state }, node }
}

#[test]
fn the_lanes_follow_a_change_on_its_way() {
    let run = Run::default();
    let names = |timeline: &Timeline| timeline.lanes.iter().map(|lane| lane.name.clone()).collect::<Vec<_>>();
    let timeline = run.timeline(1, 10);
    let controllers = ["deployment-controller", "replicaset-controller", "scheduler"];
    let kubelets = ["kubelet worker-1", "kubelet worker-2"];
    let all = [&["kubectl", "API server", "etcd"][..], &controllers[..], &kubelets[..]].concat();
    assert_eq!(names(&timeline), all);
    assert!(timeline.lanes.is_sorted_by_key(|lane: &Lane| lane.group), "groups stand together");
    assert_eq!(timeline.lanes[0].group, LaneGroup::Client);
    assert_eq!((timeline.title.as_str(), timeline.start, timeline.end), ("A run", 0, 10_000_000));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(timeline.subtitle, format!("seed 42 · profile laptop · 2 nodes · wavetank {version}"));
    assert_eq!(names(&run.timeline(3, 10))[2..5], ["etcd-0", "etcd-1", "etcd-2"]);
}

#[test]
fn commands_are_spans_and_marks_are_marks() {
    let mut run = Run::default();
    let command = |line: &str| What::Command { line: line.into() };
    run.by(0, Agent::Kubectl(1), command("kubectl apply -f web.yaml"));
    run.by(20, Agent::Kubectl(2), command("kubectl get pods -w"));
    run.by(90, Agent::Kubectl(1), What::Exited { code: 1 });
    run.by(100, Agent::Script, What::Mark { text: "applied".into() });
    run.by(201, Agent::Script, What::Mark { text: "too late".into() });
    let timeline = run.timeline(1, 200);
    let expected =
        ["0..90 command kubectl apply -f web.yaml", "20..200 command kubectl get pods -w", "90 error exit 1"];
    assert_eq!(drawn(&timeline, "kubectl"), expected);
    assert_eq!(timeline.marks, [Mark { at: 100_000_000, label: "applied".into() }]);
}

#[test]
fn requests_are_spans_and_failures_are_ticks() {
    let mut run = Run::default();
    let controller = Agent::ReplicaSetController;
    let create = run.request(0, controller, Verb::Create, Kind::Pod, Subresource::None);
    let update = run.request(1, controller, Verb::Update, Kind::ReplicaSet, Subresource::Status);
    run.reply(5, create, 201, "");
    run.reply(6, update, 409, "Conflict");
    let get = run.request(7, Agent::Kubectl(1), Verb::Get, Kind::Deployment, Subresource::None);
    run.reply(8, get, 404, "NotFound");
    let create = run.request(9, Agent::Kubectl(1), Verb::Create, Kind::Pod, Subresource::None);
    run.reply(10, create, 422, "Invalid");
    run.request(11, Agent::Kubectl(1), Verb::List, Kind::Pod, Subresource::None);
    let expected = [
        "0..5 request POST pods",
        "1..6 request PUT replicasets/status",
        "7..8 request GET deployments",
        "9..10 request POST pods",
        "11..12 request LIST pods",
        "6 conflict 409 Conflict",
        "8 read 404 NotFound",
        "10 error 422 Invalid",
    ];
    assert_eq!(drawn(&run.timeline(1, 12), "API server"), expected);
}

#[test]
fn background_stays_out() {
    let mut run = Run::default();
    for (index, (from, verb, kind, subresource)) in [
        (Agent::Kubelet(0), Verb::Update, Kind::Lease, Subresource::None),
        (Agent::ControllerManager(0), Verb::Get, Kind::Lease, Subresource::None),
        (Agent::Kubelet(0), Verb::Patch, Kind::Node, Subresource::Status),
        (Agent::Kubelet(0), Verb::Get, Kind::Node, Subresource::None),
        (Agent::Scheduler(0), Verb::Create, Kind::Event, Subresource::None),
    ]
    .into_iter()
    .enumerate()
    {
        let request = run.request(0, from, verb, kind, subresource);
        run.write(1, index as u64 + 1, request);
        run.reply(9, request, 409, "Conflict");
    }
    run.about(10, Agent::NodeController, Kind::Lease, "worker-1", What::Reconcile);
    let expired = EtcdNote::Proposed { index: 9 };
    run.by(11, Agent::Etcd(0), What::Etcd(expired));
    let timeline = run.timeline(1, 20);
    for lane in &timeline.lanes {
        assert!(lane.spans.is_empty() && lane.ticks.is_empty(), "{lane:?}");
    }
    assert_eq!(timeline.lanes.len(), 8);
}

#[test]
fn a_write_is_a_span_at_the_leader_and_an_fsync_at_a_follower() {
    let mut run = Run::default();
    let request = run.request(0, Agent::ReplicaSetController, Verb::Create, Kind::Pod, Subresource::None);
    let applied = run.write(2, 1, request);
    let persisted = EtcdNote::Persisted { index: 1, entries: 1, took: Duration::from_millis(2) };
    run.note(6, applied, Note::new(Agent::Etcd(1), What::Etcd(persisted)));
    run.note(6, applied, Note::new(Agent::Etcd(1), What::Etcd(EtcdNote::Applied { index: 1, revision: 11 })));
    run.committed(7, applied, pod(Phase::Pending, false, false));
    // Its condition did not hold; the API server tries again on behalf of the same request.
    let refused = run.write(10, 2, request);
    run.note(20, refused, Note::new(Agent::Etcd(0), What::Etcd(EtcdNote::Proposed { index: 3 })));
    let timeline = run.timeline(3, 30);
    let expected = ["2..6 disk write pods/web-6c9d8f7b54-x2k9q", "10..14 disk write pods", "20..30 disk write pods"];
    assert_eq!(drawn(&timeline, "etcd-0"), expected);
    assert_eq!(drawn(&timeline, "etcd-1"), ["4..6 disk write "]);
    assert!(drawn(&timeline, "etcd-2").is_empty());
}

#[test]
fn controllers_reconcile_and_say_so() {
    let mut run = Run::default();
    let controller = Agent::ReplicaSetController;
    let event =
        || What::Event { kind: EventType::Normal, reason: "SuccessfulCreate".into(), message: "Created".into() };
    let done = |error: &'static str| What::Reconciled { error: error.into() };
    run.about(0, controller, Kind::ReplicaSet, "a", What::Reconcile);
    run.about(1, controller, Kind::ReplicaSet, "b", What::Reconcile);
    run.about(2, controller, Kind::ReplicaSet, "a", event());
    run.about(3, controller, Kind::ReplicaSet, "a", done(""));
    let conflict =
        "Operation cannot be fulfilled on replicasets.apps \"b\": the object has been modified; please apply";
    run.about(5, controller, Kind::ReplicaSet, "b", done(conflict));
    run.about(6, Agent::NodeController, Kind::Node, "worker-1", What::Reconcile);
    run.request(7, Agent::NodeController, Verb::Patch, Kind::Node, Subresource::Status);
    // A look, and nothing to do.
    run.about(8, Agent::ServiceAccountController, Kind::Namespace, "a", What::Reconcile);
    run.about(8, Agent::ServiceAccountController, Kind::Namespace, "a", done(""));
    let timeline = run.timeline(1, 10);
    let expected = [
        "0..3 reconcile default/a",
        "1..5 reconcile default/b",
        "2 Event SuccessfulCreate",
        "5 conflict Operation cannot be fulfilled on replicasets.ap…",
    ];
    assert_eq!(drawn(&timeline, "replicaset-controller"), expected);
    assert_eq!(drawn(&timeline, "node-controller"), ["6..10 reconcile default/worker-1"]);
    assert!(timeline.lanes.iter().all(|lane| lane.name != "service-account-controller"));
}

#[test]
fn a_decision_reaches_to_its_binding() {
    let mut run = Run::default();
    let schedule = |node: Option<&str>, message: &str| {
        let node = node.map(Into::into);
        let message = message.into();
        What::Schedule(Box::new(Scheduling { node, message, evaluated: 2, explanation: None }))
    };
    run.about(0, Agent::Scheduler(0), Kind::Pod, POD, schedule(None, "0/2 nodes are available: 2 Insufficient cpu."));
    run.about(5, Agent::Scheduler(0), Kind::Pod, POD, What::Reconcile);
    run.about(7, Agent::Scheduler(0), Kind::Pod, POD, schedule(Some("worker-2"), ""));
    let binding = run.request(8, Agent::Scheduler(0), Verb::Create, Kind::Pod, Subresource::Binding);
    run.reply(12, binding, 201, "");
    let said = What::Event { kind: EventType::Normal, reason: "Scheduled".into(), message: "Assigned".into() };
    run.about(12, Agent::Scheduler(0), Kind::Pod, POD, said);
    let expected = [
        "0..0 decision no node fits",
        "5..12 decision → worker-2",
        "0 error 0/2 nodes are available: 2 Insufficient cpu.",
        "12 bound web-6c9d8f7b54-x2k9q",
    ];
    assert_eq!(drawn(&run.timeline(1, 20), "scheduler"), expected);
}

#[test]
fn a_kubelet_pulls_starts_and_stops() {
    let mut run = Run::default();
    run.step(0, PodStep::Seen, "");
    run.step(2, PodStep::Admitted, "");
    run.step(40, PodStep::SandboxReady, "");
    run.step(41, PodStep::PullStarted, "docker.io/library/nginx:1.27");
    run.step(90, PodStep::Pulled, "docker.io/library/nginx:1.27");
    run.step(95, PodStep::ContainerCreated, "nginx");
    run.step(100, PodStep::ContainerStarted, "nginx");
    run.step(101, PodStep::ContainerReady, "nginx");
    run.step(150, PodStep::ContainerExited, "nginx");
    // A restart long after: the wait in between is not part of it.
    run.step(190, PodStep::ContainerCreated, "nginx");
    run.step(195, PodStep::ContainerStarted, "nginx");
    run.step(200, PodStep::Killing, "nginx");
    run.step(220, PodStep::ContainerExited, "nginx");
    run.step(221, PodStep::Terminated, "");
    let event = |kind, reason: &'static str| What::Event { kind, reason: reason.into(), message: "".into() };
    run.about(222, Agent::Kubelet(0), Kind::Pod, POD, event(EventType::Normal, "Killing"));
    run.about(223, Agent::Kubelet(0), Kind::Pod, POD, event(EventType::Warning, "BackOff"));
    run.about(224, Agent::Kubelet(0), Kind::Pod, "b", What::Pod { step: PodStep::PullStarted, detail: "b:1".into() });
    run.about(226, Agent::Kubelet(0), Kind::Pod, "b", What::Pod { step: PodStep::PullFailed, detail: "b:1".into() });
    run.about(228, Agent::Kubelet(0), Kind::Pod, "b", What::Pod { step: PodStep::PullStarted, detail: "b:1".into() });
    let timeline = run.timeline(1, 230);
    let expected = [
        "2..40 container sandbox web-6c9d8f7b54-x2k9q",
        "41..90 image pull nginx:1.27",
        "90..100 container start nginx",
        "190..195 container start nginx",
        "200..220 container stop nginx",
        "224..226 image pull b:1",
        "228..230 image pull b:1",
        "0 watch event web-6c9d8f7b54-x2k9q",
        "101 other ready",
        "150 other exited",
        "223 Event BackOff",
        "226 error pull failed",
    ];
    assert_eq!(drawn(&timeline, "kubelet worker-1"), expected);
    assert!(drawn(&timeline, "kubelet worker-2").is_empty());
}

#[test]
fn a_pod_goes_through_its_states() {
    use PodState::*;
    let mut run = Run::default();
    let none = RecordId(0);
    run.committed(0, none, pod(Phase::Pending, false, false));
    run.committed(10, none, pod(Phase::Pending, true, false));
    run.step(12, PodStep::Seen, "");
    run.step(15, PodStep::Admitted, "");
    run.step(20, PodStep::PullStarted, "nginx");
    // Another report while it pulls changes nothing.
    run.committed(30, none, pod(Phase::Pending, true, false));
    run.step(40, PodStep::Pulled, "nginx");
    run.committed(50, none, pod(Phase::Running, true, false));
    run.committed(60, none, pod(Phase::Running, true, true));
    run.committed(70, none, with(pod(Phase::Running, true, false), false, true));
    run.committed(80, none, pod(Phase::Running, true, true));
    run.committed(90, none, with(pod(Phase::Running, true, true), true, false));
    run.committed(100, none, Change::Deleted);
    run.step(101, PodStep::Terminated, "");
    // Another pod of the same name.
    run.committed(110, none, pod(Phase::Pending, false, false));
    run.committed(120, none, pod(Phase::Failed, true, false));
    run.committed(130, none, pod(Phase::Succeeded, true, false));
    let timeline = run.timeline(1, 140);
    let states =
        [Pending, Scheduled, ContainerCreating, PullingImage, ContainerCreating, RunningNotReady, Ready, BackOff];
    let cuts = [0, 10, 15, 20, 40, 50, 60, 70, 80];
    let mut expected: Vec<_> =
        states.iter().zip(cuts.windows(2)).map(|(state, cut)| (cut[0], cut[1], *state)).collect();
    expected.extend([(80, 90, Ready), (90, 100, Terminating)]);
    assert_eq!(segments(&timeline, 0), expected);
    assert_eq!(segments(&timeline, 1), [(110, 120, Pending), (120, 130, Failed), (130, 140, Succeeded)]);
    let first = &timeline.pods[0];
    assert_eq!(
        (first.name.as_str(), first.node.as_deref(), first.owner.as_deref()),
        (POD, Some("worker-1"), Some("web"))
    );
    assert_eq!(timeline.pods.len(), 2);
}

#[test]
fn what_happened_before_zero_is_cut_off() {
    let mut run = Run::default();
    let before = |ms: u64| Instant::START + Duration::from_millis(1_000 - ms);
    run.committed(0, RecordId(0), pod(Phase::Running, true, true));
    run.step(0, PodStep::PullStarted, "nginx");
    run.step(0, PodStep::Seen, "");
    for record in &mut run.0 {
        record.at = before(500);
    }
    run.step(30, PodStep::Pulled, "nginx");
    let timeline = run.timeline(1, 50);
    assert_eq!(drawn(&timeline, "kubelet worker-1"), ["0..30 image pull nginx"]);
    assert_eq!(segments(&timeline, 0), [(0, 50, PodState::Ready)]);
}

#[test]
fn a_pod_that_is_deleted_gives_up_its_pull() {
    let mut run = Run::default();
    run.step(0, PodStep::PullStarted, "nginx");
    run.step(10, PodStep::Killing, "");
    run.step(15, PodStep::Terminated, "");
    let expected = ["0..10 image pull nginx", "10..15 container stop web-6c9d8f7b54-x2k9q"];
    assert_eq!(drawn(&run.timeline(1, 20), "kubelet worker-1"), expected);
}

#[test]
fn a_node_under_pressure_is_tinted_and_one_without_power_pulls_no_more() {
    let mut run = Run::default();
    let said =
        |reason: &'static str| What::Event { kind: EventType::Normal, reason: reason.into(), message: "".into() };
    run.about(0, Agent::Kubelet(0), Kind::Node, "worker-1", said("NodeHasSufficientMemory"));
    run.about(5, Agent::Kubelet(0), Kind::Node, "worker-1", said("NodeHasInsufficientMemory"));
    run.step(10, PodStep::PullStarted, "nginx");
    run.about(15, Agent::Kubelet(0), Kind::Node, "worker-1", said("NodeHasSufficientMemory"));
    run.about(16, Agent::Kubelet(0), Kind::Node, "worker-1", said("NodeHasDiskPressure"));
    run.by(18, Agent::Kubelet(0), What::Ended { how: wavetank_engine::Ending::Killed });
    let drawn = drawn(&run.timeline(1, 20), "kubelet worker-1");
    let expected = ["5..15 outage MemoryPressure", "10..18 image pull nginx", "16..20 outage DiskPressure"];
    assert_eq!(drawn[..3], expected, "{drawn:?}");
}

/// What comes out can be drawn.
#[test]
fn the_timeline_can_be_drawn() {
    let mut run = Run::default();
    run.committed(0, RecordId(0), pod(Phase::Pending, false, false));
    let svg = crate::timeline::svg(&run.timeline(1, 20), &crate::Theme::light()).expect("a picture");
    assert!(svg.contains("replicaset-controller"));
}
