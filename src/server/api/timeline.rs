//! The bar of the past: how far it reaches, alerts and gaps on it.
//!
//! Owns: what may be asked of it. Refuses to know: journal, checkpoints.
//!
//! Invariants
//! 1. Alerts are those of the caller's scope; gaps and reach are the same for everybody.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use crate::server::wire::{Problem, Timeline};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    from: Option<i64>,
    to: Option<i64>,
}

#[utoipa::path(
    get, path = "/api/v1/timeline", tag = "read",
    params(Asked),
    responses(
        (status = 200, description = "How far the past reaches, with alerts in scope and gaps", body = Timeline),
        (status = 400, description = "A parameter that is not of its kind", body = Problem)
    )
)]
pub async fn timeline(
    State(app): State<Arc<App>>,
    caller: Caller,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Timeline>, Refusal> {
    let caller = caller.reader()?;
    let Query(asked) = asked.map_err(|_| Refusal::Malformed("from and to are ms since 1970".to_owned()))?;
    Ok(Json(app.parts.replays.timeline(caller.scope, asked.from, asked.to).await?))
}
