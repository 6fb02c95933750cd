//! How long from the event that lets a row fire to the frame on the screen: a sender and many websocket clients against a running `ioc`.
//!
//! latency ADDRESS [EVENTS_PER_SECOND] [CLIENTS] [SECONDS]      with the pipelines beside; see docs/benchmarks.md
//!
//! A batch carries events of all sources' partitions with one time. The first batch at or past a window's end + out_of_orderness lets its
//! rows fire; the clock runs from the moment that batch is sent, so the POST, the log's append and its fsync are in the figures.
use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const SOURCES: usize = 200;
/// Sources whose value is high for two seconds, then low for two.
const FLAPPING: usize = 20;
const BATCHES_PER_SECOND: u64 = 50;
/// Left out at the start: connections, first rows.
const WARM_UP_MS: i64 = 5_000;

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    figures: Vec<Figure>,
    #[serde(default)]
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Figure {
    measurement: String,
    end: i64,
}

#[derive(Deserialize)]
struct Alert {
    id: String,
    condition: String,
    changed: i64,
}

/// When something was due by event time (ms), and when it was seen.
type Seen = Vec<(i64, Instant)>;

#[derive(Default)]
struct Heard {
    figures: Seen,
    alerts: Seen,
    bytes: usize,
}

fn now_ms() -> i64 {
    #[allow(clippy::disallowed_methods, reason = "a measuring client: the wall clock is what it measures")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

async fn listen(address: String, until: Instant) -> anyhow::Result<Heard> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/api/v1/live")).await?;
    socket.send(Message::text(r#"{"type":"hello","protocol":1,"resume":null}"#)).await?;
    let mut heard = Heard::default();
    let (mut windows, mut changes) = (HashSet::new(), HashSet::new());
    while let Ok(Some(message)) = tokio::time::timeout_at(until.into(), socket.next()).await {
        let Message::Text(text) = message? else { continue };
        let at = Instant::now();
        heard.bytes += text.len();
        let frame: Frame = serde_json::from_str(&text)?;
        ensure!(frame.kind != "bye", "the server closed: {text}");
        if frame.kind != "update" {
            continue;
        }
        let fired: BTreeSet<_> = frame.figures.iter().map(|f| (f.measurement.clone(), f.end)).collect();
        for (measurement, end) in fired {
            let delay: i64 = measurement.strip_prefix("burst_").and_then(|k| k.parse().ok()).unwrap_or(0);
            if windows.insert((measurement, end)) {
                heard.figures.push((end + delay * 250, at));
            }
        }
        for alert in frame.alerts {
            if alert.condition != "inactive" && changes.insert((alert.id, alert.changed)) {
                heard.alerts.push((alert.changed, at));
            }
        }
    }
    let _ = socket.close(None).await;
    Ok(heard)
}

/// Milliseconds since 1970 as RFC 3339 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn rfc3339(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let (year, day) = (yoe + era * 400 + i64::from(month <= 2), doy - (153 * mp + 2) / 5 + 1);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

/// One batch of CloudEvents with one time.
fn batch(number: u64, count: u64, time: i64) -> String {
    let mut body = String::with_capacity(count as usize * 180);
    let text = rfc3339(time);
    for i in 0..count {
        let source = (number * count + i) as usize % SOURCES;
        let high = source < FLAPPING && (time / 2_000 + source as i64) % 2 == 0;
        let value = if high { 100 } else { 1 };
        body.push(if i == 0 { '[' } else { ',' });
        let _ = write!(
            body,
            r#"{{"specversion":"1.0","id":"{number}-{i}","type":"bench.latency","source":"bench-{source:04}","time":"{text}","data":{{"value":{value}}}}}"#
        );
    }
    body.push(']');
    body
}

/// One request over a connection that stays open; the answer's head says how long its body is.
async fn post(door: &mut TcpStream, address: &str, body: &str) -> anyhow::Result<()> {
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    door.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    let mut answer = Vec::new();
    loop {
        ensure!(door.read_buf(&mut answer).await? > 0, "the door closed the connection");
        let text = String::from_utf8_lossy(&answer);
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if rest.len() >= length.unwrap_or(0) {
            ensure!(head.starts_with("HTTP/1.1 202"), "the door answers {text}");
            return Ok(());
        }
    }
}

/// Sends until the end; (event time, sent, answered) of each batch.
async fn send(address: &str, rate: u64, until: Instant) -> anyhow::Result<Vec<(i64, Instant, Instant)>> {
    let mut door = TcpStream::connect(address).await?;
    door.set_nodelay(true)?;
    let mut sent = Vec::new();
    let run = now_ms() as u64;
    let began = Instant::now();
    for n in 0.. {
        let due = began + Duration::from_micros(n * 1_000_000 / BATCHES_PER_SECOND);
        if due >= until {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let time = now_ms();
        let body = batch(run + n, rate / BATCHES_PER_SECOND, time);
        let at = Instant::now();
        post(&mut door, address, &body).await?;
        sent.push((time, at, Instant::now()));
    }
    Ok(sent)
}

fn percentiles(what: &str, seen: &Seen, sent: &[(i64, Instant, Instant)], from: i64) {
    let (mut whole, mut since_answer) = (Vec::new(), Vec::new());
    for (due, at) in seen.iter().filter(|(due, _)| *due >= from) {
        let Some((_, began, answered)) = sent.get(sent.partition_point(|(time, ..)| time < due)) else { continue };
        whole.push(at.saturating_duration_since(*began));
        since_answer.push(at.saturating_duration_since(*answered));
    }
    whole.sort();
    since_answer.sort();
    let of = |v: &[Duration], q: f64| v.get(((v.len() as f64 * q).ceil() as usize).max(1) - 1).map_or(f64::NAN, |d| d.as_secs_f64() * 1e3);
    println!(
        "{what}: {} seen; from the POST's sending p50 {:.0} ms, p99 {:.0} ms, greatest {:.0} ms; from its answer p50 {:.0} ms, p99 {:.0} ms",
        whole.len(),
        of(&whole, 0.5),
        of(&whole, 0.99),
        of(&whole, 1.0),
        of(&since_answer, 0.5),
        of(&since_answer, 0.99),
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |a| a.parse());
    let address = args.first().context("usage: latency ADDRESS [EVENTS_PER_SECOND] [CLIENTS] [SECONDS]")?;
    let (rate, clients, seconds) = (number(1, 5_000)?, number(2, 100)?, number(3, 60)?);
    let end = Instant::now() + Duration::from_secs(seconds);
    let listeners: Vec<_> = (0..clients).map(|_| tokio::spawn(listen(address.clone(), end + Duration::from_secs(1)))).collect();
    let from = now_ms() + WARM_UP_MS;
    let sent = send(address, rate, end).await?;
    let mut all = Heard::default();
    for listener in listeners {
        let heard = listener.await??;
        all.figures.extend(heard.figures);
        all.alerts.extend(heard.alerts);
        all.bytes += heard.bytes;
    }
    let events = sent.len() as u64 * (rate / BATCHES_PER_SECOND);
    let took = sent.last().map_or(1.0, |l| (l.2 - sent[0].1).as_secs_f64());
    println!(
        "{events} events in {took:.1} s ({:.0}/s), {clients} clients, {:.1} MB of frames",
        events as f64 / took,
        all.bytes as f64 / 1e6
    );
    percentiles("alerts", &all.alerts, &sent, from);
    percentiles("figures", &all.figures, &sent, from);
    Ok(())
}
