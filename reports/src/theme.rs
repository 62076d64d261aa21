//! Colours and sizes of the charts: light for paper, dark for a dim lecture hall.
//!
//! The palette is Okabe and Ito's, which people with any of the common colour-vision deficiencies can tell apart, plus
//! greys for states in which nothing happens yet. Colour is never the only sign: event kinds differ in shape, and the
//! bar of a pod that is not running is lower.

use crate::series::Hue;
use crate::timeline::model::{PodState, SpanKind, TickKind};

/// A colour with its opacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Red, green, blue.
    pub rgb: (u8, u8, u8),
    /// Opacity. [percent]
    pub opacity: u8,
}

impl Color {
    /// An opaque colour from its usual hexadecimal form, `0xRRGGBB`.
    pub const fn hex(value: u32) -> Color {
        Color { rgb: ((value >> 16) as u8, (value >> 8) as u8, value as u8), opacity: 100 }
    }

    /// The same colour with another opacity. [percent]
    pub const fn at(self, opacity: u8) -> Color {
        Color { opacity, ..self }
    }

    /// This colour laid over an opaque one, as an opaque colour.
    pub fn over(self, below: Color) -> Color {
        let mix = |above: u8, below: u8| {
            let (above, below, opacity) = (u32::from(above), u32::from(below), u32::from(self.opacity));
            ((above * opacity + below * (100 - opacity) + 50) / 100) as u8
        };
        let (above, below) = (self.rgb, below.rgb);
        Color { rgb: (mix(above.0, below.0), mix(above.1, below.1), mix(above.2, below.2)), opacity: 100 }
    }

    /// Black or white, whichever reads better on this colour.
    pub fn text_on(self) -> Color {
        let (red, green, blue) = (u32::from(self.rgb.0), u32::from(self.rgb.1), u32::from(self.rgb.2));
        // Perceived lightness, integer weights of Rec. 601.
        match 299 * red + 587 * green + 114 * blue > 125_000 {
            true => Color::hex(0x10151B),
            false => Color::hex(0xFFFFFF),
        }
    }
}

/// How time is laid along the axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeAxis {
    /// Idle stretches are cut out where that makes bursts readable, with visible break marks.
    #[default]
    Broken,
    /// One scale from start to end.
    Linear,
}

/// The look of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Width of the picture. [px] – height follows from the content.
    pub width: u32,
    /// Size of a lane's name; all other sizes follow it. [px]
    pub font_size: f64,
    /// How time is laid along the axis.
    pub time_axis: TimeAxis,
    /// The paper.
    pub background: Color,
    /// Text and marks.
    pub ink: Color,
    /// Secondary text.
    pub muted: Color,
    /// Separators between groups, axis lines.
    pub line: Color,
    /// Grid lines, separators between lanes.
    pub grid: Color,
    /// Background of lanes.
    pub band: Color,
    /// Lines and labels of the script's marks.
    pub mark: Color,
    dark: bool,
}

const BLACK: Color = Color::hex(0x3A424C);
const ORANGE: Color = Color::hex(0xE69F00);
const SKY: Color = Color::hex(0x56B4E9);
const GREEN: Color = Color::hex(0x009E73);
const YELLOW: Color = Color::hex(0xF0E442);
const BLUE: Color = Color::hex(0x0072B2);
const VERMILION: Color = Color::hex(0xD55E00);
const PURPLE: Color = Color::hex(0xCC79A7);

impl Default for Theme {
    fn default() -> Theme {
        Theme::light()
    }
}

impl Theme {
    /// Dark ink on white: for paper and bright rooms.
    pub fn light() -> Theme {
        Theme {
            width: 1600,
            font_size: 15.0,
            time_axis: TimeAxis::Broken,
            background: Color::hex(0xFFFFFF),
            ink: Color::hex(0x1B222B),
            muted: Color::hex(0x5A6572),
            line: Color::hex(0xAAB3BE),
            grid: Color::hex(0xE3E7EC),
            band: Color::hex(0xF6F8FA),
            mark: Color::hex(0x33404F),
            dark: false,
        }
    }

    /// Light ink on near-black: for dark slides.
    pub fn dark() -> Theme {
        Theme {
            background: Color::hex(0x11161D),
            ink: Color::hex(0xEDF1F6),
            muted: Color::hex(0xA3AFBD),
            line: Color::hex(0x5A6674),
            grid: Color::hex(0x29323D),
            band: Color::hex(0x171E27),
            mark: Color::hex(0xC3CEDB),
            dark: true,
            ..Theme::light()
        }
    }

