//! What became of requests over time.

use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::traffic::{Bucket, Flow};
use wavetank_reports::series::{Hue, Line, Panel, Point, Unit};

use crate::script::duration;

/// Most points of a line.
const MOST: usize = 240;

/// The panels of all flows; none if nothing was sent.
pub(super) fn panels(flows: &[Flow], zero: Instant, end: u64) -> Vec<Panel> {
    let sent: Vec<&Flow> = flows.iter().filter(|flow| flow.tally.sent > 0).collect();
    if sent.is_empty() {
        return Vec::new();
    }
    let several = sent.len() > 1;
    let hue =
        |place: usize, alone: Hue| if several { Hue::Member(u8::try_from(place).unwrap_or(u8::MAX)) } else { alone };
    let subject = |flow: &Flow| if several { flow.spec.name.to_string() } else { String::new() };
    let (mut rates, mut latencies, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut widest = Duration::ZERO;
    for (place, flow) in sent.into_iter().enumerate() {
        let (width, buckets) = joined(flow);
        widest = widest.max(width);
        let start = flow.history.start().since(zero).as_nanos();
        let points = |value: &dyn Fn(&Bucket, u64) -> Option<u64>| -> Vec<Point> {
            let each = (0u64..).zip(&buckets).map(|(n, bucket)| {
                let (from, to) = (start + n * width.as_nanos(), (start + (n + 1) * width.as_nanos()).min(end));
                let length = to.saturating_sub(from).max(1);
                Point { at: from + length / 2, value: value(bucket, length) }
            });
            each.filter(|point| point.at <= end).collect()
        };
        let rate =
            |count: u64, length: u64| u64::try_from(u128::from(count) * 1_000_000_000_000 / u128::from(length)).ok();
        let line = |hue, statistic: &str, light, points| Line {
            subject: subject(flow),
            statistic: statistic.to_owned(),
            hue,
            light,
            points,
        };
        rates.push(line(hue(place, Hue::Plain), "served", false, points(&|it, length| rate(it.served, length))));
        if flow.tally.lost() > 0 {
            let hue = hue(place, Hue::Error);
            rates.push(line(hue, "lost", several, points(&|it, length| rate(it.lost, length))));
        }
        for (statistic, parts, light) in [("p50", 500, false), ("p99", 990, true)] {
            let quantiles = points(&|it, _| it.latency.quantile(parts).map(Duration::as_nanos));
            latencies.push(line(hue(place, Hue::Plain), statistic, light, quantiles));
        }
        waiting.push(line(hue(place, Hue::Plain), "", false, points(&|it, _| Some(it.in_flight))));
    }
    let over = duration::text(widest.as_nanos());
    let panel = |name: &str, title: &str, detail: String, unit, lines| Panel {
        name: name.to_owned(),
        title: title.to_owned(),
        detail,
        unit,
        lines,
        ..Panel::default()
    };
    let quantiles = format!("median strong, 99th percentile light, over {over}; of those served");
    vec![
        panel("traffic_requests", "Traffic: requests", format!("per second, over {over}"), Unit::PerSecond, rates),
        panel("traffic_latency", "Traffic: latency", quantiles, Unit::Duration, latencies),
        panel("traffic_in_flight", "Traffic: under way", format!("every {over}"), Unit::Count, waiting),
    ]
}

/// The buckets of a flow, joined so that there are few enough.
fn joined(flow: &Flow) -> (Duration, Vec<Bucket>) {
    let buckets = flow.history.buckets();
    let each = buckets.len().div_ceil(MOST).max(1);
    let join = |part: &[Bucket]| {
        let mut whole = Bucket::default();
        for bucket in part {
            whole.sent += bucket.sent;
            whole.served += bucket.served;
            whole.lost += bucket.lost;
            whole.retried += bucket.retried;
            whole.latency.merge(&bucket.latency);
            whole.in_flight = whole.in_flight.max(bucket.in_flight);
        }
        whole
    };
    (flow.history.width().times(each as u64), buckets.chunks(each).map(join).collect())
}
