//! The merger: newest partials of every partition in, rows out in one order.
//!
//! Owns: [`Merger`]: what each partition said of each window that can still change, what was published of it, when a window fires
//! (T5), what is settled (D6). Refuses to know: events, rules, where rows go.
//!
//! Invariants
//! 1. Of each partition the newest partial wins (R1); keys are folded in partition order.
//! 2. Rows leave by (window end, measurement, key); at most [`MAX_ROWS`] at a tick, the rest at the next (D7).
//! 3. A row is published again only if its fields, state, heard or expected changed.
//! 4. A tick costs O(changed + due).
//!
//! Called by: lane.

mod fill;
mod positions;
mod reach;
mod values;

pub(super) use super::aggregate::Column;
use super::collect::{PartOutput, PartitionOutput};
use super::completeness::{Expected, Heard, completeness, concerns, sends};
use super::keys::GlobalKeys;
use super::setup::Setup;
use super::snapshot::MergedState;
use super::window::Batch;
use super::{PartitionTick, Row, RowState, Tick};
use crate::pipeline::{Pipeline, Timing, WindowSpec};
use crate::time::{Span, Timestamp};
pub(super) use fill::Fill;
pub(super) use reach::Reach;
use std::collections::{BTreeMap, BTreeSet};
pub(super) use values::digest;

/// Rows that fire at one tick (D7).
pub const MAX_ROWS: usize = 50_000;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub struct Merger {
    pub(super) pipes: Vec<Pipe>,
    /// Order of (pipeline, window) by measurement name.
    order: Vec<Vec<usize>>,
    /// Windows with changes that wait for the next tick.
    pub(super) owed: BTreeSet<Place>,
}

/// (pipeline, window, start)
pub(super) type Place = (usize, usize, Timestamp);

/// One pipeline over all partitions.
#[derive(Debug)]
pub struct Pipe {
    pub(super) parts: Vec<View>,
    pub(super) windows: Vec<MergedWindows>,
    /// A window ending at or before this would fire now or is past its deadline.
    pub frontier: Timestamp,
    /// Windows ending at or before this can no longer change.
    pub settled: Timestamp,
    /// How far windows fire at this tick.
    pub(super) reach: Reach,
}

/// What the merger knows of one partition, for one pipeline.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct View {
    pub watermark: Option<Timestamp>,
    pub idle: bool,
    pub finished: bool,
    pub unreadable: bool,
    pub read_time: Option<Timestamp>,
}

impl View {
    /// A finished file counts as past everything.
    fn reached(&self) -> Timestamp {
        if self.finished { Timestamp::MAX } else { self.watermark.unwrap_or(Timestamp::MIN) }
    }
}

#[derive(Debug, Default)]
pub(super) struct MergedWindows {
    pub keys: GlobalKeys,
    /// By partition: local key number → global.
    pub local: Vec<Vec<u32>>,
    pub open: BTreeMap<Timestamp, Merged>,
    /// Starts of windows that have not fired.
    pub unfired: BTreeSet<Timestamp>,
    /// By window end.
    pub heard: BTreeMap<Timestamp, Heard>,
    /// When this definition came into force: windows that had begun lack what came before (D2).
    pub born: Timestamp,
    /// Where windows without events have rows too.
    pub fill: Option<Fill>,
    /// Forgotten at the end of the last step: evidence of its rows can still be asked for.
    just_settled: Vec<(Timestamp, Merged)>,
}

/// One window, all partitions.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub end: Timestamp,
    pub fired: Option<RowState>,
    entry_of: Vec<u32>,
    pub keys: Vec<u32>,
    pub parts: Vec<PartColumns>,
    /// Entries that changed since they were last published.
    pub changed: Vec<u32>,
    is_changed: Vec<bool>,
    pub published: Vec<Published>,
}

