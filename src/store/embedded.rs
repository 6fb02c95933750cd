//! The embedded window store: SQLite, one file a UTC day of the window's start.
//!
//! Owns: the folder of day files, one thread that writes (and packs older hours when it has nothing else to do), one that reads.
//! Refuses to know: rules, areas, what a field means.
//!
//! Invariants
//! 1. A write is durable when it is answered (`synchronous=FULL`).
//! 2. Of one (series, start) the row that came last in journal order is kept, and replaces the older one as a whole.
//! 3. A reader sees each row once, packed or not.
//! 4. Retention unlinks whole days; rows of a day that was removed are refused until the next start.
//!
//! Called by: store (as `Store::Embedded`), driver (retention).

mod block;
mod day;
mod reader;
mod writer;

use super::line::StoredRow;
use super::pages::RowsQuery;
use super::{Health, StoreError, Stored, TrendPoint, TrendQuery};
use crate::disk::database::{self, InFile};
use crate::time::Timestamp;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Writes and reads that wait; the next ones wait at the door.
const QUEUE: usize = 16;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Write {
    Rows {
        tick: u64,
        lines: Vec<u8>,
        answer: Answer<Stored>,
    },
    Retain {
        before: Timestamp,
        answer: Answer<usize>,
    },
    /// Packs everything that may be packed: tests, and before a copy.
    Pack {
        answer: Answer<u64>,
    },
}

enum Read {
    Trend { query: TrendQuery, answer: Answer<Vec<TrendPoint>> },
    Rows { measurement: String, from: Timestamp, to: Timestamp, answer: Answer<Vec<StoredRow>> },
    Matching { query: Arc<RowsQuery>, from: Timestamp, to: Timestamp, answer: Answer<Vec<StoredRow>> },
}

pub struct Embedded {
    folder: PathBuf,
    writes: Option<mpsc::Sender<Write>>,
    reads: Option<mpsc::Sender<Read>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// The last failure of the writer, until it succeeds again.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Embedded {
    pub fn open(folder: &Path) -> Result<Embedded, StoreError> {
        std::fs::create_dir_all(folder).in_file(folder, "make the folder")?;
        let in_use = || Err::<File, _>(std::io::Error::other("another ioc has it open")).in_file(folder, "open the store");
        let lock = database::lock(&folder.join("lock"))?.map_or_else(in_use, Ok)?;
        let trouble = Arc::new(Mutex::new(None));
        let (writes, write_queue) = mpsc::channel(QUEUE);
        let (reads, read_queue) = mpsc::channel(QUEUE);
        let writer = writer::Writer::open(folder, lock, trouble.clone())?;
        let reader = reader::Reader::new(folder);
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run).in_file(folder, "start a thread")
        };
        let threads = vec![
            spawn("store writer", Box::new(move || writer.run(write_queue)))?,
            spawn("store reader", Box::new(move || reader.run(read_queue)))?,
        ];
        Ok(Embedded { folder: folder.to_owned(), writes: Some(writes), reads: Some(reads), threads, trouble })
    }

    /// See [`super::Store::write`].
    pub async fn write(&self, tick: u64, lines: Vec<u8>) -> Result<Stored, StoreError> {
        self.ask_writer(|answer| Write::Rows { tick, lines, answer }).await
    }

    /// Unlinks the days that end at or before `before`; how many went.
    pub async fn retain(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.ask_writer(|answer| Write::Retain { before, answer }).await
    }

    /// Packs whatever is old enough now instead of when there is nothing else to do; how many rows were moved.
    pub async fn pack(&self) -> Result<u64, StoreError> {
        self.ask_writer(|answer| Write::Pack { answer }).await
    }

    /// See [`super::Store::trend`].
    pub async fn trend(&self, query: TrendQuery) -> Result<Vec<TrendPoint>, StoreError> {
        self.ask_reader(|answer| Read::Trend { query, answer }).await
    }

    /// See [`super::Store::rows`].
    pub async fn rows(&self, measurement: String, from: Timestamp, to: Timestamp) -> Result<Vec<StoredRow>, StoreError> {
        self.ask_reader(|answer| Read::Rows { measurement, from, to, answer }).await
    }

    /// Rows that are asked for with starts in `[from, to)`, by (start, tags).
    pub(super) async fn matching(&self, query: Arc<RowsQuery>, from: Timestamp, to: Timestamp) -> Result<Vec<StoredRow>, StoreError> {
        self.ask_reader(|answer| Read::Matching { query, from, to, answer }).await
    }

    pub fn health(&self) -> Health {
        match &*self.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Health { well: true, text: format!("embedded store in {}", self.folder.display()) },
            Some(trouble) => Health { well: false, text: trouble.clone() },
        }
    }

    async fn ask_writer<T>(&self, question: impl FnOnce(Answer<T>) -> Write) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.writes.as_ref().ok_or(StoreError::Closed)?;
        queue.send(question(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn ask_reader<T>(&self, question: impl FnOnce(Answer<T>) -> Read) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.reads.as_ref().ok_or(StoreError::Closed)?;
        queue.send(question(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Embedded {
    /// Finishes what was queued, so that the folder is free afterwards.
    fn drop(&mut self) {
        (self.writes, self.reads) = (None, None);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Days that have a file, oldest first.
fn days(folder: &Path) -> Result<Vec<i64>, StoreError> {
    let mut days = Vec::new();
    for entry in std::fs::read_dir(folder).in_file(folder, "list the folder")? {
        let entry = entry.in_file(folder, "list the folder")?;
        days.extend(entry.file_name().to_str().and_then(database::day_of_name));
    }
    days.sort_unstable();
    Ok(days)
}

#[cfg(test)]
mod tests;
