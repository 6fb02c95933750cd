//! Pipelines as they run, as of the driver's last report: what each reads and makes, and why a window has not fired.
//!
//! Owns: [`PipelineShelf`] (filled by the driver's report once a second) and how it is put for a reader. Refuses to know: how a lane's state
//! is looked at (engine::holding), requests, who signs in.
//!
//! Invariants
//! 1. A pipeline is seen by who sees its sector; a source is named only to who sees it.
//! 2. An answer is as of one report.
//!
//! Called by: telemetry (puts), api/pipelines.rs (asks).

mod words;

use super::scope::Scope;
use super::wire::{
    AlertCounts, AlertView, Condition, Explanation, FieldView, Holder, PipelinePartition, PipelineRule, PipelineView, PipelineWindow,
    PipelinesNow, QuietSource, Rates, ReleasedBy, RuleView, SourceView, TimingView, WindowHold, WindowState,
};
use crate::definitions::Definitions;
use crate::engine::holding::{self, Hold, PartStand, PipeStand, Standing};
use crate::engine::setup::Setup;
use crate::pipeline::{Pipeline, WindowSpec};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Sources named in an explanation at most.
const QUIET: usize = 50;

/// All pipelines as of a report.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    pub time: Timestamp,
    pub live: bool,
    /// By partition index.
    pub partitions: Vec<PartitionFlow>,
    /// By pipeline index.
    pub pipelines: Vec<PipelineFlow>,
}

#[derive(Clone, Debug, Default)]
pub struct PartitionFlow {
    pub topic: String,
    pub number: i32,
    pub next_offset: u64,
    /// Records in the log that were not taken yet.
    pub behind: u64,
}

#[derive(Clone, Debug, Default)]
pub struct PipelineFlow {
    pub stand: PipeStand,
    pub rates: Rates,
    /// Accepted a second, by partition.
    pub accepted: Vec<f64>,
}

pub struct PipelineShelf {
    setup: Arc<Setup>,
    /// Text of each pipeline's file.
    texts: Vec<String>,
    flow: RwLock<Option<Arc<Flow>>>,
}

/// What a reader asks of a window.
#[derive(Clone, Debug, Default)]
pub struct WindowQuestion {
    pub pipeline: String,
    pub measurement: String,
    /// `None`: the oldest that has not fired.
    pub start: Option<Timestamp>,
    pub tags: BTreeMap<String, String>,
}

/// A question that has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    NotFound(String),
    Malformed(String),
}

/// What the answer to a reader needs besides the flow.
pub struct Around<'a> {
    pub scope: &'a Scope,
    /// Rules of the catalogue.
    pub rules: &'a [RuleView],
    /// Alerts of the picture in scope.
    pub alerts: &'a [Arc<AlertView>],
}

