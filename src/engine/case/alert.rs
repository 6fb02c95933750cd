//! Alerts on cases: the runs of time in which a rule holds of a case, and what is told of them.
//!
//! Owns: [`Told`] (what was told of one rule on one case), [`Judge`], when to look again. Refuses to know: how histories come to be, alerts as
//! operators know them.
//!
//! Invariants
//! 1. What stands is a function of the case's events, the calendar and tick time, whatever the order of arrival.
//! 2. A rule fires once its condition has lasted `for` and tick time is past that by `out_of_orderness`, as rows do (T5); it resolves as soon
//!    as an event or the clock says so.
//! 3. As for rows (R7): what is found later has its true `since`; an alert that overlaps it stays the same; a raised alert is never unsaid,
//!    only resolved with reason *revised*; one that began and ended before it was found is told as retroactive.
//!
//! Called by: case/book.rs.

use super::{Case, CaseEvidence, Gaps, MAX_STEPS, View};
use crate::engine::rule::{alert_id, clause_values};
use crate::engine::setup::Setup;
use crate::engine::{AlertChange, ChangeReason, Condition, Key, RowState, Tick};
use crate::pipeline::{CaseRule, Pipeline, RuleSpec};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What was told of one rule on one case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::engine) struct Told {
    /// By place in the pipeline's file.
    pub rule: u16,
    pub open: Option<OpenAlert>,
    /// Ended ones: fired, ended.
    pub ended: Vec<(Timestamp, Timestamp)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::engine) struct OpenAlert {
    /// Start of its run.
    pub since: Timestamp,
    pub fired: Timestamp,
    pub key: Arc<Key>,
    /// The last change told of it: what a changed rule resolves.
    pub evidence: CaseEvidence,
}

impl Told {
    pub fn forget_ended(&mut self) {
        self.ended.clear();
    }
}

/// A run of time in which a rule holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    start: Timestamp,
    /// `None`: it holds still.
    end: Option<Timestamp>,
    /// When it fires: `for` after its start.
    fires: Timestamp,
}

impl Run {
    fn holds(&self, t: Timestamp) -> bool {
        self.start <= t && self.end.is_none_or(|end| t < end)
    }
}

/// One tick's judgement of the cases of one kind.
pub(super) struct Judge<'a> {
    pub setup: &'a Setup,
    pub pipeline: usize,
    pub spec: &'a Pipeline,
    pub case: usize,
    pub tick: &'a Tick,
}

