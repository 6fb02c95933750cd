//! Definitions and inputs of the laws: several windows, keys, aggregates, rules; disorder, copies, nulls, bad fields.

use super::feed::{Kept, Log};
use super::{event, ms};
use ioc::engine::setup::Setup;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

pub const QUICK: &str = "
pipeline: quick
sector: test
from: [t.a, t.b]
out_of_orderness: 2s
lateness: 0s
idle_after: 20s
patience: 30s
windows:
  - measurement: quick
    every: 10s
    by: [area, source]
    fields:
      n: count()
      total: sum(data.x)
      mean: mean(data.x)
      low: min(data.x)
      high: max(data.x)
      first: first(data.x)
      last: last(data.x)
      p95: p95(data.x)
      big: countif(data.x > 5)
  - measurement: quick_kind
    every: 1m
    from: [t.a]
    where: data.ok == true
    by: [data.k]
    fields: {n: count(), mean: mean(data.x), spread: max(data.x) - min(data.x)}
alerts:
  - alert: high
    on: quick
    when: mean > 5
    for: 20s
    until: mean < 0
    severity: major
    title: {vi: \"Cao {mean}\", en: \"High {mean}\"}
  - alert: over
    on: quick
    when: high > 8
    severity: minor
    title: {vi: Vượt, en: Over}
  - {alert: gone, absent: t.a, after: 2 * cadence, severity: notice, title: {vi: Mất, en: Gone}}
";

pub const SLOW: &str = "
pipeline: slow
sector: test
from: [t.a]
where: data.ok == true || !known(data.ok)
out_of_orderness: 5s
lateness: 5m
windows:
  - measurement: slow
    every: 1m
    by: [area, source]
    fields: {n: count(), mean: mean(data.x)}
  - measurement: slow_hour
    every: 1h
    early: 1m
    by: [area]
    fields: {n: count(), total: sum(data.x), mid: p50(data.x)}
  - measurement: slow_all
    every: 1m
    fields: {n: count(), total: sum(data.x)}
alerts:
  - alert: many
    on: slow_hour
    when: n > 5
    early: true
    severity: notice
    title: {vi: Nhiều, en: Many}
  - alert: calm
    on: slow
    when: mean < 3
    for: 1m
    until: mean > 4
    no_data: 2m
    severity: notice
    title: {vi: Lặng, en: Calm}
  - {alert: quiet, absent: t.a, after: 90s, severity: notice, title: {vi: Im, en: Quiet}}
";

pub const HOPS: &str = "
pipeline: hops
sector: test
from: [t.a]
out_of_orderness: 2s
lateness: 20s
idle_after: 20s
patience: 30s
windows:
  - measurement: hop
    period: 25s
    every: 10s
    by: [area, source]
    fields: {n: count(), total: sum(data.x), first: first(data.x), rise: last(data.x) - first(data.x), p50: p50(data.x)}
  - measurement: hop_all
    period: 2m
    every: 30s
    early: 20s
    fields: {n: count(), high: max(data.x)}
alerts:
  - alert: rising
    on: hop
    when: rise > 3
    for: 10s
    severity: minor
    title: {vi: Dâng, en: Rising}
  - alert: more
    on: hop
    when: n > previous(n, \"20s\")
    severity: notice
    title: {vi: Thêm, en: More}
  - alert: busy
    on: hop_all
    when: n > 5
    early: true
    until: n < 3
    severity: notice
    title: {vi: Đông, en: Busy}
";

pub const FILLED: &str = "
pipeline: filled
sector: test
from: [t.a]
out_of_orderness: 2s
lateness: 40s
idle_after: 20s
patience: 30s
windows:
  - measurement: filled
    every: 30s
    by: [data.k]
    fill: 0
    fields: {n: count(), big: countif(data.x > 5), mean: mean(data.x), who: distinct(source)}
  - measurement: filled_hop
    period: 90s
    every: 1m
    by: [area]
    fill: 0
    fields: {n: count(), kinds: 'distinct(data.k, data.ok)', rise: increase(data.x)}
  - measurement: filled_hour
    every: 1h
    by: [area, source]
    fill: 0
    fields: {n: count(), mid: p50(data.x)}
alerts:
  - alert: none
    on: filled
    when: n < 1
    for: 30s
    severity: minor
    title: {vi: Trống, en: Empty}
";

pub const SCHEMA: &str = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {
  "x": {"type": ["number", "null"], "minimum": -10, "maximum": 10}, "k": {"type": "string"}, "ok": {"type": "boolean"},
  "lon": {"type": "number"}, "lat": {"type": "number"}}}"#;

pub const SOURCES: &str = "id,type,lon,lat,cadence\ns0,t.a,0.5,0.5,30s\ns1,t.a t.b,1.5,0.5,3m\ns2,t.b,0.5,0.5,\nabsent,t.a,0.5,0.5,1m\n";

pub const AREAS: &str = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"id":"A","name":"Area A"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}},
{"type":"Feature","properties":{"id":"B","name":"Area B"},"geometry":{"type":"Polygon","coordinates":[[[1,0],[2,0],[2,1],[1,1],[1,0]]]}}]}"#;

