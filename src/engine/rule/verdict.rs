//! The verdict of a rule on a row, and the facts that expressions and titles read.
//!
//! Owns: the seam between rows and expressions ([`RowView`], [`verdicts`], [`clause_values`]). Refuses to know: state, time that passes, the registry's
//! shape (it asks [`KeyFacts`]).
//!
//! Invariants
//! 1. An absent field, area or attribute is unknown, never zero or empty (R6).
//! 2. A verdict depends on the row and the registry only.
//!
//! Called by: rule/mod.rs (verdicts), alert/title.rs (titles).

use super::earlier::Past;
use crate::engine::case::CaseEvidence;
use crate::engine::{AlertChange, ClauseValue, FieldValue, Key, Row};
use crate::geo::AreaId;
use crate::pipeline::expr::{Inputs, Program, Value};
use crate::pipeline::{Clause, RuleArg, RuleSpec, RuleVar, WindowSpec};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What the registry knows of a key.
pub trait KeyFacts {
    /// `area.name`, `area.code`, `area.level` of the key's area; unknown where it has none.
    fn area(&self, key: &Key, part: &str) -> Value<'_>;
    /// An attribute of a source in force at a time; unknown where it has none.
    fn source_attribute(&self, source: &str, name: &str, at: Timestamp) -> Value<'_>;
    /// The cadence of a source in force at a time.
    fn cadence(&self, source: &str, at: Timestamp) -> Option<Span>;
    /// The area that an `area` tag names: keys in snapshots carry tags only.
    fn area_of(&self, tag: &str) -> Option<AreaId>;
    /// The Vietnamese and the English word for a value of a tag, where it is a code.
    fn word(&self, _tag: &str, _code: &str) -> Option<(&str, &str)> {
        None
    }
    /// What an indicator of a unit or level should be at a time; `None` where nobody said.
    fn target(&self, _code: &str, _who: &str, _at: Timestamp) -> Option<f64> {
        None
    }
    /// The straight line to its next target.
    fn pace(&self, _code: &str, _who: &str, _at: Timestamp) -> Option<f64> {
        None
    }
    /// When so much working time has passed; `None` where the calendar does not know the year.
    fn working(&self, _from: Timestamp, _hours: f64) -> Option<Timestamp> {
        None
    }
}

/// Three-valued (R6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    True,
    False,
    Unknown,
}

impl From<Option<bool>> for Verdict {
    fn from(truth: Option<bool>) -> Self {
        match truth {
            Some(true) => Verdict::True,
            Some(false) => Verdict::False,
            None => Verdict::Unknown,
        }
    }
}

/// A row as rules and titles see it.
#[derive(Clone, Copy)]
pub struct RowView<'a> {
    pub key: &'a Key,
    /// Position of `source` in the tags.
    pub source_tag: Option<usize>,
    pub start: Timestamp,
    pub end: Timestamp,
    pub values: &'a [FieldValue],
    pub heard: Option<u32>,
    pub expected: Option<u32>,
    /// Of an alert on a case.
    pub case: Option<&'a CaseEvidence>,
    /// Rows before it, where a rule compares with them.
    pub earlier: Option<Past<'a>>,
    pub facts: &'a dyn KeyFacts,
}

impl<'a> RowView<'a> {
    pub fn of_row(row: &'a Row, window: &WindowSpec, facts: &'a dyn KeyFacts) -> Self {
        let Row { key, start, end, values, heard, expected, .. } = row;
        let source_tag = window.source_tag;
        let (start, end, heard, expected) = (*start, *end, *heard, *expected);
        RowView { key, source_tag, start, end, values, heard, expected, case: None, earlier: None, facts }
    }

    /// The row that decided a change; of an alert on a case there is no window.
    pub fn of_change(change: &'a AlertChange, window: Option<&WindowSpec>, facts: &'a dyn KeyFacts) -> Self {
        let AlertChange { key, window_start, window_end, values, heard, expected, case, .. } = change;
        let source_tag = window.and_then(|w| w.source_tag);
        let (start, end, heard, expected, case) = (*window_start, *window_end, *heard, *expected, case.as_deref());
        RowView { key, source_tag, start, end, values, heard, expected, case, earlier: None, facts }
    }

