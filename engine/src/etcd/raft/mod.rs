//! Raft: how several members keep one log although some crash, some are slow and links are cut.
//!
//! Reading order: this file (entries, messages, what is on disk), `log` (one member's entries), `progress` (what a
//! leader knows of the others), `node` (the state of a member and its way from messages to [`Ready`]), then the three
//! parts a member can play: `election`, `leading`, `following`; `pace` is the time of it all.
//!
//! It knows neither keys nor disks nor links: messages, proposals and the present instant go in, and [`Ready`] says
//! what is to be persisted, sent and applied. A member is a number that is never given out twice.
//!
//! Models: raft v3.6 raft.go, log.go, rawnode.go, read_only.go, tracker/. Left out: joint consensus (etcd changes one
//! member at a time), asynchronous storage writes, lease-based reads.

pub mod election;
pub mod following;
pub mod leading;
pub mod log;
pub mod node;
pub mod pace;
pub mod progress;

use std::sync::Arc;

pub use log::Log;
pub use node::{Raft, Ready, Role};
pub use pace::Moment;

/// What an entry carries; to Raft it is some bytes.
pub trait Payload: Clone {
    /// How many.
    fn size(&self) -> usize;
}

/// One entry of the log. Neither change nor data: what a new leader begins its term with.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<P> {
    /// Its place, from 1.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
    /// A change of the members.
    pub change: Option<Change>,
    /// What it tells the state machine.
    pub data: Option<P>,
}

/// A change of who is a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A member that votes; a learner of that number becomes one.
    Voter(u8),
    /// A member that only listens.
    Learner(u8),
    /// One less.
    Remove(u8),
}

/// The members as an index of the log has them, in ascending order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// Those that vote.
    pub voters: Vec<u8>,
    /// Those that only listen.
    pub learners: Vec<u8>,
}

/// A place in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// Index.
    pub index: u64,
    /// Its term.
    pub term: u64,
}

/// What must be on disk before a member answers for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HardState {
    /// The highest term seen.
    pub term: u64,
    /// For whom it voted in that term.
    pub vote: Option<u8>,
    /// The last entry known to be committed.
    pub commit: u64,
}

/// The state machine at some index, instead of the entries that led there.
#[derive(Clone, Debug)]
pub struct Snapshot<S> {
    /// The last entry in it.
    pub mark: Mark,
    /// The members then.
    pub config: Config,
    /// The state.
    pub state: S,
}

/// A message from one member to another.
#[derive(Clone, Debug)]
pub struct Message<P, S> {
    /// The sender's term; that of a vote is the one it asks for.
    pub term: u64,
    /// What it says.
    pub body: Body<P, S>,
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum Body<P, S> {
    /// The leader's entries (MsgApp).
    Append(Box<Append<P>>),
    /// Everything up to `index` is on the sender's disk, or the entries do not fit (MsgAppResp).
    AppendReply {
        /// Last index that matches; of a refusal, the index that was refused.
        index: u64,
        /// Why not, and where the two logs may agree.
        refused: Option<Box<Mark>>,
    },
    /// The leader is there (MsgHeartbeat).
    Heartbeat {
        /// How far the receiver may commit.
        commit: u64,
        /// The last read that waits for the quorum's word; 0 is none.
        context: u64,
        /// No more heartbeats until something disturbs the members; see `pace`.
        rest: bool,
    },
    /// The receiver follows (MsgHeartbeatResp).
    HeartbeatReply {
        /// The heartbeat's.
        context: u64,
    },
    /// Asks for a vote (MsgVote, MsgPreVote).
    Vote(Box<Ballot>),
    /// Grants or denies it.
    VoteReply {
        /// Whether it was only the question before the election.
        pre: bool,
        /// Yes.
        granted: bool,
    },
    /// A follower passes a proposal on (MsgProp).
    Propose {
        /// A change of members.
        change: Option<Change>,
        /// For the state machine.
        data: Option<P>,
    },
    /// A follower asks for the index a read must wait for (MsgReadIndex).
    ReadIndex(u64),
    /// Here it is (MsgReadIndexResp).
    ReadIndexReply {
        /// The question's.
        context: u64,
        /// What must be applied before the read is answered.
        index: u64,
    },
    /// The whole state, for a member the log no longer reaches back to (MsgSnap).
    Snapshot(Arc<Snapshot<S>>),
    /// Start an election now: leadership is handed over (MsgTimeoutNow).
    TimeoutNow,
}

/// Entries for a follower.
#[derive(Clone, Debug)]
pub struct Append<P> {
    /// What must be in front of them.
    pub after: Mark,
    /// How far the leader has committed.
    pub commit: u64,
    /// Whether it wants an answer even if there are no entries.
    pub ask: bool,
    /// The entries, in order.
    pub entries: Arc<[Entry<P>]>,
}

/// Who asks for a vote, and why.
#[derive(Clone, Copy, Debug)]
pub struct Ballot {
    /// The end of the candidate's log.
    pub last: Mark,
    /// Only the question whether an election could be won.
    pub pre: bool,
    /// The leader asked for it, so that leader's lease does not count.
    pub transfer: bool,
}

impl Config {
    /// So many voters, numbered from 0.
    pub fn of(voters: u8) -> Self {
        Config { voters: (0..voters).collect(), learners: Vec::new() }
    }

