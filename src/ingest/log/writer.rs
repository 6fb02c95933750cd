//! The one thread that writes a log.
//!
//! Owns: placing records (partition, offset, time, day), group commit, retention. Refuses to know: who waits, who reads.
//!
//! Invariants
//! 1. Days are committed oldest first and a partition's days ascend with its offsets, so a crash between two commits leaves no hole.
//! 2. Ends are published, and waiters answered, after the last commit of the batch.
//! 3. After a failed commit the state is that of the last day that was committed.
//!
//! The batch is what came while the last commit ran, up to [`BATCH_RECORDS`] and [`BATCH_BYTES`]: under load commits are large, and an idle log answers after
//! one fsync without waiting for company.
//!
//! Called by: ingest::log (one thread each).

use super::day::{self, Day, PlacedRecord};
use super::{Appended, BATCH_BYTES, BATCH_RECORDS, Command, LogError, NewRecord, RemovedDay, Retention, Shared, partition_of};
use crate::disk::database::{self, DatabaseError, InFile, NANOS_PER_DAY};
use crate::time::Timestamp;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, PoisonError, RwLockWriteGuard};
use tokio::sync::{mpsc, oneshot, watch};

type Answer = oneshot::Sender<Result<Vec<Appended>, LogError>>;

pub(super) struct Writer {
    shared: Arc<Shared>,
    publish: watch::Sender<Vec<u64>>,
    /// The day written last.
    open: Option<(i64, Connection)>,
    /// The partition of the next record without a key.
    turn: u32,
    /// Held as long as the writer lives.
    _lock: File,
}

/// The wall clock, for broker_time only: one of the two places that may read it (the other is the driver's cut). The log is where an event
/// enters the system, and "when did it come in" is a fact that only a clock can give; from here on it is data.
#[allow(clippy::disallowed_methods, reason = "broker_time of the embedded log: see above")]
fn append_time() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX / 4)))
}

impl Writer {
    pub fn new(shared: Arc<Shared>, publish: watch::Sender<Vec<u64>>, lock: File) -> Writer {
        Writer { shared, publish, open: None, turn: 0, _lock: lock }
    }

