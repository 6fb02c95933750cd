//! Offset bookkeeping of one reader: what each partition owes the driver next, and what its broker has confirmed.
//!
//! Owns: [`Book`]: buffers, next offsets, assignment, back-pressure, lost ranges. Pure: instants and rounds are handed in.
//! Refuses to know: librdkafka, threads, clocks.
//!
//! Invariants
//! 1. What reaches a buffer continues it: offsets rise, none twice, none below the next that is wanted.
//! 2. A record of a partition that is not assigned never reaches its buffer (D4); a revoked one's buffer is empty, and its next
//!    offset is that of the first record which the driver had not yet taken.
//! 3. Next offsets move forward only by records taken in, by a stated loss ([`Lost`]) or by [`Book::seek`].
//! 4. A partition whose offsets no longer mean the same records stays unread until somebody seeks.
//!
//! Called by: reader.

use super::error::KafkaError;
use super::settings::Bounds;
use crate::ingest::{Fetched, Lost, PartitionName, PartitionStatus};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

/// What the broker said of a partition, newest first wins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mark {
    /// First offset that the log still has, and the round in which it was asked for.
    pub low: Option<(u64, u64)>,
    pub end: u64,
    pub confirmed: Option<Instant>,
}

/// What became of a record that the broker sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Buffered,
    /// Below the next wanted offset: the driver has it, or it is in the buffer.
    Repeated,
    /// The partition is not read now.
    Fenced,
}

/// What to do about a partition that was out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    /// Start reading it anew at its next offset.
    Restart,
    /// It stays unread: its fault is set.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Away,
    Reading,
    /// Its next offset was out of range in this round; a later round decides.
    OutOfRange {
        round: u64,
    },
}

/// Seen twice with nothing between: all offsets below `to` hold no record (transaction markers, compaction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    next: u64,
    to: u64,
    sure: bool,
}

#[derive(Debug)]
struct Part {
    buffer: VecDeque<Fetched>,
    /// Of each buffered record; shorter entries than the buffer never, longer until [`Part::settle`].
    costs: VecDeque<u32>,
    bytes: usize,
    next: u64,
    /// New to us: starts at its first record, whose offset is not known yet.
    fresh: bool,
    hold: Hold,
    full: bool,
    mark: Mark,
    silence: Option<Silence>,
    fault: Option<KafkaError>,
}

impl Part {
    /// Forgets the costs of what the driver has taken from the front.
    fn settle(&mut self) {
        while self.costs.len() > self.buffer.len() {
            self.bytes -= self.costs.pop_front().unwrap_or(0) as usize;
        }
    }

    /// The first offset that the driver has not taken.
    fn wanted(&self) -> u64 {
        self.buffer.front().map_or(self.next, |record| record.offset)
    }

    fn rewind(&mut self, to: u64) {
        self.buffer.clear();
        self.costs.clear();
        (self.bytes, self.full, self.silence) = (0, false, None);
        self.mark.end = self.mark.end.max(self.next);
        self.next = to;
    }
}

#[derive(Debug)]
pub(crate) struct Book {
    names: Vec<PartitionName>,
    parts: Vec<Part>,
    index: HashMap<String, BTreeMap<i32, usize>>,
    bounds: Bounds,
    lost: Vec<Lost>,
}

impl Book {
    pub fn new(bounds: Bounds) -> Book {
        Book { names: Vec::new(), parts: Vec::new(), index: HashMap::new(), bounds, lost: Vec::new() }
    }

    /// Adds a partition, unless known. Without `start` it is new and begins at its first record.
    pub fn add(&mut self, name: &PartitionName, start: Option<u64>) -> usize {
        if let Some(i) = self.find(&name.topic, name.number) {
            return i;
        }
        let i = self.parts.len();
        self.index.entry(name.topic.clone()).or_default().insert(name.number, i);
        self.names.push(name.clone());
        self.parts.push(Part {
            buffer: VecDeque::new(),
            costs: VecDeque::new(),
            bytes: 0,
            next: start.unwrap_or(0),
            fresh: start.is_none(),
            hold: Hold::Away,
            full: false,
            mark: Mark::default(),
            silence: None,
            fault: None,
        });
        i
    }

    pub fn names(&self) -> &[PartitionName] {
        &self.names
    }

    pub fn find(&self, topic: &str, number: i32) -> Option<usize> {
        self.index.get(topic)?.get(&number).copied()
    }

    pub fn buffer(&mut self, i: usize) -> &mut VecDeque<Fetched> {
        &mut self.parts[i].buffer
    }

    /// Records and bytes that wait for the driver.
    pub fn buffered(&self, i: usize) -> (usize, usize) {
        (self.parts[i].buffer.len(), self.parts[i].bytes)
    }

