//! Kinds of which a cluster has few: their content is kept in the field's own types, behind an `Arc`.
//!
//! What a hot path would otherwise compute again and again (selectors, the admitted template) is compiled once beside it. Metadata is
//! compact, as everywhere. The kinds with a representation of their own (pods, nodes, deployments, …) are in the other files.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{self as core, PodSpec};
use k8s_openapi::api::{apps::v1 as apps, batch::v1 as batch, policy::v1 as policy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Object;
use super::compact;
use super::kind::Kind;
use super::labels;
use super::meta::ObjectMeta;
use super::pod::PodTemplate;
use super::selector::Selector;

/// What admission does to the spec of a pod made from a template.
pub type Admit<'a> = &'a dyn Fn(&mut PodSpec);

/// An object in the field's own type.
#[derive(Clone, Debug)]
pub struct Resource<T: Api> {
    /// Metadata.
    pub meta: ObjectMeta,
    /// Everything else; its metadata is empty.
    pub api: Arc<T>,
    /// What is computed from it.
    pub compiled: Arc<T::Compiled>,
}

impl<T: Api> PartialEq for Resource<T> {
    fn eq(&self, other: &Self) -> bool {
        self.meta == other.meta && super::pod::same(&self.api, &other.api)
    }
}

/// What can be the content of a [`Resource`].
pub trait Api:
    Metadata<Ty = meta::ObjectMeta> + Clone + PartialEq + Debug + Default + Serialize + DeserializeOwned
{
    /// What is computed once.
    type Compiled: Compile<Self>;
    /// Its kind.
    const KIND_OF: Kind;
    /// Whether `metadata.generation` counts changes of what is wanted.
    const GENERATION: bool;

    /// What is wanted, without what is reported.
    fn without_status(&self) -> Self;
    /// Takes over what `other` reports.
    fn adopt_status(&mut self, other: &Self);
}

/// Where a kind's objects are among all.
pub trait Cast: Api {
    /// The object, if it is of this kind.
    fn cast(object: &Object) -> Option<&Resource<Self>>;
    /// The object as any other.
    fn wrap(resource: Resource<Self>) -> Object;
}

/// What is computed once from the content of a resource.
pub trait Compile<T>: Clone + Debug + Sized {
    /// Computes it.
    fn compile(api: &T, admit: Admit<'_>) -> Self;
}

impl<T> Compile<T> for () {
    fn compile(_: &T, _: Admit<'_>) {}
}

/// Which pods an object selects.
#[derive(Clone, Debug)]
pub struct Selects(pub Selector);

/// The pods of a workload: which are its own, and what they look like.
#[derive(Clone, Debug)]
pub struct Pods {
    /// Which are its own.
    pub selector: Selector,
    /// What they look like.
    pub template: PodTemplate,
}

impl<T: Api> Resource<T> {
    /// The compact form of a decoded, defaulted object.
    pub fn new(mut api: T, admit: Admit<'_>) -> Self {
        let meta = compact::metadata(api.metadata());
        *api.metadata_mut() = meta::ObjectMeta::default();
        let compiled = Arc::new(T::Compiled::compile(&api, admit));
        Resource { meta, api: Arc::new(api), compiled }
    }

    /// The object as JSON, but for its metadata.
    pub fn content(&self) -> Value {
        serde_json::to_value(&*self.api).unwrap_or_default()
    }

    /// This object with a changed status; everything else stays.
    pub fn with_status(&self, change: impl FnOnce(&mut T)) -> Self {
        let mut next = self.clone();
        change(Arc::make_mut(&mut next.api));
        next
    }
}

/// Calls a macro with a row per kind: variant, type, what is compiled, whether it has a status, whether it has a generation.
macro_rules! resources {
    ($then:ident) => {
        $then! {
            Service, k8s_openapi::api::core::v1::Service, Selects, status, false;
            Endpoints, k8s_openapi::api::core::v1::Endpoints, (), none, false;
            Secret, k8s_openapi::api::core::v1::Secret, (), none, false;
            PersistentVolume, k8s_openapi::api::core::v1::PersistentVolume, (), status, false;
            PersistentVolumeClaim, k8s_openapi::api::core::v1::PersistentVolumeClaim, (), status, false;
            ResourceQuota, k8s_openapi::api::core::v1::ResourceQuota, (), status, false;
            LimitRange, k8s_openapi::api::core::v1::LimitRange, (), none, false;
            ReplicationController, k8s_openapi::api::core::v1::ReplicationController, (), status, true;
            PodTemplate, k8s_openapi::api::core::v1::PodTemplate, (), none, true;
            StatefulSet, k8s_openapi::api::apps::v1::StatefulSet, Pods, status, true;
            DaemonSet, k8s_openapi::api::apps::v1::DaemonSet, Pods, status, true;
            ControllerRevision, k8s_openapi::api::apps::v1::ControllerRevision, (), none, false;
            Job, k8s_openapi::api::batch::v1::Job, Pods, status, true;
            CronJob, k8s_openapi::api::batch::v1::CronJob, Pods, status, true;
            EndpointSlice, k8s_openapi::api::discovery::v1::EndpointSlice, (), none, true;
            PodDisruptionBudget, k8s_openapi::api::policy::v1::PodDisruptionBudget, Selects, status, true;
            HorizontalPodAutoscaler, k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler, (), status, false;
            PriorityClass, k8s_openapi::api::scheduling::v1::PriorityClass, (), none, true;
            StorageClass, k8s_openapi::api::storage::v1::StorageClass, (), none, false;
            CSIStorageCapacity, k8s_openapi::api::storage::v1::CSIStorageCapacity, (), none, false;
            Ingress, k8s_openapi::api::networking::v1::Ingress, (), status, true;
            IngressClass, k8s_openapi::api::networking::v1::IngressClass, (), none, true;
            NetworkPolicy, k8s_openapi::api::networking::v1::NetworkPolicy, (), none, true;
            IPAddress, k8s_openapi::api::networking::v1::IPAddress, (), none, false;
            Role, k8s_openapi::api::rbac::v1::Role, (), none, false;
            RoleBinding, k8s_openapi::api::rbac::v1::RoleBinding, (), none, false;
            ClusterRole, k8s_openapi::api::rbac::v1::ClusterRole, (), none, false;
            ClusterRoleBinding, k8s_openapi::api::rbac::v1::ClusterRoleBinding, (), none, false;
            ResourceClaim, k8s_openapi::api::resource::v1::ResourceClaim, (), status, false;
            ResourceClaimTemplate, k8s_openapi::api::resource::v1::ResourceClaimTemplate, (), none, false;
        }
    };
}
pub(crate) use resources;

macro_rules! implement {
    ($($variant:ident, $type:ty, $compiled:ty, $status:ident, $generation:literal;)*) => {$(
        impl Api for $type {
            type Compiled = $compiled;
            const KIND_OF: Kind = Kind::$variant;
            const GENERATION: bool = $generation;

            implement!(@$status);
        }
    )*};
    (@status) => {
        fn without_status(&self) -> Self {
            Self { status: None, ..self.clone() }
        }

        fn adopt_status(&mut self, other: &Self) {
            self.status = other.status.clone();
        }
    };
    (@none) => {
        fn without_status(&self) -> Self {
            self.clone()
        }

        fn adopt_status(&mut self, _: &Self) {}
    };
}
resources!(implement);

impl Compile<core::Service> for Selects {
    fn compile(service: &core::Service, _: Admit<'_>) -> Self {
        let selector =
            service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).filter(|labels| !labels.is_empty());
        Selects(selector.map_or(Selector::nothing(), |labels| Selector::from_labels(&labels::from_api(Some(labels)))))
    }
}

impl Compile<policy::PodDisruptionBudget> for Selects {
    fn compile(budget: &policy::PodDisruptionBudget, _: Admit<'_>) -> Self {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        Selects(Selector::from_api(selector).unwrap_or(Selector::nothing()))
    }
}

impl Pods {
    fn new(selector: Option<&meta::LabelSelector>, template: &core::PodTemplateSpec, admit: Admit<'_>) -> Self {
        let selector = Selector::from_api(selector).unwrap_or(Selector::nothing());
        Pods { selector, template: compact::template(template, admit) }
    }
}

impl Compile<apps::StatefulSet> for Pods {
    fn compile(set: &apps::StatefulSet, admit: Admit<'_>) -> Self {
        let spec = set.spec.clone().unwrap_or_default();
        Pods::new(Some(&spec.selector), &spec.template, admit)
    }
}

impl Compile<apps::DaemonSet> for Pods {
    fn compile(set: &apps::DaemonSet, admit: Admit<'_>) -> Self {
        let spec = set.spec.clone().unwrap_or_default();
        Pods::new(Some(&spec.selector), &spec.template, admit)
    }
}

impl Compile<batch::Job> for Pods {
    fn compile(job: &batch::Job, admit: Admit<'_>) -> Self {
        let spec = job.spec.clone().unwrap_or_default();
        Pods::new(spec.selector.as_ref(), &spec.template, admit)
    }
}

impl Compile<batch::CronJob> for Pods {
    fn compile(job: &batch::CronJob, admit: Admit<'_>) -> Self {
        let spec = job.spec.job_template.spec.clone().unwrap_or_default();
        Pods::new(None, &spec.template, admit)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_apart_and_compiled_things_do_not_count_for_equality() {
        let value = json!({
            "metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        });
        let service: core::Service = serde_json::from_value(value).expect("a service");
        let resource = Resource::new(service, &|_| {});
        assert_eq!((&*resource.meta.name, resource.content()["metadata"].clone()), ("web", json!({})));
        let labels = labels::from_api(Some(&[("app".to_owned(), "web".to_owned())].into()));
        assert!(resource.compiled.0.matches(&labels));
        let other = Resource { compiled: Arc::new(Selects(Selector::nothing())), ..resource.clone() };
        assert_eq!(resource, other);
        let reported = resource.with_status(|api| api.status = Some(Default::default()));
        assert_ne!(resource, reported);
        assert_eq!(resource.api.without_status(), reported.api.without_status());
    }
}