/// One partition's columns of one window.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct PartColumns {
    /// Merged entry → place in the columns.
    pub index: Vec<u32>,
    pub columns: Vec<Column>,
    pub len: u32,
    /// By place: the end offset that the partial stands for (R1).
    pub said: Vec<u64>,
    /// Its events lie in [from, to); `to` 0: none yet.
    #[serde(default)]
    pub read: (u64, u64),
}

/// What was last published of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Published {
    /// Number of publications so far.
    pub times: u32,
    pub digest: u64,
}

impl Merger {
    pub fn new(setup: &Setup) -> Merger {
        let mut names: Vec<&str> = setup.pipelines.iter().flat_map(|p| p.windows.iter().map(|w| w.measurement.as_str())).collect();
        names.sort_unstable();
        let rank = |w: &WindowSpec| names.partition_point(|n| *n < w.measurement.as_str());
        Merger {
            pipes: setup.pipelines.iter().map(Pipe::new).collect(),
            order: setup.pipelines.iter().map(|p| p.windows.iter().map(rank).collect()).collect(),
            owed: BTreeSet::new(),
        }
    }

    /// Takes what the partitions sent and says which rows are published at this tick, in order.
    pub fn step(&mut self, setup: &Setup, tick: &Tick, outputs: &mut [PartitionOutput], rows: &mut Vec<Row>) {
        let mut touched = std::mem::take(&mut self.owed);
        for (partition, (output, at)) in outputs.iter_mut().zip(&tick.partitions).enumerate() {
            for (index, (pipe, part)) in self.pipes.iter_mut().zip(&mut output.parts).enumerate() {
                pipe.absorb((index, partition), part, at, setup, &mut touched);
            }
        }
        // (end, measurement, place): the order in which rows leave
        let mut groups: Vec<(Timestamp, usize, Place)> = Vec::new();
        for (index, pipe) in self.pipes.iter_mut().enumerate() {
            pipe.judge(index, setup, tick.time, &mut touched);
        }
        for (p, w) in &tick.retire {
            let (p, w) = (*p as usize, *w as usize);
            for start in self.pipes[p].windows[w].retire() {
                touched.insert((p, w, start));
            }
        }
        for place in touched {
            let (p, w, start) = place;
            if let Some(merged) = self.pipes[p].windows[w].open.get(&start) {
                let provisional = setup.pipelines[p].windows[w].early.is_some();
                if !merged.changed.is_empty() && (merged.fired.is_some() || provisional) {
                    groups.push((merged.end, self.order[p][w], place));
                }
            }
        }
        groups.sort_unstable();
        for (_, _, place) in groups {
            let (p, w, start) = place;
            let windows = &mut self.pipes[p].windows[w];
            windows.keys.order();
            let MergedWindows { keys, open, heard, .. } = windows;
            if let Some(merged) = open.get_mut(&start) {
                let room = MAX_ROWS.saturating_sub(rows.len());
                merged.publish((p, w, start), setup, keys, heard.get(&merged.end), room, rows);
                if !merged.changed.is_empty() {
                    self.owed.insert(place);
                }
            }
        }
        for (index, pipe) in self.pipes.iter_mut().enumerate() {
            // rows that wait hold back what is settled, and what rules may call silence
            let waiting = self.owed.iter().filter(|(p, ..)| *p == index);
            let ends = waiting.filter_map(|(_, w, start)| pipe.windows[*w].open.get(start).map(|m| m.end));
            let ends = ends.chain(pipe.windows.iter().filter_map(|w| w.fill.as_ref()?.owed));
            let before = ends.min().map_or(Timestamp::MAX, |least| least - Span(1));
            pipe.settle(&setup.pipelines[index], before);
            pipe.frontier = pipe.frontier.min(before);
        }
    }

