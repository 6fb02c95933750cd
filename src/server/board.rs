//! The live picture: the newest figure of each measurement and key, the alerts that stand or stood a while ago, health.
//!
//! Owns: what is in the picture, the sequence, how far back alert changes can be told again. Refuses to know: sockets, clients, clocks, the engine.
//!
//! Invariants
//! 1. Pure: the same ticks give the same sequence and the same updates (R3). Iteration is ordered.
//! 2. The sequence rises by one with each tick that changes a figure or an alert; a tick without effect leaves it.
//! 3. Updates are absolute. `apply` of `update_since(s)` to the picture at `s` gives the picture now.
//! 4. Everything is bounded (D6): figures, alerts, the ring of alert changes; what leaves at a bound is counted.
//! 5. A tick costs O(changed + leaving), never O(held) (D7).
//! 6. When an alert leaves is decided by the alert and tick time alone ([`leaves_at`]), so that clients need no message for it.
//!
//! Called by: hub (owns one), tests.

use crate::server::scope::{HealthInput, Scope};
use crate::server::wire::{AlertView, Condition, FigureView, Handling, HealthView, Snapshot, TickView, Update};
use hashbrown::HashTable;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Resolved and handled, or closed: gone this long after, in ms of tick time.
pub const KEEP_SETTLED_MS: i64 = 15 * 60 * 1000;
/// Resolved, but nobody has handled it: gone this long after, in ms of tick time.
pub const KEEP_UNHANDLED_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Copy, Debug)]
pub struct BoardLimits {
    pub figures: usize,
    pub alerts: usize,
    /// Alert changes kept for clients that come back.
    pub ring: usize,
}

impl Default for BoardLimits {
    fn default() -> Self {
        BoardLimits { figures: 200_000, alerts: 50_000, ring: 4_096 }
    }
}

/// What one committed tick brought, as views. The driver makes it after the journal record is durable (D2).
#[derive(Clone, Debug, Default)]
pub struct BoardTick {
    pub tick: TickView,
    pub rows: Vec<FigureInput>,
    /// Whole alerts after each change, in order; their scope is their `sector` and `area`. `version` rises with each change.
    pub alerts: Vec<Arc<AlertView>>,
    /// `None`: as before.
    pub health: Option<Arc<HealthInput>>,
}

/// A row as it is shown. Its scope is `sector` (the pipeline's) and `view.area`: the located area, else the registered area of its
/// source; `None` is outside every area.
#[derive(Clone, Debug)]
pub struct FigureInput {
    pub sector: Arc<str>,
    pub view: Arc<FigureView>,
}

/// What was left out because a bound was reached, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardCounts {
    pub figures_dropped: u64,
    pub alerts_dropped: u64,
    /// Rows of windows older than the one shown.
    pub rows_older: u64,
}

/// What a tick changed, for those who pass it on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The sequence rose.
    pub changed: bool,
    /// By index in `BoardTick::rows`: it is now in the picture.
    pub rows: Vec<bool>,
}

#[derive(Debug)]
struct Figure {
    /// Sequence of its last change, and its place among the rows of that tick: the order in which figures are told is the tick's own (R3).
    changed: (u64, u32),
    sector: Arc<str>,
    view: Arc<FigureView>,
}

#[derive(Debug)]
struct Change {
    seq: u64,
    alert: Arc<AlertView>,
}

#[derive(Debug)]
pub struct Board {
    limits: BoardLimits,
    seq: u64,
    tick: TickView,
    health: Arc<HealthInput>,
    figures: Figures,
    alerts: BTreeMap<String, Arc<AlertView>>,
    /// (when it leaves, last change, id): the order in which alerts leave; those that stand come last.
    leaving: BTreeSet<(i64, i64, String)>,
    ring: VecDeque<Change>,
    /// Sequence of the newest alert change that the ring has lost.
    lost: u64,
    counts: BoardCounts,
}

