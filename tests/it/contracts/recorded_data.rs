//! The recorded data of `recorded/`, on their fixtures: what is known to be in them is found, by schema, map and pipeline files alone.

use ioc::definitions::Definitions;
use ioc::engine::counts::PartCounts;
use ioc::engine::lane::Effects;
use ioc::engine::setup::Setup;
use ioc::engine::{AlertChange, Condition, FieldValue, Row, Tick};
use ioc::file_run::{Finished, RunError, Sink};
use ioc::ingest::file::FileReader;
use ioc::pipeline::map::Map;
use ioc::time::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Pipeline, window, start, tags.
type Identity = (u16, u16, Timestamp, Vec<Box<str>>);

#[derive(Default)]
struct Kept {
    /// The last row of each identity.
    rows: BTreeMap<Identity, Row>,
    changes: Vec<AlertChange>,
}

impl Sink for Kept {
    fn tick(&mut self, _: &Setup, _: &Tick, effects: Effects) -> Result<(), RunError> {
        for row in effects.rows {
            self.rows.insert((row.pipeline, row.window, row.start, row.key.tags.to_vec()), row);
        }
        self.changes.extend(effects.changes);
        Ok(())
    }
}

/// One set, run over its fixture.
struct Recording {
    setup: Arc<Setup>,
    kept: Kept,
    finished: Finished,
}

