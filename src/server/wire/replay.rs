//! Messages of a replay, and the bar of the past.
//!
//! Owns: their names and shapes. Refuses to know: how the past comes about again.
//!
//! Invariants: those of `wire`; and: no command changes anything but what its own client sees.
//!
//! Called by: server::replay, api::timeline, replay, through `wire`.

use super::{Severity, Text};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// Client → server on `GET /api/v1/replay`, after the hello. The first is `open`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ReplayCommand {
    /// The picture at a moment; speed 0: it stands.
    Open {
        #[ts(type = "number")]
        at: i64,
        #[serde(default)]
        speed: f64,
    },
    /// So many seconds of the past a second; 0: it stands; more than can be computed: as fast as it goes.
    Play { speed: f64 },
    /// Another moment, as fast or still as before.
    Seek {
        #[ts(type = "number")]
        at: i64,
    },
    /// So much later, or earlier, and stand.
    Step {
        #[ts(type = "number")]
        ms: i64,
    },
    /// To the tick in which the next alert of the scope begins to fire, and stand.
    NextAlert,
}

/// Where a replay is: after each command and at least once a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct ReplayState {
    /// The moment that is shown.
    #[ts(type = "number")]
    pub at: i64,
    /// The oldest and the newest moment that can be shown.
    #[ts(type = "number")]
    pub oldest: i64,
    #[ts(type = "number")]
    pub newest: i64,
    pub speed: f64,
    pub playing: bool,
    /// How much of the picture at `at` is built, 0..1; 1: it is shown.
    pub building: f64,
    /// What is to be said about it.
    pub note: Option<Text>,
}

/// `GET /api/v1/timeline`: what the bar of the past shows, of the reader's scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct Timeline {
    #[ts(type = "number")]
    pub oldest: i64,
    #[ts(type = "number")]
    pub newest: i64,
    /// By beginning; the newest 5,000.
    pub alerts: Vec<TimelineAlert>,
    /// Nothing was read in them, or records were deleted before they were read.
    pub gaps: Vec<TimelineGap>,
    /// Times of kept states, ms.
    #[ts(type = "Array<number>")]
    pub checkpoints: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TimelineAlert {
    pub id: String,
    pub severity: Severity,
    /// When it began to fire.
    #[ts(type = "number")]
    pub at: i64,
    #[ts(type = "number | null")]
    pub resolved: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema, TS)]
pub struct TimelineGap {
    #[ts(type = "number")]
    pub from: i64,
    #[ts(type = "number")]
    pub to: i64,
}
