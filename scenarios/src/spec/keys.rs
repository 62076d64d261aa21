//! What the map given to `cluster(#{ … })` may say: each key with an example and its meaning.
//!
//! What is accepted and what the script reference prints come from these tables.

use std::fmt::Write;

use wavetank_engine::kernel::{Duration, Latency};
use wavetank_engine::profiles;
use wavetank_engine::setup::{KubeletTiming, Pull};

use crate::script::duration;

/// A key of a map.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// A value for it, as a script writes it.
    pub example: &'static str,
    /// What it says; Markdown.
    pub meaning: &'static str,
}

const fn key(name: &'static str, example: &'static str, meaning: &'static str) -> Key {
    Key { name, example, meaning }
}

/// Keys of the cluster itself.
pub const CLUSTER: &[Key] = &[
    key(
        "nodes",
        "5",
        "how many nodes (default 3), called `worker-1`, `worker-2` …; or a list with a map for each node, below",
    ),
    key("etcd", "3", "members of etcd: 1 (default), 3, 5 or 7; or a map with its flags, below"),
    key("only", "\"etcd\"", "nothing but etcd runs: no API server, no nodes; for `etcdctl`"),
    key(
        "supervised",
        "false",
        "whether a process that ends is started again, as the kubelet does with static pods (default true)",
    ),
    key("profile", "\"production\"", "how long things take: `laptop` (default), `production` or `slow-disk`"),
    key("seed", "7", "decides all luck: latencies, names, ties (default 1)"),
    key("kubelet", "#{ pull: \"2s\" }", "other times for the kubelets than the profile's, below"),
    key(
        "image_sizes",
        "#{ \"nginx:1.25\": \"190M\", \"shop/api\": \"900M\" }",
        "how big images are, by name with a tag or for all tags of a repository (default: 50Mi and a little)",
    ),
    key("storage", "#{ provisioning: \"10s\" }", "how volumes come about, below"),
    key(
        "scheduler",
        "#{ percentageOfNodesToScore: 100 }",
        "the scheduler's KubeSchedulerConfiguration: a file in the script's folder such as `\"packing.yaml\"`, the YAML text \
            itself, or a map of its fields, in which `apiVersion` and `kind` may be left out. Profiles, plugins with their weights \
            and `pluginConfig`, `percentageOfNodesToScore`, back-off, client limits and `leaderElection` count; extenders are \
            refused, and addresses have no effect",
    ),
    key(
        "schedulers",
        "2",
        "replicas of `kube-scheduler` (default 1), called `kube-scheduler-0`, `kube-scheduler-1` …, of which one leads; or a \
            list with a map for each further scheduler, below",
    ),
    key(
        "controller_managers",
        "2",
        "replicas of the controller manager (default 1), called `kube-controller-manager-0` …, of which one leads",
    ),
    key(
        "api_servers",
        "3",
        "API servers behind a load balancer (default 1), called `kube-apiserver-0` …; each has its own watch cache, and each \
            client a connection to one of them",
    ),
    key(
        "metrics_server",
        "true",
        "whether there is a metrics server (default false), without which a HorizontalPodAutoscaler finds no metrics; what pods use \
            says `demand`. `#{ resolution: \"30s\" }`: how often it asks the kubelets (default 15s)",
    ),
    key(
        "kube_proxy",
        "true",
        "whether a kube-proxy runs on every node, `kube-proxy/worker-1` (default false). Nodes through which `traffic` goes get one in \
            any case; without traffic nobody meets their rules",
    ),
    key(
        "trace",
        "\"fingerprint\"",
        "`\"full\"` (default), or `\"fingerprint\"` for big clusters: no records are kept, so there is no timeline and \
            `explain` knows nothing",
    ),
];

