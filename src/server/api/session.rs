//! Signing in and out.
//!
//! Owns: the exchange of a token for a cookie. Refuses to know: how tokens and sessions are kept.
//!
//! Invariants
//! 1. The cookie holds a session id, never the token; HttpOnly, SameSite=Strict, Path=/, Secure behind https.
//! 2. Signing in from a foreign page is refused.
//!
//! Called by: the router.

use super::App;
use super::caller::{COOKIE, check_page, is_secure, peer, refused, session, who};
use super::problem::Refusal;
use crate::server::auth::session::LASTS_MS;
use crate::server::auth::{Pass, Via};
use crate::server::wire::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::ToSchema;

/// A sign-in is small.
const BODY_LIMIT: usize = 4096;

/// A sign-in.
#[derive(Deserialize, ToSchema)]
pub struct SignIn {
    /// "ioc_…"
    token: String,
}

#[utoipa::path(
    post, path = "/api/v1/session", tag = "session",
    request_body = SignIn,
    security(()),
    responses(
        (status = 204, description = "Signed in: the cookie is set"),
        (status = 400, description = "No such body", body = Problem),
        (status = 408, description = "The body came too slowly", body = Problem),
        (status = 413, description = "Too long", body = Problem)
    )
)]
pub async fn begin(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    // Without a cookie yet; what a foreign page could do is sign the browser in as somebody else.
    if parts.headers.contains_key(header::ORIGIN) {
        check_page(&parts.headers, &app, Via::Cookie, true)?;
    }
    let body = super::body(body, BODY_LIMIT).await?;
    let asked: SignIn = serde_json::from_slice(&body).map_err(|_| Refusal::Malformed("{\"token\": \"ioc_…\"} is expected".to_owned()))?;
    let address = peer(&parts, &app);
    let id = app.parts.access.sign_in(address, asked.token.trim()).map_err(refused)?;
    note(&app, &id, address, "sign_in");
    let cookie = cookie(&id, LASTS_MS / 1000, is_secure(&parts.headers, &app))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

#[utoipa::path(
    delete, path = "/api/v1/session", tag = "session",
    security(()),
    responses(
        (status = 204, description = "Signed out")
    )
)]
pub async fn end(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response, Refusal> {
    check_page(request.headers(), &app, Via::Cookie, true)?;
    let (parts, _) = request.into_parts();
    if let Some(id) = session(&parts.headers) {
        note(&app, id, peer(&parts, &app), "sign_out");
        app.parts.access.sign_out(id);
    }
    let cookie = cookie("", 0, is_secure(&parts.headers, &app))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// A session that does not hold any more has nobody to name.
fn note(app: &App, id: &str, address: IpAddr, what: &str) {
    if let Some(guest) = app.parts.access.admit(&Pass::Session(id.to_owned())) {
        app.parts.audit.note(app.parts.access.now(), who(&guest, address), what, "");
    }
}

fn cookie(id: &str, seconds: i64, secure: bool) -> Result<HeaderValue, Refusal> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::try_from(text).map_err(|error| Refusal::Failed(error.to_string()))
}
