//! The websocket of a replay over real sockets: hello, commands, places, scope, goodbye. What a replay shows is tested with real data in tests/it.

use super::live::{Running, hear, hear_bye, say};
use super::province::{World, get};
use crate::server::router;
use crate::server::scope::Scope;
use crate::server::wire::*;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const PATH: &str = "/api/v1/replay";

fn bearer(token: &str) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {token}"))]
}

const HELLO: ClientMessage = ClientMessage::Hello { protocol: PROTOCOL, resume: None };

#[tokio::test]
async fn a_replay_greets_obeys_and_knows_its_readers_scope() {
    let world = World::new();
    let token = world.token("Lan", Role::Local, &["ward"], &["traffic"]);
    let server = Running::start(&world).await;
    let mut socket = server.open_at(PATH, &bearer(&token)).await.unwrap();
    say(&mut socket, &HELLO).await;
    let Some(ServerMessage::Hello { resumed, me, .. }) = hear(&mut socket).await else { panic!("no hello") };
    assert_eq!((resumed, me.name.as_str()), (false, "Lan"));
    say(&mut socket, &ReplayCommand::Open { at: 7, speed: 0.0 }).await;
    let Some(ServerMessage::Replay(state)) = hear(&mut socket).await else { panic!("no state") };
    let scope = Scope::new(&["ward".to_owned()], &["traffic".to_owned()], Arc::new(world.tree.clone()));
    assert_eq!((state.at, state.note.map(|n| n.vi)), (7, Some(scope.name())));
    say(&mut socket, &json!({"type": "seek", "at": 8})).await;
    let Some(ServerMessage::Replay(state)) = hear(&mut socket).await else { panic!("no state") };
    assert_eq!(state.at, 8);
}

#[tokio::test]
async fn a_replay_has_no_message_by_which_it_could_act() {
    let world = World::new();
    let token = world.token("Lan", Role::Operator, &[], &[]);
    let server = Running::start(&world).await;
    for act in [json!({"type": "acknowledge", "id": "1", "version": 1}), json!({"type": "act", "act": {"kind": "acknowledge"}}), json!([])]
    {
        let mut socket = server.open_at(PATH, &bearer(&token)).await.unwrap();
        say(&mut socket, &HELLO).await;
        say(&mut socket, &act).await;
        assert_eq!(hear_bye(&mut socket).await, Some(ByeReason::Protocol), "{act}");
        drop(socket);
        // its place is free when its thread has ended
        while world.store.replays.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut actions = world.actions;
    assert!(actions.try_recv().is_err(), "nothing reached the driver");
}

#[tokio::test]
async fn places_are_bounded_and_given_back() {
    let world = World::new();
    let token = world.token("Lan", Role::Analyst, &[], &[]);
    let server = Running::start(&world).await;
    let first = server.open_at(PATH, &bearer(&token)).await.unwrap();
    let _second = server.open_at(PATH, &bearer(&token)).await.unwrap();
    assert_eq!(server.open_at(PATH, &bearer(&token)).await.unwrap_err(), 503);
    drop(first);
    while world.store.replays.load(Ordering::SeqCst) > 1 {
        tokio::task::yield_now().await;
    }
    server.open_at(PATH, &bearer(&token)).await.unwrap();
}

#[tokio::test]
async fn who_may_not_read_gets_no_replay_and_a_server_that_stops_says_so() {
    let world = World::new();
    let machine = world.token("cam", Role::Source, &[], &[]);
    let token = world.token("Lan", Role::Viewer, &[], &[]);
    let mut server = Running::start(&world).await;
    assert_eq!(server.open_at(PATH, &bearer(&machine)).await.unwrap_err(), 403);
    assert_eq!(server.open_at(PATH, &[]).await.unwrap_err(), 401);
    let mut socket = server.open_at(PATH, &bearer(&token)).await.unwrap();
    say(&mut socket, &HELLO).await;
    assert!(matches!(hear(&mut socket).await, Some(ServerMessage::Hello { .. })));
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(hear_bye(&mut socket).await, Some(ByeReason::Shutdown));
    drop(socket);
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_timeline_is_the_readers_own() {
    let world = World::new();
    let (all, ward) = (world.token("A", Role::Analyst, &[], &[]), world.token("B", Role::Local, &["ward"], &[]));
    let router = router(world.parts());
    let ids = async |token: &str, path: &str| {
        let (status, body) = get(&router, path, token).await;
        assert_eq!(status, 200, "{body}");
        let timeline: Timeline = serde_json::from_str(&body).unwrap();
        (timeline.oldest, timeline.alerts.into_iter().map(|a| a.id).collect::<Vec<_>>())
    };
    assert_eq!(ids(&all, "/api/v1/timeline?from=3").await, (3, vec!["ward".to_owned(), "village".to_owned()]));
    assert_eq!(ids(&ward, "/api/v1/timeline").await, (1, vec!["ward".to_owned()]));
    assert_eq!(get(&router, "/api/v1/timeline?from=now", &all).await.0, 400);
}
