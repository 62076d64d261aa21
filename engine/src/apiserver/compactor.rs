//! The API server forgets history: every five minutes what is older than the last time.
//!
//! Several API servers share the work through a key: the one whose idea of the key's version is right writes it and compacts, the
//! others learn the version. The first time nothing is compacted, for no revision is remembered yet.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/storage/etcd3/compact.go.

use super::ApiServerEvent;
use super::etcd_client::{COMPACTOR, EtcdClient, Own};
use crate::etcd::{
    Compare, CompareTarget, KeyRange, Op, Put, RangeRequest, Relation, Reply, Request, Response, Stored, Txn,
};
use crate::event::{Effects, EtcdValue, Event};
use crate::kernel::Duration;
use crate::setup::Setup;

/// The key.
pub const KEY: &str = "compact_rev_key";

/// The compactor of a process.
#[derive(Clone, Debug, Default)]
pub struct Compactor {
    /// The version it believes the key to have.
    version: u64,
    /// The revision to compact next.
    revision: u64,
}

impl Compactor {
    /// Plans the next round.
    pub fn plan(&self, server: u8, setup: &Setup, out: &mut Effects) {
        if setup.etcd_compaction_interval > Duration::ZERO {
            out.after(setup.etcd_compaction_interval, Event::ApiServer(server, ApiServerEvent::Compact));
        }
    }

    /// Tries for the key.
    pub fn tick(&self, client: &mut EtcdClient, out: &mut Effects) {
        let target = CompareTarget::Version(self.version);
        let txn = Txn {
            compare: vec![Compare { key: KEY.into(), relation: Relation::Equal, target }],
            success: vec![Op::Put(Put::new(KEY, EtcdValue::text(&self.revision.to_string())))],
            failure: vec![Op::Range(RangeRequest::new(KeyRange::Key(KEY.into())))],
        };
        client.ask(client.own(Own::Lock, COMPACTOR), COMPACTOR, Request::Txn(txn), out);
    }

    /// etcd has answered to that.
    pub fn answered(&mut self, response: Response<EtcdValue>, client: &mut EtcdClient, out: &mut Effects) {
        let Ok(Reply::Txn(txn)) = response.body else { return };
        if txn.succeeded {
            self.version += 1;
            let compact = std::mem::replace(&mut self.revision, response.revision);
            if compact > 0 {
                client.ask(client.own(Own::Compact, COMPACTOR), COMPACTOR, Request::Compact(compact), out);
            }
            return;
        }
        if let Some(Reply::Range(range)) = txn.replies.first()
            && let Some(kv) = range.kvs.first()
        {
            self.version = kv.version;
            let text = Stored::bytes(&kv.value).and_then(|bytes| std::str::from_utf8(bytes).ok());
            // The other's own revision: what it will compact, too.
            self.revision = text.and_then(|text| text.parse().ok()).unwrap_or(0).max(response.revision);
        }
    }
}
