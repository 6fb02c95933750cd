//! What the browser sees: every message of the websocket and every answer of the REST interface, as types.
//!
//! Owns: names and shapes on the wire. Refuses to know: how a picture is built, who may see what.
//!
//! Invariants
//! 1. `dashboard/src/wire.ts` is generated from these types; a difference fails the tests.
//! 2. Updates are absolute: an object replaces the one with the same identity; nothing is a difference.
//! 3. Times are milliseconds since 1970-01-01T00:00:00Z (`number` in TypeScript), spans are milliseconds.
//! 4. Texts for people come in Vietnamese and English; codes are never translated here.
//!
//! Called by: board, hub, ws, api. The prose is docs/protocol.md.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use ts_rs::TS;

/// The version of this protocol; a client that speaks another one is told so and closed.
pub const PROTOCOL: u32 = 1;

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Text {
    pub vi: String,
    pub en: String,
}

/// Client → server, websocket, JSON text frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// First frame. `resume` names the last sequence seen of an epoch; without it a snapshot is sent.
    Hello { protocol: u32, resume: Option<Resume> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Resume {
    pub epoch: String,
    #[ts(type = "number")]
    pub seq: u64,
}

/// Server → client, websocket, JSON text frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// Answer to the client's hello: who you are and what follows. `resumed`: updates continue after `resume.seq`; else a snapshot comes next.
    Hello {
        protocol: u32,
        server: String,
        epoch: String,
        resumed: bool,
        me: Me,
    },
    Snapshot(Snapshot),
    Update(Update),
    /// The last frame before the server closes.
    Bye {
        reason: ByeReason,
        detail: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// The client read too slowly and its queue reached the bound.
    Slow,
    /// The server stops; connect again in a moment.
    Shutdown,
    /// The protocol was not followed, or another version.
    Protocol,
    /// The token is no longer valid.
    Denied,
}

/// The whole picture of the reader's scope. `seq` is where updates continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Snapshot {
    #[ts(type = "number")]
    pub seq: u64,
    pub tick: TickView,
    pub alerts: Vec<Arc<AlertView>>,
    pub figures: Vec<Arc<FigureView>>,
    pub health: HealthView,
}

/// What changed since the client's last sequence. Alerts: each change, in order. Figures: the newest of each, at most 4 times a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Update {
    #[ts(type = "number")]
    pub seq: u64,
    pub tick: TickView,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Arc<AlertView>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Arc<FigureView>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthView>,
}

/// The engine's clock as of this message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct TickView {
    #[ts(type = "number")]
    pub number: u64,
    /// Tick time.
    #[ts(type = "number")]
    pub time: i64,
    /// Tick time is within 5 s of the wall clock.
    pub live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    Major,
    Minor,
    Notice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A pending alert that ended before it fired; it leaves the picture with this change.
    Inactive,
    Pending,
    Firing,
    NoData,
    Resolved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    New,
    Acknowledged,
    Assigned,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct AreaRef {
    pub code: String,
    pub name: String,
}

/// One alert, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct AlertView {
    /// 32 lower-case hexadecimal digits.
    pub id: String,
    /// Rises by one with every change of this alert; sent back with an action so that nobody overwrites what they have not seen.
    pub version: u32,
    pub pipeline: String,
    pub rule: String,
    pub sector: String,
    pub severity: Severity,
    pub title: Text,
    pub area: Option<AreaRef>,
    /// Tags of the row: `area`, `source`, …
    pub key: BTreeMap<String, String>,
    /// Where on the map, if known: [lon, lat].
    pub position: Option<[f64; 2]>,
    pub condition: Condition,
    pub handling: Handling,
    /// End of the first true window of the run.
    #[ts(type = "number")]
    pub since: i64,
    /// Since when the condition is what it is.
    #[ts(type = "number")]
    pub changed: i64,
    #[ts(type = "number | null")]
    pub resolved: Option<i64>,
    /// Why the last change came about where it is not the plain rule: "revised", "rule changed", "no data".
    pub reason: Option<String>,
    /// Found in ticks that were not live.
    pub retroactive: bool,
    /// Who acknowledged, when, with which note.
    pub acknowledged: Option<Acknowledgement>,
    /// What decided the last change.
    pub evidence: Evidence,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Acknowledgement {
    pub by: String,
    #[ts(type = "number")]
    pub at: i64,
    pub note: String,
}

/// The row and the clauses that decided (R8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Evidence {
    pub measurement: String,
    #[ts(type = "number")]
    pub window_start: i64,
    #[ts(type = "number")]
    pub window_end: i64,
    pub revision: u32,
    pub state: RowState,
    /// Fields of the row; a field without observations is absent.
    pub values: BTreeMap<String, f64>,
    /// `when` and `until` as written.
    pub when: String,
    pub until: Option<String>,
    #[ts(type = "number")]
    pub for_ms: i64,
    /// First 12 hexadecimal digits of the rule's content.
    pub rule_version: String,
    pub heard: Option<u32>,
    pub expected: Option<u32>,
    /// An alert on a case has this instead of a row; `measurement` is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub case: Option<CaseFacts>,
}

/// A case as it was when an alert on it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct CaseFacts {
    /// "field_report"
    pub case: String,
    pub state: String,
    #[ts(type = "number")]
    pub created: i64,
    #[ts(type = "number | null")]
    pub due: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    Provisional,
    Final,
    Incomplete,
    Withdrawn,
}

