//! [`Sources`]: who sends events, where they stand, how often they should be heard.
//!
//! Owns: the list of sources by id and time. Refuses to know: files, events, silence rules. A source that is not registered is not its business.
//!
//! Invariants
//! 1. Two sources of one id are never in force at once.
//! 2. Iteration is by id, then `valid_from`; the hash table is for `get` only.
//!
//! Called by: `source_files` (drafts), `engine` (expected sources, attributes), `ingest` (positions), `server` (lists).

use super::error::{FileError, Place, suggestion};
use super::sectors::Sector;
use crate::geo::{AreaIndex, date_at_midnight};
use crate::time::{Span, Timestamp};
use hashbrown::HashMap;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A number or a text of a source: flood level, lane.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    Number(f64),
    Text(String),
}

/// One registered source, in force from `valid_from` to before `valid_to`.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// The `source` attribute of its events.
    pub id: String,
    /// CloudEvents types that it sends; at least one.
    pub types: Vec<String>,
    pub kind: Option<String>,
    /// The id where the file gives no name.
    pub name_vi: String,
    /// The Vietnamese name where the file gives no English one.
    pub name_en: String,
    /// Longitude, latitude in degrees.
    pub position: Option<(f64, f64)>,
    /// Code of an area, when stated; it goes before the position.
    pub area: Option<String>,
    /// Code of a sector.
    pub sector: Option<String>,
    /// Time between two of its events when all is well.
    pub cadence: Option<Span>,
    pub attributes: BTreeMap<String, Attribute>,
    pub valid_from: Option<Timestamp>,
    pub valid_to: Option<Timestamp>,
}

impl Source {
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_to.is_none_or(|to| at < to)
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.get(name)
    }
}

/// All registered sources.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// By id, then `valid_from`.
    sources: Vec<Source>,
    /// Id to its range in `sources`.
    by_id: HashMap<String, (u32, u32), foldhash::fast::FixedState>,
    by_type: BTreeMap<String, Vec<u32>>,
}

impl Sources {
    fn new(mut sources: Vec<Source>) -> Sources {
        sources.sort_by(|a, b| (&a.id, a.valid_from).cmp(&(&b.id, b.valid_from)));
        let mut by_id: HashMap<String, (u32, u32), _> = HashMap::with_hasher(foldhash::fast::FixedState::default());
        let mut by_type: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (n, source) in sources.iter().enumerate() {
            let n = n as u32;
            by_id.entry_ref(source.id.as_str()).or_insert((n, n)).1 = n + 1;
            for of_type in &source.types {
                by_type.entry(of_type.clone()).or_default().push(n);
            }
        }
        Sources { sources, by_id, by_type }
    }

    /// The source of this id in force at `at`.
    pub fn get(&self, id: &str, at: Timestamp) -> Option<&Source> {
        let (first, end) = *self.by_id.get(id)?;
        self.sources[first as usize..end as usize].iter().find(|s| s.in_force(at))
    }

    /// Sources of an event type in force at `at`, by id.
    pub fn in_force(&self, event_type: &str, at: Timestamp) -> impl Iterator<Item = &Source> + '_ {
        let of_type = self.by_type.get(event_type).into_iter().flatten();
        of_type.map(|n| &self.sources[*n as usize]).filter(move |s| s.in_force(at))
    }

    /// Those of them whose cadence is known: who is expected to be heard (R2).
    pub fn expected(&self, event_type: &str, at: Timestamp) -> impl Iterator<Item = &Source> + '_ {
        self.in_force(event_type, at).filter(|s| s.cadence.is_some())
    }

    /// All, of any time.
    pub fn iter(&self) -> impl Iterator<Item = &Source> + '_ {
        self.sources.iter()
    }

    pub fn len(&self) -> usize {
        self.sources.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}

/// A source as a file tells it: texts, not checked. Absent is not told.
#[derive(Default)]
pub(super) struct Draft {
    pub file: String,
    pub place: Place,
    pub id: Option<String>,
    pub types: Vec<String>,
    pub kind: Option<String>,
    pub name_vi: Option<String>,
    pub name_en: Option<String>,
    pub lon: Option<String>,
    pub lat: Option<String>,
    pub area: Option<String>,
    pub sector: Option<String>,
    pub cadence: Option<String>,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    pub attributes: BTreeMap<String, Attribute>,
}

/// What sources are checked against; `None`: not known, so not checked.
pub(super) struct Known<'a> {
    pub areas: Option<&'a AreaIndex>,
    pub sectors: Option<&'a [Sector]>,
}

