//! The past again: board updates equal those that were live; seeks, scopes, several at once; the journal wins; what is gone is said.

use crate::support::feed::{Kept, Log as Records};
use crate::support::site::{Life, Rng, Site, end_of, records};
use crate::support::{definitions, sets};
use ioc::definitions::Definitions;
use ioc::engine::{Act, Tick, Verdict};
use ioc::ingest::file::FileReader;
use ioc::ingest::log::partition_of;
use ioc::pipeline::map::Map;
use ioc::replay::lane::ReplayLane;
use ioc::replay::session::Session;
use ioc::replay::timeline::{next_alert, timeline};
use ioc::replay::{Past, ReplayError};
use ioc::server::ActionRequest;
use ioc::server::board::{Board, BoardLimits, BoardTick};
use ioc::server::scope::Scope;
use ioc::server::wire::{Condition, ReplayCommand, ReplayState, ServerMessage, Snapshot, Update};
use ioc::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot};

fn whole() -> Scope {
    Scope::new(&[], &[], Arc::new(|_: &str, _: &str| true))
}

fn area(code: &str) -> Scope {
    Scope::new(&[code.to_owned()], &[], Arc::new(|area: &str, allowed: &str| area == allowed))
}

/// What a tick changed on a board, as it goes over the wire: byte for byte, but for where its sequence began.
fn told(board: &mut Board, tick: &BoardTick) -> String {
    let before = board.seq();
    board.apply(tick);
    let update = board.update_since(&whole(), before).expect("a tick's changes are still there");
    serde_json::to_string(&Update { seq: update.seq - before, health: None, ..update }).unwrap()
}

/// Alerts and figures of a board, in an order that does not depend on how it was built.
fn shown(board: &Board, scope: &Scope) -> Vec<String> {
    let snapshot = board.snapshot(scope);
    let figures = snapshot.figures.iter().map(|f| serde_json::to_string(f).unwrap());
    let mut all: Vec<String> = snapshot.alerts.iter().map(|a| serde_json::to_string(a).unwrap()).chain(figures).collect();
    all.sort();
    all
}

/// What was live, by tick.
#[derive(Default)]
struct Seen {
    updates: BTreeMap<u64, String>,
    /// The picture after some ticks.
    pictures: BTreeMap<u64, Vec<String>>,
    times: BTreeMap<u64, Timestamp>,
    acts: usize,
}

/// Drives a tapped lane to the end of its log in simulated wall time, with operators who act.
fn live(life: &mut Life, rng: &mut Rng, wall: &mut Timestamp, until: Timestamp, step: Span, seen: &mut Seen) {
    let mut board = Board::new(BoardLimits::default());
    // what a start shows: the state that was built
    let figures: Vec<_> = life.driver.figures.values().cloned().collect();
    let alerts: Vec<_> = life.driver.lane.core.book().iter().cloned().collect();
    let start = Tick { time: life.driver.lane.core.time().unwrap_or(*wall), ..Tick::default() };
    board.apply(&life.gate.views.tick(&start, &figures, &alerts, None));
    let mut published = life.published.take().expect("a tapped site");
    while *wall < until {
        life.driver.poll(std::time::Duration::ZERO).unwrap();
        let held: Vec<_> = life.driver.lane.core.book().iter().map(|a| (a.id, a.version)).collect();
        if !held.is_empty() && rng.one_in(20) {
            let (alert, version) = held[rng.below(held.len() as u64) as usize];
            let by = format!("operator {}", rng.below(9));
            let act = match rng.below(6) {
                0 => Act::Assign { to: "Lan".into() },
                1 => Act::Note,
                2 => Act::Close { verdict: Verdict::True },
                3 => Act::Reopen,
                _ => Act::Acknowledge,
            };
            let request = ActionRequest { alerts: vec![(alert, version)], by, note: "đã xem".into(), act, answer: oneshot::channel().0 };
            life.actions.try_send(request).unwrap();
            seen.acts += 1;
        }
        life.driver.cut(*wall).unwrap();
        life.commit_all().unwrap();
        *wall = *wall + step;
        while let Ok(tick) = published.try_recv() {
            seen.times.insert(tick.tick.number, Timestamp::from_millis(tick.tick.time));
            seen.updates.insert(tick.tick.number, told(&mut board, &tick));
            if tick.tick.number % 50 == 0 {
                seen.pictures.insert(tick.tick.number, shown(&board, &whole()));
            }
        }
    }
}

