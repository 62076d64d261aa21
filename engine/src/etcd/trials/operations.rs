//! What operators do: status, quota, compaction, defragmentation, snapshots, members. The figures are those of the
//! recorded sessions with etcd 3.6.13.

use super::super::event::EtcdEvent;
use super::super::*;
use super::still::Still;
use crate::kernel::Seed;

const ALARM_LIST: Request<String> = Request::Alarm(AlarmRequest::Get);

fn put(key: String, bytes: usize) -> Request<String> {
    Request::Put(Put::new(key, "x".repeat(bytes)))
}

/// One request after the other, 52 ms apart, as a shell manages them.
struct Session {
    still: Still,
    ms: u64,
    asked: u64,
}

impl Session {
    fn new(members: u8, quota: u64) -> Self {
        let mut still = Still::new(members, 1, true);
        still.settings.quota_bytes = quota;
        Session { still, ms: 1_003, asked: 0 }
    }

    fn ask(&mut self, member: u8, request: Request<String>) -> Result<Reply<String>, EtcdError> {
        self.asked += 1;
        self.still.ask(self.ms, member, self.asked, request);
        self.wait(52);
        self.still.body(self.asked)
    }

    fn wait(&mut self, ms: u64) {
        self.still.run(self.ms + ms);
        self.ms += ms;
    }

