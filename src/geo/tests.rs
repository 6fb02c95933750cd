//! Laws of the grid as properties, and tables for the tree, time, layers and errors.

use super::edge::{Edge, edges_of};
use super::grid::Grid;
use super::*;
use crate::time::Timestamp;
use ::geo::{Coord, LineString, MultiPolygon, Polygon};
use proptest::prelude::*;

/// Deterministic numbers in 0..1 (splitmix64), so that a test's shape depends on its seed only.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `n` × `n` polygons that tile a square of one degree at 107, 12 with shared, wriggling borders of `seg` edges a side.
fn tiles(n: usize, seg: usize, seed: u64) -> Vec<MultiPolygon<f64>> {
    let mut dice = Dice(seed);
    let round = |v: f64| (v * 1e5).round() / 1e5;
    let corner = |i: usize, j: usize| Coord { x: round(107.0 + i as f64 / n as f64), y: round(12.0 + j as f64 / n as f64) };
    let mut border = |a: Coord<f64>, b: Coord<f64>| -> Vec<Coord<f64>> {
        let phase = dice.roll() * std::f64::consts::TAU;
        let point = |k: usize, dice: &mut Dice| {
            let t = k as f64 / seg as f64;
            let off = (std::f64::consts::PI * t).sin() * (0.08 * (18.0 * t + phase).sin() + 0.02 * (dice.roll() - 0.5));
            Coord { x: round(a.x + t * (b.x - a.x) - off * (b.y - a.y)), y: round(a.y + t * (b.y - a.y) + off * (b.x - a.x)) }
        };
        (0..=seg)
            .map(|k| {
                if k == 0 {
                    a
                } else if k == seg {
                    b
                } else {
                    point(k, &mut dice)
                }
            })
            .collect()
    };
    let across: Vec<Vec<_>> = (0..=n).map(|j| (0..n).map(|i| border(corner(i, j), corner(i + 1, j))).collect()).collect();
    let up: Vec<Vec<_>> = (0..n).map(|j| (0..=n).map(|i| border(corner(i, j), corner(i, j + 1))).collect()).collect();
    let back = |line: &[Coord<f64>]| line.iter().rev().copied().collect::<Vec<_>>();
    let tile = |i: usize, j: usize| {
        let ring = [across[j][i].clone(), up[j][i + 1].clone(), back(&across[j + 1][i]), back(&up[j][i])].concat();
        MultiPolygon(vec![Polygon::new(LineString(ring), vec![])])
    };
    (0..n * n).map(|k| tile(k % n, k / n)).collect()
}

/// The rule as the books have it, edges in the direction of their ring.
fn even_odd(shape: &MultiPolygon<f64>, x: f64, y: f64) -> bool {
    let rings = shape.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
    rings.flat_map(|r| r.0.windows(2)).fold(false, |odd, w| {
        let (a, b) = (w[0], w[1]);
        odd ^ (((a.y > y) != (b.y > y)) && x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x)
    })
}

fn holds(edges: &[Edge], x: f64, y: f64) -> bool {
    edges.iter().fold(false, |odd, e| odd ^ e.counts(x, y))
}

/// The grid's law, for any polygons: by all edges; else whose border it is.
fn brute(polygons: &[Vec<Edge>], x: f64, y: f64) -> Option<u32> {
    let by_rule = polygons.iter().position(|edges| holds(edges, x, y));
    by_rule.or_else(|| polygons.iter().position(|edges| edges.iter().any(|e| e.touches(x, y)))).map(|n| n as u32)
}

fn nudged(v: f64, steps: i64) -> f64 {
    f64::from_bits((v.to_bits() as i64 + steps) as u64)
}

