//! Kinds that clusters have only from some moment on: custom resources, and the kinds by which a cluster is extended.
//!
//! A cluster that is not extended must not pay for that it could be, so the kinds of the second sort are served, watched and cached from
//! their first use on. A kind that a CustomResourceDefinition brings lives as long as the program: its names are few bytes, and everybody
//! who has a [`Kind`] can say what it is called. Two definitions of the same content are the same kind, whoever made them, so
//! that runs which were forked agree.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1/types.go (CustomResourceDefinitionNames),
//! pkg/registry/customresource/etcd.go (keys in etcd: `/registry/GROUP/PLURAL/`).

use super::Kind;

/// What such a kind is called.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Definition {
    /// `example.com`
    pub group: &'static str,
    /// `crontabs`
    pub plural: &'static str,
    /// `CronTab`
    pub kind: &'static str,
    /// `crontab`
    pub singular: &'static str,
    /// `CronTabList`
    pub list: &'static str,
    /// `v1`: the version in which objects are stored and shown.
    pub version: &'static str,
    /// `example.com/v1`
    pub api_version: &'static str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// `ct`, …
    pub short: &'static [&'static str],
    /// `all`, …
    pub categories: &'static [&'static str],
}

/// The names of a kind that is to be defined.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// `example.com`
    pub group: &'a str,
    /// `v1`
    pub version: &'a str,
    /// `crontabs`
    pub plural: &'a str,
    /// `crontab`
    pub singular: &'a str,
    /// `CronTab`
    pub kind: &'a str,
    /// `CronTabList`
    pub list: &'a str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

impl Definition {
    /// A new kind.
    pub fn kind(names: Names<'_>, short: &[&str], categories: &[&str]) -> Kind {
        let all = |texts: &[&str]| -> &'static [&'static str] {
            Box::leak(texts.iter().map(|text| kept(text)).collect::<Vec<_>>().into_boxed_slice())
        };
        Kind::Custom(Box::leak(Box::new(Definition {
            group: kept(names.group),
            plural: kept(names.plural),
            kind: kept(names.kind),
            singular: kept(names.singular),
            list: kept(names.list),
            version: kept(names.version),
            api_version: kept(&format!("{}/{}", names.group, names.version)),
            namespaced: names.namespaced,
            short: all(short),
            categories: all(categories),
        })))
    }

    /// Whether the API server has the kind without anybody defining it.
    pub fn built_in(&self) -> bool {
        matches!(self.group, "apiextensions.k8s.io" | "admissionregistration.k8s.io")
    }
}

/// A text that stays.
fn kept(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

const fn extension(
    group: &'static str,
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    list: &'static str,
) -> Definition {
    const CATEGORIES: &[&str] = &["api-extensions"];
    let api_version = match group.as_bytes() {
        [b'a', b'p', ..] => "apiextensions.k8s.io/v1",
        _ => "admissionregistration.k8s.io/v1",
    };
    let version = "v1";
    Definition {
        group,
        plural,
        kind,
        singular,
        list,
        version,
        api_version,
        namespaced: false,
        short: &[],
        categories: CATEGORIES,
    }
}

const CRD: Definition = Definition {
    short: &["crd", "crds"],
    ..extension(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "customresourcedefinition",
        "CustomResourceDefinition",
        "CustomResourceDefinitionList",
    )
};
const MUTATING: Definition = extension(
    "admissionregistration.k8s.io",
    "mutatingwebhookconfigurations",
    "mutatingwebhookconfiguration",
    "MutatingWebhookConfiguration",
    "MutatingWebhookConfigurationList",
);
const VALIDATING: Definition = extension(
    "admissionregistration.k8s.io",
    "validatingwebhookconfigurations",
    "validatingwebhookconfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingWebhookConfigurationList",
);

impl Kind {
    /// apiextensions.k8s.io/v1 CustomResourceDefinition
    pub const CRD: Kind = Kind::Custom(&CRD);
    /// admissionregistration.k8s.io/v1 MutatingWebhookConfiguration
    pub const MUTATING_WEBHOOKS: Kind = Kind::Custom(&MUTATING);
    /// admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration
    pub const VALIDATING_WEBHOOKS: Kind = Kind::Custom(&VALIDATING);
    /// The kinds by which a cluster is extended.
    pub const EXTENSIONS: [Kind; 3] = [Kind::CRD, Kind::MUTATING_WEBHOOKS, Kind::VALIDATING_WEBHOOKS];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_definitions_of_the_same_content_are_the_same_kind() {
        let names = Names {
            group: "example.com",
            version: "v1",
            plural: "crontabs",
            singular: "crontab",
            kind: "CronTab",
            list: "CronTabList",
            namespaced: true,
        };
        let (a, b) = (Definition::kind(names, &["ct"], &[]), Definition::kind(names, &["ct"], &[]));
        assert_eq!((a, a.cmp(&b)), (b, std::cmp::Ordering::Equal));
        assert_ne!(a, Definition::kind(Names { namespaced: false, ..names }, &["ct"], &[]));
        assert_eq!((a.qualified(), a.api_version()), ("crontabs.example.com".to_owned(), "example.com/v1"));
        assert_eq!((a.key_prefix(), a.short()), ("/registry/example.com/crontabs/".to_owned(), Some("ct")));
        assert_eq!(Kind::MUTATING_WEBHOOKS.api_version(), "admissionregistration.k8s.io/v1");
        assert_eq!(Kind::CRD.qualified(), "customresourcedefinitions.apiextensions.k8s.io");
    }
}
