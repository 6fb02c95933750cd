//! One run of the past: a lane restored from a checkpoint, moved by the journaled ticks.
//!
//! Owns: [`ReplayLane`]: the lane, the figures beside it, what is read ahead. Refuses to know: who looks, how fast.
//!
//! Invariants
//! 1. After [`ReplayLane::step`] its state is that of the live lane after the same tick.
//! 2. What it shows is made by the same [`Views`] as the live picture.
//! 3. A tick is told as it was live, one by one and in order; [`ReplayLane::picture`] is the whole at the tick fed last.
//!
//! Called by: replay::session, cli (`ioc replay`).

use super::{Past, ReplayError};
use crate::definitions::Definitions;
use crate::driver::recover::{self, Start};
use crate::driver::{record, remember, skip_taken};
use crate::engine::lane::Effects;
use crate::engine::setup::Setup;
use crate::engine::{PartitionTick, Tick};
use crate::ingest::past::PastLog;
use crate::ingest::{Fetched, PartitionName};
use crate::journal::{JournalEntry, JournalReader, Note};
use crate::server::board::BoardTick;
use crate::server::scope::HealthInput;
use crate::server::views::Views;
use crate::telemetry::Telemetry;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

/// Ticks read ahead.
const AHEAD: usize = 512;

/// A tick that was fed again.
pub struct Fed {
    pub entry: JournalEntry,
    pub effects: Effects,
    /// Other definitions are in force from this tick on: what was shown before is to be shown anew.
    pub changed: bool,
}

/// See the module.
pub struct ReplayLane {
    past: Arc<Past>,
    journal: JournalReader,
    log: PastLog,
    start: Start,
    views: Views,
    /// The tick fed last, without what it carried.
    last: Tick,
    buffers: Vec<VecDeque<Fetched>>,
    ahead: VecDeque<JournalEntry>,
    /// (partition, from, to) of what was lost then.
    lost: Vec<(usize, u64, u64)>,
    /// Of this lane alone: its health, its divergences.
    telemetry: Telemetry,
    diverged: u64,
}

impl ReplayLane {
    /// At the newest kept state at or before `until`, which may be before it by an hour's ticks: [`ReplayLane::step`] goes there.
    pub fn open(past: &Arc<Past>, until: u64) -> Result<ReplayLane, ReplayError> {
        let journal = past.journal()?;
        let setup_of = |definitions: &Definitions| past.setup(definitions);
        let start = recover::load_under(&journal, Some(until), &past.checkpoints, &past.today, &setup_of)?;
        let log = past.log.open()?;
        let telemetry = Telemetry::default();
        telemetry.set_ready();
        let mut lane = ReplayLane {
            past: past.clone(),
            views: Views::new(start.lane.setup.clone()),
            last: Tick { number: start.next.saturating_sub(1), time: start.lane.core.time().unwrap_or(Timestamp(0)), ..Tick::default() },
            journal,
            log,
            start,
            buffers: Vec::new(),
            ahead: VecDeque::new(),
            lost: Vec::new(),
            telemetry,
            diverged: 0,
        };
        for (_, note) in lane.journal.notes()? {
            lane.note_lost(&note);
        }
        if lane.start.next > 0
            && let Some(entry) = lane.journal.entry(lane.start.next - 1)?
        {
            lane.last = entry.tick;
        }
        Ok(lane)
    }

    /// The tick fed last; of a lane that begins, number 0 without partitions.
    pub fn last(&self) -> &Tick {
        &self.last
    }

    /// Number of the tick that comes next.
    pub fn next_number(&self) -> u64 {
        self.start.next
    }

    pub fn setup(&self) -> &Arc<Setup> {
        &self.start.lane.setup
    }

    /// Ticks whose recomputation differed from the journal.
    pub fn diverged(&self) -> u64 {
        self.diverged
    }

    /// The tick that comes next, if it is journaled yet.
    pub fn peek(&mut self) -> Result<Option<&Tick>, ReplayError> {
        if self.ahead.is_empty() {
            for entry in self.journal.ticks_from(self.start.next).take(AHEAD) {
                self.ahead.push_back(entry?);
            }
        }
        Ok(self.ahead.front().map(|entry| &entry.tick))
    }