/// Points that hurt: vertices, their rows and columns, middles of edges, and all of these a few units in the last place aside.
fn hard_points(polygons: &[Vec<Edge>], dice: &mut Dice, count: usize) -> Vec<(f64, f64)> {
    let all: Vec<&Edge> = polygons.iter().flatten().collect();
    (0..count)
        .map(|k| {
            let mut any = || all[((dice.roll() * all.len() as f64) as usize).min(all.len() - 1)];
            let (e, f) = (any(), any());
            let (x, y) = match k % 4 {
                0 => (e.xa, e.ya),
                1 => (e.xa, f.yb),
                2 => ((e.xa + e.xb) / 2.0, (e.ya + e.yb) / 2.0),
                _ => (e.xb + (f.xa - e.xb) * dice.roll(), e.yb),
            };
            (nudged(x, (dice.roll() * 5.0) as i64 - 2), nudged(y, (dice.roll() * 5.0) as i64 - 2))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_grid_answers_as_all_edges_do(seed in any::<u64>(), n in 1usize..5, seg in 1usize..40) {
        let shapes = tiles(n, seg, seed);
        let polygons: Vec<Vec<Edge>> = shapes.iter().map(edges_of).collect();
        let grid = Grid::build(&polygons);
        let mut dice = Dice(seed ^ 1);
        for (x, y) in hard_points(&polygons, &mut dice, 400) {
            prop_assert_eq!(grid.find(x, y, |_| true), brute(&polygons, x, y), "{} {}", x, y);
        }
        for _ in 0..400 {
            let (x, y) = (106.8 + 1.4 * dice.roll(), 11.8 + 1.4 * dice.roll());
            let by_the_book = shapes.iter().position(|s| even_odd(s, x, y)).map(|n| n as u32);
            prop_assert_eq!(grid.find(x, y, |_| true), by_the_book, "{} {}", x, y);
        }
    }

    /// Any rings at all, self-crossing ones too, on few values, so that ends meet rows of the grid and each other.
    #[test]
    fn the_grid_answers_as_all_edges_do_on_lattices(rings in prop::collection::vec(prop::collection::vec((0u8..9, 0u8..9), 3..12), 1..5), fine in any::<bool>()) {
        let scale = if fine { 1e-7 } else { 0.25 };
        let at = |v: u8| 10.0 + v as f64 * scale;
        let ring = |r: &Vec<(u8, u8)>| LineString(r.iter().chain(&r[..1]).map(|(x, y)| Coord { x: at(*x), y: at(*y) }).collect());
        let polygons: Vec<Vec<Edge>> = rings.iter().map(|r| edges_of(&MultiPolygon(vec![Polygon::new(ring(r), vec![])]))).collect();
        let grid = Grid::build(&polygons);
        for x in 0..36u8 {
            for y in 0..36u8 {
                let (x, y) = (10.0 + x as f64 / 4.0 * scale, 10.0 + y as f64 / 4.0 * scale);
                for (x, y) in [(x, y), (nudged(x, -1), y), (x, nudged(y, 1))] {
                    prop_assert_eq!(grid.find(x, y, |_| true), brute(&polygons, x, y), "{} {}", x, y);
                }
            }
        }
    }

    /// Invariant 3: within a tiling every vertex and border point has exactly one owner by the rule alone.
    #[test]
    fn a_border_belongs_to_one(seed in any::<u64>(), seg in 1usize..30) {
        let polygons: Vec<Vec<Edge>> = tiles(3, seg, seed).iter().map(edges_of).collect();
        let middle = &polygons[4];
        let mut dice = Dice(seed);
        for (x, y) in hard_points(std::slice::from_ref(middle), &mut dice, 200) {
            let owners = polygons.iter().filter(|edges| holds(edges, x, y)).count();
            prop_assert_eq!(owners, 1, "{} {}", x, y);
        }
    }
}

fn feature(properties: &str, ring: &str) -> String {
    format!(r#"{{"type":"Feature","properties":{{{properties}}},"geometry":{{"type":"Polygon","coordinates":[{ring}]}}}}"#)
}

fn square(x: f64, y: f64, side: f64) -> String {
    let (x1, y1) = (x + side, y + side);
    format!("[[{x},{y}],[{x1},{y}],[{x1},{y1}],[{x},{y1}],[{x},{y}]]")
}

fn layer(name: &str, features: &[String]) -> LayerInput {
    let geojson_text = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","));
    LayerInput { name: name.into(), file: format!("areas/{name}.geojson"), geojson_text, ..LayerInput::default() }
}

fn at(date: &str) -> Timestamp {
    date_at_midnight(date).unwrap()
}

/// Two layers: fine commune 1 inside the coarse one; province until 2025 with district, and after.
fn province() -> AreaIndex {
    let fine = layer("fine", &[feature(r#""code":"1","level":"commune","name":"Một","valid_from":"2025-07-01""#, &square(0.0, 0.0, 1.0))]);
    let coarse = layer(
        "coarse",
        &[
            feature(r#""code":"68","level":"province","name":"Tỉnh","parent":"VN","valid_from":"2025-07-01""#, &square(0.0, 0.0, 4.0)),
            feature(r#""code":"1","level":"commune","name":"Một","parent":"68","valid_from":"2025-07-01""#, &square(0.0, 0.0, 1.5)),
            feature(r#""code":"2","level":"commune","name":"Hai","parent":"68","valid_from":"2025-07-01""#, &square(1.5, 0.0, 1.5)),
        ],
    );
    let old = layer(
        "old",
        &[
            feature(r#""code":"67","level":"province","valid_to":"2025-07-01""#, &square(0.0, 0.0, 4.0)),
            feature(
                r#""code":"660","level":"district","parent":"67","valid_to":"2025-07-01""#,
                &format!("{},{}", square(0.0, 0.0, 3.0), square(1.0, 1.0, 0.5)),
            ),
        ],
    );
    let group = GroupInput {
        file: "areas/groups.yaml".into(),
        code: "660".into(),
        level: "group".into(),
        name_vi: "Cũ".into(),
        members: vec!["1".into()],
        valid_from: Some(at("2025-07-01")),
        ..GroupInput::default()
    };
    let old_nearest = LayerInput { nearest_m: Some(5000.0), ..old };
    AreaIndex::build(vec![fine, coarse, old_nearest], &[], vec![group], vec![]).unwrap()
}

#[test]
fn depth_layers_and_time() {
    let index = province();
    let code = |lon, lat, date| index.locate(lon, lat, at(date)).map(|id| index.area(id).code.as_str());
    for (lon, lat, date, expected) in [
        (0.5, 0.5, "2025-07-01", Some("1")),
        (1.2, 0.5, "2025-07-01", Some("1")), // the fine layer does not hold it, the coarse one does
        (2.0, 0.5, "2026-01-01", Some("2")),
        (3.5, 3.5, "2026-01-01", Some("68")),
        (0.5, 0.5, "2025-06-30", Some("660")),
        (1.2, 1.2, "2025-06-30", Some("67")), // a hole
        (3.5, 3.5, "1990-01-01", Some("67")),
        (4.5, 3.5, "2026-01-01", None),
        (4.0, 4.0, "2026-01-01", Some("68")), // the outer corner
        (f64::NAN, 1.0, "2026-01-01", None),
        (f64::INFINITY, 1.0, "2026-01-01", None),
    ] {
        assert_eq!(code(lon, lat, date), expected, "{lon} {lat} {date}");
    }
    let last = Timestamp(at("2025-07-01").0 - 1);
    assert_eq!(index.locate(0.5, 0.5, last).map(|id| index.area(id).code.as_str()), Some("660"));
    assert_eq!(index.locate_in_layer("fine", 1.2, 0.5, None), None);
    assert_eq!(index.locate_in_layer("old", 0.5, 0.5, None).map(|id| index.area(id).code.as_str()), Some("660"));
    assert_eq!(index.locate_in_layer("old", 0.5, 0.5, Some(at("2026-01-01"))), None);
}

#[test]
fn tree_groups_and_drawing() {
    let index = province();
    let now = at("2026-01-01");
    let id = |code| index.by_code(code, now).unwrap();
    assert_eq!(index.iter().filter(|(_, a)| a.code == "1").count(), 1, "one area in two layers is one");
    assert_eq!(index.area(id("1")).parent.as_deref(), Some("68"), "what the finer layer left out comes from the coarser");
    assert_eq!(index.ancestors(id("1")).collect::<Vec<_>>(), [id("68")]);
    assert!(index.within(id("1"), id("68")) && index.within(id("1"), id("660")) && index.within(id("660"), id("660")));
    assert!(!index.within(id("2"), id("660")) && !index.within(id("68"), id("1")));
    assert_ne!(index.by_code("660", at("2025-06-30")), Some(id("660")), "the district and the group share a code, not a time");
    assert_eq!(index.groups_of(id("1"), now).collect::<Vec<_>>(), [id("660")]);
    assert!(index.geometry(id("660")).is_none());

    let drawn: serde_json::Value = serde_json::from_str(&index.feature_collection(now, |a| a != id("2"))).unwrap();
    assert_eq!(drawn["features"].as_array().unwrap().len(), 1);
    assert_eq!(drawn["features"][0]["properties"]["groups"][0], "660");
    assert_eq!(drawn["features"][0]["geometry"]["coordinates"][0][0][2][0], 1.0, "from the finest layer");
}

#[test]
fn nearest_only_where_declared_and_flagged() {
    let index = province();
    let then = at("2020-01-01");
    let held = index.locate_nearest(0.5, 0.5, then).unwrap();
    assert_eq!(held.nearest_m, None);
    let near = index.locate_nearest(3.03, 0.5, then).unwrap();
    assert_eq!((index.area(near.area).code.as_str(), near.nearest_m), ("67", None), "a coarser area that holds it comes first");
    let near = index.locate_nearest(4.03, 0.5, then).unwrap();
    let metres = near.nearest_m.unwrap();
    assert!((metres - distance_m((4.03, 0.5), (4.0, 0.5))).abs() < 0.01 && (3300.0..3400.0).contains(&metres), "{metres}");
    assert_eq!(index.locate_nearest(4.06, 0.5, then), None);
    assert_eq!(index.locate_nearest(4.03, 0.5, at("2026-01-01")), None, "the layers of that time declare none");
}

#[test]
fn wrong_layers_say_what_where_and_what_next() {
    let bow = "[[0,0],[1,1],[1,0],[0,1],[0,0]]";
    let bad = layer(
        "bad",
        &[
            feature(r#""name":"no code""#, &square(0.0, 0.0, 1.0)),
            feature(r#""code":5"#, &square(0.0, 0.0, 1.0)),
            feature(r#""code":"6","valid_from":"1/7/2025""#, bow),
            feature(r#""code":"7","valid_from":"2025-07-01","valid_to":"2025-07-01""#, &square(170.0, 89.5, 1.0)),
            feature(r#""code":"a","parent":"b""#, &square(0.0, 0.0, 1.0)),
            feature(r#""code":"b","parent":"a""#, &square(0.0, 0.0, 1.0)),
            feature(r#""code":"8""#, &square(0.0, 0.0, 1.0)),
            feature(r#""code":"8""#, &square(0.0, 0.0, 1.0)),
            feature(r#""code":"8","valid_from":"2025-07-01""#, &square(0.0, 0.0, 1.0)),
            r#"{"type":"Feature","properties":{"code":"9"},"geometry":{"type":"Point","coordinates":[1,2]}}"#.to_string(),
        ],
    );
    let broken = LayerInput {
        name: "broken".into(),
        file: "areas/broken.geojson".into(),
        geojson_text: "{\n \"type\": ".into(),
        ..LayerInput::default()
    };
    let group = GroupInput { file: "areas/groups.yaml".into(), code: "g".into(), members: vec!["404".into()], ..GroupInput::default() };
    let errors = AreaIndex::build(vec![bad, broken], &[], vec![group], vec![]).unwrap_err();
    let texts: Vec<String> = errors.iter().map(|e| e.to_string()).collect();
    for part in [
        "areas/bad.geojson: area feature 1: no code; give the feature a property code",
        "area feature 2: code is 5, not text",
        "area 6: valid_from \"1/7/2025\" is no date; write YYYY-MM-DD",
        "area 6: geometry is not valid",
        "area 7: valid_to is not after valid_from",
        "area 7: position 171, 90.5",
        "area 8: the same code and valid_from stand twice",
        "area 8: in force at the same time as another area of this code",
        "area a: is its own ancestor",
        "area 9: geometry is Point",
        "areas/broken.geojson: not GeoJSON",
        "areas/groups.yaml: area g: member 404 is no area",
    ] {
        assert!(texts.iter().any(|t| t.contains(part)), "{part} not in {texts:#?}");
    }
    assert_eq!(errors.iter().find(|e| e.file.contains("broken")).and_then(|e| e.line), Some(2));
}

#[test]
fn a_tiling_of_64_as_by_the_book() {
    let shapes = tiles(8, 50, 7);
    let text = |s: &MultiPolygon<f64>| geojson::GeometryValue::from(s).to_string();
    let features: Vec<String> = shapes
        .iter()
        .enumerate()
        .map(|(n, s)| format!(r#"{{"type":"Feature","properties":{{"code":"D{n:02}"}},"geometry":{}}}"#, text(s)))
        .collect();
    let index = AreaIndex::build(vec![layer("tiles", &features)], &[], vec![], vec![]).unwrap();
    let mut dice = Dice(3);
    let points: Vec<(f64, f64)> = (0..10_000).map(|_| (107.0 + dice.roll(), 12.0 + dice.roll())).collect();
    for (x, y) in points {
        let by_the_book = shapes.iter().position(|s| even_odd(s, x, y));
        assert_eq!(index.locate(x, y, Timestamp(0)).map(|id| id.0 as usize), by_the_book);
    }
}
