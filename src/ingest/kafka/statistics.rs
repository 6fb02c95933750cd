//! What a reader can say of itself in numbers.
//!
//! Owns: [`KafkaStatistics`], [`PartitionNumbers`].
//! Refuses to know: how they are exposed.
//!
//! Invariants
//! 1. Counters never go back while the reader lives.
//!
//! Called by: reader; driver and `/metrics` read it.

use crate::ingest::PartitionName;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct KafkaStatistics {
    /// Bytes and records that came over the network, as librdkafka counts them (every second).
    pub received_bytes: u64,
    pub received_records: u64,
    /// Brokers known to the reader: name and state (`UP`, `DOWN`, `INIT`, `TRY_CONNECT`…).
    pub brokers: Vec<(String, String)>,
    /// Assignments received from the group.
    pub assignments: u64,
    /// Records kept from a buffer: below the next wanted offset, or of a partition that was not assigned.
    pub repeated: u64,
    pub fenced: u64,
    /// Records without LogAppendTime on a topic that should have it: written before the topic was mended.
    pub unclocked: u64,
    /// Offsets lost: deleted before they were read.
    pub lost: u64,
    pub partitions: Vec<PartitionNumbers>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PartitionNumbers {
    pub name: PartitionName,
    pub assigned: bool,
    /// From the first offset that the driver has not taken to the end.
    pub lag: u64,
    pub buffered_records: usize,
    pub buffered_bytes: usize,
    /// Reading pauses because the buffer is at its bound.
    pub full: bool,
    /// Reading stands until somebody acts.
    pub faulty: bool,
}
