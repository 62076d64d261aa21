//! Who acts: the names under which components meet the API server and appear in the trace.

use std::hash::{Hash, Hasher};

/// A component, or a part of one with its own identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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
    ApiServer(u8),
    ControllerManager(u8),
    DeploymentController,
    ReplicaSetController,
    ServiceAccountController,
    RootCaCertPublisher,
    NodeController,
    NamespaceController,
    GarbageCollector,
    StatefulSetController,
    DaemonSetController,
    JobController,
    CronJobController,
    TtlAfterFinishedController,
    EndpointController,
    EndpointSliceController,
    DisruptionController,
    HorizontalPodAutoscaler,
    ResourceQuotaController,
    PodGarbageCollector,
    TaintEvictionController,
    PersistentVolumeBinder,
    PvcProtectionController,
    Scheduler(u8),
    Kubelet(u32),
    MetricsServer,
    KubeProxy(u32),
    /// The n-th stream of requests of a script.
    Traffic(u32),
    /// The n-th process of the controllers of one's own.
    Custom(u8),
}

impl Agent {
    /// The name in logs, audit and events' sources; a kubelet's without its node, a replica's without its number.
    pub const fn name(self) -> &'static str {
        match self {
            Agent::Script => "script",
            Agent::Kubectl(_) => "kubectl",
            Agent::Etcdctl(_) => "etcdctl",
            Agent::Load(_) => "load",
            Agent::Installer => "installer",
            Agent::Etcd(_) => "etcd",
            Agent::ApiServer(_) => "kube-apiserver",
            Agent::ControllerManager(_) => "kube-controller-manager",
            Agent::DeploymentController => "deployment-controller",
            Agent::ReplicaSetController => "replicaset-controller",
            Agent::ServiceAccountController => "service-account-controller",
            Agent::RootCaCertPublisher => "root-ca-cert-publisher",
            Agent::NodeController => "node-controller",
            Agent::NamespaceController => "namespace-controller",
            Agent::GarbageCollector => "generic-garbage-collector",
            Agent::StatefulSetController => "statefulset-controller",
            Agent::DaemonSetController => "daemon-set-controller",
            Agent::JobController => "job-controller",
            Agent::CronJobController => "cronjob-controller",
            Agent::TtlAfterFinishedController => "ttl-after-finished-controller",
            Agent::EndpointController => "endpoint-controller",
            Agent::EndpointSliceController => "endpointslice-controller",
            Agent::DisruptionController => "disruption-controller",
            Agent::HorizontalPodAutoscaler => "horizontal-pod-autoscaler",
            Agent::ResourceQuotaController => "resourcequota-controller",
            Agent::PodGarbageCollector => "pod-garbage-collector",
            Agent::TaintEvictionController => "taint-eviction-controller",
            Agent::PersistentVolumeBinder => "persistent-volume-binder",
            Agent::PvcProtectionController => "pvc-protection-controller",
            Agent::Scheduler(_) => "kube-scheduler",
            Agent::Kubelet(_) => "kubelet",
            Agent::MetricsServer => "metrics-server",
            Agent::KubeProxy(_) => "kube-proxy",
            Agent::Traffic(_) => "traffic",
            Agent::Custom(_) => "controller",
        }
    }

    /// The service account under which it meets the API server, as audit logs name it.
    pub const fn account(self) -> &'static str {
        match self {
            Agent::TaintEvictionController => "node-controller",
            other => other.name(),
        }
    }

    /// Tells agents of the same name apart.
    pub fn index(self) -> u64 {
        match self {
            Agent::Kubectl(n) | Agent::Load(n) | Agent::Etcdctl(n) | Agent::Kubelet(n) => n.into(),
            Agent::KubeProxy(n) | Agent::Traffic(n) => n.into(),
            Agent::Etcd(n) | Agent::ApiServer(n) | Agent::ControllerManager(n) | Agent::Scheduler(n) => n.into(),
            Agent::Custom(n) => n.into(),
            _ => 0,
        }
    }
}

/// The first of several processes counts in a fingerprint as the only one does.
impl Hash for Agent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Agent::Kubectl(n) | Agent::Load(n) | Agent::Etcdctl(n) | Agent::Kubelet(n) => n.hash(state),
            Agent::KubeProxy(n) | Agent::Traffic(n) => n.hash(state),
            Agent::Etcd(n) | Agent::Custom(n) => n.hash(state),
            Agent::ApiServer(n) | Agent::ControllerManager(n) | Agent::Scheduler(n) if *n > 0 => n.hash(state),
            _ => {}
        }
    }
}
