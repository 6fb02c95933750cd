//! What is wrong in a file, where, and what to do about it.
//!
//! Owns: faults and how they are told. Refuses to know: what the files are for.
//!
//! Invariants
//! 1. `line` and `column` count from 1; `None` where the place is not known (a GeoJSON feature is named in `what` instead).
//!
//! Called by: all of `registry`.

use crate::geo::AreaError;

/// One fault. `Display`: `file:line:column: what; next`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}{}: {what}; {next}", self.place())]
pub struct FileError {
    /// Path relative to the registry's folder.
    pub file: String,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub what: String,
    pub next: String,
}

impl FileError {
    pub(super) fn new(file: &str, place: Place, what: impl Into<String>, next: impl Into<String>) -> Self {
        FileError { file: file.to_string(), line: place.line, column: place.column, what: what.into(), next: next.into() }
    }

    fn place(&self) -> String {
        let number = |n: Option<u32>| n.map(|n| format!(":{n}")).unwrap_or_default();
        number(self.line) + &number(self.column)
    }
}

impl From<AreaError> for FileError {
    fn from(e: AreaError) -> Self {
        let what = format!("{}{}", e.prefix(), e.problem);
        FileError::new(&e.file, Place { line: e.line, column: e.column }, what, e.problem.next())
    }
}

/// A place in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    pub line: Option<u32>,
    pub column: Option<u32>,
}

impl Place {
    pub const NONE: Place = Place { line: None, column: None };

    pub fn line(line: u64) -> Place {
        Place { line: Some(line as u32), column: None }
    }
}

impl From<serde_saphyr::Location> for Place {
    fn from(at: serde_saphyr::Location) -> Self {
        let known = |n: u64| (n > 0).then_some(n as u32);
        Place { line: known(at.line()), column: known(at.column()) }
    }
}

/// " (did you mean X?)" for the nearest of the candidates, or nothing.
pub(super) fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = candidates.into_iter().map(|c| (strsim::osa_distance(word, c), c)).filter(|(d, c)| *d <= 1 + c.chars().count() / 4);
    near.min().map(|(_, c)| format!(" (did you mean {c}?)")).unwrap_or_default()
}
