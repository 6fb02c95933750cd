//! What the driver reads from: the embedded log or Kafka, through one closed enum.
//!
//! Owns: [`Reader`]; waiting for a Kafka that does not answer yet. Refuses to know: events, ticks.
//!
//! Invariants: those of `ingest`, and
//! 1. A Kafka that does not answer is asked again until it does; meanwhile the partitions known from before are there and unreadable.
//!    An error of opening that cannot pass by itself is an error of [`Reader::poll`].
//!
//! Called by: driver.

use super::embedded::EmbeddedReader;
use super::kafka::{KafkaError, KafkaReader, KafkaStatistics};
use super::{Fetched, Lost, PartitionName, PartitionStatus};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Between two tries to open a Kafka that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// A log with its partitions in the lane's order: those known from before first, new ones at the end.
pub struct Reader {
    log: Kind,
    names: Vec<PartitionName>,
    /// Lane index → the log's index.
    order: Vec<usize>,
}

pub enum Kind {
    Embedded(EmbeddedReader),
    Kafka(Box<KafkaReader>),
    Opening(Opening),
}

/// Kafka on its way: a thread of its own tries until it is open, refuses for good, or nobody waits any more.
pub struct Opening {
    found: Receiver<Result<KafkaReader, KafkaError>>,
    /// By lane index: nothing yet.
    empty: Vec<VecDeque<Fetched>>,
    names: Vec<PartitionName>,
    trouble: Option<String>,
}

impl Opening {
    /// `known`: partitions by lane index. `open` is called until it succeeds or its error cannot pass by itself.
    pub fn start(known: &[PartitionName], open: impl Fn() -> Result<KafkaReader, KafkaError> + Send + 'static) -> std::io::Result<Opening> {
        let (found_to, found) = sync_channel(0);
        std::thread::Builder::new().name("kafka-open".into()).spawn(move || try_to_open(&found_to, open))?;
        Ok(Opening { found, empty: known.iter().map(|_| VecDeque::new()).collect(), names: known.to_vec(), trouble: None })
    }

    fn poll(&mut self, wait: Duration) -> Result<Option<KafkaReader>, KafkaError> {
        match self.found.recv_timeout(wait) {
            Ok(Ok(reader)) => Ok(Some(reader)),
            Ok(Err(error)) if error.may_pass() => {
                let text = error.to_string();
                if self.trouble.as_ref() != Some(&text) {
                    tracing::warn!("the log cannot be read yet; it is tried again: {text}");
                }
                self.trouble = Some(text);
                Ok(None)
            }
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let detail = "the thread that opens it ended unexpectedly; its message is above".into();
                Err(KafkaError::Failed { brokers: "the brokers".into(), what: "opening the reader".into(), detail })
            }
        }
    }
}

