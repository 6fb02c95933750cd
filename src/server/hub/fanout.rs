//! Who gets which frame when: groups of clients with one scope, the pace of figures, the heartbeat.
//!
//! Owns: the board, the groups, the sequence on the wire, from where a client that comes back must be told figures again.
//! Refuses to know: clocks (`now` is handed in, a span since the hub's start), tasks, sockets.
//!
//! Invariants
//! 1. An alert change goes out in the call that applies its tick, to every client in scope, in order, once.
//! 2. The first change of figures in a scope goes out at once, further ones at most every [`PACE`], the newest of each.
//! 3. Every client gets a frame with health at least every [`HEARTBEAT`], as long as `wake` is called when `due` says.
//! 4. A frame is encoded once per scope. No call waits for a client; one that reaches its bound is dismissed, the others notice nothing.
//! 5. On the wire the sequence is 2 n + 1 where all up to tick change n has been told, and 2 n where figures are still held back: then all
//!    alert changes up to n have been told and all figures up to `settled(n)`. So a frame that tells something new never has the sequence
//!    of an earlier one, and a client that comes back misses nothing.
//! 6. An epoch names the building of the state and the scope, so a sequence never counts in another picture.
//!
//! Called by: hub (the task), tests with simulated time.

use super::seat::{Frames, Given, Seat, SeatLimits, seat};
use crate::server::board::{Applied, Board, BoardLimits, BoardTick, sees};
use crate::server::scope::Scope;
use crate::server::wire::{AlertView, ByeReason, Resume, ServerMessage, Snapshot, Update};
use axum::extract::ws::Utf8Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Figures of one scope go out at most this often.
pub const PACE: Duration = Duration::from_millis(250);
/// A client hears something at least this often; the protocol promises a second.
pub const HEARTBEAT: Duration = Duration::from_millis(900);
/// So many tick changes back can a client come back to.
const SETTLED_KEPT: usize = 65_536;

/// What the hub has done since its start; for metrics.
#[derive(Debug, Default)]
pub struct HubCounters {
    pub clients: AtomicU64,
    pub scopes: AtomicU64,
    pub frames_encoded: AtomicU64,
    pub frames_queued: AtomicU64,
    pub bytes_queued: AtomicU64,
    pub closed_slow: AtomicU64,
    pub snapshots: AtomicU64,
    pub resumes: AtomicU64,
    pub figures_dropped: AtomicU64,
    pub alerts_dropped: AtomicU64,
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// What a client starts with.
#[derive(Debug)]
pub struct Joined {
    pub epoch: String,
    pub first: First,
    pub frames: Frames,
}

#[derive(Debug, PartialEq)]
pub enum First {
    Snapshot(Snapshot),
    /// The client's sequence still counts: what it missed.
    Resumed(Update),
}

#[derive(Debug)]
struct Group {
    scope: Scope,
    /// With the sequence that each began with.
    seats: Vec<(u64, Seat)>,
    /// Figures in scope have changed since `flushed`.
    pending: bool,
    /// All figures that changed up to this tick change have gone out.
    flushed: u64,
    last_flush: Option<Duration>,
    last_health: Duration,
}

#[derive(Debug)]
pub struct Fanout {
    board: Board,
    building: String,
    seats: SeatLimits,
    groups: BTreeMap<String, Group>,
    settled: Settled,
    counters: Arc<HubCounters>,
}

impl Fanout {
    /// `building` names this building of the state: another one at every start.
    pub fn new(board: BoardLimits, seats: SeatLimits, building: String, counters: Arc<HubCounters>) -> Fanout {
        Fanout { board: Board::new(board), building, seats, groups: BTreeMap::new(), settled: Settled::default(), counters }
    }

    pub fn board(&self) -> &Board {
        &self.board
    }

    pub fn apply(&mut self, now: Duration, tick: &BoardTick) {
        let applied = self.board.apply(tick);
        let seq = self.board.seq();
        for group in self.groups.values_mut() {
            let alerts = tick.alerts.iter().filter(|alert| group.scope.sees_alert(alert)).cloned().collect();
            group.pending = group.pending || touches(&group.scope, tick, &applied);
            group.send(now, &self.board, alerts, &self.counters);
        }
        if applied.changed {
            self.settled.push(seq, self.groups.values().map(|group| group.flushed).min().unwrap_or(seq));
        }
        self.leave_empty_groups();
        let counts = self.board.counts();
        self.counters.figures_dropped.store(counts.figures_dropped, Ordering::Relaxed);
        self.counters.alerts_dropped.store(counts.alerts_dropped, Ordering::Relaxed);
    }

    /// Sends what has become due: figures that were held back, heartbeats.
    pub fn wake(&mut self, now: Duration) {
        for group in self.groups.values_mut() {
            group.send(now, &self.board, Vec::new(), &self.counters);
        }
        self.leave_empty_groups();
    }

    /// When `wake` has something to do next.
    pub fn due(&self) -> Option<Duration> {
        self.groups.values().map(Group::due).min()
    }

    pub fn join(&mut self, now: Duration, scope: &Scope, resume: Option<&Resume>) -> Joined {
        let name = scope.name();
        let epoch = format!("{}-{name}", self.building);
        let missed = resume.filter(|resume| resume.epoch == epoch).and_then(|resume| self.missed(scope, resume.seq));
        let first = match missed {
            Some(update) => {
                add(&self.counters.resumes, 1);
                First::Resumed(update)
            }
            None => {
                add(&self.counters.snapshots, 1);
                let mut snapshot = self.board.snapshot(scope);
                snapshot.seq = self.complete();
                First::Snapshot(snapshot)
            }
        };
        let (giving, frames) = seat(self.seats);
        let (seq, since) = (self.board.seq(), self.complete());
        let group = self.groups.entry(name).or_insert_with(|| Group::new(scope.clone(), seq, now));
        group.seats.push((since, giving));
        self.count_clients();
        Joined { epoch, first, frames }
    }

