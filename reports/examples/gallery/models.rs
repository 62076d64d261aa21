//! Made-up runs for the gallery and for the tests of the layout: nothing in them comes from the simulator.

use wavetank_reports::duration::{MILLISECOND as MS, SECOND};
use wavetank_reports::timeline::{
    Lane, LaneGroup, Mark, PodBar, PodGroups, PodState, Segment, Span, SpanKind, Tick, TickKind, Timeline,
};

/// Every model with its name.
pub fn all() -> Vec<(&'static str, Timeline)> {
    vec![
        ("five-pods", five_pods()),
        ("fifty-pods", fifty_pods()),
        ("many-pods", many_pods()),
        ("many-lanes", many_lanes()),
        ("many-marks", many_marks()),
        ("marks-at-once", marks_at_once()),
        ("dense-ticks", dense_ticks()),
        ("one-second", one_second()),
        ("one-hour", one_hour()),
        ("one-mark", one_mark()),
        ("empty", empty()),
    ]
}

/// A small generator of pseudo-random numbers, so that the pictures look like runs.
struct Luck(u64);

impl Luck {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }
}

fn lane(name: &str, group: LaneGroup) -> Lane {
    Lane { name: name.into(), group, spans: Vec::new(), ticks: Vec::new() }
}

fn span(start: u64, end: u64, label: &str, kind: SpanKind) -> Span {
    Span { start, end, label: label.into(), kind }
}

fn tick(at: u64, label: &str, kind: TickKind) -> Tick {
    Tick { at, label: label.into(), kind }
}

fn mark(at: u64, label: &str) -> Mark {
    Mark { at, label: label.into() }
}

struct Cluster {
    kubectl: Lane,
    api: Lane,
    etcd: Lane,
    scheduler: Lane,
    deployment: Lane,
    replica_set: Lane,
    endpoints: Lane,
    kubelets: Vec<Lane>,
    pods: Vec<PodBar>,
}

impl Cluster {
    fn new(nodes: usize) -> Cluster {
        use LaneGroup::{Client, ControlPlane, Controller, Node};
        Cluster {
            kubectl: lane("kubectl", Client),
            api: lane("API server", ControlPlane),
            etcd: lane("etcd", ControlPlane),
            scheduler: lane("scheduler", ControlPlane),
            deployment: lane("deployment controller", Controller),
            replica_set: lane("replicaset controller", Controller),
            endpoints: lane("endpointslice controller", Controller),
            kubelets: (1..=nodes).map(|node| lane(&format!("kubelet worker-{node}"), Node)).collect(),
            pods: Vec::new(),
        }
    }

    /// A write as it shows in API server and etcd; returns when the watchers hear of it.
    fn write(&mut self, at: u64, label: &str, luck: &mut Luck) -> u64 {
        let commit = luck.between(3 * MS, 9 * MS);
        self.api.spans.push(span(at, at + commit + 2 * MS, label, SpanKind::Request));
        self.etcd.spans.push(span(at + MS, at + MS + commit, "", SpanKind::Write));
        at + commit + 4 * MS
    }

    fn apply(&mut self, at: u64, luck: &mut Luck) -> u64 {
        self.kubectl.spans.push(span(at, at + 120 * MS, "kubectl apply -f web.yaml", SpanKind::Command));
        let seen = self.write(at + 90 * MS, "POST deployments", luck);
        self.deployment.spans.push(span(seen, seen + 15 * MS, "default/web", SpanKind::Reconcile));
        let seen = self.write(seen + 8 * MS, "POST replicasets", luck);
        self.replica_set.spans.push(span(seen, seen + 30 * MS, "default/web-6c9d", SpanKind::Reconcile));
        seen
    }

    fn pod(&mut self, index: usize, at: u64, pull: u64, end: u64, luck: &mut Luck) {
        const SUFFIX: [&str; 8] = ["x2k9q", "7bvmd", "q4tzs", "lw8hp", "c5n6r", "zz2jf", "m9dkt", "r7x4w"];
        let name = format!("web-6c9d8f7b54-{}{}", SUFFIX[index % 8], if index < 8 { "" } else { "b" });
        let node = index % self.kubelets.len().max(1);
        let created = self.write(at, "POST pods", luck);
        let decided = created + luck.between(2 * MS, 6 * MS);
        self.scheduler.spans.push(span(created, decided, &name, SpanKind::Decision));
        let bound = self.write(decided, "POST binding", luck);
        self.scheduler.ticks.push(tick(bound, "", TickKind::Bound));
        let pulling = bound + luck.between(100 * MS, 260 * MS);
        let pulled = pulling + pull + luck.below(pull / 3 + 1);
        let running = pulled + luck.between(200 * MS, 600 * MS);
        let ready = running + luck.between(SECOND, 3 * SECOND);
        if let Some(kubelet) = self.kubelets.get_mut(node) {
            kubelet.ticks.push(tick(bound, "", TickKind::Watch));
            kubelet.spans.push(span(pulling, pulled, "nginx:1.27", SpanKind::Image));
            kubelet.spans.push(span(pulled, running, "start", SpanKind::Container));
            kubelet.ticks.push(tick(running, "Started", TickKind::Event));
            kubelet.ticks.push(tick(ready, "ready", TickKind::Write));
        }
        self.write(running, "PATCH pods/status", luck);
        let seen = self.write(ready, "PATCH pods/status", luck);
        self.endpoints.spans.push(span(seen, seen + 6 * MS, "default/web", SpanKind::Reconcile));
        let cuts = [
            (at, PodState::Pending),
            (bound, PodState::Scheduled),
            (bound + 20 * MS, PodState::ContainerCreating),
            (pulling, PodState::PullingImage),
            (pulled, PodState::ContainerCreating),
            (running, PodState::RunningNotReady),
            (ready, PodState::Ready),
        ];
        let ends = cuts.iter().skip(1).map(|cut| cut.0).chain([end.max(ready)]);
        let segments = cuts.iter().zip(ends).map(|(&(start, state), end)| Segment { start, end, state }).collect();
        let node = (!self.kubelets.is_empty()).then(|| format!("worker-{}", node + 1));
        self.pods.push(PodBar { name, node, owner: Some("web-6c9d8f7b54".into()), segments });
    }

