//! Drawing a scene's shapes through any plotters backend, on a grid finer than the picture's pixels.
//!
//! plotters works with whole coordinates. Both outputs therefore draw on a finer grid: the SVG scales it down, the PNG
//! averages it.

use plotters::prelude::{DrawingBackend, RGBAColor, ShapeStyle};

use super::{Area, Scene, Shape};
use crate::error::ReportError;
use crate::theme::Color;

/// A backend and the grid it draws on.
pub(super) struct Painter<'a, B: DrawingBackend> {
    pub backend: &'a mut B,
    /// Grid units in a pixel of the unscaled picture.
    pub grid: f64,
}

impl<B: DrawingBackend> Painter<'_, B> {
    /// Draws paper and shapes.
    pub fn scene(&mut self, scene: &Scene) -> Result<(), ReportError> {
        self.rectangle(&Area::new(0.0, 0.0, scene.width, scene.height), scene.background)?;
        scene.shapes.iter().try_for_each(|shape| self.shape(shape))
    }

    fn shape(&mut self, shape: &Shape) -> Result<(), ReportError> {
        match shape {
            Shape::Rectangle { area, fill } => self.rectangle(area, *fill),
            Shape::Line { from, to, width, color } => self.line(*from, *to, *width, *color),
            Shape::Path { points, width, color } => {
                let points: Vec<_> = points.iter().map(|&point| self.point(point)).collect();
                let stroke = self.length(*width).max(1).unsigned_abs();
                self.backend.draw_path(points, &style(*color, stroke)).map_err(failed)
            }
            Shape::Polygon { points, fill } => {
                let points: Vec<_> = points.iter().map(|&point| self.point(point)).collect();
                let style = style(*fill, 1);
                self.backend.fill_polygon(points, &style).map_err(failed)
            }
            Shape::Circle { center, radius, fill } => {
                let (center, radius) = (self.point(*center), self.length(*radius));
                self.backend.draw_circle(center, radius.unsigned_abs(), &style(*fill, 1), true).map_err(failed)
            }
        }
    }

    fn rectangle(&mut self, area: &Area, fill: Color) -> Result<(), ReportError> {
        let (left, top) = self.point((area.left, area.top));
        let (right, bottom) = self.point((area.right, area.bottom));
        // Both backends stop before the second corner.
        let corner = (right.max(left + 1), bottom.max(top + 1));
        self.backend.draw_rect((left, top), corner, &style(fill, 1), true).map_err(failed)
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, color: Color) -> Result<(), ReportError> {
        let half = width / 2.0;
        // Upright and level lines as rectangles: sharp in both outputs.
        if from.0 == to.0 {
            let (top, bottom) = (from.1.min(to.1), from.1.max(to.1));
            return self.rectangle(&Area::new(from.0 - half, top, from.0 + half, bottom), color);
        }
        if from.1 == to.1 {
            let (left, right) = (from.0.min(to.0), from.0.max(to.0));
            return self.rectangle(&Area::new(left, from.1 - half, right, from.1 + half), color);
        }
        let stroke = self.length(width).max(1).unsigned_abs();
        let (from, to) = (self.point(from), self.point(to));
        self.backend.draw_line(from, to, &style(color, stroke)).map_err(failed)
    }

    fn length(&self, length: f64) -> i32 {
        (length * self.grid).round() as i32
    }

    fn point(&self, point: (f64, f64)) -> (i32, i32) {
        (self.length(point.0), self.length(point.1))
    }
}

fn style(color: Color, stroke_width: u32) -> ShapeStyle {
    let (red, green, blue) = color.rgb;
    let color = RGBAColor(red, green, blue, f64::from(color.opacity) / 100.0);
    ShapeStyle { color, filled: true, stroke_width }
}

fn failed(error: impl std::fmt::Display) -> ReportError {
    ReportError::Draw(error.to_string())
}
