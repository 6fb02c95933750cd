//! Changes to channels: in order, once, across restarts and receivers that fail.

use super::channel::Channel;
use super::cursor::Cursors;
use super::webhook::{Webhook, signature};
use super::*;
use crate::engine::Tick;
use crate::ingest::log::Log;
use crate::journal::{Journal, JournalEntry};
use crate::time::{Span, Timestamp};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicI64;

fn told(number: u64) -> Told {
    let json = format!("{{\"version\":1,\"number\":{number}}}");
    let alert = format!("{:032x}", number % 3);
    Told {
        number,
        tick: number,
        time: Timestamp::from_seconds(number as i64).0,
        alert,
        version: 1,
        sector: "traffic".into(),
        area: None,
        json,
    }
}

/// Numbers of the events in a body or a record.
fn number(event: &[u8]) -> u64 {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap();
    assert_eq!((event["specversion"].as_str(), event["type"].as_str()), (Some("1.0"), Some(event::KIND)));
    assert_eq!(event["subject"], event["partitionkey"]);
    let number = event["data"]["number"].as_u64().unwrap();
    assert_eq!(event["sequence"], number.to_string());
    number
}

/// A journal, its outbox and one channel's cursor, as they lie in a folder.
struct Folder {
    dir: tempfile::TempDir,
    journal: Journal,
    outbox: Arc<Outbox>,
    cursors: Arc<Cursors>,
}

impl Folder {
    fn open(dir: tempfile::TempDir) -> Folder {
        let journal = Journal::open(dir.path()).unwrap();
        let outbox = Arc::new(Outbox::new(dir.path(), journal.last_told()));
        let cursors = Arc::new(Cursors::open(dir.path()).unwrap());
        Folder { dir, journal, outbox, cursors }
    }

    /// The process ends and begins again.
    fn again(self) -> Folder {
        let Folder { dir, journal, outbox, cursors } = self;
        drop((journal, outbox, cursors));
        Folder::open(dir)
    }

    fn put(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        let entries: Vec<JournalEntry> = numbers
            .clone()
            .map(|n| JournalEntry { tick: Tick { number: n, ..Tick::default() }, told: vec![told(n)], ..JournalEntry::default() })
            .collect();
        self.journal.append(&entries).unwrap();
        self.outbox.put(numbers.map(told));
    }

    fn tell(&self, channel: Channel) -> Running {
        let (counters, stop) = (Arc::new(ChannelCounters::default()), CancellationToken::new());
        let task = tokio::spawn(tell(self.outbox.clone(), self.cursors.clone(), channel, counters.clone(), stop.clone()));
        Running { counters, stop, task }
    }
}

