//! What stays constant in a run: the cluster's shape, the latency profile, the knobs with their upstream defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apiserver::webhooks::WebhookServer;
use crate::custom::CustomProcess;
use crate::etcd::{EtcdSettings, Formation};
use crate::kernel::{Duration, Endpoint, Latency, Luck, Seed, hash_bytes};
use crate::kubelet::KubeletConfiguration;
use crate::objects::Name;
use crate::scheduler::config::SchedulerConfiguration;
use crate::scripted::{NoScripts, Scripts};
use crate::trace::TraceLevel;

/// Everything that is constant during a run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The seed of all luck.
    pub seed: Seed,
    /// Mixes the order of events at the same instant, to prove that nothing hangs on it.
    pub shuffle_ties: Option<u64>,
    /// How much of the trace is kept.
    pub trace: TraceLevel,
    /// etcd members: 1 to 7.
    pub etcd_members: u8,
    /// Their names, addresses, and which of them was the first to lead.
    pub formation: Formation,
    /// Nothing but etcd runs: no API server, no nodes.
    pub only_etcd: bool,
    /// Whether processes that end are started again, as the kubelet does with static pods.
    pub supervised: bool,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// How long things take.
    pub profile: Profile,
    /// The API servers behind the load balancer: 1 to [`MOST_REPLICAS`].
    pub api_servers: u8,
    /// Replicas of the controller manager, of which one leads: 1 to [`MOST_REPLICAS`].
    pub controller_managers: u8,
    /// The scheduler processes; at least one.
    pub schedulers: Vec<SchedulerSpec>,
    /// How often the API server forgets etcd's history; zero is never. – kube-apiserver: --etcd-compaction-interval, 5 min.
    pub etcd_compaction_interval: Duration,
    /// How often a metrics server scrapes the kubelets; `None`: there is none.
    pub metrics_server: Option<Duration>,
    /// Whether a kube-proxy runs on every node. Those through which traffic is sent have one in any case.
    pub kube_proxy: bool,
    /// Whether anybody sends requests to pods, so that kubelets tell of their containers. [`crate::World::start_traffic`] turns it on.
    pub traffic: bool,
    /// How long a provisioner takes to make a volume: an estimate of cloud disks' and CSI drivers' usual few seconds, 2 s.
    pub provisioning: Duration,
    /// How the kubelets are configured.
    pub kubelet: KubeletConfiguration,
    /// Sizes of images, by name with tag or by repository. [bytes]
    pub image_sizes: BTreeMap<Name, u64>,
    /// Processes of controllers of one's own; there are at most [`MOST_REPLICAS`].
    pub custom: Vec<CustomProcess>,
    /// What the user wrote: reconciles, scheduler plugins, webhooks.
    pub scripts: Arc<dyn Scripts>,
    /// The programs behind webhooks.
    pub webhook_servers: Vec<WebhookServer>,
}

/// Most API servers, controller managers, or schedulers in all.
pub const MOST_REPLICAS: u8 = 32;

/// A scheduler process as it is set up.
#[derive(Clone, Debug)]
pub struct SchedulerSpec {
    /// What the process is called: `kube-scheduler`. No two are called the same.
    pub process: Name,
    /// Which replica of its program it is, from 0: it runs on a machine of the control plane of that number.
    pub replica: u8,
    /// How it is configured; replicas share it.
    pub configuration: Arc<SchedulerConfiguration>,
}

impl Default for SchedulerSpec {
    fn default() -> Self {
        SchedulerSpec { process: "kube-scheduler".into(), replica: 0, configuration: Arc::default() }
    }
}

/// The machine of the control plane on which a replica runs: `control-plane`, `control-plane-2` …
pub fn control_plane_host(replica: u8) -> Name {
    match replica {
        0 => "control-plane".into(),
        n => format!("control-plane-{}", u16::from(n) + 1).into(),
    }
}

/// A node as it is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// Name.
    pub name: Name,
    /// CPU, as a quantity.
    pub cpu: Name,
    /// Memory, as a quantity.
    pub memory: Name,
    /// Local disk for pods, as a quantity.
    pub ephemeral_storage: Name,
    /// How many pods.
    pub pods: u32,
    /// Other resources (GPUs).
    pub extended: Vec<(Name, Name)>,
    /// Labels besides the kubelet's own.
    pub labels: Vec<(Name, Name)>,
    /// Taints: key, value, effect.
    pub taints: Vec<(Name, Name, Name)>,
    /// Images that are there from the start, with their size in bytes.
    pub images: Vec<(Name, u64)>,
    /// The disk for images, logs and volumes, if the room on it counts. [bytes]
    pub disk: Option<u64>,
}

impl NodeSpec {
    /// The `n`-th node of a plain cluster: `worker-1`, 4 CPUs, 8 GiB, 110 pods.
    pub fn plain(n: usize) -> Self {
        NodeSpec {
            name: format!("worker-{}", n + 1).into(),
            cpu: "4".into(),
            memory: "8Gi".into(),
            ephemeral_storage: "100Gi".into(),
            pods: 110,
            extended: Vec::new(),
            labels: Vec::new(),
            taints: Vec::new(),
            images: Vec::new(),
            disk: None,
        }
    }
}

