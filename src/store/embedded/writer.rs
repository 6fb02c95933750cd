//! The one thread that writes the embedded store.
//!
//! Owns: open days, packing, retention. Refuses to know: who waits.
//!
//! Invariants
//! 1. A write that touches several days commits them one by one; it is answered after the last. Written again after a failure it changes
//!    nothing that is there.
//! 2. Packing goes in slices of [`SLICE`] series and only while no write waits, for hours that ended [`HOT_HOURS`] before the newest window:
//!    event time decides, no clock.
//!
//! Called by: store::embedded (one thread).

use super::day::{NANOS_PER_HOUR, PlacedLine, WritableDay};
use super::{Write, days};
use crate::disk::database::{self, NANOS_PER_DAY};
use crate::store::line::split_line;
use crate::store::{StoreError, Stored};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Series packed in one transaction: about 30,000 rows of one minute, some tens of milliseconds.
const SLICE: i64 = 500;
const HOT_HOURS: i64 = 2;
/// Days kept open; writing goes to one or two.
const OPEN_DAYS: usize = 4;

pub(super) struct Writer {
    folder: PathBuf,
    open: BTreeMap<i64, WritableDay>,
    /// The newest start seen.
    newest: i64,
    /// Days that may have hot rows to pack.
    unpacked: BTreeSet<i64>,
    /// Where packing goes on: hour, first series.
    packing: Option<(i64, i64)>,
    /// Days before it were removed.
    floor: i64,
    trouble: Arc<Mutex<Option<String>>>,
    _lock: File,
}

impl Writer {
    pub fn open(folder: &Path, lock: File, trouble: Arc<Mutex<Option<String>>>) -> Result<Writer, StoreError> {
        let unpacked: BTreeSet<i64> = days(folder)?.into_iter().collect();
        let newest = unpacked.last().map_or(i64::MIN, |day| day * NANOS_PER_DAY);
        Ok(Writer {
            folder: folder.to_owned(),
            open: BTreeMap::new(),
            newest,
            unpacked,
            packing: None,
            floor: i64::MIN,
            trouble,
            _lock: lock,
        })
    }

    pub fn run(mut self, mut queue: mpsc::Receiver<Write>) {
        loop {
            let write = match queue.try_recv() {
                Ok(write) => write,
                Err(mpsc::error::TryRecvError::Disconnected) => return,
                // nothing to write: pack a slice, or else wait
                Err(mpsc::error::TryRecvError::Empty) => match self.pack_slice() {
                    Ok(Some(_)) => continue,
                    Ok(None) => match queue.blocking_recv() {
                        Some(write) => write,
                        None => return,
                    },
                    Err(error) => {
                        tracing::error!(%error, "older rows stay unpacked");
                        self.unpacked.clear();
                        self.packing = None;
                        continue;
                    }
                },
            };
            match write {
                Write::Rows { tick, lines, answer } => {
                    let done = self.write(tick, &lines);
                    let trouble = done.as_ref().err().map(ToString::to_string);
                    *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
                    let _ = answer.send(done);
                }
                Write::Retain { before, answer } => {
                    let _ = answer.send(self.retain(before));
                }
                Write::Pack { answer } => {
                    let mut moved = 0;
                    let done = loop {
                        match self.pack_slice() {
                            Ok(Some(rows)) => moved += rows,
                            Ok(None) => break Ok(moved),
                            Err(error) => break Err(error),
                        }
                    };
                    let _ = answer.send(done);
                }
            }
        }
    }

    fn write(&mut self, tick: u64, lines: &[u8]) -> Result<Stored, StoreError> {
        let mut stored = Stored::default();
        let mut by_day: BTreeMap<i64, Vec<PlacedLine<'_>>> = BTreeMap::new();
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let placed = split_line(line).map(|p| (p.start.0.div_euclid(NANOS_PER_DAY), p));
            match placed.filter(|(day, _)| *day >= self.floor) {
                Some((day, parts)) => {
                    stored.rows += 1;
                    by_day.entry(day).or_default().push(PlacedLine { head: parts.series, start: parts.start.0, fields: parts.fields });
                }
                None => stored.refused += 1,
            }
        }
        for (day, lines) in by_day {
            let refused = self.day(day)?.write(tick, &lines)?;
            (stored.rows, stored.refused) = (stored.rows - refused, stored.refused + refused);
            let hours = lines.iter().map(|l| l.start);
            self.newest = self.newest.max(hours.max().unwrap_or(i64::MIN));
            self.unpacked.insert(day);
        }
        Ok(stored)
    }

    fn day(&mut self, day: i64) -> Result<&mut WritableDay, StoreError> {
        if !self.open.contains_key(&day) {
            while self.open.len() >= OPEN_DAYS {
                self.open.pop_first();
            }
            self.open.insert(day, WritableDay::open(&self.folder.join(database::name_of_day(day)))?);
        }
        self.open.get_mut(&day).ok_or(StoreError::Closed)
    }

    /// Rows moved; `None` where nothing is old enough.
    fn pack_slice(&mut self) -> Result<Option<u64>, StoreError> {
        let old_before = self.newest.saturating_sub(HOT_HOURS * NANOS_PER_HOUR);
        if let Some((hour, first)) = self.packing {
            let (moved, more) = self.day(hour.div_euclid(NANOS_PER_DAY))?.pack(hour, first, SLICE)?;
            self.packing = more.then_some((hour, first + SLICE));
            return Ok(Some(moved));
        }
        while let Some(day) = self.unpacked.first().copied().filter(|day| day * NANOS_PER_DAY + NANOS_PER_HOUR <= old_before) {
            match self.day(day)?.oldest_hot_hour()? {
                Some(hour) if hour + NANOS_PER_HOUR <= old_before => {
                    self.packing = Some((hour, 0));
                    return Ok(Some(0));
                }
                Some(_) => return Ok(None),
                // a late row puts it on the list again
                None => self.unpacked.remove(&day),
            };
        }
        Ok(None)
    }

    fn retain(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        let first_kept = before.0.div_euclid(NANOS_PER_DAY);
        self.floor = self.floor.max(first_kept);
        self.packing = None;
        let old: Vec<i64> = days(&self.folder)?.into_iter().filter(|day| *day < first_kept).collect();
        for day in &old {
            self.open.remove(day);
            self.unpacked.remove(day);
            database::remove(&self.folder.join(database::name_of_day(*day)))?;
        }
        Ok(old.len())
    }
}
