//! Every scenario beside the shipped pipelines, through the same functions as `ioc test` and `ioc check --strict`.

use ioc::cli::check::untested;
use ioc::cli::test::{prepared, scenario_files, told};
use ioc::definitions::{Definitions, Ground};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

#[test]
fn every_scenario_of_the_shipped_pipelines_is_met_and_every_alert_has_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [pipelines, schemas, registry] = ["pipelines", "schemas", "registry"].map(|folder| root.join(folder));
    let definitions = Definitions::read(&pipelines, Some(&schemas), Some(&registry)).unwrap();
    let all = definitions.compile(None).unwrap_or_else(|m| panic!("{m}"));
    let ground = Ground::on(definitions, all.registry.clone()).unwrap_or_else(|m| panic!("{m}"));
    let mut said = String::new();
    let mut found = BTreeMap::new();
    for path in scenario_files(&pipelines).unwrap() {
        match prepared(&ground, &path).unwrap() {
            Ok((file, setup)) => {
                let outcomes = file.run(&Arc::new(setup));
                if outcomes.iter().any(|o| !o.failures.is_empty()) {
                    said += &told(&path, &outcomes);
                }
                found.insert(file.pipeline.value.clone(), Some(file));
            }
            Err(mistakes) => said += &(mistakes.join("\n") + "\n"),
        }
    }
    said += &untested(&all, &found).join("\n");
    assert!(said.is_empty(), "\n{said}");
}
