//! Counters, samples and scrapes of a pod that is put there by hand.

use super::demand::Curve;
use super::*;
use crate::objects::meta::ObjectMeta;
use crate::objects::pod::PodSpec;
use crate::objects::{Kind, Pod, PodStatus};
use crate::profiles;
use serde_json::json;

const CPU: u64 = 1_000_000_000;

fn s(seconds: u64) -> Instant {
    Instant::START + Duration::from_secs(seconds)
}

struct Bench {
    server: MetricsServer,
    setup: Setup,
}

impl Bench {
    fn new() -> Self {
        Bench { server: MetricsServer::new(RESOLUTION), setup: Setup::new(1, 1, 1, profiles::laptop()) }
    }

    fn change(&mut self, name: &str, started: Option<u64>, ready: bool, at: u64) {
        let spec = json!({"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "500m"}}}]});
        let mut meta = ObjectMeta::named("default", name);
        meta.uid = Uid::random(name.len() as u128 + u128::from(name.as_bytes()[0]));
        let spec = PodSpec::new(serde_json::from_value(spec).expect("a spec"));
        let pod = Pod { meta, spec, node: None, token: None, status: PodStatus::default() };
        let object = Arc::new(Object::Pod(pod));
        let owners = vec![(Kind::Pod, object.key()), (Kind::ReplicaSet, Key::new("default", "web"))];
        let change = PodChange { node: 0, object, started: started.map(s), ready };
        self.server.changed(change, owners, s(at), &self.setup);
    }

    fn load(&mut self, nanos: u64, at: u64) {
        let demand = Demand { cpu: Curve::constant(nanos), ..Demand::default() };
        self.server.set_demand((Kind::ReplicaSet, Key::new("default", "web")), demand, s(at), &self.setup);
    }

    /// Scrapes; then name, CPU [1/1000] and window of each pod that has a usage.
    fn scrape(&mut self, at: u64, answers: bool) -> Vec<(String, i64, u64)> {
        let out = || Effects::new(s(at), Default::default(), 1, Vec::new());
        self.server.scrape(|_| answers, &self.setup, &mut out());
        let mut replies = out();
        self.server.answer(0, 7, &("default".into(), None), &mut replies);
        let action = replies.into_actions().pop();
        let Some(crate::kernel::out::Action::Send {
            event: Event::ApiServer(_, ApiServerEvent::Aggregated { id: 7, value }),
            ..
        }) = action
        else {
            panic!("no answer")
        };
        read(&value)
            .into_iter()
            .map(|usage| (usage.name, usage.containers.iter().map(|it| it.1).sum(), usage.window.as_nanos() / CPU))
            .collect()
    }
}

#[test]
fn a_pod_has_a_usage_once_there_are_two_samples() {
    let mut bench = Bench::new();
    bench.load(CPU / 5, 0);
    bench.change("1", Some(1), true, 1);
    assert_eq!(bench.scrape(5, true), []);
    let seen = bench.scrape(22, true);
    assert!(matches!(&seen[..], [(_, 200, 10..=20)]), "{seen:?}");
}

#[test]
fn ready_pods_share_the_work_up_to_their_limits() {
    let mut bench = Bench::new();
    bench.load(2 * CPU, 0);
    bench.change("1", Some(1), true, 1);
    bench.change("2", Some(1), false, 1);
    bench.scrape(2, true);
    let usage = |seen: Vec<(String, i64, u64)>| seen.into_iter().map(|pod| pod.1).collect::<Vec<_>>();
    assert_eq!(usage(bench.scrape(30, true)), [500, 0], "two CPUs are asked for, half a one is allowed");
    bench.load(CPU / 2, 30);
    bench.change("2", Some(1), true, 30);
    bench.scrape(60, true);
    assert_eq!(usage(bench.scrape(100, true)), [250, 250]);
    bench.change("2", None, false, 100);
    bench.scrape(130, true);
    assert_eq!(usage(bench.scrape(170, true)), [500]);
}

#[test]
fn a_change_shows_as_the_average_over_the_window() {
    let mut bench = Bench::new();
    bench.load(CPU / 10, 0);
    bench.change("1", Some(0), true, 0);
    (1..8).for_each(|n| drop(bench.scrape(n * 15, true)));
    bench.load(4 * CPU / 10, 110);
    let seen: Vec<i64> = (8..12).flat_map(|n| bench.scrape(n * 15, true)).map(|pod| pod.1).collect();
    assert_eq!((seen.first(), seen.last()), (Some(&100), Some(&400)));
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{seen:?}");
}

#[test]
fn a_restart_begins_anew_and_a_silent_kubelet_leaves_a_gap() {
    let mut bench = Bench::new();
    bench.load(CPU / 10, 0);
    bench.change("1", Some(0), true, 0);
    bench.scrape(15, true);
    assert_eq!(bench.scrape(40, true).len(), 1);
    assert_eq!(bench.scrape(55, false), []);
    assert_eq!(bench.scrape(70, true), [], "one sample is no usage");
    assert_eq!(bench.scrape(95, true).len(), 1);
    bench.change("1", Some(96), true, 96);
    assert_eq!(bench.scrape(100, true), []);
    assert_eq!(bench.scrape(120, true).len(), 1);
}
