//! Static pods: manifests in a directory of the node, which its kubelet runs without asking anybody, and their mirrors in the API,
//! which show them to others and decide nothing.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/config/{common,file,file_linux}.go, pkg/kubelet/pod/{pod_manager,mirror_client}.go,
//! pkg/kubelet/kubelet.go (tryReconcileMirrorPods). Left out: manifests from a URL, several pods in a file; the hash is one of our own.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use serde_json::Value;

use super::pod_worker::{PodWorker, Stage};
use super::shutdown::CRITICAL;
use super::{Kubelet, KubeletEvent, Outcome, Purpose, pod_of};
use crate::apiserver::defaulting;
use crate::apiserver::request::{Body, DeleteOptions, Subresource, Verb};
use crate::client::connection::Call;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, hash_bytes, hash_words};
use crate::objects::decode::{self, Decoded};
use crate::objects::{Key, Kind, Name, Object, OwnerReference, Pod, PodSpec, Uid, compact, json};
use crate::setup::Setup;

const SOURCE: &str = "kubernetes.io/config.source";
const HASH: &str = "kubernetes.io/config.hash";
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Until a mirror that could not be created is tried again, and up to half as much more; Kubernetes: syncFrequency.
const AGAIN: Duration = Duration::from_secs(60);

/// The static pods of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Statics {
    /// The directory: file name and pod.
    files: BTreeMap<Name, Arc<Object>>,
    /// Mirrors as the watch shows them.
    mirrors: BTreeMap<Key, Seen>,
    /// Mirrors that are being created.
    under_way: Vec<Uid>,
    /// The uid of the node's object, which owns the mirrors.
    pub(super) node: Option<Uid>,
    /// How often a creation failed.
    failures: u64,
}

#[derive(Clone, Debug)]
struct Seen {
    uid: Uid,
    hash: Name,
    deleting: bool,
}

/// Whether a pod comes from a file of the node.
pub(super) fn is_static(pod: &Pod) -> bool {
    pod.meta.annotation(SOURCE).is_some_and(|source| source != "api") && !is_mirror(pod)
}

/// Whether it only shows a static pod.
pub(super) fn is_mirror(pod: &Pod) -> bool {
    pod.meta.annotation(MIRROR).is_some()
}

/// Whether the node does all it can to keep a pod; Kubernetes: IsCriticalPod.
pub(super) fn is_critical(pod: &Pod) -> bool {
    pod.spec.terms.priority >= CRITICAL || is_static(pod) || is_mirror(pod)
}

/// Reads the manifest of a static pod.
///
/// # Errors
/// If it is no pod, or if it refers to what a static pod cannot refer to.
pub fn read(manifest: &Value) -> Result<api::Pod, String> {
    let mut decoded = decode::decode(Kind::Pod, manifest).map_err(|error| error.to_string())?;
    if let Some(problem) = decoded.problems.first() {
        return Err(problem.clone());
    }
    defaulting::apply(&mut decoded.object);
    let Decoded::Pod(pod) = decoded.object else { return Err("a static pod is a Pod".to_owned()) };
    let spec = pod.spec.as_ref().ok_or("the pod has no spec")?;
    if pod.metadata.name.as_ref().is_none_or(String::is_empty) || spec.containers.is_empty() {
        return Err("a static pod needs metadata.name and at least one container".to_owned());
    }
    let volumes = spec.volumes.iter().flatten();
    let refers = volumes.clone().any(|volume| {
        volume.secret.is_some() || volume.config_map.is_some() || volume.persistent_volume_claim.is_some()
    });
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let mut sources = containers.clone().flat_map(|container| container.env_from.iter().flatten());
    let whole = sources.any(|source| source.config_map_ref.is_some() || source.secret_ref.is_some());
    let variables = containers.flat_map(|container| container.env.iter().flatten());
    let reads = variables.filter_map(|variable| variable.value_from.as_ref());
    let reads = reads.into_iter().any(|from| from.config_map_key_ref.is_some() || from.secret_key_ref.is_some());
    if refers || reads || whole || spec.service_account_name.as_ref().is_some_and(|name| !name.is_empty()) {
        return Err("a static pod may not refer to ServiceAccounts, Secrets, ConfigMaps or claims".to_owned());
    }
    Ok(*pod)
}

impl Kubelet {
    /// Changes the directory; false if there is no such file to take away.
    pub(crate) fn put_file(&mut self, file: &Name, pod: Option<&api::Pod>) -> bool {
        let Some(pod) = pod else { return self.statics.files.remove(file).is_some() };
        let object = Object::Pod(self.pod_of_file(pod.clone()));
        self.statics.files.insert(file.clone(), Arc::new(object));
        true
    }

