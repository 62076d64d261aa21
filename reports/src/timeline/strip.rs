//! Strips: how much of what over time, for rows that hold too much to draw one by one.
//!
//! A strip cuts its width into bins and adds up, per series, what falls into each: moments count one each, stretches
//! count the share of the bin they cover, so that the height of a strip of stretches is how many there were at once.

use crate::canvas::{Area, Scene};
use crate::theme::Color;

/// Parts of one that amounts are counted in: whole numbers, so that sums do not depend on their order.
const PARTS: f64 = 1024.0;
/// Heights are rounded to this, so that neighbours of one height merge into one rectangle. [px]
const LEVEL: f64 = 0.5;

/// Amounts of several series over time.
#[derive(Clone, Debug)]
pub(super) struct Strip {
    left: f64,
    bin: f64,
    /// Per series and bin, in [`PARTS`]; of stretches, the inner bins are still in `steps`.
    amounts: Vec<Vec<i64>>,
    /// Per series and bin, the change of the amount from the bin before.
    steps: Vec<Vec<i64>>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    pub color: Color,
    /// Least height of an amount that is not nothing. [px]
    pub least: f64,
}

/// A few bins together: what a hover text tells.
pub(super) struct Cell {
    pub left: f64,
    pub right: f64,
    /// Per series, the sum over the bins.
    pub sums: Vec<f64>,
    /// Number of bins.
    pub bins: usize,
}

impl Strip {
    /// An empty strip with bins of about `bin` pixels.
    pub fn new((left, right): (f64, f64), bin: f64, series: usize) -> Strip {
        let count = ((right - left) / bin).ceil().max(1.0) as usize;
        let empty = vec![vec![0; count]; series];
        Strip { left, bin: (right - left) / count as f64, amounts: empty.clone(), steps: empty }
    }

    fn len(&self) -> usize {
        self.amounts.first().map_or(0, Vec::len)
    }

    fn place(&self, x: f64) -> f64 {
        ((x - self.left) / self.bin).clamp(0.0, self.len() as f64)
    }

    /// Counts a moment.
    pub fn add_moment(&mut self, series: usize, x: f64) {
        let bin = (self.place(x) as usize).min(self.len().saturating_sub(1));
        if let Some(amount) = self.amounts.get_mut(series).and_then(|bins| bins.get_mut(bin)) {
            *amount += PARTS as i64;
        }
    }

    /// Counts a stretch.
    pub fn add_stretch(&mut self, series: usize, left: f64, right: f64) {
        let (from, to) = (self.place(left), self.place(right.max(left)));
        let last = self.len().saturating_sub(1);
        let (first, final_) = ((from as usize).min(last), (to as usize).min(last));
        let share = |part: f64| (part * PARTS).round() as i64;
        let (Some(amounts), Some(steps)) = (self.amounts.get_mut(series), self.steps.get_mut(series)) else { return };
        if first == final_ {
            amounts[first] += share(to - from).max(1);
            return;
        }
        amounts[first] += share((first + 1) as f64 - from);
        amounts[final_] += share(to - final_ as f64);
        steps[first + 1] += PARTS as i64;
        steps[final_] -= PARTS as i64;
    }

    /// Per series and bin, what is there.
    fn totals(&self) -> Vec<Vec<i64>> {
        let total = |(amounts, steps): (&Vec<i64>, &Vec<i64>)| {
            let mut level = 0;
            let sums = amounts.iter().zip(steps).map(|(amount, step)| {
                level += step;
                amount + level
            });
            sums.collect()
        };
        self.amounts.iter().zip(&self.steps).map(total).collect()
    }

    /// The highest sum of all series in a bin.
    pub fn peak(&self) -> f64 {
        let totals = self.totals();
        let sum = |bin: usize| totals.iter().map(|series| series[bin]).sum::<i64>();
        (0..self.len()).map(sum).max().unwrap_or(0) as f64 / PARTS
    }

