//! `ioc test`: scenarios in simulated time.
//!
//! Owns: which files are run, what is printed, when they are run again. Refuses to know: what a scenario is.
//!
//! Invariants
//! 1. Exit code 0 if every test is met, 1 if one is not, 2 where a file has mistakes.
//! 2. A failure begins with `file:line:column`, what came is indented below it.
//!
//! Called by: cli.

use super::{CliError, Folders};
use crate::definitions::{Definitions, Ground};
use crate::driver::wall_clock;
use crate::scenario::{Outcome, ScenarioFile};
use crate::settings::Settings;
use clap::Args;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[derive(Args)]
pub struct TestArgs {
    #[command(flatten)]
    folders: Folders,
    /// Scenario files; else every *.test.yaml of the folder of pipelines. The pipeline that a file names lies beside it.
    files: Vec<PathBuf>,
    /// Run again whenever a file changes, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(300);

pub fn test(mut settings: Settings, args: &TestArgs) -> Result<i32, CliError> {
    args.folders.apply(&mut settings);
    if !args.watch {
        return run_all(&settings, &args.files);
    }
    let mut seen = None;
    loop {
        let now = fingerprint(&settings, &args.files);
        if seen.as_ref() != Some(&now) {
            if std::io::stdout().is_terminal() {
                // clears the screen, as watchers do
                print!("\x1b[2J\x1b[H");
            }
            if let Err(error) = run_all(&settings, &args.files) {
                eprintln!("ioc: {error}");
            }
            println!("Waiting for a change; Ctrl-C ends.");
            seen = Some(now);
        }
        std::thread::sleep(LOOK);
    }
}

/// Every file that a result depends on, with its time and length.
fn fingerprint(settings: &Settings, files: &[PathBuf]) -> BTreeMap<PathBuf, (Option<SystemTime>, u64)> {
    fn walk(path: &Path, depth: usize, out: &mut BTreeMap<PathBuf, (Option<SystemTime>, u64)>) {
        let Ok(about) = std::fs::metadata(path) else { return };
        if about.is_file() {
            out.insert(path.to_owned(), (about.modified().ok(), about.len()));
        } else if depth < 8 {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.for_each(|entry| walk(&entry.path(), depth + 1, out));
        }
    }
    let mut out = BTreeMap::new();
    [&settings.pipelines, &settings.schemas, &settings.registry].into_iter().for_each(|folder| walk(folder, 0, &mut out));
    files.iter().for_each(|file| walk(file.parent().unwrap_or(Path::new(".")), 7, &mut out));
    out
}

fn run_all(settings: &Settings, files: &[PathBuf]) -> Result<i32, CliError> {
    let files = if files.is_empty() { scenario_files(&settings.pipelines)? } else { files.to_vec() };
    if files.is_empty() {
        let folder = settings.pipelines.display();
        return Err(CliError::Usage(format!("no *.test.yaml in {folder}; write one beside a pipeline (docs/scenarios.md)")));
    }
    let began = wall_clock();
    let ground = Ground::new(Definitions::read_ground(&settings.schemas, &settings.registry)?).map_err(CliError::Mistakes)?;
    let ready = wall_clock();
    let (mut tests, mut failed, mut mistakes) = (0, 0, 0);
    for path in &files {
        match run_file(&ground, path)? {
            Ok(outcomes) => {
                tests += outcomes.len();
                failed += outcomes.iter().filter(|o| !o.failures.is_empty()).count();
                print!("{}", told(path, &outcomes));
            }
            Err(lines) => {
                mistakes += lines.len();
                lines.iter().for_each(|line| eprintln!("{line}"));
            }
        }
    }
    let (read, ran) = (ready - began, wall_clock() - ready);
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    println!(
        "{} in {}: {} passed, {failed} failed; {} ms, and {} ms to read schemas and registry",
        count(tests, "test"),
        count(files.len(), "file"),
        tests - failed,
        ran.millis(),
        read.millis()
    );
    if mistakes > 0 {
        eprintln!("{mistakes} {} in scenario files.", if mistakes == 1 { "mistake" } else { "mistakes" });
    }
    Ok(if mistakes > 0 { 2 } else { i32::from(failed > 0) })
}

/// Every `*.test.yaml` of a folder, in the order of names.
pub fn scenario_files(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = std::fs::read_dir(folder).map_err(|e| CliError::io("read", folder, e))?;
    let paths = entries.filter_map(|e| Some(e.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(|p| p.to_string_lossy().ends_with(".test.yaml")).collect();
    files.sort();
    Ok(files)
}

/// The outcomes of one file, or the lines that say what is wrong with it.
pub fn run_file(ground: &Ground, path: &Path) -> Result<Result<Vec<Outcome>, Vec<String>>, CliError> {
    Ok(prepared(ground, path)?.map(|(file, setup)| file.run(&Arc::new(setup))))
}

type Prepared = Result<(ScenarioFile, crate::engine::setup::Setup), Vec<String>>;

/// A scenario file and the setup of the pipeline beside it.
pub fn prepared(ground: &Ground, path: &Path) -> Result<Prepared, CliError> {
    let text = std::fs::read_to_string(path).map_err(|e| CliError::io("read", path, e))?;
    let name = path.to_string_lossy();
    let file = match ScenarioFile::read(&text, &name) {
        Ok(file) => file,
        Err(mistakes) => return Ok(Err(mistakes.iter().map(ToString::to_string).collect())),
    };
    let beside = path.with_file_name(format!("{}.yaml", file.pipeline.value));
    let Ok(pipeline) = std::fs::read_to_string(&beside) else {
        let at = file.pipeline.at;
        let what = format!("{name}:{}:{}: there is no {} beside this file", at.line, at.column, beside.display());
        return Ok(Err(vec![what]));
    };
    let setup = match ground.setup(&beside.to_string_lossy(), &pipeline, &name, &file.sources) {
        Ok(setup) => setup,
        Err(mistakes) => return Ok(Err(mistakes.0)),
    };
    let mistakes = file.check(&setup);
    Ok(if mistakes.is_empty() { Ok((file, setup)) } else { Err(mistakes.iter().map(ToString::to_string).collect()) })
}

/// One line for a file whose tests are all met; else each failure with what came.
pub fn told(path: &Path, outcomes: &[Outcome]) -> String {
    let name = path.display();
    let failed = outcomes.iter().filter(|o| !o.failures.is_empty());
    let mut out = String::new();
    for outcome in failed.clone() {
        out += &format!("FAILED {name}:{}:{}: {}\n", outcome.at.line, outcome.at.column, outcome.name);
        for failure in &outcome.failures {
            out += &format!("  {name}:{}:{}: {}\n", failure.at.line, failure.at.column, failure.what);
            out += if failure.came.is_empty() { "" } else { "    what came:\n" };
            failure.came.iter().for_each(|line| out += &format!("      {line}\n"));
        }
    }
    if failed.count() == 0 {
        let events: usize = outcomes.iter().map(|o| o.events).sum();
        out += &format!("ok     {name}: {} tests, {events} events\n", outcomes.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { pipelines: folder.path().to_owned(), ..Settings::default() };
        let file = folder.path().join("a.test.yaml");
        let before = fingerprint(&settings, &[]);
        std::fs::write(&file, "a").unwrap();
        let with = fingerprint(&settings, &[]);
        std::fs::write(&file, "ab").unwrap();
        let longer = fingerprint(&settings, &[]);
        assert!(before != with && with != longer && longer == fingerprint(&settings, &[]));
    }
}
