//! Answers of the key-value store, and what a watch tells.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/printer_simple.go, printer_fields.go, printer_json.go.

use super::bytes::hex;
use super::header_fields;
use super::json::{self, Object, array};
use super::quote::quoted_bytes;
use crate::etcdctl::commands::Format;
use crate::etcdctl::failure::Failure;
use crate::etcdctl::session::{Session, Step, out_of_order};
use crate::etcdctl::{DeleteReply, Header, KeyValue, OpReply, RangeReply, Reply, Response, WatchEvent, WatchResponse};

/// Prints the answer to get, put, del, txn.
pub(crate) fn response(s: &mut Session, response: &Response, value_only: bool) -> Step<()> {
    let header = &response.header;
    let (op, txn) = match &response.reply {
        Reply::Range(range) => (Some(Op::Range(range)), None),
        Reply::Put(prev) => (Some(Op::Put(prev.as_ref())), None),
        Reply::DeleteRange(delete) => (Some(Op::Delete(delete)), None),
        Reply::Txn { succeeded, responses } => (None, Some((*succeeded, responses))),
        _ => return Err(out_of_order()),
    };
    let simple = Simple { hex: s.settings.hex, value_only };
    let ops = txn.iter().flat_map(|(_, responses)| responses.iter().map(Op::of));
    let text = match (s.settings.format, op, txn) {
        (Format::Simple, Some(op), _) => simple.op(op),
        (Format::Simple, None, Some((succeeded, _))) => {
            let first = if succeeded { "SUCCESS\n" } else { "FAILURE\n" };
            ops.fold(first.to_string(), |text, op| text + "\n" + &*simple.op(op))
        }
        (Format::Json, Some(op), _) => json_op(op, &json::header(header, false)) + "\n",
        (Format::Json, None, Some((succeeded, _))) => {
            // Operations have a header with nothing but the revision.
            let inner = json::header(&Header { revision: header.revision, ..Header::default() }, false);
            let wrapped = ops.map(|op| {
                let one = Object::default().raw(op.name(), &json_op(op, &inner)).end();
                Object::default().raw("Response", &one).end()
            });
            let outer = Object::default().raw("header", &json::header(header, false));
            outer.truth("succeeded", succeeded).list("responses", wrapped).end() + "\n"
        }
        (Format::Fields, Some(op), _) => fields_op(op, header),
        (Format::Fields, None, Some((succeeded, _))) => {
            let inner = Header { revision: header.revision, ..Header::default() };
            let first = format!("{}\"Succeeded\" : {succeeded}\n", header_fields(header));
            ops.fold(first, |text, op| text + &*fields_op(op, &inner))
        }
        (Format::Table, ..) => return Err(Failure::unsupported("table").into()),
        _ => return Err(Failure::unsupported("protobuf").into()),
    };
    s.print(&text);
    Ok(())
}

/// Prints a response of a watch.
pub(crate) fn watched(s: &mut Session, response: &WatchResponse) -> Step<()> {
    let simple = Simple { hex: s.settings.hex, value_only: false };
    let kind = |event: &WatchEvent| if event.delete { "DELETE" } else { "PUT" };
    let text = match s.settings.format {
        Format::Simple => response.events.iter().fold(String::new(), |text, event| {
            let prev = event.prev_kv.as_ref().map_or(String::new(), |kv| simple.kv(kv));
            text + kind(event) + "\n" + &*prev + &*simple.kv(&event.kv)
        }),
        Format::Json => {
            let events = array(response.events.iter().map(|event| {
                let object = Object::default().number("type", i32::from(event.delete));
                let object = object.raw("kv", &json::key_value(&event.kv));
                event.prev_kv.iter().fold(object, |o, kv| o.raw("prev_kv", &json::key_value(kv))).end()
            }));
            Object::default()
                .raw("Header", &json::header(&response.header, false))
                .raw("Events", if response.canceled { "null" } else { &events })
                .raw("CompactRevision", &response.compact_revision.to_string())
                .raw("Canceled", &response.canceled.to_string())
                .raw("Created", "false")
                .end()
                + "\n"
        }
        Format::Fields => response.events.iter().fold(header_fields(&response.header), |text, event| {
            let prev = event.prev_kv.as_ref().map_or(String::new(), |kv| fields_kv("Prev", kv));
            text + &*format!("\"Type\" : {}\n", kind(event)) + &*prev + &*fields_kv("", &event.kv)
        }),
        Format::Table => return Err(Failure::unsupported("table").into()),
        Format::Protobuf => return Err(Failure::unsupported("protobuf").into()),
    };
    s.print(&text);
    Ok(())
}

