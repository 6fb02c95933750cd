//! The thread that reads the embedded store.
//!
//! Owns: connections for reading, a few days of them. Refuses to know: the writer.
//!
//! Invariants
//! 1. A read holds no lock that a write waits for (WAL).
//!
//! Called by: store::embedded (one thread).

use super::day::ReadableDay;
use super::{Read, days};
use crate::disk::database::{self, NANOS_PER_DAY};
use crate::engine::FieldValue;
use crate::store::line::{self, StoredRow, series_of};
use crate::store::{StoreError, TrendPoint, TrendQuery};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

const OPEN_DAYS: usize = 8;

/// Whether a series is asked for, by its tags.
type SeriesFilter<'a> = dyn Fn(&[(String, String)]) -> bool + 'a;

pub(super) struct Reader {
    folder: PathBuf,
    open: BTreeMap<i64, ReadableDay>,
}

impl Reader {
    pub fn new(folder: &Path) -> Reader {
        Reader { folder: folder.to_owned(), open: BTreeMap::new() }
    }

    pub fn run(mut self, mut queue: mpsc::Receiver<Read>) {
        while let Some(read) = queue.blocking_recv() {
            match read {
                Read::Trend { query, answer } => drop(answer.send(self.trend(&query))),
                Read::Rows { measurement, from, to, answer } => drop(answer.send(self.rows(&measurement, (from, to), &|_| true))),
                Read::Matching { query, from, to, answer } => {
                    drop(answer.send(self.rows(&query.measurement, (from, to), &|tags| query.takes(tags))));
                }
            }
        }
    }

    fn trend(&mut self, query: &TrendQuery) -> Result<Vec<TrendPoint>, StoreError> {
        let head = series_of(&query.measurement, &query.tags);
        let mut points = Vec::new();
        for (day, from, to) in self.days(query.from, query.to)? {
            let day = self.day(day)?;
            for row in day.series_rows(&head, from, to)? {
                let value =
                    day.fields(&row)?.into_iter().find(|(name, _)| *name == query.field).and_then(|(_, value)| FieldValue::number(value));
                points.push(TrendPoint { start: Timestamp(row.start), value, state: row.state, revision: row.revision });
            }
        }
        Ok(points)
    }

    /// Of the series whose tags are wanted.
    fn rows(
        &mut self,
        measurement: &str,
        (from, to): (Timestamp, Timestamp),
        wanted: &SeriesFilter<'_>,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let mut all = Vec::new();
        let takes = |head: &[u8]| line::parse_series(head).is_some_and(|(_, tags)| wanted(&tags));
        for (day, from, to) in self.days(from, to)? {
            let day = self.day(day)?;
            for (head, rows) in day.measurement_rows(measurement, (from, to), &takes)? {
                let Some((measurement, tags)) = line::parse_series(&head) else { continue };
                for row in rows {
                    all.push(StoredRow {
                        measurement: measurement.clone(),
                        tags: tags.clone(),
                        start: Timestamp(row.start),
                        fields: day.fields(&row)?,
                        revision: row.revision,
                        state: row.state,
                    });
                }
            }
        }
        all.sort_by(|a, b| (a.start, &a.tags).cmp(&(b.start, &b.tags)));
        Ok(all)
    }

    /// The days that `[from, to)` touches and that have a file, each with its part of the span in nanoseconds.
    fn days(&mut self, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, i64, i64)>, StoreError> {
        let there = days(&self.folder)?;
        self.open.retain(|day, _| there.contains(day));
        let part = |day: i64| (day, from.0.max(day * NANOS_PER_DAY), to.0.min((day + 1) * NANOS_PER_DAY));
        Ok(there.into_iter().map(part).filter(|(_, from, to)| from < to).collect())
    }

    fn day(&mut self, day: i64) -> Result<&mut ReadableDay, StoreError> {
        if !self.open.contains_key(&day) {
            while self.open.len() >= OPEN_DAYS {
                self.open.pop_first();
            }
            self.open.insert(day, ReadableDay::open(&self.folder.join(database::name_of_day(day)))?);
        }
        self.open.get_mut(&day).ok_or(StoreError::Closed)
    }
}
