//! One rule on one key over time: verdicts that can still change, where the rule stands, what was told of it.
//!
//! Owns: the kept rows and the state before the first of them; whether a row is judged in its turn or makes all kept verdicts run
//! again. Refuses to know: expressions, ids as bytes, other keys, ticks.
//!
//! Invariants
//! 1. `head` is what judging `kept` from `base` gives.
//! 2. Rows of windows that can no longer change are in `base` at the latest when [`Track::settle`] is told so.
//! 3. After any order of rows the standing condition equals that of an in-order run over the last row of each window.
//! 4. A provisional row is kept only if it is true; the first definitive row of its window takes its place.
//!
//! Called by: rule/mod.rs.

use super::machine::{Machine, Run, Seen, Stand, Terms, replay};
use super::told::{Move, Teller, Told, Why};
use crate::engine::RowState;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a row was not judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unjudged {
    /// Its window was declared settled before.
    Settled,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Track {
    base: Machine,
    /// The newest row in `base`, while `base` is open.
    base_last: Option<Seen>,
    /// Ascending by end, one of each window.
    kept: Vec<Seen>,
    head: Machine,
    /// Raised alerts whose windows can still change, and the open one.
    told: Vec<Told>,
    /// Silence was judged for last ends up to this one.
    silent: Option<Timestamp>,
    terms: Terms,
    settled: Timestamp,
    /// The timer that the owner has set for this track.
    #[serde(skip)]
    pub armed: Option<Timestamp>,
    /// Its place in the owner's settling queue.
    pub queued: Option<Timestamp>,
}

impl Track {
    pub fn new() -> Self {
        Track {
            base: Machine::NEW,
            base_last: None,
            kept: Vec::new(),
            head: Machine::NEW,
            told: Vec::new(),
            silent: None,
            terms: Terms { hold: Span::ZERO, no_data: Span::ZERO },
            settled: Timestamp::MIN,
            armed: None,
            queued: None,
        }
    }

    /// A row with its verdicts. Of provisional ones only those that are true and whose rule says `early` come here.
    pub fn see(&mut self, seen: Seen, terms: Terms, out: &mut Vec<Move>) -> Result<(), Unjudged> {
        self.terms = terms;
        if seen.end <= self.base.last {
            return Err(Unjudged::Settled);
        }
        match self.kept.binary_search_by_key(&seen.end, |kept| kept.end) {
            _ if seen.state == RowState::Withdrawn => self.withdraw(&seen, out),
            Ok(i) => self.see_again(i, seen, out),
            Err(i) if i == self.kept.len() => self.append(seen, out),
            Err(i) => {
                let hand = seen.clone();
                self.kept.insert(i, seen);
                self.run_again(&hand, out);
            }
        }
        Ok(())
    }

    /// Another row of a window that has one.
    fn see_again(&mut self, i: usize, seen: Seen, out: &mut Vec<Move>) {
        let was_provisional = self.kept[i].is_provisional();
        let same = self.kept[i].when == seen.when && self.kept[i].until == seen.until;
        if seen.is_provisional() && !was_provisional {
            return;
        }
        if same && seen.is_provisional() == was_provisional {
            self.kept[i] = seen;
            return;
        }
        let hand = seen.clone();
        self.kept[i] = seen;
        let newest = i + 1 == self.kept.len();
        if was_provisional && newest {
            // the first definitive row of the newest window: judged in its turn, unless only the provisional one had raised
            let before = replay(self.base, &self.kept[..i], self.terms, self.silent).head;
            if before.stand.raised().is_some() || !self.open().is_some_and(Told::is_raised) {
                self.kept.pop();
                self.head = before;
                return self.append(hand, out);
            }
        }
        self.run_again(&hand, out);
    }

    /// The newest row, in its turn.
    fn append(&mut self, seen: Seen, out: &mut Vec<Move>) {
        if self.head.silent_before(&seen, self.terms, self.silent) {
            self.silence(out);
            self.head.fall_silent();
        }
        let before = self.head.stand;
        self.head.judge(&seen, self.terms);
        let resolves = before.raised().is_some() && self.head.stand == Stand::Inactive;
        // data is there again: silence is judged anew
        self.silent = self.silent.filter(|end| *end < seen.end);
        self.kept.push(seen);
        let Track { kept, base_last, told, terms, head, .. } = self;
        let Some(hand) = kept.last() else { return };
        let why = Why::Plain { resolves };
        Teller { kept, base_last: base_last.as_ref(), hand, why, last: head.last, terms: *terms }.tell(told, head.stand, out);
    }

    fn withdraw(&mut self, seen: &Seen, out: &mut Vec<Move>) {
        if let Ok(i) = self.kept.binary_search_by_key(&seen.end, |kept| kept.end) {
            self.kept.remove(i);
            self.run_again(seen, out);
        }
    }

    /// A verdict among the kept ones has changed: all run again from the base.
    fn run_again(&mut self, hand: &Seen, out: &mut Vec<Move>) {
        let timeline = replay(self.base, &self.kept, self.terms, self.silent);
        self.head = timeline.head;
        let mut now = self.head;
        if self.silent.is_some_and(|end| now.last <= end) {
            now.fall_silent();
        }
        let why = Why::Revised(&timeline);
        let Track { kept, base_last, told, terms, .. } = self;
        Teller { kept, base_last: base_last.as_ref(), hand, why, last: now.last, terms: *terms }.tell_passed(told, &timeline.ended, out);
        self.tell(now.stand, why, hand, out);
    }

    /// No row came for `no_data` after the last one.
    pub fn silence(&mut self, out: &mut Vec<Move>) {
        let Some(hand) = self.last_seen().cloned() else { return };
        self.silent = Some(self.head.last);
        let mut now = self.head;
        now.fall_silent();
        self.tell(now.stand, Why::Silent, &hand, out);
    }

    fn tell(&mut self, stand: Stand, why: Why<'_>, hand: &Seen, out: &mut Vec<Move>) {
        let Track { kept, base_last, told, terms, head, .. } = self;
        Teller { kept, base_last: base_last.as_ref(), hand, why, last: head.last, terms: *terms }.tell(told, stand, out);
    }

    /// When silence would be found: a window ending then fires or is past its deadline.
    pub fn deadline(&self) -> Option<Timestamp> {
        let judged = self.silent.is_some_and(|end| self.head.last <= end);
        self.head.silent_at(self.terms).filter(|_| !judged)
    }

    /// Windows that end at or before `upto` can no longer change: their rows move into the base.
    pub fn settle(&mut self, upto: Timestamp) {
        self.settled = self.settled.max(upto);
        let n = self.kept.iter().take_while(|seen| seen.end <= upto && !seen.is_provisional()).count();
        for seen in self.kept.drain(..n) {
            self.base.advance(&seen, self.terms, self.silent);
            self.base_last = Some(seen);
        }
        let silent = self.silent.is_some_and(|end| self.base.last <= end);
        if self.kept.is_empty() && silent && self.base.silent_at(self.terms).is_some_and(|at| at <= upto) {
            self.base.fall_silent();
            self.head = self.base;
        }
        let open: Option<Run> = self.base.stand.run();
        if open.is_none() {
            self.base_last = None;
        }
        let settled = self.settled;
        self.told.retain(|t| t.past().is_none_or(|past| past > settled) || open.is_some_and(|run| t.overlaps(run, None)));
    }

    /// When settling has something to do again, if ever without a further row or timer.
    pub fn settle_at(&self) -> Option<Timestamp> {
        let silent = self.silent.filter(|end| self.head.last <= *end).and(self.head.silent_at(self.terms));
        let kept = self.kept.last().filter(|seen| !seen.is_provisional()).map(|seen| seen.end);
        let told = self.told.iter().filter_map(Told::past).max();
        [silent, kept, told].into_iter().flatten().filter(|at| *at > self.settled).min()
    }

    /// Nothing open, nothing that can still change.
    pub fn is_over(&self) -> bool {
        self.head.stand == Stand::Inactive && self.kept.is_empty() && self.told.is_empty()
    }

    /// The told alert that is open.
    pub fn open(&self) -> Option<&Told> {
        self.told.iter().find(|t| t.is_open())
    }

    pub fn last_seen(&self) -> Option<&Seen> {
        self.kept.last().or(self.base_last.as_ref())
    }

    /// The kept row of the window that begins at `start`.
    pub fn seen_from(&self, start: Timestamp) -> Option<&Seen> {
        self.kept.iter().find(|seen| seen.start == start)
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }
}
