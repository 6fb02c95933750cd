//! What may be read: who am I, catalogue, areas, one alert.
//!
//! Owns: the answers of the reading half of the REST interface, except the trend. Refuses to know: how the picture is kept, who signs in.
//!
//! Invariants
//! 1. Nothing outside the caller's scope is in any answer; what is outside is "not found", not "forbidden".
//! 2. Answers are absolute and of now; nothing of them is kept by caches.
//!
//! Called by: the router.

use super::App;
use super::caller::{Caller, InPath};
use super::history;
use super::problem::Refusal;
use crate::engine::AlertId;
use crate::server::hub::HubGone;
use crate::server::parts::{AreaShape, SourceError};
use crate::server::scope::Scope;
use crate::server::wire::{AlertDetail, AlertView, Catalog, GroupView, Me, Problem, RuleView};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;

impl From<HubGone> for Refusal {
    fn from(gone: HubGone) -> Refusal {
        Refusal::Unavailable(gone.to_string())
    }
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Refusal {
        match error {
            SourceError::Unavailable(detail) => Refusal::Unavailable(detail),
            SourceError::Failed(detail) => Refusal::Failed(detail),
        }
    }
}

/// Also for a machine that sees nothing else.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "read",
    responses(
        (status = 200, description = "Who asks", body = Me)
    )
)]
pub async fn me(caller: Caller) -> Json<Me> {
    Json(caller.guest.me)
}

#[utoipa::path(
    get, path = "/api/v1/catalog", tag = "read",
    responses(
        (status = 200, description = "Sectors, measurements and rules in scope", body = Catalog)
    )
)]
pub async fn catalog(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Catalog>, Refusal> {
    let caller = caller.reader()?;
    Ok(Json(catalog_in_scope(&app.parts.province.catalog(), &caller.scope)))
}

/// The sectors in scope, with their measurements and rules.
pub fn catalog_in_scope(catalog: &Catalog, scope: &Scope) -> Catalog {
    let measurements: Vec<_> = catalog.measurements.iter().filter(|each| scope.sees_sector(&each.sector)).cloned().collect();
    // a rule on a case has no measurement: it is seen with its pipeline's
    let known = |rule: &&RuleView| {
        measurements.iter().any(|each| match rule.measurement.as_str() {
            "" => each.pipeline == rule.pipeline,
            measurement => each.measurement == measurement,
        })
    };
    let used = |tag: &String| measurements.iter().any(|each| each.tags.contains(tag));
    let names = catalog.names.iter().filter(|(tag, _)| used(tag)).map(|(tag, codes)| (tag.clone(), codes.clone())).collect();
    Catalog {
        place: catalog.place.clone(),
        time_zone: catalog.time_zone.clone(),
        sectors: catalog.sectors.iter().filter(|each| scope.sees_sector(&each.code)).cloned().collect(),
        rules: catalog.rules.iter().filter(known).cloned().collect(),
        measurements,
        areas: catalog.areas.iter().filter(|area| scope.sees_area(Some(&area.code))).cloned().collect(),
        groups: catalog.groups.iter().filter_map(|group| group_in_scope(group, scope)).collect(),
        names,
        demo: catalog.demo.clone(),
    }
}

/// A group with those of its members that the reader sees.
fn group_in_scope(group: &GroupView, scope: &Scope) -> Option<GroupView> {
    let members: Vec<String> = group.members.iter().filter(|code| scope.sees_area(Some(code))).cloned().collect();
    (!members.is_empty()).then(|| GroupView { members, ..group.clone() })
}

#[utoipa::path(
    get, path = "/api/v1/areas", tag = "read",
    responses(
        (status = 200, description = "A FeatureCollection of the areas in scope in force now; `ETag`", body = serde_json::Value, content_type = "application/geo+json"),
        (status = 304, description = "As `If-None-Match` says")
    )
)]
pub async fn areas(State(app): State<Arc<App>>, caller: Caller, headers: HeaderMap) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    let text = areas_in_scope(&app.parts.province.areas(), &caller.scope);
    let tag: String = Sha256::digest(text.as_bytes()).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let same = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|seen| seen.to_str().ok())
        .is_some_and(|seen| seen.split(',').any(|each| each.trim().trim_start_matches("W/") == tag));
    // Another reader at the same screen may have another scope: always asked again.
    let fixed = [(header::ETAG, tag), (header::CACHE_CONTROL, "private, no-cache".to_owned())];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    Ok((fixed, [(header::CONTENT_TYPE, "application/geo+json")], text).into_response())
}

