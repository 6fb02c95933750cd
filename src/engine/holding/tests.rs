//! What is said of a window is what happens to it: the lane goes on from any moment, and the row fires when it was said.

use super::*;
use crate::definitions::Definitions;
use crate::engine::collect::{Body, Record};
use crate::engine::lane::Effects;
use crate::engine::{PartitionTick, RowState, Tick};
use proptest::prelude::*;
use std::sync::Arc;

const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a, t.case]
out_of_orderness: 2s
lateness: 3s
idle_after: 7s
patience: 12s
cases: [{case: c, from: [t.case], state: data.state, open: [open], closed: [closed]}]
windows:
  - {measurement: plain, every: 10s, by: [source], from: [t.a], fields: {n: count()}}
  - {measurement: hops, every: 5s, period: 20s, by: [source], from: [t.a], fields: {n: count()}}
  - {measurement: filled, every: 4s, by: [source], from: [t.a], fill: 0, fields: {n: count()}}
  - {measurement: cases, every: 10s, gauge: c, fields: {n: count()}}
";
const PARTITIONS: usize = 3;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_780_000_000_000 + ms)
}

/// A lane, and what its partitions hold so far.
struct World {
    lane: Lane,
    offsets: [u64; PARTITIONS],
    number: u64,
    now: Timestamp,
    unreadable: [bool; PARTITIONS],
}

