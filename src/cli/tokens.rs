//! `ioc token create|list|revoke`.
//!
//! Owns: flags and what is printed. Refuses to know: how tokens are kept.
//!
//! Invariants
//! 1. A token's text is printed once, when it is made, and never again.
//!
//! Called by: cli.

use super::CliError;
use crate::driver::wall_clock;
use crate::server::auth::tokens::{self, NewToken};
use crate::server::wire::Role;
use crate::settings::Settings;
use crate::time::Span;
use clap::{Subcommand, ValueEnum};

#[derive(Clone, Copy, ValueEnum)]
pub enum RoleArg {
    Viewer,
    Operator,
    Local,
    Analyst,
    Admin,
    Source,
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown once.
    Create {
        /// Who or what it is for: "Gia Nghĩa, duty desk".
        #[arg(long)]
        name: Option<String>,
        #[arg(long, value_enum, default_value = "operator")]
        role: RoleArg,
        /// Code of an area or group it may see; may be repeated. None: the whole province.
        #[arg(long)]
        area: Vec<String>,
        /// Sector it may see; may be repeated. None: all.
        #[arg(long)]
        sector: Vec<String>,
        /// Valid for so long: "90d".
        #[arg(long)]
        expires: Option<String>,
    },
    List,
    /// By id or name.
    Revoke {
        token: String,
    },
}

pub fn token(settings: &Settings, command: TokenCommand) -> Result<(), CliError> {
    let failed = |e: tokens::TokenError| CliError::Usage(e.to_string());
    let folder = &settings.data;
    std::fs::create_dir_all(folder).map_err(|e| CliError::io("make", folder, e))?;
    match command {
        TokenCommand::Create { name, role, area, sector, expires } => {
            let now = wall_clock();
            let span =
                |text: &String| Span::parse(text).ok_or_else(|| CliError::Usage(format!("--expires {text:?}: a span like 90d is needed")));
            let expires = expires.as_ref().map(span).transpose()?.map(|s| now + s);
            let role = role_of(role);
            let name = name.unwrap_or_else(|| format!("{} {now}", area.join(" ")).trim().to_owned());
            let (text, record) =
                tokens::create(folder, NewToken { name, role, areas: area, sectors: sector, expires }, now).map_err(failed)?;
            println!("{text}");
            eprintln!(
                "Token {} for {:?}. It is shown this once; keep it, or revoke it with `ioc token revoke {}`.",
                record.id, record.name, record.id
            );
        }
        TokenCommand::List => {
            for t in tokens::list(folder).map_err(failed)? {
                println!("{}  {:?}  {:?}  areas {:?}  sectors {:?}", t.id, t.name, t.role, t.areas, t.sectors);
            }
        }
        TokenCommand::Revoke { token } => {
            let gone = tokens::revoke(folder, &token).map_err(failed)?;
            println!("{} ({:?}) is revoked.", gone.id, gone.name);
        }
    }
    Ok(())
}

fn role_of(role: RoleArg) -> Role {
    match role {
        RoleArg::Viewer => Role::Viewer,
        RoleArg::Operator => Role::Operator,
        RoleArg::Local => Role::Local,
        RoleArg::Analyst => Role::Analyst,
        RoleArg::Admin => Role::Admin,
        RoleArg::Source => Role::Source,
    }
}
