//! Open windows of one partition: entries by key, a column for each accumulator.
//!
//! Owns: [`OpenWindow`], [`Batch`] (partials of one window on their way to the merger), [`Around`] (which windows hold a time).
//! Refuses to know: watermarks; the collector says when a window is due and when it is over.
//!
//! Invariants
//! 1. A batch is cumulative: it holds all that its entries know up to its end offset (R1).
//! 2. `take_partials(last)` after which nothing is added hands the columns over without copying.
//!
//! Called by: collect.

use super::aggregate::Column;
use crate::pipeline::WindowSpec;
use crate::time::{Alignment, Span, Timestamp};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

const NONE: u32 = u32::MAX;
/// `sent_at` of a window that no tick has seen: which tick a record belongs to is not known while it is taken.
const UNSEEN: Timestamp = Timestamp::MAX;

/// The windows that hold the time asked for last, oldest first: one where they do not overlap.
pub struct Around {
    /// They are the same for all times in `[from, until)`.
    from: Timestamp,
    until: Timestamp,
    windows: SmallVec<[(Timestamp, Timestamp); 1]>,
}

impl Default for Around {
    fn default() -> Around {
        Around { from: Timestamp::MAX, until: Timestamp::MIN, windows: SmallVec::new() }
    }
}

impl Around {
    /// `[start, end)` of the windows that hold `time`; mostly those that held the time before.
    #[inline]
    pub fn at(&mut self, alignment: &Alignment, time: Timestamp) -> &[(Timestamp, Timestamp)] {
        if time < self.from || self.until <= time {
            *self = Around::find(alignment, time);
        }
        &self.windows
    }

    #[cold]
    fn find(alignment: &Alignment, time: Timestamp) -> Around {
        let newest = alignment.start_of(time);
        let mut start = alignment.first_start_of(time);
        let mut around = Around { from: newest, until: alignment.end_of(start), windows: SmallVec::new() };
        if alignment.is_hopping() {
            // until the next one begins, and since the one before the oldest ended
            around.until = around.until.min(alignment.next_start(newest));
            around.from = around.from.max(alignment.end_of(alignment.start_of(start - Span(1))));
        }
        while start <= newest {
            around.windows.push((start, alignment.end_of(start)));
            start = alignment.next_start(start);
        }
        around
    }
}

/// One `[start, end)` of one measurement, as one partition knows it.
#[derive(Clone, Debug)]
pub struct OpenWindow {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Entry by key number.
    entry_of: Vec<u32>,
    /// Key number by entry.
    keys: Vec<u32>,
    pub columns: Vec<Column>,
    /// Entries that changed since they were last sent; only once `sent`.
    dirty: Vec<u32>,
    is_dirty: Vec<bool>,
    sent: bool,
    /// Its events lie in [from, to) of the partition; `to` 0: none yet.
    read: (u64, u64),
    /// Tick time of the last sending, or of the first tick that saw the window: `early` counts from it.
    pub sent_at: Timestamp,
}

/// Partials of one window, one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub window: u16,
    pub start: Timestamp,
    pub end: Timestamp,
    /// The partials stand for the partition's records below this offset.
    pub end_offset: u64,
    /// The window's events lie in [from, to) of the partition.
    pub read: (u64, u64),
    /// Key numbers of the partition.
    pub keys: Vec<u32>,
    pub columns: Vec<Column>,
}

impl OpenWindow {
    pub fn new(spec: &WindowSpec, start: Timestamp, end: Timestamp) -> OpenWindow {
        OpenWindow {
            start,
            end,
            entry_of: Vec::new(),
            keys: Vec::new(),
            columns: spec.accumulators.iter().map(|k| Column::new(*k)).collect(),
            dirty: Vec::new(),
            is_dirty: Vec::new(),
            sent: false,
            read: (0, 0),
            sent_at: UNSEEN,
        }
    }

    /// Uses the memory of a window that is over.
    pub fn reuse(mut self, start: Timestamp, end: Timestamp) -> OpenWindow {
        for key in &self.keys {
            self.entry_of[*key as usize] = NONE;
        }
        self.keys.clear();
        self.columns.iter_mut().for_each(Column::clear);
        self.dirty.clear();
        self.is_dirty.clear();
        OpenWindow { start, end, sent: false, read: (0, 0), sent_at: UNSEEN, ..self }
    }

