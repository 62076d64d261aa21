//! The kinds of objects the simulated API server serves: their names, groups, scope and where etcd keeps them.
//!
//! Models: kubernetes v1.36.2 pkg/kubeapiserver/default_storage_factory_builder.go (key prefixes), discovery of the real server.

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
}

/// One row of the table of kinds.
struct Row {
    kind: Kind,
    name: &'static str,
    plural: &'static str,
    group: &'static str,
    namespaced: bool,
    prefix: &'static str,
}

const fn row(kind: Kind, name: &'static str, plural: &'static str, group: &'static str, namespaced: bool) -> Row {
    Row { kind, name, plural, group, namespaced, prefix: plural }
}

/// In the order of the enum.
const TABLE: [Row; 9] = [
    row(Kind::Pod, "Pod", "pods", "", true),
    Row { prefix: "minions", ..row(Kind::Node, "Node", "nodes", "", false) },
    row(Kind::Namespace, "Namespace", "namespaces", "", false),
    row(Kind::Event, "Event", "events", "", true),
    row(Kind::ConfigMap, "ConfigMap", "configmaps", "", true),
    row(Kind::ServiceAccount, "ServiceAccount", "serviceaccounts", "", true),
    row(Kind::Deployment, "Deployment", "deployments", "apps", true),
    row(Kind::ReplicaSet, "ReplicaSet", "replicasets", "apps", true),
    row(Kind::Lease, "Lease", "leases", "coordination.k8s.io", true),
];

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::Pod,
        Kind::Node,
        Kind::Namespace,
        Kind::Event,
        Kind::ConfigMap,
        Kind::ServiceAccount,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::Lease,
    ];

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// `Pod`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// `pods`.
    pub fn plural(self) -> &'static str {
        self.row().plural
    }

    /// `apps`; empty for the core group.
    pub fn group(self) -> &'static str {
        self.row().group
    }

    /// `apps/v1`.
    pub fn api_version(self) -> &'static str {
        match self.group() {
            "" => "v1",
            "apps" => "apps/v1",
            _ => "coordination.k8s.io/v1",
        }
    }

    /// `deployments.apps`, as error texts name a resource.
    pub fn qualified(self) -> String {
        if self.group().is_empty() { self.plural().to_owned() } else { format!("{}.{}", self.plural(), self.group()) }
    }

    /// Whether objects live in namespaces.
    pub fn namespaced(self) -> bool {
        self.row().namespaced
    }

    /// The prefix of the kind's keys in etcd, with the trailing slash.
    pub fn key_prefix(self) -> String {
        format!("/registry/{}/", self.row().prefix)
    }

    /// The kind of a resource's plural name.
    pub fn from_plural(plural: &str) -> Option<Kind> {
        TABLE.iter().find(|row| row.plural == plural).map(|row| row.kind)
    }

    /// The kind of a manifest's `kind`.
    pub fn from_name(name: &str) -> Option<Kind> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (kind, row) in Kind::ALL.iter().zip(&TABLE) {
            assert_eq!(*kind, row.kind);
            assert_eq!(Kind::from_plural(kind.plural()), Some(*kind));
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(Kind::Node.key_prefix(), "/registry/minions/");
    }
}
