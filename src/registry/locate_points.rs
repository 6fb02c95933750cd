//! `ioc areas locate`: a CSV of points in, the area of each out.
//!
//! Owns: the lines read and printed. Refuses to know: the command line, files, `nearest` (points that no area holds stay outside).
//!
//! Invariants
//! 1. One line out for each point in, in the same order; code and level are empty for a point outside.
//! 2. Longitude and latitude are printed as they were read.
//! 3. The first bad line ends the run with its number; what came before it has been written.
//!
//! Called by: `cli`.

use super::Registry;
use super::decode::line_of;
use crate::geo::date_at_midnight;
use crate::time::Timestamp;
use std::io::{self, BufRead, Write};

/// Why points could not be located. Lines count from 1, the header is line 1.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error("--at {0:?} is no date; write YYYY-MM-DD or an RFC 3339 instant")]
    BadDate(String),
    #[error("no layer {name:?}; the registry has: {}", .known.join(", "))]
    UnknownLayer { name: String, known: Vec<String> },
    #[error("line 1: a header line is needed whose first two columns are lon,lat; found {0:?}")]
    NoHeader(String),
    #[error("line {line}: {what}; give lon,lat in degrees first")]
    BadLine { line: u64, what: String },
    #[error("points could not be read or written: {0}; check the files")]
    Io(#[from] io::Error),
}

/// Reads points (a header; longitude and latitude in the first two columns) and writes `lon,lat,code,level`.
///
/// `at`: a date or an instant. Without it: with a `layer`, that layer's areas of any time; otherwise the areas without an end, as they stand now.
/// Returns how many points were read and how many of them lie outside.
pub fn locate_points(
    registry: &Registry,
    mut input: impl BufRead,
    mut out: impl Write,
    at: Option<&str>,
    layer: Option<&str>,
) -> Result<(u64, u64), LocateError> {
    let at = at.map(|text| date_at_midnight(text).ok_or_else(|| LocateError::BadDate(text.to_string()))).transpose()?;
    let areas = &registry.areas;
    if let Some(name) = layer.filter(|name| !areas.has_layer(name)) {
        let known = areas.layers().iter().map(|l| l.name.clone()).collect();
        return Err(LocateError::UnknownLayer { name: name.to_string(), known });
    }
    let mut text = String::new();
    input.read_to_string(&mut text)?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    check_header(reader.headers().map_err(|e| csv_error(text, e))?)?;
    writeln!(out, "lon,lat,code,level")?;
    let (mut read, mut outside) = (0, 0);
    for record in reader.records() {
        let record = record.map_err(|e| csv_error(text, e))?;
        let line = line_of(text, record.position());
        let (lon, lat) = (decode_degrees(&record, 0, line)?, decode_degrees(&record, 1, line)?);
        let found = match layer {
            Some(name) => areas.locate_in_layer(name, lon, lat, at),
            None => areas.locate(lon, lat, at.unwrap_or(Timestamp::MAX)),
        };
        let (code, level) = found.map_or(("", ""), |id| (areas.area(id).code.as_str(), areas.area(id).level.as_str()));
        writeln!(out, "{},{},{},{}", &record[0], &record[1], quoted(code), quoted(level))?;
        read += 1;
        outside += u64::from(found.is_none());
    }
    out.flush()?;
    Ok((read, outside))
}

fn csv_error(text: &str, e: csv::Error) -> LocateError {
    LocateError::BadLine { line: line_of(text, e.position()), what: format!("not CSV ({e})") }
}

/// The first line is a header when it has two columns and neither is a number.
fn check_header(header: &csv::StringRecord) -> Result<(), LocateError> {
    let is_name = |n: usize| header.get(n).is_some_and(|name| name.parse::<f64>().is_err());
    if is_name(0) && is_name(1) { Ok(()) } else { Err(LocateError::NoHeader(header.iter().collect::<Vec<_>>().join(","))) }
}

fn decode_degrees(record: &csv::StringRecord, n: usize, line: u64) -> Result<f64, LocateError> {
    let (name, most) = [("longitude", 180.0), ("latitude", 90.0)][n];
    let text = record.get(n).unwrap_or_default();
    let value = text.parse::<f64>().ok().filter(|v| v.abs() <= most);
    value.ok_or_else(|| LocateError::BadLine { line, what: format!("{name} {text:?} is not a number up to {most}") })
}

fn quoted(cell: &str) -> std::borrow::Cow<'_, str> {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")).into() } else { cell.into() }
}
