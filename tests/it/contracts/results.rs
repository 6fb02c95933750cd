//! R1, R2, R4 to R6.

use super::{MINUTE, counts, minutes, pipeline, setup, timed, with_registry};
use crate::support::feed::{Kept, Sim, record};
use crate::support::{definitions, event, s};
use ioc::engine::collect::{Collector, PartOutput, PartitionOutput};
use ioc::engine::merge::Merger;
use ioc::engine::{PartitionTick, Row, Tick};
use ioc::time::Timestamp;
use serde_json::json;

const NONE: Vec<String> = Vec::new();

fn copy(output: &PartitionOutput) -> PartitionOutput {
    let part = |p: &PartOutput| PartOutput {
        watermark: p.watermark,
        idle: p.idle,
        new_keys: p.new_keys.clone(),
        batches: p.batches.clone(),
        heard: p.heard.clone(),
        cases: p.cases.clone(),
        last_heard: p.last_heard.clone(),
    };
    PartitionOutput { parts: output.parts.iter().map(part).collect(), late: Vec::new(), rejected: Vec::new() }
}

/// R1: a partial is cumulative and carries the offset it stands for; the highest wins, so saying old things again is harmless, in any
/// order, even when their window is forgotten.
#[test]
fn r1_old_partials_again_are_harmless() {
    let setup = setup(&pipeline(MINUTE));
    let said: Vec<PartitionOutput> = {
        let mut collector = Collector::new(&setup, 0);
        let mut offset = 0;
        let groups: [&[(&str, i64, i64)]; 4] =
            [&[("a", 10, 1), ("a", 67, 1)], &[("a", 20, 5), ("b", 30, 2), ("a", 68, 0)], &[("b", 40, 4), ("a", 74, 0)], &[("a", 500, 1)]];
        groups
            .iter()
            .map(|group| {
                collector.begin_tick(s(100));
                for (source, time, x) in *group {
                    let kept = Kept { broker_time: None, body: event("t.a", source, &offset.to_string(), s(*time), json!({"x": x})) };
                    collector.take(&setup, record(&kept, offset), Timestamp::MAX).unwrap();
                    offset += 1;
                }
                let at = PartitionTick { end: offset, read_time: None, unreadable: false, finished: false };
                collector.close_tick(&setup, s(100), &at, &[])
            })
            .collect()
    };
    let run = |order: &[&[usize]]| {
        let (mut merger, mut all) = (Merger::new(&setup), Vec::new());
        for (number, outputs) in order.iter().enumerate() {
            // one tick may bring several sayings of a partition, one after the other
            for output in *outputs {
                let at = PartitionTick { end: 9, read_time: None, unreadable: false, finished: false };
                let tick = Tick { number: number as u64, time: s(100), partitions: vec![at], ..Tick::default() };
                merger.step(&setup, &tick, &mut [copy(&said[*output])], &mut all);
            }
        }
        (all.into_iter().filter(|r: &Row| r.start == s(0)).collect::<Vec<_>>(), merger.size())
    };
    let plain = run(&[&[0], &[1], &[2], &[3]]);
    assert_eq!(plain.0.len(), 4, "a, then a and b, then b: {:?}", plain.0);
    for order in [&[&[0usize, 0][..], &[1, 0, 1], &[0, 2, 1], &[3, 0, 1, 2]][..], &[&[0], &[1, 1], &[2, 1, 0], &[3, 2, 2]]] {
        assert_eq!(run(order), plain, "{order:?}");
    }
}

/// R1: floating sums are folded in partition order, whichever partition speaks first.
#[test]
fn r1_floats_fold_in_partition_order() {
    assert_ne!((0.1f64 + 0.2 + 0.3).to_bits(), (0.3f64 + 0.2 + 0.1).to_bits(), "order is seen in these values");
    let mean = (0.1 + 0.2 + 0.3) / 3.0;
    for first in 0..3 {
        let mut sim = minutes(3);
        for p in [first, (first + 1) % 3, (first + 2) % 3] {
            sim.event(p, "t.a", "a", s(10), json!({"x": ([0.1, 0.2, 0.3][p])})).step(s(11));
        }
        for p in 0..3 {
            sim.event(p, "t.a", "a", s(65), json!({}));
        }
        assert_eq!(sim.rows(s(65)), [format!("m,source=a 0 n=3i,x={mean} final r0")], "partition {first} first");
    }
}

