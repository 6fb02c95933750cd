//! Pipelines as they run: answers of `/api/v1/pipelines`.
//!
//! Owns: their names and shapes. Refuses to know: who may ask, how an answer comes about.
//!
//! Invariants: those of `wire`.
//!
//! Called by: api, through `wire`.

use super::{AreaRef, FieldView, Severity, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;
use utoipa::ToSchema;

/// `GET /api/v1/pipelines`: the pipelines of the sectors in scope, as of the last second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelinesNow {
    /// Tick time.
    #[ts(type = "number")]
    pub at: i64,
    /// Tick time is within 5 s of the wall clock.
    pub live: bool,
    /// In the order of their files.
    pub pipelines: Vec<PipelineView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelineView {
    pub name: String,
    pub sector: String,
    /// "pipelines/traffic_loop.yaml"
    pub file: String,
    /// The file as it is in force.
    pub text: String,
    /// Event types that it reads.
    pub from: Vec<String>,
    pub timing: TimingView,
    pub windows: Vec<PipelineWindow>,
    pub rules: Vec<PipelineRule>,
    pub rates: Rates,
    /// In the order of the lane.
    pub partitions: Vec<PipelinePartition>,
}

/// How event time is read, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TimingView {
    #[ts(type = "number")]
    pub out_of_orderness_ms: i64,
    #[ts(type = "number")]
    pub lateness_ms: i64,
    #[ts(type = "number")]
    pub idle_after_ms: i64,
    #[ts(type = "number")]
    pub patience_ms: i64,
    #[ts(type = "number")]
    pub max_delay_ms: i64,
    #[ts(type = "number")]
    pub dedup_ms: i64,
}

/// Records a second over the last minute, or since the state was begun if that is less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Rates {
    /// So long was counted.
    #[ts(type = "number")]
    pub over_ms: i64,
    /// The sum of the others.
    pub read: f64,
    pub accepted: f64,
    pub late: f64,
    pub duplicate: f64,
    pub rejected: f64,
    /// Of types that the pipeline does not read, or filtered out.
    pub unwanted: f64,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelineWindow {
    pub measurement: String,
    #[ts(type = "number")]
    pub every_ms: i64,
    /// Length of a window: that of `every` where they follow one another.
    #[ts(type = "number")]
    pub period_ms: i64,
    /// Provisional rows are published so often.
    #[ts(type = "number | null")]
    pub early_ms: Option<i64>,
    /// The case that it counts.
    pub gauge: Option<String>,
    /// Tags of its rows.
    pub by: Vec<String>,
    pub fields: Vec<FieldView>,
    /// Windows held in memory: those that have not fired, and fired ones that may still be revised.
    pub held: u32,
    /// The oldest window that has not fired.
    pub oldest: Option<WindowHold>,
}

/// A window and what keeps it from firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct WindowHold {
    #[ts(type = "number")]
    pub start: i64,
    #[ts(type = "number")]
    pub end: i64,
    /// Tick time at which it could have fired had nobody held it; null: that is still to come.
    #[ts(type = "number | null")]
    pub since: Option<i64>,
    /// The partitions whose watermark is below its end and that are not idle.
    pub holders: Vec<Holder>,
    /// Each holder's watermark passes the end with an event of this time or later.
    #[ts(type = "number")]
    pub event_time: i64,
    /// Tick time at which it fires if nothing more comes, and why.
    #[ts(type = "number")]
    pub release_at: i64,
    pub release_by: ReleasedBy,
    /// Tick time at which it fires at the latest, incomplete if somebody holds it then.
    #[ts(type = "number")]
    pub deadline: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum ReleasedBy {
    /// Nobody holds it; it is not over yet.
    Time,
    /// The last holder falls idle.
    Idle,
    /// The deadline passes while somebody holds it.
    Deadline,
}

/// A partition that holds a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Holder {
    pub topic: String,
    pub partition: i32,
    /// Null: nothing was ever accepted there.
    #[ts(type = "number | null")]
    pub watermark: Option<i64>,
    /// Tick time at which it falls idle if nothing more is accepted; null while it cannot be read.
    #[ts(type = "number | null")]
    pub idle_at: Option<i64>,
    pub unreadable: bool,
    /// The source accepted there last, if it is in scope, and its newest event's time.
    pub source: Option<String>,
    #[ts(type = "number | null")]
    pub heard: Option<i64>,
}

/// A rule, and how many alerts of it in scope stand in each condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelineRule {
    pub rule: String,
    pub measurement: String,
    pub severity: Severity,
    pub title: Text,
    pub when: String,
    pub until: Option<String>,
    #[ts(type = "number")]
    pub for_ms: i64,
    pub alerts: AlertCounts,
}

/// Alerts of the picture by condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct AlertCounts {
    pub pending: u32,
    pub firing: u32,
    pub no_data: u32,
    pub resolved: u32,
}

/// One partition as a pipeline sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct PipelinePartition {
    pub topic: String,
    pub partition: i32,
    #[ts(type = "number | null")]
    pub watermark: Option<i64>,
    /// Tick time minus watermark.
    #[ts(type = "number | null")]
    pub lag_ms: Option<i64>,
    pub idle: bool,
    /// The broker did not confirm its end within the last 2 s.
    pub unreadable: bool,
    /// Tick time for which nothing has been accepted while it could be read.
    #[ts(type = "number")]
    pub quiet_ms: i64,
    /// Records accepted by this pipeline a second, over the same time as `rates`.
    pub rate_per_s: f64,
    /// Next record to take.
    #[ts(type = "number")]
    pub next_offset: u64,
    /// Records in the log that were not taken yet.
    #[ts(type = "number")]
    pub behind: u64,
    /// The source accepted last, if it is in scope, and its newest event's time.
    pub source: Option<String>,
    #[ts(type = "number | null")]
    pub heard: Option<i64>,
}

/// `GET /api/v1/pipelines/{name}/explain?measurement=&start=&tag.NAME=`: why a window has not fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Explanation {
    /// Tick time.
    #[ts(type = "number")]
    pub at: i64,
    pub pipeline: String,
    pub measurement: String,
    /// The tags that were asked for.
    pub key: BTreeMap<String, String>,
    pub state: WindowState,
    #[ts(type = "number | null")]
    pub start: Option<i64>,
    #[ts(type = "number | null")]
    pub end: Option<i64>,
    /// While it is open.
    pub hold: Option<WindowHold>,
    /// Registered sources in scope that are expected in the window, by the tags asked for, and were not heard since it began; at most
    /// 50, silent longest first.
    pub quiet: Vec<QuietSource>,
    /// So many there are.
    pub quiet_total: u32,
    /// All of it in words.
    pub says: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// No window of the measurement is open.
    None,
    Open,
    /// It has fired and may be revised.
    Fired,
    /// It can no longer change.
    Settled,
}

/// A source that a window may be waiting for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct QuietSource {
    pub id: String,
    pub name: Text,
    pub area: Option<AreaRef>,
    #[ts(type = "number | null")]
    pub last_heard: Option<i64>,
    #[ts(type = "number | null")]
    pub cadence_ms: Option<i64>,
}
