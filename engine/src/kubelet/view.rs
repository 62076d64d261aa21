//! What the simulation asks of the pods on a node: whether they listen, their memory, what they print, commands in them.
//!
//! Models: nothing of Kubernetes; a part of it is what the kubelet's server answers (pkg/kubelet/server/server.go).

use super::Kubelet;
use super::{exec, logs};
use crate::kernel::Instant;
use crate::objects::Uid;

impl Kubelet {
    /// Whether every regular container of a pod takes connections at `now`.
    pub fn pod_listens(&self, uid: Uid, now: Instant) -> bool {
        self.pods.get(&uid).is_some_and(|worker| worker.listening(now))
    }

    /// Whether somebody in a pod takes connections on `port` at `now`.
    pub fn pod_listens_on(&self, uid: Uid, port: i32, now: Instant) -> bool {
        self.pods.get(&uid).is_some_and(|worker| worker.listens_on(port, now))
    }

    /// What a container has printed up to `now`; of its life before with `previous`. [when, line]
    ///
    /// # Errors
    /// Why there is nothing to show, in the kubelet's words.
    pub fn logs(&self, pod: Uid, container: &str, previous: bool, now: Instant) -> Result<Vec<logs::Line>, String> {
        self.pods.get(&pod).map_or_else(|| Ok(Vec::new()), |worker| worker.logs(container, previous, now))
    }

    /// Whether a container runs, so that it may print more.
    pub fn container_runs(&self, pod: Uid, container: &str) -> bool {
        self.pods.get(&pod).is_some_and(|worker| worker.container_runs(container))
    }

    /// Runs a command in a container.
    ///
    /// # Errors
    /// When there is no such container, or nobody knows what the command does.
    pub fn exec(
        &self,
        pod: Uid,
        container: &str,
        command: &[String],
        now: Instant,
    ) -> Result<exec::Executed, exec::NotExecuted> {
        self.pods.get(&pod).ok_or(exec::NotExecuted::NoContainer)?.exec(container, command, now)
    }

    /// The memory that a pod's running containers use, as the pod says; `None` if it says nothing. [bytes]
    pub fn pod_memory(&self, uid: Uid, now: Instant) -> Option<i64> {
        self.pods.get(&uid)?.memory_at(now)
    }

    /// When the memory of a pod is next above `bytes`, if none of its containers ends or starts before.
    pub fn pod_memory_crosses(&self, uid: Uid, bytes: i64, now: Instant) -> Option<Instant> {
        self.pods.get(&uid)?.memory_crosses(bytes, now)
    }

    /// When the memory of a pod next begins to change in another way.
    pub fn pod_memory_turns(&self, uid: Uid, now: Instant) -> Option<Instant> {
        self.pods.get(&uid)?.memory_turns(now)
    }

    /// The memory that the n-th container of a pod uses, init containers first. [bytes]
    pub fn container_memory(&self, uid: Uid, n: usize, now: Instant) -> Option<i64> {
        self.pods.get(&uid)?.container_memory_at(n, now)
    }
}
