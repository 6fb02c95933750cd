//! The words of this module as types: areas, groups, succession, layers, and what can be wrong with them.
//!
//! Owns: those types and the words of their errors. Refuses to know: geometry algorithms, file formats.
//!
//! Invariants
//! 1. A code alone does not name an area; (code, valid_from) does.
//! 2. Every error names the file, the feature where there is one, the reason and the next step.
//!
//! Called by: the other files of `geo`, and `registry`.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Index of an area in its [`super::AreaIndex`]: dense, from 0, layers in rank order and features in file order, groups last.
/// It means nothing outside that index: what is stored or sent names areas by code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AreaId(pub u32);

/// An administrative unit, or a group of units, in force from `valid_from` to before `valid_to`.
#[derive(Clone, PartialEq, Debug)]
pub struct Area {
    /// Official code as text (leading zeros count).
    pub code: String,
    /// A word of the data ("province", "commune"); never interpreted by code.
    pub level: String,
    /// Full name with diacritics.
    pub name: String,
    /// Another spelling (Hoà, Hòa), or a group's English name.
    pub alt_name: Option<String>,
    /// Code of the parent as the file gives it; it may name an area that the index does not have.
    pub parent: Option<String>,
    /// First instant in force; `None`: always was.
    pub valid_from: Option<Timestamp>,
    /// First instant no longer in force; `None`: no end known.
    pub valid_to: Option<Timestamp>,
    /// Index into [`super::AreaIndex::layers`] of the finest layer that draws it; `None` for a group.
    pub layer: Option<u16>,
}

impl Area {
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.starts() <= at && at < self.ends()
    }

    pub fn is_group(&self) -> bool {
        self.layer.is_none()
    }

    pub(super) fn starts(&self) -> Timestamp {
        self.valid_from.unwrap_or(Timestamp::MIN)
    }

    pub(super) fn ends(&self) -> Timestamp {
        self.valid_to.unwrap_or(OPEN_END)
    }

    pub(super) fn overlaps(&self, other: &Area) -> bool {
        self.starts() < other.ends() && other.starts() < self.ends()
    }
}

/// After [`Timestamp::MAX`], so that an area without an end is in force even there.
pub(super) const OPEN_END: Timestamp = Timestamp(i64::MAX);

/// A set of areas under one code: a former district as its communes. The group itself is an [`Area`] without geometry.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    pub id: AreaId,
    pub name_en: Option<String>,
    /// Ordered.
    pub members: Vec<AreaId>,
}

/// A group as declared.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GroupInput {
    /// Where it was declared, for errors.
    pub file: String,
    pub code: String,
    pub level: String,
    pub name_vi: String,
    pub name_en: Option<String>,
    pub parent: Option<String>,
    /// Codes of areas; of several areas with one code, those in force at some time within the group's own.
    pub members: Vec<String>,
    pub valid_from: Option<Timestamp>,
    pub valid_to: Option<Timestamp>,
}

/// How much of an area went to its successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    Whole,
    Part,
}

/// `from` became (part of) `to` on `date`.
#[derive(Clone, PartialEq, Debug)]
pub struct Succession {
    /// Code before `date`; often of an area that the index does not have.
    pub from: String,
    pub from_name: Option<String>,
    /// Code from `date` on.
    pub to: String,
    /// Share of `from` that went to `to`, 0..=1; `None`: not known.
    pub share: Option<f64>,
    pub relation: Relation,
    pub date: Timestamp,
}

/// A layer as it is known after the build.
#[derive(Clone, PartialEq, Debug)]
pub struct Layer {
    pub name: String,
    pub file: String,
    /// Points that no area holds go to the nearest area within so many metres.
    pub nearest_m: Option<f64>,
    pub licence: Option<String>,
    pub attribution: Option<String>,
}

