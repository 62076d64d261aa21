//! The table of resource types: what discovery of the real server answers, preferred versions only.
//!
//! Models: discovery of kubernetes v1.36.2 (`/api`, `/apis`, aggregated), in the order of the groups' priorities.

use super::resources::{RBAC, Resource, core, grouped};

/// In the order of the groups' priorities.
pub(super) const TABLE: &[Resource] = &[
    core("bindings", "Binding", &[], true),
    core("componentstatuses", "ComponentStatus", &["cs"], false),
    core("configmaps", "ConfigMap", &["cm"], true),
    core("endpoints", "Endpoints", &["ep"], true),
    core("events", "Event", &["ev"], true),
    core("limitranges", "LimitRange", &["limits"], true),
    core("namespaces", "Namespace", &["ns"], false),
    core("nodes", "Node", &["no"], false),
    core("persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"], true),
    core("persistentvolumes", "PersistentVolume", &["pv"], false),
    core("pods", "Pod", &["po"], true),
    core("podtemplates", "PodTemplate", &[], true),
    core("replicationcontrollers", "ReplicationController", &["rc"], true),
    core("resourcequotas", "ResourceQuota", &["quota"], true),
    core("secrets", "Secret", &[], true),
    core("serviceaccounts", "ServiceAccount", &["sa"], true),
    core("services", "Service", &["svc"], true),
    grouped("apiregistration.k8s.io", "v1", "apiservices", "APIService", &[], false),
    grouped("apps", "v1", "controllerrevisions", "ControllerRevision", &[], true),
    grouped("apps", "v1", "daemonsets", "DaemonSet", &["ds"], true),
    grouped("apps", "v1", "deployments", "Deployment", &["deploy"], true),
    grouped("apps", "v1", "replicasets", "ReplicaSet", &["rs"], true),
    grouped("apps", "v1", "statefulsets", "StatefulSet", &["sts"], true),
    grouped("events.k8s.io", "v1", "events", "Event", &["ev"], true),
    grouped("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", &[], false),
    grouped("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", &[], false),
    grouped("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", &[], true),
    grouped("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", &[], false),
    grouped("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", &[], false),
    grouped("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", &[], false),
    grouped("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", &["hpa"], true),
    grouped("batch", "v1", "cronjobs", "CronJob", &["cj"], true),
    grouped("batch", "v1", "jobs", "Job", &[], true),
    grouped("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", &["csr"], false),
    grouped("networking.k8s.io", "v1", "ingressclasses", "IngressClass", &[], false),
    grouped("networking.k8s.io", "v1", "ingresses", "Ingress", &["ing"], true),
    grouped("networking.k8s.io", "v1", "ipaddresses", "IPAddress", &["ip"], false),
    grouped("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", &["netpol"], true),
    grouped("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", &[], false),
    grouped("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", &["pdb"], true),
    grouped(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", &[], false),
    grouped(RBAC, "v1", "clusterroles", "ClusterRole", &[], false),
    grouped(RBAC, "v1", "rolebindings", "RoleBinding", &[], true),
    grouped(RBAC, "v1", "roles", "Role", &[], true),
    grouped("storage.k8s.io", "v1", "csidrivers", "CSIDriver", &[], false),
    grouped("storage.k8s.io", "v1", "csinodes", "CSINode", &[], false),
    grouped("storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity", &[], true),
    grouped("storage.k8s.io", "v1", "storageclasses", "StorageClass", &["sc"], false),
    grouped("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", &[], false),
    grouped("storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", &["vac"], false),
    grouped("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", &[], false),
    grouped(
        "admissionregistration.k8s.io",
        "v1",
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        &[],
        false,
    ),
    grouped(
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        &[],
        false,
    ),
    grouped(
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        &[],
        false,
    ),
    grouped(
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        &[],
        false,
    ),
    grouped(
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        &[],
        false,
    ),
    grouped(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        &["crd", "crds"],
        false,
    ),
    grouped("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", &["pc"], false),
    grouped("coordination.k8s.io", "v1", "leases", "Lease", &[], true),
    grouped("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", &[], false),
    grouped("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", &[], true),
    grouped("resource.k8s.io", "v1", "deviceclasses", "DeviceClass", &[], false),
    grouped("resource.k8s.io", "v1", "resourceclaims", "ResourceClaim", &[], true),
    grouped("resource.k8s.io", "v1", "resourceclaimtemplates", "ResourceClaimTemplate", &[], true),
    grouped("resource.k8s.io", "v1", "resourceslices", "ResourceSlice", &[], false),
    grouped("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", &[], false),
    grouped(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "prioritylevelconfigurations",
        "PriorityLevelConfiguration",
        &[],
        false,
    ),
];

impl Resource {
    /// What can be done with objects of the type, sorted.
    pub fn verbs(&self) -> &'static [&'static str] {
        const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        const NAMESPACE: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
        match (self.group, self.plural) {
            ("authentication.k8s.io" | "authorization.k8s.io", _) | ("", "bindings") => &["create"],
            ("", "componentstatuses") => &["get", "list"],
            ("", "namespaces") => NAMESPACE,
            _ => ALL,
        }
    }

    /// The categories the type is in.
    pub fn categories(&self) -> &'static [&'static str] {
        if let Some(custom) = self.custom {
            return custom.categories;
        }
        match self.group {
            _ if self.in_all() => &["all"],
            "admissionregistration.k8s.io" | "apiextensions.k8s.io" | "apiregistration.k8s.io" => &["api-extensions"],
            _ => &[],
        }
    }
}