    /// The earliest tick time, after `now`, at which an empty tick would publish something.
    pub fn next_deadline(&self, setup: &Setup, now: Timestamp) -> Option<Timestamp> {
        if self.owes() {
            return Some(now + Span(1));
        }
        let mut next: Option<Timestamp> = None;
        for (pipe, pipeline) in self.pipes.iter().zip(&setup.pipelines) {
            let timing = &pipeline.timing;
            for (windows, spec) in pipe.windows.iter().zip(&pipeline.windows) {
                let unfired = windows.unfired.iter().filter_map(|s| windows.open.get(s));
                let unfired = unfired.map(|m| [m.end + timing.out_of_orderness, m.end + timing.out_of_orderness + timing.patience]);
                let empty = windows.fill.as_ref().and_then(|f| f.due(&spec.alignment, timing));
                for at in unfired.chain(empty).flatten().filter(|at| *at > now) {
                    next = Some(next.map_or(at, |n| n.min(at)));
                }
            }
        }
        next
    }

    /// How late a pipeline's figures are: tick time minus the least watermark of a partition that is not idle.
    pub fn delay(&self, pipeline: usize, now: Timestamp) -> Option<Span> {
        let holders = self.pipes[pipeline].parts.iter().filter(|p| !p.idle);
        holders.filter_map(|p| p.watermark).min().map(|w| (now - w).max(Span::ZERO))
    }

    /// The order in which rows of one window end leave: by measurement.
    pub(super) fn rank(&self, pipeline: u16, window: u16) -> usize {
        self.order[pipeline as usize][window as usize]
    }

    /// Rows wait for the next tick.
    pub fn owes(&self) -> bool {
        let fills = || self.pipes.iter().flat_map(|p| &p.windows).filter_map(|w| w.fill.as_ref());
        !self.owed.is_empty() || fills().any(|fill| fill.owed.is_some())
    }

    /// Open windows and their entries, for bounds and figures.
    pub fn size(&self) -> (usize, usize) {
        let windows = self.pipes.iter().flat_map(|p| &p.windows);
        windows.fold((0, 0), |(n, e), w| (n + w.open.len(), e + w.open.values().map(|m| m.keys.len()).sum::<usize>()))
    }
}

impl Pipe {
    pub(super) fn new(pipeline: &Pipeline) -> Pipe {
        let windows = pipeline.windows.iter().map(MergedWindows::new).collect();
        Pipe { parts: Vec::new(), windows, frontier: Timestamp::MIN, settled: Timestamp::MIN, reach: Reach::NONE }
    }

    fn absorb(
        &mut self,
        (index, partition): (usize, usize),
        part: &mut PartOutput,
        at: &PartitionTick,
        setup: &Setup,
        touched: &mut BTreeSet<Place>,
    ) {
        let pipeline = &setup.pipelines[index];
        if self.parts.len() <= partition {
            self.parts.resize(partition + 1, View::default());
        }
        let before = self.parts[partition];
        // while it cannot be read, a partition's read_time stands: that time counts for nothing (R7)
        let read_time = if at.unreadable { before.read_time } else { at.read_time };
        self.parts[partition] = View {
            watermark: part.watermark.max(before.watermark),
            idle: part.idle,
            finished: at.finished,
            unreadable: at.unreadable,
            read_time,
        };
        for (window, number, key) in part.new_keys.drain(..) {
            let windows = &mut self.windows[window as usize];
            if windows.local.len() <= partition {
                windows.local.resize(partition + 1, Vec::new());
            }
            // a key that was told before has its place
            if windows.local[partition].len() == number as usize {
                let global = windows.keys.intern(&key);
                windows.local[partition].push(global);
            }
        }
        for batch in part.batches.drain(..) {
            let (w, start) = (batch.window as usize, batch.start);
            let forgotten = batch.end <= self.settled && !self.windows[w].open.contains_key(&start);
            if !forgotten && self.windows[w].absorb(partition, batch, &pipeline.windows[w]) {
                touched.insert((index, w, start));
            }
        }
        for (window, end, source) in part.heard.drain(..) {
            let w = window as usize;
            if !setup.registry.sources.get(&source, end).is_some_and(|s| sends(s, pipeline)) {
                continue;
            }
            if let Some(start) = self.windows[w].hear(&source, end, &pipeline.windows[w], setup) {
                touched.insert((index, w, start));
            }
        }
    }

