//! The axis of time: where an instant lies on the picture.
//!
//! A run lasts a minute, the action comes in bursts of a tenth of a second. So idle stretches are cut out where that helps:
//! the axis is a row of *windows*, each on one scale, with *breaks* of fixed width between them. Cuts are chosen greedily:
//! the next cut is the one that makes the most neighbouring instants distinguishable, as long as it is worth the width of
//! its break; where no single cut is, two are tried together, as a burst amid idle time needs. All windows share one scale if that shows nearly as much as giving crowded windows more room.
//!
//! The mapping is monotone and continuous (a break has a scale too), so bars that cross a break just run through it.

use crate::theme::TimeAxis;

/// Most cuts in one axis: more would be a strip of snippets.
const CUTS: usize = 8;
/// Width of a break. [px]
const BREAK: f64 = 46.0;
/// Least width of a window. [px]
const WINDOW: f64 = 76.0;
/// Width of what is left of a window that holds nothing but the start or the end of the axis. [px]
const EDGE: f64 = 14.0;
/// Distance at which two instants are half as distinct as they can get. [px]
const DISTINCT: f64 = 8.0;
/// What a cut must gain in distinct pairs of instants, at least.
const CUT_COST: f64 = 0.6;
/// … plus this part of all pairs. A break makes the picture harder to read for everyone.
const CUT_COST_SHARE: f64 = 0.012;
/// One scale for all windows wins if it keeps this part of what scales of their own would show.
const UNIFORM_SHARE: f64 = 0.88;
/// Gaps considered for a cut, by length and by contrast each.
const CANDIDATES: usize = 24;
/// Gaps considered for a pair of cuts.
const PAIR_CANDIDATES: usize = 20;
/// Instants looked at: more are thinned out, as the picture has no place to tell them apart.
const INSTANTS: usize = 6_000;

/// A monotone map from instants to places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pieces: Vec<Piece>,
}

/// A stretch of the axis on one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    /// First instant. [ns]
    pub start: u64,
    /// Last instant. [ns]
    pub end: u64,
    /// Place of the first instant. [px]
    pub left: f64,
    /// Place of the last instant. [px]
    pub right: f64,
    /// What it is.
    pub kind: PieceKind,
}

/// What a stretch of the axis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// Time shown.
    Window,
    /// A sliver of time at the very start or end.
    Edge,
    /// Time cut out.
    Break,
}

impl Piece {
    fn scale(&self) -> f64 {
        (self.right - self.left) / (self.end - self.start) as f64
    }
}

impl Axis {
    /// The axis that shows `instants` best between the places `left` and `right`.
    ///
    /// `start` must be before `end`; instants outside are ignored.
    pub fn fit(instants: &[u64], (start, end): (u64, u64), (left, right): (f64, f64), how: TimeAxis) -> Axis {
        let mut instants: Vec<u64> = instants.iter().copied().filter(|&at| start < at && at < end).collect();
        instants.extend([start, end]);
        instants.sort_unstable();
        instants.dedup();
        let instants = thinned(instants);
        let fitting = Fitting { instants: &instants, left, right };
        let mut best = fitting.lay_out(&[]).unwrap_or_else(|| fitting.linear());
        if how == TimeAxis::Linear {
            return Axis { pieces: best.pieces };
        }
        let candidates = fitting.candidates();
        let cost = CUT_COST + CUT_COST_SHARE * instants.len() as f64;
        let mut cuts: Vec<usize> = Vec::new();
        while cuts.len() < CUTS {
            let single = fitting.best_of(&cuts, candidates.iter().map(|&cut| vec![cut]));
            let few = &candidates[..candidates.len().min(PAIR_CANDIDATES)];
            let pairs = few.iter().enumerate().flat_map(|(index, &a)| few[..index].iter().map(move |&b| vec![a, b]));
            let enough = |found: &(LaidOut, Vec<usize>)| {
                let added = (found.1.len() - cuts.len()) as f64;
                found.0.worth >= best.worth + cost * added
            };
            let found = single.filter(enough).or_else(|| fitting.best_of(&cuts, pairs).filter(enough));
            let Some((layout, with)) = found else { break };
            (best, cuts) = (layout, with);
        }
        Axis { pieces: best.pieces }
    }