    fn timeline(self, title: &str, end: u64) -> Timeline {
        let mut lanes = vec![self.kubectl, self.api, self.etcd, self.scheduler];
        lanes.extend([self.deployment, self.replica_set, self.endpoints]);
        lanes.extend(self.kubelets);
        Timeline {
            title: title.into(),
            subtitle: "seed 42 · profile laptop · Kubernetes 1.36.2".into(),
            start: 0,
            end,
            lanes,
            pods: self.pods,
            pod_groups: PodGroups::Node,
            marks: Vec::new(),
            bands: Vec::new(),
        }
    }
}

/// The usual lecture picture: a rollout of five pods on three nodes, one of which crash-loops.
pub fn five_pods() -> Timeline {
    let luck = &mut Luck(7);
    let mut cluster = Cluster::new(3);
    let end = 30 * SECOND;
    let start = cluster.apply(2 * SECOND, luck);
    for index in 0..5 {
        let at = start + index as u64 * 9 * MS;
        cluster.pod(index, at, 4 * SECOND, end, luck);
    }
    let broken = &mut cluster.pods[4].segments;
    let from = broken[5].start;
    broken.truncate(5);
    for (offset, length, state) in [
        (0, 900 * MS, PodState::RunningNotReady),
        (900 * MS, 1_500 * MS, PodState::Failed),
        (2_400 * MS, 10 * SECOND, PodState::BackOff),
        (12_400 * MS, 800 * MS, PodState::RunningNotReady),
        (13_200 * MS, SECOND, PodState::Failed),
        (14_200 * MS, 8 * SECOND, PodState::BackOff),
    ] {
        broken.push(Segment { start: from + offset, end: (from + offset + length).min(end), state });
    }
    let gone = &mut cluster.pods[1].segments;
    if let Some(last) = gone.last_mut() {
        last.end = 21 * SECOND;
    }
    gone.push(Segment { start: 21 * SECOND, end: 23 * SECOND, state: PodState::Terminating });
    let kubectl = &mut cluster.kubectl;
    kubectl.spans.push(span(20_900 * MS, 23 * SECOND, "kubectl delete pod", SpanKind::Command));
    cluster.kubelets[2].spans.push(span(24 * SECOND, 28 * SECOND, "node down", SpanKind::Outage));
    cluster.replica_set.ticks.push(tick(21_050 * MS, "409 conflict", TickKind::Conflict));
    let mut timeline = cluster.timeline("A Deployment with five replicas", end);
    timeline.marks = vec![
        mark(2 * SECOND, "apply web.yaml"),
        mark(20_900 * MS, "delete a pod"),
        mark(24 * SECOND, "worker-3 loses power"),
        mark(28 * SECOND, "worker-3 is back"),
    ];
    timeline
}

/// Fifty pods on twenty nodes.
pub fn fifty_pods() -> Timeline {
    let luck = &mut Luck(11);
    let mut cluster = Cluster::new(20);
    let start = cluster.apply(SECOND, luck);
    for index in 0..50 {
        cluster.pod(index, start + index as u64 * 12 * MS, 3 * SECOND, 20 * SECOND, luck);
    }
    let mut timeline = cluster.timeline("Fifty pods on twenty nodes", 20 * SECOND);
    timeline.marks = vec![mark(SECOND, "apply"), mark(9 * SECOND, "half of the pods are ready")];
    timeline
}

/// Two thousand pods of three owners: single bars would be no use.
pub fn many_pods() -> Timeline {
    let luck = &mut Luck(13);
    let mut cluster = Cluster::new(4);
    let start = cluster.apply(SECOND, luck);
    for index in 0..2_000 {
        cluster.pod(index, start + index as u64 * 25 * MS, 3 * SECOND, 90 * SECOND, luck);
    }
    for (index, pod) in cluster.pods.iter_mut().enumerate() {
        pod.owner = Some(["web-6c9d8f7b54", "api-5f4d9", "worker-77c9"][index * index % 3].to_string());
    }
    let mut timeline = cluster.timeline("Two thousand pods", 90 * SECOND);
    timeline.pod_groups = PodGroups::Owner;
    timeline
}