/// A GeoJSON FeatureCollection of the areas in scope. A parent outside the scope is not named.
pub fn areas_in_scope(areas: &[AreaShape], scope: &Scope) -> String {
    let mut text = String::from("{\"type\":\"FeatureCollection\",\"features\":[");
    let mut first = true;
    for area in areas.iter().filter(|area| scope.sees_area(Some(&area.code))) {
        let parent = area.parent.as_deref().filter(|parent| scope.sees_area(Some(parent)));
        let properties = serde_json::json!({ "code": area.code, "name": area.name, "level": area.level, "parent": parent });
        if !first {
            text.push(',');
        }
        first = false;
        text.push_str("{\"type\":\"Feature\",\"properties\":");
        text.push_str(&properties.to_string());
        text.push_str(",\"geometry\":");
        text.push_str(&area.geometry);
        text.push('}');
    }
    text.push_str("]}");
    text
}

pub fn alert_id(text: &str) -> Result<AlertId, Refusal> {
    let id = AlertId::try_from(text.to_owned()).map_err(Refusal::Malformed)?;
    if id.to_string() == text { Ok(id) } else { Err(Refusal::Malformed("an alert id has lower-case digits".to_owned())) }
}

/// The alert as the picture holds it, if it is in scope.
pub async fn alert_in_scope(app: &App, scope: &Scope, id: AlertId) -> Result<Option<Arc<AlertView>>, Refusal> {
    Ok(app.parts.hub.alert(id.to_string()).await?.filter(|alert| scope.sees_alert(alert)))
}

/// The same, of an alert that has left the picture too.
pub async fn known_in_scope(app: &App, scope: &Scope, id: AlertId) -> Result<Option<Arc<AlertView>>, Refusal> {
    if let Some(alert) = alert_in_scope(app, scope, id).await? {
        return Ok(Some(alert));
    }
    let known = history::detail(app, id).await?.map(|detail| Arc::new(detail.alert));
    Ok(known.filter(|alert| scope.sees_alert(alert)))
}

#[utoipa::path(
    get, path = "/api/v1/alerts/{id}", tag = "read",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 lower-case hexadecimal digits")),
    responses(
        (status = 200, description = "The alert and how it came to be", body = AlertDetail),
        (status = 400, description = "No id of an alert", body = Problem),
        (status = 404, description = "No such alert in scope", body = Problem)
    )
)]
pub async fn alert(State(app): State<Arc<App>>, caller: Caller, InPath(id): InPath<String>) -> Result<Json<AlertDetail>, Refusal> {
    let caller = caller.reader()?;
    let id = alert_id(&id)?;
    let current = alert_in_scope(&app, &caller.scope, id).await?;
    let known = history::detail(&app, id).await?.filter(|detail| caller.scope.sees_alert(&detail.alert));
    let mut detail = match (known, current) {
        (Some(mut detail), Some(current)) => {
            // The picture may be a tick ahead of the journal's reader, or behind it.
            if current.version > detail.alert.version {
                detail.alert = AlertView::clone(&current);
            }
            detail
        }
        (Some(detail), None) => detail,
        (None, Some(current)) => {
            AlertDetail { alert: AlertView::clone(&current), history: Vec::new(), procedure: None, positions: Vec::new() }
        }
        (None, None) => return Err(Refusal::NotFound(format!("alert {id}"))),
    };
    let catalog = app.parts.province.catalog();
    let rule = catalog.rules.iter().find(|rule| rule.pipeline == detail.alert.pipeline && rule.rule == detail.alert.rule);
    detail.procedure = rule.and_then(|rule| rule.sop.clone());
    Ok(Json(detail))
}