/// Replays from a tick on and holds every update against what was live; how many ticks changed something.
fn held_against(past: &Arc<Past>, from: u64, seen: &Seen) -> usize {
    let mut lane = ReplayLane::open(past, from).unwrap();
    while lane.next_number() <= from {
        lane.step().unwrap().expect("ticks up to the first");
    }
    let mut board = Board::new(BoardLimits::default());
    board.apply(&lane.picture());
    let (mut compared, mut changed) = (0, 0);
    while let Some(fed) = lane.step().unwrap() {
        let number = fed.entry.tick.number;
        if fed.changed {
            // the live process started anew: its board too
            board = Board::new(BoardLimits::default());
            board.apply(&lane.picture());
            continue;
        }
        let update = told(&mut board, &lane.board_tick(&fed));
        let Some(live) = seen.updates.get(&number) else { continue };
        assert_eq!(&update, live, "R3: board update of tick {number}, replayed from {from}");
        compared += 1;
        changed += usize::from(update.contains("\"alerts\"") || update.contains("\"figures\""));
        if let Some(picture) = seen.pictures.get(&number) {
            let again = shown(&board, &whole());
            let only = |a: &[String], b: &[String]| a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>();
            let differ = (only(picture, &again), only(&again, picture));
            assert_eq!(differ, (vec![], vec![]), "R3: live and again, picture of tick {number}, replayed from {from}");
        }
    }
    assert_eq!(lane.diverged(), 0);
    assert!(compared > 0);
    changed
}

/// A lane of ten minutes of disorder with operators who act; life and past of it.
fn lived(seed: u64) -> (Site, Life, Seen) {
    let log = records(seed);
    let mut site = Site::new(&log, definitions(&sets::files()));
    site.tapped = true;
    let mut life = site.start().unwrap();
    let (mut seen, mut rng) = (Seen::default(), Rng(seed + 5));
    let mut wall = crate::support::T0;
    live(&mut life, &mut rng, &mut wall, end_of(&log) + Span::minutes(5), Span::seconds(1), &mut seen);
    (site, life, seen)
}

/// R3: from any kept state, and from the beginning, every board update of the replay is that which was live, byte for byte.
#[test]
fn r3_board_updates_of_a_replay_are_those_that_were_live() {
    for seed in 0..3 {
        let (site, life, seen) = lived(seed);
        assert!(seen.acts > 5, "operators acted");
        assert!(seen.updates.values().any(|u| u.contains("operator ")), "their acts were shown");
        let past = site.past();
        let kept = site.checkpoints();
        assert!(kept.len() > 3, "{kept:?}");
        let changed = held_against(&past, 0, &seen);
        assert!(changed > 100, "{changed} ticks changed something");
        for from in [kept[1], kept[kept.len() / 2], kept[kept.len() / 2] + 7] {
            held_against(&past, from, &seen);
        }
        drop(life);
    }
}

/// The recorded hour of Gia Nghĩa as it arrived, in four partitions.
fn recorded_hour() -> Records {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = std::fs::read_to_string(root.join("pipelines/sumo.map.yaml")).unwrap();
    let map = Arc::new(Map::compile(&map, "pipelines/sumo.map.yaml").unwrap());
    let mut reader = FileReader::open(&root.join("demo/gia-nghia/events.ndjson.gz"), Some(&map)).unwrap();
    let mut parts = vec![Vec::new(); 4];
    while let Some(line) = reader.current() {
        let event: serde_json::Value = serde_json::from_slice(line.bytes).unwrap();
        let p = partition_of(event["source"].as_str().unwrap().as_bytes(), 4) as usize;
        parts[p].push(Kept { broker_time: Some(line.broker_time.expect("when it arrived")), body: line.bytes.to_vec() });
        reader.advance().unwrap();
    }
    parts
}

