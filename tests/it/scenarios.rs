//! Every scenario beside the shipped pipelines, through the same functions as `ioc test`.

use ioc::cli::test::{run_file, scenario_files, told};
use ioc::definitions::{Definitions, Ground};
use std::path::Path;

#[test]
fn every_scenario_of_the_shipped_pipelines_is_met() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [pipelines, schemas, registry] = ["pipelines", "schemas", "registry"].map(|folder| root.join(folder));
    let ground = Ground::new(Definitions::read_ground(&schemas, &registry).unwrap()).unwrap_or_else(|m| panic!("{m}"));
    let files = scenario_files(&pipelines).unwrap();
    assert!(files.len() >= 3);
    let mut said = String::new();
    for path in files {
        match run_file(&ground, &path).unwrap() {
            Ok(outcomes) if outcomes.iter().all(|o| o.failures.is_empty()) => {}
            Ok(outcomes) => said += &told(&path, &outcomes),
            Err(mistakes) => said += &(mistakes.join("\n") + "\n"),
        }
    }
    assert!(said.is_empty(), "\n{said}");
}
