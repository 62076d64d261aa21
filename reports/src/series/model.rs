//! What a chart of time series shows, as plain values: panels of lines over one axis of time, marks, shaded bands.
//!
//! All instants are simulated nanoseconds since the start of the chart's time. Values are whole numbers in the smallest
//! part of their panel's unit, so that a chart is the same everywhere.

use serde::{Deserialize, Serialize};

pub use crate::timeline::model::{Band, Mark};

/// Time series of a run, one panel below the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chart {
    /// What the run is about.
    pub title: String,
    /// Seed, profile, version: what is needed to make the picture again.
    pub subtitle: String,
    /// First instant shown. [ns]
    pub start: u64,
    /// Last instant shown; must be after `start`. [ns]
    pub end: u64,
    /// The quantities, top to bottom.
    pub panels: Vec<Panel>,
    /// The script's marks.
    pub marks: Vec<Mark>,
    /// Stretches of time in which something was broken.
    pub bands: Vec<Band>,
}

/// One quantity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Panel {
    /// Its name in tables: `etcd_wal_fsync`.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What one has to know to read it, beside the heading: over how long quantiles are.
    pub detail: String,
    /// The unit of all its values.
    pub unit: Unit,
    /// What is drawn.
    pub lines: Vec<Line>,
    /// Values not to be reached: quotas.
    pub limits: Vec<Limit>,
    /// Instead of lines: what was the case when.
    pub spells: Option<Vec<Spell>>,
}

/// A unit of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Things counted.
    #[default]
    Count,
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Duration,
    /// Thousandths of things in a second.
    PerSecond,
}

/// One line of a panel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// Of whom: `etcd-0`, `reads`; empty if there is only one.
    pub subject: String,
    /// What of it: `p99`, `in use`; empty if there is only one.
    pub statistic: String,
    /// Its colour.
    pub hue: Hue,
    /// Lighter and thinner: what is less common, or a part of the rest.
    pub light: bool,
    /// Its points, in order of time.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// When. [ns]
    pub at: u64,
    /// How much; `None` is a gap.
    pub value: Option<u64>,
}

/// Whose colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hue {
    /// Nobody's in particular.
    #[default]
    Plain,
    /// That of a member of a group, by its number.
    Member(u8),
    /// What reads.
    Read,
    /// What writes.
    Write,
    /// What fails.
    Error,
}

/// A value not to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Its name.
    pub label: String,
    /// How much.
    pub value: u64,
}

/// What was the case for a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    /// Since when. [ns]
    pub start: u64,
    /// Until when. [ns]
    pub end: u64,
    /// In words; a shorter form is shown where these find no room.
    pub label: String,
    /// The shorter form.
    pub short: String,
    /// Its colour.
    pub hue: Hue,
    /// For tables: of whom, and the number that goes with it.
    pub subject: String,
    /// The number, if there is one: a term.
    pub value: Option<u64>,
}

impl Line {
    /// What stands beside it.
    pub fn label(&self) -> String {
        match (self.subject.as_str(), self.statistic.as_str()) {
            ("", label) | (label, "") => label.to_owned(),
            (subject, statistic) => format!("{subject} {statistic}"),
        }
    }

    /// Its values.
    pub fn values(&self) -> impl Iterator<Item = u64> + Clone {
        self.points.iter().filter_map(|point| point.value)
    }
}
