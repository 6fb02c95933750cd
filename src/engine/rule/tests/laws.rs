//! R7 as a law: whatever order rows and revisions come in, what stands in the end is what an in-order run over the last rows gives.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Standing: raised or not, silent or not, since when. A pending run may be silent, so it is not compared.
fn standing(track: &Track) -> Option<(Condition, Timestamp)> {
    track.open().filter(|told| told.condition != Condition::Pending).map(|told| (told.condition, told.since))
}

fn any_verdicts(until: bool) -> impl Strategy<Value = String> {
    let letter = || prop_oneof![4 => Just("T"), 2 => Just("F"), 1 => Just("U")];
    (letter(), letter()).prop_map(move |(when, end)| {
        // `until` true is rarer
        let end = if end == "T" && when == "T" { "F" } else { end };
        if until { format!("{when}/{end}") } else { when.to_owned() }
    })
}

#[derive(Clone, Debug)]
enum Happens {
    Row(i64, String),
    Early(i64),
    Withdraw(i64),
    /// The frontier is that far past the newest row.
    Frontier(i64),
    /// Windows that far below the newest row settle.
    Settle(i64),
}

fn any_happening(until: bool) -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => (1..20i64, any_verdicts(until)).prop_map(|(end, verdicts)| Happens::Row(end, verdicts)),
        1 => (1..20i64).prop_map(Happens::Early),
        1 => (1..20i64).prop_map(Happens::Withdraw),
        2 => (0..6i64).prop_map(Happens::Frontier),
        1 => (3..12i64).prop_map(Happens::Settle),
    ]
}

fn any_history() -> impl Strategy<Value = (i64, bool, Vec<Happens>)> {
    (0..4i64, any::<bool>())
        .prop_flat_map(|(hold, until)| prop::collection::vec(any_happening(until), 1..60).prop_map(move |happens| (hold, until, happens)))
}

/// What the world knows of each alert, checked for contradictions.
#[derive(Default)]
struct Listener {
    alerts: BTreeMap<Timestamp, Condition>,
}

impl Listener {
    fn hear(&mut self, steps: &[Move]) {
        for step in steps {
            let known = self.alerts.get(&step.first_start).copied().unwrap_or(Condition::Inactive);
            assert_eq!(step.from, known, "{}", show(step));
            assert_ne!(step.from, step.to, "{}", show(step));
            let raised = matches!(step.from, Condition::Firing | Condition::NoData | Condition::Resolved);
            assert!(!raised || !matches!(step.to, Condition::Inactive | Condition::Pending), "unsaid: {}", show(step));
            match step.to {
                Condition::Inactive => self.alerts.remove(&step.first_start),
                to => self.alerts.insert(step.first_start, to),
            };
        }
        let open = self.alerts.values().filter(|c| **c != Condition::Resolved).count();
        assert!(open <= 1, "two alerts of one key stand: {:?}", self.alerts);
    }

    fn open(&self) -> Option<Condition> {
        self.alerts.values().copied().find(|c| !matches!(c, Condition::Resolved | Condition::Pending))
    }
}

/// Plays a history; the last rows by window end.
struct Play {
    line: Line,
    listener: Listener,
    last: BTreeMap<i64, String>,
    early: Vec<i64>,
    settled: i64,
    frontier: i64,
}

impl Play {
    fn new(hold: i64) -> Self {
        let (line, listener) = (Line::new(hold), Listener::default());
        Play { line, listener, last: BTreeMap::new(), early: Vec::new(), settled: 0, frontier: 0 }
    }

    fn hear(&mut self, steps: Vec<Move>) {
        self.listener.hear(&steps);
    }

    fn frontier(&mut self, to: i64) {
        self.frontier = self.frontier.max(to);
        let mut steps = Vec::new();
        if self.line.track.deadline().is_some_and(|at| at <= minute(self.frontier)) {
            self.line.track.silence(&mut steps);
        }
        self.hear(steps);
    }

    fn happen(&mut self, what: &Happens) {
        match what {
            Happens::Row(end, verdicts) if *end > self.settled => {
                let steps = self.line.push(*end, verdicts, RowState::Final);
                self.last.insert(*end, verdicts.clone());
                self.early.retain(|e| e != end);
                self.hear(steps);
                self.frontier(*end);
            }
            // provisional: no row of this window yet, and the frontier has not reached it
            Happens::Early(end) if *end > self.frontier && !self.last.contains_key(end) => {
                let steps = self.line.push(*end, "T/U", RowState::Provisional);
                self.early.push(*end);
                self.hear(steps);
            }
            Happens::Withdraw(end) if *end > self.settled && self.last.remove(end).is_some() => {
                let steps = self.line.push(*end, "U", RowState::Withdrawn);
                self.hear(steps);
            }
            Happens::Frontier(past) => {
                let newest = self.last.keys().next_back().copied().unwrap_or(0);
                self.frontier(newest + past);
            }
            Happens::Settle(below) => {
                self.settled = self.may_settle(*below);
                self.line.settle(self.settled);
            }
            _ => {}
        }
    }

    /// A window settles after its final row, so never under an early one.
    fn may_settle(&self, below: i64) -> i64 {
        let early = self.early.iter().min().map_or(i64::MAX, |end| end - 1);
        self.settled.max(early.min(self.frontier - below))
    }

    /// Early rows get their final one.
    fn finish(&mut self, until: bool) {
        for end in std::mem::take(&mut self.early) {
            self.happen(&Happens::Row(end, if until { "F/F".to_owned() } else { "U".to_owned() }));
        }
        let newest = self.last.keys().next_back().copied().unwrap_or(0);
        self.frontier(newest + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r7_any_order_of_revisions_ends_as_the_in_order_run((hold, until, happens) in any_history()) {
        let mut play = Play::new(hold);
        happens.iter().for_each(|what| play.happen(what));
        play.finish(until);
        let mut in_order = Play::new(hold);
        for (end, verdicts) in &play.last {
            in_order.happen(&Happens::Row(*end, verdicts.clone()));
        }
        in_order.frontier(play.frontier);
        prop_assert_eq!(standing(&play.line.track), standing(&in_order.line.track), "{:?}", play.last);
        prop_assert_eq!(play.listener.open(), standing(&play.line.track).map(|s| s.0));
    }

    #[test]
    fn d1_snapshot_and_restore_continue_identically((hold, _until, happens) in any_history(), cut in 0..60usize) {
        let mut whole = Play::new(hold);
        let mut cut_short = Play::new(hold);
        for (i, what) in happens.iter().enumerate() {
            whole.happen(what);
            if i == cut {
                let text = serde_json::to_string(&cut_short.line.track).unwrap();
                cut_short.line.track = serde_json::from_str(&text).unwrap();
            }
            cut_short.happen(what);
        }
        prop_assert_eq!(&whole.line.track, &cut_short.line.track);
        prop_assert_eq!(whole.listener.alerts, cut_short.listener.alerts);
    }

    #[test]
    fn d7_letting_go_changes_nothing((hold, _until, happens) in any_history()) {
        // settling is bookkeeping: without it the same is told
        let (mut with, mut without) = (Play::new(hold), Play::new(hold));
        for what in &happens {
            with.happen(what);
            if let Happens::Settle(below) = what {
                without.settled = without.may_settle(*below);
            } else {
                without.happen(what);
            }
        }
        prop_assert_eq!(with.listener.alerts, without.listener.alerts);
    }
}
