use super::*;
use crate::server::scope::HealthInput;
use crate::server::tests::fixtures::*;
use crate::server::wire::HealthView;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn scope(areas: &[&str]) -> Scope {
    let areas: Vec<String> = areas.iter().map(|code| (*code).to_owned()).collect();
    Scope::new(&areas, &[], Arc::new(|area: &str, allowed: &str| area == allowed))
}

fn fanout(seats: SeatLimits) -> Fanout {
    Fanout::new(BoardLimits::default(), seats, "b".into(), Arc::default())
}

fn speed(source: &str, value: f64) -> crate::server::board::FigureInput {
    figure("m", "traffic", "a", source, 0, value)
}

/// (sequence, alert versions, speeds, health is there) of each frame that waits.
fn drain(frames: &mut Frames) -> Vec<(u64, Vec<u32>, Vec<f64>, bool)> {
    let mut all = Vec::new();
    while let Some(frame) = frames.try_next() {
        let ServerMessage::Update(update) = serde_json::from_str(frame.as_str()).unwrap() else { panic!("{frame:?}") };
        let versions = update.alerts.iter().map(|alert| alert.version).collect();
        let speeds = update.figures.iter().map(|figure| figure.values["speed"]).collect();
        all.push((update.seq, versions, speeds, update.health.is_some()));
    }
    all
}

#[test]
fn the_first_change_of_figures_goes_out_at_once_further_ones_every_250_ms_the_newest_of_each() {
    let mut fanout = fanout(SeatLimits::default());
    let mut frames = fanout.join(ms(0), &scope(&[]), None).frames;
    for (n, at) in [0, 100, 150, 200].into_iter().enumerate() {
        fanout.apply(ms(at), &tick(n as u64 + 1, vec![speed("s", at as f64), speed(&format!("t{n}"), 1.0)], vec![]));
    }
    assert_eq!(drain(&mut frames), [(3, vec![], vec![0.0, 1.0], false)]);
    assert_eq!(fanout.due(), Some(ms(250)));
    fanout.wake(ms(249));
    assert_eq!(drain(&mut frames), []);
    fanout.wake(ms(250));
    assert_eq!(drain(&mut frames), [(9, vec![], vec![1.0, 1.0, 200.0, 1.0], false)], "s once, with its newest value");
    assert_eq!(fanout.due(), Some(HEARTBEAT));
    fanout.apply(ms(600), &tick(5, vec![speed("s", 5.0)], vec![]));
    assert_eq!(drain(&mut frames), [(11, vec![], vec![5.0], false)]);
}

#[test]
fn alerts_go_out_at_once_and_take_no_figures_along_before_their_time() {
    let mut fanout = fanout(SeatLimits::default());
    let mut frames = fanout.join(ms(0), &scope(&[]), None).frames;
    fanout.apply(ms(0), &tick(1, vec![speed("s", 1.0)], vec![alert(1, 1, "traffic", "a")]));
    fanout.apply(ms(10), &tick(2, vec![speed("s", 2.0)], vec![alert(1, 2, "traffic", "a"), alert(1, 3, "traffic", "a")]));
    fanout.apply(ms(20), &tick(3, vec![], vec![alert(1, 4, "traffic", "a")]));
    fanout.wake(ms(250));
    let told = [(3, vec![1], vec![1.0], false), (4, vec![2, 3], vec![], false), (6, vec![4], vec![], false), (7, vec![], vec![2.0], false)];
    assert_eq!(drain(&mut frames), told);
}

#[test]
fn every_client_gets_a_heartbeat_with_health_each_second_even_if_nothing_happens() {
    let mut fanout = fanout(SeatLimits::default());
    assert_eq!(fanout.due(), None, "nobody is there");
    let mut frames = fanout.join(ms(0), &scope(&[]), None).frames;
    let mut now = ms(0);
    for _ in 0..10 {
        let due = fanout.due().unwrap();
        assert!(due - now <= ms(1000));
        now = due;
        fanout.wake(now);
        assert_eq!(drain(&mut frames), [(1, vec![], vec![], true)]);
    }
    let health = HealthInput { common: HealthView { delay_ms: 7, ..HealthView::default() }, ..HealthInput::default() };
    let mut quiet = tick(1, vec![], vec![]);
    quiet.health = Some(Arc::new(health));
    fanout.apply(now + HEARTBEAT, &quiet);
    let mut picture = Picture::default();
    picture.message(frames.try_next().unwrap().as_str());
    assert_eq!((picture.health.delay_ms, picture.tick.number), (7, 1));
}

#[test]
fn who_comes_while_figures_are_held_back_gets_its_heartbeats_too() {
    for (held_back, came) in [(800, 850), (700, 710)] {
        let mut fanout = fanout(SeatLimits::default());
        let _first = fanout.join(ms(0), &scope(&[]), None);
        fanout.apply(ms(held_back - 50), &tick(1, vec![speed("s", 1.0)], vec![]));
        fanout.apply(ms(held_back), &tick(2, vec![speed("s", 2.0)], vec![]));
        let mut frames = fanout.join(ms(came), &scope(&[]), None).frames;
        // At 900 ms a heartbeat is due while the second figure still waits; or both are due together, and come in one frame.
        let then = if held_back == 800 { ms(900) } else { ms(950) };
        fanout.wake(then);
        assert_eq!(drain(&mut frames), [(5, vec![], vec![], true)], "{held_back}");
        fanout.wake(ms(1_100));
        assert_eq!(drain(&mut frames), [], "the figure was in its snapshot");
        fanout.wake(then + HEARTBEAT);
        assert_eq!(drain(&mut frames), [(5, vec![], vec![], true)]);
    }
}

