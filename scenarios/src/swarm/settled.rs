//! What must hold in the end, when nothing is wrong any more and nobody does anything.
//!
//! Eventually, within 25 minutes of the last command: every node is Ready and free of taints for trouble, nothing is being deleted, nobody's owner is gone,
//! every workload is as it is wanted to be, EndpointSlices name the pods that are ready, the members of etcd are equal, and nothing changes any more.
//!
//! A workload may fall short of what is wanted for reasons that are nobody's failure: a pod that the scheduler says fits nowhere,
//! a quota that is used up (its replica set says so), containers that crash as they are told to. Nor is it one of ours where upstream stays stuck
//! until something else happens: a controller that first sees a pod it made when that is being deleted already goes on expecting it
//! (addPod in pkg/controller/{replicaset,daemon,job}), a Service whose slices could not be written fifteen times in a row is
//! dropped (handleErr in pkg/controller/endpointslice), and a Deployment whose only replica set with pods was last scaled for another number than
//! it happens to have is taken for one that is being scaled, whatever its template says (isScalingEvent and scale in pkg/controller/deployment).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use wavetank_engine::World;
use wavetank_engine::objects::{Key, Kind, Object, Pod, ReplicaSet, Resource, Uid, json};

use super::containers;
use super::invariants::Broken;
use super::invariants::sometimes::Sometimes;

/// What is not as it should be; the first that is found.
pub fn wrong(world: &World, given_up: &BTreeSet<Key>) -> Option<Broken> {
    let pods = world.objects(Kind::Pod);
    let all = All { world, given_up, pods: pods.iter().filter_map(|object| object.as_pod()).collect() };
    let checks: [fn(&All<'_>) -> Option<Broken>; 9] =
        [members, nodes, deleting, owners, deployments, sets, daemons, jobs, endpoints];
    checks.iter().find_map(|check| check(&all))
}

/// What only the end shows.
pub(super) fn sometimes(world: &World, counts: &mut Sometimes) {
    if world.etcd().iter().any(|member| member.store().compact_revision() > 0) {
        counts.count("history compacted");
    }
}

struct All<'a> {
    world: &'a World,
    /// Services whose slices their controller tries no more.
    given_up: &'a BTreeSet<Key>,
    pods: Vec<&'a Pod>,
}

impl All<'_> {
    fn of(&self, owner: Uid) -> impl Iterator<Item = &Pod> {
        let owned = move |pod: &&&Pod| pod.meta.controller().is_some_and(|by| by.uid == owner);
        self.pods.iter().filter(owned).copied()
    }

    /// Whether a controller waits for pods it has asked for and will not see.
    fn waits(&self, kind: Kind, key: &Key) -> bool {
        self.world.controller_managers().iter().any(|manager| manager.leading() && manager.has_missed_pods(kind, key))
    }

    /// Whether the scheduler says of one of these pods that it fits nowhere.
    fn excused<'p>(pods: impl Iterator<Item = &'p Pod>) -> bool {
        pods.into_iter().any(|pod| {
            let refused = pod.condition("PodScheduled").is_some_and(|at| !at.holds() && at.reason == *"Unschedulable");
            refused && pod.node.is_none()
        })
    }
}

fn eventually(invariant: &'static str, object: impl ToString, text: impl ToString) -> Option<Broken> {
    Some(Broken { invariant, object: object.to_string(), text: text.to_string() })
}

fn members(all: &All<'_>) -> Option<Broken> {
    let revisions: Vec<u64> = all.world.etcd().iter().map(|member| member.store().revision()).collect();
    let (least, most) = (revisions.iter().min()?, revisions.iter().max()?);
    // Something may be on its way: a lease, say.
    if most - least > 3 {
        return eventually("etcd's members catch up", "", format!("their revisions are {revisions:?}"));
    }
    None
}

fn nodes(all: &All<'_>) -> Option<Broken> {
    let nodes = all.world.objects(Kind::Node);
    if nodes.len() != all.world.setup().nodes.len() {
        let text = format!("{} of {} nodes are there", nodes.len(), all.world.setup().nodes.len());
        return eventually("nodes come back", "", text);
    }
    for node in nodes.iter().filter_map(|object| object.as_node()) {
        let trouble = node.taints.iter().find(|taint| taint.key.starts_with("node.kubernetes.io/"));
        if let Some(taint) = trouble {
            return eventually("nodes come back", &node.meta.name, format!("it has the taint {}", taint.key));
        }
        if !node.ready() || node.unschedulable {
            return eventually("nodes come back", &node.meta.name, "it is not ready, or still cordoned");
        }
    }
    None
}

