//! Threshold rules: the verdicts of rows run in window-end order, alert changes come out (R7).
//!
//! Owns: the state of every (pipeline, rule, key) of a lane, the no-data timers, when kept verdicts are let go. Refuses to know:
//! the watermark and partitions (it is told `frontier` and `settled`), what operators do with alerts, where changes go.
//!
//! Invariants
//! 1. Changes come by (row, rule's place in its file), then timers by (deadline, pipeline, rule, key tags).
//! 2. A tick costs O(rows + due timers + windows that settled), never O(keys).
//! 3. A key that is inactive and whose windows have all settled has no state: bounded by keys heard within the settling time × rules.
//! 4. `snapshot` then `restore` with the same pipelines continues identically; a changed rule starts anew (D2).
//! 5. Hash maps are looked up, never iterated into an effect.
//!
//! Called by: merge (rows and timers of a tick), driver (snapshot and restore).
//!
//! verdict.rs judges a row, machine.rs moves a condition, track.rs runs verdicts again after a revision, told.rs finds what to say.

mod earlier;
mod machine;
mod snapshot;
mod told;
mod track;
mod verdict;

#[cfg(test)]
mod tests;

pub use earlier::Past;
pub use snapshot::{GONE, Orphan, RulesSnapshot, Unreadable};
pub use verdict::{KeyFacts, RowView, Verdict, clause_values, row_clauses, verdicts};

use super::{AlertChange, AlertId, Condition, Key, Row, RowState};
use crate::pipeline::{Pipeline, RuleSpec, RuleVar};
use crate::time::{Every, Span, Timestamp};
use earlier::Earlier;
use foldhash::fast::FixedState;
use machine::{Seen, Terms};
use sha2::{Digest, Sha256};
use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use told::Move;
use track::{Track, Unjudged};

/// What rules are told of a tick.
#[derive(Clone, Copy)]
pub struct RuleContext<'a> {
    pub tick: u64,
    pub time: Timestamp,
    pub live: bool,
    /// The lane's pipelines, those that `Rules` was made from.
    pub pipelines: &'a [Pipeline],
    /// By pipeline: a window ending at or before this instant would fire now or is past its deadline. Rows held back by the bound of
    /// a tick hold it back; spans in which a partition was unreadable are left out of it (they count for no silence). It may go back.
    pub frontier: &'a [Timestamp],
    /// By pipeline: windows ending at or before this instant are forgotten, no row of them comes after this tick. Never goes back.
    pub settled: &'a [Timestamp],
    pub facts: &'a dyn KeyFacts,
}

/// All threshold rules of a lane.
#[derive(Debug)]
pub struct Rules {
    pipelines: Vec<PipelineRules>,
    unjudged: u64,
}

#[derive(Debug)]
struct PipelineRules {
    name: String,
    /// `out_of_orderness + patience`: a window's deadline is that far past its end.
    grace: Span,
    rules: Vec<Rule>,
    /// By window index: its rules, by place in the file.
    by_window: Vec<Vec<u16>>,
    /// By window index: earlier rows, where a rule compares with them.
    earlier: Vec<Option<Earlier>>,
    /// When silence would be found, by (event time, rule, key).
    timers: BTreeSet<(Timestamp, u16, KeyTags)>,
    /// When kept rows may have settled; an entry too early does no harm.
    settling: BTreeSet<(Timestamp, u16, KeyTags)>,
}

/// A rule without its expressions, and its state.
#[derive(Debug)]
struct Rule {
    name: String,
    version: Arc<str>,
    /// `None`: rows do not decide it, it never has a track.
    window: Option<usize>,
    hold: Span,
    early: bool,
    no_data: Option<Span>,
    /// Nominal length of the window.
    every: Span,
    area_tag: Option<usize>,
    source_tag: Option<usize>,
    tracks: HashMap<KeyTags, Track, FixedState>,
}

/// A key by its tags alone: they stay what they are when the registry gives areas other indexes.
#[derive(Clone, Debug)]
struct KeyTags(Arc<Key>);

impl PartialEq for KeyTags {
    fn eq(&self, other: &Self) -> bool {
        self.0.tags == other.0.tags
    }
}

impl Eq for KeyTags {}

impl PartialOrd for KeyTags {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyTags {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.tags.cmp(&other.0.tags)
    }
}

impl Hash for KeyTags {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.tags[..].hash(state);
    }
}

impl Borrow<[Box<str>]> for KeyTags {
    fn borrow(&self) -> &[Box<str>] {
        &self.0.tags
    }
}

