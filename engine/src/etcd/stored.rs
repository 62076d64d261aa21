//! A value that is either an object of a client's own kind or plain bytes (`etcdctl put`, `compact_rev_key`).

use std::cmp::Ordering;
use std::sync::Arc;

use super::request::Value;

/// What a key holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stored<V> {
    /// A client's object, kept as it is; its bytes are known by number only.
    Object(V),
    /// Bytes.
    Bytes(Arc<[u8]>),
}

impl<V> Stored<V> {
    /// The object, if it is one.
    pub fn object(&self) -> Option<&V> {
        match self {
            Stored::Object(object) => Some(object),
            Stored::Bytes(_) => None,
        }
    }

    /// The object, if it is one.
    pub fn into_object(self) -> Option<V> {
        match self {
            Stored::Object(object) => Some(object),
            Stored::Bytes(_) => None,
        }
    }

    /// The bytes, if that is what it is.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Stored::Object(_) => None,
            Stored::Bytes(bytes) => Some(bytes),
        }
    }

    /// The bytes of a text.
    pub fn text(text: &str) -> Self {
        Stored::Bytes(text.as_bytes().into())
    }
}

impl<V: Value> Value for Stored<V> {
    fn size(&self) -> usize {
        match self {
            Stored::Object(object) => object.size(),
            Stored::Bytes(bytes) => bytes.len(),
        }
    }

    /// Objects come before bytes, for theirs are not known.
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Stored::Object(a), Stored::Object(b)) => a.order(b),
            (Stored::Bytes(a), Stored::Bytes(b)) => a.cmp(b),
            (Stored::Object(_), Stored::Bytes(_)) => Ordering::Less,
            (Stored::Bytes(_), Stored::Object(_)) => Ordering::Greater,
        }
    }

    fn committed(&mut self, revision: u64) {
        if let Stored::Object(object) = self {
            object.committed(revision);
        }
    }

    fn hash_bytes(&self, hash: &mut dyn FnMut(&[u8])) {
        match self {
            Stored::Object(object) => object.hash_bytes(hash),
            Stored::Bytes(bytes) => hash(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_compare_as_bytes_and_lie_apart_from_objects() {
        let (a, b) = (Stored::<String>::text("10"), Stored::<String>::text("9"));
        assert_eq!(a.order(&b), Ordering::Less);
        assert_eq!(Stored::Object("z".to_string()).order(&a), Ordering::Less);
        assert_eq!((a.size(), a.bytes(), a.object()), (2, Some(&b"10"[..]), None));
    }
}
