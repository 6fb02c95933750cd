//! `ioc rejected`, `ioc late`: what was refused, what came late, and driving refused records again.
//!
//! Owns: what is asked for and how it is printed. Refuses to know: how records are kept and judged.
//!
//! Invariants
//! 1. Where a server runs on the data folder it is asked: it alone has the log, and its verdicts come back. Without one the records are
//!    appended here and said to be judged at the next start.
//! 2. Exit code 0: every record asked for was driven again; 1: one was rejected again.
//!
//! Called by: cli.

use super::run::runtime;
use super::{CliError, since};
use crate::app::redrive::drive_again;
use crate::disk::database::DatabaseError;
use crate::server::wire::{Problem, RedriveRequest, RedrivenView};
use crate::settings::Settings;
use crate::store::late::{LateStore, WantedLate};
use crate::store::rejected::{Kept, RejectedStore, Wanted};
use crate::time::{Span, Timestamp};
use anyhow::Context;
use clap::{Args, Subcommand};
use std::time::Duration;

#[derive(Subcommand)]
pub enum RejectedCommand {
    /// Newest first.
    List {
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// "schema" or "schema.required".
        #[arg(long)]
        reason: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// One record whole, its bytes last.
    Show { number: i64 },
    /// Append the original bytes anew, after a schema or a pipeline was mended; says what became of each.
    Redrive(RedriveArgs),
}

#[derive(Subcommand)]
pub enum LateCommand {
    /// Newest first.
    List {
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[arg(long)]
        pipeline: Option<String>,
        #[arg(long)]
        source: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub struct RedriveArgs {
    /// Number as `ioc rejected list` shows it; may be given several times.
    #[arg(long = "id")]
    ids: Vec<i64>,
    /// "schema" or "schema.required".
    #[arg(long)]
    reason: Option<String>,
    /// Taken by the log since: "2h" ago, or an RFC 3339 instant.
    #[arg(long)]
    since: Option<String>,
    /// With --reason or --since: those too that were driven again before.
    #[arg(long)]
    again: bool,
    /// The running server; else the address of the settings.
    #[arg(long)]
    server: Option<String>,
    /// Token with the role admin.
    #[arg(long, env = "IOC_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

fn failed(error: DatabaseError) -> CliError {
    CliError::Other(error.into())
}

pub fn rejected(settings: &Settings, command: RejectedCommand) -> Result<i32, CliError> {
    let store = RejectedStore::open(&settings.data).map_err(failed)?;
    match command {
        RejectedCommand::List { limit, reason, json } => {
            let wanted = Wanted { reason, limit, ..Wanted::default() };
            for kept in store.list(&wanted).map_err(failed)? {
                println!("{}", if json { serde_json::to_string(&kept).context("cannot write JSON")? } else { row(&kept) });
            }
            Ok(0)
        }
        RejectedCommand::Show { number } => {
            let kept = store.get(number).map_err(failed)?.ok_or_else(|| unknown(number))?;
            println!("{}\n", row(&kept));
            println!("{}", String::from_utf8_lossy(&kept.raw));
            Ok(0)
        }
        RejectedCommand::Redrive(args) => redrive(settings, &store, &args),
    }
}

pub fn late(settings: &Settings, command: LateCommand) -> Result<i32, CliError> {
    let LateCommand::List { limit, pipeline, source, json } = command;
    let store = LateStore::open(&settings.data).map_err(failed)?;
    for kept in store.list(&WantedLate { pipeline, source, before: None, limit }).map_err(failed)? {
        if json {
            println!("{}", serde_json::to_string(&kept).context("cannot write JSON")?);
            continue;
        }
        let place = format!("{}/{}@{}", kept.topic, kept.partition, kept.offset);
        let behind = Span(kept.delay.0 - kept.delay.0 % Span::seconds(1).0);
        println!("{:>8}  {}  {place}  {}  {}  {}: {behind} behind", kept.number, kept.time, kept.source, kept.kind, kept.pipeline);
    }
    Ok(0)
}

fn unknown(number: i64) -> CliError {
    CliError::Usage(format!("no rejected record has the number {number}; `ioc rejected list` shows them"))
}

fn row(kept: &Kept) -> String {
    let time = kept.broker_time.map_or_else(|| "-".into(), |t| t.to_string());
    let source = kept.source.as_deref().unwrap_or("-");
    let place = format!("{}/{}@{}", kept.topic, kept.partition, kept.offset);
    let driven = kept.redriven.as_ref().map_or_else(String::new, |r| format!("  (driven again: {})", verdict(r.verdict.as_deref())));
    format!("{:>8}  {time}  {place}  {source}  {}  {}: {}{driven}", kept.number, kept.reason, kept.path, kept.detail)
}

fn verdict(verdict: Option<&str>) -> &str {
    verdict.unwrap_or("not judged yet")
}

fn redrive(settings: &Settings, store: &RejectedStore, args: &RedriveArgs) -> Result<i32, CliError> {
    let since = args.since.as_deref().map(since).transpose()?;
    if args.ids.is_empty() && args.reason.is_none() && since.is_none() {
        return Err(CliError::Usage("which records: give --id, --reason or --since; `ioc rejected list` shows them".into()));
    }
    let asked = RedriveRequest {
        numbers: args.ids.clone(),
        reason: args.reason.clone(),
        since: since.map(Timestamp::millis),
        again: args.again,
        name: Some("ioc rejected redrive".into()),
    };
    runtime()?.block_on(async {
        let driven = match ask_server(settings, args, &asked).await? {
            Some(driven) => driven,
            None => drive_here(settings, store, &asked).await?,
        };
        Ok(print(&driven))
    })
}

fn print(driven: &[RedrivenView]) -> i32 {
    for each in driven {
        let place = match (&each.topic, each.partition, each.offset) {
            (Some(topic), Some(partition), Some(offset)) => format!("{topic}/{partition}@{offset}"),
            _ => "not in the log".to_owned(),
        };
        let by: Vec<String> = each.verdicts.iter().filter(|(_, v)| *v != "unwanted").map(|(p, v)| format!("{p}: {v}")).collect();
        let detail = each.reason.clone().unwrap_or_else(|| by.join(", "));
        println!("{:>8}  {place}  {}  {detail}", each.number, verdict(each.verdict.as_deref()));
    }
    let waiting = driven.iter().filter(|d| d.verdict.is_none()).count();
    println!("{} records driven again{}", driven.len(), if waiting > 0 { format!(", {waiting} not judged yet") } else { String::new() });
    i32::from(driven.iter().any(|d| d.verdict.as_deref() == Some("rejected")))
}

/// `None`: no server answers.
async fn ask_server(settings: &Settings, args: &RedriveArgs, asked: &RedriveRequest) -> Result<Option<Vec<RedrivenView>>, CliError> {
    let address = args.server.clone().unwrap_or_else(|| super::run::own_url(settings));
    let url = format!("{}/api/v1/rejected/redrive", address.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().context("cannot make an HTTP client")?;
    let mut request = client.post(&url).json(asked);
    if let Some(token) = &args.token {
        request = request.bearer_auth(token);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() && args.server.is_none() => return Ok(None),
        Err(error) => return Err(CliError::Usage(format!("{url}: {error}; is the server there? Give its address with --server"))),
    };
    if answer.status().is_success() {
        return Ok(Some(answer.json().await.context("the server's answer cannot be read")?));
    }
    let status = answer.status();
    let problem: Option<Problem> = answer.json().await.ok();
    let said = problem.map_or_else(String::new, |p| format!(": {} {}", p.message.en, p.detail));
    Err(CliError::Usage(format!("{url} answers {status}{said}; a token is given with --token or IOC_TOKEN")))
}

/// Without a server: the records enter the log, and are judged when `ioc run` reads them.
async fn drive_here(settings: &Settings, store: &RejectedStore, asked: &RedriveRequest) -> Result<Vec<RedrivenView>, CliError> {
    let records = if asked.numbers.is_empty() {
        let since = asked.since.map(Timestamp::from_millis);
        let wanted = Wanted { reason: asked.reason.clone(), since, undriven: !asked.again, limit: 1_000, before: None };
        let mut records = store.list(&wanted).map_err(failed)?;
        records.reverse();
        records
    } else {
        let one = |number: &i64| store.get(*number).map_err(failed)?.ok_or_else(|| unknown(*number));
        asked.numbers.iter().map(one).collect::<Result<_, _>>()?
    };
    let held = "a server on another address may hold the log: give it with --server";
    let way = crate::app::open_way(settings).with_context(|| held.to_owned())?;
    let driven = drive_again(&way, &settings.data, records, "ioc rejected redrive").await?;
    println!("No server runs here: what was driven again is judged when `ioc run` reads it; `ioc rejected list` then shows the verdicts.");
    Ok(driven.iter().map(RedrivenView::from).collect())
}
