//! Who is asking: tokens, sessions, open access.
//!
//! Owns: [`Access`], the answer to "who is this, and may they come in". Refuses to know: routes, frames, what a scope contains.
//!
//! Invariants
//! 1. Without any token, access is open, on loopback only; once a token has been seen, this process is never open again.
//! 2. Tokens and session ids are compared by their sha256, in constant time where they are walked.
//! 3. A revoked or expired token ends its sessions: they are looked up anew with each request and every few seconds by open sockets.
//! 4. A file of tokens that cannot be read changes nothing: those read before stay in force.
//! 5. The clock is handed in.
//!
//! Called by: api (requests), ws, cli (`may_listen`, tokens), the composition root.

pub mod session;
pub mod tokens;

use crate::server::wire::{Me, Role};
use crate::time::Timestamp;
use session::{Failures, Sessions};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use subtle::ConstantTimeEq;
use tokens::{TokenError, TokenHash, TokenRecord};

/// The wall clock, from the composition root.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The file of tokens is looked at again after so long, in ms.
const LOOK_AGAIN_MS: i64 = 2_000;

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// No token exists; loopback.
    Open,
    Cookie,
    Bearer,
}

/// What was presented. It can be presented again, to see whether it still holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Pass {
    Open,
    Session(String),
    Token(TokenHash),
}

/// Somebody who came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    pub me: Me,
    pub via: Via,
    /// May send events.
    pub may_feed: bool,
    /// May read; a machine that sends events sees nothing.
    pub may_read: bool,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignInError {
    #[error("this token is not known")]
    Unknown,
    #[error("too many failed sign-ins; wait {seconds} s")]
    TooMany { seconds: u64 },
    #[error("the system gives no random bytes")]
    Random,
}

/// Why the server must not listen there, with the way out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{address} can be reached from other machines, and no token exists: anybody could read and act.\n\
     Make one:      ioc token create --role operator --name \"duty desk\"\n\
     or listen on:  127.0.0.1:{port}"
)]
pub struct ListenRefused {
    address: SocketAddr,
    port: u16,
}

/// Beyond loopback only with at least one token in force.
pub fn may_listen(address: SocketAddr, tokens: &[TokenRecord], now: Timestamp) -> Result<(), ListenRefused> {
    if is_loopback(address.ip()) || tokens.iter().any(|token| !token.is_expired(now)) {
        return Ok(());
    }
    Err(ListenRefused { address, port: address.port() })
}

pub fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(v6) => v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
        IpAddr::V4(v4) => v4.is_loopback(),
    }
}

pub struct Access {
    folder: PathBuf,
    may_be_open: bool,
    clock: WallClock,
    state: Mutex<State>,
}

struct State {
    tokens: Vec<(TokenHash, TokenRecord)>,
    seen_tokens: bool,
    stamp: Option<(SystemTime, u64)>,
    looked: i64,
    sessions: Sessions,
    /// Failed sign-ins, and requests with a token that is not known.
    sign_ins: Failures,
    bearers: Failures,
}

impl Access {
    /// `may_be_open`: the server listens on loopback only and no proxy stands before it.
    pub fn load(folder: &Path, may_be_open: bool, clock: WallClock) -> Result<Access, TokenError> {
        let stamp = stamp(folder);
        let tokens = with_hashes(tokens::list(folder)?);
        let seen_tokens = !tokens.is_empty();
        let looked = clock().millis();
        let (sessions, sign_ins, bearers) = (Sessions::default(), Failures::default(), Failures::default());
        let state = State { tokens, seen_tokens, stamp, looked, sessions, sign_ins, bearers };
        Ok(Access { folder: folder.to_owned(), may_be_open, clock, state: Mutex::new(state) })
    }

    pub fn is_open(&self) -> bool {
        self.with(|state, _| self.may_be_open && !state.seen_tokens)
    }

    /// The wall clock that was handed in.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Exchanges a token for a session id.
    pub fn sign_in(&self, address: IpAddr, token: &str) -> Result<String, SignInError> {
        self.with(|state, now| {
            state.sign_ins.check(address, now).map_err(too_many)?;
            let hash = tokens::hash(token);
            if state.record(&hash, now).is_none() {
                state.sign_ins.count(address, now);
                return Err(SignInError::Unknown);
            }
            let ends = state.record(&hash, now).and_then(|record| record.expires);
            state.sessions.begin(hash, ends, now).map_err(|_| SignInError::Random)
        })
    }

