//! Rows, indicators and alerts for other programs: what may be asked, what leaves and what never does.

use super::fixtures::{alert, figure, tick};
use super::province::{World, get, problem_code, send, text};
use crate::definitions::Definitions;
use crate::engine::{FieldValue, RowState as StoredState};
use crate::server::board::FigureInput;
use crate::server::pipelines::PipelineShelf;
use crate::server::router;
use crate::server::wire::*;
use crate::store::line::StoredRow;
use crate::time::Timestamp;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::Arc;

const SCHEMA: &str = r#"{"properties": {"phone": {"type": "string", "x-personal": "phone"}, "born": {"type": "number", "x-personal": "birth"}, "wait": {"type": "number"}}}"#;
const CALLS: &str = "pipeline: calls
sector: traffic
from: [t.call]
out_of_orderness: 5s
lateness: 1m
windows:
  - {measurement: calls, every: 1m, by: [area, source, data.phone], fields: {n: count(), wait: mean(data.wait), oldest: min(data.born)}}
alerts:
  - {alert: busy, on: calls, when: n > 3, severity: minor, title: {vi: \"Máy {phone}\", en: \"{phone}\"}}
";
const INDICATORS: &str = "indicators:
  - code: online
    name_vi: Hồ sơ trực tuyến
    unit: \"%\"
    direction: up
    cadence: 1mo
    grace: 10d
    baseline: {at: 2025-01-01, value: 50}
    targets:
      - {by: 2025-12-31, level: all, value: 90, source: kế hoạch 1}
";

fn world() -> World {
    let mut world = World::new();
    let files = [("pipelines/calls.yaml", CALLS), ("schemas/t.call.json", SCHEMA), ("registry/indicators.yaml", INDICATORS)];
    let files: BTreeMap<String, String> = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    let definitions = Definitions { files };
    world.pipelines = Arc::new(PipelineShelf::new(Arc::new(definitions.compile(None).unwrap()), &definitions));
    world
}

fn row(area: &str, source: &str, minute: i64, n: i64) -> StoredRow {
    let tags = [("area", area), ("phone", "0901234567"), ("source", source)];
    StoredRow {
        measurement: "calls".into(),
        tags: tags.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        start: Timestamp::from_seconds(minute * 60),
        fields: vec![
            ("n".into(), FieldValue::Int(n)),
            ("wait".into(), FieldValue::Float(-0.5)),
            ("oldest".into(), FieldValue::Float(1950.0)),
            ("heard".into(), FieldValue::Int(1)),
        ],
        revision: 2,
        state: StoredState::Incomplete,
    }
}

const ASK: &str = "/api/v1/rows?measurement=calls&from=0&to=1970-01-01T01:00:00Z";

#[tokio::test]
async fn rows_of_the_scope_as_json_csv_and_geojson_without_personal_data() {
    let world = world();
    let (town, whole) = (world.token("town", Role::Local, &["town"], &[]), world.token("whole", Role::Viewer, &[], &[]));
    *world.store.rows.lock().unwrap() = vec![row("ward", "=loop", 1, 3), row("village", "loop-2", 2, 4), row("outside", "x", 3, 5)];
    let router = router(world.parts());
    let (status, body) = get(&router, ASK, &town).await;
    let page: RowsPage = serde_json::from_str(&body).unwrap();
    assert_eq!((status, page.rows.len(), page.next), (StatusCode::OK, 1, None));
    let only = &page.rows[0];
    assert_eq!((only.start, only.end, only.revision, only.state, only.heard), (60_000, 120_000, 2, RowState::Incomplete, Some(1)));
    assert_eq!(only.values, BTreeMap::from([("n".to_owned(), 3.0), ("wait".to_owned(), -0.5)]));
    assert_eq!(only.tags.keys().collect::<Vec<_>>(), ["area", "source"]);
    let rows_of =
        async |rest: &str| serde_json::from_str::<RowsPage>(&get(&router, &format!("{ASK}{rest}"), &whole).await.1).unwrap().rows.len();
    for (rest, count) in [("", 3), ("&area=land", 1), ("&area=province", 2), ("&tag.source=x", 1), ("&tag.area=ward&tag.source=x", 0)] {
        assert_eq!(rows_of(rest).await, count, "{rest}");
    }
    let csv = send(
        &router,
        Request::get(format!("{ASK}&format=csv")).header("authorization", format!("Bearer {town}")).body(Body::empty()).unwrap(),
    );
    let csv = csv.await;
    assert_eq!(csv.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8");
    assert_eq!(csv.headers()[header::CONTENT_DISPOSITION], "attachment; filename=\"calls.csv\"");
    assert_eq!(
        text(csv).await.1,
        "start,end,area,source,area_name,n,wait,heard,expected,revision,state\r\n\
         1970-01-01T00:01:00Z,1970-01-01T00:02:00Z,ward,'=loop,ward,3,-0.5,1,,2,incomplete\r\n"
    );
    let (_, map) = get(&router, &format!("{ASK}&format=geojson"), &whole).await;
    let map: serde_json::Value = serde_json::from_str(&map).unwrap();
    assert_eq!(map["features"].as_array().unwrap().len(), 3);
    assert_eq!(map["features"][0]["properties"]["source"], "=loop");
    assert!(!map.to_string().contains("0901234567") && !map.to_string().contains("1950"), "{map}");
}

#[tokio::test]
async fn a_question_for_rows_that_makes_no_sense_says_what_is_wrong() {
    let world = world();
    let water = world.token("water", Role::Viewer, &[], &["water"]);
    let whole = world.token("whole", Role::Viewer, &[], &[]);
    let router = router(world.parts());
    for (path, status) in [
        ("measurement=calls&from=0&to=60000", StatusCode::OK),
        ("measurement=nothing&from=0&to=60000", StatusCode::NOT_FOUND),
        ("from=0&to=60000", StatusCode::NOT_FOUND),
        ("measurement=calls&from=0", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=5&to=5", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=now&to=5", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&to=9223372036854775807", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&to=5&limit=0", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&to=5&limit=10001", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&to=5&format=csv&limit=50000", StatusCode::OK),
        ("measurement=calls&from=0&to=5&format=xml", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&to=5&after=x", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&to=5&colour=red", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&from=1&to=5", StatusCode::BAD_REQUEST),
        ("measurement=calls&from=0&to=5&tag.colour=red", StatusCode::BAD_REQUEST),
        // nobody learns whose number it is by asking
        ("measurement=calls&from=0&to=5&tag.phone=0901234567", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(get(&router, &format!("/api/v1/rows?{path}"), &whole).await.0, status, "{path}");
    }
    assert_eq!(get(&router, ASK, &water).await.0, StatusCode::NOT_FOUND, "another sector's measurement");
}

#[tokio::test]
async fn indicators_with_targets_and_the_newest_figures_in_scope() {
    let world = world();
    let (town, whole) = (world.token("town", Role::Local, &["town"], &[]), world.token("whole", Role::Viewer, &[], &[]));
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    let report = |area: &str, code: &str| {
        let FigureInput { sector, mut view } = figure("indicator", "traffic", area, "s", 1_751_328_000_000, 60.0);
        Arc::make_mut(&mut view).key.insert("indicator".into(), code.into());
        FigureInput { sector, view }
    };
    let other = figure("traffic_loop", "traffic", "ward", "s", 0, 1.0);
    hub.publish(Arc::new(tick(1, vec![report("ward", "online"), report("village", "online"), report("ward", "else"), other], vec![])))
        .await
        .unwrap();
    let ask = async |token: &str| serde_json::from_str::<IndicatorsNow>(&get(&router, "/api/v1/indicators", token).await.1).unwrap();
    let now = ask(&whole).await;
    let online = &now.indicators[0];
    assert_eq!((now.indicators.len(), online.code.as_str(), online.name.en.as_str()), (1, "online", "Hồ sơ trực tuyến"));
    assert_eq!((online.targets[0].value, online.baselines[0].value, online.figures.len()), (90.0, 50.0, 2));
    let ward = &ask(&town).await.indicators[0].figures;
    assert_eq!((ward.len(), ward[0].target), (1, Some(90.0)));
    // 181 of 365 days of the year
    assert!((ward[0].pace.unwrap() - (50.0 + 40.0 * 181.0 / 365.0)).abs() < 0.2, "{:?}", ward[0].pace);
    assert!(!ward[0].key.contains_key("indicator"));
}

#[tokio::test]
async fn alerts_are_filtered_paged_and_written_as_files() {
    let world = world();
    let whole = world.token("whole", Role::Viewer, &[], &[]);
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    let numbered = |number: u32, sector: &str, area: &str| AlertView { since: i64::from(number) * 1000, ..alert(number, 1, sector, area) };
    let mut named = AlertView { pipeline: "calls".into(), rule: "busy".into(), ..numbered(4, "traffic", "ward") };
    named.title = Text { vi: "Máy 0901234567".into(), en: "0901234567".into() };
    named.key.insert("phone".into(), "0901234567".into());
    named.evidence.measurement = "calls".into();
    named.evidence.values.insert("oldest".into(), 1950.0);
    let resolved = AlertView { condition: Condition::Resolved, resolved: Some(3_000), ..numbered(3, "water", "village") };
    let minor = AlertView { severity: Severity::Minor, ..numbered(2, "traffic", "ward") };
    hub.publish(Arc::new(tick(1, vec![], vec![numbered(1, "traffic", "ward"), minor, resolved, named]))).await.unwrap();
    let ask = async |rest: &str| {
        let request = Request::get(format!("/api/v1/alerts{rest}")).header("authorization", format!("Bearer {whole}"));
        let answer = send(&router, request.body(Body::empty()).unwrap()).await;
        let link = answer.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        (link, text(answer).await.1)
    };
    let numbers = |body: &str| {
        let alerts: Vec<AlertView> = serde_json::from_str(body).unwrap();
        alerts.iter().map(|a| a.since / 1000).collect::<Vec<_>>()
    };
    for (rest, expected) in [
        ("", vec![4, 3, 2, 1]),
        ("?open=true", vec![4, 2, 1]),
        ("?sector=water", vec![3]),
        ("?severity=minor", vec![2]),
        ("?condition=resolved&handling=new", vec![3]),
        ("?rule=busy", vec![4]),
        ("?area=land", vec![3]),
        ("?area=province&limit=2", vec![4, 3]),
    ] {
        assert_eq!(numbers(&ask(rest).await.1), expected, "{rest}");
    }
    // page by page along the links
    let (mut rest, mut seen) = ("?limit=1&area=province".to_owned(), Vec::new());
    loop {
        let (link, body) = ask(&rest).await;
        seen.extend(numbers(&body));
        let Some(link) = link else { break };
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
        rest = link.split(['<', '>']).nth(1).unwrap().strip_prefix("/api/v1/alerts").unwrap().to_owned();
    }
    assert_eq!(seen, [4, 3, 2, 1]);
    let (_, csv) = ask("?format=csv").await;
    assert_eq!(csv.lines().count(), 5);
    assert!(csv.starts_with("id,version,pipeline,rule,sector,severity,title_vi,"), "{csv}");
    assert!(csv.contains(",busy,busy,") && !csv.contains("0901234567") && !csv.contains("1950"), "{csv}");
    let (_, map) = ask("?format=geojson&rule=busy").await;
    assert!(map.contains("\"rule\":\"busy\"") && !map.contains("0901234567"), "{map}");
    for wrong in ["?open=perhaps", "?limit=0", "?after=x", "?severity=huge", "?colour=red", "?format=pdf"] {
        assert_eq!(problem_code(&ask(wrong).await.1), "malformed", "{wrong}");
    }
}
