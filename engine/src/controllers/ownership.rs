//! Owner references: which objects a controller counts as its own, adopts, or releases.
//!
//! Models: kubernetes v1.36.2 pkg/controller/controller_ref_manager.go, staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/controller_ref.go.

use std::sync::Arc;

use crate::apiserver::request::Patch;
use crate::client::connection::Call;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::objects::{Kind, Labels, Object, ObjectMeta, OwnerReference};

/// The reference by which an owner of `kind` with metadata `owner` manages an object. Kubernetes: NewControllerRef.
pub fn controller_reference(kind: Kind, owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: kind.api_version().into(),
        kind: kind.name().into(),
        name: owner.name.clone(),
        uid: owner.uid,
        controller: true,
        block_owner_deletion: true,
    }
}

/// What an object is to a would-be owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// Its own.
    Own,
    /// Nobody's, and matching.
    Adopt,
    /// Its own, but not matching any more.
    Release,
    /// Not its concern.
    None,
}

/// What the object with metadata `object` is to `owner`, whose selector says `matches` to its labels. Kubernetes: ClaimObject.
pub fn claim(owner: &ObjectMeta, object: &ObjectMeta, matches: impl Fn(&Labels) -> bool) -> Claim {
    match object.controller() {
        Some(reference) if reference.uid != owner.uid => Claim::None,
        Some(_) if matches(&object.labels) => Claim::Own,
        Some(_) if owner.deleting() => Claim::None,
        Some(_) => Claim::Release,
        None if owner.deleting() || object.deleting() || owner.namespace != object.namespace => Claim::None,
        None if matches(&object.labels) => Claim::Adopt,
        None => Claim::None,
    }
}

/// Carries claims out: patches owner references one after another. `Ok(true)` per object that is the owner's in the end, in order.
///
/// # Errors
/// When it waits; when the owner is gone or going, so that it must not adopt; when a patch fails.
pub fn carry_out<'a>(
    kind: Kind,
    owner: &ObjectMeta,
    objects: impl IntoIterator<Item = (&'a Arc<Object>, Claim)>,
    routine: &mut Routine<'_>,
) -> Step<Vec<bool>> {
    let (mut mine, mut may_adopt, mut error) = (Vec::new(), None, None);
    for (object, claim) in objects {
        let own = match claim {
            Claim::Own => true,
            Claim::None => false,
            Claim::Adopt | Claim::Release => {
                if claim == Claim::Adopt {
                    let allowed = match &may_adopt {
                        Some(known) => Clone::clone(known),
                        None => can_adopt(kind, owner, routine)?,
                    };
                    may_adopt = Some(allowed.clone());
                    if let Err(why) = allowed {
                        error = Some(why);
                        mine.push(false);
                        continue;
                    }
                }
                let meta = object.meta();
                let patch = || {
                    let others = meta.owners.iter().filter(|other| other.uid != owner.uid).cloned();
                    let adopted = (claim == Claim::Adopt).then(|| controller_reference(kind, owner));
                    let patch = Patch::Owners { uid: meta.uid, owners: others.chain(adopted).collect() };
                    Call::patch(object.kind(), meta.key(), patch)
                };
                match routine.call(patch)? {
                    Ok(_) => claim == Claim::Adopt,
                    Err(status) if status.is_not_found() => false,
                    Err(status) if status.code == 422 && claim == Claim::Release => false,
                    Err(status) => {
                        error = Some(Interrupt::from(status));
                        false
                    }
                }
            }
        };
        mine.push(own);
    }
    error.map_or(Ok(mine), Err)
}

/// Asks the API server whether the owner is still there. Kubernetes: RecheckDeletionTimestamp.
fn can_adopt(kind: Kind, owner: &ObjectMeta, routine: &mut Routine<'_>) -> Step<Result<(), Interrupt>> {
    let fresh = match routine.call(|| Call::get(kind, owner.key()))? {
        Ok(answer) => answer,
        Err(status) => {
            let why = format!("can't adopt {}: {}", owner.name, status.message);
            return Ok(Err(Interrupt::Failed(why.into())));
        }
    };
    let Some(fresh) = fresh.object().map(|object| object.meta()) else { return Ok(Ok(())) };
    Ok(if fresh.uid != owner.uid {
        let (kind, name) = (kind.name(), &owner.name);
        let why =
            format!("original {kind} {}/{name} is gone: got uid {}, wanted {}", owner.namespace, fresh.uid, owner.uid);
        Err(Interrupt::Failed(why.into()))
    } else if fresh.deleting() {
        let why = format!("{}/{} has just been deleted", owner.namespace, owner.name);
        Err(Interrupt::Failed(why.into()))
    } else {
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Instant;
    use crate::objects::{Deletion, Uid};

    fn meta(uid: u128, controller: Option<u128>) -> ObjectMeta {
        let owner =
            |uid| controller_reference(Kind::ReplicaSet, &ObjectMeta { uid: Uid(uid), ..ObjectMeta::named("a", "o") });
        ObjectMeta { uid: Uid(uid), owners: controller.map(owner).into_iter().collect(), ..ObjectMeta::named("a", "x") }
    }

    #[test]
    fn own_objects_that_match_no_more_are_released_and_matching_orphans_adopted() {
        let owner = meta(1, None);
        assert_eq!(claim(&owner, &meta(7, Some(1)), |_| true), Claim::Own);
        assert_eq!(claim(&owner, &meta(7, Some(1)), |_| false), Claim::Release);
        assert_eq!(claim(&owner, &meta(7, Some(2)), |_| true), Claim::None);
        assert_eq!(claim(&owner, &meta(7, None), |_| true), Claim::Adopt);
        assert_eq!(claim(&owner, &meta(7, None), |_| false), Claim::None);
        let elsewhere = ObjectMeta { namespace: "b".into(), ..meta(7, None) };
        assert_eq!(claim(&owner, &elsewhere, |_| true), Claim::None);
    }

    #[test]
    fn an_owner_that_goes_away_changes_nothing() {
        let owner = ObjectMeta { deletion: Some(Deletion { at: Instant::START, grace: 0 }), ..meta(1, None) };
        assert_eq!(claim(&owner, &meta(7, Some(1)), |_| true), Claim::Own);
        assert_eq!(claim(&owner, &meta(7, Some(1)), |_| false), Claim::None);
        assert_eq!(claim(&owner, &meta(7, None), |_| true), Claim::None);
    }
}
