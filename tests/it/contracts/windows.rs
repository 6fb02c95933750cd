//! Hopping and calendar windows: T0, T6, R2, D6.

use super::{counts, pipeline, setup, timed, with_registry};
use crate::support::feed::Sim;
use crate::support::s;
use ioc::time::{Span, Timestamp};
use serde_json::json;

const HOP: &str = "  - {measurement: m, period: 1m, every: 20s, by: [source], fields: {n: count(), x: mean(data.x)}}\n";

/// T0: an event lies in every window that holds it; where only some refuse it, it is accepted and counted partly late, once.
#[test]
fn t0_an_event_lies_in_several_windows() {
    let mut sim = Sim::new(setup(&pipeline(HOP)), 1);
    // the watermark is at 53: what ends at 40 takes nothing any more
    sim.event(0, "t.a", "a", s(58), json!({"x": 1})).event(0, "t.a", "a", s(30), json!({"x": 2})).step(s(58));
    assert_eq!((counts(&sim), sim.lane.counts(0).partly_late.clone()), ([2, 0, 0, 0, 0, 2], vec![1]));
    sim.restart();
    // at 68 what ends at 60 and 80 takes it, what ended at 40 does not; 10 lies in what ends at 20, 40, 60
    sim.event(0, "t.a", "a", s(73), json!({"x": 3})).event(0, "t.a", "b", s(10), json!({"x": 4})).step(s(73));
    assert_eq!((counts(&sim), sim.lane.counts(0).partly_late.clone()), ([4, 0, 0, 0, 0, 4], vec![2]));
    sim.event(0, "t.a", "a", s(75), json!({})).event(0, "t.a", "b", s(10), json!({"x": 5})).step(s(75));
    assert_eq!(counts(&sim), [6, 0, 0, 1, 0, 5], "late: every window refuses it");
    sim.finish().step(s(75));
    let last: Vec<String> = sim.values().0.into_iter().map(|(identity, row)| format!("{identity} {row}")).collect();
    assert_eq!(
        last,
        [
            "m,source=a 0 n=2i,x=1.5 None None",
            "m,source=a 20 n=4i,x=2.0 None None",
            "m,source=a 40 n=3i,x=2.0 None None",
            "m,source=a 60 n=2i,x=3.0 None None",
            "m,source=b 0 n=1i,x=4.0 None None",
        ]
    );
}

/// T5: each fires by its own end, in the order of ends.
#[test]
fn t5_hopping_windows_fire_by_their_ends() {
    let mut sim = Sim::new(setup(&pipeline(HOP)), 1);
    sim.event(0, "t.a", "a", s(0), json!({"x": 1})).event(0, "t.a", "a", s(64), json!({"x": 3}));
    assert_eq!(sim.rows(s(64)), ["m,source=a -40 n=1i,x=1.0 final r0", "m,source=a -20 n=1i,x=1.0 final r0"]);
    assert_eq!(sim.event(0, "t.a", "a", s(65), json!({})).rows(s(65)), ["m,source=a 0 n=1i,x=1.0 final r0"]);
}

/// T6: a window of an hour or more publishes early by default, whatever the step; `dedup` goes by the length.
#[test]
fn t6_the_length_decides_defaults() {
    for (length, early) in [("period: 1h, every: 15m", Some(Span::minutes(1))), ("period: 59m, every: 1m", None)] {
        let setup = setup(&pipeline(&format!("  - {{measurement: m, {length}, fields: {{n: count()}}}}\n")));
        let p = &setup.pipelines[0];
        assert_eq!(p.windows[0].early, early, "{length}");
        assert_eq!(p.timing.dedup, p.windows[0].alignment.period().nominal() + Span::seconds(10));
    }
}

