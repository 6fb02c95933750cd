//! `GET /api/v1/alerts`: the alerts of the picture in scope, filtered, by the page, as JSON or as a file.
//!
//! Owns: what may be asked of them, their columns. Refuses to know: how the picture is kept; alerts that have left it.
//!
//! Invariants
//! 1. Nothing outside the caller's scope is in any answer.
//! 2. Newest `since` first, then by id; a page goes on where the last one ended (header `Link`).
//! 3. What holds personal data is in no file: its tags and fields are left out, a title that names any becomes the rule's name.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use super::rows::{link, point_of};
use crate::engine::setup::Setup;
use crate::server::export::{Cell, Format, Table, TableRow};
use crate::server::scope::Scope;
use crate::server::views::without_personal;
use crate::server::wire::{AlertView, Condition, Handling, Problem, Severity};
use crate::time::Timestamp;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::IntoParams;

/// Alerts of a page at most; all of them without `limit`.
const MOST: usize = 10_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertsQuery {
    /// Pending, firing and no data only.
    open: bool,
    condition: Option<Condition>,
    handling: Option<Handling>,
    severity: Option<Severity>,
    sector: Option<String>,
    rule: Option<String>,
    /// An area or group.
    area: Option<String>,
    /// From the header `Link` of the page before.
    after: Option<String>,
    /// All of them if left out.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    format: Format,
}

#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "read",
    params(AlertsQuery),
    responses(
        (status = 200, description = "Alerts of the picture, newest first; the header `Link` of the relation next names the next page", content((Vec<AlertView> = "application/json"), (String = "text/csv"), (serde_json::Value = "application/geo+json"))),
        (status = 400, description = "A parameter that is not known or not of its kind", body = Problem)
    )
)]
pub async fn alerts(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<AlertsQuery>, QueryRejection>,
    pairs: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    let Query(query) = query.map_err(|error| Refusal::Malformed(error.body_text()))?;
    let Query(pairs) = pairs.map_err(|error| Refusal::Malformed(error.body_text()))?;
    let limit = query.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Refusal::Malformed(format!("limit is 1 to {MOST}")));
    }
    let after = query
        .after
        .as_deref()
        .map(|after| place_of(after).ok_or_else(|| Refusal::Malformed("after: take it from the header Link".to_owned())));
    let after = after.transpose()?;
    let area = query.area.as_ref().map(|area| Scope::new(std::slice::from_ref(area), &[], app.tree()));
    let mut alerts = app.parts.hub.alerts(caller.scope).await?;
    alerts.retain(|alert| {
        query.takes(alert) && area.as_ref().is_none_or(|area| area.sees_area(alert.area.as_ref().map(|a| a.code.as_str())))
    });
    alerts.sort_by(|a, b| place(a).cmp(&place(b)));
    if let Some((since, id)) = &after {
        alerts.retain(|alert| place(alert) > (*since, id.as_str()));
    }
    let next = (alerts.len() > limit).then(|| format!("{}-{}", alerts[limit - 1].since, alerts[limit - 1].id));
    alerts.truncate(limit);
    let next = next.map(|after| link("/api/v1/alerts", &pairs, &after));
    if query.format != Format::Json {
        return Ok(table(app.parts.pipelines.setup(), &alerts).answer(query.format, "alerts", next));
    }
    let mut response = Json(alerts).into_response();
    if let Some(link) = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// Newest first.
fn place(alert: &AlertView) -> (std::cmp::Reverse<i64>, &str) {
    (std::cmp::Reverse(alert.since), &alert.id)
}

fn place_of(after: &str) -> Option<(std::cmp::Reverse<i64>, String)> {
    let (since, id) = after.rsplit_once('-')?;
    Some((std::cmp::Reverse(since.parse().ok()?), id.to_owned()))
}

impl AlertsQuery {
    fn takes(&self, alert: &AlertView) -> bool {
        let open = matches!(alert.condition, Condition::Pending | Condition::Firing | Condition::NoData);
        (!self.open || open)
            && self.condition.is_none_or(|c| c == alert.condition)
            && self.handling.is_none_or(|h| h == alert.handling)
            && self.severity.is_none_or(|s| s == alert.severity)
            && self.sector.as_ref().is_none_or(|s| *s == alert.sector)
            && self.rule.as_ref().is_none_or(|r| *r == alert.rule)
    }
}

const COLUMNS: [&str; 28] = [
    "id",
    "version",
    "pipeline",
    "rule",
    "sector",
    "severity",
    "title_vi",
    "title_en",
    "area",
    "area_name",
    "key",
    "condition",
    "handling",
    "since",
    "changed",
    "resolved",
    "retroactive",
    "acknowledged_by",
    "acknowledged_at",
    "assigned_to",
    "verdict",
    "closed_by",
    "closed_at",
    "measurement",
    "window_start",
    "window_end",
    "values",
    "when",
];

/// Alerts as a table.
pub fn table(setup: &Setup, alerts: &[Arc<AlertView>]) -> Table {
    let mut points = BTreeMap::new();
    let row = |alert: &Arc<AlertView>| {
        let alert = without_personal(setup, alert);
        let position = alert.position.or_else(|| {
            let code = &alert.area.as_ref()?.code;
            let at = Timestamp::from_millis(alert.since);
            *points.entry(code.clone()).or_insert_with(|| point_of(setup, code, at))
        });
        TableRow { cells: cells(&alert), position }
    };
    Table { columns: COLUMNS.map(str::to_owned).to_vec(), rows: alerts.iter().map(row).collect() }
}

/// A word of the wire: "no_data".
fn word(value: &impl serde::Serialize) -> Cell {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(Cell::text)).unwrap_or(Cell::Empty)
}

fn cells(alert: &AlertView) -> Vec<Cell> {
    let acknowledged = alert.acknowledged.as_ref();
    let pairs = |pairs: Vec<String>| Cell::text(pairs.join("; "));
    vec![
        Cell::text(alert.id.clone()),
        Cell::from(alert.version),
        Cell::text(alert.pipeline.clone()),
        Cell::text(alert.rule.clone()),
        Cell::text(alert.sector.clone()),
        word(&alert.severity),
        Cell::text(alert.title.vi.clone()),
        Cell::text(alert.title.en.clone()),
        Cell::from(alert.area.as_ref().map(|a| a.code.clone())),
        Cell::from(alert.area.as_ref().map(|a| a.name.clone())),
        pairs(alert.key.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        word(&alert.condition),
        word(&alert.handling),
        Cell::Time(alert.since),
        Cell::Time(alert.changed),
        alert.resolved.map_or(Cell::Empty, Cell::Time),
        Cell::Flag(alert.retroactive),
        Cell::from(acknowledged.map(|a| a.by.clone())),
        acknowledged.map_or(Cell::Empty, |a| Cell::Time(a.at)),
        Cell::from(alert.assigned.as_ref().map(|a| a.to.clone())),
        alert.closed.as_ref().map_or(Cell::Empty, |c| word(&c.verdict)),
        Cell::from(alert.closed.as_ref().map(|c| c.by.clone())),
        alert.closed.as_ref().map_or(Cell::Empty, |c| Cell::Time(c.at)),
        Cell::text(alert.evidence.measurement.clone()),
        Cell::Time(alert.evidence.window_start),
        Cell::Time(alert.evidence.window_end),
        pairs(alert.evidence.values.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        Cell::text(alert.evidence.when.clone()),
    ]
}
