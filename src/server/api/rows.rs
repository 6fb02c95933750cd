//! `GET /api/v1/rows`: rows from the store, for programs and spreadsheets.
//!
//! Owns: what may be asked, by whom, in which form. Refuses to know: which store, its language.
//!
//! Invariants
//! 1. A row is seen by who sees its measurement's sector and the area that its tags say (trend.rs); what is outside is in no page.
//! 2. Tags and fields that hold personal data are in no answer and cannot be asked by.
//! 3. A page is bounded; `next`, or the header `Link`, says where it goes on.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use super::trend;
use crate::engine::FieldValue;
use crate::engine::setup::Setup;
use crate::pipeline::{Pipeline, WindowSpec};
use crate::server::export::{Cell, Format, Table, TableRow};
use crate::server::scope::Scope;
use crate::server::views::row_state;
use crate::server::wire::{AreaRef, Problem, RowView, RowsPage};
use crate::store::line::StoredRow;
use crate::store::pages::{self, Cursor, RowsQuery};
use crate::time::Timestamp;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use geo::InteriorPoint;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of a page of JSON without `limit`, and at most.
const PAGE: usize = 1_000;
const MOST: usize = 10_000;
/// Rows of a file at most, and without `limit`.
const FILE: usize = 50_000;

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

#[utoipa::path(
    get, path = "/api/v1/rows", tag = "read",
    params(
        ("measurement" = String, Query, description = "Name of the measurement"),
        ("from" = String, Query, description = "First start, ms since 1970 or RFC 3339"),
        ("to" = String, Query, description = "After the last start, ms since 1970 or RFC 3339"),
        ("area" = Option<String>, Query, description = "An area or group: what lies within"),
        ("tags" = Option<BTreeMap<String, String>>, Query, style = Form, explode, description = "Tags that must be just so, each as tag.NAME=VALUE"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 50000, description = "Rows of a page: 10,000 at most as JSON (1,000 if left out), 50,000 as a file"),
        ("format" = Option<Format>, Query, description = "json if left out")
    ),
    responses(
        (status = 200, description = "Rows by (start, tags), the newest revision of each; `next`, or the header `Link`, says where it goes on", content((RowsPage = "application/json"), (String = "text/csv"), (serde_json::Value = "application/geo+json"))),
        (status = 400, description = "A parameter that is not known or not of its kind, a tag that the measurement does not have or that holds personal data", body = Problem),
        (status = 404, description = "No such measurement in scope", body = Problem)
    )
)]
pub async fn rows(State(app): State<Arc<App>>, caller: Caller, pairs: Pairs) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    let Query(pairs) = pairs.map_err(|error| Refusal::Malformed(error.body_text()))?;
    let asked = Asked::read(&pairs)?;
    let setup = app.parts.pipelines.setup();
    let (pipeline, spec) = measurement(setup, &caller.scope, &asked.measurement)?;
    let query = asked.check(&app, setup, &caller.scope, pipeline, spec)?;
    let pages::RowsPage { rows, next } = app.parts.rows.page(query).await?;
    let next = next.map(|cursor| cursor.encode());
    let shown = Shown { setup, spec };
    if asked.format == Format::Json {
        let rows = rows.iter().map(|row| shown.view(row)).collect();
        return Ok(Json(RowsPage { measurement: asked.measurement, rows, next }).into_response());
    }
    let link = next.map(|after| link("/api/v1/rows", &pairs, &after));
    Ok(shown.table(&rows).answer(asked.format, &asked.measurement, link))
}

/// The same question, from there on.
pub fn link(path: &str, pairs: &[(String, String)], after: &str) -> String {
    let pairs = pairs.iter().filter(|(name, _)| name != "after").map(|(n, v)| (n.as_str(), v.as_str()));
    let url = reqwest::Url::parse_with_params(&format!("http://here{path}"), pairs.chain([("after", after)]));
    url.map_or_else(|_| path.to_owned(), |url| format!("{path}?{}", url.query().unwrap_or_default()))
}

/// A measurement in scope.
fn measurement<'a>(setup: &'a Setup, scope: &Scope, name: &str) -> Result<(&'a Pipeline, &'a WindowSpec), Refusal> {
    let seen = setup.pipelines.iter().filter(|p| scope.sees_sector(&p.sector));
    let found = seen.flat_map(|p| p.windows.iter().map(move |w| (p, w))).find(|(_, w)| w.measurement == name);
    found.ok_or_else(|| Refusal::NotFound(format!("measurement {name:?}")))
}

