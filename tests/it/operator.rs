//! What an operator does to an alert, through a whole server: owned, closed with a verdict, found again after a restart, audited.

use crate::support::app::Whole;
use ioc::driver::wall_clock;
use ioc::server::audit::{AuditBook, Wanted};
use serde_json::{Value, json};

const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a]
out_of_orderness: 1s
lateness: 1s
patience: 1s
windows: [{measurement: m, every: 1s, by: [source], fields: {n: count(), x: mean(data.x)}}]
alerts:
  - {alert: hot, on: m, when: x > 5 && (n > 8 || 0 < n), no_data: 1h, severity: major, sop: sop/hot.md,
     title: {vi: \"Nóng tại trạm {source}\", en: \"Hot at {source}\"}}
";

fn whole() -> Whole {
    Whole::new(&[("pipelines/p.yaml", PIPELINE), ("registry/sop/hot.md", "1. Gọi trạm.\n2. Đóng van.\n")])
}

fn whats(entries: &Value) -> Vec<&str> {
    entries.as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap()).collect()
}

/// R8, D2: handling is the journal's; the history has it after a restart, and after its own file was lost.
#[tokio::test(flavor = "multi_thread")]
async fn r8_an_operator_owns_an_alert_to_its_verdict() {
    let mut whole = whole();
    whole.start().await;
    let now = wall_clock().to_string();
    whole.send(&[json!({"specversion": "1.0", "type": "t.a", "source": "Ea Tling", "id": "1", "time": now, "data": {"x": 9}})]).await;
    let picture = whole.get_until("/api/v1/alerts", |alerts| alerts[0]["condition"] == "firing").await;
    let (id, mut version) = (picture[0]["id"].as_str().unwrap().to_owned(), picture[0]["version"].as_u64().unwrap());
    let path = format!("/api/v1/alerts/{id}");
    let act = format!("{path}/act");
    let asked = |version: u64, name: &str, act: Value| json!({"version": version, "name": name, "note": "", "act": act});
    let (status, assigned) = whole.post(&act, asked(version, "Lan", json!({"kind": "assign", "to": "Đội 2"}))).await;
    assert_eq!((status, assigned["handling"].as_str(), assigned["assigned"]["to"].as_str()), (200, Some("assigned"), Some("Đội 2")));
    // a second desk has not seen that
    let (status, conflict) = whole.post(&act, asked(version, "Đức", json!({"kind": "close", "verdict": "false"}))).await;
    assert_eq!((status, conflict["alert"]["version"].as_u64()), (409, Some(version + 1)));
    assert!(conflict["reason"]["vi"].as_str().unwrap().starts_with("Lan đã giao cho Đội 2 lúc "), "{conflict}");
    version += 1;
    let (status, ticked) = whole.post(&act, asked(version, "Lan", json!({"kind": "step", "step": 1, "done": true}))).await;
    assert_eq!((status, ticked["steps"][0]["step"].as_u64()), (200, Some(1)));
    version += 1;
    let stranger = "0123456789abcdef0123456789abcdef";
    let many = json!({"name": "Lan", "note": "đã gọi trạm bơm", "act": {"kind": "note"},
        "alerts": [{"id": id, "version": version}, {"id": stranger, "version": 1}]});
    let (status, noted) = whole.post("/api/v1/alerts/act", many).await;
    assert_eq!((status, noted["done"][0]["notes"].as_u64(), noted["unknown"][0].as_str()), (200, Some(1), Some(stranger)));
    version += 1;
    let (status, closed) = whole.post(&act, asked(version, "Đức", json!({"kind": "close", "verdict": "false"}))).await;
    assert_eq!((status, closed["closed"]["verdict"].as_str(), closed["condition"].as_str()), (200, Some("false"), Some("firing")));
    whole.stop().await;

    let told = ["firing", "assigned", "step_done", "noted", "closed"];
    for lost in [false, true] {
        if lost {
            std::fs::remove_file(whole.settings().data.join("alerts.sqlite")).unwrap();
        }
        whole.start().await;
        let detail = whole.get(&path).await;
        assert_eq!((detail["alert"]["handling"].as_str(), whats(&detail["history"])), (Some("closed"), told.to_vec()));
        assert!(detail["procedure"].as_str().unwrap().contains("Đóng van"));
        let at = &detail["positions"][0];
        assert_eq!((at["topic"].as_str(), at["from"].as_u64(), at["to"].as_u64()), (Some("ioc.events"), Some(0), Some(1)));
        let clauses = json!([
            {"text": "x > 5", "value": 9.0, "limit": 5.0, "truth": true},
            {"text": "n > 8", "value": 1.0, "limit": 8.0, "truth": false},
            {"text": "0 < n", "value": 1.0, "limit": 0.0, "truth": true},
        ]);
        assert_eq!(detail["alert"]["evidence"]["clauses"], clauses);
        for (query, found) in
            [("text=tram%20bom", 1), ("text=n%C3%B3ng%20ea%20tling&owner=doi&verdict=false&rule=hot", 1), ("verdict=true", 0), ("to=5", 0)]
        {
            let page = whole.get(&format!("/api/v1/alerts/history?{query}")).await;
            assert_eq!((page["alerts"].as_array().unwrap().len(), page["total"].as_u64()), (found, Some(found as u64)), "{query}: {page}");
        }
        whole.stop().await;
    }
    let book = AuditBook::open(&whole.settings().data).unwrap().unwrap();
    let entries = book.list(&Wanted { limit: 100, ..Wanted::default() }).unwrap();
    let entries: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.what.as_str())).collect();
    assert_eq!(entries, [("Lan", "assign"), ("Lan", "step"), ("Lan", "note"), ("Đức", "close")]);
}
