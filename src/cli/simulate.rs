//! `ioc simulate`: the seeded province to a file, over HTTP, into Kafka; its truth; alerts held against it.
//!
//! Owns: flags, where events go, at what speed. Refuses to know: what the province does.
//!
//! Invariants
//! 1. To a file, each event carries `arrived` as its first member: `pipelines/simulated.map.yaml` reads it as broker time.
//! 2. Events leave in the order in which they arrive in the province, never faster than `--speed` says.
//! 3. The truth is written once everything was sent, and holds what was sent.
//!
//! Called by: cli.

use super::{CliError, Folders};
use crate::definitions::Definitions;
use crate::driver::wall_clock;
use crate::ingest::kafka::{DoorError, KafkaDoor};
use crate::registry::Registry;
use crate::settings::Settings;
use crate::simulate::score::{self, Change, Summary};
use crate::simulate::{Arrival, FaultKind, Province, Truth, Wishes};
use crate::time::{Span, Timestamp};
use anyhow::Context;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SimulateArgs {
    #[command(subcommand)]
    command: Option<SimulateCommand>,
    #[command(flatten)]
    play: PlayArgs,
}

#[derive(Subcommand)]
enum SimulateCommand {
    /// Write the registry's lines of the simulated sources.
    Registry {
        #[arg(long, default_value = "registry/sources/simulated.csv")]
        out: PathBuf,
        /// Folder of the registry whose areas are used.
        #[arg(long)]
        registry: Option<PathBuf>,
    },
}

#[derive(Args)]
struct PlayArgs {
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First instant, RFC 3339; default: now.
    #[arg(long)]
    from: Option<String>,
    /// How long: "2h", "1d"; without it, until Ctrl-C.
    #[arg(long = "for")]
    length: Option<String>,
    /// 1 is real time, 60 a minute a second, or `max`. Default: max to a file, else 1.
    #[arg(long)]
    speed: Option<String>,
    /// FILE.ndjson, http://HOST:PORT/api/v1/events, or kafka:TOPIC (brokers as in ioc.toml).
    #[arg(long)]
    to: Option<String>,
    /// Where the ground truth is written, or, with --score, read.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Only these faults instead of each day's own: flood, block, gateway, cluster, clock or upload @ RFC 3339 time or +10m after --from,
    /// and, if wanted, how long: "block@+10m/20m".
    #[arg(long = "fault")]
    faults: Vec<String>,
    /// Leave out the registry's own detectors, which say something usual too.
    #[arg(long)]
    without_recorded: bool,
    #[command(flatten)]
    folders: Folders,
    /// Token for the HTTP door, where it asks for one.
    #[arg(long, env = "IOC_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Hold alerts against the truth; exit code 1 if something was missed, wrong or miscounted.
    #[arg(long, requires = "truth", requires = "alerts")]
    score: bool,
    /// `alerts.ndjson` of a file run.
    #[arg(long)]
    alerts: Option<PathBuf>,
    /// `summary.json` of the same run: counts are compared too.
    #[arg(long)]
    summary: Option<PathBuf>,
    /// The score as JSON.
    #[arg(long)]
    json: bool,
}

pub fn simulate(settings: impl FnOnce() -> Result<Settings, CliError>, args: SimulateArgs) -> Result<i32, CliError> {
    if let Some(SimulateCommand::Registry { out, registry }) = args.command {
        let folder = registry.map_or_else(|| settings().map(|s| s.registry), Ok)?;
        // the areas alone: the sources are what is being made
        let text = crate::simulate::registry_file(&read_registry(&folder, true)?.areas).map_err(|e| CliError::Usage(e.to_string()))?;
        std::fs::write(&out, &text).map_err(|e| CliError::io("write", &out, e))?;
        println!("{} sources in {}", text.lines().count() - 1, out.display());
        return Ok(0);
    }
    let mut settings = settings()?;
    args.play.folders.apply(&mut settings);
    if args.play.score { held_against_truth(&settings, &args.play) } else { play(&settings, &args.play).map(|()| 0) }
}

