//! Probes and lifecycle hooks.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (validateProbe, validateHandler,
//! validateLifecycle).

use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{Errors, Path};
use super::names;

/// What a probe or hook does.
#[derive(Default)]
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

/// A liveness or startup probe: one success is enough.
pub(super) fn restarting_probe(probe: Option<&Probe>, path: &Path<'_>, errors: &mut Errors) {
    let Some(probe) = probe else { return };
    self::probe(probe, path, errors);
    let threshold = probe.success_threshold.unwrap_or_default();
    if threshold != 1 {
        errors.invalid(&path.child("successThreshold"), threshold, "must be 1");
    }
}

/// A readiness probe.
pub(super) fn readiness_probe(probe: Option<&Probe>, path: &Path<'_>, errors: &mut Errors) {
    let Some(probe) = probe else { return };
    self::probe(probe, path, errors);
    if let Some(grace) = probe.termination_grace_period_seconds {
        errors.invalid(&path.child("terminationGracePeriodSeconds"), grace, "must not be set for readinessProbes");
    }
}

fn probe(probe: &Probe, path: &Path<'_>, errors: &mut Errors) {
    let action = Handler {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep: None,
    };
    handler(&action, None, path, errors);
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        errors.non_negative(&path.child(name), i64::from(value.unwrap_or_default()));
    }
    if let Some(grace) = probe.termination_grace_period_seconds.filter(|grace| *grace <= 0) {
        errors.invalid(&path.child("terminationGracePeriodSeconds"), grace, "must be greater than 0");
    }
}

/// The hooks of a container whose pod has `grace` seconds to end.
pub(super) fn lifecycle(lifecycle: Option<&Lifecycle>, grace: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    let Some(lifecycle) = lifecycle else { return };
    let mut hook = |hook: Option<&LifecycleHandler>, path: &Path<'_>| {
        let Some(hook) = hook else { return };
        let action = Handler {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc: None,
            sleep: hook.sleep.as_ref(),
        };
        handler(&action, grace, path, errors);
    };
    hook(lifecycle.post_start.as_ref(), &path.child("postStart"));
    hook(lifecycle.pre_stop.as_ref(), &path.child("preStop"));
}

fn handler(handler: &Handler<'_>, grace: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    let mut handlers = 0;
    let mut first = |name: &str, errors: &mut Errors| {
        handlers += 1;
        if handlers > 1 {
            errors.forbidden(&path.child(name), "may not specify more than 1 handler type");
        }
        handlers == 1
    };
    if let Some(exec) = handler.exec
        && first("exec", errors)
        && exec.command.as_ref().is_none_or(Vec::is_empty)
    {
        errors.required(&path.child("exec").child("command"), "");
    }
    if let Some(get) = handler.http_get
        && first("httpGet", errors)
    {
        http_get(get, &path.child("httpGet"), errors);
    }
    if let Some(socket) = handler.tcp_socket
        && first("tcpSocket", errors)
    {
        port(&socket.port, &path.child("tcpSocket").child("port"), errors);
    }
    if let Some(grpc) = handler.grpc
        && first("grpc", errors)
    {
        port(&IntOrString::Int(grpc.port), &path.child("grpc").child("port"), errors);
    }
    if let Some(sleep) = handler.sleep
        && first("sleep", errors)
        && let Some(grace) = grace
        && (sleep.seconds < 0 || sleep.seconds > grace)
    {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.invalid(&path.child("sleep"), sleep.seconds, detail);
    }
    if handlers == 0 {
        errors.required(path, "must specify a handler type");
    }
}

fn http_get(get: &HTTPGetAction, path: &Path<'_>, errors: &mut Errors) {
    if get.path.as_ref().is_none_or(String::is_empty) {
        errors.required(&path.child("path"), "");
    }
    port(&get.port, &path.child("port"), errors);
    let scheme = get.scheme.as_deref().unwrap_or_default();
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errors.not_supported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in get.http_headers.iter().flatten() {
        errors.invalid_each(&path.child("httpHeaders"), &header.name, &names::http_header(&header.name));
    }
}

fn port(port: &IntOrString, path: &Path<'_>, errors: &mut Errors) {
    match port {
        IntOrString::Int(number) => {
            for rule in names::port_number(i64::from(*number)) {
                errors.invalid(path, *number, rule);
            }
        }
        IntOrString::String(name) => errors.invalid_each(path, name, &names::port_name(name)),
    }
}
