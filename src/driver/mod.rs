//! The driver: reads the log, cuts ticks, steps the lane, hands effects to the gate. Besides the log's append the only place that reads
//! the clock.
//!
//! Owns: the loop `poll → cut → take → close → hand over`, the lane, when a checkpoint is due. Refuses to know: rules, windows, where
//! effects go.
//!
//! Invariants
//! 1. A live lane is cut every 100 ms, a lane that catches up every second of log time, a recorded one on the grid of its own clock.
//! 2. Tick k + 1 is computed while k commits; at most [`gate::QUEUE`] ticks wait.
//! 3. The state after a restart is the newest checkpoint, then the journaled ticks fed again (recover.rs), then the log.
//!
//! Called by: app.

pub mod cut;
pub mod gate;
mod recorded;
pub mod records;
pub mod recover;
pub mod redriven;

use crate::checkpoint::CheckpointCost;
use crate::engine::collect::{Body, Late, Record};
use crate::engine::lane::{Effects, Lane};
use crate::engine::setup::Setup;
use crate::engine::{Action, AlertId, HandlingChange, Key, PartitionTick, Row, Tick};
use crate::ingest::reader::{ReadError, Reader};
use crate::ingest::{Fetched, Lost, PartitionName};
use crate::journal::{Configuration, JournalEntry, Note};
use crate::server::ActionRequest;
use crate::store::late::LateOf;
use crate::telemetry::Telemetry;
use crate::time::{Span, Timestamp};
use cut::{Cutter, Shown};
use gate::{Checkpoint, Outcome, Outgoing, Waiting};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Between two ticks of a live lane.
const TICK: Duration = Duration::from_millis(100);
/// A partition whose end was not confirmed for this long cannot be read.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);
/// Operators' actions that one tick takes; the last request may bring more.
const ACTIONS_OF_A_TICK: usize = 1_000;
/// Between two checkpoints, in tick time.
const CHECKPOINT_EVERY: Span = Span::minutes(1);
/// At most one checkpoint in this time.
const CHECKPOINT_AT_MOST: Duration = Duration::from_secs(1);
/// Default of `patience` for who holds tick time.
const PATIENCE: Span = Span::minutes(2);
/// Telemetry and health are renewed this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The wall clock, read here and at the log's append only.
pub fn wall_clock() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the driver's cut: one of the two places that read the wall clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(now.map_or(0, |d| d.as_nanos() as i64))
}

#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::CheckpointError),
    #[error(transparent)]
    Restore(#[from] crate::engine::snapshot::RestoreError),
    #[error("the definitions of the time cannot be compiled any more: {0}")]
    Definitions(#[from] crate::definitions::Mistakes),
    #[error("the output gate has ended: {0}")]
    Gate(String),
    #[error("stopped while the state was being built")]
    Stopped,
    #[error(
        "records {from}..{to} of {partition} are needed to rebuild the state and are no longer in the log; move the data folder away to begin anew"
    )]
    LogGone { partition: PartitionName, from: u64, to: u64 },
}

/// How a lane's clock runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// broker_time and the wall clock.
    Live,
    /// Event time: all topics are declared `clock = "event"`.
    Recorded,
}

/// Newest row by identity without start: what the board shows of it.
pub type Figures = BTreeMap<(u16, u16, Arc<Key>), Row>;

/// The lane after recovery and what the loop needs.
pub struct Driver {
    pub lane: Lane,
    pub reader: Reader,
    pub clock: Clock,
    pub gate: SyncSender<Outgoing>,
    pub actions: mpsc::Receiver<ActionRequest>,
    pub telemetry: Arc<Telemetry>,
    pub stop: Arc<AtomicBool>,
    /// End once all partitions are read to their end, closing all windows.
    pub exit_at_end: bool,
    pub figures: Figures,
    /// Number of the next tick.
    pub number: u64,
    /// Partitions known to the lane, by index.
    pub names: Vec<PartitionName>,
    /// Hash of the definitions in force.
    pub definitions: String,
    /// To be journaled with the next tick.
    pub notes: Vec<Note>,
    /// Deleted before they were read, and not journaled yet.
    pub lost: Vec<Lost>,
    pub configuration: Option<Configuration>,
    pub cutter: Cutter,
    pub checkpoint: CheckpointClock,
    pub reported: Option<Instant>,
    /// Records driven again that were taken since the last tick.
    pub redriven: Vec<redriven::Seen>,
}