    /// A pod as the kubelet makes it of a file.
    fn pod_of_file(&self, mut pod: api::Pod) -> Pod {
        let text = serde_json::to_string(&pod).unwrap_or_default();
        let word = |n: u64| hash_words(&[hash_bytes(text.as_bytes()), hash_bytes(self.name.as_bytes()), n]);
        let uid = Uid(u128::from(word(1)) << 64 | u128::from(word(2)));
        let meta = &mut pod.metadata;
        meta.name = meta.name.as_ref().map(|name| format!("{name}-{}", self.name));
        meta.namespace.get_or_insert_with(|| "default".to_owned());
        meta.uid = Some(uid.to_string());
        let annotations = meta.annotations.get_or_insert_default();
        annotations.insert(HASH.to_owned(), format!("{:032x}", uid.0));
        annotations.insert(SOURCE.to_owned(), "file".to_owned());
        let spec = pod.spec.get_or_insert_default();
        spec.node_name = Some(self.name.to_string());
        let toleration = api::Toleration {
            effect: Some("NoExecute".to_owned()),
            operator: Some("Exists".to_owned()),
            ..api::Toleration::default()
        };
        spec.tolerations.get_or_insert_default().push(toleration);
        let mut made = compact::pod(pod);
        // The class's number is the API server's to find; the two that the system has are known to everybody.
        let class = made.spec.api.priority_class_name.as_deref();
        let priority = match class {
            Some("system-node-critical") => Some(CRITICAL + 1_000),
            Some("system-cluster-critical") => Some(CRITICAL),
            _ => made.spec.api.priority,
        };
        if priority != made.spec.api.priority {
            made.spec = PodSpec::new(api::PodSpec { priority, ..made.spec.api.clone() });
        }
        made
    }

    /// Starts what is new in the directory, ends what is no longer there, and forgets what has ended.
    pub(super) fn read_directory(&mut self, setup: &Setup, out: &mut Effects) {
        let wanted: Vec<Arc<Object>> = self.statics.files.values().cloned().collect();
        let uids: Vec<Uid> = wanted.iter().map(|pod| pod.meta().uid).collect();
        let statics = self.pods.iter().filter(|(_, worker)| is_static(pod_of(&worker.object)));
        let gone: Vec<(Uid, Stage)> =
            statics.filter(|(uid, _)| !uids.contains(uid)).map(|(uid, worker)| (*uid, worker.stage)).collect();
        for (uid, stage) in gone {
            if stage >= Stage::Terminated || stage == Stage::Seen {
                self.with_worker(uid, setup, out, PodWorker::gone);
                self.pods.remove(&uid);
            } else {
                self.with_worker(uid, setup, out, PodWorker::end_static);
            }
        }
        for pod in wanted {
            let (uid, key) = (pod.meta().uid, pod.key());
            let same_name = |worker: &PodWorker| worker.object.key() == key && is_static(pod_of(&worker.object));
            if self.pods.contains_key(&uid) || self.pods.values().any(same_name) {
                continue;
            }
            let mut worker = PodWorker::new(pod);
            if let Some(past) = self.pasts.remove(&uid) {
                worker.remember(past, super::second(out.wall()));
            }
            self.pods.insert(uid, worker);
            self.with_worker(uid, setup, out, PodWorker::seen);
        }
        self.see_to_mirrors(setup, out);
    }

    /// Static pods that an earlier process of this kubelet left running are its own again at once.
    pub(super) fn find_statics(&mut self, setup: &Setup, out: &mut Effects) {
        let uids: Vec<Uid> = self.static_uids();
        for uid in uids {
            self.with_worker(uid, setup, out, |worker, around| {
                let object = worker.object.clone();
                worker.updated(object, around);
            });
        }
    }

    fn static_uids(&self) -> Vec<Uid> {
        self.pods.iter().filter(|(_, worker)| is_static(pod_of(&worker.object))).map(|(uid, _)| *uid).collect()
    }

    /// The watch shows a mirror, or that it is gone.
    pub(super) fn mirror_changed(&mut self, object: &Arc<Object>, there: bool, setup: &Setup, out: &mut Effects) {
        let (key, meta) = (object.key(), object.meta());
        let hash: Name = meta.annotation(MIRROR).unwrap_or_default().into();
        let seen = Seen { uid: meta.uid, hash, deleting: meta.deleting() };
        let new = match self.statics.mirrors.entry(key.clone()) {
            Entry::Occupied(place) if !there => {
                if place.get().uid == seen.uid {
                    place.remove();
                }
                false
            }
            Entry::Occupied(mut place) => place.insert(seen.clone()).uid != seen.uid,
            Entry::Vacant(_) if !there => false,
            Entry::Vacant(place) => {
                place.insert(seen);
                true
            }
        };
        if new {
            let of_it = |worker: &&PodWorker| worker.object.key() == key && is_static(pod_of(&worker.object));
            if let Some(uid) = self.pods.values().find(of_it).map(|worker| worker.uid) {
                self.with_worker(uid, setup, out, |worker, around| worker.report_now(around));
            }
        }
        self.see_to_mirrors(setup, out);
    }

