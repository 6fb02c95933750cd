//! Pipelines as they run, over REST: who sees what, and the words of an explanation.

use super::fixtures::{alert, tick};
use super::province::{World, get, measurement, problem_code};
use crate::definitions::Definitions;
use crate::engine::holding::{PartStand, PipeStand, WindowStand};
use crate::server::pipelines::{Flow, PartitionFlow, PipelineFlow, PipelineShelf};
use crate::server::router;
use crate::server::wire::*;
use crate::time::{Span, Timestamp};
use axum::http::StatusCode;
use std::sync::Arc;

/// 2026-05-28T19:46:40Z, 02:46:40 in Vietnam.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_780_000_000 + seconds)
}

fn file(name: &str, sector: &str) -> (String, String) {
    let text = format!(
        "pipeline: {name}\nsector: {sector}\nfrom: [{sector}.event]\nout_of_orderness: 5s\nlateness: 1m\nwindows:\n  - {{measurement: {name}_rows, every: 10s, by: [area, source], fields: {{n: count()}}}}\nalerts:\n  - {{alert: flow_stopped, on: {name}_rows, when: n > 3, severity: major, title: {{vi: Đứng, en: Stopped}}}}\n"
    );
    (format!("pipelines/{name}.yaml"), text)
}

fn stand() -> PipeStand {
    let part = |watermark: i64, source: &str| PartStand {
        watermark: Some(at(watermark)),
        idle_at: Some(at(40)),
        quiet: Span::seconds(3),
        last: Some((source.into(), Some(at(watermark + 5)))),
        ..PartStand::default()
    };
    PipeStand {
        time: at(20),
        parts: vec![part(12, "ahead"), part(3, "behind")],
        windows: vec![WindowStand { oldest: Some((at(0), at(10))), held: 4, ..WindowStand::default() }],
        fired: at(0),
        settled: at(-60),
    }
}

fn world() -> World {
    let mut world = World::new();
    let definitions = Definitions { files: [file("traffic_loop", "traffic"), file("water_level", "water")].into_iter().collect() };
    let setup = Arc::new(definitions.compile(None).unwrap());
    world.pipelines = Arc::new(PipelineShelf::new(setup, &definitions));
    let partition = |number| PartitionFlow { topic: "ioc.events".into(), number, next_offset: 100, behind: 2 };
    let rates = Rates { over_ms: 60_000, accepted: 2.5, ..Rates::default() };
    let flow = PipelineFlow { stand: stand(), rates, accepted: vec![2.0, 0.5] };
    world.pipelines.put(Flow {
        time: at(20),
        live: true,
        partitions: vec![partition(0), partition(1)],
        pipelines: vec![flow.clone(), flow],
    });
    let mut rule = RuleView {
        pipeline: "traffic_loop".into(),
        rule: "flow_stopped".into(),
        measurement: "traffic_loop_rows".into(),
        severity: Severity::Major,
        title: Text::default(),
        when: "n > 3".into(),
        until: None,
        for_ms: 0,
        limits: vec![],
        sop: None,
    };
    world.tree.catalog.measurements.push(measurement("traffic_loop_rows", "traffic", &["area", "source"]));
    world.tree.catalog.rules.push(rule.clone());
    rule.pipeline = "water_level".into();
    world.tree.catalog.rules.push(rule);
    world
}

