//! `ioc check`: every mistake of every file at once.
//!
//! Owns: which files are read. Refuses to know: what a mistake is.
//!
//! Invariants
//! 1. Each line is `file:line:column: what`, with a suggestion where there is one; exit code 2 if there is any, else 0.
//!
//! Called by: cli.

use super::{CliError, Folders};
use crate::definitions::Definitions;
use crate::pipeline::map::Map;
use crate::settings::Settings;
use clap::Args;

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    folders: Folders,
}

pub fn check(mut settings: Settings, args: &CheckArgs) -> Result<i32, CliError> {
    args.folders.apply(&mut settings);
    let definitions = Definitions::read(&settings.pipelines, Some(&settings.schemas), Some(&settings.registry))?;
    let mut lines = match definitions.compile(None) {
        Ok(setup) => {
            for (kind, keywords) in setup.schemas_checked_twice() {
                println!("schemas/{kind}.json: note: a second pass over each event for {}", keywords.join(", "));
            }
            Vec::new()
        }
        Err(mistakes) => mistakes.0,
    };
    let folder = std::fs::read_dir(&settings.pipelines).map_err(|e| CliError::io("read", &settings.pipelines, e))?;
    let mut maps: Vec<_> = folder.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.to_string_lossy().ends_with(".map.yaml")).collect();
    maps.sort();
    for path in &maps {
        let text = std::fs::read_to_string(path).map_err(|e| CliError::io("read", path, e))?;
        if let Err(mistakes) = Map::compile(&text, &path.to_string_lossy()) {
            lines.extend(mistakes.iter().map(ToString::to_string));
        }
    }
    for line in &lines {
        eprintln!("{line}");
    }
    let files = definitions.files.len() + maps.len();
    match lines.len() {
        0 => {
            println!("{files} files are right.");
            Ok(0)
        }
        n => {
            eprintln!("{n} {} in {files} files.", if n == 1 { "mistake" } else { "mistakes" });
            Ok(2)
        }
    }
}
