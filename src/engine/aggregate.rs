//! Accumulators: what one window knows of its keys, a column for each accumulator.
//!
//! Owns: [`Column`], adding a value, folding one partition's entry into another's, reading an aggregate.
//! Refuses to know: windows, keys' texts, partitions' order (the caller folds in it).
//!
//! Invariants
//! 1. Folding is associative, and commutative but for the rounding of floating sums: callers fold in partition order (R1).
//! 2. An accumulator without an observation reads as `None`; `Count` always reads (R6).
//! 3. What is kept of values, different values and readings is bounded per key (D6); where the bound makes an aggregate approximate, it says so (R5).
//!
//! Called by: collect (adds, takes), merge (folds, reads).

pub mod distinct;
pub mod steps;
pub mod values;

use crate::pipeline::{AccumulatorKind, Read};
use crate::time::Timestamp;
use distinct::Distinct;
use serde::{Deserialize, Serialize};
use steps::Steps;
use values::Values;

/// Number, sum, least and greatest of a value.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stats {
    pub n: u64,
    #[serde(with = "bits")]
    pub sum: f64,
    #[serde(with = "bits")]
    pub min: f64,
    #[serde(with = "bits")]
    pub max: f64,
}

/// Floats that may be infinite, as their bits: JSON has no infinity.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};
    pub fn serialize<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(x.to_bits())
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        u64::deserialize(d).map(f64::from_bits)
    }
}

impl Stats {
    pub const EMPTY: Stats = Stats { n: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    #[inline]
    fn add(&mut self, x: f64) {
        self.n += 1;
        self.sum += x;
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }
}

/// A value with its place in event time; ties go by partition, then offset.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
pub struct Edge {
    pub time: Timestamp,
    pub partition: u32,
    pub offset: u64,
    pub value: f64,
}

impl Edge {
    pub fn place(&self) -> (Timestamp, u32, u64) {
        (self.time, self.partition, self.offset)
    }
}

/// One accumulator of all entries of a window.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Column {
    Count(Vec<u64>),
    Stats(Vec<Stats>),
    First(Vec<Option<Edge>>),
    Last(Vec<Option<Edge>>),
    Values(Vec<Values>),
    Distinct(Vec<Distinct>),
    Steps(Vec<Steps>),
}

impl Column {
    pub fn new(kind: AccumulatorKind) -> Column {
        Column::with_room(kind, 0)
    }

    /// With memory for so many entries.
    pub fn with_room(kind: AccumulatorKind, entries: usize) -> Column {
        match kind {
            AccumulatorKind::Count => Column::Count(Vec::with_capacity(entries)),
            AccumulatorKind::Stats => Column::Stats(Vec::with_capacity(entries)),
            AccumulatorKind::First => Column::First(Vec::with_capacity(entries)),
            AccumulatorKind::Last => Column::Last(Vec::with_capacity(entries)),
            AccumulatorKind::Values => Column::Values(Vec::with_capacity(entries)),
            AccumulatorKind::Distinct => Column::Distinct(Vec::with_capacity(entries)),
            AccumulatorKind::Steps => Column::Steps(Vec::with_capacity(entries)),
        }
    }

    /// Appends an entry without observations.
    #[inline]
    pub fn push_empty(&mut self) {
        match self {
            Column::Count(v) => v.push(0),
            Column::Stats(v) => v.push(Stats::EMPTY),
            Column::First(v) | Column::Last(v) => v.push(None),
            Column::Values(v) => v.push(Values::default()),
            Column::Distinct(v) => v.push(Distinct::default()),
            Column::Steps(v) => v.push(Steps::default()),
        }
    }

    /// Adds an observation to an entry; `Count` counts it whatever the value. `Distinct` takes any value, by `add_hash`.
    #[inline]
    pub fn add(&mut self, entry: usize, at: Edge) {
        match self {
            Column::Count(v) => v[entry] += 1,
            Column::Stats(v) => v[entry].add(at.value),
            Column::First(v) => {
                if v[entry].is_none_or(|e| at.place() < e.place()) {
                    v[entry] = Some(at);
                }
            }
            Column::Last(v) => {
                if v[entry].is_none_or(|e| at.place() > e.place()) {
                    v[entry] = Some(at);
                }
            }
            Column::Values(v) => v[entry].add(at.value),
            Column::Steps(v) => v[entry].add(at),
            Column::Distinct(_) => {}
        }
    }

