//! JSON as Go's encoding/json writes structs: fields in the order of their declaration, most zero values left out.
//!
//! Models: Go encoding/json; etcd v3.6.13 api/etcdserverpb/rpc.pb.go (field order), printer_json.go (`--hex`).

use super::bytes::base64;
use crate::etcdctl::{Header, KeyValue, Member};

/// An object being written.
#[derive(Default)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    /// A field with any value, which is JSON already.
    pub fn raw(mut self, name: &str, json: &str) -> Self {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.text.push_str(&format!("\"{name}\":{json}"));
        self
    }

    /// A number that is left out if 0.
    pub fn number(self, name: &str, value: impl Into<i128>) -> Self {
        match value.into() {
            0 => self,
            value => self.raw(name, &value.to_string()),
        }
    }

    /// A truth value that is left out if false.
    pub fn truth(self, name: &str, value: bool) -> Self {
        if value { self.raw(name, "true") } else { self }
    }

    /// Bytes that are left out if empty.
    pub fn bytes(self, name: &str, value: &[u8]) -> Self {
        if value.is_empty() { self } else { self.raw(name, &format!("\"{}\"", base64(value))) }
    }

    /// A text that is left out if empty.
    pub fn text(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.raw(name, &string(value)) }
    }

    /// A list that is left out if empty.
    pub fn list(self, name: &str, items: impl IntoIterator<Item = String>) -> Self {
        let list = array(items);
        if list == "[]" { self } else { self.raw(name, &list) }
    }

    pub fn end(self) -> String {
        if self.text.is_empty() { "{}".into() } else { self.text + "}" }
    }
}

/// A list, also if it is empty.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// A string with what HTML gives a meaning escaped.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The fields of a header, as an object of their own or at the beginning of another.
pub(crate) fn header_fields(header: &Header) -> Object {
    Object::default()
        .number("cluster_id", header.cluster_id)
        .number("member_id", header.member_id)
        .number("revision", header.revision)
        .number("raft_term", header.raft_term)
}

pub(crate) fn header(header: &Header, hex: bool) -> String {
    if !hex {
        return header_fields(header).end();
    }
    Object::default()
        .raw("cluster_id", &format!("\"{:x}\"", header.cluster_id))
        .raw("member_id", &format!("\"{:x}\"", header.member_id))
        .number("revision", header.revision)
        .number("raft_term", header.raft_term)
        .end()
}

pub(crate) fn key_value(kv: &KeyValue) -> String {
    Object::default()
        .bytes("key", &kv.key)
        .number("create_revision", kv.create_revision)
        .number("mod_revision", kv.mod_revision)
        .number("version", kv.version)
        .bytes("value", &kv.value)
        .number("lease", kv.lease)
        .end()
}

pub(crate) fn member(member: &Member, hex: bool) -> String {
    let id = match hex {
        true => Object::default().raw("ID", &format!("\"{:x}\"", member.id)),
        false => Object::default().number("ID", member.id),
    };
    id.text("name", &member.name)
        .list("peerURLs", member.peer_urls.iter().map(|url| string(url)))
        .list("clientURLs", member.client_urls.iter().map(|url| string(url)))
        .truth("isLearner", member.is_learner)
        .end()
}
