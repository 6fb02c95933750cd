//! D2 (definitions), D5 to D7.

use super::{MINUTE, minutes, pipeline, setup};
use crate::support::feed::Sim;
use crate::support::{change_line, event, row_line, s};
use ioc::driver::recover::{changed_windows, retirement};
use ioc::engine::lane::Lane;
use ioc::engine::merge::MAX_ROWS;
use ioc::time::Span;
use serde_json::json;
use std::sync::Arc;

/// D5: rejected with reason, path, position and original bytes; it never stops the stream.
#[test]
fn d5_bad_input_is_kept() {
    let mut sim = minutes(1);
    let bad = event("t.a", "a", "1", s(10), json!({"x": "text"}));
    sim.give(0, None, bad.clone()).give(0, None, vec![0xff, 0xfe]).event(0, "t.a", "a", s(10), json!({"x": 1}));
    let effects = sim.finish().step(s(11));
    let kept: Vec<_> =
        effects.rejected.iter().map(|(p, r)| (*p, r.offset, r.rejected.code(), r.rejected.path.as_str(), r.raw.as_slice())).collect();
    assert_eq!(kept[0], (0, 0, "schema.type".to_owned(), "data.x", bad.as_slice()));
    assert_eq!((kept[1].1, kept[1].2.split('.').next(), kept[1].4), (1, Some("bytes"), &[0xff, 0xfe][..]));
    assert_eq!(effects.rejected[0].1.rejected.source.as_deref(), Some("a"));
    assert_eq!(effects.rows.len(), 1);
}

/// D6: a window is forgotten as soon as nobody can add to it: each watermark past end + lateness.
#[test]
fn d6_forgotten_by_watermarks() {
    let mut sim = minutes(2);
    sim.event(0, "t.a", "a", s(10), json!({})).event(1, "t.a", "b", s(10), json!({})).step(s(10));
    sim.event(0, "t.a", "a", s(75), json!({})).event(1, "t.a", "b", s(74), json!({})).step(s(75));
    assert_eq!(sim.lane.core.merger().size().0, 1, "the second partition may still add");
    sim.event(1, "t.a", "b", s(75), json!({})).step(s(76));
    assert_eq!(sim.lane.core.merger().size(), (0, 0));
    sim.finish().step(s(77));
    assert_eq!(sim.lane.core.merger().size(), (0, 0), "a finished file counts as past");
}

/// D6: or its read_time past end + max_delay + 1 min, where records have a broker_time.
#[test]
fn d6_forgotten_by_read_time() {
    let mut sim = minutes(2);
    sim.event_at(0, s(10), "a", s(10), json!({})).event_at(1, s(10), "b", s(10), json!({})).step(s(10));
    for (second, size) in [(1019, 1), (1020, 0)] {
        for p in 0..2 {
            sim.partition(p).read_time = Some(s(second));
        }
        sim.step(s(second));
        assert_eq!(sim.lane.core.merger().size().0, size, "{second}: 60 + 15 min + 1 min is 1020");
    }
    let late = sim.event_at(0, s(1020), "a", s(20), json!({})).step(s(1021));
    assert_eq!(late.late.len(), 1, "what comes later is late");
}

/// D6, memory: a long run holds the windows that can still change and nothing else.
#[test]
fn d6_states_stay_bounded() {
    let mut sim = minutes(1);
    let mut most = (0, 0);
    for second in (0..7200).step_by(7) {
        sim.event(0, "t.a", &format!("s{}", second % 5), s(second), json!({})).step(s(second));
        let size = sim.lane.core.merger().size();
        most = (most.0.max(size.0), most.1.max(size.1));
    }
    assert!(most.0 <= 2 && most.1 <= 10, "{most:?}");
}

/// D7: at most 50,000 rows fire in a tick, the rest in the next, in the one order.
#[test]
fn d7_rows_of_a_tick_are_bounded() {
    let more = 7;
    let text = pipeline("  - {measurement: m, every: 1m, by: [source], fields: {n: count()}}\n");
    let mut sim = Sim::new(setup(&text), 1);
    for i in 0..MAX_ROWS + more {
        sim.give(0, None, event("t.a", &format!("{i:06}"), "1", s(10), json!({})));
    }
    assert_eq!(sim.event(0, "t.a", "zz", s(65), json!({})).step(s(65)).rows.len(), MAX_ROWS);
    assert!(sim.lane.core.merger().owes());
    assert!(sim.lane.next_deadline().is_some_and(|d| d <= s(65) + Span(1)), "it asks for the next tick at once");
    sim.restart();
    assert_eq!(sim.step(s(65)).rows.len(), more);
    assert!(sim.rows.is_sorted_by_key(|r| r.key.tags.clone()) && !sim.lane.core.merger().owes());
}

