//! What is shipped in pipelines/, schemas/ and registry/ as one set: it loads together, and every figure has its unit.

use ioc::definitions::Definitions;
use ioc::engine::setup::Setup;
use std::collections::BTreeMap;
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
