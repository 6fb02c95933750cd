//! Tables in simulated time, each named after its contract (docs: DESIGN, section 4).

mod absence;
mod bounds;
mod cases;
mod packs;
mod previous;
mod recorded_data;
mod recorded_hour;
mod results;
mod rules;
mod time;
mod windows;

use crate::support::feed::Sim;
use crate::support::{self, sets};
use ioc::engine::setup::Setup;
use std::path::Path;
use std::sync::Arc;

/// A pipeline `p` of type t.a with these windows: 5 s out of order, 10 s late, idle after 30 s, 2 min patience.
fn pipeline(windows: &str) -> String {
    timed("lateness: 10s\n", windows)
}

fn timed(timing: &str, windows: &str) -> String {
    format!("pipeline: p\nsector: test\nfrom: [t.a]\nout_of_orderness: 5s\nidle_after: 30s\npatience: 2m\n{timing}windows:\n{windows}")
}

const MINUTE: &str = "  - {measurement: m, every: 1m, by: [source], fields: {n: count(), x: mean(data.x)}}\n";

fn setup(pipeline: &str) -> Arc<Setup> {
    support::setup(&[("pipelines/p.yaml", pipeline), ("schemas/t.a.json", sets::SCHEMA)])
}

fn with_registry(pipeline: &str) -> Arc<Setup> {
    let registry = [("registry/sources/s.csv", sets::SOURCES), ("registry/areas/a.geojson", sets::AREAS)];
    support::setup(&[&[("pipelines/p.yaml", pipeline), ("schemas/t.a.json", sets::SCHEMA)], &registry[..]].concat())
}

fn minutes(partitions: usize) -> Sim {
    Sim::new(setup(&pipeline(MINUTE)), partitions)
}

/// Every contract is guarded by a test that names it: `t5_…`, `…_d4`.
#[test]
fn every_contract_has_a_test_that_names_it() {
    fn tests_below(folder: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                tests_below(&path, names);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let after = text.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn "));
                names.extend(after.map(|(_, name)| name.split('(').next().unwrap_or_default().to_owned()));
            }
        }
    }
    let mut names = Vec::new();
    ["src", "tests"].iter().for_each(|folder| tests_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut names));
    let contracts = (0..=7).map(|n| format!("t{n}")).chain((1..=9).map(|n| format!("r{n}"))).chain((1..=7).map(|n| format!("d{n}")));
    for contract in contracts {
        assert!(names.iter().any(|name| name.split('_').any(|word| word == contract)), "no test names {contract}");
    }
}

/// [read, rejected, unwanted, late, duplicate, accepted] of pipeline 0.
fn counts(sim: &Sim) -> [u64; 6] {
    let c = sim.lane.counts(0);
    [c.read, c.rejected_total(), c.unwanted, c.late, c.duplicate, c.accepted]
}
