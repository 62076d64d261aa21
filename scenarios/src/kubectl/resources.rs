//! The resource types kubectl knows, as it would learn them from discovery.
//!
//! Models: discovery of kubernetes v1.36.2; staging/src/k8s.io/client-go/restmapper/{discovery,shortcut}.go,
//! staging/src/k8s.io/cli-runtime/pkg/resource/builder.go (`mappingFor`).
//! Left out: versions of a group that are not the preferred one.

use super::errors::Failure;
use super::resource_table::TABLE;
use super::{ApiCall, ApiVerb};
use wavetank_engine::objects::custom::{Defined, PrinterColumn};

/// A resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub plural: &'static str,
    pub short: &'static [&'static str],
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    /// What only a custom resource has.
    pub custom: Option<Custom>,
}

/// What a type has because a CustomResourceDefinition says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Custom {
    pub singular: &'static str,
    pub categories: &'static [&'static str],
    pub columns: &'static [PrinterColumn],
}

impl Eq for Custom {}

pub(super) const fn core(
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
) -> Resource {
    grouped("", "v1", plural, kind, short, namespaced)
}

pub(super) const fn grouped(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
) -> Resource {
    Resource { plural, short, group, version, kind, namespaced, custom: None }
}

pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";

/// The category `all`, in the order `get all` prints it.
const ALL: &[&str] = &[
    "pods",
    "replicationcontrollers",
    "services",
    "daemonsets",
    "deployments",
    "replicasets",
    "statefulsets",
    "horizontalpodautoscalers",
    "cronjobs",
    "jobs",
];

impl Resource {
    pub const NAMESPACES: Resource = core("namespaces", "Namespace", &["ns"], false);
    pub const NODES: Resource = core("nodes", "Node", &["no"], false);
    pub const PODS: Resource = core("pods", "Pod", &["po"], true);
    pub const EVENTS: Resource = core("events", "Event", &["ev"], true);
    pub const CONFIGMAPS: Resource = core("configmaps", "ConfigMap", &["cm"], true);
    pub const SERVICEACCOUNTS: Resource = core("serviceaccounts", "ServiceAccount", &["sa"], true);
    pub const DEPLOYMENTS: Resource = grouped("apps", "v1", "deployments", "Deployment", &["deploy"], true);
    pub const REPLICASETS: Resource = grouped("apps", "v1", "replicasets", "ReplicaSet", &["rs"], true);
    pub const LEASES: Resource = grouped("coordination.k8s.io", "v1", "leases", "Lease", &[], true);
    pub const SERVICES: Resource = core("services", "Service", &["svc"], true);
    pub const SECRETS: Resource = core("secrets", "Secret", &[], true);
    pub const RESOURCEQUOTAS: Resource = core("resourcequotas", "ResourceQuota", &["quota"], true);
    pub const LIMITRANGES: Resource = core("limitranges", "LimitRange", &["limits"], true);
    pub const CONTROLLERREVISIONS: Resource =
        grouped("apps", "v1", "controllerrevisions", "ControllerRevision", &[], true);
    pub const DAEMONSETS: Resource = grouped("apps", "v1", "daemonsets", "DaemonSet", &["ds"], true);
    pub const JOBS: Resource = grouped("batch", "v1", "jobs", "Job", &[], true);
    pub const CRONJOBS: Resource = grouped("batch", "v1", "cronjobs", "CronJob", &["cj"], true);
    pub const ENDPOINTSLICES: Resource =
        grouped("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", &[], true);
    pub const INGRESSES: Resource = grouped("networking.k8s.io", "v1", "ingresses", "Ingress", &["ing"], true);
    pub const PODDISRUPTIONBUDGETS: Resource =
        grouped("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", &["pdb"], true);
    pub const HORIZONTALPODAUTOSCALERS: Resource =
        grouped("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", &["hpa"], true);
    pub const PRIORITYCLASSES: Resource =
        grouped("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", &["pc"], false);
    pub const ROLES: Resource = grouped(RBAC, "v1", "roles", "Role", &[], true);
    pub const ROLEBINDINGS: Resource = grouped(RBAC, "v1", "rolebindings", "RoleBinding", &[], true);
    pub const CLUSTERROLES: Resource = grouped(RBAC, "v1", "clusterroles", "ClusterRole", &[], false);
    pub const CLUSTERROLEBINDINGS: Resource =
        grouped(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", &[], false);

    /// A type that a definition brings.
    pub fn defined(defined: &Defined) -> Option<Resource> {
        let definition = defined.kind.definition()?;
        Some(Resource {
            plural: definition.plural,
            short: definition.short,
            group: definition.group,
            version: definition.version,
            kind: definition.kind,
            namespaced: definition.namespaced,
            custom: Some(Custom {
                singular: definition.singular,
                categories: definition.categories,
                columns: defined.columns,
            }),
        })
    }

    /// All types.
    pub fn table() -> &'static [Resource] {
        TABLE
    }

    /// Whether the category `all` has it.
    pub fn in_all(&self) -> bool {
        ALL.contains(&self.plural)
    }

