//! Rows and alert changes in one line each, for whoever reads a difference.
//!
//! Owns: these texts. Refuses to know: what was expected.
//!
//! Invariants
//! 1. Times are those of the file: counted from its start.
//!
//! Called by: judge.

use super::expect::{CONDITIONS, key_names};
use super::moment::since;
use super::run::Change;
use crate::engine::{ChangeReason, Condition, FieldValue, Row};
use crate::pipeline::{Pipeline, WindowSpec};
use crate::time::Timestamp;
use std::fmt::Write;

/// `traffic_loop {area: 24617, source: T1} +0s: vehicles 0, occupancy 40, speed absent; final, revision 0, heard 1 of 1`.
pub(super) fn row_line(row: &Row, pipeline: &Pipeline, start: Timestamp) -> String {
    let window = &pipeline.windows[row.window as usize];
    let tags = window.tags.iter().map(String::as_str).zip(row.key.tags.iter().map(|t| &**t));
    let values: Vec<String> = window.fields.iter().zip(&row.values).map(|(f, v)| format!("{} {}", f.name, value(*v))).collect();
    let mut line = format!("{} {} {}: {}", window.measurement, key_text(tags), since(row.start, start), values.join(", "));
    let _ = write!(line, "; {}, revision {}", row.state.name(), row.revision);
    if let (Some(heard), Some(expected)) = (row.heard, row.expected) {
        let _ = write!(line, ", heard {heard} of {expected}");
    }
    line
}

/// `+3m flow_stopped {area: 24617, source: T1}: pending → firing, known at +3m5s`.
pub(super) fn change_line(change: &Change, pipeline: &Pipeline, start: Timestamp) -> String {
    let c = &change.change;
    let mut line = format!("{} {}: {} → {}", since(c.at, start), alert_text(change, pipeline), condition(c.from), condition(c.to));
    let _ = write!(line, ", known at {}", since(change.tick, start));
    if let Some(reason) = c.reason {
        let _ = write!(line, ", {}", reason_name(reason));
    }
    if c.retroactive {
        line.push_str(", retroactive");
    }
    line
}

/// `flow_stopped {area: 24617, source: T1}`.
pub(super) fn alert_text(change: &Change, pipeline: &Pipeline) -> String {
    let Some(rule) = pipeline.head(change.change.rule) else { return "an alert whose rule is gone".into() };
    let tags = change.change.key.tags.iter().map(|t| &**t);
    format!("{} {}", rule.name, key_text(key_names(rule).into_iter().zip(tags)))
}

pub(super) fn key_text<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let tags: Vec<String> = tags.map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{{{}}}", tags.join(", "))
}

pub(super) fn value(value: FieldValue) -> String {
    match value {
        FieldValue::Absent => "absent".into(),
        FieldValue::Int(n) => n.to_string(),
        FieldValue::Float(x) => x.to_string(),
    }
}

pub(super) fn field(row: &Row, window: &WindowSpec, name: &str) -> FieldValue {
    let at = window.fields.iter().position(|f| f.name == name);
    at.and_then(|i| row.values.get(i)).copied().unwrap_or(FieldValue::Absent)
}

pub(super) fn condition(condition: Condition) -> &'static str {
    CONDITIONS.into_iter().find(|(_, c)| *c == condition).map_or("", |(name, _)| name)
}

pub(super) fn reason_name(reason: ChangeReason) -> &'static str {
    match reason {
        ChangeReason::Revised => "revised",
        ChangeReason::RuleChanged => "rule changed",
        ChangeReason::NoData => "no data",
    }
}
