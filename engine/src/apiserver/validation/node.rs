//! Nodes.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateNode, ValidateNodeUpdate). Left out:
//! dual-stack pod ranges, config sources, annotations of old times.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSpec};

use super::field::{Errors, Path};
use super::print::json;
use super::{metadata, names, resources, scheduling};

const SPEC: Path<'static> = Path::root("spec");
const STATUS: Path<'static> = Path::root("status");
const METADATA: Path<'static> = Path::root("metadata");

/// A node to be created.
pub(super) fn create(node: &Node, errors: &mut Errors) {
    metadata::create(&node.metadata, false, names::object_name, errors);
    let nothing = NodeSpec::default();
    let spec = node.spec.as_ref().unwrap_or(&nothing);
    // Kubernetes names the taints as if they were metadata.
    scheduling::taints(spec.taints.as_deref().unwrap_or_default(), &METADATA.child("taints"), errors);
    quantities(node, errors);
    let path = SPEC.child("podCIDRs");
    let ranges = spec.pod_cidrs.as_deref().unwrap_or_default();
    for (index, range) in ranges.iter().enumerate() {
        errors.invalid_each(&path.index(index), range, &names::cidr(range));
    }
    if ranges.len() > 1 && (ranges.len() > 2 || ranges[0].contains(':') == ranges[1].contains(':')) {
        errors.invalid(&path, json(ranges), "may specify no more than one CIDR for each IP family");
    }
}

/// A change of a node.
pub(super) fn update(new: &Node, old: &Node, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    quantities(new, errors);
    let addresses = new.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let path = STATUS.child("addresses");
    let mut seen = BTreeMap::new();
    for (index, address) in addresses.iter().enumerate() {
        if seen.insert((&address.type_, &address.address), index).is_some() {
            let value = format!("{{\"Type\":{},\"Address\":{}}}", json(&address.type_).0, json(&address.address).0);
            errors.duplicate(&path.index(index), super::print::Json(value));
        }
    }
    let nothing = NodeSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    let ranges = |spec: &NodeSpec| spec.pod_cidrs.clone().unwrap_or_default();
    if !ranges(old).is_empty() && ranges(old) != ranges(spec) {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(&SPEC.child("podCIDRs"), detail);
    }
    if old.provider_id.as_ref().is_some_and(|id| !id.is_empty()) && old.provider_id != spec.provider_id {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&SPEC.child("providerID"), detail);
    }
    scheduling::taints(spec.taints.as_deref().unwrap_or_default(), &METADATA.child("taints"), errors);
}

fn quantities(node: &Node, errors: &mut Errors) {
    let Some(status) = &node.status else { return };
    for (field, list) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
        let path = STATUS.child(field);
        for (name, quantity) in resources::list(list.as_ref()) {
            resources::value(name, quantity, &path.child(name), errors);
        }
    }
}
