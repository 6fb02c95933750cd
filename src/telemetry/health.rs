//! Who is heard, and what became of the records, by sector and area: the health chip of every scope.
//!
//! Owns: [`SourceHealth`]: where each source belongs, looked up once an hour. Refuses to know: who looks at it, what is silent for a rule.
//!
//! Invariants
//! 1. A record is counted once, however many pipelines read it.
//! 2. A second's work is O(sources) without a look-up by name or place: those are kept by the partition's source number.
//!
//! Called by: telemetry (the driver's report, once a second).

use crate::engine::collect::Collector;
use crate::engine::lane::Lane;
use crate::engine::setup::Setup;
use crate::engine::sources::SourceFigures;
use crate::geo::AreaId;
use crate::server::scope::HealthPart;
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// Areas, cadences and validity are looked up anew after this much tick time.
const KEPT: Span = Span::hours(1);

#[derive(Debug, Default)]
pub struct SourceHealth {
    since: Option<Timestamp>,
    /// Parts as they are handed out, without counts.
    parts: Vec<HealthPart>,
    index: HashMap<(String, Option<AreaId>), usize>,
    /// Sources that should be heard.
    expected: Vec<Expected>,
    expected_of: HashMap<String, usize>,
    /// By partition and source number.
    sources: Vec<Vec<Place>>,
}

#[derive(Debug)]
struct Expected {
    part: usize,
    within: Span,
    last: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Place {
    part: usize,
    /// False: not registered, and no pipeline has taken anything of it yet, so that its sector is not known.
    settled: bool,
    expected: Option<usize>,
    /// The pipelines that read its types; all where that is not known.
    pipelines: Vec<usize>,
}

const VERDICTS: [&str; 4] = ["accepted", "late", "duplicate", "rejected"];

impl SourceHealth {
    pub fn parts(&mut self, lane: &Lane, now: Timestamp) -> Vec<HealthPart> {
        if self.since.is_none_or(|since| now - since >= KEPT) {
            *self = SourceHealth { since: Some(now), ..SourceHealth::default() };
            self.expect(&lane.setup, now);
        }
        self.sources.resize(lane.collectors.len(), Vec::new());
        let mut sums: Vec<[u64; 4]> = vec![[0; 4]; self.parts.len()];
        for (partition, collector) in lane.collectors.iter().enumerate() {
            for number in 0..collector.source_count() {
                let place = self.place(partition, number, collector, &lane.setup, now);
                let (part, expected) = (place.part, place.expected);
                let of = SourceFigures::of(collector, number, place.pipelines.iter().copied());
                if let Some(expected) = expected.map(|e| &mut self.expected[e]) {
                    expected.last = expected.last.max(of.last_heard);
                }
                sums.resize(self.parts.len(), [0; 4]);
                sums[part].iter_mut().zip([of.accepted, of.late, of.duplicate, of.rejected]).for_each(|(sum, n)| *sum += n);
            }
        }
        let mut parts = self.parts.clone();
        for of in &self.expected {
            parts[of.part].sources_expected += 1;
            parts[of.part].sources_heard += u32::from(of.last.is_some_and(|at| at + of.within >= now));
        }
        for (part, sums) in parts.iter_mut().zip(&sums) {
            let some = VERDICTS.iter().zip(sums).filter(|(_, n)| **n > 0);
            part.verdicts = some.map(|(name, n)| ((*name).to_owned(), *n)).collect::<BTreeMap<_, _>>();
        }
        parts
    }

    fn expect(&mut self, setup: &Setup, now: Timestamp) {
        let registry = &setup.registry;
        for source in registry.sources.iter().filter(|s| s.in_force(now)) {
            let (Some(cadence), Some(pipeline)) = (source.cadence, readers(setup, &source.types).first().copied()) else { continue };
            let sector = source.sector.clone().unwrap_or_else(|| setup.pipelines[pipeline].sector.clone());
            let part = self.part(sector, registry.area_of_source(source, now), setup);
            self.expected_of.insert(source.id.clone(), self.expected.len());
            self.expected.push(Expected { part, within: cadence.times(3), last: None });
        }
    }

    fn part(&mut self, sector: String, area: Option<AreaId>, setup: &Setup) -> usize {
        let parts = &mut self.parts;
        *self.index.entry((sector, area)).or_insert_with_key(|(sector, area)| {
            let area = area.map(|a| setup.registry.areas.area(a).code.clone());
            parts.push(HealthPart { sector: sector.clone(), area, ..HealthPart::default() });
            parts.len() - 1
        })
    }