    /// The same theme with another width. [px] Texts keep their size, so a narrower picture has larger text on a slide.
    pub fn with_width(self, width: u32) -> Theme {
        Theme { width, ..self }
    }

    /// The same theme with another size of text. [px]
    pub fn with_font_size(self, font_size: f64) -> Theme {
        Theme { font_size, ..self }
    }

    /// The same theme with another way to lay out time.
    pub fn with_time_axis(self, time_axis: TimeAxis) -> Theme {
        Theme { time_axis, ..self }
    }

    /// Colour of a span.
    pub fn span(&self, kind: SpanKind) -> Color {
        match kind {
            SpanKind::Command => self.neutral(0x4A5663, 0xB8C2CE),
            SpanKind::Request => SKY,
            SpanKind::Reconcile => PURPLE,
            SpanKind::Write => ORANGE,
            SpanKind::Decision => YELLOW,
            SpanKind::Image => BLUE,
            SpanKind::Container => GREEN,
            SpanKind::Waiting => self.neutral(0xC9D0D8, 0x4A5561),
            SpanKind::Outage => VERMILION,
        }
    }

    /// Colour of an event.
    pub fn tick(&self, kind: TickKind) -> Color {
        match kind {
            TickKind::Read => self.neutral(0x7C8894, 0x94A1AE),
            TickKind::Write => ORANGE,
            TickKind::Watch => self.neutral(0x0072B2, 0x56B4E9),
            TickKind::Event => PURPLE,
            TickKind::Bound => GREEN,
            TickKind::Conflict | TickKind::Error => VERMILION,
            TickKind::Other => self.ink,
        }
    }

    /// Colour of a pod's state.
    pub fn pod(&self, state: PodState) -> Color {
        match state {
            PodState::Pending => self.neutral(0xC9D0D8, 0x4A5561),
            PodState::Scheduled => self.neutral(0x94A0AD, 0x77848F),
            PodState::ContainerCreating => SKY,
            PodState::PullingImage => BLUE,
            PodState::RunningNotReady => YELLOW,
            PodState::Ready => GREEN,
            PodState::Terminating => PURPLE,
            PodState::Succeeded => match self.dark {
                true => Color::hex(0xD5DCE4),
                false => BLACK,
            },
            PodState::Failed => VERMILION,
            PodState::BackOff => ORANGE,
        }
    }

    /// Colour of a line, or of who leads.
    pub fn hue(&self, hue: Hue) -> Color {
        // Orange and vermilion mean writes and failures everywhere.
        let members = [self.neutral(0x0072B2, 0x56B4E9), GREEN, PURPLE, self.neutral(0x3A424C, 0xD5DCE4)];
        let further = [SKY, self.neutral(0x8A6D00, 0xF0E442), self.neutral(0x7C8894, 0x94A1AE)];
        match hue {
            Hue::Plain => self.neutral(0x0072B2, 0x56B4E9),
            Hue::Member(number) => {
                let place = usize::from(number) % (members.len() + further.len());
                members.into_iter().chain(further).nth(place).unwrap_or(self.ink)
            }
            Hue::Read => self.neutral(0x5A6572, 0xA3AFBD),
            Hue::Write => ORANGE,
            Hue::Error => VERMILION,
        }
    }

    /// Colour of faults.
    pub fn fault(&self) -> Color {
        VERMILION
    }

    /// Colour of a cell that is so much of the largest there can be. [percent]
    pub fn heat(&self, percent: u8) -> Color {
        // A cell that adds nothing is still a cell.
        self.neutral(0x0B5394, 0x4A9FEA).at(6 + percent.min(100) / 5 * 4).over(self.background)
    }

    fn neutral(&self, light: u32, dark: u32) -> Color {
        Color::hex(if self.dark { dark } else { light })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_distinct_colours_in_both_themes() {
        for theme in [Theme::light(), Theme::dark()] {
            for (index, first) in PodState::ALL.iter().enumerate() {
                for second in &PodState::ALL[index + 1..] {
                    assert_ne!(theme.pod(*first), theme.pod(*second), "{first:?} and {second:?}");
                }
            }
        }
    }

    #[test]
    fn text_on_a_colour_contrasts() {
        assert_eq!(YELLOW.text_on(), Color::hex(0x10151B));
        assert_eq!(BLUE.text_on(), Color::hex(0xFFFFFF));
        assert_eq!(Color::hex(0).at(50).over(Color::hex(0xFFFFFF)), Color::hex(0x808080));
    }
}
