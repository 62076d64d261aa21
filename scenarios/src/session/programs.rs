//! What a script tells the programs in containers: how healthy they are, what they print, how commands in them end.

use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::kubelet::health::Outcome;
use wavetank_engine::kubelet::probes::Which;
use wavetank_engine::kubelet::schedule::Schedule;
use wavetank_engine::kubelet::told::{Standing, Told, Word};
use wavetank_engine::objects::selector::Selector;
use wavetank_engine::objects::{Key, Kind, Name, Object, Pod, Uid, json};

use super::{Session, kind_of};

/// Pods that a script means.
#[derive(Clone, Debug)]
pub enum Pods {
    /// This one.
    One(Uid),
    /// As kubectl's words do: `web-1`, `deployment/web`, `app=web`, with `-n NAMESPACE`.
    Words {
        /// The namespace.
        namespace: String,
        /// Which.
        which: Meant,
    },
}

/// How words mean pods.
#[derive(Clone, Debug)]
pub enum Meant {
    /// By name.
    Name(String),
    /// All of a workload.
    Of(Kind, String),
    /// By labels.
    Labels(Arc<Selector>),
}

/// What a command prints in some pods.
#[derive(Clone, Debug)]
pub(super) struct ExecRule {
    pub(super) pods: Pods,
    pub(super) command: String,
    pub(super) output: String,
    pub(super) code: i32,
}

impl Pods {
    /// Reads a script's words.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(text: &str) -> Result<Pods, String> {
        let (which, namespace) = match text.split_once(" -n ") {
            Some((which, namespace)) => (which.trim(), namespace.trim()),
            None => (text.trim(), "default"),
        };
        let which = match which.split_once('/') {
            Some((kind, name)) => match kind_of(kind, &[])? {
                Kind::Pod => Meant::Name(name.to_owned()),
                kind => Meant::Of(kind, name.to_owned()),
            },
            None if which.contains('=') || which.contains(' ') => {
                let selector = which.parse().map_err(|error| format!("`{which}` is no selector of labels: {error}"))?;
                Meant::Labels(Arc::new(selector))
            }
            None => Meant::Name(which.to_owned()),
        };
        Ok(Pods::Words { namespace: namespace.to_owned(), which })
    }

    fn means(&self, pod: &Pod, owners: &[Arc<Object>]) -> bool {
        let (namespace, which) = match self {
            Pods::One(uid) => return pod.meta.uid == *uid,
            Pods::Words { namespace, which } => (namespace, which),
        };
        if &*pod.meta.namespace != namespace.as_str() {
            return false;
        }
        match which {
            Meant::Name(name) => &*pod.meta.name == name.as_str(),
            Meant::Labels(selector) => selector.matches(&pod.meta.labels),
            Meant::Of(kind, name) => {
                let by = |meta: &wavetank_engine::objects::ObjectMeta| {
                    meta.owners.iter().any(|owner| &*owner.kind == kind.name() && &*owner.name == name.as_str())
                };
                let through = owners.iter().filter(|object| by(object.meta()));
                by(&pod.meta)
                    || through
                        .filter(|object| object.meta().namespace == pod.meta.namespace)
                        .any(|object| pod.meta.owners.iter().any(|owner| owner.uid == object.meta().uid))
            }
        }
    }

    /// What may stand between a workload and its pods.
    fn between(&self, world: &World) -> Vec<Arc<Object>> {
        match self {
            Pods::Words { which: Meant::Of(Kind::Deployment, _), .. } => world.objects(Kind::ReplicaSet),
            Pods::Words { which: Meant::Of(Kind::CronJob, _), .. } => world.objects(Kind::Job),
            _ => Vec::new(),
        }
    }

    /// The namespace and labels of those that come later, if that can be said.
    fn later(&self, world: &World) -> Option<(String, Selector)> {
        let Pods::Words { namespace, which } = self else { return None };
        match which {
            Meant::Name(_) => None,
            Meant::Labels(selector) => Some((namespace.clone(), (**selector).clone())),
            Meant::Of(kind, name) => {
                let objects = world.objects(*kind);
                let key = Key::new(namespace, name);
                let object = json::to_json(objects.iter().find(|object| object.meta().key() == key)?);
                let labels = object.pointer("/spec/selector/matchLabels")?.as_object()?;
                let labels: Vec<String> =
                    labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
                Some((namespace.clone(), labels.join(",").parse().ok()?))
            }
        }
    }

    /// Whether a pod is among them now.
    pub(super) fn has(&self, world: &World, uid: Uid) -> bool {
        let between = self.between(world);
        let pods = world.objects(Kind::Pod);
        pods.iter().filter_map(|object| object.as_pod()).any(|pod| pod.meta.uid == uid && self.means(pod, &between))
    }

    /// Those that are on a node: its number, and which.
    fn placed(&self, world: &World) -> Vec<(u32, Uid)> {
        let between = self.between(world);
        let pods = world.objects(Kind::Pod);
        let mine = pods.iter().filter_map(|object| object.as_pod()).filter(|pod| self.means(pod, &between));
        let place = |pod: &Pod| {
            let node = pod.node.as_deref()?;
            let number = world.setup().nodes.iter().position(|spec| &*spec.name == node)?;
            Some((u32::try_from(number).ok()?, pod.meta.uid))
        };
        mine.filter_map(place).collect()
    }
}