/// Keys of a scheduler in the list `schedulers`.
pub const SCHEDULER: &[Key] = &[
    key("name", "\"my-scheduler\"", "what the process is called; `\"kube-scheduler\"` is the one every cluster has"),
    key(
        "configuration",
        "#{ profiles: [#{ schedulerName: \"my-scheduler\" }] }",
        "its KubeSchedulerConfiguration, given as for `scheduler`. It takes the pods that name one of its profiles. The lease for \
            which it stands is `leaderElection.resourceName` in `kube-system`; whoever leaves that at its default \
            `kube-scheduler` waits for the other schedulers of that lease to end, whatever its profiles",
    ),
    key("replicas", "2", "how many processes there are of it (default 1), called `my-scheduler-0` …; one leads"),
];

/// Keys of `controller`, but for `reconcile`.
pub const CONTROLLER: &[Key] = &[
    key(
        "watch",
        "[\"pods\"]",
        "the kind whose objects are reconciled, or a list of them; instead of a kind a map such as `#{ kind: \"pods\", labels: \"app=web\", \
            fields: \"spec.nodeName=worker-1\" }`",
    ),
    key(
        "owns",
        "[\"configmaps\"]",
        "kinds whose changes bring their owner, of the first kind of `watch`, into the queue",
    ),
    key("reads", "[\"nodes\"]", "kinds that are only in the cache"),
    key("namespace", "\"shop\"", "the only namespace that is watched (default: all)"),
    key("workers", "4", "how many keys are worked on at the same time (default 1)"),
    key("resync", "\"10m\"", "how often everything is looked at again (default: never)"),
    key("state", "#{ seen: 0 }", "what `this` holds when the process starts (default `#{}`)"),
    key("qps", "5", "requests a second (default 20; 0 is no limit)"),
    key("burst", "10", "requests at once (default 30)"),
    key("replicas", "2", "processes (default 1), called `controller/NAME-0` …; one leads"),
    key(
        "leader_election",
        "true",
        "whether a process stands for election before it works (default: if there are several)",
    ),
];

/// Keys of an entry of `watch`.
pub const WATCH: &[Key] = &[
    key("kind", "\"pods\"", "the kind"),
    key("labels", "\"app=web\"", "by label"),
    key("fields", "\"spec.nodeName=worker-1\"", "by field"),
];

/// Keys of `scheduler_plugin`, but for its functions.
pub const PLUGIN: &[Key] = &[
    key("weight", "2", "what the scores are multiplied with (default 1)"),
    key("profile", "\"default-scheduler\"", "the profile it joins (default: all of them)"),
    key("scheduler", "\"my-scheduler\"", "the process it joins (default: every scheduler)"),
];

/// Keys of a webhook, besides its `admit`.
pub const WEBHOOK: &[Key] = &[
    key("kind", "\"mutating\"", "`\"mutating\"` or `\"validating\"` (default): whether it may change what it sees"),
    key(
        "rules",
        "[#{ resources: [\"pods\"] }]",
        "what it is called for: maps with `resources`, `operations` (default `[\"CREATE\"]`) and `api_groups` (default all)",
    ),
    key("namespaces", "[\"shop\"]", "only in these namespaces"),
    key(
        "namespace_selector",
        "#{ injection: \"on\" }",
        "only in namespaces with these labels (or a whole label selector)",
    ),
    key("object_selector", "#{ app: \"web\" }", "only objects with these labels (or a whole label selector)"),
    key(
        "failure_policy",
        "\"Ignore\"",
        "what becomes of a request when the call fails: `\"Fail\"` (default) or `\"Ignore\"`",
    ),
    key("timeout", "\"5s\"", "how long the API server waits for the answer (default 10s, at most 30s)"),
    key(
        "latency",
        "\"20ms\"",
        "how long it takes to answer: always the same, or `#{ median: \"15ms\", p90: \"30ms\" }`, which is the default",
    ),
    key("side_effects", "\"NoneOnDryRun\"", "`\"None\"` (default) or `\"NoneOnDryRun\"`"),
    key(
        "reinvocation_policy",
        "\"IfNeeded\"",
        "whether it is asked again when a later one has changed the object (default `\"Never\"`)",
    ),
];

