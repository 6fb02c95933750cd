//! Cases as declared, compiled: what one is, when it is due, how its events are read, how gauges count it.
//!
//! Owns: [`CaseSpec`], [`CaseInput`], [`GaugeSpec`] and the slots that programs over cases read. Refuses to know: histories of cases, the
//! calendar's insides, ticks.
//!
//! Invariants
//! 1. Programs of due times, gauges and alerts on cases read the slots of [`slot`]: the fixed ones, then `CaseSpec::values`.
//! 2. `version` covers what a case's history is made of (R9), not how it is judged: a new limit or gauge leaves the histories.
//!
//! Called by: engine::case. Made by: compile/case.rs, compile/gauge.rs.

use super::KeySource;
use super::expr::Program;
use crate::time::Span;
use crate::time::working::Length;

/// What a program over a case reads.
pub mod slot {
    /// Name of the state, a text.
    pub const STATE: usize = 0;
    /// In one of the open states.
    pub const OPEN: usize = 1;
    pub const OVERDUE: usize = 2;
    pub const DUE_SOON: usize = 3;
    /// Hours since it was created, a number.
    pub const AGE_H: usize = 4;
    /// A time.
    pub const CREATED: usize = 5;
    /// A time; unknown where no alternative of `due` is.
    pub const DUE: usize = 6;
    pub const SUBJECT: usize = 7;
    /// `CaseSpec::values` begin here.
    pub const VALUES: usize = 8;
    /// By number.
    pub const NAMES: [&str; VALUES] = ["state", "open", "overdue", "due_soon", "age_h", "created_at", "due", "subject"];
}

/// Tags of alerts on cases.
pub const TAGS: [&str; 2] = ["subject", "area"];

/// Something with a life cycle and perhaps a due time (R9).
#[derive(Clone, Debug)]
pub struct CaseSpec {
    pub name: String,
    /// A state's number is its place here: the open ones first.
    pub states: Vec<String>,
    /// How many of `states` are open.
    pub open: usize,
    /// What is kept of each event, by name: "data.category", "source".
    pub values: Vec<String>,
    /// The first that is known counts.
    pub due: Vec<DueRule>,
    pub due_soon: Option<Length>,
    /// How long it still takes events after it closed.
    pub keep: Span,
    /// sha256 of what its history is made of, 64 hex digits.
    pub version: String,
    /// sha256 of how it is judged too: states, due times; part of the versions of its gauges and alerts.
    pub terms: String,
}

impl CaseSpec {
    pub fn state(&self, name: &str) -> Option<u16> {
        self.states.iter().position(|s| s == name).map(|i| i as u16)
    }

    pub fn is_open(&self, state: u16) -> bool {
        usize::from(state) < self.open
    }
}

/// One alternative of `due`.
#[derive(Clone, Debug)]
pub enum DueRule {
    /// A time, or a text that is one.
    At(Program),
    /// `working(from, limit)`: working time after an instant.
    Working { from: Program, limit: Limit },
}

#[derive(Clone, Debug)]
pub enum Limit {
    /// `sla[key]`: a line of a table under `limits:` in registry/calendar.yaml.
    Table {
        table: String,
        key: Program,
    },
    Hours(Program),
}

/// How events of one type move a case. Programs read `Event::slots` of that type.
#[derive(Clone, Debug)]
pub struct CaseInput {
    /// `where` of the case.
    pub filter: Option<Program>,
    pub subject: KeySource,
    pub state: Program,
    pub created: Option<Program>,
    /// By value index of the case.
    pub values: Vec<Program>,
}

/// Rows that count the open cases as of each window's end.
#[derive(Clone, Debug)]
pub struct GaugeSpec {
    /// Index in `Pipeline::cases`.
    pub case: usize,
    /// In the order of `by`.
    pub by: Vec<GaugeKey>,
    /// What the fields' programs read: slot i is `aggregates[i]`.
    pub aggregates: Vec<GaugeAggregate>,
}

#[derive(Clone, Debug)]
pub enum GaugeKey {
    /// The finest area located by the newest event that has one; `outside` where none.
    Area,
    /// Absent: the case is in no row.
    Value(Program),
}

#[derive(Clone, Debug)]
pub struct GaugeAggregate {
    pub read: GaugeRead,
    /// `None` for counts.
    pub value: Option<Program>,
    /// Unknown counts as false.
    pub condition: Option<Program>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GaugeRead {
    Count,
    Sum,
    Mean,
    Min,
    Max,
}
