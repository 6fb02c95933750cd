//! The command line: one subcommand a task.
//!
//! Owns: flags, exit codes, what is printed. Refuses to know: how anything works.
//!
//! Invariants
//! 1. Errors go to standard error with place, reason and next step; the exit code is 0, 1 (it failed) or 2 (wrong use, mistakes in files).
//!
//! Called by: main.

mod audit;
pub mod check;
mod demo;
pub mod doctor;
mod explain;
pub mod files;
mod rejected;
mod replay;
mod run;
pub mod schema;
mod simulate;
mod store;
pub mod tail;
pub mod test;
mod tokens;

use crate::definitions::{Mistakes, ReadError};
use crate::driver::wall_clock;
use crate::settings::{LogKind, Settings, StoreKind};
use crate::time::{Span, Timestamp};
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum CliError {
    #[error("{0}")]
    Mistakes(Mistakes),
    #[error("cannot {doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Run(#[from] crate::file_run::RunError),
    #[error(transparent)]
    File(#[from] crate::ingest::file::FileError),
    #[error(transparent)]
    Map(#[from] crate::ingest::mapped::MapError),
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::CheckpointError),
    #[error(transparent)]
    Replay(#[from] crate::replay::ReplayError),
    #[error("{0}")]
    Usage(String),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl CliError {
    pub fn io(doing: &'static str, path: &Path, source: std::io::Error) -> CliError {
        CliError::Io { doing, path: path.to_owned(), source }
    }

    fn code(&self) -> i32 {
        match self {
            CliError::Mistakes(_) | CliError::Usage(_) | CliError::Read(_) => 2,
            _ => 1,
        }
    }
}

#[derive(Parser)]
#[command(name = "ioc", version, about = "Event-stream processor for an Intelligent Operations Center")]
struct Cli {
    /// Settings file; else $IOC_CONFIG, ./ioc.toml, /etc/ioc/ioc.toml.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run: read the log, serve the page; or, with --from, drive files through and leave five files.
    Run(RunArgs),
    /// Play a recorded hour of traffic with a real jam in it, on the embedded default.
    Demo(demo::DemoArgs),
    /// Read pipelines, maps, schemas and registry and report every mistake at once.
    Check(check::CheckArgs),
    /// Run scenarios (*.test.yaml) in simulated time.
    Test(test::TestArgs),
    /// Areas of the registry.
    #[command(subcommand)]
    Areas(AreasCommand),
    /// Topics of Kafka.
    #[command(subcommand)]
    Topics(run::TopicsCommand),
    /// The window store: make InfluxDB ready.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Tokens for the page and the API.
    #[command(subcommand)]
    Token(tokens::TokenCommand),
    /// Records that were refused.
    #[command(subcommand)]
    Rejected(rejected::RejectedCommand),
    /// Records that came too late for every window.
    #[command(subcommand)]
    Late(rejected::LateCommand),
    /// Who saw and did what: sign-ins, acts, exports, replays, refused attempts.
    Audit(audit::AuditArgs),
    /// The past again: changes of alerts and rows of a span as they were, from the data folder, also while `ioc run` runs.
    Replay(replay::ReplayArgs),
    /// A seeded province with known faults: to a file, over HTTP, into Kafka; and alerts held against what is true.
    Simulate(Box<simulate::SimulateArgs>),
    /// A JSON Schema of a kind of file, for editors.
    Schema(schema::SchemaArgs),
    /// Live alerts in this terminal.
    Tail(tail::TailArgs),
    /// Why something is as it is, asked of the running server.
    #[command(subcommand)]
    Explain(explain::ExplainCommand),
    /// Look at versions, files, disk, clock, port, log and store, and say the next step; exit code 1 if something fails.
    Doctor,
    /// Ask the running server whether it is well; exit code 0 if so.
    Health,
}

#[derive(Args, Clone, Default)]
pub struct Folders {
    /// Folder of pipelines.
    #[arg(long)]
    pipelines: Option<PathBuf>,
    /// Folder of event schemas.
    #[arg(long)]
    schemas: Option<PathBuf>,
    /// Folder of areas, sources, sectors.
    #[arg(long)]
    registry: Option<PathBuf>,
}

#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    folders: Folders,
    /// Address of the page, "127.0.0.1:8080".
    #[arg(long)]
    listen: Option<std::net::SocketAddr>,
    /// Data folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Map for files that are not CloudEvents.
    #[arg(long)]
    map: Option<PathBuf>,
    /// Files to drive through; each is one partition. `.gz` and `.zst` are unpacked.
    #[arg(long, num_args = 1.., requires = "out")]
    from: Vec<PathBuf>,
    /// Folder for the five files.
    #[arg(long)]
    out: Option<PathBuf>,
    /// End once the input is read to its end.
    #[arg(long)]
    exit_at_end: bool,
    /// Threads that read files.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Folder for checkpoints of a file run.
    #[arg(long)]
    checkpoints: Option<PathBuf>,
    /// No progress.
    #[arg(long)]
    quiet: bool,
}

#[derive(Subcommand)]
enum AreasCommand {
    /// lon,lat lines on standard input → lon,lat,code,level.
    Locate {
        #[command(flatten)]
        folders: Folders,
        /// Areas in force on this day, "2025-06-30" (default: those without an end).
        #[arg(long)]
        at: Option<String>,
        /// This layer only.
        #[arg(long)]
        layer: Option<String>,
    },
}

impl Folders {
    fn apply(&self, settings: &mut Settings) {
        for (given, kept) in
            [(&self.pipelines, &mut settings.pipelines), (&self.schemas, &mut settings.schemas), (&self.registry, &mut settings.registry)]
        {
            if let Some(path) = given {
                *kept = path.clone();
            }
        }
    }
}

/// Parses, runs, prints an error; the exit code.
pub fn main() -> i32 {
    let cli = Cli::parse();
    end_with_the_reader();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ioc: {error}");
            error.code()
        }
    }
}

