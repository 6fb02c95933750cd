//! Alerts as operators know them: condition and handling as two independent machines (R8).
//!
//! Owns: every alert that is open, or resolved and not yet let go, with version, handling and history. Refuses to know: rows, rules,
//! the wire, who may do what (the server asks before an action becomes input).
//!
//! Invariants
//! 1. An alert's version rises by one with every change of its condition or handling, and with nothing else.
//! 2. Handling moves by actions only, condition by changes only.
//! 3. A resolved alert stays 24 h after it resolved or somebody last acted on it, whoever has handled it: so long a verdict can be
//!    given to it. At most 10,000 resolved ones are held, the oldest make room and are counted. Open ones are bounded by the keys of rules.
//! 4. An alert that was only ever pending is gone when it ends.
//! 5. The same changes, actions and tick times give the same book.
//!
//! Called by: merge (actions are inputs of a tick), board (the picture), driver (snapshot and restore).
//!
//! act.rs has what operators do, title.rs what alerts are called.

mod act;
mod title;

#[cfg(test)]
mod tests;

pub use act::{Act, Action, Assigned, Closing, HandlingChange, MAX_STEPS, Refusal, StepDone, Verdict};
pub use title::{Title, render_title};

use super::rule::{GONE, KeyFacts, RowView};
use super::{AlertChange, AlertId, ChangeReason, Condition, FieldValue, Key};
use crate::pipeline::{Pipeline, Severity};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How long a resolved alert stays after the last thing that happened to it.
pub const KEEP_RESOLVED: Span = Span::hours(24);
/// Resolved alerts held at most.
pub const MAX_RESOLVED: usize = 10_000;
/// Steps of an alert's history held at most.
pub const MAX_HISTORY: usize = 64;
/// The shape of [`AlertBookSnapshot`] written by this program; it reads those from 1 on. 2: acts besides acknowledging.
const VERSION: u32 = 2;

/// Handling of an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    New,
    Acknowledged,
    Assigned,
    Closed,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Acknowledged {
    pub by: String,
    pub at: Timestamp,
    pub note: String,
}

/// What an alert is called: taken from its rule when it begins and with every rise.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Label {
    pub pipeline: String,
    pub rule: String,
    pub sector: String,
    pub severity: Severity,
    pub title: Title,
}

impl Label {
    /// `None`: the change's rule is gone.
    pub fn of(change: &AlertChange, pipelines: &[Pipeline], facts: &dyn KeyFacts) -> Option<Label> {
        let pipeline = pipelines.get(change.pipeline as usize)?;
        let rule = pipeline.head(change.rule)?;
        let row = RowView::of_change(change, rule.row, facts);
        Some(Label {
            pipeline: pipeline.name.clone(),
            rule: rule.name.to_owned(),
            sector: pipeline.sector.clone(),
            severity: rule.severity,
            title: render_title(rule.title, row, &rule.tags(), &pipeline.zone),
        })
    }
}

/// One alert, whole.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    pub label: Label,
    pub key: Arc<Key>,
    pub condition: Condition,
    pub handling: Handling,
    pub version: u32,
    pub acknowledged: Option<Acknowledged>,
    /// End of the first true window of the run.
    pub since: Timestamp,
    /// `at` of the last change of condition.
    pub changed: Timestamp,
    /// `at` of the change to resolved, while it is.
    pub resolved: Option<Timestamp>,
    /// It was found in a tick that was not live, or only after it had ended.
    pub retroactive: bool,
    /// The last change of condition: evidence.
    pub last: AlertChange,
    /// Newest last.
    pub history: VecDeque<Step>,
    /// Older steps that are no longer in `history`.
    pub forgotten: u32,
    /// Silences that it stands for now.
    #[serde(default)]
    pub stands_for: u32,
    #[serde(default)]
    pub assigned: Option<Assigned>,
    #[serde(default)]
    pub closing: Option<Closing>,
    /// Ticked steps of the procedure.
    #[serde(default)]
    pub steps: BTreeMap<u32, StepDone>,
    /// Notes that are nothing but notes.
    #[serde(default)]
    pub notes: u32,
    /// When somebody last acted on it.
    #[serde(default)]
    pub acted: Option<Timestamp>,
    /// Tick time since which it is resolved, or resolved and somebody has acted on it.
    #[serde(default, alias = "closed")]
    settled: Option<Timestamp>,
}