    /// A request on this resource; the namespace is dropped for cluster-scoped ones.
    pub fn call(&self, verb: ApiVerb, namespace: Option<&str>) -> ApiCall {
        ApiCall {
            verb,
            resource: self.plural.into(),
            group: self.group.into(),
            version: self.version.into(),
            namespace: namespace.filter(|_| self.namespaced).map(str::to_string),
            ..ApiCall::default()
        }
    }

    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.into() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pod`, `deployment.apps`: how success lines call the kind.
    pub fn kind_group(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }

    /// `pods`, `deployments.apps`: how error messages call the resource.
    pub fn plural_group(&self) -> String {
        if self.group.is_empty() { self.plural.into() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Finds the type a user means: plural, singular, short name or kind, with group or version and group appended.
    pub fn find(word: &str) -> Result<Resource, Failure> {
        Resource::find_among(word, &[])
    }

    /// The same, also among the types that definitions bring.
    pub fn find_among(word: &str, discovered: &[Resource]) -> Result<Resource, Failure> {
        let lower = word.to_lowercase();
        let (name, rest) = lower.split_once('.').unwrap_or((&lower, ""));
        let found = TABLE.iter().chain(discovered).find(|r| r.is_called(name) && r.is_in(rest));
        let given = word.split('.').next().unwrap_or(word);
        found.copied().ok_or_else(|| Failure::message(format!("the server doesn't have a resource type \"{given}\"")))
    }

    /// The types behind a word: a category or one type.
    pub fn find_all(word: &str, discovered: &[Resource]) -> Result<Vec<Resource>, Failure> {
        let in_category = |r: &&Resource| r.custom.is_some_and(|custom| custom.categories.contains(&word));
        let categorized = discovered.iter().filter(in_category).copied();
        if word == "all" {
            ALL.iter().map(|plural| Resource::find(plural)).chain(categorized.map(Ok)).collect()
        } else if categorized.clone().next().is_some() {
            Ok(categorized.collect())
        } else {
            Ok(vec![Resource::find_among(word, discovered)?])
        }
    }

    /// Finds the type of a manifest. The kind is compared without regard to case, as the mapper does.
    pub fn of_manifest(api_version: &str, kind: &str) -> Option<Resource> {
        Resource::of_manifest_among(api_version, kind, &[])
    }

    /// The same, also among the types that definitions bring.
    pub fn of_manifest_among(api_version: &str, kind: &str, discovered: &[Resource]) -> Option<Resource> {
        TABLE
            .iter()
            .chain(discovered)
            .find(|r| r.kind.eq_ignore_ascii_case(kind) && r.api_version() == api_version)
            .copied()
    }

    fn is_called(&self, name: &str) -> bool {
        self.plural == name
            || self.kind.eq_ignore_ascii_case(name)
            || self.short.contains(&name)
            || self.custom.is_some_and(|custom| custom.singular == name)
    }

    /// `rest` is what follows the name: nothing, `GROUP`, or `VERSION.GROUP`.
    fn is_in(&self, rest: &str) -> bool {
        rest.is_empty()
            || rest == self.group
            || rest.split_once('.').map_or(rest == self.version && self.group.is_empty(), |(version, group)| {
                version == self.version && group == self.group
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_many_names() {
        for word in ["po", "pod", "pods", "Pod", "pods.v1"] {
            assert_eq!(Resource::find(word).expect(word).plural, "pods");
        }
        for word in ["deploy", "deployment", "Deployments", "deployments.apps", "deployments.v1.apps"] {
            assert_eq!(Resource::find(word).expect(word).plural, "deployments");
        }
        assert_eq!(Resource::find("endpoints").expect("known").plural, "endpoints");
    }

    #[test]
    fn an_unknown_type_is_named_without_its_group() {
        let error = Resource::find("deployments.v1beta1.apps").expect_err("unknown");
        assert_eq!(error, Failure::message("the server doesn't have a resource type \"deployments\""));
    }

    #[test]
    fn constants_agree_with_the_table() {
        for resource in [
            Resource::PODS,
            Resource::NODES,
            Resource::DEPLOYMENTS,
            Resource::LEASES,
            Resource::EVENTS,
            Resource::SERVICES,
            Resource::SECRETS,
            Resource::RESOURCEQUOTAS,
            Resource::LIMITRANGES,
            Resource::CONTROLLERREVISIONS,
            Resource::DAEMONSETS,
            Resource::JOBS,
            Resource::CRONJOBS,
            Resource::ENDPOINTSLICES,
            Resource::INGRESSES,
            Resource::PODDISRUPTIONBUDGETS,
            Resource::HORIZONTALPODAUTOSCALERS,
            Resource::PRIORITYCLASSES,
            Resource::ROLES,
            Resource::ROLEBINDINGS,
            Resource::CLUSTERROLES,
            Resource::CLUSTERROLEBINDINGS,
        ] {
            assert!(TABLE.contains(&resource), "{resource:?}");
        }
    }
}