    /// Creates the mirrors that are missing, deletes those that are wrong or not wanted.
    pub(super) fn see_to_mirrors(&mut self, setup: &Setup, out: &mut Effects) {
        if !self.informer.synced() {
            return;
        }
        let mut wrong: Vec<(Key, Uid)> = Vec::new();
        for (key, seen) in &self.statics.mirrors {
            let shows = |worker: &PodWorker| {
                is_static(pod_of(&worker.object))
                    && worker.object.key() == *key
                    && pod_of(&worker.object).meta.annotation(HASH) == Some(&*seen.hash)
            };
            if seen.deleting || !self.pods.values().any(shows) {
                wrong.push((key.clone(), seen.uid));
            }
        }
        for (key, uid) in wrong {
            let options = DeleteOptions { grace: Some(0), uid: Some(uid), ..DeleteOptions::default() };
            let number = self.connection.send(self.agent(), Call::delete(Kind::Pod, key, options), Duration::ZERO, out);
            self.requests.insert(number, Purpose::MirrorDelete);
        }
        let Some(node) = self.statics.node else { return };
        for uid in self.static_uids() {
            let Some(worker) = self.pods.get(&uid) else { continue };
            let pod = pod_of(&worker.object);
            let leaves = worker.stage >= Stage::Terminating && worker.fate.is_none();
            if leaves || self.statics.mirrors.contains_key(&pod.meta.key()) || self.statics.under_way.contains(&uid) {
                continue;
            }
            let (key, body) = (pod.meta.key(), Body::Json(Arc::new(self.mirror_of(pod, node))));
            let call = Call { verb: Verb::Create, kind: Kind::Pod, subresource: Subresource::None, key, body };
            let number = self.connection.send(self.agent(), call, Duration::ZERO, out);
            self.requests.insert(number, Purpose::Mirror(uid));
            self.statics.under_way.push(uid);
        }
        let _ = setup;
    }

    /// The mirror of a static pod, as JSON.
    fn mirror_of(&self, pod: &Pod, node: Uid) -> Value {
        let mut mirror = pod.clone();
        let annotations = Arc::make_mut(&mut mirror.meta.annotations);
        let hash = pod.meta.annotation(HASH).unwrap_or_default();
        annotations.insert(MIRROR.into(), hash.into());
        mirror.meta.uid = Uid::default();
        mirror.meta.owners = Arc::new([OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.name.clone(),
            uid: node,
            controller: true,
            block_owner_deletion: false,
        }]);
        let mut value = json::to_json(&Object::Pod(mirror));
        if let Some(map) = value.as_object_mut() {
            map.remove("status");
        }
        value
    }

    /// The API server's answer to the creation of a mirror.
    pub(super) fn mirror_came(&mut self, uid: Uid, result: Outcome, setup: &Setup, out: &mut Effects) {
        self.statics.under_way.retain(|other| *other != uid);
        if result.is_err_and(|status| !status.is_already_exists()) {
            self.mirrors_again(setup, out);
        }
    }

    /// The answer to the deletion of a mirror: the next round of the housekeeping tries it again.
    pub(super) fn mirror_went(&mut self, result: &Outcome, setup: &Setup, out: &mut Effects) {
        if result.as_ref().is_err_and(|status| !status.is_not_found() && status.code != 409) {
            self.mirrors_again(setup, out);
        }
    }

    fn mirrors_again(&mut self, setup: &Setup, out: &mut Effects) {
        self.statics.failures += 1;
        let luck = setup.luck("kubelet", "mirror", &self.name, self.statics.failures).below(500);
        let wait = AGAIN + AGAIN.fraction(luck, 1_000);
        out.after(wait, Event::Kubelet(self.index, KubeletEvent::Mirror));
    }

    /// The process is gone, and with it what it knew of the API.
    pub(super) fn forget_mirrors(&mut self) {
        self.statics = Statics { files: std::mem::take(&mut self.statics.files), ..Statics::default() };
    }
}

impl PodWorker {
    /// The manifest of a static pod is no longer there.
    fn end_static(&mut self, around: &mut super::Surroundings<'_, '_>) {
        if self.stage < Stage::Terminating {
            self.stop_all(self.grace_of_spec().max(0) as u64, around);
        }
    }

    /// Whether an object of the API stands for this pod: itself, or its mirror.
    pub(super) fn is_shown_by(&self, pod: &Pod) -> bool {
        let hash = pod_of(&self.object).meta.annotation(HASH);
        pod.meta.uid == self.uid || is_static(self.pod()) && hash.is_some() && pod.meta.annotation(MIRROR) == hash
    }
}
