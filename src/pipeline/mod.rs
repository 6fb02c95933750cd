//! What operators declare, compiled: pipelines, windows, aggregates and rules, valid by construction.
//!
//! Owns: [`Pipeline`] and its parts as the engine reads them. Refuses to know: events' bytes, state, time that passes.
//!
//! Invariants
//! 1. A `Pipeline` that exists is valid: every name it uses exists, every default is filled in, T3's bound on `max_delay` holds.
//! 2. A measurement has one window definition in a set of pipelines (R2).
//! 3. `version` fields are hashes of content: equal content, equal version, wherever the file lies (D2).
//!
//! Called by: engine (runs them), server (catalog), cli (`ioc check`). Made by: compile.rs from spec.rs and expr.rs.

pub mod case;
pub mod check;
pub mod compile;
pub mod expr;
pub mod map;
pub mod mistake;
pub mod personal;
pub mod schemas;
pub mod spec;
pub mod yaml;

use crate::time::working::Length;
use crate::time::{Alignment, Every, Span};
use case::{CaseInput, CaseSpec, GaugeSpec};
use expr::Program;
use std::sync::Arc;

/// One YAML file.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub name: String,
    pub sector: String,
    /// Path as given, for messages.
    pub file: String,
    /// sha256 of the content that changes results, 64 hex digits.
    pub version: String,
    /// In the order of `from`.
    pub types: Vec<TypePlan>,
    pub timing: Timing,
    /// What texts for people tell times in, and windows of a day or longer follow (T6).
    pub zone: jiff::tz::TimeZone,
    pub cases: Vec<CaseSpec>,
    pub windows: Vec<WindowSpec>,
    pub rules: Vec<RuleSpec>,
    pub absences: Vec<AbsenceSpec>,
}

/// What rules of every kind have.
#[derive(Clone, Copy, Debug)]
pub struct RuleHead<'a> {
    pub name: &'a str,
    pub severity: Severity,
    pub title: &'a Template,
    pub sop: Option<&'a str>,
    /// The shape of what decides, where that is a row or a silence: its tags are those of the key, its fields the values of a change.
    pub row: Option<&'a WindowSpec>,
    /// The measurement to show beside it; empty where there is none.
    pub measurement: &'a str,
    /// On rows or cases.
    pub rule: Option<&'a RuleSpec>,
    pub absence: Option<&'a AbsenceSpec>,
}

impl<'a> RuleHead<'a> {
    /// Names of the tags of its alerts.
    pub fn tags(&self) -> Vec<&'a str> {
        match self.row {
            Some(row) => row.tags.iter().map(String::as_str).collect(),
            None => case::TAGS.to_vec(),
        }
    }
}

impl Pipeline {
    /// By the place that changes of alerts give: `rules` in the order of the file, then `absences`.
    pub fn head(&self, place: u16) -> Option<RuleHead<'_>> {
        let place = place as usize;
        if let Some(rule) = self.rules.get(place) {
            let RuleSpec { name, severity, title, sop, .. } = rule;
            let row = rule.window().and_then(|w| self.windows.get(w));
            let measurement = row.map_or("", |row| row.measurement.as_str());
            let (severity, sop) = (*severity, sop.as_deref());
            return Some(RuleHead { name, severity, title, sop, row, measurement, rule: Some(rule), absence: None });
        }
        let absence = self.absences.get(place - self.rules.len())?;
        let AbsenceSpec { name, severity, title, sop, row, shown, .. } = absence;
        let measurement = shown.and_then(|w| self.windows.get(w)).map_or("", |w| w.measurement.as_str());
        let (severity, sop) = (*severity, sop.as_deref());
        Some(RuleHead { name, severity, title, sop, row: Some(row), measurement, rule: None, absence: Some(absence) })
    }

    /// The heads of all its rules, by place.
    pub fn heads(&self) -> impl Iterator<Item = RuleHead<'_>> {
        (0..self.rules.len() + self.absences.len()).filter_map(|i| self.head(i as u16))
    }

    /// Place and version of each of its rules.
    pub fn versions(&self) -> impl Iterator<Item = (u16, &str)> {
        let all = self.rules.iter().map(|r| r.version.as_str()).chain(self.absences.iter().map(|a| a.version.as_str()));
        (0..).zip(all)
    }

    /// The place of a rule by its name.
    pub fn place_of(&self, name: &str) -> Option<u16> {
        self.heads().position(|head| head.name == name).map(|i| i as u16)
    }

    /// The place of an absence.
    pub fn absence_place(&self, absence: usize) -> u16 {
        (self.rules.len() + absence) as u16
    }
}