impl PipelineShelf {
    pub fn new(setup: Arc<Setup>, definitions: &Definitions) -> PipelineShelf {
        let text = |p: &Pipeline| definitions.files.get(&p.file).cloned().unwrap_or_default();
        let texts = setup.pipelines.iter().map(text).collect();
        PipelineShelf { setup, texts, flow: RwLock::default() }
    }

    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    pub fn put(&self, flow: Flow) {
        *self.flow.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(flow));
    }

    /// `None`: the driver has not reported yet.
    pub fn flow(&self) -> Option<Arc<Flow>> {
        self.flow.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn now(&self, flow: &Flow, around: &Around<'_>) -> PipelinesNow {
        let seen = self.setup.pipelines.iter().enumerate().filter(|(_, p)| around.scope.sees_sector(&p.sector));
        let pipelines = seen.filter_map(|(index, p)| {
            let sees = Sees { shelf: self, flow, pipeline: p, scope: around.scope, of: flow.pipelines.get(index)? };
            Some(sees.view(&self.texts[index], around))
        });
        PipelinesNow { at: flow.time.millis(), live: flow.live, pipelines: pipelines.collect() }
    }

    /// `sources`: all there are, as of now.
    pub fn explain(&self, flow: &Flow, scope: &Scope, asked: &WindowQuestion, sources: &[SourceView]) -> Result<Explanation, NoAnswer> {
        let found = self.setup.pipelines.iter().position(|p| p.name == asked.pipeline && scope.sees_sector(&p.sector));
        let (index, of) = found
            .and_then(|index| Some((index, flow.pipelines.get(index)?)))
            .ok_or_else(|| NoAnswer::NotFound(format!("pipeline {:?}", asked.pipeline)))?;
        let pipeline = &self.setup.pipelines[index];
        let window = pipeline.windows.iter().position(|w| w.measurement == asked.measurement);
        let window =
            window.ok_or_else(|| NoAnswer::NotFound(format!("measurement {:?} of pipeline {:?}", asked.measurement, asked.pipeline)))?;
        let spec = &pipeline.windows[window];
        if let Some(tag) = asked.tags.keys().find(|tag| !spec.tags.contains(tag)) {
            let all: Vec<String> = spec.tags.iter().map(|tag| format!("tag.{tag}")).collect();
            return Err(NoAnswer::Malformed(format!("tag.{tag}: {:?} has {}", asked.measurement, all.join(", "))));
        }
        let sees = Sees { shelf: self, flow, pipeline, scope, of };
        let bounds = match asked.start {
            None => of.stand.windows.get(window).and_then(|w| w.oldest),
            Some(start) => Some((start, end_of(spec, start)?)),
        };
        Ok(sees.explain(asked, (window, spec), bounds, sources))
    }
}

/// The end of the window that begins at `start`; a mistake that names the windows around it where none does.
fn end_of(spec: &WindowSpec, start: Timestamp) -> Result<Timestamp, NoAnswer> {
    let out_of_range = || NoAnswer::Malformed("start is no time of this or the last two centuries".to_owned());
    // alignment is arithmetic on calendars: only what a text could have said is let in
    Timestamp::parse_rfc3339(start.to_string().as_bytes()).ok_or_else(out_of_range)?;
    let before = spec.alignment.start_of(start);
    if before == start {
        return Ok(spec.alignment.end_of(start));
    }
    let after = spec.alignment.next_start(before);
    Err(NoAnswer::Malformed(format!(
        "no window of {:?} begins at {}: the nearest begin at {} ({before}) and {} ({after})",
        spec.measurement,
        start.millis(),
        before.millis(),
        after.millis()
    )))
}

/// One pipeline for one reader.
struct Sees<'a> {
    shelf: &'a PipelineShelf,
    flow: &'a Flow,
    pipeline: &'a Pipeline,
    of: &'a PipelineFlow,
    scope: &'a Scope,
}

