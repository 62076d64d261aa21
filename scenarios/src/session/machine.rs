//! The machine that operators of etcd sit at: its files and the members' data directories. All of it is virtual.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::etcd::{Formation, Image, Member, MemberInfo, RestoreOptions};
use wavetank_engine::event::EtcdValue;
use wavetank_engine::kernel::Duration;

use super::etcd_terms::{hash_kv, signed};
use crate::etcdctl::{FileCall, FileError, FileReply, Restore, SnapshotStatus};

/// Files and data directories.
#[derive(Clone, Default)]
pub struct Machine {
    files: BTreeMap<String, File>,
    directories: BTreeMap<String, Directory>,
}

#[derive(Clone)]
enum File {
    Text(Arc<str>),
    /// A database file, and whether the hash that `snapshot save` appends is there.
    Database(Arc<Image<EtcdValue>>, bool),
}

/// What a data directory holds.
#[derive(Clone)]
enum Directory {
    /// The data of the cluster's member of that number.
    Of(u8),
    /// That of a member which is not (or no longer) part of the run.
    Apart(Box<Member<EtcdValue>>),
}

/// A snapshot that came from a member.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) image: Arc<Image<EtcdValue>>,
}

/// Where the database lies in a data directory.
const DATABASE: &str = "/member/snap/db";

impl Machine {
    /// The machine of a cluster: each member has its data in `NAME.etcd`.
    pub(super) fn new(formation: &Formation) -> Self {
        let numbered = formation.members.iter().zip(0..);
        let directories =
            numbered.map(|((name, ..), number)| (format!("{name}.etcd"), Directory::Of(number))).collect();
        Machine { files: BTreeMap::new(), directories }
    }

    /// A text file's content.
    pub fn read(&self, path: &str) -> Option<&str> {
        match self.files.get(path) {
            Some(File::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Writes a text file.
    pub fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), File::Text(text.into()));
    }

    /// Copies a file; false if there is none.
    pub fn copy(&mut self, from: &str, to: &str, world: &World) -> bool {
        let copy = match (self.files.get(from), self.database(from, world)) {
            (Some(file), _) => file.clone(),
            (None, Some((image, hashed))) => File::Database(image, hashed),
            (None, None) => return false,
        };
        self.files.insert(to.to_owned(), copy);
        true
    }

