//! What an installer and the API server itself write into an empty cluster: the system namespaces.
//!
//! Models: kubernetes v1.36.2 pkg/controlplane/controller/systemnamespaces/system_namespaces_controller.go. Left out: the other bootstrap
//! objects (roles, priority classes, flow schemas), which nothing reads yet.

use std::sync::Arc;

use crate::apiserver::ApiServerEvent;
use crate::apiserver::request::{Body, Request, Subresource, Verb, WriteOptions};
use crate::client::Agent;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint};
use crate::objects::{Key, Kind, Labels, Namespace, Object, ObjectMeta};
use crate::setup::Setup;

/// When the installer comes, after the cluster was switched on. [ms]
pub const AFTER_MS: u64 = 500;

/// The system namespaces.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Sends what there is to write.
pub fn install(_setup: &Setup, out: &mut Effects) {
    for (number, name) in NAMESPACES.into_iter().enumerate() {
        let mut meta = ObjectMeta::named("", name);
        meta.labels = Arc::new(Labels::from([("kubernetes.io/metadata.name".into(), name.into())]));
        let namespace = Object::Namespace(Namespace::new(meta));
        let request = Request {
            from: Endpoint::Outside,
            number: number as u64 + 1,
            agent: Agent::Installer,
            sequence: number as u64 + 1,
            verb: Verb::Create,
            kind: Kind::Namespace,
            subresource: Subresource::None,
            key: Key::new("", name),
            body: Body::Object(Arc::new(namespace)),
            options: WriteOptions::default(),
        };
        out.send(
            Endpoint::ApiServer(0),
            Duration::ZERO,
            Event::ApiServer(0, ApiServerEvent::Request(Box::new(request))),
        );
    }
}
