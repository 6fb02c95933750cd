//! `GET /api/v1/alerts/stream`: alert changes as server-sent events.
//!
//! Owns: where a stream begins and goes on, what of it is in scope, when it ends. Refuses to know: how changes are kept.
//!
//! Invariants
//! 1. Every change in scope comes once, in order; its `id` sent back as `Last-Event-ID` goes on right after it.
//! 2. What was forgotten meanwhile is said (event `lost`), never passed over silently.
//! 3. A stream ends when its reader's pass no longer holds or the server stops, and takes one of the places for clients.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use crate::journal::Told;
use crate::notify::event;
use crate::server::auth::Pass;
use crate::server::scope::Scope;
use crate::server::wire::Problem;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// A line of comment at least so often, so that a dead connection is noticed.
const ALIVE: Duration = Duration::from_secs(15);
/// Changes looked through at once.
const BATCH: usize = 256;

#[utoipa::path(
    get, path = "/api/v1/alerts/stream", tag = "live",
    params(("Last-Event-ID" = Option<String>, Header, pattern = "^[0-9]{1,18}$", description = "The last `id` that was seen; without it the stream begins now")),
    responses(
        (status = 200, description = "Server-sent events named `alert`: each the CloudEvent of one change, `id` its sequence; `lost` where some were forgotten", body = String, content_type = "text/event-stream"),
        (status = 400, description = "Last-Event-ID is no number", body = Problem)
    )
)]
pub async fn stream(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Refusal> {
    let caller = caller.reader()?;
    let at = match headers.get("last-event-id") {
        None => app.parts.outbox.newest(),
        Some(seen) => {
            let seen = seen.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
            // a number that was never given: of another data folder, perhaps
            let seen = seen.filter(|seen| *seen <= app.parts.outbox.newest());
            seen.ok_or_else(|| Refusal::Malformed("Last-Event-ID: the id of an event of this stream is expected".to_owned()))?
        }
    };
    let place = app.place()?;
    let newest = app.parts.outbox.watch();
    let line = Line { app, scope: caller.scope, pass: caller.pass, at, newest, ready: VecDeque::new(), _place: place };
    let events = futures_util::stream::unfold(line, async |mut line| line.next().await.map(|event| (Ok(event), line)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)))
}

/// One open stream.
struct Line {
    app: Arc<App>,
    scope: Scope,
    pass: Pass,
    /// Number of the last change that was looked at.
    at: u64,
    newest: watch::Receiver<u64>,
    ready: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

impl Line {
    /// `None`: the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.app.parts.access.admit(&self.pass)?;
            self.newest.borrow_and_update();
            let told = match self.app.parts.outbox.after(self.at, BATCH).await {
                Ok(told) => told,
                Err(error) => {
                    tracing::error!(%error, "a stream of alert changes ends");
                    return None;
                }
            };
            let Some(last) = told.last() else {
                // looked at again though nothing happens: the pass may end
                tokio::select! {
                    more = self.newest.changed() => more.ok()?,
                    () = tokio::time::sleep(self.app.parts.settings.look_again) => {}
                    () = self.app.parts.outbox.closed() => return None,
                }
                continue;
            };
            let lost = told[0].number - self.at - 1;
            if lost > 0 {
                self.ready
                    .push_back(Event::default().event("lost").id((told[0].number - 1).to_string()).data(format!("{{\"lost\":{lost}}}")));
            }
            self.at = last.number;
            let seen = told.iter().filter(|told| self.scope.sees(&told.sector, told.area.as_deref()));
            self.ready.extend(seen.map(|told| shown(told)));
        }
    }
}

fn shown(told: &Told) -> Event {
    Event::default().event("alert").id(told.number.to_string()).data(event::structured(told))
}
