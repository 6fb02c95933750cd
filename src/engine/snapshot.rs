//! The engine's whole state as plain, versioned data (D1), and back.
//!
//! Owns: [`LaneState`] and its parts; taking it from a [`Lane`] and putting it under a [`Setup`] that may have changed (D2).
//! Refuses to know: files, formats on disk.
//!
//! Invariants
//! 1. Restoring what was saved and going on equals never having stopped.
//! 2. Under a changed setup: a window with another `version` starts empty and what was open of it fires incomplete; a changed rule
//!    starts anew; what did not change keeps its state.
//!
//! Called by: driver (checkpoints, recovery), tests.

use super::absence::{AbsenceSnapshot, Absences};
use super::alert::{AlertBook, AlertBookSnapshot};
use super::case::CasesState;
use super::case::book::Cases;
use super::collect::{Collector, Part, PartWindow};
use super::completeness::Heard;
use super::counts::PartCounts;
use super::dedup::{Seen, SeenState};
use super::lane::{Core, Facts, Lane};
use super::merge::{Fill, Merged, MergedWindows, PartColumns, Pipe, Published, View};
use super::rule::{Rules, RulesSnapshot};
use super::setup::Setup;
use super::sources::ClockOffset;
use super::window::{OpenWindow, OpenWindowState};
use super::{AlertChange, Key, RowState};
use crate::pipeline::Timing;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// State that this program cannot read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the state has format {0}, this program reads format {FORMAT}: start the program that wrote it, or rebuild from the log")]
    Format(u32),
    #[error(transparent)]
    Rules(#[from] super::rule::Unreadable),
    #[error(transparent)]
    Book(#[from] super::alert::UnreadableBook),
    #[error(transparent)]
    Absences(#[from] super::absence::UnreadableAbsences),
}

/// The form of this data; raised when it changes in a way that older code would misread.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaneState {
    pub format: u32,
    /// `Setup::version` and `areas_version` it was taken under.
    pub setup: String,
    pub areas: String,
    pub pipelines: Vec<PipelineName>,
    pub partitions: Vec<PartitionState>,
    pipes: Vec<PipeState>,
    owed: Vec<(usize, usize, Timestamp)>,
    #[serde(default)]
    cases: CasesState,
    rules: RulesSnapshot,
    #[serde(default)]
    absences: AbsenceSnapshot,
    book: AlertBookSnapshot,
    pending: Vec<AlertChange>,
    now: Option<Timestamp>,
}

/// Names and versions, so that state finds its place under another setup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineName {
    pub name: String,
    /// (measurement, version) by window.
    pub windows: Vec<(String, String)>,
    /// What decided which windows and ids were forgotten.
    #[serde(default)]
    kept: Option<Kept>,
}

/// How long a pipeline's windows and ids are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    lateness: Span,
    max_delay: Span,
    dedup: Span,
}

