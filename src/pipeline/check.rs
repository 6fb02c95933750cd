//! All mistakes of all files at once, as `ioc check` prints them.
//!
//! Owns: which file is what, and the text of the whole report. Refuses to know: files, the terminal.
//!
//! Invariants
//! 1. One line a mistake, sorted by file, line, column; the same texts give the same report.
//! 2. `*.map.yaml` are maps, `*.test.yaml` are scenarios (judged elsewhere), every other `*.yaml` is a pipeline.
//!
//! Called by: cli.

use super::Pipeline;
use super::compile::{Known, Schemas, compile_pipelines};
use super::map::Map;
use super::mistake::{Mistake, closest, sorted};
use crate::event::decode::Wanted;
use std::collections::BTreeMap;

/// What a folder of pipelines holds, valid.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    pub pipelines: Vec<Pipeline>,
    /// By path.
    pub maps: BTreeMap<String, Map>,
    pub wanted: Wanted,
}

/// Compiles pipelines and maps (path → text).
pub fn check_files(files: &BTreeMap<String, String>, schemas: &dyn Schemas, known: &Known) -> Result<Checked, Vec<Mistake>> {
    let mut checked = Checked::default();
    let mut mistakes = Vec::new();
    let mut pipelines = BTreeMap::new();
    let kinds = schemas.kinds();
    for (path, text) in files {
        if path.ends_with(".test.yaml") {
            continue;
        }
        if !path.ends_with(".map.yaml") {
            pipelines.insert(path.clone(), text.clone());
            continue;
        }
        match Map::compile(text, path) {
            Ok(map) => {
                mistakes.extend(unknown_kinds(path, &map, &kinds));
                checked.maps.insert(path.clone(), map);
            }
            Err(more) => mistakes.extend(more),
        }
    }
    match compile_pipelines(&pipelines, schemas, known, &mut checked.wanted) {
        Ok(pipelines) => checked.pipelines = pipelines,
        Err(more) => mistakes.extend(more),
    }
    if mistakes.is_empty() { Ok(checked) } else { Err(sorted(mistakes)) }
}

/// Types that a map makes, have no schema, and look like one that has.
fn unknown_kinds(path: &str, map: &Map, kinds: &[String]) -> Vec<Mistake> {
    let strange = map.kinds().filter(|(kind, _)| !kinds.iter().any(|k| k == kind));
    let near = strange.filter_map(|(kind, at)| closest(kind, kinds.iter().map(String::as_str)).map(|near| (kind, at, near)));
    near.map(|(kind, at, near)| Mistake {
        file: path.to_owned(),
        line: at.line,
        column: at.column,
        what: format!("no schema is named `{kind}`: add schemas/{kind}.json or correct the type"),
        suggestion: Some(near),
    })
    .collect()
}

/// One line a mistake.
pub fn render(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|m| format!("{m}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::compile::PathInfo;
    use crate::pipeline::expr::ValueType;
    use std::collections::BTreeSet;

    /// A closed schema of one type.
    struct Loops;

    const FIELDS: [(&str, ValueType); 5] = [
        ("data.count", ValueType::Num),
        ("data.lane", ValueType::Text),
        ("data.occupancy_pct", ValueType::Num),
        ("data.period_s", ValueType::Num),
        ("data.speed_kmh", ValueType::Num),
    ];

    impl Schemas for Loops {
        fn kinds(&self) -> Vec<String> {
            vec!["traffic.loop".into()]
        }
        fn path(&self, kind: &str, path: &str) -> PathInfo {
            if kind != "traffic.loop" {
                return PathInfo::default();
            }
            let field = FIELDS.iter().find(|(p, _)| *p == path);
            let unit = if path == "data.speed_kmh" { "km/h".into() } else { String::new() };
            PathInfo { exists: Some(field.is_some()), kind: field.map(|f| f.1).unwrap_or_default(), unit }
        }
        fn paths(&self, _kind: &str) -> Vec<String> {
            FIELDS.iter().map(|(p, _)| (*p).to_owned()).collect()
        }
    }

    fn known() -> Known {
        let set = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>());
        let indicators = [("work_file_online", set(&["province", "commune"]).unwrap()), ("open_data", set(&["all"]).unwrap())];
        Known {
            sectors: set(&["environment", "traffic"]),
            source_attributes: set(&["bd1", "limit"]),
            sops: set(&["sop/congestion.md"]),
            indicators: Some(indicators.into_iter().map(|(code, names)| (code.to_owned(), names)).collect()),
            limits: set(&["field_report"]),
            no_calendar: false,
        }
    }

    fn folder(path: &str) -> BTreeMap<String, String> {
        let root = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
        let names = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n.ends_with(".yaml")).map(|n| (n.clone(), std::fs::read_to_string(format!("{root}/{n}")).unwrap())).collect()
    }

    /// `UPDATE_GOLDEN=1 cargo test` writes what is said now.
    #[test]
    fn mistakes_are_said_as_agreed() {
        let fixtures = folder("tests/fixtures/check");
        assert!(fixtures.len() >= 30);
        let mut different = Vec::new();
        for (name, text) in fixtures {
            let golden = format!("{}/tests/fixtures/check/{}", env!("CARGO_MANIFEST_DIR"), name.replace(".yaml", ".txt"));
            let said = match check_files(&BTreeMap::from([(name.clone(), text)]), &Loops, &known()) {
                Ok(_) => panic!("{name} has no mistake"),
                Err(mistakes) => render(&mistakes),
            };
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&golden, &said).unwrap();
            } else if std::fs::read_to_string(&golden).unwrap_or_default() != said {
                different.push(said);
            }
        }
        assert!(different.is_empty(), "said otherwise now:\n{}", different.concat());
    }
}
