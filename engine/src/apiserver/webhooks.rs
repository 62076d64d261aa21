//! Admission webhooks: who is asked about a request, what is asked, and what comes of the answers.
//!
//! A write that the registry has made something of is held until its webhooks have spoken: first those that may change it, one after the
//! other in the order of their configurations' names (and once more those that want to see what later ones changed), then, with what
//! became of it, those that only judge, all at once. What they take counts as admission. A server without configurations looks at two
//! empty lists for each write and does nothing else.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/{generic/webhook,mutating/dispatcher,
//! validating/dispatcher,errors/statuserror,predicates/*}.go, pkg/util/webhook/webhook.go. Left out: evictions and bindings are not
//! reviewed, match conditions, calls anew for each try of a write, connections (a call is its latency), admission policies (CEL).

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Body, Request, Subresource, Verb};
use super::status::Status;
use super::{ApiServer, ApiServerEvent, InFlight, patch, registry};
use crate::client::Agent;
use crate::event::{Effects, Event};
use crate::kernel::latency::Latency;
use crate::kernel::{Duration, hash_bytes};
use crate::objects::custom::{FailurePolicy, Webhook};
use crate::objects::selector::Selector;
use crate::objects::{Key, Kind, Labels, Name, Object, Uid, json as api_json};
use crate::setup::Setup;
use crate::trace::note::WebhookCall;
use crate::trace::{Note, What};

/// The program behind a webhook.
#[derive(Clone, Debug)]
pub struct WebhookServer {
    /// The webhook's name, under which the user's function is registered.
    pub name: Name,
    /// From the call to the answer.
    pub latency: Latency,
    /// What is wrong with it.
    pub trouble: WebhookTrouble,
}

/// What is wrong with the program behind a webhook.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WebhookTrouble {
    /// Nothing.
    #[default]
    None,
    /// Nobody takes its connections.
    Down,
    /// Each answer takes so long.
    Slow(Duration),
}

/// From the call to a refused connection. – estimate.
const REFUSED: Duration = Duration::from_millis(1);

/// A write that webhooks look at.
#[derive(Clone, Debug)]
pub(super) struct Review {
    stage: Stage,
    /// The webhooks of this stage, in order.
    webhooks: Vec<Webhook>,
    /// How many of them have answered, or which is being asked.
    next: usize,
    /// What they look at.
    object: Value,
    old: Value,
    /// The answers of calls under way.
    answers: Vec<Option<Answer>>,
    /// The last webhook that changed something.
    changed: Option<usize>,
    /// Whether this is the second round.
    again: bool,
    /// The first refusal, of those that are asked all at once.
    refused: Option<Status>,
    /// What they warn of.
    pub(super) warnings: Vec<String>,
    /// How many calls there have been: the address of their luck.
    calls: u64,
}

/// How far a review is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Mutating,
    /// What the registry makes of the change is to be judged.
    Mutated,
    Validating,
    Done,
}

/// What came of a call.
#[derive(Clone, Debug)]
enum Answer {
    /// The response of the review.
    Response(Value),
    /// It failed.
    Failed(String),
}

