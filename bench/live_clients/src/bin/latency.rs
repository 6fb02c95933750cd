//! How long from the event that lets a row fire to the frame on the screen: a sender and many websocket clients against a running `ioc`.
//!
//! latency ADDRESS [EVENTS_PER_SECOND] [CLIENTS] [SECONDS]      with the pipelines beside; see docs/benchmarks.md
//!
//! A batch carries events of all sources' partitions with one time. The first batch at or past a window's end + out_of_orderness lets its
//! rows fire; the clock runs from the moment that batch is sent, so the POST, the log's append and its fsync are in the figures.
use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use live_clients::{BATCHES_PER_SECOND, Frame, Seen, now_ms, percentiles, send};
use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

/// Sources whose value is high for two seconds, then low for two.
const FLAPPING: usize = 20;
/// Left out at the start: connections, first rows.
const WARM_UP_MS: i64 = 5_000;

#[derive(Default)]
struct Heard {
    figures: Seen,
    alerts: Seen,
    bytes: usize,
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |a| a.parse());
    let address = args.first().context("usage: latency ADDRESS [EVENTS_PER_SECOND] [CLIENTS] [SECONDS]")?;
    let (rate, clients, seconds) = (number(1, 5_000)?, number(2, 100)?, number(3, 60)?);
    let end = Instant::now() + Duration::from_secs(seconds);
    let listeners: Vec<_> = (0..clients).map(|_| tokio::spawn(listen(address.clone(), end + Duration::from_secs(1)))).collect();
    let from = now_ms() + WARM_UP_MS;
    let sent = send(address, None, (rate, FLAPPING), end).await?;
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
