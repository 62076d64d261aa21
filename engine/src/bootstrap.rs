//! What an installer and the API server itself write into an empty cluster: the system namespaces, the Service `kubernetes`.
//!
//! Models: kubernetes v1.36.2 pkg/controlplane/controller/systemnamespaces/system_namespaces_controller.go,
//! controller/kubernetesservice/controller.go. Left out: the other bootstrap objects (roles, priority classes, flow schemas), which
//! nothing reads yet; the leases by which several API servers find each other (`/registry/masterleases`): the first one's address stands.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::apiserver::request::{Body, Request, Subresource, Verb, WriteOptions};
use crate::apiserver::{API_SERVER, ApiServerEvent};
use crate::client::Agent;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint};
use crate::objects::{Labels, Namespace, Object, ObjectMeta, Resource};
use crate::setup::Setup;

/// When the installer comes, after the cluster was switched on. [ms]
pub const AFTER_MS: u64 = 500;

/// The system namespaces.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The API server's own Service.
const API_SERVICE: &str = "kubernetes";
/// The port at which an API server listens.
const SECURE_PORT: i32 = 6443;
/// The address of the first API server's host.
const HOST: &str = "172.18.0.1";

/// Sends what there is to write. The API server's Service comes after its namespace.
pub fn install(_setup: &Setup, out: &mut Effects) {
    let namespace = |name: &str| {
        let mut meta = ObjectMeta::named("", name);
        meta.labels = Arc::new(Labels::from([("kubernetes.io/metadata.name".into(), name.into())]));
        Object::Namespace(Namespace::new(meta))
    };
    let first = NAMESPACES.into_iter().map(|name| (namespace(name), Duration::ZERO));
    let then = own_service().map(|object| (object, LATER));
    for (number, (object, after)) in first.chain(then).enumerate() {
        let request = Request {
            from: Endpoint::Outside,
            number: number as u64 + 1,
            agent: Agent::Installer,
            sequence: number as u64 + 1,
            verb: Verb::Create,
            kind: object.kind(),
            subresource: Subresource::None,
            key: object.key(),
            body: Body::Object(Arc::new(object)),
            options: WriteOptions::default(),
        };
        out.send(Endpoint::ApiServer(0), after, Event::ApiServer(0, ApiServerEvent::Request(Box::new(request))));
    }
}

/// How much later the API server's Service comes.
const LATER: Duration = Duration::from_millis(200);

/// The Service `kubernetes`, its endpoints, and their slice.
fn own_service() -> [Object; 3] {
    let meta = |labels: &[(&str, &str)]| ObjectMeta {
        labels: Arc::new(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()),
        ..ObjectMeta::named("default", API_SERVICE)
    };
    let (name, protocol) = (Some("https".to_owned()), Some("TCP".to_owned()));
    let service = core::Service {
        spec: Some(core::ServiceSpec {
            cluster_ip: Some(API_SERVER.to_string()),
            internal_traffic_policy: Some("Cluster".to_owned()),
            ports: Some(vec![core::ServicePort {
                name: name.clone(),
                port: 443,
                protocol: protocol.clone(),
                target_port: Some(IntOrString::Int(SECURE_PORT)),
                ..Default::default()
            }]),
            session_affinity: Some("None".to_owned()),
            type_: Some("ClusterIP".to_owned()),
            ..Default::default()
        }),
        status: Some(core::ServiceStatus { load_balancer: Some(Default::default()), conditions: None }),
        ..Default::default()
    };
    let address = core::EndpointAddress { ip: HOST.to_owned(), ..Default::default() };
    let port =
        core::EndpointPort { name: name.clone(), port: SECURE_PORT, protocol: protocol.clone(), ..Default::default() };
    let subset = core::EndpointSubset { addresses: Some(vec![address]), ports: Some(vec![port]), ..Default::default() };
    let endpoints = core::Endpoints { subsets: Some(vec![subset]), ..Default::default() };
    let ready = discovery::EndpointConditions { ready: Some(true), ..Default::default() };
    let slice = discovery::EndpointSlice {
        address_type: "IPv4".to_owned(),
        endpoints: Some(vec![discovery::Endpoint {
            addresses: vec![HOST.to_owned()],
            conditions: Some(ready),
            ..Default::default()
        }]),
        ports: Some(vec![discovery::EndpointPort { name, port: Some(SECURE_PORT), protocol, ..Default::default() }]),
        ..Default::default()
    };
    let with = |labels: &[(&str, &str)], object: Object| {
        let mut object = object;
        *object.meta_mut() = meta(labels);
        object
    };
    let nothing = &|_: &mut core::PodSpec| {};
    [
        with(
            &[("component", "apiserver"), ("provider", "kubernetes")],
            Object::Service(Resource::new(service, nothing)),
        ),
        with(
            &[("endpointslice.kubernetes.io/skip-mirror", "true")],
            Object::Endpoints(Resource::new(endpoints, nothing)),
        ),
        with(&[("kubernetes.io/service-name", API_SERVICE)], Object::EndpointSlice(Resource::new(slice, nothing))),
    ]
}