impl Session {
    /// Programs answer probes in another way from now on: `ok`, `500`, `after 20s: timeout`, `500 until restart`; empty is as their
    /// annotations say. `probe` is `liveness`, `readiness`, `startup` or `all`.
    pub fn health(&mut self, pods: &[Pods], probe: &str, outcome: &str) -> Result<String, String> {
        let which = match probe {
            "all" => None,
            word => Some(Which::parse(word).ok_or_else(|| {
                format!("there is no probe `{word}`; there are liveness, readiness, startup, and all of them: \"all\"")
            })?),
        };
        let (text, until_restart) = match outcome.trim().strip_suffix("until restart") {
            Some(text) => (text.trim(), true),
            None => (outcome.trim(), false),
        };
        let schedule = Schedule::parse(text, Outcome::parse).map_err(|entry| {
            format!(
                "`{entry}` is no answer to a probe\nthere are ok, an HTTP status such as 500, refused, timeout, \"slow 3s\", fail, \"fail \
                 TEXT\", with times: \"20s: 500, 50s: ok\", and \"500 until restart\""
            )
        })?;
        let word = Word::Health { which, schedule: schedule.clone(), until_restart };
        let count = self.tell(pods, None, &word)?;
        if !until_restart {
            let later: Vec<_> = pods.iter().filter_map(|pods| pods.later(&self.world)).collect();
            for (namespace, selector) in later {
                let (namespace, since) = (namespace.as_str().into(), self.world.now());
                let standing = Standing { namespace, pods: selector, which, since, schedule: schedule.clone() };
                self.world.tell_later(standing);
            }
        }
        let of = if probe == "all" { "probes".to_owned() } else { format!("{probe} probes") };
        let now = if text.is_empty() { "as their annotations say" } else { outcome.trim() };
        let said = format!("{of} of {count}: {now}");
        self.note(&said);
        Ok(said)
    }

    /// Programs print something now.
    pub fn prints(&mut self, pods: &[Pods], container: Option<&str>, text: &str) -> Result<(), String> {
        self.tell(pods, container, &Word::Prints(text.into())).map(|_| ())
    }

    /// What a command prints that somebody runs in these pods, from now on, in those that come later, too.
    pub fn on_exec(&mut self, pods: Vec<Pods>, command: &str, output: &str, code: i32) {
        let end = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
        for pods in pods {
            let output = format!("{output}{end}");
            self.exec_rules.push(ExecRule { pods, command: command.trim().to_owned(), output, code });
        }
    }

    /// Tells the programs of pods something; how many pods there are.
    fn tell(&mut self, pods: &[Pods], container: Option<&str>, word: &Word) -> Result<String, String> {
        let mut placed: Vec<(u32, Uid)> = pods.iter().flat_map(|pods| pods.placed(&self.world)).collect();
        placed.sort_unstable();
        placed.dedup();
        if placed.is_empty() {
            return Err("there is no such pod on any node\npods are meant by name, by workload (\"deployment/web\"), by labels \
                        (\"app=web\"), each with \" -n NAMESPACE\" behind it, or by what pods() returns"
                .to_owned());
        }
        let container: Option<Name> = container.map(Name::from);
        for (node, pod) in &placed {
            self.world.tell(*node, Told { pod: *pod, container: container.clone(), word: word.clone() });
        }
        Ok(if placed.len() == 1 { "1 pod".to_owned() } else { format!("{} pods", placed.len()) })
    }
}
