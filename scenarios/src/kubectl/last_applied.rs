//! `kubectl apply view-last-applied`: the manifest an object remembers.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/apply/apply_view_last_applied.go.
//! Left out: `edit-last-applied` and `set-last-applied`.

use serde_json::Value;

use super::apply::LAST_APPLIED;
use super::builder::infos;
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::json::pairs;
use super::session::{Session, Step};
use super::yaml_out;

pub(crate) const FLAGS: &[Flag] =
    &[("selector", 'l', Takes::Text), ("all", ' ', Takes::Bool), ("output", 'o', Takes::Text)];

pub(crate) fn view(session: &mut Session, args: &Args) -> Step<()> {
    let (found, failures) = infos(session, args, &args.words)?;
    Failure::collect(failures)?;
    let mut texts = Vec::new();
    for info in &found {
        let annotations = pairs(&info.object, "/metadata/annotations");
        let Some((_, manifest)) = annotations.iter().find(|(key, _)| *key == LAST_APPLIED) else {
            let text = format!("no last-applied-configuration annotation found on resource: {}\n", info.name);
            return Err(Failure::Message(text).into());
        };
        let manifest: Value = serde_json::from_str(manifest)
            .map_err(|why| Failure::message(format!("the remembered manifest of {} is broken: {why}", info.name)))?;
        texts.push(match args.text_or("output", "yaml") {
            "yaml" => yaml_out::yaml(&manifest),
            "json" => yaml_out::json(&manifest),
            other => {
                let text = format!("Unexpected -o output mode: {other}, the flag 'output' must be one of yaml|json");
                return Err(args.usage(text).into());
            }
        });
    }
    texts.iter().for_each(|text| session.print(text));
    Ok(())
}

/// `kubectl apply edit-last-applied` and `set-last-applied`.
pub(crate) fn refuse(_: &mut Session, args: &Args) -> Step<()> {
    let verb = args.command.trim_start_matches("kubectl ");
    Err(Failure::message(format!("kubectl {verb} is not simulated")).into())
}
