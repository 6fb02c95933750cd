//! Cutting a recorded lane: topics whose clock is event time, on a 1 s grid of that clock.
//!
//! Owns: which second comes next and what belongs to it. Refuses to know: the wall clock.
//!
//! Invariants
//! 1. A tick is closed only when every partition's next record lies past it or its confirmed end is reached, or the partition cannot be
//!    read and somebody acts or the program stops.
//! 2. Ticks fall where input or a deadline falls.
//!
//! Called by: driver.

use super::{Driver, DriverError, record, redriven};
use crate::engine::PartitionTick;
use crate::time::{Span, Timestamp};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Driver {
    /// Cuts the next second that has input; true if there is more at hand.
    pub(super) fn cut_recorded(&mut self) -> Result<bool, DriverError> {
        let count = self.names.len();
        let now = self.lane.core.time();
        let Some(next) = self.next_input(now.unwrap_or(Timestamp::MIN))? else { return self.carry_actions() };
        let time = match (now, self.lane.next_deadline()) {
            (Some(now), Some(due)) => due.max(now + Span(1)).ceil_second().min(next),
            _ => next,
        };
        self.lane.begin(time, count);
        let mut partitions = Vec::with_capacity(count);
        for p in 0..count {
            let whole = self.take_second(p, time)?;
            let end = self.lane.collectors[p].next_offset();
            partitions.push(PartitionTick { end, read_time: None, unreadable: !whole, finished: false });
        }
        let (tick, requests) = self.tick(time, false, partitions);
        self.close(tick, requests)?;
        Ok((0..count).any(|p| !self.reader.buffer(p).is_empty()))
    }

    /// The second of the earliest next record; `None`: none is at hand, or a partition's records are on their way.
    fn next_input(&mut self, now: Timestamp) -> Result<Option<Timestamp>, DriverError> {
        let mut next: Option<Timestamp> = None;
        for p in 0..self.names.len() {
            self.lane.ensure_partitions(p + 1);
            self.take_until(p, now);
            if self.reader.buffer(p).is_empty() && !self.at_end(p) {
                return Ok(None);
            }
            next = [next, self.clocks(p, now)].into_iter().flatten().min();
        }
        Ok(next.map(Timestamp::ceil_second))
    }

    /// The clock with the record at hand, found by trying to take it.
    fn clocks(&mut self, p: usize, now: Timestamp) -> Option<Timestamp> {
        let front = self.reader.buffer(p).front()?;
        self.lane.take(p, record(front), now).err()
    }

    /// Takes what does not pass `until`; true if the buffer ran dry.
    fn take_until(&mut self, p: usize, until: Timestamp) -> bool {
        loop {
            let Some(front) = self.reader.buffer(p).front() else { return true };
            if redriven::take(&mut self.lane, p, front, until, &mut self.redriven).is_err() {
                return false;
            }
            self.reader.buffer(p).pop_front();
        }
    }

    /// Takes what belongs to the second, waiting for it. False if it cannot be had now: the program stops, or somebody acts while the
    /// partition cannot be read; what is missing belongs to a later tick.
    fn take_second(&mut self, p: usize, time: Timestamp) -> Result<bool, DriverError> {
        while self.take_until(p, time) && !self.at_end(p) {
            let stops = self.stop.load(Ordering::Relaxed);
            if stops || (!self.actions.is_empty() && !self.readable(p)) {
                return Ok(false);
            }
            self.poll(Duration::from_millis(20))?;
            if self.reader.buffer(p).is_empty() {
                std::thread::yield_now();
            }
        }
        Ok(true)
    }

    /// Operators act while nothing comes: a tick of the same time carries their actions.
    fn carry_actions(&mut self) -> Result<bool, DriverError> {
        let waits = !self.actions.is_empty();
        if let (true, Some(time)) = (waits, self.lane.core.time()) {
            let partitions = self.all_partitions(false);
            let (tick, requests) = self.tick(time, false, partitions);
            self.lane.begin(time, self.names.len());
            self.close(tick, requests)?;
        } else {
            self.report_idle();
        }
        Ok(false)
    }
}
