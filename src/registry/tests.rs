//! The shipped registry against known answers; formats and errors in tables.

use super::*;
use crate::geo::date_at_midnight;
use crate::time::Span;
use std::sync::LazyLock;

/// Read once for all tests of this file.
static SHIPPED: LazyLock<Registry> = LazyLock::new(|| {
    let files = read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/registry")).unwrap();
    Registry::parse(&files).unwrap_or_else(|errors| panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()))
});

fn at(date: &str) -> Timestamp {
    date_at_midnight(date).unwrap()
}

fn registry(files: &[(&str, &str)]) -> Result<Registry, Vec<FileError>> {
    let files = files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    Registry::parse(&RegistryFiles { files })
}

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    registry(files).err().unwrap_or_default().iter().map(|e| e.to_string()).collect()
}

const SQUARE: &str = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":"D00","name":"District 1"},
"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}}]}"#;

#[test]
fn every_point_lies_where_it_should() {
    let registry = &*SHIPPED;
    let cases = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/areas/pip-cases.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(cases.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let mut read = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let (lon, lat): (f64, f64) = (record[0].parse().unwrap(), record[1].parse().unwrap());
        for layer in ["district_wof", "commune_2025"] {
            let column = columns.iter().position(|c| c == layer).unwrap();
            let found = registry.areas.locate_in_layer(layer, lon, lat, None).map_or("", |id| &registry.areas.area(id).code);
            assert!(record[column].split('|').any(|code| code == found), "{layer} {found:?}: {record:?}");
        }
        read += 1;
    }
    assert_eq!(read, 1050);
}

#[test]
fn the_shipped_registry_holds_together() {
    let registry = &*SHIPPED;
    let areas = &registry.areas;
    let now = at("2025-07-15");
    let communes = areas.iter().filter(|(_, a)| a.level == "commune").count();
    assert_eq!((communes, areas.groups().len(), areas.succession().len()), (124, 8, 331));
    assert_eq!(areas.groups().iter().map(|g| g.members.len()).sum::<usize>(), 28);
    let code = |lon, lat, date| areas.locate(lon, lat, at(date)).map(|id| areas.area(id).code.as_str());
    assert_eq!(code(107.691575, 12.000326, "2025-07-15"), Some("24617"));
    assert_eq!(code(107.691575, 12.000326, "2025-06-30"), Some("660"));
    let ward = areas.by_code("24617", now).unwrap();
    let (province, old_town) = (areas.by_code("68", now).unwrap(), areas.by_code("660", now).unwrap());
    assert!(areas.within(ward, province) && areas.within(ward, old_town));
    assert!(areas.by_code("660", at("2024-01-01")).is_some_and(|id| !areas.area(id).is_group()));
    assert_eq!(areas.area(areas.by_code("68", now).unwrap()).name, "Tỉnh Lâm Đồng");

    assert_eq!(registry.sources.in_force("traffic.loop", now).count(), 108);
    assert_eq!(registry.sources.expected("traffic.queue", now).count(), 24);
    let loop_1 = registry.sources.get("L000", now).unwrap();
    assert_eq!((loop_1.cadence, loop_1.sector.as_deref()), (Some(Span::seconds(30)), Some("traffic")));
    assert_eq!(loop_1.attribute("lane"), Some(&Attribute::Text("e0_4-1_4_0".to_string())));
    assert!(registry.sources.iter().all(|s| registry.area_of_source(s, now).is_some()));
    assert_eq!(registry.sector("traffic").map(|s| s.name_vi.as_str()), Some("Giao thông"));
    assert_eq!(registry.hash.len(), 64);
}

