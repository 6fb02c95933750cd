//! The server: the live picture over websockets, the REST interface, the page.
//!
//! Owns: everything a browser or an API client speaks with. Refuses to know: events' meaning, windows, rules, stores; they come as
//! [`ServerParts`] and [`board::BoardTick`].
//!
//! Invariants
//! 1. Nothing is shown before its journal record is durable (D2): the driver publishes after the commit, actions are answered after it.
//! 2. What a reader may see is decided in one place ([`scope::Scope`]) and asked for every frame and every answer.
//! 3. Every queue, table and body is bounded (D6).
//!
//! One change's way: driver → [`hub::Hub::publish`] → board → group of a scope → seat → ws → browser.
//!
//! Called by: the composition root (`serve`), cli (`auth::tokens`, `auth::may_listen`).

pub mod api;
pub mod audit;
pub mod auth;
pub mod board;
pub mod cases;
pub mod export;
pub mod history;
pub mod hub;
mod page;
mod parts;
pub mod pipelines;
mod replay;
pub mod scope;
pub mod views;
pub mod wire;
mod ws;

#[cfg(test)]
mod tests;

pub use parts::{
    ActionAnswer, ActionRequest, ActionSink, AlertHistory, Answer, AreaShape, DoorError, DoorRecord, EventDoor, Handled, Probes, Province,
    Refusals, ReplayLine, ReplayRefused, Replays, RowSource, ServerParts, ServerSettings, SourceBook, SourceError, TrendQuery, TrendSource,
};

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// So long open requests and goodbyes may take once the server stops.
const LEAVING: Duration = Duration::from_secs(5);

/// All routes, for tests and for whoever listens otherwise.
pub fn router(parts: ServerParts) -> axum::Router {
    api::routes(api::App::new(parts))
}

/// Serves until `shutdown` resolves, then says goodbye to all clients and ends; open requests get a few seconds.
pub async fn serve(listener: TcpListener, parts: ServerParts, shutdown: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    let app = api::App::new(parts);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopping = async move {
        shutdown.await;
        // `serve` may have failed and be gone already.
        let _ = stop.send(());
    };
    let service = api::routes(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stopping);
    let mut served = std::pin::pin!(served.into_future());
    // Without open requests `served` ends in the same moment as `stopped`: the goodbyes are due in either case.
    let ended = tokio::select! {
        biased;
        _ = stopped => None,
        result = &mut served => Some(result),
    };
    app.stopping.cancel();
    app.parts.hub.stop().await;
    app.parts.outbox.close();
    let clients = u32::try_from(app.parts.settings.clients).unwrap_or(u32::MAX);
    // Whoever has not left by then is cut.
    let goodbyes = tokio::time::timeout(LEAVING, Arc::clone(&app.client_room).acquire_many_owned(clients));
    let requests = async move {
        match ended {
            Some(result) => result,
            None => tokio::time::timeout(LEAVING, served).await.unwrap_or(Ok(())),
        }
    };
    let (served, _) = tokio::join!(requests, goodbyes);
    served
}
