//! Rules on absent sources: who should be heard, who was, and who is silent now.
//!
//! Owns: by rule and source the newest event on each partition, when that becomes silence, spans in which partitions could not be read.
//! Refuses to know: events, rows, what silence means to people.
//!
//! Invariants
//! 1. Last heard is `min(event_time, broker_time)` of accepted events: old uploads and late events clear nothing.
//! 2. A source is silent when every partition that ever heard it says so, one that was never heard when all do: the partition's watermark,
//!    or its clock less `out_of_orderness` (and `patience`, while it is not idle), has come `after` past what it last heard. Time in which
//!    it could not be read does not count; a partition that is behind or unreadable says nothing.
//! 3. A source that was never heard counts from when the registry has it in force, or from the tick in which its pipeline first took
//!    anything, if later: before that nobody sends, and nobody is missed.
//! 4. A tick costs O(sources heard + due), never O(sources): each waits in one queue, at the deadline of one partition.
//! 5. Bounded by the registry's sources × rules; of unreadable spans the last [`MAX_SPANS`] of a partition count.
//! 6. Changes of a tick come by (at, pipeline, rule, key tags).
//! 7. While an alert on an area stands for a rule's silences, those that begin in that area are not told; those that still last when it
//!    ends are told then.
//!
//! Called by: lane (ticks), snapshot (restore).

mod snapshot;
mod stand;

pub use snapshot::{AbsenceSnapshot, UnreadableAbsences};

use super::merge::{Pipe, View};
use super::rule::alert_id;
use super::setup::Setup;
use super::{AlertChange, AlertId, ChangeReason, Condition, Key, PartitionTick, RowState, Tick};
use crate::pipeline::{After, Pipeline, Timing};
use crate::registry::{Registry, Source};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use stand::Stands;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Spans of one partition that are remembered as unreadable.
pub const MAX_SPANS: usize = 256;

/// What a partition heard of one source, for one absence rule of a pipeline.
#[derive(Clone, PartialEq, Debug)]
pub struct LastHeard {
    /// Index in the pipeline's absences.
    pub absence: u16,
    pub source: Arc<str>,
    pub at: Timestamp,
}

/// All absence rules of a lane.
#[derive(Debug, Default)]
pub struct Absences {
    rules: Vec<Rule>,
    now: Timestamp,
    partitions: Vec<Unread>,
    stands: Stands,
}

/// When a partition could not be read, in tick time, ascending and apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Unread {
    /// In the last tick.
    unreadable: bool,
    spans: Vec<(Timestamp, Timestamp)>,
}

#[derive(Debug)]
struct Rule {
    pipeline: usize,
    /// Index in `Pipeline::absences`.
    absence: usize,
    watches: BTreeMap<Arc<str>, Watch>,
    /// Those that are silent.
    silent: BTreeSet<Arc<str>>,
    /// `silent` has changed since it was last counted.
    changed: bool,
    /// By partition: who waits for it, by deadline. Every watch that is not silent stands in one queue.
    queues: Vec<BTreeSet<(Timestamp, Arc<str>)>>,
    /// When sources come into force (true) and leave it (false): (time, comes, id), and how far that has been done.
    schedule: Vec<(Timestamp, bool, Arc<str>)>,
    done: usize,
    /// Time of the tick in which the pipeline first took anything.
    began: Option<Timestamp>,
}

/// One source under watch.
#[derive(Debug)]
struct Watch {
    key: Arc<Key>,
    after: Span,
    since: Timestamp,
    /// (partition, last heard), by partition.
    heard: Vec<(u32, Timestamp)>,
    silent: Option<Silent>,
    queued: Option<(usize, Timestamp)>,
}

/// A silence that was found.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Silent {
    /// What was last heard, or since when it should have been.
    last: Timestamp,
    at: Timestamp,
    /// Its alert fires; else another alert stands for it.
    told: bool,
}

/// How far each partition of a pipeline can speak of silence.
struct Reach<'a> {
    reached: Vec<Timestamp>,
    unread: &'a [Unread],
}

impl Reach<'_> {
    fn of<'a>(pipe: &Pipe, timing: &Timing, now: Timestamp, unread: &'a [Unread]) -> Reach<'a> {
        let reach = |view: &View| {
            let clock = match view.read_time {
                Some(read) => read.min(now),
                None if view.unreadable => Timestamp::MIN,
                None => now,
            };
            let quiet = view.idle || view.finished;
            let by_clock = clock - timing.out_of_orderness - if quiet { Span::ZERO } else { timing.patience };
            view.watermark.unwrap_or(Timestamp::MIN).max(by_clock)
        };
        Reach { reached: pipe.parts.iter().map(reach).collect(), unread }
    }

    /// When `after` has passed on a partition since `from`, time in which it could not be read left out.
    fn deadline(&self, partition: usize, from: Timestamp, after: Span) -> Timestamp {
        let mut deadline = from + after;
        for (start, end) in self.unread.get(partition).map_or(&[][..], |u| &u.spans) {
            if *start < deadline && *end > from {
                deadline = deadline + (*end - (*start).max(from));
            }
        }
        deadline
    }
}

