//! The kinds of objects the simulated API server serves: their names, groups, scope and where etcd keeps them.
//!
//! Models: kubernetes v1.36.2 pkg/kubeapiserver/default_storage_factory_builder.go (key prefixes), discovery of the real server. Of groups
//! with several versions the preferred one is served. Left out: kinds that nothing simulated looks at and that live in no namespace.

use super::definition::Definition;

/// A kind of API object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Kind {
    /// core/v1 Pod
    Pod,
    /// core/v1 Node
    Node,
    /// core/v1 Namespace
    Namespace,
    /// core/v1 Event
    Event,
    /// core/v1 ConfigMap
    ConfigMap,
    /// core/v1 ServiceAccount
    ServiceAccount,
    /// apps/v1 Deployment
    Deployment,
    /// apps/v1 ReplicaSet
    ReplicaSet,
    /// coordination.k8s.io/v1 Lease
    Lease,
    /// core/v1 Service
    Service,
    /// core/v1 Endpoints
    Endpoints,
    /// core/v1 Secret
    Secret,
    /// core/v1 PersistentVolume
    PersistentVolume,
    /// core/v1 PersistentVolumeClaim
    PersistentVolumeClaim,
    /// core/v1 ResourceQuota
    ResourceQuota,
    /// core/v1 LimitRange
    LimitRange,
    /// core/v1 ReplicationController
    ReplicationController,
    /// core/v1 PodTemplate
    PodTemplate,
    /// apps/v1 StatefulSet
    StatefulSet,
    /// apps/v1 DaemonSet
    DaemonSet,
    /// apps/v1 ControllerRevision
    ControllerRevision,
    /// batch/v1 Job
    Job,
    /// batch/v1 CronJob
    CronJob,
    /// discovery.k8s.io/v1 EndpointSlice
    EndpointSlice,
    /// policy/v1 PodDisruptionBudget
    PodDisruptionBudget,
    /// autoscaling/v2 HorizontalPodAutoscaler
    HorizontalPodAutoscaler,
    /// scheduling.k8s.io/v1 PriorityClass
    PriorityClass,
    /// storage.k8s.io/v1 StorageClass
    StorageClass,
    /// storage.k8s.io/v1 CSIStorageCapacity
    CSIStorageCapacity,
    /// networking.k8s.io/v1 Ingress
    Ingress,
    /// networking.k8s.io/v1 IngressClass
    IngressClass,
    /// networking.k8s.io/v1 NetworkPolicy
    NetworkPolicy,
    /// networking.k8s.io/v1 IPAddress
    IPAddress,
    /// rbac.authorization.k8s.io/v1 Role
    Role,
    /// rbac.authorization.k8s.io/v1 RoleBinding
    RoleBinding,
    /// rbac.authorization.k8s.io/v1 ClusterRole
    ClusterRole,
    /// rbac.authorization.k8s.io/v1 ClusterRoleBinding
    ClusterRoleBinding,
    /// resource.k8s.io/v1 ResourceClaim
    ResourceClaim,
    /// resource.k8s.io/v1 ResourceClaimTemplate
    ResourceClaimTemplate,
    /// A kind that clusters have only from some moment on: see [`Definition`].
    Custom(&'static Definition),
}

/// One row of the table of kinds.
struct Row {
    kind: Kind,
    plural: &'static str,
    group: &'static str,
    version: &'static str,
    namespaced: bool,
    /// Empty if there is none.
    short: &'static str,
    prefix: &'static str,
}

const fn row(
    kind: Kind,
    plural: &'static str,
    group: &'static str,
    version: &'static str,
    namespaced: bool,
    short: &'static str,
) -> Row {
    Row { kind, plural, group, version, namespaced, short, prefix: plural }
}

