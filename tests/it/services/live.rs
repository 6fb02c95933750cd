//! Live events for cases with outages: beats on every partition, alarms on demand; what was sent is what must be found.

use super::site::{Site, Socket, hear, metric, rows};
use super::until;
use ioc::app::{App, Doors};
use ioc::driver::wall_clock;
use ioc::engine::{Condition, FieldValue};
use ioc::ingest::kafka::{Clock, KafkaDoor};
use ioc::ingest::log::partition_of;
use ioc::server::wire::{self, AlertView, ServerMessage};
use ioc::store::Store;
use ioc::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub const PARTITIONS: u32 = 2;
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A row a second and source, an alert for each source above 100.
pub const PIPELINE: &str = r#"
pipeline: readings
sector: traffic
from: [test.reading]
out_of_orderness: 0s
lateness: 5m
idle_after: 2s
windows:
  - measurement: readings
    every: 1s
    by: [source]
    fields:
      n: count()
      top: max(data.value)
alerts:
  - alert: high
    on: readings
    when: top > 100
    no_data: 1h
    severity: major
    title: {vi: "Cao tại {source}", en: "High at {source}"}
"#;

/// An installation with this pipeline and its topic.
pub fn site(word: &str) -> Site {
    let site = Site::with_pipeline(word, PIPELINE);
    site.make_topic(Clock::Broker, PARTITIONS as i32);
    site
}

/// Count and greatest value by source and second.
pub type Seconds = BTreeMap<(String, Timestamp), (i64, f64)>;

pub fn event(source: &str, number: usize, time: Timestamp, value: f64) -> Vec<u8> {
    let event = serde_json::json!({
        "specversion": "1.0", "id": number.to_string(), "source": source, "type": "test.reading", "time": time.to_string(),
        "data": {"value": value},
    });
    event.to_string().into_bytes()
}

/// A source whose events fall into this partition.
fn beat(partition: u32) -> String {
    (0..).map(|n| format!("beat-{n}")).find(|key| partition_of(key.as_bytes(), PARTITIONS) == partition).expect("some key falls there")
}

/// As a producer in the field: a record that was not confirmed is sent again.
async fn deliver(door: Arc<KafkaDoor>, topic: String, source: String, event: Vec<u8>) {
    while door.append(&topic, Some(source.as_bytes()), &[], &event, None).await.is_err() {
        tokio::task::yield_now().await;
    }
}

pub struct Feed {
    alarms: Option<mpsc::UnboundedSender<String>>,
    feeding: tokio::task::JoinHandle<(Seconds, usize)>,
}

impl Feed {
    /// Every 50 ms one event a partition, and at once one for each alarm that is raised.
    pub fn start(app: &App) -> Feed {
        let Doors::Kafka(door, topic) = app.doors.clone() else { panic!("Kafka is the log") };
        let (alarms, mut raised) = mpsc::unbounded_channel::<String>();
        let feeding = tokio::spawn(async move {
            let (mut seconds, mut count, mut sending) = (Seconds::new(), 0, JoinSet::new());
            let mut send = |source: String, value: f64| {
                let time = wall_clock();
                let second = Timestamp(time.0 - time.0.rem_euclid(Span::seconds(1).0));
                let held = seconds.entry((source.clone(), second)).or_insert((0, value));
                *held = (held.0 + 1, held.1.max(value));
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                sending.spawn(deliver(door.clone(), topic.clone(), source.clone(), event(&source, number, time, value)));
                count += 1;
            };
            let mut beats = tokio::time::interval(Duration::from_millis(50));
            loop {
                tokio::select! {
                    _ = beats.tick() => (0..PARTITIONS).for_each(|p| send(beat(p), p as f64)),
                    alarm = raised.recv() => match alarm {
                        Some(source) => send(source, 1000.0),
                        None => break,
                    },
                }
            }
            sending.join_all().await;
            (seconds, count)
        });
        Feed { alarms: Some(alarms), feeding }
    }

    pub fn raise(&self, source: &str) {
        self.alarms.as_ref().and_then(|alarms| alarms.send(source.to_owned()).ok()).expect("the feed runs");
    }

    /// What was sent, once all is confirmed.
    pub async fn stop(mut self) -> (Seconds, usize) {
        self.alarms = None;
        self.feeding.await.expect("the feed ends")
    }
}

/// Until the frame comes in which this source's alert fires; the alert, and how long after its window's end that is.
pub async fn fires(socket: &mut Socket, source: &str, limit: Duration) -> (AlertView, Span) {
    let firing = async {
        loop {
            let Some(message) = hear(socket).await else { panic!("the websocket was closed") };
            let ServerMessage::Update(update) = message else { continue };
            let mine = |a: &&Arc<AlertView>| a.key.get("source").is_some_and(|s| s == source) && a.condition == wire::Condition::Firing;
            if let Some(alert) = update.alerts.iter().find(mine) {
                return ((**alert).clone(), wall_clock() - Timestamp::from_millis(alert.evidence.window_end));
            }
        }
    };
    tokio::time::timeout(limit, firing).await.unwrap_or_else(|_| panic!("the alert of {source} does not fire within {limit:?}"))
}

async fn found(store: &Store) -> Seconds {
    let (from, to) = (wall_clock() - Span::hours(1), wall_clock() + Span::hours(1));
    let all = rows(store, &["readings"], from, to).await;
    let number = |row: &ioc::store::line::StoredRow, name: &str| row.fields.iter().find(|f| f.0 == name).map(|f| f.1);
    // a row may be seen while it is being written: InfluxDB keeps each field by itself
    let second = |row: &ioc::store::line::StoredRow| {
        let source = row.tags.iter().find(|t| t.0 == "source").map(|t| t.1.clone())?;
        let (Some(FieldValue::Int(n)), top) = (number(row, "n"), number(row, "top").and_then(FieldValue::number)?) else { return None };
        Some(((source, row.start), (n, top)))
    };
    all.values().filter_map(second).collect()
}

/// Everything that was sent arrived once: counted by the engine, and row by row in the store.
pub async fn assert_all_arrived(app: &App, (sent, count): &(Seconds, usize), limit: Duration) {
    let accepted = || metric(app, "ioc_records_total", "verdict=\"accepted\"") as usize;
    until(limit, "all events are accepted", async || accepted() == *count).await;
    until(limit, "all rows are stored", async || found(&app.store).await == *sent).await;
    assert_eq!(metric(app, "ioc_lost_records_total", ""), 0.0);
}

/// Each alert of the journal fired once; how many there are.
pub fn assert_each_fired_once(site: &Site) -> usize {
    let mut fired: BTreeMap<String, usize> = BTreeMap::new();
    for entry in site.journal().ticks_from(0) {
        for change in entry.expect("the journal").alerts {
            *fired.entry(change.id.to_string()).or_default() += usize::from(change.to == Condition::Firing);
        }
    }
    assert!(fired.values().all(|n| *n == 1), "{fired:?}");
    fired.len()
}
