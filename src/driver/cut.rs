//! When a tick is cut and what time it has: a function of what the partitions show and of the wall clock, which is handed in.
//!
//! Owns: [`Cutter`]: tick time, read_times, who holds. Refuses to know: the clock, records, the engine.
//!
//! Invariants
//! 1. Tick time is the least read_time of those that hold it, and never goes back.
//! 2. An unreadable partition does not hold; nor does one that was `patience` behind the others for `patience` of wall time.
//! 3. If all are unreadable, tick time stands still.
//! 4. Partitions are read abreast: nothing past tick time + 1 s is taken.
//!
//! Called by: driver.

use crate::engine::PartitionTick;
use crate::time::{Span, Timestamp};

/// How far behind the wall clock a tick may be and still be live.
pub const LIVE_WITHIN: Span = Span::seconds(5);
/// How far past tick time records are taken.
pub const ABREAST: Span = Span::seconds(1);

/// What a partition shows when a tick is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    /// Confirmed by its broker within the last 2 s, and assigned to this process.
    pub readable: bool,
    /// Clock (running maximum of broker_time) of the next record, where one is at hand.
    pub next: Option<Timestamp>,
    /// Nothing is at hand and the confirmed end is reached.
    pub at_end: bool,
    /// Offset of the next record to take.
    pub offset: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    read_time: Option<Timestamp>,
    /// Wall time since which it has been `patience` behind the others.
    behind_since: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Cutter {
    time: Option<Timestamp>,
    parts: Vec<Held>,
    patience: Span,
}

/// A cut tick: its time, whether it is live, what it says of each partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    pub time: Timestamp,
    pub live: bool,
    pub partitions: Vec<PartitionTick>,
}

impl Cutter {
    pub fn new(time: Option<Timestamp>, patience: Span) -> Cutter {
        Cutter { time, parts: Vec::new(), patience }
    }

    /// Records whose clock is at most this belong to the next tick; `None`: none yet, the first cut sets the time.
    pub fn horizon(&self) -> Option<Timestamp> {
        self.time.map(|t| t + ABREAST)
    }

    /// Cuts after the records up to the horizon were taken. `None`: nothing is known yet of any partition.
    pub fn cut(&mut self, wall: Timestamp, shown: &[Shown]) -> Option<Cut> {
        self.parts.resize(shown.len().max(self.parts.len()), Held::default());
        for (held, shown) in self.parts.iter_mut().zip(shown) {
            let now = match (shown.readable, shown.next, shown.at_end) {
                (false, ..) => None,
                (true, Some(next), _) => Some(next),
                (true, None, true) => Some(wall),
                // its records are on the way
                (true, None, false) => held.read_time.or(self.time),
            };
            held.read_time = held.read_time.max(now);
        }
        let readable = || self.parts.iter().zip(shown).filter(|(_, s)| s.readable);
        let foremost = readable().filter_map(|(h, _)| h.read_time).max();
        let patience = self.patience;
        let behind = |h: &Held| foremost.zip(h.read_time).is_some_and(|(f, r)| f - r > patience);
        let holders = readable().filter(|(h, _)| !(behind(h) && h.behind_since.is_some_and(|since| wall - since >= patience)));
        let least = holders.filter_map(|(h, _)| h.read_time).min();
        let time = match (self.time, least) {
            (Some(time), Some(least)) => time.max(least),
            (Some(time), None) => time,
            (None, least) => least?,
        };
        for (held, shown) in self.parts.iter_mut().zip(shown) {
            let behind = shown.readable && foremost.zip(held.read_time).is_some_and(|(f, r)| f - r > patience);
            held.behind_since = behind.then(|| held.behind_since.unwrap_or(wall));
        }
        self.time = Some(time);
        let partitions = self.parts.iter().zip(shown);
        let partitions =
            partitions.map(|(h, s)| PartitionTick { end: s.offset, read_time: h.read_time, unreadable: !s.readable, finished: false });
        Some(Cut { time, live: wall - time <= LIVE_WITHIN, partitions: partitions.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn at_end() -> Shown {
        Shown { readable: true, at_end: true, ..Shown::default() }
    }

    fn next(seconds: i64) -> Shown {
        Shown { readable: true, next: Some(s(seconds)), ..Shown::default() }
    }

    const UNREADABLE: Shown = Shown { readable: false, next: None, at_end: false, offset: 0 };

    #[test]
    fn tick_time_is_the_least_read_time_and_never_goes_back() {
        let mut cutter = Cutter::new(None, Span::minutes(2));
        assert_eq!(cutter.cut(s(100), &[UNREADABLE]), None);
        let cut = cutter.cut(s(100), &[at_end(), next(97)]).unwrap();
        assert_eq!((cut.time, cut.live), (s(97), true));
        assert_eq!(cutter.cut(s(101), &[next(90), at_end()]).unwrap().time, s(100), "its read_time was 100 already");
        assert_eq!(cutter.horizon(), Some(s(101)));
    }

    #[test]
    fn what_is_unreadable_does_not_hold_and_all_of_it_stops_time() {
        let mut cutter = Cutter::new(None, Span::minutes(2));
        cutter.cut(s(100), &[at_end(), at_end()]).unwrap();
        let cut = cutter.cut(s(110), &[at_end(), UNREADABLE]).unwrap();
        assert_eq!(cut.time, s(110));
        assert!(cut.partitions[1].unreadable);
        assert_eq!(cut.partitions[1].read_time, Some(s(100)), "it stands while it cannot be read");
        assert_eq!(cutter.cut(s(120), &[UNREADABLE, UNREADABLE]).unwrap().time, s(110));
    }

    #[test]
    fn who_is_patience_behind_for_patience_no_longer_holds() {
        let mut cutter = Cutter::new(None, Span::minutes(2));
        assert_eq!(cutter.cut(s(1000), &[at_end(), next(500)]).unwrap().time, s(500));
        assert_eq!(cutter.cut(s(1119), &[at_end(), next(501)]).unwrap().time, s(501));
        assert_eq!(cutter.cut(s(1120), &[at_end(), next(502)]).unwrap().time, s(1120));
        assert_eq!(cutter.cut(s(1121), &[at_end(), at_end()]).unwrap().time, s(1121), "caught up");
    }

    #[test]
    fn a_gap_in_the_log_costs_one_tick() {
        let mut cutter = Cutter::new(None, Span::minutes(2));
        assert_eq!(cutter.cut(s(10_000_000), &[next(50)]).unwrap().time, s(50));
        let cut = cutter.cut(s(10_000_000), &[next(9_000_000)]).unwrap();
        assert_eq!((cut.time, cut.live), (s(9_000_000), false));
    }
}