/// In the order of the enum.
const TABLE: [Row; Kind::COUNT] = [
    row(Kind::Pod, "pods", "", "v1", true, "po"),
    Row { prefix: "minions", ..row(Kind::Node, "nodes", "", "v1", false, "no") },
    row(Kind::Namespace, "namespaces", "", "v1", false, "ns"),
    row(Kind::Event, "events", "", "v1", true, "ev"),
    row(Kind::ConfigMap, "configmaps", "", "v1", true, "cm"),
    row(Kind::ServiceAccount, "serviceaccounts", "", "v1", true, "sa"),
    row(Kind::Deployment, "deployments", "apps", "v1", true, "deploy"),
    row(Kind::ReplicaSet, "replicasets", "apps", "v1", true, "rs"),
    row(Kind::Lease, "leases", "coordination.k8s.io", "v1", true, ""),
    Row { prefix: "services/specs", ..row(Kind::Service, "services", "", "v1", true, "svc") },
    Row { prefix: "services/endpoints", ..row(Kind::Endpoints, "endpoints", "", "v1", true, "ep") },
    row(Kind::Secret, "secrets", "", "v1", true, ""),
    row(Kind::PersistentVolume, "persistentvolumes", "", "v1", false, "pv"),
    row(Kind::PersistentVolumeClaim, "persistentvolumeclaims", "", "v1", true, "pvc"),
    row(Kind::ResourceQuota, "resourcequotas", "", "v1", true, "quota"),
    row(Kind::LimitRange, "limitranges", "", "v1", true, "limits"),
    Row { prefix: "controllers", ..row(Kind::ReplicationController, "replicationcontrollers", "", "v1", true, "rc") },
    row(Kind::PodTemplate, "podtemplates", "", "v1", true, ""),
    row(Kind::StatefulSet, "statefulsets", "apps", "v1", true, "sts"),
    row(Kind::DaemonSet, "daemonsets", "apps", "v1", true, "ds"),
    row(Kind::ControllerRevision, "controllerrevisions", "apps", "v1", true, ""),
    row(Kind::Job, "jobs", "batch", "v1", true, ""),
    row(Kind::CronJob, "cronjobs", "batch", "v1", true, "cj"),
    row(Kind::EndpointSlice, "endpointslices", "discovery.k8s.io", "v1", true, ""),
    row(Kind::PodDisruptionBudget, "poddisruptionbudgets", "policy", "v1", true, "pdb"),
    row(Kind::HorizontalPodAutoscaler, "horizontalpodautoscalers", "autoscaling", "v2", true, "hpa"),
    row(Kind::PriorityClass, "priorityclasses", "scheduling.k8s.io", "v1", false, "pc"),
    row(Kind::StorageClass, "storageclasses", "storage.k8s.io", "v1", false, "sc"),
    row(Kind::CSIStorageCapacity, "csistoragecapacities", "storage.k8s.io", "v1", true, ""),
    Row { prefix: "ingress", ..row(Kind::Ingress, "ingresses", "networking.k8s.io", "v1", true, "ing") },
    row(Kind::IngressClass, "ingressclasses", "networking.k8s.io", "v1", false, ""),
    row(Kind::NetworkPolicy, "networkpolicies", "networking.k8s.io", "v1", true, "netpol"),
    row(Kind::IPAddress, "ipaddresses", "networking.k8s.io", "v1", false, "ip"),
    row(Kind::Role, "roles", "rbac.authorization.k8s.io", "v1", true, ""),
    row(Kind::RoleBinding, "rolebindings", "rbac.authorization.k8s.io", "v1", true, ""),
    row(Kind::ClusterRole, "clusterroles", "rbac.authorization.k8s.io", "v1", false, ""),
    row(Kind::ClusterRoleBinding, "clusterrolebindings", "rbac.authorization.k8s.io", "v1", false, ""),
    row(Kind::ResourceClaim, "resourceclaims", "resource.k8s.io", "v1", true, ""),
    row(Kind::ResourceClaimTemplate, "resourceclaimtemplates", "resource.k8s.io", "v1", true, ""),
];

