//! The engine: pure state that ticks move. Events go in through `collect`, ticks through `merge`; effects come out.
//!
//! Owns: the words of a tick ([`Tick`], [`Row`], [`AlertChange`], [`Effects`]). Refuses to know: clocks, files, sockets, threads.
//!
//! Invariants
//! 1. The same input per partition gives the same last row per identity, whatever the ticks (law of values, R3).
//! 2. The same input and the same ticks give the same effects, byte for byte (law of history, R3).
//! 3. Iteration is ordered everywhere; floating sums are folded in partition order (R1).
//!
//! Called by: driver (live, file run, replay), scenario (tests).

pub mod absence;
pub mod aggregate;
pub mod alert;
pub mod case;
pub mod collect;
pub mod completeness;
pub mod counts;
pub mod dedup;
pub mod holding;
pub mod keys;
pub mod lane;
pub mod merge;
pub mod rule;
pub mod setup;
pub mod snapshot;
pub mod sources;
pub mod window;

pub use alert::{Act, Action, HandlingChange, Refusal, Verdict};

use crate::geo::AreaId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The engine's only clock, and its only input besides events.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tick {
    pub number: u64,
    /// Tick time: the least read_time; never goes back.
    pub time: Timestamp,
    /// Tick time is within 5 s of the wall clock.
    pub live: bool,
    /// By partition index of the lane; partitions only ever come to the end of this list.
    pub partitions: Vec<PartitionTick>,
    pub actions: Vec<Action>,
    /// (pipeline, window) whose definition changes after this tick: what is open of them fires incomplete (D2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retire: Vec<(u16, u16)>,
}

/// Nanoseconds since 1970: tick time as files keep it.
pub type TickTime = i64;

/// What a tick says of one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartitionTick {
    /// Records below this offset belong to this tick or an earlier one.
    pub end: u64,
    /// The wall clock while the end is reached, else the broker_time of the next known record; `None` for recorded input (no broker_time).
    pub read_time: Option<Timestamp>,
    /// The broker did not confirm the end within the last 2 s.
    pub unreadable: bool,
    /// A finished file: nothing comes any more.
    pub finished: bool,
}

/// hash(pipeline, alert, key, start of its first true window): the first 16 bytes of sha256 (R8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AlertId(pub [u8; 16]);

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::fmt::Debug for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlertId({self})")
    }
}

impl From<AlertId> for String {
    fn from(id: AlertId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for AlertId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut id = [0u8; 16];
        if text.len() != 32 || !text.is_ascii() {
            return Err(format!("an alert id has 32 hexadecimal digits, not {text:?}"));
        }
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|e| format!("alert id {text:?}: {e}"))?;
        }
        Ok(AlertId(id))
    }
}

/// The tags of a row, in the order of `by`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Key {
    pub tags: Vec<Box<str>>,
    /// The located area where `area` is a tag and one was found.
    pub area: Option<AreaId>,
}

/// A published window of one measurement and key (R2).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Index in the lane's pipelines.
    pub pipeline: u16,
    /// Index in that pipeline's windows.
    pub window: u16,
    pub key: Arc<Key>,
    pub start: Timestamp,
    pub end: Timestamp,
    /// By field index of the window.
    pub values: Vec<FieldValue>,
    /// 0 for the first publication.
    pub revision: u32,
    pub state: RowState,
    pub heard: Option<u32>,
    pub expected: Option<u32>,
    /// A sketch stands behind a field: it is within the error that R5 allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approx: bool,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum FieldValue {
    /// No observation: the field is not in the row (R6).
    Absent,
    Int(i64),
    Float(f64),
}

impl FieldValue {
    pub fn number(self) -> Option<f64> {
        match self {
            FieldValue::Absent => None,
            FieldValue::Int(n) => Some(n as f64),
            FieldValue::Float(x) => Some(x),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    Provisional,
    Final,
    Incomplete,
    Withdrawn,
}

impl RowState {
    pub const fn name(self) -> &'static str {
        match self {
            RowState::Provisional => "provisional",
            RowState::Final => "final",
            RowState::Incomplete => "incomplete",
            RowState::Withdrawn => "withdrawn",
        }
    }
}

/// Condition of an alert; `Inactive` is none at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Condition {
    #[serde(rename = "inactive")]
    Inactive,
    #[serde(rename = "pending")]
    Pending,
    #[serde(rename = "firing")]
    Firing,
    #[serde(rename = "no data")]
    NoData,
    #[serde(rename = "resolved")]
    Resolved,
}

/// Why a change came about where it is not the plain rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ChangeReason {
    #[serde(rename = "revised")]
    Revised,
    #[serde(rename = "rule changed")]
    RuleChanged,
    #[serde(rename = "no data")]
    NoData,
}

/// One step of an alert's condition, with its evidence (R8). The journal keeps these.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlertChange {
    pub tick: u64,
    pub id: AlertId,
    /// Index in the lane's pipelines, and in that pipeline's rules.
    pub pipeline: u16,
    pub rule: u16,
    pub key: Arc<Key>,
    pub from: Condition,
    pub to: Condition,
    /// End of the deciding window; no data: the last row's end + `no_data`; after a revision: the end at which it would have stood.
    pub at: Timestamp,
    /// Start of the deciding row.
    pub window_start: Timestamp,
    /// End of the deciding row.
    pub window_end: Timestamp,
    pub row_revision: u32,
    pub row_state: RowState,
    /// End of the first true window of the run.
    pub since: Timestamp,
    /// By field index of the rule's window.
    pub values: Vec<FieldValue>,
    pub heard: Option<u32>,
    pub expected: Option<u32>,
    /// sha256 of the rule, 64 hex digits.
    pub rule_version: Arc<str>,
    pub reason: Option<ChangeReason>,
    /// Found in a tick that was not live, or begun and ended before it was found.
    pub retroactive: bool,
    /// Of an alert on a case: the case instead of a row. `window_start` is then when the condition began to hold, `window_end` is `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Box<case::CaseEvidence>>,
    /// Each clause of the rule's `when` on the deciding row or case; none where the rule is gone, or is one on absent sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clauses: Vec<ClauseValue>,
    /// Where the events of the deciding row lie, by partition; none where its window is forgotten, or it had no row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<Positions>,
}

/// Offsets [from, to) of a partition of the lane: those of a row's events lie there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Positions {
    pub partition: u32,
    pub from: u64,
    pub to: u64,
}

/// A clause of a rule's `when` as it was judged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClauseValue {
    pub text: Arc<str>,
    /// Of a comparison of numbers: both sides, as far as they are known.
    pub value: Option<f64>,
    pub limit: Option<f64>,
    /// `None`: unknown.
    pub truth: Option<bool>,
}
