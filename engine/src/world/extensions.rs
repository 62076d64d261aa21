//! Kinds that come and go: who hears of it.
//!
//! Real API servers watch definitions and configurations of webhooks from their start, and real controllers ask them again and again which
//! kinds there are. Here both hear of it when something changes, so that a cluster that is not extended does nothing for that it
//! could be.

use std::sync::Arc;

use super::World;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::webhooks::{WebhookServer, WebhookTrouble};
use crate::controllers::ControllerManagerEvent;
use crate::event::Event;
use crate::kernel::out::RecordId;
use crate::objects::Kind;
use crate::objects::custom::Defined;

/// What is extended.
#[derive(Clone, Debug)]
pub(super) struct Extensions {
    /// The kinds of extensions that are in use.
    begun: Vec<Kind>,
    /// The kinds that definitions bring.
    kinds: Arc<[Kind]>,
}

impl Default for Extensions {
    fn default() -> Self {
        Extensions { begun: Vec::new(), kinds: Arc::new([]) }
    }
}

impl World {
    /// An API server has done something: what others must hear of it.
    pub(super) fn spread_extensions(&mut self, server: u8) {
        let Some(one) = self.apiservers.get_mut(usize::from(server)) else { return };
        let (begun, kinds) = (one.take_begun(), one.take_kinds());
        if let Some(kind) = begun.filter(|kind| !self.extensions.begun.contains(kind)) {
            self.extensions.begun.push(kind);
            for other in (0..self.setup.api_servers).filter(|other| *other != server) {
                self.now_at(Event::ApiServer(other, ApiServerEvent::Extend(kind)), RecordId(0));
            }
        }
        if let Some(kinds) = kinds.filter(|kinds| *kinds != self.extensions.kinds) {
            self.extensions.kinds = kinds.clone();
            for manager in 0..self.setup.controller_managers {
                let event = ControllerManagerEvent::Discovered(kinds.clone());
                self.now_at(Event::ControllerManager(manager, event), RecordId(0));
            }
        }
    }

    /// A process has started and knows of no extensions yet.
    pub(super) fn tell_extensions(&mut self, started: &Event) {
        match started {
            Event::ApiServer(server, ApiServerEvent::Start) => {
                for kind in self.extensions.begun.clone() {
                    self.now_at(Event::ApiServer(*server, ApiServerEvent::Extend(kind)), RecordId(0));
                }
            }
            Event::ControllerManager(manager, ControllerManagerEvent::Start) if !self.extensions.kinds.is_empty() => {
                let event = ControllerManagerEvent::Discovered(self.extensions.kinds.clone());
                self.now_at(Event::ControllerManager(*manager, event), RecordId(0));
            }
            _ => {}
        }
    }

    /// The program behind a webhook runs from now on, or is another one.
    pub fn add_webhook_server(&mut self, server: WebhookServer) {
        let servers = &mut Arc::make_mut(&mut self.setup).webhook_servers;
        servers.retain(|other| other.name != server.name);
        servers.push(server);
    }

    /// The program behind a webhook fares so from now on; false if there is none of that name.
    pub fn trouble_webhook(&mut self, name: &str, trouble: WebhookTrouble) -> bool {
        let servers = &mut Arc::make_mut(&mut self.setup).webhook_servers;
        let server = servers.iter_mut().find(|server| &*server.name == name);
        server.map(|server| server.trouble = trouble).is_some()
    }

    /// What definitions bring, as discovery would say now: the answer of the first API server that runs.
    pub fn discovery(&self) -> Vec<Arc<Defined>> {
        let kinds = self.apiservers.iter().map(|server| server.custom_kinds().cloned().collect::<Vec<_>>());
        kinds.into_iter().find(|kinds| !kinds.is_empty()).unwrap_or_default()
    }

    /// The kinds by which the cluster is extended, as far as they are in use.
    pub fn extended_by(&self) -> &[Kind] {
        &self.extensions.begun
    }
}
