//! A scene as SVG: shapes by plotters, texts and hover texts by us.
//!
//! plotters would place texts by another font's idea of size, so texts are written here, above the shapes, with the font
//! families of [`crate::font::FAMILIES`] and no kerning.

use std::fmt::Write as _;

use plotters::prelude::{DrawingBackend, SVGBackend};

use super::paint::Painter;
use super::{Anchor, Hint, Scene, Text};
use crate::error::ReportError;
use crate::font::{self, Weight};

/// Grid units in a pixel: quarter pixels are finer than anyone sees.
const GRID: u32 = 4;

/// The scene as the text of an SVG file.
pub fn svg(scene: &Scene) -> Result<String, ReportError> {
    let (width, height) = (scene.width.ceil() as u32, scene.height.ceil() as u32);
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">"#
    );
    let _ = writeln!(out, "<title>{}</title>", escaped(&scene.title));
    let _ = writeln!(out, r#"<g transform="scale({})">"#, number(1.0 / f64::from(GRID)));
    out.push_str(&shapes(scene, (width * GRID, height * GRID))?);
    out.push_str("</g>\n");
    texts(&mut out, &scene.texts);
    hints(&mut out, &scene.hints);
    out.push_str("</svg>\n");
    Ok(out)
}

/// The elements plotters writes, without its frame and without what is the case anyway.
fn shapes(scene: &Scene, size: (u32, u32)) -> Result<String, ReportError> {
    let mut written = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut written, size);
        Painter { backend: &mut backend, grid: f64::from(GRID) }.scene(scene)?;
        backend.present().map_err(|error| ReportError::Draw(error.to_string()))?;
    }
    let mut out = String::with_capacity(written.len() / 2);
    let mut run: Option<(&str, String)> = None;
    for line in written.lines().filter(|line| !line.starts_with("<svg") && !line.starts_with("</svg")) {
        let rectangle = rectangle(line);
        if let (Some((style, path)), Some((next, part))) = (&mut run, &rectangle)
            && style == next
        {
            path.push_str(part);
            continue;
        }
        end_run(&mut out, run.take());
        run = rectangle;
        if run.is_none() {
            let _ = writeln!(out, "{}", plain(line));
        }
    }
    end_run(&mut out, run);
    Ok(out)
}

/// Drops attributes that say what is the case anyway.
fn plain(line: &str) -> String {
    line.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "").replace(" \"/>", "\"/>")
}

/// A rectangle as plotters writes it: its style, and its outline as part of a path. Runs of one style become one path, a
/// third as long.
fn rectangle(line: &str) -> Option<(&str, String)> {
    let rest = line.strip_prefix("<rect x=\"")?;
    let (x, rest) = rest.split_once("\" y=\"")?;
    let (y, rest) = rest.split_once("\" width=\"")?;
    let (width, rest) = rest.split_once("\" height=\"")?;
    let (height, style) = rest.split_once("\" ")?;
    Some((style.strip_suffix("/>")?, format!("M{x} {y}h{width}v{height}h-{width}z")))
}

fn end_run(out: &mut String, run: Option<(&str, String)>) {
    if let Some((style, path)) = run {
        let _ = writeln!(out, "{}", plain(&format!("<path d=\"{path}\" {style}/>")));
    }
}

fn texts(out: &mut String, texts: &[Text]) {
    let _ =
        writeln!(out, r#"<g font-family="{}" style="font-kerning:none;font-variant-ligatures:none">"#, font::FAMILIES);
    for text in texts {
        let anchor = match text.anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let weight = match text.weight {
            Weight::Regular => "",
            Weight::Bold => r#" font-weight="bold""#,
        };
        let (red, green, blue) = text.color.rgb;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"#{red:02X}{green:02X}{blue:02X}\"{anchor}{weight}>{}</text>",
            number(text.x),
            number(text.baseline),
            number(text.size),
            escaped(&text.content)
        );
    }
    out.push_str("</g>\n");
}

fn hints(out: &mut String, hints: &[Hint]) {
    out.push_str("<g fill=\"none\" pointer-events=\"all\">\n");
    for hint in hints {
        let area = hint.area;
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            number(area.left),
            number(area.top),
            number(area.right - area.left),
            number(area.bottom - area.top),
            escaped(&hint.text)
        );
    }
    out.push_str("</g>\n");
}

/// A number with at most two decimals, the same text on every machine.
fn number(value: f64) -> String {
    let hundredths = (value * 100.0).round() as i64;
    let sign = if hundredths < 0 { "-" } else { "" };
    let (whole, rest) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
    match (rest, rest % 10) {
        (0, _) => format!("{sign}{whole}"),
        (_, 0) => format!("{sign}{whole}.{}", rest / 10),
        _ => format!("{sign}{whole}.{rest:02}"),
    }
}

/// Text as XML allows it: markup escaped, control characters (which XML 1.0 forbids) dropped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            character if character.is_control() || matches!(character, '\u{FFFE}' | '\u{FFFF}') => out.push(' '),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::Area;
    use crate::theme::Color;

    #[test]
    fn numbers_have_at_most_two_decimals() {
        assert_eq!([0.0, 0.25, 12.5, -3.456, 7.999].map(number).join(" "), "0 0.25 12.5 -3.46 8");
    }

    #[test]
    fn rectangles_of_one_style_become_one_path() {
        let mut scene = Scene::new(8.0, 8.0, Color::hex(0xFFFFFF), "");
        let colors = [0xE69F00, 0xE69F00, 0x0072B2];
        for (index, color) in colors.into_iter().enumerate() {
            let left = index as f64;
            scene.rectangle(Area::new(left, 0.0, left + 1.0, 2.0), Color::hex(color));
        }
        let written = shapes(&scene, (32, 32)).unwrap();
        assert_eq!(written.lines().count(), 3, "{written}");
        assert!(written.contains("<path d=\"M0 0h4v8h-4zM4 0h4v8h-4z\" fill=\"#E69F00\"/>"), "{written}");
    }

    #[test]
    fn markup_and_controls_cannot_break_the_file() {
        assert_eq!(escaped("a<b>&\"c\"\u{1}"), "a&lt;b&gt;&amp;&quot;c&quot; ");
    }
}