/// Keys of a rule of a webhook.
pub const RULE: &[Key] = &[
    key("resources", "[\"pods\"]", "plural names, with a subresource after a slash"),
    key("operations", "[\"CREATE\"]", "CREATE, UPDATE, DELETE"),
    key("api_groups", "[\"apps\"]", "API groups; the core group is the empty text"),
];

/// Keys of `etcd`.
pub const ETCD: &[Key] = &[
    key("members", "3", "members: 1 (default), 3, 5 or 7"),
    key("quota", "\"8Gi\"", "what the database may grow to before etcd refuses writes (default 2Gi)"),
    key(
        "auto_compaction",
        "\"1h\"",
        "history etcd forgets by itself: what is older than this, or all but so many revisions (`1000`); default `\"off\"`, \
            for the API server compacts by itself",
    ),
    key(
        "compaction_interval",
        "\"1m\"",
        "how often the API server compacts (its `--etcd-compaction-interval`; default 5m, `\"0s\"` is never)",
    ),
    key("heartbeat", "\"50ms\"", "between heartbeats (default 100ms)"),
    key("election", "\"2s\"", "shortest time without a leader before an election (default 1s)"),
    key("fsync", "\"45ms\"", "median of an fsync on the members' disks; the spread stays the profile's"),
    key("bandwidth", "\"20M\"", "bytes a second the disks write"),
];

/// Keys of the map given to `disk`.
pub const DISK: &[Key] =
    &[key("fsync", "\"45ms\"", "median of an fsync"), key("bandwidth", "\"20M\"", "bytes written a second")];

/// Keys of `metrics_server`.
pub const METRICS_SERVER: &[Key] = &[key("resolution", "\"30s\"", "between scrapes")];

/// Keys of the map given to `demand`.
pub const DEMAND: &[Key] = &[
    key("cpu", "\"1500m\"", "CPU that the workload's ready pods share"),
    key("cpu_per_pod", "\"20m\"", "CPU that each of its running pods uses besides"),
    key("memory", "\"2Gi\"", "memory that its ready pods share"),
    key("memory_per_pod", "\"64Mi\"", "memory that each of its running pods uses besides"),
    key("shape", "\"steps\"", "between the points of a table: `\"linear\"` (default) or `\"steps\"`"),
    key("repeat", "\"8m\"", "after how long the tables begin again, 1s or more"),
];

/// Keys of the map given to `load`.
pub const LOAD: &[Key] = &[
    key("rate", "20", "writes a second"),
    key("size", "\"256Ki\"", "what each object holds"),
    key("objects", "50", "how many objects are written in turn"),
    key("name", "\"noise\"", "what they are called, before their number"),
    key("namespace", "\"shop\"", "where they are"),
    key("at_once", "5", "writes under way at once"),
];

/// Keys of the map given to `traffic`.
pub const TRAFFIC: &[Key] = &[
    key("rps", "50", "requests a second"),
    key("arrivals", "\"even\"", "how they are spread over time"),
    key("from", "\"worker-1\"", "where the clients are"),
    key("via", "\"worker-1\"", "by whose node ports they come from outside"),
    key("port", "80", "which port of the Service"),
    key("latency", "\"2ms\"", "between client and pod, one way"),
    key("service_time", "#{ median: \"30ms\", p90: \"80ms\" }", "in the pod"),
    key("concurrency", "8", "requests that a pod works on at once"),
    key("queue", "100", "requests that wait in a pod"),
    key("timeout", "\"1s\"", "of each try"),
    key("retries", "1", "tries after the first"),
    key("keep_alive", "true", "whether connections are kept"),
    key("name", "\"users\"", "what it is called"),
];