    /// Fires what nobody holds (T5).
    fn judge(&mut self, index: usize, setup: &Setup, time: Timestamp, touched: &mut BTreeSet<Place>) {
        let pipeline = &setup.pipelines[index];
        let timing = &pipeline.timing;
        let holders = self.parts.iter().filter(|p| !p.idle || p.finished).map(View::reached).min();
        let highest = self.parts.iter().map(View::reached).max().unwrap_or(Timestamp::MIN);
        let deadline = time - timing.out_of_orderness - timing.patience;
        let free = match holders {
            Some(least) => least.min(highest),
            None => highest.max(time - timing.out_of_orderness),
        };
        self.reach = Reach { upto: free.max(deadline), least: holders };
        let bound = self.empty_bound(timing, time);
        for (w, windows) in self.windows.iter_mut().enumerate() {
            windows.open_empty((index, w), &pipeline.windows[w].alignment, bound, touched);
            while let Some(start) = windows.unfired.first().copied() {
                let Some(end) = windows.open.get(&start).map(|m| m.end) else {
                    windows.unfired.remove(&start);
                    continue;
                };
                if end > self.reach.upto {
                    break;
                }
                windows.unfired.remove(&start);
                windows.fill((index, w), start, setup);
                let lacks = self.reach.held(end) || start < windows.born;
                if let Some(merged) = windows.open.get_mut(&start) {
                    merged.fire(if lacks { RowState::Incomplete } else { RowState::Final });
                }
                touched.insert((index, w, start));
            }
        }
        self.frontier = self.rule_frontier(timing, time);
    }

    /// Up to where windows fire into which nothing came: a finished file is idle, and its watermark stays what it was.
    fn empty_bound(&self, timing: &Timing, time: Timestamp) -> Timestamp {
        let real = |p: &View| p.watermark.unwrap_or(Timestamp::MIN);
        let holders = self.parts.iter().filter(|p| !p.idle && !p.finished).map(real).min();
        let highest = self.parts.iter().map(real).max().unwrap_or(Timestamp::MIN);
        let free = match holders {
            Some(least) => least.min(highest),
            None => highest.max(time - timing.out_of_orderness),
        };
        free.max(time - timing.out_of_orderness - timing.patience)
    }

    /// Up to where rules may say "no row came": as `judge`, but time in which a partition could not be read does not count.
    fn rule_frontier(&self, timing: &Timing, time: Timestamp) -> Timestamp {
        let readable = self.parts.iter().filter_map(|p| p.read_time).min().map_or(time, |r| r.min(time));
        let readable = if self.parts.iter().any(|p| p.unreadable && p.read_time.is_none()) { Timestamp::MIN } else { readable };
        // a finished file's watermark stays what it was: timers are judged up to the lane's last tick and no further
        let real = |p: &View| p.watermark.unwrap_or(Timestamp::MIN);
        let holders = self.parts.iter().filter(|p| !p.idle).map(real).min();
        let highest = self.parts.iter().map(real).max().unwrap_or(Timestamp::MIN);
        let free = match holders {
            Some(least) => least.min(highest),
            None => highest.max(readable - timing.out_of_orderness),
        };
        let free = if self.parts.iter().any(|p| p.unreadable) { free.min(readable - timing.out_of_orderness) } else { free };
        free.max(readable - timing.out_of_orderness - timing.patience)
    }