impl Board {
    pub fn new(limits: BoardLimits) -> Board {
        Board {
            limits,
            seq: 0,
            tick: TickView::default(),
            health: Arc::default(),
            figures: Figures::default(),
            alerts: BTreeMap::new(),
            leaving: BTreeSet::new(),
            ring: VecDeque::new(),
            lost: 0,
            counts: BoardCounts::default(),
        }
    }

    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub fn tick(&self) -> TickView {
        self.tick
    }

    pub fn counts(&self) -> BoardCounts {
        self.counts
    }

    /// Figures and alerts held now.
    pub fn sizes(&self) -> (usize, usize) {
        (self.figures.by_change.len(), self.alerts.len())
    }

    pub fn apply(&mut self, input: &BoardTick) -> Applied {
        self.tick = input.tick;
        if let Some(health) = &input.health {
            self.health = health.clone();
        }
        let next = self.seq + 1;
        let rows: Vec<bool> = input.rows.iter().zip(0..).map(|(row, place)| self.put_figure((next, place), row)).collect();
        let changed = !input.alerts.is_empty() || rows.contains(&true);
        if changed {
            self.seq = next;
        }
        for alert in &input.alerts {
            self.put_alert(alert);
        }
        self.let_alerts_leave();
        Applied { changed, rows }
    }

    fn put_figure(&mut self, changed: (u64, u32), row: &FigureInput) -> bool {
        match self.figures.put(changed, row, self.limits.figures) {
            Put::Older => {
                self.counts.rows_older += 1;
                return false;
            }
            Put::Done { dropped } => self.counts.figures_dropped += u64::from(dropped),
        }
        true
    }

    fn put_alert(&mut self, alert: &Arc<AlertView>) {
        self.ring.push_back(Change { seq: self.seq, alert: alert.clone() });
        while self.ring.len() > self.limits.ring {
            self.lost = self.ring.pop_front().map_or(self.lost, |change| change.seq);
        }
        if let Some(before) = self.alerts.insert(alert.id.clone(), alert.clone()) {
            self.leaving.remove(&place(&before));
        }
        self.leaving.insert(place(alert));
    }

    fn let_alerts_leave(&mut self) {
        while let Some((when, _, _)) = self.leaving.first() {
            let due = *when <= self.tick.time;
            if !due && self.alerts.len() <= self.limits.alerts {
                break;
            }
            self.counts.alerts_dropped += u64::from(!due);
            if let Some((_, _, id)) = self.leaving.pop_first() {
                self.alerts.remove(&id);
            }
        }
    }

    /// The whole picture in scope.
    pub fn snapshot(&self, scope: &Scope) -> Snapshot {
        Snapshot {
            seq: self.seq,
            tick: self.tick,
            alerts: self.alerts(scope),
            figures: self.figures_since(scope, 0),
            health: self.health(scope),
        }
    }

    /// All alerts in the picture and in scope, in the order of their ids.
    pub fn alerts(&self, scope: &Scope) -> Vec<Arc<AlertView>> {
        self.alerts.values().filter(|alert| scope.sees_alert(alert)).cloned().collect()
    }

    pub fn alert(&self, id: &str) -> Option<&Arc<AlertView>> {
        self.alerts.get(id)
    }

    /// What changed after `seq`: each alert change in order, the newest of each changed figure. `None`: the ring does not reach, or
    /// there has been no such sequence.
    pub fn update_since(&self, scope: &Scope, seq: u64) -> Option<Update> {
        if seq > self.seq {
            return None;
        }
        Some(Update {
            seq: self.seq,
            tick: self.tick,
            alerts: self.alerts_since(scope, seq)?,
            figures: self.figures_since(scope, seq),
            health: Some(self.health(scope)),
        })
    }

    /// Each alert change after `seq` in scope, in order; `None`: the ring does not reach.
    pub fn alerts_since(&self, scope: &Scope, seq: u64) -> Option<Vec<Arc<AlertView>>> {
        if seq < self.lost {
            return None;
        }
        let first = self.ring.partition_point(|change| change.seq <= seq);
        let changes = self.ring.range(first..).map(|change| &change.alert);
        Some(changes.filter(|alert| scope.sees_alert(alert)).cloned().collect())
    }

