//! What a pod reads before it may run: objects behind its volumes and its containers' environments.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), pkg/kubelet/kuberuntime/kuberuntime_container.go
//! (startContainer), pkg/volume/{configmap,secret,projected}. Left out: watches on what is read, so that a mounted ConfigMap's change
//! is not seen; volumes that are mounted side by side.

use k8s_openapi::api::core::v1 as api;

use super::pod_worker::{PodEvent, PodWorker, Run, Stage};
use super::{Outcome, Purpose, Surroundings};
use crate::client::connection::Call;
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Name, Object, json};

/// An object that must be there, unless it is optional.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Need {
    /// PersistentVolumeClaim, ConfigMap or Secret.
    pub(super) kind: Kind,
    pub(super) name: Name,
    /// Keys it must have.
    keys: Vec<String>,
    optional: bool,
    /// The volume it is for.
    pub(super) volume: Name,
}

impl Need {
    fn of(kind: Kind, name: &str, optional: Option<bool>) -> Self {
        Need { kind, name: name.into(), keys: Vec::new(), optional: optional.unwrap_or(false), volume: "".into() }
    }

    fn keys(mut self, items: Option<&Vec<api::KeyToPath>>) -> Self {
        self.keys = items.into_iter().flatten().map(|item| item.key.clone()).collect();
        self
    }

    fn key(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }

    fn within(mut self, volume: &str) -> Self {
        self.volume = volume.into();
        self
    }

    /// What is wrong with the answer, in the kubelet's words.
    fn lacks(&self, result: &Outcome, namespace: &str) -> Option<String> {
        let object = match result {
            Ok(answer) => answer.object(),
            Err(status) if status.code == 404 => {
                // The kubelet reads from its own cache, whose error has the singular.
                let kind = self.kind.name().to_lowercase();
                return (!self.optional).then(|| format!("{kind} \"{}\" not found", self.name));
            }
            Err(status) => return Some(status.message.to_string()),
        };
        let missing = self.keys.iter().find(|key| !object.is_some_and(|object| has(object, key)))?;
        if self.optional {
            return None;
        }
        let in_volume = !self.volume.is_empty();
        Some(match self.kind {
            Kind::Secret if in_volume => format!("references non-existent secret key: {missing}"),
            _ if in_volume => format!("configmap references non-existent config key: {missing}"),
            kind => format!("couldn't find key {missing} in {} {namespace}/{}", kind.name(), self.name),
        })
    }
}

fn has(object: &Object, key: &str) -> bool {
    let object = json::to_json(object);
    ["data", "binaryData"].iter().any(|field| object.get(field).is_some_and(|data| data.get(key).is_some()))
}

/// What the volumes of a pod need, in their order. The token's volume, which every pod has, is not among them.
pub(super) fn of_volumes(spec: &api::PodSpec) -> Vec<Need> {
    let mut needs = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        let name = &volume.name;
        if let Some(claim) = &volume.persistent_volume_claim {
            needs.push(Need::of(Kind::PersistentVolumeClaim, &claim.claim_name, None).within(name));
        }
        if let Some(map) = &volume.config_map {
            needs.push(Need::of(Kind::ConfigMap, &map.name, map.optional).keys(map.items.as_ref()).within(name));
        }
        if let Some(secret) = &volume.secret {
            let of = secret.secret_name.as_deref().unwrap_or_default();
            needs.push(Need::of(Kind::Secret, of, secret.optional).keys(secret.items.as_ref()).within(name));
        }
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        let sources: Vec<_> = sources.collect();
        if sources.iter().any(|source| source.service_account_token.is_some()) {
            continue;
        }
        for source in sources {
            if let Some(map) = &source.config_map {
                needs.push(Need::of(Kind::ConfigMap, &map.name, map.optional).keys(map.items.as_ref()).within(name));
            }
            if let Some(secret) = &source.secret {
                let need = Need::of(Kind::Secret, &secret.name, secret.optional);
                needs.push(need.keys(secret.items.as_ref()).within(name));
            }
        }
    }
    needs
}

/// What the environment of a container needs.
pub(super) fn of_environment(container: &api::Container) -> Vec<Need> {
    let mut needs = Vec::new();
    for source in container.env_from.iter().flatten() {
        if let Some(map) = &source.config_map_ref {
            needs.push(Need::of(Kind::ConfigMap, &map.name, map.optional));
        }
        if let Some(secret) = &source.secret_ref {
            needs.push(Need::of(Kind::Secret, &secret.name, secret.optional));
        }
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        if let Some(map) = &source.config_map_key_ref {
            needs.push(Need::of(Kind::ConfigMap, &map.name, map.optional).key(&map.key));
        }
        if let Some(secret) = &source.secret_key_ref {
            needs.push(Need::of(Kind::Secret, &secret.name, secret.optional).key(&secret.key));
        }
    }
    needs
}

