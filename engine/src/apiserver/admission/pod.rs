//! What admission changes in a pod that is created: service account and its token, tolerations, priority.
//!
//! Models: kubernetes v1.36.2
//! plugin/pkg/admission/{serviceaccount,defaulttolerationseconds,priority,runtimeclass}/admission.go.
//! Left out: image pull secrets of the account, accounts that mount no token, runtime classes.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector, Pod,
    PodSpec, ProjectedVolumeSource, ServiceAccountTokenProjection, Toleration, Volume, VolumeMount, VolumeProjection,
};

use super::priority::{self, Classes};

/// Where a pod finds its token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Prefix of the token's volume.
const TOKEN_VOLUME: &str = "kube-api-access-";
/// Life of the token: an hour and a little, so that it can be told from one a user asked for. [s]
const TOKEN_SECONDS: i64 = 3607;
/// How long a pod stays on a node in trouble; Kubernetes: defaultNotReadyTolerationSeconds and its twin. [s]
const TOLERATION_SECONDS: i64 = 300;
/// Taints of nodes in trouble.
const TROUBLES: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// Annotation of pods that mirror static ones: they get no token.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Changes a pod as admission does; `token_suffix` are the five random characters of the token's volume. Fails with the
/// reason of a 403 if the pod's priority or runtime class is not known.
pub fn admit_pod(pod: &mut Pod, token_suffix: &str) -> Result<(), String> {
    admit_pod_of_class(pod, token_suffix, &priority::built_in)
}

/// The same where there are priority classes.
pub fn admit_pod_of_class(pod: &mut Pod, token_suffix: &str, classes: Classes<'_>) -> Result<(), String> {
    let mirror = pod.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR));
    let spec = pod.spec.get_or_insert_default();
    if !mirror {
        service_account(spec, token_suffix);
    }
    set_priority(spec, classes)?;
    tolerations(spec);
    match &spec.runtime_class_name {
        Some(class) => Err(format!("pod rejected: RuntimeClass \"{class}\" not found")),
        None => Ok(()),
    }
}

/// Changes an update of a pod as admission does: tolerations that went missing come back, the priority stays.
pub fn admit_pod_update(new: &mut Pod, old: &Pod) {
    let spec = new.spec.get_or_insert_default();
    if let Some(old) = &old.spec {
        spec.priority = spec.priority.or(old.priority);
        if spec.preemption_policy.is_none() {
            spec.preemption_policy = old.preemption_policy.clone();
        }
    }
    tolerations(spec);
}

/// Labels of nodes that pods take over.
pub const TOPOLOGY_LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// Copies the zone and region of the node a pod is bound to, or created on, to its labels.
pub fn topology_labels<'a>(pod: &mut Pod, label_of_node: impl Fn(&str) -> Option<&'a str>) {
    for label in TOPOLOGY_LABELS {
        if let Some(value) = label_of_node(label) {
            pod.metadata.labels.get_or_insert_default().insert(label.to_owned(), value.to_owned());
        }
    }
}

fn service_account(spec: &mut PodSpec, token_suffix: &str) {
    if spec.service_account_name.as_ref().is_none_or(String::is_empty) {
        spec.service_account_name = Some("default".to_owned());
    }
    spec.service_account = spec.service_account_name.clone();
    if spec.automount_service_account_token == Some(false) {
        return;
    }
    // A volume the pod brings along under such a name is used again.
    let own = spec.volumes.iter().flatten().find(|volume| volume.name.starts_with(TOKEN_VOLUME));
    let existing = own.map(|volume| volume.name.clone());
    let name = existing.clone().unwrap_or_else(|| format!("{TOKEN_VOLUME}{token_suffix}"));
    let mut mounted = false;
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        mounted |= mount_token(container, &name);
    }
    if mounted && existing.is_none() {
        spec.volumes.get_or_insert_default().push(token_volume(name));
    }
}

/// Mounts the token unless something else is mounted there.
fn mount_token(container: &mut Container, volume: &str) -> bool {
    let mounts = container.volume_mounts.get_or_insert_default();
    if mounts.iter().any(|mount| mount.mount_path == TOKEN_PATH) {
        return false;
    }
    mounts.push(VolumeMount {
        name: volume.to_owned(),
        mount_path: TOKEN_PATH.to_owned(),
        read_only: Some(true),
        ..Default::default()
    });
    true
}

