//! What every store must do, as cases that run on the embedded one in `cargo test` and on a real InfluxDB in `tests/it`.
//!
//! Owns: the cases. Refuses to know: which store it is given.
//!
//! Invariants
//! 1. The cases use measurements that begin with the given prefix, so a server can be used again with another one.
//!
//! Called by: tests only.

use super::line::{LineFormat, StoredRow, parse_line, stored_tag};
use super::pages::{Cursor, RowsQuery};
use super::{Store, TrendPoint, TrendQuery};
use crate::engine::{FieldValue, Key, Row, RowState};
use crate::time::{Span, Timestamp};
use std::sync::Arc;

const TAGS: [&str; 2] = ["source", "area"];
const FIELDS: [&str; 3] = ["vehicles", "speed", "count"];
/// 2026-11-23T23:58:00Z: two windows before midnight.
const START: Timestamp = Timestamp::from_seconds(1_795_478_280);

/// Runs all cases; the first deviation as text.
pub async fn run(store: &Store, prefix: &str) -> Result<(), String> {
    read_back(store, &format!("{prefix}_read_back")).await?;
    trends(store, &format!("{prefix}_trends")).await?;
    pages(store, &format!("{prefix}_pages")).await?;
    revisions(store, &format!("{prefix}_revisions")).await?;
    hostile_names(store, &format!("{prefix}_hostile, =name")).await?;
    match store.health().await {
        health if health.well => Ok(()),
        health => Err(format!("not well: {}", health.text)),
    }
}

fn minute(n: i64) -> Timestamp {
    START + Span::minutes(n)
}

fn row(source: &str, start: Timestamp, values: [FieldValue; 3]) -> Row {
    Row {
        pipeline: 0,
        window: 0,
        key: Arc::new(Key { tags: vec![source.into(), "24617".into()], area: None }),
        start,
        end: start + Span::minutes(1),
        values: values.to_vec(),
        revision: 0,
        state: RowState::Final,
        heard: Some(1),
        expected: None,
        approx: false,
    }
}

fn lines(measurement: &str, rows: &[Row]) -> Vec<u8> {
    let format = LineFormat::of(measurement, &TAGS, FIELDS);
    let mut out = Vec::new();
    for row in rows {
        format.render(row, &mut out);
    }
    out
}

async fn write(store: &Store, tick: u64, lines: Vec<u8>) -> Result<(), String> {
    let rows = lines.iter().filter(|b| **b == b'\n').count() as u64;
    let stored = store.write(tick, lines).await.map_err(|e| e.to_string())?;
    if stored.rows == rows && stored.refused == 0 { Ok(()) } else { Err(format!("{stored:?} of {rows} rows")) }
}

async fn read(store: &Store, measurement: &str) -> Result<Vec<StoredRow>, String> {
    store.rows(measurement, minute(-60), minute(3000)).await.map_err(|e| e.to_string())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}

fn canonical(rows: &[StoredRow]) -> Vec<String> {
    let mut lines: Vec<_> = rows.iter().map(StoredRow::canonical).collect();
    lines.sort();
    lines
}

async fn read_back(store: &Store, measurement: &str) -> Result<(), String> {
    use FieldValue::{Absent, Float, Int};
    same("an unknown measurement", read(store, measurement).await?, vec![])?;
    let mut rows = vec![
        row("loop 1", minute(0), [Float(41.0), Float(0.1 + 0.2), Int(3)]),
        row("loop 1", minute(1), [Float(-0.0), Absent, Int(i64::MAX)]),
        row("loop 1", minute(2), [Float(1e300), Float(5e-324), Int(i64::MIN)]),
        row("Ngã tư, số=2", minute(1), [Float(f64::MAX), Float(123_456_789.125), Int(0)]),
        row("", minute(1), [Absent, Absent, Int(1)]),
        row("far", minute(2000), [Float(1.0), Float(2.0), Int(5)]),
    ];
    rows[3].heard = None;
    rows[3].expected = Some(7);
    rows[4].state = RowState::Incomplete;
    let written = lines(measurement, &rows);
    write(store, 1, written.clone()).await?;
    let expected: Vec<_> = written.split(|b| *b == b'\n').filter_map(parse_line).collect();
    let found = read(store, measurement).await?;
    same("rows read back", canonical(&found), canonical(&expected))?;
    same("order", found.is_sorted_by_key(|r| (r.start, r.tags.clone())), true)?;
    same("state", found.iter().filter(|r| r.state == RowState::Incomplete).count(), 1)?;
    let part = store.rows(measurement, minute(1), minute(2)).await.map_err(|e| e.to_string())?;
    same("rows of one minute", part.len(), 3)
}

