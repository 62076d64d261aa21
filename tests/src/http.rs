//! The simulated API server as a client sees that speaks HTTP: method, path and body in, status code and JSON out.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wavetank_engine::World;
use wavetank_engine::apiserver::patch::PatchType;
use wavetank_engine::apiserver::request::{
    Answer, Body, DeleteOptions, Delivery, FieldValidation, ListOptions, Patch, Propagation, Request, Subresource,
    Verb, WriteOptions,
};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Endpoint};
use wavetank_engine::objects::{Key, Kind, Uid, json as api_json};

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Http<'a> {
    /// `GET`
    pub method: &'a str,
    /// `/api/v1/namespaces/default/pods?dryRun=All`
    pub path: &'a str,
    /// Of a PATCH: `application/merge-patch+json`
    pub content_type: &'a str,
    /// Its JSON.
    pub body: Option<Value>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub code: u16,
    /// Its JSON.
    pub body: Value,
    /// Texts of the Warning headers.
    pub warnings: Vec<String>,
}

/// A client of a world.
#[derive(Clone)]
pub struct Client {
    /// The world.
    pub world: World,
    sent: u64,
}

/// Higher than the numbers of a session's requests.
const FIRST: u64 = 1 << 40;

impl Client {
    /// A client of `world`.
    pub fn new(world: World) -> Self {
        Client { world, sent: 0 }
    }

    /// Sends a request and runs the world until the reply comes; the error names what the simulator leaves out.
    pub fn send(&mut self, http: &Http<'_>) -> Result<Response, String> {
        self.sent += 1;
        let number = FIRST + self.sent;
        let request = request(http, number, self.sent)?;
        let (kind, verb) = (request.kind, request.verb);
        self.world.send(request, RecordId(0), Duration::ZERO);
        loop {
            while let Some(mail) = self.world.receive() {
                let Delivery::Reply(reply) = mail.delivery else { continue };
                if reply.number != number {
                    continue;
                }
                let warnings = reply.warnings;
                return Ok(match reply.result {
                    Ok(answer) => {
                        let code = if verb == Verb::Create { 201 } else { 200 };
                        Response { code, body: body(&answer, kind), warnings }
                    }
                    Err(status) => Response { code: status.code, body: status.to_json(), warnings },
                });
            }
            if !self.world.step() {
                return Err("no reply".to_owned());
            }
        }
    }

    /// Lets time pass. [ns]
    pub fn pass(&mut self, ns: u64) {
        self.world.run_until(self.world.now() + Duration::from_nanos(ns));
    }
}

