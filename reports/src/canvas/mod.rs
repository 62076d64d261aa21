//! The canvas: charts are laid out as a list of shapes and texts, which is then drawn as SVG or PNG.
//!
//! Having the list in between makes a layout testable (see [`Scene::text_boxes`]) and keeps the two outputs equal: both
//! draw the same shapes through plotters, and both place the same texts by the embedded font's measures.
//!
//! Lengths are pixels of the unscaled picture; y grows downwards. Texts lie above all shapes.

mod paint;
mod png;
mod svg;

pub use self::png::png;
pub use self::svg::svg;

use crate::font::{self, Weight};
use crate::theme::Color;

/// A picture before it is drawn.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Width. [px]
    pub width: f64,
    /// Height. [px]
    pub height: f64,
    /// The paper.
    pub background: Color,
    /// Name of the picture, for readers who cannot see it.
    pub title: String,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) texts: Vec<Text>,
    pub(crate) hints: Vec<Hint>,
}

/// An axis-aligned rectangle. [px]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Bottom edge.
    pub bottom: f64,
}

impl Area {
    /// The rectangle between two corners.
    pub fn new(left: f64, top: f64, right: f64, bottom: f64) -> Area {
        Area { left, top, right, bottom }
    }

    /// Whether the two share more than an edge.
    pub fn overlaps(&self, other: &Area) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Whether an upright line at `x` would run through it.
    pub fn crosses(&self, x: f64) -> bool {
        self.left < x && x < self.right
    }

    /// The rectangle grown (or, negative, shrunk) sideways and up and down.
    pub fn grown(&self, sideways: f64, upright: f64) -> Area {
        Area::new(self.left - sideways, self.top - upright, self.right + sideways, self.bottom + upright)
    }
}

/// Something drawn.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A filled rectangle.
    Rectangle { area: Area, fill: Color },
    /// A straight line.
    Line { from: (f64, f64), to: (f64, f64), width: f64, color: Color },
    /// A line from point to point.
    Path { points: Vec<(f64, f64)>, width: f64, color: Color },
    /// A filled polygon.
    Polygon { points: Vec<(f64, f64)>, fill: Color },
    /// A filled circle.
    Circle { center: (f64, f64), radius: f64, fill: Color },
}

/// Which point of a text its position names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its start.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// A text on one line.
#[derive(Clone, Debug)]
pub struct Text {
    /// The words.
    pub content: String,
    /// Where the anchor is. [px]
    pub x: f64,
    /// Where the baseline is. [px]
    pub baseline: f64,
    /// What is at `x`.
    pub anchor: Anchor,
    /// Font size. [px]
    pub size: f64,
    /// Weight.
    pub weight: Weight,
    /// Colour.
    pub color: Color,
}

impl Text {
    /// Width by the embedded font. [px]
    pub fn width(&self) -> f64 {
        font::text_width(&self.content, self.size, self.weight)
    }

    /// Left end. [px]
    pub fn left(&self) -> f64 {
        match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - self.width() / 2.0,
            Anchor::End => self.x - self.width(),
        }
    }

    /// The rectangle that holds its ink.
    pub fn area(&self) -> Area {
        let left = self.left();
        let (top, bottom) = (self.baseline - font::ASCENT * self.size, self.baseline + font::DESCENT * self.size);
        Area::new(left, top, left + self.width(), bottom)
    }
}

/// About what a hover text costs besides its words. [bytes of SVG]
const HINT_FRAME: usize = 85;

/// An invisible area of an SVG that shows a text when pointed at.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    pub area: Area,
    pub text: String,
}

impl Scene {
    /// An empty picture.
    pub fn new(width: f64, height: f64, background: Color, title: &str) -> Scene {
        let title = title.to_string();
        Scene { width, height, background, title, shapes: Vec::new(), texts: Vec::new(), hints: Vec::new() }
    }

    /// Adds a filled rectangle.
    pub fn rectangle(&mut self, area: Area, fill: Color) {
        self.shapes.push(Shape::Rectangle { area, fill });
    }

    /// Adds a straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, color: Color) {
        self.shapes.push(Shape::Line { from, to, width, color });
    }

    /// Adds a vertical dashed line.
    pub fn dashed_down(&mut self, x: f64, top: f64, bottom: f64, width: f64, color: Color) {
        const DASH: f64 = 7.0;
        const GAP: f64 = 4.0;
        let mut y = top;
        while y < bottom {
            self.line((x, y), (x, (y + DASH).min(bottom)), width, color);
            y += DASH + GAP;
        }
    }

    /// Adds a level dashed line.
    pub fn dashed_across(&mut self, y: f64, left: f64, right: f64, width: f64, color: Color) {
        const DASH: f64 = 7.0;
        const GAP: f64 = 4.0;
        let mut x = left;
        while x < right {
            self.line((x, y), ((x + DASH).min(right), y), width, color);
            x += DASH + GAP;
        }
    }

    /// Adds a line from point to point; it should be opaque, for it may cross itself.
    pub fn path(&mut self, points: Vec<(f64, f64)>, width: f64, color: Color) {
        self.shapes.push(Shape::Path { points, width, color });
    }

    /// Adds a filled polygon.
    pub fn polygon(&mut self, points: Vec<(f64, f64)>, fill: Color) {
        self.shapes.push(Shape::Polygon { points, fill });
    }

    /// Adds a filled circle.
    pub fn circle(&mut self, center: (f64, f64), radius: f64, fill: Color) {
        self.shapes.push(Shape::Circle { center, radius, fill });
    }

    /// Adds a text; an empty one is left out.
    pub fn text(&mut self, text: Text) {
        if !text.content.trim().is_empty() {
            self.texts.push(text);
        }
    }

    /// Adds a text that an SVG shows while the area is pointed at.
    pub fn hint(&mut self, area: Area, text: String) {
        self.hints.push(Hint { area, text });
    }

    /// Keeps hover texts up to about `bytes` of SVG: those of wide shapes first, which a mouse can hit.
    pub(crate) fn limit_hints(&mut self, bytes: usize) {
        let mut order: Vec<usize> = (0..self.hints.len()).collect();
        let width = |index: usize| self.hints[index].area.right - self.hints[index].area.left;
        order.sort_by(|&a, &b| width(b).total_cmp(&width(a)).then(a.cmp(&b)));
        let mut sum = 0;
        order.retain(|&index| {
            sum += HINT_FRAME + self.hints[index].text.len();
            sum <= bytes
        });
        order.sort_unstable();
        self.hints = order.into_iter().map(|index| self.hints[index].clone()).collect();
    }

    /// Every text with the rectangle it fills, in drawing order: for tests that nothing overlaps.
    pub fn text_boxes(&self) -> Vec<(&str, Area)> {
        self.texts.iter().map(|text| (text.content.as_str(), text.area())).collect()
    }
}
