//! What the province knows of itself, as files in one folder: areas, sources, sectors, calendar, indicators, names.
//!
//! Owns the file formats under `registry/` and the [`Registry`] they make.
//! Refuses to know: the clock, events, where the files came from ([`read_dir`] is the only I/O and lives apart, in `files`).
//!
//! Invariants
//! 1. `parse` is a function of names and texts: the same files give the same registry, the same errors in the same order, the same hash.
//! 2. Either a registry without a known fault, or all faults that could be found, each with file, place, reason and next step.
//! 3. A folder with only `areas/*.geojson` is a registry; so is an empty one (no areas, no sources).
//!
//! Called by: `cli` (check, run, areas), `ingest` and `engine` (areas, expected sources), `server` (maps, names).

mod areas;
mod calendar;
mod decode;
mod error;
mod files;
mod indicators;
mod locate_points;
mod names;
mod sectors;
mod source_files;
mod sources;
#[cfg(test)]
mod tests;

pub use areas::Straddle;
pub use calendar::{Calendar, Holiday, Limits, Shift};
pub use error::FileError;
pub use files::read_dir;
pub use indicators::{Baseline, Direction, Indicator, Indicators, Target};
pub use locate_points::{LocateError, locate_points};
pub use names::{Name, Names};
pub use sectors::Sector;
pub use sources::{Attribute, Source, Sources};

use crate::geo::{AreaId, AreaIndex};
use crate::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Texts by path relative to the registry's folder, with `/` between names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RegistryFiles {
    pub files: BTreeMap<String, String>,
}

impl RegistryFiles {
    /// SHA-256 (64 hex digits) over names and texts in the order of names, each with its length before it.
    pub fn hash(&self) -> String {
        let mut sha = Sha256::new();
        for part in self.files.iter().flat_map(|(name, text)| [name, text]) {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part.as_bytes());
        }
        sha.finalize().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    pub areas: AreaIndex,
    /// Communes over two groups, and to which each was given.
    pub straddles: Vec<Straddle>,
    pub sources: Sources,
    /// In the order of the file.
    pub sectors: Vec<Sector>,
    pub calendar: Calendar,
    pub indicators: Indicators,
    pub names: Names,
    /// [`RegistryFiles::hash`] of the files it was made from.
    pub hash: String,
}

impl Registry {
    pub fn parse(files: &RegistryFiles) -> Result<Registry, Vec<FileError>> {
        let mut errors = Vec::new();
        let areas = areas::decode_areas(files, &mut errors);
        Registry::parse_around(files, areas, errors)
    }

    /// The registry of other files whose areas are the same.
    pub fn with(&self, files: &RegistryFiles) -> Result<Registry, Vec<FileError>> {
        Registry::parse_around(files, Some((self.areas.clone(), self.straddles.clone())), Vec::new())
    }

    fn parse_around(
        files: &RegistryFiles,
        areas: Option<(AreaIndex, Vec<Straddle>)>,
        mut errors: Vec<FileError>,
    ) -> Result<Registry, Vec<FileError>> {
        let sectors = sectors::decode_sectors(files, &mut errors);
        let drafts = source_files::decode_source_files(files, &mut errors);
        let known = sources::Known { areas: areas.as_ref().map(|(index, _)| index), sectors: sectors.as_deref() };
        let sources = sources::check_sources(drafts, &known, &mut errors);
        let calendar = calendar::decode_calendar(files, &mut errors);
        let indicators = indicators::decode_indicators(files, areas.as_ref().map(|(index, _)| index), &mut errors);
        let mut names = names::decode_names(files, &mut errors);
        names.add("indicator", indicators.iter().map(|i| (i.code.clone(), Name { vi: i.name_vi.clone(), en: i.name_en.clone() })));
        match (areas, errors.is_empty()) {
            (Some((areas, straddles)), true) => {
                let (sectors, hash) = (sectors.unwrap_or_default(), files.hash());
                Ok(Registry { areas, straddles, sources, sectors, calendar, indicators, names, hash })
            }
            _ => Err(errors),
        }
    }

    pub fn sector(&self, code: &str) -> Option<&Sector> {
        self.sectors.iter().find(|s| s.code == code)
    }

    /// The Vietnamese and the English word for a value of a tag: as `names` has it, else the name of the area that a unit is.
    pub fn word(&self, tag: &str, code: &str, at: Timestamp) -> Option<(&str, &str)> {
        if let Some(name) = self.names.get(tag, code) {
            return Some((&name.vi, &name.en));
        }
        let area = if tag == "unit" { self.areas.by_code(code, at) } else { None };
        area.map(|id| self.areas.area(id).name.as_str()).map(|name| (name, name))
    }

    /// The level of a unit that is an area.
    fn level_of(&self, unit: &str, at: Timestamp) -> Option<&str> {
        self.areas.by_code(unit, at).map(|id| self.areas.area(id).level.as_str())
    }

    /// See [`Indicators::target`].
    pub fn target(&self, code: &str, who: &str, at: Timestamp) -> Option<f64> {
        self.indicators.target(code, who, self.level_of(who, at), at)
    }

    /// See [`Indicators::pace`].
    pub fn pace(&self, code: &str, who: &str, at: Timestamp) -> Option<f64> {
        self.indicators.pace(code, who, self.level_of(who, at), at)
    }

    /// The area of a source at a time: the one it names, else the finest that holds its position.
    pub fn area_of_source(&self, source: &Source, at: Timestamp) -> Option<AreaId> {
        match (&source.area, source.position) {
            (Some(code), _) => self.areas.by_code(code, at),
            (None, Some((lon, lat))) => self.areas.locate(lon, lat, at),
            (None, None) => None,
        }
    }
}
