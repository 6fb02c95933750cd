//! Questions of those who watch the process: healthy, ready, figures.
//!
//! Owns: the three answers and the server's own lines of metrics. Refuses to know: what makes the process ready.
//!
//! Invariants
//! 1. `/healthz` and `/readyz` tell nothing of the province and need no token; `/metrics` needs a reader without limits.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[utoipa::path(
    get, path = "/healthz", tag = "watch",
    security(()),
    responses(
        (status = 200, description = "The process answers", body = String, content_type = "text/plain")
    )
)]
pub async fn healthz() -> &'static str {
    "ok\n"
}

#[utoipa::path(
    get, path = "/readyz", tag = "watch",
    security(()),
    responses(
        (status = 200, description = "The state is built and the log is readable", body = String, content_type = "text/plain"),
        (status = 503, description = "What is missing", body = String, content_type = "text/plain")
    )
)]
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    match app.parts.probes.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")).into_response(),
    }
}

#[utoipa::path(
    get, path = "/metrics", tag = "watch",
    responses(
        (status = 200, description = "Prometheus text", body = String, content_type = "text/plain")
    )
)]
pub async fn metrics(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    if !caller.scope.is_whole() {
        return Err(Refusal::NotAllowed("metrics are of the whole province; use a token without area and sector".to_owned()));
    }
    // The end mark of OpenMetrics, if it is there, comes last.
    let text = app.parts.probes.metrics();
    let (text, end) = match text.strip_suffix("# EOF\n") {
        Some(rest) => (rest.to_owned(), "# EOF\n"),
        None => (text, ""),
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], format!("{text}{}{end}", own(&app))).into_response())
}

fn own(app: &App) -> String {
    let counters = app.parts.hub.counters();
    let lines = [
        ("ioc_live_clients", "gauge", "Websockets that hold the live picture", &counters.clients),
        ("ioc_live_scopes", "gauge", "Different scopes among them", &counters.scopes),
        ("ioc_live_frames_encoded_total", "counter", "Frames written as JSON, once per scope", &counters.frames_encoded),
        ("ioc_live_frames_queued_total", "counter", "Frames handed to clients", &counters.frames_queued),
        ("ioc_live_bytes_queued_total", "counter", "Bytes handed to clients", &counters.bytes_queued),
        ("ioc_live_closed_slow_total", "counter", "Clients closed because their queue reached its bound", &counters.closed_slow),
        ("ioc_live_snapshots_total", "counter", "Clients that got a snapshot", &counters.snapshots),
        ("ioc_live_resumes_total", "counter", "Clients that resumed", &counters.resumes),
        ("ioc_board_figures_dropped_total", "counter", "Figures left out of the picture at its bound", &counters.figures_dropped),
        ("ioc_board_alerts_dropped_total", "counter", "Alerts left out of the picture at its bound", &counters.alerts_dropped),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {}", value.load(Ordering::Relaxed));
    }
    text
}
