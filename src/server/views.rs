//! Rows and alerts as the browser sees them.
//!
//! Owns: [`Views`]: names of areas, sectors, fields put to what the engine says. Refuses to know: who looks, the board.
//!
//! Invariants
//! 1. Pure: the same row or alert gives the same view (R3).
//! 2. The area of a view is the key's located area, else the registered area of its source, else none.
//!
//! Called by: driver (each committed tick), replay (the same ticks again), server::province (catalog), tests.
//!
//! views/handling.rs has what operators did.

mod handling;

pub use handling::verdict;
mod told;

pub use told::without_personal;

use super::board::{BoardTick, FigureInput};
use super::scope::HealthInput;
use super::wire::{
    self, ActConflict, AlertDetail, AlertView, AreaRef, CaseFacts, Catalog, ClauseView, EventPositions, Evidence, FieldView, FigureView,
    HistoryEntry, Limit, MeasurementView, RuleView, SectorView, SourceView, Text, TickView,
};
use crate::definitions::Definitions;
use crate::engine::alert::{Alert, Happened};
use crate::engine::setup::Setup;
use crate::engine::sources::SourceFigures;
use crate::engine::{Action, AlertChange, ChangeReason, ClauseValue, Condition, FieldValue, Key, Positions, Refusal, Row, RowState, Tick};
use crate::geo::AreaId;
use crate::ingest::PartitionName;
use crate::pipeline::{AbsenceSpec, RuleHead, RuleSpec, Severity, Template, TemplatePart, WindowSpec};
use crate::registry::{Name, Registry};
use crate::time::working::Length;
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

pub struct Views {
    pub setup: Arc<Setup>,
    sectors: Vec<Arc<str>>,
    /// Partitions of the lane, by index.
    partitions: RwLock<Vec<PartitionName>>,
}

impl Views {
    pub fn new(setup: Arc<Setup>) -> Views {
        let sectors = setup.pipelines.iter().map(|p| p.sector.as_str().into()).collect();
        Views { setup, sectors, partitions: RwLock::default() }
    }

    /// The lane's partitions by index: only further ones ever come to the end.
    pub fn name_partitions(&self, names: &[PartitionName]) {
        let mut held = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() < names.len() {
            *held = names.to_vec();
        }
    }

    fn positions(&self, positions: &[Positions]) -> Vec<EventPositions> {
        let names = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        let named = |at: &Positions| {
            let name = names.get(at.partition as usize)?;
            Some(EventPositions { topic: name.topic.clone(), partition: name.number, from: at.from, to: at.to })
        };
        positions.iter().filter_map(named).collect()
    }

    /// What a tick brought, as boards take it: the live one and those of replays (R3).
    pub fn tick(&self, tick: &Tick, rows: &[Row], alerts: &[Alert], health: Option<Arc<HealthInput>>) -> BoardTick {
        BoardTick {
            tick: TickView { number: tick.number, time: tick.time.millis(), live: tick.live },
            rows: rows.iter().map(|r| self.figure(r)).collect(),
            alerts: alerts.iter().map(|a| Arc::new(self.alert(a))).collect(),
            health,
        }
    }

    pub fn figure(&self, row: &Row) -> FigureInput {
        let spec = &self.setup.pipelines[row.pipeline as usize].windows[row.window as usize];
        let view = FigureView {
            measurement: spec.measurement.clone(),
            key: tags(&row.key, spec),
            area: self.area(&row.key, spec, row.end),
            start: row.start.millis(),
            end: row.end.millis(),
            revision: row.revision,
            state: row_state(row.state),
            values: values(&row.values, spec),
            heard: row.heard,
            expected: row.expected,
            approx: row.approx.then_some(true),
        };
        FigureInput { sector: self.sectors[row.pipeline as usize].clone(), view: Arc::new(view) }
    }