impl ApiServer {
    /// Whether webhooks have to speak before a write is carried out; it goes on when they have.
    pub(super) fn reviewed(
        &mut self,
        id: u64,
        current: Option<&Arc<Object>>,
        write: &Result<registry::Write, Status>,
        setup: &Setup,
        out: &mut Effects,
    ) -> bool {
        if self.cache.len(Kind::MUTATING_WEBHOOKS) + self.cache.len(Kind::VALIDATING_WEBHOOKS) == 0 {
            return false;
        }
        let Some(flight) = self.in_flight.get(&id) else { return false };
        let stage = flight.review.as_ref().map(|review| review.stage);
        if exempt(&flight.request) || stage == Some(Stage::Done) || !self.asks_about(&flight.request) {
            return false;
        }
        let Some((object, labels)) = subject(&flight.request, write) else { return false };
        let old = if flight.request.verb == Verb::Create { None } else { current };
        let candidate =
            Candidate { request: &flight.request, object: labels.as_ref(), old: old.map(|old| &*old.meta().labels) };
        let mutating = if stage.is_none() { self.matching(Kind::MUTATING_WEBHOOKS, &candidate) } else { Vec::new() };
        let (stage, webhooks) = match mutating.is_empty() {
            false => (Stage::Mutating, mutating),
            true if write.is_err() => return false,
            true => (Stage::Validating, self.matching(Kind::VALIDATING_WEBHOOKS, &candidate)),
        };
        let old = old.map_or(Value::Null, |old| api_json::to_json(old));
        // Who may change a new object sees it before it has what the server gives it (rest.BeforeCreate comes later).
        let sent = stage == Stage::Mutating && flight.request.verb == Verb::Create;
        let object = if sent { as_sent(&flight.request, object) } else { object };
        let Some(flight) = self.in_flight.get_mut(&id) else { return false };
        let before = flight.review.take();
        let review = Review {
            stage,
            next: 0,
            object,
            old,
            answers: vec![None; webhooks.len()],
            webhooks,
            changed: None,
            again: false,
            refused: None,
            calls: before.as_ref().map_or(0, |review| review.calls),
            warnings: before.map(|review| review.warnings).unwrap_or_default(),
        };
        let nobody = review.webhooks.is_empty();
        flight.review = Some(Box::new(if nobody { Review { stage: Stage::Done, ..review } } else { review }));
        if nobody {
            return false;
        }
        let all =
            if stage == Stage::Validating { flight.review.as_ref().map_or(0, |one| one.webhooks.len()) } else { 1 };
        (0..all).for_each(|place| self.call_webhook(id, place, setup, out));
        true
    }

    /// Whether some webhook has a rule about requests like this one, whatever it says of labels.
    fn asks_about(&self, request: &Request) -> bool {
        let all =
            [Kind::MUTATING_WEBHOOKS, Kind::VALIDATING_WEBHOOKS].into_iter().flat_map(|kind| self.cache.all(kind));
        all.filter_map(|object| object.as_custom())
            .flat_map(|one| one.webhooks())
            .any(|webhook| webhook.covers(request))
    }

    /// The webhooks that a request concerns, in the order of their configurations' names.
    fn matching(&self, kind: Kind, candidate: &Candidate<'_>) -> Vec<Webhook> {
        let configurations = self.cache.all(kind).filter_map(|object| object.as_custom());
        let all = configurations.flat_map(|one| one.webhooks());
        all.filter(|webhook| candidate.concerns(webhook, |name| self.namespace_labels(name))).cloned().collect()
    }

    fn namespace_labels(&self, name: &Name) -> Option<&Labels> {
        let key = Key { namespace: "".into(), name: name.clone() };
        self.cache.get(Kind::Namespace, &key).map(|namespace| &*namespace.meta().labels)
    }

    /// Calls a webhook of the stage. Its answer is known at once and heard when it has come.
    fn call_webhook(&mut self, id: u64, place: usize, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let counter = flight.request.sequence << 8 | flight.review.as_ref().map_or(0, |review| review.calls);
        let luck = |purpose: &'static str| setup.luck("kube-apiserver", purpose, flight.request.agent.name(), counter);
        let mut id_luck = luck("review");
        let uid = Uid::random(u128::from(id_luck.bits()) << 64 | u128::from(id_luck.bits()));
        let luck = luck("webhook");
        let Some(review) = &mut flight.review else { return };
        let Some(webhook) = review.webhooks.get(place).cloned() else { return };
        review.calls += 1;
        let request = Arc::new(asked(&flight.request, review, uid));
        let (after, answer) = call(&webhook, &request, luck, setup);
        let text: Arc<str> = match &answer {
            Answer::Failed(why) => why.as_str().into(),
            Answer::Response(response) if response["allowed"] == false => "denied".into(),
            Answer::Response(response) if changes(response) => "changed".into(),
            Answer::Response(_) => "allowed".into(),
        };
        if let Some(slot) = review.answers.get_mut(place) {
            *slot = Some(answer);
        }
        out.because(flight.record);
        let what = What::Webhook(Box::new(WebhookCall { webhook: webhook.name.clone(), outcome: text, took: after }));
        let record =
            out.note(Note::about(Agent::ApiServer(self.me), flight.request.kind, flight.request.key.clone(), what));
        out.because(record);
        out.after(after, Event::ApiServer(self.me, ApiServerEvent::Reviewed { id, webhook: place as u16 }));
    }

