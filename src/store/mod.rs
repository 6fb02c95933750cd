//! Where rows go: a time-series store, embedded or InfluxDB 2, behind one closed enum.
//!
//! Owns: [`Store`] and what both kinds answer; [`drain`], which takes rows from the spool to the store. Refuses to know: the engine, rules,
//! who looks at a trend.
//!
//! Invariants
//! 1. Rows reach a store in journal order; writing the same rows again changes nothing (D3).
//! 2. A slow or dead store delays nobody but its own readers: rows wait in the spool.
//! 3. Both kinds pass the same conformance cases (conformance.rs).
//!
//! Called by: driver (spool, drain), server (trends), cli (doctor).

#[doc(hidden)]
pub mod conformance;
pub mod embedded;
pub mod influx;
mod kept;
pub mod late;
pub mod line;
pub mod pages;
pub mod rejected;
mod segment;
pub mod spool;

use crate::disk::database::DatabaseError;
use crate::engine::RowState;
use crate::time::Timestamp;
use embedded::Embedded;
use influx::{Influx, InfluxError};
use line::StoredRow;
use spool::{Batch, Spool, SpoolError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Rows of one write; about, for a tick is not divided.
pub const BATCH_ROWS: usize = 5_000;
const BATCH_BYTES: usize = 8 << 20;
/// How long the first row of a small batch waits for company.
pub const BATCH_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Influx(#[from] Box<InfluxError>),
    #[error("the store is closed")]
    Closed,
}

impl From<InfluxError> for StoreError {
    fn from(error: InfluxError) -> StoreError {
        StoreError::Influx(Box::new(error))
    }
}

pub enum Store {
    Influx(Box<Influx>),
    Embedded(Embedded),
}

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    pub rows: u64,
    /// Lines that the store will never take: counted, and kept where the store has a place for them.
    pub refused: u64,
}

/// One point of a trend.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrendPoint {
    pub start: Timestamp,
    /// `None`: the row has no such field.
    pub value: Option<f64>,
    pub state: RowState,
    pub revision: u32,
}

/// One figure of one series over `[from, to)`.
#[derive(Clone, PartialEq, Debug)]
pub struct TrendQuery {
    pub measurement: String,
    /// All tags of the measurement, in any order; an empty value means that the series has no such tag.
    pub tags: Vec<(String, String)>,
    pub field: String,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Whether a store answers, in one sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    pub well: bool,
    pub text: String,
}

impl Store {
    /// Complete lines of ticks up to `tick`, in journal order; stored durably when it returns. Influx: tries until the server answers.
    pub async fn write(&self, tick: u64, lines: Vec<u8>) -> Result<Stored, StoreError> {
        match self {
            Store::Influx(influx) => Ok(influx.write(&lines).await?),
            Store::Embedded(embedded) => embedded.write(tick, lines).await,
        }
    }

    /// By start of window; withdrawn rows are points with that state.
    pub async fn trend(&self, query: TrendQuery) -> Result<Vec<TrendPoint>, StoreError> {
        match self {
            Store::Influx(influx) => Ok(influx.trend(&query).await?),
            Store::Embedded(embedded) => embedded.trend(query).await,
        }
    }

    /// All rows of a measurement whose window starts in `[from, to)`, by (start, series). For comparisons, not for pages.
    pub async fn rows(&self, measurement: &str, from: Timestamp, to: Timestamp) -> Result<Vec<StoredRow>, StoreError> {
        match self {
            Store::Influx(influx) => Ok(influx.rows(measurement, from, to).await?),
            Store::Embedded(embedded) => embedded.rows(measurement.to_owned(), from, to).await,
        }
    }

    /// Rows of a measurement, a page at a time; see [`pages`].
    pub async fn page(&self, query: pages::RowsQuery) -> Result<pages::RowsPage, StoreError> {
        pages::page(self, query).await
    }

    pub async fn health(&self) -> Health {
        match self {
            Store::Influx(influx) => influx.health().await,
            Store::Embedded(embedded) => embedded.health(),
        }
    }
}

/// Takes rows from the spool to the store until `stop`; what is not acknowledged by then stays in the spool.
pub async fn drain(store: Arc<Store>, spool: Arc<Spool>, stop: CancellationToken) {
    let mut appended = spool.subscribe();
    let mut failures = 0u32;
    loop {
        appended.borrow_and_update();
        let moved = tokio::select! {
            moved = move_batch(&store, &spool) => moved,
            () = stop.cancelled() => return,
        };
        failures = if moved.is_ok() { 0 } else { failures.saturating_add(1) };
        let wait = match moved {
            Ok(Some(rows)) if rows >= BATCH_ROWS => Duration::ZERO,
            Ok(Some(_)) => BATCH_WAIT,
            Ok(None) => {
                tokio::select! {
                    more = appended.changed() => if more.is_err() { return },
                    () = stop.cancelled() => return,
                }
                BATCH_WAIT
            }
            Err(error) => {
                tracing::error!(%error, failures, "rows wait in the spool: the store does not take them");
                BATCH_WAIT * failures.min(30)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Moves one batch; the number of its rows, `None` where nothing waits.
pub async fn move_batch(store: &Store, spool: &Arc<Spool>) -> Result<Option<usize>, StoreError> {
    let Some(Batch { last, lines, rows, .. }) = on_disk(spool, |spool| spool.take(BATCH_ROWS, BATCH_BYTES)).await? else {
        return Ok(None);
    };
    store.write(last, lines).await?;
    on_disk(spool, move |spool| spool.ack(last)).await?;
    Ok(Some(rows))
}

/// Runs work that waits for the disk where it may block.
async fn on_disk<T: Send + 'static>(
    spool: &Arc<Spool>,
    work: impl FnOnce(&Spool) -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, StoreError> {
    let spool = spool.clone();
    let done = tokio::task::spawn_blocking(move || work(&spool)).await;
    Ok(done.map_err(|_| StoreError::Closed)??)
}

#[cfg(test)]
mod tests;
