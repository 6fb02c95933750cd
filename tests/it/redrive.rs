//! Refused records and late ones through a whole server: kept, listed, driven again, judged.

use crate::support::app::Whole;
use ioc::app::{open_way, redrive::drive_again};
use ioc::driver::wall_clock;
use ioc::store::rejected::{RejectedStore, Wanted};
use ioc::time::{Span, Timestamp};
use serde_json::{Value, json};

const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a]
out_of_orderness: 1s
lateness: 1s
patience: 1s
dedup: 20s
windows: [{measurement: m, every: 1s, by: [source], fields: {n: count()}}]
";
const STRICT: &str = r#"{"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}}"#;
const MENDED: &str = r#"{"type": "object", "properties": {"x": {"type": "number"}}}"#;

fn event(id: &str, time: Timestamp, data: Value) -> Value {
    json!({"specversion": "1.0", "type": "t.a", "source": "s", "id": id, "time": time.to_string(), "data": data})
}

fn whole() -> Whole {
    Whole::new(&[("pipelines/p.yaml", PIPELINE), ("schemas/t.a.json", STRICT)])
}

fn stored(whole: &Whole) -> Vec<ioc::store::rejected::Kept> {
    let store = RejectedStore::open(&whole.settings().data).unwrap();
    store.list(&Wanted { limit: 100, ..Wanted::default() }).unwrap()
}

/// D5: a refused record is driven again and is accepted, a duplicate, late or rejected again, as any other would be.
#[tokio::test(flavor = "multi_thread")]
async fn d5_what_was_refused_is_driven_again_and_judged() {
    let mut whole = whole();
    whole.start().await;
    let now = wall_clock();
    whole
        .send(&[event("new", now, json!({})), event("old", now - Span::hours(1), json!({})), event("bad", now, json!({"x": "text"}))])
        .await;
    let page = whole.get_until("/api/v1/rejected", |page| page["records"].as_array().unwrap().len() == 3).await;
    let number_of = |id: &str| {
        let records = page["records"].as_array().unwrap();
        records.iter().find(|r| r["raw"].as_str().unwrap().contains(&format!("\"{id}\""))).unwrap()["number"].as_i64().unwrap()
    };
    let (new, old, bad) = (number_of("new"), number_of("old"), number_of("bad"));
    let two = whole.get(&format!("/api/v1/rejected?limit=2&reason=schema&before={}", new.max(old).max(bad) + 1)).await;
    assert_eq!((two["records"].as_array().unwrap().len(), two["next"].as_i64()), (2, two["records"][1]["number"].as_i64()));
    whole.stop().await;

    whole.write("schemas/t.a.json", MENDED);
    whole.start().await;
    // somebody else moves the watermark meanwhile, so that what is an hour old is late
    whole
        .send(&[json!({"specversion": "1.0", "type": "t.a", "source": "other", "id": "1", "time": wall_clock().to_string(), "data": {}})])
        .await;
    let drive = async |body: Value| {
        let (status, driven) = whole.post("/api/v1/rejected/redrive", body).await;
        assert_eq!(status, 200, "{driven}");
        let verdicts = driven.as_array().unwrap().iter();
        verdicts.map(|d| (d["number"].as_i64().unwrap(), d["verdict"].as_str().unwrap_or("?").to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(drive(json!({"numbers": [new, old]})).await[0], (new, "accepted".to_owned()));
    assert_eq!(drive(json!({"numbers": [old]})).await, [(old, "late".to_owned())]);
    assert_eq!(drive(json!({"numbers": [new]})).await, [(new, "duplicate".to_owned())]);
    // by filter: only what was never driven again
    assert_eq!(drive(json!({"reason": "schema"})).await, [(bad, "rejected".to_owned())]);
    let whole_record = whole.get(&format!("/api/v1/rejected/{bad}")).await;
    assert_eq!(whole_record["redriven"]["reason"], "schema.type");
    let (status, problem) = whole.post("/api/v1/rejected/redrive", json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("malformed")));
    let late = whole.get_until("/api/v1/late?pipeline=p&source=s", |page| !page["records"].as_array().unwrap().is_empty()).await;
    assert_eq!((late["records"][0]["id"].as_str(), late["records"][0]["type"].as_str()), (Some("old"), Some("t.a")));
    whole.stop().await;
}

/// D5: without a server the record enters the log and is judged at the next start; until then nobody claims anything.
#[tokio::test(flavor = "multi_thread")]
async fn d5_a_stopped_server_judges_at_its_next_start() {
    let mut whole = whole();
    whole.start().await;
    whole.send(&[event("new", wall_clock(), json!({}))]).await;
    whole.get_until("/api/v1/rejected", |page| !page["records"].as_array().unwrap().is_empty()).await;
    whole.stop().await;
    whole.write("schemas/t.a.json", MENDED);
    let settings = whole.settings();
    let driven = {
        let way = open_way(&settings).unwrap();
        drive_again(&way, &settings.data, stored(&whole), "Lan").await.unwrap()
    };
    assert_eq!((driven[0].verdict.as_deref(), driven[0].place.is_some()), (None, true));
    whole.start().await;
    let judged = |page: &Value| page["records"][0]["redriven"]["verdict"].is_string();
    let page = whole.get_until("/api/v1/rejected", judged).await;
    let redriven = &page["records"][0]["redriven"];
    // the collector has no memory of it: it was never accepted
    assert!(matches!(redriven["verdict"].as_str(), Some("accepted" | "late")), "{redriven}");
    assert_eq!(redriven["by"], "Lan");
    whole.stop().await;
}
