//! Why a window has not fired yet: which partitions hold it, and what will let it go (T5).
//!
//! Owns: [`PipeStand`] (one pipeline over all partitions as of a tick, as plain data), and what it says of a window: [`Standing`].
//! Refuses to know: what is in windows, who asks, words.
//!
//! Invariants
//! 1. Pure: a function of the lane's state. Taking a stand costs O(partitions × windows), never O(open).
//! 2. What is said is what happens: a row fires at the first tick at or past [`Release::at`] if nothing more comes and no partition becomes
//!    readable or unreadable, and not before; or once every holder has accepted an event of `end + out_of_orderness` or later.
//!
//! Called by: telemetry (the driver's report, once a second), server (shows it).

use super::collect::{Collector, Part};
use super::lane::Lane;
use super::merge::{Pipe, View};
use crate::pipeline::{Pipeline, Timing};
use crate::time::{Span, Timestamp};

/// Windows looked at, of one measurement.
const MOST: usize = 4_096;

/// One pipeline as of a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipeStand {
    /// Tick time.
    pub time: Timestamp,
    /// By partition index.
    pub parts: Vec<PartStand>,
    /// By window index.
    pub windows: Vec<WindowStand>,
    /// Windows that are known and end at or before this have fired. It may go back: a partition that was idle holds again.
    pub fired: Timestamp,
    /// Windows ending at or before this can no longer change.
    pub settled: Timestamp,
}

/// One partition as one pipeline sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartStand {
    /// `None`: nothing was ever accepted here.
    pub watermark: Option<Timestamp>,
    pub idle: bool,
    pub finished: bool,
    pub unreadable: bool,
    /// Tick time for which nothing has been accepted while it could be read.
    pub quiet: Span,
    /// Tick time at which it becomes idle if nothing more is accepted; `None`: it is, or cannot be read, or is a finished file.
    pub idle_at: Option<Timestamp>,
    /// The source accepted last, and its newest event's time.
    pub last: Option<(Box<str>, Option<Timestamp>)>,
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowStand {
    /// `[start, end)` of the oldest window that is known and has not fired.
    pub oldest: Option<(Timestamp, Timestamp)>,
    /// Ends of windows after [`PipeStand::fired`] that have fired all the same, newest first; at most [`MOST`].
    pub ahead: Vec<Timestamp>,
    /// It counts cases: the end of the newest window that has fired.
    pub gauge: Option<Timestamp>,
    /// Windows held in memory, fired ones that may still be revised included.
    pub held: usize,
}

/// How a window stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It has not fired.
    Open(Hold),
    /// It has fired and may be revised.
    Fired,
    /// It has fired or never will, and nobody can add to it.
    Settled,
}

/// What keeps a window from firing.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Indices of the partitions that are not idle and whose watermark is below the end.
    pub holders: Vec<usize>,
    /// When it fires though somebody holds it: incomplete then.
    pub deadline: Timestamp,
    /// The event time that a holder's watermark needs.
    pub event_time: Timestamp,
    /// What happens if nothing more comes.
    pub release: Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Tick time.
    pub at: Timestamp,
    pub by: ReleasedBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasedBy {
    /// Nobody holds it: tick time alone is waited for.
    Time,
    /// The last holder becomes idle.
    Idle,
    /// Somebody still holds it at its deadline: the row is incomplete.
    Deadline,
}

impl PipeStand {
    pub fn of(lane: &Lane, index: usize) -> PipeStand {
        let pipe = &lane.core.merger.pipes[index];
        let pipeline = &lane.setup.pipelines[index];
        let time = lane.core.now.unwrap_or(Timestamp::MIN);
        let parts = lane.collectors.iter().enumerate().map(|(partition, collector)| {
            let view = pipe.parts.get(partition).copied().unwrap_or_default();
            PartStand::of(collector, index, &view, &pipeline.timing)
        });
        let windows = (0..pipeline.windows.len()).map(|w| WindowStand::of(lane, (index, w), pipe, pipeline));
        PipeStand { time, parts: parts.collect(), windows: windows.collect(), fired: pipe.reach.upto, settled: pipe.settled }
    }

