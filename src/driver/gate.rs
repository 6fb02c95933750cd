//! The output gate: journal first, then, and only then, everything else (D2).
//!
//! Owns: the thread that commits computed ticks and lets their effects out, in order. Refuses to know: how effects came to be.
//!
//! Invariants
//! 1. Nothing of tick k (row, frame, answer) leaves before its journal record is durable.
//! 2. Ticks without effect wait for the next that has one, at most 1 s (D7); several ticks may share a commit.
//! 3. Rows reach the spool in journal order; a checkpoint is handed over only after the spool holds the rows up to it, and the history
//!    the alerts (D1).
//! 4. The journal cannot be written: nothing leaves, every waiting action is told, the driver stops.
//!
//! Called by: driver.

use super::records::keep_newest;
use crate::checkpoint::{CheckpointError, CheckpointThread, Checkpoints, Written};
use crate::engine::Tick;
use crate::engine::alert::Alert;
use crate::engine::case::book::CaseUpdate;
use crate::engine::collect::Refused;
use crate::engine::{Action, Refusal, Row};
use crate::ingest::PartitionName;
use crate::journal::{Journal, JournalEntry, Told};
use crate::notify::Outbox;
use crate::server::cases::CaseShelf;
use crate::server::history::KeptAlerts;
use crate::server::hub::Hub;
use crate::server::scope::HealthInput;
use crate::server::views::Views;
use crate::server::{ActionAnswer, Handled, SourceError};
use crate::store::late::{LateOf, LateStore};
use crate::store::line::LineFormats;
use crate::store::rejected::{Judged, RejectedStore};
use crate::store::spool::Spool;
use crate::telemetry::GateCounters;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Ticks that may wait for their commit.
pub const QUEUE: usize = 64;
/// Ticks that share a commit at most.
const TOGETHER: usize = 256;
/// How long a tick without effect may wait.
const HOLD: Duration = Duration::from_secs(1);

/// One computed tick on its way out.
pub struct Outgoing {
    pub entry: JournalEntry,
    pub rows: Vec<Row>,
    /// Each alert after each change, in order.
    pub alerts: Vec<Alert>,
    /// Places among them of which nobody outside is told.
    pub restated: Range<usize>,
    /// Cases that changed.
    pub cases: Vec<CaseUpdate>,
    pub rejected: Vec<(PartitionName, Refused)>,
    pub late: Vec<LateOf>,
    /// Verdicts on records that were driven again.
    pub redriven: Vec<Judged>,
    pub answers: Vec<Waiting>,
    pub health: Option<Arc<HealthInput>>,
    /// Partitions of the lane by index, where further ones joined it.
    pub partitions: Option<Vec<PartitionName>>,
    pub checkpoint: Option<Box<Checkpoint>>,
    /// It changes something outside; else it may wait.
    pub effect: bool,
}

/// Somebody waits for the answer to an act.
pub struct Waiting {
    pub answer: oneshot::Sender<ActionAnswer>,
    /// In the order of the request's alerts.
    pub outcomes: Vec<Outcome>,
}

pub enum Outcome {
    Done(Box<Alert>),
    /// As the alert is; what was asked and why it was refused.
    Refused(Box<(Alert, Action, Refusal)>),
    Unknown,
}

/// What a checkpoint holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    pub lane: crate::engine::snapshot::LaneState,
    /// By partition index.
    pub partitions: Vec<PartitionName>,
    /// Newest row of each measurement and key: the board's figures after a restart.
    pub figures: Vec<Row>,
    /// Hash of the definitions in force.
    pub definitions: String,
}

/// Where effects go.
pub struct Gate {
    pub journal: Journal,
    pub spool: Arc<Spool>,
    pub rejected: RejectedStore,
    pub late: LateStore,
    /// Every alert there was.
    pub records: KeptAlerts,
    /// Moves whenever verdicts on records that were driven again are kept.
    pub redriven: watch::Sender<u64>,
    pub checkpoints: CheckpointThread<Checkpoint>,
    pub views: Arc<Views>,
    pub hub: Hub,
    /// What other programs are told.
    pub outbox: Arc<Outbox>,
    pub runtime: tokio::runtime::Handle,
    /// Newest state of each alert held, for the detail of the page.
    pub alerts: Arc<AlertShelf>,
    pub cases: Arc<CaseShelf>,
    pub counters: Arc<GateCounters>,
    pub keeping: Keeping,
}

/// What is forgotten once an hour: checkpoints and ticks older than the log, changes after two years, alerts that left the book.
pub struct Keeping {
    pub checkpoints: Checkpoints,
    pub log: Span,
    pub last: Option<Instant>,
}

const KEEPING_EVERY: Duration = Duration::from_secs(3600);
const CHANGES_KEPT: Span = Span::days(730);
/// How long a channel that does not answer is not left behind.
const TOLD_KEPT: Span = Span::days(30);
/// How long the whole of a resolved alert can be asked for after its last change.
const SHELF_KEPT: Span = Span::days(7);