async fn trends(store: &Store, measurement: &str) -> Result<(), String> {
    use FieldValue::{Absent, Float, Int};
    let mut rows: Vec<_> = (0..200).map(|n| row("loop 1", minute(n), [Float(n as f64), Float(n as f64 / 3.0), Int(n)])).collect();
    rows[5].values[1] = Absent;
    rows[6].state = RowState::Incomplete;
    rows[7].revision = 4;
    rows.extend((0..200).map(|n| row("loop 2", minute(n), [Float(-1.0), Absent, Int(-1)])));
    write(store, 1, lines(measurement, &rows)).await?;
    let tags = vec![("area".to_owned(), "24617".to_owned()), ("source".to_owned(), "loop 1".to_owned())];
    let query = |field: &str, from: i64, to: i64| TrendQuery {
        measurement: measurement.to_owned(),
        tags: tags.clone(),
        field: field.to_owned(),
        from: minute(from),
        to: minute(to),
    };
    let ask = async |query: TrendQuery| store.trend(query).await.map_err(|e| e.to_string());
    let point = |n: i64, value: Option<f64>| TrendPoint { start: minute(n), value, state: RowState::Final, revision: 0 };
    let mut expected: Vec<_> = (4..9).map(|n| point(n, Some(n as f64 / 3.0))).collect();
    expected[1].value = None;
    expected[2].state = RowState::Incomplete;
    expected[3].revision = 4;
    same("a trend", ask(query("speed", 4, 9)).await?, expected)?;
    same("a trend of whole numbers", ask(query("count", 1, 2)).await?, vec![point(1, Some(1.0))])?;
    same("a field that nobody writes", ask(query("humidity", 1, 2)).await?, vec![point(1, None)])?;
    same("a long trend", ask(query("vehicles", -9, 999)).await?.len(), 200)?;
    same("an empty span", ask(query("vehicles", 9, 9)).await?, vec![])?;
    let without_source = TrendQuery { tags: vec![tags[0].clone(), ("source".into(), String::new())], ..query("count", 0, 9) };
    same("a series without that tag", ask(without_source).await?, vec![])
}

