//! What the measuring clients share: batches of events, the door, frames, percentiles.
use anyhow::ensure;
use serde::Deserialize;
use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const SOURCES: usize = 200;
pub const BATCHES_PER_SECOND: u64 = 50;
#[derive(Deserialize)]
pub struct Frame {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub figures: Vec<Figure>,
    #[serde(default)]
    pub alerts: Vec<Alert>,
}

#[derive(Deserialize)]
pub struct Figure {
    pub measurement: String,
    pub end: i64,
}

#[derive(Deserialize)]
pub struct Alert {
    pub id: String,
    pub version: u32,
    pub condition: String,
    pub changed: i64,
    pub pipeline: String,
}

impl Alert {
    /// By how much `out_of_orderness` of its pipeline puts it off, ms.
    pub fn delay(&self) -> i64 {
        250 * self.pipeline.strip_prefix("burst_").and_then(|k| k.parse().ok()).unwrap_or(0)
    }
}

/// When something was due by event time (ms), and when it was seen.
pub type Seen = Vec<(i64, Instant)>;

pub fn now_ms() -> i64 {
    #[allow(clippy::disallowed_methods, reason = "a measuring client: the wall clock is what it measures")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// Milliseconds since 1970 as RFC 3339 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub fn rfc3339(ms: i64) -> String {
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

/// One batch of CloudEvents with one time; the first `flapping` sources are high for two seconds, then low for two.
pub fn batch(number: u64, count: u64, time: i64, flapping: usize) -> String {
    let mut body = String::with_capacity(count as usize * 180);
    let text = rfc3339(time);
    for i in 0..count {
        let source = (number * count + i) as usize % SOURCES;
        let high = source < flapping && (time / 2_000 + source as i64) % 2 == 0;
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
pub async fn post(door: &mut TcpStream, address: &str, token: Option<&str>, body: &str) -> anyhow::Result<()> {
    let pass = token.map_or(String::new(), |t| format!("authorization: Bearer {t}\r\n"));
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: {address}\r\n{pass}content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
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
pub async fn send(address: &str, token: Option<&str>, (rate, flapping): (u64, usize), until: Instant) -> anyhow::Result<Vec<(i64, Instant, Instant)>> {
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
        let body = batch(run + n, rate / BATCHES_PER_SECOND, time, flapping);
        let at = Instant::now();
        post(&mut door, address, token, &body).await?;
        sent.push((time, at, Instant::now()));
    }
    Ok(sent)
}

pub fn percentiles(what: &str, seen: &Seen, sent: &[(i64, Instant, Instant)], from: i64) {
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

