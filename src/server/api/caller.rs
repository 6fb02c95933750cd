//! Who makes a request, and from which page.
//!
//! Owns: [`Caller`]: cookie, bearer token or open access, the origin of the page, the host's name. Refuses to know: what is asked for.
//!
//! Invariants
//! 1. A request that changes something and could have been made by a browser on another site's behalf is refused: with a cookie or open
//!    access, an `Origin` must be the server's own; with a cookie it must be there.
//! 2. With open access the server answers to loopback names and configured hosts only: a foreign name that points here (DNS rebinding) is refused.
//! 3. A token in a URL is never looked at.
//!
//! Called by: every handler that needs to know who asks; ws.

use super::App;
use super::problem::Refusal;
use crate::server::audit::Who;
use crate::server::auth::{Guest, Pass, SignInError, Via};
use crate::server::scope::Scope;
use axum::extract::{ConnectInfo, FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub const COOKIE: &str = "ioc_session";

/// Somebody who came in by the rules above.
pub struct Caller {
    pub guest: Guest,
    pub pass: Pass,
    pub scope: Scope,
    pub address: IpAddr,
}

impl Caller {
    /// Who may read the picture.
    pub fn reader(self) -> Result<Caller, Refusal> {
        if self.guest.may_read {
            return Ok(self);
        }
        Err(Refusal::NotAllowed("a token with the role source sends events and sees nothing".to_owned()))
    }

    /// Notes in the audit what the caller did or saw, and to what; `name`: what a person with open access calls themselves.
    pub fn note(&self, app: &App, name: Option<&str>, what: &str, object: impl Into<String>) {
        let mut who = who(&self.guest, self.address);
        if let (Via::Open, Some(name)) = (self.guest.via, name) {
            who.name = name.trim().to_owned();
        }
        app.parts.audit.note(app.parts.access.now(), who, what, object);
    }
}

/// A guest as the audit names them.
pub fn who(guest: &Guest, address: IpAddr) -> Who {
    let role = if guest.via == Via::Open { "open" } else { guest.me.role.name() };
    Who { name: guest.me.name.clone(), role: role.to_owned(), address: Some(address) }
}

/// Who stands behind the headers of a request that was let in before; nothing is counted.
pub fn known(headers: &HeaderMap, app: &App) -> Option<Guest> {
    let pass = match bearer(headers) {
        Some(token) => Pass::Token(crate::server::auth::tokens::hash(token)),
        None if app.parts.access.is_open() => Pass::Open,
        None => Pass::Session(session(headers)?.to_owned()),
    };
    app.parts.access.admit(&pass)
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Caller, Refusal> {
        let address = peer(parts, app);
        let pass = pass(&parts.headers, address, app)?;
        let guest = app.parts.access.admit(&pass).ok_or(Refusal::SignedOut)?;
        check_page(&parts.headers, app, guest.via, is_change(parts))?;
        let scope = Scope::of(&guest.me, app.tree());
        Ok(Caller { guest, pass, scope, address })
    }
}

/// What stands in the path; anything else is refused as every other mistake is.
pub struct InPath<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for InPath<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<InPath<T>, Refusal> {
        let read = Path::<T>::from_request_parts(parts, app).await;
        read.map(|Path(value)| InPath(value)).map_err(|error| Refusal::Malformed(error.body_text()))
    }
}

/// An upgrade to a websocket is a GET that a foreign page can make with the cookie.
fn is_change(parts: &Parts) -> bool {
    !matches!(parts.method, Method::GET | Method::HEAD) || parts.headers.contains_key(header::UPGRADE)
}

fn pass(headers: &HeaderMap, peer: IpAddr, app: &App) -> Result<Pass, Refusal> {
    if let Some(token) = bearer(headers) {
        return app.parts.access.check_bearer(peer, token).map_err(refused);
    }
    if app.parts.access.is_open() {
        return Ok(Pass::Open);
    }
    session(headers).map(|id| Pass::Session(id.to_owned())).ok_or(Refusal::SignedOut)
}

pub fn refused(error: SignInError) -> Refusal {
    match error {
        SignInError::Unknown => Refusal::BadToken,
        SignInError::TooMany { seconds } => Refusal::TooManyFailures { seconds },
        SignInError::Random => Refusal::Failed(error.to_string()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session id in the cookie.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// The page must be the server's own.
pub fn check_page(headers: &HeaderMap, app: &App, via: Via, change: bool) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if via == Via::Open && !is_own_name(host, app) {
        return Err(Refusal::ForeignHost(host.to_owned()));
    }
    if !change || via == Via::Bearer {
        return Ok(());
    }
    match headers.get(header::ORIGIN) {
        Some(origin) => {
            let origin = origin.to_str().unwrap_or("?");
            if is_own_origin(origin, host, app) { Ok(()) } else { Err(Refusal::ForeignOrigin(origin.to_owned())) }
        }
        None if via == Via::Cookie => Err(Refusal::ForeignOrigin("the request with a cookie names no Origin".to_owned())),
        None => Ok(()),
    }
}

fn is_own_origin(origin: &str, host: &str, app: &App) -> bool {
    let own = origin
        .split_once("://")
        .is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && !host.is_empty() && rest.eq_ignore_ascii_case(host));
    own || app.parts.settings.origins.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

fn is_own_name(host: &str, app: &App) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(crate::server::auth::is_loopback);
    let allowed = |origin: &String| origin.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').eq_ignore_ascii_case(host));
    loopback || app.parts.settings.origins.iter().any(allowed)
}

/// The address that failed sign-ins are counted by.
pub fn peer(parts: &Parts, app: &App) -> IpAddr {
    let forwarded = || parts.headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim().parse().ok();
    let direct = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let believed = if app.parts.settings.behind_proxy { forwarded() } else { None };
    believed.or(direct).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Whether the browser speaks https with whoever stands before us.
pub fn is_secure(headers: &HeaderMap, app: &App) -> bool {
    let settings = &app.parts.settings;
    let forwarded = || headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    settings.secure_cookies || (settings.behind_proxy && forwarded())
}