    fn place(&mut self, partition: usize, number: usize, collector: &Collector, setup: &Setup, now: Timestamp) -> &Place {
        let known = self.sources[partition].get(number).is_some_and(|p| p.settled);
        if !known {
            let place = self.find(number, collector, setup, now);
            let of = &mut self.sources[partition];
            match of.get_mut(number) {
                Some(held) => *held = place,
                None => of.push(place),
            }
        }
        &self.sources[partition][number]
    }

    fn find(&mut self, number: usize, collector: &Collector, setup: &Setup, now: Timestamp) -> Place {
        let name = collector.source_name(number as u32);
        let registry = &setup.registry;
        if let Some(source) = registry.sources.get(name, now) {
            let pipelines = readers(setup, &source.types);
            let of_pipeline = || pipelines.first().map(|p| setup.pipelines[*p].sector.clone());
            let sector = source.sector.clone().or_else(of_pipeline).unwrap_or_default();
            let part = self.part(sector, registry.area_of_source(source, now), setup);
            return Place { part, settled: true, expected: self.expected_of.get(name).copied(), pipelines };
        }
        let all: Vec<usize> = (0..setup.pipelines.len()).collect();
        let taken = |p: &usize| {
            let of = collector.counts(*p).sources.get(number);
            of.is_some_and(|of| of.accepted + of.late + of.duplicate > 0)
        };
        let sector = all.iter().copied().find(|p| taken(p)).map(|p| setup.pipelines[p].sector.clone());
        let settled = sector.is_some();
        Place { part: self.part(sector.unwrap_or_default(), None, setup), settled, expected: None, pipelines: all }
    }
}

/// Pipelines that read one of these types; all, so that refused records are counted, where none does.
fn readers(setup: &Setup, types: &[String]) -> Vec<usize> {
    let reads = |p: &usize| setup.pipelines[*p].types.iter().any(|t| types.contains(&t.kind));
    let some: Vec<usize> = (0..setup.pipelines.len()).filter(reads).collect();
    if some.is_empty() && !setup.pipelines.is_empty() { vec![0] } else { some }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::engine::collect::{Body, Record};
    use std::sync::Arc;

    const PIPELINE: &str = "pipeline: P\nsector: SECTOR\nfrom: [t.a]\nout_of_orderness: 5s\nlateness: 1m\nwindows:\n  - {measurement: P, every: 1m, by: [source], fields: {n: count()}}\n";

    fn lane() -> Lane {
        let pipeline =
            |name: &str, sector: &str| PIPELINE.replace("SECTOR", sector).replace('P', name).replace("pipeline: P", "pipeline: p");
        let files = [
            ("pipelines/a.yaml", pipeline("one", "traffic")),
            ("pipelines/b.yaml", pipeline("two", "environment")),
            ("registry/sources/s.csv", "id,type,sector,cadence\nheard,t.a,environment,30s\nsilent,t.a,,30s\nfast,t.a,,30s\n".to_owned()),
        ];
        let files = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        let setup = Definitions { files }.compile(None).unwrap();
        Lane::new(Arc::new(setup))
    }

    #[test]
    fn a_record_counts_once_and_who_is_silent_is_missed() {
        let at = |s: i64| Timestamp::from_seconds(1_780_000_000 + s);
        let mut lane = lane();
        lane.begin(at(0), 1);
        for (offset, (source, time)) in [("heard", 0), ("heard", 1), ("fast", 500), ("stranger", 2)].into_iter().enumerate() {
            let event =
                format!(r#"{{"specversion":"1.0","id":"{offset}","source":"{source}","type":"t.a","time":"{}","data":{{}}}}"#, at(time));
            let record = Record { offset: offset as u64, broker_time: Some(at(3)), body: Body::Structured(event.as_bytes()) };
            lane.take(0, record, Timestamp::MAX).unwrap();
        }
        let mut health = SourceHealth::default();
        let mut parts = health.parts(&lane, at(60));
        parts.sort_by(|a, b| (&a.sector, &a.area).cmp(&(&b.sector, &b.area)));
        let shown: Vec<_> = parts.iter().map(|p| (p.sector.as_str(), p.sources_heard, p.sources_expected, p.verdicts.clone())).collect();
        let counts = |list: &[(&str, u64)]| list.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<BTreeMap<_, _>>();
        assert_eq!(
            shown,
            [("environment", 1, 1, counts(&[("accepted", 2)])), ("traffic", 0, 2, counts(&[("accepted", 1), ("rejected", 1)]))],
            "a clock that is ahead is refused by both pipelines and counted once"
        );
        assert_eq!(health.parts(&lane, at(100)).iter().map(|p| p.sources_heard).sum::<u32>(), 0, "90 s later nobody was heard");
    }
}
