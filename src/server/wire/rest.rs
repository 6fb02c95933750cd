//! Answers and requests of the REST interface.
//!
//! Owns: their names and shapes. Refuses to know: who may ask, how an answer comes about.
//!
//! Invariants: those of `wire`.
//!
//! Called by: api, through `wire`.

use super::{AlertView, AreaRef, RowState, Severity, Text, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;
use utoipa::ToSchema;

/// `GET /api/v1/catalog`: what measurements, fields and rules there are, for labels and thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Catalog {
    pub place: Text,
    /// "Asia/Ho_Chi_Minh": the zone all times are shown in.
    pub time_zone: String,
    pub sectors: Vec<SectorView>,
    pub measurements: Vec<MeasurementView>,
    pub rules: Vec<RuleView>,
    /// The areas in force, deepest level, without their shapes.
    #[serde(default)]
    pub areas: Vec<AreaName>,
    /// Groups in force: a former district as its communes.
    #[serde(default)]
    pub groups: Vec<GroupView>,
    /// Words for values of tags that are codes, by tag and code.
    #[serde(default)]
    pub names: BTreeMap<String, BTreeMap<String, Text>>,
    /// What a demo shows, in the order of time; empty otherwise.
    #[serde(default)]
    pub demo: Vec<DemoStep>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AreaName {
    pub code: String,
    pub name: String,
    pub level: String,
}

/// Areas under one code and name. Of its members those in the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct GroupView {
    pub code: String,
    pub name: Text,
    pub level: String,
    pub members: Vec<String>,
}

/// Something that happens in a demo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct DemoStep {
    #[ts(type = "number")]
    pub at: i64,
    pub title: Text,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SectorView {
    pub code: String,
    pub name: Text,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct MeasurementView {
    pub measurement: String,
    pub pipeline: String,
    pub sector: String,
    #[ts(type = "number")]
    pub every_ms: i64,
    pub tags: Vec<String>,
    pub fields: Vec<FieldView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct FieldView {
    pub field: String,
    /// UCUM-like unit as shown ("km/h", "%", "m"); empty where none is known.
    pub unit: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RuleView {
    pub pipeline: String,
    pub rule: String,
    pub measurement: String,
    pub severity: Severity,
    pub title: Text,
    pub when: String,
    pub until: Option<String>,
    #[ts(type = "number")]
    pub for_ms: i64,
    /// Plain comparisons of one field with a number found in `when` and `until`: lines on a chart.
    pub limits: Vec<Limit>,
    /// Procedure, Markdown, if the file is there.
    pub sop: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Limit {
    pub field: String,
    /// ">", ">=", "<", "<="
    pub op: String,
    pub value: f64,
    /// From `until`, else from `when`.
    pub until: bool,
}

/// `GET /api/v1/trend?measurement=&field=&from=&to=&tag.area=…`: one figure over time, from the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Trend {
    pub measurement: String,
    pub field: String,
    pub unit: String,
    #[ts(type = "number")]
    pub every_ms: i64,
    pub points: Vec<TrendPoint>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TrendPoint {
    #[ts(type = "number")]
    pub start: i64,
    /// `null`: the row has no such field.
    pub value: Option<f64>,
    pub state: RowState,
    pub revision: u32,
}

/// `GET /api/v1/alerts/{id}`: the alert and how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AlertDetail {
    pub alert: AlertView,
    /// The last 64 entries, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Its procedure as it is today, Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub procedure: Option<String>,
    /// Where the events of the deciding row lie, as far as it is known.
    #[serde(default)]
    pub positions: Vec<EventPositions>,
}

/// Offsets [from, to) of a partition: the row's events lie there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct EventPositions {
    pub topic: String,
    pub partition: i32,
    #[ts(type = "number")]
    pub from: u64,
    #[ts(type = "number")]
    pub to: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct HistoryEntry {
    #[ts(type = "number")]
    pub at: i64,
    /// "inactive", "pending", "firing", "no_data", "resolved"; "acknowledged", "unacknowledged", "assigned", "noted", "closed", "reopened",
    /// "step_done", "step_undone".
    pub what: String,
    pub by: Option<String>,
    pub note: Option<String>,
    pub reason: Option<String>,
    pub values: BTreeMap<String, f64>,
    /// Of "assigned".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub to: Option<String>,
    /// Of "closed".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub verdict: Option<Verdict>,
    /// Of "step_done" and "step_undone".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub step: Option<u32>,
}

/// `GET /api/v1/sources`: who sends, as of now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SourcesNow {
    /// Tick time.
    #[ts(type = "number")]
    pub at: i64,
    /// In the order of their ids.
    pub sources: Vec<SourceView>,
    /// There are further ones: ask again with `after` = the last id.
    pub more: bool,
}

/// One source: registered, or only heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct SourceView {
    pub id: String,
    /// The id, where it is not registered.
    pub name: Text,
    pub registered: bool,
    pub kind: Option<String>,
    /// Event types that it sends, by the registry.
    pub types: Vec<String>,
    pub area: Option<AreaRef>,
    pub sector: Option<String>,
    /// Where it stands, if the registry says so: [lon, lat].
    #[serde(default)]
    pub position: Option<[f64; 2]>,
    /// Time between two of its events when all is well.
    #[ts(type = "number | null")]
    pub cadence_ms: Option<i64>,
    /// Highest event time accepted.
    #[ts(type = "number | null")]
    pub last_heard: Option<i64>,
    /// Nothing for more than three times its cadence; false where the cadence is not known.
    pub silent: bool,
    /// Records since the state was begun, each once; `conflict` (a copy with other data) counts in `duplicate` too.
    #[ts(type = "number")]
    pub accepted: u64,
    #[ts(type = "number")]
    pub late: u64,
    #[ts(type = "number")]
    pub duplicate: u64,
    #[ts(type = "number")]
    pub conflict: u64,
    #[ts(type = "number")]
    pub rejected: u64,
    /// Fields emptied because their value lies outside the valid range.
    #[ts(type = "number")]
    pub invalid_field: u64,
    /// Greatest delay of a late event.
    #[ts(type = "number")]
    pub worst_delay_ms: i64,
    /// The greatest event time − broker time of the last minutes: above zero its clock is ahead.
    #[ts(type = "number | null")]
    pub clock_offset_ms: Option<i64>,
}

/// `GET /api/v1/cases?case=&subject=&state=&open=&overdue=&due_soon=&area=&limit=&after=`: cases as of a tick, by due time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct CasesPage {
    /// Tick time.
    #[ts(type = "number")]
    pub time: i64,
    /// All that were asked for, on whatever page.
    pub total: u32,
    pub cases: Vec<CaseView>,
    /// `after` of the next page; `null`: this is the last.
    pub next: Option<String>,
}