/// R2: a source is heard within max(length, cadence) before the end.
#[test]
fn r2_heard_within_the_length() {
    let windows = "  - {measurement: m, period: 1m, every: 30s, by: [area], fields: {n: count()}}\n";
    let mut sim = Sim::new(with_registry(&pipeline(windows)), 1);
    // s0 (cadence 30 s) and "absent" belong to A; s1 (3 min) to B
    sim.event(0, "t.a", "s0", s(10), json!({})).event(0, "t.a", "s1", s(11), json!({}));
    let rows = sim.event(0, "t.a", "s1", s(65), json!({})).rows(s(65));
    assert_eq!(
        rows,
        [
            "m,area=A -30 n=1i final r0 1/2",
            "m,area=B -30 n=1i final r0 1/1",
            "m,area=A 0 n=1i final r0 1/2",
            "m,area=B 0 n=1i final r0 1/1"
        ]
    );
}

/// D6: overlapping windows are held only while they can change.
#[test]
fn d6_hopping_windows_stay_bounded() {
    let mut sim = Sim::new(setup(&pipeline(HOP)), 1);
    let mut most = (0, 0);
    for second in (0..3600).step_by(7) {
        sim.event(0, "t.a", "a", s(second), json!({})).step(s(second));
        let size = sim.lane.core.merger().size();
        most = (most.0.max(size.0), most.1.max(size.1));
    }
    assert!(most.0 <= 4 && most.1 <= 4, "{most:?}");
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text.as_bytes()).unwrap()
}

/// T6: days, weeks and months follow the calendar of the pipeline's zone, through the nights in which clocks change, checkpoints and all.
#[test]
fn t6_calendar_windows_follow_the_zone() {
    let windows = "  - {measurement: day, every: 1d, early: 6h, fields: {n: count()}}\n  - {measurement: month, every: 1mo, early: 1d, fields: {n: count()}}\n  - {measurement: moving, period: 7d, every: 1d, early: 1d, fields: {n: count()}}\n  - {measurement: week, every: 1w, early: 1d, fields: {n: count()}}\n";
    let text = timed("lateness: 1h\ntime_zone: Europe/London\n", windows);
    let mut sim = Sim::new(setup(&text), 1);
    // one event an hour from Friday 2025-03-28 to Tuesday 2025-04-01; in the night to Sunday the clocks go forward
    let (first, last) = (at("2025-03-28T00:30:00Z"), at("2025-04-01T09:30:00Z"));
    let mut time = first;
    while time <= last {
        sim.event(0, "t.a", "a", time, json!({})).step(time);
        sim.restart();
        time = time + Span::hours(1);
    }
    sim.finish().step(last);
    let counted = |measurement: &str, start: &str| {
        let window = sim.setup.pipelines[0].windows.iter().position(|w| w.measurement == measurement).unwrap();
        let row = sim.rows.iter().rfind(|r| r.window == window as u16 && r.start == at(start)).unwrap();
        (row.values[0].number().unwrap() as i64, row.end.to_string(), row.state)
    };
    use ioc::engine::RowState::Final;
    for (measurement, start, n, end) in [
        ("day", "2025-03-29T00:00:00Z", 24, "2025-03-30T00:00:00Z"),
        ("day", "2025-03-30T00:00:00Z", 23, "2025-03-30T23:00:00Z"),
        ("day", "2025-03-30T23:00:00Z", 24, "2025-03-31T23:00:00Z"),
        ("week", "2025-03-24T00:00:00Z", 71, "2025-03-30T23:00:00Z"),
        ("week", "2025-03-30T23:00:00Z", 35, "2025-04-06T23:00:00Z"),
        ("month", "2025-03-01T00:00:00Z", 95, "2025-03-31T23:00:00Z"),
        ("month", "2025-03-31T23:00:00Z", 11, "2025-04-30T23:00:00Z"),
        ("moving", "2025-03-24T00:00:00Z", 71, "2025-03-30T23:00:00Z"),
        ("moving", "2025-03-28T00:00:00Z", 106, "2025-04-03T23:00:00Z"),
    ] {
        assert_eq!(counted(measurement, start), (n, end.to_owned(), Final), "{measurement} {start}");
    }
    let early = sim.rows.iter().filter(|r| r.window == 0 && r.state != Final).count();
    assert!(early >= 12, "a day's rows come early, every 6 h: {early}");
}

