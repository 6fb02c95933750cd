//! The spool: rows on disk between the journal's order and a store that may be slow or dead (D3).
//!
//! Owns: segment files of (tick, lines), which tick the store has acknowledged, which ticks are *owed* to it. Refuses to know: what a line
//! says, which store it is.
//!
//! Invariants
//! 1. Ticks go in ascending and come out ascending. Nothing at or below the acknowledged tick comes out again, nothing at or below
//!    [`Spool::last_tick`] goes in again; so a recomputed tick may simply be appended once more.
//! 2. After `sync` every tick appended before it is durable: in a segment or listed as owed (D1).
//! 3. A tick is in a segment wholly or not at all: a torn or damaged tail is cut off at its checksum. What a damaged segment that is not
//!    the last one held is listed as owed, never lost silently.
//! 4. Segments never hold more than the bound (one tick may pass it): beyond it, and until a quarter of it is free again, ticks are owed.
//! 5. The list of owed ranges holds at most [`OWED_RANGES`]; the nearest two are then said together, which owes more, never less.
//!
//! A record: length of the lines (u32), tick (u64), XXH3 of both and the lines (u64), the lines; little endian.
//!
//! Called by: driver (appends after the journal's record is durable, syncs in batches), store::drain (takes and acknowledges).

use super::segment::{self, Record, Segment};
use crate::disk::Disk;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Default bound: 1 GB.
pub const DEFAULT_BOUND: u64 = 1_000_000_000;
pub const OWED_RANGES: usize = 1_000;
/// At most; of a small bound an eighth.
const SEGMENT_BYTES: u64 = 16 << 20;

#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {doing}: {source}. Check that the disk has room and that this user may write there", path.display())]
pub struct SpoolError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

pub(super) trait InFile<T> {
    fn in_file(self, path: &Path, doing: &'static str) -> Result<T, SpoolError>;
}

impl<T> InFile<T> for io::Result<T> {
    fn in_file(self, path: &Path, doing: &'static str) -> Result<T, SpoolError> {
        self.map_err(|source| SpoolError { path: path.to_owned(), doing, source })
    }
}

/// Ticks whose rows did not fit: to be computed again from log and journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owed {
    pub first: u64,
    pub last: u64,
    /// Rows refused in this range; 0 where a damaged segment does not tell.
    pub rows: u64,
}

/// What became of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spooled {
    Kept,
    /// The bound is reached: listed as owed.
    Owed,
    /// At or below the last tick: said before.
    Known,
}

/// Rows of consecutive ticks for a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    pub first: u64,
    /// Acknowledge this one.
    pub last: u64,
    /// Complete lines, each with its line feed, in journal order.
    pub lines: Vec<u8>,
    pub rows: usize,
}

/// Figures for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpoolFigures {
    pub waiting_ticks: u64,
    pub waiting_bytes: u64,
    pub bytes_on_disk: u64,
    pub bound: u64,
    pub acked: Option<u64>,
    pub last: Option<u64>,
    pub owed_ranges: u64,
    pub owed_rows: u64,
}

#[derive(Debug)]
pub struct Spool {
    inner: Mutex<Inner>,
    /// The last tick appended.
    appended: watch::Sender<Option<u64>>,
}

