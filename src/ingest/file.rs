//! Files as partitions: NDJSON of CloudEvents, or mapped CSV and JSON; plain, .gz or .zst.
//!
//! Owns: [`FileReader`]: one file's records in its own order, with line numbers and a cursor.
//! Refuses to know: events, clocks, ticks.
//!
//! Invariants
//! 1. Line numbers are 1-based lines of the file as it lies there; lines of white space only are no records but have numbers.
//! 2. `current` stays until `advance`: who may not take a record yet finds it again.
//! 3. A mapped file's records keep the line number of their row; broker_time comes from the map or not at all. With `format: events` it is
//!    read beside each line, as the file's running maximum, and the line stays as it is.
//! 4. `offset` grows with every record, in a sorted file too: partials are told apart by it (R1).
//!
//! Called by: file_run, driver (demo history).

use crate::pipeline::map::{Emitted, Format, Map};
use crate::time::Timestamp;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum FileError {
    #[error("cannot open {path}: {source}; check the path and who may read it")]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read {path} past line {line}: {source}; the file may be cut short or damaged")]
    Read { path: PathBuf, line: u64, source: io::Error },
    #[error("{path}:{line}: the map {map} fails on this row: {detail}")]
    Map { path: PathBuf, line: u64, map: String, detail: String },
}

/// One record of a file.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub number: u64,
    pub bytes: &'a [u8],
    pub broker_time: Option<Timestamp>,
}

/// A file, read from its beginning.
pub struct FileReader {
    path: PathBuf,
    /// Size on disk and bytes read of it, for progress.
    pub size: u64,
    rows: Rows,
}

enum Rows {
    Plain(Box<PlainLines>),
    Mapped { events: Vec<(u64, Emitted)>, next: usize },
}

impl FileReader {
    /// Opens a file; with a map, its rows become events (all are read at once: maps may join and sort).
    pub fn open(path: &Path, map: Option<&Arc<Map>>) -> Result<FileReader, FileError> {
        let open = |source| FileError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(open)?;
        let size = file.metadata().map_err(open)?.len();
        let input = unpack(path, file).map_err(open)?;
        let rows = match map {
            None => Rows::Plain(Box::new(PlainLines::new(input, None))),
            Some(map) if map.format == Format::Events => Rows::Plain(Box::new(PlainLines::new(input, map.arrived.as_deref()))),
            Some(map) => Rows::Mapped { events: super::mapped::read_events(path, input, map)?, next: 0 },
        };
        let mut reader = FileReader { path: path.to_owned(), size, rows };
        if let Rows::Plain(lines) = &mut reader.rows {
            lines.step().map_err(|source| FileError::Read { path: path.to_owned(), line: 0, source })?;
        }
        Ok(reader)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The record at the cursor; `None` at the end.
    #[inline]
    pub fn current(&self) -> Option<Line<'_>> {
        match &self.rows {
            Rows::Plain(lines) => lines.current(),
            Rows::Mapped { events, next } => {
                events.get(*next).map(|(number, e)| Line { number: *number, bytes: &e.json, broker_time: e.broker_time })
            }
        }
    }

    /// Place of the record at the cursor in the partition's own order: it grows with every record, whatever line of the file it came from.
    #[inline]
    pub fn offset(&self) -> u64 {
        match &self.rows {
            Rows::Plain(lines) => lines.number.saturating_sub(1),
            Rows::Mapped { next, .. } => *next as u64,
        }
    }

    /// Line of the file by offset; `None` where the line is offset + 1.
    pub fn line_numbers(&self) -> Option<Vec<u64>> {
        match &self.rows {
            Rows::Plain(_) => None,
            Rows::Mapped { events, .. } => Some(events.iter().map(|(number, _)| *number).collect()),
        }
    }

    /// Moves to the next record.
    #[inline]
    pub fn advance(&mut self) -> Result<(), FileError> {
        match &mut self.rows {
            Rows::Plain(lines) => lines.step().map_err(|source| FileError::Read { path: self.path.clone(), line: lines.number, source }),
            Rows::Mapped { next, .. } => {
                *next += 1;
                Ok(())
            }
        }
    }

    /// What `position` comes to at the end; `None` where nobody can know before (packed files).
    pub fn total(&self) -> Option<u64> {
        match &self.rows {
            Rows::Plain(_) if matches!(self.path.extension().and_then(|e| e.to_str()), Some("gz" | "zst")) => None,
            Rows::Plain(_) => Some(self.size),
            Rows::Mapped { events, .. } => Some(events.len() as u64),
        }
    }

    /// Bytes read so far, unpacked; for a mapped file, its events.
    pub fn position(&self) -> u64 {
        match &self.rows {
            Rows::Plain(lines) => lines.taken,
            Rows::Mapped { next, .. } => *next as u64,
        }
    }
}

