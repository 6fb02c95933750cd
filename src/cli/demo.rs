//! `ioc demo`: a recorded hour of traffic in Gia Nghĩa with a real jam in it, played now.
//!
//! Owns: which recording, where in it now lies, the loop. Refuses to know: windows, rules; it only appends to the log.
//!
//! Invariants
//! 1. What lies before now is written to the log with its own broker times, shifted by whole minutes; the rest arrives when it is due.
//! 2. Each round has new ids: they hold the shifted times.
//!
//! Called by: cli.

use super::run::{init_log, runtime, wait_for_end};
use super::{CliError, wiring};
use crate::app::{App, Doors, Options};
use crate::driver::wall_clock;
use crate::ingest::file::unpack;
use crate::ingest::kafka::TopicSettings;
use crate::ingest::log::NewRecord;
use crate::ingest::mapped::load_map;
use crate::ingest::topics::{self, TopicPlan};
use crate::pipeline::map::{Emitted, JsonRow, Map, RowView};
use crate::settings::{LogKind, Settings, StoreKind};
use crate::time::{Span, Timestamp};
use anyhow::Context;
use clap::Args;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Args)]
pub struct DemoArgs {
    /// Folder of the recording.
    #[arg(long, default_value = "demo/gia-nghia")]
    recording: PathBuf,
    /// Map that makes events of it.
    #[arg(long, default_value = "pipelines/sumo.map.yaml")]
    map: PathBuf,
    /// Where in the recording now lies: "07:27" (with history), or "07:22" through Kafka (without).
    #[arg(long)]
    at: Option<String>,
    /// Address of the page; the next free port is taken if it is in use.
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// Data folder; it is emptied first.
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// Only feed Kafka; another process runs.
    #[arg(long)]
    feed_only: bool,
}

/// One recorded line and when it arrived.
struct Line {
    arrived: Timestamp,
    text: String,
}