    /// Whether the number is a member of any kind.
    pub fn contains(&self, member: u8) -> bool {
        self.voters.contains(&member) || self.learners.contains(&member)
    }

    /// All members but one.
    pub fn others(&self, me: u8) -> impl Iterator<Item = u8> + '_ {
        self.voters.iter().chain(&self.learners).copied().filter(move |member| *member != me)
    }

    /// How many voters are a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether the voters for which `yes` holds are a majority.
    pub fn majority(&self, yes: impl Fn(u8) -> bool) -> bool {
        self.voters.iter().filter(|voter| yes(**voter)).count() >= self.quorum()
    }

    /// Makes a change.
    pub fn apply(&mut self, change: Change) {
        let (Change::Voter(member) | Change::Learner(member) | Change::Remove(member)) = change;
        let was_voter = self.voters.contains(&member);
        self.learners.retain(|other| *other != member);
        match change {
            Change::Voter(_) if !was_voter => self.voters.push(member),
            Change::Learner(_) if !was_voter => self.learners.push(member),
            Change::Remove(_) => self.voters.retain(|other| *other != member),
            _ => {}
        }
        self.voters.sort_unstable();
        self.learners.sort_unstable();
    }
}

impl<P: Payload> Entry<P> {
    /// Bytes in the log.
    pub fn size(&self) -> usize {
        FRAME + self.data.as_ref().map_or(0, Payload::size)
    }
}

/// What the frame of an entry adds in log and messages. [bytes] – estimate.
const FRAME: usize = 12;

impl<P, S> Message<P, S> {
    /// Bytes on the wire; those of a snapshot are its state's and not counted.
    pub fn size(&self) -> usize
    where
        P: Payload,
    {
        match &self.body {
            Body::Append(append) => 40 + append.entries.iter().map(Entry::size).sum::<usize>(),
            Body::Propose { data, .. } => 40 + data.as_ref().map_or(0, Payload::size),
            _ => 40,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learner_becomes_a_voter_and_a_voter_no_learner() {
        let mut config = Config::of(3);
        config.apply(Change::Learner(7));
        assert!(config.contains(7) && config.quorum() == 2);
        config.apply(Change::Voter(7));
        assert_eq!((config.voters.len(), config.learners.len(), config.quorum()), (4, 0, 3));
        config.apply(Change::Learner(0));
        assert!(config.voters.contains(&0));
        config.apply(Change::Remove(0));
        assert_eq!(config.voters, [1, 2, 7]);
    }

    #[test]
    fn a_message_is_small() {
        assert!(size_of::<Message<Arc<u64>, Arc<u64>>>() <= 40, "{}", size_of::<Message<Arc<u64>, Arc<u64>>>());
    }
}