    /// How the window that ends then stands; `window`: index of its measurement.
    pub fn judge(&self, timing: &Timing, window: usize, end: Timestamp) -> Standing {
        let of = self.windows.get(window);
        // what counts cases never fires before tick time has reached its end
        let gauge = of.is_some_and(|w| w.gauge.is_some());
        let fired = match of.and_then(|w| w.gauge) {
            Some(newest) => end <= newest,
            None => end <= self.fired || of.is_some_and(|w| w.ahead.contains(&end)),
        };
        if end <= self.settled {
            return Standing::Settled;
        }
        if fired {
            return Standing::Fired;
        }
        let holders: Vec<usize> = (0..self.parts.len()).filter(|p| self.parts[*p].holds(end)).collect();
        let deadline = end + timing.out_of_orderness + timing.patience;
        let due = end + timing.out_of_orderness;
        let reached = self.parts.iter().any(|p| p.reached() >= end);
        // time in which it cannot be read is not there to be idle in
        let idle = holders.iter().map(|p| self.parts[*p].idle_at).collect::<Option<Vec<_>>>().map(|all| all.into_iter().max());
        // where no watermark has reached the end, tick time must be past it too
        let least = if reached { self.time } else { due }.max(if gauge { end } else { self.time });
        let (at, by) = match idle {
            Some(None) => (least, ReleasedBy::Time),
            Some(Some(idle)) if idle < least => (least, ReleasedBy::Time),
            Some(Some(idle)) if idle <= deadline => (idle, ReleasedBy::Idle),
            _ => (deadline, ReleasedBy::Deadline),
        };
        Standing::Open(Hold { holders, deadline, event_time: due, release: Release { at, by } })
    }
}

impl PartStand {
    fn of(collector: &Collector, index: usize, view: &View, timing: &Timing) -> PartStand {
        let part: &Part = &collector.parts[index];
        let quiet = collector.readable - part.accepted_at;
        let waits = !view.idle && !view.finished && !view.unreadable;
        let idle_at = collector.tick_time.filter(|_| waits).map(|now| now + (timing.idle_after - quiet));
        let last = part.last_source.map(|source| {
            let heard = part.counts.sources.get(source as usize).and_then(|s| s.last_heard);
            (collector.source_name(source).into(), heard)
        });
        PartStand {
            watermark: view.watermark,
            idle: view.idle,
            finished: view.finished,
            unreadable: view.unreadable,
            quiet: quiet.max(Span::ZERO),
            idle_at,
            last,
        }
    }

    fn reached(&self) -> Timestamp {
        if self.finished { Timestamp::MAX } else { self.watermark.unwrap_or(Timestamp::MIN) }
    }

    fn holds(&self, end: Timestamp) -> bool {
        !self.idle && self.reached() < end
    }
}

impl WindowStand {
    fn of(lane: &Lane, (p, w): (usize, usize), pipe: &Pipe, pipeline: &Pipeline) -> WindowStand {
        let alignment = &pipeline.windows[w].alignment;
        if pipeline.windows[w].gauge.is_some() {
            let (last, quiet, held) = lane.core.cases.gauge(p, w).unwrap_or((None, true, 0));
            let next = last.filter(|_| !quiet).map(|last| alignment.end_of(last));
            let oldest = next.map(|end| (alignment.start_of_end(end), end));
            return WindowStand { oldest, ahead: Vec::new(), gauge: Some(last.unwrap_or(Timestamp::MIN)), held };
        }
        let merged = &pipe.windows[w];
        let told = merged.unfired.first().map(|start| (*start, alignment.end_of(*start)));
        let fired = pipe.reach.upto;
        // what a partition has not sent yet; its windows end in the order of their starts
        let kept = lane.collectors.iter().filter_map(|collector| {
            let open = &collector.parts[p].windows[w].open;
            let later = open[open.partition_point(|o| o.end <= fired)..].iter().take(MOST);
            let waits = |start: &Timestamp| merged.open.get(start).is_none_or(|m| m.fired.is_none());
            later.into_iter().find(|o| o.end > pipe.settled && waits(&o.start)).map(|o| (o.start, o.end))
        });
        let newest = merged.open.values().rev().take(MOST).take_while(|m| m.end > fired);
        let ahead = newest.filter(|m| m.fired.is_some()).map(|m| m.end).collect();
        WindowStand { oldest: kept.chain(told).min(), ahead, gauge: None, held: merged.open.len() }
    }
}

#[cfg(test)]
mod tests;
