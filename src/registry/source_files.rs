//! `sources/*.csv` and `sources/*.yaml` as drafts of sources.
//!
//! CSV: columns id, type (several with a space between), kind, name_vi, name_en, lon, lat, area, sector, cadence, valid_from, valid_to; id and type are required;
//! every other column is an attribute, a number where the cell is one. YAML: `sources`, a list of the same keys, and `attributes`, a map.
//!
//! Owns: the two formats and their columns. Refuses to know: whether what stands there makes sense (`sources` checks).
//!
//! Invariants
//! 1. Files in the order of names, rows in the order of lines.
//! 2. A cell is a number when it is a plain decimal: "007", "+1", "1e5" and "" are not.
//!
//! Called by: `Registry::parse`.

use super::RegistryFiles;
use super::decode::{Row, decode_csv, decode_yaml};
use super::error::{FileError, Place};
use super::sources::{Attribute, Draft};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

pub(super) fn decode_source_files(files: &RegistryFiles, errors: &mut Vec<FileError>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (file, text) in files.files.iter().filter(|(file, _)| file.starts_with("sources/")) {
        if file.ends_with(".csv") {
            let rows = decode_csv(file, text, &["id", "type"], errors);
            drafts.extend(rows.into_iter().map(|row| draft_of_row(file, row)));
        } else if file.ends_with(".yaml") || file.ends_with(".yml") {
            match decode_yaml::<SourcesFile>(file, text) {
                Ok(read) => drafts.extend(read.sources.into_iter().map(|entry| entry.into_draft(file))),
                Err(e) => errors.push(e),
            }
        }
    }
    drafts
}

fn draft_of_row(file: &str, mut row: Row) -> Draft {
    Draft {
        file: file.to_string(),
        place: Place::line(row.line),
        id: row.take("id"),
        types: row
            .take("type")
            .map(|types| types.split([' ', ';', '|']).filter(|t| !t.is_empty()).map(str::to_string).collect())
            .unwrap_or_default(),
        kind: row.take("kind"),
        name_vi: row.take("name_vi"),
        name_en: row.take("name_en"),
        lon: row.take("lon"),
        lat: row.take("lat"),
        area: row.take("area"),
        sector: row.take("sector"),
        cadence: row.take("cadence"),
        valid_from: row.take("valid_from"),
        valid_to: row.take("valid_to"),
        attributes: row.cells.into_iter().map(|(column, cell)| (column, attribute(cell))).collect(),
    }
}

fn attribute(cell: String) -> Attribute {
    let digits = cell.strip_prefix('-').unwrap_or(&cell);
    let whole = digits.split('.').next().unwrap_or_default();
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !whole.is_empty() && (whole == "0" || !whole.starts_with('0'));
    match cell.parse::<f64>() {
        Ok(number) if plain && number.is_finite() => Attribute::Number(number),
        _ => Attribute::Text(cell),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourcesFile {
    sources: Vec<SourceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceEntry {
    id: Spanned<String>,
    #[serde(rename = "type")]
    of_type: OneOrMore,
    kind: Option<String>,
    name_vi: Option<String>,
    name_en: Option<String>,
    lon: Option<f64>,
    lat: Option<f64>,
    area: Option<String>,
    sector: Option<String>,
    cadence: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, Attribute>,
    valid_from: Option<String>,
    valid_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl SourceEntry {
    fn into_draft(self, file: &str) -> Draft {
        Draft {
            file: file.to_string(),
            place: Place::from(self.id.referenced),
            id: Some(self.id.value).filter(|id| !id.is_empty()),
            types: match self.of_type {
                OneOrMore::One(of_type) => vec![of_type],
                OneOrMore::More(types) => types,
            },
            kind: self.kind,
            name_vi: self.name_vi,
            name_en: self.name_en,
            lon: self.lon.map(|v| v.to_string()),
            lat: self.lat.map(|v| v.to_string()),
            area: self.area,
            sector: self.sector,
            cadence: self.cadence,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            attributes: self.attributes,
        }
    }
}