    /// The sequence on the wire of somebody who has been told all.
    fn complete(&self) -> u64 {
        2 * self.board.seq() + 1
    }

    /// What a client of this scope has missed that applied `wire` last; `None`: a snapshot is needed.
    fn missed(&self, scope: &Scope, wire: u64) -> Option<Update> {
        let seq = wire / 2;
        if seq > self.board.seq() {
            return None;
        }
        let figures_from = if wire % 2 == 1 { seq } else { self.settled.of(seq)? };
        Some(Update {
            seq: self.complete(),
            tick: self.board.tick(),
            alerts: self.board.alerts_since(scope, seq)?,
            figures: self.board.figures_since(scope, figures_from),
            health: Some(self.board.health(scope)),
        })
    }

    pub fn dismiss_all(&mut self, reason: ByeReason) {
        for mut group in std::mem::take(&mut self.groups).into_values() {
            group.seats.iter_mut().for_each(|(_, seat)| seat.dismiss(reason));
        }
        self.count_clients();
    }

    fn leave_empty_groups(&mut self) {
        self.groups.retain(|_, group| !group.seats.is_empty());
        self.count_clients();
    }

    fn count_clients(&self) {
        let clients: usize = self.groups.values().map(|group| group.seats.len()).sum();
        self.counters.clients.store(clients as u64, Ordering::Relaxed);
        self.counters.scopes.store(self.groups.len() as u64, Ordering::Relaxed);
    }
}

fn touches(scope: &Scope, tick: &BoardTick, applied: &Applied) -> bool {
    tick.rows.iter().zip(&applied.rows).any(|(row, shown)| *shown && sees(scope, &row.sector, &row.view))
}

impl Group {
    fn new(scope: Scope, seq: u64, now: Duration) -> Group {
        Group { scope, seats: Vec::new(), pending: false, flushed: seq, last_flush: None, last_health: now }
    }

    fn flush_at(&self) -> Duration {
        self.last_flush.map_or(Duration::ZERO, |last| last + PACE)
    }

    fn due(&self) -> Duration {
        let heartbeat = self.last_health + HEARTBEAT;
        if self.pending { heartbeat.min(self.flush_at()) } else { heartbeat }
    }

    fn send(&mut self, now: Duration, board: &Board, alerts: Vec<Arc<AlertView>>, counters: &HubCounters) {
        let mut figures = Vec::new();
        if self.pending && now >= self.flush_at() {
            figures = board.figures_since(&self.scope, self.flushed);
            self.pending = false;
            self.last_flush = Some(now);
        }
        if !self.pending {
            self.flushed = board.seq();
        }
        let health = (now >= self.last_health + HEARTBEAT).then(|| board.health(&self.scope));
        if alerts.is_empty() && figures.is_empty() && health.is_none() {
            return;
        }
        if health.is_some() {
            self.last_health = now;
        }
        let carries = !alerts.is_empty() || !figures.is_empty();
        let seq = 2 * board.seq() + u64::from(!self.pending);
        // Who came while figures were held back has them from the first picture: of this frame they need no more than the heartbeat.
        let ahead = |since: u64| seq < since || (seq == since && carries);
        let tick = board.tick();
        let mut bare = None;
        if health.is_some() && self.seats.iter().any(|(since, _)| ahead(*since)) {
            let seq = 2 * board.seq() + 1;
            bare = encode(&ServerMessage::Update(Update { seq, tick, alerts: Vec::new(), figures: Vec::new(), health: health.clone() }));
        }
        let Some(frame) = encode(&ServerMessage::Update(Update { seq, tick, alerts, figures, health })) else { return };
        add(&counters.frames_encoded, 1 + u64::from(bare.is_some()));
        self.seats.retain_mut(|(since, seat)| match (ahead(*since), &bare) {
            (false, _) => hand_over(seat, &frame, counters),
            (true, Some(bare)) => hand_over(seat, bare, counters),
            (true, None) => true,
        });
    }
}

/// Whether the client stays.
fn hand_over(seat: &mut Seat, frame: &Utf8Bytes, counters: &HubCounters) -> bool {
    match seat.give(frame) {
        Given::Queued => {
            add(&counters.frames_queued, 1);
            add(&counters.bytes_queued, frame.as_str().len() as u64);
            true
        }
        Given::Slow => {
            add(&counters.closed_slow, 1);
            false
        }
        Given::Gone => false,
    }
}

/// One text frame; `None` never happens for these types, and would be logged.
pub fn encode(message: &ServerMessage) -> Option<Utf8Bytes> {
    match serde_json::to_string(message) {
        Ok(text) => Some(text.into()),
        Err(error) => {
            tracing::error!(%error, "a frame could not be written as JSON; it is left out");
            None
        }
    }
}

/// By tick change: the figures up to which change had gone out to everybody when it had been applied.
#[derive(Debug, Default)]
struct Settled {
    /// Tick change of the first entry.
    first: u64,
    entries: VecDeque<u64>,
}

impl Settled {
    fn push(&mut self, seq: u64, through: u64) {
        if self.entries.is_empty() {
            self.first = seq;
        }
        self.entries.push_back(through);
        if self.entries.len() > SETTLED_KEPT {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    fn of(&self, seq: u64) -> Option<u64> {
        if seq == 0 {
            return Some(0);
        }
        let index = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.entries.get(index).copied()
    }
}

#[cfg(test)]
#[path = "fanout_tests.rs"]
mod tests;
