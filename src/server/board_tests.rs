use super::*;
use crate::server::scope::HealthPart;
use crate::server::tests::fixtures::*;
use crate::server::wire::Acknowledgement;

fn whole() -> Scope {
    Scope::new(&[], &[], Arc::new(|_: &str, _: &str| false))
}

fn speeds(board: &Board) -> Vec<f64> {
    board.figures_since(&whole(), 0).iter().map(|figure| figure.values["speed"]).collect()
}

#[test]
fn the_sequence_rises_by_one_with_each_tick_that_changes_something() {
    let mut board = Board::new(BoardLimits::default());
    let mut seqs = Vec::new();
    for input in [
        tick(1, vec![], vec![]),
        tick(2, vec![figure("m", "traffic", "a", "s", 60_000, 1.0), figure("m", "traffic", "a", "t", 60_000, 1.0)], vec![]),
        tick(3, vec![], vec![]),
        tick(4, vec![], vec![alert(1, 1, "traffic", "a"), alert(1, 2, "traffic", "a")]),
        tick(5, vec![figure("m", "traffic", "a", "s", 0, 2.0)], vec![]),
    ] {
        board.apply(&input);
        seqs.push(board.seq());
    }
    assert_eq!(seqs, [0, 1, 1, 2, 2], "the last tick only revised a window that is no longer shown");
    assert_eq!(board.counts().rows_older, 1);
    assert_eq!(board.tick().number, 5);
}

#[test]
fn the_newest_window_is_shown_and_of_one_window_the_newest_revision() {
    let mut board = Board::new(BoardLimits::default());
    let mut revised = figure("m", "traffic", "a", "s", 60_000, 3.0);
    Arc::make_mut(&mut revised.view).revision = 1;
    board.apply(&tick(1, vec![figure("m", "traffic", "a", "s", 60_000, 1.0)], vec![]));
    board.apply(&tick(2, vec![figure("m", "traffic", "a", "s", 0, 2.0)], vec![]));
    assert_eq!(speeds(&board), [1.0]);
    board.apply(&tick(3, vec![revised], vec![]));
    assert_eq!(speeds(&board), [3.0]);
    board.apply(&tick(4, vec![figure("m", "traffic", "a", "s", 120_000, 4.0)], vec![]));
    assert_eq!(speeds(&board), [4.0]);
    assert_eq!(board.sizes(), (1, 0));
}

#[test]
fn figures_and_alerts_are_bounded_and_what_leaves_is_counted() {
    let mut board = Board::new(BoardLimits { figures: 3, alerts: 2, ring: 4 });
    for n in 0..5u32 {
        let row = figure("m", "traffic", "a", &n.to_string(), 0, f64::from(n));
        board.apply(&tick(u64::from(n) + 1, vec![row], vec![]));
    }
    assert_eq!(speeds(&board), [2.0, 3.0, 4.0], "those that changed longest ago left");
    assert_eq!(board.counts().figures_dropped, 2);
    board.apply(&tick(6, vec![figure("m", "traffic", "a", "2", 60_000, 9.0), figure("m", "traffic", "a", "new", 0, 8.0)], vec![]));
    assert_eq!(speeds(&board), [4.0, 9.0, 8.0], "3 left, which had not changed for longest; of one tick in its order");
    for n in 0..3 {
        let mut one = alert(n, 1, "traffic", "a");
        one.changed = 1_000 + i64::from(n);
        board.apply(&tick(7, vec![], vec![one]));
    }
    let left: Vec<_> = board.alerts(&whole()).iter().map(|alert| alert.id.clone()).collect();
    assert_eq!((left, board.counts().alerts_dropped), (vec![id(1), id(2)], 1));
}

