//! One day's file: its tables and what is done to them.
//!
//! Owns: series and layouts of the day by number, hot rows by (start, series), packed hours by (hour, series). Refuses to know: threads.
//!
//! Invariants
//! 1. A row lies in the hot table, in a block, or in both: then the one with the greater tick counts, the hot one if equal.
//! 2. Numbers of series and layouts never change within a day.
//!
//! The hot table's key is (start, series): rows of one moment lie together, so a batch touches few pages whatever the number of series; the
//! other order falls below 40,000 rows/s at 5 million rows, this one stays above 700,000. One series over a day is then read by
//! seeking each start, and from blocks where the hour is packed: 24 reads instead of 1,440. Blocks have an integer key; in a table WITHOUT
//! ROWID they would spill into overflow pages.
//!
//! Called by: writer.rs, reader.rs.

use super::block::{self, PackedRow};
use crate::disk::database::{self, DatabaseError, InFile};
use crate::engine::FieldValue;
use crate::store::line::{self, RawValue};
use crate::time::NANOS_PER_SECOND;
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FORMAT: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE series(id INTEGER PRIMARY KEY, measurement TEXT NOT NULL, head BLOB NOT NULL UNIQUE);
    CREATE INDEX series_by_measurement ON series(measurement);
    CREATE TABLE layouts(id INTEGER PRIMARY KEY, fields TEXT NOT NULL UNIQUE);
    CREATE TABLE hot(start INTEGER NOT NULL, series INTEGER NOT NULL, tick INTEGER NOT NULL, revision INTEGER NOT NULL, state INTEGER NOT NULL,
        layout INTEGER NOT NULL, vals BLOB NOT NULL, PRIMARY KEY(start, series)) WITHOUT ROWID;
    CREATE TABLE packed(hour_series INTEGER PRIMARY KEY, rows INTEGER NOT NULL, block BLOB NOT NULL)";
const COLUMNS: &str = "start, tick, revision, state, layout, vals";
pub(super) const NANOS_PER_HOUR: i64 = 3600 * NANOS_PER_SECOND;
const SERIES_BITS: u32 = 32;

/// A day open for writing.
pub(super) struct WritableDay {
    pub path: PathBuf,
    connection: Connection,
    series: HashMap<Box<[u8]>, i64, foldhash::fast::RandomState>,
    layouts: HashMap<Box<[u8]>, i64, foldhash::fast::RandomState>,
}

/// A line ready to be written.
pub(super) struct PlacedLine<'a> {
    pub head: &'a [u8],
    pub start: i64,
    pub fields: &'a [u8],
}

