//! A uniform grid over the polygons of one plane (a layer's areas of one depth): who holds a point, in a few nanoseconds.
//!
//! A cell is empty, wholly inside one polygon, or carries its candidates: for each the edges near the cell and a parity that stands for
//! all edges further east. Edges further east count by their ends only, `(ya > y) != (yb > y)`, and where two of them meet the common
//! end cancels; what is left of the ends within the cell's band of latitudes is kept as rays. So the answer is that of the even-odd rule over all
//! edges, bit for bit, not an approximation of it.
//!
//! Owns: the cells of one plane and the search in them. Refuses to know: areas, time (the caller says which polygons are accepted), levels, layers.
//!
//! Invariants
//! 1. `find` = the first accepted polygon by the even-odd rule over all its edges; if none, the first accepted one whose border the point is on.
//! 2. Every edge that comes within a thousandth of a cell of a cell is in its list, so rounding in the choice of the cell changes nothing.
//!
//! Called by: `build` (makes it), `index` (asks it).

use super::edge::Edge;

const EMPTY: u32 = u32::MAX;
/// Set in a cell that names a list instead of a polygon.
const LIST: u32 = 1 << 31;
/// Measured with 64 polygons of 200 vertices: fewer cells mean longer lists, more cells mean misses in the processor's cache.
const CELLS_PER_EDGE: usize = 4;

/// What one polygon means to one cell: inside = `base` flipped by each of its edges that counts.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    polygon: u32,
    first: u32,
    edges: u32,
    base: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    x0: f64,
    y0: f64,
    /// Cells per degree.
    kx: f64,
    ky: f64,
    cols: usize,
    rows: usize,
    /// Row by row from the south-west: [`EMPTY`], a polygon, or [`LIST`] and an index into `lists`.
    cells: Vec<u32>,
    /// Ranges of `candidates`.
    lists: Vec<(u32, u32)>,
    candidates: Vec<Candidate>,
    edges: Vec<Edge>,
}

impl Grid {
    /// `polygons[n]`: the edges of polygon n, closed rings.
    pub fn build(polygons: &[Vec<Edge>]) -> Grid {
        let mut grid = Grid::frame(polygons);
        let mut lists: Vec<Vec<Candidate>> = Vec::new();
        for (n, edges) in polygons.iter().enumerate() {
            grid.add(n as u32, edges, &mut lists);
        }
        for list in lists {
            let first = grid.candidates.len() as u32;
            grid.candidates.extend(list);
            grid.lists.push((first, grid.candidates.len() as u32));
        }
        grid
    }

    /// The polygon that holds the point, of those that `accept` takes. Degrees; `None` for a point that is not finite.
    #[inline]
    pub fn find(&self, x: f64, y: f64, accept: impl Fn(u32) -> bool) -> Option<u32> {
        let (i, j) = ((x - self.x0) * self.kx, (y - self.y0) * self.ky);
        if !(i >= 0.0 && j >= 0.0 && i < self.cols as f64 && j < self.rows as f64) {
            return None;
        }
        let cell = self.cells[j as usize * self.cols + i as usize];
        if cell & LIST == 0 {
            return accept(cell).then_some(cell);
        }
        if cell == EMPTY {
            return None;
        }
        self.find_near_border(cell & !LIST, x, y, accept)
    }

    fn find_near_border(&self, list: u32, x: f64, y: f64, accept: impl Fn(u32) -> bool) -> Option<u32> {
        let (first, end) = self.lists[list as usize];
        let candidates = &self.candidates[first as usize..end as usize];
        for c in candidates {
            let odd = self.edges_of(c).iter().fold(c.base, |odd, e| odd ^ e.counts(x, y));
            if odd && accept(c.polygon) {
                return Some(c.polygon);
            }
        }
        let on_border = |c: &&Candidate| accept(c.polygon) && self.edges_of(c).iter().any(|e| e.touches(x, y));
        candidates.iter().find(on_border).map(|c| c.polygon)
    }

    fn edges_of(&self, c: &Candidate) -> &[Edge] {
        &self.edges[c.first as usize..c.first as usize + c.edges as usize]
    }

