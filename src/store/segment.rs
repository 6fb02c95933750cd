//! One file of the spool.
//!
//! Owns: records on disk and where they lie. Refuses to know: what is acknowledged, what is owed.
//!
//! Invariants
//! 1. `load` yields the longest prefix of whole records; what follows is cut off at the next write.
//!
//! Called by: store::spool.

use super::spool::{InFile, SpoolError};
use crate::disk::{Disk, DiskFile};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3Default;

const HEAD: usize = 20;

#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub file: DiskFile,
    /// End of the last whole record.
    pub bytes: u64,
    /// Oldest first.
    pub records: VecDeque<Record>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub tick: u64,
    /// Where its lines begin.
    pub at: u64,
    pub len: u32,
    pub rows: u32,
}

pub(super) fn name_of(number: u64) -> String {
    format!("{number:012}.spool")
}

pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".spool")?.parse().ok()
}

fn checksum(tick: u64, lines: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(&(lines.len() as u32).to_le_bytes());
    hash.update(&tick.to_le_bytes());
    hash.update(lines);
    hash.digest()
}

/// The whole records of a file, and whether nothing else was in it.
pub(super) fn load(disk: &Disk, path: &Path) -> Result<(Segment, bool), SpoolError> {
    let bytes = disk.read(path).in_file(path, "read a segment")?;
    let file = disk.open_append(path).in_file(path, "open a segment")?;
    let mut segment = Segment { path: path.to_owned(), file, bytes: 0, records: VecDeque::new() };
    let mut last = None;
    while let Some((tick, lines)) = record_at(&bytes, segment.bytes as usize).filter(|(tick, _)| last.is_none_or(|last| *tick > last)) {
        let rows = memchr::memchr_iter(b'\n', lines).count() as u32;
        segment.records.push_back(Record { tick, at: segment.bytes + HEAD as u64, len: lines.len() as u32, rows });
        segment.bytes += (HEAD + lines.len()) as u64;
        last = Some(tick);
    }
    let clean = segment.bytes == bytes.len() as u64;
    Ok((segment, clean))
}

fn record_at(bytes: &[u8], at: usize) -> Option<(u64, &[u8])> {
    let (len, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let (tick, rest) = rest.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let lines = rest.get(..u32::from_le_bytes(*len) as usize)?;
    let tick = u64::from_le_bytes(*tick);
    (checksum(tick, lines) == u64::from_le_bytes(*sum)).then_some((tick, lines))
}

impl Segment {
    pub fn create(disk: &Disk, path: &Path) -> Result<Segment, SpoolError> {
        let mut file = disk.open_append(path).in_file(path, "make a segment")?;
        file.set_len(0).in_file(path, "make a segment")?;
        Ok(Segment { path: path.to_owned(), file, bytes: 0, records: VecDeque::new() })
    }

    pub fn append(&mut self, tick: u64, lines: &[u8], rows: usize) -> Result<(), SpoolError> {
        let mut record = Vec::with_capacity(HEAD + lines.len());
        record.extend_from_slice(&(lines.len() as u32).to_le_bytes());
        record.extend_from_slice(&tick.to_le_bytes());
        record.extend_from_slice(&checksum(tick, lines).to_le_bytes());
        record.extend_from_slice(lines);
        self.file.write_all(&record).in_file(&self.path, "append to the spool")?;
        self.records.push_back(Record { tick, at: self.bytes + HEAD as u64, len: lines.len() as u32, rows: rows as u32 });
        self.bytes += record.len() as u64;
        Ok(())
    }

    /// Cuts off what a crash or a failed write left behind the last whole record.
    pub fn cut_tail(&mut self) -> Result<(), SpoolError> {
        self.file.set_len(self.bytes).in_file(&self.path, "cut off a torn tail")
    }

    pub fn read(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), SpoolError> {
        let at = out.len();
        out.resize(at + record.len as usize, 0);
        self.file.read_exact_at(&mut out[at..], record.at).in_file(&self.path, "read from the spool")
    }
}
