//! Answers of etcdutl.
//!
//! Models: etcd v3.6.13 etcdutl/etcdutl/printer*.go.

use super::bytes::size;
use super::json::{Object, string};
use super::table::table;
use crate::etcdctl::commands::Format;
use crate::etcdctl::failure::Failure;
use crate::etcdctl::session::{Session, Step};
use crate::etcdctl::{HashKv, SnapshotStatus};

/// `etcdutl snapshot status`
pub(crate) fn status(s: &mut Session, status: &SnapshotStatus) -> Step<()> {
    let row = vec![
        format!("{:x}", status.hash),
        status.revision.to_string(),
        status.total_key.to_string(),
        size(status.total_size),
        status.version.clone(),
    ];
    let text = match s.settings.format {
        Format::Simple => row.join(", ") + "\n",
        Format::Table => table(&["hash", "revision", "total keys", "total size", "version"], &[row]),
        Format::Json => {
            Object::default()
                .raw("hash", &status.hash.to_string())
                .raw("revision", &status.revision.to_string())
                .raw("totalKey", &status.total_key.to_string())
                .raw("totalSize", &status.total_size.to_string())
                .raw("version", &string(&status.version))
                .end()
                + "\n"
        }
        Format::Fields => format!(
            "\"Hash\" : {}\n\"Revision\" : {}\n\"Keys\" : {}\n\"Size\" : {}\n\"Version\" : {}\n",
            status.hash, status.revision, status.total_key, status.total_size, status.version
        ),
        Format::Protobuf => return Err(Failure::unsupported("protobuf").into()),
    };
    s.print(&text);
    Ok(())
}

/// `etcdutl hashkv`
pub(crate) fn hashkv(s: &mut Session, hash: &HashKv) -> Step<()> {
    let row = vec![hash.hash.to_string(), hash.hash_revision.to_string(), hash.compact_revision.to_string()];
    let text = match s.settings.format {
        Format::Simple => row.join(", ") + "\n",
        Format::Table => table(&["hash", "hash revision", "compact revision"], &[row]),
        Format::Json => format!(
            "{{\"hash\":{},\"hashRevision\":{},\"compactRevision\":{}}}\n",
            hash.hash, hash.hash_revision, hash.compact_revision
        ),
        Format::Fields => format!(
            "\"Hash\" : {}\n\"Hash revision\" : {}\n\"Compact revision\" : {}\n",
            hash.hash, hash.hash_revision, hash.compact_revision
        ),
        Format::Protobuf => return Err(Failure::unsupported("protobuf").into()),
    };
    s.print(&text);
    Ok(())
}
