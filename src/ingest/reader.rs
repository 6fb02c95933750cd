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

pub enum Reader {
    Embedded(EmbeddedReader),
    Kafka(Box<KafkaReader>),
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Log(#[from] super::log::LogError),
    #[error(transparent)]
    Kafka(#[from] super::kafka::KafkaError),
}

impl Reader {
    /// All partitions in the order of their index; new ones only ever come to the end.
    pub fn partitions(&self) -> &[PartitionName] {
        match self {
            Reader::Embedded(r) => r.partitions(),
            Reader::Kafka(r) => r.partitions(),
        }
    }

    /// Fills buffers; waits for at most `wait`.
    pub fn poll(&mut self, wait: Duration) -> Result<(), ReadError> {
        match self {
            Reader::Embedded(r) => {
                r.poll(Instant::now())?;
                Ok(())
            }
            Reader::Kafka(r) => {
                r.poll(wait);
                Ok(())
            }
        }
    }

    /// Records in offset order; the caller takes from the front what it has used.
    pub fn buffer(&mut self, partition: usize) -> &mut VecDeque<Fetched> {
        match self {
            Reader::Embedded(r) => r.buffer(partition),
            Reader::Kafka(r) => r.buffer(partition),
        }
    }

    pub fn status(&self, partition: usize) -> PartitionStatus {
        match self {
            Reader::Embedded(r) => r.status(partition),
            Reader::Kafka(r) => r.status(partition),
        }
    }

    pub fn take_lost(&mut self) -> Vec<Lost> {
        match self {
            Reader::Embedded(r) => r.take_lost(),
            Reader::Kafka(r) => r.take_lost(),
        }
    }

    /// Tells the broker where reading stands: for lag displays only (D1).
    pub fn commit(&mut self, offsets: &[(PartitionName, u64)]) {
        if let Reader::Kafka(r) = self {
            r.commit(offsets);
        }
    }
}