/// `areas_only`: without sources, which may name what is not there yet.
fn read_registry(folder: &Path, areas_only: bool) -> Result<Registry, CliError> {
    let mut files = crate::registry::read_dir(folder).map_err(|e| CliError::io("read", folder, e))?;
    if areas_only {
        files.files.retain(|path, _| path.starts_with("areas/"));
    }
    Registry::parse(&files).map_err(|errors| CliError::Mistakes(super::Mistakes(errors.iter().map(ToString::to_string).collect())))
}

fn span(name: &str, text: &str) -> Result<Span, CliError> {
    Span::parse(text).ok_or_else(|| CliError::Usage(format!("--{name} {text:?} is no span; write for example 2h, 1d, 30m")))
}

fn instant(text: &str, after: Option<Timestamp>) -> Option<Timestamp> {
    match (text.strip_prefix('+'), after) {
        (Some(span), Some(from)) => Span::parse(span).map(|s| from + s),
        _ => Timestamp::parse_rfc3339(text.as_bytes()),
    }
}

/// "block@+10m/20m"
fn wishes(texts: &[String], from: Timestamp) -> Result<Wishes, CliError> {
    let one = |text: &String| {
        let (kind, when) = text.split_once('@')?;
        let (when, length) = when.split_once('/').map_or((when, None), |(when, length)| (when, Some(length)));
        let length = match length {
            Some(text) => Some(Span::parse(text)?),
            None => None,
        };
        Some((FaultKind::parse(kind)?, instant(when, Some(from))?, length))
    };
    let wrong = |text: &String| {
        let kinds = FaultKind::ALL.map(FaultKind::name).join(", ");
        CliError::Usage(format!(
            "--fault {text:?}: write KIND@TIME, for example block@+10m or flood@2026-06-01T05:00:00+07:00/6h; kinds: {kinds}"
        ))
    };
    texts.iter().map(|text| one(text).ok_or_else(|| wrong(text))).collect()
}

/// How fast the province's time passes: `None` without a bound.
fn pace(speed: Option<&str>, file: bool) -> Result<Option<f64>, CliError> {
    match speed {
        None => Ok((!file).then_some(1.0)),
        Some("max") => Ok(None),
        Some(text) => match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Some(times)),
            _ => Err(CliError::Usage(format!("--speed {text:?}: write 1 for real time, 60 for a minute a second, or max"))),
        },
    }
}

fn play(settings: &Settings, args: &PlayArgs) -> Result<(), CliError> {
    let to = args.to.as_deref().ok_or_else(|| CliError::Usage("--to is needed: FILE.ndjson, an http:// address or kafka:TOPIC".into()))?;
    let from = match &args.from {
        Some(text) => instant(text, None)
            .ok_or_else(|| CliError::Usage(format!("--from {text:?} is no time; write for example 2026-06-01T00:00:00+07:00")))?,
        None => wall_clock(),
    };
    let until = match &args.length {
        Some(text) => from + span("for", text)?,
        None => Timestamp::MAX,
    };
    let mut province = Province::new(args.seed, &read_registry(&settings.registry, false)?, !args.without_recorded)
        .map_err(|e| CliError::Usage(e.to_string()))?;
    if !args.faults.is_empty() {
        province = province.with_faults(wishes(&args.faults, from)?);
    }
    let (mut target, file) = match to {
        _ if to.starts_with("http://") || to.starts_with("https://") => (Target::Http(HttpTarget::new(to, args.token.clone())?), false),
        _ => match to.strip_prefix("kafka:") {
            Some(topic) => (Target::Kafka(KafkaTarget::new(settings, topic)?), false),
            None => (Target::File(FileTarget::create(Path::new(to))?), true),
        },
    };
    if file && until == Timestamp::MAX {
        return Err(CliError::Usage("--for is needed to a file, for example --for 1d".into()));
    }
    let pace = pace(args.speed.as_deref(), file)?;
    let unknown = |e: crate::time::working::NoCalendar| CliError::Usage(e.to_string());
    let mut stream = province.events(from, until).map_err(unknown)?;
    let mut arrival = Arrival::default();
    let began = Instant::now();
    while stream.next(&mut arrival).map_err(unknown)? {
        if let Some(times) = pace {
            let due = Duration::from_secs_f64(((arrival.at - from).0 as f64 / 1e9 / times).max(0.0));
            target.wait_until(began + due)?;
        }
        target.send(&arrival)?;
    }
    let said = target.finish()?;
    if let Some(path) = &args.truth {
        let truth = province.truth(from, until, &stream.tally).map_err(unknown)?;
        let text = serde_json::to_string_pretty(&truth).context("cannot write the truth as JSON")?;
        std::fs::write(path, text + "\n").map_err(|e| CliError::io("write", path, e))?;
    }
    eprintln!("{} events in {:.1} s{said}", stream.tally.records, began.elapsed().as_secs_f64());
    Ok(())
}

