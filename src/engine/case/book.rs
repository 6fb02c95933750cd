//! All cases of a lane: events in, rows of gauges and changes of alerts out.
//!
//! Owns: [`Cases`]: the cases by pipeline, kind and subject, their timers, when a case is let go. Refuses to know: partitions' watermarks
//! (the merger's `Reach` and `settled` say how far rows are), alerts as operators know them.
//!
//! Invariants
//! 1. What a tick does is a function of the state, the tick and the partitions' events (R3); events of one tick may come in any order.
//! 2. A tick costs O(events + due timers), besides the gauges whose windows end (D7).
//! 3. At most [`MAX_CASES`] cases of one kind are held; what comes for others then changes nothing and is counted (D6).
//! 4. A closed case keeps one event once no row can change by the others, and goes `keep` after it closed.
//!
//! Called by: lane.

use super::alert::Judge;
use super::gauge::Gauge;
use super::{Case, Gaps, Taken};
use crate::engine::collect::{CaseEvent, PartitionOutput};
use crate::engine::merge::{MAX_ROWS, Merger};
use crate::engine::setup::Setup;
use crate::engine::{AlertChange, Row, Tick};
use crate::pipeline::Pipeline;
use crate::pipeline::case::CaseSpec;
use crate::registry::Registry;
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cases of one kind.
pub const MAX_CASES: usize = 1_000_000;

#[derive(Debug, Default)]
pub struct Cases {
    pub(super) pipes: Vec<PipeCases>,
    /// Working time that was asked of years that the calendar does not know.
    pub(super) gaps: Gaps,
    /// What the last tick changed.
    updates: Vec<CaseUpdate>,
}

/// A case as a tick leaves it.
#[derive(Clone, Debug)]
pub struct CaseUpdate {
    pub pipeline: u16,
    pub case: u16,
    pub subject: Arc<str>,
    /// `None`: it was let go.
    pub now: Option<Arc<Case>>,
}

/// One pipeline.
#[derive(Debug, Default)]
pub(super) struct PipeCases {
    /// By case index.
    pub kinds: Vec<Kind>,
    /// In the order of the windows that are gauges.
    pub gauges: Vec<Gauge>,
    /// `Pipe::settled` of the tick before: rows of windows after it may be revised by the events of this one.
    pub settled: Timestamp,
}

/// All cases of one kind.
#[derive(Debug, Default)]
pub(super) struct Kind {
    pub cases: BTreeMap<Arc<str>, Arc<Case>>,
    /// When a case is judged again though nothing came, by (tick time, subject).
    pub timers: BTreeSet<(Timestamp, Arc<str>)>,
    /// Closed cases with more than one event, by (when they settle, subject).
    pub settling: BTreeSet<(Timestamp, Arc<str>)>,
    /// Changed since they were last judged.
    pub changed: BTreeSet<Arc<str>>,
    /// Events of new cases refused by [`MAX_CASES`].
    pub refused: u64,
}

/// One case as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct CaseRef<'a> {
    pub pipeline: &'a Pipeline,
    pub spec: &'a CaseSpec,
    pub subject: &'a Arc<str>,
    pub case: &'a Case,
}

impl Cases {
    pub fn new(pipelines: &[Pipeline]) -> Cases {
        let pipe = |pipeline: &Pipeline| {
            let gauges = pipeline.windows.iter().enumerate().filter(|(_, w)| w.gauge.is_some());
            PipeCases {
                kinds: pipeline.cases.iter().map(|_| Kind::default()).collect(),
                gauges: gauges.filter_map(|(index, window)| Some(Gauge::new(index, window.gauge.as_ref()?.case))).collect(),
                settled: Timestamp::MIN,
            }
        };
        Cases { pipes: pipelines.iter().map(pipe).collect(), ..Cases::default() }
    }

