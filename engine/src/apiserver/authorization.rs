//! Authorization: whether the user may do that.
//!
//! Models: kubernetes v1.36.2 plugin/pkg/auth/authorizer/{rbac,node}, bootstrap policy, as far as it keeps components to their own trade:
//! a node may not touch deployments, only the API server's clients of the control plane may bind.

use super::authentication::User;
use super::request::{Request, Subresource};
use super::status::Status;
use crate::client::Agent;
use crate::objects::Kind;

/// Whether `user` may do what is asked.
pub fn authorize(user: User, request: &Request) -> Result<(), Status> {
    let allowed = match user {
        User::Admin => true,
        User::Node(_) => {
            let reads = !request.verb.mutating();
            let own = matches!(request.kind, Kind::Pod | Kind::Node | Kind::Lease | Kind::Event);
            reads || own || request.subresource == Subresource::Token
        }
        User::Component(Agent::Scheduler) => {
            !request.verb.mutating() || matches!(request.kind, Kind::Pod | Kind::Event | Kind::Lease)
        }
        User::Component(_) => request.subresource != Subresource::Binding,
    };
    if allowed {
        return Ok(());
    }
    let name = request.agent.name();
    let why = format!(
        "User \"system:{name}\" cannot {} resource \"{}\" in API group \"{}\" in the namespace \"{}\"",
        request.verb.as_str(),
        request.kind.plural(),
        request.kind.group(),
        request.key.namespace
    );
    Err(Status::forbidden(request.kind, &request.key.name, &why))
}