impl Rules {
    pub fn new(pipelines: &[Pipeline]) -> Self {
        Rules::of(pipelines.iter().map(PipelineRules::new).collect())
    }

    fn of(pipelines: Vec<PipelineRules>) -> Self {
        Rules { pipelines, unjudged: 0 }
    }

    /// Rows in effect order (window end, measurement, key), provisional ones included; changes by (row, rule's place in its file).
    pub fn on_rows(&mut self, ctx: &RuleContext<'_>, rows: &[Row], out: &mut Vec<AlertChange>) {
        for row in rows {
            let (Some(pipeline), Some(mine)) = (ctx.pipelines.get(row.pipeline as usize), self.pipelines.get(row.pipeline as usize)) else {
                continue;
            };
            let (w, count) = (row.window as usize, mine.by_window.get(row.window as usize).map_or(0, Vec::len));
            for i in 0..count {
                let rule = self.pipelines[row.pipeline as usize].by_window[w][i];
                let spec = &pipeline.rules[rule as usize];
                let judged = match row.state {
                    RowState::Provisional if !spec.early => continue,
                    RowState::Withdrawn => (Verdict::Unknown, None),
                    _ => self.verdicts(ctx, row, spec),
                };
                self.judge(ctx, row, rule, judged, out);
            }
            self.keep(ctx, row, out);
        }
    }

    fn verdicts(&self, ctx: &RuleContext<'_>, row: &Row, spec: &RuleSpec) -> (Verdict, Option<Verdict>) {
        let window = &ctx.pipelines[row.pipeline as usize].windows[row.window as usize];
        let earlier = self.pipelines[row.pipeline as usize].earlier.get(row.window as usize).and_then(Option::as_ref);
        verdicts(spec, RowView { earlier: earlier.map(Earlier::past), ..RowView::of_row(row, window, ctx.facts) })
    }

    /// Keeps a row for later ones that are compared with it; those that were judged already are judged again (R7).
    fn keep(&mut self, ctx: &RuleContext<'_>, row: &Row, out: &mut Vec<AlertChange>) {
        let (p, w) = (row.pipeline as usize, row.window as usize);
        let settled = ctx.settled.get(p).copied().unwrap_or(Timestamp::MIN);
        let Some(earlier) = self.pipelines[p].earlier.get_mut(w).and_then(Option::as_mut) else { return };
        if !earlier.keep(row, settled) {
            return;
        }
        let mut again = Vec::new();
        for rule in &self.pipelines[p].by_window[w] {
            let Some(track) = self.pipelines[p].rules[*rule as usize].tracks.get(&row.key.tags[..]) else { continue };
            let Some(earlier) = &self.pipelines[p].earlier[w] else { continue };
            let looking = spans(&ctx.pipelines[p].rules[*rule as usize]).filter_map(|span| track.seen_from(earlier.later(row.start, span)));
            again.extend(looking.map(|seen| (*rule, seen.row(row))));
        }
        for (rule, later) in again {
            let judged = self.verdicts(ctx, &later, &ctx.pipelines[p].rules[rule as usize]);
            self.judge(ctx, &later, rule, judged, out);
        }
    }

    /// One row and its verdicts, for one rule.
    fn judge(
        &mut self,
        ctx: &RuleContext<'_>,
        row: &Row,
        rule_index: u16,
        (when, until): (Verdict, Option<Verdict>),
        out: &mut Vec<AlertChange>,
    ) {
        let p = row.pipeline as usize;
        let Some(mine) = self.pipelines.get_mut(p) else { return };
        let Some(rule) = mine.rules.get_mut(rule_index as usize) else { return };
        let provisional = row.state == RowState::Provisional;
        if provisional && !(rule.early && when == Verdict::True) {
            return;
        }
        let terms = rule.terms(row, ctx.facts);
        // a provisional row never clears
        let until = until.map(|until| if provisional { Verdict::Unknown } else { until });
        let seen = Seen {
            start: row.start,
            end: row.end,
            revision: row.revision,
            state: row.state,
            when,
            until,
            heard: row.heard,
            expected: row.expected,
            values: row.values.as_slice().into(),
        };
        if !rule.tracks.contains_key(&row.key.tags[..]) {
            rule.tracks.insert(KeyTags(row.key.clone()), Track::new());
        }
        let Some(track) = rule.tracks.get_mut(&row.key.tags[..]) else { return };
        // rows that fire in the tick in which their window settles are still judged in their turn
        track.settle(ctx.settled.get(p).copied().unwrap_or(Timestamp::MIN).min(row.end - Span(1)));
        let mut moves = Vec::new();
        if let Err(Unjudged::Settled) = track.see(seen, terms, &mut moves) {
            self.unjudged += 1;
        }
        mine.after(rule_index, &row.key);
        self.emit(ctx, row.pipeline, rule_index, &row.key, moves, out);
    }

