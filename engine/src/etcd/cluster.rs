//! Members together, on links of constant latency: what a write costs, what a read waits for, what a watch hears.

use super::event::{Effects, EtcdEvent, EtcdNote};
use super::*;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, Latency, Queue, Seed};

/// Members, their links, one client.
#[derive(Clone)]
struct Cluster {
    members: Vec<Member<String>>,
    /// One-way latency from the leader to each member and back. [ms]
    links: Vec<u64>,
    settings: EtcdSettings,
    queue: Queue<(u8, EtcdEvent<String>)>,
    now: Instant,
    heard: Vec<(u64, u64, Response<String>)>,
    notes: Vec<EtcdNote>,
    /// The cause of each note.
    causes: Vec<RecordId>,
    asked: u64,
}

/// Faults are announced as the effects ask for it; links that are cut from the start are no change.
struct Surroundings<'a> {
    me: u8,
    now: Instant,
    links: &'a [u64],
    queue: &'a mut Queue<(u8, EtcdEvent<String>)>,
    heard: &'a mut Vec<(u64, u64, Response<String>)>,
    notes: &'a mut Vec<EtcdNote>,
    causes: &'a mut Vec<RecordId>,
    cause: RecordId,
}

/// A link that loses everything.
const CUT: u64 = u64::MAX;

impl Effects<String> for Surroundings<'_> {
    fn now(&self) -> Instant {
        self.now
    }
    fn cause(&self) -> RecordId {
        self.cause
    }
    fn because(&mut self, cause: RecordId) {
        self.cause = cause;
    }
    fn note(&mut self, note: EtcdNote) -> RecordId {
        self.notes.push(note);
        self.causes.push(self.cause);
        self.cause = RecordId(self.notes.len() as u64);
        self.cause
    }
    fn send(&mut self, member: u8, event: EtcdEvent<String>) {
        let link = self.links[usize::from(member.max(self.me))];
        if link != CUT {
            self.queue.push(self.now + Duration::from_millis(link), 0, u32::from(self.me), (member, event));
        }
    }
    fn after(&mut self, wait: Duration, event: EtcdEvent<String>) {
        self.queue.push(self.now + wait, 1, u32::from(self.me), (self.me, event));
    }
    fn calm(&self) -> bool {
        self.links.iter().all(|link| *link != CUT)
    }
    fn disturb(&mut self) {
        for member in 0..self.links.len() as u8 {
            self.queue.push(self.now, 0, u32::from(self.me), (member, EtcdEvent::Disturbed));
        }
    }
    fn reply(&mut self, _to: Endpoint, id: u64, response: Response<String>) {
        self.heard.push((self.now.as_nanos() / 1_000_000, id, response));
    }
}

/// Costs in round numbers: request 1 ms, fsync 10 ms times the member's factor, apply 2 ms, read 3 ms.
fn cluster(links: &[u64], factors: &[f64]) -> Cluster {
    let costs = EtcdCosts {
        request: Latency::constant(1.0),
        fsync: Latency::constant(10.0),
        fsync_per_kib: Duration::ZERO,
        apply: Latency::constant(2.0),
        commit: Latency::constant(0.0),
        read: Latency::constant(3.0),
        read_per_kib: Duration::ZERO,
        ..EtcdCosts::default()
    };
    let settings = EtcdSettings { costs, ..EtcdSettings::default() };
    let formation = Formation::local(links.len() as u8);
    let mut members: Vec<_> =
        (0..links.len() as u8).map(|me| Member::new(me, &formation, Seed(1), &settings)).collect();
    members.iter_mut().zip(factors).for_each(|(member, factor)| member.disk_mut().slow_down(*factor));
    Cluster {
        members,
        links: links.to_vec(),
        settings,
        queue: Queue::new(None),
        now: Instant::START,
        heard: Vec::new(),
        notes: Vec::new(),
        causes: Vec::new(),
        asked: 0,
    }
}

fn single() -> Cluster {
    cluster(&[0], &[1.0])
}

fn put(key: &str) -> Request<String> {
    Request::Put(Put::new(key, "v".to_string()))
}

fn get(key: &str, serializable: bool) -> Request<String> {
    Request::Range(RangeRequest { serializable, ..RangeRequest::new(KeyRange::Key(key.into())) })
}