/// One layer of polygons: GeoJSON (RFC 7946), a FeatureCollection of Polygon and MultiPolygon features.
///
/// Properties read: `code` (else `id`, else the feature's own id), `level` (else the layer's, else `area`), `name` (else the code),
/// `alt_name`, `parent`, `valid_from`, `valid_to` (YYYY-MM-DD).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LayerInput {
    pub name: String,
    pub file: String,
    pub geojson_text: String,
    /// Level of features that state none.
    pub level: Option<String>,
    pub nearest_m: Option<f64>,
    pub licence: Option<String>,
    pub attribution: Option<String>,
}

/// Midnight at +07:00 (Asia/Ho_Chi_Minh since 1975) of YYYY-MM-DD, or an RFC 3339 instant as it is. `None` for anything else.
pub fn date_at_midnight(text: &str) -> Option<Timestamp> {
    if text.len() == 10 {
        return Timestamp::parse_rfc3339(format!("{text}T00:00:00+07:00").as_bytes());
    }
    Timestamp::parse_rfc3339(text.as_bytes())
}

/// Something wrong in a layer, a group or a succession.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{file}: {}{problem}; {}", self.prefix(), problem.next())]
pub struct AreaError {
    pub file: String,
    /// Code, else number (from 1) of the feature, group or edge.
    pub feature: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub problem: AreaProblem,
}

impl AreaError {
    pub(super) fn new(file: &str, feature: Option<&str>, problem: AreaProblem) -> Self {
        AreaError { file: file.to_string(), feature: feature.map(str::to_string), line: None, column: None, problem }
    }

    /// "area 24611: " or nothing.
    pub fn prefix(&self) -> String {
        self.feature.as_ref().map(|f| format!("area {f}: ")).unwrap_or_default()
    }
}

#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum AreaProblem {
    #[error("not GeoJSON: {0}")]
    NotGeoJson(String),
    #[error("no code")]
    NoCode,
    #[error("{0} is {1}, not text")]
    NotText(&'static str, String),
    #[error("{0} {1:?} is no date")]
    BadDate(&'static str, String),
    #[error("valid_to is not after valid_from")]
    EmptyTime,
    #[error("geometry is {0}, not Polygon or MultiPolygon")]
    NotPolygon(String),
    #[error("geometry is not valid: {0}")]
    InvalidGeometry(String),
    #[error("position {0}, {1} is not a longitude and a latitude in degrees")]
    OutOfRange(f64, f64),
    #[error("the same code and valid_from stand twice in this layer")]
    Twice,
    #[error("{0} differs from that of the same area in layer {1}")]
    Differs(&'static str, String),
    #[error("in force at the same time as another area of this code ({0})")]
    Overlap(String),
    #[error("is its own ancestor")]
    Cycle,
    #[error("level {0:?} is not among the declared levels")]
    UnknownLevel(String),
    #[error("member {0} is no area in force during the group's time")]
    UnknownMember(String),
    #[error("two layers have the name {0}")]
    LayerTwice(String),
}

impl AreaProblem {
    /// What to do about it.
    pub fn next(&self) -> &'static str {
        use AreaProblem::*;
        match self {
            NotGeoJson(_) => "give a GeoJSON FeatureCollection (RFC 7946)",
            NoCode => "give the feature a property code",
            NotText(..) => "put it in quotes",
            BadDate(..) => "write YYYY-MM-DD",
            EmptyTime => "valid_to is the first day no longer in force: mend one of the two",
            NotPolygon(_) => "give areas as polygons and leave other features out",
            InvalidGeometry(_) => "repair the polygon (for example with shapely make_valid)",
            OutOfRange(..) => "give WGS 84, longitude first",
            Twice => "remove one, or give them different valid_from",
            Differs(..) => "make the layers agree, or give the areas different valid_from",
            Overlap(_) => "let the earlier one end (valid_to) where the later begins (valid_from)",
            Cycle => "mend the parents",
            UnknownLevel(_) => "add it to levels in areas/layers.yaml, coarse to deep",
            UnknownMember(_) => "check the code and the group's dates",
            LayerTwice(_) => "rename one in areas/layers.yaml",
        }
    }
}