const FILLED: &str =
    "  - {measurement: m, every: 1m, by: [data.k], fill: 0, fields: {n: count(), x: sum(data.x), kinds: distinct(source)}}\n";

/// R6: windows without events have rows of the keys seen in the last 7 d: counts are 0, the rest is absent. T5: by watermark.
#[test]
fn r6_empty_windows_are_filled() {
    let mut sim = Sim::new(setup(&pipeline(FILLED)), 1);
    sim.event(0, "t.a", "a", s(10), json!({"k": "p", "x": 1})).event(0, "t.a", "a", s(20), json!({"k": "q"}));
    assert_eq!(
        sim.event(0, "t.a", "a", s(70), json!({"k": "q"})).rows(s(70)),
        ["m,k=p 0 n=1i,x=1.0,kinds=1i final r0", "m,k=q 0 n=1i,kinds=1i final r0"]
    );
    sim.restart();
    // [60, 120) has q alone, [120, 180) nothing; what begins with 240 is not over
    assert_eq!(
        sim.event(0, "t.a", "b", s(250), json!({"k": "r"})).rows(s(250)),
        [
            "m,k=p 60 n=0i,kinds=0i final r0",
            "m,k=q 60 n=1i,kinds=1i final r0",
            "m,k=p 120 n=0i,kinds=0i final r0",
            "m,k=q 120 n=0i,kinds=0i final r0",
            "m,k=p 180 n=0i,kinds=0i final r0",
            "m,k=q 180 n=0i,kinds=0i final r0",
        ]
    );
    // it was 0, now it is not: a revision; and who is seen only now was seen before what comes after
    assert_eq!(sim.event(0, "t.a", "a", s(236), json!({"k": "p"})).rows(s(251)), ["m,k=p 180 n=1i,kinds=1i final r1"]);
    assert_eq!(
        sim.finish().rows(s(252)),
        ["m,k=p 240 n=0i,kinds=0i final r0", "m,k=q 240 n=0i,kinds=0i final r0", "m,k=r 240 n=1i,kinds=1i final r0"]
    );
    assert_eq!(sim.lane.core.merger().size(), (0, 0));
}

/// T5: empty windows fire by tick time where all partitions are idle, incomplete at their deadline where one holds them.
#[test]
fn t5_empty_windows_fire_though_nothing_comes() {
    let mut sim = Sim::new(setup(&pipeline(FILLED)), 2);
    sim.event(0, "t.a", "a", s(10), json!({"k": "p"})).event(1, "t.a", "a", s(10), json!({"k": "p"})).step(s(10));
    assert_eq!(sim.lane.next_deadline(), Some(s(40)), "idle");
    assert_eq!(sim.rows(s(64)), [""; 0]);
    assert_eq!(sim.rows(s(65)), ["m,k=p 0 n=2i,kinds=1i final r0"]);
    assert_eq!(sim.lane.next_deadline(), Some(s(125)), "the next window without events");
    assert_eq!(sim.rows(s(124)), [""; 0]);
    assert_eq!(sim.rows(s(125)), ["m,k=p 60 n=0i,kinds=0i final r0"]);
    // one partition goes on, the other is silent but not idle at 126
    sim.event(0, "t.a", "a", s(126), json!({"k": "p"})).step(s(126));
    let mut said = Vec::new();
    for second in 127..400 {
        if second % 20 == 0 {
            sim.event(1, "t.a", "a", s(130), json!({"k": "q"}));
        }
        said.extend(sim.rows(s(second)).into_iter().map(|row| format!("{second}: {row}")));
    }
    assert_eq!(
        said,
        [
            "305: m,k=p 120 n=1i,kinds=1i incomplete r0",
            "305: m,k=q 120 n=9i,kinds=1i incomplete r0",
            "320: m,k=q 120 n=10i,kinds=1i incomplete r1",
            "340: m,k=q 120 n=11i,kinds=1i incomplete r2",
            "360: m,k=q 120 n=12i,kinds=1i incomplete r3",
            "365: m,k=p 180 n=0i,kinds=0i incomplete r0",
            "365: m,k=q 180 n=0i,kinds=0i incomplete r0",
            "380: m,k=q 120 n=13i,kinds=1i incomplete r4",
        ]
    );
}