struct Recording {
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
    fn read(folder: &Path, map: &Path) -> anyhow::Result<Recording> {
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
    fn shift(&self, now: Timestamp, at: Span) -> Span {
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

    /// All lines that arrived before `now`, as records of the log with their own broker times.
    fn history(&self, now: Timestamp, by: Span) -> anyhow::Result<Vec<NewRecord>> {
        let mut records = Vec::new();
        for line in self.lines.iter().take_while(|l| l.arrived + by < now) {
            for event in self.event(line, by)? {
                records.push(NewRecord { broker_time: Some(line.arrived + by), ..new_record(event) });
            }
        }
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

pub fn demo(mut settings: Settings, args: DemoArgs) -> Result<(), CliError> {
    init_log();
    let recording = Arc::new(Recording::read(&args.recording, &args.map)?);
    let history = settings.log == LogKind::Embedded;
    let at = minute_of(args.at.as_deref().unwrap_or(if history { "07:27" } else { "07:22" }))?;
    let by = recording.shift(wall_clock(), at);
    if settings.log == LogKind::Kafka {
        make_topics(&settings)?;
    }
    if args.feed_only {
        return feed_only(&settings, &recording, by);
    }
    settings.data = args.data.clone();
    empty(&settings.data)?;
    if let Some(listen) = args.listen {
        settings.listen = listen;
    }
    settings.listen = free_port(settings.listen)?;
    runtime()?.block_on(async {
        let began = wall_clock();
        let past = recording.clone();
        let (write_history, told) = (history, settings.store);
        let (written, history_written) = tokio::sync::oneshot::channel();
        let prepare = move |doors: &Doors| {
            if let (Doors::Embedded(log), true) = (doors, write_history) {
                let records = past.history(began, by)?;
                for some in records.chunks(5_000) {
                    log.append_blocking(some.to_vec())?;
                }
            }
            // nobody waits only if the demo stops already
            let _ = written.send(());
            Ok(())
        };
        let said = wiring(&settings);
        let data = settings.data.display().to_string();
        let app = App::start(settings, Options { prepare: Some(Box::new(prepare)), ..Options::default() }).await?;
        println!("\n  Trang điều hành / operations page   http://{}\n  Dữ liệu / data folder               {data}  ({said})", app.address);
        println!("  Dừng / stop                         Ctrl-C\n");
        if told == StoreKind::Influx {
            println!("  Recorded hour from {}, live through Kafka.\n", args.at.as_deref().unwrap_or("07:22"));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let feeder = Feeder { recording, doors: app.doors.clone(), stop: stop.clone(), by, from: history.then_some(began) };
        let feeding = tokio::spawn(async move {
            // what is live must not enter the log before what lies before it
            match history_written.await {
                Ok(()) => feeder.run().await,
                Err(_) => Ok(()),
            }
        });
        wait_for_end(&app).await?;
        stop.store(true, Ordering::Relaxed);
        feeding.abort();
        app.stop().await?;
        Ok(())
    })
}

/// The demo's topics, where they are missing.
fn make_topics(settings: &Settings) -> Result<(), CliError> {
    let plan = |t: TopicSettings| TopicPlan { name: t.name, clock: t.clock, partitions: 4, replication: None, retention: None };
    let plans: Vec<TopicPlan> = crate::app::topic_settings(settings).into_iter().map(plan).collect();
    for (name, made) in topics::create(&crate::app::kafka_settings(settings), &plans).context("cannot make the demo's topic")? {
        tracing::info!("topic {name}: {made}");
    }
    Ok(())
}

fn feed_only(settings: &Settings, recording: &Arc<Recording>, by: Span) -> Result<(), CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    runtime()?.block_on(async {
        let doors = crate::app::open_kafka_door(settings)?;
        let feeder = Feeder { recording: recording.clone(), doors, stop: Arc::new(AtomicBool::new(false)), by, from: None };
        let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        tokio::select! {
            fed = feeder.run() => Ok(fed?),
            _ = tokio::signal::ctrl_c() => Ok(()),
            _ = term.recv() => Ok(()),
        }
    })
}

/// Appends what is due, for ever.
struct Feeder {
    recording: Arc<Recording>,
    doors: Doors,
    stop: Arc<AtomicBool>,
    by: Span,
    /// Lines before this are in the log already; `None`: there is no history, the first line due now is the first.
    from: Option<Timestamp>,
}

impl Feeder {
    async fn run(self) -> anyhow::Result<()> {
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

/// "07:27" → minutes after the recording's full hour.
fn minute_of(text: &str) -> Result<Span, CliError> {
    let minute = text.strip_prefix("07:").and_then(|m| m.parse::<i64>().ok()).filter(|m| *m < 60);
    minute
        .map(Span::minutes)
        .ok_or_else(|| CliError::Usage(format!("--at {text:?}: the recorded hour is 07:00 to 07:59, for example 07:27")))
}

/// The demo begins anew: its folder holds nothing that is not the demo's.
fn empty(folder: &Path) -> Result<(), CliError> {
    let marker = folder.join("demo");
    if folder.exists() && !marker.exists() && std::fs::read_dir(folder).is_ok_and(|mut d| d.next().is_some()) {
        let text = format!("{} is not a demo's data folder and is not emptied; give another with --data", folder.display());
        return Err(CliError::Usage(text));
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|e| CliError::io("empty", folder, e))?;
    }
    std::fs::create_dir_all(folder).map_err(|e| CliError::io("make", folder, e))?;
    std::fs::write(&marker, "This folder belongs to `ioc demo` and is emptied at its start.\n")
        .map_err(|e| CliError::io("write", &marker, e))
}

/// The wanted port, or the next free one.
fn free_port(wanted: std::net::SocketAddr) -> Result<std::net::SocketAddr, CliError> {
    for port in wanted.port()..=wanted.port().saturating_add(50) {
        let address = std::net::SocketAddr::new(wanted.ip(), port);
        if std::net::TcpListener::bind(address).is_ok() {
            if port != wanted.port() {
                println!("Port {} is in use; {port} is taken.", wanted.port());
            }
            return Ok(address);
        }
    }
    Err(CliError::Usage(format!("no free port from {} on; give one with --listen", wanted)))
}
