//! What was told of a key's alerts, and what has to be told so that it agrees with where the machine stands.
//!
//! Owns: the alerts told ([`Told`]), their identity across revisions, the changes that come of a difference ([`Move`]). Refuses to
//! know: how a stand came about, expressions, ids as bytes, ticks.
//!
//! Invariants
//! 1. At most one told alert of a key is open.
//! 2. A raised alert is never unsaid: it leaves firing and *no data* only to resolved (R7).
//! 3. What stands raised is told under one alert: the open one, else a closed one that it overlaps, else a new one.
//! 4. Telling the same stand again tells nothing.
//!
//! Called by: track.rs.

use super::machine::{Episode, Raised, Run, Seen, Stand, Terms, Timeline};
use crate::engine::{ChangeReason, Condition};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// An alert as others know it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    /// Start of its first true window when it was first told: its identity.
    pub first_start: Timestamp,
    /// End of the first true window as known now; goes out with the next change.
    pub since: Timestamp,
    /// The first and the least `since` it ever had.
    named: Timestamp,
    from: Timestamp,
    pub condition: Condition,
    /// The end at which it fired; `None`: only pending yet.
    fired: Option<Timestamp>,
    /// `None`: open.
    ended: Option<Timestamp>,
}

impl Told {
    fn new(run: Run) -> Self {
        let Run { first_start, since } = run;
        Told { first_start, since, named: since, from: since, condition: Condition::Inactive, fired: None, ended: None }
    }

    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// When no revision can concern it or its name any more; `None`: it is open.
    pub fn past(&self) -> Option<Timestamp> {
        self.ended.map(|ended| ended.max(self.named))
    }

    pub fn is_raised(&self) -> bool {
        self.fired.is_some()
    }

    /// Whether it and a run (`ended`: `None` for one that lasts) have any moment in common.
    pub fn overlaps(&self, run: Run, ended: Option<Timestamp>) -> bool {
        let until = match (self.ended, self.fired) {
            (None, _) => Timestamp::MAX,
            (Some(end), Some(fired)) => end.max(fired + Span(1)),
            (Some(end), None) => end,
        };
        self.first_start == run.first_start || (run.since < until && self.from < ended.unwrap_or(Timestamp::MAX))
    }

    fn follow(&mut self, run: Run) {
        self.since = run.since;
        self.from = self.from.min(run.since);
    }
}

/// A change to tell, with the row that decided it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Move {
    pub first_start: Timestamp,
    pub since: Timestamp,
    pub from: Condition,
    pub to: Condition,
    pub at: Timestamp,
    pub seen: Seen,
    pub reason: Option<ChangeReason>,
    /// Begun and ended before it was found.
    pub passed: bool,
}

/// How a stand came about.
#[derive(Clone, Copy)]
pub(super) enum Why<'a> {
    /// The row in hand came in its turn; `resolves`: it is what resolved a raised alert.
    Plain { resolves: bool },
    /// Silence after the last row.
    Silent,
    /// Kept verdicts were judged again.
    Revised(&'a Timeline),
}

/// Finds differences between told and true, for one key at one moment.
pub(super) struct Teller<'a> {
    /// Kept rows by end, and the newest row before them.
    pub kept: &'a [Seen],
    pub base_last: Option<&'a Seen>,
    /// The row that is being worked on; silence: the last row.
    pub hand: &'a Seen,
    pub why: Why<'a>,
    /// End of the newest row.
    pub last: Timestamp,
    pub terms: Terms,
}

