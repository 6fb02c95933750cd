//! Rows of CSV and JSON as a map reads them, and the table of a join.
//!
//! Owns: header → columns, JSON paths → texts. Refuses to know: files, expressions.
//!
//! Invariants
//! 1. A column that the header lacks is an error before the first row, with the name that was probably meant; in JSON it is null.
//! 2. A number of JSON keeps its digits.
//!
//! Called by: ingest (files), Map.

use super::{Join, Map, RowView};
use crate::pipeline::mistake::closest;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// Where the map's columns stand in a CSV file.
#[derive(Clone, PartialEq, Debug)]
pub struct CsvColumns(Vec<usize>);

impl CsvColumns {
    /// A byte order mark before the first name is ignored.
    pub fn of(map: &Map, header: &csv::StringRecord) -> Result<CsvColumns, String> {
        positions(map.columns(), header).map(CsvColumns)
    }
}

fn positions(wanted: &[String], header: &csv::StringRecord) -> Result<Vec<usize>, String> {
    let names: Vec<&str> = header.iter().map(|n| n.trim_start_matches('\u{feff}').trim()).collect();
    let position = |column: &String| {
        names.iter().position(|n| n == column).ok_or_else(|| match closest(column, names.iter().copied()) {
            Some(near) => format!("the header has no column `{column}` (did you mean `{near}`?)"),
            None => format!("the header has no column `{column}`: it has {}", names.join(", ")),
        })
    };
    wanted.iter().map(position).collect()
}

/// One record of a CSV file.
#[derive(Clone, Copy, Debug)]
pub struct CsvRow<'r> {
    pub columns: &'r CsvColumns,
    pub record: &'r csv::StringRecord,
}

impl RowView for CsvRow<'_> {
    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        self.record.get(*self.columns.0.get(column)?).map(Cow::Borrowed)
    }
}

/// One JSON object: the values that the map reads.
#[derive(Clone, PartialEq, Debug)]
pub struct JsonRow(Vec<Option<String>>);

impl JsonRow {
    /// Reads one object; dots in a column's name lead into objects where there is no member of that very name.
    pub fn read(map: &Map, bytes: &[u8]) -> Result<JsonRow, String> {
        let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(bytes).map_err(|e| format!("not a JSON object: {e}"))?;
        Ok(JsonRow(map.columns().iter().map(|column| member(&members, column)).collect()))
    }
}

/// The elements of a JSON array, each as its own text.
pub fn json_rows(bytes: &[u8]) -> Result<Vec<&RawValue>, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("not a JSON array: {e}"))
}

fn member(members: &HashMap<Cow<'_, str>, &RawValue>, path: &str) -> Option<String> {
    if let Some(raw) = members.get(path) {
        return scalar(raw);
    }
    let (head, rest) = path.split_once('.')?;
    let inner: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(members.get(head)?.get()).ok()?;
    member(&inner, rest)
}

fn scalar(raw: &RawValue) -> Option<String> {
    match raw.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok(),
        text if text.starts_with(['{', '[']) => None,
        text => Some(text.to_owned()),
    }
}

impl RowView for JsonRow {
    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        self.0.get(column)?.as_deref().map(Cow::Borrowed)
    }
}

/// The second file of a join, by key.
#[derive(Clone, Debug, Default)]
pub struct JoinTable(Option<HashMap<String, Vec<Option<String>>>>);

impl JoinTable {
    pub fn read(join: &Join, columns: &[String], text: &str) -> Result<JoinTable, String> {
        let fail = |what: String| format!("{}: {what}", join.file);
        let mut reader = csv::ReaderBuilder::new().delimiter(join.delimiter).flexible(true).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| fail(e.to_string()))?.clone();
        let places = positions(columns, &header).map_err(fail)?;
        let key = positions(std::slice::from_ref(&join.to), &header).map_err(fail)?[0];
        let mut table = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(|e| fail(e.to_string()))?;
            let name = record.get(key).unwrap_or("").to_owned();
            let row = places.iter().map(|i| record.get(*i).map(str::to_owned)).collect();
            if table.insert(name.clone(), row).is_some() {
                return Err(fail(format!("`{}` is `{name}` in two rows: a key must be there once", join.to)));
            }
        }
        Ok(JoinTable(Some(table)))
    }

    /// `Ok(None)`: the second file has no such row.
    pub fn row(&self, key: &str) -> Result<Option<&[Option<String>]>, String> {
        let table = self.0.as_ref().ok_or("the map's second file has not been loaded")?;
        Ok(table.get(key).map(Vec::as_slice))
    }
}
