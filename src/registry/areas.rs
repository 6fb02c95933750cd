//! `areas/`: layers of GeoJSON, their ranking, groups and succession, as an [`AreaIndex`].
//!
//! - `areas/*.geojson`: one layer each. Without `layers.yaml` they rank by file name and are named by its stem.
//! - `areas/layers.yaml`: `levels` (coarse to deep, optional), `layers` (finest first): name, file, level, nearest ("500m", "2km"), licence, attribution.
//! - `areas/groups.yaml`: `groups`: code, level, name_vi, name_en, parent, members, valid_from, valid_to; `straddles`: code, over, assigned, reason.
//! - `areas/succession.csv`: from, to, share (0..=1, empty: not known), relation (whole, part), date, from_name (optional).
//!
//! Owns: the formats of these four files. Refuses to know: geometry, how areas are found.
//!
//! Invariants
//! 1. `layers.yaml`, where it exists, names every `.geojson` file of the folder exactly once.
//! 2. A straddling area is a member of the group it is assigned to and of no other group it lies over.
//! 3. A successor is an area in force on the date of its edge.
//!
//! Called by: `Registry::parse`.

use super::RegistryFiles;
use super::decode::{Row, decode_csv, decode_yaml};
use super::error::{FileError, Place, suggestion};
use crate::geo::{AreaIndex, GroupInput, LayerInput, Relation, Succession, date_at_midnight};
use crate::time::Timestamp;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

const LAYERS: &str = "areas/layers.yaml";
const GROUPS: &str = "areas/groups.yaml";
const SUCCESSION: &str = "areas/succession.csv";

/// An area that lies over several groups, and the one it was given to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Straddle {
    /// Code of the area.
    pub code: String,
    /// Codes of groups.
    pub over: Vec<String>,
    pub assigned: String,
    pub reason: String,
}

