//! Why a window has not fired, asked of a whole server.

use crate::support::app::Whole;
use ioc::driver::wall_clock;
use ioc::time::{Span, Timestamp};
use serde_json::{Value, json};

const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a]
out_of_orderness: 1s
lateness: 1s
idle_after: 20s
patience: 30s
windows: [{measurement: m, every: 1s, by: [source], fields: {n: count()}}]
";

fn event(source: &str, id: &str, time: Timestamp) -> Value {
    json!({"specversion": "1.0", "type": "t.a", "source": source, "id": id, "time": time.to_string(), "data": {}})
}

/// T5: the answer names the partition that holds the window and the event that would free it; that event frees it.
#[tokio::test(flavor = "multi_thread")]
async fn t5_the_event_that_was_said_to_release_a_window_releases_it() {
    let mut whole = Whole::new(&[("pipelines/p.yaml", PIPELINE)]);
    whole.start().await;
    // a source on each partition (murmur2 of the source): three go on, one stays behind
    let now = wall_clock();
    let behind = now - Span::seconds(5);
    let mut events = vec![event("slow", "1", behind)];
    events.extend(["fast-0", "fast-1", "fast-5"].map(|source| event(source, "1", now)));
    whole.send(&events).await;
    let path = "/api/v1/pipelines/p/explain?measurement=m";
    let held = |answer: &Value| {
        let holders = answer["hold"]["holders"].as_array();
        answer["state"] == "open" && holders.is_some_and(|h| h.iter().any(|h| h["source"] == "slow"))
    };
    let answer = whole.get_until(path, held).await;
    assert!(answer["says"]["vi"].as_str().unwrap().contains("slow") && answer["says"]["en"].as_str().unwrap().contains("slow"));
    let (start, event_time) = (answer["start"].as_i64().unwrap(), answer["hold"]["event_time"].as_i64().unwrap());
    let partitions: Vec<i64> = answer["hold"]["holders"].as_array().unwrap().iter().map(|h| h["partition"].as_i64().unwrap()).collect();
    assert_eq!(partitions, [1], "{answer}");
    whole.send(&[event("slow", "2", Timestamp::from_millis(event_time))]).await;
    let fired = |answer: &Value| answer["state"] == "fired" || answer["state"] == "settled";
    whole.get_until(&format!("{path}&start={start}"), fired).await;
    let pipelines = whole.get_until("/api/v1/pipelines", |now| now["pipelines"][0]["rates"]["accepted"].as_f64() > Some(0.0)).await;
    let pipeline = &pipelines["pipelines"][0];
    assert_eq!((pipeline["text"].as_str(), pipeline["partitions"].as_array().unwrap().len()), (Some(PIPELINE), 4));
    whole.stop().await;
}