/// When a checkpoint is due.
#[derive(Debug, Default)]
pub struct CheckpointClock {
    tick_time: Option<Timestamp>,
    wall: Option<Instant>,
    cost: CheckpointCost,
}

impl CheckpointClock {
    /// `cost` is that of the thread that writes them: the interval stretches with it.
    pub fn new(cost: CheckpointCost) -> CheckpointClock {
        CheckpointClock { cost, ..CheckpointClock::default() }
    }

    fn due(&mut self, time: Timestamp) -> bool {
        let since = *self.tick_time.get_or_insert(time);
        let due = time - since >= CHECKPOINT_EVERY && self.wall.is_none_or(|w| w.elapsed() >= CHECKPOINT_AT_MOST.max(self.cost.interval()));
        if due {
            self.tick_time = Some(time);
            self.wall = Some(Instant::now());
        }
        due
    }
}

pub fn new_cutter(time: Option<Timestamp>) -> Cutter {
    Cutter::new(time, PATIENCE)
}

/// A fetched record as the collector takes it.
pub fn record(fetched: &Fetched) -> Record<'_> {
    let binary = fetched.headers.iter().any(|(name, _)| name == "ce_specversion" || name == "ce_id");
    let body = if binary { Body::Binary { headers: &fetched.headers, value: &fetched.value } } else { Body::Structured(&fetched.value) };
    Record { offset: fetched.offset, broker_time: fetched.broker_time, body }
}