/// R2: revision counts publications after the first, early ones included; state says how it stands; a row equal to the last is not said again.
#[test]
fn r2_revision_and_state() {
    let mut sim = minutes(1);
    sim.event(0, "t.a", "a", s(10), json!({"x": 1}));
    assert_eq!(sim.event(0, "t.a", "a", s(65), json!({})).rows(s(65)), ["m,source=a 0 n=1i,x=1.0 final r0"]);
    assert_eq!(sim.event(0, "t.a", "a", s(20), json!({"x": 2})).rows(s(66)), ["m,source=a 0 n=2i,x=1.5 final r1"]);
    assert_eq!(sim.rows(s(67)), NONE);
    assert_eq!(sim.event(0, "t.a", "c", s(30), json!({"x": 3})).rows(s(68)), ["m,source=c 0 n=1i,x=3.0 final r0"], "its own revisions");
}

/// R2: a measurement has one window definition.
#[test]
fn r2_one_definition() {
    let (one, two) = (pipeline(MINUTE), pipeline(MINUTE).replace("pipeline: p", "pipeline: q"));
    let mistakes = definitions(&[("pipelines/p.yaml", &one), ("pipelines/q.yaml", &two)]).compile(None).unwrap_err().to_string();
    assert!(mistakes.contains('m') && mistakes.contains("pipelines/q.yaml"), "{mistakes}");
}

/// R2: expected are the sources in force whose cadence is known, heard those accepted within max(every, cadence) before the end.
#[test]
fn r2_heard_and_expected() {
    let windows = "  - {measurement: by_area, every: 1m, by: [area], fields: {n: count()}}\n  - {measurement: by_source, every: 1m, by: [area, source], fields: {n: count()}}\n  - {measurement: whole, every: 1m, fields: {n: count()}}\n  - {measurement: other, every: 1m, by: [data.k], fields: {n: count()}}\n";
    let mut sim = Sim::new(with_registry(&pipeline(windows)), 1);
    // s0 (30 s) and "absent" (1 min) belong to A, s1 (3 min) to B; s2 has no cadence
    sim.event(0, "t.a", "s0", s(10), json!({"k": "k"})).event(0, "t.a", "s1", s(20), json!({}));
    assert_eq!(
        sim.event(0, "t.a", "s0", s(65), json!({})).rows(s(65)),
        [
            "by_area,area=A 0 n=1i final r0 1/2",
            "by_area,area=B 0 n=1i final r0 1/1",
            "by_source,area=A,source=s0 0 n=1i final r0 1/1",
            "by_source,area=B,source=s1 0 n=1i final r0 1/1",
            "other,k=k 0 n=1i final r0",
            "whole 0 n=2i final r0 2/3",
        ]
    );
    // a cadence longer than the window: s1 was heard at 20, within 3 min of 180 and 200 but not of 240
    let somebody = json!({"lon": 1.5, "lat": 0.5});
    for second in [130, 190] {
        sim.event(0, "t.a", "nobody", s(second), somebody.clone());
    }
    let rows = sim.event(0, "t.a", "nobody", s(245), somebody).rows(s(245));
    let of_b: Vec<_> = rows.iter().filter(|r| r.starts_with("by_area,area=B")).collect();
    assert_eq!(of_b, ["by_area,area=B 120 n=1i final r0 1/1", "by_area,area=B 180 n=1i final r0 0/1"]);
    // s1 is heard for [180, 240) after all: the row says so
    assert_eq!(
        sim.event(0, "t.a", "s1", s(239), json!({})).rows(s(246)).iter().filter(|r| r.starts_with("by_area")).collect::<Vec<_>>(),
        ["by_area,area=B 180 n=2i final r1 1/1"]
    );
}

/// R2: heard counts whom the registry expects: not a source whose registration says that it sends something else, or is over.
#[test]
fn r2_heard_counts_who_is_expected() {
    let sources = "id,type,lon,lat,cadence,valid_to\ns0,t.a,0.5,0.5,1m,\nother,t.b,0.5,0.5,1m,\ngone,t.a,0.5,0.5,1m,2025-07-14\n";
    let text = pipeline("  - {measurement: whole, every: 1m, fields: {n: count()}}\n");
    let files = [
        ("pipelines/p.yaml", text.as_str()),
        ("registry/sources/s.csv", sources),
        ("registry/areas/a.geojson", crate::support::sets::AREAS),
    ];
    let mut sim = Sim::new(crate::support::setup(&files), 1);
    sim.event(0, "t.a", "other", s(10), json!({})).event(0, "t.a", "gone", s(11), json!({}));
    assert_eq!(sim.event(0, "t.a", "other", s(65), json!({})).rows(s(65)), ["whole 0 n=2i final r0 0/1"]);
}

