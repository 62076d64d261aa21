//! etcd's history: every member applies the same changes, what is acknowledged is among them, and each object's versions follow the rules.
//!
//! Always: a revision means the same on every member, for ever. What an API server has told its watchers was applied, and each
//! server tells of a kind in the order of revisions. An object's resourceVersion is its revision; its uid, creation time and the revision of its creation stay
//! while it lives; its generation does not go back; a deletion is not taken back; nothing with a finalizer goes without having been
//! deleted first; a finished pod, unless it mirrors a static one, does not begin again; a pod that is bound stays on its node.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::client::Agent;
use wavetank_engine::etcd::KeyEvent;
use wavetank_engine::event::EtcdValue;
use wavetank_engine::kernel::hash_words;
use wavetank_engine::kernel::random::{hash_bytes, mix};
use wavetank_engine::objects::{Key, Kind, Object};
use wavetank_engine::trace::{Record, What};

use super::{Broken, Held, Stored};

/// A change that is new.
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) before: Option<Arc<Object>>,
    pub(super) now: Option<Arc<Object>>,
}

impl Change {
    /// The object's kind and key, if it is one.
    pub(super) fn object(&self) -> Option<(Kind, Key)> {
        let object = self.now.as_ref().or(self.before.as_ref())?;
        Some((object.kind(), object.key()))
    }
}

pub(super) struct History {
    /// Up to which revision each member has been looked at.
    seen: Vec<u64>,
    /// What each revision is, from the beginning on.
    chain: BTreeMap<u64, u64>,
    furthest: u64,
    beginning: u64,
    /// The last revision each API server told of each kind.
    told: BTreeMap<(u8, Kind), u64>,
}

impl History {
    pub(super) fn new(world: &World) -> Self {
        let seen: Vec<u64> = world.etcd().iter().map(|member| member.store().revision()).collect();
        let furthest = seen.iter().copied().max().unwrap_or(0);
        History { seen, chain: BTreeMap::new(), furthest, beginning: furthest, told: BTreeMap::new() }
    }

    pub(super) fn furthest(&self) -> u64 {
        self.furthest
    }

    /// Whether some member has applied something.
    pub(super) fn moved(&self, world: &World) -> bool {
        world.etcd().iter().zip(&self.seen).any(|(member, seen)| member.store().revision() != *seen)
    }

    /// What the members have applied since, once: by whom it was first.
    pub(super) fn advance(&mut self, world: &World) -> Result<Vec<Change>, Broken> {
        let mut new = Vec::new();
        for (number, member) in world.etcd().iter().enumerate() {
            let (store, Some(seen)) = (member.store(), self.seen.get_mut(number)) else { continue };
            let revision = store.revision();
            if revision == *seen {
                continue;
            }
            // A member that starts again begins where its database ends, and applies the rest once more.
            let from = if revision < *seen { revision } else { *seen };
            *seen = revision;
            let mut events = store.events_from(from.max(self.beginning) + 1).peekable();
            while let Some(first) = events.peek().map(|event| event.revision) {
                let mut hash = mix(first);
                while let Some(event) = events.next_if(|event| event.revision == first) {
                    hash = hash_words(&[hash, digest(event)]);
                    if first > self.furthest {
                        let object = |kv: &Option<_>| value(kv);
                        new.push(Change { revision: first, before: object(&event.prev_kv), now: object(&event.kv) });
                    }
                }
                let known = *self.chain.entry(first).or_insert(hash);
                if known != hash {
                    let text = format!("etcd-{number} applied something else at revision {first} than others");
                    return Err(Broken::new("etcd's members agree", format!("etcd-{number}"), text));
                }
            }
            self.furthest = self.furthest.max(revision);
        }
        Ok(new)
    }

    /// What an API server says was committed is in the history, and is told in order.
    pub(super) fn record(&mut self, record: &Record) -> Held {
        match (&record.note.what, record.note.by, &record.note.object) {
            (What::Committed { revision, .. }, Agent::ApiServer(server), Some((kind, key))) => {
                let known = *revision <= self.beginning || self.chain.contains_key(revision);
                if !known || *revision > self.furthest {
                    let text = format!("revision {revision} was acknowledged, and no member has it");
                    return Err(Broken::new("no acknowledged write is lost", key, text));
                }
                let told = self.told.entry((server, *kind)).or_insert(0);
                if *revision < *told {
                    let text = format!("revision {revision} of {kind:?} comes after {told}");
                    return Err(Broken::new("watches keep the order", key, text));
                }
                *told = *revision;
                Ok(())
            }
            (What::Started | What::Ended { .. }, Agent::ApiServer(server), _) => {
                self.told.retain(|(of, _), _| *of != server);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn value(kv: &Option<Arc<wavetank_engine::etcd::KeyValue<EtcdValue>>>) -> Option<Arc<Object>> {
    kv.as_ref().and_then(|kv| kv.value.object().cloned())
}

fn digest(event: &KeyEvent<EtcdValue>) -> u64 {
    let kv = event.kv.as_deref();
    let numbers = kv.map_or([0; 3], |kv| [kv.create_revision, kv.version, kv.mod_revision]);
    let uid = kv.and_then(|kv| kv.value.object()).map_or(0, |object| object.meta().uid.0 as u64);
    hash_words(&[hash_bytes(event.key.as_bytes()), numbers[0], numbers[1], numbers[2], uid])
}

/// What a new version of an object may change.
pub(super) fn rules(change: &Stored<'_>, revision: u64) -> Held {
    let broken = |text: String| {
        let object = format!("{:?} {}", change.kind, change.key);
        Err(Broken::new("versions follow the rules", object, format!("{text} at revision {revision}")))
    };
    let Some(now) = change.now else {
        let Some(before) = change.before else { return Ok(()) };
        let meta = before.meta();
        if !meta.finalizers.is_empty() && !meta.deleting() {
            return broken(format!("it went with the finalizers {:?} without having been deleted", meta.finalizers));
        }
        return Ok(());
    };
    let meta = now.meta();
    if meta.resource_version != revision {
        return broken(format!("its resourceVersion is {}", meta.resource_version));
    }
    let Some(before) = change.before else { return Ok(()) };
    let old = before.meta();
    if meta.uid != old.uid || meta.created != old.created {
        return broken("its uid or its time of creation changed".to_owned());
    }
    if meta.generation < old.generation {
        return broken(format!("its generation went from {} to {}", old.generation, meta.generation));
    }
    if old.deleting() && !meta.deleting() {
        return broken("its deletion was taken back".to_owned());
    }
    let (Some(pod), Some(was)) = (now.as_pod(), before.as_pod()) else { return Ok(()) };
    if was.node.is_some() && pod.node != was.node {
        return broken(format!("its node went from {:?} to {:?}", was.node, pod.node));
    }
    // A mirror shows a static pod, which runs anew after a boot; its kubelet reads no status of it.
    let mirror = meta.annotation("kubernetes.io/config.mirror").is_some();
    if !mirror && was.status.phase.terminal() && pod.status.phase != was.status.phase {
        return broken(format!("its phase went from {:?} to {:?}", was.status.phase, pod.status.phase));
    }
    Ok(())
}
