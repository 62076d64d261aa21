//! The rules of a node as its kernel has them, and who of its clients stays with whom.
//!
//! Models: kubernetes v1.36.2 pkg/proxy/iptables/proxier.go (writeServiceToEndpointRules, the `recent` match of session affinity).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::kernel::out::RecordId;
use crate::kernel::{Instant, Luck};
use crate::proxy::Tables;
use crate::proxy::route::{self, Door, Place, Resolved, Route};
use crate::setup::Setup;

use super::flow::Flow;

/// The rules of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeRules {
    /// What they were made of; `None`: there are none.
    pub tables: Option<Arc<Tables>>,
    /// The record of the write.
    pub written: RecordId,
    /// What they say for a flow.
    resolved: BTreeMap<u32, Arc<Resolved>>,
    /// The endpoint of a flow's client here, and when it was last used.
    stays: BTreeMap<u32, (Ipv4Addr, Instant)>,
}

/// Where a new connection goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    To(Ipv4Addr),
    Reject,
    Drop,
}

impl NodeRules {
    /// Rules are written.
    pub fn write(&mut self, tables: Arc<Tables>, written: RecordId) {
        self.tables = Some(tables);
        self.written = written;
        self.resolved.clear();
    }

    /// The machine has lost its power: rules are in memory.
    pub fn lose(&mut self) {
        *self = NodeRules::default();
    }

    /// Where a new connection of a flow goes from this node.
    pub fn pick(
        &mut self,
        number: u32,
        flow: &mut Flow,
        node: u32,
        setup: &Setup,
        now: Instant,
        luck: &mut Luck,
    ) -> Way {
        let Some(resolved) = self.resolve(number, flow, node, setup) else { return Way::Drop };
        let addresses = match &resolved.route {
            Route::To(addresses) => addresses,
            Route::Reject => return Way::Reject,
            Route::Drop => return Way::Drop,
        };
        // Drawn in any case, so that affinity reshuffles nobody's luck.
        let drawn = luck.below(addresses.len().max(1) as u64) as usize;
        let mut chosen = addresses.get(drawn).copied();
        if let Some(lasts) = resolved.affinity {
            let stay = self
                .stays
                .get(&number)
                .filter(|(address, used)| now.since(*used) <= lasts && addresses.contains(address));
            chosen = stay.map(|(address, _)| *address).or(chosen);
            if let Some(address) = chosen {
                self.stays.insert(number, (address, now));
            }
        }
        chosen.map_or(Way::Drop, Way::To)
    }

    fn resolve(&mut self, number: u32, flow: &mut Flow, node: u32, setup: &Setup) -> Option<Arc<Resolved>> {
        if let Some(known) = self.resolved.get(&number) {
            return Some(known.clone());
        }
        let tables = self.tables.as_deref()?;
        let shared = flow.shared.as_ref().filter(|(version, _)| *version == tables.version);
        let resolved = match shared {
            Some((_, resolved)) => resolved.clone(),
            None => {
                let spec = setup.nodes.get(node as usize);
                let zone = spec.and_then(|spec| spec.labels.iter().find(|(name, _)| &**name == ZONE));
                let place = Place { node: spec.map_or("", |spec| &spec.name), zone: zone.map_or("", |(_, zone)| zone) };
                let door = Door { port: flow.spec.port.as_deref(), outside: flow.spec.outside };
                let resolved = Arc::new(route::resolve(tables, &flow.spec.service, door, place));
                if resolved.everywhere {
                    flow.shared = Some((tables.version, resolved.clone()));
                }
                resolved
            }
        };
        self.resolved.insert(number, resolved.clone());
        Some(resolved)
    }
}

const ZONE: &str = "topology.kubernetes.io/zone";
