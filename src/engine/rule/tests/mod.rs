//! R7 sentence by sentence, on one key: windows of a minute, named by the minute of their end.

mod laws;
mod revisions;
mod whole;

use super::machine::{Seen, Terms};
use super::told::Move;
use super::track::Track;
use super::verdict::Verdict;
use crate::engine::{ChangeReason, Condition, RowState};
use crate::time::{Span, Timestamp};

pub fn minute(n: i64) -> Timestamp {
    Timestamp::from_seconds(60 * n)
}

fn minutes(t: Timestamp) -> i64 {
    assert_eq!(t.0 % minute(1).0, 0);
    t.0 / minute(1).0
}

fn verdict(letter: &str) -> Verdict {
    match letter {
        "T" => Verdict::True,
        "F" => Verdict::False,
        "U" => Verdict::Unknown,
        other => panic!("no verdict {other:?}"),
    }
}

/// "T" is `when` alone, "F/T" is `when` and `until`.
pub fn verdicts_of(text: &str) -> (Verdict, Option<Verdict>) {
    match text.split_once('/') {
        Some((when, until)) => (verdict(when), Some(verdict(until))),
        None => (verdict(text), None),
    }
}

fn name(condition: Condition) -> &'static str {
    match condition {
        Condition::Inactive => "inactive",
        Condition::Pending => "pending",
        Condition::Firing => "firing",
        Condition::NoData => "no data",
        Condition::Resolved => "resolved",
    }
}

/// "pending > firing at 3 since 1", the deciding row where it is not that of `at`, reason, "passed".
fn show(step: &Move) -> String {
    let mut text = format!("{} > {} at {} since {}", name(step.from), name(step.to), minutes(step.at), minutes(step.since));
    if step.seen.end != step.at {
        text += &format!(", row {}", minutes(step.seen.end));
    }
    match step.reason {
        Some(ChangeReason::Revised) => text += ", revised",
        Some(ChangeReason::NoData) => text += ", no data",
        Some(ChangeReason::RuleChanged) => text += ", rule changed",
        None => {}
    }
    if step.passed {
        text += ", passed";
    }
    text
}

/// One rule on one key; `no_data` is 3 minutes unless said otherwise.
struct Line {
    track: Track,
    terms: Terms,
}

impl Line {
    fn new(hold: i64) -> Self {
        Line { track: Track::new(), terms: Terms { hold: Span::minutes(hold), no_data: Span::minutes(3) } }
    }

    fn push(&mut self, end: i64, verdicts: &str, state: RowState) -> Vec<Move> {
        let (when, until) = verdicts_of(verdicts);
        let (start, end) = (minute(end - 1), minute(end));
        let seen = Seen { start, end, revision: 0, state, when, until, heard: None, expected: None, values: [].into() };
        let mut moves = Vec::new();
        self.track.see(seen, self.terms, &mut moves).expect("its window has not settled");
        moves
    }

    fn row(&mut self, end: i64, verdicts: &str) -> Vec<String> {
        self.push(end, verdicts, RowState::Final).iter().map(show).collect()
    }

    fn rows(&mut self, rows: &[(i64, &str)]) -> Vec<String> {
        rows.iter().flat_map(|(end, verdicts)| self.row(*end, verdicts)).collect()
    }

    fn early(&mut self, end: i64) -> Vec<String> {
        self.push(end, "T/U", RowState::Provisional).iter().map(show).collect()
    }

    fn withdraw(&mut self, end: i64) -> Vec<String> {
        self.push(end, "U", RowState::Withdrawn).iter().map(show).collect()
    }

    /// The frontier reaches a minute.
    fn reach(&mut self, at: i64) -> Vec<String> {
        let mut moves = Vec::new();
        if self.track.deadline().is_some_and(|deadline| deadline <= minute(at)) {
            self.track.silence(&mut moves);
        }
        moves.iter().map(show).collect()
    }

    fn settle(&mut self, upto: i64) {
        self.track.settle(minute(upto));
    }
}

fn check(hold: i64, rows: &[(i64, &str)], changes: &[&str]) {
    assert_eq!(Line::new(hold).rows(rows), changes, "for: {hold}m, {rows:?}");
}

#[test]
fn r7_for_is_measured_between_window_ends() {
    check(2, &[(1, "T"), (2, "T")], &["inactive > pending at 1 since 1"]);
    check(2, &[(1, "T"), (2, "T"), (3, "T")], &["inactive > pending at 1 since 1", "pending > firing at 3 since 1"]);
    // the first true row at least `for` after the first, wherever rows lie
    check(2, &[(1, "T"), (4, "T")], &["inactive > pending at 1 since 1", "pending > firing at 4 since 1"]);
}

#[test]
fn r7_for_zero_fires_at_once() {
    check(0, &[(1, "F"), (2, "T")], &["inactive > firing at 2 since 2"]);
}

#[test]
fn r7_false_ends_a_pending_run() {
    check(
        2,
        &[(1, "T"), (2, "F"), (3, "T"), (4, "T")],
        &["inactive > pending at 1 since 1", "pending > inactive at 2 since 1", "inactive > pending at 3 since 3"],
    );
    // `until` says nothing of a pending run
    check(2, &[(1, "T/F"), (2, "T/T"), (3, "T/F")], &["inactive > pending at 1 since 1", "pending > firing at 3 since 1"]);
}

#[test]
fn r7_without_until_false_resolves() {
    check(
        0,
        &[(1, "T"), (2, "F"), (3, "T")],
        &["inactive > firing at 1 since 1", "firing > resolved at 2 since 1", "inactive > firing at 3 since 3"],
    );
}

