use super::*;

fn shipped() -> Map {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/sumo.map.yaml")).unwrap();
    Map::compile(&text, "sumo.map.yaml").unwrap_or_else(|m| panic!("{m:?}"))
}

fn emitted(map: &Map, line: &str) -> Vec<Emitted> {
    let mut out = Vec::new();
    map.emit(&JsonRow::read(map, line.as_bytes()).unwrap(), &mut out).unwrap();
    out
}

#[test]
fn recorded_lines_become_events() {
    let map = shipped();
    for (line, event, broker_time) in [
        (
            r#"{"t":"2025-07-15T07:00:30+07:00","arrived":"2025-07-15T07:00:30.019000+07:00","kind":"loop","id":"L008","lane":"e2_4-3_4_0","lon":107.682963,"lat":11.998025,"period_s":30,"count":0,"speed_kmh":null,"occupancy_pct":0.0}"#,
            r#"{"specversion":"1.0","id":"loop-L008-2025-07-15T07:00:30+07:00","type":"traffic.loop","source":"L008","time":"2025-07-15T07:00:30+07:00","data":{"lon":107.682963,"lat":11.998025,"lane":"e2_4-3_4_0","period_s":30,"count":0,"speed_kmh":null,"occupancy_pct":0}}"#,
            "2025-07-15T00:00:30.019Z",
        ),
        (
            r#"{"t":"2025-07-15T07:01:00+07:00","arrived":"2025-07-15T07:01:00.049000+07:00","kind":"area","id":"A019","lane":"e9","lon":107.697205,"lat":12.001956,"period_s":60,"vehicles":1,"speed_kmh":36.0,"occupancy_pct":0.3,"queue_max_m":2.1,"halting_s":6.0}"#,
            r#"{"specversion":"1.0","id":"area-A019-2025-07-15T07:01:00+07:00","type":"traffic.queue","source":"A019","time":"2025-07-15T07:01:00+07:00","data":{"lon":107.697205,"lat":12.001956,"lane":"e9","period_s":60,"vehicles":1,"speed_kmh":36,"occupancy_pct":0.3,"queue_max_m":2.1,"halting_s":6}}"#,
            "2025-07-15T00:01:00.049Z",
        ),
        (
            r#"{"t":"2025-07-15T07:02:00+07:00","arrived":"2025-07-15T07:02:00.399000+07:00","kind":"route","id":"R000","lon":107.692291,"lat":12.000493,"period_s":60,"passed":0,"inside":96,"travel_s":null}"#,
            r#"{"specversion":"1.0","id":"route-R000-2025-07-15T07:02:00+07:00","type":"traffic.travel","source":"R000","time":"2025-07-15T07:02:00+07:00","data":{"lon":107.692291,"lat":12.000493,"period_s":60,"passed":0,"inside":96,"travel_s":null}}"#,
            "2025-07-15T00:02:00.399Z",
        ),
        (
            r#"{"t":"2025-07-15T07:00:00+07:00","arrived":"2025-07-15T07:00:00.007000+07:00","kind":"fcd","id":"v3037","type":"motorbike","lon":107.694077,"lat":12.001116,"speed_kmh":56.8,"heading":252.6}"#,
            r#"{"specversion":"1.0","id":"fcd-v3037-2025-07-15T07:00:00+07:00","type":"traffic.probe","source":"v3037","time":"2025-07-15T07:00:00+07:00","data":{"lon":107.694077,"lat":12.001116,"type":"motorbike","speed_kmh":56.8,"heading":252.6}}"#,
            "2025-07-15T00:00:00.007Z",
        ),
    ] {
        let out = emitted(&map, line);
        assert_eq!(out.len(), 1);
        assert_eq!(String::from_utf8_lossy(&out[0].json), event);
        assert_eq!(out[0].broker_time.unwrap().to_string(), broker_time);
        assert!(out[0].time.is_some());
    }
    assert!(emitted(&map, r#"{"kind":"other"}"#).is_empty());
    assert!(JsonRow::read(&map, b"[1]").is_err());
}

#[test]
fn what_is_not_there_is_null_or_left_to_the_decoder() {
    let out = emitted(&shipped(), r#"{"kind":"loop","id":"a\"\u0001\n","t":"gestern","count":"x"}"#);
    let event = String::from_utf8(out[0].json.clone()).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&event).is_ok(), "{event}");
    assert!(event.contains(r#""time":"gestern""#), "the decoder rejects it and says so: {event}");
    assert!(event.contains(r#""source":"a\"\u0001\n""#) && event.contains(r#""lon":null,"#), "{event}");
    assert_eq!((out[0].time, out[0].broker_time), (None, None));
}

const STATIONS: &str = r#"
format: csv
delimiter: ";"
sort: time
join: {file: stations.csv, on: Trạm, to: id}
emit:
  - when: row["Mực nước (m)"] != ""
    type: water.level
    source: join.code
    subject: row.Loại
    id: row.id + "-" + row.Giờ
    time: time(row.Ngày + " " + row.Giờ, "%d/%m/%Y %H:%M", "Asia/Ho_Chi_Minh")
    lon: join.lon
    lat: join.lat
    data: {level_m: "double(replace(row[\"Mực nước (m)\"], \",\", \".\"))", high: "double(replace(row[\"Mực nước (m)\"], \",\", \".\")) > 2", name: lower(join.name)}
"#;

#[test]
fn csv_rows_join_a_second_file() {
    let text = STATIONS.replace("row.Loại", "row[\"Loại\"]").replace("row.Giờ", "row[\"Giờ\"]").replace("row.Ngày", "row[\"Ngày\"]");
    let mut map = Map::compile(&text, "w.map.yaml").unwrap_or_else(|m| panic!("{m:?}"));
    assert_eq!((map.format, map.sort), (Format::Csv { delimiter: b';' }, Some(Sort::Time)));
    map.load_join("id,code,name,lon,lat\n7,W07,Cầu ĐÁ,107.5,12.25\n").unwrap();
    let file = "\u{feff}id;Trạm;Loại;Ngày;Giờ;Mực nước (m)\n1;7;sông;15/07/2025;07:25;2,35\n2;9;hồ;15/07/2025;07:30;1\n3;7;sông;15/07/2025;07:35;\n";
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(file.as_bytes());
    let columns = CsvColumns::of(&map, &reader.headers().unwrap().clone()).unwrap();
    let mut out = Vec::new();
    for record in reader.records() {
        map.emit(&CsvRow { columns: &columns, record: &record.unwrap() }, &mut out).unwrap();
    }
    let lines: Vec<_> = out.iter().map(|e| String::from_utf8_lossy(&e.json).into_owned()).collect();
    assert_eq!(
        lines,
        [
            r#"{"specversion":"1.0","id":"1-07:25","type":"water.level","source":"W07","subject":"sông","time":"2025-07-15T00:25:00Z","data":{"lon":107.5,"lat":12.25,"level_m":2.35,"high":true,"name":"cầu đá"}}"#,
            r#"{"specversion":"1.0","id":"2-07:30","type":"water.level","subject":"hồ","time":"2025-07-15T00:30:00Z","data":{"lon":null,"lat":null,"level_m":1,"high":false,"name":null}}"#,
        ]
    );
    let wrong = csv::StringRecord::from(vec!["id", "Tram", "Loại", "Ngày", "Giờ", "Mực nước (m)"]);
    assert_eq!(CsvColumns::of(&map, &wrong), Err("the header has no column `Trạm` (did you mean `Tram`?)".into()));
    assert!(map.load_join("id,code,name,lon,lat\n7,a,b,1,2\n7,a,b,1,2\n").unwrap_err().contains("`id` is `7` in two rows"));
}

proptest::proptest! {
    #[test]
    fn any_row_gives_valid_json(id in "\\PC{0,12}", t in ".{0,12}", kind in "loop|area|route|fcd|x", count in proptest::num::f64::ANY) {
        static MAP: std::sync::LazyLock<Map> = std::sync::LazyLock::new(shipped);
        let map = &*MAP;
        let line = serde_json::json!({"kind": kind, "id": id, "t": t, "count": count, "lane": {"a": [1]}, "lon": "1e400"}).to_string();
        for e in emitted(map, &line) {
            let event: serde_json::Value = serde_json::from_slice(&e.json).unwrap();
            proptest::prop_assert_eq!(event["source"].as_str(), Some(id.as_str()));
        }
    }
}