    /// All cases, by pipeline, kind and subject.
    pub fn iter<'a>(&'a self, pipelines: &'a [Pipeline]) -> impl Iterator<Item = CaseRef<'a>> {
        self.pipes.iter().zip(pipelines).flat_map(|(pipe, pipeline)| {
            pipe.kinds
                .iter()
                .zip(&pipeline.cases)
                .flat_map(move |(kind, spec)| kind.cases.iter().map(move |(subject, case)| CaseRef { pipeline, spec, subject, case }))
        })
    }

    pub fn get<'a>(&'a self, pipelines: &'a [Pipeline], name: &str, subject: &str) -> Option<CaseRef<'a>> {
        self.pipes.iter().zip(pipelines).find_map(|(pipe, pipeline)| {
            let at = pipeline.cases.iter().position(|spec| spec.name == name)?;
            let (subject, case) = pipe.kinds.get(at)?.cases.get_key_value(subject)?;
            Some(CaseRef { pipeline, spec: &pipeline.cases[at], subject, case })
        })
    }

    /// Cases held, of all kinds.
    pub fn len(&self) -> usize {
        self.pipes.iter().flat_map(|p| &p.kinds).map(|k| k.cases.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cases of one kind held, and events of further ones refused by [`MAX_CASES`].
    pub fn held(&self, pipeline: usize, case: usize) -> (usize, u64) {
        let kind = self.pipes.get(pipeline).and_then(|p| p.kinds.get(case));
        kind.map_or((0, 0), |k| (k.cases.len(), k.refused))
    }

    /// Of a window that counts cases: the end of the newest one that has fired, whether windows pass without rows by what is known, and how
    /// many may be revised.
    pub fn gauge(&self, pipeline: usize, window: usize) -> Option<(Option<Timestamp>, bool, usize)> {
        let gauge = self.pipes.get(pipeline)?.gauges.iter().find(|g| g.window == window)?;
        Some((gauge.last, gauge.quiet, gauge.windows.len()))
    }

    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Takes the partitions' events and adds the rows of gauges that this tick publishes; all rows are in order again afterwards.
    pub fn rows(&mut self, setup: &Setup, tick: &Tick, outputs: &mut [PartitionOutput], merger: &mut Merger, rows: &mut Vec<Row>) {
        self.updates.clear();
        let before = rows.len();
        for (p, (pipe, pipeline)) in self.pipes.iter_mut().zip(&setup.pipelines).enumerate() {
            if pipe.kinds.is_empty() {
                continue;
            }
            let events = outputs.iter_mut().filter_map(|o| o.parts.get_mut(p)).flat_map(|part| part.cases.drain(..));
            pipe.absorb(pipeline, &setup.registry, events);
            let merged = &mut merger.pipes[p];
            let upto = merged.reach.upto.min(tick.time);
            for gauge in &mut pipe.gauges {
                let kind = &pipe.kinds[gauge.case];
                let place = Place { pipeline: p, spec: pipeline, registry: &setup.registry, gaps: &mut self.gaps };
                gauge.step(place, kind, upto, &merged.reach, MAX_ROWS.saturating_sub(rows.len()), rows);
                // rows that wait hold back what rules may call silence
                if let Some(waits) = gauge.waits {
                    merged.frontier = merged.frontier.min(waits - Span(1));
                }
            }
            pipe.settle((p, pipeline), &setup.registry, merged.settled, &mut self.updates);
        }
        if rows.len() > before {
            rows.sort_by(|a, b| {
                let place = |r: &Row| (r.end, merger.rank(r.pipeline, r.window));
                place(a).cmp(&place(b)).then_with(|| a.key.cmp(&b.key)).then(a.revision.cmp(&b.revision))
            });
        }
    }

    /// Judges the cases that changed and those whose time has come: changes by (time, pipeline, rule, key).
    pub fn judge(&mut self, setup: &Setup, tick: &Tick, out: &mut Vec<AlertChange>) {
        let mut changes = Vec::new();
        for (p, (pipe, pipeline)) in self.pipes.iter_mut().zip(&setup.pipelines).enumerate() {
            for (c, kind) in pipe.kinds.iter_mut().enumerate() {
                let mut subjects = std::mem::take(&mut kind.changed);
                let due = kind.timers.iter().take_while(|(at, _)| *at <= tick.time);
                subjects.extend(due.map(|(_, subject)| subject.clone()));
                for subject in subjects {
                    let judge = Judge { setup, pipeline: p, spec: pipeline, case: c, tick };
                    kind.judge(&judge, &subject, &mut self.gaps, &mut changes);
                    let now = kind.cases.get(&subject).cloned();
                    self.updates.push(CaseUpdate { pipeline: p as u16, case: c as u16, subject, now });
                }
            }
        }
        changes.sort_by(|a, b| (a.at, a.pipeline, a.rule).cmp(&(b.at, b.pipeline, b.rule)).then_with(|| a.key.cmp(&b.key)));
        out.append(&mut changes);
    }

    /// What the last tick changed, for whoever shows cases; in the order in which it is to be put.
    pub fn take_updates(&mut self) -> Vec<CaseUpdate> {
        std::mem::take(&mut self.updates)
    }

    /// All cases, as updates of nothing.
    pub fn all(&self) -> Vec<CaseUpdate> {
        let mut all = Vec::with_capacity(self.len());
        for (p, pipe) in self.pipes.iter().enumerate() {
            for (c, kind) in pipe.kinds.iter().enumerate() {
                let update = |(subject, case): (&Arc<str>, &Arc<Case>)| CaseUpdate {
                    pipeline: p as u16,
                    case: c as u16,
                    subject: subject.clone(),
                    now: Some(case.clone()),
                };
                all.extend(kind.cases.iter().map(update));
            }
        }
        all
    }

    /// The earliest tick time, after `now`, at which an empty tick would do something.
    pub fn next_deadline(&self, setup: &Setup, now: Timestamp) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let mut add = |at: Timestamp| next = Some(next.map_or(at, |n| n.min(at)));
        for (pipe, pipeline) in self.pipes.iter().zip(&setup.pipelines) {
            for kind in &pipe.kinds {
                if let Some((at, _)) = kind.timers.first() {
                    add((*at).max(now + Span(1)));
                }
            }
            for gauge in &pipe.gauges {
                if let Some(at) = gauge.next_deadline(pipeline, now) {
                    add(at);
                }
            }
        }
        next
    }

    /// Rows of gauges wait for the next tick.
    pub fn owes(&self) -> bool {
        self.pipes.iter().flat_map(|p| &p.gauges).any(|g| g.waits.is_some())
    }
}

/// Where rows of gauges are made.
pub(super) struct Place<'a> {
    pub pipeline: usize,
    pub spec: &'a Pipeline,
    pub registry: &'a Registry,
    pub gaps: &'a mut Gaps,
}