impl WritableDay {
    pub fn open(path: &Path) -> Result<WritableDay, DatabaseError> {
        let connection = database::create(path, FORMAT, SCHEMA)?;
        let (mut series, mut layouts) = (HashMap::default(), HashMap::default());
        (|| -> rusqlite::Result<()> {
            let mut query = connection.prepare("SELECT head, id FROM series")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                series.insert(row.get::<_, Vec<u8>>(0)?.into_boxed_slice(), row.get(1)?);
            }
            let mut query = connection.prepare("SELECT fields, id FROM layouts")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                layouts.insert(row.get::<_, String>(0)?.into_bytes().into_boxed_slice(), row.get(1)?);
            }
            Ok(())
        })()
        .in_file(path, "read series and layouts")?;
        Ok(WritableDay { path: path.to_owned(), connection, series, layouts })
    }

    /// One transaction; how many lines could not be read. An older tick never replaces a newer one.
    pub fn write(&mut self, tick: u64, lines: &[PlacedLine<'_>]) -> Result<u64, DatabaseError> {
        let path = self.path.clone();
        let written = self.write_rows(tick, lines);
        if written.is_err() {
            // numbers given out in the failed transaction are not in the file
            let _ = self.connection.execute_batch("ROLLBACK");
            self.series.clear();
            self.layouts.clear();
            *self = WritableDay::open(&path)?;
        }
        written.in_file(&path, "write rows")
    }

    fn write_rows(&mut self, tick: u64, lines: &[PlacedLine<'_>]) -> rusqlite::Result<u64> {
        let (mut layout, mut values) = (Vec::new(), Vec::new());
        let mut refused = 0;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for placed in lines {
            let Some((revision, state)) = split_fields(placed.fields, &mut layout, &mut values) else {
                refused += 1;
                continue;
            };
            let Some(series) = self.series_id(placed.head)? else {
                refused += 1;
                continue;
            };
            let layout = self.layout_id(&layout)?;
            self.connection
                .prepare_cached(
                    "INSERT INTO hot VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(start, series) DO UPDATE SET
                        tick = ?3, revision = ?4, state = ?5, layout = ?6, vals = ?7 WHERE tick <= ?3",
                )?
                .execute(params![placed.start, series, tick as i64, revision, state, layout, values])?;
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(refused)
    }

    fn series_id(&mut self, head: &[u8]) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.series.get(head) {
            return Ok(Some(*id));
        }
        let Some((measurement, _)) = line::parse_series(head) else { return Ok(None) };
        let id = self.connection.query_row(
            "INSERT INTO series(measurement, head) VALUES (?, ?) RETURNING id",
            params![measurement, head],
            |r| r.get(0),
        )?;
        self.series.insert(head.into(), id);
        Ok(Some(id))
    }

    fn layout_id(&mut self, layout: &[u8]) -> rusqlite::Result<i64> {
        if let Some(id) = self.layouts.get(layout) {
            return Ok(*id);
        }
        let text = String::from_utf8_lossy(layout);
        let id = self.connection.query_row("INSERT INTO layouts(fields) VALUES (?) RETURNING id", [text], |r| r.get(0))?;
        self.layouts.insert(layout.into(), id);
        Ok(id)
    }

    /// Start of the oldest hour that has hot rows.
    pub fn oldest_hot_hour(&self) -> Result<Option<i64>, DatabaseError> {
        let start: Option<i64> =
            self.connection.query_row("SELECT min(start) FROM hot", [], |r| r.get(0)).in_file(&self.path, "find hot rows")?;
        Ok(start.map(|s| s.div_euclid(NANOS_PER_HOUR) * NANOS_PER_HOUR))
    }

    /// Moves hot rows of one hour and `slice` series from number `first` on into blocks, in one transaction. Answers the number of rows
    /// moved and whether series are left above.
    pub fn pack(&mut self, hour: i64, first: i64, slice: i64) -> Result<(u64, bool), DatabaseError> {
        let path = self.path.clone();
        let packed = self.pack_rows(hour, first, first + slice);
        if packed.is_err() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        let moved = packed.in_file(&path, "pack an hour")?;
        Ok((moved, (self.series.len() as i64) >= first + slice))
    }

    fn pack_rows(&mut self, hour: i64, first: i64, end: i64) -> rusqlite::Result<u64> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut by_series: BTreeMap<i64, BTreeMap<i64, PackedRow>> = BTreeMap::new();
        let mut moved = 0;
        {
            let sql = format!("SELECT {COLUMNS}, series FROM hot WHERE start >= ? AND start < ? AND series >= ? AND series < ?");
            let mut query = self.connection.prepare_cached(&sql)?;
            let mut rows = query.query(params![hour, hour + NANOS_PER_HOUR, first, end])?;
            while let Some(row) = rows.next()? {
                let packed = row_of(row)?;
                by_series.entry(row.get(6)?).or_default().insert(packed.start, packed);
                moved += 1;
            }
        }
        for (series, mut rows) in by_series {
            let id = block_id(hour, series);
            for old in read_block(&self.connection, id)? {
                let newer = rows.get(&old.start).is_some_and(|hot| hot.tick >= old.tick);
                if !newer {
                    rows.insert(old.start, old);
                }
            }
            let rows: Vec<_> = rows.into_values().collect();
            let block = block::encode(&rows).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
            self.connection.prepare_cached("INSERT OR REPLACE INTO packed VALUES (?, ?, ?)")?.execute(params![
                id,
                rows.len() as i64,
                block
            ])?;
        }
        self.connection
            .prepare_cached("DELETE FROM hot WHERE start >= ? AND start < ? AND series >= ? AND series < ?")?
            .execute(params![hour, hour + NANOS_PER_HOUR, first, end])?;
        self.connection.execute_batch("COMMIT")?;
        Ok(moved)
    }
}

fn block_id(hour: i64, series: i64) -> i64 {
    (hour.div_euclid(NANOS_PER_HOUR).rem_euclid(24) << SERIES_BITS) | series
}

fn read_block(connection: &Connection, id: i64) -> rusqlite::Result<Vec<PackedRow>> {
    let mut query = connection.prepare_cached("SELECT block FROM packed WHERE hour_series = ?")?;
    let block: Option<Vec<u8>> = query.query_row([id], |r| r.get(0)).optional()?;
    let Some(block) = block else { return Ok(Vec::new()) };
    let damaged = || rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, "a packed hour cannot be unpacked".into());
    block::decode(&block).ok_or_else(damaged)
}