/// `None` when the areas cannot be used; the reasons are in `errors` then.
pub(super) fn decode_areas(files: &RegistryFiles, errors: &mut Vec<FileError>) -> Option<(AreaIndex, Vec<Straddle>)> {
    let before = errors.len();
    let (levels, layers) = decode_layers(files, errors);
    let groups = decode_groups(files, errors);
    let edges = decode_succession(files, errors);
    let mut places = BTreeMap::new();
    let (mut inputs, mut straddles) = (Vec::new(), Vec::new());
    for group in groups.groups {
        places.insert(group.code.value.clone(), Place::from(group.code.referenced));
        inputs.extend(group.into_input(errors));
    }
    let readable = errors.len() == before;
    let index = match AreaIndex::build(layers, &levels, inputs, edges.iter().map(|(_, edge)| edge.clone()).collect()) {
        Ok(index) => index,
        Err(wrong) => {
            errors.extend(wrong.into_iter().map(|mut e| {
                let place = e.feature.as_ref().filter(|_| e.file == GROUPS).and_then(|code| places.get(code));
                if let Some(place) = place {
                    (e.line, e.column) = (place.line, place.column);
                }
                FileError::from(e)
            }));
            return None;
        }
    };
    if !readable {
        return None;
    }
    check_succession(&index, &edges, errors);
    for straddle in groups.straddles {
        check_straddle(&index, &straddle, errors);
        let StraddleEntry { code, over, assigned, reason } = straddle;
        straddles.push(Straddle { code: code.value, over, assigned, reason: reason.trim().to_string() });
    }
    Some((index, straddles))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayersFile {
    #[serde(default)]
    levels: Vec<String>,
    layers: Vec<LayerEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerEntry {
    name: Option<String>,
    file: Spanned<String>,
    level: Option<String>,
    nearest: Option<Spanned<String>>,
    licence: Option<String>,
    attribution: Option<String>,
}

/// Levels, and layers in rank order.
fn decode_layers(files: &RegistryFiles, errors: &mut Vec<FileError>) -> (Vec<String>, Vec<LayerInput>) {
    let is_layer =
        |path: &str| path.strip_prefix("areas/").filter(|rest| !rest.contains('/') && rest.ends_with(".geojson")).map(str::to_string);
    let names: Vec<String> = files.files.keys().filter_map(|path| is_layer(path)).collect();
    let stem = |name: &str| name.trim_end_matches(".geojson").to_string();
    let input = |name: &str| {
        let file = format!("areas/{name}");
        let geojson_text = files.files.get(&file).cloned().unwrap_or_default();
        LayerInput { name: stem(name), file, geojson_text, ..LayerInput::default() }
    };
    let Some(text) = files.files.get(LAYERS) else {
        return (Vec::new(), names.iter().map(|name| input(name)).collect());
    };
    let declared = match decode_yaml::<LayersFile>(LAYERS, text) {
        Ok(declared) => declared,
        Err(e) => {
            errors.push(e);
            return (Vec::new(), names.iter().map(|name| input(name)).collect());
        }
    };
    let mut used: Vec<String> = Vec::new();
    let mut layers = Vec::new();
    for entry in declared.layers {
        let place = Place::from(entry.file.referenced);
        let file = entry.file.value;
        if !names.contains(&file) {
            let what = format!("no file areas/{file}{}", suggestion(&file, names.iter().map(String::as_str)));
            errors.push(FileError::new(LAYERS, place, what, "give the name of a .geojson file in areas/"));
            continue;
        }
        if used.contains(&file) {
            errors.push(FileError::new(LAYERS, place, format!("{file} stands twice"), "remove one"));
            continue;
        }
        let nearest_m = entry.nearest.and_then(|nearest| {
            let metres = metres(&nearest.value);
            if metres.is_none() {
                let what = format!("nearest {:?} is no length", nearest.value);
                errors.push(FileError::new(LAYERS, Place::from(nearest.referenced), what, "write 500m or 2km, at most 100km"));
            }
            metres
        });
        let base = input(&file);
        layers.push(LayerInput {
            name: entry.name.unwrap_or_else(|| stem(&file)),
            level: entry.level,
            nearest_m,
            licence: entry.licence,
            attribution: entry.attribution,
            ..base
        });
        used.push(file);
    }
    for name in names.iter().filter(|name| !used.contains(name)) {
        errors.push(FileError::new(LAYERS, Place::NONE, format!("areas/{name} has no rank"), "add it to layers, the finest first"));
    }
    (declared.levels, layers)
}

/// "500m", "2km" in metres.
fn metres(text: &str) -> Option<f64> {
    let (number, unit) = match text.strip_suffix("km") {
        Some(number) => (number, 1000.0),
        None => (text.strip_suffix('m')?, 1.0),
    };
    let metres = number.trim().parse::<f64>().ok()? * unit;
    (metres > 0.0 && metres <= 100_000.0).then_some(metres)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct GroupsFile {
    #[serde(default)]
    groups: Vec<GroupEntry>,
    #[serde(default)]
    straddles: Vec<StraddleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    code: Spanned<String>,
    level: Option<String>,
    name_vi: String,
    name_en: Option<String>,
    parent: Option<String>,
    members: Vec<String>,
    valid_from: Option<Spanned<String>>,
    valid_to: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StraddleEntry {
    code: Spanned<String>,
    over: Vec<String>,
    assigned: String,
    reason: String,
}

fn decode_groups(files: &RegistryFiles, errors: &mut Vec<FileError>) -> GroupsFile {
    let Some(text) = files.files.get(GROUPS) else { return GroupsFile::default() };
    decode_yaml(GROUPS, text).unwrap_or_else(|e| {
        errors.push(e);
        GroupsFile::default()
    })
}

impl GroupEntry {
    fn into_input(self, errors: &mut Vec<FileError>) -> Option<GroupInput> {
        let before = errors.len();
        let mut date = |text: Option<Spanned<String>>| -> Option<Timestamp> {
            let text = text?;
            let date = date_at_midnight(&text.value);
            if date.is_none() {
                let what = format!("{:?} is no date", text.value);
                errors.push(FileError::new(GROUPS, Place::from(text.referenced), what, "write YYYY-MM-DD"));
            }
            date
        };
        let (valid_from, valid_to) = (date(self.valid_from), date(self.valid_to));
        (errors.len() == before).then(|| GroupInput {
            file: GROUPS.to_string(),
            code: self.code.value,
            level: self.level.unwrap_or_else(|| "group".to_string()),
            name_vi: self.name_vi,
            name_en: self.name_en,
            parent: self.parent,
            members: self.members,
            valid_from,
            valid_to,
        })
    }
}

fn check_straddle(index: &AreaIndex, straddle: &StraddleEntry, errors: &mut Vec<FileError>) {
    let place = Place::from(straddle.code.referenced);
    let code = &straddle.code.value;
    let mut wrong = |what: String, next: &str| errors.push(FileError::new(GROUPS, place, format!("straddle {code}: {what}"), next));
    if !straddle.over.contains(&straddle.assigned) {
        wrong(format!("assigned {} is not among over", straddle.assigned), "assign it to one of the groups it lies over");
    }
    for over in &straddle.over {
        let Some(group) = index.groups().iter().find(|g| index.area(g.id).code == *over) else {
            wrong(format!("over {over} is no group"), "name codes of groups in this file");
            continue;
        };
        let is_member = group.members.iter().any(|id| index.area(*id).code == *code);
        if is_member && *over != straddle.assigned {
            wrong(format!("is a member of {over}"), "list it in the group it is assigned to only");
        } else if !is_member && *over == straddle.assigned {
            wrong(format!("is no member of {over}"), "list it in the group it is assigned to");
        }
    }
}

/// Edges with their lines.
fn decode_succession(files: &RegistryFiles, errors: &mut Vec<FileError>) -> Vec<(u64, Succession)> {
    let Some(text) = files.files.get(SUCCESSION) else { return Vec::new() };
    let rows = decode_csv(SUCCESSION, text, &["from", "to", "share", "relation", "date"], errors);
    rows.into_iter().filter_map(|row| decode_edge(row, errors)).collect()
}

fn decode_edge(mut row: Row, errors: &mut Vec<FileError>) -> Option<(u64, Succession)> {
    let line = row.line;
    let mut wrong = |what: String, next: &str| errors.push(FileError::new(SUCCESSION, Place::line(line), what, next));
    let (from, to) = (row.take("from"), row.take("to"));
    let share = row.take("share").map(|text| (text.parse::<f64>().ok().filter(|s| *s > 0.0 && *s <= 1.0), text));
    let relation = row.take("relation").unwrap_or_default();
    let date = row.take("date").unwrap_or_default();
    if from.is_none() || to.is_none() {
        wrong("from or to is empty".to_string(), "give both codes");
    }
    if let Some((None, text)) = &share {
        wrong(format!("share {text:?} is not above 0 and at most 1"), "write a share such as 0.4, or leave it empty");
    }
    let kind = match relation.as_str() {
        "whole" => Some(Relation::Whole),
        "part" => Some(Relation::Part),
        other => {
            wrong(format!("relation {other:?} is not known"), "write whole or part");
            None
        }
    };
    let instant = date_at_midnight(&date);
    if instant.is_none() {
        wrong(format!("date {date:?} is no date"), "write YYYY-MM-DD");
    }
    let share = match share {
        Some((None, _)) => return None,
        Some((share, _)) => share,
        None => None,
    };
    Some((line, Succession { from: from?, from_name: row.take("from_name"), to: to?, share, relation: kind?, date: instant? }))
}

fn check_succession(index: &AreaIndex, edges: &[(u64, Succession)], errors: &mut Vec<FileError>) {
    for (line, edge) in edges.iter().filter(|(_, edge)| index.by_code(&edge.to, edge.date).is_none()) {
        let what = format!("successor {} is no area in force on that date", edge.to);
        errors.push(FileError::new(SUCCESSION, Place::line(*line), what, "check code and date, or leave the line out"));
    }
}
