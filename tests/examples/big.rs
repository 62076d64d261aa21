//! One Deployment with many pods on many nodes: `big NODES PODS` prints events, wall time and peak memory.

use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::Kind;
use wavetank_engine::trace::TraceLevel;
use wavetank_engine::{Setup, World, profiles};
use wavetank_tests::workload::deployment;

#[expect(clippy::disallowed_types, reason = "wall time is what is measured")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap_or_else(|_| usage()));
    let (Some(nodes), Some(pods)) = (numbers.next(), numbers.next()) else { usage() };
    let mut setup = Setup::new(1, nodes, 1, profiles::production());
    setup.trace = TraceLevel::FingerprintOnly;
    let began = clock();
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + Duration::from_secs(14));
    println!("{nodes} nodes ready: {} events, {:.3} s", world.handled(), began.elapsed().as_secs_f64());
    let (began, before, start) = (clock(), world.handled(), world.now());
    world.send(deployment(pods), RecordId(0), Duration::ZERO);
    loop {
        world.run_until(world.now() + Duration::from_secs(1));
        let ready = world.objects(Kind::Pod).iter().filter(|pod| pod.as_pod().is_some_and(|pod| pod.ready())).count();
        if ready >= pods {
            break;
        }
        if world.now().since(start) > Duration::from_secs(86_400) {
            println!("only {ready} of {pods} pods are ready after a day");
            break;
        }
    }
    let (events, took) = (world.handled() - before, began.elapsed().as_secs_f64());
    println!("{pods} pods ready after {:.0} s of virtual time", world.now().since(start).as_secs_f64());
    println!("{events} events in {took:.3} s, {:.0} events per second", events as f64 / took);
    println!("fingerprint {:016x}", world.trace().fingerprint());
    if let Some(peak) = peak_memory() {
        println!("peak memory {peak}");
    }
}

fn usage() -> ! {
    eprintln!("usage: big NODES PODS");
    std::process::exit(2)
}

#[expect(clippy::disallowed_methods, reason = "the kernel tells the peak in a file")]
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|text| text.trim().to_owned())
}
