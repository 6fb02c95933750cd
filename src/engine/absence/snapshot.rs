//! Silences as plain data: what a checkpoint holds (D1), and what becomes of it when rules or the registry have changed (D2).
//!
//! Owns: the shape of [`AbsenceSnapshot`], restoring, the changes for silences that are no longer watched. Refuses to know: bytes, files.
//!
//! Invariants
//! 1. Places are names (pipeline, rule and its version, key tags), never indexes; queues and what stands are made anew.
//! 2. What is watched as it was goes on; another told silence is resolved, *rule changed*.
//!
//! Called by: engine/snapshot.rs.

use super::{Absences, Rule, Silent, Unread};
use crate::engine::alert::AlertBook;
use crate::engine::lane::Facts;
use crate::engine::rule::{GONE, KeyFacts, alert_id};
use crate::engine::setup::Setup;
use crate::engine::{AlertChange, ChangeReason, Condition, Key, RowState};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The shape of [`AbsenceSnapshot`] written by this program.
const VERSION: u32 = 1;

/// Everything as plain data; places are names.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct AbsenceSnapshot {
    version: u32,
    now: Timestamp,
    partitions: Vec<Unread>,
    rules: Vec<RuleSnapshot>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct RuleSnapshot {
    pipeline: String,
    rule: String,
    version: String,
    began: Option<Timestamp>,
    watches: Vec<WatchSnapshot>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct WatchSnapshot {
    /// `[area, source]`.
    tags: Vec<Box<str>>,
    since: Timestamp,
    heard: Vec<(u32, Timestamp)>,
    silent: Option<Silent>,
}

/// A snapshot that this program cannot read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "silences have shape {found}, this program reads shape {VERSION}: start the program that wrote them, or rebuild the state from the log"
)]
pub struct UnreadableAbsences {
    pub found: u32,
}

impl Absences {
    pub fn snapshot(&self, setup: &Setup) -> AbsenceSnapshot {
        let rules = self.rules.iter().map(|rule| {
            let pipeline = &setup.pipelines[rule.pipeline];
            let spec = &pipeline.absences[rule.absence];
            let watches = rule.watches.values().map(|watch| WatchSnapshot {
                tags: watch.key.tags.clone(),
                since: watch.since,
                heard: watch.heard.clone(),
                silent: watch.silent,
            });
            RuleSnapshot {
                pipeline: pipeline.name.clone(),
                rule: spec.name.clone(),
                version: spec.version.clone(),
                began: rule.began,
                watches: watches.collect(),
            }
        });
        AbsenceSnapshot { version: VERSION, now: self.now, partitions: self.partitions.clone(), rules: rules.collect() }
    }

    /// What was heard stays with sources that are watched as they were; silences of others (their rule changed, the registry no longer has
    /// them there) come back as changes of tick 0, by (pipeline, rule, key).
    pub fn restore(snapshot: AbsenceSnapshot, setup: &Setup, book: &AlertBook) -> Result<(Absences, Vec<AlertChange>), UnreadableAbsences> {
        let mut absences = Absences::new(setup);
        if snapshot == AbsenceSnapshot::default() {
            return Ok((absences, Vec::new()));
        }
        if snapshot.version != VERSION {
            return Err(UnreadableAbsences { found: snapshot.version });
        }
        absences.now = snapshot.now;
        absences.partitions = snapshot.partitions;
        let mut orphans = Vec::new();
        let now = snapshot.now;
        for old in snapshot.rules {
            let place = absences.rules.iter().position(|rule| {
                let pipeline = &setup.pipelines[rule.pipeline];
                pipeline.name == old.pipeline && pipeline.absences[rule.absence].name == old.rule
            });
            if let Some(rule) = place.map(|i| &mut absences.rules[i]).filter(|_| old.began.is_some()) {
                // whoever is new here is waited for from now on
                rule.began = Some(now);
                rule.turn(setup, now, &mut Vec::new());
                rule.began = old.began;
            }
            for watch in &old.watches {
                let same = place.map(|i| &mut absences.rules[i]).filter(|rule| {
                    let spec = &setup.pipelines[rule.pipeline].absences[rule.absence];
                    spec.version == old.version
                });
                if !same.is_some_and(|rule| rule.take_over(watch)) {
                    orphans.extend(watch.silent.filter(|s| s.told).map(|silent| orphan(&old, watch, silent, now, setup)));
                }
            }
        }
        absences.stands.restore(book, setup);
        Ok((absences, orphans))
    }
}

impl Rule {
    /// False where the source is no longer watched under this key.
    fn take_over(&mut self, old: &WatchSnapshot) -> bool {
        let Some((source, watch)) = old.tags.get(1).and_then(|id| self.watches.get_key_value(&**id)) else { return false };
        let source = source.clone();
        if watch.key.tags != old.tags {
            return false;
        }
        let Some(watch) = self.watches.get_mut(&source) else { return false };
        (watch.since, watch.heard, watch.silent) = (old.since, old.heard.clone(), old.silent);
        let (since, after, silent) = (watch.since, watch.after, watch.silent.is_some());
        let first = watch.heard.first().map_or((0, since), |(p, last)| (*p as usize, *last));
        if let Some((p, at)) = watch.queued.take() {
            self.queues[p].remove(&(at, source.clone()));
        }
        if silent {
            self.silent.insert(source);
        } else {
            self.queue(&source, (first.0, first.1 + after));
        }
        true
    }
}

fn orphan(old: &RuleSnapshot, watch: &WatchSnapshot, silent: Silent, now: Timestamp, setup: &Setup) -> AlertChange {
    let facts = Facts { registry: &setup.registry, at: now };
    let area = watch.tags.first().and_then(|tag| facts.area_of(tag));
    let key = Arc::new(Key { tags: watch.tags.clone(), area });
    let p = setup.pipelines.iter().position(|p| p.name == old.pipeline);
    let rule = p.and_then(|p| setup.pipelines[p].place_of(&old.rule));
    AlertChange {
        tick: 0,
        id: alert_id(&old.pipeline, &old.rule, &key, silent.last),
        pipeline: p.map_or(GONE, |p| p as u16),
        rule: rule.unwrap_or(GONE),
        key,
        from: Condition::Firing,
        to: Condition::Resolved,
        at: now.max(silent.at),
        window_start: silent.last,
        window_end: now.max(silent.at),
        row_revision: 0,
        row_state: RowState::Final,
        since: silent.last,
        values: Vec::new(),
        heard: None,
        expected: None,
        case: None,
        clauses: Vec::new(),
        positions: Vec::new(),
        rule_version: old.version.as_str().into(),
        reason: Some(ChangeReason::RuleChanged),
        retroactive: false,
    }
}
