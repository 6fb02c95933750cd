//! From layers, groups and succession to an [`AreaIndex`]: one area per (code, valid_from), the tree, the levels' depths, the grids.
//!
//! Owns: checking layers against each other and putting the index together. Refuses to know: files, how layers were ranked (they come finest first).
//!
//! Invariants
//! 1. Either an index or all errors that could be found, in the order of layers, groups. Edges of succession are taken as they are.
//! 2. A level's depth is its place among the declared levels, else the longest chain of known parents of any of its areas.
//! 3. A parent is the area of that code in force at some time within the child's own, the latest if several are. A group is nobody's parent.
//!
//! Called by: `registry::areas`, tests.

use super::area::{Area, AreaError, AreaId, AreaProblem, Group, GroupInput, Layer, LayerInput, Succession};
use super::edge::edges_of;
use super::grid::Grid;
use super::index::{AreaIndex, Member, Plane};
use super::layer::{Feature, decode_layer};
use ::geo::MultiPolygon;
use std::collections::{BTreeMap, BTreeSet};

impl AreaIndex {
    /// `layers`: finest first. `levels`: coarse to deep, or empty to derive depths from parents.
    pub fn build(
        layers: Vec<LayerInput>,
        levels: &[String],
        groups: Vec<GroupInput>,
        succession: Vec<Succession>,
    ) -> Result<AreaIndex, Vec<AreaError>> {
        let mut build = Build::default();
        for (number, input) in layers.iter().enumerate() {
            build.add_layer(number as u16, input, &layers);
        }
        build.check_overlaps(&layers);
        let parents = build.resolve_parents(&layers);
        let depths = build.depths(levels, &parents, &layers);
        let groups = build.add_groups(groups);
        if !build.errors.is_empty() {
            return Err(build.errors);
        }
        let planes = build.planes(layers.len(), &depths);
        let parents =
            build.areas.iter().enumerate().map(|(n, area)| parents.get(n).copied().unwrap_or_else(|| build.parent_of(area))).collect();
        let layers = layers.into_iter();
        Ok(AreaIndex {
            layers: layers
                .map(|l| Layer { name: l.name, file: l.file, nearest_m: l.nearest_m, licence: l.licence, attribution: l.attribution })
                .collect(),
            depths: build.areas.iter().map(|a| depths.get(&a.level).copied().unwrap_or(0)).collect(),
            areas: build.areas,
            by_code: build.by_code,
            parents,
            shapes: build.shapes,
            groups,
            succession,
            planes,
        })
    }
}

#[derive(Default)]
struct Build {
    areas: Vec<Area>,
    /// Ids by code, earliest `valid_from` first.
    by_code: BTreeMap<String, Vec<AreaId>>,
    /// Shape of an area in a layer.
    shapes: BTreeMap<(AreaId, u16), MultiPolygon<f64>>,
    errors: Vec<AreaError>,
}

impl Build {
    fn add_layer(&mut self, number: u16, input: &LayerInput, layers: &[LayerInput]) {
        if layers[..number as usize].iter().any(|l| l.name == input.name) {
            self.errors.push(AreaError::new(&input.file, None, AreaProblem::LayerTwice(input.name.clone())));
        }
        for Feature { area, shape } in decode_layer(number, input, &mut self.errors) {
            let versions = self.by_code.entry(area.code.clone()).or_default();
            let same = versions.iter().copied().find(|id| self.areas[id.0 as usize].valid_from == area.valid_from);
            let Some(id) = same else {
                let id = AreaId(self.areas.len() as u32);
                let at = versions.partition_point(|v| self.areas[v.0 as usize].starts() < area.starts());
                versions.insert(at, id);
                self.areas.push(area);
                self.shapes.insert((id, number), shape);
                continue;
            };
            let code = area.code.clone();
            let finer = &mut self.areas[id.0 as usize];
            let problem = if finer.layer == Some(number) || self.shapes.contains_key(&(id, number)) {
                Some(AreaProblem::Twice)
            } else {
                let name = |n: Option<u16>| n.map_or(String::new(), |n| layers[n as usize].name.clone());
                complete(finer, area).err().map(|field| AreaProblem::Differs(field, name(finer.layer)))
            };
            match problem {
                Some(problem) => self.errors.push(AreaError::new(&input.file, Some(&code), problem)),
                None => drop(self.shapes.insert((id, number), shape)),
            }
        }
    }

