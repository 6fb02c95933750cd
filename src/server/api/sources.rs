//! Who sends, and how well: `GET /api/v1/sources`.
//!
//! Owns: what may be asked, by whom, in pages. Refuses to know: how figures of a source are kept.
//!
//! Invariants
//! 1. A source is seen by who sees its sector and its area; one without a sector or an area only by who has no such limit.
//! 2. At most [`MOST`] sources an answer, in the order of their ids.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use crate::server::scope::Scope;
use crate::server::wire::{Problem, SourceView, SourcesNow};
use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

pub const MOST: usize = 5_000;
/// A clock this far ahead, in ms, is worth a look: more than any road makes it late.
const CLOCK_AHEAD_MS: i64 = 5_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SourcesQuery {
    #[serde(default = "most")]
    #[param(minimum = 1, maximum = 5_000)]
    limit: usize,
    /// The last id of the page before.
    after: Option<String>,
    /// An area or group: what lies within.
    area: Option<String>,
    sector: Option<String>,
    /// Silent, late, conflicting, rejected, with emptied fields or with a clock more than 5 s ahead.
    #[serde(default)]
    troubled: bool,
}

const fn most() -> usize {
    MOST
}

#[utoipa::path(
    get, path = "/api/v1/sources", tag = "read",
    params(SourcesQuery),
    responses(
        (status = 200, description = "Sources in scope by id", body = SourcesNow),
        (status = 400, description = "A parameter that is not known or not of its kind", body = Problem)
    )
)]
pub async fn sources(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<SourcesQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<SourcesNow>, Refusal> {
    let caller = caller.reader()?;
    let words = "limit is a number, after, area and sector are texts, troubled is true or false";
    let Query(query) = query.map_err(|_| Refusal::Malformed(words.to_owned()))?;
    let (at, all) = app.parts.sources.sources().await?;
    let asked = query.area.as_ref().map(|area| Scope::new(std::slice::from_ref(area), &[], app.tree()));
    let wanted = |source: &SourceView| {
        seen(&caller.scope, source)
            && query.after.as_deref().is_none_or(|after| source.id.as_str() > after)
            && query.sector.as_ref().is_none_or(|sector| source.sector.as_ref() == Some(sector))
            && asked.as_ref().is_none_or(|area| area.sees_area(source.area.as_ref().map(|a| a.code.as_str())))
            && (!query.troubled || is_troubled(source))
    };
    let limit = query.limit;
    if !(1..=MOST).contains(&limit) {
        return Err(Refusal::Malformed(format!("limit is 1 to {MOST}")));
    }
    let mut sources: Vec<SourceView> = all.into_iter().filter(wanted).take(limit + 1).collect();
    let more = sources.len() > limit;
    sources.truncate(limit);
    Ok(Json(SourcesNow { at, sources, more }))
}

/// Whether a source is in scope.
pub fn seen(scope: &Scope, source: &SourceView) -> bool {
    let area = source.area.as_ref().map(|area| area.code.as_str());
    match &source.sector {
        Some(sector) => scope.sees(sector, area),
        None => scope.sees_every_sector() && scope.sees_area(area),
    }
}

fn is_troubled(source: &SourceView) -> bool {
    source.silent
        || source.late + source.conflict + source.rejected + source.invalid_field > 0
        || source.clock_offset_ms.is_some_and(|ms| ms > CLOCK_AHEAD_MS)
}
