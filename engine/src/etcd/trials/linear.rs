//! Whether what the clients saw could have happened one operation after the other.
//!
//! The search of Wing and Gong, key by key: an operation may come first if no other one ended before it began; try
//! each, remember what has been tried. An operation whose outcome is unknown may have happened at any later time, or
//! never.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::Instant;

/// An operation of a client on one key.
#[derive(Clone, Debug)]
pub struct Operation {
    pub key: String,
    pub began: Instant,
    /// `None`: the client never knew.
    pub ended: Option<Instant>,
    pub what: What,
}

/// What it did, and saw.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Wrote this; values are unique.
    Write(String),
    /// Deleted.
    Delete,
    /// Saw this.
    Read(Option<String>),
    /// Replaced the first by the second.
    Swap(String, String),
}

/// The keys whose history is not linearizable.
pub fn check(history: &[Operation]) -> Vec<String> {
    let mut keys = BTreeMap::<&str, Vec<&Operation>>::new();
    history.iter().for_each(|op| keys.entry(&op.key).or_default().push(op));
    keys.into_iter().filter(|(_, ops)| !linearizable(observable(ops))).map(|(key, _)| key.to_string()).collect()
}

/// Without writes of unknown outcome that nobody saw: values are unique and everything but a write sees the value, so
/// an order that explains the rest with them explains it without.
fn observable<'a>(ops: &[&'a Operation]) -> Vec<&'a Operation> {
    let mut seen = BTreeSet::new();
    for op in ops {
        match &op.what {
            What::Read(Some(value)) => seen.insert(value),
            What::Swap(old, _) if op.ended.is_some() => seen.insert(old),
            _ => false,
        };
    }
    loop {
        let before = seen.len();
        for op in ops {
            if let What::Swap(old, new) = &op.what
                && seen.contains(new)
            {
                seen.insert(old);
            }
        }
        if seen.len() == before {
            break;
        }
    }
    let keep = |op: &&&Operation| match &op.what {
        _ if op.ended.is_some() => true,
        What::Write(value) | What::Swap(_, value) => seen.contains(value),
        What::Delete => true,
        What::Read(_) => false,
    };
    ops.iter().filter(keep).copied().collect()
}

fn linearizable(mut ops: Vec<&Operation>) -> bool {
    ops.sort_by_key(|op| op.began);
    let mut tried = BTreeSet::new();
    search(&ops, &mut vec![false; ops.len()], None, false, &mut tried)
}

/// `fresh`: the value comes from a write of unknown outcome, which only makes sense if the next operation sees it.
fn search<'a>(
    ops: &[&'a Operation],
    done: &mut Vec<bool>,
    value: Option<&'a str>,
    fresh: bool,
    tried: &mut BTreeSet<(Vec<bool>, Option<&'a str>)>,
) -> bool {
    let open = || ops.iter().zip(done.iter()).filter(|(_, done)| !**done).map(|(op, _)| op);
    let first_end = open().filter_map(|op| op.ended).min();
    let Some(first_end) = first_end else { return true };
    if !tried.insert((done.clone(), value)) {
        return false;
    }
    let candidates: Vec<usize> = (0..ops.len()).filter(|i| !done[*i] && ops[*i].began <= first_end).collect();
    let mut deleted = false;
    for i in candidates {
        let unknown = ops[i].ended.is_none();
        let next = match &ops[i].what {
            What::Read(seen) if seen.as_deref() == value => value,
            What::Swap(old, new) if value == Some(old) => Some(new.as_str()),
            _ if fresh => continue,
            What::Write(new) => Some(new.as_str()),
            // Of deletes of unknown outcome the one that began first is as good as any, if there is something to
            // delete.
            What::Delete if unknown && (deleted || value.is_none()) => continue,
            What::Delete => {
                deleted |= unknown;
                None
            }
            _ => continue,
        };
        done[i] = true;
        if search(ops, done, next, unknown && next.is_some(), tried) {
            return true;
        }
        done[i] = false;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Duration;

    fn op(began: u64, ended: u64, what: What) -> Operation {
        let at = |ms| Instant::START + Duration::from_millis(ms);
        Operation { key: "k".into(), began: at(began), ended: (ended > 0).then(|| at(ended)), what }
    }

    fn write(value: &str) -> What {
        What::Write(value.into())
    }

    fn read(value: &str) -> What {
        What::Read((!value.is_empty()).then(|| value.into()))
    }

    #[test]
    fn a_stale_read_is_found_and_a_concurrent_one_is_not() {
        assert_eq!(check(&[op(0, 2, write("a")), op(3, 5, write("b")), op(6, 7, read("a"))]), ["k"]);
        assert!(
            check(&[op(0, 2, write("a")), op(3, 8, write("b")), op(4, 7, read("a")), op(4, 7, read("b"))]).is_empty()
        );
        let back = [op(3, 20, write("b")), op(4, 5, read("b")), op(6, 7, read(""))];
        assert_eq!(check(&back), ["k"], "what was seen once stays");
    }

    #[test]
    fn an_unknown_write_may_happen_late_or_never_but_not_early() {
        assert!(check(&[op(0, 0, write("a")), op(9, 10, read("a"))]).is_empty());
        assert!(check(&[op(0, 0, write("a")), op(9, 10, read(""))]).is_empty());
        assert_eq!(check(&[op(0, 0, write("a")), op(4, 5, read("a")), op(9, 10, read(""))]), ["k"]);
        assert_eq!(check(&[op(5, 0, write("a")), op(1, 2, read("a"))]), ["k"]);
    }

    #[test]
    fn a_swap_needs_its_old_value() {
        let swap = |old: &str, new: &str| What::Swap(old.into(), new.into());
        assert!(check(&[op(0, 1, write("a")), op(2, 3, swap("a", "b")), op(4, 5, read("b"))]).is_empty());
        assert_eq!(check(&[op(0, 1, write("a")), op(2, 3, swap("a", "b")), op(4, 5, swap("a", "c"))]), ["k"]);
    }
}
