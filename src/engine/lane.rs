//! One run of the engine with one clock: live, a file run, a replay, a test.
//!
//! Owns: [`Core`] (merger, rules, alerts: what is one per lane) and [`Lane`] (the core and its collectors), and what a tick does:
//! [`Effects`]. Refuses to know: where records come from, where effects go, the clock.
//!
//! Invariants
//! 1. `step` is a function of the state, the tick and the partitions' records up to its offsets: nothing else (R3).
//! 2. An empty tick below `next_deadline` changes nothing that can be seen.
//!
//! Called by: driver, files, scenario, tests.

use super::absence::{AbsenceTick, Absences, LastHeard};
use super::alert::{Alert, AlertBook, Applied, Label};
use super::case::book::{CaseUpdate, Cases};
use super::collect::{Collector, Late, PartitionOutput, Record, Refused};
use super::counts::PartCounts;
use super::merge::Merger;
use super::rule::{KeyFacts, RuleContext, Rules};
use super::setup::Setup;
use super::{AlertChange, Condition, HandlingChange, Key, Row, Tick};
use crate::geo::AreaId;
use crate::pipeline::Pipeline;
use crate::pipeline::expr::Value;
use crate::registry::{Attribute, Registry};
use crate::time::working::hours_to_span;
use crate::time::{Span, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// What a tick does, in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// By (partition, offset).
    pub late: Vec<(u32, Late)>,
    pub rejected: Vec<(u32, Refused)>,
    /// By (window end, measurement, key).
    pub rows: Vec<Row>,
    /// By (row, rule's place in its file), then timers by (deadline, rule, key), then cases, then silences, each by (time,
    /// pipeline, rule, key).
    pub changes: Vec<AlertChange>,
    pub handled: Vec<HandlingChange>,
    /// Each alert as it is after each change, in the order of `changes`, then those that stand for another number of silences, then in
    /// the order of `handled`.
    pub alerts: Vec<Alert>,
    /// Places in `alerts` of those that only stand for another number of silences: nothing else of them changed.
    pub restated: std::ops::Range<usize>,
    /// A tick fed again computed other alert changes than were journaled; `changes` holds the journal's.
    pub diverged: bool,
}

impl Effects {
    pub fn is_empty(&self) -> bool {
        self.late.is_empty()
            && self.rejected.is_empty()
            && self.rows.is_empty()
            && self.changes.is_empty()
            && self.alerts.is_empty()
            && self.handled.is_empty()
    }
}

/// What is one per lane.
pub struct Core {
    pub(super) merger: Merger,
    pub(super) cases: Cases,
    pub(super) rules: Rules,
    pub(super) absences: Absences,
    pub(super) book: AlertBook,
    /// Changes that a changed rule made, for the next tick.
    pub(super) pending: Vec<AlertChange>,
    pub(super) now: Option<Timestamp>,
}

impl Core {
    pub fn new(setup: &Setup) -> Core {
        Core {
            merger: Merger::new(setup),
            cases: Cases::new(&setup.pipelines),
            rules: Rules::new(&setup.pipelines),
            absences: Absences::new(setup),
            book: AlertBook::default(),
            pending: Vec::new(),
            now: None,
        }
    }

    /// Time of the last tick.
    pub fn time(&self) -> Option<Timestamp> {
        self.now
    }

    pub fn book(&self) -> &AlertBook {
        &self.book
    }

    pub fn merger(&self) -> &Merger {
        &self.merger
    }

    pub fn cases(&self) -> &Cases {
        &self.cases
    }

    /// See [`Cases::take_updates`].
    pub fn take_case_updates(&mut self) -> Vec<CaseUpdate> {
        self.cases.take_updates()
    }

    /// Rows that were not kept to be compared with later.
    pub fn unkept(&self) -> u64 {
        self.rules.unkept()
    }

    /// Rows wait for the next tick.
    pub fn owes(&self) -> bool {
        self.merger.owes() || self.cases.owes()
    }

    /// Moves everything by one tick.
    pub fn step(&mut self, setup: &Setup, tick: &Tick, outputs: Vec<PartitionOutput>) -> Effects {
        self.step_told(setup, tick, outputs, None)
    }

