//! All rules of a lane: order of changes, timers, letting go, snapshots, changed rules.

use super::*;
use crate::engine::rule::{GONE, KeyFacts, PipelineRules, Rule, RuleContext, Rules, alert_id};
use crate::engine::{AlertChange, FieldValue, Key, Row};
use crate::geo::AreaId;
use crate::pipeline::expr::Value;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

struct Facts;

impl KeyFacts for Facts {
    fn area(&self, _: &Key, _: &str) -> Value<'_> {
        Value::Unknown
    }
    fn source_attribute(&self, _: &str, _: &str, _: Timestamp) -> Value<'_> {
        Value::Unknown
    }
    /// Sources that begin with "slow" report every 10 minutes.
    fn cadence(&self, source: &str, _: Timestamp) -> Option<Span> {
        source.starts_with("slow").then_some(Span::minutes(10))
    }
    fn area_of(&self, tag: &str) -> Option<AreaId> {
        (tag == "24617").then_some(AreaId(7))
    }
}

fn rule(name: &str, version: &str, hold: i64) -> Rule {
    Rule {
        name: name.into(),
        version: version.into(),
        window: Some(0),
        hold: Span::minutes(hold),
        early: false,
        no_data: None,
        every: Span::minutes(1),
        area_tag: Some(0),
        source_tag: Some(1),
        tracks: HashMap::default(),
    }
}

fn two_rules() -> Rules {
    let grace = Span::minutes(2);
    Rules::of(vec![
        PipelineRules::of("loops", grace, vec![rule("jam", "1", 0), rule("slow", "1", 1)]),
        PipelineRules::of("queues", grace, vec![rule("long", "1", 0)]),
    ])
}

fn row(pipeline: u16, source: &str, end: i64) -> Row {
    Row {
        pipeline,
        window: 0,
        key: Arc::new(Key { tags: vec!["24617".into(), source.into()], area: Some(AreaId(7)) }),
        start: minute(end - 1),
        end: minute(end),
        values: vec![FieldValue::Float(end as f64)],
        revision: 0,
        state: RowState::Final,
        heard: Some(1),
        expected: None,
        approx: false,
    }
}

/// A lane whose pipelines all have the same frontier.
struct Lane {
    rules: Rules,
    tick: u64,
    live: bool,
}

impl Lane {
    fn new(rules: Rules) -> Self {
        Lane { rules, tick: 0, live: true }
    }

    /// One tick: rows with verdicts for each rule of their pipeline in order, then timers.
    fn tick(&mut self, frontier: i64, settled: i64, rows: &[(Row, &str)]) -> Vec<AlertChange> {
        self.tick += 1;
        let (frontier, settled) = ([minute(frontier); 2], [minute(settled); 2]);
        let (tick, live) = (self.tick, self.live);
        let ctx = RuleContext { tick, time: frontier[0], live, pipelines: &[], frontier: &frontier, settled: &settled, facts: &Facts };
        let mut out = Vec::new();
        for (row, verdicts) in rows {
            for i in 0..self.rules.pipelines[row.pipeline as usize].rules.len() {
                self.rules.judge(&ctx, row, i as u16, verdicts_of(verdicts), &mut out);
            }
        }
        self.rules.on_timers(&ctx, &mut out);
        out
    }
}

fn brief(changes: &[AlertChange]) -> Vec<String> {
    let line = |c: &AlertChange| format!("{} {}: {} at {}", c.rule, c.key.tags[1], name(c.to), minutes(c.at));
    changes.iter().map(line).collect()
}

#[test]
fn r7_changes_come_by_row_and_place_then_timers_by_deadline_rule_key() {
    let mut lane = Lane::new(two_rules());
    let changes = lane.tick(1, 0, &[(row(0, "b", 1), "T"), (row(0, "a", 1), "T")]);
    assert_eq!(brief(&changes), ["0 b: firing at 1", "1 b: pending at 1", "0 a: firing at 1", "1 a: pending at 1"]);
    let changes = lane.tick(9, 0, &[(row(0, "c", 9), "T"), (row(1, "z", 3), "T")]);
    assert_eq!(
        brief(&changes),
        [
            "0 c: firing at 9",
            "1 c: pending at 9",
            "0 z: firing at 3",
            "0 a: no data at 4",
            "0 b: no data at 4",
            "1 a: inactive at 4",
            "1 b: inactive at 4",
            "0 z: no data at 6",
        ]
    );
}

#[test]
fn r7_no_data_defaults_to_three_times_the_longer_of_every_and_cadence() {
    let mut lane = Lane::new(two_rules());
    lane.tick(1, 0, &[(row(1, "slow", 1), "T"), (row(1, "fast", 1), "T")]);
    assert_eq!(lane.rules.next_due(1), Some(minute(4)));
    assert_eq!(brief(&lane.tick(30, 0, &[])), ["0 fast: no data at 4"]);
    assert_eq!(brief(&lane.tick(31, 0, &[])), ["0 slow: no data at 31"]);
    assert_eq!(lane.rules.next_due(1), None);
}