#[derive(Debug, Default)]
struct Asked {
    measurement: String,
    from: Option<i64>,
    to: Option<i64>,
    area: Option<String>,
    tags: BTreeMap<String, String>,
    after: Option<String>,
    limit: Option<usize>,
    format: Format,
}

impl Asked {
    fn read(pairs: &[(String, String)]) -> Result<Asked, Refusal> {
        let mut asked = Asked::default();
        let malformed = |name: &str, value: &str, what: &str| Refusal::Malformed(format!("{name}={value}: {what}"));
        let time = |name: &str, value: &str| {
            let ms = value.parse::<i64>().ok().filter(|ms| ms.checked_mul(crate::time::NANOS_PER_MILLI).is_some());
            let instant = || Timestamp::parse_rfc3339(value.as_bytes()).map(Timestamp::millis);
            ms.or_else(instant)
                .map(Some)
                .ok_or_else(|| malformed(name, value, "ms since 1970, or an instant as in 2026-06-01T07:00:00+07:00"))
        };
        for (n, (name, value)) in pairs.iter().enumerate() {
            if pairs[..n].iter().any(|(before, _)| before == name) {
                return Err(Refusal::Malformed(format!("{name} is there twice")));
            }
            match name.as_str() {
                "measurement" => asked.measurement = value.clone(),
                "from" => asked.from = time("from", value)?,
                "to" => asked.to = time("to", value)?,
                "area" => asked.area = Some(value.clone()),
                "after" => asked.after = Some(value.clone()),
                "limit" => asked.limit = Some(value.parse().map_err(|_| malformed(name, value, "a number of rows"))?),
                "format" => asked.format = Format::read(value).ok_or_else(|| malformed(name, value, "json, csv or geojson"))?,
                _ => match name.strip_prefix("tag.") {
                    Some(tag) => drop(asked.tags.insert(tag.to_owned(), value.clone())),
                    None => return Err(Refusal::Malformed(format!("{name} is not known; tags are written tag.NAME=VALUE"))),
                },
            }
        }
        Ok(asked)
    }

    fn check(&self, app: &App, setup: &Setup, scope: &Scope, pipeline: &Pipeline, spec: &WindowSpec) -> Result<RowsQuery, Refusal> {
        let may_ask = |tag: &&String| spec.tags.contains(tag) && !setup.personal.tag(&spec.measurement, tag);
        if let Some(tag) = self.tags.keys().find(|tag| !may_ask(tag)) {
            let all: Vec<String> = spec.tags.iter().filter(|tag| may_ask(tag)).map(|tag| format!("tag.{tag}")).collect();
            return Err(Refusal::Malformed(format!("tag.{tag}: {:?} is asked by {}", self.measurement, all.join(", "))));
        }
        let (Some(from), Some(to)) = (self.from, self.to) else {
            return Err(Refusal::Malformed("from and to are needed, in ms since 1970 or as RFC 3339".to_owned()));
        };
        if to <= from {
            return Err(Refusal::Malformed("to must be after from".to_owned()));
        }
        let (default, most) = if self.format == Format::Json { (PAGE, MOST) } else { (FILE, FILE) };
        let limit = self.limit.unwrap_or(default);
        if !(1..=most).contains(&limit) {
            return Err(Refusal::Malformed(format!("limit is 1 to {most}")));
        }
        let after = self.after.as_deref().map(|after| {
            Cursor::decode(after).ok_or_else(|| Refusal::Malformed("after: take `next` of the page before as it is".to_owned()))
        });
        let (province, scope, sector) = (app.parts.province.clone(), scope.clone(), pipeline.sector.clone());
        let area = self.area.as_ref().map(|area| Scope::new(std::slice::from_ref(area), &[], app.tree()));
        let wanted = move |tags: &[(String, String)]| {
            let tags: BTreeMap<String, String> = tags.iter().cloned().collect();
            let inside = |scope: &Scope| trend::in_scope(&*province, scope, &sector, &tags);
            inside(&scope) && area.as_ref().is_none_or(inside)
        };
        Ok(RowsQuery {
            measurement: self.measurement.clone(),
            tags: self.tags.clone().into_iter().collect(),
            wanted: Arc::new(wanted),
            from: Timestamp::from_millis(from),
            to: Timestamp::from_millis(to),
            every: spec.alignment.every().nominal(),
            after: after.transpose()?,
            limit,
        })
    }
}

/// Fields of every row that are no figures of the window.
const OWN: [&str; 3] = ["heard", "expected", "approx"];

