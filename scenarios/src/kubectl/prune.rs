//! `kubectl apply --prune`: deletes what an earlier apply made and this one has not.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/apply/prune.go, pkg/util/prune/prune.go.
//! Left out: ApplySets.

use serde_json::{Value, json};

use super::apply::LAST_APPLIED;
use super::errors::Failure;
use super::flags::{Args, DryRun};
use super::json::{name, namespace, pairs, text};
use super::resources::Resource;
use super::session::{Session, Step};
use super::{ApiCall, ApiVerb, builder};

/// What is pruned without --prune-allowlist, namespaced kinds first as they are asked for.
const DEFAULT: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "Endpoints"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "Ingress"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
];

/// What --prune needs besides.
pub(crate) fn check(args: &Args) -> Result<(), Failure> {
    match args.bool("prune") && !args.bool("all") && args.given("selector").is_none() {
        true => Err(Failure::message(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the \
             --all flag. If you did not mean to prune all resources, specify a label selector",
        )),
        false => Ok(()),
    }
}

/// Deletes the objects that `applied` has not.
pub(crate) fn prune(session: &mut Session, args: &Args, applied: &[Value], dry_run: DryRun) -> Step<()> {
    let kinds = kinds(args)?;
    let mut places: Vec<&str> = applied.iter().map(namespace).filter(|place| !place.is_empty()).collect();
    places.sort_unstable();
    places.dedup();
    let kept: Vec<&str> = applied.iter().map(|object| text(object, "/metadata/uid")).collect();
    for place in places {
        for resource in kinds.iter().filter(|resource| resource.namespaced) {
            prune_kind(session, args, resource, Some(place), &kept, dry_run)?;
        }
    }
    for resource in kinds.iter().filter(|resource| !resource.namespaced) {
        // Without --namespace all that is cluster-scoped is looked at too.
        if session.globals.namespace.is_none() {
            prune_kind(session, args, resource, None, &kept, dry_run)?;
        }
    }
    Ok(())
}

fn kinds(args: &Args) -> Result<Vec<Resource>, Failure> {
    let listed = args.list("prune-allowlist");
    let of = |version: &str, kind: &str| Resource::of_manifest(version, kind);
    if listed.is_empty() {
        return Ok(DEFAULT.iter().filter_map(|(version, kind)| of(version, kind)).collect());
    }
    let kinds = listed.iter().map(|spec| {
        let parts: Vec<&str> = spec.split('/').collect();
        let [group, version, kind] = parts.as_slice() else {
            return Err(Failure::message(format!(
                "invalid GroupVersionKind format: {spec}, please follow <group/version/kind>"
            )));
        };
        let api_version = if *group == "core" { version.to_string() } else { format!("{group}/{version}") };
        of(&api_version, kind)
            .ok_or_else(|| Failure::message(format!("no matches for kind \"{kind}\" in version \"{api_version}\"")))
    });
    kinds.collect()
}

fn prune_kind(
    session: &mut Session,
    args: &Args,
    resource: &Resource,
    place: Option<&str>,
    kept: &[&str],
    dry_run: DryRun,
) -> Step<()> {
    let call = ApiCall { label_selector: args.given("selector"), ..resource.call(ApiVerb::List, place) };
    let found = session.list(call)?;
    let was_applied =
        |object: &Value| pairs(object, "/metadata/annotations").iter().any(|(key, _)| *key == LAST_APPLIED);
    let gone: Vec<Value> = builder::items(resource, &found)
        .filter(|object| was_applied(object) && !kept.contains(&text(object, "/metadata/uid")))
        .collect();
    for object in &gone {
        if dry_run != DryRun::Client {
            let call = ApiCall {
                name: Some(name(object).into()),
                body: Some(json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"})),
                dry_run: dry_run == DryRun::Server,
                ..resource.call(ApiVerb::Delete, place)
            };
            session.call(call)?;
        }
        if args.text("output").is_empty() {
            let full_name = format!("{}/{}", resource.kind_group(), name(object));
            session.print_line(&format!("{full_name} pruned{}", dry_run.suffix()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake_server::FakeServer;

    fn manifest(names: &[&str]) -> String {
        let one = |name: &&str| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{app: shop}}}}\n---\n")
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn what_the_new_manifest_lacks_is_deleted() {
        let mut server = FakeServer::default();
        server.kubectl_with("apply -f -", Some(&manifest(&["a", "b"])));
        server.kubectl("create configmap made-by-hand");
        let line = "apply -f - --prune -l app=shop --prune-allowlist=core/v1/ConfigMap";
        let printed = server.kubectl_with(line, Some(&manifest(&["a"])));
        assert_eq!(printed.stdout, "configmap/a unchanged\nconfigmap/b pruned\n");
        assert!(server.objects.contains_key("configmaps/default/made-by-hand"));
        let all = server.kubectl_with("apply -f - --prune", Some(&manifest(&["a"])));
        assert!(all.stderr.starts_with("error: all resources selected for prune without explicitly passing --all"));
    }
}
