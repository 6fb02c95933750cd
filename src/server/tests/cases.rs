//! `GET /api/v1/cases`: what a reader is told of cases.

use super::province::{World, get};
use crate::definitions::Definitions;
use crate::engine::collect::{Body, Record};
use crate::engine::lane::Lane;
use crate::engine::{PartitionTick, Tick};
use crate::server::cases::CaseShelf;
use crate::server::wire::*;
use crate::server::*;
use crate::time::{Span, Timestamp};
use axum::http::StatusCode;
use std::sync::Arc;

const PIPELINE: &str = "
pipeline: reports
sector: traffic
from: [r.state]
out_of_orderness: 0s
lateness: 10m
cases:
  - {case: report, state: data.state, open: [created], closed: [closed], due: data.due_at, due_soon: 1h}
windows:
  - {measurement: reports_open, gauge: report, every: 5m, by: [area, data.kind], fields: {open: count()}}
";

const AREAS: &str = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"id":"ward","name":"Ward"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}},
{"type":"Feature","properties":{"id":"village","name":"Village"},"geometry":{"type":"Polygon","coordinates":[[[1,0],[2,0],[2,1],[1,1],[1,0]]]}}]}"#;

const NOW: Timestamp = Timestamp::from_seconds(1_752_537_600);

/// Cases by (subject, longitude, hours until due), all of one kind.
fn shelf(cases: &[(&str, f64, i64)]) -> Arc<CaseShelf> {
    let files = [("pipelines/reports.yaml", PIPELINE), ("registry/areas/a.geojson", AREAS)];
    let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    let setup = Arc::new(Definitions { files }.compile(None).unwrap());
    let mut lane = Lane::new(setup.clone());
    let bodies: Vec<String> = cases
        .iter()
        .map(|(subject, lon, due)| {
            let due = NOW + Span::hours(*due);
            let position = if *lon < 0.0 { String::new() } else { format!(r#", "lon": {lon}, "lat": 0.5"#) };
            format!(
                r#"{{"specversion": "1.0", "type": "r.state", "source": "app", "id": "{subject}", "subject": "{subject}", "time": "{NOW}",
                "data": {{"state": "created", "kind": "light", "due_at": "{due}"{position}}}}}"#
            )
        })
        .collect();
    lane.begin(NOW, 1);
    for (offset, body) in bodies.iter().enumerate() {
        let record = Record { offset: offset as u64, broker_time: Some(NOW), body: Body::Structured(body.as_bytes()) };
        lane.take(0, record, Timestamp::MAX).unwrap();
    }
    let at = PartitionTick { end: bodies.len() as u64, read_time: Some(NOW), unreadable: false, finished: false };
    lane.close(&Tick { time: NOW, partitions: vec![at], ..Tick::default() });
    let shelf = CaseShelf::new(setup);
    shelf.put(NOW, lane.core.take_case_updates());
    Arc::new(shelf)
}

async fn ask(world: &World, query: &str, token: &str) -> CasesPage {
    let (status, body) = get(&router(world.parts()), &format!("/api/v1/cases{query}"), token).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn subjects(page: &CasesPage) -> Vec<&str> {
    page.cases.iter().map(|case| case.subject.as_str()).collect()
}

#[tokio::test]
async fn cases_come_by_due_time_in_pages_and_in_scope() {
    let mut world = World::new();
    world.cases = shelf(&[("a", 0.5, 5), ("b", 1.5, -1), ("c", 0.5, 1), ("d", -1.0, 2)]);
    let whole = world.token("desk", Role::Operator, &[], &[]);
    let all = ask(&world, "", &whole).await;
    assert_eq!((subjects(&all), all.total, all.next.clone(), all.time), (vec!["b", "c", "d", "a"], 4, None, NOW.millis()));
    let late = &all.cases[0];
    assert_eq!((late.overdue, late.due_soon, late.open, late.state.as_str()), (true, false, true, "created"));
    assert_eq!((late.area.as_ref().map(|a| a.name.as_str()), late.values["data.kind"].as_str()), (Some("Village"), "light"));
    assert!(all.cases[1].due_soon && !all.cases[1].overdue);
    let first = ask(&world, "?limit=3", &whole).await;
    assert_eq!((subjects(&first), first.total), (vec!["b", "c", "d"], 4));
    let rest = ask(&world, &format!("?limit=3&after={}", first.next.unwrap()), &whole).await;
    assert_eq!((subjects(&rest), &rest.next), (vec!["a"], &None));
    assert_eq!(subjects(&ask(&world, "?overdue=true", &whole).await), ["b"]);
    assert_eq!(subjects(&ask(&world, "?area=town&state=created", &whole).await), ["c", "a"], "a ward lies in a town");
    assert_eq!(subjects(&ask(&world, "?open=false", &whole).await), Vec::<&str>::new());
    assert_eq!(subjects(&ask(&world, "?case=report&subject=d", &whole).await), ["d"]);
    // who sees one town sees its cases, and does not learn how many there are elsewhere
    let local = world.token("town", Role::Local, &["town"], &["traffic"]);
    let seen = ask(&world, "", &local).await;
    assert_eq!((subjects(&seen), seen.total), (vec!["c", "a"], 2));
    let other = world.token("water", Role::Operator, &[], &["water"]);
    assert_eq!(ask(&world, "", &other).await.total, 0);
    for wrong in ["?limit=0", "?limit=501", "?open=perhaps", "?areas=town"] {
        let (status, _) = get(&router(world.parts()), &format!("/api/v1/cases{wrong}"), &whole).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}
