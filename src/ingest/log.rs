//! The embedded log: what Kafka is to a province, on one machine with nothing installed.
//!
//! Owns: records by (partition, offset), durable, in SQLite, one file a UTC day of broker_time; [`Log`] (append, ends, retention) and
//! [`LogReader`] (by offset, by time). Refuses to know: events, what the bytes mean, who reads.
//!
//! Invariants
//! 1. An append is answered only once its records are durable; they then have dense, ascending offsets per partition, across days, restarts
//!    and crashes. An append that was not answered may be there wholly, partly or not at all, but never with a hole before it.
//! 2. A record's broker_time is the wall clock at its append (or the time given by who writes history), raised to the partition's running
//!    maximum and to the start of the oldest day kept: it never goes back within a partition.
//! 3. A key always goes to the partition that Kafka's Java client would choose (murmur2).
//! 4. Retention unlinks whole days, oldest first, never the newest file nor what no checkpoint stands past; offsets and times go on as if nothing had been removed.
//! 5. One process writes a log; a second one is refused.
//!
//! Called by: driver, server (HTTP door), cli (files into the log, demo's history).

mod day;
mod partition;
mod reader;
mod writer;

pub use partition::{murmur2, partition_of};
pub use reader::LogReader;

use crate::disk::database::{self, DatabaseError, InFile};
use crate::time::{Span, Timestamp};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot, watch};

/// Records of one transaction, about: a commit takes what has come meanwhile up to this many.
pub const BATCH_RECORDS: usize = 5_000;
/// Bytes of one transaction, and of one read, about: one record may pass it.
pub const BATCH_BYTES: usize = 8 << 20;
/// Appends that wait; the next ones wait at the door.
const QUEUE: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{}: another ioc has this log open. Stop it, or give another data folder", .0.display())]
    InUse(PathBuf),
    #[error("{0:?} cannot be a topic's name: letters, digits, '.', '_' and '-' only, at most 249, and not '.' or '..'")]
    TopicName(String),
    #[error("topic {topic} has {found} partitions, not {asked}. Open it with {found}, or make a topic of another name")]
    Partitions { topic: String, found: u32, asked: u32 },
    #[error("topic {topic} has no partition {partition}, only 0 to {last}")]
    NoPartition { topic: String, partition: u32, last: u32 },
    #[error("topic {topic}, partition {partition}: offset {asked} was deleted, the first one kept is {start}")]
    Deleted { topic: String, partition: u32, asked: u64, start: u64 },
    #[error("topic {0}: the log is closed")]
    Closed(String),
    #[error("topic {topic}: no thread can be started to read it: {source}. Raise the limit on threads of this user")]
    Thread { topic: String, source: std::io::Error },
    #[error("topic {topic}: the append failed: {reason}")]
    Append { topic: String, reason: String },
}

/// One record to append.
#[derive(Clone, Debug, Default)]
pub struct NewRecord {
    pub key: Option<Bytes>,
    pub headers: Vec<Header>,
    pub value: Bytes,
    /// Whoever writes history gives the time; `None`: the wall clock at the append.
    pub broker_time: Option<Timestamp>,
    /// `None`: by the key; records without a key take the partitions in turn.
    pub partition: Option<u32>,
}

pub type Header = (Box<str>, Bytes);

/// Where an appended record lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    pub partition: u32,
    pub offset: u64,
    pub broker_time: Timestamp,
}

/// One record read.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    pub offset: u64,
    pub broker_time: Timestamp,
    pub key: Option<Bytes>,
    pub headers: Vec<Header>,
    pub value: Bytes,
}

/// How long records are kept; both bounds hold, but what is still needed stays.
#[derive(Clone, Debug)]
pub struct Retention {
    pub age: Span,
    pub bytes: u64,
    /// By partition: the first offset that a start would read again (that of the newest checkpoint); a day that holds it or a later one
    /// stays. `None`: nothing is needed.
    pub needed: Option<Vec<u64>>,
}

impl Default for Retention {
    /// 7 d or 10 GB.
    fn default() -> Self {
        Retention { age: Span::days(7), bytes: 10_000_000_000, needed: None }
    }
}

/// A day that retention removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemovedDay {
    pub file: PathBuf,
    pub bytes: u64,
}

/// The log of one topic. Clones are handles on the same one; it is closed when the last is dropped.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    commands: Option<mpsc::Sender<Command>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// What writer and readers share.
struct Shared {
    topic: String,
    folder: PathBuf,
    partitions: u32,
    state: RwLock<day::State>,
    ends: watch::Receiver<Vec<u64>>,
}

enum Command {
    Append { records: Vec<NewRecord>, answer: oneshot::Sender<Result<Vec<Appended>, LogError>> },
    Retain { retention: Retention, now: Timestamp, answer: oneshot::Sender<Result<Vec<RemovedDay>, LogError>> },
}