    /// The place of an instant; instants outside the axis lie at its ends. [px]
    pub fn x(&self, instant: u64) -> f64 {
        let index = self.pieces.partition_point(|piece| piece.end < instant);
        let Some(piece) = self.pieces.get(index).or(self.pieces.last()) else { return 0.0 };
        let within = instant.clamp(piece.start, piece.end) - piece.start;
        piece.left + within as f64 * piece.scale()
    }

    /// The stretches, left to right.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The breaks, left to right.
    pub fn breaks(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| piece.kind == PieceKind::Break)
    }

    /// Whether all windows share one scale.
    pub fn is_uniform(&self) -> bool {
        let mut windows = self.pieces.iter().filter(|piece| piece.kind == PieceKind::Window);
        let Some(first) = windows.next() else { return true };
        windows.all(|piece| (piece.scale() / first.scale() - 1.0).abs() < 0.02)
    }
}

/// Every so-manieth instant, and both ends of the longest gaps.
fn thinned(instants: Vec<u64>) -> Vec<u64> {
    if instants.len() <= INSTANTS {
        return instants;
    }
    let mut gaps: Vec<usize> = (0..instants.len() - 1).collect();
    gaps.sort_by_key(|&index| (std::cmp::Reverse(instants[index + 1] - instants[index]), index));
    let ends = gaps.iter().take(INSTANTS / 8).flat_map(|&index| [index, index + 1]);
    let step = instants.len().div_ceil(INSTANTS);
    let mut kept: Vec<usize> = ends.chain((0..instants.len()).step_by(step)).chain([0, instants.len() - 1]).collect();
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| instants[index]).collect()
}

/// A choice of cuts, laid out.
struct LaidOut {
    pieces: Vec<Piece>,
    /// Sum over neighbouring instants of how distinct they are, each 0 to 1.
    worth: f64,
}

/// A window before it has a width.
struct Window {
    start: u64,
    end: u64,
    /// Instants in it.
    count: usize,
    edge: bool,
}

struct Fitting<'a> {
    instants: &'a [u64],
    left: f64,
    right: f64,
}