#[derive(Debug)]
struct Inner {
    disk: Disk,
    folder: PathBuf,
    bound: u64,
    /// Oldest first; the last one is written.
    segments: VecDeque<Segment>,
    next_segment: u64,
    state: State,
    /// The list of owed ranges differs from what is on disk.
    owed_changed: bool,
    /// Bytes were appended since the last sync.
    unsynced: bool,
    /// The bound was reached and the spool is not yet down to three quarters of it.
    full: bool,
    /// A write failed: the tail of the last segment may be torn.
    torn: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct State {
    format: u32,
    acked: Option<u64>,
    owed: Vec<Owed>,
    /// The last tick when a range was settled.
    settled: Option<u64>,
}

impl Spool {
    pub fn open(disk: Disk, folder: &Path, bound: u64) -> Result<Spool, SpoolError> {
        disk.create_dir_all(folder).in_file(folder, "make the folder")?;
        let mut inner = Inner {
            disk,
            folder: folder.to_owned(),
            bound,
            segments: VecDeque::new(),
            next_segment: 0,
            state: State { format: 1, ..State::default() },
            owed_changed: false,
            unsynced: false,
            full: false,
            torn: false,
        };
        inner.load()?;
        let (appended, _) = watch::channel(inner.last());
        Ok(Spool { inner: Mutex::new(inner), appended })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ticks at or below it need not be appended again; `None` before the first.
    pub fn last_tick(&self) -> Option<u64> {
        self.inner().last()
    }

    pub fn acked(&self) -> Option<u64> {
        self.inner().state.acked
    }

    /// All rows of one tick, as complete lines. Durable after the next [`Spool::sync`].
    pub fn append(&self, tick: u64, lines: &[u8]) -> Result<Spooled, SpoolError> {
        let done = self.inner().append(tick, lines)?;
        if done == Spooled::Kept {
            self.appended.send_replace(Some(tick));
        }
        Ok(done)
    }

    /// Makes everything appended so far durable. The store may take rows meanwhile.
    pub fn sync(&self) -> Result<(), SpoolError> {
        let mut inner = self.inner();
        if std::mem::take(&mut inner.unsynced)
            && let Some(segment) = inner.segments.back()
        {
            let (file, path) = (segment.file.try_clone(), segment.path.clone());
            drop(inner);
            let synced = file.and_then(|mut file| file.sync());
            inner = self.inner();
            inner.unsynced |= synced.is_err();
            synced.in_file(&path, "make the spool durable")?;
        }
        if inner.owed_changed { inner.save() } else { Ok(()) }
    }

    /// The next rows for the store: at least one tick, further ones while they stay within `max_rows` and `max_bytes` together. `None`
    /// where nothing waits. The same rows come again until they are acknowledged.
    pub fn take(&self, max_rows: usize, max_bytes: usize) -> Result<Option<Batch>, SpoolError> {
        self.inner().take(max_rows, max_bytes)
    }

    /// The store has everything up to `tick`; durable when it returns.
    pub fn ack(&self, tick: u64) -> Result<(), SpoolError> {
        self.inner().ack(tick)
    }

    /// Ranges owed, oldest first.
    pub fn owed(&self) -> Vec<Owed> {
        self.inner().state.owed.clone()
    }

    /// The rows of a range were computed again and stored: it is owed no more. Durable when it returns.
    pub fn settle(&self, first: u64, last: u64) -> Result<(), SpoolError> {
        let mut inner = self.inner();
        inner.state.settled = inner.last();
        inner.state.owed.retain(|o| o.first < first || o.last > last);
        inner.owed_changed = true;
        inner.save()
    }

    /// Changes when rows come in.
    pub fn subscribe(&self) -> watch::Receiver<Option<u64>> {
        self.appended.subscribe()
    }

    pub fn figures(&self) -> SpoolFigures {
        let inner = self.inner();
        let waiting = || inner.segments.iter().flat_map(|s| &s.records).filter(|r| Some(r.tick) > inner.state.acked);
        SpoolFigures {
            waiting_ticks: waiting().count() as u64,
            waiting_bytes: waiting().map(|r| u64::from(r.len)).sum(),
            bytes_on_disk: inner.bytes(),
            bound: inner.bound,
            acked: inner.state.acked,
            last: inner.last(),
            owed_ranges: inner.state.owed.len() as u64,
            owed_rows: inner.state.owed.iter().map(|o| o.rows).sum(),
        }
    }
}

impl Inner {
    fn load(&mut self) -> Result<(), SpoolError> {
        let path = self.state_path();
        match self.disk.read(&path) {
            Ok(bytes) => self.state = serde_json::from_slice(&bytes).map_err(io::Error::from).in_file(&path, "read the spool's state")?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).in_file(&path, "read the spool's state"),
        }
        if self.state.format > 1 {
            let reason = format!("it is written in format {}, this program knows 1: start the newer ioc again", self.state.format);
            return Err(io::Error::other(reason)).in_file(&path, "read the spool's state");
        }
        let files = self.disk.list(&self.folder).in_file(&self.folder, "list the folder")?;
        let mut damaged: Option<u64> = None;
        for number in files.iter().filter_map(|(name, _)| segment::number_of(name)) {
            let path = self.folder.join(segment::name_of(number));
            let (segment, clean) = segment::load(&self.disk, &path)?;
            let first = segment.records.front().map(|r| r.tick);
            if let Some((after, first)) = damaged.zip(first).filter(|(after, first)| after + 1 < *first) {
                self.owe(Owed { first: after + 1, last: first - 1, rows: 0 });
            }
            let last = segment.records.back().map(|r| r.tick);
            damaged = match last {
                Some(last) => (!clean).then_some(last),
                None if clean => damaged,
                None => damaged.or(self.segments.iter().rev().find_map(|s| s.records.back()).map(|r| r.tick)).or(Some(0)),
            };
            self.next_segment = number + 1;
            self.segments.push_back(segment);
        }
        if self.owed_changed {
            self.save()?;
        }
        for segment in &mut self.segments {
            segment.cut_tail()?;
        }
        self.drop_acknowledged()
    }

