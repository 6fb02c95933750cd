//! Alert changes for other programs, through a whole server: a topic, a webhook and a stream tell the same changes, each once.

use crate::support::app::Whole;
use axum::Router;
use axum::routing::post;
use ioc::app::{App, Options};
use ioc::driver::wall_clock;
use ioc::ingest::log::Log;
use ioc::settings::{Out, Settings, WebhookFile};
use ioc::time::{Span, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a]
out_of_orderness: 0s
lateness: 1s
idle_after: 1s
patience: 1s
windows: [{measurement: m, every: 1s, by: [source], fields: {n: count()}}]
alerts: [{alert: seen, on: m, when: n > 0, until: n > 5, severity: minor, title: {vi: Thấy, en: Seen}}]
";

fn event(source: &str, id: usize, time: Timestamp) -> Value {
    json!({"specversion": "1.0", "type": "t.a", "source": source, "id": id.to_string(), "time": time.to_string(), "data": {}})
}

/// A receiver on a port of its own; what it took, in order.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let kept = taken.clone();
    let router = Router::new().route("/", post(async move |body: String| kept.lock().unwrap().push(serde_json::from_str(&body).unwrap())));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, taken)
}

async fn start(whole: &mut Whole, url: &str) {
    let settings = Settings {
        out: Out { topic: "ioc.alerts".into() },
        webhook: WebhookFile { url: url.into(), secret: "0123456789abcdef".into(), ..WebhookFile::default() },
        ..whole.settings()
    };
    whole.app = Some(App::start(settings, Options::default()).await.unwrap());
    let ready = whole.url("/readyz");
    while !reqwest::get(&ready).await.is_ok_and(|a| a.status().is_success()) {
        tokio::task::yield_now().await;
    }
}

/// (id, alert, version) of events.
fn names(events: &[Value]) -> Vec<(String, String, u64)> {
    let name = |e: &Value| {
        (e["id"].as_str().unwrap().to_owned(), e["subject"].as_str().unwrap().to_owned(), e["data"]["version"].as_u64().unwrap())
    };
    events.iter().map(name).collect()
}

async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            match found() {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), search).await.unwrap_or_else(|_| panic!("{what}: not in time"))
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_topic_a_webhook_and_a_stream_tell_the_same_changes_each_once() {
    let mut whole = Whole::new(&[("pipelines/p.yaml", PIPELINE)]);
    let (url, taken) = receiver().await;
    start(&mut whole, &url).await;
    let mut stream = reqwest::get(whole.url("/api/v1/alerts/stream")).await.unwrap();
    let now = wall_clock();
    whole.send(&["a", "b", "c"].map(|source| event(source, 1, now - Span::seconds(3)))).await;
    let firing = |alerts: &Value| alerts.as_array().unwrap().iter().filter(|a| a["condition"] == "firing").count() == 3;
    let alerts = whole.get_until("/api/v1/alerts", firing).await;
    let act = json!({"version": alerts[0]["version"], "name": "Lan", "act": {"kind": "acknowledge"}});
    let (status, _) = whole.post(&format!("/api/v1/alerts/{}/act", alerts[0]["id"].as_str().unwrap()), act).await;
    assert_eq!(status, 200);
    let mut text = String::new();
    while text.matches("event: alert").count() < 4 || !text.ends_with("\n\n") {
        let chunk = tokio::time::timeout(Duration::from_secs(60), stream.chunk()).await.expect("a change in time").unwrap().unwrap();
        text += std::str::from_utf8(&chunk).unwrap();
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let streamed: Vec<Value> = data.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(streamed.last().unwrap()["data"]["handling"], "acknowledged");
    until("the webhook", || (taken.lock().unwrap().len() >= streamed.len()).then_some(())).await;
    whole.stop().await;
    // a restart repeats nothing; what happens after it comes on top
    start(&mut whole, &url).await;
    whole.send(&(0..6).map(|n| event("a", 10 + n, wall_clock() - Span::seconds(2))).collect::<Vec<_>>()).await;
    let resolved = |alerts: &Value| alerts.as_array().unwrap().iter().any(|a| a["condition"] == "resolved");
    whole.get_until("/api/v1/alerts", resolved).await;
    let hook = until("the webhook", || {
        let taken = taken.lock().unwrap();
        taken.iter().any(|e| e["data"]["condition"] == "resolved").then(|| taken.clone())
    });
    let hook = hook.await;
    whole.stop().await;
    let told = names(&hook);
    assert_eq!(told[..streamed.len()], names(&streamed)[..], "the same changes in the same order");
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "each once");
    let log = Log::open(&whole.settings().data.join("log"), "ioc.alerts", 4).unwrap();
    let mut reader = log.reader();
    let records = (0..4).flat_map(|p| reader.read(p, 0, 1_000).unwrap());
    let events: Vec<Value> = records.map(|r| serde_json::from_slice(&r.value).unwrap()).collect();
    let in_topic: BTreeSet<_> = names(&events).into_iter().collect();
    assert_eq!(in_topic.len(), events.len(), "each once");
    assert!(told.iter().all(|t| in_topic.contains(t)), "what the webhook was told is in the topic");
    // the program's own pipelines do not read it
    assert!(hook.iter().all(|e| e["data"]["pipeline"] == "p"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_topic_is_made_unless_asked_for_and_none_that_is_read_is_written() {
    let mut whole = Whole::new(&[("pipelines/p.yaml", PIPELINE)]);
    whole.start().await;
    let folders = |whole: &Whole| {
        let entries = std::fs::read_dir(whole.settings().data.join("log")).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|name| name.contains("alerts")).count()
    };
    assert_eq!((folders(&whole), whole.settings().data.join("out.sqlite").exists()), (0, false));
    whole.stop().await;
    let settings = Settings { out: Out { topic: "ioc.events".into() }, ..whole.settings() };
    let refused = App::start(settings, Options::default()).await.err().unwrap().to_string();
    assert!(refused.contains("is read as events"), "{refused}");
}

/// D2: what a change of definitions brings about at a start is told too: it is journaled before anybody writes to the channels.
#[tokio::test(flavor = "multi_thread")]
async fn d2_what_ends_with_its_definitions_is_told() {
    // its window is open for the whole day, and fires incomplete when its definition goes
    let day = PIPELINE.replace("every: 1s", "every: 1d");
    let mut whole = Whole::new(&[("pipelines/p.yaml", &day)]);
    let (url, taken) = receiver().await;
    start(&mut whole, &url).await;
    whole.send(&[event("a", 1, wall_clock())]).await;
    whole.get_until("/api/v1/sources", |now| now["sources"].as_array().is_some_and(|all| all.iter().any(|s| s["accepted"] == 1))).await;
    whole.stop().await;
    whole.write("pipelines/p.yaml", &day.replace("{n: count()}", "{n: count(), k: count()}"));
    start(&mut whole, &url).await;
    let hook = until("the webhook", || {
        let taken = taken.lock().unwrap();
        taken.iter().any(|e| e["data"]["condition"] == "resolved").then(|| taken.clone())
    });
    let told: Vec<_> = hook.await.iter().map(|e| (e["data"]["version"].as_u64(), e["data"]["condition"].clone())).collect();
    whole.stop().await;
    assert_eq!(told, [(Some(1), json!("firing")), (Some(2), json!("resolved"))]);
}
