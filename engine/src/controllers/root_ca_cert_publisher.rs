//! The root CA publisher: every namespace has a config map `kube-root-ca.crt`, with which its pods can tell the API server.
//!
//! Models: kubernetes v1.36.2 pkg/controller/certificates/rootcacertpublisher/publisher.go. Left out: a real certificate.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::service_account::active;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::objects::{ConfigMap, Key, Kind, Name, Object, ObjectMeta};

/// Name of the config map.
const NAME: &str = "kube-root-ca.crt";
/// Its only key.
const DATA_KEY: &str = "ca.crt";
/// Stands for the certificate.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n";
/// The annotation that says what it is for.
const DESCRIPTION_KEY: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
    such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
    clusters.";

/// The root CA publisher.
#[derive(Clone, Copy, Debug)]
pub struct RootCaCertPublisher;

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    namespace: Name,
    /// The config map, if it is there but wrong.
    wrong: Option<ConfigMap>,
}

impl Controller for RootCaCertPublisher {
    const AGENT: Agent = Agent::RootCaCertPublisher;
    const KIND: Kind = Kind::Namespace;
    const INFORMERS: &'static [Kind] = &[Kind::ConfigMap, Kind::Namespace];
    const WORKERS: usize = 1;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, _kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match &**change.object() {
            Object::Namespace(namespace) if active(&namespace.meta.key(), caches) => wake.key(namespace.meta.key()),
            Object::ConfigMap(map) if &*map.meta.name == NAME && change.old.is_some() => {
                wake.key(Key::new("", &map.meta.namespace));
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _view: View<'_>) -> Option<Inputs> {
        let namespace = key.name.clone();
        let known = caches.config_maps().get(&Key { namespace: namespace.clone(), name: NAME.into() });
        let wrong = match known.map(|object| &**object) {
            Some(Object::ConfigMap(map)) if right(map) => return None,
            Some(Object::ConfigMap(map)) => Some(map.clone()),
            _ => None,
        };
        Some(Inputs { namespace, wrong })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        let right = |mut map: ConfigMap| {
            map.data = Arc::new(BTreeMap::from([(DATA_KEY.to_owned(), CERTIFICATE.to_owned())]));
            map.meta.annotate(DESCRIPTION_KEY, DESCRIPTION);
            Object::ConfigMap(map)
        };
        if let Some(wrong) = &inputs.wrong {
            routine.call(|| Call::update(right(wrong.clone())))??;
            return Ok(());
        }
        let map = || ConfigMap {
            meta: ObjectMeta::named(&inputs.namespace, NAME),
            data: Arc::default(),
            binary: Arc::default(),
            immutable: false,
        };
        match routine.call(|| Call::create(right(map())))? {
            Err(status) if !status.is_not_found() && !status.is_namespace_terminating() => Err(Interrupt::from(status)),
            _ => Ok(()),
        }
    }
}

fn right(map: &ConfigMap) -> bool {
    map.data.len() == 1
        && map.data.get(DATA_KEY).is_some_and(|certificate| certificate == CERTIFICATE)
        && map.meta.annotation(DESCRIPTION_KEY).is_some_and(|description| !description.is_empty())
}