/// One entry of an alert's history.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub tick: u64,
    pub at: Timestamp,
    pub what: Happened,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    Condition {
        to: Condition,
        reason: Option<ChangeReason>,
        values: Vec<FieldValue>,
    },
    #[serde(alias = "acknowledged")]
    Acted {
        #[serde(default = "acknowledge")]
        act: Act,
        by: String,
        note: String,
    },
}

/// What every act was in shape 1.
fn acknowledge() -> Act {
    Act::Acknowledge
}

/// What a change of condition made of an alert.
#[derive(Clone, PartialEq, Debug)]
pub enum Applied<'a> {
    Now(&'a Alert),
    /// It was only ever pending and has ended.
    Gone(AlertId),
    /// It says that an alert ended which is not held: nothing to do.
    NotHeld,
}

/// All alerts that are open or were so recently.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AlertBook {
    alerts: BTreeMap<AlertId, Alert>,
    /// Resolved ones by (settled, id).
    resolved: BTreeSet<(Timestamp, AlertId)>,
    dropped: u64,
}

/// The book as plain data; alerts by id.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlertBookSnapshot {
    version: u32,
    alerts: Vec<Alert>,
    dropped: u64,
}

/// A snapshot that this program cannot read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "alerts have shape {found}, this program reads shape {VERSION}: start the program that wrote them, or rebuild the state from the log"
)]
pub struct UnreadableBook {
    pub found: u32,
}

impl AlertBook {
    pub fn get(&self, id: AlertId) -> Option<&Alert> {
        self.alerts.get(&id)
    }

