//! `ioc demo`: the simulated province and a recorded hour of traffic in Gia Nghĩa with a real jam in it, played now.
//!
//! demo/recorded.rs plays the recording, demo/province.rs the province.
//!
//! Owns: what is played, in which order it is made. Refuses to know: windows, rules; it only appends to the log.
//!
//! Invariants
//! 1. The page answers before anything is read; it shows how much of the history is written.
//! 2. What lies before now is in the log, in the order of its broker times, before anything live is.
//!
//! Called by: cli.

mod province;
mod recorded;

use super::run::{init_log, runtime, wait_for_end};
use super::{CliError, wiring};
use crate::app::{App, Doors, Options};
use crate::driver::wall_clock;
use crate::ingest::kafka::TopicSettings;
use crate::ingest::topics::{self, TopicPlan};
use crate::settings::{LogKind, Settings, StoreKind};
use crate::time::{Span, Timestamp};
use anyhow::Context;
use clap::Args;
use province::Play;
use recorded::{Feeder, Recording};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Only the recorded hour, without the simulated province.
    #[arg(long)]
    recorded_only: bool,
}

pub fn demo(mut settings: Settings, args: DemoArgs) -> Result<(), CliError> {
    init_log();
    let history = settings.log == LogKind::Embedded;
    let at = minute_of(args.at.as_deref().unwrap_or(if history { "07:27" } else { "07:22" }))?;
    if settings.log == LogKind::Kafka {
        make_topics(&settings)?;
    }
    let registry = (!args.recorded_only).then(|| settings.registry.clone());
    let scene = Scene { recording: args.recording.clone(), map: args.map.clone(), registry, at, began: wall_clock() };
    if args.feed_only {
        return feed_only(&settings, &scene);
    }
    settings.data = args.data.clone();
    // history lies fourteen days back
    settings.log_days = settings.log_days.max(21);
    empty(&settings.data)?;
    if let Some(listen) = args.listen {
        settings.listen = listen;
    }
    settings.listen = free_port(settings.listen)?;
    runtime()?.block_on(async {
        let (written, history_written) = tokio::sync::oneshot::channel();
        let steps = if history && !args.recorded_only { province::steps(scene.began) } else { Vec::new() };
        let told = settings.store;
        // the page answers first: all of this is done behind it
        let prepare = move |doors: &Doors, done: &mut dyn FnMut(f64)| {
            let cast = scene.open()?;
            if let (Doors::Embedded(log), true) = (doors, history) {
                let since = cast.province.as_ref().map(|_| scene.began - province::SENSORS);
                let recorded = cast.recording.history(scene.began, cast.by, since)?;
                match &cast.province {
                    Some(play) => play.write_history(log, recorded, done)?,
                    None => recorded.chunks(5_000).try_for_each(|some| log.append_blocking(some.to_vec()).map(drop))?,
                }
            }
            // nobody waits only if the demo stops already
            let _ = written.send(cast);
            Ok(())
        };
        let said = wiring(&settings);
        let data = settings.data.display().to_string();
        let options = Options { prepare: Some(Box::new(prepare)), demo: steps, ..Options::default() };
        let app = App::start(settings, options).await?;
        println!("\n  Trang điều hành / operations page   http://{}\n  Dữ liệu / data folder               {data}  ({said})", app.address);
        println!("  Dừng / stop                         Ctrl-C\n");
        if told == StoreKind::Influx {
            println!("  Recorded hour from {}, live through Kafka.\n", args.at.as_deref().unwrap_or("07:22"));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (doors, stopped) = (app.doors.clone(), stop.clone());
        let feeding = tokio::spawn(async move {
            // what is live must not enter the log before what lies before it
            match history_written.await {
                Ok(cast) => cast.play(doors, stopped, history).await,
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

/// What is played, before it is read.
struct Scene {
    recording: PathBuf,
    map: PathBuf,
    /// `None`: no province.
    registry: Option<PathBuf>,
    at: Span,
    began: Timestamp,
}

/// Who plays.
struct Cast {
    recording: Arc<Recording>,
    /// The recording's shift to now.
    by: Span,
    province: Option<Arc<Play>>,
    began: Timestamp,
}

impl Scene {
    fn open(&self) -> anyhow::Result<Cast> {
        let recording = Arc::new(Recording::read(&self.recording, &self.map)?);
        let by = recording.shift(self.began, self.at);
        let play = self.registry.as_deref().map(|registry| Play::new(registry, self.began)).transpose()?;
        Ok(Cast { recording, by, province: play.map(Arc::new), began: self.began })
    }
}

impl Cast {
    /// All that is due, for ever. `history`: what lies before the beginning is in the log already.
    async fn play(self, doors: Doors, stop: Arc<AtomicBool>, history: bool) -> anyhow::Result<()> {
        if let Some(play) = self.province {
            province::spawn(play, doors.clone(), stop.clone());
        }
        Feeder { recording: self.recording, doors, stop, by: self.by, from: history.then_some(self.began) }.run().await
    }
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

fn feed_only(settings: &Settings, scene: &Scene) -> Result<(), CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    runtime()?.block_on(async {
        let doors = crate::app::open_kafka_door(settings)?;
        let stop = Arc::new(AtomicBool::new(false));
        let feeding = scene.open()?.play(doors, stop.clone(), false);
        let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let ended = tokio::select! {
            fed = feeding => fed.map_err(CliError::from),
            _ = tokio::signal::ctrl_c() => Ok(()),
            _ = term.recv() => Ok(()),
        };
        stop.store(true, Ordering::Relaxed);
        ended
    })
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
