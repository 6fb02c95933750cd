//! The websocket over real sockets of this machine: hello, resume, origin, bounds, goodbye.

use super::fixtures::*;
use super::province::World;
use crate::server::hub::Hub;
use crate::server::wire::*;
use crate::server::{auth, serve};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Running {
    pub address: SocketAddr,
    hub: Hub,
    pub stop: Option<oneshot::Sender<()>>,
    pub served: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub async fn start(world: &World) -> Running {
        let parts = world.parts();
        let hub = parts.hub.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(listener, parts, async move {
            let _ = stopped.await;
        }));
        Running { address, hub, stop: Some(stop), served }
    }

    async fn open(&self, pairs: &[(&'static str, String)]) -> Result<Socket, u16> {
        self.open_at("/api/v1/live", pairs).await
    }

    pub async fn open_at(&self, path: &str, pairs: &[(&'static str, String)]) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in pairs {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn greeted(&self, pairs: &[(&'static str, String)], resume: Option<Resume>) -> Socket {
        let mut socket = self.open(pairs).await.unwrap();
        say(&mut socket, &ClientMessage::Hello { protocol: PROTOCOL, resume }).await;
        socket
    }

    async fn publish(&self, number: u64, alerts: Vec<AlertView>) {
        self.hub.publish(Arc::new(tick(number, vec![], alerts))).await.unwrap();
    }
}

pub async fn say(socket: &mut Socket, message: &impl serde::Serialize) {
    socket.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
}

/// The next message of the protocol; `None`: closed.
pub async fn hear(socket: &mut Socket) -> Option<ServerMessage> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub async fn hear_bye(socket: &mut Socket) -> Option<ByeReason> {
    while let Some(message) = hear(socket).await {
        if let ServerMessage::Bye { reason, .. } = message {
            return Some(reason);
        }
    }
    None
}

/// Hears until an update with alerts; heartbeats may come between.
async fn hear_alerts(socket: &mut Socket, picture: &mut Picture) {
    loop {
        match hear(socket).await.unwrap() {
            ServerMessage::Update(update) => {
                picture.update(&update);
                if !update.alerts.is_empty() {
                    return;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn hello_snapshot_updates_and_resume_after_a_cut() {
    let world = World::new();
    let server = Running::start(&world).await;
    server.publish(1, vec![alert(1, 1, "traffic", "ward")]).await;
    let mut socket = server.greeted(&[], None).await;
    let Some(ServerMessage::Hello { protocol, epoch, resumed, me, .. }) = hear(&mut socket).await else { panic!("no hello") };
    assert_eq!((protocol, resumed, me.role), (PROTOCOL, false, Role::Operator));
    let Some(ServerMessage::Snapshot(snapshot)) = hear(&mut socket).await else { panic!("no snapshot") };
    let mut picture = Picture::default();
    picture.snapshot(&snapshot);
    assert_eq!(picture.alerts.len(), 1);
    server.publish(2, vec![alert(2, 1, "traffic", "ward")]).await;
    hear_alerts(&mut socket, &mut picture).await;
    drop(socket);
    server.publish(3, vec![alert(1, 2, "traffic", "ward"), alert(3, 1, "water", "ward")]).await;
    let resume = Resume { epoch: epoch.clone(), seq: picture.seq };
    let mut socket = server.greeted(&[], Some(resume)).await;
    let Some(ServerMessage::Hello { epoch: again, resumed, .. }) = hear(&mut socket).await else { panic!("no hello") };
    assert!(resumed && again == epoch);
    hear_alerts(&mut socket, &mut picture).await;
    server.publish(4, vec![alert(2, 2, "traffic", "ward")]).await;
    hear_alerts(&mut socket, &mut picture).await;
    assert_eq!(picture.told, [(id(2), 1), (id(1), 2), (id(3), 1), (id(2), 2)]);
}

#[tokio::test]
async fn a_foreign_origin_or_nobody_gets_no_socket() {
    let mut world = World::new();
    world.settings.origins = vec!["https://ioc.example.vn".into()];
    let open = Running::start(&world).await;
    let own = format!("http://{}", open.address);
    for (origin, status) in
        [(own.as_str(), None), ("https://ioc.example.vn", None), ("http://evil.example", Some(403)), ("null", Some(403))]
    {
        assert_eq!(open.open(&[("origin", origin.to_owned())]).await.err(), status, "{origin}");
    }
    let token = world.token("desk", Role::Operator, &[], &[]);
    let gateway = world.token("gateway", Role::Source, &[], &[]);
    let closed = Running::start(&world).await;
    assert_eq!(closed.open(&[]).await.err(), Some(401));
    assert_eq!(closed.open(&[("authorization", format!("Bearer {gateway}"))]).await.err(), Some(403));
    assert_eq!(closed.open(&[("authorization", format!("Bearer {token}"))]).await.err(), None);
}

#[tokio::test]
async fn who_does_not_follow_the_protocol_is_told_so_and_closed() {
    let mut world = World::new();
    world.settings.hello_within = Duration::from_millis(50);
    let impatient = Running::start(&world).await;
    let mut silent = impatient.open(&[]).await.unwrap();
    assert_eq!(hear_bye(&mut silent).await, Some(ByeReason::Protocol));
    world.settings.hello_within = Duration::from_secs(60);
    let server = Running::start(&world).await;
    let mut other = server.open(&[]).await.unwrap();
    say(&mut other, &ClientMessage::Hello { protocol: PROTOCOL + 1, resume: None }).await;
    assert_eq!(hear_bye(&mut other).await, Some(ByeReason::Protocol));
    for first in ["", "{}", "[1"] {
        let mut socket = server.open(&[]).await.unwrap();
        socket.send(Message::text(first)).await.unwrap();
        assert_eq!(hear_bye(&mut socket).await, Some(ByeReason::Protocol), "{first}");
    }
    let mut talkative = server.greeted(&[], None).await;
    talkative.send(Message::text("more")).await.unwrap();
    assert_eq!(hear_bye(&mut talkative).await, Some(ByeReason::Protocol));
    let mut large = server.open(&[]).await.unwrap();
    large.send(Message::text("x".repeat(5000))).await.unwrap();
    assert!(matches!(hear_bye(&mut large).await, Some(ByeReason::Protocol) | None));
}

#[tokio::test]
async fn a_revoked_token_closes_its_open_sockets() {
    let mut world = World::new();
    world.settings.look_again = Duration::from_millis(20);
    let token = world.token("desk", Role::Operator, &[], &[]);
    let server = Running::start(&world).await;
    let mut socket = server.greeted(&[("authorization", format!("Bearer {token}"))], None).await;
    assert!(matches!(hear(&mut socket).await, Some(ServerMessage::Hello { .. })));
    auth::tokens::revoke(world.folder.path(), "desk").unwrap();
    world.now.fetch_add(10_000, Ordering::SeqCst);
    assert_eq!(hear_bye(&mut socket).await, Some(ByeReason::Denied));
}

#[tokio::test]
async fn at_shutdown_everybody_hears_goodbye_and_the_server_ends() {
    let world = World::new();
    let mut server = Running::start(&world).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = server.greeted(&[], None).await;
        assert!(matches!(hear(&mut socket).await, Some(ServerMessage::Hello { .. })));
        sockets.push(socket);
    }
    server.stop.take().unwrap().send(()).unwrap();
    let goodbyes = futures_util::future::join_all(sockets.iter_mut().map(hear_bye)).await;
    assert_eq!(goodbyes, vec![Some(ByeReason::Shutdown); 3]);
    drop(sockets);
    server.served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_closed_as_slow_and_others_get_everything() {
    let world = World::new();
    let server = Running::start(&world).await;
    let mut slow = server.greeted(&[], None).await;
    let mut quick = server.greeted(&[], None).await;
    assert!(matches!(hear(&mut slow).await, Some(ServerMessage::Hello { .. })));
    for _ in 0..2 {
        hear(&mut quick).await.unwrap();
    }
    let mut picture = Picture::default();
    let mut sent = 0;
    while server.hub.counters().closed_slow.load(Ordering::Relaxed) == 0 {
        sent += 1;
        let mut large = alert(1, sent, "traffic", "ward");
        large.title.en = "x".repeat(500_000);
        server.publish(u64::from(sent), vec![large]).await;
        hear_alerts(&mut quick, &mut picture).await;
    }
    assert_eq!(picture.told.len(), sent as usize);
    assert_eq!(hear_bye(&mut slow).await, Some(ByeReason::Slow));
}

#[tokio::test]
async fn there_are_so_many_places_and_no_more() {
    let mut world = World::new();
    world.settings.clients = 1;
    let server = Running::start(&world).await;
    let _first = server.greeted(&[], None).await;
    assert_eq!(server.open(&[]).await.err(), Some(503));
}
