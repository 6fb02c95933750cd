//! Rules on absent sources (T7, R7, T0): who is silent, since when, and what does not make it so.

use super::timed;
use crate::support::feed::Sim;
use crate::support::{T0, s, sets, setup};
use ioc::engine::setup::Setup;
use ioc::engine::snapshot::LaneState;
use ioc::engine::{ChangeReason, Condition};
use serde_json::json;
use std::sync::Arc;

const SOURCES: &str = "id,type,lon,lat,cadence\na,t.a,0.5,0.5,30s\nb,t.a,1.5,0.5,3m\nno-cadence,t.a,0.5,0.5,\n";

fn with(after: &str, sources: &str) -> Arc<Setup> {
    let text = timed("lateness: 10m\n", super::MINUTE)
        + &format!(
            "alerts:\n  - {{alert: silent, absent: t.a, after: {after}, severity: notice, title: {{vi: \"{{source}} ở {{area.name}} im lặng\", en: \"{{source}} is silent\"}}}}\n"
        );
    let files = [
        ("pipelines/p.yaml", text.as_str()),
        ("schemas/t.a.json", sets::SCHEMA),
        ("registry/sources/s.csv", sources),
        ("registry/areas/a.geojson", sets::AREAS),
    ];
    setup(&files)
}

fn lane(partitions: usize) -> Sim {
    Sim::new(with("3 * cadence", SOURCES), partitions)
}

/// `source from>to at reason` of a tick.
fn step(sim: &mut Sim, seconds: i64) -> Vec<String> {
    let effects = sim.step(s(seconds));
    let text = |condition| match condition {
        Condition::Inactive => "inactive",
        Condition::Firing => "firing",
        Condition::Resolved => "resolved",
        _ => "other",
    };
    let line = |c: &ioc::engine::AlertChange| {
        let reason = c.reason.map(|r| format!(" {r:?}")).unwrap_or_default();
        format!("{} {}>{} {}{reason}", c.key.tags[1], text(c.from), text(c.to), (c.at - T0).0 / 1_000_000_000)
    };
    effects.changes.iter().map(line).collect()
}

fn hear(sim: &mut Sim, partition: usize, source: &str, seconds: i64) {
    sim.event(partition, "t.a", source, s(seconds), json!({"x": 1}));
}

/// T7: silence is complete `after` past what was last heard, by event times; the next event ends it. What was never heard counts from the
/// lane's first tick; a source without cadence is not waited for; an unregistered one moves the watermark and no more.
#[test]
fn t7_silence_begins_and_ends_by_event_times() {
    let mut sim = lane(1);
    hear(&mut sim, 0, "a", 10);
    assert_eq!(step(&mut sim, 10), [""; 0]);
    hear(&mut sim, 0, "pulse", 104);
    assert_eq!(step(&mut sim, 104), [""; 0], "the watermark is 99");
    hear(&mut sim, 0, "pulse", 105);
    let effects = sim.step(s(105));
    let change = &effects.changes[0];
    assert_eq!((change.to, change.at, change.window_start, change.since), (Condition::Firing, s(100), s(10), s(10)));
    assert_eq!(change.key.tags, ["A".into(), "a".into()]);
    assert_eq!(effects.alerts[0].label.title.vi, "a ở Area A im lặng");
    hear(&mut sim, 0, "a", 130);
    assert_eq!(step(&mut sim, 130), ["a firing>resolved 130"]);
    hear(&mut sim, 0, "pulse", 600);
    // a: 130 + 90; b: 10 + 540, never heard since the first tick
    assert_eq!(step(&mut sim, 600), ["a inactive>firing 220", "b inactive>firing 550"]);
}

/// T7, T5: where all are idle nothing but time passes: silence is found `out_of_orderness` after it is complete, and a tick falls there.
#[test]
fn t7_an_idle_lane_finds_silence() {
    let mut sim = lane(1);
    hear(&mut sim, 0, "a", 10);
    step(&mut sim, 10);
    let mut found = Vec::new();
    for _ in 0..20 {
        let Some(next) = sim.lane.next_deadline().filter(|next| *next < s(600)) else { break };
        let at = (next - T0).0 / 1_000_000_000;
        found.extend(step(&mut sim, at).into_iter().map(|change| (at, change)));
    }
    assert_eq!(found, [(105, "a inactive>firing 100".to_owned()), (555, "b inactive>firing 550".to_owned())]);
}

