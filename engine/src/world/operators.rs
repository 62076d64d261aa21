//! What operators of etcd do to its members: ask them, look at their metrics and disks, add and replace them.

use super::World;
use crate::etcd::{self, EtcdEvent, Member, Response};
use crate::event::{EtcdValue, Event, Queued};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};

/// A message of a member of etcd to a program outside the cluster.
#[derive(Clone, Debug)]
pub struct EtcdMail {
    /// When it arrived.
    pub at: Instant,
    /// The number of the request; a watch answers many times under one.
    pub number: u64,
    /// What it says: also that nobody took the connection ([`etcd::EtcdError::ConnectionRefused`]) or that it broke
    /// ([`etcd::EtcdError::ConnectionLost`]).
    pub response: Response<EtcdValue>,
    /// The record that caused it.
    pub cause: RecordId,
}

/// A member of etcd can not be put there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the member of that number runs, or there is none before it")]
pub struct InvalidPlace;

impl World {
    /// Lets something happen at a member of etcd now: a kill, a start, an operator's request.
    pub fn etcd_event(&mut self, member: u8, event: EtcdEvent<EtcdValue>) {
        self.push(self.now, Endpoint::Outside, Queued::anybody(Event::Etcd(member, event), RecordId(0)));
    }

    /// The text of the `/metrics` of a member of etcd, and what it is made of; none while its process does not run.
    pub fn etcd_metrics(&mut self, member: u8) -> Option<(String, etcd::Gauges, etcd::Metrics)> {
        let (now, setup) = (self.now, self.setup.clone());
        let member = self.etcd.get_mut(usize::from(member)).filter(|member| member.running())?;
        member.look(now, setup.seed, &setup.profile.etcd);
        let settings = &setup.profile.etcd;
        Some((member.metrics_text(settings), member.gauges(settings), member.metrics().clone()))
    }

    /// The disk of a member of etcd, to make it slow.
    pub fn etcd_disk(&mut self, member: u8) -> Option<&mut etcd::disk::Disk> {
        self.etcd.get_mut(usize::from(member)).map(Member::disk_mut)
    }

    /// A member of etcd that was added to the cluster and is to be started; its number comes from the answer to the
    /// addition and must be the next one.
    pub fn add_etcd_member(&mut self, name: &str, client_urls: &str) -> u8 {
        let number = self.etcd.len() as u8;
        self.etcd.push(Member::joining(number, name, client_urls, self.setup.seed, &self.setup.profile.etcd));
        number
    }

    /// Gives a member of etcd another data directory: that of a member made of a snapshot
    /// ([`Member::restored`]). The answer is the member as it was, if there was one of that number; it is an error if
    /// its process runs, or if numbers would be left out.
    pub fn replace_etcd_member(
        &mut self,
        mut with: Member<EtcdValue>,
    ) -> Result<Option<Member<EtcdValue>>, InvalidPlace> {
        let (number, next) = (usize::from(with.number()), self.etcd.len());
        match self.etcd.get_mut(number) {
            Some(place) if !place.running() => {
                with.come_after(place);
                self.proxies.forget_history();
                Ok(Some(std::mem::replace(place, with)))
            }
            None if number == next => {
                self.etcd.push(with);
                Ok(None)
            }
            _ => Err(InvalidPlace),
        }
    }

    /// The data directory of a stopped member of etcd, to work on.
    pub fn etcd_stopped(&mut self, member: u8) -> Option<&mut Member<EtcdValue>> {
        self.etcd.get_mut(usize::from(member)).filter(|member| !member.running())
    }

    /// Sends a request of a program outside the cluster to a member of etcd; `number` is its name in the answers and
    /// is not used twice.
    pub fn ask_etcd(&mut self, member: u8, number: u64, request: etcd::Request<EtcdValue>, cause: RecordId) {
        let event = EtcdEvent::Request { from: Endpoint::Outside, id: number, request: Box::new(request) };
        let queued = Queued::anybody(Event::Etcd(member, event), cause);
        self.transmit(Endpoint::Outside, Endpoint::Etcd(member), Duration::ZERO, queued);
    }

    /// Takes the next message of etcd to a program outside the cluster.
    pub fn receive_from_etcd(&mut self) -> Option<EtcdMail> {
        self.operators.pop_front()
    }
}
