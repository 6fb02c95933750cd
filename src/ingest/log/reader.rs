//! Reading a log: by offset, by time, and as a stream that goes on.
//!
//! Owns: the reader's connections, one per day it reads. Refuses to know: where a reader stood before; offsets live in the checkpoint (D1).
//!
//! Invariants
//! 1. Records come in offset order without a hole; an offset that retention removed is an error that says where the log begins.
//! 2. Only what has been published as durable is read; who looks on from outside ([`LogReader::look`]) sees what was durable then.
//!
//! Called by: driver (through `Log::tail`), ingest::past (replay).

use super::{LogError, Record, Shared, day};
use crate::disk::database::{self, InFile};
use crate::time::Timestamp;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, watch};

/// Reads one log; blocking.
pub struct LogReader {
    shared: Arc<Shared>,
    /// The day read last.
    open: Option<(i64, Connection)>,
}

/// What to read in which day.
struct Piece {
    day: i64,
    path: PathBuf,
    range: (u64, u64),
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> LogReader {
        LogReader { shared, open: None }
    }

    /// The log of `folder/topic/` as it lies there now, whoever writes it: without its lock, and without changing anything.
    pub fn look(folder: &Path, topic: &str) -> Result<LogReader, LogError> {
        let folder = folder.join(topic);
        let state = day::State::look(&folder, topic)?;
        let partitions = state.partitions.len() as u32;
        // nobody publishes: the ends stay what they are now
        let (_, ends) = watch::channel(state.ends());
        let shared = Shared { topic: topic.to_owned(), folder, partitions, state: RwLock::new(state), ends };
        Ok(LogReader::new(Arc::new(shared)))
    }

    /// The first offset kept of `partition` and the one past its last.
    pub fn bounds(&self, partition: u32) -> Result<(u64, u64), LogError> {
        Ok((self.start(partition)?, self.shared.ends.borrow()[partition as usize]))
    }

    /// Up to `limit` records of `partition` from `offset` on, fewer where they are large (`BATCH_BYTES`); empty at the end only.
    pub fn read(&mut self, partition: u32, offset: u64, limit: usize) -> Result<Vec<Record>, LogError> {
        let mut records = Vec::new();
        for piece in self.pieces(partition, offset)? {
            let from = offset.max(piece.range.0);
            if let Err(error) = self.open(&piece) {
                let start = self.start(partition)?;
                return Err(if from < start { self.deleted(partition, from, start) } else { error });
            }
            let connection = self.open(&piece)?;
            let room =
                day::select(connection, partition, (from, piece.range.1), limit, &mut records).in_file(&piece.path, "read records")?;
            if !room {
                break;
            }
        }
        match records.first() {
            // the day went between looking and opening
            Some(first) if first.offset != offset => Err(self.deleted(partition, offset, first.offset)),
            _ => Ok(records),
        }
    }

    /// The first offset of `partition` whose broker_time is at least `t`; its end if there is none.
    pub fn offset_at(&mut self, partition: u32, t: Timestamp) -> Result<u64, LogError> {
        let start = self.start(partition)?;
        for piece in self.pieces(partition, start)? {
            let connection = self.open(&piece)?;
            let found = day::seek(connection, partition, piece.range, t).in_file(&piece.path, "seek by time")?;
            if found < piece.range.1 {
                return Ok(found);
            }
        }
        Ok(self.shared.ends.borrow()[partition as usize])
    }

    fn start(&self, partition: u32) -> Result<u64, LogError> {
        if partition >= self.shared.partitions {
            let last = self.shared.partitions.saturating_sub(1);
            return Err(LogError::NoPartition { topic: self.shared.topic.clone(), partition, last });
        }
        Ok(self.shared.state.read().unwrap_or_else(PoisonError::into_inner).starts()[partition as usize])
    }

    fn pieces(&self, partition: u32, offset: u64) -> Result<Vec<Piece>, LogError> {
        let start = self.start(partition)?;
        if offset < start {
            return Err(self.deleted(partition, offset, start));
        }
        let end = self.shared.ends.borrow()[partition as usize];
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let pieces = state.days_from(partition as usize, offset).map(|(day, d)| {
            let (first, day_end) = d.ranges[partition as usize];
            Piece { day, path: d.path.clone(), range: (first, day_end.min(end)) }
        });
        Ok(pieces.filter(|p| p.range.0 < p.range.1).collect())
    }

    fn deleted(&self, partition: u32, asked: u64, start: u64) -> LogError {
        LogError::Deleted { topic: self.shared.topic.clone(), partition, asked, start }
    }

    fn open(&mut self, piece: &Piece) -> Result<&Connection, LogError> {
        if self.open.as_ref().is_none_or(|(day, _)| *day != piece.day) {
            self.open = None;
            self.open = Some((piece.day, database::open_reader(&piece.path)?));
        }
        self.open.as_ref().map(|(_, connection)| connection).ok_or_else(|| LogError::Closed(self.shared.topic.clone()))
    }
}

/// See [`super::Log::tail`].
pub(super) fn tail(
    mut reader: LogReader,
    mut ends: watch::Receiver<Vec<u64>>,
    partition: u32,
    mut offset: u64,
    limit: usize,
    capacity: usize,
) -> mpsc::Receiver<Result<Vec<Record>, LogError>> {
    let (out, receiver) = mpsc::channel(capacity.max(1));
    let (failed, topic) = (out.clone(), reader.shared.topic.clone());
    let run = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
        loop {
            ends.borrow_and_update();
            match reader.read(partition, offset, limit) {
                Ok(records) if records.is_empty() => {
                    let more = runtime.block_on(async {
                        tokio::select! { more = ends.changed() => more.is_ok(), () = out.closed() => false }
                    });
                    if !more {
                        return;
                    }
                }
                Ok(records) => {
                    offset += records.len() as u64;
                    if out.blocking_send(Ok(records)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let _ = out.blocking_send(Err(error));
                    return;
                }
            }
        }
    };
    if let Err(source) = std::thread::Builder::new().name(format!("tail {partition}")).spawn(run) {
        let _ = failed.try_send(Err(LogError::Thread { topic, source }));
    }
    receiver
}