impl PipeCases {
    fn absorb(&mut self, pipeline: &Pipeline, registry: &Registry, events: impl Iterator<Item = CaseEvent>) {
        for CaseEvent { case, subject, entry } in events {
            let kind = &mut self.kinds[case as usize];
            let (time, closed_until) = (entry.time, entry.closed_until);
            let gauges =
                || pipeline.windows.iter().filter_map(|w| w.gauge.as_ref()).enumerate().filter(|(_, g)| g.case == usize::from(case));
            let known = kind.cases.get_key_value(&*subject).map(|(subject, _)| subject.clone());
            let (subject, before) = match known {
                Some(subject) => {
                    let held = &kind.cases[&subject];
                    let before: Vec<_> = gauges().map(|(_, spec)| super::gauge::keys(spec, pipeline, registry, &subject, held)).collect();
                    (subject, before)
                }
                None if kind.cases.len() >= MAX_CASES => {
                    kind.refused += 1;
                    continue;
                }
                None => (Arc::from(subject), Vec::new()),
            };
            let taken = match kind.cases.get_mut(&subject) {
                Some(held) => Arc::make_mut(held).take(entry),
                None => {
                    kind.cases.insert(subject.clone(), Arc::new(Case::new(entry)));
                    Taken::Changed
                }
            };
            if taken == Taken::Nothing {
                continue;
            }
            kind.changed.insert(subject.clone());
            kind.queue(&pipeline.cases[case as usize], &subject);
            let held = &kind.cases[&subject];
            for (n, (g, spec)) in gauges().enumerate() {
                let after = super::gauge::keys(spec, pipeline, registry, &subject, held);
                let before = before.get(n).cloned().unwrap_or_default();
                let settled = self.settled;
                self.gauges[g].moved(pipeline, &subject, (before, after), (time, closed_until.max(settled)));
            }
        }
    }

