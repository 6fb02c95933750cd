//! The past again: from a kept checkpoint the journaled ticks are fed once more, through the same engine, views and board.
//!
//! Owns: [`Past`] (where it lies, what of it is still whole), [`lane`] (one run of it), [`session`] (one analyst's clock), [`timeline`].
//! Refuses to know: stores, the gate, the live board, sockets.
//!
//! Invariants
//! 1. It has readers only: of the journal, of checkpoints, of the log. Nothing here can write, notify or change a live alert.
//! 2. Ticks, operators' acts, definitions are those of the time; where recomputation does not arrive at the journaled changes of alerts,
//!    the journal wins and that is said (D2).
//! 3. The board updates of a replayed tick are those that were live (R3).
//! 4. At most [`SESSIONS`] replays at once, one of which computes at a time.
//!
//! Called by: app (puts it behind the server), cli (`ioc replay`).

pub mod lane;
pub mod session;
pub mod timeline;

use crate::checkpoint::{CheckpointError, CheckpointReader};
use crate::definitions::{Definitions, Mistakes};
use crate::disk::Disk;
use crate::driver::DriverError;
use crate::engine::setup::{MAX_BEHIND, Setup};
use crate::engine::snapshot::RestoreError;
use crate::ingest::PartitionName;
use crate::ingest::past::{PastError, PastLog, PastPlace};
use crate::journal::{JournalError, JournalReader, Note};
use crate::time::{Span, Timestamp};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Replays at once.
pub const SESSIONS: usize = 4;
/// Definitions of the past that stay compiled.
const COMPILED: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Log(#[from] PastError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("the definitions of the time cannot be compiled by this program: {0}")]
    Definitions(#[from] Mistakes),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("{} cannot be seen again: the oldest moment that can is {}", local(*.asked), local(*.oldest))]
    TooEarly { asked: Timestamp, oldest: Timestamp },
    #[error("there is no past yet: checkpoint, journal and log do not meet at any moment; wait a minute after the first start")]
    Nothing,
}

/// "2026-06-01 07:25:30" in Vietnam, which has one zone and no summer time.
pub fn local(at: Timestamp) -> String {
    let text = (at + Span::hours(7)).to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// Where the past lies, and the definitions of today.
pub struct Past {
    /// The data folder: the journal's.
    folder: PathBuf,
    checkpoints: CheckpointReader,
    log: PastPlace,
    today: Arc<Setup>,
    /// By version, those asked for last at the end.
    compiled: Mutex<Vec<(String, Arc<Setup>)>>,
}

/// What can be seen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Time of the oldest tick for which checkpoint, journal and log are still there.
    pub oldest: Timestamp,
    /// Time of the newest journaled tick.
    pub newest: Timestamp,
    /// The first tick that may be a picture.
    pub first: u64,
    pub last: u64,
}

impl Past {
    /// `today` with its definitions' version: what needs no compiling.
    pub fn new(folder: PathBuf, checkpoints: CheckpointReader, log: PastPlace, version: String, today: Arc<Setup>) -> Past {
        let compiled = Mutex::new(vec![(version, today.clone())]);
        Past { folder, checkpoints, log, today, compiled }
    }

    /// For who has nothing but the data folder: today's definitions are those that the journal named last.
    pub fn open(folder: PathBuf, log: PastPlace) -> Result<Past, ReplayError> {
        let checkpoints = CheckpointReader::new(Disk::Real, &folder.join("checkpoints"));
        let empty = Past::new(folder, checkpoints, log, String::new(), Arc::new(Definitions::default().compile(Some(MAX_BEHIND))?));
        let last = empty.journal()?.configuration_at(i64::MAX as u64)?;
        let Some((_, configuration)) = last else { return Ok(empty) };
        let definitions = Definitions::from_configuration(&configuration);
        let today = Arc::new(definitions.compile(Some(MAX_BEHIND))?);
        Ok(Past::new(empty.folder, empty.checkpoints, empty.log, definitions.version(), today))
    }

    /// The last tick at or before a moment that can be seen again.
    pub fn tick_at(&self, at: Timestamp) -> Result<u64, ReplayError> {
        let reach = self.reach()?;
        if at < reach.oldest {
            return Err(ReplayError::TooEarly { asked: at, oldest: reach.oldest });
        }
        Ok(self.journal()?.tick_at(at.0)?.unwrap_or(reach.first).max(reach.first))
    }

    fn journal(&self) -> Result<JournalReader, ReplayError> {
        let path = self.folder.join("journal.sqlite");
        if !path.exists() {
            return Err(ReplayError::Nothing);
        }
        Ok(JournalReader::open(&self.folder)?)
    }

    /// The definitions as compiled, from those kept if they are among them.
    pub fn setup(&self, definitions: &Definitions) -> Result<Arc<Setup>, Mistakes> {
        let version = definitions.version();
        let held = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, setup)) = held().iter().find(|(v, _)| *v == version) {
            return Ok(setup.clone());
        }
        let setup = Arc::new(definitions.compile(Some(MAX_BEHIND))?);
        let mut held = held();
        if held.len() >= COMPILED {
            // the first is today's
            held.remove(1);
        }
        held.push((version, setup.clone()));
        Ok(setup)
    }

    /// From when to when the past can be seen again.
    pub fn reach(&self) -> Result<Reach, ReplayError> {
        self.reach_of(&self.journal()?, &mut self.log.open()?)
    }

    fn reach_of(&self, journal: &JournalReader, log: &mut PastLog) -> Result<Reach, ReplayError> {
        let Some((begins, last)) = journal.bounds()? else { return Err(ReplayError::Nothing) };
        let newest = journal.entry(last)?.ok_or(ReplayError::Nothing)?.tick.time;
        let names = partitions(journal)?;
        let starts = log.starts(&names)?;
        let whole = |tick: u64, ends: &[u64]| -> Result<bool, ReplayError> {
            for ((name, start), end) in names.iter().zip(&starts).zip(ends.iter().copied().chain(std::iter::repeat(0))) {
                match *start {
                    Some(start) if start <= end || lost_then(journal, &names, name, (end, start), tick)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        };
        // without any checkpoint: from the lane's beginning
        if begins == 0
            && let Some(first) = journal.entry(0)?
            && whole(0, &[])?
        {
            return Ok(Reach { oldest: first.tick.time, newest, first: 0, last });
        }
        for (head, _) in self.checkpoints.list()?.into_iter().filter(|(head, _)| (begins..=last).contains(&head.tick)) {
            let Some(entry) = journal.entry(head.tick)? else { continue };
            let ends: Vec<u64> = entry.tick.partitions.iter().map(|p| p.end).collect();
            if whole(head.tick, &ends)? {
                return Ok(Reach { oldest: entry.tick.time, newest, first: head.tick, last });
            }
        }
        Err(ReplayError::Nothing)
    }
}

/// All partitions of the lane, by index.
fn partitions(journal: &JournalReader) -> Result<Vec<PartitionName>, JournalError> {
    let joined = |(_, note): (u64, Note)| match note {
        Note::Partition { topic, partition, .. } => Some(PartitionName { topic, number: partition as i32 }),
        _ => None,
    };
    Ok(journal.notes()?.into_iter().filter_map(joined).collect())
}

/// What lies before the log's beginning was lost then too, so nobody needs it.
fn lost_then(
    journal: &JournalReader,
    names: &[PartitionName],
    name: &PartitionName,
    (from, to): (u64, u64),
    since: u64,
) -> Result<bool, JournalError> {
    let mut next = from;
    for (tick, note) in journal.notes()? {
        if let Note::Lost { index, from, to, .. } = note
            && tick >= since
            && names.get(index as usize) == Some(name)
            && from <= next
        {
            next = next.max(to);
        }
    }
    Ok(next >= to)
}