    /// Adds a value to an entry of `Distinct`, by its hash.
    #[inline]
    pub fn add_hash(&mut self, entry: usize, hash: u64) {
        if let Column::Distinct(v) = self {
            v[entry].add(hash);
        }
    }

    /// Makes `self[entry]` what `from[other]` is: a cumulative partial replaces the older one (R1).
    pub fn replace(&mut self, entry: usize, from: &mut Column, other: usize) {
        match (self, from) {
            (Column::Count(a), Column::Count(b)) => a[entry] = b[other],
            (Column::Stats(a), Column::Stats(b)) => a[entry] = b[other],
            (Column::First(a), Column::First(b)) | (Column::Last(a), Column::Last(b)) => a[entry] = b[other],
            (Column::Values(a), Column::Values(b)) => a[entry] = std::mem::take(&mut b[other]),
            (Column::Distinct(a), Column::Distinct(b)) => a[entry] = std::mem::take(&mut b[other]),
            (Column::Steps(a), Column::Steps(b)) => a[entry] = std::mem::take(&mut b[other]),
            _ => {}
        }
    }

    /// The chosen entries, copied.
    pub fn gather(&self, entries: &[u32]) -> Column {
        fn pick<T: Clone>(v: &[T], entries: &[u32]) -> Vec<T> {
            entries.iter().map(|e| v[*e as usize].clone()).collect()
        }
        match self {
            Column::Count(v) => Column::Count(pick(v, entries)),
            Column::Stats(v) => Column::Stats(pick(v, entries)),
            Column::First(v) => Column::First(pick(v, entries)),
            Column::Last(v) => Column::Last(pick(v, entries)),
            Column::Values(v) => Column::Values(pick(v, entries)),
            Column::Distinct(v) => Column::Distinct(pick(v, entries)),
            Column::Steps(v) => Column::Steps(pick(v, entries)),
        }
    }

    pub fn clear(&mut self) {
        match self {
            Column::Count(v) => v.clear(),
            Column::Stats(v) => v.clear(),
            Column::First(v) | Column::Last(v) => v.clear(),
            Column::Values(v) => v.clear(),
            Column::Distinct(v) => v.clear(),
            Column::Steps(v) => v.clear(),
        }
    }
}

/// One key's accumulator, folded over the partitions in their order.
#[derive(Clone, PartialEq, Debug)]
pub enum Folded {
    Count(u64),
    Stats(Stats),
    Edge(Option<Edge>),
    Values(Values),
    Distinct(Distinct),
    Steps(Box<Steps>),
}

impl Folded {
    pub fn of(column: &Column, entry: usize) -> Folded {
        match column {
            Column::Count(v) => Folded::Count(v[entry]),
            Column::Stats(v) => Folded::Stats(v[entry]),
            Column::First(v) | Column::Last(v) => Folded::Edge(v[entry]),
            Column::Values(v) => Folded::Values(v[entry].clone()),
            Column::Distinct(v) => Folded::Distinct(v[entry].clone()),
            Column::Steps(v) => Folded::Steps(Box::new(v[entry].clone())),
        }
    }

    /// Without any entry.
    pub fn nothing(kind: AccumulatorKind) -> Folded {
        let mut column = Column::new(kind);
        column.push_empty();
        Folded::of(&column, 0)
    }

