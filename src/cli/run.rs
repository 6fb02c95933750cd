//! `ioc run`, `topics`, `health`: the live service and what is asked about it.
//!
//! Owns: start, signals, stop. Refuses to know: parts.
//!
//! Invariants
//! 1. SIGTERM and Ctrl-C drain and exit 0; a second one within the drain is left to the system.
//!
//! Called by: cli.

use super::{CliError, RunArgs, wiring};
use crate::app::{App, Options};
use crate::ingest::kafka::Clock as KafkaClock;
use crate::ingest::topics as kafka_topics;
use crate::settings::{LogKind, Settings};
use anyhow::Context;
use clap::Subcommand;
use std::io::IsTerminal;
use std::time::Duration;

#[derive(Subcommand)]
pub enum TopicsCommand {
    /// Make the topics of ioc.toml with the broker's append time; change those that have another clock.
    Create {
        /// Only these of ioc.toml's topics.
        names: Vec<String>,
        #[arg(long, default_value_t = 4)]
        partitions: i32,
        /// Copies of each partition; the broker's default if left out.
        #[arg(long)]
        replication: Option<i32>,
        /// Days that records are kept; if left out 7, and without limit where the clock is the event's.
        #[arg(long)]
        days: Option<u32>,
    },
    /// Say of each topic whether ioc can read it.
    Check,
}

pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Ok(runtime.context("cannot start the asynchronous runtime")?)
}

pub fn init_log() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("IOC_LOG_LEVEL").unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let json = std::env::var("IOC_LOG_FORMAT").is_ok_and(|f| f == "json");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    // a second start in one process (tests) keeps the first
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}

pub fn run(mut settings: Settings, args: &RunArgs) -> Result<(), CliError> {
    args.folders.apply(&mut settings);
    if let Some(listen) = args.listen {
        settings.listen = listen;
    }
    if let Some(data) = &args.data {
        settings.data = data.clone();
    }
    init_log();
    let options = Options { exit_at_end: args.exit_at_end, ..Options::default() };
    runtime()?.block_on(async {
        let said = wiring(&settings);
        let data = settings.data.display().to_string();
        let app = App::start(settings, options).await?;
        tracing::info!(url = %format!("http://{}", app.address), data, wiring = said, "ioc runs; SIGTERM or Ctrl-C stops it");
        wait_for_end(&app).await?;
        app.stop().await?;
        tracing::info!("ioc has stopped");
        Ok(())
    })
}

/// Until a signal, or the driver's own end.
pub async fn wait_for_end(app: &App) -> Result<(), CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = look.tick() => if app.ended() { return Ok(()) },
        }
    }
}

pub fn topics(settings: &Settings, command: TopicsCommand) -> Result<i32, CliError> {
    if settings.log != LogKind::Kafka {
        println!("The log is the embedded one: its topics are made when they are first used. Set `log = \"kafka\"` for Kafka.");
        return Ok(0);
    }
    let kafka = crate::app::kafka_settings(settings);
    let topics = crate::app::topic_settings(settings);
    match command {
        TopicsCommand::Create { names, partitions, replication, days } => {
            let kept = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
            // by their own times, recorded events would be deleted as they arrive
            let default = |clock| if clock == KafkaClock::Broker { Some(kept(7)) } else { None };
            let plan = |t: &crate::ingest::kafka::TopicSettings| kafka_topics::TopicPlan {
                name: t.name.clone(),
                clock: t.clock,
                partitions,
                replication,
                retention: days.map(kept).or(default(t.clock)),
            };
            let plans: Vec<_> = topics.iter().filter(|t| names.is_empty() || names.contains(&t.name)).map(plan).collect();
            for (name, made) in kafka_topics::create(&kafka, &plans).context("cannot make the topics")? {
                println!("{name}: {made}");
            }
            Ok(0)
        }
        TopicsCommand::Check => {
            let reports = kafka_topics::check(&kafka, &topics).context("cannot ask Kafka")?;
            print!("{}", kafka_topics::table(&reports));
            Ok(i32::from(reports.iter().any(|r| matches!(r.verdict(), kafka_topics::Verdict::Bad(_)))))
        }
    }
}

/// Where this machine reaches the server of the settings.
pub fn own_url(settings: &Settings) -> String {
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// For health checks of containers: asks `/healthz` of the address in the settings.
pub fn health(settings: &Settings) -> Result<i32, CliError> {
    let url = format!("{}/healthz", own_url(settings));
    runtime()?.block_on(async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).build().context("cannot make an HTTP client")?;
        match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => Ok(0),
            Ok(answer) => {
                eprintln!("ioc: {url} answers {}", answer.status());
                Ok(1)
            }
            Err(error) => {
                eprintln!("ioc: {url} does not answer: {error}");
                Ok(1)
            }
        }
    })
}