    /// No-data timers that are due by (deadline, pipeline, rule, key); then windows that settled are let go.
    pub fn on_timers(&mut self, ctx: &RuleContext<'_>, out: &mut Vec<AlertChange>) {
        let mut due = Vec::new();
        for (p, mine) in self.pipelines.iter().enumerate() {
            let Some(frontier) = ctx.frontier.get(p) else { continue };
            let timers = mine.timers.iter().take_while(|(at, ..)| at <= frontier);
            due.extend(timers.map(|(at, rule, key)| (*at, p as u16, *rule, key.clone())));
        }
        due.sort();
        for (_, p, rule, key) in due {
            let mine = &mut self.pipelines[p as usize];
            let mut moves = Vec::new();
            if let Some(track) = mine.rules[rule as usize].tracks.get_mut(&key) {
                track.silence(&mut moves);
            }
            mine.after(rule, &key.0);
            self.emit(ctx, p, rule, &key.0, moves, out);
        }
        for (mine, settled) in self.pipelines.iter_mut().zip(ctx.settled) {
            mine.settle(*settled);
        }
    }

    /// The earliest tick time at which `on_timers` has something to do by a deadline (`end + out_of_orderness + patience`).
    /// Watermarks and idleness may bring the frontier there before: that is the merger's to know, from [`Rules::next_due`].
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.pipelines.iter().filter_map(|p| p.timers.first().map(|(at, ..)| *at + p.grace)).min()
    }

    /// The least frontier of a pipeline at which `on_timers` has something to do.
    pub fn next_due(&self, pipeline: usize) -> Option<Timestamp> {
        self.pipelines.get(pipeline)?.timers.first().map(|(at, ..)| *at)
    }

    /// (Rule, key) pairs with state.
    pub fn tracked(&self) -> usize {
        self.pipelines.iter().flat_map(|p| &p.rules).map(|rule| rule.tracks.len()).sum()
    }

    /// Rows that came after their window was declared settled and were not judged: always 0 while the merger keeps its word.
    pub fn unjudged(&self) -> u64 {
        self.unjudged
    }

    /// Rows that were not kept to be compared with later, for want of room (D6).
    pub fn unkept(&self) -> u64 {
        self.pipelines.iter().flat_map(|p| &p.earlier).flatten().map(|e| e.refused).sum()
    }

    fn emit(&self, ctx: &RuleContext<'_>, pipeline: u16, rule: u16, key: &Arc<Key>, moves: Vec<Move>, out: &mut Vec<AlertChange>) {
        if moves.is_empty() {
            return;
        }
        let mine = &self.pipelines[pipeline as usize];
        let spec = &mine.rules[rule as usize];
        let declared = ctx.pipelines.get(pipeline as usize).and_then(|p| Some((p.rules.get(rule as usize)?, p.windows.get(spec.window?))));
        let earlier = spec.window.and_then(|w| mine.earlier.get(w)?.as_ref()).map(Earlier::past);
        out.extend(moves.into_iter().map(|step| {
            let mut change = change_of(&mine.name, &spec.name, &spec.version, key, step);
            if let Some((declared, window)) = declared {
                change.clauses = row_clauses(declared, RowView { earlier, ..RowView::of_change(&change, window, ctx.facts) });
            }
            let found = matches!(change.to, Condition::Pending | Condition::Firing) && change.from != Condition::NoData;
            change.retroactive |= found && !ctx.live;
            AlertChange { tick: ctx.tick, pipeline, rule, ..change }
        }));
    }
}

impl PipelineRules {
    fn new(pipeline: &Pipeline) -> Self {
        let rules = pipeline.rules.iter().map(|spec| Rule::new(spec, pipeline)).collect();
        let timing = pipeline.timing;
        let grace = Span(timing.out_of_orderness.0.saturating_add(timing.patience.0));
        let earlier = (0..pipeline.windows.len()).map(|w| Earlier::of(pipeline, w)).collect();
        PipelineRules { earlier, ..PipelineRules::of(&pipeline.name, grace, rules) }
    }

