//! What operators do to alerts, on the wire: handling, acts, their answers, pages of the history.
//!
//! Owns: their names and shapes. Refuses to know: who may act, what an act changes.
//!
//! Invariants: those of `wire`.
//!
//! Called by: api and views, through `wire`.

use super::{AlertView, Text};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use ts_rs::TS;
use utoipa::ToSchema;

/// What an alert turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    True,
    False,
    Duplicate,
    Test,
}

/// Whose an alert is, and who said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Assignment {
    pub to: String,
    pub by: String,
    #[ts(type = "number")]
    pub at: i64,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Closing {
    pub by: String,
    #[ts(type = "number")]
    pub at: i64,
    pub verdict: Verdict,
    pub note: String,
}

/// A ticked step of the procedure: counted from 0 among its list items, in document order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct StepDone {
    pub step: u32,
    pub by: String,
    #[ts(type = "number")]
    pub at: i64,
}

/// `POST /api/v1/alerts/{id}/act`. 200 with the alert once the act is durable; 409 with an `ActConflict` where `version` is old or the
/// act makes no sense as the alert is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ActRequest {
    pub version: u32,
    /// Name of the person, used where the access is open (no token); else the token's name.
    pub name: Option<String>,
    #[serde(default)]
    pub note: String,
    pub act: ActView,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ActView {
    Acknowledge,
    /// Takes an acknowledgement back.
    Unacknowledge,
    Assign {
        to: String,
    },
    /// `note` must not be empty.
    Note,
    Close {
        verdict: Verdict,
    },
    Reopen,
    Step {
        step: u32,
        done: bool,
    },
}

/// Why an act was refused, and the alert as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ActConflict {
    pub alert: AlertView,
    pub reason: Text,
}

/// `POST /api/v1/alerts/act`: one act on up to 200 alerts, all in one tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct BulkRequest {
    pub name: Option<String>,
    #[serde(default)]
    pub note: String,
    pub act: ActView,
    pub alerts: Vec<AlertVersion>,
}

/// An alert as it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AlertVersion {
    pub id: String,
    pub version: u32,
}

/// Each alert of the request is in one of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct BulkAnswer {
    pub done: Vec<AlertView>,
    pub conflicts: Vec<ActConflict>,
    /// No such alert in the caller's scope.
    pub unknown: Vec<String>,
}

/// `GET /api/v1/alerts/history?text=&area=&rule=&sector=&severity=&from=&to=&owner=&verdict=&condition=&after=&limit=`: all alerts there
/// were in scope, newest `since` first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct AlertsPage {
    /// As they last stood.
    pub alerts: Vec<Arc<AlertView>>,
    /// `after` of the next page; `null`: this is the last.
    pub next: Option<String>,
    /// All that were asked for, on whatever page; `null`: not the first page, or more than 10,000.
    #[ts(type = "number | null")]
    pub total: Option<u64>,
}
