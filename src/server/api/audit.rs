//! What the audit notes of requests whatever handler they reach: refusals, files that leave, replays that open.
//!
//! Owns: which answers these are. Refuses to know: handlers; what they do themselves is noted where it is done ([`Caller::note`]).
//!
//! Invariants
//! 1. A request waits for nothing here: noting never does.
//! 2. A token is never written, wherever it was put: refused requests are noted without their query.
//!
//! Called by: the router, around all routes.
//!
//! [`Caller::note`]: super::caller::Caller::note

use super::App;
use super::caller::{known, peer, who};
use crate::server::audit::Who;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;
use std::sync::Arc;

/// What is kept of a request until its answer is there.
struct Asked {
    method: Method,
    uri: Uri,
    /// Those that say who asks.
    headers: HeaderMap,
    address: IpAddr,
}

pub async fn watch(State(app): State<Arc<App>>, request: Request<Body>, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let named = [header::AUTHORIZATION, header::COOKIE];
    let headers = named.iter().flat_map(|name| parts.headers.get_all(name).iter().map(|value| (name.clone(), value.clone()))).collect();
    let asked = Asked { method: parts.method.clone(), uri: parts.uri.clone(), headers, address: peer(&parts, &app) };
    let response = next.run(Request::from_parts(parts, body)).await;
    note(&app, &asked, response.status());
    response
}

fn note(app: &App, asked: &Asked, status: StatusCode) {
    let Asked { method, uri, headers, address } = asked;
    let nobody = || Who { address: Some(*address), ..Who::default() };
    let now = || app.parts.access.now();
    let somebody = || known(headers, app).map_or_else(nobody, |guest| who(&guest, *address));
    let path = uri.path();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => {
            app.parts.audit.note_refused(now(), nobody(), format!("{} {method} {path}", status.as_u16()));
        }
        StatusCode::FORBIDDEN => app.parts.audit.note_refused(now(), somebody(), format!("403 {method} {path}")),
        StatusCode::SWITCHING_PROTOCOLS if path.ends_with("/replay") => app.parts.audit.note(now(), somebody(), "replay", path),
        StatusCode::OK if is_file(uri) => app.parts.audit.note(now(), somebody(), "export", uri.to_string()),
        _ => {}
    }
}

/// Rows or alerts as a file: the page's own requests are JSON.
fn is_file(uri: &Uri) -> bool {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    uri.path().starts_with("/api/") && pairs.into_iter().any(|(name, value)| name == "format" && value != "json")
}
