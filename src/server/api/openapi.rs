//! `GET /api/v1/openapi.json`: the REST interface as OpenAPI 3.1, made from the handlers and the types of the wire.
//!
//! Owns: which handlers are in it, what all of them refuse, how a caller says who they are. Refuses to know: what any handler does.
//!
//! Invariants
//! 1. Every route is in the document and nothing else is (server/tests/openapi.rs); what a route may answer is what it answers
//!    (tests/api/run asks the running program).
//!
//! Called by: the router.

use super::{
    act, alert_list, cases, events, history, indicators, pipelines, probe, read, refused, rows, session, sources, stream, timeline, trend,
};
use crate::server::export::Format;
use crate::server::wire::Problem;
use crate::server::{replay, ws};
use axum::Json;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Type};
use utoipa::{Modify, OpenApi as _};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "ioc",
        description = "What a program may ask of ioc. Times are milliseconds since 1970-01-01T00:00:00Z. What lies outside the caller's areas and sectors is answered as what does not exist. docs/api.md shows how to use it; docs/protocol.md is the prose."
    ),
    paths(
        read::me,
        session::begin,
        session::end,
        read::catalog,
        read::areas,
        trend::trend,
        rows::rows,
        indicators::indicators,
        sources::sources,
        cases::cases,
        pipelines::pipelines,
        pipelines::explain,
        alert_list::alerts,
        read::alert,
        history::history,
        stream::stream,
        act::act,
        act::act_on_many,
        events::post,
        refused::rejected,
        refused::one,
        refused::redrive,
        refused::late,
        ws::live,
        replay::replay,
        timeline::timeline,
        openapi,
        probe::healthz,
        probe::readyz,
        probe::metrics,
    ),
    components(schemas(Problem, Format)),
    modifiers(&Everywhere)
)]
struct Document;

/// The document; no token is needed: it tells nothing of the province.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "watch", security(()),
    responses((status = 200, description = "This document", body = serde_json::Value))
)]
pub async fn openapi() -> Json<OpenApi> {
    Json(document())
}

pub fn document() -> OpenApi {
    Document::openapi()
}

/// What all handlers have in common.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token: `ioc token create`")).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(super::caller::COOKIE, "From POST /api/v1/session");
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let either = ["token", "session"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        document.security = Some(either.to_vec());
        for (path, item) in &mut document.paths.paths {
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete, &mut item.patch];
            for operation in operations.into_iter().flatten() {
                let open = operation.security.is_some();
                refuse(operation, path, open);
            }
        }
    }
}

/// Adds what every handler may refuse.
fn refuse(operation: &mut Operation, path: &str, open: bool) {
    let signs_in = path == "/api/v1/session";
    let mut add = |status: &str, what: &str, header: Option<&str>| {
        let reference = Ref::from_schema_name(<Problem as utoipa::ToSchema>::name());
        let content = ContentBuilder::new().schema(Some(reference)).build();
        let mut response = ResponseBuilder::new().description(what).content("application/json", content);
        if let Some(name) = header {
            let kind = if name == "Retry-After" { Type::Integer } else { Type::String };
            response = response.header(name, HeaderBuilder::new().schema(ObjectBuilder::new().schema_type(kind)).build());
        }
        operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response.build()));
    };
    if !open {
        add("401", "Not signed in, or the token is wrong", Some("WWW-Authenticate"));
        add("403", "Signed in, but not allowed; or the request comes from a foreign page", None);
        add("429", "Ten wrong tokens from this address in a minute", Some("Retry-After"));
        add("503", "A part is not available just now", Some("Retry-After"));
    }
    if signs_in {
        add("401", "The token is wrong", Some("WWW-Authenticate"));
        add("403", "The request comes from a foreign page", None);
        add("429", "Ten wrong tokens from this address in a minute", Some("Retry-After"));
    }
}
