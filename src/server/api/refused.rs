//! Records that were refused or late, with their bytes, and driving refused ones again.
//!
//! Owns: who may see them, pages, what a redrive may ask for. Refuses to know: how they are kept, how a verdict is reached.
//!
//! Invariants
//! 1. A refused record has no area that could be trusted: only who sees the whole province, or the roles admin and analyst, see any.
//! 2. Driving again needs the right to send events, besides.
//! 3. A verdict that is not known is null, never guessed.
//!
//! Called by: the router.

use super::App;
use super::caller::{Caller, InPath};
use super::problem::Refusal;
use crate::server::auth::Via;
use crate::server::wire::{LatePage, LateView, Problem, RedriveRequest, RedrivenView, RejectedPage, RejectedView, Role};
use crate::store::late::{KeptLate, WantedLate};
use crate::store::rejected::{Kept, Redriven, Wanted};
use crate::time::Timestamp;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Records of a page without `limit`, and at most.
const PAGE: usize = 50;
const MOST: usize = 500;
/// Records of one redrive at most.
pub const MOST_REDRIVEN: usize = 1_000;
const RAW_CHARS: usize = 2_000;
const BODY_LIMIT: usize = 64 * 1024;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RejectedQuery {
    /// "schema" or "schema.required".
    reason: Option<String>,
    /// `next` of the page before.
    before: Option<i64>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LateQuery {
    pipeline: Option<String>,
    source: Option<String>,
    /// `next` of the page before.
    before: Option<i64>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

fn allowed(caller: Caller) -> Result<Caller, Refusal> {
    let caller = caller.reader()?;
    if caller.scope.is_whole() || matches!(caller.guest.me.role, Role::Admin | Role::Analyst) {
        return Ok(caller);
    }
    Err(Refusal::NotAllowed("refused records are seen by the roles admin and analyst, and by who sees the whole province".to_owned()))
}

fn limit(asked: Option<usize>) -> Result<usize, Refusal> {
    let limit = asked.unwrap_or(PAGE);
    if (1..=MOST).contains(&limit) { Ok(limit) } else { Err(Refusal::Malformed(format!("limit is 1 to {MOST}"))) }
}

fn malformed(error: &QueryRejection) -> Refusal {
    Refusal::Malformed(error.body_text())
}

#[utoipa::path(
    get, path = "/api/v1/rejected", tag = "read",
    params(RejectedQuery),
    responses(
        (status = 200, description = "Refused records, newest first", body = RejectedPage),
        (status = 400, description = "A parameter that is not known or not of its kind", body = Problem)
    )
)]
pub async fn rejected(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<RejectedQuery>, QueryRejection>,
) -> Result<Json<RejectedPage>, Refusal> {
    allowed(caller)?;
    let Query(query) = query.map_err(|e| malformed(&e))?;
    let limit = limit(query.limit)?;
    let wanted = Wanted { reason: query.reason, before: query.before, limit, ..Wanted::default() };
    let kept = app.parts.refusals.rejected(wanted).await?;
    let next = kept.last().filter(|_| kept.len() == limit).map(|k| k.number);
    Ok(Json(RejectedPage { records: kept.iter().map(|k| view(k, RAW_CHARS)).collect(), next }))
}

#[utoipa::path(
    get, path = "/api/v1/rejected/{number}", tag = "read",
    params(("number" = i64, Path, description = "As the list gives it")),
    responses(
        (status = 200, description = "The record with all of its bytes", body = RejectedView),
        (status = 400, description = "No number", body = Problem),
        (status = 404, description = "No such record", body = Problem)
    )
)]
pub async fn one(State(app): State<Arc<App>>, caller: Caller, InPath(number): InPath<i64>) -> Result<Json<RejectedView>, Refusal> {
    allowed(caller)?;
    let kept = app.parts.refusals.one(number).await?;
    kept.map(|k| Json(view(&k, usize::MAX))).ok_or_else(|| unknown(number))
}

fn unknown(number: i64) -> Refusal {
    Refusal::NotFound(format!("no rejected record has the number {number}"))
}

#[utoipa::path(
    get, path = "/api/v1/late", tag = "read",
    params(LateQuery),
    responses(
        (status = 200, description = "Late records, newest first", body = LatePage),
        (status = 400, description = "A parameter that is not known or not of its kind", body = Problem)
    )
)]
pub async fn late(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<LateQuery>, QueryRejection>,
) -> Result<Json<LatePage>, Refusal> {
    allowed(caller)?;
    let Query(query) = query.map_err(|e| malformed(&e))?;
    let limit = limit(query.limit)?;
    let wanted = WantedLate { pipeline: query.pipeline, source: query.source, before: query.before, limit };
    let kept = app.parts.refusals.late(wanted).await?;
    let next = kept.last().filter(|_| kept.len() == limit).map(|k| k.number);
    Ok(Json(LatePage { records: kept.iter().map(late_view).collect(), next }))
}

