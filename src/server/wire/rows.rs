//! Rows and indicators for programs: answers of `/api/v1/rows` and `/api/v1/indicators`.
//!
//! Owns: their names and shapes. Refuses to know: who may ask, how an answer comes about.
//!
//! Invariants: those of `wire`.
//!
//! Called by: api, through `wire`.

use super::{AreaRef, RowState, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;
use utoipa::ToSchema;

/// `GET /api/v1/rows`: rows of one measurement in scope, by (start, tags), the newest revision of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RowsPage {
    pub measurement: String,
    pub rows: Vec<RowView>,
    /// `after` of the next page; null: this is the last.
    pub next: Option<String>,
}

/// One row as it is stored. Tags and fields that hold personal data are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RowView {
    #[ts(type = "number")]
    pub start: i64,
    #[ts(type = "number")]
    pub end: i64,
    pub tags: BTreeMap<String, String>,
    /// That of its tag `area`, else of its source in the registry.
    pub area: Option<AreaRef>,
    /// Fields; one without observations is absent.
    pub values: BTreeMap<String, f64>,
    pub revision: u32,
    pub state: RowState,
    pub heard: Option<u32>,
    pub expected: Option<u32>,
}

/// `GET /api/v1/indicators`: what plans promise, and the newest reports in scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct IndicatorsNow {
    /// By code.
    pub indicators: Vec<IndicatorView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct IndicatorView {
    pub code: String,
    pub name: Text,
    /// "%"
    pub unit: String,
    /// Which way is better.
    pub direction: IndicatorDirection,
    /// How often it is reported; a month counts 30 days.
    #[ts(type = "number")]
    pub cadence_ms: i64,
    pub baselines: Vec<IndicatorBaseline>,
    /// By date.
    pub targets: Vec<IndicatorTarget>,
    /// Newest figures of rows with its code as the tag `indicator`, by the other tags.
    pub figures: Vec<IndicatorFigure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum IndicatorDirection {
    Up,
    Down,
}

/// A value that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct IndicatorBaseline {
    /// Of this unit only.
    pub unit: Option<String>,
    #[ts(type = "number")]
    pub at: i64,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct IndicatorTarget {
    /// The end of its day.
    #[ts(type = "number")]
    pub due: i64,
    pub value: f64,
    /// "province", "all"
    pub level: String,
    /// Of this unit only, whatever its level.
    pub unit: Option<String>,
    /// It no longer holds from then on.
    #[ts(type = "number | null")]
    pub until: Option<i64>,
    /// The sentence and the document.
    pub source: String,
}

/// The newest row of an indicator and key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct IndicatorFigure {
    pub measurement: String,
    /// Its tags without `indicator`: `unit`, `period`, `area`…
    pub key: BTreeMap<String, String>,
    pub area: Option<AreaRef>,
    #[ts(type = "number")]
    pub start: i64,
    #[ts(type = "number")]
    pub end: i64,
    pub state: RowState,
    pub values: BTreeMap<String, f64>,
    /// What its unit should have reached by the end of the window, by the registry.
    pub target: Option<f64>,
    /// The straight line from the baseline to the next target, there.
    pub pace: Option<f64>,
}
