//! The [`AreaIndex`]: who holds a point, and the dated tree of areas and groups.
//!
//! Owns: lookups by point, by code and date, by group. Refuses to know: how it was built, files, drawing.
//!
//! Invariants
//! 1. Planes stand in the order of invariant 2 of `geo`: the deepest level first, then the finest layer; the first that answers is right.
//! 2. Within a plane the first area in file order wins where polygons overlap.
//!
//! Called by: everyone who asks where something is.

use super::area::{Area, AreaId, Group, Layer, OPEN_END, Succession};
use super::grid::Grid;
use crate::time::Timestamp;
use ::geo::MultiPolygon;
use std::collections::BTreeMap;

/// Areas of the province in memory; immutable, cheap to share behind an `Arc`.
#[derive(Clone, Debug, Default)]
pub struct AreaIndex {
    pub(super) layers: Vec<Layer>,
    pub(super) areas: Vec<Area>,
    pub(super) by_code: BTreeMap<String, Vec<AreaId>>,
    pub(super) parents: Vec<Option<AreaId>>,
    pub(super) depths: Vec<u32>,
    pub(super) shapes: BTreeMap<(AreaId, u16), MultiPolygon<f64>>,
    pub(super) groups: Vec<Group>,
    pub(super) succession: Vec<Succession>,
    pub(super) planes: Vec<Plane>,
}

/// The areas of one depth in one layer.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub layer: u16,
    members: Vec<Member>,
    /// All members are in force from `from` to before `to` exactly.
    uniform: bool,
    /// The time in which any member is in force.
    from: Timestamp,
    to: Timestamp,
    grid: Grid,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub area: AreaId,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Plane {
    pub fn new(layer: u16, members: Vec<Member>, grid: Grid) -> Plane {
        let from = members.iter().map(|m| m.from).min().unwrap_or(Timestamp::MIN);
        let to = members.iter().map(|m| m.to).max().unwrap_or(OPEN_END);
        let uniform = members.iter().all(|m| m.from == from && m.to == to);
        Plane { layer, members, uniform, from, to, grid }
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// `at` `None`: areas of any time.
    #[inline]
    fn find(&self, lon: f64, lat: f64, at: Option<Timestamp>) -> Option<AreaId> {
        let slot = match at {
            None => self.grid.find(lon, lat, |_| true),
            Some(at) if !(self.from <= at && at < self.to) => None,
            Some(_) if self.uniform => self.grid.find(lon, lat, |_| true),
            Some(at) => self.grid.find(lon, lat, |slot| {
                let member = &self.members[slot as usize];
                member.from <= at && at < member.to
            }),
        };
        slot.map(|slot| self.members[slot as usize].area)
    }
}

impl AreaIndex {
    /// The finest area in force at `at` that holds the point (degrees, WGS 84). `None`: outside, or not a finite point.
    #[inline]
    pub fn locate(&self, lon: f64, lat: f64, at: Timestamp) -> Option<AreaId> {
        self.planes.iter().find_map(|plane| plane.find(lon, lat, Some(at)))
    }

    /// The deepest area of one layer that holds the point, by that layer's own polygons. `at` `None`: areas of any time. `None` also for an unknown layer.
    pub fn locate_in_layer(&self, layer: &str, lon: f64, lat: f64, at: Option<Timestamp>) -> Option<AreaId> {
        let number = self.layer_number(layer)?;
        self.planes.iter().filter(|plane| plane.layer == number).find_map(|plane| plane.find(lon, lat, at))
    }

    /// Layers, finest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Whether there is a layer of this name, or made from a file of this stem.
    pub fn has_layer(&self, name: &str) -> bool {
        self.layer_number(name).is_some()
    }

    fn layer_number(&self, name: &str) -> Option<u16> {
        let by_name = self.layers.iter().position(|l| l.name == name);
        let is_stem = |file: &str| file.rsplit('/').next().and_then(|f| f.strip_suffix(".geojson")) == Some(name);
        by_name.or_else(|| self.layers.iter().position(|l| is_stem(&l.file))).map(|n| n as u16)
    }

    /// Panics on an id of another index.
    pub fn area(&self, id: AreaId) -> &Area {
        &self.areas[id.0 as usize]
    }

    /// The area or group of this code in force at `at`.
    pub fn by_code(&self, code: &str, at: Timestamp) -> Option<AreaId> {
        self.versions(code).find(|id| self.area(*id).in_force(at))
    }

    /// All areas and groups that ever had this code, the earliest first.
    pub fn versions(&self, code: &str) -> impl Iterator<Item = AreaId> + '_ {
        self.by_code.get(code).into_iter().flatten().copied()
    }

    pub fn parent_of(&self, id: AreaId) -> Option<AreaId> {
        self.parents.get(id.0 as usize).copied().flatten()
    }

    /// Parent, its parent, and so on; without the area itself and without groups that hold it.
    pub fn ancestors(&self, id: AreaId) -> impl Iterator<Item = AreaId> + '_ {
        std::iter::successors(self.parent_of(id), |id| self.parent_of(*id))
    }

    /// Whether `area` is `ancestor`, or lies below it; of a group: is it, is one of its members, or lies below one.
    pub fn within(&self, area: AreaId, ancestor: AreaId) -> bool {
        let mut up = std::iter::once(area).chain(self.ancestors(area));
        match self.group(ancestor) {
            Some(group) => up.any(|id| id == ancestor || group.members.binary_search(&id).is_ok()),
            None => up.any(|id| id == ancestor),
        }
    }

    /// Groups in the order of their declaration.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The group with this id; `None` for an area that is none.
    pub fn group(&self, id: AreaId) -> Option<&Group> {
        let first = self.areas.len() - self.groups.len();
        self.groups.get((id.0 as usize).checked_sub(first)?)
    }

    /// Groups in force at `at` that hold the area.
    pub fn groups_of(&self, id: AreaId, at: Timestamp) -> impl Iterator<Item = AreaId> + '_ {
        self.groups.iter().map(|g| g.id).filter(move |g| self.area(*g).in_force(at) && *g != id && self.within(id, *g))
    }

    /// How deep the area's level lies: 0 for the coarsest. Groups: 0 unless their level is that of areas.
    pub fn depth(&self, id: AreaId) -> u32 {
        self.depths.get(id.0 as usize).copied().unwrap_or(0)
    }

    /// All areas, then all groups.
    pub fn iter(&self) -> impl Iterator<Item = (AreaId, &Area)> + '_ {
        self.areas.iter().enumerate().map(|(n, area)| (AreaId(n as u32), area))
    }

    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// The area's shape in the finest layer that has it, degrees; `None` for a group.
    pub fn geometry(&self, id: AreaId) -> Option<&MultiPolygon<f64>> {
        self.shapes.get(&(id, self.area(id).layer?))
    }

    /// What became of areas, in the order of the file.
    pub fn succession(&self) -> &[Succession] {
        &self.succession
    }

    /// Edges from this code; a code may have been given to another area since, so mind the dates.
    pub fn successors(&self, code: &str) -> impl Iterator<Item = &Succession> + '_ {
        let code = code.to_string();
        self.succession.iter().filter(move |edge| edge.from == code)
    }
}
