//! `ioc replay`: a span of the past as it was, from the data folder.
//!
//! Owns: which span, how fast, what is printed or kept of it. Refuses to know: how the past comes about again.
//!
//! Invariants
//! 1. It reads the data folder, and the log where that is Kafka, whoever writes them; it takes no lock and changes nothing.
//! 2. A tick belongs to the span if its time lies in [from, to].
//!
//! Called by: cli.

use super::CliError;
use super::files::alert_line;
use super::tail::{local, severity_name, state};
use crate::app::past::place;
use crate::replay::lane::{Fed, ReplayLane};
use crate::replay::{Past, Reach};
use crate::server::wire::AlertView;
use crate::settings::Settings;
use crate::store::line::LineFormats;
use crate::time::{Span, Timestamp};
use clap::Args;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct ReplayArgs {
    /// First moment: "2026-06-01T07:25:00+07:00", "2026-06-01 07:25" (Vietnam), or "2h" before the newest.
    #[arg(long)]
    from: String,
    /// Last moment, likewise; the newest if left out.
    #[arg(long)]
    to: Option<String>,
    /// Seconds of the past a second: "1", "10"; "max" as fast as it goes.
    #[arg(long, default_value = "max")]
    speed: String,
    /// Folder for `rows.lp` and `alerts.ndjson`, as a file run leaves them.
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON object a line: alerts after each change, rows.
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// Print rows too, as line protocol.
    #[arg(long)]
    rows: bool,
    /// In English; else Vietnamese.
    #[arg(long)]
    en: bool,
    /// Data folder.
    #[arg(long)]
    data: Option<PathBuf>,
}

pub fn replay(mut settings: Settings, args: &ReplayArgs) -> Result<(), CliError> {
    if let Some(data) = &args.data {
        settings.data = data.clone();
    }
    let past = Arc::new(Past::open(settings.data.clone(), place(&settings))?);
    let reach = past.reach()?;
    let from = moment(&args.from, "--from", &reach)?;
    let to = args.to.as_deref().map_or(Ok(reach.newest), |to| moment(to, "--to", &reach))?;
    if to < from {
        return Err(CliError::Usage(format!("--to {to} lies before --from {from}")));
    }
    let speed = speed(&args.speed)?;
    let first = past.tick_at(from)?;
    // the tick before the span's first: the state that the span begins with
    let before = if from == reach.oldest { first } else { past.tick_at((from - Span(1)).max(reach.oldest))? };
    let mut lane = ReplayLane::open(&past, before)?;
    let mut out = Out::open(args, &lane)?;
    let terminal = std::io::stderr().is_terminal();
    while let Some(tick) = lane.peek()? {
        let time = tick.time;
        if time > to {
            break;
        }
        let building = time < from;
        if building && terminal && tick.number.is_multiple_of(4096) {
            eprint!("\r{}", local(time.millis()));
        }
        if !building && let Some(speed) = speed {
            out.pace(time, speed)?;
        }
        let Some(fed) = lane.step()? else { break };
        if fed.changed {
            out.formats = LineFormats::new(&lane.setup().pipelines);
        }
        if !building {
            out.tell(&lane, &fed)?;
        }
    }
    if terminal {
        eprint!("\r");
    }
    if lane.diverged() > 0 {
        eprintln!("{} ticks computed again differ from the journal; the changes of alerts are the journal's", lane.diverged());
    }
    out.finish()
}

/// RFC 3339, a local time of Vietnam, or a span before the newest.
fn moment(text: &str, flag: &str, reach: &Reach) -> Result<Timestamp, CliError> {
    let vietnam = || {
        let text = text.replacen(' ', "T", 1);
        let seconds = if text.len() == "2026-06-01T07:25".len() { ":00" } else { "" };
        Timestamp::parse_rfc3339(format!("{text}{seconds}+07:00").as_bytes())
    };
    let ago = || Span::parse(text).map(|span| reach.newest - span);
    let found = Timestamp::parse_rfc3339(text.as_bytes()).or_else(vietnam).or_else(ago);
    found.ok_or_else(|| {
        CliError::Usage(format!("{flag} {text:?}: a moment is 2026-06-01T07:25:00+07:00, \"2026-06-01 07:25\", or 2h before the newest"))
    })
}

/// `None`: as fast as it goes.
fn speed(text: &str) -> Result<Option<f64>, CliError> {
    if text == "max" {
        return Ok(None);
    }
    let wrong = || CliError::Usage(format!("--speed {text:?}: a number above 0, or max"));
    text.parse::<f64>().ok().filter(|n| *n > 0.0 && n.is_finite()).map(Some).ok_or_else(wrong)
}

