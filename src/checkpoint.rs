//! Checkpoints: the engine's whole state at one tick, as plain versioned data (D1).
//!
//! Owns: the files `checkpoints/TICK_TIME.ckpt`, their checksums, which are kept. Refuses to know: what is in a state.
//!
//! Invariants
//! 1. A checkpoint is there whole or not at all (written beside, fsynced, renamed, folder fsynced), and durable when `write` returned.
//! 2. The newest one that is whole and readable wins; torn, foreign and unreadable ones are passed over, each with its reason.
//! 3. Who took the folder last writes: an older epoch is refused (D4).
//! 4. The newest two and the first of every hour of tick time since a given time are kept, no others.
//!
//! The file: `IOCCKPT1`, length of the head (u32 little endian), head `{format, tick, time}` as JSON, body as JSON compressed with zstd,
//! XXH3 (64 bit, little endian) of all before it. Floats survive as they are, except that JSON has no NaN and no infinity: a state that
//! holds one must write it some other way, or its checkpoint will not be read back.
//!
//! Called by: driver (through [`CheckpointThread`], so that no state is serialised on the engine's thread), replay, cli (doctor).

use crate::disk::Disk;
use crate::engine::TickTime;
use crate::time::NANOS_PER_SECOND;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use xxhash_rust::xxh3::xxh3_64;

pub const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"IOCCKPT1";
const HOUR: i64 = 3600 * NANOS_PER_SECOND;

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("{}: cannot {doing}: {source}. Check that the disk has room and that this user may write there", path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("{}: epoch {ours} is over, another ioc took the journal with epoch {found}. This one must stop", folder.display())]
    Fenced { folder: PathBuf, ours: u64, found: u64 },
}

trait InFile<T> {
    fn in_file(self, path: &Path, doing: &'static str) -> Result<T, CheckpointError>;
}

impl<T> InFile<T> for io::Result<T> {
    fn in_file(self, path: &Path, doing: &'static str) -> Result<T, CheckpointError> {
        self.map_err(|source| CheckpointError::Io { path: path.to_owned(), doing, source })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Head {
    pub tick: u64,
    pub time: TickTime,
    pub format: u32,
}

/// A checkpoint that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Loaded<T> {
    pub tick: u64,
    pub time: TickTime,
    pub body: T,
}

/// A file that was passed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
}

/// What a write cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    pub path: PathBuf,
    pub bytes: u64,
}

/// The folder of one lane's checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    disk: Disk,
    folder: PathBuf,
    /// `None`: a lane without a journal, which nobody else can take.
    epoch: Option<u64>,
}

/// The same folder for who only reads it: recovery, a replay. It has no way to write.
#[derive(Clone, Debug)]
pub struct CheckpointReader {
    disk: Disk,
    folder: PathBuf,
}

impl Checkpoints {
    /// For a lane without a journal (a file run).
    pub fn open(disk: Disk, folder: &Path) -> Result<Checkpoints, CheckpointError> {
        disk.create_dir_all(folder).in_file(folder, "make the folder")?;
        Ok(Checkpoints { disk, folder: folder.to_owned(), epoch: None })
    }

    /// `epoch` is that of the journal's holder: who opened with an older one writes no more from here on (D4).
    pub fn open_fenced(disk: Disk, folder: &Path, epoch: u64) -> Result<Checkpoints, CheckpointError> {
        let checkpoints = Checkpoints { epoch: Some(epoch), ..Checkpoints::open(disk, folder)? };
        if checkpoints.check_epoch()? < epoch {
            let path = checkpoints.epoch_path();
            checkpoints.disk.write_atomic(&path, epoch.to_string().as_bytes()).in_file(&path, "take the folder")?;
        }
        Ok(checkpoints)
    }

    fn epoch_path(&self) -> PathBuf {
        self.folder.join("epoch")
    }

