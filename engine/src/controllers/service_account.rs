//! The service account controller: every namespace has a service account `default`.
//!
//! Models: kubernetes v1.36.2 pkg/controller/serviceaccount/serviceaccounts_controller.go.

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::objects::{Key, Kind, Name, Object, ObjectMeta, ServiceAccount};

/// The service account every namespace has.
const DEFAULT: &str = "default";

/// The service account controller.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAccountController;

impl Controller for ServiceAccountController {
    const AGENT: Agent = Agent::ServiceAccountController;
    const KIND: Kind = Kind::Namespace;
    const INFORMERS: &'static [Kind] = &[Kind::ServiceAccount, Kind::Namespace];
    const WORKERS: usize = 1;
    const MAX_RETRIES: Option<u32> = None;
    /// The namespace that lacks its service account.
    type Inputs = Name;
    type Outcome = ();

    fn concerns(&mut self, _kind: Kind, change: &Change, _caches: &Caches, wake: &mut Wake<'_>) {
        match (&**change.object(), &change.new) {
            (Object::Namespace(namespace), Some(_)) => wake.key(namespace.meta.key()),
            (Object::ServiceAccount(account), None) => wake.key(Key::new("", &account.meta.namespace)),
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _view: View<'_>) -> Option<Name> {
        let there = caches.service_accounts().get(&Key { namespace: key.name.clone(), name: DEFAULT.into() }).is_some();
        (active(key, caches) && !there).then(|| key.name.clone())
    }

    fn reconcile(&self, namespace: &Name, routine: &mut Routine<'_>) -> Step<()> {
        let account = ServiceAccount { meta: ObjectMeta::named(namespace, DEFAULT) };
        match routine.call(|| Call::create(Object::ServiceAccount(account)))? {
            Err(status) if !status.is_namespace_terminating() => Err(Interrupt::from(status)),
            _ => Ok(()),
        }
    }
}

/// Whether a namespace is there to stay.
pub(super) fn active(key: &Key, caches: &Caches) -> bool {
    let namespace = caches.namespaces().get(key);
    namespace.is_some_and(|object| matches!(&**object, Object::Namespace(namespace) if !namespace.terminating))
}