impl Fitting<'_> {
    fn gap(&self, index: usize) -> u64 {
        self.instants[index + 1] - self.instants[index]
    }

    /// Gaps worth trying, best first: the longest, and those much longer than the gaps on one side of them, where a burst
    /// ends.
    fn candidates(&self) -> Vec<usize> {
        let gaps: Vec<u64> = (0..self.instants.len() - 1).map(|index| self.gap(index)).collect();
        let mean = |range: &[u64]| match range.len() {
            0 => u64::MAX,
            count => range.iter().sum::<u64>() / count as u64,
        };
        let contrast = |index: usize| {
            let before = mean(&gaps[index.saturating_sub(6)..index]);
            let after = mean(&gaps[(index + 1).min(gaps.len())..(index + 7).min(gaps.len())]);
            gaps[index] as f64 / (before.min(after).max(1)) as f64
        };
        let mut by_length: Vec<usize> = (0..gaps.len()).collect();
        by_length.sort_by_key(|&index| (std::cmp::Reverse(gaps[index]), index));
        let contrasts: Vec<f64> = (0..gaps.len()).map(contrast).collect();
        let mut by_contrast: Vec<usize> = (0..gaps.len()).collect();
        by_contrast.sort_by(|&a, &b| contrasts[b].total_cmp(&contrasts[a]).then(a.cmp(&b)));
        let mut chosen: Vec<usize> = Vec::new();
        for (long, sharp) in by_length.into_iter().zip(by_contrast).take(CANDIDATES) {
            for cut in [long, sharp] {
                if !chosen.contains(&cut) {
                    chosen.push(cut);
                }
            }
        }
        chosen
    }

    /// The best way to add some cuts to those there are, and all cuts then.
    fn best_of(&self, cuts: &[usize], tries: impl Iterator<Item = Vec<usize>>) -> Option<(LaidOut, Vec<usize>)> {
        let fresh = tries.filter(|added| added.iter().all(|cut| !cuts.contains(cut)));
        let laid_out = fresh.filter_map(|mut with| {
            with.extend_from_slice(cuts);
            with.sort_unstable();
            self.lay_out(&with).map(|layout| (layout, with))
        });
        laid_out.max_by(|(a, _), (b, _)| a.worth.total_cmp(&b.worth))
    }

    fn linear(&self) -> LaidOut {
        let (start, end) = (self.instants[0], self.instants[self.instants.len() - 1]);
        let pieces = vec![Piece { start, end, left: self.left, right: self.right, kind: PieceKind::Window }];
        LaidOut { worth: self.worth(&pieces), pieces }
    }

    /// The better of one scale and a scale per window; nothing if the cuts make no sense.
    fn lay_out(&self, cuts: &[usize]) -> Option<LaidOut> {
        let windows = self.windows(cuts);
        let own = self.place(&windows, &self.own_widths(&windows)?);
        let uniform = self.uniform_widths(&windows).and_then(|widths| self.place(&windows, &widths));
        match (own, uniform) {
            (Some(own), Some(uniform)) if uniform.worth < UNIFORM_SHARE * own.worth => Some(own),
            (own, uniform) => uniform.or(own),
        }
    }

    fn windows(&self, cuts: &[usize]) -> Vec<Window> {
        let last = self.instants.len() - 1;
        let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut + 1));
        let ends = cuts.iter().copied().chain(std::iter::once(last));
        let range = self.instants[last] - self.instants[0];
        let window = |(first, final_): (usize, usize)| {
            let (start, end) = (self.instants[first], self.instants[final_]);
            let edge = first == final_ && (first == 0 || final_ == last);
            // A little air around a burst, so that its first and last event do not stick to the break.
            let air = ((end - start) / 14).max(range / 4000);
            let pad = |gap: u64| if edge { (gap / 100).max(1) } else { air.min(gap / 5) };
            Window {
                start: if first == 0 { start } else { start - pad(self.gap(first - 1)) },
                end: if final_ == last { end } else { end + pad(self.gap(final_)) },
                count: final_ - first + 1,
                edge,
            }
        };
        starts.zip(ends).map(window).collect()
    }

    /// Width left for windows proper, or nothing if they would be too narrow.
    fn room(&self, windows: &[Window]) -> Option<f64> {
        let edges = windows.iter().filter(|window| window.edge).count() as f64;
        let room = self.right - self.left - EDGE * edges - BREAK * (windows.len() - 1) as f64;
        let inner = windows.len() as f64 - edges;
        (inner >= 1.0 && room >= inner * WINDOW && windows.iter().all(|window| window.end > window.start))
            .then_some(room)
    }

    /// Room by the number of instants; by its root, so that a storm does not take it all.
    fn own_widths(&self, windows: &[Window]) -> Option<Vec<f64>> {
        let room = self.room(windows)?;
        let need = |window: &Window| if window.edge { 0.0 } else { (window.count as f64).sqrt() };
        let sum: f64 = windows.iter().map(need).sum();
        let inner = windows.iter().filter(|window| !window.edge).count() as f64;
        let free = room - inner * WINDOW;
        let width = |window: &Window| if window.edge { EDGE } else { WINDOW + free * need(window) / sum };
        Some(windows.iter().map(width).collect())
    }

    fn uniform_widths(&self, windows: &[Window]) -> Option<Vec<f64>> {
        let room = self.room(windows)?;
        let duration = |window: &Window| if window.edge { 0.0 } else { (window.end - window.start) as f64 };
        let sum: f64 = windows.iter().map(duration).sum();
        let width = |window: &Window| if window.edge { EDGE } else { room * duration(window) / sum };
        let widths: Vec<f64> = windows.iter().map(width).collect();
        let wide = windows.iter().zip(&widths).all(|(window, &width)| window.edge || width >= WINDOW);
        wide.then_some(widths)
    }

    fn place(&self, windows: &[Window], widths: &[f64]) -> Option<LaidOut> {
        let mut pieces: Vec<Piece> = Vec::with_capacity(windows.len() * 2);
        let mut x = self.left;
        for (window, width) in windows.iter().zip(widths) {
            if let Some(before) = pieces.last().copied() {
                pieces.push(Piece {
                    start: before.end,
                    end: window.start,
                    left: x,
                    right: x + BREAK,
                    kind: PieceKind::Break,
                });
                x += BREAK;
            }
            let kind = if window.edge { PieceKind::Edge } else { PieceKind::Window };
            pieces.push(Piece { start: window.start, end: window.end, left: x, right: x + width, kind });
            x += width;
        }
        if let Some(last) = pieces.last_mut() {
            last.right = self.right;
        }
        self.breaks_save_room(&pieces).then(|| LaidOut { worth: self.worth(&pieces), pieces })
    }

    /// A break must be narrower than what it cuts out would be on the scale of a window beside it.
    fn breaks_save_room(&self, pieces: &[Piece]) -> bool {
        pieces.windows(3).all(|three| {
            let [before, cut, after] = three else { return true };
            if cut.kind != PieceKind::Break {
                return true;
            }
            let scale = |piece: &Piece| if piece.kind == PieceKind::Window { piece.scale() } else { 0.0 };
            let needed = (cut.end - cut.start) as f64 * scale(before).max(scale(after));
            cut.end > cut.start && needed > 1.3 * BREAK
        })
    }

    fn worth(&self, pieces: &[Piece]) -> f64 {
        let mut pieces = pieces.iter();
        let mut piece = pieces.next();
        let mut worth = 0.0;
        for pair in self.instants.windows(2) {
            while let Some(at) = piece
                && at.end <= pair[0]
            {
                piece = pieces.next();
            }
            let Some(at) = piece else { break };
            worth += match pair[1] <= at.end {
                true => {
                    let distance = (pair[1] - pair[0]) as f64 * at.scale();
                    distance / (distance + DISTINCT)
                }
                false => 1.0,
            };
        }
        worth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::{MILLISECOND, SECOND};

    fn burst(at: u64, count: u64, step: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |index| at + index * step)
    }

    fn fit(instants: &[u64], end: u64) -> Axis {
        Axis::fit(instants, (0, end), (200.0, 1500.0), TimeAxis::Broken)
    }

    #[test]
    fn bursts_far_apart_are_spread_and_idle_time_is_cut() {
        let mut instants: Vec<u64> = burst(SECOND, 20, 5 * MILLISECOND).collect();
        instants.extend(burst(40 * SECOND, 20, 5 * MILLISECOND));
        let axis = fit(&instants, 60 * SECOND);
        assert!(axis.breaks().count() >= 2, "{axis:?}");
        assert!(axis.x(SECOND + 5 * MILLISECOND) - axis.x(SECOND) > 15.0, "{axis:?}");
        assert!(axis.is_uniform(), "{axis:?}");
    }

    #[test]
    fn evenly_spread_instants_keep_a_plain_axis() {
        let instants: Vec<u64> = burst(0, 60, SECOND).collect();
        assert_eq!(fit(&instants, 60 * SECOND).breaks().count(), 0);
        assert_eq!(fit(&[], SECOND).pieces().len(), 1);
    }

    #[test]
    fn a_burst_before_a_slow_rollout_gets_a_scale_of_its_own() {
        let mut instants: Vec<u64> = burst(SECOND, 60, MILLISECOND).collect();
        instants.extend(burst(2 * SECOND, 30, 400 * MILLISECOND));
        let axis = fit(&instants, 15 * SECOND);
        assert!(!axis.is_uniform(), "{axis:?}");
        assert!(axis.x(SECOND + MILLISECOND) - axis.x(SECOND) > 4.0, "{axis:?}");
    }

    #[test]
    fn the_map_is_monotone_and_covers_the_width() {
        let mut instants: Vec<u64> = burst(SECOND, 40, 3 * MILLISECOND).collect();
        instants.extend([20 * SECOND, 35 * SECOND, 35 * SECOND + 7]);
        let axis = fit(&instants, 60 * SECOND);
        assert_eq!((axis.x(0), axis.x(60 * SECOND)), (200.0, 1500.0));
        let places: Vec<f64> = (0..60_000).map(|at| axis.x(at * MILLISECOND)).collect();
        assert!(places.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn a_linear_axis_has_no_breaks() {
        let instants: Vec<u64> = burst(SECOND, 20, MILLISECOND).collect();
        let axis = Axis::fit(&instants, (0, 60 * SECOND), (0.0, 1000.0), TimeAxis::Linear);
        assert_eq!(axis.pieces().len(), 1);
        assert_eq!(axis.x(30 * SECOND), 500.0);
    }
}
