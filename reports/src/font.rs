//! The embedded font: every text is measured, shortened and, in a PNG, drawn with these bytes.
//!
//! Arimo has the widths of Arial and Liberation Sans, so an SVG that names this family list shows the same layout on any
//! desktop. No kerning and no ligatures, here and in the SVG: a text is as wide as the sum of its characters.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef};

/// The families an SVG asks for; all of them have the same widths.
pub const FAMILIES: &str = "Arimo, 'Liberation Sans', Arial, Helvetica, sans-serif";

/// Highest ink over the baseline, in parts of the font size.
pub const ASCENT: f64 = 0.76;
/// Deepest ink below the baseline, in parts of the font size.
pub const DESCENT: f64 = 0.22;
/// Height of a capital, in parts of the font size: what looks centred in a bar.
pub const CAPITAL: f64 = 0.70;

/// The weight of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// Ordinary text.
    #[default]
    Regular,
    /// Titles and headings.
    Bold,
}

static REGULAR: LazyLock<FontRef<'static>> =
    LazyLock::new(|| parse(include_bytes!("../assets/Arimo-Regular-subset.ttf")));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(include_bytes!("../assets/Arimo-Bold-subset.ttf")));

fn parse(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded font is a font")
}

/// The parsed font of a weight.
pub(crate) fn font(weight: Weight) -> &'static FontRef<'static> {
    match weight {
        Weight::Regular => &REGULAR,
        Weight::Bold => &BOLD,
    }
}

/// Width of a text at a font size. [px]
pub fn text_width(text: &str, size: f64, weight: Weight) -> f64 {
    let font = font(weight);
    let em = font.units_per_em().unwrap_or(2048.0);
    // Whole font units: exact in f64, whatever the order of the sum. A character outside the subset will come from some
    // other font: assume a full em.
    let units: f64 = text
        .chars()
        .map(|character| match font.glyph_id(character) {
            glyph if glyph.0 == 0 => f64::from(em),
            glyph => f64::from(font.h_advance_unscaled(glyph)),
        })
        .sum();
    units * size / f64::from(em)
}

/// The text with line breaks and other controls replaced by blanks.
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The text, or its start and an ellipsis, no wider than `width`; empty if not even one character fits.
pub fn shorten_end(text: &str, width: f64, size: f64, weight: Weight) -> String {
    shorten(text, width, size, weight, |characters, kept| {
        let start: String = characters[..kept].iter().collect();
        format!("{}…", start.trim_end())
    })
}

/// The text, or its two ends around an ellipsis, no wider than `width`. Pod names differ at their end, so both ends stay.
pub fn shorten_middle(text: &str, width: f64, size: f64, weight: Weight) -> String {
    shorten(text, width, size, weight, |characters, kept| {
        let tail = kept / 2;
        let start: String = characters[..kept - tail].iter().collect();
        let end: String = characters[characters.len() - tail..].iter().collect();
        format!("{start}…{end}")
    })
}

fn shorten(text: &str, width: f64, size: f64, weight: Weight, keep: impl Fn(&[char], usize) -> String) -> String {
    let text = one_line(text);
    if text_width(&text, size, weight) <= width {
        return text;
    }
    let characters: Vec<char> = text.chars().collect();
    let candidates = (1..characters.len()).rev().map(|kept| keep(&characters, kept));
    candidates.into_iter().find(|candidate| text_width(candidate, size, weight) <= width).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_equally_wide_and_width_scales() {
        let one = text_width("1", 10.0, Weight::Regular);
        assert_eq!(text_width("8888", 20.0, Weight::Regular), 8.0 * one);
        assert!(text_width("web", 10.0, Weight::Bold) > text_width("web", 10.0, Weight::Regular));
    }

    #[test]
    fn shortened_texts_fit_and_keep_what_matters() {
        let name = "checkout-service-7d9f8b6c54-x2k9q";
        let short = shorten_middle(name, 120.0, 12.0, Weight::Regular);
        assert!(text_width(&short, 12.0, Weight::Regular) <= 120.0);
        assert!(short.starts_with("checkout") && short.ends_with("x2k9q"), "{short}");
        assert_eq!(shorten_end("kubectl apply -f web.yaml", 85.0, 12.0, Weight::Regular), "kubectl apply…");
        assert_eq!(shorten_end("wide", 2.0, 12.0, Weight::Regular), "");
        assert_eq!(shorten_end("a\nb", 100.0, 12.0, Weight::Regular), "a b");
    }
}