fn deleting(all: &All<'_>) -> Option<Broken> {
    for kind in Kind::ALL {
        if let Some(object) = all.world.objects(kind).iter().find(|object| object.meta().deleting()) {
            let finalizers = &object.meta().finalizers;
            let text = format!("it is still being deleted; finalizers: {finalizers:?}");
            return eventually("what is deleted goes", format!("{kind:?} {}", object.key()), text);
        }
    }
    None
}

fn owners(all: &All<'_>) -> Option<Broken> {
    let kinds = [Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet, Kind::DaemonSet, Kind::Job, Kind::CronJob];
    let objects = kinds.iter().flat_map(|kind| all.world.objects(*kind));
    let objects: Vec<Arc<Object>> = objects.collect();
    let known: BTreeSet<Uid> = objects.iter().map(|object| object.meta().uid).collect();
    let metas = objects.iter().map(|object| object.meta()).chain(all.pods.iter().map(|pod| &pod.meta));
    for meta in metas {
        let gone = meta.owners.iter().find(|owner| &*owner.kind != "Node" && !known.contains(&owner.uid));
        if let Some(owner) = gone {
            let text = format!("its owner {} {} is gone", owner.kind, owner.name);
            return eventually("nobody outlives its owner", meta.key(), text);
        }
    }
    None
}

/// Whether a container of a pod is meant to crash.
fn crashes(pod: &Pod) -> bool {
    containers::crashes(|key| pod.meta.annotation(key).map(|text| text.to_string()))
}

/// For how many replicas of its Deployment a replica set was last scaled.
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";

fn deployments(all: &All<'_>) -> Option<Broken> {
    let sets = all.world.objects(Kind::ReplicaSet);
    let classes = all.world.objects(Kind::PriorityClass);
    let namespaces = all.world.objects(Kind::Namespace);
    for object in all.world.objects(Kind::Deployment) {
        let deployment = object.as_deployment()?;
        // A create that a member of etcd held for a minute may be carried out when its namespace is gone; upstream orphans it as well.
        if !namespaces.iter().any(|known| known.meta().name == deployment.meta.namespace) {
            continue;
        }
        let (wanted, status) = (deployment.spec.replicas, &deployment.status);
        if status.observed_generation != deployment.meta.generation {
            return eventually("deployments reach what is wanted", object.key(), "its controller has not seen it");
        }
        let own = sets.iter().filter_map(|set| set.as_replica_set());
        let own = own.filter(|set| set.meta.controller().is_some_and(|by| by.uid == deployment.meta.uid));
        let own: Vec<_> = own.collect();
        let pods = || own.iter().flat_map(|set| all.of(set.meta.uid));
        let refused =
            own.iter().any(|set| set.status.conditions.iter().any(|at| at.kind == *"ReplicaFailure" && at.holds()));
        // A quota may refuse its pods, and so does admission when the command that makes their priority class has failed.
        let class = json::to_json(&object)["spec"]["template"]["spec"]["priorityClassName"].as_str().map(str::to_owned);
        let classless = class.is_some_and(|class| !classes.iter().any(|known| *known.meta().name == *class));
        let active: Vec<_> = own.iter().filter(|set| set.spec.replicas > 0).collect();
        let desired = |set: &ReplicaSet| set.meta.annotation(DESIRED).and_then(|text| text.parse::<i32>().ok());
        let scales =
            matches!(&active[..], [set] if set.spec.replicas == wanted && desired(set).is_some_and(|n| n != wanted));
        let waits = own.iter().any(|set| all.waits(Kind::ReplicaSet, &set.meta.key()));
        let refused = refused && (&*deployment.meta.namespace == "team" || classless);
        let numbers = [status.replicas, status.updated, status.ready, status.available];
        let reached = numbers == [wanted; 4] && pods().filter(|pod| pod.active()).count() as i32 == wanted;
        if !reached && !refused && !waits && !scales && !All::excused(pods()) && !pods().any(crashes) {
            let text = format!("{wanted} are wanted; replicas, updated, ready, available are {numbers:?}");
            return eventually("deployments reach what is wanted", object.key(), text);
        }
    }
    None
}

