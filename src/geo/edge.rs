//! One edge of a ring, and the even-odd rule over edges.
//!
//! Owns: how an edge is stored and when it counts. Refuses to know: areas, grids.
//!
//! Invariants
//! 1. An edge is stored from its lower to its upper end (of equal latitudes: from the western), whichever way its ring runs, so that two
//!    neighbours compute the same bits for a shared border.
//! 2. An edge counts for a point when it spans the point's latitude half open (lower ≤ y < upper) and lies east of the point.
//!
//! Source of the rule: W. R. Franklin, PNPOLY (crossing number, half open).
//!
//! Called by: `grid`, `nearest`, tests.

use ::geo::kernels::{Kernel, Orientation, RobustKernel};
use ::geo::{Coord, MultiPolygon};

/// Degrees; `ya ≤ yb`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Edge {
    pub xa: f64,
    pub ya: f64,
    pub xb: f64,
    pub yb: f64,
}

impl Edge {
    pub fn new(a: Coord<f64>, b: Coord<f64>) -> Edge {
        let (a, b) = if (b.y, b.x) < (a.y, a.x) { (b, a) } else { (a, b) };
        Edge { xa: a.x, ya: a.y, xb: b.x, yb: b.y }
    }

    /// An edge east of everything, from `y` north without end: it counts for the points at `y` or north of it.
    pub fn ray_from(y: f64) -> Edge {
        Edge { xa: f64::MAX, ya: y, xb: f64::MAX, yb: f64::INFINITY }
    }

    #[inline(always)]
    pub fn counts(&self, x: f64, y: f64) -> bool {
        (self.ya > y) != (self.yb > y) && x < (self.xb - self.xa) * (y - self.ya) / (self.yb - self.ya) + self.xa
    }

    /// Whether the point lies on the edge, its ends included; exact (adaptive arithmetic).
    pub fn touches(&self, x: f64, y: f64) -> bool {
        self.yb.is_finite()
            && self.ya <= y
            && y <= self.yb
            && self.min_x() <= x
            && x <= self.max_x()
            && RobustKernel::orient2d(Coord { x: self.xa, y: self.ya }, Coord { x: self.xb, y: self.yb }, Coord { x, y })
                == Orientation::Collinear
    }

    pub fn min_x(&self) -> f64 {
        self.xa.min(self.xb)
    }

    pub fn max_x(&self) -> f64 {
        self.xa.max(self.xb)
    }
}

/// All edges of all rings, holes too, without those of no length.
pub(super) fn edges_of(shape: &MultiPolygon<f64>) -> Vec<Edge> {
    let rings = shape.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
    rings.flat_map(|ring| ring.0.windows(2)).filter(|w| w[0] != w[1]).map(|w| Edge::new(w[0], w[1])).collect()
}