/// How long things take. What is measured and what estimated stands in `profiles.rs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// Between the API server and etcd's leader, one way.
    pub link_etcd: Latency,
    /// Between etcd members, one way.
    pub link_peers: Latency,
    /// Between any client and the API server, one way.
    pub link_clients: Latency,
    /// The API server's steps.
    pub api: ApiCosts,
    /// etcd's steps and flags.
    pub etcd: EtcdSettings,
    /// From a person's enter key to kubectl's first request.
    pub kubectl_start: Latency,
    /// What `kubectl apply` takes besides: it reads the server's schema.
    pub kubectl_schema: Latency,
    /// From a controller's taking a key to its first request.
    pub controller_work: Latency,
    /// From a reply to the controller's next request.
    pub controller_call: Latency,
    /// A scheduling cycle over few nodes; see `scheduler/cost.rs` for what nodes and plugins add.
    pub scheduler_cycle: Latency,
    /// The kubelet and the container runtime.
    pub kubelet: KubeletTiming,
    /// kube-proxy and the kernel's rules.
    pub proxy: ProxyTiming,
}

/// What kube-proxy spends on writing its rules.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyTiming {
    /// Each time, whatever there is to write.
    pub sync: Latency,
    /// For each Service and EndpointSlice that is looked at, which are all.
    pub per_object: Duration,
    /// For each endpoint that is written: all the first time, then those of slices that have changed.
    pub per_endpoint: Duration,
}

/// What the API server spends on a request, step by step.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ApiCosts {
    pub authentication: Latency,
    pub authorization: Latency,
    pub admission: Latency,
    /// Admission of a pod: more plugins have something to do.
    pub pod_admission: Latency,
    pub validation: Latency,
    pub reply: Latency,
    /// From etcd's event to the watchers' connections.
    pub watch: Latency,
}

/// What the kubelet and the container runtime spend.
#[derive(Clone, Debug, PartialEq)]
pub struct KubeletTiming {
    /// From the process' start to the node's being Ready.
    pub node_ready: Latency,
    /// Between renewals of the node's lease.
    pub lease_renew: Duration,
    /// Between looks at the node's status.
    pub status_check: Duration,
    /// At most this long without a report of the node's status.
    pub status_report: Duration,
    /// From seeing a pod to its first status.
    pub admit: Latency,
    /// Creating the sandbox and its network.
    pub sandbox: Latency,
    /// How images come.
    pub pull: Pull,
    /// One pull at a time.
    pub serialize_pulls: bool,
    /// From the start of a pull to its failure, for an image that does not exist.
    pub pull_failure: Latency,
    /// Creating a container.
    pub create: Latency,
    /// Starting it.
    pub start: Latency,
    /// From a change of a container's state to the report of the pod's status.
    pub status_lag: Latency,
    /// From a container's start to its being ready, where no probe says otherwise.
    pub readiness: Option<Latency>,
    /// From SIGTERM to the end of a container that obeys.
    pub termination: Latency,
    /// How long a container runs that is meant to end.
    pub job: Latency,
    /// How long an init container runs.
    pub init: Latency,
    /// Between the attempts to start what failed to start.
    pub resync: Latency,
}

/// How images come onto a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Pull {
    /// Every image takes as long.
    Fixed(Latency),
    /// By its size.
    Bandwidth {
        /// Reaching the registry and unpacking.
        overhead: Latency,
        /// Of the node's connection. [bytes/s]
        bytes_per_second: u64,
    },
}

impl Setup {
    /// A plain cluster.
    pub fn new(seed: u64, nodes: usize, etcd_members: u8, mut profile: Profile) -> Self {
        profile.etcd.began_unix = (crate::objects::json::EPOCH_NS / 1_000_000_000) as u64;
        Setup {
            seed: Seed(seed),
            shuffle_ties: None,
            trace: TraceLevel::Full,
            supervised: false,
            etcd_members,
            formation: Formation::local(etcd_members),
            only_etcd: false,
            nodes: (0..nodes).map(NodeSpec::plain).collect(),
            profile,
            api_servers: 1,
            controller_managers: 1,
            schedulers: vec![SchedulerSpec::default()],
            etcd_compaction_interval: Duration::from_secs(300),
            metrics_server: None,
            kube_proxy: false,
            traffic: false,
            provisioning: Duration::from_secs(2),
            kubelet: KubeletConfiguration::default(),
            image_sizes: BTreeMap::new(),
            custom: Vec::new(),
            scripts: Arc::new(NoScripts),
            webhook_servers: Vec::new(),
        }
    }

    /// Behind an `Arc`, as a world wants it.
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// Luck at an address.
    pub fn luck(&self, component: &str, purpose: &str, object: &str, counter: u64) -> Luck {
        let hash = |text: &str| hash_bytes(text.as_bytes());
        self.seed.luck(hash(component), hash(purpose), hash(object), counter)
    }

    /// A draw of a latency at an address.
    pub fn draw(&self, latency: &Latency, component: &str, purpose: &str, object: &str, counter: u64) -> Duration {
        latency.fixed().unwrap_or_else(|| latency.sample(&mut self.luck(component, purpose, object, counter)))
    }

    /// The latency of a link, one way.
    pub fn link(&self, from: Endpoint, to: Endpoint) -> &Latency {
        match (from, to) {
            (Endpoint::Etcd(_), Endpoint::Etcd(_)) => &self.profile.link_peers,
            (Endpoint::Etcd(_), _) | (_, Endpoint::Etcd(_)) => &self.profile.link_etcd,
            _ => &self.profile.link_clients,
        }
    }
}
