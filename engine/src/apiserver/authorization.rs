//! Authorization: whether the user may do that.
//!
//! Models: kubernetes v1.36.2 plugin/pkg/auth/authorizer/{rbac,node}, bootstrap policy, as far as it keeps components to their own trade:
//! a node may not touch deployments, only the API server's clients of the control plane may bind.

use super::authentication::User;
use super::request::{Request, Subresource, Verb};
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
        User::Component(Agent::Scheduler(_)) => {
            let own = matches!(request.kind, Kind::Pod | Kind::Event | Kind::Lease);
            // The role system:volume-scheduler.
            let volumes = matches!(request.kind, Kind::PersistentVolume | Kind::PersistentVolumeClaim)
                && matches!(request.verb, Verb::Update | Verb::Patch);
            !request.verb.mutating() || own || volumes
        }
        User::Component(_) => request.subresource != Subresource::Binding,
    };
    if allowed {
        return Ok(());
    }
    let (name, verb, key) = (user_name(user), request.verb.as_str(), &request.key);
    let what = format!("resource \"{}\" in API group \"{}\"", request.kind.plural(), request.kind.group());
    let place = if request.kind.namespaced() {
        format!("in the namespace \"{}\"", key.namespace)
    } else {
        "at the cluster scope".to_owned()
    };
    let why = format!("User \"{name}\" cannot {verb} {what} {place}");
    Err(Status::forbidden(request.kind, &request.key.name, &why))
}

/// The name in the text. A node's user ends with its name, which the request does not carry: its number stands for it.
fn user_name(user: User) -> String {
    match user {
        User::Admin => "kubernetes-admin".to_owned(),
        User::Node(node) => format!("system:node:{node}"),
        User::Component(agent @ (Agent::Scheduler(_) | Agent::ControllerManager(_))) => {
            format!("system:{}", agent.name())
        }
        User::Component(agent) => format!("system:serviceaccount:kube-system:{}", agent.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::request::Body;
    use crate::kernel::Endpoint;
    use crate::objects::Key;

    #[test]
    fn a_node_may_not_touch_deployments_and_is_told_in_the_api_s_words() {
        let request = Request {
            from: Endpoint::Kubelet(0),
            number: 1,
            agent: Agent::Kubelet(0),
            sequence: 1,
            verb: Verb::Delete,
            kind: Kind::Deployment,
            subresource: Subresource::None,
            key: Key::new("default", "web"),
            body: Body::None,
            options: Default::default(),
        };
        let refused = authorize(User::Node(0), &request).expect_err("refused");
        assert_eq!(
            (refused.code, &*refused.message),
            (
                403,
                "deployments.apps \"web\" is forbidden: User \"system:node:0\" cannot delete resource \"deployments\" in API group \
                 \"apps\" in the namespace \"default\""
            )
        );
        assert_eq!(authorize(User::Component(Agent::DeploymentController), &request), Ok(()));
        let scheduler = User::Component(Agent::Scheduler(0));
        let claim = |verb| Request { kind: Kind::PersistentVolumeClaim, verb, ..request.clone() };
        assert_eq!(authorize(scheduler, &claim(Verb::Update)), Ok(()));
        assert!(authorize(scheduler, &claim(Verb::Delete)).is_err());
    }
}
