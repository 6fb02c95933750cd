//! Verdicts counted (T0): by pipeline, partition and source.
//!
//! Owns: [`Verdict`], [`PartCounts`]. Refuses to know: why a verdict was given.
//!
//! Invariants
//! 1. `read` = rejected + unwanted + late + duplicate + accepted.
//! 2. Every count is kept by source too; a rejected record without a readable source has none.
//!
//! Called by: collect (counts), lane and telemetry (read).

use crate::event::Rejected;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What becomes of a record in one pipeline, besides being rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Unwanted,
    Late,
    Duplicate,
    Accepted,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartCounts {
    pub read: u64,
    /// By reason: "schema.required".
    pub rejected: BTreeMap<String, u64>,
    pub unwanted: u64,
    pub late: u64,
    pub duplicate: u64,
    pub accepted: u64,
    /// Duplicates with other data; counted in `duplicate` too.
    pub conflict: u64,
    pub invalid_field: u64,
    /// By window.
    pub partly_late: Vec<u64>,
    pub no_key: Vec<u64>,
    /// By case; shorter where the rest are zeros.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<CaseCounts>,
    /// By the partition's source number.
    pub sources: Vec<SourceCounts>,
}

/// What became of events that a case wanted, late ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    pub taken: u64,
    /// Its state is neither open nor closed by the pipeline's file: no case changed.
    pub unknown_state: u64,
    pub no_subject: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceCounts {
    pub rejected: u32,
    pub unwanted: u32,
    pub late: u32,
    pub duplicate: u32,
    pub accepted: u32,
    pub conflict: u32,
    pub invalid_field: u32,
    /// Greatest delay of a late event.
    pub worst_delay: Span,
    /// Highest event time accepted: last heard.
    pub last_heard: Option<Timestamp>,
}

impl PartCounts {
    pub fn new(windows: usize) -> PartCounts {
        PartCounts { partly_late: vec![0; windows], no_key: vec![0; windows], ..PartCounts::default() }
    }

    #[inline]
    fn source(&mut self, source: u32) -> &mut SourceCounts {
        let at = source as usize;
        if at >= self.sources.len() {
            self.sources.resize(at + 1, SourceCounts::default());
        }
        &mut self.sources[at]
    }

    #[inline]
    pub(super) fn count(&mut self, verdict: Verdict, source: u32, invalid_fields: u32) {
        self.read += 1;
        self.invalid_field += invalid_fields as u64;
        let of = self.source(source);
        of.invalid_field += invalid_fields;
        match verdict {
            Verdict::Unwanted => {
                of.unwanted += 1;
                self.unwanted += 1;
            }
            Verdict::Late => {
                of.late += 1;
                self.late += 1;
            }
            Verdict::Duplicate => {
                of.duplicate += 1;
                self.duplicate += 1;
            }
            Verdict::Accepted => {
                of.accepted += 1;
                self.accepted += 1;
            }
        }
    }

    pub(super) fn reject(&mut self, rejected: &Rejected, source: Option<u32>) {
        self.read += 1;
        *self.rejected.entry(rejected.code()).or_default() += 1;
        if let Some(source) = source {
            self.source(source).rejected += 1;
        }
    }

    pub(super) fn delay(&mut self, source: u32, delay: Span) {
        let of = self.source(source);
        of.worst_delay = of.worst_delay.max(delay);
    }

    pub(super) fn conflict(&mut self, source: u32) {
        self.conflict += 1;
        self.source(source).conflict += 1;
    }

    #[inline]
    pub(super) fn heard(&mut self, source: u32, time: Timestamp) {
        let of = self.source(source);
        of.last_heard = of.last_heard.max(Some(time));
    }

    pub(super) fn partly_late(&mut self, window: usize) {
        self.partly_late[window] += 1;
    }

    pub(super) fn no_key(&mut self, window: usize) {
        self.no_key[window] += 1;
    }

    pub(super) fn case(&mut self, case: usize) -> &mut CaseCounts {
        if self.cases.len() <= case {
            self.cases.resize(case + 1, CaseCounts::default());
        }
        &mut self.cases[case]
    }

    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Adds another partition's counts; sources are left out, their numbers differ by partition.
    pub fn add(&mut self, other: &PartCounts) {
        self.read += other.read;
        for (reason, n) in &other.rejected {
            *self.rejected.entry(reason.clone()).or_default() += n;
        }
        self.unwanted += other.unwanted;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.accepted += other.accepted;
        self.conflict += other.conflict;
        self.invalid_field += other.invalid_field;
        for (a, b) in self.partly_late.iter_mut().zip(&other.partly_late) {
            *a += b;
        }
        for (a, b) in self.no_key.iter_mut().zip(&other.no_key) {
            *a += b;
        }
        for (case, more) in other.cases.iter().enumerate() {
            let mine = self.case(case);
            mine.taken += more.taken;
            mine.unknown_state += more.unknown_state;
            mine.no_subject += more.no_subject;
        }
    }
}