    /// A webhook has answered, or has not in time.
    pub(super) fn webhook_answered(&mut self, id: u64, place: usize, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let kind = flight.request.kind;
        let Some(review) = &mut flight.review else { return };
        let Some(answer) = review.answers.get_mut(place).and_then(Option::take) else { return };
        let Some(webhook) = review.webhooks.get(place).cloned() else { return };
        let verdict = review.take_in(&webhook, place, answer, kind);
        match (review.stage, verdict) {
            (Stage::Mutating, Err(status)) => return self.end_review(id, Some(status), setup, out),
            (Stage::Mutating, Ok(())) => {
                if let Some(next) = review.after(place) {
                    return self.call_webhook(id, next, setup, out);
                }
                review.stage = Stage::Mutated;
                if review.changed.is_some() && kind != Kind::Event {
                    let object = resubmitted(&flight.request, review.object.clone());
                    flight.request.body = Body::Json(Arc::new(object));
                }
            }
            (_, verdict) => {
                if let Err(status) = verdict {
                    review.refused.get_or_insert(status);
                }
                review.next += 1;
                if review.next < review.webhooks.len() {
                    return;
                }
                let refused = review.refused.take();
                review.stage = Stage::Done;
                if refused.is_some() {
                    return self.end_review(id, refused, setup, out);
                }
            }
        }
        self.end_review(id, None, setup, out);
    }

    /// The webhooks of a stage have spoken: the request goes on, or it is refused.
    fn end_review(&mut self, id: u64, refused: Option<Status>, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let now = out.now();
        flight.steps[super::in_flight::ADMISSION] += now.since(flight.since);
        flight.since = now;
        out.because(flight.record);
        if let Some(status) = refused {
            return self.reply(id, Err(status), out);
        }
        self.proceed(id, setup, out);
    }
}

/// A request that webhooks may concern.
struct Candidate<'a> {
    request: &'a Request,
    object: Option<&'a Labels>,
    old: Option<&'a Labels>,
}

impl Candidate<'_> {
    fn concerns<'l>(&self, webhook: &Webhook, namespace: impl Fn(&Name) -> Option<&'l Labels>) -> bool {
        let request = self.request;
        if !webhook.covers(request) {
            return false;
        }
        let either =
            |selector: &Selector| [self.object, self.old].into_iter().flatten().any(|labels| selector.matches(labels));
        if !either(&webhook.objects) {
            return false;
        }
        if request.kind == Kind::Namespace {
            return either(&webhook.namespaces);
        }
        !request.kind.namespaced()
            || namespace(&request.key.namespace).is_none_or(|labels| webhook.namespaces.matches(labels))
    }
}

impl Webhook {
    /// Whether one of its rules is about requests like this one.
    fn covers(&self, request: &Request) -> bool {
        let (operation, part) = (operation(request.verb), request.subresource.as_str());
        self.rules.iter().any(|rule| rule.matches(operation, request.kind, part))
    }
}

fn operation(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "CREATE",
        Verb::Delete | Verb::DeleteCollection => "DELETE",
        _ => "UPDATE",
    }
}

/// Configurations of webhooks are not subject to webhooks, lest nobody could take one away; nor is what is not stored.
fn exempt(request: &Request) -> bool {
    matches!(request.kind, Kind::MUTATING_WEBHOOKS | Kind::VALIDATING_WEBHOOKS)
        || matches!(request.subresource, Subresource::Token | Subresource::Eviction | Subresource::Binding)
        || !request.verb.mutating()
}

