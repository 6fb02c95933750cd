//! Rule states as plain data: what a checkpoint holds (D1), and what becomes of it when rules have changed (D2).
//!
//! Owns: the shape of [`RulesSnapshot`], restoring, the changes for alerts whose rule is no longer. Refuses to know: bytes, files.
//!
//! Invariants
//! 1. Places are names (pipeline, rule and its version, key tags), never indexes.
//! 2. The same state gives the same snapshot, byte for byte: everything is sorted.
//! 3. A rule of the same version keeps its state; else its open alerts become orphans and it starts anew.
//!
//! Called by: driver (checkpoint, start).

use super::earlier::EarlierState;
use super::machine::Seen;
use super::told::{Move, Told};
use super::track::Track;
use super::{KeyFacts, KeyTags, PipelineRules, Rule, Rules, change_of};
use crate::engine::{AlertChange, ChangeReason, Condition, Key};
use crate::pipeline::Pipeline;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The shape written by this program.
const VERSION: u32 = 1;

/// In `AlertChange::pipeline` and `rule`: there is no such pipeline or rule any more.
pub const GONE: u16 = u16::MAX;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RulesSnapshot {
    version: u32,
    unjudged: u64,
    rules: Vec<RuleSnapshot>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<(String, EarlierState)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct RuleSnapshot {
    pipeline: String,
    rule: String,
    version: String,
    tracks: Vec<(Vec<Box<str>>, Track)>,
}

/// A snapshot that this program cannot read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "rule states have shape {found}, this program reads shape {VERSION}: start the program that wrote them, or rebuild the state from the log"
)]
pub struct Unreadable {
    pub found: u32,
}

/// An open alert whose rule has changed or is gone: resolved with the next tick.
#[derive(Clone, PartialEq, Debug)]
pub struct Orphan {
    pub pipeline: String,
    pub rule: String,
    /// Tick 0; pipeline and rule are the present places of their names, or [`GONE`].
    pub change: AlertChange,
}

impl Orphan {
    /// The change as an effect of a tick.
    pub fn at_tick(self, tick: u64) -> AlertChange {
        AlertChange { tick, ..self.change }
    }
}

impl Rules {
    pub fn snapshot(&self) -> RulesSnapshot {
        let mut rules = Vec::new();
        for pipeline in &self.pipelines {
            for rule in pipeline.rules.iter().filter(|rule| !rule.tracks.is_empty()) {
                let mut tracks: Vec<_> = rule.tracks.iter().map(|(key, track)| (key.0.tags.clone(), track.clone())).collect();
                tracks.sort_by(|a, b| a.0.cmp(&b.0));
                let (pipeline, name, version) = (pipeline.name.clone(), rule.name.clone(), rule.version.to_string());
                rules.push(RuleSnapshot { pipeline, rule: name, version, tracks });
            }
        }
        rules.sort_by(|a, b| (&a.pipeline, &a.rule).cmp(&(&b.pipeline, &b.rule)));
        let kept = self.pipelines.iter().flat_map(|p| p.earlier.iter().flatten().map(|e| (p.name.clone(), e.save())));
        let mut earlier: Vec<_> = kept.collect();
        earlier.sort_by(|a, b| a.0.cmp(&b.0));
        RulesSnapshot { version: VERSION, unjudged: self.unjudged, rules, earlier }
    }

    /// State of rules that are as they were goes on; the others start anew, and their open alerts come back as orphans, by
    /// (pipeline, rule, key tags), to be told with the next tick.
    pub fn restore(snapshot: RulesSnapshot, pipelines: &[Pipeline], facts: &dyn KeyFacts) -> Result<(Self, Vec<Orphan>), Unreadable> {
        let mut rules = Rules::new(pipelines);
        let orphans = rules.take_over(snapshot, facts)?;
        Ok((rules, orphans))
    }

    pub(super) fn take_over(&mut self, snapshot: RulesSnapshot, facts: &dyn KeyFacts) -> Result<Vec<Orphan>, Unreadable> {
        if snapshot.version != VERSION {
            return Err(Unreadable { found: snapshot.version });
        }
        self.unjudged = snapshot.unjudged;
        for (pipeline, state) in &snapshot.earlier {
            let windows = self.pipelines.iter_mut().filter(|p| p.name == *pipeline).flat_map(|p| p.earlier.iter_mut().flatten());
            windows.for_each(|earlier| earlier.take_over(state));
        }
        let mut orphans = Vec::new();
        for old in snapshot.rules {
            let p = self.pipelines.iter().position(|p| p.name == old.pipeline);
            let r = p.and_then(|p| self.pipelines[p].rules.iter().position(|r| r.name == old.rule));
            let area_tag = p.zip(r).and_then(|(p, r)| self.pipelines[p].rules[r].area_tag);
            for (tags, track) in old.tracks {
                let area = area_tag.and_then(|i| tags.get(i)).and_then(|tag| facts.area_of(tag));
                let key = Arc::new(Key { tags, area });
                match (p, r) {
                    (Some(p), Some(r)) if *self.pipelines[p].rules[r].version == *old.version => {
                        self.pipelines[p].put(r, key, track);
                    }
                    _ => orphans.extend(orphan(&old.pipeline, &old.rule, &old.version, (p, r), &key, &track)),
                }
            }
        }
        Ok(orphans)
    }
}

impl PipelineRules {
    fn put(&mut self, rule: usize, key: Arc<Key>, track: Track) {
        let Rule { tracks, .. } = &mut self.rules[rule];
        self.settling.extend(track.queued.map(|at| (at, rule as u16, KeyTags(key.clone()))));
        tracks.insert(KeyTags(key.clone()), track);
        self.after(rule as u16, &key);
    }
}

fn orphan(
    pipeline: &str,
    rule: &str,
    version: &str,
    place: (Option<usize>, Option<usize>),
    key: &Arc<Key>,
    track: &Track,
) -> Option<Orphan> {
    let (told, seen): (&Told, &Seen) = track.open().zip(track.last_seen())?;
    let to = if told.condition == Condition::Pending { Condition::Inactive } else { Condition::Resolved };
    let step = Move {
        first_start: told.first_start,
        since: told.since,
        from: told.condition,
        to,
        at: seen.end,
        seen: seen.clone(),
        reason: Some(ChangeReason::RuleChanged),
        passed: false,
    };
    let index = |i: Option<usize>| i.map_or(GONE, |i| i as u16);
    let change = change_of(pipeline, rule, &version.into(), key, step);
    let change = AlertChange { pipeline: index(place.0), rule: index(place.1), ..change };
    Some(Orphan { pipeline: pipeline.to_owned(), rule: rule.to_owned(), change })
}