/// R4: copies count once and are counted; the key is (source, id); other data: first wins, counted as conflict; a restart knows them still.
#[test]
fn r4_duplicates_count_once() {
    let mut sim = minutes(1);
    let body = |source: &str, x: i64| event("t.a", source, "1", s(10), json!({"x": x}));
    sim.give(0, None, body("a", 1)).give(0, None, body("a", 1)).give(0, None, body("a", 9)).give(0, None, body("b", 3)).step(s(10));
    assert_eq!((counts(&sim), sim.lane.counts(0).conflict), ([4, 0, 0, 0, 2, 2], 1));
    sim.restart();
    sim.give(0, None, body("a", 1)).step(s(11));
    assert_eq!(counts(&sim), [5, 0, 0, 0, 3, 2], "dedup is restored with the rest");
    assert_eq!(sim.finish().rows(s(12)), ["m,source=a 0 n=1i,x=1.0 final r0", "m,source=b 0 n=1i,x=3.0 final r0"]);
}

/// R4: ids are kept for the longest window, at most 1 h, + lateness, by default; a late event is not remembered.
#[test]
fn r4_how_long_ids_are_kept() {
    let cases = [("10s", "1m", 70), ("10s", "6h", 3610), ("2m", "10s", 130)];
    for (lateness, every, seconds) in cases {
        let text = timed(&format!("lateness: {lateness}\n"), &format!("  - {{measurement: m, every: {every}, fields: {{n: count()}}}}\n"));
        assert_eq!(setup(&text).pipelines[0].timing.dedup, ioc::time::Span::seconds(seconds));
    }
    let mut sim = minutes(1);
    sim.event(0, "t.a", "a", s(100), json!({}));
    let late = event("t.a", "a", "late", s(10), json!({}));
    sim.give(0, None, late.clone()).give(0, None, late).give(0, None, event("t.a", "a", "late", s(100), json!({}))).step(s(100));
    assert_eq!(counts(&sim), [4, 0, 0, 2, 0, 2]);
}

/// R5, first half: quantiles are exact, nearest rank, up to 1,024 values of a window, key and partition.
#[test]
fn r5_quantiles_are_exact() {
    let fields = "{p50: p50(data.x), p75: p75(data.x), p90: p90(data.x), p95: p95(data.x), p99: p99(data.x)}";
    for n in [1usize, 2, 20, 1024] {
        let mut sim = Sim::new(setup(&pipeline(&format!("  - {{measurement: q, every: 1m, fields: {fields}}}\n"))), 2);
        for i in 0..n {
            // in no order, half on each partition
            let x = (i * 769 % n) as f64 * 0.01 - 3.0;
            sim.event(i % 2, "t.a", "a", s(10), json!({"x": x}));
        }
        sim.finish().step(s(20));
        let rank = |q: f64| ((q * n as f64).ceil() as usize - 1) as f64 * 0.01 - 3.0;
        let found: Vec<f64> = sim.rows[0].values.iter().map(|v| v.number().unwrap()).collect();
        assert_eq!(found, [0.5, 0.75, 0.9, 0.95, 0.99].map(rank), "{n} values");
    }
}

/// R6: null is no observation; a field without observations is absent, the row is there; a value outside its range empties that field only.
#[test]
fn r6_no_value() {
    let windows = "  - {measurement: m, every: 1m, by: [source], fields: {n: count(), x: mean(data.x), big: countif(data.x > 5), span: max(data.x) - min(data.x)}}\n";
    let mut sim = Sim::new(setup(&pipeline(windows)), 1);
    sim.event(0, "t.a", "null", s(10), json!({"x": null}));
    sim.event(0, "t.a", "missing", s(10), json!({}));
    sim.event(0, "t.a", "range", s(10), json!({"x": 10.5, "k": "still here"}));
    sim.event(0, "t.a", "range", s(11), json!({"x": 10}));
    sim.event(0, "t.a", "shape", s(11), json!({"x": "10"}));
    let rows = sim.finish().rows(s(20));
    assert_eq!(
        rows,
        [
            "m,source=missing 0 n=1i,big=0i final r0",
            "m,source=null 0 n=1i,big=0i final r0",
            "m,source=range 0 n=2i,x=10.0,big=1i,span=0.0 final r0"
        ]
    );
    let c = sim.lane.counts(0);
    assert_eq!((c.invalid_field, c.rejected_total()), (1, 1), "a wrong shape rejects the event");
    let of: Vec<u32> = (0..3).map(|i| sim.lane.collectors[0].counts(0).sources[i].invalid_field).collect();
    assert_eq!(of, [0, 0, 1], "counted for its source");
}

