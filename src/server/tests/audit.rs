//! Who saw and did what is noted: over the router, as requests come in.

use super::fixtures::*;
use super::province::{World, get, send};
use crate::server::audit::{AuditBook, Wanted};
use crate::server::wire::*;
use crate::server::*;
use axum::body::Body;
use axum::http::{Request, header};
use std::sync::Arc;

fn post(path: &str, token: &str, body: &str) -> Request<Body> {
    let mut request = Request::post(path);
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// (name, role, what, object) of everything that was noted, once the server is gone.
fn noted(world: &World) -> Vec<(String, String, String, String)> {
    let wanted = Wanted { limit: 100, ..Wanted::default() };
    let entries = AuditBook::open(world.folder.path()).unwrap().unwrap().list(&wanted).unwrap();
    assert!(entries.iter().all(|e| e.time.millis() == 1_700_000_000_000 && e.address == "0.0.0.0"), "{entries:?}");
    entries.into_iter().map(|e| (e.name, e.role, e.what, e.object)).collect()
}

fn line(name: &str, role: &str, what: &str, object: &str) -> (String, String, String, String) {
    (name.into(), role.into(), what.into(), object.into())
}

#[tokio::test]
async fn sign_ins_acts_redrives_and_refusals_are_noted() {
    let mut world = World::new();
    let desk = world.token("duty desk", Role::Operator, &[], &[]);
    let viewer = world.token("viewer", Role::Viewer, &[], &[]);
    let admin = world.token("admin", Role::Admin, &[], &[]);
    let parts = world.parts();
    let (hub, audit) = (parts.hub.clone(), parts.audit.clone());
    let router = router(parts);
    hub.publish(Arc::new(tick(1, vec![], vec![alert(1, 1, "traffic", "ward")]))).await.unwrap();
    let signed_in = send(&router, post("/api/v1/session", "", &format!(r#"{{"token": "{desk}"}}"#))).await;
    let cookie = signed_in.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    send(&router, post("/api/v1/session", "", r#"{"token": "ioc_wrong"}"#)).await;
    // looking is no entry
    assert_eq!(get(&router, "/api/v1/alerts", &desk).await.0, 200);
    assert_eq!(get(&router, "/api/v1/alerts?format=csv", &viewer).await.0, 200);
    assert_eq!(get(&router, "/api/v1/alerts?token=ioc_secret", "").await.0, 401);
    let path = format!("/api/v1/alerts/{}/act", id(1));
    let close = r#"{"version": 1, "name": "somebody", "act": {"kind": "close", "verdict": "duplicate"}}"#;
    assert_eq!(send(&router, post(&path, &viewer, close)).await.status(), 403);
    for done in [true, false] {
        let asked = tokio::spawn({
            let (router, request) = (router.clone(), post(&path, &desk, close));
            async move { send(&router, request).await.status() }
        });
        let request = world.actions.recv().await.unwrap();
        let handled = if done { Handled::Done(Arc::new(alert(1, 2, "traffic", "ward"))) } else { Handled::Unknown };
        request.answer.send(ActionAnswer::Handled(vec![handled])).unwrap();
        assert_eq!(asked.await.unwrap(), if done { 200 } else { 409 });
    }
    assert_eq!(send(&router, post("/api/v1/rejected/redrive", &admin, r#"{"since": 5}"#)).await.status(), 200);
    let sign_out = Request::delete("/api/v1/session").header("cookie", cookie).header("origin", "http://127.0.0.1:8080");
    send(&router, sign_out.body(Body::empty()).unwrap()).await;
    audit.settle();
    assert_eq!(
        noted(&world),
        [
            line("duty desk", "operator", "sign_in", ""),
            line("", "", "refused", "401 POST /api/v1/session"),
            line("viewer", "viewer", "export", "/api/v1/alerts?format=csv"),
            line("", "", "refused", "401 GET /api/v1/alerts"),
            line("viewer", "viewer", "refused", &format!("403 POST {path}")),
            line("duty desk", "operator", "close", &format!("alert {} duplicate", id(1))),
            line("admin", "admin", "redrive", "0 records"),
            line("duty desk", "operator", "sign_out", ""),
        ]
    );
}

#[tokio::test]
async fn with_open_access_the_person_is_named_by_what_they_said() {
    let mut world = World::new();
    let parts = world.parts();
    let (hub, audit) = (parts.hub.clone(), parts.audit.clone());
    let router = router(parts);
    hub.publish(Arc::new(tick(1, vec![], vec![alert(1, 1, "traffic", "ward")]))).await.unwrap();
    let body = r#"{"version": 1, "name": " Lan ", "act": {"kind": "assign", "to": "Đội 2"}}"#;
    let asked = tokio::spawn({
        let request = post(&format!("/api/v1/alerts/{}/act", id(1)), "", body);
        async move { send(&router, request).await.status() }
    });
    let handled = vec![Handled::Done(Arc::new(alert(1, 2, "traffic", "ward")))];
    world.actions.recv().await.unwrap().answer.send(ActionAnswer::Handled(handled)).unwrap();
    assert_eq!(asked.await.unwrap(), 200);
    audit.settle();
    assert_eq!(noted(&world), [line("Lan", "open", "assign", &format!("alert {} to Đội 2", id(1)))]);
}
