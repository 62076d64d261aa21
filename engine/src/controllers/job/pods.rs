//! The pods of a Job.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/{job_controller,indexed_job_utils}.go (addCompletionIndexEnvVariables,
//! addCompletionIndexAnnotation, podGenerateNameWithIndex, addIndexFailureCountAnnotation).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector};

use super::indexes::INDEX;
use super::manage::{FAILURES, IGNORED};
use super::sync::Sync;
use super::{TRACKING, policies};
use crate::controllers::pod_control;
use crate::objects::{Kind, Name, Pod, PodSpec};

/// The environment variable with a pod's index.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// The longest prefix of a generated name. [bytes]
const LONGEST_PREFIX: usize = 58;

/// A pod of the Job's template.
pub(super) fn template(sync: &Sync<'_>) -> Pod {
    let (job, template) = (&sync.inputs.job, &sync.inputs.job.compiled.template);
    let spec = if sync.indexed.is_some() {
        let mut spec = template.admitted.api.clone();
        let all = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
        all.for_each(add_variable);
        PodSpec::new(spec)
    } else {
        template.admitted.clone()
    };
    let mut pod = pod_control::pod(Kind::Job, &job.meta, template, spec, "");
    pod.meta.generate_name = Some(format!("{}-", job.meta.name).into());
    pod.meta.finalizers = Arc::new([TRACKING.into()]);
    pod
}

fn add_variable(container: &mut Container) {
    let variables = container.env.get_or_insert_default();
    if variables.iter().any(|variable| variable.name == VARIABLE) {
        return;
    }
    let field = ObjectFieldSelector {
        api_version: Some("v1".to_owned()),
        field_path: format!("metadata.annotations['{INDEX}']"),
    };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    variables.push(EnvVar { name: VARIABLE.to_owned(), value_from: Some(source), ..EnvVar::default() });
}

/// The pod of an index.
pub(super) fn indexed(sync: &Sync<'_>, template: &Pod, index: i32) -> Pod {
    let job = &sync.inputs.job.meta.name;
    let mut pod = template.clone();
    let mut spec = pod.spec.api.clone();
    spec.hostname = Some(format!("{job}-{index}"));
    pod.spec = PodSpec::new(spec);
    let end = format!("-{index}-");
    let room = LONGEST_PREFIX.saturating_sub(end.len());
    pod.meta.generate_name = Some(format!("{}{end}", &job[..job.floor_char_boundary(room)]).into());
    let number: Name = index.to_string().into();
    pod.meta.annotate(INDEX, &number);
    Arc::make_mut(&mut pod.meta.labels).insert(INDEX.into(), number);
    if sync.limit_per_index().is_some() {
        let before = sync.indexed.as_ref().and_then(|indexed| indexed.held.get(&index));
        let (counted, ignored) = before.map_or((0, 0), |before| {
            let number = |key| before.meta.annotation(key).and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
            let counts = policies::verdict(sync.spec, before).counts;
            (number(FAILURES) + i32::from(counts), number(IGNORED) + i32::from(!counts))
        });
        pod.meta.annotate(FAILURES, &counted.to_string());
        if ignored > 0 {
            pod.meta.annotate(IGNORED, &ignored.to_string());
        }
    }
    pod
}
