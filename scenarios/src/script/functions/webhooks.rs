//! Admission webhooks: functions of the script that the API server asks about requests.

use super::super::closures::Role;
use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::super::words::CommandLine;
use super::commands::foreground;
use super::controllers::{described, register};
use super::{Call, Function, Group, Receiver};
use crate::spec::webhooks as spec;
use crate::transcript::Kind;
use rhai::Dynamic;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "webhook",
        group: Group::Controllers,
        signatures: &["webhook(name, #{ … })"],
        summary: "Puts an admission webhook before the API server: applies a MutatingWebhookConfiguration or \
            ValidatingWebhookConfiguration of that name, and runs the program behind it, which is `admit`. It is called with the \
            `request` of the AdmissionReview: `request.operation`, `request.kind.kind`, `request.name`, `request.namespace`, \
            `request.object`, `request.oldObject`, `request.userInfo.username`. The webhook's own name is `NAME.wavetank.dev`, unless the \
            name has dots. `kubectl delete` of the configuration ends it. What the calls take counts as admission in the trace.",
        example: "webhook(\"no-latest\", #{\n    rules: [#{ resources: [\"pods\"], operations: [\"CREATE\"] }],\n    admit: \
            |request| {\n        for container in request.object.spec.containers {\n            if container.image.ends_with(\":latest\") { \
            return deny(\"the image \" + container.image + \" has no fixed tag\"); }\n        }\n        allow()\n    }\n});",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: webhook,
    },
    Function {
        name: "webhook_down",
        group: Group::Faults,
        signatures: &["webhook_down(name)"],
        summary: "The program behind a webhook is gone, its configuration is not: connections are refused until `webhook_up`. With \
            `failurePolicy: Fail` what it would have been asked about is refused, too.",
        example: "webhook_down(\"sidecar\");\nrun_for(\"1m\");\nwebhook_up(\"sidecar\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: webhook_down,
    },
    Function {
        name: "webhook_slow",
        group: Group::Faults,
        signatures: &["webhook_slow(name, latency)"],
        summary: "The program behind a webhook takes so long for each answer, until `webhook_up`. From its configuration's timeout on \
            the call has failed.",
        example: "webhook_slow(\"sidecar\", \"8s\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: webhook_slow,
    },
    Function {
        name: "webhook_up",
        group: Group::Faults,
        signatures: &["webhook_up(name)"],
        summary: "The program behind a webhook that was down or slow is well again.",
        example: "webhook_up(\"sidecar\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: webhook_up,
    },
];

fn webhook(call: &Call<'_>) -> Fallible<Dynamic> {
    let name = call.text(0, "name")?;
    let (map, mut functions) = described(call, &["admit"])?;
    let described = spec::webhook(&name, &map).map_err(|text| Problem::with_lines(&text))?;
    let Some(admit) = functions.remove(0) else {
        return Err(Problem::new(format!("the webhook `{name}` has no `admit`"))
            .hint("give it a closure: admit: |request| { allow() }")
            .into());
    };
    {
        let mut host = borrow(call.host);
        let full = described.server.name.clone();
        register(&mut host, call, vec![(Role::Webhook, admit)], &full)?;
        host.session()?.world_mut().add_webhook_server(described.server);
    }
    let manifest = crate::kubectl::yaml_text(&described.configuration);
    let words = ["apply", "-f", "-"].map(String::from).to_vec();
    foreground(call, CommandLine { program: None, words, shown: "apply -f -".into(), stdin: Some(manifest) })
}

fn webhook_down(call: &Call<'_>) -> Fallible<Dynamic> {
    let name = call.text(0, "name")?;
    act(call, |session| session.webhook_down(&name))
}

fn webhook_slow(call: &Call<'_>) -> Fallible<Dynamic> {
    let (name, latency) = (call.text(0, "name")?, call.duration(1)?);
    act(call, |session| session.webhook_slow(&name, latency))
}

fn webhook_up(call: &Call<'_>) -> Fallible<Dynamic> {
    let name = call.text(0, "name")?;
    act(call, |session| session.webhook_up(&name))
}

fn act(
    call: &Call<'_>,
    what: impl FnOnce(&mut crate::session::Session) -> Result<String, String>,
) -> Fallible<Dynamic> {
    let mut host = borrow(call.host);
    let text = what(host.session()?).map_err(|text| Problem::with_lines(&text))?;
    host.say(Kind::Fault, &text)?;
    Ok(Dynamic::UNIT)
}