/// Who reads our output may stop reading (`ioc late list | head`): then there is nothing left to say, and that is no fault.
fn end_with_the_reader() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload().downcast_ref::<String>().map_or("", String::as_str);
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        hook(info);
    }));
}

fn dispatch(cli: Cli) -> Result<i32, CliError> {
    let settings = || Settings::load(cli.config.as_deref(), &|name| std::env::var(name).ok()).map_err(|e| CliError::Usage(e.to_string()));
    match cli.command {
        Command::Run(args) if !args.from.is_empty() => run_from(args).map(|()| 0),
        Command::Run(args) => run::run(settings()?, &args).map(|()| 0),
        Command::Demo(args) => demo::demo(settings()?, args).map(|()| 0),
        Command::Check(args) => check::check(settings()?, &args),
        Command::Test(args) => test::test(settings()?, &args),
        Command::Areas(AreasCommand::Locate { folders, at, layer }) => {
            let mut settings = settings()?;
            folders.apply(&mut settings);
            locate(&settings, at.as_deref(), layer.as_deref()).map(|()| 0)
        }
        Command::Topics(command) => run::topics(&settings()?, command),
        Command::Store(command) => store::store(&settings()?, command),
        Command::Token(command) => tokens::token(&settings()?, command).map(|()| 0),
        Command::Rejected(command) => rejected::rejected(&settings()?, command),
        Command::Late(command) => rejected::late(&settings()?, command),
        Command::Audit(args) => audit::audit(&settings()?, &args).map(|()| 0),
        Command::Replay(args) => replay::replay(settings()?, &args).map(|()| 0),
        Command::Simulate(args) => simulate::simulate(settings, *args),
        Command::Schema(args) => schema::schema(&args).map(|()| 0),
        Command::Tail(args) => tail::tail(&settings()?, args),
        Command::Explain(command) => explain::explain(&settings()?, command),
        Command::Doctor => doctor::doctor(&settings()?),
        Command::Health => run::health(&settings()?),
    }
}

/// A file run knows only what its flags name.
fn run_from(args: RunArgs) -> Result<(), CliError> {
    let pipelines = args.folders.pipelines.ok_or_else(|| CliError::Usage("--from needs --pipelines DIR".into()))?;
    let definitions = crate::definitions::Definitions::read(&pipelines, args.folders.schemas.as_deref(), args.folders.registry.as_deref())?;
    files::run_files(files::Arguments {
        definitions,
        map: args.map,
        from: args.from,
        out: args.out.ok_or_else(|| CliError::Usage("--from needs --out DIR".into()))?,
        threads: args.threads,
        checkpoints: args.checkpoints,
        quiet: args.quiet,
    })
}

fn locate(settings: &Settings, at: Option<&str>, layer: Option<&str>) -> Result<(), CliError> {
    let files = crate::registry::read_dir(&settings.registry).map_err(|e| CliError::io("read", &settings.registry, e))?;
    let registry = crate::registry::Registry::parse(&files)
        .map_err(|errors| CliError::Mistakes(Mistakes(errors.iter().map(ToString::to_string).collect())))?;
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    crate::registry::locate_points(&registry, input, output, at, layer).map_err(|e| CliError::Usage(e.to_string()))?;
    Ok(())
}

/// `--since`: so long ago, or an instant.
fn since(text: &str) -> Result<Timestamp, CliError> {
    let ago = Span::parse(text).map(|span| wall_clock() - span);
    ago.or_else(|| Timestamp::parse_rfc3339(text.as_bytes())).ok_or_else(|| {
        CliError::Usage(format!("--since {text:?}: write a span before now, as in 2h, or an instant, as in 2026-06-01T07:00:00+07:00"))
    })
}

/// Where the log is and where rows go, in words.
fn wiring(settings: &Settings) -> String {
    let log = match settings.log {
        LogKind::Embedded => "embedded log".to_owned(),
        LogKind::Kafka => format!("Kafka at {}", settings.kafka.brokers),
    };
    let store = match settings.store {
        StoreKind::Embedded => "embedded store".to_owned(),
        StoreKind::Influx => format!("InfluxDB at {}", settings.influx.url),
    };
    format!("{log}, {store}")
}