#[test]
fn r7_with_until_only_until_resolves() {
    check(0, &[(1, "T/F"), (2, "F/F"), (3, "F/U"), (4, "F/T")], &["inactive > firing at 1 since 1", "firing > resolved at 4 since 1"]);
    // the row that resolves begins nothing, the next one may
    check(
        0,
        &[(1, "T/F"), (2, "T/T"), (3, "T/F")],
        &["inactive > firing at 1 since 1", "firing > resolved at 2 since 1", "inactive > firing at 3 since 3"],
    );
}

#[test]
fn r7_unknown_neither_breaks_nor_fires() {
    check(2, &[(1, "T"), (2, "U"), (3, "U"), (4, "T")], &["inactive > pending at 1 since 1", "pending > firing at 4 since 1"]);
    check(0, &[(1, "U"), (2, "U")], &[]);
    check(0, &[(1, "T"), (2, "U")], &["inactive > firing at 1 since 1"]);
}

#[test]
fn r7_missing_row_neither_breaks_nor_fires() {
    check(2, &[(1, "T"), (3, "T")], &["inactive > pending at 1 since 1", "pending > firing at 3 since 1"]);
    let mut line = Line::new(1);
    line.row(1, "T");
    assert_eq!(line.reach(3), [""; 0]);
}

#[test]
fn r7_incomplete_rows_count() {
    let mut line = Line::new(0);
    let moves = line.push(1, "T", RowState::Incomplete);
    assert_eq!(moves.iter().map(show).collect::<Vec<_>>(), ["inactive > firing at 1 since 1"]);
    assert_eq!(moves[0].seen.state, RowState::Incomplete);
}

#[test]
fn r7_early_rows_only_raise() {
    let mut line = Line::new(2);
    line.row(1, "T/F");
    assert_eq!(line.early(3), ["pending > firing at 3 since 1"]);
    assert_eq!(line.row(3, "T/F"), [""; 0]);
    // what an early row raised, the final row of its window takes back
    let mut line = Line::new(0);
    assert_eq!(line.early(1), ["inactive > firing at 1 since 1"]);
    assert_eq!(line.row(1, "F/F"), ["firing > resolved at 1 since 1, revised"]);
    // a final row that would have resolved anyhow does so plainly
    let mut line = Line::new(0);
    line.row(1, "T/F");
    assert_eq!(line.early(2), [""; 0]);
    assert_eq!(line.row(2, "F/T"), ["firing > resolved at 2 since 1"]);
    // what final rows decided, early rows of the same window do not touch
    assert_eq!(line.early(2), [""; 0]);
}

#[test]
fn r7_early_pending_ends_with_the_final_row() {
    let mut line = Line::new(2);
    assert_eq!(line.early(1), ["inactive > pending at 1 since 1"]);
    assert_eq!(line.row(1, "F"), ["pending > inactive at 1 since 1"]);
}

#[test]
fn r7_no_data_ends_pending_and_marks_firing() {
    let mut line = Line::new(2);
    line.row(1, "T");
    assert_eq!(line.reach(3), [""; 0]);
    assert_eq!(line.reach(4), ["pending > inactive at 4 since 1, row 1, no data"]);
    assert_eq!(line.reach(9), [""; 0]);

    let mut line = Line::new(0);
    line.rows(&[(1, "T"), (2, "U")]);
    assert_eq!(line.reach(5), ["firing > no data at 5 since 1, row 2, no data"]);
    assert_eq!(line.reach(9), [""; 0]);
    assert!(line.track.open().is_some(), "it stays open");
}

#[test]
fn r7_row_after_no_data_resolves_or_fires_again() {
    for (verdicts, change) in [
        ("F/T", "no data > resolved at 9 since 1"),
        ("T/F", "no data > firing at 9 since 1"),
        // data is there again, and nothing resolves
        ("F/F", "no data > firing at 9 since 1"),
        ("U/U", "no data > firing at 9 since 1"),
    ] {
        let mut line = Line::new(0);
        line.row(1, "T/F");
        line.reach(4);
        assert_eq!(line.row(9, verdicts), [change], "{verdicts}");
    }
    let mut line = Line::new(0);
    line.row(1, "T");
    line.reach(4);
    assert_eq!(line.row(9, "F"), ["no data > resolved at 9 since 1"]);
}

#[test]
fn r7_row_exactly_at_no_data_is_data() {
    let mut line = Line::new(0);
    line.row(1, "T");
    assert_eq!(line.row(4, "T"), [""; 0]);
    assert_eq!(line.reach(4), [""; 0]);
}

#[test]
fn t7_silence_between_two_rows_is_found_whatever_the_ticks() {
    // one tick that jumps over the silence finds what many ticks would have found
    check(
        0,
        &[(1, "T"), (5, "T")],
        &["inactive > firing at 1 since 1", "firing > no data at 4 since 1, row 1, no data", "no data > firing at 5 since 1"],
    );
    check(
        2,
        &[(1, "T"), (5, "T"), (7, "T")],
        &[
            "inactive > pending at 1 since 1",
            "pending > inactive at 4 since 1, row 1, no data",
            "inactive > pending at 5 since 5",
            "pending > firing at 7 since 5",
        ],
    );
}

#[test]
fn r7_pending_goes_on_when_the_missing_row_comes_after_all() {
    let mut line = Line::new(2);
    line.row(1, "T");
    line.reach(6);
    assert_eq!(line.row(2, "U"), ["inactive > pending at 1 since 1"]);
    assert_eq!(line.reach(6), ["pending > inactive at 5 since 1, row 2, no data"]);
    assert_eq!(line.row(3, "T"), ["inactive > firing at 3 since 1"]);
}