impl Sees<'_> {
    fn view(&self, text: &str, around: &Around<'_>) -> PipelineView {
        let pipeline = self.pipeline;
        let rules = around.rules.iter().filter(|r| r.pipeline == pipeline.name);
        PipelineView {
            name: pipeline.name.clone(),
            sector: pipeline.sector.clone(),
            file: pipeline.file.clone(),
            text: text.to_owned(),
            from: pipeline.types.iter().map(|t| t.kind.clone()).collect(),
            timing: TimingView {
                out_of_orderness_ms: pipeline.timing.out_of_orderness.millis(),
                lateness_ms: pipeline.timing.lateness.millis(),
                idle_after_ms: pipeline.timing.idle_after.millis(),
                patience_ms: pipeline.timing.patience.millis(),
                max_delay_ms: pipeline.timing.max_delay.millis(),
                dedup_ms: pipeline.timing.dedup.millis(),
            },
            windows: pipeline.windows.iter().enumerate().map(|(w, spec)| self.window(w, spec)).collect(),
            rules: rules.map(|rule| rule_view(rule, around.alerts)).collect(),
            rates: self.of.rates,
            partitions: self.partitions(),
        }
    }

    fn window(&self, w: usize, spec: &WindowSpec) -> PipelineWindow {
        let stand = self.of.stand.windows.get(w).cloned().unwrap_or_default();
        PipelineWindow {
            measurement: spec.measurement.clone(),
            every_ms: spec.alignment.every().nominal().millis(),
            period_ms: spec.alignment.period().nominal().millis(),
            early_ms: spec.early.map(Span::millis),
            gauge: spec.gauge.as_ref().map(|g| self.pipeline.cases[g.case].name.clone()),
            by: spec.tags.clone(),
            fields: spec.fields.iter().map(|f| FieldView { field: f.name.clone(), unit: f.unit.clone() }).collect(),
            held: u32::try_from(stand.held).unwrap_or(u32::MAX),
            oldest: stand.oldest.and_then(|bounds| self.open(w, bounds)),
        }
    }

    fn standing(&self, window: usize, end: Timestamp) -> Standing {
        self.of.stand.judge(&self.pipeline.timing, window, end)
    }

    fn open(&self, window: usize, bounds: (Timestamp, Timestamp)) -> Option<WindowHold> {
        match self.standing(window, bounds.1) {
            Standing::Open(hold) => Some(self.hold(bounds, &hold)),
            Standing::Fired | Standing::Settled => None,
        }
    }

    fn hold(&self, (start, end): (Timestamp, Timestamp), hold: &Hold) -> WindowHold {
        let due = end + self.pipeline.timing.out_of_orderness;
        WindowHold {
            start: start.millis(),
            end: end.millis(),
            since: (due <= self.flow.time).then(|| due.millis()),
            holders: hold.holders.iter().filter_map(|p| self.holder(*p)).collect(),
            event_time: hold.event_time.millis(),
            release_at: hold.release.at.millis(),
            release_by: match hold.release.by {
                holding::ReleasedBy::Time => ReleasedBy::Time,
                holding::ReleasedBy::Idle => ReleasedBy::Idle,
                holding::ReleasedBy::Deadline => ReleasedBy::Deadline,
            },
            deadline: hold.deadline.millis(),
        }
    }

    fn holder(&self, partition: usize) -> Option<Holder> {
        let (place, part) = (self.flow.partitions.get(partition)?, self.of.stand.parts.get(partition)?);
        let (source, heard) = self.last(part);
        Some(Holder {
            topic: place.topic.clone(),
            partition: place.number,
            watermark: part.watermark.map(Timestamp::millis),
            idle_at: part.idle_at.map(Timestamp::millis),
            unreadable: part.unreadable,
            source,
            heard,
        })
    }

    /// The source accepted last, if it may be named.
    fn last(&self, part: &PartStand) -> (Option<String>, Option<i64>) {
        let Some((source, heard)) = &part.last else { return (None, None) };
        let registry = &self.shelf.setup.registry;
        let known = registry.sources.get(source, self.flow.time);
        let area = known.and_then(|s| registry.area_of_source(s, self.flow.time)).map(|a| registry.areas.area(a).code.as_str());
        let sector = known.and_then(|s| s.sector.as_deref()).unwrap_or(&self.pipeline.sector);
        if self.scope.sees(sector, area) { (Some(source.to_string()), heard.map(Timestamp::millis)) } else { (None, None) }
    }

    fn partitions(&self) -> Vec<PipelinePartition> {
        let parts = self.flow.partitions.iter().zip(&self.of.stand.parts).enumerate();
        let view = |(index, (place, part)): (usize, (&PartitionFlow, &PartStand))| {
            let (source, heard) = self.last(part);
            PipelinePartition {
                topic: place.topic.clone(),
                partition: place.number,
                watermark: part.watermark.map(Timestamp::millis),
                lag_ms: part.watermark.map(|w| (self.flow.time - w).millis()),
                idle: part.idle,
                unreadable: part.unreadable,
                quiet_ms: part.quiet.millis(),
                rate_per_s: self.of.accepted.get(index).copied().unwrap_or_default(),
                next_offset: place.next_offset,
                behind: place.behind,
                source,
                heard,
            }
        };
        parts.map(view).collect()
    }

    fn explain(
        &self,
        asked: &WindowQuestion,
        (window, spec): (usize, &WindowSpec),
        bounds: Option<(Timestamp, Timestamp)>,
        sources: &[SourceView],
    ) -> Explanation {
        let (state, hold) = match bounds.map(|(start, end)| ((start, end), self.standing(window, end))) {
            None => (WindowState::None, None),
            Some((bounds, Standing::Open(hold))) => (WindowState::Open, Some(self.hold(bounds, &hold))),
            Some((_, Standing::Fired)) => (WindowState::Fired, None),
            Some((_, Standing::Settled)) => (WindowState::Settled, None),
        };
        let mut quiet = match (state, bounds) {
            (WindowState::Open, Some((start, _))) => self.quiet(asked, window, start, sources),
            _ => Vec::new(),
        };
        let quiet_total = u32::try_from(quiet.len()).unwrap_or(u32::MAX);
        quiet.truncate(QUIET);
        let words =
            words::Words { zone: &self.pipeline.zone, now: self.flow.time, measurement: &spec.measurement, timing: &self.pipeline.timing };
        Explanation {
            at: self.flow.time.millis(),
            pipeline: self.pipeline.name.clone(),
            measurement: spec.measurement.clone(),
            key: asked.tags.clone(),
            state,
            start: bounds.map(|b| b.0.millis()),
            end: bounds.map(|b| b.1.millis()),
            says: words.say(state, bounds, hold.as_ref(), quiet_total),
            hold,
            quiet,
            quiet_total,
        }
    }

    /// Expected sources, by the tags asked for, of which nothing lies in the window or after it; silent longest first.
    fn quiet(&self, asked: &WindowQuestion, window: usize, start: Timestamp, sources: &[SourceView]) -> Vec<QuietSource> {
        let takes = |kind: &String| self.pipeline.types.iter().any(|t| t.kind == *kind && t.windows[window].is_some());
        let area_asked = asked.tags.get("area");
        let wanted = |s: &&SourceView| {
            let area = s.area.as_ref().map(|a| a.code.as_str());
            s.registered
                && s.cadence_ms.is_some()
                && s.types.iter().any(takes)
                && s.last_heard.is_none_or(|heard| heard < start.millis())
                && asked.tags.get("source").is_none_or(|id| *id == s.id)
                && area_asked.is_none_or(|asked| area == Some(asked.as_str()) || (area.is_none() && asked == "outside"))
                && self.scope.sees(s.sector.as_deref().unwrap_or(&self.pipeline.sector), area)
        };
        let mut quiet: Vec<&SourceView> = sources.iter().filter(wanted).collect();
        quiet.sort_by(|a, b| (a.last_heard, &a.id).cmp(&(b.last_heard, &b.id)));
        let view = |s: &SourceView| QuietSource {
            id: s.id.clone(),
            name: s.name.clone(),
            area: s.area.clone(),
            last_heard: s.last_heard,
            cadence_ms: s.cadence_ms,
        };
        quiet.into_iter().map(view).collect()
    }
}

fn rule_view(rule: &RuleView, alerts: &[Arc<AlertView>]) -> PipelineRule {
    let mut counts = AlertCounts::default();
    for alert in alerts.iter().filter(|a| a.pipeline == rule.pipeline && a.rule == rule.rule) {
        match alert.condition {
            Condition::Pending => counts.pending += 1,
            Condition::Firing => counts.firing += 1,
            Condition::NoData => counts.no_data += 1,
            Condition::Resolved => counts.resolved += 1,
            Condition::Inactive => {}
        }
    }
    PipelineRule {
        rule: rule.rule.clone(),
        measurement: rule.measurement.clone(),
        severity: rule.severity,
        title: rule.title.clone(),
        when: rule.when.clone(),
        until: rule.until.clone(),
        for_ms: rule.for_ms,
        alerts: counts,
    }
}