fn watch(prefix: &str, start_revision: u64) -> Request<String> {
    let range = KeyRange::Prefix(prefix.into());
    Request::Watch(WatchRequest { range, start_revision, prev_kv: false, progress_notify: true, require_leader: false })
}

impl Cluster {
    /// Asks `member` at `ms`; the answer is the request's id.
    fn ask(&mut self, member: u8, ms: u64, request: Request<String>) -> u64 {
        self.asked += 1;
        let event = EtcdEvent::Request { from: Endpoint::ApiServer(0), id: self.asked, request: Box::new(request) };
        self.queue.push(Instant::from_nanos(ms * 1_000_000), 2, 0, (member, event));
        self.asked
    }

    fn run(&mut self, until_ms: u64) {
        while self.queue.next_at().is_some_and(|at| at.as_nanos() <= until_ms * 1_000_000) {
            let Some((now, (me, event))) = self.queue.pop() else { return };
            self.now = now;
            let mut out = Surroundings {
                me,
                now,
                links: &self.links,
                queue: &mut self.queue,
                heard: &mut self.heard,
                notes: &mut self.notes,
                causes: &mut self.causes,
                cause: RecordId::default(),
            };
            self.members[usize::from(me)].handle(event, Seed(1), &self.settings, &mut out);
        }
    }

    /// When the first response to a request arrived. [ms]
    fn answered(&self, id: u64) -> Option<u64> {
        self.heard.iter().find(|(_, of, _)| *of == id).map(|(at, ..)| *at)
    }

    fn bodies(&self, id: u64) -> Vec<&Result<Reply<String>, EtcdError>> {
        self.heard.iter().filter(|(_, of, _)| *of == id).map(|(_, _, response)| &response.body).collect()
    }

    /// The revisions a watch was told of, one list per response.
    fn told(&self, id: u64) -> Vec<Vec<u64>> {
        let revisions = |body: &&Result<Reply<String>, EtcdError>| match body {
            Ok(Reply::Watch(WatchReply::Events { events, .. })) => {
                Some(events.iter().map(|event| event.revision).collect())
            }
            _ => None,
        };
        self.bodies(id).iter().filter_map(revisions).collect()
    }
}

/// Request 1 + commit + apply 2, where the commit needs the leader's own fsync (its next step waits for it) and enough
/// followers to make a majority, each after link + fsync + link.
#[test]
fn a_write_costs_the_leader_s_fsync_and_the_fastest_followers_that_make_a_majority() {
    let factors = [1.0, 0.5, 2.0, 7.0];
    let links = [1, 4, 40];
    let mut seen = std::collections::BTreeSet::new();
    for members in [1usize, 3, 5] {
        for shift in 0..12 {
            let factor: Vec<f64> = (0..members).map(|i| factors[(i * 3 + shift) % 4]).collect();
            let link: Vec<u64> = (0..members).map(|i| if i == 0 { 0 } else { links[(i + shift) % 3] }).collect();
            let mut cluster = cluster(&link, &factor);
            let id = cluster.ask(0, 0, put("a"));
            cluster.run(1_000);
            let fsync = |i: usize| (10.0 * factor[i]) as u64;
            let mut followers: Vec<u64> = (1..members).map(|i| 2 * link[i] + fsync(i)).collect();
            followers.sort_unstable();
            let needed = if members == 1 { 0 } else { followers[members / 2 - 1] };
            let expected = 1 + fsync(0).max(needed) + 2;
            assert_eq!(cluster.answered(id), Some(expected), "fsync factors {factor:?}, links {link:?}");
            seen.insert(fsync(0) > needed);
        }
    }
    assert_eq!(seen.len(), 2, "both the leader and the followers were the slow part");
}

