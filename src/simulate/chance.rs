//! Chance from a seed: the same place in the same stream always gives the same numbers, whatever was asked before.
//!
//! Owns: [`Chance`], [`Draw`] (SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014).
//! Refuses to know: what the numbers are for. Only exact operations are used (no logarithm, no sine), so bits agree on every machine.
//!
//! Invariants
//! 1. `at(stream, a, b)` depends on the seed and its arguments only.
//!
//! Called by: the other files of `simulate`.

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A seed.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(mix(seed.wrapping_add(STEP)))
    }

    /// The numbers of one place: what for, which one, which turn.
    #[inline]
    pub fn at(self, stream: u64, a: i64, b: i64) -> Draw {
        let inner = mix(self.0 ^ stream.wrapping_mul(STEP));
        Draw(mix(mix(inner ^ a as u64).wrapping_add(STEP) ^ b as u64))
    }
}

/// Numbers one after another.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// 0 ≤ x < 1.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whole number, 0 ≤ x < n; 0 for n = 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// Whole number, from ≤ x < to.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from).max(0) as u64) as i64
    }

    /// Around 0, between -1 and 1: the sum of three, so the middle is likelier.
    #[inline]
    pub fn swing(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit()) / 1.5 - 1.0
    }

    /// One of them; the slice is not empty.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_always_gives_the_same() {
        let (one, two) = (Chance::new(1), Chance::new(2));
        assert_eq!(one.at(3, 4, 5).bits(), one.at(3, 4, 5).bits());
        let others = [two.at(3, 4, 5), one.at(4, 4, 5), one.at(3, 5, 5), one.at(3, 4, 6)];
        assert!(others.into_iter().all(|mut d| d.bits() != one.at(3, 4, 5).bits()));
        let mut draw = one.at(0, 0, 0);
        let many: Vec<f64> = (0..10_000).map(|_| draw.unit()).collect();
        assert!((many.iter().sum::<f64>() / 10_000.0 - 0.5).abs() < 0.02);
        assert!(many.iter().all(|x| (0.0..1.0).contains(x)));
        assert!((0..1000).all(|_| (-3..4).contains(&draw.between(-3, 4)) && draw.swing().abs() <= 1.0));
    }
}
