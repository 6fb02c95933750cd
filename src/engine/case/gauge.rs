//! Rows that count the open cases as of each window's end.
//!
//! Owns: [`Gauge`]: which cases can be in which row, how far its windows have fired, what was published and may be revised.
//! Refuses to know: partitions, rules, where rows go.
//!
//! Invariants
//! 1. The row of (window end, key) is a function of the cases' events that count in that window: it is there if a case of that key is open
//!    at the end, or was at the end before (so that a count goes to 0).
//! 2. A window fires as any (T5), also when nothing came, never after the tick's time; what was published and is no longer so is withdrawn.
//! 3. A window costs O(open cases) once, at its end; a revision O(cases of the keys that changed).
//!
//! Called by: case/book.rs.

use super::book::{Kind, Place};
use super::{Case, View};
use crate::engine::merge::{Published, Reach, digest};
use crate::engine::{FieldValue, Key, Row, RowState};
use crate::geo::AreaId;
use crate::pipeline::case::{GaugeKey, GaugeRead, GaugeSpec};
use crate::pipeline::expr::{Inputs, Value};
use crate::pipeline::{Pipeline, WindowSpec};
use crate::registry::Registry;
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys of a case.
pub(super) type Keys = BTreeSet<Arc<Key>>;

#[derive(Debug)]
pub(super) struct Gauge {
    /// Index in the pipeline's windows, and of its case.
    pub window: usize,
    pub case: usize,
    /// End of the newest window that has fired.
    pub last: Option<Timestamp>,
    /// No case is open and none will be by what is known: windows pass without rows.
    pub quiet: bool,
    /// Greatest event time seen.
    pub latest: Timestamp,
    /// Least event time since the last step.
    fresh: Option<Timestamp>,
    /// Cases that are in a row of this key in some window that can still be asked about.
    members: BTreeMap<Arc<Key>, BTreeSet<Arc<str>>>,
    /// By end: windows that have fired and may be revised.
    pub windows: BTreeMap<Timestamp, Fired>,
    /// (end, key) of fired windows whose cases changed.
    pub dirty: BTreeSet<(Timestamp, Arc<Key>)>,
    /// End of the first window that waits for the next tick: the bound of rows was reached.
    pub waits: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) struct Fired {
    pub state: RowState,
    pub rows: BTreeMap<Arc<Key>, Published>,
}

/// What the cases of one row come to, by aggregate.
#[derive(Clone, Debug, Default)]
struct Sums(Vec<Sum>);

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    n: u64,
    sum: f64,
    min: f64,
    max: f64,
}

struct Reads<'a>(&'a GaugeSpec, &'a Sums);

impl Inputs for Reads<'_> {
    fn get(&self, slot: usize) -> Value<'_> {
        let sum = self.1.0.get(slot).copied().unwrap_or_default();
        let number = match self.0.aggregates[slot].read {
            GaugeRead::Count => sum.n as f64,
            _ if sum.n == 0 => return Value::Unknown,
            GaugeRead::Sum => sum.sum,
            GaugeRead::Mean => sum.sum / sum.n as f64,
            GaugeRead::Min => sum.min,
            GaugeRead::Max => sum.max,
        };
        if number.is_finite() { Value::Num(number) } else { Value::Unknown }
    }
}

impl Sum {
    fn add(&mut self, x: f64) {
        (self.min, self.max) = if self.n == 0 { (x, x) } else { (self.min.min(x), self.max.max(x)) };
        self.n += 1;
        self.sum += x;
    }
}

/// All keys under which a case may be counted while it is open.
pub(super) fn keys(spec: &GaugeSpec, pipeline: &Pipeline, registry: &Registry, subject: &str, case: &Case) -> Keys {
    let by_area = spec.by.iter().any(|key| matches!(key, GaugeKey::Area));
    let mut areas: BTreeSet<Option<AreaId>> = BTreeSet::from([case.area]);
    if by_area {
        areas.extend(case.entries.iter().map(|e| e.area));
    }
    let kind = &pipeline.cases[spec.case];
    let mut keys = Keys::new();
    for entry in case.entries.iter().filter(|e| kind.is_open(e.state)) {
        for area in &areas {
            let standing = super::Standing { entry, created: entry.time, area: *area };
            let view = View { spec: kind, subject, standing, at: entry.time, due: None, soon: None };
            keys.extend(key(spec, registry, &view).map(Arc::new));
        }
    }
    keys
}