/// Alerts as of the last committed tick, for whoever asks for one whole.
#[derive(Default)]
pub struct AlertShelf(Mutex<HashMap<String, Alert>>);

impl AlertShelf {
    pub fn put(&self, alert: Alert) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(alert.id.to_string(), alert);
    }

    pub fn get(&self, id: &str) -> Result<Option<Alert>, SourceError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
    }

    /// Leaves only those for which `held` is true.
    pub fn keep(&self, held: impl Fn(&Alert) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, alert| held(alert));
    }
}

#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    #[error(transparent)]
    Database(#[from] crate::disk::database::DatabaseError),
    #[error(transparent)]
    Spool(#[from] crate::store::spool::SpoolError),
}

/// The steps of a commit, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Journal,
    /// Screens and answers before the spool: its slow disk must not hold an alert back.
    Show,
    Spool,
    Sync,
    Rejected,
    /// Alerts into the history, before a checkpoint could go past them.
    Records,
    Checkpoint,
    Forget,
}

impl Step {
    pub const ALL: [Step; 8] =
        [Step::Journal, Step::Show, Step::Spool, Step::Sync, Step::Rejected, Step::Records, Step::Checkpoint, Step::Forget];
}

/// Ticks that share a commit.
pub struct Batch {
    ticks: Vec<Outgoing>,
    entries: Vec<JournalEntry>,
    /// Checkpoints handed over: answered once durable.
    pub written: Vec<oneshot::Receiver<Result<Written, CheckpointError>>>,
}

impl Batch {
    pub fn new(mut ticks: Vec<Outgoing>) -> Batch {
        let entries = ticks.iter_mut().map(|t| std::mem::take(&mut t.entry)).collect();
        Batch { ticks, entries, written: Vec::new() }
    }
}

/// What other programs are told of a tick's alerts; `number`: that of the change before.
pub fn told(views: &Views, alerts: &[Alert], restated: &Range<usize>, tick: &Tick, number: &mut u64) -> Vec<Told> {
    let changed = alerts.iter().enumerate().filter(|(place, _)| !restated.contains(place));
    let numbered = changed.map(|(_, alert)| {
        *number += 1;
        Told { number: *number, tick: tick.number, time: tick.time.0, ..views.told(alert) }
    });
    numbered.collect()
}

