//! What a KubeletConfiguration says, as far as it is modelled: the same for all nodes of a cluster.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/apis/config/v1beta1/{defaults,defaults_linux}.go,
//! pkg/kubelet/eviction/{defaults_linux,helpers}.go (ParseThresholdConfig). Left out: thresholds of inodes and of a separate
//! container filesystem.

use crate::kernel::Duration;
use crate::objects::quantity::{Format, Quantity};

/// A KubeletConfiguration.
#[derive(Clone, PartialEq, Debug)]
pub struct KubeletConfiguration {
    /// Most pulls at once where they are not serialized; `None`: no limit. – maxParallelImagePulls, none.
    pub max_parallel_image_pulls: Option<u32>,
    /// Share of an image that it has in common with the others of its repository: layers a node need not pull twice.
    /// [per mille] – none of Kubernetes' own; 0, every image is one layer.
    pub shared_layers: u64,
    /// Pulls a second, and at once. – registryPullQPS 5, registryBurst 10; a rate of 0 is no limit.
    pub registry_pull: (u32, u32),
    /// Use of the images' disk above which images are deleted, and below which that ends. [%] –
    /// imageGCHighThresholdPercent 85, imageGCLowThresholdPercent 80.
    pub image_gc: (u64, u64),
    /// Younger images are kept. – imageMinimumGCAge, 2 min.
    pub image_minimum_age: Duration,
    /// When pods are evicted. – evictionHard, evictionSoft, evictionSoftGracePeriod, evictionMinimumReclaim.
    pub thresholds: Vec<Threshold>,
    /// Longest grace of a pod that a soft threshold evicts. [s] – evictionMaxPodGracePeriod, 0.
    pub eviction_max_pod_grace: u64,
    /// How long a node's pressure is reported after it was last seen. – evictionPressureTransitionPeriod, 5 min.
    pub pressure_transition: Duration,
    /// How long a node's shutdown waits for its pods, in all. – shutdownGracePeriod, 0: it does not.
    pub shutdown_grace: Duration,
    /// How much of that is for critical pods. – shutdownGracePeriodCriticalPods, 0.
    pub shutdown_grace_critical: Duration,
}

/// A point below which pods are evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threshold {
    /// What is looked at.
    pub signal: Signal,
    /// What there must be at least.
    pub value: Amount,
    /// How long it may be missed; zero is a hard threshold.
    pub grace: Duration,
    /// What there must be above `value` until enough is reclaimed.
    pub reclaim: Amount,
}

/// What the kubelet looks at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Signal {
    /// `memory.available`
    Memory,
    /// `nodefs.available`
    NodeFs,
    /// `imagefs.available`
    ImageFs,
    /// `pid.available`
    Pid,
}

/// An amount, absolute or of the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// Bytes, or processes.
    Of(i64),
    /// Of the capacity. [per mille]
    Share(i64),
}

/// What a node reports under pressure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Pressure {
    /// `MemoryPressure`
    Memory,
    /// `DiskPressure`
    Disk,
    /// `PIDPressure`
    Pid,
}

impl Default for KubeletConfiguration {
    fn default() -> Self {
        KubeletConfiguration {
            max_parallel_image_pulls: None,
            shared_layers: 0,
            registry_pull: (5, 10),
            image_gc: (85, 80),
            image_minimum_age: Duration::from_secs(120),
            thresholds: vec![
                Threshold::hard(Signal::Memory, Amount::Of(100 << 20)),
                Threshold::hard(Signal::NodeFs, Amount::Share(100)),
                Threshold::hard(Signal::ImageFs, Amount::Share(150)),
            ],
            eviction_max_pod_grace: 0,
            pressure_transition: Duration::from_secs(300),
            shutdown_grace: Duration::ZERO,
            shutdown_grace_critical: Duration::ZERO,
        }
    }
}

impl Threshold {
    /// A hard threshold.
    pub fn hard(signal: Signal, value: Amount) -> Self {
        Threshold { signal, value, grace: Duration::ZERO, reclaim: Amount::Of(0) }
    }

    /// Whether it is crossed when this much of `capacity` is there, and, while something is being reclaimed, not yet enough.
    pub fn crossed(&self, available: i64, capacity: i64, reclaiming: bool) -> bool {
        let reclaim = if reclaiming { self.reclaim.of(capacity) } else { 0 };
        available < self.value.of(capacity).saturating_add(reclaim)
    }
}

impl Signal {
    /// All, in the order in which what is short is dealt with.
    pub const ALL: [Signal; 4] = [Signal::Memory, Signal::NodeFs, Signal::ImageFs, Signal::Pid];

