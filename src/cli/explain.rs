//! `ioc explain window`: why a window has not fired, asked of the running server.
//!
//! Owns: what is asked for and how it is printed. Refuses to know: how the answer is found.
//!
//! Invariants
//! 1. Exit code 0: an answer was given; 2: the server was not reached, or has none.
//!
//! Called by: cli.

use super::CliError;
use super::run::{own_url, runtime};
use crate::server::wire::{Explanation, PipelinesNow, Problem};
use crate::settings::Settings;
use crate::time::Timestamp;
use anyhow::Context;
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use std::time::Duration;

#[derive(Subcommand)]
pub enum ExplainCommand {
    /// Which partitions hold a window, since when, and what will let it fire.
    Window(WindowArgs),
}

#[derive(Args)]
pub struct WindowArgs {
    /// "traffic_loop"
    measurement: String,
    /// Start of the window, RFC 3339; else the oldest that has not fired.
    #[arg(long)]
    start: Option<String>,
    /// Only sources of this key: --tag area=24617; may be given several times.
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// The server's answer as JSON.
    #[arg(long)]
    json: bool,
    /// The running server; else the address of the settings.
    #[arg(long)]
    server: Option<String>,
    /// Token of a reader.
    #[arg(long, env = "IOC_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub fn explain(settings: &Settings, command: ExplainCommand) -> Result<i32, CliError> {
    let ExplainCommand::Window(args) = command;
    let mut query = vec![("measurement".to_owned(), args.measurement.clone())];
    if let Some(start) = &args.start {
        let wrong = || CliError::Usage(format!("--start {start:?}: write an instant, as in 2026-06-01T07:00:00+07:00"));
        query.push(("start".to_owned(), Timestamp::parse_rfc3339(start.as_bytes()).ok_or_else(wrong)?.millis().to_string()));
    }
    for tag in &args.tags {
        let (name, value) = tag.split_once('=').ok_or_else(|| CliError::Usage(format!("--tag {tag:?}: write NAME=VALUE")))?;
        query.push((format!("tag.{name}"), value.to_owned()));
    }
    runtime()?.block_on(async {
        let pipelines: PipelinesNow = ask(settings, &args, "/api/v1/pipelines", &[]).await?;
        let has = |p: &&crate::server::wire::PipelineView| p.windows.iter().any(|w| w.measurement == args.measurement);
        let Some(pipeline) = pipelines.pipelines.iter().find(has) else {
            let all: Vec<&str> = pipelines.pipelines.iter().flat_map(|p| &p.windows).map(|w| w.measurement.as_str()).collect();
            return Err(CliError::Usage(format!("no measurement {:?}; there are: {}", args.measurement, all.join(", "))));
        };
        let answer: Explanation = ask(settings, &args, &format!("/api/v1/pipelines/{}/explain", pipeline.name), &query).await?;
        if args.json {
            println!("{}", serde_json::to_string_pretty(&answer).context("cannot write JSON")?);
        } else {
            print!("{}", shown(&answer));
        }
        Ok(0)
    })
}

fn shown(answer: &Explanation) -> String {
    let mut text = format!("{}\n{}\n", answer.says.vi, answer.says.en);
    for source in &answer.quiet {
        let heard = source.last_heard.map_or_else(|| "-".to_owned(), |ms| Timestamp::from_millis(ms).to_string());
        let area = source.area.as_ref().map_or("", |a| a.name.as_str());
        text += &format!("  {heard:<24}  {}  {}  {area}\n", source.id, source.name.vi);
    }
    text
}

async fn ask<T: DeserializeOwned>(settings: &Settings, args: &WindowArgs, path: &str, query: &[(String, String)]) -> Result<T, CliError> {
    let address = args.server.clone().unwrap_or_else(|| own_url(settings));
    let url = format!("{}{path}", address.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().context("cannot make an HTTP client")?;
    let mut request = client.get(&url).query(query);
    if let Some(token) = &args.token {
        request = request.bearer_auth(token);
    }
    let no_server = |error| CliError::Usage(format!("{url}: {error}; is the server there? Give its address with --server"));
    let answer = request.send().await.map_err(no_server)?;
    if answer.status().is_success() {
        return Ok(answer.json().await.context("the server's answer cannot be read")?);
    }
    let status = answer.status();
    let problem: Option<Problem> = answer.json().await.ok();
    let said = problem.map_or_else(String::new, |p| format!(": {} {}", p.message.en, p.detail));
    Err(CliError::Usage(format!("{url} answers {status}{said}; a token is given with --token or IOC_TOKEN")))
}