    /// `None` where the alert's pipeline is gone: nobody can say what its row was.
    pub fn alert(&self, alert: &Alert) -> AlertView {
        let head = self.head_of(alert);
        let spec = head.and_then(|head| head.row);
        let rule = head.and_then(|head| head.rule);
        let when = rule.map(|r| r.when.text().to_owned()).or_else(|| head?.absence.map(absence_text));
        let change = &alert.last;
        let area = spec.and_then(|s| self.area(&alert.key, s, change.window_end)).or_else(|| alert.key.area.map(|a| self.area_ref(a)));
        AlertView {
            id: alert.id.to_string(),
            version: alert.version,
            pipeline: alert.label.pipeline.clone(),
            rule: alert.label.rule.clone(),
            sector: alert.label.sector.clone(),
            severity: severity(alert.label.severity),
            title: Text { vi: alert.label.title.vi.clone(), en: alert.label.title.en.clone() },
            position: spec.and_then(|s| self.position(&alert.key, s, change.window_end)),
            area,
            key: self.alert_tags(alert),
            condition: condition(alert.condition),
            handling: handling::handling(alert.handling),
            since: alert.since.millis(),
            changed: alert.changed.millis(),
            resolved: alert.resolved.map(Timestamp::millis),
            reason: change.reason.map(|r| reason(r).to_owned()),
            retroactive: alert.retroactive,
            stands_for: Some(alert.stands_for).filter(|n| *n > 0),
            acknowledged: handling::acknowledgement(alert),
            assigned: handling::assignment(alert),
            closed: handling::closing(alert),
            steps: handling::steps(alert),
            notes: alert.notes,
            acted: alert.acted.map(Timestamp::millis),
            evidence: Evidence {
                measurement: head.map_or_else(String::new, |head| head.measurement.to_owned()),
                window_start: change.window_start.millis(),
                window_end: change.window_end.millis(),
                revision: change.row_revision,
                state: row_state(change.row_state),
                values: spec.map_or_else(BTreeMap::new, |s| values(&change.values, s)),
                when: when.unwrap_or_default(),
                until: rule.and_then(|r| r.until.as_ref()).map(|u| u.text().to_owned()),
                for_ms: rule.map_or(0, |r| hold(r, &self.setup).millis()),
                rule_version: change.rule_version.chars().take(12).collect(),
                heard: change.heard,
                expected: change.expected,
                clauses: change.clauses.iter().map(clause).collect(),
                case: change.case.as_ref().map(|case| CaseFacts {
                    case: case.case.clone(),
                    state: case.state.clone(),
                    created: case.created.millis(),
                    due: case.due.map(Timestamp::millis),
                }),
            },
        }
    }

    pub fn detail(&self, alert: &Alert) -> AlertDetail {
        let spec = self.head_of(alert).and_then(|head| head.row);
        let history = alert.history.iter().map(|step| match &step.what {
            Happened::Condition { to, reason: why, values: v } => HistoryEntry {
                at: step.at.millis(),
                what: condition(*to).name().to_owned(),
                by: None,
                note: None,
                reason: why.map(|r| reason(r).to_owned()),
                values: spec.map_or_else(BTreeMap::new, |s| values(v, s)),
                to: None,
                verdict: None,
                step: None,
            },
            Happened::Acted { act, by, note } => handling::entry(step.at, act, by, note),
        });
        AlertDetail {
            alert: self.alert(alert),
            history: history.collect(),
            procedure: None,
            positions: self.positions(&alert.last.positions),
        }
    }

    /// An action that was refused, and the alert as it is now; times in the zone of its pipeline.
    pub fn conflict(&self, alert: &Alert, action: &Action, refused: Refusal) -> ActConflict {
        let pipeline = self.setup.pipelines.iter().find(|p| p.name == alert.label.pipeline);
        let zone = pipeline.map_or(jiff::tz::TimeZone::UTC, |p| p.zone.clone());
        ActConflict { alert: self.alert(alert), reason: handling::reason(alert, action, refused, &zone) }
    }

    /// Whose a change of an alert is and how grave: sector, severity, area; `None` where its rule is gone.
    pub fn mark(&self, change: &AlertChange) -> Option<(&str, wire::Severity, Option<AreaRef>)> {
        let pipeline = self.setup.pipelines.get(change.pipeline as usize)?;
        let head = pipeline.head(change.rule)?;
        let area = head.row.and_then(|spec| self.area(&change.key, spec, change.window_end));
        let area = area.or_else(|| change.key.area.map(|a| self.area_ref(a)));
        Some((&pipeline.sector, severity(head.severity), area))
    }

    fn alert_tags(&self, alert: &Alert) -> BTreeMap<String, String> {
        let names = self.head_of(alert).map(|head| head.tags()).unwrap_or_default().into_iter().map(str::to_owned);
        names.zip(alert.key.tags.iter().map(|t| t.to_string())).collect()
    }