#[test]
fn little_is_enough() {
    assert!(registry(&[]).unwrap().areas.is_empty());
    let only_areas = registry(&[("areas/b.geojson", SQUARE), ("areas/a.geojson", &SQUARE.replace("D00", "A"))]).unwrap();
    assert_eq!(only_areas.areas.layers().iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(only_areas.areas.locate(0.5, 0.5, at("2025-07-15")).map(|id| only_areas.areas.area(id).code.as_str()), Some("A"));
    let (one, two) = (registry(&[("a", "bc")]).unwrap(), registry(&[("ab", "c")]).unwrap());
    assert_ne!(one.hash, two.hash);
}

#[test]
fn sources_in_both_formats_and_times() {
    let csv = "\u{feff}id,type,lon,lat,cadence,flood_m,code,valid_from,valid_to\ng1,water.level rain.fall,107.5,12.0,10m,3.5,007,,2025-07-01\n\ng1,water.level,107.6,12.0,5m,,,2025-07-01,\n";
    let yaml = "sources:\n  - {id: g0, type: water.level, kind: gauge, name_vi: Trạm 0, lon: 107.1, lat: 12, attributes: {flood_m: 2, river: Krông Nô}}\n  - id: g2\n    type: [a, b]\n";
    let registry = registry(&[("sources/a.csv", csv), ("sources/b.yaml", yaml)]).unwrap();
    let (then, now) = (at("2025-06-30"), at("2025-07-01"));
    assert_eq!(
        registry.sources.get("g1", then).unwrap().attributes,
        BTreeMap::from([("flood_m".into(), Attribute::Number(3.5)), ("code".into(), Attribute::Text("007".into()))])
    );
    assert_eq!(registry.sources.get("g1", now).unwrap().cadence, Some(Span::minutes(5)));
    assert_eq!(registry.sources.in_force("water.level", now).map(|s| s.id.as_str()).collect::<Vec<_>>(), ["g0", "g1"]);
    assert_eq!(registry.sources.expected("water.level", now).map(|s| s.id.as_str()).collect::<Vec<_>>(), ["g1"]);
    assert_eq!(registry.sources.in_force("rain.fall", now).count(), 0);
    assert_eq!(registry.sources.get("g0", now).unwrap().attribute("flood_m"), Some(&Attribute::Number(2.0)));
    assert_eq!(registry.sources.get("g0", now).unwrap().position, Some((107.1, 12.0)));
    assert!(registry.sources.get("g3", now).is_none());
}

#[test]
fn all_errors_at_once_with_their_places() {
    let found = errors(&[
        ("areas/d.geojson", SQUARE),
        ("areas/layers.yaml", "layers:\n  - file: e.geojson\n    nearest: 5\n"),
        ("areas/groups.yaml", "groups:\n  - code: g\n    name_vi: G\n    members: [nobody]\n    valid_from: soon\n"),
        ("areas/succession.csv", "from,to,share,relation,date\n1,D00,2,all,then\n1,D00\n"),
        ("sectors.yaml", "sectors:\n  - {code: traffic, name_vi: Giao thông}\n  - {code: traffic, name_vi: Giao thông}\n"),
        ("sources/a.csv", "id,type,lon,lat,sector,cadence\r\nx,t,107,,trafic,30\r\n\r\n\r\n,t,,,,\nx,t,200,10,,\n"),
        ("sources/b.yaml", "sources:\n  - {id: y, typo: t}\n"),
        ("sources/c.csv", "id\n"),
    ]);
    for part in [
        "areas/layers.yaml:2:11: no file areas/e.geojson (did you mean d.geojson?)",
        "areas/layers.yaml: areas/d.geojson has no rank",
        "areas/groups.yaml:5:17: \"soon\" is no date",
        "areas/succession.csv:2: share \"2\"",
        "areas/succession.csv:2: relation \"all\"",
        "areas/succession.csv:2: date \"then\"",
        "areas/succession.csv:3: 2 cells, the header has 5",
        "sectors.yaml:3:12: sector traffic stands twice",
        "sources/a.csv:2: source x: lon without lat",
        "sources/a.csv:2: source x: sector trafic is not known (did you mean traffic?)",
        "sources/a.csv:2: source x: cadence \"30\" is no span",
        "sources/a.csv:5: source without id: id is empty",
        "sources/a.csv:6: source x: lon \"200\"",
        "sources/b.yaml:2:",
        "sources/c.csv:1: no column type",
    ] {
        assert!(found.iter().any(|t| t.contains(part)), "{part} not in {found:#?}");
    }
    let found = errors(&[
        ("areas/d.geojson", SQUARE),
        (
            "areas/groups.yaml",
            "groups:\n  - {code: g, name_vi: G, members: [D00]}\n  - {code: h, name_vi: H, members: [D00]}\nstraddles:\n  - {code: D00, over: [g, h, i], assigned: k, reason: none}\n",
        ),
        ("areas/succession.csv", "from,to,share,relation,date\n1,D01,,whole,2025-07-01\n"),
        ("sources/a.csv", "id,type,area\nx,t,D00\nx,t,D02\ny,t,g\ny,t,\n"),
    ]);
    for part in [
        "areas/groups.yaml:5:12: straddle D00: assigned k is not among over",
        "straddle D00: is a member of g",
        "straddle D00: over i is no group",
        "areas/succession.csv:2: successor D01 is no area",
        "sources/a.csv:3: source x: area D02 is not known",
        "sources/a.csv:5: source y: in force at the same time as in sources/a.csv:4",
    ] {
        assert!(found.iter().any(|t| t.contains(part)), "{part} not in {found:#?}");
    }
}

#[test]
fn points_in_areas_out() {
    let registry = &*SHIPPED;
    let run = |input: &str, at, layer| {
        let mut out = Vec::new();
        locate_points(registry, input.as_bytes(), &mut out, at, layer).map(|_| String::from_utf8(out).unwrap()).map_err(|e| e.to_string())
    };
    let points = "lon,lat,note\n107.691575,12.000326,a\n 100.0 ,10,b\n";
    assert_eq!(run(points, None, None).unwrap(), "lon,lat,code,level\n107.691575,12.000326,24617,commune\n100.0,10,,\n");
    assert!(run(points, Some("2025-06-30"), None).unwrap().contains("107.691575,12.000326,660,district\n"));
    assert!(run(points, None, Some("dak-nong-districts-pre2025.wof")).unwrap().contains(",660,district\n"));
    assert!(run(points, Some("2025-07-01"), Some("district_wof")).unwrap().contains("107.691575,12.000326,,\n"));
    for (input, at, layer, error) in [
        ("107.6,12.0\n", None, None, "line 1: a header line is needed"),
        ("lon,lat\n107,12\n\nx,12\n", None, None, "line 4: longitude \"x\" is not a number"),
        ("lon,lat\n107\n", None, None, "line 2: latitude \"\""),
        ("lon,lat\n107,nan\n", None, None, "line 2: latitude \"nan\""),
        ("lon,lat\n", Some("today"), None, "--at \"today\" is no date"),
        ("lon,lat\n", None, Some("x"), "no layer \"x\"; the registry has: commune_2025, commune_2025_coarse, district_wof"),
    ] {
        let found = run(input, at, layer).unwrap_err();
        assert!(found.contains(error), "{found}");
    }
}
