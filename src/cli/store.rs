//! `ioc store setup`: makes InfluxDB ready for `ioc run`.
//!
//! Owns: flags, where a secret comes from, what is printed. Refuses to know: InfluxDB's interface.
//!
//! Invariants
//! 1. A secret that this program makes is printed once, with the place where it belongs; one that was given is never printed.
//! 2. On a server that was set up before nothing but a missing bucket is made.
//!
//! Called by: cli.

use super::CliError;
use super::run::runtime;
use crate::disk::Disk;
use crate::server::auth::tokens::random_text;
use crate::settings::{Settings, StoreKind};
use crate::store::influx::{Influx, InfluxConfig, SetUp};
use crate::time::Span;
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Subcommand)]
pub enum StoreCommand {
    /// Set InfluxDB up: organization, user, token and bucket on an empty server, else the bucket where it is missing.
    Setup {
        /// Name of the first user, who owns the server.
        #[arg(long, default_value = "admin")]
        user: String,
        /// File that holds the first user's password, 8 characters or more; else one is made and shown once.
        #[arg(long)]
        password_file: Option<PathBuf>,
        /// Rows older than this are dropped by InfluxDB, "730d"; without it they are kept for ever.
        #[arg(long)]
        retention: Option<String>,
    },
}

/// InfluxDB refuses shorter ones.
const PASSWORD_CHARS: usize = 8;

pub fn store(settings: &Settings, command: StoreCommand) -> Result<i32, CliError> {
    let StoreCommand::Setup { user, password_file, retention } = command;
    if settings.store == StoreKind::Embedded {
        let next = "set `store = \"influx\"` (or IOC_STORE=influx) to use InfluxDB";
        println!("The embedded store needs no set-up; {next}.");
        return Ok(0);
    }
    let retention = retention.as_deref().map_or(Ok(Duration::ZERO), read_retention)?;
    let made = |e| CliError::Usage(format!("the system gives no random bytes: {e}"));
    let password = password_file.as_deref().map(read_password).transpose()?;
    let shown_password = if password.is_none() { Some(random_text().map_err(made)?) } else { None };
    let i = &settings.influx;
    let shown_token = if i.token.is_empty() { Some(random_text().map_err(made)?) } else { None };
    let token = shown_token.as_deref().unwrap_or(&i.token);
    let config = InfluxConfig::new(&i.url, &i.org, &i.bucket, token, settings.data.join("dead-letters"));
    let influx = Influx::new(Disk::Real, config).map_err(|e| CliError::Usage(e.to_string()))?;
    let password = password.as_deref().or(shown_password.as_deref()).unwrap_or_default();
    let runtime = runtime()?;
    let is_empty = runtime.block_on(influx.is_empty()).map_err(|e| CliError::Other(e.into()))?;
    if !is_empty && shown_token.is_some() {
        let next = "set influx.token, IOC_INFLUX_TOKEN or IOC_INFLUX_TOKEN_FILE to a token of it that may make buckets";
        return Err(CliError::Usage(format!("InfluxDB at {} was set up before, and no token is given: {next}", i.url)));
    }
    match runtime.block_on(influx.set_up(&user, password, retention)).map_err(|e| CliError::Other(e.into()))? {
        SetUp::Bucket => println!("InfluxDB at {} was set up before; bucket {} of {} is there.", i.url, i.bucket, i.org),
        SetUp::First => {
            println!("InfluxDB at {} is set up: organization {}, bucket {}, user {user}.", i.url, i.org, i.bucket);
            if let Some(password) = shown_password {
                println!("password of {user}, shown only now: {password}");
            }
            if let Some(token) = shown_token {
                println!("token, shown only now; put it into ioc.toml under [influx], or into the file that IOC_INFLUX_TOKEN_FILE names:");
                println!("token = \"{token}\"");
            }
        }
    }
    Ok(0)
}

fn read_retention(text: &str) -> Result<Duration, CliError> {
    let wrong = || CliError::Usage(format!("--retention {text:?}: give a span of an hour or more, like \"730d\""));
    let span = Span::parse(text).filter(|span| *span >= Span::hours(1)).ok_or_else(wrong)?;
    Ok(Duration::from_millis(span.millis() as u64))
}

fn read_password(path: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path).map_err(|e| CliError::io("read", path, e))?;
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    if password.chars().count() < PASSWORD_CHARS {
        let path = path.display();
        return Err(CliError::Usage(format!("{path}: a password of {PASSWORD_CHARS} characters or more is needed")));
    }
    Ok(password)
}
