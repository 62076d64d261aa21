//! `kubectl describe` of ResourceQuotas and LimitRanges, and of the Namespaces they are in.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeQuota`,
//! `describeLimitRange`, `describeNamespace`, `DescribeResourceQuotas`, `DescribeLimitRanges`).

use serde_json::Value;

use super::super::builder::CHUNK;
use super::super::json::{amounts, list, name, strings, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step};
use super::super::{ApiCall, ApiVerb};
use super::{annotations, labels, put, template, timed_conditions};

/// The whole of it: events are not shown.
pub(super) fn quota(object: &Value) -> String {
    let mut out = template::heading(object);
    scopes(&mut out, object, "", " * ");
    out.push_str("Resource\tUsed\tHard\n--------\t----\t----\n");
    rows(&mut out, object, "");
    out
}

fn rows(out: &mut String, quota: &Value, indent: &str) {
    let used = amounts(quota, "/status/used");
    for (resource, hard) in amounts(quota, "/status/hard") {
        let used = used.iter().find(|(name, _)| *name == resource).map_or("0", |(_, used)| used.as_str());
        out.push_str(&format!("{indent}{resource}\t{used}\t{hard}\n"));
    }
}

fn scopes(out: &mut String, quota: &Value, indent: &str, mark: &str) {
    let mut scopes = strings(quota, "/spec/scopes");
    if scopes.is_empty() {
        return;
    }
    scopes.sort_unstable();
    put(out, &format!("{indent}Scopes"), scopes.join(", "));
    for scope in scopes {
        let text = match scope {
            "Terminating" => {
                "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before \
                 being actively terminated by the system."
            }
            "NotTerminating" => {
                "Matches all pods that do not have an active deadline. These pods usually include long running pods \
                 whose container command is not expected to terminate."
            }
            "BestEffort" => {
                "Matches all pods that do not have resource requirements set. These pods have a best effort quality \
                 of service."
            }
            "NotBestEffort" => {
                "Matches all pods that have at least one resource requirement set. These pods have a burstable or \
                 guaranteed quality of service."
            }
            _ => continue,
        };
        out.push_str(&format!("{mark}{text}\n"));
    }
}

const LIMIT_TITLES: &str = "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n";
const LIMIT_DASHES: &str = "----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n";

/// The whole of it: events are not shown.
pub(super) fn limit_range(object: &Value) -> String {
    let mut out = template::heading(object);
    out.push_str(LIMIT_TITLES);
    out.push_str(LIMIT_DASHES);
    limits(&mut out, object, "");
    out
}

/// The rows of a LimitRange. The real kubectl walks a Go map, whose order is chance; here they are sorted.
fn limits(out: &mut String, range: &Value, indent: &str) {
    const FIELDS: [&str; 5] = ["/min", "/max", "/defaultRequest", "/default", "/maxLimitRequestRatio"];
    for item in list(range, "/spec/limits") {
        let columns = FIELDS.map(|field| amounts(item, field));
        let mut resources: Vec<&String> = columns.iter().flatten().map(|(resource, _)| resource).collect();
        resources.sort();
        resources.dedup();
        for resource in resources {
            out.push_str(&format!("{indent}{}\t{resource}", text(item, "/type")));
            for column in &columns {
                let value = column.iter().find(|(name, _)| name == resource).map_or("-", |(_, value)| value.as_str());
                out.push_str(&format!("\t{value}"));
            }
            out.push('\n');
        }
    }
}

/// The whole of it: events are not shown.
pub(super) fn namespace(session: &mut Session, object: &Value) -> Step<String> {
    let list_in = |session: &mut Session, resource: Resource| -> Step<Vec<Value>> {
        let call = ApiCall { limit: Some(CHUNK), ..resource.call(ApiVerb::List, Some(name(object))) };
        Ok(session.list(call)?.items().cloned().collect())
    };
    let mut quotas = list_in(session, Resource::RESOURCEQUOTAS)?;
    let ranges = list_in(session, Resource::LIMITRANGES)?;
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "Status", text(object, "/status/phase"));
    timed_conditions(&mut out, object);
    out.push('\n');
    quotas.sort_by(|a, b| name(a).cmp(name(b)));
    out.push_str(if quotas.is_empty() { "No resource quota.\n" } else { "Resource Quotas\n" });
    for quota in &quotas {
        put(&mut out, "  Name", name(quota));
        scopes(&mut out, quota, "  ", "  * ");
        out.push_str("  Resource\tUsed\tHard\n  --------\t---\t---\n");
        rows(&mut out, quota, "  ");
    }
    out.push('\n');
    if ranges.is_empty() {
        out.push_str("No LimitRange resource.\n");
    } else {
        out.push_str(&format!("Resource Limits\n {LIMIT_TITLES} {LIMIT_DASHES}"));
    }
    for range in &ranges {
        limits(&mut out, range, " ");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tabwriter::align;
    use super::*;

    #[test]
    fn what_a_limit_range_leaves_open_is_a_dash() {
        let range = json!({"metadata": {"name": "l", "namespace": "team-a"}, "spec": {"limits": [{"type": "Container",
            "min": {"cpu": "50m", "memory": "32Mi"}, "max": {"cpu": "1"}, "default": {"cpu": "500m"}}]}});
        let expected = "\
Name:       l
Namespace:  team-a
Type        Resource  Min   Max  Default Request  Default Limit  Max Limit/Request Ratio
----        --------  ---   ---  ---------------  -------------  -----------------------
Container   cpu       50m   1    -                500m           -
Container   memory    32Mi  -    -                -              -
";
        assert_eq!(align(&limit_range(&range)), expected);
    }

    #[test]
    fn a_quota_lists_what_is_used() {
        let quota = json!({"metadata": {"name": "q", "namespace": "n"}, "spec": {"scopes": ["BestEffort"]},
            "status": {"hard": {"pods": "2"}, "used": {"pods": "1"}}});
        let text = self::quota(&quota);
        assert!(text.contains("Scopes:\tBestEffort\n * Matches all pods that do not have resource"), "{text}");
        assert!(text.ends_with("Resource\tUsed\tHard\n--------\t----\t----\npods\t1\t2\n"), "{text}");
    }
}
