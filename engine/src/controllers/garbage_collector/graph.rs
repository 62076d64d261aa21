//! What a change of an object means to those that depend on it, and to those it depends on.
//!
//! Models: kubernetes v1.36.2 pkg/controller/garbagecollector/graph_builder.go (processGraphChanges).

use std::sync::Arc;

use super::{GarbageCollector, Item, Purpose};
use crate::client::informer::Change;
use crate::controllers::caches::Caches;
use crate::event::Effects;
use crate::kernel::out::RecordId;
use crate::objects::meta::{FOREGROUND, ORPHAN};
use crate::objects::{Kind, Name, Object, ObjectMeta, OwnerReference, Uid};

/// The object as a cache has it; not one that merely has its name.
pub fn known<'a>(caches: &'a Caches, item: &Item) -> Option<&'a Arc<Object>> {
    caches.informer(item.kind)?.store.get(&item.key).filter(|object| object.meta().uid == item.uid)
}

/// The objects one of whose owners has this uid.
pub fn dependents(caches: &Caches, uid: Uid) -> impl Iterator<Item = &Arc<Object>> {
    let kinds = Caches::kinds().iter().copied().chain(caches.discovered());
    let stores = kinds.filter_map(|kind| caches.informer(kind)).map(|informer| &informer.store);
    stores.flat_map(move |store| store.owned_by(uid))
}

impl GarbageCollector {
    /// A cache changed.
    pub fn concerns(&mut self, _kind: Kind, change: &Change, caches: &Caches, _out: &mut Effects) {
        let cause = change.cause;
        match (&change.old, &change.new) {
            (Some(old), Some(new)) if old.meta().uid == new.meta().uid => self.changed(old.meta(), new, caches, cause),
            (old, new) => {
                if let Some(old) = old {
                    self.removed(old, caches, cause);
                }
                if let Some(new) = new {
                    self.added(new, caches, cause);
                }
            }
        }
    }

    fn added(&mut self, object: &Arc<Object>, caches: &Caches, cause: RecordId) {
        let meta = object.meta();
        if let Some(named) = self.virtuals.remove(&meta.uid)
            && named != Item::of(object)
        {
            // Some name an owner with this uid that is not this one.
            self.look_at_dependents(meta.uid, caches, cause);
        }
        self.depends(object, meta.owners.iter(), caches, cause);
        self.begins(None, object, caches, cause);
    }

    fn changed(&mut self, old: &ObjectMeta, object: &Arc<Object>, caches: &Caches, cause: RecordId) {
        let new = object.meta();
        if !Arc::ptr_eq(&old.owners, &new.owners) && old.owners != new.owners {
            let now = |owner: &OwnerReference| new.owners.iter().find(|now| now.uid == owner.uid);
            for owner in old.owners.iter().filter(|owner| owner.block_owner_deletion) {
                if now(owner).is_none_or(|now| !now.block_owner_deletion) {
                    self.look_at_owner(owner, &new.namespace, caches, cause);
                }
            }
            let added = new.owners.iter().filter(|owner| old.owners.iter().all(|before| before.uid != owner.uid));
            self.depends(object, added, caches, cause);
        }
        self.begins(Some(old), object, caches, cause);
    }

    fn removed(&mut self, object: &Arc<Object>, caches: &Caches, cause: RecordId) {
        let meta = object.meta();
        self.virtuals.remove(&meta.uid);
        if dependents(caches, meta.uid).next().is_some() {
            Arc::make_mut(&mut self.absent).add(Item::of(object));
            self.look_at_dependents(meta.uid, caches, cause);
        }
        for owner in meta.owners.iter().filter_map(|owner| Item::owner(owner, &meta.namespace, caches.served())) {
            if known(caches, &owner).is_some_and(|owner| owner.meta().deleting_dependents()) {
                self.deletions.add(owner, cause);
            }
        }
    }

    /// The object depends on these owners: one that no cache has is looked for. Kubernetes: addDependentToOwners.
    fn depends<'a>(
        &mut self,
        object: &Object,
        owners: impl Iterator<Item = &'a OwnerReference>,
        caches: &Caches,
        cause: RecordId,
    ) {
        for owner in owners.filter_map(|owner| Item::owner(owner, &object.meta().namespace, caches.served())) {
            if known(caches, &owner).is_some() {
                continue;
            }
            match self.virtuals.get(&owner.uid) {
                // Others name the same owner otherwise: one of them is wrong.
                Some(named) if *named != owner => self.deletions.add(Item::of(object), cause),
                Some(_) => {}
                None => {
                    self.virtuals.insert(owner.uid, owner.clone());
                    self.deletions.add(owner, cause);
                }
            }
        }
    }

    /// The deletion of the object begins, and a finalizer says what becomes of its dependents. Kubernetes: processTransitions.
    fn begins(&mut self, old: Option<&ObjectMeta>, object: &Object, caches: &Caches, cause: RecordId) {
        let new = object.meta();
        if !new.deleting() || new.finalizers.is_empty() {
            return;
        }
        let starts = |finalizer| {
            new.has_finalizer(finalizer) && old.is_none_or(|old| !old.deleting() || !old.has_finalizer(finalizer))
        };
        if starts(ORPHAN) {
            self.releases.add(Item::of(object), cause);
        } else if starts(FOREGROUND) {
            self.look_at_dependents(new.uid, caches, cause);
            self.deletions.add(Item::of(object), cause);
        }
    }

    fn look_at_dependents(&mut self, uid: Uid, caches: &Caches, cause: RecordId) {
        for dependent in dependents(caches, uid) {
            self.deletions.add(Item::of(dependent), cause);
        }
    }

    fn look_at_owner(&mut self, owner: &OwnerReference, namespace: &Name, caches: &Caches, cause: RecordId) {
        if let Some(owner) = Item::owner(owner, namespace, caches.served()) {
            self.deletions.add(owner, cause);
        }
    }

    /// The API server does not have an item, whatever the caches say. Kubernetes: the virtual delete event.
    pub(super) fn gone_for_good(&mut self, item: &Item, caches: &Caches, out: &mut Effects) {
        let cause = out.cause();
        let named = self.virtuals.get(&item.uid).cloned();
        if named.is_none() {
            if let Some(object) = known(caches, item).cloned() {
                self.removed(&object, caches, cause);
            }
            return;
        }
        let (mut meant, mut others) = (Vec::new(), Vec::new());
        for dependent in dependents(caches, item.uid) {
            let meta = dependent.meta();
            for owner in meta.owners.iter().filter(|owner| owner.uid == item.uid) {
                match Item::owner(owner, &meta.namespace, caches.served()) {
                    Some(owner) if owner == *item => meant.push(Item::of(dependent)),
                    Some(owner) => others.push(owner),
                    None => {}
                }
            }
        }
        if !meant.is_empty() {
            Arc::make_mut(&mut self.absent).add(item.clone());
            meant.into_iter().for_each(|dependent| self.deletions.add(dependent, cause));
        }
        if named.as_ref() == Some(item) {
            self.virtuals.remove(&item.uid);
            others.sort();
            let next = others.iter().find(|other| *other > item).or(others.first()).cloned();
            if let Some(next) = next.filter(|next| known(caches, next).is_none()) {
                self.virtuals.insert(next.uid, next.clone());
                self.put_off(Purpose::Delete, next, out);
            }
        }
    }
}