fn sets(all: &All<'_>) -> Option<Broken> {
    for object in all.world.objects(Kind::StatefulSet) {
        let set = object.as_resource::<StatefulSet>()?;
        let wanted = set.api.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let pods = || all.of(set.meta.uid);
        let Some(status) = &set.api.status else {
            return eventually("stateful sets reach what is wanted", object.key(), "its controller has not seen it");
        };
        let numbers = [status.replicas, status.ready_replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0)];
        let same = status.current_revision == status.update_revision;
        if (numbers != [wanted; 3] || !same) && !All::excused(pods()) {
            let text = format!("{wanted} are wanted; replicas, ready, updated are {numbers:?}");
            return eventually("stateful sets reach what is wanted", object.key(), text);
        }
    }
    for object in all.world.objects(Kind::PersistentVolumeClaim) {
        let claim = object.as_resource::<PersistentVolumeClaim>()?;
        let used = all.pods.iter().find(|pod| pod.spec.terms.claims.contains(&claim.meta.name));
        let bound = claim.api.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
        if !bound && used.is_some_and(|pod| !All::excused(std::iter::once(*pod))) {
            return eventually("claims are bound", object.key(), "it is not");
        }
    }
    None
}

fn daemons(all: &All<'_>) -> Option<Broken> {
    for object in all.world.objects(Kind::DaemonSet) {
        let set = object.as_resource::<DaemonSet>()?;
        let Some(status) = &set.api.status else {
            return eventually("daemon sets reach what is wanted", object.key(), "its controller has not seen it");
        };
        let wanted = status.desired_number_scheduled;
        let numbers =
            [status.current_number_scheduled, status.number_ready, status.updated_number_scheduled.unwrap_or(0)];
        if all.waits(Kind::DaemonSet, &object.key()) {
            continue;
        }
        if (numbers != [wanted; 3] || status.number_misscheduled > 0) && !All::excused(all.of(set.meta.uid)) {
            let text = format!("{wanted} are wanted; scheduled, ready, updated are {numbers:?}");
            return eventually("daemon sets reach what is wanted", object.key(), text);
        }
    }
    None
}

fn jobs(all: &All<'_>) -> Option<Broken> {
    for object in all.world.objects(Kind::Job) {
        let job = object.as_resource::<Job>()?;
        let status = job.api.status.clone().unwrap_or_default();
        let over = status
            .conditions
            .iter()
            .flatten()
            .any(|at| at.status == "True" && ["Complete", "Failed"].contains(&&*at.type_));
        if !over && !all.waits(Kind::Job, &object.key()) && !All::excused(all.of(job.meta.uid)) {
            let text = format!("{:?} pods are active, {:?} succeeded", status.active, status.succeeded);
            return eventually("jobs end", object.key(), text);
        }
    }
    None
}

/// How many ready pods the slices of a Service name.
pub(super) fn ready_endpoints(world: &World, service: &Key) -> usize {
    let slices = world.objects(Kind::EndpointSlice);
    let of = slices.iter().filter_map(|object| object.as_resource::<EndpointSlice>()).filter(|slice| {
        let name = slice.meta.labels.get("kubernetes.io/service-name");
        slice.meta.namespace == service.namespace && name.is_some_and(|name| *name == service.name)
    });
    let serves = |slice: &Resource<EndpointSlice>| {
        let all = slice.api.endpoints.iter().flatten();
        all.filter(|one| one.conditions.as_ref().is_none_or(|at| at.ready != Some(false))).count()
    };
    of.map(serves).sum()
}

fn endpoints(all: &All<'_>) -> Option<Broken> {
    let mut ready: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for object in all.world.objects(Kind::EndpointSlice) {
        let slice = object.as_resource::<EndpointSlice>()?;
        let Some(service) = slice.meta.labels.get("kubernetes.io/service-name") else { continue };
        let names = ready.entry((slice.meta.namespace.to_string(), service.to_string())).or_default();
        for endpoint in slice.api.endpoints.iter().flatten() {
            let serves = endpoint.conditions.as_ref().is_none_or(|at| at.ready != Some(false));
            names.extend(endpoint.target_ref.as_ref().filter(|_| serves).and_then(|target| target.name.clone()));
        }
    }
    for object in all.world.objects(Kind::Service) {
        let service = object.as_resource::<Service>()?;
        if service.api.spec.as_ref().is_none_or(|spec| spec.selector.is_none()) {
            continue;
        }
        let selected = all
            .pods
            .iter()
            .filter(|pod| pod.meta.namespace == service.meta.namespace && service.compiled.0.matches(&pod.meta.labels));
        let wanted: BTreeSet<String> =
            selected.filter(|pod| pod.ready() && !pod.meta.deleting()).map(|pod| pod.meta.name.to_string()).collect();
        let key = (service.meta.namespace.to_string(), service.meta.name.to_string());
        let has = ready.remove(&key).unwrap_or_default();
        if has != wanted && !all.given_up.contains(&object.key()) {
            let text = format!("ready are {wanted:?}, its slices name {has:?}");
            return eventually("endpoints are the ready pods", object.key(), text);
        }
    }
    None
}
