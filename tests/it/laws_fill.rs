//! The laws of R3 for windows that have rows without events (`fill: 0`), and for sketches: as laws.rs, with definitions of their own,
//! since how far empty windows reach depends on how far tick time goes.

use crate::laws::{cases, check_deadlines, check_history, cuts, ticks};
use crate::support::feed::{Log, feed, restored};
use crate::support::sets::{filled_setup, logs};
use crate::support::{T0, Values};
use ioc::engine::lane::Lane;
use ioc::engine::setup::Setup;
use ioc::engine::{PartitionTick, Tick};
use ioc::time::Span;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static SETUP: LazyLock<Arc<Setup>> = LazyLock::new(filled_setup);

/// Before the end, all partitions are idle until the same instant.
fn with_one_end(mut ticks: Vec<Tick>) -> Vec<Tick> {
    let Some(finish) = ticks.pop() else { return ticks };
    let open = |p: &PartitionTick| PartitionTick { finished: false, ..*p };
    let end = T0 + Span::hours(3);
    let idle = Tick { time: end, partitions: finish.partitions.iter().map(open).collect(), ..finish.clone() };
    ticks.extend([idle, Tick { number: finish.number + 1, time: end, ..finish }]);
    ticks
}

fn values_of(log: &Log, ticks: &[Tick], stops: &[bool]) -> Values {
    let mut lane = Lane::new(SETUP.clone());
    let mut values = Values::default();
    for (tick, stop) in ticks.iter().zip(stops.iter().cycle()) {
        values.add(&SETUP, &feed(&mut lane, log, tick).rows);
        if *stop {
            lane = restored(&lane);
        }
    }
    while lane.core.merger().owes() {
        let last = Tick { number: 9_999, ..ticks[ticks.len() - 1].clone() };
        values.add(&SETUP, &feed(&mut lane, log, &last).rows);
    }
    assert_eq!(lane.core.merger().size(), (0, 0), "D6: a finished lane holds nothing");
    values
}

proptest! {
    #![proptest_config(cases(32))]

    /// R3, Values: who is filled where does not depend on ticks or restarts.
    #[test]
    fn r3_values_of_empty_windows(log in logs(30, true), a in cuts(), b in cuts(), stops in prop::collection::vec(any::<bool>(), 1..20)) {
        let whole = values_of(&log, &with_one_end(ticks(&log, &a)), &[false]);
        prop_assert_eq!(&whole, &values_of(&log, &with_one_end(ticks(&log, &b)), &[false]));
        prop_assert_eq!(&whole, &values_of(&log, &with_one_end(ticks(&log, &a)), &stops));
    }

    /// R3, History: with the state taken through JSON after any tick.
    #[test]
    fn r3_history_of_empty_windows(log in logs(30, true), a in cuts(), stops in prop::collection::vec(any::<bool>(), 1..20)) {
        check_history(&SETUP, &log, &ticks(&log, &a), &stops)?;
    }

    /// No deadline of an empty window is missed.
    #[test]
    fn r3_deadlines_of_empty_windows(log in logs(15, false)) {
        check_deadlines(&SETUP, &log)?;
    }
}