impl Judge<'_> {
    /// Tells what has changed; when to look again.
    pub fn judge(&self, subject: &Arc<str>, case: &mut Case, gaps: &mut Gaps, out: &mut Vec<AlertChange>) -> Option<Timestamp> {
        let now = self.tick.time;
        let rules: Vec<(u16, CaseRule)> = self.rules().collect();
        if rules.is_empty() {
            return None;
        }
        let mut wake = case.entries.iter().map(|e| e.time).find(|t| *t > now);
        let mut points = self.points(subject, case, gaps);
        let next = points.iter().copied().find(|t| *t > now);
        wake = [wake, next].into_iter().flatten().min();
        points.retain(|t| *t <= now);
        for (index, rule) in rules {
            let spec = &self.spec.rules[usize::from(index)];
            let (runs, waits) = self.runs(spec, rule, subject, case, &points, gaps);
            wake = [wake, waits].into_iter().flatten().min();
            let told = case.told.iter().position(|t| t.rule == index);
            if runs.is_empty() && told.is_none() {
                continue;
            }
            let mut told = match told {
                Some(at) => case.told.remove(at),
                None => Told { rule: index, open: None, ended: Vec::new() },
            };
            self.tell(&runs, &mut told, subject, case, gaps, out);
            case.told.push(told);
        }
        case.told.sort_by_key(|t| t.rule);
        wake
    }

    /// The case is let go: what is open of it ends.
    pub fn end_all(&self, subject: &Arc<str>, case: &mut Case, gaps: &mut Gaps, out: &mut Vec<AlertChange>) {
        for mut told in std::mem::take(&mut case.told) {
            if let Some(open) = told.open.take() {
                let at = self.tick.time;
                out.extend(self.change(told.rule, &open, Condition::Resolved, at, (None, false), subject, case, gaps));
            }
        }
    }

    fn rules(&self) -> impl Iterator<Item = (u16, CaseRule)> + '_ {
        let rules = self.spec.rules.iter().enumerate().filter_map(|(i, spec)| Some((i as u16, spec.case()?)));
        rules.filter(|(_, rule)| rule.case == self.case)
    }

    fn view<'v>(&'v self, subject: &'v str, case: &'v Case, at: Timestamp, gaps: &mut Gaps) -> Option<View<'v>> {
        Some(View::new(&self.spec.cases[self.case], &self.setup.registry, subject, case.at(at)?, at, gaps))
    }

    /// Instants at which something a rule reads may change, ascending: events, due times.
    fn points(&self, subject: &str, case: &Case, gaps: &mut Gaps) -> Vec<Timestamp> {
        let mut points: Vec<Timestamp> = Vec::with_capacity(case.entries.len() + 2);
        for (i, entry) in case.entries.iter().enumerate() {
            let next = case.entries.get(i + 1).map_or(Timestamp::MAX, |e| e.time);
            if next == entry.time {
                continue;
            }
            points.push(entry.time);
            if let Some(view) = self.view(subject, case, entry.time, gaps) {
                let judged = [view.soon, view.due].into_iter().flatten();
                points.extend(judged.filter(|t| *t > entry.time && *t < next));
            }
        }
        points.sort_unstable();
        points.dedup();
        points
    }

    /// The runs that fire by now, ascending; and when the newest will if it does not yet.
    fn runs(
        &self,
        spec: &RuleSpec,
        rule: CaseRule,
        subject: &str,
        case: &Case,
        points: &[Timestamp],
        gaps: &mut Gaps,
    ) -> (Vec<Run>, Option<Timestamp>) {
        let mut runs: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
        for at in points {
            let Some(view) = self.view(subject, case, *at, gaps) else { continue };
            let holds = rule.state.is_none_or(|state| state == view.standing.entry.state) && spec.when.holds(&view);
            match (holds, runs.last_mut()) {
                (true, Some((_, None))) => {}
                (true, _) => runs.push((*at, None)),
                (false, Some((_, end @ None))) => *end = Some(*at),
                (false, _) => {}
            }
        }
        let (mut fired, mut waits) = (Vec::new(), None);
        for (start, end) in runs {
            let fires = match rule.hold.after(start, &self.setup.registry.calendar.working) {
                Ok(fires) => fires,
                Err(gap) => {
                    gaps.note(gap);
                    continue;
                }
            };
            if end.is_some_and(|end| end <= fires) {
                continue;
            }
            let sure = fires + self.spec.timing.out_of_orderness;
            if sure <= self.tick.time {
                fired.push(Run { start, end, fires });
            } else {
                waits = Some(sure);
            }
        }
        (fired, waits)
    }

    fn tell(&self, runs: &[Run], told: &mut Told, subject: &Arc<str>, case: &Case, gaps: &mut Gaps, out: &mut Vec<AlertChange>) {
        let mut say = |open: &OpenAlert, to: Condition, at: Timestamp, how: (Option<ChangeReason>, bool), gaps: &mut Gaps| {
            out.extend(self.change(told.rule, open, to, at, how, subject, case, gaps));
        };
        let mut current = None;
        if let Some(open) = told.open.take() {
            let own = runs.iter().position(|r| r.holds(open.fired)).or_else(|| runs.iter().position(|r| r.start == open.since));
            let stands = runs.iter().position(|r| r.end.is_none());
            let ended = own.and_then(|i| runs[i].end);
            match (own.or(stands), ended) {
                (Some(i), None) => {
                    current = Some(i);
                    told.open = Some(open);
                }
                (_, Some(end)) => {
                    say(&open, Condition::Resolved, end.max(open.fired), (None, false), gaps);
                    told.ended.push((open.fired, end.max(open.fired)));
                }
                (None, None) => {
                    let decided = case.entries.iter().map(|e| e.time).filter(|t| *t <= self.tick.time).max();
                    let at = decided.map_or(open.fired, |t| t.max(open.fired));
                    say(&open, Condition::Resolved, at, (Some(ChangeReason::Revised), false), gaps);
                    told.ended.push((open.fired, at));
                }
            }
        }
        for (i, run) in runs.iter().enumerate() {
            let known = told.ended.iter().any(|(fired, ended)| run.fires < *ended && run.end.is_none_or(|end| *fired < end));
            // one that was told as ended and stands after all fires again
            if current == Some(i) || (known && run.end.is_some()) {
                continue;
            }
            let Some(open) = self.open(run, subject, case, gaps) else { continue };
            say(&open, Condition::Firing, run.fires, (None, run.end.is_some()), gaps);
            match run.end {
                Some(end) => {
                    say(&open, Condition::Resolved, end, (None, true), gaps);
                    told.ended.push((run.fires, end));
                }
                None => told.open = Some(open),
            }
        }
        let over = told.ended.len().saturating_sub(MAX_STEPS);
        told.ended.drain(..over);
    }

    fn open(&self, run: &Run, subject: &Arc<str>, case: &Case, gaps: &mut Gaps) -> Option<OpenAlert> {
        let view = self.view(subject, case, run.fires, gaps)?;
        let area = view.standing.area;
        let code = area.map_or("outside", |a| self.setup.registry.areas.area(a).code.as_str());
        let key = Arc::new(Key { tags: vec![(&**subject).into(), code.into()], area });
        Some(OpenAlert { since: run.start, fired: run.fires, key, evidence: CaseEvidence::of(&view) })
    }

    #[allow(clippy::too_many_arguments, reason = "one change of one alert on one case")]
    fn change(
        &self,
        rule: u16,
        open: &OpenAlert,
        to: Condition,
        at: Timestamp,
        (reason, passed): (Option<ChangeReason>, bool),
        subject: &Arc<str>,
        case: &Case,
        gaps: &mut Gaps,
    ) -> Option<AlertChange> {
        let spec = &self.spec.rules[usize::from(rule)];
        let (evidence, clauses) = match self.view(subject, case, at, gaps) {
            Some(view) => (CaseEvidence::of(&view), clause_values(&spec.clauses, &view)),
            None => (open.evidence.clone(), Vec::new()),
        };
        let raised = to == Condition::Firing;
        Some(AlertChange {
            tick: self.tick.number,
            pipeline: self.pipeline as u16,
            rule,
            from: if raised { Condition::Inactive } else { Condition::Firing },
            to,
            at,
            window_end: at,
            reason,
            retroactive: passed || (raised && !self.tick.live),
            clauses,
            ..change_of(&self.spec.name, &spec.name, &spec.version, open, evidence)
        })
    }
}

/// A change without its tick, places, direction and time.
pub(super) fn change_of(pipeline: &str, rule: &str, version: &str, open: &OpenAlert, evidence: CaseEvidence) -> AlertChange {
    AlertChange {
        tick: 0,
        id: alert_id(pipeline, rule, &open.key, open.since),
        pipeline: crate::engine::rule::GONE,
        rule: crate::engine::rule::GONE,
        key: open.key.clone(),
        from: Condition::Firing,
        to: Condition::Resolved,
        at: open.fired,
        window_start: open.since,
        window_end: open.fired,
        row_revision: 0,
        row_state: RowState::Final,
        since: open.since,
        values: Vec::new(),
        heard: None,
        expected: None,
        rule_version: version.into(),
        reason: None,
        retroactive: false,
        case: Some(Box::new(evidence)),
        clauses: Vec::new(),
        positions: Vec::new(),
    }
}
