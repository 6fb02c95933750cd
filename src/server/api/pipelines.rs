//! `GET /api/v1/pipelines`, and why a window has not fired.
//!
//! Owns: what may be asked. Refuses to know: how the answer is found.
//!
//! Invariants
//! 1. Nothing outside the caller's scope is in any answer or counted in it.
//!
//! Called by: the router.

use super::App;
use super::caller::{Caller, InPath};
use super::problem::Refusal;
use super::sources::seen;
use crate::server::pipelines::{Around, Flow, NoAnswer, WindowQuestion};
use crate::server::wire::{Explanation, PipelinesNow, Problem};
use crate::time::Timestamp;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use std::sync::Arc;

impl From<NoAnswer> for Refusal {
    fn from(no: NoAnswer) -> Refusal {
        match no {
            NoAnswer::NotFound(what) => Refusal::NotFound(what),
            NoAnswer::Malformed(what) => Refusal::Malformed(what),
        }
    }
}

fn flow(app: &App) -> Result<Arc<Flow>, Refusal> {
    app.parts.pipelines.flow().ok_or_else(|| Refusal::Unavailable("the state is being built: ask again in a minute".to_owned()))
}

#[utoipa::path(
    get, path = "/api/v1/pipelines", tag = "read",
    responses(
        (status = 200, description = "Pipelines of the sectors in scope, as of the last second", body = PipelinesNow)
    )
)]
pub async fn pipelines(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<PipelinesNow>, Refusal> {
    let caller = caller.reader()?;
    let flow = flow(&app)?;
    let catalog = app.parts.province.catalog();
    let alerts = app.parts.hub.alerts(caller.scope.clone()).await?;
    Ok(Json(app.parts.pipelines.now(&flow, &Around { scope: &caller.scope, rules: &catalog.rules, alerts: &alerts })))
}

#[utoipa::path(
    get, path = "/api/v1/pipelines/{name}/explain", tag = "read",
    params(
        ("name" = String, Path, description = "The pipeline"),
        ("measurement" = String, Query, description = "One of its measurements"),
        ("start" = Option<String>, Query, description = "Start of the window, ms since 1970 or RFC 3339; else the oldest that has not fired"),
        ("tags" = Option<BTreeMap<String, String>>, Query, style = Form, explode, description = "Only sources of this key, each tag as tag.NAME=VALUE")
    ),
    responses(
        (status = 200, description = "Why the window has not fired", body = Explanation),
        (status = 400, description = "No window begins at `start`, or a tag that the measurement does not have", body = Problem),
        (status = 404, description = "No such pipeline or measurement in scope", body = Problem)
    )
)]
pub async fn explain(
    State(app): State<Arc<App>>,
    caller: Caller,
    InPath(name): InPath<String>,
    pairs: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Explanation>, Refusal> {
    let caller = caller.reader()?;
    let Query(pairs) = pairs.map_err(|error| Refusal::Malformed(error.body_text()))?;
    let asked = question(name, pairs)?;
    let flow = flow(&app)?;
    // refused before anything is asked of the driver
    app.parts.pipelines.explain(&flow, &caller.scope, &asked, &[])?;
    let (_, mut sources) = app.parts.sources.sources().await?;
    sources.retain(|source| seen(&caller.scope, source));
    Ok(Json(app.parts.pipelines.explain(&flow, &caller.scope, &asked, &sources)?))
}

fn question(pipeline: String, pairs: Vec<(String, String)>) -> Result<WindowQuestion, Refusal> {
    let mut asked = WindowQuestion { pipeline, ..WindowQuestion::default() };
    for (name, value) in pairs {
        match name.as_str() {
            "measurement" if asked.measurement.is_empty() => asked.measurement = value,
            "start" if asked.start.is_none() => asked.start = Some(instant(&value)?),
            _ => match name.strip_prefix("tag.") {
                Some(tag) if asked.tags.insert(tag.to_owned(), value).is_none() => {}
                _ => return Err(Refusal::Malformed(format!("{name}: give measurement, start and tag.NAME=VALUE once each"))),
            },
        }
    }
    if asked.measurement.is_empty() {
        return Err(Refusal::Malformed("measurement is needed".to_owned()));
    }
    Ok(asked)
}

/// ms since 1970, or RFC 3339.
fn instant(value: &str) -> Result<Timestamp, Refusal> {
    let ms = value.parse::<i64>().ok().filter(|ms| ms.checked_mul(crate::time::NANOS_PER_MILLI).is_some()).map(Timestamp::from_millis);
    let wrong =
        || Refusal::Malformed(format!("start={value} is neither a number of ms since 1970 nor an instant as in 2026-06-01T07:00:00+07:00"));
    ms.or_else(|| Timestamp::parse_rfc3339(value.as_bytes())).ok_or_else(wrong)
}