/// Keys of a node in the list `nodes`.
pub const NODE: &[Key] = &[
    key("name", "\"db-1\"", "its name (default `worker-N`, N its place in the list)"),
    key("cpu", "\"8\"", "CPUs (default 4)"),
    key("memory", "\"32Gi\"", "memory (default 8Gi)"),
    key("pods", "250", "most pods (default 110)"),
    key("ephemeral-storage", "\"500Gi\"", "local disk for pods (default 100Gi)"),
    key("labels", "#{ disk: \"ssd\" }", "labels besides those every kubelet sets"),
    key("taints", "[\"dedicated=gpu:NoSchedule\"]", "taints, as `kubectl taint` takes them"),
    key(
        "images",
        "[\"nginx:1.25\", #{ name: \"model:1\", size: \"2Gi\" }]",
        "images that are there from the start; without a size one has 50Mi",
    ),
    key("resources", "#{ \"nvidia.com/gpu\": 2 }", "extended resources"),
    key(
        "disk",
        "\"40Gi\"",
        "the disk for images, logs and volumes: with it the room counts, images are deleted when it fills up, and pods evicted \
            when that does not help",
    ),
];

/// Keys of an image in a node's `images`.
pub const IMAGE: &[Key] = &[
    key("name", "\"model:1\"", "the image; without a tag it is `latest`"),
    key("size", "\"2Gi\"", "its size (default 50Mi)"),
];

/// Keys of `kubelet`.
pub const KUBELET: &[Key] = &[
    key("node_ready", "\"5s\"", "from the kubelet's start to its node's being Ready"),
    key("lease_renew", "\"20s\"", "between renewals of the node's lease"),
    key("status_check", "\"5s\"", "between looks at the node's status"),
    key("status_report", "\"1m\"", "longest time without a report of the node's status"),
    key("admit", "\"50ms\"", "from seeing a pod to its first status"),
    key("sandbox", "\"1s\"", "setting up a pod's sandbox and network"),
    key("pull", "\"2s\"", "pulling an image, whatever its size"),
    key("bandwidth", "\"10M\"", "bytes a second of a node's pulls; not together with `pull`"),
    key("serialize_pulls", "false", "whether a node pulls one image at a time"),
    key("pull_failure", "\"3s\"", "from the start of the pull of an image that does not exist to its failure"),
    key("create", "\"100ms\"", "creating a container"),
    key("start", "\"200ms\"", "starting it"),
    key("readiness", "\"5s\"", "from a container's start to its being ready, where no readiness probe says otherwise"),
    key("status_lag", "\"100ms\"", "from a change of a container to the report of its pod's status"),
    key("termination", "\"2s\"", "from SIGTERM to the end of a container"),
    key("job", "\"10s\"", "how long a container of a pod runs whose `restartPolicy` is not `Always`"),
    key("init", "\"2s\"", "how long an init container runs"),
    key("resync", "\"30s\"", "between attempts to start what failed to start"),
];

