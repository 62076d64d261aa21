//! A scene as PNG: shapes by plotters on a finer grid, averaged down; texts from the embedded font's outlines.
//!
//! No system font and no system library takes part, and all arithmetic is the basic IEEE operations, so the bytes are the
//! same everywhere.

use ab_glyph::{Font as _, PxScale, point};
use plotters::prelude::{BitMapBackend, DrawingBackend};

use super::paint::Painter;
use super::{Scene, Text};
use crate::error::ReportError;
use crate::font;

/// Most pixels of a picture: a 4K slide eight times over.
const PIXELS: u64 = 64_000_000;

/// The scene as the bytes of a PNG file, `scale` pixels for each pixel of the unscaled picture.
pub fn png(scene: &Scene, scale: f64) -> Result<Vec<u8>, ReportError> {
    if !(0.1..=16.0).contains(&scale) {
        return Err(ReportError::Scale(scale));
    }
    let (width, height) = ((scene.width * scale).ceil() as u32, (scene.height * scale).ceil() as u32);
    if u64::from(width) * u64::from(height) > PIXELS {
        return Err(ReportError::TooLarge { width: width.into(), height: height.into(), limit: PIXELS });
    }
    let mut picture = Picture { width, height, rgb: shapes(scene, width, height, scale)? };
    for text in &scene.texts {
        picture.text(text, scale);
    }
    picture.encode()
}

/// Draws the shapes on a grid finer than the picture and averages.
fn shapes(scene: &Scene, width: u32, height: u32, scale: f64) -> Result<Vec<u8>, ReportError> {
    let fine = match scale {
        scale if scale <= 1.25 => 4,
        scale if scale <= 3.0 => 2,
        _ => 1,
    };
    let size = (width * fine, height * fine);
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut pixels, size);
        Painter { backend: &mut backend, grid: scale * f64::from(fine) }.scene(scene)?;
        backend.present().map_err(|error| ReportError::Draw(error.to_string()))?;
    }
    Ok(averaged(&pixels, width as usize, height as usize, fine as usize))
}

fn averaged(pixels: &[u8], width: usize, height: usize, fine: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height * 3);
    let mut sums = vec![0u32; width * 3];
    let count = (fine * fine) as u32;
    for rows in pixels.chunks_exact(width * fine * 3 * fine) {
        sums.fill(0);
        for row in rows.chunks_exact(width * fine * 3) {
            for (block, sum) in row.chunks_exact(fine * 3).zip(sums.chunks_exact_mut(3)) {
                for pixel in block.chunks_exact(3) {
                    sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
                }
            }
        }
        out.extend(sums.iter().map(|&sum| ((sum + count / 2) / count) as u8));
    }
    out
}

struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    fn text(&mut self, text: &Text, scale: f64) {
        let font = font::font(text.weight);
        let em = font.units_per_em().unwrap_or(2048.0);
        let size = text.size * scale;
        // ab_glyph's scale is the height from descender to ascender, not the em.
        let px_scale = PxScale::from((size * f64::from(font.height_unscaled() / em)) as f32);
        let mut x = text.left() * scale;
        for character in text.content.chars() {
            let glyph = font.glyph_id(character);
            let position = point(x as f32, (text.baseline * scale) as f32);
            if let Some(outline) = font.outline_glyph(glyph.with_scale_and_position(px_scale, position)) {
                let bounds = outline.px_bounds();
                let (left, top) = (bounds.min.x as i64, bounds.min.y as i64);
                outline.draw(|column, row, coverage| {
                    self.blend(left + i64::from(column), top + i64::from(row), text.color.rgb, coverage);
                });
            }
            let advance = if glyph.0 == 0 { em } else { font.h_advance_unscaled(glyph) };
            x += f64::from(advance) * size / f64::from(em);
        }
    }

    fn blend(&mut self, x: i64, y: i64, color: (u8, u8, u8), coverage: f32) {
        if x < 0 || y < 0 || x >= i64::from(self.width) || y >= i64::from(self.height) {
            return;
        }
        let start = (y as usize * self.width as usize + x as usize) * 3;
        let part = (coverage.clamp(0.0, 1.0) * 255.0).round() as u32;
        for (value, ink) in self.rgb[start..start + 3].iter_mut().zip([color.0, color.1, color.2]) {
            *value = ((u32::from(ink) * part + u32::from(*value) * (255 - part) + 127) / 255) as u8;
        }
    }

    fn encode(&self) -> Result<Vec<u8>, ReportError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Charts are mostly upright edges: a row differs little from the one above.
        encoder.set_filter(png::FilterType::Up);
        encoder.set_compression(png::Compression::Best);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::Area;
    use crate::theme::Color;

    #[test]
    fn a_rectangle_fills_exactly_its_pixels() {
        let mut scene = Scene::new(4.0, 2.0, Color::hex(0xFFFFFF), "");
        scene.rectangle(Area::new(1.0, 0.0, 3.0, 1.0), Color::hex(0x000000));
        for scale in [1.0, 2.0] {
            let (width, height) = ((4.0 * scale) as u32, (2.0 * scale) as u32);
            let pixels = shapes(&scene, width, height, scale).unwrap();
            let dark = pixels.chunks_exact(3).filter(|pixel| pixel[0] == 0).count();
            let light = pixels.chunks_exact(3).filter(|pixel| pixel[0] == 255).count();
            assert_eq!((dark, light), ((2.0 * scale * scale) as usize, (6.0 * scale * scale) as usize));
        }
    }

    #[test]
    fn silly_scales_are_refused() {
        let scene = Scene::new(4000.0, 4000.0, Color::hex(0xFFFFFF), "");
        assert!(matches!(png(&scene, f64::NAN), Err(ReportError::Scale(_))));
        assert!(matches!(png(&scene, 0.0), Err(ReportError::Scale(_))));
        assert!(matches!(png(&scene, 4.0), Err(ReportError::TooLarge { .. })));
    }
}