    /// The same for a tick that is fed again: where the alert changes computed are not those that were journaled, the journal wins and
    /// the effects say so (D2).
    pub fn step_told(&mut self, setup: &Setup, tick: &Tick, mut outputs: Vec<PartitionOutput>, told: Option<&[AlertChange]>) -> Effects {
        let mut effects = Effects::default();
        // first: whether a tick lay between does not decide what an operator still finds
        self.book.expire(tick.time);
        for (partition, output) in outputs.iter_mut().enumerate() {
            effects.late.extend(output.late.drain(..).map(|l| (partition as u32, l)));
            effects.rejected.extend(output.rejected.drain(..).map(|r| (partition as u32, r)));
        }
        self.merger.step(setup, tick, &mut outputs, &mut effects.rows);
        self.cases.rows(setup, tick, &mut outputs, &mut self.merger, &mut effects.rows);
        let (frontier, settled): (Vec<_>, Vec<_>) = self.merger.pipes.iter().map(|p| (p.frontier, p.settled)).unzip();
        let facts = Facts { registry: &setup.registry, at: tick.time };
        let context = RuleContext {
            tick: tick.number,
            time: tick.time,
            live: tick.live,
            pipelines: &setup.pipelines,
            frontier: &frontier,
            settled: &settled,
            facts: &facts,
        };
        for mut change in self.pending.drain(..) {
            change.tick = tick.number;
            effects.changes.push(change);
        }
        self.rules.on_rows(&context, &effects.rows, &mut effects.changes);
        self.rules.on_timers(&context, &mut effects.changes);
        self.cases.judge(setup, tick, &mut effects.changes);
        let at = AbsenceTick { setup, tick, pipes: &self.merger.pipes, heard: heard_of(&mut outputs) };
        let stands = self.absences.step(at, &mut effects.changes);
        self.place(setup, &mut effects.changes);
        if let Some(told) = told.filter(|told| *told != effects.changes) {
            effects.diverged = true;
            effects.changes = told.to_vec();
        }
        for change in &effects.changes {
            effects.alerts.extend(self.apply(change, setup, &facts, tick.time));
        }
        let changed = effects.alerts.len();
        for (id, count) in stands {
            effects.alerts.extend(self.book.stand_for(id, count).cloned());
        }
        effects.restated = changed..effects.alerts.len();
        for action in &tick.actions {
            let handled = self.book.apply_action(action, tick.number, tick.time);
            effects.alerts.extend(self.book.get(action.alert).filter(|_| handled.refused.is_none()).cloned());
            effects.handled.push(handled);
        }
        self.now = Some(tick.time);
        effects
    }

    /// Where the events of the deciding rows lie.
    fn place(&self, setup: &Setup, changes: &mut [AlertChange]) {
        for change in changes {
            let pipeline = usize::from(change.pipeline);
            let rule = setup.pipelines.get(pipeline).and_then(|p| p.rules.get(usize::from(change.rule)));
            if let Some(window) = rule.and_then(|rule| rule.window()) {
                change.positions = self.merger.positions((pipeline, window), change.window_start, &change.key);
            }
        }
    }

    /// The alert after a change; a pending one that ended is shown once more, as inactive.
    fn apply(&mut self, change: &AlertChange, setup: &Setup, facts: &Facts<'_>, now: Timestamp) -> Option<Alert> {
        if change.to == Condition::Inactive {
            let mut ended = self.book.get(change.id)?.clone();
            ended.condition = Condition::Inactive;
            ended.version += 1;
            ended.changed = change.at;
            ended.last = change.clone();
            self.book.apply_change(change, None, now);
            return Some(ended);
        }
        let label = Label::of(change, &setup.pipelines, facts);
        match self.book.apply_change(change, label, now) {
            Applied::Now(alert) => Some(alert.clone()),
            Applied::Gone(_) | Applied::NotHeld => None,
        }
    }

    /// The earliest tick time, after the last one, at which an empty tick would do something.
    pub fn next_deadline(&self, setup: &Setup) -> Option<Timestamp> {
        let now = self.now?;
        if !self.pending.is_empty() {
            return Some(now + Span(1));
        }
        let rules = self.rules.next_deadline().map(|t| t.max(now + Span(1)));
        // where all partitions are idle, silence is found as soon as a window that ended then would fire
        let silent = |(p, pipeline): (usize, &Pipeline)| self.rules.next_due(p).map(|t| t + pipeline.timing.out_of_orderness);
        let idle = setup.pipelines.iter().enumerate().filter_map(silent).filter(|t| *t > now).min();
        let (cases, silence) = (self.cases.next_deadline(setup, now), self.absences.next_deadline(setup, now));
        [self.merger.next_deadline(setup, now), cases, rules, idle, silence].into_iter().flatten().min()
    }
}

/// What the partitions heard, for rules on absent sources: (partition, pipeline, source and time).
fn heard_of(outputs: &mut [PartitionOutput]) -> Vec<(u32, u16, LastHeard)> {
    let mut heard = Vec::new();
    for (partition, output) in outputs.iter_mut().enumerate() {
        for (pipeline, part) in output.parts.iter_mut().enumerate() {
            heard.extend(part.last_heard.drain(..).map(|h| (partition as u32, pipeline as u16, h)));
        }
    }
    heard
}

