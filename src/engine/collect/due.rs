//! What a partition sends at a tick and when it is over: the part of collecting that time decides.
//!
//! Owns: which partials are due (watermark, idle, deadline, `early`), when a window can take nothing more (D6), who was heard.
//! Refuses to know: events, verdicts.
//!
//! Invariants
//! 1. A window with changes is sent when the watermark has reached its end, the partition is idle, its deadline has passed, or `early` has gone.
//! 2. A window goes when its own partition can add nothing: watermark past `end + lateness`, or read_time past `end + max_delay + 1 min`.
//!
//! Called by: collect.

use super::{Part, PartOutput};
use crate::engine::PartitionTick;
use crate::engine::absence::LastHeard;
use crate::engine::keys::Texts;
use crate::pipeline::Pipeline;
use crate::time::{Span, Timestamp};

/// What a tick says to a part.
pub(super) struct Due<'a> {
    pub time: Timestamp,
    pub at: &'a PartitionTick,
    pub end_offset: u64,
    pub readable: Span,
}

impl Part {
    fn idle(&self, pipeline: &Pipeline, readable: Span) -> bool {
        readable - self.accepted_at >= pipeline.timing.idle_after
    }

    pub(super) fn close_tick(&mut self, pipeline: &Pipeline, due: &Due<'_>, retired: impl Fn(u16) -> bool) -> PartOutput {
        let idle = self.idle(pipeline, due.readable);
        let mut out = PartOutput {
            watermark: self.watermark,
            idle,
            heard: std::mem::take(&mut self.heard),
            cases: std::mem::take(&mut self.cases),
            ..PartOutput::default()
        };
        let timing = &pipeline.timing;
        let watermark = if due.at.finished { Timestamp::MAX } else { self.watermark.unwrap_or(Timestamp::MIN) };
        let by_watermark = self.watermark.map_or(Timestamp::MIN, |w| w - timing.lateness);
        let by_clock = due.at.read_time.map_or(Timestamp::MIN, |t| t - timing.max_delay - Span::minutes(1));
        self.gone = self.gone.max(by_watermark).max(by_clock);
        for (index, (window, spec)) in self.windows.iter_mut().zip(&pipeline.windows).enumerate() {
            let index = index as u16;
            let fresh = window.keys.keys.iter().enumerate().skip(window.announced);
            out.new_keys.extend(fresh.map(|(number, key)| (index, number as u32, key.clone())));
            window.announced = window.keys.keys.len();
            let spare = &mut window.spare;
            window.open.retain_mut(|open| {
                open.see(due.time);
                let deadline = open.end + timing.out_of_orderness + timing.patience;
                let read_past = due.at.read_time.is_some_and(|t| t >= open.end + timing.max_delay + Span::minutes(1));
                let over = watermark >= open.end + timing.lateness || read_past || retired(index);
                let early = spec.early.is_some_and(|e| due.time >= open.sent_at + e);
                // whichever tick it was that saw it pass: what changes afterwards goes out with its own tick (R3)
                let passed = deadline <= due.time;
                if open.has_changes() && (watermark >= open.end || idle || passed || early || over) {
                    out.batches.push(open.take_partials(index, due.end_offset, due.time, over));
                }
                if over && spare.len() < 4 {
                    spare.push(open.take_memory(spec));
                }
                !over
            });
            window.heard.retain(|end, _| {
                let read_past = due.at.read_time.is_some_and(|t| t >= *end + timing.max_delay + Span::minutes(1));
                watermark < *end + timing.lateness && !read_past
            });
        }
        if let Some(watermark) = self.watermark {
            self.seen.expire(watermark);
        }
        out
    }

    /// An accepted event, for rules on absent sources.
    #[inline]
    pub(super) fn note_present(&mut self, absences: &[u16], source: u32, at: Timestamp) {
        for absence in absences {
            let newest = self.present[*absence as usize].entry(source).or_insert(at);
            *newest = at.max(*newest);
        }
    }

    /// Who was heard since the last tick.
    pub(super) fn take_present(&mut self, sources: &Texts) -> Vec<LastHeard> {
        let mut heard = Vec::new();
        for (absence, present) in self.present.iter_mut().enumerate() {
            let present = std::mem::take(present).into_iter();
            heard.extend(present.map(|(number, at)| LastHeard { absence: absence as u16, source: sources.text(number).into(), at }));
        }
        heard
    }

    pub(super) fn next_deadline(&self, pipeline: &Pipeline, now: Timestamp, readable: Span) -> Option<Timestamp> {
        let timing = &pipeline.timing;
        let idle_at = now + (self.accepted_at + timing.idle_after - readable);
        // whoever is not idle yet will be: windows that wait for it fire then
        let mut next = (idle_at > now).then_some(idle_at);
        for (window, spec) in self.windows.iter().zip(&pipeline.windows) {
            for open in window.open.iter().filter(|o| o.has_changes()) {
                let deadline = open.end + timing.out_of_orderness + timing.patience;
                let early = spec.early.map(|e| open.sent_at + e);
                for at in [Some(deadline), early].into_iter().flatten().filter(|t| *t > now) {
                    next = Some(next.map_or(at, |n| n.min(at)));
                }
            }
        }
        next
    }
}