/// Unpacks by the ending of the name.
pub fn unpack(path: &Path, file: File) -> io::Result<Box<dyn Read + Send>> {
    Ok(match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(64 << 10, file))),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    })
}

/// Whole lines through one buffer that stays in the cache.
struct PlainLines {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The present line is `buffer[from..to]`; what follows it begins at `next`.
    from: usize,
    to: usize,
    next: usize,
    filled: usize,
    number: u64,
    taken: u64,
    ended: bool,
    has_line: bool,
    /// What stands before the time at which a line arrived, where lines say so.
    arrived: Option<memchr::memmem::Finder<'static>>,
    /// The newest such time.
    broker_time: Option<Timestamp>,
}

const BUFFER: usize = 256 << 10;

impl PlainLines {
    fn new(input: Box<dyn Read + Send>, arrived: Option<&[u8]>) -> PlainLines {
        PlainLines {
            input,
            buffer: vec![0; BUFFER],
            from: 0,
            to: 0,
            next: 0,
            filled: 0,
            number: 0,
            taken: 0,
            ended: false,
            has_line: false,
            arrived: arrived.map(|mark| memchr::memmem::Finder::new(mark).into_owned()),
            broker_time: None,
        }
    }

    #[inline]
    fn current(&self) -> Option<Line<'_>> {
        self.has_line.then(|| Line { number: self.number, bytes: &self.buffer[self.from..self.to], broker_time: self.broker_time })
    }

    /// To the next line that is not white space only.
    #[inline]
    fn step(&mut self) -> io::Result<()> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[self.next..self.filled]) else {
                if self.fill()? {
                    continue;
                }
                return Ok(());
            };
            let (from, to) = (self.next, self.next + end);
            self.set(from, to, to + 1);
            if self.has_line {
                return Ok(());
            }
        }
    }

    #[inline]
    fn set(&mut self, from: usize, to: usize, next: usize) {
        self.number += 1;
        self.taken += (next - from) as u64;
        (self.from, self.to, self.next) = (from, to, next);
        self.has_line = !self.buffer[from..to].iter().all(u8::is_ascii_whitespace);
        if self.arrived.is_some() {
            self.arrive();
        }
    }

    /// Reads when the line arrived; one that does not say so came with the one before.
    fn arrive(&mut self) {
        let line = &self.buffer[self.from..self.to];
        let after = self.arrived.as_ref().and_then(|mark| Some(&line[mark.find(line)? + mark.needle().len()..]));
        let text = after.and_then(|text| Some(&text[..memchr::memchr(b'"', text)?]));
        self.broker_time = text.and_then(Timestamp::parse_rfc3339).max(self.broker_time);
    }

    /// Reads more; false at the end, with the last line set if it has no line feed.
    #[cold]
    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            self.has_line = false;
            return Ok(false);
        }
        self.buffer.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        self.next = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let n = loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.filled += n;
        if n == 0 {
            self.ended = true;
            self.has_line = false;
            if self.filled > 0 {
                let end = self.filled;
                self.set(0, end, end);
                self.filled = end;
            }
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static [u8]) -> Vec<(u64, String)> {
        let mut lines = PlainLines::new(Box::new(text), None);
        let mut out = Vec::new();
        loop {
            lines.step().unwrap();
            match lines.current() {
                Some(l) => out.push((l.number, String::from_utf8_lossy(l.bytes).into_owned())),
                None => return out,
            }
        }
    }

    #[test]
    fn blank_lines_are_no_records_but_have_numbers() {
        assert_eq!(lines(b"a\n\n \t\r\nb\r\nc"), [(1, "a".into()), (4, "b\r".into()), (5, "c".into())]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n\n"), []);
        assert_eq!(lines(b"a\n  "), [(1, "a".into())]);
    }

    #[test]
    fn a_line_says_when_it_arrived() {
        let text = b"{\"arrived\":\"2026-06-01T00:00:02Z\",\"id\":1}\n{\"arrived\":\"2026-06-01T00:00:0\n{\"arrived\":\"2026-06-01T00:00:01Z\"}\n{\"arrived\":\"2026-06-01T00:00:03.5Z\"";
        let mut lines = PlainLines::new(Box::new(&text[..]), Some(b"\"arrived\":\""));
        let mut out = Vec::new();
        loop {
            lines.step().unwrap();
            let Some(line) = lines.current() else { break };
            out.push(line.broker_time.unwrap().to_string()[17..].to_owned());
        }
        assert_eq!(out, ["02Z", "02Z", "02Z", "03.500Z"]);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_whole() {
        let long: &'static [u8] = Box::leak([vec![b'x'; BUFFER + 7], b"\ny\n".to_vec()].concat().into_boxed_slice());
        let got = lines(long);
        assert_eq!((got[0].1.len(), got[1].clone()), (BUFFER + 7, (2, "y".into())));
    }
}