struct Shown<'a> {
    setup: &'a Setup,
    spec: &'a WindowSpec,
}

impl Shown<'_> {
    fn field(&self, row: &StoredRow, name: &str) -> Option<f64> {
        row.fields.iter().find(|(n, _)| n == name).and_then(|(_, value)| FieldValue::number(*value))
    }

    fn count(&self, row: &StoredRow, name: &str) -> Option<u32> {
        self.field(row, name).map(|n| n as u32)
    }

    fn shows_field(&self, name: &str) -> bool {
        !OWN.contains(&name) && !self.setup.personal.field(&self.spec.measurement, name)
    }

    fn area(&self, row: &StoredRow) -> Option<AreaRef> {
        let registry = &self.setup.registry;
        let tag = |name: &str| row.tags.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let of_source = || {
            let source = registry.sources.get(tag("source")?, row.start)?;
            registry.area_of_source(source, row.start).map(|id| registry.areas.area(id).code.clone())
        };
        let code = tag("area").filter(|code| *code != trend::OUTSIDE).map(str::to_owned).or_else(of_source)?;
        let name = registry.areas.by_code(&code, row.start).map_or_else(|| code.clone(), |id| registry.areas.area(id).name.clone());
        Some(AreaRef { code, name })
    }

    fn view(&self, row: &StoredRow) -> RowView {
        let tags = row.tags.iter().filter(|(name, _)| !self.setup.personal.tag(&self.spec.measurement, name));
        let values = row.fields.iter().filter(|(name, _)| self.shows_field(name));
        RowView {
            start: row.start.millis(),
            end: self.spec.alignment.end_of(row.start).millis(),
            tags: tags.cloned().collect(),
            area: self.area(row),
            values: values.filter_map(|(name, value)| Some((name.clone(), value.number()?))).collect(),
            revision: row.revision,
            state: row_state(row.state),
            heard: self.count(row, "heard"),
            expected: self.count(row, "expected"),
        }
    }

    /// start, end, tags, the area's name, fields, heard, expected, revision, state.
    fn table(&self, rows: &[StoredRow]) -> Table {
        let personal = &self.setup.personal;
        let tags: Vec<&String> = self.spec.tags.iter().filter(|tag| !personal.tag(&self.spec.measurement, tag)).collect();
        let fields: Vec<&String> = self.spec.fields.iter().map(|f| &f.name).filter(|name| self.shows_field(name)).collect();
        let names = ["start", "end"].into_iter().chain(tags.iter().map(|t| t.as_str())).chain(["area_name"]);
        let names = names.chain(fields.iter().map(|f| f.as_str())).chain(["heard", "expected", "revision", "state"]);
        let mut points = BTreeMap::new();
        let row_of = |row: &StoredRow| {
            let view = self.view(row);
            let mut cells = vec![Cell::Time(view.start), Cell::Time(view.end)];
            cells.extend(tags.iter().map(|tag| Cell::from(view.tags.get(*tag).cloned())));
            cells.push(Cell::from(view.area.as_ref().map(|a| a.name.clone())));
            cells.extend(fields.iter().map(|field| Cell::from(view.values.get(*field).copied())));
            cells.extend([Cell::from(view.heard), Cell::from(view.expected), Cell::from(view.revision), Cell::text(row.state.name())]);
            TableRow { cells, position: self.position(row, view.area.as_ref(), &mut points) }
        };
        Table { columns: names.map(str::to_owned).collect(), rows: rows.iter().map(row_of).collect() }
    }

    /// The registered place of its source, else a point within its area.
    fn position(&self, row: &StoredRow, area: Option<&AreaRef>, points: &mut BTreeMap<String, Option<[f64; 2]>>) -> Option<[f64; 2]> {
        let source = row.tags.iter().find(|(name, _)| name == "source").map(|(_, id)| id);
        let place = source.and_then(|id| self.setup.registry.sources.get(id, row.start)?.position);
        if let Some((lon, lat)) = place {
            return Some([lon, lat]);
        }
        let code = &area?.code;
        *points.entry(code.clone()).or_insert_with(|| point_of(self.setup, code, row.start))
    }
}

/// A point within an area.
pub fn point_of(setup: &Setup, code: &str, at: Timestamp) -> Option<[f64; 2]> {
    let areas = &setup.registry.areas;
    let point = areas.geometry(areas.by_code(code, at)?)?.interior_point()?;
    Some([point.x(), point.y()])
}
