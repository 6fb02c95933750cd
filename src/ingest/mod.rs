//! Doors: where records come from. Kafka, the embedded log and files; the HTTP door writes into one of the first two.
//!
//! Owns: what a reader of a log gives the driver: [`Fetched`], [`PartitionName`], [`PartitionStatus`], [`Reader`].
//! Refuses to know: events, windows, ticks.
//!
//! Invariants
//! 1. A partition's records come in offset order, each once, from the offset that was asked for.
//! 2. What cannot be read is said: unassigned, unconfirmed, lost; never skipped silently (D1).
//!
//! Called by: driver, app.

pub mod embedded;
pub mod file;
pub mod kafka;
pub mod log;
pub mod mapped;
pub mod past;
pub mod reader;
pub mod topics;

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// A partition of a topic. Ordered by topic, then number: the order of partition indexes in a new lane.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PartitionName {
    pub topic: String,
    pub number: i32,
}

impl std::fmt::Display for PartitionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// One record of a log, owned.
#[derive(Clone, PartialEq, Debug)]
pub struct Fetched {
    pub offset: u64,
    /// `None` on a topic whose clock is declared `event`.
    pub broker_time: Option<Timestamp>,
    /// Empty: structured mode. Else `ce_…` attributes and `content-type`: binary mode.
    pub headers: Vec<(String, Vec<u8>)>,
    pub value: Vec<u8>,
}

/// What a log says of a partition now.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PartitionStatus {
    /// One past the last record, as of `confirmed`.
    pub end: u64,
    /// When the broker last confirmed `end`; more than 2 s ago, or never: unreadable.
    pub confirmed: Option<Instant>,
    /// This process may read it (group assignment); always true for the embedded log.
    pub assigned: bool,
}

/// Records that were deleted before they were read (D1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lost {
    pub partition: PartitionName,
    /// `[from, to)`
    pub from: u64,
    pub to: u64,
}