impl Watch {
    /// The first partition that does not speak of silence yet, with its deadline; else when silence was complete.
    fn judge(&self, reach: &Reach<'_>) -> Result<Silent, (usize, Timestamp)> {
        let all = 0..reach.reached.len();
        let never: Vec<(u32, Timestamp)>;
        let heard = match self.heard.as_slice() {
            [] => {
                never = all.map(|p| (p as u32, self.since)).collect();
                &never[..]
            }
            heard => heard,
        };
        let mut silent = Silent { last: Timestamp::MIN, at: Timestamp::MIN, told: true };
        for (partition, last) in heard {
            let p = *partition as usize;
            let deadline = reach.deadline(p, *last, self.after);
            if reach.reached.get(p).is_none_or(|reached| *reached < deadline) {
                return Err((p, deadline));
            }
            silent = Silent { last: silent.last.max(*last), at: silent.at.max(deadline), told: true };
        }
        // no partition at all: nobody can be silent
        if heard.is_empty() { Err((0, self.since + self.after)) } else { Ok(silent) }
    }

    fn hear(&mut self, partition: u32, at: Timestamp) {
        match self.heard.binary_search_by_key(&partition, |(p, _)| *p) {
            Ok(i) => self.heard[i].1 = self.heard[i].1.max(at),
            Err(i) => self.heard.insert(i, (partition, at)),
        }
    }
}

impl Rule {
    fn new(pipeline: usize, absence: usize, setup: &Setup) -> Rule {
        let spec = &setup.pipelines[pipeline].absences[absence];
        let sources = setup.registry.sources.iter().filter(|s| s.types.contains(&spec.kind) && patience_of(s, spec.after).is_some());
        let mut schedule = Vec::new();
        for source in sources {
            let id: Arc<str> = source.id.as_str().into();
            schedule.extend(source.valid_to.map(|to| (to, false, id.clone())));
            schedule.push((source.valid_from.unwrap_or(Timestamp::MIN), true, id));
        }
        // who leaves at an instant goes before who comes: a source may get a new line
        schedule.sort();
        Rule {
            pipeline,
            absence,
            watches: BTreeMap::new(),
            silent: BTreeSet::new(),
            changed: false,
            queues: Vec::new(),
            schedule,
            done: 0,
            began: None,
        }
    }

    /// Puts a watch into the queue of a partition.
    fn queue(&mut self, source: &Arc<str>, (partition, deadline): (usize, Timestamp)) {
        if self.queues.len() <= partition {
            self.queues.resize_with(partition + 1, BTreeSet::new);
        }
        let Some(watch) = self.watches.get_mut(source) else { return };
        if let Some((p, at)) = watch.queued.replace((partition, deadline)) {
            self.queues[p].remove(&(at, source.clone()));
        }
        self.queues[partition].insert((deadline, source.clone()));
    }

    fn forget(&mut self, source: &Arc<str>) -> Option<Watch> {
        let watch = self.watches.remove(source)?;
        self.changed |= self.silent.remove(source);
        if let Some((p, at)) = watch.queued {
            self.queues[p].remove(&(at, source.clone()));
        }
        Some(watch)
    }

    /// Sources that come into force or leave it by `now`.
    fn turn(&mut self, setup: &Setup, now: Timestamp, out: &mut Vec<Told>) {
        let Some(began) = self.began else { return };
        while let Some((at, comes, source)) = self.schedule.get(self.done).filter(|(at, ..)| *at <= now).cloned() {
            self.done += 1;
            if comes {
                self.come(setup, &source, at, at.max(began));
            } else if let Some(watch) = self.forget(&source)
                && let Some(silent) = watch.silent.filter(|silent| silent.told)
            {
                out.push(Told { rule: (self.pipeline, self.absence), watch: watch.key, silent, end: Some((at.max(silent.at), None)) });
            }
        }
    }