/// The key of a case as it stands; `None`: a value of it is absent.
fn key(spec: &GaugeSpec, registry: &Registry, view: &View<'_>) -> Option<Key> {
    let mut tags = Vec::with_capacity(spec.by.len());
    let mut area = None;
    for by in &spec.by {
        tags.push(match by {
            GaugeKey::Area => {
                area = view.standing.area;
                area.map_or("outside", |a| registry.areas.area(a).code.as_str()).into()
            }
            GaugeKey::Value(program) => program.eval(view).text()?.into(),
        });
    }
    Some(Key { tags, area })
}

impl Gauge {
    pub fn new(window: usize, case: usize) -> Gauge {
        Gauge {
            window,
            case,
            last: None,
            quiet: true,
            latest: Timestamp::MIN,
            fresh: None,
            members: BTreeMap::new(),
            windows: BTreeMap::new(),
            dirty: BTreeSet::new(),
            waits: None,
        }
    }

    /// A case got an event of that time, which counts in windows ending after `closed_until`.
    pub fn moved(
        &mut self,
        pipeline: &Pipeline,
        subject: &Arc<str>,
        (before, after): (Keys, Keys),
        (time, closed_until): (Timestamp, Timestamp),
    ) {
        self.latest = self.latest.max(time);
        self.fresh = Some(self.fresh.map_or(time, |t| t.min(time)));
        let alignment = &pipeline.windows[self.window].alignment;
        if let Some(last) = self.last {
            // the first window that ends at or after it and takes it
            let from = time.max(closed_until + Span(1));
            let mut end = alignment.end_of(alignment.start_of(from - Span(1)));
            while end <= last {
                self.dirty.extend(before.union(&after).map(|key| (end, key.clone())));
                end = alignment.end_of(end);
            }
        }
        self.members_moved(subject, before, &after);
    }

    pub fn members_moved(&mut self, subject: &Arc<str>, before: Keys, after: &Keys) {
        for key in before.difference(after) {
            if let Some(members) = self.members.get_mut(key) {
                members.remove(subject);
                if members.is_empty() {
                    self.members.remove(key);
                }
            }
        }
        for key in after.difference(&before) {
            self.members.entry(key.clone()).or_default().insert(subject.clone());
        }
    }

    /// Revises what changed and fires the windows that end by `upto`, at most about `room` rows.
    pub fn step(&mut self, mut place: Place<'_>, kind: &Kind, upto: Timestamp, reach: &Reach, room: usize, rows: &mut Vec<Row>) {
        let spec = place.spec;
        let window = &spec.windows[self.window];
        let full = rows.len() + room;
        self.waits = None;
        self.revise(&mut place, kind, window, full, rows);
        let alignment = &window.alignment;
        // the newest end that is not after it
        let floor = |t: Timestamp| alignment.start_of(t);
        let fresh = self.fresh.take();
        if self.quiet {
            let empty = fresh.map_or(upto, |first| upto.min(first - Span(1)));
            self.last = self.last.max(Some(floor(empty)));
            self.quiet = fresh.is_none();
        }
        let mut open: Option<Keys> = None;
        while let Some(last) = self.last.filter(|_| !self.quiet) {
            let end = alignment.end_of(last);
            if end > upto {
                break;
            }
            if rows.len() >= full {
                self.waits = Some(self.waits.map_or(end, |w| w.min(end)));
                break;
            }
            let all: BTreeSet<Arc<str>> = self.members.values().flatten().cloned().collect();
            let before = open.take().unwrap_or_else(|| self.evaluate(&mut place, kind, last, &all).into_keys().collect());
            let now = self.evaluate(&mut place, kind, end, &all);
            let state = if reach.held(end) { RowState::Incomplete } else { RowState::Final };
            let mut fired = Fired { state, rows: BTreeMap::new() };
            let keys: Keys = now.keys().cloned().chain(before).collect();
            for key in &keys {
                publish(&place, self.window, end, &mut fired, key, Some(now.get(key)), rows);
            }
            self.windows.insert(end, fired);
            self.last = Some(end);
            self.quiet = keys.is_empty() && self.latest <= end;
            open = Some(now.into_keys().collect());
        }
        if self.quiet {
            self.last = self.last.max(Some(floor(upto)));
        }
    }

