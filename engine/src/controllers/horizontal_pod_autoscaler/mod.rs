//! The HorizontalPodAutoscaler controller: as many pods as the measured load asks for.
//!
//! Reading order: `replicas` (from metrics to a number of replicas), `normalize` (what of that may be done now: stabilisation, rates,
//! bounds).
//!
//! Models: kubernetes v1.36.2 pkg/controller/podautoscaler/horizontal.go.

pub mod normalize;
pub mod replicas;