    pub fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut carried = None;
        while let Some(command) = carried.take().or_else(|| queue.blocking_recv()) {
            match command {
                Command::Append { records, answer } => {
                    let bytes = |records: &[NewRecord]| records.iter().map(|r| r.value.len()).sum::<usize>();
                    let (mut count, mut size) = (records.len(), bytes(&records));
                    let mut batch = vec![(records, answer)];
                    while count < BATCH_RECORDS && size < BATCH_BYTES {
                        match queue.try_recv() {
                            Ok(Command::Append { records, answer }) => {
                                count += records.len();
                                size += bytes(&records);
                                batch.push((records, answer));
                            }
                            Ok(other) => {
                                carried = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.append(batch);
                }
                Command::Retain { retention, now, answer } => {
                    let _ = answer.send(self.retain(retention, now));
                }
            }
        }
    }

    fn append(&mut self, batch: Vec<(Vec<NewRecord>, Answer)>) {
        let last = self.shared.partitions - 1;
        let unknown = |r: &NewRecord| r.partition.filter(|p| *p > last);
        let (refused, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|(records, _)| records.iter().any(|r| unknown(r).is_some()));
        for (records, answer) in refused {
            let partition = records.iter().find_map(unknown).unwrap_or_default();
            let _ = answer.send(Err(LogError::NoPartition { topic: self.shared.topic.clone(), partition, last }));
        }
        let placed = self.place(&batch);
        let written = self.write(&batch, &placed);
        self.publish.send_replace(self.state().ends());
        match written {
            Ok(()) => {
                let mut placed = placed.into_iter();
                for (records, answer) in batch {
                    let _ = answer.send(Ok(placed.by_ref().take(records.len()).collect()));
                }
            }
            Err(error) => {
                self.open = None;
                let reason = error.to_string();
                for (_, answer) in batch {
                    let _ = answer.send(Err(LogError::Append { topic: self.shared.topic.clone(), reason: reason.clone() }));
                }
            }
        }
    }

    /// Decides where each record goes; changes nothing but whose turn it is.
    fn place(&mut self, batch: &[(Vec<NewRecord>, Answer)]) -> Vec<Appended> {
        let mut partitions = self.state().partitions.clone();
        let now = append_time();
        let mut placed = Vec::new();
        for record in batch.iter().flat_map(|(records, _)| records) {
            let partition = record.partition.unwrap_or_else(|| match &record.key {
                Some(key) => partition_of(key, self.shared.partitions),
                None => {
                    self.turn = (self.turn + 1) % self.shared.partitions;
                    self.turn
                }
            });
            let stands = &mut partitions[partition as usize];
            stands.broker_time = stands.broker_time.max(record.broker_time.unwrap_or(now));
            placed.push(Appended { partition, offset: stands.next_offset, broker_time: stands.broker_time });
            stands.next_offset += 1;
        }
        placed
    }

    fn write(&mut self, batch: &[(Vec<NewRecord>, Answer)], placed: &[Appended]) -> Result<(), DatabaseError> {
        let mut days: BTreeMap<i64, Vec<PlacedRecord<'_>>> = BTreeMap::new();
        for (record, at) in batch.iter().flat_map(|(records, _)| records).zip(placed) {
            days.entry(at.broker_time.0.div_euclid(NANOS_PER_DAY)).or_default().push(PlacedRecord {
                partition: at.partition,
                offset: at.offset,
                broker_time: at.broker_time,
                key: record.key.as_deref(),
                headers: &record.headers,
                value: &record.value,
            });
        }
        for (day, mut records) in days {
            // the table's order: appends then touch each page once
            records.sort_by_key(|r| (r.partition, r.offset));
            let path = self.open_day(day)?;
            let Some((_, connection)) = &mut self.open else { continue };
            day::insert(connection, &records).in_file(&path, "append records")?;
            self.committed(day, &records);
        }
        Ok(())
    }

    fn open_day(&mut self, day: i64) -> Result<std::path::PathBuf, DatabaseError> {
        let path = self.shared.folder.join(database::name_of_day(day));
        if self.open.as_ref().is_some_and(|(open, _)| *open == day) {
            return Ok(path);
        }
        self.open = None;
        let known = self.state().days.contains_key(&day);
        let connection = if known {
            day::open(&path)?
        } else {
            let stood = self.state().partitions.clone();
            let connection = day::create(&path, &stood)?;
            let ranges = vec![(0, 0); self.shared.partitions as usize];
            self.state_mut().days.insert(day, Day { path: path.clone(), ranges });
            connection
        };
        self.open = Some((day, connection));
        Ok(path)
    }

    fn committed(&self, day: i64, records: &[PlacedRecord<'_>]) {
        let mut state = self.state_mut();
        for r in records {
            let stands = &mut state.partitions[r.partition as usize];
            stands.next_offset = r.offset + 1;
            stands.broker_time = r.broker_time;
            if let Some(day) = state.days.get_mut(&day) {
                let range = &mut day.ranges[r.partition as usize];
                *range = if range.0 == range.1 { (r.offset, r.offset + 1) } else { (range.0, r.offset + 1) };
            }
        }
        state.raise_to_oldest_day();
    }

    /// Oldest first; the newest day stays, whatever its age and size.
    fn retain(&mut self, retention: Retention, now: Timestamp) -> Result<Vec<RemovedDay>, LogError> {
        let sizes: Vec<_> = self.state().days.iter().map(|(day, d)| (*day, d.path.clone(), database::size(&d.path))).collect();
        let mut total: u64 = sizes.iter().map(|(_, _, bytes)| bytes).sum();
        let oldest_wanted = (now - retention.age).0.div_euclid(NANOS_PER_DAY);
        let mut removed = Vec::new();
        for (day, path, bytes) in sizes.iter().take(sizes.len().saturating_sub(1)) {
            if *day >= oldest_wanted && total <= retention.bytes {
                break;
            }
            if let Some(needed) = &retention.needed
                && self.state().days.get(day).is_some_and(|d| d.holds(needed))
            {
                break;
            }
            if self.open.as_ref().is_some_and(|(open, _)| open == day) {
                self.open = None;
            }
            let mut state = self.state_mut();
            database::remove(path)?;
            state.days.remove(day);
            state.raise_to_oldest_day();
            total -= bytes;
            removed.push(RemovedDay { file: path.clone(), bytes: *bytes });
        }
        Ok(removed)
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, day::State> {
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, day::State> {
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