    fn head_of(&self, alert: &Alert) -> Option<RuleHead<'_>> {
        self.setup.pipelines.get(alert.last.pipeline as usize)?.head(alert.last.rule)
    }

    fn area(&self, key: &Key, spec: &WindowSpec, at: Timestamp) -> Option<AreaRef> {
        let registry = &self.setup.registry;
        let of_source = || {
            let source = registry.sources.get(&key.tags[spec.source_tag?], at)?;
            registry.area_of_source(source, at)
        };
        key.area.or_else(of_source).map(|a| self.area_ref(a))
    }

    fn area_ref(&self, id: AreaId) -> AreaRef {
        let area = self.setup.registry.areas.area(id);
        AreaRef { code: area.code.clone(), name: area.name.clone() }
    }

    fn position(&self, key: &Key, spec: &WindowSpec, at: Timestamp) -> Option<[f64; 2]> {
        let source = self.setup.registry.sources.get(&key.tags[spec.source_tag?], at)?;
        source.position.map(|(lon, lat)| [lon, lat])
    }
}

fn tags(key: &Key, spec: &WindowSpec) -> BTreeMap<String, String> {
    spec.tags.iter().cloned().zip(key.tags.iter().map(|t| t.to_string())).collect()
}

fn values(values: &[FieldValue], spec: &WindowSpec) -> BTreeMap<String, f64> {
    let named = spec.fields.iter().zip(values);
    named.filter_map(|(field, value)| Some((field.name.clone(), value.number()?))).collect()
}

fn clause(clause: &ClauseValue) -> ClauseView {
    ClauseView { text: clause.text.to_string(), value: clause.value, limit: clause.limit, truth: clause.truth }
}

pub fn row_state(state: RowState) -> wire::RowState {
    match state {
        RowState::Provisional => wire::RowState::Provisional,
        RowState::Final => wire::RowState::Final,
        RowState::Incomplete => wire::RowState::Incomplete,
        RowState::Withdrawn => wire::RowState::Withdrawn,
    }
}

fn severity(severity: Severity) -> wire::Severity {
    match severity {
        Severity::Critical => wire::Severity::Critical,
        Severity::Major => wire::Severity::Major,
        Severity::Minor => wire::Severity::Minor,
        Severity::Notice => wire::Severity::Notice,
    }
}

fn condition(condition: Condition) -> wire::Condition {
    match condition {
        Condition::Inactive => wire::Condition::Inactive,
        Condition::Pending => wire::Condition::Pending,
        Condition::Firing => wire::Condition::Firing,
        Condition::NoData => wire::Condition::NoData,
        Condition::Resolved => wire::Condition::Resolved,
    }
}

fn reason(reason: ChangeReason) -> &'static str {
    match reason {
        ChangeReason::Revised => "revised",
        ChangeReason::RuleChanged => "rule changed",
        ChangeReason::NoData => "no data",
    }
}

/// All sources of the registry in force at `at`, and all others of which a pipeline took or refused something, in the order of their ids.
pub fn sources(setup: &Setup, at: Timestamp, figures: &BTreeMap<String, SourceFigures>) -> Vec<SourceView> {
    let registry = &setup.registry;
    let registered = registry.sources.iter().filter(|s| s.in_force(at)).map(|s| s.id.as_str());
    let heard = figures.iter().filter(|(_, f)| f.accepted + f.late + f.duplicate + f.rejected > 0);
    let ids: BTreeSet<&str> = registered.chain(heard.map(|(id, _)| id.as_str())).collect();
    let none = SourceFigures::default();
    ids.into_iter().map(|id| source(setup, id, at, figures.get(id).unwrap_or(&none))).collect()
}

fn source(setup: &Setup, id: &str, at: Timestamp, figures: &SourceFigures) -> SourceView {
    let registry = &setup.registry;
    let known = registry.sources.get(id, at);
    let reads = |kind: &String| setup.pipelines.iter().find(|p| p.types.iter().any(|t| t.kind == *kind));
    let sector = known.and_then(|s| s.sector.clone().or_else(|| Some(s.types.iter().find_map(reads)?.sector.clone())));
    let area = known.and_then(|s| registry.area_of_source(s, at)).map(|id| registry.areas.area(id));
    let cadence = known.and_then(|s| s.cadence);
    SourceView {
        id: id.to_owned(),
        name: known
            .map_or_else(|| Text { vi: id.to_owned(), en: id.to_owned() }, |s| Text { vi: s.name_vi.clone(), en: s.name_en.clone() }),
        registered: known.is_some(),
        kind: known.and_then(|s| s.kind.clone()),
        types: known.map_or_else(Vec::new, |s| s.types.clone()),
        area: area.map(|a| AreaRef { code: a.code.clone(), name: a.name.clone() }),
        sector,
        position: known.and_then(|s| s.position).map(|(lon, lat)| [lon, lat]),
        cadence_ms: cadence.map(Span::millis),
        last_heard: figures.last_heard.map(Timestamp::millis),
        silent: cadence.is_some_and(|c| figures.last_heard.is_none_or(|last| last + c.times(3) < at)),
        accepted: figures.accepted,
        late: figures.late,
        duplicate: figures.duplicate,
        conflict: figures.conflict,
        rejected: figures.rejected,
        invalid_field: figures.invalid_field,
        worst_delay_ms: figures.worst_delay.millis(),
        clock_offset_ms: figures.clock_offset.map(Span::millis),
    }
}