    /// The epoch found; an error where it is past ours.
    fn check_epoch(&self) -> Result<u64, CheckpointError> {
        let Some(ours) = self.epoch else { return Ok(0) };
        let path = self.epoch_path();
        let found = match self.disk.read(&path) {
            Ok(text) => std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).in_file(&path, "read the epoch"),
        };
        if found > ours {
            return Err(CheckpointError::Fenced { folder: self.folder.clone(), ours, found });
        }
        Ok(found)
    }

    /// Durable when it returns. The tick must be durable in the journal before: a checkpoint beyond the journal is of a tick that never
    /// happened, and is passed over by who opens with `newest(last tick of the journal)`.
    pub fn write<T: Serialize>(&self, tick: u64, time: TickTime, body: &T) -> Result<Written, CheckpointError> {
        let path = self.folder.join(format!("{tick:020}_{time}.ckpt"));
        let bytes = encode(Head { tick, time, format: FORMAT }, body).in_file(&path, "write the state as JSON")?;
        self.check_epoch()?;
        self.disk.write_atomic(&path, &bytes).in_file(&path, "write the checkpoint")?;
        Ok(Written { path, bytes: bytes.len() as u64 })
    }

    /// See [`CheckpointReader::newest`].
    pub fn newest<T: DeserializeOwned>(&self, until: u64) -> Result<(Option<Loaded<T>>, Vec<Skipped>), CheckpointError> {
        self.reader().newest(until)
    }

    /// See [`CheckpointReader::list`].
    pub fn list(&self) -> Result<Vec<(Head, PathBuf)>, CheckpointError> {
        self.reader().list()
    }

    pub fn reader(&self) -> CheckpointReader {
        CheckpointReader::new(self.disk.clone(), &self.folder)
    }

    /// Removes all but the newest two and the first of each hour of tick time from `since` on (the log's oldest record).
    pub fn retain(&self, since: TickTime) -> Result<usize, CheckpointError> {
        let all = self.list()?;
        let mut hours = BTreeSet::new();
        let mut removed = 0;
        for (head, path) in &all[..all.len().saturating_sub(2)] {
            if head.time < since || !hours.insert(head.time.div_euclid(HOUR)) {
                self.disk.remove(path).in_file(path, "remove an old checkpoint")?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.disk.sync_dir(&self.folder).in_file(&self.folder, "make the removal durable")?;
        }
        Ok(removed)
    }
}

impl CheckpointReader {
    /// A folder that is not there holds nothing.
    pub fn new(disk: Disk, folder: &Path) -> CheckpointReader {
        CheckpointReader { disk, folder: folder.to_owned() }
    }

    /// The newest readable checkpoint at or before tick `until` (`u64::MAX`: any), and what was passed over on the way.
    pub fn newest<T: DeserializeOwned>(&self, until: u64) -> Result<(Option<Loaded<T>>, Vec<Skipped>), CheckpointError> {
        let mut skipped = Vec::new();
        for (head, path) in self.list()?.into_iter().rev().filter(|(head, _)| head.tick <= until) {
            let read = self.disk.read(&path).map_err(|e| e.to_string()).and_then(|bytes| decode(&bytes));
            match read {
                Ok((found, body)) if found.tick == head.tick => {
                    return Ok((Some(Loaded { tick: found.tick, time: found.time, body }), skipped));
                }
                Ok((found, _)) => {
                    skipped.push(Skipped { path, reason: format!("named for tick {}, holds tick {}", head.tick, found.tick) })
                }
                Err(reason) => skipped.push(Skipped { path, reason }),
            }
        }
        Ok((None, skipped))
    }

    /// Ticks and times of all checkpoints, oldest first, by their names only.
    pub fn list(&self) -> Result<Vec<(Head, PathBuf)>, CheckpointError> {
        let files = match self.disk.list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.in_file(&self.folder, "list the folder")?,
        };
        let mut found: Vec<_> = files.iter().filter_map(|(name, _)| Some((parse_name(name)?, self.folder.join(name)))).collect();
        found.sort();
        Ok(found)
    }
}

fn parse_name(name: &str) -> Option<Head> {
    let (tick, time) = name.strip_suffix(".ckpt")?.split_once('_')?;
    Some(Head { tick: tick.parse().ok()?, time: time.parse().ok()?, format: FORMAT })
}

fn encode<T: Serialize>(head: Head, body: &T) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(&head)?;
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(head.len() as u32).to_le_bytes());
    out.extend_from_slice(&head);
    let mut body_out = io::BufWriter::with_capacity(1 << 16, zstd::Encoder::new(out, 1)?);
    serde_json::to_writer(&mut body_out, body)?;
    let mut out = body_out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
    let sum = xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    Ok(out)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<(Head, T), String> {
    let (content, sum) = bytes.split_last_chunk::<8>().ok_or("shorter than a checksum: torn")?;
    let rest = content.strip_prefix(MAGIC).ok_or("does not begin as a checkpoint does")?;
    if xxh3_64(content) != u64::from_le_bytes(*sum) {
        return Err("the checksum does not fit: torn or damaged".into());
    }
    let (len, rest) = rest.split_first_chunk::<4>().ok_or("no head")?;
    let len = u32::from_le_bytes(*len) as usize;
    let head = rest.get(..len).ok_or("the head is cut off")?;
    let head: Head = serde_json::from_slice(head).map_err(|e| format!("the head cannot be read: {e}"))?;
    if head.format > FORMAT {
        return Err(format!("written in format {}, this program knows up to {FORMAT}", head.format));
    }
    let body = zstd::Decoder::new(&rest[len..]).map_err(|e| format!("the body cannot be unpacked: {e}"))?;
    let body = serde_json::from_reader(io::BufReader::new(body)).map_err(|e| format!("the state cannot be read: {e}"))?;
    Ok((head, body))
}

