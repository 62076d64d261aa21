//! `leaderElection` of a document.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/component-base/config/v1alpha1/{types,defaults}.go, config/validation/validation.go,
//! client-go/tools/leaderelection/leaderelection.go (NewLeaderElector).

use serde::Deserialize;
use serde_json::Value;

use super::{Result, decode, fail, invalid};
use crate::client::leader::Election;
use crate::kernel::Duration;

const PATH: &str = "leaderElection";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    leader_elect: Option<bool>,
    lease_duration: Option<String>,
    renew_deadline: Option<String>,
    retry_period: Option<String>,
    resource_lock: Option<String>,
    resource_name: Option<String>,
    resource_namespace: Option<String>,
}

/// The election as the document wants it.
pub(super) fn read(value: Option<&Value>) -> Result<Election> {
    let mut election = Election::of("kube-scheduler");
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(election) };
    let document: Document = decode(PATH, value)?;
    election.elects = document.leader_elect.unwrap_or(true);
    for (field, given, place) in [
        ("leaseDuration", document.lease_duration, &mut election.lease),
        ("renewDeadline", document.renew_deadline, &mut election.renew_deadline),
        ("retryPeriod", document.retry_period, &mut election.retry),
    ] {
        if let Some(text) = given {
            *place = duration(field, &text)?;
        }
    }
    for (given, place) in
        [(document.resource_name, &mut election.name), (document.resource_namespace, &mut election.namespace)]
    {
        if let Some(text) = given.filter(|text| !text.is_empty()) {
            *place = text.into();
        }
    }
    if !election.elects {
        return Ok(election);
    }
    let wrong = |field: &str, problem: String| Err(fail(&format!("{PATH}.{field}"), problem));
    if let Some(lock) = document.resource_lock.filter(|lock| lock != "leases") {
        return wrong("resourceLock", invalid(format!("{lock:?}"), "resourceLock value must be \"leases\""));
    }
    if election.lease <= election.renew_deadline {
        return wrong("leaseDuration", "LeaseDuration must be greater than RenewDeadline".to_owned());
    }
    if election.renew_deadline <= election.retry.fraction(12, 10) {
        return wrong("renewDeadline", "renewDeadline must be greater than retryPeriod*JitterFactor (1.2)".to_owned());
    }
    Ok(election)
}

/// A duration as Go writes it: `15s`, `1m30s`, `1.5h`.
fn duration(field: &str, text: &str) -> Result<Duration> {
    let wrong =
        || fail(&format!("{PATH}.{field}"), invalid(format!("{text:?}"), "a duration like \"15s\", above zero"));
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_| wrong())? * seconds;
        rest = tail;
    }
    if !(1e-3..=1e6).contains(&total) {
        return Err(wrong());
    }
    Ok(Duration::from_nanos((total * 1e9) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_out_is_as_upstream_has_it() {
        assert_eq!(read(None), Ok(Election::of("kube-scheduler")));
        let given = json!({"resourceName": "packer", "leaseDuration": "1m0.5s", "leaderElect": true});
        let election = read(Some(&given)).unwrap();
        assert_eq!((&*election.namespace, &*election.name), ("kube-system", "packer"));
        assert_eq!((election.lease, election.retry), (Duration::from_millis(60_500), Duration::from_secs(2)));
        assert!(!read(Some(&json!({"leaderElect": false}))).unwrap().elects);
    }

    #[test]
    fn mistakes_name_their_field() {
        let wrong = |value: Value| read(Some(&value)).unwrap_err().to_string();
        assert!(
            wrong(json!({"leaseDuration": "15"})).starts_with("leaderElection.leaseDuration: Invalid value: \"15\"")
        );
        assert!(wrong(json!({"leaseDuration": "5s"})).contains("greater than RenewDeadline"));
        assert!(wrong(json!({"retryPeriod": "9s"})).starts_with("leaderElection.renewDeadline"));
        assert!(wrong(json!({"resourceLock": "endpoints"})).contains("leases"));
        assert!(wrong(json!({"leaderElct": true})).contains("leaderElct"));
        assert!(wrong(json!({"renewDeadline": "0s"})).contains("above zero"));
    }
}
