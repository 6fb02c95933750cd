//! `ioc schema KIND`: JSON Schemas of the files that people write, for their editors.
//!
//! Owns: [`KINDS`] and the texts under schemas/. Refuses to know: how the files are read; a test holds each schema against its reader.
//!
//! Invariants
//! 1. What the program takes, its schema takes; keys that a reader does not know are not in its schema, and the other way round.
//!
//! Called by: cli, tests.

use super::CliError;
use clap::Args;
use std::io::Write;

/// Kind, where such files lie, JSON Schema 2020-12.
pub const KINDS: [(&str, &str, &str); 9] = [
    ("pipeline", "pipelines/*.yaml", include_str!("schemas/pipeline.json")),
    ("map", "pipelines/*.map.yaml", include_str!("schemas/map.json")),
    ("scenario", "pipelines/*.test.yaml", include_str!("schemas/scenario.json")),
    ("registry-sources", "registry/sources/*.yaml", include_str!("schemas/registry-sources.json")),
    ("registry-sectors", "registry/sectors.yaml", include_str!("schemas/registry-sectors.json")),
    ("registry-layers", "registry/areas/layers.yaml", include_str!("schemas/registry-layers.json")),
    ("registry-groups", "registry/areas/groups.yaml", include_str!("schemas/registry-groups.json")),
    ("registry-calendar", "registry/calendar.yaml", include_str!("schemas/registry-calendar.json")),
    ("registry-indicators", "registry/indicators.yaml", include_str!("schemas/registry-indicators.json")),
];

#[derive(Args)]
pub struct SchemaArgs {
    /// Without it: which kinds there are.
    kind: Option<String>,
}

pub fn schema(args: &SchemaArgs) -> Result<(), CliError> {
    // a reader that has seen enough (`| head`) is no failure
    let show = |text: &str| drop(std::io::stdout().write_all(text.as_bytes()));
    let Some(kind) = &args.kind else {
        show(&KINDS.iter().map(|(kind, files, _)| format!("{kind:<20} {files}\n")).collect::<String>());
        return Ok(());
    };
    let found = KINDS.iter().find(|(name, ..)| name == kind).ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|(name, ..)| *name).collect();
        CliError::Usage(format!("no file is of the kind {kind:?}: write {}", names.join(", ")))
    })?;
    show(found.2);
    Ok(())
}
