//! `kubectl autoscale`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/autoscale/autoscale.go.

use serde_json::{Value, json};

use super::builder::{Info, infos};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, create, quantity};

pub(crate) const FLAGS: &[Flag] = &[
    ("min", ' ', Takes::Int(32)),
    ("max", ' ', Takes::Int(32)),
    ("cpu-percent", ' ', Takes::Int(32)),
    ("cpu", ' ', Takes::Text),
    ("memory", ' ', Takes::Text),
    ("name", ' ', Takes::Text),
    ("save-config", ' ', Takes::Bool),
];

pub(crate) fn autoscale(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["max"])?;
    if args.has("cpu-percent") {
        session.error_line(
            "Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity format (e.g., \
             '70%' for utilization or '500m' for milliCPU).",
        );
    }
    let dry_run = args.dry_run()?;
    let (least, most) = (args.int("min").unwrap_or(-1), args.int("max").unwrap_or(-1));
    if most < 1 {
        let text = format!("--max=MAXPODS is required and must be at least 1, max: {most}");
        return Err(Failure::Message(text).into());
    }
    if most < least {
        let text = format!("--max=MAXPODS must be larger or equal to --min=MINPODS, max: {most}, min: {least}");
        return Err(Failure::Message(text).into());
    }
    let percent = args.int("cpu-percent").filter(|percent| *percent > 0);
    if percent.is_some() && args.given("cpu").is_some() {
        return Err(Failure::message("--cpu-percent and --cpu are mutually exclusive").into());
    }
    let metrics = metrics(args, percent)?;
    let (found, failures) = infos(session, args, &args.words)?;
    Failure::collect(failures)?;
    for info in &found {
        autoscale_one(session, args, info, &metrics, dry_run)?;
    }
    if found.is_empty() {
        return Err(Failure::message("no objects passed to autoscale").into());
    }
    Ok(())
}

fn metrics(args: &Args, percent: Option<i64>) -> Result<Vec<Value>, Failure> {
    let metric = |name: &str, target: Value| json!({"resource": {"name": name, "target": target}, "type": "Resource"});
    let mut metrics = Vec::new();
    if let Some(percent) = percent {
        metrics.push(metric("cpu", json!({"averageUtilization": percent, "type": "Utilization"})));
    }
    for (name, unit) in [("cpu", "m"), ("memory", "Mi")] {
        if let Some(text) = args.given(name) {
            metrics.push(metric(name, target(text.trim(), name, unit)?));
        }
    }
    Ok(metrics)
}

/// `70%` is a share of the request; a number without a unit gets the resource's usual one.
fn target(text: &str, name: &str, unit: &str) -> Result<Value, Failure> {
    if let Some(percent) = text.strip_suffix('%') {
        let number: i32 = percent.parse().map_err(|_| Failure::message(format!("invalid percentage value: {text}")))?;
        if number < 0 {
            return Err(Failure::message(format!("invalid percentage value: {text}")));
        }
        return Ok(json!({"averageUtilization": number, "type": "Utilization"}));
    }
    let plain = text.parse::<f64>().is_ok();
    let written = if plain { format!("{text}{unit}") } else { text.to_string() };
    let amount = quantity::canonical(&written)
        .map_err(|_| Failure::message(format!("invalid resource {name} value: {text}")))?;
    Ok(json!({"averageValue": amount, "type": "AverageValue"}))
}

fn autoscale_one(session: &mut Session, args: &Args, info: &Info, metrics: &[Value], dry_run: DryRun) -> Step<()> {
    let resource = info.resource;
    if !matches!(resource.plural, "deployments" | "replicasets" | "statefulsets" | "replicationcontrollers") {
        let (group, version, plural) = (resource.group, resource.version, resource.plural);
        return Err(Failure::message(format!(
            "cannot autoscale a {}: could not find scale subresource for {group}/{version}, Resource={plural} in \
             discovery information",
            resource.kind
        ))
        .into());
    }
    let name = args.given("name").unwrap_or_else(|| info.name.clone());
    let target = json!({"apiVersion": resource.api_version(), "kind": resource.kind, "name": info.name});
    let mut spec = json!({"maxReplicas": args.int("max"), "scaleTargetRef": target});
    if let Some(least) = args.int("min").filter(|least| *least > 0) {
        spec["minReplicas"] = least.into();
    }
    if !metrics.is_empty() {
        spec["metrics"] = Value::Array(metrics.to_vec());
    }
    let mut object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name}, "spec": spec});
    let namespace = session.globals.namespace().to_string();
    if session.globals.namespace.is_some() {
        object["metadata"]["namespace"] = namespace.clone().into();
    }
    let autoscalers = Resource::HORIZONTALPODAUTOSCALERS;
    if dry_run == DryRun::Client {
        object["status"] = json!({"currentMetrics": null, "desiredReplicas": 0});
        return create::say(session, args, &autoscalers, &object, "created", dry_run);
    }
    let body = if args.bool("save-config") { super::apply::with_last_applied(&object) } else { object };
    let call = ApiCall {
        body: Some(body),
        dry_run: dry_run == DryRun::Server,
        field_manager: Some(args.text_or("field-manager", "kubectl-autoscale").into()),
        ..autoscalers.call(ApiVerb::Create, Some(&namespace))
    };
    let created = attempt(session.call(call))?.map_err(|failure| refused(args, failure))?.clone();
    create::say(session, args, &autoscalers, &created, "autoscaled", dry_run)
}

/// kubectl tries autoscaling/v1 next, where that can say the same; it will be refused for the same reason.
fn refused(args: &Args, failure: Failure) -> Failure {
    let what = "failed to create autoscaling/v2 HPA and the configuration is incompatible with autoscaling/v1";
    let (cpu, memory) = (args.text("cpu"), args.text("memory"));
    match cpu {
        "" => Failure::message(format!("{what}: empty input")),
        cpu if memory.is_empty() && cpu.ends_with('%') => failure,
        _ => Failure::message(format!("{what}: %!w(<nil>)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_shares_or_amounts() {
        let of = |text: &str| target(text, "cpu", "m").map(|t| t.to_string()).map_err(|failure| failure.text());
        assert_eq!(of("50%"), Ok(r#"{"averageUtilization":50,"type":"Utilization"}"#.into()));
        assert_eq!(of("500"), Ok(r#"{"averageValue":"500m","type":"AverageValue"}"#.into()));
        assert_eq!(of("2"), Ok(r#"{"averageValue":"2m","type":"AverageValue"}"#.into()));
        assert_eq!(of("x"), Err("invalid resource cpu value: x".into()));
    }
}