    pub fn value(&self, var: &RuleVar) -> Value<'a> {
        let count = |n: Option<u32>| n.map_or(Value::Unknown, |n| Value::Num(n as f64));
        let tag = |i: usize| self.key.tags.get(i).map(|tag| &**tag);
        match var {
            RuleVar::Field(i) => self.values.get(*i).and_then(|v| v.number()).map_or(Value::Unknown, Value::Num),
            RuleVar::Tag(i) => tag(*i).map_or(Value::Unknown, |text| Value::Text(Cow::Borrowed(text))),
            RuleVar::Previous { field, span } => {
                self.earlier.map_or(Value::Unknown, |earlier| earlier.value(self.key, self.start, *field, *span))
            }
            RuleVar::Start => Value::Time(self.start),
            RuleVar::End => Value::Time(self.end),
            RuleVar::Heard => count(self.heard),
            RuleVar::Expected => count(self.expected),
            RuleVar::Area(part) => self.facts.area(self.key, part),
            RuleVar::Case(slot) => self.case.map_or(Value::Unknown, |case| case.value(*slot)),
            RuleVar::SourceAttribute(name) => match self.source_tag.and_then(tag) {
                Some(source) => self.facts.source_attribute(source, name, self.end),
                None => Value::Unknown,
            },
            RuleVar::Target(args) => self.indicator(args, |code, who, at| self.facts.target(code, who, at)),
            RuleVar::Pace(args) => self.indicator(args, |code, who, at| self.facts.pace(code, who, at)),
            RuleVar::Working(args) => match (self.argument(&args[0]), self.argument(&args[1])) {
                (Value::Time(from), Value::Num(hours)) => self.facts.working(from, hours).map_or(Value::Unknown, Value::Time),
                _ => Value::Unknown,
            },
        }
    }

    fn indicator(&self, args: &[RuleArg; 3], ask: impl Fn(&str, &str, Timestamp) -> Option<f64>) -> Value<'a> {
        match (self.argument(&args[0]), self.argument(&args[1]), self.argument(&args[2])) {
            (Value::Text(code), Value::Text(who), Value::Time(at)) => ask(&code, &who, at).map_or(Value::Unknown, Value::Num),
            _ => Value::Unknown,
        }
    }

    fn argument<'b>(&self, arg: &'b RuleArg) -> Value<'b>
    where
        'a: 'b,
    {
        match arg {
            RuleArg::Text(text) => Value::Text(Cow::Borrowed(text)),
            RuleArg::Num(n) => Value::Num(*n),
            RuleArg::Var(var) => self.value(var),
        }
    }
}

/// A rule's variables on one row: slot i is `vars[i]`.
struct RuleInputs<'a> {
    vars: &'a [RuleVar],
    row: RowView<'a>,
}

impl Inputs for RuleInputs<'_> {
    fn get(&self, slot: usize) -> Value<'_> {
        self.vars.get(slot).map_or(Value::Unknown, |var| self.row.value(var))
    }
}

/// `when` and `until` of a rule on a row.
pub fn verdicts(rule: &RuleSpec, row: RowView<'_>) -> (Verdict, Option<Verdict>) {
    let inputs = RuleInputs { vars: &rule.vars, row };
    let truth = |program: &Program| Verdict::from(program.truth(&inputs));
    (truth(&rule.when), rule.until.as_ref().map(truth))
}

/// The clauses of a rule on a row.
pub fn row_clauses(rule: &RuleSpec, row: RowView<'_>) -> Vec<ClauseValue> {
    clause_values(&rule.clauses, &RuleInputs { vars: &rule.vars, row })
}

/// Clauses on what they read.
pub fn clause_values(clauses: &[Clause], inputs: &impl Inputs) -> Vec<ClauseValue> {
    let value = |clause: &Clause| {
        let (value, limit) = clause.sides.as_ref().map_or((None, None), |(value, limit)| (value.number(inputs), limit.number(inputs)));
        ClauseValue { text: clause.text.clone(), value, limit, truth: clause.truth.truth(inputs) }
    };
    clauses.iter().map(value).collect()
}
