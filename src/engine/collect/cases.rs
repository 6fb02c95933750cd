//! What a partition hands on of events that cases take (R9).
//!
//! Owns: [`CaseEvent`], which cases want an event and what they keep of it. Refuses to know: what becomes of a case.
//!
//! Invariants
//! 1. A case takes every event of its types that is neither rejected nor unwanted nor a duplicate: late ones too.
//! 2. Which windows' rows an event can still change is decided here, by its own partition (T3).
//! 3. Pipelines without cases pay one comparison an event.
//!
//! Called by: collect.

use super::{Part, Slots, Taking, wants};
use crate::engine::case::{CaseValue, Entry};
use crate::pipeline::expr::Value;
use crate::pipeline::{KeySource, Pipeline, TypePlan};
use crate::time::Timestamp;
use smallvec::SmallVec;
use std::borrow::Cow;

/// An event on its way to its case.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseEvent {
    /// Index in the pipeline's cases.
    pub case: u16,
    pub subject: Box<str>,
    pub entry: Entry,
}

/// Cases that want an event, by index.
pub(super) type WantingCases = SmallVec<[usize; 2]>;

impl Taking<'_, '_> {
    pub(super) fn wanting_cases(&self, plan: &TypePlan) -> WantingCases {
        let slots = Slots(self.event.slots);
        let wanting = plan.cases.iter().enumerate().filter(|(_, input)| input.as_ref().is_some_and(|i| wants(&i.filter, &slots)));
        wanting.map(|(index, _)| index).collect()
    }

    /// Hands the event on; what has no subject or an unknown state changes no case and is counted.
    pub(super) fn hand_on(&mut self, part: &mut Part, plan: &TypePlan, pipeline: &Pipeline, cases: &WantingCases, watermark: Timestamp) {
        for case in cases {
            let Some(input) = &plan.cases[*case] else { continue };
            let spec = &pipeline.cases[*case];
            let slots = Slots(self.event.slots);
            let subject = match &input.subject {
                KeySource::Source => Some(Cow::Borrowed(self.event.source)),
                KeySource::Subject => self.event.subject.map(Cow::Borrowed),
                KeySource::Kind => Some(Cow::Borrowed(self.event.kind_name)),
                KeySource::Area => None,
                KeySource::Value(program) => program.eval(&slots).text().map(|t| Cow::Owned(t.into_owned())),
            };
            let Some(subject) = subject.filter(|s| !s.is_empty()) else {
                part.counts.case(*case).no_subject += 1;
                continue;
            };
            let state = match input.state.eval(&slots) {
                Value::Text(state) => spec.state(&state),
                _ => None,
            };
            let Some(state) = state else {
                part.counts.case(*case).unknown_state += 1;
                continue;
            };
            part.counts.case(*case).taken += 1;
            let created = input.created.as_ref().and_then(|program| match program.eval(&slots) {
                Value::Time(t) => Some(t),
                Value::Text(t) => Timestamp::parse_rfc3339(t.as_bytes()),
                _ => None,
            });
            let delayed = self.record.broker_time.map_or(Timestamp::MIN, |b| b - pipeline.timing.max_delay);
            let entry = Entry {
                time: self.event.time,
                id: self.event.id.into(),
                state,
                created,
                area: self.area(),
                closed_until: delayed.max(watermark - pipeline.timing.lateness).max(part.closed_until),
                values: input.values.iter().map(|program| CaseValue::of(program.eval(&slots))).collect(),
            };
            part.cases.push(CaseEvent { case: *case as u16, subject: subject.into(), entry });
        }
    }
}
