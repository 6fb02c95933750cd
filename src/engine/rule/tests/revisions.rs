//! R7: verdicts of windows that can still change run again when a row is revised, comes late, or is withdrawn.

use super::*;

const NOTHING: [&str; 0] = [];

#[test]
fn r7_revision_that_changes_nothing_says_nothing() {
    let mut line = Line::new(1);
    line.rows(&[(1, "F"), (2, "T"), (3, "T"), (4, "T")]);
    assert_eq!(line.row(3, "T"), NOTHING);
    assert_eq!(line.row(3, "U"), NOTHING);
    assert_eq!(line.row(1, "U"), NOTHING);
}

#[test]
fn r7_what_now_stands_firing_fires_with_its_true_since() {
    let mut line = Line::new(2);
    line.rows(&[(1, "T"), (2, "F"), (3, "T"), (4, "F"), (5, "F")]);
    line.row(4, "U");
    assert_eq!(line.row(5, "T"), ["inactive > firing at 5 since 3, revised"]);
    let mut line = Line::new(3);
    line.rows(&[(1, "T"), (2, "F"), (3, "T"), (4, "T")]);
    assert_eq!(line.row(2, "T"), ["pending > firing at 4 since 1, revised"]);
}

#[test]
fn r7_fires_new_where_nothing_was_told() {
    let mut line = Line::new(2);
    line.rows(&[(1, "F"), (2, "F"), (3, "F")]);
    line.row(1, "T");
    line.row(3, "T");
    let mut expected = line.push(2, "T", RowState::Final);
    let step = expected.pop().expect("it fires");
    assert_eq!(show(&step), "pending > firing at 3 since 1, revised");
    let mut line = Line::new(0);
    line.rows(&[(1, "F"), (2, "U")]);
    assert_eq!(line.row(1, "T"), ["inactive > firing at 1 since 1, revised"]);
}

#[test]
fn r7_overlapping_alert_stays_the_same() {
    // a late row makes the run begin earlier
    let mut line = Line::new(0);
    line.rows(&[(1, "F"), (2, "T")]);
    assert_eq!(line.row(1, "T"), NOTHING);
    let resolved = line.push(3, "F", RowState::Final);
    assert_eq!(show(&resolved[0]), "firing > resolved at 3 since 1", "the next change tells the true since");
    assert_eq!(resolved[0].first_start, minute(1), "under the id it had");
    // a revision splits a run: the alert goes on
    let mut line = Line::new(0);
    line.rows(&[(1, "T"), (2, "T"), (3, "T")]);
    assert_eq!(line.row(2, "F"), NOTHING);
    assert_eq!(line.row(4, "F"), ["firing > resolved at 4 since 3"]);
}

#[test]
fn r7_resolved_alert_fires_again_under_its_id() {
    let mut line = Line::new(0);
    line.rows(&[(1, "T"), (2, "F"), (3, "U")]);
    let again = line.push(2, "T", RowState::Final);
    assert_eq!(show(&again[0]), "resolved > firing at 1 since 1, revised");
    assert_eq!(again[0].first_start, minute(0));
}

#[test]
fn r7_raised_alert_is_only_resolved_as_revised() {
    // it never was
    let mut line = Line::new(0);
    line.row(1, "T");
    assert_eq!(line.row(1, "F"), ["firing > resolved at 1 since 1, revised"]);
    // it ended earlier
    let mut line = Line::new(0);
    line.rows(&[(1, "T/F"), (2, "F/F"), (3, "F/F")]);
    assert_eq!(line.row(2, "F/T"), ["firing > resolved at 2 since 1, revised"]);
    // it is only pending, and the run that it overlaps goes on in silence
    let mut line = Line::new(3);
    line.rows(&[(1, "T"), (2, "T"), (3, "T"), (4, "T")]);
    assert_eq!(line.row(2, "F"), ["firing > resolved at 4 since 1, revised"]);
    assert_eq!(line.rows(&[(5, "T"), (6, "T")]), ["resolved > firing at 6 since 3"]);
    // another run is another alert
    let mut line = Line::new(1);
    line.rows(&[(1, "T"), (2, "T"), (3, "U"), (4, "U"), (5, "T")]);
    assert_eq!(line.row(3, "F"), ["firing > resolved at 3 since 1, revised", "inactive > pending at 5 since 5, revised"]);
}

