//! The REST interface: routes, what all answers have in common.
//!
//! Owns: [`App`] (what handlers share), the table of routes, headers that every answer carries. Refuses to know: what any handler does.
//!
//! Invariants
//! 1. Every refusal is a `wire::Problem`; unknown paths and methods too.
//! 2. Every answer carries the security headers of [`headers`].
//! 3. Every body is read up to a limit of bytes and time, and no further.
//!
//! Called by: server (`router`).

pub mod act;
pub mod alert_list;
pub mod audit;
pub mod caller;
pub mod cases;
pub mod events;
pub mod headers;
pub mod history;
pub mod indicators;
pub mod openapi;
pub mod pipelines;
pub mod probe;
pub mod problem;
pub mod read;
pub mod refused;
pub mod rows;
pub mod session;
pub mod sources;
pub mod stream;
pub mod timeline;
pub mod trend;

use crate::server::parts::ServerParts;
use crate::server::scope::ScopeTree;
use crate::server::{page, replay, ws};
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use problem::Refusal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// What all handlers share.
pub struct App {
    pub parts: ServerParts,
    /// Bytes of events on their way.
    pub events_room: Arc<Semaphore>,
    /// Places for websockets.
    pub client_room: Arc<Semaphore>,
    /// Cancelled once the server stops: for sockets that the hub knows nothing of.
    pub stopping: CancellationToken,
}

impl App {
    pub fn new(parts: ServerParts) -> Arc<App> {
        let events_room = Arc::new(Semaphore::new(parts.settings.events_in_flight));
        let client_room = Arc::new(Semaphore::new(parts.settings.clients));
        Arc::new(App { parts, events_room, client_room, stopping: CancellationToken::new() })
    }

    /// A place among the open pages, held as long as one is.
    pub fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let full = |_| Refusal::Busy { seconds: 10, detail: format!("{} clients are connected", self.parts.settings.clients) };
        self.client_room.clone().try_acquire_owned().map_err(full)
    }

    pub fn tree(&self) -> Arc<dyn ScopeTree> {
        self.parts.province.clone()
    }
}

pub fn routes(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/openapi.json", get(openapi::openapi))
        .route("/me", get(read::me))
        .route("/session", post(session::begin).delete(session::end))
        .route("/catalog", get(read::catalog))
        .route("/areas", get(read::areas))
        .route("/trend", get(trend::trend))
        .route("/sources", get(sources::sources))
        .route("/cases", get(cases::cases))
        .route("/rows", get(rows::rows))
        .route("/indicators", get(indicators::indicators))
        .route("/pipelines", get(pipelines::pipelines))
        .route("/pipelines/{name}/explain", get(pipelines::explain))
        .route("/alerts", get(alert_list::alerts))
        .route("/alerts/history", get(history::history))
        .route("/alerts/stream", get(stream::stream))
        .route("/alerts/act", post(act::act_on_many))
        .route("/alerts/{id}", get(read::alert))
        .route("/alerts/{id}/act", post(act::act))
        .route("/events", post(events::post))
        .route("/rejected", get(refused::rejected))
        .route("/rejected/{number}", get(refused::one))
        .route("/rejected/redrive", post(refused::redrive))
        .route("/late", get(refused::late))
        .route("/timeline", get(timeline::timeline))
        .route("/live", get(ws::live))
        .route("/replay", get(replay::replay))
        .fallback(async || Refusal::NotFound("docs/protocol.md lists what there is".to_owned()))
        .method_not_allowed_fallback(async || Refusal::WrongMethod("the header Allow names those that it takes".to_owned()));
    let all = Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(probe::healthz))
        .route("/readyz", get(probe::readyz))
        .route("/metrics", get(probe::metrics))
        .fallback(page::serve)
        .layer(axum::middleware::from_fn_with_state(app.clone(), audit::watch))
        .with_state(app);
    headers::layer(all)
}

/// A body must have come after so long.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body up to `limit` bytes.
pub async fn body(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_PATIENCE, axum::body::to_bytes(body, limit)).await;
    read.map_err(|_| Refusal::TooSlow)?.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(each) = cause {
            if each.to_string().contains("length limit") {
                return too_large(limit);
            }
            cause = each.source();
        }
        Refusal::Malformed(format!("the body broke off: {error}"))
    })
}

pub fn too_large(limit: usize) -> Refusal {
    Refusal::TooLarge(format!("at most {limit} bytes"))
}
