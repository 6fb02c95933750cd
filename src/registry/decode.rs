//! YAML and CSV texts as rows, with places.
//!
//! Owns: the two syntaxes and the place of each value. Refuses to know: what the rows mean.
//!
//! Invariants
//! 1. A byte order mark is skipped; unknown YAML keys and doubled keys are refused (by the types and by the parser).
//! 2. CSV: a header line, commas, RFC 4180 quotes; cells are trimmed; lines of white space only are skipped; a row shorter or longer than the header is wrong.
//!
//! Called by: `areas`, `sectors`, `source_files`.

use super::error::{FileError, Place};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

pub(super) fn decode_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text.trim_start_matches('\u{feff}'), options).map_err(|e| {
        let place = e.location().map_or(Place::NONE, Place::from);
        FileError::new(file, place, e.without_snippet().to_string(), "mend the YAML there")
    })
}

/// A CSV row: its line and its cells by column name; empty cells are absent.
pub(super) struct Row {
    pub line: u64,
    pub cells: BTreeMap<String, String>,
}

impl Row {
    pub fn take(&mut self, column: &str) -> Option<String> {
        self.cells.remove(column)
    }
}

/// The line, from 1, on which a record begins: the reader's own count stops before empty lines that it then passes over.
pub(super) fn line_of(text: &str, position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 1 };
    let rest = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    position.line() + rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).filter(|b| **b == b'\n').count() as u64
}

/// Rows of a CSV text that has at least the columns `required`.
pub(super) fn decode_csv(file: &str, text: &str, required: &[&str], errors: &mut Vec<FileError>) -> Vec<Row> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let wrong = |e: csv::Error| {
        let place = Place::line(line_of(text, e.position()));
        let what = match e.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} cells, the header has {expected_len}"),
            _ => e.to_string(),
        };
        FileError::new(file, place, what, "mend that line")
    };
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_string).collect(),
        Err(e) => {
            errors.push(wrong(e));
            return Vec::new();
        }
    };
    let missing: Vec<&str> = required.iter().copied().filter(|c| !columns.iter().any(|h| h == c)).collect();
    let double = columns.iter().enumerate().find(|(n, c)| columns[..*n].contains(c));
    if !missing.is_empty() {
        errors.push(FileError::new(file, Place::line(1), format!("no column {}", missing.join(", ")), "add it to the header line"));
        return Vec::new();
    }
    if let Some((_, column)) = double {
        errors.push(FileError::new(file, Place::line(1), format!("column {column:?} stands twice"), "rename one"));
        return Vec::new();
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => {
                let line = line_of(text, record.position());
                let cells = columns.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
                rows.push(Row { line, cells: cells.map(|(c, cell)| (c.clone(), cell.to_string())).collect() });
            }
            Err(e) => errors.push(wrong(e)),
        }
    }
    rows
}
