//! A crowd on one `ioc`: many scopes, busy and quiet ones, while events come and alerts change; and many who come and go.
//!
//! crowd ADDRESS TOKENS EVENTS_PER_SECOND FLAPPING BUSY IDLE SECONDS PID      a token a line: the first sends, then `busy TOKEN` or `idle TOKEN`
//! crowd churn ADDRESS TOKENS COUNT PID
//!
//! Every frame of every client is read. Of each scope one client takes its frames apart: when alerts and figures came, and whether a
//! version of an alert was missed. PID is that of `ioc`: its memory before and after.
use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use live_clients::{BATCHES_PER_SECOND, Frame, Seen, now_ms, percentiles, send};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WARM_UP_MS: i64 = 5_000;
/// Handshakes at once.
const ABREAST: usize = 64;

#[derive(Default)]
struct Heard {
    figures: Seen,
    alerts: Seen,
    frames: u64,
    bytes: u64,
    /// Versions of alerts that never came.
    missed: u64,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: &str, token: &str) -> anyhow::Result<Socket> {
    let mut request = format!("ws://{address}/api/v1/live").into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let (mut socket, _) = tokio_tungstenite::connect_async_with_config(request, Some(config), true).await?;
    socket.send(Message::text(r#"{"type":"hello","protocol":1,"resume":null}"#)).await?;
    Ok(socket)
}

async fn listen(mut socket: Socket, until: Instant, apart: bool) -> anyhow::Result<Heard> {
    let mut heard = Heard::default();
    let mut windows = HashSet::new();
    let mut versions: HashMap<String, u32> = HashMap::new();
    while let Ok(Some(message)) = tokio::time::timeout_at(until.into(), socket.next()).await {
        let Message::Text(text) = message? else { continue };
        let at = Instant::now();
        heard.frames += 1;
        heard.bytes += text.len() as u64;
        ensure!(!text.starts_with(r#"{"type":"bye""#), "the server closed: {text}");
        if !apart {
            continue;
        }
        let frame: Frame = serde_json::from_str(&text)?;
        let update = frame.kind == "update";
        let fired: BTreeSet<_> = frame.figures.iter().map(|f| (f.measurement.clone(), f.end)).collect();
        for (measurement, end) in fired {
            let delay: i64 = measurement.strip_prefix("burst_").and_then(|k| k.parse().ok()).unwrap_or(0);
            if windows.insert((measurement, end)) && update {
                heard.figures.push((end + delay * 250, at));
            }
        }
        for alert in frame.alerts {
            if let (Some(before), true) = (versions.insert(alert.id.clone(), alert.version), update) {
                heard.missed += u64::from(alert.version.saturating_sub(before + 1));
            }
            if update && alert.condition != "inactive" {
                // `changed` is a window's end; which of the four pipelines fires it decides by how much later it may be seen
                heard.alerts.push((alert.changed + alert.delay(), at));
            }
        }
    }
    let _ = socket.close(None).await;
    Ok(heard)
}

/// Resident memory of a process, kB.
fn memory(pid: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

async fn join_all(address: &str, tokens: Vec<(String, bool)>) -> anyhow::Result<Vec<(Socket, bool)>> {
    let room = Arc::new(Semaphore::new(ABREAST));
    let connecting: Vec<_> = tokens
        .into_iter()
        .map(|(token, apart)| {
            let (room, address) = (room.clone(), address.to_owned());
            tokio::spawn(async move {
                let _place = room.acquire().await?;
                anyhow::Ok((connect(&address, &token).await?, apart))
            })
        })
        .collect();
    let mut joined = Vec::new();
    for each in connecting {
        joined.push(each.await??);
    }
    Ok(joined)
}

fn tokens(path: &str) -> anyhow::Result<(String, Vec<String>, Vec<String>)> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    let sender = lines.next().context("no token to send with")?.to_owned();
    let (mut busy, mut idle) = (Vec::new(), Vec::new());
    for line in lines {
        match line.split_once(' ') {
            Some(("busy", token)) => busy.push(token.to_owned()),
            Some(("idle", token)) => idle.push(token.to_owned()),
            _ => anyhow::bail!("{path}: {line:?} is neither busy nor idle"),
        }
    }
    Ok((sender, busy, idle))
}

/// `count` clients over these tokens in turn; the first of each token takes its frames apart.
fn spread(tokens: &[String], count: usize) -> Vec<(String, bool)> {
    (0..count).map(|n| (tokens[n % tokens.len()].clone(), n < tokens.len())).collect()
}

async fn crowd(args: &[String]) -> anyhow::Result<()> {
    let [address, tokens_of, rate, flapping, busy, idle, seconds, pid] = args else { anyhow::bail!("see the head of crowd.rs") };
    let (sender, busy_tokens, idle_tokens) = tokens(tokens_of)?;
    let (rate, flapping, seconds): (u64, usize, u64) = (rate.parse()?, flapping.parse()?, seconds.parse()?);
    let (busy, idle): (usize, usize) = (busy.parse()?, idle.parse()?);
    let before = memory(pid)?;
    let mut wanted = spread(&busy_tokens, busy);
    wanted.extend(spread(&idle_tokens, idle).into_iter().map(|(token, _)| (token, false)));
    let clients = wanted.len();
    let began = Instant::now();
    let joined = join_all(address, wanted).await?;
    println!("{clients} clients in {} scopes connected in {:.1} s", busy_tokens.len() + idle_tokens.len(), began.elapsed().as_secs_f64());
    let connected = memory(pid)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let listeners: Vec<_> =
        joined.into_iter().map(|(socket, apart)| tokio::spawn(listen(socket, end + Duration::from_secs(1), apart))).collect();
    let from = now_ms() + WARM_UP_MS;
    let sent = send(address, Some(&sender), (rate, flapping), end).await?;
    let during = memory(pid)?;
    let mut all = Heard::default();
    for listener in listeners {
        let heard = listener.await??;
        all.figures.extend(heard.figures);
        all.alerts.extend(heard.alerts);
        (all.frames, all.bytes, all.missed) = (all.frames + heard.frames, all.bytes + heard.bytes, all.missed + heard.missed);
    }
    let took = sent.last().map_or(1.0, |l| (l.2 - sent[0].1).as_secs_f64());
    println!(
        "{:.0} events/s for {took:.0} s; {:.0} frames/s, {:.1} MB/s; versions of alerts that never came: {}",
        (sent.len() as u64 * (rate / BATCHES_PER_SECOND)) as f64 / took,
        all.frames as f64 / took,
        all.bytes as f64 / 1e6 / took,
        all.missed
    );
    let each = |now: u64| now.saturating_sub(before) as f64 / clients as f64;
    println!("memory: {before} kB before, {connected} kB connected ({:.1} kB a client), {during} kB at the end ({:.1} kB a client, with what the engine took)", each(connected), each(during));
    percentiles("alerts", &all.alerts, &sent, from);
    percentiles("figures", &all.figures, &sent, from);
    Ok(())
}

/// Clients that come, see the first picture and go.
async fn churn(args: &[String]) -> anyhow::Result<()> {
    let [address, tokens_of, count, pid] = args else { anyhow::bail!("see the head of crowd.rs") };
    let (_, busy, _) = tokens(tokens_of)?;
    let count: usize = count.parse()?;
    let part = (count / 10).max(1);
    for round in 0..count / part {
        let room = Arc::new(Semaphore::new(ABREAST));
        let visits: Vec<_> = spread(&busy, part)
            .into_iter()
            .map(|(token, _)| {
                let (room, address) = (room.clone(), address.clone());
                tokio::spawn(async move {
                    let _place = room.acquire().await?;
                    let mut socket = connect(&address, &token).await?;
                    // hello and the first picture
                    for _ in 0..2 {
                        socket.next().await.context("the server closed early")??;
                    }
                    socket.close(None).await?;
                    while let Some(Ok(_)) = socket.next().await {}
                    anyhow::Ok(())
                })
            })
            .collect();
        for visit in visits {
            visit.await??;
        }
        println!("{} came and went: {} kB", (round + 1) * part, memory(pid)?);
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((word, rest)) if word == "churn" => churn(rest).await,
        _ => crowd(&args).await,
    }
}