#[utoipa::path(
    post, path = "/api/v1/rejected/redrive", tag = "act",
    request_body = RedriveRequest,
    responses(
        (status = 200, description = "What became of each record", body = Vec<RedrivenView>),
        (status = 400, description = "Neither numbers nor a filter", body = Problem),
        (status = 404, description = "No record has such a number", body = Problem),
        (status = 408, description = "The body came too slowly", body = Problem),
        (status = 413, description = "More than 1,000 records", body = Problem)
    )
)]
pub async fn redrive(State(app): State<Arc<App>>, caller: Caller, body: Body) -> Result<Json<Vec<RedrivenView>>, Refusal> {
    let caller = allowed(caller)?;
    if !caller.guest.may_feed {
        return Err(Refusal::NotAllowed("driving records again needs a token with the role admin".to_owned()));
    }
    let body = super::body(body, BODY_LIMIT).await?;
    let asked: RedriveRequest = serde_json::from_slice(&body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let by = if caller.guest.via == Via::Open { asked.name.clone().unwrap_or_default() } else { caller.guest.me.name.clone() };
    let records = chosen(&app, &asked).await?;
    let driven = app.parts.refusals.redrive(records, by.clone()).await?;
    caller.note(&app, Some(&by), "redrive", format!("{} records", driven.len()));
    Ok(Json(driven.iter().map(RedrivenView::from).collect()))
}

async fn chosen(app: &App, asked: &RedriveRequest) -> Result<Vec<Kept>, Refusal> {
    if asked.numbers.is_empty() {
        if asked.reason.is_none() && asked.since.is_none() {
            return Err(Refusal::Malformed("which: numbers, or reason, or since".to_owned()));
        }
        let since = asked.since.map(Timestamp::from_millis);
        let wanted = Wanted { reason: asked.reason.clone(), since, undriven: !asked.again, limit: MOST_REDRIVEN, before: None };
        let mut records = app.parts.refusals.rejected(wanted).await?;
        // oldest first, as they came
        records.reverse();
        return Ok(records);
    }
    if asked.numbers.len() > MOST_REDRIVEN {
        return Err(Refusal::TooLarge(format!("at most {MOST_REDRIVEN} records at once")));
    }
    let mut records = Vec::new();
    for number in &asked.numbers {
        records.push(app.parts.refusals.one(*number).await?.ok_or_else(|| unknown(*number))?);
    }
    Ok(records)
}

fn view(kept: &Kept, chars: usize) -> RejectedView {
    RejectedView {
        number: kept.number,
        topic: kept.topic.clone(),
        partition: kept.partition,
        offset: kept.offset,
        broker_time: kept.broker_time.map(Timestamp::millis),
        reason: kept.reason.clone(),
        path: kept.path.clone(),
        at: kept.at,
        detail: kept.detail.clone(),
        source: kept.source.clone(),
        raw: String::from_utf8_lossy(&kept.raw).chars().take(chars).collect(),
        redriven: kept.redriven.as_ref().map(RedrivenView::from),
    }
}

impl From<&Redriven> for RedrivenView {
    fn from(redriven: &Redriven) -> RedrivenView {
        let place = redriven.place.as_ref();
        RedrivenView {
            number: redriven.number,
            at: redriven.at.millis(),
            by: redriven.by.clone(),
            topic: place.map(|p| p.topic.clone()),
            partition: place.map(|p| p.partition),
            offset: place.map(|p| p.offset),
            verdict: redriven.verdict.clone(),
            verdicts: redriven.verdicts.clone(),
            reason: redriven.reason.clone(),
        }
    }
}

fn late_view(kept: &KeptLate) -> LateView {
    LateView {
        number: kept.number,
        pipeline: kept.pipeline.clone(),
        topic: kept.topic.clone(),
        partition: kept.partition,
        offset: kept.offset,
        broker_time: kept.broker_time.map(Timestamp::millis),
        kind: kept.kind.clone(),
        source: kept.source.clone(),
        id: kept.id.clone(),
        time: kept.time.millis(),
        delay_ms: kept.delay.millis(),
        raw: String::from_utf8_lossy(&kept.raw).chars().take(RAW_CHARS).collect(),
    }
}
