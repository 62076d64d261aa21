//! What a pod's annotations say of its containers, and what is said of those that nobody understands.
//!
//! A container starts as if an annotation that is not understood were not there; an Event of the pod, `InvalidAnnotation`, says which and why.
//! So it does of a key that nobody knows, which is most often a slip of the finger.
//!
//! Models: nothing of Kubernetes; the annotations stand for the programs.

use super::Surroundings;
use super::exec::EXEC;
use super::health::{HEALTH, Outcome, READY};
use super::listening::{DRAINS, LISTENS_AFTER};
use super::logs::LOG;
use super::memory::{self, MEMORY};
use super::pod_worker::PodWorker;
use super::probes::Which;
use super::program::{self, ANNOTATION, STOP, said, seconds};
use super::schedule::Schedule;
use crate::objects::ObjectMeta;
use crate::objects::event::EventType;

/// What is wrong with what a pod says of a container: the annotation, its text, what it could be.
fn mistakes(meta: &ObjectMeta, container: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut check = |key: &str, understood: &dyn Fn(&str) -> bool, could_be: &str| {
        if let Some(text) = said(meta, key, container).filter(|text| !understood(text)) {
            all.push(format!(
                "annotation {key} of container {container}: \"{text}\" is not understood; it could be {could_be}"
            ));
        }
    };
    check(ANNOTATION, &|text| program::annotated(text).is_some(), "\"forever\", \"5s\", or \"5s exit 1\"");
    check(STOP, &|_| program::stops(meta, container).is_some(), "\"never\", \"20s\", or \"5s exit 143\"");
    check(LISTENS_AFTER, &|text| seconds(text).is_some(), "\"5s\"");
    let healthy = |text: &str| Schedule::parse(text, Outcome::parse).is_ok();
    let answers =
        "\"ok\", \"500\", \"refused\", \"timeout\", \"slow 3s\", \"fail TEXT\", or a schedule, \"20s: 500, 50s: ok\"";
    for key in Which::ALL.map(Which::annotation).into_iter().chain([HEALTH]) {
        check(key, &healthy, answers);
    }
    check(MEMORY, &memory::understood, "\"100Mi\", \"100Mi, 30s: 300Mi\", or \"50Mi..600Mi in 60s\"");
    all
}

/// What all annotations about programs begin with.
const PREFIX: &str = "wavetank.dev/";
/// Those about one container or, without its name behind them, all of a pod; besides those about a probe.
const OF_CONTAINERS: [&str; 7] = [ANNOTATION, STOP, LISTENS_AFTER, DRAINS, HEALTH, MEMORY, LOG];

/// Annotations about programs that say nothing: nobody knows their key, or the pod has no such container.
fn unknown(meta: &ObjectMeta, containers: &[&str]) -> Vec<String> {
    let ours = meta.annotations.keys().map(|key| &**key).filter(|key| key.starts_with(PREFIX));
    let of_containers: Vec<&str> = OF_CONTAINERS.into_iter().chain(Which::ALL.map(Which::annotation)).collect();
    let mistake = |key: &str| {
        let name = key.strip_prefix(PREFIX).unwrap_or_default();
        let (base, container) = name
            .split_once('.')
            .map_or((key, None), |(base, container)| (&key[..PREFIX.len() + base.len()], Some(container)));
        if base == EXEC && container.is_some() {
            return None;
        }
        if base == READY {
            return container.map(|_| format!("annotation {key} says nothing: {READY} is about the whole pod"));
        }
        if !of_containers.contains(&base) {
            let known: Vec<&str> = of_containers.iter().map(|known| &known[PREFIX.len()..]).collect();
            return Some(format!(
                "annotation {key} says nothing; after {PREFIX} come {} (each also with .CONTAINER), ready, and exec.COMMAND",
                known.join(", ")
            ));
        }
        let container = container.filter(|container| !containers.contains(container))?;
        Some(format!(
            "annotation {key} says nothing: the pod has no container {container}, only {}",
            containers.join(", ")
        ))
    };
    ours.filter_map(mistake).collect()
}

impl PodWorker {
    /// Says what is not understood of the annotations about the n-th container.
    pub(super) fn check_annotations(&self, n: usize, around: &mut Surroundings<'_, '_>) {
        if self.pod().meta.annotations.is_empty() {
            return;
        }
        let container = self.locate(n).1;
        let unknown = if n == 0 && container.restarts == 0 {
            let names: Vec<&str> = self.containers().map(|container| &*container.name).collect();
            unknown(&self.pod().meta, &names)
        } else {
            Vec::new()
        };
        for mistake in unknown.into_iter().chain(mistakes(&self.pod().meta, &container.name)) {
            self.event(EventType::Warning, "InvalidAnnotation", mistake, n, around);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_knows_is_named() {
        let mut meta = ObjectMeta::named("default", "a");
        for key in
            ["wavetank.dev/run", "wavetank.dev/run.a", "wavetank.dev/exec.curl", "wavetank.dev/liveness.b", "other/run"]
        {
            meta.annotate(key, "5s");
        }
        assert_eq!(unknown(&meta, &["a", "b"]), Vec::<String>::new());
        meta.annotate("wavetank.dev/liveliness", "500");
        meta.annotate("wavetank.dev/stop.c", "5s");
        let found = unknown(&meta, &["a", "b"]);
        meta.annotate("wavetank.dev/ready.a", "false");
        assert_eq!(unknown(&meta, &["a", "b"]).len(), 3);
        assert_eq!(found.len(), 2);
        assert!(
            found[0]
                .starts_with("annotation wavetank.dev/liveliness says nothing; after wavetank.dev/ come run, stop, ")
        );
        assert_eq!(found[1], "annotation wavetank.dev/stop.c says nothing: the pod has no container c, only a, b");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let mut meta = ObjectMeta::named("default", "a");
        for (key, text) in [(HEALTH, "20s: fine"), ("wavetank.dev/stop.b", "soon"), (MEMORY, "50Mi..1Gi in 5s")] {
            meta.annotate(key, text);
        }
        let found = mistakes(&meta, "a");
        assert!(
            matches!(&found[..], [one] if one.contains("wavetank.dev/health") && one.contains("\"20s: fine\"")),
            "{found:?}"
        );
        assert_eq!(mistakes(&meta, "b").len(), 2);
    }
}
