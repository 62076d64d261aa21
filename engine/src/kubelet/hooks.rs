//! What a container wants done after its start and before its end.
//!
//! Nothing is executed: a command takes as long, and fails, as `program` reads it; a request succeeds if the program listens.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/lifecycle/handlers.go, kuberuntime/kuberuntime_container.go (startContainer, executePreStopHook).

use k8s_openapi::api::core::v1 as api;

use super::Surroundings;
use super::pod_worker::{PodEvent, PodWorker, Run};
use super::program::Program;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;

/// A hook without an end. No run is that long.
const FOR_EVER: Duration = Duration::from_nanos(u64::MAX / 4);

/// How long a hook takes, and whether it succeeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hook {
    pub(super) takes: Duration,
    pub(super) ok: bool,
}

impl Hook {
    fn of(handler: &api::LifecycleHandler, listens: bool) -> Option<Self> {
        let at_once = |ok| Hook { takes: Duration::ZERO, ok };
        if let Some(sleep) = &handler.sleep {
            return Some(Hook { takes: Duration::from_secs(sleep.seconds.max(0) as u64), ok: true });
        }
        if handler.http_get.is_some() {
            return Some(at_once(listens));
        }
        let words: Vec<&str> = handler.exec.as_ref()?.command.iter().flatten().map(String::as_str).collect();
        Some(match Program::of_words(&words) {
            Program::Ends(takes, code) => Hook { takes, ok: code == 0 },
            Program::Forever => Hook { takes: FOR_EVER, ok: true },
            Program::Unknown => at_once(true),
        })
    }
}

impl PodWorker {
    /// What the n-th container wants done after its start.
    pub(super) fn post_start(&self, n: usize, now: Instant) -> Option<Hook> {
        let handler = self.spec_of(n)?.lifecycle.as_ref()?.post_start.as_ref()?;
        Hook::of(handler, self.locate(n).1.listens(now))
    }

    /// What it wants done before its end.
    pub(super) fn pre_stop(&self, n: usize, now: Instant) -> Option<Hook> {
        let handler = self.spec_of(n)?.lifecycle.as_ref()?.pre_stop.as_ref()?;
        Hook::of(handler, self.locate(n).1.listens(now))
    }

    /// The n-th container's postStart hook begins; nothing else of the pod is started meanwhile.
    pub(super) fn begin_post_start(&mut self, n: usize, hook: Hook, around: &mut Surroundings<'_, '_>) {
        let life = &mut self.container_mut(n).life;
        life.hooked = true;
        let number = life.number;
        self.current = Some(n);
        if hook.takes < FOR_EVER {
            around.after(hook.takes, self.uid, PodEvent::PostStarted(n as u16, number));
        }
    }

    /// The n-th container's postStart hook is over.
    pub(super) fn post_started(&mut self, n: usize, number: u32, around: &mut Surroundings<'_, '_>) {
        let container = self.locate(n).1;
        let alive = matches!(container.run, Run::Running { .. }) && container.life.number == number;
        if !alive || !container.life.hooked {
            return;
        }
        let ok = self.post_start(n, container.life.begun).is_none_or(|hook| hook.ok);
        self.container_mut(n).life.hooked = false;
        self.current = None;
        if !ok {
            self.event(EventType::Warning, "FailedPostStartHook", "PostStartHook failed".to_owned(), n, around);
            self.kill(n, Some("FailedPostStartHook".to_owned()), self.grace_of_spec().max(0) as u64, false, around);
        } else {
            self.came_to_run(n, around);
            self.report_soon(around);
        }
        self.start_next(around);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hooks_take_what_they_take() {
        let hook = |value, listens| Hook::of(&serde_json::from_value(value).expect("a handler"), listens);
        let takes = |seconds, ok| Some(Hook { takes: Duration::from_secs(seconds), ok });
        assert_eq!(hook(json!({"sleep": {"seconds": 7}}), true), takes(7, true));
        let command = json!({"exec": {"command": ["/bin/sh", "-c", "sleep 3; exit 2"]}});
        assert_eq!(hook(command, true), takes(3, false));
        assert_eq!(hook(json!({"httpGet": {"port": 80}}), false), takes(0, false));
        assert_eq!(hook(json!({"exec": {"command": ["nginx", "-s", "quit"]}}), true), takes(0, true));
    }
}