#[test]
fn r7_unsaid_run_that_goes_on_is_silent_until_it_fires_again() {
    let mut line = Line::new(2);
    line.rows(&[(1, "T"), (2, "T"), (3, "T")]);
    assert_eq!(line.row(3, "U"), ["firing > resolved at 3 since 1, revised"]);
    let again = line.push(4, "T", RowState::Final);
    assert_eq!(again.iter().map(show).collect::<Vec<_>>(), ["resolved > firing at 4 since 1"]);
    assert_eq!(again[0].first_start, minute(0));
}

#[test]
fn r7_begun_and_ended_is_recorded_as_retroactive() {
    let mut line = Line::new(0);
    line.rows(&[(1, "F"), (2, "F"), (3, "F")]);
    let both = ["inactive > firing at 2 since 2, revised, passed", "firing > resolved at 3 since 2, revised, passed"];
    assert_eq!(line.row(2, "T"), both);
    // once
    assert_eq!(line.row(1, "U"), NOTHING);
    // and under an alert that stands, its own
    let mut line = Line::new(0);
    line.rows(&[(1, "U"), (2, "F"), (3, "T")]);
    let both = ["inactive > firing at 1 since 1, revised, passed", "firing > resolved at 2 since 1, revised, passed"];
    assert_eq!(line.row(1, "T"), both);
    assert!(line.track.open().is_some_and(|told| told.since == minute(3)));
}

#[test]
fn r7_pending_alert_that_had_fired_and_ended_is_said_so() {
    let mut line = Line::new(2);
    // told: pending since 2; `until` does not end a pending run
    line.rows(&[(1, "F/F"), (2, "T/F"), (3, "T/F"), (5, "U/T")]);
    let both = ["pending > firing at 3 since 1, revised, passed", "firing > resolved at 5 since 1, revised, passed"];
    assert_eq!(line.row(1, "T/F"), both);
    assert!(line.track.open().is_none());
}

#[test]
fn r7_row_that_comes_out_of_order_runs_again() {
    let mut line = Line::new(2);
    line.rows(&[(1, "T"), (3, "T")]);
    assert_eq!(line.row(2, "F"), ["firing > resolved at 3 since 1, revised"]);
}

#[test]
fn r7_withdrawn_row_has_no_verdict() {
    let mut line = Line::new(0);
    line.row(1, "T");
    assert_eq!(line.withdraw(1), ["firing > resolved at 1 since 1, revised"]);
    let mut line = Line::new(2);
    line.rows(&[(1, "T"), (2, "F"), (3, "T")]);
    assert_eq!(line.withdraw(2), ["pending > firing at 3 since 1, revised"]);
    assert_eq!(line.withdraw(2), NOTHING);
}

#[test]
fn r7_revision_under_silence_keeps_no_data() {
    let mut line = Line::new(0);
    line.rows(&[(1, "T"), (2, "U"), (3, "T")]);
    assert_eq!(line.reach(6), ["firing > no data at 6 since 1, row 3, no data"]);
    assert_eq!(line.row(2, "F"), NOTHING);
    // found firing only now, and silent ever since
    let mut line = Line::new(2);
    line.rows(&[(1, "U"), (2, "T"), (3, "T")]);
    assert_eq!(line.reach(6), ["pending > inactive at 6 since 2, row 3, no data"]);
    assert_eq!(line.row(1, "T"), ["inactive > firing at 3 since 1, revised", "firing > no data at 6 since 1, row 3, no data"]);
}

#[test]
fn r7_settled_verdicts_are_let_go() {
    let mut line = Line::new(2);
    line.rows(&[(1, "F"), (2, "T"), (3, "T")]);
    line.settle(2);
    assert_eq!(line.track.kept(), 1);
    assert_eq!(line.row(4, "T"), ["pending > firing at 4 since 2"]);
    line.settle(4);
    assert_eq!(line.track.kept(), 0);
    assert_eq!(line.reach(7), ["firing > no data at 7 since 2, row 4, no data"], "the last row stays as evidence");
    line.row(9, "F");
    assert!(!line.track.is_over(), "the verdict can still change");
    line.settle(9);
    assert!(line.track.is_over());
}

#[test]
fn r7_pending_ended_by_silence_is_let_go() {
    let mut line = Line::new(2);
    line.row(1, "T");
    line.settle(3);
    assert!(!line.track.is_over(), "a row of minute 4 would go on with the run");
    line.reach(4);
    assert_eq!(line.track.settle_at(), Some(minute(4)));
    line.settle(4);
    assert!(line.track.is_over());
}