/// R3, with the shipped pipelines: half an hour around the recorded jam, replayed from a kept state.
#[test]
fn r3_the_recorded_jam_replays_as_it_was_seen() {
    let log = recorded_hour();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let definitions = Definitions::read(&root.join("pipelines"), Some(&root.join("schemas")), Some(&root.join("registry"))).unwrap();
    let mut site = Site::new(&log, definitions);
    site.tapped = true;
    let mut life = site.start().unwrap();
    let (mut seen, mut rng) = (Seen::default(), Rng(11));
    let mut wall = log.iter().filter_map(|p| p.first()?.broker_time).min().unwrap();
    let until = wall + Span::minutes(40);
    live(&mut life, &mut rng, &mut wall, until, Span::seconds(1), &mut seen);
    let kept = site.checkpoints();
    let from = kept.iter().copied().find(|tick| until - seen.times.get(tick).copied().unwrap_or(until) < Span::minutes(30)).unwrap();
    let changed = held_against(&site.past(), from, &seen);
    assert!(changed > 150, "{changed} ticks changed something");
    let jam = |u: &&String| u.contains("\"rule\":\"flow_stopped\"") && u.contains("\"condition\":\"firing\"");
    assert!(seen.updates.range(from..).map(|(_, u)| u).any(|u| jam(&u)), "the jam was seen");
}

/// D2: definitions of the time; over a restart with others.
#[test]
fn d2_a_replay_computes_with_the_definitions_of_the_time() {
    let log = records(4);
    let mut site = Site::new(&log, definitions(&sets::files()));
    site.tapped = true;
    let (mut seen, mut rng, mut wall) = (Seen::default(), Rng(3), crate::support::T0);
    let end = end_of(&log);
    let middle = wall + Span((end - wall).0 / 2);
    let mut life = site.start().unwrap();
    live(&mut life, &mut rng, &mut wall, middle, Span::seconds(1), &mut seen);
    life.driver.last_checkpoint().unwrap();
    life.commit_all().unwrap();
    let stopped_at = *seen.updates.keys().next_back().unwrap();
    drop(life);
    let before = site.definitions.version();
    site.definitions = crate::crash::changed();
    let mut life = site.start().unwrap();
    live(&mut life, &mut rng, &mut wall, end + Span::minutes(5), Span::seconds(1), &mut seen);
    let past = site.past();
    held_against(&past, 0, &seen);
    // a state from before the change, and one from after it
    let mut lane = ReplayLane::open(&past, stopped_at).unwrap();
    assert_eq!(lane.setup().version, before);
    let mut changes = 0;
    while let Some(fed) = lane.step().unwrap() {
        changes += usize::from(fed.changed);
    }
    assert_eq!((changes, &lane.setup().version), (1, &site.definitions.version()));
    drop(life);
}

/// D2: where recomputation does not arrive at the journaled changes, the journal wins and it is said.
#[test]
fn d2_the_journal_wins_over_what_a_replay_computes() {
    let (site, life, _) = lived(1);
    drop(life);
    let journal = rusqlite::Connection::open(site.data().join("journal.sqlite")).unwrap();
    let sql = "SELECT tick FROM changes WHERE kind = 'alert' AND json LIKE '%\"to\":\"firing\"%' ORDER BY tick LIMIT 1";
    let tick: i64 = journal.query_row(sql, [], |row| row.get(0)).unwrap();
    let unsaid = journal.execute("DELETE FROM changes WHERE kind = 'alert' AND tick = ?", [tick]).unwrap();
    assert!(unsaid > 0);
    let mut lane = ReplayLane::open(&site.past(), 0).unwrap();
    while let Some(fed) = lane.step().unwrap() {
        assert_eq!(fed.effects.changes, fed.entry.alerts);
        assert_eq!(fed.effects.diverged, fed.entry.tick.number == tick as u64, "tick {}", fed.entry.tick.number);
        if fed.effects.diverged {
            assert!(lane.board_tick(&fed).alerts.iter().all(|a| a.condition != Condition::Firing), "what was not said then is not shown");
        }
    }
    assert_eq!(lane.diverged(), 1);
}

