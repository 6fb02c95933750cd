//! `ioc schema KIND`: JSON Schemas of the files that people write, for their editors.
//!
//! Owns: [`KINDS`] and the texts under schemas/, the reference page made from them. Refuses to know: how the files are read; a test holds each schema against its reader.
//!
//! Invariants
//! 1. What the program takes, its schema takes; keys that a reader does not know are not in its schema, and the other way round.
//!
//! Called by: cli, tests.

use super::CliError;
use clap::Args;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;

/// Kind, where such files lie, JSON Schema 2020-12.
pub const KINDS: [(&str, &str, &str); 10] = [
    ("pipeline", "pipelines/*.yaml", include_str!("schemas/pipeline.json")),
    ("map", "pipelines/*.map.yaml", include_str!("schemas/map.json")),
    ("scenario", "pipelines/*.test.yaml", include_str!("schemas/scenario.json")),
    ("registry-sources", "registry/sources/*.yaml", include_str!("schemas/registry-sources.json")),
    ("registry-sectors", "registry/sectors.yaml", include_str!("schemas/registry-sectors.json")),
    ("registry-names", "registry/names.yaml", include_str!("schemas/registry-names.json")),
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

/// docs/files.md: every key of every kind of file, from [`KINDS`].
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Every key of every file\n\nMade from the schemas of `ioc schema`, which are held against the readers of these files; a difference fails the tests. \
         What the keys are for: [pipelines](pipelines.md), [rules](rules.md), [cases](cases.md), [scenarios](scenarios.md), \
         [registry](../registry/README.md).\n",
    );
    for (kind, files, text) in KINDS {
        page += &format!("\n## {kind}\n\n`{files}`; for an editor: `ioc schema {kind}`\n");
        // the texts are ours: a test reads each of them
        let schema: Value = serde_json::from_str(text).unwrap_or_default();
        table(&schema, &mut page);
        for (name, part) in schema["$defs"].as_object().into_iter().flatten().filter(|(_, part)| has_keys(part)) {
            page += &format!("\n### {kind}: {name}\n");
            table(part, &mut page);
        }
    }
    page
}

fn has_keys(part: &Value) -> bool {
    part["properties"].is_object() || alternatives(part).any(|a| a["properties"].is_object())
}

fn alternatives(part: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].into_iter().flat_map(|word| part[word].as_array().into_iter().flatten())
}

fn table(part: &Value, page: &mut String) {
    if part["properties"].is_object() {
        *page += "\n| key | | meaning |\n|---|---|---|\n";
        rows(part, "", page);
    }
    for alternative in alternatives(part).filter(|a| a["properties"].is_object()) {
        *page += &format!("\n{}\n\n| key | | meaning |\n|---|---|---|\n", alternative["title"].as_str().unwrap_or("or"));
        rows(alternative, "", page);
    }
}

/// A key a row; the keys of objects in it below it, as "working_hours[].from".
fn rows(part: &Value, above: &str, page: &mut String) {
    let required: BTreeSet<&str> = part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, of) in part["properties"].as_object().into_iter().flatten() {
        let must = if required.contains(key.as_str()) { ", required" } else { "" };
        let meaning = of["description"].as_str().unwrap_or("").replace('|', "\\|");
        *page += &format!("| `{above}{key}` | {}{must} | {meaning} |\n", kind_of(of));
        let inner = if of["items"].is_object() { (&of["items"], format!("{above}{key}[].")) } else { (of, format!("{above}{key}.")) };
        rows(inner.0, &inner.1, page);
        for (pattern, of) in of["patternProperties"].as_object().into_iter().flatten() {
            let inner = if of["items"].is_object() { &of["items"] } else { of };
            rows(inner, &format!("{above}{key}.{}[].", pattern.trim_matches(['^', '$'])), page);
        }
    }
}

fn kind_of(of: &Value) -> String {
    if let Some(target) = of["$ref"].as_str() {
        return format!("*{}*", target.rsplit('/').next().unwrap_or(target));
    }
    if let Some(values) = of["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|v| format!("`{}`", v.as_str().map_or(v.to_string(), str::to_owned))).collect();
        return values.join(" or ");
    }
    if !of["const"].is_null() {
        return format!("`{}`", of["const"]);
    }
    let either: Vec<String> = alternatives(of).map(kind_of).collect();
    if !either.is_empty() {
        return either.join(" or ");
    }
    let name = |word: &str| match word {
        "string" if of["pattern"].as_str().is_some_and(|p| p.contains("ms|s|m|h")) => "span".to_owned(),
        "string" => "text".to_owned(),
        "array" => format!("list of {}", kind_of(&of["items"])),
        other => other.to_owned(),
    };
    match &of["type"] {
        Value::String(word) => name(word),
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(name).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}