/// R6: whom the registry expects has a row too, with heard 0: by source, by area, and as a whole.
#[test]
fn r6_expected_keys_are_filled() {
    let windows = ["[area, source]", "[area]", "[]"].map(|by| {
        let name = by.replace(['[', ']', ',', ' '], "");
        format!("  - {{measurement: m_{name}, every: 1m, by: {by}, fill: 0, fields: {{n: count()}}}}\n")
    });
    let mut sim = Sim::new(with_registry(&pipeline(&windows.concat())), 1);
    // s0 and "absent" belong to A, s1 to B; s2 has no cadence
    sim.event(0, "t.a", "s0", s(10), json!({}));
    let rows = sim.event(0, "t.a", "s2", s(130), json!({})).rows(s(130));
    assert_eq!(
        rows,
        [
            "m_ 0 n=1i final r0 1/3",
            "m_area,area=A 0 n=1i final r0 1/2",
            "m_area,area=B 0 n=0i final r0 0/1",
            "m_areasource,area=A,source=absent 0 n=0i final r0 0/1",
            "m_areasource,area=A,source=s0 0 n=1i final r0 1/1",
            "m_areasource,area=B,source=s1 0 n=0i final r0 0/1",
            "m_ 60 n=0i final r0 0/3",
            "m_area,area=A 60 n=0i final r0 0/2",
            "m_area,area=B 60 n=0i final r0 0/1",
            "m_areasource,area=A,source=absent 60 n=0i final r0 0/1",
            "m_areasource,area=A,source=s0 60 n=0i final r0 0/1",
            "m_areasource,area=B,source=s1 60 n=0i final r0 0/1",
        ]
    );
}

/// D6, D7: seven days without events are filled and then no more; a gap of years costs no more; what fires at once is bounded.
#[test]
fn d7_a_gap_is_filled_for_seven_days() {
    let text = FILLED.replace("every: 1m", "every: 1h, early: 30m");
    let mut sim = Sim::new(setup(&pipeline(&text)), 1);
    let year = Span::days(365);
    sim.event(0, "t.a", "a", s(10), json!({"k": "p"})).step(s(10));
    sim.event(0, "t.a", "a", s(10) + year, json!({"k": "q"})).step(s(10) + year);
    sim.finish().step(s(11) + year);
    let of = |k: &str| sim.rows.iter().filter(|r| r.state == ioc::engine::RowState::Final && *r.key.tags[0] == *k).count();
    assert_eq!((of("p"), of("q")), (1 + 7 * 24, 1));
    let seen = serde_json::to_value(sim.lane.save()).unwrap()["pipes"][0]["windows"][0]["fill"]["seen"].clone();
    assert!(seen.as_object().unwrap().len() <= 1, "who is not shown any more is forgotten: {seen}");
}

/// D7: keys times windows that fire at once: 50,000 rows a tick, the rest at the next, in order, over a restart.
#[test]
fn d7_filling_is_bounded_per_tick() {
    let mut sim = Sim::new(setup(&pipeline(FILLED)), 1);
    for i in 0..300 {
        sim.event(0, "t.a", "a", s(10), json!({"k": format!("k{i:03}")}));
    }
    sim.step(s(10));
    sim.event(0, "t.a", "a", s(10 + 300 * 60), json!({"k": "k000"}));
    let mut time = s(10 + 300 * 60);
    let mut ticks = 0;
    while sim.step(time).rows.len() == 50_000 || sim.lane.core.merger().owes() {
        assert!(sim.lane.next_deadline().is_some_and(|d| d <= time + Span(1)));
        sim.restart();
        time = time + Span(1);
        ticks += 1;
    }
    assert_eq!((sim.rows.len(), ticks), (300 * 300, 1));
    assert!(sim.rows.is_sorted_by_key(|r| (r.end, r.key.tags.clone())));
}