    /// Forgets windows to which nobody can add any more (D6), as far as `before`: rows from there on wait.
    fn settle(&mut self, pipeline: &Pipeline, before: Timestamp) {
        let timing = &pipeline.timing;
        let past = |p: &View| {
            let by_clock = p.read_time.map_or(Timestamp::MIN, |t| t - timing.max_delay - Span::minutes(1));
            (p.reached() - timing.lateness).max(by_clock)
        };
        self.settled = self.settled.max(self.parts.iter().map(past).min().unwrap_or(Timestamp::MIN).min(before));
        for (windows, spec) in self.windows.iter_mut().zip(&pipeline.windows) {
            let settled = self.settled;
            windows.just_settled.clear();
            while let Some(first) = windows.open.first_entry() {
                if first.get().end > settled || first.get().fired.is_none() {
                    break;
                }
                windows.just_settled.push(first.remove_entry());
            }
            if !windows.just_settled.is_empty() {
                windows.forget_seen(&spec.alignment);
            }
            windows.heard.retain(|end, _| *end > settled);
        }
    }
}

impl MergedWindows {
    pub(super) fn new(spec: &WindowSpec) -> MergedWindows {
        MergedWindows { born: Timestamp::MIN, fill: spec.fill.then(Fill::default), ..MergedWindows::default() }
    }

    /// Fires what is open, incomplete: the definition changes (D2).
    fn retire(&mut self) -> Vec<Timestamp> {
        let starts: Vec<Timestamp> = std::mem::take(&mut self.unfired).into_iter().collect();
        for start in &starts {
            if let Some(merged) = self.open.get_mut(start) {
                merged.fire(RowState::Incomplete);
            }
        }
        starts
    }

    /// Notes that a source was heard; the start of the window if that changes a row that was published.
    fn hear(&mut self, source: &str, end: Timestamp, spec: &WindowSpec, setup: &Setup) -> Option<Timestamp> {
        if !self.heard.entry(end).or_default().add(source, end, &setup.registry) {
            return None;
        }
        let start = spec.alignment.start_of_end(end);
        let merged = self.open.get_mut(&start).filter(|m| m.fired.is_some() || spec.early.is_some())?;
        let area = setup.registry.sources.get(source, end).and_then(|s| setup.registry.area_of_source(s, end));
        let concerned = |m: &Merged, e: &usize| concerns(&self.keys.keys[m.keys[*e] as usize], spec, source, area);
        let entries: Vec<usize> = (0..merged.keys.len()).filter(|e| merged.published[*e].times > 0 && concerned(merged, e)).collect();
        entries.iter().for_each(|e| merged.mark(*e));
        (!entries.is_empty()).then_some(start)
    }

    /// Takes what is newer than what was said before (R1); false if nothing is.
    fn absorb(&mut self, partition: usize, mut batch: Batch, spec: &WindowSpec) -> bool {
        let unfired = &mut self.unfired;
        let merged = self.open.entry(batch.start).or_insert_with(|| {
            unfired.insert(batch.start);
            Merged { end: batch.end, ..Merged::default() }
        });
        if merged.parts.len() <= partition {
            merged.parts.resize(partition + 1, PartColumns::default());
        }
        let local = &self.local[partition];
        merged.parts[partition].read = hull(merged.parts[partition].read, batch.read);
        let fresh = merged.parts[partition].len == 0;
        if fresh {
            merged.parts[partition].len = batch.keys.len() as u32;
            merged.parts[partition].columns = std::mem::take(&mut batch.columns);
            merged.parts[partition].said = vec![batch.end_offset; batch.keys.len()];
        }
        let mut newer = fresh;
        for (at, key) in batch.keys.iter().enumerate() {
            let entry = merged.entry(local[*key as usize]);
            if let Some(fill) = &mut self.fill {
                fill.see(local[*key as usize], batch.start);
            }
            let part = &mut merged.parts[partition];
            if part.index.len() <= entry {
                part.index.resize(entry + 1, NONE);
            }
            if fresh {
                part.index[entry] = at as u32;
                merged.mark(entry);
                continue;
            }
            if part.index[entry] == NONE {
                part.index[entry] = part.len;
                part.len += 1;
                part.said.push(0);
                part.columns.iter_mut().for_each(Column::push_empty);
            }
            let place = part.index[entry] as usize;
            if batch.end_offset <= part.said[place] {
                continue;
            }
            part.said[place] = batch.end_offset;
            for (column, newest) in part.columns.iter_mut().zip(&mut batch.columns) {
                column.replace(place, newest, at);
            }
            merged.mark(entry);
            newer = true;
        }
        debug_assert_eq!(merged.parts[partition].columns.len(), spec.accumulators.len());
        newer
    }
}