/// What webhooks look at: the object that would be written, and its labels. What only a webhook can make valid they see as it was sent.
fn subject(request: &Request, write: &Result<registry::Write, Status>) -> Option<(Value, Option<Labels>)> {
    let deletion = matches!(request.verb, Verb::Delete | Verb::DeleteCollection);
    match write {
        Ok(registry::Write::Put(_) | registry::Write::PutThenDelete(_) | registry::Write::Delete(_)) if deletion => {
            Some((Value::Null, None))
        }
        Ok(registry::Write::Put(object)) => Some((api_json::to_json(object), Some((*object.meta().labels).clone()))),
        Ok(registry::Write::Delete(object)) => Some((api_json::to_json(object), Some((*object.meta().labels).clone()))),
        Err(status) if status.code == 422 && request.verb == Verb::Create => match &request.body {
            Body::Json(value) => {
                let labels = value["metadata"]["labels"].as_object().into_iter().flatten();
                let labels = labels.filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())));
                Some(((**value).clone(), Some(labels.collect())))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The `request` of the AdmissionReview of this id.
fn asked(request: &Request, review: &Review, uid: Uid) -> Value {
    let kind = request.kind;
    let version = kind.api_version().rsplit('/').next().unwrap_or_default();
    let name = review.object["metadata"]["name"].as_str().unwrap_or(&request.key.name);
    let mut asked = json!({
        "uid": uid.to_string(),
        "kind": {"group": kind.group(), "version": version, "kind": kind.name()},
        "resource": {"group": kind.group(), "version": version, "resource": kind.plural()},
        "name": name, "operation": operation(request.verb), "userInfo": {"username": user(request.agent)},
        "object": review.object, "oldObject": review.old, "dryRun": request.options.dry_run,
    });
    if kind.namespaced() {
        asked["namespace"] = (*request.key.namespace).into();
    }
    if request.subresource != Subresource::None {
        asked["subResource"] = request.subresource.as_str().into();
    }
    asked
}

fn user(agent: Agent) -> String {
    match agent {
        Agent::Script | Agent::Load(_) | Agent::Kubectl(_) | Agent::Installer => "kubernetes-admin".to_owned(),
        Agent::Scheduler(_) | Agent::ControllerManager(_) => format!("system:{}", agent.name()),
        Agent::Kubelet(node) => format!("system:node:{node}"),
        Agent::ApiServer(_) => "system:apiserver".to_owned(),
        other => format!("system:serviceaccount:kube-system:{}", other.name()),
    }
}

/// When a webhook's answer comes, and what it is.
fn call(webhook: &Webhook, request: &Arc<Value>, mut luck: crate::kernel::Luck, setup: &Setup) -> (Duration, Answer) {
    let post = |why: &str| Answer::Failed(format!("failed to call webhook: Post {:?}: {why}", &*webhook.url));
    let server = setup.webhook_servers.iter().find(|server| server.name == webhook.name);
    let Some(server) = server else {
        let host = webhook.url.strip_prefix("https://").unwrap_or(&webhook.url);
        let service = host.split(['.', ':', '/']).next().unwrap_or_default();
        return (REFUSED, post(&format!("service {service:?} not found")));
    };
    let latency = match server.trouble {
        WebhookTrouble::Down => {
            let address = hash_bytes(webhook.name.as_bytes());
            let (a, b) = (address % 254 + 1, (address >> 8) % 254 + 1);
            return (REFUSED, post(&format!("dial tcp 10.96.{a}.{b}:443: connect: connection refused")));
        }
        WebhookTrouble::Slow(latency) => latency,
        WebhookTrouble::None => server.latency.sample(&mut luck),
    };
    if latency >= webhook.timeout {
        return (webhook.timeout, post("context deadline exceeded"));
    }
    match setup.scripts.admit(&webhook.name, request) {
        Ok(response) => (latency, Answer::Response(response)),
        Err(mistake) => {
            let why =
                format!("an error on the server ({:?}) has prevented the request from succeeding", mistake.line());
            (latency, Answer::Failed(format!("failed to call webhook: {why}")))
        }
    }
}

fn changes(response: &Value) -> bool {
    response["object"].is_object() || response["patch"].as_array().is_some_and(|patch| !patch.is_empty())
}

impl Review {
    /// Takes an answer in; the error is what the request is refused with.
    fn take_in(&mut self, webhook: &Webhook, place: usize, answer: Answer, kind: Kind) -> Result<(), Status> {
        let response = match answer {
            Answer::Failed(_) if webhook.failure == FailurePolicy::Ignore => return Ok(()),
            Answer::Failed(why) => return Err(failed(webhook, &why)),
            Answer::Response(response) => response,
        };
        let warnings = response["warnings"].as_array().into_iter().flatten();
        self.warnings.extend(warnings.filter_map(|warning| Some(warning.as_str()?.to_owned())));
        if response["allowed"] == false {
            return Err(denied(webhook, &response["status"]));
        }
        if self.stage != Stage::Mutating {
            return Ok(());
        }
        let next = if response["object"].is_object() {
            response["object"].clone()
        } else if response["patch"].is_array() {
            match patch::apply(kind.plural(), patch::PatchType::Json, &self.object, &response["patch"]) {
                Ok(next) => next,
                Err(why) if webhook.failure == FailurePolicy::Ignore => {
                    let _ = why;
                    return Ok(());
                }
                Err(why) => return Err(failed(webhook, &why)),
            }
        } else {
            return Ok(());
        };
        if next != self.object {
            (self.object, self.changed) = (next, Some(place));
        }
        Ok(())
    }

    /// The webhook to ask next; after the last one those that want to see what later ones have changed.
    fn after(&mut self, place: usize) -> Option<usize> {
        let last = self.changed;
        let wanted = |next: usize, webhook: &Webhook, again: bool| {
            !again || webhook.reinvoke && last.is_some_and(|last| last > next)
        };
        let from = |start: usize, again: bool, webhooks: &[Webhook]| {
            webhooks
                .iter()
                .enumerate()
                .skip(start)
                .find(|(next, webhook)| wanted(*next, webhook, again))
                .map(|(next, _)| next)
        };
        if let Some(next) = from(place + 1, self.again, &self.webhooks) {
            return Some(next);
        }
        if self.again {
            return None;
        }
        self.again = true;
        from(0, true, &self.webhooks)
    }
}

/// 500: the webhook could not be asked. Upstream: webhook.ErrCallingWebhook in an InternalError.
fn failed(webhook: &Webhook, why: &str) -> Status {
    let message = format!("Internal error occurred: failed calling webhook {:?}: {why}", &*webhook.name);
    let details = json!({"causes": [{"message": format!("failed calling webhook {:?}: {why}", &*webhook.name)}]});
    Status { code: 500, reason: "InternalError".into(), message: message.into(), details: Some(Arc::new(details)) }
}

/// What a denial becomes. Upstream: ToStatusErr.
fn denied(webhook: &Webhook, status: &Value) -> Status {
    let by = format!("admission webhook {:?} denied the request", &*webhook.name);
    let text = |field: &str| status[field].as_str().filter(|text| !text.is_empty());
    let message = match (text("message"), text("reason")) {
        (Some(why), _) | (None, Some(why)) => format!("{by}: {why}"),
        (None, None) => format!("{by} without explanation"),
    };
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 400);
    let reason = text("reason").unwrap_or_default().to_owned();
    Status { code: code.unwrap_or(400), reason: reason.into(), message: message.into(), details: None }
}

