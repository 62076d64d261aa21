//! How strategic merge patches treat the fields of the built-in kinds.
//!
//! Models: the tags `patchStrategy` and `patchMergeKey` in kubernetes v1.36.2
//! staging/src/k8s.io/api/{core,apps,batch}/v1/types.go; kubectl reads the same from the server's OpenAPI document.
//! Left out: kinds that this simulator does not serve, as far as they have no pod template.

/// A type of the API, by the name of its Go struct; "" for a type without any marked field.
pub type Type = &'static str;

/// What happens to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Type of the field, of its elements if it is a list.
    pub of: Type,
    /// Lists: elements are merged; the key, or "" for a list of scalars.
    pub merge: Option<&'static str>,
    /// Only the fields listed in the patch stay.
    pub retain_keys: bool,
}

/// A field that is not marked: maps are merged, lists replaced.
const PLAIN: Field = Field { of: "", merge: None, retain_keys: false };

const fn object(of: Type) -> Field {
    Field { of, ..PLAIN }
}

const fn keyed(of: Type, key: &'static str) -> Field {
    Field { of, merge: Some(key), retain_keys: false }
}

const fn retained(of: Type, key: &'static str) -> Field {
    Field { of, merge: Some(key), retain_keys: true }
}

const TABLE: &[(Type, &str, Field)] = &[
    ("ObjectMeta", "finalizers", keyed("", "")),
    ("ObjectMeta", "ownerReferences", keyed("", "uid")),
    ("PodTemplateSpec", "spec", object("PodSpec")),
    ("PodSpec", "volumes", retained("", "name")),
    ("PodSpec", "initContainers", keyed("Container", "name")),
    ("PodSpec", "containers", keyed("Container", "name")),
    ("PodSpec", "ephemeralContainers", keyed("Container", "name")),
    ("PodSpec", "imagePullSecrets", keyed("", "name")),
    ("PodSpec", "hostAliases", keyed("", "ip")),
    ("PodSpec", "topologySpreadConstraints", keyed("", "topologyKey")),
    ("PodSpec", "schedulingGates", keyed("", "name")),
    ("PodSpec", "resourceClaims", retained("", "name")),
    ("Container", "ports", keyed("", "containerPort")),
    ("Container", "env", keyed("", "name")),
    ("Container", "volumeMounts", keyed("", "mountPath")),
    ("Container", "volumeDevices", keyed("", "devicePath")),
    ("Pod", "spec", object("PodSpec")),
    ("Pod", "status", object("PodStatus")),
    ("PodStatus", "conditions", keyed("", "type")),
    ("PodStatus", "podIPs", keyed("", "ip")),
    ("PodStatus", "hostIPs", keyed("", "ip")),
    ("PodStatus", "resourceClaimStatuses", retained("", "name")),
    ("Deployment", "spec", object("DeploymentSpec")),
    ("Deployment", "status", object("Conditions")),
    ("DeploymentSpec", "strategy", Field { of: "", merge: None, retain_keys: true }),
    ("DeploymentSpec", "template", object("PodTemplateSpec")),
    ("ReplicaSet", "spec", object("Templated")),
    ("ReplicaSet", "status", object("Conditions")),
    ("DaemonSet", "spec", object("Templated")),
    ("DaemonSet", "status", object("Conditions")),
    ("StatefulSet", "spec", object("Templated")),
    ("StatefulSet", "status", object("Conditions")),
    ("ReplicationController", "spec", object("Templated")),
    ("ReplicationController", "status", object("Conditions")),
    ("Job", "spec", object("Templated")),
    ("Job", "status", object("Conditions")),
    ("CronJob", "spec", object("CronJobSpec")),
    ("CronJobSpec", "jobTemplate", object("JobTemplateSpec")),
    ("JobTemplateSpec", "spec", object("Templated")),
    ("Templated", "template", object("PodTemplateSpec")),
    ("Conditions", "conditions", keyed("", "type")),
    ("Node", "spec", object("NodeSpec")),
    ("Node", "status", object("NodeStatus")),
    ("NodeSpec", "podCIDRs", keyed("", "")),
    ("NodeStatus", "conditions", keyed("", "type")),
    ("NodeStatus", "addresses", keyed("", "type")),
    ("Namespace", "status", object("Conditions")),
    ("Service", "spec", object("ServiceSpec")),
    ("Service", "status", object("Conditions")),
    ("ServiceSpec", "ports", keyed("", "port")),
    ("ServiceAccount", "secrets", keyed("", "name")),
    ("PersistentVolumeClaim", "status", object("Conditions")),
];

/// What happens to the field `name` of type `of`. Every kind has an ObjectMeta; nothing else is called metadata.
pub fn field(of: Type, name: &str) -> Field {
    if name == "metadata" {
        return object("ObjectMeta");
    }
    TABLE.iter().find(|(owner, field, _)| *owner == of && *field == name).map_or(PLAIN, |(_, _, field)| *field)
}

/// The type of a kind, by its name.
pub fn of_kind(kind: &str) -> Type {
    TABLE.iter().map(|(owner, _, _)| *owner).find(|owner| *owner == kind).unwrap_or("")
}

/// The type of a resource, by its plural name.
pub fn of_resource(plural: &str) -> Type {
    match plural {
        "pods" => "Pod",
        "deployments" => "Deployment",
        "replicasets" => "ReplicaSet",
        "daemonsets" => "DaemonSet",
        "statefulsets" => "StatefulSet",
        "replicationcontrollers" => "ReplicationController",
        "jobs" => "Job",
        "cronjobs" => "CronJob",
        "nodes" => "Node",
        "namespaces" => "Namespace",
        "services" => "Service",
        "serviceaccounts" => "ServiceAccount",
        "persistentvolumeclaims" => "PersistentVolumeClaim",
        _ => "",
    }
}
