//! What happens to registries and whole machines: images that cannot be had, resources that run short, an orderly shutdown, static pods.

use std::collections::BTreeMap;

use serde_json::Value;
use wavetank_engine::faults::Fault;
use wavetank_engine::kernel::{Duration, Endpoint};
use wavetank_engine::kubelet::{Amount, Signal, read_static_pod};
use wavetank_engine::objects::Name;
use wavetank_engine::process::Process;
use wavetank_engine::registry::{Registries, Scope, Trouble, full_name};

use super::Session;
use super::faults::DOWN;
use super::places::NODE;

/// How the names of faults begin.
pub(super) const REGISTRY: &str = "registry ";
pub(super) const PRESSURE: &str = "pressure on ";

impl Session {
    /// Something is wrong with a registry from now on: all of them, one host, or one image.
    pub fn registry_fault(&mut self, whose: Option<&str>, trouble: Trouble) -> String {
        let (sort, detail) = match trouble {
            Trouble::Silent => ("unreachable", "i/o timeout".to_owned()),
            Trouble::Refuses => ("unreachable", "connection refused".to_owned()),
            Trouble::Slow(bytes) if bytes >= 1_000_000 => ("slow", format!("{} MB/s", bytes as f64 / 1e6)),
            Trouble::Slow(bytes) => ("slow", format!("{} kB/s", bytes as f64 / 1e3)),
            Trouble::Limited(pulls) => ("limited", format!("{pulls} pulls a minute")),
            Trouble::Lacks => ("lacks it", String::new()),
        };
        let prefix = format!("{REGISTRY}{}: {sort}", whose.unwrap_or("anywhere"));
        let fault = if detail.is_empty() { prefix } else { format!("{prefix} ({detail})") };
        let scope = scope(whose);
        self.replace(|part| {
            let Fault::Registry { scope: other, trouble: now } = part else { return false };
            *other == scope && Registries::alike(*now, trouble)
        });
        self.begin_fault(&fault, vec![Fault::Registry { scope, trouble }]);
        fault
    }

    /// A registry is well again; without a name all of them.
    pub fn registry_up(&mut self, whose: Option<&str>) -> String {
        let scope = scope(whose);
        self.world.registries_mut().mend(&scope);
        self.world.mended(
            |part| matches!(part, Fault::Registry { scope: other, .. } if scope == Scope::All || *other == scope),
        );
        format!("registry {}: well again", whose.unwrap_or("everywhere"))
    }

    /// A node has this much left of some resources.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node_pressure(&mut self, node: &str, left: &BTreeMap<Signal, Amount>) -> Result<String, String> {
        let (index, name) = self.node(node)?;
        self.replace(|part| matches!(part, Fault::Pressure { node, .. } if *node == index));
        if left.is_empty() {
            self.world.mended(|part| matches!(part, Fault::Pressure { node, .. } if *node == index));
            self.world.set_pressure(index, left);
            return Ok(format!("{name}: enough of everything"));
        }
        let texts: Vec<String> =
            left.iter().map(|(signal, amount)| format!("{} {}", signal.name(), amount.text())).collect();
        let fault = format!("{PRESSURE}{name} ({})", texts.join(", "));
        self.begin_fault(&fault, vec![Fault::Pressure { node: index, left: left.clone() }]);
        Ok(fault)
    }

    /// Tells a node to shut down.
    ///
    /// # Errors
    /// When there is no such node, or its kubelet does not run.
    pub fn shut_down(&mut self, node: &str) -> Result<String, String> {
        let (index, _) = self.node(node)?;
        self.shut_down_node(index)
    }

    pub(super) fn shut_down_node(&mut self, index: u32) -> Result<String, String> {
        let name = self.world.setup().nodes.get(index as usize).map(|spec| spec.name.clone()).unwrap_or_default();
        if !self.world.is_running(Process::Kubelet(index)) {
            return Err(format!(
                "the kubelet of `{name}` does not run, so nobody sees to its pods\nuse crash(\"{NODE}{name}\")"
            ));
        }
        let grace = self.world.setup().kubelet.shutdown_grace;
        self.begin_fault(&format!("{NODE}{name} shuts{DOWN}"), vec![Fault::ShutDown(index)]);
        let grace = match grace == Duration::ZERO {
            true => "at once: its kubelets have no shutdown_grace_period".to_owned(),
            false => format!("its pods have {}", crate::script::duration::text(grace.as_nanos())),
        };
        Ok(format!("{NODE}{name} shuts down, {grace}"))
    }

    /// Puts a manifest into the directory of a node's static pods.
    ///
    /// # Errors
    /// When there is no such node, or the manifest is none of a static pod.
    pub fn static_pod(&mut self, node: &str, manifest: &Value) -> Result<String, String> {
        let (index, name) = self.node(node)?;
        let pod = read_static_pod(manifest).map_err(|why| format!("this is no manifest of a static pod: {why}"))?;
        let file = format!("{}.yaml", pod.metadata.name.as_deref().unwrap_or_default());
        self.world.set_static_pod(index, &file.as_str().into(), Some(&pod));
        Ok(format!("{name}: {MANIFESTS}{file}"))
    }

    /// Takes it away again.
    ///
    /// # Errors
    /// When there is no such node or manifest.
    pub fn remove_static_pod(&mut self, node: &str, pod: &str) -> Result<String, String> {
        let (index, name) = self.node(node)?;
        let file: Name = format!("{pod}.yaml").into();
        match self.world.set_static_pod(index, &file, None) {
            true => Ok(format!("{name}: {MANIFESTS}{file} is removed")),
            false => {
                Err(format!("there is no {MANIFESTS}{file} on {name}\nput one there with static_pod(\"{name}\", …)"))
            }
        }
    }

    /// A node's number and name; `node/worker-1` is `worker-1`.
    fn node(&self, name: &str) -> Result<(u32, Name), String> {
        let name = name.strip_prefix(NODE).unwrap_or(name);
        match self.endpoint(name)? {
            Endpoint::Kubelet(index) => Ok((index, name.into())),
            _ => Err(format!("`{name}` is no node")),
        }
    }
}

