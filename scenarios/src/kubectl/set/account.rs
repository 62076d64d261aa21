//! `kubectl set serviceaccount`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/set/set_serviceaccount.go.

use super::super::builder::infos;
use super::super::errors::Failure;
use super::super::flags::Args;
use super::super::session::{Session, Step, attempt};
use super::{Change, pod_spec_of, refuse_local, send};

pub(crate) fn set_service_account(session: &mut Session, args: &Args) -> Step<()> {
    refuse_local(args)?;
    let dry_run = args.dry_run()?;
    let Some((account, resources)) = args.words.split_last() else {
        return Err(Failure::message("serviceaccount is required").into());
    };
    let (infos, mut failures) = infos(session, args, resources)?;
    let change = Change { outcome: "serviceaccount updated", refused: "failed to patch ServiceAccountName" };
    for info in &infos {
        let mut object = info.object.clone();
        pod_spec_of(&mut object, info)?["serviceAccountName"] = account.as_str().into();
        if let Err(failure) = attempt(send(session, args, info, object, &change, dry_run))? {
            failures.push(failure);
        }
    }
    Ok(Failure::collect(failures)?)
}