/// `Pod`, in the order of the enum.
const NAMES: [&str; Kind::COUNT] = [
    "Pod",
    "Node",
    "Namespace",
    "Event",
    "ConfigMap",
    "ServiceAccount",
    "Deployment",
    "ReplicaSet",
    "Lease",
    "Service",
    "Endpoints",
    "Secret",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "LimitRange",
    "ReplicationController",
    "PodTemplate",
    "StatefulSet",
    "DaemonSet",
    "ControllerRevision",
    "Job",
    "CronJob",
    "EndpointSlice",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "PriorityClass",
    "StorageClass",
    "CSIStorageCapacity",
    "Ingress",
    "IngressClass",
    "NetworkPolicy",
    "IPAddress",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ResourceClaim",
    "ResourceClaimTemplate",
];

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 39;

    /// All kinds.
    pub const ALL: [Kind; Kind::COUNT] = [
        Kind::Pod,
        Kind::Node,
        Kind::Namespace,
        Kind::Event,
        Kind::ConfigMap,
        Kind::ServiceAccount,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::Lease,
        Kind::Service,
        Kind::Endpoints,
        Kind::Secret,
        Kind::PersistentVolume,
        Kind::PersistentVolumeClaim,
        Kind::ResourceQuota,
        Kind::LimitRange,
        Kind::ReplicationController,
        Kind::PodTemplate,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::ControllerRevision,
        Kind::Job,
        Kind::CronJob,
        Kind::EndpointSlice,
        Kind::PodDisruptionBudget,
        Kind::HorizontalPodAutoscaler,
        Kind::PriorityClass,
        Kind::StorageClass,
        Kind::CSIStorageCapacity,
        Kind::Ingress,
        Kind::IngressClass,
        Kind::NetworkPolicy,
        Kind::IPAddress,
        Kind::Role,
        Kind::RoleBinding,
        Kind::ClusterRole,
        Kind::ClusterRoleBinding,
        Kind::ResourceClaim,
        Kind::ResourceClaimTemplate,
    ];

    /// Its place in [`Kind::ALL`]; [`Kind::COUNT`] for a kind that is defined.
    pub const fn index(self) -> usize {
        match self {
            Kind::Pod => 0,
            Kind::Node => 1,
            Kind::Namespace => 2,
            Kind::Event => 3,
            Kind::ConfigMap => 4,
            Kind::ServiceAccount => 5,
            Kind::Deployment => 6,
            Kind::ReplicaSet => 7,
            Kind::Lease => 8,
            Kind::Service => 9,
            Kind::Endpoints => 10,
            Kind::Secret => 11,
            Kind::PersistentVolume => 12,
            Kind::PersistentVolumeClaim => 13,
            Kind::ResourceQuota => 14,
            Kind::LimitRange => 15,
            Kind::ReplicationController => 16,
            Kind::PodTemplate => 17,
            Kind::StatefulSet => 18,
            Kind::DaemonSet => 19,
            Kind::ControllerRevision => 20,
            Kind::Job => 21,
            Kind::CronJob => 22,
            Kind::EndpointSlice => 23,
            Kind::PodDisruptionBudget => 24,
            Kind::HorizontalPodAutoscaler => 25,
            Kind::PriorityClass => 26,
            Kind::StorageClass => 27,
            Kind::CSIStorageCapacity => 28,
            Kind::Ingress => 29,
            Kind::IngressClass => 30,
            Kind::NetworkPolicy => 31,
            Kind::IPAddress => 32,
            Kind::Role => 33,
            Kind::RoleBinding => 34,
            Kind::ClusterRole => 35,
            Kind::ClusterRoleBinding => 36,
            Kind::ResourceClaim => 37,
            Kind::ResourceClaimTemplate => 38,
            Kind::Custom(_) => Kind::COUNT,
        }
    }

    /// What defines it, if it is none of [`Kind::ALL`].
    pub const fn definition(self) -> Option<&'static Definition> {
        if let Kind::Custom(definition) = self { Some(definition) } else { None }
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.get(self.index())
    }

    /// `Pod`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Custom(definition) => definition.kind,
            other => NAMES[other.index()],
        }
    }

    /// `pods`.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Custom(definition) => definition.plural,
            other => other.row().map_or("", |row| row.plural),
        }
    }

    /// `apps`; empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Kind::Custom(definition) => definition.group,
            other => other.row().map_or("", |row| row.group),
        }
    }

    /// `apps/v1`.
    pub fn api_version(self) -> &'static str {
        if let Kind::Custom(definition) = self {
            return definition.api_version;
        }
        match self.group() {
            "" => self.row().map_or("v1", |row| row.version),
            "apps" => "apps/v1",
            "autoscaling" => "autoscaling/v2",
            "batch" => "batch/v1",
            "coordination.k8s.io" => "coordination.k8s.io/v1",
            "discovery.k8s.io" => "discovery.k8s.io/v1",
            "networking.k8s.io" => "networking.k8s.io/v1",
            "policy" => "policy/v1",
            "rbac.authorization.k8s.io" => "rbac.authorization.k8s.io/v1",
            "resource.k8s.io" => "resource.k8s.io/v1",
            "scheduling.k8s.io" => "scheduling.k8s.io/v1",
            _ => "storage.k8s.io/v1",
        }
    }

    /// `deployments.apps`, as error texts name a resource.
    pub fn qualified(self) -> String {
        if self.group().is_empty() { self.plural().to_owned() } else { format!("{}.{}", self.plural(), self.group()) }
    }

    /// Whether objects live in namespaces.
    pub fn namespaced(self) -> bool {
        match self {
            Kind::Custom(definition) => definition.namespaced,
            other => other.row().is_some_and(|row| row.namespaced),
        }
    }

    /// `deploy`, if there is a short name.
    pub fn short(self) -> Option<&'static str> {
        match self {
            Kind::Custom(definition) => definition.short.first().copied(),
            other => other.row().map(|row| row.short).filter(|short| !short.is_empty()),
        }
    }

    /// The prefix of the kind's keys in etcd, with the trailing slash.
    pub fn key_prefix(self) -> String {
        match self {
            Kind::Custom(Definition { group, plural, .. }) => format!("/registry/{group}/{plural}/"),
            other => format!("/registry/{}/", other.row().map_or("", |row| row.prefix)),
        }
    }

    /// The kind of a resource's plural name.
    pub fn from_plural(plural: &str) -> Option<Kind> {
        TABLE.iter().find(|row| row.plural == plural).map(|row| row.kind)
    }

    /// The kind of a manifest's `kind`.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (kind, row) in Kind::ALL.iter().zip(&TABLE) {
            assert_eq!((*kind, TABLE[kind.index()].kind), (row.kind, row.kind));
            assert_eq!(kind.name(), format!("{kind:?}"));
            assert_eq!(Kind::from_plural(kind.plural()), Some(*kind));
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
            assert!(kind.api_version().ends_with(row.version) && kind.api_version().starts_with(row.group));
        }
        assert_eq!(Kind::Node.key_prefix(), "/registry/minions/");
        assert_eq!(
            (Kind::Service.key_prefix(), Kind::Service.short()),
            ("/registry/services/specs/".into(), Some("svc"))
        );
    }
}