/// The newest row of one measurement and key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct FigureView {
    pub measurement: String,
    pub key: BTreeMap<String, String>,
    pub area: Option<AreaRef>,
    #[ts(type = "number")]
    pub start: i64,
    #[ts(type = "number")]
    pub end: i64,
    pub revision: u32,
    pub state: RowState,
    pub values: BTreeMap<String, f64>,
    pub heard: Option<u32>,
    pub expected: Option<u32>,
}

/// Whether the figures can be trusted, as counts of the reader's scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct HealthView {
    /// Sources of the registry in force in the scope, and those heard within 3 cadences.
    pub sources_expected: u32,
    pub sources_heard: u32,
    /// Tick time minus the least watermark of a partition that is not idle, in ms: how late the figures are.
    #[ts(type = "number")]
    pub delay_ms: i64,
    /// Verdict counts since the start of this state: accepted, late, duplicate, rejected, unwanted.
    #[ts(type = "Record<string, number>")]
    pub verdicts: BTreeMap<String, u64>,
    pub store: StoreHealth,
    pub log: LogHealth,
    /// How far the state is built after a start, 0..1; 1 when done.
    pub built: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum StoreHealth {
    #[default]
    Ok,
    /// Rows wait in the spool.
    Behind,
    /// The spool is full: a range is owed.
    Owed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum LogHealth {
    #[default]
    Ok,
    /// A partition cannot be read just now.
    Unreadable,
    /// Records were deleted before they were read.
    Lost,
}

/// Who is looking, from the cookie; `GET /api/v1/me`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Me {
    pub name: String,
    pub role: Role,
    /// Area or group codes this reader may see; empty: the whole province.
    pub areas: Vec<String>,
    /// Sectors this reader may see; empty: all.
    pub sectors: Vec<String>,
    /// May acknowledge.
    pub may_act: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Operator,
    Local,
    Analyst,
    Admin,
    /// A machine that sends events and sees nothing.
    Source,
}

/// `GET /api/v1/catalog`: what measurements, fields and rules there are, for labels and thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Catalog {
    pub place: Text,
    /// "Asia/Ho_Chi_Minh": the zone all times are shown in.
    pub time_zone: String,
    pub sectors: Vec<SectorView>,
    pub measurements: Vec<MeasurementView>,
    pub rules: Vec<RuleView>,
    /// What a demo shows, in the order of time; empty otherwise.
    #[serde(default)]
    pub demo: Vec<DemoStep>,
}

/// Something that happens in a demo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DemoStep {
    #[ts(type = "number")]
    pub at: i64,
    pub title: Text,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct SectorView {
    pub code: String,
    pub name: Text,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct MeasurementView {
    pub measurement: String,
    pub pipeline: String,
    pub sector: String,
    #[ts(type = "number")]
    pub every_ms: i64,
    pub tags: Vec<String>,
    pub fields: Vec<FieldView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct FieldView {
    pub field: String,
    /// UCUM-like unit as shown ("km/h", "%", "m"); empty where none is known.
    pub unit: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Limit {
    pub field: String,
    /// ">", ">=", "<", "<="
    pub op: String,
    pub value: f64,
    /// From `until`, else from `when`.
    pub until: bool,
}

/// `GET /api/v1/trend?measurement=&field=&from=&to=&tag.area=…`: one figure over time, from the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Trend {
    pub measurement: String,
    pub field: String,
    pub unit: String,
    #[ts(type = "number")]
    pub every_ms: i64,
    pub points: Vec<TrendPoint>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct TrendPoint {
    #[ts(type = "number")]
    pub start: i64,
    /// `null`: the row has no such field.
    pub value: Option<f64>,
    pub state: RowState,
    pub revision: u32,
}

/// `POST /api/v1/alerts/{id}/acknowledge`. 200 with the alert once the act is durable; 409 with the alert as it is now if `version` is old.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct AcknowledgeRequest {
    pub version: u32,
    /// Name of the person, used where the access is open (no token); else the token's name.
    pub name: Option<String>,
    #[serde(default)]
    pub note: String,
}

/// `GET /api/v1/alerts/{id}`: the alert and how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct AlertDetail {
    pub alert: AlertView,
    pub history: Vec<HistoryEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct HistoryEntry {
    #[ts(type = "number")]
    pub at: i64,
    /// "inactive", "pending", "firing", "no_data", "resolved", "acknowledged".
    pub what: String,
    pub by: Option<String>,
    pub note: Option<String>,
    pub reason: Option<String>,
    pub values: BTreeMap<String, f64>,
}

/// `GET /api/v1/sources`: who sends, as of now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
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

/// Any refusal of the REST interface: what, where, and the next step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Problem {
    pub code: String,
    pub message: Text,
    pub detail: String,
}

/// `GET /api/v1/rejected?reason=&before=&limit=`: refused records, newest first. `next`: give it as `before` for what comes after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct RejectedPage {
    pub records: Vec<RejectedView>,
    #[ts(type = "number | null")]
    pub next: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct LatePage {
    pub records: Vec<LateView>,
    #[ts(type = "number | null")]
    pub next: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
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
