//! `GET /api/v1/cases`: cases in the caller's scope.
//!
//! Owns: what may be asked. Refuses to know: how cases are kept.
//!
//! Invariants
//! 1. Nothing outside the caller's scope is in any answer or counted in it.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use crate::server::cases::{CaseQuery, MOST};
use crate::server::wire::{CasesPage, Problem};
use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CasesQuery {
    case: Option<String>,
    subject: Option<String>,
    state: Option<String>,
    open: Option<bool>,
    overdue: Option<bool>,
    due_soon: Option<bool>,
    /// An area or group: what lies within.
    area: Option<String>,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

#[utoipa::path(
    get, path = "/api/v1/cases", tag = "read",
    params(CasesQuery),
    responses(
        (status = 200, description = "Cases in scope as of the last tick, by due time", body = CasesPage),
        (status = 400, description = "A parameter that is not known or not of its kind", body = Problem)
    )
)]
pub async fn cases(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<CasesQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<CasesPage>, Refusal> {
    let caller = caller.reader()?;
    let Query(query) = query.map_err(|error| Refusal::Malformed(error.to_string()))?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=MOST).contains(&limit) {
        return Err(Refusal::Malformed(format!("limit is 1 to {MOST}")));
    }
    let asked = CaseQuery {
        case: query.case,
        subject: query.subject,
        state: query.state,
        open: query.open,
        overdue: query.overdue,
        due_soon: query.due_soon,
        area: query.area,
        limit,
        after: query.after,
    };
    let (cases, province, scope) = (app.parts.cases.clone(), app.parts.province.clone(), caller.scope);
    // all cases of a province are looked through: not on a thread that serves others
    let page = tokio::task::spawn_blocking(move || cases.ask(&asked, &scope, &|area, allowed| province.within(area, allowed)));
    page.await.map(Json).map_err(|error| Refusal::Failed(error.to_string()))
}