type Request<T> = (u64, TickTime, T, oneshot::Sender<Result<Written, CheckpointError>>);

/// Writes checkpoints on a thread of its own, one at a time.
pub struct CheckpointThread<T> {
    queue: Option<mpsc::Sender<Request<T>>>,
    thread: Option<std::thread::JoinHandle<()>>,
    cost: CheckpointCost,
}

/// What the last checkpoint took, for who decides when the next is due (D1).
#[derive(Clone, Debug, Default)]
pub struct CheckpointCost(Arc<Micros>);

#[derive(Debug, Default)]
struct Micros {
    write: AtomicU64,
    pause: AtomicU64,
}

impl CheckpointCost {
    /// How long after the last one's beginning the next may begin: at most 2 % of one processor's time, and 20 ms of pause a minute.
    pub fn interval(&self) -> Duration {
        let write = Duration::from_micros(self.0.write.load(Ordering::Relaxed));
        ((write + self.pause()) * 50).max(self.pause() * 3_000)
    }

    /// The engine stood still so long while its state was taken.
    pub fn paused(&self, pause: Duration) {
        self.0.pause.store(pause.as_micros() as u64, Ordering::Relaxed);
    }

    pub fn pause(&self) -> Duration {
        Duration::from_micros(self.0.pause.load(Ordering::Relaxed))
    }
}