pub fn files<'a>() -> Vec<(&'a str, &'a str)> {
    vec![
        ("pipelines/hops.yaml", HOPS),
        ("pipelines/quick.yaml", QUICK),
        ("pipelines/slow.yaml", SLOW),
        ("schemas/t.a.json", SCHEMA),
        ("schemas/t.b.json", SCHEMA),
        ("registry/sources/s.csv", SOURCES),
        ("registry/areas/a.geojson", AREAS),
    ]
}

/// Windows that have rows without events.
pub fn filled_setup() -> Arc<Setup> {
    let rest = files().into_iter().filter(|(path, _)| !path.starts_with("pipelines/"));
    super::setup(&rest.chain([("pipelines/filled.yaml", FILLED)]).collect::<Vec<_>>())
}

pub fn laws_setup() -> Arc<Setup> {
    super::setup(&files())
}

/// One event of a partition before it has its place.
#[derive(Clone, Debug)]
pub struct Made {
    source: u8,
    kind: u8,
    /// Milliseconds since the event before it.
    step: i64,
    /// How long after its time it arrives.
    delay: i64,
    x: u8,
    k: u8,
    /// Again the id of the event so many before: a copy, or a conflict where the data differ.
    again: Option<u8>,
    same_data: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let step = prop_oneof![6 => 0i64..3_000, 2 => 3_000i64..20_000, 1 => 40_000i64..200_000];
    let delay = prop_oneof![6 => 0i64..1_500, 3 => 0i64..15_000, 1 => 0i64..400_000, 1 => -70_000i64..0];
    let again = prop_oneof![5 => Just(None), 1 => (1u8..6).prop_map(Some)];
    (0u8..4, 0u8..6, step, delay, 0u8..28, 0u8..4, again, any::<bool>())
        .prop_map(|(source, kind, step, delay, x, k, again, same_data)| Made { source, kind, step, delay, x, k, again, same_data })
}

fn data_of(made: &Made) -> Value {
    let mut data = json!({"ok": made.k != 3});
    match made.x {
        0 => {}
        1 => data["x"] = Value::Null,
        2 => data["x"] = json!(1e9),
        3 => data["x"] = json!("text"),
        x => data["x"] = json!(f64::from(x) * 0.7 - 8.3),
    }
    match made.k {
        0 => {}
        k => data["k"] = json!(format!("k{k}")),
    }
    if made.k == 2 {
        (data["lon"], data["lat"]) = (json!(1.5), json!(0.25));
    }
    data
}

fn body_of(partition: usize, index: usize, made: &Made, all: &[Made], times: &[i64]) -> Vec<u8> {
    let copied = made.again.and_then(|n| index.checked_sub(n as usize));
    let (from, of) = copied.map_or((index, made), |i| (i, &all[i]));
    let data = if copied.is_some() && !made.same_data { data_of(made) } else { data_of(of) };
    let kind = match of.kind {
        0..=3 => "t.a",
        4 => "t.b",
        _ => "t.nobody",
    };
    if made.x == 27 && copied.is_none() {
        return b"{\"specversion\": \"1.0\", no event".to_vec();
    }
    let source = if of.source == 3 { "unregistered".to_owned() } else { format!("s{}", of.source) };
    event(kind, &source, &format!("p{partition}-{from}"), ms(times[from]), data)
}

/// The records of one partition in the order of their arrival.
fn partition_log(partition: usize, all: &[Made], broker: bool) -> Vec<Kept> {
    let mut times = Vec::new();
    let mut now = 0;
    for made in all {
        now += made.step;
        times.push(now);
    }
    let mut arrivals: Vec<(i64, usize)> = all.iter().enumerate().map(|(i, m)| (times[i] + m.delay.max(-70_000), i)).collect();
    arrivals.sort_unstable();
    let kept = arrivals
        .into_iter()
        .map(|(arrival, i)| Kept { broker_time: broker.then(|| ms(arrival.max(0))), body: body_of(partition, i, &all[i], all, &times) });
    kept.collect()
}

/// Logs of one to three partitions.
pub fn logs(size: usize, broker: bool) -> impl Strategy<Value = Log> {
    prop::collection::vec(prop::collection::vec(made(), 0..size), 1..4)
        .prop_map(move |all| all.iter().enumerate().map(|(p, made)| partition_log(p, made, broker)).collect())
}
