//! Who is signed in, and who failed to.
//!
//! Owns: sessions in memory, the count of failed sign-ins. Refuses to know: files, requests, roles.
//!
//! Invariants
//! 1. A session id is 256 random bits of its own; only its sha256 is kept, here, and gone with the process.
//! 2. Both tables are bounded; the oldest leaves first.
//! 3. After [`FAILURES`] failures from one address within [`FAILURE_SPAN_MS`], that address is not heard until the span is over.
//!
//! Called by: auth.

use super::tokens::{TokenHash, hash, random_text};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// A session lasts at most so long, in ms.
pub const LASTS_MS: i64 = 7 * 24 * 60 * 60 * 1000;
const MOST_SESSIONS: usize = 10_000;
pub const FAILURES: u32 = 10;
pub const FAILURE_SPAN_MS: i64 = 60_000;
const MOST_ADDRESSES: usize = 10_000;

#[derive(Debug)]
struct Session {
    token: TokenHash,
    ends: i64,
}

#[derive(Debug, Default)]
pub struct Sessions {
    by_hash: BTreeMap<TokenHash, Session>,
}

impl Sessions {
    /// A new session of the token; `token_ends` cuts it short.
    pub fn begin(&mut self, token: TokenHash, token_ends: Option<i64>, now: i64) -> Result<String, getrandom::Error> {
        if self.by_hash.len() >= MOST_SESSIONS {
            self.by_hash.retain(|_, session| session.ends > now);
        }
        if self.by_hash.len() >= MOST_SESSIONS
            && let Some(first) = self.by_hash.iter().min_by_key(|(_, session)| session.ends).map(|(id, _)| *id)
        {
            self.by_hash.remove(&first);
        }
        let id = random_text()?;
        let ends = token_ends.unwrap_or(i64::MAX).min(now.saturating_add(LASTS_MS));
        self.by_hash.insert(hash(&id), Session { token, ends });
        Ok(id)
    }

    /// The token behind a session. Looked up by the id's hash, so the time it takes says nothing of the id.
    pub fn token(&self, id: &str, now: i64) -> Option<TokenHash> {
        self.by_hash.get(&hash(id)).filter(|session| session.ends > now).map(|session| session.token)
    }

    pub fn end(&mut self, id: &str) {
        self.by_hash.remove(&hash(id));
    }
}

#[derive(Debug, Default)]
pub struct Failures {
    /// (start of the span, failures in it).
    by_address: HashMap<IpAddr, (i64, u32)>,
}

impl Failures {
    /// `Err`: ms until this address is heard again.
    pub fn check(&self, address: IpAddr, now: i64) -> Result<(), i64> {
        match self.by_address.get(&network(address)) {
            Some((start, count)) if *count >= FAILURES && now < start + FAILURE_SPAN_MS => Err(start + FAILURE_SPAN_MS - now),
            _ => Ok(()),
        }
    }

    pub fn count(&mut self, address: IpAddr, now: i64) {
        if self.by_address.len() >= MOST_ADDRESSES {
            self.by_address.retain(|_, (start, _)| now < *start + FAILURE_SPAN_MS);
        }
        if self.by_address.len() >= MOST_ADDRESSES
            && let Some(oldest) = self.by_address.iter().min_by_key(|(_, (start, _))| *start).map(|(address, _)| *address)
        {
            self.by_address.remove(&oldest);
        }
        let entry = self.by_address.entry(network(address)).or_insert((now, 0));
        if now >= entry.0 + FAILURE_SPAN_MS {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

/// Whoever has one IPv6 address has the other 2^64 - 1 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_with_its_time_its_token_and_by_hand() {
        let mut sessions = Sessions::default();
        let a = sessions.begin([1; 32], None, 0).unwrap();
        let b = sessions.begin([2; 32], Some(1_000), 0).unwrap();
        assert_ne!(a, b);
        assert_eq!((sessions.token(&a, 999), sessions.token(&b, 999)), (Some([1; 32]), Some([2; 32])));
        assert_eq!((sessions.token(&a, LASTS_MS), sessions.token(&b, 1_000)), (None, None));
        assert_eq!(sessions.token(&a, 0), Some([1; 32]));
        sessions.end(&a);
        assert_eq!(sessions.token(&a, 0), None);
    }

    #[test]
    fn sessions_and_failures_are_bounded() {
        let mut sessions = Sessions::default();
        let first = sessions.begin([0; 32], None, 0).unwrap();
        for n in 0..MOST_SESSIONS {
            sessions.begin([1; 32], None, 1 + n as i64).unwrap();
        }
        assert_eq!((sessions.by_hash.len(), sessions.token(&first, 1)), (MOST_SESSIONS, None));
        let mut failures = Failures::default();
        for n in 0..MOST_ADDRESSES as u32 + 50 {
            failures.count(IpAddr::V4(n.into()), i64::from(n % 7));
        }
        assert_eq!(failures.by_address.len(), MOST_ADDRESSES);
    }

    #[test]
    fn an_address_that_fails_too_often_waits() {
        let mut failures = Failures::default();
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        for _ in 0..FAILURES {
            assert_eq!(failures.check(address, 5), Ok(()));
            failures.count(address, 5);
        }
        assert_eq!(failures.check(neighbour, 65), Err(FAILURE_SPAN_MS - 60));
        assert_eq!(failures.check("10.0.0.1".parse().unwrap(), 65), Ok(()));
        assert_eq!(failures.check(address, 5 + FAILURE_SPAN_MS), Ok(()));
    }
}