/// D7: ids are kept in slices of event time that expire whole.
#[test]
fn d7_ids_expire() {
    let mut sim = minutes(1);
    let mut sizes = Vec::new();
    for second in 0..1000 {
        sim.event(0, "t.a", "a", s(second), json!({})).step(s(second));
        let state = serde_json::to_value(sim.lane.save()).unwrap();
        if second % 100 == 99 {
            sizes.push(state["partitions"][0]["parts"][0]["seen"].as_array().unwrap().len());
        }
    }
    // 70 s of dedup, in slices of 35 s, and 5 s out of order
    assert!(sizes.iter().all(|n| *n <= 70 + 35 + 35 + 5 + 1), "{sizes:?}");
}

fn with_rule(window: &str, rule: &str) -> String {
    format!("{}alerts:\n  - {{alert: hot, on: m, {rule}, severity: major, title: {{vi: V, en: E}}}}\n", pipeline(window))
}

/// Goes over to other definitions as a restart does: what changed is retired under the old ones, then the state is put under the new.
fn change(sim: &mut Sim, text: &str) -> Vec<String> {
    let new = setup(text);
    let retire = changed_windows(&sim.lane, &new);
    let mut said = Vec::new();
    if !retire.is_empty() {
        let tick = retirement(&sim.lane, sim.number, retire);
        let effects = {
            sim.lane.begin(tick.time, tick.partitions.len());
            sim.lane.close(&tick)
        };
        sim.number += 1;
        said = effects.rows.iter().map(|r| row_line(&sim.setup, r)).collect();
    }
    let state = serde_json::from_str(&serde_json::to_string(&sim.lane.save()).unwrap()).unwrap();
    sim.lane = Lane::restore(new.clone(), state).unwrap();
    sim.setup = new;
    said
}

fn hot_since_60(text: &str) -> Sim {
    let mut sim = Sim::new(setup(text), 1);
    sim.event(0, "t.a", "a", s(30), json!({"x": 9})).event(0, "t.a", "a", s(70), json!({"x": 8}));
    let effects = sim.step(s(70));
    assert_eq!(effects.changes.iter().map(|c| change_line(&sim.setup, c)).collect::<Vec<_>>(), ["hot inactive>firing 60"]);
    sim
}

/// D2: a window whose definition changed starts empty and its open rows fire incomplete; a rule on it resolves its alert, *rule changed*.
#[test]
fn d2_a_changed_window_starts_empty() {
    let mut sim = hot_since_60(&with_rule(MINUTE, "when: x > 5"));
    let said = change(&mut sim, &with_rule(&MINUTE.replace("mean(data.x)", "max(data.x)"), "when: x > 5"));
    assert_eq!(said, ["m,source=a 60 n=1i,x=8.0 incomplete r0"]);
    assert_eq!(sim.changes(s(71)), ["hot firing>resolved 120 RuleChanged"]);
    assert_eq!(
        sim.event(0, "t.a", "a", s(80), json!({"x": 1})).finish().rows(s(81)),
        ["m,source=a 60 n=1i,x=1.0 incomplete r0"],
        "it starts empty, and says that it lacks what came before"
    );
}

