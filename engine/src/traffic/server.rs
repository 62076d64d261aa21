//! The program in a pod that answers requests: so many at once, the others wait in a queue.
//!
//! Requests are taken in the order of their arrival, so that it is known on arrival when one will be answered, unless the container ends
//! before. A request that its client has given up when its turn comes costs nothing; one that is being worked on is worked on to its
//! end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::Ipv4Addr;

use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Uid};

/// What the kubelet tells of a pod's program.
#[derive(Clone, Debug)]
pub struct PodTold {
    /// The number of its node.
    pub node: u32,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Which pod.
    pub uid: Uid,
    /// Its name.
    pub key: Key,
    /// The container that answers, if it runs.
    pub container: Option<u64>,
    /// Whether it takes new connections.
    pub listening: bool,
}

/// Who is at the end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Peer {
    pub address: Ipv4Addr,
    pub container: u64,
}

/// A number of a request, and which use of the number it is.
pub(super) type Ticket = (u32, u32);

/// A pod that answers.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub node: u32,
    pub uid: Uid,
    pub key: Key,
    pub container: Option<u64>,
    pub listening: bool,
    /// What made it as it is.
    pub changed: RecordId,
    /// When each worker is free.
    free: Vec<Instant>,
    /// When those that wait begin, in order.
    starts: VecDeque<Instant>,
    /// When those that are answered will be.
    pending: BinaryHeap<Reverse<(Instant, Ticket)>>,
}

/// What a server makes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It will be answered then.
    Until(Instant),
    /// It will be given up before its turn comes.
    TooLong,
    /// There is no room for it.
    Full,
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub ticket: Ticket,
    pub takes: Duration,
    /// When the client gives up.
    pub deadline: Instant,
    pub concurrency: u32,
    pub queue: u32,
}

impl Server {
    pub fn new(told: &PodTold, changed: RecordId) -> Self {
        Server {
            node: told.node,
            uid: told.uid,
            key: told.key.clone(),
            container: told.container,
            listening: told.listening,
            changed,
            free: Vec::new(),
            starts: VecDeque::new(),
            pending: BinaryHeap::new(),
        }
    }

    /// A request arrives.
    pub fn take(&mut self, work: Work, now: Instant) -> Taken {
        while self.pending.peek().is_some_and(|Reverse((done, _))| *done <= now) {
            self.pending.pop();
        }
        while self.starts.front().is_some_and(|start| *start <= now) {
            self.starts.pop_front();
        }
        let workers = work.concurrency.max(1) as usize;
        if self.free.len() < workers {
            self.free.resize(workers, now);
        }
        let Some(worker) = self.free.iter_mut().take(workers).min_by_key(|free| **free) else { return Taken::Full };
        let start = now.max(*worker);
        if start > now {
            if self.starts.len() >= work.queue as usize {
                return Taken::Full;
            }
            let place = self.starts.partition_point(|other| *other <= start);
            self.starts.insert(place, start);
        }
        if start > work.deadline {
            return Taken::TooLong;
        }
        let done = start + work.takes;
        *worker = done;
        self.pending.push(Reverse((done, work.ticket)));
        Taken::Until(done)
    }

    /// How many wait for their turn.
    #[cfg(test)]
    pub fn waiting(&self, now: Instant) -> usize {
        self.starts.iter().filter(|start| **start > now).count()
    }

    /// The container has ended: those it has not answered, in the order in which it would have.
    pub fn end(&mut self, now: Instant) -> Vec<Ticket> {
        self.free.clear();
        self.starts.clear();
        let mut open: Vec<_> = std::mem::take(&mut self.pending).into_iter().map(|Reverse(entry)| entry).collect();
        open.sort_unstable();
        open.into_iter().filter(|(done, _)| *done > now).map(|(_, ticket)| ticket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Instant {
        Instant::START + Duration::from_millis(ms)
    }

    fn server() -> Server {
        let told = PodTold {
            node: 0,
            address: Ipv4Addr::new(10, 0, 0, 1),
            uid: Uid(1),
            key: Key::new("a", "b"),
            container: Some(1),
            listening: true,
        };
        Server::new(&told, RecordId(0))
    }

    fn work(n: u32, deadline: u64) -> Work {
        let (ticket, takes) = ((n, 0), Duration::from_millis(10));
        Work { ticket, takes, deadline: ms(deadline), concurrency: 2, queue: 2 }
    }

    #[test]
    fn two_are_served_at_once_two_wait_and_one_is_turned_away() {
        let mut server = server();
        let taken: Vec<Taken> = (0..5).map(|n| server.take(work(n, 1_000), ms(0))).collect();
        let until = |at| Taken::Until(ms(at));
        assert_eq!(taken, [until(10), until(10), until(20), until(20), Taken::Full]);
        assert_eq!((server.waiting(ms(0)), server.waiting(ms(10))), (2, 0));
        assert_eq!(server.take(work(9, 1_000), ms(10)), until(30));
    }

    #[test]
    fn who_would_wait_longer_than_its_client_costs_nothing() {
        let mut server = server();
        server.take(work(0, 1_000), ms(0));
        server.take(work(1, 1_000), ms(0));
        assert_eq!(server.take(work(2, 5), ms(0)), Taken::TooLong);
        assert_eq!(server.take(work(3, 1_000), ms(1)), Taken::Until(ms(20)));
    }

    #[test]
    fn the_end_of_a_container_leaves_what_it_has_not_answered() {
        let mut server = server();
        (0..4).for_each(|n| {
            let _ = server.take(work(n, 1_000), ms(u64::from(n)));
        });
        assert_eq!(server.end(ms(10)), [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(server.take(work(7, 1_000), ms(11)), Taken::Until(ms(21)), "another container begins anew");
    }
}