/// One analyst: commands in, frames out.
struct Analyst {
    commands: SyncSender<ReplayCommand>,
    frames: mpsc::Receiver<axum::extract::ws::Utf8Bytes>,
    board: BTreeMap<String, String>,
}

impl Analyst {
    fn new(past: &Arc<Past>, scope: Scope, turn: &Arc<Mutex<()>>) -> Analyst {
        let (commands, told) = sync_channel(64);
        let (frames_in, frames) = mpsc::channel(8);
        let session = Session::new(past.clone(), scope, told, frames_in, turn.clone());
        std::thread::spawn(move || session.run());
        Analyst { commands, frames, board: BTreeMap::new() }
    }

    fn say(&self, command: ReplayCommand) {
        self.commands.send(command).unwrap();
    }

    fn hear(&mut self) -> ServerMessage {
        let message = serde_json::from_str(&self.frames.blocking_recv().expect("a frame")).unwrap();
        match &message {
            ServerMessage::Snapshot(snapshot) => {
                self.board.clear();
                self.put(&snapshot.alerts);
            }
            ServerMessage::Update(update) => self.put(&update.alerts),
            _ => {}
        }
        message
    }

    fn put(&mut self, alerts: &[Arc<ioc::server::wire::AlertView>]) {
        for alert in alerts {
            self.board.insert(alert.id.clone(), serde_json::to_string(alert).unwrap());
        }
    }

    /// Hears until a picture, which is told with its state.
    fn picture(&mut self) -> (Snapshot, ReplayState) {
        let mut picture = None;
        loop {
            match self.hear() {
                ServerMessage::Snapshot(snapshot) => picture = Some(snapshot),
                ServerMessage::Replay(state) if state.building >= 1.0 => {
                    if let Some(picture) = picture {
                        return (picture, state);
                    }
                }
                _ => {}
            }
        }
    }

    fn state(&mut self, wish: impl Fn(&ReplayState) -> bool) -> ReplayState {
        loop {
            if let ServerMessage::Replay(state) = self.hear()
                && wish(&state)
            {
                return state;
            }
        }
    }
}

/// The picture after a tick, in a scope, straight from the lane.
fn picture_at(past: &Arc<Past>, tick: u64, scope: &Scope) -> Vec<String> {
    let mut lane = ReplayLane::open(past, tick).unwrap();
    while lane.next_number() <= tick {
        lane.step().unwrap().unwrap();
    }
    let mut board = Board::new(BoardLimits::default());
    board.apply(&lane.picture());
    shown(&board, scope)
}

fn snapshot_lines(snapshot: &Snapshot) -> Vec<String> {
    let figures = snapshot.figures.iter().map(|f| serde_json::to_string(f).unwrap());
    let mut all: Vec<String> = snapshot.alerts.iter().map(|a| serde_json::to_string(a).unwrap()).chain(figures).collect();
    all.sort();
    all
}