impl<T: Serialize + Send + 'static> CheckpointThread<T> {
    pub fn start(checkpoints: Checkpoints) -> Result<CheckpointThread<T>, CheckpointError> {
        let (queue, mut requests) = mpsc::channel::<Request<T>>(1);
        let folder = checkpoints.folder.clone();
        let cost = CheckpointCost::default();
        let told = cost.clone();
        let run = move || {
            while let Some((tick, time, body, answer)) = requests.blocking_recv() {
                let began = Instant::now();
                let written = checkpoints.write(tick, time, &body);
                drop(body);
                told.0.write.store(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                let _ = answer.send(written);
            }
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(run).in_file(&folder, "start the thread")?;
        Ok(CheckpointThread { queue: Some(queue), thread: Some(thread), cost })
    }

    pub fn cost(&self) -> &CheckpointCost {
        &self.cost
    }

    /// Hands a state over. `Err` gives it back while an earlier one still waits: the interval stretches (D1).
    pub fn submit(&self, tick: u64, time: TickTime, body: T) -> Result<oneshot::Receiver<Result<Written, CheckpointError>>, T> {
        let (answer, answered) = oneshot::channel();
        let Some(queue) = &self.queue else { return Err(body) };
        match queue.try_send((tick, time, body, answer)) {
            Ok(()) => Ok(answered),
            Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => Err(back.2),
        }
    }
}

impl<T> Drop for CheckpointThread<T> {
    /// Finishes what was handed over.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type State = std::collections::BTreeMap<String, Vec<f64>>;

    fn state(n: u64) -> State {
        State::from([("windows".into(), vec![n as f64, 0.1 + 0.2, f64::MIN_POSITIVE, -0.0]), ("trống".into(), vec![])])
    }

    fn folder() -> &'static Path {
        Path::new("/c")
    }

    #[test]
    fn the_newest_whole_one_wins_d1() {
        let disk = Disk::memory();
        let checkpoints = Checkpoints::open(disk.clone(), folder()).unwrap();
        assert_eq!(checkpoints.newest::<State>(u64::MAX).unwrap(), (None, vec![]));
        for tick in [9, 10, 11] {
            checkpoints.write(tick, tick as i64, &state(tick)).unwrap();
        }
        let (found, skipped) = checkpoints.newest::<State>(u64::MAX).unwrap();
        assert_eq!((found.unwrap(), skipped.len()), (Loaded { tick: 11, time: 11, body: state(11) }, 0));
        assert_eq!(checkpoints.newest::<State>(10).unwrap().0.unwrap().tick, 10);

        let newest = checkpoints.list().unwrap()[2].1.clone();
        disk.open_append(&newest).unwrap().set_len(40).unwrap();
        disk.open_append(&folder().join("00000000000000000012_12.ckpt")).unwrap();
        disk.open_append(&folder().join("notes.txt")).unwrap();
        let (found, skipped) = checkpoints.newest::<State>(u64::MAX).unwrap();
        assert_eq!((found.unwrap().tick, skipped.len()), (10, 2));
        assert!(skipped.iter().all(|s| s.reason.contains("torn")), "{skipped:?}");
        // a state of another shape
        let (found, skipped) = checkpoints.newest::<Vec<u8>>(10).unwrap();
        assert!(found.is_none() && skipped.iter().all(|s| s.reason.contains("cannot be read")), "{skipped:?}");
    }

    #[test]
    fn a_newer_format_is_passed_over() {
        let bytes = encode(Head { tick: 1, time: 1, format: FORMAT + 1 }, &state(1)).unwrap();
        assert!(decode::<State>(&bytes).unwrap_err().contains("format 2"));
    }

    #[test]
    fn the_old_holder_is_fenced_d4() {
        let disk = Disk::memory();
        let old = Checkpoints::open_fenced(disk.clone(), folder(), 3).unwrap();
        old.write(1, 1, &state(1)).unwrap();
        let new = Checkpoints::open_fenced(disk.clone(), folder(), 4).unwrap();
        assert!(matches!(old.write(2, 2, &state(2)), Err(CheckpointError::Fenced { ours: 3, found: 4, .. })));
        assert!(matches!(Checkpoints::open_fenced(disk, folder(), 3), Err(CheckpointError::Fenced { .. })));
        assert_eq!(new.newest::<State>(u64::MAX).unwrap().0.unwrap().tick, 1);
        new.write(2, 2, &state(2)).unwrap();
    }

    #[test]
    fn one_an_hour_is_kept_and_two_at_the_end() {
        let checkpoints = Checkpoints::open(Disk::memory(), folder()).unwrap();
        for minute in 0..200 {
            checkpoints.write(minute, minute as i64 * 60 * NANOS_PER_SECOND, &minute).unwrap();
        }
        checkpoints.retain(HOUR).unwrap();
        let kept: Vec<u64> = checkpoints.list().unwrap().iter().map(|(head, _)| head.tick).collect();
        assert_eq!(kept, [60, 120, 180, 198, 199]);
    }

    #[test]
    fn a_long_pause_stretches_the_interval_d1() {
        let cost = CheckpointCost::default();
        cost.paused(Duration::from_millis(20));
        assert_eq!(cost.interval(), Duration::from_secs(60));
        cost.paused(Duration::from_millis(200));
        assert_eq!(cost.interval(), Duration::from_secs(600));
    }

    #[test]
    fn the_thread_writes_and_says_when_it_is_busy() {
        let checkpoints = Checkpoints::open(Disk::memory(), folder()).unwrap();
        let thread = CheckpointThread::start(checkpoints.clone()).unwrap();
        let written = thread.submit(1, 1, state(1)).unwrap().blocking_recv().unwrap().unwrap();
        assert!(written.bytes > 40);
        drop(thread);
        assert_eq!(checkpoints.newest::<State>(9).unwrap().0.unwrap().body, state(1));
    }

    proptest! {
        /// Stopped at any step of the second write, with any part of an unsynced file surviving: one of the two is there, whole.
        #[test]
        fn a_crash_leaves_a_whole_checkpoint_d1(step in 0u64..8, tail in 0usize..400) {
            let disk = Disk::memory();
            let checkpoints = Checkpoints::open(disk.clone(), folder()).unwrap();
            checkpoints.write(1, 1, &state(1)).unwrap();
            disk.fail_from(disk.steps() + step);
            let second = checkpoints.write(2, 2, &state(2));
            disk.crash(|_, _| tail);
            let (found, _) = checkpoints.newest::<State>(u64::MAX).unwrap();
            let found = found.unwrap();
            prop_assert!(found.tick == 2 || second.is_err());
            prop_assert_eq!(found.body, state(found.tick));
        }

        /// A damaged byte anywhere never yields another state.
        #[test]
        fn damage_is_noticed(place in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = encode(Head { tick: 1, time: 1, format: FORMAT }, &state(1)).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            prop_assert!(decode::<State>(&bytes).is_err());
        }
    }
}