/// Three hundred nodes.
pub fn many_lanes() -> Timeline {
    let luck = &mut Luck(17);
    let mut cluster = Cluster::new(300);
    let start = cluster.apply(SECOND, luck);
    for index in 0..120 {
        cluster.pod(index, start + index as u64 * 12 * MS, 3 * SECOND, 20 * SECOND, luck);
    }
    cluster.timeline("Three hundred nodes", 20 * SECOND)
}

/// Thirty marks, some of them close together.
pub fn many_marks() -> Timeline {
    let luck = &mut Luck(3);
    let mut timeline = five_pods();
    timeline.title = "Thirty marks".into();
    timeline.marks = (0..30)
        .map(|index| {
            let at = index * SECOND + luck.below(900) * MS;
            mark(at, &format!("step {}: {}", index + 1, ["apply", "check the endpoints", "wait"][index as usize % 3]))
        })
        .collect();
    timeline
}

/// Thirty marks within a second of half a minute, long names included.
pub fn marks_at_once() -> Timeline {
    let mut timeline = five_pods();
    timeline.title =
        "Thirty marks within one second, and a title that is much too long for the picture because somebody \
                      wrote a whole paragraph in it instead of a few words, as people do when nobody stops them in time"
            .into();
    let marks = (0..30).map(|index| {
        let words = ["short", "a mark of medium length", "a mark whose author wrote a sentence instead of a word"];
        mark(12 * SECOND + index * 33 * MS, words[index as usize % 3])
    });
    timeline.marks = marks.collect();
    timeline
}

/// Thousands of events and spans in a lane.
pub fn dense_ticks() -> Timeline {
    let luck = &mut Luck(5);
    let mut timeline = five_pods();
    timeline.title = "Dense: a load generator beside the rollout".into();
    for index in 0..20_000u64 {
        let at = index * 30 * SECOND / 20_000;
        let kind = match luck.below(200) {
            0 => TickKind::Error,
            1..60 => TickKind::Write,
            _ => TickKind::Read,
        };
        timeline.lanes[1].ticks.push(tick(at, "GET pods", kind));
    }
    for _ in 0..5_000 {
        let at = luck.below(30_000) * MS;
        timeline.lanes[1].spans.push(span(at, at + luck.between(2 * MS, 400 * MS), "LIST pods", SpanKind::Request));
        timeline.lanes[2].spans.push(span(at, at + luck.between(MS, 9 * MS), "", SpanKind::Write));
    }
    for lane in 3..timeline.lanes.len() {
        for _ in 0..3_000 {
            let at = luck.between(6_000, 24_000) * MS;
            timeline.lanes[lane].ticks.push(tick(at, "", TickKind::Watch));
        }
    }
    timeline
}

/// The first second of a rollout.
pub fn one_second() -> Timeline {
    let mut timeline = five_pods();
    timeline.title = "The first second".into();
    (timeline.start, timeline.end) = (2 * SECOND, 3 * SECOND);
    timeline
}

/// An hour with a rollout, a quiet time, a drain, and a CronJob.
pub fn one_hour() -> Timeline {
    let luck = &mut Luck(23);
    let mut cluster = Cluster::new(3);
    let end = 3_600 * SECOND;
    let start = cluster.apply(60 * SECOND, luck);
    for index in 0..6 {
        cluster.pod(index, start + index as u64 * 9 * MS, 20 * SECOND, end, luck);
    }
    for run in 1..12 {
        let at = run * 300 * SECOND;
        cluster.endpoints.ticks.push(tick(at, "", TickKind::Other));
        let segments = [
            (at, 900 * MS, PodState::Pending),
            (at + 900 * MS, 4 * SECOND, PodState::ContainerCreating),
            (at + 4_900 * MS, 60 * SECOND, PodState::Ready),
            (at + 64_900 * MS, 120 * SECOND, PodState::Succeeded),
        ];
        let segments =
            segments.map(|(start, length, state)| Segment { start, end: (start + length).min(end), state }).to_vec();
        let name = format!("report-{}-q8zrm", 29_000_000 + run * 5);
        let (node, owner) = (Some("worker-2".to_string()), Some("report".to_string()));
        cluster.pods.push(PodBar { name, node, owner, segments });
    }
    let mut timeline = cluster.timeline("One hour with a CronJob", end);
    timeline.marks = vec![mark(60 * SECOND, "apply"), mark(2_700 * SECOND, "drain worker-1")];
    timeline
}

/// No pods and one mark, at the very end.
pub fn one_mark() -> Timeline {
    let mut timeline = five_pods();
    timeline.title = "No pods, one mark".into();
    timeline.pods.clear();
    timeline.marks = vec![mark(30 * SECOND, "the end of the run")];
    timeline
}

/// Nothing at all.
pub fn empty() -> Timeline {
    Timeline { title: "Nothing happened".into(), end: 10 * SECOND, ..Timeline::default() }
}