impl Kept {
    fn of(timing: &Timing) -> Kept {
        Kept { lateness: timing.lateness, max_delay: timing.max_delay, dedup: timing.dedup }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartitionState {
    pub next_offset: u64,
    pub clock: Option<Timestamp>,
    readable: Span,
    tick_time: Option<Timestamp>,
    sources: Vec<String>,
    #[serde(default)]
    offsets: Vec<Option<ClockOffset>>,
    parts: Vec<PartState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartState {
    watermark: Option<Timestamp>,
    accepted_at: Span,
    #[serde(default)]
    last_source: Option<u32>,
    #[serde(default = "always")]
    gone: Timestamp,
    #[serde(default = "always")]
    closed_until: Timestamp,
    #[serde(default = "always")]
    known_from: Timestamp,
    seen: SeenState,
    texts: Vec<String>,
    windows: Vec<PartWindowState>,
    counts: PartCounts,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartWindowState {
    keys: Vec<Key>,
    atoms: Vec<u32>,
    announced: usize,
    open: Vec<OpenWindowState>,
    heard: BTreeMap<Timestamp, BTreeSet<u32>>,
    #[serde(default = "always")]
    born: Timestamp,
}

/// A definition that was there from the beginning.
fn always() -> Timestamp {
    Timestamp::MIN
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PipeState {
    parts: Vec<View>,
    windows: Vec<MergedWindowsState>,
    frontier: Timestamp,
    settled: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct MergedWindowsState {
    keys: Vec<Key>,
    local: Vec<Vec<u32>>,
    open: Vec<MergedState>,
    heard: BTreeMap<Timestamp, Heard>,
    #[serde(default = "always")]
    born: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fill: Option<Fill>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MergedState {
    pub start: Timestamp,
    pub end: Timestamp,
    pub fired: Option<RowState>,
    pub keys: Vec<u32>,
    pub parts: Vec<PartColumns>,
    pub changed: Vec<u32>,
    pub published: Vec<Published>,
}

impl Core {
    /// The whole lane, given its partitions.
    pub fn save(&self, setup: &Setup, partitions: Vec<PartitionState>) -> LaneState {
        let pipelines = setup.pipelines.iter();
        LaneState {
            format: FORMAT,
            setup: setup.version.clone(),
            areas: setup.areas_version.clone(),
            pipelines: pipelines
                .map(|p| PipelineName {
                    name: p.name.clone(),
                    windows: p.windows.iter().map(|w| (w.measurement.clone(), w.version.clone())).collect(),
                    kept: Some(Kept::of(&p.timing)),
                })
                .collect(),
            partitions,
            pipes: self.merger.pipes.iter().map(Pipe::save).collect(),
            owed: self.merger.owed.iter().copied().collect(),
            cases: self.cases.save(setup),
            rules: self.rules.snapshot(),
            absences: self.absences.snapshot(setup),
            book: self.book.snapshot(),
            pending: self.pending.clone(),
            now: self.now,
        }
    }
}

impl Lane {
    pub fn save(&self) -> LaneState {
        self.core.save(&self.setup, self.collectors.iter().map(Collector::save).collect())
    }

    /// Puts saved state under a setup. Windows that the setup no longer has as they were are fired incomplete by the lane they were
    /// saved from before it is given up (`Lane::retire`), so they are simply left out here.
    pub fn restore(setup: Arc<Setup>, state: LaneState) -> Result<Lane, RestoreError> {
        if state.format != FORMAT {
            return Err(RestoreError::Format(state.format));
        }
        let places = Places::of(&setup, &state.pipelines, state.areas == setup.areas_version);
        let mut lane = Lane::new(setup.clone());
        lane.collectors = state.partitions.into_iter().enumerate().map(|(i, p)| p.restore(&setup, &places, i as u32)).collect();
        let born = lane.collectors.iter().filter_map(Collector::clock).max().unwrap_or(Timestamp::MIN);
        lane.core.merger.pipes.iter_mut().flat_map(|pipe| &mut pipe.windows).for_each(|windows| windows.born = born);
        for (old, pipe) in state.pipes.into_iter().enumerate() {
            if let Some(new) = places.pipeline(old) {
                pipe.restore(&mut lane.core.merger.pipes[new], &places, old);
            }
        }
        for (p, w, start) in state.owed {
            if let Some((p, w)) = places.window(p, w) {
                lane.core.merger.owed.insert((p, w, start));
            }
        }
        let facts = Facts { registry: &setup.registry, at: state.now.unwrap_or(Timestamp(0)) };
        let (rules, orphans) = Rules::restore(state.rules, &setup.pipelines, &facts)?;
        lane.core.rules = rules;
        lane.core.book = AlertBook::restore(state.book, &setup.pipelines, &facts)?;
        let (cases, ended) = Cases::restore(state.cases, &setup, state.areas == setup.areas_version, state.now);
        lane.core.cases = cases;
        lane.core.pending = state.pending;
        lane.core.pending.extend(ended);
        lane.core.pending.extend(orphans.into_iter().map(|o| o.at_tick(0)));
        let (absences, silences) = Absences::restore(state.absences, &setup, &lane.core.book)?;
        lane.core.absences = absences;
        lane.core.pending.extend(silences);
        lane.core.now = state.now;
        Ok(lane)
    }
}

/// Where saved pipelines and windows lie under the present setup.
struct Places {
    /// By old pipeline: (new pipeline, by old window: new window).
    map: Vec<Option<(usize, Vec<Option<usize>>)>>,
    /// By old pipeline.
    kept: Vec<Option<Kept>>,
}

impl Places {
    fn of(setup: &Setup, old: &[PipelineName], same_areas: bool) -> Places {
        let place = |o: &PipelineName| {
            let new = setup.pipelines.iter().position(|p| p.name == o.name)?;
            let windows = o.windows.iter().map(|(measurement, version)| {
                let same = |w: &crate::pipeline::WindowSpec| {
                    w.measurement == *measurement && w.version == *version && (same_areas || w.area_tag.is_none())
                };
                setup.pipelines[new].windows.iter().position(same)
            });
            Some((new, windows.collect()))
        };
        Places { map: old.iter().map(place).collect(), kept: old.iter().map(|o| o.kept).collect() }
    }

    fn pipeline(&self, old: usize) -> Option<usize> {
        self.map.get(old)?.as_ref().map(|m| m.0)
    }

    fn window(&self, pipeline: usize, window: usize) -> Option<(usize, usize)> {
        let (new, windows) = self.map.get(pipeline)?.as_ref()?;
        Some((*new, (*windows.get(window)?)?))
    }
}

impl Collector {
    pub fn save(&self) -> PartitionState {
        PartitionState {
            next_offset: self.next_offset,
            clock: self.clock,
            readable: self.readable,
            tick_time: self.tick_time,
            sources: self.sources.iter().map(str::to_owned).collect(),
            offsets: self.offsets.clone(),
            parts: self.parts.iter().map(Part::save).collect(),
        }
    }
}

impl PartitionState {
    fn restore(self, setup: &Setup, places: &Places, partition: u32) -> Collector {
        let mut collector = Collector::new(setup, partition);
        collector.next_offset = self.next_offset;
        collector.clock = self.clock;
        collector.offsets = self.offsets;
        collector.readable = self.readable;
        collector.tick_time = self.tick_time;
        for source in &self.sources {
            collector.sources.intern(source);
        }
        let born = self.clock.unwrap_or(Timestamp::MIN);
        for part in &mut collector.parts {
            // a pipeline that is new here has been idle for no time yet
            part.accepted_at = self.readable;
            // nor has it seen what came before; state that finds its window says otherwise
            part.windows.iter_mut().for_each(|window| window.born = born);
        }
        for (old, part) in self.parts.into_iter().enumerate() {
            if let Some(new) = places.pipeline(old) {
                part.restore(&mut collector.parts[new], setup, places, old, new);
            }
        }
        collector
    }
}

impl Part {
    fn save(&self) -> PartState {
        let windows = self.windows.iter().map(|w| PartWindowState {
            keys: w.keys.keys.iter().map(|k| (**k).clone()).collect(),
            atoms: w.keys.atoms().to_vec(),
            announced: w.announced,
            open: w.open.iter().map(OpenWindow::save).collect(),
            heard: w.heard.clone(),
            born: w.born,
        });
        PartState {
            watermark: self.watermark,
            accepted_at: self.accepted_at,
            last_source: self.last_source,
            gone: self.gone,
            closed_until: self.closed_until,
            known_from: self.known_from,
            seen: self.seen.save(),
            texts: self.texts.iter().map(str::to_owned).collect(),
            windows: windows.collect(),
            counts: self.counts.clone(),
        }
    }
}

impl PartState {
    fn restore(self, part: &mut Part, setup: &Setup, places: &Places, old: usize, new: usize) {
        let pipeline = &setup.pipelines[new];
        part.watermark = self.watermark;
        part.accepted_at = self.accepted_at;
        part.last_source = self.last_source;
        (part.gone, part.closed_until, part.known_from) = (self.gone, self.closed_until, self.known_from);
        if let Some(kept) = places.kept[old].filter(|kept| *kept != Kept::of(&pipeline.timing)) {
            // what was forgotten is not there to be added to, whatever the new terms
            part.closed_until = part.closed_until.max(self.gone);
            part.known_from = part.known_from.max(self.watermark.map_or(Timestamp::MIN, |w| w - kept.dedup));
        }
        part.seen = Seen::restore(&self.seen, pipeline.timing.dedup);
        for text in &self.texts {
            part.texts.intern(text);
        }
        let windows = pipeline.windows.len();
        let (mut partly_late, mut no_key) = (vec![0; windows], vec![0; windows]);
        for (w, state) in self.windows.into_iter().enumerate() {
            let Some((_, to)) = places.window(old, w) else { continue };
            partly_late[to] = self.counts.partly_late.get(w).copied().unwrap_or(0);
            no_key[to] = self.counts.no_key.get(w).copied().unwrap_or(0);
            let spec = &pipeline.windows[to];
            let window = &mut part.windows[to];
            *window = PartWindow::new(spec);
            let width = spec.tags.len();
            for (i, key) in state.keys.into_iter().enumerate() {
                window.keys.insert(&state.atoms[i * width..(i + 1) * width], Arc::new(key));
            }
            window.announced = state.announced;
            window.heard = state.heard;
            window.born = state.born;
            window.open = state.open.into_iter().map(OpenWindow::restore).collect();
        }
        part.counts = PartCounts { partly_late, no_key, ..self.counts };
    }
}

impl Pipe {
    fn save(&self) -> PipeState {
        let windows = self.windows.iter().map(|w| MergedWindowsState {
            keys: w.keys.keys.iter().map(|k| (**k).clone()).collect(),
            local: w.local.clone(),
            open: w.open.iter().map(|(start, m)| m.save(*start)).collect(),
            heard: w.heard.clone(),
            born: w.born,
            fill: w.fill.clone(),
        });
        PipeState { parts: self.parts.clone(), windows: windows.collect(), frontier: self.frontier, settled: self.settled }
    }
}

impl PipeState {
    fn restore(self, pipe: &mut Pipe, places: &Places, old: usize) {
        pipe.parts = self.parts;
        pipe.frontier = self.frontier;
        pipe.settled = self.settled;
        for (w, state) in self.windows.into_iter().enumerate() {
            let Some((_, to)) = places.window(old, w) else { continue };
            let mut windows = MergedWindows::default();
            for key in state.keys {
                windows.keys.intern(&Arc::new(key));
            }
            windows.local = state.local;
            windows.heard = state.heard;
            windows.born = state.born;
            windows.fill = state.fill.or_else(|| pipe.windows[to].fill.take());
            for merged in state.open {
                if merged.fired.is_none() {
                    windows.unfired.insert(merged.start);
                }
                windows.open.insert(merged.start, Merged::restore(merged));
            }
            pipe.windows[to] = windows;
        }
    }
}