fn run(set: &str) -> Recording {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded").join(set);
    let folder = |name: &str| root.join(name);
    let definitions = Definitions::read(&folder("pipelines"), Some(&folder("schemas")), Some(&folder("registry"))).unwrap();
    let setup = Arc::new(definitions.compile(None).unwrap_or_else(|mistakes| panic!("{set}: {mistakes}")));
    let file = root.join(format!("{set}.map.yaml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let map = Arc::new(Map::compile(&text, &file.to_string_lossy()).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
    let reader = FileReader::open(&folder("fixture.csv.gz"), Some(&map)).unwrap();
    let mut kept = Kept::default();
    let finished = ioc::file_run::run(&setup, vec![reader], 1, &mut kept).unwrap();
    Recording { setup, kept, finished }
}

impl Recording {
    /// (start, tags, value) of one field of a measurement, in order of time.
    fn values(&self, measurement: &str, field: &str) -> Vec<(String, String, f64)> {
        let mut out = Vec::new();
        for row in self.kept.rows.values() {
            let window = &self.setup.pipelines[row.pipeline as usize].windows[row.window as usize];
            if window.measurement != measurement {
                continue;
            }
            let at = window.fields.iter().position(|f| f.name == field).unwrap_or_else(|| panic!("{measurement} has no {field}"));
            let value = match row.values[at] {
                FieldValue::Absent => continue,
                FieldValue::Int(n) => n as f64,
                FieldValue::Float(x) => x,
            };
            out.push((row.start.to_string(), row.key.tags.join(","), value));
        }
        out.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        out
    }

    fn highest(&self, measurement: &str, field: &str, tags: &str) -> (String, f64) {
        let of = self.values(measurement, field).into_iter().filter(|(_, t, _)| t == tags);
        of.map(|(start, _, value)| (start, value)).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_else(|| panic!("no row of {tags}"))
    }

    fn counts(&self, pipeline: &str) -> PartCounts {
        let index = self.setup.pipelines.iter().position(|p| p.name == pipeline).unwrap_or_else(|| panic!("no pipeline {pipeline}"));
        let mut counts = PartCounts::new(self.setup.pipelines[index].windows.len());
        self.finished.collectors.iter().for_each(|c| counts.add(c.counts(index)));
        counts
    }

    fn fired(&self, alert: &str) -> Vec<&AlertChange> {
        let name = |c: &AlertChange| self.setup.pipelines[c.pipeline as usize].rules.get(c.rule as usize).map(|r| r.name.clone());
        let all = self.kept.changes.iter().filter(|c| c.to == Condition::Firing && c.from != Condition::NoData);
        all.filter(|c| name(c).as_deref() == Some(alert)).collect()
    }
}

#[test]
fn los_angeles_stands_in_the_morning_and_the_evening() {
    let la = run("metr-la");
    let mut hours = [0.0; 24];
    for (start, _, slow) in la.values("slow_hour", "slow") {
        // rows say UTC; the week lies before summer time: 8 hours behind
        let hour: usize = start[11..13].parse().unwrap();
        hours[(hour + 16) % 24] += slow;
    }
    let most = |range: std::ops::Range<usize>| range.max_by(|a, b| hours[*a].total_cmp(&hours[*b])).unwrap();
    assert_eq!((most(0..12), most(12..24)), (8, 17), "{hours:?}");
    assert_eq!((hours[7], hours[8], hours[17], hours[18]), (668.0, 819.0, 491.0, 404.0));
    assert!(hours[2..5].iter().all(|n| *n == 0.0), "{hours:?}");
    assert_eq!(la.counts("slow_road").accepted, 40_320);
    assert!(!la.fired("road_slow").is_empty());
}

#[test]
fn england_in_february_2014() {
    let uk = run("water-uk");
    for (tags, at, metres) in [
        ("2421TH,Stage,site", "2014-02-07T20:15:00", 1.653),
        ("E27452,Stage,unsaid", "2014-02-11T21:00:00", 2.977),
        ("067014,Stage,unsaid", "2014-02-12T20:45:00", 1.649),
    ] {
        let (start, high) = uk.highest("river_level", "high", tags);
        assert!(start.starts_with(at) && high == metres, "{tags}: {high} at {start}");
        let station = tags.split(',').next().unwrap();
        assert!(uk.fired("river_high").iter().any(|c| *c.key.tags[0] == *station), "{station} has no alert");
    }
    // a gauge at fault: the field is empty, the gauge counted, no row is a low of -32 m
    let river = uk.counts("river");
    assert!(river.invalid_field > 0);
    assert!(uk.values("river_level", "level").iter().all(|(_, _, level)| *level > -15.0));
    // a level in m/s is refused; keys that come again are duplicates, with another value conflicts
    assert_eq!(river.rejected.get("schema.required"), Some(&1));
    let all = ["river", "rain", "flow"].map(|p| uk.counts(p));
    assert_eq!(all.iter().map(|c| c.duplicate).sum::<u64>(), 460);
    assert_eq!(all.iter().map(|c| c.conflict).sum::<u64>(), 142, "142 differ as numbers, one more only in how it is written");
    // millimetres and metres of one parameter do not differ a thousandfold
    let (_, high) = uk.highest("river_level", "high", "5562TH,Stage,unsaid");
    assert!(high < 10.0, "{high}");
}

#[test]
fn dust_over_nha_be() {
    let air = run("hcmc-air");
    let mut hours = air.values("dust_hour", "pm25");
    hours.sort_by(|a, b| b.2.total_cmp(&a.2));
    let top: Vec<(&str, f64)> = hours.iter().take(3).map(|(start, _, pm25)| (&start[..13], pm25.round())).collect();
    assert_eq!(top, [("2018-10-29T20", 129.0), ("2018-10-18T22", 93.0), ("2018-10-31T23", 91.0)]);
    // the ceilings: 5,958 of humidity, 2 of PM10, 1 of PM2.5; no row is lost for them
    let counts = air.counts("dust");
    assert_eq!((counts.invalid_field, counts.accepted, counts.rejected_total()), (5_961, 13_260, 0));
    let dust: f64 = air.values("dust_hour", "dust_readings").iter().map(|v| v.2).sum();
    assert_eq!(dust, 13_257.0, "two rows have no PM2.5, one is at the ceiling");
    assert!(air.fired("pm25_bad").iter().any(|c| c.at.to_string().starts_with("2018-10-29T21:00")));
}

#[test]
fn christmas_at_311() {
    let nyc = run("nyc-311");
    let sum = |field: &str| nyc.values("request_day", field).iter().map(|v| v.2).sum::<f64>();
    assert_eq!((sum("created"), sum("closed")), (2_386.0, 2_309.0));
    assert_eq!((sum("with_due"), sum("after_due")), (445.0, 46.0));
    // 1,467 have only a date: no quarter of an hour counts them
    let quarters: f64 = nyc.values("request_15m", "created").iter().map(|v| v.2).sum();
    assert_eq!(quarters, 919.0);
    assert!(nyc.values("request_15m", "created").iter().all(|(_, category, n)| category != "HEATING" || *n == 0.0));
    assert!(nyc.fired("request_burst").iter().all(|c| *c.key.tags[0] != *"HEATING"));
    // as cases: those that were closed after their due time, and those that never were
    let overdue = nyc.fired("request_overdue");
    let ended = nyc.kept.changes.iter().filter(|c| c.to == Condition::Resolved && overdue.iter().any(|o| o.id == c.id)).count();
    assert_eq!((overdue.len(), ended), (62, 46));
}