/// The least range that holds both.
fn hull(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    match (a.1, b.1) {
        (0, _) => b,
        (_, 0) => a,
        _ => (a.0.min(b.0), a.1.max(b.1)),
    }
}

impl Merged {
    fn entry(&mut self, key: u32) -> usize {
        let at = key as usize;
        if at >= self.entry_of.len() {
            self.entry_of.resize((at + 1).next_power_of_two().max(64), NONE);
        }
        if self.entry_of[at] == NONE {
            self.entry_of[at] = self.keys.len() as u32;
            self.keys.push(key);
            self.is_changed.push(false);
            self.published.push(Published::default());
        }
        self.entry_of[at] as usize
    }

    pub(super) fn save(&self, start: Timestamp) -> MergedState {
        MergedState {
            start,
            end: self.end,
            fired: self.fired,
            keys: self.keys.clone(),
            parts: self.parts.clone(),
            changed: self.changed.clone(),
            published: self.published.clone(),
        }
    }

    pub(super) fn restore(state: MergedState) -> Merged {
        let mut merged = Merged { end: state.end, fired: state.fired, parts: state.parts, ..Merged::default() };
        for key in state.keys {
            merged.entry(key);
        }
        for entry in state.changed {
            merged.mark(entry as usize);
        }
        merged.published = state.published;
        merged
    }

    fn mark(&mut self, entry: usize) {
        if !self.is_changed[entry] {
            self.is_changed[entry] = true;
            self.changed.push(entry as u32);
        }
    }

    fn fire(&mut self, state: RowState) {
        self.fired = Some(state);
        for entry in 0..self.keys.len() {
            self.mark(entry);
        }
    }

    fn publish(&mut self, place: Place, setup: &Setup, keys: &GlobalKeys, heard: Option<&Heard>, room: usize, rows: &mut Vec<Row>) {
        let pipeline = &setup.pipelines[place.0];
        let spec = &pipeline.windows[place.1];
        let expected = Expected::at(self.end, pipeline, spec, &setup.registry);
        let mut changed = std::mem::take(&mut self.changed);
        // by rank; one number each sorts faster than numbers that are looked up
        let ranked = changed.iter().map(|e| u64::from(keys.rank(self.keys[*e as usize])) << 32 | u64::from(*e));
        let mut ranked: Vec<u64> = ranked.collect();
        ranked.sort_unstable();
        changed.iter_mut().zip(&ranked).for_each(|(e, ranked)| *e = *ranked as u32);
        let state = self.fired.unwrap_or(RowState::Provisional);
        let mut published = 0;
        let mut done = 0;
        for entry in &changed {
            if published == room {
                break;
            }
            done += 1;
            let entry = *entry as usize;
            self.is_changed[entry] = false;
            let (values, approx) = self.values(entry, spec);
            let key = keys.keys[self.keys[entry] as usize].clone();
            let (heard, expected) = completeness(&key, spec, self.end, pipeline, &setup.registry, heard, &expected);
            let digest = digest(state, &values, heard, approx);
            let last = &mut self.published[entry];
            if last.times > 0 && last.digest == digest {
                continue;
            }
            let revision = last.times;
            *last = Published { times: revision + 1, digest };
            published += 1;
            rows.push(Row {
                pipeline: place.0 as u16,
                window: place.1 as u16,
                key,
                start: place.2,
                end: self.end,
                values,
                revision,
                state,
                heard,
                expected,
                approx,
            });
        }
        changed.drain(..done);
        self.changed = changed;
    }
}
