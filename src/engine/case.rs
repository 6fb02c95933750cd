//! One case: its events in the order of their times, and what it is at an instant (R9).
//!
//! Owns: [`Case`] (the history), [`Entry`], [`Standing`], [`View`] (what programs read), when a case is due. Refuses to know: partitions,
//! ticks, rows, alerts; case/book.rs holds all cases of a lane, case/gauge.rs counts them, case/alert.rs judges them.
//!
//! Invariants
//! 1. The state at t is that of the event with the highest event_time ≤ t (ties: greater id), whatever the order of arrival; a copy
//!    changes nothing.
//! 2. A row of a window sees only events that their own partition still let into that window (T3): what a row says does not depend on ticks.
//! 3. At most [`MAX_STEPS`] events of a case are held; what went before is in `first` and `area` (D6).
//!
//! Called by: case/book.rs.

pub(super) mod alert;
pub mod book;
pub(super) mod gauge;
mod snapshot;

pub use snapshot::CasesState;

use crate::geo::AreaId;
use crate::pipeline::case::{CaseSpec, DueRule, Limit, slot};
use crate::pipeline::expr::{Inputs, Program, Value};
use crate::registry::Registry;
use crate::time::working::{NoCalendar, hours_to_span};
use crate::time::{NANOS_PER_SECOND, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Events of one case held at most; the oldest make room.
pub const MAX_STEPS: usize = 64;

/// A value of an event that somebody reads of a case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CaseValue {
    Bool(bool),
    Num(f64),
    Text(Box<str>),
    Absent,
}

impl CaseValue {
    pub fn of(value: Value<'_>) -> CaseValue {
        match value {
            Value::Unknown => CaseValue::Absent,
            Value::Bool(b) => CaseValue::Bool(b),
            Value::Num(n) => CaseValue::Num(n),
            Value::Text(t) => CaseValue::Text(t.as_ref().into()),
            Value::Time(t) => CaseValue::Text(t.to_string().into()),
        }
    }

    pub fn value(&self) -> Value<'_> {
        match self {
            CaseValue::Absent => Value::Unknown,
            CaseValue::Bool(b) => Value::Bool(*b),
            CaseValue::Num(n) => Value::Num(*n),
            CaseValue::Text(t) => Value::Text(Cow::Borrowed(t)),
        }
    }
}

/// One event of a case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub time: Timestamp,
    pub id: Box<str>,
    /// By number in `CaseSpec::states`.
    pub state: u16,
    /// As the event says it.
    pub created: Option<Timestamp>,
    pub area: Option<AreaId>,
    /// Windows ending at or before this took nothing any more when it came, on its partition.
    pub closed_until: Timestamp,
    /// By value index of the case.
    pub values: Box<[CaseValue]>,
}

impl Entry {
    fn place(&self) -> (Timestamp, &str) {
        (self.time, &self.id)
    }

    fn counts_in(&self, end: Timestamp) -> bool {
        self.time <= end && self.closed_until < end
    }
}

/// What an event did to a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    Changed,
    /// It was there already, or lies before all that is still told apart.
    Nothing,
}

/// The history of one case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Ascending by (time, id); never empty.
    pub(super) entries: Vec<Entry>,
    /// Least time of the events that are no longer held; `MAX` where there are none.
    pub(super) first: Timestamp,
    /// The area of the newest of them that had one.
    pub(super) area: Option<AreaId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) told: Vec<alert::Told>,
    /// The timer that the book has set.
    #[serde(skip)]
    pub(super) armed: Option<Timestamp>,
}

/// The event that decides at an instant, and what earlier ones left.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    pub entry: &'a Entry,
    pub created: Timestamp,
    pub area: Option<AreaId>,
}

impl Case {
    pub fn new(entry: Entry) -> Case {
        Case { entries: vec![entry], first: Timestamp::MAX, area: None, told: Vec::new(), armed: None }
    }

    pub fn take(&mut self, entry: Entry) -> Taken {
        let forgotten = self.first < Timestamp::MAX;
        match self.entries.binary_search_by(|e| e.place().cmp(&entry.place())) {
            Ok(i) => self.entries[i].meet(entry),
            Err(0) if forgotten => {
                self.first = self.first.min(entry.time);
                Taken::Nothing
            }
            Err(i) => {
                self.entries.insert(i, entry);
                while self.entries.len() > MAX_STEPS {
                    self.forget(1);
                }
                Taken::Changed
            }
        }
    }

