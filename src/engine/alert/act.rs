//! What operators do to alerts: the acts, why one is refused, what it changes.
//!
//! Owns: the words of handling ([`Act`], [`Action`], [`Verdict`], [`Refusal`]) and its machine. Refuses to know: conditions' coming about,
//! who may act, the wire.
//!
//! Invariants
//! 1. Whoever handles an alert has acknowledged it: handling is other than *new* exactly while `acknowledged` is there.
//! 2. `closing` is there exactly while handling is *closed*; a closed alert takes notes and reopening, nothing else.
//! 3. What an act would do already, or what makes no sense now, is refused with that reason whatever version was seen; anything else only
//!    with the version as it is: nobody overwrites what they have not seen.
//! 4. A refused act changes nothing; one carried out raises the version by one.
//!
//! Called by: alert/mod.rs; its words by driver, server, journal.

use super::{Acknowledged, Alert, Condition, Handling, Happened, Step};
use crate::engine::AlertId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Steps of a procedure that can be ticked: 0 to this, excluded.
pub const MAX_STEPS: u32 = 200;

/// What an operator did; an input of the next tick (R8).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Action {
    pub alert: AlertId,
    /// The version of the alert that the operator saw.
    pub version: u32,
    pub by: String,
    pub note: String,
    /// Wall clock at which the request came in; the driver's, part of the tick from here on.
    pub at: Timestamp,
    pub act: Act,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Acknowledge,
    /// Takes an acknowledgement back.
    Unacknowledge,
    Assign {
        to: String,
    },
    /// The action's note and nothing else.
    Note,
    Close {
        verdict: Verdict,
    },
    /// Back to whom it was assigned, else to acknowledged.
    Reopen,
    /// A step of the procedure, counted from 0 among its list items in document order.
    Step {
        step: u32,
        done: bool,
    },
}

/// What an alert turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    True,
    False,
    Duplicate,
    Test,
}

impl Act {
    /// As it is written in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Act::Acknowledge => "acknowledge",
            Act::Unacknowledge => "unacknowledge",
            Act::Assign { .. } => "assign",
            Act::Note => "note",
            Act::Close { .. } => "close",
            Act::Reopen => "reopen",
            Act::Step { .. } => "step",
        }
    }
}

/// One step of an alert's handling.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HandlingChange {
    pub tick: u64,
    pub action: Action,
    /// `None`: carried out; else why not.
    pub refused: Option<Refusal>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No such alert.
    Unknown,
    /// The alert has changed since the operator saw it.
    Stale,
    /// Already so.
    Already,
    /// It is closed: a note or reopening only.
    Closed,
    /// It is not closed: there is nothing to reopen.
    Open,
    /// Nobody has acknowledged it: there is nothing to take back.
    NotAcknowledged,
    /// It is assigned: that is not taken back with the acknowledgement.
    Assigned,
    /// It is only pending: no verdict can be given on what has not fired.
    Pending,
    /// A procedure has fewer steps.
    NoSuchStep,
}

/// Whose an alert is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Assigned {
    pub to: String,
    pub by: String,
    pub at: Timestamp,
    pub note: String,
}

/// How an alert was closed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Closing {
    pub by: String,
    pub at: Timestamp,
    pub verdict: Verdict,
    pub note: String,
}

/// Who ticked a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepDone {
    pub by: String,
    pub at: Timestamp,
}

impl Alert {
    /// Why an action cannot be carried out.
    pub(super) fn refuses(&self, action: &Action) -> Option<Refusal> {
        // before *stale*: who is late learns how it stands, not only that something changed
        self.senseless(&action.act).or((self.version != action.version).then_some(Refusal::Stale))
    }

    fn senseless(&self, act: &Act) -> Option<Refusal> {
        match (self.handling, act) {
            (Handling::Closed, Act::Reopen | Act::Note) => None,
            (Handling::Closed, Act::Close { .. }) => Some(Refusal::Already),
            (Handling::Closed, _) => Some(Refusal::Closed),
            (_, Act::Reopen) => Some(Refusal::Open),
            (Handling::Acknowledged | Handling::Assigned, Act::Acknowledge) => Some(Refusal::Already),
            (Handling::New, Act::Unacknowledge) => Some(Refusal::NotAcknowledged),
            (Handling::Assigned, Act::Unacknowledge) => Some(Refusal::Assigned),
            (_, Act::Assign { to }) => self.assigned.as_ref().is_some_and(|a| a.to == *to).then_some(Refusal::Already),
            (_, Act::Close { .. }) => (self.condition == Condition::Pending).then_some(Refusal::Pending),
            (_, Act::Step { step, .. }) if *step >= MAX_STEPS => Some(Refusal::NoSuchStep),
            (_, Act::Step { step, done }) => (self.steps.contains_key(step) == *done).then_some(Refusal::Already),
            (_, Act::Acknowledge | Act::Unacknowledge | Act::Note) => None,
        }
    }

    /// Carries out what was not refused, found at `now` (tick time).
    pub(super) fn act(&mut self, action: &Action, tick: u64, now: Timestamp) {
        let Action { by, note, at, act, .. } = action.clone();
        match act.clone() {
            Act::Acknowledge => {
                self.handling = Handling::Acknowledged;
                self.acknowledged = Some(Acknowledged { by: by.clone(), at, note: note.clone() });
            }
            Act::Unacknowledge => {
                self.handling = Handling::New;
                self.acknowledged = None;
            }
            Act::Assign { to } => {
                self.handling = Handling::Assigned;
                self.own(&by, at);
                self.assigned = Some(Assigned { to, by: by.clone(), at, note: note.clone() });
            }
            Act::Note => self.notes += 1,
            Act::Close { verdict } => {
                self.handling = Handling::Closed;
                self.own(&by, at);
                self.closing = Some(Closing { by: by.clone(), at, verdict, note: note.clone() });
            }
            Act::Reopen => {
                self.handling = if self.assigned.is_some() { Handling::Assigned } else { Handling::Acknowledged };
                self.closing = None;
            }
            Act::Step { step, done: true } => drop(self.steps.insert(step, StepDone { by: by.clone(), at })),
            Act::Step { step, done: false } => drop(self.steps.remove(&step)),
        }
        self.version += 1;
        self.acted = Some(at);
        // its time begins anew: somebody is at work on it
        self.settled = self.settled.map(|settled| settled.max(now));
        self.remember(Step { tick, at, what: Happened::Acted { act, by, note } });
    }

    /// Who handles what nobody acknowledged has acknowledged it.
    fn own(&mut self, by: &str, at: Timestamp) {
        self.acknowledged.get_or_insert_with(|| Acknowledged { by: by.to_owned(), at, note: String::new() });
    }
}
