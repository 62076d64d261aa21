//! What a pod's annotations say of its containers, and what is said of those that nobody understands.
//!
//! A container starts as if an annotation that is not understood were not there; an Event of the pod, `InvalidAnnotation`, says which and why.
//!
//! Models: nothing of Kubernetes; the annotations stand for the programs.

use super::Surroundings;
use super::health::{HEALTH, Outcome};
use super::listening::LISTENS_AFTER;
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

impl PodWorker {
    /// Says what is not understood of the annotations about the n-th container.
    pub(super) fn check_annotations(&self, n: usize, around: &mut Surroundings<'_, '_>) {
        if self.pod().meta.annotations.is_empty() {
            return;
        }
        for mistake in mistakes(&self.pod().meta, &self.locate(n).1.name) {
            self.event(EventType::Warning, "InvalidAnnotation", mistake, n, around);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