    fn status(&mut self, member: u8) -> Status {
        match self.ask(member, Request::Status) {
            Ok(Reply::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_fresh_member_is_as_recorded() {
    let mut session = Session::new(1, 2 << 30);
    let status = session.status(0);
    assert_eq!((status.member_id, status.leader), (0x8e9e_05c5_2164_694d, 0x8e9e_05c5_2164_694d));
    assert_eq!((status.db_size, status.db_size_in_use, status.db_size_quota), (20_480, 16_384, 2_147_483_648));
    assert_eq!((status.raft_index, status.raft_applied_index, status.raft_term), (4, 4, 2));
    // Three health checks read a key and list the alarms, which goes through the log.
    (0..3).for_each(|_| drop(session.ask(0, ALARM_LIST)));
    assert_eq!(session.status(0).raft_index, 7);
}

/// The recorded session `quota-alarm`, step by step, with the index of the log after it.
#[test]
fn a_full_database_refuses_writes_until_it_is_compacted_defragmented_and_disarmed() {
    let mut session = Session::new(1, 2 << 20);
    let mut accepted = 0;
    while session.ask(0, put(format!("k{}", accepted % 10), 100_000)).is_ok() {
        accepted += 1;
    }
    // Recorded were 13; when the commits of the database come decides.
    assert!((12..=14).contains(&accepted), "{accepted}");
    let index = |recorded: u64| recorded + accepted - 13;
    let alarm = AlarmMember { member_id: 0x8e9e_05c5_2164_694d, kind: AlarmKind::NoSpace };
    assert_eq!(session.ask(0, ALARM_LIST), Ok(Reply::Alarms(vec![alarm])));
    assert_eq!(session.ask(0, ALARM_LIST), Ok(Reply::Alarms(vec![alarm])));
    let status = session.status(0);
    assert_eq!(status.raft_index, index(20));
    assert_eq!(status.errors, ["memberID:10276657743932975437 alarm:NOSPACE "]);
    let off = |recorded: u64, measured: u64| recorded.abs_diff(measured) * 100 / recorded;
    assert!(off(2_100_000, status.db_size) <= 10 && off(1_600_000, status.db_size_in_use) <= 10, "{status:?}");
    let _health = session.ask(0, ALARM_LIST);
    let small = || put("small".into(), 1);
    assert_eq!(session.ask(0, small()), Err(EtcdError::NoSpace));
    let delete = DeleteRange { range: KeyRange::Key("k1".into()), prev_kv: false };
    assert!(session.ask(0, Request::Delete(delete.clone())).is_ok());
    let puts = Txn { compare: vec![], success: vec![], failure: vec![Op::Put(Put::new("z", "1".into()))] };
    assert_eq!(session.ask(0, Request::Txn(puts)), Err(EtcdError::NoSpace));
    let deletes = Txn { compare: vec![], success: vec![], failure: vec![Op::Delete(delete)] };
    assert!(session.ask(0, Request::Txn(deletes)).is_ok());
    assert_eq!(session.ask(0, Request::LeaseGrant { id: LeaseId(0), ttl: 10 }), Err(EtcdError::NoSpace));
    assert_eq!(session.ask(0, Request::Compact(index(15))), Ok(Reply::Compacted));
    assert_eq!(session.ask(0, small()), Err(EtcdError::NoSpace));
    assert!(matches!(session.ask(0, Request::Defragment), Ok(Reply::Defragmented { .. })));
    let status = session.status(0);
    assert_eq!(status.raft_index, index(28));
    assert!(off(930_000, status.db_size) <= 5 && off(922_000, status.db_size_in_use) <= 5, "{status:?}");
    assert_eq!(session.ask(0, small()), Err(EtcdError::NoSpace), "the alarm stays");
    let _list = session.ask(0, ALARM_LIST);
    let disarm = Request::Alarm(AlarmRequest::Deactivate(alarm));
    assert_eq!(session.ask(0, disarm), Ok(Reply::Alarms(vec![alarm])));
    assert_eq!(session.ask(0, ALARM_LIST), Ok(Reply::Alarms(vec![])));
    assert!(session.ask(0, small()).is_ok());
    assert_eq!(session.status(0).raft_index, index(33));
}

/// The recorded session `defrag`: in use falls only with the commit after the compaction's, which never comes.
#[test]
fn compaction_frees_pages_with_the_next_commit_and_defragmentation_at_once() {
    let mut session = Session::new(1, 2 << 30);
    (0..200).for_each(|_| drop(session.ask(0, put("k".into(), 10_000))));
    let full = session.status(0);
    let off = |recorded: u64, measured: u64| recorded.abs_diff(measured) * 100 / recorded;
    assert!(off(2_200_000, full.db_size) <= 10 && off(2_100_000, full.db_size_in_use) <= 10, "{full:?}");
    session.ask(0, Request::Compact(201)).unwrap();
    session.wait(1_000);
    let status = session.status(0);
    assert!(off(2_100_000, status.db_size_in_use) <= 10, "{status:?}");
    session.ask(0, Request::Defragment).unwrap();
    let status = session.status(0);
    assert!(off(33_000, status.db_size) <= 15 && off(25_000, status.db_size_in_use) <= 20, "{status:?}");
    assert_eq!(status.raft_index, 205);
    assert_eq!(session.ask(0, Request::CompactPhysical(201)), Err(EtcdError::Compacted));
}

#[test]
fn a_member_that_is_defragmented_answers_afterwards_and_the_others_meanwhile() {
    let mut session = Session::new(3, 2 << 30);
    session.still.settings.costs.defrag_per_mib = crate::kernel::Duration::from_secs(2);
    (0..20).for_each(|n| drop(session.ask(0, put(n.to_string(), 100_000))));
    let read = || Request::Range(RangeRequest { serializable: true, ..RangeRequest::new(KeyRange::Key("1".into())) });
    let at = session.ms;
    session.still.ask(at, 1, 1_000, Request::Defragment);
    session.still.ask(at + 10, 1, 1_001, read());
    session.still.ask(at + 10, 2, 1_002, read());
    session.still.ask(at + 10, 0, 1_003, put("a".into(), 1));
    session.still.ask(at + 10, 1, 1_004, put("b".into(), 1));
    session.still.run(at + 20_000);
    let heard = |id| {
        session.still.heard.iter().find(|(_, of, _)| *of == id).map(|(at, ..)| at.as_nanos() / 1_000_000 - session.ms)
    };
    let Ok(Reply::Defragmented { took }) = session.still.body(1_000) else { panic!("defragmented") };
    let took = took.as_nanos() / 1_000_000;
    assert!((3_000..6_000).contains(&took), "{took}");
    assert!(heard(1_001) >= Some(took) && heard(1_004) >= Some(took), "{:?} {:?}", heard(1_001), heard(1_004));
    assert!(heard(1_002) < Some(100) && heard(1_003) < Some(100), "{:?} {:?}", heard(1_002), heard(1_003));
}

/// The recorded sessions `cluster-leader-down`, `cluster-move-leader`, and the errors of the latter.
#[test]
fn indexes_and_terms_go_on_as_recorded_when_leaders_change() {
    let mut session = Session::new(3, 2 << 30);
    assert_eq!(session.status(1).raft_index, 8);
    session.ask(0, put("a".into(), 1)).unwrap();
    let ids: Vec<u64> = (0..3).map(|n| session.still.members[0].store().members().id(n)).collect();
    assert_eq!(ids, [0xd9f1_11f0_45b4_f22f, 0x39e4_fce3_d1b2_e663, 0x00c8_f66a_5aba_87b8]);
    assert_eq!(session.ask(1, Request::MoveLeader(ids[1])), Err(EtcdError::NotLeader));
    assert_eq!(session.ask(0, Request::MoveLeader(0x1234)), Err(EtcdError::BadTransferee));
    session.still.ask(session.ms, 0, 900, Request::MoveLeader(ids[1]));
    session.wait(300);
    assert_eq!(session.still.body(900), Ok(Reply::LeaderMoved));
    let at = session.still.heard.last().map(|(at, ..)| at.as_nanos() / 1_000_000 - (session.ms - 300));
    assert_eq!(at, Some(100), "etcd looks once per heartbeat; recorded were 118 ms");
    let status = session.status(2);
    assert_eq!((status.leader, status.raft_term, status.raft_index), (ids[1], 3, 10));
    session.still.tell(session.ms, 1, EtcdEvent::Killed);
    session.wait(3_000);
    let status = session.status(2);
    assert_eq!((status.raft_term, status.raft_index, status.errors.len()), (4, 11, 0));
    session.still.tell(session.ms, 1, EtcdEvent::Started);
    session.wait(1_000);
    assert_eq!(session.status(1).raft_index, 12, "the member has said its name");
    session.still.tell(session.ms, 0, EtcdEvent::Killed);
    session.still.tell(session.ms, 2, EtcdEvent::Killed);
    session.wait(4_000);
    assert_eq!(session.status(1).errors, ["etcdserver: no leader"]);
}

/// The recorded sessions `cluster-snapshot-restore` and `snapshot-bump`.
#[test]
fn a_snapshot_becomes_a_new_cluster() {
    let mut session = Session::new(1, 2 << 30);
    (1..=3).for_each(|n| drop(session.ask(0, put(format!("k{n}"), 2))));
    let Ok(Reply::Snapshot(image)) = session.ask(0, Request::Snapshot) else { panic!("a snapshot") };
    assert_eq!((image.status().revision, image.status().keys), (4, 3));
    let mut restored = Session::new(3, 2 << 30);
    let options = RestoreOptions { bump_revision: 1_000_000, mark_compacted: true };
    let formation = Formation::local(3);
    for n in 0..3 {
        let settings = restored.still.settings.clone();
        restored.still.members[usize::from(n)] = Member::restored(n, &formation, &image, options, Seed(1), &settings);
        restored.still.tell(0, n, EtcdEvent::Started);
    }
    restored.wait(4_000);
    let status = restored.status(0);
    assert_eq!((status.raft_term, status.raft_index), (2, 7));
    let get = |revision| RangeRequest { revision, ..RangeRequest::new(KeyRange::Key("k1".into())) };
    assert!(restored.ask(1, Request::Range(get(1_000_004))).is_ok());
    assert_eq!(restored.ask(1, Request::Range(get(4))), Err(EtcdError::Compacted));
    restored.ask(2, put("k4".into(), 1)).unwrap();
    assert_eq!(restored.still.heard.last().map(|(_, _, response)| response.revision), Some(1_000_005));
    let names: Vec<_> = restored.still.members[0].store().members().list().iter().map(|m| m.name.to_string()).collect();
    assert_eq!(names, ["m3", "m2", "m1"], "in the order of their identities");
}

#[test]
fn a_watch_that_wants_a_leader_ends_after_three_time_outs_without_one() {
    let mut session = Session::new(3, 2 << 30);
    let watch = |require_leader| {
        let range = KeyRange::Prefix("".into());
        Request::Watch(WatchRequest {
            range,
            start_revision: 0,
            prev_kv: false,
            progress_notify: false,
            require_leader,
        })
    };
    session.ask(2, watch(true)).unwrap();
    session.ask(2, watch(false)).unwrap();
    session.still.tell(session.ms, 0, EtcdEvent::Killed);
    session.still.tell(session.ms, 1, EtcdEvent::Killed);
    session.wait(8_000);
    let ended: Vec<_> = session.still.heard.iter().filter(|(.., r)| r.body == Err(EtcdError::NoLeader)).collect();
    assert_eq!((ended.len(), ended[0].1), (1, 1));
    assert_eq!(session.ask(2, watch(true)), Err(EtcdError::NoLeader));
}

#[test]
fn leases_get_their_full_time_from_a_new_leader() {
    let mut session = Session::new(3, 2 << 30);
    let id = LeaseId(7);
    session.ask(1, Request::LeaseGrant { id, ttl: 5 }).unwrap();
    session.ask(1, Request::Put(Put { lease: id, ..Put::new("a", String::new()) })).unwrap();
    assert!(matches!(session.ask(1, Request::LeaseKeepAlive(id)), Ok(Reply::Lease { ttl: 5, .. })), "passed on");
    session.wait(3_000);
    session.still.tell(session.ms, 0, EtcdEvent::Killed);
    session.wait(5_000);
    assert!(session.still.members[1].store().get("a").is_some(), "alive though 8 s have gone");
    session.wait(5_000);
    assert!(session.still.members[1].store().get("a").is_none());
}

#[test]
fn metrics_tell_what_happened() {
    let mut session = Session::new(3, 2 << 30);
    (0..30).for_each(|n| drop(session.ask(0, put(n.to_string(), 100))));
    let _ = session.status(0);
    let settings = session.still.settings.clone();
    let text = session.still.members[0].metrics_text(&settings);
    for line in [
        "etcd_disk_wal_fsync_duration_seconds_count 30",
        "etcd_mvcc_put_total 30",
        "etcd_server_is_leader 1",
        "etcd_server_proposals_applied_total 38",
        "etcd_server_proposals_committed_total 38",
        "etcd_server_leader_changes_seen_total 0",
        "etcd_debugging_mvcc_keys_total 30",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
    let commits = session.still.members[0].metrics().backend_commit.count();
    assert!((15..=30).contains(&commits), "{commits}");
}

#[test]
fn history_is_forgotten_by_itself() {
    let mut session = Session::new(1, 2 << 30);
    session.still.settings.auto_compaction = AutoCompaction::Periodic(crate::kernel::Duration::from_secs(2));
    for n in 0..6 {
        session.ask(0, put("a".into(), n)).unwrap();
        session.wait(948);
    }
    let get = |revision| RangeRequest { revision, ..RangeRequest::new(KeyRange::Key("a".into())) };
    assert_eq!(session.ask(0, Request::Range(get(3))), Err(EtcdError::Compacted));
    assert!(session.ask(0, Request::Range(get(6))).is_ok());
}