const MANIFESTS: &str = "/etc/kubernetes/manifests/";

/// What a script means: a host such as `ghcr.io` or `localhost:5000`, else an image.
fn scope(whose: Option<&str>) -> Scope {
    let Some(name) = whose else { return Scope::All };
    let host = name.split(':').next().unwrap_or_default();
    match !name.contains('/') && (host.contains('.') || host == "localhost") {
        true => Scope::Host(name.into()),
        false => Scope::Image(full_name(name).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Overrides;
    use serde_json::json;

    fn session() -> Session {
        Session::create(&json!({"nodes": 2}), &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn faults(session: &Session) -> Vec<&str> {
        session.world().faults().collect()
    }

    #[test]
    fn a_name_is_a_host_or_an_image() {
        assert_eq!(scope(Some("ghcr.io")), Scope::Host("ghcr.io".into()));
        assert_eq!(scope(Some("localhost:5000")), Scope::Host("localhost:5000".into()));
        assert_eq!(scope(Some("nginx:1.25")), Scope::Image("docker.io/library/nginx:1.25".into()));
        assert_eq!(scope(Some("ghcr.io/a/b:1")), Scope::Image("ghcr.io/a/b:1".into()));
    }

    #[test]
    fn faults_replace_their_like_and_end() {
        let mut session = session();
        session.registry_fault(None, Trouble::Slow(50_000));
        session.registry_fault(None, Trouble::Slow(2_000_000));
        session.registry_fault(Some("ghcr.io"), Trouble::Silent);
        assert_eq!(
            faults(&session),
            ["registry anywhere: slow (2 MB/s)", "registry ghcr.io: unreachable (i/o timeout)"]
        );
        session.registry_up(Some("ghcr.io"));
        let left = BTreeMap::from([(Signal::Memory, Amount::Of(50 << 20))]);
        assert!(
            session.node_pressure("node/worker-1", &left).is_ok() && session.node_pressure("etcd-0", &left).is_err()
        );
        assert_eq!(
            faults(&session),
            ["pressure on worker-1 (memory.available 50Mi)", "registry anywhere: slow (2 MB/s)"]
        );
        session.heal();
        assert!(faults(&session).is_empty());
    }

    #[test]
    fn a_shutdown_is_a_fault_until_the_node_boots() {
        let mut session = session();
        assert!(session.shut_down("node/worker-1").is_ok_and(|said| said.contains("at once")));
        assert_eq!(faults(&session), ["node/worker-1 shuts down"]);
        assert!(session.shut_down("worker-1").is_err_and(|why| why.contains("does not run")));
        assert!(session.restart("node/worker-1").is_ok());
        assert!(faults(&session).is_empty());
    }

    #[test]
    fn a_manifest_is_put_and_taken_away() {
        let mut session = session();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}});
        assert_eq!(session.static_pod("worker-1", &pod), Ok("worker-1: /etc/kubernetes/manifests/a.yaml".to_owned()));
        assert!(session.remove_static_pod("worker-1", "a").is_ok());
        assert!(
            session.remove_static_pod("worker-1", "a").is_err_and(|why| why.contains("static_pod(\"worker-1\", …)"))
        );
        assert!(session.static_pod("worker-1", &json!({"kind": "Pod"})).is_err());
    }
}
