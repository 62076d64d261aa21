//! What a script tells the programs in containers: how to answer probes from now on, what to print.
//!
//! It is no message of Kubernetes': it changes the program, whether a kubelet runs or not.
//!
//! Models: nothing of Kubernetes; it stands for the programs.

use std::sync::Arc;

use super::health::Outcome;
use super::pod_worker::{PodWorker, Run};
use super::probes::Which;
use super::schedule::Schedule;
use super::{Kubelet, Surroundings};
use crate::kernel::Instant;
use crate::objects::selector::Selector;
use crate::objects::{Name, ObjectMeta, Uid};

/// Something a script tells the programs of a pod.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whose.
    pub pod: Uid,
    /// Of which container; `None` is each.
    pub container: Option<Name>,
    /// What.
    pub word: Word,
}

/// What it tells them.
#[derive(Clone, Debug)]
pub enum Word {
    /// How to answer probes, from now on.
    Health {
        /// Which probes; `None` is all.
        which: Option<Which>,
        /// The answers, with times from now; an empty one takes back what was told before.
        schedule: Schedule<Outcome>,
        /// It counts up to the container's next start only.
        until_restart: bool,
    },
    /// What to print, now.
    Prints(Arc<str>),
}

/// How the programs of some pods answer probes, whichever pods they are: it counts for those that start later.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The pods' namespace.
    pub namespace: Name,
    /// Their labels.
    pub pods: Selector,
    /// Which probes; `None` is all.
    pub which: Option<Which>,
    /// When it was said: the schedule's times count from here.
    pub since: Instant,
    /// The answers; empty takes back what was said before.
    pub schedule: Schedule<Outcome>,
}

impl Standing {
    pub(super) fn is_for(&self, pod: &ObjectMeta) -> bool {
        pod.namespace == self.namespace && self.pods.matches(&pod.labels)
    }

    /// Whether it says all that `other` says, and so makes it needless.
    fn covers(&self, other: &Standing) -> bool {
        let same = self.namespace == other.namespace && self.pods == other.pods;
        same && (self.which.is_none() || self.which == other.which)
    }
}

impl Kubelet {
    /// How programs answer probes from now on in pods that start later.
    pub(crate) fn stand(&mut self, word: &Arc<Standing>) {
        self.standing.retain(|before| !word.covers(before));
        self.standing.push(word.clone());
    }

    /// The same as on another node.
    pub(crate) fn stand_as(&mut self, other: &Kubelet) {
        self.standing.clone_from(&other.standing);
    }
}

impl PodWorker {
    /// The programs of the pod hear something. Without a kubelet nobody looks at what follows, until there is one again.
    pub(super) fn told(&mut self, told: &Told, kubelet_runs: bool, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        for n in 0..self.containers().count() {
            let container = self.container_mut(n);
            if told.container.as_ref().is_some_and(|name| *name != container.name) {
                continue;
            }
            match &told.word {
                Word::Health { which, schedule, until_restart } => {
                    let Some(probes) = container.probes.as_deref_mut() else { continue };
                    probes.health.tell(*which, now, schedule.clone(), *until_restart);
                    if kubelet_runs {
                        self.plan_all(n, around);
                    }
                }
                Word::Prints(text) => {
                    if matches!(container.run, Run::Running { .. }) && !container.life.over {
                        container.life.printed.push((now, text.clone()));
                    }
                }
            }
        }
    }
}