/// How event time is read (T2-T5, R4), all spans non-negative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    pub out_of_orderness: Span,
    pub lateness: Span,
    /// Default 30 s.
    pub idle_after: Span,
    /// Default 2 min.
    pub patience: Span,
    /// Default the greater of 15 min and lateness + out_of_orderness + patience; a smaller one is refused.
    pub max_delay: Span,
    /// Default the longest window, at most 1 h, + lateness.
    pub dedup: Span,
}

/// What this pipeline does with events of one type. Programs read `Event::slots` of that type.
#[derive(Clone, Debug)]
pub struct TypePlan {
    pub kind: String,
    /// `where` of the pipeline: unknown counts as false.
    pub filter: Option<Program>,
    /// By window index; `None` where the window does not take this type.
    pub windows: Vec<Option<WindowInput>>,
    /// By case index; `None` where the case does not take this type.
    pub cases: Vec<Option<CaseInput>>,
    /// The pipeline's absences that wait for this type.
    pub absences: Vec<u16>,
}

#[derive(Clone, Debug)]
pub struct WindowInput {
    /// `where` of the window.
    pub filter: Option<Program>,
    /// In the order of `by`.
    pub by: Vec<KeySource>,
    /// By accumulator index of the window.
    pub inputs: Vec<AccumulatorInput>,
}

/// Where a tag's value comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The finest area located; `outside` where none.
    Area,
    Source,
    Subject,
    /// The event's type.
    Kind,
    /// Numbers and booleans become their shortest text; absent: no row there, counted *no key*.
    Value(Program),
}

#[derive(Clone, Debug)]
pub struct AccumulatorInput {
    /// `None`: the accumulator takes no value (count).
    pub value: Option<Program>,
    /// `countif(c)`, `sum(x, c)`: unknown counts as false.
    pub condition: Option<Program>,
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct WindowSpec {
    pub measurement: String,
    pub alignment: Alignment,
    /// Publish provisional rows this often (T6); default 1 min where a window is an hour or longer, else never.
    pub early: Option<Span>,
    /// `fill: 0`: windows without events have rows too (R6).
    pub fill: bool,
    /// Tag names in the order of `by`.
    pub tags: Vec<String>,
    /// Position of `area` and `source` in `tags`.
    pub area_tag: Option<usize>,
    pub source_tag: Option<usize>,
    pub accumulators: Vec<AccumulatorKind>,
    /// What the fields' programs read: slot i is `reads[i]`.
    pub reads: Vec<AggregateRead>,
    pub fields: Vec<FieldSpec>,
    /// It counts cases: events have no part in it.
    pub gauge: Option<GaugeSpec>,
    /// sha256 of what makes its rows, 64 hex digits.
    pub version: String,
}

/// State kept per window and key. Aggregates that can share one do: `sum(x)`, `mean(x)`, `min(x)` read one `Stats`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccumulatorKind {
    /// Events for which the condition holds (all without one).
    Count,
    /// Number, sum, least and greatest of the value.
    Stats,
    /// Value of the least (event time, partition, offset).
    First,
    /// Value of the greatest (event time, partition, offset).
    Last,
    /// All values, exact up to R5's bound.
    Values,
    /// Different values of any type, exact up to R5's bound.
    Distinct,
    /// Readings of a counter.
    Steps,
}

/// One aggregate as a field's program reads it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AggregateRead {
    pub accumulator: usize,
    pub read: Read,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Read {
    /// Of `Count`: always there.
    Count,
    Sum,
    Mean,
    Min,
    Max,
    /// Of `First` and `Last`.
    Value,
    /// Of `Values`, nearest rank, 0 < q < 1.
    Quantile(f64),
    /// Of `Distinct`.
    Distinct,
    /// Of `Steps`.
    Increase,
}

#[derive(Clone, Debug)]
pub struct FieldSpec {
    pub name: String,
    pub program: Program,
    /// Written with `i` in line protocol: a bare `count`, `countif` or `distinct`.
    pub integer: bool,
    /// From the schema's unit where the field is one aggregate of one path that keeps it; else empty.
    pub unit: String,
}

/// What a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watches {
    /// The rows of a window: its index in `Pipeline::windows`.
    Rows(usize),
    Case(CaseRule),
}

