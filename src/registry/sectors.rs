//! `sectors.yaml`: the axis of departments.
//!
//! Owns: that file and its types. Refuses to know: rights, sources.
//!
//! Invariants
//! 1. A sector's code stands once.
//!
//! Called by: `Registry::parse`.

use super::RegistryFiles;
use super::decode::decode_yaml;
use super::error::{FileError, Place};
use serde::Deserialize;
use serde_saphyr::Spanned;

const FILE: &str = "sectors.yaml";

/// A department's field: traffic, environment, public service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sector {
    pub code: String,
    pub name_vi: String,
    /// The Vietnamese name where the file gives no English one.
    pub name_en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectorsFile {
    sectors: Vec<SectorEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectorEntry {
    code: Spanned<String>,
    name_vi: String,
    name_en: Option<String>,
}

/// `None` without the file (or when it cannot be read): then nobody can check sectors against it.
pub(super) fn decode_sectors(files: &RegistryFiles, errors: &mut Vec<FileError>) -> Option<Vec<Sector>> {
    let text = files.files.get(FILE)?;
    let entries = match decode_yaml::<SectorsFile>(FILE, text) {
        Ok(file) => file.sectors,
        Err(e) => {
            errors.push(e);
            return None;
        }
    };
    let mut sectors: Vec<Sector> = Vec::new();
    for SectorEntry { code, name_vi, name_en } in entries {
        if sectors.iter().any(|s| s.code == code.value) {
            errors.push(FileError::new(FILE, Place::from(code.referenced), format!("sector {} stands twice", code.value), "remove one"));
            continue;
        }
        sectors.push(Sector { code: code.value, name_en: name_en.unwrap_or_else(|| name_vi.clone()), name_vi });
    }
    Some(sectors)
}
