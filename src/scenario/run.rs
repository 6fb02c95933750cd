//! A timeline driven through a lane in simulated time.
//!
//! Owns: ticks of a test, [`Trace`]. Refuses to know: what was expected.
//!
//! Invariants
//! 1. `clock: broker`: a record is taken at the first whole second at or after it arrives; ticks are live and fall where a record arrives
//!    or `next_deadline` falls, the first at the start. An empty tick changes nothing (law), so the 100 ms of a live lane make no difference.
//! 2. `clock: event`: the cutting of files: no broker time, the input's own clock, a finished file at its end.
//!
//! Called by: judge.

use super::spec::{Clock, Given, GivenBody, ScenarioFile, Test};
use crate::engine::alert::Title;
use crate::engine::collect::{Body, Record};
use crate::engine::counts::PartCounts;
use crate::engine::lane::{Effects, Lane};
use crate::engine::setup::Setup;
use crate::engine::{AlertChange, PartitionTick, Row, Tick};
use crate::pipeline::Pipeline;
use crate::time::{Span, Timestamp};
use std::sync::Arc;

/// Ticks of one test at most; a timeline that needs more has no end.
const MOST_TICKS: u64 = 500_000;

/// What came of a test.
pub(super) struct Trace {
    /// With the time of the tick that published them, in order.
    pub rows: Vec<(Timestamp, Row)>,
    pub changes: Vec<Change>,
    pub counts: PartCounts,
    /// Last tick.
    pub end: Timestamp,
    pub ticks: u64,
    /// The timeline had no end.
    pub cut_off: bool,
    /// As it is at the end.
    pub lane: Lane,
}

pub(super) struct Change {
    pub tick: Timestamp,
    pub change: AlertChange,
    pub title: Option<Title>,
}

struct Running {
    /// With the bytes of each.
    records: Vec<(Timestamp, Vec<u8>)>,
    next: usize,
    trace: Trace,
    clock: Clock,
}

pub(super) fn run(file: &ScenarioFile, test: &Test, setup: &Arc<Setup>) -> Trace {
    let pipeline = &setup.pipelines[0];
    let records = test.given.iter().map(|g| (g.arrives, bytes(g, pipeline))).collect();
    let mut lane = Lane::new(setup.clone());
    lane.ensure_partitions(1);
    let counts = PartCounts::new(pipeline.windows.len());
    let trace = Trace { rows: Vec::new(), changes: Vec::new(), counts, end: file.start, ticks: 0, cut_off: false, lane };
    let mut running = Running { records, next: 0, trace, clock: file.clock };
    match file.clock {
        Clock::Broker => running.live(file.start, test.until.unwrap_or_else(|| all_closed(file.start, test, pipeline))),
        Clock::Event => running.recorded(),
    }
    running.trace.counts = running.trace.lane.counts(0);
    running.trace
}

fn bytes(given: &Given, pipeline: &Pipeline) -> Vec<u8> {
    match &given.body {
        GivenBody::Raw(text) => text.clone().into_bytes(),
        GivenBody::Event(event) => {
            let mut event = event.clone();
            if let [only] = pipeline.types.as_slice() {
                event.entry("type").or_insert_with(|| only.kind.clone().into());
            }
            serde_json::Value::Object(event).to_string().into_bytes()
        }
    }
}

/// When every window that an event touches has fired, and the partition is idle.
fn all_closed(start: Timestamp, test: &Test, pipeline: &Pipeline) -> Timestamp {
    let timing = &pipeline.timing;
    let last = test.given.iter().map(|g| g.arrives).max().unwrap_or(start);
    let latest = test.given.iter().map(|g| g.time).max().unwrap_or(start);
    let ends = pipeline.windows.iter().map(|w| w.alignment.end_of(w.alignment.start_of(latest)));
    let closed = ends.max().unwrap_or(latest) + timing.out_of_orderness + timing.patience;
    closed.max(last + timing.idle_after + timing.out_of_orderness).ceil_second()
}

impl Running {
    fn live(&mut self, start: Timestamp, until: Timestamp) {
        let first = self.records.first().map_or(start, |(arrives, _)| *arrives);
        let mut time = start.min(first).ceil_second();
        loop {
            self.trace.lane.begin(time, 1);
            while let Some((arrives, bytes)) = self.records.get(self.next).filter(|(arrives, _)| *arrives <= time) {
                let record = Record { offset: self.next as u64, broker_time: Some(*arrives), body: Body::Structured(bytes) };
                // bounded by arrival, not by clock: always taken
                let _ = self.trace.lane.take(0, record, Timestamp::MAX);
                self.next += 1;
            }
            self.close(time, PartitionTick { end: self.next as u64, read_time: Some(time), unreadable: false, finished: false });
            let arrives = self.records.get(self.next).map(|(arrives, _)| arrives.ceil_second());
            let due = self.trace.lane.next_deadline().map(|d| d.max(time + Span(1)).ceil_second());
            match [arrives, due].into_iter().flatten().min().filter(|next| *next <= until) {
                Some(next) if !self.trace.cut_off => time = next,
                _ => break,
            }
        }
        self.trace.end = self.trace.end.max(until);
    }

    fn recorded(&mut self) {
        let mut time = Timestamp::MIN;
        loop {
            let input = self.take_until(time).map(Timestamp::ceil_second);
            let due = self.trace.lane.next_deadline().map(|d| d.max(time + Span(1)).ceil_second());
            time = match (self.trace.lane.core.time(), input) {
                // whatever has no clock of its own belongs to the first tick
                (None, None) => self.trace.end,
                (Some(_), None) => break,
                (Some(_), Some(input)) => due.map_or(input, |d| d.min(input)),
                (None, Some(input)) => input,
            };
            self.trace.lane.begin(time, 1);
            let finished = self.take_until(time).is_none();
            self.close(time, PartitionTick { end: self.next as u64, read_time: None, unreadable: false, finished });
            if finished || self.trace.cut_off {
                break;
            }
        }
    }

    /// Takes what the input's own clock allows; the clock with the next record.
    fn take_until(&mut self, until: Timestamp) -> Option<Timestamp> {
        while let Some((_, bytes)) = self.records.get(self.next) {
            let record = Record { offset: self.next as u64, broker_time: None, body: Body::Structured(bytes) };
            if let Err(clock) = self.trace.lane.take(0, record, until) {
                return Some(clock);
            }
            self.next += 1;
        }
        None
    }

    fn close(&mut self, time: Timestamp, partition: PartitionTick) {
        let live = self.clock == Clock::Broker;
        let tick = Tick { number: self.trace.ticks, time, live, partitions: vec![partition], actions: Vec::new(), retire: Vec::new() };
        let effects = self.trace.lane.close(&tick);
        self.keep(time, effects);
        self.trace.ticks += 1;
        self.trace.end = time;
        self.trace.cut_off = self.trace.ticks >= MOST_TICKS;
    }

    fn keep(&mut self, tick: Timestamp, effects: Effects) {
        let Effects { rows, changes, alerts, .. } = effects;
        for change in changes {
            let title = alerts.iter().find(|a| a.id == change.id && a.last == change).map(|a| a.label.title.clone());
            self.trace.changes.push(Change { tick, change, title });
        }
        self.trace.rows.extend(rows.into_iter().map(|row| (tick, row)));
    }
}