/// T0, T7: backfill clears nothing: last heard is by event time, of accepted events only. An event from before silence was complete says
/// that it never was: resolved, *revised*.
#[test]
fn t7_backfill_does_not_clear_silence() {
    let mut sim = lane(1);
    hear(&mut sim, 0, "a", 10);
    step(&mut sim, 10);
    hear(&mut sim, 0, "pulse", 205);
    assert_eq!(step(&mut sim, 205), ["a inactive>firing 100"]);
    hear(&mut sim, 0, "a", 80);
    assert_eq!(step(&mut sim, 206), [""; 0], "80 + 90 has passed too");
    hear(&mut sim, 0, "a", 111);
    assert_eq!(step(&mut sim, 207), ["a firing>resolved 111"], "111 + 90 has not");
    let mut sim = lane(1);
    hear(&mut sim, 0, "a", 10);
    step(&mut sim, 10);
    hear(&mut sim, 0, "pulse", 105);
    assert_eq!(step(&mut sim, 105), ["a inactive>firing 100"]);
    hear(&mut sim, 0, "a", 95);
    assert_eq!(step(&mut sim, 106), ["a firing>resolved 100 Revised"]);
    // a copy is a duplicate, an event past lateness is late: neither is heard
    hear(&mut sim, 0, "pulse", 2000);
    assert_eq!(step(&mut sim, 2000), ["a inactive>firing 185", "b inactive>firing 550"]);
    hear(&mut sim, 0, "b", 1000);
    assert_eq!(step(&mut sim, 2001), [""; 0]);
    assert_eq!(sim.lane.counts(0).late, 1);
}

/// R7, T7: time in which a partition could not be read is no silence, whether others could be read meanwhile or none.
#[test]
fn t7_unreadable_time_is_no_silence() {
    for others in [false, true] {
        let mut sim = lane(if others { 2 } else { 1 });
        let show = |sim: &mut Sim, at: i64, unreadable: bool| {
            let partition = sim.partition(0);
            partition.unreadable = unreadable;
            if !unreadable {
                partition.read_time = Some(s(at));
            }
            if others {
                sim.partition(1).read_time = Some(s(at));
            }
        };
        sim.event_at(0, s(10), "a", s(10), json!({}));
        show(&mut sim, 10, false);
        assert_eq!(step(&mut sim, 10), [""; 0]);
        show(&mut sim, 50, true);
        // with others tick time goes on, without it stands still
        let dark = if others { [50, 1000] } else { [10, 10] };
        for at in dark {
            assert_eq!(step(&mut sim, at).iter().filter(|c| c.starts_with('a')).count(), 0);
        }
        show(&mut sim, 1010, false);
        assert_eq!(step(&mut sim, 1010).iter().filter(|c| c.starts_with('a')).count(), 0, "nothing of 10 to 1010 counts");
        show(&mut sim, 1104, false);
        assert_eq!(step(&mut sim, 1104).iter().filter(|c| c.starts_with('a')).count(), 0);
        show(&mut sim, 1105, false);
        assert_eq!(step(&mut sim, 1105).last().map(String::as_str), Some("a inactive>firing 1100"), "others: {others}");
    }
}

/// T7: a source on several partitions is silent when all that heard it say so; one that was never heard when all do.
#[test]
fn t7_all_partitions_that_heard_a_source_say_so() {
    let mut sim = lane(3);
    hear(&mut sim, 0, "a", 10);
    hear(&mut sim, 1, "a", 40);
    step(&mut sim, 40);
    // partition 2 never heard it and does not matter; partition 1 is behind
    hear(&mut sim, 0, "pulse", 300);
    assert_eq!(step(&mut sim, 60), [""; 0]);
    hear(&mut sim, 1, "pulse", 134);
    assert_eq!(step(&mut sim, 61), [""; 0]);
    hear(&mut sim, 1, "pulse", 135);
    assert_eq!(step(&mut sim, 62), ["a inactive>firing 130"]);
    hear(&mut sim, 0, "pulse", 700);
    hear(&mut sim, 1, "pulse", 700);
    assert_eq!(step(&mut sim, 63), [""; 0], "partition 2 may still bring b");
    hear(&mut sim, 2, "pulse", 700);
    assert_eq!(step(&mut sim, 64), ["b inactive>firing 580"], "never heard since the first tick, at 40");
}

