//! Foreign files through a map: rows → events.
//!
//! Owns: reading a whole file of rows and the map's second file. Refuses to know: what the map does with a row.
//!
//! Invariants
//! 1. Events keep the number of the line their row began on; a JSON array's rows are numbered from 1.
//! 2. Events of one row stay in the map's order; `sort` is stable.
//!
//! Called by: ingest::file.

use super::file::{FileError, unpack};
use crate::pipeline::map::{CsvColumns, CsvRow, Emitted, Format, JsonRow, Map, RowView, Sort, json_rows};
use crate::pipeline::mistake::Mistake;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum MapError {
    #[error("cannot read {path}: {source}; check the path")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
    #[error("{path}: {detail}")]
    Join { path: PathBuf, detail: String },
}

/// Reads and compiles a map, its second file with it.
pub fn load_map(path: &Path) -> Result<Map, MapError> {
    let read = |path: &Path| {
        let error = |source| MapError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        unpack(path, File::open(path).map_err(error)?).and_then(|mut input| input.read_to_string(&mut text)).map_err(error)?;
        Ok::<_, MapError>(text)
    };
    let mut map = Map::compile(&read(path)?, &path.to_string_lossy()).map_err(MapError::Mistakes)?;
    if let Some(join) = &map.join {
        let file = path.parent().unwrap_or(Path::new("")).join(&join.file);
        let text = read(&file)?;
        map.load_join(&text).map_err(|detail| MapError::Join { path: file, detail })?;
    }
    Ok(map)
}

/// All events of a file, with the line of each.
pub fn read_events(path: &Path, input: Box<dyn Read + Send>, map: &Map) -> Result<Vec<(u64, Emitted)>, FileError> {
    let mut taker = Taker { path, map, events: Vec::new(), emitted: Vec::new() };
    match map.format {
        Format::Csv { delimiter } => taker.csv(input, delimiter)?,
        Format::Ndjson => taker.ndjson(input)?,
        Format::Json => taker.json(input)?,
        // they pass line by line: ingest::file
        Format::Events => {}
    }
    let mut events = taker.events;
    match map.sort {
        Some(Sort::Time) => events.sort_by_key(|(_, e)| e.time),
        Some(Sort::BrokerTime) => events.sort_by_key(|(_, e)| e.broker_time),
        None => {}
    }
    Ok(events)
}

struct Taker<'a> {
    path: &'a Path,
    map: &'a Map,
    events: Vec<(u64, Emitted)>,
    emitted: Vec<Emitted>,
}

impl Taker<'_> {
    fn read_error(&self, line: u64, source: std::io::Error) -> FileError {
        FileError::Read { path: self.path.to_owned(), line, source }
    }

    fn row_error(&self, line: u64, detail: String) -> FileError {
        FileError::Map { path: self.path.to_owned(), line, map: String::new(), detail }
    }

    fn take(&mut self, line: u64, row: &dyn RowView) -> Result<(), FileError> {
        self.map.emit(row, &mut self.emitted).map_err(|detail| self.row_error(line, detail))?;
        self.events.extend(self.emitted.drain(..).map(|e| (line, e)));
        Ok(())
    }

    fn csv(&mut self, input: Box<dyn Read + Send>, delimiter: u8) -> Result<(), FileError> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(BufReader::new(input));
        let to_io = |e: csv::Error| std::io::Error::other(e.to_string());
        let header = reader.headers().map_err(|e| self.read_error(1, to_io(e)))?.clone();
        let columns = CsvColumns::of(self.map, &header).map_err(|detail| self.row_error(1, detail))?;
        let mut record = csv::StringRecord::new();
        let mut line = 1;
        while reader.read_record(&mut record).map_err(|e| self.read_error(line, to_io(e)))? {
            line = record.position().map_or(line + 1, csv::Position::line);
            self.take(line, &CsvRow { columns: &columns, record: &record })?;
        }
        Ok(())
    }

    fn ndjson(&mut self, input: Box<dyn Read + Send>) -> Result<(), FileError> {
        for (n, line) in BufReader::new(input).lines().enumerate() {
            let number = n as u64 + 1;
            let line = line.map_err(|e| self.read_error(number, e))?;
            if line.trim().is_empty() {
                continue;
            }
            let row = JsonRow::read(self.map, line.as_bytes()).map_err(|detail| self.row_error(number, detail))?;
            self.take(number, &row)?;
        }
        Ok(())
    }

    fn json(&mut self, mut input: Box<dyn Read + Send>) -> Result<(), FileError> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|e| self.read_error(0, e))?;
        let rows = json_rows(&bytes).map_err(|detail| self.row_error(1, detail))?;
        for (n, value) in rows.iter().enumerate() {
            let number = n as u64 + 1;
            let row = JsonRow::read(self.map, value.get().as_bytes()).map_err(|detail| self.row_error(number, detail))?;
            self.take(number, &row)?;
        }
        Ok(())
    }
}
