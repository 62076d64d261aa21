//! From what the registry says to what etcd has: conditional writes, and what comes of them.

use std::sync::Arc;

use super::in_flight::Pending;
use super::request::{Answer, Request, Subresource, Verb};
use super::status::Status;
use super::{ApiServer, registry, storage};
use crate::etcd::Response;
use crate::event::{Effects, EtcdValue};
use crate::objects::{Key, Kind, Object};
use crate::setup::Setup;

impl ApiServer {
    /// Asks the registry what to make of the present state, and does it.
    pub(super) fn change(&mut self, id: u64, current: Arc<Object>, live: bool, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let mut context = Self::context(&self.cache, flight, setup, out.wall());
        let write = registry::change(&mut context, &current);
        flight.warnings = context.warnings;
        self.carry_out(id, Some(current), write, live, setup, out);
    }

    pub(super) fn carry_out(
        &mut self,
        id: u64,
        current: Option<Arc<Object>>,
        write: Result<registry::Write, Status>,
        live: bool,
        setup: &Setup,
        out: &mut Effects,
    ) {
        if self.reviewed(id, current.as_ref(), &write, setup, out) {
            return;
        }
        if let Ok(registry::Write::Put(next)) = &write
            && self.charge(id, current.as_ref(), next, live, setup, out)
        {
            return;
        }
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let version = current.as_ref().map(|object| object.meta().resource_version);
        let (object, then_delete, last) = match write {
            // What the cache's copy led to may be wrong because the copy is old: look again before saying so.
            Err(_) | Ok(registry::Write::Answer(_)) if current.is_some() && !live => return self.reread(id, out),
            Err(status) => return self.reply(id, Err(status), out),
            Ok(registry::Write::Answer(answer)) => return self.reply(id, Ok(answer), out),
            Ok(registry::Write::Put(object)) => (Some(Arc::new(*object)), false, None),
            Ok(registry::Write::PutThenDelete(object)) => (Some(Arc::new(*object)), true, None),
            Ok(registry::Write::Delete(last)) => (None, false, Some(last)),
        };
        let key = storage_key(&flight.request, object.as_deref().or(current.as_deref()));
        if flight.request.options.dry_run {
            let taken = version.is_none() && self.cache.get(flight.request.kind, &key).is_some();
            let exists = Status::already_exists(flight.request.kind, &key.name);
            let answer = object.or(last).map(Answer::Object).filter(|_| !taken);
            return self.reply(id, answer.ok_or(exists), out);
        }
        if flight.request.kind == Kind::Service {
            flight.pending = Some(Pending::Write { object: object.clone(), then_delete, last });
            return self.write_service(id, current.as_deref(), (key, version, object), setup, out);
        }
        let leased = version.is_none() && object.as_ref().is_some_and(|object| object.kind() == Kind::Event);
        flight.pending = Some(Pending::Write { object: object.clone(), then_delete, last });
        let lease = if leased { self.leases.lease(id, &mut self.storage, setup, out) } else { None };
        if lease.is_some() == leased {
            self.storage.write(flight.ask(id), flight.request.kind, &key, version, object, lease, out);
        }
    }

    /// The lease for new events is there, or is not: those that waited for it are written.
    pub(super) fn granted(&mut self, response: Response<EtcdValue>, out: &mut Effects) {
        let (lease, waiting) = self.leases.answered(response.body.is_ok());
        for id in waiting {
            if let Err(error) = &response.body {
                let status = storage::to_status(*error);
                self.reply(id, Err(status), out);
                continue;
            }
            let Some(flight) = self.in_flight.get_mut(&id) else { continue };
            let Some(Pending::Write { object: Some(object), .. }) = flight.pending.clone() else { continue };
            out.because(flight.record);
            self.storage.write(flight.ask(id), Kind::Event, &object.key(), None, Some(object), Some(lease), out);
        }
    }

    pub(super) fn reread(&mut self, id: u64, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        flight.pending = Some(Pending::Reread);
        self.storage.read(flight.ask(id), flight.request.kind, &flight.request.key, out);
    }

    /// etcd answered a request.
    pub(super) fn answered(&mut self, id: u64, response: Response<EtcdValue>, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(pending) = flight.pending.take() else { return };
        let request = &flight.request;
        let missing = || Status::not_found(request.kind, &request.key.name);
        let revision = response.revision;
        let found = match storage::Found::of(response) {
            Ok(found) => found,
            Err(error) => return self.reply(id, Err(storage::to_status(error)), out),
        };
        match (pending, found) {
            (Pending::Get, storage::Found::Object(object)) => {
                let result = object.map(Answer::Object).ok_or_else(missing);
                self.reply(id, result, out);
            }
            (Pending::Address(key, held), found) => self.took_address(id, (key, *held), found, setup, out),
            (Pending::Quota, found) => self.wrote_quota(id, found, setup, out),
            (Pending::Evict, found) => self.evicting(id, found, setup, out),
            (Pending::List, _) => self.list_at(id, revision, out),
            (Pending::Reread, storage::Found::Object(Some(current))) => self.change(id, current, true, setup, out),
            (Pending::Reread, _) => {
                let status = missing();
                self.reply(id, Err(status), out);
            }
            (Pending::Write { object, then_delete, last }, storage::Found::Written(revision)) => {
                // An update after which the object goes is answered with what it would have written.
                let deletion = matches!(request.verb, Verb::Delete | Verb::DeleteCollection);
                let last = last.map(|last| if deletion { stamped(last, revision) } else { last });
                let written = object.map(|object| stamped(object, revision)).or(last);
                match written {
                    Some(current) if then_delete => {
                        let key = current.key();
                        self.storage.write(flight.ask(id), current.kind(), &key, Some(revision), None, None, out);
                        let last = Some(current);
                        flight.pending = Some(Pending::Write { object: None, then_delete: false, last });
                    }
                    Some(object) => {
                        let answer = registry::shown(request, &self.cache, object);
                        self.reply(id, Ok(answer), out);
                    }
                    None => {}
                }
            }
            (Pending::Write { .. }, storage::Found::Object(current)) => match current {
                _ if request.verb == Verb::Create && request.subresource == Subresource::None => {
                    let name = current.as_ref().map_or(&request.key.name, |object| &object.meta().name);
                    let mut status = Status::already_exists(request.kind, name);
                    if current.as_ref().is_some_and(|object| object.meta().deleting()) {
                        status.message = format!("object is being deleted: {}", status.message).into();
                    }
                    self.reply(id, Err(status), out);
                }
                Some(current) => self.change(id, current, true, setup, out),
                None => {
                    let status = missing();
                    self.reply(id, Err(status), out);
                }
            },
            (Pending::Get, storage::Found::Written(_)) => {}
        }
    }
}

/// Where the object of a request is stored; a generated name is known only by the object.
pub(super) fn storage_key(request: &Request, object: Option<&Object>) -> Key {
    object.map_or_else(|| request.key.clone(), Object::key)
}

/// The object at the version at which it was written.
pub(super) fn stamped(mut object: Arc<Object>, revision: u64) -> Arc<Object> {
    if object.meta().resource_version != revision {
        Arc::make_mut(&mut object).meta_mut().resource_version = revision;
    }
    object
}