impl Teller<'_> {
    /// Runs that fired and ended and that nobody was told of.
    pub fn tell_passed(&self, told: &mut Vec<Told>, ended: &[Episode], out: &mut Vec<Move>) {
        for episode in ended {
            let (run, end) = (episode.raised.run, Some(episode.ended));
            if told.iter().any(|t| t.is_raised() && t.overlaps(run, end)) {
                continue;
            }
            let i = match told.iter().position(|t| t.is_open() && t.overlaps(run, end)) {
                Some(pending) => pending,
                None => {
                    told.push(Told::new(run));
                    told.len() - 1
                }
            };
            let alert = &mut told[i];
            alert.follow(run);
            alert.fired = Some(episode.raised.fired);
            alert.ended = end;
            for (to, at) in [(Condition::Firing, episode.raised.fired), (Condition::Resolved, episode.ended)] {
                self.turn(alert, to, at, Some(ChangeReason::Revised), true, out);
            }
        }
    }

    /// Makes what is told agree with where the machine stands.
    pub fn tell(&self, told: &mut Vec<Told>, stand: Stand, out: &mut Vec<Move>) {
        let open = told.iter().position(Told::is_open);
        match stand {
            Stand::Inactive => {
                if let Some(i) = open {
                    self.end(told, i, out);
                }
            }
            Stand::Pending(run) => match open {
                Some(i) if !told[i].is_raised() => told[i].follow(run),
                _ => {
                    if let Some(i) = open {
                        self.end(told, i, out);
                    }
                    // overlapping an alert that was raised and resolved, a run is that alert: silent until it fires again
                    if !told.iter().any(|t| t.overlaps(run, None)) {
                        let mut alert = Told::new(run);
                        self.turn(&mut alert, Condition::Pending, run.since, self.reason(), false, out);
                        told.push(alert);
                    }
                }
            },
            Stand::Firing(raised) | Stand::NoData(raised) => {
                let i = open.or_else(|| same_alert(told, raised.run)).unwrap_or_else(|| {
                    told.push(Told::new(raised.run));
                    told.len() - 1
                });
                self.tell_raised(&mut told[i], raised, matches!(stand, Stand::NoData(_)), out);
            }
        }
    }

    fn tell_raised(&self, alert: &mut Told, raised: Raised, silent: bool, out: &mut Vec<Move>) {
        alert.follow(raised.run);
        alert.ended = None;
        if !matches!(alert.condition, Condition::Firing | Condition::NoData) {
            alert.fired = Some(raised.fired);
            self.turn(alert, Condition::Firing, raised.fired, self.reason(), false, out);
        }
        match (silent, alert.condition) {
            (true, Condition::Firing) => {
                self.turn(alert, Condition::NoData, self.last + self.terms.no_data, Some(ChangeReason::NoData), false, out)
            }
            (false, Condition::NoData) => self.turn(alert, Condition::Firing, self.last, self.reason(), false, out),
            _ => {}
        }
    }

    /// The open alert stands no longer.
    fn end(&self, told: &mut Vec<Told>, i: usize, out: &mut Vec<Move>) {
        let alert = &mut told[i];
        let Some(fired) = alert.fired else {
            let at = match self.why {
                Why::Plain { .. } => self.hand.end,
                Why::Silent => self.last + self.terms.no_data,
                Why::Revised(timeline) => timeline.fell.map_or(alert.since, |fell| fell.max(alert.since)),
            };
            self.turn(alert, Condition::Inactive, at, self.reason(), false, out);
            told.remove(i);
            return;
        };
        let (at, reason) = match self.why {
            Why::Plain { resolves: true } => (self.hand.end, None),
            // nothing resolved it: it should not stand
            Why::Plain { resolves: false } | Why::Silent => (fired, Some(ChangeReason::Revised)),
            Why::Revised(timeline) => {
                let overlapping = timeline.ended.iter().rev().find(|e| alert.overlaps(e.raised.run, Some(e.ended)));
                (overlapping.map_or(fired, |e| e.ended.max(fired)), Some(ChangeReason::Revised))
            }
        };
        alert.ended = Some(at);
        self.turn(alert, Condition::Resolved, at, reason, false, out);
    }

    fn turn(&self, alert: &mut Told, to: Condition, at: Timestamp, reason: Option<ChangeReason>, passed: bool, out: &mut Vec<Move>) {
        let from = std::mem::replace(&mut alert.condition, to);
        // silence is decided by the row after which it began
        let end = if to == Condition::NoData || matches!(self.why, Why::Silent) { self.last } else { at };
        let seen = self.seen_at(end).clone();
        out.push(Move { first_start: alert.first_start, since: alert.since, from, to, at, seen, reason, passed });
    }

    /// The row of a window end as it stands now, else the one in hand.
    fn seen_at(&self, end: Timestamp) -> &Seen {
        match self.kept.binary_search_by_key(&end, |seen| seen.end) {
            Ok(i) => &self.kept[i],
            Err(_) => self.base_last.filter(|seen| seen.end == end).unwrap_or(self.hand),
        }
    }

    fn reason(&self) -> Option<ChangeReason> {
        match self.why {
            Why::Plain { .. } => None,
            Why::Silent => Some(ChangeReason::NoData),
            Why::Revised(_) => Some(ChangeReason::Revised),
        }
    }
}

/// The closed alert that a run continues: the one of the same first window, else the newest that overlaps it.
fn same_alert(told: &[Told], run: Run) -> Option<usize> {
    let same = told.iter().position(|t| t.first_start == run.first_start);
    same.or_else(|| told.iter().rposition(|t| t.overlaps(run, None)))
}
