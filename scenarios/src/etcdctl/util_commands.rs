//! etcdutl: `snapshot status|restore`, `hashkv`, `defrag`.
//!
//! Models: etcd v3.6.13 etcdutl/etcdutl/snapshot_command.go, defrag_command.go, hashkv_command.go,
//! etcdutl/snapshot/v3_snapshot.go, server/config/config.go (VerifyBootstrap). Left out: checks of URLs, `--wal-dir`.

use super::commands::display;
use super::failure::{ERROR, Failure};
use super::flags::Kind::{Bool, Text, Uint};
use super::flags::{Flag, Parsed, flag, parse_uint};
use super::print;
use super::print::quote::quoted;
use super::session::{Session, Step, out_of_order};
use super::{FileCall, FileError, FileReply, Restore};

const SECOND: u64 = 1_000_000_000;

pub(crate) const RESTORE_FLAGS: &[Flag] = &[
    flag("bump-revision", Uint, "0", "How much to increase the latest revision after restore"),
    flag("data-dir", Text, "", "Path to the output data directory"),
    flag(
        "initial-advertise-peer-urls",
        Text,
        "http://localhost:2380",
        "List of this member's peer URLs to advertise to the rest of the cluster",
    ),
    flag(
        "initial-cluster",
        Text,
        "default=http://localhost:2380",
        "Initial cluster configuration for restore bootstrap",
    ),
    flag(
        "initial-cluster-token",
        Text,
        "etcd-cluster",
        "Initial cluster token for the etcd cluster during restore bootstrap",
    ),
    flag(
        "mark-compacted",
        Bool,
        "false",
        "Mark the latest revision after restore as the point of scheduled compaction (required if --bump-revision > 0, \
         disallowed otherwise)",
    ),
    flag("name", Text, "default", "Human-readable name for this member"),
    flag(
        "skip-hash-check",
        Bool,
        "false",
        "Ignore snapshot integrity hash value (required if copied from data directory)",
    ),
    flag("wal-dir", Text, "", "Path to the WAL directory (use --data-dir if none given)"),
];

/// `etcdutl snapshot status FILE`
pub(crate) fn snapshot_status(s: &mut Session, line: &Parsed) -> Step<()> {
    let [path] = line.args.as_slice() else {
        return Err(Failure::arguments("snapshot status requires exactly one argument").into());
    };
    display(s)?;
    match s.file(FileCall::SnapshotStatus { path: path.clone() })? {
        Ok(FileReply::SnapshotStatus(status)) => print::snapshot::status(s, status),
        Ok(_) => Err(out_of_order()),
        Err(why) => Err(failure(why, "stat", path).into()),
    }
}

/// `etcdutl snapshot restore FILE`
pub(crate) fn snapshot_restore(s: &mut Session, line: &Parsed) -> Step<()> {
    let [path] = line.args.as_slice() else {
        return Err(Failure::arguments("snapshot restore requires exactly one argument").into());
    };
    let bump_revision = parse_uint(line.text("bump-revision"), 0).unwrap_or(0);
    let mark_compacted = line.on("mark-compacted");
    if (bump_revision > 0) != mark_compacted {
        return Err(Failure::arguments("--mark-compacted required if --revision-bump > 0").into());
    }
    let name = line.text("name").to_string();
    let data_dir = match line.text("data-dir") {
        "" => format!("{name}.etcd"),
        dir => dir.to_string(),
    };
    let pairs = line.text("initial-cluster").split(',').filter(|part| !part.is_empty());
    let restore = Restore {
        path: path.clone(),
        initial_cluster: pairs
            .map(|part| part.split_once('=').map_or((String::new(), part.into()), |(n, url)| (n.into(), url.into())))
            .collect(),
        token: line.text("initial-cluster-token").into(),
        peer_urls: line.text("initial-advertise-peer-urls").split(',').map(str::to_string).collect(),
        skip_hash_check: line.on("skip-hash-check"),
        bump_revision,
        mark_compacted,
        name,
        data_dir,
    };
    verify_bootstrap(&restore).map_err(|why| Failure::new(ERROR, why))?;
    let data_dir = restore.data_dir.clone();
    match s.file(FileCall::SnapshotRestore(restore))? {
        Ok(FileReply::Done) => Ok(()),
        Ok(_) => Err(out_of_order()),
        Err(FileError::NotEmpty) => {
            let why = format!("data-dir {} not empty or could not be read", quoted(&data_dir));
            Err(Failure::new(ERROR, why).into())
        }
        Err(why) => Err(failure(why, "open", path).into()),
    }
}

