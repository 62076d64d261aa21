//! The block `Events:` of `describe`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`DescribeEvents`), pkg/util/event/
//! sorted_event_list.go.

use serde_json::Value;

use super::super::ApiCall;
use super::super::ApiVerb;
use super::super::builder::CHUNK;
use super::super::duration::{age, parse_time};
use super::super::go_sort;
use super::super::json::{name, namespace, number, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};

/// Lists the events about an object and lays them out; a refused list is passed over in silence.
pub(super) fn of(session: &mut Session, kind: &str, object: &Value) -> Step<String> {
    let mut selector = format!("involvedObject.kind={kind},involvedObject.name={}", name(object));
    let namespace = Some(namespace(object)).filter(|n| !n.is_empty());
    if let Some(namespace) = namespace {
        selector.push_str(&format!(",involvedObject.namespace={namespace}"));
    }
    // A kubelet's events about its node carry the node's name as the uid.
    if kind != "Node" {
        selector.push_str(&format!(",involvedObject.uid={}", text(object, "/metadata/uid")));
    }
    let call = ApiCall {
        field_selector: Some(selector),
        limit: Some(CHUNK),
        ..Resource::EVENTS.call(ApiVerb::List, namespace)
    };
    match attempt(session.list(call))? {
        Ok(found) => Ok(lay_out(found.items().collect(), session.now)),
        Err(_) => Ok(String::new()),
    }
}

fn lay_out(mut events: Vec<&Value>, now: i64) -> String {
    if events.is_empty() {
        return "Events:\t<none>\n".into();
    }
    go_sort::sort(&mut events, |a, b| last_seen(a) < last_seen(b));
    let mut out = String::from("Events:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------\n");
    for event in events {
        let source = match text(event, "/source/component") {
            "" => text(event, "/reportingComponent"),
            component => component,
        };
        let path = text(event, "/involvedObject/fieldPath");
        let prefix = if path.is_empty() { String::new() } else { format!("{path}: ") };
        out.push_str(&format!(
            "  {}\t{}\t{}\t{source}\t{prefix}{}\n",
            text(event, "/type"),
            text(event, "/reason"),
            interval(event, now),
            text(event, "/message").trim()
        ));
    }
    out
}

fn last_seen(event: &Value) -> Option<i64> {
    parse_time(text(event, "/lastTimestamp"))
}

/// `2s (x4 over 40s)`
pub(crate) fn interval(event: &Value, now: i64) -> String {
    let first = match text(event, "/eventTime") {
        "" => age(text(event, "/firstTimestamp"), now),
        time => age(time, now),
    };
    let (series, count) = (number(event, "/series/count"), number(event, "/count"));
    if event.get("series").is_some_and(Value::is_object) {
        format!("{} (x{series} over {first})", age(text(event, "/series/lastObservedTime"), now))
    } else if count > 1 {
        format!("{} (x{count} over {first})", age(text(event, "/lastTimestamp"), now))
    } else {
        first
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_events_show_both_ages() {
        let event = json!({"type": "Normal", "reason": "Pulled", "count": 4, "firstTimestamp": "1970-01-01T00:00:02Z",
            "lastTimestamp": "1970-01-01T00:00:40Z", "source": {"component": "kubelet"}, "message": " m\n",
            "involvedObject": {"fieldPath": "spec.containers{a}"}});
        assert!(
            lay_out(vec![&event], 42_000_000_000)
                .ends_with("  Normal\tPulled\t2s (x4 over 40s)\tkubelet\tspec.containers{a}: m\n")
        );
    }
}