    fn come(&mut self, setup: &Setup, source: &Arc<str>, at: Timestamp, since: Timestamp) {
        let spec = &setup.pipelines[self.pipeline].absences[self.absence];
        let registry = &setup.registry;
        let Some(line) = registry.sources.get(source, at.max(since)).or_else(|| registry.sources.get(source, at)) else { return };
        let Some(after) = patience_of(line, spec.after) else { return };
        let key = key_of(line, registry, since);
        self.watches.insert(source.clone(), Watch { key, after, since, heard: Vec::new(), silent: None, queued: None });
        self.queue(source, (0, since + after));
    }
}

/// How long a source may be silent; `None`: it has no cadence and the rule asks for one.
fn patience_of(source: &Source, after: After) -> Option<Span> {
    let cadences = match after.cadences {
        0 => Span::ZERO,
        n => source.cadence?.times(i64::from(n)),
    };
    Some(cadences + after.plus)
}

/// `[area, source]`, as the rule's rows have it.
fn key_of(source: &Source, registry: &Registry, at: Timestamp) -> Arc<Key> {
    let area = registry.area_of_source(source, at);
    let code = area.map_or("outside", |a| &registry.areas.area(a).code);
    Arc::new(Key { tags: vec![code.into(), source.id.as_str().into()], area })
}

/// A silence that began (no `end`), or ended: when and why.
struct Told {
    rule: (usize, usize),
    watch: Arc<Key>,
    silent: Silent,
    end: Option<(Timestamp, Option<ChangeReason>)>,
}

/// One tick as absence rules need it.
pub struct AbsenceTick<'a> {
    pub setup: &'a Setup,
    pub tick: &'a Tick,
    pub pipes: &'a [Pipe],
    /// (partition, pipeline, what it heard).
    pub heard: Vec<(u32, u16, LastHeard)>,
}

impl Absences {
    pub fn new(setup: &Setup) -> Absences {
        let rules = setup.pipelines.iter().enumerate().flat_map(|(p, pipeline)| (0..pipeline.absences.len()).map(move |a| (p, a)));
        let rules: Vec<Rule> = rules.map(|(p, a)| Rule::new(p, a, setup)).collect();
        let stands = Stands::new(setup, &rules);
        Absences { rules, now: Timestamp::MIN, partitions: Vec::new(), stands }
    }

    /// `out` holds what thresholds changed at this tick. Gives the alerts that stand for another number of silences now.
    pub fn step(&mut self, at: AbsenceTick<'_>, out: &mut Vec<AlertChange>) -> Vec<(AlertId, u32)> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let AbsenceTick { setup, tick, pipes, heard } = at;
        self.note_unread(tick.time, &tick.partitions);
        let mut told = Vec::new();
        let mut reaches: BTreeMap<usize, Reach<'_>> = BTreeMap::new();
        for rule in &mut self.rules {
            let p = rule.pipeline;
            reaches.entry(p).or_insert_with(|| Reach::of(&pipes[p], &setup.pipelines[p].timing, tick.time, &self.partitions));
            if rule.began.is_none() && pipes[p].parts.iter().any(|view| view.watermark.is_some()) {
                rule.began = Some(tick.time);
            }
            rule.turn(setup, tick.time, &mut told);
        }
        for (partition, pipeline, heard) in heard {
            let place = (pipeline as usize, heard.absence as usize);
            let found = self.rules.binary_search_by_key(&place, |rule| (rule.pipeline, rule.absence));
            if let (Ok(i), Some(reach)) = (found, reaches.get(&place.0)) {
                self.rules[i].hear(partition, &heard, reach, &mut told);
            }
        }
        self.stands.turn(&mut self.rules, setup, out, &mut told);
        for (i, rule) in self.rules.iter_mut().enumerate() {
            if let Some(reach) = reaches.get(&rule.pipeline) {
                rule.fall_silent(reach, |key| self.stands.covers(i, key, &setup.registry), &mut told);
            }
        }
        self.now = tick.time;
        let counts = self.stands.counts(&mut self.rules, &setup.registry);
        let mut changes: Vec<AlertChange> = told.into_iter().map(|told| change_of(&told, setup, tick)).collect();
        changes.sort_by(|a, b| (a.at, a.pipeline, a.rule, &a.key.tags).cmp(&(b.at, b.pipeline, b.rule, &b.key.tags)));
        out.extend(changes);
        counts
    }

    /// A span between two ticks counts for nothing if the partition could not be read at either end of it.
    fn note_unread(&mut self, time: Timestamp, partitions: &[PartitionTick]) {
        let first = self.now == Timestamp::MIN;
        self.partitions.resize(partitions.len().max(self.partitions.len()), Unread::default());
        for (unread, at) in self.partitions.iter_mut().zip(partitions) {
            let bad = at.unreadable || unread.unreadable;
            unread.unreadable = at.unreadable;
            if !bad || first || time <= self.now {
                continue;
            }
            match unread.spans.last_mut().filter(|(_, end)| *end == self.now) {
                Some(last) => last.1 = time,
                None => unread.spans.push((self.now, time)),
            }
            let many = unread.spans.len().saturating_sub(MAX_SPANS);
            unread.spans.drain(..many);
        }
    }