    /// As a KubeletConfiguration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Memory => "memory.available",
            Signal::NodeFs => "nodefs.available",
            Signal::ImageFs => "imagefs.available",
            Signal::Pid => "pid.available",
        }
    }

    /// What runs short, as messages call it.
    pub fn resource(self) -> &'static str {
        match self {
            Signal::Memory => "memory",
            Signal::NodeFs | Signal::ImageFs => "ephemeral-storage",
            Signal::Pid => "pids",
        }
    }

    /// What the node reports of it.
    pub fn pressure(self) -> Pressure {
        match self {
            Signal::Memory => Pressure::Memory,
            Signal::NodeFs | Signal::ImageFs => Pressure::Disk,
            Signal::Pid => Pressure::Pid,
        }
    }
}

impl Amount {
    /// The amount, of `capacity`.
    pub fn of(self, capacity: i64) -> i64 {
        match self {
            Amount::Of(amount) => amount,
            Amount::Share(per_mille) => {
                i64::try_from(i128::from(capacity) * i128::from(per_mille) / 1_000).unwrap_or(i64::MAX)
            }
        }
    }

    /// Reads `100Mi`, `500`, `10%` or `7.5%`; `None` if it is none of these, or below zero.
    pub fn parse(text: &str) -> Option<Amount> {
        if let Some(percent) = text.strip_suffix('%') {
            let (whole, tenth) = percent.split_once('.').unwrap_or((percent, "0"));
            let tenth =
                tenth.parse::<i64>().ok().filter(|_| tenth.len() == 1).filter(|tenth| (0..10).contains(tenth))?;
            let whole = whole.parse::<i64>().ok().filter(|whole| (0..=100).contains(whole))?;
            return Some(whole * 10 + tenth).filter(|share| *share <= 1_000).map(Amount::Share);
        }
        let quantity = Quantity::parse(text).ok().filter(|quantity| !quantity.is_negative())?;
        Some(Amount::Of(quantity.value()))
    }

    /// As people write it.
    pub fn text(self) -> String {
        match self {
            Amount::Of(bytes) => binary(bytes),
            Amount::Share(share) if share % 10 == 0 => format!("{}%", share / 10),
            Amount::Share(share) => format!("{}.{}%", share / 10, share % 10),
        }
    }
}

impl Pressure {
    /// All, in the order of the node's conditions.
    pub const ALL: [Pressure; 3] = [Pressure::Memory, Pressure::Disk, Pressure::Pid];

    /// The condition's type.
    pub fn condition(self) -> &'static str {
        match self {
            Pressure::Memory => "MemoryPressure",
            Pressure::Disk => "DiskPressure",
            Pressure::Pid => "PIDPressure",
        }
    }

    /// Reason and message of the condition, and the reason of the event when it becomes so.
    pub fn words(self, holds: bool) -> (&'static str, &'static str, &'static str) {
        match (self, holds) {
            (Pressure::Memory, true) => (
                "KubeletHasInsufficientMemory",
                "kubelet has insufficient memory available",
                "NodeHasInsufficientMemory",
            ),
            (Pressure::Memory, false) => {
                ("KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory")
            }
            (Pressure::Disk, true) => ("KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"),
            (Pressure::Disk, false) => {
                ("KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure")
            }
            (Pressure::Pid, true) => {
                ("KubeletHasInsufficientPID", "kubelet has insufficient PID available", "NodeHasInsufficientPID")
            }
            (Pressure::Pid, false) => {
                ("KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasSufficientPID")
            }
        }
    }
}

/// Bytes as Go prints a binary quantity: `50Mi`, `1`.
pub fn binary(bytes: i64) -> String {
    Quantity::from_value(bytes, Format::BinarySi).canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_printed() {
        let read = |text: &str| Amount::parse(text);
        assert_eq!(read("100Mi"), Some(Amount::Of(100 << 20)));
        assert_eq!((read("10%"), read("7.5%")), (Some(Amount::Share(100)), Some(Amount::Share(75))));
        assert_eq!([read("x"), read("-1"), read("101%"), read("1.55%")], [None; 4]);
        assert_eq!(Amount::Share(75).of(2_000), 150);
        assert_eq!([Amount::Of(50 << 20).text(), Amount::Share(75).text()], ["50Mi", "7.5%"]);
    }

    #[test]
    fn a_threshold_is_crossed_below_its_value() {
        let mut threshold = Threshold::hard(Signal::NodeFs, Amount::Share(100));
        threshold.reclaim = Amount::Of(50);
        assert!(threshold.crossed(99, 1_000, false) && !threshold.crossed(100, 1_000, false));
        assert!(threshold.crossed(149, 1_000, true) && !threshold.crossed(150, 1_000, true));
    }
}