    pub fn sign_out(&self, session: &str) {
        self.with(|state, _| state.sessions.end(session));
    }

    /// A token as an API client presents it with each request. A right one is always heard: one machine with an old token must not shut
    /// out the others at its address.
    pub fn check_bearer(&self, address: IpAddr, token: &str) -> Result<Pass, SignInError> {
        self.with(|state, now| {
            let hash = tokens::hash(token);
            if state.record(&hash, now).is_some() {
                return Ok(Pass::Token(hash));
            }
            state.bearers.check(address, now).map_err(too_many)?;
            state.bearers.count(address, now);
            Err(SignInError::Unknown)
        })
    }

    /// Who stands behind a pass; `None`: it no longer holds.
    pub fn admit(&self, pass: &Pass) -> Option<Guest> {
        self.with(|state, now| match pass {
            Pass::Open => (self.may_be_open && !state.seen_tokens).then(open_guest),
            Pass::Session(id) => {
                let hash = state.sessions.token(id, now)?;
                state.record(&hash, now).map(|record| guest(record, Via::Cookie))
            }
            Pass::Token(hash) => state.record(hash, now).map(|record| guest(record, Via::Bearer)),
        })
    }

    fn with<T>(&self, ask: impl FnOnce(&mut State, i64) -> T) -> T {
        let now = (self.clock)().millis();
        // A panic while the lock was held leaves no half-made state: every change is one insertion or removal.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.look_again(&self.folder, now);
        ask(&mut state, now)
    }
}

impl State {
    fn look_again(&mut self, folder: &Path, now: i64) {
        if (now - self.looked).abs() < LOOK_AGAIN_MS {
            return;
        }
        self.looked = now;
        let stamp = stamp(folder);
        if stamp == self.stamp {
            return;
        }
        match tokens::list(folder) {
            Ok(tokens) => {
                self.tokens = with_hashes(tokens);
                self.seen_tokens |= !self.tokens.is_empty();
                self.stamp = stamp;
            }
            Err(error) => tracing::error!(%error, "the tokens read before stay in force"),
        }
    }

    /// Walks all tokens, whichever it is.
    fn record(&self, hash: &TokenHash, now: i64) -> Option<&TokenRecord> {
        let mut found = None;
        for (held, record) in &self.tokens {
            if bool::from(held.ct_eq(hash)) {
                found = Some(record);
            }
        }
        found.filter(|record| !record.is_expired(Timestamp::from_millis(now)))
    }
}

fn too_many(ms: i64) -> SignInError {
    SignInError::TooMany { seconds: ms.unsigned_abs().div_ceil(1000) }
}

fn stamp(folder: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(folder.join(tokens::FILE)).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// A record whose hash is no hash can never be presented; it still counts as a token.
fn with_hashes(records: Vec<TokenRecord>) -> Vec<(TokenHash, TokenRecord)> {
    let decode = |text: &str| -> Option<TokenHash> {
        let mut hash = [0u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (i, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(hash)
    };
    records
        .into_iter()
        .map(|record| {
            let hash = decode(&record.hash).unwrap_or_else(|| {
                tracing::error!(token = %record.name, "the hash of this token cannot be read; make a new token");
                [0; 32]
            });
            (hash, record)
        })
        .collect()
}

fn open_guest() -> Guest {
    let me = Me { name: String::new(), role: Role::Operator, areas: vec![], sectors: vec![], may_act: true };
    Guest { me, via: Via::Open, may_feed: true, may_read: true }
}

fn guest(record: &TokenRecord, via: Via) -> Guest {
    let may_act = matches!(record.role, Role::Operator | Role::Local | Role::Admin);
    let me = Me { name: record.name.clone(), role: record.role, areas: record.areas.clone(), sectors: record.sectors.clone(), may_act };
    Guest { me, via, may_feed: matches!(record.role, Role::Source | Role::Admin), may_read: record.role != Role::Source }
}

#[cfg(test)]
mod tests;
