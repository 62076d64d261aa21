//! Objects of kinds that are defined: kept as JSON, but for their metadata.
//!
//! So are custom resources, and the objects by which a cluster is extended. What the API server needs of the latter with every request
//! (schemas, rules of webhooks) is computed once, when they are written.

mod columns;
mod crd;
mod schema;
mod webhook;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use self::columns::PrinterColumn;
pub use self::crd::{Defined, ScalePaths, accepted, condition, condition_is, field_at, names_of};
pub use self::schema::{Additional, Pattern, Schema};
pub use self::webhook::{FailurePolicy, Rule, Webhook};
use super::{Kind, ObjectMeta};

/// An object of a kind that is defined.
#[derive(Clone, Debug)]
pub struct Custom {
    /// Its kind.
    pub kind: Kind,
    /// Metadata.
    pub meta: ObjectMeta,
    /// Everything but apiVersion, kind and metadata.
    pub content: Arc<Map<String, Value>>,
    /// What is computed from it.
    pub compiled: Compiled,
}

/// What is computed from the content.
#[derive(Clone, Debug, Default)]
pub enum Compiled {
    /// Of a custom resource, nothing.
    #[default]
    Nothing,
    /// Of a CustomResourceDefinition, what it defines.
    Definition(Arc<Defined>),
    /// Of a configuration, its webhooks.
    Webhooks(Arc<[Webhook]>),
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.meta == other.meta
            && (Arc::ptr_eq(&self.content, &other.content) || self.content == other.content)
    }
}

impl Custom {
    /// An object with this content.
    pub fn new(kind: Kind, meta: ObjectMeta, content: Map<String, Value>) -> Self {
        let compiled = match kind {
            Kind::CRD => Compiled::Definition(Arc::new(Defined::of(&content))),
            Kind::MUTATING_WEBHOOKS | Kind::VALIDATING_WEBHOOKS => {
                Compiled::Webhooks(webhook::compile(&meta, &content))
            }
            _ => Compiled::Nothing,
        };
        Custom { kind, meta, content: Arc::new(content), compiled }
    }

    /// What it defines, if it is a CustomResourceDefinition.
    pub fn defined(&self) -> Option<&Arc<Defined>> {
        if let Compiled::Definition(defined) = &self.compiled { Some(defined) } else { None }
    }

    /// Its webhooks, if it is a configuration of such.
    pub fn webhooks(&self) -> &[Webhook] {
        if let Compiled::Webhooks(webhooks) = &self.compiled { webhooks } else { &[] }
    }

    /// A field of the object.
    pub fn field(&self, name: &str) -> &Value {
        self.content.get(name).unwrap_or(&Value::Null)
    }

    /// This object with another field; what is computed of the rest stays.
    pub fn with_field(&self, name: &str, value: Option<Value>) -> Self {
        let mut next = self.clone();
        let content = Arc::make_mut(&mut next.content);
        match value {
            Some(value) => drop(content.insert(name.to_owned(), value)),
            None => drop(content.remove(name)),
        }
        next
    }
}