    fn of(name: &str, grace: Span, rules: Vec<Rule>) -> Self {
        let windows = rules.iter().filter_map(|rule| rule.window).map(|w| w + 1).max().unwrap_or(0);
        let mut by_window = vec![Vec::new(); windows];
        for (i, rule) in rules.iter().enumerate() {
            if let Some(window) = rule.window {
                by_window[window].push(i as u16);
            }
        }
        PipelineRules {
            name: name.to_owned(),
            grace,
            rules,
            by_window,
            earlier: Vec::new(),
            timers: BTreeSet::new(),
            settling: BTreeSet::new(),
        }
    }

    /// Sets the timer of a track, queues it for settling, drops it if it is over.
    fn after(&mut self, rule: u16, key: &Arc<Key>) {
        let key = KeyTags(key.clone());
        let tracks = &mut self.rules[rule as usize].tracks;
        let Some(track) = tracks.get_mut(&key) else { return };
        let deadline = track.deadline();
        if deadline != track.armed {
            if let Some(at) = std::mem::replace(&mut track.armed, deadline) {
                self.timers.remove(&(at, rule, key.clone()));
            }
            self.timers.extend(deadline.map(|at| (at, rule, key.clone())));
        }
        if track.queued.is_none()
            && let Some(at) = track.settle_at()
        {
            track.queued = Some(at);
            self.settling.insert((at, rule, key.clone()));
        }
        if track.is_over() && track.queued.is_none() {
            tracks.remove(&key);
        }
    }

    fn settle(&mut self, settled: Timestamp) {
        while self.settling.first().is_some_and(|(at, ..)| *at <= settled) {
            let Some((_, rule, key)) = self.settling.pop_first() else { return };
            if let Some(track) = self.rules[rule as usize].tracks.get_mut(&key) {
                track.queued = None;
                track.settle(settled);
                self.after(rule, &key.0);
            }
        }
    }
}

impl Rule {
    fn new(spec: &RuleSpec, pipeline: &Pipeline) -> Self {
        let window = spec.window().map(|w| &pipeline.windows[w]);
        Rule {
            name: spec.name.clone(),
            version: spec.version.as_str().into(),
            window: spec.window(),
            hold: spec.hold,
            early: spec.early,
            no_data: spec.no_data,
            every: window.map_or(Span::ZERO, |w| w.alignment.every().nominal()),
            area_tag: window.and_then(|w| w.area_tag),
            source_tag: window.and_then(|w| w.source_tag),
            tracks: HashMap::default(),
        }
    }

    /// `no_data`: as declared, else 3 × the longer of `every` and the cadence of the key's source when the row ends.
    fn terms(&self, row: &Row, facts: &dyn KeyFacts) -> Terms {
        let no_data = self.no_data.unwrap_or_else(|| {
            let source = self.source_tag.and_then(|i| row.key.tags.get(i));
            let cadence = source.and_then(|source| facts.cadence(source, row.end)).unwrap_or(Span::ZERO);
            self.every.max(cadence).times(3)
        });
        Terms { hold: self.hold, no_data }
    }
}

/// How far a rule looks back.
fn spans(spec: &RuleSpec) -> impl Iterator<Item = Every> + '_ {
    spec.vars.iter().filter_map(|v| match v {
        RuleVar::Previous { span, .. } => Some(*span),
        _ => None,
    })
}

/// A change without its tick and places.
fn change_of(pipeline: &str, rule: &str, version: &Arc<str>, key: &Arc<Key>, step: Move) -> AlertChange {
    let Move { first_start, since, from, to, at, seen, reason, passed } = step;
    AlertChange {
        tick: 0,
        id: alert_id(pipeline, rule, key, first_start),
        pipeline: GONE,
        rule: GONE,
        key: key.clone(),
        from,
        to,
        at,
        window_start: seen.start,
        window_end: seen.end,
        row_revision: seen.revision,
        row_state: seen.state,
        since,
        values: seen.values.into_vec(),
        heard: seen.heard,
        expected: seen.expected,
        rule_version: version.clone(),
        reason,
        retroactive: passed,
        case: None,
        clauses: Vec::new(),
        positions: Vec::new(),
    }
}

/// The first 16 bytes of sha256 over pipeline, alert, each tag of the key and the start of the first true window (8 bytes,
/// nanoseconds since 1970, big-endian), each with its length in bytes before it (4 bytes, big-endian) (R8).
pub fn alert_id(pipeline: &str, rule: &str, key: &Key, first_start: Timestamp) -> AlertId {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u32).to_be_bytes());
        hash.update(bytes);
    };
    part(pipeline.as_bytes());
    part(rule.as_bytes());
    for tag in &key.tags {
        part(tag.as_bytes());
    }
    part(&first_start.0.to_be_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    AlertId(id)
}
