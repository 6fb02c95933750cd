//! Values kept for quantiles: each up to a bound, beyond it their number in buckets (R5).
//!
//! Owns: [`Values`], its buckets. Refuses to know: keys, partitions.
//!
//! Invariants
//! 1. Up to [`EXACT`] values of a window, key and partition every one is kept: quantiles are exact, nearest rank.
//! 2. A bucket is 1/64 of a power of two, so its middle is at most 1/128 = 0.8 % off each value in it. Which bucket is read off the number's
//!    bits: the same on every machine.
//! 3. At most [`MAX_BUCKETS`] buckets, 64 powers of two of each sign; beyond, those nearest zero become one.
//! 4. Buckets that are folded are those of all their values in any order, as long as 3 has not struck.
//!
//! Source: Masson, Rim, Lee, "DDSketch" (VLDB 2019), with the buckets of a log-linear histogram.
//!
//! Called by: aggregate.

use serde::{Deserialize, Serialize};

/// Values that are kept one by one.
pub const EXACT: usize = 1_024;
/// Buckets of one sketch.
const MAX_BUCKETS: usize = 8_192;
/// Bits of a double below the exponent and the first 6 of its fraction.
const REST: u32 = 46;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// In the order of arrival; in order of size once settled.
    Exact(Vec<f64>),
    Sketch(Box<Buckets>),
}

/// How many values lie in which bucket.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Buckets {
    /// (bucket, number), ascending.
    counts: Vec<(i32, u64)>,
    /// Least and greatest value, as their bits.
    least: u64,
    greatest: u64,
}

/// Ascending with the value: negative numbers have negative buckets.
fn bucket_of(x: f64) -> i32 {
    let size = (x.abs().to_bits() >> REST) as i32;
    if x < 0.0 { -1 - size } else { size }
}

/// The middle of a bucket; zero for the one that holds zero.
fn middle(bucket: i32) -> f64 {
    let size = if bucket < 0 { -1 - bucket } else { bucket } as u64;
    let (low, high) = (f64::from_bits(size << REST), f64::from_bits((size + 1) << REST));
    let middle = if size == 0 { 0.0 } else { low + (high - low) / 2.0 };
    if bucket < 0 { -middle } else { middle }
}

impl Buckets {
    fn of(values: &[f64]) -> Buckets {
        let mut buckets = Buckets { counts: Vec::new(), least: f64::INFINITY.to_bits(), greatest: f64::NEG_INFINITY.to_bits() };
        values.iter().for_each(|x| buckets.add(*x));
        buckets
    }

    fn add(&mut self, x: f64) {
        self.least = f64::from_bits(self.least).min(x).to_bits();
        self.greatest = f64::from_bits(self.greatest).max(x).to_bits();
        let bucket = bucket_of(x);
        match self.counts.binary_search_by_key(&bucket, |c| c.0) {
            Ok(i) => self.counts[i].1 += 1,
            Err(i) => {
                self.counts.insert(i, (bucket, 1));
                if self.counts.len() > MAX_BUCKETS {
                    self.collapse();
                }
            }
        }
    }

    /// The bucket nearest zero goes into its neighbour, on the side that has more of them.
    fn collapse(&mut self) {
        let zero = self.counts.partition_point(|c| c.0 < 0);
        let (from, to) = if zero > self.counts.len() / 2 { (zero - 1, zero - 2) } else { (zero, zero + 1) };
        self.counts[to].1 += self.counts[from].1;
        self.counts.remove(from);
    }

    fn fold(&mut self, other: &Buckets) {
        self.least = f64::from_bits(self.least).min(f64::from_bits(other.least)).to_bits();
        self.greatest = f64::from_bits(self.greatest).max(f64::from_bits(other.greatest)).to_bits();
        let mut merged: Vec<(i32, u64)> = Vec::with_capacity(self.counts.len().max(other.counts.len()));
        let (mut a, mut b) = (self.counts.iter().peekable(), other.counts.iter().peekable());
        while let Some(next) = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.0 <= y.0 => a.next(),
            (Some(_), None) => a.next(),
            _ => b.next(),
        } {
            match merged.last_mut() {
                Some(last) if last.0 == next.0 => last.1 += next.1,
                _ => merged.push(*next),
            }
        }
        self.counts = merged;
    }

    fn quantile(&self, q: f64) -> Option<f64> {
        let n: u64 = self.counts.iter().map(|c| c.1).sum();
        let rank = (q * n as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let (bucket, _) = self.counts.iter().find(|(_, count)| {
            below += count;
            below >= rank.min(n)
        })?;
        Some(middle(*bucket).clamp(f64::from_bits(self.least), f64::from_bits(self.greatest)))
    }
}

