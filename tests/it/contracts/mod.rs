//! Tables in simulated time, each named after its contract (docs: DESIGN, section 4).

mod bounds;
mod recorded_hour;
mod results;
mod rules;
mod time;

use crate::support::feed::Sim;
use crate::support::{self, sets};
use ioc::engine::setup::Setup;
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

/// [read, rejected, unwanted, late, duplicate, accepted] of pipeline 0.
fn counts(sim: &Sim) -> [u64; 6] {
    let c = sim.lane.counts(0);
    [c.read, c.rejected_total(), c.unwanted, c.late, c.duplicate, c.accepted]
}
