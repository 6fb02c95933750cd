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

mod handling;
mod names;
mod pipelines;
mod replay;
mod rest;
mod rows;

pub use handling::*;
pub use pipelines::*;
pub use replay::*;
pub use rest::*;
pub use rows::*;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use ts_rs::TS;
use utoipa::ToSchema;

/// The version of this protocol; a client that speaks another one is told so and closed.
pub const PROTOCOL: u32 = 1;

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Text {
    pub vi: String,
    pub en: String,
}

/// Client → server, websocket, JSON text frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// First frame. `resume` names the last sequence seen of an epoch; without it a snapshot is sent.
    Hello { protocol: u32, resume: Option<Resume> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Resume {
    pub epoch: String,
    #[ts(type = "number")]
    pub seq: u64,
}

/// Server → client, websocket, JSON text frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
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
    /// Of a replay only: where it is.
    Replay(ReplayState),
    /// The last frame before the server closes.
    Bye {
        reason: ByeReason,
        detail: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Snapshot {
    #[ts(type = "number")]
    pub seq: u64,
    pub tick: TickView,
    pub alerts: Vec<Arc<AlertView>>,
    pub figures: Vec<Arc<FigureView>>,
    pub health: HealthView,
}

/// What changed since the client's last sequence. Alerts: each change, in order. Figures: the newest of each, at most 4 times a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TickView {
    #[ts(type = "number")]
    pub number: u64,
    /// Tick time.
    #[ts(type = "number")]
    pub time: i64,
    /// Tick time is within 5 s of the wall clock.
    pub live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    Major,
    Minor,
    Notice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A pending alert that ended before it fired; it leaves the picture with this change.
    Inactive,
    Pending,
    Firing,
    NoData,
    Resolved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    New,
    Acknowledged,
    Assigned,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AreaRef {
    pub code: String,
    pub name: String,
}

/// One alert, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub assigned: Option<Assignment>,
    /// While `handling` is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub closed: Option<Closing>,
    /// Ticked steps of the procedure, by step.
    #[serde(default)]
    pub steps: Vec<StepDone>,
    /// Notes there are; their texts are in the history.
    #[serde(default)]
    pub notes: u32,
    /// When somebody last acted on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub acted: Option<i64>,
    /// Silences of single sources in its area that it stands for: they do not fire while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub stands_for: Option<u32>,
    /// What decided the last change.
    pub evidence: Evidence,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Acknowledgement {
    pub by: String,
    #[ts(type = "number")]
    pub at: i64,
    pub note: String,
}

/// The row and the clauses that decided (R8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
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
    /// What `&&` and `||` join in `when`, each as it was judged.
    #[serde(default)]
    pub clauses: Vec<ClauseView>,
    /// An alert on a case has this instead of a row; `measurement` is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub case: Option<CaseFacts>,
}

/// A clause of `when` on the deciding row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ClauseView {
    /// "occupancy > 25"
    pub text: String,
    /// Of a comparison of numbers: both sides, as far as they are known.
    pub value: Option<f64>,
    pub limit: Option<f64>,
    /// `null`: unknown.
    pub truth: Option<bool>,
}

/// A case as it was when an alert on it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct CaseFacts {
    /// "field_report"
    pub case: String,
    pub state: String,
    #[ts(type = "number")]
    pub created: i64,
    #[ts(type = "number | null")]
    pub due: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    Provisional,
    Final,
    Incomplete,
    Withdrawn,
}

/// The newest row of one measurement and key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
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
    /// A sketch stands behind a field: within the error that R5 allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub approx: Option<bool>,
}

/// Whether the figures can be trusted, as counts of the reader's scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum StoreHealth {
    #[default]
    Ok,
    /// Rows wait in the spool.
    Behind,
    /// The spool is full: a range is owed.
    Owed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Me {
    pub name: String,
    pub role: Role,
    /// Area or group codes this reader may see; empty: the whole province.
    pub areas: Vec<String>,
    /// Sectors this reader may see; empty: all.
    pub sectors: Vec<String>,
    /// May act on alerts.
    pub may_act: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
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
