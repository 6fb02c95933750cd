//! What a row shows of an entry: the partitions' partials folded, the fields read.
//!
//! Owns: reading an entry's fields, their digest. Refuses to know: when rows are published.
//!
//! Invariants
//! 1. Partitions are folded in their order: bits agree whoever spoke first (R1).
//! 2. Equal digests, equal rows but for the revision.
//!
//! Called by: merge.

use super::super::aggregate::Folded;
use super::super::{FieldValue, RowState};
use super::{Merged, NONE};
use crate::pipeline::expr::{Inputs, Value};
use crate::pipeline::{AggregateRead, Read, WindowSpec};
use smallvec::SmallVec;

struct Reads<'a>(&'a [Option<f64>]);

impl Inputs for Reads<'_> {
    #[inline]
    fn get(&self, slot: usize) -> Value<'_> {
        self.0[slot].map_or(Value::Unknown, Value::Num)
    }
}

impl Merged {
    /// The fields of an entry, and whether a sketch was read (R5).
    pub(super) fn values(&self, entry: usize, spec: &WindowSpec) -> (Vec<FieldValue>, bool) {
        let mut folded: SmallVec<[Folded; 4]> = SmallVec::new();
        for part in &self.parts {
            let Some(place) = part.index.get(entry).copied().filter(|p| *p != NONE) else { continue };
            let place = place as usize;
            if folded.is_empty() {
                folded.extend(part.columns.iter().map(|c| Folded::of(c, place)));
            } else {
                folded.iter_mut().zip(&part.columns).for_each(|(f, c)| f.fold(c, place));
            }
        }
        if folded.is_empty() {
            // no partition knows anything: a window without events
            folded.extend(spec.accumulators.iter().map(|kind| Folded::nothing(*kind)));
        }
        folded.iter_mut().for_each(Folded::settle);
        let read = |r: &AggregateRead| match (folded.get(r.accumulator).and_then(|f| f.read(r.read)), r.read) {
            (None, Read::Distinct) if spec.fill => Some(0.0),
            (value, _) => value,
        };
        let reads: SmallVec<[Option<f64>; 8]> = spec.reads.iter().map(read).collect();
        let inputs = Reads(&reads);
        let value = |f: &crate::pipeline::FieldSpec| {
            let number = match f.program.as_slot() {
                Some(slot) => reads[slot],
                None => f.program.number(&inputs),
            };
            match number {
                None => FieldValue::Absent,
                Some(n) if f.integer => FieldValue::Int(n as i64),
                Some(n) if n.is_finite() => FieldValue::Float(n),
                Some(_) => FieldValue::Absent,
            }
        };
        let approx = folded.iter().any(Folded::is_approximate);
        (spec.fields.iter().map(value).collect(), approx)
    }
}

/// Names what a row shows.
pub(in crate::engine) fn digest(state: RowState, values: &[FieldValue], heard: Option<u32>, approx: bool) -> u64 {
    let mut h = state as u64 + 1 + heard.map_or(0, |n| (n as u64 + 1) << 8) + (u64::from(approx) << 63);
    for value in values {
        let bits = match value {
            FieldValue::Absent => 0x9e37,
            FieldValue::Int(n) => *n as u64,
            FieldValue::Float(x) => x.to_bits() ^ 0x5bd1,
        };
        h = (h.rotate_left(23) ^ bits).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        h ^= h >> 29;
    }
    h
}
