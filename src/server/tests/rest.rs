//! The REST interface, request by request.

use super::fixtures::*;
use super::province::{World, get, problem_code, send, text};
use crate::server::wire::*;
use crate::server::*;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;

const OWN: &str = "http://127.0.0.1:8080";

fn post(path: &str, pairs: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post(path);
    for (name, value) in pairs {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

fn cookie_of(headers: &HeaderMap) -> String {
    headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_becomes_an_http_only_same_site_cookie_that_is_not_the_token() {
    let mut world = World::new();
    world.settings.behind_proxy = true;
    let token = world.token("desk", Role::Operator, &[], &[]);
    let router = router(world.parts());
    let body = format!(r#"{{"token": "{token}"}}"#);
    let secure = send(&router, post("/api/v1/session", &[("x-forwarded-proto", "https")], body.clone())).await;
    assert!(secure.headers()[header::SET_COOKIE].to_str().unwrap().ends_with("; Secure"));
    let answer = send(&router, post("/api/v1/session", &[("origin", OWN)], body)).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Strict") && !cookie.contains(&token) && !cookie.contains("Secure"));
    let cookie = cookie_of(answer.headers());
    let with_cookie = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).header("cookie", format!("a=b; {cookie}")).header("origin", OWN);
        request.body(Body::empty()).unwrap()
    };
    let (status, me) = text(send(&router, with_cookie("GET", "/api/v1/me")).await).await;
    let me: Me = serde_json::from_str(&me).unwrap();
    assert_eq!((status, me.name.as_str(), me.may_act), (StatusCode::OK, "desk", true));
    assert_eq!(send(&router, with_cookie("DELETE", "/api/v1/session")).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(send(&router, with_cookie("GET", "/api/v1/me")).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_in_a_url_is_never_looked_at() {
    let world = World::new();
    let token = world.token("desk", Role::Operator, &[], &[]);
    let router = router(world.parts());
    let (status, body) = get(&router, &format!("/api/v1/me?token={token}&access_token={token}"), "").await;
    assert_eq!((status, problem_code(&body).as_str()), (StatusCode::UNAUTHORIZED, "signed_out"));
    let (status, body) = get(&router, "/api/v1/me", "ioc_wrong").await;
    assert_eq!((status, problem_code(&body).as_str()), (StatusCode::UNAUTHORIZED, "bad_token"));
    assert_eq!(get(&router, "/api/v1/me", &token).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_foreign_page_can_change_nothing() {
    let mut world = World::new();
    world.settings.origins = vec!["https://ioc.example.vn".into()];
    let token = world.token("desk", Role::Admin, &[], &[]);
    let router = router(world.parts());
    let signed_in = send(&router, post("/api/v1/session", &[], format!(r#"{{"token": "{token}"}}"#))).await;
    let cookie = cookie_of(signed_in.headers());
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    for (origin, status) in [
        (Some(OWN), StatusCode::ACCEPTED),
        (Some("https://ioc.example.vn"), StatusCode::ACCEPTED),
        (Some("https://evil.example"), StatusCode::FORBIDDEN),
        (Some("http://127.0.0.1:8081"), StatusCode::FORBIDDEN),
        (Some("null"), StatusCode::FORBIDDEN),
        (None, StatusCode::FORBIDDEN),
    ] {
        let mut pairs = vec![("cookie", cookie.as_str()), ("content-type", "application/cloudevents+json")];
        pairs.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(send(&router, post("/api/v1/events", &pairs, event)).await.status(), status, "{origin:?}");
    }
    let foreign = post("/api/v1/session", &[("origin", "https://evil.example")], format!(r#"{{"token": "{token}"}}"#));
    assert_eq!(send(&router, foreign).await.status(), StatusCode::FORBIDDEN, "nor sign somebody in");
}

#[tokio::test]
async fn with_open_access_a_foreign_name_that_points_here_is_refused() {
    let mut world = World::new();
    world.settings.origins = vec!["http://ioc.local:8080".into()];
    let router = router(world.parts());
    for (host, status) in [
        ("127.0.0.1:8080", StatusCode::OK),
        ("localhost:9", StatusCode::OK),
        ("[::1]:8080", StatusCode::OK),
        ("ioc.local:8080", StatusCode::OK),
        ("evil.example:8080", StatusCode::FORBIDDEN),
        ("127.0.0.1.evil.example", StatusCode::FORBIDDEN),
    ] {
        let request = Request::get("/api/v1/me").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.status(), status, "{host}");
    }
    let foreign = post("/api/v1/events", &[("origin", "http://evil.example")], "{}");
    assert_eq!(send(&router, foreign).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_every_refusal_is_a_problem() {
    let router = router(World::new().parts());
    for path in ["/", "/nothing", "/api/v1/nothing", "/api/v1/me", "/healthz", "/api/v1/alerts/xyz", "/api/v1/live"] {
        let answer = send(&router, Request::get(path).body(Body::empty()).unwrap()).await;
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        assert!(answer.headers().contains_key("permissions-policy") && answer.headers().contains_key("cache-control"));
        let (status, body) = text(answer).await;
        if status.is_client_error() {
            problem_code(&body);
        }
    }
    let wrong_method = send(&router, post("/api/v1/me", &[], "")).await;
    assert_eq!(
        (wrong_method.status(), &wrong_method.headers()[header::ALLOW]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET,HEAD".parse().unwrap())
    );
    assert_eq!(problem_code(&text(wrong_method).await.1), "wrong_method");
    let (status, page) = get(&router, "/", "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.to_lowercase().starts_with("<!doctype html>"));
    assert_eq!(get(&router, "/desk", "").await.0, StatusCode::NOT_FOUND, "only / is the page");
}

#[tokio::test]
async fn a_scoped_reader_gets_the_catalogue_the_areas_and_the_trends_of_its_scope() {
    let world = World::new();
    let token = world.token("town", Role::Local, &["town"], &["traffic"]);
    let router = router(world.parts());
    let (_, body) = get(&router, "/api/v1/catalog", &token).await;
    let catalog: Catalog = serde_json::from_str(&body).unwrap();
    let names: Vec<&str> = catalog.measurements.iter().map(|each| each.measurement.as_str()).collect();
    assert_eq!((names, catalog.sectors.len()), (vec!["traffic_loop", "traffic_travel"], 1));
    let groups: Vec<(&str, Vec<&str>)> =
        catalog.groups.iter().map(|group| (group.code.as_str(), group.members.iter().map(String::as_str).collect())).collect();
    assert_eq!((catalog.areas.len(), catalog.areas[0].code.as_str()), (1, "ward"));
    assert_eq!(groups, [("old", vec!["ward"])], "a group is the members in scope, or not there");
    let (_, body) = get(&router, "/api/v1/areas", &token).await;
    assert!(body.contains("\"ward\"") && !body.contains("\"village\"") && !body.contains("\"province\""), "{body}");
    let trend = |rest: &'static str| {
        let (router, token) = (router.clone(), token.clone());
        async move { get(&router, &format!("/api/v1/trend?field=speed&from=0&to=60000&{rest}"), &token).await.0 }
    };
    for (rest, status) in [
        ("measurement=traffic_loop&tag.area=ward&tag.source=x", StatusCode::OK),
        ("measurement=traffic_loop&tag.area=village&tag.source=loop-1", StatusCode::NOT_FOUND),
        ("measurement=traffic_loop&tag.area=outside&tag.source=loop-1", StatusCode::NOT_FOUND),
        ("measurement=traffic_loop&tag.source=loop-1", StatusCode::BAD_REQUEST),
        ("measurement=traffic_loop&tag.area=ward&tag.source=x&tag.more=y", StatusCode::BAD_REQUEST),
        ("measurement=traffic_loop&tag.area=ward&tag.area=village&tag.source=x", StatusCode::BAD_REQUEST),
        ("measurement=traffic_travel&tag.source=loop-1", StatusCode::OK),
        ("measurement=traffic_travel&tag.source=loop-2", StatusCode::NOT_FOUND),
        ("measurement=traffic_travel&tag.source=unregistered", StatusCode::NOT_FOUND),
        ("measurement=water_level&tag.area=ward&tag.source=x", StatusCode::NOT_FOUND),
        ("measurement=nothing&tag.area=ward", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(trend(rest).await, status, "{rest}");
    }
    assert_eq!(world.store.asked.lock().unwrap().len(), 2, "what is refused never reaches the store");
}

#[tokio::test]
async fn a_trend_has_bounds() {
    let router = router(World::new().parts());
    let ask = |rest: &'static str| {
        let router = router.clone();
        async move { get(&router, &format!("/api/v1/trend?measurement=traffic_travel&tag.source=s&{rest}"), "").await }
    };
    for (rest, status) in [
        ("field=speed&from=0&to=300000000", StatusCode::OK),
        ("field=speed&from=0&to=300060001", StatusCode::PAYLOAD_TOO_LARGE),
        ("field=speed&from=5&to=5", StatusCode::BAD_REQUEST),
        ("field=speed&from=-9223372036854775808&to=9223372036854775807", StatusCode::BAD_REQUEST),
        ("field=speed&from=now&to=5", StatusCode::BAD_REQUEST),
        ("field=speed&from=0", StatusCode::BAD_REQUEST),
        ("field=none&from=0&to=60000", StatusCode::NOT_FOUND),
        ("field=speed&from=0&to=60000&token=x", StatusCode::BAD_REQUEST),
    ] {
        let (got, body) = ask(rest).await;
        assert_eq!(got, status, "{rest}: {body}");
    }
    let trend: Trend = serde_json::from_str(&ask("field=speed&from=0&to=60000").await.1).unwrap();
    assert_eq!((trend.unit.as_str(), trend.every_ms, trend.points.len()), ("km/h", 60_000, 1));
}

#[tokio::test]
async fn alerts_are_listed_newest_first_and_shown_with_their_history() {
    let world = World::new();
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    let mut old = alert(1, 3, "traffic", "ward");
    (old.since, old.condition, old.resolved) = (500, Condition::Resolved, Some(900));
    world.store.details.lock().unwrap().insert(id(1), detail(AlertView { version: 2, ..old.clone() }));
    hub.publish(Arc::new(tick(1, vec![], vec![old, alert(2, 1, "water", "village")]))).await.unwrap();
    let ids = |body: &str| serde_json::from_str::<Vec<AlertView>>(body).unwrap().into_iter().map(|alert| alert.id).collect::<Vec<_>>();
    assert_eq!(ids(&get(&router, "/api/v1/alerts", "").await.1), [id(2), id(1)]);
    assert_eq!(ids(&get(&router, "/api/v1/alerts?open=true", "").await.1), [id(2)]);
    assert_eq!(get(&router, "/api/v1/alerts?open=maybe", "").await.0, StatusCode::BAD_REQUEST);
    let shown: AlertDetail = serde_json::from_str(&get(&router, &format!("/api/v1/alerts/{}", id(1)), "").await.1).unwrap();
    assert_eq!(shown.alert.version, 3, "the picture is ahead of the journal's reader");
    assert_eq!(get(&router, &format!("/api/v1/alerts/{}", id(9)), "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&router, "/api/v1/alerts/1", "").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_alert_that_only_the_journal_knows_is_shown_within_its_scope() {
    let world = World::new();
    let town = world.token("town", Role::Local, &["town"], &["traffic"]);
    let router = router(world.parts());
    for (number, sector, area, status) in [
        (1, "traffic", "ward", StatusCode::OK),
        (2, "traffic", "village", StatusCode::NOT_FOUND),
        (3, "water", "ward", StatusCode::NOT_FOUND),
        (4, "traffic", "outside", StatusCode::NOT_FOUND),
    ] {
        world.store.details.lock().unwrap().insert(id(number), detail(alert(number, 1, sector, area)));
        assert_eq!(get(&router, &format!("/api/v1/alerts/{}", id(number)), &town).await.0, status, "{number}");
    }
}

#[tokio::test]
async fn sources_come_in_pages_within_scope() {
    let world = World::new();
    let town = world.token("town", Role::Local, &["town"], &["traffic"]);
    let roads = world.token("roads", Role::Viewer, &[], &["traffic"]);
    let place = world.token("place", Role::Viewer, &["town"], &[]);
    let admin = world.token("admin", Role::Admin, &[], &[]);
    let silent = SourceView { silent: true, ..source("d", Some("water"), Some("ward")) };
    let ahead = SourceView { clock_offset_ms: Some(90_000), ..source("e", Some("traffic"), Some("village")) };
    *world.store.sources.lock().unwrap() = vec![
        source("a", Some("traffic"), Some("ward")),
        source("b", Some("traffic"), None),
        source("c", None, Some("ward")),
        silent,
        ahead,
        source("f", None, None),
    ];
    let router = router(world.parts());
    let ids = |body: &str| {
        let now: SourcesNow = serde_json::from_str(body).unwrap();
        (now.sources.into_iter().map(|s| s.id).collect::<Vec<_>>().concat(), now.more)
    };
    for (token, rest, expected, more) in [
        (&town, "", "a", false),
        (&roads, "", "abe", false),
        (&place, "", "acd", false),
        (&admin, "", "abcdef", false),
        (&admin, "?limit=2", "ab", true),
        (&admin, "?limit=2&after=b", "cd", true),
        (&admin, "?limit=2&after=d", "ef", false),
        (&admin, "?troubled=true", "de", false),
        (&admin, "?area=town", "acd", false),
        (&admin, "?sector=water", "d", false),
    ] {
        let (status, body) = get(&router, &format!("/api/v1/sources{rest}"), token).await;
        assert_eq!(status, StatusCode::OK, "{rest}: {body}");
        assert_eq!(ids(&body), (expected.to_owned(), more), "{rest}");
    }
    assert_eq!(get(&router, "/api/v1/sources?limit=many", &admin).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get(&router, "/api/v1/sources?areas=x", &admin).await.0, StatusCode::BAD_REQUEST);
}

fn act(path: &str, token: &str, body: &str) -> Request<Body> {
    let mut pairs = vec![("content-type", "application/json")];
    let bearer = format!("Bearer {token}");
    if !token.is_empty() {
        pairs.push(("authorization", &bearer));
    }
    post(path, &pairs, body.to_owned())
}

fn acknowledge(number: u32, token: &str, body: &str) -> Request<Body> {
    let body = body.replacen('{', r#"{"act": {"kind": "acknowledge"}, "#, 1).replace(", }", "}");
    act(&format!("/api/v1/alerts/{}/act", id(number)), token, &body)
}

fn done(alert: AlertView) -> ActionAnswer {
    ActionAnswer::Handled(vec![Handled::Done(Arc::new(alert))])
}

#[tokio::test]
async fn an_action_is_answered_only_when_the_driver_says_that_its_tick_is_durable() {
    let mut world = World::new();
    let token = world.token("duty desk", Role::Operator, &[], &[]);
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    hub.publish(Arc::new(tick(1, vec![], vec![alert(1, 4, "traffic", "ward")]))).await.unwrap();
    let after = AlertView { version: 5, handling: Handling::Acknowledged, ..alert(1, 5, "traffic", "ward") };
    let now = AlertView { version: 7, ..after.clone() };
    let failed = ActionAnswer::Failed("disk full".into());
    let reason = Text { vi: "Lan đã xác nhận lúc 14:02.".into(), en: "Lan acknowledged it at 14:02.".into() };
    let conflict = ActConflict { alert: now, reason };
    for (answer, status, version) in [
        (Some(done(after)), StatusCode::OK, Some(5)),
        (Some(ActionAnswer::Handled(vec![Handled::Refused(Arc::new(conflict.clone()))])), StatusCode::CONFLICT, Some(7)),
        // the engine has let go of it
        (Some(ActionAnswer::Handled(vec![Handled::Unknown])), StatusCode::CONFLICT, Some(4)),
        (Some(failed), StatusCode::SERVICE_UNAVAILABLE, None),
        (None, StatusCode::SERVICE_UNAVAILABLE, None),
    ] {
        let asked = tokio::spawn({
            let (router, token) = (router.clone(), token.clone());
            async move {
                text(send(&router, acknowledge(1, &token, r#"{"version": 4, "name": "somebody else", "note": " on it "}"#)).await).await
            }
        });
        let request = world.actions.recv().await.unwrap();
        assert_eq!((request.act, request.by.as_str(), request.note.as_str()), (crate::engine::Act::Acknowledge, "duty desk", "on it"));
        assert_eq!(request.alerts.iter().map(|(id, version)| (id.to_string(), *version)).collect::<Vec<_>>(), [(id(1), 4)]);
        assert!(!asked.is_finished(), "no answer before the tick is durable");
        if let Some(answer) = answer {
            request.answer.send(answer).unwrap();
        }
        let (got, body) = asked.await.unwrap();
        assert_eq!(got, status, "{body}");
        let refused = serde_json::from_str::<ActConflict>(&body).ok();
        assert_eq!(refused.is_some(), status == StatusCode::CONFLICT);
        let told = serde_json::from_str::<AlertView>(&body).ok().or(refused.map(|refused| refused.alert));
        assert_eq!(told.map(|alert| alert.version), version);
    }
}

#[tokio::test]
async fn only_who_may_act_acts_and_only_on_what_they_see() {
    let mut world = World::new();
    let viewer = world.token("viewer", Role::Viewer, &[], &[]);
    let ward = world.token("ward", Role::Local, &["ward"], &[]);
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    hub.publish(Arc::new(tick(1, vec![], vec![alert(1, 1, "traffic", "village")]))).await.unwrap();
    let body = r#"{"version": 1, "name": null, "note": ""}"#;
    for (token, status) in [("", StatusCode::UNAUTHORIZED), (&viewer, StatusCode::FORBIDDEN), (&ward, StatusCode::NOT_FOUND)] {
        assert_eq!(send(&router, acknowledge(1, token, body)).await.status(), status);
    }
    assert!(world.actions.try_recv().is_err(), "nothing reached the driver");
}

#[tokio::test]
async fn with_open_access_an_action_carries_the_persons_name() {
    let mut world = World::new();
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    hub.publish(Arc::new(tick(1, vec![], vec![alert(1, 1, "traffic", "ward")]))).await.unwrap();
    for body in [r#"{"version": 1, "name": " ", "note": ""}"#, r#"{"version": 1}"#, "{", r#"{"version": "x"}"#] {
        assert_eq!(send(&router, acknowledge(1, "", body)).await.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    let asked = tokio::spawn(async move { send(&router, acknowledge(1, "", r#"{"version": 1, "name": "Lan"}"#)).await.status() });
    let request = world.actions.recv().await.unwrap();
    assert_eq!((request.by.as_str(), request.note.as_str()), ("Lan", ""));
    request.answer.send(done(alert(1, 2, "traffic", "ward"))).unwrap();
    assert_eq!(asked.await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn an_act_that_cannot_be_meant_is_refused_before_it_reaches_the_driver() {
    let mut world = World::new();
    let token = world.token("duty desk", Role::Operator, &[], &[]);
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    hub.publish(Arc::new(tick(1, vec![], vec![alert(1, 1, "traffic", "ward")]))).await.unwrap();
    let path = format!("/api/v1/alerts/{}/act", id(1));
    for what in [
        r#"{"kind": "note"}"#,
        r#"{"kind": "assign", "to": " "}"#,
        r#"{"kind": "assign"}"#,
        r#"{"kind": "step", "step": 200, "done": true}"#,
        r#"{"kind": "close"}"#,
        r#"{"kind": "close", "verdict": "unclear"}"#,
        r#"{"kind": "delete"}"#,
    ] {
        let request = act(&path, &token, &format!(r#"{{"version": 1, "name": null, "note": " ", "act": {what}}}"#));
        assert_eq!(send(&router, request).await.status(), StatusCode::BAD_REQUEST, "{what}");
    }
    let long = "x".repeat(2_001);
    let request = act(&path, &token, &format!(r#"{{"version": 1, "name": null, "note": "{long}", "act": {{"kind": "note"}}}}"#));
    assert_eq!(send(&router, request).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(world.actions.try_recv().is_err(), "nothing reached the driver");
}

#[tokio::test]
async fn one_act_on_many_alerts_reaches_the_driver_as_one_and_stays_in_scope() {
    let mut world = World::new();
    let token = world.token("ward desk", Role::Local, &["ward"], &[]);
    let parts = world.parts();
    let hub = parts.hub.clone();
    let router = router(parts);
    let places = [(1, "ward"), (2, "village"), (3, "ward"), (4, "ward")];
    let alerts = places.map(|(number, area)| alert(number, 1, "traffic", area));
    hub.publish(Arc::new(tick(1, vec![], alerts.to_vec()))).await.unwrap();
    // one that has left the picture
    world.store.details.lock().unwrap().insert(id(5), detail(alert(5, 9, "traffic", "ward")));
    let many = |alerts: &[(u32, u32)]| {
        let alerts: Vec<_> = alerts.iter().map(|(number, version)| serde_json::json!({"id": id(*number), "version": version})).collect();
        let body = serde_json::json!({"name": null, "note": "", "act": {"kind": "assign", "to": "Tổ 1"}, "alerts": alerts});
        act("/api/v1/alerts/act", &token, &body.to_string())
    };
    assert_eq!(send(&router, many(&[])).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send(&router, many(&vec![(1, 1); 201])).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send(&router, many(&[(1, 1), (1, 1)])).await.status(), StatusCode::BAD_REQUEST);
    let (status, body) = text(send(&router, many(&[(2, 1), (9, 1)])).await).await;
    let answer: BulkAnswer = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answer.unknown), (StatusCode::OK, vec![id(2), id(9)]));
    assert!(world.actions.try_recv().is_err(), "nothing to hand over");
    let asked = tokio::spawn({
        let (router, request) = (router.clone(), many(&[(1, 1), (2, 1), (3, 7), (4, 1), (5, 9)]));
        async move { text(send(&router, request).await).await }
    });
    let request = world.actions.recv().await.unwrap();
    let handed: Vec<_> = request.alerts.iter().map(|(id, version)| (id.to_string(), *version)).collect();
    assert_eq!(handed, [(id(1), 1), (id(3), 7), (id(4), 1), (id(5), 9)]);
    assert_eq!(request.act, crate::engine::Act::Assign { to: "Tổ 1".into() });
    let conflict = ActConflict { alert: alert(3, 8, "traffic", "ward"), reason: Text::default() };
    let handled = vec![
        Handled::Done(Arc::new(alert(1, 2, "traffic", "ward"))),
        Handled::Refused(Arc::new(conflict)),
        // it moved meanwhile
        Handled::Done(Arc::new(alert(4, 2, "traffic", "village"))),
        Handled::Unknown,
    ];
    request.answer.send(ActionAnswer::Handled(handled)).unwrap();
    let (status, body) = asked.await.unwrap();
    let answer: BulkAnswer = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answer.unknown), (StatusCode::OK, vec![id(2), id(4)]));
    let refused: Vec<_> = answer.conflicts.iter().map(|conflict| (conflict.alert.id.clone(), conflict.alert.version)).collect();
    assert_eq!(refused, [(id(3), 8), (id(5), 9)], "it changed; the engine has let go of it");
    assert_eq!(answer.done.iter().map(|alert| (alert.id.clone(), alert.version)).collect::<Vec<_>>(), [(id(1), 2)]);
}

#[tokio::test]
async fn events_are_accepted_once_durable_and_refused_with_the_reason() {
    let mut world = World::new();
    (world.settings.event_limit, world.settings.batch_limit) = (200, 400);
    let router = router(world.parts());
    let structured = [("content-type", "application/cloudevents+json")];
    let batched = [("content-type", "application/cloudevents-batch+json")];
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    let ask = |pairs: &[(&str, &str)], body: String| {
        let (router, request) = (router.clone(), post("/api/v1/events", pairs, body));
        async move { send(&router, request).await }
    };
    assert_eq!(ask(&structured, event.into()).await.status(), StatusCode::ACCEPTED);
    assert_eq!(ask(&batched, format!("[{event},{event}]")).await.status(), StatusCode::ACCEPTED);
    assert_eq!(world.store.appended.lock().unwrap().len(), 3);
    for (pairs, body, status, code) in [
        (structured, format!("{event}{}", " ".repeat(200)), StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        (batched, format!("[{event}{}]", " ".repeat(400)), StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        (batched, format!("[{event},{{}}]"), StatusCode::BAD_REQUEST, "bad_events"),
        (structured, "nonsense".into(), StatusCode::BAD_REQUEST, "bad_events"),
        ([("content-type", "text/csv")], event.into(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type"),
    ] {
        let (got, body) = text(ask(&pairs, body).await).await;
        assert_eq!((got, problem_code(&body).as_str()), (status, code));
    }
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"        ")));
    let unannounced = send(&router, post("/api/v1/events", &structured, Body::from_stream(endless))).await;
    assert_eq!(unannounced.status(), StatusCode::PAYLOAD_TOO_LARGE, "read up to the limit and no further");
    *world.store.door.lock().unwrap() = Some(DoorError::Busy { retry_after: Duration::from_secs(3) });
    let busy = ask(&structured, event.into()).await;
    assert_eq!((busy.status(), &busy.headers()[header::RETRY_AFTER]), (StatusCode::SERVICE_UNAVAILABLE, &"3".parse().unwrap()));
    *world.store.door.lock().unwrap() = Some(DoorError::Unavailable("the log's disk is full".into()));
    assert_eq!(ask(&structured, event.into()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.store.appended.lock().unwrap().len(), 3, "202 only once durable, else nothing");
}

#[tokio::test]
async fn events_beyond_what_may_be_on_its_way_wait_outside() {
    let mut world = World::new();
    world.settings.events_in_flight = 1024;
    let app = crate::server::api::App::new(world.parts());
    let router = crate::server::api::routes(app.clone());
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    let ask = || post("/api/v1/events", &[("content-type", "application/cloudevents+json")], event);
    let taken = app.events_room.clone().try_acquire_many_owned(1).unwrap();
    let busy = send(&router, ask()).await;
    assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(busy.headers().contains_key(header::RETRY_AFTER));
    drop(taken);
    assert_eq!(send(&router, ask()).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_source_sends_and_sees_nothing_others_see_and_do_not_send() {
    let world = World::new();
    let source = world.token("gateway", Role::Source, &[], &[]);
    let desk = world.token("desk", Role::Operator, &[], &[]);
    let router = router(world.parts());
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    for (token, status) in [(&source, StatusCode::ACCEPTED), (&desk, StatusCode::FORBIDDEN)] {
        let bearer = format!("Bearer {token}");
        let pairs = [("authorization", bearer.as_str()), ("content-type", "application/cloudevents+json")];
        assert_eq!(send(&router, post("/api/v1/events", &pairs, event)).await.status(), status);
    }
    for path in ["catalog", "areas", "alerts", "trend?measurement=traffic_loop", &format!("alerts/{}", id(1))] {
        assert_eq!(get(&router, &format!("/api/v1/{path}"), &source).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(get(&router, "/api/v1/me", &source).await.0, StatusCode::OK);
}

#[tokio::test]
async fn probes_need_no_token_metrics_need_a_reader_without_limits() {
    let world = World::new();
    let whole = world.token("whole", Role::Viewer, &[], &[]);
    let ward = world.token("ward", Role::Local, &["ward"], &[]);
    let router = router(world.parts());
    assert_eq!(get(&router, "/healthz", "").await.0, StatusCode::OK);
    assert_eq!(get(&router, "/readyz", "").await.0, StatusCode::OK);
    *world.store.not_ready.lock().unwrap() = Some("the state is built to 40 %".into());
    let (status, body) = get(&router, "/readyz", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("40 %"));
    assert_eq!(get(&router, "/metrics", "").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(get(&router, "/metrics", &ward).await.0, StatusCode::FORBIDDEN);
    let (_, metrics) = get(&router, "/metrics", &whole).await;
    assert!(metrics.contains("\nioc_up 1\n") && metrics.contains("\nioc_live_clients 0\n") && metrics.ends_with("# EOF\n"), "{metrics}");
}

#[tokio::test]
async fn answers_are_compressed_and_unchanged_areas_are_not_sent_again() {
    let router = router(World::new().parts());
    let ask = |pair: (&'static str, String)| Request::get("/api/v1/areas").header(pair.0, pair.1).body(Body::empty()).unwrap();
    let zipped = send(&router, ask(("accept-encoding", "gzip".into()))).await;
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    let plain = send(&router, ask(("accept", "*/*".into()))).await;
    assert_eq!(plain.headers()["content-type"], "application/geo+json");
    let tag = plain.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(send(&router, ask(("if-none-match", tag))).await.status(), StatusCode::NOT_MODIFIED);
}

fn refused(number: i64) -> crate::store::rejected::Kept {
    crate::store::rejected::Kept {
        number,
        topic: "ioc.events".into(),
        partition: 0,
        offset: 7,
        broker_time: None,
        reason: "bytes.syntax".into(),
        path: String::new(),
        at: 1,
        detail: "found nothing".into(),
        source: None,
        raw: vec![b'{'; 3_000],
        headers: Vec::new(),
        redriven: None,
    }
}

#[tokio::test]
async fn refused_records_are_for_who_sees_everything_and_driven_again_by_who_may_send() {
    let world = World::new();
    *world.store.refused.lock().unwrap() = (1..=3).map(refused).collect();
    let desk = world.token("desk", Role::Operator, &[], &[]);
    let ward = world.token("ward", Role::Local, &["ward"], &[]);
    let analyst = world.token("analyst", Role::Analyst, &["ward"], &[]);
    let admin = world.token("admin", Role::Admin, &[], &[]);
    let router = router(world.parts());
    for path in ["/api/v1/rejected", "/api/v1/rejected/2", "/api/v1/late"] {
        for (token, status) in [(&desk, 200), (&ward, 403), (&analyst, 200), (&admin, 200)] {
            assert_eq!(get(&router, path, token).await.0.as_u16(), status, "{path}");
        }
    }
    let (_, page) = get(&router, "/api/v1/rejected?limit=2", &desk).await;
    let page: RejectedPage = serde_json::from_str(&page).unwrap();
    assert_eq!((page.records.iter().map(|r| r.number).collect::<Vec<_>>(), page.next), (vec![3, 2], Some(2)));
    assert_eq!(page.records[0].raw.len(), 2_000);
    let (_, one) = get(&router, "/api/v1/rejected/2", &desk).await;
    assert_eq!(serde_json::from_str::<RejectedView>(&one).unwrap().raw.len(), 3_000);
    assert_eq!(get(&router, "/api/v1/rejected/9", &desk).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&router, "/api/v1/rejected?limt=2", &desk).await.0, StatusCode::BAD_REQUEST);
    let drive = |token: &str, body: &str| {
        let bearer = format!("Bearer {token}");
        let request = post("/api/v1/rejected/redrive", &[("authorization", bearer.as_str())], body.to_owned());
        send(&router, request)
    };
    assert_eq!(drive(&desk, r#"{"numbers": [1]}"#).await.status(), StatusCode::FORBIDDEN);
    let (status, driven) = text(drive(&admin, r#"{"numbers": [1, 2]}"#).await).await;
    let driven: Vec<RedrivenView> = serde_json::from_str(&driven).unwrap();
    assert_eq!((status, driven.len(), driven[1].by.as_str()), (StatusCode::OK, 2, "admin"));
    assert_eq!(drive(&admin, r#"{"numbers": [9]}"#).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(drive(&admin, "{}").await.status(), StatusCode::BAD_REQUEST);
}