    /// The entry of a key, made if new; it counts as changed.
    #[inline]
    pub fn entry(&mut self, key: u32) -> usize {
        let at = key as usize;
        if at >= self.entry_of.len() {
            self.entry_of.resize((at + 1).next_power_of_two().max(64), NONE);
        }
        let mut entry = self.entry_of[at];
        if entry == NONE {
            entry = self.keys.len() as u32;
            self.entry_of[at] = entry;
            self.keys.push(key);
            self.columns.iter_mut().for_each(Column::push_empty);
            if self.sent {
                self.is_dirty.push(false);
            }
        }
        if self.sent && !self.is_dirty[entry as usize] {
            self.is_dirty[entry as usize] = true;
            self.dirty.push(entry);
        }
        entry as usize
    }

    /// The record at this offset goes in; offsets only rise.
    #[inline]
    pub fn note(&mut self, offset: u64) {
        if self.read.1 == 0 {
            self.read.0 = offset;
        }
        self.read.1 = offset + 1;
    }

    /// A tick sees the window.
    pub fn see(&mut self, tick: Timestamp) {
        if self.sent_at == UNSEEN {
            self.sent_at = tick;
        }
    }

    pub fn has_changes(&self) -> bool {
        if self.sent { !self.dirty.is_empty() } else { !self.keys.is_empty() }
    }

    /// The partials that changed. `last`: nothing will be added any more.
    pub fn take_partials(&mut self, window: u16, end_offset: u64, now: Timestamp, last: bool) -> Batch {
        self.sent_at = now;
        let (keys, columns) = if self.sent {
            let keys = self.dirty.iter().map(|e| self.keys[*e as usize]).collect();
            (keys, self.columns.iter().map(|c| c.gather(&self.dirty)).collect())
        } else if last {
            // the key list stays, so that the memory can be used again
            (self.keys.clone(), std::mem::take(&mut self.columns))
        } else {
            (self.keys.clone(), self.columns.clone())
        };
        if self.sent {
            for entry in self.dirty.drain(..) {
                self.is_dirty[entry as usize] = false;
            }
        } else {
            self.sent = true;
            self.is_dirty = vec![false; self.keys.len()];
        }
        Batch { window, start: self.start, end: self.end, end_offset, read: self.read, keys, columns }
    }

    /// The memory of a window that is over, for `reuse`.
    pub fn take_memory(&mut self, spec: &WindowSpec) -> OpenWindow {
        let hollow = OpenWindow::restore(OpenWindowState::default());
        let mut used = std::mem::replace(self, hollow);
        if used.columns.len() != spec.accumulators.len() {
            // the next window will hold about as many
            let room = used.keys.len() + used.keys.len() / 16;
            used.columns = spec.accumulators.iter().map(|k| Column::with_room(*k, room)).collect();
        }
        used
    }

    pub fn save(&self) -> OpenWindowState {
        OpenWindowState {
            start: self.start,
            end: self.end,
            keys: self.keys.clone(),
            columns: self.columns.clone(),
            dirty: self.dirty.clone(),
            sent: self.sent,
            read: self.read,
            sent_at: self.sent_at,
        }
    }

    pub fn restore(state: OpenWindowState) -> OpenWindow {
        let mut entry_of = Vec::new();
        for (entry, key) in state.keys.iter().enumerate() {
            let at = *key as usize;
            if at >= entry_of.len() {
                entry_of.resize((at + 1).next_power_of_two().max(64), NONE);
            }
            entry_of[at] = entry as u32;
        }
        let mut is_dirty = vec![false; if state.sent { state.keys.len() } else { 0 }];
        for entry in &state.dirty {
            is_dirty[*entry as usize] = true;
        }
        OpenWindow {
            start: state.start,
            end: state.end,
            entry_of,
            keys: state.keys,
            columns: state.columns,
            dirty: state.dirty,
            is_dirty,
            sent: state.sent,
            read: state.read,
            sent_at: state.sent_at,
        }
    }
}

/// Plain data of an open window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpenWindowState {
    pub start: Timestamp,
    pub end: Timestamp,
    pub keys: Vec<u32>,
    pub columns: Vec<Column>,
    pub dirty: Vec<u32>,
    pub sent: bool,
    #[serde(default)]
    pub read: (u64, u64),
    pub sent_at: Timestamp,
}