    /// The first offset that the driver has not taken.
    pub fn wanted(&self, i: usize) -> u64 {
        self.parts[i].wanted()
    }

    pub fn fault(&self, i: usize) -> Option<&KafkaError> {
        self.parts[i].fault.as_ref()
    }

    pub fn is_full(&self, i: usize) -> bool {
        self.parts[i].full
    }

    /// May more be read of it now? Full at its bound, and until half of it is taken.
    pub fn wants_more(&mut self, i: usize) -> bool {
        let bounds = self.bounds;
        let part = &mut self.parts[i];
        part.settle();
        let share = if part.full { 2 } else { 1 };
        part.full = part.buffer.len() >= bounds.records / share || part.bytes >= bounds.bytes / share;
        part.hold == Hold::Reading && !part.full
    }

    pub fn take(&mut self, i: usize, record: Fetched) -> Taken {
        let part = &mut self.parts[i];
        if part.hold != Hold::Reading {
            return Taken::Fenced;
        }
        if record.offset < part.next {
            return Taken::Repeated;
        }
        part.settle();
        let cost = record.value.len() + record.headers.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        part.costs.push_back(cost as u32);
        part.bytes += cost;
        part.next = record.offset + 1;
        part.fresh = false;
        part.silence = None;
        part.buffer.push_back(record);
        Taken::Buffered
    }

    /// The group gave us this partition: it goes on where the driver stands.
    pub fn assign(&mut self, i: usize) {
        let part = &mut self.parts[i];
        let wanted = part.wanted();
        part.rewind(wanted);
        part.hold = Hold::Reading;
    }

    /// The group took it away.
    pub fn revoke(&mut self, i: usize) {
        let part = &mut self.parts[i];
        let wanted = part.wanted();
        part.rewind(wanted);
        part.hold = Hold::Away;
    }

    /// What librdkafka is to read, and from where (`None`: from the first record). Partitions with a fault are left out.
    pub fn reading(&self) -> impl Iterator<Item = (&PartitionName, usize, Option<u64>)> {
        self.parts.iter().enumerate().filter(|(_, part)| part.hold == Hold::Reading && part.fault.is_none()).map(|(i, part)| {
            let from = if part.fresh { None } else { Some(part.next) };
            (&self.names[i], i, from)
        })
    }

    /// The broker does not have the next offset; `round` is the newest in which ends were asked for.
    pub fn out_of_range(&mut self, i: usize, round: u64) {
        if self.parts[i].hold == Hold::Reading {
            self.parts[i].hold = Hold::OutOfRange { round };
        }
    }

    /// Takes in what the broker said; decides on a partition that was out of range before it was asked.
    pub fn mark(&mut self, i: usize, mark: Mark) -> Step {
        let name = &self.names[i];
        let part = &mut self.parts[i];
        part.mark = Mark { low: mark.low.or(part.mark.low), ..mark };
        let Some((low, asked)) = mark.low else { return Step::Nothing };
        if part.fresh {
            part.next = part.next.max(low);
        }
        match part.hold {
            Hold::OutOfRange { round } if asked > round => {}
            _ => return Step::Nothing,
        }
        part.hold = Hold::Reading;
        part.silence = None;
        if part.next < low {
            self.lost.push(Lost { partition: name.clone(), from: part.next, to: low });
            part.next = low;
        } else if part.next > mark.end {
            part.fault = Some(KafkaError::Beyond { partition: name.clone(), wanted: part.next, end: mark.end });
            return Step::Broken;
        }
        Step::Restart
    }

    /// librdkafka has fetched up to `to` and handed out all it had. Counts when seen twice with nothing between.
    pub fn silent(&mut self, i: usize, to: u64) {
        let part = &mut self.parts[i];
        let sure = part.silence.is_some_and(|s| s.next == part.next && s.to == to);
        part.silence = (part.hold == Hold::Reading && to > part.next).then_some(Silence { next: part.next, to, sure });
    }

    /// Reads on at `offset`, forwards or backwards; clears a fault.
    pub fn seek(&mut self, i: usize, offset: u64) {
        let part = &mut self.parts[i];
        part.rewind(offset);
        (part.fresh, part.fault) = (false, None);
        if part.hold != Hold::Away {
            part.hold = Hold::Reading;
        }
    }

    pub fn status(&self, i: usize) -> PartitionStatus {
        let part = &self.parts[i];
        let silent_end = part.silence.is_some_and(|s| s.sure && s.to >= part.mark.end);
        let end = if silent_end { part.next } else { part.mark.end.max(part.next) };
        let readable = part.hold == Hold::Reading && part.fault.is_none();
        PartitionStatus { end, confirmed: part.mark.confirmed.filter(|_| readable), assigned: part.hold != Hold::Away }
    }

    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
