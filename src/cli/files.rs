//! `ioc run --from FILE… --out DIR`: files in, files out.
//!
//! Owns: the five files and their shapes, progress. Refuses to know: how the lane works.
//!
//! Invariants
//! 1. `rows.lp`, `alerts.ndjson`, `late.ndjson`, `rejected.ndjson`, `summary.json` are always there, empty ones too.
//! 2. What is written is a function of the input and the definitions, `summary.json`'s three measures apart.
//!
//! Called by: cli.

use super::CliError;
use crate::checkpoint::{CheckpointThread, Checkpoints};
use crate::definitions::Definitions;
use crate::disk::Disk;
use crate::engine::collect::{Late, Refused};
use crate::engine::counts::PartCounts;
use crate::engine::lane::Effects;
use crate::engine::setup::Setup;
use crate::engine::snapshot::LaneState;
use crate::engine::{AlertChange, ChangeReason, Condition, Tick};
use crate::file_run::{Finished, RunError, Sink, run};
use crate::ingest::file::FileReader;
use crate::ingest::mapped::load_map;
use crate::pipeline::Severity;
use crate::pipeline::map::Format;
use crate::store::line::LineFormats;
use crate::time::{Span, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the command line says.
pub struct Arguments {
    pub definitions: Definitions,
    pub map: Option<PathBuf>,
    pub from: Vec<PathBuf>,
    pub out: PathBuf,
    pub threads: usize,
    pub checkpoints: Option<PathBuf>,
    pub quiet: bool,
}

pub fn run_files(arguments: Arguments) -> Result<(), CliError> {
    let began = Instant::now();
    let setup = Arc::new(arguments.definitions.compile(None).map_err(CliError::Mistakes)?);
    let map = arguments.map.as_deref().map(load_map).transpose()?.map(Arc::new);
    std::fs::create_dir_all(&arguments.out).map_err(|source| CliError::io("make", &arguments.out, source))?;
    let readers = arguments.from.iter().map(|f| FileReader::open(f, map.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let total = readers.iter().map(FileReader::total).sum();
    let made = map.as_ref().is_some_and(|m| m.format != Format::Events);
    let mut out = Out::create(&setup, &arguments, total, made)?;
    out.line_numbers = readers.iter().map(FileReader::line_numbers).collect();
    let finished = run(&setup, readers, arguments.threads, &mut out)?;
    out.finish(&setup, &finished, began)
}

/// Writes the five files.
struct Out<'a> {
    arguments: &'a Arguments,
    formats: LineFormats,
    rows: BufWriter<File>,
    alerts: BufWriter<File>,
    late: BufWriter<File>,
    rejected: BufWriter<File>,
    lines: Vec<u8>,
    /// By file, of mapped ones: the line of each record.
    line_numbers: Vec<Option<Vec<u64>>>,
    /// By pipeline: rows, revisions, alert changes.
    totals: Vec<[u64; 3]>,
    checkpoints: Option<CheckpointThread<LaneState>>,
    checkpointed: Option<(Timestamp, Instant)>,
    bar: Option<indicatif::ProgressBar>,
    began: Option<Timestamp>,
}

fn create(folder: &Path, name: &str) -> Result<BufWriter<File>, CliError> {
    let path = folder.join(name);
    let file = File::create(&path).map_err(|source| CliError::io("create", &path, source))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

impl<'a> Out<'a> {
    fn create(setup: &Setup, arguments: &'a Arguments, total: Option<u64>, made: bool) -> Result<Out<'a>, CliError> {
        let folder = &arguments.out;
        let checkpoints = match &arguments.checkpoints {
            Some(path) => Some(CheckpointThread::start(Checkpoints::open(Disk::Real, path)?)?),
            None => None,
        };
        let bar = (!arguments.quiet).then(|| progress_bar(total, made));
        Ok(Out {
            arguments,
            formats: LineFormats::new(&setup.pipelines),
            rows: create(folder, "rows.lp")?,
            alerts: create(folder, "alerts.ndjson")?,
            late: create(folder, "late.ndjson")?,
            rejected: create(folder, "rejected.ndjson")?,
            lines: Vec::with_capacity(1 << 16),
            line_numbers: Vec::new(),
            totals: vec![[0; 3]; setup.pipelines.len()],
            checkpoints,
            checkpointed: None,
            bar,
            began: None,
        })
    }

    fn file(&self, partition: u32) -> String {
        self.arguments.from[partition as usize].display().to_string()
    }

    fn line(&self, partition: u32, offset: u64) -> u64 {
        let numbers = self.line_numbers.get(partition as usize).and_then(Option::as_ref);
        numbers.and_then(|n| n.get(offset as usize).copied()).unwrap_or(offset + 1)
    }

    fn write_late(&mut self, setup: &Setup, partition: u32, late: &Late) -> std::io::Result<()> {
        let line = json!({
            "pipeline": setup.pipelines[late.pipeline as usize].name, "file": self.file(partition), "line": self.line(partition, late.offset),
            "type": late.kind, "source": late.source, "id": late.id, "time": late.time.to_string(),
            "delay_ms": late.delay.millis(), "raw": String::from_utf8_lossy(&late.raw),
        });
        writeln!(self.late, "{line}")
    }

    fn write_rejected(&mut self, partition: u32, refused: &Refused) -> std::io::Result<()> {
        let mut line = Map::new();
        let r = &refused.rejected;
        line.insert("file".into(), self.file(partition).into());
        line.insert("line".into(), self.line(partition, refused.offset).into());
        line.insert("reason".into(), r.code().into());
        line.insert("path".into(), r.path.clone().into());
        line.insert("detail".into(), r.detail.clone().into());
        line.insert("raw".into(), String::from_utf8_lossy(&refused.raw).into());
        if std::str::from_utf8(&refused.raw).is_err() {
            use base64::Engine;
            line.insert("raw_base64".into(), base64::engine::general_purpose::STANDARD.encode(&refused.raw).into());
        }
        writeln!(self.rejected, "{}", Value::Object(line))
    }

    fn write_all(&mut self, setup: &Setup, effects: &Effects) -> std::io::Result<()> {
        for row in &effects.rows {
            self.formats.render(row, &mut self.lines);
            let totals = &mut self.totals[row.pipeline as usize];
            totals[0] += 1;
            totals[1] += u64::from(row.revision > 0);
        }
        self.rows.write_all(&self.lines)?;
        self.lines.clear();
        for change in &effects.changes {
            self.totals.get_mut(change.pipeline as usize).into_iter().for_each(|t| t[2] += 1);
            writeln!(self.alerts, "{}", alert_line(setup, change))?;
        }
        for (partition, late) in &effects.late {
            self.write_late(setup, *partition, late)?;
        }
        for (partition, refused) in &effects.rejected {
            self.write_rejected(*partition, refused)?;
        }
        Ok(())
    }

    fn finish(mut self, setup: &Setup, finished: &Finished, began: Instant) -> Result<(), CliError> {
        drop(self.checkpoints.take());
        let mut pipelines = Map::new();
        for (index, pipeline) in setup.pipelines.iter().enumerate() {
            let mut counts = PartCounts::new(pipeline.windows.len());
            finished.collectors.iter().for_each(|c| counts.add(c.counts(index)));
            pipelines.insert(pipeline.name.clone(), summary(&counts, pipeline, self.totals[index]));
        }
        let (cpu, rss) = usage();
        let summary = json!({"pipelines": pipelines, "wall_s": began.elapsed().as_secs_f64(), "cpu_s": cpu, "max_rss_mb": rss});
        let path = self.arguments.out.join("summary.json");
        std::fs::write(&path, format!("{summary:#}\n")).map_err(|source| CliError::io("write", &path, source))?;
        for (name, file) in [
            ("rows.lp", &mut self.rows),
            ("alerts.ndjson", &mut self.alerts),
            ("late.ndjson", &mut self.late),
            ("rejected.ndjson", &mut self.rejected),
        ] {
            file.flush().map_err(|source| CliError::io("write", &self.arguments.out.join(name), source))?;
        }
        if let Some(bar) = self.bar.take() {
            let read = setup.pipelines.first().map_or(0, |_| finished.collectors.iter().map(|c| c.counts(0).read).sum::<u64>());
            let seconds = began.elapsed().as_secs_f64();
            bar.finish_and_clear();
            eprintln!("{read} records in {seconds:.1} s ({:.0}/s); results in {}", read as f64 / seconds, self.arguments.out.display());
        }
        Ok(())
    }
}

impl Sink for Out<'_> {
    fn tick(&mut self, setup: &Setup, tick: &Tick, effects: Effects) -> Result<(), RunError> {
        if let Some(bar) = &self.bar
            && tick.number.is_multiple_of(32)
        {
            let since = *self.began.get_or_insert(tick.time);
            bar.set_message(format!("{}, {} h of events", tick.time, (tick.time - since).0 / Span::hours(1).0));
        }
        self.write_all(setup, &effects).map_err(|source| RunError::Write { what: self.arguments.out.display().to_string(), source })
    }

    fn progress(&mut self, read: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(read);
        }
    }

    fn wants_checkpoint(&mut self, time: Timestamp) -> bool {
        let Some(thread) = &self.checkpoints else { return false };
        let least = thread.cost().interval().max(Duration::from_secs(1));
        let due = self.checkpointed.is_none_or(|(at, wall)| time - at >= Span::minutes(1) && wall.elapsed() >= least);
        if due {
            self.checkpointed = Some((time, Instant::now()));
        }
        due
    }

    fn checkpoint(&mut self, tick: &Tick, state: LaneState) -> Result<(), RunError> {
        if let Some(thread) = &self.checkpoints {
            // while the last one is still being written, this one is left out: the interval stretches
            let _ = thread.submit(tick.number, tick.time.0, state);
        }
        Ok(())
    }
}

/// Bytes with their rate, or events where a map makes them; without an end where files are packed.
fn progress_bar(total: Option<u64>, events: bool) -> indicatif::ProgressBar {
    let template = match (total, events) {
        (Some(_), false) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}  {msg}",
        (None, false) => "{spinner} {bytes} {bytes_per_sec}  {msg}",
        (_, true) => "{bar:30} {pos}/{len} events {per_sec}  {msg}",
    };
    let bar = total.map_or_else(indicatif::ProgressBar::new_spinner, indicatif::ProgressBar::new);
    bar.set_style(indicatif::ProgressStyle::with_template(template).unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
    bar
}

/// One change of an alert, as a line of `alerts.ndjson`.
#[derive(Serialize)]
struct AlertLine<'a> {
    tick: u64,
    at: String,
    id: String,
    alert: &'a str,
    key: BTreeMap<&'a str, &'a str>,
    severity: Severity,
    from: Condition,
    to: Condition,
    window_start: String,
    values: BTreeMap<&'a str, f64>,
    /// Of an alert on a case.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    reason: Option<ChangeReason>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retroactive: bool,
}

/// Empty where its rule is gone.
pub fn alert_line(setup: &Setup, change: &AlertChange) -> String {
    let rule = setup.pipelines.get(change.pipeline as usize).and_then(|pipeline| pipeline.head(change.rule));
    let Some(rule) = rule else { return String::new() };
    let fields = rule.row.map_or(&[][..], |row| &row.fields[..]);
    let values = fields.iter().zip(&change.values).filter_map(|(f, v)| Some((f.name.as_str(), v.number()?)));
    let line = AlertLine {
        tick: change.tick,
        at: change.at.to_string(),
        id: change.id.to_string(),
        alert: rule.name,
        key: rule.tags().into_iter().zip(change.key.tags.iter().map(|t| &**t)).collect(),
        severity: rule.severity,
        from: change.from,
        to: change.to,
        window_start: change.window_start.to_string(),
        values: values.chain(change.case.iter().flat_map(|case| case.numbers())).collect(),
        state: change.case.as_ref().map(|case| case.state.as_str()),
        due: change.case.as_ref().and_then(|case| case.due).map(|due| due.to_string()),
        reason: change.reason,
        retroactive: change.retroactive,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

fn summary(counts: &PartCounts, pipeline: &crate::pipeline::Pipeline, totals: [u64; 3]) -> Value {
    let named = |numbers: &[u64]| -> Map<String, Value> {
        let all = pipeline.windows.iter().zip(numbers);
        all.filter(|(_, n)| **n > 0).map(|(w, n)| (w.measurement.clone(), (*n).into())).collect()
    };
    let cases: Map<String, Value> = pipeline
        .cases
        .iter()
        .zip(&counts.cases)
        .map(|(spec, n)| (spec.name.clone(), json!({"taken": n.taken, "unknown_state": n.unknown_state, "no_subject": n.no_subject})))
        .collect();
    json!({
        "read": counts.read, "rejected": counts.rejected, "unwanted": counts.unwanted, "late": counts.late, "duplicate": counts.duplicate,
        "accepted": counts.accepted, "partly_late": named(&counts.partly_late), "no_key": named(&counts.no_key),
        "cases": cases, "conflict": counts.conflict, "invalid_field": counts.invalid_field, "rows": totals[0], "revisions": totals[1], "alerts": totals[2],
    })
}

/// CPU seconds of this process and its greatest resident size in MB, as Linux tells them; zeros elsewhere.
pub fn usage() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // after the command's name in brackets: field 3 is the first; utime and stime are 14 and 15, in ticks of 10 ms
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().split(' ').next()?.parse::<f64>().ok());
    ((ticks(11) + ticks(12)) / 100.0, peak.unwrap_or(0.0) / 1024.0)
}
