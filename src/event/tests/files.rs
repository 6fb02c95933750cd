use super::{shown, told};
use crate::event::decode::{DecodePlan, Decoder, Wanted};
use crate::event::schema::SchemaSet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut all: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

fn schemas(folder: &str) -> SchemaSet {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let texts: BTreeMap<String, String> =
        files(&root).into_iter().filter(|p| p.is_file()).map(|p| (p.display().to_string(), std::fs::read_to_string(&p).unwrap())).collect();
    SchemaSet::parse(&texts).unwrap_or_else(|e| panic!("{e:#?}"))
}

#[test]
fn every_shipped_schema_takes_its_examples_and_refuses_its_counterexamples() {
    let set = schemas("schemas");
    assert_eq!(set.slow_types().count(), 0, "shipped schemas are checked in the pass");
    let mut decoder = Decoder::new(Arc::new(DecodePlan::compile(&set, &Wanted::default())));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for kind in set.kinds() {
        let examples = files(&root.join("examples").join(kind));
        assert!(examples.len() >= 2, "{kind}");
        for file in examples {
            let text = std::fs::read(&file).unwrap();
            let event = decoder.decode(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            assert_eq!(event.kind_name, kind, "{}", file.display());
            let name = file.display().to_string();
            assert_eq!(event.invalid_fields > 0, name.contains("range"), "{name}: {}", shown(&event));
        }
        let counterexamples = files(&root.join("counterexamples").join(kind));
        assert!(counterexamples.len() >= 2, "{kind}");
        for file in counterexamples {
            let case: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let record = case["bytes"].as_str().map_or_else(|| case["event"].to_string(), str::to_owned);
            let rejected = decoder.decode(record.as_bytes()).expect_err(&file.display().to_string());
            let expected = format!("{} {}", case["reject"].as_str().unwrap(), case["path"].as_str().unwrap());
            assert_eq!(told(&rejected), expected.trim(), "{}: {rejected}", file.display());
        }
    }
}

#[test]
fn the_benchmark_schemas_take_the_benchmark_events() {
    let set = schemas("bench/schemas");
    assert_eq!(set.slow_types().count(), 0);
    let mut wanted = Wanted::default();
    for kind in set.kinds() {
        wanted.slot(kind, "data.value");
    }
    let mut decoder = Decoder::new(Arc::new(DecodePlan::compile(&set, &wanted)));
    let line = r#"{"specversion":"1.0","id":"13fec517-5988-4dc7-ba1b-0117f35d33e7","type":"traffic.flow","source":"sensor-003048","time":"2026-11-01T07:00:02.595Z","data":{"lat":12.175930,"lon":107.639036,"value":43.125,"unit":"km/h","vehicle_count":0,"occupancy":0.88,"lane":4}}"#;
    for _ in 0..2 {
        assert_eq!(shown(&decoder.decode(line.as_bytes()).unwrap()), "43.125 @107.639036,12.17593");
    }
    let rejected = decoder.decode(line.replace("\"value\":43.125,", "").as_bytes()).unwrap_err();
    assert_eq!(told(&rejected), "schema.required data.value");
}
