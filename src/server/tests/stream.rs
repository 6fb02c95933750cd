//! Alert changes as server-sent events: each once, in scope, resumed.

use super::province::{World, get, problem_code, send, text};
use crate::journal::Told;
use crate::notify::Outbox;
use crate::server::auth::tokens;
use crate::server::router;
use crate::server::wire::Role;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn told(number: u64, sector: &str, area: Option<&str>) -> Told {
    let (alert, json) = (format!("{number:032x}"), format!("{{\"number\":{number}}}"));
    Told { number, tick: number, time: 0, alert, version: 2, sector: sector.into(), area: area.map(str::to_owned), json }
}

/// An open stream, read event by event.
struct Reading {
    body: BodyDataStream,
    text: String,
}

impl Reading {
    async fn open(router: &axum::Router, token: &str, last: Option<&str>) -> Reading {
        let mut request = Request::get("/api/v1/alerts/stream").header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = send(router, request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status(), &answer.headers()[header::CONTENT_TYPE]), (StatusCode::OK, &"text/event-stream".parse().unwrap()));
        Reading { body: answer.into_body().into_data_stream(), text: String::new() }
    }

    /// (event, id, data); `None`: the stream ended.
    async fn next(&mut self) -> Option<(String, u64, serde_json::Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| event.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned);
                let read = (line("event"), line("id"), line("data"));
                self.text = rest.to_owned();
                let (Some(name), Some(id), Some(data)) = read else { continue };
                return Some((name, id.parse().unwrap(), serde_json::from_str(&data).unwrap()));
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.body.next()).await.expect("an event in time")?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }

    async fn numbers<const N: usize>(&mut self) -> [u64; N] {
        let mut numbers = [0; N];
        for number in &mut numbers {
            let (name, id, event) = self.next().await.unwrap();
            assert_eq!((name.as_str(), event["data"]["number"].as_u64()), ("alert", Some(id)));
            assert_eq!(event["id"], format!("{:032x}-2-{id}", id));
            *number = id;
        }
        numbers
    }
}

#[tokio::test]
async fn each_change_in_scope_comes_once_and_a_stream_goes_on_where_it_was_cut() {
    let world = World::new();
    let whole = world.token("whole", Role::Viewer, &[], &[]);
    let town = world.token("town", Role::Local, &["town"], &["traffic"]);
    let outbox = world.outbox.clone();
    let router = router(world.parts());
    outbox.put([told(1, "traffic", Some("ward"))]);
    let (mut all, mut some) = (Reading::open(&router, &whole, None).await, Reading::open(&router, &town, None).await);
    outbox.put([
        told(2, "traffic", Some("ward")),
        told(3, "water", Some("ward")),
        told(4, "traffic", Some("village")),
        told(5, "traffic", None),
    ]);
    assert_eq!(all.numbers::<4>().await, [2, 3, 4, 5], "from where it was opened");
    outbox.put([told(6, "traffic", Some("town"))]);
    assert_eq!(some.numbers::<2>().await, [2, 6]);
    assert_eq!(all.numbers::<1>().await, [6]);
    drop((all, some));
    outbox.put([told(7, "traffic", Some("ward"))]);
    assert_eq!(Reading::open(&router, &whole, Some("3")).await.numbers::<4>().await, [4, 5, 6, 7]);
    assert_eq!(Reading::open(&router, &town, Some("2")).await.numbers::<2>().await, [6, 7]);
}

#[tokio::test]
async fn what_was_forgotten_is_said_and_a_number_that_was_never_given_is_refused() {
    let mut world = World::new();
    let whole = world.token("whole", Role::Viewer, &[], &[]);
    // as after a restart: the newest is known, nothing of it is kept
    crate::journal::Journal::open(world.folder.path()).unwrap();
    world.outbox = Arc::new(Outbox::new(world.folder.path(), 0));
    let outbox = world.outbox.clone();
    let router = router(world.parts());
    outbox.put([told(8, "traffic", None)]);
    let mut reading = Reading::open(&router, &whole, Some("5")).await;
    let (name, id, data) = reading.next().await.unwrap();
    assert_eq!((name.as_str(), id, data["lost"].as_u64()), ("lost", 7, Some(2)));
    assert_eq!(reading.numbers::<1>().await, [8]);
    for wrong in ["9", "-1", "x", ""] {
        let request =
            Request::get("/api/v1/alerts/stream").header("authorization", format!("Bearer {whole}")).header("last-event-id", wrong);
        let (status, body) = text(send(&router, request.body(Body::empty()).unwrap()).await).await;
        assert_eq!((status, problem_code(&body).as_str()), (StatusCode::BAD_REQUEST, "malformed"), "{wrong}");
    }
    assert_eq!(get(&router, "/api/v1/alerts/stream", "").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stream_takes_a_place_and_ends_when_its_token_is_revoked() {
    let mut world = World::new();
    world.settings.clients = 1;
    world.settings.look_again = Duration::from_millis(1);
    let whole = world.token("whole", Role::Viewer, &[], &[]);
    let router = router(world.parts());
    let mut reading = Reading::open(&router, &whole, None).await;
    assert_eq!(get(&router, "/api/v1/alerts/stream", &whole).await.0, StatusCode::SERVICE_UNAVAILABLE, "the only place is taken");
    tokens::revoke(world.folder.path(), "whole").unwrap();
    world.now.fetch_add(10_000, Ordering::SeqCst);
    assert_eq!(reading.next().await, None);
}
