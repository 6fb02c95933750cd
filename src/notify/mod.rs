//! Alert changes on their way to other programs: a topic, a webhook, whoever listens.
//!
//! Owns: [`Outbox`] (changes in the order in which they were journaled, by number) and [`tell`], which brings them to a channel. Refuses to
//! know: how alerts change, who may see what, HTTP requests that come in.
//!
//! Invariants
//! 1. A change is in the outbox once it is journaled, and not before (D2): its text is part of the same transaction.
//! 2. A channel is told the changes in their order, without a hole. Its cursor is durable after each confirmed batch: an orderly restart
//!    repeats nothing, a crash repeats at most the batch that was confirmed and not yet noted, under the same ids.
//! 3. Nothing here holds up the journal: a channel that does not answer waits alone.
//!
//! Called by: driver (the gate), server (`/api/v1/alerts/stream`), the composition root.

pub mod channel;
pub mod cursor;
pub mod event;
pub mod webhook;

use crate::journal::{JournalError, JournalReader, Told};
use channel::{Channel, ChannelError};
use cursor::Cursors;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Changes kept in memory: who is not far behind never asks the disk.
const RING: usize = 4_096;
/// Changes told at once.
pub const BATCH: usize = 256;
/// First and longest wait between tries.
const WAIT: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// The changes, for any number of readers.
pub struct Outbox {
    folder: PathBuf,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    closed: CancellationToken,
}

/// The newest changes; all that come after `since` are in it.
#[derive(Default)]
struct Ring {
    since: u64,
    told: VecDeque<Arc<Told>>,
}

impl Outbox {
    /// `folder`: the journal's; `newest`: number of its newest change.
    pub fn new(folder: &Path, newest: u64) -> Outbox {
        Outbox {
            folder: folder.to_owned(),
            ring: Mutex::new(Ring { since: newest, told: VecDeque::new() }),
            newest: watch::Sender::new(newest),
            closed: CancellationToken::new(),
        }
    }

    /// Changes that were journaled just now, in order.
    pub fn put(&self, told: impl IntoIterator<Item = Told>) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        for told in told {
            if ring.told.len() == RING
                && let Some(old) = ring.told.pop_front()
            {
                ring.since = old.number;
            }
            ring.told.push_back(Arc::new(told));
        }
        let newest = ring.told.back().map_or(ring.since, |told| told.number);
        drop(ring);
        self.newest.send_if_modified(|held| std::mem::replace(held, newest) != newest);
    }

    /// Changes up to `newest` were journaled without being put here: they are read from the journal.
    pub fn skip_to(&self, newest: u64) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        *ring = Ring { since: newest, told: VecDeque::new() };
        drop(ring);
        self.newest.send_if_modified(|held| std::mem::replace(held, newest) != newest);
    }

    /// Nobody is told any more: open streams end.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Resolves once it is closed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Number of the newest change.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Moves with every change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The changes after number `after`, in order, at most `limit`. Those that were forgotten are passed over: then the first one's number
    /// is not `after + 1`.
    pub async fn after(&self, after: u64, limit: usize) -> Result<Vec<Arc<Told>>, JournalError> {
        {
            let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if after >= ring.since {
                let from = ring.told.partition_point(|told| told.number <= after);
                return Ok(ring.told.iter().skip(from).take(limit).cloned().collect());
            }
        }
        let folder = self.folder.clone();
        let read = move || JournalReader::open(&folder)?.told_after(after, limit);
        let told = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        Ok(told.into_iter().map(Arc::new).collect())
    }
}

/// What a channel has done, for `/metrics`.
#[derive(Debug, Default)]
pub struct ChannelCounters {
    pub told: AtomicU64,
    pub retries: AtomicU64,
    /// Given up after their time and kept in a file.
    pub dead: AtomicU64,
    /// Forgotten before they were told.
    pub lost: AtomicU64,
    /// Number of the last change told.
    pub at: AtomicU64,
}

/// Brings all changes to a channel until `stop`. A channel that was never told anything begins with what comes from now on.
pub async fn tell(
    outbox: Arc<Outbox>,
    cursors: Arc<Cursors>,
    mut channel: Channel,
    counters: Arc<ChannelCounters>,
    stop: CancellationToken,
) {
    let name = channel.name();
    let mut newest = outbox.watch();
    let mut at = match cursors.load(name).await {
        Ok(Some(at)) => at,
        Ok(None) => outbox.newest(),
        Err(error) => return tracing::error!(%error, channel = name, "the cursor cannot be read: nothing is told"),
    };
    if let Err(error) = cursors.save(name, at).await {
        return tracing::error!(%error, channel = name, "the cursor cannot be kept: nothing is told");
    }
    let mut failures = 0u32;
    loop {
        counters.at.store(at, Relaxed);
        newest.borrow_and_update();
        let step = tokio::select! {
            step = tell_batch(&outbox, &cursors, &mut channel, &counters, at) => step,
            () = stop.cancelled() => return,
        };
        let wait = match step {
            Ok(told) if told > at => {
                (at, failures) = (told, 0);
                continue;
            }
            Ok(_) => {
                tokio::select! {
                    more = newest.changed() => if more.is_err() { return },
                    () = stop.cancelled() => return,
                }
                continue;
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                counters.retries.fetch_add(1, Relaxed);
                let wait = back_off(failures);
                tracing::warn!(%error, channel = name, failures, wait_ms = wait.as_millis() as u64, "alert changes wait");
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Tells what comes after `at`; the number of the last one that is told.
async fn tell_batch(
    outbox: &Outbox,
    cursors: &Cursors,
    channel: &mut Channel,
    counters: &ChannelCounters,
    at: u64,
) -> Result<u64, ChannelError> {
    let batch = outbox.after(at, channel.batch()).await?;
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(at) };
    let lost = first.number - at - 1;
    if lost > 0 {
        tracing::error!(channel = channel.name(), lost, "alert changes were forgotten before they were told");
        counters.lost.fetch_add(lost, Relaxed);
    }
    let dead = channel.send(&batch).await?;
    cursors.save(channel.name(), last.number).await?;
    counters.dead.fetch_add(dead, Relaxed);
    counters.told.fetch_add(batch.len() as u64 - dead, Relaxed);
    Ok(last.number)
}

/// Doubles from a second to five minutes, with a part of chance so that not all come back at once.
fn back_off(failures: u32) -> Duration {
    let longest = WAIT.saturating_mul(1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX)).min(LONGEST);
    let mut byte = [128u8];
    // without chance it is the middle
    let _ = getrandom::fill(&mut byte);
    longest.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}

#[cfg(test)]
mod tests;
