//! `ioc doctor`: what stands in the way of `ioc run` on this machine, and the next step.
//!
//! Owns: which things are looked at, in which order, and how findings are printed. Refuses to know: how any of them works.
//!
//! Invariants
//! 1. It changes nothing: what is missing is said, not made.
//! 2. One line a finding: ok, warn or fail, what was found, the next step; exit code 1 if anything fails, else 0.
//!
//! Called by: cli, tests.

use super::CliError;
use super::run::{own_url, runtime};
use super::test::scenario_files;
use crate::definitions::Definitions;
use crate::disk::Disk;
use crate::driver::wall_clock;
use crate::ingest::topics::{self, Verdict};
use crate::server::auth::{may_listen, tokens};
use crate::settings::{LogKind, Settings, StoreKind};
use crate::store::influx::{Influx, InfluxConfig};
use crate::time::{Span, Timestamp};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Grade {
    Ok,
    Warn,
    Fail,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub grade: Grade,
    /// "port", "data folder".
    pub about: &'static str,
    pub found: String,
    /// Empty where there is nothing to do.
    pub next: String,
}

/// Free space below which a data folder will not do, and below which it is said.
const LITTLE_MB: u64 = 200;
const SCARCE_MB: u64 = 5_000;
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clocks may differ so far.
const APART: Span = Span::seconds(30);

fn finding(grade: Grade, about: &'static str, found: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { grade, about, found: found.into(), next: next.into() }
}

fn ok(about: &'static str, found: impl Into<String>) -> Finding {
    finding(Grade::Ok, about, found, "")
}

pub fn doctor(settings: &Settings) -> Result<i32, CliError> {
    let findings = runtime()?.block_on(examine(settings));
    for f in &findings {
        let grade = ["ok", "warn", "fail"][f.grade as usize];
        let next = if f.next.is_empty() { String::new() } else { format!("; {}", f.next) };
        println!("{grade:<5} {:<12} {}{next}", f.about, f.found);
    }
    Ok(i32::from(findings.iter().any(|f| f.grade == Grade::Fail)))
}

/// Everything, in the order in which `ioc run` needs it.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![versions()];
    findings.extend(definitions(settings));
    findings.push(data_folder(&settings.data));
    findings.push(free_space(&settings.data));
    findings.push(clock(&settings.data));
    findings.push(port(settings).await);
    findings.push(reach(settings));
    findings.extend(log(settings).await);
    findings.push(store(settings).await);
    findings
}

fn versions() -> Finding {
    let (_, kafka) = rdkafka::util::get_rdkafka_version();
    ok("versions", format!("ioc {}, SQLite {}, librdkafka {kafka}", env!("CARGO_PKG_VERSION"), rusqlite::version()))
}

fn definitions(settings: &Settings) -> Vec<Finding> {
    let read = Definitions::read(&settings.pipelines, Some(&settings.schemas), Some(&settings.registry));
    let definitions = match read {
        Ok(definitions) => definitions,
        Err(error) => return vec![finding(Grade::Fail, "definitions", error.to_string(), "")],
    };
    let compiled = match definitions.compile(None) {
        Ok(setup) => {
            let (pipelines, sources) = (setup.pipelines.len(), setup.registry.sources.len());
            let found = format!("{pipelines} pipelines, {} schemas, {sources} sources", count(&definitions, "schemas/"));
            if pipelines == 0 {
                finding(Grade::Warn, "definitions", found, format!("write one in {} (docs/integrator.md)", settings.pipelines.display()))
            } else {
                ok("definitions", found)
            }
        }
        Err(mistakes) => {
            let first = mistakes.0.first().cloned().unwrap_or_default();
            finding(Grade::Fail, "definitions", format!("{} mistakes, first {first}", mistakes.0.len()), "`ioc check` shows all")
        }
    };
    let scenarios = scenario_files(&settings.pipelines).map_or(0, |files| files.len());
    let pipelines = count(&definitions, "pipelines/");
    let tested = match scenarios >= pipelines {
        true => ok("scenarios", format!("{scenarios} files for {pipelines} pipelines")),
        false => {
            let found = format!("{scenarios} files for {pipelines} pipelines");
            finding(Grade::Warn, "scenarios", found, "`ioc check --strict` names those without (docs/scenarios.md)")
        }
    };
    vec![compiled, tested]
}

fn count(definitions: &Definitions, folder: &str) -> usize {
    definitions.files.keys().filter(|path| path.starts_with(folder)).count()
}

/// The nearest folder that is there.
fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn data_folder(data: &Path) -> Finding {
    let name = data.display();
    if !data.exists() {
        return ok("data folder", format!("{name} is made at the first start"));
    }
    match std::fs::metadata(data) {
        Ok(about) if !about.is_dir() => finding(Grade::Fail, "data folder", format!("{name} is no folder"), "give another with --data"),
        Ok(about) if about.permissions().readonly() => finding(
            Grade::Fail,
            "data folder",
            format!("{name} may not be written"),
            "let this user write there, or give another with --data",
        ),
        Ok(_) => ok("data folder", format!("{name} is there")),
        Err(error) => finding(Grade::Fail, "data folder", format!("{name}: {error}"), "let this user read it, or give another with --data"),
    }
}

