//! `kubectl create deployment`, `job` and `cronjob`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/{create_deployment,create_job,
//! create_cronjob}.go.

use serde_json::{Value, json};

use super::super::builder::targets;
use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::json::{name, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step};
use super::{generated, the_name};

pub(crate) const DEPLOYMENT_FLAGS: &[Flag] =
    &[("image", ' ', Takes::List), ("port", ' ', Takes::Int(32)), ("replicas", 'r', Takes::Int(32))];

/// `kubectl create deployment NAME --image=…`
pub(crate) fn deployment(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["image"])?;
    let name = the_name(args)?;
    let (images, command) = (args.list("image"), args.after_dash.clone().unwrap_or_default());
    if images.len() > 1 && !command.is_empty() {
        return Err(Failure::message("cannot specify multiple --image options and command").into());
    }
    let replicas = args.int("replicas").unwrap_or(1);
    if replicas < 0 {
        return Err(
            Failure::message(format!("--replicas={replicas} is invalid: must be greater than or equal to 0")).into()
        );
    }
    let mut containers: Vec<Value> =
        images.iter().map(|image| container(&container_name(image), image, &command)).collect();
    if let (Some(port), Some(first)) = (args.int("port").filter(|p| *p >= 0), containers.first_mut()) {
        first["ports"] = json!([{"containerPort": port}]);
    }
    let labels = json!({"app": name});
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"labels": labels, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    });
    generated(session, args, &Resource::DEPLOYMENTS, object, "failed to create deployment:")
}

fn container(name: &str, image: &str, command: &[String]) -> Value {
    let mut container = json!({"image": image, "name": name, "resources": {}});
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    container
}

/// The base name of an image, without tag and digest, with what a container's name may not hold replaced.
fn container_name(image: &str) -> String {
    let base = image.rsplit('/').next().unwrap_or(image);
    let base = base.split('@').next().unwrap_or(base);
    let base = base.split(':').next().unwrap_or(base);
    base.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

pub(crate) const JOB_FLAGS: &[Flag] = &[("image", ' ', Takes::Text), ("from", ' ', Takes::Text)];

/// `kubectl create job NAME --image=…` or `--from=cronjob/…`
pub(crate) fn job(session: &mut Session, args: &Args) -> Step<()> {
    // Without a NAME flags are not looked at; with one, the image is asked for first.
    let job_name = the_name(args)?;
    let (image, from, command) = (args.text("image"), args.text("from"), args.after_dash.clone().unwrap_or_default());
    if image.is_empty() == from.is_empty() {
        return Err(Failure::message("either --image or --from must be specified").into());
    }
    if !command.is_empty() && !from.is_empty() {
        return Err(Failure::message("cannot specify --from and command").into());
    }
    let mut object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job_name}, "status": {}});
    if from.is_empty() {
        let spec = json!({"containers": [container(job_name, image, &command)], "restartPolicy": "Never"});
        object["spec"] = json!({"template": {"metadata": {}, "spec": spec}});
    } else {
        let cron_job = cron_job_of(session, from)?;
        let template = cron_job.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
        let mut annotations = template.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
        annotations["cronjob.kubernetes.io/instantiate"] = "manual".into();
        object["metadata"]["annotations"] = annotations;
        if let Some(labels) = template.pointer("/metadata/labels") {
            object["metadata"]["labels"] = labels.clone();
        }
        object["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "controller": true,
            "kind": "CronJob", "name": name(&cron_job), "uid": text(&cron_job, "/metadata/uid")}]);
        object["spec"] = template.get("spec").cloned().unwrap_or_default();
    }
    generated(session, args, &Resource::JOBS, object, "failed to create job:")
}

fn cron_job_of(session: &mut Session, from: &str) -> Step<Value> {
    let words: Vec<String> = from.split(' ').map(str::to_string).collect();
    let targets = targets(&words, &[])?;
    let Some((resource, Some(name))) = targets.first().map(|t| (t.resource, t.name.clone())) else {
        return Err(Failure::message("from must be an existing cronjob").into());
    };
    let namespace = session.globals.namespace().to_string();
    let object = session.get_info(&resource, Some(&namespace), &name)?.clone();
    if resource != Resource::CRONJOBS {
        return Err(Failure::message(format!("unknown object type *v1.{}", resource.kind)).into());
    }
    Ok(object)
}

pub(crate) const CRON_JOB_FLAGS: &[Flag] =
    &[("image", ' ', Takes::Text), ("schedule", ' ', Takes::Text), ("restart", ' ', Takes::Text)];

/// `kubectl create cronjob NAME --image=… --schedule=…`
pub(crate) fn cron_job(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["image", "schedule"])?;
    let name = the_name(args)?;
    let command = args.after_dash.clone().unwrap_or_default();
    let restart = args.given("restart").unwrap_or_else(|| "OnFailure".into());
    let spec = json!({"containers": [container(name, args.text("image"), &command)], "restartPolicy": restart});
    let job = json!({"metadata": {"name": name}, "spec": {"template": {"metadata": {}, "spec": spec}}});
    let object = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"jobTemplate": job, "schedule": args.text("schedule")},
        "status": {},
    });
    generated(session, args, &Resource::CRONJOBS, object, "failed to create cronjob:")
}

#[cfg(test)]
mod tests {
    use super::container_name;

    #[test]
    fn containers_are_named_after_their_image() {
        assert_eq!(container_name("registry.test:5000/team/web_app:v1"), "web-app");
        assert_eq!(container_name("nginx@sha256:abc"), "nginx");
    }
}
