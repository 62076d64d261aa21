//! The pictures of a run, drawn from its trace and its samples.

use wavetank_reports::{Theme, Timeline, from_trace, series, timeline};

use crate::artifacts::{Charts, Format};
use crate::script::Run;

/// Pixels of the bitmap for one of the drawing.
const SCALE: f64 = 2.0;

/// Draws the timeline of a run.
#[derive(Clone, Debug, Default)]
pub struct Drawings {
    /// How the pictures look.
    pub theme: Theme,
}

impl Drawings {
    /// The timeline of a run; `None` if there is no trace, or no time has passed.
    pub fn timeline(run: &Run, title: &str) -> Option<Timeline> {
        let session = run.session.as_ref()?;
        let world = session.world();
        let (zero, end) = (session.zero(), world.now());
        let records = world.trace().records();
        if records.is_empty() || end <= zero {
            return None;
        }
        Some(from_trace::timeline(records, world.setup(), title, zero, end))
    }
}

impl Charts for Drawings {
    fn svg(&self, run: &Run, title: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(model) = Drawings::timeline(run, title) else { return Ok(None) };
        let svg = timeline::svg(&model, &self.theme).map_err(|error| error.to_string())?;
        Ok(Some(svg.into_bytes()))
    }

    fn png(&self, run: &Run, title: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(model) = Drawings::timeline(run, title) else { return Ok(None) };
        timeline::png(&model, &self.theme, SCALE).map(Some).map_err(|error| error.to_string())
    }

    fn series(&self, run: &Run, title: &str, format: Format) -> Result<Option<Vec<u8>>, String> {
        let Some(chart) = run.session.as_ref().and_then(|session| crate::series::chart(session, title)) else {
            return Ok(None);
        };
        let drawn = match format {
            Format::Svg => series::svg(&chart, &self.theme).map(String::into_bytes),
            Format::Png => series::png(&chart, &self.theme, SCALE),
            Format::Csv => Ok(series::csv(&chart).into_bytes()),
            Format::Trace | Format::Transcript => return Ok(None),
        };
        drawn.map(Some).map_err(|error| error.to_string())
    }

    fn resilience(&self, run: &Run, title: &str, format: Format) -> Result<Option<Vec<u8>>, String> {
        let Some(chart) = run.session.as_ref().and_then(|session| crate::resilience::chart(session, title)) else {
            return Ok(None);
        };
        let drawn = match format {
            Format::Svg => series::svg(&chart, &self.theme).map(String::into_bytes),
            Format::Png => series::png(&chart, &self.theme, SCALE),
            Format::Csv | Format::Trace | Format::Transcript => return Ok(None),
        };
        drawn.map(Some).map_err(|error| error.to_string())
    }
}
