//! Distances in metres, and the nearest area for points that none holds.
//!
//! Owns: metres, and the nearest border. Refuses to know: grids.
//!
//! Invariants
//! 1. A point that an area holds is never moved: `locate_nearest` asks `locate` first.
//! 2. Only layers that declare `nearest` answer; order of layers as in `locate`; within a layer the nearest area, of equal ones the first.
//!
//! Called by: `ingest` (events, when the registry allows it).

use super::area::AreaId;
use super::edge::edges_of;
use super::index::AreaIndex;
use crate::time::Timestamp;
use ::geo::{Distance, Geodesic, MultiPolygon, Point};

/// Where a point was found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Located {
    pub area: AreaId,
    /// Metres to the area's border when no area holds the point and the nearest was taken; `None`: the area holds it.
    pub nearest_m: Option<f64>,
}

/// Metres along the WGS 84 ellipsoid between two (lon, lat) in degrees (C. Karney, "Algorithms for geodesics", 2013).
pub fn distance_m(a: (f64, f64), b: (f64, f64)) -> f64 {
    Geodesic.distance(Point::new(a.0, a.1), Point::new(b.0, b.1))
}

/// Metres per degree of latitude, the least there is on the ellipsoid (at the equator), less 1 %.
const METRES_PER_DEGREE: f64 = 109_400.0;

impl AreaIndex {
    /// As `locate`; a point that no area holds goes to the nearest area in force within the layer's `nearest` metres, and says so.
    pub fn locate_nearest(&self, lon: f64, lat: f64, at: Timestamp) -> Option<Located> {
        if let Some(area) = self.locate(lon, lat, at) {
            return Some(Located { area, nearest_m: None });
        }
        if !lon.is_finite() || !(-90.0..=90.0).contains(&lat) {
            return None;
        }
        self.planes.iter().find_map(|plane| {
            let limit = self.layers[plane.layer as usize].nearest_m?;
            let in_force = plane.members().iter().filter(|m| m.from <= at && at < m.to);
            let mut best: Option<Located> = None;
            for member in in_force {
                let within = best.and_then(|b| b.nearest_m).unwrap_or(limit);
                let Some(metres) = border_m(&self.shapes[&(member.area, plane.layer)], lon, lat, within) else { continue };
                if metres <= limit && best.is_none_or(|b| b.nearest_m.is_some_and(|m| metres < m)) {
                    best = Some(Located { area: member.area, nearest_m: Some(metres) });
                }
            }
            best
        })
    }
}

/// Metres to the nearest border of the shape, if there is one within `limit` metres.
fn border_m(shape: &MultiPolygon<f64>, lon: f64, lat: f64, limit: f64) -> Option<f64> {
    let squeeze = lat.to_radians().cos();
    let (dy, dx) = (limit / METRES_PER_DEGREE, limit / (METRES_PER_DEGREE * squeeze.max(0.01)));
    let mut nearest: Option<f64> = None;
    for e in edges_of(shape) {
        if e.ya > lat + dy || e.yb < lat - dy || e.min_x() > lon + dx || e.max_x() < lon - dx {
            continue;
        }
        // foot of the perpendicular on a plane that is true at the point; the distance itself is geodesic
        let (ex, ey) = ((e.xb - e.xa) * squeeze, e.yb - e.ya);
        let along = ((lon - e.xa) * squeeze * ex + (lat - e.ya) * ey) / (ex * ex + ey * ey);
        let t = along.clamp(0.0, 1.0);
        let metres = distance_m((lon, lat), (e.xa + (e.xb - e.xa) * t, e.ya + (e.yb - e.ya) * t));
        if metres <= limit && nearest.is_none_or(|n| metres < n) {
            nearest = Some(metres);
        }
    }
    nearest
}
