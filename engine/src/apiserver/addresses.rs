//! The addresses of Services as objects of their own: taken before a Service is stored, released when it is gone.
//!
//! Models: kubernetes v1.36.2 pkg/registry/core/service/ipallocator/ipallocator.go (createIPAddress, release), storage.go (beginCreate and its
//! rollback). The API server asks itself for these writes; here they are transactions of the request that needs them.

use std::sync::Arc;

use super::etcd_client::Own;
use super::registry;
use super::{ApiServer, Pending, storage};
use crate::event::Effects;
use crate::objects::{Key, Kind, Object, ObjectMeta, Uid};
use crate::setup::Setup;

/// What a request does to addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    /// Still to be taken.
    wanted: Vec<Key>,
    /// Taken, and at which version.
    taken: Vec<(Key, u64)>,
    /// To be released when all is well.
    freed: Vec<Key>,
}

/// The write of a Service that waits for its addresses.
#[derive(Clone, Debug)]
pub(super) struct Held {
    key: Key,
    version: Option<u64>,
    object: Option<Arc<Object>>,
    then: Box<Pending>,
}

impl ApiServer {
    /// Writes a Service, after its addresses are taken.
    pub(super) fn write_service(
        &mut self,
        id: u64,
        current: Option<&Object>,
        (key, version, object): (Key, Option<u64>, Option<Arc<Object>>),
        setup: &Setup,
        out: &mut Effects,
    ) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let before = current.map(registry::addresses).unwrap_or_default();
        let after = object.as_deref().map(registry::addresses).unwrap_or_default();
        let wanted = after.iter().filter(|address| !before.contains(address)).cloned().collect();
        let freed = before.into_iter().filter(|address| !after.contains(address)).collect();
        let addresses = flight.addresses.get_or_insert_default();
        (addresses.wanted, addresses.freed) = (wanted, freed);
        let Some(then) = flight.pending.take() else { return };
        self.take_address(id, Held { key, version, object, then: Box::new(then) }, setup, out);
    }

    /// Takes the next address, or writes the Service.
    fn take_address(&mut self, id: u64, held: Held, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let next = flight.addresses.as_mut().and_then(|addresses| addresses.wanted.pop());
        let (Some(address), Some(service)) = (next, held.object.as_deref().map(Object::meta)) else {
            flight.pending = Some(*held.then);
            let Held { key, version, object, .. } = held;
            return self.storage.write(flight.ask(id), Kind::Service, &key, version, object, None, out);
        };
        let mut luck = setup.luck("kube-apiserver", "address", &address.name, out.now().as_nanos());
        let like = ObjectMeta {
            uid: Uid::random(u128::from(luck.bits()) << 64 | u128::from(luck.bits())),
            created: crate::kernel::Instant::from_nanos(out.wall().as_nanos() / 1_000_000_000 * 1_000_000_000),
            ..ObjectMeta::named("", "")
        };
        let object = Arc::new(registry::address_object(&address, service, &like));
        flight.pending = Some(Pending::Address(address.clone(), Box::new(held)));
        self.storage.write(flight.ask(id), Kind::IPAddress, &address, None, Some(object), None, out);
    }

    /// etcd has the address, or somebody else has.
    pub(super) fn took_address(
        &mut self,
        id: u64,
        (address, held): (Key, Held),
        found: storage::Found,
        setup: &Setup,
        out: &mut Effects,
    ) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        match found {
            storage::Found::Written(revision) => {
                flight.addresses.get_or_insert_default().taken.push((address, revision));
                self.take_address(id, held, setup, out);
            }
            // The cache will know it soon; then another is drawn, or the client is told.
            storage::Found::Object(_) => {
                let _ = held;
                self.checked(id, setup, out);
            }
        }
    }

    /// A request about a Service is done: what it freed is released, or what it took.
    pub(super) fn settle_addresses(&mut self, id: u64, good: bool, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(addresses) = flight.addresses.take() else { return };
        let freed = addresses.freed.into_iter().filter_map(|key| {
            let version = self.cache.get(Kind::IPAddress, &key)?.meta().resource_version;
            Some((key, version))
        });
        let released: Vec<(Key, u64)> = if good { freed.collect() } else { addresses.taken };
        for (key, version) in released {
            // Nobody waits for the answer.
            self.storage.releases = self.storage.releases.wrapping_add(1);
            let ask = self.storage.client.own(Own::Release, self.storage.releases);
            self.storage.write(ask, Kind::IPAddress, &key, Some(version), None, None, out);
        }
    }
}
