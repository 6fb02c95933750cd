//! The past over real Kafka: seen again as it was, by several at once, as far as the topic still reaches; a dead Kafka is said, in time.

use super::live::{Feed, fires, site};
use super::site::{Site, Socket, acknowledge, alerts, delete_below, greet, hear, metric, say, watch};
use super::{Frozen, Killed, SOON, alone, run, shared, until};
use ioc::app::App;
use ioc::app::past::place;
use ioc::engine::{Condition, Tick};
use ioc::replay::lane::ReplayLane;
use ioc::replay::{Past, SESSIONS, local};
use ioc::server::board::{Board, BoardLimits};
use ioc::server::scope::Scope;
use ioc::server::wire::{self, ReplayCommand, ReplayState, ServerMessage, Snapshot, Timeline};
use ioc::time::{Span, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const LIMIT: Duration = Duration::from_secs(180);
/// A page takes a replay's line for dead after ten seconds without a frame: by then it must know why.
const SAID: Duration = Duration::from_secs(9);
/// Longer than an answer is waited for, several times over.
const AWAY: Duration = Duration::from_secs(12);

fn whole() -> Scope {
    Scope::new(&[], &[], Arc::new(|_: &str, _: &str| true))
}

/// What a live page was told: alerts in order, figures; as they stood in the frames.
#[derive(Default)]
struct Told {
    alerts: Vec<String>,
    figures: BTreeSet<String>,
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is told")
}

async fn ready(app: &App) -> bool {
    reqwest::get(format!("http://{}/readyz", app.address)).await.expect("an answer").status() == 200
}

/// Takes down all that a page is told until the server says goodbye.
async fn take_down(app: &App) -> JoinHandle<Told> {
    until(SOON, "the state is built", async || ready(app).await).await;
    let mut socket = watch(app).await;
    tokio::spawn(async move {
        let mut told = Told::default();
        while let Some(message) = hear(&mut socket).await {
            let ServerMessage::Update(update) = message else { continue };
            told.alerts.extend(update.alerts.iter().map(text));
            told.figures.extend(update.figures.iter().map(text));
        }
        told
    })
}

fn past(site: &Site) -> Arc<Past> {
    Arc::new(Past::open(site.settings.data.clone(), place(&site.settings)).expect("the past"))
}

/// All that the ticks after `from` tell.
fn told_again(past: &Arc<Past>, from: u64) -> Told {
    let mut lane = ReplayLane::open(past, from).expect("a lane");
    let (mut board, mut told) = (Board::new(BoardLimits::default()), Told::default());
    while let Some(fed) = lane.step().expect("the next tick") {
        let (before, tick) = (board.seq(), lane.board_tick(&fed));
        board.apply(&tick);
        if fed.entry.tick.number > from {
            let update = board.update_since(&whole(), before).expect("a tick's changes are still there");
            told.alerts.extend(update.alerts.iter().map(text));
            told.figures.extend(update.figures.iter().map(text));
        }
    }
    assert_eq!(lane.diverged(), 0);
    told
}

/// The tick with which an alert began to fire, between two milliseconds.
struct Fired {
    before: i64,
    after: i64,
    tick: u64,
}

fn fired(site: &Site, id: &str) -> Fired {
    let journal = site.journal();
    let mut entries = journal.ticks_from(0).map(|entry| entry.expect("the journal"));
    let begins = |entry: &ioc::journal::JournalEntry| entry.alerts.iter().any(|c| c.id.to_string() == id && c.to == Condition::Firing);
    let Tick { time, number, .. } = entries.find(begins).expect("it fired").tick;
    Fired { before: (time - Span(1)).millis(), after: time.millis() + 1, tick: number }
}

/// One analyst on the websocket of the program.
struct Analyst(Socket);

impl Analyst {
    async fn open(app: &App, at: i64) -> Analyst {
        let mut analyst = Analyst(greet(app, "/api/v1/replay").await);
        analyst.say(ReplayCommand::Open { at, speed: 0.0 }).await;
        analyst
    }

    async fn say(&mut self, command: ReplayCommand) {
        say(&mut self.0, &command).await;
    }

    /// The next picture and where it is.
    async fn picture(&mut self) -> (Snapshot, ReplayState) {
        let mut picture = None;
        let search = async {
            loop {
                match hear(&mut self.0).await.expect("the replay goes on") {
                    ServerMessage::Snapshot(snapshot) => picture = Some(snapshot),
                    ServerMessage::Replay(ReplayState { note: Some(note), .. })
                        if note.vi.starts_with("Dừng") || note.vi.starts_with("Không thể") =>
                    {
                        panic!("{note:?}")
                    }
                    ServerMessage::Replay(state) if state.building >= 1.0 => {
                        if let Some(picture) = picture.take() {
                            return (picture, state);
                        }
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(SOON, search).await.expect("a picture in time")
    }

    async fn state(&mut self, wish: impl Fn(&ReplayState) -> bool) -> ReplayState {
        let search = async {
            loop {
                if let ServerMessage::Replay(state) = hear(&mut self.0).await.expect("the replay goes on")
                    && wish(&state)
                {
                    return state;
                }
            }
        };
        tokio::time::timeout(SOON, search).await.expect("a state in time")
    }
}

async fn bar(app: &App) -> (u16, String) {
    let answer = reqwest::get(format!("http://{}/api/v1/timeline", app.address)).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

async fn timeline(app: &App) -> Timeline {
    let (status, text) = bar(app).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("the bar")
}

/// The lines of `ioc replay`, or what it says against it.
async fn program(site: &Site, words: &[&str]) -> Result<Vec<Value>, String> {
    let mut program = site.program(&[&["replay"], words].concat());
    let done = tokio::task::spawn_blocking(move || program.output().expect("ioc runs")).await.expect("it ends");
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    Ok(String::from_utf8(done.stdout).expect("text").lines().map(|line| serde_json::from_str(line).expect("a line")).collect())
}

/// Feeds until an alarm of this source fired and was seen to do so; its alert.
async fn lived(app: &App, source: &str, act: bool) -> wire::AlertView {
    let (feed, mut socket) = (Feed::start(app), watch(app).await);
    feed.raise(source);
    let (alert, _) = fires(&mut socket, source, SOON).await;
    if act {
        assert_eq!(acknowledge(app, &alert).await.0, 200);
    }
    let (_, count) = feed.stop().await;
    assert!(count > 0);
    until(SOON, "all is read", async || metric(app, "ioc_partition_lag_records", "") == 0.0).await;
    alert
}

/// R3 over Kafka, over a restart: frames byte for byte, moments, several at once, the bar, the program in a terminal; then with a topic
/// whose beginning was deleted.
#[test]
fn r3_what_was_live_over_kafka_is_seen_again_as_far_as_the_topic_reaches() {
    let _servers = shared();
    let site = site("past");
    run(async {
        let app = site.start(false).await;
        let first_page = take_down(&app).await;
        let first = lived(&app, "alarm-0", true).await;
        let second = lived(&app, "alarm-1", false).await;
        app.stop().await.expect("it stops");
        let mut told = first_page.await.expect("what was told");
        let app = site.start(false).await;
        let second_page = take_down(&app).await;
        let third = lived(&app, "alarm-2", false).await;
        app.stop().await.expect("it stops");
        let more = second_page.await.expect("what was told");
        told.alerts.extend(more.alerts);
        told.figures.extend(more.figures);

        let again = tokio::task::spawn_blocking({
            let past = past(&site);
            move || told_again(&past, 0)
        });
        let again = again.await.expect("all ticks");
        assert!(told.alerts.len() >= 4, "three fired, one was acknowledged: {:?}", told.alerts);
        assert_eq!(again.alerts, told.alerts, "R3: alerts, each change in order");
        let strange: Vec<_> = told.figures.difference(&again.figures).collect();
        assert!(told.figures.len() > 5 && strange.is_empty(), "R3: {} figures, not seen again: {strange:?}", told.figures.len());

        let app = site.start(false).await;
        several_at_once(&app, &site, [&first, &second, &third]).await;
        in_a_terminal(&site, &told).await;
        with_a_beginning_deleted(&app, &site, [&first, &third]).await;
        app.stop().await.expect("it stops");
    });
}

async fn several_at_once(app: &App, site: &Site, [first, second, third]: [&wire::AlertView; 3]) {
    let [one, two, three] = [first, second, third].map(|alert| fired(site, &alert.id));
    let moments = [one.before, one.after, two.before, three.after];
    let mut analysts = Vec::new();
    for at in moments {
        analysts.push(Analyst::open(app, at).await);
    }
    assert_eq!(analysts.len(), SESSIONS);
    let refused = tokio_tungstenite::connect_async(format!("ws://{}/api/v1/replay", app.address)).await.expect_err("one too many");
    assert!(refused.to_string().contains("503"), "{refused}");
    let mut pictures = Vec::new();
    for analyst in &mut analysts {
        pictures.push(analyst.picture().await);
    }
    let shown = |n: usize, alert: &wire::AlertView| pictures[n].0.alerts.iter().find(|a| a.id == alert.id).cloned();
    assert_eq!(shown(0, first), None, "before it fired");
    assert_eq!(text(&shown(1, first).expect("it fires")), text(first), "as it was told when it fired");
    assert_eq!(shown(2, first).expect("later").handling, wire::Handling::Acknowledged);
    assert_eq!((shown(2, second), shown(3, second).map(|a| text(&a))), (None, Some(text(second))));
    assert_eq!(text(&shown(3, third).expect("after a restart")), text(third));
    assert_eq!(shown(3, first).expect("over a restart").acknowledged.as_ref().expect("by whom").by, "Trực ban");

    // from alert to alert, and on to the present as fast as it goes
    let analyst = &mut analysts[0];
    for alert in [one, two, three] {
        analyst.say(ReplayCommand::NextAlert).await;
        assert_eq!(analyst.picture().await.0.tick.number, alert.tick);
    }
    analyst.say(ReplayCommand::Play { speed: 1e9 }).await;
    let state = analyst.state(|s| !s.playing && s.note.is_some()).await;
    assert!(state.note.expect("a note").en.contains("present"), "{}", state.at);
    let bar = timeline(app).await;
    let marks: Vec<_> = bar.alerts.iter().map(|mark| mark.id.as_str()).collect();
    assert_eq!(marks, [&first.id, &second.id, &third.id]);
}

async fn in_a_terminal(site: &Site, told: &Told) {
    let oldest = past(site).reach().expect("a past").oldest;
    let lines = program(site, &["--from", &oldest.to_string(), "--json"]).await.expect("it replays");
    let found: Vec<&Value> = lines.iter().filter_map(|line| line.get("alert")).collect();
    let expected: Vec<Value> = told.alerts.iter().map(|alert| serde_json::from_str(alert).expect("an alert")).collect();
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
    let of = |n: usize| lines.iter().filter(|line| line.get("alert").is_some()).nth(n).and_then(|l| l["time"].as_i64()).expect("a time");
    let (from, to) = (Timestamp::from_millis(of(0)), Timestamp::from_millis(of(0) + 1));
    let span = program(site, &["--from", &from.to_string(), "--to", &to.to_string(), "--json"]).await.expect("it replays");
    assert_eq!(span.iter().filter_map(|line| line.get("alert")).collect::<Vec<_>>(), [found[0]], "one tick of it");
}

/// The left end of the bar is the oldest moment for which the topic still has all records.
async fn with_a_beginning_deleted(app: &App, site: &Site, [first, third]: [&wire::AlertView; 2]) {
    let before = timeline(app).await;
    let (kept, _) = ioc::checkpoint::CheckpointReader::new(ioc::disk::Disk::Real, &site.settings.data.join("checkpoints"))
        .list()
        .expect("checkpoints")
        .remove(0);
    let entry = site.journal().entry(kept.tick).expect("the journal").expect("its tick");
    assert_eq!(before.oldest, past(site).reach().expect("a past").oldest.millis());
    assert!(before.oldest < entry.tick.time.millis());
    for (number, partition) in entry.tick.partitions.iter().enumerate() {
        delete_below(site, number as i32, partition.end as i64).await;
    }
    let bar = timeline(app).await;
    assert_eq!(bar.oldest, entry.tick.time.millis(), "of the oldest state from which the topic still has all");
    assert!(bar.alerts.iter().any(|mark| mark.id == third.id), "{:?}", bar.alerts);

    let mut analyst = Analyst::open(app, fired(site, &first.id).after).await;
    let (picture, state) = analyst.picture().await;
    assert_eq!((state.at, state.oldest), (bar.oldest, bar.oldest));
    let note = state.note.expect("it is said");
    let oldest = local(Timestamp::from_millis(bar.oldest));
    assert!(note.en.contains("oldest") && note.en.contains(&oldest) && note.vi.contains("cũ nhất"), "{note:?}");
    assert!(picture.alerts.iter().any(|alert| alert.id == first.id), "the state of that moment holds what was before it");
    analyst.say(ReplayCommand::NextAlert).await;
    let (picture, _) = analyst.picture().await;
    assert_eq!(picture.tick.number, fired(site, &third.id).tick);
    let said = program(site, &["--from", &Timestamp::from_millis(before.oldest).to_string(), "--json"]).await.expect_err("too early");
    assert!(said.contains("cannot be seen again") && said.contains(&oldest), "{said}");
    assert_eq!(metric(app, "ioc_lost_records_total", ""), 0.0, "the live lane had read them");

    // one record more: nothing kept lies after it but the present
    for (number, partition) in entry.tick.partitions.iter().enumerate() {
        delete_below(site, number as i32, partition.end as i64 + 1).await;
    }
    assert!(timeline(app).await.oldest > bar.oldest);
}

/// A dead Kafka: what was asked of a replay is answered with the reason, before a page gives the line up; live goes on; then all is well.
#[test]
fn a_kafka_that_dies_under_a_replay_is_said_in_time_and_live_goes_on() {
    let _servers = alone();
    let site = site("past-away");
    run(async {
        let app = site.start(false).await;
        let alert = lived(&app, "alarm-0", false).await;
        let Fired { before, after, .. } = fired(&site, &alert.id);
        for round in 0..2 {
            let mut asking = Analyst::open(&app, after).await;
            let mut standing = Analyst::open(&app, after).await;
            let picture = asking.picture().await;
            standing.picture().await;
            let away = match round {
                0 => tokio::task::spawn_blocking(|| Box::new(Killed::now("kafka")) as Box<dyn Send>),
                _ => tokio::task::spawn_blocking(|| Box::new(Frozen::now("kafka")) as Box<dyn Send>),
            };
            let (away, began) = (away.await.expect("Kafka is away"), Instant::now());
            asking.say(ReplayCommand::Seek { at: picture.1.oldest }).await;
            let state = tokio::time::timeout(SAID, asking.state(|s| s.note.is_some())).await.expect("a reason in time");
            let note = state.note.expect("a reason");
            assert!(note.en.contains("does not answer") && note.vi.contains("Dừng phát lại"), "{note:?}");
            assert!(matches!(hear(&mut asking.0).await, Some(ServerMessage::Bye { .. })), "and it ends");
            // one that is opened now says at once why it cannot
            let mut late = Analyst::open(&app, after).await;
            let state = tokio::time::timeout(SAID, late.state(|_| true)).await.expect("a reason in time");
            assert!(state.newest == 0 && state.note.is_some_and(|n| n.en.contains("does not answer")));
            let asked = Instant::now();
            let (status, text) = bar(&app).await;
            assert!(status == 503 && text.contains("does not answer") && asked.elapsed() < SAID, "{status} {text} {:?}", asked.elapsed());
            let said = program(&site, &["--from", "1m"]).await.expect_err("Kafka is away");
            assert!(said.contains("does not answer"), "{said}");
            // whoever looks at a picture keeps it, and the live lane takes acts
            while began.elapsed() < AWAY {
                standing.state(|s| s.building >= 1.0 && s.note.is_none()).await;
            }
            let seen = alerts(&app).await.into_iter().find(|a| a.id == alert.id).expect("the alert");
            if round == 0 {
                assert_eq!(acknowledge(&app, &seen).await.0, 200);
            }
            tokio::task::spawn_blocking(move || drop(away)).await.expect("Kafka is back");
            standing.say(ReplayCommand::Seek { at: before }).await;
            assert!(!standing.picture().await.0.alerts.iter().any(|a| a.id == alert.id), "before it fired");
            until(LIMIT, "live reads on", async || metric(&app, "ioc_live", "") == 1.0).await;
        }
        app.stop().await.expect("it stops");
    });
}
