//! `kubectl rollout history`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/rollout/rollout_history.go,
//! pkg/polymorphichelpers/history.go.
//! Left out: -o.

use serde_json::Value;

use super::super::builder::Info;
use super::super::describe::template;
use super::super::errors::Failure;
use super::super::flags::Args;
use super::super::json::{number, text};
use super::super::session::{Session, Step, attempt};
use super::super::tabwriter;
use super::{replica_sets, revision, revision_flag, revisions};

const CHANGE_CAUSE: &str = "/metadata/annotations/kubernetes.io~1change-cause";

pub(crate) fn history(session: &mut Session, args: &Args) -> Step<()> {
    let wanted = revision_flag(args, "revision")?;
    if args.has("output") {
        return Err(Failure::message("rollout history -o is not simulated").into());
    }
    let (infos, mut failures) = super::infos(session, args)?;
    for info in &infos {
        match attempt(history_of(session, info, wanted))? {
            Ok(text) if wanted > 0 => {
                session.print_line(&format!("{} with revision #{wanted}\n{text}", info.full_name()));
            }
            Ok(text) => session.print_line(&format!("{} \n{text}", info.full_name())),
            Err(failure) => failures.push(failure),
        }
    }
    Ok(Failure::collect(failures)?)
}

fn history_of(session: &mut Session, info: &Info, wanted: i64) -> Step<String> {
    if revisions::has_revisions(info) {
        return history_of_revisions(session, info, wanted);
    }
    if !super::is_deployment(info) {
        let text = format!("no history viewer has been implemented for \"{}\"", info.resource.kind);
        return Err(Failure::Message(text).into());
    }
    let deployment = session.get(&info.resource, info.namespace.as_deref(), &info.name)?;
    let sets = replica_sets(session, deployment)?;
    let mut revisions: Vec<(i64, &Value)> = sets.iter().filter_map(|set| Some((revision(set)?, set))).collect();
    revisions.sort_by_key(|(revision, _)| *revision);
    if wanted > 0 {
        let Some((_, set)) = revisions.iter().find(|(revision, _)| *revision == wanted) else {
            return Err(Failure::message("unable to find the specified revision").into());
        };
        // The template is not laid out: kubectl leaves the tabs in.
        return Ok(template::describe(set, text(set, CHANGE_CAUSE)));
    }
    if revisions.is_empty() {
        return Ok("No rollout history found.".into());
    }
    let mut table = String::from("REVISION\tCHANGE-CAUSE\n");
    for (revision, set) in revisions {
        let cause = Some(text(set, CHANGE_CAUSE)).filter(|c| !c.is_empty()).unwrap_or("<none>");
        table.push_str(&format!("{revision}\t{cause}\n"));
    }
    Ok(tabwriter::align(&table))
}

fn history_of_revisions(session: &mut Session, info: &Info, wanted: i64) -> Step<String> {
    let (_, found) = revisions::history(session, info)?;
    if found.is_empty() {
        return Ok("No rollout history found.".into());
    }
    if wanted > 0 {
        return match revisions::find(&found, wanted) {
            Some(revision) => Ok(template::describe(&revisions::with_template(revision), "")),
            None => Err(Failure::message("unable to find the specified revision").into()),
        };
    }
    // Changes of StatefulSets have no causes.
    let with_causes = info.resource.kind == "DaemonSet";
    let mut table = String::from(if with_causes { "REVISION\tCHANGE-CAUSE\n" } else { "REVISION\n" });
    for revision in found {
        let cause = Some(text(revision, CHANGE_CAUSE)).filter(|c| !c.is_empty()).unwrap_or("<none>");
        let cause = if with_causes { format!("\t{cause}") } else { String::new() };
        table.push_str(&format!("{}{cause}\n", number(revision, "/revision")));
    }
    Ok(tabwriter::align(&table))
}