/// What rules may ask of the province.
pub struct Facts<'a> {
    pub registry: &'a Registry,
    /// For codes that name areas of several eras: the one in force then.
    pub at: Timestamp,
}

impl KeyFacts for Facts<'_> {
    fn area(&self, key: &Key, part: &str) -> Value<'_> {
        let Some(area) = key.area.map(|a| self.registry.areas.area(a)) else { return Value::Unknown };
        let text = match part {
            "name" => &area.name,
            "code" => &area.code,
            "level" => &area.level,
            _ => return Value::Unknown,
        };
        Value::Text(Cow::Borrowed(text))
    }

    fn source_attribute(&self, source: &str, name: &str, at: Timestamp) -> Value<'_> {
        match self.registry.sources.get(source, at).and_then(|s| s.attribute(name)) {
            Some(Attribute::Number(n)) => Value::Num(*n),
            Some(Attribute::Text(t)) => Value::Text(Cow::Borrowed(t)),
            None => Value::Unknown,
        }
    }

    fn cadence(&self, source: &str, at: Timestamp) -> Option<Span> {
        self.registry.sources.get(source, at)?.cadence
    }

    fn area_of(&self, tag: &str) -> Option<AreaId> {
        self.registry.areas.by_code(tag, self.at)
    }

    fn word(&self, tag: &str, code: &str) -> Option<(&str, &str)> {
        self.registry.word(tag, code, self.at)
    }

    fn target(&self, code: &str, who: &str, at: Timestamp) -> Option<f64> {
        self.registry.target(code, who, at)
    }

    fn pace(&self, code: &str, who: &str, at: Timestamp) -> Option<f64> {
        self.registry.pace(code, who, at)
    }

    fn working(&self, from: Timestamp, hours: f64) -> Option<Timestamp> {
        self.registry.calendar.working.add(from, hours_to_span(hours)?).ok()
    }
}

/// The core and the collectors of all partitions, stepped in one thread.
pub struct Lane {
    pub setup: Arc<Setup>,
    pub collectors: Vec<Collector>,
    pub core: Core,
}

impl Lane {
    pub fn new(setup: Arc<Setup>) -> Lane {
        let core = Core::new(&setup);
        Lane { setup, collectors: Vec::new(), core }
    }

    /// Partitions come in the order of their index; a new one starts with nothing.
    pub fn ensure_partitions(&mut self, count: usize) {
        while self.collectors.len() < count {
            self.collectors.push(Collector::new(&self.setup, self.collectors.len() as u32));
        }
    }

    /// The records that follow belong to the tick of this time.
    pub fn begin(&mut self, time: Timestamp, partitions: usize) {
        self.ensure_partitions(partitions);
        self.collectors.iter_mut().for_each(|c| c.begin_tick(time));
    }

    /// See [`Collector::take`].
    pub fn take(&mut self, partition: usize, record: Record<'_>, until: Timestamp) -> Result<(), Timestamp> {
        self.collectors[partition].take(&self.setup, record, until)
    }

    /// Closes the tick.
    pub fn close(&mut self, tick: &Tick) -> Effects {
        self.close_told(tick, None)
    }

    /// See [`Core::step_told`].
    pub fn close_told(&mut self, tick: &Tick, told: Option<&[AlertChange]>) -> Effects {
        let setup = self.setup.clone();
        let at = tick.partitions.iter();
        let outputs = self.collectors.iter_mut().zip(at).map(|(c, at)| c.close_tick(&setup, tick.time, at, &tick.retire)).collect();
        self.core.step_told(&setup, tick, outputs, told)
    }

    /// One tick: `records` by partition, in offset order, exactly those below the tick's end offsets that were not taken yet.
    pub fn step<'r>(&mut self, tick: &Tick, records: impl IntoIterator<Item = impl IntoIterator<Item = Record<'r>>>) -> Effects {
        self.begin(tick.time, tick.partitions.len());
        for (partition, records) in records.into_iter().enumerate() {
            for record in records {
                // bounded by offset, not by clock: always taken
                let _ = self.take(partition, record, Timestamp::MAX);
            }
        }
        self.close(tick)
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        let collectors = self.collectors.iter().filter_map(|c| c.next_deadline(&self.setup)).min();
        [self.core.next_deadline(&self.setup), collectors].into_iter().flatten().min()
    }

    /// Verdicts of one pipeline over all partitions.
    pub fn counts(&self, pipeline: usize) -> PartCounts {
        let mut sum = PartCounts::new(self.setup.pipelines[pipeline].windows.len());
        self.collectors.iter().for_each(|c| sum.add(c.counts(pipeline)));
        sum
    }
}