/// A state of a case, or a condition on it, that lasts. `RuleSpec::when` reads the slots of [`case::slot`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CaseRule {
    /// Index in `Pipeline::cases`.
    pub case: usize,
    /// The state that it must be in, by number.
    pub state: Option<u16>,
    /// `for`.
    pub hold: Length,
}

/// When an alert begins and ends.
#[derive(Clone, Debug)]
pub struct RuleSpec {
    pub name: String,
    pub watches: Watches,
    pub when: Program,
    pub until: Option<Program>,
    /// Of `when`: evidence.
    pub clauses: Vec<Clause>,
    /// What `when` and `until` read: slot i is `vars[i]` (shared by both programs).
    pub vars: Vec<RuleVar>,
    pub hold: Span,
    /// Provisional rows may raise (R7).
    pub early: bool,
    /// `None`: 3 × the longer of `every` and the key's cadence in the registry.
    pub no_data: Option<Span>,
    /// Absences, of any pipeline, whose silences in the alert's area do not fire while it stands.
    pub stands_for: Vec<String>,
    pub severity: Severity,
    pub title: Template,
    pub sop: Option<String>,
    /// Plain comparisons `field op number` found in `when` (until = false) and `until` (until = true).
    pub limits: Vec<RuleLimit>,
    /// sha256 of the rule's content and its window's version, 64 hex digits.
    pub version: String,
}

impl RuleSpec {
    /// The window whose rows it judges, if it judges rows.
    pub fn window(&self) -> Option<usize> {
        match self.watches {
            Watches::Rows(window) => Some(window),
            Watches::Case(_) => None,
        }
    }

    pub fn case(&self) -> Option<CaseRule> {
        match self.watches {
            Watches::Rows(_) => None,
            Watches::Case(rule) => Some(rule),
        }
    }
}

/// One of the conditions that `&&` and `||` join in a rule's `when`; reads the rule's slots.
#[derive(Clone, Debug)]
pub struct Clause {
    pub text: Arc<str>,
    pub truth: Program,
    /// Of a comparison: what is compared, and with what.
    pub sides: Option<(Program, Program)>,
}

/// A rule on sources of a type that are not heard.
#[derive(Clone, Debug)]
pub struct AbsenceSpec {
    pub name: String,
    /// The event type.
    pub kind: String,
    pub after: After,
    pub severity: Severity,
    pub title: Template,
    pub sop: Option<String>,
    /// The shape of its changes: tags `area` and `source`, no fields.
    pub row: WindowSpec,
    /// Index in `Pipeline::windows`: where the source's figures are.
    pub shown: Option<usize>,
    /// sha256 of its content, 64 hex digits.
    pub version: String,
}

/// How long a source may be silent: so many times its cadence, and a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct After {
    pub cadences: u16,
    pub plus: Span,
}

impl std::fmt::Display for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.cadences, self.plus) {
            (0, plus) => write!(f, "{plus}"),
            (n, Span::ZERO) => write!(f, "{n} * cadence"),
            (n, plus) => write!(f, "{n} * cadence + {plus}"),
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct RuleLimit {
    pub field: String,
    pub op: &'static str,
    pub value: f64,
    pub until: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub enum RuleVar {
    /// Index in `WindowSpec::fields`.
    Field(usize),
    /// `previous(field, span)`: a field of the same key's window one span earlier; a multiple of the window's `every`.
    Previous {
        field: usize,
        span: Every,
    },
    /// Index in `WindowSpec::tags`.
    Tag(usize),
    Start,
    End,
    Heard,
    Expected,
    /// `area.name`, `area.code`, `area.level`.
    Area(String),
    /// An attribute of the row's source in the registry.
    SourceAttribute(String),
    /// `target(code, unit or level, time)`: what an indicator should be by then.
    Target(Box<[RuleArg; 3]>),
    /// `pace(code, unit or level, time)`: the straight line from its baseline to its next target.
    Pace(Box<[RuleArg; 3]>),
    /// `working(time, hours)`: when so much working time has passed.
    Working(Box<[RuleArg; 2]>),
    /// A slot of [`case::slot`], of the case that an alert is about.
    Case(usize),
}

/// What a function of a rule is given.
#[derive(Clone, PartialEq, Debug)]
pub enum RuleArg {
    Text(String),
    Num(f64),
    Var(RuleVar),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    Major,
    Minor,
    Notice,
}

/// A title in both languages; `{…}` are variables of the rule, checked at load.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub vi: Vec<TemplatePart>,
    pub en: Vec<TemplatePart>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TemplatePart {
    Text(String),
    Var(RuleVar),
}
