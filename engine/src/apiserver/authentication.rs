//! Authentication: who asks. Components come with client certificates or service account tokens, a person with a kubeconfig.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/endpoints/filters/authentication.go. All agents have valid credentials so far.

use super::request::Request;
use super::status::Status;
use crate::client::Agent;

/// The user behind a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// A member of `system:masters`.
    Admin,
    /// A component of the control plane, under its own user or service account.
    Component(Agent),
    /// `system:node:NAME`.
    Node(u32),
}

/// Who asks.
pub fn authenticate(request: &Request) -> Result<User, Status> {
    Ok(match request.agent {
        Agent::Script | Agent::Load(_) | Agent::Kubectl(_) | Agent::Etcdctl(_) | Agent::Installer => User::Admin,
        Agent::Kubelet(node) => User::Node(node),
        component => User::Component(component),
    })
}
