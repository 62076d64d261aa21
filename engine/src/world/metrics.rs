//! The metrics server's place in the world: who a pod belongs to, which kubelets answer, and what a script asks of pods.

use super::World;
use crate::etcd;
use crate::event::{Effects, Event, Queued};
use crate::kernel::Endpoint;
use crate::kernel::out::RecordId;
use crate::metrics_server::demand::Demand;
use crate::metrics_server::{MetricsEvent, Target};
use crate::objects::{Key, Kind, Object};
use crate::process::Process;

impl World {
    /// From now on this is asked of the pods of an object: of the pod itself, or of a controller's pods. False without a metrics server,
    /// without which nobody could tell.
    pub fn set_demand(&mut self, target: Target, demand: Demand) -> bool {
        let (now, setup) = (self.now, self.setup.clone());
        let Some(server) = &mut self.metrics_server else { return false };
        server.set_demand(target, demand, now, &setup);
        true
    }

    pub(super) fn start_metrics_server(&mut self) {
        if let Some(server) = &self.metrics_server {
            let first = server.first_scrape(&self.setup);
            let event = Event::MetricsServer(MetricsEvent::Scrape);
            self.push(first, Endpoint::Outside, Queued::anybody(event, RecordId(0)));
        }
    }

    pub(super) fn metrics_event(&mut self, event: MetricsEvent, out: &mut Effects) {
        let Some(mut server) = self.metrics_server.take() else { return };
        match event {
            MetricsEvent::Scrape => {
                let answers = |node| {
                    let process = Process::Kubelet(node);
                    self.processes.running(process) && !self.is_hanging(process)
                };
                server.scrape(answers, &self.setup, out);
            }
            MetricsEvent::Changed(change) => {
                let owners = self.owners(&change.object);
                server.changed(*change, owners, self.now, &self.setup);
            }
            MetricsEvent::Query { server: from, id, which } => server.answer(from, id, &which, out),
        }
        self.metrics_server = Some(server);
    }

    pub(super) fn machine_lost(&mut self, node: u32) {
        if let Some(server) = &mut self.metrics_server {
            server.lost(node, self.now, &self.setup);
        }
    }

    /// The object itself, its controller, and the controller of that.
    fn owners(&self, object: &Object) -> Vec<Target> {
        let mut owners = vec![(object.kind(), object.key())];
        let controller = |object: &Object| {
            let meta = object.meta();
            let owner = meta.controller()?;
            let key = Key { namespace: meta.namespace.clone(), name: owner.name.clone() };
            Some((Kind::from_name(&owner.kind)?, key))
        };
        let first = controller(object);
        let second = first.as_ref().and_then(|(kind, key)| controller(&*self.stored(*kind, key)?));
        owners.extend(first.into_iter().chain(second));
        owners
    }

    /// An object as etcd has it.
    fn stored(&self, kind: Kind, key: &Key) -> Option<std::sync::Arc<Object>> {
        let path = format!("{}{}/{}", kind.key_prefix(), key.namespace, key.name);
        let range = etcd::RangeRequest::new(etcd::KeyRange::Key(path.into()));
        let reply = self.latest()?.store().range(&range).ok()?;
        reply.kvs.first()?.value.object().cloned()
    }
}