fn try_to_open(found: &SyncSender<Result<KafkaReader, KafkaError>>, open: impl Fn() -> Result<KafkaReader, KafkaError>) {
    loop {
        let opened = open();
        let again = opened.as_ref().is_err_and(KafkaError::may_pass);
        // nobody waits any more: a reader that was opened leaves the group again
        if found.send(opened).is_err() || !again {
            return;
        }
        std::thread::sleep(AGAIN);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Log(#[from] super::log::LogError),
    #[error(transparent)]
    Kafka(#[from] super::kafka::KafkaError),
    #[error(
        "partition {0} was read before and is not in the log any more; if its topic was removed on purpose, move the data folder away to begin anew"
    )]
    Gone(PartitionName),
}

impl Kind {
    fn partitions(&self) -> &[PartitionName] {
        match self {
            Kind::Embedded(r) => r.partitions(),
            Kind::Kafka(r) => r.partitions(),
            Kind::Opening(o) => &o.names,
        }
    }
}

impl Reader {
    /// `known`: partitions by lane index, from the checkpoint.
    pub fn new(log: Kind, known: &[PartitionName]) -> Result<Reader, ReadError> {
        let mut reader = Reader { log, names: known.to_vec(), order: Vec::new() };
        reader.find_known()?;
        Ok(reader)
    }

    fn find_known(&mut self) -> Result<(), ReadError> {
        self.order.clear();
        for name in &self.names {
            let place = self.log.partitions().iter().position(|n| n == name).ok_or_else(|| ReadError::Gone(name.clone()))?;
            self.order.push(place);
        }
        self.welcome();
        Ok(())
    }

    fn welcome(&mut self) {
        if self.log.partitions().len() == self.names.len() {
            return;
        }
        for (place, name) in self.log.partitions().iter().enumerate() {
            if !self.names.contains(name) {
                self.names.push(name.clone());
                self.order.push(place);
            }
        }
    }

    /// All partitions in the order of their lane index.
    pub fn partitions(&self) -> &[PartitionName] {
        &self.names
    }

    /// Fills buffers; where nothing is there, waits for at most `wait`.
    pub fn poll(&mut self, wait: Duration) -> Result<(), ReadError> {
        match &mut self.log {
            Kind::Embedded(r) => {
                if !r.poll(Instant::now())? && !wait.is_zero() {
                    std::thread::sleep(wait);
                    r.poll(Instant::now())?;
                }
            }
            Kind::Kafka(r) => {
                r.poll(wait);
            }
            Kind::Opening(o) => {
                if let Some(reader) = o.poll(wait)? {
                    self.log = Kind::Kafka(Box::new(reader));
                    return self.find_known();
                }
            }
        }
        self.welcome();
        Ok(())
    }

    /// Why nothing can be read at all; `None` in general.
    pub fn trouble(&self) -> Option<&str> {
        match &self.log {
            Kind::Opening(o) => Some(o.trouble.as_deref().unwrap_or("the log is being opened")),
            _ => None,
        }
    }

    /// The first offset that was not taken from the buffer: the end, once all is taken or known to be lost.
    pub fn wanted(&self, partition: usize) -> u64 {
        let place = self.order[partition];
        match &self.log {
            Kind::Embedded(r) => r.wanted(place),
            Kind::Kafka(r) => r.wanted(place),
            Kind::Opening(_) => 0,
        }
    }

    /// Records in offset order; the caller takes from the front what it has used.
    pub fn buffer(&mut self, partition: usize) -> &mut VecDeque<Fetched> {
        let place = self.order[partition];
        match &mut self.log {
            Kind::Embedded(r) => r.buffer(place),
            Kind::Kafka(r) => r.buffer(place),
            Kind::Opening(o) => &mut o.empty[place],
        }
    }

    pub fn status(&self, partition: usize) -> PartitionStatus {
        let place = self.order[partition];
        match &self.log {
            Kind::Embedded(r) => r.status(place),
            Kind::Kafka(r) => r.status(place),
            Kind::Opening(_) => PartitionStatus::default(),
        }
    }

    pub fn take_lost(&mut self) -> Vec<Lost> {
        match &mut self.log {
            Kind::Embedded(r) => r.take_lost(),
            Kind::Kafka(r) => r.take_lost(),
            Kind::Opening(_) => Vec::new(),
        }
    }

    /// What Kafka's client counts; `None` for the embedded log, and before Kafka was reached.
    pub fn statistics(&self) -> Option<KafkaStatistics> {
        match &self.log {
            Kind::Kafka(r) => Some(r.statistics()),
            _ => None,
        }
    }

    /// Tells the broker where reading stands: for lag displays only (D1).
    pub fn commit(&mut self, offsets: &[(PartitionName, u64)]) {
        if let Kind::Kafka(r) = &mut self.log {
            r.commit(offsets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_kafka_that_does_not_answer_is_waited_for_and_a_refusal_is_an_error() {
        let known = [PartitionName { topic: "t".into(), number: 0 }];
        let tries = AtomicU32::new(0);
        let open = move || match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err(KafkaError::Unreachable { brokers: "here".into(), detail: "nobody".into() }),
            _ => Err(KafkaError::CreateTime { topic: "t".into(), found: "CreateTime".into() }),
        };
        let opening = Opening::start(&known, open).unwrap();
        let mut reader = Reader::new(Kind::Opening(opening), &known).unwrap();
        assert_eq!((reader.partitions(), reader.status(0)), (&known[..], PartitionStatus::default()));
        reader.poll(Duration::from_secs(5)).unwrap();
        assert!(reader.trouble().unwrap().contains("does not answer"), "{:?}", reader.trouble());
        assert!(reader.buffer(0).is_empty());
        let error = reader.poll(Duration::from_secs(5)).unwrap_err().to_string();
        assert!(error.contains("ioc topics create t"), "{error}");
    }
}