/// Pages of any size put together are all rows, in order, once; tags and the asker's wish pick series.
async fn pages(store: &Store, measurement: &str) -> Result<(), String> {
    use FieldValue::{Absent, Float, Int};
    let mut rows = Vec::new();
    for n in (0..40).chain([700, 701, 2_900]) {
        rows.extend(["loop 1", "Ngã tư, số=2", "line\nbreak"].map(|source| row(source, minute(n), [Float(n as f64), Absent, Int(n)])));
    }
    rows.push(row("", minute(3), [Absent, Absent, Int(1)]));
    write(store, 1, lines(measurement, &rows)).await?;
    let query = |tags: &[(&str, &str)], limit: usize| RowsQuery {
        measurement: measurement.to_owned(),
        tags: tags.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        wanted: Arc::new(|_| true),
        from: minute(-60),
        to: minute(3_000),
        every: Span::minutes(1),
        after: None,
        limit,
    };
    let all = async |query: RowsQuery| {
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let asked = RowsQuery { after: after.take(), ..query.clone() };
            let page = store.page(asked).await.map_err(|e| e.to_string())?;
            same("rows of a page", page.rows.len() <= query.limit && (page.next.is_none() || page.rows.len() == query.limit), true)?;
            rows.extend(page.rows);
            // as a client does, through a text
            match page.next.and_then(|next| Cursor::decode(&next.encode())) {
                Some(next) => after = Some(next),
                None => return Ok::<_, String>(rows),
            }
        }
    };
    let expected = read(store, measurement).await?;
    same("rows in all", expected.len(), rows.len())?;
    for limit in [1, 7, 65, 10_000] {
        same(&format!("pages of {limit}"), all(query(&[], limit)).await?, expected.clone())?;
    }
    same("one source", all(query(&[("source", "Ngã tư, số=2")], 9)).await?.len(), 43)?;
    same("a line break", all(query(&[("source", "line\nbreak")], 9)).await?.len(), 43)?;
    same("no source", all(query(&[("source", ""), ("area", "24617")], 9)).await?.len(), 1)?;
    same("another area", all(query(&[("area", "x")], 9)).await?.len(), 0)?;
    let wanted: super::pages::Wanted = Arc::new(|tags| tags.iter().any(|(n, v)| n == "source" && v == "loop 1"));
    let some = RowsQuery { wanted, from: minute(1), to: minute(3), ..query(&[], 5) };
    same("series that are wanted, in a span", all(some).await?.len(), 2)
}

async fn revisions(store: &Store, measurement: &str) -> Result<(), String> {
    let version = |revision: u32, value: f64| {
        let mut row = row("loop 1", minute(0), [FieldValue::Float(value), FieldValue::Float(1.0), FieldValue::Int(1)]);
        row.revision = revision;
        row.state = if revision == 0 { RowState::Provisional } else { RowState::Final };
        row
    };
    write(store, 1, lines(measurement, &[version(0, 1.0)])).await?;
    // two revisions in one batch, then the same batch again as after a lost answer
    for _ in 0..2 {
        write(store, 2, lines(measurement, &[version(1, 2.0), version(2, 3.0)])).await?;
        let found = read(store, measurement).await?;
        same("one row", found.len(), 1)?;
        same("the newest revision", (found[0].revision, found[0].state), (2, RowState::Final))?;
        same("its value", found[0].fields.iter().find(|f| f.0 == "vehicles").map(|f| f.1), Some(FieldValue::Float(3.0)))?;
    }
    Ok(())
}

async fn hostile_names(store: &Store, measurement: &str) -> Result<(), String> {
    let names = ["a\" or true or r[\"x\"] == \"", "\\", "a\\\"b", "${r._field}", "x\ny", "') |> drop()", "ữ, =\\ z", "$", "\\n"];
    let rows: Vec<_> =
        names.iter().map(|name| row(name, minute(0), [FieldValue::Float(1.0), FieldValue::Absent, FieldValue::Int(1)])).collect();
    write(store, 1, lines(measurement, &rows)).await?;
    let found = read(store, measurement).await?;
    let mut stored: Vec<_> = found.iter().filter_map(|r| r.tags.iter().find(|t| t.0 == "source").map(|t| t.1.clone())).collect();
    let mut expected: Vec<_> = names.iter().map(|name| stored_tag(name).into_owned()).collect();
    stored.sort();
    expected.sort();
    same("names", stored, expected)?;
    for name in names {
        let tags = vec![("area".to_owned(), "24617".to_owned()), ("source".to_owned(), name.to_owned())];
        let query = TrendQuery { measurement: measurement.to_owned(), tags, field: "vehicles".into(), from: minute(0), to: minute(1) };
        let points = store.trend(query).await.map_err(|e| e.to_string())?;
        same(&format!("the trend of {name:?}"), points.len(), 1)?;
    }
    Ok(())
}