#[test]
fn an_alert_leaves_by_the_rule_that_clients_apply_too() {
    let settled = |condition, handling, resolved, at: Option<i64>| {
        let acknowledged = at.map(|at| Acknowledgement { by: "x".into(), at, note: String::new() });
        AlertView { condition, handling, resolved, acknowledged, ..alert(1, 1, "traffic", "a") }
    };
    let acted = |alert: AlertView, at| AlertView { acted: Some(at), ..alert };
    let cases = [
        (settled(Condition::Firing, Handling::New, None, None), None),
        (settled(Condition::NoData, Handling::Acknowledged, None, Some(5)), None),
        (settled(Condition::Inactive, Handling::New, None, None), Some(i64::MIN)),
        (settled(Condition::Resolved, Handling::New, Some(2_000), None), Some(2_000 + KEEP_UNHANDLED_MS)),
        (settled(Condition::Resolved, Handling::Acknowledged, Some(2_000), Some(1_500)), Some(2_000 + KEEP_SETTLED_MS)),
        (settled(Condition::Resolved, Handling::Acknowledged, Some(2_000), Some(9_000)), Some(9_000 + KEEP_SETTLED_MS)),
        (settled(Condition::Firing, Handling::Closed, None, None), Some(1_000 + KEEP_SETTLED_MS)),
        (acted(settled(Condition::Firing, Handling::Closed, None, Some(5)), 7_000), Some(7_000 + KEEP_SETTLED_MS)),
        (acted(settled(Condition::NoData, Handling::Closed, None, Some(5)), 500), Some(500 + KEEP_SETTLED_MS)),
        (acted(settled(Condition::Resolved, Handling::Closed, Some(9_000), Some(5)), 7_000), Some(9_000 + KEEP_SETTLED_MS)),
        (acted(settled(Condition::Resolved, Handling::Assigned, Some(2_000), Some(5)), 7_000), Some(7_000 + KEEP_SETTLED_MS)),
        (acted(settled(Condition::Resolved, Handling::New, Some(2_000), None), 7_000), Some(2_000 + KEEP_UNHANDLED_MS)),
        (acted(settled(Condition::Firing, Handling::Assigned, None, Some(5)), 7_000), None),
    ];
    for (alert, leaves) in cases {
        assert_eq!(leaves_at(&alert), leaves, "{:?} {:?}", alert.condition, alert.handling);
        let mut board = Board::new(BoardLimits::default());
        let mut input = tick(1, vec![], vec![alert]);
        board.apply(&input);
        input.alerts.clear();
        for (time, held) in
            leaves.map_or(vec![(i64::MAX - 1, true)], |when| vec![(when.saturating_sub(1), when != i64::MIN), (when, false)])
        {
            input.tick.time = time;
            board.apply(&input);
            assert_eq!(board.alert(&id(1)).is_some(), held);
        }
    }
}

#[test]
fn a_resume_that_the_ring_does_not_reach_is_refused() {
    let mut board = Board::new(BoardLimits { ring: 3, ..BoardLimits::default() });
    for n in 1..=5u32 {
        board.apply(&tick(u64::from(n), vec![], vec![alert(1, n, "traffic", "a")]));
    }
    let told = |seq| board.update_since(&whole(), seq).map(|update| update.alerts.iter().map(|a| a.version).collect::<Vec<_>>());
    assert_eq!(told(1), None);
    assert_eq!(told(2), Some(vec![3, 4, 5]));
    assert_eq!(told(5), Some(vec![]));
    assert_eq!(told(6), None, "a sequence that has not been");
}

#[test]
fn changes_of_one_tick_are_never_cut_in_two_by_the_ring() {
    let mut board = Board::new(BoardLimits { ring: 3, ..BoardLimits::default() });
    board.apply(&tick(1, vec![], vec![alert(1, 1, "traffic", "a"), alert(2, 1, "traffic", "a")]));
    board.apply(&tick(2, vec![], vec![alert(1, 2, "traffic", "a"), alert(2, 2, "traffic", "a")]));
    assert!(board.update_since(&whole(), 0).is_none(), "half of the first tick is lost");
    assert_eq!(board.update_since(&whole(), 1).unwrap().alerts.len(), 2);
}

#[test]
fn health_counts_what_is_in_scope() {
    let part = |sector: &str, area: Option<&str>, heard, accepted| HealthPart {
        sector: sector.into(),
        area: area.map(str::to_owned),
        sources_expected: 10,
        sources_heard: heard,
        verdicts: BTreeMap::from([("accepted".to_owned(), accepted)]),
    };
    let parts = vec![part("traffic", Some("a"), 1, 5), part("water", Some("a"), 2, 6), part("traffic", None, 4, 7)];
    let input = HealthInput { parts, common: HealthView { delay_ms: 3, built: 1.0, ..HealthView::default() } };
    let tree: Arc<dyn crate::server::scope::ScopeTree> = Arc::new(|area: &str, allowed: &str| area == allowed);
    let all = input.view(&Scope::new(&[], &[], tree.clone()));
    assert_eq!((all.sources_heard, all.sources_expected, all.verdicts["accepted"], all.delay_ms), (7, 30, 18, 3));
    let some = input.view(&Scope::new(&["a".into()], &["traffic".into()], tree));
    assert_eq!((some.sources_heard, some.sources_expected, some.verdicts["accepted"]), (1, 10, 5));
}