    /// An empty grid whose size suits the number of edges and the shape of their box.
    fn frame(polygons: &[Vec<Edge>]) -> Grid {
        let (mut x0, mut x1, mut y0, mut y1) = (f64::MAX, f64::MIN, f64::MAX, f64::MIN);
        for e in polygons.iter().flatten() {
            (x0, x1) = (x0.min(e.min_x()), x1.max(e.max_x()));
            (y0, y1) = (y0.min(e.ya), y1.max(e.yb));
        }
        let count: usize = polygons.iter().map(Vec::len).sum();
        if count == 0 {
            (x0, x1, y0, y1) = (0.0, 1.0, 0.0, 1.0);
        }
        // room around, so that borders lie inside; at least 1e-9 degrees, 0.1 mm
        let (px, py) = (((x1 - x0) * 1e-3).max(1e-9), ((y1 - y0) * 1e-3).max(1e-9));
        (x0, x1, y0, y1) = (x0 - px, x1 + px, y0 - py, y1 + py);
        let wanted = (count * CELLS_PER_EDGE).clamp(64, 1 << 20) as f64;
        let cols = (wanted * (x1 - x0) / (y1 - y0)).sqrt().round().clamp(1.0, 4096.0);
        let rows = (wanted / cols).round().clamp(1.0, 4096.0);
        Grid {
            x0,
            y0,
            kx: cols / (x1 - x0),
            ky: rows / (y1 - y0),
            cols: cols as usize,
            rows: rows as usize,
            cells: vec![EMPTY; cols as usize * rows as usize],
            lists: Vec::new(),
            candidates: Vec::new(),
            edges: Vec::new(),
        }
    }

    fn col(&self, x: f64) -> usize {
        (((x - self.x0) * self.kx) as usize).min(self.cols - 1)
    }

    fn row(&self, y: f64) -> usize {
        (((y - self.y0) * self.ky) as usize).min(self.rows - 1)
    }

    /// How far an edge may be from a cell and still be listed there: far above any rounding, far below a cell.
    fn margins(&self) -> (f64, f64) {
        ((1e-3 / self.kx).max(1e-11), (1e-3 / self.ky).max(1e-11))
    }

    fn add(&mut self, polygon: u32, edges: &[Edge], lists: &mut Vec<Vec<Candidate>>) {
        let (mx, my) = self.margins();
        let (Some(west), Some(east)) = (edges.iter().map(Edge::min_x).reduce(f64::min), edges.iter().map(Edge::max_x).reduce(f64::max))
        else {
            return;
        };
        let cols = (self.col(west - mx), self.col(east + mx));
        let mut by_row: Vec<Vec<Edge>> = vec![Vec::new(); self.rows];
        for e in edges {
            for row in &mut by_row[self.row(e.ya - my)..=self.row(e.yb + my)] {
                row.push(*e);
            }
        }
        for (row, mut near) in by_row.into_iter().enumerate().filter(|(_, near)| !near.is_empty()) {
            near.sort_by(|a, b| b.min_x().total_cmp(&a.min_x()));
            self.add_row(polygon, row, cols, &near, lists);
        }
    }

    /// One row of one polygon, from east to west; `near`: the edges that come near the row, the easternmost first.
    fn add_row(&mut self, polygon: u32, row: usize, cols: (usize, usize), near: &[Edge], lists: &mut Vec<Vec<Candidate>>) {
        let (mx, my) = self.margins();
        let (bottom, top) = (self.y0 + row as f64 / self.ky - my, self.y0 + (row + 1) as f64 / self.ky + my);
        let mut passed = 0; // edges east of the cell
        let mut base = false;
        let mut ends: Vec<f64> = Vec::new(); // of those edges, within the row and not cancelled
        for col in (cols.0..=cols.1).rev() {
            let (left, right) = (self.x0 + col as f64 / self.kx - mx, self.x0 + (col + 1) as f64 / self.kx + mx);
            while passed < near.len() && near[passed].min_x() > right {
                for y in [near[passed].ya, near[passed].yb] {
                    if y > top {
                        base = !base;
                    } else if y >= bottom {
                        match ends.iter().position(|e| *e == y) {
                            Some(at) => drop(ends.swap_remove(at)),
                            None => ends.push(y),
                        }
                    }
                }
                passed += 1;
            }
            let first = self.edges.len();
            self.edges.extend(near[passed..].iter().filter(|e| e.max_x() >= left));
            self.edges.extend(ends.iter().map(|y| Edge::ray_from(*y)));
            let edges = self.edges.len() - first;
            // an end at y above the point counts where its ray does not: each ray flips the base
            let base = base ^ (ends.len() % 2 == 1);
            if edges == 0 && !base {
                continue;
            }
            self.put(row * self.cols + col, Candidate { polygon, first: first as u32, edges: edges as u32, base }, lists);
        }
    }

    fn put(&mut self, cell: usize, candidate: Candidate, lists: &mut Vec<Vec<Candidate>>) {
        let whole = |polygon| Candidate { polygon, first: 0, edges: 0, base: true };
        match self.cells[cell] {
            EMPTY if candidate.edges == 0 => self.cells[cell] = candidate.polygon,
            EMPTY => {
                self.cells[cell] = LIST | lists.len() as u32;
                lists.push(vec![candidate]);
            }
            c if c & LIST == 0 => {
                self.cells[cell] = LIST | lists.len() as u32;
                lists.push(vec![whole(c), candidate]);
            }
            c => lists[(c & !LIST) as usize].push(candidate),
        }
    }
}