    /// By id.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// Resolved alerts that had to make room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// One change of condition, found at `now` (tick time). `label`: [`Label::of`] the change; `None` keeps what the alert has.
    pub fn apply_change(&mut self, change: &AlertChange, label: Option<Label>, now: Timestamp) -> Applied<'_> {
        if change.to == Condition::Inactive {
            return match self.alerts.remove(&change.id) {
                Some(alert) => {
                    self.unlist(&alert);
                    Applied::Gone(alert.id)
                }
                None => Applied::NotHeld,
            };
        }
        let Some(mut alert) = self.alerts.remove(&change.id).or_else(|| label.clone().map(|label| Alert::new(change, label))) else {
            return Applied::NotHeld;
        };
        self.unlist(&alert);
        alert.apply(change, label, now);
        self.list(&alert);
        self.make_room(alert.id);
        Applied::Now(self.alerts.entry(change.id).or_insert(alert))
    }

    /// What an operator did, found at `now` (tick time).
    pub fn apply_action(&mut self, action: &Action, tick: u64, now: Timestamp) -> HandlingChange {
        let refused = match self.alerts.get(&action.alert) {
            None => Some(Refusal::Unknown),
            Some(alert) => alert.refuses(action),
        };
        if refused.is_none()
            && let Some(mut alert) = self.alerts.remove(&action.alert)
        {
            self.unlist(&alert);
            alert.act(action, tick, now);
            self.list(&alert);
            self.alerts.insert(alert.id, alert);
        }
        HandlingChange { tick, action: action.clone(), refused }
    }

    /// How many silences an alert stands for; its version stays: nobody's act depends on it.
    pub fn stand_for(&mut self, id: AlertId, count: u32) -> Option<&Alert> {
        let alert = self.alerts.get_mut(&id)?;
        alert.stands_for = count;
        Some(alert)
    }

    /// Lets go of alerts whose time is over, oldest first.
    pub fn expire(&mut self, now: Timestamp) -> Vec<AlertId> {
        let mut gone = Vec::new();
        while let Some((settled, id)) = self.resolved.first().copied().filter(|(settled, _)| *settled + KEEP_RESOLVED <= now) {
            self.resolved.remove(&(settled, id));
            self.alerts.remove(&id);
            gone.push(id);
        }
        gone
    }

    /// The tick time at which `expire` has something to do.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.resolved.first().map(|(settled, _)| *settled + KEEP_RESOLVED)
    }

    pub fn snapshot(&self) -> AlertBookSnapshot {
        AlertBookSnapshot { version: VERSION, alerts: self.alerts.values().cloned().collect(), dropped: self.dropped }
    }

    /// Places of pipelines, rules and areas are found again by name; what is gone keeps its alerts, at [`GONE`].
    pub fn restore(snapshot: AlertBookSnapshot, pipelines: &[Pipeline], facts: &dyn KeyFacts) -> Result<Self, UnreadableBook> {
        let mut book = Self::take_over(snapshot)?;
        for alert in book.alerts.values_mut() {
            let p = pipelines.iter().position(|p| p.name == alert.label.pipeline);
            let rule = p.and_then(|p| pipelines[p].place_of(&alert.label.rule));
            alert.last.pipeline = p.map_or(GONE, |p| p as u16);
            alert.last.rule = rule.unwrap_or(GONE);
            let row = p.zip(rule).and_then(|(p, rule)| pipelines[p].head(rule)).and_then(|head| head.row);
            let on_case = alert.last.case.is_some().then_some(1);
            let tag = row.and_then(|row| row.area_tag).or(on_case).and_then(|i| alert.key.tags.get(i));
            let area = tag.and_then(|tag| facts.area_of(tag));
            alert.key = Arc::new(Key { tags: alert.key.tags.clone(), area });
            alert.last.key = alert.key.clone();
        }
        Ok(book)
    }

    fn take_over(snapshot: AlertBookSnapshot) -> Result<Self, UnreadableBook> {
        if !(1..=VERSION).contains(&snapshot.version) {
            return Err(UnreadableBook { found: snapshot.version });
        }
        let mut book = AlertBook { dropped: snapshot.dropped, ..AlertBook::default() };
        for alert in snapshot.alerts {
            book.list(&alert);
            book.alerts.insert(alert.id, alert);
        }
        Ok(book)
    }

    fn list(&mut self, alert: &Alert) {
        self.resolved.extend(alert.settled.map(|settled| (settled, alert.id)));
    }

    fn unlist(&mut self, alert: &Alert) {
        if let Some(settled) = alert.settled {
            self.resolved.remove(&(settled, alert.id));
        }
    }

    /// Drops the oldest resolved alerts past the bound, never the one that is just being changed.
    fn make_room(&mut self, changing: AlertId) {
        while self.resolved.len() > MAX_RESOLVED {
            let Some(oldest) = self.resolved.iter().find(|(_, id)| *id != changing).copied() else { return };
            self.resolved.remove(&oldest);
            self.alerts.remove(&oldest.1);
            self.dropped += 1;
        }
    }
}

impl Alert {
    fn new(change: &AlertChange, label: Label) -> Self {
        Alert {
            id: change.id,
            label,
            key: change.key.clone(),
            condition: Condition::Inactive,
            handling: Handling::New,
            version: 0,
            acknowledged: None,
            since: change.since,
            changed: change.at,
            resolved: None,
            retroactive: false,
            last: change.clone(),
            history: VecDeque::new(),
            forgotten: 0,
            stands_for: 0,
            assigned: None,
            closing: None,
            steps: BTreeMap::new(),
            notes: 0,
            acted: None,
            settled: None,
        }
    }

    fn apply(&mut self, change: &AlertChange, label: Option<Label>, now: Timestamp) {
        let resolved = change.to == Condition::Resolved;
        if let Some(label) = label.filter(|_| matches!(change.to, Condition::Pending | Condition::Firing)) {
            self.label = label;
        }
        self.condition = change.to;
        self.version += 1;
        self.since = change.since;
        self.changed = change.at;
        self.resolved = resolved.then_some(change.at);
        self.settled = resolved.then_some(now);
        // what was pending in the past and fires live was not found late
        self.retroactive = change.retroactive || (self.retroactive && change.to != Condition::Firing);
        self.key = change.key.clone();
        self.last = change.clone();
        let what = Happened::Condition { to: change.to, reason: change.reason, values: change.values.clone() };
        self.remember(Step { tick: change.tick, at: change.at, what });
    }

    fn remember(&mut self, step: Step) {
        if self.history.len() == MAX_HISTORY {
            self.history.pop_front();
            self.forgotten += 1;
        }
        self.history.push_back(step);
    }
}