    /// Lets go of what no row can be changed by any more.
    fn settle(&mut self, (p, pipeline): (usize, &Pipeline), registry: &Registry, settled: Timestamp, updates: &mut Vec<CaseUpdate>) {
        self.settled = settled;
        for (c, kind) in self.kinds.iter_mut().enumerate() {
            let mut gauges: Vec<_> = self.gauges.iter_mut().filter(|g| g.case == c).collect();
            // a gauge looks back as far as its last window
            let upto = gauges.iter().filter_map(|g| g.last).min().unwrap_or(Timestamp::MAX).min(settled);
            while kind.settling.first().is_some_and(|(at, _)| *at < upto) {
                let Some((_, subject)) = kind.settling.pop_first() else { break };
                let Some(case) = kind.cases.get_mut(&subject) else { continue };
                let keys = |gauge: &Gauge, case: &Case| {
                    let spec = pipeline.windows[gauge.window].gauge.as_ref();
                    spec.map(|spec| super::gauge::keys(spec, pipeline, registry, &subject, case)).unwrap_or_default()
                };
                let before: Vec<_> = gauges.iter().map(|g| keys(g, case)).collect();
                let closed = Arc::make_mut(case);
                closed.forget(closed.entries.len() - 1);
                closed.told.iter_mut().for_each(|told| told.forget_ended());
                for (gauge, before) in gauges.iter_mut().zip(before) {
                    let after = keys(gauge, case);
                    gauge.members_moved(&subject, before, &after);
                }
                updates.push(CaseUpdate { pipeline: p as u16, case: c as u16, subject, now: Some(case.clone()) });
            }
            gauges.iter_mut().for_each(|g| g.settle(settled));
        }
    }
}

impl Kind {
    /// Queues a case that is closed for [`PipeCases::settle`]; an entry too early does no harm.
    pub(super) fn queue(&mut self, spec: &CaseSpec, subject: &Arc<str>) {
        if let Some(at) = self.cases.get(subject).and_then(|case| case.settles_at(spec)) {
            self.settling.insert((at, subject.clone()));
        }
    }

    fn judge(&mut self, judge: &Judge<'_>, subject: &Arc<str>, gaps: &mut Gaps, out: &mut Vec<AlertChange>) {
        let Some(held) = self.cases.get_mut(subject) else { return };
        let case = Arc::make_mut(held);
        if let Some(at) = case.armed.take() {
            self.timers.remove(&(at, subject.clone()));
        }
        let spec = &judge.spec.cases[judge.case];
        let goes = case.goes_at(spec).filter(|_| case.entries.len() == 1);
        if goes.is_some_and(|at| at <= judge.tick.time) {
            judge.end_all(subject, case, gaps, out);
            self.cases.remove(subject);
            return;
        }
        let wake = judge.judge(subject, case, gaps, out);
        // with more than one event it is let go when those have settled: looked at again a day later
        let later = case.goes_at(spec).map(|at| if goes.is_some() { at } else { at.max(judge.tick.time + Span::days(1)) });
        case.armed = [wake, later].into_iter().flatten().min();
        self.timers.extend(case.armed.map(|at| (at, subject.clone())));
    }
}
