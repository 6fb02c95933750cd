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
use super::caller::Caller;
use super::problem::Refusal;
use crate::engine::AlertId;
use crate::server::history::{HistoryQuery, MOST, Place};
use crate::server::wire::{AlertDetail, AlertsPage, Condition, Severity, Verdict};
use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use std::sync::Arc;

const PAGE: usize = 100;
const TEXT_CHARS: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsHistoryQuery {
    text: Option<String>,
    area: Option<String>,
    rule: Option<String>,
    sector: Option<String>,
    severity: Option<Severity>,
    from: Option<i64>,
    to: Option<i64>,
    owner: Option<String>,
    verdict: Option<Verdict>,
    condition: Option<Condition>,
    after: Option<String>,
    limit: Option<usize>,
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

pub async fn history(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<AlertsHistoryQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<AlertsPage>, Refusal> {
    let caller = caller.reader()?;
    let Query(query) = query.map_err(|error| Refusal::Malformed(error.body_text()))?;
    let asked = query.asked()?;
    let (records, province, scope) = (app.parts.records.clone(), app.parts.province.clone(), caller.scope);
    let page = tokio::task::spawn_blocking(move || records.page(&asked, &scope, &|area, allowed| province.within(area, allowed)));
    let page = page.await.map_err(|error| Refusal::Failed(error.to_string()))?;
    page.map(Json).map_err(|error| Refusal::Unavailable(error.to_string()))
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