#[test]
fn a_slow_client_is_closed_with_its_reason_at_its_bound_and_delays_nobody() {
    for limits in [SeatLimits { frames: 8, bytes: usize::MAX }, SeatLimits { frames: 1000, bytes: 8_000 }] {
        let counters: Arc<HubCounters> = Arc::default();
        let mut fanout = Fanout::new(BoardLimits::default(), limits, "b".into(), counters.clone());
        let mut slow = fanout.join(ms(0), &scope(&[]), None).frames;
        let mut quick = fanout.join(ms(0), &scope(&[]), None).frames;
        let mut versions = Vec::new();
        for n in 1..=50u32 {
            fanout.apply(ms(u64::from(n)), &tick(u64::from(n), vec![], vec![alert(1, n, "traffic", "a")]));
            versions.extend(drain(&mut quick).into_iter().flat_map(|(_, versions, ..)| versions));
        }
        assert_eq!(versions, (1..=50).collect::<Vec<_>>(), "the quick one got each change in the call that brought it");
        assert_eq!(slow.try_dismissed(), Some(ByeReason::Slow));
        assert_eq!(quick.try_dismissed(), None);
        let held: usize = std::iter::from_fn(|| slow.try_next()).map(|frame| frame.as_str().len()).sum();
        assert!(held > 0 && held <= limits.bytes);
        assert_eq!((counters.closed_slow.load(Ordering::Relaxed), counters.clients.load(Ordering::Relaxed)), (1, 1));
    }
}

#[test]
fn a_frame_is_encoded_once_per_scope_and_only_where_somebody_sees_it() {
    let counters: Arc<HubCounters> = Arc::default();
    let mut fanout = Fanout::new(BoardLimits::default(), SeatLimits::default(), "b".into(), counters.clone());
    let mut seats: Vec<Frames> = (0..30).map(|n| fanout.join(ms(0), &scope(&[["a", "b", "c"][n % 3]]), None).frames).collect();
    fanout.apply(ms(1), &tick(1, vec![], vec![alert(1, 1, "traffic", "a"), alert(2, 1, "traffic", "b")]));
    assert_eq!(counters.frames_encoded.load(Ordering::Relaxed), 2);
    let counts: Vec<usize> = seats.iter_mut().map(|frames| drain(frames).len()).collect();
    assert_eq!(counts, [1, 1, 0].repeat(10));
}

#[test]
fn a_client_that_left_leaves_nothing_behind() {
    let mut fanout = fanout(SeatLimits::default());
    drop(fanout.join(ms(0), &scope(&["a"]), None));
    fanout.wake(HEARTBEAT);
    assert_eq!((fanout.groups.len(), fanout.due()), (0, None));
}

#[test]
fn a_sequence_counts_only_in_its_epoch_which_names_the_scope() {
    let mut fanout = fanout(SeatLimits::default());
    let epoch = fanout.join(ms(0), &scope(&["a"]), None).epoch;
    fanout.apply(ms(0), &tick(1, vec![], vec![alert(1, 1, "traffic", "a")]));
    let mut resumes = |areas: &[&str], epoch: &str, seq| {
        let resume = Resume { epoch: epoch.to_owned(), seq };
        matches!(fanout.join(ms(1), &scope(areas), Some(&resume)).first, First::Resumed(_))
    };
    assert!(resumes(&["a"], &epoch, 0) && resumes(&["a"], &epoch, 2) && resumes(&["a"], &epoch, 3));
    assert!(!resumes(&["a"], &epoch, 4), "such a sequence has not been");
    assert!(!resumes(&["b"], &epoch, 0), "another scope");
    assert!(!resumes(&["a"], "other", 0), "another building");
}

#[test]
fn figures_held_back_at_the_cut_are_told_after_it() {
    let mut fanout = fanout(SeatLimits::default());
    let joined = fanout.join(ms(0), &scope(&[]), None);
    fanout.apply(ms(0), &tick(1, vec![speed("s", 1.0)], vec![]));
    fanout.apply(ms(10), &tick(2, vec![speed("s", 2.0)], vec![]));
    fanout.apply(ms(20), &tick(3, vec![], vec![alert(1, 1, "traffic", "a")]));
    // The client has seen the alert under sequence 6, but not the second figure, which waits for its time.
    drop(joined.frames);
    let resume = Resume { epoch: joined.epoch, seq: 6 };
    let First::Resumed(update) = fanout.join(ms(30), &scope(&[]), Some(&resume)).first else { panic!("not resumed") };
    assert!(update.alerts.is_empty() && update.seq > 6);
    assert_eq!(update.figures.iter().map(|figure| figure.values["speed"]).collect::<Vec<_>>(), [2.0]);
}
