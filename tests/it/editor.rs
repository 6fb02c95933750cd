//! `ioc schema`: each schema against the reader of its files, and every shipped file against its schema.

use ioc::cli::schema::KINDS;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// The words in `const NAME: [&str; N] = […]` of a source file, or of a list written at `marker`.
fn listed(path: &str, marker: &str) -> BTreeSet<String> {
    let text = source(path);
    let Some(at) = text.find(marker) else { return BTreeSet::new() };
    let list = &text[at + marker.len()..];
    // past the type, which has brackets too
    let list = if marker.starts_with("const") { &list[list.find('=').unwrap()..] } else { list };
    let list = &list[list.find('[').unwrap()..];
    list[..list.find(']').unwrap()].split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields of a struct as serde names them.
fn fields(path: &str, name: &str) -> BTreeSet<String> {
    let text = source(path);
    let body = text.split(&format!("struct {name} {{")).nth(1).unwrap_or_else(|| panic!("{path} has no struct {name}"));
    let mut renamed = None;
    let mut out = BTreeSet::new();
    for line in body[..body.find("\n}").unwrap()].lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("#[serde(rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        } else if !line.starts_with(['#', '/'])
            && let Some((field, _)) = line.trim_start_matches("pub ").split_once(':')
        {
            out.insert(renamed.take().unwrap_or_else(|| field.to_owned()));
        }
    }
    out
}

fn schema(kind: &str) -> Value {
    let (.., text) = KINDS.iter().find(|(name, ..)| *name == kind).unwrap();
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{kind}: {e}"))
}

fn properties(kind: &str, pointer: &str) -> BTreeSet<String> {
    let schema = schema(kind);
    let at = schema.pointer(&format!("{pointer}/properties")).unwrap_or_else(|| panic!("{kind} has nothing at {pointer}"));
    at.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_schema_has_the_keys_that_its_reader_knows() {
    let spec = "src/pipeline/spec.rs";
    let case = "src/pipeline/spec/case.rs";
    let map = "src/pipeline/map.rs";
    let (scenario, expect) = ("src/scenario/spec.rs", "src/scenario/expect.rs");
    let mut alerts = listed(spec, "const ALERT_KEYS");
    alerts.extend(listed(case, "const CASE_ALERT_KEYS"));
    alerts.extend(listed("src/pipeline/spec/absence.rs", "const KEYS"));
    let items = |path: &str| format!("/properties/{path}/items");
    let all: Vec<(&str, String, BTreeSet<String>)> = vec![
        ("pipeline", String::new(), listed(spec, "const PIPELINE_KEYS")),
        ("pipeline", "/$defs/window".into(), listed(spec, "const WINDOW_KEYS")),
        ("pipeline", "/$defs/alert".into(), alerts),
        ("pipeline", "/$defs/case".into(), listed(case, "const CASE_KEYS")),
        ("map", String::new(), listed(map, "\"a map\", &")),
        ("map", "/$defs/join".into(), listed(map, "\"a join\", &")),
        ("map", "/$defs/event".into(), listed(map, "let allowed = ")),
        ("scenario", String::new(), listed(scenario, "const FILE_KEYS")),
        ("scenario", "/properties/registry".into(), listed(scenario, "const REGISTRY_KEYS")),
        ("scenario", "/properties/defaults".into(), listed(scenario, "const DEFAULT_KEYS")),
        ("scenario", "/$defs/test".into(), listed(scenario, "const TEST_KEYS")),
        ("scenario", "/$defs/event".into(), listed(scenario, "const EVENT_KEYS")),
        ("scenario", "/$defs/expect".into(), listed(expect, "const EXPECT_KEYS")),
        ("scenario", "/$defs/row".into(), listed(expect, "const ROW_KEYS")),
        ("scenario", "/$defs/noRow".into(), listed(expect, "const NO_ROW_KEYS")),
        ("scenario", "/$defs/alert".into(), listed(expect, "const ALERT_KEYS")),
        ("scenario", "/$defs/verdicts".into(), listed(expect, "const VERDICT_KEYS")),
        ("scenario", "/$defs/case".into(), listed("src/scenario/cases.rs", "const CASE_KEYS")),
        ("registry-sources", String::new(), fields("src/registry/source_files.rs", "SourcesFile")),
        ("registry-sources", items("sources"), fields("src/registry/source_files.rs", "SourceEntry")),
        ("registry-sectors", items("sectors"), fields("src/registry/sectors.rs", "SectorEntry")),
        ("registry-names", "/properties/names/additionalProperties/items".into(), fields("src/registry/names.rs", "NameEntry")),
        ("registry-layers", String::new(), fields("src/registry/areas.rs", "LayersFile")),
        ("registry-layers", items("layers"), fields("src/registry/areas.rs", "LayerEntry")),
        ("registry-groups", String::new(), fields("src/registry/areas.rs", "GroupsFile")),
        ("registry-groups", items("groups"), fields("src/registry/areas.rs", "GroupEntry")),
        ("registry-groups", items("straddles"), fields("src/registry/areas.rs", "StraddleEntry")),
        ("registry-calendar", String::new(), fields("src/registry/calendar.rs", "CalendarFile")),
        ("registry-calendar", items("working_hours"), fields("src/registry/calendar.rs", "HoursEntry")),
        ("registry-calendar", items("shifts"), fields("src/registry/calendar.rs", "ShiftEntry")),
        ("registry-indicators", items("indicators"), fields("src/registry/indicators.rs", "IndicatorEntry")),
        (
            "registry-indicators",
            "/properties/indicators/items/properties/targets/items".into(),
            fields("src/registry/indicators.rs", "TargetEntry"),
        ),
    ];
    // alerts on absent sources: their reader comes with the engine's part
    let coming = |kind: &str, key: &str| kind == "pipeline" && ["absent", "after", "stands_for"].contains(&key);
    for (kind, pointer, reader) in all {
        assert!(!reader.is_empty(), "{kind}{pointer}: the reader's keys were not found in its source");
        let schema = properties(kind, &pointer);
        let missing: Vec<_> = reader.difference(&schema).collect();
        let strange: Vec<_> = schema.difference(&reader).filter(|key| !coming(kind, key)).collect();
        assert!(missing.is_empty() && strange.is_empty(), "src/cli/schemas/{kind}.json{pointer}: add {missing:?}, remove {strange:?}");
    }
}

fn below(folder: &str, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() && wanted(&name) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_shipped_file_is_valid_by_its_schema() {
    let yaml = |end: &'static str| move |name: &str| name.ends_with(end);
    let plain = |name: &str| name.ends_with(".yaml") && !name.ends_with(".map.yaml") && !name.ends_with(".test.yaml");
    let sets: [(&str, Vec<PathBuf>); 10] = [
        ("pipeline", below("pipelines", &plain)),
        ("map", below("pipelines", &yaml(".map.yaml"))),
        ("scenario", below("pipelines", &yaml(".test.yaml"))),
        ("registry-sources", below("registry/sources", &yaml(".yaml"))),
        ("registry-sectors", below("registry", &|n| n == "sectors.yaml")),
        ("registry-names", below("registry", &|n| n == "names.yaml")),
        ("registry-layers", below("registry/areas", &|n| n == "layers.yaml")),
        ("registry-groups", below("registry/areas", &|n| n == "groups.yaml")),
        ("registry-calendar", below("registry", &|n| n == "calendar.yaml")),
        ("registry-indicators", below("registry", &|n| n == "indicators.yaml")),
    ];
    let mut wrong = Vec::new();
    for (kind, files) in sets {
        assert!(!files.is_empty() || kind == "registry-sources", "no file of kind {kind}");
        let validator = jsonschema::validator_for(&schema(kind)).unwrap_or_else(|e| panic!("{kind}: {e}"));
        for path in files {
            let value: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{path:?}: {e}"));
            wrong.extend(validator.iter_errors(&value).map(|e| format!("{}: {}: {e}", path.display(), e.instance_path())));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_reference_of_files_is_up_to_date() {
    let path = root().join("docs/files.md");
    let page = ioc::cli::schema::reference_page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page, "run UPDATE_GOLDEN=1 cargo test --test it reference_of_files");
}
