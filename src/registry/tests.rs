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

    assert_eq!(registry.sources.in_force("traffic.loop", now).count(), 108 + 216);
    assert_eq!(registry.sources.expected("traffic.queue", now).count(), 24 + 108);
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
        ("names.yaml", "names:\n  unit:\n    - {code: a, name_vi: A}\n    - {code: a, name_vi: B}\n"),
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
        "names.yaml:4:14: a of unit stands twice",
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

#[test]
fn the_shipped_calendar_knows_its_years() {
    let calendar = &SHIPPED.calendar;
    let instant = |text: &str| Timestamp::parse_rfc3339(format!("{text}:00+07:00").as_bytes()).unwrap();
    assert_eq!(calendar.working.years().collect::<Vec<_>>(), [2024, 2025, 2026, 2027]);
    assert_eq!(calendar.working.day(), Span::hours(8));
    // a field report of Friday before Tết is due after it
    let limits = &calendar.limits["field_report"];
    let created = instant("2026-02-13T16:00");
    assert_eq!(limits.get("environment").after(created, &calendar.working), Ok(instant("2026-02-23T16:00")));
    assert_eq!(limits.get("no such category").after(created, &calendar.working), Ok(instant("2026-02-24T16:00")));
    // a day of the year is 8 hours; weekends and days off are not there
    for (year, days) in [(2024, 251), (2025, 250), (2026, 250)] {
        let (from, to) = (instant(&format!("{year}-01-01T00:00")), instant(&format!("{}-01-01T00:00", year + 1)));
        assert_eq!(calendar.working.between(from, to), Ok(Span::hours(8 * days)), "{year}");
    }
    assert_eq!(calendar.shifts.len(), 3);
    assert!(calendar.holidays.iter().any(|h| h.vi.contains("Bính Ngọ")));
    assert!(registry(&[]).unwrap().calendar.working.years().next().is_none());
}

#[test]
fn faults_of_a_calendar_have_places() {
    let found = errors(&[(
        "calendar.yaml",
        "time_zone: Asia/Hanoi\nworking_hours:\n  - {days: [mon, tues], from: \"07:30\", to: \"11:30\"}\n  - {days: [mon], from: \"11:00\", to: \"12:00\"}\n  - {days: [mon], from: \"8:00\", to: \"25:00\"}\n  - {days: [mon], from: \"13:00\", to: \"12:00\"}\nholidays:\n  2025: []\n  2026:\n    - {date: 2026-13-01, vi: A}\n    - {date: 2025-01-01, vi: B}\n    - {from: 2026-02-20, to: 2026-02-16, vi: C}\n    - {vi: D}\n    - {date: 2026-01-01, vi: E}\n    - {date: 2026-01-03, vi: F}\nworking_days_extra:\n  2026:\n    - {date: 2026-01-01, instead_of: 2026-01-02}\n    - {date: 2026-01-10, instead_of: 2026-01-05}\n    - {date: 2026-01-17, instead_of: 2026-01-03}\n  2028: [{date: 2028-01-08, instead_of: 2028-01-03}]\nshifts:\n  - {code: a, from: \"06:00\", to: \"14:00\", name_vi: A}\n  - {code: a, from: \"14:00\", to: \"22:00\", name_vi: B}\nlimits:\n  field_report: {noise: 2 hours}\n",
    )]);
    for part in [
        "calendar.yaml:1:12: time_zone \"Asia/Hanoi\" is not known",
        "calendar.yaml:3:18: \"tues\" is no day (did you mean tue?)",
        "calendar.yaml:4:13: working hours of mon overlap",
        "calendar.yaml:5:25: \"8:00\" is no time of day",
        "calendar.yaml:6:38: working hours that end before they begin",
        "calendar.yaml: holidays of 2025 are empty",
        "calendar.yaml:10:14: \"2026-13-01\" is no date",
        "calendar.yaml:11:30: B: 2025-01-01 to 2025-01-01 is no span of days in 2026",
        "calendar.yaml:12:46: C: 2026-02-20 to 2026-02-16 is no span",
        "calendar.yaml:13:12: D: neither a date nor from and to",
        "calendar.yaml:18:14: 2026-01-01 is off and worked at once",
        "calendar.yaml:19:38: 2026-01-10 is worked instead of 2026-01-05, which is not off",
        "calendar.yaml:20:38: 2026-01-17 is worked instead of 2026-01-03, which is not off",
        "calendar.yaml:21:17: 2028-01-08 is worked, but 2028 has no holidays",
        "calendar.yaml:24:12: shift a stands twice",
        "calendar.yaml:26:25: limit field_report, noise: \"2 hours\" is no length of time",
        "limits field_report have no default",
    ] {
        assert!(found.iter().any(|t| t.contains(part)), "{part} not in {found:#?}");
    }
    let found = errors(&[("calendar.yaml", "working_hours: []\n")]);
    assert!(found[0].starts_with("calendar.yaml:1") && found[0].contains("holidays"), "{found:?}");
}

