//! How many different values: each up to a bound, beyond it a sketch (R5).
//!
//! Owns: [`Distinct`], what makes two values the same. Refuses to know: keys, partitions.
//!
//! Invariants
//! 1. Up to [`EXACT`] different values of a window, key and partition every one is kept, as 64 bits of its hash: the number is exact.
//! 2. Beyond, 2^15 registers: a standard error of 0.6 %, always in 32 KiB.
//! 3. Adding and folding are associative, commutative and idempotent: order and copies change nothing.
//!
//! Source: Flajolet and others, "HyperLogLog" (2007); the estimate is Ertl's ("New cardinality estimation algorithms", 2017, algorithm 6).
//!
//! Called by: aggregate, collect.

use crate::pipeline::expr::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Different values that are kept one by one.
pub const EXACT: usize = 1_024;
/// Bits of a hash that choose the register.
const CHOOSE: u32 = 15;
const REGISTERS: usize = 1 << CHOOSE;
/// Highest number in a register: one more than the zeros that the rest of a hash can begin with.
const HIGHEST: usize = 64 - CHOOSE as usize + 1;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Distinct {
    /// Hashes, ascending.
    Exact(Vec<u64>),
    Sketch(Registers),
}

/// By the first bits of a hash: the most zeros that the rest began with, plus one.
#[derive(Clone, PartialEq, Debug)]
pub struct Registers(Box<[u8]>);

/// A register as a letter, so that a checkpoint holds one text and no list of 32,768 numbers.
const ZERO: u8 = b'0';

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0.iter().map(|r| char::from(ZERO + r)).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let register = |b: u8| b.checked_sub(ZERO).filter(|r| usize::from(*r) <= HIGHEST);
        let registers: Option<Vec<u8>> = text.bytes().map(register).collect();
        let registers = registers.filter(|r| r.len() == REGISTERS);
        registers.map(|r| Registers(r.into())).ok_or_else(|| serde::de::Error::custom("no registers of a sketch"))
    }
}

/// 64 bits that stand for a value; unknown is none.
#[inline]
pub fn hash_of(value: &Value<'_>) -> Option<u64> {
    Some(match value {
        Value::Unknown => return None,
        Value::Text(text) => xxh3_64_with_seed(text.as_bytes(), 1),
        // 0 and -0 are the same number
        Value::Num(n) => xxh3_64_with_seed(&(n + 0.0).to_bits().to_le_bytes(), 2),
        Value::Bool(b) => xxh3_64_with_seed(&[u8::from(*b)], 3),
        Value::Time(t) => xxh3_64_with_seed(&t.0.to_le_bytes(), 4),
    })
}

impl Registers {
    fn of(hashes: &[u64]) -> Registers {
        let mut registers = Registers(vec![0; REGISTERS].into());
        hashes.iter().for_each(|h| registers.add(*h));
        registers
    }

    fn add(&mut self, hash: u64) {
        let register = &mut self.0[(hash >> (64 - CHOOSE)) as usize];
        let zeros = (hash << CHOOSE).leading_zeros().min(64 - CHOOSE) as u8 + 1;
        *register = (*register).max(zeros);
    }

    fn estimate(&self) -> f64 {
        let m = REGISTERS as f64;
        let mut with = [0u32; HIGHEST + 1];
        self.0.iter().for_each(|r| with[usize::from(*r)] += 1);
        let mut z = m * tau(1.0 - f64::from(with[HIGHEST]) / m);
        for k in (1..HIGHEST).rev() {
            z = 0.5 * (z + f64::from(with[k]));
        }
        z += m * sigma(f64::from(with[0]) / m);
        m * m / (2.0 * std::f64::consts::LN_2 * z)
    }
}

fn sigma(x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut z) = (x, 1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut z) = (x, 1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct::Exact(Vec::new())
    }
}