impl PodWorker {
    /// Asks for what a volume or an environment needs.
    pub(super) fn ask_for(&self, need: &Need, purpose: Purpose, around: &mut Surroundings<'_, '_>) {
        let key = Key { namespace: self.pod().meta.namespace.clone(), name: need.name.clone() };
        let number = around.connection.send(around.agent(), Call::get(need.kind, key), Duration::ZERO, around.out);
        around.requests.insert(number, purpose);
    }

    /// The object behind a volume is there, or is not: then the volume is set up again after a while, and longer each time.
    pub(super) fn volume_came(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        if self.stage != Stage::Volumes {
            return;
        }
        let Some(need) = of_volumes(&self.pod().spec.api).into_iter().nth(self.mounted) else { return };
        if need.kind == Kind::PersistentVolumeClaim {
            let claim =
                result.as_ref().ok().and_then(|answer| answer.object()?.as_resource::<api::PersistentVolumeClaim>());
            let phase = claim.and_then(|claim| claim.api.status.as_ref()?.phase.as_deref());
            if phase != Some("Bound") {
                return self.mount_later(around);
            }
        } else if let Some(why) = need.lacks(&result, &self.pod().meta.namespace) {
            let said = format!("MountVolume.SetUp failed for volume \"{}\" : {why}", need.volume);
            let regarding = self.object.reference();
            around.recorder.record(
                around.agent(),
                regarding,
                EventType::Warning,
                "FailedMount",
                said.into(),
                around.out,
            );
            return self.mount_later(around);
        }
        self.mounted += 1;
        self.mount(around);
    }

    /// The image is there: the environment of the container comes next, and then the container.
    pub(super) fn configure(&mut self, around: &mut Surroundings<'_, '_>) {
        self.configured = 0;
        self.configure_on(around);
    }

    fn configure_on(&mut self, around: &mut Surroundings<'_, '_>) {
        let need = self.current.and_then(|n| self.environment_need(n, self.configured));
        match need {
            Some(need) => self.ask_for(&need, Purpose::Environment(self.uid), around),
            None => self.create(around),
        }
    }

    fn environment_need(&self, n: usize, which: usize) -> Option<Need> {
        let spec = &self.pod().spec.api;
        let container = spec.init_containers.iter().flatten().chain(&spec.containers).nth(n)?;
        if container.env.is_none() && container.env_from.is_none() {
            return None;
        }
        of_environment(container).into_iter().nth(which)
    }

    pub(super) fn environment_came(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        if self.stage != Stage::Containers {
            return;
        }
        let Some(n) = self.current else { return };
        let Some(need) = self.environment_need(n, self.configured) else { return };
        let Some(why) = need.lacks(&result, &self.pod().meta.namespace) else {
            self.configured += 1;
            return self.configure_on(around);
        };
        self.event(EventType::Warning, "Failed", format!("Error: {why}"), n, around);
        self.container_mut(n).run = Run::Waiting { reason: "CreateContainerConfigError".into(), message: why.into() };
        self.report_now(around);
        self.configured = 0;
        self.tries += 1;
        let wait = around.draw(&around.setup.profile.kubelet.resync, "resync", self.pod(), self.tries);
        around.after(wait, self.uid, PodEvent::Retry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::status::Status;

    fn spec(value: serde_json::Value) -> api::PodSpec {
        serde_json::from_value(value).expect("a pod's spec")
    }

    #[test]
    fn volumes_and_environments_name_what_they_need() {
        let spec = spec(serde_json::json!({
            "containers": [{"name": "a",
                "envFrom": [{"configMapRef": {"name": "all"}}, {"secretRef": {"name": "s", "optional": true}}],
                "env": [{"name": "X", "value": "1"}, {"name": "M", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]}],
            "volumes": [
                {"name": "v", "configMap": {"name": "cfg"}}, {"name": "e", "emptyDir": {}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt"}}]}}],
        }));
        let volumes: Vec<_> = of_volumes(&spec).into_iter().map(|need| (need.kind, need.name, need.volume)).collect();
        assert_eq!(
            volumes,
            [(Kind::ConfigMap, "cfg".into(), "v".into()), (Kind::PersistentVolumeClaim, "data".into(), "c".into())]
        );
        let needs = of_environment(&spec.containers[0]);
        let missing = |name: &str| Err(Status::not_found(Kind::ConfigMap, name));
        let said: Vec<_> = needs.iter().map(|need| need.lacks(&missing(&need.name), "ns")).collect();
        assert_eq!(said[0].as_deref(), Some("configmap \"all\" not found"));
        assert_eq!(said[1], None);
    }
}