#[test]
fn targets_and_lines_of_the_shipped_indicators() {
    let registry = &*SHIPPED;
    assert_eq!(registry.indicators.iter().count(), 28);
    assert!(registry.indicators.iter().all(|i| i.targets.iter().all(|t| t.source.contains('('))));
    for (code, who, date, target) in [
        // before its day is over it is aimed at, afterwards it holds, until the next
        ("work_file_online", "province", "2024-06-01", Some(90.0)),
        ("work_file_online", "province", "2026-06-01", Some(90.0)),
        ("work_file_online", "province", "2030-12-31", Some(90.0)),
        ("work_file_online", "province", "2031-01-01", Some(100.0)),
        // a commune by its own code, a district while there were districts
        ("work_file_online", "24617", "2026-06-01", Some(60.0)),
        ("work_file_online", "district", "2025-06-30", Some(80.0)),
        ("work_file_online", "district", "2025-07-02", None),
        // one date, one unit and the others
        ("sme_platform", "52", "2026-06-01", Some(50.0)),
        ("sme_platform", "52", "2031-06-01", Some(80.0)),
        ("sme_platform", "67", "2031-06-01", Some(70.0)),
        ("security_level", "anybody", "2026-06-01", Some(100.0)),
        ("no_such_code", "province", "2026-06-01", None),
        ("work_file_online", "nobody", "2026-06-01", None),
    ] {
        assert_eq!(registry.target(code, who, at(date)), target, "{code} {who} {date}");
    }
    let pace = |who: &str, date: &str| registry.pace("digital_economy", who, at(date));
    // 6.64 at the end of 2022, 7.5 at that of 2023: in the middle in between; then on the way to 12; no line without a baseline
    assert_eq!(pace("67", "2022-12-31"), Some(6.64));
    assert!((pace("67", "2023-07-02").unwrap() - 7.07).abs() < 0.01);
    assert!(pace("67", "2026-06-01").is_some_and(|v| v > 8.0 && v < 12.0));
    assert_eq!(pace("67", "2035-01-01"), Some(12.0));
    assert_eq!((pace("67", "2022-06-01"), pace("52", "2024-06-01")), (None, None));
}

#[test]
fn faults_of_indicators_have_places() {
    let target = "{by: 2025-12-31, level: all, value: 1, source: S}";
    let found = errors(&[(
        "indicators.yaml",
        &format!(
            "indicators:\n  - {{code: a, name_vi: A, unit: \"\", direction: up, cadence: 1x, grace: 1mo, targets: [{target}]}}\n  - {{code: b, name_vi: B, unit: n, direction: up, cadence: 1mo, grace: 1d, baseline: {{at: then, value: 1}}, targets: []}}\n  - code: c\n    name_vi: C\n    unit: n\n    direction: down\n    cadence: 1mo\n    grace: 1d\n    targets:\n      - {{by: 2025, level: comune, value: 1, source: \" \"}}\n      - {target}\n      - {target}\n  - {{code: d, name_vi: D, unit: n, direction: up, cadence: 1mo, grace: 1d, targets: [{target}]}}\n  - {{code: d, name_vi: D, unit: n, direction: up, cadence: 1mo, grace: 1d, targets: [{target}]}}\n"
        ),
    )]);
    for part in [
        "indicators.yaml:2:33: indicator a: unit is empty",
        "indicator a: cadence \"1x\" is no period",
        "indicator a: grace \"1mo\" is no span",
        "indicators.yaml:3:12: indicator b: baseline at \"then\" is no date",
        "indicators.yaml:3:12: indicator b: no targets",
        "indicators.yaml:11:14: indicator c: \"2025\" is no date",
        "indicators.yaml:11:27: indicator c: level \"comune\" is not known (did you mean commune?)",
        "indicator c: a target without its source",
        "indicators.yaml:13:14: indicator c: two targets by 2025-12-31 for all",
        "indicators.yaml:15:12: indicator d stands twice",
    ] {
        assert!(found.iter().any(|t| t.contains(part)), "{part} not in {found:#?}");
    }
}
