//! Which events a partition and pipeline have counted already (R4).
//!
//! Owns: [`Seen`]: (source, id) → event time and a hash of the data, in slices of event time that expire whole (D7).
//! Refuses to know: why an event is late; the caller asks only for events that are not older than `watermark − dedup`.
//!
//! Invariants
//! 1. An id is remembered as long as its event is not older than `watermark − dedup`, which is when a copy would be late (R4): an entry in
//!    a slice that still stands but whose own time is past counts as forgotten.
//! 2. First wins: an id that is remembered keeps its first data.
//!
//! Called by: collect.

use crate::time::{Span, Timestamp};
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// 96 bits name the id (a chance of 1 in 10^13 of one false copy among a billion events), 32 bits its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Entry {
    id: u64,
    id_more: u32,
    data: u32,
    time: Timestamp,
}

/// What is remembered of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    id: u64,
    id_more: u32,
    data: u32,
}

impl Mark {
    /// `scratch` is memory to build the key in.
    #[inline]
    pub fn of(source: &str, id: &str, data: &[u8], scratch: &mut Vec<u8>) -> Mark {
        scratch.clear();
        scratch.extend_from_slice(source.as_bytes());
        scratch.push(0xff); // in no UTF-8 text: (source, id) cannot run into each other
        scratch.extend_from_slice(id.as_bytes());
        let key = xxh3_128(scratch);
        Mark { id: key as u64, id_more: (key >> 64) as u32, data: xxh3_64(data) as u32 }
    }
}

/// What the memory says of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    New,
    Same,
    /// The same id with other data: first wins, counted as *conflict*.
    Conflict,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    slices: BTreeMap<i64, HashTable<Entry>>,
    width: i64,
    keep: Span,
}

impl Seen {
    /// `keep` is the pipeline's `dedup`.
    pub fn new(keep: Span) -> Seen {
        Seen { slices: BTreeMap::new(), width: (keep.0 / 2).max(Span::seconds(1).0), keep }
    }

    #[inline]
    fn remembered(&self, time: Timestamp, watermark: Timestamp) -> bool {
        watermark <= time + self.keep
    }

    /// Is this event a copy of one that is remembered under this watermark?
    #[inline]
    pub fn ask(&self, mark: Mark, watermark: Timestamp) -> Known {
        for slice in self.slices.values().rev() {
            let found = slice.find(mark.id, |e| e.id == mark.id && e.id_more == mark.id_more && self.remembered(e.time, watermark));
            if let Some(entry) = found {
                return if entry.data == mark.data { Known::Same } else { Known::Conflict };
            }
        }
        Known::New
    }

    /// Remembers an event that was found new.
    #[inline]
    pub fn remember(&mut self, mark: Mark, time: Timestamp) {
        let number = time.0.div_euclid(self.width);
        let slice = match self.slices.get_mut(&number) {
            Some(slice) => slice,
            None => self.open(number),
        };
        slice.insert_unique(mark.id, Entry { id: mark.id, id_more: mark.id_more, data: mark.data, time }, |e| e.id);
    }

    /// A newest slice will hold about as many as the fullest one.
    #[cold]
    fn open(&mut self, number: i64) -> &mut HashTable<Entry> {
        let newest = self.slices.last_key_value().is_none_or(|(last, _)| number > *last);
        let room = if newest { self.slices.values().map(HashTable::len).max().unwrap_or(0) } else { 0 };
        self.slices.entry(number).or_insert_with(|| HashTable::with_capacity(room))
    }

    /// Drops the slices whose every entry has passed.
    pub fn expire(&mut self, watermark: Timestamp) {
        while let Some(first) = self.slices.first_entry() {
            let end = Timestamp((first.key() + 1).saturating_mul(self.width));
            if watermark < end + self.keep {
                break;
            }
            first.remove();
        }
    }

    pub fn len(&self) -> usize {
        self.slices.values().map(HashTable::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    pub fn save(&self) -> SeenState {
        let mut entries: Vec<_> = self.slices.values().flat_map(|s| s.iter().map(|e| (e.id, e.id_more, e.data, e.time))).collect();
        entries.sort_unstable();
        SeenState(entries)
    }

    pub fn restore(state: &SeenState, keep: Span) -> Seen {
        let mut seen = Seen::new(keep);
        for (id, id_more, data, time) in &state.0 {
            seen.remember(Mark { id: *id, id_more: *id_more, data: *data }, *time);
        }
        seen
    }
}

/// Plain data: (id, more of the id, data, event time), sorted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenState(Vec<(u64, u32, u32, Timestamp)>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r4_copies_are_known_until_exactly_then() {
        let mut seen = Seen::new(Span::seconds(10));
        let mut scratch = Vec::new();
        let at = |s: i64| Timestamp::from_seconds(s);
        let a = Mark::of("s", "1", b"{}", &mut scratch);
        assert_eq!(seen.ask(a, at(0)), Known::New);
        seen.remember(a, at(100));
        assert_eq!(seen.ask(a, at(100)), Known::Same);
        assert_eq!(seen.ask(Mark::of("s", "1", b"{1}", &mut scratch), at(109)), Known::Conflict);
        assert_eq!(seen.ask(Mark::of("s1", "", b"{}", &mut scratch), at(100)), Known::New);
        assert_eq!(seen.ask(a, at(110)), Known::Same, "it is not older than watermark − dedup: a copy is not late yet");
        assert_eq!(seen.ask(a, at(110) + Span(1)), Known::New, "a copy is late for every window");
        let restored = Seen::restore(&seen.save(), Span::seconds(10));
        assert_eq!(restored.ask(a, at(109)), Known::Same);
        seen.expire(at(121));
        assert!(seen.is_empty());
    }
}
