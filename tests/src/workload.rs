//! The workload that benchmarks measure.

use std::sync::Arc;

use wavetank_engine::apiserver::request::{Body, Request, Subresource, Verb};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Endpoint;
use wavetank_engine::objects::{Key, Kind};

/// The request that creates one Deployment of so many pods in the namespace `default`.
pub fn deployment(replicas: usize) -> Request {
    let manifest = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx:1.25", "resources": {"requests": {"cpu": "100m"}}}]},
            },
        },
    });
    Request {
        from: Endpoint::Outside,
        number: 1_000,
        agent: Agent::Kubectl(1),
        sequence: 1,
        verb: Verb::Create,
        kind: Kind::Deployment,
        subresource: Subresource::None,
        key: Key::new("default", "web"),
        body: Body::Json(Arc::new(manifest)),
        options: Default::default(),
    }
}
