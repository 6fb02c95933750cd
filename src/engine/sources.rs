//! What is known of each source: what became of its records, when it was last heard, how its clock goes.
//!
//! Owns: [`ClockOffset`] (kept by the collector), [`SourceFigures`] (all partitions and pipelines of a lane put together).
//! Refuses to know: the registry, rules of silence, who asks.
//!
//! Invariants
//! 1. Pure: the same state gives the same figures, by source.
//! 2. A record is counted once, however many pipelines read it: of several pipelines the greatest count of each verdict holds.
//!
//! Called by: collect (offsets), telemetry (health, and figures for whoever asks).

use super::collect::Collector;
use super::lane::Lane;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So long is an offset remembered, in broker_time.
const KEPT: Span = Span::minutes(10);

/// The greatest `event_time − broker_time` of a source on one partition, of the last ten to twenty minutes of broker_time: what its clock
/// is ahead, less the least time that its records were on their way. Records that were refused for their time count: they show it best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockOffset {
    since: Timestamp,
    now: Span,
    before: Option<Span>,
}

impl ClockOffset {
    /// Notes a record of a source; `known` is by source number.
    pub fn note(known: &mut Vec<Option<ClockOffset>>, source: u32, event_time: Timestamp, broker_time: Timestamp) {
        let source = source as usize;
        known.resize(known.len().max(source + 1), None);
        let offset = event_time - broker_time;
        let known = &mut known[source];
        match known {
            Some(of) if broker_time - of.since < KEPT => of.now = of.now.max(offset),
            Some(of) => {
                let before = (broker_time - of.since < KEPT + KEPT).then_some(of.now);
                *of = ClockOffset { since: broker_time, now: offset, before };
            }
            None => *known = Some(ClockOffset { since: broker_time, now: offset, before: None }),
        }
    }

    pub fn greatest(&self) -> Span {
        self.before.map_or(self.now, |before| before.max(self.now))
    }
}

/// One source, since the state was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SourceFigures {
    pub accepted: u64,
    pub late: u64,
    pub duplicate: u64,
    /// Duplicates with other data; counted in `duplicate` too.
    pub conflict: u64,
    pub rejected: u64,
    pub invalid_field: u64,
    /// Greatest delay of a late event.
    pub worst_delay: Span,
    /// Highest event time accepted.
    pub last_heard: Option<Timestamp>,
    /// See [`ClockOffset`].
    pub clock_offset: Option<Span>,
}

/// All sources that were ever heard or refused by name.
pub fn figures(lane: &Lane) -> BTreeMap<String, SourceFigures> {
    let mut all: BTreeMap<String, SourceFigures> = BTreeMap::new();
    for collector in &lane.collectors {
        for (number, name) in collector.sources.iter().enumerate() {
            let here = SourceFigures::of(collector, number, 0..lane.setup.pipelines.len());
            all.entry(name.to_owned()).or_default().add(&here);
        }
    }
    all
}

impl SourceFigures {
    /// Of one partition, by its number there; `pipelines` are those that may have read it.
    pub fn of(collector: &Collector, number: usize, pipelines: impl IntoIterator<Item = usize>) -> SourceFigures {
        let mut here = SourceFigures::default();
        for of in pipelines.into_iter().filter_map(|pipeline| collector.counts(pipeline).sources.get(number)) {
            here.accepted = here.accepted.max(u64::from(of.accepted));
            here.late = here.late.max(u64::from(of.late));
            here.duplicate = here.duplicate.max(u64::from(of.duplicate));
            here.conflict = here.conflict.max(u64::from(of.conflict));
            here.rejected = here.rejected.max(u64::from(of.rejected));
            here.invalid_field = here.invalid_field.max(u64::from(of.invalid_field));
            here.worst_delay = here.worst_delay.max(of.worst_delay);
            here.last_heard = here.last_heard.max(of.last_heard);
        }
        here.clock_offset = collector.offsets.get(number).copied().flatten().map(|o| o.greatest());
        here
    }

    /// Another partition's.
    fn add(&mut self, other: &SourceFigures) {
        self.accepted += other.accepted;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.conflict += other.conflict;
        self.rejected += other.rejected;
        self.invalid_field += other.invalid_field;
        self.worst_delay = self.worst_delay.max(other.worst_delay);
        self.last_heard = self.last_heard.max(other.last_heard);
        self.clock_offset = self.clock_offset.max(other.clock_offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn the_greatest_offset_of_the_last_minutes_holds() {
        let mut known = Vec::new();
        for (event, broker) in [(90, 100), (105, 101), (60, 102)] {
            ClockOffset::note(&mut known, 0, s(event), s(broker));
        }
        assert_eq!(known[0].unwrap().greatest(), Span::seconds(4), "a late upload says nothing of the clock");
        // the clock was set right
        ClockOffset::note(&mut known, 0, s(798), s(800));
        assert_eq!(known[0].unwrap().greatest(), Span::seconds(4), "it is remembered for a while");
        ClockOffset::note(&mut known, 0, s(1500), s(1502));
        assert_eq!(known[0].unwrap().greatest(), Span::seconds(-2));
        ClockOffset::note(&mut known, 0, s(9999), s(10_005));
        assert_eq!(known[0].unwrap().greatest(), Span::seconds(-6), "what is long ago does not count");
    }
}
