//! The places of the cluster by the names people use: `etcd-0`, `kube-apiserver`, `worker-2`, and groups of them: `etcd`, `zone/a`,
//! `all nodes`.

use wavetank_engine::kernel::Endpoint;
use wavetank_engine::process::Process;
use wavetank_engine::setup::Setup;

use super::Session;
use crate::script::hints;

/// What the name of a node's kube-proxy begins with.
const PROXY: &str = "kube-proxy/";
/// What the name of a whole node begins with.
pub(super) const NODE: &str = "node/";
/// What the name of a zone begins with: all nodes that have it as their label `topology.kubernetes.io/zone`.
pub(super) const ZONE: &str = "zone/";
/// Every node.
const ALL_NODES: &str = "all nodes";
/// Every member of etcd.
const ETCD: &str = "etcd";
/// The label that says in which zone a node is.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

impl Session {
    /// The place in the network of a name: an etcd member, a process of the control plane, a node.
    pub fn endpoint(&self, name: &str) -> Result<Endpoint, String> {
        self.one(name).ok_or_else(|| self.unknown(name))
    }

    /// The places of a name, which may be that of a group; never none.
    pub fn endpoints(&self, name: &str) -> Result<Vec<Endpoint>, String> {
        if let Some(endpoint) = self.one(name) {
            return Ok(vec![endpoint]);
        }
        let setup = self.world().setup();
        let group: Vec<Endpoint> = if name == ETCD {
            (0..self.world().etcd().len() as u8).map(Endpoint::Etcd).collect()
        } else if name == ALL_NODES {
            (0..setup.nodes.len() as u32).map(Endpoint::Kubelet).collect()
        } else if let Some(zone) = name.strip_prefix(ZONE) {
            nodes_of_zone(setup, zone).map(Endpoint::Kubelet).collect()
        } else {
            let of_program = |process: &Process| {
                let own = process.name(setup);
                own.strip_prefix(name).is_some_and(|rest| rest.strip_prefix('-').is_some_and(is_number))
            };
            Process::control_plane(setup).filter(of_program).map(Process::endpoint).collect()
        };
        if group.is_empty() { Err(self.unknown(name)) } else { Ok(group) }
    }

    /// The processes of a name, which may be that of a group; a node's name stands for its kubelet.
    pub(super) fn processes_of(&self, name: &str) -> Result<Vec<Process>, String> {
        let found = self.endpoints(name)?;
        let processes: Vec<Process> = found.into_iter().filter_map(Process::at).collect();
        if processes.is_empty() { Err(format!("`{name}` is no process")) } else { Ok(processes) }
    }

    /// The nodes of a name that stands for whole machines: `node/worker-1`, `zone/a`. `None` if it does not.
    pub(super) fn machines(&self, name: &str) -> Option<Result<Vec<u32>, String>> {
        let node = name.strip_prefix(NODE);
        if node.is_none() && !name.starts_with(ZONE) {
            return None;
        }
        let found = self.endpoints(node.unwrap_or(name));
        Some(found.and_then(|places| {
            let node = |place| if let Endpoint::Kubelet(node) = place { Some(node) } else { None };
            let nodes: Vec<u32> = places.into_iter().filter_map(node).collect();
            if nodes.is_empty() { Err(format!("`{}` is no node", name.trim_start_matches(NODE))) } else { Ok(nodes) }
        }))
    }

    /// The zones of the cluster's nodes, each once, in order.
    pub fn zones(&self) -> Vec<String> {
        let labels = self.world().setup().nodes.iter().flat_map(|node| &node.labels);
        let mut zones: Vec<String> =
            labels.filter(|(key, _)| &**key == ZONE_LABEL).map(|(_, zone)| zone.to_string()).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    /// The number of an etcd member: by its own name, or as `etcd-N`.
    pub(super) fn etcd_number(&self, name: &str) -> Option<u8> {
        if let Some(member) = self.etcd_named(name) {
            return Some(member);
        }
        let number: u8 = name.strip_prefix("etcd-")?.parse().ok()?;
        (usize::from(number) < self.world().etcd().len()).then_some(number)
    }

    fn one(&self, name: &str) -> Option<Endpoint> {
        let setup = self.world().setup();
        if let Some(process) = Process::control_plane(setup).find(|process| process.name(setup) == name) {
            return Some(process.endpoint());
        }
        if let Some(member) = self.etcd_number(name) {
            return Some(Endpoint::Etcd(member));
        }
        if let Some(node) = name.strip_prefix(PROXY) {
            let place = setup.nodes.iter().position(|spec| &*spec.name == node)? as u32;
            return self.world().proxies().any(|node| node == place).then_some(Endpoint::Proxy(place));
        }
        let name = name.strip_prefix("kubelet/").or_else(|| name.strip_prefix(NODE)).unwrap_or(name);
        setup.nodes.iter().position(|node| &*node.name == name).map(|node| Endpoint::Kubelet(node as u32))
    }

    fn unknown(&self, name: &str) -> String {
        let setup = self.world().setup();
        let members = (0..self.world().etcd().len()).map(|member| format!("etcd-{member}"));
        let mut known: Vec<String> =
            members.chain(Process::control_plane(setup).map(|process| process.name(setup))).collect();
        let zones: Vec<String> = self.zones().iter().map(|zone| format!("{ZONE}{zone}")).collect();
        let groups = zones.iter().map(String::as_str).chain([ALL_NODES]);
        let single = known.iter().map(String::as_str).chain(setup.nodes.iter().map(|node| &*node.name));
        let hint = hints::did_you_mean(name.strip_prefix(NODE).unwrap_or(name), single.chain(groups));
        known.extend(["the name of a node".to_owned(), format!("`{ETCD}`"), format!("`{ALL_NODES}`")]);
        known.extend(zones.iter().map(|zone| format!("`{zone}`")));
        let mut text = format!("there is no `{name}`; there are {}\n{}", known.join(", "), hint.unwrap_or_default());
        if let Some(node) = name.strip_prefix(PROXY)
            && setup.nodes.iter().any(|spec| &*spec.name == node)
        {
            text = format!(
                "no kube-proxy runs on `{node}`\ngive every node one, cluster(#{{ kube_proxy: true }}), or send traffic from there"
            );
        }
        if name.starts_with(ZONE) && zones.is_empty() {
            text = format!("no node has a zone\ngive the nodes one: labels: #{{ \"{ZONE_LABEL}\": \"a\" }}");
        }
        text
    }
}

/// The nodes of a zone, by the labels they were set up with.
fn nodes_of_zone<'a>(setup: &'a Setup, zone: &'a str) -> impl Iterator<Item = u32> + 'a {
    let is_there = move |labels: &[(wavetank_engine::objects::Name, wavetank_engine::objects::Name)]| {
        labels.iter().any(|(key, value)| &**key == ZONE_LABEL && &**value == zone)
    };
    (0..).zip(&setup.nodes).filter(move |(_, node)| is_there(&node.labels)).map(|(number, _)| number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
