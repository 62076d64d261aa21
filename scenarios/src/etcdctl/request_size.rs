//! The size of a request on the wire, which the client limits.
//!
//! Models: etcd v3.6.13 client/v3/options.go (defaultMaxCallSendMsgSize), Protocol Buffers' encoding.
//! Left out: requests without values, which are small; compares of transactions.

use super::failure::status_text;
use super::{Code, EtcdCall, OpCall, PutCall};

/// Largest request the client sends, [bytes] – constant; etcd: defaultMaxCallSendMsgSize, 2 MiB.
const MAX_REQUEST: u64 = 2 * 1024 * 1024;

/// Refuses a request above `limit` bytes; 0 is the default limit.
pub(crate) fn check_size(call: &EtcdCall, limit: u64) -> Result<(), String> {
    let limit = if limit == 0 { MAX_REQUEST } else { limit };
    let size = match call {
        EtcdCall::Put(put) => put_size(put),
        EtcdCall::Txn(txn) => txn.success.iter().chain(&txn.failure).map(|op| field(field(op_size(op)))).sum(),
        _ => 0,
    };
    match size > limit {
        true => {
            let why = format!("trying to send message larger than max ({size} vs. {limit})");
            Err(status_text(Code::ResourceExhausted, &why))
        }
        false => Ok(()),
    }
}

fn op_size(op: &OpCall) -> u64 {
    match op {
        OpCall::Put(put) => put_size(put),
        OpCall::Range(_) | OpCall::Delete(_) => 0,
    }
}

fn put_size(put: &PutCall) -> u64 {
    let bytes = |bytes: &[u8]| if bytes.is_empty() { 0 } else { field(bytes.len() as u64) };
    let lease = if put.lease == 0 { 0 } else { 1 + varint(put.lease.cast_unsigned()) };
    let flags = [put.prev_kv, put.value.is_none(), put.ignore_lease];
    bytes(&put.key)
        + put.value.as_deref().map_or(0, bytes)
        + lease
        + flags.iter().map(|f| 2 * u64::from(*f)).sum::<u64>()
}

/// A field of `length` bytes: tag, length, content.
fn field(length: u64) -> u64 {
    1 + varint(length) + length
}

fn varint(value: u64) -> u64 {
    u64::from((64 - (value | 1).leading_zeros()).div_ceil(7))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_encoded_message() {
        let put = |length: usize| {
            let value = Some(vec![b'x'; length]);
            EtcdCall::Put(PutCall { key: b"big".to_vec(), value, lease: 0, ignore_lease: false, prev_kv: false })
        };
        let why = check_size(&put(2_200_000), 0).expect_err("too large");
        assert!(why.ends_with("trying to send message larger than max (2200010 vs. 2097152)"), "{why}");
        assert_eq!(check_size(&put(1_600_000), 0), Ok(()));
    }
}