    /// The figures in scope that changed after `seq`, oldest change first.
    pub fn figures_since(&self, scope: &Scope, seq: u64) -> Vec<Arc<FigureView>> {
        self.figures.since(seq).filter(|figure| sees(scope, &figure.sector, &figure.view)).map(|figure| figure.view.clone()).collect()
    }

    pub fn health(&self, scope: &Scope) -> HealthView {
        self.health.view(scope)
    }
}

/// Whether a row is in scope.
pub fn sees(scope: &Scope, sector: &str, view: &FigureView) -> bool {
    scope.sees(sector, view.area.as_ref().map(|area| area.code.as_str()))
}

fn place(alert: &AlertView) -> (i64, i64, String) {
    (leaves_at(alert).unwrap_or(i64::MAX), alert.changed, alert.id.clone())
}

/// Tick time, in ms, from which an alert is no longer in the picture; `None`: it stands. Clients apply the same rule.
pub fn leaves_at(alert: &AlertView) -> Option<i64> {
    let acted = alert.acted.or(alert.acknowledged.as_ref().map(|done| done.at));
    let handled = alert.resolved.max(acted).unwrap_or(alert.changed);
    match (alert.condition, alert.handling) {
        (Condition::Inactive, _) => Some(i64::MIN),
        (Condition::Resolved, Handling::New) => Some(alert.resolved.unwrap_or(alert.changed).saturating_add(KEEP_UNHANDLED_MS)),
        (Condition::Resolved, _) | (_, Handling::Closed) => Some(handled.saturating_add(KEEP_SETTLED_MS)),
        _ => None,
    }
}

/// Figures by (measurement, key) and by last change.
#[derive(Debug, Default)]
struct Figures {
    slots: Vec<Figure>,
    /// Slots by hash of (measurement, key): looked up, never iterated.
    index: HashTable<usize>,
    by_change: BTreeMap<(u64, u32), usize>,
}

enum Put {
    Done { dropped: bool },
    Older,
}

fn hash_of(view: &FigureView) -> u64 {
    foldhash::fast::FixedState::default().hash_one((&view.measurement, &view.key))
}

impl Figures {
    fn put(&mut self, changed: (u64, u32), row: &FigureInput, limit: usize) -> Put {
        let hash = hash_of(&row.view);
        let same = |slot: &usize| {
            let held = &self.slots[*slot].view;
            held.measurement == row.view.measurement && held.key == row.view.key
        };
        if let Some(&slot) = self.index.find(hash, same) {
            let held = &mut self.slots[slot];
            if (row.view.start, row.view.revision) < (held.view.start, held.view.revision) {
                return Put::Older;
            }
            self.by_change.remove(&held.changed);
            *held = Figure { changed, sector: row.sector.clone(), view: row.view.clone() };
            self.by_change.insert(changed, slot);
            return Put::Done { dropped: false };
        }
        let figure = Figure { changed, sector: row.sector.clone(), view: row.view.clone() };
        let oldest = if self.slots.len() >= limit { self.by_change.pop_first() } else { None };
        let slot = match oldest {
            Some((_, oldest)) => {
                let old = hash_of(&self.slots[oldest].view);
                if let Ok(entry) = self.index.find_entry(old, |slot| *slot == oldest) {
                    entry.remove();
                }
                self.slots[oldest] = figure;
                oldest
            }
            None => {
                self.slots.push(figure);
                self.slots.len() - 1
            }
        };
        self.by_change.insert(changed, slot);
        self.index.insert_unique(hash, slot, |slot| hash_of(&self.slots[*slot].view));
        Put::Done { dropped: oldest.is_some() }
    }

    fn since(&self, seq: u64) -> impl Iterator<Item = &Figure> {
        self.by_change.range((seq.saturating_add(1), 0)..).map(|(_, slot)| &self.slots[*slot])
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
