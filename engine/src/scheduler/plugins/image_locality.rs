//! ImageLocality: better a node that has the pod's images already, but not so much that they never spread.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/imagelocality/image_locality.go.

use super::super::cache::nodes::Nodes;
use super::super::framework::MAX_SCORE;
use super::Candidate;
use crate::objects::meta::Name;
use crate::objects::pod_terms::PodTerms;

/// The pod's images that some node has, and what each is worth.
pub struct ImageLocality<'a> {
    images: Vec<(&'a Name, i64)>,
    /// Number of init and app containers.
    containers: i64,
}

const MIB: i64 = 1024 * 1024;
/// Images worth less in all count for nothing. Kubernetes: minThreshold. [bytes]
const MIN: i64 = 23 * MIB;
/// Images worth more per container count for no more. Kubernetes: maxContainerThreshold. [bytes]
const MAX_PER_CONTAINER: i64 = 1000 * MIB;

impl<'a> ImageLocality<'a> {
    /// Concerns every pod. An image is worth its size times the share of nodes that have it.
    pub fn pre_score(pod: &'a PodTerms, nodes: &Nodes) -> Self {
        let all = nodes.len() as f64;
        let worth = |image: &'a Name| {
            let state = nodes.image(image)?;
            Some((image, (state.size as f64 * (f64::from(state.nodes) / all)) as i64))
        };
        let images = pod.images.iter().filter_map(worth).collect();
        ImageLocality { images, containers: i64::from(pod.containers) }
    }

    /// The worth of the images the node has, between the bounds.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        let has = |image: &Name| candidate.terms.images.iter().any(|(name, _)| name == image);
        let there = self.images.iter().filter(|(image, _)| has(image));
        let worth = there.fold(0, |sum: i64, (_, worth)| sum.saturating_add(*worth));
        let max = MAX_PER_CONTAINER * self.containers;
        // A pod without containers has no scale; there is none.
        if max <= MIN { 0 } else { MAX_SCORE * (worth.clamp(MIN, max) - MIN) / (max - MIN) }
    }
}