/// Cuts fields into a layout (`name:type,` in the line's order) and values; answers revision and state.
fn split_fields(fields: &[u8], layout: &mut Vec<u8>, values: &mut Vec<u8>) -> Option<(u32, u8)> {
    layout.clear();
    values.clear();
    let (mut revision, mut state) = (0, 1);
    line::each_field(fields, |name, value| {
        let (kind, bytes) = match value {
            RawValue::State(s) => return state = block::state_number(s),
            RawValue::Int(n) if name == b"revision" => return revision = u32::try_from(n).unwrap_or(u32::MAX),
            RawValue::Int(n) => (b'i', n.to_le_bytes()),
            RawValue::Float(x) => (b'f', x.to_le_bytes()),
        };
        layout.extend_from_slice(name);
        layout.extend_from_slice(&[b':', kind, b',']);
        values.extend_from_slice(&bytes);
    })?;
    (values.len() / 8 <= usize::from(u8::MAX)).then_some((revision, state))
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<PackedRow> {
    Ok(PackedRow {
        start: row.get(0)?,
        tick: row.get::<_, i64>(1)? as u64,
        revision: row.get(2)?,
        state: block::state_of_number(row.get(3)?),
        layout: row.get(4)?,
        values: row.get(5)?,
    })
}

/// Head of a series' lines, and its rows in order of start.
pub(super) type SeriesRows = (Vec<u8>, Vec<PackedRow>);

/// A day open for reading.
pub(super) struct ReadableDay {
    pub path: PathBuf,
    connection: Connection,
    layouts: HashMap<i64, Vec<(String, u8)>, foldhash::fast::RandomState>,
}

impl ReadableDay {
    pub fn open(path: &Path) -> Result<ReadableDay, DatabaseError> {
        Ok(ReadableDay { path: path.to_owned(), connection: database::open_reader(path)?, layouts: HashMap::default() })
    }

    /// Rows of one series with start in `[from, to)`, in order of start.
    pub fn series_rows(&self, head: &[u8], from: i64, to: i64) -> Result<Vec<PackedRow>, DatabaseError> {
        self.snapshot(|connection| {
            let mut query = connection.prepare_cached("SELECT id FROM series WHERE head = ?")?;
            let id: Option<i64> = query.query_row([head], |r| r.get(0)).optional()?;
            id.map_or(Ok(Vec::new()), |id| rows_of_series(connection, id, from, to))
        })
    }

    /// Heads of the series of a measurement that are wanted, with their rows as above.
    pub fn measurement_rows(
        &self,
        measurement: &str,
        (from, to): (i64, i64),
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Vec<SeriesRows>, DatabaseError> {
        self.snapshot(|connection| {
            let mut query = connection.prepare_cached("SELECT head, id FROM series WHERE measurement = ?")?;
            let found = query.query_map([measurement], |r| Ok((r.get(0)?, r.get(1)?)))?;
            let found: Vec<(Vec<u8>, i64)> = found.collect::<rusqlite::Result<_>>()?;
            found
                .into_iter()
                .filter(|(head, _)| wanted(head))
                .map(|(head, id)| Ok((head, rows_of_series(connection, id, from, to)?)))
                .collect()
        })
    }

    /// One read transaction: rows that the packer moves meanwhile are seen once (invariant 3 of the store).
    fn snapshot<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DatabaseError> {
        let done = self.connection.unchecked_transaction().and_then(|transaction| read(&transaction));
        done.in_file(&self.path, "read rows")
    }

    /// Names and values of a row.
    pub fn fields(&mut self, row: &PackedRow) -> Result<Vec<(String, FieldValue)>, DatabaseError> {
        if !self.layouts.contains_key(&row.layout) {
            let text: String = self
                .connection
                .query_row("SELECT fields FROM layouts WHERE id = ?", [row.layout], |r| r.get(0))
                .in_file(&self.path, "read a layout")?;
            // names are escaped as in line protocol, so a bare comma ends a field; its last two characters are `:type`
            let fields = line::split_unescaped(text.as_bytes(), b',').filter(|f| f.len() >= 2);
            let fields = fields.map(|f| (line::unescape(&f[..f.len() - 2]), f[f.len() - 1]));
            self.layouts.insert(row.layout, fields.collect());
        }
        let layout = self.layouts.get(&row.layout).map_or(&[][..], Vec::as_slice);
        let value = |(kind, bytes): (u8, &[u8; 8])| match kind {
            b'i' => FieldValue::Int(i64::from_le_bytes(*bytes)),
            _ => FieldValue::Float(f64::from_le_bytes(*bytes)),
        };
        let (chunks, _) = row.values.as_chunks::<8>();
        Ok(layout.iter().zip(chunks).map(|((name, kind), bytes)| (name.clone(), value((*kind, bytes)))).collect())
    }
}

fn rows_of_series(connection: &Connection, series: i64, from: i64, to: i64) -> rusqlite::Result<Vec<PackedRow>> {
    let mut rows: BTreeMap<i64, PackedRow> = BTreeMap::new();
    let mut hour = from.div_euclid(NANOS_PER_HOUR) * NANOS_PER_HOUR;
    while hour < to {
        rows.extend(
            read_block(connection, block_id(hour, series))?.into_iter().filter(|r| (from..to).contains(&r.start)).map(|r| (r.start, r)),
        );
        hour += NANOS_PER_HOUR;
    }
    // each distinct start by one seek, then the row by another
    let mut query = connection.prepare_cached(
        "WITH RECURSIVE at(start) AS (
            SELECT min(start) FROM hot WHERE start >= ?1 AND start < ?2
            UNION ALL
            SELECT (SELECT min(start) FROM hot WHERE start > at.start AND start < ?2) FROM at WHERE at.start IS NOT NULL)
         SELECT hot.start, tick, revision, state, layout, vals FROM at CROSS JOIN hot ON hot.start = at.start AND hot.series = ?3",
    )?;
    let mut found = query.query(params![from, to, series])?;
    while let Some(row) = found.next()? {
        let hot = row_of(row)?;
        if rows.get(&hot.start).is_none_or(|packed| packed.tick <= hot.tick) {
            rows.insert(hot.start, hot);
        }
    }
    Ok(rows.into_values().collect())
}