/// Several analysts at once, each with a moment and a scope of their own; forwards, backwards, by steps, to the next alert, to the end.
#[test]
fn several_analysts_see_their_own_moments_in_their_own_scopes() {
    let (site, life, seen) = lived(2);
    let past = site.past();
    let turn = Arc::default();
    let reach = past.reach().unwrap();
    let times: Vec<(u64, Timestamp)> = seen.times.iter().map(|(n, t)| (*n, *t)).collect();
    let at = |share: usize| times[times.len() * share / 10];
    let scopes = [whole(), area("A"), whole()];
    let mut analysts: Vec<Analyst> = scopes.iter().map(|scope| Analyst::new(&past, scope.clone(), &turn)).collect();
    for (analyst, share) in analysts.iter().zip([3, 5, 8]) {
        analyst.say(ReplayCommand::Open { at: at(share).1.millis(), speed: 0.0 });
    }
    for ((analyst, scope), share) in analysts.iter_mut().zip(&scopes).zip([3, 5, 8]) {
        let (snapshot, state) = analyst.picture();
        let tick = past.tick_at(Timestamp::from_millis(at(share).1.millis())).unwrap();
        assert_eq!((state.at, snapshot.tick.number), (at(share).1.millis(), tick));
        assert_eq!((state.oldest, state.newest), (reach.oldest.millis(), reach.newest.millis()));
        assert_eq!(snapshot_lines(&snapshot), picture_at(&past, tick, scope), "what was seen at {}", at(share).1);
        let inside = |code: Option<&ioc::server::wire::AreaRef>| scope.sees_area(code.map(|a| a.code.as_str()));
        assert!(snapshot.alerts.iter().all(|a| inside(a.area.as_ref())) && snapshot.figures.iter().all(|f| inside(f.area.as_ref())));
    }
    let [first, second, _] = &mut analysts[..] else { unreachable!() };
    // back, then a step on
    first.say(ReplayCommand::Seek { at: at(1).1.millis() });
    assert_eq!(first.picture().1.at, at(1).1.millis());
    first.say(ReplayCommand::Step { ms: 60_000 });
    let (snapshot, state) = first.picture();
    assert_eq!(state.at, at(1).1.millis() + 60_000);
    let tick = past.tick_at(Timestamp::from_millis(state.at)).unwrap();
    assert_eq!(snapshot_lines(&snapshot), picture_at(&past, tick, &whole()));
    // before all there is
    first.say(ReplayCommand::Seek { at: 0 });
    let (_, state) = first.picture();
    assert_eq!(state.at, reach.oldest.millis());
    assert!(state.note.unwrap().en.contains("oldest"));
    // each alert that began to fire, one after the other, and then none
    let journal = site.journal();
    let (mut tick, mut found) = (past.tick_at(reach.oldest).unwrap(), 0);
    while let Some(next) = next_alert(&past, &journal, &whole(), tick).unwrap() {
        first.say(ReplayCommand::NextAlert);
        let (snapshot, state) = first.picture();
        assert_eq!(snapshot.tick.number, next);
        assert!(!state.playing);
        (tick, found) = (next, found + 1);
        if found == 5 {
            break;
        }
    }
    assert!(found > 2, "{found} alerts");
    // as fast as it goes, to the present
    second.say(ReplayCommand::Play { speed: 1e9 });
    let state = second.state(|s| !s.playing && s.note.is_some());
    assert_eq!(state.at, reach.newest.millis());
    let last = picture_at(&past, reach.last, &area("A"));
    let alerts: Vec<&String> = last.iter().filter(|line| line.contains("\"handling\"")).collect();
    assert!(alerts.iter().all(|line| second.board.values().any(|held| held == *line)), "the last change of each alert was told");
    drop(life);
}

/// The bar: alerts of the scope, spans without data, how far it reaches; what is too old is said with the oldest moment.
#[test]
fn the_bar_of_the_past_says_how_far_it_reaches() {
    let (site, life, seen) = lived(3);
    let past = site.past();
    let all = timeline(&past, &whole(), None, None).unwrap();
    let fired: usize = seen.updates.values().map(|u| u.matches("\"condition\":\"firing\"").count()).sum();
    assert!(!all.alerts.is_empty() && all.alerts.len() <= fired, "{} marks, {fired} updates", all.alerts.len());
    assert!(all.alerts.is_sorted_by_key(|a| a.at));
    let one = timeline(&past, &area("A"), None, None).unwrap();
    assert!(one.alerts.len() < all.alerts.len(), "{} of {}", one.alerts.len(), all.alerts.len());
    assert!(one.alerts.iter().all(|mark| all.alerts.contains(mark)));
    assert_eq!(all.checkpoints.len(), site.checkpoints().len());
    let half = timeline(&past, &whole(), Some((all.oldest + all.newest) / 2), None).unwrap();
    assert!(half.alerts.len() < all.alerts.len());
    let early = Timestamp::from_millis(all.oldest) - Span::hours(1);
    let error = past.tick_at(early).unwrap_err();
    assert!(matches!(error, ReplayError::TooEarly { .. }) && error.to_string().contains("07:00:0"), "{error}");
    drop(life);
}
