//! How long to wait before trying again.
//!
//! Owns: exponential back-off with full jitter, so that clients that failed together do not come back together (AWS Architecture Blog,
//! "Exponential Backoff And Jitter", 2015). Refuses to know: what failed.
//!
//! Invariants
//! 1. A pause is at least what the server asked for, at most the greatest one otherwise.
//!
//! Called by: store::influx.

use std::time::Duration;

/// No server may ask for more.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    greatest: Duration,
    failures: u32,
    /// xorshift64*, never 0.
    random: u64,
}

impl Backoff {
    /// Seeded by the system's random numbers.
    pub fn new(first: Duration, greatest: Duration) -> Backoff {
        let mut seed = [0; 8];
        // without random numbers pauses are merely alike
        let _ = getrandom::fill(&mut seed);
        Backoff::seeded(first, greatest, u64::from_le_bytes(seed))
    }

    pub fn seeded(first: Duration, greatest: Duration, seed: u64) -> Backoff {
        Backoff { first, greatest, failures: 0, random: seed | 1 }
    }

    /// After a failure: a random part of `first * 2^failures`, capped; `asked` is the server's `Retry-After`.
    pub fn next_pause(&mut self, asked: Option<Duration>) -> Duration {
        let ceiling = self.first.saturating_mul(1 << self.failures.min(20)).min(self.greatest);
        self.failures = self.failures.saturating_add(1);
        let jittered = ceiling.mul_f64(self.share());
        asked.map_or(jittered, |asked| asked.min(LONGEST_ASKED) + jittered.min(self.first))
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    fn share(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_greatest_and_spread() {
        let (first, greatest) = (Duration::from_millis(250), Duration::from_secs(30));
        let mut ceilings = [Duration::ZERO; 12];
        for seed in 0..400 {
            let mut backoff = Backoff::seeded(first, greatest, seed * 7919);
            for ceiling in &mut ceilings {
                let pause = backoff.next_pause(None);
                *ceiling = (*ceiling).max(pause);
            }
            backoff.succeeded();
            assert!(backoff.next_pause(None) <= first);
        }
        for (n, ceiling) in ceilings.iter().enumerate() {
            let most = (first * (1 << n)).min(greatest);
            assert!(*ceiling <= most && *ceiling > most / 2, "{n}: {ceiling:?} of {most:?}");
        }
    }

    #[test]
    fn what_the_server_asks_for_is_kept() {
        let mut backoff = Backoff::seeded(Duration::from_millis(10), Duration::from_millis(20), 3);
        let pause = backoff.next_pause(Some(Duration::from_secs(7)));
        assert!((7_000..=7_010).contains(&(pause.as_millis() as u64)), "{pause:?}");
        assert!(backoff.next_pause(Some(Duration::MAX)) < Duration::from_secs(301));
    }
}
