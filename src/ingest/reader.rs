//! What the driver reads from: the embedded log or Kafka, through one closed enum.
//!
//! Owns: [`Reader`]. Refuses to know: events, ticks.
//!
//! Invariants: those of `ingest`.
//!
//! Called by: driver.

use super::embedded::EmbeddedReader;
use super::kafka::KafkaReader;
use super::{Fetched, Lost, PartitionName, PartitionStatus};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

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
        }
    }
}

impl Reader {
    /// `known`: partitions by lane index, from the checkpoint.
    pub fn new(log: Kind, known: &[PartitionName]) -> Result<Reader, ReadError> {
        let mut reader = Reader { log, names: Vec::new(), order: Vec::new() };
        for name in known {
            let place = reader.log.partitions().iter().position(|n| n == name).ok_or_else(|| ReadError::Gone(name.clone()))?;
            reader.names.push(name.clone());
            reader.order.push(place);
        }
        reader.welcome();
        Ok(reader)
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

    /// Fills buffers; waits for at most `wait`.
    pub fn poll(&mut self, wait: Duration) -> Result<(), ReadError> {
        match &mut self.log {
            Kind::Embedded(r) => r.poll(Instant::now())?,
            Kind::Kafka(r) => {
                r.poll(wait);
            }
        }
        self.welcome();
        Ok(())
    }

    /// Records in offset order; the caller takes from the front what it has used.
    pub fn buffer(&mut self, partition: usize) -> &mut VecDeque<Fetched> {
        let place = self.order[partition];
        match &mut self.log {
            Kind::Embedded(r) => r.buffer(place),
            Kind::Kafka(r) => r.buffer(place),
        }
    }

    pub fn status(&self, partition: usize) -> PartitionStatus {
        let place = self.order[partition];
        match &self.log {
            Kind::Embedded(r) => r.status(place),
            Kind::Kafka(r) => r.status(place),
        }
    }

    pub fn take_lost(&mut self) -> Vec<Lost> {
        match &mut self.log {
            Kind::Embedded(r) => r.take_lost(),
            Kind::Kafka(r) => r.take_lost(),
        }
    }

    /// Tells the broker where reading stands: for lag displays only (D1).
    pub fn commit(&mut self, offsets: &[(PartitionName, u64)]) {
        if let Kind::Kafka(r) = &mut self.log {
            r.commit(offsets);
        }
    }
}