impl Gate {
    /// Commits and lets out until the driver ends; the last checkpoint is durable when it returns.
    pub fn run(mut self, ticks: &Receiver<Outgoing>) -> Result<(), GateError> {
        let formats = LineFormats::new(&self.views.setup.pipelines);
        let mut held: Vec<Outgoing> = Vec::new();
        let mut since: Option<Instant> = None;
        loop {
            let wait = since.map_or(HOLD, |s| HOLD.saturating_sub(s.elapsed()));
            let ended = match ticks.recv_timeout(wait) {
                Ok(tick) => {
                    since.get_or_insert_with(Instant::now);
                    held.push(tick);
                    while held.len() < TOGETHER
                        && let Ok(tick) = ticks.try_recv()
                    {
                        held.push(tick);
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let due = ended || held.len() >= TOGETHER || held.iter().any(|t| t.effect) || since.is_some_and(|s| s.elapsed() >= HOLD);
            if due && !held.is_empty() {
                let batch = std::mem::take(&mut held);
                since = None;
                self.commit(batch, &formats)?;
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn commit(&mut self, ticks: Vec<Outgoing>, formats: &LineFormats) -> Result<(), GateError> {
        let mut batch = Batch::new(ticks);
        Step::ALL.into_iter().try_for_each(|step| self.commit_step(step, &mut batch, formats))
    }

    /// One step of a commit; tests stop between any two.
    pub fn commit_step(&mut self, step: Step, batch: &mut Batch, formats: &LineFormats) -> Result<(), GateError> {
        match step {
            Step::Journal => self.journal(batch),
            Step::Show => {
                batch.ticks.iter_mut().zip(&batch.entries).for_each(|(tick, entry)| self.show(tick, entry));
                Ok(())
            }
            Step::Spool => self.spool(batch, formats),
            Step::Sync => Ok(self.spool.sync()?),
            Step::Rejected => self.keep_refused(batch),
            Step::Records => self.keep_alerts(batch),
            Step::Checkpoint => {
                self.checkpoint(batch);
                Ok(())
            }
            Step::Forget => match batch.entries.last() {
                Some(entry) if self.keeping.last.is_none_or(|last| last.elapsed() >= KEEPING_EVERY) => self.forget(entry.tick.time),
                _ => Ok(()),
            },
        }
    }

    fn keep_refused(&mut self, batch: &mut Batch) -> Result<(), GateError> {
        let ticks = &mut batch.ticks;
        self.rejected.keep(&ticks.iter_mut().flat_map(|t| t.rejected.drain(..)).collect::<Vec<_>>())?;
        self.late.keep(&ticks.iter_mut().flat_map(|t| t.late.drain(..)).collect::<Vec<_>>())?;
        let redriven: Vec<_> = ticks.iter_mut().flat_map(|t| t.redriven.drain(..)).collect();
        self.rejected.judged(&redriven)?;
        if !redriven.is_empty() {
            self.redriven.send_modify(|n| *n += 1);
        }
        Ok(())
    }

    /// The newest state of each alert that the batch changed.
    fn keep_alerts(&mut self, batch: &mut Batch) -> Result<(), GateError> {
        let Some(last) = batch.entries.last().map(|entry| entry.tick.number) else { return Ok(()) };
        let alerts: Vec<Alert> = batch.ticks.iter_mut().flat_map(|tick| tick.alerts.drain(..)).collect();
        Ok(keep_newest(&mut self.records, &self.views, last, &alerts)?)
    }

    fn journal(&mut self, batch: &mut Batch) -> Result<(), GateError> {
        let mut number = self.journal.last_told();
        for (tick, entry) in batch.ticks.iter().zip(&mut batch.entries) {
            entry.told = told(&self.views, &tick.alerts, &tick.restated, &entry.tick, &mut number);
        }
        let began = Instant::now();
        if let Err(error) = self.journal.append(&batch.entries) {
            for waiting in batch.ticks.drain(..).flat_map(|t| t.answers) {
                let _ = waiting.answer.send(ActionAnswer::Failed(error.to_string()));
            }
            return Err(error.into());
        }
        self.counters.commit_micros.fetch_add(began.elapsed().as_micros() as u64, Relaxed);
        self.outbox.put(batch.entries.iter_mut().flat_map(|entry| entry.told.drain(..)));
        self.counters.commits.fetch_add(1, Relaxed);
        self.counters.ticks.fetch_add(batch.ticks.len() as u64, Relaxed);
        Ok(())
    }

    fn spool(&mut self, batch: &Batch, formats: &LineFormats) -> Result<(), GateError> {
        let mut lines = Vec::new();
        for (tick, entry) in batch.ticks.iter().zip(&batch.entries).filter(|(t, _)| !t.rows.is_empty()) {
            lines.clear();
            for row in &tick.rows {
                formats.render(row, &mut lines);
            }
            self.counters.rows.fetch_add(tick.rows.len() as u64, Relaxed);
            self.spool.append(entry.tick.number, &lines)?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, batch: &mut Batch) {
        for (tick, entry) in batch.ticks.iter_mut().zip(&batch.entries) {
            let Some(state) = tick.checkpoint.take() else { continue };
            let counter = match self.checkpoints.submit(entry.tick.number, entry.tick.time.0, *state) {
                Ok(written) => {
                    batch.written.push(written);
                    &self.counters.checkpoints
                }
                Err(_) => &self.counters.checkpoints_postponed,
            };
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Lets go of what is kept long enough; a failure is said and tried again in an hour.
    fn forget(&mut self, now: Timestamp) -> Result<(), GateError> {
        self.keeping.last = Some(Instant::now());
        let since = (now - self.keeping.log).0;
        // ticks are needed as long as the log: the state can be rebuilt from them without any checkpoint
        let checkpoints = self.keeping.checkpoints.list().unwrap_or_default();
        if let Some((head, _)) = checkpoints.iter().rfind(|(head, _)| head.time <= since) {
            self.journal.retain(head.tick, (now - CHANGES_KEPT).0, (now - TOLD_KEPT).0)?;
        }
        if let Err(error) = self.keeping.checkpoints.retain(since) {
            tracing::warn!(%error, "old checkpoints were not removed");
        }
        self.records.forget(now - CHANGES_KEPT)?;
        self.alerts.keep(|alert| alert.resolved.is_none() || now - alert.changed <= SHELF_KEPT);
        Ok(())
    }

    /// Board and answers.
    fn show(&self, tick: &mut Outgoing, entry: &JournalEntry) {
        if let Some(names) = tick.partitions.take() {
            self.views.name_partitions(&names);
        }
        let board = self.views.tick(&entry.tick, &tick.rows, &tick.alerts, tick.health.take());
        for alert in &tick.alerts {
            self.alerts.put(alert.clone());
        }
        self.cases.put(entry.tick.time, std::mem::take(&mut tick.cases));
        // the hub is gone only when the server stops
        let _ = self.runtime.block_on(self.hub.publish(Arc::new(board)));
        for waiting in tick.answers.drain(..) {
            let handled = |outcome: &Outcome| match outcome {
                Outcome::Done(alert) => Handled::Done(Arc::new(self.views.alert(alert))),
                Outcome::Refused(refused) => Handled::Refused(Arc::new(self.views.conflict(&refused.0, &refused.1, refused.2))),
                Outcome::Unknown => Handled::Unknown,
            };
            let _ = waiting.answer.send(ActionAnswer::Handled(waiting.outcomes.iter().map(handled).collect()));
        }
    }
}