/// An object that webhooks have changed, as if it had been sent so: without what the server adds itself.
fn resubmitted(request: &Request, object: Value) -> Value {
    let mut object = unmade(request, object);
    if request.verb == Verb::Create && request.kind == Kind::Pod {
        without_token(&mut object);
    }
    object
}

/// An object without what the registry gives it: its identity, times and versions.
fn unmade(request: &Request, mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        ["uid", "creationTimestamp", "generation"].into_iter().for_each(|field| drop(metadata.remove(field)));
        let versioned = match &request.body {
            Body::Json(value) => value["metadata"]["resourceVersion"].is_string(),
            Body::Object(object) => object.meta().resource_version != 0,
            _ => false,
        };
        if request.verb == Verb::Create || !versioned {
            metadata.remove("resourceVersion");
        }
    }
    object
}

/// What of a new object's fields its registry fills in after it has been through mutation (PrepareForCreate, allocators), by kind.
const FILLED_IN: &[(Kind, &[&str])] = &[
    (
        Kind::Service,
        &[
            "/spec/clusterIP",
            "/spec/clusterIPs",
            "/spec/ipFamilies",
            "/spec/ipFamilyPolicy",
            "/spec/healthCheckNodePort",
        ],
    ),
    (Kind::Namespace, &["/spec/finalizers"]),
    (
        Kind::Job,
        &[
            "/spec/selector",
            "/metadata/labels/controller-uid",
            "/metadata/labels/job-name",
            "/metadata/labels/batch.kubernetes.io~1controller-uid",
            "/metadata/labels/batch.kubernetes.io~1job-name",
            "/spec/template/metadata/labels/controller-uid",
            "/spec/template/metadata/labels/job-name",
            "/spec/template/metadata/labels/batch.kubernetes.io~1controller-uid",
            "/spec/template/metadata/labels/batch.kubernetes.io~1job-name",
        ],
    ),
];

