//! `ioc audit`: who saw and did what.
//!
//! Owns: flags and what is printed. Refuses to know: what is worth an entry.
//!
//! Invariants
//! 1. It reads only, whether a server runs on the data folder or not.
//!
//! Called by: cli.

use super::{CliError, since};
use crate::server::audit::{AuditBook, Entry, Wanted};
use crate::settings::Settings;
use anyhow::Context;
use clap::Args;

#[derive(Args)]
pub struct AuditArgs {
    /// "2h" ago, or an RFC 3339 instant.
    #[arg(long)]
    since: Option<String>,
    /// Of this person or token only.
    #[arg(long)]
    name: Option<String>,
    /// The newest so many.
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Oldest first.
pub fn audit(settings: &Settings, args: &AuditArgs) -> Result<(), CliError> {
    let since = args.since.as_deref().map(since).transpose()?;
    let failed = |e: crate::disk::database::DatabaseError| CliError::Other(e.into());
    let Some(book) = AuditBook::open(&settings.data).map_err(failed)? else {
        return Err(CliError::Usage(format!(
            "{}: nothing was noted here yet; give the data folder of the server with --config, or start `ioc run`",
            settings.data.display()
        )));
    };
    let wanted = Wanted { since, name: args.name.clone(), limit: args.limit };
    for entry in book.list(&wanted).map_err(failed)? {
        println!("{}", if args.json { serde_json::to_string(&entry).context("cannot write JSON")? } else { line(&entry) });
    }
    Ok(())
}

fn line(entry: &Entry) -> String {
    let Entry { time, name, role, address, what, object, .. } = entry;
    let or = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    format!("{time}  {:<20}  {:<8}  {:<15}  {what:<14}  {object}", or(name), or(role), or(address))
}