struct Running {
    counters: Arc<ChannelCounters>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Until all up to `number` are told or given up.
    async fn until(&self, number: u64) {
        let reached = async {
            while self.counters.at.load(Relaxed) < number {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("told in time");
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_read_is_the_same_from_memory_and_from_disk() {
    let mut folder = Folder::open(tempfile::tempdir().unwrap());
    folder.put(1..=10);
    let read = async |folder: &Folder, after, limit| {
        let told = folder.outbox.after(after, limit).await.unwrap();
        told.iter().map(|t| t.number).collect::<Vec<_>>()
    };
    let all = read(&folder, 0, 99).await;
    let folder = folder.again();
    assert_eq!((read(&folder, 0, 99).await, folder.outbox.newest()), (all, 10), "from disk: memory holds nothing yet");
    let mut folder = folder;
    folder.put(11..=12);
    assert_eq!(read(&folder, 8, 2).await, [9, 10], "what memory does not hold comes from disk");
    assert_eq!((read(&folder, 10, 9).await, read(&folder, 12, 9).await), (vec![11, 12], vec![]));
}

#[tokio::test]
async fn the_ring_is_bounded_and_nothing_is_lost_at_its_end() {
    let mut folder = Folder::open(tempfile::tempdir().unwrap());
    let many = RING as u64 + 100;
    folder.put(1..=many);
    let (mut at, mut seen) = (0, Vec::new());
    loop {
        let told = folder.outbox.after(at, 700).await.unwrap();
        let Some(last) = told.last() else { break };
        at = last.number;
        seen.extend(told.iter().map(|t| t.number));
    }
    assert_eq!(seen, (1..=many).collect::<Vec<_>>());
    assert_eq!(folder.outbox.ring.lock().unwrap().told.len(), RING);
}

async fn records(log: &Log) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut reader = log.reader();
    for partition in 0..log.partitions() {
        let records = reader.read(partition, 0, 10_000).unwrap();
        // one alert's changes are in order in their partition
        let of_one: Vec<u64> = records.iter().map(|r| number(&r.value)).collect();
        for alert in 0..3 {
            assert!(of_one.iter().filter(|n| *n % 3 == alert).is_sorted());
        }
        numbers.extend(of_one);
    }
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_told_each_change_once_across_restarts_from_where_it_was_first_asked_for() {
    let mut folder = Folder::open(tempfile::tempdir().unwrap());
    let log = |folder: &Folder| Log::open(&folder.dir.path().join("log"), "ioc.alerts", 4).unwrap();
    folder.put(1..=5);
    let running = folder.tell(Channel::Embedded(log(&folder)));
    running.until(5).await;
    folder.put(6..=700);
    running.until(700).await;
    running.end().await;
    // told while nobody listens
    folder.put(701..=710);
    let mut folder = folder.again();
    let running = folder.tell(Channel::Embedded(log(&folder)));
    running.until(710).await;
    folder.put(711..=711);
    running.until(711).await;
    running.end().await;
    assert_eq!(records(&log(&folder)).await, (6..=711).collect::<Vec<_>>(), "what was before it was first asked for is not told");
}

#[tokio::test]
async fn what_was_forgotten_before_it_was_told_is_counted() {
    let mut folder = Folder::open(tempfile::tempdir().unwrap());
    folder.cursors.save("embedded", 0).await.unwrap();
    folder.put(1..=9);
    folder.journal.retain(0, i64::MIN, Timestamp::from_seconds(5).0).unwrap();
    let folder = folder.again();
    let log = Log::open(&folder.dir.path().join("log"), "ioc.alerts", 4).unwrap();
    let running = folder.tell(Channel::Embedded(log.clone()));
    running.until(9).await;
    assert_eq!((running.counters.lost.load(Relaxed), running.counters.told.load(Relaxed)), (4, 5));
    running.end().await;
}

/// What a receiver saw, and how it answers.
#[derive(Default)]
struct Receiver {
    taken: Mutex<Vec<u64>>,
    refused: Mutex<Vec<u64>>,
    /// So many requests more are answered 503.
    fails: AtomicU64,
    ids: Mutex<Vec<String>>,
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = std::str::from_utf8(&body).unwrap();
    assert_eq!(headers["content-type"], event::CONTENT_TYPE);
    let given = headers["ioc-signature"].to_str().unwrap();
    let seconds = given.split([',', '=']).nth(1).unwrap().parse().unwrap();
    assert_eq!(given, signature(SECRET.as_bytes(), seconds, text), "the receiver computes the same");
    let refuse = receiver.fails.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
    let list = if refuse { &receiver.refused } else { &receiver.taken };
    list.lock().unwrap().push(number(&body));
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
    receiver.ids.lock().unwrap().push(event["id"].as_str().unwrap().to_owned());
    if refuse { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}

/// A real HTTP server on a port of its own.
async fn serve(receiver: Arc<Receiver>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?key=secret", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(receive)).with_state(receiver);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn webhook(folder: &Folder, url: &str, now: &Arc<AtomicI64>) -> Channel {
    let now = now.clone();
    let clock = Arc::new(move || Timestamp::from_seconds(now.load(Relaxed)));
    let dead = folder.dir.path().join("dead-letters/webhook.ndjson");
    Channel::Webhook(Webhook::new(url, SECRET, Span::days(3), dead, clock).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_each_change_in_order_though_it_fails_and_both_sides_restart() {
    let mut folder = Folder::open(tempfile::tempdir().unwrap());
    let (receiver, now) = (Arc::new(Receiver::default()), Arc::new(AtomicI64::new(100)));
    let url = serve(receiver.clone()).await;
    let running = folder.tell(webhook(&folder, &url, &now));
    running.until(0).await;
    folder.cursors.save("webhook", 0).await.unwrap();
    receiver.fails.store(1, Relaxed);
    folder.put(1..=20);
    running.until(20).await;
    assert_eq!(running.counters.retries.load(Relaxed), 1);
    running.end().await;
    let mut folder = folder.again();
    folder.put(21..=22);
    let running = folder.tell(webhook(&folder, &url, &now));
    running.until(22).await;
    running.end().await;
    assert_eq!(*receiver.taken.lock().unwrap(), (1..=22).collect::<Vec<_>>(), "each once, in order");
    assert_eq!(*receiver.refused.lock().unwrap(), [1]);
    let ids = receiver.ids.lock().unwrap();
    assert_eq!((ids[0].clone(), ids.iter().collect::<BTreeSet<_>>().len()), (ids[1].clone(), 22), "a try again has the same id");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_for_days_lies_among_the_dead_letters_and_the_next_has_its_turn() {
    let mut folder = Folder::open(tempfile::tempdir().unwrap());
    folder.cursors.save("webhook", 0).await.unwrap();
    let receiver = Arc::new(Receiver::default());
    receiver.fails.store(2, Relaxed);
    // three days after the first two of them
    let now = Arc::new(AtomicI64::new(3 * 86_400 + 2));
    let url = serve(receiver.clone()).await;
    folder.put(1..=4);
    let running = folder.tell(webhook(&folder, &url, &now));
    running.until(4).await;
    let counters = &running.counters;
    assert_eq!((counters.dead.load(Relaxed), counters.told.load(Relaxed), counters.retries.load(Relaxed)), (2, 2, 0));
    running.end().await;
    assert_eq!(*receiver.taken.lock().unwrap(), [3, 4]);
    let dead = std::fs::read(folder.dir.path().join("dead-letters/webhook.ndjson")).unwrap();
    let dead: Vec<u64> = dead.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(number).collect();
    assert_eq!(dead, [1, 2]);
}

#[tokio::test]
async fn nobody_there_is_no_loss_and_no_secret_in_the_message() {
    let mut folder = Folder::open(tempfile::tempdir().unwrap());
    // a port that nobody listens on
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?key=hidden", listener.local_addr().unwrap());
    drop(listener);
    let now = Arc::new(AtomicI64::new(5));
    let Channel::Webhook(hook) = webhook(&folder, &url, &now) else { panic!() };
    let error = hook.post(&told(1)).await.unwrap_err().to_string();
    assert!(!error.contains("hidden"), "{error}");
    folder.cursors.save("webhook", 0).await.unwrap();
    folder.put(1..=1);
    let running = folder.tell(webhook(&folder, &url, &now));
    while running.counters.retries.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((running.counters.at.load(Relaxed), running.counters.dead.load(Relaxed)), (0, 0));
    running.end().await;
    assert_eq!(folder.cursors.load("webhook").await.unwrap(), Some(0), "it waits");
}

#[test]
fn settings_that_cannot_work_are_refused_with_the_next_step() {
    let make = |url: &str, secret: &str| Webhook::new(url, secret, Span::days(1), PathBuf::new(), Arc::new(|| Timestamp(0))).map(|_| ());
    assert!(make("http://127.0.0.1:9/x", SECRET).is_ok());
    for (url, secret, says) in
        [("nonsense", SECRET, "write http://host"), ("ftp://a/b", SECRET, "write http://host"), ("http://a/b", "short", "openssl rand")]
    {
        assert!(make(url, secret).unwrap_err().to_string().contains(says), "{url} {secret}");
    }
    assert_eq!(make("https://a/b", SECRET).is_ok(), cfg!(feature = "tls"));
}

#[test]
fn the_signature_is_hmac_sha256_of_time_and_body() {
    // echo -n '1780000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    let expected = "99912b3a547a0b00cc86089c86fe43dc71a996735425b7ce7a90d8ce49180ed0";
    assert_eq!(signature(SECRET.as_bytes(), 1_780_000_000, "{\"a\":1}"), format!("t=1780000000,v1={expected}"));
}

#[test]
fn waits_grow_to_five_minutes_and_differ() {
    let wait = |failures| (0..40).map(|_| back_off(failures)).collect::<Vec<_>>();
    for (failures, longest) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (u32::MAX, 300)] {
        let (waits, longest) = (wait(failures), Duration::from_secs(longest));
        assert!(waits.iter().all(|w| *w >= longest / 2 && *w <= longest), "{failures}: {waits:?}");
        assert!(waits.iter().collect::<BTreeSet<_>>().len() > 5);
    }
}