/// A new object as who may change it sees it: with its defaults and what admission adds, without what the registry fills in.
fn as_sent(request: &Request, object: Value) -> Value {
    let mut object = unmade(request, object);
    let sent = match &request.body {
        Body::Json(value) => value.clone(),
        Body::Object(object) => Arc::new(api_json::to_json(object)),
        _ => return object,
    };
    let unnamed = sent["metadata"]["name"].as_str().unwrap_or_default().is_empty();
    if let Some(metadata) = object["metadata"].as_object_mut().filter(|_| unnamed) {
        metadata.remove("name");
    }
    let mut only_if_sent = |pointer: &str| {
        let Some((parent, field)) = pointer.rsplit_once('/') else { return };
        if sent.pointer(pointer).is_none_or(Value::is_null)
            && let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut)
        {
            parent.remove(&field.replace("~1", "/"));
        }
    };
    only_if_sent("/status");
    let filled_in = FILLED_IN.iter().filter(|(kind, _)| *kind == request.kind).flat_map(|(_, pointers)| *pointers);
    filled_in.for_each(|pointer| only_if_sent(pointer));
    if request.kind == Kind::Service {
        let ports = sent["spec"]["ports"].as_array().map_or(0, Vec::len);
        (0..ports).for_each(|port| only_if_sent(&format!("/spec/ports/{port}/nodePort")));
    }
    object
}

/// A pod without the volume of its token: admission gives it another one, and mounts it in the containers that are new.
fn without_token(pod: &mut Value) {
    let ours = |item: &Value| item["name"].as_str().is_some_and(|name| name.starts_with("kube-api-access-"));
    let strip = |list: &mut Value| {
        if let Some(items) = list.as_array_mut() {
            items.retain(|item| !ours(item));
        }
    };
    if pod["spec"]["volumes"].is_array() {
        strip(&mut pod["spec"]["volumes"]);
    }
    for containers in ["containers", "initContainers"] {
        for container in pod["spec"].get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            if container["volumeMounts"].is_array() {
                strip(&mut container["volumeMounts"]);
            }
        }
    }
}

impl InFlight {
    /// What the reply warns of besides what the registry says.
    pub(super) fn webhook_warnings(&mut self) -> Vec<String> {
        self.review.as_mut().map(|review| std::mem::take(&mut review.warnings)).unwrap_or_default()
    }
}