#[derive(Clone, Debug)]
struct Sent {
    partition: usize,
    time: Timestamp,
    case: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Step {
    /// ms of tick time.
    wait: i64,
    /// (partition, ms relative to the tick, case state).
    events: Vec<(usize, i64, Option<&'static str>)>,
    unreadable: [bool; PARTITIONS],
}

impl World {
    fn new() -> World {
        let files = [("pipelines/p.yaml".to_owned(), PIPELINE.to_owned())].into_iter().collect();
        let setup = Arc::new(Definitions { files }.compile(None).unwrap());
        World { lane: Lane::new(setup), offsets: [0; PARTITIONS], number: 0, now: at(0), unreadable: [false; PARTITIONS] }
    }

    /// The same state in a lane of its own.
    fn again(&self) -> World {
        let lane = Lane::restore(self.lane.setup.clone(), self.lane.save()).unwrap();
        World { lane, offsets: self.offsets, number: self.number, now: self.now, unreadable: self.unreadable }
    }

    fn tick(&mut self, now: Timestamp, events: &[Sent]) -> Effects {
        (self.now, self.number) = (now, self.number + 1);
        self.lane.begin(now, PARTITIONS);
        for sent in events {
            let offset = self.offsets[sent.partition];
            self.offsets[sent.partition] += 1;
            let (kind, data) = match sent.case {
                None => ("t.a", "{}".to_owned()),
                Some(state) => ("t.case", format!(r#"{{"state":"{state}"}}"#)),
            };
            let event = format!(
                r#"{{"specversion":"1.0","id":"{offset}","source":"s{}","subject":"x","type":"{kind}","time":"{}","data":{data}}}"#,
                sent.partition, sent.time
            );
            let record = Record { offset, broker_time: None, body: Body::Structured(event.as_bytes()) };
            self.lane.take(sent.partition, record, Timestamp::MAX).unwrap();
        }
        let of = |p: usize| PartitionTick { end: self.offsets[p], read_time: None, unreadable: self.unreadable[p], finished: false };
        let tick = Tick { number: self.number, time: now, live: true, partitions: (0..PARTITIONS).map(of).collect(), ..Tick::default() };
        self.lane.close(&tick)
    }

    fn step(&mut self, step: &Step) -> Effects {
        self.unreadable = step.unreadable;
        let now = self.now + Span(step.wait * crate::time::NANOS_PER_MILLI);
        let event = |(partition, ms, case): &(usize, i64, Option<&'static str>)| Sent {
            partition: *partition,
            time: now + Span(ms * crate::time::NANOS_PER_MILLI),
            case: *case,
        };
        let events: Vec<Sent> = step.events.iter().filter(|(p, ..)| !step.unreadable[*p]).map(event).collect();
        self.tick(now, &events)
    }

    fn stand(&self) -> PipeStand {
        PipeStand::of(&self.lane, 0)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let case = prop_oneof![6 => Just(None), 1 => Just(Some("open")), 1 => Just(Some("closed"))];
    let events = prop::collection::vec((0..PARTITIONS, -9_000..1_500i64, case), 0..5);
    let unreadable = [prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::bool::weighted(0.1)];
    let step = (0..6_000i64, events, unreadable).prop_map(|(wait, events, unreadable)| Step { wait, events, unreadable });
    prop::collection::vec(step, 1..25)
}

/// The state in which a window's rows were published first.
fn fired(effects: &Effects, window: usize, end: Timestamp) -> Option<RowState> {
    effects.rows.iter().find(|r| usize::from(r.window) == window && r.end == end && r.revision == 0).map(|r| r.state)
}

/// Goes on without events from `world`: the window fires at the tick that was named and at none before.
fn check_silence(world: &World, window: usize, gauge: bool, end: Timestamp, hold: &Hold) {
    let mut later = world.again();
    let Release { at, by } = hold.release;
    let timing = world.lane.setup.pipelines[0].timing;
    let is_open = |world: &World| matches!(world.stand().judge(&timing, window, end), Standing::Open(_));
    for before in [world.now, world.now + Span((at - world.now).0 / 2), at - Span(1)] {
        if before >= later.now && before < at {
            let effects = later.tick(before, &[]);
            assert_eq!(fired(&effects, window, end), None, "window {window} fired at {before}, before {at}: {hold:?}");
            assert!(is_open(&later));
        }
    }
    let effects = later.tick(at.max(later.now), &[]);
    let state = if by == ReleasedBy::Deadline { RowState::Incomplete } else { RowState::Final };
    let row = fired(&effects, window, end);
    // a window that counts cases has a row only where there are some
    assert!(row == Some(state) || (gauge && row.is_none()), "window {window} at {at}: {row:?} {hold:?} {:?}", world.stand());
    assert!(!is_open(&later), "window {window} at {at}: {hold:?}");
    assert!(at <= hold.deadline);
}

/// Lets every holder accept one event: below the event time that was named the window stays, from it on it fires.
fn check_events(world: &World, window: usize, gauge: bool, end: Timestamp, hold: &Hold) {
    if hold.holders.is_empty() || hold.holders.iter().any(|p| world.unreadable[*p]) || (gauge && end > world.now) {
        return;
    }
    let timing = world.lane.setup.pipelines[0].timing;
    for (time, fires) in [(hold.event_time - Span(1), false), (hold.event_time, true)] {
        let mut later = world.again();
        let sent: Vec<Sent> = hold.holders.iter().map(|p| Sent { partition: *p, time, case: None }).collect();
        let effects = later.tick(world.now, &sent);
        let row = fired(&effects, window, end).is_some();
        assert!(row == fires || (gauge && !row), "window {window}, events at {time}: {row} {hold:?}");
        let open = matches!(later.stand().judge(&timing, window, end), Standing::Open(_));
        assert_eq!(open, !fires, "window {window}, events at {time}: {hold:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// T5: "a partition holds a window while its watermark is below the window's end, unless it is idle or the window's deadline has
    /// passed": what is said to release a window is what releases it.
    #[test]
    fn t5_what_is_said_to_release_a_window_is_what_releases_it(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            let stand = world.stand();
            let timing = world.lane.setup.pipelines[0].timing;
            for (window, of) in stand.windows.iter().enumerate() {
                let gauge = world.lane.setup.pipelines[0].windows[window].gauge.is_some();
                let Some((_, end)) = of.oldest else { continue };
                let Standing::Open(hold) = stand.judge(&timing, window, end) else {
                    panic!("window {window}: the oldest open one is not open: {stand:?}");
                };
                check_silence(&world, window, gauge, end, &hold);
                check_events(&world, window, gauge, end, &hold);
            }
        }
    }
}

/// A table of moments in words: who holds, until when.
#[test]
fn t5_who_holds_and_until_when() {
    let mut world = World::new();
    let sent = |partition: usize, ms: i64| Sent { partition, time: at(ms), case: None };
    // 1_780_000_000 is a multiple of 10 s, so windows end at 10 s, 20 s…
    world.tick(at(0), &[]);
    world.tick(at(8_000), &[sent(0, 7_500), sent(1, 8_000), sent(2, 6_000)]);
    let timing = world.lane.setup.pipelines[0].timing;
    let judged = |world: &World| match world.stand().judge(&timing, 0, at(10_000)) {
        Standing::Open(hold) => (hold.holders, hold.release),
        other => panic!("{other:?}"),
    };
    let release = |ms: i64, by| Release { at: at(ms), by };
    // nobody has reached 10 s: all three fall idle at 15 s or before
    assert_eq!(judged(&world), (vec![0, 1, 2], release(15_000, ReleasedBy::Idle)));
    world.tick(at(12_500), &[sent(0, 12_000), sent(1, 12_400)]);
    assert_eq!(judged(&world), (vec![2], release(13_000, ReleasedBy::Idle)));
    let stand = world.stand();
    assert_eq!(stand.windows[0].oldest, Some((at(0), at(10_000))));
    assert_eq!(stand.parts[2].last, Some(("s2".into(), Some(at(6_000)))));
    // what cannot be read does not fall idle: the deadline is left
    world.unreadable = [false, false, true];
    world.tick(at(12_600), &[]);
    assert_eq!(judged(&world), (vec![2], release(24_000, ReleasedBy::Deadline)));
    world.unreadable = [false; PARTITIONS];
    let effects = world.tick(at(12_900), &[sent(2, 12_000)]);
    assert_eq!(fired(&effects, 0, at(10_000)), Some(RowState::Final));
    assert_eq!(world.stand().judge(&timing, 0, at(10_000)), Standing::Fired);
}
