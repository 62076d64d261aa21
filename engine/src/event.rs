//! Everything that can happen, nested per component. A newcomer learns the simulator by this type and the match in `world.rs`.

use crate::apiserver::ApiServerEvent;
use crate::apiserver::request::Delivery;
use crate::controllers::ControllerManagerEvent;
use crate::custom::CustomEvent;
use crate::etcd::{EtcdEvent, Response, Stored};
use crate::kernel::Endpoint;
use crate::kernel::out::{Out, RecordId};
use crate::kubelet::KubeletEvent;
use crate::metrics_server::MetricsEvent;
use crate::objects::Object;
use crate::process::Process;
use crate::proxy::ProxyEvent;
use crate::registry::PullRequest;
use crate::scheduler::SchedulerEvent;
use crate::trace::Note;
use crate::traffic::TrafficEvent;
use std::sync::Arc;

/// Something that happens to a component at an instant. Big content travels behind a pointer.
#[derive(Clone, Debug)]
pub enum Event {
    /// To an etcd member.
    Etcd(u8, EtcdEvent<EtcdValue>),
    /// To an API server.
    ApiServer(u8, ApiServerEvent),
    /// To a controller manager.
    ControllerManager(u8, ControllerManagerEvent),
    /// To a scheduler.
    Scheduler(u8, SchedulerEvent),
    /// To the kubelet of the n-th node.
    Kubelet(u32, KubeletEvent),
    /// To a controller of one's own.
    Custom(u8, CustomEvent),
    /// To the metrics server.
    MetricsServer(MetricsEvent),
    /// A node pulls an image: no event of its own, but answered where it is asked for.
    Registry(Box<PullRequest>),
    /// A machine that was told to shut down has done so: the n-th node's, and in which boot.
    PowerOff(u32, u32),
    /// To the kube-proxy of the n-th node.
    Proxy(u32, ProxyEvent),
    /// To the requests that scripts send.
    Traffic(TrafficEvent),
    /// The supervisor starts a process again.
    Restart(Process),
    /// A process that gets too little CPU has time again.
    CpuFree(Process),
    /// The watches of a client break.
    DropWatches(Endpoint),
    /// A client has heard nothing from an API server for a while.
    Silence {
        /// Who.
        client: Endpoint,
        /// From which one.
        server: u8,
    },
    /// To a program outside the cluster: it waits in the mailbox.
    Outside(Delivery),
    /// To a program outside the cluster, from a member of etcd, under the number of its request.
    Operator(u64, Box<Response<EtcdValue>>),
}

/// What etcd holds: API objects as they are, and the bytes that others put there.
pub type EtcdValue = Stored<Arc<Object>>;

/// The `Out` of every component.
pub type Effects = Out<Event, Note>;

impl Event {
    /// The event by which `delivery` arrives at a client.
    pub fn delivery(to: Endpoint, delivery: Delivery) -> Event {
        match to {
            Endpoint::ControllerManager(n) => Event::ControllerManager(n, ControllerManagerEvent::Delivery(delivery)),
            Endpoint::Scheduler(n) => Event::Scheduler(n, SchedulerEvent::Delivery(delivery)),
            Endpoint::Kubelet(node) => Event::Kubelet(node, KubeletEvent::Delivery(delivery)),
            Endpoint::Proxy(node) => Event::Proxy(node, ProxyEvent::Delivery(delivery)),
            Endpoint::Custom(number) => Event::Custom(number, CustomEvent::Delivery(delivery)),
            Endpoint::Outside | Endpoint::ApiServer(_) | Endpoint::Etcd(_) => Event::Outside(delivery),
        }
    }

    /// Whether it is the API server's reply to a client.
    pub fn is_reply(&self) -> bool {
        self.reply_number().is_some()
    }

    /// What it brings a client of the API server.
    pub fn delivered(&self) -> Option<&Delivery> {
        match self {
            Event::ControllerManager(_, ControllerManagerEvent::Delivery(delivery))
            | Event::Scheduler(_, SchedulerEvent::Delivery(delivery))
            | Event::Kubelet(_, KubeletEvent::Delivery(delivery))
            | Event::Proxy(_, ProxyEvent::Delivery(delivery))
            | Event::Custom(_, CustomEvent::Delivery(delivery))
            | Event::Outside(delivery) => Some(delivery),
            _ => None,
        }
    }

    /// The number of the request to which it is the API server's reply.
    pub fn reply_number(&self) -> Option<u64> {
        if let Delivery::Reply(reply) = self.delivered()? { Some(reply.number) } else { None }
    }

    /// The number of the watch whose changes it delivers.
    pub fn watch_number(&self) -> Option<u64> {
        if let Delivery::Watch { number, .. } = self.delivered()? { Some(*number) } else { None }
    }

    /// The component that handles it.
    pub fn receiver(&self) -> Endpoint {
        match self {
            Event::Etcd(member, _) => Endpoint::Etcd(*member),
            Event::ApiServer(number, _) => Endpoint::ApiServer(*number),
            Event::ControllerManager(number, _) => Endpoint::ControllerManager(*number),
            Event::Scheduler(number, _) => Endpoint::Scheduler(*number),
            Event::Kubelet(node, _) => Endpoint::Kubelet(*node),
            Event::Proxy(node, _) => Endpoint::Proxy(*node),
            Event::Custom(number, _) => Endpoint::Custom(*number),
            Event::MetricsServer(_)
            | Event::Registry(_)
            | Event::PowerOff(..)
            | Event::Traffic(_)
            | Event::Restart(_)
            | Event::CpuFree(_)
            | Event::DropWatches(_)
            | Event::Silence { .. }
            | Event::Outside(_)
            | Event::Operator(..) => Endpoint::Outside,
        }
    }
}

/// An event with the record that caused it, as the queue holds it.
#[derive(Clone, Debug)]
pub struct Queued {
    /// What happens.
    pub event: Event,
    /// Why.
    pub cause: RecordId,
    /// The life of the receiver that it is meant for, or [`ANY_LIFE`].
    pub life: u32,
}

/// Meant for whatever process is there.
pub const ANY_LIFE: u32 = u32::MAX;

impl Queued {
    /// An event for whatever process is there when it happens.
    pub fn anybody(event: Event, cause: RecordId) -> Self {
        Queued { event, cause, life: ANY_LIFE }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn events_stay_small() {
        assert!(size_of::<super::Queued>() <= 64, "{}", size_of::<super::Queued>());
    }
}
