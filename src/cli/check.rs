//! `ioc check`: every mistake of every file at once.
//!
//! Owns: which files are read. Refuses to know: what a mistake is.
//!
//! Invariants
//! 1. Each line is `file:line:column: what`, with a suggestion where there is one; exit code 2 if there is any, else 0.
//! 2. `--strict`: a pipeline without scenarios, and an alert that no scenario lets fire or forbids to fire, are mistakes too.
//!
//! Called by: cli.

use super::test::{prepared, scenario_files};
use super::{CliError, Folders};
use crate::definitions::{Definitions, Ground};
use crate::engine::Condition;
use crate::engine::setup::Setup;
use crate::pipeline::map::Map;
use crate::scenario::ScenarioFile;
use crate::settings::Settings;
use clap::Args;
use std::collections::BTreeMap;

#[derive(Args)]
pub struct CheckArgs {
    #[command(flatten)]
    folders: Folders,
    /// Refuse pipelines without scenarios, and alerts that no scenario shows firing and not firing.
    #[arg(long)]
    strict: bool,
}

pub fn check(mut settings: Settings, args: &CheckArgs) -> Result<i32, CliError> {
    args.folders.apply(&mut settings);
    let definitions = Definitions::read(&settings.pipelines, Some(&settings.schemas), Some(&settings.registry))?;
    let mut lines = Vec::new();
    let mut files = definitions.files.len();
    match definitions.compile(None) {
        Ok(setup) => {
            for (kind, keywords) in setup.schemas_checked_twice() {
                println!("schemas/{kind}.json: note: a second pass over each event for {}", keywords.join(", "));
            }
            let ground = Ground::on(definitions, setup.registry.clone()).map_err(CliError::Mistakes)?;
            let scenarios = scenarios(&settings, &ground, &mut lines)?;
            files += scenarios.len();
            if args.strict {
                lines.extend(untested(&setup, &scenarios));
            }
        }
        Err(mistakes) => lines = mistakes.0,
    }
    files += maps(&settings, &mut lines)?;
    for line in &lines {
        eprintln!("{line}");
    }
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

/// Adds the mistakes of every map; how many maps there are.
fn maps(settings: &Settings, lines: &mut Vec<String>) -> Result<usize, CliError> {
    let folder = std::fs::read_dir(&settings.pipelines).map_err(|e| CliError::io("read", &settings.pipelines, e))?;
    let mut maps: Vec<_> = folder.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.to_string_lossy().ends_with(".map.yaml")).collect();
    maps.sort();
    for path in &maps {
        let text = std::fs::read_to_string(path).map_err(|e| CliError::io("read", path, e))?;
        if let Err(mistakes) = Map::compile(&text, &path.to_string_lossy()) {
            lines.extend(mistakes.iter().map(ToString::to_string));
        }
    }
    Ok(maps.len())
}

/// Scenario files by the pipeline that they name; `None` where one has mistakes.
fn scenarios(settings: &Settings, ground: &Ground, lines: &mut Vec<String>) -> Result<BTreeMap<String, Option<ScenarioFile>>, CliError> {
    let paths = scenario_files(&settings.pipelines)?;
    let mut found = BTreeMap::new();
    for path in &paths {
        match prepared(ground, path)? {
            Ok((file, _)) => drop(found.insert(file.pipeline.value.clone(), Some(file))),
            Err(more) => {
                let stem = path.file_name().map(|n| n.to_string_lossy().replace(".test.yaml", "")).unwrap_or_default();
                lines.extend(more);
                found.insert(stem, None);
            }
        }
    }
    Ok(found)
}

/// What `--strict` refuses: scenario files by the pipeline that they name.
pub fn untested(setup: &Setup, scenarios: &BTreeMap<String, Option<ScenarioFile>>) -> Vec<String> {
    let mut lines = Vec::new();
    for pipeline in &setup.pipelines {
        let file = &pipeline.file;
        let stem = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".yaml");
        let Some(scenario) = scenarios.get(stem) else {
            lines.push(format!("{file}:1:1: no scenarios: write {}", file.replace(".yaml", ".test.yaml")));
            continue;
        };
        let Some(scenario) = scenario else { continue };
        for rule in &pipeline.rules {
            let expects = || scenario.tests.iter().map(|t| &t.expect);
            let fires = |to: Condition| expects().flat_map(|e| &e.alerts).any(|a| a.alert.value == rule.name && a.to == to);
            if !fires(Condition::Firing) {
                lines.push(format!("{}:1:1: no test expects alert `{}` to fire", scenario.path, rule.name));
            }
            if !expects().flat_map(|e| &e.no_alerts).any(|name| name.value == rule.name) {
                lines.push(format!("{}:1:1: no test has alert `{}` under `no_alerts`", scenario.path, rule.name));
            }
        }
    }
    lines
}