impl Log {
    /// Opens or makes `folder/topic/`.
    pub fn open(folder: &Path, topic: &str, partitions: u32) -> Result<Log, LogError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.is_empty() || topic.len() > 249 || !topic.chars().all(legal) || topic == "." || topic == ".." {
            return Err(LogError::TopicName(topic.to_owned()));
        }
        let folder = folder.join(topic);
        std::fs::create_dir_all(&folder).in_file(&folder, "make the folder")?;
        let lock = database::lock(&folder.join("lock"))?.ok_or_else(|| LogError::InUse(folder.clone()))?;
        let state = day::State::load(&folder, topic, partitions)?;
        let (publish, ends) = watch::channel(state.ends());
        let shared = Arc::new(Shared { topic: topic.to_owned(), folder, partitions, state: RwLock::new(state), ends });
        let (commands, queue) = mpsc::channel(QUEUE);
        let writer = writer::Writer::new(shared.clone(), publish, lock);
        let writer = std::thread::Builder::new()
            .name(format!("log {topic}"))
            .spawn(move || writer.run(queue))
            .in_file(&shared.folder, "start the writer's thread")?;
        Ok(Log { inner: Arc::new(Inner { shared, commands: Some(commands), writer: Some(writer) }) })
    }

    pub fn topic(&self) -> &str {
        &self.inner.shared.topic
    }

    pub fn partitions(&self) -> u32 {
        self.inner.shared.partitions
    }

    /// Appends all or fails; answers in the order given, once all are durable.
    pub async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Appended>, LogError> {
        let (answer, answered) = oneshot::channel();
        self.commands().send(Command::Append { records, answer }).await.map_err(|_| self.closed())?;
        answered.await.map_err(|_| self.closed())?
    }

    /// [`Log::append`] for threads that may block.
    pub fn append_blocking(&self, records: Vec<NewRecord>) -> Result<Vec<Appended>, LogError> {
        let (answer, answered) = oneshot::channel();
        self.commands().blocking_send(Command::Append { records, answer }).map_err(|_| self.closed())?;
        answered.blocking_recv().map_err(|_| self.closed())?
    }

    /// Unlinks the days that fall out of `retention` as of `now`.
    pub async fn retain(&self, retention: Retention, now: Timestamp) -> Result<Vec<RemovedDay>, LogError> {
        let (answer, answered) = oneshot::channel();
        self.commands().send(Command::Retain { retention, now, answer }).await.map_err(|_| self.closed())?;
        answered.await.map_err(|_| self.closed())?
    }

    /// [`Log::retain`] for threads that may block.
    pub fn retain_blocking(&self, retention: Retention, now: Timestamp) -> Result<Vec<RemovedDay>, LogError> {
        let (answer, answered) = oneshot::channel();
        self.commands().blocking_send(Command::Retain { retention, now, answer }).map_err(|_| self.closed())?;
        answered.blocking_recv().map_err(|_| self.closed())?
    }

    /// By partition: the first offset kept.
    pub fn start_offsets(&self) -> Vec<u64> {
        self.inner.shared.state.read().unwrap_or_else(PoisonError::into_inner).starts()
    }

    /// By partition: the offset that the next record gets; everything below is durable.
    pub fn end_offsets(&self) -> Vec<u64> {
        self.inner.shared.ends.borrow().clone()
    }

    /// Changes whenever records became durable; holds [`Log::end_offsets`].
    pub fn subscribe(&self) -> watch::Receiver<Vec<u64>> {
        self.inner.shared.ends.clone()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.inner.shared.state.read().unwrap_or_else(PoisonError::into_inner).days.values().map(|d| database::size(&d.path)).sum()
    }

    /// A reader with connections of its own; for one thread at a time.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.inner.shared.clone())
    }

    /// A thread that reads one partition from `offset` on and hands over chunks of up to `limit` records in order; it waits while
    /// `capacity` chunks are not taken, and for new records at the end. It ends after an error, when the receiver is dropped, or when the
    /// log is closed.
    pub fn tail(&self, partition: u32, offset: u64, limit: usize, capacity: usize) -> mpsc::Receiver<Result<Vec<Record>, LogError>> {
        reader::tail(self.reader(), self.subscribe(), partition, offset, limit, capacity)
    }

    fn commands(&self) -> &mpsc::Sender<Command> {
        self.inner.commands.as_ref().expect("taken in drop only")
    }

    fn closed(&self) -> LogError {
        LogError::Closed(self.inner.shared.topic.clone())
    }
}

impl Drop for Inner {
    /// Lets the writer finish what was queued and waits for it, so that the lock is free afterwards.
    fn drop(&mut self) {
        self.commands = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
