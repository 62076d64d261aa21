//! Made-up explanations for the gallery and for the tests of the heatmap's layout.

use wavetank_reports::explanation::{Cause, DryRun, Explanation, InVain, PluginWeight, Refusal, Rejected, Score};

/// Every model with its name.
pub fn all() -> Vec<(&'static str, Explanation)> {
    vec![
        ("why-small", small()),
        ("why-large", large()),
        ("why-preempt", preempting()),
        ("why-refused", refused()),
        ("why-empty", Explanation::default()),
    ]
}

fn plugins() -> Vec<PluginWeight> {
    let plugin = |(name, weight): (&str, i64)| PluginWeight { plugin: name.into(), weight };
    [
        ("TaintToleration", 3),
        ("NodeAffinity", 2),
        ("NodeResourcesFit", 1),
        ("VolumeBinding", 1),
        ("PodTopologySpread", 2),
        ("InterPodAffinity", 2),
        ("DynamicResources", 2),
        ("NodeResourcesBalancedAllocation", 1),
        ("ImageLocality", 1),
    ]
    .map(plugin)
    .into()
}

fn score(node: String, seed: i64) -> Score {
    let plugins = plugins();
    let rating = |place: usize| match place {
        3 | 6 => 0,
        0 => 100,
        place => (seed * 37 + place as i64 * 53) % 101,
    };
    let normalized: Vec<i64> = (0..plugins.len()).map(rating).collect();
    let total = normalized.iter().zip(&plugins).map(|(rating, plugin)| rating * plugin.weight).sum();
    Score { node, total, raw: normalized.clone(), normalized }
}

fn rejected(plugin: &str, reason: &str, count: u32, named: u32) -> Rejected {
    let nodes = (0..named).map(|node| format!("node-{node:04}")).collect();
    Rejected {
        plugin: plugin.into(),
        reasons: vec![reason.into()],
        unresolvable: count.is_multiple_of(2),
        count,
        nodes,
    }
}

fn base(pod: &str) -> Explanation {
    Explanation {
        pod: pod.into(),
        t: 12_345_678_901,
        cause: Some(Cause { t: 12_000_000_000, text: "Pod default/other deleted".into() }),
        scheduler: "default-scheduler".into(),
        attempt: 3,
        woken: "AssignedPodDelete (hint of NodeResourcesFit)".into(),
        ..Explanation::default()
    }
}

fn small() -> Explanation {
    let mut scores: Vec<Score> = (1..6).map(|node| score(format!("worker-{node}"), node)).collect();
    scores.sort_by_key(|score| -score.total);
    Explanation {
        node: scores.first().map(|score| score.node.clone()),
        nodes: 8,
        evaluated: 8,
        fitting: 5,
        plugins: plugins(),
        scores,
        rejected: vec![
            rejected("NodeUnschedulable", "node(s) were unschedulable", 1, 1),
            rejected("NodeResourcesFit", "Insufficient cpu", 2, 2),
        ],
        ..base("default/web-5b84b7447b-qbbpw")
    }
}

fn large() -> Explanation {
    let name = |node: i64| format!("ip-10-0-{node}-17.eu-central-1.compute.internal");
    let mut scores: Vec<Score> = (1..21).map(|node| score(name(node), node)).collect();
    scores.sort_by_key(|score| -score.total);
    Explanation {
        node: scores.first().map(|score| score.node.clone()),
        nodes: 5_000,
        evaluated: 4_100,
        fitting: 500,
        plugins: plugins(),
        scores,
        rejected: vec![
            rejected("TaintToleration", "node(s) had untolerated taint(s)", 1_700, 20),
            rejected("NodeResourcesFit", "Insufficient cpu", 1_501, 20),
            rejected("PodTopologySpread", "node(s) didn't match pod topology spread constraints", 399, 20),
        ],
        ..base("a-namespace-with-a-long-name/a-deployment-with-an-even-longer-name-5b84b7447b-qbbpw")
    }
}

fn preempting() -> Explanation {
    let run = |node: &str, victims| DryRun { node: node.into(), victims, violations: 1, highest: 100 };
    Explanation {
        message: "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available"
            .repeat(3),
        nodes: 3,
        evaluated: 3,
        rejected: vec![rejected("NodeResourcesFit", "Insufficient cpu", 3, 3)],
        nominated: Some("node-0001".into()),
        victims: (0..30).map(|pod| format!("default/low-priority-{pod}")).collect(),
        candidates: vec![run("node-0001", 30), run("node-0002", 31)],
        in_vain: vec![InVain { reasons: vec!["Insufficient memory".into()], count: 1, nodes: vec!["node-0000".into()] }],
        ..base("default/vip")
    }
}

fn refused() -> Explanation {
    let reason = "pod affinity terms conflict".into();
    Explanation { nodes: 3, refused: Some(Refusal { plugin: "NodeAffinity".into(), reason }), ..base("default/odd") }
}
