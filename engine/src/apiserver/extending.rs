//! CustomResourceDefinitions at work: their names are accepted, they are established, and with them go their objects.
//!
//! The controllers of upstream's apiextensions server live in the API server, speak to it as any client does, and hear of definitions by
//! its own watch. Each step here is a request of the server to itself, sent when its cache learns of the step before. A cluster
//! without definitions has none of this: the kinds by which a cluster is extended are cached from their first use on, by every
//! server at once ([`ApiServer::extend`]), while real servers watch them from their start.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/controller/{status/naming_controller,
//! establish/establishing_controller,finalizer/crd_finalizer}.go, pkg/apiserver/customresource_handler.go (5 s before a definition is
//! established where there are several API servers). Left out: API approval, non-structural schemas, OpenAPI.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Body, DeleteOptions, Delivery, ListOptions, Patch, Request, Subresource, Verb};
use super::status::Status;
use super::{ApiServer, ApiServerEvent, registry};
use crate::client::Agent;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::custom::{self, Custom};
use crate::objects::{Key, Kind, Object};
use crate::setup::Setup;

/// How long a server waits for the others before it says that a definition is established; Kubernetes: 5 s.
const ESTABLISHING: Duration = Duration::from_secs(5);

/// What a server knows of extensions.
#[derive(Clone, Debug, Default)]
pub(super) struct Extending {
    /// Counts the requests to itself.
    sent: u64,
    /// A kind by which the cluster is extended was used for the first time.
    pub(super) begun: Option<Kind>,
    /// Whether the kinds that are served have changed.
    changed: bool,
}

impl ApiServer {
    /// From now on a kind by which clusters are extended is cached.
    pub fn extend(&mut self, kind: Kind, setup: &Setup, out: &mut Effects) {
        if self.storage.client.add(kind, setup) {
            self.storage.list_all(kind, out);
        }
    }

    /// The kind by which the cluster is extended that was used here for the first time.
    pub fn take_begun(&mut self) -> Option<Kind> {
        self.extending.begun.take()
    }

    /// The kinds that definitions bring, if they have changed since they were last asked for.
    pub fn take_kinds(&mut self) -> Option<Arc<[Kind]>> {
        std::mem::take(&mut self.extending.changed).then(|| self.custom_kinds().map(|defined| defined.kind).collect())
    }

    /// What the definitions bring that this server serves.
    pub fn custom_kinds(&self) -> impl Iterator<Item = &Arc<custom::Defined>> {
        let all = self.cache.all(Kind::CRD).filter_map(|object| object.as_custom());
        all.filter(|one| custom::accepted(&one.content)).filter_map(Custom::defined).filter(|defined| defined.served)
    }

    /// Whether nothing is served under the path of a request, which then is answered at once. The first use of an extension begins it.
    pub(super) fn unserved(&mut self, id: u64, setup: &Setup, out: &mut Effects) -> bool {
        let Some(flight) = self.in_flight.get(&id) else { return true };
        let Some(definition) = flight.request.kind.definition() else { return false };
        let kind = flight.request.kind;
        if definition.built_in() {
            if !self.storage.client.has(kind) {
                self.extending.begun = Some(kind);
                self.extend(kind, setup, out);
            }
            return false;
        }
        if self.storage.client.has(Kind::CRD) && !self.cache.ready(Kind::CRD) {
            // Not known is not gone.
            self.reply(id, Err(Status::initializing()), out);
            return true;
        }
        let definition = self.definition(kind).and_then(|object| object.as_custom());
        let served = definition.is_some_and(|one| {
            custom::accepted(&one.content)
                && one.defined().is_some_and(|defined| defined.served && defined.kind == kind)
        });
        let refused = if !served || !self.storage.client.has(kind) {
            Some(Status::no_such_path())
        } else if flight.request.verb == Verb::Create && definition.is_some_and(|one| one.meta.deleting()) {
            // Upstream: the handler's "create not allowed while custom resource definition is terminating".
            Some(
                Status::method_not_allowed("create", kind)
                    .with_message("create not allowed while custom resource definition is terminating"),
            )
        } else {
            None
        };
        if let Some(status) = refused {
            self.reply(id, Err(status), out);
            return true;
        }
        false
    }