#[derive(Clone, Copy)]
enum Op<'a> {
    Range(&'a RangeReply),
    Put(Option<&'a KeyValue>),
    Delete(&'a DeleteReply),
}

impl<'a> Op<'a> {
    fn of(reply: &'a OpReply) -> Self {
        match reply {
            OpReply::Range(range) => Op::Range(range),
            OpReply::Put(prev) => Op::Put(prev.as_ref()),
            OpReply::Delete(delete) => Op::Delete(delete),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Op::Range(_) => "response_range",
            Op::Put(_) => "response_put",
            Op::Delete(_) => "response_delete_range",
        }
    }
}

struct Simple {
    hex: bool,
    value_only: bool,
}

impl Simple {
    fn op(&self, op: Op) -> String {
        match op {
            Op::Range(range) => range.kvs.iter().map(|kv| self.kv(kv)).collect(),
            Op::Put(prev) => "OK\n".to_string() + &*prev.map_or(String::new(), |kv| self.kv(kv)),
            Op::Delete(delete) => {
                delete.prev_kvs.iter().fold(format!("{}\n", delete.deleted), |text, kv| text + &*self.kv(kv))
            }
        }
    }

    fn kv(&self, kv: &KeyValue) -> String {
        let shown = |bytes: &[u8]| if self.hex { hex(bytes) } else { String::from_utf8_lossy(bytes).into_owned() };
        let key = if self.value_only { String::new() } else { shown(&kv.key) + "\n" };
        key + &*shown(&kv.value) + "\n"
    }
}

fn json_op(op: Op, header: &str) -> String {
    let object = Object::default().raw("header", header);
    let object = match op {
        Op::Range(range) => object
            .list("kvs", range.kvs.iter().map(json::key_value))
            .truth("more", range.more)
            .number("count", range.count),
        Op::Put(prev) => prev.iter().fold(object, |object, kv| object.raw("prev_kv", &json::key_value(kv))),
        Op::Delete(delete) => {
            object.number("deleted", delete.deleted).list("prev_kvs", delete.prev_kvs.iter().map(json::key_value))
        }
    };
    object.end()
}

fn fields_op(op: Op, header: &Header) -> String {
    let mut text = header_fields(header);
    match op {
        Op::Range(range) => {
            range.kvs.iter().for_each(|kv| text.push_str(&fields_kv("", kv)));
            text.push_str(&format!("\"More\" : {}\n\"Count\" : {}\n", range.more, range.count));
        }
        Op::Put(prev) => prev.iter().for_each(|kv| text.push_str(&fields_kv("Prev", kv))),
        Op::Delete(delete) => {
            text.push_str(&format!("\"Deleted\" : {}\n", delete.deleted));
            delete.prev_kvs.iter().for_each(|kv| text.push_str(&fields_kv("Prev", kv)));
        }
    }
    text
}

fn fields_kv(prefix: &str, kv: &KeyValue) -> String {
    format!(
        "\"{prefix}Key\" : {}\n\"{prefix}CreateRevision\" : {}\n\"{prefix}ModRevision\" : {}\n\
         \"{prefix}Version\" : {}\n\"{prefix}Value\" : {}\n\"{prefix}Lease\" : {}\n",
        quoted_bytes(&kv.key),
        kv.create_revision,
        kv.mod_revision,
        kv.version,
        quoted_bytes(&kv.value),
        kv.lease
    )
}