    /// Removes a file, or a data directory with all that is in it; false if there is neither.
    pub fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some() | self.directories.remove(path.trim_end_matches('/')).is_some()
    }

    pub(super) fn receive(&mut self, received: Received) {
        self.files.insert(received.path, File::Database(received.image, true));
    }

    /// The database at a path: a snapshot, or the one in a data directory.
    fn database(&self, path: &str, world: &World) -> Option<(Arc<Image<EtcdValue>>, bool)> {
        if let Some(File::Database(image, hashed)) = self.files.get(path) {
            return Some((image.clone(), *hashed));
        }
        let image = match self.directories.get(path.strip_suffix(DATABASE)?)? {
            Directory::Of(number) => world.etcd().get(usize::from(*number))?.image(),
            Directory::Apart(member) => member.image(),
        };
        Some((Arc::new(image), false))
    }

    /// Does etcdutl's work; the answer comes with the time it takes.
    pub(super) fn work(&mut self, call: &FileCall, world: &mut World) -> (Result<FileReply, FileError>, Duration) {
        let mut took = Duration::ZERO;
        let result = match call {
            FileCall::SnapshotStatus { path } => {
                self.database(path, world).ok_or(FileError::NotFound).map(|(image, _)| {
                    let status = image.status();
                    FileReply::SnapshotStatus(SnapshotStatus {
                        hash: status.hash,
                        revision: signed(status.revision),
                        total_key: signed(status.keys),
                        total_size: signed(status.size),
                        version: "3.6.0".into(),
                    })
                })
            }
            FileCall::HashKv { path, revision } => {
                let database = self.database(path, world).ok_or(FileError::NotFound);
                let revision = u64::try_from(*revision).unwrap_or(0);
                database.map(|(image, _)| FileReply::HashKv(hash_kv(image.store.hash_kv(revision))))
            }
            FileCall::Defragment { data_dir } => self.defragment(data_dir, world, &mut took),
            FileCall::SnapshotRestore(restore) => self.restore(restore, world, &mut took),
        };
        (result, took)
    }

    fn defragment(&mut self, dir: &str, world: &mut World, took: &mut Duration) -> Result<FileReply, FileError> {
        let (now, setup) = (world.now(), world.setup().clone());
        let member = match self.directories.get_mut(dir.trim_end_matches('/')).ok_or(FileError::NotFound)? {
            Directory::Of(number) => world.etcd_stopped(*number).ok_or(FileError::Locked)?,
            Directory::Apart(member) => member,
        };
        *took = member.defragment_offline(now, setup.seed, &setup.profile.etcd);
        Ok(FileReply::Done)
    }

    fn restore(&mut self, restore: &Restore, world: &World, took: &mut Duration) -> Result<FileReply, FileError> {
        let (image, hashed) = self.database(&restore.path, world).ok_or(FileError::NotFound)?;
        let dir = restore.data_dir.trim_end_matches('/');
        if self.directories.contains_key(dir) {
            return Err(FileError::NotEmpty);
        }
        if !hashed && !restore.skip_hash_check {
            return Err(FileError::NoHash);
        }
        let setup = world.setup();
        let founder = |(name, peer): &(String, String)| {
            let client = client_url(name, peer, &setup.formation);
            (name.as_str().into(), peer.as_str().into(), client)
        };
        let formation = Formation {
            token: restore.token.as_str().into(),
            members: restore.initial_cluster.iter().map(founder).collect(),
            first_leader: 0,
        };
        let place = restore.initial_cluster.iter().position(|(name, _)| *name == restore.name);
        let number = place.and_then(|place| u8::try_from(place).ok()).ok_or(FileError::NotFound)?;
        let options = RestoreOptions { bump_revision: restore.bump_revision, mark_compacted: restore.mark_compacted };
        let member = Member::restored(number, &formation, &image, options, setup.seed, &setup.profile.etcd);
        *took = setup.profile.etcd.costs.snapshot_per_mib.fraction(image.status().size, 1 << 20);
        self.directories.insert(dir.to_owned(), Directory::Apart(Box::new(member)));
        Ok(FileReply::Done)
    }

    /// Puts a data directory to use: the number of the member that is to be started on it. The error says why not.
    pub(super) fn install(&mut self, dir: &str, world: &mut World) -> Result<u8, String> {
        let dir = dir.trim_end_matches('/');
        let known: Vec<&str> = self.directories.keys().map(String::as_str).collect();
        let member = match self.directories.get(dir) {
            None => return Err(format!("there is no data directory `{dir}`; there are {}", known.join(", "))),
            Some(Directory::Of(number)) => return Ok(*number),
            Some(Directory::Apart(member)) => (**member).clone(),
        };
        let number = member.number();
        let before = world
            .replace_etcd_member(member)
            .map_err(|_| format!("member {number} still runs, and would listen where the new one does"))?;
        let of_before = self.directories.values_mut().find(|of| matches!(of, Directory::Of(n) if *n == number));
        if let (Some(place), Some(before)) = (of_before, before) {
            *place = Directory::Apart(Box::new(before));
        }
        self.directories.insert(dir.to_owned(), Directory::Of(number));
        Ok(number)
    }

    /// Says that a member's data is in `NAME.etcd`.
    pub(super) fn joined(&mut self, name: &str, number: u8) {
        self.directories.insert(format!("{name}.etcd"), Directory::Of(number));
    }
}

/// Where clients will reach a member that is named by where its peers do: as before, or at the port below, which is how etcd's own
/// defaults lie.
pub(super) fn client_url(name: &str, peer: &str, formation: &Formation) -> Arc<str> {
    if let Some((.., client)) = formation.members.iter().find(|(known, at, _)| &**known == name && &**at == peer) {
        return client.clone();
    }
    let lower = peer.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u32>().ok()?.checked_sub(1)?)));
    lower.map_or_else(|| peer.into(), |(host, port)| format!("{host}:{port}").into())
}

/// The member that listens at an endpoint as a user writes it, or did before it died.
pub(super) fn listener(endpoint: &str, world: &World) -> Option<u8> {
    let members = world.etcd().iter().rev();
    let at: Vec<&Member<EtcdValue>> = members.filter(|member| listens(member.client_urls(), endpoint)).collect();
    let running = at.iter().find(|member| member.running());
    running.or(at.first()).map(|member| member.number())
}

fn listens(urls: &str, endpoint: &str) -> bool {
    urls.split(',').any(|url| address(url) == address(endpoint))
}

/// Whether it is encrypted, and host and port; `localhost` is 127.0.0.1.
fn address(url: &str) -> (bool, String) {
    let (secure, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme == "https", rest),
        None => (false, url),
    };
    let rest = rest.trim_end_matches('/');
    (secure, rest.strip_prefix("localhost:").map_or_else(|| rest.to_owned(), |port| format!("127.0.0.1:{port}")))
}

/// The member that was added with these peer URLs and has not started, if there is one.
pub(super) fn awaited(peer: &str, world: &World) -> Option<MemberInfo> {
    let ahead = world.etcd().iter().filter(|member| member.running()).max_by_key(|member| member.applied_index())?;
    ahead.store().members().list().into_iter().find(|member| !member.started() && &*member.peer_urls == peer)
}