#[test]
fn writes_that_arrive_during_an_fsync_share_the_next_one() {
    for mut cluster in [single(), cluster(&[0, 1, 1], &[1.0, 1.0, 1.0])] {
        let ids: Vec<u64> = (0..11).map(|n| cluster.ask(0, u64::from(n > 0), put(&n.to_string()))).collect();
        cluster.run(1_000);
        assert_eq!(cluster.members[0].disk_mut().syncs(), 2);
        let entries = cluster.notes.iter().filter_map(|note| match note {
            EtcdNote::Persisted { entries, .. } => Some(*entries),
            _ => None,
        });
        assert!(entries.into_iter().all(|entries| entries == 1 || entries == 10));
        let last = cluster.answered(ids[10]);
        assert!(ids[1..].iter().all(|id| cluster.answered(*id) == last), "one batch is applied together");
    }
}

#[test]
fn a_read_asks_the_quorum_unless_it_is_serializable() {
    let mut cluster = cluster(&[0, 5, 9], &[1.0, 1.0, 1.0]);
    let linearizable = cluster.ask(0, 0, get("a", false));
    let serializable = cluster.ask(0, 0, get("a", true));
    cluster.run(1_000);
    assert_eq!(cluster.answered(linearizable), Some(1 + 5 + 5 + 3));
    assert_eq!(cluster.answered(serializable), Some(1 + 3));
    let mut single = single();
    let alone = single.ask(0, 0, get("a", false));
    single.run(1_000);
    assert_eq!(single.answered(alone), Some(1 + 3), "one member is its own quorum");
}

#[test]
fn a_linearizable_read_waits_for_the_fsync_under_way_and_sees_what_was_committed_before_it() {
    let mut cluster = single();
    cluster.ask(0, 0, put("a"));
    let during = cluster.ask(0, 4, get("a", false));
    let stale = cluster.ask(0, 4, get("a", true));
    let after = cluster.ask(0, 11, get("a", false));
    cluster.run(1_000);
    let count = |id| match cluster.bodies(id)[..] {
        [Ok(Reply::Range(range))] => range.count,
        ref other => panic!("{other:?}"),
    };
    assert_eq!((cluster.answered(during), count(during)), (Some(13 + 3), 1), "the fsync ends at 11, the apply at 13");
    assert_eq!((cluster.answered(stale), count(stale)), (Some(5 + 3), 0));
    assert_eq!((cluster.answered(after), count(after)), (Some(13 + 3), 1));
}

#[test]
fn a_minority_cut_off_does_not_stop_writes_and_a_majority_does() {
    let mut cluster = cluster(&[0, 1, CUT], &[1.0, 1.0, 1.0]);
    let written = cluster.ask(0, 0, put("a"));
    cluster.run(1_000);
    assert!(cluster.answered(written).is_some());
    cluster.links = vec![0, CUT, CUT];
    let (stuck, read, local) = (
        cluster.ask(0, 1_000, put("b")),
        cluster.ask(0, 1_000, get("a", false)),
        cluster.ask(0, 1_000, get("a", true)),
    );
    cluster.run(9_000);
    assert_eq!((cluster.answered(stuck), cluster.answered(read)), (Some(8_001), Some(8_011)), "after seven seconds");
    assert_eq!([cluster.bodies(stuck), cluster.bodies(read)].concat(), [&Err(EtcdError::Timeout); 2]);
    assert_eq!(cluster.answered(local), Some(1_004));
}

#[test]
fn a_follower_passes_requests_and_watch_events_on() {
    let mut cluster = cluster(&[0, 5, 9], &[1.0, 1.0, 1.0]);
    let watch = cluster.ask(1, 0, watch("a", 0));
    let write = cluster.ask(1, 20, put("a"));
    cluster.run(1_000);
    assert_eq!(cluster.answered(watch), Some(1), "a follower serves watches from its own store");
    assert_eq!(cluster.told(watch), [[2]]);
    // To the leader, to the disks and back, and the word of the commit to the follower, which applies it.
    assert_eq!(cluster.answered(write), Some(20 + 1 + 5 + (5 + 10 + 5) + 5 + 2));
}

