//! Rows of windows into which nothing came: `fill: 0` (R6).
//!
//! Owns: [`Fill`]: which keys were seen in which windows, up to where empty windows have been opened. Refuses to know: values, rows.
//!
//! Invariants
//! 1. Who is filled in a window is a function of registry and accepted events, not of ticks (R3): keys with events in an earlier window that
//!    ended at most [`REMEMBERED`] before this one begins; if there is one, or the window has events, also keys that the registry expects.
//! 2. An empty window is opened where T5 would fire it, by watermarks or tick time, a finished file's by its own watermark: so it fires in
//!    the same tick. A gap of years costs seven days of windows.
//! 3. At most [`MAX_ROWS`] rows' worth of windows are opened at a tick, the rest at the next (D7); they hold back what is settled.
//! 4. A key is forgotten when no window that can still fire would be filled with it (D6).
//!
//! Called by: merge.

use super::{MAX_ROWS, Merged, MergedWindows, Place};
use crate::engine::completeness::expected_keys;
use crate::engine::setup::Setup;
use crate::pipeline::Timing;
use crate::time::{Alignment, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// So long after its last window a key still has rows.
const REMEMBERED: Span = Span::days(7);

/// Of one measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct Fill {
    /// By key number: starts of windows with events of it: the newest that is settled, and all later ones.
    seen: BTreeMap<u32, BTreeSet<Timestamp>>,
    /// The same whatever the key.
    starts: BTreeSet<Timestamp>,
    /// The window that may be opened next.
    next: Option<Timestamp>,
    /// End of that window where it is due and waits for the next tick.
    pub owed: Option<Timestamp>,
    /// Seen at this tick for the first time.
    #[serde(skip)]
    fresh: Vec<(u32, Timestamp)>,
}

/// The oldest window whose keys are filled in the window that begins at `start`.
fn horizon(alignment: &Alignment, start: Timestamp) -> Timestamp {
    alignment.first_start_of(start - REMEMBERED)
}

impl Fill {
    /// A partition said something of this key in this window.
    pub fn see(&mut self, key: u32, start: Timestamp) {
        if self.seen.entry(key).or_default().insert(start) {
            self.starts.insert(start);
            self.fresh.push((key, start));
        }
    }

    /// Was any key seen shortly before the window that begins at `start`?
    fn begun(&self, alignment: &Alignment, start: Timestamp) -> bool {
        self.starts.range(..start).next_back().is_some_and(|seen| *seen >= horizon(alignment, start))
    }

    /// When the next empty window is due: all partitions idle, or past its deadline.
    pub fn due(&self, alignment: &Alignment, timing: &Timing) -> Option<[Timestamp; 2]> {
        let start = self.next.filter(|start| self.begun(alignment, *start))?;
        let idle = alignment.end_of(start) + timing.out_of_orderness;
        Some([idle, idle + timing.patience])
    }
}

impl MergedWindows {
    /// Opens empty windows that end at or before `bound`, and fills windows that fired before a key was seen ahead of them.
    pub(super) fn open_empty(&mut self, place: (usize, usize), alignment: &Alignment, bound: Timestamp, touched: &mut BTreeSet<Place>) {
        let Some(fill) = &mut self.fill else { return };
        for (key, start) in std::mem::take(&mut fill.fresh) {
            let after = alignment.next_start(start);
            fill.next = Some(fill.next.map_or(after, |next| next.min(after)));
            for (later, merged) in self.open.range_mut((Excluded(start), Unbounded)).filter(|(_, m)| m.fired.is_some()) {
                if horizon(alignment, *later) <= start {
                    let entry = merged.entry(key);
                    merged.mark(entry);
                    touched.insert((place.0, place.1, *later));
                }
            }
        }
        fill.owed = None;
        let mut room = MAX_ROWS;
        while let Some(start) = fill.next {
            let end = alignment.end_of(start);
            if end > bound {
                break;
            }
            if !fill.begun(alignment, start) {
                // nothing for a long time: on from where something came again, if it did
                let Some(again) = fill.starts.range(start..).next() else { break };
                fill.next = Some(alignment.next_start(*again));
                continue;
            }
            if let Entry::Vacant(vacant) = self.open.entry(start) {
                if room == 0 {
                    fill.owed = Some(end);
                    break;
                }
                room = room.saturating_sub(fill.seen.len().max(1));
                vacant.insert(Merged { end, ..Merged::default() });
                self.unfired.insert(start);
            }
            fill.next = Some(alignment.next_start(start));
        }
    }

    /// Adds the keys that a window without their events shows too; it fires now.
    pub(super) fn fill(&mut self, (p, w): (usize, usize), start: Timestamp, setup: &Setup) {
        let (Some(fill), Some(merged)) = (&mut self.fill, self.open.get_mut(&start)) else { return };
        let pipeline = &setup.pipelines[p];
        let alignment = &pipeline.windows[w].alignment;
        let from = horizon(alignment, start);
        let mut keys = Vec::new();
        for (key, starts) in &fill.seen {
            if starts.range(..start).next_back().is_some_and(|seen| *seen >= from) {
                keys.push(*key);
            }
        }
        for key in expected_keys(merged.end, pipeline, w, &setup.registry) {
            keys.push(self.keys.intern(&Arc::new(key)));
        }
        for key in keys {
            merged.entry(key);
        }
    }

    /// Windows have settled: lets go what none that can still change would show.
    pub(super) fn forget_seen(&mut self, alignment: &Alignment) {
        let oldest = self.open.first_key_value().map(|(start, _)| *start);
        let Some(fill) = &mut self.fill else { return };
        let Some(oldest) = oldest.into_iter().chain(fill.next).min() else { return };
        let from = horizon(alignment, oldest);
        let keep = |starts: &mut BTreeSet<Timestamp>| {
            let newest = starts.range(..oldest).next_back().copied();
            starts.retain(|start| *start >= oldest || (Some(*start) == newest && *start >= from));
            !starts.is_empty()
        };
        keep(&mut fill.starts);
        fill.seen.retain(|_, starts| keep(starts));
    }
}
