//! One figure over time, from the store.
//!
//! Owns: what may be asked of the store and by whom. Refuses to know: which store, its language.
//!
//! Invariants
//! 1. A question names one series: every tag of the measurement, no other. So its scope is decided by its tags alone.
//! 2. The area is the tag `area`, else the registered area of the tag `source`; where neither says one, it lies outside every area.
//! 3. At most [`MOST_POINTS`] points; a longer span is refused, not thinned.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use crate::server::parts::{Province, TrendQuery};
use crate::server::scope::Scope;
use crate::server::wire::{MeasurementView, Problem, Trend};
use axum::Json;
use axum::extract::{Query, State};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const MOST_POINTS: i64 = 5_000;
/// The tag value of what no area holds.
pub const OUTSIDE: &str = "outside";

type Pairs = Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>;

#[utoipa::path(
    get, path = "/api/v1/trend", tag = "read",
    params(
        ("measurement" = String, Query, description = "Name of the measurement"),
        ("field" = String, Query, description = "One of its fields"),
        ("from" = i64, Query, description = "First start, ms since 1970"),
        ("to" = i64, Query, description = "After the last start, ms since 1970"),
        ("tags" = BTreeMap<String, String>, Query, style = Form, explode, description = "All of its tags, each as tag.NAME=VALUE")
    ),
    responses(
        (status = 200, description = "One series from the store", body = Trend),
        (status = 400, description = "Not one series: all tags of the measurement are needed; or times that make no span", body = Problem),
        (status = 404, description = "No such measurement, field or series in scope", body = Problem),
        (status = 413, description = "More than 5,000 points", body = Problem)
    )
)]
pub async fn trend(State(app): State<Arc<App>>, caller: Caller, pairs: Pairs) -> Result<Json<Trend>, Refusal> {
    let caller = caller.reader()?;
    let Query(pairs) = pairs.map_err(|error| Refusal::Malformed(error.to_string()))?;
    let asked = Asked::read(pairs)?;
    let catalog = app.parts.province.catalog();
    let measurement = catalog.measurements.iter().find(|each| each.measurement == asked.measurement);
    let unknown = || Refusal::NotFound(format!("measurement {:?}", asked.measurement));
    let measurement = measurement.filter(|each| caller.scope.sees_sector(&each.sector)).ok_or_else(unknown)?;
    let query = asked.check(measurement)?;
    if !in_scope(&*app.parts.province, &caller.scope, &measurement.sector, &query.tags) {
        return Err(Refusal::NotFound(format!("series {:?} of {:?}", query.tags, query.measurement)));
    }
    let unit = measurement.fields.iter().find(|each| each.field == query.field).map(|each| each.unit.clone()).unwrap_or_default();
    let (name, field, limit) = (query.measurement.clone(), query.field.clone(), query.limit);
    let mut points = app.parts.trends.trend(query).await?;
    points.truncate(limit);
    Ok(Json(Trend { measurement: name, field, unit, every_ms: measurement.every_ms, points }))
}

/// Whether a series may be seen: by its measurement's sector and by the area that its tags say.
pub fn in_scope(province: &dyn Province, scope: &Scope, sector: &str, tags: &BTreeMap<String, String>) -> bool {
    let area = match (tags.get("area"), tags.get("source")) {
        (Some(area), _) if area == OUTSIDE => None,
        (Some(area), _) => Some(area.clone()),
        (None, Some(source)) => province.source_area(source),
        (None, None) => None,
    };
    let sector_tag = tags.get("sector").is_none_or(|sector| scope.sees_sector(sector));
    sector_tag && scope.sees(sector, area.as_deref())
}

#[derive(Debug, Default)]
struct Asked {
    measurement: String,
    field: String,
    from: Option<i64>,
    to: Option<i64>,
    tags: BTreeMap<String, String>,
}

impl Asked {
    fn read(pairs: Vec<(String, String)>) -> Result<Asked, Refusal> {
        let mut asked = Asked::default();
        let time = |name: &str, value: &str| {
            value.parse().map(Some).map_err(|_| Refusal::Malformed(format!("{name}={value} is no number of ms since 1970")))
        };
        for (name, value) in pairs {
            match name.as_str() {
                "measurement" => asked.measurement = value,
                "field" => asked.field = value,
                "from" => asked.from = time("from", &value)?,
                "to" => asked.to = time("to", &value)?,
                _ => match name.strip_prefix("tag.") {
                    Some(tag) if asked.tags.insert(tag.to_owned(), value).is_none() => {}
                    Some(tag) => return Err(Refusal::Malformed(format!("tag.{tag} is there twice"))),
                    None => return Err(Refusal::Malformed(format!("{name} is not known; tags are written tag.NAME=VALUE"))),
                },
            }
        }
        Ok(asked)
    }

    fn check(&self, measurement: &MeasurementView) -> Result<TrendQuery, Refusal> {
        if !measurement.fields.iter().any(|each| each.field == self.field) {
            return Err(Refusal::NotFound(format!("field {:?} of {:?}", self.field, self.measurement)));
        }
        let needed = measurement.tags.iter().all(|tag| self.tags.contains_key(tag));
        if !needed || self.tags.len() != measurement.tags.len() {
            let all: Vec<String> = measurement.tags.iter().map(|tag| format!("tag.{tag}")).collect();
            return Err(Refusal::Malformed(format!("{:?} is asked by all of its tags: {}", self.measurement, all.join(", "))));
        }
        let (Some(from), Some(to)) = (self.from, self.to) else {
            return Err(Refusal::Malformed("from and to are needed, in ms since 1970".to_owned()));
        };
        let span = to.checked_sub(from).filter(|span| *span > 0);
        let span = span.ok_or_else(|| Refusal::Malformed("to must be after from".to_owned()))?;
        let every = measurement.every_ms.max(1);
        if span / every > MOST_POINTS {
            let longest = every.saturating_mul(MOST_POINTS);
            return Err(Refusal::TooLarge(format!("at most {MOST_POINTS} points: ask for {longest} ms or less at a time")));
        }
        Ok(TrendQuery {
            measurement: self.measurement.clone(),
            field: self.field.clone(),
            tags: self.tags.clone(),
            from,
            to,
            limit: MOST_POINTS as usize,
        })
    }
}