/// As `df` tells it: there is no other way without unsafe code.
fn free_space(data: &Path) -> Finding {
    let place = existing(data);
    let asked = std::process::Command::new("df").arg("-Pk").arg(&place).output();
    let text = asked.map(|a| String::from_utf8_lossy(&a.stdout).into_owned()).unwrap_or_default();
    let kilobytes = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let Some(mb) = kilobytes.map(|k| k / 1024) else {
        return finding(Grade::Warn, "disk", format!("free space at {} is not known", place.display()), "look at it with `df`");
    };
    let found = format!("{mb} MB free at {}", place.display());
    match mb {
        0..LITTLE_MB => finding(Grade::Fail, "disk", found, "make room, or give another data folder with --data"),
        LITTLE_MB..SCARCE_MB => {
            finding(Grade::Warn, "disk", found, "log and spool may need more: see log_days and spool_mb (docs/configuration.md)")
        }
        _ => ok("disk", found),
    }
}

/// The newest file of the data folder was not written in the future, and the year is one in which this program exists.
fn clock(data: &Path) -> Finding {
    let now = wall_clock();
    let newest = std::fs::read_dir(data).into_iter().flatten().flatten().filter_map(|e| e.metadata().ok()?.modified().ok()).max();
    let newest = newest.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok()).map(|d| Timestamp(d.as_nanos() as i64));
    let next = "set the clock, best by NTP (`timedatectl set-ntp true`): events ahead of it are refused";
    if Timestamp::parse_rfc3339(b"2025-01-01T00:00:00Z").is_some_and(|first| now < first) {
        return finding(Grade::Fail, "clock", format!("it says {now}"), next);
    }
    match newest.filter(|newest| *newest > now + APART) {
        Some(newest) => finding(Grade::Fail, "clock", format!("it says {now}, but the data folder was written at {newest}"), next),
        None => ok("clock", now.to_string()),
    }
}

async fn port(settings: &Settings) -> Finding {
    let address = settings.listen;
    if std::net::TcpListener::bind(address).is_ok() {
        return ok("port", format!("{address} is free"));
    }
    let url = format!("{}/healthz", own_url(settings));
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let answer = match client {
        Ok(client) => client.get(&url).send().await.ok(),
        Err(_) => None,
    };
    match answer {
        Some(answer) if answer.status().is_success() => ok("port", format!("an ioc runs on {address}")),
        _ => finding(Grade::Fail, "port", format!("{address} is used by another program"), "give another with --listen, or set `listen`"),
    }
}

fn reach(settings: &Settings) -> Finding {
    let listed = tokens::list(&settings.data);
    match listed {
        Err(error) => finding(Grade::Fail, "access", error.to_string(), ""),
        Ok(tokens) => match may_listen(settings.listen, &tokens, wall_clock()) {
            Ok(()) if tokens.is_empty() => ok("access", "open on this machine only; a token opens it for others (`ioc token create`)"),
            Ok(()) => ok("access", format!("{} tokens", tokens.len())),
            Err(error) => finding(Grade::Fail, "access", error.to_string().replace('\n', " "), ""),
        },
    }
}

async fn log(settings: &Settings) -> Vec<Finding> {
    if settings.log == LogKind::Embedded {
        let names: Vec<&str> = settings.topics.keys().map(String::as_str).collect();
        return vec![ok("log", format!("embedded: {}", names.join(", ")))];
    }
    let (kafka, names) = (crate::app::kafka_settings(settings), crate::app::topic_settings(settings));
    let brokers = settings.kafka.brokers.clone();
    let asked = tokio::task::spawn_blocking(move || topics::check(&kafka, &names)).await;
    let reports = match asked {
        Ok(Ok(reports)) => reports,
        Ok(Err(error)) => return vec![finding(Grade::Fail, "Kafka", error.to_string(), "")],
        Err(error) => return vec![finding(Grade::Fail, "Kafka", format!("{brokers}: {error}"), "see kafka.brokers")],
    };
    let line = |r: &topics::TopicReport| {
        let found = format!("{}: {}", r.name, r.timestamp_type);
        match r.verdict() {
            Verdict::Good => ok("topic", found),
            Verdict::Mind(note) => finding(Grade::Warn, "topic", found, note),
            Verdict::Bad(problem) => finding(Grade::Fail, "topic", found, problem),
        }
    };
    reports.iter().map(line).collect()
}

async fn store(settings: &Settings) -> Finding {
    if settings.store == StoreKind::Embedded {
        return ok("store", "embedded");
    }
    let i = &settings.influx;
    let config = InfluxConfig::new(&i.url, &i.org, &i.bucket, &i.token, settings.data.join("dead-letters"));
    let influx = match Influx::new(Disk::Real, config) {
        Ok(influx) => influx,
        Err(error) => return finding(Grade::Fail, "store", error.to_string(), "see influx.url"),
    };
    if matches!(tokio::time::timeout(PATIENCE, influx.is_empty()).await, Ok(Ok(true))) {
        let found = format!("InfluxDB at {} is empty: no organization, no token", i.url);
        return finding(Grade::Fail, "store", found, "`ioc store setup` makes them");
    }
    match tokio::time::timeout(PATIENCE, influx.health()).await {
        Ok(health) if health.well => ok("store", health.text),
        Ok(health) => {
            finding(Grade::Fail, "store", health.text, "rows wait in the spool until it is well; see influx.url and influx.token")
        }
        Err(_) => finding(Grade::Fail, "store", format!("InfluxDB at {} does not answer", i.url), "start it, or see influx.url"),
    }
}