pub(super) fn check_sources(drafts: Vec<Draft>, known: &Known, errors: &mut Vec<FileError>) -> Sources {
    let mut checked: Vec<(Source, String, Place)> = Vec::new();
    for draft in drafts {
        let (file, place) = (draft.file.clone(), draft.place);
        checked.extend(draft.check(known, errors).map(|source| (source, file, place)));
    }
    checked.sort_by(|(a, ..), (b, ..)| (&a.id, a.valid_from).cmp(&(&b.id, b.valid_from)));
    for pair in checked.windows(2) {
        let ((a, a_file, a_place), (b, b_file, b_place)) = (&pair[0], &pair[1]);
        let apart = a.valid_to.is_some_and(|to| b.valid_from.is_some_and(|from| to <= from));
        if a.id == b.id && !apart {
            let line = a_place.line.map(|n| format!(":{n}")).unwrap_or_default();
            let what = format!("source {}: in force at the same time as in {a_file}{line}", b.id);
            errors.push(FileError::new(b_file, *b_place, what, "remove one, or let valid_to of the earlier be valid_from of the later"));
        }
    }
    Sources::new(checked.into_iter().map(|(source, ..)| source).collect())
}

impl Draft {
    fn check(self, known: &Known, errors: &mut Vec<FileError>) -> Option<Source> {
        let before = errors.len();
        let name = self.id.clone().map_or("source without id".to_string(), |id| format!("source {id}"));
        let mut wrong = |what: String, next: &str| errors.push(FileError::new(&self.file, self.place, format!("{name}: {what}"), next));
        if self.id.is_none() {
            wrong("id is empty".to_string(), "give the source attribute of its events");
        }
        if self.types.is_empty() {
            wrong("type is empty".to_string(), "give the type of its events; several with a space between");
        }
        let position = match degrees(self.lon.as_deref(), self.lat.as_deref()) {
            Ok(position) => position,
            Err(what) => {
                wrong(what, "give both in degrees, WGS 84, or neither");
                None
            }
        };
        if let (Some(code), Some(areas)) = (&self.area, known.areas)
            && !areas.is_empty()
            && areas.versions(code).next().is_none()
        {
            wrong(format!("area {code} is not known"), "give the code of an area or group in areas/");
        }
        if let (Some(code), Some(sectors)) = (&self.sector, known.sectors)
            && !sectors.iter().any(|s| s.code == *code)
        {
            let near = suggestion(code, sectors.iter().map(|s| s.code.as_str()));
            wrong(format!("sector {code} is not known{near}"), "add it to sectors.yaml");
        }
        let cadence = self.cadence.as_ref().and_then(|text| {
            let span = Span::parse(text).filter(|span| *span > Span::ZERO);
            if span.is_none() {
                wrong(format!("cadence {text:?} is no span"), "write a number and a unit: 30s, 5m, 1h, 1d");
            }
            span
        });
        let mut date = |column: &str, text: &Option<String>| {
            let text = text.as_ref()?;
            let date = date_at_midnight(text);
            if date.is_none() {
                wrong(format!("{column} {text:?} is no date"), "write YYYY-MM-DD or an RFC 3339 instant");
            }
            date
        };
        let (valid_from, valid_to) = (date("valid_from", &self.valid_from), date("valid_to", &self.valid_to));
        if valid_from.zip(valid_to).is_some_and(|(from, to)| to <= from) {
            wrong("valid_to is not after valid_from".to_string(), "valid_to is the first day no longer in force");
        }
        if errors.len() > before {
            return None;
        }
        let id = self.id?;
        let name_vi = self.name_vi.unwrap_or_else(|| id.clone());
        Some(Source {
            name_en: self.name_en.unwrap_or_else(|| name_vi.clone()),
            name_vi,
            id,
            types: self.types,
            kind: self.kind,
            position,
            area: self.area,
            sector: self.sector,
            cadence,
            attributes: self.attributes,
            valid_from,
            valid_to,
        })
    }
}

fn degrees(lon: Option<&str>, lat: Option<&str>) -> Result<Option<(f64, f64)>, String> {
    let read = |name: &str, text: &str, most: f64| {
        let value = text.parse::<f64>().ok().filter(|v| v.abs() <= most);
        value.ok_or_else(|| format!("{name} {text:?} is not a number of degrees up to {most}"))
    };
    match (lon, lat) {
        (Some(lon), Some(lat)) => Ok(Some((read("lon", lon, 180.0)?, read("lat", lat, 90.0)?))),
        (None, None) => Ok(None),
        (Some(_), None) => Err("lon without lat".to_string()),
        (None, Some(_)) => Err("lat without lon".to_string()),
    }
}