#[test]
fn watch_events_of_a_batch_come_together_and_before_the_replies_with_their_causes() {
    let mut cluster = single();
    let watch = cluster.ask(0, 0, watch("", 0));
    let first = cluster.ask(0, 2, put("a"));
    let later = [cluster.ask(0, 3, put("b")), cluster.ask(0, 3, put("c"))];
    cluster.run(1_000);
    assert_eq!(cluster.told(watch), [vec![2], vec![3, 4]]);
    let order: Vec<u64> = cluster.heard.iter().map(|(_, id, _)| *id).collect();
    assert_eq!(order, [watch, watch, first, watch, later[0], later[1]]);
    let Ok(Reply::Watch(WatchReply::Events { causes, .. })) = cluster.bodies(watch)[2] else { panic!("events") };
    for (cause, revision) in causes.iter().zip([3, 4]) {
        let note = cluster.notes[cause.0 as usize - 1];
        assert!(matches!(note, EtcdNote::Applied { revision: applied, .. } if applied == revision), "{note:?}");
    }
}

#[test]
fn each_write_of_a_batch_has_its_own_chain_of_causes() {
    let mut cluster = cluster(&[0, 1, 1], &[1.0, 1.0, 1.0]);
    for n in 0..5 {
        cluster.ask(0, u64::from(n > 0), put("a"));
    }
    cluster.run(1_000);
    let caused_by = |record: usize| cluster.notes[cluster.causes[record].0 as usize - 1];
    for (record, note) in cluster.notes.iter().enumerate() {
        match *note {
            EtcdNote::Applied { index, .. } => assert_eq!(caused_by(record), EtcdNote::Committed { index }),
            EtcdNote::Committed { index } => assert_eq!(caused_by(record), EtcdNote::Proposed { index }),
            _ => {}
        }
    }
    assert_eq!(cluster.notes.iter().filter(|note| matches!(note, EtcdNote::Applied { .. })).count(), 5);
}

#[test]
fn a_large_read_takes_longer() {
    let mut cluster = single();
    cluster.settings.costs.read_per_kib = Duration::from_millis(2);
    cluster.ask(0, 0, Request::Put(Put::new("ab", "x".repeat(10 * 1_024 - 2))));
    let read = cluster.ask(0, 100, get("ab", false));
    cluster.run(1_000);
    assert_eq!(cluster.answered(read), Some(100 + 1 + 3 + 20));
}

#[test]
fn progress_is_not_told_while_a_watch_of_the_client_has_history_to_catch_up_with() {
    let mut cluster = single();
    cluster.ask(0, 0, put("a"));
    cluster.ask(0, 110, watch("a", 2));
    let (early, late) = (cluster.ask(0, 120, Request::WatchProgress), cluster.ask(0, 220, Request::WatchProgress));
    cluster.run(1_000);
    assert_eq!((cluster.answered(early), cluster.answered(late)), (None, Some(221)));
}

#[test]
fn a_compaction_in_the_batch_takes_no_event_from_a_watch() {
    let mut cluster = single();
    let watch = cluster.ask(0, 0, watch("", 0));
    cluster.ask(0, 2, put("x"));
    for request in [put("a"), put("b"), Request::Compact(4), put("c")] {
        cluster.ask(0, 3, request);
    }
    cluster.run(1_000);
    assert_eq!(cluster.told(watch).concat(), [2, 3, 4, 5]);
    assert_eq!(cluster.members[0].store().compact_revision(), 4);
}

#[test]
fn a_watch_from_the_past_is_served_by_the_loop_and_a_compacted_one_is_refused_there() {
    let mut cluster = single();
    for request in [put("a"), put("b"), put("a"), Request::Compact(3)] {
        cluster.ask(0, 0, request);
    }
    let past = cluster.ask(0, 130, watch("a", 3));
    let compacted = cluster.ask(0, 130, watch("a", 2));
    cluster.ask(0, 250, put("a"));
    cluster.run(1_000);
    assert_eq!(cluster.told(past), [[4], [5]]);
    assert_eq!(cluster.answered(past), Some(131), "created at once");
    let [created, canceled] = cluster.bodies(compacted)[..] else { panic!("two responses") };
    assert_eq!(created, &Ok(Reply::Watch(WatchReply::Created)));
    assert_eq!(canceled, &Ok(Reply::Watch(WatchReply::Compacted { compact_revision: 3 })));
    assert_eq!(cluster.heard.iter().rfind(|(_, id, _)| *id == compacted).map(|(at, ..)| *at), Some(200));
}

