//! Cases as plain data (D1), and what becomes of them under changed definitions (D2).
//!
//! Owns: [`CasesState`], taking it and putting it back. Refuses to know: files.
//!
//! Invariants
//! 1. Places are names: pipelines, cases, states, values, areas, rules. A case whose `version` changed starts anew; one whose states, limits
//!    or readers changed keeps its history: what is new to it is unknown of old events.
//! 2. A rule of the same version keeps what was told; else its open alerts come back as changes with reason *rule changed*.
//! 3. Saving copies no history: those are shared until one of them changes.
//!
//! Called by: snapshot.rs of the engine.

use super::alert::{OpenAlert, Told, change_of};
use super::book::Cases;
use super::gauge::{Fired, keys};
use super::{Case, CaseValue, Gaps};
use crate::engine::merge::Published;
use crate::engine::setup::Setup;
use crate::engine::{AlertChange, ChangeReason, Condition, Key, RowState};
use crate::geo::AreaId;
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CasesState {
    pipes: Vec<PipeState>,
    gaps: Gaps,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PipeState {
    pipeline: String,
    /// Codes of areas by their number.
    areas: Vec<String>,
    settled: Timestamp,
    /// (name, version) by place in the file.
    rules: Vec<(String, String)>,
    kinds: Vec<KindState>,
    gauges: Vec<GaugeState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KindState {
    case: String,
    version: String,
    states: Vec<String>,
    values: Vec<String>,
    refused: u64,
    cases: Vec<(Arc<str>, Arc<Case>)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct GaugeState {
    /// Measurement and version of the window.
    measurement: String,
    version: String,
    last: Option<Timestamp>,
    quiet: bool,
    latest: Timestamp,
    windows: Vec<FiredState>,
    dirty: Vec<(Timestamp, Key)>,
    waits: Option<Timestamp>,
}

/// End, state, rows.
type FiredState = (Timestamp, RowState, Vec<(Key, Published)>);

impl Cases {
    pub fn save(&self, setup: &Setup) -> CasesState {
        let registry = &setup.registry;
        let pipes = self.pipes.iter().zip(&setup.pipelines).filter(|(_, pipeline)| !pipeline.cases.is_empty());
        let pipes = pipes.map(|(pipe, pipeline)| PipeState {
            pipeline: pipeline.name.clone(),
            areas: registry.areas.iter().map(|(_, area)| area.code.clone()).collect(),
            settled: pipe.settled,
            rules: pipeline.rules.iter().map(|r| (r.name.clone(), r.version.clone())).collect(),
            kinds: pipe
                .kinds
                .iter()
                .zip(&pipeline.cases)
                .map(|(kind, spec)| KindState {
                    case: spec.name.clone(),
                    version: spec.version.clone(),
                    states: spec.states.clone(),
                    values: spec.values.clone(),
                    refused: kind.refused,
                    cases: kind.cases.iter().map(|(subject, case)| (subject.clone(), case.clone())).collect(),
                })
                .collect(),
            gauges: pipe
                .gauges
                .iter()
                .map(|gauge| GaugeState {
                    measurement: pipeline.windows[gauge.window].measurement.clone(),
                    version: pipeline.windows[gauge.window].version.clone(),
                    last: gauge.last,
                    quiet: gauge.quiet,
                    latest: gauge.latest,
                    windows: gauge.windows.iter().map(|(end, fired)| (*end, fired.state, plain(&fired.rows))).collect(),
                    dirty: gauge.dirty.iter().map(|(end, key)| (*end, (**key).clone())).collect(),
                    waits: gauge.waits,
                })
                .collect(),
        });
        CasesState { pipes: pipes.collect(), gaps: self.gaps.clone() }
    }

    /// The cases under a setup that may have changed, and the changes for alerts whose rule has. `same_areas`: area numbers mean what they
    /// meant; `now`: time of the last tick.
    pub fn restore(state: CasesState, setup: &Setup, same_areas: bool, now: Option<Timestamp>) -> (Cases, Vec<AlertChange>) {
        let mut cases = Cases::new(&setup.pipelines);
        cases.gaps = state.gaps;
        let mut orphans = Vec::new();
        for old in state.pipes {
            let Some(p) = setup.pipelines.iter().position(|pipeline| pipeline.name == old.pipeline) else {
                orphans.extend(old.kinds.iter().flat_map(|kind| orphaned(&old, kind, None, setup, |_| false)));
                continue;
            };
            let pipeline = &setup.pipelines[p];
            cases.pipes[p].settled = old.settled;
            for kind in &old.kinds {
                let c = pipeline.cases.iter().position(|spec| spec.name == kind.case && spec.version == kind.version);
                let kept = |rule: u16| c.is_some() && place_of(&old, rule, pipeline).is_some();
                orphans.extend(orphaned(&old, kind, Some(p), setup, kept));
                let Some(c) = c else { continue };
                let spec = &pipeline.cases[c];
                let reader = Reader {
                    old: &old,
                    pipeline,
                    registry: &setup.registry,
                    states: kind.states.iter().map(|name| spec.state(name)).collect(),
                    values: spec.values.iter().map(|name| kind.values.iter().position(|v| v == name)).collect(),
                    same_areas,
                };
                let new = &mut cases.pipes[p].kinds[c];
                new.refused = kind.refused;
                for (subject, case) in &kind.cases {
                    if let Some(case) = reader.case(case) {
                        new.cases.insert(subject.clone(), case);
                        new.queue(&pipeline.cases[c], subject);
                        // judged at the next tick: due times may be others now
                        new.changed.insert(subject.clone());
                    }
                }
            }
            cases.restore_gauges(p, old.gauges, setup, same_areas, now);
        }
        (cases, orphans)
    }

    fn restore_gauges(&mut self, p: usize, old: Vec<GaugeState>, setup: &Setup, same_areas: bool, now: Option<Timestamp>) {
        let pipeline = &setup.pipelines[p];
        let pipe = &mut self.pipes[p];
        for gauge in &mut pipe.gauges {
            let window = &pipeline.windows[gauge.window];
            let Some(spec) = &window.gauge else { continue };
            for (subject, case) in &pipe.kinds[gauge.case].cases {
                let keys = keys(spec, pipeline, &setup.registry, subject, case);
                gauge.members_moved(subject, Default::default(), &keys);
            }
            let same = |g: &&GaugeState| {
                g.measurement == window.measurement && g.version == window.version && (same_areas || window.area_tag.is_none())
            };
            match old.iter().find(same) {
                Some(state) => {
                    (gauge.last, gauge.quiet, gauge.latest, gauge.waits) = (state.last, state.quiet, state.latest, state.waits);
                    let fired = |(end, state, rows): &FiredState| {
                        let rows = rows.iter().map(|(key, published)| (Arc::new(key.clone()), *published)).collect();
                        (*end, Fired { state: *state, rows })
                    };
                    gauge.windows = state.windows.iter().map(fired).collect();
                    gauge.dirty = state.dirty.iter().map(|(end, key)| (*end, Arc::new(key.clone()))).collect();
                }
                None => {
                    // a new gauge counts from the window in which it begins
                    gauge.last = now.map(|now| window.alignment.start_of(now));
                    let times = pipe.kinds[gauge.case].cases.values().map(|case| case.last().time);
                    gauge.latest = times.max().unwrap_or(Timestamp::MIN);
                    gauge.quiet = gauge.last.is_none();
                }
            }
        }
    }
}

fn plain(rows: &BTreeMap<Arc<Key>, Published>) -> Vec<(Key, Published)> {
    rows.iter().map(|(key, published)| ((**key).clone(), *published)).collect()
}

/// The place of an old rule if it is as it was.
fn place_of(old: &PipeState, rule: u16, pipeline: &Pipeline) -> Option<u16> {
    let (name, version) = old.rules.get(usize::from(rule))?;
    pipeline.rules.iter().position(|r| r.name == *name && r.version == *version).map(|i| i as u16)
}

/// The ends of open alerts whose rule is not kept.
fn orphaned(old: &PipeState, kind: &KindState, p: Option<usize>, setup: &Setup, kept: impl Fn(u16) -> bool) -> Vec<AlertChange> {
    let told = kind.cases.iter().flat_map(|(_, case)| &case.told).filter(|told| !kept(told.rule));
    let change = |told: &Told| {
        let open = told.open.as_ref()?;
        let (name, version) = old.rules.get(usize::from(told.rule))?;
        let open = OpenAlert { key: key_now(&open.key, open.fired, &setup.registry), ..open.clone() };
        let change = change_of(&old.pipeline, name, version, &open, open.evidence.clone());
        let rule = p.and_then(|p| setup.pipelines[p].rules.iter().position(|r| r.name == *name));
        let index = |i: Option<usize>| i.map_or(crate::engine::rule::GONE, |i| i as u16);
        let reason = Some(ChangeReason::RuleChanged);
        Some(AlertChange { pipeline: index(p), rule: index(rule), to: Condition::Resolved, reason, ..change })
    };
    told.filter_map(change).collect()
}

/// The key of an alert on a case; of several eras of a code the area in force when it fired.
fn key_now(key: &Key, fired: Timestamp, registry: &Registry) -> Arc<Key> {
    let area = key.tags.get(1).and_then(|code| registry.areas.by_code(code, fired));
    Arc::new(Key { tags: key.tags.clone(), area })
}

/// Reads the cases of one kind into the present definitions.
struct Reader<'a> {
    old: &'a PipeState,
    pipeline: &'a Pipeline,
    registry: &'a Registry,
    /// By old state: its number now.
    states: Vec<Option<u16>>,
    /// By value now: its old place.
    values: Vec<Option<usize>>,
    same_areas: bool,
}

impl Reader<'_> {
    fn area(&self, area: Option<AreaId>, at: Timestamp) -> Option<AreaId> {
        match self.same_areas {
            true => area,
            false => self.registry.areas.by_code(self.old.areas.get(area?.0 as usize)?, at),
        }
    }

    /// `None`: none of its states is known any more.
    fn case(&self, old: &Arc<Case>) -> Option<Arc<Case>> {
        let same_states = self.states.iter().enumerate().all(|(i, s)| *s == Some(i as u16));
        let same_values = self.values.iter().enumerate().all(|(i, v)| *v == Some(i));
        if self.same_areas && same_states && same_values && old.told.is_empty() {
            return Some(old.clone());
        }
        let mut case = (**old).clone();
        case.entries.retain_mut(|entry| {
            let Some(state) = self.states.get(usize::from(entry.state)).copied().flatten() else { return false };
            let value = |old: &Option<usize>| old.and_then(|i| entry.values.get(i)).cloned().unwrap_or(CaseValue::Absent);
            let values = self.values.iter().map(value).collect();
            (entry.state, entry.area, entry.values) = (state, self.area(entry.area, entry.time), values);
            true
        });
        let last = case.entries.last()?.time;
        case.area = self.area(case.area, last);
        case.told.retain_mut(|told| {
            let Some(rule) = place_of(self.old, told.rule, self.pipeline) else { return false };
            told.rule = rule;
            if let Some(open) = &mut told.open {
                open.key = key_now(&open.key, open.fired, self.registry);
            }
            true
        });
        case.told.sort_by_key(|t| t.rule);
        Some(Arc::new(case))
    }
}
