//! The recorded hour of Gia Nghĩa, with a real jam in it, played again and again.
//!
//! Owns: the recording, its shift to now, the loop. Refuses to know: windows, rules; it only appends to the log.
//!
//! Invariants
//! 1. What lies before now is given with its own broker times, shifted by whole minutes; the rest arrives when it is due.
//! 2. Each round has new ids: they hold the shifted times.
//!
//! Called by: cli::demo.

use crate::app::Doors;
use crate::driver::wall_clock;
use crate::ingest::file::unpack;
use crate::ingest::log::NewRecord;
use crate::ingest::mapped::load_map;
use crate::pipeline::map::{Emitted, JsonRow, Map, RowView};
use crate::time::{Span, Timestamp};
use anyhow::Context;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One recorded line and when it arrived.
struct Line {
    arrived: Timestamp,
    text: String,
}

pub struct Recording {
    lines: Vec<Line>,
    map: Map,
    /// First instant of the recorded hour.
    start: Timestamp,
}

const HOUR: Span = Span::hours(1);

/// A row whose times are moved.
struct Shifted<'a> {
    row: &'a JsonRow,
    times: &'a [bool],
    by: Span,
}

impl RowView for Shifted<'_> {
    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        let text = self.row.text(column)?;
        if !self.times[column] {
            return Some(text);
        }
        let moved = Timestamp::parse_rfc3339(text.as_bytes()).map(|t| (t + self.by).to_string());
        moved.map_or(Some(text), |t| Some(Cow::Owned(t)))
    }
}

impl Recording {
    pub fn read(folder: &Path, map: &Path) -> anyhow::Result<Recording> {
        let path = folder.join("events.ndjson.gz");
        let file = File::open(&path)
            .with_context(|| format!("the recording {} cannot be opened; run the demo from the project's folder", path.display()))?;
        let map = load_map(map)?;
        let mut lines = Vec::new();
        for line in BufReader::new(unpack(&path, file)?).lines() {
            let text = line?;
            let arrived =
                text.split("\"arrived\":\"").nth(1).and_then(|t| t.split('"').next()).and_then(|t| Timestamp::parse_rfc3339(t.as_bytes()));
            let arrived = arrived.with_context(|| format!("{}:{}: a line without `arrived`", path.display(), lines.len() + 1))?;
            lines.push(Line { arrived, text });
        }
        let first = lines.first().context("the recording is empty")?.arrived;
        let start = Timestamp(first.0 - first.0.rem_euclid(HOUR.0));
        Ok(Recording { lines, map, start })
    }

    /// The shift, in whole minutes, that puts `now` into the minute that begins at `at` of the recorded hour.
    pub fn shift(&self, now: Timestamp, at: Span) -> Span {
        let minute = Timestamp(now.0 - now.0.rem_euclid(Span::minutes(1).0));
        minute - (self.start + at)
    }

    fn event(&self, line: &Line, by: Span) -> anyhow::Result<Vec<Emitted>> {
        let row = JsonRow::read(&self.map, line.text.as_bytes()).map_err(anyhow::Error::msg)?;
        let times: Vec<bool> = self.map.columns().iter().map(|c| matches!(c.as_str(), "t" | "arrived")).collect();
        let mut out = Vec::new();
        self.map.emit(&Shifted { row: &row, times: &times, by }, &mut out).map_err(anyhow::Error::msg)?;
        Ok(out)
    }

    /// All lines that arrived before `now`, as records of the log with their own broker times; from `since` on as many rounds as it takes,
    /// without it this round only.
    pub fn history(&self, now: Timestamp, by: Span, since: Option<Timestamp>) -> anyhow::Result<Vec<NewRecord>> {
        let rounds = since.map_or(0, |since| (now - since).0 / HOUR.0 + 1);
        let mut records = Vec::new();
        for round in (0..=rounds).rev() {
            let by = by - HOUR.times(round);
            let arrived = |line: &Line| line.arrived + by;
            let before = self.lines.iter().filter(|l| arrived(l) < now && since.is_none_or(|since| arrived(l) >= since));
            for line in before {
                for event in self.event(line, by)? {
                    records.push(NewRecord { broker_time: Some(arrived(line)), ..new_record(event) });
                }
            }
        }
        records.sort_by_key(|r| r.broker_time);
        Ok(records)
    }
}

fn new_record(event: Emitted) -> NewRecord {
    NewRecord { key: Some(source_of(&event.json).into_bytes().into()), value: event.json.into(), ..NewRecord::default() }
}

/// Producers partition by source (R4).
fn source_of(json: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Source {
        source: String,
    }
    serde_json::from_slice::<Source>(json).map(|s| s.source).unwrap_or_default()
}

/// Appends what is due, for ever.
pub struct Feeder {
    pub recording: Arc<Recording>,
    pub doors: Doors,
    pub stop: Arc<AtomicBool>,
    pub by: Span,
    /// Lines before this are in the log already; `None`: there is no history, the first line due now is the first.
    pub from: Option<Timestamp>,
}

impl Feeder {
    pub async fn run(self) -> anyhow::Result<()> {
        let from = self.from.unwrap_or_else(wall_clock);
        let mut by = self.by;
        loop {
            for line in &self.recording.lines {
                let due = line.arrived + by;
                if due < from {
                    continue;
                }
                let wait = (due - wall_clock()).0;
                if wait > 0 {
                    tokio::time::sleep(Duration::from_nanos(wait as u64)).await;
                }
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                for event in self.recording.event(line, by)? {
                    self.append(event).await?;
                }
            }
            by = by + HOUR;
        }
    }

    async fn append(&self, event: Emitted) -> anyhow::Result<()> {
        match &self.doors {
            // not awaited one by one: the log gathers what comes within 5 ms
            Doors::Embedded(log) => {
                let log = log.clone();
                tokio::spawn(async move {
                    if let Err(error) = log.append(vec![new_record(event)]).await {
                        tracing::error!(%error, "the demo's event was not appended");
                    }
                });
            }
            Doors::Kafka(door, topic) => {
                let sent = door.append(topic, Some(source_of(&event.json).as_bytes()), &[], &event.json, None);
                tokio::spawn(async move {
                    if let Err(error) = sent.await {
                        tracing::error!(%error, "the demo's event was not appended");
                    }
                });
            }
        }
        Ok(())
    }
}
