//! Object metadata, compact: what changes with every version, and shared pieces behind `Arc`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go (ObjectMeta). Left out: managedFields,
//! selfLink.

use std::sync::Arc;

use super::labels::Labels;
use crate::kernel::Instant;

/// A name or any other short text, shared.
pub type Name = Arc<str>;

/// A unique id, printed as an RFC 4122 UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Uid(pub u128);

/// A [`Uid`] in words of eight bytes, for events, whose alignment it would double.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UidWords([u64; 2]);

impl From<Uid> for UidWords {
    fn from(uid: Uid) -> Self {
        UidWords([(uid.0 >> 64) as u64, uid.0 as u64])
    }
}

impl From<UidWords> for Uid {
    fn from(UidWords([high, low]): UidWords) -> Self {
        Uid(u128::from(high) << 64 | u128::from(low))
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[0..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
    }
}

impl Uid {
    /// A version-4 UUID from random bits.
    pub fn random(bits: u128) -> Self {
        Uid((bits & !(0xf << 76) & !(0x3 << 62)) | 0x4 << 76 | 0x2 << 62)
    }

    /// Reads the printed form.
    pub fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(&text.replace('-', ""), 16).ok().map(Uid)
    }
}

/// The finalizer of an object whose dependents are released before it goes.
pub const ORPHAN: &str = "orphan";
/// The finalizer of an object whose dependents go before it does.
pub const FOREGROUND: &str = "foregroundDeletion";

/// An owner of an object.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnerReference {
    /// `apps/v1`.
    pub api_version: Name,
    /// `ReplicaSet`.
    pub kind: Name,
    /// The owner's name.
    pub name: Name,
    /// The owner's uid.
    pub uid: Uid,
    /// Whether this owner manages the object.
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for the object.
    pub block_owner_deletion: bool,
}

/// A graceful deletion under way.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Deletion {
    /// `deletionTimestamp`: when the grace period ends.
    pub at: Instant,
    /// `deletionGracePeriodSeconds`. [s]
    pub grace: i64,
}

/// Metadata of an object.
#[derive(Clone, PartialEq, Debug)]
pub struct ObjectMeta {
    /// Name, unique in its namespace and kind.
    pub name: Name,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: Name,
    /// Prefix from which the server makes a name.
    pub generate_name: Option<Name>,
    /// Unique over all time.
    pub uid: Uid,
    /// etcd's mod revision of this version; 0 before it is stored.
    pub resource_version: u64,
    /// Counts changes of the spec.
    pub generation: i64,
    /// When it was created.
    pub created: Instant,
    /// Set while it is being deleted.
    pub deletion: Option<Deletion>,
    /// Labels.
    pub labels: Arc<Labels>,
    /// Annotations.
    pub annotations: Arc<Labels>,
    /// Owners.
    pub owners: Arc<[OwnerReference]>,
    /// What must happen before it goes.
    pub finalizers: Arc<[Name]>,
}

impl ObjectMeta {
    /// Metadata with just a name.
    pub fn named(namespace: &str, name: &str) -> Self {
        ObjectMeta {
            name: name.into(),
            namespace: namespace.into(),
            generate_name: None,
            uid: Uid::default(),
            resource_version: 0,
            generation: 0,
            created: Instant::START,
            deletion: None,
            labels: Arc::default(),
            annotations: Arc::default(),
            owners: Arc::new([]),
            finalizers: Arc::new([]),
        }
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The owner that manages the object.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owners.iter().find(|owner| owner.controller)
    }

    /// Whether it is being deleted.
    pub fn deleting(&self) -> bool {
        self.deletion.is_some()
    }

    /// Whether a finalizer holds it back.
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|finalizer| &**finalizer == name)
    }

    /// Whether it is being deleted, and waits for its dependents to be gone.
    pub fn deleting_dependents(&self) -> bool {
        self.deleting() && self.has_finalizer(FOREGROUND)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(|value| &**value)
    }

    /// Sets an annotation; false if it already had that value.
    pub fn annotate(&mut self, key: &str, value: &str) -> bool {
        if self.annotation(key) == Some(value) {
            return false;
        }
        Arc::make_mut(&mut self.annotations).insert(key.into(), value.into());
        true
    }
}

/// Namespace and name: what a work queue holds and a cache is keyed by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Key {
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: Name,
    /// Name.
    pub name: Name,
}

impl Key {
    /// The key of `namespace/name`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Key { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}