/// R5: quantiles and distinct counts beyond 1,024 values of a window, key and partition are a sketch's, within 1 % and 2 %; the row says so.
#[test]
fn r5_beyond_the_bound_the_row_says_so() {
    let window = "  - {measurement: q, every: 1m, by: [source], fields: {p50: p50(data.x), p99: p99(data.x), kinds: distinct(data.k)}}\n";
    let mut sim = Sim::new(setup(&pipeline(window)), 3);
    // "even": 1,024 values on each of three partitions; "much": 1,025 on one of them, some on another
    let x = |n: usize| (n * 769 % 1024) as f64 / 103.0 - 2.0;
    let mut all = Vec::new();
    for i in 0..3072usize {
        let data = |n: usize| json!({"x": x(n), "k": format!("k{n}")});
        sim.event(i % 3, "t.a", "even", s(10), data(i));
        if i < 1025 {
            sim.event(1, "t.a", "much", s(11), data(i));
            sim.event(2, "t.a", "much", s(11), data(i % 100));
            all.extend([x(i), x(i % 100)]);
        }
    }
    all.sort_by(f64::total_cmp);
    sim.step(s(12));
    sim.restart();
    sim.finish().step(s(20));
    let [even, much] = &sim.rows[..] else { panic!("{:?}", sim.rows) };
    assert_eq!((even.approx, much.approx), (false, true));
    assert_eq!(even.values[2], ioc::engine::FieldValue::Int(3072), "exact on each partition, exact together");
    let near = |found: ioc::engine::FieldValue, exact: f64, off: f64| {
        let found = found.number().unwrap();
        assert!((found - exact).abs() <= exact.abs() * off, "{found} for {exact}");
    };
    near(much.values[0], all[1025 - 1], 0.01);
    near(much.values[1], all[(0.99f64 * 2050.0).ceil() as usize - 1], 0.01);
    near(much.values[2], 1025.0, 0.02);
    let mut line = Vec::new();
    ioc::store::line::LineFormat::new(&sim.setup.pipelines[0].windows[0]).render(much, &mut line);
    let text = String::from_utf8(line).unwrap();
    assert!(text.contains(",approx=true,revision=0i,"), "{text}");
    assert!(ioc::store::line::parse_line(text.trim_end().as_bytes()).is_some());
}

/// R5: a ratio is that of the sums, over partitions and the events of a window alike.
#[test]
fn r5_ratios_keep_numerator_and_denominator() {
    let window =
        "  - {measurement: m, every: 1m, by: [source], fields: {rate: countif(data.ok) / count(), each: sum(data.x) / distinct(data.k)}}\n";
    let mut sim = Sim::new(setup(&pipeline(window)), 2);
    for (partition, ok, k) in [(0, true, "a"), (1, false, "a"), (1, false, "b"), (1, false, "b")] {
        sim.event(partition, "t.a", "a", s(10), json!({"ok": ok, "x": 3, "k": k}));
    }
    assert_eq!(sim.finish().rows(s(11)), ["m,source=a 0 rate=0.25,each=6.0 final r0"]);
}

/// R6 and R5: different values of any type, with a condition; the rise of a counter over partitions, resets and disorder.
#[test]
fn r6_distinct_and_increase_without_observations() {
    let window = "  - {measurement: m, every: 1m, by: [source], fields: {n: count(), kinds: distinct(data.k), good: 'distinct(data.k, data.ok)', rise: increase(data.x)}}\n";
    let mut sim = Sim::new(setup(&pipeline(window)), 2);
    for (partition, second, x, k, ok) in
        [(0, 10, 1.0, "a", true), (1, 30, 2.0, "b", false), (0, 20, 5.0, "a", false), (1, 40, 6.0, "c", true)]
    {
        sim.event(partition, "t.a", "a", s(second), json!({"x": x, "k": k, "ok": ok}));
    }
    sim.event(0, "t.a", "none", s(10), json!({"x": 7}));
    let rows = sim.finish().rows(s(41));
    // 1, 5, then a reset: 2, 6
    assert_eq!(rows, ["m,source=a 0 n=4i,kinds=3i,good=2i,rise=10.0 final r0", "m,source=none 0 n=1i final r0"]);
}