/// Further keys of `kubelet`: how it is configured.
pub const KUBELET_CONFIGURATION: &[Key] = &[
    key("max_parallel_pulls", "3", "most pulls at once (maxParallelImagePulls, none); above 1 they are not serialized"),
    key(
        "shared_layers",
        "0.6",
        "share of an image's bytes that it has in common with other tags of its repository, and that a node with one of them does \
            not pull again (default 0)",
    ),
    key(
        "registry_qps",
        "2",
        "pulls a second (registryPullQPS, 5; 0 is no limit); one more fails with `pull QPS exceeded`",
    ),
    key("registry_burst", "3", "and at once (registryBurst, 10)"),
    key("image_gc_high", "90", "use of a node's `disk` above which unused images are deleted, in percent (85)"),
    key("image_gc_low", "70", "and down to which (80)"),
    key("image_minimum_age", "\"10m\"", "younger images stay (imageMinimumGCAge, 2m)"),
    key(
        "eviction_hard",
        "#{ \"memory.available\": \"500Mi\", \"nodefs.available\": \"5%\" }",
        "what must be left of `memory.available`, `nodefs.available`, `imagefs.available`, `pid.available`, or pods are \
            evicted; naming one replaces all defaults (100Mi, 10%, 15%, none)",
    ),
    key(
        "eviction_soft",
        "#{ \"memory.available\": \"1Gi for 90s\" }",
        "what must be left, and how long it may be missed (evictionSoft with evictionSoftGracePeriod; none)",
    ),
    key(
        "eviction_minimum_reclaim",
        "#{ \"memory.available\": \"200Mi\" }",
        "how much more must be free after evicting",
    ),
    key("eviction_max_pod_grace_period", "\"60s\"", "the most that pods get that a soft threshold evicts (0s)"),
    key("eviction_pressure_transition_period", "\"30s\"", "how long pressure is reported after it was last seen (5m)"),
    key(
        "shutdown_grace_period",
        "\"30s\"",
        "how long a node that is told to `shutdown` waits for its pods (shutdownGracePeriod, 0s: it does not)",
    ),
    key("shutdown_grace_period_critical_pods", "\"10s\"", "how much of that is for critical pods, which end last (0s)"),
];

/// Keys of the map given to `node_pressure`.
pub const PRESSURE: &[Key] = &[
    key("memory_available", "\"50Mi\"", "memory left"),
    key("nodefs_available", "\"5%\"", "room on the disk"),
    key("imagefs_available", "\"5%\"", "room on the disk for images, if it is another"),
    key("pids", "\"2%\"", "process ids left"),
];

/// Keys of `storage`.
pub const STORAGE: &[Key] = &[key(
    "provisioning",
    "\"10s\"",
    "how long any provisioner that a StorageClass names takes to make a volume (default 2s)",
)];