/// The new member must be named in the initial cluster, with the peer URLs it will tell.
fn verify_bootstrap(restore: &Restore) -> Result<(), String> {
    let named: Vec<&String> =
        restore.initial_cluster.iter().filter(|(n, _)| *n == restore.name).map(|(_, url)| url).collect();
    if named.is_empty() {
        return Err(format!("couldn't find local name {} in the initial cluster configuration", quoted(&restore.name)));
    }
    let shown = |name: &str, url: &str| format!("{name}={url}");
    if let Some(url) = named.iter().find(|url| !restore.peer_urls.contains(url)) {
        return Err(format!(
            "--initial-cluster has {} but missing from --initial-advertise-peer-urls={}",
            shown(&restore.name, url),
            restore.peer_urls.join(",")
        ));
    }
    if let Some(url) = restore.peer_urls.iter().find(|url| !named.contains(url)) {
        return Err(format!(
            "--initial-advertise-peer-urls has {url} but missing from --initial-cluster={}",
            restore.initial_cluster.iter().map(|(n, url)| shown(n, url)).collect::<Vec<_>>().join(",")
        ));
    }
    Ok(())
}

/// `etcdutl hashkv FILE`
pub(crate) fn hashkv(s: &mut Session, line: &Parsed) -> Step<()> {
    let [path] = line.args.as_slice() else {
        return Err(Failure::new(ERROR, format!("accepts 1 arg(s), received {}", line.args.len())).into());
    };
    display(s)?;
    match s.file(FileCall::HashKv { path: path.clone(), revision: line.integer("rev") })? {
        Ok(FileReply::HashKv(hash)) => print::snapshot::hashkv(s, hash),
        Ok(_) => Err(out_of_order()),
        Err(why) => Err(failure(why, "stat", path).into()),
    }
}

/// `etcdutl defrag --data-dir DIR`: waits while a running member holds the database.
pub(crate) fn defrag(s: &mut Session, line: &Parsed) -> Step<()> {
    let data_dir = line.text("data-dir");
    if data_dir.is_empty() {
        return Err(Failure::new(ERROR, "required flag(s) \"data-dir\" not set").into());
    }
    let database = format!("{}/member/snap/db", data_dir.trim_end_matches('/'));
    let mut waiting = false;
    loop {
        match s.file(FileCall::Defragment { data_dir: data_dir.into() })? {
            Ok(_) => return Ok(()),
            Err(FileError::Locked) => {
                s.sleep(SECOND)?;
                if !waiting {
                    s.error(&format!(
                        "waiting for etcd to close and release its lock on {}. To defrag a running etcd instance, use \
                         `etcdctl defrag` instead.\n",
                        quoted(&database)
                    ));
                }
                waiting = true;
            }
            Err(why) => {
                let why = failure(why, "open", &database).text;
                let why = why.trim_start_matches("Error: ").trim_end();
                let text = format!("failed to defragment etcd data[{data_dir}] ({why})");
                return Err(Failure::new(ERROR, text).into());
            }
        }
    }
}

fn failure(why: &FileError, doing: &str, path: &str) -> Failure {
    let text = match why {
        FileError::NotFound => format!("{doing} {path}: no such file or directory"),
        FileError::NotEmpty => format!("{path} not empty"),
        FileError::NoHash => "snapshot missing hash but --skip-hash-check=false".into(),
        FileError::Locked => "timeout".into(),
        FileError::Other(text) => text.clone(),
    };
    Failure::new(ERROR, text)
}