/// A source that leaves the registry's force is no longer waited for; one that comes into it counts from then.
#[test]
fn r7_sources_are_waited_for_while_they_are_in_force() {
    // 07:10 to 07:20; the lane begins at 07:00
    let sources = "id,type,cadence,valid_from,valid_to\na,t.a,1m,2025-07-15T07:10:00+07:00,2025-07-15T07:20:00+07:00\n";
    let mut sim = Sim::new(with("3 * cadence", sources), 1);
    hear(&mut sim, 0, "pulse", 0);
    step(&mut sim, 0);
    for (at, expected) in [(700, vec![]), (786, vec!["a inactive>firing 780"]), (1300, vec!["a firing>resolved 1200"]), (3000, vec![])] {
        hear(&mut sim, 0, "pulse", at);
        assert_eq!(step(&mut sim, at), expected, "at {at}");
    }
}

/// `after` as a span needs no cadence; a sum waits for both.
#[test]
fn r7_after_may_be_a_span_or_a_sum() {
    let sources = "id,type,cadence\nloader,t.a,30s\nother,t.a,\n";
    let mut sim = Sim::new(with("2m", sources), 1);
    hear(&mut sim, 0, "pulse", 0);
    step(&mut sim, 0);
    hear(&mut sim, 0, "pulse", 125);
    assert_eq!(step(&mut sim, 125), ["loader inactive>firing 120", "other inactive>firing 120"]);
    let mut sim = Sim::new(with("1 * cadence + 1m", sources), 1);
    hear(&mut sim, 0, "pulse", 0);
    step(&mut sim, 0);
    hear(&mut sim, 0, "pulse", 125);
    assert_eq!(step(&mut sim, 125), ["loader inactive>firing 90"]);
}

/// D2: under a changed rule or registry what is no longer waited for as it was resolves, *rule changed*; the rest keeps what it heard.
#[test]
fn d2_silences_under_a_changed_rule_or_registry() {
    let silent = |sim: &mut Sim| {
        hear(sim, 0, "a", 10);
        hear(sim, 0, "b", 10);
        step(sim, 10);
        hear(sim, 0, "pulse", 105);
        assert_eq!(step(sim, 105), ["a inactive>firing 100"]);
    };
    let under = |sim: &mut Sim, setup: Arc<Setup>| {
        let state: LaneState = serde_json::from_slice(&serde_json::to_vec(&sim.lane.save()).unwrap()).unwrap();
        sim.lane = ioc::engine::lane::Lane::restore(setup.clone(), state).unwrap();
        sim.setup = setup;
    };
    // the same: goes on
    let mut sim = lane(1);
    silent(&mut sim);
    let same = sim.setup.clone();
    under(&mut sim, same);
    hear(&mut sim, 0, "pulse", 600);
    assert_eq!(step(&mut sim, 600), ["b inactive>firing 550"]);
    // another rule
    let mut sim = lane(1);
    silent(&mut sim);
    under(&mut sim, with("5 * cadence", SOURCES));
    let effects = sim.step(s(106));
    assert_eq!(effects.changes.len(), 1);
    assert_eq!((effects.changes[0].to, effects.changes[0].reason), (Condition::Resolved, Some(ChangeReason::RuleChanged)));
    assert_eq!(effects.alerts[0].condition, Condition::Resolved);
    // a is gone, b has another cadence: 10 + 3 × 2 min
    let mut sim = lane(1);
    silent(&mut sim);
    under(&mut sim, with("3 * cadence", "id,type,lon,lat,cadence\nb,t.a,1.5,0.5,2m\n"));
    assert_eq!(step(&mut sim, 106), ["a firing>resolved 105 RuleChanged"]);
    hear(&mut sim, 0, "pulse", 400);
    assert_eq!(step(&mut sim, 400), ["b inactive>firing 370"]);
}