/// A value of the kubelet's timing.
pub(super) enum Field<'a> {
    Latency(&'a mut Latency),
    /// A latency that may be none at all.
    Optional(&'a mut Option<Latency>),
    /// A period, longer than zero.
    Interval(&'a mut Duration),
    Flag(&'a mut bool),
    /// A fixed time for every pull.
    Pull(&'a mut Pull),
    /// Pulls by size.
    Bandwidth(&'a mut Pull),
}

/// Where a key of `kubelet` has its value.
pub(super) fn field<'a>(timing: &'a mut KubeletTiming, key: &str) -> Option<Field<'a>> {
    Some(match key {
        "node_ready" => Field::Latency(&mut timing.node_ready),
        "lease_renew" => Field::Interval(&mut timing.lease_renew),
        "status_check" => Field::Interval(&mut timing.status_check),
        "status_report" => Field::Interval(&mut timing.status_report),
        "admit" => Field::Latency(&mut timing.admit),
        "sandbox" => Field::Latency(&mut timing.sandbox),
        "pull" => Field::Pull(&mut timing.pull),
        "bandwidth" => Field::Bandwidth(&mut timing.pull),
        "serialize_pulls" => Field::Flag(&mut timing.serialize_pulls),
        "pull_failure" => Field::Latency(&mut timing.pull_failure),
        "create" => Field::Latency(&mut timing.create),
        "start" => Field::Latency(&mut timing.start),
        "readiness" => Field::Optional(&mut timing.readiness),
        "status_lag" => Field::Latency(&mut timing.status_lag),
        "termination" => Field::Latency(&mut timing.termination),
        "job" => Field::Latency(&mut timing.job),
        "init" => Field::Latency(&mut timing.init),
        "resync" => Field::Latency(&mut timing.resync),
        _ => return None,
    })
}

/// A table of its own as Markdown.
pub fn table(keys: &[Key]) -> String {
    let mut out = String::from("\nThe map's keys besides its functions:\n\n| key | example | says |\n|---|---|---|\n");
    rows(&mut out, keys);
    out
}

/// The tables as Markdown, for the script reference.
pub fn reference() -> String {
    let mut out = String::from("\nThe map's keys, all optional:\n\n| key | example | says |\n|---|---|---|\n");
    rows(&mut out, CLUSTER);
    out += "\n`etcd` as a map, such as `#{ members: 3, quota: \"8Gi\" }`:\n\n| key | example | says |\n|---|---|---|\n";
    rows(&mut out, ETCD);
    out += "\nA scheduler in the list `schedulers`:\n\n| key | example | says |\n|---|---|---|\n";
    rows(&mut out, SCHEDULER);
    out += "\nA node in the list `nodes`, such as `#{ name: \"db-1\", cpu: \"8\" }`; a key with a hyphen stands in quotes. \
        Sizes are quantities (`\"500m\"`, `\"8Gi\"`) or numbers.\n\n| key | example | says |\n|---|---|---|\n";
    rows(&mut out, NODE);
    out += "\n`storage` as a map:\n\n| key | example | says |\n|---|---|---|\n";
    rows(&mut out, STORAGE);
    out += "\nTimes of the `kubelet` are durations. A value given here is always the same, that of the profile varies around \
        the middle shown.\n\n| key | example | in `laptop` | is |\n|---|---|---|---|\n";
    let mut timing = profiles::laptop().kubelet;
    for key in KUBELET {
        let usual = field(&mut timing, key.name).map_or(String::new(), usual);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| `{}` | `{}` | {usual} | {} |", key.name, key.example, key.meaning);
    }
    out += "\nFurther keys of `kubelet`, fields of its configuration (their names and defaults in brackets):\n\n\
        | key | example | says |\n|---|---|---|\n";
    rows(&mut out, KUBELET_CONFIGURATION);
    out
}

fn rows(out: &mut String, keys: &[Key]) {
    for key in keys {
        let quote = if key.name.contains('-') { "\"" } else { "" };
        let _ = writeln!(out, "| `{quote}{}{quote}` | `{}` | {} |", key.name, key.example, key.meaning);
    }
}

/// What a field has without the script.
fn usual(field: Field<'_>) -> String {
    let middle = |latency: &Latency| duration::text(latency.median().as_nanos());
    match field {
        Field::Latency(latency) => middle(latency),
        Field::Optional(latency) => latency.as_ref().map_or("at once".to_owned(), middle),
        Field::Interval(interval) => duration::text(interval.as_nanos()),
        Field::Flag(flag) => flag.to_string(),
        Field::Pull(Pull::Fixed(latency)) => middle(latency),
        Field::Pull(Pull::Bandwidth { overhead, .. }) => format!("{} and by size", middle(overhead)),
        Field::Bandwidth(Pull::Bandwidth { bytes_per_second, .. }) => format!("{}M", *bytes_per_second / 1_000_000),
        Field::Bandwidth(Pull::Fixed(_)) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_reference() {
        let text = reference();
        let documented =
            |name: &str| text.contains(&format!("| `{name}` |")) || text.contains(&format!("| `\"{name}\"` |"));
        for key in [CLUSTER, SCHEDULER, ETCD, NODE, STORAGE, KUBELET, KUBELET_CONFIGURATION].into_iter().flatten() {
            assert!(documented(key.name), "{}", key.name);
        }
        assert!(IMAGE.iter().all(|key| text.contains(&format!("{}: ", key.name))), "{text}");
        for profile in profiles::NAMES {
            assert!(text.contains(&format!("`{profile}`")), "{profile}");
        }
        assert!(text.contains("| `sandbox` | `\"1s\"` | 400ms |") && text.contains("| 800ms and by size |"), "{text}");
    }

    #[test]
    fn every_key_of_the_kubelet_has_a_field_of_its_own() {
        for key in KUBELET {
            assert!(field(&mut profiles::laptop().kubelet, key.name).is_some(), "{}", key.name);
        }
        assert!(field(&mut profiles::laptop().kubelet, "sandbox_").is_none());
    }
}