    /// Publishes again what is no longer as it was.
    fn revise(&mut self, place: &mut Place<'_>, kind: &Kind, window: &WindowSpec, full: usize, rows: &mut Vec<Row>) {
        while let Some(end) = self.dirty.first().map(|(end, _)| *end) {
            if rows.len() >= full {
                self.waits = Some(end);
                return;
            }
            let later = self.dirty.split_off(&(end + Span(1), Arc::new(Key { tags: Vec::new(), area: None })));
            let keys: Keys = std::mem::replace(&mut self.dirty, later).into_iter().map(|(_, key)| key).collect();
            let subjects: BTreeSet<Arc<str>> = keys.iter().filter_map(|key| self.members.get(key)).flatten().cloned().collect();
            let before = self.evaluate(place, kind, window.alignment.start_of(end - Span(1)), &subjects);
            let now = self.evaluate(place, kind, end, &subjects);
            // a window that passed quietly has nothing published yet
            let fired = self.windows.entry(end).or_insert_with(|| Fired { state: RowState::Final, rows: BTreeMap::new() });
            for key in &keys {
                let there = now.contains_key(key) || before.contains_key(key);
                publish(place, self.window, end, fired, key, there.then(|| now.get(key)), rows);
            }
        }
    }

    /// The open cases among `subjects` as of a window's end, by key.
    fn evaluate(&self, place: &mut Place<'_>, kind: &Kind, end: Timestamp, subjects: &BTreeSet<Arc<str>>) -> BTreeMap<Arc<Key>, Sums> {
        let mut out: BTreeMap<Arc<Key>, Sums> = BTreeMap::new();
        let Some(spec) = &place.spec.windows[self.window].gauge else { return out };
        let case_spec = &place.spec.cases[self.case];
        for subject in subjects {
            let Some(standing) = kind.cases.get(subject).and_then(|case| case.in_window(end)) else { continue };
            if !case_spec.is_open(standing.entry.state) {
                continue;
            }
            let view = View::new(case_spec, place.registry, subject, standing, end, place.gaps);
            let Some(key) = key(spec, place.registry, &view) else { continue };
            let sums = out.entry(Arc::new(key)).or_insert_with(|| Sums(vec![Sum::default(); spec.aggregates.len()]));
            for (sum, aggregate) in sums.0.iter_mut().zip(&spec.aggregates) {
                if !aggregate.condition.as_ref().is_none_or(|c| c.holds(&view)) {
                    continue;
                }
                let value = aggregate.value.as_ref().map_or(Some(0.0), |program| program.number(&view));
                if let Some(value) = value {
                    sum.add(value);
                }
            }
        }
        out
    }

    /// Windows ending at or before `settled` are not revised any more.
    pub fn settle(&mut self, settled: Timestamp) {
        while self.windows.first_key_value().is_some_and(|(end, _)| *end <= settled) {
            self.windows.pop_first();
        }
    }

    /// The earliest tick time, after `now`, at which a window fires though nothing comes.
    pub fn next_deadline(&self, pipeline: &Pipeline, now: Timestamp) -> Option<Timestamp> {
        if self.waits.is_some() {
            return Some(now + Span(1));
        }
        let last = self.last.filter(|_| !self.quiet)?;
        let (timing, end) = (&pipeline.timing, pipeline.windows[self.window].alignment.end_of(last));
        let at = end + timing.out_of_orderness;
        [at, at + timing.patience].into_iter().find(|at| *at > now)
    }
}

/// One row, if it says something else than before. `sums`: `None`: there should be no row; `Some(None)`: one that counts nothing.
fn publish(
    place: &Place<'_>,
    window: usize,
    end: Timestamp,
    fired: &mut Fired,
    key: &Arc<Key>,
    sums: Option<Option<&Sums>>,
    rows: &mut Vec<Row>,
) {
    let spec = &place.spec.windows[window];
    let Some(gauge) = &spec.gauge else { return };
    let known = fired.rows.get(key).copied().unwrap_or_default();
    if sums.is_none() && known.times == 0 {
        return;
    }
    let state = if sums.is_some() { fired.state } else { RowState::Withdrawn };
    let nothing = Sums(vec![Sum::default(); gauge.aggregates.len()]);
    let reads = Reads(gauge, sums.flatten().unwrap_or(&nothing));
    let value = |field: &crate::pipeline::FieldSpec| match field.program.number(&reads) {
        None => FieldValue::Absent,
        Some(n) if field.integer => FieldValue::Int(n as i64),
        Some(n) => FieldValue::Float(n),
    };
    let values: Vec<FieldValue> = spec.fields.iter().map(value).collect();
    let digest = digest(state, &values, None, false);
    if known.times > 0 && known.digest == digest {
        return;
    }
    fired.rows.insert(key.clone(), Published { times: known.times + 1, digest });
    rows.push(Row {
        pipeline: place.pipeline as u16,
        window: window as u16,
        key: key.clone(),
        start: spec.alignment.start_of(end - Span(1)),
        end,
        values,
        revision: known.times,
        state,
        heard: None,
        expected: None,
        approx: false,
    });
}
