//! Who should have been heard in a window, and who was (R2).
//!
//! Owns: [`Heard`] (per window: the registered sources heard), [`expected`] and [`heard`] of a row's key.
//! Refuses to know: windows' values, when rows fire.
//!
//! Invariants
//! 1. A source is heard in a window if an accepted event of it lies within max(the window's length, cadence) before the window's end.
//! 2. Both figures are functions of registry and accepted events, not of ticks (R3, law of values).
//! 3. A key with tags other than `area` and `source` has neither figure: the registry cannot say who belongs to it.
//!
//! Called by: collect (`reach`), merge (the rest).

use super::Key;
use crate::geo::AreaId;
use crate::pipeline::{Pipeline, WindowSpec};
use crate::registry::{Registry, Source};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Registered sources heard in one window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    sources: BTreeSet<Box<str>>,
    /// Their number by the registry's area at the window's end.
    areas: BTreeMap<Option<AreaId>, u32>,
}

impl Heard {
    /// True if the source is new here.
    pub fn add(&mut self, source: &str, end: Timestamp, registry: &Registry) -> bool {
        if self.sources.contains(source) {
            return false;
        }
        self.sources.insert(source.into());
        let area = registry.sources.get(source, end).and_then(|s| registry.area_of_source(s, end));
        *self.areas.entry(area).or_default() += 1;
        true
    }
}

/// The ends of the windows of `spec` in which a source with this cadence is heard by an event at `time`, in order.
pub fn reach<'a>(spec: &'a WindowSpec, source: &Source, time: Timestamp) -> impl Iterator<Item = Timestamp> + 'a {
    let alignment = &spec.alignment;
    let length = alignment.period().nominal();
    let last = time + source.cadence.map_or(length, |c| c.max(length));
    // the event's own windows always; the later ones as far as the cadence reaches
    let starts = std::iter::successors(Some(alignment.first_start_of(time)), |start| Some(alignment.next_start(*start)));
    starts.map(|start| (start, alignment.end_of(start))).take_while(move |(start, end)| *start <= time || *end <= last).map(|(_, end)| end)
}

/// Does the registry expect this source to send what the pipeline reads?
pub fn sends(source: &Source, pipeline: &Pipeline) -> bool {
    source.cadence.is_some() && pipeline.types.iter().any(|t| source.types.contains(&t.kind))
}

/// Expected sources of all areas at one time: made once per window, read for each of its rows.
#[derive(Debug, Default)]
pub struct Expected {
    areas: BTreeMap<Option<AreaId>, u32>,
    total: u32,
}

impl Expected {
    pub fn at(end: Timestamp, pipeline: &Pipeline, spec: &WindowSpec, registry: &Registry) -> Expected {
        let mut expected = Expected::default();
        if spec.source_tag.is_some() {
            return expected; // asked source by source
        }
        for source in registry.sources.iter().filter(|s| s.in_force(end) && sends(s, pipeline)) {
            expected.total += 1;
            if spec.area_tag.is_some() {
                *expected.areas.entry(registry.area_of_source(source, end)).or_default() += 1;
            }
        }
        expected
    }
}

/// The keys that the registry expects in a window ending at `end`, in order: of the sources in force whose cadence is known and that send
/// what the window takes. None where a tag is neither area nor source.
pub fn expected_keys(end: Timestamp, pipeline: &Pipeline, window: usize, registry: &Registry) -> BTreeSet<Key> {
    let spec = &pipeline.windows[window];
    let known = usize::from(spec.area_tag.is_some()) + usize::from(spec.source_tag.is_some());
    if spec.tags.len() != known {
        return BTreeSet::new();
    }
    let takes = |s: &Source| pipeline.types.iter().any(|t| t.windows[window].is_some() && s.types.contains(&t.kind));
    let sources = registry.sources.iter().filter(|s| s.in_force(end) && s.cadence.is_some() && takes(s));
    let key = |source: &Source| {
        let area = spec.area_tag.and_then(|_| registry.area_of_source(source, end));
        let tag = |position: usize| match spec.source_tag {
            Some(tag) if tag == position => source.id.as_str().into(),
            _ => area.map_or("outside", |a| registry.areas.area(a).code.as_str()).into(),
        };
        Key { tags: (0..spec.tags.len()).map(tag).collect(), area }
    };
    sources.map(key).collect()
}

/// (heard, expected) of a row.
pub fn completeness(
    key: &Key,
    spec: &WindowSpec,
    end: Timestamp,
    pipeline: &Pipeline,
    registry: &Registry,
    heard: Option<&Heard>,
    expected: &Expected,
) -> (Option<u32>, Option<u32>) {
    let known = usize::from(spec.area_tag.is_some()) + usize::from(spec.source_tag.is_some());
    if spec.tags.len() != known {
        return (None, None);
    }
    if let Some(tag) = spec.source_tag {
        let id = &*key.tags[tag];
        return match registry.sources.get(id, end) {
            Some(source) if sends(source, pipeline) => (Some(u32::from(heard.is_some_and(|h| h.sources.contains(id)))), Some(1)),
            _ => (None, None),
        };
    }
    let (n, of) = match spec.area_tag {
        Some(_) => (heard.map_or(0, |h| h.areas.get(&key.area).copied().unwrap_or(0)), expected.areas.get(&key.area).copied().unwrap_or(0)),
        None => (heard.map_or(0, |h| h.sources.len() as u32), expected.total),
    };
    if of == 0 { (None, None) } else { (Some(n), Some(of)) }
}

/// Does hearing `source` change the row of `key`?
pub fn concerns(key: &Key, spec: &WindowSpec, source: &str, area: Option<AreaId>) -> bool {
    match (spec.source_tag, spec.area_tag) {
        (Some(tag), _) => *key.tags[tag] == *source,
        (None, Some(_)) => key.area == area,
        (None, None) => true,
    }
}