    /// Feeds the next tick; `None`: none is journaled yet.
    pub fn step(&mut self) -> Result<Option<Fed>, ReplayError> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let Some(entry) = self.ahead.pop_front() else { return Ok(None) };
        let changed = self.put_under(&entry)?;
        for note in &entry.notes {
            self.note_joined(note);
        }
        let tick = &entry.tick;
        self.start.lane.begin(tick.time, tick.partitions.len());
        for (p, at) in tick.partitions.iter().enumerate() {
            self.take(p, at)?;
        }
        let effects = self.start.lane.close_told(tick, Some(&entry.alerts));
        // nobody shows cases of the past
        drop(self.start.lane.core.take_case_updates());
        if effects.diverged {
            self.diverged += 1;
            tracing::warn!(tick = tick.number, "replay: recomputation does not arrive at the journaled alert changes: diverged");
        }
        remember(&mut self.start.figures, &effects.rows);
        self.start.next = tick.number + 1;
        self.last = Tick { actions: Vec::new(), retire: Vec::new(), ..tick.clone() };
        Ok(Some(Fed { entry, effects, changed }))
    }

    /// What a tick brought, as the live board took it.
    pub fn board_tick(&self, fed: &Fed) -> BoardTick {
        self.views.tick(&fed.entry.tick, &fed.effects.rows, &fed.effects.alerts, None)
    }

    /// The whole picture at the tick fed last.
    pub fn picture(&mut self) -> BoardTick {
        let health = Some(self.health());
        let rows: Vec<_> = self.start.figures.values().cloned().collect();
        let alerts: Vec<_> = self.start.lane.core.book().iter().cloned().collect();
        self.views.tick(&self.last, &rows, &alerts, health)
    }

    /// Who was heard and what became of the records, at the tick fed last; of the store of that time nothing is known.
    pub fn health(&self) -> Arc<HealthInput> {
        Arc::new(self.telemetry.report(&self.start.lane, &self.last, &self.start.names, &[]))
    }

    /// True if other definitions are in force from this entry on.
    fn put_under(&mut self, entry: &JournalEntry) -> Result<bool, ReplayError> {
        let Some(configuration) = &entry.configuration else { return Ok(false) };
        let then = Definitions::from_configuration(configuration);
        let version = then.version();
        if version == self.start.definitions {
            return Ok(false);
        }
        let setup = self.past.setup(&then)?;
        recover::change_setup(&mut self.start, setup.clone())?;
        self.start.definitions = version;
        self.views = Views::new(setup);
        Ok(true)
    }

    fn note_joined(&mut self, note: &Note) {
        self.note_lost(note);
        if let Note::Partition { index, topic, partition, .. } = note
            && *index as usize == self.start.names.len()
        {
            self.start.names.push(PartitionName { topic: topic.clone(), number: *partition as i32 });
        }
    }

    fn note_lost(&mut self, note: &Note) {
        if let Note::Lost { index, from, to, .. } = note
            && !self.lost.contains(&(*index as usize, *from, *to))
        {
            self.lost.push((*index as usize, *from, *to));
        }
    }

    /// The records of one partition that belong to a tick.
    fn take(&mut self, p: usize, at: &PartitionTick) -> Result<(), ReplayError> {
        self.buffers.resize_with(self.buffers.len().max(p + 1), VecDeque::new);
        loop {
            let next = self.start.lane.collectors[p].next_offset();
            if next >= at.end {
                return Ok(());
            }
            let from = self.past_lost(p, next);
            let buffer = &mut self.buffers[p];
            skip_taken(buffer, next);
            if buffer.is_empty() {
                let Some(name) = self.start.names.get(p).filter(|_| from < at.end) else { return Ok(()) };
                buffer.extend(self.log.read(name, from, at.end)?);
            }
            while buffer.front().is_some_and(|f| f.offset < at.end) {
                let Some(fetched) = buffer.pop_front() else { break };
                // bounded by its offset, not by its clock: always taken
                let _ = self.start.lane.take(p, record(&fetched), Timestamp::MAX);
            }
            if self.start.lane.collectors[p].next_offset() == next {
                // no record lies between here and the tick's end (a log may have holes)
                return Ok(());
            }
        }
    }

    /// The first offset at or after `next` that was not lost before it was read.
    fn past_lost(&self, p: usize, next: u64) -> u64 {
        let mut from = next;
        while let Some((.., to)) = self.lost.iter().find(|(of, begin, end)| *of == p && *begin <= from && from < *end) {
            from = *to;
        }
        from
    }
}