fn request(http: &Http<'_>, number: u64, sequence: u64) -> Result<Request, String> {
    let (path, query) = http.path.split_once('?').unwrap_or((http.path, ""));
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let group = match parts.first() {
        Some(&"api") => 2,
        Some(&"apis") => 3,
        _ => return Err(path.to_owned()),
    };
    parts.drain(..group.min(parts.len()));
    let namespace = match parts.as_slice() {
        ["namespaces", namespace, _, ..] if !matches!(parts.get(2), Some(&("status" | "finalize"))) => {
            let namespace = *namespace;
            parts.drain(..2);
            namespace
        }
        _ => "",
    };
    let plural = parts.first().copied().unwrap_or_default();
    let kind = Kind::from_plural(plural).ok_or_else(|| plural.to_owned())?;
    let name = parts.get(1).copied().unwrap_or_default();
    let subresource = match parts.get(2).copied() {
        None => Subresource::None,
        Some("status") => Subresource::Status,
        Some("scale") => Subresource::Scale,
        Some("binding") => Subresource::Binding,
        Some("token") => return Err("the bodies of token requests".to_owned()),
        Some("finalize") => Subresource::Finalize,
        Some("eviction") => Subresource::Eviction,
        Some(other) => return Err(other.to_owned()),
    };
    let (mut list, mut options) = (ListOptions::default(), WriteOptions::default());
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = unescaped(value);
        match key {
            "labelSelector" => list.labels = Some(value.parse().map_err(|_| format!("labelSelector {value}"))?),
            "fieldSelector" => list.fields = Some(value.parse().map_err(|_| format!("fieldSelector {value}"))?),
            "dryRun" => options.dry_run = value == "All",
            "fieldManager" => {}
            "fieldValidation" => {
                options.field_validation = match value.as_str() {
                    "Strict" => FieldValidation::Strict,
                    "Ignore" => FieldValidation::Ignore,
                    _ => FieldValidation::Warn,
                };
            }
            other => return Err(format!("the parameter {other}")),
        }
    }
    let json = || http.body.clone().map_or(Body::None, |body| Body::Json(Arc::new(body)));
    let (verb, body) = match http.method {
        "GET" if name.is_empty() => (Verb::List, Body::List(Box::new(list))),
        "GET" => (Verb::Get, Body::None),
        "POST" if subresource == Subresource::Binding => {
            let node = http.body.as_ref().and_then(|body| body["target"]["name"].as_str()).unwrap_or_default();
            if node.is_empty() {
                return Err("bindings to no node".to_owned());
            }
            (Verb::Create, Body::Binding { node: node.into() })
        }
        "POST" => (Verb::Create, json()),
        "PUT" => (Verb::Update, json()),
        "PATCH" => {
            let patch_type = match http.content_type {
                "application/json-patch+json" => PatchType::Json,
                "application/merge-patch+json" => PatchType::Merge,
                "application/strategic-merge-patch+json" => PatchType::StrategicMerge,
                other => return Err(other.to_owned()),
            };
            let patch = Patch::Json(patch_type, Arc::new(http.body.clone().unwrap_or_default()));
            (Verb::Patch, Body::Patch(patch))
        }
        "DELETE" if name.is_empty() => {
            (Verb::DeleteCollection, Body::DeleteCollection(Box::new((delete(http.body.as_ref())?, list))))
        }
        "DELETE" => (Verb::Delete, Body::Delete(delete(http.body.as_ref())?)),
        other => return Err(other.to_owned()),
    };
    let named = http.body.as_ref().and_then(|body| body["metadata"]["name"].as_str()).unwrap_or_default();
    let key = Key::new(namespace, if verb == Verb::Create && name.is_empty() { named } else { name });
    let agent = Agent::Kubectl(u32::MAX);
    Ok(Request { from: Endpoint::Outside, number, agent, sequence, verb, kind, subresource, key, body, options })
}

fn delete(body: Option<&Value>) -> Result<DeleteOptions, String> {
    let Some(body) = body else { return Ok(DeleteOptions::default()) };
    let preconditions = &body["preconditions"];
    Ok(DeleteOptions {
        grace: body["gracePeriodSeconds"].as_i64(),
        uid: preconditions["uid"].as_str().and_then(Uid::parse),
        resource_version: preconditions["resourceVersion"].as_str().and_then(|text| text.parse().ok()),
        propagation: match body["propagationPolicy"].as_str() {
            Some("Orphan") => Some(Propagation::Orphan),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some(other) => return Err(other.to_owned()),
            None => None,
        },
    })
}

fn body(answer: &Answer, kind: Kind) -> Value {
    match answer {
        Answer::Object(object) => api_json::to_json(object),
        Answer::List { resource_version, items } => json!({
            "apiVersion": kind.api_version(), "kind": format!("{}List", kind.name()),
            "metadata": {"resourceVersion": resource_version.to_string()},
            "items": items.iter().map(|item| api_json::to_json(item)).collect::<Vec<_>>(),
        }),
        Answer::Watching => Value::Object(Map::new()),
        Answer::Json(value) => (**value).clone(),
    }
}

fn unescaped(text: &str) -> String {
    let (mut out, bytes, mut at) = (Vec::new(), text.as_bytes(), 0);
    while let Some(byte) = bytes.get(at) {
        let code =
            bytes.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