    /// The cache has learned of a change: what follows of it, if it is one of a definition, or of objects of one that goes.
    pub(super) fn extended(&mut self, kind: Kind, keys: &[Key], setup: &Setup, out: &mut Effects) {
        if kind == Kind::CRD {
            keys.iter().for_each(|key| self.definition_changed(key, setup, out));
        } else if kind.definition().is_some_and(|definition| !definition.built_in()) && self.none_left(kind) {
            let key = definition_key(kind);
            if self.cache.get(Kind::CRD, &key).is_some_and(|object| object.meta().deleting()) {
                self.definition_changed(&key, setup, out);
            }
        }
    }

    /// The cache of an extension's kind is filled. Where the definition of a kind goes, the objects that are left go, too: the server may
    /// have ended in the middle of that.
    pub(super) fn refilled(&mut self, kind: Kind, keys: &[Key], setup: &Setup, out: &mut Effects) {
        self.extended(kind, keys, setup, out);
        let goes = self.definition(kind).is_some_and(|definition| definition.meta().deleting());
        if goes && !keys.is_empty() {
            self.delete_all(kind, out);
        }
    }

    /// A definition was filled in or has changed.
    pub(super) fn definition_changed(&mut self, key: &Key, setup: &Setup, out: &mut Effects) {
        self.extending.changed = true;
        let Some(object) = self.cache.get(Kind::CRD, key).cloned() else {
            return self.gone(out);
        };
        let Some(one) = object.as_custom() else { return };
        let Some(defined) = one.defined().cloned() else { return };
        if custom::accepted(&one.content) && self.storage.client.add(defined.kind, setup) {
            self.storage.list_all(defined.kind, out);
        }
        if one.meta.deleting() {
            return self.finalize(one, defined.kind, setup, out);
        }
        let now = Instant::from_nanos(out.wall().as_nanos() / 1_000_000_000 * 1_000_000_000);
        let decided = custom::condition_is(&one.content, "NamesAccepted", "True");
        let established = custom::accepted(&one.content);
        let status = one.field("status");
        let names = &one.field("spec")["names"];
        if !decided || status["acceptedNames"] != *names {
            let next = match self.conflict(one) {
                None => {
                    let mut next =
                        custom::condition(status, "NamesAccepted", ["True", "NoConflicts", "no conflicts found"], now);
                    next["acceptedNames"] = names.clone();
                    let installing = ["False", "Installing", "the initial names have been accepted"];
                    if established { next } else { custom::condition(&next, "Established", installing, now) }
                }
                Some([reason, message]) => {
                    let next = custom::condition(status, "NamesAccepted", ["False", &reason, &message], now);
                    let refused = ["False", "NotAccepted", "not all names are accepted"];
                    if established { next } else { custom::condition(&next, "Established", refused, now) }
                }
            };
            if next != *status {
                self.write_status(one, next, Duration::ZERO, setup, out);
            }
        } else if !established {
            let accepted = ["True", "InitialNamesAccepted", "the initial names have been accepted"];
            let next = custom::condition(status, "Established", accepted, now);
            let wait = if setup.api_servers > 1 { ESTABLISHING } else { Duration::ZERO };
            self.write_status(one, next, wait, setup, out);
        }
    }

    /// Why the names of a definition cannot be had: another of its group has them.
    fn conflict(&self, one: &Custom) -> Option<[String; 2]> {
        let group = &one.field("spec")["group"];
        let others = self.cache.all(Kind::CRD).filter_map(|object| object.as_custom());
        let others = others.filter(|other| other.meta.name != one.meta.name && other.field("spec")["group"] == *group);
        let taken: Vec<&Value> = others.map(|other| &other.field("status")["acceptedNames"]).collect();
        let wanted = &one.field("spec")["names"];
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let resources = |names: &Value| -> Vec<String> {
            let short = names["shortNames"].as_array().into_iter().flatten();
            [&names["plural"], &names["singular"]].into_iter().chain(short).filter_map(text).collect()
        };
        let in_use: Vec<String> = taken.iter().flat_map(|names| resources(names)).collect();
        let kinds: Vec<String> =
            taken.iter().flat_map(|names| [&names["kind"], &names["listKind"]]).filter_map(text).collect();
        let used = |name: &Value, by: &[String]| text(name).filter(|name| by.contains(name));
        let said = |reason: &str, name: String| [reason.to_owned(), format!("{name:?} is already in use")];
        if let Some(name) = used(&wanted["plural"], &in_use) {
            return Some(said("PluralConflict", name));
        }
        if let Some(name) = used(&wanted["singular"], &in_use) {
            return Some(said("SingularConflict", name));
        }
        for name in wanted["shortNames"].as_array().into_iter().flatten() {
            if let Some(name) = used(name, &in_use) {
                return Some(said("ShortNamesConflict", name));
            }
        }
        if let Some(name) = used(&wanted["kind"], &kinds) {
            return Some(said("KindConflict", name));
        }
        used(&wanted["listKind"], &kinds).map(|name| said("ListKindConflict", name))
    }