    /// The earliest tick time after `now` at which an empty tick would find or end a silence.
    pub fn next_deadline(&self, setup: &Setup, now: Timestamp) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let mut consider = |at: Timestamp| next = Some(next.map_or(at, |n: Timestamp| n.min(at)));
        for rule in &self.rules {
            let timing = &setup.pipelines[rule.pipeline].timing;
            for grace in [timing.out_of_orderness, timing.out_of_orderness + timing.patience] {
                // who waits behind `now - grace` waits for the partition, not for time
                let from: (Timestamp, Arc<str>) = (now - grace + Span(1), "".into());
                rule.queues.iter().filter_map(|queue| queue.range(from.clone()..).next()).for_each(|(at, _)| consider(*at + grace));
            }
            let leaves = rule.schedule[rule.done..].iter().find(|(at, comes, _)| !comes && *at > now);
            leaves.iter().for_each(|(at, ..)| consider(*at));
        }
        next.filter(|at| *at > now)
    }
}

impl Rule {
    fn hear(&mut self, partition: u32, heard: &LastHeard, reach: &Reach<'_>, out: &mut Vec<Told>) {
        let Some(watch) = self.watches.get_mut(&heard.source) else { return };
        let first = watch.heard.is_empty();
        watch.hear(partition, heard.at);
        let Some(silent) = watch.silent else {
            // until now it waited for all partitions; from now on a deadline only ever grows, so it may stay where it stands
            if first {
                let deadline = heard.at + watch.after;
                self.queue(&heard.source, (partition as usize, deadline));
            }
            return;
        };
        if let Err(waits) = watch.judge(reach) {
            watch.silent = None;
            self.silent.remove(&heard.source);
            self.changed = true;
            // heard before silence was complete, only found after: it should not stand
            let (end, reason) = if heard.at > silent.at { (heard.at, None) } else { (silent.at, Some(ChangeReason::Revised)) };
            if silent.told {
                out.push(Told { rule: (self.pipeline, self.absence), watch: watch.key.clone(), silent, end: Some((end, reason)) });
            }
            self.queue(&heard.source, waits);
        }
    }

    fn fall_silent(&mut self, reach: &Reach<'_>, covered: impl Fn(&Key) -> bool, out: &mut Vec<Told>) {
        for p in 0..self.queues.len() {
            let Some(reached) = reach.reached.get(p).copied() else { continue };
            while let Some((_, source)) = self.queues[p].first().filter(|(at, _)| *at <= reached).cloned() {
                self.queues[p].pop_first();
                let Some(watch) = self.watches.get_mut(&source) else { continue };
                watch.queued = None;
                match watch.judge(reach) {
                    Ok(silent) => {
                        let silent = Silent { told: !covered(&watch.key), ..silent };
                        watch.silent = Some(silent);
                        self.silent.insert(source);
                        self.changed = true;
                        if !silent.told {
                            continue;
                        }
                        out.push(Told { rule: (self.pipeline, self.absence), watch: watch.key.clone(), silent, end: None });
                    }
                    Err(waits) => self.queue(&source, waits),
                }
            }
        }
    }
}

fn change_of(told: &Told, setup: &Setup, tick: &Tick) -> AlertChange {
    let pipeline: &Pipeline = &setup.pipelines[told.rule.0];
    let spec = &pipeline.absences[told.rule.1];
    let Silent { last, at, .. } = told.silent;
    let (from, to, at, window_end, reason) = match told.end {
        None => (Condition::Inactive, Condition::Firing, at, at, None),
        Some((end, reason)) => (Condition::Firing, Condition::Resolved, end, end, reason),
    };
    AlertChange {
        tick: tick.number,
        id: alert_id(&pipeline.name, &spec.name, &told.watch, last),
        pipeline: told.rule.0 as u16,
        rule: pipeline.absence_place(told.rule.1),
        key: told.watch.clone(),
        from,
        to,
        at,
        window_start: last,
        window_end,
        row_revision: 0,
        row_state: RowState::Final,
        since: last,
        values: Vec::new(),
        heard: None,
        expected: None,
        case: None,
        clauses: Vec::new(),
        positions: Vec::new(),
        rule_version: spec.version.as_str().into(),
        reason,
        retroactive: to == Condition::Firing && !tick.live,
    }
}