const DARK: &str = "  - alert: dark\n    on: m\n    when: x > 8\n    until: x < 2\n    stands_for: [silent]\n    severity: critical\n    title: {vi: Tối, en: Dark}\n";

/// Two areas; s0 and s3 in A, s1 in B; each window fires with the next minute's event of an unregistered source.
fn dark() -> Sim {
    let text = timed(
        "lateness: 10m\n",
        "  - {measurement: m, every: 1m, by: [area], where: data.k == \"area\", fields: {x: max(data.x)}}\n  - {measurement: n, every: 1m, fields: {n: count()}}\n",
    ) + "alerts:\n  - {alert: silent, absent: t.a, after: 3 * cadence, severity: notice, title: {vi: Im, en: Silent}}\n"
        + DARK;
    let sources = "id,type,lon,lat,cadence\ns0,t.a,0.5,0.5,30s\ns3,t.a,0.6,0.5,1m\ns1,t.a,1.5,0.5,30s\n";
    let files = [
        ("pipelines/p.yaml", text.as_str()),
        ("schemas/t.a.json", sets::SCHEMA),
        ("registry/sources/s.csv", sources),
        ("registry/areas/a.geojson", sets::AREAS),
    ];
    Sim::new(setup(&files), 1)
}

/// The area's own figure, at a time of a minute that the next one closes.
fn area(sim: &mut Sim, seconds: i64, x: i64) {
    sim.event(0, "t.a", "area-a", s(seconds), json!({"x": x, "k": "area", "lon": 0.5, "lat": 0.5}));
}

/// An alert on an area stands for single silences there: they do not fire anew while it stands, it keeps their count, and those that last
/// longer than it fire when it ends. Others fire as ever.
#[test]
fn r7_an_areas_alert_stands_for_single_silences() {
    for restarts in [false, true] {
        let mut sim = dark();
        let at = |sim: &mut Sim, seconds: i64| {
            if restarts {
                sim.restart();
            }
            let effects = sim.step(s(seconds));
            let lines: Vec<String> = effects
                .changes
                .iter()
                .map(|c| format!("{} {:?} {}", c.key.tags.last().unwrap(), c.to, (c.at - T0).0 / 1_000_000_000))
                .collect();
            let counts: Vec<u32> = effects.alerts.iter().filter(|a| a.label.rule == "dark").map(|a| a.stands_for).collect();
            (lines, counts)
        };
        for source in ["s0", "s1", "s3"] {
            hear(&mut sim, 0, source, 10);
        }
        area(&mut sim, 30, 9);
        assert_eq!(at(&mut sim, 30), (vec![], vec![]));
        hear(&mut sim, 0, "pulse", 66);
        assert_eq!(at(&mut sim, 66), (vec!["A Firing 60".to_owned()], vec![0]));
        hear(&mut sim, 0, "pulse", 106);
        assert_eq!(at(&mut sim, 106), (vec!["s1 Firing 100".to_owned()], vec![1]), "s0 is silent too, and stands under the area");
        hear(&mut sim, 0, "pulse", 200);
        assert_eq!(at(&mut sim, 200), (vec![], vec![2]), "s3 at 190");
        hear(&mut sim, 0, "s3", 201);
        assert_eq!(at(&mut sim, 201), (vec![], vec![1]), "it was never told, so nothing ends");
        area(&mut sim, 210, 1);
        hear(&mut sim, 0, "pulse", 246);
        assert_eq!(at(&mut sim, 246), (vec!["A Resolved 240".to_owned(), "s0 Firing 240".to_owned()], vec![1]), "s0 lasts");
        hear(&mut sim, 0, "s0", 250);
        assert_eq!(at(&mut sim, 250), (vec!["s0 Resolved 250".to_owned()], vec![]));
    }
}