    /// Lets go of the oldest `n` events; one stays.
    fn forget(&mut self, n: usize) {
        for entry in self.entries.drain(..n.min(self.entries.len() - 1)) {
            self.first = self.first.min(entry.time);
            self.area = entry.area.or(self.area);
        }
    }

    /// Everything known: the state at `t`.
    pub fn at(&self, t: Timestamp) -> Option<Standing<'_>> {
        self.standing(|e| e.time <= t)
    }

    /// As the row of a window that ends there sees it.
    pub fn in_window(&self, end: Timestamp) -> Option<Standing<'_>> {
        self.standing(|e| e.counts_in(end))
    }

    fn standing(&self, counts: impl Fn(&Entry) -> bool) -> Option<Standing<'_>> {
        let mut deciding = None;
        let (mut earliest, mut area) = (self.first, self.area);
        for entry in self.entries.iter().filter(|e| counts(e)) {
            earliest = earliest.min(entry.time);
            area = entry.area.or(area);
            deciding = Some(entry);
        }
        deciding.map(|entry: &Entry| Standing { entry, created: entry.created.unwrap_or(earliest), area })
    }

    pub fn last(&self) -> &Entry {
        // never empty: `new` puts one, `forget` leaves one
        &self.entries[self.entries.len() - 1]
    }

    /// When nothing before its last event can matter to any row: if that closed it.
    fn settles_at(&self, spec: &CaseSpec) -> Option<Timestamp> {
        let last = self.last();
        let all = self.entries.iter().map(|e| e.closed_until.max(e.time)).max();
        all.filter(|_| !spec.is_open(last.state) && self.entries.len() > 1)
    }

    /// When it is forgotten.
    fn goes_at(&self, spec: &CaseSpec) -> Option<Timestamp> {
        let last = self.last();
        (!spec.is_open(last.state)).then(|| last.time + spec.keep)
    }
}

impl Entry {
    /// The same (time, id) again: a copy, by another partition perhaps; of two contents the greater stays, so that order does not matter.
    fn meet(&mut self, other: Entry) -> Taken {
        let content = |e: &Entry| format!("{} {:?} {:?} {:?}", e.state, e.created, e.area, e.values);
        let closed_until = self.closed_until.min(other.closed_until);
        let wins = content(&other) > content(self);
        let changed = wins || closed_until < self.closed_until;
        if wins {
            *self = other;
        }
        self.closed_until = closed_until;
        if changed { Taken::Changed } else { Taken::Nothing }
    }
}

/// What programs over a case read: slots of [`slot`].
pub struct View<'a> {
    pub spec: &'a CaseSpec,
    pub subject: &'a str,
    pub standing: Standing<'a>,
    /// The instant that is asked about.
    pub at: Timestamp,
    pub due: Option<Timestamp>,
    /// Since when it is due soon.
    pub soon: Option<Timestamp>,
}

impl Inputs for View<'_> {
    fn get(&self, slot: usize) -> Value<'_> {
        let entry = self.standing.entry;
        let open = self.spec.is_open(entry.state);
        let time = |t: Option<Timestamp>| t.map_or(Value::Unknown, Value::Time);
        match slot {
            slot::STATE => self.spec.states.get(usize::from(entry.state)).map_or(Value::Unknown, |s| Value::Text(Cow::Borrowed(s))),
            slot::OPEN => Value::Bool(open),
            slot::OVERDUE => self.due.map_or(Value::Unknown, |due| Value::Bool(open && self.at >= due)),
            slot::DUE_SOON => match (self.due, self.soon) {
                (Some(due), Some(soon)) => Value::Bool(open && self.at >= soon && self.at < due),
                _ => Value::Unknown,
            },
            slot::AGE_H => Value::Num((self.at - self.standing.created).0 as f64 / (3600 * NANOS_PER_SECOND) as f64),
            slot::CREATED => Value::Time(self.standing.created),
            slot::DUE => time(self.due),
            slot::SUBJECT => Value::Text(Cow::Borrowed(self.subject)),
            value => entry.values.get(value - slot::VALUES).map_or(Value::Unknown, CaseValue::value),
        }
    }
}

