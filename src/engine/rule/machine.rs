//! One rule on one key, as a machine of verdicts: inactive, pending, firing, no data.
//!
//! Owns: what one verdict does to a condition ([`Machine::judge`]), what silence does to it ([`Machine::fall_silent`]), a whole
//! timeline ([`replay`]). Refuses to know: expressions, who was told what, ids, ticks.
//!
//! Invariants
//! 1. A verdict moves a condition by one step at most; the same verdicts in window-end order give the same condition.
//! 2. `Machine::last` is the end of the newest row seen; what lies open begins at or before it.
//! 3. Two rows further apart than `no_data` have silence between them, whichever tick found that out.
//!
//! Called by: track.rs.

use super::verdict::Verdict;
use crate::engine::{FieldValue, Row, RowState};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A judged row: its verdicts and what is kept as evidence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub start: Timestamp,
    pub end: Timestamp,
    pub revision: u32,
    pub state: RowState,
    pub when: Verdict,
    /// `None`: the rule has no `until`.
    pub until: Option<Verdict>,
    pub heard: Option<u32>,
    pub expected: Option<u32>,
    pub values: Box<[FieldValue]>,
}

impl Seen {
    /// The row it was, in the place of another row of its measurement and key.
    pub fn row(&self, of: &Row) -> Row {
        let Seen { start, end, revision, state, heard, expected, .. } = *self;
        Row { start, end, revision, state, heard, expected, values: self.values.to_vec(), ..of.clone() }
    }

    pub fn is_provisional(&self) -> bool {
        self.state == RowState::Provisional
    }
}

/// The first true window of an unbroken run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub first_start: Timestamp,
    /// Its end.
    pub since: Timestamp,
}

/// A run that fired, and the end at which.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Raised {
    pub run: Run,
    pub fired: Timestamp,
}

/// Where a machine stands. A resolved alert is inactive again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Stand {
    Inactive,
    Pending(Run),
    Firing(Raised),
    NoData(Raised),
}

impl Stand {
    pub fn run(&self) -> Option<Run> {
        match self {
            Stand::Inactive => None,
            Stand::Pending(run) => Some(*run),
            Stand::Firing(raised) | Stand::NoData(raised) => Some(raised.run),
        }
    }

    pub fn raised(&self) -> Option<Raised> {
        match self {
            Stand::Firing(raised) | Stand::NoData(raised) => Some(*raised),
            Stand::Inactive | Stand::Pending(_) => None,
        }
    }
}

/// What of a rule the machine obeys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Terms {
    /// `for`.
    pub hold: Span,
    /// Of this key.
    pub no_data: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub stand: Stand,
    /// End of the newest row seen; `Timestamp::MIN` before the first.
    pub last: Timestamp,
}

impl Machine {
    pub const NEW: Machine = Machine { stand: Stand::Inactive, last: Timestamp::MIN };

    /// One verdict, of a window that ends after all seen before (R7). A row that resolves begins no new run, even if `when` holds too.
    pub fn judge(&mut self, seen: &Seen, terms: Terms) {
        self.last = seen.end;
        self.stand = match self.stand {
            Stand::Inactive if seen.when == Verdict::True => {
                Self::run_on(Run { first_start: seen.start, since: seen.end }, seen.end, terms)
            }
            Stand::Inactive => Stand::Inactive,
            Stand::Pending(run) => match seen.when {
                Verdict::True => Self::run_on(run, seen.end, terms),
                Verdict::False => Stand::Inactive,
                Verdict::Unknown => Stand::Pending(run),
            },
            Stand::Firing(raised) | Stand::NoData(raised) => {
                let over = match seen.until {
                    Some(until) => until == Verdict::True,
                    None => seen.when == Verdict::False,
                };
                if over { Stand::Inactive } else { Stand::Firing(raised) }
            }
        }
    }

    /// A true window of a run: `for` is measured between window ends.
    fn run_on(run: Run, end: Timestamp, terms: Terms) -> Stand {
        if end - run.since >= terms.hold { Stand::Firing(Raised { run, fired: end }) } else { Stand::Pending(run) }
    }

    /// No row at all came for `no_data`: a pending run ends, a firing one turns *no data*.
    pub fn fall_silent(&mut self) {
        self.stand = match self.stand {
            Stand::Inactive | Stand::Pending(_) => Stand::Inactive,
            Stand::Firing(raised) | Stand::NoData(raised) => Stand::NoData(raised),
        }
    }

    /// The end of the window with which silence would be found; `None` where it would change nothing.
    pub fn silent_at(&self, terms: Terms) -> Option<Timestamp> {
        match self.stand {
            Stand::Pending(_) | Stand::Firing(_) => Some(self.last + terms.no_data),
            Stand::Inactive | Stand::NoData(_) => None,
        }
    }

    /// Whether silence lies before this row. A provisional row ends no run: before it only silence that was judged counts
    /// (`silent`: of last ends up to this one).
    pub fn silent_before(&self, seen: &Seen, terms: Terms, silent: Option<Timestamp>) -> bool {
        let judged = !seen.is_provisional() || silent.is_some_and(|end| self.last <= end);
        judged && self.silent_at(terms).is_some_and(|at| seen.end > at)
    }

    /// Silence, then the row.
    pub fn advance(&mut self, seen: &Seen, terms: Terms, silent: Option<Timestamp>) {
        if self.silent_before(seen, terms, silent) {
            self.fall_silent();
        }
        self.judge(seen, terms);
    }
}

/// A run that fired and was resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Episode {
    pub raised: Raised,
    pub ended: Timestamp,
}

/// What in-order judging of all kept rows gives.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Timeline {
    pub head: Machine,
    /// In order of time.
    pub ended: Vec<Episode>,
    /// The newest end at which a run ended, fired or not.
    pub fell: Option<Timestamp>,
}

/// Judges kept rows again, from the state before the first of them.
pub(super) fn replay(base: Machine, kept: &[Seen], terms: Terms, silent: Option<Timestamp>) -> Timeline {
    let mut head = base;
    let (mut ended, mut fell) = (Vec::new(), None);
    for seen in kept {
        let before = head.stand;
        head.advance(seen, terms, silent);
        if before != Stand::Inactive && head.stand == Stand::Inactive {
            fell = Some(seen.end);
            ended.extend(before.raised().map(|raised| Episode { raised, ended: seen.end }));
        }
    }
    Timeline { head, ended, fell }
}