impl Default for Values {
    fn default() -> Values {
        Values::Exact(Vec::new())
    }
}

impl Values {
    #[inline]
    pub fn add(&mut self, x: f64) {
        match self {
            Values::Exact(values) if values.len() < EXACT => values.push(x),
            _ => self.add_more(x),
        }
    }

    #[cold]
    fn add_more(&mut self, x: f64) {
        if let Values::Exact(values) = self {
            *self = Values::Sketch(Box::new(Buckets::of(values)));
        }
        if let Values::Sketch(buckets) = self {
            buckets.add(x);
        }
    }

    /// Folds another partition's values in: exact where both are.
    pub fn fold(&mut self, other: &Values) {
        match (&mut *self, other) {
            (Values::Exact(a), Values::Exact(b)) => a.extend_from_slice(b),
            (Values::Sketch(a), Values::Sketch(b)) => a.fold(b),
            (Values::Sketch(a), Values::Exact(b)) => b.iter().for_each(|x| a.add(*x)),
            (Values::Exact(a), Values::Sketch(b)) => {
                let mut both = b.clone();
                a.iter().for_each(|x| both.add(*x));
                *self = Values::Sketch(both);
            }
        }
    }

    /// Puts values in order; quantiles are read after it.
    pub fn settle(&mut self) {
        if let Values::Exact(values) = self {
            values.sort_unstable_by(f64::total_cmp);
        }
    }

    /// The value at rank ceil(q·n), counted from 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        match self {
            Values::Exact(v) => {
                let rank = (q * v.len() as f64).ceil().max(1.0) as usize;
                v.get(rank.min(v.len()).wrapping_sub(1)).copied()
            }
            Values::Sketch(buckets) => buckets.quantile(q),
        }
    }

    pub fn is_sketch(&self) -> bool {
        matches!(self, Values::Sketch(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in no order, the same on every machine.
    fn scattered(n: usize, shape: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let next = |state: &mut u64| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            (*state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..n).map(|_| shape(next(&mut state))).collect()
    }

    #[test]
    fn r5_beyond_the_bound_within_one_percent() {
        for (name, shape) in [
            ("even", (|u| u * 1000.0) as fn(f64) -> f64),
            ("long tail", |u| 1.0 / (1.0 - u * 0.999_999)),
            ("both signs", |u| (u - 0.5) * 1e6),
            ("tiny", |u| u * 1e-9),
            ("whole", |u| (u * 50.0).floor()),
            ("the same", |_| 41.0),
        ] {
            for n in [1_025, 5_000, 60_000] {
                let values = scattered(n, shape);
                let mut whole = Values::default();
                values.iter().for_each(|x| whole.add(*x));
                assert!(whole.is_sketch());
                // by three partitions, one of them still exact, folded in any order
                let mut parts = [Values::default(), Values::default(), Values::default()];
                values.iter().enumerate().for_each(|(i, x)| parts[if i < 300 { 0 } else { 1 + i % 2 }].add(*x));
                let fold = |order: [usize; 3]| {
                    let mut folded = parts[order[0]].clone();
                    order[1..].iter().for_each(|i| folded.fold(&parts[*i]));
                    folded.settle();
                    folded
                };
                let folded = fold([0, 1, 2]);
                if n > 3_000 {
                    assert_eq!(folded, whole, "{name}: partitions change nothing");
                    assert_eq!(fold([2, 0, 1]), whole, "{name}");
                }
                let json = serde_json::to_string(&whole).unwrap();
                assert_eq!(serde_json::from_str::<Values>(&json).unwrap(), whole);
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                for q in [0.01, 0.25, 0.5, 0.9, 0.95, 0.99] {
                    let exact = sorted[((q * n as f64).ceil() as usize).max(1) - 1];
                    for found in [whole.quantile(q).unwrap(), folded.quantile(q).unwrap()] {
                        assert!((found - exact).abs() <= exact.abs() * 0.01, "{name}, {n}, p{q}: {found} for {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn d6_buckets_are_bounded() {
        let mut values = Values::default();
        // doubles of every size and sign
        for x in scattered(20_000, |u| f64::from_bits((u * u64::MAX as f64) as u64)) {
            if x.is_finite() {
                values.add(x);
            }
        }
        let Values::Sketch(buckets) = &values else { panic!("{values:?}") };
        assert_eq!(buckets.counts.len(), MAX_BUCKETS);
        assert!(buckets.counts.is_sorted());
        assert!(values.quantile(0.99).is_some_and(f64::is_finite));
    }
}