/// What there is to see: measurements, fields, rules. Areas and groups are those in force when the server looks: `Land` adds them.
pub fn catalog(setup: &Setup, definitions: &Definitions, place: Text, time_zone: &str) -> Catalog {
    let sectors = setup.registry.sectors.iter();
    let measurements = setup.pipelines.iter().flat_map(|p| {
        p.windows.iter().map(|w| MeasurementView {
            measurement: w.measurement.clone(),
            pipeline: p.name.clone(),
            sector: p.sector.clone(),
            every_ms: w.alignment.every().nominal().millis(),
            tags: w.tags.clone(),
            fields: w.fields.iter().map(|f| FieldView { field: f.name.clone(), unit: f.unit.clone() }).collect(),
        })
    });
    let rules = setup.pipelines.iter().flat_map(|p| p.heads().map(|head| rule(head, p, setup, definitions)));
    Catalog {
        place,
        time_zone: time_zone.to_owned(),
        sectors: sectors
            .map(|s| SectorView { code: s.code.clone(), name: Text { vi: s.name_vi.clone(), en: s.name_en.clone() } })
            .collect(),
        measurements: measurements.collect(),
        rules: rules.collect(),
        areas: Vec::new(),
        groups: Vec::new(),
        names: words(&setup.registry),
        demo: Vec::new(),
    }
}

/// What the page calls values of tags. Units that are areas it knows by their names already.
fn words(registry: &Registry) -> BTreeMap<String, BTreeMap<String, Text>> {
    let text = |name: &Name| Text { vi: name.vi.clone(), en: name.en.clone() };
    let of_tag = |codes: &BTreeMap<String, Name>| codes.iter().map(|(code, name)| (code.clone(), text(name))).collect();
    registry.names.by_tag().iter().map(|(tag, codes)| (tag.clone(), of_tag(codes))).collect()
}

/// `for` on the clock; working time as hours worked.
fn hold(rule: &RuleSpec, setup: &Setup) -> Span {
    match rule.case().map(|case| case.hold) {
        None => rule.hold,
        Some(Length::Elapsed(span)) => span,
        Some(Length::Working(span)) => span.length(&setup.registry.calendar.working),
    }
}

fn rule(head: RuleHead<'_>, pipeline: &crate::pipeline::Pipeline, setup: &Setup, definitions: &Definitions) -> RuleView {
    let rule = head.rule;
    let limits = rule.map_or(&[][..], |r| &r.limits);
    RuleView {
        pipeline: pipeline.name.clone(),
        rule: head.name.to_owned(),
        measurement: head.measurement.to_owned(),
        severity: severity(head.severity),
        title: outline(head.title),
        when: rule.map(|r| r.when.text().to_owned()).or_else(|| head.absence.map(absence_text)).unwrap_or_default(),
        until: rule.and_then(|r| r.until.as_ref()).map(|u| u.text().to_owned()),
        for_ms: rule.map_or(0, |r| hold(r, setup).millis()),
        limits: limits.iter().map(|l| Limit { field: l.field.clone(), op: l.op.to_owned(), value: l.value, until: l.until }).collect(),
        sop: head.sop.and_then(|path| definitions.procedure(path)).map(str::to_owned),
    }
}

/// The condition of a rule on absent sources, as its file has it.
fn absence_text(spec: &AbsenceSpec) -> String {
    format!("absent: {}, after: {}", spec.kind, spec.after)
}

/// A title without a row: its variables are left as an ellipsis.
fn outline(template: &Template) -> Text {
    let text = |parts: &[TemplatePart]| {
        let parts = parts.iter().map(|p| match p {
            TemplatePart::Text(t) => t.as_str(),
            TemplatePart::Var(_) => "…",
        });
        parts.collect::<String>()
    };
    Text { vi: text(&template.vi), en: text(&template.en) }
}