fn token_volume(name: String) -> Volume {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(TOKEN_SECONDS),
        ..Default::default()
    };
    let certificate = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
        optional: None,
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: "metadata.namespace".to_owned(),
        }),
        ..Default::default()
    };
    let sources = vec![
        VolumeProjection { service_account_token: Some(token), ..Default::default() },
        VolumeProjection { config_map: Some(certificate), ..Default::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
            ..Default::default()
        },
    ];
    Volume {
        name,
        projected: Some(ProjectedVolumeSource { sources: Some(sources), default_mode: Some(0o644) }),
        ..Default::default()
    }
}

fn set_priority(spec: &mut PodSpec, classes: Classes<'_>) -> Result<(), String> {
    let name = spec.priority_class_name.clone().unwrap_or_default();
    let class = classes(&name).ok_or_else(|| format!("no PriorityClass with name {name} was found"))?;
    if !class.name.is_empty() {
        spec.priority_class_name = Some(class.name);
    }
    let priority = class.value;
    if spec.priority.is_some_and(|given| given != priority) {
        return Err(format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name",
            spec.priority.unwrap_or_default()
        ));
    }
    spec.priority = Some(priority);
    match spec.preemption_policy.as_deref() {
        Some(given) if given != class.preemption => Err(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {} from the given PriorityClass name",
            class.preemption
        )),
        _ => {
            spec.preemption_policy = Some(class.preemption);
            Ok(())
        }
    }
}

fn tolerations(spec: &mut PodSpec) {
    let mut missing: Vec<Toleration> = Vec::new();
    for taint in TROUBLES {
        let tolerated = spec.tolerations.iter().flatten().any(|toleration| tolerates(toleration, taint));
        if !tolerated {
            missing.push(Toleration {
                key: Some(taint.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(TOLERATION_SECONDS),
                value: None,
            });
        }
    }
    if !missing.is_empty() {
        spec.tolerations.get_or_insert_default().append(&mut missing);
    }
}

/// Whether a toleration is about the taint; its operator and value do not matter.
fn tolerates(toleration: &Toleration, taint: &str) -> bool {
    let is = |field: &Option<String>, value: &str| field.as_deref().unwrap_or_default() == value;
    (is(&toleration.key, taint) || is(&toleration.key, ""))
        && (is(&toleration.effect, "NoExecute") || is(&toleration.effect, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_pod_gets_account_token_tolerations_and_priority() {
        let mut pod: Pod =
            serde_json::from_value(serde_json::json!({"spec": {"containers": [{"name": "a"}]}})).expect("a pod");
        admit_pod(&mut pod, "abcde").expect("admitted");
        let spec = pod.spec.expect("a spec");
        assert_eq!(spec.service_account_name.as_deref(), Some("default"));
        assert_eq!(spec.volumes.expect("volumes")[0].name, "kube-api-access-abcde");
        assert_eq!(spec.tolerations.map(|tolerations| tolerations.len()), Some(2));
        assert_eq!((spec.priority, spec.preemption_policy.as_deref()), (Some(0), Some("PreemptLowerPriority")));
    }

    #[test]
    fn a_pod_that_tolerates_everything_gets_no_tolerations() {
        let spec = serde_json::json!({"containers": [], "tolerations": [{"operator": "Exists"}]});
        let mut pod: Pod = serde_json::from_value(serde_json::json!({ "spec": spec })).expect("a pod");
        admit_pod(&mut pod, "abcde").expect("admitted");
        assert_eq!(pod.spec.and_then(|spec| spec.tolerations).map(|tolerations| tolerations.len()), Some(1));
    }

    #[test]
    fn an_unknown_priority_class_is_refused() {
        let spec = serde_json::json!({"containers": [], "priorityClassName": "gold"});
        let mut pod: Pod = serde_json::from_value(serde_json::json!({ "spec": spec })).expect("a pod");
        assert_eq!(admit_pod(&mut pod, "abcde"), Err("no PriorityClass with name gold was found".to_owned()));
    }
}
