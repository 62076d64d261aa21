//! Who acts: the names under which components meet the API server and appear in the trace.

/// A component, or a part of one with its own identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[allow(missing_docs)]
pub enum Agent {
    /// The script.
    Script,
    /// The n-th command of a person.
    Kubectl(u32),
    /// The n-th command of a person, if it speaks to etcd.
    Etcdctl(u32),
    /// The n-th client of the script's that only writes.
    Load(u32),
    /// Who set the cluster up.
    Installer,
    Etcd(u8),
    ApiServer,
    ControllerManager,
    DeploymentController,
    ReplicaSetController,
    ServiceAccountController,
    RootCaCertPublisher,
    NodeController,
    NamespaceController,
    GarbageCollector,
    Scheduler,
    Kubelet(u32),
}

impl Agent {
    /// The name in logs, audit and events' sources; a kubelet's without its node.
    pub fn name(self) -> &'static str {
        match self {
            Agent::Script => "script",
            Agent::Kubectl(_) => "kubectl",
            Agent::Etcdctl(_) => "etcdctl",
            Agent::Load(_) => "load",
            Agent::Installer => "installer",
            Agent::Etcd(_) => "etcd",
            Agent::ApiServer => "kube-apiserver",
            Agent::ControllerManager => "kube-controller-manager",
            Agent::DeploymentController => "deployment-controller",
            Agent::ReplicaSetController => "replicaset-controller",
            Agent::ServiceAccountController => "service-account-controller",
            Agent::RootCaCertPublisher => "root-ca-cert-publisher",
            Agent::NodeController => "node-controller",
            Agent::NamespaceController => "namespace-controller",
            Agent::GarbageCollector => "generic-garbage-collector",
            Agent::Scheduler => "kube-scheduler",
            Agent::Kubelet(_) => "kubelet",
        }
    }

    /// Tells agents of the same name apart.
    pub fn index(self) -> u64 {
        match self {
            Agent::Kubectl(n) | Agent::Load(n) | Agent::Etcdctl(n) | Agent::Kubelet(n) => n.into(),
            Agent::Etcd(n) => n.into(),
            _ => 0,
        }
    }
}