impl<'a> View<'a> {
    /// The case as it stands at an instant; what the calendar could not say is noted in `gaps`.
    pub fn new(
        spec: &'a CaseSpec,
        registry: &Registry,
        subject: &'a str,
        standing: Standing<'a>,
        at: Timestamp,
        gaps: &mut Gaps,
    ) -> View<'a> {
        let mut view = View { spec, subject, standing, at, due: None, soon: None };
        let calendar = &registry.calendar;
        view.due = spec.due.iter().find_map(|rule| match view.due_by(rule, registry) {
            Ok(due) => due,
            Err(gap) => {
                gaps.note(gap);
                None
            }
        });
        view.soon = view.due.zip(spec.due_soon).and_then(|(due, length)| match length.before(due, &calendar.working) {
            Ok(soon) => Some(soon),
            Err(gap) => {
                gaps.note(gap);
                None
            }
        });
        view
    }

    fn due_by(&self, rule: &DueRule, registry: &Registry) -> Result<Option<Timestamp>, NoCalendar> {
        let calendar = &registry.calendar;
        match rule {
            DueRule::At(program) => Ok(self.instant(program)),
            DueRule::Working { from, limit } => {
                let Some(from) = self.instant(from) else { return Ok(None) };
                match limit {
                    Limit::Hours(hours) => match hours.number(self).and_then(hours_to_span) {
                        Some(span) => calendar.working.add(from, span).map(Some),
                        None => Ok(None),
                    },
                    Limit::Table { table, key } => {
                        let Some(limits) = calendar.limits.get(table) else { return Ok(None) };
                        let length = key.eval(self).text().map_or(limits.default, |key| limits.get(&key));
                        length.after(from, &calendar.working).map(Some)
                    }
                }
            }
        }
    }

    /// A time, or a text that is one.
    fn instant(&self, program: &Program) -> Option<Timestamp> {
        match program.eval(self) {
            Value::Time(t) => Some(t),
            Value::Text(t) => Timestamp::parse_rfc3339(t.as_bytes()),
            _ => None,
        }
    }
}

/// Years that the calendar did not know when it was asked for working time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gaps(std::collections::BTreeMap<i16, u64>);

impl Gaps {
    fn note(&mut self, gap: NoCalendar) {
        *self.0.entry(gap.year).or_default() += 1;
    }

    /// How often, by year.
    pub fn years(&self) -> impl Iterator<Item = (i16, u64)> + '_ {
        self.0.iter().map(|(year, n)| (*year, *n))
    }
}

/// What decided an alert on a case (R8).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CaseEvidence {
    pub case: String,
    pub state: String,
    pub created: Timestamp,
    pub due: Option<Timestamp>,
    pub age: Span,
    /// By value index of the case.
    pub values: Box<[CaseValue]>,
}

impl CaseEvidence {
    pub fn of(view: &View<'_>) -> CaseEvidence {
        let entry = view.standing.entry;
        CaseEvidence {
            case: view.spec.name.clone(),
            state: view.spec.states.get(usize::from(entry.state)).cloned().unwrap_or_default(),
            created: view.standing.created,
            due: view.due,
            age: view.at - view.standing.created,
            values: entry.values.clone(),
        }
    }

    /// What of it is a number, by name.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        [("age_h", self.age.0 as f64 / (3600 * NANOS_PER_SECOND) as f64)].into_iter()
    }

    /// A slot of [`slot`], for titles.
    pub fn value(&self, slot: usize) -> Value<'_> {
        match slot {
            slot::STATE => Value::Text(Cow::Borrowed(&self.state)),
            slot::AGE_H => Value::Num(self.age.0 as f64 / (3600 * NANOS_PER_SECOND) as f64),
            slot::CREATED => Value::Time(self.created),
            slot::DUE => self.due.map_or(Value::Unknown, Value::Time),
            value => value.checked_sub(slot::VALUES).and_then(|i| self.values.get(i)).map_or(Value::Unknown, CaseValue::value),
        }
    }
}