#[test]
fn r8_id_is_the_hash_of_pipeline_alert_key_and_first_window() {
    let mut lane = Lane::new(two_rules());
    let changes = lane.tick(1, 0, &[(row(1, "a", 1), "T")]);
    assert_eq!(changes[0].id, alert_id("queues", "long", &row(1, "a", 1).key, minute(0)));
    // the length before each part keeps ("ab", "c") and ("a", "bc") apart; area indexes do not matter
    let key = |tags: &[&str], area| Key { tags: tags.iter().map(|t| (*t).into()).collect(), area };
    let id = |key: &Key| alert_id("p", "r", key, minute(0));
    assert_ne!(id(&key(&["ab", "c"], None)), id(&key(&["a", "bc"], None)));
    assert_eq!(id(&key(&["1"], None)), id(&key(&["1"], Some(AreaId(3)))));
    assert_eq!(id(&key(&["24617", "loop-7"], None)).to_string(), "ec00a940f2c83a8ae7ff0c8b99c37f70");
}

#[test]
fn r8_every_change_carries_its_evidence() {
    let mut lane = Lane::new(two_rules());
    let mut revised = row(1, "a", 2);
    (revised.revision, revised.state) = (3, RowState::Incomplete);
    let change = lane.tick(2, 0, &[(row(1, "a", 1), "U"), (revised, "T")]).remove(0);
    assert_eq!((change.window_start, change.window_end, change.row_revision), (minute(1), minute(2), 3));
    assert_eq!((change.row_state, &change.values[..], change.heard), (RowState::Incomplete, &[FieldValue::Float(2.0)][..], Some(1)));
    assert_eq!((&*change.rule_version, change.since, change.tick), ("1", minute(2), 1));
}

#[test]
fn t7_alerts_found_in_ticks_that_are_not_live_say_so() {
    let mut lane = Lane::new(two_rules());
    lane.live = false;
    let found = lane.tick(1, 0, &[(row(1, "a", 1), "T")]);
    assert!(found[0].retroactive);
    let rest = [lane.tick(9, 0, &[]), lane.tick(10, 0, &[(row(1, "a", 10), "T")]), lane.tick(11, 0, &[(row(1, "a", 11), "F")])].concat();
    assert_eq!(brief(&rest), ["0 a: no data at 4", "0 a: firing at 10", "0 a: resolved at 11"]);
    assert!(rest.iter().all(|change| !change.retroactive), "only what is found");
}

#[test]
fn d7_keys_without_verdicts_or_alert_have_no_state() {
    let mut lane = Lane::new(two_rules());
    lane.tick(1, 0, &[(row(0, "a", 1), "F"), (row(0, "b", 1), "T"), (row(1, "a", 1), "F")]);
    assert_eq!(lane.rules.tracked(), 5);
    lane.tick(2, 1, &[]);
    assert_eq!(lane.rules.tracked(), 2, "b fires and waits");
    lane.tick(4, 4, &[]);
    assert_eq!(lane.rules.tracked(), 1, "silence ended the pending one");
    lane.tick(9, 8, &[(row(0, "b", 9), "F")]);
    lane.tick(9, 9, &[]);
    assert_eq!(lane.rules.tracked(), 0);
    assert!(lane.rules.pipelines.iter().all(|p| p.timers.is_empty() && p.settling.is_empty()));
}

#[test]
fn d6_rows_that_fire_as_their_window_settles_are_judged_in_turn() {
    // a finished file closes all windows at once
    let mut lane = Lane::new(two_rules());
    let rows = [(row(1, "a", 1), "T"), (row(1, "a", 2), "F"), (row(1, "a", 3), "T")];
    assert_eq!(brief(&lane.tick(3, 1_000_000, &rows)), ["0 a: firing at 1", "0 a: resolved at 2", "0 a: firing at 3"]);
    // a last revision in the tick in which its window settles
    let mut lane = Lane::new(two_rules());
    lane.tick(3, 0, &[(row(1, "a", 1), "T"), (row(1, "a", 2), "T")]);
    let revised = [(row(1, "a", 1), "F"), (row(1, "a", 2), "F")];
    assert_eq!(brief(&lane.tick(3, 1_000_000, &revised)), ["0 a: resolved at 1"], "it never fired");
    assert_eq!(lane.rules.unjudged(), 0);
    lane.tick(4, 1_000_000, &[(row(1, "a", 3), "T")]);
    // what was settled before is refused and counted
    lane.tick(4, 1_000_000, &[(row(1, "a", 2), "T")]);
    assert_eq!(lane.rules.unjudged(), 1);
}

#[test]
fn r7_provisional_rows_count_only_where_the_rule_says_early() {
    let mut early = row(1, "a", 5);
    early.state = RowState::Provisional;
    let mut lane = Lane::new(two_rules());
    assert_eq!(brief(&lane.tick(1, 0, &[(early.clone(), "T")])), [""; 0]);
    assert_eq!(lane.rules.tracked(), 0);
    lane.rules.pipelines[1].rules[0].early = true;
    for not_true in ["F", "U"] {
        lane.tick(1, 0, &[(early.clone(), not_true)]);
        assert_eq!(lane.rules.tracked(), 0, "{not_true}");
    }
    assert_eq!(brief(&lane.tick(1, 0, &[(early, "T")])), ["0 a: firing at 5"]);
}

