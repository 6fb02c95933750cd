//! Reading rows by Flux, through the `influxdb2` crate.
//!
//! Owns: the queries, and putting fields together into rows. Refuses to know: writing.
//!
//! Invariants
//! 1. Names and values stand in Flux as escaped strings (`flux_string`), times as numbers.
//! 2. A point whose fields are still being written, so that it has no `state` yet, is not there yet.
//! 3. No answer holds a null number, on which the crate panics: fields are not pivoted by the server but joined here by (tags, time).
//!
//! Called by: store::influx.

use super::{Influx, InfluxError};
use crate::engine::{FieldValue, RowState};
use crate::store::line::{StoredRow, state_of_name, stored_tag};
use crate::store::pages::RowsQuery;
use crate::store::{TrendPoint, TrendQuery};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A Flux string literal: quotes, backslashes and `${` are escaped (Flux specification, "String literals").
pub fn flux_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' => out.push_str("\\x24"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Tags that must be just so.
fn tag_filters(tags: &[(String, String)]) -> impl Iterator<Item = String> {
    tags.iter().map(|(name, value)| {
        let column = format!("r[{}]", flux_string(name));
        match value.as_str() {
            "" => format!("not exists {column}"),
            value => format!("{column} == {}", flux_string(&stored_tag(value))),
        }
    })
}

/// One field of one row.
struct Cell {
    tags: Vec<(String, String)>,
    start: Timestamp,
    field: String,
    value: CellValue,
}

enum CellValue {
    Number(FieldValue),
    Text(String),
}

impl Influx {
    /// See [`crate::store::Store::trend`].
    pub async fn trend(&self, query: &TrendQuery) -> Result<Vec<TrendPoint>, InfluxError> {
        let mut filters = vec![format!("r._measurement == {}", flux_string(&query.measurement))];
        filters.extend(tag_filters(&query.tags));
        filters.push(format!("(r._field == {} or r._field == \"revision\" or r._field == \"state\")", flux_string(&query.field)));
        let cells = self.cells(&filters, (query.from, query.to), "[\"_time\", \"_field\", \"_value\"]").await?;
        let mut points: BTreeMap<Timestamp, TrendPoint> = BTreeMap::new();
        let mut whole = BTreeSet::new();
        for cell in cells {
            let empty = TrendPoint { start: cell.start, value: None, state: RowState::Final, revision: 0 };
            let point = points.entry(cell.start).or_insert(empty);
            match (cell.field.as_str(), cell.value) {
                ("state", CellValue::Text(state)) => {
                    point.state = state_of_name(&state).unwrap_or(RowState::Final);
                    whole.insert(cell.start);
                }
                ("revision", CellValue::Number(FieldValue::Int(n))) => point.revision = u32::try_from(n).unwrap_or(u32::MAX),
                (_, CellValue::Number(value)) => point.value = value.number(),
                (_, CellValue::Text(_)) => {}
            }
        }
        points.retain(|start, _| whole.contains(start));
        Ok(points.into_values().collect())
    }

    /// See [`crate::store::Store::rows`].
    pub async fn rows(&self, measurement: &str, from: Timestamp, to: Timestamp) -> Result<Vec<StoredRow>, InfluxError> {
        self.rows_with(measurement, &[], (from, to)).await
    }

    /// Rows that are asked for with starts in `[from, to)`, by (start, tags).
    pub(in crate::store) async fn matching(
        &self,
        query: &RowsQuery,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<StoredRow>, InfluxError> {
        let mut rows = self.rows_with(&query.measurement, &query.tags, (from, to)).await?;
        rows.retain(|row| query.takes(&row.tags));
        Ok(rows)
    }

    async fn rows_with(
        &self,
        measurement: &str,
        tags: &[(String, String)],
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<StoredRow>, InfluxError> {
        let mut filters = vec![format!("r._measurement == {}", flux_string(measurement))];
        filters.extend(tag_filters(tags));
        let cells = self.cells(&filters, (from, to), "").await?;
        let mut rows: BTreeMap<(Timestamp, Vec<(String, String)>), StoredRow> = BTreeMap::new();
        for cell in cells {
            let row = rows.entry((cell.start, cell.tags)).or_insert_with_key(|(start, tags)| StoredRow {
                measurement: measurement.to_owned(),
                tags: tags.clone(),
                start: *start,
                fields: Vec::new(),
                revision: 0,
                state: RowState::Final,
            });
            match (cell.field.as_str(), cell.value) {
                ("state", CellValue::Text(state)) => row.state = state_of_name(&state).unwrap_or(RowState::Final),
                ("revision", CellValue::Number(FieldValue::Int(n))) => row.revision = u32::try_from(n).unwrap_or(u32::MAX),
                (_, CellValue::Number(value)) => row.fields.push((cell.field, value)),
                (_, CellValue::Text(_)) => {}
            }
        }
        Ok(rows.into_values().collect())
    }

    /// `keep`: a Flux list of columns, or empty for all.
    async fn cells(&self, filters: &[String], (from, to): (Timestamp, Timestamp), keep: &str) -> Result<Vec<Cell>, InfluxError> {
        // times beyond what the server can hold, and empty spans, which it refuses
        let (from, to) = (from.0.max(-9_000_000_000_000_000_000), to.0.min(9_000_000_000_000_000_000));
        if from >= to {
            return Ok(Vec::new());
        }
        let keep = if keep.is_empty() { String::new() } else { format!(" |> keep(columns: {keep})") };
        let flux = format!(
            "from(bucket: {}) |> range(start: time(v: {from}), stop: time(v: {to})) |> filter(fn: (r) => {}){keep} \
             |> map(fn: (r) => ({{r with _time: int(v: r._time)}}))",
            flux_string(&self.config.bucket),
            filters.join(" and "),
        );
        let client = self.client.clone();
        let query = influxdb2::models::Query::new(flux);
        let records = self.ask("a query", async move { client.query_raw(Some(query)).await }).await?;
        let mut cells = Vec::with_capacity(records.len());
        for record in records {
            let mut values = record.values;
            let number = |v: Option<FieldValue>| v.map(CellValue::Number);
            let Some(start) = values.remove("_time").and_then(|v| v.i64()) else { continue };
            let Some(field) = values.remove("_field").and_then(|v| v.string()) else { continue };
            let Some(value) = values.remove("_value") else { continue };
            let value = number(value.i64().map(FieldValue::Int))
                .or(number(value.f64().map(FieldValue::Float)))
                .or(number(value.bool().map(|b| FieldValue::Int(i64::from(b)))))
                .or(value.string().map(CellValue::Text));
            let own = |name: &str| !name.starts_with('_') && name != "result" && name != "table";
            let tags = values.into_iter().filter(|(name, _)| own(name)).filter_map(|(name, v)| Some((name, v.string()?)));
            let tags = tags.filter(|(_, v)| !v.is_empty()).collect();
            if let Some(value) = value {
                cells.push(Cell { tags, start: Timestamp(start), field, value });
            }
        }
        Ok(cells)
    }
}
