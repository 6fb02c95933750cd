//! The embedded log as the driver reads it: all partitions of some topics, buffered.
//!
//! Owns: [`EmbeddedReader`]: buffers, next offsets. Refuses to know: who appends, ticks.
//!
//! Invariants
//! 1. The end of an embedded log is always known: it is confirmed at every poll.
//! 2. A buffer holds at most [`BUFFER`] records and [`BYTES`] bytes and a batch.
//!
//! Called by: ingest::reader; ingest::past (`fetched`).

use super::log::{Log, LogError, LogReader, Record};
use super::{Fetched, Lost, PartitionName, PartitionStatus};
use crate::settings::ClockKind;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Records read ahead, by partition.
pub const BUFFER: usize = 5_000;
/// Bytes read ahead, by partition.
pub const BYTES: usize = 16 << 20;
const BATCH: usize = 2_000;

pub struct EmbeddedReader {
    topics: Vec<Topic>,
    names: Vec<PartitionName>,
    parts: Vec<Part>,
    lost: Vec<Lost>,
}

struct Topic {
    log: Log,
    reader: LogReader,
    clock: ClockKind,
}

struct Part {
    topic: usize,
    number: u32,
    /// Next offset to read into the buffer.
    next: u64,
    buffer: VecDeque<Fetched>,
    bytes: usize,
    status: PartitionStatus,
}

/// A record of the log as the driver takes it.
pub(super) fn fetched(record: Record, clock: ClockKind) -> Fetched {
    Fetched {
        offset: record.offset,
        broker_time: (clock == ClockKind::Broker).then_some(record.broker_time),
        headers: record.headers.into_iter().map(|(name, value)| (name.into(), value.to_vec())).collect(),
        value: record.value.to_vec(),
    }
}

impl EmbeddedReader {
    /// `start`: next offsets by partition; a partition that is not there starts at its first record.
    pub fn open(logs: Vec<(Log, ClockKind)>, start: &BTreeMap<PartitionName, u64>) -> EmbeddedReader {
        let mut names = Vec::new();
        let mut parts = Vec::new();
        for (topic, (log, _)) in logs.iter().enumerate() {
            for number in 0..log.partitions() {
                let name = PartitionName { topic: log.topic().to_owned(), number: number as i32 };
                let next = start.get(&name).copied().unwrap_or(0);
                let status = PartitionStatus { end: 0, confirmed: None, assigned: true };
                parts.push(Part { topic, number, next, buffer: VecDeque::new(), bytes: 0, status });
                names.push(name);
            }
        }
        let topics = logs.into_iter().map(|(log, clock)| Topic { reader: log.reader(), log, clock }).collect();
        EmbeddedReader { topics, names, parts, lost: Vec::new() }
    }

    pub fn partitions(&self) -> &[PartitionName] {
        &self.names
    }

    pub fn buffer(&mut self, partition: usize) -> &mut VecDeque<Fetched> {
        &mut self.parts[partition].buffer
    }

    pub fn status(&self, partition: usize) -> PartitionStatus {
        self.parts[partition].status
    }

    /// The first offset that was not taken from the buffer.
    pub fn wanted(&self, partition: usize) -> u64 {
        let part = &self.parts[partition];
        part.buffer.front().map_or(part.next, |f| f.offset)
    }

    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Fills buffers from what is durable now, never waiting; true if there was something new.
    pub fn poll(&mut self, now: Instant) -> Result<bool, LogError> {
        let mut new = false;
        for (part, name) in self.parts.iter_mut().zip(&self.names) {
            let topic = &mut self.topics[part.topic];
            let end = topic.log.end_offsets()[part.number as usize];
            let first = topic.log.start_offsets()[part.number as usize];
            if part.next < first {
                self.lost.push(Lost { partition: name.clone(), from: part.next, to: first });
                part.next = first;
            }
            part.bytes = part.buffer.iter().map(|f| f.value.len()).sum();
            while part.next < end && part.buffer.len() < BUFFER && part.bytes < BYTES {
                let records = topic.reader.read(part.number, part.next, BATCH)?;
                let Some(last) = records.last() else { break };
                part.next = last.offset + 1;
                new = true;
                for record in records {
                    part.bytes += record.value.len();
                    part.buffer.push_back(fetched(record, topic.clock));
                }
            }
            part.status = PartitionStatus { end, confirmed: Some(now), assigned: true };
        }
        Ok(new)
    }
}
