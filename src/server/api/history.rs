//! `GET /api/v1/alerts/history`: all alerts there were, in the caller's scope; and one of them whole.
//!
//! Owns: what may be asked. Refuses to know: how alerts are kept and found.
//!
//! Invariants
//! 1. Nothing outside the caller's scope is in any answer or counted in it.
//! 2. Of an alert that is held in memory the newest state is told, of any other the kept one.
//!
//! Called by: the router, act.

use super::App;
use super::alert_list;
use super::caller::Caller;
use super::problem::Refusal;
use super::rows::link;
use crate::engine::AlertId;
use crate::server::export::Format;
use crate::server::history::{HistoryQuery, MOST, Place};
use crate::server::wire::{AlertDetail, AlertsPage, Condition, Problem, Severity, Verdict};
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

const PAGE: usize = 100;
const TEXT_CHARS: usize = 200;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertsHistoryQuery {
    /// Words of title, area, owner or notes, with or without diacritics; each must occur.
    #[param(max_length = 200)]
    text: Option<String>,
    /// An area or group: what lies within.
    area: Option<String>,
    rule: Option<String>,
    sector: Option<String>,
    severity: Option<Severity>,
    from: Option<i64>,
    to: Option<i64>,
    #[param(max_length = 200)]
    owner: Option<String>,
    verdict: Option<Verdict>,
    condition: Option<Condition>,
    /// `next` of the page before.
    after: Option<String>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// A file of the page instead, as csv or geojson; the header `Link` then names the next page.
    #[serde(default)]
    format: Format,
}

impl AlertsHistoryQuery {
    fn asked(self) -> Result<HistoryQuery, Refusal> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=MOST).contains(&limit) {
            return Err(Refusal::Malformed(format!("limit is 1 to {MOST}")));
        }
        if [&self.text, &self.owner].into_iter().flatten().any(|text| text.chars().count() > TEXT_CHARS) {
            return Err(Refusal::Malformed(format!("text and owner have at most {TEXT_CHARS} characters")));
        }
        let place = |text: &String| {
            Place::parse(text).ok_or_else(|| Refusal::Malformed("after: give the `next` of the page before as it is".to_owned()))
        };
        Ok(HistoryQuery {
            after: self.after.as_ref().map(place).transpose()?,
            text: self.text,
            area: self.area,
            rule: self.rule,
            sector: self.sector,
            severity: self.severity,
            from: self.from,
            to: self.to,
            owner: self.owner,
            verdict: self.verdict,
            condition: self.condition,
            limit,
        })
    }
}

#[utoipa::path(
    get, path = "/api/v1/alerts/history", tag = "read",
    params(AlertsHistoryQuery),
    responses(
        (status = 200, description = "All alerts there were, newest `since` first", content((AlertsPage = "application/json"), (String = "text/csv"), (serde_json::Value = "application/geo+json"))),
        (status = 400, description = "A parameter that is not known or not of its kind", body = Problem)
    )
)]
pub async fn history(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<AlertsHistoryQuery>, axum::extract::rejection::QueryRejection>,
    pairs: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    let Query(query) = query.map_err(|error| Refusal::Malformed(error.body_text()))?;
    let Query(pairs) = pairs.map_err(|error| Refusal::Malformed(error.body_text()))?;
    let format = query.format;
    let asked = query.asked()?;
    let (records, province, scope) = (app.parts.records.clone(), app.parts.province.clone(), caller.scope);
    let page = tokio::task::spawn_blocking(move || records.page(&asked, &scope, &|area, allowed| province.within(area, allowed)));
    let page = page.await.map_err(|error| Refusal::Failed(error.to_string()))?;
    let page = page.map_err(|error| Refusal::Unavailable(error.to_string()))?;
    if format == Format::Json {
        return Ok(Json(page).into_response());
    }
    let next = page.next.map(|after| link("/api/v1/alerts/history", &pairs, &after));
    Ok(alert_list::table(app.parts.pipelines.setup(), &page.alerts).answer(format, "alerts", next))
}

/// One alert with its story, whoever asks: in memory, else as it was kept.
pub async fn detail(app: &App, id: AlertId) -> Result<Option<AlertDetail>, Refusal> {
    if let Some(detail) = app.parts.history.detail(id).await? {
        return Ok(Some(detail));
    }
    let records = app.parts.records.clone();
    let kept = tokio::task::spawn_blocking(move || records.detail(&id.to_string())).await;
    kept.map_err(|error| Refusal::Failed(error.to_string()))?.map_err(|error| Refusal::Unavailable(error.to_string()))
}