/// Where it goes.
enum Sink {
    Text(StdoutLock<'static>),
    Json(StdoutLock<'static>),
    Files { rows: BufWriter<File>, alerts: BufWriter<File>, folder: PathBuf },
}

struct Out {
    sink: Sink,
    formats: LineFormats,
    rows: bool,
    vi: bool,
    /// When which moment was shown.
    began: Option<(Instant, Timestamp)>,
}

fn create(folder: &Path, name: &str) -> Result<BufWriter<File>, CliError> {
    let path = folder.join(name);
    Ok(BufWriter::new(File::create(&path).map_err(|source| CliError::io("create", &path, source))?))
}

impl Out {
    fn open(args: &ReplayArgs, lane: &ReplayLane) -> Result<Out, CliError> {
        let sink = match &args.out {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|source| CliError::io("make", folder, source))?;
                Sink::Files { rows: create(folder, "rows.lp")?, alerts: create(folder, "alerts.ndjson")?, folder: folder.clone() }
            }
            None if args.json => Sink::Json(std::io::stdout().lock()),
            None => Sink::Text(std::io::stdout().lock()),
        };
        Ok(Out { sink, formats: LineFormats::new(&lane.setup().pipelines), rows: args.rows, vi: !args.en, began: None })
    }

    /// Waits until a moment is due.
    fn pace(&mut self, time: Timestamp, speed: f64) -> Result<(), CliError> {
        let (began, from) = *self.began.get_or_insert((Instant::now(), time));
        let due = Duration::from_secs_f64(((time - from).0 as f64 / 1e9 / speed).max(0.0));
        let wait = due.saturating_sub(began.elapsed());
        if !wait.is_zero() {
            self.flush()?;
            std::thread::sleep(wait);
        }
        Ok(())
    }

    fn tell(&mut self, lane: &ReplayLane, fed: &Fed) -> Result<(), CliError> {
        let (tick, time) = (fed.entry.tick.number, fed.entry.tick.time.millis());
        let mut lines = Vec::new();
        let wrote = match &mut self.sink {
            Sink::Files { rows, alerts, .. } => {
                fed.effects.rows.iter().for_each(|row| _ = self.formats.render(row, &mut lines));
                let changes = fed.effects.changes.iter().map(|change| alert_line(lane.setup(), change)).filter(|line| !line.is_empty());
                rows.write_all(&lines).and_then(|()| changes.into_iter().try_for_each(|line| writeln!(alerts, "{line}")))
            }
            Sink::Json(out) => {
                let board = lane.board_tick(fed);
                let alerts = board.alerts.iter().map(|alert| json!({"tick": tick, "time": time, "alert": alert}));
                let rows = board.rows.iter().map(|row| json!({"tick": tick, "time": time, "row": row.view}));
                alerts.chain(rows).try_for_each(|line| writeln!(out, "{line}"))
            }
            Sink::Text(out) => {
                if self.rows {
                    fed.effects.rows.iter().for_each(|row| _ = self.formats.render(row, &mut lines));
                }
                let board = lane.board_tick(fed);
                let vi = self.vi;
                let alerts = board.alerts.iter().map(|alert| text(alert, time, vi));
                alerts.into_iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.write_all(&lines))
            }
        };
        wrote.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> CliError {
        match &self.sink {
            Sink::Files { folder, .. } => CliError::io("write", folder, source),
            Sink::Text(_) | Sink::Json(_) => CliError::io("write to", Path::new("standard output"), source),
        }
    }

    fn flush(&mut self) -> Result<(), CliError> {
        let flushed = match &mut self.sink {
            Sink::Files { rows, alerts, .. } => rows.flush().and_then(|()| alerts.flush()),
            Sink::Text(out) | Sink::Json(out) => out.flush(),
        };
        flushed.map_err(|source| self.failed(source))
    }

    fn finish(mut self) -> Result<(), CliError> {
        self.flush()?;
        if let Sink::Files { folder, .. } = &self.sink {
            eprintln!("rows.lp, alerts.ndjson: {}", folder.display());
        }
        Ok(())
    }
}

fn text(alert: &AlertView, time: i64, vi: bool) -> String {
    let title = if vi { &alert.title.vi } else { &alert.title.en };
    let area = alert.area.as_ref().map_or_else(String::new, |a| format!(" {} {}", a.code, a.name));
    let what = format!("{:<12}  {:<12}", severity_name(alert.severity, vi), state(alert, vi));
    format!("{}  {what}  {title}  [{} {}{area}]", local(time), alert.sector, alert.rule)
}