impl Distinct {
    pub fn add(&mut self, hash: u64) {
        match self {
            Distinct::Sketch(registers) => registers.add(hash),
            Distinct::Exact(hashes) => {
                if let Err(place) = hashes.binary_search(&hash) {
                    hashes.insert(place, hash);
                    if hashes.len() > EXACT {
                        *self = Distinct::Sketch(Registers::of(hashes));
                    }
                }
            }
        }
    }

    /// Folds another partition's values in: exact where both are.
    pub fn fold(&mut self, other: &Distinct) {
        match (&mut *self, other) {
            (Distinct::Exact(a), Distinct::Exact(b)) => {
                a.extend_from_slice(b);
                a.sort_unstable();
                a.dedup();
            }
            (Distinct::Sketch(a), Distinct::Exact(b)) => b.iter().for_each(|h| a.add(*h)),
            (Distinct::Sketch(a), Distinct::Sketch(b)) => a.0.iter_mut().zip(&b.0).for_each(|(a, b)| *a = (*a).max(*b)),
            (Distinct::Exact(a), Distinct::Sketch(b)) => {
                let mut both = b.clone();
                a.iter().for_each(|h| both.add(*h));
                *self = Distinct::Sketch(both);
            }
        }
    }

    /// `None` without observations.
    pub fn count(&self) -> Option<f64> {
        match self {
            Distinct::Exact(hashes) if hashes.is_empty() => None,
            Distinct::Exact(hashes) => Some(hashes.len() as f64),
            Distinct::Sketch(registers) => Some(registers.estimate().round()),
        }
    }

    pub fn is_sketch(&self) -> bool {
        matches!(self, Distinct::Sketch(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: &str, i: usize) -> u64 {
        hash_of(&Value::Text(format!("{name}-{i}").into())).unwrap()
    }

    #[test]
    fn r5_exact_up_to_the_bound_and_within_two_percent_beyond() {
        for name in ["sensor", "TV-DAK-NONG", "urn:bus"] {
            for n in [1usize, 100, 1_024, 1_025, 2_000, 5_000, 20_000, 100_000, 700_000] {
                let (mut whole, mut parts) = (Distinct::default(), [Distinct::default(), Distinct::default(), Distinct::default()]);
                for i in 0..n {
                    whole.add(hash(name, i));
                    whole.add(hash(name, i / 2));
                    parts[if i < 500 { 0 } else { 1 + i % 2 }].add(hash(name, i));
                }
                let found = whole.count().unwrap();
                assert!((found - n as f64).abs() <= n as f64 * 0.02, "{n} of {name} are {found}");
                assert_eq!(whole.is_sketch(), n > 1_024);
                if n <= 1_024 {
                    assert_eq!(found, n as f64);
                }
                let fold = |order: [usize; 3]| {
                    let mut folded = parts[order[0]].clone();
                    order[1..].iter().for_each(|i| folded.fold(&parts[*i]));
                    folded
                };
                assert_eq!(fold([0, 1, 2]), fold([2, 1, 0]));
                assert_eq!(fold([0, 1, 2]), fold([1, 0, 2]));
                if n > 3_000 {
                    assert_eq!(fold([0, 1, 2]), whole, "partitions change nothing");
                }
            }
        }
    }

    #[test]
    fn a_sketch_reads_back() {
        let mut sketch = Distinct::default();
        (0..3_000).for_each(|i| sketch.add(hash("a", i)));
        sketch.add(0);
        let json = serde_json::to_string(&sketch).unwrap();
        assert!(json.len() < 40_000);
        assert_eq!(serde_json::from_str::<Distinct>(&json).unwrap(), sketch);
        assert!(serde_json::from_str::<Distinct>("\"000\"").is_err());
    }

    #[test]
    fn what_makes_two_values_the_same() {
        let of = |v: Value<'static>| hash_of(&v);
        assert_eq!(of(Value::Num(0.0)), of(Value::Num(-0.0)));
        assert_ne!(of(Value::Num(1.0)), of(Value::Text("1".into())));
        assert_ne!(of(Value::Bool(true)), of(Value::Text("true".into())));
        assert_eq!(of(Value::Unknown), None);
    }
}