    fn file_of<'a>(&self, area: &Area, layers: &'a [LayerInput]) -> &'a str {
        area.layer.map_or("", |n| &layers[n as usize].file)
    }

    /// Two areas of one code are never in force at once.
    fn check_overlaps(&mut self, layers: &[LayerInput]) {
        for versions in self.by_code.values() {
            for pair in versions.windows(2) {
                let (a, b) = (&self.areas[pair[0].0 as usize], &self.areas[pair[1].0 as usize]);
                if a.overlaps(b) {
                    let problem = AreaProblem::Overlap(format!("{} in {}", a.name, self.file_of(a, layers)));
                    self.errors.push(AreaError::new(self.file_of(b, layers), Some(&b.code), problem));
                }
            }
        }
    }

    fn versions(&self, code: &str) -> impl DoubleEndedIterator<Item = AreaId> + '_ {
        self.by_code.get(code).into_iter().flatten().copied()
    }

    fn parent_of(&self, area: &Area) -> Option<AreaId> {
        let code = area.parent.as_deref()?;
        self.versions(code).rev().find(|id| {
            let parent = &self.areas[id.0 as usize];
            !parent.is_group() && !std::ptr::eq(parent, area) && parent.overlaps(area)
        })
    }

    fn resolve_parents(&mut self, layers: &[LayerInput]) -> Vec<Option<AreaId>> {
        let mut parents: Vec<Option<AreaId>> = self.areas.iter().map(|a| self.parent_of(a)).collect();
        for n in 0..parents.len() {
            let mut seen = BTreeSet::from([n]);
            let mut at = parents[n];
            while let Some(AreaId(up)) = at {
                if !seen.insert(up as usize) {
                    let area = &self.areas[n];
                    self.errors.push(AreaError::new(self.file_of(area, layers), Some(&area.code), AreaProblem::Cycle));
                    parents[n] = None; // so the same circle is reported once
                    break;
                }
                at = parents[up as usize];
            }
        }
        parents
    }

    fn depths(&mut self, levels: &[String], parents: &[Option<AreaId>], layers: &[LayerInput]) -> BTreeMap<String, u32> {
        let mut depths = BTreeMap::new();
        for n in 0..self.areas.len() {
            let chain = std::iter::successors(parents[n], |id| parents[id.0 as usize]).count() as u32;
            let area = &self.areas[n];
            let depth = depths.entry(area.level.clone()).or_insert(chain);
            *depth = chain.max(*depth);
        }
        if levels.is_empty() {
            return depths;
        }
        for area in &self.areas {
            if !levels.contains(&area.level) {
                let problem = AreaProblem::UnknownLevel(area.level.clone());
                self.errors.push(AreaError::new(self.file_of(area, layers), Some(&area.code), problem));
            }
        }
        levels.iter().enumerate().map(|(n, level)| (level.clone(), n as u32)).collect()
    }

    fn add_groups(&mut self, inputs: Vec<GroupInput>) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut areas = Vec::new();
        for input in inputs {
            let area = Area {
                code: input.code.clone(),
                level: input.level,
                name: input.name_vi,
                alt_name: input.name_en.clone(),
                parent: input.parent,
                valid_from: input.valid_from,
                valid_to: input.valid_to,
                layer: None,
            };
            let mut error = |problem| self.errors.push(AreaError::new(&input.file, Some(&input.code), problem));
            if area.ends() <= area.starts() {
                error(AreaProblem::EmptyTime);
            }
            let mut members = BTreeSet::new();
            for code in &input.members {
                let of_code = self.by_code.get(code).into_iter().flatten().copied();
                let before = members.len();
                members.extend(of_code.filter(|id| self.areas[id.0 as usize].overlaps(&area)));
                if members.len() == before {
                    error(AreaProblem::UnknownMember(code.clone()));
                }
            }
            let others =
                self.versions(&area.code).map(|id| &self.areas[id.0 as usize]).chain(areas.iter().filter(|a: &&Area| a.code == area.code));
            let overlap = others.into_iter().find(|other| other.overlaps(&area)).map(|other| other.name.clone());
            if let Some(other) = overlap {
                let problem = AreaProblem::Overlap(other);
                self.errors.push(AreaError::new(&input.file, Some(&input.code), problem));
            }
            let id = AreaId((self.areas.len() + areas.len()) as u32);
            groups.push(Group { id, name_en: input.name_en, members: members.into_iter().collect() });
            areas.push(area);
        }
        for area in areas {
            let id = AreaId(self.areas.len() as u32);
            let versions = self.by_code.entry(area.code.clone()).or_default();
            let at = versions.partition_point(|v| self.areas[v.0 as usize].starts() < area.starts());
            versions.insert(at, id);
            self.areas.push(area);
        }
        groups
    }

    /// One grid per (depth, layer), the deepest first, then the finest.
    fn planes(&self, layers: usize, depths: &BTreeMap<String, u32>) -> Vec<Plane> {
        let mut planes = Vec::new();
        let all: BTreeSet<u32> = depths.values().copied().collect();
        for depth in all.into_iter().rev() {
            for layer in 0..layers as u16 {
                let of_plane = |(id, of): &(AreaId, u16)| *of == layer && depths.get(&self.areas[id.0 as usize].level) == Some(&depth);
                let ids: Vec<AreaId> = self.shapes.keys().filter(|key| of_plane(key)).map(|(id, _)| *id).collect();
                if ids.is_empty() {
                    continue;
                }
                let edges: Vec<_> = ids.iter().map(|id| edges_of(&self.shapes[&(*id, layer)])).collect();
                let member = |id: &AreaId| {
                    let area = &self.areas[id.0 as usize];
                    Member { area: *id, from: area.starts(), to: area.ends() }
                };
                planes.push(Plane::new(layer, ids.iter().map(member).collect(), Grid::build(&edges)));
            }
        }
        planes
    }
}

/// Fills what the finer layer left out; the name of a field that both give and that differs, otherwise.
fn complete(finer: &mut Area, coarser: Area) -> Result<(), &'static str> {
    fn fill<T: PartialEq>(mine: &mut Option<T>, other: Option<T>, name: &'static str) -> Result<(), &'static str> {
        match (&*mine, other) {
            (Some(a), Some(b)) if *a != b => Err(name),
            (None, Some(b)) => {
                *mine = Some(b);
                Ok(())
            }
            _ => Ok(()),
        }
    }
    if finer.level != coarser.level {
        return Err("level");
    }
    fill(&mut finer.parent, coarser.parent, "parent")?;
    fill(&mut finer.valid_to, coarser.valid_to, "valid_to")?;
    finer.alt_name = finer.alt_name.take().or(coarser.alt_name);
    Ok(())
}