enum Target {
    File(FileTarget),
    Http(HttpTarget),
    Kafka(KafkaTarget),
}

impl Target {
    fn send(&mut self, arrival: &Arrival) -> Result<(), CliError> {
        match self {
            Target::File(file) => file.send(arrival),
            Target::Http(http) => http.send(arrival),
            Target::Kafka(kafka) => kafka.send(arrival),
        }
    }

    /// What is held back for company goes first.
    fn wait_until(&mut self, at: Instant) -> Result<(), CliError> {
        let wait = at.saturating_duration_since(Instant::now());
        if wait > Duration::from_millis(5) {
            if let Target::Http(http) = self {
                http.flush()?;
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    /// Sends what is left; what there is to say.
    fn finish(self) -> Result<String, CliError> {
        match self {
            Target::File(mut file) => file.out.flush().map(|()| String::new()).map_err(|e| CliError::io("write", &file.path, e)),
            Target::Http(mut http) => {
                http.flush()?;
                let refused = http.refused;
                Ok(if refused > 0 { format!("; the door refused {refused} that are no CloudEvents") } else { String::new() })
            }
            Target::Kafka(kafka) => kafka.finish(),
        }
    }
}

struct FileTarget {
    path: PathBuf,
    out: BufWriter<File>,
}

impl FileTarget {
    fn create(path: &Path) -> Result<FileTarget, CliError> {
        let file = File::create(path).map_err(|e| CliError::io("create", path, e))?;
        Ok(FileTarget { path: path.to_owned(), out: BufWriter::with_capacity(1 << 20, file) })
    }

    fn send(&mut self, arrival: &Arrival) -> Result<(), CliError> {
        let rest = arrival.bytes.strip_prefix(b"{").unwrap_or(&arrival.bytes);
        let written = write!(self.out, "{{\"arrived\":\"{}\",", arrival.at).and_then(|()| self.out.write_all(rest));
        written.and_then(|()| self.out.write_all(b"\n")).map_err(|e| CliError::io("write", &self.path, e))
    }
}

/// Whole events go in batches; what may be no CloudEvent goes alone, so that only it is refused.
struct HttpTarget {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
    token: Option<String>,
    batch: Vec<u8>,
    refused: u64,
}

/// Bytes of a batch, about.
const BATCH: usize = 128 << 10;

impl HttpTarget {
    fn new(url: &str, token: Option<String>) -> Result<HttpTarget, CliError> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().context("cannot make an HTTP client")?;
        Ok(HttpTarget { runtime: super::run::runtime()?, client, url: url.to_owned(), token, batch: Vec::new(), refused: 0 })
    }

    fn send(&mut self, arrival: &Arrival) -> Result<(), CliError> {
        if arrival.broken {
            self.flush()?;
            if !self.post("application/cloudevents+json", arrival.bytes.clone())? {
                self.refused += 1;
            }
            return Ok(());
        }
        self.batch.push(if self.batch.is_empty() { b'[' } else { b',' });
        self.batch.extend_from_slice(&arrival.bytes);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CliError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let mut body = std::mem::take(&mut self.batch);
        body.push(b']');
        if self.post("application/cloudevents-batch+json", body)? {
            return Ok(());
        }
        Err(CliError::Other(anyhow::anyhow!("{} refuses a batch of whole events", self.url)))
    }

    /// Whether the door took it; waits and tries again while it is busy.
    fn post(&self, kind: &str, body: Vec<u8>) -> Result<bool, CliError> {
        let body = bytes::Bytes::from(body);
        loop {
            let mut request = self.client.post(&self.url).header("content-type", kind).body(body.clone());
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            // the client starts its timers where the request is made: inside the runtime
            let answer = self.runtime.block_on(async { request.send().await }).with_context(|| format!("cannot send to {}", self.url))?;
            match answer.status().as_u16() {
                200..300 => return Ok(true),
                503 | 429 => std::thread::sleep(Duration::from_secs(1)),
                401 | 403 => {
                    let text = format!("{} asks for a token with the role source: `ioc token create`, then --token or IOC_TOKEN", self.url);
                    return Err(CliError::Usage(text));
                }
                _ => return Ok(false),
            }
        }
    }
}

struct KafkaTarget {
    door: KafkaDoor,
    topic: String,
}

impl KafkaTarget {
    fn new(settings: &Settings, topic: &str) -> Result<KafkaTarget, CliError> {
        let door = KafkaDoor::open(&crate::app::kafka_settings(settings)).context("cannot open Kafka")?;
        Ok(KafkaTarget { door, topic: topic.to_owned() })
    }

    /// Handed over now; a full queue is waited for, not given up. Its own threads report what Kafka did not take.
    fn send(&mut self, arrival: &Arrival) -> Result<(), CliError> {
        if self.door.waiting() as u64 >= crate::ingest::kafka::DOOR_RECORDS as u64 / 2 {
            self.door.drain(Duration::from_secs(30));
        }
        let sent = self.door.append(&self.topic, Some(arrival.key.as_bytes()), &[], &arrival.bytes, None);
        match futures_util::FutureExt::now_or_never(sent) {
            Some(Err(error @ DoorError::Kafka(_))) => Err(CliError::Other(error.into())),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<String, CliError> {
        if self.door.drain(Duration::from_secs(60)) {
            return Ok(String::new());
        }
        Err(CliError::Other(anyhow::anyhow!("Kafka did not confirm {} records of {} within a minute", self.door.waiting(), self.topic)))
    }
}

fn held_against_truth(settings: &Settings, args: &PlayArgs) -> Result<i32, CliError> {
    let (Some(truth), Some(alerts)) = (&args.truth, &args.alerts) else {
        return Err(CliError::Usage("--score needs --truth FILE and --alerts FILE".into()));
    };
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|e| CliError::io("read", path, e));
    let truth: Truth = serde_json::from_str(&read(truth)?).with_context(|| format!("{} is no truth of `ioc simulate`", truth.display()))?;
    let mut changes: Vec<Change> = Vec::new();
    for (number, line) in read(alerts)?.lines().enumerate() {
        let change = serde_json::from_str(line);
        changes.push(change.with_context(|| format!("{}:{}: no change of an alert", alerts.display(), number + 1))?);
    }
    let summary = match &args.summary {
        Some(path) => {
            Some(serde_json::from_str::<Summary>(&read(path)?).with_context(|| format!("{} is no summary.json", path.display()))?)
        }
        None => None,
    };
    let score = score::score(&truth, &changes, summary.as_ref(), &froms(settings)?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&score).context("cannot write the score as JSON")?);
    } else {
        print!("{}", score.table());
    }
    Ok(i32::from(!score.passed))
}

/// By pipeline, the event types that it reads.
fn froms(settings: &Settings) -> Result<BTreeMap<String, Vec<String>>, CliError> {
    let definitions = Definitions::read(&settings.pipelines, Some(&settings.schemas), Some(&settings.registry))?;
    let setup = definitions.compile(None).map_err(CliError::Mistakes)?;
    Ok(setup.pipelines.iter().map(|p| (p.name.clone(), p.types.iter().map(|t| t.kind.clone()).collect())).collect())
}
