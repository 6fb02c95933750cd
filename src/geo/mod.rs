//! Where things are: areas as dated polygons, and which of them holds a point.
//!
//! Owns the [`AreaIndex`]: layers of polygons, the dated tree of areas, groups of areas, succession between areas, distances in metres.
//! Refuses to know: files, YAML, the clock, events, sources. It is given texts and answers from memory.
//!
//! Invariants
//! 1. `locate` depends on the point, the instant and the layers only: no state, no order of calls.
//! 2. Of the areas in force the deepest level wins; of one level the first layer (finest first) that holds the point.
//! 3. A border or vertex belongs to exactly one of the areas that share it, always the same one: shared edges are evaluated in one
//!    canonical direction, half open; what the half-open rule gives to nobody (an outer border) goes to the first area that touches it.
//! 4. `valid_to` is the first instant no longer in force; dates are midnight at +07:00.
//! 5. The grid answers exactly as the even-odd rule over all edges does, to the last bit (property-tested).
//!
//! Called by: `registry` (builds it), `ingest` and `engine` (locate, within), `server` (drawing, rights).

mod area;
mod build;
mod draw;
mod edge;
mod grid;
mod index;
mod layer;
mod nearest;
#[cfg(test)]
mod tests;

pub use area::{Area, AreaError, AreaId, AreaProblem, Group, GroupInput, Layer, LayerInput, Relation, Succession, date_at_midnight};
pub use index::AreaIndex;
pub use nearest::{Located, distance_m};