    /// A definition is to go: first its objects, then the finalizer.
    fn finalize(&mut self, one: &Custom, kind: Kind, setup: &Setup, out: &mut Effects) {
        if !one.meta.has_finalizer(registry::CLEANUP) {
            return;
        }
        let now = Instant::from_nanos(out.wall().as_nanos() / 1_000_000_000 * 1_000_000_000);
        if !custom::condition_is(&one.content, "Terminating", "True") {
            let deleting = ["True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"];
            let next = custom::condition(one.field("status"), "Terminating", deleting, now);
            self.write_status(one, next, Duration::ZERO, setup, out);
            if custom::accepted(&one.content) && self.cache.len(kind) > 0 {
                self.delete_all(kind, out);
            }
            return;
        }
        if self.none_left(kind) {
            let finalizer = registry::CLEANUP.into();
            let body = Body::Patch(Patch::DropFinalizer { uid: one.meta.uid, finalizer });
            let key = one.meta.key();
            self.ask_itself(Verb::Patch, Kind::CRD, Subresource::None, key, body, Duration::ZERO, out);
        }
    }

    /// Whether the cache knows that there are no objects of a kind: one that is not filled knows nothing.
    fn none_left(&self, kind: Kind) -> bool {
        !self.storage.client.has(kind) || self.cache.ready(kind) && self.cache.len(kind) == 0
    }

    fn delete_all(&mut self, kind: Kind, out: &mut Effects) {
        let body = Body::DeleteCollection(Box::new((DeleteOptions::default(), ListOptions::default())));
        let key = Key { namespace: "".into(), name: "".into() };
        self.ask_itself(Verb::DeleteCollection, kind, Subresource::None, key, body, Duration::ZERO, out);
    }

    /// A definition is gone: so are the watches of its kind.
    fn gone(&mut self, out: &mut Effects) {
        let unserved = self.storage.client.defined().iter().copied();
        let unserved: Vec<Kind> = unserved
            .filter(|kind| kind.definition().is_some_and(|definition| !definition.built_in()))
            .filter(|kind| registry::defined(&self.cache, *kind).is_none())
            .collect();
        for kind in unserved {
            for (client, number) in self.cache.end_watches(kind) {
                let ended = Delivery::WatchEnded { number, status: None };
                out.send(client, Duration::ZERO, Event::delivery(client, ended));
            }
        }
    }

    fn write_status(&mut self, one: &Custom, status: Value, wait: Duration, _: &Setup, out: &mut Effects) {
        let mut next = json!({
            "apiVersion": Kind::CRD.api_version(), "kind": Kind::CRD.name(),
            "metadata": crate::objects::json::metadata(&one.meta), "status": status,
        });
        next["spec"] = one.field("spec").clone();
        self.ask_itself(
            Verb::Update,
            Kind::CRD,
            Subresource::Status,
            one.meta.key(),
            Body::Json(Arc::new(next)),
            wait,
            out,
        );
    }

    /// A request of one of its own controllers; what is answered the cache will tell.
    fn ask_itself(
        &mut self,
        verb: Verb,
        kind: Kind,
        subresource: Subresource,
        key: Key,
        body: Body,
        wait: Duration,
        out: &mut Effects,
    ) {
        self.extending.sent += 1;
        let sequence = u64::from(self.life) << 32 | self.extending.sent;
        let me = Endpoint::ApiServer(self.me);
        let request = Request {
            from: me,
            number: sequence,
            agent: Agent::ApiServer(self.me),
            sequence,
            verb,
            kind,
            subresource,
            key,
            body,
            options: Default::default(),
        };
        out.after(wait, Event::ApiServer(self.me, ApiServerEvent::Request(Box::new(request))));
    }

    /// A definition with all its versions, as it is stored.
    pub fn definition(&self, kind: Kind) -> Option<&Arc<Object>> {
        self.cache.get(Kind::CRD, &definition_key(kind))
    }
}

fn definition_key(kind: Kind) -> Key {
    Key { namespace: "".into(), name: kind.qualified().into() }
}
