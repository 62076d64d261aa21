//! How answers are printed: simple lines, JSON, fields, tables.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/printer*.go. Left out: protobuf.

pub(crate) mod bytes;
pub(crate) mod cluster;
pub(crate) mod duration;
pub(crate) mod endpoint;
pub(crate) mod json;
pub(crate) mod kv;
pub(crate) mod lease;
pub(crate) mod quote;
pub(crate) mod snapshot;
pub(crate) mod table;

use super::Header;

/// The four lines a `-w fields` answer begins with.
fn header_fields(header: &Header) -> String {
    format!(
        "\"ClusterID\" : {}\n\"MemberID\" : {}\n\"Revision\" : {}\n\"RaftTerm\" : {}\n",
        header.cluster_id, header.member_id, header.revision, header.raft_term
    )
}