#[test]
fn a_quiet_watch_hears_the_revision_on_the_tick_and_when_it_asks() {
    let mut cluster = single();
    let watch = cluster.ask(0, 0, watch("a", 0));
    cluster.ask(0, 10, put("b"));
    let progress = cluster.ask(0, 100, Request::WatchProgress);
    cluster.run(10_500);
    assert_eq!(cluster.bodies(progress), [&Ok(Reply::Watch(WatchReply::Progress))]);
    let ticks: Vec<_> =
        cluster.heard.iter().filter(|(_, id, _)| *id == watch).map(|(at, _, r)| (*at, r.revision)).collect();
    assert_eq!(ticks, [(1, 1), (10_001, 2)], "the first tick at 5001 only begins the quiet time");
    cluster.ask(0, 10_600, Request::WatchCancel(watch));
    cluster.run(30_000);
    assert_eq!(cluster.bodies(watch).last(), Some(&&Ok(Reply::Watch(WatchReply::Canceled))));
    assert!(cluster.queue.is_empty(), "nothing ticks for nobody: {:?}", cluster.queue);
}

#[test]
fn an_expired_lease_is_revoked_at_the_next_look_and_one_kept_alive_is_not() {
    let mut cluster = single();
    let id = LeaseId(7);
    let grant = cluster.ask(0, 0, Request::LeaseGrant { id, ttl: 1 });
    cluster.ask(0, 20, Request::Put(Put { lease: id, ..Put::new("a", String::new()) }));
    let watch = cluster.ask(0, 40, watch("a", 0));
    let alive = cluster.ask(0, 1_900, Request::LeaseKeepAlive(id));
    let left = cluster.ask(0, 2_000, Request::LeaseTimeToLive { id, keys: true });
    let late = cluster.ask(0, 4_000, Request::LeaseKeepAlive(id));
    cluster.run(4_900);
    assert_eq!(cluster.bodies(grant), [&Ok(Reply::Lease { id, ttl: 2 })], "two seconds are the least");
    assert_eq!(cluster.bodies(alive), [&Ok(Reply::Lease { id, ttl: 2 })]);
    let expected = LeaseTimeToLive { id, ttl: 1, granted_ttl: 2, keys: vec!["a".into()] };
    assert_eq!(cluster.bodies(left), [&Ok(Reply::LeaseTimeToLive(expected))]);
    // Kept alive at 1901, so over at 3901, found at 4000, committed 10 ms later and applied 2 after that.
    let deleted = cluster.heard.iter().rfind(|(_, id, _)| *id == watch).map(|(at, ..)| *at);
    assert_eq!((cluster.told(watch), deleted), (vec![vec![3]], Some(4_012)));
    assert_eq!(cluster.bodies(late), [&Err(EtcdError::LeaseNotFound)]);
}

#[test]
fn what_is_wrong_is_refused_before_it_is_proposed() {
    let mut cluster = single();
    let large = cluster.ask(0, 0, Request::Put(Put::new("a", "x".repeat(1_572_864))));
    let empty = cluster.ask(0, 0, put(""));
    let future = cluster.ask(0, 0, Request::Compact(9));
    cluster.run(1_000);
    assert_eq!(cluster.bodies(large), [&Err(EtcdError::RequestTooLarge)]);
    assert_eq!(cluster.bodies(empty), [&Err(EtcdError::EmptyKey)]);
    assert_eq!(cluster.bodies(future), [&Err(EtcdError::FutureRevision)]);
    assert_eq!(cluster.notes.iter().filter(|note| matches!(note, EtcdNote::Proposed { .. })).count(), 1);
}

#[test]
fn a_fork_in_the_middle_goes_on_like_the_original() {
    let mut straight = cluster(&[0, 3, 7], &[1.0, 2.0, 1.5]);
    straight.ask(0, 0, watch("", 0));
    (0..40).for_each(|n| {
        straight.ask((n % 3) as u8, n * 3, if n % 4 == 0 { get("5", false) } else { put(&n.to_string()) });
    });
    straight.run(37);
    let mut fork = straight.clone();
    straight.run(5_000);
    fork.run(5_000);
    assert_eq!(straight.heard, fork.heard);
    assert_eq!(straight.notes, fork.notes);
    assert!(straight.heard.len() > 40);
}