#[tokio::test]
async fn pipelines_of_the_sectors_in_scope_with_their_alerts() {
    let world = world();
    let (whole, traffic) = (world.token("whole", Role::Viewer, &[], &[]), world.token("traffic", Role::Viewer, &[], &["traffic"]));
    let ward = world.token("ward", Role::Local, &["ward"], &["traffic"]);
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    let pending = AlertView { condition: Condition::Pending, ..alert(3, 1, "traffic", "village") };
    hub.publish(Arc::new(tick(1, vec![], vec![alert(1, 1, "traffic", "ward"), alert(2, 1, "traffic", "village"), pending]))).await.unwrap();
    let ask = async |token: &str| serde_json::from_str::<PipelinesNow>(&get(&router, "/api/v1/pipelines", token).await.1).unwrap();
    let names = |now: &PipelinesNow| now.pipelines.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    let now = ask(&whole).await;
    assert_eq!(names(&now), ["traffic_loop", "water_level"]);
    let first = &now.pipelines[0];
    assert_eq!((first.file.as_str(), first.text.as_str()), ("pipelines/traffic_loop.yaml", file("traffic_loop", "traffic").1.as_str()));
    assert_eq!(first.rules[0].alerts, AlertCounts { firing: 2, pending: 1, ..AlertCounts::default() });
    assert_eq!((first.rates.accepted, first.partitions[1].rate_per_s, first.partitions[1].behind), (2.5, 0.5, 2));
    assert_eq!((first.partitions[1].lag_ms, first.partitions[1].source.as_deref()), (Some(17_000), Some("behind")));
    let hold = first.windows[0].oldest.as_ref().unwrap();
    assert_eq!((hold.holders.len(), hold.holders[0].partition, hold.since), (1, 1, Some(at(15).millis())));
    let now = ask(&traffic).await;
    assert_eq!((names(&now), now.pipelines[0].partitions[1].source.is_some()), (vec!["traffic_loop".to_owned()], true));
    let now = ask(&ward).await;
    let partition = &now.pipelines[0].partitions[1];
    assert_eq!((partition.source.clone(), partition.heard), (None, None), "a source outside its areas is not named");
    assert_eq!(now.pipelines[0].rules[0].alerts, AlertCounts { firing: 1, ..AlertCounts::default() });
    assert_eq!(get(&router, "/api/v1/pipelines", "").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_explanation_names_who_holds_and_what_releases_in_both_languages() {
    let world = world();
    let ward = world.token("ward", Role::Local, &["ward"], &["traffic"]);
    let whole = world.token("whole", Role::Viewer, &[], &[]);
    let quiet = |id: &str, place: Option<&str>, heard: Option<i64>| SourceView {
        types: vec!["traffic.event".into()],
        cadence_ms: Some(30_000),
        last_heard: heard,
        ..super::fixtures::source(id, Some("traffic"), place)
    };
    *world.store.sources.lock().unwrap() = vec![
        quiet("a", Some("ward"), Some(at(-30).millis())),
        quiet("b", Some("village"), None),
        quiet("heard", Some("ward"), Some(at(1).millis())),
        SourceView { types: vec!["other".into()], ..quiet("other", Some("ward"), None) },
    ];
    let router = router(world.parts());
    let path = "/api/v1/pipelines/traffic_loop/explain?measurement=traffic_loop_rows";
    let ask = async |rest: &str, token: &str| get(&router, &format!("{path}{rest}"), token).await;
    let (status, body) = ask("", &whole).await;
    let answer: Explanation = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answer.state, answer.start), (StatusCode::OK, WindowState::Open, Some(at(0).millis())));
    assert_eq!(
        answer.says.vi,
        "Cửa sổ 03:26:40 – 03:26:50 của traffic_loop_rows chưa phát. Phân vùng ioc.events/1 giữ nó: mốc thời gian (watermark) mới tới \
         03:26:43, lần cuối nhận từ behind (sự kiện lúc 03:26:48). Nó phát khi phân vùng đó nhận một sự kiện từ 03:26:55 trở đi. Nếu không \
         có gì thêm, nó phát lúc 03:27:20, khi phân vùng cuối cùng được coi là im lặng; chậm nhất là 03:28:55. 2 nguồn đã đăng ký chưa gửi \
         gì kể từ đầu cửa sổ."
    );
    assert!(answer.says.en.contains("It fires once that partition has accepted an event of 03:26:55 or later."), "{}", answer.says.en);
    assert_eq!(answer.quiet.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["b", "a"], "silent longest first");
    let answer: Explanation = serde_json::from_str(&ask("", &ward).await.1).unwrap();
    assert_eq!((answer.quiet.len(), answer.quiet_total), (1, 1));
    assert!(!answer.says.vi.contains("behind"), "{}", answer.says.vi);
    let answer: Explanation = serde_json::from_str(&ask("&tag.area=village", &whole).await.1).unwrap();
    assert_eq!(answer.quiet.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["b"]);
    for (start, state) in [(-80, WindowState::Settled), (-10, WindowState::Fired), (0, WindowState::Open), (1000, WindowState::Open)] {
        let answer: Explanation = serde_json::from_str(&ask(&format!("&start={}", at(start).millis()), &whole).await.1).unwrap();
        assert_eq!((answer.state, answer.hold.is_some()), (state, state == WindowState::Open), "{start}");
    }
}

#[tokio::test]
async fn a_question_without_an_answer_says_what_is_wrong() {
    let world = world();
    let traffic = world.token("traffic", Role::Viewer, &[], &["traffic"]);
    let router = router(world.parts());
    for (path, status, code) in [
        ("traffic_loop/explain?measurement=nothing", 404, "not_found"),
        ("water_level/explain?measurement=water_level_rows", 404, "not_found"),
        ("traffic_loop/explain", 400, "malformed"),
        ("traffic_loop/explain?measurement=traffic_loop_rows&start=5", 400, "malformed"),
        ("traffic_loop/explain?measurement=traffic_loop_rows&start=now", 400, "malformed"),
        ("traffic_loop/explain?measurement=traffic_loop_rows&start=9223372036854775807", 400, "malformed"),
        ("traffic_loop/explain?measurement=traffic_loop_rows&start=-9000000000000", 400, "malformed"),
        ("traffic_loop/explain?measurement=traffic_loop_rows&tag.colour=red", 400, "malformed"),
        ("traffic_loop/explain?measurement=traffic_loop_rows&tag.area=a&tag.area=b", 400, "malformed"),
        ("traffic_loop/explain?measurement=traffic_loop_rows&more=1", 400, "malformed"),
    ] {
        let (found, body) = get(&router, &format!("/api/v1/pipelines/{path}"), &traffic).await;
        assert_eq!((found.as_u16(), problem_code(&body).as_str()), (status, code), "{path}: {body}");
    }
    let empty = World::new();
    let router = crate::server::router(empty.parts());
    assert_eq!(get(&router, "/api/v1/pipelines", "").await.0, StatusCode::SERVICE_UNAVAILABLE, "before the first report");
}
