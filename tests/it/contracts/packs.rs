//! What is shipped in pipelines/, schemas/ and registry/ as one set: it loads together, and every figure has its unit.

use ioc::definitions::Definitions;
use ioc::engine::setup::Setup;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn shipped() -> Setup {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let definitions = Definitions::read(&root.join("pipelines"), Some(&root.join("schemas")), Some(&root.join("registry"))).unwrap();
    definitions.compile(None).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// Fields that have a unit; all others are plain numbers.
const UNITS: &[(&str, &str)] = &[
    ("air_quality.pm10", "ug/m3"),
    ("air_quality.pm25", "ug/m3"),
    ("field_report_open.oldest_h", "h"),
    ("rain_1h.mm", "mm"),
    ("rain_day.mm", "mm"),
    ("service_calls.p95_ms", "ms"),
    ("traffic_area.speed", "km/h"),
    ("traffic_loop.occupancy", "%"),
    ("traffic_loop.speed", "km/h"),
    ("traffic_queue.halting", "s"),
    ("traffic_queue.queue", "m"),
    ("traffic_travel.travel", "s"),
    ("water_level.high", "m"),
    ("water_level.level", "m"),
    ("water_rise.rise", "m"),
];

#[test]
fn shipped_figures_have_their_units() {
    let setup = shipped();
    let mut units = BTreeMap::new();
    for window in setup.pipelines.iter().flat_map(|p| &p.windows) {
        let of = window.fields.iter().filter(|f| !f.unit.is_empty());
        units.extend(of.map(|f| (format!("{}.{}", window.measurement, f.name), f.unit.clone())));
    }
    let expected: BTreeMap<String, String> = UNITS.iter().map(|(f, u)| ((*f).to_owned(), (*u).to_owned())).collect();
    assert_eq!(units, expected);
}

/// A rule without a procedure is a lamp without a hand.
#[test]
fn every_shipped_rule_has_a_procedure_and_both_languages() {
    let setup = shipped();
    for rule in setup.pipelines.iter().flat_map(|p| &p.rules) {
        assert!(rule.sop.is_some(), "{} has no procedure", rule.name);
        assert!(!rule.title.vi.is_empty() && !rule.title.en.is_empty(), "{}", rule.name);
    }
}

/// Who reports an indicator that has no target is told so at once: the schema knows the same codes as the registry.
#[test]
fn reports_and_registry_know_the_same_indicators() {
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&read("schemas/indicator.report.json")).unwrap();
    let mut of_schema: Vec<&str> =
        schema["properties"]["indicator"]["enum"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    let registry = read("registry/indicators.yaml");
    let mut of_registry: Vec<&str> = registry.lines().filter_map(|l| l.trim().strip_prefix("- code: ")).collect();
    of_schema.sort_unstable();
    of_registry.sort_unstable();
    assert_eq!(of_schema, of_registry);
}

/// `name` of `key: name` in the shipped pipelines, flow style too.
fn declared(key: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let names = files.filter(|p| !p.to_string_lossy().ends_with(".test.yaml")).flat_map(|p| {
        let text = std::fs::read_to_string(p).unwrap();
        let mark = format!("{key}: ");
        let after = text.split(&mark).skip(1).map(|rest| rest.split([',', '\n', '}', ' ']).next().unwrap().to_owned());
        after.collect::<Vec<_>>()
    });
    names.collect()
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The table of docs/coverage.md names only what is there, and counts right.
#[test]
fn what_is_said_to_be_watched_is_watched() {
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (measurements, alerts) = (declared("measurement"), declared("alert"));
    let registry = read("registry/indicators.yaml");
    let indicators: BTreeSet<&str> = registry.lines().filter_map(|l| l.trim().strip_prefix("- code: ")).collect();
    let (mut rows, mut without) = (0, 0);
    let table = read("docs/coverage.md");
    for line in table.lines().filter(|l| l.starts_with("| ") && l.as_bytes()[2].is_ascii_digit()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, _, measurement, rule, scenario, state, _] = cells[..] else { panic!("{line}") };
        rows += 1;
        for name in quoted(measurement) {
            assert!(measurements.contains(name) || indicators.contains(name), "no measurement or indicator {name}: {line}");
        }
        quoted(rule).for_each(|name| assert!(alerts.contains(name), "no alert {name}: {line}"));
        for name in quoted(scenario) {
            let tests = read(&format!("pipelines/{name}.test.yaml"));
            assert!(quoted(rule).any(|alert| tests.contains(&format!("alert: {alert}"))), "{name} shows none of the rules: {line}");
        }
        without += u32::from(state.starts_with("no"));
        assert_eq!(state.starts_with("no"), quoted(measurement).next().is_none(), "{line}");
    }
    assert_eq!(rows, 44);
    assert!(table.contains(&format!("{} of the 44 have figures; {without} have none.", 44 - without)));
    assert!(44 - without >= 35);
}