/// D2: what belongs to windows that ended before the definition changed is late: a row of all events is not overwritten by one of a few.
#[test]
fn d2_a_changed_window_leaves_the_rows_of_the_former_definition_alone() {
    let mut sim = hot_since_60(&with_rule(MINUTE, "when: x > 5"));
    change(&mut sim, &with_rule(&MINUTE.replace("mean(data.x)", "max(data.x)"), "when: x > 5"));
    sim.event(0, "t.a", "a", s(50), json!({"x": 1})).event(0, "t.a", "a", s(130), json!({"x": 2}));
    let effects = sim.step(s(130));
    assert_eq!(effects.late.iter().map(|(_, late)| late.time).collect::<Vec<_>>(), [s(50)]);
    assert_eq!(effects.rows.iter().map(|r| row_line(&sim.setup, r)).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(sim.finish().rows(s(131)), ["m,source=a 120 n=1i,x=2.0 final r0"], "it began after the change");
}

/// D2, R4: a longer `lateness` (and with it `dedup`) brings back nothing that was forgotten: no row of all events is overwritten by one of
/// a few, no copy counts twice. What was still known is kept longer from then on.
#[test]
fn d2_a_longer_lateness_opens_no_forgotten_window() {
    let text = pipeline(MINUTE);
    let longer = text.replace("lateness: 10s", "lateness: 10m");
    assert_ne!(text, longer);
    let mut sim = Sim::new(setup(&text), 1);
    sim.event(0, "t.a", "a", s(30), json!({"x": 9})).event(0, "t.a", "a", s(200), json!({"x": 1}));
    assert_eq!(sim.step(s(200)).rows.len(), 1, "[0, 60) is out and forgotten: the watermark is 195");
    assert_eq!(change(&mut sim, &longer), [""; 0], "the window's definition is the same");
    // [0, 60) is gone; [180, 240) is not; 125 is older than the ids that were kept (195 - 70)
    sim.event(0, "t.a", "a", s(31), json!({"x": 1})).event(0, "t.a", "a", s(124), json!({"x": 1})).event(
        0,
        "t.a",
        "a",
        s(190),
        json!({"x": 5}),
    );
    sim.event(0, "t.a", "a", s(700), json!({"x": 1}));
    let effects = sim.step(s(700));
    assert_eq!(effects.late.iter().map(|(_, late)| late.time).collect::<Vec<_>>(), [s(31), s(124)]);
    assert_eq!(effects.rows.iter().map(|r| row_line(&sim.setup, r)).collect::<Vec<_>>(), ["m,source=a 180 n=2i,x=3.0 final r0"]);
    let rows = sim.event(0, "t.a", "a", s(195), json!({"x": 6})).finish().rows(s(701));
    assert!(rows.contains(&"m,source=a 180 n=3i,x=4.0 final r1".to_owned()), "within ten minutes it is revised: {rows:?}");
}

/// D2: a changed rule starts anew and its open alert resolves; the window keeps its state.
#[test]
fn d2_a_changed_rule_starts_anew() {
    let mut sim = hot_since_60(&with_rule(MINUTE, "when: x > 5"));
    assert_eq!(change(&mut sim, &with_rule(MINUTE, "when: x > 6")), [""; 0]);
    assert_eq!(sim.changes(s(71)), ["hot firing>resolved 60 RuleChanged"]);
    sim.event(0, "t.a", "a", s(80), json!({"x": 10}));
    assert_eq!(sim.finish().rows(s(81)), ["m,source=a 60 n=2i,x=9.0 final r0"]);
}

/// D2: what did not change keeps its state: titles, comments, another pipeline beside it, another place in the list.
#[test]
fn d2_what_did_not_change_goes_on() {
    let text = with_rule(MINUTE, "when: x > 5");
    let mut sim = hot_since_60(&text);
    assert_eq!(change(&mut sim, &(text.replace("vi: V", "vi: Khác") + "# a comment\n")), [""; 0]);
    let other = pipeline(MINUTE).replace("pipeline: p", "pipeline: a").replace("measurement: m", "measurement: other");
    let files =
        [("pipelines/a.yaml", other.as_str()), ("pipelines/p.yaml", text.as_str()), ("schemas/t.a.json", crate::support::sets::SCHEMA)];
    let both = crate::support::setup(&files);
    assert!(changed_windows(&sim.lane, &both).is_empty());
    let state = sim.lane.save();
    sim.lane = Lane::restore(both.clone(), state).unwrap();
    sim.setup = Arc::clone(&both);
    assert_eq!(sim.changes(s(72)), [""; 0]);
    // the new pipeline is not idle: it has not been there for 30 s
    sim.event(0, "t.a", "a", s(80), json!({"x": 1}));
    assert_eq!(sim.rows(s(80)), [""; 0]);
    assert_eq!(
        sim.event(0, "t.a", "a", s(125), json!({})).rows(s(125)),
        ["m,source=a 60 n=2i,x=4.5 final r0", "other,source=a 60 n=1i,x=1.0 incomplete r0"]
    );
    assert_eq!(sim.lane.core.book().iter().map(|a| a.condition).collect::<Vec<_>>(), [ioc::engine::Condition::Resolved]);
}