    fn state_path(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// The list of owed ranges says that all before it is known, so what is in segments before it must be durable first.
    fn save(&mut self) -> Result<(), SpoolError> {
        if let (true, true, Some(segment)) = (self.owed_changed, self.unsynced, self.segments.back_mut()) {
            segment.file.sync().in_file(&segment.path, "make the spool durable")?;
            self.unsynced = false;
        }
        let path = self.state_path();
        let bytes = serde_json::to_vec(&self.state).map_err(io::Error::from).in_file(&path, "write the spool's state")?;
        self.disk.write_atomic(&path, &bytes).in_file(&path, "write the spool's state")?;
        self.owed_changed = false;
        Ok(())
    }

    fn last(&self) -> Option<u64> {
        let kept = self.segments.iter().rev().find_map(|s| s.records.back()).map(|r| r.tick);
        let owed = self.state.owed.last().map(|o| o.last);
        kept.max(owed).max(self.state.acked).max(self.state.settled)
    }

    fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES.min(self.bound / 8)
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    fn append(&mut self, tick: u64, lines: &[u8]) -> Result<Spooled, SpoolError> {
        if self.last().is_some_and(|last| tick <= last) {
            return Ok(Spooled::Known);
        }
        if lines.is_empty() {
            return Ok(Spooled::Kept);
        }
        let used = self.bytes();
        self.full = used >= self.bound || (self.full && used > self.bound / 4 * 3);
        let rows = memchr::memchr_iter(b'\n', lines).count();
        if self.full {
            self.owe(Owed { first: tick, last: tick, rows: rows as u64 });
            return Ok(Spooled::Owed);
        }
        if self.torn || self.segments.back().is_none_or(|s| s.bytes >= self.segment_bytes()) {
            self.roll()?;
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(Spooled::Known) };
        self.torn = true;
        segment.append(tick, lines, rows)?;
        self.torn = false;
        self.unsynced = true;
        Ok(Spooled::Kept)
    }

    /// Begins a new segment; what the old one holds is durable then.
    fn roll(&mut self) -> Result<(), SpoolError> {
        if let Some(last) = self.segments.back_mut() {
            last.cut_tail()?;
            last.file.sync().in_file(&last.path, "make the spool durable")?;
        }
        let path = self.folder.join(segment::name_of(self.next_segment));
        let segment = Segment::create(&self.disk, &path)?;
        self.disk.sync_dir(&self.folder).in_file(&self.folder, "make the new segment's name durable")?;
        self.next_segment += 1;
        self.segments.push_back(segment);
        self.torn = false;
        Ok(())
    }

    /// Adds to the list; ranges with nothing kept or acknowledged between them become one.
    fn owe(&mut self, new: Owed) {
        let owed = &mut self.state.owed;
        if owed.iter().any(|o| o.first <= new.first && new.last <= o.last) {
            return;
        }
        self.owed_changed = true;
        let kept = self.segments.iter().rev().find_map(|s| s.records.back()).map(|r| r.tick).max(self.state.acked);
        match owed.last_mut() {
            Some(last) if last.last < new.first && kept.is_none_or(|kept| kept <= last.last) => {
                (last.last, last.rows) = (new.last, last.rows + new.rows);
            }
            _ => owed.insert(owed.partition_point(|o| o.first < new.first), new),
        }
        if owed.len() > OWED_RANGES {
            let nearest = (1..owed.len()).min_by_key(|i| owed[*i].first.saturating_sub(owed[*i - 1].last)).unwrap_or(1);
            let second = owed.remove(nearest);
            let first = &mut owed[nearest - 1];
            (first.last, first.rows) = (second.last.max(first.last), first.rows + second.rows);
        }
    }

    fn take(&self, max_rows: usize, max_bytes: usize) -> Result<Option<Batch>, SpoolError> {
        let mut batch: Option<Batch> = None;
        for segment in &self.segments {
            for record in segment.records.iter().filter(|r| Some(r.tick) > self.state.acked) {
                let (rows, bytes) = batch.as_ref().map_or((0, 0), |b| (b.rows, b.lines.len()));
                if batch.is_some() && (rows + record.rows as usize > max_rows || bytes + record.len as usize > max_bytes) {
                    return Ok(batch);
                }
                let batch = batch.get_or_insert_with(|| Batch { first: record.tick, last: record.tick, lines: Vec::new(), rows: 0 });
                segment.read(record, &mut batch.lines)?;
                batch.last = record.tick;
                batch.rows += record.rows as usize;
            }
        }
        Ok(batch)
    }

    fn ack(&mut self, tick: u64) -> Result<(), SpoolError> {
        if self.state.acked.is_some_and(|acked| tick <= acked) {
            return Ok(());
        }
        let before = self.state.acked.replace(tick);
        if let Err(error) = self.save() {
            self.state.acked = before;
            return Err(error);
        }
        self.drop_acknowledged()
    }

    /// Removes segments that hold nothing more for the store. The one being written goes too once it is large, so that the spool of a
    /// store that keeps up stays small.
    fn drop_acknowledged(&mut self) -> Result<(), SpoolError> {
        let acked = self.state.acked;
        let done = |s: &Segment| s.records.back().is_none_or(|r: &Record| Some(r.tick) <= acked);
        while self.segments.len() > 1 && self.segments.front().is_some_and(done) {
            if let Some(segment) = self.segments.pop_front() {
                self.disk.remove(&segment.path).in_file(&segment.path, "remove a segment")?;
            }
        }
        if self.segments.len() == 1 && self.segments.front().is_some_and(|s| s.bytes >= self.segment_bytes() && done(s)) {
            self.roll()?;
            self.unsynced = false;
            return self.drop_acknowledged();
        }
        // records that are through need no memory
        if let Some(front) = self.segments.front_mut() {
            while front.records.len() > 1 && front.records.front().is_some_and(|r| Some(r.tick) <= acked) {
                front.records.pop_front();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