/// One case as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct CaseView {
    /// "field_report"
    pub case: String,
    pub subject: String,
    pub pipeline: String,
    pub sector: String,
    pub state: String,
    pub open: bool,
    /// Of its newest event that has one.
    pub area: Option<AreaRef>,
    #[ts(type = "number")]
    pub created: i64,
    /// Time of the event that decided the state.
    #[ts(type = "number")]
    pub since: i64,
    #[ts(type = "number | null")]
    pub due: Option<i64>,
    pub overdue: bool,
    pub due_soon: bool,
    /// What its pipeline reads of that event: "data.category", as texts.
    pub values: BTreeMap<String, String>,
}

/// Any refusal of the REST interface: what, where, and the next step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Problem {
    pub code: String,
    pub message: Text,
    pub detail: String,
}

/// `GET /api/v1/rejected?reason=&before=&limit=`: refused records, newest first. `next`: give it as `before` for what comes after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RejectedPage {
    pub records: Vec<RejectedView>,
    #[ts(type = "number | null")]
    pub next: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RejectedView {
    #[ts(type = "number")]
    pub number: i64,
    pub topic: String,
    pub partition: i32,
    #[ts(type = "number")]
    pub offset: u64,
    #[ts(type = "number | null")]
    pub broker_time: Option<i64>,
    /// "schema.required".
    pub reason: String,
    pub path: String,
    /// Byte of the record.
    pub at: u32,
    pub detail: String,
    pub source: Option<String>,
    /// Its first 2,000 characters; all of it in `GET /api/v1/rejected/{number}`.
    pub raw: String,
    /// The last time it was driven again.
    pub redriven: Option<RedrivenView>,
}

/// `POST /api/v1/rejected/redrive`: by number, or by filter the newest 1,000 that were never driven again (`again`: those too).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(default, deny_unknown_fields)]
pub struct RedriveRequest {
    #[ts(type = "number[]")]
    pub numbers: Vec<i64>,
    pub reason: Option<String>,
    #[ts(type = "number | null")]
    pub since: Option<i64>,
    pub again: bool,
    /// Name of the person, used where the access is open; else the token's name.
    pub name: Option<String>,
}

/// What became of a record that was driven again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct RedrivenView {
    #[ts(type = "number")]
    pub number: i64,
    #[ts(type = "number")]
    pub at: i64,
    pub by: String,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    #[ts(type = "number | null")]
    pub offset: Option<u64>,
    /// The most that any pipeline made of it: accepted, late, duplicate, unwanted; or rejected. Null: not judged yet, ask again.
    pub verdict: Option<String>,
    /// By pipeline; empty where it was rejected.
    pub verdicts: BTreeMap<String, String>,
    /// Why it was rejected again.
    pub reason: Option<String>,
}

/// `GET /api/v1/late?pipeline=&source=&before=&limit=`: late records, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LatePage {
    pub records: Vec<LateView>,
    #[ts(type = "number | null")]
    pub next: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct LateView {
    #[ts(type = "number")]
    pub number: i64,
    pub pipeline: String,
    pub topic: String,
    pub partition: i32,
    #[ts(type = "number")]
    pub offset: u64,
    #[ts(type = "number | null")]
    pub broker_time: Option<i64>,
    #[serde(rename = "type")]
    pub kind: String,
    pub source: String,
    pub id: String,
    /// When it happened.
    #[ts(type = "number")]
    pub time: i64,
    /// Behind the watermark.
    #[ts(type = "number")]
    pub delay_ms: i64,
    /// Its first 2,000 characters.
    pub raw: String,
}