    /// Draws the series stacked, the first at the bottom; `full` is the amount as high as the strip.
    pub fn draw(&self, scene: &mut Scene, (top, bottom): (f64, f64), full: f64, series: &[Series]) {
        let height = bottom - top;
        let mut bases = vec![0.0; self.len()];
        for (amounts, style) in self.totals().iter().zip(series) {
            let mut run: Option<Area> = None;
            for (bin, (&amount, base)) in amounts.iter().zip(&mut bases).enumerate() {
                let area = (amount > 0).then(|| {
                    let exact = amount as f64 / PARTS / full.max(1e-9) * height;
                    let high = (exact / LEVEL).round() * LEVEL;
                    let high = high.max(style.least).min(height);
                    let low = f64::min(*base, height - high);
                    *base = low + high;
                    let left = self.left + bin as f64 * self.bin;
                    Area::new(left, bottom - low - high, left + self.bin, bottom - low)
                });
                run = match (run, area) {
                    (Some(run), Some(area)) if run.top == area.top && run.bottom == area.bottom => {
                        Some(Area { right: area.right, ..run })
                    }
                    (run, area) => {
                        if let Some(run) = run {
                            scene.rectangle(run, style.color);
                        }
                        area
                    }
                };
            }
            if let Some(run) = run {
                scene.rectangle(run, style.color);
            }
        }
    }

    /// The strip in cells of about `width` pixels, those with nothing in them left out.
    pub fn cells(&self, width: f64) -> Vec<Cell> {
        let totals = self.totals();
        let bins = ((width / self.bin).round() as usize).max(1);
        let starts = (0..self.len()).step_by(bins);
        let cells = starts.map(|start| {
            let end = (start + bins).min(self.len());
            let sums = totals.iter().map(|series| series[start..end].iter().sum::<i64>() as f64 / PARTS).collect();
            let x = |bin: usize| self.left + bin as f64 * self.bin;
            Cell { left: x(start), right: x(end), sums, bins: end - start }
        });
        cells.filter(|cell| cell.sums.iter().any(|&sum| sum > 0.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_count_how_many_at_once_and_moments_one_each() {
        let mut strip = Strip::new((0.0, 10.0), 1.0, 2);
        strip.add_stretch(0, 0.5, 4.0);
        strip.add_stretch(0, 2.0, 10.0);
        strip.add_moment(1, 2.0);
        strip.add_moment(1, 99.0);
        let sums = |series: usize| strip.cells(1.0).iter().map(|cell| cell.sums[series]).collect::<Vec<f64>>();
        assert_eq!(sums(0), [0.5, 1.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(sums(1), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(strip.peak(), 3.0);
    }

    #[test]
    fn equal_neighbours_become_one_rectangle() {
        let mut strip = Strip::new((0.0, 100.0), 1.0, 1);
        strip.add_stretch(0, 0.0, 100.0);
        let mut scene = Scene::new(100.0, 10.0, Color::hex(0xFFFFFF), "");
        strip.draw(&mut scene, (0.0, 10.0), 1.0, &[Series { color: Color::hex(0), least: 1.0 }]);
        assert_eq!(scene.shapes.len(), 1);
    }

    #[test]
    fn rare_things_keep_their_least_height_even_on_a_full_strip() {
        let mut strip = Strip::new((0.0, 1.0), 1.0, 2);
        (0..1000).for_each(|_| strip.add_moment(0, 0.5));
        strip.add_moment(1, 0.5);
        let mut scene = Scene::new(1.0, 10.0, Color::hex(0xFFFFFF), "");
        let series = [1.0, 3.0].map(|least| Series { color: Color::hex(0), least });
        strip.draw(&mut scene, (0.0, 10.0), 1000.0, &series);
        let crate::canvas::Shape::Rectangle { area, .. } = &scene.shapes[1] else { panic!("{:?}", scene.shapes) };
        assert_eq!((area.top, area.bottom), (0.0, 3.0));
    }
}