impl Driver {
    /// Until stopped, or the end where asked for. A last checkpoint is handed over before it returns.
    pub fn run(mut self) -> Result<(), DriverError> {
        self.begin_again()?;
        let mut next_cut = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            // until the cut itself: a tick holds what came right before it
            loop {
                let wait = next_cut.saturating_duration_since(Instant::now());
                self.poll(wait)?;
                if wait.is_zero() {
                    break;
                }
            }
            let more = self.cut(wall_clock())?;
            if self.exit_at_end && !more && self.all_at_end() {
                self.finish()?;
                break;
            }
            // a lane that catches up cuts at once
            next_cut = if more { Instant::now() } else { next_cut.max(Instant::now() - TICK) + TICK };
        }
        self.last_checkpoint()
    }

    /// Cuts, computes and hands over a tick of this wall clock; true if there is more at hand.
    pub fn cut(&mut self, wall: Timestamp) -> Result<bool, DriverError> {
        match self.clock {
            Clock::Live => self.cut_live(wall),
            Clock::Recorded => self.cut_recorded(),
        }
    }

    /// Fills the reader's buffers, notes new partitions and what was lost.
    pub fn poll(&mut self, wait: Duration) -> Result<(), DriverError> {
        self.reader.poll(wait)?;
        self.telemetry.set_log_trouble(self.reader.trouble());
        for name in self.reader.partitions().iter().skip(self.names.len()) {
            let index = self.names.len() as u32;
            self.notes.push(Note::Partition { index, topic: name.topic.clone(), partition: name.number as u32, offset: 0 });
            self.names.push(name.clone());
        }
        self.lost.extend(self.reader.take_lost());
        self.note_lost();
        Ok(())
    }

    /// Records that were deleted before they were read, into the journal (D1), once it is known which record comes after them, or that
    /// none does.
    fn note_lost(&mut self) {
        for lost in std::mem::take(&mut self.lost) {
            let index = self.names.iter().position(|n| *n == lost.partition).unwrap_or(0);
            let next = self.reader.buffer(index).front().filter(|f| f.offset >= lost.to).map(|f| f.broker_time);
            let Some(before) = next.or_else(|| self.at_end(index).then_some(None)) else {
                self.lost.push(lost);
                continue;
            };
            tracing::error!(partition = %lost.partition, from = lost.from, to = lost.to, "records were deleted before they were read");
            self.telemetry.lost(lost.to - lost.from);
            let after = self.lane.collectors.get(index).and_then(|c| c.clock());
            self.notes.push(Note::Lost { index: index as u32, from: lost.from, to: lost.to, after, before });
        }
    }

    fn readable(&self, partition: usize) -> bool {
        let status = self.reader.status(partition);
        status.assigned && status.confirmed.is_some_and(|c| c.elapsed() <= CONFIRMED_WITHIN)
    }

    /// The end that the broker confirmed is reached.
    fn at_end(&mut self, partition: usize) -> bool {
        let end = self.reader.status(partition).end;
        self.readable(partition) && self.reader.buffer(partition).is_empty() && self.reader.wanted(partition) >= end
    }

    pub fn all_at_end(&mut self) -> bool {
        !self.names.is_empty() && (0..self.names.len()).all(|p| self.at_end(p))
    }

    /// Clock of the next record at hand.
    fn next_clock(&mut self, partition: usize) -> Option<Timestamp> {
        self.lane.ensure_partitions(partition + 1);
        let clock = self.lane.collectors[partition].clock();
        self.reader.buffer(partition).front().and_then(|f| f.broker_time).map(|b| clock.map_or(b, |c| c.max(b)))
    }

    /// Cuts a tick of the live clock; true if the lane is behind and should go on at once.
    fn cut_live(&mut self, wall: Timestamp) -> Result<bool, DriverError> {
        let count = self.names.len();
        self.lane.ensure_partitions(count);
        let firsts: Vec<_> = (0..count).map(|p| self.next_clock(p)).collect();
        let horizon = self.cutter.horizon().or_else(|| firsts.into_iter().flatten().min());
        let mut taken: Vec<usize> = Vec::with_capacity(count);
        let mut shown = Vec::with_capacity(count);
        for p in 0..count {
            let within = |f: &Fetched| horizon.is_some_and(|h| f.broker_time.is_none_or(|b| b <= h));
            let buffer = self.reader.buffer(p);
            let n = buffer.iter().take_while(|f| within(f)).count();
            let offset = buffer.iter().take(n).next_back().map(|f| f.offset + 1);
            let after = buffer.get(n).and_then(|f| f.broker_time);
            let empty = buffer.len() == n;
            let offset = offset.unwrap_or_else(|| self.lane.collectors[p].next_offset());
            let clock = self.lane.collectors[p].clock();
            let next = after.map(|b| clock.map_or(b, |c| c.max(b)));
            // past the last record there may be lost ones
            let reached = if n == 0 { offset.max(self.reader.wanted(p)) } else { offset };
            let at_end = empty && self.readable(p) && reached >= self.reader.status(p).end;
            shown.push(Shown { readable: self.readable(p), next, at_end, offset });
            taken.push(n);
        }
        let Some(cut) = self.cutter.cut(wall, &shown) else {
            self.report_idle();
            return Ok(false);
        };
        let behind = !cut.live && shown.iter().any(|s| s.next.is_some());
        let tick = self.tick(cut.time, cut.live, cut.partitions);
        self.lane.begin(tick.0.time, count);
        for (p, n) in taken.into_iter().enumerate() {
            for fetched in self.reader.buffer(p).drain(..n) {
                // bounded by the horizon already
                let _ = redriven::take(&mut self.lane, p, &fetched, Timestamp::MAX, &mut self.redriven);
            }
        }
        self.close(tick.0, tick.1)?;
        Ok(behind)
    }

    /// A tick with the actions that wait.
    fn tick(&mut self, time: Timestamp, live: bool, partitions: Vec<PartitionTick>) -> (Tick, Vec<ActionRequest>) {
        let mut requests: Vec<ActionRequest> = Vec::new();
        let mut actions = Vec::new();
        let at = wall_clock();
        while actions.len() < ACTIONS_OF_A_TICK
            && let Ok(request) = self.actions.try_recv()
        {
            let ActionRequest { alerts, by, note, act, .. } = &request;
            let action = |(alert, version): &(AlertId, u32)| Action {
                alert: *alert,
                version: *version,
                by: by.clone(),
                note: note.clone(),
                at,
                act: act.clone(),
            };
            actions.extend(alerts.iter().map(action));
            requests.push(request);
        }
        let number = self.number;
        self.number += 1;
        (Tick { number, time, live, partitions, actions, retire: Vec::new() }, requests)
    }

    fn close(&mut self, tick: Tick, requests: Vec<ActionRequest>) -> Result<(), DriverError> {
        let effects = self.lane.close(&tick);
        remember(&mut self.figures, &effects.rows);
        let checkpoint = self.checkpoint.due(tick.time).then(|| self.save());
        self.hand_over(tick, effects, requests, checkpoint)
    }

    fn save(&self) -> Box<Checkpoint> {
        let began = Instant::now();
        let state = Box::new(Checkpoint {
            lane: self.lane.save(),
            partitions: self.names.clone(),
            figures: self.figures.values().cloned().collect(),
            definitions: self.definitions.clone(),
        });
        self.checkpoint.cost.paused(began.elapsed());
        self.telemetry.gate.checkpoint_pause_micros.store(began.elapsed().as_micros() as u64, Ordering::Relaxed);
        state
    }

    fn hand_over(
        &mut self,
        tick: Tick,
        effects: Effects,
        requests: Vec<ActionRequest>,
        checkpoint: Option<Box<Checkpoint>>,
    ) -> Result<(), DriverError> {
        let health = self.report(&tick);
        self.telemetry.effects(&effects);
        let notes = std::mem::take(&mut self.notes);
        let joined = notes.iter().any(|note| matches!(note, Note::Partition { .. }));
        let configuration = self.configuration.take();
        let redriven: Vec<_> = self.redriven.drain(..).filter_map(|seen| seen.judged(&self.names)).collect();
        let effect = !effects.is_empty() || !notes.is_empty() || configuration.is_some() || !requests.is_empty() || checkpoint.is_some();
        let effect = effect || !redriven.is_empty();
        let mut handled = effects.handled.iter();
        let answers = requests.into_iter().map(|request| self.waiting(request, &mut handled)).collect();
        let names = &self.names;
        let rejected = effects.rejected.into_iter().map(|(p, r)| (names[p as usize].clone(), r)).collect();
        let late = late_of(effects.late, &self.lane.setup, names);
        let entry = JournalEntry { tick, alerts: effects.changes, handling: effects.handled, notes, configuration, told: Vec::new() };
        let outgoing = Outgoing {
            entry,
            rows: effects.rows,
            alerts: effects.alerts,
            restated: effects.restated,
            cases: self.lane.core.take_case_updates(),
            rejected,
            late,
            redriven,
            answers,
            effect: effect || health.is_some(),
            health,
            partitions: joined.then(|| self.names.clone()),
            checkpoint,
        };
        self.gate.send(outgoing).map_err(|_| DriverError::Gate("see the error before this one".into()))
    }

    /// `handled`: of this request's alerts and those after it.
    fn waiting<'h>(&self, request: ActionRequest, handled: &mut impl Iterator<Item = &'h HandlingChange>) -> Waiting {
        let outcome = |h: &HandlingChange| match (h.refused, self.lane.core.book().get(h.action.alert).cloned()) {
            (None, Some(alert)) => Outcome::Done(Box::new(alert)),
            (Some(refused), Some(alert)) => Outcome::Refused(Box::new((alert, h.action.clone(), refused))),
            (_, None) => Outcome::Unknown,
        };
        let outcomes = handled.take(request.alerts.len()).map(outcome).collect();
        Waiting { answer: request.answer, outcomes }
    }

    /// Once a second: figures for `/metrics`, health for the board.
    fn report(&mut self, tick: &Tick) -> Option<Arc<crate::server::scope::HealthInput>> {
        if self.reported.is_some_and(|r| r.elapsed() < REPORT_EVERY) {
            return None;
        }
        self.reported = Some(Instant::now());
        let lags: Vec<u64> = (0..self.names.len()).map(|p| self.reader.status(p).end.saturating_sub(self.reader.wanted(p))).collect();
        let offsets: Vec<_> = self.names.iter().cloned().zip(self.lane.collectors.iter().map(|c| c.next_offset())).collect();
        self.reader.commit(&offsets);
        self.telemetry.set_kafka(self.reader.statistics());
        Some(Arc::new(self.telemetry.report(&self.lane, tick, &self.names, &lags)))
    }

    /// Keeps `/metrics` true while there is nothing to cut a tick for.
    fn report_idle(&mut self) {
        let time = self.lane.core.time().unwrap_or(Timestamp(0));
        let mut partitions = self.all_partitions(false);
        for (p, at) in partitions.iter_mut().enumerate() {
            at.unreadable = p >= self.names.len() || !self.readable(p);
        }
        let number = self.number.saturating_sub(1);
        self.report(&Tick { number, time, live: false, partitions, ..Tick::default() });
    }

    fn all_partitions(&self, finished: bool) -> Vec<PartitionTick> {
        let at =
            |c: &crate::engine::collect::Collector| PartitionTick { end: c.next_offset(), read_time: None, unreadable: false, finished };
        self.lane.collectors.iter().map(at).collect()
    }

    /// The last tick of a lane that ends: all windows close.
    pub fn finish(&mut self) -> Result<(), DriverError> {
        let time = self.lane.core.time().unwrap_or(Timestamp(0));
        loop {
            let partitions = self.all_partitions(true);
            let (tick, requests) = self.tick(time, false, partitions);
            self.lane.begin(time, self.names.len());
            self.close(tick, requests)?;
            if !self.lane.core.owes() {
                return Ok(());
            }
        }
    }

    /// A lane that goes on begins with a tick in which nothing could be read: the time since its last one counts for no silence,
    /// however the program ended.
    pub fn begin_again(&mut self) -> Result<(), DriverError> {
        match (self.clock, self.lane.core.time()) {
            (Clock::Live, Some(time)) => self.unread(time, false),
            _ => Ok(()),
        }
    }

    /// A tick in which nothing could be read, with the state: what SIGTERM leaves (D1).
    pub fn last_checkpoint(&mut self) -> Result<(), DriverError> {
        let Some(time) = self.lane.core.time() else { return Ok(()) };
        // the last figures are the final ones
        self.reported = None;
        self.unread(time, true)
    }

    /// An empty tick in which nothing could be read.
    fn unread(&mut self, time: Timestamp, with_state: bool) -> Result<(), DriverError> {
        let partitions = self.all_partitions(false);
        let read_times = partitions.into_iter().map(|p| PartitionTick { unreadable: true, ..p }).collect();
        let (tick, requests) = self.tick(time, false, read_times);
        self.lane.begin(time, self.names.len());
        let effects = self.lane.close(&tick);
        let checkpoint = with_state.then(|| self.save());
        self.hand_over(tick, effects, requests, checkpoint)
    }
}

/// Late records with the names that their store keeps.
pub fn late_of(late: Vec<(u32, Late)>, setup: &Setup, names: &[PartitionName]) -> Vec<LateOf> {
    let named = |(p, l): (u32, Late)| Some((setup.pipelines.get(l.pipeline as usize)?.name.clone(), names.get(p as usize)?.clone(), l));
    late.into_iter().filter_map(named).collect()
}

/// Keeps the newest row of each figure; 200,000 at most, as the board.
pub fn remember(figures: &mut Figures, rows: &[Row]) {
    for row in rows {
        let key = (row.pipeline, row.window, row.key.clone());
        let newer = figures.get(&key).map(|held| held.start <= row.start);
        if newer.unwrap_or(figures.len() < 200_000) {
            figures.insert(key, row.clone());
        }
    }
}

/// Drops what a collector has taken already from the front of a buffer.
pub fn skip_taken(buffer: &mut VecDeque<Fetched>, next: u64) {
    while buffer.front().is_some_and(|f| f.offset < next) {
        buffer.pop_front();
    }
}