    /// Folds the next partition's entry in.
    pub fn fold(&mut self, column: &Column, entry: usize) {
        match (self, column) {
            (Folded::Count(a), Column::Count(v)) => *a += v[entry],
            (Folded::Stats(a), Column::Stats(v)) => {
                let b = v[entry];
                *a = Stats { n: a.n + b.n, sum: a.sum + b.sum, min: a.min.min(b.min), max: a.max.max(b.max) };
            }
            (Folded::Edge(a), Column::First(v)) => {
                if let Some(b) = v[entry]
                    && a.is_none_or(|a| b.place() < a.place())
                {
                    *a = Some(b);
                }
            }
            (Folded::Edge(a), Column::Last(v)) => {
                if let Some(b) = v[entry]
                    && a.is_none_or(|a| b.place() > a.place())
                {
                    *a = Some(b);
                }
            }
            (Folded::Values(a), Column::Values(v)) => a.fold(&v[entry]),
            (Folded::Distinct(a), Column::Distinct(v)) => a.fold(&v[entry]),
            (Folded::Steps(a), Column::Steps(v)) => a.fold(&v[entry]),
            _ => {}
        }
    }

    /// Puts values and readings in order: they are read after it.
    pub fn settle(&mut self) {
        match self {
            Folded::Values(v) => v.settle(),
            Folded::Steps(s) => s.settle(),
            _ => {}
        }
    }

    /// A bound made it approximate (R5).
    pub fn is_approximate(&self) -> bool {
        match self {
            Folded::Values(v) => v.is_sketch(),
            Folded::Distinct(d) => d.is_sketch(),
            Folded::Steps(s) => s.is_rough(),
            _ => false,
        }
    }

    /// The aggregate, or `None` without observations.
    pub fn read(&self, read: Read) -> Option<f64> {
        match (self, read) {
            (Folded::Count(n), _) => Some(*n as f64),
            (Folded::Stats(s), _) if s.n == 0 => None,
            (Folded::Stats(s), Read::Sum) => Some(s.sum),
            (Folded::Stats(s), Read::Mean) => Some(s.sum / s.n as f64),
            (Folded::Stats(s), Read::Min) => Some(s.min),
            (Folded::Stats(s), Read::Max) => Some(s.max),
            (Folded::Stats(s), Read::Count) => Some(s.n as f64),
            (Folded::Edge(e), _) => e.map(|e| e.value),
            (Folded::Values(v), Read::Quantile(q)) => v.quantile(q),
            (Folded::Distinct(d), _) => d.count(),
            (Folded::Steps(s), _) => s.increase(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(time: i64, partition: u32, offset: u64, value: f64) -> Edge {
        Edge { time: Timestamp(time), partition, offset, value }
    }

    #[test]
    fn r5_quantiles_are_nearest_rank() {
        let mut column = Column::new(AccumulatorKind::Values);
        column.push_empty();
        for i in (1..=20).rev() {
            column.add(0, edge(0, 0, 0, i as f64));
        }
        let mut folded = Folded::of(&column, 0);
        folded.settle();
        for (q, expected) in [(0.5, 10.0), (0.95, 19.0), (0.99, 20.0), (0.01, 1.0)] {
            assert_eq!(folded.read(Read::Quantile(q)), Some(expected), "p{q}");
        }
        assert_eq!(Folded::Values(Values::default()).read(Read::Quantile(0.5)), None);
    }

    #[test]
    fn first_and_last_go_by_event_time_partition_offset() {
        let (mut first, mut last) = (Column::new(AccumulatorKind::First), Column::new(AccumulatorKind::Last));
        for e in [edge(5, 1, 9, 1.0), edge(5, 0, 3, 2.0), edge(5, 1, 10, 3.0), edge(4, 7, 7, 4.0)] {
            if let Column::First(v) = &first
                && v.is_empty()
            {
                first.push_empty();
                last.push_empty();
            }
            first.add(0, e);
            last.add(0, e);
        }
        assert_eq!(Folded::of(&first, 0).read(Read::Value), Some(4.0));
        assert_eq!(Folded::of(&last, 0).read(Read::Value), Some(3.0));
    }

    #[test]
    fn r6_no_observation_reads_as_none() {
        assert_eq!(Folded::Stats(Stats::EMPTY).read(Read::Sum), None);
        assert_eq!(Folded::Edge(None).read(Read::Value), None);
        assert_eq!(Folded::Count(0).read(Read::Count), Some(0.0));
    }
}
