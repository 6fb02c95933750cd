//! Answers for other programs: CSV and GeoJSON.
//!
//! Owns: how a table becomes CSV, how things on a map become GeoJSON. Refuses to know: what the columns mean, who may see them.
//!
//! Invariants
//! 1. CSV is RFC 4180 in UTF-8 without a byte order mark: a header line, CRLF, quotes where they are needed.
//! 2. A text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break) gets an apostrophe
//!    before it; numbers are left as they are (OWASP, "CSV Injection").
//! 3. GeoJSON is RFC 7946: a FeatureCollection; what has no place has a null geometry.
//!
//! Called by: api (rows, alerts).

use crate::time::Timestamp;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// What an answer is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Json,
    Csv,
    Geojson,
}

impl Format {
    pub fn read(text: &str) -> Option<Format> {
        match text {
            "json" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            "geojson" => Some(Format::Geojson),
            _ => None,
        }
    }
}

/// One cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Empty,
    Text(String),
    Number(f64),
    Time(i64),
    Flag(bool),
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }

    pub fn number(number: impl Into<f64>) -> Cell {
        Cell::Number(number.into())
    }

    fn written(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) => guarded(text),
            Cell::Number(n) if n.is_finite() => Value::from(*n).to_string().trim_end_matches(".0").to_owned(),
            Cell::Number(_) => String::new(),
            Cell::Time(ms) => time(*ms),
            Cell::Flag(flag) => flag.to_string(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Empty => Value::Null,
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Number(n) => Value::from(*n),
            Cell::Time(ms) => Value::from(time(*ms)),
            Cell::Flag(flag) => Value::from(*flag),
        }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Empty, Into::into)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(n: f64) -> Cell {
        Cell::Number(n)
    }
}

impl From<u32> for Cell {
    fn from(n: u32) -> Cell {
        Cell::Number(f64::from(n))
    }
}

/// RFC 3339 in UTC.
fn time(ms: i64) -> String {
    Timestamp::from_millis(ms).to_string()
}

fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}

/// A table whose rows may have a place.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<TableRow>,
}

#[derive(Clone, Debug, Default)]
pub struct TableRow {
    pub cells: Vec<Cell>,
    /// [lon, lat]
    pub position: Option<[f64; 2]>,
}

impl Table {
    pub fn csv(&self) -> String {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        // into memory: nothing there can fail, and records of another length are not made
        let _ = writer.write_record(self.columns.iter().map(|c| guarded(c)));
        for row in &self.rows {
            let _ = writer.write_record(row.cells.iter().map(Cell::written));
        }
        writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }

    pub fn geojson(&self) -> String {
        let feature = |row: &TableRow| {
            let named = self.columns.iter().zip(&row.cells).map(|(name, cell)| (name.clone(), cell.json()));
            let properties: Map<String, Value> = named.collect();
            let geometry = row.position.map(|at| json!({"type": "Point", "coordinates": at}));
            json!({"type": "Feature", "geometry": geometry, "properties": properties})
        };
        json!({"type": "FeatureCollection", "features": self.rows.iter().map(feature).collect::<Vec<_>>()}).to_string()
    }

    /// The table as an answer; `next`: where it goes on, as a `Link` of the relation "next" (RFC 8288).
    pub fn answer(&self, format: Format, name: &str, next: Option<String>) -> Response {
        let (kind, ending, text) = match format {
            Format::Geojson => ("application/geo+json", "geojson", self.geojson()),
            Format::Csv | Format::Json => ("text/csv; charset=utf-8", "csv", self.csv()),
        };
        // names of measurements hold no quotes: `ioc check` refuses them; anything else is left out
        let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
        let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
        let headers = response.headers_mut();
        if let Ok(file) = HeaderValue::try_from(format!("attachment; filename=\"{name}.{ending}\"")) {
            headers.insert(header::CONTENT_DISPOSITION, file);
        }
        if let Some(link) = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok()) {
            headers.insert(header::LINK, link);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(texts: &[&str]) -> Table {
        let row = |text: &&str| TableRow { cells: vec![Cell::text(*text), Cell::number(-1.5), Cell::Time(0)], position: None };
        Table { columns: ["text", "number", "time"].map(str::to_owned).to_vec(), rows: texts.iter().map(row).collect() }
    }

    #[test]
    fn csv_is_rfc_4180_and_no_formula() {
        let csv = table(&["Bình Định", "a,b", "say \"x\"", "two\nlines", "=1+1", "-2", "+84", "@x", "\tx", ""]).csv();
        let expected = "text,number,time\r\nBình Định,-1.5,1970-01-01T00:00:00Z\r\n\"a,b\",-1.5,1970-01-01T00:00:00Z\r\n\"say \"\"x\"\"\",-1.5,1970-01-01T00:00:00Z\r\n\
            \"two\nlines\",-1.5,1970-01-01T00:00:00Z\r\n'=1+1,-1.5,1970-01-01T00:00:00Z\r\n'-2,-1.5,1970-01-01T00:00:00Z\r\n'+84,-1.5,1970-01-01T00:00:00Z\r\n\
            '@x,-1.5,1970-01-01T00:00:00Z\r\n'\tx,-1.5,1970-01-01T00:00:00Z\r\n,-1.5,1970-01-01T00:00:00Z\r\n";
        assert_eq!(csv, expected);
        assert!(!csv.starts_with('\u{feff}'));
    }

    #[test]
    fn geojson_has_a_place_or_null() {
        let mut table = table(&["=x"]);
        table.rows.push(TableRow { cells: vec![Cell::Empty, Cell::number(f64::NAN), Cell::Flag(true)], position: Some([107.7, 12.0]) });
        let read: Value = serde_json::from_str(&table.geojson()).unwrap();
        assert_eq!(read["features"][0]["geometry"], Value::Null);
        assert_eq!(read["features"][0]["properties"]["text"], "=x", "no spreadsheet opens this");
        assert_eq!(
            read["features"][1],
            json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": [107.7, 12.0]},
            "properties": {"text": null, "number": null, "time": true}})
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a text holds, it is one cell again, no cell is a formula, and numbers keep their bits.
        #[test]
        fn what_is_written_is_read_back(texts in prop::collection::vec(any::<String>(), 1..5), number in any::<f64>()) {
            let rows = texts.iter().map(|t| TableRow { cells: vec![Cell::text(t.clone()), Cell::Number(number)], position: None }).collect();
            let csv = Table { columns: vec!["a".into(), "b".into()], rows }.csv();
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), texts.len());
            for (record, text) in read.iter().zip(&texts) {
                prop_assert_eq!(record[0].strip_prefix('\'').filter(|_| guarded(text) != *text).unwrap_or(&record[0]), text.as_str());
                prop_assert!(!record[0].starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
                match number.is_finite() {
                    true => prop_assert_eq!(record[1].parse::<f64>().unwrap(), number),
                    false => prop_assert_eq!(&record[1], ""),
                }
            }
        }
    }
}
