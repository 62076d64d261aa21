//! What a controller of one's own is like.

use std::sync::Arc;

use serde_json::Value;

use crate::kernel::Duration;
use crate::objects::selector::{FieldSelector, Selector};
use crate::objects::{Kind, Name};

/// What a controller is like.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomSpec {
    /// Its name: of the process, in events' sources and in the trace.
    pub name: Name,
    /// Kinds whose objects it reconciles; at least one.
    pub watches: Vec<Watched>,
    /// Kinds whose objects bring their owner, of the first kind of `watches`, into the queue. controller-runtime: Owns.
    pub owns: Vec<Kind>,
    /// Kinds that it only reads from its cache.
    pub reads: Vec<Kind>,
    /// The only namespace that it looks at; empty for all.
    pub namespace: Name,
    /// How many keys are worked on at the same time. – controller-runtime: MaxConcurrentReconciles, 1.
    pub workers: usize,
    /// How often everything is looked at again; zero: never. – controller-runtime: SyncPeriod, 10 h.
    pub resync: Duration,
    /// Requests a second; 0 is no limit. – controller-runtime: 20.
    pub qps: u32,
    /// Requests at once. – controller-runtime: 30.
    pub burst: u32,
    /// What it remembers when it starts: a map.
    pub memory: Arc<Value>,
    /// Whether its processes stand for election. – controller-runtime: LeaderElection, false.
    pub elects: bool,
}

/// A kind whose objects are reconciled, and which of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Watched {
    /// The kind.
    pub kind: Kind,
    /// By label.
    pub labels: Option<Selector>,
    /// By field.
    pub fields: Option<FieldSelector>,
}

/// A process of a controller.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomProcess {
    /// What it is like; replicas share it.
    pub spec: Arc<CustomSpec>,
    /// Which replica it is, from 0; `u8::MAX` if it is the only one.
    pub replica: u8,
}

impl CustomSpec {
    /// A controller of one kind that is otherwise like any.
    pub fn of(name: &str, kind: Kind) -> Self {
        CustomSpec {
            name: name.into(),
            watches: vec![Watched { kind, labels: None, fields: None }],
            owns: Vec::new(),
            reads: Vec::new(),
            namespace: "".into(),
            workers: 1,
            resync: Duration::ZERO,
            qps: 20,
            burst: 30,
            memory: Arc::new(Value::Object(serde_json::Map::new())),
            elects: false,
        }
    }

    /// The kind of the owners.
    pub fn kind(&self) -> Kind {
        self.watches.first().map_or(Kind::Pod, |watched| watched.kind)
    }

    /// All kinds it has caches of, each once.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.watches.iter().map(|watched| watched.kind).collect();
        kinds.extend(self.owns.iter().chain(&self.reads));
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

impl CustomProcess {
    /// The replica number of a process that is the only one of its controller.
    pub const ONLY: u8 = u8::MAX;

    /// `controller/auto-delete`; of several `controller/auto-delete-0` …
    pub fn name(&self) -> String {
        match self.replica {
            Self::ONLY => format!("controller/{}", self.spec.name),
            replica => format!("controller/{}-{replica}", self.spec.name),
        }
    }
}