#[test]
fn d2_changed_rules_start_anew_and_their_alerts_resolve() {
    let mut lane = Lane::new(two_rules());
    lane.tick(1, 0, &[(row(0, "a", 1), "T"), (row(0, "b", 1), "F"), (row(1, "a", 1), "T")]);
    let snapshot = lane.rules.snapshot();
    // "slow" has changed, "jam" has another place, "queues" is gone
    let mut rules = Rules::of(vec![PipelineRules::of("loops", Span::ZERO, vec![rule("slow", "2", 1), rule("jam", "1", 0)])]);
    let orphans = rules.take_over(snapshot, &Facts).unwrap();
    let told: Vec<_> = orphans.iter().map(|o| (o.pipeline.as_str(), o.rule.as_str(), o.change.pipeline, o.change.rule)).collect();
    assert_eq!(told, [("loops", "slow", 0, 0), ("queues", "long", GONE, GONE)]);
    let steps: Vec<_> = orphans.into_iter().map(|o| o.at_tick(9)).map(|c| (c.tick, c.from, c.to, c.reason, c.at)).collect();
    let why = Some(ChangeReason::RuleChanged);
    assert_eq!(
        steps,
        [(9, Condition::Pending, Condition::Inactive, why, minute(1)), (9, Condition::Firing, Condition::Resolved, why, minute(1)),]
    );
    let mut lane = Lane::new(rules);
    assert_eq!(brief(&lane.tick(2, 0, &[(row(0, "a", 2), "F")])), ["1 a: resolved at 2"], "jam goes on at its new place");
}

#[test]
fn d2_snapshot_of_another_shape_is_refused() {
    let mut json = serde_json::to_value(two_rules().snapshot()).unwrap();
    json["version"] = 7.into();
    let error = two_rules().take_over(serde_json::from_value(json).unwrap(), &Facts).unwrap_err();
    assert!(error.to_string().contains("shape 7"), "{error}");
}

/// Ticks with rows of three keys: (key, verdict); the minute is the tick's.
fn any_ticks() -> impl Strategy<Value = Vec<Vec<(usize, i64, &'static str)>>> {
    let one = (0..3usize, 0..4i64, prop_oneof![4 => Just("T"), 2 => Just("F"), 1 => Just("U")]);
    prop::collection::vec(prop::collection::vec(one, 0..3), 1..25)
}

/// Rows of tick `i`: of its own minute or some before it, in effect order.
fn rows_of(i: usize, tick: &[(usize, i64, &'static str)]) -> Vec<(Row, &'static str)> {
    let mut rows: Vec<_> = tick.iter().map(|(key, back, verdict)| (*key, (i as i64 + 1 - back).max(1), *verdict)).collect();
    rows.sort_by_key(|(key, end, _)| (*end, *key));
    rows.dedup_by_key(|(key, end, _)| (*end, *key));
    rows.into_iter().map(|(key, end, verdict)| (row(0, ["a", "b", "slow"][key], end), verdict)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d1_lane_restored_at_any_tick_continues_identically(ticks in any_ticks(), cut in 0..25usize) {
        let (mut whole, mut again) = (Lane::new(two_rules()), Lane::new(two_rules()));
        for (i, tick) in ticks.iter().enumerate() {
            let (rows, now) = (rows_of(i, tick), i as i64 + 1);
            if i == cut {
                let text = serde_json::to_string(&again.rules.snapshot()).unwrap();
                let mut rules = two_rules();
                prop_assert!(rules.take_over(serde_json::from_str(&text).unwrap(), &Facts).unwrap().is_empty());
                again.rules = rules;
            }
            prop_assert_eq!(whole.tick(now, now - 4, &rows), again.tick(now, now - 4, &rows));
            prop_assert_eq!(whole.rules.next_deadline(), again.rules.next_deadline());
        }
        prop_assert_eq!(whole.rules.snapshot(), again.rules.snapshot());
    }

    #[test]
    fn d7_timers_never_act_before_the_next_deadline(ticks in any_ticks()) {
        let mut lane = Lane::new(two_rules());
        let grace = 2;
        for (i, tick) in ticks.iter().enumerate() {
            // by the deadline path the frontier lies `grace` below tick time
            let now = i as i64 + 1 + grace;
            let deadline = lane.rules.next_deadline();
            let changes = lane.tick(now - grace, now - grace - 4, &[]);
            prop_assert!(changes.is_empty() || deadline.is_some_and(|at| at <= minute(now)), "{:?} at {}", deadline, now);
            prop_assert!(lane.rules.next_deadline().is_none_or(|at| at > minute(now)), "it acts when it says so");
            // an empty tick changes nothing
            let before = lane.rules.snapshot();
            prop_assert!(lane.tick(now - grace, now - grace - 4, &[]).is_empty());
            prop_assert_eq!(before, lane.rules.snapshot());
            lane.tick(now - grace, now - grace - 4, &rows_of(i, tick));
        }
    }
}
