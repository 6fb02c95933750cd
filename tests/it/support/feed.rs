//! A lane under test: records in memory, ticks as the test says them.

use super::{Values, change_line, row_line};
use ioc::engine::collect::{Body, Record};
use ioc::engine::lane::{Effects, Lane};
use ioc::engine::setup::Setup;
use ioc::engine::snapshot::LaneState;
use ioc::engine::{Action, PartitionTick, Tick};
use ioc::time::{Span, Timestamp};
use std::sync::Arc;

/// A record as a log keeps it.
#[derive(Clone)]
pub struct Kept {
    pub broker_time: Option<Timestamp>,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.broker_time, String::from_utf8_lossy(&self.body))
    }
}

/// Records by partition.
pub type Log = Vec<Vec<Kept>>;

pub fn record(kept: &Kept, offset: u64) -> Record<'_> {
    Record { offset, broker_time: kept.broker_time, body: Body::Structured(&kept.body) }
}

/// Feeds journaled ticks from a log to a lane: what recovery and replay do.
pub fn feed(lane: &mut Lane, log: &Log, tick: &Tick) -> Effects {
    lane.begin(tick.time, tick.partitions.len());
    for (p, at) in tick.partitions.iter().enumerate() {
        for offset in lane.collectors[p].next_offset()..at.end {
            let _ = lane.take(p, record(&log[p][offset as usize], offset), Timestamp::MAX);
        }
    }
    lane.close(tick)
}

/// The state through JSON and back, as a checkpoint keeps it.
pub fn restored(lane: &Lane) -> Lane {
    let json = serde_json::to_vec(&lane.save()).unwrap();
    let state: LaneState = serde_json::from_slice(&json).unwrap();
    Lane::restore(lane.setup.clone(), state).unwrap()
}

/// Cuts a recorded log on a 1 s grid; `dense`: every second, else only where input or a deadline falls.
pub fn recorded(setup: &Arc<Setup>, log: &Log, dense: bool, mut each: impl FnMut(&Lane, &Tick, &Effects)) -> Lane {
    let mut lane = Lane::new(setup.clone());
    let mut number = 0;
    lane.ensure_partitions(log.len());
    let mut time = Timestamp::MIN;
    loop {
        // the second of the earliest next record, found by trying to take it
        let clocks = (0..log.len()).filter_map(|p| take_until(&mut lane, log, p, time)).min();
        let finished = (0..log.len()).all(|p| lane.collectors[p].next_offset() as usize == log[p].len());
        let due = lane.next_deadline().map(|d| d.max(time + Span(1)).ceil_second());
        let next = clocks.map(Timestamp::ceil_second);
        time = match (lane.core.time(), next) {
            (_, None) if finished => break,
            (Some(_), _) if dense => time + Span::seconds(1),
            (Some(_), Some(next)) => due.map_or(next, |d| d.min(next)),
            (_, next) => next.unwrap_or(super::T0),
        };
        lane.begin(time, log.len());
        for p in 0..log.len() {
            take_until(&mut lane, log, p, time);
        }
        let partitions =
            lane.collectors.iter().map(|c| PartitionTick { end: c.next_offset(), read_time: None, unreadable: false, finished: false });
        let tick = Tick { number, time, partitions: partitions.collect(), ..Tick::default() };
        let effects = lane.close(&tick);
        each(&lane, &tick, &effects);
        number += 1;
    }
    lane
}

fn take_until(lane: &mut Lane, log: &Log, p: usize, until: Timestamp) -> Option<Timestamp> {
    loop {
        let offset = lane.collectors[p].next_offset();
        let kept = log[p].get(offset as usize)?;
        if let Err(clock) = lane.take(p, record(kept, offset), until) {
            return Some(clock);
        }
    }
}

/// A lane in simulated time, told step by step; partitions show what the test says of them.
pub struct Sim {
    pub lane: Lane,
    pub setup: Arc<Setup>,
    pub live: bool,
    partitions: Vec<PartitionTick>,
    waiting: Vec<Vec<Kept>>,
    pub rows: Vec<ioc::engine::Row>,
    pub number: u64,
    ids: u64,
}

impl Sim {
    /// `partitions` of recorded input: no broker_time, no read_time.
    pub fn new(setup: Arc<Setup>, partitions: usize) -> Sim {
        let at = PartitionTick { end: 0, read_time: None, unreadable: false, finished: false };
        let mut lane = Lane::new(setup.clone());
        lane.ensure_partitions(partitions);
        Sim {
            lane,
            setup,
            live: true,
            partitions: vec![at; partitions],
            waiting: vec![Vec::new(); partitions],
            rows: Vec::new(),
            number: 0,
            ids: 0,
        }
    }

    pub fn give(&mut self, partition: usize, broker_time: Option<Timestamp>, body: Vec<u8>) -> &mut Self {
        self.waiting[partition].push(Kept { broker_time, body });
        self
    }

    /// An event with an id of its own, without broker_time.
    pub fn event(&mut self, partition: usize, kind: &str, source: &str, time: Timestamp, data: serde_json::Value) -> &mut Self {
        self.ids += 1;
        let id = format!("e{}", self.ids);
        self.give(partition, None, super::event(kind, source, &id, time, data))
    }

    /// The same with a broker_time.
    pub fn event_at(&mut self, partition: usize, broker: Timestamp, source: &str, time: Timestamp, data: serde_json::Value) -> &mut Self {
        self.ids += 1;
        let id = format!("e{}", self.ids);
        self.give(partition, Some(broker), super::event("t.a", source, &id, time, data))
    }

    pub fn partition(&mut self, partition: usize) -> &mut PartitionTick {
        &mut self.partitions[partition]
    }

    pub fn finish(&mut self) -> &mut Self {
        self.partitions.iter_mut().for_each(|p| p.finished = true);
        self
    }

    pub fn step(&mut self, time: Timestamp) -> Effects {
        self.step_with(time, Vec::new(), Vec::new())
    }

    pub fn step_with(&mut self, time: Timestamp, actions: Vec<Action>, retire: Vec<(u16, u16)>) -> Effects {
        self.lane.begin(time, self.partitions.len());
        for (p, waiting) in self.waiting.iter_mut().enumerate() {
            for kept in waiting.drain(..) {
                let offset = self.lane.collectors[p].next_offset();
                let _ = self.lane.take(p, record(&kept, offset), Timestamp::MAX);
            }
            self.partitions[p].end = self.lane.collectors[p].next_offset();
        }
        let tick = Tick { number: self.number, time, live: self.live, partitions: self.partitions.clone(), actions, retire };
        self.number += 1;
        let effects = self.lane.close(&tick);
        self.rows.extend(effects.rows.iter().cloned());
        effects
    }

    /// The rows of a tick, each in one line.
    pub fn rows(&mut self, time: Timestamp) -> Vec<String> {
        let effects = self.step(time);
        effects.rows.iter().map(|r| row_line(&self.setup, r)).collect()
    }

    /// The changes of a tick, each in one line.
    pub fn changes(&mut self, time: Timestamp) -> Vec<String> {
        let effects = self.step(time);
        effects.changes.iter().map(|c| change_line(&self.setup, c)).collect()
    }

    pub fn values(&self) -> Values {
        let mut values = Values::default();
        values.add(&self.setup, &self.rows);
        values
    }

    /// A restart: the state through JSON and back.
    pub fn restart(&mut self) {
        self.lane = restored(&self.lane);
    }
}
