//! What the bar of the past shows: marks of alerts, gaps in the data, kept states; and which alert comes next.
//!
//! Owns: reading these out of the journal, in a reader's scope. Refuses to know: lanes, sockets.
//!
//! Invariants
//! 1. A mark is judged by the definitions of its time and by the reader's scope of today.
//! 2. What is read is bounded: [`MARKS`] alerts, [`GAPS`] gaps.
//!
//! Called by: replay::session (the next alert), app (`GET /api/v1/timeline`).

use super::{Past, ReplayError};
use crate::definitions::Definitions;
use crate::engine::{AlertChange, Condition};
use crate::journal::{JournalReader, Note};
use crate::server::scope::Scope;
use crate::server::views::Views;
use crate::server::wire::{Severity, Timeline, TimelineAlert, TimelineGap};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Alerts told at most: the newest.
pub const MARKS: usize = 5_000;
/// Gaps told at most.
pub const GAPS: usize = 1_000;
/// Changes of alerts looked at together.
const CHANGES: usize = 10_000;
/// A live lane has ten ticks a second: where none falls for so long, nothing was read.
const SILENCE: Span = Span::minutes(1);

/// Views of the definitions of each time.
struct Eras<'a> {
    past: &'a Past,
    journal: &'a JournalReader,
    /// By the tick since which they are in force.
    views: BTreeMap<Option<u64>, Views>,
}

impl<'a> Eras<'a> {
    fn new(past: &'a Past, journal: &'a JournalReader) -> Eras<'a> {
        Eras { past, journal, views: BTreeMap::new() }
    }

    /// The severity of a change that is in scope.
    fn seen(&mut self, change: &AlertChange, scope: &Scope) -> Result<Option<Severity>, ReplayError> {
        let since = self.journal.configured_since(change.tick)?;
        if !self.views.contains_key(&since) {
            let then = self.journal.configuration_at(change.tick)?.map(|(_, c)| Definitions::from_configuration(&c));
            let setup = then.map_or_else(|| Ok(self.past.today.clone()), |then| self.past.setup(&then))?;
            self.views.insert(since, Views::new(setup));
        }
        let mark = self.views.get(&since).and_then(|views| views.mark(change));
        Ok(mark.filter(|(sector, _, area)| scope.sees(sector, area.as_ref().map(|a| a.code.as_str()))).map(|(_, severity, _)| severity))
    }
}

/// It begins to fire with this change.
fn begins(change: &AlertChange) -> bool {
    change.to == Condition::Firing && matches!(change.from, Condition::Inactive | Condition::Pending | Condition::Resolved)
}

/// The tick after `tick` in which the next alert of the scope begins to fire.
pub fn next_alert(past: &Past, journal: &JournalReader, scope: &Scope, tick: u64) -> Result<Option<u64>, ReplayError> {
    let mut eras = Eras::new(past, journal);
    let mut from = tick + 1;
    loop {
        let changes = journal.alert_changes(from, u64::MAX, CHANGES)?;
        for change in changes.iter().filter(|c| begins(c)) {
            if eras.seen(change, scope)?.is_some() {
                return Ok(Some(change.tick));
            }
        }
        match changes.last() {
            // a tick that was cut is looked at again, whole
            Some(last) if changes.len() == CHANGES => from = last.tick.max(from) + u64::from(last.tick == from),
            _ => return Ok(None),
        }
    }
}

/// Between two moments (ms; `None`: as far as it reaches), as far as they can be seen again.
pub fn timeline(past: &Past, scope: &Scope, from: Option<i64>, to: Option<i64>) -> Result<Timeline, ReplayError> {
    let journal = past.journal()?;
    let reach = past.reach()?;
    let from = from.map_or(reach.oldest, Timestamp::from_millis).max(reach.oldest);
    let to = to.map_or(reach.newest, Timestamp::from_millis).min(reach.newest);
    let first = journal.tick_at(from.0 - 1)?.map_or(reach.first, |tick| tick + 1);
    let last = journal.tick_at(to.0)?.unwrap_or(reach.first);
    let kept = past.checkpoints.list()?.into_iter().map(|(head, _)| head).filter(|h| h.tick >= reach.first && h.tick <= reach.last);
    Ok(Timeline {
        oldest: reach.oldest.millis(),
        newest: reach.newest.millis(),
        alerts: marks(past, &journal, scope, (first, last))?,
        gaps: gaps(&journal, (first, last))?,
        checkpoints: kept.map(|head| Timestamp(head.time).millis()).collect(),
    })
}

fn marks(past: &Past, journal: &JournalReader, scope: &Scope, (first, last): (u64, u64)) -> Result<Vec<TimelineAlert>, ReplayError> {
    let mut eras = Eras::new(past, journal);
    let mut marks: BTreeMap<String, TimelineAlert> = BTreeMap::new();
    let mut from = first;
    while from <= last {
        let changes = journal.alert_changes(from, last, CHANGES)?;
        for change in changes.iter().filter(|c| begins(c) || c.to == Condition::Resolved) {
            let Some(severity) = eras.seen(change, scope)? else { continue };
            let id = change.id.to_string();
            let ended = change.to == Condition::Resolved;
            // one that began before the first tick is known by its end only
            let at = if ended { change.since } else { change.at }.millis();
            let mark = marks.entry(id.clone()).or_insert(TimelineAlert { id, severity, at, resolved: None });
            mark.resolved = ended.then(|| change.at.millis());
        }
        match changes.last() {
            Some(change) if changes.len() == CHANGES => from = change.tick.max(from) + u64::from(change.tick == from),
            _ => break,
        }
    }
    let mut marks: Vec<TimelineAlert> = marks.into_values().collect();
    marks.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    Ok(marks.split_off(marks.len().saturating_sub(MARKS)))
}

fn gaps(journal: &JournalReader, (first, last): (u64, u64)) -> Result<Vec<TimelineGap>, ReplayError> {
    let silent = journal.silences(first, last, SILENCE.0, GAPS)?;
    let mut gaps: Vec<TimelineGap> = silent.iter().map(|(from, to)| gap(*from, *to)).collect();
    for (tick, note) in journal.notes()? {
        if let Note::Lost { after, before, .. } = note
            && (first..=last).contains(&tick)
            && let Some(entry) = journal.entry(tick)?
        {
            let to = before.map_or(entry.tick.time.0, |before| before.0);
            gaps.push(gap(after.map_or(to, |after| after.0.min(to)), to));
        }
    }
    gaps.sort_by_key(|g| (g.from, g.to));
    Ok(gaps.split_off(gaps.len().saturating_sub(GAPS)))
}

fn gap(from: i64, to: i64) -> TimelineGap {
    TimelineGap { from: Timestamp(from).millis(), to: Timestamp(to).millis() }
}
